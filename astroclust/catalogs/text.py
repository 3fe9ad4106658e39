# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Text tables of any program: format, delimiter, column names and numbers."""

import csv
import re

import numpy as np
from astropy.io import ascii as astropy_ascii
from astropy.table import Column, MaskedColumn, Table

from astroclust.catalogs.sexagesimal import MISSING, SEXAGESIMAL
from astroclust.text import UnreadableError, check_last_line

__all__ = [
    "NoColumnNamesError",
    "is_number",
    "read_text_table",
]

# Patterns at the start of the text, and astropy's names of the formats.
_FORMATS = (
    (r"#\s*%ECSV", "ecsv"),
    (r"#\s*1\s+[A-Z]\w*(\s|$)", "sextractor"),
    (r"#[KN]\s+\w", "daophot"),
    (r"(\\[^\n]*\n)*\|[^\n]*\|\s*\n(?!\s*\|\s*\d)", "ipac"),
    (r"=+(\s+=+)*\s*\n", "rst"),
    (r"(?s).*?^Byte-by-byte Description", "cds"),
    (r"\s*\\(begin|documentclass|tablehead|startdata)", "latex"),
)
# First line of DAOPHOT II and ALLSTAR files; the second starts with the file type.
_DAOPHOT_II = re.compile(r"\s*NL\s+NX\s+NY\s+LOWBAD.*\n\s*(\d)\s.*\n")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([edq][+-]?\d+)?|[+-]?(nan|inf(inity)?)", re.I)
_OF_INTEGERS = frozenset("+-0123456789")
_OF_NUMBERS = _OF_INTEGERS | frozenset(".eEnaN")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([ed][+-]?\d+)?", re.I)
_NOT_VALUE = re.compile(r"-+|\d*[NS]")
_WORDS = re.compile(r'"([^"]*)"|(\S+)')
_DELIMITERS = ("\t", ";", ",", "|")
_NAMES = {"\t": "tab", None: "space", ";": "';'", ",": "','", "|": "'|'"}
# Number of lines used to detect the delimiter, and of characters used to detect the format.
_SAMPLE, _START = 200, 50_000
# Horizontal rules of framed tables.
_RULE = re.compile(r"\s*\+[-=+]+\+\s*")


class NoColumnNamesError(UnreadableError):
    """A table starts with numbers instead of column names."""


def is_number(text):
    """Whether a text is a number, possibly with a Fortran exponent, or a sexagesimal angle.

    Parameters
    ----------
    text : str
        Text without surrounding spaces.
    """
    return bool(
        _NUMBER.fullmatch(text) or _DECIMAL_COMMA.fullmatch(text) or SEXAGESIMAL.fullmatch(text)
    )


def read_text_table(text):
    """Read a table from text, detecting its format.

    Parameters
    ----------
    text : str
        ECSV, SExtractor's ASCII_HEAD, IRAF's or DAOPHOT II's text, IPAC, RST, a machine-readable
        table, or columns with a delimiter: comma, semicolon (also with decimal commas), tab, bar
        or spaces.

    Returns
    -------
    table : `~astropy.table.Table`
        The table.

    Raises
    ------
    NoColumnNamesError
        If its first line has numbers.
    UnreadableError
        If it is truncated, or not a supported table.
    """
    check_last_line(text)
    start = text[:_START].lstrip()
    for pattern, name in _FORMATS:
        if re.match(pattern, start, re.M):
            return _read_astropy(text, name)
    if match := _DAOPHOT_II.match(text):
        return _read_daophot_ii(text[match.end() :], match[1])
    return _read_delimited([line + "\n" for line in text.split("\n")])


def _read_astropy(text, name):
    if name == "daophot" and text.rstrip("\n").endswith("\\"):
        raise UnreadableError("its last row is truncated; fetch or write it again")
    if name == "sextractor" and not re.search(r"^\s*[^#\s]", text, re.M):
        raise UnreadableError("it has no rows; run SExtractor again, or choose another file")
    if name == "cds" and re.match(r"\s*(Title|Authors|Table):", text):
        name = "mrt"
    return astropy_ascii.read(text.split("\n"), format=name, guess=False)


