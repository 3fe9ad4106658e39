# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The image to detect in, and the sources in an image."""

import warnings
from concurrent.futures import Executor
from functools import partial
from numbers import Integral

import numpy as np
from astropy.table import Table, vstack
from photutils.detection import DAOStarFinder
from photutils.segmentation import SegmentationImage, SourceCatalog, detect_sources
from photutils.utils.exceptions import NoDetectionsWarning
from tqdm import tqdm

from astroclust.detection.background import BOX, Background, measure_cells
from astroclust.detection.cleaning import is_spurious, margin_of
from astroclust.detection.deblending import deblend
from astroclust.detection.tiles import run_tasks, task_pool, tiles_of
from astroclust.images import Band, ImageSet, read_image

__all__ = ["find_sources", "white_light"]

# SExtractor's deblending as LEGUS set it (DEBLEND_NTHRESH, DEBLEND_MINCONT).
_DEBLEND_LEVELS = 32
_DEBLEND_CONTRAST = 0.005
# Full width at half maximum of a star of WFC3/UVIS on drizzled pixels, for DAOFIND.
_STAR_WIDTH = 2.0
# Pixels around a tile: few sources are larger, and for those it is made to grow.
_MARGIN = 64
# Rows of an image whose white light or background is computed at a time, whole cells of a mesh.
_STRIP = 16 * BOX

# What each method tells of a source.
_COLUMNS = {
    "segmentation": {"x": float, "y": float, "area": np.int32, "flux": float},
    "daofind": {"x": float, "y": float, "flux": float},
}


