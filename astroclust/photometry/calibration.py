# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Zero points, exposure times and units: from image values to Vega magnitudes."""

from collections.abc import Mapping

import numpy as np
from astropy import units as u

from astroclust.images import Band
from astroclust.instruments import (
    ab_of_vega,
    ab_zero_point,
    camera_of,
    exposure_time,
    filter_of,
    legus_zero_point,
)

__all__ = ["check_bands", "counts_to_rate", "electrons_of_unit", "value_of_band", "zero_point"]

_RATES = (u.electron / u.s, u.count / u.s, u.adu / u.s)
_COUNTS = (u.electron, u.count, u.adu)


def counts_to_rate(band):
    """Conversion factor from pixel values to electrons per second.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image.

    Returns
    -------
    factor : float
        1 for rates and for images without a unit; 1 / exposure time for electrons or counts; NaN
        for other units, or if the exposure time is needed but unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.images import read_image
    >>> from astroclust.photometry import counts_to_rate
    >>> counts_to_rate(read_image(np.ones((8, 8))))
    1.0
    """
    if band.unit is None or band.unit in _RATES:
        return 1.0
    if band.unit in _COUNTS:
        return 1 / exposure_time(band) or np.nan
    return np.nan


def zero_point(band: Band, given=None):
    """Vega magnitude of one image unit per pixel.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image.
    given : float or str, optional
        Zero point for 1 e-/s; or ``"legus"`` for that of LEGUS, falling back on the header
        (PHOTFLAM, PHOTPLAM, PHOTZPT). By default, the header takes precedence over LEGUS.

    Returns
    -------
    zero_point : float
        NaN if none is known for this unit, camera and filter.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.photometry import zero_point
    >>> field = simulate_field(shape=(64, 64), seed=1)
    >>> round(float(zero_point(field.images["V"], given=25.8)), 2)
    25.8
    """
    key = camera_of(band), filter_of(band)
    try:
        jansky = band.unit.to(u.Jy) if band.unit is not None else np.nan
    except ValueError:  # other or unknown unit
        jansky = np.nan
    if np.isfinite(jansky):
        return float((jansky * u.Jy).to_value(u.ABmag)) - ab_of_vega(*key)
    return _rate_zero_point(band, key, given) - 2.5 * np.log10(counts_to_rate(band))


def _rate_zero_point(band, key, given):
    """Vega magnitude of 1 e-/s."""
    legus, header = legus_zero_point(*key), ab_zero_point(band) - ab_of_vega(*key)
    if given is None:
        return header if np.isfinite(header) else legus
    if isinstance(given, str):
        if given != "legus":
            raise ValueError(f"zero_points must be 'legus', a mapping or None, not {given!r}")
        return legus if np.isfinite(legus) else header
    return float(u.Quantity(given, u.mag).value)


def electrons_of_unit(band):
    """Electrons per image unit; infinite if unknown.

    Uses the exposure time for images in electrons or counts per second, 1 for electrons and counts,
    and the zero point as well for flux densities.
    """
    if band.unit in _COUNTS:
        return 1.0
    if band.unit is None or band.unit in _RATES:
        return exposure_time(band)
    key = camera_of(band), filter_of(band)
    rate = 10 ** (0.4 * (_rate_zero_point(band, key, None) - zero_point(band)))
    return rate * exposure_time(band) if np.isfinite(rate) else np.inf


def value_of_band(values, band, default):
    """Look up the value of a band in a mapping by filter or role.

    Parameters
    ----------
    values : mapping, object or None
        Mapping by filter or role; any other value applies to all bands.
    band : `~astroclust.images.Band`
        The band.
    default : object
        Value if ``values`` is None or has no entry for this band.

    Returns
    -------
    value : object
        Value of the filter or, if there is none, of the role.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.photometry import value_of_band
    >>> band = simulate_field(shape=(64, 64), seed=1).images["V"]
    >>> value_of_band({"V": 0.2, "I": 0.1}, band, 0.0)
    0.2
    """
    if values is None:
        return default
    if not isinstance(values, Mapping):
        return values
    known = {str(name).strip().upper(): value for name, value in values.items()}
    return known.get(band.filter, known.get(band.role, default))


def check_bands(values, images, name):
    """Raise a `ValueError` if a mapping has a filter that none of the images has."""
    if not isinstance(values, Mapping):
        return
    for key in values:
        if str(key).strip().upper() not in (*images.system.roles, *images.filters):
            raise ValueError(
                f"{name} has {key!r}, but the images are {', '.join(images.filters)}; use one of "
                f"these filters or a role ({', '.join(images.system.roles)}); a preset can be "
                "changed with dataclasses.replace"
            )
