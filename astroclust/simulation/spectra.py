# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""From fluxes in the bands of LEGUS to those in any filter: interpolated, extended, with lines.

Between the bands of LEGUS a spectrum is a straight line in AB magnitude and the logarithm of
wavelength. Blueward of NUV that of NUV and U goes on. Redward of I it is that of a black body with
the V-I color of the source, and of the red giants and supergiants that some of the light in I comes
from. Lines of ionized gas are added to filters whose width has them.
"""

import numpy as np

from astroclust.simulation.template import V

__all__ = ["COOL_FRACTION", "line_fraction", "line_width", "translate"]

#: Fraction of the light in I of clusters and galaxies that is from cool giants; a choice that gives
#: I-J of 0.8 and I-K of 1.6 mag for V-I of 1 mag (Vega), between those of a G star and a galaxy.
COOL_FRACTION = 0.25
_COOL = 3600.0  # their temperature in K
# Temperatures that a V-I color can mean, in K.
_TEMPERATURES = np.geomspace(2000.0, 1e5, 400)
_HC_OVER_K = 1.4387769e8  # Angstrom K
# Lines by wavelength in Angstrom, relative to H-alpha: [N II] is that of H II regions of solar
# metallicity.
_LINES = {6562.8: 1.0, 6583.5: 0.33}
# Equivalent width of H-alpha in Angstrom by the logarithm of age in years, for a burst of solar
# metallicity; rounded after Starburst99 (Leitherer et al. 1999).
_LOG_AGES = np.array([6.0, 6.3, 6.5, 6.6, 6.7, 6.8, 6.9, 7.0, 7.2])
_WIDTHS = np.array([2500.0, 2000.0, 1500.0, 800.0, 450.0, 200.0, 80.0, 20.0, 0.0])


def translate(flux, template, target, *, cool=COOL_FRACTION):
    """Fluxes of the continuum in other filters.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (5, ...)
        Fluxes in the bands of LEGUS, e-/s; a band without flux is taken to have the AB magnitude of
        the next one towards V.
    template, target : `~astroclust.simulation.observations.Observation`
        Filters and zero points of ``flux``, and those that are asked for.
    cool : float, optional
        Fraction of the light in I that comes from cool giants: 0 for single stars.

    Returns
    -------
    flux : `~numpy.ndarray`, shape (bands, ...)
        e-/s; the same flux density for a filter that LEGUS has.
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
            row = np.exp(_at(np.log(item.pivot), waves, log_density, cool))
            row[density[V] <= 0] = 0
        result[i] = row * 10 ** (0.4 * item.rate_zero_point)
    return result


def _filled(density):
    """Positive flux densities in all bands: that of the next band towards V, if there is none."""
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
        color = log_density[V] - log_density[-1]
        tail = _tail(color, *np.exp([waves[V], waves[-1], wave]), cool)
        return log_density[-1] + np.log(tail)
    low = int(np.clip(np.searchsorted(waves, wave) - 1, 0, len(waves) - 2))
    part = (wave - waves[low]) / (waves[low + 1] - waves[low])
    return (1 - part) * log_density[low] + part * log_density[low + 1]


def _tail(color, v, i, wavelength, cool):
    """Flux density relative to that in I, for the logarithm of the flux ratio of V and I."""
    ratios = np.log(_black_body(v, _TEMPERATURES) / _black_body(i, _TEMPERATURES))
    temperature = np.interp(color, ratios, _TEMPERATURES)
    hot = _black_body(wavelength, temperature) / _black_body(i, temperature)
    return (1 - cool) * hot + cool * _black_body(wavelength, _COOL) / _black_body(i, _COOL)


def _black_body(wavelength, temperature):
    """Planck's law per frequency, up to a factor."""
    return wavelength**-3.0 / np.expm1(_HC_OVER_K / (wavelength * temperature))


def line_width(log_age):
    """Equivalent width of H-alpha of a stellar population with its H II region.

    Parameters
    ----------
    log_age : array_like of float
        Decimal logarithm of the age in years; NaN for what is not a population.

    Returns
    -------
    width : `~numpy.ndarray` of float64
        Angstrom; 0 from some 15 Myr on, and for NaN.
    """
    return np.nan_to_num(np.interp(log_age, _LOG_AGES, _WIDTHS))


def line_fraction(target):
    """Flux of the lines relative to the continuum, for an equivalent width of 1 Angstrom.

    Parameters
    ----------
    target : `~astroclust.simulation.observations.Observation`
        Its filters.

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
