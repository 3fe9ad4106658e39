# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Fields and stamps with known truth, drawn with GalSim."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial

import galsim
import numpy as np
from astropy.table import Table
from scipy import fft, ndimage
from tqdm import tqdm

from astroclust.images import BANDS, PIXEL_SCALE
from astroclust.stamps import Stamps

__all__ = ["simulate_field", "simulate_stamps"]

# The filters of WFC3/UVIS that LEGUS used, NUV to I.
FILTERS = ("F275W", "F336W", "F438W", "F555W", "F814W")
# Vega zero points of WFC3/UVIS for 1 e-/s and the exposure times of LEGUS's standard UVIS visits
# in seconds, NUV to I: LEGUS pipeline constants and the headers of NGC 1566.
ZERO_POINTS = np.array([22.6322, 23.4836, 24.9738, 25.8160, 24.6803])
EXPOSURE_TIMES = np.array([2382.0, 1119.0, 965.0, 1143.0, 989.0])
# Noise of empty sky in e-/s per drizzled pixel, measured in NGC 628C, NUV to I.
SKY_NOISE = np.array([0.0027, 0.0031, 0.0054, 0.0084, 0.0165])
# Galactic extinction relative to E(B-V), from the LEGUS table (NGC 628), NUV to I.
EXTINCTION = np.array([6.1, 4.9, 4.0, 3.1, 1.7])

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

KINDS_OF_CLASS_4 = {
    "star": 0.27,
    "pair": 0.20,
    "triple": 0.11,
    "saturated": 0.08,
    "galaxy": 0.16,
    "cosmic ray": 0.06,
    "hot pixel": 0.06,
    "fluff": 0.06,
}
OVERSAMPLING = 2  # samples a pixel at which a scene is drawn: HST's pixels undersample its PSF
MARGIN = 16  # pixels around a scene: light from there falls in, and nothing wraps around
TILE = 128  # pixels: larger scenes are drawn tile by tile


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


def draw_conditions(rng):
    """Distance, depth and PSF of an image: LEGUS's range of distances, 3.5 to 20 Mpc."""
    distance = rng.uniform(3.5, 20)
    modulus = 5 * np.log10(distance) + 25
    return Conditions(
        pixel_pc=distance * 1e6 * np.radians(PIXEL_SCALE / 3600),
        faint_limit=min(modulus - 6, 24.3) + rng.uniform(0, 0.5),
        depth=np.exp(rng.normal(0, 0.4)),
        blur=rng.uniform(0.0, 0.55) + rng.uniform(0, 0.15, len(BANDS)),
        angle=int(rng.integers(PSF_ANGLES)),
    )


# ---------------------------------------------------------------------------------------------
# Drawing


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
        core = galsim.Convolve(optics, galsim.Gaussian(sigma=0.75 * blur / PIXEL_SCALE), real_space=False)
        halo = galsim.Moffat(
            beta=1.5, half_light_radius=halo_radius / PIXEL_SCALE, trunc=4 / PIXEL_SCALE
        )
        light = core * (1 - halo_share) + halo * halo_share
        images.append(_fourier_image(galsim.Convolve(light, pixel, real_space=False), size))
    return np.array(images)


@lru_cache(maxsize=256)
def _eff(slope):
    """Elson-Fall-Freeman profile, surface brightness (1 + r^2)^-slope, of half-light radius 1."""
    profile = galsim.Moffat(beta=slope, scale_radius=1, trunc=20)
    return profile.dilate(1 / profile.half_light_radius)


def _draw_scene(sources, shape, conditions):
    """Mean image of sources, e-/s, shape (bands, ny, nx); positions are 0-based pixel centres."""
    size = fft.next_fast_len(OVERSAMPLING * (max(shape) + 2 * MARGIN))
    size += size % 2
    ky, kx = _wave_numbers(size)
    x = np.array([source.x for source in sources]) + MARGIN
    y = np.array([source.y for source in sources]) + MARGIN
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
    return image[:, MARGIN : MARGIN + shape[0], MARGIN : MARGIN + shape[1]]


