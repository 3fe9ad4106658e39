# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The PSF of HST by camera and filter, in Fourier space and on drizzled pixels."""

import warnings
from dataclasses import dataclass
from functools import lru_cache

import galsim
import numpy as np
from astropy.io import fits
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

PSF_ANGLES = 8  #: Orientations of the diffraction spikes, over a quarter of a turn.
MAX_RADIUS = 4.0  # arcsec, where the halo ends
# Rings of the halo, and wave numbers (up to so many radians a pixel) of its Fourier transform.
HALO_RINGS, HALO_WAVES, HALO_MAX_WAVE = 4000, 1500, 36.0
STAR = {"size": 512, "oversampling": 2}  # of images that are measured: 10 arcsec
STDPSF_SAMPLING = 4  # samples a detector pixel in all STDPSF files
DIAGONAL = PSF_ANGLES // 2  # angle of the spikes on the detector
JOIN = (6.0, 10.0)  # detector pixels, over which a STDPSF sinks to zero: it gives way to the halo


def _wave_numbers(size, oversampling):
    """Wave numbers (ky, kx) of `numpy.fft.rfft2`, radians a pixel: a column and a row."""
    ky, kx = fft.fftfreq(size, 1 / oversampling), fft.rfftfreq(size, 1 / oversampling)
    return 2 * np.pi * ky[:, None], 2 * np.pi * kx


def _square(size, oversampling, width):
    """A square of a width in drizzled pixels and of unit flux, in Fourier space."""
    ky, kx = (np.sinc(width * k / (2 * np.pi)) for k in _wave_numbers(size, oversampling))
    return (ky * kx).astype(np.float32)


# Takes 55 MB and computes its pupil when first drawn; kept for the other sizes of a field.
@lru_cache(maxsize=1)
def _core(telescope, wavelength, blur, angle):
    """Diffraction pattern and blur, in arcsec."""
    turn = (90 * angle / PSF_ANGLES) * galsim.degrees
    optics = galsim.OpticalPSF(lam=wavelength, strut_angle=turn, **TELESCOPES[telescope])
    return galsim.Convolve(optics, galsim.Gaussian(sigma=blur), real_space=False)


def _star(parameters, angle, size, oversampling, pixel_scale=PIXEL_SCALE):
    """The PSF with these parameters in Fourier space, pixel included."""
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
    """Wave numbers (radians per pixel of LEGUS), and the Fourier transform of a Moffat halo there.

    GalSim's own transform of a truncated Moffat is good to 1e-5, which leaves rings about bright
    stars as bright as the halo itself.
    """
    moffat = galsim.Moffat(beta=slope, half_light_radius=half_light_radius, trunc=MAX_RADIUS)
    scale, end = moffat.scale_radius / PIXEL_SCALE, MAX_RADIUS / PIXEL_SCALE
    # Rings of equal steps in the logarithm, as the profile is steep in the middle.
    edges = np.concatenate([[0.0], np.geomspace(1e-3, end, HALO_RINGS)])
    within = 1 - (1 + (edges / scale) ** 2) ** (1 - slope)
    light, radius = np.diff(within) / within[-1], (edges[1:] + edges[:-1]) / 2
    waves = np.linspace(0, HALO_MAX_WAVE, HALO_WAVES)
    return waves, np.array([light @ j0(wave * radius) for wave in waves])


