# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Pixel statistics of images: blank zeros and the noise level."""

import warnings

import numpy as np
from scipy import ndimage

__all__ = ["in_squares", "noise_remark", "sample_cells", "zero_areas", "zeros_are_blank"]

# Side of the sampled cells, in pixels, and their number in each direction.
_CELL, _N_CELLS = 24, 12
# Noise varies from pixel to pixel: even in drizzled images, second differences exceed this fraction
# of the first differences, unlike in smooth models.
_ROUGH = 0.3
# If isolated zeros exceed this fraction of the other pixels, 0 is a common value.
_COMMON = 1e-3


def sample_cells(data):
    """Square cells from all over an image, shape (n, size, size), float64.

    Parameters
    ----------
    data : `~numpy.ndarray`, shape (ny, nx)
        The image; only these cells of a memory map are read.
    """
    size = min(_CELL, *data.shape)
    corners = [
        np.unique(np.linspace(0, n - size, min(_N_CELLS, max(n // size, 1))).astype(int))
        for n in data.shape
    ]
    return np.array(
        [data[y : y + size, x : x + size] for y in corners[0] for x in corners[1]], float
    )


def zeros_are_blank(cells):
    """Determine which exact zeros are pixels without data, such as those outside the exposures.

    Zeros are blank if 0 is not a plausible data value: if the pixels are noisy and either scatter
    around 0 without repeated values, or are all far from 0. Zeros are valid in images of few
    counts, pictures clipped at black and noiseless models.

    Parameters
    ----------
    cells : `~numpy.ndarray`, shape (n, size, size)
        Output of `sample_cells`.

    Returns
    -------
    blank : str
        ``"all"``, ``"areas"`` (those of `zero_areas`; isolated zeros are valid), or ``"none"``.
    """
    zero = cells == 0
    good = np.where(zero | ~np.isfinite(cells), np.nan, cells)
    good = good[np.isfinite(good).mean(axis=(1, 2)) > 0.5]
    if not len(good) or min(cells.shape[1:]) < 3:
        return "none"
    negative = (good < 0).any(axis=(1, 2))
    if not np.mean(_is_rough(good) & (_is_clear_of_zero(good) | negative)) >= 0.5:
        return "none"
    lone = zero & ~(_in_runs(zero, (1, 1, 3)) | _in_runs(zero, (1, 3, 1)))
    if lone.sum() <= _COMMON * np.count_nonzero(~zero):
        return "all"
    values = good[np.isfinite(good)]
    if negative.mean() > 0.1 and np.unique(values).size > 0.9 * values.size:
        return "all"
    return "areas" if zero.all(axis=(1, 2)).any() else "none"


def zero_areas(data):
    """Zeros in squares of at least 5 x 5 pixels, bool, shape (ny, nx); None if there are none.

    Parameters
    ----------
    data : `~numpy.ndarray`, shape (ny, nx)
        The image.
    """
    mask = in_squares(data == 0, 5)
    return mask if mask.any() else None


def in_squares(marked, size):
    """Marked pixels in squares of marked pixels, which may extend beyond the edge of the image.

    Half planes are unions of squares, so straight edges are preserved.

    Parameters
    ----------
    marked : `~numpy.ndarray` of bool, shape (ny, nx)
        Mask of the marked pixels.
    size : int
        Width of the squares, in pixels.
    """
    core = ndimage.minimum_filter(marked, size, mode="constant", cval=True)
    return ndimage.maximum_filter(core, size, mode="constant", cval=False) & marked


def _is_rough(cells):
    second = _size(np.diff(cells, 2, axis=2))
    first = _size(cells[:, :, 2:] - cells[:, :, :-2])
    return (second > _ROUGH * first) & (second > 0)


def _is_clear_of_zero(cells):
    middle = np.nanmedian(cells, axis=(1, 2))
    return middle > 3 * 1.4826 * np.nanmedian(np.abs(cells - middle[:, None, None]), axis=(1, 2))


def _size(steps):
    """Median absolute difference, which is insensitive to sources."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # cells without neighboring pixels
        return np.nan_to_num(np.nanmedian(np.abs(steps), axis=(1, 2)))


def _in_runs(zero, shape):
    """Zeros in runs of three, which may extend beyond the edge of a cell."""
    line = np.ones(shape, bool)
    core = ndimage.binary_erosion(zero, line, border_value=1)
    return ndimage.binary_dilation(core, line)


def noise_remark(cells, seconds):
    """Inconsistency between the noise of an image and its exposure time; empty if none.

    Parameters
    ----------
    cells : `~numpy.ndarray`, shape (n, size, size)
        Output of `sample_cells`, in electrons per second.
    seconds : float
        Exposure time in the header, in seconds.

    Notes
    -----
    The noise cannot be below photon noise, and the sky noise is a few to some tens of electrons
    per pixel. Drizzling reduces both by up to a factor of 3; the limits are wider still, so that
    only factors of ten in the exposure time are reported.
    """
    level, noise = _levels(cells)
    if not len(level):
        return ""
    quiet = np.percentile(noise, 25) * seconds  # electrons per pixel
    if quiet < 0.2:
        return "far below one electron"
    photons = np.sqrt(np.maximum(level, 0) / seconds)
    bright = level > np.percentile(level, 75)
    if bright.any() and np.median(noise[bright] / np.maximum(photons[bright], 1e-30)) < 0.2:
        return "far below that of its photons"
    if quiet > 30 * np.sqrt(100 + 0.2 * seconds):
        return "far above that of sky and detector"
    return ""


def _levels(cells):
    """Level and pixel-to-pixel noise of cells with noise."""
    good = np.isfinite(cells).all(axis=(1, 2)) & (cells != 0).all(axis=(1, 2))
    cells = cells[good]
    if not len(cells) or cells.shape[2] < 3:
        return np.empty(0), np.empty(0)
    level = np.median(cells, axis=(1, 2))
    # Differences cancel sources and gradients; two pixels apart, drizzled noise is uncorrelated.
    steps = cells[:, :, 2:] - cells[:, :, :-2]
    noise = 1.4826 * np.median(np.abs(steps), axis=(1, 2)) / np.sqrt(2)
    return level[noise > 0], noise[noise > 0]
