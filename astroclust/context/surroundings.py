# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Features of the catalog around positions: distances, densities, contrast and colors."""

import warnings

import numpy as np
from scipy.spatial import KDTree

__all__ = ["Surroundings"]

# Number of neighbors considered; counts saturate there.
_MOST = 100
# Sources within this many pixels of a candidate are the candidate itself.
_SAME = 0.5
# Rows at a time, to bound the memory.
_BLOCK = 4096
# Ranks of the nearest neighbors whose distance is a feature.
_RANKS = (1, 2, 3, 5, 10)
_PARSEC_RANKS = (1, 5, 10)
_ARCSEC, _PARSEC = (0.3, 0.6, 1, 2, 4, 8), (10, 20, 40, 80, 160, 320)
# Number of nearest neighbors whose median is compared with the candidate.
_AROUND = 10
_COLORS = (("U", "B"), ("B", "V"), ("V", "I"))
_FAINT = 1e-3


class Surroundings:
    """Catalog sources around positions.

    Parameters
    ----------
    sources : `~astroclust.context.features.Photometry`
        All sources of the field.
    pixel_scale : float
        Width of a pixel in arcsec.
    parsec : float
        Angle of one parsec in arcsec; NaN if the distance is unknown.
    """

    def __init__(self, sources, pixel_scale, parsec):
        known = np.isfinite(sources.x) & np.isfinite(sources.y)
        self.tree = KDTree(np.column_stack([sources.x[known], sources.y[known]]))
        # One more row, for missing neighbors.
        self.values = {
            name: np.append(values[known], np.nan) for name, values in _quantities(sources).items()
        }
        self.pixel_scale = pixel_scale
        self.parsec = parsec

    @staticmethod
    def features():
        """Names of the features, and the inputs of each besides V and neighbors."""
        names = {f"sep_{rank}": set() for rank in _RANKS}
        names |= {f"sep_{rank}_pc": {"distance"} for rank in _PARSEC_RANKS}
        names["near_V"] = set()
        for radii, unit, needs in ((_ARCSEC, "arcsec", set()), (_PARSEC, "pc", {"distance"})):
            for radius in radii:
                for kind in ("count", "brighter", "fraction"):
                    names[f"{kind}_{radius:g}_{unit}"] = needs
        for name, needs in _needs().items():
            if name != "V":
                names[f"near_{name}"] = needs
            names[f"median_{name}"] = names[f"contrast_{name}"] = names[f"spread_{name}"] = needs
        names["rank_V"] = names["sep_brighter"] = set()
        return names

    def around(self, own):
        """Features of candidates.

        Parameters
        ----------
        own : `~astroclust.context.features.Photometry`
            Photometry of n candidates.

        Returns
        -------
        features : dict of str to `~numpy.ndarray` of float, shape (n,)
            The names of `features`; NaN for missing values.
        """
        positions = np.column_stack([own.x, own.y])
        quantities = _quantities(own)
        result = {name: np.full(len(positions), np.nan) for name in self.features()}
        placed = np.flatnonzero(np.isfinite(positions).all(axis=1))
        for start in range(0, len(placed), _BLOCK):
            rows = placed[start : start + _BLOCK]
            part = {name: values[rows] for name, values in quantities.items()}
            for name, values in self._block(positions[rows], part).items():
                result[name][rows] = values
        return result

    def _block(self, positions, own):
        separation, index = self._neighbors(positions)
        around = {name: values[index] for name, values in self.values.items()}
        arcsec = separation * self.pixel_scale
        features = _separations(arcsec, self.parsec)
        brighter = around["V"] < own["V"][:, None]
        flux = 10 ** (-0.4 * (around["V"] - own["V"][:, None]))
        flux = np.nan_to_num(flux, nan=0.0, posinf=0.0)
        for radii, unit, scale in ((_ARCSEC, "arcsec", 1.0), (_PARSEC, "pc", self.parsec)):
            for radius in radii:
                inside = arcsec <= radius * scale
                values = {
                    "count": np.log1p(inside.sum(axis=1)),
                    "brighter": np.log1p((inside & brighter).sum(axis=1)),
                    "fraction": 1 / (1 + (flux * inside).sum(axis=1)),
                }
                for kind, value in values.items():
                    features[f"{kind}_{radius:g}_{unit}"] = np.where(np.isnan(scale), np.nan, value)
        for name, value in own.items():
            features[f"near_{name}"] = value - around[name][:, 0]
            features |= _compare(name, value, around[name][:, :_AROUND])
        features["rank_V"] = brighter[:, :_AROUND].sum(axis=1).astype(float)
        nearest = np.where(brighter, arcsec, np.inf).min(axis=1)
        features["sep_brighter"] = _log(np.minimum(nearest, 100.0))
        return features

    def _neighbors(self, positions):
        """Separations (pixels) and indices of the nearest sources, without the candidate itself."""
        separation, index = self.tree.query(positions, k=_MOST + 4)
        separation = np.where(separation < _SAME, np.inf, separation)
        index = np.where(np.isfinite(separation), index, self.tree.n)
        order = np.argsort(separation, axis=1, kind="stable")[:, :_MOST]
        return tuple(np.take_along_axis(values, order, axis=1) for values in (separation, index))


def _needs():
    needs = {"V": set(), "ci": {"ci"}}
    return needs | {f"{blue}-{red}": {blue, red} - {"V"} for blue, red in _COLORS}


def _quantities(photometry):
    colors = {f"{blue}-{red}": photometry.color(blue, red) for blue, red in _COLORS}
    return {"V": photometry.magnitudes["V"], "ci": photometry.ci, **colors}


def _separations(arcsec, parsec):
    nearest = {rank: np.minimum(arcsec[:, rank - 1], 1000.0) for rank in _RANKS}
    features = {f"sep_{rank}": _log(nearest[rank]) for rank in _RANKS}
    return features | {f"sep_{rank}_pc": _log(nearest[rank] / parsec) for rank in _PARSEC_RANKS}


def _compare(name, own, around):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all-NaN slices
        median, spread = np.nanmedian(around, axis=1), np.nanstd(around, axis=1)
    return {f"median_{name}": median, f"contrast_{name}": own - median, f"spread_{name}": spread}


def _log(values):
    return np.log10(np.maximum(values, _FAINT))
