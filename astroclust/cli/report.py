# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Output of commands as text, or as a JSON object for scripts."""

import json
import math
import os
import sys

import numpy as np

__all__ = ["Report"]


class Report:
    """Results of a command, printed as text or JSON.

    Parameters
    ----------
    as_json : bool
        Whether `end` prints a single object, instead of the lines printed by `say`.
    """

    def __init__(self, *, as_json):
        self._as_json, self._ended = as_json, False
        self._facts = {}
        # Kept here because `~astroclust.cli.main` redirects the output of libraries.
        self._stream = sys.stdout

    def say(self, text, /, *words, **facts):
        """Record results and print them.

        Parameters
        ----------
        text : str
            Format string with names of results, such as ``"wrote {output}"``; nothing is printed if
            empty.
        *words
            Positional values of the format string, not part of the JSON output.
        **facts
            Results: numbers, strings, paths, tables, arrays, and lists and dicts of them. All are
            part of the JSON output.
        """
        self._facts |= facts
        if text and not self._as_json:
            shown = {name: _whole(fact) for name, fact in facts.items()}
            print(text.format(*words, **shown), file=self._stream, flush=True)

    def end(self):
        """Print the JSON object, only once; a server does so when it starts."""
        # Set before printing, since a server may be interrupted as soon as the object is read.
        ended, self._ended = self._ended, True
        if self._as_json and not ended:
            print(json.dumps(_plain(self._facts), allow_nan=False), file=self._stream, flush=True)


def _whole(value):
    """Format a value as text, tables with all rows and columns."""
    from astropy.table import Table  # not needed for help

    if isinstance(value, Table):
        return "\n".join(value.pformat(max_lines=-1, max_width=-1))
    return value


def _plain(value):
    """Convert a value for JSON: null for missing or non-finite values, tables as rows."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    from astropy.table import Table  # not needed for help

    if isinstance(value, Table):
        return [_plain(dict(row)) for row in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return os.fspath(value) if isinstance(value, os.PathLike) else value
