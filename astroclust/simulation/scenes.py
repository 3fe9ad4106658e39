# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""From sources of light to pixels: PSF, sampling, noise and flaws of the detector."""

import warnings
from dataclasses import dataclass
from functools import lru_cache

import galsim
import numpy as np
from scipy import fft, ndimage

from astroclust.images import BANDS, PIXEL_SCALE

__all__ = [
    "EXPOSURE_TIMES",
    "FILTERS",
    "ZERO_POINTS",
    "Conditions",
    "Source",
    "add_noise",
    "add_residue",
    "draw_conditions",
    "draw_scene",
    "draw_tiles",
    "eff_profile",
    "saturate",
]

# The filters of WFC3/UVIS that LEGUS used, NUV to I.
FILTERS = ("F275W", "F336W", "F438W", "F555W", "F814W")
# Vega zero points of WFC3/UVIS for 1 e-/s and the exposure times of LEGUS's standard UVIS visits
# in seconds, NUV to I: LEGUS pipeline constants and the headers of NGC 1566.
ZERO_POINTS = np.array([22.6322, 23.4836, 24.9738, 25.8160, 24.6803])
EXPOSURE_TIMES = np.array([2382.0, 1119.0, 965.0, 1143.0, 989.0])
# Noise of empty sky in e-/s per drizzled pixel, measured in NGC 628C, NUV to I.
SKY_NOISE = np.array([0.0027, 0.0031, 0.0054, 0.0084, 0.0165])
# The PSF of a band is the diffraction pattern of a 2.4-m telescope with struts, blurred, plus a
# halo: pivot wavelength in nm, blur and half-light radius of the halo in arcsec, and the halo's
# share of the light, fitted to the encircled energies of the WFC3/UVIS1 tables of STScI.
PSF_PARAMETERS = (
    (270.4, 0.0479, 0.425, 0.206),
    (335.5, 0.0424, 0.143, 0.400),
    (432.5, 0.0308, 0.127, 0.273),
    (530.8, 0.0298, 0.100, 0.297),
    (802.4, 0.0247, 0.108, 0.193),
)
PSF_ANGLES = 8  # orientations of the diffraction spikes

OVERSAMPLING = 2  # samples a pixel at which a scene is drawn: HST's pixels undersample its PSF
MARGIN = 16  # pixels around a scene: light from there falls in, and nothing wraps around
TILE = 128  # pixels: larger scenes are drawn tile by tile,
TILE_MARGIN = 48  # with more around each, so that the wings of sources cross the seams.
BRIGHT = 300.0  # e-/s, from which the wings of a source reach farther,
BRIGHT_REACH = 200  # to so many pixels


@dataclass(frozen=True)
class Source:
    """Light at one place: a point, or a GalSim profile of unit flux (lengths in pixels)."""

    x: float
    y: float
    flux: np.ndarray  # e-/s in each band
    profile: galsim.GSObject | None = None


@dataclass(frozen=True)
class Conditions:
    """What the sources of one image have in common."""

    pixel_pc: float  # parsec a pixel
    faint_limit: float  # V magnitude at which candidates end
    depth: float  # exposure time in units of the LEGUS standard
    blur: np.ndarray  # additional Gaussian blur a band, in pixels
    angle: int  # orientation of the spikes, an index


def draw_conditions(rng, distance=None):
    """Distance (Mpc; by default in LEGUS's range), depth and PSF of an image."""
    if distance is None:
        distance = np.exp(rng.uniform(np.log(3.5), np.log(20)))
    modulus = 5 * np.log10(distance) + 25
    return Conditions(
        pixel_pc=distance * 1e6 * np.radians(PIXEL_SCALE / 3600),
        faint_limit=min(modulus - 6, 24.3) + rng.uniform(0, 0.5),
        depth=np.exp(rng.normal(0, 0.4)),
        blur=rng.uniform(0.0, 0.55) + rng.uniform(0, 0.15, len(BANDS)),
        angle=int(rng.integers(PSF_ANGLES)),
    )


