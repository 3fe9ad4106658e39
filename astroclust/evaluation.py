# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""How well classes and their probabilities agree with labels, as tables."""

import numpy as np
from astropy.table import Table
from scipy.spatial import KDTree

from astroclust.catalogs import CLASSES

__all__ = [
    "calibration_curve",
    "class_scores",
    "confusion_matrix",
    "match_labels",
    "purity_curve",
    "purity_threshold",
]


def match_labels(table, truth, *, radius=5.0, unmatched=4):
    """Labels of candidates, from the nearest objects of known class.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Candidates, with ``x`` and ``y`` in pixels.
    truth : `~astropy.table.Table`, length m
        Objects of known class, with ``x``, ``y`` and ``class``.
    radius : float, optional
        Largest distance in pixels; by default about the extent of an association, any peak of
        which may be its candidate.
    unmatched : int, optional
        Label of candidates with no object that near: by default not a cluster.

    Returns
    -------
    labels : `~numpy.ndarray` of int16, shape (n,)
        In the order of the candidates.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.evaluation import match_labels
    >>> truth = Table({"x": [10.0], "y": [10.0], "class": [1]})
    >>> print(match_labels(Table({"x": [11.0, 40.0], "y": [10.0, 10.0]}), truth))
    [1 4]
    """
    labels = np.full(len(table), unmatched, np.int16)
    if len(table) and len(truth):
        tree = KDTree(np.column_stack([truth["x"], truth["y"]]))
        distance, nearest = tree.query(np.column_stack([table["x"], table["y"]]))
        near = distance <= radius
        labels[near] = np.asarray(truth["class"])[nearest[near]]
    return labels


def confusion_matrix(labels, classes):
    """Count objects by their label and the class they were given.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes, of `~astroclust.catalogs.CLASSES`.
    classes : array_like of int, shape (n,)
        Classes given; masked where not classified, which leaves the object out.

    Returns
    -------
    counts : `~astropy.table.Table`
        A row a true class: ``class``; ``class_1`` ... ``class_4``, objects given each class; and
        ``total``. As in Wei et al. (2020, Fig. 3), rows are true classes.

    Raises
    ------
    ValueError
        Where the lengths differ, or a value is not a class.

    Examples
    --------
    >>> from astroclust import confusion_matrix
    >>> print(confusion_matrix([1, 1, 4], [1, 2, 4])["class", "class_1", "class_2", "total"])
    class class_1 class_2 total
    ----- ------- ------- -----
        1       1       1     2
        2       0       0     0
        3       0       0     0
        4       0       0     1
    """
    labels, classes = np.ma.asarray(labels), np.ma.asarray(classes)
    if labels.shape != classes.shape or labels.ndim != 1:
        raise ValueError(f"labels and classes differ in shape: {labels.shape}, {classes.shape}")
    known = ~(np.ma.getmaskarray(labels) | np.ma.getmaskarray(classes))
    labels, classes = labels.data[known], classes.data[known]
    unknown = sorted({*labels.tolist(), *classes.tolist()} - set(CLASSES))
    if unknown:
        raise ValueError(f"{unknown} are not classes: those are {list(CLASSES)}")
    counts = Table({"class": np.array(list(CLASSES), np.int16)})
    for given in CLASSES:
        counts[f"class_{given}"] = [
            np.count_nonzero((labels == true) & (classes == given)) for true in CLASSES
        ]
    counts["total"] = [np.count_nonzero(labels == true) for true in CLASSES]
    return counts


def class_scores(labels, classes):
    """Recall, precision and F1 of each class, and the accuracy of all.

    Parameters
    ----------
    labels, classes : array_like of int, shape (n,)
        As `confusion_matrix` takes them.

    Returns
    -------
    scores : `~astropy.table.Table`
        A row a class: ``class``, ``name``, ``total``, ``recall``, ``precision`` and ``f1``
        (fractions; NaN where there is nothing to divide by). ``meta["ACCURACY"]`` is the
        fraction of all objects whose class is their label.

    Examples
    --------
    >>> from astroclust import class_scores
    >>> scores = class_scores([1, 1, 4, 4], [1, 2, 4, 4])
    >>> scores.meta["ACCURACY"]
    0.75
    """
    counts = confusion_matrix(labels, classes)
    matrix = np.column_stack([counts[f"class_{given}"] for given in CLASSES]).astype(float)
    right = np.diag(matrix)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = Table(
            {
                "class": counts["class"],
                "name": list(CLASSES.values()),
                "total": counts["total"],
                "recall": right / matrix.sum(axis=1),
                "precision": right / matrix.sum(axis=0),
                "f1": 2 * right / (matrix.sum(axis=0) + matrix.sum(axis=1)),
            }
        )
        scores.meta["ACCURACY"] = float(right.sum() / matrix.sum()) if matrix.sum() else np.nan
    return scores


