# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Figures: fields, galleries of stamps, cuts, completeness, learning and calibration."""

from pathlib import Path

import matplotlib
import numpy as np
from astropy.table import Table
from astropy.visualization import AsinhStretch, ManualInterval, make_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from astroclust.catalogs import CLASS_COLORS, CLASSES, pixel_positions
from astroclust.images import ImageSet
from astroclust.stamps import make_stamps

__all__ = [
    "color_image",
    "plot_calibration",
    "plot_ci_calibration",
    "plot_completeness",
    "plot_field",
    "plot_gallery",
    "plot_learning_curve",
]

# Blue of the same palette as the classes.
_STAR_COLOR = "#0072B2"
_MARKERS = {1: "o", 2: "s", 3: "^", 4: "D"}
# Which of red, green and blue shows a band (Wei et al. 2020, Fig. 1).
_CHANNELS = {"I": 0, "V": 1, "B": 1, "U": 2, "NUV": 2}


def color_image(data, bands, *, limits=(40.0, 99.7)):
    """Make a colour picture of several bands.

    Red is I, green the mean of V and B, blue that of U and NUV; a colour that has none of its
    bands is the mean of the others. Each is scaled by its own pixels.

    Parameters
    ----------
    data : array_like, shape (n_bands, ny, nx)
        The images; NaN is black.
    bands : sequence of str
        Their roles, of `~astroclust.images.BANDS`.
    limits : tuple of float, optional
        Percentiles of each colour that become black and white.

    Returns
    -------
    picture : `~numpy.ndarray` of uint8, shape (ny, nx, 3)
        Red, green and blue, on an asinh scale.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.plotting import color_image
    >>> color_image(np.zeros((1, 4, 6)), ["V"]).shape
    (4, 6, 3)
    """
    data = np.nan_to_num(np.asarray(data, np.float32))
    channels = np.array([_CHANNELS[band] for band in bands])
    layers = {i: data[channels == i].mean(axis=0) for i in sorted(set(channels.tolist()))}
    rest = np.mean(list(layers.values()), axis=0)
    scaled = []
    for i in range(3):
        layer = layers.get(i, rest)
        black, white = np.percentile(layer, limits)
        scaled.append((layer - black) / (white - black if white > black else 1))
    return make_rgb(*scaled, interval=ManualInterval(0, 1), stretch=AsinhStretch(0.08))


def plot_field(images, table, *, ax=None, column_prefix=""):
    """Draw a field in colour and mark the classes.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    table : `~astropy.table.Table`, length n
        Positions and a column ``class``.
    ax : `~matplotlib.axes.Axes`, optional
        Where to draw; by default in a new figure.
    column_prefix : str, optional
        That of the class column.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        With the picture and one set of markers a class; pixels count from 0, y goes up.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.plotting import plot_field
    >>> field = simulate_field(shape=(64, 64), seed=1, density=2e-3)
    >>> ax = plot_field(field.images, field.truth)
    >>> ax.figure.savefig("field.png")
    """
    images = images if isinstance(images, ImageSet) else ImageSet(images)
    if ax is None:
        ax = Figure(figsize=(9, 9), layout="constrained").subplots()
    data = np.array([np.asarray(band.data, np.float32) for band in images.values()])
    ax.imshow(color_image(data, images.roles), origin="lower", interpolation="nearest")
    x, y = pixel_positions(table, images.wcs)
    classes = np.ma.filled(np.ma.asarray(table[f"{column_prefix}class"]), 0)
    handles = []
    for number, name in CLASSES.items():
        rows = classes == number
        ax.scatter(
            x[rows],
            y[rows],
            s=90,
            marker=_MARKERS[number],
            facecolors="none",
            edgecolors=CLASS_COLORS[number],
            linewidths=1.3,
        )
        label = f"{number} {name} ({np.count_nonzero(rows)})"
        handles.append(
            Line2D([], [], ls="", marker=_MARKERS[number], mfc="none", mew=1.5, ms=9, label=label)
        )
        handles[-1].set_markeredgecolor(CLASS_COLORS[number])
    ny, nx = images.shape
    ax.set(xlim=(-0.5, nx - 0.5), ylim=(-0.5, ny - 0.5), xlabel="x (pixels)", ylabel="y (pixels)")
    ax.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False
    )
    return ax


