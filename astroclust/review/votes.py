# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Votes of reviewers, their mode and mean, as LEGUS keeps them."""

import re

import numpy as np
from astropy.table import MaskedColumn, Table

from astroclust.instruments import LEGUS_CLASSES, meta_of

__all__ = ["fold_votes", "votes_table"]


def fold_votes(entries, n):
    """What holds after all entries.

    Parameters
    ----------
    entries : iterable of `~astroclust.review.labels.Entry`
        In the order in which they were made.
    n : int
        Rows of the table.

    Returns
    -------
    votes : dict of str to `~numpy.ndarray` of int16, shape (n,)
        By reviewer; 0 where there is none.
    notes : dict of int to dict of str to str
        By row and reviewer; without empty ones.
    """
    votes, notes = {}, {}
    for entry in entries:
        vote = votes.setdefault(entry.reviewer, np.zeros(n, np.int16))
        vote[entry.row] = entry.label or 0
        notes.setdefault(entry.row, {})[entry.reviewer] = entry.note
    kept = {row: {name: text for name, text in of.items() if text} for row, of in notes.items()}
    return votes, {row: of for row, of in kept.items() if of}


def votes_table(votes, notes, x, y, *, ids=None, scheme=LEGUS_CLASSES):
    """A row an object that has a vote or a note, ready for ``astroclust train --labels``.

    Parameters
    ----------
    votes : mapping of str to array_like of int, shape (n,)
        By reviewer; 0 where there is none.
    notes : mapping of int to mapping of str to str
        By row and reviewer.
    x, y : array_like of float, shape (n,)
        Positions in pixels.
    ids : sequence of str, length n, optional
        Names of the objects.
    scheme : `~astroclust.instruments.ClassScheme`, optional
        The classes that votes are for.

    Returns
    -------
    table : `~astropy.table.Table`
        ``row``, ``id``, ``x``, ``y``; a column ``vote_...`` a reviewer, masked where there is no
        vote; ``n_votes``; ``class_mode``, the most frequent vote, masked where votes are tied or
        absent; ``class_mean``, their mean, NaN where there is none; ``note``. `astroclust.training.
        vote_shares` takes mode and mean.

    Examples
    --------
    >>> from astroclust.review.votes import votes_table
    >>> votes = {"anna": [1, 0, 2], "ben": [1, 0, 3], "eva": [2, 0, 0]}
    >>> table = votes_table(votes, {}, [5.0, 6.0, 7.0], [8.0, 9.0, 10.0])
    >>> print(table["row", "vote_anna", "vote_eva", "n_votes", "class_mode"])
    row vote_anna vote_eva n_votes class_mode
    --- --------- -------- ------- ----------
      0         1        2       3          1
      2         2       --       2         --
    """
    n = len(x)
    given = np.array(list(votes.values()), np.int16).reshape(len(votes), n)
    counts = np.stack([np.count_nonzero(given == number, axis=0) for number in scheme.numbers])
    n_votes = counts.sum(axis=0)
    noted = np.isin(np.arange(n), list(notes))
    rows = np.flatnonzero((n_votes > 0) | noted)
    most = counts.max(axis=0)
    tied = (np.count_nonzero(counts == most, axis=0) > 1) | (n_votes == 0)
    mode = scheme.numbers_of(counts.argmax(axis=0))
    mean = np.full(n, np.nan, np.float32)
    np.divide(given.sum(axis=0), n_votes, out=mean, where=n_votes > 0, casting="unsafe")
    table = Table({"row": rows})
    if ids is not None:
        table["id"] = [ids[row] for row in rows] if len(rows) else np.empty(0, str)
    table["x"], table["y"] = np.asarray(x, float)[rows], np.asarray(y, float)[rows]
    for name, vote in zip(_column_names(votes), given, strict=True):
        table[name] = MaskedColumn(vote[rows], mask=vote[rows] == 0)
    table["n_votes"] = n_votes[rows].astype(np.int16)
    table["class_mode"] = MaskedColumn(np.where(tied, 0, mode)[rows], mask=tied[rows])
    table["class_mean"] = mean[rows]
    texts = ["; ".join(f"{who}: {text}" for who, text in notes.get(row, {}).items())
             for row in rows.tolist()]  # fmt: skip
    table["note"] = np.array(texts, str)
    table.meta["VOTERS"] = ", ".join(votes)
    table.meta.update(meta_of(scheme))
    return table


def _column_names(names):
    """A name a reviewer that every table format takes, all different."""
    taken = []
    for name in names:
        plain = "vote_" + (re.sub(r"\W+", "_", name).strip("_").lower() or "reviewer")
        column, number = plain, 2
        while column in taken:
            column, number = f"{plain}_{number}", number + 1
        taken.append(column)
    return taken