def white_light(images):
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
    for rows in _strips(images.shape):
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
    method="segmentation",
    tile=2000,
    workers=1,
    progress_bar=False,
):
    """Find sources in an image.

    By default with the settings that LEGUS gave to SExtractor: a background in meshes of 30
    pixels; sources are groups of 10 or more connected pixels that stand 20 standard deviations
    above it; they are deblended at 32 levels with a contrast of 0.005, and cleaned of what would
    not be found without the wings of brighter sources. The standard deviation is
    the median over the meshes, each clipped at three of its own, without those that are blank:
    that of one pixel of drizzled sky, whose noise is correlated, and the same in crowded and in
    empty regions.

    Parameters
    ----------
    image : `~astropy.nddata.NDData`, HDU, path, (array, wcs) or `~astroclust.images.Band`
        The image, shape (ny, nx), in any linear unit. Masked and non-finite pixels are left out.
    threshold : float, optional
        Height above the background in units of its standard deviation (LEGUS: 20, in white
        light).
    n_pixels : int, optional
        Smallest number of connected pixels (LEGUS: 10). Not used by ``"daofind"``.
    method : str, optional
        ``"segmentation"``; or ``"daofind"``, for sources like stars of 2 pixels full width at
        half maximum, as PHANGS-HST found its candidates (`~photutils.detection.DAOStarFinder`).
    tile : int, optional
        Pixels a side of the pieces that the image is worked on in, which bounds the memory. It
        does not change the sources.
    workers : int or `~concurrent.futures.Executor`, optional
        Number of processes; or a pool that works on the tiles, such as ``client.get_executor()``
        of a Dask cluster.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    sources : `~astropy.table.Table`
        One row a source, in order of y: ``id`` (from 1); ``x``, ``y`` (0-based pixels);
        ``ra``, ``dec`` (degrees, where the image has a WCS); ``area`` (pixels; not from
        ``"daofind"``); ``flux`` (sum over the source above the background, unit of the image).
        No sources give no rows.

    Raises
    ------
    ValueError
        Where the image is not 2-D, has no good pixels, or an argument is not accepted.

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
        "segmentation": partial(_find_segments, n_pixels=n_pixels),
        "daofind": _find_stars,
    }[method]
    tiles = tiles_of(band.data.shape, tile, _MARGIN)
    with (
        task_pool(workers if len(tiles) > 1 else 1) as pool,
        tqdm(total=len(tiles), unit="tile", desc="detecting", disable=not progress_bar) as bar,
    ):
        background = _background(band, pool, workers)
        limit = threshold * background.noise
        found = []
        while tiles:
            tasks = ((band.pixels(tile.slices), tile, background, limit) for tile in tiles)
            grown = []
            for i, sources in run_tasks(pool, find, tasks, workers=workers):
                if sources is None:  # one of them reaches over the margin
                    grown.append(tiles[i].grown())
                else:
                    found.append(sources)
                    bar.update()
            tiles = grown
    found = vstack([sources for sources in found if len(sources)] or Table(names=_COLUMNS[method]))
    if method == "segmentation" and len(found):
        found = found[~is_spurious(found, limit)]
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
    return Background(level, background.noise or float(np.std(good)))


def _subtract(pixels, tile, background):
    """Pixels above the background, and which of them are bad."""
    rows, columns = tile.slices
    level = background.at(np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop))
    mask = np.isnan(pixels)
    return np.where(mask, 0, pixels - level).astype(np.float32), mask


def _find_segments(pixels, tile, background, limit, *, n_pixels):
    """Sources whose group of pixels begins in the core of the tile; None where one is cut."""
    data, mask = _subtract(pixels, tile, background)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        segments = detect_sources(data, limit, n_pixels, mask=mask)
    if segments is None:
        return Table()
    own = _begin_in_core(segments, tile)
    if not tile.is_whole and np.isin(own, _on_border(segments.data, tile)).any():
        return None
    if not own.size:
        return Table()
    segments.keep_labels(own)
    labels = deblend(
        data, segments.data, limit, n_levels=_DEBLEND_LEVELS, contrast=_DEBLEND_CONTRAST
    )
    segments = SegmentationImage(labels)
    catalog = SourceCatalog(data, segments, mask=mask)
    x0, y0 = tile.origin
    columns = {
        "x": catalog.x_centroid + x0,
        "y": catalog.y_centroid + y0,
        "area": segments.areas,
        "flux": catalog.segment_flux,
        "margin": margin_of(data, labels, segments.labels, limit, n_pixels),
        **_ellipses(catalog, segments.areas),
    }
    return Table({name: np.atleast_1d(values) for name, values in columns.items()})


def _ellipses(catalog, areas):
    """Shapes of sources; a streak without a width is as round as its area."""
    major, minor = catalog.semimajor_axis.value, catalog.semiminor_axis.value
    width = 1 / np.sqrt(12)  # of a pixel
    flat = ~(minor > 0)
    major = np.where(flat, np.sqrt(areas) / 2, major)
    shapes = {"major": major, "axes": np.where(flat, major * width, major * minor)}
    for name, value in (("cxx", 1 / major**2), ("cxy", 0), ("cyy", 1 / major**2)):
        shapes[name] = np.where(flat, value, getattr(catalog, f"ellipse_{name}").value)
    return shapes


def _begin_in_core(segments, tile):
    """Labels whose first pixel, row by row, lies in the core: each is so in one tile alone."""
    labels = segments.data.ravel()
    inside = np.flatnonzero(labels)[::-1]
    first = np.empty(segments.max_label + 1, int)
    first[labels[inside]] = inside  # of several assignments the last one stays
    y, x = np.divmod(first[segments.labels], segments.shape[1])
    x0, y0 = tile.origin
    return segments.labels[tile.holds(x + x0, y + y0)]


def _on_border(labels, tile):
    """Labels that touch a border of the tile which is not one of the image."""
    rows, columns = tile.slices
    ny, nx = tile.shape
    borders = (
        (labels[0], rows.start > 0),
        (labels[-1], rows.stop < ny),
        (labels[:, 0], columns.start > 0),
        (labels[:, -1], columns.stop < nx),
    )
    return np.unique(np.concatenate([labels[:0, 0], *(border for border, cut in borders if cut)]))


def _find_stars(pixels, tile, background, limit):
    """Stars whose centre lies in the core of the tile."""
    data, mask = _subtract(pixels, tile, background)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        stars = DAOStarFinder(limit, _STAR_WIDTH)(data, mask=mask)
    if stars is None:
        return Table()
    x0, y0 = tile.origin
    x, y = stars["x_centroid"] + x0, stars["y_centroid"] + y0
    own = tile.holds(np.round(x), np.round(y))
    return Table({"x": x[own], "y": y[own], "flux": stars["flux"][own]})


def _source_table(found, columns, band):
    sources = Table({name: np.array(found[name], dtype) for name, dtype in columns.items()})
    sources = sources[np.lexsort([sources["x"], sources["y"]])]
    if band.wcs is not None:
        sky = band.wcs.pixel_to_world(sources["x"], sources["y"]).icrs
        sources.add_columns([sky.ra.deg, sky.dec.deg], names=["ra", "dec"], indexes=[2, 2])
        sources["ra"].unit = sources["dec"].unit = "deg"
    sources.add_column(np.arange(1, len(sources) + 1), name="id", index=0)
    return sources
