# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Figures of classified tables: colors, magnitudes and positions by class."""

import numpy as np
from matplotlib.figure import Figure

from astroclust.catalogs import float_column, pixel_positions, sky_positions
from astroclust.catalogs.columns import class_column
from astroclust.instruments import classes_of

__all__ = ["plot_color_color", "plot_color_magnitude", "plot_luminosity_function", "plot_map"]


def plot_color_magnitude(
    table, *, color=("F555W", "F814W"), magnitude="F555W", column_prefix="", ax=None
):
    """Plot a color-magnitude diagram with one marker per class.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Table with ``class`` and magnitudes ``mag_f555w`` ..., such as from
        `~astroclust.photometry.measure_photometry` or `~astroclust.catalogs.read_legus`.
    color : tuple of two str, optional
        Filters of the color, the bluer one first.
    magnitude : str, optional
        Filter of the magnitude.
    column_prefix : str, optional
        Prefix of the class columns.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with blue to the left and bright at the top. Rows without one of the magnitudes are
        excluded.

    Raises
    ------
    KeyError
        If the table lacks these columns.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.plotting import plot_color_magnitude
    >>> table = Table({"class": [1, 4], "mag_f555w": [21.0, 22.0], "mag_f814w": [20.2, 21.9]})
    >>> plot_color_magnitude(table).figure.savefig("diagram.png")
    """
    x, y = _color(table, color), _magnitude(table, magnitude)
    ax = _draw_classes(table, x, y, column_prefix, ax)
    ax.invert_yaxis()
    ax.set(xlabel=_color_label(color), ylabel=f"{magnitude} (mag)")
    return ax


def plot_color_color(
    table,
    *,
    x=("F555W", "F814W"),
    y=("F336W", "F438W"),
    column_prefix="",
    ax=None,
):
    """Plot a color-color diagram with one marker per class.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        See `plot_color_magnitude`.
    x, y : tuple of two str, optional
        Filters of the colors, the bluer one first.
    column_prefix : str, optional
        Prefix of the class columns.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with blue to the left and, as usual, at the top. Rows without one of the magnitudes
        are excluded.

    Raises
    ------
    KeyError
        If the table lacks these columns.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.plotting import plot_color_color
    >>> magnitudes = {f"mag_f{n}w": [21.0, 22.0] for n in (336, 438, 555, 814)}
    >>> plot_color_color(Table({"class": [1, 4], **magnitudes})).figure.savefig("colors.png")
    """
    ax = _draw_classes(table, _color(table, x), _color(table, y), column_prefix, ax)
    ax.invert_yaxis()
    ax.set(xlabel=_color_label(x), ylabel=_color_label(y))
    return ax


def plot_luminosity_function(table, *, band="F555W", width=0.5, column_prefix="", ax=None):
    """Plot the luminosity function of each class.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        See `plot_color_magnitude`.
    band : str, optional
        Filter of the magnitude.
    width : float, optional
        Bin width, in mag.
    column_prefix : str, optional
        Prefix of the class columns.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with a histogram of each class, and the sum of those that count as clusters, with
        Poisson errors, on a logarithmic scale.

    Raises
    ------
    KeyError
        If the table lacks these columns.
    ValueError
        If no row has a magnitude.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.plotting import plot_luminosity_function
    >>> table = Table({"class": [1, 2, 4, 1], "mag_f555w": [21.0, 22.0, 23.1, 22.4]})
    >>> plot_luminosity_function(table).figure.savefig("luminosities.png")
    """
    values, classes = _magnitude(table, band), class_column(table, column_prefix)
    good = np.isfinite(values)
    if not good.any():
        raise ValueError(f"no row has a magnitude in {band}; choose another band")
    first = np.floor(values[good].min() / width)
    edges = width * np.arange(first, np.floor(values[good].max() / width) + 2)
    ax = _new_axes() if ax is None else ax
    scheme = classes_of(table, column_prefix)
    for number, name in scheme.names.items():
        counts, _ = np.histogram(values[good & (classes == number)], edges)
        ax.stairs(
            np.where(counts, counts, np.nan),
            edges,
            baseline=None,
            color=scheme.colors[number],
            lw=2,
            label=f"{number} {name} ({counts.sum()})",
        )
    counts, _ = np.histogram(values[good & scheme.is_cluster(classes)], edges)
    shown = counts > 0
    ax.errorbar(
        (edges[:-1] + width / 2)[shown],
        counts[shown],
        np.sqrt(counts[shown]),
        color="0.2",
        marker="o",
        ls="none",
        capsize=2,
        label=f"clusters ({counts.sum()})",
    )
    ax.set(yscale="log", xlabel=f"{band} (mag)", ylabel=f"objects per {width:g} mag")
    ax.legend(frameon=False)
    return ax


