# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Painted catalogs: each source at its position, with its magnitudes and its index."""

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

# LEGUS: the index is that of 1 and 3 pixels, magnitudes are those of 4.
_RADII = (*CI_RADII, 4.0)
# Rounds of correction. No source is dimmed to less than a share of what its magnitude says.
_ROUNDS, _FAINTEST = 3, 0.02
# Light that changes by less than this, and by less than the noise of so many pixels of sky, is left
# as it is.
_CHANGE, _CHANGE_OF_SKY = 0.004, 0.2
# How far from a source stars are that are not much fainter (pixels, share of its light).
_CLEAR, _FAINT_STAR = 5.0, 0.02
# Least share of its light that an aperture is taken to catch.
_LEAST_CAUGHT = 0.05
# Where sources lie farther from one another than this (pixels), apertures are their own.
_REACH = 12.0
# Kinds that can have the light and the index of a catalog, by class. What was not inspected (0)
# is of the kinds of class 4.
_NOT_PAINTED = (*RESIDUE, *POINTS)
# What is no cluster is a star where it is as sharp as one, and where a star as bright would fill
# its brightest pixel, which has this share of the light in the aperture: such are saturated.
_STAR, _SATURATED, _PEAK = {"star": 1.0}, {"saturated": 1.0}, 0.18
# Scales at which structures are tried; they go up by equal factors.
_SCALES = np.geomspace(0.05, 6.0, 36)
_STEP = np.log(_SCALES[1] / _SCALES[0])
# The bands of the apertures of `structure_light`.
_APERTURES = [V, V, *range(N_BANDS)]
# Sources that miss their index by more than this are drawn again.
_MISFIT = 0.02


def _painted(kinds):
    shares = {kind: share for kind, share in kinds.items() if kind not in _NOT_PAINTED}
    return {kind: share / sum(shares.values()) for kind, share in shares.items()}


_PAINTED = {label: _painted(KINDS[label or 4]) for label in range(5)}


