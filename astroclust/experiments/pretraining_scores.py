# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Statistics of a study of pretraining: peaks, significance, scores and confusion."""

import numpy as np
from astropy.table import Table, vstack
from scipy.stats import binomtest

from astroclust.data_files import read_data
from astroclust.evaluation import (
    class_scores,
    confusion_matrix,
    mean_and_scatter,
    mean_confusion,
)
from astroclust.instruments import classes_of

__all__ = [
    "accuracy_by_epochs",
    "confusion_by_run",
    "confusion_by_start",
    "epochs_before_gain",
    "epochs_of_most_gain",
    "peak_accuracies",
    "scores_by_run",
    "scores_by_start",
    "sign_test",
]


def peak_accuracies(curves, *, within=None):
    """Peak accuracy of each training, and the first epoch that reaches it.

    Parameters
    ----------
    curves : `~astropy.table.Table`
        Result of `pretraining_study`.
    within : int, optional
        Number of epochs to include; by default all.

    Returns
    -------
    peaks : `~astropy.table.Table`
        One row per training: ``start``, ``run``, ``accuracy`` and ``epoch``, as in Table 2 of
        Schneider et al. (2023).

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.experiments import peak_accuracies
    >>> curves = Table({"start": ["pretrained"] * 4, "run": [1, 1, 2, 2], "epoch": [1, 2, 1, 2]})
    >>> curves["accuracy"] = [0.5, 0.75, 0.5, 0.25]
    >>> print(peak_accuracies(curves))
      start    run accuracy epoch
    ---------- --- -------- -----
    pretrained   1     0.75     2
    pretrained   2      0.5     1
    """
    if within is not None:
        curves = curves[curves["epoch"] <= within]
    rows = []
    for key, training in zip(*_trainings(curves), strict=True):
        best = training[np.argmax(training["accuracy"])]
        rows.append((*key, best["accuracy"], best["epoch"]))
    return Table(rows=rows, names=("start", "run", "accuracy", "epoch"))


def _trainings(table):
    """Start and run of each training, and its rows."""
    grouped = table.group_by(["start", "run"]).groups
    return [tuple(key) for key in grouped.keys], list(grouped)


def accuracy_by_epochs(curves, *, epochs=None):
    """Peak accuracy within some numbers of epochs, as in Table 1 of Schneider et al. (2023).

    Parameters
    ----------
    curves : `~astropy.table.Table`
        Result of `pretraining_study`.
    epochs : sequence of int, optional
        Numbers of epochs, by default those of Table 1. Numbers beyond the length of a training have
        no row; the full length has one.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per start and number of epochs: ``start``, ``epochs``, ``runs``, ``accuracy`` and
        ``accuracy_std``, mean and standard deviation over the runs, and ``peak_epoch`` and
        ``peak_epoch_std`` for the epoch of the peak; deviations are NaN for a single run.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.experiments import accuracy_by_epochs
    >>> curves = Table({"start": ["pretrained"] * 4, "run": [1, 1, 2, 2], "epoch": [1, 2, 1, 2]})
    >>> curves["accuracy"] = [0.5, 0.75, 0.5, 0.25]
    >>> table = accuracy_by_epochs(curves, epochs=[1])
    >>> print(table["start", "epochs", "runs", "accuracy", "peak_epoch"])
      start    epochs runs accuracy peak_epoch
    ---------- ------ ---- -------- ----------
    pretrained      1    2      0.5        1.0
    pretrained      2    2    0.625        1.5
    """
    if epochs is None:
        paper = read_data("schneider2023")
        epochs = paper["epochs"][paper["item"] == "table-1"].tolist()
    rows = []
    for start in dict.fromkeys(curves["start"]):
        own = curves[curves["start"] == start]
        for number in sorted({n for n in epochs if n < max(own["epoch"])} | {max(own["epoch"])}):
            peaks = peak_accuracies(own, within=number)
            values = [float(v) for n in ("accuracy", "epoch") for v in mean_and_scatter(peaks[n])]
            rows.append((start, number, len(peaks), *values))
    names = ("start", "epochs", "runs", "accuracy", "accuracy_std", "peak_epoch", "peak_epoch_std")
    return Table(rows=rows, names=names)


def sign_test(better, worse):
    """Two-sided sign test of paired results.

    Parameters
    ----------
    better, worse : array_like of float, shape (n_runs,)
        Results of both on the same splits; ties are excluded.

    Returns
    -------
    wins, losses : int
        Number of splits on which the first is above, and below, the second.
    p : float
        p-value; 1 without differences.

    Examples
    --------
    >>> from astroclust.experiments import sign_test
    >>> sign_test([3, 4, 5, 6, 7, 8], [1, 1, 1, 1, 1, 1])
    (6, 0, 0.03125)
    """
    difference = np.asarray(better, float) - np.asarray(worse, float)
    wins, losses = int(np.sum(difference > 0)), int(np.sum(difference < 0))
    if not wins + losses:
        return wins, losses, 1.0
    return wins, losses, float(binomtest(wins, wins + losses).pvalue)


