# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Report that compares the classes of all training runs with Wei et al. (2020)."""

from functools import partial

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure
from scipy.special import entr

from astroclust.catalogs.fields import plain_name
from astroclust.data_files import read_data
from astroclust.evaluation import (
    calibration_curve,
    confusion_matrix,
    entropy_distribution,
    mean_confusion,
)
from astroclust.experiments.ablation import (
    band_changes,
    change_row,
    most_needed,
    scores_of_experiment,
)
from astroclust.experiments.wei2020_figures import (
    add_confusions,
    add_filter_confusions,
    add_size_confusions,
)
from astroclust.experiments.wei2020_numbers import add_numbers
from astroclust.experiments.wei2020_people import add_people
from astroclust.experiments.wei2020_totals import add_totals
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES
from astroclust.plotting import plot_calibration, plot_entropy
from astroclust.reports import Report, describe_machine

__all__ = ["LABELS", "WITHOUT", "add_data", "compare_classes"]

#: Labels of the two samples of the paper.
LABELS = ("bcw", "consensus")
#: Parts of the results in which each band is set to zero.
WITHOUT = {band: f"without {band}" for band in LEGUS_BANDS.roles}


def _confusion(classified, *, part, labels, architecture, size="50"):
    """Mean confusion of the runs of one experiment, or None without runs."""
    table = _select(classified, part=part, labels=labels, architecture=architecture, size=size)
    if not len(table):
        return None
    runs = table.group_by("run").groups
    return mean_confusion(confusion_matrix(run["label"], run["class"]) for run in runs)


def compare_classes(classified, plan, quick, samples=None, again=None):
    """Make the report with tables and figures as in the paper.

    Parameters
    ----------
    classified : `~astropy.table.Table`
        Classes of all training runs, with columns that identify the training.
    plan : ``astroclust.experiments.wei2020._Plan``
        Networks and sizes of the reproduction.
    quick : bool
        Whether this is a quick run, which cannot be compared.
    samples : dict of str to `~astroclust.stamps.Stamps`, optional
        Samples by their labels, for human agreement, which is omitted by default.
    again : `~astropy.table.Table`, optional
        See `~astroclust.experiments.wei2020_people.add_people`.

    Returns
    -------
    report : `~astroclust.reports.Report`
        Report that has not been written yet.
    """
    note = "Quick run: a test of every step, whose numbers are not meaningful."
    report = Report("The experiments of Wei et al. (2020)", note=note if quick else "")
    comparison = _compare(classified, plan)
    report.add(
        "All numbers of the paper",
        "Percentage of each true class that was assigned each class. Differences are in units of "
        "the combined standard deviation, if both are known; totals are objects of the true "
        "class, ours per training. The new galaxy of the paper is NGC 1559. Our training runs of "
        f"one kind {'each have their own' if plan.redraw else 'share one'} split ({plan.split}); "
        f"pixels of the networks of the paper are normalized as {plan.normalization}.",
        name="comparison",
        table=comparison,
    )
    networks, confusion = list(plan.networks.values()), partial(_confusion, classified)
    if samples is not None:
        add_numbers(report, partial(_select, classified), plan, samples)
        add_people(report, samples, networks, partial(_select, classified), again)
    add_confusions(report, networks, confusion)
    for labels in plan.labels:
        for architecture in plan.networks.values():
            _add_confusion(report, classified, labels, architecture)
    _add_entropy(report, classified, plan)
    _add_calibration(report, classified, plan)
    _add_sizes(report, classified, plan)
    add_size_confusions(report, networks[:2], confusion, [str(size) for size in plan.sizes])
    _add_filters(report, classified, plan)
    add_filter_confusions(report, networks, confusion, WITHOUT)
    return report


