# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""SExtractor's background of an image, and the noise of its sky."""

from dataclasses import dataclass

import numpy as np
import sep
from scipy.ndimage import distance_transform_edt

__all__ = ["BOX", "Background", "measure_cells"]

#: Width of a cell of the background mesh, in pixels (LEGUS: BACK_SIZE 30).
BOX = 30

# Smallest fraction of good pixels of a cell, as in SExtractor.
_GOOD_FRACTION = 0.5
# Cells around a piece that still bend the spline there: each passes on less than a tenth.
_REACH = 5


def _mesh(data, mask=None):
    """The background that SExtractor estimates in an image, without its median filter."""
    return sep.Background(
        np.ascontiguousarray(data, np.float32), mask=mask, bw=BOX, bh=BOX, fw=1, fh=1
    )


def measure_cells(data):
    """Level and scatter of each cell, clipped at three standard deviations.

    Parameters
    ----------
    data : `~numpy.ndarray` of float, shape (ny, nx)
        Complete rows of cells of an image, from its first column; NaN for bad pixels.

    Returns
    -------
    cells : `~numpy.ndarray`, shape (2, rows, columns)
        Level and standard deviation; NaN for cells with too few good pixels.
    """
    bad = ~np.isfinite(data)
    data = np.where(bad, 0, data)
    cells = np.full((2, -(-data.shape[0] // BOX), -(-data.shape[1] // BOX)), np.nan)
    for row, column in np.ndindex(cells.shape[1:]):
        y, x = BOX * row, BOX * column
        mask = np.ascontiguousarray(bad[y : y + BOX, x : x + BOX])
        # A cell by itself, because sep only returns interpolated maps of many.
        if 1 - mask.mean() >= _GOOD_FRACTION:
            cell = _mesh(data[y : y + BOX, x : x + BOX], mask)
            cells[:, row, column] = cell.globalback, cell.rms()[0, 0]
    return cells


@dataclass(frozen=True)
class Background:
    """A smoothly varying background, and the noise of the sky.

    Parameters
    ----------
    level : `~numpy.ndarray`, shape (rows, columns)
        Level of each cell; NaN if unknown.
    noise : float
        Standard deviation of a pixel of sky.
    """

    level: np.ndarray
    noise: float

    @classmethod
    def from_cells(cls, cells):
        """Background of an image from the `measure_cells` of all its rows.

        The noise is the median over all cells, as in SExtractor without a weight image: that of
        the cell itself would grow with crowding. Cells without scatter do not count, because a
        drizzled image is blank outside its exposures.
        """
        level, scatter = cells
        known = np.isfinite(level)
        if not known.all() and known.any():
            nearest = distance_transform_edt(~known, return_distances=False, return_indices=True)
            level = level[tuple(nearest)]
        positive = scatter[scatter > 0]
        return cls(level, float(np.median(positive)) if positive.size else 0.0)

    def at(self, rows, columns):
        """SExtractor's spline through the centers of the cells.

        Parameters
        ----------
        rows, columns : slice
            Part of the image.

        Returns
        -------
        level : `~numpy.ndarray` of float32
            Level in each of its pixels.
        """
        first = [max(part.start // BOX - _REACH, 0) for part in (rows, columns)]
        last = [part.stop // BOX + 1 + _REACH for part in (rows, columns)]
        level = self.level[first[0] : last[0], first[1] : last[1]]
        # sep takes pixels, not cells: an image in which each cell is constant has this spline.
        spline = _mesh(np.kron(level, np.ones((BOX, BOX)))).back()
        y, x = (BOX * cell for cell in first)
        return spline[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
