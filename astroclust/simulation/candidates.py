# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The four classes of candidates: structure and flux of their components."""

from dataclasses import dataclass, field

import numpy as np

from astroclust.instruments import LEGUS_CLASSES
from astroclust.simulation.populations import REDDER, STAR_SLOPE, age_of_light, draw_stars
from astroclust.simulation.profiles import (
    Component,
    fit_structure,
    measured_flux,
    structure_sources,
)
from astroclust.simulation.template import N_BANDS, V

__all__ = [
    "CORRECTION_STEPS",
    "KINDS",
    "POINTS",
    "RESIDUE",
    "Candidate",
    "draw_candidate",
    "draw_star",
    "draw_structure",
    "structure_truth",
    "total_magnitudes",
]

#: Kinds of each class, and their fractions.
KINDS = {
    1: {"symmetric": 1.0},
    2: {"elongated": 0.35, "lopsided": 0.30, "neighbor": 0.20, "gradient": 0.15},
    3: {"association": 0.75, "sub-clusters": 0.25},
    4: {
        "star": 0.16,
        "single star": 0.12,
        "pair": 0.17,
        "triple": 0.12,
        "crowd": 0.22,
        "galaxy": 0.04,
        "fluff": 0.10,
        "saturated": 0.02,
        "nucleus": 0.01,
        "cosmic ray": 0.02,
        "hot pixel": 0.02,
    },
}
#: Kinds that are detector artifacts.
RESIDUE = ("cosmic ray", "hot pixel")
#: Point-like kinds, which the index cut excludes from catalogs, but which classifiers encounter.
POINTS = ("single star", "saturated")

# Slopes of the EFF profiles of NGC 628 and NGC 1313, and how often they were measured (Ryon et al.
# 2017); a slope near 1 stands for those at its limit, where the flux of a profile diverges.
_SLOPES = (1.0625, 1.125, 1.25, 1.375, 1.5, 1.625, 1.75, 2.0, 2.75)
_SLOPE_FRACTIONS = np.array([76, 62, 43, 23, 30, 24, 21, 24, 52]) / 355
# Mean offsets of the aperture correction from that in V (PHANGS-HST, Deger et al. 2022), NUV to I.
CORRECTION_STEPS = np.array([-0.19, -0.12, -0.03, 0.0, -0.12])
# Fraction of associations that are as wide as their index allows, with separate peaks.
_WIDE = 0.95
# Fraction of real galaxies among background galaxies, if any are given.
_REAL_GALAXIES = 0.5
# Fraction of blue stars among single stars, and how much fainter in V than candidates the stars of
# a crowd may be.
_BLUE_STARS, _FAINTER_STARS = 0.35, 1.0
# Redraws of a class-4 kind that cannot have the required index.
_TRIES, _NEAR_ENOUGH = 6, 0.08


@dataclass(frozen=True)
class Candidate:
    """Candidate at a position.

    Parameters
    ----------
    label : int
        Class, 1 to 4.
    kind : str
        One of `KINDS`.
    x, y : float
        0-based pixels.
    sources : list of `~astroclust.simulation.drawing.Source`
        Its sources; empty for detector residue.
    truth : dict
        Half-light radius of the main component (pc), axis ratio, number of components, and for
        classes 1 to 3 the age, mass and reddening of a population with its colors.
    """

    label: int
    kind: str
    x: float
    y: float
    sources: list
    truth: dict = field(default_factory=dict)


