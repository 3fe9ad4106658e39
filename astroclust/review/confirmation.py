# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""High-purity subsets: objects above a probability, confirmed or rejected by visual inspection."""

import json

import numpy as np
from astropy.table import Column, Table

from astroclust.catalogs.columns import class_column, describe_columns, float_column
from astroclust.instruments import ClassScheme

__all__ = [
    "CONFIRMATION",
    "confirmation_counts",
    "confirmed_table",
    "purity_cut",
    "select_certain",
]

CONFIRMED, REJECTED = 1, 2

#: Labels of a confirmation, instead of classes.
CONFIRMATION = ClassScheme(
    "confirmation",
    {CONFIRMED: "confirmed", REJECTED: "rejected"},
    clusters=[CONFIRMED],
    colors={CONFIRMED: "#009E73", REJECTED: "#D55E00"},
    markers={CONFIRMED: "o", REJECTED: "X"},
)

# Columns of a table of confirmed objects.
_DESCRIPTIONS = {
    "confirm_votes": "number of votes",
    "confirm_fraction": ("fraction of votes that confirm the class", None, ".2f"),
    "confirm_note": "notes of the reviewers",
}


def purity_cut(table, purity, *, column_prefix=""):
    """Lowest probability threshold that gives an expected purity.

    The expected purity of a subset is the mean of ``probability``. It is valid if the probabilities
    are calibrated and the mix of the classes is that of the test set of the classifier.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Table with the columns of `~astroclust.classification.classify_table`.
    purity : float
        Required purity, above 0 and below 1.
    column_prefix : str, optional
        Prefix of the class columns.

    Returns
    -------
    threshold : float
        Lowest ``probability`` of the largest subset with at least the required mean.

    Raises
    ------
    KeyError
        If the table has no column ``probability``.
    ValueError
        If the purity is not above 0 and below 1, or no subset has it.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.review import purity_cut
    >>> table = Table({"class": [1, 1, 4, 2], "probability": [0.99, 0.85, 0.92, 0.5]})
    >>> purity_cut(table, 0.9)
    0.85
    """
    if not 0 < purity < 1:
        raise ValueError(f"the purity must be above 0 and below 1, not {purity}")
    probability, classes = _certainty(table, column_prefix)
    probability = np.sort(probability[np.isfinite(probability) & (classes > 0)])[::-1]
    mean = probability.cumsum(dtype=float) / np.arange(1, len(probability) + 1)
    is_last = np.append(probability[1:] != probability[:-1], True)[: len(mean)]
    enough = np.flatnonzero((mean >= purity) & is_last)
    if not len(enough):
        if not len(mean):
            raise ValueError("no object has a class and a probability; classify the table first")
        raise ValueError(
            f"no subset has an expected purity of {purity}; the highest is {mean[0]:.3f}"
        )
    return float(probability[enough[-1]])


def select_certain(table, threshold, *, column_prefix=""):
    """Select rows whose class has at least a given probability.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Table with the columns of `~astroclust.classification.classify_table`.
    threshold : float
        Lowest probability, from 0 to 1.
    column_prefix : str, optional
        Prefix of the class columns.

    Returns
    -------
    rows : `~numpy.ndarray` of int
        Indices of the selected rows, in table order.

    Raises
    ------
    ValueError
        If the threshold is not from 0 to 1, no row has such a probability, or the table already has
        the columns of a confirmation.
    KeyError
        If the table has no columns ``class`` and ``probability``.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.review.confirmation import select_certain
    >>> table = Table({"class": [1, 1, 4, 2], "probability": [0.99, 0.85, 0.92, 0.5]})
    >>> select_certain(table, 0.9).tolist()
    [0, 2]
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"the probability to confirm must be from 0 to 1, not {threshold}")
    taken = sorted(set(_DESCRIPTIONS) & set(table.colnames))
    if taken:
        raise ValueError(
            f"the table has columns of an earlier confirmation ({', '.join(taken)}); rename or "
            "remove them"
        )
    probability, classes = _certainty(table, column_prefix)
    rows = np.flatnonzero((probability >= threshold) & (classes > 0))
    if not len(rows):
        best = np.nan_to_num(probability).max(initial=0)
        raise ValueError(
            f"no object has a probability of {threshold} or more; the highest is {best:.3f}, so "
            "lower the threshold"
        )
    return rows


def _certainty(table, prefix):
    """Probabilities of the classes (NaN if missing) and the classes."""
    for name in (f"{prefix}class", f"{prefix}probability"):
        if name not in table.colnames:
            raise KeyError(
                f"a confirmation requires the column {name}; classify the table first, or set "
                "column_prefix"
            )
    return float_column(table, f"{prefix}probability"), class_column(table, prefix)


def confirmation_counts(objects, store):
    """Count confirmed and rejected objects of each class.

    Parameters
    ----------
    objects : `~astroclust.review.objects.Objects`
        Objects of the confirmation.
    store : `~astroclust.review.LabelStore`
        Their labels, in the scheme `CONFIRMATION`.

    Returns
    -------
    counts : `~astropy.table.Table`
        One row per class: ``class``; ``name``; ``before``, the number of objects above the
        threshold; ``expected``, their mean probability; ``confirmed``, ``rejected`` and ``open``,
        by the most frequent vote; and ``purity``, the fraction of those confirmed or rejected that
        is confirmed. Fractions of zero objects are NaN.
    """
    mode, classes = _modes(store), objects.columns["class"]
    rows = []
    for number, name in objects.scheme.names.items():
        own = classes == number
        confirmed, rejected = (np.count_nonzero(mode[own] == one) for one in (CONFIRMED, REJECTED))
        before, decided = np.count_nonzero(own), confirmed + rejected
        expected = objects.columns["probability"][own].mean() if before else np.nan
        purity = confirmed / decided if decided else np.nan
        counts = confirmed, rejected, before - decided
        rows.append((number, name, before, expected, *counts, purity))
    names = ("class", "name", "before", "expected", "confirmed", "rejected", "open", "purity")
    table = Table(rows=rows, names=names)
    table["expected"].format = table["purity"].format = ".3f"
    return table


def confirmed_table(objects, store, threshold):
    """Confirmed objects with all columns of their table.

    Parameters
    ----------
    objects, store
        See `confirmation_counts`.
    threshold : float
        Lowest probability, for the metadata.

    Returns
    -------
    table : `~astropy.table.Table`
        Rows that more votes confirm than reject, with ``confirm_votes``, ``confirm_fraction`` and
        ``confirm_note``. ``meta["CONFIRM"]`` has the threshold and the counts of each class, in
        JSON.
    """
    rows = np.flatnonzero(_modes(store) == CONFIRMED)
    votes = store.table()
    votes = votes[np.searchsorted(votes["row"], rows)]
    table = objects.table[rows]
    table["confirm_votes"] = votes["n_votes"]
    # From the mean of votes, which are 1 or 2.
    table["confirm_fraction"] = Column(2 - np.asarray(votes["class_mean"]))
    table["confirm_note"] = votes["note"]
    describe_columns(table, _DESCRIPTIONS)
    counts = confirmation_counts(objects, store)
    counted = {
        str(row["class"]): {name: int(row[name]) for name in ("before", "confirmed", "rejected")}
        for row in counts
    }
    table.meta["CONFIRM"] = json.dumps({"probability": threshold, "classes": counted})
    return table


def _modes(store):
    """Most frequent vote for each object, 0 if there is none or votes are tied."""
    votes = store.table()
    modes = np.zeros(len(store), int)
    modes[votes["row"]] = np.ma.filled(votes["class_mode"], 0)
    return modes
