# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The background of an image in meshes and the noise of its sky, as SExtractor takes them."""

import warnings
from dataclasses import dataclass

import numpy as np
from astropy.stats import SigmaClip
from astropy.utils.exceptions import AstropyUserWarning
from photutils.background import SExtractorBackground, StdBackgroundRMS
from scipy.interpolate import CubicSpline
from scipy.ndimage import distance_transform_edt

__all__ = ["BOX", "Background", "measure_cells"]

#: Pixels a side of a cell of the mesh (LEGUS: BACK_SIZE 30).
BOX = 30

# SExtractor's clipping: a first cut about the mean sets the range of its histogram, in which the
# pixels are clipped about their median until none goes.
_FIRST_CUT = SigmaClip(sigma=2, maxiters=1, cenfunc="mean")
_RANGE = 5
_CLIP = SigmaClip(sigma=3, maxiters=None)
_LEVEL, _NOISE = SExtractorBackground(sigma_clip=None), StdBackgroundRMS(sigma_clip=None)
# Good pixels that a cell must have, as a share of those it has.
_GOOD_SHARE = 0.5


def measure_cells(data):
    """Level and scatter of each cell, clipped at three standard deviations.

    Parameters
    ----------
    data : `~numpy.ndarray` of float, shape (ny, nx)
        Whole rows of cells of an image, from its first column; NaN where a pixel is bad.

    Returns
    -------
    cells : `~numpy.ndarray`, shape (2, rows, columns)
        Level and standard deviation; NaN for cells more than half of which is bad.
    """
    ny, nx = data.shape
    rows, columns = -(-ny // BOX), -(-nx // BOX)
    padded = np.full((rows * BOX, columns * BOX), np.nan, data.dtype)
    padded[:ny, :nx] = data
    pixels = padded.reshape(rows, BOX, columns, BOX).swapaxes(1, 2).reshape(-1, BOX**2)
    height = np.minimum(BOX, ny - BOX * np.arange(rows))
    width = np.minimum(BOX, nx - BOX * np.arange(columns))
    good = np.isfinite(pixels).sum(axis=1) > _GOOD_SHARE * np.outer(height, width).ravel()
    cells = np.full((2, rows * columns), np.nan)
    if good.any():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)  # it counts the bad pixels
            cells[:, good] = _clipped_statistics(pixels[good])
    return cells.reshape(2, rows, columns)


def _clipped_statistics(pixels):
    core = _FIRST_CUT(pixels, axis=1, masked=False)
    centre, width = np.nanmean(core, axis=1), np.nanstd(core, axis=1)
    far = np.abs(pixels - centre[:, None]) > _RANGE * width[:, None]
    clipped = _CLIP(np.where(far, np.nan, pixels), axis=1, masked=False)
    return _LEVEL(clipped, axis=1), _NOISE(clipped, axis=1)


@dataclass(frozen=True)
class Background:
    """A background that varies smoothly, and the noise of the sky.

    Parameters
    ----------
    level : `~numpy.ndarray`, shape (rows, columns)
        Level in each cell; NaN where it is not known.
    noise : float
        Standard deviation of a pixel of sky.
    """

    level: np.ndarray
    noise: float

    @classmethod
    def from_cells(cls, cells):
        """Take level and noise from what `measure_cells` gives for the whole image.

        The noise is the median over all cells, as in SExtractor without a weight image: that of
        the cell itself would grow with crowding. Cells without scatter do not count: a drizzled
        image is blank off its exposures.
        """
        level, scatter = cells
        known = np.isfinite(level)
        if not known.all() and known.any():
            nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
            level = level[tuple(nearest)]
        positive = scatter[scatter > 0]
        return cls(level, float(np.median(positive)) if positive.size else 0.0)

    def at(self, y, x):
        """Level at the rows ``y`` and the columns ``x``, shape (len(y), len(x)).

        Parameters
        ----------
        y, x : `~numpy.ndarray` of int, shapes (ny,) and (nx,)
            Rows and columns of the image.
        """
        return _spline(_spline(self.level, x, axis=1), y, axis=0)


def _spline(values, places, *, axis):
    """Natural cubic spline through the centres of the cells, constant beyond the outer ones."""
    n = values.shape[axis]
    if n == 1:
        return np.repeat(values, len(places), axis=axis)
    cells = np.clip((np.asarray(places) + 0.5) / BOX - 0.5, 0, n - 1)
    return CubicSpline(np.arange(n), values, axis=axis, bc_type="natural")(cells)
