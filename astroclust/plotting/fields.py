# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Figures of fields: color image, class markers, sky coordinates and scale bar."""

import itertools

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar

from astroclust.catalogs import pixel_positions
from astroclust.catalogs.columns import class_column
from astroclust.context.features import distance_of
from astroclust.images import ImageSet
from astroclust.instruments import classes_of
from astroclust.plotting.images import color_image
from astroclust.plotting.picking import name_rows_on_click

__all__ = ["plot_field", "sampled_bands"]

# Maximum width of a field in a figure, in pixels: more than screens show.
_WIDTH = 2000
# Labels of sky axes by physical type, instead of the abbreviations of astropy.
_AXES = {
    "pos.eq.ra": "right ascension",
    "pos.eq.dec": "declination",
    "pos.galactic.lon": "Galactic longitude",
    "pos.galactic.lat": "Galactic latitude",
}
# Maximum length of the scale bar, as a fraction of the width of the field.
_BAR = 0.25


def plot_field(
    images,
    table,
    *,
    ax=None,
    column_prefix="",
    sky=True,
    stretch="asinh",
    limits=(40.0, 99.7),
):
    """Plot a color image of a field with markers of the classes.

    In an interactive figure, a click on a marker displays its row, ``id``, class and probability.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet` or mapping
        Images of the field.
    table : `~astropy.table.Table`, length n
        Positions and a column ``class``. ``DISTANCE`` (Mpc) in its ``meta`` is used for the scale
        bar.
    ax : `~matplotlib.axes.Axes`, optional
        Axes to plot on; by default those of a new figure.
    column_prefix : str, optional
        Prefix of the class columns.
    sky : bool, optional
        Whether the axes of a new figure show sky coordinates
        (`~astropy.visualization.wcsaxes.WCSAxes`), if the images have a WCS, instead of pixels.
    stretch : str or `~astropy.visualization.BaseStretch`, optional
        ``"asinh"``, ``"log"``, ``"linear"`` or a stretch of astropy.
    limits : tuple of float, optional
        Percentiles of each color that are mapped to black and white.

    Returns
    -------
    ax : `~matplotlib.axes.Axes`
        Axes with the image and one set of markers per class; y increases upward, and data
        coordinates are 0-based pixels. If the images have a WCS, there is a scale bar in arcsec
        and, if the distance is known, in parsecs. Images wider than 2000 pixels are binned.

    Raises
    ------
    ValueError
        If the stretch or the limits are invalid.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.plotting import plot_field
    >>> field = simulate_field(shape=(64, 64), seed=1, density=2e-3)
    >>> ax = plot_field(field.images, field.truth)
    >>> ax.figure.savefig("field.png")
    """
    images = ImageSet.of(images)
    ny, nx = images.shape
    data, step = sampled_bands(images, _WIDTH)
    picture = color_image(data, images.roles, system=images.system, limits=limits, stretch=stretch)
    ax = _new_axes(images, sky) if ax is None else ax
    extent = np.array([0, picture.shape[1], 0, picture.shape[0]]) * step - 0.5
    image = ax.imshow(picture, origin="lower", interpolation="nearest", extent=extent)
    ax.set(xlim=(-0.5, nx - 0.5), ylim=(-0.5, ny - 0.5))
    _label_axes(ax)
    x, y = pixel_positions(table, images.wcs)
    classes = class_column(table, column_prefix)
    scheme = classes_of(table, column_prefix)
    _mark_classes(ax, x, y, classes, scheme)
    shown = np.flatnonzero(np.isin(classes, scheme.numbers))
    names = [_name(table, row, classes[row], scheme, column_prefix) for row in shown]
    name_rows_on_click(image, x[shown], y[shown], names)
    if images.wcs is not None:
        _add_scale(ax, nx, images.pixel_scale.value, distance_of(table))
    return ax


