# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Tables with a thumbnail per row, for notebooks."""

from dataclasses import dataclass
from numbers import Integral

import numpy as np

from astroclust.catalogs import pixel_positions
from astroclust.display import picture_tag, table_html
from astroclust.images import ImageSet
from astroclust.instruments import classes_of
from astroclust.plotting.images import color_image
from astroclust.stamps import decode_flags, make_stamps

__all__ = ["TableView", "show_table"]

# Width of a thumbnail on the screen, and maximum size of the HTML of all rows, in bytes.
_WIDTH, _MOST_BYTES = 100, 200_000


@dataclass(frozen=True, repr=False)
class TableView:
    """Result of `show_table`: HTML in a notebook, text elsewhere.

    Parameters
    ----------
    html, text : str
        Both representations.
    """

    html: str
    text: str

    def __repr__(self):
        return self.text

    def _repr_html_(self):
        return self.html


def show_table(table, images, *, rows=20, size=50, column_prefix=""):
    """Show a classified table in a notebook, with a thumbnail per row.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Positions and, optionally, the columns of `~astroclust.classification.classify_table`.
    images : `~astroclust.images.ImageSet` or mapping
        Images of the field.
    rows : int, optional
        Number of rows to show, starting with the first.
    size : int, optional
        Width of a thumbnail, in pixels of the images.
    column_prefix : str, optional
        Prefix of the class columns.

    Returns
    -------
    view : object
        In a notebook, as the last line of a cell, a table of thumbnails with row index, ``id``,
        class, probability, position and flags; elsewhere the text of the table. It has as many
        rows as fit into 200 kB, and states their number.

    Raises
    ------
    ValueError
        If ``rows`` or ``size`` is not a whole number of at least 1.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.plotting import show_table
    >>> field = simulate_field(shape=(64, 64), seed=1, density=2e-3)
    >>> view = show_table(field.truth, field.images, rows=3)
    >>> view._repr_html_().count("<img")
    3
    """
    if not isinstance(rows, Integral) or rows < 1:
        raise ValueError(f"rows must be a whole number of at least 1, not {rows!r}")
    images, shown = ImageSet.of(images), table[:rows]
    stamps = make_stamps(shown, images, size=size, bands=images.roles)
    columns = _columns(shown, images, column_prefix)
    cells, n_bytes = [], 0
    for pixels, *texts in zip(stamps.data, *columns.values(), strict=True):
        picture = color_image(pixels, stamps.bands, system=stamps.system)[::-1]
        cells.append((picture_tag(picture, width=_WIDTH), *texts))
        n_bytes += len(table_html(None, cells[-1:]))
        if n_bytes > _MOST_BYTES:
            cells.pop()
            break
    note = f"<div>{len(cells)} of {len(table)} rows</div>"
    text = "\n".join(shown[: len(cells)].pformat(max_width=-1, max_lines=-1))
    return TableView(table_html(["", *columns], cells) + note, text)


def _columns(table, images, prefix):
    """Formatted columns to show, by name."""
    columns = {"row": [str(i) for i in range(len(table))]}
    for name in ("id", "ID"):
        if name in table.colnames:
            columns["id"] = [str(value) for value in table[name]]
    if f"{prefix}class" in table.colnames:
        scheme = classes_of(table, prefix)
        classes = np.ma.filled(np.ma.asarray(table[f"{prefix}class"]), 0)
        columns["class"] = [
            f"{number} {scheme.names[number]}" if number in scheme.names else "no class"
            for number in classes.tolist()
        ]
    if f"{prefix}probability" in table.colnames:
        columns["probability"] = _numbers(table[f"{prefix}probability"], 3)
    x, y = pixel_positions(table, images.wcs)
    columns |= {"x": _numbers(x, 2), "y": _numbers(y, 2)}
    if images.wcs is not None:
        sky = images.wcs.pixel_to_world(x, y).icrs
        columns |= {"ra (deg)": _numbers(sky.ra.deg, 6), "dec (deg)": _numbers(sky.dec.deg, 6)}
    if f"{prefix}flags" in table.colnames:
        columns["flags"] = [" ".join(names) for names in decode_flags(table[f"{prefix}flags"])]
    return columns


def _numbers(values, digits):
    values = np.ma.filled(np.ma.asarray(values, float), np.nan)
    return [f"{value:.{digits}f}" if np.isfinite(value) else "" for value in values]
