# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Tables bundled with the package."""

from functools import cache
from importlib import resources

from astropy.table import Table

__all__ = ["read_data"]


@cache
def read_data(name):
    """Read a table in ``astroclust/data``; do not modify the result."""
    text = resources.files("astroclust").joinpath(f"data/{name}.ecsv").read_text("utf-8")
    return Table.read(text, format="ascii.ecsv")
