# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Completeness: artificial clusters in the user's own images, and the share that is found."""

import itertools
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
from astropy import units as u
from astropy.stats import binom_conf_interval
from astropy.table import Table, vstack
from scipy.spatial import KDTree
from tqdm import tqdm

from astroclust import __version__
from astroclust.catalogs import float_column
from astroclust.files import check_output
from astroclust.images import ImageSet
from astroclust.injection.checkpoints import (
    describe,
    digest_of,
    read_checkpoint,
    write_checkpoint,
)
from astroclust.injection.clusters import (
    AREA,
    CLASS_1_COLORS,
    ArtificialClusters,
    band_sources,
    draw_places,
    inject,
    scale_of,
)
from astroclust.locks import only_process
from astroclust.photometry import measure_apertures
from astroclust.selection import blocked_pixels, find_candidates, get_preset

__all__ = ["CLASS_1_COLORS", "ArtificialClusters", "completeness", "limiting_magnitude"]

# Pixels within which a source is an injected cluster.
_MATCH = 2.0
_COLUMNS = {
    "round": int,
    "x": float,
    "y": float,
    "magnitude": float,
    "radius": float,
    "found": bool,
    "selected": bool,
    "measured_magnitude": float,
    "ci": float,
}


def completeness(
    images,
    clusters,
    *,
    distance=None,
    preset="legus",
    exclude=None,
    checkpoint=None,
    workers=1,
    progress_bar=False,
):
    """Measure which clusters are found and selected, by injecting artificial ones into images.

    Round by round a few clusters, at most one for 100 x 100 pixels, are added to copies of the
    images, in which `~astroclust.selection.find_candidates` then looks for candidates. Clusters
    have the Elson-Fall-Freeman profile of slope 1.5 of LEGUS's tests (Adamo et al. 2017), the PSF
    and the photon noise of their flux.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field; not changed.
    clusters : `ArtificialClusters`
        Magnitudes and radii, number, colors and PSF of the clusters.
    distance : `~astropy.units.Quantity` or float, optional
        Distance of the galaxy (Mpc if it has no unit); without it there is no cut in absolute
        magnitude.
    preset, exclude, workers : optional
        See `~astroclust.selection.find_candidates`. No cluster is injected into excluded pixels;
        `~astroclust.selection.blocked_pixels` makes a mask of those outside a footprint.
    checkpoint : str or `~pathlib.Path`, optional
        File of all clusters (ECSV), written after each round, with the one before beside it, which
        ends in ``.previous``; the same call resumes from the last one that is intact. By default
        nothing is kept.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    completeness : `~astropy.table.Table`, length k x m
        ``magnitude``, ``radius`` (as given), ``n``; the fractions ``found`` and ``selected``
        with the limits of their 68 per cent intervals (Wilson's), such as ``found_low`` and
        ``found_high``.

    Raises
    ------
    ValueError
        Where an argument is not accepted, a band has no zero point or no PSF, the images are
        smaller than 100 x 100 pixels or have no room, or ``checkpoint`` is that of another run or
        damaged.
    OSError
        If another process uses ``checkpoint``, or it cannot be written.

    Warns
    -----
    AstropyUserWarning
        If ``checkpoint`` is damaged and the one before is used.

    Notes
    -----
    A cluster is found where a source lies within 2 pixels, and more than half of the flux in V
    of that source was not there before: a brighter neighbour is no detection. It is selected
    where that source passes all cuts. Places are drawn where all bands have good pixels, at least
    15 pixels from the edges and 30 from each other.

    Where there is no image in V the magnitudes are still those in V; what is measured is in the
    first band there is of I, B, U and NUV. A copy of all bands has to fit into memory.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.injection import ArtificialClusters, completeness
    >>> field = simulate_field(shape=(200, 200), seed=1)
    >>> result = completeness(field.images, ArtificialClusters([20, 28], radii=[2], n=4))
    >>> result["selected"].tolist()
    [1.0, 0.0]
    """
    images = ImageSet.of(images)
    if min(images.shape) ** 2 < AREA:
        raise ValueError(f"the images must be at least 100 x 100 pixels, not {images.shape}")
    if clusters.n < 1 or clusters.n % 1:
        raise ValueError(f"n must be a whole number of at least 1, not {clusters.n!r}")
    name, preset = preset, get_preset(preset)
    distance = _megaparsec(distance)
    magnitudes, radii, unit = _check_grid(clusters.magnitudes, clusters.radii)
    scale = _pixels(unit, images, distance)
    bands = band_sources(images, preset, clusters)
    blocked = blocked_pixels(images, exclude)
    done = Table(names=list(_COLUMNS), dtype=list(_COLUMNS.values()))
    if checkpoint is not None:
        checkpoint = check_output(checkpoint, overwrite=True)
        settings = _settings(
            bands,
            magnitudes=magnitudes.tolist(),
            radii=(radii.tolist(), str(unit)),
            n=clusters.n,
            distance=distance,
            preset=preset,
            blocked=None if blocked is None else digest_of(blocked),
            seed=clusters.seed,
        )
        done = read_checkpoint(checkpoint, settings) or done
    if distance is None:  # no cut in magnitude is what the caller asked for, in each round
        preset = replace(preset, cuts=replace(preset.cuts, max_absolute_v=np.inf))
    grid = np.array(list(itertools.product(magnitudes, radii)))
    n_all = int(clusters.n) * len(grid)
    with (
        nullcontext() if checkpoint is None else only_process(checkpoint),
        tqdm(
            total=n_all,
            initial=len(done),
            unit="cluster",
            desc="injecting",
            disable=not progress_bar,
        ) as bar,
    ):
        while len(done) < n_all:
            number = done["round"][-1] + 1 if len(done) else 0
            rng = np.random.default_rng([clusters.seed, number])
            x, y = draw_places(images, n_all - len(done), rng, blocked)
            # All cells of the grid in turn, over the rounds.
            cells = grid[np.arange(len(done), len(done) + len(x)) % len(grid)]
            drawn = Table([np.full(len(x), number), x, y, *cells.T], names=list(_COLUMNS)[:5])
            sources = find_candidates(
                inject(bands, drawn, scale, rng),
                distance=distance,
                preset=preset,
                exclude=blocked,
                keep_rejected=True,
                workers=workers,
            )
            done = vstack([done, _recover(drawn, sources, images.reference, preset)])
            if checkpoint is not None:
                write_checkpoint(done, checkpoint, settings)
            bar.update(len(drawn))
    result = _fractions(done, grid, unit)
    result.meta = {"SEED": clusters.seed, "ROUNDS": int(done["round"][-1]) + 1}
    if distance is not None:
        result.meta["DISTANCE"] = distance
    if isinstance(name, str):
        result.meta["PRESET"] = name
    return result


