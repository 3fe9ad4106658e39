# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Comparison of a reproduction with the published numbers of Schneider et al. (2023)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from astropy.table import Table
from torch import nn

from astroclust.data_files import read_data
from astroclust.evaluation import mean_and_scatter
from astroclust.experiments.pretraining import published_number
from astroclust.experiments.pretraining_scores import (
    confusion_by_run,
    epochs_before_gain,
    epochs_of_most_gain,
    peak_accuracies,
    scores_by_run,
    sign_test,
)
from astroclust.instruments import ClassScheme
from astroclust.networks import create_network

__all__ = ["ALEXNET", "STARTS", "Study", "compare_numbers", "restricted"]

#: Names of the initial weights.
STARTS = PRETRAINED, SCRATCH = ("pretrained", "from scratch")
#: The network of the paper.
ALEXNET = "alexnet"
# Class scheme of the paper; classes of other schemes cannot be compared.
_GALAXIES = "galaxies"


@dataclass(frozen=True)
class Study:
    """Results of a study.

    Parameters
    ----------
    labels : `~numpy.ndarray` of int, shape (n,)
        Classes of all objects.
    scheme : `~astroclust.instruments.ClassScheme`
        The classes.
    n_bands : int
        Number of bands.
    network : str
        Name of the network without a size, see `~astroclust.networks.create_network`.
    size, scaled : int
        Width in pixels of the network input, and of the stamps before cropping.
    curves, classified : `~astropy.table.Table`
        Result of `~astroclust.experiments.pretraining_study`.
    long_curves : `~astropy.table.Table`, optional
        Curves of the longer training runs, in the order of the runs in Table 3 of the paper.
    """

    labels: np.ndarray
    scheme: ClassScheme
    n_bands: int
    network: str
    size: int
    scaled: int
    curves: Table
    classified: Table
    long_curves: Table | None = None

    def epochs(self, start):
        """Length of the training runs from a start."""
        return int(self.curves["epoch"][self.curves["start"] == start].max())

    def peaks(self, start, *, within=None):
        """Peaks of the accuracy, in the order of the runs; None if no training is as long."""
        if within is not None and within > self.epochs(start):
            return None
        return peak_accuracies(restricted(self.curves, start), within=within)

    @cached_property
    def runs(self):
        """Numbers of the splits, in order."""
        return sorted(set(self.classified["run"].tolist()))

    @cached_property
    def example(self):
        """Split of the examples: run 49 as in the paper (Figs 7 and 10), or the last one."""
        paper = read_data("schneider2023")
        return min(int(paper["run"][paper["item"] == "fig-10"][0]), self.runs[-1])

    @cached_property
    def scores(self):
        """Scores of each training, see `scores_by_run`."""
        return scores_by_run(self.classified)

    @cached_property
    def confusion(self):
        """Confusion matrices, see `confusion_by_run`."""
        return confusion_by_run(self.classified)

    @cached_property
    def layers(self):
        """Convolutions and fully connected layers of the network, each in order."""
        network = create_network(
            f"{self.network}@{self.size}",
            n_bands=self.n_bands,
            n_classes=len(self.scheme),
            weights="none",
        )
        modules = [*network.branches[0].modules(), network.head]
        kinds = (nn.Conv2d, nn.Linear)
        return tuple([one for one in modules if isinstance(one, kind)] for kind in kinds)


def restricted(curves, start, *, epochs=None):
    """Select the rows of a start, and of its first epochs.

    Parameters
    ----------
    curves : `~astropy.table.Table`
        Result of `~astroclust.experiments.pretraining_study`.
    start : str
        One of the starts.
    epochs : int, optional
        Number of epochs; by default all.

    Returns
    -------
    rows : `~astropy.table.Table`
        Selected rows.
    """
    rows = curves["start"] == start
    return curves[rows if epochs is None else rows & (curves["epoch"] <= epochs)]


