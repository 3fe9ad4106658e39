# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Figures of classifiers: how they learnt, what they confuse, what their probabilities mean."""

from pathlib import Path

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure

from astroclust.files import reading
from astroclust.instruments import LEGUS_CLASSES

__all__ = ["plot_calibration", "plot_confusion", "plot_entropy", "plot_learning_curve"]

# Blue of the same palette as the classes.
_LINE_COLOR = "#0072B2"


def plot_learning_curve(log, *, ax=None):
    """Draw how a training went.

    Parameters
    ----------
    log : str or `~pathlib.Path`
        The ``metrics.csv`` that a training leaves in its folder.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        With the loss of the stamps learnt from and of those set aside, after each epoch; and, on
        an axis at the right, the accuracy of the latter.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where no epoch is in it.

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
        raise FileNotFoundError(f"there is no log {log}: train with a folder, which keeps it")
    with reading(log, remedy="train again, or name another log"):
        table = Table.read(log, format="ascii.csv")
    if "loss" not in table.colnames:
        raise ValueError(f"{log} has no loss of any epoch: it is not the log of a training")
    if ax is None:
        ax = Figure(figsize=(7, 4.5), layout="constrained").subplots()
    right = ax.twinx()
    for axis, name, label, style in (
        (ax, "loss", "loss, learnt from", {"color": "0.5"}),
        (ax, "validation_loss", "loss, set aside", {"color": _LINE_COLOR}),
        (
            right,
            "accuracy",
            "accuracy, set aside (right)",
            {"color": LEGUS_CLASSES.colors[1], "ls": "--"},
        ),
    ):
        rows = table[~np.ma.getmaskarray(table[name])] if name in table.colnames else []
        if len(rows):
            # Lightning counts epochs from 0, and writes them when they are over.
            axis.plot(rows["epoch"] + 1, rows[name], marker=".", label=label, **style)
    ax.set(xlabel="epoch", ylabel="cross-entropy (nats)")
    ax.xaxis.get_major_locator().set_params(integer=True)
    right.set(ylabel="accuracy", ylim=(0, 1))
    handles = [line for axis in (ax, right) for line in axis.get_lines()]
    ax.legend(handles=handles, frameon=False)
    return ax


def plot_calibration(curve, *, ax=None):
    """Draw how often classes are right against how probable they were said to be.

    Parameters
    ----------
    curve : `~astropy.table.Table`
        As `~astroclust.evaluation.calibration_curve` returns it.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        With a point a bin, its standard error, and the line where both are equal.

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
    share = np.asarray(rows["accuracy"])
    error = np.sqrt(share * (1 - share) / np.asarray(rows["total"]))
    ax.plot([0, 1], [0, 1], color="0.6", lw=0.8)
    ax.errorbar(rows["probability"], share, error, color=_LINE_COLOR, marker="o", capsize=2)
    ax.set(
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
        xlabel="mean probability of the class",
        ylabel="share that is right",
        title=f"expected calibration error {curve.meta['ECE']:.3f}",
    )
    return ax


def plot_confusion(confusion, *, ax=None):
    """Draw a confusion matrix as Wei et al. (2020, Figs 3 and 4) do: a row a true class.

    Parameters
    ----------
    confusion : `~astropy.table.Table`
        As `~astroclust.evaluation.mean_confusion` or `~astroclust.evaluation.confusion_matrix`
        returns it.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        With the percentage of each true class that was given each class, and its standard
        deviation over trainings where there is one.

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
    percent = np.column_stack([confusion[f"class_{given}"] for given in classes]).astype(float)
    if f"class_{classes[0]}_std" in confusion.colnames:
        scatter = np.column_stack([confusion[f"class_{given}_std"] for given in classes])
    else:
        scatter = np.full_like(percent, np.nan)
        with np.errstate(invalid="ignore"):
            percent = 100 * percent / np.asarray(confusion["total"])[:, None]
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
    ax.set(xlabel="class given", ylabel="true class (objects)", title="percent of the true class")
    return ax


def plot_entropy(distribution, *, ax=None):
    """Draw how sure a network is, as Wei et al. (2020, Fig. 5) do.

    Parameters
    ----------
    distribution : `~astropy.table.Table`
        As `~astroclust.evaluation.entropy_distribution` returns it.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        With a histogram whose area is one.

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
