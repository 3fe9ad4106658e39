# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Columns as plain numbers."""

import numpy as np
from astropy import units as u

__all__ = ["float_column", "float_values"]


def float_column(table, name):
    """A column of a table as floats.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        The table.
    name : str
        The column.

    Returns
    -------
    values : `~numpy.ndarray` of float64, shape (n,)
        A copy, in the unit of the column; NaN where it is masked.

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
    """Values as floats.

    Parameters
    ----------
    values : array_like or `~astropy.units.Quantity`, shape (n,)
        Numbers, which may be masked.

    Returns
    -------
    values : `~numpy.ndarray` of float64, shape (n,)
        A copy, in the unit of the values; NaN where they are masked.

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
