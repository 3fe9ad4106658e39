# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Find the sources in an image."""

from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from astropy.table import Table
from photutils.segmentation import SegmentationImage

from astroclust.detection.classical import COLUMNS, find_classical
from astroclust.detection.tiles import check_whole
from astroclust.images import ImageSet, read_image

if TYPE_CHECKING:
    from astroclust.detectors import Detector
    from astroclust.typing import ImageLike, ImagesLike

__all__ = ["find_sources"]

# Method that uses a network, and its default minimum probability of being a source.
_NETWORK, _PROBABILITY = "rcnn", 0.5
# Detection threshold of LEGUS, in standard deviations of the noise.
_THRESHOLD = 20.0

# Unit, format and description of each column.
_DESCRIBED = {
    "id": (None, None, "source number, from 1"),
    "x": ("pix", ".3f", "position in x: 0 is the center of the first pixel"),
    "y": ("pix", ".3f", "position in y: 0 is the center of the first pixel"),
    "ra": ("deg", ".7f", "right ascension (ICRS)"),
    "dec": ("deg", ".7f", "declination (ICRS)"),
    "area": ("pix2", None, "pixels above the detection threshold"),
    "flux": (None, ".6g", "background-subtracted sum of the source in the detection image"),
}


@overload
def find_sources(
    image: "ImageLike | ImagesLike",
    *,
    threshold: float | None = ...,
    n_pixels: int = ...,
    method: str = ...,
    model: "str | Path | Detector | None" = ...,
    segmentation: Literal[False] = False,
    tile: int = ...,
    workers: int | Executor = ...,
    progress_bar: bool = ...,
) -> Table: ...


@overload
def find_sources(
    image: "ImageLike | ImagesLike",
    *,
    threshold: float | None = ...,
    n_pixels: int = ...,
    method: str = ...,
    model: "str | Path | Detector | None" = ...,
    segmentation: Literal[True],
    tile: int = ...,
    workers: int | Executor = ...,
    progress_bar: bool = ...,
) -> tuple[Table, SegmentationImage]: ...


@overload
def find_sources(
    image: "ImageLike | ImagesLike",
    *,
    threshold: float | None = ...,
    n_pixels: int = ...,
    method: str = ...,
    model: "str | Path | Detector | None" = ...,
    segmentation: bool,
    tile: int = ...,
    workers: int | Executor = ...,
    progress_bar: bool = ...,
) -> Table | tuple[Table, SegmentationImage]: ...


