# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Paired comparison of two classifications of the same objects."""

from dataclasses import dataclass

import numpy as np

from astroclust.evaluation.confusion import known_classes

__all__ = ["PairedComparison", "compare_classes"]

# Probability below which a difference is significant.
_SIGNIFICANT = 0.05


@dataclass(frozen=True)
class PairedComparison:
    """Accuracy of two classifications of the same objects, and their difference.

    Parameters
    ----------
    n : int
        Number of objects.
    before, after : float
        Accuracy of the first and the second classification.
    gained, lost : int
        Number of objects for which only the second, or only the first, classification is correct.

    Examples
    --------
    >>> from astroclust.evaluation import PairedComparison
    >>> PairedComparison(n=30, before=0.50, after=0.53, gained=3, lost=2).verdict
    'no measurable change: 30 rows resolve differences above 20 points'
    """

    n: int
    before: float
    after: float
    gained: int
    lost: int

    @property
    def difference(self):
        """Accuracy of the second minus that of the first."""
        return (self.gained - self.lost) / self.n

    @property
    def error(self):
        """Standard error of the difference.

        Following Agresti & Min (2005, Statist. Med. 24, 729), half an object is added to each case,
        so that it is not 0 if both are correct for the same few objects.
        """
        n, gained, lost = self.n + 2, self.gained + 0.5, self.lost + 0.5
        return float(np.sqrt(gained + lost - (gained - lost) ** 2 / n) / n)

    @property
    def p(self):
        """Probability of such a difference by chance, from the two-sided exact McNemar test."""
        return _p(self.gained, self.lost)

    @property
    def detectable(self):
        """Smallest significant difference for these objects.

        It depends on the number of objects for which only one classification is correct.
        """
        n_one = self.gained + self.lost
        while _p(n_one, 0) >= _SIGNIFICANT:  # even if all favor one
            n_one += 1
        excess = next(k for k in range(n_one % 2, n_one + 1, 2) if _is_clear(n_one, k))
        return excess / self.n

    @property
    def verdict(self):
        """Summary of the difference and its significance."""
        points = _in_points(abs(self.difference))
        if self.p < _SIGNIFICANT:
            return f"{'better' if self.difference > 0 else 'worse'} by {points}, p = {self.p:.2g}"
        if self.detectable > 1:
            return (
                f"no measurable change: {self.n} rows are too few for any difference to be "
                "significant"
            )
        return (
            f"no measurable change: {self.n} rows resolve differences above "
            f"{_in_points(self.detectable)}"
        )

    @property
    def content(self):
        """All numbers and the verdict, for JSON."""
        return {
            "n": self.n,
            "before": self.before,
            "after": self.after,
            "difference": self.difference,
            "error": self.error,
            "gained": self.gained,
            "lost": self.lost,
            "p": self.p,
            "detectable": self.detectable,
            "verdict": self.verdict,
        }


def _in_points(fraction):
    points = f"{100 * fraction:.{0 if fraction >= 0.0095 else 1}f}"
    return f"{points} point{'' if points == '1' else 's'}"


def _p(gained, lost):
    """Two-sided probability of so uneven a division; 1 without objects."""
    from scipy.stats import binomtest  # takes a third of a second to import

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def _is_clear(n, excess):
    return _p((n + excess) // 2, (n - excess) // 2) < _SIGNIFICANT


def compare_classes(labels, before, after):
    """Compare two classifications of the same objects with their labels.

    The comparison only depends on objects for which exactly one classification is correct (McNemar
    1947, Psychometrika 12, 153) and requires far fewer objects than two separate samples.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes.
    before, after : array_like of int, shape (n,)
        Predicted classes; objects without a label or one of the classes, masked, are excluded.

    Returns
    -------
    comparison : `PairedComparison`
        Both accuracies, their difference with its error, and a verdict.

    Raises
    ------
    ValueError
        If the lengths differ, or no object has a label and both classes.

    Examples
    --------
    >>> from astroclust.evaluation import compare_classes
    >>> comparison = compare_classes([1, 1, 4, 4], [1, 4, 4, 4], [1, 1, 4, 1])
    >>> comparison.before, comparison.after, comparison.gained, comparison.lost
    (0.75, 0.75, 1, 1)
    >>> comparison.verdict
    'no measurable change: 4 rows are too few for any difference to be significant'
    """
    labels, before, after = map(np.ma.asarray, (labels, before, after))
    if not labels.shape == before.shape == after.shape:
        raise ValueError(
            f"labels and both classes differ in shape: {labels.shape}, {before.shape} and "
            f"{after.shape}; pass one value per object in each"
        )
    mask = np.ma.getmaskarray(before) | np.ma.getmaskarray(after)
    truth, first = known_classes(labels, np.ma.array(before.data, mask=mask))
    second = known_classes(labels, np.ma.array(after.data, mask=mask))[1]
    if not len(truth):
        raise ValueError("no object has a label and both classes; pass objects with all three")
    right, right_after = first == truth, second == truth
    return PairedComparison(
        n=len(truth),
        before=float(right.mean()),
        after=float(right_after.mean()),
        gained=int(np.sum(right_after & ~right)),
        lost=int(np.sum(right & ~right_after)),
    )
