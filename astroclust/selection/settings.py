# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Selection settings in the metadata of a candidate table."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path

import astropy
import numpy as np
import photutils
import sep
from astropy import units as u
from astropy.table import Table
from tqdm import tqdm

import astroclust
from astroclust.catalogs import find_field
from astroclust.catalogs.keywords import KEYWORDS, find_keyword
from astroclust.images import ImageSet
from astroclust.photometry import value_of_band, zero_point
from astroclust.selection.cuts import Cut
from astroclust.selection.presets import PRESETS

__all__ = ["describe_settings", "settings_meta"]

# The cut flow, and entries that are only read by programs.
_NOT_SETTINGS = {"DETECTED", "REJECT", "CLASSES", *(name[:8] for name in Cut.__members__)}


def settings_meta(
    images, preset, *, distance, detection, center, exclude, footprint, progress_bar=False
):
    """Metadata that describe the selection, with keywords valid in FITS.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet`
        The bands of the field.
    preset : `Preset`
        The settings.
    distance : float or None
        Distance in Mpc.
    detection, center : `~astroclust.images.Band` or None
        Detection image, and the image used for recentering.
    exclude, footprint : optional
        See `find_candidates`.
    progress_bar : bool, optional
        Whether to show progress on standard error: the checksums read all pixels.

    Returns
    -------
    meta : dict
        Keywords of `~astroclust.catalogs.keywords.KEYWORDS`, with numbers and text as values.
    """
    radius, *others = np.atleast_1d(np.asarray(preset.apertures.radius, float)).tolist()
    meta = {
        "CANDVERS": astroclust.__version__,
        "CANDDATE": datetime.now(UTC).strftime("%Y-%m-%d"),
        "PHOTUTIL": photutils.__version__,
        "SEP": sep.__version__,
        "ASTROPY": astropy.__version__,
        "PRESET": _name_preset(preset),
        "FIELD": preset.field,
        "DISTANCE": distance,
        "DISTFROM": _source_of_distance(preset, distance),
        "DETIMAGE": _name_detection(detection),
        "DETMETH": preset.method,
        "DETMODEL": _name_detector(preset),
        "THRESH": float(preset.threshold),
        "NPIXELS": None if preset.method in ("daofind", "rcnn") else int(preset.n_pixels),
        "RECENTER": "none" if center is None else center.filter,
        "APERTURE": radius,
        "APOTHERS": ", ".join(f"{other:g}" for other in others) or None,
        "SKYINNER": float(preset.apertures.annulus[0]),
        "SKYOUTER": float(preset.apertures.annulus[1]),
        "SKYSTAT": preset.apertures.sky_statistic,
        "FLUXERRS": preset.errors,
        "APCORR": _kind_of_correction(preset.aperture_correction),
        **_cuts_meta(preset.cuts, distance, images.roles),
        "EXCLUDE": _name_regions(exclude),
        "FOOTPRNT": _name_regions(footprint),
    }
    bands = tqdm(images.values(), unit="image", desc="checksums", disable=not progress_bar)
    for number, band in enumerate(bands, 1):
        meta |= {f"{key}{number}": value for key, value in _band_meta(band, preset).items()}
    return {key: value for key, value in meta.items() if value is not None}


def _name_detection(detection):
    if isinstance(detection, ImageSet):
        return ", ".join(detection.filters)
    return "white light" if detection.filter == "WHITE" else detection.filter


def _name_detector(preset):
    if preset.method != "rcnn":
        return None
    detector = preset.detector
    if detector is None:
        from astroclust.detectors import DEFAULT_DETECTOR

        return DEFAULT_DETECTOR
    return detector.card.name if hasattr(detector, "card") else Path(detector).name


def _cuts_meta(cuts, distance, roles):
    """Limits as they apply to the available bands."""
    max_absolute_v = float(cuts.max_absolute_v)
    if not np.isfinite(max_absolute_v):
        max_absolute_v = "none"
    elif distance is None:
        max_absolute_v = "not applied: no distance"
    return {
        "MINCI": float(cuts.min_ci),
        "MAXERR": float(cuts.max_error),
        "MINFILT": min(int(cuts.min_filters), len(roles)),
        "REQUIRED": ", ".join(role for role in cuts.required if role in roles) or "none",
        "NEEDSREF": bool(cuts.needs_reference),
        "MAXABSV": max_absolute_v,
        "MINSEP": float(cuts.min_separation),
    }


