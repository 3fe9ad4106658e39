# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Effect of pretraining: the study of Schneider et al. (2023) on any stamps."""

import hashlib
from dataclasses import replace
from numbers import Integral
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from astroclust.data_files import read_data
from astroclust.files import replace_when_done
from astroclust.instruments import classes_of, find_class_scheme, meta_of
from astroclust.locks import only_process
from astroclust.training import (
    Recipe,
    Sample,
    member_probabilities,
    split_rows,
    train_classifier,
)
from astroclust.training.augmentation import crop_middle
from astroclust.training.run_folders import claim_folder, recipe_settings

__all__ = ["pretraining_study", "published_number"]


def published_number(quantity, *, start=""):
    """Parameter of the study of Schneider et al. (2023).

    Parameters
    ----------
    quantity : str
        A ``quantity`` in ``astroclust/data/schneider2023.ecsv`` with a single value.
    start : str, optional
        ``"pretrained"`` or ``"from scratch"``, for a parameter that differs between the two.

    Returns
    -------
    value : float
        The number.

    Examples
    --------
    >>> from astroclust.experiments.pretraining import published_number
    >>> published_number("test_objects"), published_number("epochs", start="from scratch")
    (2034.0, 400.0)
    """
    paper = read_data("schneider2023")
    starts = np.ma.filled(paper["start"], "")
    (value,) = paper["value"][(paper["quantity"] == quantity) & (starts == start)]
    return float(value)


