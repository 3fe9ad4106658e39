# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Which columns of a wide table are printed."""

import re

from astropy.table import Table
from astropy.table.pprint import TableFormatter

__all__ = ["print_most_important"]

# Left out first if a table is wider than the terminal; the class stands between them.
_MINOR = re.compile(
    r"(flux|flag|mag_err|mag_lim)_\w+|area|flux|.*(prob_(image_)?\d+|agreement|evidence)"
)


class _Formatter(TableFormatter):
    """Prints a table that does not fit without its minor columns."""

    def _pformat_table(self, table, *args, **options):
        lines, more = super()._pformat_table(table, *args, **options)
        if not lines or "..." not in lines[0].split():
            return lines, more
        names = [name for name in table.colnames if not _MINOR.fullmatch(name)]
        shown = Table([table[name] for name in names], copy=False)
        return super()._pformat_table(shown, *args, **options)


def print_most_important(table):
    """Make ``print`` show positions and classes of a table that is wider than the terminal.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Changed in place. It is printed in another way, and nothing else: entries in its metadata,
        by which astropy hides columns, would be written to files.
    """
    table.formatter = _Formatter()
