# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Source detection: detection images, sources and segments."""

from astroclust.detection.segments import write_segments
from astroclust.detection.sources import find_sources
from astroclust.detection.white_light import white_light

__all__ = ["find_sources", "white_light", "write_segments"]
