# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Zeros that lossy tile compression has dithered."""

import numpy as np
from astropy.io import fits
from scipy import ndimage

__all__ = ["dithered_zeros"]

# With these, a pixel of 0 comes back as up to half a quantization step; other methods keep it.
_METHODS = ("SUBTRACTIVE_DITHER_1", "NO_DITHER", "NONE", "")
# A square of this many pixels a side, all within half a step of 0, does not happen in noise.
_SQUARE = 5
_ROUNDING = 1e-3


def dithered_zeros(hdu, path):
    """Pixels of a compressed image that were 0 before, as those off the exposures.

    Parameters
    ----------
    hdu : `~astropy.io.fits.CompImageHDU`
        An image that comes from a file.
    path : str
        The file.

    Returns
    -------
    mask : `~numpy.ndarray` of bool, shape (ny, nx), or None
        None if the compression is lossless or keeps zeros, or if there are none.
    """
    steps = _quantization_steps(hdu, path)
    if steps is None or hdu.data.ndim != 2:
        return None
    zeros = np.abs(hdu.data) <= (0.5 + _ROUNDING) * steps
    # Half planes are unions of such squares, so straight edges stay where they are.
    core = ndimage.minimum_filter(zeros, _SQUARE, mode="constant", cval=True)
    mask = ndimage.maximum_filter(core, _SQUARE, mode="constant", cval=False) & zeros
    return mask if mask.any() else None


def _quantization_steps(hdu, path):
    """Step of each pixel, in the unit of the data; 0 where nothing was quantized."""
    with fits.open(path, disable_image_compression=True) as hdus:
        tables = [table for table in hdus if table.header.get("ZIMAGE") and table.name == hdu.name]
        table = next((one for one in tables if one.ver == hdu.ver), None)
        if table is None or "ZSCALE" not in (table.columns.names or ()):
            return None
        header = table.header
        if str(header.get("ZQUANTIZ", "")).strip() not in _METHODS or header["ZNAXIS"] != 2:
            return None
        steps = np.nan_to_num(np.asarray(table.data["ZSCALE"], float))
        ny, nx = header["ZNAXIS2"], header["ZNAXIS1"]
        height, width = header.get("ZTILE2", 1), header.get("ZTILE1", nx)
    tiles = np.abs(steps).reshape(-(-ny // height), -(-nx // width))
    return np.repeat(np.repeat(tiles, height, axis=0)[:ny], width, axis=1)[:, :nx]
