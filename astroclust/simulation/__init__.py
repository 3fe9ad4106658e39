# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Fields and stamps with known truth, drawn with GalSim."""

from astroclust.simulation.fields import Field, simulate_field
from astroclust.simulation.labels import label_noise
from astroclust.simulation.products import FieldFiles, write_field
from astroclust.simulation.stamps import simulate_stamps, stream_stamps

__all__ = [
    "Field",
    "FieldFiles",
    "label_noise",
    "simulate_field",
    "simulate_stamps",
    "stream_stamps",
    "write_field",
]
