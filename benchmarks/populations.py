# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure the ingredients of simulated fields from the released LEGUS catalogs.

Writes the tables in ``astroclust/data`` that `astroclust.simulation.populations` reads: the
distributions of magnitudes, colors, concentration and crowding of each class in each field; the
spatial distribution of candidates; and the luminosity of simple stellar populations as a function
of age, in the models fitted by LEGUS. The catalogs in ``$ASTROCLUST_DATA`` are required.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import Distance
from astropy.table import Table
from real_data import data_path
from scipy.spatial import KDTree
from scipy.stats import norm, rankdata
from sklearn.mixture import GaussianMixture

import astroclust
from astroclust import find_field
from astroclust.catalogs import float_column, read_legus
from astroclust.simulation.candidates import CORRECTION_STEPS
from astroclust.simulation.catalog_rows import implied_noise
from astroclust.simulation.observations import observe_like
from astroclust.simulation.populations import EXTINCTION, QUANTITIES
from astroclust.simulation.positions import draw_positions

PACKAGE = Path(astroclust.__file__).parent / "data"
FIELDS = (
    "ngc628-c",
    "ngc628-e",
    "ngc1313-e",
    "ngc1433",
    "ngc1566",
    "ngc3351",
    "ngc3738",
    "ngc5474",
    "ngc7793-e",
)
# Mean aperture corrections in V (PHANGS-HST, Deger et al. 2022), and an intermediate one for other
# fields. With these, the noise of the candidates on the quietest sky is that of the detector.
CORRECTIONS = {
    "ngc628-c": -0.75,
    "ngc628-e": -0.72,
    "ngc1433": -0.62,
    "ngc1566": -0.62,
    "ngc3351": -0.68,
}
DEFAULT_CORRECTION = -0.65
N_QUANTILES = 17
# Quantile of the noise at the candidates that represents the empty sky.
QUIET = 0.08
# Approximate values from the instrument handbooks: sky in e-/s and read noise in e- of a native
# pixel; electrons per pixel from the post-flash of WFC3/UVIS in each exposure of a band with a dark
# sky; and noise of a drizzled pixel relative to a native one, because of its area and the
# correlation of drizzled pixels.
SKY_LEVELS = {
    "uvis": {"F555W": 0.035, "F606W": 0.040, "F814W": 0.038},
    "acs": {"F435W": 0.030, "F555W": 0.050, "F606W": 0.090, "F814W": 0.090},
}
DARK_SKY, FLASH, EXPOSURES = 0.001, 12.0, 3
READ_NOISE = {"uvis": 3.1, "acs": 4.2}
DRIZZLED = {"uvis": 0.80, "acs": 0.63}


