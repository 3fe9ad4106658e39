# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Aperture corrections: by concentration index, and the mean of selected clusters."""

import numpy as np

from astroclust.catalogs import float_values, pixel_positions
from astroclust.images import ImageSet
from astroclust.photometry.apertures import ANNULUS, measure_apertures

__all__ = ["average_correction", "ci_correction", "ci_correction_error"]

# Aperture correction as a cubic in the concentration index, by camera and aperture radius, and the
# range of index covered by artificial clusters: from the LEGUS pipeline
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
# Scatter of that correction among the artificial clusters, by index (artificial_stdev_*.dat).
_CI_SCATTER = ((1.4, 1.5, 1.6, 1.78, 1.87, 2.0), (0.03, 0.05, 0.07, 0.095, 0.17, 0.25))

# LEGUS: total magnitudes are within 20 pixels, with the sky from 21 to 22.
_TOTAL_RADIUS, _TOTAL_ANNULUS = 20.0, (21.0, 22.0)


def ci_correction(index, *, camera="uvis", radius=4):
    """Aperture correction by concentration index, as derived by LEGUS.

    Parameters
    ----------
    index : array_like of float, shape (n,)
        Concentration index in the same band (mag); see `concentration_index`.
    camera : str, optional
        ``"uvis"`` or ``"acs"``.
    radius : int, optional
        Radius of the aperture in pixels: 4, 5 or 6.

    Returns
    -------
    correction : `~numpy.ndarray` of float64, shape (n,)
        Difference between the magnitude within 20 pixels and that in the aperture, negative; NaN if
        the index is NaN or masked. Outside the range of LEGUS's artificial clusters the correction
        is that at the end of the range.

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
            f"no correction is known for camera {camera!r} and radius {radius!r}; available are "
            "'uvis' and 'acs' with 4, 5 and 6 pixels"
        )
    index = float_values(index)
    clipped = np.clip(index, *_CI_RANGE[camera])
    return np.polynomial.polynomial.polyval(clipped, _CI_CORRECTION[camera, radius])


def ci_correction_error(index):
    """Error of the aperture correction by concentration index.

    Parameters
    ----------
    index : array_like of float, shape (n,)
        Concentration index (mag).

    Returns
    -------
    error : `~numpy.ndarray` of float64, shape (n,)
        Scatter among LEGUS's artificial clusters (mag); NaN if the index is NaN or masked.

    Examples
    --------
    >>> from astroclust.photometry import ci_correction_error
    >>> ci_correction_error([1.3, 1.6])
    array([0.03, 0.07])
    """
    return np.interp(float_values(index), *_CI_SCATTER)


def average_correction(clusters, images, *, radius=4.0, sky_statistic="mode", limits=(-1.2, -0.5)):
    """Mean aperture correction of isolated clusters in each band, as in LEGUS.

    Parameters
    ----------
    clusters : `~astropy.table.Table`, length n
        Positions of isolated clusters, selected visually or with `calibrate_ci`.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    radius : float, optional
        Radius of the aperture in pixels.
    sky_statistic : str, optional
        See `measure_photometry`.
    limits : tuple of float, optional
        Values outside this range (mag) are excluded: neighbors contaminate those at or below -1.2,
        and those at or above -0.5 are stars. A nearby galaxy needs a lower first limit, a distant
        one a higher second limit.

    Returns
    -------
    corrections : dict of str to tuple of float
        By filter, the correction (magnitude within 20 pixels minus that within ``radius``) and its
        standard error, for the argument ``aperture_correction`` of `measure_photometry`.

    Raises
    ------
    ValueError
        If a band has fewer than two clusters with a correction within the limits.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.photometry import average_correction
    >>> field = simulate_field(like="ngc1566", shape=(300, 300), seed=1, density=5e-4)
    >>> clusters = field.truth[field.truth["class"] == 1]
    >>> sorted(average_correction(clusters, field.images, limits=(-3, 0)))
    ['F275W', 'F336W', 'F438W', 'F555W', 'F814W']
    """
    images = ImageSet.of(images)
    x, y = pixel_positions(clusters, images.wcs)
    bands = list(images.values())
    small = measure_apertures(bands, x, y, (radius,), annulus=ANNULUS, sky_statistic=sky_statistic)
    total = measure_apertures(
        bands, x, y, (_TOTAL_RADIUS,), annulus=_TOTAL_ANNULUS, sky_statistic=sky_statistic
    )
    corrections = {}
    for band, near, far in zip(bands, small, total, strict=True):
        with np.errstate(divide="ignore", invalid="ignore"):
            values = -2.5 * np.log10(far.flux[:, 0] / near.flux[:, 0])
        values = values[(values > limits[0]) & (values < limits[1])]
        if len(values) < 2:
            raise ValueError(
                f"{band.filter}: {len(values)} of {len(clusters)} clusters have an aperture "
                f"correction between {limits[0]} and {limits[1]} mag; use more isolated "
                "clusters, or other limits"
            )
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        corrections[band.filter] = (float(np.mean(values)), float(error))
    return corrections
