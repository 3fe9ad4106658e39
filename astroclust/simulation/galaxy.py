# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The galaxy behind the clusters: unresolved light, dust and stellar densities."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft, ndimage

from astroclust.simulation.populations import EXTINCTION
from astroclust.simulation.template import V, relative_magnitudes

__all__ = ["Galaxy", "draw_galaxy", "draw_patch"]

# Colors NUV-U, U-B, B-V, V-I (Vega): of old clusters and of those about 30 Myr old in NGC 628C, and
# of H II regions, with the Balmer continuum in U and [O III] in V, chosen by appearance.
_OLD, _YOUNG, _GAS = (1.0, 0.15, 0.75, 1.1), (-0.35, -0.8, 0.1, 0.5), (0.0, -0.9, 0.3, -0.2)
COLORS = {"old": _OLD, "young": _YOUNG, "gas": _GAS}
# Median in V, e-/s per pixel. Inner disks of 20.5 to 22.5 mag/arcsec2 have 0.2 to 0.03, most of it
# resolved; quiet parts of sky-subtracted NGC 628C have 0.016.
BRIGHTNESS = (0.01, 0.2)
PATCH_BRIGHTNESS = (0.005, 0.2)
# Chosen by appearance: wavelengths of stellar groups in parsecs, and shortest wavelength of clouds
# in pixels (finer structure would be detected as sources); H II regions per square parsec.
GROUPS = (200, 2000)
FINEST = 40
SMALLEST = 16  # width of a window in pixels
HII_DENSITY = 5e-6
TURN = 1024  # samples per turn in the pattern of feathers


@dataclass(frozen=True)
class Galaxy:
    """Window on a galaxy, excluding its resolved stars.

    Parameters
    ----------
    light : `~numpy.ndarray` of float32, shape (bands, ny, nx)
        Unresolved light in e-/s per pixel, NUV to I, attenuated by ``dust``.
    young, old : `~numpy.ndarray` of float32, shape (ny, nx)
        Surface densities of young stars and clusters and of old stars, normalized to mean 1.
    dust : `~numpy.ndarray` of float32, shape (ny, nx)
        E(B-V) of the internal dust, in magnitudes.
    gas : `~numpy.ndarray` of float32, shape (ny, nx), optional
        Light of H II regions in V, included in ``light``; None without any.
    """

    light: np.ndarray
    young: np.ndarray
    old: np.ndarray
    dust: np.ndarray
    gas: np.ndarray | None = None


def draw_galaxy(rng, shape, observation, *, brightness=None, contrast=None):
    """Draw a window on a spiral galaxy: disk, bulge, arms, dust lanes and H II regions.

    Arms are logarithmic spirals with noise; young stars cluster on them hierarchically, and dust
    lies along their concave edges and in feathers.

    Parameters
    ----------
    rng : `~numpy.random.Generator`
        Random number generator; equal states give equal galaxies.
    shape : tuple of int
        Shape of the window, (ny, nx), in pixels.
    observation : object
        ``zero_points`` (Vega magnitudes of 1 e-/s) and ``extinction`` (Galactic, mag), both of
        shape (5,), NUV to I, and ``pixel_pc`` (parsecs per pixel).
    brightness : float, optional
        Median of the light in V, e-/s per pixel; by default from 0.01 to 0.2.
    contrast : float, optional
        Strength of arms, groups, clouds and dust, by default 1; 0 leaves only disk and bulge.

    Returns
    -------
    galaxy : `Galaxy`
        Galaxy with almost no structure finer than 5 pixels.

    Raises
    ------
    ValueError
        If an argument is invalid.
    """
    brightness = _checked(rng, shape, brightness, BRIGHTNESS)
    if contrast is None:
        contrast = math.exp(rng.uniform(math.log(0.6), math.log(1.6)))
    elif not 0 <= contrast < math.inf:
        raise ValueError(f"contrast must be finite and not negative, not {contrast}")
    contrast, parsec = float(contrast), 1 / float(observation.pixel_pc)
    scale = rng.uniform(2000, 4000) * parsec
    radius, azimuth, bulge_radius = _geometry(rng, shape, scale)
    disk = np.exp(-radius / scale)
    # Disks are redder toward the center, with a smaller fraction of young light.
    young_fraction = np.minimum(0.08 + 0.22 * radius / scale, 0.6)
    old = disk * (1 - young_fraction) + _bulge(rng, bulge_radius, scale)
    shortest, longest = (length * parsec for length in GROUPS)
    groups = _noise(rng, shape, _window_amplitude(shape, shortest, longest))
    clouds = _noise(rng, shape, _window_amplitude(shape, FINEST, shortest))
    arm, lane = _arms(rng, radius, azimuth, groups, scale, parsec)
    del radius, azimuth, bulge_radius  # each of them is large
    dust = rng.uniform(0.15, 0.4) * lane + rng.uniform(0.02, 0.06) * disk
    dust *= contrast * np.exp(0.25 * clouds[::-1])  # with clouds of its own: the same, flipped
    dust /= 1 + 1.2 * dust  # some stars lie in front: deep lanes are never black
    young = np.exp(0.75 * math.sqrt(contrast) * (groups + clouds))
    young *= disk * (0.15 + contrast * 3 * arm)
    gas = _gas(rng, young, contrast * disk, clouds, parsec)
    young_fraction += contrast * arm * np.exp(0.4 * groups)
    # The light follows the same clouds as the young stars, with less contrast.
    clouds = np.exp(contrast * rng.uniform(0.03, 0.08) * clouds)
    young_fraction *= disk * clouds
    maps = {"old": old * np.sqrt(clouds), "young": young_fraction, "gas": gas}
    light, gas = _light(observation, brightness, maps, dust)
    return Galaxy(light, young / young.mean(), old / old.mean(), dust, gas)


