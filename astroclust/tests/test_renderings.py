# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
import torch

from astroclust import Stamps, simulate_stamps
from astroclust.training import augment_stamps
from astroclust.training.renderings import render_stamps


def _render(pixels, fields, *, seed):
    return render_stamps(torch.from_numpy(pixels), fields, np.random.default_rng(seed)).numpy()


@pytest.fixture(scope="module")
def stars():
    """Sixty stars of many brightnesses on a noisy sky, equally bright in three bands."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:50, :50] - 25
    peaks = 10 ** rng.uniform(0.5, 2, 60)
    light = peaks[:, None, None] * np.exp(-(x**2 + y**2) / 8)
    return (light[:, None] + rng.normal(0, 0.1, (60, 3, 50, 50))).astype(np.float32)


def test_a_picture_has_256_levels_and_leaves_its_input(stars):
    before = stars.copy()
    rendered = _render(stars, np.zeros(60), seed=2)
    np.testing.assert_array_equal(stars, before)
    assert rendered.shape == stars.shape
    assert rendered.dtype == np.float32
    assert rendered.min() >= 0
    assert rendered.max() == 255
    again = _render(stars, np.zeros(60), seed=2)
    np.testing.assert_array_equal(rendered, again)


def test_stars_stay_where_they_are(stars):
    rendered = _render(stars, np.zeros(60), seed=3)
    middle = rendered[:, :, 21:30, 21:30].max(axis=(1, 2, 3))
    frame = np.median(rendered, axis=(1, 2, 3))
    assert np.mean(middle > frame + 20) > 0.8


def test_bright_stars_are_white_and_faint_ones_are_not(stars):
    rendered = _render(stars, np.zeros(60), seed=4)
    order = np.argsort(stars.max(axis=(1, 2, 3)))
    white = (rendered > 250).mean(axis=(1, 2, 3))
    assert white[order[-20:]].mean() > 3 * white[order[:20]].mean()


def test_each_field_has_its_own_white(stars):
    fields = np.repeat(["near", "far"], 30)
    scaled = stars * np.where(fields == "far", 0.01, 1.0)[:, None, None, None].astype(np.float32)
    rendered = _render(scaled, fields, seed=5)
    near, far = (rendered[fields == name].max(axis=(1, 2, 3)).mean() for name in ("near", "far"))
    assert far == pytest.approx(near, rel=0.2)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_stamps_without_structure_are_rendered(value):
    pixels = np.full((3, 3, 50, 50), value, np.float32)
    assert np.isfinite(_render(pixels, [0, 0, 0], seed=1)).all()


def test_no_stamps():
    pixels = np.empty((0, 3, 50, 50), np.float32)
    assert _render(pixels, [], seed=1).shape == pixels.shape


def test_pictures_are_mostly_of_the_optical_bands():
    stamps = simulate_stamps(64, seed=1)
    shown = [augment_stamps(stamps, np.random.default_rng(i)).present for i in range(5)]
    shown = np.concatenate(shown)
    optical = (shown == [False, False, True, True, True]).all(axis=1)
    assert optical.mean() == pytest.approx(0.5 * 0.6 * (0.5 + 0.5 / 10) + 0.04, abs=0.06)


def test_bands_that_are_missing_stay_missing_in_pictures():
    stamps = simulate_stamps(32, seed=1)
    present = np.tile([False, False, True, True, True], (32, 1))
    stamps = Stamps(stamps.data, stamps.filters, bands=stamps.bands, present=present)
    assert not augment_stamps(stamps, np.random.default_rng(1)).present[:, :2].any()
