# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Human agreement on classes, published and measured, and networks compared with it."""

from itertools import product

import numpy as np
from astropy.table import MaskedColumn, Table, vstack

from astroclust.catalogs import find_field, float_values
from astroclust.data_files import read_data
from astroclust.evaluation import agreement, confusion_matrix, mean_confusion
from astroclust.instruments import LEGUS_CLASSES
from astroclust.plotting import plot_class_distributions

__all__ = ["AGAIN", "add_people", "adopted_levels", "repeated_labels", "unanimous_labels"]

_CLUSTERS = {2: 1}  # merged in the paper (sec. 2.1)
_SAMPLES = ("bcw", "consensus")  # human classes, not merged
_SECOND = "PHANGS-HST"
#: LEGUS field and PHANGS-HST target that BCW classified twice.
AGAIN = "ngc3351"
_COLUMNS = (*map(str, LEGUS_CLASSES.numbers), "1+2", "all")


def unanimous_labels(labels, means):
    """Fraction of unanimous labels, for which the mean of the classes equals the mode.

    As the mean of different classes may equal their mode by chance, for example for 1, 2, 2 and 3,
    the result is an upper limit.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        Modes.
    means : array_like of float, shape (n,)
        Means; objects with unknown mean are ignored.

    Returns
    -------
    table : `~astropy.table.Table`
        One row per class: ``class``, ``total`` and ``percent``, NaN if there are no objects.

    Examples
    --------
    >>> from astroclust.experiments.wei2020_people import unanimous_labels
    >>> print(unanimous_labels([1, 1, 2], [1.0, 1.33, 2.0])[:2])
    class total percent
    ----- ----- -------
        1     2    50.0
        2     1   100.0
    """
    labels, means = np.asarray(labels), float_values(means)
    rows = []
    for number in LEGUS_CLASSES.numbers:
        own = means[np.isfinite(means) & (labels == number)]
        agree = np.abs(own - number) < 0.01  # means are rounded
        rows.append((number, len(own), 100 * agree.mean() if len(own) else np.nan))
    table = Table(rows=rows, names=("class", "total", "percent"))
    table["percent"].info.format = ".1f"
    return table


def repeated_labels(tables):
    """Pairs of classes of objects that were classified twice in overlapping fields.

    Parameters
    ----------
    tables : dict of str to `~astropy.table.Table`
        Samples by origin of the labels, with ``field``, ``class`` and sky positions; the classes of
        the first are the reference.

    Returns
    -------
    pairs : `~astropy.table.Table`
        One row per pair: ``galaxy``, ``first`` and ``second``, the samples, ``class_a`` and
        ``class_b``. Fields of one sample are paired once.

    Examples
    --------
    >>> from astropy.table import Table, vstack
    >>> from astroclust.experiments.wei2020_people import repeated_labels
    >>> sky = {"ra": [24.17, 24.18], "dec": [15.78, 15.78]}
    >>> center = Table({"field": ["ngc628-c"] * 2, "class": [1, 2], **sky})
    >>> east = Table({"field": ["ngc628-e"] * 2, "class": [1, 3], **sky})
    >>> pairs = repeated_labels({"consensus": vstack([center, east])})
    >>> print(pairs["galaxy", "class_a", "class_b"])
     galaxy class_a class_b
    ------- ------- -------
    NGC 628       1       1
    NGC 628       2       3
    """
    fields = [
        (labels, name, table[np.asarray(table["field"]) == name])
        for labels, table in tables.items()
        for name in dict.fromkeys(np.asarray(table["field"]).tolist())
    ]
    names = ("galaxy", "first", "second", "class_a", "class_b")
    parts = [Table(names=names, dtype=("U20", "U20", "U20", int, int))]
    for i, (first, name, a) in enumerate(fields):
        galaxy = find_field(name).galaxy
        for second, other, b in fields[i + 1 :]:
            if find_field(other).galaxy == galaxy:
                pairs = agreement(a, b)["class_a", "class_b"]
                n = len(pairs)
                pairs.add_columns([[galaxy] * n, [first] * n, [second] * n], [0] * 3, names[:3])
                parts.append(pairs[list(names)])
    return vstack([parts[0], *(part for part in parts if len(part))], metadata_conflicts="silent")


