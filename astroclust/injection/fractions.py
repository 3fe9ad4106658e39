# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Recovered fractions of artificial clusters, and limiting magnitudes."""

import re

import numpy as np
from astropy import units as u
from astropy.stats import binom_conf_interval
from astropy.table import Table

__all__ = ["fraction_columns", "limiting_magnitude", "recovered_fractions"]

_CLASSIFIED = re.compile(r"classified(_\d+)+")
# Number of samples for the errors of limits.
_SAMPLES = 1000
# Quantiles of the central 68 percent.
_INTERVAL = (0.16, 0.84)


def recovered_fractions(done, grid, unit, stage=None):
    """Fractions of clusters found, selected and classified in each cell of a grid.

    Parameters
    ----------
    done : `~astropy.table.Table`
        One row per cluster.
    grid : `~numpy.ndarray` of float, shape (k, 2)
        Magnitudes and radii.
    unit : `~astropy.units.Unit`
        Unit of the radii.
    stage : `~astroclust.injection.classes.ClassStage`, optional
        Classification of the clusters.

    Returns
    -------
    fractions : `~astropy.table.Table`, length k
        See `~astroclust.injection.completeness`.
    """
    cells = [(done["magnitude"] == m) & (done["radius"] == r) for m, r in grid]
    result = Table(grid, names=["magnitude", "radius"])
    result["magnitude"].unit, result["radius"].unit = u.mag, unit
    result["n"] = np.array([np.count_nonzero(cell) for cell in cells])
    for name, text in (
        ("magnitude", "total V magnitude (Vega)"),
        ("radius", "half-light radius"),
        ("n", "injected clusters"),
    ):
        result[name].info.description = text
    result["magnitude"].info.format = ".2f"
    _add_fraction(result, "found", "found", np.asarray(done["found"]), cells)
    _add_fraction(
        result, "selected", "detected and pass all cuts", np.asarray(done["selected"]), cells
    )
    if stage is not None:
        _add_classes(result, done, cells, stage)
    return result


def _add_classes(result, done, cells, stage):
    classes, selected = np.asarray(done["class"]), np.asarray(done["selected"])
    for number, name in stage.scheme.names.items():
        text = f"selected clusters of class {number}, {name}"
        _add_count(result, f"n_class_{number}", text, classes == number, cells)
    text = "selected clusters that are not classified"
    _add_count(result, "n_not_classified", text, selected & (classes == 0), cells)
    listed = " or ".join(map(str, stage.published))
    column = "_".join(["classified", *map(str, stage.published)])
    text = f"detected, pass all cuts and are of class {listed}"
    _add_fraction(result, column, text, np.isin(classes, stage.published), cells)


def _add_count(result, name, description, counted, cells):
    result[name] = np.array([np.count_nonzero(counted[cell]) for cell in cells])
    result[name].info.description = description


def _add_fraction(result, name, description, counted, cells):
    """Add a fraction and its confidence interval."""
    k, n = np.array([np.count_nonzero(counted[cell]) for cell in cells]), result["n"]
    low, high = binom_conf_interval(k, n, interval="wilson")
    result[name] = k / n
    result[f"{name}_low"] = np.where(k == 0, 0, low)  # exact despite rounding
    result[f"{name}_high"] = np.where(k == n, 1, high)
    text = f"fraction of injected clusters that are {description}"
    for end, what in (("", ""), ("_low", ": lower limit"), ("_high", ": upper limit")):
        info = result[name + end].info
        info.format, info.description = ".3f", f"{text}{what}"


def fraction_columns(table):
    """Names of the fractions in a table of `~astroclust.injection.completeness`.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.

    Returns
    -------
    columns : list of str
        ``"found"``, ``"selected"`` and, if a classifier was used, one such as ``"classified_1_2"``.
    """
    return ["found", "selected", *filter(_CLASSIFIED.fullmatch, table.colnames)]


