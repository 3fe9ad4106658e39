# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Networks that only classify: faster than those that learn, with the same results."""

import os
from copy import deepcopy
from functools import lru_cache
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["fuse_network", "survive_forks"]

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


@lru_cache(maxsize=1)
def survive_forks():
    """Let processes that are forked from this one compute with torch, on one thread.

    The threads of OpenMP do not exist in a forked process, which would wait for them forever once
    they have been used in this one.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_use_one_thread)


def _use_one_thread():
    torch.set_num_threads(1)
