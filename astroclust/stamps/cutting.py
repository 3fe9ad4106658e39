# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Stamps cut in blocks, identical to those of the reference implementation."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from tqdm import tqdm

from astroclust.stamps.flags import StampFlag

__all__ = ["cut_stamps", "locate_stamps"]

# Stamps per block: few enough that their pixels stay in the CPU cache.
_BLOCK = 64


def cut_stamps(x, y, bands, size, *, progress_bar=False):
    """Cut stamps from bands.

    Stamps inside the image are gathered in blocks from a sliding-window view; those at an edge are
    cut individually. All are equal to those of
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
    for i in np.flatnonzero(flags == StampFlag.EDGE):
        flags[i] |= _cut_at_edge(data[i], corners[:, i], bands)
    # Sorted by y, so that adjacent stamps reuse what was read from disk or memory.
    rows = np.flatnonzero(flags == 0)
    rows = rows[np.argsort(corners[0, rows], kind="stable")]
    part = np.zeros((min(_BLOCK, len(rows)), *data.shape[1:]), np.float32)
    # An image smaller than a stamp has no windows, and no stamps inside it.
    windows = [band and _Windows(band, size) for band in bands if len(rows)]
    done = len(x) - len(rows)
    with tqdm(total=len(x), initial=done, unit="stamp", disable=not progress_bar) as bar:
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            stamps = part[: len(block)]
            flags[block] = _gather(stamps, corners[:, block], windows)
            data[block] = stamps
            bar.update(len(block))
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


class _Windows:
    """Sliding-window views of a band."""

    def __init__(self, band, size):
        self.blank_zeros, self.scale = band.blank_zeros, band.scale
        self.data = sliding_window_view(band.data, (size, size))
        self.mask, self.weight = (
            None if values is None else sliding_window_view(values, (size, size))
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


def _gather(stamps, corners, windows):
    """Fill stamps with given lower corners; return their flags."""
    flags = np.zeros(len(stamps), np.int32)
    for k, window in enumerate(windows):
        if window is not None:
            flags[window.fill(stamps[:, k], tuple(corners))] |= StampFlag.NON_FINITE
    return flags


def _cut_at_edge(stamp, corner, bands):
    """Fill a stamp that extends beyond the edge of the image; return the flags of its pixels."""
    flags, size = StampFlag(0), stamp.shape[-1]
    shape = next(band for band in bands if band is not None).data.shape
    low, high = np.maximum(corner, 0), np.minimum(corner + size, shape)
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
