# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Camera, filter, exposure time and zero point of an image, from its header."""

import re

import numpy as np
from astropy import units as u

from astroclust.instruments.cameras import find_filter, instruments

__all__ = [
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
    "photflam",
]

# Images in these filters are assumed to be from ACS if the header does not name a camera.
_ACS_FILTERS = ("F435W", "F606W")
_FILTER_KEYWORDS = ("FILTER", "FILTER1", "FILTER2", "FILTERS", "FILTNAM1", "FILTNAM2", "PUPIL")
_EXPOSURE_KEYWORDS = ("EXPTIME", "TEXPTIME", "XPOSURE", "EFFEXPTM")
# Names of HST and JWST filters and grisms, such as F555W, FQ508N, F850LP, F28X50LP, G280, but not
# CLEAR2L.
_FILTER_NAME = re.compile(
    r"(?<![A-Z0-9])(?:F[QR]?\d{3,4}(?:W2|LP|QP|BW|[A-Z])|F\d\dX\d\dLP|G\d{3}[A-Z]?)(?![A-Z0-9])"
)


def header_number(header, key, default=np.nan):
    """Number in a header, in seconds if it is a time.

    Parameters
    ----------
    header : mapping
        The header.
    key : str
        The keyword.
    default : float, optional
        Value if the keyword is missing or not a number.

    Returns
    -------
    number : float
        The number.

    Examples
    --------
    >>> from astroclust.instruments import header_number
    >>> header_number({"EXPTIME": "1143"}, "EXPTIME")
    1143.0
    """
    try:
        value = header[key]
        return float(value.to_value(u.s) if isinstance(value, u.Quantity) else value)
    except (KeyError, TypeError, ValueError):
        return default


def _camera_in(words, filter_name=""):
    """Camera named by words, selected by filter if there are several; None if there is none."""
    words = re.sub(r"[^A-Z0-9]+", " ", words.upper())
    known = instruments().values()
    pattern = next((item.pattern for item in known if re.search(item.pattern, words)), None)
    same = [item for item in known if item.pattern == pattern]
    having = [item for item in same if filter_name in item.filters]
    return next((item.name for item in [*having, *same]), None)


def camera_of(band):
    """Camera of an image, from its header or else its filter.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image; ``INSTRUME``, ``DETECTOR`` and ``PHOTMODE`` of its header are read.

    Returns
    -------
    camera : str
        Name of an instrument, such as ``"uvis"`` (WFC3/UVIS) or ``"acs"`` (ACS/WFC); or the name
        of an unknown instrument, as written in the header.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.images import Band
    >>> from astroclust.instruments import camera_of
    >>> camera_of(Band("F555W", "V", np.zeros((4, 4)), meta={"PHOTMODE": "ACS WFC1 F555W"}))
    'acs'
    """
    words = " ".join(str(band.meta.get(key, "")) for key in ("INSTRUME", "DETECTOR"))
    name = filter_of(band)
    camera = _camera_in(words, name)
    instrument = str(band.meta.get("INSTRUME", "")).strip()
    if instrument and camera is None:
        return instrument
    return camera or camera_of_photmode(band.meta, name) or camera_of_filter(name)


def camera_of_photmode(header, filter_name=""):
    """Camera named in ``PHOTMODE``.

    Parameters
    ----------
    header : mapping
        The header.
    filter_name : str, optional
        Filter, used to distinguish cameras with the same name.

    Returns
    -------
    camera : str or None
        Name of an instrument; None if there is none.

    Examples
    --------
    >>> from astroclust.instruments import camera_of_photmode
    >>> camera_of_photmode({"PHOTMODE": "WFC3 IR F160W"})
    'ir'
    """
    return _camera_in(str(header.get("PHOTMODE", "")), filter_name)


def camera_of_filter(filter_name):
    """Default camera for a filter: that of LEGUS and PHANGS-HST, or the first that has it.

    Parameters
    ----------
    filter_name : str
        Name of the filter.

    Returns
    -------
    camera : str
        Name of an instrument.

    Examples
    --------
    >>> from astroclust.instruments import camera_of_filter
    >>> camera_of_filter("F435W"), camera_of_filter("F555W"), camera_of_filter("F115W")
    ('acs', 'uvis', 'nircam-sw')
    """
    if filter_name in _ACS_FILTERS:
        return "acs"
    known = instruments()
    cameras = ("uvis", "acs", *known)
    return next((name for name in cameras if filter_name in known[name].filters), "uvis")


