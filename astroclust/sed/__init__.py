# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Spectra: of photometry, of cubes, and the photometry of spectra."""

from astroclust.extras import naming_extras

with naming_extras():
    from astroclust.sed.broadband import to_spectrum
    from astroclust.sed.cubes import extract_spectra
    from astroclust.sed.synthetic import synthetic_magnitudes

__all__ = ["extract_spectra", "synthetic_magnitudes", "to_spectrum"]
