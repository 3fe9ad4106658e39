# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The stars of a field: those between the candidates, and those that crowd about each."""

import numpy as np

from astroclust.simulation.drawing import MARGIN, Ellipse, Source, Stars
from astroclust.simulation.places import scatter
from astroclust.simulation.populations import REDDER, STAR_SLOPE, draw_stars
from astroclust.simulation.template import V

__all__ = ["diffuse_light", "draw_rivals", "field_stars", "missing_scatter", "surroundings"]

# Stars as bright as inspected candidates for each of these, and how far above and below the
# faintest candidate they go (mag); the number was chosen so that as many stars pass the cuts as in
# LEGUS.
_BRIGHT_STARS, _ABOVE, _BELOW = 0.25, 2.5, 6.5
# Share of the stars of the upper main sequence among the young stars, and of the young stars.
_BLUE_OF_YOUNG, _YOUNG = 0.7, 0.5
# How much more scatter companions must make than clipping leaves of it; measured.
_CLIPPED_AWAY = 1.3
# How the colors of faint stars scatter (mag in B-V, nearly).
_COLOR_SCATTER = 0.5
# Where companions lie (pixels from the candidate): in the annulus of the sky and around it, but
# not in the aperture. How many there are, and the area over which the PSF spreads a star's light.
_INNER, _OUTER, _N_COMPANIONS, _PSF_AREA = 4.5, 10.0, 12, 14.0
# A cloud whose light falls off across the annulus: its profile, how far away it is, the light that
# makes a scatter of 1, and the share of the squared scatter that is its.
_CLOUD, _CLOUD_AT, _LIGHT_OF_CLOUD = Ellipse(("sersic", 0.5), 9.0), 8.0, 1170.0
_OF_CLOUD = (0.0, 0.3)
# The most that is added: in units of the scatter of quiet sky, and of the light of the candidate.
_LOUDEST, _LOUDEST_OF_LIGHT = 3.0, 0.002
# Stars about a candidate with a quarter of its flux or more: their mean number within 25 pixels by
# class, and how much it scatters (natural logarithm); the faintest and brightest (of its flux).
# People see a class in what stands out from its surroundings. Chosen so that as many peaks are
# about the candidates as in the press picture of NGC 628 (benchmarks/twins.py).
_RIVALS, _RIVAL_SCATTER = {1: 1.2, 2: 2.5, 3: 3.0, 4: 8.0}, 0.8
_RIVAL_FLUX, _WITHIN = (0.02, 3.0), 25.0
# Around classes 1 to 3 no rival of more than this fraction of the flux is nearer (pixels).
_CLEAR, _FAINT = 4.5, 0.15
# Fraction of blue stars among rivals, and the scale of the clumps in which they lie (pixels).
_BLUE_RIVALS, _CLUMPS = 0.6, (6.0, 40.0)
# The most that light without structure adds to a scatter (e-/s a pixel): bulges have a few.
_BRIGHTEST = 5.0
# Stars of the disk a square pixel, and how much they differ in brightness (natural logarithm).
_CROWD, _SPREAD = 0.06, 1.0


def field_stars(rng, shape, observation, population, density, galaxy):
    """Single stars, from brighter than the faintest candidates to far below the noise.

    Parameters
    ----------
    rng : `~numpy.random.Generator`
        Draws them.
    shape : tuple of int
        (ny, nx).
    observation : `~astroclust.simulation.observations.Observation`
        Zero points.
    population : `~astroclust.simulation.populations.FieldPopulation`
        How faint candidates are, and what scatter the unresolved stars make.
    density : float
        Candidates a square pixel.
    galaxy : `~astroclust.simulation.galaxy.Galaxy`
        Distribution of young and old stars.

    Returns
    -------
    stars : `~astroclust.simulation.drawing.Stars`
        Also from a margin around the image.
    """
    area = (shape[0] + 2 * MARGIN) * (shape[1] + 2 * MARGIN)
    number = _BRIGHT_STARS * density * area * 10 ** (STAR_SLOPE * _BELOW)
    parts = [_crowd_of_stars(rng, shape, area, population.faint_stars, galaxy)]
    for share, blue, weight in (
        (_YOUNG, _BLUE_OF_YOUNG, galaxy.young),
        (1 - _YOUNG, 0.0, galaxy.old),
    ):
        n = rng.poisson(share * number)
        low, high = 10 ** (-STAR_SLOPE * _ABOVE), 10 ** (STAR_SLOPE * _BELOW)
        magnitudes = population.faintest + np.log10(low + (high - low) * rng.random(n)) / STAR_SLOPE
        places = scatter(rng, shape, n, weight, margin=MARGIN)
        parts.append(Stars(*places, draw_stars(rng, magnitudes, observation.zero_points, blue)))
    return Stars.concatenate(parts)


