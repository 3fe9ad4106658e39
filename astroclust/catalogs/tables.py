# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Input and output of tables."""

import re
import tempfile
from pathlib import Path

from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs.fits_tables import check_fits_texts, read_fits_table, write_fits_table
from astroclust.catalogs.legus import read_legus
from astroclust.catalogs.positions import find_pixel_columns, find_sky_columns
from astroclust.catalogs.printing import print_most_important
from astroclust.catalogs.text import (
    NoColumnNamesError,
    read_text_table,
)
from astroclust.catalogs.votables import read_votable, write_votable
from astroclust.compression import unpack
from astroclust.files import check_output, open_fits, replace_when_done
from astroclust.text import UnreadableError, decode

__all__ = ["check_table_output", "read_table", "write_table"]

_EXTENSION = re.compile(r"(?P<path>.+)\[(?P<extension>[^\[\]]+)\]")
_FITS_ENDINGS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz")
_VOTABLE_ENDINGS = (".vot", ".votable", ".xml")
_LEGUS_NAME = re.compile(r"hlsp_legus_hst_.+_multiband_.+\.tab")
# First bytes of files of other types, and the remedy.
_NOT_TABLES = (
    (b"PK\x03\x04", "is a spreadsheet or an archive; save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "is a spreadsheet; save the sheet as CSV"),
    (b"\x93NUMPY", "is a numpy array; save it as a table with column names"),
    (b"# Region file format", "is a region file; read it with astroclust.ds9.read_regions"),
    (b"\x89PNG", "is a picture, not a table; choose a table"),
    (b"%PDF", "is a PDF document, not a table; choose a table"),
)
# First bytes of formats that astropy reads from the file itself.
_OF_ASTROPY = (b"\x89HDF", b"PAR1", b"#ASDF", b"OBS1")


def read_table(path):
    """Read a table, detecting the format from the content of the file.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        FITS (also SExtractor's FITS_LDAC), VOTable, ECSV, CSV with any delimiter and with decimal
        points or commas, text of any program (SExtractor, IRAF, photutils, TOPCAT), or a LEGUS
        catalog under any name; plain, or compressed by gzip, bzip2 or xz. If a FITS file or
        VOTable has several tables, append the name or number of one in brackets:
        ``"catalog.fits[LDAC_OBJECTS,2]"``.

    Returns
    -------
    table : `~astropy.table.Table`
        The table.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    OSError
        If the file cannot be read as a table, is truncated, or has no column names.
    ValueError
        If a file is named like a LEGUS catalog, but is not one.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.catalogs import read_table
    >>> Table({"x": [10.5], "y": [20.0]}).write("candidates.csv")
    >>> print(read_table("candidates.csv"))
     x    y
    ---- ----
    10.5 20.0
    """
    path, extension = _split_extension(path)
    if _LEGUS_NAME.match(path.name) and path.is_file() and path.stat().st_size:
        return read_legus(path)
    content = _content(path)
    for start, advice in _NOT_TABLES:
        if content.startswith(start):
            raise OSError(f"{path} {advice}")
    try:
        table = _read(path, content, extension)
    except AstropyUserWarning:  # if warnings are turned into errors
        raise
    except Exception as error:  # readers raise many types
        raise OSError(f"cannot read a table from {path}: {_reason(path, error)}") from error
    if "ACMOD" in table.meta:  # a classified table
        print_most_important(table)
    return table


def _split_extension(path):
    """Split a path from the extension in brackets after it."""
    match = _EXTENSION.fullmatch(str(path))
    if match is None or Path(path).exists():
        return Path(path), None
    name, _, version = (part.strip() for part in match["extension"].partition(","))
    if name.isdigit() and not version:
        return Path(match["path"]), int(name)
    return Path(match["path"]), (name, int(version)) if version.isdigit() else match["extension"]


def _bracketed(extension):
    return f"[{','.join(map(str, extension)) if isinstance(extension, tuple) else extension}]"


def _content(path):
    """Uncompressed content of a file."""
    if path.is_dir():
        raise IsADirectoryError(f"cannot read a table from {path}: it is a folder; choose a file")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist") from None
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror or error}; check the file") from error
    except MemoryError:
        raise OSError(f"cannot read {path}: it does not fit into memory; split it") from None
    try:
        content = unpack(content)
    except Exception as error:  # damaged files raise many types
        raise OSError(
            f"{path} is damaged or truncated ({error}); fetch it again, or expand it first"
        ) from error
    if not content.strip():
        raise OSError(f"{path} is empty; fetch or write it again")
    return content


