# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Figures of classifiers: learning curve, confusion matrix, calibration and other scores."""

from pathlib import Path

import matplotlib
import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure

from astroclust.catalogs import float_column
from astroclust.evaluation import accuracy_against
from astroclust.files import reading
from astroclust.instruments import LEGUS_CLASSES, classes_of
from astroclust.plotting.fractions import draw_fraction

__all__ = [
    "plot_agreement",
    "plot_calibration",
    "plot_class_distributions",
    "plot_confusion",
    "plot_confusion_panels",
    "plot_damage",
    "plot_entropy",
    "plot_learning_curve",
]

# Blue from the palette of the classes.
_LINE_COLOR = "#0072B2"
_LINE_STYLES = ("-", "--", ":", "-.")


def plot_learning_curve(log, *, ax=None):
    """Plot the learning curve of a training run.

    Parameters
    ----------
    log : str or `~pathlib.Path`
        The ``metrics.csv`` in the folder of the training run.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with the training and validation loss after each epoch and, on the right axis, the
        validation accuracy.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If it contains no epochs.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.plotting import plot_learning_curve
    >>> log = Table({"epoch": [0, 1], "loss": [1.2, 0.9], "validation_loss": [1.3, 1.1]})
    >>> log["accuracy"] = [0.4, 0.6]
    >>> log.write("metrics.csv")
    >>> plot_learning_curve("metrics.csv").figure.savefig("learning.png")
    """
    if not Path(log).exists():
        raise FileNotFoundError(f"the log {log} does not exist; train with folder= to write one")
    with reading(log, remedy="train again, or choose another log"):
        table = Table.read(log, format="ascii.csv")
    if "loss" not in table.colnames:
        raise ValueError(f"{log} is not a training log, as it has no losses")
    if ax is None:
        ax = Figure(figsize=(7, 4.5), layout="constrained").subplots()
    right = ax.twinx()
    for axis, name, label, style in (
        (ax, "loss", "training loss", {"color": "0.5"}),
        (ax, "validation_loss", "validation loss", {"color": _LINE_COLOR}),
        (
            right,
            "accuracy",
            "validation accuracy (right)",
            {"color": LEGUS_CLASSES.colors[1], "ls": "--"},
        ),
    ):
        rows = table[~np.ma.getmaskarray(table[name])] if name in table.colnames else []
        if len(rows):
            # Lightning counts epochs from 0, and logs them at their end.
            axis.plot(rows["epoch"] + 1, rows[name], marker=".", label=label, **style)
    ax.set(xlabel="epoch", ylabel="cross-entropy (nats)")
    ax.xaxis.get_major_locator().set_params(integer=True)
    right.set(ylabel="accuracy", ylim=(0, 1))
    handles = [line for axis in (ax, right) for line in axis.get_lines()]
    ax.legend(handles=handles, frameon=False)
    return ax


def plot_calibration(curve, *, ax=None):
    """Plot a calibration curve: accuracy against predicted probability.

    Parameters
    ----------
    curve : `~astropy.table.Table`
        Result of `~astroclust.evaluation.calibration_curve`.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with one point per bin, its standard error, and the line of equality.

    Examples
    --------
    >>> from astroclust.evaluation import calibration_curve
    >>> from astroclust.plotting import plot_calibration
    >>> curve = calibration_curve([1, 1], [[0.7, 0.1, 0.1, 0.1], [0.3, 0.5, 0.1, 0.1]])
    >>> plot_calibration(curve).figure.savefig("calibration.png")
    """
    if ax is None:
        ax = Figure(figsize=(5, 5), layout="constrained").subplots()
    rows = curve[np.asarray(curve["total"]) > 0]
    accuracy = np.asarray(rows["accuracy"])
    error = np.sqrt(accuracy * (1 - accuracy) / np.asarray(rows["total"]))
    ax.plot([0, 1], [0, 1], color="0.6", lw=0.8)
    ax.errorbar(rows["probability"], accuracy, error, color=_LINE_COLOR, marker="o", capsize=2)
    ax.set(
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
        xlabel="mean probability of the class",
        ylabel="fraction of correct classes",
        title=f"expected calibration error {curve.meta['ECE']:.3f}",
    )
    return ax


