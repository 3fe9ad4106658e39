# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Color images, and galleries of stamps."""

import numpy as np
from astropy.visualization import (
    AsinhStretch,
    BaseStretch,
    LinearStretch,
    LogStretch,
    ManualInterval,
    make_rgb,
)
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from astroclust.catalogs.columns import class_column, float_column
from astroclust.images import ImageSet
from astroclust.instruments import classes_of, find_band_system
from astroclust.stamps import make_stamps

__all__ = [
    "color_image",
    "color_levels",
    "plot_examples",
    "plot_gallery",
    "plot_reduced_input",
    "plot_saliency",
]


# Stretches by name; the nonlinear ones show faint wings next to bright cores.
_STRETCHES = {"asinh": AsinhStretch(0.08), "log": LogStretch(100), "linear": LinearStretch()}


def color_image(data, bands, *, system="legus", limits=(40.0, 99.7), levels=None, stretch="asinh"):
    """Create a color image from several bands.

    Red is the mean of the reddest third of the band system, green that of the middle, blue that of
    the bluest: I, V and B, U and NUV for LEGUS. A color without bands is the mean of the others.
    Each color is scaled independently, or by ``levels``.

    Parameters
    ----------
    data : array_like, shape (n_bands, ny, nx)
        Images; NaN is treated as 0.
    bands : sequence of str
        Roles of the images in ``system``.
    system : str or `~astroclust.instruments.BandSystem`, optional
        Band system.
    limits : tuple of float, optional
        Percentiles of each color that are mapped to black and white.
    levels : array_like of float, shape (3, 2), optional
        Values that are mapped to black and white in red, green and blue, such as those from
        `color_levels` for a larger image; by default the percentiles of ``data``.
    stretch : str or `~astropy.visualization.BaseStretch`, optional
        ``"asinh"``, ``"log"``, ``"linear"`` or a stretch of astropy.

    Returns
    -------
    picture : `~numpy.ndarray` of uint8, shape (ny, nx, 3)
        Red, green and blue values.

    Raises
    ------
    ValueError
        If the stretch or the limits are invalid.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.plotting import color_image
    >>> color_image(np.zeros((1, 4, 6)), ["V"]).shape
    (4, 6, 3)
    """
    stretch = _find_stretch(stretch)
    layers = _color_layers(data, bands, find_band_system(system))
    levels = _percentile_levels(layers, limits) if levels is None else levels
    scaled = [
        (layer - black) / (white - black if white > black else 1)
        for layer, (black, white) in zip(layers, levels, strict=True)
    ]
    return make_rgb(*scaled, interval=ManualInterval(0, 1), stretch=stretch)


def color_levels(data, bands, *, system="legus", limits=(40.0, 99.7)):
    """Black and white levels of a color image, for a consistent scaling of its parts.

    Parameters
    ----------
    data : array_like, shape (n_bands, ny, nx)
        Images, or a subsample of their pixels.
    bands : sequence of str
        Roles of the images in ``system``.
    system : str or `~astroclust.instruments.BandSystem`, optional
        Band system.
    limits : tuple of float, optional
        Percentiles of each color.

    Returns
    -------
    levels : `~numpy.ndarray`, shape (3, 2)
        Black and white levels of red, green and blue, for `color_image`.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.plotting import color_levels
    >>> color_levels(np.arange(6.0).reshape(1, 2, 3), ["V"], limits=(0, 100)).tolist()
    [[0.0, 5.0], [0.0, 5.0], [0.0, 5.0]]
    """
    layers = _color_layers(data, bands, find_band_system(system))
    return _percentile_levels(layers, limits)


def _find_stretch(stretch):
    if isinstance(stretch, BaseStretch):
        return stretch
    if stretch not in _STRETCHES:
        raise ValueError(
            f"stretch must be {', '.join(_STRETCHES)} or a stretch of astropy.visualization, such "
            f"as SqrtStretch(), not {stretch!r}"
        )
    return _STRETCHES[stretch]


def _percentile_levels(layers, limits):
    is_pair = np.shape(limits) == (2,) and np.asarray(limits).dtype.kind in "iuf"
    if not is_pair or not 0 <= limits[0] < limits[1] <= 100:
        raise ValueError(
            "limits must be two increasing percentiles from 0 to 100, such as (40, 99.7), not "
            f"{limits}"
        )
    return np.percentile(layers, limits, axis=(1, 2)).T


