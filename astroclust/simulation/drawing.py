# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Mean images of scenes: profiles, PSF, sampling and registration."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache

import galsim
import numpy as np
from scipy import fft
from tqdm import tqdm

from astroclust.simulation.optics import OVERSAMPLING, wave_numbers
from astroclust.simulation.template import N_BANDS

__all__ = [
    "MARGIN",
    "Ellipse",
    "Source",
    "Stars",
    "add_patch",
    "draw_field",
    "draw_group",
    "draw_scene",
    "fourier_image",
    "split_sources",
    "unit_profile",
]

MARGIN = 16  # pixels around a scene that contribute flux; wings of farther stars wrap around
TILE, TILE_MARGIN = 512, 64  # pixels: stars of large scenes are drawn in tiles
PATCH, LARGE_PATCH = 96, 256  # pixels around one extended source, and around one with wide wings
BRIGHT = 300.0  # e-/s, above which the wings of a star reach farther
BRIGHT_PATCH = 400  # pixels around such a star
_GAUSSIAN = ("sersic", 0.5)  # the family without wings
# Wave numbers at which profiles are tabulated, in radians per half-light radius.
_WAVE_STEP = 0.01
_WAVES = np.arange(0, 80, _WAVE_STEP)


@dataclass(frozen=True)
class Source:
    """Point source, or GalSim profile of unit flux (lengths in pixels), at a position."""

    x: float
    y: float
    flux: np.ndarray  # e-/s in each band
    profile: "galsim.GSObject | Ellipse | None" = None


@dataclass(frozen=True)
class Ellipse:
    """Elliptical profile of a family, ``("eff", slope)`` or ``("sersic", index)``.

    Or ``("real", profile)``, a real galaxy from `~astroclust.simulation.ingredients`, which is
    rotated but not stretched. The radius is the half-light radius of the circle of equal area, in
    pixels; the position angle is that of the major axis from x, in radians.
    """

    family: tuple
    radius: float
    axis_ratio: float = 1.0
    position_angle: float = 0.0

    @property
    def half_light_radius(self):
        """Half-light radius, named as in GalSim."""
        return self.radius


@dataclass(frozen=True)
class Stars:
    """Point sources: positions of shape (n,) in pixels, fluxes of shape (bands, n) in e-/s."""

    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray

    def __len__(self):
        return len(self.x)

    def __getitem__(self, rows):
        return Stars(self.x[rows], self.y[rows], self.flux[:, rows])

    def __add__(self, other):
        return Stars.concatenate([self, other])

    @classmethod
    def none(cls, n_bands=N_BANDS):
        """No stars."""
        return cls(np.empty(0), np.empty(0), np.empty((n_bands, 0)))

    @classmethod
    def concatenate(cls, parts):
        """Combine a non-empty list of stars."""
        x, y, flux = zip(*((part.x, part.y, part.flux) for part in parts), strict=True)
        return cls(np.concatenate(x), np.concatenate(y), np.concatenate(flux, axis=1))


def split_sources(sources, n_bands=N_BANDS):
    """Split sources into points, as `Stars`, and a list of extended ones."""
    points = [source for source in sources if source.profile is None]
    flux = np.array([source.flux for source in points], float).reshape(len(points), n_bands)
    x, y = np.array([(source.x, source.y) for source in points], float).reshape(-1, 2).T
    return Stars(x, y, flux.T), [source for source in sources if source.profile is not None]


@lru_cache(maxsize=64)
def unit_profile(family):
    """GalSim profile of a family, with a half-light radius of 1.

    Parameters
    ----------
    family : tuple
        ``("eff", slope)``, the profile of Elson, Fall & Freeman (1987) with surface brightness (1 +
        r^2)^-slope, truncated at 20 core radii so that its flux is finite; ``("sersic", index)``;
        or ``("real", profile)``, which is returned.

    Returns
    -------
    profile : `~galsim.GSObject`
        Profile of unit flux.

    Examples
    --------
    >>> from astroclust.simulation import unit_profile
    >>> round(float(unit_profile(("eff", 1.5)).flux), 6)
    1.0
    """
    name, number = family
    if name == "real":
        return number
    if name == "sersic":
        return galsim.Sersic(n=number, half_light_radius=1)
    profile = galsim.Moffat(beta=number, scale_radius=1, trunc=20)
    return profile.dilate(1 / profile.half_light_radius)


@lru_cache(maxsize=64)
def _radial_table(family):
    """Fourier transform of a family at `_WAVES`, which makes round profiles faster to draw."""
    bounds = galsim.BoundsI(0, len(_WAVES) - 1, 0, 0)
    image = galsim.ImageCD(bounds=bounds, scale=_WAVE_STEP)
    unit_profile(family).drawKImage(image=image, recenter=False)
    return image.array[0].real.astype(np.float32)