def _band_meta(band, preset):
    zero = float(zero_point(band, value_of_band(preset.zero_points, band, None)))
    extinction = u.Quantity(value_of_band(preset.extinction, band, 0.0), u.mag).value
    correction = None
    if isinstance(preset.aperture_correction, Mapping):
        correction = value_of_band(preset.aperture_correction, band, 0.0)
        correction = float(correction[0] if np.ndim(correction) else correction)
    return {
        "FILTER": band.filter,
        "ROLE": band.role,
        "IMFILE": band.file or "in memory",
        "IMSHA": band.checksum,
        "ZPVEGA": zero if np.isfinite(zero) else "unknown",
        "GALEXT": float(extinction),
        "APCOR": correction,
    }


def _name_preset(preset):
    """Name of the closest preset, and the fields that differ from it."""
    changed = {name: _changes(known, preset) for name, known in PRESETS.items()}
    name = min(changed, key=lambda name: len(changed[name]))
    return f"{name}; changed: {', '.join(changed[name])}" if changed[name] else name


def _changes(known, given):
    """Names of the fields that differ, with a dot for those of nested dataclasses."""
    names = []
    for item in fields(known):
        one, other = getattr(known, item.name), getattr(given, item.name)
        if is_dataclass(one) and is_dataclass(other):
            names += [f"{item.name}.{name}" for name in _changes(one, other)]
        elif item.name != "field" and repr(one) != repr(other):  # arrays have no single truth value
            names.append(item.name)
    return names


def _source_of_distance(preset, distance):
    if distance is None:
        return None
    if preset.field is not None and distance == find_field(preset.field).distance:
        return f"LEGUS, field {preset.field}"
    return "given"


def _kind_of_correction(correction):
    if correction is None:
        return "none"
    return "by concentration index" if isinstance(correction, str) else "one for each band"


def _name_regions(regions):
    if regions is None or isinstance(regions, str | Path):
        return None if regions is None else str(regions)
    return "mask" if isinstance(regions, np.ndarray) else "regions in memory"


def describe_settings(table):
    """List the selection settings recorded in the metadata of a candidate table.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Candidates of `find_candidates`, optionally classified, or written and read again.

    Returns
    -------
    settings : `~astropy.table.Table`
        ``setting`` (keyword in the metadata and in FITS headers), ``value`` (text), ``unit`` and
        ``meaning``; empty if the metadata have none.

    Examples
    --------
    >>> from astroclust import find_candidates, simulate_field
    >>> from astroclust.selection import describe_settings
    >>> images = simulate_field(shape=(128, 128), seed=1).images
    >>> settings = describe_settings(find_candidates(images, distance=9.9))
    >>> print(settings[settings["setting"] == "DISTANCE"])
    setting  value unit        meaning
    -------- ----- ---- ----------------------
    DISTANCE   9.9  Mpc distance of the galaxy
    """
    order = list(KEYWORDS)
    known = {key: find_keyword(key) for key in map(str, table.meta)}
    rows = []
    for key, keyword in known.items():
        base = key if key in KEYWORDS else key.rstrip("0123456789")
        if keyword is None or base in _NOT_SETTINGS:
            continue
        number = key.removeprefix(base)
        of_band = str(table.meta.get(f"FILTER{number}", "")) if keyword.each == "band" else ""
        of_run = f"run {number}" if number and keyword.each == "run" else ""
        meaning = ": ".join(filter(None, (of_band or of_run, keyword.meaning)))
        rank = (keyword.each == "band", int(number or 0), order.index(base))
        if keyword.each == "run":
            rank = (2, int(number or 1), order.index(base))
        rows.append((rank, (key, _as_text(table.meta[key]), keyword.unit, meaning)))
    rows = [row for _, row in sorted(rows)]
    return Table(rows=rows or None, names=["setting", "value", "unit", "meaning"], dtype=[str] * 4)


def _as_text(value):
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
