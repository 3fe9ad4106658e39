# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Simulated fields: five images, their candidates, and the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.nddata import CCDData
from astropy.table import Table
from numpy.typing import ArrayLike
from photutils.segmentation import SegmentationImage
from threadpoolctl import threadpool_limits

from astroclust.catalogs import LegusField, find_field
from astroclust.detection.background import measure_background
from astroclust.images import Band, ImageSet
from astroclust.instruments import LEGUS_BANDS, BandSystem, find_band_system
from astroclust.photometry import ANNULUS, measure_apertures
from astroclust.simulation.candidates import KINDS, RESIDUE
from astroclust.simulation.catalog_rows import (
    Rows,
    gather_stars,
    open_catalog,
    place_on_sky,
    read_rows,
)
from astroclust.simulation.crowding import (
    field_stars,
    missing_scatter,
    surroundings,
)
from astroclust.simulation.detector import (
    add_noise,
    add_residue,
    coverage,
    saturate,
    scatter_residue,
    subtract_sky,
)
from astroclust.simulation.drawing import Stars, draw_field
from astroclust.simulation.galaxy import draw_galaxy
from astroclust.simulation.headers import header_of, units_of
from astroclust.simulation.ingredients import Ingredients
from astroclust.simulation.labels import label_noise
from astroclust.simulation.observations import Observation, observe_like
from astroclust.simulation.outlines import outline_sources
from astroclust.simulation.painting import Painting
from astroclust.simulation.populations import FieldPopulation, field_population
from astroclust.simulation.positions import crowding_of, draw_positions
from astroclust.simulation.psf import PSFGrid
from astroclust.simulation.systems import Scene, choose_bands, project, template_shape
from astroclust.simulation.template import N_BANDS, V
from astroclust.simulation.truth import field_wcs, truth_table

__all__ = ["Field", "simulate_field"]

# Fraction of class 4 that is drawn; the rest are chance groups of stars found by detection.
_DRAWN_OF_CLASS_4 = 0.9
# V of saturated stars (mag).
_SATURATED = (15.0, 19.0)
# Decimal logarithms of the lowest and highest diffuse light, e-/s per pixel in V.
_LOG_BRIGHTNESS = (-2.0, -1.2)
# Fraction of candidates recovered by detection.
_FOUND = 0.87
# Scatter in the relation between sky scatter and candidate crowding.
_CROWDING_SCATTER = 1.0


@dataclass(frozen=True)
class Field:
    """A simulated field.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet`
        Sky-subtracted images in five bands in electrons per second, with headers like those of
        LEGUS.
    candidates : `~astropy.table.Table`
        Candidates as observed: ``id``; ``x``, ``y`` (0-based pixels); ``ra``, ``dec``
        (degrees); ``class_human``, the mode of three experts' labels, and ``class_mean``, their
        mean.
    truth : `~astropy.table.Table`
        Truth for the same candidates, row by row: ``class``; ``kind``; total magnitudes ``mag_nuv``
        ... ``mag_i`` (Vega; NaN for detector residue); ``radius``, the half-light radius of the
        main component (pc); its ``axis_ratio``; ``members``, the number of components; ``log_age``,
        ``log_mass`` and ``e_bv`` of the stellar population with these colors.
    sources : `~astropy.table.Table`, optional
        With ``outlines``, all visible sources, including single stars: ``label``; ``x``, ``y``;
        ``class``, 4 for stars; ``kind``; ``candidate``, the ``id`` in ``truth``, or 0; ``mag_v``;
        ``flux_v``, the total in V (e-/s); ``xmin``, ``xmax``, ``ymin``, ``ymax``, the first and
        last pixels.
    segments : `~photutils.segmentation.SegmentationImage`, optional
        With ``outlines``, the ``label`` of the brightest source in each pixel.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> field = simulate_field(like="ngc1566", shape=(64, 64), seed=1, density=2e-3)
    >>> field.images.filters
    ('F275W', 'F336W', 'F438W', 'F555W', 'F814W')
    >>> field.candidates.colnames
    ['id', 'x', 'y', 'ra', 'dec', 'class_human', 'class_mean']
    >>> len(field.truth) == len(field.candidates)
    True
    """

    images: ImageSet
    candidates: Table
    truth: Table
    sources: Table | None = None
    segments: SegmentationImage | None = None


