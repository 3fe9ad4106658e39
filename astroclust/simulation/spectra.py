# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Convert fluxes in the LEGUS bands to any filter: interpolation, extrapolation and lines.

Between the LEGUS bands a spectrum is linear in AB magnitude and the logarithm of wavelength;
blueward of NUV, the line through NUV and U is extended. Redward of I it is that of stars with the
V-I color of the source, plus the cool giants that emit part of the light of a population. Emission
lines of ionized gas are added to filters whose passband includes them. Hot dust and PAHs, which
some young clusters show beyond 3 microns, are not included.
"""

import numpy as np

from astroclust.simulation.template import V

__all__ = ["COOL_FRACTION", "line_fraction", "line_width", "translate"]

#: Fraction of the light in I from cool giants, in clusters and galaxies; chosen to give I-J of 0.8
#: and I-K of 1.6 mag for V-I of 1 mag (Vega), as in old clusters.
COOL_FRACTION = 0.15
_COOL_COLOR = 1.8  # their V-I, that of early M giants
# Beyond I, colors are proportional to V-I: wavelength in Angstrom, and I minus the magnitude at
# that wavelength for V-I of 1 mag, from the colors of a K0 giant in J, H, K, L and M (Bessell &
# Brett 1988), which reddening changes in nearly the same proportions; and the AB magnitude of Vega.
_RED_WAVES = np.array([8020.0, 12500.0, 16500.0, 22000.0, 35000.0, 48000.0])
_RED_SLOPES = (0.0, 0.69, 1.20, 1.35, 1.45, 1.40)
_RED_VEGA = (0.43, 0.91, 1.39, 1.85, 2.76, 3.41)
_VEGA_V_I = -0.46  # AB color of Vega
# Lines by wavelength in Angstrom, relative to H-alpha; [N II] is for H II regions of solar
# metallicity.
_LINES = {6562.8: 1.0, 6583.5: 0.33}
# Equivalent width of H-alpha in Angstrom by the logarithm of age in years, for a burst of solar
# metallicity; rounded from Starburst99 (Leitherer et al. 1999).
_LOG_AGES = np.array([6.0, 6.3, 6.5, 6.6, 6.7, 6.8, 6.9, 7.0, 7.2])
_WIDTHS = np.array([2500.0, 2000.0, 1500.0, 800.0, 450.0, 200.0, 80.0, 20.0, 0.0])


def translate(flux, template, target, *, cool=COOL_FRACTION):
    """Continuum fluxes in other filters.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (5, ...)
        Fluxes in the LEGUS bands, e-/s; a band without flux is given the AB magnitude of the next
        one towards V.
    template, target : `~astroclust.simulation.observations.Observation`
        Filters and zero points of ``flux``, and of the result.
    cool : float, optional
        Fraction of the light in I that comes from cool giants: 0 for single stars.

    Returns
    -------
    flux : `~numpy.ndarray`, shape (bands, ...)
        In e-/s; the flux density is unchanged for LEGUS filters.
    """
    flux = np.asarray(flux)
    zero_points = [item.rate_zero_point for item in template.passbands]
    density = np.array(
        [row * 10 ** (-0.4 * zero) for row, zero in zip(flux, zero_points, strict=True)]
    )
    log_density = np.log(_filled(density))
    waves = np.log([item.pivot for item in template.passbands])
    known = {item.name: row for item, row in zip(template.passbands, density, strict=True)}
    result = np.empty((len(target.filters), *flux.shape[1:]), flux.dtype)
    for i, item in enumerate(target.passbands):
        row = known.get(item.name)
        if row is None:
            row = np.exp(_at(np.log(item.pivot), waves, log_density, cool)) * (density[V] > 0)
        result[i] = row * 10 ** (0.4 * item.rate_zero_point)
    return result


def _filled(density):
    """Flux densities with missing values replaced by those of the next band towards V."""
    density = np.array(density)
    density[V] = np.where(density[V] > 0, density[V], 1.0)
    for step in (-1, 1):
        band = V + step
        while 0 <= band < len(density):
            density[band] = np.where(density[band] > 0, density[band], density[band - step])
            band += step
    return density


def _at(wave, waves, log_density, cool):
    """Logarithm of the flux density per frequency at the logarithm of a wavelength."""
    if wave > waves[-1]:
        return log_density[-1] + np.log(_tail(log_density[-1] - log_density[V], wave, cool))
    low = int(np.clip(np.searchsorted(waves, wave) - 1, 0, len(waves) - 2))
    part = (wave - waves[low]) / (waves[low + 1] - waves[low])
    return (1 - part) * log_density[low] + part * log_density[low + 1]


def _tail(red, wave, cool):
    """Flux density relative to that in I, for the logarithm of the flux ratio of I and V."""
    slope, vega = (np.interp(wave, np.log(_RED_WAVES), row) for row in (_RED_SLOPES, _RED_VEGA))
    # Vega has a Rayleigh-Jeans spectrum beyond the end of the table.
    vega += 5 / np.log(10) * max(wave - np.log(_RED_WAVES[-1]), 0)
    v_i = 2.5 / np.log(10) * red - _VEGA_V_I
    stars, giants = (10 ** (0.4 * slope * color) for color in (v_i, _COOL_COLOR))
    return ((1 - cool) * stars + cool * giants) * 10 ** (0.4 * (_RED_VEGA[0] - vega))


def line_width(log_age):
    """Equivalent width of H-alpha of a stellar population with its H II region.

    Parameters
    ----------
    log_age : array_like of float
        Decimal logarithm of the age in years; NaN for sources that are not a population.

    Returns
    -------
    width : `~numpy.ndarray` of float64
        In Angstrom; 0 beyond about 15 Myr, and for NaN.
    """
    return np.nan_to_num(np.interp(log_age, _LOG_AGES, _WIDTHS))


def line_fraction(target):
    """Flux of the lines relative to the continuum, for an equivalent width of 1 Angstrom.

    Parameters
    ----------
    target : `~astroclust.simulation.observations.Observation`
        Observation with the filters.

    Returns
    -------
    fraction : `~numpy.ndarray` of float64, shape (bands,)
        0 for filters without a line.
    """
    return np.array([_caught(item) for item in target.passbands])


def _caught(item):
    if not np.isfinite(item.width):
        return 0.0
    return sum(
        strength / item.width
        for wavelength, strength in _LINES.items()
        if abs(wavelength - item.pivot) < item.width / 2
    )
