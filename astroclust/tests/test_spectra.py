# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest

from astroclust.simulation.observations import observe_like, observe_with
from astroclust.simulation.spectra import line_fraction, line_width, translate


@pytest.fixture(scope="module")
def template():
    return observe_like("ngc1566", np.random.default_rng(0), np.ones(5))


def observe(template, *pairs):
    return observe_with(pairs, 0.04, template, np.random.default_rng(1))


def ab_flux(observation, magnitude):
    """Rates of a source with an AB magnitude in each band."""
    zero_points = np.array([item.rate_zero_point for item in observation.passbands])
    return 10 ** (0.4 * (zero_points - magnitude))


def vega_magnitudes(template, v_i, target, cool):
    """Magnitudes of a source with V = 20 and colors of a star, in other filters."""
    magnitudes = 20 + v_i * np.array([2.5, 1.8, 0.9, 0, -1])
    flux = 10 ** (0.4 * (template.zero_points - magnitudes))
    return target.zero_points - 2.5 * np.log10(translate(flux, template, target, cool=cool))


def test_the_same_filter_has_the_same_flux_density(template):
    flux = np.array([[1.0, 3], [2, 2], [3, 1], [4, 0.5], [5, 0.1]])
    same = observe(template, *zip(template.cameras, template.filters, strict=True))
    np.testing.assert_allclose(translate(flux, template, same), flux, rtol=1e-12)
    # The other camera has more electrons of it.
    acs = observe(template, ("acs", "F814W"))
    ratio = 10 ** (0.4 * (acs.passbands[0].rate_zero_point - template.passbands[4].rate_zero_point))
    np.testing.assert_allclose(translate(flux, template, acs)[0], ratio * flux[4], rtol=1e-12)


@pytest.mark.parametrize(
    "pair", [("uvis", "F390W"), ("uvis", "F475W"), ("acs", "F625W"), ("uvis", "F657N")]
)
def test_a_flat_spectrum_stays_flat_between_the_bands(template, pair):
    target = observe(template, pair)
    flux = ab_flux(template, 21.0)
    assert translate(flux, template, target) == pytest.approx(ab_flux(target, 21.0), rel=1e-9)


def test_beyond_nuv_the_slope_goes_on(template):
    target = observe(template, ("uvis", "F225W"))
    waves = np.log([item.pivot for item in (*template.passbands[:2], *target.passbands)])
    flux = ab_flux(template, 21.0) * 10 ** (0.4 * np.array([-1.0, 0, 0, 0, 0]))
    faint = translate(flux, template, target) / ab_flux(target, 21.0)
    slope = (waves[1] - waves[2]) / (waves[1] - waves[0])
    assert -2.5 * np.log10(faint) == pytest.approx(slope, rel=1e-6)


def test_red_colors_are_those_of_stars_and_clusters(template):
    target = observe(template, ("ir", "F125W"), ("nircam-sw", "F200W"), ("nircam-lw", "F277W"))
    # Vega has no colors; a K0 giant has I-J of 0.7 and I-K of 1.3.
    assert vega_magnitudes(template, 0.0, target, 0.0) == pytest.approx([20, 20, 20], abs=0.1)
    giant = 19 - vega_magnitudes(template, 1.0, target, 0.0)
    assert giant == pytest.approx([0.7, 1.3, 1.4], abs=0.1)
    cluster = 19 - vega_magnitudes(template, 1.0, target, 0.15)
    assert 0.7 < cluster[0] < 1.0
    assert 1.4 < cluster[1] < 1.8
    # Red giants make young clusters redder than stars of their color in V-I.
    young = [20 - vega_magnitudes(template, 0.0, target, cool)[1] for cool in (0.0, 0.15)]
    assert young[1] > young[0] + 0.5


def test_redder_sources_are_redder_beyond_i(template):
    target = observe(template, *(("nircam-sw", name) for name in ("F090W", "F115W", "F200W")))
    colors = [20 - v_i - vega_magnitudes(template, v_i, target, 0.15) for v_i in (-0.3, 0.5, 1, 2)]
    assert np.all(np.diff(colors, axis=0) > 0)
    assert np.all(np.diff(colors, axis=1) > 0)


def test_bands_without_flux_are_filled_from_the_next(template):
    target = observe(template, ("uvis", "F390W"), ("nircam-sw", "F115W"))
    flux = ab_flux(template, 20.0)
    for missing in ([0], [0, 1], [4], [0, 1, 2, 4]):
        part = flux.copy()
        part[missing] = 0
        filled = translate(part, template, target, cool=0.0)
        expected = translate(flux, template, target, cool=0.0)
        np.testing.assert_allclose(filled, expected, rtol=1e-9)
    assert not translate(np.zeros((5, 2)), template, target).any()
    assert translate(np.empty((5, 0)), template, target).shape == (2, 0)


def test_lines_fade_with_age():
    widths = line_width([6.0, 6.5, 6.7, 7.0, 7.5, 9.0])
    assert np.all(np.diff(widths[:5]) < 0)
    assert widths[0] > 1000
    assert not widths[4:].any()
    assert line_width(np.nan) == 0
    assert not line_width([np.nan, 10.0]).any()


def test_filters_catch_the_lines_within_their_width(template):
    pairs = [("uvis", "F657N"), ("acs", "F658N"), ("uvis", "F658N"), ("uvis", "F656N")]
    pairs += [("uvis", "F547M"), ("nircam-sw", "F115W"), ("acs", "F625W")]
    wide, acs, nitrogen, alpha, *others, broad = line_fraction(observe(template, *pairs))
    assert wide == pytest.approx(1.33 / 121.3, rel=1e-3)
    assert acs == pytest.approx(1.33 / 74.9, rel=1e-3)
    assert nitrogen == pytest.approx(0.33 / 27.5, rel=1e-3)
    assert alpha == pytest.approx(1 / 17.7, rel=1e-3)
    assert others == [0, 0]
    assert 0 < broad < wide / 5
