# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Dependence of the accuracy on the split and on the size of the training set."""

from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure
from tqdm import tqdm

from astroclust.evaluation import class_scores, mean_and_scatter
from astroclust.experiments.samples import gather_sample, labeled_stamps, sample_fields
from astroclust.experiments.trainings import Training, run_training
from astroclust.instruments import LEGUS_CLASSES
from astroclust.reports import Report, describe_machine
from astroclust.training import find_recipe

__all__ = ["SPLIT_STUDIES", "reproduce_split_study"]

#: Titles of the studies by name.
SPLIT_STUDIES = {
    "leak": "Leakage through overlapping stamps in a random split",
    "held-out-fields": "Accuracy for fields outside the training set",
    "sample-size": "Accuracy against the number of labels",
}
_NUMBERS = (250, 500, 1000, 2000, 4000, 8000)


def reproduce_split_study(
    study,
    folder,
    *,
    labels="consensus",
    recipe="native",
    runs=3,
    fields=None,
    data_folder=None,
    progress_bar=False,
):
    """Train on different splits of a LEGUS sample, and write a report.

    Repeat the call to resume an interrupted study.

    Parameters
    ----------
    study : str
        One of `SPLIT_STUDIES`.
    folder : str or `~pathlib.Path`
        Folder for stamps, training runs and the report.
    labels : str, optional
        Sample: ``"consensus"`` or ``"bcw"``.
    recipe : str or `~astroclust.training.Recipe`, optional
        Network and training settings.
    runs : int, optional
        Trainings of each kind, with different splits and initial weights.
    fields : sequence of str, optional
        Fields of the sample; by default all that are in the archive.
    data_folder : str or `~pathlib.Path`, optional
        Download folder of catalogs and mosaics, see `~astroclust.archive.fetch_legus`.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    page : `~pathlib.Path`
        The report.

    Raises
    ------
    OSError
        If no field can be fetched.
    ValueError
        For an unknown study, or fewer than one run.

    Examples
    --------
    Each study trains many networks on stamps from the archive:

    >>> from astroclust.experiments import SPLIT_STUDIES, reproduce_split_study
    >>> print(*SPLIT_STUDIES)
    leak held-out-fields sample-size
    >>> reproduce_split_study("luck", "study")
    Traceback (most recent call last):
        ...
    ValueError: study must be one of leak, held-out-fields, sample-size, not 'luck'
    """
    if study not in SPLIT_STUDIES:
        raise ValueError(f"study must be one of {', '.join(SPLIT_STUDIES)}, not {study!r}")
    if runs < 1:
        raise ValueError(f"runs must be at least 1, not {runs}")
    began, folder, recipe = perf_counter(), Path(folder), find_recipe(recipe)
    fetch = partial(
        labeled_stamps,
        labels=labels,
        folder=folder / "stamps",
        data_folder=data_folder,
        progress_bar=progress_bar,
    )
    stamps = gather_sample(fetch, sample_fields(labels) if fields is None else fields)
    kinds = _kinds(study, stamps)
    tables = {name: [] for name in kinds}
    todo = [(run, name) for run in range(1, runs + 1) for name in kinds]
    for run, name in tqdm(todo, unit="training", disable=not progress_bar):
        training = Training(labels, recipe, run, **kinds[name])
        tables[name].append(run_training(training, stamps, folder=folder / "trainings"))
    scores = Table(rows=[_row(name, tables[name]) for name in kinds])
    report = Report(SPLIT_STUDIES[study])
    report.add(
        study,
        f"{recipe.architecture}, labels {labels}, {len(stamps)} stamps, {runs} training runs of "
        "each kind. Percentages: mean and standard deviation over the training runs.",
        name="scores",
        table=scores,
        figure=_plot(scores),
    )
    machine = describe_machine(perf_counter() - began)
    report.add("Computer", name="machine", table=machine)
    return report.write(folder)


def _kinds(study, stamps):
    """Names of the kinds of training, and the settings of each."""
    if study == "leak":
        return {
            "random": {"redraw": True},
            "grouped": {"split": "grouped", "redraw": True},
        }
    if study == "held-out-fields":
        return {name: {"split": name} for name in sorted(set(stamps.table["field"]))}
    numbers = [number for number in _NUMBERS if number < 0.8 * len(stamps)]
    kinds = {str(number): {"n_training": number, "redraw": True} for number in numbers}
    return kinds | {"all": {"redraw": True}}


def _row(name, tables):
    """Mean and scatter of accuracy and recalls, over the training runs that tested the class."""
    scores = [class_scores(table["label"], table["class"]) for table in tables]
    values = {"accuracy": [score.meta["ACCURACY"] for score in scores]}
    for i, number in enumerate(LEGUS_CLASSES.numbers):
        values[f"recall_{number}"] = [score["recall"][i] for score in scores]
    row = {"kind": name, "tested": int(np.mean([len(table) for table in tables]))}
    for key, given in values.items():
        mean, scatter = mean_and_scatter(100 * np.array(given))
        row |= {key: mean, f"{key}_std": scatter}
    return row


def _plot(scores):
    figure = Figure(figsize=(max(4.5, 0.6 * len(scores)), 4), layout="constrained")
    ax = figure.subplots()
    ax.errorbar(
        scores["kind"],
        scores["accuracy"],
        scores["accuracy_std"],
        fmt="o",
        color="#0072B2",
        capsize=3,
    )
    ax.set(ylabel="accuracy (percent)", ylim=(0, 100))
    ax.tick_params(axis="x", rotation=45)
    return figure
