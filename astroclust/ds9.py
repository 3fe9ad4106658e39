# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Candidates as regions, for DS9 and its kin."""

import numpy as np
from astropy import units as u
from regions import CirclePixelRegion, CircleSkyRegion, PixCoord, Regions

from astroclust.catalogs import CLASS_COLORS, pixel_positions, sky_positions
from astroclust.images import PIXEL_SCALE

__all__ = ["to_regions"]

_UNCLASSIFIED = "#999999"


def to_regions(table, *, radius=7.0, column_prefix=""):
    """Circles around candidates, coloured and named by class.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        With ``ra`` and ``dec`` or a `~astropy.coordinates.SkyCoord` column, which make sky
        regions, or else ``x`` and ``y`` (0-based pixels), which make pixel regions; and
        ``class`` and ``probability`` where it has been classified.
    radius : float, optional
        Radius in pixels (of 0.0396 arcsec on the sky).
    column_prefix : str, optional
        That of the class columns.

    Returns
    -------
    regions : `~regions.Regions`, length n
        In the order of the rows, less those without a position;
        ``regions.write("candidates.reg")`` writes them for DS9.

    Raises
    ------
    KeyError
        Where the table has no such positions.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import to_regions
    >>> regions = to_regions(Table({"x": [10.0], "y": [20.0], "class": [2]}))
    >>> regions[0].meta["text"]
    '2'
    """
    try:
        places = sky_positions(table)
        good = np.isfinite(places.ra.deg)
        circle, size = CircleSkyRegion, radius * PIXEL_SCALE * u.arcsec
    except KeyError:
        x, y = pixel_positions(table)
        places, good = PixCoord(x, y), np.isfinite(x) & np.isfinite(y)
        circle, size = CirclePixelRegion, radius
    return Regions(
        [
            circle(places[i], size, **_looks(table[int(i)], column_prefix))
            for i in np.flatnonzero(good)
        ]
    )


def _looks(row, column_prefix):
    """Text and colour of a row's region."""
    name = f"{column_prefix}class"
    if name not in row.colnames or row[name] is np.ma.masked:
        return {"meta": {"text": ""}, "visual": {"color": _UNCLASSIFIED}}
    number = int(row[name])
    text = str(number)
    if f"{column_prefix}probability" in row.colnames:
        text += f" {row[f'{column_prefix}probability']:.2f}"
    return {"meta": {"text": text}, "visual": {"color": CLASS_COLORS.get(number, _UNCLASSIFIED)}}
