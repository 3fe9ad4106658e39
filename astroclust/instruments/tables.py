# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Tables of ``astroclust/data`` that define instruments, band systems and class schemes."""

from functools import cache
from importlib import resources

import numpy as np
from astropy.table import Table

__all__ = ["read_data", "value_of"]


@cache
def read_data(name):
    """Table of a name in ``astroclust/data``; not to be changed."""
    text = resources.files("astroclust").joinpath(f"data/{name}.ecsv").read_text("utf-8")
    return Table.read(text, format="ascii.ecsv")


def value_of(row, name):
    """Value of a row in plain Python; None if the table has no such column or no value there."""
    value = row[name] if name in row.colnames else None
    if value is None or value is np.ma.masked or (isinstance(value, str) and not value):
        return None
    return value.item() if isinstance(value, np.generic) else value
