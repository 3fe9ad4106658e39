# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Artificial clusters: flux, positions, and images with clusters injected."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from astropy import units as u
from astropy.nddata import overlap_slices
from numpy.typing import ArrayLike

from astroclust.extras import naming_extras
from astroclust.images import Band, ImageSet
from astroclust.instruments import camera_label, camera_of, exposure_time, filter_of
from astroclust.photometry import counts_to_rate, value_of_band, zero_point
from astroclust.simulation import star_image, unit_profile

with naming_extras():
    import galsim

__all__ = [
    "AREA",
    "CLASS_1_COLORS",
    "ArtificialClusters",
    "Light",
    "band_sources",
    "draw_positions",
    "inject",
    "scale_of",
]

#: Band minus V (Vega) of the median class-1 cluster of NGC 628C, without extinction.
CLASS_1_COLORS = {"NUV": -0.52, "U": -0.40, "B": 0.16, "V": 0.0, "I": -0.67}

# LEGUS's artificial clusters: Elson-Fall-Freeman profiles of slope 1.5, truncated here at 20 core
# radii, or 12.4 half-light radii.
_PROFILE, _EXTENT = unit_profile(("eff", 1.5)), 12.4
# Half width of the parametric PSF in pixels: LEGUS's total magnitudes are within 20.
_PSF_REACH = 32
# Pixel scales within this of that of the band system use its PSFs.
_SCALE_TOLERANCE = 0.05
# Flux farther from a cluster than this is ignored, in pixels.
_MAX_REACH = 200
# One cluster per this many square pixels, which leaves the crowding unchanged. Distances in pixels
# between clusters, from the edges, and from the center to bad pixels.
AREA, _SEPARATION, _EDGE, _CORE = 100**2, 30.0, 15, 4
# Attempts to draw positions on good pixels before giving up.
_TRIES = 200


@dataclass(frozen=True, eq=False)
class ArtificialClusters:
    """Artificial clusters for `completeness`.

    Parameters
    ----------
    magnitudes : array_like of float, shape (k,)
        Total V magnitudes (Vega), excluding Galactic extinction if the preset has one.
    radii : array_like of float or `~astropy.units.Quantity`, shape (m,)
        Half-light radii in pixels, parsecs (which needs a distance) or as an angle.
    n : int, optional
        Number of clusters per magnitude and radius.
    colors : mapping, optional
        Mapping from filters or roles to the magnitude in the band minus that in V, for all bands
        but V; by default `CLASS_1_COLORS`.
    psf : mapping, optional
        Mapping from filters or roles to the image of a star at the pixel scale of the images,
        centered in the array and normalized internally. By default, parametric PSFs for the camera
        (from the header) and filter of each band, with typical focus. Filters without a fitted PSF
        are interpolated between the other filters of the camera.
    seed : int, optional
        Seed for positions and photon noise.

    Examples
    --------
    >>> from astroclust.injection import ArtificialClusters
    >>> clusters = ArtificialClusters(magnitudes=[20, 22, 24], radii=[1, 2], n=10)
    >>> clusters.seed
    0
    """

    magnitudes: ArrayLike
    radii: ArrayLike | u.Quantity
    n: int = 50
    colors: Mapping[str, float] | None = None
    psf: Mapping[str, ArrayLike] | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Light:
    """Conversion of magnitudes to flux in one band."""

    band: Band
    unit_flux: float  # of V = 0, in the unit of the image
    psf: np.ndarray  # unit sum


def scale_of(images):
    """Pixel scale in arcsec; without a WCS, that of the band system."""
    scale = images.pixel_scale
    return images.system.pixel_scale if scale is None else scale.value


def band_sources(images, preset, clusters):
    """Flux and PSF of a cluster in each band, as a list of `Light`."""
    fluxes = _unit_fluxes(images, preset, clusters.colors)
    parts = zip(images.values(), fluxes, _psfs(images, clusters.psf), strict=True)
    return [Light(*part) for part in parts]


def _unit_fluxes(images, preset, colors):
    """Flux of a cluster of V = 0 in each band, in the unit of the image."""
    colors = CLASS_1_COLORS if colors is None else {"V": 0.0, **colors}
    fluxes = []
    for band in images.values():
        given = preset.zero_points
        zero = zero_point(band, value_of_band(given, band, None))
        if not np.isfinite(zero):
            raise ValueError(
                f"{band.filter} has no zero point for its unit and camera; use a preset with "
                f"zero_points={{{band.filter!r}: ...}}, or omit the band"
            )
        color = value_of_band(colors, band, None)
        if color is None:
            raise ValueError(
                f"colors has no {band.filter}; it must have all bands except V, but has "
                f"{', '.join(map(str, colors))}"
            )
        dimming = value_of_band(preset.extinction, band, 0.0)
        fluxes.append(float(10 ** (0.4 * (zero - color - dimming))))
    return fluxes


