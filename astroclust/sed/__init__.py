# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Spectral energy distributions, spectra from cubes, and synthetic photometry."""

from astroclust.extras import naming_extras

with naming_extras():
    from astroclust.sed.broadband import to_spectrum
    from astroclust.sed.cubes import extract_spectra
    from astroclust.sed.synthetic import synthetic_magnitudes

__all__ = ["extract_spectra", "synthetic_magnitudes", "to_spectrum"]
