# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Flux errors: IRAF's formula, and the noise correlation of drizzled pixels."""

import numpy as np
from photutils.geometry import circular_overlap_grid
from scipy.ndimage import correlate

__all__ = ["flux_error", "measure_correlation"]

# Drizzling correlates the noise of pixels up to two apart; correlation at four pixels is structure
# of the sky, such as stellar wings and gas.
_LAGS, _FAR = 2, 4
# Number of sky cells in each direction, and the fraction that is used: the quietest, in which stars
# and gas contribute least.
_CELL, _MAX_CELLS, _QUIET_FRACTION = 24, 40, 0.25
_CLIP = 3


def measure_correlation(band):
    """Correlation of the noise of neighboring pixels.

    Parameters
    ----------
    band : `~astroclust.images.Band`
        The image.

    Returns
    -------
    correlation : `~numpy.ndarray`, shape (5, 5)
        Coefficients for -2 to 2 pixels in y and x, 1 at the center; 0 elsewhere if the image is too
        small or too blank to measure.
    """
    cells = _sky_cells(band)
    size = 2 * _LAGS + 1
    alone = np.zeros((size, size))
    alone[_LAGS, _LAGS] = 1
    if cells is None:
        return alone
    values = cells - _medians(cells)[:, None, None]
    scatter = 1.4826 * _medians(np.abs(values))
    if not scatter.any():
        return alone
    limit = np.quantile(scatter[scatter > 0], _QUIET_FRACTION)
    quiet = (scatter > 0) & (scatter <= limit)
    values = values[quiet] / scatter[quiet, None, None]
    values[np.abs(values) > _CLIP] = np.nan
    far = np.mean([_covariance(values, _FAR, 0), _covariance(values, 0, _FAR)])
    result = np.empty((size, size))
    # Opposite offsets pair the same pixels.
    for k in range(size**2 // 2 + 1):
        covariance = _covariance(values, k // size - _LAGS, k % size - _LAGS)
        result.flat[k] = result.flat[-1 - k] = covariance - far
    variance = result[_LAGS, _LAGS]
    # Without noise there is only structure, on all scales.
    return np.clip(result / variance, -1, 1) if variance > 0 else alone


def _sky_cells(band):
    """Square cells across the image, shape (m, size, size); None if it is too small."""
    ny, nx = band.data.shape
    if min(ny, nx) < _CELL:
        return None
    rows, columns = (
        np.unique(np.linspace(0, n - _CELL, min(_MAX_CELLS, n // _CELL)).astype(int))
        for n in (ny, nx)
    )
    inside = np.arange(_CELL)
    index = np.ix_(range(len(rows)), range(len(columns)), inside, inside)
    cells = band.pixels((rows[index[0]] + index[2], columns[index[1]] + index[3]), float).reshape(
        -1, _CELL, _CELL
    )
    cells = cells[np.isfinite(cells).mean(axis=(1, 2)) > 0.9]
    return cells if len(cells) else None


def _medians(cells):
    """Median of each cell, ignoring NaN; faster than `numpy.nanmedian`, with equal results."""
    values = np.sort(cells.reshape(len(cells), -1), axis=1)  # NaN sorts last
    n, row = np.isfinite(values).sum(axis=1), np.arange(len(values))
    return (values[row, (n - 1) // 2] + values[row, n // 2]) / 2


def _covariance(values, dy, dx):
    """Mean product of values ``dy`` rows and ``dx`` columns apart."""
    n = values.shape[1]
    here = values[:, max(-dy, 0) : n - max(dy, 0), max(-dx, 0) : n - max(dx, 0)]
    there = values[:, max(dy, 0) : n - max(-dy, 0), max(dx, 0) : n - max(-dx, 0)]
    return np.nanmean(here * there)


def flux_error(fluxes, k, radius, exposure, *, annulus, sky_statistic, correlation=None):
    """Standard error of fluxes.

    Parameters
    ----------
    fluxes : `~astroclust.photometry.apertures.Fluxes`
        Measurements of n sources, in electrons per second, or in electrons with an ``exposure`` of
        1.
    k : int
        Index of the aperture.
    radius : float
        Radius of the aperture in pixels.
    exposure : float
        Electrons per unit of flux; infinite for no photon noise.
    annulus : tuple of float
        Radii of the sky annulus.
    sky_statistic : str
        Statistic used for the sky level.
    correlation : `~numpy.ndarray`, shape (m, m), optional
        See `measure_correlation`. By default, the error is that of IRAF's ``phot``, with variance
        flux / exposure + A s² + A² s² / n for the aperture area A, the sky scatter s and the number
        n of sky pixels. With a correlation, pixel noise is summed with its covariance, and the sky
        level has the error of its statistic (π / 2 times the variance of the mean for a median, 6
        times for a mode); photon noise is unchanged. Uncertainties of the image replace the first
        two terms.

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
    """Variance of the aperture sum, and of sky level times area, for unit scatter."""
    half = int(np.ceil(max(radius, annulus[1]))) + 1
    edges, n = (-half - 0.5, half + 0.5) * 2, 2 * half + 1
    inside = circular_overlap_grid(*edges, n, n, radius, 1, 1)
    offset = np.arange(-half, half + 1)
    distance = np.hypot(offset, offset[:, None])
    ring = ((distance >= annulus[0]) & (distance < annulus[1])).astype(float)
    mean = _sum_pairs(ring, correlation) / ring.sum()
    # For the median, the correlation of signs: 2 / pi arcsin for normal noise.
    median = _sum_pairs(ring, np.arcsin(np.clip(correlation, -1, 1))) / ring.sum()
    level = median if sky_statistic == "median" else 9 * median - 8 * mean
    return _sum_pairs(inside, correlation), level


def _sum_pairs(weights, correlation):
    return np.sum(weights * correlate(weights, correlation, mode="constant"))
