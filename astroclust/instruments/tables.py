# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Look-up of band systems and class schemes, by name or from JSON files."""

import json
from pathlib import Path

import numpy as np

__all__ = ["FrozenDict", "find_named", "value_of"]


class FrozenDict(dict):
    """Immutable dict, which can be pickled and copied."""

    def _refuse(self, *_, **__):
        raise TypeError("it cannot be modified; create a new one with dataclasses.replace")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self):
        return FrozenDict, (dict(self),)

    def __hash__(self):
        return hash(frozenset(self.items()))


def find_named(name, known, make, kind):
    """Find a band system or class scheme by name or in a JSON file.

    Parameters
    ----------
    name : str or `~pathlib.Path`
        One of the names in ``known``, or a file that ends in ``.json``.
    known : mapping
        Objects by name.
    make : callable
        Creates the object from the content of a JSON file.
    kind : str
        Type of object, in messages and in the name of the function that registers it.
    """
    if str(name).endswith(".json"):
        try:
            return make(json.loads(Path(name).read_text("utf-8")))
        except OSError as error:
            reason = error.strerror or error
            raise OSError(f"cannot read {name}: {reason}; check the path") from error
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"{name} does not describe a {kind} ({error})") from error
    if name not in known:
        raise KeyError(
            f"unknown {kind} {name!r}; available are {', '.join(known)}. Others can be added with "
            f"astroclust.instruments.register_{kind.replace(' ', '_')}, or read from a JSON file"
        )
    return known[name]


def value_of(row, name):
    """Value in a row as plain Python; None if the column is missing or the value is masked."""
    value = row[name] if name in row.colnames else None
    if value is None or value is np.ma.masked or (isinstance(value, str) and not value):
        return None
    return value.item() if isinstance(value, np.generic) else value
