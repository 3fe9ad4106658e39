# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Labels of reviewers: an append-only file with one line per label, and the votes in it."""

import os
import secrets
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.table import Table
from scipy.spatial import KDTree

from astroclust.instruments import LEGUS_CLASSES, classes_of, find_class_scheme
from astroclust.review.agreement import reviewer_agreement
from astroclust.review.appending import append_lines, only_writer
from astroclust.review.lines import (
    COLUMNS,
    EARLIER_COLUMNS,
    Entry,
    check_name,
    is_whole,
    one_line,
    read_line,
    write_line,
)
from astroclust.review.votes import fold_votes, votes_table

__all__ = ["LabelStore"]

# Maximum difference in pixels between the positions of a label and its row, above float32 rounding.
_NEAR = 0.05
_LONGEST_NOTE, _LONGEST_ORDER = 2000, 100


class LabelStore:
    """Labels of a table, stored in an append-only ECSV file.

    Each label is one line, which is on disk before `add` returns and never modified, so a crash
    does not lose saved labels. Undoing a label adds another line; a reviewer's latest label of an
    object supersedes earlier ones. Several reviewers and programs may add to the same file
    simultaneously. Labels are matched to rows by position, so the table may be sorted or filtered
    later.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The file; created with the first label.
    x, y : array_like of float, shape (n,)
        Positions of the rows in pixels.
    ids : sequence of str, length n, optional
        Names of the rows; by default their numbers.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme of the labels.
    sky : `~astropy.coordinates.SkyCoord`, shape (n,), optional
        Positions on the sky, to be added to the table of votes.

    Raises
    ------
    ValueError
        If the file is not a label file, or has an invalid line.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> from astroclust.review import LabelStore
    >>> store = LabelStore("mine.labels.ecsv", [10.0, 20.0], [5.0, 6.0])
    >>> store.add(1, reviewer="anna", label=2).label
    2
    >>> store.votes()["anna"].tolist()
    [0, 2]
    """

    def __init__(self, path, x, y, *, ids=None, scheme=LEGUS_CLASSES, sky=None):
        self.path, self.scheme = Path(path), find_class_scheme(scheme)
        self.x, self.y = np.asarray(x, float), np.asarray(y, float)
        self.ids = [one_line(str(i)) for i in (range(len(self.x)) if ids is None else ids)]
        self.sky = sky
        self._lock = threading.RLock()
        self._start_anew()
        self.refresh()

    def _start_anew(self):
        self.entries, self.n_unmatched = [], 0
        # Changes when the file is rewritten, so that all entries count as new.
        self.generation = secrets.randbits(32) + 1
        self._offset, self._inode, self._names = 0, None, {}
        self._columns = COLUMNS
        # The latest entry of each reviewer for each row, and the rows that they ever labeled.
        self._latest, self._labeled = {}, set()

    def __len__(self):
        return len(self.x)

    def add(self, row, *, reviewer, label=None, note="", blind=False, order=""):
        """Save a label; it is on the disk when this returns.

        Parameters
        ----------
        row : int
            Row of the table, from 0.
        reviewer : str
            Name of the reviewer.
        label : int, optional
            The class; None withdraws an earlier one.
        note : str, optional
            Free text; line breaks become spaces.
        blind : bool, optional
            Whether the class and the labels of others were hidden from the reviewer. An entry is
            only blind if the reviewer never labeled the object before, because both are shown
            afterwards. If the label does not change, for example when a note is added, neither does
            this.
        order : str, optional
            Order in which objects were shown, such as "random seed=1".

        Returns
        -------
        entry : `Entry`
            The saved entry.

        Raises
        ------
        ValueError
            If a row, class, name, note, ``blind`` or ``order`` is invalid.
        OSError
            If the file cannot be written; labels saved before are not affected.
        """
        if not _is_whole_number(row):
            raise ValueError(f"row must be a whole number, not {row!r}")
        if not 0 <= row < len(self):
            raise ValueError(f"row {row} does not exist; rows are 0 to {len(self) - 1}")
        classes = self.scheme.numbers
        if label is not None and not (_is_whole_number(label) and label in classes):
            raise ValueError(f"class must be one of {list(classes)} or None, not {label!r}")
        if not np.isfinite(self.x[row] + self.y[row]):
            raise ValueError(f"row {row} has no position, which a label requires")
        if not isinstance(blind, bool | np.bool_):
            raise ValueError(f"blind must be True or False, not {blind!r}")
        reviewer, note = check_name(reviewer), one_line(note)[:_LONGEST_NOTE]
        order = one_line(order, "order")[:_LONGEST_ORDER]
        with self._lock, only_writer(self.path):
            self.refresh()
            entry = Entry(
                int(row),
                self.ids[row],
                round(float(self.x[row]), 4),
                round(float(self.y[row]), 4),
                self._names.get(reviewer.casefold(), reviewer),
                None if label is None else int(label),
                note,
                self._is_blind(int(row), reviewer, label, blind),
                order,
                f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            )
            self._append([entry])
            self.refresh()
        return entry

    def _is_blind(self, row, reviewer, label, asked):
        key = reviewer.casefold(), row
        latest = self._latest.get(key)
        if latest is not None and label is not None and latest.label == label:
            return latest.blind
        return bool(asked) and key not in self._labeled

    def merge(self, path):
        """Add the labels of another file.

        Parameters
        ----------
        path : str or `~pathlib.Path`
            Label file of another `LabelStore` or of a page from `~astroclust.review.write_review`.

        Returns
        -------
        n : int
            Number of labels added; existing ones are not added twice.

        Raises
        ------
        ValueError
            If none of its labels belongs to this table, or it is not a label file.
        """
        if not Path(path).exists():
            raise FileNotFoundError(f"{path} does not exist")
        other = LabelStore(path, self.x, self.y, ids=self.ids, scheme=self.scheme)
        if other.n_unmatched and not other.entries:
            raise ValueError(
                f"{path} has labels, but none at a position of this table; check that they belong "
                "together"
            )
        with self._lock, only_writer(self.path):
            self.refresh()
            known = set(map(_gist, self.entries))
            new = [entry for entry in other.entries if _gist(entry) not in known]
            self._append(new)
            self.refresh()
        return len(new)

    def since(self, n, *, generation=0):
        """New entries since an earlier call.

        Parameters
        ----------
        n : int
            Number of entries already read.
        generation : int, optional
            ``generation`` of the store at that time; if it has changed, all entries are new.

        Returns
        -------
        start : int
            Index of the first new entry: ``n``, or 0.
        entries : list of `Entry`
            The new entries.
        """
        with self._lock:
            self.refresh()
            start = n if generation == self.generation and n <= len(self.entries) else 0
            return start, self.entries[start:]

    def votes(self):
        """Class of each row by each reviewer.

        Returns
        -------
        votes : dict of str to `~numpy.ndarray` of int16, shape (n,)
            Classes by reviewer, in order of their first label; 0 if there is none.
        """
        return fold_votes(self.entries, len(self)).labels

    def table(self):
        """Table of votes and their mode, as in LEGUS, for the rows that have any.

        Returns
        -------
        table : `~astropy.table.Table`
            ``row``, ``id``, ``x``, ``y``; ``ra`` and ``dec`` in degrees, if they are known; a
            column ``vote_...`` per reviewer, masked if there is no vote; ``n_votes``;
            ``class_mode``, the most frequent vote, masked if votes are tied or absent;
            ``class_mean``, their mean, and ``blind_fraction``, the fraction of them that were
            given blind, both NaN without votes; ``note``.
        """
        votes = fold_votes(self.entries, len(self))
        return votes_table(
            votes.labels,
            votes.notes,
            self.x,
            self.y,
            ids=self.ids,
            scheme=self.scheme,
            blind=votes.blind,
            sky=self.sky,
        )

    def agreement(self):
        """Agreement among the reviewers.

        Returns
        -------
        agreement : `Agreement`
            Cohen's kappa and the confusion matrix of each pair, and Fleiss' kappa of all.
        """
        votes = fold_votes(self.entries, len(self))
        return reviewer_agreement(votes.labels, blind=votes.blind, scheme=self.scheme)

    def refresh(self):
        """Read lines added since, also by other programs.

        Raises
        ------
        ValueError
            If a line is invalid.
        OSError
            If the file cannot be read.
        """
        with self._lock:
            try:
                with open(self.path, "rb") as file:
                    status = os.fstat(file.fileno())
                    if self._offset and (
                        status.st_ino != self._inode or status.st_size < self._offset
                    ):
                        self._start_anew()  # rewritten by an editor
                    self._inode = status.st_ino
                    file.seek(self._offset)
                    new = file.read()
            except FileNotFoundError:
                if self._offset:
                    self._start_anew()
                return
            except OSError as error:
                raise OSError(f"cannot read {self.path}: {error.strerror or error}") from error
            whole = new.rfind(b"\n") + 1
            if is_whole(new[whole:]):
                whole = len(new)
            if whole:
                self._take(new[:whole])
                self._offset += whole

    def _take(self, new):
        """Parse new bytes (complete lines) into entries."""
        try:
            lines = new.decode("utf-8").split("\n")
        except UnicodeDecodeError:
            raise self._is_other("it is not text") from None
        if self._offset == 0:
            header = [i for i, line in enumerate(lines) if not line.startswith("#")]
            if not header or not lines[0].startswith("# %ECSV"):
                raise self._is_other("it is not ECSV")
            self._columns = tuple(lines[header[0]].split(","))
            if self._columns not in (COLUMNS, EARLIER_COLUMNS):
                raise self._is_other("it has different columns")
            self._check_scheme(lines[: header[0] + 1])
            lines = lines[header[0] + 1 :]
        read = [self._read_line(line) for line in lines if line.strip()]
        rows = self._find_rows(read)
        for entry, row in zip(read, rows, strict=True):
            if row < 0:
                self.n_unmatched += 1
                continue
            name = self._names.setdefault(entry.reviewer.casefold(), entry.reviewer)
            entry = replace(entry, row=int(row), id=self.ids[row], reviewer=name)
            self.entries.append(entry)
            key = name.casefold(), entry.row
            self._latest[key] = entry
            if entry.label is not None:
                self._labeled.add(key)

    def _check_scheme(self, header):
        """Raise a `ValueError` if the classes of the file differ from those of the table."""
        try:
            there = classes_of(Table.read("\n".join(header), format="ascii.ecsv"))
        except Exception as error:  # YAML, ECSV and JSON raise various errors
            raise ValueError(
                f"{self.path} has an unreadable header ({error}); replace it with that of a new "
                "label file, and keep the lines of labels"
            ) from error
        here = self.scheme
        if (there.names, there.merges) != (here.names, here.merges):
            raise ValueError(
                f"{self.path} has labels of class scheme {there.name}, {_listed(there)}, but the "
                f"table has {here.name}, {_listed(here)}; choose another label file with --labels"
            )

    def _is_other(self, why):
        return ValueError(
            f"{self.path} is not a label file of astroclust review ({why}); choose another label "
            "file with --labels"
        )

    def _read_line(self, line):
        try:
            return read_line(line, self.scheme, self._columns)
        except ValueError as error:
            raise ValueError(
                f"{self.path} has an invalid line ({error}): {line!r}; correct or delete it"
            ) from None

    def _find_rows(self, entries):
        """Rows of entries, -1 if there is none at their position."""
        found = np.full(len(entries), -1)
        if not entries or not len(self):
            return found
        rows = np.array([entry.row for entry in entries])
        positions = np.array([(entry.x, entry.y) for entry in entries])
        here = np.stack([self.x, self.y], axis=1)
        same = np.flatnonzero((rows >= 0) & (rows < len(self)))
        near = np.abs(here[rows[same]] - positions[same]).max(axis=1) < _NEAR
        found[same[near]] = rows[same[near]]
        lost = np.flatnonzero((found < 0) & np.isfinite(positions).all(axis=1))
        finite = np.flatnonzero(np.isfinite(here).all(axis=1))
        if len(lost) and len(finite):
            distance, nearest = KDTree(here[finite]).query(positions[lost])
            good = distance < _NEAR
            found[lost[good]] = finite[nearest[good]]
        return found

    def _append(self, entries):
        """Append lines, all or none of them, and flush them to disk."""
        text = "".join(map(write_line, entries)).encode("utf-8")
        append_lines(self.path, text, scheme=self.scheme, as_earlier=self._columns != COLUMNS)


def _is_whole_number(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _gist(entry):
    """Key by which two entries are the same."""
    return entry.row, entry.reviewer.casefold(), entry.label, entry.note, entry.time


def _listed(scheme):
    return ", ".join(f"{number} {name}" for number, name in scheme.names.items())