def _crowd_of_stars(rng, shape, area, wanted, galaxy):
    """The stars of the disk, which make the scatter of even the quietest sky in each band."""
    n = rng.poisson(_CROWD * area)
    places = scatter(rng, shape, n, galaxy.old, margin=MARGIN)
    light = rng.lognormal(-(_SPREAD**2), _SPREAD, n)  # with a mean square of 1
    light = light * 10 ** (-0.4 * REDDER[:, None] * rng.normal(0, _COLOR_SCATTER, n))
    return Stars(*places, light * wanted[:, None] * np.sqrt(_PSF_AREA / _CROWD))


def missing_scatter(wanted, there, quiet, light):
    """Scatter that the surroundings of a candidate must add to what is there.

    Parameters
    ----------
    wanted, there : array_like of float
        Scatter of the sky in V as it should be, and without the surroundings (e-/s).
    quiet : float
        That of quiet sky.
    light : array_like of float
        Light of the candidate in V (e-/s).

    Returns
    -------
    scatter : `~numpy.ndarray` of float64
        At most `_LOUDEST` times that of quiet sky, or `_LOUDEST_OF_LIGHT` of the candidate's light:
        of more, clouds and stars would be candidates.
    """
    missing = np.maximum(np.square(wanted) - np.square(there), 0)
    loudest = np.maximum(_LOUDEST * quiet, _LOUDEST_OF_LIGHT * np.asarray(light))
    return np.minimum(np.sqrt(missing), loudest)


def diffuse_light(scatter, quiet, exposure_time):
    """Light without structure whose photon noise alone would make the scatter of the sky.

    Parameters
    ----------
    scatter : array_like of float
        Scatter of the pixels of the sky in V (e-/s).
    quiet : float
        That of quiet sky.
    exposure_time : float
        Exposure time in V (s).

    Returns
    -------
    light : `~numpy.ndarray` of float64, shape of ``scatter``
        e-/s a pixel in V.
    """
    excess = np.maximum(np.square(scatter) - quiet**2, 0)
    return np.minimum(excess * exposure_time, _BRIGHTEST)


def surroundings(rng, x, y, scatter, texture):
    """A cloud and faint stars about a candidate that give the sky there a scatter.

    Parameters
    ----------
    rng : `~numpy.random.Generator`
        Draws them.
    x, y : float
        Place of the candidate, 0-based pixels.
    scatter : float
        Scatter of the pixels in V that they are to make in the annulus of the sky, e-/s.
    texture : `~numpy.ndarray` of float64, shape (5,)
        Their light in each band relative to V, as
        `~astroclust.simulation.populations.FieldPopulation` has it.

    Returns
    -------
    cloud : list of `~astroclust.simulation.drawing.Source`
        One, or none where there is no scatter to make.
    stars : `~astroclust.simulation.drawing.Stars`
        None there, too.
    """
    color = rng.normal(0, _COLOR_SCATTER)
    if scatter <= 0:
        return [], Stars.none(len(texture))
    of_cloud = rng.uniform(*_OF_CLOUD)
    n = rng.poisson(_N_COMPANIONS)
    radius = np.sqrt(rng.uniform(_INNER**2, _OUTER**2, n))
    angle = rng.uniform(0, 2 * np.pi, n)
    # Blue here and red there, and from star to star.
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
    """Stars about a candidate that are of its own brightness, the more the worse its class.

    Parameters
    ----------
    rng : `~numpy.random.Generator`
        Draws them.
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
        In loose clumps; none of class 1 to 3 is bright within the aperture of the candidate.
    """
    faint, bright = _RIVAL_FLUX
    area = (shape[0] + 2 * MARGIN) * (shape[1] + 2 * MARGIN)
    slope = 2.5 * STAR_SLOPE
    number = _RIVALS[label] * area / (np.pi * _WITHIN**2) * (4 * faint) ** -slope
    n = rng.poisson(number * np.exp(rng.normal(-(_RIVAL_SCATTER**2) / 2, _RIVAL_SCATTER)))
    low, high = faint**-slope, bright**-slope
    relative = (high + (low - high) * rng.random(n)) ** (-1 / slope)
    places = _clumps(rng, n, shape)
    if label != 4:
        near = np.hypot(places[0] - x, places[1] - y) < _CLEAR
        far = ~near | (relative < _FAINT)
        places, relative = [place[far] for place in places], relative[far]
    magnitudes = zero_points[V] - 2.5 * np.log10(relative * max(flux, 1e-3))
    return Stars(*places, draw_stars(rng, magnitudes, zero_points, _BLUE_RIVALS))


def _clumps(rng, n, shape):
    """Positions x and y in clumps of a few stars that run into one another."""
    spread = np.exp(rng.uniform(*np.log(_CLUMPS)))
    x, y = (
        rng.uniform(-MARGIN, size + MARGIN, max(n // 4, 1))[rng.integers(max(n // 4, 1), size=n)]
        for size in (shape[1], shape[0])
    )
    return [x + rng.normal(0, spread, n), y + rng.normal(0, spread, n)]
