# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table

from astroclust import concentration_index, simulate_field, simulate_stamps
from astroclust.simulation.scenes import Source, draw_conditions, draw_scene, draw_tiles


def test_equal_seeds_give_equal_pixels():
    stamps = simulate_stamps(40, seed=3)
    again = simulate_stamps(40, seed=3, workers=2)
    np.testing.assert_array_equal(again.data, stamps.data)
    assert again.table["kind"].tolist() == stamps.table["kind"].tolist()
    assert not np.array_equal(simulate_stamps(2, seed=4).data, stamps.data[:2])


def test_stamps_have_their_truth():
    stamps = simulate_stamps(60, seed=5)
    assert np.isfinite(stamps.data).all()
    assert stamps.present.all()
    assert set(stamps.table["class"]) == {1, 2, 3, 4}
    kinds = set(stamps.table["kind"][stamps.table["class"] == 1])
    assert kinds == {"symmetric"}
    assert simulate_stamps(1, seed=1, size=25).size == 25
    assert len(simulate_stamps(0, seed=1)) == 0


def test_light_is_conserved_and_in_place():
    conditions = draw_conditions(np.random.default_rng(1), 10)
    flux = np.array([1.0, 2, 3, 4, 5])
    image = draw_scene([Source(40.0, 30.0, flux)], (64, 80), conditions)
    assert image.shape == (5, 64, 80)
    # About a tenth of the light lies outside 0.4 arcsec, some of it outside the image.
    assert np.all(image.sum(axis=(1, 2)) / flux > 0.85)
    assert np.all(image.sum(axis=(1, 2)) / flux < 1.02)
    for band in image:
        assert np.unravel_index(band.argmax(), band.shape) == (30, 40)


def test_stars_are_as_sharp_as_the_real_ones():
    # The encircled energies of STScI give stars a concentration index of 1.15 in F555W.
    rng = np.random.default_rng(2)
    index = []
    for _ in range(6):
        image = draw_scene([Source(30.0, 30.0, np.ones(5))], (61, 61), draw_conditions(rng, 10))
        index.append(concentration_index(Table({"x": [30.0], "y": [30.0]}), image[3])[0])
    assert np.median(index) == pytest.approx(1.15, abs=0.1)


def test_tiles_fit_together():
    rng = np.random.default_rng(2)
    conditions = draw_conditions(rng, 10)
    sources = [Source(*rng.uniform(0, 200, 2), np.ones(5)) for _ in range(30)]
    sources.append(Source(126.0, 60.0, np.full(5, 2000.0)))
    tiled = draw_tiles(sources, (200, 200), conditions)
    whole = draw_scene(sources, (200, 200), conditions, 200)
    # What differs is the light of sources beyond the margin of a tile.
    assert np.abs(tiled - whole).max() < 0.01
    seam = np.abs(np.diff(tiled[:, 100:, 127:129], axis=2) - np.diff(whole[:, 100:, 127:129]))
    assert seam.max() < 2e-3


def test_fields_have_images_and_truth():
    field = simulate_field(shape=(150, 90), seed=2, distance=5 * u.Mpc, density=1e-3)
    assert field.images.shape == (150, 90)
    assert field.images.filters == ("F275W", "F336W", "F438W", "F555W", "F814W")
    assert field.images["V"].meta["EXPTIME"] > 100
    x, y = field.images.wcs.world_to_pixel_values(field.truth["ra"], field.truth["dec"])
    np.testing.assert_allclose(x, field.truth["x"], atol=1e-6)
    np.testing.assert_allclose(y, field.truth["y"], atol=1e-6)
    assert field.truth["x"].max() < 90
    assert len(field.truth) > 4


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="n must not be negative"):
        simulate_stamps(-1, seed=1)
    with pytest.raises(ValueError, match="size must be at least 8"):
        simulate_stamps(1, seed=1, size=2)
    with pytest.raises(ValueError, match="at least 32 x 32"):
        simulate_field(shape=(10, 10), seed=1)
    with pytest.raises(ValueError, match="must be positive"):
        simulate_field(seed=1, distance=-3)
