# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""LEGUS cluster catalogs: text files without a header, in several layouts."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from astropy import units as u
from astropy.table import MaskedColumn, Table
from astropy.utils.data import get_readable_fileobj
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs.fields import find_field
from astroclust.catalogs.flags import CatalogFlag
from astroclust.catalogs.layouts import (
    FIT_COLUMNS,
    HIGHEST,
    INTEGERS,
    NO_FIT,
    NUMBERS_OF_FILTERS,
    QUALITY_COLUMNS,
    ROLES,
    SENTINELS,
    class_5_is_not_inspected,
    layout,
    readme_columns,
)
from astroclust.catalogs.sexagesimal import MISSING
from astroclust.compression import unpack
from astroclust.instruments import LEGUS_BANDS
from astroclust.text import check_last_line, decode

__all__ = ["field_of_file", "read_legus"]


# Magnitudes, errors and concentration indices of at least this are sentinels, or computed from one.
_LIMIT = 40.0
# StarcNet appends its class and scores, such as [0.00 - 0.00 - 0.02 - 0.98].
_ENTRIES = re.compile(r"\[[^\]]*\]|\"[^\"]*\"|[^\s,]+")
# Maximum number of out-of-range values listed in the warning.
_MOST_NAMED = 3
# Filters of the standard LEGUS visit, for files that do not specify theirs.
_STANDARD_FILTERS = ("F275W", "F336W", "F438W", "F555W", "F814W")

_DESCRIPTIONS = {
    "id": "source number in the field",
    "x": "0-based pixel in the images of the field",
    "y": "0-based pixel in the images of the field",
    "x_mosaic": "0-based pixel in the mosaic of the galaxy",
    "y_mosaic": "0-based pixel in the mosaic of the galaxy",
    "ra": "right ascension",
    "dec": "declination",
    "ci": "concentration index in V, magnitude within 1 pixel - magnitude within 3",
    "age": "best-fit age",
    "mass": "best-fit mass",
    "e_bv": "best-fit color excess",
    "chi2": "reduced chi^2 of the fit",
    "fit_probability": "quality of the fit, Q: near 1 is good, near 0 poor",
    "n_filters": "bands with errors up to 0.3 mag",
    "class_human": "class from visual inspection: 1 to 4, 0 not inspected",
    "class_mean": "mean of the classes from several people",
    "class_ml": "class from a network of the LEGUS team, 0 none",
    "class_hybrid": "class from visual inspection, otherwise from a network; 0 none",
    "class_verified": "class from one person who checked that of the network, 0 none",
    "class_reclassified": "class from one person who checked sources of class 4, 0 none",
    "quality": "confidence of the class: 1 certain, 2 likely, 3 possible, 0 not given",
    "halpha": "H-alpha morphology: 1 on top, 2 ring, 3 possibly, 4 none, 0 not given",
    "selection": "source found by: 0 pipeline, 1 or 2 visual inspection",
    "provenance": (
        "origin of class_hybrid: 0 network, 1 network and a person, 3 three people, 4 three "
        "people and one, 6 reinspection of class 4"
    ),
}
_UNITS = {
    **dict.fromkeys(("x", "y", "x_mosaic", "y_mosaic"), u.pix),
    **dict.fromkeys(("ra", "dec"), u.deg),
    **dict.fromkeys(("age", "age_max", "age_min"), u.yr),
    **dict.fromkeys(("mass", "mass_max", "mass_min"), u.Msun),
    **dict.fromkeys(("ci", "e_bv", "e_bv_max", "e_bv_min"), u.mag),
}