class Painting:
    """The sources of a catalog, to be drawn and then brought to what the catalog says.

    Parameters
    ----------
    rows : `~astroclust.simulation.catalog_rows.Rows`
        The catalog.
    population : `~astroclust.simulation.populations.FieldPopulation`
        Its aperture correction.
    observation : `~astroclust.simulation.observations.Observation`
        Zero points and PSF.
    ci_cut : float
        Smallest concentration index of a candidate (mag): what has a smaller one and no class is
        a star.
    rng : `~numpy.random.Generator`
        Draws the structures.
    """

    def __init__(self, rows, population, observation, ci_cut, rng):
        self.observation, self.all_rows = observation, rows
        self.rows = rows[rows.paintable]
        self.positions = np.array([self.rows.x, self.rows.y])
        self.wanted = in_aperture(self.rows.magnitude, population, observation)
        self._choose_kinds(ci_cut)
        self._draw_structures(rng)

    def _choose_kinds(self, ci_cut):
        """What each row may be, and the index that it is to have."""
        camera, pixel_scale = self.observation.cameras[V], self.observation.pixel_scale
        limit = full_well(camera, pixel_scale) / (self.observation.exposure_times[V] / EXPOSURES)
        no_cluster = np.isin(self.rows.label, (0, 4))
        self.saturated = no_cluster & (_PEAK * self.wanted[:, V] > limit)
        is_star = (self.rows.label == 0) & (self.rows.index < ci_cut)
        self.choice = [
            _SATURATED if full else _STAR if star else _PAINTED[label]
            for full, star, label in zip(self.saturated, is_star, self.rows.label, strict=True)
        ]
        # That of a saturated star is what saturation makes of it.
        self.index = np.where(self.saturated, np.nan, self.rows.index)

    def _draw_structures(self, rng):
        """A structure for each row, its light in the apertures, and that which it gets."""
        n, index = len(self.wanted), self.index
        typical = np.median(index[np.isfinite(index)]) if np.isfinite(index).any() else 1.6
        self.rng, self.kinds, self.structures = rng, [""] * n, [None] * n
        self.light, self.step = np.empty((n, len(_APERTURES), len(_SCALES))), np.empty(n)
        for row, value in enumerate(np.where(np.isfinite(index), index, typical)):
            self._take(row, *self._draw_structure(row, value))
        self.flux = self.wanted / _at(_caught(self.light), self.step)

    def _draw_structure(self, row, index):
        """A structure for a row, which alone has an index: its kind, scale, parts and light."""
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
        """A `Candidate` for each row of the catalog, in its order; not all have light."""
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
        """Stars without those that shine into the apertures: what is seen there is the source.

        Parameters
        ----------
        stars : `~astroclust.simulation.drawing.Stars`
            Any number of them.

        Returns
        -------
        stars : `~astroclust.simulation.drawing.Stars`
            Those that are far from sources or much fainter.
        """
        if not self.positions.size:
            return stars
        near, row = KDTree(self.positions.T).query(np.column_stack([stars.x, stars.y]))
        faint = stars.flux[V] < _FAINT_STAR * self.wanted[row, V]
        return stars[(near > _CLEAR) | faint]

    def settle(self, image, *, observed):
        """Change the light of the sources in an image until the apertures catch what they should.

        Neighbors, the galaxy, the position of a source in its pixel and noise add to what is
        measured of it; what they add is taken for that of the round before.

        Parameters
        ----------
        image : `~numpy.ndarray` of float32, shape (bands, ny, nx)
            With the sources as `candidates` gave them; changed in place.
        observed : bool
            Whether the image is as the detector has it: saturated stars then stay. Else a source
            gets another structure where its own cannot have the index.
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
        """Other structures where those that there are cannot have the index."""
        wide = self._own_light()[:, 1]
        core = 10 ** (-0.4 * self.index) * (wide + excess[:, 1]) - excess[:, 0]
        for row in rows[(core[rows] > 0) & (wide[rows] > core[rows])]:
            index = -2.5 * np.log10(core[row] / wide[row])
            drawn = self._draw_structure(row, index)
            if _miss(drawn[2], index) < _miss(self.light[row], index):
                self._take(row, *drawn)
        self.flux[rows] = wanted[rows] / _at(_caught(self.light[rows]), self.step[rows])

    def _own_light(self):
        """What the apertures would catch of each source alone, shape (n, 2 + bands)."""
        return _at(self.light, self.step) * self.flux[:, _APERTURES]

    def _redraw(self, image, rows, old):
        """Draw the sources of rows in place of the old ones."""
        new = self._sources()

        def difference(row):
            less = [replace(source, flux=-source.flux) for source in old[row]]
            return draw_group(new[row] + less, self.observation)

        with ThreadPoolExecutor(2) as pool:
            for patch in pool.map(difference, rows):
                add_patch(image, *patch)


def _fractions(positions):
    """Fraction of the missing flux that a source takes on: the less, the more it overlaps."""
    tree = KDTree(positions.T)
    near = tree.sparse_distance_matrix(tree, _REACH, output_type="coo_matrix")
    overlap = 1 / (1 + (near.data / _RADII[-1]) ** 4)
    # Each source is its own neighbor.
    return 1 / np.bincount(near.row, overlap, minlength=positions.shape[1])


def _measure(image, x, y):
    """Light in V within 1 and 3 pixels, in each band within 4: shape (n, 2 + bands)."""
    bands = [Band(name, name, data) for name, data in zip(LEGUS_BANDS.roles, image, strict=True)]
    fluxes = measure_apertures(bands, x, y, _RADII, sky_statistic="mode")
    return np.column_stack([fluxes[V].flux[:, :2], *(band.flux[:, 2] for band in fluxes)])


def _at(light, step):
    """Light at a step between the scales, shape (n, apertures)."""
    low = np.clip(step.astype(int), 0, len(_SCALES) - 2)
    part, rows = (step - low)[:, None], np.arange(len(light))
    return light[rows, :, low] * (1 - part) + light[rows, :, low + 1] * part


def _miss(light, index):
    """How far an index is from those that a structure alone can have."""
    core, wide = np.maximum(light[:2], _LEAST_CAUGHT)
    indices = -2.5 * np.log10(core / wide)
    return max(indices.min() - index, index - indices.max(), 0)


def _caught(light):
    """The share of the light that the apertures of the magnitudes catch, at least a little."""
    return np.maximum(light[:, 2:], _LEAST_CAUGHT)


def _solve(light, in_v, excess, index, step):
    """Scales at which sources have their index.

    Parameters
    ----------
    light : `~numpy.ndarray` of float64, shape (n, 2 + bands, scales)
        In the apertures for a flux of 1.
    in_v : `~numpy.ndarray` of float64, shape (n,)
        Light of the source within 4 pixels in V.
    excess : `~numpy.ndarray` of float64, shape (n, 2)
        Light of others within 1 and 3 pixels.
    index, step : `~numpy.ndarray` of float64, shape (n,)
        The index with that, NaN where any will do, and the step of the source among the scales.

    Returns
    -------
    step, off : `~numpy.ndarray` of float64, shape (n,)
        The step with the index that is nearest to that of the source, or else the one that comes
        nearest to the index; and how far from the index that is.
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
