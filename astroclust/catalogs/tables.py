# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Tables from files and to files."""

import re
import tempfile
from pathlib import Path

from astropy.table import Table

from astroclust.catalogs.legus import read_legus
from astroclust.files import check_output, replace_when_done

__all__ = ["check_table_output", "read_table", "write_table"]

# Endings that say no more than text.
_PLAIN_TEXT = ("", ".cat", ".coo", ".dat", ".tab", ".txt")


def read_table(path):
    """Read a table from a file, in the format of its name.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        A FITS, ECSV, CSV, VOTable or other file that `astropy.table.Table` recognises, or a
        catalogue of LEGUS (``hlsp_legus_..._multiband_....tab``).

    Returns
    -------
    table : `~astropy.table.Table`
        The table.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    OSError
        Where the file cannot be read as a table.

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
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise OSError(f"{path} is empty; fetch or write it again")
    if re.match(r"hlsp_legus_hst_.+_multiband_.+\.tab", path.name):
        return read_legus(path)
    try:
        return Table.read(path, format="ascii" if path.suffix.lower() in _PLAIN_TEXT else None)
    except Exception as error:  # each of the many formats fails in its own way
        reason = str(error).strip().partition("\n")[0]
        raise OSError(
            f"cannot read a table from {path} ({reason}); fetch it again, or convert it to .ecsv"
        ) from error


def check_table_output(path, *, overwrite=False):
    """Check, before long work starts, that a table can be written to a file.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The file.
    overwrite : bool, optional
        Whether it may exist.

    Raises
    ------
    OSError
        As ``astroclust.files.check_output``.
    ValueError
        Where the ending of the name is that of no table format.
    """
    path = check_output(path, overwrite=overwrite)
    with tempfile.TemporaryDirectory() as folder:
        try:
            Table({"x": [1.0]}).write(Path(folder) / path.name)
        except Exception as error:  # each of the many formats fails in its own way
            raise ValueError(
                f"cannot write a table to {path}: end its name in .fits or, without any loss, .ecsv"
            ) from error


def write_table(table, path, *, overwrite=False):
    """Write a table to a file that is whole or absent, in the format of its ending.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    path : str or `~pathlib.Path`
        The file, ending in ``.fits`` or ``.ecsv`` (the lossless format), or another ending that
        `astropy.table.Table` knows.
    overwrite : bool, optional
        Whether the file may exist.

    Raises
    ------
    OSError
        Where the file exists and ``overwrite`` is false, or cannot be written.

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
    FileExistsError: candidates.ecsv exists already: choose another name, or allow it ...
    """
    with replace_when_done(path, overwrite=overwrite) as partial:
        table.write(partial)
