# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Feature pyramids with maps at several resolutions, from any image network."""

from collections import OrderedDict

import torch
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.ops import FeaturePyramidNetwork

from astroclust.networks import NativeNetwork, create_network
from astroclust.weights import load_classifier

__all__ = ["STRIDES", "Pyramid", "create_pyramid"]

#: Strides of the maps in image pixels: sources are 2 to 30 pixels wide.
STRIDES = (2, 4, 8)
# Image networks halve the resolution twice before their first useful map, so the image is enlarged.
_ZOOM = 2
_CHANNELS = 64
_NATIVE_WIDTHS = {"native-small": 8, "native": 16, "native-large": 32}


class Pyramid(nn.Module):
    """A body that returns maps of `STRIDES`, with a feature pyramid on top.

    Parameters
    ----------
    body : `~torch.nn.Module`
        Accepts images of shape (n, n_bands, ny, nx) and returns a list of maps.
    widths : sequence of int
        Channels of each map.
    """

    def __init__(self, body, widths):
        super().__init__()
        self.body = body
        self.pyramid = FeaturePyramidNetwork(list(widths), _CHANNELS)
        self.out_channels = _CHANNELS

    def forward(self, images):
        """Maps by name, finest first, each of shape (n, 64, ny / stride, nx / stride)."""
        maps = self.body(images)
        return self.pyramid(OrderedDict((str(i), each) for i, each in enumerate(maps)))


def create_pyramid(name, n_bands, weights=None):
    """Feature pyramid of a network.

    Parameters
    ----------
    name : str
        ``"native"``, ``"native-small"`` or ``"native-large"``; a torchvision classification
        network; or a timm network prefixed by ``timm/``, such as
        ``"timm/hf-hub:mwalmsley/zoobot-encoder-efficientnet_b0"``.
    n_bands : int
        Number of bands of the images.
    weights : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        ``"none"`` for random weights. For the native networks, a classifier of the same
        architecture, by default the bundled one. For the others, ``"imagenet"`` (the default) or a
        file; see `~astroclust.networks.create_network`.

    Returns
    -------
    pyramid : `Pyramid`
        Pyramid with maps of `STRIDES`.

    Raises
    ------
    ValueError
        If the network is unknown, does not halve the resolution step by step, or the weights belong
        to another network.
    """
    if name in _NATIVE_WIDTHS:
        return _native_pyramid(name, n_bands, weights)
    return _image_pyramid(name, n_bands, weights)


def _native_pyramid(name, n_bands, weights):
    network = NativeNetwork(n_bands, 1, width=_NATIVE_WIDTHS[name])
    if weights != "none":
        _share_weights(network, load_classifier(weights), name)
    network.head = nn.Identity()
    return Pyramid(_NativeBody(network), [_NATIVE_WIDTHS[name] * 2**i for i in (1, 2, 3)])


def _share_weights(network, classifier, name):
    """Copy all weights of a classifier's first member except those of its head."""
    card, own = classifier.card, network.state_dict()
    shared = {
        key: value
        for key, value in classifier.networks[0].state_dict().items()
        if not key.startswith("head.")
    }
    expected = {key: value.shape for key, value in own.items() if not key.startswith("head.")}
    if {key: value.shape for key, value in shared.items()} != expected:
        raise ValueError(
            f"classifier {card.name} is a {card.architecture} network with {len(card.bands)} "
            f"bands, but the detector is a {name} network with {network.pixels.in_channels}; "
            'choose a matching classifier, or weights="none"'
        )
    network.load_state_dict(own | shared)


class _NativeBody(nn.Module):
    """Stages of the native network; bands of zeros are treated as absent."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        network = self.network
        present = (images != 0).any(dim=(2, 3)).to(images)
        maps = network.pixels(images) + network.presence(present)[:, :, None, None]
        maps = network.norm(maps).relu_()
        result = []
        for stage in network.stages:
            maps = stage(maps)
            result.append(maps)
        return result


def _image_pyramid(name, n_bands, weights):
    # A network with three channels, whose first layer is then extended to the bands.
    dual = create_network(name, n_bands=3, n_classes=1, weights=weights)
    network = dual.branches[0]
    _spread_input(network, n_bands)
    nodes, widths = _strided_nodes(network, name, n_bands)
    network = create_feature_extractor(network, {node: str(i) for i, node in enumerate(nodes)})
    return Pyramid(_ImageBody(network), widths)


def _spread_input(network, n_bands):
    """Extend the first layer to any number of bands: repeat its kernels, keeping their sum."""
    first = next(layer for layer in network.modules() if isinstance(layer, nn.Conv2d))
    repeats = -(-n_bands // first.in_channels)
    kernels = first.weight.detach().repeat(1, repeats, 1, 1)[:, :n_bands]
    first.weight = nn.Parameter(kernels * (first.in_channels / n_bands))
    first.in_channels = n_bands


def _strided_nodes(network, name, n_bands):
    """Modules that return the last map of each stride, and their numbers of channels."""
    size, found = 64 * _ZOOM, {}

    def note(path):
        def hook(module, inputs, output):
            if isinstance(output, torch.Tensor) and output.ndim == 4 and output.shape[-1] > 1:
                found[size / output.shape[-1] / _ZOOM] = path, output.shape[1]

        return hook

    parts = _parts(network)
    hooks = [part.register_forward_hook(note(path)) for path, part in parts]
    was_training = network.training
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, n_bands, size, size))
    except (AssertionError, RuntimeError) as error:
        raise ValueError(
            f"{name} requires images of a fixed size ({error}); choose a convolutional network, "
            "such as resnet18"
        ) from error
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    if not set(STRIDES) <= set(found):
        raise ValueError(
            f"{name} has maps with strides {sorted(found)}, but a detector needs {STRIDES}; "
            "choose a network that halves the resolution step by step, such as resnet18"
        )
    return zip(*(found[stride] for stride in STRIDES), strict=True)


def _parts(network):
    """Direct parts of a network, with sequences expanded, in order."""
    parts = []
    for path, part in network.named_children():
        if isinstance(part, nn.Sequential):
            parts += [(f"{path}.{inner}", member) for inner, member in part.named_children()]
        else:
            parts.append((path, part))
    return parts


class _ImageBody(nn.Module):
    """Maps of an image network, which is applied to the enlarged image."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        images = nn.functional.interpolate(
            images, scale_factor=_ZOOM, mode="bilinear", align_corners=False
        )
        return list(self.network(images).values())
