# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Does pretraining help? The study of Schneider et al. (2023), on any stamps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack
from scipy.stats import binomtest

from astroclust.evaluation import (
    class_scores,
    confusion_matrix,
    mean_and_scatter,
    mean_confusion,
)
from astroclust.files import replace_when_done
from astroclust.instruments import LEGUS_CLASSES
from astroclust.locks import only_process
from astroclust.training import (
    Recipe,
    Sample,
    member_probabilities,
    split_rows,
    train_classifier,
)

__all__ = ["accuracy_by_epochs", "peak_accuracies", "pretraining_study", "sign_test"]

#: Epochs after which Schneider et al. (2023, Table 1) look at the accuracy.
EPOCHS = (5, 10, 20, 50, 200, 400)


def pretraining_study(
    sample,
    starts,
    *,
    folder,
    runs=10,
    test_fraction=0.15,
    seed=0,
    progress_bar=False,
):
    """Train from each of several starts on the same random splits, many times.

    The same call resumes after a stop.

    Parameters
    ----------
    sample : `~astroclust.training.Sample`
        n labeled stamps; stamps of one group are on the same side of each split.
    starts : dict of str to `~astroclust.training.Recipe` or tuple
        Recipe of each start by name, such as those that differ in ``weights``; or a recipe and
        the `~astroclust.weights.Classifier` that it fine-tunes. All stamps that are not tested on
        are trained on: ``validation_share`` is taken as 0.
    folder : str or `~pathlib.Path`
        Folder for the trainings and their results.
    runs : int, optional
        Number of random splits; Schneider et al. have 100.
    test_fraction : float, optional
        Fraction of the stamps in the test sets; Schneider et al. have 2034 of 14 034.
    seed : int, optional
        Seed of the first split and its trainings; the next have the numbers that follow.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    curves : `~astropy.table.Table`
        A row an epoch of a training: ``start``, ``run`` and ``epoch`` (from 1), ``accuracy`` on
        the stamps that are tested on.
    classified : `~astropy.table.Table`
        A row a tested stamp of a training: ``start``, ``run``, ``row`` in the stamps, ``label`` and
        the ``class`` that the network has in the end.

    Raises
    ------
    ValueError
        Where labels are not classes or not one a stamp, or the folder is that of another study.

    Examples
    --------
    Ten wide and ten narrow Gaussians, and two learning rates:

    >>> import numpy as np
    >>> from astroclust import Stamps
    >>> from astroclust.instruments import LEGUS_BANDS
    >>> labels = np.tile([1, 4], 10)
    >>> y, x = np.mgrid[:24, :24] - 12
    >>> width = np.where(labels == 1, 3, 1)[:, None, None]
    >>> light = np.exp(-(x**2 + y**2) / (2 * width**2))
    >>> stamps = Stamps(np.repeat(light[:, None], 5, axis=1), LEGUS_BANDS.roles)
    >>> from astroclust.experiments import pretraining_study
    >>> from astroclust.training import Recipe, Sample
    >>> rates = {"slow": 1e-4, "fast": 1e-2}
    >>> starts = {
    ...     name: Recipe(architecture="native-small", epochs=1, learning_rate=rate)
    ...     for name, rate in rates.items()
    ... }
    >>> curves, classified = pretraining_study(
    ...     Sample(stamps, labels), starts, folder="study", runs=1
    ... )
    >>> curves["start", "run", "epoch"].pprint()
    start run epoch
    ----- --- -----
     slow   1     1
     fast   1     1
    >>> len(classified)
    6
    """
    curves, classified = [], []
    for run in range(1, runs + 1):
        for name, start in starts.items():
            place = Path(folder) / name.replace(" ", "-") / f"run-{run:03}"
            result = place / "classified.ecsv"
            place.mkdir(parents=True, exist_ok=True)
            with only_process(result):
                if not result.exists():
                    _train(sample, start, place, test_fraction, seed + run - 1, progress_bar)
            for parts, table in (
                (curves, _curve(place / "member-1" / "metrics.csv")),
                (classified, Table.read(result, format="ascii.ecsv")),
            ):
                table.add_columns(
                    [[name] * len(table), [run] * len(table)], [0, 0], ["start", "run"]
                )
                parts.append(table)
    return vstack(curves), vstack(classified)


def _train(sample, start, place, test_fraction, seed, progress_bar):
    """Train from one start on one split, and write the classes of the test set."""
    recipe, classifier = (start, None) if isinstance(start, Recipe) else start
    stamps, labels = sample.stamps, np.asarray(sample.labels)
    training, test = split_rows(len(stamps), share=test_fraction, seed=seed, groups=sample.groups)
    trained = train_classifier(
        Sample(
            stamps[training], labels[training], test_stamps=stamps[test], test_labels=labels[test]
        ),
        name=place.name,
        # The learning curve is that of the test set.
        recipe=replace(recipe, validation_share=0.0, max_missing_bands=0),
        start=classifier,
        seed=seed,
        folder=place,
        progress_bar=progress_bar,
    )
    probabilities = member_probabilities(trained, stamps[test]).mean(axis=0)
    table = Table({"row": test, "label": labels[test]})
    table["class"] = LEGUS_CLASSES.most_probable(probabilities)
    with replace_when_done(place / "classified.ecsv") as partial:
        table.write(partial, format="ascii.ecsv")
    for checkpoint in place.glob("member-1/*.ckpt"):
        checkpoint.unlink()  # large, and no longer needed


