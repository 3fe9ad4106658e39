# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Aperture photometry of PSF-convolved profiles: from structure to index and magnitudes."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft
from scipy.special import j1

from astroclust.photometry import ANNULUS, CI_RADII
from astroclust.simulation.drawing import Ellipse, Source, fourier_image
from astroclust.simulation.optics import OVERSAMPLING, wave_numbers
from astroclust.simulation.psf import fourier_psf
from astroclust.simulation.template import V

__all__ = [
    "Component",
    "concentration",
    "fit_structure",
    "measured_flux",
    "structure_light",
    "structure_sources",
]

# LEGUS: magnitudes are within 4 pixels.
_RADIUS = 4.0
# Half-light radii and distances from the aperture of the tabulated fluxes, in pixels.
_RADII = np.array([0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 12.0])
_OFFSETS = np.arange(0, 14.1, 0.5)
_SIZE = 128  # samples, twice oversampled
_SCALES = np.geomspace(0.05, 2.2, 28)
# Mean blur of an observation, in pixels; individual ones differ little.
_BLUR = 0.09
# Components smaller than this are points (pixels).
_POINT = 0.05


@dataclass(frozen=True)
class Component:
    """Component of a candidate.

    Parameters
    ----------
    relative_flux : `~numpy.ndarray` of float64, shape (bands,)
        Flux relative to that of the other components.
    dx, dy : float
        Offset from the candidate, before scaling, in pixels.
    radius : float
        Half-light radius before scaling, in pixels; 0 for a star.
    family : tuple
        ``("eff", slope)`` or ``("sersic", index)``.
    axis_ratio, position_angle : float
        Ellipse parameters (position angle in radians from x).
    fixed : bool
        Whether offset and size are not scaled.
    """

    relative_flux: np.ndarray
    dx: float = 0.0
    dy: float = 0.0
    radius: float = 0.0
    family: tuple = ("eff", 1.5)
    axis_ratio: float = 1.0
    position_angle: float = 0.0
    fixed: bool = False


def _disk(radius, wave):
    """Fourier transform of a circular aperture."""
    argument = np.maximum(radius * wave, 1e-6)
    return 2 * np.pi * radius**2 * j1(argument) / argument


@lru_cache(maxsize=64)
def aperture_light(cameras, filters, family):
    """Sky-subtracted aperture fluxes of a source.

    Parameters
    ----------
    cameras, filters : tuple of str
        Cameras and filters of the bands, NUV to I.
    family : tuple
        Profile family; see `Component`.

    Returns
    -------
    light : `~numpy.ndarray` of float32, shape (2 + bands, radii, offsets)
        For unit flux: in V within 1 and 3 pixels, and in each band within 4 pixels, averaged over
        subpixel positions of the center.
    """
    ky, kx = wave_numbers(_SIZE)
    wave = np.hypot(ky[:, None], kx)
    # A sum with partial pixels is one over an aperture convolved with a pixel.
    pixel = np.sinc(ky / 2 / np.pi)[:, None] * np.sinc(kx / 2 / np.pi)
    inner, outer = (_disk(radius, wave) for radius in ANNULUS)
    sky = (outer - inner) / (np.pi * (ANNULUS[1] ** 2 - ANNULUS[0] ** 2))
    net = {r: (_disk(r, wave) - np.pi * r**2 * sky) * pixel for r in (*CI_RADII, _RADIUS)}
    bands = [
        fourier_psf(*band, angle=0, size=_SIZE, oversampling=OVERSAMPLING)
        * np.exp(-0.5 * (_BLUR * wave) ** 2)
        for band in zip(cameras, filters, strict=True)
    ]
    kernels = [bands[V] * net[r] for r in CI_RADII] + [band * net[_RADIUS] for band in bands]
    light = np.empty((len(kernels), len(_RADII), len(_OFFSETS)), np.float32)
    steps = np.round(_OFFSETS * OVERSAMPLING).astype(int)
    for i, radius in enumerate(_RADII):
        wave_of_profile = 1.0 if radius == 0 else fourier_image(Ellipse(family, radius), _SIZE)
        for j, kernel in enumerate(kernels):
            image = fft.irfft2(wave_of_profile * kernel, s=(_SIZE, _SIZE)) * OVERSAMPLING**2
            light[j, i] = (image[0, steps] + image[steps, 0]) / 2
    return light


