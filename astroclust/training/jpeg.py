# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""JPEG compression of many pictures at once, on the device that holds them."""

import math

import numpy as np
import torch
from torch.nn import functional

__all__ = ["compress_pictures"]

# Quantization of luminance and chrominance (ITU-T T.81, Annex K.1).
_LUMINANCE = """
    16 11 10 16  24  40  51  61
    12 12 14 19  26  58  60  55
    14 13 16 24  40  57  69  56
    14 17 22 29  51  87  80  62
    18 22 37 56  68 109 103  77
    24 35 55 64  81 104 113  92
    49 64 78 87 103 121 120 101
    72 92 95 98 112 100 103  99
"""
_CHROMINANCE = """
    17 18 24 47 99 99 99 99
    18 21 26 66 99 99 99 99
    24 26 56 99 99 99 99 99
    47 66 99 99 99 99 99 99
    99 99 99 99 99 99 99 99
    99 99 99 99 99 99 99 99
    99 99 99 99 99 99 99 99
    99 99 99 99 99 99 99 99
"""
# Luminance and color differences of red, green and blue (ITU-T T.871, sec. 7).
_COLORS = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)


def compress_pictures(pictures, quality, halved):
    """Compress pictures as JPEG, and decompress them.

    Only the steps that lose information are computed. The result differs from that of libjpeg,
    which rounds more often, by a small fraction of the loss.

    Parameters
    ----------
    pictures : `~torch.Tensor` of float32, shape (n, 3, ny, nx)
        Red, green and blue, integers from 0 to 255. ny and nx are multiples of 16.
    quality : array_like of int, shape (n,)
        Quality, from 1 to 100, as libjpeg defines it.
    halved : array_like of bool, shape (n,)
        Whether colors are stored at half of the resolution (4:2:0).

    Returns
    -------
    pictures : `~torch.Tensor` of float32, shape (n, 3, ny, nx)
        Integers from 0 to 255.

    Examples
    --------
    >>> import torch
    >>> from astroclust.training.jpeg import compress_pictures
    >>> pictures = torch.zeros(1, 3, 16, 16)
    >>> pictures[0, 0, 4:12, 4:12] = 200.0
    >>> changed = compress_pictures(pictures, [50], [True]) - pictures
    >>> bool(changed.abs().mean() > 1)
    True
    """
    matrix = torch.as_tensor(_COLORS, dtype=torch.float32, device=pictures.device)
    planes = torch.einsum("ij,njyx->niyx", matrix, pictures).round()
    # Differences of color are stored from 0 to 255, with 128 for none.
    brightness, colors = planes[:, :1] - 128, planes[:, 1:].clamp(-128, 127)
    quality = torch.as_tensor(np.asarray(quality)).to(pictures.device)
    halved = torch.as_tensor(np.asarray(halved)).to(pictures.device)[:, None, None, None]
    brightness = _quantize(brightness, _LUMINANCE, quality) + 128
    full = _quantize(colors, _CHROMINANCE, quality)
    half = _quantize(functional.avg_pool2d(colors, 2).round(), _CHROMINANCE, quality)
    half = functional.interpolate(half, scale_factor=2.0, mode="bilinear").round()
    planes = torch.cat([brightness, half.where(halved, full)], dim=1)
    back = torch.as_tensor(np.linalg.inv(_COLORS), dtype=torch.float32, device=pictures.device)
    return torch.einsum("ij,njyx->niyx", back, planes).round_().clamp_(0, 255)


def _quantize(planes, table, quality):
    """Planes with rounded cosine transforms of blocks of 8 x 8 pixels."""
    height, width = planes.shape[2:]
    table = torch.tensor([int(step) for step in table.split()], device=planes.device)
    percent = torch.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    steps = ((table * percent[:, None] + 50) // 100).clamp_(1, 255).float().reshape(-1, 1, 8, 8)
    steps = steps.repeat(1, 1, height // 8, width // 8)
    down, across = (_cosines(length, planes.device) for length in (height, width))
    rounded = ((down @ planes @ across.T) / steps).round_().mul_(steps)
    return (down.T @ rounded @ across).round_().clamp_(-128, 127)


def _cosines(length, device):
    """Orthogonal matrix of the cosine transform of each eight pixels."""
    number, pixel = np.ogrid[:8, :8]
    block = np.cos(math.pi * (2 * pixel + 1) * number / 16) / 2
    block[0] /= math.sqrt(2)
    return torch.as_tensor(np.kron(np.eye(length // 8), block), dtype=torch.float32, device=device)
