# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""PSF, blur and registration in Fourier space."""

from functools import lru_cache

import numpy as np
from scipy import fft

from astroclust.instruments import LEGUS_BANDS
from astroclust.simulation.psf import fourier_psf

__all__ = ["OVERSAMPLING", "Optics", "star_image", "wave_numbers"]

OVERSAMPLING = 2  # samples per pixel of a drawn scene: HST's pixels undersample its PSF
# Typical blur in pixels, the mean of the simulated fields; and a size in samples with room for the
# halo.
_USUAL_BLUR, _STAR_SIZE = 0.09, 512


@lru_cache(maxsize=64)
def wave_numbers(size):
    """Wave numbers of ``size`` samples, for `scipy.fft.rfft2`: (ky, kx) in radians per pixel."""
    spacing = 1 / OVERSAMPLING
    ky, kx = 2 * np.pi * fft.fftfreq(size, spacing), 2 * np.pi * fft.rfftfreq(size, spacing)
    return ky.astype(np.float32), kx.astype(np.float32)


class Optics:
    """Cached transfer functions of an observation.

    Parameters
    ----------
    observation : `~astroclust.simulation.observations.Observation`
        Filters, PSFs, blur, registration, and position on the detector.
    """

    def __init__(self, observation):
        self._observation = observation
        self._by_size = {}  # about 30 MB for one field

    def prepare(self, sizes):
        """Compute the transfer functions of several sizes at once, which is faster band by band."""
        missing = [size for size in dict.fromkeys(sizes) if size not in self._by_size]
        bands = range(len(self._observation.filters))
        parts = [[self._band_transfer(band, size) for size in missing] for band in bands]
        for size, part in zip(missing, zip(*parts, strict=True), strict=True):
            self._by_size[size] = np.array(part)

    def transfer(self, size):
        """Transfer function of each band, shape (bands, ky, kx), for ``size`` samples."""
        self.prepare([size])
        return self._by_size[size]

    def _band_transfer(self, band, size):
        observation, (ky, kx) = self._observation, wave_numbers(size)
        pair = observation.cameras[band], observation.filters[band]
        sampling = {"size": size, "oversampling": OVERSAMPLING}
        sampling["pixel_scale"] = observation.pixel_scale
        grid = observation.ingredients.psf.get(pair)
        if grid is None:
            psf = fourier_psf(*pair, angle=observation.angle, **sampling)
        else:
            psf = grid.fourier(*observation.on_detector, **sampling)
        blur, (dx, dy) = observation.blur[band], observation.shifts[band]
        phase = np.exp(-1j * (dy * ky[:, None] + dx * kx))
        squared = ky[:, None] ** 2 + kx**2
        return (psf * np.exp(-0.5 * blur**2 * squared) * phase).astype(np.complex64)


def star_image(camera, filter_name, *, pixel_scale=LEGUS_BANDS.pixel_scale, reach=32):
    """Image of a star centered on a pixel, with typical focus.

    Parameters
    ----------
    camera, filter_name : str
        Such as ``"uvis"`` and ``"F555W"``. The PSF of filters without a fit is interpolated between
        the other filters of the camera.
    pixel_scale : float, optional
        Width of a pixel, in arcsec.
    reach : int, optional
        Half width of the image, in pixels.

    Returns
    -------
    image : `~numpy.ndarray` of float32, shape (2 * reach + 1, 2 * reach + 1)
        Image with a total flux of 1, part of which is beyond the edges.

    Raises
    ------
    ValueError
        If the filter has no PSF.

    Examples
    --------
    >>> from astroclust.simulation import star_image
    >>> image = star_image("uvis", "F555W", reach=10)
    >>> image.shape, round(float(image.max()), 2)
    ((21, 21), 0.12)
    """
    sampling = {"size": _STAR_SIZE, "oversampling": OVERSAMPLING, "pixel_scale": pixel_scale}
    wave = fourier_psf(camera, filter_name, angle=0, **sampling)
    ky, kx = wave_numbers(_STAR_SIZE)
    wave = wave * np.exp(-0.5 * _USUAL_BLUR**2 * (ky[:, None] ** 2 + kx**2))
    pixels = OVERSAMPLING * np.arange(-reach, reach + 1)  # around sample (0, 0)
    image = fft.irfft2(wave, s=(_STAR_SIZE, _STAR_SIZE))
    return OVERSAMPLING**2 * image[np.ix_(pixels, pixels)]
