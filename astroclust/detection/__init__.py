# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The image to detect in, and the sources in an image."""

from astroclust.detection.sources import find_sources
from astroclust.detection.white_light import white_light

__all__ = ["find_sources", "white_light"]
