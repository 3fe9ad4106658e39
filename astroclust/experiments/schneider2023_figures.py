# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The figures of Schneider et al. (2023) for a reproduction."""

import numpy as np
from matplotlib.figure import Figure

from astroclust.experiments.pretraining_scores import peak_accuracies
from astroclust.experiments.schneider2023_numbers import STARTS, restricted
from astroclust.plotting import plot_confusion

__all__ = [
    "plot_class_accuracies",
    "plot_confusions",
    "plot_curves",
    "plot_differences",
    "plot_example",
    "plot_peaks",
]

_COLORS = dict(zip(STARTS, ("#0072B2", "#E69F00"), strict=True))
_BINS = 12


def _histogram(ax, values, label, *, color=_COLORS[STARTS[0]], title="", edges=None):
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    ax.hist(values, _edges(values) if edges is None else edges, color=color, ec="white", lw=0.5)
    ax.set(xlabel=label, ylabel="splits", title=title)
    ax.yaxis.get_major_locator().set_params(integer=True)


def _edges(values):
    """Edges of bins that span the values, over at least one point or epoch."""
    low, high = (values.min(), values.max()) if len(values) else (0.0, 1.0)
    margin = max(1 - (high - low), 0) / 2
    return np.linspace(low - margin, high + margin, _BINS + 1)