def find_sources(
    image: "ImageLike | ImagesLike",
    *,
    threshold: float | None = None,
    n_pixels: int = 10,
    method: str = "sextractor",
    model: "str | Path | Detector | None" = None,
    segmentation: bool = False,
    tile: int = 2000,
    workers: int | Executor = 1,
    progress_bar: bool = False,
) -> Table | tuple[Table, SegmentationImage]:
    """Find sources in an image.

    The default is SExtractor's own code (the ``sep`` package) with the settings of LEGUS: a
    background mesh of 30 pixels; groups of 10 or more connected pixels at least 20 standard
    deviations above the background, deblended at 32 levels with a contrast of 0.005; and cleaning
    of sources that would not be detected without the wings of brighter ones. The standard deviation
    is the median over all cells of the mesh that are not blank, each clipped at three standard
    deviations. It refers to single pixels of the drizzled sky, whose noise is correlated, and is
    the same in crowded and empty regions.

    Parameters
    ----------
    image : `~astropy.nddata.NDData`, HDU, path, (array, wcs) or `~astroclust.images.Band`
        The image, shape (ny, nx), in any linear unit. Masked and non-finite pixels are excluded.
        For ``"rcnn"`` an `~astroclust.images.ImageSet` or a mapping of bands.
    threshold : float, optional
        Height above the background in units of its standard deviation; by default 20, as in LEGUS
        in white light. For ``"rcnn"``, the minimum probability of being a source (default 0.5).
    n_pixels : int, optional
        Minimum number of connected pixels (LEGUS: 10). Used by ``"sextractor"`` and
        ``"segmentation"``.
    method : str, optional
        ``"sextractor"``; ``"segmentation"`` for the same groups of pixels, deblended with
        `photutils.segmentation.deblend_sources` and not cleaned; ``"daofind"`` for star-like
        sources with a FWHM of 2 pixels, as in PHANGS-HST (`~photutils.detection.DAOStarFinder`); or
        ``"rcnn"`` for a network that detects and classifies sources in several bands at once.
    model : str, `~pathlib.Path` or `~astroclust.detectors.Detector`, optional
        Network for ``"rcnn"``, by default the bundled one; see
        `~astroclust.detectors.load_detector`. It runs on the GPU if there is one.
    segmentation : bool, optional
        Whether to also return a segmentation image; not available for ``"daofind"`` and networks
        without masks.
    tile : int, optional
        Width in pixels of the area that a worker processes at a time, which limits the memory. It
        does not affect the sources. Networks use tiles of a fixed size instead.
    workers : int or `~concurrent.futures.Executor`, optional
        Number of processes; or a pool for the tiles, such as ``client.get_executor()`` of a Dask
        cluster. A network uses the threads of this process instead.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    sources : `~astropy.table.Table`
        One row per source, in order of y: ``id`` (from 1); ``x``, ``y`` (0-based pixels);
        ``ra``, ``dec`` (degrees, if the image has a WCS); ``area`` (pixels; not for
        ``"daofind"``); ``flux`` (sum over the source above the background, unit of the image).
        A network adds ``det_score``, the probability of being a source; ``det_class``, the most
        probable class; ``det_prob_1`` ..., the class probabilities, which sum to ``det_score``; and
        with masks ``det_flux_nuv`` ..., the deblended flux in each band. The table is empty if no
        sources are found. Columns have units, descriptions and formats.
    segments : `~photutils.segmentation.SegmentationImage`, shape (ny, nx)
        Only with ``segmentation``: int32, the ``id`` of the source that each pixel belongs to; 0
        for the background. Sources of a network that are covered by others have no pixels.

    Raises
    ------
    ValueError
        If the image is not 2-D or has no good pixels, an argument is invalid, the method has no
        segments, or for ``"rcnn"`` the model is unknown or the images have none of its bands.

    Warns
    -----
    AstropyUserWarning
        For ``"rcnn"``, if the pixel scale differs from that of the training set.

    Examples
    --------
    >>> from astroclust import find_sources, simulate_field
    >>> field = simulate_field(shape=(128, 128), seed=1)
    >>> sources = find_sources(field.images["F555W"])
    >>> sources.colnames
    ['id', 'x', 'y', 'ra', 'dec', 'area', 'flux']

    Pixels of the first source:

    >>> sources, segments = find_sources(field.images["F555W"], segmentation=True)
    >>> int((segments.data == 1).sum()) == int(sources["area"][0])
    True
    """
    if threshold is None:
        threshold = _PROBABILITY if method == _NETWORK else _THRESHOLD
    if not threshold > 0:
        raise ValueError(f"threshold must be positive, not {threshold!r}")
    n_workers = 1 if isinstance(workers, Executor) else workers
    for name, value in (("n_pixels", n_pixels), ("tile", tile), ("workers", n_workers)):
        check_whole(name, value)
    if method == _NETWORK:
        return _find_with_network(image, model, threshold, segmentation, progress_bar)
    if method not in COLUMNS:
        known = ", ".join([*COLUMNS, _NETWORK])
        raise ValueError(f"method must be one of {known}, not {method!r}")
    if model is not None:
        raise ValueError(f'a model requires the method "{_NETWORK}", not "{method}"; omit it')
    if segmentation and "area" not in COLUMNS[method]:
        raise ValueError(
            f"{method} finds peaks without segments; choose the method sextractor or "
            "segmentation, or omit segmentation"
        )
    band = read_image(image)
    found, segments = find_classical(
        band,
        method,
        threshold=threshold,
        n_pixels=n_pixels,
        segmentation=segmentation,
        tile=tile,
        workers=workers,
        progress_bar=progress_bar,
    )
    order = np.lexsort([found["x"], found["y"]])
    sources = _source_table(found[order], band)
    if not segmentation:
        return sources
    ids = np.zeros(len(found) + 1, np.int32)
    ids[order + 1] = sources["id"]
    return sources, SegmentationImage(ids[segments])


def _find_with_network(images, model, threshold, segmentation, progress_bar):
    # Torch takes seconds to import, and the classical methods do not need it.
    from astroclust.detectors import load_detector

    if threshold > 1:
        raise ValueError(
            f'threshold of "{_NETWORK}" must be a probability up to 1, not {threshold}; choose a '
            f"value such as {_PROBABILITY}"
        )
    detector = load_detector(model)
    images = ImageSet.of(images, detector.card.system)
    sources, segments = detector.find(
        images, min_score=threshold, segmentation=segmentation, progress_bar=progress_bar
    )
    sources = _source_table(sources, images.reference)
    return (sources, segments) if segmentation else sources


def _source_table(sources, band):
    if band.wcs is not None:
        sky = band.wcs.pixel_to_world(sources["x"], sources["y"]).icrs
        sources.add_columns([sky.ra.deg, sky.dec.deg], names=["ra", "dec"], indexes=[2, 2])
    sources.add_column(np.arange(1, len(sources) + 1), name="id", index=0)
    for name in set(sources.colnames) & set(_DESCRIBED):
        sources[name].unit, sources[name].format, sources[name].description = _DESCRIBED[name]
    unit = "unit of the image" if band.unit is None else band.unit
    sources["flux"].description += f", in {unit}"
    sources["flux"].unit = band.unit
    return sources