def fourier_psf(camera, filter_name, *, angle, size, oversampling, pixel_scale=PIXEL_SCALE):
    """The PSF of a camera and filter in Fourier space, on drizzled pixels.

    Parameters
    ----------
    camera, filter_name : str
        Such as ``'uvis'`` and ``'F555W'``: a filter of one of
        `~astroclust.instruments.instruments`.
    angle : int
        Orientation of the spikes, 0 to ``PSF_ANGLES - 1``, in eighths of a quarter turn.
    size, oversampling : int, float
        Samples along a side of the image, an even number, and samples a drizzled pixel.
    pixel_scale : float, optional
        Width of a drizzled pixel in arcsec; by default that of LEGUS, 0.0396.

    Returns
    -------
    psf : `~numpy.ndarray`, complex64, shape (size, size // 2 + 1), read-only
        As of `numpy.fft.rfft2`, convolved with a drizzled pixel, of unit flux and centered on
        sample (0, 0): ``oversampling**2 * irfft2(psf)`` is flux a pixel.

    Raises
    ------
    ValueError
        If the camera has no such filter, or there is no such size or angle.

    Examples
    --------
    The flux is 1, and the highest pixel is the first:

    >>> import numpy as np
    >>> from astroclust.simulation.psf import fourier_psf
    >>> psf = fourier_psf("uvis", "F555W", angle=0, size=64, oversampling=1)
    >>> image = np.fft.irfft2(psf)
    >>> image.sum().round(3), image.argmax()
    (np.float32(1.0), np.int64(0))
    """
    parameters = psf_parameters(camera, filter_name)
    if size < 2 or size % 2 or angle not in range(PSF_ANGLES):
        raise ValueError(f"size {size} must be even, angle {angle} from 0 to {PSF_ANGLES - 1}")
    kept = _kept_small if size <= _SMALL else _kept_large
    return kept(parameters, angle, size, oversampling, pixel_scale)


def _read_only_psf(parameters, angle, size, oversampling, pixel_scale):
    psf = _star(parameters, angle, size, oversampling, pixel_scale)
    psf.flags.writeable = False
    return psf


# Those of stamps, of all bands and angles, are small; those of tiles of a field take 7 MB each.
_SMALL = 256
_kept_small = lru_cache(maxsize=128)(_read_only_psf)
_kept_large = lru_cache(maxsize=16)(_read_only_psf)


