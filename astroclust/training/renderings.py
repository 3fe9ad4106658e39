# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Simulated conversion of stamps to color pictures."""

from io import BytesIO

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional

from astroclust.training.jpeg import compress_pictures
from astroclust.training.tensors import tensor_like

__all__ = ["render_stamps", "sky_levels"]

# Pixel scale of a picture, in pixels of the stamps: press pictures have 0.04 to 0.16 arcsec.
PIXELS = (1.0, 4.0)
# Exponent of the stretch, and scatter of its white point and color balance, as natural logarithms.
POWER, WHITE, BALANCE = (0.3, 0.75), 0.3, 0.12
# Depth of the black point below the sky, as the decimal logarithm of a fraction of the range from
# sky to white; probability that it is above the sky, and by how many standard deviations.
BLACK, CLIPPED, ABOVE_SKY = (-2.5, -0.4), 0.3, (-1.0, 5.0)
# Fraction of the difference from a blurred picture that is added.
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
    pixels : `~torch.Tensor` of float32, shape (n, 3, size, size)
        n stamps in three bands, the reddest last; not changed.
    fields : array_like, shape (n,)
        Field of each stamp; the stretch is set by all stamps of a field.
    rng : `~numpy.random.Generator`
        Random number generator.

    Returns
    -------
    pixels : `~torch.Tensor` of float32, shape (n, 3, size, size)
        Pixel values from 0 to 255, on the same device.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from astroclust.training.renderings import render_stamps
    >>> rng = np.random.default_rng(1)
    >>> render_stamps(torch.randn(4, 3, 50, 50), ["ngc628-c"] * 4, rng).shape
    torch.Size([4, 3, 50, 50])
    """
    n, size = len(pixels), pixels.shape[-1]
    if not n:
        return pixels.clone()
    limits = _limits(pixels, np.asarray(fields), rng)
    black, white = (tensor_like(pixels, values) for values in limits)
    light = (pixels - black).clamp_(min=0).div_((white - black).clamp_(min=1e-6))
    light.pow_(tensor_like(light, rng.uniform(*POWER, (n, 1, 1, 1))))
    # Only a few pixel scales per call, so that all stamps of a scale are resampled together.
    groups = np.array_split(rng.permutation(n), min(n, 4))
    widths, pictures, settings = [], [], []
    for rows in groups:
        width = float(np.exp(rng.uniform(*np.log(PIXELS))))
        coarse = _blur(light[tensor_like(light, rows)], 0.42 * width)
        coarse = _resample(coarse, round((size + 8) / width), width, rng)
        amount = tensor_like(light, rng.uniform(*SHARPENING, (len(rows), 1, 1, 1)))
        coarse += amount * (coarse - _blur(coarse, 0.8))
        widths.append(width)
        pictures.append(coarse.mul_(255).clamp_(0, 255).floor_().flip(1))  # the reddest as red
        settings.append(_draw_settings(len(rows), rng))
    result = torch.empty_like(light)
    for rows, width, picture in zip(groups, widths, _compress(pictures, settings), strict=True):
        bands = _resample(picture.flip(1), size, 1 / width)
        result[tensor_like(light, rows)] = bands.clamp_(0, 255)
    return result


def sky_levels(pixels):
    """16th and 50th percentiles of stamps, in each band.

    Parameters
    ----------
    pixels : `~torch.Tensor` of float32, shape (n, n_bands, size, size)
        Stamps.

    Returns
    -------
    low, sky : `~torch.Tensor` of float32, shape (n, n_bands)
        The percentiles.
    """
    pixels, percents = pixels.flatten(2), [16, 50]
    if pixels.device.type == "cpu":  # NumPy sorts no more than necessary
        levels = np.percentile(pixels.numpy(), percents, axis=2)
        return torch.from_numpy(levels.astype(np.float32))
    return pixels.quantile(pixels.new_tensor(percents) / 100, dim=2)


def _limits(pixels, fields, rng):
    """Black and white points of each stamp and band, shape (n, 3, 1, 1)."""
    n, middle = len(pixels), pixels.shape[-1] // 2
    low, sky = (values.cpu().numpy() for values in sky_levels(pixels))
    inner = slice(middle - _MIDDLE, middle + _MIDDLE + 1)
    peak = pixels[:, :, inner, inner].amax(dim=(2, 3)).cpu().numpy()
    peak = np.maximum(peak - sky, 1e-6)
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
    """Convolve with a Gaussian, as `~scipy.ndimage.gaussian_filter` does, by matrix products."""
    down, across = (
        tensor_like(pixels, ndimage.gaussian_filter1d(np.eye(length), sigma, axis=0, truncate=3))
        for length in pixels.shape[2:]
    )
    return down @ pixels @ across.T


def _resample(pixels, size, step, rng=None):
    """Center of stamps with pixels ``step`` times as wide, shifted if a generator is given."""
    n, n_bands, width = pixels.shape[:3]
    matrix = np.zeros((n, 2, 3))
    matrix[:, [0, 1], [0, 1]] = size * step / width
    if rng is not None:
        matrix[:, :, 2] = rng.uniform(-0.5, 0.5, (n, 2)) / width
    grid = functional.affine_grid(tensor_like(pixels, matrix), (n, n_bands, size, size), False)
    return functional.grid_sample(pixels, grid, "bicubic", "reflection", align_corners=False)


def _draw_settings(n, rng):
    """Offsets of JPEG blocks, whether colors are halved, and quality: int, shape (n, 4)."""
    draws = [
        (*rng.integers(0, 16, 2), rng.random() >= 0.5, rng.integers(*QUALITY)) for _ in range(n)
    ]
    return np.array(draws, int)


def _compress(pictures, settings):
    """Groups of pictures of one size each, compressed as JPEG."""
    if pictures[0].device.type != "cpu":
        return _compress_at_once(pictures, settings)
    return [
        torch.from_numpy(np.array(list(map(_compress_one, group.numpy(), each)), np.float32))
        for group, each in zip(pictures, settings, strict=True)
    ]


def _compress_one(picture, settings):
    """A picture, compressed and read with Pillow."""
    top, left, halved, quality = settings.tolist()
    file = BytesIO()
    padded = np.pad(picture, ((0, 0), (top, 0), (left, 0)), mode="symmetric")
    sampling = "4:2:0" if halved else "4:4:4"
    Image.fromarray(padded.transpose(1, 2, 0).astype(np.uint8)).save(
        file, "JPEG", quality=quality, subsampling=sampling
    )
    return np.asarray(Image.open(file))[top:, left:].transpose(2, 0, 1)


def _compress_at_once(pictures, settings):
    """Groups of pictures, compressed together on their device."""
    sizes = [group.shape[-1] for group in pictures]
    starts = [each[:, :2].T[..., None] for each in settings]
    # Complete blocks: mirrored before the first pixel, and repeated after the last.
    canvas = np.arange(-(-(max(sizes) + 15) // 16) * 16)
    padded = [
        _gather(group, _padded(canvas - start, size))
        for group, start, size in zip(pictures, starts, sizes, strict=True)
    ]
    _, _, halved, quality = np.concatenate(settings).T
    changed = compress_pictures(torch.cat(padded), quality, halved == 1)
    groups = changed.split(list(map(len, pictures)))
    return [
        _gather(group, start + np.arange(size))
        for group, start, size in zip(groups, starts, sizes, strict=True)
    ]


def _padded(positions, size):
    """Pixel numbers at positions that may be before the first or after the last pixel."""
    mirrored = (-1 - positions) % (2 * size)
    mirrored = np.minimum(mirrored, 2 * size - 1 - mirrored)
    return np.where(positions < 0, mirrored, np.minimum(positions, size - 1))


def _gather(pictures, positions):
    """Pixels in rows and columns that differ between pictures, each of shape (n, size)."""
    rows, columns = tensor_like(pictures, positions)
    number = tensor_like(pictures, np.arange(len(pictures))[:, None, None])
    # Channels are last if indices come first.
    pixels = pictures.movedim(1, -1)[number, rows[:, :, None], columns[:, None, :]]
    return pixels.movedim(-1, 1)
