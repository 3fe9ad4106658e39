# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Artificial clusters: their light, their places, and images with them."""

import re
from dataclasses import dataclass, replace

import galsim
import numpy as np
from scipy import fft

from astroclust.images import BANDS, PIXEL_SCALE, Band, ImageSet
from astroclust.instruments import camera_label, camera_of, exposure_time
from astroclust.photometry.calibration import counts_to_rate, value_of_band, zero_point
from astroclust.simulation.drawing import unit_profile
from astroclust.simulation.optics import OVERSAMPLING, wave_numbers
from astroclust.simulation.psf import PSF_FILTERS, fourier_psf

__all__ = ["AREA", "CLASS_1_COLORS", "Light", "band_sources", "draw_places", "inject", "scale_of"]

#: Band less V (Vega) of the median class-1 cluster of NGC 628C, without extinction.
CLASS_1_COLORS = {"NUV": -0.52, "U": -0.40, "B": 0.16, "V": 0.0, "I": -0.67}

# LEGUS's artificial clusters: Elson-Fall-Freeman profiles of slope 1.5, which here end at 20 core
# radii, 12.4 half-light radii.
_PROFILE, _EXTENT = unit_profile(("eff", 1.5)), 12.4
# Half the width of the package's own PSF in pixels: LEGUS's total magnitudes are within 20. Its
# blur is the mean of the simulated fields. Samples leave room for the halo.
_PSF_REACH, _PSF_BLUR, _PSF_SIZE = 32, 0.09, 512
# A filter without a PSF of its own has the nearest one's if their wavelengths differ by less: the
# width of the PSF goes with the wavelength. The names of HST's filters say it, in nm; those of
# long-pass filters do not. Bands are named as LEGUS's.
_NEAREST = 1.15
_WAVELENGTHS = dict(zip(BANDS, (275, 336, 438, 555, 814), strict=True))
_SCALE_TOLERANCE = 0.05
# Light farther from a cluster than this is left out, in pixels.
_MAX_REACH = 200
# One cluster is drawn for so many square pixels, which leaves the crowding as it is. Pixels
# between two of them, from the edges, and from the centre that must be good.
AREA, _SEPARATION, _EDGE, _CORE = 100**2, 30.0, 15, 4
# How often places are drawn that turn out to be bad before it is said that there are none.
_TRIES = 200


@dataclass(frozen=True, eq=False)
class Light:
    """What makes light of magnitudes in one band."""

    band: Band
    unit_flux: float  # of V = 0, in the unit of the image
    psf: np.ndarray  # unit sum


def scale_of(images):
    """Arcseconds a pixel; that of LEGUS without a WCS."""
    return PIXEL_SCALE if images.pixel_scale is None else images.pixel_scale.value


def band_sources(images, preset, colors, extinction, psf):
    """What makes light in each band, a list of `Light`; see `completeness` for the arguments."""
    fluxes = _unit_fluxes(images, preset, colors, extinction)
    parts = zip(images.values(), fluxes, _psfs(images, psf), strict=True)
    return [Light(*part) for part in parts]


def _unit_fluxes(images, preset, colors, extinction):
    """Flux of a cluster of V = 0 in each band, in the unit of the image."""
    colors = CLASS_1_COLORS if colors is None else {"V": 0.0, **colors}
    fluxes = []
    for band in images.values():
        given = preset.zero_points
        zero = zero_point(band, value_of_band(given, band, None))
        if not np.isfinite(zero):
            raise ValueError(
                f"{band.filter} has no zero point for its unit and camera: give a preset of your "
                f"own with zero_points={{{band.filter!r}: ...}}, or leave the band out"
            )
        color = value_of_band(colors, band, None)
        if color is None:
            raise ValueError(
                f"colors has no {band.filter}: it needs all bands but V, and has "
                f"{', '.join(map(str, colors))}"
            )
        dimming = value_of_band(extinction, band, 0.0)
        fluxes.append(float(10 ** (0.4 * (zero - color - dimming))))
    return fluxes


def _psfs(images, given):
    """The PSF of each band, shape (ny, nx), of unit sum."""
    if given is None:
        if abs(scale_of(images) / PIXEL_SCALE - 1) > _SCALE_TOLERANCE:
            raise ValueError(
                f"the default psf is on pixels of {PIXEL_SCALE} arcsec, the images on pixels of "
                f"{scale_of(images):.4f}: give psf"
            )
        given = {band.filter: _own_psf(band) for band in images.values()}
    psfs = []
    for band in images.values():
        psf = value_of_band(given, band, None)
        if psf is None:
            raise ValueError(
                f"psf has no {band.filter}: it has {', '.join(map(str, given))}; add that band, "
                "or leave it out of the images"
            )
        psf = np.array(psf, float)
        if psf.ndim != 2 or not np.isfinite(psf).all() or not psf.sum() > 0:
            raise ValueError(
                f"psf of {band.filter} must be a 2-D array of finite numbers with a positive sum, "
                f"not of shape {psf.shape} and sum {psf.sum():g}"
            )
        psfs.append(psf / psf.sum())
    return psfs


