# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Conversion and description of table columns."""

import numpy as np
from astropy import units as u

__all__ = ["class_column", "describe_columns", "float_column", "float_values"]


def float_column(table, name):
    """Column of a table as floats.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        The table.
    name : str
        Name of the column.

    Returns
    -------
    values : `~numpy.ndarray` of float64, shape (n,)
        A copy, in the unit of the column; NaN for masked entries.

    Raises
    ------
    KeyError
        If there is no such column.

    Examples
    --------
    >>> from astropy.table import MaskedColumn, Table
    >>> from astroclust.catalogs import float_column
    >>> table = Table({"ci": MaskedColumn([1.5, 1.4], mask=[False, True])})
    >>> float_column(table, "ci")
    array([1.5, nan])
    """
    if name not in table.colnames:
        raise KeyError(f"the table has no column {name}; it has {', '.join(table.colnames)}")
    return float_values(table[name])


def float_values(values):
    """Convert values to floats.

    Parameters
    ----------
    values : array_like or `~astropy.units.Quantity`, shape (n,)
        Numbers, which may be masked.

    Returns
    -------
    values : `~numpy.ndarray` of float64, shape (n,)
        A copy, in the unit of the values; NaN for masked entries.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.catalogs import float_values
    >>> float_values(np.ma.masked_equal([1, -99], -99))
    array([ 1., nan])
    """
    if isinstance(values, u.Quantity):
        plain = np.array(getattr(values, "unmasked", values).value, float)
        plain[getattr(values, "mask", False)] = np.nan
        return plain
    return np.array(np.ma.filled(np.ma.asarray(values, dtype=float), np.nan))


def class_column(table, column_prefix=""):
    """Class numbers of a classified table.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        A classified table.
    column_prefix : str, optional
        Prefix of the class columns.

    Returns
    -------
    classes : `~numpy.ndarray` of int, shape (n,)
        Class numbers; 0 for masked entries.

    Raises
    ------
    KeyError
        If there is no such column.

    Examples
    --------
    >>> from astropy.table import MaskedColumn, Table
    >>> from astroclust.catalogs.columns import class_column
    >>> class_column(Table({"class": MaskedColumn([1, 4], mask=[False, True])})).tolist()
    [1, 0]
    """
    name = f"{column_prefix}class"
    if name not in table.colnames:
        given = [one for one in table.colnames if one.endswith("class")]
        raise KeyError(
            f"the table has no column {name}: classify it with classify_table, or set "
            f"column_prefix to that of its classes (available: {', '.join(given) or 'none'})"
        )
    return np.ma.filled(np.ma.asarray(table[name]), 0).astype(int)


def describe_columns(table, known):
    """Add descriptions, units and formats to the columns of a table.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table; changed in place.
    known : mapping of str to str or tuple
        Column names to a description, or to description, unit and format. Names that are not in
        the table are ignored.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.catalogs.columns import describe_columns
    >>> table = Table({"x": [1.23456]})
    >>> describe_columns(table, {"x": ("position in x", "pix", ".2f")})
    >>> print(table)
     x
    pix
    ----
    1.23
    """
    for name in set(table.colnames) & set(known):
        entry = known[name]
        text, unit, form = (entry, None, None) if isinstance(entry, str) else entry
        table[name].info.description, table[name].info.unit = text, unit
        if form is not None:
            table[name].info.format = form
