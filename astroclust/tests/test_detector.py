# Licensed under a 3-clause BSD style license - see LICENSE.rst
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from astroclust.simulation import detector
from astroclust.simulation.detector import (
    add_noise,
    add_residue,
    coverage,
    saturate,
    scatter_residue,
    subtract_sky,
)

OBSERVATION = SimpleNamespace(
    filters=("F275W", "F336W", "F435W", "F555W", "F814W"),
    cameras=("uvis", "uvis", "acs", "acs", "acs"),
    pixel_scale=0.0396,
    exposure_times=np.array([2382.0, 1119.0, 965.0, 1143.0, 989.0]),
    sky_noise=np.array([0.0027, 0.0031, 0.0054, 0.0084, 0.0165]),
)
# One band whose full well is 210 e-/s a pixel, and whose sky is free of noise.
QUIET = SimpleNamespace(
    filters=("F555W",),
    cameras=("uvis",),
    pixel_scale=0.0396,
    exposure_times=np.array([1000.0]),
    sky_noise=np.array([1e-6]),
)
FULL = 210.0


def empty(ny=300, nx=300, bands=5):
    return np.zeros((bands, ny, nx), np.float32)


def aperture_sums(band, radius, spacing):
    """Sums in round apertures in the middles of the cells of a grid."""
    cells = band.reshape(band.shape[0] // spacing, spacing, -1, spacing).swapaxes(1, 2)
    y, x = np.indices((spacing, spacing)) - spacing // 2
    return cells[..., np.hypot(x, y) <= radius].sum(axis=-1, dtype=float)


def covers(count, shape=(1500, 1500)):
    for seed in range(count):
        yield coverage(shape, OBSERVATION, np.random.default_rng(seed))


def test_gaps_miss_one_exposure_of_three():
    crossed = 0
    for cover in covers(6):
        assert cover.shape == (5, 1500, 1500)
        assert cover.dtype == np.float32
        assert cover.max() == 1
        assert cover.min() >= 2 / 3 - 1e-6
        # All but the edges of the strips has one of the two values.
        assert np.mean((cover < 0.999) & (cover > 0.668)) < 0.01
        crossed += cover.min() < 0.7
    assert crossed >= 3


def test_cameras_have_gaps_of_their_own():
    cover = next(c for c in covers(50, (500, 2500)) if np.all(c.min(axis=(1, 2)) < 0.7))
    np.testing.assert_array_equal(cover[0], cover[1])
    np.testing.assert_array_equal(cover[2], cover[4])
    assert np.any(cover[0] != cover[2])


def test_small_images_mostly_lie_beside_the_gap():
    outside = [cover.min() == 1 for cover in covers(40, (100, 100))]
    assert 0.5 < np.mean(outside) < 1


def test_gaps_are_as_wide_as_those_of_the_cameras():
    upright = SimpleNamespace(uniform=lambda low, high: 0.0)
    for camera, width in (("uvis", 1.2), ("acs", 2.5)):
        observation = SimpleNamespace(cameras=(camera,), pixel_scale=0.0396)
        cover = coverage((40, 600), observation, upright)[0]
        # The lost exposure, in pixels: three strips of a third each.
        np.testing.assert_allclose((1 - cover).sum(axis=1), width / 0.0396, rtol=1e-3)
        edges = np.flatnonzero(np.diff((cover[0] < 0.999).astype(int)))
        assert len(edges) == 6


def test_cameras_of_one_chip_have_no_gaps():
    observation = SimpleNamespace(cameras=("ir", "nircam-lw"), pixel_scale=0.06)
    assert (coverage((40, 600), observation, np.random.default_rng(1)) == 1).all()


def test_empty_sky_is_as_noisy_as_measured():
    image = empty()
    add_noise(image, OBSERVATION, np.random.default_rng(1))
    assert image.dtype == np.float32
    np.testing.assert_allclose(image.std(axis=(1, 2)), OBSERVATION.sky_noise, rtol=0.03)
    np.testing.assert_allclose(image.mean(axis=(1, 2)) / OBSERVATION.sky_noise, 0, atol=0.03)


def test_noise_of_neighbors_is_correlated():
    image = empty()
    add_noise(image, OBSERVATION, np.random.default_rng(2))
    # Of the kernel: 2 x 0.12 x 0.76 / (0.76^2 + 2 x 0.12^2).
    for band in image:
        assert np.corrcoef(band[1:].ravel(), band[:-1].ravel())[0, 1] == pytest.approx(
            0.30, abs=0.02
        )
        assert np.corrcoef(band[:, 1:].ravel(), band[:, :-1].ravel())[0, 1] == pytest.approx(
            0.30, abs=0.02
        )
        assert abs(np.corrcoef(band[4:].ravel(), band[:-4].ravel())[0, 1]) < 0.02


def test_photon_noise_of_stars_is_that_of_poisson():
    spacing, flux = 16, 50.0
    y, x = np.indices((spacing, spacing)) - spacing // 2
    star = np.exp(-(x**2 + y**2) / (2 * 0.85**2))
    image = np.tile(flux * star / star.sum(), (50, 50)).astype(np.float32)[None]
    add_noise(image, QUIET, np.random.default_rng(3))
    sums = aperture_sums(image[0], 4, spacing)
    assert sums.mean() == pytest.approx(flux, rel=0.001)
    # Poisson: the variance of flux x time electrons is their number.
    assert sums.std() == pytest.approx(np.sqrt(flux / 1000), rel=0.05)


def test_apertures_of_sky_are_noisier_than_their_pixels():
    image = np.zeros((1, 800, 800), np.float32)
    sky = SimpleNamespace(exposure_times=np.array([1000.0]), sky_noise=np.array([0.01]))
    add_noise(image, sky, np.random.default_rng(4))
    independent = 0.01 * np.sqrt(np.count_nonzero(np.hypot(*np.mgrid[-4:5, -4:5]) <= 4))
    # At most by 1 / 0.6064, the damping by the kernel; in a small aperture by less.
    assert 1.3 < aperture_sums(image[0], 4, 16).std() / independent < 1.65


def test_noise_is_larger_where_an_exposure_is_missing():
    cover = np.ones((1, 600, 600), np.float32)
    cover[:, 300:] = 2 / 3
    for observation, level in ((QUIET, 5.0), (QUIET, 0.0)):
        image = np.full((1, 600, 600), level, np.float32)
        add_noise(image, observation, np.random.default_rng(5), cover)
        ratio = image[0, 305:-5].std() / image[0, 5:295].std()
        assert ratio == pytest.approx(np.sqrt(1.5), rel=0.02)


def test_full_coverage_is_the_default():
    image, covered = empty(), empty()
    add_noise(image, OBSERVATION, np.random.default_rng(6))
    add_noise(covered, OBSERVATION, np.random.default_rng(6), np.ones_like(covered))
    np.testing.assert_array_equal(image, covered)


def test_nothing_changes_below_the_full_well():
    image = np.random.default_rng(7).uniform(-1, FULL - 1, (1, 60, 50)).astype(np.float32)
    before = image.copy()
    saturate(image, QUIET)
    np.testing.assert_array_equal(image, before)


def test_charge_bleeds_up_and_down():
    image = np.ones((1, 101, 40), np.float32)
    image[0, 30, 20] = 10 * FULL
    image[0, 30, 19] = FULL - 1
    before = image.copy()
    saturate(image, QUIET)
    assert image.max() == np.float32(FULL)
    np.testing.assert_array_equal(np.delete(image, 20, axis=2), np.delete(before, 20, axis=2))
    trail = image[0, :, 20]
    np.testing.assert_allclose(trail[:61], trail[60::-1], rtol=1e-6)
    assert trail.sum(dtype=float) == pytest.approx(before[0, :, 20].sum(dtype=float))
    # The charge of nine pixels, which hold 1 already, fills nine, and the last ones not quite.
    assert np.count_nonzero(trail == np.float32(FULL)) == 9
    assert np.count_nonzero(trail > 1.01) == 11


@given(
    st.lists(st.floats(0, 3 * FULL, width=32), min_size=5, max_size=12),
    st.lists(st.floats(0, 2 * FULL, width=32), min_size=5, max_size=12),
)
def test_bleeding_conserves_charge(first, second):
    # Far from the edges there is room for all, also where two stars share a column.
    image = np.zeros((1, 120, 2), np.float32)
    image[0, 40 : 40 + len(first), 0] = first
    image[0, 60 : 60 + len(second), 0] = second
    before = image.sum(dtype=float)
    saturate(image, QUIET)
    assert image.min() >= -1e-9
    assert image.max() <= np.float32(FULL)
    assert image.sum(dtype=float) == pytest.approx(before, rel=1e-6)


def test_charge_flows_over_the_edge():
    image = np.zeros((1, 20, 3), np.float32)
    image[0, 2, 1] = 100 * FULL
    saturate(image, QUIET)
    np.testing.assert_array_equal(image[0, :, 1], np.float32(FULL))
    assert not image[0, :, ::2].any()


def test_full_wells_are_those_of_the_cameras():
    image = np.full((5, 10, 10), 1e6, np.float32)
    saturate(image, OBSERVATION)
    electrons = image[:, 5, 5] * OBSERVATION.exposure_times / 3
    np.testing.assert_allclose(electrons[:2], 70000, rtol=1e-5)
    # A pixel of ACS holds 80000, and is 1.6 times as large as one of the mosaic.
    np.testing.assert_allclose(electrons[2:], 50181, rtol=1e-3)


@pytest.mark.parametrize("kind", ["cosmic ray", "hot pixel"])
def test_residue_is_local(kind):
    rng = np.random.default_rng(8)
    counts = set()
    for _ in range(60):
        image = empty(60, 70)
        add_residue(image, kind, 30.4, 20.0, OBSERVATION, rng)
        hit = image.max(axis=(1, 2)) > 5 * OBSERVATION.sky_noise
        counts.add(int(hit.sum()))
        assert image.min() == 0
        _, y, x = np.nonzero(image > 1e-4 * image.max())
        reach = 8 if kind == "cosmic ray" else 3
        assert np.abs(y - 20).max() <= reach
        assert np.abs(x - 30).max() <= reach
    assert counts == {1, 2, 3}


def test_other_kinds_leave_no_residue():
    image = empty(20, 20)
    add_residue(image, "star", 10.0, 10.0, OBSERVATION, np.random.default_rng(9))
    assert not image.any()


@pytest.mark.parametrize("kind", ["cosmic ray", "hot pixel"])
@pytest.mark.parametrize(
    "position", [(30.2, 30.7), (20.0, 20.0), (39.6, 31.0), (12.0, 46.0), (0, 0)]
)
def test_residue_is_cut_at_the_edges(kind, position):
    """The part of an image that lies in a smaller one is the same there."""
    whole, part = empty(60, 60), empty(20, 20)
    add_residue(whole, kind, *position, OBSERVATION, np.random.default_rng(10))
    x, y = position[0] - 20, position[1] - 20
    add_residue(part, kind, x, y, OBSERVATION, np.random.default_rng(10))
    np.testing.assert_allclose(part, whole[:, 20:40, 20:40], rtol=1e-6)


def test_scattered_residue_is_rare_and_faint():
    image = empty(1000, 1000)
    scatter_residue(image, OBSERVATION, np.random.default_rng(11))
    relative = image / OBSERVATION.sky_noise[:, None, None]
    assert image.min() == 0
    fraction = (relative > 1).mean(axis=(1, 2))
    assert np.all(fraction > 3e-5)
    assert np.all(fraction < 5e-4)
    # Each in one band: two meet by chance only.
    bands_hit = np.sum(relative > 1, axis=0)
    assert np.mean(bands_hit[bands_hit > 0] > 1) < 0.02
    assert np.median(relative[relative > 1]) < 5
    assert relative.max() > 10


def test_scattered_residue_grows_with_the_area(monkeypatch):
    sizes = []
    monkeypatch.setattr(detector, "_deposit", lambda band, *_: sizes.append(band.size))
    scatter_residue(empty(800, 800), OBSERVATION, np.random.default_rng(12))
    expected = 5 * 800**2 * 3e-5
    assert len(sizes) == pytest.approx(expected, abs=4 * np.sqrt(expected))
    scatter_residue(empty(1, 1), OBSERVATION, np.random.default_rng(12))


@pytest.mark.parametrize("shape", [(200, 130), (64, 64), (30, 400), (1, 1)])
def test_constant_sky_is_subtracted(shape):
    sky = np.array([0.1, 2.0, -0.3, 0.0, 7.7], np.float32)
    image = np.broadcast_to(sky[:, None, None], (5, *shape)).copy()
    levels = subtract_sky(image)
    np.testing.assert_array_equal(levels, sky)
    assert image.dtype == np.float32
    assert not image.any()


def test_sky_is_that_of_the_dark_part():
    image = empty(512, 512)
    image += 0.3
    # A galaxy that fills the image but for one corner, and stars there.
    image += np.clip(np.linspace(-0.3, 1, 512), 0, None).astype(np.float32)
    image[:, ::40, ::40] += 100
    add_noise(image, OBSERVATION, np.random.default_rng(13))
    np.testing.assert_allclose(subtract_sky(image), 0.3, atol=0.003)


def test_a_galaxy_that_fills_the_field_is_partly_subtracted():
    image = empty(256, 256) + np.linspace(1, 2, 256, dtype=np.float32)
    levels = subtract_sky(image)
    assert np.all(levels > 1)
    assert np.all(levels < 1.2)


def test_equal_seeds_give_equal_pixels():
    def draw(seed):
        rng = np.random.default_rng(seed)
        image = np.full((5, 200, 150), 0.1, np.float32)
        cover = coverage((200, 150), OBSERVATION, rng)
        add_noise(image, OBSERVATION, rng, cover)
        add_residue(image, "cosmic ray", 30.0, 40.0, OBSERVATION, rng)
        scatter_residue(image, OBSERVATION, rng)
        return image

    np.testing.assert_array_equal(draw(1), draw(1))
    assert np.any(draw(1) != draw(2))
