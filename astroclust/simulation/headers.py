# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Units and header keywords of HST and JWST mosaics."""

import numpy as np
from astropy import units as u

from astroclust.instruments import find_instrument, photflam

__all__ = ["header_of", "rates_in", "units_of"]

# The filters of ACS are on two wheels; the other wheel is set to clear (ACS Handbook, ch. 5).
_SECOND_WHEEL = ("F330W", "F344N", "F435W", "F660N", "F814W", "F892N")


def units_of(observation):
    """Units of the images in each band, as in the telescope's pipeline.

    Parameters
    ----------
    observation : `~astroclust.simulation.observations.Observation`
        Cameras, filters and pixel scale.

    Returns
    -------
    units : list of (str, float)
        Unit, and its value for 1 e-/s: electrons per second for HST, MJy/sr for JWST.
    """
    pairs = zip(observation.cameras, observation.passbands, strict=True)
    return [_unit(camera, item, observation.pixel_scale) for camera, item in pairs]


def rates_in(unit, observation):
    """Conversion factor from 1 e-/s to the unit of a band system in each band.

    Parameters
    ----------
    unit : str
        A unit of flux density; any other is assumed to be that of the rates.
    observation : `~astroclust.simulation.observations.Observation`
        Filters of the bands.

    Returns
    -------
    factors : `~numpy.ndarray` of float32, shape (bands, 1, 1)
        Conversion factors; 1 for rates.
    """
    if not u.Unit(unit).is_equivalent(u.Jy):
        return np.ones((len(observation.filters), 1, 1), np.float32)
    zero_points = [item.rate_zero_point for item in observation.passbands] * u.ABmag
    return zero_points.to_value(unit).astype(np.float32)[:, None, None]


def _unit(camera, item, pixel_scale):
    if find_instrument(camera).telescope != "JWST":
        return "electron / s", 1.0
    density = (item.rate_zero_point * u.ABmag).to_value(u.MJy)
    return "MJy / sr", density / _pixel_area(pixel_scale)


def _pixel_area(pixel_scale):
    """Solid angle of a pixel in steradians."""
    return float((pixel_scale * u.arcsec).to_value(u.rad) ** 2)


def header_of(observation, field):
    """Header keywords of each band's image.

    Parameters
    ----------
    observation : `~astroclust.simulation.observations.Observation`
        Filters, cameras and exposure times.
    field : `~astroclust.catalogs.LegusField`
        LEGUS field that the simulation is modeled on.

    Returns
    -------
    headers : list of dict
        One header per band. ``PHOTFLAM`` and ``PHOTPLAM`` give the zero point of HST filters (the
        LEGUS Vega zero point for LEGUS filters); ``PHOTMJSR`` and ``PIXAR_SR`` that of JWST
        filters.
    """
    headers = []
    columns = observation.cameras, observation.passbands, observation.exposure_times.tolist()
    for camera, item, seconds in zip(*columns, strict=True):
        instrument = find_instrument(camera)
        make = _jwst_keywords if instrument.telescope == "JWST" else _hst_keywords
        header = {
            "TELESCOP": instrument.telescope,
            "INSTRUME": instrument.instrume,
            "DETECTOR": instrument.detector,
            "TARGNAME": field.galaxy,
            **make(instrument, item, round(seconds, 3), observation.pixel_scale),
            "ORIGIN": "simulated by astroclust",
            "FIELD": field.name,
        }
        headers.append({key: value for key, value in header.items() if value != ""})
    return headers


def _hst_keywords(instrument, item, seconds, pixel_scale):
    return {
        **_filter_keywords(instrument, item.name),
        "EXPTIME": seconds,
        "PHOTFLAM": photflam(instrument.name, item.name, item.pivot),
        "PHOTPLAM": item.pivot,
        "PHOTZPT": -21.1,
        # Scale of the drizzled image (DrizzlePac), which pipelines read.
        "D001SCAL": pixel_scale,
    }


def _filter_keywords(instrument, name):
    if instrument.instrume == "WFPC2":
        return {"FILTNAM1": name}
    if instrument.instrume != "ACS":
        return {"FILTER": name}
    if name in _SECOND_WHEEL:
        return {"FILTER1": "CLEAR1L", "FILTER2": name}
    return {"FILTER1": name, "FILTER2": "CLEAR2L"}


def _jwst_keywords(instrument, item, seconds, pixel_scale):
    factor = _unit(instrument.name, item, pixel_scale)[1]
    return {
        "CHANNEL": "LONG" if instrument.detector.endswith("LONG") else "SHORT",
        "MODULE": "A",
        "FILTER": item.name,
        "PUPIL": "CLEAR",
        "XPOSURE": seconds,
        "BUNIT": "MJy/sr",
        "PHOTMJSR": float(factor * instrument.gain),
        "PIXAR_SR": _pixel_area(pixel_scale),
        "PIXAR_A2": pixel_scale**2,
    }
