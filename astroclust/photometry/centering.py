# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Recentering on the peaks of one band."""

import numpy as np

from astroclust.catalogs import pixel_positions
from astroclust.images import read_image

__all__ = ["recenter"]

# IRAF's centering as LEGUS used it: at most three iterations, and a shift of at most one pixel.
# LEGUS's box was one pixel, which moves little; 5 pixels, IRAF's default, are 2.5 times the width
# of a star.
_BOX, _ROUNDS, _MAX_SHIFT = 5, 3, 1.0


def recenter(table, image):
    """Move positions to the peaks of one band (V in LEGUS) with IRAF's ``phot`` centroid.

    The centroid in x is that of the column sums over a box of 5 pixels, as far as they exceed their
    mean, and likewise in y.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Positions; see `~astroclust.catalogs.pixel_positions`.
    image : `~astroclust.images.Band` or any input of `~astroclust.images.ImageSet`
        The image.

    Returns
    -------
    result : `~astropy.table.Table`, length n
        A copy of the table with new ``x`` and ``y``, and new ``ra`` and ``dec`` if it had them and
        the image has a WCS. A position is unchanged if its box has bad or missing pixels, or if it
        would move by more than a pixel.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.photometry import recenter
    >>> field = simulate_field(shape=(128, 128), seed=1, density=1e-3)
    >>> result = recenter(field.truth, field.images["V"])
    >>> bool(abs(result["x"] - field.truth["x"]).max() <= 1)
    True
    """
    band = read_image(image)
    x0, y0 = pixel_positions(table, band.wcs)
    x, y = x0.copy(), y0.copy()
    for _ in range(_ROUNDS):
        new_x, new_y = _centroid(band, x, y)
        with np.errstate(invalid="ignore"):
            near = np.hypot(new_x - x0, new_y - y0) <= _MAX_SHIFT
        x, y = np.where(near, new_x, x), np.where(near, new_y, y)
    result = table.copy()
    for name, values in (("x", x), ("y", y)):
        _set_values(result, name, values, slice(None))
    if band.wcs is not None and {"ra", "dec"} <= set(table.colnames):
        good = np.isfinite(x) & np.isfinite(y)
        sky = band.wcs.pixel_to_world(x[good], y[good]).icrs
        for name, values in (("ra", sky.ra.deg), ("dec", sky.dec.deg)):
            _set_values(result, name, values, good)
    return result


def _set_values(table, name, values, rows):
    """Set some rows of a column, keeping its unit, format and description."""
    if name not in table.colnames:
        table[name] = values
        return
    column = table[name].astype(float)
    column[rows] = values
    table.replace_column(name, column)


def _centroid(band, x, y):
    """Centroids in the boxes around positions; NaN for incomplete boxes."""
    ny, nx = band.data.shape
    half = _BOX // 2
    offset = np.arange(-half, half + 1)
    known = np.isfinite(x) & np.isfinite(y)
    column = np.round(np.where(known, x, -1)).astype(int)
    row = np.round(np.where(known, y, -1)).astype(int)
    whole = (column >= half) & (column < nx - half) & (row >= half) & (row < ny - half)
    index = row[whole, None, None] + offset[:, None], column[whole, None, None] + offset
    box = band.pixels(index, float)
    new = []
    for axis, start in ((1, column), (2, row)):
        sums = box.sum(axis=axis)
        above = np.maximum(sums - sums.mean(axis=1, keepdims=True), 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            center = start[whole] + above @ offset / above.sum(axis=1)
        values = np.full(len(x), np.nan)
        values[whole] = center
        new.append(values)
    return new