def draw_patch(rng, shape, observation, *, brightness=None):
    """Draw a small piece of a galaxy, like `draw_galaxy` but in a fraction of a millisecond.

    Patches consist of a constant level, a gradient and clouds; some also have the edge of an arm, a
    dust lane or an H II region.

    Parameters
    ----------
    rng, shape, observation
        See `draw_galaxy`.
    brightness : float, optional
        Median of the light in V, e-/s per pixel; by default from 0.005 to 0.2.

    Returns
    -------
    patch : `Galaxy`
        Too small for groups: ``young`` and ``old`` are 1 everywhere.
    """
    brightness = _checked(rng, shape, brightness, PATCH_BRIGHTNESS)
    parsec = 1 / float(observation.pixel_pc)
    both = 2 * shape[0], shape[1]  # two fields from one: they touch, but that is hardly visible
    clouds, wisps = np.split(_noise(rng, both, _patch_amplitude(both, FINEST, 100)), 2)
    young_fraction = np.exp(rng.uniform(0.03, 0.15) * clouds) * rng.uniform(0.1, 0.8)
    old = (1 - 0.5 * young_fraction) * (1 + rng.uniform(0, 0.15) / max(shape) * _edge(rng, shape))
    dust = rng.exponential(0.06) * np.exp(0.35 * wisps)
    if rng.random() < 0.25:  # the edge of an arm
        distance = _edge(rng, shape) / (rng.uniform(60, 150) * parsec)
        young_fraction *= 1 + rng.uniform(0.2, 0.8) * (1 + np.tanh(distance + 0.2 * wisps))
    if rng.random() < 0.25:
        distance = _edge(rng, shape) / max(rng.uniform(30, 60) * parsec, 6)
        dust += rng.uniform(0.05, 0.3) * np.exp(-0.5 * np.square(distance + 0.3 * wisps))
    maps = {"old": old, "young": young_fraction}
    if rng.random() < 0.15:
        maps["gas"] = np.zeros(shape, np.float32)
        _add_region(rng, maps["gas"], rng.uniform(-0.2, 1.2, 2) * shape, 1, clouds, parsec)
    dust /= 1 + 1.2 * dust
    even = np.ones(shape, np.float32)
    light, gas = _light(observation, brightness, maps, dust)
    return Galaxy(light, even, even.copy(), dust, gas)


def _checked(rng, shape, brightness, bounds):
    """Validate brightness and shape; draw the brightness from its bounds if None."""
    if len(shape) != 2 or min(shape) < SMALLEST:
        raise ValueError(f"shape must be at least {SMALLEST} x {SMALLEST} pixels, not {shape}")
    if brightness is None:
        return math.exp(rng.uniform(math.log(bounds[0]), math.log(bounds[1])))
    if not 0 < brightness < math.inf:
        raise ValueError(f"brightness must be positive and finite, not {brightness}")
    return brightness


