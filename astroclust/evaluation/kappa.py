# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Agreement of labels beyond that expected by chance: Cohen's and Fleiss' kappa."""

from dataclasses import dataclass

import numpy as np

from astroclust.evaluation.confusion import coded_classes, count_cells
from astroclust.instruments import find_class_scheme

__all__ = ["Kappa", "cohen_kappa", "fleiss_kappa"]


@dataclass(frozen=True)
class Kappa:
    """Agreement beyond chance, (agreement - expected) / (1 - expected).

    Parameters
    ----------
    value : float
        Kappa: 1 for perfect agreement, 0 for chance agreement, negative for less. NaN if it is
        undefined: without objects, or if all labels are of one class, for which agreement by chance
        is perfect.
    error : float
        Standard error; NaN if it is undefined, or if the formula, which is valid for large samples,
        yields 0, as for perfect agreement.
    agreement : float
        Fraction of observed agreement; NaN without objects.
    expected : float
        Fraction of agreement expected by chance; NaN without objects.
    n : int
        Number of objects.

    Examples
    --------
    >>> from astroclust.evaluation import cohen_kappa
    >>> print(cohen_kappa([1, 1, 4, 4], [1, 4, 4, 4]))
    0.50 +/- 0.38 (4 objects)
    >>> print(cohen_kappa([1, 1], [1, 1]))
    undefined (2 objects)
    """

    value: float
    error: float
    agreement: float
    expected: float
    n: int

    def __str__(self):
        objects = f"({self.n} object{'' if self.n == 1 else 's'})"
        if not np.isfinite(self.value):
            return f"undefined {objects}"
        if not np.isfinite(self.error):
            return f"{self.value:.2f} {objects}"
        return f"{self.value:.2f} +/- {self.error:.2f} {objects}"


def cohen_kappa(labels_a, labels_b, *, merge=None, scheme="legus"):
    """Cohen's kappa of two reviewers (Cohen 1960, Educ. Psychol. Meas. 20, 37).

    Parameters
    ----------
    labels_a, labels_b : array_like of int, shape (n,)
        Labels of each reviewer; objects without a label, masked, are excluded.
    merge, scheme
        See `confusion_matrix`.

    Returns
    -------
    kappa : `Kappa`
        Kappa, with its large-sample standard error (Fleiss, Cohen & Everitt 1969, Psychol. Bull.
        72, 323). Undefined, and NaN, if there are no common objects, or both reviewers assign all
        of them to the same class.

    Raises
    ------
    ValueError
        If the lengths differ, or a value is not a class.

    Examples
    --------
    The three categories of Cohen (1960), whose kappa is 0.492:

    >>> import numpy as np
    >>> from astroclust.evaluation import cohen_kappa
    >>> counts = [88, 10, 2, 14, 40, 6, 18, 10, 12]
    >>> a, b = np.repeat([1, 1, 1, 2, 2, 2, 3, 3, 3], counts), np.repeat([1, 2, 3] * 3, counts)
    >>> kappa = cohen_kappa(a, b)
    >>> round(kappa.value, 3), round(kappa.agreement, 2), round(kappa.expected, 2)
    (0.492, 0.7, 0.41)
    """
    kept, cells = coded_classes(labels_a, labels_b, merge, find_class_scheme(scheme))
    counts = count_cells(kept, cells)
    n = int(counts.sum())
    if not n:
        return Kappa(np.nan, np.nan, np.nan, np.nan, 0)
    fractions = counts / n
    of_a, of_b = fractions.sum(axis=1), fractions.sum(axis=0)
    agreement, expected = float(np.trace(fractions)), float(of_a @ of_b)
    if _is_one_class(of_a) and _is_one_class(of_b) and counts.trace() == n:
        return Kappa(np.nan, np.nan, agreement, expected, n)
    value = (agreement - expected) / (1 - expected)
    same = np.diag(fractions) @ (1 - (of_a + of_b) * (1 - value)) ** 2
    differ = fractions * (of_b[:, None] + of_a) ** 2
    differ = (1 - value) ** 2 * (differ.sum() - differ.trace())
    variance = same + differ - (value - expected * (1 - value)) ** 2
    error = _known_error(np.sqrt(max(variance, 0) / n) / (1 - expected))
    return Kappa(float(value), error, agreement, expected, n)


def fleiss_kappa(counts):
    """Fleiss' kappa of any number of reviewers (Fleiss 1971, Psychol. Bull. 76, 378).

    Objects may have different numbers of votes: each then counts equally (Gwet 2014, Handbook of
    Inter-Rater Reliability, sec. 3.3). For equal numbers, this is the kappa of Fleiss.

    Parameters
    ----------
    counts : array_like of int, shape (n, n_classes)
        Number of votes for each class. Objects with fewer than two votes are excluded, as they do
        not constrain the agreement.

    Returns
    -------
    kappa : `Kappa`
        Kappa, with its jackknife standard error over objects. Undefined, and NaN, if no object has
        two votes, or all votes are for the same class; the error is also undefined if there is only
        one object, or if all votes are for the same class once an object is excluded.

    Raises
    ------
    ValueError
        If the counts are not a two-dimensional array of non-negative integers.

    Examples
    --------
    Three reviewers agree on the first two objects, and two of them on the third:

    >>> from astroclust.evaluation import fleiss_kappa
    >>> print(fleiss_kappa([[3, 0], [0, 3], [2, 1]]))
    0.55 +/- 0.70 (3 objects)
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.dtype.kind not in "iuf":
        raise ValueError(
            "counts must be numbers of votes of shape (n_objects, n_classes), not "
            f"{counts.dtype} of shape {counts.shape}"
        )
    if not (np.isfinite(counts).all() and (counts >= 0).all() and (counts % 1 == 0).all()):
        raise ValueError("counts must be non-negative integers, the numbers of votes")
    counts = counts[counts.sum(axis=1) > 1].astype(float)
    n = len(counts)
    if not n:
        return Kappa(np.nan, np.nan, np.nan, np.nan, 0)
    votes = counts.sum(axis=1, keepdims=True)
    pairs = (counts * (counts - 1)).sum(axis=1) / (votes * (votes - 1))[:, 0]
    fractions = counts / votes
    value, agreement, expected = _beyond_chance(pairs.mean(), fractions.mean(axis=0))
    error = np.nan
    if n > 1:
        fewer = n - 1
        without = _beyond_chance(
            (pairs.sum() - pairs) / fewer, (fractions.sum(axis=0) - fractions) / fewer
        )[0]
        error = np.sqrt(fewer / n * ((without - without.mean()) ** 2).sum())
    return Kappa(float(value), _known_error(error), float(agreement), float(expected), n)


def _known_error(error):
    """Standard error; NaN if it is 0 within rounding, which does not mean that kappa is exact."""
    return float(error) if error > 1e-7 else np.nan


def _beyond_chance(agreement, fractions):
    """Kappa, observed and expected agreement; kappa is NaN for a single class."""
    expected = (fractions**2).sum(axis=-1)
    single = _is_one_class(fractions)
    value = np.where(single, np.nan, (agreement - expected) / np.where(single, 1, 1 - expected))
    return value, agreement, expected


def _is_one_class(fractions):
    """Whether only one class has votes; subtraction of fractions leaves rounding errors."""
    return np.count_nonzero(np.asarray(fractions) > 1e-12, axis=-1) < 2
