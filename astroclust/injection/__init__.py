# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Completeness from artificial clusters injected into the user's own images."""

import itertools
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
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
    draw_positions,
    inject,
    scale_of,
)
from astroclust.injection.fractions import limiting_magnitude, recovered_fractions
from astroclust.locks import only_process
from astroclust.photometry import measure_apertures
from astroclust.selection import PRESETS, Preset, blocked_pixels, find_candidates, get_preset

if TYPE_CHECKING:
    from astroclust.typing import AreaLike, ClassifierLike, ImagesLike

__all__ = ["CLASS_1_COLORS", "ArtificialClusters", "completeness", "limiting_magnitude"]

# Matching radius between sources and injected clusters, in pixels.
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
    images: "ImagesLike",
    clusters: ArtificialClusters,
    *,
    distance: float | u.Quantity | None = None,
    preset: str | Preset = "legus",
    exclude: "AreaLike | None" = None,
    model: "ClassifierLike | None" = None,
    checkpoint: str | Path | None = None,
    workers: int | Executor = 1,
    progress_bar: bool = False,
) -> Table:
    """Completeness of detection, selection and classification from artificial clusters.

    In each round a few clusters, at most one per 100 x 100 pixels, are added to copies of the
    images, in which `~astroclust.selection.find_candidates` then finds candidates. Clusters have
    the Elson-Fall-Freeman profile of slope 1.5 of LEGUS's tests (Adamo et al. 2017), the PSF, and
    the photon noise of their flux.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field; not changed.
    clusters : `ArtificialClusters`
        Magnitudes, radii, number, colors and PSF of the clusters.
    distance : `~astropy.units.Quantity` or float, optional
        Distance of the galaxy (Mpc if it has no unit). By default, there is no cut in absolute
        magnitude.
    preset, exclude, workers : optional
        See `~astroclust.selection.find_candidates`. No clusters are injected into excluded pixels;
        `~astroclust.selection.blocked_pixels` makes a mask of those outside a footprint.
    model : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        Classifier of the selected clusters: ``"default"``, or see
        `~astroclust.weights.load_classifier`. It is used as in
        `~astroclust.classification.classify_table` by default, with the photometry and without
        neighbors. By default, nothing is classified.
    checkpoint : str or `~pathlib.Path`, optional
        File of all clusters (ECSV), written after each round; the previous one is kept as
        ``.previous``. The same call resumes from the last intact checkpoint. By default, none is
        written.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    completeness : `~astropy.table.Table`, length k x m
        ``magnitude``, ``radius`` (as given), ``n``; the fractions ``found`` and ``selected`` with
        the limits of their 68 percent Wilson intervals, such as ``found_low`` and ``found_high``.
        With a classifier also ``n_class_1`` ..., the number of selected clusters in each class;
        ``n_not_classified``; and the fraction that reaches a published catalog, ``classified_1_2``
        for classes 1 and 2 of LEGUS, or named after the classes that count as clusters in another
        scheme. ``meta`` has the settings: the seed, the number of clusters and rounds, the unit of
        the radii, the preset (``own`` if it is not one of `~astroclust.selection.PRESETS`) and its
        detection, and the classifier with its hash.

    Raises
    ------
    ValueError
        If an argument is invalid, a band has no zero point or no PSF, the images are smaller than
        100 x 100 pixels or have no room for clusters, the classifier uses none of their bands, or
        ``checkpoint`` is damaged or from another run, such as one with another classifier.
    OSError
        If another process uses ``checkpoint``, or it cannot be written.

    Warns
    -----
    AstropyUserWarning
        If ``checkpoint`` is damaged and the previous one is used.

    Notes
    -----
    A cluster is found if there is a source within 2 pixels, and more than half of the V flux of
    that source was not there before: a brighter neighbor is not a detection. It is selected if that
    source passes all cuts. Positions are drawn where all bands have good pixels, at least 15 pixels
    from the edges and 30 from each other.

    Without a V image the magnitudes are still those in V; measurements are made in the first of I,
    B, U and NUV that is available. A copy of all bands has to fit into memory.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.injection import ArtificialClusters, completeness
    >>> field = simulate_field(shape=(200, 200), seed=1)
    >>> result = completeness(field.images, ArtificialClusters([20, 28], radii=[2], n=4))
    >>> result["selected"].tolist()
    [1.0, 0.0]

    The fraction that reaches a catalog of classes 1 and 2:

    >>> clusters = ArtificialClusters([20], radii=[2], n=4)
    >>> result = completeness(field.images, clusters, model="default")
    >>> result.colnames[-3:]
    ['classified_1_2', 'classified_1_2_low', 'classified_1_2_high']
    """
    images = ImageSet.of(images)
    if min(images.shape) ** 2 < AREA:
        raise ValueError(f"the images must be at least 100 x 100 pixels, not {images.shape}")
    if clusters.n < 1 or clusters.n % 1:
        raise ValueError(f"n must be a whole number of at least 1, not {clusters.n!r}")
    preset = given = get_preset(preset)
    distance = _megaparsec(distance)
    magnitudes, radii, unit = _check_grid(clusters.magnitudes, clusters.radii)
    scale = _pixels(unit, images, distance)
    bands = band_sources(images, preset, clusters)
    blocked = blocked_pixels(images, exclude)
    stage = None if model is None else _class_stage(model, images)
    columns = _COLUMNS if stage is None else _COLUMNS | {"class": int}
    done = Table(names=list(columns), dtype=list(columns.values()))
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
            # Absent without a classifier, as in checkpoints of versions that had none.
            **({} if stage is None else {"classifier": stage.identity}),
        )
        done = read_checkpoint(checkpoint, settings) or done
    if distance is None:  # the caller chose no cut: no warning in each round
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
            x, y = draw_positions(images, n_all - len(done), rng, blocked)
            # Cycle through the cells of the grid across rounds.
            cells = grid[np.arange(len(done), len(done) + len(x)) % len(grid)]
            drawn = Table([np.full(len(x), number), x, y, *cells.T], names=list(_COLUMNS)[:5])
            injected = inject(bands, drawn, scale, rng)
            sources = find_candidates(
                injected,
                distance=distance,
                preset=preset,
                exclude=blocked,
                keep_rejected=True,
                workers=workers,
            )
            recovered, sources = _recover(drawn, sources, images.reference, preset)
            if stage is not None:
                recovered["class"] = stage.classify(sources, recovered["selected"].data, injected)
            done = vstack([done, recovered])
            if checkpoint is not None:
                write_checkpoint(done, checkpoint, settings)
            bar.update(len(drawn))
    result = recovered_fractions(done, grid, unit, stage)
    result.meta = _describe_run(clusters, unit, distance, given, done)
    result.meta |= {} if stage is None else stage.meta
    return result


