# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The noise of fluxes: IRAF's formula, and the correlation of drizzled pixels."""

import numpy as np
from photutils.geometry import circular_overlap_grid
from scipy.ndimage import correlate

__all__ = ["flux_error", "measure_correlation"]

# Drizzling correlates the noise of pixels that are up to two apart; what those four apart share is
# structure of the sky, wings of stars and gas.
_LAGS, _FAR = 2, 4
# Cells of sky that are looked at, in each direction, and the share of them that is used: the
# quietest, where stars and gas add little of their own.
_CELL, _MAX_CELLS, _QUIET_SHARE = 24, 40, 0.25
_CLIP = 3


def measure_correlation(band):
    """Correlation of the noise of pixels with that of their neighbours.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image.

    Returns
    -------
    correlation : `~numpy.ndarray`, shape (5, 5)
        Coefficients for -2 to 2 pixels in y and x, 1 in the middle; none beside it where the
        image is too small or too blank to tell.
    """
    cells = _sky_cells(band)
    size = 2 * _LAGS + 1
    alone = np.zeros((size, size))
    alone[_LAGS, _LAGS] = 1
    if cells is None:
        return alone
    values = cells - np.nanmedian(cells, axis=(1, 2), keepdims=True)
    scatter = 1.4826 * np.nanmedian(np.abs(values), axis=(1, 2))
    if not scatter.any():
        return alone
    limit = np.quantile(scatter[scatter > 0], _QUIET_SHARE)
    quiet = (scatter > 0) & (scatter <= limit)
    values = values[quiet] / scatter[quiet, None, None]
    values[np.abs(values) > _CLIP] = np.nan
    far = np.mean([_covariance(values, _FAR, 0), _covariance(values, 0, _FAR)])
    result = [
        [_covariance(values, dy, dx) - far for dx in range(-_LAGS, _LAGS + 1)]
        for dy in range(-_LAGS, _LAGS + 1)
    ]
    variance = result[_LAGS][_LAGS]
    # Without noise there is structure alone, on all scales.
    return np.clip(np.array(result) / variance, -1, 1) if variance > 0 else alone


def _sky_cells(band):
    """Square cells all over the image, shape (m, size, size); None where it is too small."""
    ny, nx = band.data.shape
    if min(ny, nx) < _CELL:
        return None
    rows, columns = (
        np.unique(np.linspace(0, n - _CELL, min(_MAX_CELLS, n // _CELL)).astype(int))
        for n in (ny, nx)
    )
    cells = [
        band.pixels((slice(y, y + _CELL), slice(x, x + _CELL)), float)
        for y in rows
        for x in columns
    ]
    cells = [cell for cell in cells if np.isfinite(cell).mean() > 0.9]
    return np.array(cells) if cells else None


def _covariance(values, dy, dx):
    """Mean product of the values ``dy`` rows and ``dx`` columns apart."""
    n = values.shape[1]
    here = values[:, max(-dy, 0) : n - max(dy, 0), max(-dx, 0) : n - max(dx, 0)]
    there = values[:, max(dy, 0) : n - max(-dy, 0), max(dx, 0) : n - max(-dx, 0)]
    return np.nanmean(here * there)


def flux_error(fluxes, k, radius, exposure, *, annulus, sky_statistic, correlation=None):
    """Standard error of fluxes.

    Parameters
    ----------
    fluxes : `~astroclust.photometry.apertures.Fluxes`
        Of n sources, in electrons a second, or in electrons with an ``exposure`` of 1.
    k : int
        Which of the apertures.
    radius : float
        Its radius in pixels.
    exposure : float
        Electrons for one unit of flux; infinite for no photon noise.
    annulus : tuple of float
        Radii of the sky.
    sky_statistic : str
        Statistic of the sky that was subtracted.
    correlation : `~numpy.ndarray`, shape (m, m), optional
        As `measure_correlation` gives it. Without, the error is that of IRAF's ``phot``: its
        variance is flux / exposure + A s² + A² s² / n, with the area A, and the scatter s and the
        number n of the pixels of the sky. With it, the noise of pixels is added up with its
        correlation, and the level of the sky has the error that the statistic has (a median that
        of π / 2 times the pixels, a mode of 6); the noise of photons is that of the photons.
        Uncertainties that came with the image replace the first two terms.

    Returns
    -------
    error : `~numpy.ndarray`, shape (n,)
        In the unit of the flux.
    """
    area = np.pi * radius**2
    pixels, level, scatter = area, 1.0, fluxes.scatter
    if correlation is not None:
        pixels, level = _correlated(radius, annulus, sky_statistic, correlation)
        scatter = fluxes.noise
    own = np.maximum(fluxes.flux[:, k], 0) / exposure + scatter**2 * pixels
    given = fluxes.variance[:, k] * pixels / area
    with np.errstate(divide="ignore", invalid="ignore"):
        sky_level = scatter**2 * area**2 * level / fluxes.n_sky
        return np.sqrt(np.where(np.isnan(given), own, given) + sky_level)


def _correlated(radius, annulus, sky_statistic, correlation):
    """Variance of a sum over the aperture, and of the level times the number, for scatter 1."""
    half = int(np.ceil(max(radius, annulus[1]))) + 1
    edges, n = (-half - 0.5, half + 0.5) * 2, 2 * half + 1
    inside = circular_overlap_grid(*edges, n, n, radius, 1, 1)
    offset = np.arange(-half, half + 1)
    distance = np.hypot(offset, offset[:, None])
    ring = ((distance >= annulus[0]) & (distance < annulus[1])).astype(float)
    mean = _sum_pairs(ring, correlation) / ring.sum()
    # Of the median: the correlation of signs, which for normal noise is 2 / pi arcsin.
    median = _sum_pairs(ring, np.arcsin(np.clip(correlation, -1, 1))) / ring.sum()
    level = median if sky_statistic == "median" else 9 * median - 8 * mean
    return _sum_pairs(inside, correlation), level


def _sum_pairs(weights, correlation):
    return np.sum(weights * correlate(weights, correlation, mode="constant"))
