# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Faster inference with networks, with the same results."""

import os
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from functools import lru_cache
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["channels_last", "fuse_network", "map_blocks", "survive_forks"]

# Tolerance on the scores of random stamps; rounding changes them by about 1e-6.
_TOLERANCE = 1e-3


def fuse_network(network, n_bands, size):
    """Merge each convolution with the batch normalization that follows it.

    Parameters
    ----------
    network : `~torch.nn.Module`
        Network from `~astroclust.networks.create_network`, in evaluation mode; not modified.
    n_bands, size : int
        Number of bands and width in pixels of its stamps.

    Returns
    -------
    fused : `~torch.nn.Module`
        Copy with the same scores within rounding errors. It is not fused if the modules are not
        called in the order of their assignment.

    Examples
    --------
    >>> from astroclust.networks import create_network
    >>> from astroclust.networks import fuse_network
    >>> network = create_network("native").eval()
    >>> len(list(fuse_network(network, 5, 50).parameters())) < len(list(network.parameters()))
    True
    """
    fused = deepcopy(network)
    for module in list(fused.modules()):
        if hasattr(module, "merge_norm"):
            module.merge_norm()
        for (first, convolution), (second, norm) in pairwise(list(module.named_children())):
            if _can_fuse(convolution, norm):
                setattr(module, first, fuse_conv_bn_eval(convolution, norm))
                setattr(module, second, nn.Identity())
    weight = next(network.parameters())
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand((2, n_bands, size, size), generator=generator).to(weight)
    present = weight.new_ones((2, n_bands))
    with torch.inference_mode():
        wanted, found = network(pixels, present), fused(pixels, present)
    return fused if torch.allclose(wanted, found, _TOLERANCE, _TOLERANCE) else deepcopy(network)


def _can_fuse(convolution, norm):
    return (
        type(convolution) is nn.Conv2d
        and type(norm) is nn.BatchNorm2d
        and norm.num_features == convolution.out_channels
        and norm.track_running_stats
    )


def channels_last(network, device=None):
    """Move a network to a device, and store its weights with the channels last.

    Two-dimensional convolutions are faster in this memory format.

    Parameters
    ----------
    network : `~torch.nn.Module`
        Network, modified in place.
    device : str or `~torch.device`, optional
        Target device; by default, the network is not moved.

    Returns
    -------
    network : `~torch.nn.Module`
        The same network. The memory format is unchanged if some weights have five dimensions, for
        which it does not exist.

    Examples
    --------
    >>> from astroclust.networks import create_network
    >>> from astroclust.networks import channels_last
    >>> weights = channels_last(create_network("native")).pixels.weight
    >>> weights.stride()[1]
    1
    """
    if any(weights.dim() == 5 for weights in network.parameters()):
        return network.to(device=device)
    return network.to(device=device, memory_format=torch.channels_last)


def map_blocks(function, blocks):
    """Call a function for each block of a batch, on all threads of torch.

    Each thread computes blocks on its own. For small networks this is a quarter faster than
    splitting each layer, after which all threads have to wait for the slowest.

    Parameters
    ----------
    function : callable
        Function of a block that releases the global interpreter lock, as layers of networks do.
    blocks : sequence
        Blocks. A single one is computed on all threads.

    Returns
    -------
    results : list
        Result for each block.

    Examples
    --------
    >>> import torch
    >>> from astroclust.networks import map_blocks
    >>> map_blocks(torch.sum, torch.ones(6, 2).split(2))
    [tensor(4.), tensor(4.), tensor(4.)]
    """
    n_threads = torch.get_num_threads()
    n_workers = min(n_threads, len(blocks))
    if n_workers < 2:
        return list(map(function, blocks))
    with ThreadPoolExecutor(n_workers, initializer=_use_one_thread) as pool:
        try:
            return list(pool.map(function, blocks))
        finally:
            # Also the number for threads that have not used torch yet, which the workers changed.
            torch.set_num_threads(n_threads)


@lru_cache(maxsize=1)
def survive_forks():
    """Allow forked processes to use torch, on one thread.

    The OpenMP threads of the parent do not exist in a forked process, which would wait for them
    forever if the parent has used them.

    Examples
    --------
    >>> from astroclust.networks import survive_forks
    >>> survive_forks()
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_use_one_thread)


def _use_one_thread():
    torch.set_num_threads(1)
