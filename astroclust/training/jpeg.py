# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""JPEG compression of many pictures at once, on the device of their tensor."""

import numpy as np
import torch
from torch.nn import functional

from astroclust.training.tensors import tensor_like

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
    planes = torch.einsum("ij,njyx->niyx", tensor_like(pictures, _COLORS), pictures).round_()
    planes[:, 0] -= 128  # differences of color are stored from 0 to 255, with 128 for none
    planes.clamp_(-128, 127)
    steps = tensor_like(pictures, _steps(np.asarray(quality)))
    changed = _quantize(planes, steps)
    half = _quantize(functional.avg_pool2d(planes[:, 1:], 2).round_(), steps[:, 1:])
    half = functional.interpolate(half, scale_factor=2.0, mode="bilinear").round_()
    halved = tensor_like(pictures, halved)[:, None, None, None]
    changed[:, 1:] = half.where(halved, changed[:, 1:])
    changed[:, 0] += 128
    back = tensor_like(pictures, np.linalg.inv(_COLORS))
    return torch.einsum("ij,njyx->niyx", back, changed).round_().clamp_(0, 255)


def _steps(quality):
    """Steps of the cosine transforms for the quality of each picture, shape (n, 3, 8, 8)."""
    percent = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = [np.array(table.split(), int) for table in (_LUMINANCE, _CHROMINANCE, _CHROMINANCE)]
    steps = (np.stack(tables) * percent[:, None, None] + 50) // 100
    return np.clip(steps, 1, 255).reshape(-1, 3, 8, 8).astype(np.float32)


def _quantize(planes, steps):
    """Planes with rounded cosine transforms of blocks of 8 x 8 pixels."""
    down, across = (tensor_like(planes, _cosines(length)) for length in planes.shape[2:])
    steps = steps.repeat(1, 1, len(down) // 8, len(across) // 8)
    rounded = (down @ planes @ across.T).div_(steps).round_().mul_(steps)
    return (down.T @ rounded @ across).round_().clamp_(-128, 127)


def _cosines(length):
    """Orthogonal matrix of the cosine transform of each eight pixels."""
    number, pixel = np.ogrid[:8, :8]
    block = np.cos(np.pi * (2 * pixel + 1) * number / 16) / 2
    block[0] /= np.sqrt(2)
    return np.kron(np.eye(length // 8), block)
