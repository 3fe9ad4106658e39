# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Classical detection in blocks: groups of connected pixels above a threshold, and stars."""

import threading
import warnings
from contextlib import ExitStack
from functools import partial

import numpy as np
import sep
from astropy.table import Table, vstack
from astropy.utils.exceptions import AstropyUserWarning
from photutils.detection import DAOStarFinder
from photutils.segmentation import SourceCatalog, deblend_sources, detect_sources
from photutils.utils.exceptions import NoDetectionsWarning
from scipy import ndimage
from tqdm import tqdm

from astroclust.detection.background import BOX, measure_background
from astroclust.detection.tiles import run_tasks, task_pool, tiles_of
from astroclust.extras import naming_extras

__all__ = ["COLUMNS", "find_classical"]

# Deblending parameters of LEGUS (DEBLEND_NTHRESH, DEBLEND_MINCONT).
_LEVELS = 32
_CONTRAST = 0.005
# FWHM of a WFC3/UVIS star on drizzled pixels, for DAOFIND.
_STAR_WIDTH = 2.0
# Size and margin of the detection blocks, in pixels. The margin grows for the few groups of pixels
# that extend beyond it. The blocks do not depend on the tile size, because SExtractor's
# deblending draws random numbers and its cleaning compares neighbors.
_BLOCK = 48 * BOX
_MARGIN = 4 * BOX
_TOUCHING = np.ones((3, 3), bool)  # pixels of a group share a side or a corner
# Maximum number of branches of a group in sep.
_MAX_BRANCHES = 32767
# The limits of sep are global: only one thread at a time sets them, extracts, and restores them.
_SEP_LIMITS = threading.Lock()

_SEGMENT: dict[str, type] = {"x": float, "y": float, "area": np.int32, "flux": float}
#: Columns of each method.
COLUMNS: dict[str, dict[str, type]] = {
    "sextractor": _SEGMENT,
    "segmentation": _SEGMENT,
    "daofind": {"x": float, "y": float, "flux": float},
}


def find_classical(band, method, *, threshold, n_pixels, segmentation, tile, workers, progress_bar):
    """Find sources with one of the methods of `COLUMNS`.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image.
    method, threshold, n_pixels, segmentation, tile, workers, progress_bar
        See `~astroclust.detection.find_sources`.

    Returns
    -------
    found : `~astropy.table.Table`
        The `COLUMNS` of the method, one row per source, block by block.
    segments : `~numpy.ndarray` of int32, shape (ny, nx), or None
        Row number, from 1, of the source that each pixel belongs to, or 0; None unless
        ``segmentation`` is true.
    """
    find = {
        "sextractor": partial(_find_sextractor, n_pixels=n_pixels),
        "segmentation": partial(_find_segments, n_pixels=n_pixels),
        "daofind": _find_stars,
    }[method]
    blocks = tiles_of(band.data.shape, _BLOCK, _MARGIN)
    n_together = max(tile // _BLOCK, 1) ** 2
    found = {}
    with ExitStack() as stack:
        pool = stack.enter_context(task_pool(workers if len(blocks) > 1 else 1))
        background = measure_background(band, pool, workers, progress_bar=progress_bar)
        if np.isnan(background.noise):
            raise ValueError(f"{band.filter}: the image has no good pixels")
        limit = threshold * background.noise
        progress = {"unit": "block", "desc": "detecting", "disable": not progress_bar}
        bar = stack.enter_context(tqdm(total=len(blocks), **progress))
        while blocks:
            batches = [blocks[i : i + n_together] for i in range(0, len(blocks), n_together)]
            tasks = (
                (
                    *(find, [band.pixels(block.slices) for block in batch], batch),
                    *(background, limit, segmentation),
                )
                for batch in batches
            )
            grown = []
            for i, results in run_tasks(pool, _find_in_batch, tasks, workers=workers):
                for block, result in zip(batches[i], results, strict=True):
                    if result is None:  # a source extends beyond the margin
                        grown.append(block.grown())
                    else:
                        found[block.y0, block.x0] = result
                        bar.update()
            blocks = grown
    # Blocks finish in any order.
    found = [found[core] for core in sorted(found)]
    segments = _join_segments(found, band.data.shape) if segmentation else None
    tables = [sources for sources, *_ in found if len(sources)]
    sources = vstack(tables or Table(names=COLUMNS[method]))
    columns = {name: np.array(sources[name], dtype) for name, dtype in COLUMNS[method].items()}
    return Table(columns), segments


def _find_in_batch(find, images, blocks, background, limit, segmentation):
    """Sources of each block; also the positions and row numbers (from 1) of segment pixels."""
    results = []
    for pixels, block in zip(images, blocks, strict=True):
        mask = np.isnan(pixels)
        level = background.at(*block.slices)
        data = np.where(mask, 0, pixels - level).astype(np.float32)
        result = find(data, mask, block, limit)
        if result is not None:
            sources, labels = result
            result = sources, *(_segment_pixels(labels, block) if segmentation else ())
        results.append(result)
    return results


def _segment_pixels(labels, block):
    """Positions in the image of the pixels of all segments, and their labels."""
    y, x = np.nonzero(labels)
    x0, y0 = block.origin
    return np.ravel_multi_index((y + y0, x + x0), block.shape), labels[y, x]


def _join_segments(found, shape):
    """Combine the segments of all blocks, numbered by the rows of all tables."""
    segments = np.zeros(shape, np.int32)
    end = sum(len(sources) for sources, *_ in found)
    # The background of a pixel differs by rounding between blocks, so that two blocks may claim it
    # at the threshold: the first one wins.
    for sources, pixels, rows in reversed(found):
        end -= len(sources)
        segments.ravel()[pixels] = end + rows
    return segments


def _find_sextractor(data, mask, block, limit, *, n_pixels):
    """Sources whose group of pixels begins in the core of the block, and the row of each pixel.

    None if a group is truncated.
    """
    above = data > np.float32(limit)
    groups, n_groups = ndimage.label(above, _TOUCHING)
    own = np.zeros(n_groups + 1, bool)
    own[_begin_in_core(groups, n_groups, block)] = True
    large = np.bincount(groups.ravel(), minlength=n_groups + 1) >= n_pixels
    if (own & large)[_on_border(groups, block)].any():
        return None
    with _SEP_LIMITS:
        limits = sep.get_extract_pixstack(), sep.get_sub_object_limit()
        sep.set_extract_pixstack(np.count_nonzero(above) + 2)
        sep.set_sub_object_limit(_MAX_BRANCHES)
        try:
            sources, labels = sep.extract(
                data,
                limit,
                minarea=n_pixels,
                filter_kernel=None,
                deblend_nthresh=_LEVELS,
                deblend_cont=_CONTRAST,
                segmentation_map=True,
            )
        finally:
            sep.set_extract_pixstack(limits[0])
            sep.set_sub_object_limit(limits[1])
    kept = own[groups[sources["ypeak"], sources["xpeak"]]]
    sources, rows = sources[kept], np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)])
    x0, y0 = block.origin
    columns = {
        "x": sources["x"] + x0,
        "y": sources["y"] + y0,
        "area": sources["npix"],
        "flux": sources["flux"],
    }
    return Table(columns), rows[labels]