def _psfs(images, given):
    """The PSF of each band, shape (ny, nx), of unit sum."""
    if given is None:
        usual, scale = images.system.pixel_scale, scale_of(images)
        scale = usual if abs(scale / usual - 1) < _SCALE_TOLERANCE else scale
        given = {band.filter: _own_psf(band, images.system, scale) for band in images.values()}
    psfs = []
    for band in images.values():
        psf = value_of_band(given, band, None)
        if psf is None:
            raise ValueError(
                f"psf has no {band.filter}, only {', '.join(map(str, given))}; add that band, or "
                "omit it from the images"
            )
        psf = np.array(psf, float)
        if psf.ndim != 2 or not np.isfinite(psf).all() or not psf.sum() > 0:
            raise ValueError(
                f"psf of {band.filter} must be a 2-D array of finite numbers with a positive sum, "
                f"not of shape {psf.shape} and sum {psf.sum():g}"
            )
        psfs.append(psf / psf.sum())
    return psfs


def _own_psf(band, system, pixel_scale):
    """PSF for the band's camera and filter; the default ones if no filter is known."""
    pair = camera_of(band), filter_of(band)
    if pair[1] == band.role:
        pair = system.defaults.get(band.role, pair)
    try:
        return star_image(*pair, pixel_scale=pixel_scale, reach=_PSF_REACH)
    except ValueError as error:
        raise ValueError(
            f"no PSF is known for {band.filter} of {camera_label(pair[0])}; pass its image in psf="
        ) from error


def draw_positions(images, most, rng, blocked=None):
    """Positions on good pixels, at most one per part of the image, as arrays x and y."""
    size = np.array(images.shape[::-1])
    for _ in range(_TRIES):
        trials = rng.uniform(_EDGE, size - 1 - _EDGE, (max(size.prod() // AREA, 1), 2))
        kept = np.empty((0, 2))
        for position in trials:
            apart = (np.hypot(*(kept - position).T) >= _SEPARATION).all()
            free = blocked is None or not blocked[tuple(np.round(position[::-1]).astype(int))]
            if free and apart and all(_is_good(band, *position) for band in images.values()):
                kept = np.vstack([kept, position])
        if len(kept):
            return kept[:most].T
    raise ValueError(
        f"could not place artificial clusters: all {_TRIES * len(trials)} trial positions are "
        "masked, blank in a band, or excluded; omit bands that cover little of the field, or "
        "exclude smaller regions"
    )


def _is_good(band, x, y):
    """Whether the pixels around a position are good, without blank rows or columns."""
    x, y = round(x), round(y)
    part = np.s_[y - _CORE : y + _CORE + 1, x - _CORE : x + _CORE + 1]
    pixels = band.pixels(part)
    if not np.isfinite(pixels).all():
        return False
    return bool((pixels != 0).any(axis=0).all() and (pixels != 0).any(axis=1).all())


def inject(bands, clusters, scale, rng):
    """Copies of the images with clusters and their photon noise added."""
    images = {}
    for light in bands:
        band = light.band
        data = band.pixels(slice(None), np.result_type(band.data, np.float32).type)
        star = galsim.InterpolatedImage(
            galsim.Image(light.psf, scale=1), x_interpolant="lanczos15", normalization="flux"
        )
        electrons = exposure_time(band) * counts_to_rate(band)  # per image unit
        for x, y, magnitude, radius in clusters.iterrows("x", "y", "magnitude", "radius"):
            image = _draw_cluster(star, x % 1, y % 1, radius * scale)
            image *= light.unit_flux * 10 ** (-0.4 * magnitude)
            if np.isfinite(electrons):
                image = rng.poisson(image * electrons) / electrons
            _add(data, image, int(x), int(y))
        # Bad pixels are NaN now, and flux on them is lost.
        images[band.filter] = replace(
            band,
            data=data,
            mask=None,
            weight=None,
            variance=band.variances(slice(None)),
            blank_zeros=False,
            scale=1.0,
        )
    return ImageSet(images, roles={name: band.role for name, band in images.items()})


def _draw_cluster(star, dx, dy, radius):
    """A cluster of unit flux, at (dx, dy) from the center of the central pixel."""
    reach = min(int(np.ceil(_EXTENT * radius)) + _PSF_REACH, _MAX_REACH)
    width = 2 * reach + 1
    cluster = galsim.Convolve(_PROFILE.dilate(radius), star)
    image = cluster.drawImage(
        nx=width, ny=width, scale=1, offset=(dx, dy), method="no_pixel", dtype=float
    )
    return np.maximum(image.array, 0)  # a sampled PSF has ringing wings


def _add(data, image, x, y):
    """Add an image centered on pixel (x, y), which may extend beyond the edges."""
    of_data, of_image = overlap_slices(data.shape, image.shape, (y, x))
    data[of_data] += image[of_image].astype(data.dtype)
