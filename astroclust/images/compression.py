# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Zeros that lossy tile compression has dithered."""

import numpy as np
from astropy.io import fits
from scipy import ndimage

from astroclust.images.inspection import in_squares

__all__ = ["dithered_zeros"]

# With these, a pixel of 0 comes back as up to half a quantization step; other methods keep it.
_METHODS = ("SUBTRACTIVE_DITHER_1", "NO_DITHER", "NONE", "")
# Noise that is quantized in steps of a fourth of its scatter, as by default, is within half a step
# of 0 in a tenth of its pixels, and hardly ever in such a square or line.
_SQUARE, _LINE = 5, 24
# With coarser steps it is so more often; squares of this size are then asked for, and no lines.
_COARSE, _COARSE_SQUARE = 0.3, 13
_ROUNDING = 1e-3
# Fewer pixels than this fraction are chance.
_FEWEST = 1e-3


def dithered_zeros(hdu):
    """Pixels of a compressed image that were 0 before, as those off the exposures.

    Parameters
    ----------
    hdu : `~astropy.io.fits.CompImageHDU`
        The image; only one that was read from a file has been quantized.

    Returns
    -------
    mask : `~numpy.ndarray` of bool, in the shape of the image, or None
        None if the compression is lossless or keeps zeros, or if there are none.
    """
    steps = _quantization_steps(hdu)
    if steps is None:
        return None
    pixels = hdu.data.reshape(steps.shape)
    zeros = np.abs(pixels) <= (0.5 + _ROUNDING) * steps
    mask = in_squares(zeros, _SQUARE) | _in_lines(zeros, 0) | _in_lines(zeros, 1)
    if np.mean(zeros[~mask]) > _COARSE:
        mask = in_squares(zeros, _COARSE_SQUARE)
    return mask.reshape(hdu.data.shape) if mask.mean() > _FEWEST else None


def _in_lines(zeros, axis):
    options = {"axis": axis, "mode": "constant"}
    core = ndimage.minimum_filter1d(zeros, _LINE, cval=True, **options)
    return ndimage.maximum_filter1d(core, _LINE, cval=False, **options) & zeros


def _quantization_steps(hdu):
    """Step of each pixel, shape (ny, nx), in the unit of the data; None if none was quantized."""
    info = hdu.fileinfo()
    path = info and getattr(info["file"], "name", None)
    if not path:
        return None
    with fits.open(path, disable_image_compression=True) as hdus:
        places = [hdus.fileinfo(i)["hdrLoc"] for i in range(len(hdus))]
        if info["hdrLoc"] not in places:
            return None
        table = hdus[places.index(info["hdrLoc"])]
        header = table.header
        if "ZSCALE" not in (table.columns.names or ()):
            return None
        if str(header.get("ZQUANTIZ", "")).strip() not in _METHODS:
            return None
        axes = [header[f"ZNAXIS{k}"] for k in range(1, header["ZNAXIS"] + 1)]
        if len(axes) < 2 or np.prod(axes[2:]) != 1:
            return None
        nx, ny = axes[:2]
        steps = np.nan_to_num(np.asarray(table.data["ZSCALE"], float))
        width, height = header.get("ZTILE1", nx), header.get("ZTILE2", 1)
    tiles = np.abs(steps).reshape(-(-ny // height), -(-nx // width))
    return np.repeat(np.repeat(tiles, height, axis=0)[:ny], width, axis=1)[:, :nx]