def scores_by_run(classified):
    """Precision, recall and F1 of each class in each training.

    Parameters
    ----------
    classified : `~astropy.table.Table`
        Result of `pretraining_study`.

    Returns
    -------
    scores : `~astropy.table.Table`
        One row per training and class: ``start``, ``run``, ``class``, ``total``, ``precision``,
        ``recall`` and ``f1``, NaN without objects. The accuracy by class of
        Schneider et al. (2023, Table 2, Figs 8 and 9) is the recall.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.experiments.pretraining_scores import scores_by_run
    >>> classified = Table({"start": ["pretrained"] * 3, "run": [1] * 3, "label": [1, 1, 4]})
    >>> classified["class"] = [1, 4, 4]
    >>> print(scores_by_run(classified)["start", "run", "class", "total", "recall"])
      start    run class total recall
    ---------- --- ----- ----- ------
    pretrained   1     1     2  0.500
    pretrained   1     2     0    nan
    pretrained   1     3     0    nan
    pretrained   1     4     1  1.000
    """
    scheme = classes_of(classified)
    tables = []
    for (start, run), training in zip(*_trainings(classified), strict=True):
        scores = class_scores(training["label"], training["class"], scheme=scheme)
        scores = scores["class", "total", "precision", "recall", "f1"]
        scores.add_columns([[start] * len(scores), [run] * len(scores)], [0, 0], ["start", "run"])
        tables.append(scores)
    return vstack(tables, metadata_conflicts="silent")


def scores_by_start(classified):
    """Precision, recall and F1 of each class, with their scatter over the runs.

    Parameters
    ----------
    classified : `~astropy.table.Table`
        Result of `pretraining_study`.

    Returns
    -------
    scores : `~astropy.table.Table`
        One row per start and class, as in Table 4 of Schneider et al. (2023): ``start``, ``class``,
        ``precision``, ``precision_std`` and so on. Classes without objects are excluded.
    """
    runs = scores_by_run(classified)
    rows = []
    for start in dict.fromkeys(classified["start"]):
        for number in classes_of(classified).numbers:
            own = runs[(runs["start"] == start) & (runs["class"] == number)]
            if not own["total"].any():
                continue
            row = {"start": start, "class": number}
            for name in ("precision", "recall", "f1"):
                mean, scatter = mean_and_scatter(own[name])
                row |= {name: mean, f"{name}_std": scatter}
            rows.append(row)
    return Table(rows)


def confusion_by_run(classified):
    """Confusion matrix of each training.

    Parameters
    ----------
    classified : `~astropy.table.Table`
        Result of `pretraining_study`.

    Returns
    -------
    confusion : dict of tuple to `~astropy.table.Table`
        Results of `~astroclust.evaluation.confusion_matrix` by start and run.
    """
    scheme = classes_of(classified)
    return {
        key: confusion_matrix(training["label"], training["class"], scheme=scheme)
        for key, training in zip(*_trainings(classified), strict=True)
    }


def confusion_by_start(classified):
    """Mean confusion of the runs of each start, as in Fig. 11 of Schneider et al. (2023).

    Parameters
    ----------
    classified : `~astropy.table.Table`
        Result of `pretraining_study`.

    Returns
    -------
    confusion : dict of str to `~astropy.table.Table`
        Results of `~astroclust.evaluation.mean_confusion` by start.
    """
    runs = confusion_by_run(classified)
    return {
        start: mean_confusion(matrix for (own, _), matrix in runs.items() if own == start)
        for start in dict.fromkeys(classified["start"])
    }


def epochs_of_most_gain(curves, *, fraction=0.9):
    """Epoch in which most of the gain in accuracy after the first epoch is reached.

    Schneider et al. (2023, sec. 4, Fig. 6) refer to "the vast majority" of the improvement, which
    is assumed to be nine tenths.

    Parameters
    ----------
    curves : `~astropy.table.Table`
        Result of `pretraining_study`.
    fraction : float, optional
        Fraction of the gain from the first epoch to the peak.

    Returns
    -------
    epochs : `~astropy.table.Table`
        One row per training: ``start``, ``run`` and ``epoch``.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.experiments.pretraining_scores import epochs_of_most_gain
    >>> curves = Table({"start": ["pretrained"] * 3, "run": [1] * 3, "epoch": [1, 2, 3]})
    >>> curves["accuracy"] = [0.5, 0.79, 0.8]
    >>> epochs_of_most_gain(curves)["epoch"].tolist()
    [2]
    """
    rows = []
    for key, training in zip(*_trainings(curves), strict=True):
        accuracy = np.asarray(training["accuracy"])
        wanted = accuracy[0] + fraction * (accuracy.max() - accuracy[0])
        rows.append((*key, training["epoch"][np.argmax(accuracy >= wanted)]))
    return Table(rows=rows, names=("start", "run", "epoch"))


def epochs_before_gain(curves, classified):
    """Epochs before a network is better than always choosing the most common class.

    At first, networks from random weights classify all galaxies as spirals (Schneider et al. 2023,
    Fig. 7).

    Parameters
    ----------
    curves, classified : `~astropy.table.Table`
        Result of `pretraining_study`.

    Returns
    -------
    epochs : `~astropy.table.Table`
        One row per training: ``start``, ``run``, ``epochs``, and ``limit``: ``"above"`` for a
        network that is never better, in which case ``epochs`` is its number of epochs, a lower
        limit; otherwise empty.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.experiments.pretraining_scores import epochs_before_gain
    >>> curves = Table({"start": ["from scratch"] * 3, "run": [1] * 3, "epoch": [1, 2, 3]})
    >>> curves["accuracy"] = [0.5, 0.5, 0.75]
    >>> classified = Table({"start": ["from scratch"] * 4, "run": [1] * 4, "label": [1, 1, 2, 4]})
    >>> epochs_before_gain(curves, classified)["epochs"].tolist()
    [2]
    """
    labels = {
        key: np.asarray(training["label"])
        for key, training in zip(*_trainings(classified), strict=True)
    }
    rows = []
    for key, training in zip(*_trainings(curves), strict=True):
        baseline = np.unique(labels[key], return_counts=True)[1].max() / len(labels[key])
        # Accuracies have single precision.
        better = np.asarray(training["accuracy"]) > baseline + 1e-6
        known = (np.argmax(better), "") if better.any() else (len(better), "above")
        rows.append((*key, *known))
    return Table(rows=rows, names=("start", "run", "epochs", "limit"))