def camera_label(camera):
    """Label of a camera in messages.

    Parameters
    ----------
    camera : str
        Name of an instrument.

    Returns
    -------
    label : str
        Label, such as ``"ACS/HRC"``; the name itself if it is unknown.

    Examples
    --------
    >>> from astroclust.instruments import camera_label
    >>> camera_label("hrc")
    'ACS/HRC'
    """
    known = instruments()
    return known[camera].label if camera in known else camera


def filters_of_header(header):
    """Filters named in a header, without clear positions.

    Parameters
    ----------
    header : mapping
        ``FILTER``, ``FILTER1``, ``FILTER2`` (ACS), ``FILTNAM1``, ``FILTNAM2`` (WFPC2), ``PUPIL``
        (NIRCam) and ``PHOTMODE`` are read.

    Returns
    -------
    filters : dict of str to list of str
        Names by keyword.

    Examples
    --------
    >>> from astroclust.instruments import filters_of_header
    >>> filters_of_header({"FILTER1": "CLEAR1L", "FILTER2": "F814W"})
    {'FILTER2': ['F814W']}
    """
    found = {}
    for key in (*_FILTER_KEYWORDS, "PHOTMODE"):
        names = _FILTER_NAME.findall(str(header.get(key, "")).upper())
        if names:
            found[key] = names
    return found


def is_filter_name(name):
    """Whether a name is a filter, such as ``"F555W"``, rather than a role.

    Parameters
    ----------
    name : str
        The name.

    Returns
    -------
    is_filter : bool
        True for HST and JWST filters and grisms.

    Examples
    --------
    >>> from astroclust.instruments import is_filter_name
    >>> is_filter_name("F850LP"), is_filter_name("V")
    (True, False)
    """
    return _FILTER_NAME.fullmatch(name) is not None


def filter_of(band):
    """Filter of an image: its name, or the filter in its header if it is named by role.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image.

    Returns
    -------
    name : str
        Name of the filter.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.images import Band
    >>> from astroclust.instruments import filter_of
    >>> filter_of(Band("V", "V", np.zeros((4, 4)), meta={"FILTER": "F606W"}))
    'F606W'
    """
    named = {name for names in filters_of_header(band.meta).values() for name in names}
    return named.pop() if band.filter == band.role and len(named) == 1 else band.filter


def exposure_time(band):
    """Exposure time, from the first keyword of HST (``EXPTIME``) or JWST (``XPOSURE``) found.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image.

    Returns
    -------
    seconds : float
        Exposure time; infinite if unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.images import Band
    >>> from astroclust.instruments import exposure_time
    >>> exposure_time(Band("F555W", "V", np.zeros((4, 4)), meta={"TEXPTIME": 900}))
    900.0
    """
    key = next((key for key in _EXPOSURE_KEYWORDS if key in band.meta), "EXPTIME")
    seconds = header_number(band.meta, key)
    return seconds if 0 < seconds < np.inf else np.inf


def ab_zero_point(band):
    """AB magnitude of 1 e-/s from ``PHOTFLAM``, ``PHOTPLAM`` and ``PHOTZPT``.

    See the WFC3 and ACS Data Handbooks.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image.

    Returns
    -------
    zero_point : float
        In mag; NaN without these keywords.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.images import Band
    >>> from astroclust.instruments import ab_zero_point
    >>> meta = {"PHOTFLAM": 1.8e-19, "PHOTPLAM": 5308.0}
    >>> round(float(ab_zero_point(Band("F555W", "V", np.zeros((4, 4)), meta=meta))), 2)
    25.83
    """
    flux, pivot = header_number(band.meta, "PHOTFLAM"), header_number(band.meta, "PHOTPLAM")
    if not (0 < flux < np.inf and 0 < pivot < np.inf):
        return np.nan
    st = -2.5 * np.log10(flux) + header_number(band.meta, "PHOTZPT", -21.1)
    return st - 5 * np.log10(pivot) + 18.6921


def photflam(camera, filter_name, pivot):
    """PHOTFLAM of simulated images, consistent with the Vega zero points of LEGUS filters.

    Parameters
    ----------
    camera, filter_name : str
        Names, such as ``"uvis"`` and ``"F555W"``.
    pivot : float
        Pivot wavelength, in Angstrom.

    Returns
    -------
    photflam : float
        In erg / s / cm2 / Angstrom for 1 e-/s.

    Examples
    --------
    >>> from astroclust.instruments import photflam
    >>> f"{photflam('uvis', 'F555W', 5308.0):.3e}"
    '1.870e-19'
    """
    zero_point = find_filter(camera, filter_name).rate_zero_point
    st = zero_point + 5 * np.log10(pivot) - 18.6921
    return float(10 ** (-0.4 * (st + 21.1)))