def simulate_field(
    *,
    like: str | None = None,
    shape: Sequence[int] | None = None,
    seed: int | Sequence[int],
    density: float | None = None,
    catalog: Table | None = None,
    galaxies: str | Path | Sequence[ArrayLike] | None = None,
    psf: Mapping[tuple[str, str], PSFGrid | str | Path] | None = None,
    system: str | BandSystem = LEGUS_BANDS,
    outlines: bool = False,
    progress_bar: bool = False,
) -> Field:
    """Simulate a field like one of LEGUS, or paint a given catalog.

    By default, a catalog is drawn and then painted. Magnitudes, colors, concentration and crowding
    of the candidates of each class follow the released catalog of the field, or of the most similar
    one; so do the class fractions and the separations of candidates. Candidates lie on spiral arms,
    among stars down to far below the noise, and are observed with the cameras and exposure times of
    the field.

    Each painted source is at its catalog position, with the flux for which LEGUS's apertures
    recover its catalog magnitudes and concentration index, given its neighbors, sky and noise. A
    given catalog is painted on a galaxy with young stars around its sources.

    Parameters
    ----------
    like : str, optional
        Name of a LEGUS field; see `~astroclust.catalogs.find_field`. By default, that of the
        catalog (``FIELD`` in its metadata) or, without a catalog, ``"ngc628-c"``.
    shape : tuple of int, optional
        Shape of the images, (ny, nx), in pixels of the band system, 0.0396 arcsec for LEGUS; by
        default just beyond the last position of the catalog or, without a catalog, (600, 600).
    seed : int or sequence of int
        Random seed; equal seeds give equal pixels.
    density : float, optional
        Candidates per square pixel; by default such that as many are found as in the crowded part
        of the field.
    catalog : `~astropy.table.Table`, optional
        Catalog to paint, as returned by `~astroclust.catalogs.read_legus`: ``x``, ``y``,
        ``mag_f275w`` ..., ``ci``, and ``class_human``, ``class_hybrid`` or ``class_ml``, of which
        the first nonzero value is used. Bands without a magnitude have zero flux. ``id``, ``ra``,
        ``dec``, ``class_mean`` and the errors, which constrain the crowding, are used if present.
    galaxies : path-like or sequence of array_like, optional
        Stamps of real galaxies, used for half of the background galaxies: a FITS file with one
        stamp per extension, like those of GalSim, or arrays. By default all are parametric.
    psf : mapping, optional
        Mapping from ``(camera, filter)`` to a `~astroclust.simulation.psf.PSFGrid` or the path of
        an STScI STDPSF file, such as ``{("uvis", "F814W"): "stdpsf.fits"}``. Other filters have the
        parametric PSF.
    system : str or `~astroclust.instruments.BandSystem`, optional
        Band system of the images. Sources are drawn in the LEGUS bands and converted to other
        systems with the spectra of ``astroclust.simulation.spectra``. Bands observed by LEGUS have
        the same pixels in all systems with the same pixel size.
    outlines : bool, optional
        Whether to return the pixels of each source, in ``sources`` and ``segments``; only for band
        systems with the pixel size of LEGUS.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    field : `Field`
        ``images``, ``candidates`` and ``truth``. A given catalog keeps all its rows in order, with
        kind "none" for those without V or a position. With ``outlines``, also ``sources`` and
        ``segments``.

    Raises
    ------
    KeyError
        If LEGUS has no such field.
    TypeError
        If the catalog is not a table, or ``psf`` is not a mapping.
    ValueError
        If another argument is invalid, the catalog is empty or lacks a column, or ``galaxies`` or
        ``psf`` contain none; or a band of ``system`` has no default filter, PSF or zero point, or
        ``outlines`` is true for pixels of another size.

    Warns
    -----
    `~astropy.utils.exceptions.AstropyUserWarning`
        If rows of the catalog have no V or no position.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> field = simulate_field(like="ngc1566", shape=(128, 128), seed=1)
    >>> field.images.shape
    (128, 128)
    """
    system = find_band_system(system)
    if outlines and system.pixel_scale != LEGUS_BANDS.pixel_scale:
        raise ValueError(
            f"outlines require pixels of {LEGUS_BANDS.pixel_scale} arcsec, but those of "
            f"{system.name} have {system.pixel_scale}; omit outlines"
        )
    if catalog is not None:
        like, covered = open_catalog(catalog, like, shape, density)
        zoom = LEGUS_BANDS.pixel_scale / system.pixel_scale
        shape = [int(np.ceil(zoom * n)) for n in covered] if shape is None else shape
    like, shape = "ngc628-c" if like is None else like, (600, 600) if shape is None else shape
    if len(shape) != 2 or min(shape) < 32:
        raise ValueError(f"shape must be at least 32 x 32 pixels, not {shape}")
    if density is not None and not density > 0:
        raise ValueError(f"density must be positive, not {density}")
    shape = tuple(int(n) for n in shape)
    rng = np.random.default_rng(seed)
    population = field_population(like)
    observation = observe_like(like, rng, population.noise, Ingredients.read(galaxies, psf))
    chosen = choose_bands(system, observation.filters)
    studio = _Studio(
        rng,
        template_shape(shape, system),
        find_field(like),
        population,
        observation,
        progress_bar,
    )
    wcs = field_wcs(studio.shape)
    if catalog is None:
        galaxy = studio.galaxy()
        rows = _draw_rows(
            studio, population.density / _FOUND if density is None else density, galaxy
        )
    else:
        rows = read_rows(catalog, population, observation)
        # The arms of a catalog are traced by its clusters.
        galaxy = gather_stars(studio.galaxy(contrast=0.0), rows[rows.paintable], observation)
        wcs = place_on_sky(wcs, catalog)
    image, scene = _paint(studio, rows, galaxy)
    move = chosen.move(studio.shape, shape)
    wcs = move.wcs(wcs)
    images = _images(studio, chosen, image, scene, move, wcs)
    truth = truth_table(scene.candidates, observation, move, wcs)
    # Plain numbers can be written to files.
    truth.meta |= {"FIELD": studio.field.name, "SEED": np.array(seed).tolist()}
    known = truth["id", "x", "y", "ra", "dec"]
    if catalog is None:
        labels = label_noise(truth["class"], seed=rng.integers(2**31), kinds=truth["kind"])
        known["class_human"], known["class_mean"] = labels["class_mode"], labels["class_mean"]
    else:
        truth["id"][:] = known["id"][:] = rows.id
        known["class_human"], known["class_mean"] = truth["class"], rows.class_mean
    outlined = outline_sources(scene, _noise(image)) if outlines else ()
    return Field(images, known, truth, *outlined)