def plot_confusion(confusion, *, ax=None):
    """Plot a confusion matrix with one row per true class, as in Wei et al. (2020, Figs 3 and 4).

    Parameters
    ----------
    confusion : `~astropy.table.Table`
        Result of `~astroclust.evaluation.mean_confusion` or
        `~astroclust.evaluation.confusion_matrix`.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with the percentage of each true class assigned to each class, and its standard
        deviation over training runs, if available.

    Examples
    --------
    >>> from astroclust.evaluation import confusion_matrix
    >>> from astroclust.plotting import plot_confusion
    >>> ax = plot_confusion(confusion_matrix([1, 1, 2, 4], [1, 2, 2, 4]))
    >>> ax.figure.savefig("confusion.png")
    """
    if ax is None:
        ax = Figure(figsize=(5, 4.5), layout="constrained").subplots()
    classes = confusion["class"].tolist()
    percent, scatter = _percent(confusion)
    ax.imshow(percent, cmap="cividis", vmin=0, vmax=100)
    for (row, column), value in np.ndenumerate(percent):
        spread = scatter[row, column]
        text = "-" if np.isnan(value) else f"{value:.0f}"
        text += "" if np.isnan(spread) else f"\n$\\pm${spread:.0f}"
        color = "black" if value > 55 else "white"
        ax.text(column, row, text, ha="center", va="center", color=color)
    ax.set_xticks(range(len(classes)), classes)
    ax.set_yticks(
        range(len(classes)),
        [
            f"{number} ({total:.0f})"
            for number, total in zip(classes, confusion["total"], strict=True)
        ],
    )
    ax.set(
        xlabel="assigned class", ylabel="true class (objects)", title="percent of the true class"
    )
    return ax


def _percent(confusion):
    """Percent of each true class assigned to each class, and its scatter over runs, or NaN."""
    names = [f"class_{given}" for given in confusion["class"]]
    percent = np.column_stack([confusion[name] for name in names]).astype(float)
    if f"{names[0]}_std" in confusion.colnames:
        return percent, np.column_stack([confusion[f"{name}_std"] for name in names])
    with np.errstate(invalid="ignore"):
        percent = 100 * percent / np.asarray(confusion["total"])[:, None]
    return percent, np.full_like(percent, np.nan)


def plot_confusion_panels(confusions):
    """Plot confusion matrices side by side, as in Wei et al. (2020, Figs 3, 4, 6 and 7).

    Colors show percentages of the true class, unlike those in the paper, which show numbers of
    objects; these are stated next to the classes here.

    Parameters
    ----------
    confusions : dict of str to dict of str to `~astropy.table.Table`
        Rows of panels by title; each contains matrices, as for `plot_confusion`, by column title.
        Panels of matrices that are None or missing are empty.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Figure with one axes per matrix.

    Raises
    ------
    ValueError
        If there are no matrices.

    Examples
    --------
    >>> from astroclust.evaluation import confusion_matrix
    >>> from astroclust.plotting import plot_confusion_panels
    >>> one = confusion_matrix([1, 1, 2, 4], [1, 2, 2, 4])
    >>> other = confusion_matrix([1, 1, 2, 4], [1, 1, 2, 4])
    >>> figure = plot_confusion_panels({"25 pixels": {"mine": one}, "50 pixels": {"mine": other}})
    >>> figure.savefig("sizes.png")
    """
    columns = list(dict.fromkeys(name for row in confusions.values() for name in row))
    known = [one for row in confusions.values() for one in row.values() if one is not None]
    if not known:
        raise ValueError("no confusion matrices to plot")
    shape = len(confusions), len(columns)
    figure = Figure(figsize=(0.8 + 3.2 * shape[1], 0.4 + 3.2 * shape[0]), layout="constrained")
    axes = figure.subplots(*shape, squeeze=False)
    for i, (title, matrices) in enumerate(confusions.items()):
        for j, column in enumerate(columns):
            if matrices.get(column) is None:
                axes[i, j].set_axis_off()
            else:
                plot_confusion(matrices[column], ax=axes[i, j])
            axes[i, j].set_title("" if i else column)
            axes[i, j].set_ylabel("" if j else "true class (objects)")
            axes[i, j].set_xlabel("assigned class" if i == shape[0] - 1 else "")
        axes[i, 0].annotate(
            title,
            (-0.42, 0.5),
            xycoords="axes fraction",
            rotation=90,
            ha="right",
            va="center",
            weight="bold",
        )
    figure.suptitle("percent of the true class", fontsize="medium")
    return figure


