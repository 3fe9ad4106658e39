# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Table columns of binomial fractions, with their intervals."""

import numpy as np
from astropy.stats import binom_conf_interval

__all__ = ["FRACTION", "add_fraction"]

#: Format of columns of fractions; no sample determines them more precisely.
FRACTION = ".3f"


def add_fraction(table, name, k, n, description=None):
    """Add a fraction and its 68 % interval (Wilson 1927, JASA 22, 209) to a table.

    Parameters
    ----------
    table : `~astropy.table.Table`, length m
        Table, modified in place. Columns ``name``, ``name_low`` and ``name_high`` are added; they
        are NaN if ``n`` is 0.
    name : str
        Name of the fraction.
    k, n : `~numpy.ndarray` of int, shape (m,)
        Numbers of successes and of trials.
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
