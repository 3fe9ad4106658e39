# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""SExtractor's background of an image, and its sky noise."""

from dataclasses import dataclass

import numpy as np
import sep
from scipy.ndimage import distance_transform_edt
from tqdm import tqdm

from astroclust.detection.tiles import run_tasks

__all__ = ["BOX", "Background", "measure_background", "measure_cells", "strips_of"]

#: Width of a cell of the background mesh, in pixels (LEGUS: BACK_SIZE 30).
BOX = 30

# Rows measured at a time, a whole number of mesh cells.
_STRIP = 16 * BOX
# Minimum fraction of good pixels in a cell, as in SExtractor.
_GOOD_FRACTION = 0.5
# Cells around a piece that still affect its spline: each contributes less than a tenth.
_REACH = 5


def strips_of(shape):
    """Rows of an image of shape (ny, nx), as slices of complete cells."""
    return [slice(y, min(y + _STRIP, shape[0])) for y in range(0, shape[0], _STRIP)]


def measure_cells(data):
    """Level and scatter of each cell after 3 sigma clipping.

    Parameters
    ----------
    data : `~numpy.ndarray` of float, shape (ny, nx)
        Complete rows of cells of an image, from its first column; NaN for bad pixels.

    Returns
    -------
    cells : `~numpy.ndarray`, shape (2, rows, columns)
        Level and standard deviation; NaN for cells with too few good pixels.
    """
    ny, nx = (size // BOX for size in data.shape)
    cells = np.full((2, -(-data.shape[0] // BOX), -(-data.shape[1] // BOX)), np.nan)
    # Cells truncated by the edges of the image are smaller than the others.
    for rows in (slice(ny), slice(ny, ny + 1)):
        for columns in (slice(nx), slice(nx, nx + 1)):
            part = cells[:, rows, columns]
            if part.size:
                y, x = (slice(s.start and s.start * BOX, s.stop * BOX) for s in (rows, columns))
                part[:] = _measure_alike(data[y, x], *part.shape[1:])
    return cells


def _measure_alike(data, rows, columns):
    """Level and scatter of cells that all have the same shape."""
    cells = data.reshape(rows, data.shape[0] // rows, columns, data.shape[1] // columns)
    cells = cells.swapaxes(1, 2).reshape(rows * columns, *cells.shape[1::2])
    if cells.shape[1] < BOX:
        cells = cells.swapaxes(1, 2)
    # sep returns maps, not cells: for a column of cells with an even height, the spline passes
    # through their values in the middle.
    _, height, width = cells.shape
    column = cells.reshape(-1, width).astype(np.float32, order="C")
    bad = ~np.isfinite(column)
    column[bad] = 0
    mesh = sep.Background(column, bad, bw=width, bh=height, fw=1, fh=1)
    values = np.array([mesh.back()[height // 2 :: height, 0], mesh.rms()[height // 2 :: height, 0]])
    values[:, bad.reshape(cells.shape).mean(axis=(1, 2)) > 1 - _GOOD_FRACTION] = np.nan
    return values.reshape(2, rows, columns)


@dataclass(frozen=True)
class Background:
    """A smoothly varying background, and the sky noise.

    Parameters
    ----------
    level : `~numpy.ndarray`, shape (rows, columns)
        Level of each cell; NaN if unknown.
    noise : float
        Standard deviation of a sky pixel.
    """

    level: np.ndarray
    noise: float

    @classmethod
    def from_cells(cls, cells):
        """Background of an image from `measure_cells` of all its rows.

        The noise is the median over all cells, as in SExtractor without a weight image; the noise
        of individual cells would increase with crowding. Cells without scatter are ignored, because
        a drizzled image is blank outside its exposures.
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
            Level in each pixel.
        """
        first = [max(part.start // BOX - _REACH, 0) for part in (rows, columns)]
        last = [part.stop // BOX + 1 + _REACH for part in (rows, columns)]
        level = self.level[first[0] : last[0], first[1] : last[1]]
        # sep accepts pixels, not cells: an image in which each cell is constant has this spline.
        pixels = level.astype(np.float32).repeat(BOX, axis=0).repeat(BOX, axis=1)
        spline = sep.Background(pixels, bw=BOX, bh=BOX, fw=1, fh=1).back()
        y, x = (BOX * cell for cell in first)
        return spline[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]


def measure_background(band, pool, workers, *, progress_bar=False):
    """Background of an image.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image.
    pool, workers
        See `~astroclust.detection.tiles.run_tasks`.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    background : `Background`
        The background; its noise is infinite for a constant image, and NaN for one without good
        pixels.
    """
    strips = strips_of(band.data.shape)
    tasks = ((band.pixels(rows),) for rows in strips)
    results = run_tasks(pool, measure_cells, tasks, workers=workers)
    progress = {"unit": "strip", "desc": "background", "disable": not progress_bar}
    cells = dict(tqdm(results, total=len(strips), **progress))
    background = Background.from_cells(np.concatenate([cells[i] for i in range(len(cells))], 1))
    if background.noise > 0 and np.isfinite(background.level).all():
        return background
    # For a small image, or one with a constant sky, all pixels are used.
    pixels = band.pixels(slice(None))
    good = pixels[np.isfinite(pixels)]
    if not good.size:
        return Background(background.level, np.nan)
    level = np.where(np.isfinite(background.level), background.level, np.median(good))
    if good.min() == good.max():  # rounding errors must not become sources
        return Background(level, np.inf)
    return Background(level, background.noise or float(np.std(good)))
