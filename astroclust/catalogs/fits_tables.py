# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""FITS tables with descriptions, comments and nested metadata, which astropy does not write."""

import io
import json
import re
import warnings
from contextlib import contextmanager

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.io.fits.column import KEYWORD_NAMES, python_to_tdisp
from astropy.table import Column, MaskedColumn, Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs.keywords import find_keyword

__all__ = [
    "add_null_logicals",
    "check_fits_texts",
    "mask_null_logicals",
    "plain_unit",
    "plain_value",
    "read_fits_table",
    "without_null_warnings",
    "write_fits_table",
]

# Entry of ``info.meta`` with units and formats of columns that FITS does not support.
_KEPT = "astroclust"
# Formats such as ".3f" after astropy's round trip via TDISPn; other formats do not match.
_PADDED = re.compile(r"\{:\d+(\.\d+[feEgG])\}")
_KEYWORD = re.compile(r"[A-Za-z0-9_-]{1,8}")
_LONG_KEYWORD = re.compile(r"[A-Za-z0-9_.:/+-][A-Za-z0-9_.:/+ -]{0,58}")
# Keywords that describe the extension, not its content.
_RESERVED = re.compile(
    r"(SIMPLE|XTENSION|BITPIX|NAXIS\d*|PCOUNT|GCOUNT|TFIELDS|THEAP|EXTEND|END|CONTINUE|HIERARCH|"
    r"GROUPS|BLANK|BSCALE|BZERO|BLOCKED|CHECKSUM|DATASUM|LONGSTRN|EXTNAME|EXTVER|EXTLEVEL|"
    rf"({'|'.join(KEYWORD_NAMES)}|TCOMM)\d+)"
)
_CARD = 80  # characters


def write_fits_table(table, path):
    """Write a table to a FITS file; see `~astroclust.catalogs.write_table`.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    path : `~pathlib.Path`
        Output file, which must not exist.
    """
    check_fits_texts(table)
    # Not a `QTable`: astropy requires that its units are FITS units.
    plain = Table(table, copy=False)
    plain.meta = {}
    for column in plain.columns.isinstance(Column):
        _set_aside(column.info)
    buffer = io.BytesIO()
    plain.write(buffer, format="fits")
    buffer.seek(0)
    with fits.open(buffer, memmap=False) as hdus:
        add_null_logicals(hdus[1], plain)
        _add_descriptions(hdus[1].header, plain)
        _add_meta(hdus[1].header, table.meta)
        hdus.writeto(path)


def check_fits_texts(table):
    """Check that the names and strings of columns are ASCII, as FITS requires.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Raises
    ------
    ValueError
        If a name or string has other characters.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.catalogs.fits_tables import check_fits_texts
    >>> check_fits_texts(Table({"note": ["bright", "nær"]}))
    Traceback (most recent call last):
        ...
    ValueError: FITS cannot store the text 'nær' of column 'note'; write .ecsv or .vot, or use ...
    """
    for name, column in table.columns.items():
        wrong = f"the name of column {name!r}" if not name.isascii() else ""
        if not wrong and column.info.dtype is not None and column.info.dtype.kind == "U":
            texts = np.ma.filled(np.ma.asarray(column), "").ravel().tolist()
            found = next((text for text in texts if not text.isascii()), None)
            wrong = "" if found is None else f"the text {found!r} of column {name!r}"
        if wrong:
            raise ValueError(
                f"FITS cannot store {wrong}; write .ecsv or .vot, or use ASCII characters"
            )


def add_null_logicals(hdu, table):
    """Write masked values of boolean columns as FITS null values, which astropy does not.

    The null value of a logical is a zero byte, instead of ``T`` or ``F`` (FITS standard 4.0, sec.
    7.3.3.1).

    Parameters
    ----------
    hdu : `~astropy.io.fits.BinTableHDU`
        HDU written by astropy; changed in place.
    table : `~astropy.table.Table`
        The masked table.

    Examples
    --------
    >>> from astropy.io import fits
    >>> from astropy.table import MaskedColumn, Table
    >>> from astroclust.catalogs.fits_tables import add_null_logicals, mask_null_logicals
    >>> table = Table({"good": MaskedColumn([True, True], mask=[False, True])})
    >>> hdu = fits.table_to_hdu(table)
    >>> add_null_logicals(hdu, table)
    >>> again = Table({"good": [True, True]})
    >>> mask_null_logicals(again, hdu)
    >>> again["good"].tolist()
    [True, None]
    """
    for name, values in _logicals(table, hdu):
        mask = np.ma.getmaskarray(np.ma.asarray(table[name]))
        values[mask.reshape(values.shape)] = 0


