# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Candidate tables: input and output, positions and classes."""

from astroclust.catalogs.columns import float_column, float_values
from astroclust.catalogs.fields import LegusField, find_field, legus_fields
from astroclust.catalogs.flags import CatalogFlag
from astroclust.catalogs.legus import read_legus
from astroclust.catalogs.legus_writer import format_legus, write_legus
from astroclust.catalogs.phangs import PHANGS_CODES, human_class, read_phangs
from astroclust.catalogs.positions import pixel_positions, sky_positions
from astroclust.catalogs.samples import legus_catalogs, sample_counts, training_sample
from astroclust.catalogs.tables import check_table_output, read_table, write_table

__all__ = [
    "PHANGS_CODES",
    "CatalogFlag",
    "LegusField",
    "check_table_output",
    "find_field",
    "float_column",
    "float_values",
    "format_legus",
    "human_class",
    "legus_catalogs",
    "legus_fields",
    "pixel_positions",
    "read_legus",
    "read_phangs",
    "read_table",
    "sample_counts",
    "sky_positions",
    "training_sample",
    "write_legus",
    "write_table",
]