def _class_stage(model, images):
    from astroclust.injection.classes import ClassStage  # needs torch, which takes seconds

    return ClassStage.of(model, images)


def _describe_run(clusters, unit, distance, preset, done):
    """Settings of a run, with keywords valid in FITS headers."""
    name = next((name for name, known in PRESETS.items() if known == preset), "own")
    meta = {
        "COMPVERS": __version__,
        "SEED": clusters.seed,
        "NCLUSTER": int(clusters.n),
        "ROUNDS": int(done["round"][-1]) + 1,
        "RADUNIT": str(unit),
        "PRESET": name,
        "DETIMAGE": "white light" if preset.detect_in == "white" else preset.detect_in,
        "DETMETH": preset.method,
        "THRESH": float(preset.threshold),
        "NPIXELS": int(preset.n_pixels),
        "MINCI": preset.cuts.min_ci,
        "DISTANCE": distance,
    }
    return {key: value for key, value in meta.items() if value is not None}


def _settings(bands, **arguments):
    """Settings that a checkpoint must match, as text."""
    settings = {
        **arguments,
        "colors or zero points": [light.unit_flux for light in bands],
        "psf": [digest_of(light.psf) for light in bands],
        "images": [describe(light.band) for light in bands],
        "version of astroclust": __version__,
    }
    return {name: repr(value) for name, value in settings.items()}


def _check_grid(magnitudes, radii):
    """Validated magnitudes and radii, and the unit of the radii."""
    radii = u.Quantity(radii)
    unit = u.pix if radii.unit == u.dimensionless_unscaled else radii.unit
    grid = {"magnitudes": magnitudes, "radii": radii.value}
    for name, values in grid.items():
        grid[name] = values = np.unique(np.asarray(values, float))
        if not values.size:
            raise ValueError(f"{name} is empty; pass at least one value")
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
    """Number of pixels per unit of length or angle."""
    if unit == u.pix:
        return 1.0
    if unit.is_equivalent(u.pc):
        if distance is None:
            raise ValueError(f"radii in {unit} require a distance; set it, or use radii in pixels")
        angle = u.Quantity(1, unit).to_value(u.Mpc) / distance * u.rad
    elif unit.is_equivalent(u.arcsec):
        angle = u.Quantity(1, unit)
    else:
        raise ValueError(f"radii must be in pixels, parsec or arcsec, not in {unit}")
    return float(angle.to_value(u.arcsec) / scale_of(images))


def _recover(clusters, sources, reference, preset):
    """The clusters with their recovery, and the nearest source to each."""
    result = clusters.copy()
    result["found"] = result["selected"] = np.zeros(len(clusters), bool)
    result["measured_magnitude"] = result["ci"] = np.full(len(clusters), np.nan)
    if not len(sources):
        return result, sources
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
    return result, sources
