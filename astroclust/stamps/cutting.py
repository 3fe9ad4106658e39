# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Stamps cut in blocks, identical to those of the reference implementation."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from tqdm import tqdm

from astroclust.stamps.flags import StampFlag

__all__ = ["cut_stamps", "locate_stamps"]

# Stamps per block: few enough that their pixels stay in the CPU cache.
_BLOCK = 64
# Blocks gathered at a time: each thread mostly waits for memory, not for the interpreter.
_THREADS = 4


def cut_stamps(x, y, bands, size, *, progress_bar=False):
    """Cut stamps from bands.

    Stamps are gathered in blocks from a sliding-window view, and are equal to those of
    `~astroclust.stamps.reference.cut_with_cutout2d`.

    Parameters
    ----------
    x, y : `~numpy.ndarray` of float, shape (n,)
        Positions, in 0-based pixels.
    bands : sequence of `~astroclust.images.Band` or None, length n_bands
        Bands with the same shape; None for an absent band, which is zero.
    size : int
        Width of the stamps, in pixels.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    data : `~numpy.ndarray` of float32, shape (n, n_bands, size, size)
        NaN for pixels that are bad or outside the image; zeros for positions outside it.
    flags : `~numpy.ndarray` of int32, shape (n,)
        Bits of `~astroclust.stamps.StampFlag` that depend only on the pixels.
    """
    data = np.zeros((len(x), len(bands), size, size), np.float32)
    flags = np.zeros(len(x), np.int32)
    if all(band is None for band in bands):
        return data, flags
    shape = next(band for band in bands if band is not None).data.shape
    corners, flags = locate_stamps(x, y, shape, size)
    # A stamp at an edge overlaps with part of the nearest window; a small image has only one.
    window = np.minimum(shape, size)
    starts = np.clip(corners, 0, (shape - window)[:, None])
    offsets = starts - corners
    windows = [band and _Windows(band, window) for band in bands]
    present = [band is not None for band in bands]
    blocks = _blocks(starts, flags == 0) + _blocks(starts, flags == StampFlag.EDGE)

    def cut(rows):
        pixels = np.zeros((len(rows), len(bands), *window), np.float32)
        bad = _gather(pixels, starts[:, rows], windows)
        if flags[rows[0]] == StampFlag.EDGE:
            for i, row in enumerate(rows):
                bad[i] = _place(data[row], pixels[i], offsets[:, row], present)
        else:
            data[rows] = pixels
        flags[rows[bad]] |= StampFlag.NON_FINITE
        return len(rows)

    with (
        tqdm(total=len(x), unit="stamp", disable=not progress_bar) as bar,
        ThreadPoolExecutor(_THREADS) as pool,
    ):
        for n in pool.map(cut, blocks):
            bar.update(n)
        bar.update(len(x) - bar.n)
    return data, flags


def locate_stamps(x, y, shape, size):
    """Lower corners of stamps on an image, rounded as in `~astropy.nddata.Cutout2D`.

    Parameters
    ----------
    x, y : `~numpy.ndarray` of float, shape (n,)
        Positions, in 0-based pixels.
    shape : tuple of int
        Shape (ny, nx) of the image.
    size : int
        Width of the stamps, in pixels.

    Returns
    -------
    corners : `~numpy.ndarray` of int, shape (2, n)
        Row and column of the first pixel, possibly outside the image.
    flags : `~numpy.ndarray` of int32, shape (n,)
        ``EDGE``, ``OFF_IMAGE`` or 0, see `~astroclust.stamps.StampFlag`.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.stamps.cutting import locate_stamps
    >>> corners, flags = locate_stamps(np.array([9.0, 2.0]), np.array([8.0, 8.0]), (20, 20), 6)
    >>> corners.tolist(), flags.tolist()
    ([[5, 5], [6, -1]], [0, 1])
    """
    ny, nx = shape
    on_image = (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
    corners = np.ceil(np.where(on_image, [y, x], 0) - size / 2).astype(int)
    # A one-pixel stamp may be rounded off the image.
    on_image &= ((corners > -size) & (corners < [[ny], [nx]])).all(axis=0)
    inside = ((corners >= 0) & (corners <= [[ny - size], [nx - size]])).all(axis=0)
    flags = np.where(inside, 0, StampFlag.EDGE)
    return corners, np.where(on_image, flags, StampFlag.OFF_IMAGE).astype(np.int32)


def _blocks(starts, wanted):
    """Rows in blocks, sorted by y so that adjacent stamps reuse what was read from disk."""
    rows = np.flatnonzero(wanted)
    rows = rows[np.argsort(starts[0, rows], kind="stable")]
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


class _Windows:
    """Sliding-window views of a band."""

    def __init__(self, band, shape):
        self.blank_zeros, self.scale = band.blank_zeros, band.scale
        self.data = sliding_window_view(band.data, shape)
        self.mask, self.weight = (
            None if values is None else sliding_window_view(values, shape)
            for values in (band.mask, band.weight)
        )

    def fill(self, stamps, corners):
        """Fill stamps with given lower corners; return which have bad pixels."""
        with np.errstate(over="ignore", invalid="ignore"):
            # Values that overflow float32 are not finite, and flagged.
            stamps[:] = self.data[corners]
            # The sum is not finite if a pixel is not, and rarely otherwise.
            doubtful = ~np.isfinite(stamps.sum(axis=(1, 2)))
        if self.blank_zeros:
            doubtful |= (stamps == 0).any(axis=(1, 2))
        if self.mask is not None:
            doubtful |= self.mask[corners].any(axis=(1, 2))
        if self.weight is not None:
            doubtful |= ~(self.weight[corners] > 0).all(axis=(1, 2))
        flagged = np.zeros(len(stamps), bool)
        for i in np.flatnonzero(doubtful):
            bad = self._bad(stamps[i], tuple(corner[i] for corner in corners))
            stamps[i][bad] = np.nan
            flagged[i] = bad.any()
        if self.scale != 1:
            stamps *= np.float32(self.scale)
        return flagged

    def _bad(self, stamp, corner):
        bad = ~np.isfinite(stamp)
        if self.blank_zeros:
            bad |= stamp == 0
        if self.mask is not None:
            bad |= self.mask[corner]
        if self.weight is not None:
            bad |= ~(self.weight[corner] > 0)
        return bad


def _gather(pixels, corners, windows):
    """Fill windows with given lower corners; return which have bad pixels."""
    bad = np.zeros(len(pixels), bool)
    for k, window in enumerate(windows):
        if window is not None:
            bad |= window.fill(pixels[:, k], tuple(corners))
    return bad


def _place(stamp, window, offset, present):
    """Copy the overlapping part of a window to a stamp; return whether it has bad pixels."""
    low, high = np.maximum(offset, 0), np.minimum(offset + window.shape[1:], stamp.shape[1:])
    of_stamp, of_window = (tuple(map(slice, low - o, high - o)) for o in (0, offset))
    stamp[present] = np.nan
    stamp[:, *of_stamp] = window[:, *of_window]
    return np.isnan(window[:, *of_window]).any()
