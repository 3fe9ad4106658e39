# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Compare encircled energies of the simulated PSF with published ones, filter by filter.

Published values for UVIS are STScI's table of UVIS1 and the empirical PSF of F814W, and for ACS
those of Bohlin (2016, AJ 152, 60). CI is the concentration index of a star, mag(1 px) - mag(3 px),
as measured by LEGUS with a sky annulus from 7 to 8 pixels.
"""

import argparse

import numpy as np
from astropy.table import Table
from real_data import data_path
from scipy.optimize import least_squares

from astroclust.instruments import LEGUS_BANDS, find_instrument
from astroclust.simulation import psf
from astroclust.simulation.telescopes import PSFParameters, psf_parameters

PIXEL_SCALE = LEGUS_BANDS.pixel_scale
FITTED = [
    (camera, item.name)
    for camera in ("uvis", "acs")
    for item in find_instrument(camera).filters.values()
    if np.isfinite(item.psf_wavelength)
]
UVIS_RADII = np.array([0.04, 0.08, 0.16, 0.40])  # arcsec
FIT_RADII = np.array([0.04, 0.08, 0.12, 0.16, 0.20, 0.28, 0.40, 0.51, 0.71, 0.99, 1.50, 1.98])
# Bohlin (2016), as at stsci.edu/hst/instrumentation/acs/data-analysis/aperture-corrections (values
# copied from version 1.3.0 of the package hstapcorr), measured on pixels of 0.05 arcsec.
ACS_RADII = np.array([0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.45, 0.50, 1.00, 2.00])
ACS = {
    "F435W": (0.330, 0.663, 0.792, 0.839, 0.863, 0.877, 0.887, 0.895, 0.902, 0.907, 0.941, 0.979),
    "F555W": (0.328, 0.668, 0.794, 0.841, 0.868, 0.885, 0.895, 0.903, 0.910, 0.915, 0.946, 0.977),
    "F606W": (0.328, 0.661, 0.795, 0.839, 0.866, 0.885, 0.896, 0.904, 0.910, 0.916, 0.947, 0.975),
    "F814W": (0.322, 0.611, 0.770, 0.830, 0.853, 0.871, 0.889, 0.901, 0.908, 0.914, 0.949, 0.972),
}
ACS_INDEX = 1.30
# Initial values and limits of the fits: blur; half-light radius, slope and fraction of the halo.
START = (0.035, 0.10, 1.4, 0.25)
LIMITS = ((0.01, 0.03, 1.1, 0.02), (0.06, 0.60, 2.5, 0.60))


def read_uvis():
    """Published encircled energies of UVIS1: radii, and a dictionary of fractions by filter."""
    path = data_path("wfc3uvis_encircled_energy", "wfc3uvis1_aper_007_syn.csv")
    table = Table.read(path)
    columns = [name for name in table.colnames if name.startswith("APER#")]
    radii = np.array([float(name.removeprefix("APER#")) for name in columns])
    return radii, {row["FILTER"]: np.array([row[name] for name in columns]) for row in table}


def concentration_index(energy):
    """CI of a star, from its encircled energy as a function of the radius (arcsec)."""
    one, three, inner, outer = energy(PIXEL_SCALE * np.array([1, 3, 7, 8]))
    sky = (outer - inner) / (8**2 - 7**2)
    return 2.5 * np.log10((three - 9 * sky) / (one - sky))


def show(name, radii, published, energy):
    """Print the encircled energies of a PSF, and return the largest difference."""
    differences = energy(radii) - published
    print(f"{name:14} CI {concentration_index(energy):.3f}")
    rows = {"radius": radii, "table": published, "ours": energy(radii), "difference": differences}
    for label, values in rows.items():
        print(f"  {label:11}" + " ".join(f"{value:6.3f}" for value in values))
    return np.abs(differences).max()


def fit(camera, filter_name, radii, published):
    """Print the best-fit parameters."""
    known = psf_parameters(camera, filter_name)

    def residual(values):
        parameters = PSFParameters(known.telescope, known.wavelength, *values)
        star = psf._star(parameters, angle=0, **psf.STAR)
        differences = psf._light_within(star, radii) - published
        if camera == "uvis" or filter_name == "F814W":
            return differences
        # Bohlin's pixels are 0.05 arcsec wide, and his stars are almost equal up to F606W. With the
        # pixels of LEGUS, its correction curve for ACS starts at this index.
        index = concentration_index(lambda r: psf._light_within(star, r))
        return np.append(differences, index - ACS_INDEX)

    best = least_squares(residual, START, bounds=LIMITS, x_scale=START, diff_step=0.01)
    values = " ".join(f"{value:.4f}" for value in best.x)
    worst = np.abs(best.fun).max()
    print(f"{camera} {filter_name} ... {known.wavelength} {values}  # {worst:.3f}", flush=True)


def main():
    """Compare or fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", action="store_true", help="fit the parameters again")
    arguments = parser.parse_args()
    radii, uvis = read_uvis()
    published = {"uvis": (radii, uvis), "acs": (ACS_RADII, ACS)}
    worst = {}
    for camera, name in FITTED:
        wanted = {"uvis": FIT_RADII if arguments.fit else UVIS_RADII, "acs": ACS_RADII}[camera]
        known, fractions = published[camera]
        expected = np.interp(wanted, known, fractions[name])
        if not arguments.fit:
            worst[camera, name] = show(
                f"{camera} {name}",
                wanted,
                expected,
                lambda r, pair=(camera, name): psf.encircled_energy(*pair, r),
            )
        elif (camera, name) != ("uvis", "F225W"):  # has the parameters of F275W
            fit(camera, name, wanted, expected)
    if not arguments.fit:
        path = data_path("psf_wfc3uvis_f814w_stdpsf", "emp_psf_f814w.fits")
        grid = psf.empirical_psf(path, camera="uvis", filter_name="F814W")
        expected = np.interp(UVIS_RADII, radii, uvis["F814W"])
        worst["empirical"] = show("empirical", UVIS_RADII, expected, grid.encircled_energy)
    # In F225W, the table is a model at small radii (see astroclust/simulation/telescopes.py).
    worst.pop(("uvis", "F225W"), None)
    if worst:
        print(f"largest difference, excluding F225W: {max(worst.values()):.3f}")


if __name__ == "__main__":
    main()