def _color_layers(data, bands, system):
    """Red, green and blue channels, shape (3, ny, nx)."""
    data = np.nan_to_num(np.asarray(data, np.float32))
    channels = np.array([system.channel(band) for band in bands])
    layers = {i: data[channels == i].mean(axis=0) for i in sorted(set(channels.tolist()))}
    rest = np.mean(list(layers.values()), axis=0)
    return np.stack([layers.get(i, rest) for i in range(3)])


def plot_gallery(table, images, *, per_class=8, size=50, context=None, column_prefix=""):
    """Plot stamps of each class, from the most to the least certain.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Classified candidates.
    images : `~astroclust.images.ImageSet` or mapping
        Images of the field.
    per_class : int, optional
        Number of stamps per class, evenly spaced from the most to the least certain.
    size : int, optional
        Width of a stamp, in pixels.
    context : int, optional
        Width in pixels of the surroundings to show, such as the 299 of Wei et al. (2020, Fig. 1).
        Each object then has its own row; see `plot_examples`.
    column_prefix : str, optional
        Prefix of the class columns.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        One row per class; each stamp is labeled with its probability p and entropy S. With
        ``context``, one row per object.

    Raises
    ------
    ValueError
        If ``context`` is less than ``size``.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import classify_table, simulate_field
    >>> from astroclust.plotting import plot_gallery
    >>> field = simulate_field(shape=(128, 128), seed=1)
    >>> result = classify_table(Table({"x": [50.0, 80.0], "y": [60.0, 70.0]}), field.images)
    >>> plot_gallery(result, field.images).savefig("gallery.png")

    One object per class, in every band:

    >>> figure = plot_gallery(result, field.images, per_class=1, context=299)
    >>> figure.savefig("examples.png")
    """
    images = ImageSet.of(images)
    classes = class_column(table, column_prefix)
    probability = float_column(table, f"{column_prefix}probability")
    entropy = float_column(table, f"{column_prefix}entropy")
    scheme = classes_of(table, column_prefix)
    members = {n: _members(classes == n, probability, per_class) for n in scheme.numbers}
    if context is not None:
        rows = np.concatenate(list(members.values()))
        stamps = make_stamps(table[rows], images, size=context, bands=images.roles)
        titles = [
            f"{classes[row]} {scheme.names[classes[row]]}\n{_certainty(probability, entropy, row)}"
            for row in rows
        ]
        return plot_examples(stamps, size=size, titles=titles)
    figure = Figure(figsize=(1.45 * per_class, 1.9 * len(scheme)), layout="constrained")
    axes = figure.subplots(len(scheme), per_class, squeeze=False)
    for row, (number, name) in zip(axes, scheme.names.items(), strict=True):
        own = members[number]
        stamps = make_stamps(table[own], images, size=size, bands=images.roles)
        row[0].set_ylabel(
            f"{number}\n{name.replace(' ', chr(10))}", rotation=0, labelpad=42, va="center"
        )
        for i, ax in enumerate(row):
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set(color=scheme.colors[number], linewidth=2)
            if i >= len(own):
                ax.spines[:].set_visible(False)
                continue
            picture = color_image(stamps.data[i], stamps.bands, system=stamps.system)
            ax.imshow(picture, origin="lower")
            ax.set_title(_certainty(probability, entropy, own[i]), fontsize=8)
    return figure


def _members(is_member, probability, n):
    """Rows of a class, evenly spaced from the most to the least certain."""
    members = np.flatnonzero(is_member)
    members = members[np.argsort(-probability[members], kind="stable")]
    if len(members) > n:
        members = members[np.linspace(0, len(members) - 1, n).astype(int)]
    return members


def _certainty(probability, entropy, row):
    return f"p {probability[row]:.2f}  S {entropy[row]:.2f}"


