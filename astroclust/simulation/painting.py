# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Painted catalogs: sources with given positions, magnitudes and concentration indices."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from scipy.spatial import KDTree

from astroclust.images import Band
from astroclust.instruments import LEGUS_BANDS
from astroclust.photometry import CI_RADII, measure_apertures
from astroclust.simulation.candidates import (
    KINDS,
    POINTS,
    RESIDUE,
    Candidate,
    draw_structure,
    structure_truth,
)
from astroclust.simulation.catalog_rows import in_aperture
from astroclust.simulation.detector import EXPOSURES, full_well
from astroclust.simulation.drawing import add_patch, draw_group
from astroclust.simulation.profiles import structure_light, structure_sources
from astroclust.simulation.template import N_BANDS, V

__all__ = ["Painting"]

# LEGUS: the index uses 1 and 3 pixels, magnitudes 4.
_RADII = (*CI_RADII, 4.0)
# Iterations, and the smallest flux of a source as a fraction of that from its magnitude.
_ROUNDS, _FAINTEST = 3, 0.02
# Smaller changes than this fraction of the flux, plus this multiple of the sky noise, are ignored.
_CHANGE, _CHANGE_OF_SKY = 0.004, 0.2
# Distance from a source beyond which stars are kept, unless fainter than this fraction (pixels).
_CLEAR, _FAINT_STAR = 5.0, 0.02
# Lower limit for the fraction of flux in an aperture.
_LEAST_CAUGHT = 0.05
# Apertures of sources farther apart than this (pixels) do not overlap.
_REACH = 12.0
# Kinds that can have the flux and index of a catalog, by class. Uninspected sources (0) have the
# kinds of class 4.
_NOT_PAINTED = (*RESIDUE, *POINTS)
# Non-clusters as compact as stars are stars, saturated if a star of this magnitude would fill its
# brightest pixel, which has this fraction of the aperture flux.
_STAR, _SATURATED, _PEAK = {"star": 1.0}, {"saturated": 1.0}, 0.18
# Trial scales of structures, in equal logarithmic steps.
_SCALES = np.geomspace(0.05, 6.0, 36)
_STEP = np.log(_SCALES[1] / _SCALES[0])
# Bands of the apertures of `structure_light`.
_APERTURES = [V, V, *range(N_BANDS)]
# Sources that miss their index by more than this are redrawn.
_MISFIT = 0.02


def _painted(kinds):
    fractions = {kind: fraction for kind, fraction in kinds.items() if kind not in _NOT_PAINTED}
    return {kind: fraction / sum(fractions.values()) for kind, fraction in fractions.items()}


_PAINTED = {label: _painted(KINDS[label or 4]) for label in range(5)}