@lru_cache(maxsize=64)
def _wave_numbers(size):
    """Wave numbers of ``size`` samples, for `numpy.fft.rfft2`: (ky, kx) in radians a pixel."""
    spacing = 1 / OVERSAMPLING
    return 2 * np.pi * fft.fftfreq(size, spacing), 2 * np.pi * fft.rfftfreq(size, spacing)


def _fourier_image(profile, size):
    """A GalSim profile in Fourier space, shape (size, size // 2 + 1)."""
    half = size // 2
    step = 2 * np.pi * OVERSAMPLING / size
    image = galsim.ImageCF(bounds=galsim.BoundsI(0, half, -half, half - 1), scale=step)
    profile.drawKImage(image=image, recenter=False)
    return fft.ifftshift(image.array, axes=0)


@lru_cache(maxsize=32)
def _psf(angle, size):
    """The PSF of each band in Fourier space, pixel included, and a little too sharp.

    A scene adds its own blur (`Conditions.blur`), so that networks meet sharper and softer
    images than the mean of the tables.
    """
    pixel = galsim.Pixel(1.0)
    images = []
    for wavelength, blur, halo_radius, halo_share in PSF_PARAMETERS:
        optics = galsim.OpticalPSF(
            lam=wavelength,
            diam=2.4,
            obscuration=0.36,
            nstruts=4,
            strut_thick=0.025,
            strut_angle=(90 * angle / PSF_ANGLES) * galsim.degrees,
            scale_unit=galsim.arcsec,
        ).dilate(1 / PIXEL_SCALE)
        core = galsim.Convolve(
            optics, galsim.Gaussian(sigma=0.75 * blur / PIXEL_SCALE), real_space=False
        )
        halo = galsim.Moffat(
            beta=1.5, half_light_radius=halo_radius / PIXEL_SCALE, trunc=4 / PIXEL_SCALE
        )
        light = core * (1 - halo_share) + halo * halo_share
        with warnings.catch_warnings():
            # Both have hard edges, which GalSim would rather convolve in real space.
            warnings.simplefilter("ignore", galsim.GalSimWarning)
            images.append(_fourier_image(galsim.Convolve(light, pixel, real_space=False), size))
    return np.array(images)


@lru_cache(maxsize=256)
def eff_profile(slope):
    """Elson-Fall-Freeman profile, surface brightness (1 + r^2)^-slope, of half-light radius 1."""
    profile = galsim.Moffat(beta=slope, scale_radius=1, trunc=20)
    return profile.dilate(1 / profile.half_light_radius)


def draw_scene(sources, shape, conditions, margin=MARGIN):
    """Mean image of sources, e-/s, shape (bands, ny, nx); positions are 0-based pixel centres."""
    size = fft.next_fast_len(OVERSAMPLING * (max(shape) + 2 * margin))
    size += size % 2
    ky, kx = _wave_numbers(size)
    x = np.array([source.x for source in sources]) + margin
    y = np.array([source.y for source in sources]) + margin
    flux = np.array([source.flux for source in sources], np.float32).T
    phase_x = np.exp(-1j * np.outer(x, kx)).astype(np.complex64)
    phase_y = np.exp(-1j * np.outer(y, ky)).astype(np.complex64)
    points = np.array([source.profile is None for source in sources], bool)
    # Points have no structure: their sum is one matrix product a band.
    scene = np.einsum("bs,sj->bsj", flux[:, points], phase_y[points]).swapaxes(1, 2)
    scene = scene @ phase_x[points]
    for i in np.flatnonzero(~points):
        wave = _fourier_image(sources[i].profile, size)
        wave = wave * phase_y[i][:, None] * phase_x[i]
        scene += flux[:, i, None, None] * wave
    scene *= _psf(conditions.angle, size)
    wave_squared = (ky[:, None] ** 2 + kx**2).astype(np.float32)
    for band, blur in zip(scene, conditions.blur, strict=True):
        band *= np.exp(-0.5 * blur**2 * wave_squared)
    image = OVERSAMPLING**2 * fft.irfft2(scene, s=(size, size))
    image = image[:, ::OVERSAMPLING, ::OVERSAMPLING]
    return image[:, margin : margin + shape[0], margin : margin + shape[1]]