def fourier_image(profile, size):
    """Fourier transform of a profile of unit flux, shape (size, size // 2 + 1)."""
    if isinstance(profile, Ellipse):
        if profile.family[0] != "real":
            return _fourier_ellipse(profile, size)
        turn = profile.position_angle * galsim.radians
        profile = unit_profile(profile.family).dilate(profile.radius).rotate(turn)
    half = size // 2
    step = 2 * np.pi * OVERSAMPLING / size
    image = galsim.ImageCF(bounds=galsim.BoundsI(0, half, -half, half - 1), scale=step)
    profile.drawKImage(image=image, recenter=False)
    return fft.ifftshift(image.array, axes=0)


def _fourier_ellipse(profile, size):
    ky, kx = wave_numbers(size)
    cos, sin = np.cos(profile.position_angle), np.sin(profile.position_angle)
    stretch = profile.radius / np.sqrt(profile.axis_ratio)
    along = stretch * (cos * kx + (sin * ky)[:, None])
    across = stretch * profile.axis_ratio * (-sin * kx + (cos * ky)[:, None])
    index = np.hypot(along, across).astype(np.float32) * np.float32(1 / _WAVE_STEP)
    # The nearest value of a fine table is as good as an interpolated one, and faster.
    index = np.minimum(index + 0.5, len(_WAVES) - 1).astype(np.int32)
    return _radial_table(profile.family)[index]


def _to_pixels(scene, size):
    """Transform from Fourier space to pixels, shape (..., size // 2, size // 2)."""
    image = OVERSAMPLING**2 * fft.irfft2(scene, s=(size, size))
    return image[..., ::OVERSAMPLING, ::OVERSAMPLING]


def _samples(pixels):
    """Even number of samples for which the Fourier transform is fast."""
    size = fft.next_fast_len(OVERSAMPLING * pixels, real=True)
    while size % (2 * OVERSAMPLING):
        size = fft.next_fast_len(size + 1, real=True)
    return size


def draw_scene(sources, shape, observation, *, stars=None, margin=MARGIN):
    """Mean image of a small scene.

    Parameters
    ----------
    sources : list of `Source`
        Positions are 0-based pixel centers.
    shape : tuple of int
        (ny, nx).
    observation : `~astroclust.simulation.observations.Observation`
        Observation with PSF and registration.
    stars : `Stars`, optional
        Additional point sources.
    margin : int, optional
        Pixels around the scene that contribute flux.

    Returns
    -------
    image : `~numpy.ndarray` of float32, shape (bands, ny, nx)
        In e-/s per pixel.
    """
    n_bands = len(observation.filters)
    points, extended = split_sources(sources, n_bands)
    size = _samples(max(shape) + 2 * margin)
    ky, kx = wave_numbers(size)
    # Points have no structure: their sum is one matrix product.
    phase_x = np.exp(-1j * np.outer(points.x + margin, kx).astype(np.float32))
    phase_y = np.exp(-1j * np.outer(ky, points.y + margin).astype(np.float32))
    rows = points.flux.astype(np.float32)[:, None, :] * phase_y
    scene = rows.reshape(n_bands * size, len(points)) @ phase_x
    scene = scene.reshape(n_bands, size, len(kx))
    if stars is not None and len(stars):
        scene += _on_grid(stars, margin, margin, size)
    if extended:
        flux = np.array([source.flux for source in extended], np.complex64)
        waves = _waves(extended, margin, size)
        scene += (flux.T @ waves.reshape(len(extended), -1)).reshape(scene.shape)
    # In place, because NumPy may reuse either factor of a product that has no other reference for
    # the result, and then rounds differently.
    scene *= observation.optics.transfer(size)
    image = _to_pixels(scene, size)
    return image[:, margin : margin + shape[0], margin : margin + shape[1]].astype(np.float32)


def _waves(sources, margin, size):
    """Extended sources of unit flux at their positions in Fourier space, (sources, ky, kx)."""
    ky, kx = wave_numbers(size)
    waves = np.empty((len(sources), len(ky), len(kx)), np.complex64)
    for wave, source in zip(waves, sources, strict=True):
        phase = np.exp(-1j * (source.y + margin) * ky)[:, None]
        np.multiply(fourier_image(source.profile, size), phase, out=wave, casting="same_kind")
        wave *= np.exp(-1j * (source.x + margin) * kx)
    return waves


def draw_field(sources, stars, shape, observation, *, workers=2, progress_bar=False):
    """Like `draw_scene`, for images of any size and any number of stars.

    Stars are put on a grid and convolved in tiles; extended sources and bright stars, whose wings
    reach farther, are drawn individually.
    """
    image = np.zeros((len(observation.filters), *shape), np.float32)
    bright = stars.flux.max(axis=0, initial=0) > BRIGHT
    tile = min(TILE, max(shape))
    corners = [(y, x) for y in range(0, shape[0], tile) for x in range(0, shape[1], tile)]
    faint = _by_tile(stars[~bright], corners, tile)
    patches = [_samples(patch + 2 * MARGIN) for patch in (PATCH, LARGE_PATCH, BRIGHT_PATCH)]
    size = _samples(tile + 2 * TILE_MARGIN)
    observation.optics.prepare([size, *patches])
    transfer = observation.optics.transfer(size)
    lone = [
        Source(*position, flux)
        for *position, flux in zip(
            stars.x[bright], stars.y[bright], stars.flux[:, bright].T, strict=True
        )
    ]
    alone = [[source] for source in [*sources, *lone]]
    total = len(corners) + len(alone)
    with (
        ThreadPoolExecutor(workers) as pool,
        tqdm(total=total, unit="patch", desc="drawing", disable=not progress_bar) as bar,
    ):
        tiles = pool.map(lambda corner: _draw_tile(faint[corner], corner, transfer, tile), corners)
        for (y0, x0), patch in zip(corners, tiles, strict=True):
            add_patch(image, patch, x0, y0)
            bar.update()
        for patch in pool.map(lambda sources: draw_group(sources, observation), alone):
            add_patch(image, *patch)
            bar.update()
    return image


