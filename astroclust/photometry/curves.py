# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Concentration indices and curves of growth."""

import numpy as np

from astroclust.catalogs import pixel_positions
from astroclust.images import read_image
from astroclust.photometry.apertures import measure_apertures

__all__ = ["CI_RADII", "concentration_index", "growth_curve", "index_of_fluxes"]

#: Radii of LEGUS's concentration index, in pixels.
CI_RADII = (1.0, 3.0)


def concentration_index(
    table, image, *, radii=CI_RADII, sky_statistic="median", workers=1, progress_bar=False
):
    """Concentration index: magnitude in a small aperture minus that in a larger one.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Positions; see `~astroclust.catalogs.pixel_positions`.
    image : `~astroclust.images.Band` or any input of `~astroclust.images.ImageSet`
        The image, usually V.
    radii : tuple of float, optional
        The two radii in pixels (LEGUS: 1 and 3; Wei et al. 2020, footnote 6).
    sky_statistic : str, optional
        See `measure_photometry`.
    workers : int or `~concurrent.futures.Executor`, optional
        See `measure_photometry`.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    index : `~numpy.ndarray` of float64, shape (n,)
        In magnitudes, larger for more extended sources; NaN if a flux is not positive.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.photometry import concentration_index
    >>> field = simulate_field(shape=(128, 128), seed=1, density=1e-3)
    >>> index = concentration_index(field.truth["x", "y"], field.images["V"])
    >>> len(index) == len(field.truth)
    True
    """
    band = read_image(image)
    x, y = pixel_positions(table, band.wcs)
    options = {"sky_statistic": sky_statistic, "workers": workers, "progress_bar": progress_bar}
    (fluxes,) = measure_apertures([band], x, y, radii, **options)
    return index_of_fluxes(*fluxes.flux.T)


def index_of_fluxes(small, large):
    """Concentration index from the fluxes in two apertures; NaN if one is not positive."""
    good = (small > 0) & (large > 0)
    index = np.full(len(good), np.nan)
    index[good] = -2.5 * np.log10(small[good] / large[good])
    return index


def growth_curve(
    table, image, *, radii=tuple(range(1, 21)), annulus=(21.0, 22.0), sky_statistic="median"
):
    """Curve of growth: magnitude within each radius minus that within the last.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Positions; see `~astroclust.catalogs.pixel_positions`.
    image : `~astroclust.images.Band` or any input of `~astroclust.images.ImageSet`
        The image.
    radii : sequence of float, length k, optional
        Radii in pixels, ascending (LEGUS: 1 to 20).
    annulus : tuple of float, optional
        Inner and outer radius of the sky annulus in pixels.
    sky_statistic : str, optional
        See `measure_photometry`.

    Returns
    -------
    curve : `~numpy.ndarray` of float64, shape (n, k)
        In magnitudes, 0 at the last radius; NaN if a flux is not positive.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.photometry import growth_curve
    >>> field = simulate_field(shape=(128, 128), seed=1, density=1e-3)
    >>> curve = growth_curve(field.truth["x", "y"], field.images["V"])
    >>> curve.shape == (len(field.truth), 20)
    True
    """
    band = read_image(image)
    x, y = pixel_positions(table, band.wcs)
    flux = measure_apertures([band], x, y, radii, annulus=annulus, sky_statistic=sky_statistic)[
        0
    ].flux
    return np.stack([index_of_fluxes(part, flux[:, -1]) for part in flux.T], axis=1)
