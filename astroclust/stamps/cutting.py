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
    pixel; those at an edge are cut one by one.

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
    # As Cutout2D rounds.
    corners = np.ceil(np.where(on_image, [y, x], 0) - size / 2).astype(int)
    inside = ((corners >= 0) & (corners <= [[ny - size], [nx - size]])).all(axis=0) & on_image
    for i in np.flatnonzero(on_image & ~inside):
        flags[i] = _cut_at_edge(data[i], corners[:, i], bands)
    # In the order of y neighbours share what was read, from the disk as from memory.
    rows = np.flatnonzero(inside)
    rows = rows[np.argsort(corners[0, rows], kind="stable")]
    part = np.zeros((min(_BLOCK, len(rows)), *data.shape[1:]), np.float32)
    # An image smaller than a stamp has no windows, nor rows that need them.
    windows = [_windows(band, size) for band in bands if len(rows)]
    done = len(x) - len(rows)
    with tqdm(total=len(x), initial=done, unit="stamp", disable=not progress_bar) as bar:
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            stamps = part[: len(block)]
            flags[block] = _gather(stamps, corners[:, block], windows)
            data[block] = stamps
            bar.update(len(block))
    return data, flags


def _windows(band, size):
    """Views of the pixels and of the mask of a band with a stamp at each pixel; None for none."""
    if band is None:
        return None, None
    mask = None if band.mask is None else sliding_window_view(band.mask, (size, size))
    return sliding_window_view(band.data, (size, size)), mask


def _gather(stamps, corners, windows):
    """Fill stamps whose lowest pixels are given; return their flags."""
    flags = np.zeros(len(stamps), np.int32)
    places = tuple(corners)
    for k, (pixels, mask) in enumerate(windows):
        if pixels is None:
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            # What float32 cannot hold is not finite, and flagged.
            stamps[:, k] = pixels[places]
            # A sum is not finite where a pixel is not, and seldom else.
            doubtful = ~np.isfinite(stamps[:, k].sum(axis=(1, 2)))
        if mask is not None:
            doubtful |= mask[places].any(axis=(1, 2))
        for i in np.flatnonzero(doubtful):
            bad = ~np.isfinite(stamps[i, k])
            if mask is not None:
                bad |= mask[tuple(corners[:, i])]
            stamps[i, k][bad] = np.nan
            flags[i] |= bad.any() * StampFlag.NON_FINITE
    return flags


def _cut_at_edge(stamp, corner, bands):
    """Fill a stamp that reaches over the edge of the image; return its flags."""
    flags, size = StampFlag.EDGE, stamp.shape[-1]
    shape = next(band for band in bands if band is not None).data.shape
    low, high = np.maximum(corner, 0), np.minimum(corner + size, shape)
    if (low >= high).any():  # a stamp of one pixel whose position rounds off the image
        return StampFlag.OFF_IMAGE
    of_image, of_stamp = (tuple(map(slice, low - o, high - o)) for o in (0, corner))
    for pixels, band in zip(stamp, bands, strict=True):
        if band is None:
            continue
        with np.errstate(over="ignore"):
            values = band.pixels(of_image)
        pixels[:] = np.nan
        pixels[of_stamp] = values
        if np.isnan(values).any():
            flags |= StampFlag.NON_FINITE
    return flags


def cut_one(stamp, x, y, bands):
    """Fill one stamp with `~astropy.nddata.Cutout2D`: what `cut_stamps` is held to.

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
        try:
            cutout = Cutout2D(band.data, (x, y), size, mode="partial", fill_value=0)
        except NoOverlapError:  # a stamp of one pixel whose position rounds off the image
            return StampFlag.OFF_IMAGE
        inside = cutout.slices_cutout
        pixels[:] = np.nan
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