def _read_daophot_ii(text, kind):
    """Read a DAOPHOT II file, which has no column names; the first three are always the same."""
    if kind not in ("1", "3"):
        raise UnreadableError(
            f"it is a DAOPHOT file with several lines per row (NL={kind}); use the output of "
            "ALLSTAR, or convert it to CSV with a header line"
        )
    rows = [line.split() for line in text.splitlines() if line.strip()]
    names = ["ID", "XCENTER", "YCENTER"]
    names += [f"col{number}" for number in range(4, 1 + len(rows[0] if rows else ()))]
    return _table(names, rows, range(len(rows)), None)


def _read_delimited(lines):
    hint = re.match(r"sep=(.)\s*$", lines[0]) if lines else None
    lines = lines[1:] if hint else lines  # written by Excel
    lines = _without_frame(lines)
    numbers = [i for i, line in enumerate(lines) if line.strip() and not _is_comment(line)]
    before = lines[: numbers[0]] if numbers else lines
    comments = [line.strip().lstrip("#").strip() for line in before if _is_comment(line)]
    if not numbers:
        raise UnreadableError("it has no rows apart from comments; fetch or write it again")
    delimiter = hint[1] if hint else _delimiter([lines[i] for i in numbers[:_SAMPLE]])
    rows, numbers = _split([lines[i] for i in numbers], delimiter, numbers)
    if not any(map(is_number, rows[0])):
        return _table(rows[0], rows[1:], numbers[1:], delimiter)
    names = _commented_names(comments, rows, delimiter)
    if names is None:
        raise NoColumnNamesError(
            "it has no column names, as its first line has numbers "
            f"({next(filter(is_number, rows[0]))}); add a header line, such as x,y"
        )
    return _table(names, rows, numbers, delimiter)


def _is_comment(line):
    return line.lstrip().startswith("#")


def _without_frame(lines):
    """Lines without the bars and rules of framed tables."""
    lines = ["\n" if _RULE.fullmatch(line) else line for line in lines]
    full = [line.strip() for line in lines if line.strip() and not _is_comment(line)]
    if not full or not all(line.startswith("|") and line.endswith("|") for line in full):
        return lines
    return [line.strip().strip("|") + "\n" for line in lines]


def _delimiter(sample):
    """Delimiter of the columns; None for spaces."""
    for delimiter in _DELIMITERS:
        counts = {len(row) for row in csv.reader(sample, delimiter=delimiter) if row}
        if len(counts) == 1 and counts != {1}:
            return delimiter
    words = {len(_WORDS.findall(line)) for line in sample}
    if len(words) == 1 and (words != {1} or not any(mark in sample[0] for mark in _DELIMITERS)):
        return None
    # No delimiter gives all lines the same number of fields: use the one in the first line.
    return next((delimiter for delimiter in _DELIMITERS if delimiter in sample[0]), None)


def _split(lines, delimiter, numbers):
    """Non-empty rows as lists of text, and their line numbers."""
    if delimiter is None:
        rows = [[quoted or word for quoted, word in _WORDS.findall(line)] for line in lines]
    else:
        try:
            reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
            rows, ends = [], []
            for row in reader:
                rows.append([field.strip() for field in row])
                ends.append(numbers[reader.line_num - 1])
            numbers = ends
        except csv.Error as error:
            raise UnreadableError(f"it has unclosed quotes ({error}); write it again") from None
    full = [i for i, row in enumerate(rows) if any(row)]
    if not full:
        raise UnreadableError("it has no rows; fetch or write it again")
    return [rows[i] for i in full], [numbers[i] for i in full]