def plot_examples(stamps, *, size=50, titles=None):
    """Plot objects with their surroundings and in each band, as in Wei et al. (2020, Fig. 1).

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps, with the width of the surroundings to show: 299 pixels in the paper.
    size : int, optional
        Width of the center shown in the other panels, in pixels.
    titles : sequence of str, length n, optional
        Titles of the rows; by default the classes in ``stamps.table``, if any.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        One row per object: the stamp in color, its center with the same scaling, and the center in
        each band, in gray from the 5th to the 99.8th percentile. Missing bands are blank.

    Raises
    ------
    ValueError
        If there are no stamps, they are smaller than ``size``, or the number of titles differs.

    Examples
    --------
    >>> from astroclust import make_stamps, simulate_field
    >>> from astroclust.plotting import plot_examples
    >>> field = simulate_field(like="ngc1566", shape=(320, 320), seed=1, density=2e-4)
    >>> stamps = make_stamps(field.truth[:2], field.images, size=299)
    >>> plot_examples(stamps).savefig("examples.png")
    """
    n = len(stamps)
    if not n:
        raise ValueError("no stamps to plot")
    if not 0 < size <= stamps.size:
        raise ValueError(
            f"cannot crop stamps of {stamps.size} pixels to {size}; cut larger ones, such as "
            "make_stamps(table, images, size=299)"
        )
    if titles is None:
        known = "class" in stamps.table.colnames
        titles = [f"class {number}" for number in stamps.table["class"]] if known else [""] * n
    if len(titles) != n:
        raise ValueError(f"{n} stamps require as many titles, not {len(titles)}")
    columns = 2 + len(stamps.bands)
    figure = Figure(figsize=(1.5 * columns + 1, 1.55 * n + 0.3), layout="constrained")
    axes = figure.subplots(n, columns, squeeze=False)
    start = stamps.size // 2 - size // 2
    middle = slice(start, start + size)
    for i, row in enumerate(axes):
        data = stamps.data[i]
        levels = color_levels(data, stamps.bands, system=stamps.system)
        picture = color_image(data, stamps.bands, system=stamps.system, levels=levels)
        row[0].imshow(picture, origin="lower")
        row[0].add_patch(Rectangle((start - 0.5, start - 0.5), size, size, fill=False, ec="w"))
        row[1].imshow(picture[middle, middle], origin="lower")
        for ax, pixels, present in zip(row[2:], data, stamps.present[i], strict=True):
            _show_gray(ax, pixels[middle, middle], present)
        row[0].set_ylabel(titles[i], rotation=0, ha="right", va="center")
    names = [f"{stamps.size} pixels", f"{size} pixels", *stamps.filters]
    for ax, name in zip(axes[0], names, strict=True):
        ax.set_title(name, fontsize=9)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    return figure


def _show_gray(ax, pixels, present):
    """Show one band; blank if it is missing or has no valid pixels."""
    ax.set_facecolor("0.9")
    if not present or np.isnan(pixels).all():
        return
    low, high = np.nanpercentile(pixels, [5, 99.8])
    ax.imshow(pixels, origin="lower", cmap="gray", vmin=low, vmax=high)


def plot_saliency(stamps, maps, *, row=0):
    """Plot each band of a stamp, with the saliency for and against its class below.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps.
    maps : array_like of float, shape (n, n_bands, size, size)
        Saliency maps from `~astroclust.attribution.saliency`.
    row : int, optional
        Index of the stamp.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        Figure with the fraction of the saliency above each band. Stamps are in the orientation of
        the image, not north up.

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> from astroclust.attribution import saliency
    >>> from astroclust.plotting import plot_saliency
    >>> stamps = simulate_stamps(1, seed=1)
    >>> plot_saliency(stamps, saliency(stamps)).savefig("saliency.png")
    """
    pixels, shown = stamps.data[row], np.asarray(maps)[row]
    fractions = np.abs(shown).sum(axis=(1, 2))
    fractions = fractions / max(fractions.sum(), np.finfo(float).tiny)
    largest = np.percentile(np.abs(shown), 99.8) or 1
    n_bands = len(stamps.bands)
    figure = Figure(figsize=(2 * n_bands, 4.4), layout="constrained")
    axes = figure.subplots(2, n_bands, squeeze=False)
    for i, band in enumerate(stamps.bands):
        low, high = np.nanpercentile(pixels[i], [5, 99.8])
        axes[0, i].imshow(pixels[i], origin="lower", cmap="gray", vmin=low, vmax=high)
        image = axes[1, i].imshow(
            shown[i], origin="lower", cmap="PuOr_r", vmin=-largest, vmax=largest
        )
        axes[0, i].set(title=f"{band}: {100 * fractions[i]:.0f} %")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    figure.colorbar(image, ax=axes[1], label="saliency (score)", shrink=0.8)
    return figure