def draw_candidate(label, drawn, correction, x, y, observation, rng):
    """Draw a candidate of a class with the magnitudes and index of a catalog.

    Parameters
    ----------
    label : int
        Class.
    drawn : dict
        ``mag``, shape (5,), and ``ci``; see `~astroclust.simulation.populations.Population.draw`.
    correction : float
        Mean aperture correction of those magnitudes in V.
    x, y : float
        0-based pixels.
    observation : `~astroclust.simulation.observations.Observation`
        Zero points and PSF.
    rng : `~numpy.random.Generator`
        Random number generator for the structure.

    Returns
    -------
    candidate : `Candidate`
        Measured in isolation, without noise, by the method of LEGUS, it has the given magnitudes,
        and the index if its structure allows it.
    """
    kind, components, scale = draw_structure(KINDS[label], drawn["ci"], observation, rng)
    if kind in RESIDUE:
        return Candidate(label, kind, x, y, [])
    magnitudes = np.array(drawn["mag"])
    if kind == "saturated":
        magnitudes = magnitudes - magnitudes[V] + rng.uniform(15, 19)
    if kind in POINTS:
        # Catalogs do not cover these stars of all colors, most of which are too red for the cuts.
        flux = draw_stars(rng, magnitudes[[V]], observation.zero_points, _BLUE_STARS)[:, 0]
    else:
        in_aperture = magnitudes + observation.extinction - correction - CORRECTION_STEPS
        flux = 10 ** (0.4 * (observation.zero_points - in_aperture))
        flux = flux / np.maximum(measured_flux(components, scale, observation), 1e-3)
    truth = structure_truth(label, components, scale, magnitudes, observation)
    sources = structure_sources(components, scale, x, y, flux)
    return Candidate(label, kind, x, y, sources, truth)


def draw_star(x, y, faintest, observation, rng):
    """Draw a single star as detected without cuts.

    Parameters
    ----------
    x, y : float
        0-based pixels.
    faintest : float
        V of the faintest candidates; giants are brighter in I.
    observation : `~astroclust.simulation.observations.Observation`
        Zero points.
    rng : `~numpy.random.Generator`
        Random number generator for brightness and color.

    Returns
    -------
    candidate : `Candidate`
        Candidate of class 4, with a brightness from the luminosity function of field stars.
    """
    magnitude = faintest + _FAINTER_STARS - rng.exponential(1 / (STAR_SLOPE * np.log(10)))
    flux = draw_stars(rng, np.array([magnitude]), observation.zero_points, _BLUE_STARS)[:, 0]
    parts = _point(rng)
    truth = structure_truth(4, parts, 1.0, np.full(len(flux), np.nan), observation)
    return Candidate(4, POINTS[0], x, y, structure_sources(parts, 1.0, x, y, flux), truth)


def structure_truth(label, components, scale, magnitudes, observation):
    """True properties of a structure; see `Candidate.truth`."""
    main = components[0]
    truth = {
        "radius": main.radius * (1 if main.fixed else scale) * observation.pixel_pc,
        "axis_ratio": main.axis_ratio,
        "members": len(components),
    }
    if label in LEGUS_CLASSES.clusters and np.isfinite(magnitudes).all():
        names = ("log_age", "log_mass", "e_bv")
        light = age_of_light(magnitudes, observation.distance_modulus)
        truth |= dict(zip(names, light, strict=True))
    return truth


def draw_structure(kinds, index, observation, rng):
    """Draw a structure with a given concentration index, or close to it.

    Parameters
    ----------
    kinds : dict of str to float
        Kinds in `KINDS` to choose from, and their fractions.
    index : float
        Concentration index (mag) as measured in V.
    observation : `~astroclust.simulation.observations.Observation`
        Observation that defines the PSF.
    rng : `~numpy.random.Generator`
        Random number generator for kind and structure.

    Returns
    -------
    kind : str
        One of the kinds.
    components : list of `~astroclust.simulation.profiles.Component`
        The structure; empty for detector residue.
    scale : float
        Scale at which it has the index.
    """
    best = None
    for _ in range(_TRIES):
        kind = str(rng.choice(list(kinds), p=list(kinds.values())))
        if kind in RESIDUE:
            return kind, [], 1.0
        components = _components(kind, observation.ingredients.galaxies, rng)
        if kind in POINTS:
            return kind, components, 1.0
        widest = kind in KINDS[3] and rng.random() < _WIDE
        scale, reached = fit_structure(components, index, observation, widest=widest)
        misfit = abs(reached - index)
        if best is None or misfit < best[0]:
            best = misfit, kind, components, scale
        if misfit < _NEAR_ENOUGH:
            break
    return best[1:]