def _light_of(components, scales, observation, layers):
    """Flux in some of the apertures at each scale, by component: (components, layers, scales)."""
    result = []
    for part in components:
        grow = np.where(part.fixed, 1.0, scales)
        table = aperture_light(observation.cameras, observation.filters, part.family)
        row = np.interp(part.radius * grow, _RADII, np.arange(len(_RADII)))
        column = np.hypot(part.dx, part.dy) * grow * OVERSAMPLING
        result.append(_between(table[layers], row, column))
    return np.array(result)


def _between(table, row, column):
    """Bilinear interpolation of layers: (layers, n).

    Beyond the last column, no flux falls into the aperture.
    """
    low = np.minimum(row.astype(int), table.shape[1] - 2)
    left = np.minimum(column.astype(int), table.shape[2] - 2)
    up, right = row - low, column - left
    below = table[:, low, left] * (1 - right) + table[:, low, left + 1] * right
    above = table[:, low + 1, left] * (1 - right) + table[:, low + 1, left + 1] * right
    return np.where(column <= table.shape[2] - 1, below * (1 - up) + above * up, 0.0)


def concentration(components, scales, observation):
    """Concentration index of a structure in V at each scale (mag), shape (scales,)."""
    light = _light_of(components, np.atleast_1d(scales), observation, slice(2))
    relative_fluxes = np.array([part.relative_flux[V] for part in components])
    core, wide = np.einsum("p,pas->as", relative_fluxes, light)
    with np.errstate(divide="ignore", invalid="ignore"):
        return -2.5 * np.log10(core / wide)


def fit_structure(components, index, observation, *, widest=False):
    """Fit the scale at which a structure has a given concentration index.

    Parameters
    ----------
    components : list of `Component`
        The structure; the aperture is centered on its origin.
    index : float
        Concentration index (mag) as measured in V.
    observation : `~astroclust.simulation.observations.Observation`
        Observation that defines the PSF.
    widest : bool, optional
        Whether to use the largest scale that gives the index, instead of the smallest: the index of
        several peaks decreases again when they leave the aperture.

    Returns
    -------
    scale, reached : float
        Scale that gives the index, or comes closest to it; and the index at that scale.
    """
    indices = concentration(components, _SCALES, observation)
    off = np.where(np.isfinite(indices), indices, np.inf) - index
    crossed = np.flatnonzero(np.isfinite(off[1:]) & (off[:-1] * off[1:] <= 0))
    if not crossed.size:
        nearest = int(np.argmin(np.abs(off)))
        return float(_SCALES[nearest]), float(index + off[nearest])
    pair = crossed[-1 if widest else 0] + np.arange(2)
    near, far = off[pair]
    part = near / (near - far) if near != far else 0.0
    return float(_SCALES[pair] @ [1 - part, part]), float(index)


def measured_flux(components, scale, observation):
    """Flux of a structure within 4 pixels, in units of its component fluxes, shape (bands,)."""
    light = _light_of(components, np.array([scale]), observation, slice(2, None))[..., 0]
    return np.sum(
        [part.relative_flux * row for part, row in zip(components, light, strict=True)], axis=0
    )


def structure_light(components, scales, observation):
    """Aperture fluxes of a structure at each scale.

    Parameters
    ----------
    components : list of `Component`
        The structure; the apertures are centered on its origin.
    scales : `~numpy.ndarray` of float64, shape (scales,)
        The scales.
    observation : `~astroclust.simulation.observations.Observation`
        Observation that defines the PSF.

    Returns
    -------
    light : `~numpy.ndarray` of float64, shape (2 + bands, scales)
        In V within 1 and 3 pixels, and in each band within 4, sky-subtracted, relative to
        ``relative_flux``.
    """
    light = _light_of(components, scales, observation, slice(None))
    relative_fluxes = np.array(
        [[part.relative_flux[V]] * 2 + list(part.relative_flux) for part in components]
    )
    return np.einsum("pa,pas->as", relative_fluxes, light)


def structure_sources(components, scale, x, y, flux):
    """Sources of a structure at a position.

    Parameters
    ----------
    components : list of `Component`
        The structure.
    scale : float
        Scale; see `fit_structure`.
    x, y : float
        0-based pixels.
    flux : `~numpy.ndarray` of float64, shape (bands,)
        Flux in e-/s for a ``relative_flux`` of 1.

    Returns
    -------
    sources : list of `~astroclust.simulation.drawing.Source`
        One source per component.
    """
    return [_source(part, 1.0 if part.fixed else scale, x, y, flux) for part in components]


def _source(part, grow, x, y, flux):
    profile, radius = None, part.radius * grow
    if radius > _POINT:
        profile = Ellipse(part.family, radius, part.axis_ratio, part.position_angle)
    return Source(x + part.dx * grow, y + part.dy * grow, flux * part.relative_flux, profile)