def plot_reduced_input(stamps, reduced, *, titles=None):
    """Plot class probabilities and saliency with all bands and with subsets of them.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps.
    reduced : `~astroclust.attribution.ReducedInput`
        See `~astroclust.attribution.reduce_input`.
    titles : sequence of str, length n, optional
        Titles of the rows; by default the classes with all bands.

    Returns
    -------
    figure : `~matplotlib.figure.Figure`
        One row per object: the stamp in color; the class probabilities with each input; the
        saliency with each input, summed over its bands, and the probability of the class that it
        refers to; and, for each reduced input, the saliency in the missing bands, with their
        fractions. Orange is for the class and violet against it, on one scale per row.

    Raises
    ------
    ValueError
        If there are no stamps, ``reduced`` is for other stamps, or the number of titles differs.

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> from astroclust.attribution import reduce_input
    >>> from astroclust.plotting import plot_reduced_input
    >>> stamps = simulate_stamps(2, seed=1)
    >>> plot_reduced_input(stamps, reduce_input(stamps, steps=4)).savefig("reduced.png")
    """
    n, names = len(stamps), reduced.scheme.names
    if not n or len(reduced.classes) != n:
        raise ValueError(
            f"there are {n} stamps, but reduced has {len(reduced.classes)}; pass one or more "
            "stamps, and the result of reduce_input for them"
        )
    if titles is None:
        titles = [f"{number} {names[number]}" for number in reduced.classes.tolist()]
    if len(titles) != n:
        raise ValueError(f"{n} stamps require as many titles, not {len(titles)}")
    inputs = ["+".join(bands) for bands in reduced.inputs]
    if reduced.inputs[0] == tuple(reduced.bands):
        inputs[0] = "all bands"
    heads = ["color", "probabilities", *inputs, *(f"lost with {one}" for one in inputs[1:])]
    figure = Figure(figsize=(1.75 * len(heads) + 0.8, 2.05 * n + 0.3), layout="constrained")
    axes = figure.subplots(n, len(heads), squeeze=False)
    lost = [reduced.lost_maps(number) for number in range(1, len(inputs))]
    panels = np.stack([*reduced.maps, *lost]).sum(axis=2)
    for i, row in enumerate(axes):
        picture = color_image(stamps.data[i], stamps.bands, system=stamps.system)
        row[0].imshow(picture, origin="lower")
        row[0].set_ylabel(titles[i], rotation=0, ha="right", va="center")
        _stack_probabilities(row[1], reduced.probabilities[:, i], inputs, reduced.scheme)
        largest = np.percentile(np.abs(panels[:, i]), 99.8) or 1
        captions = [*_captions(reduced, i), *_loss_captions(reduced, i)]
        for ax, panel, caption in zip(row[2:], panels[:, i], captions, strict=True):
            ax.imshow(panel, origin="lower", cmap="PuOr_r", vmin=-largest, vmax=largest)
            ax.set_xlabel(caption, fontsize=7)
        for ax in np.delete(row, 1):
            ax.set(xticks=[], yticks=[])
    for ax, head in zip(axes[0], heads, strict=True):
        ax.set_title(head, fontsize=9)
    return figure


def _stack_probabilities(ax, probabilities, inputs, scheme):
    """Plot class probabilities as stacked bars, one per input, labeled with the classes."""
    left = np.zeros(len(inputs))
    for number, heights in zip(scheme.numbers, probabilities.T, strict=True):
        bars = ax.barh(inputs, heights, left=left, color=scheme.colors[number], height=0.7)
        labels = [str(number) if height > 0.12 else "" for height in heights]
        ax.bar_label(bars, labels, label_type="center", fontsize=7)
        left += heights
    ax.set(xlim=(0, 1), xticks=[], box_aspect=1)
    ax.invert_yaxis()
    ax.tick_params(labelsize=7, length=0)


def _captions(reduced, row):
    """Yield the probability of the class with each input, and the most probable class if other."""
    scheme, own = reduced.scheme, reduced.classes[row]
    for probabilities in reduced.probabilities[:, row]:
        chosen = scheme.most_probable(probabilities)
        other = "" if chosen == own else f"\n{chosen} is more probable"
        yield f"P({own}) {probabilities[scheme.positions([own])[0]]:.2f}{other}"


def _loss_captions(reduced, row):
    """Yield the fractions of the saliency that each reduced input loses."""
    losses = reduced.losses()
    for loss in losses[losses["row"] == row]:
        bands = [band for band in reduced.bands if np.isfinite(loss[f"lost_{band}"])]
        parts = [f"{band} {100 * loss[f'lost_{band}']:.0f}" for band in bands]
        yield f"{100 * loss['lost']:.0f} % lost\n{', '.join(parts)}"
