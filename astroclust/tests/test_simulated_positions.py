# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from scipy.spatial import KDTree

from astroclust.simulation.positions import crowding_of, draw_positions, scatter

ALONE = {"group_fraction": 0.0, "group_size": 3.0, "group_radius": 20.0}
GROUPS = {"group_fraction": 0.9, "group_size": 6.0, "group_radius": 8.0}


def nearest(positions):
    return KDTree(positions.T).query(positions.T, 2)[0][:, 1]


@pytest.mark.parametrize("groups", [ALONE, GROUPS])
def test_positions_are_in_the_image_and_apart(groups):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x, y = positions = draw_positions(rng, (300, 400), 2e-3, **groups)
        assert x.min() > 0
        assert y.min() > 0
        assert x.max() < 399
        assert y.max() < 299
        assert nearest(positions).min() > 3


@pytest.mark.parametrize("groups", [ALONE, GROUPS])
def test_there_are_as_many_as_asked(groups):
    rng = np.random.default_rng(1)
    counts = [draw_positions(rng, (900, 1000), 3e-4, **groups).shape[1] for _ in range(12)]
    assert np.mean(counts) == pytest.approx(270, rel=0.1)
    assert draw_positions(rng, (100, 100), 1e-9, **groups).shape == (2, 0)


def test_groups_are_groups():
    shape, density = (1000, 1000), 3e-4
    alone, grouped = (
        draw_positions(np.random.default_rng(1), shape, density, **groups)
        for groups in (ALONE, GROUPS)
    )
    # Random positions: half have a neighbor within sqrt(ln 2 / pi / density).
    assert np.median(nearest(alone)) == pytest.approx(27, rel=0.15)
    assert np.median(nearest(grouped)) < 14


def test_positions_follow_a_map():
    rng = np.random.default_rng(2)
    weight = np.zeros((80, 60))
    weight[20:40, 10:30] = 1.0
    weight[20:40, 30:50] = 3.0
    x, y = scatter(rng, weight.shape, 4000, weight)
    assert y.min() >= 19.5
    assert y.max() < 39.5
    assert x.min() >= 9.5
    assert x.max() < 49.5
    assert np.mean(x > 29.5) == pytest.approx(0.75, abs=0.03)
    # Within the pixels, too, they are spread evenly.
    assert np.mean(x - np.round(x)) == pytest.approx(0, abs=0.02)
    positions = draw_positions(rng, (80, 60), 2e-2, **ALONE, weight=weight)
    assert weight[tuple(np.round(positions[::-1]).astype(int))].all()


@pytest.mark.parametrize("weight", [None, np.ones((50, 40))])
def test_positions_beyond_the_edges(weight):
    x, y = scatter(np.random.default_rng(3), (50, 40), 6000, weight, margin=10)
    assert x.min() == pytest.approx(-10.5, abs=0.2)
    assert x.max() == pytest.approx(49.5, abs=0.2)
    assert y.min() == pytest.approx(-10.5, abs=0.2)
    assert y.max() == pytest.approx(59.5, abs=0.2)
    assert np.mean((x > -0.5) & (x < 39.5)) == pytest.approx(2 / 3, abs=0.03)


def test_crowding_is_that_of_the_others():
    positions = np.array([[0.0, 2, 100, 500], [0, 0, 0, 0]])
    crowding = crowding_of(positions)
    assert crowding[0] == pytest.approx(1 / 4 + 1 / 100**2 + 1 / 500**2)
    assert np.argmin(crowding) == 3
    assert crowding_of(positions[:, :1]).tolist() == [0]
    assert crowding_of(positions[:, :0]).shape == (0,)


def test_equal_generators_give_equal_positions():
    first, again = (
        draw_positions(np.random.default_rng(7), (200, 200), 1e-3, **GROUPS) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
