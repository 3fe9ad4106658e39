# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Figures of the report on Wei et al. (2020) in the layout of the paper."""

from pathlib import Path

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure

from astroclust.experiments.samples import join_stamps
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES
from astroclust.plotting import plot_confusion_panels, plot_examples
from astroclust.stamps import Stamps, make_stamps

__all__ = [
    "add_confusions",
    "add_examples",
    "add_filter_confusions",
    "add_learning_curves",
    "add_size_confusions",
    "example_stamps",
]

# Width of the color pictures of Fig. 1, in pixels.
_CONTEXT = 299
# Pixels on each side of the center of a stamp that belong to the object.
_CENTER = 3


def add_confusions(report, networks, confusion):
    """Add Figs 3 and 4, the confusion of each network and sample of labels.

    Parameters
    ----------
    report : `~astroclust.reports.Report`
        The report.
    networks : sequence of str
        Architectures.
    confusion : callable
        Returns the mean confusion of one experiment, or None if there is none, by the keywords
        ``part``, ``labels``, ``architecture`` and ``size``.
    """
    for number, part in ((3, "validation"), (4, "new galaxy")):
        panels = {
            f"labels {labels}": {
                name: confusion(part=part, labels=labels, architecture=name) for name in networks
            }
            for labels in ("bcw", "consensus")
        }
        text = "Validation set" if number == 3 else "New galaxy"
        report.add(
            f"Figure {number}: confusion matrices, {part}",
            f"{text}: mean and standard deviation over the training runs, in percent of the true "
            "class. Colors show percentages; those of the paper show numbers of objects.",
            figure=_panels(panels),
        )


def add_size_confusions(report, networks, confusion, sizes):
    """Add Fig. 6, the confusion for each size of the stamps.

    Parameters
    ----------
    report, networks, confusion
        See `add_confusions`.
    sizes : sequence of str
        Widths of the stamps in pixels, or ``"random"``.
    """
    panels = {
        "random size" if size == "random" else f"{size} pixels": {
            name: confusion(part="validation", labels="consensus", architecture=name, size=size)
            for name in networks
        }
        for size in sizes
    }
    report.add(
        "Figure 6: confusion matrices by size of the stamps",
        "Labels consensus, validation; one row of panels per size. Random sizes are described in "
        "sec. 4.3 but not shown in the paper.",
        figure=_panels(panels),
    )


def add_filter_confusions(report, networks, confusion, without):
    """Add Fig. 7, the confusion without each band.

    Parameters
    ----------
    report, networks, confusion
        See `add_confusions`.
    without : dict of str to str
        Part of the results in which a band is set to zero, by the role of the band.
    """
    panels = {
        f"without {band}": {
            name: confusion(part=without[band], labels="bcw", architecture=name)
            for name in networks
        }
        for band in LEGUS_BANDS.roles
    }
    report.add(
        "Figure 7: confusion matrices without each band",
        "Labels bcw, new galaxy; one row of panels per band set to zero.",
        figure=_panels(panels),
    )


def _panels(panels):
    """Figure of the panels, or None if there are no results yet."""
    known = any(one is not None for row in panels.values() for one in row.values())
    return plot_confusion_panels(panels) if known else None


def add_learning_curves(report, folder):
    """Add the learning curves of all training runs.

    Parameters
    ----------
    report : `~astroclust.reports.Report`
        The report.
    folder : str or `~pathlib.Path`
        Folder of the training runs, with ``EXPERIMENT/run-01/member-1/metrics.csv`` and so on.
    """
    logs = {}
    for path in sorted(Path(folder).glob("*/run-*/member-*/metrics.csv")):
        logs.setdefault(path.parents[2].name, []).append(_losses(path))
    report.add(
        "Learning curves",
        "Training loss, cross-entropy in nats, after each epoch; one line per training. The paper "
        "does not show them. There is no curve for the validation set, which is not used in "
        "training.",
        figure=_plot_curves(logs) if logs else None,
    )


def _losses(path):
    """Epochs, from 1, and the losses after them."""
    table = Table.read(path, format="ascii.csv")
    if "loss" not in table.colnames:  # killed during the first epoch
        return [], []
    rows = table[~np.ma.getmaskarray(table["loss"])]
    return np.asarray(rows["epoch"]) + 1, np.asarray(rows["loss"])


