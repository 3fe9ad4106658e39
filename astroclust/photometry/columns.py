# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Table columns of fluxes, magnitudes and upper limits of a band."""

from dataclasses import dataclass

import numpy as np
from astropy.table import Column, MaskedColumn

from astroclust.catalogs import CatalogFlag
from astroclust.photometry.corrections import ci_correction, ci_correction_error

__all__ = ["Calibration", "Correction", "add_fluxes", "add_magnitudes"]

_POGSON = 2.5 / np.log(10)
# Upper limits are this many standard errors above the flux.
_LIMIT_SIGMA = 3


@dataclass(frozen=True)
class Correction:
    """Aperture correction of a band.

    Parameters
    ----------
    shift, error : float or `~numpy.ndarray`, shape (n,)
        Added to magnitudes, and its error (mag).
    limit_shift : float or `~numpy.ndarray`, shape (n,)
        Added to upper limits (mag).
    text, limit_text : str
        Description, for magnitudes and for limits.
    """

    shift: object
    error: object
    limit_shift: object
    text: str
    limit_text: str

    @classmethod
    def by_index(cls, index, of_reference, camera, radius):
        """Correction by concentration index; limits use the index of the reference band."""
        shift = ci_correction(index, camera=camera, radius=radius)
        limit = ci_correction(of_reference, camera=camera, radius=radius)
        limit = np.where(np.isfinite(limit), limit, shift)
        text = "corrected to total from {} concentration index"
        return cls(
            shift,
            ci_correction_error(index),
            limit,
            text.format("its"),
            text.format("the reference band's"),
        )

    @classmethod
    def given(cls, value):
        """Correction common to all sources: a number, a pair with its error, or None."""
        if value is None:
            text = "without aperture correction"
            return cls(0.0, 0.0, 0.0, text, text)
        shift, error = value if np.ndim(value) else (value, 0.0)
        text = f"with aperture correction {shift:+.3f} mag"
        return cls(shift, error, shift, text, text)


@dataclass(frozen=True)
class Calibration:
    """Conversion from fluxes to magnitudes.

    Parameters
    ----------
    zero_point : float
        Vega magnitude of a flux of 1.
    extinction : float
        Galactic extinction (mag), which is subtracted.
    correction : `Correction`
        Aperture correction.
    """

    zero_point: float
    extinction: float
    correction: Correction

    @property
    def text(self):
        """Description of the calibration."""
        if not self.extinction:
            return "not corrected for extinction"
        return f"Galactic extinction of {self.extinction:.3f} mag subtracted"

    def magnitude(self, flux, shift):
        """Magnitudes of fluxes; NaN if they are not positive."""
        positive = np.where(flux > 0, flux, np.nan)
        return self.zero_point - self.extinction - 2.5 * np.log10(positive) + shift


def add_fluxes(result, band, flux, error, radii):
    """Add flux and flux-error columns to a table.

    Parameters
    ----------
    result : `~astropy.table.Table`, length n
        Changed in place.
    band : `~astroclust.images.Band`
        The band.
    flux : `~numpy.ndarray`, shape (n, k)
        Fluxes in k apertures.
    error : list of k `~numpy.ndarray`, shape (n,)
        Their errors.
    radii : list of float
        Radii in pixels.

    Raises
    ------
    ValueError
        If the table already has one of the columns.
    """
    unit = "unit of the image" if band.unit is None else band.unit
    name = band.filter.lower()
    for k, radius in enumerate(radii):
        suffix = "" if k == 0 else f"_r{radius:g}"
        within = f"{band.filter} flux within {radius:g} pixels"
        for kind, values, description in (
            ("flux", flux[:, k], f"{within}, minus the sky, in {unit}"),
            ("flux_err", error[k], f"standard error of the {within}, in {unit}"),
        ):
            column = Column(values, f"{kind}_{name}{suffix}", description=description)
            column.unit, column.format = band.unit, ".6g"
            _add(result, column)


def add_magnitudes(result, band, flux, error, calibration, radius, max_error):
    """Add magnitude, error, flag and upper-limit columns to a table.

    Parameters
    ----------
    result : `~astropy.table.Table`, length n
        Changed in place.
    band : `~astroclust.images.Band`
        The band.
    flux, error : `~numpy.ndarray`, shape (n,)
        Flux and its error; an error of 0 means unknown.
    calibration : `Calibration`
        Zero point and corrections.
    radius : float
        Radius of the aperture in pixels.
    max_error : float
        Maximum magnitude error, before that of the aperture correction is added.

    Raises
    ------
    ValueError
        If the table already has one of the columns.
    """
    shift, name = calibration.correction.shift, band.filter.lower()
    error = np.where(error > 0, error, np.nan)
    magnitude = calibration.magnitude(flux, shift)
    with np.errstate(divide="ignore", invalid="ignore"):
        own_error = _POGSON * error / flux
    limit = calibration.magnitude(
        np.maximum(flux, 0) + _LIMIT_SIGMA * error, calibration.correction.limit_shift
    )
    is_limit = (flux <= _POGSON * error / max_error) & np.isfinite(limit)
    flags = _flags(flux, magnitude, own_error, shift)
    flags[is_limit] |= CatalogFlag.UPPER_LIMIT
    lost = ~np.isfinite(magnitude) | is_limit
    magnitude_error = np.hypot(own_error, calibration.correction.error)
    correction = calibration.correction
    text = (
        f"{band.filter} Vega magnitude within {radius:g} pixels, {correction.text}, "
        f"{calibration.text}"
    )
    flag_text = ", ".join(f"{flag.value} {flag.name}" for flag in CatalogFlag)
    limit_text = (
        f"{band.filter} {_LIMIT_SIGMA}-sigma upper limit instead of mag_{name} if that is not "
        f"detected or its error is above {max_error:g} mag, {correction.limit_text}, "
        f"{calibration.text}"
    )
    _add(result, _masked(magnitude, f"mag_{name}", lost, text))
    error_text = f"error of mag_{name}, with that of the aperture correction"
    lost |= ~np.isfinite(magnitude_error)
    _add(result, _masked(magnitude_error, f"mag_err_{name}", lost, error_text))
    why = f"reason why mag_{name} or its error is masked, bits: {flag_text}"
    _add(result, Column(flags, f"flag_{name}", description=why))
    _add(result, _masked(limit, f"mag_lim_{name}", ~is_limit, limit_text))


def _flags(flux, magnitude, error, shift):
    """Flags for missing magnitudes or errors."""
    flags = np.zeros(len(flux), np.int32)
    outside, positive = ~np.isfinite(flux), flux > 0
    flags[outside] = CatalogFlag.OUT_OF_VIEW
    flags[~outside & ~positive] = CatalogFlag.NOT_DETECTED
    flags[positive & ~np.isfinite(shift)] = CatalogFlag.NO_CORRECTION
    flags[(flags == 0) & ~np.isfinite(magnitude)] = CatalogFlag.UNDEFINED
    flags[(flags == 0) & ~np.isfinite(error)] = CatalogFlag.NO_ERROR
    return flags


def _masked(values, name, mask, description):
    values = np.where(mask, np.nan, values)
    column = MaskedColumn(values, name, mask=mask, unit="mag", fill_value=np.nan, format=".3f")
    column.description = description
    return column


def _add(result, column):
    if column.name in result.colnames:
        raise ValueError(f"the table already has a column {column.name}; rename it")
    result[column.name] = column
