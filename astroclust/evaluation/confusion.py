# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Confusion matrices and scores of classes."""

from collections.abc import Mapping

import numpy as np
from astropy.table import Table
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from astroclust.catalogs import float_values
from astroclust.evaluation.fractions import FRACTION
from astroclust.instruments import ClassScheme, find_class_scheme

__all__ = ["class_scores", "confusion_matrix", "match_labels", "mean_confusion"]

_SCORES = ("recall", "precision", "f1")


def match_labels(table, truth, *, radius=5.0, unmatched=4):
    """Label candidates with the class of the nearest known object.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Candidates, with ``x`` and ``y`` in pixels.
    truth : `~astropy.table.Table`, length m
        Objects of known class, with ``x``, ``y`` and ``class``.
    radius : float, optional
        Maximum separation, in pixels; by default about the extent of an association, any peak of
        which may be its candidate.
    unmatched : int, optional
        Label of unmatched candidates; by default not a cluster.

    Returns
    -------
    labels : `~numpy.ndarray` of int16, shape (n,)
        Labels in the order of the candidates.

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


def confusion_matrix(labels, classes, *, merge=None, scheme="legus"):
    """Confusion matrix of true and predicted classes.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes of ``scheme``, or labels that it merges into one.
    classes : array_like of int, shape (n,)
        Predicted classes; masked objects, which are not classified, are excluded.
    merge : dict of int to int, optional
        Classes to be merged into another one: ``{2: 1}`` for compact clusters, ``{2: 1, 3: 1}`` for
        clusters against all else.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme; see `~astroclust.instruments.classes_of` for that of a table.

    Returns
    -------
    counts : `~astropy.table.Table`
        One row per true class, as in Wei et al. (2020, Fig. 3): ``class``; ``class_1`` ..., the
        number of objects assigned to each class; and ``total``. Merged classes have neither row
        nor column.

    Raises
    ------
    ValueError
        If the lengths differ, or a value is not a class. For 0, which means not inspected in
        catalogs, the message explains how to mask it.

    Examples
    --------
    >>> from astroclust.evaluation import confusion_matrix
    >>> print(confusion_matrix([1, 1, 4], [1, 2, 4])["class", "class_1", "class_2", "total"])
    class class_1 class_2 total
    ----- ------- ------- -----
        1       1       1     2
        2       0       0     0
        3       0       0     0
        4       0       0     1
    """
    kept, cells = coded_classes(labels, classes, merge, find_class_scheme(scheme))
    matrix = count_cells(kept, cells)
    counts = Table({"class": np.array(kept, np.int16)})
    for given, column in zip(kept, matrix.T, strict=True):
        counts[f"class_{given}"] = column
    counts["total"] = matrix.sum(axis=1)
    return counts


def coded_classes(labels, classes, merge, scheme):
    """Cell of each object in the confusion matrix.

    Parameters
    ----------
    labels, classes, merge
        See `confusion_matrix`.
    scheme : `~astroclust.instruments.ClassScheme`
        Class scheme.

    Returns
    -------
    kept : list of int
        Classes with a row and a column, which are those that are not merged.
    cells : `~numpy.ndarray` of int, shape (m,)
        Index into the flattened matrix of each object with both a label and a class.

    Raises
    ------
    ValueError
        If the lengths differ, or a value is not a class.
    """
    labels, classes = known_classes(labels, classes)
    merge = dict(merge or {})
    unknown = sorted({*merge, *merge.values()} - set(scheme.numbers))
    if unknown:
        raise ValueError(
            f"merge has {unknown}, which are not classes of {scheme.name}, {list(scheme.numbers)}"
        )
    for name, values in (("labels", labels), ("classes", classes)):
        check_inspected(values, name, scheme)
    kept = [number for number in scheme.numbers if number not in merge]
    if set(merge.values()) - set(kept):
        raise ValueError(
            f"merge {merge} has a target that is itself merged; map both to the final class"
        )
    rows = np.array([kept.index(merge.get(number, number)) for number in scheme.numbers])
    return kept, rows[scheme.positions(labels)] * len(kept) + rows[scheme.positions(classes)]


def count_cells(kept, cells):
    """Confusion matrix, shape (n_kept, n_kept), from the result of `coded_classes`."""
    n = len(kept)
    return np.bincount(cells, minlength=n * n).reshape(n, n)


def class_scores(
    labels: ArrayLike,
    classes: ArrayLike,
    *,
    merge: Mapping[int, int] | None = None,
    scheme: str | ClassScheme = "legus",
    resamples: int = 0,
    seed: int = 0,
) -> Table:
    """Recall, precision and F1 score of each class, and the overall accuracy.

    Parameters
    ----------
    labels, classes, merge, scheme
        See `confusion_matrix`.
    resamples : int, optional
        Number of bootstrap samples (Efron 1979, Ann. Statist. 7, 1), whose scatter is the error of
        each score. By default, there are none.
    seed : int, optional
        Seed of the bootstrap samples.

    Returns
    -------
    scores : `~astropy.table.Table`
        One row per class: ``class``, ``name``, ``total``, ``recall``, ``precision`` and ``f1``
        (fractions; NaN if the denominator is 0). ``meta["ACCURACY"]`` is the fraction of all
        objects whose class is correct. With ``resamples``, also ``recall_error``,
        ``precision_error``, ``f1_error`` and ``meta["ACCURACY_ERROR"]``.

    Examples
    --------
    >>> from astroclust import class_scores
    >>> scores = class_scores([1, 1, 4, 4], [1, 2, 4, 4])
    >>> scores.meta["ACCURACY"]
    0.75
    >>> class_scores([1, 1, 4, 4], [1, 2, 4, 4], merge={2: 1}).meta["ACCURACY"]
    1.0
    """
    scheme = find_class_scheme(scheme)
    kept, cells = coded_classes(labels, classes, merge, scheme)
    counts = count_cells(kept, cells)
    values, accuracy = _scores(counts)
    names = {number: scheme.names[number] for number in kept}
    for merged, home in (merge or {}).items():
        names[home] += f" or {scheme.names[merged]}"
    scores = Table({"class": np.array(kept, np.int16), "name": list(names.values())})
    scores["total"] = counts.sum(axis=1)
    for score, column in zip(_SCORES, values, strict=True):
        scores[score] = column
        scores[score].info.format = FRACTION
    scores.meta["ACCURACY"] = accuracy
    if resamples:
        rng = np.random.default_rng(seed)
        samples = [
            _scores(count_cells(kept, cells[rng.integers(0, len(cells), len(cells))]))
            for _ in range(resamples)
        ]
        errors = _known_scatter([sample for sample, _ in samples])
        for score, column in zip(_SCORES, errors, strict=True):
            scores[f"{score}_error"] = column
            scores[f"{score}_error"].info.format = FRACTION
        scores.meta["ACCURACY_ERROR"] = float(np.std([accuracy for _, accuracy in samples]))
    return scores


def _known_scatter(values):
    """Standard deviation along the first axis, ignoring NaN; NaN if there are no values."""
    return np.ma.masked_invalid(values).std(axis=0).filled(np.nan)


def _scores(matrix):
    """Recall, precision and F1 score of each class, and the accuracy, from counts."""
    right, true, given = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.array([right / true, right / given, 2 * right / (true + given)])
        return values, float(right.sum() / matrix.sum())


def mean_confusion(matrices):
    """Mean and scatter of the confusion matrices of several training runs, in percent.

    Runs without objects of a class in their test set are ignored for that class.

    Parameters
    ----------
    matrices : iterable of `~astropy.table.Table`
        One matrix per run; see `confusion_matrix`.

    Returns
    -------
    mean : `~astropy.table.Table`
        One row per true class, as in Tables 4 to 7 of Wei et al. (2020): ``class``; ``class_1``,
        ``class_1_std`` ..., the mean percentage assigned to each class (NaN if no run has objects
        of the true class) and its standard deviation over the runs (NaN for fewer than two runs);
        ``total``, the mean number of objects per run; and ``runs``, the number of runs with objects
        of that class.

    Raises
    ------
    ValueError
        If there are no matrices, or they have different classes.

    Examples
    --------
    The second test set has no objects of class 2:

    >>> from astroclust.evaluation import confusion_matrix, mean_confusion
    >>> runs = [confusion_matrix([1, 1, 2], [1, 2, 2]), confusion_matrix([1, 1], [1, 1])]
    >>> print(mean_confusion(runs)["class", "class_1", "class_2", "total", "runs"][:3])
    class class_1 class_2 total runs
    ----- ------- ------- ----- ----
        1    75.0    25.0   2.0    2
        2     0.0   100.0   0.5    1
        3     nan     nan   0.0    0
    """
    matrices = list(matrices)
    if not matrices:
        raise ValueError("no confusion matrices to average; pass at least one")
    if any(matrix.colnames != matrices[0].colnames for matrix in matrices):
        raise ValueError("the confusion matrices have different classes; average them separately")
    totals = np.array([matrix["total"] for matrix in matrices], float)
    mean = Table({"class": matrices[0]["class"]})
    for name in matrices[0].colnames[1:-1]:
        counts = np.array([matrix[name] for matrix in matrices], float)
        percent = 100 * np.divide(
            counts, totals, out=np.full_like(counts, np.nan), where=totals > 0
        )
        mean[name], mean[f"{name}_std"] = mean_and_scatter(percent)
        mean[name].info.format = mean[f"{name}_std"].info.format = ".1f"
    mean["total"] = totals.mean(axis=0)
    mean["total"].info.format = ".1f"
    mean["runs"] = np.count_nonzero(totals, axis=0)
    return mean


def mean_and_scatter(values):
    """Mean and standard deviation over runs, ignoring NaN.

    Parameters
    ----------
    values : array_like of float, shape (n_runs, ...)
        Values; NaN for runs without one.

    Returns
    -------
    mean, scatter : `~numpy.ndarray` of float, shape (...)
        Mean, NaN without values; and standard deviation, NaN for fewer than two values.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.evaluation import mean_and_scatter
    >>> mean, scatter = mean_and_scatter([1.0, 3.0, np.nan])
    >>> float(mean), round(float(scatter), 3)
    (2.0, 1.414)
    """
    values = np.ma.masked_invalid(values)
    mean, scatter = values.mean(axis=0), np.ma.std(values, axis=0, ddof=1)
    return tuple(float_values(value) for value in (mean, scatter))


def check_inspected(values, name, scheme=None):
    """Raise an error for objects of class 0, which means not inspected in catalogs.

    Parameters
    ----------
    values : array_like of int, shape (n,)
        Labels or classes, without masked ones.
    name : str
        Name of the argument.
    scheme : `~astroclust.instruments.ClassScheme`, optional
        Class scheme, which may merge 0 into one of its classes.

    Raises
    ------
    ValueError
        If a value is 0.

    Examples
    --------
    >>> from astroclust.evaluation.confusion import check_inspected
    >>> check_inspected([1, 0, 4], "labels")
    Traceback (most recent call last):
        ...
    ValueError: 1 of 3 labels are 0, which means not inspected; mask them with labels = ...
    """
    n = np.count_nonzero(np.asarray(values) == 0)
    if n and not (scheme is not None and 0 in scheme.merges):
        raise ValueError(
            f"{n} of {len(values)} {name} are 0, which means not inspected; mask them with {name} "
            f"= np.ma.masked_equal({name}, 0)"
        )


def known_classes(labels, classes):
    """Labels and classes of the objects with both.

    Parameters
    ----------
    labels, classes : array_like of int, shape (n,)
        Labels and classes; masked if missing.

    Returns
    -------
    labels, classes : `~numpy.ndarray` of int, shape (m,)
        Labels and classes of the remaining objects, in the same order.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    labels, classes = np.ma.asarray(labels), np.ma.asarray(classes)
    if labels.shape != classes.shape or labels.ndim != 1:
        raise ValueError(f"labels and classes differ in shape: {labels.shape}, {classes.shape}")
    known = ~(np.ma.getmaskarray(labels) | np.ma.getmaskarray(classes))
    labels, classes = labels.data[known], classes.data[known]
    for name, values in (("labels", labels), ("classes", classes)):
        if values.dtype.kind not in "iub" and not (
            values.dtype.kind == "f" and np.isfinite(values).all()
        ):
            raise ValueError(
                f"{name} must be class numbers, masked where missing, not "
                f"{values.dtype}{' with NaN' if values.dtype.kind == 'f' else ''}"
            )
    return labels.astype(int), classes.astype(int)
