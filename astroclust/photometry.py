# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Aperture photometry of candidates and their concentration index, on photutils."""

import numpy as np
from astropy import units as u
from astropy.table import Column
from photutils.aperture import ApertureStats, CircularAnnulus, CircularAperture

from astroclust.catalogs import pixel_positions
from astroclust.images import ImageSet, read_image

__all__ = ["ci_correction", "concentration_index", "measure_photometry"]

#: LEGUS: aperture radius, and inner and outer radius of the sky annulus, in pixels.
APERTURE = 4.0
ANNULUS = (7.0, 8.0)

# Aperture correction as a cubic in the concentration index, by camera and radius of the aperture,
# and the range of the index in which it was measured on artificial clusters: the pipeline of LEGUS
# (ci_apcor_rel_{4,5,6}px.dat).
_CI_CORRECTION = {
    ("acs", 4): (-4.8105889, 7.1321111, -2.7329333, -0.0047888889),
    ("acs", 5): (-4.4520333, 6.4638444, -2.3469444, -0.045177778),
    ("acs", 6): (-4.0917667, 5.8121556, -1.9913667, -0.087666667),
    ("uvis", 4): (-2.3570385, 3.9190192, -1.7223846, -0.018826923),
    ("uvis", 5): (-2.2204346, 3.6325577, -1.5316269, -0.029242308),
    ("uvis", 6): (-2.0995962, 3.3956654, -1.3947615, -0.035992308),
}
_CI_RANGE = {"acs": (1.29956, 2.22567), "uvis": (1.09804, 2.23581)}


def measure_photometry(table, images, *, radius=APERTURE):
    """Measure fluxes in circular apertures, with the sky of an annulus, in each band.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Positions, as `~astroclust.catalogs.pixel_positions` takes them.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    radius : float, optional
        Radius of the aperture in pixels (LEGUS: 4).

    Returns
    -------
    result : `~astropy.table.Table`, length n
        A copy of the table with ``flux_<filter>`` and ``flux_err_<filter>`` of each band, in the
        unit of the image, which their descriptions name; NaN off the image and where pixels in
        the aperture are bad.

    Notes
    -----
    The sky is the median within 7 to 8 pixels. The error is that of IRAF's ``phot``: its variance
    is flux / t + A s² + A² s² / n, with the exposure time t (the
    first term only where the header has ``EXPTIME``, and for images in electrons or counts a
    second or without a unit), the area A of the aperture, and the scatter s and number n of the
    sky's pixels.

    Examples
    --------
    >>> from astroclust import measure_photometry, simulate_field
    >>> field = simulate_field(shape=(128, 128), seed=1)
    >>> measure_photometry(field.truth["x", "y"], field.images).colnames[2:4]
    ['flux_f275w', 'flux_err_f275w']
    """
    images = images if isinstance(images, ImageSet) else ImageSet(images)
    result = table.copy()
    x, y = pixel_positions(table, images.wcs)
    for name, band in images.items():
        flux, error = _aperture_flux(band, x, y, radius)
        # Not as the column's unit: FITS tables do not know electrons.
        unit = "unit of the image" if band.unit is None else band.unit
        for column, values in ((f"flux_{name}", flux), (f"flux_err_{name}", error)):
            if column.lower() in table.colnames:
                raise ValueError(f"the table has a column {column.lower()} already; rename it")
            result[column.lower()] = Column(values, description=f"within {radius:g} pixels, {unit}")
    return result


def concentration_index(table, image, *, radii=(1.0, 3.0)):
    """Concentration index: magnitude in a small aperture less that in a larger one.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Positions, as `~astroclust.catalogs.pixel_positions` takes them.
    image : `~astroclust.images.Band` or any form that `~astroclust.images.ImageSet` takes
        The image, usually V.
    radii : tuple of float, optional
        The two radii in pixels (LEGUS: 1 and 3; Wei et al. 2020, footnote 6).

    Returns
    -------
    index : `~numpy.ndarray` of float64, shape (n,)
        In magnitudes, the larger the more extended; NaN where a flux is not positive.

    Examples
    --------
    >>> from astroclust import concentration_index, simulate_field
    >>> field = simulate_field(shape=(128, 128), seed=1)
    >>> index = concentration_index(field.truth["x", "y"], field.images["V"])
    >>> len(index) == len(field.truth)
    True
    """
    band = read_image(image)
    x, y = pixel_positions(table, band.wcs)
    small, large = (_aperture_flux(band, x, y, radius)[0] for radius in radii)
    index = np.full(len(x), np.nan)
    good = (small > 0) & (large > 0)
    index[good] = -2.5 * np.log10(small[good] / large[good])
    return index


def ci_correction(index, *, camera="uvis", radius=4):
    """Aperture correction by concentration index, as LEGUS made it.

    Parameters
    ----------
    index : array_like of float, shape (n,)
        Concentration index of the same band (mag), as `concentration_index` measures it.
    camera : str, optional
        ``"uvis"`` or ``"acs"``.
    radius : int, optional
        Radius of the aperture in pixels: 4, 5 or 6.

    Returns
    -------
    correction : `~numpy.ndarray` of float64, shape (n,)
        What to add to the magnitude in the aperture for that within 20 pixels, negative; NaN
        where the index is NaN or masked. An index outside the range of LEGUS's artificial
        clusters has the correction of its end.

    Raises
    ------
    ValueError
        For another camera or radius.

    Examples
    --------
    >>> from astroclust.photometry import ci_correction
    >>> ci_correction([1.3, 1.8]).round(2)
    array([-0.21, -0.99])
    """
    if (camera, radius) not in _CI_CORRECTION:
        raise ValueError(
            f"there is no correction for camera {camera!r} and radius {radius!r}: there are "
            "'uvis' and 'acs' with 4, 5 and 6 pixels"
        )
    index = np.ma.filled(np.ma.asarray(index, dtype=float), np.nan)
    clipped = np.clip(index, *_CI_RANGE[camera])
    return np.polynomial.polynomial.polyval(clipped, _CI_CORRECTION[camera, radius])


def _exposure_time(band):
    """Seconds over which an image in electrons a second was exposed; infinite where not known."""
    if band.unit is not None and band.unit not in (u.electron / u.s, u.Unit("count / s")):
        return np.inf
    try:
        return float(band.meta["EXPTIME"]) or np.inf
    except (KeyError, TypeError, ValueError):
        return np.inf


def _aperture_flux(band, x, y, radius):
    """Sky-subtracted flux and its error, both of shape (n,)."""
    ny, nx = band.data.shape
    flux = np.full(len(x), np.nan)
    error = np.full(len(x), np.nan)
    on_image = (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
    if not on_image.any():
        return flux, error
    places = np.column_stack([x[on_image], y[on_image]])
    data = np.asarray(band.data, np.float32)
    mask = ~np.isfinite(data)
    if band.mask is not None:
        mask |= band.mask
    sky = ApertureStats(data, CircularAnnulus(places, *ANNULUS), mask=mask)
    aperture = ApertureStats(data, CircularAperture(places, radius), mask=mask)
    area = np.pi * radius**2
    level = np.asarray(sky.median)
    total = np.asarray(aperture.sum) - level * area
    whole = np.abs(np.asarray(aperture.sum_aper_area.value) - area) < 1e-6 * area
    variance = area * sky.std**2 * (1 + area / np.asarray(sky.sum_aper_area.value))
    variance = variance + np.maximum(total, 0) / _exposure_time(band)
    flux[on_image] = np.where(whole, total, np.nan)
    error[on_image] = np.where(whole, np.sqrt(variance), np.nan)
    return flux, error
