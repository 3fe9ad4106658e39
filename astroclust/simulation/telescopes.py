# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Telescopes, and PSF parameters of their filters."""

from dataclasses import dataclass

import numpy as np

from astroclust.instruments import find_filter, instruments

__all__ = ["TELESCOPES", "PSFParameters", "psf_parameters"]

# A PSF is the blurred diffraction pattern of a telescope with struts, plus a Moffat halo. The
# parameters of each filter are in ``data/filters.ecsv``. For HST's main filters, they are fitted
# (`benchmarks/psf.py --fit`) to STScI's encircled energies of UVIS1 and to those of ACS by Bohlin
# (2016, AJ 152, 60), the latter, up to F606W, also to a concentration index of 1.30, at which
# LEGUS's correction curve of ACS starts. F225W has the blur and halo of F275W, because its UVIS1
# values are a model: they are linear from 0.12 to 0.04 arcsec, where they reach 0.60, compared with
# 0.17 for F275W and 0.55 for a fit without blur. Diameters are in meters, the rest in units of the
# diameter; for JWST, the diameter is that of the circle of nearly equal area.
TELESCOPES = {
    "HST": {"diam": 2.4, "obscuration": 0.36, "nstruts": 4, "strut_thick": 0.025},
    "JWST": {"diam": 6.5, "obscuration": 0.12, "nstruts": 3, "strut_thick": 0.02},
}


@dataclass(frozen=True)
class PSFParameters:
    """Parameters of a parametric PSF; angles in arcsec.

    Parameters
    ----------
    telescope : str
        One of ``TELESCOPES``.
    wavelength : float
        Wavelength of the diffraction pattern, in nm.
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
        See `~astroclust.instruments.find_filter`.

    Returns
    -------
    parameters : `PSFParameters`
        The fitted values; for a filter without a fit, the diffraction pattern at its pivot
        wavelength, with blur and halo interpolated in wavelength between the filters of its camera.

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
            f"no PSF of camera {camera!r} and filter {filter_name!r}; available are {there}. "
            "Others can be added with the psf_... parameters of astroclust.instruments.Filter"
        )
    if np.isfinite(own.psf_wavelength):
        return PSFParameters(known.telescope, *_numbers(own))
    table = np.array([_numbers(item) for item in fitted]).T
    wavelength = round(own.pivot / 10, 4)
    rest = [float(np.interp(wavelength, table[0], column)) for column in table[1:]]
    return PSFParameters(known.telescope, wavelength, *rest)


def _fitted(instrument):
    """Filters of a camera with PSF parameters, by increasing wavelength."""
    known = [item for item in instrument.filters.values() if np.isfinite(item.psf_wavelength)]
    return sorted(known, key=lambda item: item.psf_wavelength)


def _numbers(item):
    names = ("wavelength", "blur", "halo_radius", "halo_slope", "halo_fraction")
    return [getattr(item, f"psf_{name}") for name in names]