def _draw_tiles(sources, shape, conditions):
    """As `_draw_scene`, for images of any size, tile by tile."""
    image = np.empty((len(BANDS), *shape), np.float32)
    x = np.array([source.x for source in sources])
    y = np.array([source.y for source in sources])
    for y0 in range(0, shape[0], TILE):
        for x0 in range(0, shape[1], TILE):
            near = (np.abs(x - x0 - TILE / 2) < TILE / 2 + MARGIN) & (
                np.abs(y - y0 - TILE / 2) < TILE / 2 + MARGIN
            )
            inside = [
                Source(source.x - x0, source.y - y0, source.flux, source.profile)
                for source in (sources[i] for i in np.flatnonzero(near))
            ]
            tile = image[:, y0 : y0 + TILE, x0 : x0 + TILE]
            tile[:] = 0
            if inside:
                drawn = _draw_scene(inside, (TILE, TILE), conditions)
                tile[:] = drawn[:, : tile.shape[1], : tile.shape[2]]
    return image


def _add_noise(image, conditions, rng):
    """Photon noise and the noise of the sky, correlated as drizzling correlates it."""
    exposure = EXPOSURE_TIMES[:, None, None] * conditions.depth
    sky = SKY_NOISE[:, None, None] / np.sqrt(conditions.depth)
    noise = rng.standard_normal(image.shape, np.float32)
    kernel = np.array([0.12, 0.76, 0.12], np.float32)
    for axis in (1, 2):
        noise = ndimage.correlate1d(noise, kernel, axis=axis, mode="wrap")
    noise /= np.sum(kernel**2)
    image += noise * np.sqrt(np.maximum(image, 0) / exposure + sky**2)


# ---------------------------------------------------------------------------------------------
# What there is to see


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


def _star_flux(rng, magnitude):
    blue, red = STAR_COLORS
    colors = blue + (red - blue) * rng.beta(0.7, 1.0)
    return _redden(_flux(magnitude, colors), min(rng.exponential(0.1), 1.0))


def _magnitude(rng, conditions):
    """V of a candidate: a luminosity function of slope -2.2, ended at the faint limit."""
    return max(conditions.faint_limit - rng.exponential(0.9), 17.5)


def _radius(rng, conditions):
    """Half-light radius in pixels: log-normal about 2.7 pc, and large enough to be resolved."""
    parsec = 2.7 * 10 ** rng.normal(0, 0.22)
    return float(np.clip(parsec / conditions.pixel_pc, 0.4, 8.0))


def _cluster_profile(rng, radius, axis_ratio):
    slope = round(8 * rng.uniform(1.3, 2.5)) / 8
    profile = _eff(slope).dilate(radius)
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
    wing = _cluster_profile(rng, max(0.7 * radius, 0.4), rng.uniform(0.5, 1))
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


def _field_stars(rng, shape, conditions):
    """Single stars from somewhat above the faint limit to far below the noise, as crowding."""
    area = (shape[0] + MARGIN) * (shape[1] + MARGIN)
    density = 10 ** rng.uniform(-2.9, -1.5)  # a pixel
    n = rng.poisson(density * area)
    x = rng.uniform(-MARGIN / 2, shape[1] + MARGIN / 2, n)
    y = rng.uniform(-MARGIN / 2, shape[0] + MARGIN / 2, n)
    # A luminosity function of slope 0.45 a magnitude, six magnitudes deep.
    depth = np.log10(1 + rng.random(n) * (10 ** (0.45 * 6) - 1)) / 0.45
    magnitudes = conditions.faint_limit - 1 + depth
    return [Source(*p, _star_flux(rng, m)) for *p, m in zip(x, y, magnitudes, strict=True)]


def _diffuse_light(rng, shape, conditions):
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


def _add_residue(image, kind, x, y, rng):
    """What cosmic rays and hot pixels leave behind, in one band or in a few."""
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