def read_legus(
    path: str | Path | IO[Any], *, field: str | None = None, filters: Sequence[str] | None = None
) -> Table:
    """Read a LEGUS cluster catalog; equivalent to ``Table.read(path, format="ascii.legus")``.

    The files have no header. If the ``.readme`` of the archive is in the same folder, it defines
    the columns. Otherwise the first columns are the same 33 in all files, or 35 if the field has
    positions in a mosaic as well; the others are those of the field in the registry, or are
    identified from their number and content. Columns appended by other programs are named
    ``extra_1``, ``extra_2`` ...

    Parameters
    ----------
    path : str, `~pathlib.Path` or file-like
        A ``.tab`` file of the archive, or its URL, plain or compressed.
    field : str, optional
        Name of the field, see `~astroclust.catalogs.find_field`; by default from the file name.
    filters : sequence of str, length 5, optional
        Filters from NUV to I; by default those in the readme or the registry of fields, else those
        of the standard LEGUS visit.

    Returns
    -------
    table : `~astropy.table.Table`, length n
        ``id``; ``x``, ``y`` (pixels, 0-based: one less than in the file); ``ra``, ``dec`` (deg);
        ``mag_f275w``, ``mag_err_f275w`` ... (Vega mag); ``ci`` (mag); ``age`` (yr), ``mass``
        (solar masses), ``e_bv`` (mag), each with ``_min`` and ``_max``; ``residual_f275w`` ...
        (mag), ``chi2``, ``fit_probability``; ``n_filters``; and, if present in the file,
        ``class_human``, ``class_mean``, ``class_ml``, ``class_hybrid``, ``class_verified``,
        ``class_reclassified``, ``provenance``, ``quality``, ``halpha`` and ``selection``.
        Sentinel values are masked; ``flag_f275w`` ..., ``flag_ci`` and ``flag_fit`` give the
        reason as bits of `CatalogFlag`. Invalid entries of integer columns, such as a class of
        50, are masked and flagged in ``flag_class_human`` ...

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is not a LEGUS catalog, is truncated, or has an unknown layout.
    KeyError
        If ``field`` is not a LEGUS field.

    Warns
    -----
    AstropyUserWarning
        If filters are unknown, or invalid entries of integer columns are masked.

    Notes
    -----
    LEGUS pixel positions are 1-based in the files; they are converted here and nowhere else. The
    catalog of NGC 4449 uses class 5 for sources that were not inspected and 0 or 4 for those that
    are not clusters: these become 0 and 4, as in other fields.

    Examples
    --------
    A catalog with a source that is not detected in one band; its file name contains the field:

    >>> from astropy.table import Table
    >>> from astroclust import decode_flags, find_field, read_legus, write_legus
    >>> from astroclust.catalogs import CatalogFlag
    >>> columns = {"id": [1], "x": [99.25], "y": [49.0], "ra": [24.17], "dec": [15.78]}
    >>> for name in ("f275w", "f336w", "f435w", "f555w", "f814w"):
    ...     magnitude = 99.999 if name == "f275w" else 21.5
    ...     columns |= {f"mag_{name}": [magnitude], f"mag_err_{name}": [0.05]}
    >>> path = find_field("ngc628-c").catalog_file
    >>> write_legus(Table(columns | {"ci": [1.6], "n_filters": [4]}), path)
    >>> table = read_legus(path)
    >>> table.meta["GALAXY"]
    'NGC 628'
    >>> print(table["x", "y", "mag_f275w", "mag_f435w"])
      x    y   mag_f275w mag_f435w
     pix  pix     mag       mag
    ----- ---- --------- ---------
    99.25 49.0        --      21.5
    >>> decode_flags(table["flag_f275w"], kind=CatalogFlag)
    [['NOT_DETECTED']]
    """
    name = Path(str(getattr(path, "name", path))).name
    known = field_of_file(name, field)
    values, texts = _read_columns(path, name)
    names, said = readme_columns(path, name, values.shape[1]) or (
        layout(values, name, known),
        None,
    )
    filters = _filters(name, filters, said, known)
    table = Table(meta=_meta(name, known))
    values = _settle_classes(names, values, known)
    odd: dict[str, Any] = {}
    for column, numbers in zip(names, values.T, strict=False):
        odd |= _add_column(table, column, numbers, filters)
    for role, filter_ in zip(ROLES, filters, strict=True):
        _mask_magnitudes(table, role, filter_.lower())
    _mask_index(table)
    _mask_fit(table)
    _mask_odd(table, odd, name)
    _put_nan_under_masks(table)
    _add_extras(table, [*values.T[len(names) :], *texts], first=len(names) + 1)
    return table


def field_of_file(file, name=None):
    """Field of a file; None if neither ``name`` nor the file name specifies it."""
    if name is not None:
        return find_field(name)
    match = re.match(r"hlsp_legus_hst_[^_]+_(.+)_multiband_", file)
    try:
        return find_field(match[1]) if match else None
    except KeyError:
        return None