def read_field(name):
    """Read magnitudes, errors, classes and other columns of the inspected rows of a field."""
    path = next(data_path("legus_catalogs").glob(f"*_{name}_multiband_*.tab"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = read_legus(path)
    hybrid = float_column(
        table, "class_hybrid" if "class_hybrid" in table.colnames else "class_human"
    )
    table = table[hybrid > 0]
    filters = [f.lower() for f in find_field(name).filters]
    return {
        "class": float_column(table, "class_human"),
        "mag": np.array([float_column(table, f"mag_{f}") for f in filters]).T,
        "error": np.array([float_column(table, f"mag_err_{f}") for f in filters]).T,
        "ci": float_column(table, "ci"),
        "position": np.array([float_column(table, "x"), float_column(table, "y")]).T,
        **{key: float_column(table, key) for key in ("age", "mass", "e_bv", "chi2")},
    }


def correction_of(name):
    """Mean aperture corrections of a field, NUV to I, with the offsets from V of PHANGS-HST."""
    return CORRECTIONS.get(name, DEFAULT_CORRECTION) + CORRECTION_STEPS


def noise_of(rows, observation, correction):
    """Scatter of the pixels in the annulus (e-/s) that the errors imply, shape (n, bands)."""
    magnitudes = rows["mag"] + observation.extinction - correction
    flux = 10 ** (0.4 * (observation.zero_points - magnitudes))
    return implied_noise(rows["error"], flux, observation.exposure_times)


def detector_noise(observation):
    """Scatter of empty sky in e-/s per drizzled pixel, from sky, post-flash and read noise."""
    noise = []
    for name, camera, seconds in zip(
        observation.filters, observation.cameras, observation.exposure_times, strict=True
    ):
        dark = name not in SKY_LEVELS[camera]
        sky = SKY_LEVELS[camera].get(name, DARK_SKY)
        electrons = sky * seconds + EXPOSURES * (READ_NOISE[camera] ** 2 + FLASH * dark)
        noise.append(DRIZZLED[camera] * np.sqrt(electrons) / seconds)
    return np.array(noise)


def measure_sky(noise, observation):
    """Scatter of quiet sky, its parts from detector and stars, and added scatter relative to V."""
    noise = noise[np.isfinite(noise).all(axis=1) & (noise > 0).all(axis=1)]
    quiet, middle, loud = np.quantile(noise, (QUIET, 0.5, 0.84), axis=0)
    detector = np.minimum(detector_noise(observation), quiet)
    texture = np.sqrt(middle**2 - quiet**2) + np.sqrt(loud**2 - quiet**2)
    columns = detector, np.sqrt(quiet**2 - detector**2), texture / texture[3]
    return quiet, [np.round(column, 5).tolist() for column in columns]


def measure_class(rows, noise, quiet, label):
    """Measure the quantiles of a class and fit a Gaussian mixture, as a row of the table."""
    ok = (rows["class"] == label) & np.isfinite(rows["mag"]).all(axis=1)
    ok &= (rows["ci"] < 3) & np.isfinite(noise[:, 3])
    floor = 0.8 * quiet[3]
    values = np.column_stack(
        [
            rows["mag"][ok, 3],
            -np.diff(rows["mag"][ok], axis=1),
            rows["ci"][ok],
            np.log10(np.maximum(noise[ok, 3], floor)),
        ]
    )
    ranks = np.apply_along_axis(rankdata, 0, values, "ordinal")
    scores = norm.ppf((ranks - 0.5) / len(values))
    k = int(np.clip(len(values) // 50, 1, 4))
    mixture = GaussianMixture(k, reg_covar=0.05, random_state=0, n_init=3).fit(scores)
    return {
        "class": label,
        "fraction": np.mean(rows["class"][rows["class"] > 0] == label),
        "quantiles": np.quantile(values, np.linspace(0, 1, N_QUANTILES), axis=0).ravel(),
        "weights": mixture.weights_,
        "means": mixture.means_.ravel(),
        "covariances": mixture.covariances_.ravel(),
    }


def measure_positions(rows):
    """Fit density and grouping to the distances to the nearest three neighbors."""
    positions = rows["position"]
    wanted = distance_quantiles(positions)
    area = np.prod(np.ptp(positions, axis=0))
    best = None
    for filled in (0.12, 0.18, 0.25, 0.4, 0.6, 0.8):
        for fraction in (0.2, 0.35, 0.5, 0.65, 0.8):
            for size in (2.5, 5.0, 10.0):
                for radius in (6.0, 12.0, 25.0, 50.0, 100.0):
                    arguments = (len(positions) / area / filled, fraction, size, radius)
                    rng = np.random.default_rng(1)
                    side = int(np.sqrt(600 / arguments[0]))
                    drawn = draw_positions(rng, (side, side), *arguments)
                    misfit = np.sum((distance_quantiles(np.array(drawn).T) - wanted) ** 2)
                    if best is None or misfit < best[0]:
                        best = misfit, arguments
    print(f"  positions: misfit {best[0]:.3f}, {best[1]}")
    return best[1]


def distance_quantiles(positions):
    """Quantiles of the logarithm of the distances to the nearest three neighbors."""
    distances = KDTree(positions).query(positions, 4)[0][:, 1:]
    return np.log10(np.quantile(np.maximum(distances, 1), np.linspace(0.05, 0.95, 10), axis=0))


def simple_populations(all_rows):
    """Median magnitudes of one solar mass by age, from the fits to clusters of classes 1 to 3."""
    samples = []
    for name, rows in all_rows.items():
        ok = (rows["class"] > 0) & (rows["class"] < 4) & (rows["chi2"] < 5) & (rows["age"] > 0)
        ok &= np.isfinite(rows["mag"]).all(axis=1) & (rows["error"] < 0.3).all(axis=1)
        modulus = Distance(find_field(name).distance, u.Mpc).distmod.value
        light = rows["mag"] - modulus - rows["e_bv"][:, None] * EXTINCTION
        light = light + 2.5 * np.log10(rows["mass"])[:, None]
        samples.append(np.column_stack([np.log10(rows["age"]).round(2), light])[ok])
    samples = np.concatenate(samples)
    ages, counts = np.unique(samples[:, 0], return_counts=True)
    ages = ages[counts >= 8]
    medians = [np.median(samples[samples[:, 0] == age, 1:], axis=0).round(3) for age in ages]
    names = ["log_age", *(f"mag_{band}" for band in ("nuv", "u", "b", "v", "i"))]
    return Table(np.column_stack([ages, medians]), names=names)


def main():
    """Measure and write the three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    all_rows = {name: read_field(name) for name in FIELDS}
    classes, fields = [], []
    for name, rows in all_rows.items():
        observation, correction = (
            observe_like(name, np.random.default_rng(0), np.zeros(5)),
            correction_of(name),
        )
        print(f"{name}: {len(rows['ci'])} inspected candidates")
        noise = noise_of(rows, observation, correction)
        quiet, sky = measure_sky(noise, observation)
        for label in (1, 2, 3, 4):
            part = measure_class(rows, noise, quiet, label)
            classes.append(
                {"field": name}
                | {
                    key: np.round(value, 3).tolist() if isinstance(value, np.ndarray) else value
                    for key, value in part.items()
                }
            )
        fields.append((name, correction[3], *measure_positions(rows), *sky))
    names = ("field", "aperture_correction", "density", "group_fraction", "group_size")
    table = Table(rows=fields, names=(*names, "group_radius", "noise", "faint_stars", "texture"))
    source = "released LEGUS catalogs, by benchmarks/populations.py"
    table["density"].format = ".3e"
    _write(table, "simulated_fields", source)
    ragged = Table({key: [row[key] for row in classes] for key in ("field", "class")})
    ragged["fraction"] = np.round([row["fraction"] for row in classes], 4)
    for key in ("quantiles", "weights", "means", "covariances"):
        column = np.empty(len(classes), object)
        column[:] = [row[key] for row in classes]
        ragged[key] = column
    ragged.meta["quantities"] = list(QUANTITIES)
    _write(ragged, "simulated_classes", source)
    _write(simple_populations(all_rows), "simple_populations", source)


def _write(table, name, source):
    table.meta["source"] = source
    table.write(PACKAGE / f"{name}.ecsv", format="ascii.ecsv", overwrite=True)
    print(f"wrote {name}.ecsv, {(PACKAGE / name).with_suffix('.ecsv').stat().st_size} bytes")


if __name__ == "__main__":
    main()
