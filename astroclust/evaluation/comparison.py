# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Comparison of the classes of two catalogs, and accuracy as a function of other quantities."""

import numpy as np
from astropy import units as u
from astropy.table import Table, join
from scipy.spatial import KDTree

from astroclust.catalogs import float_values, pixel_positions
from astroclust.evaluation.confusion import check_inspected, known_classes
from astroclust.evaluation.fractions import add_fraction
from astroclust.evaluation.matching import (
    common_classes,
    coordinates,
    match_nearest,
    number_and_unit,
)
from astroclust.instruments import meta_of

__all__ = ["accuracy_against", "agreement", "crowding"]


def agreement(a, b, *, match=0.1 * u.arcsec):
    """Match two catalogs and compare their classes.

    The result can be passed to `confusion_matrix` (Wei et al. 2020, Fig. 2), `class_scores` and
    `accuracy_against`; ``pairs[~pairs["agree"]]`` are the objects to inspect.

    Parameters
    ----------
    a, b : `~astropy.table.Table`
        Catalogs with ``class`` or, if missing, ``class_human``, and positions (see
        `~astroclust.classification.classify_table`) or the column to match.
    match : `~astropy.units.Quantity` or str, optional
        Maximum separation, as an angle on the sky or in pixels; or the name of a column, such as
        ``"id"``, with the same value for an object in both catalogs.

    Returns
    -------
    pairs : `~astropy.table.Table`
        One row per object with a class in both catalogs, which are mutual nearest neighbors: the
        columns of ``a``, then ``row_a`` and ``row_b`` (from 0), ``class_a``, ``class_b``, ``agree``
        and, if matched by position, ``separation``. Its ``meta``: ``AGREEMENT``, the fraction that
        agrees; ``ONLY_A`` and ``ONLY_B``, the numbers of unmatched rows; ``NO_CLASS``, the number
        of excluded pairs without a class in one catalog; and, for
        `~astroclust.instruments.classes_of`, the class scheme that includes the classes of both
        catalogs (the one with fewer classes, if both do).

    Raises
    ------
    KeyError
        If a table lacks classes, positions or the column to match.
    ValueError
        If values of that column are not unique, ``match`` is neither an angle nor pixels, or
        neither class scheme includes the classes of the other.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.evaluation import agreement
    >>> ours = Table({"id": [1, 2, 3], "class": [1, 2, 4]})
    >>> theirs = Table({"id": [3, 2, 7], "class_human": [4, 1, 1]})
    >>> pairs = agreement(ours, theirs, match="id")
    >>> print(pairs["id", "class_a", "class_b", "agree"])
     id class_a class_b agree
    --- ------- ------- -----
      2       2       1 False
      3       4       4  True
    >>> pairs.meta["AGREEMENT"]
    0.5
    """
    class_a, class_b, scheme = common_classes(a, b)
    if isinstance(match, str):
        rows_a, rows_b = _same_values(a, b, match)
        separation = None
    else:
        match, unit = number_and_unit(match, "match", "an angle, pixels or a column")
        rows_a, rows_b, separation = match_nearest(*(coordinates(t, unit) for t in (a, b)), match)
        separation = separation * unit
    known = (class_a[rows_a] > 0) & (class_b[rows_b] > 0)
    pairs = a[rows_a[known]]
    pairs.meta = {
        "ONLY_A": len(a) - len(rows_a),
        "ONLY_B": len(b) - len(rows_b),
        "NO_CLASS": int(np.count_nonzero(~known)),
        **meta_of(scheme),
    }
    pairs["row_a"], pairs["row_b"] = rows_a[known], rows_b[known]
    pairs["class_a"], pairs["class_b"] = class_a[pairs["row_a"]], class_b[pairs["row_b"]]
    pairs["agree"] = pairs["class_a"] == pairs["class_b"]
    if separation is not None:
        pairs["separation"] = separation[known]
        pairs["separation"].info.format = ".3f"
    pairs.meta["AGREEMENT"] = float(pairs["agree"].mean()) if len(pairs) else np.nan
    return pairs