def calibration_curve(labels, probabilities, *, bins=15):
    """How often classes are right, against how probable they were said to be.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes, of `~astroclust.catalogs.CLASSES`.
    probabilities : array_like of float, shape (n, n_classes)
        Those of the classes in their order; a row of NaN, not classified, is left out.
    bins : int, optional
        Bins of equal width from 0 to 1.

    Returns
    -------
    curve : `~astropy.table.Table`
        A row a bin: ``low``, ``high``, ``total``, ``probability`` and ``accuracy``, which are the
        mean probability of the most probable class and how often that is right; NaN in an empty
        bin. ``meta["ECE"]`` is the expected calibration error, the mean difference of both (Guo et
        al. 2017, ICML, 1321).

    Raises
    ------
    ValueError
        Where shapes do not fit, a label is not a class, or there are no bins.

    Examples
    --------
    >>> from astroclust import calibration_curve
    >>> curve = calibration_curve([1, 1], [[0.7, 0.1, 0.1, 0.1], [0.3, 0.5, 0.1, 0.1]], bins=2)
    >>> round(curve.meta["ECE"], 3)
    0.1
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    labels, probabilities = _known(labels, probabilities)
    chosen = probabilities.max(axis=1, initial=0)
    right = np.array(list(CLASSES))[probabilities.argmax(axis=1)] == labels
    edges = np.linspace(0, 1, bins + 1)
    number = np.clip(np.ceil(chosen * bins).astype(int) - 1, 0, bins - 1)
    total = np.bincount(number, minlength=bins)
    with np.errstate(invalid="ignore"):
        probability = np.bincount(number, chosen, bins) / total
        accuracy = np.bincount(number, right, bins) / total
    curve = Table(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "total": total,
            "probability": probability,
            "accuracy": accuracy,
        }
    )
    gaps = np.nan_to_num(np.abs(probability - accuracy))
    curve.meta["ECE"] = float(np.sum(total * gaps) / len(labels)) if len(labels) else np.nan
    return curve


def purity_curve(labels, probabilities, *, classes=(1, 2, 3)):
    """Purity and completeness of the samples that thresholds on a probability select.

    Parameters
    ----------
    labels, probabilities : array_like
        As `calibration_curve` takes them.
    classes : sequence of int, optional
        Classes that are wanted; the probability is the sum of theirs. By default all clusters.

    Returns
    -------
    curve : `~astropy.table.Table`
        A row a threshold, from the highest: ``threshold``, objects are selected whose probability
        is not less; ``total`` of those; ``purity``, the share of them that are of the classes; and
        ``completeness``, the share of the classes that is selected (NaN where there is none).

    Raises
    ------
    ValueError
        Where shapes do not fit, or a label or one of ``classes`` is not a class.

    Examples
    --------
    >>> from astroclust import purity_curve
    >>> curve = purity_curve([1, 4], [[0.7, 0.1, 0.1, 0.1], [0.2, 0.1, 0.1, 0.6]])
    >>> print(curve["purity"].tolist(), curve["completeness"].tolist())
    [1.0, 0.5] [1.0, 1.0]
    """
    unknown = set(classes) - set(CLASSES)
    if unknown or not classes:
        raise ValueError(f"classes must be some of {list(CLASSES)}, not {list(classes)}")
    labels, probabilities = _known(labels, probabilities)
    is_wanted = np.isin(list(CLASSES), list(classes))
    scores = probabilities[:, is_wanted].sum(axis=1)
    order = np.argsort(-scores, kind="stable")
    scores, found = scores[order], np.cumsum(np.isin(labels[order], list(classes)))
    last = np.flatnonzero(np.diff(scores, append=-np.inf))  # of objects with one probability
    with np.errstate(invalid="ignore"):
        completeness = found[last] / (found[-1] if len(found) else 0)
    return Table(
        {
            "threshold": scores[last],
            "total": last + 1,
            "purity": found[last] / (last + 1),
            "completeness": completeness,
        }
    )


def purity_threshold(labels, probabilities, purity, *, classes=(1, 2, 3)):
    """The lowest threshold on a probability at which a labelled sample has a purity.

    Parameters
    ----------
    labels, probabilities, classes
        As `purity_curve` takes them.
    purity : float
        Wanted share of the classes among what is selected, from 0 to 1.

    Returns
    -------
    threshold : float
        Select what is not below it.

    Raises
    ------
    ValueError
        Where no threshold gives that purity.

    Examples
    --------
    >>> from astroclust import purity_threshold
    >>> purity_threshold([1, 4], [[0.7, 0.1, 0.1, 0.1], [0.2, 0.1, 0.1, 0.6]], 0.9, classes=[1])
    0.7
    """
    curve = purity_curve(labels, probabilities, classes=classes)
    enough = np.flatnonzero(np.asarray(curve["purity"]) >= purity)
    if not len(enough):
        best = f"{max(curve['purity']):.3f}" if len(curve) else "that of no object"
        raise ValueError(f"no threshold gives a purity of {purity}: the best is {best}")
    return float(curve["threshold"][enough[-1]])


def _known(labels, probabilities):
    """Labels and probabilities of the objects that have both."""
    labels, probabilities = np.ma.asarray(labels), np.asarray(probabilities, float)
    if labels.ndim != 1 or probabilities.shape != (len(labels), len(CLASSES)):
        raise ValueError(
            f"n labels need probabilities of shape (n, {len(CLASSES)}), not {labels.shape} and "
            f"{probabilities.shape}"
        )
    known = ~(np.ma.getmaskarray(labels) | np.isnan(probabilities).any(axis=1))
    labels, probabilities = labels.data[known], probabilities[known]
    unknown = sorted(set(labels.tolist()) - set(CLASSES))
    if unknown:
        raise ValueError(f"{unknown} are not classes: those are {list(CLASSES)}")
    return labels, probabilities
