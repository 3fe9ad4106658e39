# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Agreement among reviewers: kappa and confusion matrices."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from astropy.table import Column, Table

from astroclust.catalogs.columns import describe_columns
from astroclust.evaluation import Kappa, cohen_kappa, confusion_matrix, fleiss_kappa
from astroclust.instruments import LEGUS_CLASSES, ClassScheme, find_class_scheme, meta_of

__all__ = ["Agreement", "reviewer_agreement"]


@dataclass(frozen=True)
class Agreement:
    """Agreement among the reviewers of one table.

    Parameters
    ----------
    pairs : `~astropy.table.Table`
        One row per pair of reviewers: ``reviewer_a``, ``reviewer_b``; ``n``, the number of objects
        labeled by both, and ``n_blind``, the number labeled blind by both; ``agreement`` and
        ``expected``, fractions; ``kappa`` and ``kappa_error``, of Cohen (1960). See
        `~astroclust.evaluation.Kappa`.
    matrices : dict of (str, str) to `~astropy.table.Table`
        Confusion matrix of each pair: rows are the classes of the first, columns those of the
        second.
    fleiss : `~astroclust.evaluation.Kappa`
        Kappa of all reviewers, for the objects with two or more votes.
    labeled : dict of str to int
        Number of objects labeled by each reviewer.
    scheme : `~astroclust.instruments.ClassScheme`
        The classes.

    Examples
    --------
    >>> from astroclust.review import reviewer_agreement
    >>> agreement = reviewer_agreement({"anna": [1, 1, 4, 4, 2], "ben": [1, 2, 4, 4, 0]})
    >>> print(agreement.matrices["anna", "ben"]["class", "class_1", "class_2", "total"][:2])
    class class_1 class_2 total
    ----- ------- ------- -----
        1       1       1     2
        2       0       0     0
    """

    pairs: Table
    matrices: dict
    fleiss: Kappa
    labeled: dict
    scheme: ClassScheme

    def table(self):
        """All statistics as a single table.

        Returns
        -------
        table : `~astropy.table.Table`
            ``pairs``, with columns such as ``n_1_2``: objects labeled 1 by the first reviewer and 2
            by the second. Its ``meta`` has ``FLEISS``, ``FLEISS_E`` and ``FLEISS_N``: kappa of all
            reviewers and its standard error (both only if defined), and the number of objects.
        """
        table = self.pairs.copy()
        for a in self.scheme.numbers:
            for b in self.scheme.numbers:
                cells = [matrix[f"class_{b}"][matrix["class"] == a][0] for matrix in self._ordered]
                table[f"n_{a}_{b}"] = Column(
                    np.array(cells, np.int64),
                    description=f"objects labeled {a} by reviewer_a and {b} by reviewer_b",
                )
        describe_columns(table, _DESCRIPTIONS)
        known = {"FLEISS": self.fleiss.value, "FLEISS_E": self.fleiss.error}
        # FITS headers cannot store NaN.
        table.meta.update({name: value for name, value in known.items() if np.isfinite(value)})
        table.meta["FLEISS_N"] = self.fleiss.n
        return table

    @property
    def _ordered(self):
        return [self.matrices[pair["reviewer_a"], pair["reviewer_b"]] for pair in self.pairs]


def reviewer_agreement(labels, *, blind=None, scheme=LEGUS_CLASSES):
    """Cohen's kappa of each pair of reviewers, and Fleiss' kappa of all.

    Parameters
    ----------
    labels : mapping of str to array_like of int, shape (n,)
        Classes by reviewer; 0 if there is none. See `LabelStore.votes`.
    blind : mapping of str to array_like of bool, shape (n,), optional
        Whether each label was given blind, by reviewer. By default none was.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        The classes.

    Returns
    -------
    agreement : `Agreement`
        Agreement of the reviewers with labels, in their order.

    Raises
    ------
    ValueError
        If the lengths differ, or a value is not a class.

    Examples
    --------
    >>> from astroclust.review import reviewer_agreement
    >>> labels = {"anna": [1, 1, 4, 4, 2], "ben": [1, 2, 4, 4, 0]}
    >>> agreement = reviewer_agreement(labels)
    >>> print(agreement.pairs["reviewer_a", "reviewer_b", "n", "agreement"])
    reviewer_a reviewer_b  n  agreement
    ---------- ---------- --- ---------
          anna        ben   4      0.75
    >>> print(agreement.fleiss)
    0.58 +/- 0.45 (4 objects)
    """
    scheme = find_class_scheme(scheme)
    labels = {name: np.asarray(of) for name, of in labels.items()}
    labels = {name: of for name, of in labels.items() if of.any()}
    blind = blind or {}
    matrices, rows = {}, []
    for a, b in combinations(labels, 2):
        pair = [np.ma.masked_equal(labels[name], 0) for name in (a, b)]
        kappa = cohen_kappa(*pair, scheme=scheme)
        matrices[a, b] = confusion_matrix(*pair, scheme=scheme)
        both = (labels[a] > 0) & (labels[b] > 0)
        unseen = both & _blind(blind, a, both) & _blind(blind, b, both)
        found = kappa.agreement, kappa.expected, kappa.value, kappa.error
        rows.append((a, b, kappa.n, np.count_nonzero(unseen), *found))
    names = ("reviewer_a", "reviewer_b", "n", "n_blind")
    names += ("agreement", "expected", "kappa", "kappa_error")
    types = (str, str, np.int64, np.int64, float, float, float, float)
    pairs = Table(rows=rows or None, names=names, dtype=types, meta=meta_of(scheme))
    counts = np.zeros((len(next(iter(labels.values()), [])), len(scheme.numbers)), int)
    for of in labels.values():
        given = of > 0
        counts[given, scheme.positions(of[given])] += 1
    labeled = {name: np.count_nonzero(of) for name, of in labels.items()}
    return Agreement(pairs, matrices, fleiss_kappa(counts), labeled, scheme)


_DESCRIPTIONS = {
    "reviewer_a": "first reviewer",
    "reviewer_b": "second reviewer",
    "n": "objects labeled by both",
    "n_blind": "objects that both labeled blind",
    "agreement": ("fraction with the same label", None, ".3f"),
    "expected": ("fraction expected by chance", None, ".3f"),
    "kappa": ("Cohen's kappa", None, ".3f"),
    "kappa_error": ("standard error of kappa", None, ".3f"),
}


def _blind(blind, name, both):
    return np.asarray(blind.get(name, np.zeros_like(both)))
