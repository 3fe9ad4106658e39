# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Report on color pictures: the tables of Wei et al. (2020) for real clusters and classes."""

import numpy as np
from astropy.table import Table

from astroclust.evaluation import confusion_matrix, mean_confusion, mean_scores
from astroclust.experiments.ablation import (
    band_changes,
    change_row,
    classes_by_run,
    most_needed,
    scores_of_experiment,
)
from astroclust.experiments.wei2020_claims import check_claims
from astroclust.instruments import LEGUS_CLASSES
from astroclust.plotting import plot_confusion
from astroclust.reports import Report, describe_machine

__all__ = ["report_pictures"]

_NOTE = (
    "These are color pictures, not photometry: real clusters with human classes, on renderings "
    "that were stretched, sharpened, color-balanced and compressed for display, coarser than the "
    "mosaics and in B, V and I only. The numbers of the paper are for five bands and native "
    "pixels."
)
_PARTS = ("validation", "new galaxy")


def report_pictures(classified, sample, new, *, runs, recipes, split, redraw, seconds):
    """Make the report on all finished training runs.

    Parameters
    ----------
    classified : `~astropy.table.Table`
        Classes of all finished training runs, with columns that identify the training.
    sample : `~astroclust.stamps.Stamps`
        The sample that is divided into training and validation set.
    new : `~astroclust.stamps.Stamps` or None
        Stamps of the new galaxy.
    runs : int
        Planned number of training runs of each network.
    recipes : dict of str to `~astroclust.training.Recipe`
        Networks by name.
    split : str
        Type of split.
    redraw : bool
        Whether each run has its own split.
    seconds : float
        Duration of this call.

    Returns
    -------
    report : `~astroclust.reports.Report`
        Report that has not been written yet.
    """
    report = Report("The experiments of Wei et al. (2020) on color pictures", note=_NOTE)
    networks = list(dict.fromkeys(classified["architecture"]))
    parts = {
        (network, part): _select(classified, network, part)
        for network in networks
        for part in dict.fromkeys(classified["part"])
    }
    _add_summary(report, parts, runs)
    report.add(
        "Statements of the paper",
        "Results of the finished training runs for each statement. The significance of differences "
        "is from two-sided sign tests over the training runs; accuracies are comparable if they "
        "differ by no more than the variations of sec. 4.3.",
        name="claims",
        table=check_claims(parts),
    )
    for (network, part), table in parts.items():
        if part in _PARTS:
            _add_confusion(report, network, part, table)
    _add_bands(report, networks, parts)
    _add_sample(report, sample, new, recipes, split, redraw)
    report.add(
        "Computer",
        "Minutes refer to this call only, without earlier ones that it resumed.",
        name="machine",
        table=describe_machine(seconds),
    )
    return report


def _select(classified, network, part):
    return classified[(classified["architecture"] == network) & (classified["part"] == part)]


def _add_summary(report, parts, runs):
    """Add accuracy and recalls of each network, one row per part."""
    rows, usual = [], {}
    for (network, part), table in parts.items():
        if part not in _PARTS:
            continue
        trainings = classes_by_run(table).values()
        scores = mean_scores(trainings)
        merged = mean_scores(trainings, merge={2: 1})
        usual[part] = 100 * np.bincount(table["label"]).max() / len(table)
        row = {"network": network, "tested_on": part, "runs": scores.meta["TRAININGS"]}
        row |= {"accuracy": 100 * scores.meta["ACCURACY"]}
        row |= {"accuracy_std": 100 * scores.meta["ACCURACY_STD"]}
        for one in scores:
            key = f"class_{one['class']}"
            row |= {key: 100 * one["recall"], f"{key}_std": 100 * one["recall_std"]}
        row |= {"class_1_or_2": 100 * merged["recall"][0]}
        row |= {"class_1_or_2_std": 100 * merged["recall_std"][0]}
        rows.append(row)
    done = min(row["runs"] for row in rows)
    text = (
        "Percentage of correct classes for all objects and for each true class: mean and standard "
        "deviation over the training runs"
    )
    text += "." if done >= runs else f", {done} of {runs} so far."
    most = " and ".join(f"{value:.1f} in the {part} set" for part, value in usual.items())
    text += f" Always choosing the most frequent class gives {most}.".replace(
        "galaxy set", "galaxy"
    )
    report.add("Accuracy of each network", text, name="summary", table=Table(rows=rows))