def plot_class_distributions(confusions, *, agreement=None):
    """Plot the predicted classes of each true class, as in Wei et al. (2020, Fig. 2).

    Parameters
    ----------
    confusions : dict of str to `~astropy.table.Table`
        Matrices, as for `plot_confusion`, by name, all with the same classes.
    agreement : dict of str to dict of int to float, optional
        Percentage of correct classes per true class, by name, for classifications without a matrix.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        One panel per true class, with one bar per predicted class and matrix, in percent of the
        true class, and one line per known agreement.

    Raises
    ------
    ValueError
        If there are no matrices, or their classes differ.

    Examples
    --------
    >>> from astroclust.evaluation import confusion_matrix
    >>> from astroclust.plotting import plot_class_distributions
    >>> mine = confusion_matrix([1, 1, 2, 3, 4], [1, 2, 2, 4, 4])
    >>> figure = plot_class_distributions({"mine": mine}, agreement={"people": {1: 66.0, 4: 61.0}})
    >>> figure.savefig("agreement.png")
    """
    matrices = list(confusions.values())
    if not matrices:
        raise ValueError("no confusion matrices to plot")
    classes = matrices[0]["class"].tolist()
    if any(matrix["class"].tolist() != classes for matrix in matrices):
        raise ValueError("the confusion matrices have different classes; plot them separately")
    figure = Figure(figsize=(7, 1.9 * len(classes)), layout="constrained")
    axes = figure.subplots(len(classes), 1, sharex=True, squeeze=False)[:, 0]
    percents = {name: _percent(matrix)[0] for name, matrix in confusions.items()}
    width = 0.8 / len(matrices)
    colors = matplotlib.colormaps["viridis"](np.linspace(0.15, 0.85, len(matrices)))
    for row, (ax, number) in enumerate(zip(axes, classes, strict=True)):
        for i, (name, percent) in enumerate(percents.items()):
            positions = np.arange(len(classes)) + (i + 0.5) * width - 0.4
            ax.bar(positions, np.nan_to_num(percent[row]), width, color=colors[i], label=name)
        for i, (name, known) in enumerate((agreement or {}).items()):
            style = {"color": "k", "ls": _LINE_STYLES[i % len(_LINE_STYLES)]}
            ax.hlines(known.get(number, np.nan), row - 0.45, row + 0.45, label=name, **style)
        ax.set(ylim=(0, 100), ylabel=f"class {number}\n(percent)")
    axes[-1].set_xticks(range(len(classes)), classes)
    axes[-1].set_xlabel("assigned class")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
    return figure


def plot_agreement(pairs, *, band="F555W", bins=8, ax=None):
    """Plot the agreement of the classes in two catalogs against magnitude.

    Parameters
    ----------
    pairs : `~astropy.table.Table`
        Result of `~astroclust.evaluation.agreement`, with the magnitudes ``mag_f555w`` ... of the
        first catalog.
    band : str, optional
        Filter of the magnitude.
    bins : int or array_like of float, optional
        Number of bins, with approximately equal numbers of objects, or their edges.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with the fraction that agrees, for all objects and for each class of the first catalog,
        with 68 % intervals. Horizontal bars show the bins. Objects without a magnitude are
        excluded.

    Raises
    ------
    KeyError
        If the magnitude column is missing.
    ValueError
        If no object has a magnitude.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.evaluation import agreement
    >>> from astroclust.plotting import plot_agreement
    >>> ours = Table({"id": [1, 2, 3], "class": [1, 2, 4], "mag_f555w": [21.0, 22.5, 24.0]})
    >>> theirs = Table({"id": [1, 2, 3], "class": [1, 1, 4]})
    >>> ax = plot_agreement(agreement(ours, theirs, match="id"), bins=[20, 22, 24])
    >>> ax.figure.savefig("agreement.png")
    """
    magnitudes = float_column(pairs, f"mag_{band.lower()}")
    if not np.isfinite(magnitudes).any():
        raise ValueError(f"no object has a magnitude in {band}; choose another band")
    if ax is None:
        ax = Figure(figsize=(7, 4.5), layout="constrained").subplots()
    trend = accuracy_against(magnitudes, pairs["class_a"], pairs["class_b"], bins=bins)
    edges = [*trend["low"], trend["high"][-1]]
    scheme = classes_of(pairs)
    for number, name in scheme.names.items():
        rows = pairs["class_a"] == number
        one = accuracy_against(
            magnitudes[rows], pairs["class_a"][rows], pairs["class_b"][rows], bins=edges
        )
        style = {"color": scheme.colors[number], "marker": scheme.markers[number], "lw": 0.8}
        _draw_trend(ax, one, label=f"{number} {name} ({one['total'].sum()})", **style)
    label, half = f"all ({trend['total'].sum()})", (trend["high"] - trend["low"]) / 2
    _draw_trend(ax, trend, label=label, color="black", marker="o", lw=2, xerr=half)
    ax.set(ylim=(-0.03, 1.03), xlabel=f"{band} (mag)", ylabel="fraction that agrees")
    ax.legend(frameon=False)
    return ax


