# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Mean and scatter of the scores of several training runs."""

import numpy as np
from astropy.table import Table

from astroclust.evaluation.confusion import class_scores, mean_and_scatter
from astroclust.evaluation.fractions import FRACTION

__all__ = ["mean_scores", "paired_changes"]

_SCORES = ("recall", "precision", "f1")


def mean_scores(trainings, *, merge=None, scheme="legus"):
    """Mean and standard deviation of the scores of several training runs.

    Runs that classify the same objects are not independent samples of objects: pooling their
    classes would count each object many times and underestimate the errors. Their scatter is due
    to the initial weights, as in Wei et al. (2020, sec. 3.3).

    Parameters
    ----------
    trainings : iterable of (labels, classes)
        One pair per run; see `confusion_matrix`.
    merge : dict of int to int, optional
        See `confusion_matrix`.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme.

    Returns
    -------
    scores : `~astropy.table.Table`
        One row per class: ``class`` and ``name``; ``total``, the mean number of objects; and
        ``recall``, ``recall_std``, ``precision``, ``precision_std``, ``f1`` and ``f1_std``, over
        the runs for which they are defined (NaN for none, standard deviations also for one).
        ``meta`` has ``ACCURACY``, ``ACCURACY_STD`` and the number of ``TRAININGS``.

    Raises
    ------
    ValueError
        If there are no runs; see also `confusion_matrix`.

    Examples
    --------
    >>> from astroclust.evaluation import mean_scores
    >>> scores = mean_scores([([1, 1, 4], [1, 1, 4]), ([1, 1, 4], [1, 4, 4])])
    >>> print(scores["class", "total", "recall", "recall_std"][:1])
    class total recall recall_std
    ----- ----- ------ ----------
        1   2.0  0.750      0.354
    >>> round(scores.meta["ACCURACY"], 3), round(scores.meta["ACCURACY_STD"], 3)
    (0.833, 0.236)
    """
    tables = [class_scores(*pair, merge=merge, scheme=scheme) for pair in trainings]
    if not tables:
        raise ValueError("no training runs to average; pass at least one")
    scores = tables[0]["class", "name"]
    scores["total"] = np.mean([table["total"] for table in tables], axis=0)
    for name in _SCORES:
        values = mean_and_scatter([table[name] for table in tables])
        for key, value in zip((name, f"{name}_std"), values, strict=True):
            scores[key] = value
            scores[key].info.format = FRACTION
    mean, scatter = mean_and_scatter([table.meta["ACCURACY"] for table in tables])
    scores.meta = {
        "ACCURACY": float(mean),
        "ACCURACY_STD": float(scatter),
        "TRAININGS": len(tables),
    }
    return scores


def paired_changes(before, after, *, scheme="legus"):
    """Changes of accuracy and recall within each training run, such as from the loss of a band.

    Most of the scatter between runs is common to both, and cancels in the difference.

    Parameters
    ----------
    before, after : sequence of (labels, classes)
        One pair per run, in the same order; see `confusion_matrix`.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme.

    Returns
    -------
    changes : `~astropy.table.Table`
        One row per run: ``accuracy``, and ``recall_1`` ..., as fractions; NaN for classes without
        objects.

    Raises
    ------
    ValueError
        If the numbers of runs before and after differ; see also `confusion_matrix`.

    Examples
    --------
    >>> from astroclust.evaluation import paired_changes
    >>> before = [([1, 4], [1, 4]), ([1, 4], [1, 1])]
    >>> after = [([1, 4], [4, 4]), ([1, 4], [4, 1])]
    >>> paired_changes(before, after)["accuracy", "recall_1"].pprint()
    accuracy recall_1
    -------- --------
      -0.500   -1.000
      -0.500   -1.000
    """
    before, after = list(before), list(after)
    if len(before) != len(after):
        raise ValueError(
            f"there are {len(before)} training runs before and {len(after)} after; pass the same "
            "runs"
        )
    rows = []
    for pair in zip(before, after, strict=True):
        first, second = (class_scores(*one, scheme=scheme) for one in pair)
        change = second["recall"] - first["recall"]
        row = {"accuracy": second.meta["ACCURACY"] - first.meta["ACCURACY"]}
        rows.append(row | {f"recall_{n}": c for n, c in zip(first["class"], change, strict=True)})
    changes = Table(rows=rows)
    for column in changes.itercols():
        column.info.format = FRACTION
    return changes
