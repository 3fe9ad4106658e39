# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Fractions with their intervals."""

import numpy as np

__all__ = ["draw_fraction"]


def draw_fraction(ax, x, table, name, **style):
    """Plot a fraction with its interval; the line is interrupted at rows without one.

    Parameters
    ----------
    ax : `~matplotlib.axes.Axes`
        Axes to plot on.
    x : array_like of float, length n
        Positions of the points.
    table : `~astropy.table.Table`, length n
        With the columns ``name``, ``name_low`` and ``name_high``.
    name : str
        Column of the fraction.
    **style
        Style of the points, as for `~matplotlib.axes.Axes.errorbar`.
    """
    value, low, high = (np.asarray(table[name + end]) for end in ("", "_low", "_high"))
    # Rounding may put the limit of an interval on the wrong side of 0 or 1.
    error = np.clip([value - low, high - value], 0, None)
    ax.errorbar(np.asarray(x), value, error, capsize=2, ms=5, **style)
