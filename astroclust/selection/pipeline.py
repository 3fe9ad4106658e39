# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Candidate selection from images in one call."""

import warnings
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, overload

import numpy as np
from astropy import units as u
from astropy.table import Column, Table
from astropy.utils.exceptions import AstropyUserWarning
from photutils.segmentation import SegmentationImage

from astroclust.detection import find_sources, white_light
from astroclust.images import ImageSet
from astroclust.photometry import (
    CI_RADII,
    concentration_index,
    measure_photometry,
    recenter,
    value_of_band,
    zero_point,
)
from astroclust.selection.cuts import cut_flow, flow_meta, select_candidates
from astroclust.selection.presets import Preset, get_preset
from astroclust.selection.settings import settings_meta

if TYPE_CHECKING:
    from astroclust.typing import AreaLike, ImagesLike

__all__ = ["blocked_pixels", "find_candidates", "keep_candidates"]


@overload
def find_candidates(
    images: "ImagesLike",
    *,
    distance: float | u.Quantity | None = ...,
    preset: str | Preset = ...,
    exclude: "AreaLike | None" = ...,
    footprint: "AreaLike | None" = ...,
    keep_rejected: bool = ...,
    segmentation: Literal[False] = False,
    workers: int | Executor = ...,
    progress_bar: bool = ...,
) -> Table: ...


@overload
def find_candidates(
    images: "ImagesLike",
    *,
    distance: float | u.Quantity | None = ...,
    preset: str | Preset = ...,
    exclude: "AreaLike | None" = ...,
    footprint: "AreaLike | None" = ...,
    keep_rejected: bool = ...,
    segmentation: Literal[True],
    workers: int | Executor = ...,
    progress_bar: bool = ...,
) -> tuple[Table, SegmentationImage]: ...


@overload
def find_candidates(
    images: "ImagesLike",
    *,
    distance: float | u.Quantity | None = ...,
    preset: str | Preset = ...,
    exclude: "AreaLike | None" = ...,
    footprint: "AreaLike | None" = ...,
    keep_rejected: bool = ...,
    segmentation: bool,
    workers: int | Executor = ...,
    progress_bar: bool = ...,
) -> Table | tuple[Table, SegmentationImage]: ...


