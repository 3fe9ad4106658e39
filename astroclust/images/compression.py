# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Zeros dithered by lossy tile compression."""

import numpy as np
from astropy.io import fits
from scipy import ndimage

from astroclust.images.inspection import in_squares

__all__ = ["dithered_zeros"]

# With these methods a pixel of 0 changes by up to half a quantization step; others preserve it.
_METHODS = ("SUBTRACTIVE_DITHER_1", "NO_DITHER", "NONE", "")
# With the default step, a fourth of the noise, a tenth of the sky pixels are within half a step of
# 0, but hardly ever all pixels of such a square or line.
_SQUARE, _LINE = 5, 24
# Coarser steps make this more likely; larger squares are then required, and lines are not used.
_COARSE, _COARSE_SQUARE = 0.3, 13
_ROUNDING = 1e-3
# Smaller fractions of pixels occur by chance.
_FEWEST = 1e-3


def dithered_zeros(hdu):
    """Pixels that were 0 before compression, such as those outside the exposures.

    Parameters
    ----------
    hdu : `~astropy.io.fits.CompImageHDU`
        The image; it is only quantized if it was read from a file.

    Returns
    -------
    mask : `~numpy.ndarray` of bool, in the shape of the image, or None
        None if the compression is lossless or preserves zeros, or if there are none.
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
    """Quantization step of each pixel, in the unit of the data; None if not quantized."""
    info = hdu.fileinfo()
    path = info and getattr(info["file"], "name", None)
    if not path:
        return None
    with fits.open(path, disable_image_compression=True) as hdus:
        offsets = [hdus.fileinfo(i)["hdrLoc"] for i in range(len(hdus))]
        if info["hdrLoc"] not in offsets:
            return None
        table = hdus[offsets.index(info["hdrLoc"])]
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
