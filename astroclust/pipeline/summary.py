# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The summary page of a run."""

import numpy as np
from astropy.table import Table

import astroclust
from astroclust.instruments import classes_of
from astroclust.reports import Report
from astroclust.selection import cut_flow, describe_settings

__all__ = ["class_counts", "write_summary"]

_CITATIONS = (
    "Wei, Huerta, Whitmore, Lee et al. 2020, MNRAS 493, 3178 (networks and classes)",
    "Adamo, Ryon, Messa et al. 2017, ApJ 841, 131 (selection of candidates)",
    "Calzetti, Lee, Sabbi et al. 2015, AJ 149, 51 (LEGUS)",
)


def class_counts(result):
    """Number of candidates and mean probability for each class.

    Parameters
    ----------
    result : `~astropy.table.Table`
        Table returned by `~astroclust.classification.classify_table`.

    Returns
    -------
    counts : `~astropy.table.Table`
        One row per class, and one for unclassified candidates: ``class``, ``name``, ``candidates``,
        ``expected`` (sum of the probabilities of the class), and ``mean_probability`` of those in
        the class.

    Examples
    --------
    >>> from astropy.table import MaskedColumn, Table
    >>> from astroclust.pipeline import class_counts
    >>> result = Table({"class": MaskedColumn([1, 4, 4], mask=[0, 0, 1])})
    >>> result["probability"] = [0.5, 0.75, float("nan")]
    >>> for number in (1, 2, 3, 4):
    ...     result[f"prob_{number}"] = [0.5, 0.25, float("nan")]
    >>> class_counts(result)["candidates"].tolist()
    [1, 0, 0, 1, 1]
    """
    classes = np.ma.filled(np.ma.asarray(result["class"]), 0)
    probability, rows = np.asarray(result["probability"], float), []
    for number, name in classes_of(result).names.items():
        members = classes == number
        mean = probability[members].mean() if members.any() else np.nan
        expected = np.nansum(np.asarray(result[f"prob_{number}"], float))
        rows.append((str(number), name, members.sum(), expected, mean))
    rows.append(("-", "not classified (see flags)", np.sum(classes == 0), np.nan, np.nan))
    names = ("class", "name", "candidates", "expected", "mean_probability")
    counts = Table(rows=rows, names=names, masked=True)
    for name in names[3:]:
        counts[name].mask = np.isnan(counts[name])
    counts["expected"].format, counts["mean_probability"].format = ".1f", ".2f"
    return counts


def write_summary(path, sources, result, images, classifier, *, title, figures, warned, files):
    """Write the summary page of a run.

    Parameters
    ----------
    path : `~pathlib.Path`
        The page.
    sources, result : `~astropy.table.Table`
        All sources with their cuts, and the classified candidates.
    images : `~astroclust.images.ImageSet`
        The bands of the field.
    classifier : `~astroclust.weights.Classifier`
        The classifier.
    title : str
        Title of the page.
    figures : dict of str to `~matplotlib.figure.Figure`
        Figures by heading.
    warned : list of str
        Warnings issued during the run.
    files : dict of str to str
        Files in the folder, with descriptions.
    """
    n = len(result)
    report = Report(title, note=classifier.card.notice)
    report.add("Field", f"{images!r}".strip("<>") + f". {n} candidates of {len(sources)} sources.")
    for heading, figure in figures.items():
        report.add(heading, figure=figure)
    report.add(
        "Classes",
        "The sum of the probabilities of a class is its expected number of objects; it differs "
        "from the count of the most probable class if classes are uncertain. "
        + f"For {classifier.card.accuracy_notice(images.roles)}"
        + ".",
        table=class_counts(result),
        form=None,
    )
    report.add(
        "Cut flow",
        "Sources rejected by each cut, those that no earlier cut had rejected, and remaining "
        "sources.",
        table=cut_flow(sources),
    )
    report.add("Settings", table=describe_settings(result)["meaning", "value", "unit"], form=None)
    if warned:
        report.add("Warnings", table=Table({"warning": warned}))
    report.add("Files", table=Table(rows=list(files.items()), names=("file", "content")))
    report.add(
        "Citation",
        f"Please cite astroclust {astroclust.__version__} and the work that it is based on: "
        + "; ".join(_CITATIONS)
        + "; and astropy, photutils and PyTorch.",
    )
    report.write(path.parent, page=path.name)
