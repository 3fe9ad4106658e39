# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Report that compares a reproduction with Schneider et al. (2023)."""

from math import isnan

import numpy as np
from astropy.table import Table, vstack

from astroclust.data_files import read_data
from astroclust.experiments.pretraining import published_number
from astroclust.experiments.pretraining_scores import (
    accuracy_by_epochs,
    confusion_by_start,
    peak_accuracies,
    scores_by_start,
    sign_test,
)
from astroclust.experiments.schneider2023_figures import (
    plot_class_accuracies,
    plot_confusions,
    plot_curves,
    plot_differences,
    plot_example,
    plot_peaks,
)
from astroclust.experiments.schneider2023_numbers import ALEXNET, STARTS, compare_numbers
from astroclust.reports import Report

__all__ = ["report_study"]

_PRETRAINED, _SCRATCH = STARTS
# Columns of the comparison in the sections on single tables.
_SHOWN = ("start", "class", "quantity", "epochs", "run", "paper", "paper_std", "ours", "ours_std")


def report_study(study):
    """Make the report of a study.

    Parameters
    ----------
    study : `~astroclust.experiments.schneider2023_numbers.Study`
        The study.

    Returns
    -------
    report : `~astroclust.reports.Report`
        Report that has not been written yet.
    """
    report = Report("Pretraining experiments of Schneider et al. (2023)")
    comparison = compare_numbers(study)
    _add_peaks(report, study, comparison)
    _add_curves(report, study)
    _add_classes(report, study, comparison)
    _add_confusion(report, study)
    _add_scores(report, study, comparison)
    _add_long(report, study, comparison)
    report.add(
        "All numbers of the paper",
        "Differences are in units of the combined standard deviation, if both are known. Cells "
        "are empty if the paper or this study has no such number: peaks within more epochs than "
        "were trained, and galaxy classes if the labels are of another scheme. For peaks and "
        f"differences, {_lengths(study)} The usual difference spans the first to third quartile "
        "of the runs. If ours_limit is above, ours is a lower limit, as some networks did not "
        f"reach it by their last epoch. {_layers(study)} Rows are those of "
        "astroclust/data/schneider2023.ecsv.",
        name="comparison",
        table=_described(comparison),
        form=_digits,
    )
    report.add(
        "Peaks of all splits",
        "Highest accuracy of each training, and the first epoch that reaches it (Fig. 3).",
        name="peaks",
        table=peak_accuracies(study.curves),
        form=".4f",
    )
    return report


def _lengths(study):
    """Text on the lengths of training runs, compared with those of the paper."""
    parts = []
    for start in STARTS:
        paper = published_number("epochs", start=start)
        parts.append(f"{study.epochs(start)} epochs here correspond to {paper:.0f}")
    return f"{' and '.join(parts)}."


def _layers(study):
    """Text on the comparison of layers and filters."""
    if study.network == ALEXNET:
        return (
            "Later filters are those of the largest convolution, which in torchvision's AlexNet "
            "has 192 input channels, not 256."
        )
    return f"The layers and filters of AlexNet have no counterpart in {study.network}."


def _described(comparison):
    """Comparison with a column that describes each number."""
    rows = [(f"{row['item']} (sec. {row['section']})", _what(row)) for row in comparison]
    shown = Table(rows=rows, names=("source", "number"))
    for name in ("paper", "paper_std", "ours", "ours_std", "difference"):
        shown[name] = np.asarray(comparison[name])
    shown.add_column(comparison["ours_limit"], name="ours_limit", index=5)
    return shown


def _what(row):
    """Description of a number."""
    parts = [row["quantity"].replace("_", " "), row["start"], row["class"]]
    parts.append(f"classified as {row['given_class']}" if row["given_class"] else "")
    for name, text in (("epochs", "{} epochs"), ("run", "run {}")):
        parts.append("" if row[name] is np.ma.masked else text.format(row[name]))
    unit = "; ".join(filter(None, (row["unit"], row["limit"])))
    return ", ".join(filter(None, parts)) + (f" ({unit})" if unit else "")


def _digits(value):
    """Format a number with significant digits; empty for NaN."""
    if value is np.ma.masked or isnan(value):
        return ""
    if value and abs(value) < 0.05:
        return f"{value:.3g}"
    return f"{value:.0f}" if value == round(value) and abs(value) >= 100 else f"{value:.1f}"


def _published(item):
    """Rows of the paper of a table or figure."""
    paper = read_data("schneider2023")
    return paper[paper["item"] == item]


def _beside(comparison, item):
    """Rows of the comparison for a table, without irrelevant columns."""
    rows = comparison[comparison["item"] == item]
    kept = [name for name in _SHOWN if not np.ma.getmaskarray(rows[name]).all()]
    return rows[[name for name in kept if rows[name].dtype.kind != "U" or any(rows[name])]]


