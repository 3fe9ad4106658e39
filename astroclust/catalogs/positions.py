# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Positions in tables, under the column names of common catalogs and programs."""

import re
import warnings

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import NoConvergence

from astroclust.catalogs.sexagesimal import angles

__all__ = ["find_pixel_columns", "find_sky_columns", "pixel_positions", "sky_positions"]

# Names are compared in lower case, without leading underscores, units in brackets or hyphens.
# Programs and surveys with 0-based pixels: photutils and PHANGS-HST.
_FROM_ZERO = (
    *(("x_centroid", "y_centroid"), ("xcentroid", "ycentroid")),
    *(("x_fit", "y_fit"), ("x_center", "y_center"), ("xcenter", "ycenter")),
    *(("x_peak", "y_peak"), ("x_0", "y_0"), ("phangs_x", "phangs_y")),
)
# Programs with 1-based pixels, as in FITS: SExtractor, SourceXtractor++, IRAF.
_FROM_ONE = (
    *(("x_image", "y_image"), ("xwin_image", "ywin_image"), ("xpsf_image", "ypsf_image")),
    *(("xmodel_image", "ymodel_image"), ("xpeak_image", "ypeak_image")),
    ("pixel_centroid_x", "pixel_centroid_y"),
)
# Names with unknown origin.
_UNKNOWN = (
    *(("x", "y"), ("x_pix", "y_pix"), ("xpix", "ypix"), ("x_pixel", "y_pixel")),
    *(("xpixel", "ypixel"), ("x_pos", "y_pos"), ("xpos", "ypos"), ("x_coord", "y_coord")),
    *(("xcoord", "ycoord"), ("xc", "yc"), ("x_center", "y_center"), ("xcenter", "ycenter")),
)
# IRAF writes these in upper case (1-based), photutils in lower case (0-based).
_OF_PHOTUTILS_OR_IRAF = ("xcenter", "x_center")
_SKY = (
    *(("ra", "dec"), ("raj2000", "dej2000"), ("raj2000", "decj2000"), ("ra_j2000", "dec_j2000")),
    *(("ra_j2000", "de_j2000"), ("ra2000", "dec2000"), ("ra2000", "de2000")),
    *(("ra_icrs", "de_icrs"), ("ra_icrs", "dec_icrs"), ("ra_deg", "dec_deg"), ("ra_deg", "de_deg")),
    *(("radeg", "decdeg"), ("radeg", "dedeg"), ("phangs_ra", "phangs_dec")),
    *(("alpha_j2000", "delta_j2000"), ("alphawin_j2000", "deltawin_j2000")),
    *(("alphapsf_j2000", "deltapsf_j2000"), ("alphamodel_j2000", "deltamodel_j2000")),
    *(("alphapeak_j2000", "deltapeak_j2000"), ("alpha_sky", "delta_sky")),
    *(("alphawin_sky", "deltawin_sky"), ("x_world", "y_world"), ("xwin_world", "ywin_world")),
    *(("world_centroid_alpha", "world_centroid_delta"), ("alpha", "delta")),
    *(("right_ascension", "declination"), ("rightascension", "declination")),
    *(("matchra", "matchdec"), ("s_ra", "s_dec"), ("ra", "de"), ("ra_hms", "dec_dms")),
)
# Sexagesimal positions in machine-readable tables of journals.
_PARTS = ("RAh", "RAm", "RAs", "DE-", "DEd", "DEm", "DEs")
# Columns of StarcNet's predictions; X and Y are 1-based, as in LEGUS files.
_STARCNET = {"galaxy", "id", "x", "y", "prediction"}
# Unit spellings of other programs.
_SPELLINGS = (
    dict.fromkeys(("pix", "px", "pixel", "pixels"), u.pix)
    | dict.fromkeys(("deg", "degree", "degrees", "decimal degrees", "°", "dms", "d:m:s"), u.deg)
    | dict.fromkeys(("h", "hr", "hour", "hours", "hms", "h:m:s", "hourangle"), u.hourangle)
)
_BRACKETS = re.compile(r"\s*[\[(]([^\])]*)[\])]\s*$")


