# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Rows of two catalogs that are the same object, and their classes."""

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

# Columns that may have the class, the likeliest first.
_CLASS_COLUMNS = ("class", "class_human")


def number_and_unit(radius, name, accepted="an angle or pixels"):
    """A separation as a number, and its unit: pixels or arcsec.

    Parameters
    ----------
    radius : `~astropy.units.Quantity`
        The separation.
    name, accepted : str
        Name and accepted values of the argument, for the error.

    Returns
    -------
    radius : float
        The number.
    unit : `~astropy.units.Unit`
        Its unit.
    """
    quantity = u.Quantity(radius)
    for unit in (u.pix, u.arcsec):
        if quantity.unit.is_equivalent(unit):
            return quantity.to_value(unit), unit
    raise ValueError(f"{name} must be {accepted}, not {radius}")


def coordinates(table, unit):
    """Positions of the rows of a table as points whose distances are separations.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        With positions in pixels or on the sky.
    unit : `~astropy.units.Unit`
        Pixels or arcsec.

    Returns
    -------
    points : `~numpy.ndarray` of float, shape (n, 2) or (n, 3)
        On the sky, points of a sphere: a chord is shorter than its arc by 4e-9 of an arcminute.
        NaN if a row has no position.
    """
    if unit == u.pix:
        return np.column_stack(pixel_positions(table))
    if not table.colnames:
        return np.empty((0, 3))
    return sky_positions(table).cartesian.xyz.value.T * u.rad.to(u.arcsec)


def match_nearest(a, b, radius):
    """Points of two sets that are each nearest to the other.

    Parameters
    ----------
    a, b : `~numpy.ndarray` of float, shape (n, k) and (m, k)
        The points; those that are NaN have no partner.
    radius : float
        Largest separation.

    Returns
    -------
    rows_a, rows_b : `~numpy.ndarray` of int, shape (p,)
        Rows of the pairs, in the order of ``a``; each row is in one pair at most.
    separation : `~numpy.ndarray` of float, shape (p,)
        Their separations.
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
    """The true source of each found one, those with the highest score first.

    Each takes the nearest true source that is left, so that the matches above a threshold do not
    depend on what is below it (Everingham et al. 2010, IJCV 88, 303).

    Parameters
    ----------
    found, true : `~numpy.ndarray` of float, shape (n, k) and (m, k)
        Positions.
    scores : `~numpy.ndarray` of float, shape (n,)
        Scores of the found sources.
    radius : float
        Largest separation.

    Returns
    -------
    partner : `~numpy.ndarray` of int, shape (n,)
        Rows of the true sources, -1 if there is none.
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
    """The nearest true source of each point that is not its partner.

    Parameters
    ----------
    points, true : `~numpy.ndarray` of float, shape (n, k) and (m, k)
        Positions.
    partner : `~numpy.ndarray` of int, shape (n,)
        Row of the true source that does not count; -1 if all do.

    Returns
    -------
    separation : `~numpy.ndarray` of float, shape (n,)
        Its separation; infinite if there is none.
    neighbor : `~numpy.ndarray` of int, shape (n,)
        Its row; the number of true sources if there is none.
    """
    separation, rows = KDTree(true).query(points, k=2)
    second = (rows[:, 0] == partner).astype(int)
    every = np.arange(len(points))
    return separation[every, second], rows[every, second]


def has_classes(table):
    """Whether a table has a column of classes."""
    return any(name in table.colnames for name in _CLASS_COLUMNS)


def table_classes(table, which):
    """Classes of a catalog, 0 where there is none, and their scheme."""
    name = next((name for name in _CLASS_COLUMNS if name in table.colnames), None)
    if name is None:
        raise KeyError(f"{which} catalog has no column {' or '.join(_CLASS_COLUMNS)}")
    classes = np.ma.filled(np.ma.asarray(table[name], float), 0)
    scheme = classes_of(table)
    return _in_scheme(np.nan_to_num(classes).astype(np.int16), scheme), scheme


def common_classes(a, b, names=("the first", "the second")):
    """Classes of two catalogs, 0 where there is none, in the scheme that knows those of both."""
    given, schemes = zip(*map(table_classes, (a, b), names), strict=True)
    for scheme in sorted(schemes, key=len):  # the one that tells fewer classes apart
        if all(scheme.knows(other.numbers).all() for other in schemes):
            return *(_in_scheme(classes, scheme) for classes in given), scheme
    known = " and ".join(f"{one.name} {list(one.numbers)}" for one in schemes)
    raise ValueError(
        f"the catalogs have classes of {known}, which cannot be compared: map those of one to the "
        "other's first"
    )


def _in_scheme(classes, scheme):
    """Classes with the labels that merge replaced by their class."""
    known = scheme.knows(classes)
    classes = classes.copy()
    classes[known] = scheme.numbers_of(scheme.positions(classes[known]))
    return classes
