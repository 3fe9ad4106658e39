# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Cameras and filters: zero points, pivot wavelengths, and what headers call them."""

import re

import numpy as np
from astropy import units as u

__all__ = [
    "AB_OF_VEGA",
    "BANDS",
    "FILTER_ROLES",
    "PIVOTS",
    "ab_of_vega",
    "ab_zero_point",
    "camera_label",
    "camera_of",
    "camera_of_filter",
    "camera_of_photmode",
    "exposure_time",
    "filter_of",
    "filters_of_header",
    "header_number",
    "is_filter_name",
    "legus_zero_point",
    "photflam",
]

#: The roles that bands play, from short to long wavelengths (Wei et al. 2020, sec. 3.2).
BANDS = ("NUV", "U", "B", "V", "I")

#: The role of each filter of LEGUS and PHANGS-HST.
FILTER_ROLES = {
    "F225W": "NUV",
    "F275W": "NUV",
    "F336W": "U",
    "F435W": "B",
    "F438W": "B",
    "F547M": "V",
    "F555W": "V",
    "F606W": "V",
    "F814W": "I",
}

# Vega zero points for 1 e-/s, as the pipeline of LEGUS had them.
_LEGUS_ZERO_POINTS = {
    ("uvis", "F275W"): 22.6322,
    ("uvis", "F336W"): 23.4836,
    ("uvis", "F438W"): 24.9738,
    ("uvis", "F555W"): 25.8160,
    ("uvis", "F814W"): 24.6803,
    ("acs", "F435W"): 25.784,
    ("acs", "F555W"): 25.731,
    ("acs", "F606W"): 26.407,
    ("acs", "F814W"): 25.530,
}

#: AB magnitude of Vega: WFC3/UVIS from STScI's notebook of zero points (UVIS1, alpha_lyr_stis_010),
#: ACS/WFC from acstools.acszpt. Those of LEGUS's day differ by at most 0.022 mag.
AB_OF_VEGA = {
    ("uvis", "F225W"): 1.637,
    ("uvis", "F275W"): 1.481,
    ("uvis", "F336W"): 1.165,
    ("uvis", "F438W"): -0.164,
    ("uvis", "F547M"): -0.003,
    ("uvis", "F555W"): -0.028,
    ("uvis", "F606W"): 0.084,
    ("uvis", "F814W"): 0.428,
    ("acs", "F435W"): -0.115,
    ("acs", "F555W"): -0.010,
    ("acs", "F606W"): 0.087,
    ("acs", "F814W"): 0.431,
}

#: Pivot wavelengths in Angstrom (Calzetti et al. 2015; instrument handbooks; of UVIS's F225W, F547M
#: and F606W those of the curves of `~astroclust.sed.synthetic_magnitudes`).
PIVOTS = {
    ("uvis", "F225W"): 2373.0,
    ("uvis", "F275W"): 2704.0,
    ("uvis", "F336W"): 3355.0,
    ("uvis", "F438W"): 4325.0,
    ("uvis", "F547M"): 5448.0,
    ("uvis", "F555W"): 5308.0,
    ("uvis", "F606W"): 5887.0,
    ("uvis", "F814W"): 8024.0,
    ("acs", "F435W"): 4328.0,
    ("acs", "F555W"): 5360.0,
    ("acs", "F606W"): 5921.0,
    ("acs", "F814W"): 8057.0,
}

# Of these, an image whose header names no camera is taken to be from ACS.
_ACS_FILTERS = ("F435W", "F606W")
# Cameras by the words of INSTRUME and DETECTOR, or of PHOTMODE; the first match counts.
_CAMERAS = (
    ("wfpc2", r"\bWFPC2?\b"),
    ("ir", r"\bWFC3\b.*\bIR\b"),
    ("uvis", r"\bWFC3\b|\bUVIS[12]?\b"),
    ("hrc", r"\bHRC\b"),
    ("sbc", r"\bSBC\b"),
    ("acs", r"\bACS\b|\bWFC[12]?\b"),
    ("nircam", r"\bNIRCAM\b"),
)
_LABELS = {
    "wfpc2": "WFPC2",
    "ir": "WFC3/IR",
    "uvis": "WFC3/UVIS",
    "hrc": "ACS/HRC",
    "sbc": "ACS/SBC",
    "acs": "ACS/WFC",
    "nircam": "NIRCam",
}
_FILTER_KEYWORDS = ("FILTER", "FILTER1", "FILTER2", "FILTERS", "FILTNAM1", "FILTNAM2", "PUPIL")
# The names of filters and grisms of HST and JWST, such as F555W, FQ508N, F850LP, F28X50LP, G280;
# CLEAR2L is not among them.
_FILTER_NAME = re.compile(
    r"(?<![A-Z0-9])(?:F[QR]?\d{3,4}(?:W2|LP|QP|BW|[A-Z])|F\d\dX\d\dLP|G\d{3}[A-Z]?)(?![A-Z0-9])"
)


