# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Figures of source detection: completeness, purity and deblending."""

from itertools import cycle

import numpy as np
from matplotlib.figure import Figure

from astroclust.plotting.fractions import draw_fraction

__all__ = ["plot_deblending", "plot_detection", "plot_precision_recall"]

# Colors safe for color-blind readers (Okabe & Ito 2008), and markers, per method.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"
# Fraction of a bin by which methods are offset, so that their error bars do not overlap.
_SHIFT = 0.12


def plot_detection(scores):
    """Plot completeness and purity against magnitude for one or more methods.

    Parameters
    ----------
    scores : dict of str to `~astroclust.evaluation.DetectionScores`
        Scores by the name of the method.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Completeness against true magnitude (left) and purity against measured magnitude (right),
        with 68 % intervals. Bins without sources have no point. If truth is only complete to a
        limit, it is marked by a line in the purity panel.

    Raises
    ------
    ValueError
        If there are no scores, or none against magnitude.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.evaluation import detection_scores
    >>> from astroclust.plotting import plot_detection
    >>> truth = Table({"x": [10.0, 40.0], "y": [10.0, 10.0], "mag_v": [21.0, 24.0]})
    >>> scores = detection_scores(truth[:1], truth)
    >>> plot_detection({"a method": scores}).savefig("detection.png")
    """
    if not any(len(one.by_magnitude) for one in scores.values()):
        raise ValueError("no scores against magnitude; use truth with magnitudes")
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for number, (name, one, color, marker) in enumerate(_styles(scores)):
        table = one.by_magnitude
        width = np.asarray(table["high"] - table["low"])
        shift = _SHIFT * (number - (len(scores) - 1) / 2)
        style = {"color": color, "marker": marker, "label": name}
        for ax, kind in zip(axes, ("completeness", "purity"), strict=True):
            draw_fraction(ax, table["low"] + width * (0.5 + shift), table, kind, **style)
    for limit in {one.limit for one in scores.values()} - {None}:
        axes[1].axvline(limit, color="0.5", ls="--", lw=1, zorder=0)
    axes[0].set(ylim=(-0.03, 1.03), xlabel="true magnitude", ylabel="completeness")
    axes[1].set(xlabel="measured magnitude", ylabel="purity")
    axes[1].tick_params(labelleft=True)
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=4, frameon=False)
    return figure


def _styles(scores):
    return [(*item, *style) for item, style in zip(scores.items(), _cycled(), strict=False)]


def _cycled():
    return zip(cycle(_COLORS), cycle(_MARKERS), strict=True)


def plot_precision_recall(scores, *, ax=None):
    """Plot precision-recall curves for one or more methods.

    Parameters
    ----------
    scores : dict of str to `~astroclust.evaluation.DetectionScores`
        Scores by the name of the method.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with one line per method, and its average precision in the legend. Methods without a
        score are shown as one point.

    Raises
    ------
    ValueError
        If there are no scores.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.evaluation import detection_scores
    >>> from astroclust.plotting import plot_precision_recall
    >>> truth = Table({"x": [10.0, 40.0], "y": [10.0, 10.0]})
    >>> found = Table({"x": [10.4, 80.0], "y": [10.0, 30.0], "probability": [0.9, 0.6]})
    >>> scores = detection_scores(found, truth, score="probability")
    >>> ax = plot_precision_recall({"a method": scores, "no score": detection_scores(found, truth)})
    >>> ax.figure.savefig("precision-recall.png")
    """
    if not scores:
        raise ValueError("no scores to plot; pass those of at least one method")
    if ax is None:
        ax = Figure(figsize=(5.5, 5), layout="constrained").subplots()
    for name, one, color, marker in _styles(scores):
        if not len(one.curve):
            style = {"ls": "none", "marker": marker, "color": color, "label": name}
            ax.plot(one.completeness, one.purity, **style)
            continue
        areas = one.average_precision
        known = areas["average_precision"][areas["radius"].quantity == one.radius]
        label = f"{name} (average precision {known[0]:.2f})" if len(known) else name
        ax.plot(one.curve["completeness"], one.curve["purity"], color=color, label=label)
    ax.set(
        xlim=(0, 1.01),
        ylim=(0, 1.01),
        aspect="equal",
        xlabel="recall (completeness)",
        ylabel="precision (purity)",
    )
    ax.legend(loc="lower left", frameon=False)
    return ax


def plot_deblending(scores, *, ax=None):
    """Plot the fraction of resolved pairs of true sources.

    Parameters
    ----------
    scores : `~astroclust.evaluation.DetectionScores`
        Scores of one method.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with one cell per bin of separation and flux ratio, labeled with the percentage of
        pairs with both sources detected and the number of pairs. Cells without pairs are empty.

    Raises
    ------
    ValueError
        If there are no pairs.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.evaluation import detection_scores
    >>> from astroclust.plotting import plot_deblending
    >>> truth = Table({"x": [10.0, 14.0], "y": [10.0, 10.0], "mag_v": [21.0, 22.0]})
    >>> plot_deblending(detection_scores(truth, truth)).figure.savefig("pairs.png")
    """
    pairs = scores.pairs
    if not np.any(pairs["n"]):
        raise ValueError(
            "truth has no pairs with magnitudes within the largest separation; pass larger "
            "separations to detection_scores"
        )
    if ax is None:
        ax = Figure(figsize=(7, 4), layout="constrained").subplots()
    separations, ratios = (
        [_range(*edges) for edges in np.unique(pairs[f"{name}_low", f"{name}_high"]).tolist()]
        for name in ("separation", "ratio")
    )
    shape = len(separations), len(ratios)
    percent = 100 * np.asarray(pairs["recovered"]).reshape(shape).T
    numbers = np.asarray(pairs["n"]).reshape(shape).T
    image = ax.imshow(percent, cmap="cividis", vmin=0, vmax=100, origin="lower", aspect="auto")
    for (row, column), n in np.ndenumerate(numbers):
        if n:
            value = percent[row, column]
            text, color = f"{value:.0f}\n({n})", "black" if value > 55 else "white"
            ax.text(column, row, text, ha="center", va="center", color=color)
    ax.set_xticks(range(len(separations)), separations)
    ax.set_yticks(range(len(ratios)), ratios)
    unit = str(scores.radius.unit).replace("pix", "pixels")
    ax.set(xlabel=f"separation ({unit})", ylabel="flux ratio")
    ax.figure.colorbar(image, ax=ax, label="both detected (percent)")
    return ax


def _range(low, high):
    return f"{low:g}\N{EN DASH}{high:g}" if np.isfinite(high) else f"> {low:g}"
