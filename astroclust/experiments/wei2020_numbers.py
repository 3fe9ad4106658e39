# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Comparison with the numbers in the text of Wei et al. (2020)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.table import Table

from astroclust.data_files import read_data
from astroclust.evaluation import class_scores
from astroclust.experiments.ablation import classes_by_run
from astroclust.training import find_recipe

__all__ = ["add_numbers"]

# Recipes of the networks of the paper.
_RECIPES = {"resnet18": "wei2020", "vgg19_bn": "wei2020-vgg19"}
_SAMPLES = ("bcw", "consensus")


@dataclass(frozen=True)
class _Ours:
    """A reproduction."""

    select: Any  # classes of one experiment
    plan: Any
    samples: dict  # stamps by labels

    def networks(self, row):
        """Recipes and architectures that correspond to the networks of a published number."""
        names = [row["network"]] if row["network"] else _RECIPES
        recipes = [_RECIPES[name] for name in names]
        return [(name, self.plan.networks[name]) for name in recipes if name in self.plan.networks]

    def labels(self, row):
        """Samples of a published number."""
        names = [row["labels"]] if row["labels"] else _SAMPLES
        return [name for name in names if name in self.plan.labels]

    def recalls(self, row, part, size="50"):
        """Recalls in percent, an array of shape (n_runs, 4) for each experiment of a number."""
        found = [
            self.select(part=part, labels=labels, architecture=architecture, size=size)
            for _, architecture in self.networks(row)
            for labels in self.labels(row)
        ]
        return [_recalls(table) for table in found if len(table)]


def add_numbers(report, select, plan, samples):
    """Add a comparison with the numbers in the text of the paper to a report.

    Parameters
    ----------
    report : `~astroclust.reports.Report`
        The report.
    select : callable
        Returns the classes of one experiment, by the keywords ``part``, ``labels``,
        ``architecture`` and ``size``, with ``run``, ``label`` and ``class``.
    plan : ``astroclust.experiments.wei2020._Plan``
        Networks and lengths of the reproduction.
    samples : dict of str to `~astroclust.stamps.Stamps`
        Samples by their labels.
    """
    ours, rows = _Ours(select, plan, samples), []
    for row in read_data("wei2020_text").filled(""):
        values = np.array(_OURS[row["quantity"]](ours, row), float)
        known = values[np.isfinite(values)]
        summary = (known.mean(), known.min(), known.max()) if len(known) else (np.nan,) * 3
        rows.append((f"sec. {row['section']}".replace("sec. abs", "abs"), _what(row)))
        rows[-1] += (row["value"], row["limit"], *summary, len(known))
    names = ("source", "number", "paper", "limit", "ours", "lowest", "highest", "values")
    report.add(
        "Numbers in the text",
        "Of the abstract and of secs 3 to 5. Ours are means over the networks that correspond to "
        "those of the paper, over both samples unless one is named, and over all classes unless "
        "one is named; lowest and highest refer to single networks, samples and classes. Recalls "
        "are of the new galaxy; a drop is the recall of the validation set minus that of the new "
        "galaxy; the variation with the size of the stamps is the range of the recalls of a class "
        "at 25, 50 and 100 pixels. Cells are empty if this reproduction has no such number.",
        name="text",
        table=Table(rows=rows, names=names),
        form=_digits,
    )


def _what(row):
    """Description of a number."""
    parts = [row["quantity"].replace("_", " ")]
    parts.append(f"class {row['class']}" if row["class"] else "")
    parts.append(f"labels {row['labels']}" if row["labels"] else "")
    text = ", ".join(filter(None, (*parts, row["network"])))
    return f"{text} ({row['unit']})" if row["unit"] else text


def _digits(value):
    """Format a number with significant digits; empty for NaN."""
    return "" if np.isnan(value) else f"{value:.0f}" if value == round(value) else f"{value:.1f}"


def _recalls(table):
    scores = [class_scores(*pair) for pair in classes_by_run(table).values()]
    return 100 * np.array([one["recall"] for one in scores], float)


def _recall(ours, row):
    return [_mean(runs[:, _class(row)]) for runs in ours.recalls(row, "new galaxy")]


def _drop(ours, row):
    parts = [ours.recalls(row, part) for part in ("validation", "new galaxy")]
    return [
        _mean(known[:, _class(row)]) - _mean(new[:, _class(row)])
        for known, new in zip(*parts, strict=True)
    ]


def _scatter(ours, row):
    """Standard deviations of the recall of each class over the training runs."""
    runs = ours.recalls(row, "validation")
    return [value for one in runs if len(one) > 1 for value in np.std(one, axis=0, ddof=1)]


def _size_variation(ours, row):
    """Range of the recall of each class with the size of the stamps."""
    by_size = [ours.recalls(row, "validation", size) for size in ("25", "50", "100")]
    means = [[list(map(_mean, one.T)) for one in sizes] for sizes in by_size]
    if not all(means):
        return []
    return np.ptp(np.array(means), axis=0).ravel()


def _training_objects(ours, row):
    """Number of objects of a class in the training set, unless that is limited."""
    tested = _tested(ours, row)
    if tested is None or ours.plan.n_training is not None:
        return []
    number = int(row["class"])
    classes = np.asarray(ours.samples[row["labels"]].table["class"])
    return [np.count_nonzero(classes == number) - np.count_nonzero(tested["label"] == number)]


def _test_fraction(ours, row):
    tested = _tested(ours, row)
    return [] if tested is None else [100 * len(tested) / len(ours.samples[row["labels"]])]


def _tested(ours, row):
    """The validation set of a sample in its first run, None if nothing was trained on it."""
    for labels in ours.labels(row):
        for architecture in ours.plan.networks.values():
            tested = ours.select(part="validation", labels=labels, architecture=architecture)
            if len(tested):
                return tested[tested["run"] == tested["run"][0]]
    return None


def _batch_size(ours, row):
    return [find_recipe(name).batch_size for name, _ in ours.networks(row)]


def _batches(ours, row):
    names = [name for name, _ in ours.networks(row)]
    return [ours.plan.batches.get(name, find_recipe(name).batches) for name in names]


def _images(ours, row):
    return np.multiply(_batches(ours, row), _batch_size(ours, row))


def _class(row):
    return int(row["class"]) - 1


def _mean(values):
    """Mean of the runs that have objects of a class, NaN if none has."""
    known = values[np.isfinite(values)]
    return known.mean() if len(known) else np.nan


_OURS = {
    "recall": _recall,
    "drop": _drop,
    "scatter": _scatter,
    "size_variation": _size_variation,
    "training_objects": _training_objects,
    "test_fraction": _test_fraction,
    "runs": lambda ours, _: [ours.plan.runs],
    "batch_size": _batch_size,
    "batches": _batches,
    "images": _images,
}