def _saturate(image, conditions):
    """Full wells: about 70 000 electrons in an exposure of a third of the total."""
    level = 70000 / (EXPOSURE_TIMES * conditions.depth / 3)
    np.minimum(image, level[:, None, None], out=image)


# ---------------------------------------------------------------------------------------------
# Public calls


def _simulate_stamp(seed, *, size):
    rng = np.random.default_rng(seed)
    conditions = draw_conditions(rng)
    label = int(rng.integers(1, 5))
    shape = (size, size)
    # A stamp is centred on a rounded position, and catalogued positions err, some by a pixel.
    x, y = size // 2 + rng.uniform(-0.5, 0.5, 2) + rng.normal(0, rng.exponential(0.4), 2)
    kind, sources = _MAKERS[label](rng, x, y, conditions)
    magnitude = _v_magnitude(sources)
    if rng.random() < 0.5:  # a neighbour of any class, as half of all candidates have
        dx, dy = _offset(rng, rng.uniform(8, 30))
        neighbour = _MAKERS[int(rng.integers(1, 5))]
        sources = sources + neighbour(rng, x + dx, y + dy, conditions)[1]
    sources += _field_stars(rng, shape, conditions)
    image = _diffuse_light(rng, shape, conditions).astype(np.float32)
    if sources:
        image += _draw_scene(sources, shape, conditions)
    if kind in ("cosmic ray", "hot pixel"):
        _add_residue(image, kind, x, y, rng)
    _saturate(image, conditions)
    _add_noise(image, conditions, rng)
    return image, label, kind, magnitude


def _v_magnitude(sources):
    total = sum(source.flux[3] for source in sources)
    return ZERO_POINTS[3] - 2.5 * np.log10(total) if total > 0 else np.nan


def simulate_stamps(n, *, seed, size=50, workers=1, progress_bar=False):
    """Draw labelled postage stamps of simulated candidates.

    The four classes differ by shape, in the words of Wei et al. (2020, sec. 2): a resolved and
    round cluster; an elongated or lopsided one; several peaks on a diffuse patch; and stars,
    pairs, triples, saturated stars, background galaxies, fluff, cosmic rays and hot pixels. All
    stand among neighbours and field stars, on diffuse light, with the PSF and the noise of
    WFC3/UVIS in five bands, in galaxies at 3.5 to 20 Mpc.

    Parameters
    ----------
    n : int
        Number of stamps.
    seed : int or sequence of int
        Equal seeds give equal pixels, whatever ``workers`` is.
    size : int, optional
        Width of a stamp in pixels of 0.0396 arcsec.
    workers : int, optional
        Number of processes.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    stamps : `~astroclust.Stamps`
        ``data`` in e-/s, shape ``(n, 5, size, size)``. ``table`` has the truth: ``class``,
        ``kind`` and ``mag_v`` (Vega magnitude of the candidate; NaN for detector residue).

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> stamps = simulate_stamps(3, seed=1)
    >>> stamps.data.shape
    (3, 5, 50, 50)
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    if size < 8:
        raise ValueError(f"size must be at least 8 pixels, got {size}")
    data = np.empty((n, len(BANDS), size, size), np.float32)
    truth = Table(
        names=["class", "kind", "mag_v"], dtype=[np.int16, "U12", np.float32], data=None
    )
    seeds = np.random.SeedSequence(seed).spawn(n)
    task = partial(_simulate_stamp, size=size)
    rows = []
    with ProcessPoolExecutor(workers) as pool:
        drawn = pool.map(task, seeds, chunksize=32) if workers > 1 else map(task, seeds)
        for i, (image, *row) in enumerate(
            tqdm(drawn, total=n, unit="stamp", desc="simulating", disable=not progress_bar)
        ):
            data[i] = image
            rows.append(row)
    if rows:
        truth = Table(
            rows=rows, names=["class", "kind", "mag_v"], dtype=[np.int16, "U12", np.float32]
        )
    return Stamps(data, FILTERS, table=truth)
