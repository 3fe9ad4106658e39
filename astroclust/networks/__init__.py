# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Network architectures, which map normalized stamps to one score per class."""

import inspect
from collections.abc import Callable
from functools import partial

from torch import nn

from astroclust.networks.dual import DualNetwork, list_backbones, split_last
from astroclust.networks.inference import channels_last, fuse_network, map_blocks, survive_forks
from astroclust.networks.native import NativeNetwork
from astroclust.networks.precision import (
    PRECISIONS,
    check_precision,
    choose_precision,
    keep_exact,
    mixed_precision,
)
from astroclust.networks.starcnet import StarcNet

__all__ = [
    "PRECISIONS",
    "NativeNetwork",
    "StarcNet",
    "channels_last",
    "check_precision",
    "choose_precision",
    "create_network",
    "fuse_network",
    "keep_exact",
    "map_blocks",
    "mixed_precision",
    "network_blocks",
    "register_network",
    "survive_forks",
]

_OURS = {
    "native": NativeNetwork,
    "native-small": partial(NativeNetwork, width=8),
    "native-large": partial(NativeNetwork, width=32),
    "starcnet": StarcNet,
}
# User-defined networks of this process, by name.
_REGISTERED: dict[str, Callable[..., nn.Module]] = {}
_TIMM = "timm/"


