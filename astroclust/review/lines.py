# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Lines of a label file."""

import csv
import io
from dataclasses import astuple, dataclass, fields

import numpy as np
from astropy.table import Table

from astroclust.instruments import meta_of

__all__ = [
    "COLUMNS",
    "EARLIER_COLUMNS",
    "Entry",
    "check_name",
    "header_text",
    "is_whole",
    "one_line",
    "read_line",
    "with_new_columns",
    "write_line",
]

_LONGEST_NAME = 60


@dataclass(frozen=True)
class Entry:
    """One line of a label file: label and note of a reviewer for an object.

    Parameters
    ----------
    row : int
        Row of the table, from 0.
    id : str
        Name of the object in the table, or its row.
    x, y : float
        Position in pixels, 0-based.
    reviewer : str
        Name of the reviewer.
    label : int or None
        The class; None withdraws an earlier one.
    note : str
        Free text in one line.
    blind : bool
        Whether the label was given while the class and the labels of others were hidden.
    order : str
        Order in which objects were shown; empty if unknown.
    time : str
        Time in UTC.

    Examples
    --------
    >>> from astroclust.review import LabelStore
    >>> store = LabelStore("mine.labels.ecsv", [10.0, 20.0], [5.0, 6.0])
    >>> entry = store.add(1, reviewer="anna", label=2, note="two peaks", blind=True)
    >>> entry.row, entry.x, entry.y, entry.label, entry.note, entry.blind
    (1, 20.0, 6.0, 2, 'two peaks', True)
    """

    row: int
    id: str
    x: float
    y: float
    reviewer: str
    label: int | None
    note: str
    blind: bool
    order: str
    time: str


#: Columns of a label file. ``time`` is last, so that truncated lines can be recognized.
COLUMNS = tuple("class" if field.name == "label" else field.name for field in fields(Entry))
_TYPES = (np.int64, str, np.float64, np.float64, str, np.int16, str, bool, str, str)
_NEW = ("blind", "order")
#: Columns of files from versions without blind reviews.
EARLIER_COLUMNS = tuple(name for name in COLUMNS if name not in _NEW)


def check_name(name):
    """Validate the name of a reviewer.

    Parameters
    ----------
    name : str
        Name to check.

    Returns
    -------
    name : str
        Name without surrounding spaces.

    Raises
    ------
    ValueError
        If it is empty, too long or not a string.
    """
    plain = one_line(name) if isinstance(name, str) else ""
    if not 0 < len(plain) <= _LONGEST_NAME:
        raise ValueError(
            f"reviewer must be a name of 1 to {_LONGEST_NAME} characters, not {name!r}"
        )
    return plain


def one_line(text, name="note"):
    """Remove line breaks and other non-printing characters."""
    if not isinstance(text, str):
        raise ValueError(f"{name} must be a string, not {text!r}")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def is_whole(line):
    """Whether a line without a newline (bytes) is complete, that is, ends with a time."""
    time = line.rpartition(b",")[2]
    return len(time) == len("2025-01-01T00:00:00Z") and time.endswith(b"Z")


def header_text(scheme):
    """Header of a label file.

    Parameters
    ----------
    scheme : `~astroclust.instruments.ClassScheme`
        Class scheme of the labels, stored in the file.

    Returns
    -------
    text : str
        ECSV header and names of the columns.
    """
    empty = Table(names=COLUMNS, dtype=_TYPES)
    empty["x"].unit = empty["y"].unit = "pix"
    empty.meta["ABOUT"] = "one row per label; a reviewer's latest label supersedes earlier ones"
    empty.meta.update(meta_of(scheme))
    buffer = io.StringIO()
    empty.write(buffer, format="ascii.ecsv", delimiter=",")
    return buffer.getvalue()


def write_line(entry):
    """Format an entry as a line of a label file."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(astuple(entry))  # None becomes empty
    return buffer.getvalue()


def read_line(line, scheme, columns=COLUMNS):
    """Parse a line of a label file.

    Parameters
    ----------
    line : str
        Line without its newline.
    scheme : `~astroclust.instruments.ClassScheme`
        Class scheme of the labels.
    columns : tuple of str, optional
        Columns of the file: `COLUMNS` or `EARLIER_COLUMNS`, whose labels are not blind.

    Returns
    -------
    entry : `Entry`
        The entry.

    Raises
    ------
    ValueError
        If the line is invalid.
    """
    values = next(csv.reader([line]))
    if len(values) != len(columns):
        raise ValueError(f"{len(values)} values, not {len(columns)}")
    found = dict(zip(columns, values, strict=True))
    label = int(found["class"]) if found["class"] else None
    if label is not None and label not in scheme.names:
        raise ValueError(f"{label} is not a class of {scheme.name}")
    blind = found.get("blind", "False")
    if blind not in ("True", "False"):
        raise ValueError(f"blind is {blind!r}, neither True nor False")
    return Entry(
        int(found["row"]),
        found["id"],
        float(found["x"]),
        float(found["y"]),
        found["reviewer"],
        label,
        found["note"],
        blind == "True",
        found.get("order", ""),
        found["time"],
    )


def with_new_columns(text, header):
    """Convert the content of a label file of an earlier version to the columns of this one.

    Parameters
    ----------
    text : str
        Content of the file, as complete lines.
    header : str
        Header for its classes, from `header_text`.

    Returns
    -------
    text : str
        Content with all metadata and lines in order; none of the labels is blind.
    """
    lines = text.split("\n")
    first = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    meta = Table.read("\n".join(lines[: first + 1]), format="ascii.ecsv").meta
    new = Table.read(header, format="ascii.ecsv")
    new.meta.update(meta)
    buffer = io.StringIO()
    new.write(buffer, format="ascii.ecsv", delimiter=",")
    writer = csv.writer(buffer, lineterminator="\n")
    for line in filter(str.strip, lines[first + 1 :]):
        values = next(csv.reader([line]))
        writer.writerow([*values[:-1], "False", "", values[-1]])
    return buffer.getvalue()
