# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""What a command says: lines for people as it goes, or one JSON object for scripts."""

import json
import math
import os
import sys

import numpy as np

__all__ = ["Report"]


class Report:
    """The facts that a command finds, from which both its text and its JSON are made.

    Parameters
    ----------
    as_json : bool
        Whether `end` prints one object, in place of the lines that `say` prints.
    """

    def __init__(self, *, as_json):
        self._as_json, self._ended = as_json, False
        self._facts = {}
        # That of now: `~astroclust.cli.main` sends elsewhere what libraries print.
        self._stream = sys.stdout

    def say(self, text, /, *words, **facts):
        """Take facts, and say them.

        Parameters
        ----------
        text : str
            With names of facts in braces, as ``"wrote {output}"``; or empty, to say nothing.
        *words
            What else the braces of the text stand for, and scripts need not know.
        **facts
            Numbers, texts, paths, tables, arrays, and lists and dicts of them; scripts get all,
            whether or not the text names them.
        """
        self._facts |= facts
        if text and not self._as_json:
            shown = {name: _whole(fact) for name, fact in facts.items()}
            print(text.format(*words, **shown), file=self._stream, flush=True)

    def end(self):
        """Print the object, only once: a command that serves does so when it starts."""
        if self._as_json and not self._ended:
            print(json.dumps(_plain(self._facts), allow_nan=False), file=self._stream, flush=True)
        self._ended = True


def _whole(value):
    """A value to put into text: of tables all rows and columns, however small the terminal."""
    from astropy.table import Table  # help does without

    if isinstance(value, Table):
        return "\n".join(value.pformat(max_lines=-1, max_width=-1))
    return value


def _plain(value):
    """A value as JSON knows it: null where there is none or no number, a table as its rows."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    from astropy.table import Table  # help does without

    if isinstance(value, Table):
        return [_plain(dict(row)) for row in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return os.fspath(value) if isinstance(value, os.PathLike) else value