def adopted_levels():
    """Human agreement adopted by Wei et al. (2020) for each class.

    Returns
    -------
    levels : dict of str to tuple of float
        Lowest and highest percentage of agreement by class.

    Examples
    --------
    >>> from astroclust.experiments.wei2020_people import adopted_levels
    >>> adopted_levels()["1"]
    (70.0, 80.0)
    """
    published = read_data("wei2020_people")
    low, high = (
        published[(published["kind"] == "level") & (published["limit"] == limit)]
        for limit in ("from", "to")
    )
    return {
        name: (float(least), float(most))
        for name, least, most in zip(low["classes"], low["percent"], high["percent"], strict=True)
    }


def add_people(report, samples, networks, select, again=None):
    """Add human agreement, and networks compared with it, to a report.

    Parameters
    ----------
    report : `~astroclust.reports.Report`
        The report.
    samples : dict of str to `~astroclust.stamps.Stamps`
        Samples by their labels, all with trained networks.
    networks : sequence of str
        Architectures.
    select : callable
        Returns the classes of one experiment, by the keywords ``part``, ``labels`` and
        ``architecture``, with ``run``, ``label`` and ``class``.
    again : `~astropy.table.Table`, optional
        Classes of NGC 3351 in PHANGS-HST, where BCW classified it a second time.
    """
    people = {labels: samples[labels].table for labels in _SAMPLES if labels in samples}
    if again is not None:
        people[_SECOND] = again
    pairs = repeated_labels(people)
    confusions = {
        f"{name}, trained on bcw": mean_confusion(_matrices(rows))
        for name in networks
        if len(rows := select(part="validation", labels="bcw", architecture=name))
    }
    if len(pairs):
        confusions["people, repeated"] = confusion_matrix(pairs["class_a"], pairs["class_b"])
    report.add(
        "People",
        "For each class, the percentage of the objects of the first classifier to which the second "
        "assigned the same class; 1+2 merges both classes (sec. 2.1). The column all is the "
        "percentage of clusters that two catalogs have in common. Rows from ours are based on the "
        "labels of the samples: an upper limit, from the mean class, on how often all LEGUS "
        "classifiers agree with their mode; and objects in overlapping fields that were "
        "classified twice. BCW's classes of NGC 4656 are not in "
        f"these samples. {_text_of(again)} The figure has the layout of Fig. 2: classes from "
        "networks and from repeated human classification for the objects of each class, with the "
        "published human agreement as lines.",
        name="people",
        table=_people_table(people, pairs),
        form=".0f",
        figure=plot_class_distributions(confusions, agreement=_published_agreement())
        if confusions
        else None,
    )
    report.add(
        "Networks against human agreement",
        "Recall of each class in percent, mean and standard deviation over the training runs, and "
        "whether the mean is below, within or above the human agreement adopted in the paper (for "
        "each class, not for 1+2). As sec. 2.1 gives three ranges for four classes, the levels "
        "are those of the abstract.",
        name="levels",
        table=_levels_table(networks, tuple(samples), select),
    )


def _text_of(again):
    """Text on the origin of the second classes of NGC 3351."""
    if again is None:
        return (
            "The second classes of NGC 3351 are those of PHANGS-HST, whose catalogs are not in "
            "the data folder."
        )
    return (
        "The second classes of NGC 3351 are those of PHANGS-HST, of objects within 0.1 arcsec in "
        "a later catalog than that of the paper, which only has classes 1 to 3; objects that "
        "became class 4 are not included."
    )


def _matrices(rows, merge=None):
    runs = rows.group_by("run").groups
    return [confusion_matrix(run["label"], run["class"], merge=merge) for run in runs]


def _published_agreement():
    """Agreement by class of each pair of classifiers, for the figure."""
    published = read_data("wei2020_people")
    known = {}
    for row in published[published["kind"] == "classes"]:
        if row["classes"].isdigit():
            name = f"{row['field']}: {row['first']},\n{row['second']}"
            known.setdefault(name, {})[int(row["classes"])] = row["percent"]
    return known


