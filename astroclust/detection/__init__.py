# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The image to detect in, and the sources in an image."""

import threading
import warnings
from concurrent.futures import Executor
from functools import partial
from numbers import Integral

import numpy as np
import sep
from astropy.table import Table, vstack
from astropy.utils.exceptions import AstropyUserWarning
from photutils.detection import DAOStarFinder
from photutils.segmentation import SourceCatalog, deblend_sources, detect_sources
from photutils.utils.exceptions import NoDetectionsWarning
from scipy import ndimage
from tqdm import tqdm

from astroclust.detection.background import BOX, Background, measure_cells
from astroclust.detection.tiles import run_tasks, task_pool, tiles_of
from astroclust.extras import naming_extras
from astroclust.images import Band, ImageSet, read_image

__all__ = ["find_sources", "white_light"]

# The deblending of LEGUS (DEBLEND_NTHRESH, DEBLEND_MINCONT).
_LEVELS = 32
_CONTRAST = 0.005
# Full width at half maximum of a star of WFC3/UVIS on drizzled pixels, for DAOFIND.
_STAR_WIDTH = 2.0
# Pixels per side of the blocks that sources are found in, and around them: few groups of pixels
# are larger than the margin, and for those it grows. The blocks are the same for any size of
# tile, because SExtractor's deblending draws random numbers and its cleaning compares neighbors.
_BLOCK = 48 * BOX
_MARGIN = 4 * BOX
# Rows whose white light or background is computed at a time: complete cells of the mesh.
_STRIP = 16 * BOX
_TOUCHING = np.ones((3, 3), bool)  # pixels of a group share a side or a corner
# Branches of a group that sep can count.
_MAX_BRANCHES = 32767
# The limits of sep are global: one thread at a time sets them, extracts, and restores them.
_SEP_LIMITS = threading.Lock()

# Columns of each method.
_SEGMENT = {"x": float, "y": float, "area": np.int32, "flux": float}
_COLUMNS = {
    "sextractor": _SEGMENT,
    "segmentation": _SEGMENT,
    "daofind": {"x": float, "y": float, "flux": float},
}
# Unit, format and description of each.
_DESCRIBED = {
    "id": (None, None, "number of the source, from 1"),
    "x": ("pix", ".3f", "position in x: 0 is the center of the first pixel"),
    "y": ("pix", ".3f", "position in y: 0 is the center of the first pixel"),
    "ra": ("deg", ".7f", "right ascension (ICRS)"),
    "dec": ("deg", ".7f", "declination (ICRS)"),
    "area": ("pix2", None, "pixels above the detection threshold"),
    "flux": (None, ".6g", "sum of the source in the detection image above its background"),
}


def white_light(images, *, progress_bar=False):
    """Combine all bands of a field for the detection of blue and of red sources, as LEGUS did.

    For each of two model stars, a blue one of the main sequence and a red giant, the bands are
    scaled so that the star is alike in all of them, and added in quadrature; the result is the
    mean of the two. A band system without model stars weights bands by their noise. For the
    field of NGC 1559 Wei et al. (2020, sec. 3.1) detected in F555W
    alone, ``images["V"]``, which close pairs of different colour and small errors of alignment
    do not blur.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field, in e-/s; those that there are are combined.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    white : `~astroclust.images.Band`
        The image, float32, of filter ``"WHITE"``. Pixels that are bad in all bands are NaN, the
        others made of the bands that are good there.

    Examples
    --------
    >>> from astroclust import simulate_field, white_light
    >>> field = simulate_field(shape=(128, 128), seed=1)
    >>> white_light(field.images).data.shape
    (128, 128)
    """
    images = ImageSet.of(images)
    bands = list(images.values())
    white = np.empty(images.shape, np.float32)
    stars = images.system.stars or (_noise_star(bands),)
    strips = _strips(images.shape)
    for rows in tqdm(strips, unit="strip", desc="white light", disable=not progress_bar):
        # In double precision, for squares of small units underflow.
        pixels = np.array([band.pixels(rows, float) for band in bands])
        good = np.isfinite(pixels)
        np.square(pixels, out=pixels)
        white[rows] = sum(_show_star(star, pixels, good, images) for star in stars)
    white /= len(stars)
    first = bands[0]
    return Band("WHITE", "", white, wcs=images.wcs, unit=first.unit, meta=first.meta)


def _noise_star(bands):
    """A star as far above the noise in each band as the noise is: bands count by their noise."""
    strips = list(_strips(bands[0].data.shape))
    noise = {}
    for band in bands:
        cells = [measure_cells(band.pixels(rows, float))[1].ravel() for rows in strips]
        noise[band.role] = np.nanmedian(np.concatenate(cells))
    return {role: value if value > 0 else np.inf for role, value in noise.items()}


