# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""What there is to see: the four classes of candidates, field stars, diffuse light."""

import galsim
import numpy as np
from scipy import ndimage

from astroclust.simulation.scenes import MARGIN, ZERO_POINTS, Source, eff_profile

__all__ = ["diffuse_light", "draw_candidate", "field_stars", "v_magnitude"]

# Galactic extinction relative to E(B-V), from the LEGUS table (NGC 628), NUV to I.
EXTINCTION = np.array([6.1, 4.9, 4.0, 3.1, 1.7])

# Colours NUV-U, U-B, B-V, V-I (Vega, no dust) of young to old clusters by log10(age / yr): medians
# of classified clusters in NGC 628C by age, NUV-U and B-V filled in by eye from the class medians.
CLUSTER_AGES = np.array([6.0, 6.5, 7.0, 7.5, 8.0, 8.5, 9.5])
CLUSTER_COLORS = np.array(
    [
        [-0.50, -1.40, -0.05, 0.25],
        [-0.40, -1.10, -0.05, 0.25],
        [-0.35, -0.85, 0.10, 0.85],
        [-0.20, -0.80, 0.10, 0.80],
        [0.00, -0.45, 0.15, 0.60],
        [0.30, -0.05, 0.25, 0.60],
        [1.20, 0.15, 0.70, 1.15],
    ]
)
# Mean and scatter of log10(age / yr) by class, after the SED ages of NGC 628C.
CLASS_AGES = {1: (7.7, 0.7), 2: (7.0, 0.7), 3: (6.6, 0.5)}
# The bluest and reddest stars, in the same four colours.
STAR_COLORS = np.array([[-0.5, -1.3, -0.25, -0.25], [2.0, 1.6, 1.6, 2.2]])

# What is detected and is no cluster is mostly a star, or a blend of them; the rest is rare.
KINDS_OF_CLASS_4 = {
    "star": 0.56,
    "pair": 0.14,
    "triple": 0.08,
    "saturated": 0.04,
    "galaxy": 0.06,
    "cosmic ray": 0.04,
    "hot pixel": 0.04,
    "fluff": 0.04,
}


def _flux(magnitude, colors):
    """Flux in e-/s in five bands from the V magnitude and the four colours."""
    nuv_u, u_b, b_v, v_i = colors
    relative = np.array([nuv_u + u_b + b_v, u_b + b_v, b_v, 0, -v_i])
    return 10 ** (0.4 * (ZERO_POINTS - magnitude - relative))


def _redden(flux, e_bv):
    return flux * 10 ** (-0.4 * (EXTINCTION - EXTINCTION[3]) * e_bv)


def _cluster_flux(rng, magnitude, label):
    mean, scatter = CLASS_AGES[label]
    age = np.clip(rng.normal(mean, scatter), CLUSTER_AGES[0], CLUSTER_AGES[-1])
    colors = [np.interp(age, CLUSTER_AGES, column) for column in CLUSTER_COLORS.T]
    flux = _flux(magnitude, np.array(colors) + rng.normal(0, 0.15, 4))
    return _redden(flux, min(rng.exponential(0.15), 1.0))


def _star_flux(rng, magnitude, kind=None):
    """Flux of a ``"blue"`` star of the main sequence or of a ``"giant"``; by default of either."""
    if kind is None:
        kind = "blue" if rng.random() < 0.5 else "giant"
    place = rng.beta(0.6, 2.0) if kind == "blue" else rng.beta(4.0, 1.5)
    blue, red = STAR_COLORS
    return _redden(_flux(magnitude, blue + (red - blue) * place), min(rng.exponential(0.1), 1.0))


def _magnitude(rng, conditions):
    """V of a candidate: a luminosity function of slope -2.2, ended at the faint limit."""
    return max(conditions.faint_limit - rng.exponential(0.9), 17.5)


def _radius(rng, conditions):
    """Half-light radius in pixels: log-normal about 2.7 pc.

    No smaller than 0.6 pixels: candidates are those that the concentration index tells from stars.
    """
    parsec = 2.7 * 10 ** rng.normal(0, 0.22)
    return float(np.clip(parsec / conditions.pixel_pc, 0.6, 8.0))


