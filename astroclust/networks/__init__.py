# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The architectures: from normalised stamps to one number a class."""

from functools import partial

from astroclust.networks.native import NativeNetwork
from astroclust.networks.starcnet import StarcNet

__all__ = ["NativeNetwork", "StarcNet", "create_network"]

_WITHOUT_BACKBONE = {
    "native": NativeNetwork,
    "native-small": partial(NativeNetwork, width=8),
    "native-large": partial(NativeNetwork, width=32),
    "starcnet": StarcNet,
}


def create_network(name, *, n_bands=5, n_classes=4, weights=None):
    """Make a network that takes normalised stamps, and which of their bands are present.

    Parameters
    ----------
    name : str
        ``"native"``, ``"native-small"`` or ``"native-large"``: `NativeNetwork` in three widths;
        ``"starcnet"``: `StarcNet`; any classification network of torchvision, as ``"resnet18"``
        or ``"vgg19_bn"``, or of timm, as ``"timm/efficientnet_lite0"``: a
        `~astroclust.networks.dual.DualNetwork` of it, on stamps resized to 299 pixels as in Wei et
        al. (2020), or to those after an ``@``, as in ``"resnet18@64"``: cheaper by the square.
    n_bands : int, optional
        Bands of the stamps.
    n_classes : int, optional
        Classes.
    weights : str or `~pathlib.Path`, optional
        For networks of torchvision and timm: ``"imagenet"``, which is the default, a file with a
        state dict of such a network, or ``"none"`` for random weights. The others have no
        published weights, and start from random ones.

    Returns
    -------
    network : `~torch.nn.Module`
        Called with ``(pixels, present)``, it gives scores of shape (n, n_classes).

    Raises
    ------
    ValueError
        For an unknown name, weights that do not fit, or more bands than the network takes.
    OSError
        Where weights cannot be downloaded or read.
    ImportError
        Where timm is not installed, but asked for.

    Examples
    --------
    >>> from astroclust import create_network
    >>> network = create_network("native")
    >>> sum(weights.numel() for weights in network.parameters())
    535828
    """
    if name in _WITHOUT_BACKBONE:
        if weights not in (None, "none"):
            raise ValueError(
                f"network {name!r} has no published weights: leave out weights={weights!r}"
            )
        return _WITHOUT_BACKBONE[name](n_bands, n_classes)
    # torchvision takes as long to import as torch, and bundled classifiers do without it.
    from astroclust.networks.dual import DualNetwork, list_backbones

    known = list_backbones()
    if name.partition("@")[0] not in known and not name.startswith("timm/"):
        raise ValueError(
            f"network {name!r} is not known: there are {', '.join(_WITHOUT_BACKBONE)}, those of "
            f"torchvision ({', '.join(known)}), and timm/NAME"
        )
    return DualNetwork(name, n_bands, n_classes, weights="imagenet" if weights is None else weights)
