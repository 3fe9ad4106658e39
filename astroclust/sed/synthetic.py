# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Synthetic magnitudes of spectra."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
from astropy import constants
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from astropy.table import MaskedColumn, Table
from astropy.utils.exceptions import AstropyUserWarning
from specutils import Spectrum

from astroclust.instruments import find_filter
from astroclust.sed.filters import check_camera, filter_curve, filter_key

__all__ = ["synthetic_magnitudes"]

_FLUX_UNIT = u.erg / u.s / u.cm**2 / u.AA
# The AB reference (Oke & Gunn 1983), 3631 Jy, in erg / s / cm2 / Angstrom times Angstrom^2.
_AB_ZERO = (3631 * u.Jy * constants.c).to_value(_FLUX_UNIT * u.AA**2)
_POGSON = 2.5 / np.log(10)


def synthetic_magnitudes(
    spectrum: Spectrum,
    bands: str | Sequence[str],
    *,
    system: str = "vega",
    camera: str | Mapping[str, str] | None = None,
    min_coverage: float = 0.95,
) -> Table:
    """Compute synthetic magnitudes of spectra in HST filters.

    Parameters
    ----------
    spectrum : `~specutils.Spectrum`, shape (n_wavelengths,) or (n, n_wavelengths)
        In a unit of flux density per wavelength or frequency; may contain several spectra, as from
        `extract_spectra`.
    bands : str or sequence of str
        Filters, such as ``["F555W", "F814W"]``.
    system : str, optional
        ``"vega"`` or ``"ab"``.
    camera : str or mapping, optional
        See `to_spectrum`.
    min_coverage : float, optional
        Minimum fraction of a filter, in electrons from a source of constant AB magnitude, that the
        spectrum must cover; masked and NaN values do not count. The magnitude is that of the
        covered part.

    Returns
    -------
    result : `~astropy.table.Table`, length n
        For each filter, such as F555W, ``mag_f555w`` and, if the spectrum has an uncertainty,
        ``mag_err_f555w`` (mag), named as in `~astroclust.photometry.measure_photometry` and masked
        if missing. Noise is assumed to be independent between wavelengths.

    Raises
    ------
    KeyError
        If there is no such filter.
    ValueError
        If the spectrum is not in a unit of flux density, or an argument is invalid.
    ModuleNotFoundError
        If sedpy, which provides most filter curves, is not installed.

    Warns
    -----
    AstropyUserWarning
        If filters are not covered; issued once, with their names and the largest covered fraction.

    Notes
    -----
    The mean flux density is that of a photon-counting detector (Bessell & Murphy 2012, app. A).
    Throughputs are those of STScI, from ``astro-sedpy`` and, for F438W and F547M of WFC3/UVIS, from
    ``astroclust/data/filter_curves.ecsv``. The AB magnitudes of Vega are those of STScI, as in
    `to_spectrum` and `~astroclust.photometry.measure_photometry`.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy import units as u
    >>> from specutils import Spectrum
    >>> from astroclust import synthetic_magnitudes
    >>> wavelength = np.arange(3000, 10000, 5) * u.AA
    >>> flat = Spectrum(flux=np.full(1400, 3.631e-5) * u.Jy, spectral_axis=wavelength)
    >>> print(synthetic_magnitudes(flat, ["F438W", "F547M"], system="ab"))
    mag_f438w mag_f547m
       mag       mag
    --------- ---------
         20.0      20.0
    """
    if not isinstance(spectrum, Spectrum):
        raise TypeError(f"spectrum must be a specutils Spectrum, not {type(spectrum).__name__}")
    if system not in ("vega", "ab"):
        raise ValueError(f"system must be vega or ab, not {system!r}")
    if not 0 < min_coverage <= 1:
        raise ValueError(f"min_coverage must be above 0 and at most 1, not {min_coverage!r}")
    check_camera(camera)
    bands = [bands] if isinstance(bands, str) else list(bands)
    keys = [filter_key(name, camera) for name in bands]
    wavelength, flux, error = _values(spectrum)
    result, uncovered = Table(), []
    for key in keys:
        magnitude, magnitude_error, coverage = _measure(wavelength, flux, error, key)
        if system == "vega":
            magnitude -= find_filter(*key).ab_of_vega
        lost = ~(coverage >= min_coverage)
        if lost.any():
            best = coverage[lost].max()
            uncovered.append(f"{key[1]} ({best:.0%}, {lost.sum()} of {len(lost)})")
        what = f"{system.upper() if system == 'ab' else 'Vega'} magnitude, {' '.join(key)}"
        _add(result, f"mag_{key[1].lower()}", np.where(lost, np.nan, magnitude), what)
        if error is not None:
            of = f"error of mag_{key[1].lower()}"
            _add(result, f"mag_err_{key[1].lower()}", np.where(lost, np.nan, magnitude_error), of)
    if uncovered:
        warnings.warn(
            f"spectra cover too little of {', '.join(uncovered)}; lower min_coverage "
            f"({min_coverage:g}) to get the magnitudes of the covered parts",
            AstropyUserWarning,
            stacklevel=2,
        )
    return result


