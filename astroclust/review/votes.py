# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Votes of reviewers with their mode and mean, as in LEGUS, and the fraction of blind votes."""

import re
from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.table import MaskedColumn, Table

from astroclust.catalogs.columns import describe_columns
from astroclust.instruments import LEGUS_CLASSES, meta_of

__all__ = ["Votes", "fold_votes", "votes_table"]


@dataclass(frozen=True)
class Votes:
    """Label and note of each reviewer for each row, after all entries.

    Parameters
    ----------
    labels : dict of str to `~numpy.ndarray` of int16, shape (n,)
        Labels by reviewer, in order of their first entry; 0 if there is none.
    blind : dict of str to `~numpy.ndarray` of bool, shape (n,)
        Whether each label was given blind, by reviewer.
    notes : dict of int to dict of str to str
        Notes by row and reviewer, without empty ones.
    """

    labels: dict
    blind: dict
    notes: dict


def fold_votes(entries, n):
    """Reduce entries to the latest label and note of each reviewer for each row.

    Parameters
    ----------
    entries : iterable of `~astroclust.review.lines.Entry`
        Entries in chronological order.
    n : int
        Number of rows of the table.

    Returns
    -------
    votes : `Votes`
        The latest votes.
    """
    labels, blind, notes = {}, {}, {}
    for entry in entries:
        who = entry.reviewer
        labels.setdefault(who, np.zeros(n, np.int16))[entry.row] = entry.label or 0
        blind.setdefault(who, np.zeros(n, bool))[entry.row] = (
            entry.blind and entry.label is not None
        )
        notes.setdefault(entry.row, {})[who] = entry.note
    kept = {row: {name: text for name, text in of.items() if text} for row, of in notes.items()}
    return Votes(labels, blind, {row: of for row, of in kept.items() if of})


def votes_table(votes, notes, x, y, *, ids=None, scheme=LEGUS_CLASSES, blind=None, sky=None):
    """Make a table with one row per object with a vote or note, for ``astroclust train --labels``.

    Parameters
    ----------
    votes : mapping of str to array_like of int, shape (n,)
        Votes by reviewer; 0 if there is none.
    notes : mapping of int to mapping of str to str
        Notes by row and reviewer.
    x, y : array_like of float, shape (n,)
        Positions in pixels.
    ids : sequence of str, length n, optional
        Names of the objects.
    scheme : `~astroclust.instruments.ClassScheme`, optional
        Class scheme of the votes.
    blind : mapping of str to array_like of bool, shape (n,), optional
        Whether each vote was given blind, by reviewer. By default none was.
    sky : `~astropy.coordinates.SkyCoord`, shape (n,), optional
        Positions on the sky.

    Returns
    -------
    table : `~astropy.table.Table`
        ``row``, ``id``, ``x``, ``y``; ``ra`` and ``dec`` in degrees (ICRS), if ``sky`` is given; a
        column ``vote_...`` per reviewer, masked if there is no vote; ``n_votes``; ``class_mode``,
        the most frequent vote, masked if votes are tied or absent; ``class_mean``, their mean, and
        ``blind_fraction``, the fraction of them that were given blind, both NaN without votes;
        ``note``. Mode and mean are input for `~astroclust.training.vote_fractions`.

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
    mean = _per_vote(given.sum(axis=0), n_votes)
    blind = blind or {}
    sighted = np.zeros(n, bool)
    n_blind = sum(
        ((vote > 0) & blind.get(name, sighted) for name, vote in zip(votes, given, strict=True)),
        start=np.zeros(n, int),
    )
    table = Table({"row": rows})
    if ids is not None:
        table["id"] = [ids[row] for row in rows] if len(rows) else np.empty(0, str)
    table["x"], table["y"] = np.asarray(x, float)[rows], np.asarray(y, float)[rows]
    if sky is not None:
        table["ra"], table["dec"] = sky.icrs.ra.to(u.deg)[rows], sky.icrs.dec.to(u.deg)[rows]
    for name, vote in zip(_column_names(votes), given, strict=True):
        table[name] = MaskedColumn(vote[rows], mask=vote[rows] == 0)
    table["n_votes"] = n_votes[rows].astype(np.int16)
    table["class_mode"] = MaskedColumn(np.where(tied, 0, mode)[rows], mask=tied[rows])
    table["class_mean"] = mean[rows]
    table["blind_fraction"] = _per_vote(n_blind, n_votes)[rows]
    texts = ["; ".join(f"{who}: {text}" for who, text in notes.get(row, {}).items())
             for row in rows.tolist()]  # fmt: skip
    table["note"] = np.array(texts, str)
    describe_columns(
        table,
        _DESCRIPTIONS
        | {
            name: f"class by {voter}"
            for name, voter in zip(_column_names(votes), votes, strict=True)
        },
    )
    table.meta["VOTERS"] = ", ".join(votes)
    table.meta.update(meta_of(scheme))
    return table


_DESCRIPTIONS = {
    "row": "row in the table of candidates, from 0",
    "id": "name of the object",
    "x": ("position in x: 0 is the center of the first pixel", "pix", ".3f"),
    "y": ("position in y: 0 is the center of the first pixel", "pix", ".3f"),
    "ra": ("right ascension (ICRS)", "deg", ".7f"),
    "dec": ("declination (ICRS)", "deg", ".7f"),
    "n_votes": "number of votes",
    "class_mode": "most frequent vote; masked if votes are tied or absent",
    "class_mean": ("mean of the votes", None, ".2f"),
    "blind_fraction": ("fraction of the votes that were given blind", None, ".2f"),
    "note": "notes of the reviewers",
}


def _per_vote(total, n_votes):
    """Means over votes; NaN if there are none."""
    mean = np.full(len(n_votes), np.nan, np.float32)
    return np.divide(total, n_votes, out=mean, where=n_votes > 0, casting="unsafe")


def _column_names(names):
    """Unique name for each reviewer that is valid in all table formats."""
    taken = []
    for name in names:
        plain = "vote_" + (re.sub(r"\W+", "_", name).strip("_").lower() or "reviewer")
        column, number = plain, 2
        while column in taken:
            column, number = f"{plain}_{number}", number + 1
        taken.append(column)
    return taken