def _commented_names(comments, rows, delimiter):
    """Column names from a comment with as many words as rows have fields."""
    for comment in reversed(comments):
        for separator in (delimiter, None, ","):
            try:
                names = _split([comment], separator, [0])[0][0]
            except ValueError:
                continue
            if len(names) == len(rows[0]) and not any(map(is_number, names)) and all(names):
                return names
    return None


def _table(names, rows, numbers, delimiter):
    """Table from rows of text with their line numbers."""
    units = None
    for skip in (1, 0):  # VizieR has a line of units and one of dashes; RDB has one of types
        if len(rows) > skip and all(_NOT_VALUE.fullmatch(field) for field in rows[skip]):
            units = rows[0] if skip else None
            rows, numbers = rows[skip + 1 :], numbers[skip + 1 :]
            break
    names, rows = _without_empty_ends(names, rows)
    for row, number in zip(rows, numbers, strict=True):
        if len(row) != len(names):
            raise UnreadableError(
                f"line {number + 1} has {len(row)} values for {len(names)} column names "
                f"(delimiter {_NAMES.get(delimiter, repr(delimiter))}): if the file is truncated, "
                "fetch or write it again; if its numbers have decimal commas, separate the "
                "columns by ';'"
            )
    names = [name or f"col{i}" for i, name in enumerate(names, start=1)]
    repeated = [name for i, name in enumerate(names) if name in names[:i]]
    if repeated:
        raise UnreadableError(f"it has several columns named {repeated[0]!r}; rename all but one")
    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    points = any("." in field and is_number(field) for row in rows[:_SAMPLE] for field in row)
    table = Table()
    for name, texts in zip(names, columns, strict=True):
        table[name] = _column(name, texts, points)
    for name, unit in zip(names, units or (), strict=False):
        table[name].unit = unit if unit else None
    return table


def _without_empty_ends(names, rows):
    """Drop the empty column caused by a delimiter at the end of each line."""
    while (
        len(names) > 1
        and not names[-1]
        and all(len(row) < len(names) or not row[len(names) - 1] for row in rows)
    ):
        rows = [row[: len(names) - 1] if len(row) == len(names) else row for row in rows]
        names = names[:-1]
    return names, rows


def _column(name, texts, points):
    """Column of integers, floats or text, with missing values masked."""
    values = _plain_numbers(texts)
    if values is not None:
        return Column(values)
    lost = np.array([text.lower() in MISSING for text in texts], bool)
    given = [text for text, missing in zip(texts, lost, strict=True) if not missing]
    values = _numbers(name, given, points) if given else None
    if values is None:
        lost = np.array([not text for text in texts], bool)
        values = np.array(texts, str)
    elif lost.any():
        full = np.zeros(len(texts), values.dtype)
        full[~lost] = values
        values = full
    return MaskedColumn(values, mask=lost) if lost.any() else Column(values)


def _plain_numbers(texts):
    """Convert text to integers or floats; None if any is not in Python's number format."""
    characters = set("".join(texts))
    if not characters or not characters <= _OF_NUMBERS:
        return None
    try:
        values = np.array(texts)
        return values.astype(np.int64 if characters <= _OF_INTEGERS else np.float64)
    except (ValueError, OverflowError):
        return None


def _numbers(name, texts, points):
    """Convert text to numbers, also with decimal commas and Fortran exponents; None if invalid."""
    if any(map(_DECIMAL_COMMA.fullmatch, texts[:_SAMPLE])):
        if points:
            raise UnreadableError(
                f"column {name} has a comma in {next(filter(_DECIMAL_COMMA.fullmatch, texts))!r}, "
                "but other numbers have decimal points; use points throughout, and no thousands "
                "separators"
            )
        texts = [text.replace(",", ".") for text in texts]
    if not all(map(_NUMBER.fullmatch, texts)):
        return None
    texts = [re.sub("[dDqQ]", "e", text) for text in texts]
    values = _plain_numbers(texts)
    return np.array(texts).astype(np.float64) if values is None else values