def _read_columns(path, name):
    """Numbers, shape (rows, columns), and any text columns that follow them."""
    text = _read_text(path, name)
    try:
        check_last_line(text)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read: {error}") from None
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    if not lines:
        raise ValueError(f"{name} has no rows: fetch it again")
    try:
        return np.loadtxt(lines, ndmin=2), []
    except ValueError as error:
        return _split_columns(lines, name, error)


def _read_text(path, name):
    path = str(path) if isinstance(path, Path) else path
    try:
        with get_readable_fileobj(path, encoding="binary") as file:
            content = file.read()
        return content if isinstance(content, str) else decode(unpack(content))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist") from None
    except Exception as error:  # damaged files raise many types
        raise ValueError(f"{name} cannot be read ({error}): fetch it again") from error


def _split_columns(lines, name, error):
    """Like `_read_columns`, for lines that end in text."""
    rows = [_ENTRIES.findall(line) for line in lines]
    lengths = {len(row) for row in rows}
    columns = list(zip(*rows, strict=True)) if len(lengths) == 1 else []
    numbers = []
    for column in columns:
        try:
            numbers.append([np.nan if entry in MISSING else float(entry) for entry in column])
        except ValueError:
            break
    texts = [np.array(column, str) for column in columns[len(numbers) :]]
    if texts and texts[0][0].startswith("["):  # the scores of a network follow its class
        texts.insert(0, np.array(numbers.pop(), int) if numbers else texts[0])
    if len(numbers) < 34:
        raise ValueError(f"{name} is not a complete LEGUS catalog ({error}): fetch it again")
    return np.array(numbers).T, texts


def _filters(name, given, said, known):
    if given is not None:
        given = () if isinstance(given, str) else tuple(str(filter_).upper() for filter_ in given)
        if len(set(given)) != len(LEGUS_BANDS.roles):
            raise ValueError(
                f"filters must have five names, one for each of {LEGUS_BANDS.roles}, not {given!r}"
            )
        return given
    if said is not None and len(set(said)) == len(LEGUS_BANDS.roles):
        return tuple(filter_.upper() for filter_ in said)
    if known is not None and None not in known.filters:
        return known.filters
    warnings.warn(
        f"the filters of {name} are unknown; {', '.join(_STANDARD_FILTERS)} are assumed. If that "
        "is wrong, set field= or filters=, or restore the archive name of the file "
        "(hlsp_legus_hst_..._multiband_....tab)",
        AstropyUserWarning,
        stacklevel=3,
    )
    return _STANDARD_FILTERS


def _meta(name, known):
    meta = {"CATALOG": name}
    if known is not None:
        meta |= {"FIELD": known.name, "GALAXY": known.galaxy, "DISTANCE": known.distance}
        meta |= {"LABELS": known.labels} if known.labels else {}
    return meta


def _add_column(table, name, values, filters):
    if name in ("x", "y", "x_mosaic", "y_mosaic"):
        values = values - 1
    kind, _, role = name.rpartition("_")
    unit, description = _UNITS.get(name), _DESCRIPTIONS.get(name, "")
    if role in ROLES:
        filter_ = filters[ROLES.index(role)]
        name, unit = f"{kind}_{filter_.lower()}", None if kind == "residual" else u.mag
        description = {
            "mag": f"Vega magnitude in {filter_}, total, without Galactic extinction",
            "mag_err": f"error of the magnitude in {filter_}",
            "residual": f"residual of the fit in {filter_}, positive if the source is brighter",
        }[kind]
    elif role in ("max", "min"):
        description = f"{role}imum of {kind} at 68 percent confidence"
    if name not in INTEGERS:
        table[name] = MaskedColumn(values, unit=unit, description=description)
        return {}
    highest = 4 if name.startswith("class_") else HIGHEST.get(name, np.iinfo(np.int32).max)
    good = (values >= 0) & (values <= highest) & (values == np.round(values))
    if name == "n_filters":
        good &= np.isin(values, NUMBERS_OF_FILTERS)
    whole = np.where(good, values, 0).astype(np.int32)
    table[name] = MaskedColumn(whole, mask=~good, unit=unit, description=description)
    return {} if good.all() else {name: values}


