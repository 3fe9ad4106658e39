# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Spectra: of photometry, of cubes, and the photometry of spectra."""

try:
    import specutils  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'spectra need specutils 2: python -m pip install "astroclust[all]"', name="specutils"
    ) from error

from astroclust.sed.broadband import to_spectrum
from astroclust.sed.cubes import extract_spectra
from astroclust.sed.synthetic import synthetic_magnitudes

__all__ = ["extract_spectra", "synthetic_magnitudes", "to_spectrum"]
