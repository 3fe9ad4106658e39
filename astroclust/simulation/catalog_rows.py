# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Rows of real catalogs, to be painted as simulated sources."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from scipy.ndimage import gaussian_filter, zoom

from astroclust.catalogs import find_field, float_column, pixel_positions
from astroclust.instruments import LEGUS_CLASSES
from astroclust.photometry import ANNULUS
from astroclust.simulation.candidates import CORRECTION_STEPS
from astroclust.simulation.galaxy import COLORS
from astroclust.simulation.template import V, relative_magnitudes

__all__ = [
    "Rows",
    "error_of_correction",
    "gather_stars",
    "implied_noise",
    "in_aperture",
    "open_catalog",
    "place_on_sky",
    "read_rows",
]

# Margin beyond the last position, and smallest image, in pixels.
_MARGIN, _SMALLEST = 50, 64
# Young stars follow the clusters: smoothing width in pixels, their density elsewhere, and their
# unresolved light relative to that of the galaxy.
_YOUNG_WIDTH, _YOUNG_ELSEWHERE, _YOUNG_LIGHT, _CELL = 60.0, 0.2, 0.15, 16
# LEGUS: areas of the aperture and of the sky annulus, square pixels.
_APERTURE, _SKY = np.pi * 4.0**2, np.pi * (ANNULUS[1] ** 2 - ANNULUS[0] ** 2)
# Columns with classes, in order of precedence.
_LABELS = ("class_human", "class_hybrid", "class_ml")


@dataclass(frozen=True, eq=False)
class Rows:
    """Catalog values of n sources; NaN if missing.

    Parameters
    ----------
    id : `~numpy.ndarray` of int, shape (n,)
        Identifiers of the sources.
    x, y : `~numpy.ndarray` of float64, shape (n,)
        0-based pixels.
    label : `~numpy.ndarray` of int, shape (n,)
        Class; 0 if there is none.
    class_mean : `~numpy.ndarray` of float64, shape (n,)
        Mean of the classes given by people.
    magnitude : `~numpy.ndarray` of float64, shape (n, 5)
        Vega, total, without Galactic extinction, NUV to I.
    index : `~numpy.ndarray` of float64, shape (n,)
        Concentration index in V (mag).
    noise : `~numpy.ndarray` of float64, shape (n,)
        Scatter of the sky pixels around it in V (e-/s).
    kind : `~numpy.ndarray` of str, shape (n,)
        Kind of a row without flux to paint: "none", or detector residue.
    """

    id: np.ndarray
    x: np.ndarray
    y: np.ndarray
    label: np.ndarray
    class_mean: np.ndarray
    magnitude: np.ndarray
    index: np.ndarray
    noise: np.ndarray
    kind: np.ndarray

    def __getitem__(self, rows):
        return Rows(*(values[rows] for values in vars(self).values()))

    @property
    def paintable(self):
        """Whether each row has a position and a V magnitude, shape (n,)."""
        return np.isfinite(self.x) & np.isfinite(self.y) & np.isfinite(self.magnitude[:, V])


def open_catalog(catalog, like, shape, density):
    """Field and shape of a painted catalog.

    Parameters
    ----------
    catalog, like, shape, density
        See `~astroclust.simulation.simulate_field`.

    Returns
    -------
    like : str
        Name of the field.
    shape : tuple of int
        Given shape; by default up to 50 pixels beyond the last position.

    Raises
    ------
    KeyError
        If LEGUS has no such field.
    TypeError
        If the catalog is not a table.
    ValueError
        If the arguments are inconsistent, or the catalog is empty or has no positions.
    """
    if not isinstance(catalog, Table):
        raise TypeError(f"catalog must be an astropy Table, not {type(catalog).__name__}")
    if density is not None:
        raise ValueError("catalog= and density= cannot be combined; omit one of them")
    if not len(catalog):
        raise ValueError("catalog has no rows to paint")
    like = catalog.meta.get("FIELD") if like is None else like
    if like is None:
        raise ValueError(
            "the catalog has no FIELD in its metadata; set like= to the field, such as 'ngc1566'"
        )
    if shape is None:
        _need(catalog, "x", "y")
        x, y = (axis[np.isfinite(axis)] for axis in pixel_positions(catalog))
        last = (int(np.ceil(max(axis, default=0))) + 1 + _MARGIN for axis in (y, x))
        shape = tuple(max(size, _SMALLEST) for size in last)
    return find_field(like).name, shape


