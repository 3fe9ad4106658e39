# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Features of candidates: photometry of the candidate and of its surroundings."""

from dataclasses import dataclass
from itertools import pairwise
from numbers import Real

import numpy as np
from astropy import units as u
from astropy.coordinates import Distance
from astropy.table import Table

from astroclust.catalogs import float_column, pixel_positions
from astroclust.context.surroundings import Surroundings
from astroclust.instruments import LEGUS_BANDS

__all__ = [
    "INPUTS",
    "Photometry",
    "context_features",
    "distance_of",
    "feature_inputs",
    "magnitude_columns",
]

#: Inputs of the features. V is not among them, because every feature needs it.
INPUTS = ("NUV", "U", "B", "I", "ci", "distance", "neighbors")
# Non-adjacent pairs of bands: their colors are known even if the band between is missing.
_WIDE = (("U", "V"), ("B", "I"))
# Errors are clipped to this range (mag).
_ERRORS = (1e-3, 10.0)
# The angle of a parsec at 1 Mpc, in arcsec.
_PARSEC = 0.206265


@dataclass(frozen=True)
class Photometry:
    """Positions and photometry of n sources as plain arrays; NaN for missing values.

    Parameters
    ----------
    x, y : `~numpy.ndarray` of float, shape (n,)
        0-based pixels.
    magnitudes, errors : dict of str to `~numpy.ndarray` of float, shape (n,)
        By role, in magnitudes.
    ci : `~numpy.ndarray` of float, shape (n,)
        Concentration index in V.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.context.features import Photometry
    >>> table = Table({"x": [3.0], "y": [4.0], "mag_f606w": [22.5]})
    >>> Photometry.of(table, (table["x"], table["y"])).magnitudes["V"]
    array([22.5])
    """

    x: np.ndarray
    y: np.ndarray
    magnitudes: dict
    errors: dict
    ci: np.ndarray

    @classmethod
    def of(cls, table, positions):
        """From a table and pixel positions; see `context_features`."""
        x, y = positions
        columns = magnitude_columns(table)
        magnitudes = {role: _values(table, columns.get(role)) for role in LEGUS_BANDS.roles}
        errors = {
            role: _values(table, columns.get(role, "").replace("mag_", "mag_err_"))
            for role in LEGUS_BANDS.roles
        }
        return cls(x, y, magnitudes, errors, _values(table, "ci"))

    def color(self, blue, red):
        """Color from two bands, in magnitudes."""
        return self.magnitudes[blue] - self.magnitudes[red]


def magnitude_columns(table):
    """Columns of Vega magnitudes, by the role of their filter.

    Parameters
    ----------
    table : `~astropy.table.Table`
        With columns such as ``mag_f555w``, as in the tables of
        `~astroclust.photometry.measure_photometry` and `~astroclust.catalogs.read_legus`.

    Returns
    -------
    columns : dict of str to str
        Mapping from role to column; the first if two filters have the same role.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.context.features import magnitude_columns
    >>> magnitude_columns(Table({"mag_f606w": [22.0], "mag_err_f606w": [0.1]}))
    {'V': 'mag_f606w'}
    """
    columns = {}
    for name in table.colnames:
        role = LEGUS_BANDS.filters.get(name[4:].upper()) if name.startswith("mag_") else None
        if role is not None:
            columns.setdefault(role, name)
    return columns


def feature_inputs():
    """Names of the features, and the inputs that each requires besides V.

    Returns
    -------
    features : dict of str to frozenset of str
        Mapping from name to members of `INPUTS`.

    Examples
    --------
    >>> from astroclust.context.features import feature_inputs
    >>> sorted(feature_inputs()["near_B-V"])
    ['B', 'neighbors']
    """
    bands = set(LEGUS_BANDS.roles) - {"V"}
    own = {
        f"{kind}_{role}": {role} & bands for kind in ("mag", "err") for role in LEGUS_BANDS.roles
    }
    own |= {f"{blue}-{red}": {blue, red} & bands for blue, red in _pairs()}
    own |= {"abs_V": {"distance"}, "modulus": {"distance"}, "ci": {"ci"}}
    around = {name: needs | {"neighbors"} for name, needs in Surroundings.features().items()}
    return {name: frozenset(needs) for name, needs in {**own, **around}.items()}