def _curve(log):
    table = Table.read(log, format="ascii.csv")
    rows = table[~np.ma.getmaskarray(table["accuracy"])]
    return Table({"epoch": np.asarray(rows["epoch"]) + 1, "accuracy": np.asarray(rows["accuracy"])})


def peak_accuracies(curves, *, within=None):
    """The best accuracy of each training, and when it was first there.

    Parameters
    ----------
    curves : `~astropy.table.Table`
        As `pretraining_study` returns them.
    within : int, optional
        Epochs to look at; by default all.

    Returns
    -------
    peaks : `~astropy.table.Table`
        A row a training: ``start``, ``run``, ``accuracy`` and ``epoch``, as in Table 2 of Schneider
        et al. (2023).

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
    grouped = table.group_by(["start", "run"]).groups
    return [tuple(key) for key in grouped.keys], list(grouped)


def accuracy_by_epochs(curves, *, epochs=EPOCHS):
    """Best accuracy within so many epochs, as in Table 1 of Schneider et al. (2023).

    Parameters
    ----------
    curves : `~astropy.table.Table`
        As `pretraining_study` returns them.
    epochs : sequence of int, optional
        Numbers of epochs; those that a start was not trained for have no row.

    Returns
    -------
    table : `~astropy.table.Table`
        A row a start and a number of epochs: ``start``, ``epochs``, ``runs``, ``accuracy`` and
        ``accuracy_std``, mean and standard deviation over the runs, and ``peak_epoch`` and
        ``peak_epoch_std``, when the best was there.

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
    rows = []
    for start in dict.fromkeys(curves["start"]):
        own = curves[curves["start"] == start]
        for number in sorted({n for n in epochs if n < max(own["epoch"])} | {max(own["epoch"])}):
            peaks = peak_accuracies(own, within=number)
            ddof = min(len(peaks) - 1, 1)
            values = [
                value
                for name in ("accuracy", "epoch")
                for value in (np.mean(peaks[name]), np.std(peaks[name], ddof=ddof))
            ]
            rows.append((start, number, len(peaks), *values))
    names = ("start", "epochs", "runs", "accuracy", "accuracy_std", "peak_epoch", "peak_epoch_std")
    return Table(rows=rows, names=names)


def sign_test(better, worse):
    """Whether one of two ways is better on more splits than chance would have it.

    Parameters
    ----------
    better, worse : array_like of float, shape (n_runs,)
        What both reach on the same splits; equal values say nothing and are left out.

    Returns
    -------
    wins, losses : int
        Splits on which the first is above, and below, the second.
    p : float
        Of the two-sided sign test, 1 where there are no differences.

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


def scores_by_start(classified):
    """Precision, recall and F1 of each class, with their scatter over the runs.

    Parameters
    ----------
    classified : `~astropy.table.Table`
        As `pretraining_study` returns it.

    Returns
    -------
    scores : `~astropy.table.Table`
        A row a start and a class, as in Table 4 of Schneider et al. (2023): ``start``, ``class``,
        ``precision``, ``precision_std`` and so on. Classes without objects are left out.
    """
    rows = []
    for start in dict.fromkeys(classified["start"]):
        _, runs = _trainings(classified[classified["start"] == start])
        scores = [class_scores(run["label"], run["class"]) for run in runs]
        for i, number in enumerate(LEGUS_CLASSES.numbers):
            if not any(score["total"][i] for score in scores):
                continue
            row = {"start": start, "class": number}
            for name in ("precision", "recall", "f1"):
                mean, scatter = mean_and_scatter([score[name][i] for score in scores])
                row |= {name: mean, f"{name}_std": scatter}
            rows.append(row)
    return Table(rows)


def confusion_by_start(classified):
    """Mean confusion of the runs of each start, as in Fig. 11 of Schneider et al. (2023).

    Parameters
    ----------
    classified : `~astropy.table.Table`
        As `pretraining_study` returns it.

    Returns
    -------
    confusion : dict of str to `~astropy.table.Table`
        By start, as `~astroclust.evaluation.mean_confusion` gives it.
    """
    confusion = {}
    for start in dict.fromkeys(classified["start"]):
        _, runs = _trainings(classified[classified["start"] == start])
        confusion[start] = mean_confusion(
            confusion_matrix(run["label"], run["class"]) for run in runs
        )
    return confusion