def read_rows(catalog, population, observation):
    """Rows of a catalog.

    Parameters
    ----------
    catalog : `~astropy.table.Table`, length n
        Catalog as returned by `~astroclust.catalogs.read_legus`: ``x``, ``y``, ``mag_f275w`` ...,
        ``ci`` and a class are required; ``id``, the error in V and ``class_mean`` are optional.
    population : `~astroclust.simulation.populations.FieldPopulation`
        Aperture correction, and default noise for catalogs without errors.
    observation : `~astroclust.simulation.observations.Observation`
        Filters, zero points and exposure times.

    Returns
    -------
    rows : `Rows`
        The rows; human classes take precedence over those of the hybrid column or the network.

    Raises
    ------
    ValueError
        If a column is missing.

    Warns
    -----
    `~astropy.utils.exceptions.AstropyUserWarning`
        If rows have no V magnitude or no position.
    """
    filters = [name.lower() for name in observation.filters]
    _need(catalog, "x", "y", *(f"mag_{name}" for name in filters), "ci")
    if not set(_LABELS) & set(catalog.colnames):
        raise ValueError(
            f"catalog has no classes; it needs one of the columns {', '.join(_LABELS)}"
        )
    catalog = Table(catalog)  # without quantities
    label = np.zeros(len(catalog), int)
    for name in _LABELS:
        given = np.nan_to_num(_column(catalog, name)).astype(int)
        label = np.where((label == 0) & LEGUS_CLASSES.knows(given), given, label)
    number = _column(catalog, "id")
    number = np.where(np.isfinite(number), number, np.arange(1, len(catalog) + 1)).astype(int)
    magnitude = np.array([_column(catalog, f"mag_{name}") for name in filters]).T
    noise = implied_noise(
        _column(catalog, f"mag_err_{filters[V]}"),
        in_aperture(magnitude, population, observation)[:, V],
        observation.exposure_times[V],
    )
    rows = Rows(
        number,
        *pixel_positions(catalog),
        label,
        _column(catalog, "class_mean"),
        magnitude,
        _column(catalog, "ci"),
        np.where(np.isfinite(noise), noise, population.usual_noise),
        np.full(len(catalog), "none"),
    )
    n = np.count_nonzero(~rows.paintable)
    if n:
        warnings.warn(
            f"{n} of {len(catalog)} rows have no {observation.filters[V]} magnitude or no "
            "position; they are not painted",
            AstropyUserWarning,
            stacklevel=3,
        )
    return rows


def _need(catalog, *names):
    missing = [name for name in names if name not in catalog.colnames]
    if missing:
        raise ValueError(f"catalog has no column {', '.join(missing)}")


def _column(catalog, name):
    """Values of a column; NaN if masked or there is no such column."""
    known = name in catalog.colnames
    return float_column(catalog, name) if known else np.full(len(catalog), np.nan)


def place_on_sky(wcs, catalog):
    """Shift a WCS to the coordinates of a source near the middle of the catalog."""
    x, y = pixel_positions(catalog)
    ra, dec = _column(catalog, "ra"), _column(catalog, "dec")
    distance = np.hypot(x - wcs.wcs.crpix[0], y - wcs.wcs.crpix[1])
    distance = np.where(np.isfinite(ra + dec + distance), distance, np.inf)
    middle = np.argmin(distance)
    if np.isfinite(distance[middle]):
        wcs.wcs.crpix = x[middle] + 1, y[middle] + 1
        wcs.wcs.crval = ra[middle], dec[middle]
    return wcs


def error_of_correction(errors):
    """Error of the mean aperture correction: the smallest error, because all include it.

    For one band, or for each band along the second axis.
    """
    return np.min(errors, axis=0, where=errors > 0, initial=np.inf)


def implied_noise(errors, flux, exposure_times):
    """Scatter of the sky pixels implied by the errors of a catalog.

    Parameters
    ----------
    errors, flux : `~numpy.ndarray` of float64, shape (n,) or (n, bands)
        Errors (mag) as released, and the flux within 4 pixels (e-/s).
    exposure_times : float or `~numpy.ndarray`, shape (bands,)
        Exposure times in seconds.

    Returns
    -------
    scatter : `~numpy.ndarray` of float64, shape of the errors
        In e-/s, from IRAF's formula as in the photometry; NaN if there is no error.
    """
    raw = np.sqrt(np.maximum(errors**2 - error_of_correction(errors) ** 2, 0)) / 1.0857
    variance = (raw * flux) ** 2 - flux / exposure_times
    return np.sqrt(np.maximum(variance, 0) / (_APERTURE + _APERTURE**2 / _SKY))


def in_aperture(magnitude, population, observation):
    """Flux in the aperture from magnitudes, e-/s, shape (n, 5); 0 for NaN."""
    magnitude = magnitude + observation.extinction
    magnitude = magnitude - population.aperture_correction - CORRECTION_STEPS
    return np.nan_to_num(10 ** (0.4 * (observation.zero_points - magnitude)))


def gather_stars(galaxy, rows, observation):
    """Concentrate the young stars of a galaxy without arms, and their light, around the sources.

    Parameters
    ----------
    galaxy : `~astroclust.simulation.galaxy.Galaxy`
        The galaxy, whose light is changed in place.
    rows : `Rows`
        The sources, all with positions.
    observation : `~astroclust.simulation.observations.Observation`
        Zero points and extinction.

    Returns
    -------
    galaxy : `~astroclust.simulation.galaxy.Galaxy`
        The galaxy with a new ``young``.
    """
    shape = galaxy.young.shape
    cells = [np.arange(0, size + _CELL, _CELL) for size in shape]
    counts = np.histogram2d(rows.y, rows.x, cells)[0]
    density = gaussian_filter(counts, _YOUNG_WIDTH / _CELL, mode="nearest")
    density = (density / max(density.mean(), 1e-12)).astype(np.float32)
    young = zoom(density, _CELL, order=1, grid_mode=True, mode="nearest")[: shape[0], : shape[1]]
    magnitudes = relative_magnitudes(*COLORS["young"]) + observation.extinction
    relative = 10 ** (0.4 * (observation.zero_points - magnitudes))
    level = _YOUNG_LIGHT * np.median(galaxy.light[V])
    for band, relative_flux in zip(galaxy.light, relative / relative[V], strict=True):
        band += np.float32(level * relative_flux) * young
    return replace(galaxy, young=young + np.float32(_YOUNG_ELSEWHERE))