def total_magnitudes(sources, zero_points):
    """Total magnitudes (Vega) of sources, shape (bands,); NaN for zero flux."""
    if not sources:
        return np.full(len(zero_points), np.nan)
    total = np.sum([source.flux for source in sources], axis=0)
    return zero_points - 2.5 * np.log10(np.where(total > 0, total, np.nan))


def _tint(rng, scatter):
    """Relative flux in each band of a component with a scattered color, 1 in V."""
    steps = REDDER * rng.normal(0, scatter) + rng.normal(0, 0.2 * scatter, N_BANDS)
    return 10 ** (-0.4 * (steps - steps[V]))


def _cluster(rng, light, radius, axis_ratio, dx=0.0, dy=0.0):
    family = ("eff", float(rng.choice(_SLOPES, p=_SLOPE_FRACTIONS)))
    angle = rng.uniform(0, np.pi)
    return Component(light, dx, dy, radius, family, axis_ratio, angle)


def _aside(rng, distance):
    angle = rng.uniform(0, 2 * np.pi)
    return distance * np.cos(angle), distance * np.sin(angle)


def _symmetric(rng):
    """Nearly round; most clusters are somewhat elongated (Ryon et al. 2017)."""
    return [_cluster(rng, np.ones(N_BANDS), 1.0, 1 - 0.35 * rng.beta(1.2, 2.2))]


def _elongated(rng):
    return [_cluster(rng, np.ones(N_BANDS), 1.0, rng.uniform(0.3, 0.65))]


def _lopsided(rng):
    main = _cluster(rng, np.ones(N_BANDS), 1.0, rng.uniform(0.7, 1))
    light = rng.uniform(0.25, 0.7) * _tint(rng, 0.15)
    wing = _cluster(
        rng, light, rng.uniform(0.5, 1.2), rng.uniform(0.5, 1), *_aside(rng, rng.uniform(1.2, 2.5))
    )
    return [main, wing]


def _neighbor(rng):
    """A cluster with a star or a small cluster in its wings."""
    main = _cluster(rng, np.ones(N_BANDS), 1.0, rng.uniform(0.7, 1))
    offset = _aside(rng, rng.uniform(2.2, 5.0))
    light = rng.uniform(0.2, 0.8) * _tint(rng, 0.5)
    return [main, Component(light, *offset, rng.choice([0.0, 0.5]), fixed=True)]


def _gradient(rng):
    """Two generations, or dust on one side."""
    main = _cluster(rng, np.ones(N_BANDS), 1.0, rng.uniform(0.65, 1))
    light = rng.uniform(0.4, 0.9) * _tint(rng, 0.8)
    return [main, _cluster(rng, light, 0.9, 1.0, *_aside(rng, rng.uniform(0.7, 1.4)))]


def _peaks(rng, n, spread, steepness, scatter, clusters):
    """Components with a luminosity function, the brightest in the middle."""
    fluxes = np.sort(rng.random(n) ** steepness)[::-1] + 0.05
    parts = []
    for i, light in enumerate(fluxes):
        dx, dy = (0.0, 0.0) if i == 0 else rng.normal(0, spread, 2)
        radius = rng.uniform(0.2, 0.7) if rng.random() < clusters else 0.0
        parts.append(Component(light * _tint(rng, scatter), dx, dy, radius))
    return parts


def _with_patch(rng, parts, fraction, radius):
    """Components on a diffuse patch with a fraction of the flux."""
    dx, dy = rng.normal(0, 0.4 * radius, 2)
    light = fraction / (1 - fraction) * np.sum([part.relative_flux for part in parts], axis=0)
    axis_ratio, angle = rng.uniform(0.5, 1), rng.uniform(0, np.pi)
    return [*parts, Component(light, dx, dy, radius, ("sersic", 1.0), axis_ratio, angle)]


