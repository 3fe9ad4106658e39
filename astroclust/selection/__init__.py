# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Candidate selection: cuts, survey presets, and the one-call pipeline."""

from astroclust.selection.cuts import (
    LEGUS_CUTS,
    NGC1559_CUTS,
    PHANGS_CUTS,
    Cut,
    Cuts,
    cut_flow,
    select_candidates,
)
from astroclust.selection.pipeline import blocked_pixels, find_candidates, keep_candidates
from astroclust.selection.presets import PRESETS, Preset, field_settings, get_preset
from astroclust.selection.settings import describe_settings

__all__ = [
    "LEGUS_CUTS",
    "NGC1559_CUTS",
    "PHANGS_CUTS",
    "PRESETS",
    "Cut",
    "Cuts",
    "Preset",
    "blocked_pixels",
    "cut_flow",
    "describe_settings",
    "field_settings",
    "find_candidates",
    "get_preset",
    "keep_candidates",
    "select_candidates",
]
