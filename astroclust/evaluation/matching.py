# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Matching of two catalogs, and their classes."""

import numpy as np
from astropy import units as u
from scipy.spatial import KDTree

from astroclust.catalogs import pixel_positions, sky_positions
from astroclust.instruments import classes_of

__all__ = [
    "common_classes",
    "coordinates",
    "has_classes",
    "match_by_score",
    "match_nearest",
    "nearest_other",
    "number_and_unit",
    "table_classes",
]

# Names of class columns, in order of preference.
_CLASS_COLUMNS = ("class", "class_human", "det_class")


def number_and_unit(radius, name, accepted="an angle or pixels"):
    """Convert a separation to a number and its unit, pixels or arcsec.

    Parameters
    ----------
    radius : `~astropy.units.Quantity`
        Separation.
    name, accepted : str
        Name and accepted values of the argument, for error messages.

    Returns
    -------
    radius : float
        Value of the separation.
    unit : `~astropy.units.Unit`
        Its unit.
    """
    quantity = u.Quantity(radius)
    for unit in (u.pix, u.arcsec):
        if quantity.unit.is_equivalent(unit):
            return quantity.to_value(unit), unit
    raise ValueError(f"{name} must be {accepted}, not {radius}")


def coordinates(table, unit):
    """Cartesian coordinates of the rows of a table, whose distances are separations.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Table with positions in pixels or on the sky.
    unit : `~astropy.units.Unit`
        Pixels or arcsec.

    Returns
    -------
    points : `~numpy.ndarray` of float, shape (n, 2) or (n, 3)
        Coordinates; NaN if a row has no position. Sky positions are points on a sphere, where a
        chord is shorter than its arc by 4e-9 of an arcminute.
    """
    if unit == u.pix:
        return np.column_stack(pixel_positions(table))
    if not table.colnames:
        return np.empty((0, 3))
    return sky_positions(table).cartesian.xyz.value.T * u.rad.to(u.arcsec)


def match_nearest(a, b, radius):
    """Match points of two sets that are mutual nearest neighbors.

    Parameters
    ----------
    a, b : `~numpy.ndarray` of float, shape (n, k) and (m, k)
        Coordinates; NaN points are not matched.
    radius : float
        Maximum separation.

    Returns
    -------
    rows_a, rows_b : `~numpy.ndarray` of int, shape (p,)
        Rows of the pairs, in the order of ``a``; each row is in at most one pair.
    separation : `~numpy.ndarray` of float, shape (p,)
        Separations of the pairs.
    """
    known = [np.flatnonzero(np.isfinite(points).all(axis=1)) for points in (a, b)]
    if not all(map(len, known)):
        return np.empty(0, int), np.empty(0, int), np.empty(0)
    trees = [KDTree(points[rows]) for points, rows in zip((a, b), known, strict=True)]
    separation, partner = trees[1].query(trees[0].data)
    mutual = trees[0].query(trees[1].data)[1][partner] == np.arange(len(partner))
    near = mutual & (separation <= radius)
    return known[0][near], known[1][partner[near]], separation[near]


def match_by_score(found, true, scores, radius):
    """Match detections to true sources in order of decreasing score.

    Each is matched to the nearest true source that is not yet matched, so that matches above a
    threshold do not depend on sources below it (Everingham et al. 2010, IJCV 88, 303).

    Parameters
    ----------
    found, true : `~numpy.ndarray` of float, shape (n, k) and (m, k)
        Positions.
    scores : `~numpy.ndarray` of float, shape (n,)
        Scores of the detections.
    radius : float
        Maximum separation.

    Returns
    -------
    partner : `~numpy.ndarray` of int, shape (n,)
        Rows of the true sources; -1 if unmatched.
    """
    partner, free = np.full(len(found), -1), np.ones(len(true), bool)
    if not len(found):
        return partner
    near = KDTree(found).sparse_distance_matrix(KDTree(true), radius, output_type="ndarray")
    for k in np.lexsort([near["j"], near["i"], near["v"], -scores[near["i"]]]):
        i, j = near["i"][k], near["j"][k]
        if partner[i] < 0 and free[j]:
            partner[i], free[j] = j, False
    return partner


def nearest_other(points, true, partner):
    """Nearest true source of each point that is not its partner.

    Parameters
    ----------
    points, true : `~numpy.ndarray` of float, shape (n, k) and (m, k)
        Positions.
    partner : `~numpy.ndarray` of int, shape (n,)
        Row of the true source to exclude; -1 for none.

    Returns
    -------
    separation : `~numpy.ndarray` of float, shape (n,)
        Separation; infinite if there is no neighbor.
    neighbor : `~numpy.ndarray` of int, shape (n,)
        Row of the neighbor; the number of true sources if there is none.
    """
    separation, rows = KDTree(true).query(points, k=2)
    second = (rows[:, 0] == partner).astype(int)
    every = np.arange(len(points))
    return separation[every, second], rows[every, second]


def has_classes(table):
    """Whether a table has a class column."""
    return any(name in table.colnames for name in _CLASS_COLUMNS)


def table_classes(table, which):
    """Classes of a catalog, 0 if missing, and their scheme."""
    name = next((name for name in _CLASS_COLUMNS if name in table.colnames), None)
    if name is None:
        raise KeyError(f"the {which} catalog has no column {' or '.join(_CLASS_COLUMNS)}")
    classes = np.ma.filled(np.ma.asarray(table[name], float), 0)
    scheme = classes_of(table)
    return _in_scheme(np.nan_to_num(classes).astype(np.int16), scheme), scheme


def common_classes(a, b, names=("the first", "the second")):
    """Classes of two catalogs, 0 if missing, in the scheme that includes those of both."""
    given, schemes = zip(*map(table_classes, (a, b), names), strict=True)
    for scheme in sorted(schemes, key=len):  # fewer classes first
        if all(scheme.knows(other.numbers).all() for other in schemes):
            return *(_in_scheme(classes, scheme) for classes in given), scheme
    known = " and ".join(f"{one.name} {list(one.numbers)}" for one in schemes)
    raise ValueError(
        f"the catalogs have different classes, {known}; map those of one to the other first"
    )


def _in_scheme(classes, scheme):
    """Replace labels by the class into which a scheme merges them."""
    known = scheme.knows(classes)
    classes = classes.copy()
    classes[known] = scheme.numbers_of(scheme.positions(classes[known]))
    return classes
