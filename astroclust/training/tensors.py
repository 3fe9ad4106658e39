# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Conversion of numbers drawn with NumPy to tensors on the device of the pixels they change."""

import numpy as np
import torch

__all__ = ["tensor_like"]


def tensor_like(pixels, values):
    """Convert values to a tensor on the device of pixels.

    Parameters
    ----------
    pixels : `~torch.Tensor`
        Pixels.
    values : array_like
        Floating-point numbers, which are converted to float32; integers, such as indices; or
        boolean values.

    Returns
    -------
    tensor : `~torch.Tensor`
        Tensor of the same shape as the values.

    Examples
    --------
    >>> import torch
    >>> from astroclust.training.tensors import tensor_like
    >>> tensor_like(torch.zeros(3), [0.5, 2.0])
    tensor([0.5000, 2.0000])
    """
    values = np.asarray(values)
    if values.dtype.kind == "f":
        values = values.astype(np.float32)
    return torch.from_numpy(values).to(pixels.device)
