# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""HST PSFs by camera and filter, in Fourier space and on drizzled pixels."""

import warnings
from dataclasses import dataclass
from functools import lru_cache

import galsim
import numpy as np
from astropy.io import fits
from numpy.typing import ArrayLike, NDArray
from photutils.aperture import CircularAperture
from scipy import fft
from scipy.interpolate import RegularGridInterpolator
from scipy.special import j0

from astroclust.files import open_fits
from astroclust.instruments import LEGUS_BANDS, find_instrument
from astroclust.simulation.telescopes import TELESCOPES, psf_parameters

__all__ = [
    "PSF_ANGLES",
    "PSFGrid",
    "empirical_psf",
    "encircled_energy",
    "fourier_psf",
]

PIXEL_SCALE = LEGUS_BANDS.pixel_scale

PSF_ANGLES = 8  #: Number of orientations of the diffraction spikes, over a quarter turn.
MAX_RADIUS = 4.0  # arcsec, end of the halo
# Rings of the halo, and wave numbers (up to a maximum in radians per pixel) of its Fourier
# transform.
HALO_RINGS, HALO_WAVES, HALO_MAX_WAVE = 4000, 1500, 36.0
STAR = {"size": 512, "oversampling": 2}  # size of measured images: 10 arcsec
STDPSF_SAMPLING = 4  # samples per detector pixel in all STDPSF files
DIAGONAL = PSF_ANGLES // 2  # angle of the spikes on the detector
JOIN = (6.0, 10.0)  # detector pixels over which a STDPSF is tapered and replaced by the halo


def _wave_numbers(size, oversampling):
    """Wave numbers (ky, kx) of `numpy.fft.rfft2`, in radians per pixel: a column and a row."""
    ky, kx = fft.fftfreq(size, 1 / oversampling), fft.rfftfreq(size, 1 / oversampling)
    return 2 * np.pi * ky[:, None], 2 * np.pi * kx


def _square(size, oversampling, width):
    """Fourier transform of a square of unit flux and given width in drizzled pixels."""
    ky, kx = (np.sinc(width * k / (2 * np.pi)) for k in _wave_numbers(size, oversampling))
    return (ky * kx).astype(np.float32)


# Takes 55 MB and computes its pupil when first drawn; cached for the other sizes of a field.
@lru_cache(maxsize=1)
def _core(telescope, wavelength, blur, angle):
    """Diffraction pattern and blur, in arcsec."""
    turn = (90 * angle / PSF_ANGLES) * galsim.degrees
    optics = galsim.OpticalPSF(lam=wavelength, strut_angle=turn, **TELESCOPES[telescope])
    return galsim.Convolve(optics, galsim.Gaussian(sigma=blur), real_space=False)