class Painting:
    """Sources of a catalog, adjusted until the measurements match the catalog.

    Parameters
    ----------
    rows : `~astroclust.simulation.catalog_rows.Rows`
        Catalog rows.
    population : `~astroclust.simulation.populations.FieldPopulation`
        Population with the aperture correction.
    observation : `~astroclust.simulation.observations.Observation`
        Observation with zero points and PSF.
    ci_cut : float
        Minimum concentration index of a candidate (mag); unclassified sources below it are stars.
    rng : `~numpy.random.Generator`
        Random number generator for the structures.
    """

    def __init__(self, rows, population, observation, ci_cut, rng):
        self.observation, self.all_rows = observation, rows
        self.rows = rows[rows.paintable]
        self.positions = np.array([self.rows.x, self.rows.y])
        self.wanted = in_aperture(self.rows.magnitude, population, observation)
        self._choose_kinds(ci_cut)
        self._draw_structures(rng)

    def _choose_kinds(self, ci_cut):
        """Possible kinds of each row, and its required index."""
        camera, pixel_scale = self.observation.cameras[V], self.observation.pixel_scale
        limit = full_well(camera, pixel_scale) / (self.observation.exposure_times[V] / EXPOSURES)
        no_cluster = np.isin(self.rows.label, (0, 4))
        self.saturated = no_cluster & (_PEAK * self.wanted[:, V] > limit)
        is_star = (self.rows.label == 0) & (self.rows.index < ci_cut)
        self.choice = [
            _SATURATED if full else _STAR if star else _PAINTED[label]
            for full, star, label in zip(self.saturated, is_star, self.rows.label, strict=True)
        ]
        # The index of a saturated star results from saturation.
        self.index = np.where(self.saturated, np.nan, self.rows.index)

    def _draw_structures(self, rng):
        """Structure of each row, its flux in the apertures, and its total flux."""
        n, index = len(self.wanted), self.index
        typical = np.median(index[np.isfinite(index)]) if np.isfinite(index).any() else 1.6
        self.rng, self.kinds, self.structures = rng, [""] * n, [None] * n
        self.light, self.step = np.empty((n, len(_APERTURES), len(_SCALES))), np.empty(n)
        for row, value in enumerate(np.where(np.isfinite(index), index, typical)):
            self._take(row, *self._draw_structure(row, value))
        self.flux = self.wanted / _at(_caught(self.light), self.step)

    def _draw_structure(self, row, index):
        """Structure with a given index in isolation: kind, components, aperture fluxes and step."""
        kind, parts, scale = draw_structure(self.choice[row], index, self.observation, self.rng)
        step = np.log(scale / _SCALES[0]) / _STEP
        return kind, parts, structure_light(parts, _SCALES, self.observation), step

    def _take(self, row, kind, parts, light, step):
        self.kinds[row], self.structures[row] = kind, parts
        self.light[row], self.step[row] = light, step

    @property
    def scales(self):
        """Scale of each structure, shape (n,)."""
        return _SCALES[0] * np.exp(_STEP * self.step)

    def candidates(self):
        """A `Candidate` for each row of the catalog, in order; not all have flux."""
        rows, result = self.all_rows, []
        painted = iter(zip(self.kinds, self.structures, self.scales, self._sources(), strict=True))
        for i, is_painted in enumerate(rows.paintable):
            kind, sources, truth = str(rows.kind[i]), [], {}
            if is_painted:
                kind, parts, scale, sources = next(painted)
                light = rows.label[i], parts, scale, rows.magnitude[i]
                truth = structure_truth(*light, self.observation)
            result.append(Candidate(rows.label[i], kind, rows.x[i], rows.y[i], sources, truth))
        return result

    def _sources(self):
        columns = self.structures, self.scales, *self.positions, self.flux
        return [structure_sources(*row) for row in zip(*columns, strict=True)]

    def clear(self, stars):
        """Remove stars that contribute to the apertures, so that only sources are measured.

        Parameters
        ----------
        stars : `~astroclust.simulation.drawing.Stars`
            Any number of stars.

        Returns
        -------
        stars : `~astroclust.simulation.drawing.Stars`
            Stars that are far from all sources or much fainter.
        """
        if not self.positions.size:
            return stars
        near, row = KDTree(self.positions.T).query(np.column_stack([stars.x, stars.y]))
        faint = stars.flux[V] < _FAINT_STAR * self.wanted[row, V]
        return stars[(near > _CLEAR) | faint]

    def settle(self, image, *, observed):
        """Adjust the flux of the sources in an image until the aperture photometry matches.

        Neighbors, the galaxy, subpixel position and noise contribute to the measurement; their
        contribution is taken from the previous iteration.

        Parameters
        ----------
        image : `~numpy.ndarray` of float32, shape (bands, ny, nx)
            Image with the sources from `candidates`; changed in place.
        observed : bool
            Whether the image includes detector effects: saturated stars are then unchanged.
            Otherwise, structures that cannot have the index are redrawn.
        """
        fractions = _fractions(self.positions)[:, None]
        sky = self.observation.sky_noise[_APERTURES]
        for _ in range(_ROUNDS):
            own, old = self._own_light(), self._sources()
            measured = _measure(image, *self.positions)
            excess = np.nan_to_num(measured - own)[:, :2]
            wanted = own[:, 2:] + fractions * np.nan_to_num(self.wanted - measured[:, 2:])
            wanted = np.maximum(wanted, _FAINTEST * self.wanted) * (self.wanted > 0)
            step, off = _solve(self.light, wanted[:, V], excess, self.index, self.step)
            before = self.step, self.flux
            self.step, self.flux = step, wanted / _at(_caught(self.light), step)
            change = np.abs(self._own_light() - own) > _CHANGE * own + _CHANGE_OF_SKY * sky
            same = ~change.any(axis=1) | (self.saturated & observed)
            self.step[same], self.flux[same] = before[0][same], before[1][same]
            changed = ~same
            if not observed:
                changed |= np.abs(off) > _MISFIT
                self._draw_again(np.flatnonzero(np.abs(off) > _MISFIT), excess, wanted)
            self._redraw(image, np.flatnonzero(changed), old)

    def _draw_again(self, rows, excess, wanted):
        """Replace structures that cannot have the index."""
        wide = self._own_light()[:, 1]
        core = 10 ** (-0.4 * self.index) * (wide + excess[:, 1]) - excess[:, 0]
        for row in rows[(core[rows] > 0) & (wide[rows] > core[rows])]:
            index = -2.5 * np.log10(core[row] / wide[row])
            drawn = self._draw_structure(row, index)
            if _miss(drawn[2], index) < _miss(self.light[row], index):
                self._take(row, *drawn)
        self.flux[rows] = wanted[rows] / _at(_caught(self.light[rows]), self.step[rows])

    def _own_light(self):
        """Aperture flux of each source in isolation, shape (n, 2 + bands)."""
        return _at(self.light, self.step) * self.flux[:, _APERTURES]

    def _redraw(self, image, rows, old):
        """Replace the old sources of some rows in the image with redrawn ones."""
        new = self._sources()

        def difference(row):
            less = [replace(source, flux=-source.flux) for source in old[row]]
            return draw_group(new[row] + less, self.observation)

        with ThreadPoolExecutor(2) as pool:
            for patch in pool.map(difference, rows):
                add_patch(image, *patch)