def register_network(name, build):
    """Register a user-defined network.

    `create_network`, `~astroclust.training.Recipe` and `~astroclust.weights.load_classifier` then
    accept its name in this process; register it in each script that loads a classifier of this
    architecture.

    The network is a `~torch.nn.Module` that

    - is called with ``pixels``, the normalized stamps as a float32 tensor of shape
      ``(n, n_bands, size, size)``, in which missing bands are 0, and ``present``, a float32 tensor
      of shape ``(n, n_bands)``, 1 for available bands and 0 for missing ones;
    - returns logits, the scores before the softmax, of shape ``(n, n_classes)``;
    - supports all ``n_bands`` and ``n_classes`` of at least 1 for which it will be used, and has
      weights, all of which are in its ``state_dict()``;
    - can be copied by `copy.deepcopy`, and supports pixels stored with the channels last: use
      ``flatten`` or ``reshape`` instead of ``view``;
    - may have a method ``blocks()``, which returns a list of modules from input to output that
      contain each weight once, for ``frozen`` and ``block_decay`` of a recipe. By default, the
      blocks are its direct submodules, in the order of assignment.

    Parameters
    ----------
    name : str
        Name of the network, as stored in model cards. A previous registration is replaced.
    build : callable
        Function ``build(n_bands, n_classes)`` that returns a new network with random weights.

    Raises
    ------
    TypeError
        If ``build`` is not callable.
    ValueError
        If the name is empty, not printable, or that of an existing network of astroclust,
        torchvision or timm.

    Examples
    --------
    >>> from torch import nn
    >>> from astroclust.networks import create_network
    >>> from astroclust.networks import register_network
    >>> class Brightest(nn.Module):
    ...     def __init__(self, n_bands, n_classes):
    ...         super().__init__()
    ...         self.head = nn.Linear(n_bands, n_classes)
    ...
    ...     def forward(self, pixels, present):
    ...         return self.head(pixels.amax(dim=(2, 3)) * present)
    >>> register_network("brightest", Brightest)
    >>> create_network("brightest", n_bands=6, n_classes=2)
    Brightest(
      (head): Linear(in_features=6, out_features=2, bias=True)
    )
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise ValueError(f"the name of a network must be a single line of text, not {name!r}")
    if not callable(build):
        raise TypeError(f"build must accept n_bands and n_classes, but {build!r} does not")
    if name in _OURS or name.startswith(_TIMM) or _is_backbone(name):
        raise ValueError(f"network {name!r} already exists; choose another name")
    _REGISTERED[name] = build


def create_network(name, *, n_bands=5, n_classes=4, weights=None):
    """Create a network for normalized stamps.

    Parameters
    ----------
    name : str
        ``"native"``, ``"native-small"`` or ``"native-large"``: `NativeNetwork` in three widths;
        ``"starcnet"``: `StarcNet`; any classification network of torchvision, such as
        ``"resnet18"`` or ``"vgg19_bn"``, or of timm, such as ``"timm/efficientnet_lite0"``: a
        `~astroclust.networks.dual.DualNetwork` of it, for stamps resized to 299 pixels as in Wei et
        al. (2020), or to the number after an ``@``, as in ``"resnet18@64"``, at a cost that scales
        with its square; append ``+last`` to keep the last layer of each copy; or a name registered
        with `register_network`.
    n_bands : int, optional
        Number of bands of the stamps, at least 1.
    n_classes : int, optional
        Number of classes, at least 1.
    weights : str or `~pathlib.Path`, optional
        For networks of torchvision and timm: ``"imagenet"`` (the default), a file with a state dict
        of such a network, or ``"none"`` for random weights. Other networks have no published
        weights and are initialized at random.

    Returns
    -------
    network : `~torch.nn.Module`
        Module that maps ``(pixels, present)`` to logits of shape (n, n_classes); see
        `register_network`.

    Raises
    ------
    TypeError
        If a registered network is not a `~torch.nn.Module`.
    ValueError
        If the name is unknown, weights do not match the network, a registered network has no
        weights, or ``n_bands`` or ``n_classes`` is less than 1.
    OSError
        If weights cannot be downloaded or read.
    ModuleNotFoundError
        If torchvision or timm is required but not installed.

    Examples
    --------
    >>> from astroclust.networks import create_network
    >>> network = create_network("native")
    >>> sum(weights.numel() for weights in network.parameters())
    535828
    """
    for what, number in (("n_bands", n_bands), ("n_classes", n_classes)):
        if number < 1:
            raise ValueError(f"{what} must be at least 1, not {number}")
    build = _OURS.get(name) or _REGISTERED.get(name)
    if build is not None:
        if weights not in (None, "none"):
            raise ValueError(f"network {name!r} has no published weights: omit weights={weights!r}")
        return _checked(build(n_bands, n_classes), name)
    if not name.startswith(_TIMM) and _backbone_of(name) not in (known := list_backbones()):
        raise ValueError(
            f"unknown network {name!r}; if it is your own, first call "
            "astroclust.networks.register_network; available are "
            f"{', '.join([*_OURS, *_REGISTERED])}, timm/NAME, and those of torchvision: "
            f"{', '.join(known)}"
        )
    return DualNetwork(name, n_bands, n_classes, weights="imagenet" if weights is None else weights)


def _backbone_of(name):
    """Name of a backbone without its size and suffix."""
    return split_last(name)[0].partition("@")[0]


def _is_backbone(name):
    """Whether torchvision is installed and has a network of this name."""
    try:
        return _backbone_of(name) in list_backbones()
    except ModuleNotFoundError:
        return False


def _checked(network, name):
    if not isinstance(network, nn.Module):
        raise TypeError(
            f"network {name!r} is a {type(network).__name__}; the registered function must return "
            "a torch.nn.Module"
        )
    if next(network.parameters(), None) is None:
        raise ValueError(f"network {name!r} has no weights; add trainable parameters to it")
    return network


def network_blocks(network):
    """Blocks of a network from input to output, which can be frozen one by one.

    Parameters
    ----------
    network : `~torch.nn.Module`
        Network from `create_network`.

    Returns
    -------
    blocks : list of `~torch.nn.Module`
        The result of its method ``blocks``, if any; by default, its direct submodules with weights,
        or the network itself if these do not contain each weight once.

    Raises
    ------
    ValueError
        If its method ``blocks`` does not return modules that contain each weight once.

    Examples
    --------
    >>> from astroclust.networks import create_network
    >>> from astroclust.networks import network_blocks
    >>> len(network_blocks(create_network("native")))
    5
    """
    if inspect.ismethod(getattr(network, "blocks", None)):
        blocks = list(network.blocks())
        if not _hold_all_once(blocks, network):
            raise ValueError(
                f"blocks() of {type(network).__name__} must return modules that contain each "
                "weight once; correct it, or remove the method"
            )
        return blocks
    parts = [part for part in network.children() if next(part.parameters(), None) is not None]
    return parts if _hold_all_once(parts, network) else [network]


def _hold_all_once(parts, network):
    held = [id(weights) for part in parts for weights in part.parameters()]
    return sorted(held) == sorted(map(id, network.parameters()))
