# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Conversion of candidates to DS9 regions, and of regions to candidates or image masks."""

from astroclust.extras import naming_extras

with naming_extras():
    from astroclust.ds9.reading import read_regions, regions_mask
    from astroclust.ds9.writing import to_regions, write_regions

__all__ = ["read_regions", "regions_mask", "to_regions", "write_regions"]