def _compare(classified, plan):
    """Comparison with the published numbers, one row each."""
    paper = read_data("wei2020")
    architectures = {
        name: plan.networks.get(recipe)
        for name, recipe in (("resnet18", "wei2020"), ("vgg19_bn", "wei2020-vgg19"))
    }
    parts = {"validation": "validation", "new-galaxy": "new galaxy"}
    rows = []
    for row in paper:
        ours = _confusion(
            classified,
            part=parts[row["tested_on"]],
            labels=row["labels"],
            architecture=architectures[row["network"]],
        )
        if ours is None:  # not in this reproduction
            rows.append((np.nan, np.nan, 0, 0, np.nan))
            continue
        of_class = ours[ours["class"] == row["true_class"]][0]
        given = f"class_{row['given_class']}"
        std = row["std"] if row["std"] is not np.ma.masked else np.nan
        error = np.hypot(std, of_class[f"{given}_std"])
        columns = (given, f"{given}_std", "total", "runs")
        rows.append((*(of_class[name] for name in columns), error))
    ours, ours_std, total, runs, error = np.array(rows).T
    table = paper.copy()
    table.rename_columns(("percent", "std", "total"), ("paper", "paper_std", "paper_total"))
    table["ours"], table["ours_std"], table["ours_total"] = ours, ours_std, total
    table["ours_runs"] = runs.astype(int)
    with np.errstate(divide="ignore", invalid="ignore"):
        table["difference"] = (ours - table["paper"]) / error
    totals = [
        "paper_total",
        "ours_total",
        "ours_runs",
    ]  # last, so that the numbers are side by side
    return table[[name for name in table.colnames if name not in totals] + totals]


def _add_confusion(report, classified, labels, architecture):
    for part in ("validation", "new galaxy"):
        confusion = _confusion(classified, part=part, labels=labels, architecture=architecture)
        report.add(
            f"Confusion: {architecture}, labels {labels}, {part}",
            "Mean and standard deviation over the training runs, in percent (Tables 4 to 7, Figs 3 "
            "and 4).",
            name=f"confusion_{labels}_{architecture}_{part.replace(' ', '-')}".replace("/", "-"),
            table=confusion,
        )
    rows = _select(classified, part="validation", labels=labels, architecture=architecture)
    report.add(
        f"Scores: {architecture}, labels {labels}, validation",
        "Fractions: mean and standard deviation over the training runs.",
        name=f"scores_{labels}_{architecture}".replace("/", "-"),
        table=scores_of_experiment(rows),
        form=None,
    )


def _probabilities(table):
    return np.column_stack([table[f"prob_{number}"] for number in LEGUS_CLASSES.numbers])


def _select(classified, *, part, labels, architecture, size="50"):
    """Rows of the runs of one experiment."""
    chosen = {"part": part, "labels": labels, "architecture": architecture, "size": size}
    rows = np.ones(len(classified), bool)
    for name, value in chosen.items():
        rows &= classified[name] == value
    return classified[rows]


def _add_entropy(report, classified, plan):
    for architecture in plan.networks.values():
        labels = plan.labels_for("bcw")
        table = _select(classified, part="new galaxy", labels=labels, architecture=architecture)
        distribution = entropy_distribution(entr(_probabilities(table)).sum(axis=1))
        report.add(
            f"Entropy: {architecture}, labels {labels}, new galaxy",
            f"Mean {distribution.meta['MEAN']:.2f} nats of at most 1.39 (Fig. 5).",
            name=f"entropy_{architecture}".replace("/", "-"),
            table=distribution,
            form=".3f",
            figure=plot_entropy(distribution).figure,
        )


def _add_calibration(report, classified, plan):
    labels = plan.labels_for("consensus")
    for architecture in plan.networks.values():
        table = _select(classified, part="validation", labels=labels, architecture=architecture)
        curve = calibration_curve(table["label"], _probabilities(table))
        report.add(
            f"Calibration: {architecture}, labels {labels}, validation",
            "Fraction of correct classes against probability (not in the paper).",
            name=f"calibration_{architecture}".replace("/", "-"),
            table=curve,
            form=".3f",
            figure=plot_calibration(curve).figure,
        )


def _add_sizes(report, classified, plan):
    rows, labels = [], plan.labels_for("consensus")
    architectures = [one for name, one in plan.networks.items() if name != "native"]
    if not architectures:
        return
    for architecture in architectures:
        for size in map(str, plan.sizes):
            confusion = _confusion(
                classified,
                part="validation",
                size=size,
                labels=labels,
                architecture=architecture,
            )
            for row in confusion:
                given = f"class_{row['class']}"
                values = (row["class"], row[given], row[f"{given}_std"])
                rows.append((architecture, size, *values))
    names = ("architecture", "size", "class", "percent", "std")
    table = Table(rows=rows, names=names)
    report.add(
        "Size of the stamps",
        "Recall of each class in percent for stamps of 25, 50 and 100 pixels and of random size "
        f"(Fig. 6; labels {labels}, validation). The paper finds no significant differences.",
        name="sizes",
        table=table,
        figure=_plot_sizes(table),
    )