def _by_tile(stars, corners, tile):
    """Stars that contribute to each tile, by the tile's corner (y, x)."""
    reach, rows, result = tile / 2 + TILE_MARGIN - 2, {}, {}
    for y0, x0 in corners:
        if y0 not in rows:
            rows[y0] = stars[np.abs(stars.y - y0 - tile / 2) < reach]
        result[y0, x0] = rows[y0][np.abs(rows[y0].x - x0 - tile / 2) < reach]
    return result


@lru_cache(maxsize=8)
def _window(size):
    """Correction in Fourier space for distributing a point source over four samples."""
    ky, kx = wave_numbers(size)
    half = 0.5 / np.pi / OVERSAMPLING
    return ((np.sinc(ky * half)[:, None] * np.sinc(kx * half)) ** -2).astype(np.float32)


def _on_grid(stars, left, low, size, bands=slice(None)):
    """Fourier transform of stars on a grid with an offset to the left of and below the origin.

    Stars off the grid are excluded.
    """
    x, y = (stars.x + left) * OVERSAMPLING, (stars.y + low) * OVERSAMPLING
    inside = (x >= 0) & (y >= 0) & (x < size - 1) & (y < size - 1)
    x, y, flux = x[inside], y[inside], stars.flux[bands][:, inside]
    column, row = x.astype(np.int64), y.astype(np.int64)
    right, up = x - column, y - row
    samples = [
        ((row + dy) * size + column + dx, in_y * in_x)
        for dy, in_y in ((0, 1 - up), (1, up))
        for dx, in_x in ((0, 1 - right), (1, right))
    ]
    pixels, weights = (np.concatenate(parts) for parts in zip(*samples, strict=True))
    grid = np.empty((len(flux), size * size), np.float32)
    for band, light in zip(grid, flux, strict=True):
        band[:] = np.bincount(pixels, np.tile(light, 4) * weights, minlength=size * size)
    return fft.rfft2(grid.reshape(-1, size, size)) * _window(size)


def _draw_tile(stars, corner, transfer, tile):
    image = np.empty((len(transfer), tile, tile), np.float32)
    size, inside = transfer.shape[1], slice(TILE_MARGIN, TILE_MARGIN + tile)
    left, low = TILE_MARGIN - corner[1], TILE_MARGIN - corner[0]
    for band in range(len(transfer)):  # one by one to save memory
        scene = _on_grid(stars, left, low, size, slice(band, band + 1)) * transfer[band]
        image[band] = _to_pixels(scene, size)[0, inside, inside]
    return image


def draw_group(sources, observation):
    """Draw the image of sources at one position on a separate patch.

    Parameters
    ----------
    sources : list of `Source`
        At least one source; the first is centered.
    observation : `~astroclust.simulation.observations.Observation`
        Observation with PSF and registration.

    Returns
    -------
    patch : `~numpy.ndarray` of float32, shape (bands, n, n)
        In e-/s per pixel.
    x0, y0 : int
        First pixel of the patch.
    """
    # If negative sources replace others, the residual flux determines the wings.
    flux = np.abs(np.sum([source.flux for source in sources], axis=0))
    width = BRIGHT_PATCH if flux.max() > BRIGHT else PATCH
    x, y = sources[0].x, sources[0].y
    far = max(_wings(source) + np.hypot(source.x - x, source.y - y) for source in sources)
    if width == PATCH and far > PATCH / 2:
        width = LARGE_PATCH
    x0, y0 = int(x) - width // 2, int(y) - width // 2
    moved = [replace(source, x=source.x - x0, y=source.y - y0) for source in sources]
    return draw_scene(moved, (width, width), observation), x0, y0


def _wings(source):
    """Extent of a source beyond the PSF, in pixels."""
    if source.profile is None:
        return 0.0
    radii = 5 if getattr(source.profile, "family", None) == _GAUSSIAN else 8
    return radii * source.profile.half_light_radius


def add_patch(image, patch, x0, y0):
    """Add a patch with its first pixel at (x0, y0), which may extend beyond the image."""
    ny, nx = image.shape[1:]
    below, left = max(-y0, 0), max(-x0, 0)
    inside = patch[:, below : max(ny - y0, 0), left : max(nx - x0, 0)]
    y1, x1 = y0 + below, x0 + left
    image[:, y1 : y1 + inside.shape[1], x1 : x1 + inside.shape[2]] += inside