def plot_gallery(table, images, *, per_class=8, size=50, column_prefix=""):
    """Draw the most and the least certain stamps of each class.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Classified candidates.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    per_class : int, optional
        Stamps a class: the surest, falling evenly to the least sure.
    size : int, optional
        Width of a stamp in pixels.
    column_prefix : str, optional
        That of the class columns.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        A row a class; above each stamp its probability p and entropy S.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import classify_table, simulate_field
    >>> from astroclust.plotting import plot_gallery
    >>> field = simulate_field(shape=(128, 128), seed=1)
    >>> result = classify_table(Table({"x": [50.0, 80.0], "y": [60.0, 70.0]}), field.images)
    >>> plot_gallery(result, field.images).savefig("gallery.png")
    """
    images = images if isinstance(images, ImageSet) else ImageSet(images)
    classes = np.ma.filled(np.ma.asarray(table[f"{column_prefix}class"]), 0)
    probability = np.asarray(table[f"{column_prefix}probability"])
    entropy = np.asarray(table[f"{column_prefix}entropy"])
    figure = Figure(figsize=(1.45 * per_class, 1.9 * len(CLASSES)), layout="constrained")
    axes = figure.subplots(len(CLASSES), per_class, squeeze=False)
    for row, (number, name) in zip(axes, CLASSES.items(), strict=True):
        members = np.flatnonzero(classes == number)
        members = members[np.argsort(-probability[members], kind="stable")]
        if len(members) > per_class:
            members = members[np.linspace(0, len(members) - 1, per_class).astype(int)]
        stamps = make_stamps(table[members], images, size=size, bands=images.roles)
        row[0].set_ylabel(
            f"{number}\n{name.replace(' ', chr(10))}", rotation=0, labelpad=34, va="center"
        )
        for i, ax in enumerate(row):
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(color=CLASS_COLORS[number], linewidth=2)
            if i >= len(members):
                ax.spines[:].set_visible(False)
                continue
            ax.imshow(color_image(stamps.data[i], stamps.bands), origin="lower")
            ax.set_title(
                f"p {probability[members[i]]:.2f}  S {entropy[members[i]]:.2f}", fontsize=8
            )
    return figure


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
    >>> from astroclust import simulate_field
    >>> from astroclust.photometry import calibrate_ci
    >>> from astroclust.plotting import plot_ci_calibration
    >>> field = simulate_field(shape=(300, 300), seed=2, density=5e-4)
    >>> ax = plot_ci_calibration(calibrate_ci(field.images, threshold=10))
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
        (clusters, CLASS_COLORS[1], f"clusters ({len(clusters)}, {np.sum(clusters < cut)} below)"),
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
    """Draw the fractions of artificial clusters that are found and selected.

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
        with open circles for the found, solid with full ones for the selected; and a line at one
        half.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.injection import completeness
    >>> from astroclust.plotting import plot_completeness
    >>> field = simulate_field(shape=(200, 200), seed=1)
    >>> result = completeness(field.images, magnitudes=[20, 24], radii=[1, 2], n=2)
    >>> plot_completeness(result).figure.savefig("completeness.png")
    """
    if ax is None:
        ax = Figure(figsize=(7, 4.5), layout="constrained").subplots()
    radii = np.unique(table["radius"])
    unit = str(table["radius"].unit).replace("pix", "pixels")
    colors = matplotlib.colormaps["viridis"](np.linspace(0, 0.85, len(radii)))
    # Rings that show around the dots where all that were found are selected.
    styles = {"found": {"ls": "--", "mfc": "w", "ms": 8}, "selected": {"ls": "-", "ms": 4}}
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
                marker="o",
                capsize=2,
                **style,
            )
        handles.append(Line2D([], [], color=color, lw=3, label=f"{radius:g}"))
    handles += [
        Line2D([], [], color="0.3", marker="o", label=name, **style)
        for name, style in styles.items()
    ]
    ax.axhline(0.5, color="0.6", lw=0.8, zorder=0)
    ax.set(ylim=(-0.03, 1.03), xlabel="V (mag)", ylabel="fraction of artificial clusters")
    ax.legend(handles=handles, title=f"half-light radius ({unit})", frameon=False)
    return ax


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
    """
    if not Path(log).exists():
        raise FileNotFoundError(f"there is no log {log}: train with a folder, which keeps it")
    table = Table.read(log, format="ascii.csv")
    if "loss" not in table.colnames:
        raise ValueError(f"{log} has no loss of any epoch: it is not the log of a training")
    if ax is None:
        ax = Figure(figsize=(7, 4.5), layout="constrained").subplots()
    right = ax.twinx()
    for axis, name, label, style in (
        (ax, "loss", "loss, learnt from", {"color": "0.5"}),
        (ax, "validation_loss", "loss, set aside", {"color": _STAR_COLOR}),
        (right, "accuracy", "accuracy, set aside (right)", {"color": CLASS_COLORS[1], "ls": "--"}),
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
    >>> from astroclust import calibration_curve
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
    ax.errorbar(rows["probability"], share, error, color=_STAR_COLOR, marker="o", capsize=2)
    ax.set(
        xlim=(0, 1),
        ylim=(0, 1),
        aspect="equal",
        xlabel="mean probability of the class",
        ylabel="share that is right",
        title=f"expected calibration error {curve.meta['ECE']:.3f}",
    )
    return ax
