# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Vega photometry of candidates in circular apertures, their concentration index, corrections."""

import warnings

import numpy as np
from astropy import units as u
from astropy.table import Column, MaskedColumn
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs import CatalogFlag, pixel_positions
from astroclust.images import ImageSet
from astroclust.instruments import camera_of
from astroclust.photometry.apertures import ANNULUS, Apertures, Fluxes, measure_apertures
from astroclust.photometry.calibration import (
    check_bands,
    counts_to_rate,
    electrons_of_unit,
    value_of_band,
    zero_point,
)
from astroclust.photometry.centring import recenter
from astroclust.photometry.ci_cut import CICalibration, calibrate_ci, catalog_ci_cut
from astroclust.photometry.corrections import (
    average_correction,
    ci_correction,
    ci_correction_error,
)
from astroclust.photometry.curves import (
    CI_RADII,
    concentration_index,
    growth_curve,
    index_of_fluxes,
)
from astroclust.photometry.noise import flux_error, measure_correlation

__all__ = [
    "ANNULUS",
    "CI_RADII",
    "Apertures",
    "CICalibration",
    "Fluxes",
    "average_correction",
    "calibrate_ci",
    "catalog_ci_cut",
    "ci_correction",
    "ci_correction_error",
    "concentration_index",
    "counts_to_rate",
    "growth_curve",
    "measure_apertures",
    "measure_photometry",
    "recenter",
    "value_of_band",
    "zero_point",
]

_APERTURES = Apertures()
_POGSON = 2.5 / np.log(10)
# Radii for which there is a correction by concentration index.
_CI_CORRECTED = (4, 5, 6)


def measure_photometry(
    table,
    images,
    *,
    apertures=_APERTURES,
    errors="correlated",
    zero_points=None,
    aperture_correction=None,
    extinction=None,
):
    """Measure fluxes and Vega magnitudes in circular apertures in each band.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Positions, as `~astroclust.catalogs.pixel_positions` takes them; they are the same in all
        bands. `recenter` moves them to the peaks of one band.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    apertures : `Apertures`, optional
        Radii of the apertures and of the sky, and the statistic of the sky.
    errors : str, optional
        ``"correlated"``: of pixels whose noise is correlated as it is measured in each image; or
        ``"iraf"``, of pixels that are independent, the formula of IRAF's ``phot``, by which LEGUS
        selected. On drizzled images the second is too small, by a half or so.
    zero_points : str or mapping, optional
        ``"legus"`` for the Vega zero points of LEGUS, and where it has none those of the headers;
        or filters or roles to zero points for 1 e-/s. By default those of the headers
        (``PHOTFLAM``, ``PHOTPLAM``, ``PHOTZPT``), and those of LEGUS where a header has none. The
        camera is that of the header (``INSTRUME``, ``DETECTOR``); without, ACS for F435W and
        F606W, WFC3/UVIS for the others.
    aperture_correction : str or mapping, optional
        ``"ci"`` for that by the concentration index of each band, as `ci_correction` gives it; or
        filters or roles to magnitudes, or to pairs of magnitude and error, as
        `average_correction` gives them. By default none.
    extinction : mapping, optional
        Filters or roles to the Galactic extinction (mag) that is taken off.

    Returns
    -------
    result : `~astropy.table.Table`, length n
        A copy of the table with, for each filter, such as F555W:

        - ``flux_f555w``, ``flux_err_f555w``: within the aperture, not corrected, in the unit of
          the image, which their descriptions name; NaN off the image, where pixels in the
          aperture are bad, and where all are exactly 0, as drizzled images are off their
          exposures;
        - ``mag_f555w``, ``mag_err_f555w``: Vega magnitude, corrected, masked where there is none;
          its error has that of the aperture correction in it;
        - ``flag_f555w``: why they are masked, bits of `~astroclust.catalogs.CatalogFlag`.

    Raises
    ------
    ValueError
        Where the table has one of these columns, or an argument is not accepted.

    Warns
    -----
    AstropyUserWarning
        If the images are a rendered picture, which has no magnitudes.

    Notes
    -----
    Fluxes are in electrons per second, to which `~astroclust.images.ImageSet` brings all images;
    counts are taken to be electrons. If a unit or an exposure time is unknown, they stay in the
    unit of the image, and magnitudes are masked. Errors include photon noise if ``EXPTIME`` is
    known. Uncertainties of `~astropy.nddata.CCDData` or `~astropy.nddata.NDData` replace the
    noise of sky and photons in the aperture; that of the sky level is added.

    Examples
    --------
    >>> from astroclust import measure_photometry, simulate_field
    >>> field = simulate_field(shape=(128, 128), seed=1, density=1e-3)
    >>> result = measure_photometry(field.truth["x", "y"], field.images)
    >>> result.colnames[2:7]
    ['flux_f275w', 'flux_err_f275w', 'mag_f275w', 'mag_err_f275w', 'flag_f275w']
    """
    images = ImageSet.of(images)
    radii = _check(apertures.radius, errors, aperture_correction)
    sky = {"annulus": apertures.annulus, "sky_statistic": apertures.sky_statistic}
    for name, values in (
        ("zero_points", zero_points),
        ("aperture_correction", aperture_correction),
        ("extinction", extinction),
    ):
        check_bands(values, images, name)
    _warn_of_pictures(images)
    x, y = pixel_positions(table, images.wcs)
    by_index = isinstance(aperture_correction, str)
    wanted = (*radii, *CI_RADII) if by_index else radii
    bands = list(images.values())
    measured = measure_apertures(bands, x, y, wanted, **sky)
    result = table.copy()
    for band, fluxes in zip(bands, measured, strict=True):
        correlation = measure_correlation(band) if errors == "correlated" else None
        electrons = electrons_of_unit(band)
        error = [
            flux_error(fluxes, k, r, electrons, correlation=correlation, **sky)
            for k, r in enumerate(radii)
        ]
        _add_fluxes(result, band, fluxes.flux, error, radii)
        if by_index:
            index = index_of_fluxes(fluxes.flux[:, -2], fluxes.flux[:, -1])
            camera = "acs" if camera_of(band) in ("acs", "hrc", "sbc") else "uvis"
            correction = ci_correction(index, camera=camera, radius=int(radii[0]))
            correction = correction, ci_correction_error(index)
        else:
            correction = value_of_band(aperture_correction, band, (0.0, 0.0))
        zero = zero_point(band, value_of_band(zero_points, band, None))
        zero -= u.Quantity(value_of_band(extinction, band, 0.0), u.mag).value
        _add_magnitudes(result, band, fluxes, error[0], zero, correction)
    return result


