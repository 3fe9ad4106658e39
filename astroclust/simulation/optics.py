# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""What PSF, blur and registration make of a scene in Fourier space."""

from functools import lru_cache

import numpy as np
from scipy import fft

from astroclust.simulation.psf import fourier_psf

__all__ = ["OVERSAMPLING", "Optics", "star_image", "wave_numbers"]

OVERSAMPLING = 2  # samples a pixel at which a scene is drawn: HST's pixels undersample its PSF
# Half the width of the image of a star in pixels: LEGUS's total magnitudes are within 20. Samples
# leave room for the halo.
_STAR_REACH, _STAR_SIZE = 32, 512


@lru_cache(maxsize=64)
def wave_numbers(size):
    """Wave numbers of ``size`` samples, for `scipy.fft.rfft2`: (ky, kx) in radians a pixel."""
    spacing = 1 / OVERSAMPLING
    ky, kx = 2 * np.pi * fft.fftfreq(size, spacing), 2 * np.pi * fft.rfftfreq(size, spacing)
    return ky.astype(np.float32), kx.astype(np.float32)


def star_image(camera, filter_name, *, pixel_scale, blur=0.09):
    """The image of a star on drizzled pixels.

    Parameters
    ----------
    camera, filter_name : str
        Such as ``"uvis"`` and ``"F555W"``.
    pixel_scale : float
        Width of a pixel in arcsec.
    blur : float, optional
        Standard deviation of the jitter and focus of the observation, in pixels; by default the
        mean of simulated fields.

    Returns
    -------
    image : `~numpy.ndarray` of float32, shape (65, 65)
        Flux per pixel of a star of unit flux in the central pixel; the wings beyond are cut.

    Raises
    ------
    ValueError
        If there is no PSF of such a camera and filter.

    Examples
    --------
    >>> from astroclust.simulation import star_image
    >>> image = star_image("uvis", "F555W", pixel_scale=0.0396)
    >>> bool(image[32, 32] == image.max())
    True
    """
    sampling = {"size": _STAR_SIZE, "oversampling": OVERSAMPLING, "pixel_scale": pixel_scale}
    wave = fourier_psf(camera, filter_name, angle=0, **sampling)
    ky, kx = wave_numbers(_STAR_SIZE)
    wave = wave * np.exp(-0.5 * blur**2 * (ky[:, None] ** 2 + kx**2))
    pixels = OVERSAMPLING * np.arange(-_STAR_REACH, _STAR_REACH + 1)  # around sample (0, 0)
    image = fft.irfft2(wave, s=(_STAR_SIZE, _STAR_SIZE))[np.ix_(pixels, pixels)]
    return OVERSAMPLING**2 * image


class Optics:
    """The transfer functions of an observation, each of which is computed once.

    Parameters
    ----------
    observation : `~astroclust.simulation.observations.Observation`
        Filters, PSFs, blur, registration, and place on the detector.
    """

    def __init__(self, observation):
        self._observation = observation
        self._by_size = {}  # those of one field take some 30 MB

    def prepare(self, sizes):
        """Compute the transfer functions of some sizes at once, which saves time: band by band."""
        missing = [size for size in dict.fromkeys(sizes) if size not in self._by_size]
        bands = range(len(self._observation.filters))
        parts = [[self._band_transfer(band, size) for size in missing] for band in bands]
        for size, part in zip(missing, zip(*parts, strict=True), strict=True):
            self._by_size[size] = np.array(part)

    def transfer(self, size):
        """What each band makes of a scene, shape (bands, ky, kx), for ``size`` samples."""
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