def _show_star(star, squares, good, images):
    middle = images.system.roles[len(images.system) // 2]
    unit = star.get(middle, 1.0)
    weights = np.array([(unit / star[role]) ** 2 for role in images.roles])
    total = np.tensordot(weights, np.where(good, squares, 0), axes=1)
    norm = np.tensordot(weights, good.astype(float), axes=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(total / norm)


def find_sources(
    image,
    *,
    threshold=20.0,
    n_pixels=10,
    method="sextractor",
    tile=2000,
    workers=1,
    progress_bar=False,
):
    """Find sources in an image.

    By default with SExtractor's own code (the ``sep`` package) and the settings of LEGUS: a
    background in meshes of 30 pixels; sources are groups of 10 or more connected pixels that are
    20 standard deviations above it, deblended at 32 levels with a contrast of 0.005, and cleaned
    of those that would not be found without the wings of brighter sources. The standard
    deviation is the median over all meshes that are not blank, each clipped at three of its own:
    that of one pixel of drizzled sky, whose noise is correlated, and the same in crowded and in
    empty regions.

    Parameters
    ----------
    image : `~astropy.nddata.NDData`, HDU, path, (array, wcs) or `~astroclust.images.Band`
        The image, shape (ny, nx), in any linear unit. Masked and non-finite pixels are excluded.
    threshold : float, optional
        Height above the background in units of its standard deviation (LEGUS: 20, in white
        light).
    n_pixels : int, optional
        Smallest number of connected pixels (LEGUS: 10). Not used by ``"daofind"``.
    method : str, optional
        ``"sextractor"``; ``"segmentation"`` for the same groups of pixels, deblended by
        `photutils.segmentation.deblend_sources` and not cleaned; or ``"daofind"`` for sources
        like stars with a full width at half maximum of 2 pixels, as in PHANGS-HST
        (`~photutils.detection.DAOStarFinder`).
    tile : int, optional
        Pixels per side of the area that a worker searches at a time, which bounds the memory. It
        does not change the sources.
    workers : int or `~concurrent.futures.Executor`, optional
        Number of processes; or a pool that searches the tiles, such as
        ``client.get_executor()`` of a Dask cluster.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    sources : `~astropy.table.Table`
        One row per source, in order of y: ``id`` (from 1); ``x``, ``y`` (0-based pixels);
        ``ra``, ``dec`` (degrees, if the image has a WCS); ``area`` (pixels; not for
        ``"daofind"``); ``flux`` (sum over the source above the background, unit of the image).
        The table is empty if there are no sources. Columns have units, descriptions and formats.

    Raises
    ------
    ValueError
        If the image is not 2-D or has no good pixels, or an argument is invalid.

    Examples
    --------
    >>> from astroclust import find_sources, simulate_field
    >>> field = simulate_field(shape=(128, 128), seed=1)
    >>> sources = find_sources(field.images["F555W"])
    >>> sources.colnames
    ['id', 'x', 'y', 'ra', 'dec', 'area', 'flux']
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be positive, not {threshold!r}")
    n_workers = 1 if isinstance(workers, Executor) else workers
    for name, value in (("n_pixels", n_pixels), ("tile", tile), ("workers", n_workers)):
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")
    if method not in _COLUMNS:
        raise ValueError(f"method must be one of {', '.join(_COLUMNS)}, not {method!r}")
    band = read_image(image)
    find = {
        "sextractor": partial(_find_sextractor, n_pixels=n_pixels),
        "segmentation": partial(_find_segments, n_pixels=n_pixels),
        "daofind": _find_stars,
    }[method]
    blocks = tiles_of(band.data.shape, _BLOCK, _MARGIN)
    n_together = max(tile // _BLOCK, 1) ** 2
    with (
        task_pool(workers if len(blocks) > 1 else 1) as pool,
        tqdm(total=len(blocks), unit="block", desc="detecting", disable=not progress_bar) as bar,
    ):
        background = _background(band, pool, workers)
        limit = threshold * background.noise
        found = []
        while blocks:
            batches = [blocks[i : i + n_together] for i in range(0, len(blocks), n_together)]
            tasks = (
                (find, [band.pixels(block.slices) for block in batch], batch, background, limit)
                for batch in batches
            )
            grown = []
            for i, results in run_tasks(pool, _find_in_batch, tasks, workers=workers):
                for block, sources in zip(batches[i], results, strict=True):
                    if sources is None:  # one of them reaches beyond the margin
                        grown.append(block.grown())
                    else:
                        found.append(sources)
                        bar.update()
            blocks = grown
    found = vstack([sources for sources in found if len(sources)] or Table(names=_COLUMNS[method]))
    return _source_table(found, _COLUMNS[method], band)


def _strips(shape):
    return [slice(y, min(y + _STRIP, shape[0])) for y in range(0, shape[0], _STRIP)]


def _background(band, pool, workers):
    strips = _strips(band.data.shape)
    tasks = ((band.pixels(rows),) for rows in strips)
    cells = dict(run_tasks(pool, measure_cells, tasks, workers=workers))
    background = Background.from_cells(np.concatenate([cells[i] for i in range(len(cells))], 1))
    if background.noise > 0 and np.isfinite(background.level).all():
        return background
    # A small image, or one with a sky of one value: its pixels are all there is to go by.
    pixels = band.pixels(slice(None))
    good = pixels[np.isfinite(pixels)]
    if not good.size:
        raise ValueError(f"{band.filter}: the image has no good pixels")
    level = np.where(np.isfinite(background.level), background.level, np.median(good))
    if good.min() == good.max():  # rounding of the background must not make sources
        return Background(level, np.inf)
    return Background(level, background.noise or float(np.std(good)))


def _find_in_batch(find, images, blocks, background, limit):
    results = []
    for pixels, block in zip(images, blocks, strict=True):
        mask = np.isnan(pixels)
        level = background.at(*block.slices)
        data = np.where(mask, 0, pixels - level).astype(np.float32)
        results.append(find(data, mask, block, limit))
    return results


def _find_sextractor(data, mask, block, limit, *, n_pixels):
    """Sources whose group of pixels begins in the core of the block; None if one is truncated."""
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
            sources = sep.extract(
                data,
                limit,
                minarea=n_pixels,
                filter_kernel=None,
                deblend_nthresh=_LEVELS,
                deblend_cont=_CONTRAST,
            )
        finally:
            sep.set_extract_pixstack(limits[0])
            sep.set_sub_object_limit(limits[1])
    sources = sources[own[groups[sources["ypeak"], sources["xpeak"]]]]
    x0, y0 = block.origin
    return Table(
        {
            "x": sources["x"] + x0,
            "y": sources["y"] + y0,
            "area": sources["npix"],
            "flux": sources["flux"],
        }
    )


def _find_segments(data, mask, block, limit, *, n_pixels):
    """Sources whose group of pixels begins in the core of the block; None if one is truncated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        segments = detect_sources(data, limit, n_pixels, mask=mask)
    if segments is None:
        return Table()
    own = _begin_in_core(segments.data, segments.max_label, block)
    if np.isin(own, _on_border(segments.data, block)).any():
        return None
    if not own.size:
        return Table()
    segments.keep_labels(own)
    with warnings.catch_warnings(), naming_extras():
        # It says that it deblends the groups with most peaks at other levels.
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
    return Table({name: np.atleast_1d(values) for name, values in columns.items()})


def _begin_in_core(labels, n_labels, block):
    """Labels whose first pixel, row by row, lies in the core: each does in one block alone."""
    flat = labels.ravel()
    inside = np.flatnonzero(flat)[::-1]
    first = np.empty(n_labels + 1, int)
    first[flat[inside]] = inside  # of several assignments the last one stays
    y, x = np.divmod(first[1:], labels.shape[1])
    x0, y0 = block.origin
    return 1 + np.flatnonzero(block.holds(x + x0, y + y0))


def _on_border(labels, block):
    """Labels that touch a border of the block that is not one of the image."""
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
    """Stars whose center lies in the core of the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        stars = DAOStarFinder(limit, _STAR_WIDTH)(data, mask=mask)
    if stars is None:
        return Table()
    x0, y0 = block.origin
    x, y = stars["x_centroid"] + x0, stars["y_centroid"] + y0
    own = block.holds(np.round(x), np.round(y))
    return Table({"x": x[own], "y": y[own], "flux": stars["flux"][own]})


def _source_table(found, columns, band):
    sources = Table({name: np.array(found[name], dtype) for name, dtype in columns.items()})
    sources = sources[np.lexsort([sources["x"], sources["y"]])]
    if band.wcs is not None:
        sky = band.wcs.pixel_to_world(sources["x"], sources["y"]).icrs
        sources.add_columns([sky.ra.deg, sky.dec.deg], names=["ra", "dec"], indexes=[2, 2])
    sources.add_column(np.arange(1, len(sources) + 1), name="id", index=0)
    for name in sources.colnames:
        sources[name].unit, sources[name].format, sources[name].description = _DESCRIBED[name]
    unit = "unit of the image" if band.unit is None else band.unit
    sources["flux"].description += f", in {unit}"
    sources["flux"].unit = band.unit
    return sources
