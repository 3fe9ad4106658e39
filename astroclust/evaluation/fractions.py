# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Fractions of small numbers, with their intervals, as columns of a table."""

import numpy as np
from astropy.stats import binom_conf_interval

__all__ = ["FRACTION", "add_fraction"]

#: Format of columns of fractions, as no sample tells them more exactly.
FRACTION = ".3f"


def add_fraction(table, name, k, n, description=None):
    """Add a fraction to a table, and its interval of 68 % (Wilson 1927, JASA 22, 209).

    Parameters
    ----------
    table : `~astropy.table.Table`, length m
        Changed in place: gets ``name``, ``name_low`` and ``name_high``, NaN for none of none.
    name : str
        Name of the fraction.
    k, n : `~numpy.ndarray` of int, shape (m,)
        How many have the property, and of how many.
    description : str, optional
        Description of the column; by default none.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from astroclust.evaluation.fractions import add_fraction
    >>> table = Table({"n": [4, 0]})
    >>> add_fraction(table, "right", np.array([3, 0]), table["n"])
    >>> print(table)
     n  right right_low right_high
    --- ----- --------- ----------
      4 0.750     0.500      0.900
      0   nan       nan        nan
    """
    k, n = np.asarray(k), np.asarray(n)
    some = n > 0
    interval = np.full((2, len(n)), np.nan)
    interval[:, some] = binom_conf_interval(k[some], n[some], interval="wilson")
    table[name] = np.divide(k, n, out=np.full(len(n), np.nan), where=some)
    table[f"{name}_low"], table[f"{name}_high"] = interval
    for end, what in (("", ""), ("_low", ": lower limit"), ("_high", ": upper limit")):
        info = table[name + end].info
        info.format, info.description = FRACTION, description and f"{description}{what}"