@dataclass(frozen=True, eq=False)
class _Studio:
    """Data common to all steps of drawing a field."""

    rng: np.random.Generator
    shape: tuple
    field: LegusField
    population: FieldPopulation
    observation: Observation
    progress_bar: bool

    def draw(self, sources, stars):
        """Mean image of sources and stars."""
        return draw_field(
            sources, stars, self.shape, self.observation, progress_bar=self.progress_bar
        )

    def galaxy(self, contrast=None):
        """Diffuse light, as bright as in LEGUS fields."""
        brightness = 10 ** self.rng.uniform(*_LOG_BRIGHTNESS)
        return draw_galaxy(
            self.rng, self.shape, self.observation, brightness=brightness, contrast=contrast
        )

    def stars(self, density, galaxy):
        """Single stars of the field."""
        return field_stars(self.rng, self.shape, self.observation, self.population, density, galaxy)


def _paint(studio, rows, galaxy):
    """Paint the rows of a catalog on a galaxy: images and sources."""
    ci_cut, rng = studio.field.ci_cut, studio.rng
    painting = Painting(rows, studio.population, studio.observation, ci_cut, rng)
    density = max(np.count_nonzero(rows.label), 1) / np.prod(studio.shape)
    stars = painting.clear(studio.stars(density, galaxy))
    candidates = painting.candidates()
    with threadpool_limits(1):
        sources = [source for candidate in candidates for source in candidate.sources]
        image = galaxy.light + studio.draw(sources, stars)
        clouds, crowd = _crowd(studio, image, galaxy.light[V], painting)
        crowd = painting.clear(crowd)
        image += studio.draw(clouds, crowd)
        painting.settle(image, observed=False)
        residue = [(each.kind, each.x, each.y) for each in candidates]
        _observe(image, residue, studio.observation, studio.rng)
        # The catalog was measured with noise: the noise here is part of its values.
        painting.settle(image, observed=True)
    return image, Scene(studio.observation, galaxy, painting.candidates(), [clouds], stars + crowd)


def _images(studio, bands, image, scene, move, wcs):
    """Images of all bands of a system."""
    parts = [_layers(image, scene.observation, studio.field, wcs), []]
    if bands.drawn:
        rng = studio.rng.spawn(1)[0]
        target = bands.observe(scene.observation, rng)
        sources, stars, drawn = project(scene, target, move)
        with threadpool_limits(1):
            drawn += draw_field(sources, stars, move.new, target, progress_bar=studio.progress_bar)
        residue = [(each.kind, *move.position(each.x, each.y)) for each in scene.candidates]
        _observe(drawn, residue, target, rng)
        parts[1] = _layers(drawn, target, studio.field, wcs)
    layers = dict(zip(bands.system.roles, bands.merge(*parts), strict=True))
    roles = {name: role for role, (name, _) in layers.items()}
    others = {name: role for name, role in roles.items() if name not in bands.system.filters}
    return ImageSet(dict(layers.values()), roles=others, system=bands.system)


