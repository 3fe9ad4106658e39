# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Scores of the training runs of an experiment, and the importance of each band."""

import numpy as np
from astropy.table import Table
from scipy.stats import binomtest

from astroclust.evaluation import mean_and_scatter, mean_scores, paired_changes
from astroclust.evaluation.fractions import FRACTION
from astroclust.instruments import LEGUS_CLASSES

__all__ = [
    "SIGNIFICANT",
    "band_changes",
    "change_row",
    "classes_by_run",
    "most_needed",
    "scores_of_experiment",
    "sign_test_p",
]

#: Probability below which a difference is significant.
SIGNIFICANT = 0.05
_MERGES = {
    "four classes": None,
    "1 and 2 merged": {2: 1},
    "clusters": {2: 1, 3: 1},
}


def classes_by_run(classified):
    """Labels and classes of each run of an experiment, see `~astroclust.evaluation.mean_scores`.

    Parameters
    ----------
    classified : `~astropy.table.Table`
        Classes of one network and part, with ``run``.

    Returns
    -------
    trainings : dict of str to tuple
        Labels and classes by run.
    """
    return {
        str(run["run"][0]): (run["label"], run["class"])
        for run in classified.group_by("run").groups
    }


def scores_of_experiment(classified):
    """Scores of an experiment, for four classes and for merged classes.

    Parameters
    ----------
    classified : `~astropy.table.Table`
        Classes of one network and part, with ``run``.

    Returns
    -------
    scores : `~astropy.table.Table`
        Scores of `~astroclust.evaluation.mean_scores`, stacked, with ``classes``,
        ``accuracy`` and ``accuracy_std``.
    """
    trainings = list(classes_by_run(classified).values())
    rows = []
    for name, merge in _MERGES.items():
        scores = mean_scores(trainings, merge=merge)
        accuracy = {
            "accuracy": scores.meta["ACCURACY"],
            "accuracy_std": scores.meta["ACCURACY_STD"],
        }
        for row in scores:
            values = dict(zip(scores.colnames, row, strict=True))
            rows.append({"classes": name} | values | accuracy)
    table = Table(rows=rows)
    for column in table.itercols():
        if column.dtype.kind == "f":
            column.info.format = ".1f" if column.name == "total" else FRACTION
    return table


def band_changes(whole, parts):
    """Changes of the accuracy in each training if a band is set to zero.

    Parameters
    ----------
    whole : `~astropy.table.Table`
        Classes of one network with all bands, with ``run``.
    parts : dict of str to `~astropy.table.Table`
        Classes without each band, by its name.

    Returns
    -------
    changes : dict of str to `~astropy.table.Table`
        Result of `~astroclust.evaluation.paired_changes` in points, by band.
    """
    before = classes_by_run(whole)
    changes = {}
    for band, part in parts.items():
        after = classes_by_run(part)
        runs = [run for run in before if run in after]
        table = paired_changes([before[run] for run in runs], [after[run] for run in runs])
        for name in table.colnames:
            table[name] *= 100
        changes[band] = table
    return changes


def change_row(changes):
    """Mean and standard deviation, over the training runs, of the changes for one band.

    Parameters
    ----------
    changes : `~astropy.table.Table`
        Changes for one band, see `band_changes`.

    Returns
    -------
    row : dict of str to float
        ``change`` and ``change_std`` of the accuracy, and of the recall of each class.
    """
    row = {}
    names = {"accuracy": "change"} | {f"recall_{n}": f"change_{n}" for n in LEGUS_CLASSES.numbers}
    for name, key in names.items():
        row[key], row[f"{key}_std"] = map(float, mean_and_scatter(np.asarray(changes[name])))
    return row


def most_needed(changes):
    """Band whose loss costs the most accuracy, if significant.

    Parameters
    ----------
    changes : dict of str to `~astropy.table.Table`
        Changes for each band, see `band_changes`.

    Returns
    -------
    band : str or None
        None if another band costs as much according to a two-sided sign test over the training
        runs, or if no band costs any accuracy.
    text : str
        A sentence with the numbers.
    """
    means = {band: float(np.mean(table["accuracy"])) for band, table in changes.items()}
    first, *others = sorted(means, key=means.get)
    cost = f"{first} costs {-means[first]:.1f} points"
    if means[first] >= 0:
        return None, "no band costs any accuracy"
    for other in others:
        more = changes[other]["accuracy"] - changes[first]["accuracy"]
        p = sign_test_p(more)
        if p >= SIGNIFICANT:
            return None, (
                f"no band costs more than all others: {cost}, {other} {-means[other]:.1f} "
                f"({first} costs more in {np.count_nonzero(more > 0)} training runs, less in "
                f"{np.count_nonzero(more < 0)}; p = {p:.2g})"
            )
    return first, f"{cost}, more than any other band"


def sign_test_p(differences):
    """Two-sided sign test.

    Parameters
    ----------
    differences : array_like of float, shape (n,)
        Differences of pairs; zeros are ignored.

    Returns
    -------
    p : float
        1 if all are 0.

    Examples
    --------
    >>> from astroclust.experiments.ablation import sign_test_p
    >>> sign_test_p([1.0] * 10), sign_test_p([0.0])
    (0.001953125, 1.0)
    """
    signs = np.sign(differences)
    higher, lower = np.count_nonzero(signs > 0), np.count_nonzero(signs < 0)
    return float(binomtest(higher, higher + lower).pvalue) if higher + lower else 1.0
