# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Division of samples into training and test sets, and into folds."""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

__all__ = ["fold_rows", "overlapping_groups", "split_rows"]


def split_rows(n, *, fraction, seed, groups=None, strata=None):
    """Divide rows at random into two sets, keeping groups together.

    Parameters
    ----------
    n : int
        Number of rows.
    fraction : float
        Fraction of the rows to hold out, from 0 to 1; less if groups would have to be divided.
    seed : int or sequence of int
        Random seed; equal seeds give equal divisions.
    groups : array_like, shape (n,), optional
        Group of each row, such as its field or the result of `overlapping_groups`; by default,
        each row is its own group, as in Wei et al. (2020, sec. 3.4).
    strata : array_like, shape (n,), optional
        Values that are divided in the same proportion, such as classes: of each, at most
        ``fraction``, rounded down, is held out. Tables 4 and 5 of Wei et al. (2020) contain exactly
        that fraction of each class of their Table 1.

    Returns
    -------
    training, held_out : `~numpy.ndarray` of int
        Row indices, in order.

    Raises
    ------
    ValueError
        If ``fraction`` is not from 0 to 1, or ``groups`` or ``strata`` does not have one value per
        row.

    Examples
    --------
    >>> from astroclust.training import split_rows
    >>> split_rows(4, fraction=0.5, seed=1, groups=["a", "a", "b", "b"])
    (array([2, 3]), array([0, 1]))

    Half of each class, however rare:

    >>> training, held_out = split_rows(6, fraction=0.5, seed=1, strata=[1, 1, 4, 4, 4, 4])
    >>> [1, 1, 4, 4, 4, 4][held_out[0]], len(held_out)
    (1, 3)
    """
    if not 0 <= fraction <= 1:
        raise ValueError(f"fraction must be from 0 to 1, not {fraction}")
    groups = _value_of_rows(n, groups, "groups")
    names, group = np.unique(groups, return_inverse=True)
    if strata is None:
        stratum, wanted = np.zeros(n, int), np.array([round(fraction * n)])
    else:
        stratum = np.unique(_value_of_rows(n, strata, "strata"), return_inverse=True)[1]
        # Guard against rounding: 0.29 x 100 is below 29.
        wanted = np.floor(fraction * np.bincount(stratum) + 1e-9).astype(int)
    counts = np.zeros((len(names), len(wanted)), int)
    np.add.at(counts, (group, stratum), 1)
    held_out = np.zeros(len(names), bool)
    taken = np.zeros_like(wanted)
    for number in np.random.default_rng(seed).permutation(len(names)):
        if np.all(taken + counts[number] <= wanted):
            held_out[number] = True
            taken += counts[number]
    return np.flatnonzero(~held_out[group]), np.flatnonzero(held_out[group])


def fold_rows(n, *, folds, seed, groups=None):
    """Divide rows at random into folds of similar size, keeping groups together.

    Parameters
    ----------
    n : int
        Number of rows.
    folds : int
        Number of folds, at least 2.
    seed : int or sequence of int
        Random seed; equal seeds give equal folds.
    groups : array_like, shape (n,), optional
        See `split_rows`.

    Returns
    -------
    fold : `~numpy.ndarray` of int, shape (n,)
        Fold of each row, from 0.

    Raises
    ------
    ValueError
        If there are fewer than 2 folds or fewer groups than folds, if one group has more than half
        of the rows, or if ``groups`` does not have one value per row.

    Examples
    --------
    >>> from astroclust.training import fold_rows
    >>> fold_rows(6, folds=3, seed=1, groups=["a", "a", "b", "b", "c", "c"]).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    if folds < 2:
        raise ValueError(f"folds must be at least 2, not {folds}")
    groups = _value_of_rows(n, groups, "groups")
    names, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if len(names) < folds or sizes.max() > n / 2:
        remedy = "label more objects that are further apart, or hold out a fraction instead"
        if sizes.max() <= n / 2:
            remedy = f"use {len(names)} folds, or {remedy}"
        raise ValueError(
            f"the stamps of {n} labeled rows overlap too much for {folds} folds that share no "
            f"pixels (groups: {len(names)}; rows in the largest: {sizes.max()}); {remedy}"
        )
    home, filled = np.empty(len(names), int), np.zeros(folds, int)
    order = np.random.default_rng(seed).permutation(len(names))
    for number in order[np.argsort(-sizes[order], kind="stable")]:
        home[number] = filled.argmin()
        filled[home[number]] += sizes[number]
    return home[group]


def _value_of_rows(n, values, name):
    """One value per row, by default its index."""
    values = np.arange(n) if values is None else np.asarray(values)
    if values.shape != (n,):
        raise ValueError(
            f"{name} must have one value for each of {n} rows, not shape {values.shape}"
        )
    return values


def overlapping_groups(x, y, *, size=50, field=None):
    """Group stamps that share pixels, directly or through others.

    Parameters
    ----------
    x, y : array_like of float, shape (n,)
        Positions in pixels.
    size : int, optional
        Width of the stamps in pixels.
    field : array_like, shape (n,), optional
        Image of each position; by default, all are on the same image.

    Returns
    -------
    groups : `~numpy.ndarray` of int, shape (n,)
        Group number of each stamp.

    Examples
    --------
    >>> from astroclust.training import overlapping_groups
    >>> overlapping_groups([10, 40, 200], [10, 20, 30], size=50).tolist()
    [0, 0, 1]
    >>> overlapping_groups([10, 40], [10, 20], field=["ngc45", "ngc1566"]).tolist()
    [0, 1]
    """
    positions = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
    if field is not None:
        # Offset the images so that their stamps cannot overlap.
        number = np.unique(np.asarray(field), return_inverse=True)[1]
        width = np.ptp(positions[:, 0]) if len(positions) else 0
        positions[:, 0] += number * 2 * (width + size)
    pairs = KDTree(positions).query_pairs(size, p=np.inf, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(positions), len(positions)))
    return connected_components(links, directed=False)[1]