def _amplitude(squared, nx, lowest, highest):
    """Amplitudes for `_noise` with unit variance and power proportional to wave number^-3."""
    amplitude = (squared + lowest**2) ** -0.75 * np.exp(-0.5 / highest**2 * squared)
    amplitude[0, 0] = 0
    power = np.square(amplitude)
    variance = 4 * power.sum() - 2 * power[:, 0].sum()
    amplitude[:, 0] *= math.sqrt(2)  # `irfft2` uses only the real part of these waves
    amplitude *= len(amplitude) * nx / math.sqrt(variance)
    return amplitude.astype(np.float32)


def _window_amplitude(shape, shortest, longest):
    """Like `_amplitude`, between wavelengths in pixels."""
    shortest = min(shortest, max(shape) / 2)  # otherwise no wave fits into the window
    ny, nx = (fft.next_fast_len(size, real=True) for size in shape)
    ky, kx = fft.fftfreq(ny).astype(np.float32), fft.rfftfreq(nx).astype(np.float32)
    return _amplitude(np.square(ky)[:, None] + np.square(kx), nx, 1 / longest, 1 / shortest)


_patch_amplitude = lru_cache(maxsize=16)(_window_amplitude)  # many patches have the same shape


def _noise(rng, shape, amplitude):
    """Gaussian random field, periodic except for a few truncated pixels."""
    waves = rng.standard_normal((*amplitude.shape, 2), np.float32).view(np.complex64)[..., 0]
    waves *= amplitude
    size = len(amplitude), fft.next_fast_len(shape[1], real=True)
    return fft.irfft2(waves, s=size, overwrite_x=True)[: shape[0], : shape[1]]


def _winding_noise(rng, radius, azimuth, scale, pitch):
    """Noise stretched along spirals of a given pitch, which are lines in (log radius, azimuth)."""
    k_azimuth, k_radius = fft.rfftfreq(TURN, 1 / TURN), fft.fftfreq(TURN, 1 / TURN)[:, None]
    along = math.sin(pitch) * k_radius + math.cos(pitch) * k_azimuth
    across = math.cos(pitch) * k_radius - math.sin(pitch) * k_azimuth
    amplitude = _amplitude(np.square(3 * along) + np.square(across), TURN, 8, 90)
    pattern = _noise(rng, (TURN, TURN), amplitude)
    samples = TURN / (2 * math.pi)
    coordinates = [np.log(radius / scale + 1e-3) * samples, azimuth * samples]
    return ndimage.map_coordinates(pattern, coordinates, np.float32, order=1, mode="grid-wrap")


def _geometry(rng, shape, scale):
    """Radius and azimuth in the plane of the disk, and radius on the sky; lengths in pixels."""
    axis_ratio, angle, bearing = rng.uniform([0.5, 0, 0], [1, np.pi, 2 * np.pi]).tolist()
    # Only a window that is large relative to the disk may have a central nucleus.
    nearest, farthest = (0.3, 1.5) if min(shape) < 2 * scale else (0.0, 0.5)
    distance = scale * rng.uniform(nearest, farthest)
    along = _along(shape, angle, distance * math.cos(bearing))
    across = _along(shape, angle + math.pi / 2, axis_ratio * distance * math.sin(bearing))
    sky = np.hypot(along, across)
    across *= rng.choice([-1, 1]).item() / axis_ratio  # arms wind either way
    return np.hypot(along, across), np.arctan2(across, along), sky


def _bulge(rng, radius, scale):
    """Sersic profile with 3 to 20 % of the light of a disk of unit central brightness."""
    index, size = rng.uniform(1, 4), rng.uniform(0.08, 0.2) * scale
    b = 2 * index - 1 / 3
    total = rng.uniform(0.03, 0.2) * scale**2
    integral = index * size**2 * math.exp(b) * b ** (-2 * index) * math.gamma(2 * index)
    # Softened by 5 pixels, because nuclear star clusters are not part of the smooth light.
    reduced = (np.hypot(radius, np.float32(5)) / size) ** (1 / index)
    return np.exp(-b * (reduced - 1)) * (total / integral)