def _find_segments(data, mask, block, limit, *, n_pixels):
    """Sources whose group of pixels begins in the core of the block, and the row of each pixel.

    None if a group is truncated.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        segments = detect_sources(data, limit, n_pixels, mask=mask)
    if segments is None:
        return _nothing(data)
    own = _begin_in_core(segments.data, segments.max_label, block)
    if np.isin(own, _on_border(segments.data, block)).any():
        return None
    if not own.size:
        return _nothing(data)
    segments.keep_labels(own)
    with warnings.catch_warnings(), naming_extras():
        # photutils warns that it deblends groups with very many peaks at other levels.
        warnings.simplefilter("ignore", AstropyUserWarning)
        segments = deblend_sources(
            data, segments, n_pixels, n_levels=_LEVELS, contrast=_CONTRAST, progress_bar=False
        )
    catalog = SourceCatalog(data, segments, mask=mask)
    x0, y0 = block.origin
    columns = {
        "x": catalog.x_centroid + x0,
        "y": catalog.y_centroid + y0,
        "area": segments.areas,
        "flux": catalog.segment_flux,
    }
    table = Table({name: np.atleast_1d(values) for name, values in columns.items()})
    return table, segments.data  # deblending has numbered them from 1


def _nothing(data):
    return Table(), np.zeros_like(data, int)


def _begin_in_core(labels, n_labels, block):
    """Labels whose first pixel, in row order, is in the core; true in exactly one block."""
    flat = labels.ravel()
    inside = np.flatnonzero(flat)[::-1]
    first = np.empty(n_labels + 1, int)
    first[flat[inside]] = inside  # the last of several assignments persists
    y, x = np.divmod(first[1:], labels.shape[1])
    x0, y0 = block.origin
    return 1 + np.flatnonzero(block.holds(x + x0, y + y0))


def _on_border(labels, block):
    """Labels that touch an edge of the block other than the image edge."""
    rows, columns = block.slices
    ny, nx = block.shape
    borders = (
        (labels[0], rows.start > 0),
        (labels[-1], rows.stop < ny),
        (labels[:, 0], columns.start > 0),
        (labels[:, -1], columns.stop < nx),
    )
    return np.unique(np.concatenate([labels[:0, 0], *(border for border, cut in borders if cut)]))


def _find_stars(data, mask, block, limit):
    """Stars centered in the core of the block; they have no segments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        stars = DAOStarFinder(limit, _STAR_WIDTH)(data, mask=mask)
    if stars is None:
        return _nothing(data)
    x0, y0 = block.origin
    x, y = stars["x_centroid"] + x0, stars["y_centroid"] + y0
    own = block.holds(np.round(x), np.round(y))
    return Table({"x": x[own], "y": y[own], "flux": stars["flux"][own]}), np.zeros_like(data, int)
