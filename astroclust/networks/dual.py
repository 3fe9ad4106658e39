# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Image backbones for three bands each, whose feature vectors are concatenated."""

from bisect import bisect_left
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from astroclust.extras import naming_extras

__all__ = ["DualNetwork", "list_backbones", "split_last"]

# Wei et al. (2020, sec. 3.2) resize stamps to this many pixels. Some networks require another size.
_INPUT_SIZE = 299
_TORCHVISION_SIZES = {"vit": 224, "maxvit": 224}
# Auxiliary classifiers, which are only used to train on ImageNet.
_AUXILIARY = ("AuxLogits", "aux1", "aux2")
_CHANNELS = 3
_KEEP_LAST = "+last"


class DualNetwork(nn.Module):
    """Image backbones whose feature vectors are concatenated (Wei et al. 2020, sec. 3.3).

    Each copy of the backbone processes three bands (the last copy those that remain, padded with
    zeros), resized with bilinear interpolation to 299 pixels as in the paper, or to the only size
    that the backbone supports. The feature vectors before the last layers are concatenated, and one
    linear layer computes the scores. For five bands there are two copies, as in the paper.

    Parameters
    ----------
    backbone : str
        One of `list_backbones`, or ``timm/`` and one of ``timm.list_models``. Append ``@`` and a
        number of pixels, as in ``"resnet18@64"``, to resize stamps to that size. Append ``+last``,
        as in ``"resnet18@64+last"``, to keep the last layer of each copy, with random weights, and
        to concatenate its outputs instead of the feature vectors. Wei et al. (2020, sec. 3.3) have
        "one more matrix multiplication" after networks whose "last layers" and "last fully
        connected layers" are "randomly initialized", which can be read either way; without
        ``+last``, the matrix replaces the last layers.
    n_bands : int
        Number of bands of the stamps.
    n_classes : int
        Number of classes.
    weights : str or `~pathlib.Path`
        ``"imagenet"``: those of ImageNet (for torchvision the first published), downloaded to the
        cache of torch; ``"none"``: random; or a file with a state dict of the backbone,
        ``.safetensors`` or ``.pth``.

    Raises
    ------
    ValueError
        If the backbone does not support that size; the message states the smallest size.

    Examples
    --------
    >>> import torch
    >>> from astroclust.networks.dual import DualNetwork
    >>> network = DualNetwork("squeezenet1_1@64", 5, 4, weights="none").eval()
    >>> len(network.branches), network.input_size
    (2, 64)
    >>> network(torch.zeros(2, 5, 50, 50), torch.ones(2, 5)).shape
    torch.Size([2, 4])
    """

    def __init__(self, backbone, n_bands, n_classes, *, weights):
        super().__init__()
        backbone, keep_last = split_last(backbone)
        backbone, at, size = backbone.partition("@")
        make = _timm_backbone if backbone.startswith("timm/") else _torchvision_backbone
        make = partial(make, backbone, weights, keep_last)
        first, n_features, self.input_size = make()
        if at:
            self.input_size = _chosen_size(backbone, size, self.input_size)
            _check_size(backbone, first, self.input_size)
        self.branches = nn.ModuleList([first])
        for _ in range(_CHANNELS, n_bands, _CHANNELS):
            another = make()[0] if weights == "none" else deepcopy(first)
            if keep_last:
                _last_layer(another)[1].reset_parameters()
            self.branches.append(another)
        self.head = nn.Linear(len(self.branches) * n_features, n_classes)

    def blocks(self):
        """Blocks of the network from input to output.

        Returns
        -------
        blocks : list of `~torch.nn.Module`
            Corresponding modules of all copies, and the last matrix. The modules are the children
            of the backbone; a `~torch.nn.Sequential` is split into its members.
        """
        layers = zip(*map(_layers, self.branches), strict=True)
        return [*(nn.ModuleList(copies) for copies in layers), self.head]

    def forward(self, pixels, present):
        """Compute class scores before the softmax.

        Parameters
        ----------
        pixels : `~torch.Tensor`, shape (n, n_bands, size, size)
            Normalized stamps.
        present : `~torch.Tensor`, shape (n, n_bands)
            Ignored: missing bands are zero.

        Returns
        -------
        scores : `~torch.Tensor`, shape (n, n_classes)
            Logits.
        """
        pixels = nn.functional.interpolate(
            pixels, self.input_size, mode="bilinear", align_corners=False
        )
        zeros = len(self.branches) * _CHANNELS - pixels.shape[1]
        pixels = nn.functional.pad(pixels, (0, 0, 0, 0, 0, zeros))
        parts = pixels.split(_CHANNELS, dim=1)
        features = [
            branch(part).flatten(1) for branch, part in zip(self.branches, parts, strict=True)
        ]
        return self.head(torch.cat(features, dim=1))


def split_last(name):
    """Split the suffix ``+last`` from the name of a network.

    Parameters
    ----------
    name : str
        Name of a network.

    Returns
    -------
    name : str
        Name without ``+last``.
    keep_last : bool
        Whether the name ended in ``+last``.

    Examples
    --------
    >>> from astroclust.networks.dual import split_last
    >>> split_last("resnet18@64+last")
    ('resnet18@64', True)
    """
    return name.removesuffix(_KEEP_LAST), name.endswith(_KEEP_LAST)