def _plot_sizes(table):
    architectures = list(dict.fromkeys(table["architecture"]))
    figure = Figure(figsize=(4.5 * len(architectures), 3.5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(architectures), sharey=True))
    for ax, architecture in zip(axes, architectures, strict=True):
        own = table[table["architecture"] == architecture]
        for number in LEGUS_CLASSES.numbers:
            rows = own[own["class"] == number]
            ax.errorbar(
                rows["size"],
                rows["percent"],
                rows["std"],
                label=f"class {number}",
                color=LEGUS_CLASSES.colors[number],
                marker="o",
                capsize=3,
            )
        ax.set(title=architecture, xlabel="width of the stamps (pixels)", ylim=(0, 100))
    axes[0].set(ylabel="recall (percent)")
    axes[-1].legend(frameon=False)
    return figure


def _add_filters(report, classified, plan):
    rows, labels = [], plan.labels_for("bcw")
    text = (
        "Change of the accuracy in points if one band is set to zero: mean and standard deviation "
        "over the training runs (Fig. 7; in the paper the loss is largest for V)."
    )
    for architecture in plan.networks.values():
        experiment = {"labels": labels, "architecture": architecture}
        changes = band_changes(
            _select(classified, part="new galaxy", **experiment),
            {
                band: _select(classified, part=WITHOUT[band], **experiment)
                for band in LEGUS_BANDS.roles
            },
        )
        for band, table in changes.items():
            rows.append({"architecture": architecture, "without": band} | change_row(table))
        text += f" {architecture}: {most_needed(changes)[1]}."
    table = Table(rows=rows)
    report.add(
        "Importance of each filter",
        text,
        name="filters",
        table=table,
        figure=_plot_filters(table),
    )


def _plot_filters(table):
    architectures = list(dict.fromkeys(table["architecture"]))
    figure = Figure(figsize=(4 * len(architectures), 3.5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(architectures), sharey=True))
    for ax, architecture in zip(axes, architectures, strict=True):
        own = table[table["architecture"] == architecture]
        ax.bar(
            own["without"],
            own["change"],
            yerr=np.nan_to_num(own["change_std"]),
            capsize=3,
            color="#0072B2",
        )
        ax.axhline(0, color="0.4", lw=0.8)
        ax.set(title=architecture, xlabel="excluded band")
    axes[0].set(ylabel="change of accuracy (points)")
    return figure


def _describe_new(new_galaxy):
    """Text on the difference between the new galaxy and that of the paper."""
    if plain_name(new_galaxy) == "ngc1559":
        return (
            "NGC 1559 has the human classes of PHANGS-CAT (1 to 3 of data release 5, and "
            "candidates of data release 4 with artifact codes), a later catalog than the paper's."
        )
    return f"{new_galaxy} replaces NGC 1559, the new galaxy of the paper."


def add_data(report, samples, new, new_galaxy, weights, seconds):
    """Add data and settings to a report: numbers of stamps, weights, computer and time.

    Parameters
    ----------
    report : `~astroclust.reports.Report`
        The report.
    samples : dict of str to `~astroclust.stamps.Stamps`
        Samples by their labels.
    new : `~astroclust.stamps.Stamps`
        Stamps of the new galaxy.
    new_galaxy : str
        Name of the new galaxy.
    weights : str or None
        Initial weights of the networks.
    seconds : float
        Duration of the reproduction.
    """
    report.add(
        "Data and settings",
        f"{_describe_new(new_galaxy)} "
        "The networks of the paper start from "
        + ("the weights of ImageNet." if weights is None else f"weights: {weights}."),
    )
    add_totals(report, {**samples, "new galaxy": new})
    report.add(
        "Computer",
        "Minutes refer to this call only, without earlier ones that it resumed.",
        name="machine",
        table=describe_machine(seconds),
    )
