# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Sources in one image: background, threshold, segmentation and deblending, on photutils."""

import warnings

import numpy as np
from astropy.stats import SigmaClip
from astropy.table import QTable, Table
from astropy.utils.exceptions import AstropyUserWarning
from photutils.background import Background2D
from photutils.segmentation import SourceCatalog, deblend_sources, detect_sources
from photutils.utils.exceptions import NoDetectionsWarning

from astroclust.images import read_image

__all__ = ["find_sources"]

# SExtractor's deblending as LEGUS set it (DEBLEND_NTHRESH, DEBLEND_MINCONT).
_DEBLEND_LEVELS = 32
_DEBLEND_CONTRAST = 0.005
# Pixels a mesh of the background (LEGUS: BACK_SIZE 30).
_BACKGROUND_BOX = 30


def find_sources(image, *, threshold=5.0, n_pixels=10, progress_bar=False):
    """Find sources in an image.

    The background and its noise are taken in meshes of 30 pixels; groups of at least
    ``n_pixels`` connected pixels above ``threshold`` are sources, and are deblended as LEGUS did
    with SExtractor.

    Parameters
    ----------
    image : `~astropy.nddata.NDData`, HDU, path, (array, wcs) or `~astroclust.images.Band`
        The image, shape (ny, nx), in any linear unit. Masked and non-finite pixels are left out.
    threshold : float, optional
        Height above the background in units of its standard deviation.
    n_pixels : int, optional
        Smallest number of connected pixels (LEGUS: DETECT_MINAREA 10).
    progress_bar : bool, optional
        Whether to show the progress of deblending on standard error.

    Returns
    -------
    sources : `~astropy.table.Table`
        One row a source, in order of y: ``id`` (from 1); ``x``, ``y`` (0-based pixels);
        ``ra``, ``dec`` (degrees, where the image has a WCS); ``area`` (pixels); ``flux`` (sum
        over the source above the background, unit of the image). No sources give no rows.

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
    if n_pixels < 1:
        raise ValueError(f"n_pixels must be at least 1, not {n_pixels!r}")
    band = read_image(image)
    data = np.asarray(band.data, np.float32)
    mask = ~np.isfinite(data)
    if band.mask is not None:
        mask |= band.mask
    if mask.all():
        raise ValueError(f"{band.filter}: the image has no good pixels")
    background, noise = _background(data, mask)
    data = np.where(mask, 0, data - background).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoDetectionsWarning)
        segments = detect_sources(data, threshold * noise, n_pixels, mask=mask)
    if segments is None:
        return _source_table(QTable(names=["x_centroid", "y_centroid", "area", "flux"]), band)
    with warnings.catch_warnings():
        # Where sources are nearly flat photutils deblends on a linear scale, and says so.
        warnings.simplefilter("ignore", AstropyUserWarning)
        segments = deblend_sources(
            data,
            segments,
            n_pixels,
            n_levels=_DEBLEND_LEVELS,
            contrast=_DEBLEND_CONTRAST,
            progress_bar=progress_bar,
        )
    catalog = SourceCatalog(data, segments, mask=mask)
    columns = catalog.to_table(columns=["x_centroid", "y_centroid", "area", "segment_flux"])
    columns.rename_column("segment_flux", "flux")
    return _source_table(columns, band)


def _background(data, mask):
    """Background and its noise, both of the shape of ``data``."""
    box = np.minimum(_BACKGROUND_BOX, data.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # it counts the pixels masked
        model = Background2D(
            data,
            tuple(box),
            mask=mask,
            exclude_percentile=90,
            filter_size=3,
            sigma_clip=SigmaClip(sigma=3, maxiters=10),
        )
    noise = model.background_rms
    # Where a mesh is cut to one value (8-bit sky, blank corners) its noise would be nothing.
    positive = noise[noise > 0]
    typical = np.median(positive) if positive.size else np.std(data[~mask])
    return model.background, np.where(noise > 0.1 * typical, noise, typical)


def _source_table(columns, band):
    sources = Table()
    sources["x"] = np.asarray(columns["x_centroid"], float)
    sources["y"] = np.asarray(columns["y_centroid"], float)
    if band.wcs is not None:
        sky = band.wcs.pixel_to_world(sources["x"], sources["y"]).icrs
        sources["ra"], sources["dec"] = sky.ra.deg, sky.dec.deg
        sources["ra"].unit = sources["dec"].unit = "deg"
    area = columns["area"]
    sources["area"] = np.asarray(getattr(area, "value", area), np.int32)
    sources["flux"] = np.asarray(columns["flux"], float)
    sources.sort("y")
    sources.add_column(np.arange(1, len(sources) + 1), name="id", index=0)
    return sources