def _fractions(positions):
    """Fraction of the missing flux assigned to each source, smaller for more overlap."""
    tree = KDTree(positions.T)
    near = tree.sparse_distance_matrix(tree, _REACH, output_type="coo_matrix")
    overlap = 1 / (1 + (near.data / _RADII[-1]) ** 4)
    # Each source is its own neighbor.
    return 1 / np.bincount(near.row, overlap, minlength=positions.shape[1])


def _measure(image, x, y):
    """Flux in V within 1 and 3 pixels, and in each band within 4: shape (n, 2 + bands)."""
    bands = [Band(name, name, data) for name, data in zip(LEGUS_BANDS.roles, image, strict=True)]
    fluxes = measure_apertures(bands, x, y, _RADII, sky_statistic="mode")
    return np.column_stack([fluxes[V].flux[:, :2], *(band.flux[:, 2] for band in fluxes)])


def _at(light, step):
    """Aperture fluxes at a step between the scales, shape (n, apertures)."""
    low = np.clip(step.astype(int), 0, len(_SCALES) - 2)
    part, rows = (step - low)[:, None], np.arange(len(light))
    return light[rows, :, low] * (1 - part) + light[rows, :, low + 1] * part


def _miss(light, index):
    """Distance of an index from the range possible for an isolated structure."""
    core, wide = np.maximum(light[:2], _LEAST_CAUGHT)
    indices = -2.5 * np.log10(core / wide)
    return max(indices.min() - index, index - indices.max(), 0)


def _caught(light):
    """Fraction of flux in the magnitude apertures, bounded from below."""
    return np.maximum(light[:, 2:], _LEAST_CAUGHT)


def _solve(light, in_v, excess, index, step):
    """Scales at which sources have their index.

    Parameters
    ----------
    light : `~numpy.ndarray` of float64, shape (n, 2 + bands, scales)
        Aperture fluxes for unit flux.
    in_v : `~numpy.ndarray` of float64, shape (n,)
        Flux of the source within 4 pixels in V.
    excess : `~numpy.ndarray` of float64, shape (n, 2)
        Flux of other sources within 1 and 3 pixels.
    index, step : `~numpy.ndarray` of float64, shape (n,)
        Required index including the other sources, NaN for any, and current step among the scales.

    Returns
    -------
    step, off : `~numpy.ndarray` of float64, shape (n,)
        Closest step to the current one with the required index, or else the one with the closest
        index; and the remaining difference in index.
    """
    flux = in_v[:, None] / _caught(light)[:, V]
    core, wide = (flux * light[:, k] + excess[:, k, None] for k in (0, 1))
    is_light = (core > 0) & (wide > 0)
    ratio = np.divide(core, wide, where=is_light, out=np.full_like(core, np.nan))
    off = -2.5 * np.log10(ratio) - index[:, None]
    rows, steps = np.arange(len(off)), np.arange(len(_SCALES) - 1)
    crosses = off[:, :-1] * off[:, 1:] < 0
    low = np.argmin(np.where(crosses, np.abs(steps + 0.5 - step[:, None]), np.inf), axis=1)
    before, after = off[rows, low], off[rows, low + 1]
    found, known = crosses.any(axis=1), np.isfinite(off).any(axis=1)
    nearest = np.argmin(np.where(np.isfinite(off), np.abs(off), np.inf), axis=1)
    between = low + np.divide(before, before - after, where=found, out=np.zeros(len(off)))
    new = np.where(found, between, np.where(known, nearest, step))
    return new, np.where(found | ~known, 0.0, off[rows, nearest])
