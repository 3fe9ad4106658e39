# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Numbers and angles from text columns."""

import re

import numpy as np
from astropy import units as u

__all__ = ["MISSING", "SEXAGESIMAL", "angles"]

# Missing values in CSV, IRAF, Excel, databases and astropy, in lower case.
MISSING = frozenset(
    ("", "--", "-", "null", "none", "n/a", "na", "#n/a", "indef", "masked", "...", '""')
)
# Signs in typeset tables.
_PLAIN_SIGNS = {ord("\N{MINUS SIGN}"): "-", ord("\N{PRIME}"): "'", ord("\N{DOUBLE PRIME}"): '"'}
SEXAGESIMAL = re.compile(
    r"""(?P<sign>[+-]?)\s*(?P<whole>\d{1,3})(?P<mark>\s*[:hd°]\s*|\s+)
    (?P<minutes>\d{1,2}(\.\d*)?)
    ((\s*[:m']\s*|\s+)(?P<seconds>\d{1,2}(\.\d*)?))?\s*[ms"']*""",
    re.VERBOSE | re.IGNORECASE,
)


def angles(column, name, *, unit=None, hours=False, sky=True):
    """Convert a text column to numbers; sky positions may be sexagesimal.

    Parameters
    ----------
    column : `~astropy.table.Column` of text, length n
        Numbers, or angles such as ``10:03:12.5``, ``10h03m12.5s`` or ``+02 05 10``.
    name : str
        Name of the column, for messages.
    unit : `~astropy.units.Unit`, optional
        Unit of the column.
    hours : bool, optional
        Whether sexagesimal values are hours if neither they nor the unit specify it.
    sky : bool, optional
        Whether sexagesimal values are accepted.

    Returns
    -------
    values : `~numpy.ndarray` of float64, shape (n,)
        NaN for entries that are masked or missing values.
    unit : `~astropy.units.Unit` or None
        Unit of the values.

    Raises
    ------
    TypeError
        If an entry is neither a number nor an angle.
    ValueError
        If an angle is out of range.
    """
    values = np.full(len(column), np.nan)
    units = {}
    for row, value in enumerate(column):
        text = _text(value)
        if text.lower() in (*MISSING, "nan"):
            continue
        try:
            values[row], of_value = float(text), unit
        except ValueError:
            match = SEXAGESIMAL.fullmatch(text) if sky else None
            if match is None:
                form = " or sexagesimal angles, such as 10:03:12.5" if sky else ""
                raise TypeError(
                    f"column {name} must have numbers{form}, but row {row} has {text!r}; correct "
                    "it, or leave it empty"
                ) from None
            values[row], of_value = _angle(match, name, row, unit, hours)
        units[of_value] = text
        if len(units) > 1:
            raise ValueError(
                f"column {name} mixes {' and '.join(map(repr, units.values()))}; write all values "
                "in degrees"
            )
    return values, next(iter(units), unit)


def _text(value):
    if value is None or value is np.ma.masked:
        return ""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.strip().translate(_PLAIN_SIGNS)


def _angle(match, name, row, unit, hours):
    """A sexagesimal value, and its unit."""
    mark = match["mark"].strip().lower()
    if mark == "h":
        of_value = u.hourangle
    elif mark in ("d", "°") or unit == u.deg:
        of_value = u.deg
    else:
        of_value = u.hourangle if hours or unit == u.hourangle else u.deg
    whole, minutes = float(match["whole"]), float(match["minutes"])
    seconds = float(match["seconds"] or 0)
    if minutes >= 60 or seconds > 60:
        raise ValueError(
            f"column {name} has {match.string!r} in row {row}, with 60 or more minutes or "
            "seconds; correct it"
        )
    if of_value == u.hourangle and whole >= 24:
        raise ValueError(
            f"column {name} has {match.string!r} in row {row}, but hours must be less than 24; if "
            f"it is in degrees, set the unit of the column to deg, or name it '{name} [deg]'"
        )
    value = whole + minutes / 60 + seconds / 3600
    return (-value if match["sign"] == "-" else value), of_value