def _arms(rng, radius, azimuth, warp, scale, parsec):
    """Strength of arms, and of the dust along their concave edges, both of order 1."""
    n_arms, pitch = int(rng.integers(2, 5)), math.radians(rng.uniform(10, 30))
    patches = _winding_noise(rng, radius, azimuth, scale, pitch)
    feathers = _winding_noise(rng, radius, azimuth, scale, 1.6 * pitch)
    # A radian of phase in pixels, perpendicular to the arm; bounded because arms would be too thin
    # near the nucleus.
    radian = np.maximum(radius, 0.2 * scale) * (math.sin(pitch) / n_arms)
    phase = n_arms * (azimuth - np.log(radius / scale + 1e-3) / math.tan(pitch))
    phase += rng.uniform(0, 2 * math.pi) + 60 * parsec * warp / radian
    width = rng.uniform(300, 500) / 2.355 * parsec
    fade = 1 - np.exp(-np.square(radius / (0.35 * scale)))
    arm = (_ridge(phase, radian / width) + 0.12) * fade * np.exp(0.6 * patches - 0.2)
    phase -= 0.8 * width / radian  # inward
    lane = 0.3 * _ridge(phase, radian / (2.5 * width)) + 0.06
    lane += _ridge(phase, radian / max(rng.uniform(30, 60) * parsec, 6))
    return arm, lane * fade * np.exp(0.9 * feathers - 0.4)


def _ridge(phase, narrowness):
    """Periodic (von Mises) version of a Gaussian in phase times narrowness."""
    return np.exp((np.cos(phase) - 1) * np.square(narrowness))


def _gas(rng, young, level, clouds, parsec):
    """H II regions that follow the young stars."""
    gas = np.zeros_like(young)
    chance = np.cumsum(young, dtype=float)
    chosen = rng.random(rng.poisson(HII_DENSITY * young.size / parsec**2)) * chance[-1]
    for index in np.searchsorted(chance, chosen):
        center = np.unravel_index(index, young.shape)
        _add_region(rng, gas, center, float(level[center]), clouds, parsec)
    return gas


def _add_region(rng, gas, center, level, clouds, parsec):
    """Add an H II region, round except for distortion by clouds."""
    # Of 15 to 60 pc, mostly small, but none small enough to be a cluster.
    radius = max(15 * 4 ** (rng.random() ** 2) * parsec, 20)
    y0, x0 = (max(int(at - 4 * radius), 0) for at in center)
    y1, x1 = (max(int(at + 4 * radius), 0) for at in center)
    window = np.s_[y0 : min(y1, gas.shape[0]), x0 : min(x1, gas.shape[1])]
    y, x = np.ogrid[window]
    squared = (np.square(y - center[0]) + np.square(x - center[1])) / radius**2
    gas[window] += level * rng.exponential(0.2) * np.exp(-squared * np.exp(0.3 * clouds[window]))


def _light(observation, brightness, maps, dust):
    """Light in each band from maps in V, behind a dust screen, scaled to a median in V.

    Also the part in V from gas, or None without any.
    """
    light = np.zeros((len(EXTINCTION), *dust.shape), np.float32)
    magnitudes = np.subtract(observation.zero_points, observation.extinction)
    for name, image in maps.items():
        colors = relative_magnitudes(*COLORS[name])
        for band, flux in zip(light, 10 ** (0.4 * (magnitudes - colors)), strict=True):
            band += float(flux) * image
    for band, extinction in zip(light, EXTINCTION, strict=True):
        band *= np.exp(-0.4 * math.log(10) * extinction * dust)
    middle = light[V].size // 2
    scale = brightness / float(np.partition(light[V], middle, axis=None)[middle])
    light *= scale
    if "gas" not in maps:
        return light, None
    dimming = np.exp(-0.4 * math.log(10) * EXTINCTION[V] * dust)
    gas = (scale * 10 ** (0.4 * magnitudes[V])) * maps["gas"] * dimming
    return light, gas.astype(np.float32)


def _edge(rng, shape):
    """Distance in pixels from a randomly oriented line across the patch."""
    return _along(shape, 2 * math.pi * rng.random(), (rng.random() - 0.5) * max(shape))


def _along(shape, angle, middle):
    """Pixels along a direction, with the value ``middle`` at the center of the window."""
    y, x = (np.arange(size, dtype=np.float32) - (size - 1) / 2 for size in shape)
    return (math.cos(angle) * x + middle) + math.sin(angle) * y[:, None]
