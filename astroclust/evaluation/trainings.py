# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Scores of several trainings of one network, with their scatter."""

import numpy as np
from astropy.table import Table

from astroclust.evaluation.confusion import class_scores, mean_and_scatter
from astroclust.evaluation.fractions import FRACTION

__all__ = ["mean_scores", "paired_changes"]

_SCORES = ("recall", "precision", "f1")


def mean_scores(trainings, *, merge=None, scheme="legus"):
    """Mean and standard deviation of the scores of several trainings.

    Trainings that classify the same objects are not independent samples of objects: to take all
    of their classes together counts each object many times, which makes errors too small. Their
    scatter is that of the first weights, as in Wei et al. (2020, sec. 3.3).

    Parameters
    ----------
    trainings : iterable of (labels, classes)
        One pair per training; see `confusion_matrix`.
    merge : dict of int to int, optional
        See `confusion_matrix`.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        The classes that there are.

    Returns
    -------
    scores : `~astropy.table.Table`
        One row per class: ``class`` and ``name``; ``total``, the mean number of objects; and
        ``recall``, ``recall_std``, ``precision``, ``precision_std``, ``f1`` and ``f1_std``,
        fractions over the trainings that have them (NaN for none, standard deviations also for
        one). ``meta`` has ``ACCURACY``, ``ACCURACY_STD`` and the number of ``TRAININGS``.

    Raises
    ------
    ValueError
        If there are no trainings, or as `confusion_matrix` does.

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
        raise ValueError("there are no trainings to take the mean of")
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
    """Changes of accuracy and recalls within each training, such as by the loss of a band.

    Most of the scatter from training to training is common to both, and drops out of the change.

    Parameters
    ----------
    before, after : sequence of (labels, classes)
        One pair per training, in the same order; see `confusion_matrix`.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        The classes that there are.

    Returns
    -------
    changes : `~astropy.table.Table`
        One row per training: ``accuracy``, and ``recall_1`` ..., fractions; NaN for a class
        without objects.

    Raises
    ------
    ValueError
        If there are not as many trainings before as after, or as `confusion_matrix` does.

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
            f"there are {len(before)} trainings before and {len(after)} after: give the same ones"
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