def mask_null_logicals(table, hdu):
    """Mask the null values of boolean columns, which astropy reads as False.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Table that astropy read from ``hdu``; changed in place.
    hdu : `~astropy.io.fits.BinTableHDU`
        HDU in the file.

    Examples
    --------
    See `add_null_logicals`.
    """
    for name, values in _logicals(table, hdu):
        if (values == 0).any():
            table[name] = MaskedColumn(table[name], mask=(values == 0).reshape(table[name].shape))


@contextmanager
def without_null_warnings():
    """Silence astropy's warning that null values are read as False: they are masked instead.

    Examples
    --------
    >>> import warnings
    >>> from astropy.utils.exceptions import AstropyUserWarning
    >>> from astroclust.catalogs.fits_tables import without_null_warnings
    >>> with without_null_warnings():
    ...     warnings.warn("Column 'good' contains NULL values", AstropyUserWarning)
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Column '.*' contains NULL", AstropyUserWarning)
        yield


def _logicals(table, hdu):
    """Names and bytes of the boolean columns of a table in a FITS file."""
    names = [column.name for column in hdu.columns if re.fullmatch(r"\d*L", column.format)]
    for name in names:
        if name in table.colnames:
            # Raw bytes, which astropy's columns convert to True and False.
            yield name, hdu.data.view(np.ndarray)[name]


def _set_aside(info):
    """Move a unit or format that FITS does not support to ``info.meta``, which is kept."""
    kept = {}
    if info.unit is not None and not _is_known(info.unit):
        kept["unit"], info.unit = u.Unit(info.unit).to_string(), None
    if info.format is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)
            known = python_to_tdisp(info.format, logical_dtype=info.dtype == bool)
        if known is None:
            kept["format"], info.format = str(info.format), None
    if kept:
        info.meta = {**(info.meta or {}), _KEPT: kept}


def _is_known(unit):
    unit = u.Unit(unit)
    try:
        unit.to_string(format="fits")
    except ValueError:
        return False
    return not isinstance(unit, u.UnrecognizedUnit)


def _add_descriptions(header, table):
    """Add TCOMMn, from which TOPCAT and fv read the description of a column."""
    numbers = {header[f"TTYPE{n}"]: n for n in range(1, header["TFIELDS"] + 1)}
    for name in table.colnames:
        text = table[name].info.description
        if text and name in numbers:
            n = numbers[name]
            last = [f"{key}{n}" for key in KEYWORD_NAMES if f"{key}{n}" in header][-1]
            header.set(f"TCOMM{n}", _ascii(str(text)), after=last)


def _add_meta(header, meta):
    """Add cards for all entries; entries that do not fit into a keyword become comments."""
    rest = []
    for key, value in meta.items():
        name = str(key)
        if name == "__attributes__":  # how astropy prints the table
            continue
        if name.upper() in ("COMMENT", "COMMENTS", "HISTORY"):
            kind = name.upper().removesuffix("S")
            rest += [(kind, line) for line in _lines(value)]
        elif not _fits_into(header, name):
            rest.append(("COMMENT", f"{name} = {_text(value)}"))
        else:
            values = value if _is_repeated(value) else [value]
            try:
                cards = [_card(name, plain_value(entry)) for entry in values]
            except ValueError:
                rest.append(("COMMENT", f"{name} = {_text(value)}"))
            else:
                header.extend(cards, end=True)
    # Move the comments in which astropy serializes columns below the human-readable cards.
    comments = [card for card in header.cards if card.keyword == "COMMENT"]
    header.remove("COMMENT", ignore_missing=True, remove_all=True)
    header.extend(comments, end=True)
    for kind, text in rest:
        header.add_comment(_ascii(text)) if kind == "COMMENT" else header.add_history(_ascii(text))


def _fits_into(header, name):
    """Whether a name can be used as a keyword."""
    if _RESERVED.fullmatch(name.upper()) or name.upper() in header or name in header:
        return False
    return bool(_KEYWORD.fullmatch(name) or _LONG_KEYWORD.fullmatch(name))


def _is_repeated(value):
    """Whether astropy restores a list from repeated cards of one keyword."""
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(entry, str | int | float) for entry in value)
    )


def _card(name, value):
    if isinstance(value, float) and not np.isfinite(value):
        value = str(value)
    if isinstance(value, str):
        value = _ascii(value)
    keyword = find_keyword(name)
    comment = None if keyword is None else keyword.comment
    width = max(20, len(value.replace("'", "''")) + 2) if isinstance(value, str) else 20
    if comment and 10 + width + 3 + len(comment) > _CARD:
        comment = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fits.verify.VerifyWarning)  # long keywords
        card = fits.Card(name, value, comment)
        len(str(card))  # raises an error if it is too long
    return card


def plain_value(value):
    """Convert a metadata value to a type that FITS and VOTable support.

    Parameters
    ----------
    value : object
        Any value.

    Returns
    -------
    value : bool, int, float, str or None
        The value itself; JSON for lists, tuples, arrays and mappings; ``str`` of anything else.

    Examples
    --------
    >>> from astroclust.catalogs.fits_tables import plain_value
    >>> plain_value(3), plain_value({"a": [1, None]})
    (3, '{"a": [1, null]}')
    """
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and not value.ndim):
        value = value.item() if not isinstance(value, u.Quantity) else str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray) and not isinstance(value, u.Quantity):
        value = value.tolist()
    if isinstance(value, dict | list | tuple | set):
        return json.dumps(list(value) if isinstance(value, set) else value, default=str)
    return str(value)


def _text(value):
    value = plain_value(value)
    return value if isinstance(value, str) else json.dumps(value)


def _lines(value):
    entries = value if isinstance(value, list | tuple) else [value]
    return [line for entry in entries for line in str(entry).splitlines() or [""]]


def _ascii(text):
    """Text in ASCII, as FITS requires; other characters become Python escapes."""
    if text.isascii() and text.isprintable():
        return text
    return text.encode("unicode_escape").decode("ascii")


def read_fits_table(content, number):
    """Read a table from a FITS file; see `~astroclust.catalogs.read_table`.

    Parameters
    ----------
    content : bytes
        Content of the file.
    number : int
        Number of the extension.

    Returns
    -------
    table : `~astropy.table.Table`
        Table with the units, descriptions and formats of columns written by `write_fits_table` or
        TOPCAT (``TCOMMn``); null values of boolean columns are masked.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)  # units are checked with the positions
        with without_null_warnings():
            table = Table.read(io.BytesIO(content), format="fits", hdu=number)
    with fits.open(io.BytesIO(content), memmap=False) as hdus:
        mask_null_logicals(table, hdus[number])
    described = any(column.info.description for column in table.itercols())
    for n, column in enumerate(table.itercols(), 1):
        text = table.meta.pop(f"TCOMM{n}", None)
        # Descriptions serialized by astropy are matched by name, not by column number.
        if isinstance(text, str) and not described:
            column.info.description = text
    for column in table.columns.isinstance(Column):
        _restore(column.info)
    for key, value in table.meta.items():
        if isinstance(value, fits.card.Undefined):
            table.meta[key] = None
    return table


def _restore(info):
    if info.format is not None and (match := _PADDED.fullmatch(info.format)):
        info.format = match[1]
    info.unit = plain_unit(info.unit)
    kept = (info.meta or {}).get(_KEPT)
    if isinstance(kept, dict):
        info.meta = {key: value for key, value in info.meta.items() if key != _KEPT}
        info.format = kept.get("format", info.format)
        if "unit" in kept:
            info.unit = plain_unit(kept["unit"])


def plain_unit(unit):
    """Parse a unit again in astropy's default format, which supports more than file formats.

    Parameters
    ----------
    unit : `~astropy.units.Unit`, str or None
        The unit.

    Returns
    -------
    unit : `~astropy.units.Unit` or None
        The unit; unrecognized if astropy does not support it either.

    Examples
    --------
    >>> from astropy import units as u
    >>> from astroclust.catalogs.fits_tables import plain_unit
    >>> plain_unit(u.Unit("electron / s", format="fits", parse_strict="silent"))
    Unit("electron / s")
    """
    # Always parse: for VOTables, astropy defines new units for names that are not in the standard.
    return None if unit is None else u.Unit(str(unit), parse_strict="silent")
