# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Small network at the resolution of the stamps, for any subset of bands."""

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_linear_bn_eval

__all__ = ["NativeNetwork"]


class NativeNetwork(nn.Module):
    """Residual network for stamps at their native resolution, in any subset of bands.

    Three stages of residual blocks halve the stamp from 50 to 25, 13 and 7 pixels. The head
    combines two scales: the center of the last map for the candidate, and all of it for the
    surroundings.

    Parameters
    ----------
    n_bands : int
        Number of bands of the stamps.
    n_classes : int
        Number of classes.
    width : int, optional
        Number of channels at full resolution; each stage doubles it.

    Examples
    --------
    >>> import torch
    >>> from astroclust.networks import NativeNetwork
    >>> network = NativeNetwork(5, 4, width=8).eval()
    >>> network(torch.zeros(2, 5, 50, 50), torch.ones(2, 5)).shape
    torch.Size([2, 4])
    """

    def __init__(self, n_bands, n_classes, *, width=16):
        super().__init__()
        self.pixels = nn.Conv2d(n_bands, width, 3, padding=1, bias=False)
        # Shifts the first maps to distinguish missing bands from dark sky; both are zero.
        self.presence = nn.Linear(n_bands, width)
        self.norm = nn.BatchNorm2d(width)
        self.stages = nn.Sequential(
            _Stage(width, 2 * width), _Stage(2 * width, 4 * width), _Stage(4 * width, 8 * width)
        )
        self.head = nn.Sequential(
            nn.Linear(24 * width, 8 * width),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(8 * width, n_classes),
        )

    def blocks(self):
        """Blocks of the network from input to output.

        Returns
        -------
        blocks : list of `~torch.nn.Module`
            Modules that contain each weight once.
        """
        return [nn.ModuleList([self.pixels, self.presence, self.norm]), *self.stages, self.head]

    def merge_norm(self):
        """Merge the first normalization with the two layers before it, for inference."""
        if isinstance(self.norm, nn.Identity):
            return
        scale = self.norm.weight * (self.norm.running_var + self.norm.eps).rsqrt()
        weights = self.pixels.weight * scale[:, None, None, None]
        self.pixels.weight = nn.Parameter(weights.detach())
        self.presence = fuse_linear_bn_eval(self.presence, self.norm)
        self.norm = nn.Identity()

    def forward(self, pixels, present):
        """Compute class scores before the softmax.

        Parameters
        ----------
        pixels : `~torch.Tensor`, shape (n, n_bands, size, size)
            Normalized stamps.
        present : `~torch.Tensor`, shape (n, n_bands)
            1 for available bands, 0 for missing ones.

        Returns
        -------
        scores : `~torch.Tensor`, shape (n, n_classes)
            Logits.
        """
        maps = self.pixels(pixels)
        # Expanded to a row of pixels, since adding a scalar per channel is ten times slower in
        # bfloat16.
        shift = self.presence(present)[:, :, None, None].expand(-1, -1, 1, maps.shape[-1])
        maps.add_(shift.to(maps.dtype).contiguous(memory_format=torch.channels_last))
        maps = self.stages(self.norm(maps).relu_())
        middle = maps.shape[-1] // 2
        center = maps[:, :, middle - 1 : middle + 2, middle - 1 : middle + 2].mean(dim=(2, 3))
        pooled = torch.cat([center, maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))], dim=1)
        return self.head(pooled)


class _Stage(nn.Module):
    """Strided convolution to half the width and more channels, then a residual block."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.reduce = _conv(n_in, n_out, stride=2)
        self.block = nn.Sequential(_conv(n_out, n_out), nn.ReLU(inplace=True), _conv(n_out, n_out))

    def forward(self, maps):
        maps = self.reduce(maps).relu_()
        return self.block(maps).add_(maps).relu_()


def _conv(n_in, n_out, stride=1):
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(n_out)
    )
