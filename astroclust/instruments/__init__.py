# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Instruments, band systems and class schemes of surveys."""

from astroclust.instruments.band_systems import (
    LEGUS_BANDS,
    BandSystem,
    find_band_system,
    register_band_system,
)
from astroclust.instruments.cameras import (
    Filter,
    Instrument,
    ab_of_vega,
    find_filter,
    find_instrument,
    instruments,
    legus_zero_point,
    register_instrument,
)
from astroclust.instruments.class_schemes import (
    LEGUS_CLASSES,
    ClassScheme,
    classes_of,
    find_class_scheme,
    meta_of,
    register_class_scheme,
)
from astroclust.instruments.headers import (
    ab_zero_point,
    camera_label,
    camera_of,
    camera_of_filter,
    camera_of_photmode,
    exposure_time,
    filter_of,
    filters_of_header,
    header_number,
    is_filter_name,
    photflam,
)

__all__ = [
    "LEGUS_BANDS",
    "LEGUS_CLASSES",
    "BandSystem",
    "ClassScheme",
    "Filter",
    "Instrument",
    "ab_of_vega",
    "ab_zero_point",
    "camera_label",
    "camera_of",
    "camera_of_filter",
    "camera_of_photmode",
    "classes_of",
    "exposure_time",
    "filter_of",
    "filters_of_header",
    "find_band_system",
    "find_class_scheme",
    "find_filter",
    "find_instrument",
    "header_number",
    "instruments",
    "is_filter_name",
    "legus_zero_point",
    "meta_of",
    "photflam",
    "register_band_system",
    "register_class_scheme",
    "register_instrument",
]
