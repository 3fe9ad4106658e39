# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""What a page knows of each row of a table, checked once."""

import warnings
from dataclasses import dataclass

import numpy as np
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs import float_values, pixel_positions
from astroclust.images import ImageSet
from astroclust.instruments import ClassScheme, classes_of
from astroclust.stamps import StampFlag

__all__ = ["DEFAULT_PAGE", "Objects", "Page", "read_objects"]

# Markers of matplotlib that the page can draw, as it names them; others become circles.
_SHAPES = {"o": "circle", "s": "square", "^": "triangle", "D": "diamond", "v": "wedge"}
_SHAPES |= {"P": "plus", "X": "cross"}


@dataclass(frozen=True)
class Page:
    """Settings of a page of candidates.

    Parameters
    ----------
    title : str, optional
        Title of the page.
    size : int, optional
        Width of the stamps in pixels.

    Examples
    --------
    >>> from astroclust.review import Page
    >>> Page(title="NGC 628", size=40)
    Page(title='NGC 628', size=40)
    """

    title: str = "review"
    size: int = 50


#: The settings of a page by default.
DEFAULT_PAGE = Page()


@dataclass(frozen=True)
class Objects:
    """The rows of a table that is reviewed.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        The table.
    images : `~astroclust.images.ImageSet`
        Its images.
    x, y : `~numpy.ndarray` of float64, shape (n,)
        Positions in pixels.
    ids : list of str, length n
        Names.
    inside : `~numpy.ndarray` of bool, shape (n,)
        Whether a row lies on the images.
    scheme : `~astroclust.instruments.ClassScheme`
        The classes that can be given.
    columns : dict of str to `~numpy.ndarray`, shape (n,)
        What the classifier says, as far as the table has it: ``class`` (0 where none),
        ``probability``, ``prob_1`` ..., ``entropy``, ``agreement`` and ``flags``.
    """

    table: Table
    images: ImageSet
    x: np.ndarray
    y: np.ndarray
    ids: list
    inside: np.ndarray
    scheme: ClassScheme
    columns: dict

    def __len__(self):
        return len(self.x)

    def as_dict(self):
        """Everything, as JSON can hold it: lists by column, None where there is no number."""
        ny, nx = self.images.shape
        return {
            "n": len(self),
            "ids": self.ids,
            "x": _plain(self.x, 2),
            "y": _plain(self.y, 2),
            "inside": self.inside.astype(int).tolist(),
            "columns": {name: _plain(values, 4) for name, values in self.columns.items()},
            "classes": self.scheme.names,
            "colors": self.scheme.colors,
            "shapes": {
                number: _SHAPES.get(marker, "circle")
                for number, marker in self.scheme.markers.items()
            },
            "flags": {bit: meaning for bit, _, meaning in StampFlag.describe()},
            "bands": [
                {"role": role, "filter": name}
                for role, name in zip(self.images.roles, self.images.filters, strict=True)
            ],
            "shape": [ny, nx],
        }


def read_objects(table, images, *, column_prefix=""):
    """Check a table and its images, and take what a page shows.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Positions, and the columns of `~astroclust.classification.classify_table` where it was
        classified.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    column_prefix : str, optional
        That of the class columns.

    Returns
    -------
    objects : `Objects`
        All rows.

    Raises
    ------
    ValueError
        Where the table has no rows, or none of them lies on the images.

    Warns
    -----
    AstropyUserWarning
        Where some rows do not lie on the images: they have no stamp.
    """
    images = ImageSet.of(images)
    x, y = pixel_positions(table, images.wcs)
    if not len(table):
        raise ValueError("the table has no rows: there is nothing to review")
    ny, nx = images.shape
    inside = (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
    if not inside.any():
        raise ValueError(
            f"none of the {len(table)} rows lies on the images ({ny} x {nx} pixels): give the "
            "images that belong to this table"
        )
    if not inside.all():
        warnings.warn(
            f"{np.count_nonzero(~inside)} of {len(table)} rows do not lie on the images; they "
            "have no stamp",
            AstropyUserWarning,
            stacklevel=2,
        )
    ids = table["id"] if "id" in table.colnames else range(len(table))
    scheme = classes_of(table, column_prefix)
    columns = _class_columns(table, scheme, column_prefix)
    return Objects(table, images, x, y, [str(i) for i in ids], inside, scheme, columns)


def _class_columns(table, scheme, prefix):
    names = ["class", "probability", *(f"prob_{number}" for number in scheme.numbers)]
    names = [*names, "entropy", "agreement", "flags"]
    columns = {}
    for name in names:
        if prefix + name not in table.colnames:
            continue
        values = np.ma.asarray(table[prefix + name])
        if values.dtype.kind not in "iuf" or values.ndim != 1:
            raise ValueError(f"column {prefix + name} must hold a number a row: rename it")
        whole = name in ("class", "flags")
        columns[name] = np.ma.filled(values, 0).astype(np.int64) if whole else float_values(values)
    return columns


def _plain(values, digits):
    if values.dtype.kind in "iu":
        return values.tolist()
    bad = ~np.isfinite(values)
    rounded = np.round(np.where(bad, 0, values), digits).tolist()
    for i in np.flatnonzero(bad).tolist():
        rounded[i] = None
    return rounded