def find_candidates(
    images: "ImagesLike",
    *,
    distance: float | u.Quantity | None = None,
    preset: str | Preset = "legus",
    exclude: "AreaLike | None" = None,
    footprint: "AreaLike | None" = None,
    keep_rejected: bool = False,
    segmentation: bool = False,
    workers: int | Executor = 1,
    progress_bar: bool = False,
) -> Table | tuple[Table, SegmentationImage]:
    """Find star-cluster candidates: detection, photometry and cuts in one call.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    distance : `~astropy.units.Quantity` or float, optional
        Distance of the galaxy (Mpc if it has no unit). By default, there is no cut in absolute
        magnitude. Without a V image, the cut applies to the reference band.
    preset : str or `Preset`, optional
        ``"legus"``, ``"ngc1559"`` or ``"phangs"``; or your own settings, such as
        ``replace(PRESETS["legus"], extinction={"V": 0.1})`` with `dataclasses.replace`. The
        reference band replaces a band of the preset that is missing.
    exclude : str, `~pathlib.Path`, `~regions.Regions` or `~numpy.ndarray` of bool, optional
        Area to exclude, such as a nucleus or bright stars: a DS9 region file, regions (see
        `~astroclust.ds9.regions_mask`), or a mask with the shape of the images.
    footprint : str, `~pathlib.Path`, `~regions.Regions` or `~numpy.ndarray` of bool, optional
        Area outside of which everything is excluded, in the same forms.
    keep_rejected : bool, optional
        Whether to return all sources, with the reasons for rejection in the column ``cuts``; see
        `select_candidates`.
    segmentation : bool, optional
        Whether to also return the segments of the candidates, which presets that detect with
        DAOFIND do not have.
    workers : int or `~concurrent.futures.Executor`, optional
        Number of processes for detection and photometry, or a pool; see
        `~astroclust.detection.find_sources`.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    candidates : `~astropy.table.Table`
        Candidates, with the columns of `~astroclust.detection.find_sources` and
        `~astroclust.photometry.measure_photometry`, ``ci`` (mag, in V) and ``n_filters``; the input
        of `~astroclust.classification.classify_table`. Its ``meta`` has all settings, image
        checksums and versions, which `describe_settings` lists, and the number of sources detected,
        rejected and left by each cut, which `cut_flow` lists.
    segments : `~photutils.segmentation.SegmentationImage`, shape (ny, nx)
        Only with ``segmentation``: ``id`` of the row that each pixel belongs to, or 0. Positions
        are recentered after detection, by at most one pixel.

    Raises
    ------
    ValueError
        If an argument is invalid, or V has no zero point and a distance is given.
    ModuleNotFoundError
        If regions are given and the ``regions`` package is not installed.

    Warns
    -----
    AstropyUserWarning
        If the preset has a cut in absolute magnitude and there is no distance.

    Examples
    --------
    >>> from astroclust import find_candidates, simulate_field
    >>> field = simulate_field(shape=(128, 128), seed=1, density=1e-3)
    >>> candidates = find_candidates(field.images, distance=10)
    >>> candidates.colnames[-2:]
    ['ci', 'n_filters']
    """
    images = ImageSet.of(images)
    preset = get_preset(preset)
    if distance is not None:
        distance = float(u.Quantity(distance, u.Mpc).value)
    _check_zero_point(images, preset, distance)
    blocked = blocked_pixels(images, exclude, footprint)
    _warn_without_distance(preset, distance)
    detection = _detection_image(images, preset, progress_bar=progress_bar)
    center = None if preset.center_in is None else _band(images, preset.center_in)
    meta = settings_meta(
        images,
        preset,
        distance=distance,
        detection=detection,
        center=center,
        exclude=exclude,
        footprint=footprint,
        progress_bar=progress_bar,
    )
    found = find_sources(
        detection,
        threshold=preset.threshold,
        n_pixels=preset.n_pixels,
        method=preset.method,
        model=preset.detector,
        segmentation=segmentation,
        workers=workers,
        progress_bar=progress_bar,
    )
    sources, segments = found if segmentation else (found, None)
    if center is not None:
        sources = recenter(sources, center)
    sources = measure_photometry(
        sources,
        images,
        apertures=preset.apertures,
        errors=preset.errors,
        zero_points=preset.zero_points,
        aperture_correction=preset.aperture_correction,
        extinction=preset.extinction,
        workers=workers,
        progress_bar=progress_bar,
    )
    sources["ci"] = _index_column(sources, images.reference, preset, workers, progress_bar)
    v_magnitude = None
    if distance is not None:
        v_magnitude = sources[f"mag_{images.reference.filter.lower()}"]
    result = select_candidates(
        sources,
        cuts=preset.cuts,
        distance=distance,
        v_magnitude=v_magnitude,
        roles={band.filter: band.role for band in images.values()},
        system=images.system,
        left_out=None if blocked is None else _on_mask(sources, blocked),
    )
    result.meta.update(meta)
    if not keep_rejected:
        result = keep_candidates(result)
    if segments is None:
        return result
    segments.keep_labels(np.intersect1d(segments.labels, result["id"]))
    return result, segments


def _index_column(sources, band, preset, workers, progress_bar):
    index = concentration_index(
        sources,
        band,
        sky_statistic=preset.apertures.sky_statistic,
        workers=workers,
        progress_bar=progress_bar,
    )
    small, large = CI_RADII
    description = (
        f"{band.filter} concentration index: magnitude within {small:g} pixel minus that within "
        f"{large:g}, without aperture correction"
    )
    return Column(index, unit="mag", format=".3f", description=description)


def keep_candidates(sources):
    """Select the candidates among all sources, and record the cut flow in the metadata.

    Parameters
    ----------
    sources : `~astropy.table.Table`
        All sources, as returned by `select_candidates`.

    Returns
    -------
    candidates : `~astropy.table.Table`
        The rows that pass all cuts, without the column ``cuts``.

    Examples
    --------
    >>> from astroclust import find_candidates, simulate_field
    >>> from astroclust.selection import keep_candidates
    >>> images = simulate_field(shape=(128, 128), seed=1).images
    >>> sources = find_candidates(images, distance=9.9, keep_rejected=True)
    >>> len(keep_candidates(sources)) == len(find_candidates(images, distance=9.9))
    True
    """
    candidates = sources[np.asarray(sources["cuts"]) == 0]
    candidates.remove_column("cuts")
    candidates.meta.update(flow_meta(cut_flow(sources)))
    return candidates