def _read(path, content, extension):
    start = content[:1000].lstrip(b"\xef\xbb\xbf \t\r\n")
    if content.startswith(b"SIMPLE  ="):
        return _read_fits(path, content, extension)
    if content.startswith(_OF_ASTROPY):
        return Table.read(path)
    if start[:1] == b"<":
        return _read_markup(path, content, extension)
    if extension is not None:
        raise UnreadableError(f"it has a single unnamed table; omit {_bracketed(extension)}")
    if path.suffix.lower() in (".fits", ".fit", ".fits.gz"):
        raise UnreadableError("it is not FITS; fetch it again, or correct its name")
    text = decode(content)
    try:
        return read_text_table(text)
    except NoColumnNamesError as error:
        if not _may_be_legus(text):
            raise
        try:
            return read_legus(path)
        except ValueError as of_legus:
            raise NoColumnNamesError(
                f"{error}; it is not a LEGUS catalog either: {of_legus}"
            ) from None


def _may_be_legus(text):
    """Whether the first row has as many fields as LEGUS catalogs."""
    first = re.search(r"^\s*[^#\s].*", text, re.M)
    return len(re.split(r"[\s,]+", first[0].strip())) >= 34


def _reason(path, error):
    """First line of an error, and the remedy."""
    if isinstance(error, MemoryError):
        return "it does not fit into memory; fetch it again if it should, or split it"
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    reason = reason.replace(f"{path} ", "it ")
    if isinstance(error, UnreadableError | OSError):
        return reason
    return f"{reason}; fetch it again, or convert it to .ecsv"


def _read_fits(path, content, extension):
    with open_fits(path) as hdus:
        number = _choose_table(hdus, extension)
    return read_fits_table(content, number)


def _choose_table(hdus, extension):
    """The given extension; else the only table, LDAC_OBJECTS, or the only one with positions."""
    known = ", ".join(f"{i} {hdu.name}" for i, hdu in enumerate(hdus))
    if extension is not None:
        return _named_table(hdus, extension, known)
    tables = [i for i, hdu in enumerate(hdus) if _is_table(hdu)]
    objects = [i for i in tables if hdus[i].name == "LDAC_OBJECTS"]
    for chosen in (objects, tables, [i for i in tables if _has_positions(hdus[i].columns.names)]):
        if len(chosen) == 1:
            return chosen[0]
    if not tables:
        raise UnreadableError(f"it has no table, only {known}; choose another file")
    raise UnreadableError(
        f"it has several tables ({known}); append one in brackets, such as [{tables[0]}]"
    )


def _named_table(hdus, extension, known):
    """The extension with a number, a name, or a name and version."""
    name, version = extension if isinstance(extension, tuple) else (extension, 1)
    numbers = [i for i, hdu in enumerate(hdus) if str(name).upper() in (str(i), hdu.name)]
    if not 1 <= version <= len(numbers):
        raise UnreadableError(f"it has no extension {_bracketed(extension)}, only {known}")
    if not _is_table(hdus[numbers[version - 1]]):
        raise UnreadableError(
            f"extension {_bracketed(extension)} is not a table; the extensions are {known}"
        )
    return numbers[version - 1]


