# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Rows of sample lists, checked for missing, unknown or conflicting entries."""

from contextlib import contextmanager
from pathlib import Path

import numpy as np
from astropy.table import Table

from astroclust.catalogs import read_table

__all__ = ["AFFINE", "SampleRow", "naming", "read_rows", "roles_of"]

#: Columns of the affine transformation from the pixels of the labels to those of a picture.
AFFINE = ("a_cx", "a_cy", "t_c", "a_rx", "a_ry", "t_r")
# Columns allowed for each kind of sample, in addition to the common ones and those of its images.
_COMMON = ("field", "galaxy", "kind", "weight", "augmentation")
_LABELED = ("labels", "label_column")
_KINDS = {
    "images": (*_LABELED, "roles"),
    "picture": (*_LABELED, "roles", "picture", "filters", *AFFINE, "wcs", "credit"),
    "simulated": ("n", "seed"),
}
# Further columns of picture lists, which are ignored; and an alias for a column.
_IGNORED = ("scale", "width", "height", "source", "note")
_OTHER_NAMES = {"file": "picture"}


class SampleRow:
    """Row of a sample list, with empty strings for empty entries.

    Parameters
    ----------
    origin : str
        Name of the list and the row, for error messages.
    entries : dict of str to str
        Entries by column.
    root : `~pathlib.Path`
        Folder to which paths are relative.
    images : sequence of str
        Columns of images.
    """

    def __init__(self, origin, entries, root, images):
        self.origin, self.entries, self.root = origin, entries, root
        self.images = {name: entries[name] for name in images if entries[name]}
        self.kind = self.text("kind") or self._likely_kind()

    def _likely_kind(self):
        if any(map(self.text, ("picture", "wcs", *AFFINE))):
            return "picture"
        return "simulated" if self.text("n") else "images"

    def text(self, name):
        """Entry as a string, empty if missing."""
        return self.entries.get(name, "")

    def needed(self, name):
        """Entry that must not be empty."""
        text = self.text(name)
        if not text:
            raise self.error(name, f"empty, but required for samples of kind {self.kind}")
        return text

    def number(self, name, kind=float):
        """Entry as a finite number."""
        text = self.text(name)
        try:
            value = kind(text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            what = "a whole number" if kind is int else "a number"
            raise self.error(name, f"{text!r} is not {what}")
        return value

    def path(self, text):
        """Path relative to the folder of the list; URLs are unchanged."""
        return text if "://" in text else str(self.root / text)

    def error(self, name, problem):
        """A `ValueError` that names row and column."""
        return ValueError(f"{self.origin}, column {name}: {problem}")


@contextmanager
def naming(row):
    """Prefix error messages with the row."""
    try:
        yield
    except (KeyError, OSError, TypeError, ValueError) as error:
        text = str(error.args[0] if isinstance(error, KeyError) else error)
        if text.startswith(row.origin):
            raise
        kinds = (FileNotFoundError, OSError, KeyError, TypeError, ValueError)
        kind = next(one for one in kinds if isinstance(error, one))
        raise kind(f"{row.origin}: {text}") from error


def read_rows(samples, system):
    """Read and check the rows of a sample list."""
    name, root = "samples", Path()
    if not isinstance(samples, Table):
        name, root = Path(samples).name, Path(samples).parent
        samples = read_table(samples)
    columns = {one: _OTHER_NAMES.get(one, one) for one in samples.colnames}
    if "field" not in columns:
        raise KeyError(f"{name} has no column 'field' with the names of the samples")
    if not len(samples):
        raise ValueError(f"{name} has no rows")
    given = [_entries(row, columns) for row in samples]
    roles = {role for entries in given for role in roles_of(entries.get("roles", ""))}
    known = {*_COMMON, *_IGNORED, *(one for kind in _KINDS.values() for one in kind)}
    images = [one for one in columns.values() if one not in known]
    for one in images:
        if one.upper() not in {*system.filters, *system.roles, *roles}:
            raise ValueError(
                f"{name} has a column {one}, which is neither a filter of band system "
                f"{system.name} nor one of {', '.join(sorted(known - set(_IGNORED)))}; rename it, "
                f"or set its role in the column roles, as in {one}=V"
            )
    rows = []
    for number, entries in enumerate(given, start=1):
        origin = f"{name}, row {number}"
        if not entries["field"]:
            raise ValueError(f"{origin}, column field: empty; enter the name of the field")
        row = SampleRow(f"{origin} ({entries['field']})", entries, root, images)
        _check_kind(row)
        rows.append(row)
    return rows


def _entries(row, columns):
    entries = {}
    for name, known in columns.items():
        text = "" if row[name] is np.ma.masked else str(row[name]).strip()
        entries[known] = "" if text == "nan" else text
    return entries


def _check_kind(row):
    """Check that a row has no entries of another kind."""
    if row.kind not in _KINDS:
        raise row.error("kind", f"{row.kind!r} is not one of {', '.join(_KINDS)}")
    foreign = [
        one
        for kind in _KINDS.values()
        for one in kind
        if one not in (*_KINDS[row.kind], "credit") and row.text(one)
    ]
    if row.kind != "images":
        foreign += row.images
    if foreign:
        raise row.error(
            foreign[0],
            f"{row.entries[foreign[0]]!r} is not used by samples of kind {row.kind}; remove it",
        )
    if row.kind == "images" and not row.images:
        raise ValueError(
            f"{row.origin} has no image; enter its path in the column of a filter, such as F555W"
        )


def roles_of(text):
    """Parse roles by filter, such as ``F657N=V F658N=V``."""
    pairs = [part.partition("=") for part in text.replace(",", " ").split()]
    return {name.upper(): role.upper() for name, _, role in pairs}
