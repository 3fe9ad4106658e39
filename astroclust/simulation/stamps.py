# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Labeled stamps, simulated directly without a complete field."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from astroclust.catalogs import find_field
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES, BandSystem, find_band_system
from astroclust.simulation.candidates import draw_candidate, draw_star, total_magnitudes
from astroclust.simulation.crowding import (
    diffuse_light,
    draw_rivals,
    field_stars,
    missing_scatter,
    surroundings,
)
from astroclust.simulation.detector import add_noise, add_residue, saturate
from astroclust.simulation.drawing import Stars, draw_scene
from astroclust.simulation.galaxy import PATCH_BRIGHTNESS, draw_patch
from astroclust.simulation.headers import rates_in
from astroclust.simulation.ingredients import Ingredients
from astroclust.simulation.observations import Observation, observe_like
from astroclust.simulation.populations import calibrated_fields, field_population
from astroclust.simulation.psf import PSFGrid
from astroclust.simulation.systems import Bands, Scene, choose_bands, project, template_shape
from astroclust.simulation.template import V
from astroclust.stamps import Stamps

__all__ = ["simulate_stamps", "stream_stamps"]

_COLUMNS = {"class": np.int16, "kind": "U12", "mag_v": np.float32, "field": "U24"}
# Density relative to the mean of a field around its candidates, and in crowded fields.
_DENSER, _DENSEST = (0.5, 20.0), (4.0, 100.0)
# Fraction of class-4 detections in crowded fields that are single stars.
_SINGLE = 0.8
_CHUNK = 32
# Scatter of the sky around a candidate without its companions, relative to that of quiet sky.
_OTHER_LIGHT = 1.25
# Number of observations per field that stamps are drawn from: their transfer functions are cached.
_NIGHTS = 6


def simulate_stamps(
    n: int,
    *,
    seed: int | Sequence[int],
    like: str | Sequence[str] | None = None,
    size: int = 50,
    crowded: float = 0.0,
    galaxies: str | Path | Sequence[ArrayLike] | None = None,
    psf: Mapping[tuple[str, str], PSFGrid | str | Path] | None = None,
    system: str | BandSystem = LEGUS_BANDS,
    workers: int = 1,
    progress_bar: bool = False,
) -> Stamps:
    """Draw labeled postage stamps of simulated candidates, with equal numbers per class.

    Candidates, stars, PSF and noise are those of `simulate_field`.

    Parameters
    ----------
    n : int
        Number of stamps.
    seed : int or sequence of int
        Random seed; equal seeds give equal pixels, for any ``workers``, and the first stamps do not
        depend on ``n``.
    like : str or sequence of str, optional
        LEGUS fields to draw from; by default all with measured catalogs.
    size : int, optional
        Width of a stamp in pixels of the band system, 0.0396 arcsec for LEGUS.
    crowded : float, optional
        Fraction of stamps with up to a hundred times as many stars, as in the disk of M83. Class 4
        then consists mostly of detections without cuts: single stars, many of them giants.
    galaxies, psf : optional
        Real galaxies and PSFs; see `simulate_field`. By default all are parametric.
    system : str or `~astroclust.instruments.BandSystem`, optional
        Band system of the stamps; see `simulate_field`.
    workers : int, optional
        Number of processes.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        ``data``, shape ``(n, n_bands, size, size)``, in the unit and band order of the band system,
        e-/s for LEGUS. ``table`` has the truth: ``class``, ``kind``, ``mag_v`` (total V of the
        candidate, Vega; NaN for detector residue) and ``field``.

    Raises
    ------
    KeyError
        If LEGUS has no such field.
    ValueError
        If another argument is invalid.

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> stamps = simulate_stamps(3, seed=1)
    >>> stamps.data.shape
    (3, 5, 50, 50)
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    artist = _Artist(seed, like, size, crowded, Ingredients.read(galaxies, psf), system)
    stream = _stream(artist, workers, n)
    drawn = tqdm(stream, total=n, unit="stamp", desc="simulating", disable=not progress_bar)
    return _stamps(drawn, n, artist)


def stream_stamps(
    *,
    seed,
    batch_size=256,
    like=None,
    size=50,
    crowded=0.0,
    galaxies=None,
    psf=None,
    system=LEGUS_BANDS,
    workers=1,
):
    """Draw an endless stream of stamps in batches, in the order of `simulate_stamps`.

    Parameters
    ----------
    seed, like, size, crowded, galaxies, psf, system, workers
        See `simulate_stamps`.
    batch_size : int, optional
        Number of stamps per batch.

    Yields
    ------
    stamps : `~astroclust.stamps.Stamps`
        ``batch_size`` stamps. Close the generator when done, which ends its processes.

    Examples
    --------
    >>> from itertools import islice
    >>> from astroclust.simulation import stream_stamps
    >>> [len(stamps) for stamps in islice(stream_stamps(seed=1, batch_size=2), 3)]
    [2, 2, 2]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    artist = _Artist(seed, like, size, crowded, Ingredients.read(galaxies, psf), system)
    stream = _stream(artist, workers, None)
    while True:
        yield _stamps(islice(stream, batch_size), batch_size, artist)


