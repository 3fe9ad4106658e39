# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Networks that only classify, made faster without a change of what they give."""

import ctypes
import sys
from contextlib import suppress
from copy import deepcopy
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["fuse_network", "keep_memory"]

# How far scores of random stamps may move, which rounding does by some 1e-6.
_TOLERANCE = 1e-3


def fuse_network(network, n_bands, size):
    """Make one of each convolution and the batch normalisation that follows it.

    Parameters
    ----------
    network : `~torch.nn.Module`
        As `~astroclust.networks.create_network` makes them, in evaluation mode; not changed.
    n_bands, size : int
        Bands and width in pixels of the stamps that it takes.

    Returns
    -------
    fused : `~torch.nn.Module`
        A copy with the same scores but for rounding. Nothing is fused in a network where what
        follows one another in a module is not what follows in its sequence.
    """
    fused = deepcopy(network)
    for module in list(fused.modules()):
        for (first, convolution), (second, norm) in pairwise(list(module.named_children())):
            if type(convolution) is nn.Conv2d and type(norm) is nn.BatchNorm2d:
                setattr(module, first, fuse_conv_bn_eval(convolution, norm))
                setattr(module, second, nn.Identity())
    weight = next(network.parameters())
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand((2, n_bands, size, size), generator=generator).to(weight)
    present = weight.new_ones((2, n_bands))
    with torch.inference_mode():
        wanted, found = network(pixels, present), fused(pixels, present)
    return fused if torch.allclose(wanted, found, _TOLERANCE, _TOLERANCE) else deepcopy(network)


# Numbers of the settings in glibc's malloc.h, and up to how many bytes are kept.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT = 1 << 29


def keep_memory():
    """Have Linux leave this process the memory that tensors free, up to half a gigabyte.

    Else glibc gives back what each layer of a network frees, and the next one takes it anew, page
    by page, which costs a quarter of the time.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # of another C library
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT)
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT)