def sampled_bands(images, width):
    """Bin the bands of a field for display.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet`
        Images of the field.
    width : int
        Maximum width of the result, in pixels.

    Returns
    -------
    data : `~numpy.ndarray` of float32, shape (n_bands, ny, nx)
        Mean of up to four good pixels in each square of ``step`` pixels width, as reading all of
        them would take too long; NaN if there are none.
    step : int
        Width of the squares, in pixels.
    """
    shape = np.array(images.shape)
    step = int(max(1, np.ceil(shape.max() / width)))
    n_y, n_x = -(-shape // step)
    total, count = np.zeros((2, len(images), n_y, n_x), np.float32)
    offsets = sorted({0, step // 2})
    for dy, dx in itertools.product(offsets, offsets):
        for i, band in enumerate(images.values()):
            pixels = band.pixels(np.s_[dy::step, dx::step])
            part = np.s_[i, : pixels.shape[0], : pixels.shape[1]]
            count[part] += np.isfinite(pixels)
            total[part] += np.nan_to_num(pixels)
    return np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0), step


def _new_axes(images, sky):
    figure = Figure(figsize=(9, 9), layout="constrained")
    if not sky or images.wcs is None:
        return figure.subplots()
    return figure.add_subplot(projection=images.wcs)


def _label_axes(ax):
    # Imported late: without matplotlib, this module of astropy raises its own error.
    from astropy.visualization.wcsaxes import WCSAxes

    if not isinstance(ax, WCSAxes):
        ax.set(xlabel="x (pixels)", ylabel="y (pixels)")
        return
    wcs = getattr(ax.wcs, "low_level_wcs", ax.wcs)
    for coordinate, kind in zip(ax.coords, wcs.world_axis_physical_types, strict=True):
        coordinate.set_ticklabel(exclude_overlapping=True)
        if kind in _AXES:
            coordinate.set_axislabel(_AXES[kind])


def _mark_classes(ax, x, y, classes, scheme):
    """Plot one set of markers per class, and the legend."""
    handles = []
    for number, name in scheme.names.items():
        rows = classes == number
        marker, color = scheme.markers[number], scheme.colors[number]
        ax.scatter(
            x[rows],
            y[rows],
            s=90,
            marker=marker,
            facecolors="none",
            edgecolors=color,
            linewidths=1.3,
        )
        label = f"{number} {name} ({np.count_nonzero(rows)})"
        handles.append(
            Line2D([], [], ls="", marker=marker, mfc="none", mec=color, mew=1.5, ms=9, label=label)
        )
    ax.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False
    )


def _name(table, row, number, scheme, prefix):
    """Label of one row, with its index, id, class and probability."""
    identity = next(
        (f", id {table[name][row]}" for name in ("id", "ID") if name in table.colnames), ""
    )
    lines = [f"row {row}{identity}", f"class {number}: {scheme.names[number]}"]
    if f"{prefix}probability" in table.colnames:
        lines.append(f"probability {table[f'{prefix}probability'][row]:.3f}")
    return "\n".join(lines)


def _add_scale(ax, n_x, pixel_scale, distance):
    """Add a scale bar of a round number of arcsec, also in parsecs if a distance (Mpc) is given."""
    most = _BAR * n_x * pixel_scale
    decade = 10 ** np.floor(np.log10(most))
    length = max(factor * decade for factor in (1, 2, 5) if factor * decade <= most)
    label = f'{length:g}"'
    if np.isfinite(distance):
        parsecs = np.deg2rad(length / 3600) * distance * 1e6
        in_kpc = parsecs >= 999.5
        label += f" = {parsecs / 1000:.3g} kpc" if in_kpc else f" = {parsecs:.3g} pc"
    bar = AnchoredSizeBar(
        ax.transData,
        length / pixel_scale,
        label,
        loc="lower right",
        pad=0.5,
        sep=4,
        color="white",
        size_vertical=0.002 * n_x,
        frameon=True,
    )
    bar.patch.set(facecolor="black", edgecolor="none", alpha=0.5)
    ax.add_artist(bar)