def context_features(
    table, *, neighbors=None, distance=None, positions=None, wcs=None, pixel_scale=None
):
    """Features of candidates: photometry of the candidate and of its surroundings.

    Each row depends only on itself and ``neighbors``.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Candidates, with Vega magnitudes and errors such as ``mag_f555w`` and ``mag_err_f555w``,
        and the concentration index ``ci``, in magnitudes.
    neighbors : `~astropy.table.Table`, length m, optional
        Catalog of the complete field after selection cuts, with the same columns. Sources within
        half a pixel of a candidate are the candidate itself. By default, the features of the
        surroundings are NaN.
    distance : float or `~astropy.units.Quantity`, optional
        Distance of the galaxy, in Mpc if it has no unit; by default ``DISTANCE`` in the metadata of
        the table, if positive.
    positions : pair of array_like, shape (n,), optional
        0-based pixels; by default from `~astroclust.catalogs.pixel_positions`.
    wcs : WCS, optional
        WCS of the image, for sky positions.
    pixel_scale : float, optional
        Width of a pixel in arcsec; by default that of LEGUS.

    Returns
    -------
    features : `~astropy.table.Table`, length n
        The columns of ``feature_inputs``; NaN for missing values.

    Raises
    ------
    KeyError, TypeError
        If a table has no positions, or they are not numbers.
    ValueError
        If the distance is not positive.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.context import context_features
    >>> table = Table({"x": [10.0, 20.0], "y": [10.0, 10.0], "ci": [1.5, 1.6]})
    >>> table["mag_f438w"], table["mag_f555w"] = [23.0, 22.5], [22.5, 22.25]
    >>> features = context_features(table, neighbors=table, distance=10)
    >>> print(features["abs_V", "B-V", "V-I", "ci", "near_V"])
    abs_V B-V  V-I  ci near_V
    ----- ---- --- --- ------
     -7.5  0.5 nan 1.5   0.25
    -7.75 0.25 nan 1.6  -0.25
    """
    distance = distance_of(table) if distance is None else _checked(distance)
    own = Photometry.of(table, positions or pixel_positions(table, wcs))
    features = _own_features(own, Distance(distance, u.Mpc).distmod.value)
    if neighbors is None:
        features |= {name: np.full(len(table), np.nan) for name in Surroundings.features()}
    else:
        sources = Photometry.of(neighbors, pixel_positions(neighbors, wcs))
        pixel_scale = LEGUS_BANDS.pixel_scale if pixel_scale is None else pixel_scale
        features |= Surroundings(sources, pixel_scale, _PARSEC / distance).around(own)
    return Table({name: features[name] for name in feature_inputs()})


def distance_of(table):
    """Distance in the metadata of a table.

    Parameters
    ----------
    table : `~astropy.table.Table`
        With ``DISTANCE`` in Mpc in its metadata; see `~astroclust.catalogs.read_legus`.

    Returns
    -------
    distance : float
        In Mpc; NaN if the metadata have no positive number.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.context.features import distance_of
    >>> distance_of(Table(meta={"DISTANCE": 9.9})), distance_of(Table(meta={"DISTANCE": "?"}))
    (9.9, nan)
    """
    value = table.meta.get("DISTANCE")
    known = isinstance(value, Real) and np.isfinite(value) and value > 0
    return float(value) if known else np.nan


def _checked(distance):
    value = u.Quantity(distance, None if isinstance(distance, u.Quantity) else u.Mpc)
    if not value > 0:
        raise ValueError(f"the distance must be positive, in Mpc, not {distance!r}")
    return value.to_value(u.Mpc)


def _own_features(own, modulus):
    roles = LEGUS_BANDS.roles
    features = {f"mag_{role}": own.magnitudes[role] for role in roles}
    features |= {f"err_{role}": _log_error(own.errors[role]) for role in roles}
    features |= {f"{blue}-{red}": own.color(blue, red) for blue, red in _pairs()}
    features |= {"abs_V": own.magnitudes["V"] - modulus, "ci": own.ci}
    return {**features, "modulus": np.full(len(own.ci), modulus)}


def _pairs():
    return *pairwise(LEGUS_BANDS.roles), *_WIDE


def _values(table, name):
    if not name or name not in table.colnames:
        return np.full(len(table), np.nan)
    return float_column(table, name)


def _log_error(errors):
    positive = np.where(errors > 0, errors, np.nan)
    return np.log10(np.clip(positive, *_ERRORS))