def limiting_magnitude(table, *, fraction=0.5, column="selected", seed=0):
    """Magnitude at which completeness falls to a fraction, for each radius, with its error.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Table returned by `completeness`.
    fraction : float, optional
        Between 0 and 1.
    column : str, optional
        ``"selected"``, ``"found"`` or, if a classifier was used, one such as ``"classified_1_2"``.
    seed : int, optional
        Seed of the samples for the errors.

    Returns
    -------
    limits : `~astropy.table.Table`
        One row per radius: ``radius``; ``magnitude``, the first crossing of the fraction from
        bright to faint by linear interpolation, NaN if there is none; and ``magnitude_low`` and
        ``magnitude_high``, the limits of its 68 percent interval, infinite if they lie beyond the
        magnitudes of the table.

    Raises
    ------
    ValueError
        If the fraction or the column is invalid, or the table has no ``n``.

    Notes
    -----
    The errors are from 1000 samples of the fraction at each magnitude, drawn from its posterior, a
    beta distribution with Jeffreys's prior (Brown, Cai & DasGupta 2001, Stat. Sci. 16, 101), with
    the limit interpolated in each. The interval does not include interpolation error: if
    completeness falls from one to zero between two magnitudes, the limit is only known to lie
    between them.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.injection import limiting_magnitude
    >>> table = Table({"magnitude": [22.0, 23], "radius": [1.0, 1], "n": [50, 50]})
    >>> table["selected"] = [0.9, 0.1]
    >>> limits = limiting_magnitude(table)
    >>> print(limits["radius", "magnitude"])
    radius magnitude
    ------ ---------
       1.0     22.50
    >>> bool(limits["magnitude_low"][0] < 22.5 < limits["magnitude_high"][0])
    True
    """
    known = fraction_columns(table)
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be between 0 and 1, not {fraction!r}")
    if column not in known:
        raise ValueError(f"column must be {' or '.join(known)}, not {column!r}")
    if "n" not in table.colnames:
        raise ValueError(
            "the table has no column n, the number of injected clusters, which errors require; "
            "use the output of completeness, or add that column"
        )
    if not len(table):
        raise ValueError("the completeness table has no rows; inject clusters first")
    rng = np.random.default_rng(seed)
    limits = Table({"radius": np.unique(table["radius"])})
    limits["radius"].unit = table["radius"].unit
    rows = [table[table["radius"] == radius] for radius in limits["radius"]]
    columns = np.transpose([_limit_and_interval(part, fraction, column, rng) for part in rows])
    for name, values, text in zip(
        ("magnitude", "magnitude_low", "magnitude_high"),
        columns,
        ("", ": lower limit", ": upper limit"),
        strict=True,
    ):
        limits[name] = values
        limits[name].unit, limits[name].info.format = table["magnitude"].unit, ".2f"
        limits[name].info.description = f"magnitude at which {fraction:g} are {column}{text}"
    return limits


def _limit_and_interval(rows, fraction, column, rng):
    rows = rows[np.argsort(rows["magnitude"])]
    magnitude, n = np.asarray(rows["magnitude"]), np.asarray(rows["n"])
    values, k = np.asarray(rows[column]), np.asarray(rows[column]) * np.asarray(rows["n"])
    limit = _first_crossing(magnitude, values, fraction)
    samples = rng.beta(k + 0.5, n - k + 0.5, (_SAMPLES, len(rows)))
    found = [_first_crossing(magnitude, one, fraction) for one in samples]
    # Not crossed: the limit is fainter or brighter than all magnitudes.
    beyond = np.where(samples[:, 0] >= fraction, np.inf, -np.inf)
    found = np.where(np.isnan(found), beyond, found)
    return limit, *np.quantile(found, _INTERVAL, method="inverted_cdf")


def _first_crossing(magnitude, values, fraction):
    crossed = np.flatnonzero((values[:-1] >= fraction) & (values[1:] < fraction))
    if not crossed.size:
        # Reached, but not crossed, at the faintest magnitude.
        return float(magnitude[-1]) if values[-1] == fraction else np.nan
    pair = slice(crossed[0], crossed[0] + 2)
    return float(np.interp(-fraction, -values[pair], magnitude[pair]))
