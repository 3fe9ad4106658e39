# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measured populations of LEGUS fields: magnitudes, colors, concentration and crowding."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from astroclust.catalogs import find_field
from astroclust.data_files import read_data
from astroclust.simulation.template import V, relative_magnitudes

__all__ = [
    "EXTINCTION",
    "QUANTITIES",
    "REDDER",
    "STAR_SLOPE",
    "FieldPopulation",
    "Population",
    "age_of_light",
    "calibrated_fields",
    "draw_stars",
    "field_population",
    "light_of_age",
]

# Extinction relative to E(B-V), from the LEGUS table (NGC 628), NUV to I.
EXTINCTION = np.array([6.1, 4.9, 4.0, 3.1, 1.7])
# Magnitude offset in each band of stars or components that are redder than others.
REDDER = np.array([1.6, 1.1, 0.6, 0.0, -0.7])
# Slope of the magnitude counts of field stars, that of red giants.
STAR_SLOPE = 0.36
# Quantities in the distribution of a population.
QUANTITIES = ("v", "nuv_u", "u_b", "b_v", "v_i", "ci", "log_noise")
# Colors of the bluest and reddest stars: NUV-U, U-B, B-V and V-I.
_STAR_COLORS = np.array([[-0.5, -1.3, -0.25, -0.25], [2.0, 1.6, 1.6, 2.2]])


@dataclass(frozen=True, eq=False)
class Population:
    """Inspected candidates of one class in one LEGUS field.

    Distributions are stored as quantiles, and correlations as a Gaussian mixture of the normal
    scores. Both are measured from the released catalog with ``benchmarks/populations.py``.

    Parameters
    ----------
    fraction : float
        Fraction of the inspected candidates that have this class.
    quantiles : `~numpy.ndarray` of float64, shape (quantiles, quantities)
        At equal steps from 0 to 1: V (Vega, as in the catalog), NUV-U, U-B, B-V, V-I (mag),
        concentration index (mag), and the decimal logarithm of the scatter of the pixels in V
        around the candidate (e-/s).
    weights, means, covariances : `~numpy.ndarray`
        Parameters of the mixture, shapes (k,), (k, quantities) and (k, quantities, quantities).
    """

    fraction: float
    quantiles: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    def draw(self, rng):
        """Draw a candidate: a dict of the quantities, with ``mag`` of shape (5,), NUV to I."""
        part = rng.choice(len(self.weights), p=self.weights)
        scores = rng.multivariate_normal(
            self.means[part], self.covariances[part], method="cholesky"
        )
        steps = np.linspace(0, 1, len(self.quantiles))
        values = [
            np.interp(u, steps, column)
            for u, column in zip(ndtr(scores), self.quantiles.T, strict=True)
        ]
        drawn = dict(zip(QUANTITIES, values, strict=True))
        drawn["mag"] = drawn["v"] + relative_magnitudes(*values[1:5])
        return drawn


@dataclass(frozen=True, eq=False)
class FieldPopulation:
    """Properties and clustering of the candidates in a LEGUS field.

    Parameters
    ----------
    field : str
        Name of the field.
    classes : dict of int to `Population`
        Populations by class.
    aperture_correction : float
        Mean aperture correction in V of the catalog (mag).
    density : float
        Inspected candidates per square pixel.
    group_fraction, group_size, group_radius : float
        Fraction of candidates in groups, mean number per group, and scale of a group in pixels.
    noise : `~numpy.ndarray` of float64, shape (5,)
        Detector scatter of empty sky pixels (e-/s), NUV to I.
    faint_stars : `~numpy.ndarray` of float64, shape (5,)
        Additional scatter from disk stars in the quietest parts of the field.
    texture : `~numpy.ndarray` of float64, shape (5,)
        Flux of the faint stars around candidates relative to that in V, e-/s, NUV to I.
    """

    field: str
    classes: dict
    aperture_correction: float
    density: float
    group_fraction: float
    group_size: float
    group_radius: float
    noise: np.ndarray
    faint_stars: np.ndarray
    texture: np.ndarray

    @property
    def faintest(self):
        """V of the faintest candidates (Vega): median over classes of the last quantile but one."""
        return float(np.median([part.quantiles[-2, 0] for part in self.classes.values()]))

    @property
    def quiet(self):
        """Scatter of the pixels in V in the quietest parts of the field (e-/s)."""
        return float(np.hypot(self.noise[V], self.faint_stars[V]))

    @property
    def usual_noise(self):
        """Typical scatter of the pixels in V around a candidate (e-/s): median over classes."""
        usual = [10 ** np.median(part.quantiles[:, -1]) for part in self.classes.values()]
        return float(np.median(usual))


def calibrated_fields():
    """LEGUS fields used to calibrate simulations.

    Returns
    -------
    names : list of str
        Fields whose catalogs were measured, in alphabetical order.

    Examples
    --------
    >>> from astroclust.simulation import calibrated_fields
    >>> "ngc628-c" in calibrated_fields()
    True
    """
    return sorted(str(name) for name in read_data("simulated_fields")["field"])