def _add_confusion(report, network, part, table):
    trainings = classes_by_run(table).values()
    confusion = mean_confusion(confusion_matrix(*pair) for pair in trainings)
    name = f"{network}_{part.replace(' ', '-')}"
    report.add(
        f"Confusion: {network}, {part}",
        "Mean and standard deviation over the training runs, in percent, as in Tables 4 to 7 and "
        "Figs 3 and 4 of the paper.",
        name=f"confusion_{name}",
        table=confusion,
        figure=plot_confusion(confusion).figure,
    )
    report.add(
        f"Scores: {network}, {part}",
        "Fractions, mean and standard deviation over the training runs.",
        name=f"scores_{name}",
        table=scores_of_experiment(table),
        form=None,
    )


def _add_bands(report, networks, parts):
    """Changes of the accuracy of the new galaxy without each band."""
    rows, sentences = [], []
    for network in networks:
        without = {
            part.removeprefix("without "): table
            for (name, part), table in parts.items()
            if name == network and part.startswith("without ")
        }
        if not without:
            continue
        changes = band_changes(parts[network, "new galaxy"], without)
        rows += [
            {"network": network, "without": band} | change_row(table)
            for band, table in changes.items()
        ]
        sentences.append(f"{network}: {most_needed(changes)[1]}.")
    if rows:
        report.add(
            "Without one band",
            "Change of the accuracy in points if one band of the new galaxy is set to zero: mean "
            "and standard deviation over the training runs (Fig. 7; in the paper the loss is "
            "largest for V). " + " ".join(sentences),
            name="bands",
            table=Table(rows=rows),
        )


def _add_sample(report, sample, new, recipes, split, redraw):
    rows = []
    for name, stamps in (("sample", sample), ("new galaxy", new)):
        if stamps is None:
            continue
        for field in dict.fromkeys(stamps.table["field"]):
            classes = np.asarray(stamps.table["class"])[stamps.table["field"] == field]
            counts = {f"class_{n}": np.count_nonzero(classes == n) for n in LEGUS_CLASSES.numbers}
            rows.append({"part": name, "field": field} | counts | {"total": len(classes)})
    text = "At most a fifth of each class" if split == "grouped" else "A fifth of each class"
    text += " is the test set, " + ("another in each run" if redraw else "the same in all runs")
    text += (
        "; it shares no pixel with the training set."
        if split == "grouped"
        else "; its stamps may share pixels with those of the training set, as in the paper."
    )
    trainings = [_describe(name, recipe) for name, recipe in recipes.items()]
    tables = [stamps.table for stamps in (sample, new) if stamps is not None]
    given = dict.fromkeys(credit for table in tables for credit in table["credit"] if credit)
    report.add(
        "Data and settings",
        "Stamps of each class, without classes that have no objects in a field in Tables 1 and 2 "
        f"of the paper. {text} {'; '.join(trainings)}. The paper has 10,000 batches at 299 "
        f"pixels, from ImageNet. Pictures: {'; '.join(given) or 'no credit given'}.",
        name="sample",
        table=Table(rows=rows),
    )


def _describe(name, recipe):
    """Description of a network and its training."""
    length = f"{recipe.epochs} epochs"
    if recipe.batches is not None:
        length = f"{recipe.batches} batches of {recipe.batch_size}"
    what = name if name == recipe.architecture else f"{name} is {recipe.architecture}"
    return f"{what}, {length}, {recipe.normalization}"
