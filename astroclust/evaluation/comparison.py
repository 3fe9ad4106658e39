# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Classes of two catalogs against each other, and accuracy against what may cost it."""

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
    """Objects that two catalogs have in common, and whether they agree on their class.

    What it returns goes on to `confusion_matrix` (Wei et al. 2020, Fig. 2), `class_scores` and
    `accuracy_against`; those to look at are ``pairs[~pairs["agree"]]``.

    Parameters
    ----------
    a, b : `~astropy.table.Table`
        With ``class`` or else ``class_human``, and positions as
        `~astroclust.classification.classify_table` takes them, or the column to match by.
    match : `~astropy.units.Quantity` or str, optional
        Largest separation, on the sky as an angle or in pixels; or the column, such as ``"id"``,
        whose values are those of one object in both.

    Returns
    -------
    pairs : `~astropy.table.Table`
        A row an object that both have and give a class, each nearest to the other: the columns of
        ``a``, then ``row_a`` and ``row_b`` (from 0), ``class_a``, ``class_b``, ``agree`` and, by
        position, ``separation``. Its ``meta``: ``AGREEMENT``, the share that agrees; ``ONLY_A``
        and ``ONLY_B``, rows without a partner; ``NO_CLASS``, pairs left out as one has no class;
        and the class scheme, for `~astroclust.instruments.classes_of`: that of ``a``, or of ``b``
        if only that has a place for the classes of both.

    Raises
    ------
    KeyError
        Where a table has no class, no positions or not the column to match by.
    ValueError
        If values of that column are not unique, ``match`` is neither an angle nor pixels, or
        neither of the class schemes of the tables knows the classes of the other.

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
        rows_a, rows_b, separation = *_same_values(a, b, match), None
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
    """Rows of both tables that have the same value of a column."""
    keys = []
    for table, which in ((a, "first"), (b, "second")):
        if name not in table.colnames:
            raise KeyError(f"the {which} catalog has no column {name!r} to match by")
        if len(set(np.asarray(table[name]).tolist())) < len(table):
            raise ValueError(
                f"column {name!r} of the {which} catalog has values more than once: match by "
                "position, or one field at a time"
            )
        keys.append(Table({"key": np.asarray(table[name]), "row": np.arange(len(table))}))
    pairs = join(*keys, keys="key", table_names=["a", "b"])
    pairs.sort("row_a")
    return np.asarray(pairs["row_a"]), np.asarray(pairs["row_b"])


def accuracy_against(values, labels, classes, *, bins=8):
    """How often classes are right, as a function of something: magnitude, CI, crowding, entropy.

    Parameters
    ----------
    values : array_like of float, shape (n,)
        What may matter; objects where it is NaN or masked are left out.
    labels, classes : array_like of int, shape (n,)
        As `confusion_matrix` takes them.
    bins : int or array_like of float, optional
        How many bins of about equally many objects, or their edges.

    Returns
    -------
    trend : `~astropy.table.Table`
        A row a bin: ``low``, ``high``, ``total``, ``accuracy`` (NaN of none), and ``accuracy_low``
        and ``accuracy_high``, its interval of 68 % (Wilson 1927, JASA 22, 209).

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
        raise ValueError(f"{np.shape(labels)} labels need as many values, not {values.shape}")
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
    """How many other rows of a table are near each.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        With positions in pixels.
    radius : float, optional
        In pixels; by default half a stamp.

    Returns
    -------
    neighbors : `~numpy.ndarray` of int, shape (n,)
        Within the radius, without the row itself; 0 where there is no position.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.evaluation import crowding
    >>> print(crowding(Table({"x": [0.0, 10.0, 90.0], "y": [0.0, 0.0, 0.0]})))
    [1 1 0]
    """
    places = np.column_stack(pixel_positions(table))
    found = np.flatnonzero(np.isfinite(places).all(axis=1))
    neighbors = np.zeros(len(table), int)
    if len(found):
        near = KDTree(places[found]).query_ball_point(places[found], radius, return_length=True)
        neighbors[found] = near - 1
    return neighbors
