# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Stars of a field, both between candidates and crowded around each."""

import numpy as np

from astroclust.simulation.drawing import MARGIN, Ellipse, Source, Stars
from astroclust.simulation.populations import REDDER, STAR_SLOPE, draw_stars
from astroclust.simulation.positions import scatter
from astroclust.simulation.template import V

__all__ = ["diffuse_light", "draw_rivals", "field_stars", "missing_scatter", "surroundings"]

# Number of stars as bright as inspected candidates per candidate, and range above and below the
# faintest candidate (mag); chosen so that as many stars pass the cuts as in LEGUS.
_BRIGHT_STARS, _ABOVE, _BELOW = 0.25, 2.5, 6.5
# Fraction of upper main-sequence stars among the young stars, and of young stars.
_BLUE_OF_YOUNG, _YOUNG = 0.7, 0.5
# Factor by which companions must exceed the scatter left after clipping; measured.
_CLIPPED_AWAY = 1.3
# Color scatter of faint stars (approximately mag in B-V).
_COLOR_SCATTER = 0.5
# Distances of companions from the candidate in pixels: in and around the sky annulus, but not in
# the aperture. Their number, and the area over which the PSF spreads the flux of a star.
_INNER, _OUTER, _N_COMPANIONS, _PSF_AREA = 4.5, 10.0, 12, 14.0
# Cloud whose surface brightness declines across the annulus: its profile, distance, flux for unit
# scatter, and its fraction of the squared scatter.
_CLOUD, _CLOUD_AT, _LIGHT_OF_CLOUD = Ellipse(("sersic", 0.5), 9.0), 8.0, 1170.0
_OF_CLOUD = (0.0, 0.3)
# Upper limits of added scatter: relative to quiet sky, and to the flux of the candidate.
_LOUDEST, _LOUDEST_OF_LIGHT = 3.0, 0.002
# Stars around a candidate with at least a quarter of its flux: mean number within 25 pixels by
# class, and its scatter (natural logarithm); range of their flux relative to the candidate. Human
# classes depend on contrast with the surroundings. Chosen to give as many peaks around candidates
# as in the press picture of NGC 628 (benchmarks/twins.py).
_RIVALS, _RIVAL_SCATTER = {1: 1.2, 2: 2.5, 3: 3.0, 4: 8.0}, 0.8
_RIVAL_FLUX, _WITHIN = (0.02, 3.0), 25.0
# For classes 1 to 3, rivals above this fraction of the flux are at least this far away (pixels).
_CLEAR, _FAINT = 4.5, 0.15
# Fraction of blue stars among rivals, and the scale of their clumps (pixels).
_BLUE_RIVALS, _CLUMPS = 0.6, (6.0, 40.0)
# Maximum diffuse light added for scatter (e-/s per pixel): bulges have a few.
_BRIGHTEST = 5.0
# Number of disk stars per square pixel, and scatter of their brightness (natural logarithm).
_CROWD, _SPREAD = 0.06, 1.0


def field_stars(rng, shape, observation, population, density, galaxy):
    """Single stars, from brighter than the faintest candidates to far below the noise.

    Parameters
    ----------
    rng : `~numpy.random.Generator`
        Random number generator.
    shape : tuple of int
        (ny, nx).
    observation : `~astroclust.simulation.observations.Observation`
        Zero points.
    population : `~astroclust.simulation.populations.FieldPopulation`
        Magnitudes of the faintest candidates, and scatter of the unresolved stars.
    density : float
        Candidates per square pixel.
    galaxy : `~astroclust.simulation.galaxy.Galaxy`
        Distribution of young and old stars.

    Returns
    -------
    stars : `~astroclust.simulation.drawing.Stars`
        The stars, including those in a margin around the image.
    """
    area = (shape[0] + 2 * MARGIN) * (shape[1] + 2 * MARGIN)
    number = _BRIGHT_STARS * density * area * 10 ** (STAR_SLOPE * _BELOW)
    parts = [_crowd_of_stars(rng, shape, area, population.faint_stars, galaxy)]
    for fraction, blue, weight in (
        (_YOUNG, _BLUE_OF_YOUNG, galaxy.young),
        (1 - _YOUNG, 0.0, galaxy.old),
    ):
        n = rng.poisson(fraction * number)
        low, high = 10 ** (-STAR_SLOPE * _ABOVE), 10 ** (STAR_SLOPE * _BELOW)
        magnitudes = population.faintest + np.log10(low + (high - low) * rng.random(n)) / STAR_SLOPE
        positions = scatter(rng, shape, n, weight, margin=MARGIN)
        parts.append(Stars(*positions, draw_stars(rng, magnitudes, observation.zero_points, blue)))
    return Stars.concatenate(parts)


def _crowd_of_stars(rng, shape, area, wanted, galaxy):
    """Disk stars, which cause the scatter of even the quietest sky in each band."""
    n = rng.poisson(_CROWD * area)
    positions = scatter(rng, shape, n, galaxy.old, margin=MARGIN)
    light = rng.lognormal(-(_SPREAD**2), _SPREAD, n)  # with a mean square of 1
    light = light * 10 ** (-0.4 * REDDER[:, None] * rng.normal(0, _COLOR_SCATTER, n))
    return Stars(*positions, light * wanted[:, None] * np.sqrt(_PSF_AREA / _CROWD))


