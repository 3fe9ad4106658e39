# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Compute the rows of ``astroclust/data/filters.ecsv`` from throughput curves.

Pivot wavelength, rectangular width, AB magnitude of Vega (that of sedpy), AB magnitude of 1 e-/s
and extinction at the pivot wavelength (R_V = 3.1; Fitzpatrick 1999, beyond 3.3 microns Gordon et
al. 2023). Curves are from ``astro-sedpy``, otherwise from ``pyphot``, whose curves of some WFC3
filters exclude the rest of the system; in that case, the throughput of neighboring filters is used,
accurate to about 0.04 mag. Needs astro-sedpy, pyphot, h5py and dust_extinction::

    python benchmarks/filters.py uvis:F657N acs:F658N
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
from astropy import units as u
from dust_extinction.parameter_averages import F99, G23
from sedpy.observate import Filter
from sedpy.reference_spectra import vega

_SEDPY = {"uvis": "wfc3_uvis", "ir": "wfc3_ir", "acs": "acs_wfc", "nircam": "jwst"}
_PYPHOT = {
    **{"uvis": "HST_WFC3", "ir": "HST_WFC3", "acs": "HST_ACS_WFC", "hrc": "HST_ACS_HRC"},
    **{"wfpc2": "HST_WFPC2", "nircam": "JWST_NIRCAM"},
}
# Collecting area in cm2, by family of cameras (synphot; JWST User Documentation).
_AREAS = {"nircam": 254009.0}
_HST_AREA = 45238.93
# Throughput of telescope and camera at wavelengths in Angstrom, from the peaks of filters with
# complete curves. Curves that peak above ``_ALONE`` do not include the telescope and camera.
_REST = {
    "uvis": (
        (2704, 3355, 3922, 4325, 5308, 5887, 8024),
        (0.121, 0.195, 0.250, 0.274, 0.282, 0.289, 0.230),
    ),
    "ir": ((9863, 15370), (0.468, 0.552)),
}
_ALONE = 0.6


def read_curve(camera, name):
    """Wavelength (Angstrom), throughput and their source package."""
    family = camera.partition("-")[0]
    try:
        curve = Filter(f"{_SEDPY[family]}_{name.lower()}")
    except (KeyError, ValueError, OSError):
        # Read the file directly, because importing pyphot would import pandas.
        folder = Path(find_spec("pyphot").origin).parent
        with h5py.File(folder / "libs" / "new_filters.hd5") as library:
            table = library["filters"][f"{_PYPHOT[family]}_{name}"][:]
        wavelength = table["WAVELENGTH"].astype(float)
        wavelength *= 1e4 if wavelength.max() < 100 else 1  # some are in microns
        return wavelength, table["THROUGHPUT"].astype(float), "pyphot 2.1.1"
    return np.array(curve.wavelength), np.array(curve.transmission), "astro-sedpy 0.4"


def measure_filter(camera, name):
    """Pivot and width (Angstrom), AB magnitude of Vega and of 1 e-/s, A/E(B-V), source."""
    wavelength, throughput, source = read_curve(camera, name)
    throughput = np.maximum(throughput, 0)
    throughput[throughput < 1e-3 * throughput.max()] = 0
    pivot = np.sqrt(
        np.trapezoid(throughput * wavelength, wavelength)
        / np.trapezoid(throughput / wavelength, wavelength)
    )
    width = np.trapezoid(throughput, wavelength) / throughput.max()
    wave, flux = np.array(vega).T[:2]
    grid = np.unique(np.concatenate([wave, wavelength]))
    grid = grid[(grid >= wavelength[0]) & (grid <= wavelength[-1])]
    curve = np.interp(grid, wavelength, throughput)
    mean = np.trapezoid(np.interp(grid, wave, flux) * curve * grid, grid) / np.trapezoid(
        curve / grid, grid
    )
    ab = -2.5 * np.log10(mean / (3631e-23 * 2.99792458e18))
    area = _AREAS.get(camera.partition("-")[0], _HST_AREA)
    rate = area * 3631e-23 / 6.62607e-27 * np.trapezoid(throughput / wavelength, wavelength)
    if camera in _REST and throughput.max() > _ALONE:
        rate *= np.interp(pivot, *_REST[camera])
    zero_point = 2.5 * np.log10(rate)
    law = (F99 if pivot < 33e3 else G23)(Rv=3.1)
    extinction = 3.1 * float(law(pivot * u.AA))
    return pivot, width, ab, zero_point, extinction, source


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("filters", nargs="+", metavar="CAMERA:FILTER")
    for key in parser.parse_args().filters:
        pivot, width, ab, zero, extinction, source = measure_filter(*key.split(":"))
        print(f"{key} {pivot:.1f} {width:.1f} {ab:.3f} {zero:.2f} {extinction:.3f} {source}")
