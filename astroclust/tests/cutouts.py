# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Stamps cut one at a time with Cutout2D: the reference for those cut in blocks."""

import numpy as np
from astropy.nddata import Cutout2D, NoOverlapError

from astroclust.stamps import StampFlag

__all__ = ["cut_one"]


def cut_one(stamp, x, y, bands):
    """Fill one stamp.

    Parameters
    ----------
    stamp : `~numpy.ndarray` of float32, shape (n_bands, size, size)
        Zeros; filled in place.
    x, y : float
        The position.
    bands : sequence of `~astroclust.images.Band` or None, length n_bands
        As in `~astroclust.stamps.cutting.cut_stamps`.

    Returns
    -------
    flags : `~astroclust.stamps.StampFlag`
        As in `~astroclust.stamps.cutting.cut_stamps`.
    """
    flags = StampFlag(0)
    size = stamp.shape[-1]
    for pixels, band in zip(stamp, bands, strict=True):
        if band is None:
            continue
        ny, nx = band.data.shape
        if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
            return StampFlag.OFF_IMAGE
        try:
            cutout = Cutout2D(band.data, (x, y), size, mode="partial", fill_value=0)
        except NoOverlapError:  # a stamp of one pixel whose position rounds off the image
            return StampFlag.OFF_IMAGE
        inside = cutout.slices_cutout
        pixels[:] = np.nan
        with np.errstate(over="ignore"):
            values = cutout.data[inside].astype(np.float32)
        values[~np.isfinite(values)] = np.nan
        blanks = band.blanks(cutout.slices_original, values)
        if blanks is not None:
            values[blanks] = np.nan
        pixels[inside] = values * np.float32(band.scale)
        if values.size < size * size:
            flags |= StampFlag.EDGE
        if np.isnan(values).any():
            flags |= StampFlag.NON_FINITE
    return flags
