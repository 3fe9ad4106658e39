# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Pixels of stamps, many at a time."""

import numpy as np
from astropy.nddata import Cutout2D, NoOverlapError
from numpy.lib.stride_tricks import sliding_window_view
from tqdm import tqdm

from astroclust.stamps.flags import StampFlag

__all__ = ["cut_one", "cut_stamps"]

# Stamps gathered at a time: their pixels stay in the processor's cache while they are looked at.
_BLOCK = 64


def cut_stamps(x, y, bands, size, *, progress_bar=False):
    """Cut stamps at positions out of bands.

    Stamps wholly inside are gathered in blocks from a view of the image that has a window at each
    pixel; those at an edge are cut by `cut_one`, which defines what both give.

    Parameters
    ----------
    x, y : `~numpy.ndarray` of float, shape (n,)
        Positions, in 0-based pixels.
    bands : sequence of `~astroclust.images.Band` or None, length n_bands
        Bands of one shape; None where there is none, which leaves zeros.
    size : int
        Width of the stamps in pixels.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    data : `~numpy.ndarray` of float32, shape (n, n_bands, size, size)
        NaN where a pixel is bad or off the image; zeros where the position is off it.
    flags : `~numpy.ndarray` of int32, shape (n,)
        Bits of `~astroclust.stamps.StampFlag` that the pixels themselves tell.
    """
    data = np.zeros((len(x), len(bands), size, size), np.float32)
    flags = np.zeros(len(x), np.int32)
    if all(band is None for band in bands):
        return data, flags
    ny, nx = next(band for band in bands if band is not None).data.shape
    on_image = (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
    flags[~on_image] = StampFlag.OFF_IMAGE
    corners = np.ceil(np.stack([y, x])[:, on_image] - size / 2).astype(int)
    fits = ((corners >= 0) & (corners <= [[ny - size], [nx - size]])).all(axis=0)
    rows = np.flatnonzero(on_image)
    for i in rows[~fits]:
        flags[i] = cut_one(data[i], x[i], y[i], bands)
    rows, corners = rows[fits], corners[:, fits]
    # Rows of the image one after the other are read from disk faster than to and fro.
    order = np.argsort(corners[0], kind="stable")
    done = len(x) - len(rows)
    with tqdm(total=len(x), initial=done, unit="stamp", disable=not progress_bar) as bar:
        for start in range(0, len(rows), _BLOCK):
            block = order[start : start + _BLOCK]
            flags[rows[block]] = _gather(data, rows[block], corners[:, block], bands)
            bar.update(len(block))
    return data, flags


def _gather(data, rows, corners, bands):
    """Fill rows of the stamps whose lowest pixels are given; return their flags."""
    size = data.shape[-1]
    bad = np.zeros(len(rows), bool)
    for k, band in enumerate(bands):
        if band is None:
            continue
        windows = sliding_window_view(band.data, (size, size))
        with np.errstate(over="ignore"):  # what float32 cannot hold is not finite, and flagged
            pixels = windows[tuple(corners)].astype(np.float32)
        good = np.isfinite(pixels)
        if band.mask is not None:
            good &= ~sliding_window_view(band.mask, (size, size))[tuple(corners)]
        if not good.all():
            pixels[~good] = np.nan
            bad |= ~good.all(axis=(1, 2))
        data[rows, k] = pixels
    return np.where(bad, StampFlag.NON_FINITE, 0)


def cut_one(stamp, x, y, bands):
    """Fill one stamp with `~astropy.nddata.Cutout2D`.

    Parameters
    ----------
    stamp : `~numpy.ndarray` of float32, shape (n_bands, size, size)
        Zeros; filled in place.
    x, y : float
        The position.
    bands : sequence of `~astroclust.images.Band` or None, length n_bands
        As in `cut_stamps`.

    Returns
    -------
    flags : `~astroclust.stamps.StampFlag`
        As in `cut_stamps`.
    """
    flags = StampFlag(0)
    size = stamp.shape[-1]
    for pixels, band in zip(stamp, bands, strict=True):
        if band is None:
            continue
        ny, nx = band.data.shape
        if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
            return StampFlag.OFF_IMAGE
        pixels[:] = np.nan
        try:
            cutout = Cutout2D(band.data, (x, y), size, mode="partial", fill_value=0)
        except NoOverlapError:  # a stamp of one pixel whose position rounds off the image
            return StampFlag.OFF_IMAGE
        inside = cutout.slices_cutout
        with np.errstate(over="ignore"):
            values = cutout.data[inside].astype(np.float32)
        values[~np.isfinite(values)] = np.nan
        if band.mask is not None:
            values[band.mask[cutout.slices_original]] = np.nan
        pixels[inside] = values
        if values.size < size * size:
            flags |= StampFlag.EDGE
        if np.isnan(values).any():
            flags |= StampFlag.NON_FINITE
    return flags
