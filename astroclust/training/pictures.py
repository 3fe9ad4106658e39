# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Augmentation of stamps from color pictures, which spans the differences between renderings."""

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from astroclust.stamps import fill_holes
from astroclust.training.tensors import tensor_like

__all__ = ["augment_pictures"]

# Maximum change of the pixel scale, as a natural logarithm.
SCALE = 0.3
# Maximum shift in each direction, in pixels.
SHIFT = 1.5
# Maximum exponent applied to pixel values, as a natural logarithm.
GAMMA = 0.4
# Scatter of the gains of the bands, as a natural logarithm.
GAIN = 0.3
# Maximum fraction of the difference from the 3 x 3 mean that is added or subtracted to blur or
# sharpen.
BLUR = 0.7
# Maximum standard deviation of the noise, in units of the peak pixel.
NOISE = 0.03
# Probability that one or more bands, but not all, are removed.
BAND_LOSS = 0.3


def augment_pictures(stamps, rng, *, size=None):
    """Augment stamps of color pictures with transformations that preserve their class.

    Stamps are rotated by random angles, reflected, scaled and shifted; their stretch and the gains
    of the bands are changed; they are blurred or sharpened; noise is added; and bands are removed.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps; not changed.
    rng : `~numpy.random.Generator`
        Random number generator.
    size : int, optional
        Width in pixels to which the stamps are cropped; by default, their own. Pixels beyond the
        edge are reflected at it.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in the same order, without missing pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust import Stamps
    >>> from astroclust.training import augment_pictures
    >>> rng = np.random.default_rng(1)
    >>> stamps = Stamps(rng.uniform(0, 255, (10, 3, 80, 80)), ["B", "V", "I"])
    >>> changed = augment_pictures(stamps, rng, size=50)
    >>> changed
    <Stamps: 10 of 50 x 50 pixels in B B, V V, I I>
    """
    size = stamps.size if size is None else size
    present = _with_losses(stamps.present, rng)
    pixels = torch.as_tensor(stamps.data)
    data = pixels.new_zeros((*pixels.shape[:2], size, size))
    used = np.flatnonzero(stamps.present.any(axis=0)).tolist()
    if used:
        data[:, used] = _rendered(_turned(_filled(pixels[:, used]), rng, size), rng)
    data.masked_fill_(tensor_like(data, ~present[:, :, None, None]), 0)
    return replace(stamps, data=data, present=present)


def _with_losses(present, rng):
    """Mask of the bands that are kept, at least one per stamp."""
    order = np.where(present, rng.random(present.shape), 2.0).argsort(axis=1).argsort(axis=1)
    n = present.sum(axis=1)
    kept = np.where(rng.random(len(n)) < BAND_LOSS, rng.integers(1, np.maximum(n, 2)), n)
    return present & (order < kept[:, None])


def _filled(pixels):
    """Missing pixels filled from their neighbors, or by the median of their band."""
    pixels = fill_holes(pixels)
    if not pixels.sum().isnan():
        return pixels
    missing = pixels.isnan()
    median = pixels.flatten(2).nanmedian(dim=-1).values.nan_to_num(0.0)
    return torch.where(missing, median[:, :, None, None], pixels)


def _turned(pixels, rng, size):
    """Center of each stamp, rotated, reflected, scaled and shifted."""
    n, width = len(pixels), pixels.shape[-1]
    angle, mirror = rng.uniform(0, 2 * np.pi, n), rng.choice([-1, 1], n)
    scale = size / width * np.exp(rng.uniform(-SCALE, SCALE, n))
    matrix = np.zeros((n, 2, 3))
    matrix[:, 0, 0], matrix[:, 0, 1] = scale * mirror * np.cos(angle), -scale * np.sin(angle)
    matrix[:, 1, 0], matrix[:, 1, 1] = scale * mirror * np.sin(angle), scale * np.cos(angle)
    matrix[:, :, 2] = rng.uniform(-SHIFT, SHIFT, (n, 2)) * 2 / width
    shape = (n, pixels.shape[1], size, size)
    grid = functional.affine_grid(tensor_like(pixels, matrix), shape, align_corners=False)
    return functional.grid_sample(
        pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )


def _rendered(pixels, rng):
    """Stamps with another stretch, color balance, sharpness and noise."""
    n, n_bands = pixels.shape[:2]
    black = pixels.amin(dim=(2, 3), keepdim=True)
    peak = pixels.flatten(1).amax(dim=-1)[:, None, None, None]
    peak = torch.where(peak > 0, peak, 1.0)
    pixels = ((pixels - black) / peak).clamp_(min=0)
    pixels = pixels.pow_(tensor_like(pixels, np.exp(rng.uniform(-GAMMA, GAMMA, (n, 1, 1, 1)))))
    pixels *= tensor_like(pixels, np.exp(rng.normal(0, GAIN, (n, n_bands, 1, 1))))
    pixels.lerp_(_means(pixels), tensor_like(pixels, rng.uniform(-BLUR, BLUR, (n, 1, 1, 1))))
    noise = tensor_like(pixels, rng.uniform(0, NOISE, (n, 1, 1, 1)))
    # Torch draws twice as fast as NumPy.
    draws = torch.Generator(pixels.device).manual_seed(int(rng.integers(2**31)))
    pixels += torch.randn(pixels.shape, generator=draws, device=pixels.device) * noise
    return pixels.mul_(peak)


def _means(pixels):
    """Means of 3 x 3 pixels, as sums of slices, which are faster than pooling."""
    sums = functional.pad(pixels, (1, 1, 1, 1), mode="replicate")
    sums = sums[..., :-2] + sums[..., 1:-1] + sums[..., 2:]
    return (sums[..., :-2, :] + sums[..., 1:-1, :] + sums[..., 2:, :]) / 9
