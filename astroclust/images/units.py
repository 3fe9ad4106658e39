# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Units of images: parsing, and conversion of all bands to a common unit."""

import re
import warnings
from dataclasses import replace

import numpy as np
from astropy import units as u

from astroclust.instruments import (
    ab_of_vega,
    ab_zero_point,
    camera_of,
    exposure_time,
    filter_of,
    find_filter,
    header_number,
    legus_zero_point,
)

__all__ = ["parse_unit", "pixel_areas", "to_one_unit"]

# Tolerated relative difference of the pixel areas of header and WCS, due to distortions.
SAME_AREA = 0.05

_RATE = u.electron / u.s
_QUANTA = (u.electron, u.ct, u.adu, u.photon)
# Rates that are kept if all bands have the same.
_USUAL = (_RATE, u.ct / u.s, u.adu / u.s)
_SPECTRAL = u.erg / u.s / u.cm**2 / u.AA

# Spellings of electrons, counts and "per second" in pipelines.
_NAMES = (
    (r"e-?|e\^-|els?|elecs?|(?:photo)?electrons?", u.electron),
    (r"c(?:ou)?n?ts?|c(?=/)", u.ct),
    (r"dn|adu|du|data ?units?|data ?numbers?", u.adu),
    (r"ph|photons?", u.photon),
)
_PER_SECOND = r"(?:/| per |[ .*]?(?=s\w*[ ^*(]*-1))(?:s|secs?|seconds?)(?:[ ^*(]*-1\)?)?"
_SHORT = {"cps": u.ct / u.s, "countrate": u.ct / u.s, "eps": _RATE, "flam": _SPECTRAL}
_FLUX_DENSITIES = {
    "jy": u.Jy,
    "jansky": u.Jy,
    "mjy": u.mJy,
    "ujy": u.uJy,
    "microjy": u.uJy,
    "njy": u.nJy,
    "nanojy": u.nJy,
    "nmgy": 3.631e-6 * u.Jy,
    "nanomaggy": 3.631e-6 * u.Jy,
    "nanomaggies": 3.631e-6 * u.Jy,
}
_NO_UNIT = ("", "none", "unitless", "dimensionless", "unknown", "n/a", "na", "null")
_REMEDY = (
    "convert its pixels to 'electron/s', 'electron', 'count/s', 'Jy' or 'MJy/sr' and set BUNIT"
)


def parse_unit(text):
    """Parse the unit of an image.

    Parameters
    ----------
    text : str
        Value of ``BUNIT``, in any common spelling: ``ELECTRONS/S``, ``e-/s``, ``CNTS/SEC``,
        ``cps``, ``DN``, ``electrons per second``, ``erg/cm2/s/Angstrom``, ``MJy/sr`` ...

    Returns
    -------
    unit : `~astropy.units.Unit` or None
        None if the text does not contain a unit; an `~astropy.units.UnrecognizedUnit` if it
        cannot be parsed.
    """
    text = re.sub(r"[\s_]+", " ", text.strip().strip("[]'\".")).strip()
    text = re.sub(r" ?/ ?", "/", text)
    # "Per pixel" is implied.
    text = re.sub(r"/pix(el)?s?\b|[ .*]pix(el)?s?(\^|\*\*)?-1", "", text, flags=re.I)
    text = re.sub(r"/\(s pix(el)?s?\)$", "/s", text, flags=re.I)
    plain = re.sub(r"^\((.+)\)(?=/)", r"\1", text.lower())
    if plain in _NO_UNIT:
        return None
    if plain in _SHORT:
        return _SHORT[plain]
    for name, quantum in _NAMES:
        if re.fullmatch(name, plain):
            return quantum
        if re.fullmatch(rf"(?:{name}) ?{_PER_SECOND}", plain):
            return quantum / u.s
    return _flux_density(text, plain)