def _association(rng):
    parts = _peaks(rng, int(rng.integers(3, 10)), 2.4, 1.0, 0.35, 0.35)
    return _with_patch(rng, parts, rng.uniform(0.1, 0.5), 3.0)


def _sub_clusters(rng):
    parts = _peaks(rng, int(rng.integers(2, 5)), 2.6, 0.7, 0.25, 0.9)
    return _with_patch(rng, parts, rng.uniform(0.05, 0.4), 3.0)


def _star(rng):
    """A star that appears extended because of faint neighbors."""
    stars = [Component(np.ones(N_BANDS))]
    for _ in range(int(rng.integers(1, 4))):
        light = rng.uniform(0.04, 0.22) * _tint(rng, 0.6)
        stars.append(Component(light, *_aside(rng, rng.uniform(0.7, 2.5))))
    return stars


def _pair(rng):
    light = rng.uniform(0.25, 1.0) * _tint(rng, 0.7)
    return [Component(np.ones(N_BANDS)), Component(light, *_aside(rng, 1.5))]


def _triple(rng):
    parts = [Component(np.ones(N_BANDS))]
    for _ in range(2):
        light = rng.uniform(0.2, 1.0) * _tint(rng, 0.7)
        parts.append(Component(light, *_aside(rng, rng.uniform(1.0, 2.2))))
    return parts


def _crowd(rng):
    """A chance group of stars without a dominant one."""
    fluxes = rng.uniform(0.4, 1.0, int(rng.integers(3, 7)))
    return [
        Component(light * _tint(rng, 0.6), *_aside(rng, rng.uniform(0.5, 2.5))) for light in fluxes
    ]


def _components(kind, galaxies, rng):
    """Components of a kind of structure; galaxies may be real ones."""
    if kind == "galaxy" and galaxies and rng.random() < _REAL_GALAXIES:
        family, angle = ("real", galaxies[rng.integers(len(galaxies))]), rng.uniform(0, 2 * np.pi)
        return [Component(np.ones(N_BANDS), 0, 0, 1.0, family, position_angle=angle)]
    return _MAKERS[kind](rng)


def _galaxy(rng):
    """A background galaxy: bulge and disk."""
    axis_ratio, angle = rng.uniform(0.2, 0.95), rng.uniform(0, np.pi)
    disk = Component(np.ones(N_BANDS), 0, 0, 1.0, ("sersic", 1.0), axis_ratio, angle)
    bulge = rng.uniform(0.1, 1.0)
    light = bulge * 10 ** (-0.4 * 0.4 * REDDER)
    index = float(rng.choice([2.0, 4.0]))
    return [disk, Component(light, 0, 0, 0.4, ("sersic", index), max(axis_ratio, 0.6), angle)]


def _fluff(rng):
    """A patch of the galaxy without a peak, with a few faint stars."""
    axis_ratio, angle = rng.uniform(0.3, 1), rng.uniform(0, np.pi)
    patch = Component(np.ones(N_BANDS), 0, 0, 1.0, ("sersic", 1.0), axis_ratio, angle)
    stars = []
    for _ in range(int(rng.integers(0, 4))):
        light = rng.uniform(0.02, 0.1) * _tint(rng, 0.5)
        stars.append(Component(light, *rng.normal(0, 1.2, 2)))
    return [patch, *stars]


def _nucleus(rng):
    angle = rng.uniform(0, np.pi)
    return [Component(np.ones(N_BANDS), 0, 0, 1.0, ("sersic", 4.0), rng.uniform(0.6, 1), angle)]


def _point(rng):
    return [Component(np.ones(N_BANDS))]


_MAKERS = {
    "symmetric": _symmetric,
    "elongated": _elongated,
    "lopsided": _lopsided,
    "neighbor": _neighbor,
    "gradient": _gradient,
    "association": _association,
    "sub-clusters": _sub_clusters,
    "star": _star,
    "pair": _pair,
    "triple": _triple,
    "crowd": _crowd,
    "galaxy": _galaxy,
    "fluff": _fluff,
    "nucleus": _nucleus,
    "single star": _point,
    "saturated": _point,
}