def missing_scatter(wanted, there, quiet, light):
    """Additional scatter required around a candidate.

    Parameters
    ----------
    wanted, there : array_like of float
        Desired scatter of the sky in V, and that without the surroundings (e-/s).
    quiet : float
        Scatter of quiet sky (e-/s).
    light : array_like of float
        Flux of the candidate in V (e-/s).

    Returns
    -------
    scatter : `~numpy.ndarray` of float64
        Limited to `_LOUDEST` times that of quiet sky and `_LOUDEST_OF_LIGHT` of the flux of the
        candidate: brighter clouds and stars would be candidates themselves.
    """
    missing = np.maximum(np.square(wanted) - np.square(there), 0)
    loudest = np.maximum(_LOUDEST * quiet, _LOUDEST_OF_LIGHT * np.asarray(light))
    return np.minimum(np.sqrt(missing), loudest)


def diffuse_light(scatter, quiet, exposure_time):
    """Smooth light whose photon noise alone explains the scatter of the sky.

    Parameters
    ----------
    scatter : array_like of float
        Scatter of the sky pixels in V (e-/s).
    quiet : float
        Scatter of quiet sky (e-/s).
    exposure_time : float
        Exposure time in V (s).

    Returns
    -------
    light : `~numpy.ndarray` of float64, shape of ``scatter``
        In e-/s per pixel in V.
    """
    excess = np.maximum(np.square(scatter) - quiet**2, 0)
    return np.minimum(excess * exposure_time, _BRIGHTEST)


def surroundings(rng, x, y, scatter, texture):
    """A cloud and faint stars that produce a given sky scatter around a candidate.

    Parameters
    ----------
    rng : `~numpy.random.Generator`
        Random number generator.
    x, y : float
        Position of the candidate, 0-based pixels.
    scatter : float
        Desired scatter of the pixels in the sky annulus in V, e-/s.
    texture : `~numpy.ndarray` of float64, shape (5,)
        Flux in each band relative to V; see `~astroclust.simulation.populations.FieldPopulation`.

    Returns
    -------
    cloud : list of `~astroclust.simulation.drawing.Source`
        One source, or none for zero scatter.
    stars : `~astroclust.simulation.drawing.Stars`
        Empty for zero scatter.
    """
    color = rng.normal(0, _COLOR_SCATTER)
    if scatter <= 0:
        return [], Stars.none(len(texture))
    of_cloud = rng.uniform(*_OF_CLOUD)
    n = rng.poisson(_N_COMPANIONS)
    radius = np.sqrt(rng.uniform(_INNER**2, _OUTER**2, n))
    angle = rng.uniform(0, 2 * np.pi, n)
    # Colors vary from region to region, and from star to star.
    colors = color + rng.normal(0, _COLOR_SCATTER, n)
    relative = texture[:, None] * 10 ** (-0.4 * REDDER[:, None] * colors)
    per_pixel = _N_COMPANIONS / np.pi / (_OUTER**2 - _INNER**2)
    # The mean square of exponential deviates is twice the square of their mean.
    mean_flux = _CLIPPED_AWAY * scatter * np.sqrt((1 - of_cloud) * _PSF_AREA / per_pixel / 2)
    flux = mean_flux * rng.exponential(1.0, n) * relative
    stars = Stars(x + radius * np.cos(angle), y + radius * np.sin(angle), flux)
    angle = rng.uniform(0, 2 * np.pi)
    light = _LIGHT_OF_CLOUD * np.sqrt(of_cloud) * scatter
    cloud = Source(
        x + _CLOUD_AT * np.cos(angle),
        y + _CLOUD_AT * np.sin(angle),
        light * texture * 10 ** (-0.4 * REDDER * color),
        _CLOUD,
    )
    return [cloud], stars


def draw_rivals(rng, label, x, y, flux, shape, zero_points):
    """Draw stars around a candidate of similar brightness, more for worse classes.

    Parameters
    ----------
    rng : `~numpy.random.Generator`
        Random number generator.
    label : int
        Class of the candidate, 1 to 4.
    x, y : float
        Position of the candidate, 0-based pixels.
    flux : float
        Flux of the candidate in V (e-/s).
    shape : tuple of int
        (ny, nx) of the image.
    zero_points : `~numpy.ndarray` of float64, shape (5,)
        Vega magnitude of 1 e-/s, NUV to I.

    Returns
    -------
    stars : `~astroclust.simulation.drawing.Stars`
        In loose clumps; for classes 1 to 3 none are bright within the aperture of the candidate.
    """
    faint, bright = _RIVAL_FLUX
    area = (shape[0] + 2 * MARGIN) * (shape[1] + 2 * MARGIN)
    slope = 2.5 * STAR_SLOPE
    number = _RIVALS[label] * area / (np.pi * _WITHIN**2) * (4 * faint) ** -slope
    n = rng.poisson(number * np.exp(rng.normal(-(_RIVAL_SCATTER**2) / 2, _RIVAL_SCATTER)))
    low, high = faint**-slope, bright**-slope
    relative = (high + (low - high) * rng.random(n)) ** (-1 / slope)
    positions = _clumps(rng, n, shape)
    if label != 4:
        near = np.hypot(positions[0] - x, positions[1] - y) < _CLEAR
        far = ~near | (relative < _FAINT)
        positions, relative = [axis[far] for axis in positions], relative[far]
    magnitudes = zero_points[V] - 2.5 * np.log10(relative * max(flux, 1e-3))
    return Stars(*positions, draw_stars(rng, magnitudes, zero_points, _BLUE_RIVALS))


def _clumps(rng, n, shape):
    """Positions x and y in overlapping clumps of a few stars."""
    spread = np.exp(rng.uniform(*np.log(_CLUMPS)))
    x, y = (
        rng.uniform(-MARGIN, size + MARGIN, max(n // 4, 1))[rng.integers(max(n // 4, 1), size=n)]
        for size in (shape[1], shape[0])
    )
    return [x + rng.normal(0, spread, n), y + rng.normal(0, spread, n)]
