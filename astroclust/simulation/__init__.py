# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Simulated fields and stamps with known truth, drawn with GalSim."""

from astroclust.extras import naming_extras

with naming_extras():
    from astroclust.simulation.drawing import unit_profile
    from astroclust.simulation.fields import Field, simulate_field
    from astroclust.simulation.labels import label_noise
    from astroclust.simulation.optics import star_image
    from astroclust.simulation.populations import calibrated_fields
    from astroclust.simulation.products import FieldFiles, check_field_output, write_field
    from astroclust.simulation.stamps import simulate_stamps, stream_stamps

__all__ = [
    "Field",
    "FieldFiles",
    "calibrated_fields",
    "check_field_output",
    "label_noise",
    "simulate_field",
    "simulate_stamps",
    "star_image",
    "stream_stamps",
    "unit_profile",
    "write_field",
]
