# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Consistency checks of image headers with pixels and user-supplied filters."""

from dataclasses import replace

import numpy as np
from astropy import units as u

from astroclust.images.inspection import noise_remark, sample_cells, zero_areas, zeros_are_blank
from astroclust.images.units import SAME_AREA, pixel_areas
from astroclust.instruments import (
    ab_of_vega,
    ab_zero_point,
    camera_label,
    camera_of,
    camera_of_filter,
    camera_of_photmode,
    exposure_time,
    filter_of,
    filters_of_header,
    find_filter,
    find_instrument,
    header_number,
    instruments,
    legus_zero_point,
)

__all__ = ["inspect_band", "inspect_observation"]

_RATE = u.electron / u.s
# EXPTIME and TEXPTIME may be rounded differently.
_SAME_TIME = 0.01
# Filters with longer pivot wavelengths (Angstrom) are infrared: those of WFC3/IR and redder.
_INFRARED = 9500.0


def inspect_band(band):
    """Determine from a sample of pixels whether zeros are blank.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        Band as read.

    Returns
    -------
    band : `~astroclust.images.Band`
        With ``blank_zeros`` set, and without a weight map that is 0 everywhere.
    """
    weight = band.weight
    if weight is not None and not (sample_cells(weight) > 0).any():
        remark = "its WHT extension is 0 everywhere and is ignored"
        band = replace(band, weight=None, remarks=(*band.remarks, remark))
    blank = zeros_are_blank(sample_cells(band.data))
    areas = zero_areas(band.data) if blank == "areas" else None
    if areas is not None:
        band = replace(band, mask=areas if band.mask is None else areas | band.mask)
    return replace(band, blank_zeros=blank == "all")


def inspect_observation(band, system, *, insisted=False, stored_unit=None):
    """Check that a header agrees with the given filter and with itself.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        Band in its final unit.
    system : `~astroclust.instruments.BandSystem`
        Band system, which defines the roles of filters.
    insisted : bool, optional
        Whether the user assigned the role of the filter: filter and camera are then not checked,
        except for infrared filters in optical roles.
    stored_unit : `~astropy.units.Unit`, optional
        Unit in the file.

    Returns
    -------
    remarks : list of str
        One remark per inconsistency.
    """
    remarks = [] if insisted else [_filter_remark(band, system), _camera_remark(band)]
    remarks.append(_infrared_remark(band, system))
    counts = stored_unit is not None and any(
        stored_unit.is_equivalent(one) for one in (u.electron, u.ct, u.adu)
    )
    if stored_unit is not None and stored_unit.is_equivalent(u.Jy / u.sr):
        remarks.append(_area_remark(band))
    remarks += [_exposure_remark(band, counts), _zero_point_remark(band)]
    return [remark for remark in remarks if remark]


def _filter_remark(band, system):
    by_role = band.filter == band.role

    def agrees(name):
        role = system.filters.get(name, band.role)
        return role == band.role if by_role else name == band.filter

    named = filters_of_header(band.meta).items()
    others = [f"{key} {name}" for key, names in named for name in names if not agrees(name)]
    if not others:
        return ""
    return (
        f"its header has {', '.join(others)}, but the image is passed as {band.filter}; pass it "
        f"under its own filter, or override the check with roles={{{band.filter!r}: "
        f"{band.role!r}}} (--role {band.filter}={band.role} on the command line)"
    )


def _infrared_remark(band, system):
    """Remark on an infrared filter in the role of optical filters."""
    name = filter_of(band)
    # WFC3 without a detector is read as UVIS, which has no such filter.
    cameras = camera_of(band), camera_of_filter(name)
    pivots = [find_filter(camera, name).pivot for camera in cameras]
    pivot = next((value for value in pivots if np.isfinite(value)), np.nan)
    if np.isnan(pivot) and band.meta.get("TELESCOP") == "JWST":
        pivot = np.inf  # MIRI and NIRISS are not supported
    usual = [one for one, role in system.filters.items() if role == band.role]
    pivots = [find_filter(camera_of_filter(one), one).pivot for one in usual]
    is_optical = bool(pivots) and max(pivots) <= _INFRARED
    if not (is_optical and pivot > _INFRARED):
        return ""
    return (
        f"{name} is an infrared filter, but band {band.role} of {system.name} is "
        f"optical ({', '.join(usual)}): colors and classes may be wrong; exclude it, or use a "
        "band system with an infrared band (astroclust.instruments.BandSystem)"
    )