def _add_peaks(report, study, comparison):
    better, worse = (study.peaks(start) for start in STARTS)
    n = study.epochs(_PRETRAINED)
    equal = peak_accuracies(study.curves, within=n)
    equal = equal[equal["start"] == _SCRATCH]
    wins, losses, p = sign_test(better["accuracy"], worse["accuracy"])
    sooner, later, p_epoch = sign_test(worse["epoch"], better["epoch"])
    sooner_n, later_n, p_n = sign_test(equal["epoch"], better["epoch"])
    runs = published_number("runs")
    report.add(
        "Effect of pretraining",
        f"On {wins} of {len(better)} splits the pretrained network has the higher peak accuracy, "
        f"on {losses} the network from scratch: two-sided sign test, p = {p:.2g} (paper: on "
        f"{runs:.0f} of {runs:.0f}, {published_number('p_accuracy'):.3g}). It reaches its peak in "
        f"an earlier epoch on {sooner} splits and in a later one on {later}: p = {p_epoch:.2g} "
        f"(paper: {published_number('p_epoch'):.3g}). Within the first {n} epochs, it is earlier "
        f"on {sooner_n} and later on {later_n}: p = {p_n:.2g}. Splits with equal values are "
        "excluded. The paper does not state the epochs of its second test; all epochs are assumed, "
        "as all splits agree in that test, but not in Fig. 4. Peaks are those of Fig. 3.",
        figure=plot_peaks(study),
    )
    report.add(
        "Gain from pretraining",
        "Pretrained minus from scratch on the same split, as in Figs 4 and 5.",
        figure=plot_differences(study),
    )
    report.add(
        "Accuracy within a number of epochs",
        f"Mean and standard deviation of the peak over the splits.{_selection(study)}",
        name="accuracy",
        table=accuracy_by_epochs(study.curves),
        form=".4f",
    )
    report.add(
        "Table 1",
        f"In percent; {_lengths(study)}",
        name="table_1",
        table=_beside(comparison, "table-1"),
        form=_digits,
    )


def _selection(study):
    """Text on the selection bias of the peak against the last epoch."""
    parts = []
    for start in STARTS:
        own = study.curves[study.curves["start"] == start]
        last = own["accuracy"][own["epoch"] == study.epochs(start)]
        parts.append(f"{100 * np.mean(last):.1f} % {start}")
    return (
        " As in the paper, the epoch is selected on the test set, which biases the peaks upward; "
        f"after the last epoch the mean accuracy is {' and '.join(parts)}."
    )


def _add_curves(report, study):
    n, full = study.epochs(_PRETRAINED), published_number("epochs", start=_PRETRAINED)
    paper = [int(_published(item)["epochs"][0]) for item in ("fig-6a", "fig-6b")]
    first = [max(round(number * n / full), 1) for number in paper]
    report.add(
        "Learning curves",
        f"Fig. 6: gain of all {n} epochs over the first {first[0]} and {first[1]}, the same "
        f"fractions as {paper[0]} and {paper[1]} out of {full:.0f} in the paper, and all curves.",
        name="curves",
        table=_means(study),
        form=".4f",
        figure=plot_curves(study, first),
    )
    report.add(
        "One split",
        "Accuracy and loss on the training and the test set (Fig. 7). Those of the training set "
        "are means over the batches of each epoch, with augmentation and dropout.",
        figure=plot_example(study),
    )


def _means(study):
    """Mean learning curves at some epochs."""
    tables = []
    for start in STARTS:
        own = study.curves[study.curves["start"] == start]
        means = own[own.colnames[2:]].group_by("epoch").groups.aggregate(np.mean)
        shown = np.unique(np.round(np.geomspace(1, len(means), 8)).astype(int)) - 1
        means.add_column([start] * len(means), name="start", index=0)
        tables.append(means[shown])
    return vstack(tables)


def _add_classes(report, study, comparison):
    for start, figure in zip(STARTS, ("Fig. 8", "Fig. 9"), strict=True):
        report.add(
            f"Accuracy by class: {start}",
            "Fraction of the objects of each class that are classified correctly by the network "
            f"of the best epoch of each split ({figure}).",
            figure=plot_class_accuracies(study, start),
        )
    report.add(
        "Table 2",
        f"In percent.{_other_classes(study)}",
        name="table_2",
        table=_beside(comparison, "table-2"),
        form=_digits,
    )


def _other_classes(study):
    if study.scheme.name == "galaxies":
        return ""
    return (
        f" The classes here are {', '.join(study.scheme.names.values())}, not those of the paper, "
        "so only the numbers of the paper are given."
    )


def _add_confusion(report, study):
    example = {start: study.confusion[start, study.example] for start in STARTS}
    report.add(
        f"Confusion: split {study.example}",
        "Objects of the test set (Fig. 10).",
        name="confusion_split",
        table=_stacked(example),
        figure=plot_confusions(example, study.scheme.names),
    )
    mean = confusion_by_start(study.classified)
    report.add(
        "Confusion: all splits",
        "Percent of each true class, mean and standard deviation over the splits (Fig. 11).",
        name="confusion",
        table=_stacked(mean),
        figure=plot_confusions(mean, study.scheme.names),
    )


def _stacked(tables):
    """Stack the tables of the starts."""
    parts = []
    for start, table in tables.items():
        part = table.copy()
        part.add_column([start] * len(part), name="start", index=0)
        parts.append(part)
    return vstack(parts, metadata_conflicts="silent")


def _add_scores(report, study, comparison):
    report.add(
        "Precision, recall and F1",
        "Scores of the network from the best epoch: mean and standard deviation over the splits.",
        name="scores",
        table=scores_by_start(study.classified),
        form=".3f",
    )
    report.add(
        "Table 4",
        f"In percent.{_other_classes(study)}",
        name="table_4",
        table=_beside(comparison, "table-4"),
        form=_digits,
    )


def _add_long(report, study, comparison):
    if study.long_curves is None:
        text = "Not available; set long_epochs, or --long-epochs on the command line."
    else:
        n = study.long_curves["epoch"].max()
        runs = sorted(set(study.long_curves["run"].tolist()))
        text = (
            f"Peak accuracy in percent and its epoch with {n} epochs for both starts, on splits "
            f"{', '.join(map(str, runs))} instead of those of the paper, which are numbered from "
            "0."
        )
    table = _beside(comparison, "table-3")
    report.add("Longer training runs (Table 3)", text, name="table_3", table=table, form=_digits)
