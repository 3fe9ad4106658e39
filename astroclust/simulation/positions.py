# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Positions in a field: candidates in groups on the arms, and stars that follow their density."""

import numpy as np
from scipy.spatial import KDTree

__all__ = ["crowding_of", "draw_positions", "scatter"]

# Sources closer together than this are one source.
_CLOSEST = 3.0
# Oversampling factor of positions.
_SPARE = 1.15
# Extent of groups beyond the edges, in units of their scale.
_GROUP_MARGIN = 2.0


def scatter(rng, shape, n, weight=None, margin=0):
    """Draw n positions with uniform density or with the density of a map.

    Parameters
    ----------
    rng : `~numpy.random.Generator`
        Random number generator.
    shape : tuple of int
        (ny, nx).
    n : int
        Number of positions.
    weight : `~numpy.ndarray`, shape (ny, nx), optional
        Relative density, not negative.
    margin : float, optional
        Margin beyond the edges, in pixels; the density in it is that of the edge.

    Returns
    -------
    x, y : `~numpy.ndarray` of float64, shape (n,)
        0-based pixels.
    """
    low = -0.5 - margin
    size = np.array(shape[::-1]) + 2 * margin
    if weight is None:
        return low + size[:, None] * rng.random((2, n))
    weight = np.pad(weight, int(np.ceil(margin)), mode="edge") if margin else weight
    total = np.cumsum(weight, dtype=float)
    pixel = np.searchsorted(total, rng.random(n) * total[-1], side="right")
    y, x = np.divmod(np.minimum(pixel, weight.size - 1), weight.shape[1])
    return np.array([x, y]) - int(np.ceil(margin)) + rng.uniform(-0.5, 0.5, (2, n))


def draw_positions(rng, shape, density, group_fraction, group_size, group_radius, weight=None):
    """Draw positions of candidates, both isolated and in groups.

    Parameters
    ----------
    rng : `~numpy.random.Generator`
        Random number generator.
    shape : tuple of int
        (ny, nx).
    density : float
        Candidates per square pixel.
    group_fraction, group_size, group_radius : float
        Fraction of candidates in groups, mean number per group, and scale of a group in pixels.
    weight : `~numpy.ndarray`, shape (ny, nx), optional
        Relative density of groups and isolated candidates.

    Returns
    -------
    x, y : `~numpy.ndarray` of float64, shape (n,)
        0-based pixels inside the image, at least 3 pixels apart.
    """
    margin = _GROUP_MARGIN * group_radius
    area, padded = (np.prod(np.array(shape) + 2 * m) for m in (0, margin))
    alone = scatter(rng, shape, rng.poisson(_SPARE * density * (1 - group_fraction) * area), weight)
    # Losses of members over the edges are balanced by groups beyond them.
    grouped = rng.poisson(_SPARE * density * group_fraction * padded)
    parents = scatter(rng, shape, max(int(grouped / group_size), 1), weight, margin=margin)
    # Groups are hierarchical: some compact, some loose.
    radius = group_radius * np.exp(rng.normal(0, 0.7, parents.shape[1]))
    member = rng.integers(0, parents.shape[1], grouped)
    positions = np.hstack(
        [alone, parents[:, member] + radius[member] * rng.normal(0, 1, (2, grouped))]
    )
    positions = positions[:, rng.permutation(positions.shape[1])]
    edge = np.array(shape[::-1])[:, None] - 1
    positions = positions[:, ((positions > 0) & (positions < edge)).all(axis=0)]
    positions = _apart(positions)
    return positions[:, : rng.poisson(density * area)]


def _apart(positions):
    """Exclude positions that are too close to an earlier one."""
    if not positions.size:
        return positions
    near = KDTree(positions.T).query_pairs(_CLOSEST, output_type="ndarray")
    keep = np.ones(positions.shape[1], bool)
    keep[near.max(axis=1)] = False
    return positions[:, keep]


def crowding_of(positions):
    """Crowding of each position: the sum of inverse squared distances to the others.

    Parameters
    ----------
    positions : `~numpy.ndarray`, shape (2, n)
        0-based pixels.

    Returns
    -------
    crowding : `~numpy.ndarray` of float64, shape (n,)
        For the nearest eight, per square pixel.
    """
    if positions.shape[1] < 2:
        return np.zeros(positions.shape[1])
    nearest = min(9, positions.shape[1])
    distances = KDTree(positions.T).query(positions.T, nearest)[0][:, 1:]
    return np.sum(distances**-2.0, axis=1)