def _is_table(hdu):
    return isinstance(hdu, fits.BinTableHDU | fits.TableHDU) and not hdu.is_image


def _has_positions(names):
    table = Table(names=names)
    return find_pixel_columns(table)[0] is not None or find_sky_columns(table) is not None


def _read_markup(path, content, extension):
    """Read a VOTable, or an HTML file, which is identified by its name."""
    if b"VOTABLE" not in content[:2000]:
        if path.suffix.lower() in (".html", ".htm"):
            return Table.read(path, format="ascii.html")
        raise UnreadableError("it is a web page or XML file, not a table; fetch it again")
    if not re.search(rb"</(\w+:)?VOTABLE>\s*\Z", content[-1000:]):
        raise UnreadableError("it is truncated; fetch it again")
    return read_votable(content, extension)


def check_table_output(path, *, overwrite=False, table=None):
    """Check that a table can be written to a file, before a long computation starts.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The file.
    overwrite : bool, optional
        Whether the file may exist.
    table : `~astropy.table.Table`, optional
        Table whose columns are among those to write.

    Raises
    ------
    OSError
        See ``astroclust.files.check_output``.
    ValueError
        If the suffix is not that of a table format, or text in the table cannot be written to a
        FITS file.

    Examples
    --------
    >>> from astroclust.catalogs import check_table_output
    >>> check_table_output("classified.fits")
    >>> check_table_output("classified.png")
    Traceback (most recent call last):
        ...
    ValueError: cannot write a table to classified.png; use a name that ends in .fits, .vot ...
    """
    path = check_output(path, overwrite=overwrite)
    with tempfile.TemporaryDirectory() as folder:
        try:
            _write(Table({"x": [1.0]}), Path(folder) / path.name)
        except Exception as error:  # writers raise many types
            raise ValueError(
                f"cannot write a table to {path}; use a name that ends in .fits, .vot (VOTable) "
                "or .ecsv"
            ) from error
    if table is not None and path.name.lower().endswith(_FITS_ENDINGS):
        check_fits_texts(table)


def write_table(table, path, *, overwrite=False):
    """Write a table atomically, in the format given by the file suffix.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    path : str or `~pathlib.Path`
        Output file, ending in ``.fits``, ``.ecsv`` (which preserves the most), ``.vot`` or
        ``.xml`` for a VOTable, or another suffix supported by `astropy.table.Table`.
    overwrite : bool, optional
        Whether the file may exist.

    Raises
    ------
    OSError
        If the file exists and ``overwrite`` is false, or cannot be written.
    ValueError
        If the file format does not support a column.

    Notes
    -----
    `read_table` restores units, descriptions and metadata, and column formats from FITS and ECSV.
    FITS files store descriptions as ``TCOMMn``, which TOPCAT and fv show, and metadata as cards
    with comments: keywords in upper case, nested entries as JSON, and entries that do not fit into
    a keyword as comments. Other programs only see units that are not FITS units, such as
    electrons, in the description. Masked values of boolean columns are FITS null values, which
    TOPCAT shows as blank; `astropy.table.Table.read` reads them as False. VOTables store
    metadata as PARAM and nested entries as INFO.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.catalogs import read_table, write_table
    >>> write_table(Table({"x": [10.5], "y": [20.0]}), "candidates.ecsv")
    >>> read_table("candidates.ecsv").colnames
    ['x', 'y']
    >>> write_table(Table({"x": [11.5]}), "candidates.ecsv")
    Traceback (most recent call last):
        ...
    FileExistsError: candidates.ecsv already exists; choose another name, or allow it ...
    """
    with replace_when_done(path, overwrite=overwrite) as partial:
        _write(table, partial)


def _write(table, path):
    if path.name.lower().endswith(_FITS_ENDINGS):
        write_fits_table(table, path)
    elif path.suffix.lower() in _VOTABLE_ENDINGS:
        write_votable(table, path)
    else:
        table.write(path)