def _own_psf(band):
    """The PSF of the band's camera and filter, or of the filter nearest to it."""
    camera, wanted = camera_of(band), _wavelength(band.filter)
    known = [name for of, name in PSF_FILTERS if of == camera]
    ratios = [abs(np.log(_wavelength(name) / wanted)) for name in known]
    if not min(ratios, default=np.inf) <= np.log(_NEAREST):
        raise ValueError(
            f"there is no PSF of {band.filter} of {camera_label(camera)}, only of "
            f"{', '.join(known) or 'other cameras'}: give psf"
        )
    nearest = known[int(np.argmin(ratios))]
    wave = fourier_psf(camera, nearest, angle=0, size=_PSF_SIZE, oversampling=OVERSAMPLING)
    ky, kx = wave_numbers(_PSF_SIZE)
    wave = wave * np.exp(-0.5 * _PSF_BLUR**2 * (ky[:, None] ** 2 + kx**2))
    pixels = OVERSAMPLING * np.arange(-_PSF_REACH, _PSF_REACH + 1)  # around sample (0, 0)
    return fft.irfft2(wave, s=(_PSF_SIZE, _PSF_SIZE))[np.ix_(pixels, pixels)]


def _wavelength(name):
    """Of a filter by its name, in nm; NaN where it does not say it."""
    if name in _WAVELENGTHS:
        return _WAVELENGTHS[name]
    match = re.fullmatch(r"F(\d{3})[WMNX]", name)
    return int(match[1]) if match else np.nan


def draw_places(images, most, rng, blocked=None):
    """Places on good pixels, one for each part of the image at most, in arrays x and y."""
    size = np.array(images.shape[::-1])
    for _ in range(_TRIES):
        places = rng.uniform(_EDGE, size - 1 - _EDGE, (max(size.prod() // AREA, 1), 2))
        kept = np.empty((0, 2))
        for place in places:
            apart = (np.hypot(*(kept - place).T) >= _SEPARATION).all()
            free = blocked is None or not blocked[tuple(np.round(place[::-1]).astype(int))]
            if free and apart and all(_is_good(band, *place) for band in images.values()):
                kept = np.vstack([kept, place])
        if len(kept):
            return kept[:most].T
    raise ValueError(
        f"there is no room for clusters: at {_TRIES * len(places)} places pixels were bad or "
        "blank in one band or another, or in a region to leave out; leave out bands that cover "
        "little of the field, or less of it"
    )


def _is_good(band, x, y):
    """Whether the pixels about a place are good, and no row or column of them is blank."""
    x, y = round(x), round(y)
    part = np.s_[y - _CORE : y + _CORE + 1, x - _CORE : x + _CORE + 1]
    pixels = band.pixels(part)
    if not np.isfinite(pixels).all():
        return False
    return bool((pixels != 0).any(axis=0).all() and (pixels != 0).any(axis=1).all())


def inject(bands, clusters, scale, rng):
    """Copies of the images with the light of clusters and its photon noise."""
    images = {}
    for light in bands:
        band = light.band
        data = band.pixels(slice(None), np.result_type(band.data, np.float32).type)
        star = galsim.InterpolatedImage(
            galsim.Image(light.psf, scale=1), x_interpolant="lanczos15", normalization="flux"
        )
        electrons = exposure_time(band) * counts_to_rate(band)  # for one unit of the image
        for x, y, magnitude, radius in clusters.iterrows("x", "y", "magnitude", "radius"):
            image = _draw_cluster(star, x % 1, y % 1, radius * scale)
            image *= light.unit_flux * 10 ** (-0.4 * magnitude)
            if np.isfinite(electrons):
                image = rng.poisson(image * electrons) / electrons
            _add(data, image, int(x), int(y))
        # Bad pixels are NaN now, and light on them is lost.
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
    """A cluster of unit flux, at (dx, dy) from the centre of the central pixel."""
    reach = min(int(np.ceil(_EXTENT * radius)) + _PSF_REACH, _MAX_REACH)
    width = 2 * reach + 1
    cluster = galsim.Convolve(_PROFILE.dilate(radius), star)
    image = cluster.drawImage(
        nx=width, ny=width, scale=1, offset=(dx, dy), method="no_pixel", dtype=float
    )
    return np.maximum(image.array, 0)  # the wings of a sampled PSF ring


def _add(data, image, x, y):
    """Add an image whose centre is pixel (x, y), and which may reach over the edges."""
    reach = len(image) // 2
    bottom, left = max(y - reach, 0), max(x - reach, 0)
    part = data[bottom : y + reach + 1, left : x + reach + 1]
    bottom, left = bottom - y + reach, left - x + reach
    part += image[bottom : bottom + part.shape[0], left : left + part.shape[1]].astype(data.dtype)
