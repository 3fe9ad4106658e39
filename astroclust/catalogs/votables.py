# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""VOTables with metadata as parameters."""

import io
import json
import warnings

import numpy as np
from astropy.io import votable
from astropy.io.votable import tree
from astropy.table import Table

from astroclust.catalogs.fits_tables import plain_unit, plain_value
from astroclust.catalogs.keywords import find_keyword
from astroclust.text import UnreadableError

__all__ = ["read_votable", "write_votable"]

_TYPES = {bool: "boolean", int: "long", float: "double"}


def write_votable(table, path):
    """Write a table to a VOTable; see `~astroclust.catalogs.write_table`.

    Parameters
    ----------
    table : `~astropy.table.Table`
        The table.
    path : `~pathlib.Path`
        Output file.

    Raises
    ------
    ValueError
        If VOTables do not support a column, such as a `~astropy.coordinates.SkyCoord`.
    """
    plain = Table(table, copy=False)
    if plain.has_mixin_columns:
        names = ", ".join(col.info.name for col in plain.itercols() if not hasattr(col, "dtype"))
        raise ValueError(
            f"a VOTable cannot store column {names}; write .ecsv or .fits, or replace it with "
            "plain columns, such as ra and dec"
        )
    plain.meta = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # units, such as electrons, that are not in the standard
        document = votable.from_table(plain)
        for key, value in table.meta.items():
            if key != "__attributes__":  # how astropy prints the table
                _add(document, str(key), value)
        document.to_xml(str(path))


def _add(document, key, value):
    """Add a PARAM for a number or text, an INFO for anything else."""
    element = document.get_first_table()
    plain = plain_value(value)
    is_text = isinstance(value, str)
    if type(plain) in _TYPES or is_text:
        keyword = find_keyword(key)
        parameter = tree.Param(
            document,
            name=key,
            datatype="unicodeChar" if is_text else _TYPES[type(plain)],
            arraysize="*" if is_text else None,
            value=plain,
            unit=keyword.unit or None if keyword else None,
        )
        if keyword:
            parameter.description = keyword.meaning
        element.params.append(parameter)
    else:
        element.infos.append(tree.Info(name=key, value="" if plain is None else plain))


def read_votable(content, extension):
    """Read a table from a VOTable; see `~astroclust.catalogs.read_table`.

    Parameters
    ----------
    content : bytes
        Content of the file.
    extension : int, str or None
        Number or name of one of several tables.

    Returns
    -------
    table : `~astropy.table.Table`
        Table with its parameters as metadata.

    Raises
    ------
    UnreadableError
        If there is no such table, or there are several and ``extension`` is None.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hardly any VOTable follows the standard strictly
        tables = list(votable.parse(io.BytesIO(content)).iter_tables())
        chosen = _choose(tables, extension)
        table = chosen.to_table(use_names_over_ids=True)
        for column in table.itercols():
            column.info.unit = plain_unit(column.info.unit)
            if column.info.description:  # contains line breaks
                column.info.description = " ".join(column.info.description.split())
        for parameter in chosen.params:
            value = np.ma.asarray(parameter.value)
            table.meta[parameter.name] = value.tolist() if not value.ndim else parameter.value
        for info in chosen.infos:
            table.meta[info.name or info.ID] = _value(info.value)
    return table


def _value(text):
    """Value of an INFO: a list or mapping from JSON, or the text itself."""
    try:
        return json.loads(text) if text and text[0] in "[{" else text or None
    except ValueError:
        return text


def _choose(tables, extension):
    names = [table.name or table.ID or "" for table in tables]
    known = ", ".join(f"{i} {name}".strip() for i, name in enumerate(names))
    if not tables:
        raise UnreadableError("it has no table; fetch it again")
    if extension is None and len(tables) > 1:
        raise UnreadableError(
            f"it has several tables; append one of {known} in brackets, such as [0]"
        )
    if extension is None:
        return tables[0]
    if isinstance(extension, int) and extension < len(tables):
        return tables[extension]
    if names.count(extension) == 1:
        return tables[names.index(extension)]
    raise UnreadableError(f"it has no table {f'[{extension}]'}, only {known}")