def pretraining_study(
    sample,
    starts,
    *,
    folder,
    runs=10,
    test_fraction=None,
    seed=0,
    progress_bar=False,
):
    """Train repeatedly from each of several starts on the same random splits.

    In each training run, the test set is classified by the network from the epoch with the highest
    accuracy on that test set (the first one, if several are equal), as in Schneider et al. (2023,
    sec. 4.1). As the test set also selects the network, its scores are biased upward by the
    variation of the accuracy between epochs. Repeat the call to resume an interrupted study.

    Parameters
    ----------
    sample : `~astroclust.training.Sample`
        n labeled stamps; stamps of one group are on the same side of each split. If it has a
        ``size``, the central part of that width is tested.
    starts : dict of str to `~astroclust.training.Recipe` or tuple
        Recipe of each start by name, such as those that differ in ``weights``; or a recipe and
        the `~astroclust.weights.Classifier` that it fine-tunes. The training set is everything
        outside the test set; ``validation_fraction`` is treated as 0.
    folder : str or `~pathlib.Path`
        Folder for the training runs and their results.
    runs : int or sequence of int, optional
        Number of random splits (100 in Schneider et al.), or the numbers of some splits, from 1.
    test_fraction : float, optional
        Fraction of the stamps in the test sets; by default that of Schneider et al., 2034 of
        14,034.
    seed : int, optional
        Seed of the first split and its training runs, incremented for each further split.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    curves : `~astropy.table.Table`
        One row per epoch of a training: ``start``, ``run`` and ``epoch`` (from 1), ``accuracy`` and
        ``loss`` on the test set, and ``training_accuracy`` and ``training_loss``, the means over
        the batches of the epoch, with their augmentation and dropout.
    classified : `~astropy.table.Table`
        One row per test stamp of a training: ``start``, ``run``, ``row`` in the stamps, ``label``
        and ``class``. ``meta`` has the scheme of the classes.

    Raises
    ------
    ValueError
        If labels are not classes or not one per stamp, ``runs`` are not numbers from 1, all or none
        of the stamps are in the test set, or the folder belongs to another study.

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
    if test_fraction is None:
        test_fraction = published_number("test_objects") / published_number("all_objects")
    curves, classified = [], []
    data = _fingerprint(sample, test_fraction, seed)
    for run in _numbers(runs):
        for name, start in starts.items():
            home = Path(folder) / name.replace(" ", "-")
            run_folder = home / f"run-{run:03}"
            result = run_folder / "classified.ecsv"
            run_folder.mkdir(parents=True, exist_ok=True)
            claim_folder(home, _settings(start, data))
            with only_process(result):
                if not result.exists():
                    _train(sample, start, run_folder, test_fraction, seed + run - 1, progress_bar)
            for parts, table in (
                (curves, _curve(run_folder / "member-1" / "metrics.csv")),
                (classified, Table.read(result, format="ascii.ecsv")),
            ):
                table.add_columns(
                    [[name] * len(table), [run] * len(table)], [0, 0], ["start", "run"]
                )
                parts.append(table)
    classified = vstack(classified)
    classified.meta.update(meta_of(_scheme(sample)))
    return vstack(curves), classified


def _numbers(runs):
    """Validate and list the numbers of the splits."""
    numbers = list(range(1, runs + 1)) if isinstance(runs, Integral) else list(runs)
    if not numbers or not all(isinstance(one, Integral) and one >= 1 for one in numbers):
        raise ValueError(
            f"runs must be a number of splits or a list of split numbers from 1, not {runs!r}"
        )
    return numbers


def _scheme(sample):
    if sample.scheme is None:
        return classes_of(sample.stamps.table)
    return find_class_scheme(sample.scheme)


def _fingerprint(sample, test_fraction, seed):
    """Hash of the settings that all training runs of a study share."""
    data = hashlib.sha256(np.ascontiguousarray(sample.stamps.data))
    data.update(np.ascontiguousarray(sample.labels))
    groups = [] if sample.groups is None else np.asarray(sample.groups).tolist()
    data.update(f"{groups} {sample.size} {test_fraction} {seed}".encode())
    return data.hexdigest()


def _settings(start, data):
    """Settings that identify the training runs of a start when a study resumes."""
    recipe, classifier = (start, None) if isinstance(start, Recipe) else start
    start = "" if classifier is None else classifier.card.sha256
    return {**recipe_settings(recipe), "start": start, "data": data}


def _train(sample, start, run_folder, test_fraction, seed, progress_bar):
    """Train from one start on one split, and write the classes of the test set."""
    recipe, classifier = (start, None) if isinstance(start, Recipe) else start
    stamps, labels = sample.stamps, np.asarray(sample.labels)
    training, test = split_rows(
        len(stamps), fraction=test_fraction, seed=seed, groups=sample.groups
    )
    if not (len(training) and len(test)):
        raise ValueError(
            f"{test_fraction:.1%} of {len(stamps)} stamps leave {len(training)} for training and "
            f"{len(test)} for testing; use more stamps or groups, or another test_fraction"
        )
    tested = crop_middle(stamps[test], sample.size)
    trained = train_classifier(
        Sample(
            stamps[training],
            labels[training],
            test_stamps=stamps[test],
            test_labels=labels[test],
            scheme=sample.scheme,
            size=sample.size,
        ),
        name=run_folder.name,
        # The test set is monitored, and selects the epoch.
        recipe=replace(recipe, validation_fraction=0.0, keep_best=True, max_missing_bands=0),
        start=classifier,
        seed=seed,
        folder=run_folder,
        progress_bar=progress_bar,
    )
    probabilities = member_probabilities(trained, tested).mean(axis=0)
    table = Table({"row": test, "label": labels[test]})
    table["class"] = _scheme(sample).most_probable(probabilities)
    with replace_when_done(run_folder / "classified.ecsv") as partial:
        table.write(partial, format="ascii.ecsv")
    for checkpoint in run_folder.glob("member-1/*.ckpt"):
        checkpoint.unlink()  # large, and no longer needed


def _curve(log):
    """Scores after each epoch, from separate rows of the training and the test set."""
    log = Table.read(log, format="ascii.csv")
    columns = {
        "accuracy": "accuracy",
        "loss": "validation_loss",
        "training_accuracy": "training_accuracy",
        "training_loss": "loss",
    }
    table = {}
    for name, logged in columns.items():
        rows = log[~np.ma.getmaskarray(log[logged])]
        table.setdefault("epoch", np.asarray(rows["epoch"]) + 1)
        table[name] = np.asarray(rows[logged], float)
    return Table(table)