def pixel_positions(table, wcs=None):
    """Pixel positions of the rows of a table.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Table with columns ``x`` and ``y`` (0-based pixel centers), or the names of a program with
        0-based (photutils, PHANGS-HST) or 1-based pixels (SExtractor, IRAF, StarcNet), or
        positions that `sky_positions` finds, or other names such as ``X`` and ``Y``. If there are
        several, the first in this order is used.
    wcs : WCS, optional
        WCS of the image; needed for sky positions.

    Returns
    -------
    x, y : `~numpy.ndarray` of float64, shape (n,)
        0-based positions; NaN if masked, not finite or outside the domain of the WCS.

    Raises
    ------
    KeyError
        If the table has no positions.
    TypeError
        If positions are not numbers.
    ValueError
        If sky positions are given without a WCS, units are neither pixels nor angles, or the names
        of two columns differ only in case.

    Warns
    -----
    AstropyUserWarning
        If 1 is subtracted from 1-based positions, or positions of unknown origin are assumed to be
        0-based.

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
    columns, origin = find_pixel_columns(table)
    # If the origin is unknown, sky positions are safer.
    if columns is None or (origin is None and wcs is not None and find_sky_columns(table)):
        return _from_sky(sky_positions(table), wcs)
    x, y = (_numbers(table[name], u.pix) for name in columns)
    if origin == 0:
        return x, y
    names = " and ".join(columns)
    if origin == 1:
        message = f"columns {names} are 1-based pixels; 1 was subtracted from both"
    else:
        message = (
            f"columns {names} are assumed to be 0-based pixels; if they are 1-based, as in "
            "FITS, DS9 and IRAF, subtract 1 and rename them x and y"
        )
    warnings.warn(message, AstropyUserWarning, stacklevel=2)
    return (x - 1, y - 1) if origin == 1 else (x, y)


def sky_positions(table):
    """Sky positions of the rows of a table.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Table with a `~astropy.coordinates.SkyCoord` column, or ``ra`` and ``dec`` or another common
        pair of names, such as ``ALPHA_J2000`` and ``DELTA_J2000`` or ``RAJ2000`` and ``DEJ2000``.
        Values without a unit are in degrees, or sexagesimal text, with right ascension in hours
        unless the unit or the text specifies degrees.

    Returns
    -------
    sky : `~astropy.coordinates.SkyCoord`, shape (n,)
        ICRS positions; NaN if masked, not finite or not on the sky.

    Raises
    ------
    KeyError
        If the table has no sky positions.
    TypeError
        If positions are neither numbers nor sexagesimal.
    ValueError
        If units are not angles, or the names of two columns differ only in case.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.catalogs import sky_positions
    >>> sky_positions(Table({"ra": [24.17, 24.18], "dec": [15.78, 99.0]}))
    <SkyCoord (ICRS): (ra, dec) in deg
        [(24.17, 15.78), (  nan,   nan)]>
    """
    columns = find_sky_columns(table)
    if columns is None:
        raise KeyError(
            "the table has no positions: it needs columns x and y (0-based pixels), ra and dec, or "
            f"a SkyCoord; it has {', '.join(table.colnames)}; rename the columns with positions"
        )
    if len(columns) == 1:
        sky = table[columns[0]].icrs
        ra, dec = _unmasked(sky.ra.deg), _unmasked(sky.dec.deg)
    elif columns == _PARTS:
        ra, dec = _from_parts(table)
    else:
        ra, dec = (
            _numbers(table[name], u.deg, hours=hours)
            for name, hours in zip(columns, (True, False), strict=True)
        )
    lost = ~np.isfinite(ra) | ~np.isfinite(dec) | (np.abs(dec) > 90)
    return SkyCoord(np.where(lost, np.nan, ra), np.where(lost, np.nan, dec), unit=u.deg)


def find_pixel_columns(table):
    """Find the columns of pixel positions, and their origin.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Any table.

    Returns
    -------
    columns : tuple of str, or None
        Names of the columns of x and y; None if there are none.
    origin : int or None
        0 or 1; None if unknown.
    """
    if {"x", "y"} <= set(table.colnames):
        _one_column(table, "x"), _one_column(table, "y")
        return ("x", "y"), 0
    for pairs, origin in ((_FROM_ZERO, 0), (_FROM_ONE, 1), (_UNKNOWN, None)):
        for pair in pairs:
            if columns := _pair(table, pair):
                found = _origin(table, pair, columns, origin)
                if found is not None or origin is None:
                    return columns, found
    return None, None


def find_sky_columns(table):
    """Find the columns of sky positions.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Any table.

    Returns
    -------
    columns : tuple of str, or None
        Names of a `~astropy.coordinates.SkyCoord` column, of two columns, or of the seven columns
        of sexagesimal positions; None if there are none.
    """
    for name in table.colnames:
        if isinstance(table[name], SkyCoord):
            return (name,)
    pairs = filter(None, (_pair(table, pair) for pair in _SKY))
    return next(pairs, _PARTS if set(_PARTS) <= set(table.colnames) else None)


def _origin(table, pair, columns, origin):
    """Origin of a pair of columns, which may depend on case or on other columns."""
    if pair == ("x", "y"):
        if [_BRACKETS.sub("", name).strip() for name in columns] == ["x", "y"]:
            return 0  # unit in brackets
        return 1 if {_plain(name) for name in table.colnames} >= _STARCNET else None
    if pair[0] in _OF_PHOTUTILS_OR_IRAF and not columns[0].islower():
        return 1 if columns[0] == "XCENTER" else None
    return origin


def _pair(table, pair):
    columns = tuple(_one_column(table, name) for name in pair)
    return columns if all(columns) else None


def _one_column(table, wanted):
    """Find a column by name, ignoring case and units in brackets."""
    found = [name for name in table.colnames if _plain(name) == wanted]
    if len(found) > 1:
        raise ValueError(
            f"columns {' and '.join(map(repr, found))} differ only in spelling; rename or drop "
            "all but one"
        )
    return found[0] if found else None


def _plain(name):
    return re.sub(r"[\s.-]+", "_", _BRACKETS.sub("", name).strip().lower()).lstrip("_")


def _from_parts(table):
    """Convert sexagesimal columns to degrees."""
    parts = [_unmasked(table[name]) for name in _PARTS if name != "DE-"]
    signs = np.where([str(sign).strip() == "-" for sign in table["DE-"]], -1.0, 1.0)
    ra, dec = (
        whole + minutes / 60 + seconds / 3600 for whole, minutes, seconds in (parts[:3], parts[3:])
    )
    return 15 * ra, signs * dec


def _from_sky(sky, wcs):
    if wcs is None:
        raise ValueError(
            "the table has only sky positions, but the images have no WCS; add columns x and y, "
            "or use images with a celestial WCS"
        )
    x, y = np.full((2, len(sky)), np.nan)
    good = np.isfinite(sky.ra.deg)
    if good.any():
        # Rounded, so that integer pixels survive the round trip through sky coordinates.
        x[good], y[good] = np.round(_world_to_pixel(wcs, sky[good]), 6)
    return x, y


def _numbers(column, unit, *, hours=False):
    """Column as float64 in a unit; NaN if masked."""
    name, dtype = column.info.name, getattr(column, "dtype", None)
    if column.ndim != 1:
        raise ValueError(
            f"column {name} must have one number per row, not shape {column.shape[1:]}"
        )
    given = _unit(column)
    if dtype is not None and dtype.kind in "SUO":
        values, given = angles(column, name, unit=given, hours=hours, sky=unit == u.deg)
    elif dtype is None or dtype.kind not in "fiu":
        raise TypeError(
            f"column {name} must have numbers (in {unit} if it has no unit), not {dtype}"
        )
    else:
        values = _unmasked(getattr(column, "value", column))
    if given is None or given == u.dimensionless_unscaled:
        return values
    try:
        return u.Quantity(values, given).to_value(unit)
    except (TypeError, ValueError, u.UnitConversionError):
        raise ValueError(
            f"column {name} has units of {given}, which cannot be converted to {unit}; correct "
            "the unit of the column"
        ) from None


def _unit(column):
    """Unit of a column, or the one in brackets after its name."""
    given = column.info.unit
    if given is None:
        bracketed = _BRACKETS.search(column.info.name)
        return _SPELLINGS.get(bracketed[1].strip().lower()) if bracketed else None
    return _SPELLINGS.get(str(given).strip("\"'").lower(), given)


def _unmasked(values):
    """Plain float64; NaN if masked, for any type of mask."""
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
        # Distortions cannot be inverted far outside the image, so these positions are not on it.
        x, y = error.best_solution.T
        for rows in (error.divergent, error.slow_conv):
            if rows is not None:
                x[rows] = y[rows] = np.nan
        return x, y