def plot_map(table, *, column_prefix="", ax=None):
    """Plot the positions of the objects of each class.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Table with ``class`` and positions; sky coordinates are preferred over pixels.
    column_prefix : str, optional
        Prefix of the class columns.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with equal scales and, for sky coordinates, north up and east to the left.

    Raises
    ------
    KeyError
        If the table has no positions or classes.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.plotting import plot_map
    >>> table = Table({"class": [1, 4], "ra": [24.17, 24.18], "dec": [15.78, 15.79]})
    >>> plot_map(table).figure.savefig("map.png")
    """
    try:
        sky = sky_positions(table)
    except KeyError:
        x, y = pixel_positions(table)
        ax = _draw_classes(table, x, y, column_prefix, ax)
        ax.set(xlabel="x (pixel)", ylabel="y (pixel)", aspect="equal")
        return ax
    ax = _draw_classes(table, sky.ra.deg, sky.dec.deg, column_prefix, ax)
    ax.invert_xaxis()
    ax.set(xlabel="right ascension (deg)", ylabel="declination (deg)")
    ax.set_aspect(1 / np.cos(np.nanmean(sky.dec.rad)))
    ax.ticklabel_format(useOffset=False)
    return ax


def _draw_classes(table, x, y, column_prefix, ax):
    """Plot points with the marker of their class, the most numerous class first."""
    ax = _new_axes() if ax is None else ax
    classes = class_column(table, column_prefix)
    good = np.isfinite(x) & np.isfinite(y)
    scheme = classes_of(table, column_prefix)
    for number in sorted([0, *scheme.numbers], key=lambda number: -np.sum(classes == number)):
        rows = good & (classes == number)
        if rows.any():
            ax.plot(
                x[rows],
                y[rows],
                ls="none",
                marker=scheme.markers.get(number, "."),
                color=scheme.colors.get(number, "0.6"),
                mec="0.2",
                mew=0.4,
                ms=5,
                label=f"{number} {scheme.names[number]}" if number else "no class",
            )
    handles, labels = ax.get_legend_handles_labels()
    order = np.argsort(labels)
    ordered = [handles[i] for i in order], [labels[i] for i in order]
    ax.legend(*ordered, framealpha=0.8, edgecolor="none")
    return ax


def _new_axes():
    return Figure(figsize=(7, 5.5), layout="constrained").subplots()


def _magnitude(table, name):
    """Magnitudes in a filter, NaN if missing."""
    column = f"mag_{name.lower()}"
    if column not in table.colnames:
        filters = [one[4:].upper() for one in table.colnames if one.startswith("mag_f")]
        found = f"magnitudes in {', '.join(filters)}; plot those" if filters else "no magnitudes"
        raise KeyError(f"the table has no column {column}, but {found}")
    return float_column(table, column)


def _color(table, names):
    return _magnitude(table, names[0]) - _magnitude(table, names[1])


def _color_label(names):
    return f"{names[0]} $-$ {names[1]} (mag)"
