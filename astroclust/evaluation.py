# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""How well classes agree with labels, as tables."""

import numpy as np
from astropy.table import Table
from scipy.spatial import KDTree

from astroclust.catalogs import CLASSES

__all__ = ["class_scores", "confusion_matrix", "match_labels"]


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