def _same_values(a, b, name):
    """Rows of both tables with the same value in a column."""
    keys = []
    for table, which in ((a, "first"), (b, "second")):
        if name not in table.colnames:
            raise KeyError(f"the {which} catalog has no column {name!r} to match by")
        if len(set(np.asarray(table[name]).tolist())) < len(table):
            raise ValueError(
                f"column {name!r} of the {which} catalog has repeated values; match by position, "
                "or one field at a time"
            )
        keys.append(Table({"key": np.asarray(table[name]), "row": np.arange(len(table))}))
    pairs = join(*keys, keys="key", table_names=["a", "b"])
    pairs.sort("row_a")
    return np.asarray(pairs["row_a"]), np.asarray(pairs["row_b"])


def accuracy_against(values, labels, classes, *, bins=8):
    """Accuracy as a function of a quantity such as magnitude, CI, crowding or entropy.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        Values of the quantity; objects with NaN or masked values are excluded.
    labels, classes : array_like of int, shape (n,)
        See `confusion_matrix`.
    bins : int or array_like of float, optional
        Number of bins, with approximately equal numbers of objects, or their edges.

    Returns
    -------
    trend : `~astropy.table.Table`
        One row per bin: ``low``, ``high``, ``total``, ``accuracy`` (NaN if empty), and
        ``accuracy_low`` and ``accuracy_high``, its 68 % interval (Wilson 1927, JASA 22, 209).

    Raises
    ------
    ValueError
        If the lengths differ, there are no bins, or a value is 0, which means not inspected.

    Examples
    --------
    >>> from astroclust.evaluation import accuracy_against
    >>> trend = accuracy_against([20, 21, 24, 25], [1, 2, 3, 4], [1, 2, 4, 4], bins=2)
    >>> print(trend["total"].tolist(), trend["accuracy"].tolist())
    [2, 2] [1.0, 0.5]
    """
    values = float_values(values)
    if values.shape != np.shape(labels):
        raise ValueError(
            f"labels of shape {np.shape(labels)} require values of the same shape, not "
            f"{values.shape}"
        )
    hidden = ~np.isfinite(values)
    known = ~(hidden | np.ma.getmaskarray(np.ma.asarray(labels)))
    known &= ~np.ma.getmaskarray(np.ma.asarray(classes))
    labels, classes = known_classes(
        np.ma.array(labels, mask=~known), np.ma.array(classes, mask=~known)
    )
    for name, given in (("labels", labels), ("classes", classes)):
        check_inspected(given, name)
    values = values[known]
    if np.ndim(bins) == 0:
        if bins < 1:
            raise ValueError(f"bins must be at least 1, not {bins}")
        bins = (
            np.unique(np.quantile(values, np.linspace(0, 1, bins + 1))) if len(values) else [0, 1]
        )
    edges = np.asarray(bins, float)
    total = np.histogram(values, edges)[0]
    right = np.histogram(values[labels == classes], edges)[0]
    trend = Table({"low": edges[:-1], "high": edges[1:], "total": total})
    add_fraction(trend, "accuracy", right, total)
    return trend


def crowding(table, *, radius=25.0):
    """Number of neighbors of each row of a table.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Table with positions in pixels.
    radius : float, optional
        Search radius, in pixels; by default half a stamp.

    Returns
    -------
    neighbors : `~numpy.ndarray` of int, shape (n,)
        Number of other rows within the radius; 0 if a row has no position.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.evaluation import crowding
    >>> print(crowding(Table({"x": [0.0, 10.0, 90.0], "y": [0.0, 0.0, 0.0]})))
    [1 1 0]
    """
    positions = np.column_stack(pixel_positions(table))
    found = np.flatnonzero(np.isfinite(positions).all(axis=1))
    neighbors = np.zeros(len(table), int)
    if len(found):
        near = KDTree(positions[found]).query_ball_point(
            positions[found], radius, return_length=True
        )
        neighbors[found] = near - 1
    return neighbors