def _light_within(wave, radii):
    """Fraction of a star's light within radii (arcsec), as `encircled_energy` defines it."""
    radii = np.asarray(radii, float)
    if not np.all((radii > 0) & (radii <= MAX_RADIUS)):
        raise ValueError(f"radii must lie between 0 and {MAX_RADIUS} arcsec")
    # Apertures cut pixels by area, as if light were even in each: a second square. Here they cut
    # samples, a smaller square, which is taken away.
    size, sampling = STAR.values()
    wave = wave * (_square(**STAR, width=1) / _square(**STAR, width=1 / sampling))
    image = fft.fftshift(fft.irfft2(wave, s=(size, size)))
    in_samples = sampling / PIXEL_SCALE * radii.ravel()
    apertures = [CircularAperture((size // 2, size // 2), radius) for radius in in_samples]
    return np.reshape([a.do_photometry(image)[0][0] for a in apertures], radii.shape)


def encircled_energy(camera, filter_name, radii):
    """Fraction of the light of a star within radii, as photometry on drizzled pixels measures it.

    In exact circular apertures around it, on an image with two samples a pixel. It is the mean
    over all places of a star in a pixel, which so enters twice: as that of the image, and because
    apertures cut pixels by their area.

    Parameters
    ----------
    camera, filter_name : str
        As for `fourier_psf`, which raises the same errors.
    radii : array_like
        Radii in arcsec, more than 0 and at most 4; otherwise `ValueError`.

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
    """The parametric PSF as a STDPSF has it, and the share that the empirical one takes of it."""
    sampling = STDPSF_SAMPLING * PIXEL_SCALE / find_instrument(camera).pixel_scale
    psf = fourier_psf(camera, filter_name, angle=DIAGONAL, size=512, oversampling=sampling)
    offset = np.arange(samples) - samples // 2
    image = fft.irfft2(psf, s=(512, 512))[np.ix_(offset, offset)]
    radius = np.hypot(offset[:, None], offset) / STDPSF_SAMPLING
    return image, (1 + np.cos(np.interp(radius, JOIN, (0, np.pi)))) / 2


@dataclass(frozen=True, eq=False)
class PSFGrid:
    """Empirical PSFs over a detector, used in place of `fourier_psf`; `empirical_psf` reads them.

    Parameters
    ----------
    stars : `~scipy.interpolate.RegularGridInterpolator`
        PSFs with 4 samples a detector pixel, of fractions (y, x) of the detector.
    pair : tuple of str
        Camera and filter.
    drizzled : bool
        Whether they are as on drizzled images.

    Examples
    --------
    Of a file with the same round star in each corner of the detector:

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
    pair: tuple
    drizzled: bool

    def fourier(self, x_fraction, y_fraction, *, size, oversampling, pixel_scale=PIXEL_SCALE):
        """The PSF as of `fourier_psf`, at a place from 0 to 1 across the detector (both chips)."""
        if not (0 <= x_fraction <= 1 and 0 <= y_fraction <= 1):
            raise ValueError(f"({x_fraction}, {y_fraction}) is not from 0 to 1 across the detector")
        star = self.stars((y_fraction, x_fraction))
        # A STDPSF ends at 12.5 pixels and holds light within about 10, while a tenth of a star lies
        # outside. So the parametric PSF, made to agree with the tables, stays as it is far out, and
        # what light it has in the middle is arranged as the empirical PSF has it.
        model, share = _middle(*self.pair, len(star))
        model, star = share * model, share * star
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

    def encircled_energy(self, radii, *, x_fraction=0.5, y_fraction=0.5):
        """As `~astroclust.simulation.psf.encircled_energy`, at a place on the detector."""
        return _light_within(self.fourier(x_fraction, y_fraction, **STAR), radii)


def _transform(image, spacing, ky, kx):
    """Fourier image of samples around the middle one, ``spacing`` pixels apart."""
    offset = spacing * (np.arange(len(image)) - len(image) // 2)
    phase_y, phase_x = np.exp(-1j * ky * offset), np.exp(-1j * offset[:, None] * kx)
    # Beyond the wave numbers that the samples can hold, these would repeat themselves.
    return (phase_y * (np.abs(ky) < np.pi / spacing)) @ image @ (phase_x * (kx < np.pi / spacing))


def empirical_psf(path, *, camera, filter_name, drizzled=True):
    """Read a grid of empirical PSFs, a STDPSF file of STScI.

    Parameters
    ----------
    path : path-like
        The FITS file: PSFs with 4 samples a detector pixel, which have that pixel in them.
    camera, filter_name : str
        As for `fourier_psf`, whose halo completes the PSFs: the files do not say.
    drizzled : bool, optional
        As on drizzled images (``pixfrac`` 1), as published energies are; or as is.

    Returns
    -------
    grid : `PSFGrid`
        Which gives the PSF at any place on the detector.

    Raises
    ------
    ValueError
        If the file is no STDPSF grid, or the camera has no such filter.

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
    # photutils wants the name of the detector in that of the file, and reads one chip at a time.
    try:
        quiet = warnings.catch_warnings(action="ignore", category=fits.verify.VerifyWarning)
        with quiet, open_fits(path) as hdus:
            header, stars = hdus[0].header, np.array(hdus[0].data, float)
        places = []
        for key, count in (("JPSFY", header["NYPSFS"]), ("IPSFX", header["NXPSFS"])):
            axis = np.array([header[f"{key}{i:02d}"] for i in range(1, count + 1)], float)
            # Two chips meet at one place, which is there twice; interpolation forbids that.
            places.append((axis - axis[0]) / (axis[-1] - axis[0]) + np.linspace(0, 1e-9, count))
        stars = stars.reshape(*map(len, places), *(2 * stars.shape[-1:]))
        if stars.shape[-1] % 2 == 0 or not np.isfinite(stars).all():
            raise ValueError("its PSFs are not finite, or have no sample in their middle")
        return PSFGrid(RegularGridInterpolator(places, stars), (camera, filter_name), drizzled)
    except FileNotFoundError:
        raise
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a grid of PSFs of STScI (STDPSF): {error}") from error