def _cluster_profile(rng, radius, axis_ratio):
    slope = round(8 * rng.uniform(1.3, 2.5)) / 8
    profile = eff_profile(slope).dilate(radius)
    return profile.shear(q=axis_ratio, beta=rng.uniform(0, np.pi) * galsim.radians)


def _offset(rng, radius):
    angle = rng.uniform(0, 2 * np.pi)
    return radius * np.cos(angle), radius * np.sin(angle)


def _symmetric(rng, x, y, conditions):
    """Class 1: one resolved, round cluster."""
    profile = _cluster_profile(rng, _radius(rng, conditions), rng.uniform(0.85, 1))
    flux = _cluster_flux(rng, _magnitude(rng, conditions), 1)
    return "symmetric", [Source(x, y, flux, profile)]


def _asymmetric(rng, x, y, conditions):
    """Class 2: elongated, or with its light on one side."""
    radius = _radius(rng, conditions)
    flux = _cluster_flux(rng, _magnitude(rng, conditions), 2)
    if rng.random() < 0.5:
        radius = max(radius, 0.8)  # below this the PSF makes any ellipse round
        profile = _cluster_profile(rng, radius, rng.uniform(0.3, 0.65))
        return "elongated", [Source(x, y, flux, profile)]
    share = rng.uniform(0.15, 0.4)
    dx, dy = _offset(rng, rng.uniform(0.8, 1.5) * np.hypot(radius, 1.0))
    wing = _cluster_profile(rng, 0.7 * radius, rng.uniform(0.5, 1))
    main = _cluster_profile(rng, radius, rng.uniform(0.7, 1))
    side = share * _cluster_flux(rng, 0, 2) * flux[3] / _flux(0, np.zeros(4))[3]
    return "lopsided", [
        Source(x, y, (1 - share) * flux, main),
        Source(x + dx, y + dy, side, wing),
    ]


def _association(rng, x, y, conditions):
    """Class 3: several peaks on a diffuse patch."""
    flux = _cluster_flux(rng, _magnitude(rng, conditions), 3)
    spread = float(np.clip(rng.normal(25, 8) / conditions.pixel_pc, 2.2, 6.0))
    diffuse = rng.uniform(0.2, 0.55)
    patch = galsim.Exponential(half_light_radius=1.2 * spread).shear(
        q=rng.uniform(0.5, 1), beta=rng.uniform(0, np.pi) * galsim.radians
    )
    n_peaks = int(rng.integers(3, 9))
    shares = rng.uniform(0.25, 1, n_peaks)
    shares *= (1 - diffuse) / shares.sum()
    peaks = []
    for share in shares:
        dx, dy = rng.normal(0, 0.75 * spread, 2)
        profile = None if rng.random() < 0.6 else _cluster_profile(rng, rng.uniform(0.4, 1.2), 0.9)
        color = _cluster_flux(rng, 0, 3) / _flux(0, np.zeros(4))[3]
        peaks.append(Source(x + dx, y + dy, share * flux[3] * color, profile))
    if rng.random() < 0.5:  # found by its brightest peak rather than by its centre
        first = peaks[int(np.argmax(shares))]
        dx, dy = first.x - x, first.y - y
    else:
        dx, dy = 0.0, 0.0
    sources = [Source(x, y, diffuse * flux, patch), *peaks]
    return "association", [Source(s.x - dx, s.y - dy, s.flux, s.profile) for s in sources]


def _stars(rng, x, y, conditions, n_stars):
    flux = _star_flux(rng, _magnitude(rng, conditions))
    sources = [Source(x, y, flux)]
    for _ in range(n_stars - 1):
        dx, dy = _offset(rng, rng.uniform(1.2, 4.0))
        ratio = rng.uniform(0.3, 1)
        neighbour = _star_flux(rng, 0)
        sources.append(Source(x + dx, y + dy, ratio * flux[3] * neighbour / neighbour[3]))
    return sources