def _values(spectrum):
    """Increasing wavelengths in Angstrom; flux densities and errors, shape (n, n_wavelengths)."""
    axis = spectrum.spectral_axis_index
    flux = u.Quantity(np.moveaxis(spectrum.flux, axis, -1))
    if flux.ndim > 2:
        raise ValueError(
            f"spectrum has shape {flux.shape}; pass one spectrum, or an array of shape (n, "
            "n_wavelengths) as from extract_spectra"
        )
    wavelength = u.Quantity(spectrum.spectral_axis).to(u.AA, u.spectral())
    try:
        per_unit = (1 * flux.unit).to(_FLUX_UNIT, u.spectral_density(wavelength)).value
    except u.UnitConversionError:
        raise ValueError(
            f"spectrum is in {flux.unit}, which is not a unit of flux density; calibrate it or, "
            "if it is a surface brightness, multiply its flux by the solid angle"
        ) from None
    values = np.atleast_2d(flux.value * per_unit)
    values = values.copy() if spectrum.mask is None else _masked(values, spectrum.mask, axis)
    error = None
    if spectrum.uncertainty is not None:
        error = spectrum.uncertainty.represent_as(StdDevUncertainty)
        unit = error.unit or flux.unit
        error = np.moveaxis(u.Quantity(error.array, unit).to_value(flux.unit), axis, -1)
        error = np.atleast_2d(error * per_unit)
    order = np.argsort(wavelength.value)
    return wavelength.value[order], values[:, order], None if error is None else error[:, order]


def _masked(values, mask, axis):
    mask = np.atleast_2d(np.moveaxis(np.asarray(mask, bool), axis, -1))
    return np.where(mask, np.nan, values)


def _measure(wavelength, flux, error, key):
    """AB magnitudes, their errors, and the covered fractions of the filter."""
    curve = filter_curve(*key)
    weights = _weights(wavelength, *curve)
    reference = weights * _AB_ZERO / wavelength**2
    whole = np.trapezoid(curve[1] / curve[0], curve[0]) * _AB_ZERO
    good = np.isfinite(flux)
    covered = np.where(good, reference, 0).sum(axis=1)
    total = np.where(good, flux * weights, 0).sum(axis=1)
    magnitude = np.full(len(flux), np.nan)
    magnitude_error = np.full(len(flux), np.nan)
    bright = (total > 0) & (covered > 0)
    magnitude[bright] = -2.5 * np.log10(total[bright] / covered[bright])
    if error is not None:
        variance = np.where(good, (error * weights) ** 2, 0).sum(axis=1)
        magnitude_error[bright] = _POGSON * np.sqrt(variance[bright]) / total[bright]
    return magnitude, magnitude_error, covered / whole


def _weights(wavelength, curve_wavelength, throughput):
    """Weight of each spectral value in the integral of flux, throughput and wavelength.

    The spectrum is interpolated linearly and is zero beyond its ends; the integral uses the points
    of both curves.
    """
    weights = np.zeros(len(wavelength))
    low, high = np.maximum(wavelength[0], curve_wavelength[0]), curve_wavelength[-1]
    high = np.minimum(wavelength[-1], high)
    if len(wavelength) < 2 or not low < high:
        return weights
    points = np.unique(np.concatenate([wavelength, curve_wavelength, [low, high]]))
    points = points[(points >= low) & (points <= high)]
    steps = np.diff(points)
    widths = np.zeros(len(points))
    widths[:-1] += steps / 2
    widths[1:] += steps / 2
    counts = widths * np.interp(points, curve_wavelength, throughput) * points
    right = np.clip(np.searchsorted(wavelength, points), 1, len(wavelength) - 1)
    fraction = (points - wavelength[right - 1]) / (wavelength[right] - wavelength[right - 1])
    np.add.at(weights, right - 1, counts * (1 - fraction))
    np.add.at(weights, right, counts * fraction)
    return weights


def _add(result, name, values, description):
    lost = ~np.isfinite(values)
    result[name] = MaskedColumn(
        values, mask=lost, unit="mag", fill_value=np.nan, description=description
    )
