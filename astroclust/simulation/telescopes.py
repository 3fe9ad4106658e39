# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Telescopes, and the parameters of the PSF of each of their filters."""

from dataclasses import dataclass

import numpy as np

from astroclust.instruments import find_filter, instruments

__all__ = ["TELESCOPES", "PSFParameters", "psf_parameters"]

# A PSF is the diffraction pattern of a telescope with struts, blurred, plus a Moffat halo. The
# numbers of each filter are in ``data/filters.ecsv``: for HST's main filters `benchmarks/psf.py
# --fit` to UVIS1's energies of STScI, and to those of ACS by Bohlin (2016, AJ 152, 60) with, up to
# F606W, a concentration index of 1.30, at which LEGUS's correction curve of ACS starts. UVIS1's row
# of F225W is a model, and a straight line from 0.12 to 0.04 arcsec: 0.60 there, where F275W has
# 0.17 and a fit without blur 0.55. So it has the blur and halo of F275W.
# Diameter in meters; the rest in units of it. That of JWST is the circle of equal area, nearly.
TELESCOPES = {
    "HST": {"diam": 2.4, "obscuration": 0.36, "nstruts": 4, "strut_thick": 0.025},
    "JWST": {"diam": 6.5, "obscuration": 0.12, "nstruts": 3, "strut_thick": 0.02},
}


@dataclass(frozen=True)
class PSFParameters:
    """Numbers that make a parametric PSF; angles in arcsec.

    Parameters
    ----------
    telescope : str
        One of ``TELESCOPES``.
    wavelength : float
        Of the diffraction pattern, in nm.
    blur : float
        Standard deviation of the Gaussian blur.
    halo_radius, halo_slope, halo_fraction : float
        Half-light radius, slope and flux fraction of the halo.

    Examples
    --------
    >>> from astroclust.simulation.telescopes import psf_parameters
    >>> psf_parameters("uvis", "F814W").telescope
    'HST'
    """

    telescope: str
    wavelength: float
    blur: float
    halo_radius: float
    halo_slope: float
    halo_fraction: float


def psf_parameters(camera, filter_name):
    """Parameters of the PSF of a camera and filter.

    Parameters
    ----------
    camera, filter_name : str
        As `~astroclust.instruments.find_filter` knows them.

    Returns
    -------
    parameters : `PSFParameters`
        Those of the filter; for one without a fit, the diffraction pattern of its pivot wavelength,
        with blur and halo interpolated in the wavelength between the filters of its camera.

    Raises
    ------
    ValueError
        If the camera has no such filter, or no filter with a PSF.

    Examples
    --------
    >>> from astroclust.simulation.telescopes import psf_parameters
    >>> psf_parameters("uvis", "F657N").wavelength
    656.69
    """
    own, known = find_filter(camera, filter_name), instruments().get(camera)
    fitted = [] if known is None else _fitted(known)
    if not fitted or known.telescope not in TELESCOPES or not np.isfinite(own.pivot):
        usable = {
            item.name: list(item.filters)
            for item in instruments().values()
            if item.telescope in TELESCOPES and _fitted(item)
        }
        there = f"filters {', '.join(usable[camera])}" if camera in usable else ", ".join(usable)
        raise ValueError(
            f"no PSF of camera {camera!r} and filter {filter_name!r}; there are PSFs of {there}. "
            "Others can be added with the psf_... parameters of astroclust.instruments.Filter"
        )
    if np.isfinite(own.psf_wavelength):
        return PSFParameters(known.telescope, *_numbers(own))
    table = np.array([_numbers(item) for item in fitted]).T
    wavelength = round(own.pivot / 10, 4)
    rest = [float(np.interp(wavelength, table[0], column)) for column in table[1:]]
    return PSFParameters(known.telescope, wavelength, *rest)


def _fitted(instrument):
    """Filters of a camera with PSF parameters, from short to long wavelengths."""
    known = [item for item in instrument.filters.values() if np.isfinite(item.psf_wavelength)]
    return sorted(known, key=lambda item: item.psf_wavelength)


def _numbers(item):
    names = ("wavelength", "blur", "halo_radius", "halo_slope", "halo_fraction")
    return [getattr(item, f"psf_{name}") for name in names]