def compare_numbers(study):
    """Compare all numbers of the paper with those of a study.

    Parameters
    ----------
    study : `Study`
        The study. Galaxy classes are only compared for the class scheme ``"galaxies"``. Peaks
        within 200 and 400 epochs, the lengths of the training runs of the paper, are compared with
        those within the lengths of the study; others only if it is long enough.

    Returns
    -------
    comparison : `~astropy.table.Table`
        The rows of ``astroclust/data/schneider2023.ecsv`` with ``paper``, ``paper_std``, ``ours``,
        ``ours_std``, ``ours_limit``, ``"above"`` if ours is a lower limit, as some training runs
        never reached it, otherwise empty; and ``difference`` in units of the combined standard
        deviation, NaN if undefined, if ours is a limit, or if the training runs of the study are
        shorter than those of the paper.
    """
    paper = read_data("schneider2023").copy()
    paper.rename_columns(("value", "std"), ("paper", "paper_std"))
    paper["paper_std"] = np.ma.filled(paper["paper_std"], np.nan)
    for name in ("start", "class", "given_class", "unit", "limit"):
        paper[name] = np.ma.filled(paper[name], "")
    ours = [_OURS.get(row["quantity"], _unknown)(study, row) for row in paper]
    pairs = [_mean_and_std(values) for values in ours]
    paper["ours"], paper["ours_std"] = np.array(pairs, float).T
    published, own, *errors = (
        np.asarray(paper[name]) for name in ("paper", "ours", "paper_std", "ours_std")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = (own - published) / np.hypot(*errors)
    paper["ours_limit"] = [_LIMITS.get(row["quantity"], _exact)(study, row) for row in paper]
    known = (paper["ours_limit"] == "") & _is_as_long(study, paper)
    paper["difference"] = np.where(known, difference, np.nan)
    return paper


def _is_as_long(study, paper):
    """Whether the training runs of a study are as long as those of the paper."""
    lengths = paper[(paper["quantity"] == "epochs") & (paper["start"] != "")]
    return all(study.epochs(row["start"]) == row["paper"] for row in lengths)


def _mean_and_std(values):
    """Mean and scatter of a number per run; of a single number, no scatter; NaN for None."""
    if values is None:
        return np.nan, np.nan
    if np.ndim(values) == 0:
        return float(values), np.nan
    return mean_and_scatter(np.asarray(values, float))


def _unknown(_, __):
    """Return None, for numbers of the paper that a reproduction does not have."""
    return


def _class(study, name):
    """Number of a class by its name in the paper; None for other class schemes."""
    if study.scheme.name != _GALAXIES:
        return None
    return next(number for number, own in study.scheme.names.items() if own == name)


def _objects(study, row):
    number = _class(study, row["class"])
    return None if number is None else np.count_nonzero(study.labels == number)


def _fraction(study, row):
    number = _objects(study, row)
    return None if number is None else 100 * number / len(study.labels)


def _of_alexnet(number):
    """Number for the layers, which are only comparable for AlexNet."""
    return lambda study, _: number(*study.layers) if study.network == ALEXNET else None


def _largest(convolutions):
    """Convolution with the most filters."""
    return max(convolutions, key=lambda layer: layer.out_channels)


def _tests(study):
    """Objects in each test set."""
    first = study.classified[study.classified["start"] == PRETRAINED]
    return np.array([np.count_nonzero(first["run"] == run) for run in study.runs])


def _peaks(study, row, column):
    """Peaks within the epochs of a row: all, or only the first, or those of the long runs."""
    if row["item"] == "table-3":
        return _long(study, row, column)
    full = {published_number("epochs", start=start): study.epochs(start) for start in STARTS}
    epochs = int(row["epochs"])
    peaks = study.peaks(row["start"], within=full.get(epochs, epochs))
    return None if peaks is None else np.asarray(peaks[column], float)


def _long(study, row, column):
    """Peak of Table 3, in which the runs of a study replace those of the paper."""
    if study.long_curves is None:
        return None
    peaks = peak_accuracies(restricted(study.long_curves, row["start"]))
    paper = read_data("schneider2023")
    index = int(row["run"]) - int(paper["run"][paper["item"] == "table-3"].min())
    return None if index >= len(peaks) else float(peaks[column][index])


def _peak_accuracy(study, row):
    peaks = _peaks(study, row, "accuracy")
    return None if peaks is None else 100 * peaks


def _peak_epoch(study, row):
    return _peaks(study, row, "epoch")


def _differences(study, _):
    """Gain from pretraining with the same number of epochs for both starts."""
    worse = peak_accuracies(study.curves, within=study.epochs(PRETRAINED))
    return _gain(study.peaks(PRETRAINED), worse[worse["start"] == SCRATCH])


def _usual_difference(study, row):
    """Gain from pretraining in the long training runs: the interquartile range of the runs."""
    if study.long_curves is None:
        return None
    peaks = (peak_accuracies(restricted(study.long_curves, start)) for start in STARTS)
    return np.percentile(_gain(*peaks), 25 if row["limit"] == "from" else 75)


def _gain(better, worse):
    """Differences of peaks in percent."""
    return 100 * (np.asarray(better["accuracy"]) - np.asarray(worse["accuracy"]))


def _gains(study, row):
    """Gain of all epochs over the first ones."""
    first = study.peaks(row["start"], within=int(row["epochs"]))
    if first is None:
        return None
    return 100 * np.asarray(study.peaks(row["start"])["accuracy"] - first["accuracy"])


def _largest_gain(study, row):
    gains = _gains(study, row)
    return None if gains is None else gains.max()


def _signs(study, column):
    """Sign test of the peaks: the higher accuracy, or the earlier epoch."""
    pretrained, scratch = (np.asarray(study.peaks(start)[column]) for start in STARTS)
    pair = (pretrained, scratch) if column == "accuracy" else (scratch, pretrained)
    return sign_test(*pair)


def _most_gain(study, row):
    return epochs_of_most_gain(restricted(study.curves, row["start"]))["epoch"]


def _before_gain(study, row):
    return _epochs_before_gain(study, row)["epochs"]


def _limit_of_gain(study, row):
    """Whether the mean is a lower limit, as some networks are never better."""
    return max(_epochs_before_gain(study, row)["limit"])


def _epochs_before_gain(study, row):
    return epochs_before_gain(restricted(study.curves, row["start"]), study.classified)


def _exact(_, __):
    """No limit."""
    return ""


def _score(study, row):
    number = _class(study, row["class"])
    if number is None:
        return None
    scores = study.scores[(study.scores["start"] == row["start"])]
    return 100 * np.asarray(scores[row["quantity"]][scores["class"] == number])


def _recall_ratio(study, row):
    number = _class(study, row["class"])
    if number is None:
        return None
    own = study.scores[study.scores["class"] == number]
    means = [mean_and_scatter(own["recall"][own["start"] == start])[0] for start in STARTS]
    return means[0] / means[1] if means[1] > 0 else None


def _confused(study, row):
    """Cell of the confusion matrix of one run."""
    number, given = _class(study, row["class"]), _class(study, row["given_class"])
    if number is None:
        return None
    matrix = study.confusion[row["start"], study.example]
    return matrix[f"class_{given}"][list(matrix["class"]).index(number)]


def _class_objects(study, row):
    number = _class(study, row["class"])
    if number is None:
        return None
    matrix = study.confusion[row["start"], study.example]
    return matrix["total"][list(matrix["class"]).index(number)]


def _confused_fraction(study, row):
    total = _class_objects(study, row)
    return 100 * _confused(study, row) / total if total else None


_OURS = {
    "all_objects": lambda study, _: len(study.labels),
    "objects": _objects,
    "fraction": _fraction,
    "input_width": lambda study, _: study.size,
    "first_filters": _of_alexnet(lambda convolutions, _: convolutions[0].out_channels),
    "first_width": _of_alexnet(lambda convolutions, _: convolutions[0].kernel_size[0]),
    "later_filters": _of_alexnet(lambda convolutions, _: _largest(convolutions).out_channels),
    "later_width": _of_alexnet(lambda convolutions, _: _largest(convolutions).kernel_size[0]),
    "later_depth": _of_alexnet(lambda convolutions, _: _largest(convolutions).in_channels),
    "convolutions": _of_alexnet(lambda convolutions, _: len(convolutions)),
    "linear_layers": _of_alexnet(lambda _, linear: len(linear)),
    "outputs": lambda study, _: len(study.scheme),
    # Transformations of `flip_stamps`.
    "flipped": lambda *_: 50,
    "scaled_width": lambda study, _: study.scaled,
    "crop_width": lambda study, _: study.size,
    "training_objects": lambda study, _: np.mean(len(study.labels) - _tests(study)),
    "test_objects": lambda study, _: np.mean(_tests(study)),
    "runs": lambda study, _: len(study.runs),
    "epochs": lambda study, row: study.epochs(row["start"]),
    "peak_accuracy": _peak_accuracy,
    "peak_epoch": _peak_epoch,
    "losses": lambda study, _: _signs(study, "accuracy")[1],
    "mean_gain": _gains,
    "gain_of_mean": _gains,
    "largest_gain": _largest_gain,
    "mean_difference": _differences,
    "usual_difference": _usual_difference,
    "epochs_of_most_gain": _most_gain,
    "epochs_before_gain": _before_gain,
    "recall": _score,
    "precision": _score,
    "f1": _score,
    "recall_ratio": _recall_ratio,
    "confused": _confused,
    "class_objects": _class_objects,
    "confused_fraction": _confused_fraction,
    "p_accuracy": lambda study, _: _signs(study, "accuracy")[2],
    "p_epoch": lambda study, _: _signs(study, "epoch")[2],
}

# Functions for numbers that may be limits.
_LIMITS = {"epochs_before_gain": _limit_of_gain}
