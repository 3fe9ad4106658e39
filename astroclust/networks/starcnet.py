# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Reimplementation of StarcNet, as a baseline."""

import torch
from torch import nn

__all__ = ["StarcNet"]

# Width in pixels of the view of each branch; all are resized to the first.
_VIEWS = (32, 20, 11)
_CHANNELS = 128


class StarcNet(nn.Module):
    """Network with three branches at different scales, modeled on StarcNet.

    The central 32, 20 and 11 pixels of the stamp, all resized to 32, are each processed by seven
    convolutions of 128 channels with group normalization, on maps of 32 and then 16 pixels; the
    final maps of 8 pixels are joined in one hidden layer. Based on the description by Pérez et al.
    (2021, ApJ 907, 100): the number of weights, 15.3 million, and of operations, 3.5 GFLOP per
    stamp, are theirs; their distribution over the layers is ours.

    Parameters
    ----------
    n_bands : int
        Number of bands of the stamps.
    n_classes : int
        Number of classes.

    Examples
    --------
    >>> import torch
    >>> from astroclust.networks import StarcNet
    >>> network = StarcNet(5, 4).eval()
    >>> network(torch.zeros(2, 5, 50, 50), torch.ones(2, 5)).shape
    torch.Size([2, 4])
    """

    def __init__(self, n_bands, n_classes):
        super().__init__()
        self.branches = nn.ModuleList(_branch(n_bands) for _ in _VIEWS)
        side = _VIEWS[0] // 4
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(len(_VIEWS) * _CHANNELS * side**2, 512),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(512, n_classes),
        )

    def blocks(self):
        """Blocks of the network from input to output.

        Returns
        -------
        blocks : list of `~torch.nn.Module`
            One block per convolution of all branches, with its normalization; and the head.
        """
        layers = zip(*self.branches, strict=True)
        layers = [nn.ModuleList(copies) for copies in layers if list(copies[0].parameters())]
        pairs = zip(layers[::2], layers[1::2], strict=True)
        return [*(nn.ModuleList(pair) for pair in pairs), self.head]

    def forward(self, pixels, present):
        """Compute class scores before the softmax.

        Parameters
        ----------
        pixels : `~torch.Tensor`, shape (n, n_bands, size, size)
            Normalized stamps of at least 11 pixels.
        present : `~torch.Tensor`, shape (n, n_bands)
            Ignored: missing bands are zero.

        Returns
        -------
        scores : `~torch.Tensor`, shape (n, n_classes)
            Logits.
        """
        maps = [
            branch(_view(pixels, width))
            for branch, width in zip(self.branches, _VIEWS, strict=True)
        ]
        return self.head(torch.cat(maps, dim=1))


def _view(pixels, width):
    """Center of stamps, resized to the width of the widest view."""
    edge = max((pixels.shape[-1] - width + 1) // 2, 0)
    middle = pixels[..., edge : edge + width, edge : edge + width]
    return nn.functional.interpolate(middle, _VIEWS[0], mode="bilinear", align_corners=False)


def _branch(n_bands):
    channels = [n_bands] + [_CHANNELS] * 7
    layers = []
    for i in range(7):
        layers += [
            nn.Conv2d(channels[i], channels[i + 1], 3, padding=1),
            nn.GroupNorm(16, channels[i + 1]),
            nn.ReLU(),
        ]
        if i in (3, 6):
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)