def _star(parameters, angle, size, oversampling, pixel_scale=PIXEL_SCALE):
    """The PSF with these parameters in Fourier space, including the pixel."""
    core = _core(parameters.telescope, parameters.wavelength, parameters.blur, angle)
    core = core.dilate(1 / pixel_scale)
    bounds = galsim.BoundsI(0, size // 2, -size // 2, size // 2 - 1)
    image = galsim.ImageCF(bounds=bounds, scale=2 * np.pi * oversampling / size)
    core.drawKImage(image=image, recenter=False)
    ky, kx = _wave_numbers(size, oversampling)
    waves, transform = _halo(parameters.halo_radius, parameters.halo_slope)
    halo = np.interp(np.hypot(ky, kx), waves * (pixel_scale / PIXEL_SCALE), transform)
    fraction = parameters.halo_fraction
    light = (1 - fraction) * fft.ifftshift(image.array, axes=0) + fraction * halo
    return (light * _square(size, oversampling, 1)).astype(np.complex64)


@lru_cache(maxsize=32)
def _halo(half_light_radius, slope):
    """Wave numbers (radians per LEGUS pixel) and Fourier transform of a Moffat halo.

    GalSim's own transform of a truncated Moffat is accurate to 1e-5, which leaves rings around
    bright stars that are as bright as the halo itself.
    """
    moffat = galsim.Moffat(beta=slope, half_light_radius=half_light_radius, trunc=MAX_RADIUS)
    scale, end = moffat.scale_radius / PIXEL_SCALE, MAX_RADIUS / PIXEL_SCALE
    # Rings in equal logarithmic steps, because the profile is steep at the center.
    edges = np.concatenate([[0.0], np.geomspace(1e-3, end, HALO_RINGS)])
    within = 1 - (1 + (edges / scale) ** 2) ** (1 - slope)
    light, radius = np.diff(within) / within[-1], (edges[1:] + edges[:-1]) / 2
    waves = np.linspace(0, HALO_MAX_WAVE, HALO_WAVES)
    return waves, np.array([light @ j0(wave * radius) for wave in waves])


def fourier_psf(camera, filter_name, *, angle, size, oversampling, pixel_scale=PIXEL_SCALE):
    """PSF of a camera and filter in Fourier space, on drizzled pixels.

    Parameters
    ----------
    camera, filter_name : str
        Such as ``'uvis'`` and ``'F555W'``: a filter of one of
        `~astroclust.instruments.instruments`.
    angle : int
        Orientation of the spikes, 0 to ``PSF_ANGLES - 1``, in eighths of a quarter turn.
    size, oversampling : int, float
        Samples per side of the image, an even number, and samples per drizzled pixel.
    pixel_scale : float, optional
        Width of a drizzled pixel in arcsec; by default that of LEGUS, 0.0396.

    Returns
    -------
    psf : `~numpy.ndarray`, complex64, shape (size, size // 2 + 1), read-only
        In the layout of `numpy.fft.rfft2`, convolved with a drizzled pixel, of unit flux and
        centered on sample (0, 0): ``oversampling**2 * irfft2(psf)`` is the flux per pixel.

    Raises
    ------
    ValueError
        If the camera has no such filter, or the size or angle is invalid.

    Examples
    --------
    The flux is 1, and the brightest pixel is the first:

    >>> import numpy as np
    >>> from astroclust.simulation.psf import fourier_psf
    >>> psf = fourier_psf("uvis", "F555W", angle=0, size=64, oversampling=1)
    >>> image = np.fft.irfft2(psf)
    >>> image.sum().round(3), image.argmax()
    (np.float32(1.0), np.int64(0))
    """
    parameters = psf_parameters(camera, filter_name)
    if size < 2 or size % 2 or angle not in range(PSF_ANGLES):
        raise ValueError(
            f"size must be even and at least 2, and angle from 0 to {PSF_ANGLES - 1}, not "
            f"{size} and {angle}"
        )
    kept = _kept_small if size <= _SMALL else _kept_large
    return kept(parameters, angle, size, oversampling, pixel_scale)


def _read_only_psf(parameters, angle, size, oversampling, pixel_scale):
    psf = _star(parameters, angle, size, oversampling, pixel_scale)
    psf.flags.writeable = False
    return psf


# PSFs of stamps, for all bands and angles, are small; those of tiles of a field take 7 MB each.
_SMALL = 256
_kept_small = lru_cache(maxsize=128)(_read_only_psf)
_kept_large = lru_cache(maxsize=16)(_read_only_psf)


def _light_within(wave, radii):
    """Fraction of a star's flux within radii (arcsec); see `encircled_energy`."""
    radii = np.asarray(radii, float)
    if not np.all((radii > 0) & (radii <= MAX_RADIUS)):
        raise ValueError(
            f"radii must be above 0 and at most {MAX_RADIUS} arcsec, not from {radii.min()} to "
            f"{radii.max()}"
        )
    # Apertures split pixels by area, as if the flux were uniform in each: a second convolution with
    # a square. Here they split samples, so a smaller square is divided out.
    size, sampling = STAR.values()
    wave = wave * (_square(**STAR, width=1) / _square(**STAR, width=1 / sampling))
    image = fft.fftshift(fft.irfft2(wave, s=(size, size)))
    in_samples = sampling / PIXEL_SCALE * radii.ravel()
    apertures = [CircularAperture((size // 2, size // 2), radius) for radius in in_samples]
    return np.reshape([a.do_photometry(image)[0][0] for a in apertures], radii.shape)


def encircled_energy(camera, filter_name, radii):
    """Encircled energy of a star as measured by photometry on drizzled pixels.

    Measured in exact circular apertures on an image with two samples per pixel, averaged over
    subpixel positions. The pixel enters twice: as that of the image, and because apertures split
    pixels by area.

    Parameters
    ----------
    camera, filter_name : str
        See `fourier_psf`, which raises the same errors.
    radii : array_like
        Radii in arcsec, above 0 and at most 4; otherwise `ValueError`.

    Returns
    -------
    fractions : `~numpy.ndarray`, shape of ``radii``
        From 0 to 1.

    Examples
    --------
    >>> from astroclust.simulation.psf import encircled_energy
    >>> encircled_energy("uvis", "F555W", [0.04, 0.40]).round(2).tolist()
    [0.26, 0.91]
    """
    return _light_within(fourier_psf(camera, filter_name, angle=0, **STAR), radii)


@lru_cache(maxsize=16)
def _middle(camera, filter_name, samples):
    """Parametric PSF sampled like a STDPSF, and the weight of the empirical PSF over it."""
    sampling = STDPSF_SAMPLING * PIXEL_SCALE / find_instrument(camera).pixel_scale
    psf = fourier_psf(camera, filter_name, angle=DIAGONAL, size=512, oversampling=sampling)
    offset = np.arange(samples) - samples // 2
    image = fft.irfft2(psf, s=(512, 512))[np.ix_(offset, offset)]
    radius = np.hypot(offset[:, None], offset) / STDPSF_SAMPLING
    return image, (1 + np.cos(np.interp(radius, JOIN, (0, np.pi)))) / 2


@dataclass(frozen=True, eq=False)
class PSFGrid:
    """Empirical PSFs across a detector, read by `empirical_psf` and used instead of `fourier_psf`.

    Parameters
    ----------
    stars : `~scipy.interpolate.RegularGridInterpolator`
        PSFs with 4 samples per detector pixel, as a function of the detector fractions (y, x).
    pair : tuple of str
        Camera and filter.
    drizzled : bool
        Whether the PSFs are for drizzled images.

    Examples
    --------
    From a file with the same round star in each corner of the detector:

    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from astroclust.simulation.psf import empirical_psf
    >>> y, x = np.indices((101, 101)) - 50
    >>> star = np.exp(-(x**2 + y**2) / 18)
    >>> hdu = fits.PrimaryHDU(np.array([star] * 4))
    >>> hdu.header.update(NXPSFS=2, NYPSFS=2, IPSFX01=0, IPSFX02=4096, JPSFY01=0, JPSFY02=2048)
    >>> hdu.writeto("stdpsf.fits")
    >>> grid = empirical_psf("stdpsf.fits", camera="uvis", filter_name="F814W")
    >>> grid.fourier(0.5, 0.5, size=64, oversampling=1).shape
    (64, 33)
    """

    stars: RegularGridInterpolator
    pair: tuple[str, str]
    drizzled: bool

    def fourier(
        self,
        x_fraction: float,
        y_fraction: float,
        *,
        size: int,
        oversampling: int,
        pixel_scale: float = PIXEL_SCALE,
    ) -> NDArray[np.complex64]:
        """PSF like `fourier_psf`, at a position from 0 to 1 across the detector (both chips)."""
        if not (0 <= x_fraction <= 1 and 0 <= y_fraction <= 1):
            raise ValueError(f"({x_fraction}, {y_fraction}) is not from 0 to 1 across the detector")
        star = self.stars((y_fraction, x_fraction))
        # A STDPSF ends at 12.5 pixels and contains flux within about 10, but a tenth of that of a
        # star is outside. The parametric PSF, fitted to the tables, is therefore unchanged at
        # large radii, and its flux at the center is redistributed like the empirical PSF.
        model, fraction = _middle(*self.pair, len(star))
        model, star = fraction * model, fraction * star
        star *= model.sum() / star.sum()
        native = find_instrument(self.pair[0]).pixel_scale / pixel_scale
        grid = (native / STDPSF_SAMPLING, *_wave_numbers(size, oversampling))
        star = _transform(star, *grid)
        if self.drizzled:
            # Each detector pixel is dropped onto the pixels of the drizzled image.
            star *= _square(size, oversampling, native) * _square(size, oversampling, 1)
        sampling = {"size": size, "oversampling": oversampling, "pixel_scale": pixel_scale}
        psf = fourier_psf(*self.pair, angle=DIAGONAL, **sampling)
        return (psf + star - _transform(model, *grid)).astype(np.complex64)

    def encircled_energy(
        self, radii: ArrayLike, *, x_fraction: float = 0.5, y_fraction: float = 0.5
    ) -> NDArray[np.float64]:
        """Like `~astroclust.simulation.psf.encircled_energy`, at a position on the detector."""
        return _light_within(self.fourier(x_fraction, y_fraction, **STAR), radii)


def _transform(image, spacing, ky, kx):
    """Fourier transform of samples centered on the middle one, ``spacing`` pixels apart."""
    offset = spacing * (np.arange(len(image)) - len(image) // 2)
    phase_y, phase_x = np.exp(-1j * ky * offset), np.exp(-1j * offset[:, None] * kx)
    # The transform is periodic beyond the Nyquist frequency of the samples.
    return (phase_y * (np.abs(ky) < np.pi / spacing)) @ image @ (phase_x * (kx < np.pi / spacing))


def empirical_psf(path, *, camera, filter_name, drizzled=True):
    """Read a grid of empirical PSFs from an STScI STDPSF file.

    Parameters
    ----------
    path : path-like
        FITS file of PSFs with 4 samples per detector pixel, which include the pixel response.
    camera, filter_name : str
        See `fourier_psf`, whose halo completes the PSFs; the files do not record them.
    drizzled : bool, optional
        Whether to convert to drizzled images (``pixfrac`` 1), for which energies are published.

    Returns
    -------
    grid : `PSFGrid`
        Grid that returns the PSF at any position on the detector.

    Raises
    ------
    ValueError
        If the file is not a STDPSF grid, or the camera has no such filter.

    Examples
    --------
    A file with the same round star in each corner of the detector:

    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from astroclust.simulation.psf import empirical_psf
    >>> y, x = np.indices((101, 101)) - 50
    >>> star = np.exp(-(x**2 + y**2) / 18)
    >>> hdu = fits.PrimaryHDU(np.array([star] * 4))
    >>> hdu.header.update(NXPSFS=2, NYPSFS=2, IPSFX01=0, IPSFX02=4096, JPSFY01=0, JPSFY02=2048)
    >>> hdu.writeto("stdpsf.fits")
    >>> grid = empirical_psf("stdpsf.fits", camera="uvis", filter_name="F814W")
    >>> grid.encircled_energy([0.04, 0.4]).round(1).tolist()
    [0.4, 0.9]
    """
    fourier_psf(camera, filter_name, angle=0, size=2, oversampling=1)
    # photutils requires the detector in the file name, and reads one chip at a time.
    try:
        quiet = warnings.catch_warnings(action="ignore", category=fits.verify.VerifyWarning)
        with quiet, open_fits(path) as hdus:
            header, stars = hdus[0].header, np.array(hdus[0].data, float)
        positions = []
        for key, count in (("JPSFY", header["NYPSFS"]), ("IPSFX", header["NXPSFS"])):
            axis = np.array([header[f"{key}{i:02d}"] for i in range(1, count + 1)], float)
            # The position at which two chips meet is duplicated, which interpolation does not
            # allow.
            positions.append((axis - axis[0]) / (axis[-1] - axis[0]) + np.linspace(0, 1e-9, count))
        stars = stars.reshape(*map(len, positions), *(2 * stars.shape[-1:]))
        if stars.shape[-1] % 2 == 0 or not np.isfinite(stars).all():
            raise ValueError("its PSFs are not finite, or have no central sample")
        return PSFGrid(RegularGridInterpolator(positions, stars), (camera, filter_name), drizzled)
    except FileNotFoundError:
        raise
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not an STScI grid of PSFs (STDPSF): {error}") from error
