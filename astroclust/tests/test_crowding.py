# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest

from astroclust.simulation.crowding import diffuse_light, draw_rivals
from astroclust.simulation.template import V

ZERO_POINTS = np.array([22.6, 23.5, 24.9, 25.8, 24.6])


def rivals(label, seed):
    return draw_rivals(np.random.default_rng(seed), label, 25, 25, 100.0, (50, 50), ZERO_POINTS)


def test_rivals_are_the_more_the_worse_the_class():
    numbers = []
    for label in (1, 2, 3, 4):
        stars = [rivals(label, seed) for seed in range(60)]
        numbers.append(np.mean([np.count_nonzero(each.flux[V] > 25) for each in stars]))
    assert np.all(np.diff(numbers) > 0)
    # An image of 50 pixels and its margin hold some three circles of 25 pixels.
    assert 2 < numbers[-1] / 8 < 4


@pytest.mark.parametrize("label", [1, 2, 3])
def test_no_bright_rival_is_in_the_aperture_of_a_cluster(label):
    for seed in range(30):
        stars = rivals(label, seed)
        near = np.hypot(stars.x - 25, stars.y - 25) < 4
        assert not (stars.flux[V, near] > 16).any()


def test_rivals_go_with_the_flux_of_the_candidate():
    bright, faint = (
        draw_rivals(np.random.default_rng(1), 4, 25, 25, flux, (50, 50), ZERO_POINTS)
        for flux in (100.0, 1.0)
    )
    np.testing.assert_allclose(bright.flux, 100 * faint.flux)
    assert (
        draw_rivals(np.random.default_rng(1), 4, 25, 25, 0.0, (50, 50), ZERO_POINTS).flux.sum() < 1
    )


def test_diffuse_light_has_the_photon_noise_that_was_asked_for():
    light = diffuse_light([0.01, 0.05, 0.005, 10.0], 0.01, 1000.0)
    np.testing.assert_allclose(light, [0, (0.05**2 - 0.01**2) * 1000, 0, 5.0])
    assert np.sqrt(light[1] / 1000) == pytest.approx(np.sqrt(0.05**2 - 0.01**2))
