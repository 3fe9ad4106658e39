# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Settings of a page, and the validated rows of its table."""

import warnings
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs import float_values, pixel_positions, sky_positions
from astroclust.catalogs.positions import find_sky_columns
from astroclust.context.features import distance_of
from astroclust.images import ImageSet
from astroclust.instruments import ClassScheme, classes_of
from astroclust.review.confirmation import CONFIRMATION, select_certain
from astroclust.stamps import StampFlag

__all__ = [
    "DEFAULT_PAGE",
    "ORDERS",
    "Objects",
    "Page",
    "describe_page",
    "label_scheme",
    "read_objects",
]

#: Initial orders of a page.
ORDERS = ("table", "uncertainty", "random")

# Names on the page of the matplotlib markers that it supports; others become circles.
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
    blind : bool, optional
        Whether class, probabilities, entropy, saliency and the labels and notes of others are
        hidden until the reviewer has labeled the object. Each label records whether it was blind.
    order : {"table", "uncertainty", "random"}, optional
        Initial order of the objects: that of the table, by decreasing entropy, or shuffled.
    seed : int, optional
        Seed of the random order.
    distance : float or `~astropy.units.Quantity`, optional
        Distance in Mpc, for scale bars in pc; by default ``DISTANCE`` in the table metadata.
    confirm : float, optional
        Lowest probability of the objects to confirm. Reviewers then confirm or reject the class of
        each object instead of labeling it. By default all objects are shown and labeled.

    Raises
    ------
    ValueError
        If the order is unknown, the seed is not a non-negative whole number, the distance is not
        positive, or a confirmation is blind.

    Examples
    --------
    >>> from astroclust.review import Page
    >>> page = Page(title="NGC 628", blind=True, order="random", seed=1)
    >>> page.size, page.order
    (50, 'random')
    """

    title: str = "review"
    size: int = 50
    blind: bool = False
    order: str = "table"
    seed: int = 0
    distance: float | u.Quantity | None = None
    confirm: float | None = None

    def __post_init__(self) -> None:
        if self.blind and self.confirm is not None:
            raise ValueError(
                "a confirmation shows the class to be confirmed; omit blind or confirm"
            )
        if self.order not in ORDERS:
            raise ValueError(f"order must be one of {', '.join(ORDERS)}, not {self.order!r}")
        if not isinstance(self.seed, Integral) or self.seed < 0:
            raise ValueError(f"seed must be a whole number, 0 or more, not {self.seed!r}")
        if self.distance is not None:
            _megaparsecs(self.distance)


def label_scheme(page, scheme):
    """Label scheme of a page: the classes, or confirm and reject.

    Parameters
    ----------
    page : `Page`
        Settings of the page.
    scheme : `~astroclust.instruments.ClassScheme`
        Classes of the objects.

    Returns
    -------
    labels : `~astroclust.instruments.ClassScheme`
        The labels.
    """
    return scheme if page.confirm is None else CONFIRMATION


def _describe_scheme(scheme):
    """Names, colors and shapes of classes or labels, by their numbers."""
    shapes = {number: _SHAPES.get(marker, "circle") for number, marker in scheme.markers.items()}
    return {"classes": scheme.names, "colors": scheme.colors, "shapes": shapes}


def _megaparsecs(distance):
    try:
        value = u.Quantity(distance, None if isinstance(distance, u.Quantity) else u.Mpc)
        value = float(value.to_value(u.Mpc))
    except (TypeError, ValueError, u.UnitConversionError):
        value = np.nan
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"the distance must be positive, in Mpc, not {distance!r}")
    return value


#: Default settings of a page.
DEFAULT_PAGE = Page()


@dataclass(frozen=True)
class Objects:
    """Rows of a table under review.

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
        Whether each row is on the images.
    scheme : `~astroclust.instruments.ClassScheme`
        Class scheme of the objects.
    sky : `~astropy.coordinates.SkyCoord` or None, shape (n,)
        Sky positions (ICRS) from the WCS of the images, otherwise from the table; None if neither
        has them.
    columns : dict of str to `~numpy.ndarray`, shape (n,)
        Columns of the classifier in the table: ``class`` (0 if missing),
        ``probability``, ``prob_1`` ..., ``entropy``, ``agreement`` and ``flags``.
    """

    table: Table
    images: ImageSet
    x: np.ndarray
    y: np.ndarray
    ids: list
    inside: np.ndarray
    scheme: ClassScheme
    sky: SkyCoord | None
    columns: dict

    def __len__(self):
        return len(self.x)

    def __getitem__(self, rows):
        """Select rows by an array of indices."""
        return replace(
            self,
            table=self.table[rows],
            x=self.x[rows],
            y=self.y[rows],
            ids=[self.ids[row] for row in rows],
            inside=self.inside[rows],
            sky=None if self.sky is None else self.sky[rows],
            columns={name: values[rows] for name, values in self.columns.items()},
        )

    def as_dict(self):
        """Convert to lists by column for JSON, with None for missing values."""
        ny, nx = self.images.shape
        scale = self.images.pixel_scale
        known = self.sky is not None
        return {
            "n": len(self),
            "ids": self.ids,
            "x": _plain(self.x, 2),
            "y": _plain(self.y, 2),
            "ra": _plain(self.sky.ra.deg, 7) if known else None,
            "dec": _plain(self.sky.dec.deg, 7) if known else None,
            "scale": None if scale is None else float(scale.to_value(u.arcsec)),
            "inside": self.inside.astype(int).tolist(),
            "columns": {name: _plain(values, 4) for name, values in self.columns.items()},
            **_describe_scheme(self.scheme),
            "flags": {bit: meaning for bit, _, meaning in StampFlag.describe()},
            "bands": [
                {"role": role, "filter": name}
                for role, name in zip(self.images.roles, self.images.filters, strict=True)
            ],
            "shape": [ny, nx],
        }


def describe_page(page, objects):
    """Convert the settings of a page and its objects for JSON.

    Parameters
    ----------
    page : `Page`
        The settings.
    objects : `Objects`
        All rows.

    Returns
    -------
    told : dict
        `Objects.as_dict`, with ``title``, ``size``, ``blind``, ``order``, ``seed``, ``confirm``,
        ``labels`` (their names, colors and shapes), ``distance`` (Mpc, or None), ``random`` (rank
        of each row in the random order) and ``corner`` (first pixel of each stamp, as ``x`` and
        ``y``).

    Raises
    ------
    ValueError
        If the order is by uncertainty and the table has no entropy.
    """
    if page.order == "uncertainty" and "entropy" not in objects.columns:
        raise ValueError(
            "order 'uncertainty' needs the column entropy, which the table does not have; "
            "classify it first, or choose the order 'random'"
        )
    distance = distance_of(objects.table)
    if page.distance is not None:
        distance = _megaparsecs(page.distance)
    shuffled = np.random.default_rng(page.seed).permutation(len(objects))
    # Position of the first pixel in `Cutout2D`.
    corners = [np.ceil(values - page.size / 2) for values in (objects.x, objects.y)]
    return objects.as_dict() | {
        "title": page.title,
        "size": page.size,
        "blind": bool(page.blind),
        "order": page.order,
        "seed": int(page.seed),
        "confirm": page.confirm,
        "labels": _describe_scheme(label_scheme(page, objects.scheme)),
        "distance": distance if np.isfinite(distance) else None,
        "random": np.argsort(shuffled).tolist(),
        "corner": dict(zip("xy", (_plain(values, 0) for values in corners), strict=True)),
    }


def read_objects(table, images, *, column_prefix="", page=DEFAULT_PAGE):
    """Validate a table and its images for a page.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Positions and, if classified, the columns of `~astroclust.classification.classify_table`.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    column_prefix : str, optional
        Prefix of the class columns.
    page : `Page`, optional
        Settings, of which ``confirm`` selects rows.

    Returns
    -------
    objects : `Objects`
        All rows, or those to confirm.

    Raises
    ------
    ValueError
        If the table has no rows, or none of them is on the images.

    Warns
    -----
    AstropyUserWarning
        If some rows are outside the images, which have no stamp.
    """
    images = ImageSet.of(images)
    x, y = pixel_positions(table, images.wcs)
    if not len(table):
        raise ValueError("the table has no rows to review")
    ny, nx = images.shape
    inside = (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
    if not inside.any():
        raise ValueError(
            f"none of the {len(table)} rows lies on the images ({ny} x {nx} pixels); use the "
            "images that belong to this table"
        )
    if not inside.all():
        warnings.warn(
            f"{np.count_nonzero(~inside)} of {len(table)} rows are outside the images and have no "
            "stamp",
            AstropyUserWarning,
            stacklevel=2,
        )
    ids = table["id"] if "id" in table.colnames else range(len(table))
    scheme = classes_of(table, column_prefix)
    columns = _class_columns(table, scheme, column_prefix)
    sky = _sky(table, images, x, y)
    objects = Objects(table, images, x, y, [str(i) for i in ids], inside, scheme, sky, columns)
    if page.confirm is None:
        return objects
    return objects[select_certain(table, page.confirm, column_prefix=column_prefix)]


def _sky(table, images, x, y):
    if images.wcs is not None:
        return images.wcs.pixel_to_world(x, y).icrs
    return sky_positions(table).icrs if find_sky_columns(table) else None


def _class_columns(table, scheme, prefix):
    names = ["class", "probability", *(f"prob_{number}" for number in scheme.numbers)]
    names = [*names, "entropy", "agreement", "flags"]
    columns = {}
    for name in names:
        if prefix + name not in table.colnames:
            continue
        values = np.ma.asarray(table[prefix + name])
        if values.dtype.kind not in "iuf" or values.ndim != 1:
            raise ValueError(f"column {prefix + name} must have one number per row; rename it")
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
