# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Candidate tables: their classes, their positions, reading and writing them."""

import warnings

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.wcs import NoConvergence

from astroclust.catalogs.fields import LegusField, find_field, legus_fields
from astroclust.catalogs.flags import CATALOG_FLAG_MEANINGS, CatalogFlag
from astroclust.catalogs.legus import read_legus
from astroclust.catalogs.legus_writer import write_legus
from astroclust.catalogs.phangs import PHANGS_CODES, human_class, read_phangs
from astroclust.catalogs.samples import sample_counts, training_sample
from astroclust.catalogs.tables import read_table, write_table

__all__ = [
    "CATALOG_FLAG_MEANINGS",
    "CLASSES",
    "CLASS_COLORS",
    "PHANGS_CODES",
    "CatalogFlag",
    "LegusField",
    "find_field",
    "human_class",
    "legus_fields",
    "pixel_positions",
    "read_legus",
    "read_phangs",
    "read_table",
    "sample_counts",
    "sky_positions",
    "training_sample",
    "write_legus",
    "write_table",
]

#: The classes of LEGUS (Adamo et al. 2017; Wei et al. 2020, sec. 2).
CLASSES = {
    1: "symmetric cluster",
    2: "asymmetric cluster",
    3: "multi-peaked association",
    4: "not a cluster",
}

# Names that tables give positions, for a hint: some of these count pixels from 1.
_SIMILAR = {"x", "y", "xcentroid", "ycentroid", "ximage", "yimage"} | {
    "ra",
    "dec",
    "raj2000",
    "dej2000",
}
# Units as other programs spell them.
_SPELLINGS = dict.fromkeys(("pix", "px", "pixel", "pixels"), u.pix) | dict.fromkeys(
    ("deg", "degree", "degrees"), u.deg
)

#: A colour for each class in pictures and region files, told apart by the colour-blind too
#: (Okabe & Ito 2008, https://jfly.uni-koeln.de/color).
CLASS_COLORS = {1: "#E69F00", 2: "#56B4E9", 3: "#F0E442", 4: "#CC79A7"}


def pixel_positions(table, wcs=None):
    """Positions of the rows of a table in pixels.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        With columns ``x`` and ``y`` (0-based pixel centres), or a
        `~astropy.coordinates.SkyCoord` column, or ``ra`` and ``dec`` (degrees unless they have
        a unit). Pixels go first where there are both.
    wcs : WCS, optional
        The coordinates of the image; needed for positions on the sky.

    Returns
    -------
    x, y : `~numpy.ndarray` of float64, shape (n,)
        0-based positions; NaN where a position is masked, not finite or has no place in the WCS.

    Raises
    ------
    KeyError
        Where the table has no positions.
    TypeError
        Where positions are not numbers.
    ValueError
        Where sky positions come without a WCS, or in units that are not pixels or angles.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.catalogs import pixel_positions
    >>> x, y = pixel_positions(Table({"x": [10.0, 20.5], "y": [3.0, 4.0]}))
    >>> print(x, y)
    [10.  20.5] [3. 4.]
    """
    if not isinstance(table, Table):
        raise TypeError(f"table must be an astropy Table, not {type(table).__name__}")
    if not table.colnames:
        return np.empty(0), np.empty(0)
    if {"x", "y"} <= set(table.colnames):
        return _numbers(table["x"], u.pix), _numbers(table["y"], u.pix)
    sky = sky_positions(table)
    if wcs is None:
        raise ValueError(
            "the table has sky positions only and the images have no WCS: give x and y, or "
            "images with a celestial WCS"
        )
    x = np.full(len(table), np.nan)
    y = np.full(len(table), np.nan)
    good = np.isfinite(sky.ra.deg)
    if good.any():
        # To a millionth of a pixel: what was a whole pixel before the way there and back is one.
        x[good], y[good] = np.round(_world_to_pixel(wcs, sky[good]), 6)
    return x, y


def sky_positions(table):
    """Positions of the rows of a table on the sky.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        With a `~astropy.coordinates.SkyCoord` column, or ``ra`` and ``dec`` (degrees unless they
        have a unit).

    Returns
    -------
    sky : `~astropy.coordinates.SkyCoord`, shape (n,)
        ICRS; NaN where a position is masked, not finite or no place on the sky.

    Raises
    ------
    KeyError
        Where the table has neither.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.catalogs import sky_positions
    >>> sky_positions(Table({"ra": [24.17, 24.18], "dec": [15.78, 99.0]}))
    <SkyCoord (ICRS): (ra, dec) in deg
        [(24.17, 15.78), (  nan,   nan)]>
    """
    ra, dec = _right_ascension_and_declination(table)
    lost = ~np.isfinite(ra) | ~np.isfinite(dec) | (np.abs(dec) > 90)
    return SkyCoord(np.where(lost, np.nan, ra), np.where(lost, np.nan, dec), unit=u.deg)


def _right_ascension_and_declination(table):
    for name in table.colnames:
        if isinstance(table[name], SkyCoord):
            sky = table[name].icrs
            return _unmasked(sky.ra.deg), _unmasked(sky.dec.deg)
    if {"ra", "dec"} <= set(table.colnames):
        return _numbers(table["ra"], u.deg), _numbers(table["dec"], u.deg)
    similar = [name for name in table.colnames if name.lower().replace("_", "") in _SIMILAR]
    hint = f" (rename {', '.join(similar)}?)" if similar else ""
    raise KeyError(
        "the table has no positions: it needs columns x and y (0-based pixels), ra and dec, or a "
        f"SkyCoord{hint}; it has {', '.join(table.colnames)}"
    )


def _numbers(column, unit):
    """A column as float64 in a unit, NaN where it is masked."""
    name, given, dtype = column.info.name, column.info.unit, getattr(column, "dtype", None)
    if dtype is None or dtype.kind not in "fiu":
        raise TypeError(
            f"column {name} must hold numbers (in {unit} where it has no unit), not {dtype}"
        )
    if column.ndim != 1:
        raise ValueError(f"column {name} must hold one number a row, not {column.shape[1:]}")
    values = _unmasked(getattr(column, "value", column))
    given = _SPELLINGS.get(str(given).lower(), given)
    if given is None or given == u.dimensionless_unscaled:
        return values
    try:
        return u.Quantity(values, given).to_value(unit)
    except (TypeError, ValueError, u.UnitConversionError):
        raise ValueError(
            f"column {name} is in {given}, which is no {unit}: set the unit of the column right"
        ) from None


def _unmasked(values):
    """Plain float64, NaN where masked, whatever masks there are."""
    mask = np.asarray(getattr(values, "mask", False))
    plain = np.array(getattr(values, "unmasked", values), dtype=np.float64)
    plain[np.broadcast_to(mask, plain.shape)] = np.nan
    return plain


def _world_to_pixel(wcs, sky):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            return wcs.world_to_pixel(sky)
    except NoConvergence as error:
        # Far outside the image a distortion has no inverse: those rows have no place in it.
        x, y = error.best_solution.T
        for rows in (error.divergent, error.slow_conv):
            if rows is not None:
                x[rows] = y[rows] = np.nan
        return x, y
