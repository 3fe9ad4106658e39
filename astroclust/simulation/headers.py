# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The header keywords of LEGUS's mosaics."""

import numpy as np

from astroclust.images import PIXEL_SCALE
from astroclust.instruments import find_filter, photflam

__all__ = ["header_of"]

_CAMERAS = {"uvis": ("WFC3", "UVIS"), "acs": ("ACS", "WFC")}
# The filters of ACS are on two wheels; the other wheel is at its clear place (ACS Handbook, ch. 5).
_SECOND_WHEEL = ("F435W", "F814W")


def header_of(observation, field):
    """The keywords of each band's image.

    Parameters
    ----------
    observation : `~astroclust.simulation.observations.Observation`
        Filters, cameras and exposure times.
    field : `~astroclust.catalogs.LegusField`
        What the field is like.

    Returns
    -------
    headers : list of dict
        A header for each band; ``PHOTFLAM`` and ``PHOTPLAM`` give LEGUS's Vega zero point.
    """
    headers = []
    for name, camera, seconds in zip(
        observation.filters, observation.cameras, observation.exposure_times, strict=True
    ):
        instrument, detector = _CAMERAS[camera]
        pivot = find_filter(camera, name).pivot
        headers.append(
            {
                "TELESCOP": "HST",
                "INSTRUME": instrument,
                "DETECTOR": detector,
                **_filter_keywords(camera, name),
                "TARGNAME": field.galaxy,
                "EXPTIME": float(np.round(seconds, 3)),
                "PHOTFLAM": photflam(camera, name, pivot),
                "PHOTPLAM": pivot,
                "PHOTZPT": -21.1,
                # Of the drizzled image (DrizzlePac), which pipelines take the scale from.
                "D001SCAL": PIXEL_SCALE,
                "ORIGIN": "simulated by astroclust",
                "FIELD": field.name,
            }
        )
    return headers


def _filter_keywords(camera, name):
    if camera == "uvis":
        return {"FILTER": name}
    if name in _SECOND_WHEEL:
        return {"FILTER1": "CLEAR1L", "FILTER2": name}
    return {"FILTER1": name, "FILTER2": "CLEAR2L"}
