# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Selection of the columns of wide tables to print."""

import re

from astropy.table import Table
from astropy.table.pprint import TableFormatter

__all__ = ["print_most_important"]

# Columns to exclude first if a table is wider than the terminal.
_MINOR = re.compile(
    r"(flux|flag|mag_err|mag_lim)_\w+|area|flux|.*(prob_(image_)?\d+|agreement|evidence)"
)


class _Formatter(TableFormatter):
    """Formatter that excludes minor columns from tables that are too wide."""

    def _pformat_table(self, table, *args, **options):
        lines, more = super()._pformat_table(table, *args, **options)
        if not lines or "..." not in lines[0].split():
            return lines, more
        names = [name for name in table.colnames if not _MINOR.fullmatch(name)]
        shown = Table([table[name] for name in names], copy=False)
        return super()._pformat_table(shown, *args, **options)


def print_most_important(table):
    """Make ``print`` show positions and classes if a table is wider than the terminal.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table; changed in place, but only printing is affected. Hiding columns with astropy
        would add metadata that is written to files.
    """
    table.formatter = _Formatter()