def header_number(header, key, default=np.nan):
    """Number that a header has under a keyword, in seconds if it is a time; else ``default``."""
    try:
        value = header[key]
        return float(value.to_value(u.s) if isinstance(value, u.Quantity) else value)
    except (KeyError, TypeError, ValueError):
        return default


def _camera_in(words):
    words = re.sub(r"[^A-Z0-9]+", " ", words.upper())
    return next((camera for camera, pattern in _CAMERAS if re.search(pattern, words)), None)


def camera_of(band):
    """Camera of an image, such as ``"acs"`` or ``"uvis"``: from its header, else its filter.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image; ``INSTRUME``, ``DETECTOR`` and ``PHOTMODE`` of its header are read.

    Returns
    -------
    camera : str
        ``"uvis"`` (WFC3/UVIS), ``"acs"`` (ACS/WFC), ``"hrc"``, ``"sbc"``, ``"ir"`` (WFC3/IR),
        ``"wfpc2"``, ``"nircam"``, or the name of another instrument as the header has it.
    """
    words = " ".join(str(band.meta.get(key, "")) for key in ("INSTRUME", "DETECTOR"))
    instrument = str(band.meta.get("INSTRUME", "")).strip()
    if instrument and _camera_in(words) is None:
        return instrument
    return _camera_in(words) or camera_of_photmode(band.meta) or camera_of_filter(filter_of(band))


def camera_of_photmode(header):
    """Camera that ``PHOTMODE`` names; None if it names none."""
    return _camera_in(str(header.get("PHOTMODE", "")))


def camera_of_filter(filter_name):
    """Camera that LEGUS and PHANGS-HST mostly used with a filter."""
    return "acs" if filter_name in _ACS_FILTERS else "uvis"


def camera_label(camera):
    """Name of a camera in messages, such as ``"ACS/HRC"``."""
    return _LABELS.get(camera, camera)


def filters_of_header(header):
    """Filters that a header names: dict of keyword to filters, without clear positions.

    Parameters
    ----------
    header : mapping
        ``FILTER``, ``FILTER1``, ``FILTER2`` (ACS), ``FILTNAM1``, ``FILTNAM2`` (WFPC2), ``PUPIL``
        (NIRCam) and ``PHOTMODE`` are read.
    """
    found = {}
    for key in (*_FILTER_KEYWORDS, "PHOTMODE"):
        names = _FILTER_NAME.findall(str(header.get(key, "")).upper())
        if names:
            found[key] = names
    return found


def is_filter_name(name):
    """Whether a name is that of a filter, such as ``"F555W"``, rather than a role."""
    return _FILTER_NAME.fullmatch(name) is not None


def filter_of(band):
    """Filter of an image: its name, or that of its header if it is named by its role."""
    named = {name for names in filters_of_header(band.meta).values() for name in names}
    return named.pop() if band.filter in BANDS and len(named) == 1 else band.filter


def exposure_time(band):
    """Exposure time in seconds (``EXPTIME``, else ``TEXPTIME``); infinite if it is unknown."""
    key = "EXPTIME" if "EXPTIME" in band.meta else "TEXPTIME"
    seconds = header_number(band.meta, key)
    return seconds if 0 < seconds < np.inf else np.inf


def legus_zero_point(camera, filter_name):
    """Vega magnitude of 1 e-/s in the pipeline of LEGUS; NaN if it had none."""
    return _LEGUS_ZERO_POINTS.get((camera, filter_name), np.nan)


def ab_of_vega(camera, filter_name):
    """AB magnitude of Vega; of another camera that has the filter, if this one is not known."""
    cameras = (camera, "acs" if camera == "hrc" else "uvis", "uvis", "acs")
    known = (AB_OF_VEGA.get((name, filter_name)) for name in cameras)
    return next((value for value in known if value is not None), np.nan)


def ab_zero_point(band):
    """AB magnitude of 1 e-/s from ``PHOTFLAM``, ``PHOTPLAM`` and ``PHOTZPT``; NaN without them.

    See the WFC3 and ACS Data Handbooks.
    """
    flux, pivot = header_number(band.meta, "PHOTFLAM"), header_number(band.meta, "PHOTPLAM")
    if not (0 < flux < np.inf and 0 < pivot < np.inf):
        return np.nan
    st = -2.5 * np.log10(flux) + header_number(band.meta, "PHOTZPT", -21.1)
    return st - 5 * np.log10(pivot) + 18.6921


def photflam(camera, filter_name, pivot):
    """PHOTFLAM (erg / s / cm2 / Angstrom for 1 e-/s) that gives the Vega zero point of LEGUS."""
    ab = legus_zero_point(camera, filter_name) + AB_OF_VEGA[camera, filter_name]
    st = ab + 5 * np.log10(pivot) - 18.6921
    return float(10 ** (-0.4 * (st + 21.1)))