def _stamps(drawn, n, artist):
    roles, size = artist.system.roles, artist.size
    data, rows = np.empty((n, len(roles), size, size), np.float32), []
    for i, (image, *row) in enumerate(drawn):
        data[i] = image
        rows.append(row)
    columns = list(zip(*rows, strict=True)) or [[]] * len(_COLUMNS)
    truth = Table(columns, names=list(_COLUMNS), dtype=list(_COLUMNS.values()))
    return Stamps(data, roles, bands=roles, system=artist.system, table=truth)


@dataclass(frozen=True, eq=False)
class _View:
    """Observations of a field on one night, in the LEGUS bands and in others."""

    bands: Bands
    observation: Observation
    target: Observation | None


class _Artist:
    """Data common to all stamps of a simulation; the observations are created once.

    See `simulate_stamps` for parameters and errors.
    """

    def __init__(self, seed, like, size, crowded, ingredients, system):
        if size < 8:
            raise ValueError(f"size must be at least 8 pixels, got {size}")
        if not 0 <= crowded <= 1:
            raise ValueError(f"crowded must be a fraction from 0 to 1, not {crowded}")
        names = calibrated_fields() if like is None else np.atleast_1d(like).tolist()
        self.names = [find_field(name).name for name in names]
        self.seed, self.size, self.crowded, self.ingredients = seed, size, crowded, ingredients
        self.system = find_band_system(system)
        (self.drawn_size,) = template_shape([size], self.system)
        self.views = {}
        self.view(self.names[0], 0)

    def view(self, name, night):
        """One of the views of a field."""
        if (name, night) not in self.views:
            rng, noise = np.random.default_rng(night), field_population(name).noise
            observation = observe_like(name, rng, noise, self.ingredients)
            bands = choose_bands(self.system, observation.filters)
            target = bands.observe(observation, rng) if bands.drawn else None
            self.views[name, night] = _View(bands, observation, target)
        return self.views[name, night]

    def draw(self, chunk):
        """Stamps with the numbers in a chunk."""
        seeds = (np.random.SeedSequence(self.seed, spawn_key=(i,)) for i in chunk)
        return [_draw_stamp(np.random.default_rng(seed), self) for seed in seeds]


def _stream(artist, workers, n):
    """Yield stamps one by one, endlessly if ``n`` is None."""
    chunks = _chunks(n)
    if workers == 1:
        with threadpool_limits(1):
            for chunk in chunks:
                yield from artist.draw(chunk)
        return
    with ProcessPoolExecutor(workers, initializer=_start, initargs=(artist,)) as pool:
        # Only a few chunks ahead, because there may be no last one.
        waiting = [pool.submit(_draw_chunk, chunk) for chunk in islice(chunks, 2 * workers)]
        while waiting:
            stamps = waiting.pop(0).result()
            waiting += [pool.submit(_draw_chunk, chunk) for chunk in islice(chunks, 1)]
            yield from stamps


def _start(artist):
    """Initialize a pool process with its artist, which caches observations between chunks."""
    global _artist
    threadpool_limits(1)
    _artist = artist


def _draw_chunk(chunk):
    return _artist.draw(chunk)


def _chunks(n):
    starts = count(0, _CHUNK) if n is None else range(0, n, _CHUNK)
    for start in starts:
        yield range(start, start + _CHUNK if n is None else min(start + _CHUNK, n))