def _mask_odd(table, odd, name):
    """Flag the invalid integers that were masked, and warn about them."""
    if not odd:
        return
    said = []
    for column, values in odd.items():
        rows = np.flatnonzero(table[column].mask)
        flags = table[column].mask * CatalogFlag.OUT_OF_RANGE.value
        _add_flags(table, f"flag_{column}", flags, f"why {column} is masked")
        said += [f"{column} {values[row]:g} in row {row}" for row in rows]
    more = f" and {len(said) - _MOST_NAMED} more" if len(said) > _MOST_NAMED else ""
    warnings.warn(
        f"{name}: masked values that are out of range for their column: "
        f"{', '.join(said[:_MOST_NAMED])}{more}; see the columns flag_...",
        AstropyUserWarning,
        stacklevel=3,
    )


def _add_extras(table, columns, first):
    """Add columns appended by another program."""
    for number, values in enumerate(columns, start=1):
        description = f"column {first + number - 1} of the file, not a LEGUS column"
        if values.dtype.kind == "f" and np.isfinite(values).all() and not (values % 1).any():
            values = values.astype(np.int64)
        table[f"extra_{number}"] = MaskedColumn(values, description=description)


def _mask_magnitudes(table, role, filter_):
    """Mask undefined magnitudes and errors, and flag the reason."""
    magnitude, error = table[f"mag_{filter_}"], table[f"mag_err_{filter_}"]
    flags = np.zeros(len(table), np.int32)
    for sentinel, flag in SENTINELS.items():
        flags[np.abs(magnitude.data - sentinel) < 0.01] |= flag
    lost = ~(magnitude.data < _LIMIT)
    flags[lost & (flags == 0)] |= CatalogFlag.UNDEFINED
    no_error = ~(error.data < _LIMIT)
    flags[no_error & ~lost] |= CatalogFlag.NO_ERROR
    magnitude.mask = lost
    error.mask = lost | no_error
    _add_flags(table, f"flag_{filter_}", flags, f"why mag_{filter_} or its error is masked")


def _mask_index(table):
    lost = ~(table["ci"].data < _LIMIT)
    table["ci"].mask = lost
    _add_flags(table, "flag_ci", lost * CatalogFlag.UNDEFINED.value, "why ci is masked")


def _mask_fit(table):
    """Mask missing fit results: all zero, or the sentinel 200 where it is not a valid value."""
    fitted = (table["e_bv"].data != NO_FIT) & (table["age"].data > 0)
    for name in table.colnames:
        if name in FIT_COLUMNS or name in QUALITY_COLUMNS or name.startswith("residual_"):
            table[name].mask = ~fitted
        if name.startswith("residual_"):
            table[name].mask |= table[name].data == NO_FIT
    # Fits with a best value but without limits have limits of 0.
    unlimited = fitted & (np.ma.getdata(table["age_max"]) == 0)
    for name in FIT_COLUMNS:
        if name.endswith(("_max", "_min")):
            table[name].mask |= unlimited
    table["n_filters"].mask |= table["n_filters"].data == NO_FIT
    if "class_mean" in table.colnames:
        table["class_mean"].mask = table["class_mean"].data == 0
    flags = ~fitted * CatalogFlag.NO_FIT.value + unlimited * CatalogFlag.UNDEFINED.value
    _add_flags(table, "flag_fit", flags, "why the fit or its limits are masked")


def _add_flags(table, name, flags, description):
    table[name] = MaskedColumn(flags.astype(np.int32), description=f"{description}: CatalogFlag")


def _settle_classes(names, values, known):
    """Convert the classes of NGC 4449 (5: not inspected, 0: spurious) to those of other fields."""
    if "class_human" not in names:
        return values
    classes = values[:, names.index("class_human")]
    if known.name == "ngc4449" if known is not None else class_5_is_not_inspected(classes):
        classes[:] = np.select([classes == 0, classes == 5], [4, 0], classes)
    return values


def _put_nan_under_masks(table):
    """Fill masked floats with NaN, so that sentinels do not reappear if a mask is lost."""
    for column in table.itercols():
        if column.dtype.kind == "f":
            column.data.data[column.mask] = np.nan
            column.fill_value = np.nan