def _plot_curves(logs):
    n_columns = 3
    n_rows = -(-len(logs) // n_columns)
    figure = Figure(figsize=(3.4 * n_columns, 2.5 * n_rows + 0.3), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, sharey=True, squeeze=False)
    for ax in axes.flat[len(logs) :]:
        ax.set_axis_off()
    for ax, (experiment, curves) in zip(axes.flat, logs.items(), strict=False):
        for epochs, losses in curves:
            ax.plot(epochs, losses, color="#0072B2", lw=1, marker="." if len(epochs) < 4 else "")
        ax.set_title(experiment.replace("_", " "), fontsize=8)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="epoch")
    for ax in axes[:, 0]:
        ax.set_ylabel("loss (nats)")
    axes[0, 0].set_ylim(bottom=0)  # same limits for all
    return figure


def add_examples(report, fields, folder, fetch_images):
    """Add Fig. 1, examples of each class in the layout of the paper.

    Parameters
    ----------
    report : `~astroclust.reports.Report`
        The report.
    fields : dict of str to `~astroclust.stamps.Stamps`
        Labeled stamps by the name of their field.
    folder : str or `~pathlib.Path`
        Folder in which the examples are stored.
    fetch_images : callable
        Returns the images of a field by its name.
    """
    found, titles, failures = [], [], []
    for name, stamps in fields.items():
        try:
            examples = example_stamps(name, stamps, folder=folder, fetch_images=fetch_images)
        except InterruptedError:
            raise
        except (OSError, KeyError, ValueError) as error:  # other results must not depend on it
            failures.append(f" {name} is not shown, as its images are not available: {error}")
        else:
            found.append(examples)
            titles += [f"{name}\nclass {number}" for number in examples.table["class"]]
    report.add(
        "Figure 1: examples of each class",
        f"An object of each class: {_CONTEXT} pixels around it in color (red I, green V and B, "
        "blue U and NUV), the stamp in the same colors, and the input bands. In each class, the "
        "object with the highest central contrast in V is shown." + "".join(failures),
        figure=plot_examples(join_stamps(found), titles=titles) if found else None,
    )


def example_stamps(name, stamps, *, folder, fetch_images):
    """Stamps of one object of each class with their surroundings, cut once and stored.

    Parameters
    ----------
    name : str
        Name of the field.
    stamps : `~astroclust.stamps.Stamps`
        Labeled stamps of that field.
    folder : str or `~pathlib.Path`
        Folder of ``examples-NAME.fits``.
    fetch_images : callable
        Returns the images of a field by its name.

    Returns
    -------
    examples : `~astroclust.stamps.Stamps`
        Stamps of 299 pixels, one per class that the field has, in the order of the classes.

    Raises
    ------
    OSError
        If the images are not available.

    Examples
    --------
    >>> from astroclust import make_stamps, simulate_field
    >>> from astroclust.experiments.wei2020_figures import example_stamps
    >>> field = simulate_field(like="ngc1566", shape=(150, 150), seed=1, density=2e-3)
    >>> stamps = make_stamps(field.truth, field.images, size=100)
    >>> examples = example_stamps(
    ...     "ngc1566", stamps, folder="stamps", fetch_images=lambda name: field.images
    ... )
    >>> examples.size, examples.table["class"].tolist()
    (299, [1, 2, 3, 4])
    """
    path = Path(folder) / f"examples-{name}.fits"
    if path.exists():
        return Stamps.read(path)
    classes = np.asarray(stamps.table["class"])
    prominence = _prominence(stamps)
    rows = [
        own[np.argmax(prominence[own])]
        for number in LEGUS_CLASSES.numbers
        if len(own := np.flatnonzero(classes == number))
    ]
    examples = make_stamps(stamps.table[rows], fetch_images(name), size=_CONTEXT)
    examples = Stamps(
        examples.data,
        LEGUS_BANDS.roles,
        present=examples.present,
        flags=examples.flags,
        table=examples.table,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    examples.write(path)
    return examples


def _prominence(stamps):
    """Central contrast of each stamp in V; 0 if V is absent."""
    pixels = np.nan_to_num(stamps.data[:, stamps.bands.index("V")])
    middle = slice(stamps.size // 2 - _CENTER, stamps.size // 2 + _CENTER + 1)
    peak = pixels[:, middle, middle].max(axis=(1, 2))
    pixels[:, middle, middle] = 0
    return peak - pixels.max(axis=(1, 2))
