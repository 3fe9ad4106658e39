# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Simulated conversion of stamps to color pictures."""

from io import BytesIO

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional

__all__ = ["render_stamps"]

# Pixel scale of a picture, in pixels of the stamps: press pictures have 0.04 to 0.16 arcsec.
PIXELS = (1.0, 4.0)
# Exponent of the stretch, and scatter of its white point and color balance, as natural logarithms.
POWER, WHITE, BALANCE = (0.3, 0.75), 0.3, 0.12
# Depth of the black point below the sky, as the decimal logarithm of a fraction of the range from
# sky to white; probability that it is above the sky, and by how many standard deviations.
BLACK, CLIPPED, ABOVE_SKY = (-2.5, -0.4), 0.3, (-1.0, 5.0)
# Fraction of the difference to a blurred picture that is added.
SHARPENING = (-0.3, 1.6)
QUALITY = (50, 98)
# Half-width in pixels of the central region that is searched for the peak of the source.
_MIDDLE = 5


def render_stamps(pixels, fields, rng):
    """Convert stamps of three bands to color pictures and back.

    The white point of the stretch is set by bright sources of the field, the black point is near
    the sky. The pictures have coarser pixels than the stamps, are sharpened or blurred, and are
    compressed as 8-bit JPEG.

    Parameters
    ----------
    pixels : `~numpy.ndarray` of float32, shape (n, 3, size, size)
        n stamps in three bands, the reddest last; not changed.
    fields : array_like, shape (n,)
        Field of each stamp; the stretch is set by all stamps of a field.
    rng : `~numpy.random.Generator`
        Random number generator.

    Returns
    -------
    pixels : `~numpy.ndarray` of float32, shape (n, 3, size, size)
        Pixel values from 0 to 255.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.training.renderings import render_stamps
    >>> rng = np.random.default_rng(1)
    >>> pixels = rng.normal(size=(4, 3, 50, 50)).astype(np.float32)
    >>> render_stamps(pixels, ["ngc628-c"] * 4, rng).shape
    (4, 3, 50, 50)
    """
    n, size = len(pixels), pixels.shape[-1]
    if not n:
        return pixels.copy()
    black, white = _limits(pixels, np.asarray(fields), rng)
    light = np.maximum(pixels - black, 0) / np.maximum(white - black, 1e-6)
    light **= rng.uniform(*POWER, (n, 1, 1, 1)).astype(np.float32)
    result = np.empty_like(light)
    # Only a few pixel scales per call, so that each is resampled at once.
    for rows in np.array_split(rng.permutation(n), min(n, 4)):
        width = float(np.exp(rng.uniform(*np.log(PIXELS))))
        coarse = _resample(_blur(light[rows], 0.42 * width), round((size + 8) / width), width, rng)
        amount = rng.uniform(*SHARPENING, (len(rows), 1, 1, 1)).astype(np.float32)
        coarse += amount * (coarse - _blur(coarse, 0.8))
        coarse = np.clip(255 * coarse, 0, 255).astype(np.uint8)
        coarse = np.array([_jpeg(picture, rng) for picture in coarse], np.float32)
        result[rows] = np.clip(_resample(coarse, size, 1 / width), 0, 255)
    return result


def _limits(pixels, fields, rng):
    """Black and white points of each stamp and band, shape (n, 3, 1, 1)."""
    n, middle = len(pixels), pixels.shape[-1] // 2
    low, sky = np.percentile(pixels, [16, 50], axis=(2, 3))
    inner = slice(middle - _MIDDLE, middle + _MIDDLE + 1)
    peak = np.maximum(pixels[:, :, inner, inner].max(axis=(2, 3)) - sky, 1e-6)
    black, white = np.empty((2, n, 3), np.float32)
    for field in np.unique(fields):
        rows = np.flatnonzero(fields == field)
        # The brighter of two random sources, with the color of the median source.
        bright = np.max([peak[rng.permutation(rows)].max(axis=1) for _ in range(2)], axis=0)
        usual = np.median(peak[rows], axis=0)
        dark = np.quantile(sky[rows], 0.15, axis=0)
        span = bright[:, None] / usual.max() * usual
        span *= np.exp(
            rng.normal(0, WHITE, (len(rows), 1)) + rng.normal(0, BALANCE, (len(rows), 3))
        )
        white[rows] = dark + span
        black[rows] = dark - span * 10 ** rng.uniform(*BLACK, (len(rows), 1))
    clipped = rng.random(n) < CLIPPED
    above = sky + rng.uniform(*ABOVE_SKY, (n, 1)) * (sky - low)
    black[clipped] = above[clipped]
    return black[..., None, None], white[..., None, None]


def _blur(pixels, sigma):
    return ndimage.gaussian_filter(pixels, (0, 0, sigma, sigma), mode="reflect", truncate=3)


def _resample(pixels, size, step, rng=None):
    """Center of stamps with pixels ``step`` times as wide, shifted if a generator is given."""
    n, n_bands, width = pixels.shape[:3]
    matrix = np.zeros((n, 2, 3), np.float32)
    matrix[:, [0, 1], [0, 1]] = size * step / width
    if rng is not None:
        matrix[:, :, 2] = rng.uniform(-0.5, 0.5, (n, 2)) / width
    grid = functional.affine_grid(torch.from_numpy(matrix), (n, n_bands, size, size), False)
    return functional.grid_sample(
        torch.from_numpy(pixels), grid, "bicubic", "reflection", align_corners=False
    ).numpy()


def _jpeg(bands, rng):
    """Compress three bands as JPEG, the reddest as red."""
    # Random offset of the JPEG blocks.
    top, left = rng.integers(0, 16, 2)
    picture = np.pad(
        bands[::-1].transpose(1, 2, 0), ((top, 0), (left, 0), (0, 0)), mode="symmetric"
    )
    file = BytesIO()
    sampling = "4:4:4" if rng.random() < 0.5 else "4:2:0"
    quality = int(rng.integers(*QUALITY))
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=sampling)
    return np.asarray(Image.open(file))[top:, left:].transpose(2, 0, 1)[::-1]