def _not_a_cluster(rng, x, y, conditions):
    """Class 4: stars, pairs, triples, spikes, background galaxies, fluff, detector residue."""
    kinds, shares = zip(*KINDS_OF_CLASS_4.items(), strict=True)
    kind = str(rng.choice(kinds, p=shares))
    magnitude = _magnitude(rng, conditions)
    if kind in ("pair", "triple"):
        return kind, _stars(rng, x, y, conditions, 2 if kind == "pair" else 3)
    if kind == "saturated":
        return kind, [Source(x, y, _star_flux(rng, rng.uniform(14.5, 18)))]
    if kind == "galaxy":
        profile = galsim.Sersic(
            n=float(rng.choice([1, 1.5, 2.5, 4])),
            half_light_radius=rng.uniform(2.0, 7.0),
        ).shear(q=rng.uniform(0.25, 0.95), beta=rng.uniform(0, np.pi) * galsim.radians)
        colors = CLUSTER_COLORS[-1] + rng.normal(0, 0.4, 4)
        return kind, [Source(x, y, _flux(magnitude - 0.7, colors), profile)]
    if kind == "fluff":
        profile = galsim.Exponential(half_light_radius=rng.uniform(4, 9)).shear(
            q=rng.uniform(0.3, 1), beta=rng.uniform(0, np.pi) * galsim.radians
        )
        return kind, [Source(x, y, _cluster_flux(rng, magnitude - 0.5, 3), profile)]
    if kind == "star":
        return kind, _stars(rng, x, y, conditions, 1)
    return kind, []  # residue of the detector is added to the pixels, not to the scene


_MAKERS = {1: _symmetric, 2: _asymmetric, 3: _association, 4: _not_a_cluster}


def field_stars(rng, shape, conditions):
    """Single stars from somewhat above the faint limit to far below the noise, as crowding.

    The giants of the old disc and the blue stars of the arms are crowded in measures of their own.
    """
    giants = _scattered_stars(rng, shape, conditions, "giant", 10 ** rng.uniform(-2.7, -0.9))
    return giants + _scattered_stars(rng, shape, conditions, "blue", 10 ** rng.uniform(-3.5, -1.4))


def _scattered_stars(rng, shape, conditions, kind, density):
    """Stars of a kind in a density a square pixel."""
    n = rng.poisson(density * (shape[0] + MARGIN) * (shape[1] + MARGIN))
    x = rng.uniform(-MARGIN / 2, shape[1] + MARGIN / 2, n)
    y = rng.uniform(-MARGIN / 2, shape[0] + MARGIN / 2, n)
    # A luminosity function of slope 0.45 a magnitude, six magnitudes deep.
    depth = np.log10(1 + rng.random(n) * (10 ** (0.45 * 6) - 1)) / 0.45
    magnitudes = conditions.faint_limit - 1 + depth
    return [Source(*p, _star_flux(rng, m, kind)) for *p, m in zip(x, y, magnitudes, strict=True)]


def diffuse_light(rng, shape, conditions):
    """The galaxy between its stars: a gradient and clouds, e-/s a pixel in each band."""
    level = 10 ** rng.uniform(-2.3, -0.7)
    ny, nx = shape
    y, x = np.mgrid[-1 : 1 : ny * 1j, -1 : 1 : nx * 1j].astype(np.float32)
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.5)
    light = 1 + slope * (np.cos(angle) * x + np.sin(angle) * y)
    clouds = ndimage.gaussian_filter(
        rng.standard_normal(shape, np.float32), rng.uniform(4, 12), mode="wrap"
    )
    light *= np.exp(rng.uniform(0, 0.3) * clouds / max(clouds.std(), 1e-6))
    colors = _cluster_flux(rng, 0, int(rng.integers(1, 4)))
    return level * (colors / colors[3])[:, None, None] * light


def draw_candidate(label, rng, x, y, conditions):
    """A candidate of a class at a place: its kind, and its sources (none for detector residue)."""
    return _MAKERS[label](rng, x, y, conditions)


def v_magnitude(sources):
    """V magnitude (Vega) of sources together; NaN where there are none."""
    total = sum(source.flux[3] for source in sources)
    return ZERO_POINTS[3] - 2.5 * np.log10(total) if total > 0 else np.nan