def _settings(bands, **arguments):
    """What a checkpoint must agree in, as text."""
    settings = {
        **arguments,
        "colors or zero points": [light.unit_flux for light in bands],
        "psf": [digest_of(light.psf) for light in bands],
        "images": [describe(light.band) for light in bands],
        "version of astroclust": __version__,
    }
    return {name: repr(value) for name, value in settings.items()}


def _check_grid(magnitudes, radii):
    """Magnitudes, radii and the unit of the radii, if they are accepted."""
    radii = u.Quantity(radii)
    unit = u.pix if radii.unit == u.dimensionless_unscaled else radii.unit
    grid = {"magnitudes": magnitudes, "radii": radii.value}
    for name, values in grid.items():
        grid[name] = values = np.unique(np.asarray(values, float))
        if not values.size:
            raise ValueError(f"{name} is empty: give at least one")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must be finite numbers, not {values.tolist()}")
    if not np.all(grid["radii"] > 0):
        raise ValueError(f"radii must be positive, not {grid['radii'].min():g}")
    return *grid.values(), unit


def _megaparsec(distance):
    if distance is None:
        return None
    megaparsec = float(u.Quantity(distance, u.Mpc).value)
    if not megaparsec > 0:
        raise ValueError(f"distance must be positive, not {distance!r}")
    return megaparsec