def _detection_image(images, preset, *, progress_bar):
    if (preset.method == "rcnn") != (preset.detect_in == "all"):
        raise ValueError(
            f"the method {preset.method} does not detect in {preset.detect_in}; for a detector, "
            'set method="rcnn" and detect_in="all"'
        )
    if preset.detect_in == "all":
        return images
    if preset.detect_in != "white":
        return _band(images, preset.detect_in)
    return white_light(images, progress_bar=progress_bar) if len(images) > 1 else images.reference


def _band(images, name):
    """The named band, or the reference band if it is missing, with the common WCS."""
    return replace(images.get(name, images.reference), wcs=images.wcs)


def blocked_pixels(images, exclude=None, footprint=None):
    """Pixels excluded from the search for candidates.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet`
        The bands of the field.
    exclude, footprint : optional
        See `find_candidates`.

    Returns
    -------
    blocked : `~numpy.ndarray` of bool, shape (ny, nx), or None
        None if neither is given.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust import simulate_field
    >>> from astroclust.selection import blocked_pixels
    >>> images = simulate_field(shape=(64, 64), seed=1).images
    >>> left = np.zeros((64, 64), bool)
    >>> left[:, :32] = True
    >>> bool(np.all(blocked_pixels(images, footprint=~left) == left))
    True
    """
    if exclude is None and footprint is None:
        return None
    blocked = np.zeros(images.shape, bool)
    if exclude is not None:
        blocked |= _mask(exclude, images, "exclude")
    if footprint is not None:
        blocked |= ~_mask(footprint, images, "footprint")
    return blocked


def _mask(regions, images, name):
    if not (isinstance(regions, np.ndarray) and regions.dtype == bool):
        from astroclust.ds9 import regions_mask

        return regions_mask(regions, images.shape, wcs=images.wcs)
    if regions.shape != images.shape:
        raise ValueError(
            f"{name} has shape {regions.shape}, but the images {images.shape}; use a mask with the "
            "shape of the images"
        )
    return regions


def _on_mask(sources, mask):
    """Whether each source lies on a masked pixel; false off the image."""
    x, y = (np.round(np.asarray(sources[name], float)) for name in ("x", "y"))
    ny, nx = mask.shape
    rows = np.flatnonzero((x >= 0) & (x < nx) & (y >= 0) & (y < ny))
    result = np.zeros(len(sources), bool)
    result[rows] = mask[y[rows].astype(int), x[rows].astype(int)]
    return result


def _check_zero_point(images, preset, distance):
    """Check for a V zero point, without which no source passes the magnitude cut."""
    if distance is None or not np.isfinite(preset.cuts.max_absolute_v):
        return
    band = images.reference
    if not np.isfinite(zero_point(band, value_of_band(preset.zero_points, band, None))):
        raise ValueError(
            f"{band.label} has no zero point, which the cut in absolute magnitude requires: "
            f"{_zero_point_remedy(band)}, or omit distance"
        )


def _warn_without_distance(preset, distance):
    if distance is None and np.isfinite(preset.cuts.max_absolute_v):
        warnings.warn(
            "without a distance, sources fainter than an absolute magnitude of "
            f"{preset.cuts.max_absolute_v:g} in V are not rejected; set distance (in Mpc), or "
            "--distance or --field on the command line, or, if this is intended, use a preset "
            "whose cuts have max_absolute_v=np.inf",
            AstropyUserWarning,
            stacklevel=3,
        )


def _zero_point_remedy(band):
    if band.unit in (u.electron, u.ct, u.adu):
        given = band.meta.get("EXPTIME", "missing")
        return (
            f"it is in {band.unit} and EXPTIME is {given}; set EXPTIME, for example with "
            "astropy.io.fits.setval"
        )
    if band.unit is None or band.unit.is_equivalent(u.electron / u.s):
        return f"use a preset with zero_points={{{band.filter!r}: ...}}"
    return f"it is in {band.unit}; set BUNIT, or convert the image to 'electron/s'"
