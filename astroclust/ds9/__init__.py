# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Candidates as regions, for DS9 and its kin; and regions as candidates, or as masks of images."""

from astroclust.extras import naming_extras

with naming_extras():
    from astroclust.ds9.reading import read_regions, regions_mask
    from astroclust.ds9.writing import to_regions, write_regions

__all__ = ["read_regions", "regions_mask", "to_regions", "write_regions"]