def plot_peaks(study):
    """Draw the peaks of the accuracy and their epochs for each start (Fig. 3).

    Parameters
    ----------
    study : `~astroclust.experiments.schneider2023_numbers.Study`
        The study.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Histograms over the splits.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    columns = figure.subplots(2, 2, sharex="col").T
    panels = (("accuracy", 100, "peak accuracy (percent)"), ("epoch", 1, "epoch of the peak"))
    for axes, (name, factor, label) in zip(columns, panels, strict=True):
        values = {start: factor * np.asarray(study.peaks(start)[name], float) for start in STARTS}
        edges = _edges(np.concatenate(list(values.values())))
        for ax, start in zip(axes, STARTS, strict=True):
            color = _COLORS[start]
            _histogram(ax, values[start], label, color=color, title=start, edges=edges)
        axes[0].set(xlabel="")
    return figure


def plot_differences(study):
    """Draw the gain from pretraining (Figs 4 and 5).

    Parameters
    ----------
    study : `~astroclust.experiments.schneider2023_numbers.Study`
        The study.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Histograms over the splits of the differences of the peak accuracy, after all epochs and
        after as many for both starts, and of the epoch of the peak within as many.
    """
    pretrained, scratch = (study.peaks(start) for start in STARTS)
    n = study.epochs(STARTS[0])
    equal = peak_accuracies(restricted(study.curves, STARTS[1], epochs=n))
    figure = Figure(figsize=(12, 3.5), layout="constrained")
    panels = (
        ("accuracy", scratch, "gain in peak accuracy (points)", "Fig. 4: all epochs", 100),
        ("epoch", equal, "difference of the epochs of the peaks", f"Fig. 4: {n} epochs each", 1),
        ("accuracy", equal, "gain in peak accuracy (points)", f"Fig. 5: {n} epochs each", 100),
    )
    for ax, (name, other, label, title, factor) in zip(figure.subplots(1, 3), panels, strict=True):
        values = factor * (np.asarray(pretrained[name]) - np.asarray(other[name], float))
        _histogram(ax, values, label, title=title)
        ax.axvline(0, color="black", lw=0.8)
    return figure


def plot_curves(study, first):
    """Draw the gain from the last epochs, and all learning curves (Fig. 6).

    Parameters
    ----------
    study : `~astroclust.experiments.schneider2023_numbers.Study`
        The study.
    first : sequence of int
        Two numbers of epochs to compare with all epochs.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Two histograms of the pretrained start, and a panel of curves for each start.
    """
    figure = Figure(figsize=(9, 6.5), layout="constrained")
    above, below = figure.subplots(2, 2)
    start = STARTS[0]
    peaks, n = study.peaks(start), study.epochs(start)
    for ax, number, panel in zip(above, first, "AB", strict=True):
        gain = 100 * (peaks["accuracy"] - study.peaks(start, within=number)["accuracy"])
        title = f"{panel}: {start}, {n} and {number} epochs"
        _histogram(ax, gain, "gain in peak accuracy (points)", title=title)
    low, high = 100 * study.curves["accuracy"].min(), 100 * study.curves["accuracy"].max()
    for ax, start, panel in zip(below, STARTS, "CD", strict=True):
        own = restricted(study.curves, start)
        for number in study.runs:
            run = own[own["run"] == number]
            ax.plot(run["epoch"], 100 * run["accuracy"], color=_COLORS[start], lw=0.6, alpha=0.6)
        means = own["epoch", "accuracy"].group_by("epoch").groups.aggregate(np.mean)
        ax.plot(means["epoch"], 100 * means["accuracy"], color="black", lw=1.5, label="mean")
        ax.set(xlabel="epoch", ylabel="test accuracy (percent)", title=f"{panel}: {start}")
        ax.set_ylim(low - 2, high + 2)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(frameon=False, loc="lower right")
    return figure


def plot_example(study):
    """Draw the accuracy and loss of one split on the training and the test set (Fig. 7).

    Parameters
    ----------
    study : `~astroclust.experiments.schneider2023_numbers.Study`
        The study.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        A column for each start.
    """
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots(2, 2, sharex="col", sharey="row")
    for column, start in zip(axes.T, STARTS, strict=True):
        own = restricted(study.curves, start)
        run = own[own["run"] == study.example]
        for ax, name, factor in zip(column, ("accuracy", "loss"), (100, 1), strict=True):
            ax.plot(run["epoch"], factor * run[name], color=_COLORS[start], label="test set")
            ax.plot(
                run["epoch"],
                factor * run[f"training_{name}"],
                color="0.5",
                ls="--",
                label="training set",
            )
            ax.xaxis.get_major_locator().set_params(integer=True)
        column[0].set(title=f"{start}, split {study.example}")
        column[1].set(xlabel="epoch")
    axes[0, 0].set(ylabel="accuracy (percent)")
    axes[1, 0].set(ylabel="cross-entropy (nats)")
    axes[0, 0].legend(frameon=False)
    return figure


def plot_class_accuracies(study, start):
    """Draw the accuracy by class of all training runs from a start (Figs 8 and 9).

    Parameters
    ----------
    study : `~astroclust.experiments.schneider2023_numbers.Study`
        The study.
    start : str
        One of the starts.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Histograms over the splits, one for each class.
    """
    figure = Figure(figsize=(3 * len(study.scheme), 3.2), layout="constrained")
    scores = study.scores[study.scores["start"] == start]
    axes = figure.subplots(1, len(study.scheme), sharey=True, squeeze=False)[0]
    for ax, (number, name) in zip(axes, study.scheme.names.items(), strict=True):
        recall = 100 * np.asarray(scores["recall"][scores["class"] == number])
        _histogram(ax, recall, "accuracy (percent)", color=_COLORS[start], title=name)
        if not np.isfinite(recall).any():
            ax.text(0.5, 0.5, "no objects", ha="center", transform=ax.transAxes)
    return figure


def plot_confusions(confusion, names):
    """Draw confusion matrices side by side: objects of one split, or means (Figs 10 and 11).

    Parameters
    ----------
    confusion : dict of str to `~astropy.table.Table`
        Confusion matrices by start, see `~astroclust.plotting.plot_confusion`.
    names : dict of int to str
        Names of the classes.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        One panel for each start.
    """
    figure = Figure(figsize=(6.5 * len(confusion), 5), layout="constrained")
    axes = figure.subplots(1, len(confusion), squeeze=False)[0]
    for ax, (start, matrix) in zip(axes, confusion.items(), strict=True):
        plot_confusion(matrix, ax=ax)
        shown = "percent of the true class"
        if "runs" not in matrix.colnames:
            shown = "objects"
            counts = np.column_stack([matrix[f"class_{number}"] for number in names])
            for text, count in zip(ax.texts, counts.flat, strict=True):
                text.set_text(f"{count}")
        ax.set_title(f"{start}: {shown}")
        ax.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names.values()])
        totals = [
            f"{name}\n({total:.0f})"
            for name, total in zip(names.values(), matrix["total"], strict=True)
        ]
        ax.set_yticks(range(len(names)), totals)
    return figure