def _camera_remark(band):
    if not {"INSTRUME", "DETECTOR", "PHOTMODE"} & set(band.meta):
        return ""
    camera, other = camera_of(band), camera_of_photmode(band.meta)
    if other not in (None, camera):
        return (
            f"INSTRUME is {camera_label(camera)}, but PHOTMODE {camera_label(other)}; correct the "
            "header"
        )
    if _is_calibrated(band):
        return ""
    label, remedy = camera_label(camera), _zero_points(band)
    if not np.isfinite(ab_zero_point(band)):
        return (
            f"it is from {label}, for which no zero points are known, so photometry gives no "
            f"magnitudes; {remedy}"
        )
    return (
        f"it is from {label}: photometry uses PHOTFLAM, the color of Vega in WFC3/UVIS or ACS/WFC "
        f"and their aperture corrections; for others {remedy}"
    )


def _area_remark(band):
    header, wcs = pixel_areas(band)
    if not abs(wcs / header - 1) > SAME_AREA:
        return ""
    return (
        f"PIXAR_SR is {header:.3g} sr, but a pixel of its WCS is {wcs:.3g} sr, which is used; "
        "correct PIXAR_SR, which resampling does not update"
    )


def _exposure_remark(band, counts):
    given = band.meta.get("EXPTIME")
    if given is None or band.unit not in (None, _RATE, u.ct / u.s, u.adu / u.s):
        return ""
    what = "fluxes, errors and classes" if counts else "photometric errors"
    seconds, total = exposure_time(band), header_number(band.meta, "TEXPTIME")
    if not np.isfinite(seconds):
        return f"EXPTIME is {given}, so photometric errors lack photon noise; set EXPTIME"
    uses = f"{what} assume an exposure of {seconds:g} s; correct EXPTIME"
    if seconds == 1:
        return f"EXPTIME is 1 s: {uses}"
    if total > 0 and abs(total / seconds - 1) > _SAME_TIME:
        return f"EXPTIME is {seconds:g} s, but TEXPTIME {total:g} s: {uses}"
    if "INSTRUME" not in band.meta or np.asarray(band.data).dtype.kind != "f":
        return ""
    contradiction = noise_remark(sample_cells(band.data) * band.scale, seconds)
    if not contradiction:
        return ""
    unit = "electron / s" if band.unit is None else band.unit
    return (
        f"its noise is {contradiction} for {seconds:g} s (EXPTIME) in {unit}: fluxes, errors and "
        "classes may be wrong; correct EXPTIME or BUNIT"
    )


def _zero_point_remark(band):
    if not {"INSTRUME", "PHOTFLAM", "PHOTMODE"} & set(band.meta):
        return ""
    if np.isfinite(ab_zero_point(band)) or not _is_calibrated(band):
        return ""
    if band.unit is not None and band.unit.is_equivalent(u.Jy):
        return ""
    given = band.meta.get("PHOTFLAM")
    what = "PHOTFLAM or PHOTPLAM is missing" if given is None else f"PHOTFLAM is {given}"
    if given is not None and header_number(band.meta, "PHOTFLAM") > 0:
        what = "PHOTPLAM is missing"
    key = camera_of(band), filter_of(band)
    if np.isfinite(legus_zero_point(*key)):
        return f"{what}: photometry uses the zero point of LEGUS, {legus_zero_point(*key):g} mag"
    if np.isfinite(ab_of_vega(*key)):
        return (
            f"{what} and LEGUS has no zero point, so photometry gives no magnitudes; set PHOTFLAM "
            f"and PHOTPLAM, or {_zero_points(band)}"
        )
    return ""


def _is_calibrated(band):
    """Whether photometry can calibrate the camera, or the band is a flux density."""
    camera = camera_of(band)
    if camera in instruments() and find_instrument(camera).is_calibrated:
        return True
    in_flux = band.unit is not None and band.unit.is_equivalent(u.Jy)
    return in_flux and np.isfinite(ab_of_vega(camera, filter_of(band)))


def _zero_points(band):
    given = f"zero_points={{'{band.filter}': ...}}"
    return f"pass {given} to measure_photometry, and a preset with them to find_candidates"