def draw_tiles(sources, shape, conditions):
    """As `draw_scene`, for images of any size: tile by tile, and bright stars one by one."""
    image = np.zeros((len(BANDS), *shape), np.float32)
    bright = [source for source in sources if source.flux.max() > BRIGHT]
    sources = [source for source in sources if source.flux.max() <= BRIGHT]
    x = np.array([source.x for source in sources])
    y = np.array([source.y for source in sources])
    reach = TILE / 2 + TILE_MARGIN
    for y0 in range(0, shape[0], TILE):
        for x0 in range(0, shape[1], TILE):
            near = (np.abs(x - x0 - TILE / 2) < reach) & (np.abs(y - y0 - TILE / 2) < reach)
            inside = [_moved(sources[i], -x0, -y0) for i in np.flatnonzero(near)]
            if inside:
                _add(image, draw_scene(inside, (TILE, TILE), conditions, TILE_MARGIN), x0, y0)
    for source in bright:
        x0, y0 = int(source.x) - BRIGHT_REACH, int(source.y) - BRIGHT_REACH
        patch = draw_scene([_moved(source, -x0, -y0)], (2 * BRIGHT_REACH,) * 2, conditions)
        _add(image, patch, x0, y0)
    return image


def _moved(source, dx, dy):
    return Source(source.x + dx, source.y + dy, source.flux, source.profile)


def _add(image, patch, x0, y0):
    """Add a patch whose first pixel is (x0, y0) of the image, and which may reach over it."""
    ny, nx = image.shape[1:]
    below, left = max(-y0, 0), max(-x0, 0)
    inside = patch[:, below : ny - y0, left : nx - x0]
    y1, x1 = y0 + below, x0 + left
    image[:, y1 : y1 + inside.shape[1], x1 : x1 + inside.shape[2]] += inside


def add_noise(image, conditions, rng):
    """Photon noise and the noise of the sky, correlated as drizzling correlates it.

    Drizzling spreads the electrons of a pixel and loses none: their noise gets smaller pixel by
    pixel, and stays what it is in an aperture. That of the sky was measured on drizzled pixels.
    """
    exposure = EXPOSURE_TIMES[:, None, None] * conditions.depth
    kernel = np.array([0.12, 0.76, 0.12], np.float32)
    sky = SKY_NOISE[:, None, None] / np.sqrt(conditions.depth) / np.sum(kernel**2)
    noise = rng.standard_normal(image.shape, np.float32)
    noise *= np.sqrt(np.maximum(image, 0) / exposure + sky**2)
    for axis in (1, 2):
        noise = ndimage.correlate1d(noise, kernel, axis=axis, mode="wrap")
    image += noise


def add_residue(image, kind, x, y, rng):
    """What cosmic rays and hot pixels leave behind, in one band or in a few."""
    if kind not in ("cosmic ray", "hot pixel"):
        return
    bands = rng.permutation(len(BANDS))[: int(rng.integers(1, 4))]
    length = rng.uniform(2, 9) if kind == "cosmic ray" else 0.0
    angle = rng.uniform(0, np.pi)
    steps = np.linspace(-0.5, 0.5, max(int(3 * length), 1)) * length
    columns = np.round(x + steps * np.cos(angle)).astype(int)
    rows = np.round(y + steps * np.sin(angle)).astype(int)
    inside = (rows >= 0) & (rows < image.shape[1]) & (columns >= 0) & (columns < image.shape[2])
    for band in bands:
        peak = SKY_NOISE[band] * 10 ** rng.uniform(1.2, 2.5)
        trail = np.zeros(image.shape[1:], np.float32)
        trail[rows[inside], columns[inside]] = peak * rng.uniform(0.5, 1, inside.sum())
        image[band] += ndimage.gaussian_filter(trail, rng.uniform(0.3, 0.55))


def saturate(image, conditions):
    """Full wells: about 70 000 electrons in an exposure of a third of the total."""
    level = 70000 / (EXPOSURE_TIMES * conditions.depth / 3)
    np.minimum(image, level[:, None, None], out=image)