def _flux_density(text, plain):
    per_angstrom = re.search(r"(?:/|\s)(?:a|ang\w*|aa)(?:\W|$)", plain)
    if re.match(r"ergs?\b", plain) and per_angstrom and not re.search(r"arcsec|sr\b", plain):
        return _SPECTRAL
    area = re.fullmatch(r"(\w+) ?(?:/| per )? ?(?:sr|ster)(?:\^?-1)?", text, re.I)
    base = area[1] if area else text
    # JWST's unit is MJy/sr in any case; without "/sr" the case distinguishes mJy from MJy.
    mega = base in ("MJy", "MJY") or (area and base.lower() == "mjy" and base != "mJy")
    unit = u.MJy if mega else _FLUX_DENSITIES.get(base.lower())
    if unit is not None:
        return unit / u.sr if area else u.Unit(unit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", u.UnitsWarning)  # multiple slashes
        unit = u.Unit(re.sub(r"^ergs/", "erg/", text, flags=re.I), parse_strict="silent")
    if isinstance(unit, u.UnrecognizedUnit):
        return u.Unit(text, parse_strict="silent")
    return None if unit == u.dimensionless_unscaled else unit


def to_one_unit(bands, unit="electron / s"):
    """Convert all bands of a field to a common unit.

    Counts and electrons are divided by the exposure time; flux densities and surface brightnesses
    are converted to electrons per second with the zero points of their headers, or else those of
    LEGUS. Rendered pictures are unchanged. If all bands are flux densities without zero points,
    they are converted to the unit of the first.

    Parameters
    ----------
    bands : list of `Band`
        Bands, each in its own unit.
    unit : str, optional
        Unit of the band system: ``"electron / s"``, or a unit of flux density, to which all bands
        with zero points are converted.

    Returns
    -------
    bands : list of `Band`
        Bands with ``scale`` and ``unit`` set, and remarks on missing information.

    Raises
    ------
    ValueError
        If the units differ and one cannot be converted; the message lists all bands, their units
        and the remedy.
    """
    if all(band.is_rendered for band in bands):
        return bands
    if u.Unit(unit).is_equivalent(u.Jy):
        return [_as_flux_density(band, u.Unit(unit)) for band in bands]
    rates = [_in_rate(band) for band in bands]
    if not any(isinstance(rate, str) for rate in rates):
        return _as_rates(bands, rates)
    janskys = [_in_jansky(band) for band in bands]
    if all(np.isfinite(jansky) for jansky in janskys):
        return _as_flux_densities(bands, janskys)
    # Counts are not comparable if only some bands have an exposure time.
    some = any(not isinstance(rate, str) for rate in rates)
    if some or len({_kind(band) for band in bands}) > 1:
        raise ValueError(_different(bands, rates))
    reasons = [rate if isinstance(rate, str) else "" for rate in rates]
    return [
        _with_remark(band, reason, several=len(bands) > 1)
        for band, reason in zip(bands, reasons, strict=True)
    ]


def _in_rate(band):
    """Factor from ``data`` to electrons per second, or the reason why there is none."""
    unit = band.unit
    if unit is None:
        return 1.0
    for quantum in _QUANTA:
        if unit.is_equivalent(quantum / u.s):
            return unit.to(quantum / u.s)
        if unit.is_equivalent(quantum):
            seconds = exposure_time(band)
            return unit.to(quantum) / seconds if np.isfinite(seconds) else _no_exposure(band)
    jansky = _in_jansky(band)
    if not np.isfinite(jansky):
        return _not_understood(band)
    zero = ab_zero_point(band)
    if not np.isfinite(zero):
        key = camera_of(band), filter_of(band)
        zero = legus_zero_point(*key) + ab_of_vega(*key)
    if not np.isfinite(zero):
        return "PHOTFLAM and PHOTPLAM are missing"
    return jansky * 10 ** (0.4 * (zero - u.Jy.to(u.ABmag)))


def _no_exposure(band):
    given = band.meta.get("EXPTIME")
    return "EXPTIME is missing" if given is None else f"EXPTIME is {given!r}"


def _not_understood(band):
    if band.is_rendered:
        return "pixels of a picture are not flux"
    if isinstance(band.unit, u.UnrecognizedUnit):
        return f"BUNIT '{band.unit}' is not understood"
    if band.unit.is_equivalent(u.Jy / u.sr):
        return "the pixel area is unknown without a WCS or PIXAR_SR"
    return f"'{band.unit}' is not a unit of counts or flux density"


def _in_jansky(band):
    """Factor from ``data`` to flux density in Jy; NaN if it is not a flux density."""
    unit = band.unit
    if unit is None or isinstance(unit, u.UnrecognizedUnit):
        return np.nan
    if unit.is_equivalent(u.Jy):
        return unit.to(u.Jy)
    if unit.is_equivalent(u.Jy / u.sr):
        return unit.to(u.Jy / u.sr) * _pixel_area(band)
    area = 1.0
    if unit.is_equivalent(_SPECTRAL / u.sr):
        unit, area = unit * u.sr, _pixel_area(band)
    if not unit.is_equivalent(_SPECTRAL):
        return np.nan
    pivot = header_number(band.meta, "PHOTPLAM")
    if not pivot > 0:
        pivot = find_filter(camera_of(band), filter_of(band)).pivot
    return area * unit.to(u.Jy, equivalencies=u.spectral_density(pivot * u.AA))


def pixel_areas(band):
    """Solid angle of a pixel according to the header and to the WCS.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image.

    Returns
    -------
    header, wcs : float
        ``PIXAR_SR`` and the area of the central pixel, in steradian; NaN if unknown.
    """
    header = header_number(band.meta, "PIXAR_SR")
    header = header if header > 0 else np.nan
    try:
        return header, abs(band.wcs.celestial.proj_plane_pixel_area().to_value(u.sr))
    except AttributeError:  # no WCS, or a generalized one
        return header, np.nan


def _pixel_area(band):
    """Solid angle of a pixel in steradian; that of the WCS if the header disagrees."""
    header, wcs = pixel_areas(band)
    return wcs if abs(wcs / header - 1) > SAME_AREA or not np.isfinite(header) else header


def _as_rates(bands, rates):
    units = {band.unit for band in bands}
    if len(units) == 1 and units <= {None, *_USUAL} and all(rate == 1 for rate in rates):
        return bands
    unknown = [band.filter for band in bands if band.unit is None]
    changed = []
    for band, rate in zip(bands, rates, strict=True):
        if band.filter in unknown:
            band = _with_remark(band, "no unit is given; electron / s is assumed")
        changed.append(replace(band, scale=band.scale * rate, unit=_RATE))
    return changed


def _as_flux_densities(bands, janskys):
    first = bands[0].unit if bands[0].unit.is_equivalent(u.Jy) else u.Jy
    reason = "in a unit of flux density without zero points, which the classifier's colors need"
    changed = []
    for band, jansky in zip(bands, janskys, strict=True):
        band = _with_remark(band, reason if len(bands) > 1 else "")
        changed.append(replace(band, scale=band.scale * jansky * u.Jy.to(first), unit=first))
    return changed


def _as_flux_density(band, unit):
    """Convert a band to a unit of flux density."""
    jansky = _in_jansky(band)
    if not np.isfinite(jansky):
        rate, zero = _in_rate(band), ab_zero_point(band)
        if not isinstance(rate, str) and np.isfinite(zero):
            jansky = rate * (zero * u.ABmag).to_value(u.Jy)
    if np.isfinite(jansky):
        return replace(band, scale=band.scale * jansky * u.Jy.to(unit), unit=unit)
    start = (
        f"{band.label} in {_kind(band)} cannot be converted to {unit}, the unit of its band system"
    )
    if band.unit is not None and band.unit.is_equivalent(u.Jy / u.sr):
        raise ValueError(
            f"{start}: {_not_understood(band)}; set PIXAR_SR to the solid angle of a pixel in "
            "steradian"
        )
    raise ValueError(
        f"{start}; set BUNIT to a unit of flux density such as 'MJy/sr', or set PHOTFLAM and "
        "PHOTPLAM"
    )


def _kind(band):
    return "electron / s" if band.unit is None else str(band.unit)


def _different(bands, rates):
    listed = ", ".join(
        f"{band.label} in {_kind(band)}" + (f" ({rate})" if isinstance(rate, str) else "")
        for band, rate in zip(bands, rates, strict=True)
    )
    reasons = " ".join(rate for rate in rates if isinstance(rate, str))
    if "EXPTIME" in reasons:
        remedy = (
            "set EXPTIME in the header or meta to the exposure time in seconds, for example with "
            "astropy.io.fits.setval, or divide the pixels by it and set BUNIT to 'electron/s'"
        )
    elif "PHOTFLAM" in reasons:
        remedy = "set PHOTFLAM and PHOTPLAM in the header, or convert all bands to electron/s"
    elif any(band.is_rendered for band in bands):
        remedy = "use separate ImageSets for pictures and FITS images"
    else:
        remedy = f"{_REMEDY}, or convert all bands to one unit"
    return f"the bands are in different units: {listed}; {remedy}"


def _with_remark(band, reason, *, several=False):
    """Add a remark with the reason for the unit, its effect on photometry and the remedy."""
    if not reason:
        return band
    if reason.startswith("EXPTIME"):
        equal = ", and colors assume equal exposure times" if several else ""
        reason = (
            f"{reason} in an image in {band.unit}, so photometry gives no magnitudes{equal}; set "
            "EXPTIME in the header or meta, for example with astropy.io.fits.setval"
        )
    elif "not understood" in reason or "not a unit" in reason:
        reason = f"{reason}, so photometry gives no magnitudes, and colors may be wrong; {_REMEDY}"
    return replace(band, remarks=(*band.remarks, reason))