def _draw_trend(ax, trend, **style):
    draw_fraction(ax, (trend["low"] + trend["high"]) / 2, trend, "accuracy", **style)


def plot_entropy(distribution, *, ax=None):
    """Plot the distribution of entropies, as in Wei et al. (2020, Fig. 5).

    Parameters
    ----------
    distribution : `~astropy.table.Table`
        Result of `~astroclust.evaluation.entropy_distribution`.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with a histogram of unit area.

    Examples
    --------
    >>> from astroclust.evaluation import entropy_distribution
    >>> from astroclust.plotting import plot_entropy
    >>> plot_entropy(entropy_distribution([0.1, 0.4, 1.2])).figure.savefig("entropy.png")
    """
    if ax is None:
        ax = Figure(figsize=(5.5, 4), layout="constrained").subplots()
    edges = [*distribution["low"], distribution["high"][-1]]
    ax.stairs(np.nan_to_num(distribution["density"]), edges, fill=True, color=_LINE_COLOR)
    ax.axvline(distribution.meta["MEAN"], color="black", ls="--", lw=1, label="mean")
    ax.set(xlabel="entropy (nats)", ylabel="normalized distribution", xlim=(0, edges[-1]))
    ax.legend(frameon=False)
    return ax


def plot_damage(*scores):
    """Plot accuracy against the fraction of missing pixels, one panel per kind of damage.

    Parameters
    ----------
    *scores : `~astropy.table.Table`
        Results of `~astroclust.training.score_damage`, one per classifier.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        One line per classifier, with 68 % errors. Classifiers are scored on the same damaged
        stamps, so their differences are more precise than their accuracies.

    Raises
    ------
    ValueError
        If there are no tables, or one has no rows.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.plotting import plot_damage
    >>> scores = Table({"kind": ["lines", "lines"], "fraction": [0.0, 0.5]})
    >>> scores["accuracy"], scores["accuracy_error"] = [0.6, 0.4], 0.01
    >>> plot_damage(scores).savefig("damage.png")
    """
    if not scores or not all(map(len, scores)):
        raise ValueError("no scores to plot; pass tables from score_damage")
    kinds = list(dict.fromkeys(kind for table in scores for kind in table["kind"]))
    figure = Figure(figsize=(3.2 * len(kinds) + 0.6, 3.4), layout="constrained")
    axes = figure.subplots(1, len(kinds), sharey=True, squeeze=False)[0]
    for ax, kind in zip(axes, kinds, strict=True):
        for number, table in enumerate(scores):
            rows = table[table["kind"] == kind]
            style = {"marker": "o", "capsize": 2, "ls": _LINE_STYLES[number % len(_LINE_STYLES)]}
            points = rows["fraction"], rows["accuracy"], rows["accuracy_error"]
            ax.errorbar(*points, label=table.meta.get("MODEL", number + 1), **style)
        ax.set(title=kind, xlabel="fraction of missing pixels", ylim=(0, 1))
    axes[0].set_ylabel("accuracy")
    axes[0].legend(frameon=False, fontsize="small", loc="lower left")
    return figure
