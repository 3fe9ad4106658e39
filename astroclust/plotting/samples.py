# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Figures of candidate selection: concentration index cut and completeness."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from astroclust.instruments import LEGUS_CLASSES

__all__ = ["plot_ci_calibration", "plot_completeness"]

# Blue from the palette of the classes.
_STAR_COLOR = "#0072B2"


def plot_ci_calibration(calibration, *, ax=None):
    """Plot the concentration indices of stars and clusters, and the cut between them.

    Parameters
    ----------
    calibration : `~astroclust.photometry.CICalibration`
        Result of `~astroclust.photometry.calibrate_ci`.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with a histogram of each in bins of 0.03 mag, with outliers in the first and last bin,
        and lines at the cut and at the stellar locus.

    Examples
    --------
    A row of stars, and a row of clusters twice as wide:

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
    # The cut is a bin edge, so that no bar crosses it.
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
        # Half a bin inside, so that rounding cannot exclude values.
        inside = np.clip(index, bins[0] + 0.015, bins[-1] - 0.015)
        ax.hist(inside, bins, color=color, alpha=0.7, label=label)
    ax.axvline(locus, color="0.4", ls=":", label=f"locus {locus:.2f} $\\pm$ {scatter:.2f} mag")
    ax.axvline(cut, color="k", ls="--", label=f"cut {cut:.2f} mag")
    ax.set(xlim=bins[[0, -1]], xlabel="concentration index (mag)", ylabel="sources")
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False)
    return ax


def plot_completeness(table, *, ax=None):
    """Plot the fractions of artificial clusters that are detected, selected and classified.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Result of `~astroclust.injection.completeness`.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with two lines and their 68 percent intervals per radius against magnitude: dashed
        with open circles for detected clusters, solid with filled circles for selected ones. With
        a classifier, a dotted line with squares shows those that remain after classification. A
        horizontal line marks one half.

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
    # Rings remain visible around the dots if all detected clusters are selected.
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
            fraction, low, high = (rows[name + end].data for end in ("", "_low", "_high"))
            ax.errorbar(
                rows["magnitude"].data,
                fraction,
                (fraction - low, high - fraction),
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
    """Legend label of a fraction: ``classified_1_2`` is class 1 or 2."""
    kind, *classes = name.split("_")
    return f"selected, class {' or '.join(classes)}" if classes else kind