def _noise(image):
    bands = [Band(name, name, data) for name, data in zip(LEGUS_BANDS.roles, image, strict=True)]
    return [measure_background(band, None, 1).noise for band in bands]


def _layers(image, observation, field, wcs):
    """Filter and image of each band, with the unit and header of its telescope."""
    columns = (
        observation.filters,
        image,
        units_of(observation),
        header_of(observation, field),
    )
    return [
        (name, CCDData(_in_unit(pixels, factor), unit=unit, wcs=wcs, meta=header))
        for name, pixels, (unit, factor), header in zip(*columns, strict=True)
    ]


def _in_unit(pixels, factor):
    return pixels if factor == 1 else pixels * np.float32(factor)


def _draw_rows(studio, density, galaxy):
    """Draw a catalog like that of the field, on the arms of a galaxy."""
    rng, population = studio.rng, studio.population
    groups = population.group_fraction, population.group_size, population.group_radius
    x, y = positions = draw_positions(rng, studio.shape, density, *groups, np.sqrt(galaxy.young))
    label, drawn = _draw_quantities(rng, positions, population)
    magnitude = np.reshape([quantities["mag"] for quantities in drawn], (-1, N_BANDS))
    index, log_noise = (np.array([q[name] for q in drawn], float) for name in ("ci", "log_noise"))
    kind = rng.choice(list(KINDS[4]), size=len(x), p=list(KINDS[4].values()))
    kind = np.where(label == 4, kind, "none")
    full = kind == "saturated"
    magnitude[full] += (rng.uniform(*_SATURATED, len(x)) - magnitude[:, V])[full, None]
    is_residue = np.isin(kind, RESIDUE)
    magnitude[is_residue] = np.nan
    kind = np.where(is_residue, kind, "none")
    nobody = np.full(len(x), np.nan)
    return Rows(1 + np.arange(len(x)), x, y, label, nobody, magnitude, index, 10**log_noise, kind)


def _draw_quantities(rng, positions, population):
    """Draw class and quantities at each position, noisier in more crowded ones."""
    fractions = np.array([part.fraction for part in population.classes.values()])
    fractions[list(population.classes).index(4)] *= _DRAWN_OF_CLASS_4
    labels = rng.choice(
        list(population.classes), size=len(positions[0]), p=fractions / fractions.sum()
    )
    drawn = [population.classes[label].draw(rng) for label in labels.tolist()]
    crowded = crowding_of(positions) * np.exp(rng.normal(0, _CROWDING_SCATTER, len(drawn)))
    by_noise = np.argsort([quantities["log_noise"] for quantities in drawn])
    order = np.empty(len(drawn), int)
    order[np.argsort(crowded)] = by_noise
    return labels[order], [drawn[i] for i in order]


def _crowd(studio, image, diffuse, painting):
    """Clouds and faint stars around the candidates that add the missing scatter."""
    v_band = Band("V", "V", image[V])
    positions, light = painting.positions, painting.wanted[:, V]
    scatter = measure_apertures([v_band], *positions, ANNULUS[:1], sky_statistic="mode")[0].scatter
    column, row = np.rint(positions).astype(int)
    inside = np.clip(row, 0, len(diffuse) - 1), np.clip(column, 0, diffuse.shape[1] - 1)
    photon_noise = np.sqrt(diffuse[inside] / studio.observation.exposure_times[V])
    there = np.hypot(np.nan_to_num(scatter), studio.observation.sky_noise[V])
    there = np.hypot(there, photon_noise)
    missing = missing_scatter(painting.rows.noise, there, studio.population.quiet, light)
    clouds, crowd = [], [Stars.none()]
    for x, y, scatter in zip(*positions, missing, strict=True):
        cloud, stars = surroundings(studio.rng, x, y, scatter, studio.population.texture)
        clouds += cloud
        crowd.append(stars)
    return clouds, Stars.concatenate(crowd)


def _observe(image, residue, observation, rng):
    """Apply detector and pipeline effects in place."""
    for kind, x, y in residue:
        add_residue(image, kind, x, y, observation, rng)
    saturate(image, observation)
    add_noise(image, observation, rng, coverage(image.shape[1:], observation, rng))
    scatter_residue(image, observation, rng)
    subtract_sky(image)
