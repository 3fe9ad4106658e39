# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""From the unit of an image to Vega magnitudes: zero points, exposure times, units."""

from collections.abc import Mapping

import numpy as np
from astropy import units as u

from astroclust.images import BANDS, Band

__all__ = [
    "AB_OF_VEGA",
    "PIVOTS",
    "camera_of",
    "camera_of_filter",
    "check_bands",
    "counts_to_rate",
    "electrons_of_unit",
    "exposure_time",
    "legus_zero_point",
    "photflam",
    "value_of_band",
    "zero_point",
]

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

# Of these, an image without a word of its camera is taken to be from ACS.
_ACS_FILTERS = ("F435W", "F606W")
_RATES = (u.electron / u.s, u.count / u.s, u.adu / u.s)
_COUNTS = (u.electron, u.count, u.adu)


def camera_of(band):
    """The camera of an image, ``"acs"`` or ``"uvis"``: by its header, else by its filter."""
    words = " ".join(str(band.meta.get(key, "")) for key in ("INSTRUME", "DETECTOR")).upper()
    if "ACS" in words or ("WFC" in words.split() and "WFC3" not in words):
        return "acs"
    if "WFC3" in words or "UVIS" in words:
        return "uvis"
    return camera_of_filter(band.filter)


def camera_of_filter(filter_name):
    """The camera that LEGUS and PHANGS-HST mostly took a filter with."""
    return "acs" if filter_name in _ACS_FILTERS else "uvis"


def legus_zero_point(camera, filter_name):
    """Vega magnitude of 1 e-/s as the pipeline of LEGUS had it; NaN where it had none."""
    return _LEGUS_ZERO_POINTS.get((camera, filter_name), np.nan)


def photflam(camera, filter_name, pivot):
    """PHOTFLAM (erg / s / cm2 / Angstrom for 1 e-/s) that says the Vega zero point of LEGUS."""
    ab = legus_zero_point(camera, filter_name) + AB_OF_VEGA[camera, filter_name]
    st = ab + 5 * np.log10(pivot) - 18.6921
    return float(10 ** (-0.4 * (st + 21.1)))


def exposure_time(band):
    """Seconds of exposure from the header (EXPTIME); infinite where they are not known."""
    seconds = _number(band, "EXPTIME")
    return seconds if seconds > 0 else np.inf


def counts_to_rate(band):
    """What makes electrons a second of the pixels of an image.

    1 for rates and for images without a unit; 1 over the exposure time for electrons or counts;
    NaN where the unit is another or the exposure time is needed and not known.
    """
    if band.unit is None or band.unit in _RATES:
        return 1.0
    if band.unit in _COUNTS:
        return 1 / exposure_time(band) or np.nan
    return np.nan


def zero_point(band: Band, given=None):
    """Vega magnitude of one unit of the image a pixel.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image.
    given : float or str, optional
        A zero point for 1 e-/s; or ``"legus"`` for that of LEGUS, and where it has none that of
        the header (PHOTFLAM, PHOTPLAM, PHOTZPT). By default the other way round.

    Returns
    -------
    zero_point : float
        NaN where there is none for this unit, camera and filter.
    """
    key = camera_of(band), band.filter
    try:
        jansky = band.unit.to(u.Jy) if band.unit is not None else np.nan
    except ValueError:  # another unit, or one that is not known
        jansky = np.nan
    if np.isfinite(jansky):
        return float((jansky * u.Jy).to_value(u.ABmag)) - AB_OF_VEGA.get(key, np.nan)
    return _rate_zero_point(band, key, given) - 2.5 * np.log10(counts_to_rate(band))


def _rate_zero_point(band, key, given):
    """Vega magnitude of 1 e-/s."""
    legus, header = legus_zero_point(*key), _header_zero_point(band, key)
    if given is None:
        return header if np.isfinite(header) else legus
    if isinstance(given, str):
        if given != "legus":
            raise ValueError(f"zero_points must be 'legus', a mapping or None, not {given!r}")
        return legus if np.isfinite(legus) else header
    return float(u.Quantity(given, u.mag).value)


def electrons_of_unit(band):
    """Electrons that one unit of an image stands for; infinite where that is not known.

    By the exposure time of images in electrons or counts a second; 1 for electrons and counts;
    by the zero points, too, for units of flux density.
    """
    if band.unit in _COUNTS:
        return 1.0
    if band.unit is None or band.unit in _RATES:
        return exposure_time(band)
    key = camera_of(band), band.filter
    rate = 10 ** (0.4 * (_rate_zero_point(band, key, None) - zero_point(band)))
    return rate * exposure_time(band) if np.isfinite(rate) else np.inf


def _header_zero_point(band, key):
    """STMAG zero point, then AB, then Vega (WFC3 and ACS Data Handbooks)."""
    flux, pivot = _number(band, "PHOTFLAM"), _number(band, "PHOTPLAM")
    constant = _number(band, "PHOTZPT", -21.1)
    if not (flux > 0 and pivot > 0):
        return np.nan
    st = -2.5 * np.log10(flux) + constant
    return st - 5 * np.log10(pivot) + 18.6921 - AB_OF_VEGA.get(key, np.nan)


def _number(band, key, default=np.nan):
    try:
        return float(band.meta[key])
    except (KeyError, TypeError, ValueError):
        return default


def value_of_band(values, band, default):
    """What a mapping has for a band by its filter or role; another value is for all bands."""
    if values is None:
        return default
    if not isinstance(values, Mapping):
        return values
    known = {str(name).strip().upper(): value for name, value in values.items()}
    return known.get(band.filter, known.get(band.role, default))


def check_bands(values, images, name):
    """Raise a `ValueError` where a mapping has a filter that is not one of the images."""
    if not isinstance(values, Mapping):
        return
    for key in values:
        if str(key).strip().upper() not in (*BANDS, *images.filters):
            raise ValueError(
                f"{name} has {key!r}, and the images are {', '.join(images.filters)}: name one of "
                f"them, or a band ({', '.join(BANDS)})"
            )