def _draw_stamp(rng, artist):
    name, label = str(rng.choice(artist.names)), _draw_class(rng)
    population, view = field_population(name), artist.view(name, int(rng.integers(_NIGHTS)))
    observation, size, crowded = view.observation, artist.drawn_size, artist.crowded
    # A stamp is centered on a rounded position, and catalog positions have errors, some of a pixel.
    x, y = (size - 1) / 2 + rng.uniform(-0.5, 0.5, 2) + rng.normal(0, rng.exponential(0.3), 2)
    is_crowded = crowded > 0 and rng.random() < crowded
    if is_crowded and label == 4 and rng.random() < _SINGLE:
        star = draw_star(x, y, population.faintest, observation, rng)
        drawn = [(star, [], Stars.none(), 0.0)]
    else:
        drawn = [_draw(rng, label, x, y, population, observation)]
    if rng.random() < population.group_fraction:
        distance, angle = rng.uniform(4, 30), rng.uniform(0, 2 * np.pi)
        position = x + distance * np.cos(angle), y + distance * np.sin(angle)
        drawn.append(_draw(rng, _draw_class(rng), *position, population, observation))
    candidates, clouds, crowd, diffuse = zip(*drawn, strict=True)
    brightness = np.exp(rng.uniform(*np.log(PATCH_BRIGHTNESS))) + diffuse[0]
    galaxy = draw_patch(rng, (size, size), observation, brightness=brightness)
    denser = np.exp(rng.uniform(*np.log(_DENSEST))) if is_crowded else rng.uniform(*_DENSER)
    density = population.density * denser
    stars = field_stars(rng, (size, size), observation, population, density, galaxy)
    flux = sum(source.flux[V] for source in candidates[0].sources)
    rivals = draw_rivals(rng, label, x, y, flux, (size, size), observation.zero_points)
    stars = Stars.concatenate([*crowd, rivals, stars])
    image = _see(rng, Scene(observation, galaxy, candidates, clouds, stars), view, artist)
    magnitudes = total_magnitudes(candidates[0].sources, observation.zero_points)
    return image, label, candidates[0].kind, magnitudes[V], name


def _draw_class(rng):
    return LEGUS_CLASSES.numbers[rng.integers(len(LEGUS_CLASSES))]


def _see(rng, scene, view, artist):
    """Stamp of a scene in the bands of the system."""
    size, unit = artist.size, artist.system.unit
    move = view.bands.move((artist.drawn_size,) * 2, (size, size))
    first = scene.candidates[0]
    parts = [np.empty((0, size, size))] * 2
    if view.bands.kept:
        pairs = zip(scene.candidates, scene.clouds, strict=True)
        sources = [source for each, clouds in pairs for source in (*each.sources, *clouds)]
        mean = draw_scene(sources, move.old, scene.observation, stars=scene.stars)
        mean += scene.galaxy.light
        parts[0] = _expose(mean, (first.kind, first.x, first.y), scene.observation, rng)
        parts[0] *= rates_in(unit, scene.observation)
    if view.target is not None:
        rng = rng.spawn(1)[0]
        sources, stars, mean = project(scene, view.target, move)
        mean += draw_scene(sources, move.new, view.target, stars=stars)
        position = move.position(first.x, first.y)
        parts[1] = _expose(mean, (first.kind, *position), view.target, rng)
        parts[1] *= rates_in(unit, view.target)
    return np.array(view.bands.merge(*parts))


def _expose(image, residue, observation, rng):
    add_residue(image, *residue, observation, rng)
    saturate(image, observation)
    add_noise(image, observation, rng)
    return image


def _draw(rng, label, x, y, population, observation):
    drawn = population.classes[label].draw(rng)
    candidate = draw_candidate(label, drawn, population.aperture_correction, x, y, observation, rng)
    light = sum(source.flux[V] for source in candidate.sources)
    scatter, time = 10 ** drawn["log_noise"], observation.exposure_times[V]
    diffuse = rng.random() * diffuse_light(scatter, population.quiet, time)
    there = np.hypot(_OTHER_LIGHT * population.quiet, np.sqrt(diffuse / time))
    missing = missing_scatter(scatter, there, population.quiet, light)
    return candidate, *surroundings(rng, x, y, missing, population.texture), diffuse