def _warn_of_pictures(images):
    rendered = [band.filter for band in images.values() if band.is_rendered]
    if rendered:
        warnings.warn(
            f"{', '.join(rendered)} are channels of a rendered picture, not proportional to flux: "
            "magnitudes are masked, and fluxes only rank sources of one band; measure FITS images",
            AstropyUserWarning,
            stacklevel=3,
        )


def _check(radius, errors, aperture_correction):
    """The radii of the apertures, if all arguments are accepted."""
    radii = np.atleast_1d(np.asarray(radius, float))
    if radii.ndim > 1 or not radii.size or not np.all(radii > 0):
        raise ValueError(f"radius must be a positive number, or several, not {radius!r}")
    if errors not in ("correlated", "iraf"):
        raise ValueError(f"errors must be one of correlated, iraf, not {errors!r}")
    if isinstance(aperture_correction, str):
        if aperture_correction != "ci":
            raise ValueError(
                "aperture_correction must be 'ci', a mapping from filters to magnitudes, or "
                f"None, not {aperture_correction!r}"
            )
        if radii[0] not in _CI_CORRECTED:
            raise ValueError(
                f"there is a correction by concentration index for radii of 4, 5 and 6 pixels, "
                f"not {radii[0]:g}"
            )
    return radii.tolist()


def _add_fluxes(result, band, flux, error, radii):
    # Not as the column's unit: FITS tables do not know electrons.
    unit = "unit of the image" if band.unit is None else band.unit
    name = band.filter.lower()
    for k, radius in enumerate(radii):
        suffix = "" if k == 0 else f"_r{radius:g}"
        description = f"within {radius:g} pixels, {unit}"
        _add(result, Column(flux[:, k], f"flux_{name}{suffix}", description=description))
        _add(result, Column(error[k], f"flux_err_{name}{suffix}", description=description))


def _add_magnitudes(result, band, fluxes, error, zero, correction):
    flux, name = fluxes.flux[:, 0], band.filter.lower()
    shift, shift_error = correction if np.ndim(correction) else (correction, 0.0)
    positive = flux > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = zero - 2.5 * np.log10(flux, where=positive, out=np.full(len(flux), np.nan))
        magnitude = magnitude + shift
        # No noise at all is noise that is not known.
        error = np.where(error > 0, error, np.nan)
        magnitude_error = np.hypot(_POGSON * error / flux, shift_error)
    flags = np.zeros(len(flux), np.int32)
    outside = ~np.isfinite(flux)
    flags[outside] = CatalogFlag.OUT_OF_VIEW
    flags[~outside & ~positive] = CatalogFlag.NOT_DETECTED
    flags[positive & ~np.isfinite(shift)] = CatalogFlag.NO_CORRECTION
    flags[(flags == 0) & ~np.isfinite(magnitude)] = CatalogFlag.UNDEFINED
    flags[(flags == 0) & ~np.isfinite(magnitude_error)] = CatalogFlag.NO_ERROR
    lost = ~np.isfinite(magnitude)
    for values, kind, masked in (
        (magnitude, "mag", lost),
        (magnitude_error, "mag_err", lost | ~np.isfinite(magnitude_error)),
    ):
        values = np.where(masked, np.nan, values)
        column = MaskedColumn(values, f"{kind}_{name}", mask=masked, unit="mag", fill_value=np.nan)
        _add(result, column)
    why = f"why mag_{name} or its error is masked: CatalogFlag"
    _add(result, Column(flags, f"flag_{name}", description=why))


def _add(result, column):
    if column.name in result.colnames:
        raise ValueError(f"the table has a column {column.name} already; rename it")
    result[column.name] = column