@lru_cache(maxsize=64)
def field_population(name):
    """Population of a LEGUS field, or of the most similar calibrated one.

    Parameters
    ----------
    name : str
        Name of a field; see `~astroclust.catalogs.legus_fields`.

    Returns
    -------
    population : `FieldPopulation`
        Population of the field itself if measured, otherwise of the calibrated field with the same
        camera in V and the closest distance (as a ratio).
    """
    fields, classes = read_data("simulated_fields"), read_data("simulated_classes")
    name = find_field(name).name
    if name not in fields["field"]:
        name = _most_alike(name)
    row = fields[fields["field"] == name][0]
    parts = {int(part["class"]): _population(part) for part in classes[classes["field"] == name]}
    numbers = [float(row[column]) for column in fields.colnames[1:6]]
    sky = [np.array(row[column]) for column in ("noise", "faint_stars", "texture")]
    return FieldPopulation(name, parts, *numbers, *sky)


def _most_alike(name):
    wanted = find_field(name)
    known = [find_field(field) for field in calibrated_fields()]
    same = [field for field in known if field.cameras[V] == wanted.cameras[V]] or known
    return min(same, key=lambda field: abs(np.log(field.distance / wanted.distance))).name


def _population(row):
    k, n = len(row["weights"]), len(QUANTITIES)
    return Population(
        fraction=float(row["fraction"]),
        quantiles=np.reshape(row["quantiles"], (-1, n)),
        weights=np.array(row["weights"], float) / np.sum(row["weights"]),
        means=np.reshape(row["means"], (k, n)),
        covariances=np.reshape(row["covariances"], (k, n, n)),
    )


def light_of_age(log_age):
    """Magnitudes of a dust-free simple stellar population of one solar mass.

    Parameters
    ----------
    log_age : array_like of float, shape (n,)
        Decimal logarithm of the age in years.

    Returns
    -------
    magnitudes : `~numpy.ndarray` of float64, shape (n, 5)
        Absolute (Vega), NUV to I: medians of LEGUS's fits of Padova models to clusters.
    """
    table = read_data("simple_populations")
    bands = [table[f"mag_{band}"] for band in ("nuv", "u", "b", "v", "i")]
    return np.array([np.interp(log_age, table["log_age"], band) for band in bands]).T


@lru_cache(maxsize=1)
def _simple_populations():
    """Age and reddening on a grid, with V and colors for one solar mass."""
    reddening, ages = np.arange(0, 1.51, 0.05), np.array(read_data("simple_populations")["log_age"])
    age, e_bv = np.meshgrid(ages, reddening, indexing="ij")
    light = light_of_age(age.ravel()) + e_bv.reshape(-1, 1) * EXTINCTION
    return age.ravel(), e_bv.ravel(), light[:, V], -np.diff(light, axis=1)


def age_of_light(magnitudes, distance_modulus):
    """Age, mass and reddening of the simple stellar population with the closest colors.

    Parameters
    ----------
    magnitudes : `~numpy.ndarray` of float64, shape (5,)
        Vega, NUV to I, without Galactic extinction.
    distance_modulus : float
        Distance modulus (mag).

    Returns
    -------
    log_age, log_mass, e_bv : float
        Decimal logarithms of the age in years and the mass in solar masses, and E(B-V) in mag.
    """
    age, e_bv, v, colors = _simple_populations()
    # LEGUS's errors in NUV and U are larger.
    misfit = (colors + np.diff(magnitudes)) / np.array([0.2, 0.15, 0.1, 0.1])
    best = np.argmin(np.sum(misfit**2, axis=1) + (e_bv / 0.5) ** 2)
    log_mass = -0.4 * (magnitudes[V] - distance_modulus - v[best])
    return float(age[best]), float(log_mass), float(e_bv[best])


def draw_stars(rng, magnitudes, zero_points, blue):
    """Fluxes of single stars.

    Parameters
    ----------
    rng : `~numpy.random.Generator`
        Random number generator for color and dust.
    magnitudes : array_like of float, shape (n,)
        V (Vega).
    zero_points : `~numpy.ndarray`, shape (5,)
        Vega magnitude of 1 e-/s, NUV to I.
    blue : float
        Fraction of upper main-sequence stars; the others are giants.

    Returns
    -------
    flux : `~numpy.ndarray` of float64, shape (5, n)
        Fluxes in e-/s.
    """
    n = len(magnitudes)
    is_blue = rng.random(n) < blue
    fraction = np.where(is_blue, rng.beta(0.6, 3.0, n), rng.beta(4.0, 2.0, n))
    bluest, reddest = _STAR_COLORS
    relative = relative_magnitudes(*(bluest[:, None] + (reddest - bluest)[:, None] * fraction))
    dust = np.minimum(rng.exponential(0.1, n), 1.0)
    relative = relative + (EXTINCTION - EXTINCTION[V])[:, None] * dust
    return 10 ** (0.4 * (zero_points[:, None] - magnitudes - relative))
