# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Figures of samples: the concentration index and its cut, completeness."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from astroclust.instruments import LEGUS_CLASSES

__all__ = ["plot_ci_calibration", "plot_completeness"]

# Blue of the same palette as the classes.
_STAR_COLOR = "#0072B2"


def plot_ci_calibration(calibration, *, ax=None):
    """Draw the concentration indices of stars and clusters, and the cut between them.

    Parameters
    ----------
    calibration : `~astroclust.photometry.CICalibration`
        As `~astroclust.photometry.calibrate_ci` returns it.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        With a histogram of each in bins of 0.03 mag, those far from the cut in the first and the
        last bin, a line at the cut and one at the locus of the stars.

    Examples
    --------
    A row of stars, and one of clusters twice as wide:

    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from astroclust.photometry import calibrate_ci
    >>> from astroclust.plotting import plot_ci_calibration
    >>> y, x = np.mgrid[:80, :200]
    >>> image = np.zeros((80, 200))
    >>> for center in range(20, 200, 30):
    ...     image += np.exp(-((x - center) ** 2 + (y - 20) ** 2) / 2)
    ...     image += np.exp(-((x - center) ** 2 + (y - 60) ** 2) / 8)
    >>> stars, clusters = (Table({"x": np.arange(20, 200, 30), "y": [row] * 6}) for row in (20, 60))
    >>> calibration = calibrate_ci({"F555W": image}, stars=stars, clusters=clusters)
    >>> ax = plot_ci_calibration(calibration)
    >>> ax.figure.savefig("cut.png")
    """
    if ax is None:
        ax = Figure(figsize=(7, 4.5), layout="constrained").subplots()
    stars, clusters = (np.asarray(t["ci"]) for t in (calibration.stars, calibration.clusters))
    # The cut is an edge, so that no bar lies on both sides of it.
    bins = calibration.cut + 0.03 * np.arange(-15, 41)
    cut, locus, scatter = calibration.cut, calibration.locus, calibration.scatter
    for index, color, label in (
        (stars, _STAR_COLOR, f"stars ({len(stars)}, {np.sum(stars >= cut)} above the cut)"),
        (
            clusters,
            LEGUS_CLASSES.colors[1],
            f"clusters ({len(clusters)}, {np.sum(clusters < cut)} below)",
        ),
    ):
        # Half a bin inside, where rounding cannot move a value out.
        inside = np.clip(index, bins[0] + 0.015, bins[-1] - 0.015)
        ax.hist(inside, bins, color=color, alpha=0.7, label=label)
    ax.axvline(locus, color="0.4", ls=":", label=f"locus {locus:.2f} $\\pm$ {scatter:.2f} mag")
    ax.axvline(cut, color="k", ls="--", label=f"cut {cut:.2f} mag")
    ax.set(xlim=bins[[0, -1]], xlabel="concentration index (mag)", ylabel="sources")
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False)
    return ax


def plot_completeness(table, *, ax=None):
    """Draw the fractions of artificial clusters that are found, selected and classified.

    Parameters
    ----------
    table : `~astropy.table.Table`
        As `~astroclust.injection.completeness` returns it.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        With two lines and their 68 per cent intervals for each radius against magnitude: dashed
        with open circles for the found, solid with full ones for the selected. With a classifier
        a third, dotted with squares, for those that are left after classification. A horizontal
        line is at one half.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.injection import ArtificialClusters, completeness
    >>> from astroclust.plotting import plot_completeness
    >>> field = simulate_field(shape=(200, 200), seed=1)
    >>> result = completeness(field.images, ArtificialClusters([20, 24], radii=[1, 2], n=2))
    >>> plot_completeness(result).figure.savefig("completeness.png")
    """
    if ax is None:
        ax = Figure(figsize=(7, 4.5), layout="constrained").subplots()
    radii = np.unique(table["radius"])
    unit = str(table["radius"].unit).replace("pix", "pixels")
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(radii)))
    # Rings that show around the dots where all that were found are selected.
    styles = {
        "found": {"ls": "--", "mfc": "w", "ms": 8, "marker": "o"},
        "selected": {"ls": "-", "ms": 4, "marker": "o"},
    }
    for name in table.colnames:
        if name.startswith("classified") and not name.endswith(("_low", "_high")):
            styles[name] = {"ls": ":", "ms": 7, "mfc": "none", "marker": "s"}
    handles = []
    for radius, color in zip(radii, colors, strict=True):
        rows = table[table["radius"] == radius]
        rows.sort("magnitude")
        for name, style in styles.items():
            share, low, high = (rows[name + end].data for end in ("", "_low", "_high"))
            ax.errorbar(
                rows["magnitude"].data,
                share,
                (share - low, high - share),
                color=color,
                capsize=2,
                **style,
            )
        handles.append(Line2D([], [], color=color, lw=3, label=f"{radius:g}"))
    handles += [
        Line2D([], [], color="0.3", label=_label(name), **style) for name, style in styles.items()
    ]
    ax.axhline(0.5, color="0.6", lw=0.8, zorder=0)
    ax.set(ylim=(-0.03, 1.03), xlabel="V (mag)", ylabel="fraction of artificial clusters")
    ax.legend(handles=handles, title=f"half-light radius ({unit})", frameon=False)
    return ax


def _label(name):
    """Fraction for the legend: ``classified_1_2`` are of class 1 or 2."""
    kind, *classes = name.split("_")
    return f"selected, class {' or '.join(classes)}" if classes else kind