def _last_layer(network):
    """Path of the last layer with weights, and the layer."""
    return [
        (path, layer)
        for path, layer in network.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d))
    ][-1]


def _chosen_size(backbone, size, usual):
    if not size.isdecimal() or not int(size):
        raise ValueError(
            f"{backbone}@{size}: the @ must be followed by a number of pixels, such as 64"
        )
    if usual != _INPUT_SIZE and int(size) != usual:
        raise ValueError(f"{backbone} only accepts {usual} pixels, not {size}; omit @{size}")
    return int(size)


def _check_size(backbone, network, size):
    """Raise an error that names the smallest size of a network, if a size is not supported."""
    if _takes(network, size) or not _takes(network, _INPUT_SIZE):  # not a matter of size
        return
    sizes = range(size + 1, _INPUT_SIZE + 1)
    smallest = sizes[bisect_left(sizes, True, key=partial(_takes, network))]
    raise ValueError(f"{backbone} does not support {size} pixels; use at least {smallest}")


def _takes(network, size):
    """Whether a network supports a size; layers raise an error if no pixels are left."""
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, _CHANNELS, size, size))
    except RuntimeError:
        return False
    finally:
        network.train()
    return True


def _layers(network):
    """Modules of a network with weights, in order."""
    parts = []
    for part in network.children():
        parts += part.children() if isinstance(part, nn.Sequential) else [part]
    return [part for part in parts if list(part.parameters())]


def list_backbones():
    """Names of the classification networks of torchvision.

    Returns
    -------
    names : list of str
        Names, in alphabetical order.

    Raises
    ------
    ModuleNotFoundError
        If torchvision is not installed.

    Examples
    --------
    >>> from astroclust.networks.dual import list_backbones
    >>> [name for name in list_backbones() if name.startswith("resnet")]
    ['resnet101', 'resnet152', 'resnet18', 'resnet34', 'resnet50']
    """
    models = _torchvision_models()
    return models.list_models(module=models)


def _torchvision_models():
    # Imported when needed: it takes as long as torch, and bundled classifiers do not use it.
    with naming_extras():
        from torchvision import models
    return models


def _torchvision_backbone(name, weights, keep_last):
    """Network of torchvision without its last layer, number of features, and input width."""
    models = _torchvision_models()
    options = {}
    if name in ("googlenet", "inception_v3") and weights != "imagenet":
        options = {"aux_logits": False, "init_weights": True}
    with _downloading(name):
        published = "IMAGENET1K_V1" if weights == "imagenet" else None
        network = models.get_model(name, weights=published, **options)
    if options or weights == "imagenet":
        network.aux_logits = False
    for auxiliary in _AUXILIARY:
        if hasattr(network, auxiliary):
            setattr(network, auxiliary, None)
    path, last = _last_layer(network)
    _replace(network, path, nn.Identity())
    _load(network, path, name, weights)
    n_in, n_out = last.weight.shape[1::-1]
    if keep_last:
        last.reset_parameters()
        _replace(network, path, last)
    n_features = n_out if keep_last else n_in
    return network, n_features, _TORCHVISION_SIZES.get(name.split("_")[0], _INPUT_SIZE)


def _timm_backbone(name, weights, keep_last):
    """Network of timm without its last layer, number of features, and input width."""
    with naming_extras():
        import timm
    with _downloading(name):
        network = timm.create_model(
            name.removeprefix("timm/"), pretrained=weights == "imagenet", num_classes=0
        )
    _load(network, network.default_cfg["classifier"], name, weights)
    if keep_last:
        network.reset_classifier(network.default_cfg["num_classes"])
    fixed = network.default_cfg.get("fixed_input_size")
    size = network.default_cfg["input_size"][-1] if fixed else _INPUT_SIZE
    with torch.inference_mode():
        features = network.eval()(torch.zeros(1, _CHANNELS, size, size)).shape[-1]
    return network.train(), features, size


def _replace(network, path, layer):
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, layer)


def _load(network, last_layer, name, weights):
    """Load weights from a file, if one is given, except those of the last layer."""
    if weights in ("imagenet", "none"):
        return
    path = Path(weights)
    left_out = tuple(f"{layer}." for layer in (last_layer, *_AUXILIARY))
    try:
        if path.suffix == ".safetensors":
            given = load_file(path)
        else:
            given = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(
            {key: value for key, value in given.items() if not key.startswith(left_out)}
        )
    except (FileNotFoundError, Warning):
        raise
    except Exception as error:  # damaged or unrelated files fail in many ways
        raise ValueError(
            f"{path} does not contain the weights of {name}: {error}; save its state_dict() with "
            "torch.save"
        ) from error


@contextmanager
def _downloading(name):
    """Add a remedy to the error if the ImageNet weights cannot be downloaded."""
    try:
        yield
    except OSError as error:
        raise OSError(
            f"the ImageNet weights of {name} could not be downloaded ({error}); use a file with "
            'weights="FILE", or weights="none" for random ones'
        ) from error