def _people_table(tables, pairs):
    """One row per comparison of human classes, published and ours."""
    rows = [*_published_rows(), *_rows_of_modes(tables), *_rows_of_pairs(pairs)]
    table = Table(rows=[row[:3] for row in rows], names=("field", "first", "second"))
    for name in _COLUMNS:
        percent = np.array([row[3].get(name, np.nan) for row in rows], float)
        column = name if name == "all" else f"class_{name}"
        table[column] = MaskedColumn(percent, mask=np.isnan(percent), unit="%")
    totals = [row[4] for row in rows]
    table["objects"] = MaskedColumn(totals, mask=[total == 0 for total in totals])
    table["limit"], table["source"] = [row[5] for row in rows], [row[6] for row in rows]
    return table


def _published_rows():
    """Rows of the comparisons in the paper, two for a range."""
    comparisons = {}
    for row in read_data("wei2020_people").filled(""):
        section = f"sec. {row['section']}" if row["section"][0].isdigit() else row["section"]
        key = (row["field"], row["first"], row["second"], row["limit"], f"paper, {section}")
        comparisons.setdefault(key, {})[row["classes"]] = row["percent"]
    return [(*key[:3], values, 0, *key[3:]) for key, values in comparisons.items()]


def _rows_of_modes(tables):
    """Row for the agreement with the consensus mode, an upper limit, if the mean is known."""
    table = tables.get("consensus")
    if table is None or "class_mean" not in table.colnames:
        return
    agree = unanimous_labels(table["class"], table["class_mean"])
    if agree["total"].sum():
        values = {str(row["class"]): row["percent"] for row in agree}
        yield (
            "consensus, all",
            "mode of classifiers",
            "all classifiers",
            values,
            agree["total"].sum(),
            "to",
            "ours",
        )


def _rows_of_pairs(pairs):
    """One row for each galaxy and pair of samples in which objects have two classes."""
    for group in pairs.group_by(["galaxy", "first", "second"]).groups if len(pairs) else ():
        values = _agreements(group["class_a"], group["class_b"])
        first, second = group["first"][0], group["second"][0]
        second = f"{second}, in a field that overlaps" if first == second else second
        yield group["galaxy"][0], first, second, values, len(group), "", "ours"


def _agreements(labels, classes):
    """Percentage of each class with the same class again, and of 1 and 2 merged."""
    whole, merged = (
        mean_confusion([confusion_matrix(labels, classes, merge=merge)])
        for merge in (None, _CLUSTERS)
    )
    return {name: percent for name, (percent, _) in _diagonals(whole, merged).items()}


def _diagonals(confusion, merged):
    """Mean and standard deviation of the recall, by class and for 1 and 2 merged."""
    rows = {str(row["class"]): row for row in confusion} | {"1+2": merged[0]}
    return {
        name: (row[f"class_{row['class']}"], row[f"class_{row['class']}_std"])
        for name, row in rows.items()
    }


def _levels_table(networks, samples, select):
    """One row per experiment: recall of each class against human agreement."""
    levels, rows = adopted_levels(), []
    for name, labels, part in product(networks, samples, ("validation", "new galaxy")):
        classes = select(part=part, labels=labels, architecture=name)
        if len(classes):
            merged = mean_confusion(_matrices(classes, _CLUSTERS))
            right = _diagonals(mean_confusion(_matrices(classes)), merged)
            verdicts = [f"{key} {_verdict(right[key][0], *levels[key])}" for key in levels]
            row = {
                "trained": f"{name}, labels {labels}, {part}",
                "against_people": ", ".join(verdicts),
            }
            for key, values in right.items():
                row |= {f"class_{key}": values[0], f"class_{key}_std": values[1]}
            rows.append(row)
    return Table(rows=rows)


def _verdict(percent, low, high):
    """Whether a percentage is below, within or above a level."""
    if np.isnan(percent):
        return "unknown"
    return "below" if percent < low else "within" if percent <= high else "above"