def _pixels(unit, images, distance):
    """How many pixels one unit of length or angle is."""
    if unit == u.pix:
        return 1.0
    if unit.is_equivalent(u.pc):
        if distance is None:
            raise ValueError(f"radii in {unit} need a distance: give it, or radii in pixels")
        angle = u.Quantity(1, unit).to_value(u.Mpc) / distance * u.rad
    elif unit.is_equivalent(u.arcsec):
        angle = u.Quantity(1, unit)
    else:
        raise ValueError(f"radii must be in pixels, parsec or arcsec, not in {unit}")
    return float(angle.to_value(u.arcsec) / scale_of(images))


def _recover(clusters, sources, reference, preset):
    """The clusters with what became of them."""
    result = clusters.copy()
    result["found"] = result["selected"] = np.zeros(len(clusters), bool)
    result["measured_magnitude"] = result["ci"] = np.full(len(clusters), np.nan)
    if not len(sources):
        return result
    tree = KDTree(np.column_stack([sources["x"], sources["y"]]))
    distance, nearest = tree.query(np.column_stack([clusters["x"], clusters["y"]]))
    sources, name = sources[nearest], reference.filter.lower()
    before = measure_apertures(
        [reference],
        sources["x"].data,
        sources["y"].data,
        np.atleast_1d(preset.apertures.radius)[:1],
        annulus=preset.apertures.annulus,
        sky_statistic=preset.apertures.sky_statistic,
    )[0].flux[:, 0]
    after = sources[f"flux_{name}"].data
    found = (distance <= _MATCH) & (after > 0) & (after > 2 * before)
    result["found"] = found
    result["selected"] = found & (sources["cuts"] == 0)
    for column, measured in (("measured_magnitude", f"mag_{name}"), ("ci", "ci")):
        values = float_column(sources, measured)
        result[column] = np.where(found, values, np.nan)
    return result


def _fractions(done, grid, unit):
    """The share of the clusters of each cell that were found and selected."""
    rows = [(done["magnitude"] == m) & (done["radius"] == r) for m, r in grid]
    result = Table(grid, names=["magnitude", "radius"])
    result["magnitude"].unit, result["radius"].unit = u.mag, unit
    result["n"] = np.array([np.count_nonzero(row) for row in rows])
    for name in ("found", "selected"):
        k = np.array([np.count_nonzero(done[name][row]) for row in rows])
        result[name] = k / result["n"]
        low, high = binom_conf_interval(k, result["n"], interval="wilson")
        result[f"{name}_low"] = np.where(k == 0, 0, low)  # but for rounding it is
        result[f"{name}_high"] = np.where(k == result["n"], 1, high)
    return result


def limiting_magnitude(table, *, fraction=0.5, column="selected"):
    """The magnitude at which completeness falls to a fraction, for each radius.

    Parameters
    ----------
    table : `~astropy.table.Table`
        As `completeness` returns it.
    fraction : float, optional
        Between 0 and 1.
    column : str, optional
        ``"selected"`` or ``"found"``.

    Returns
    -------
    limits : `~astropy.table.Table`
        ``radius`` and ``magnitude``: where the fraction is crossed first, from bright to faint,
        on straight lines between the magnitudes; NaN where it is not.

    Raises
    ------
    ValueError
        Where the fraction or the column is another.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.injection import limiting_magnitude
    >>> table = Table({"magnitude": [22.0, 23], "radius": [1.0, 1], "selected": [0.9, 0.1]})
    >>> print(limiting_magnitude(table))
    radius magnitude
    ------ ---------
       1.0      22.5
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be between 0 and 1, not {fraction!r}")
    if column not in ("found", "selected"):
        raise ValueError(f"column must be found or selected, not {column!r}")
    limits = Table({"radius": np.unique(table["radius"])})
    limits["radius"].unit = table["radius"].unit
    limits["magnitude"] = [
        _first_crossing(table[table["radius"] == radius], fraction, column)
        for radius in limits["radius"]
    ]
    limits["magnitude"].unit = table["magnitude"].unit
    return limits


def _first_crossing(rows, fraction, column):
    rows = rows[np.argsort(rows["magnitude"])]
    magnitude, share = np.asarray(rows["magnitude"]), np.asarray(rows[column])
    crossed = np.flatnonzero((share[:-1] >= fraction) & (share[1:] < fraction))
    if not crossed.size:
        return np.nan
    pair = slice(crossed[0], crossed[0] + 2)
    return float(np.interp(-fraction, -share[pair], magnitude[pair]))
