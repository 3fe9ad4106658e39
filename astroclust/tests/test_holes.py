# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
import torch

from astroclust.stamps.holes import fill_holes

YY, XX = np.mgrid[:50, :50]
PLANE = torch.from_numpy(2.0 * XX + YY).float()


def _filled(missing):
    pixels = PLANE.clone()
    pixels[torch.from_numpy(missing)] = torch.nan
    return fill_holes(pixels.expand(2, 3, 50, 50).clone())


def test_complete_stamps_are_returned_as_they_are():
    pixels = torch.rand(2, 3, 9, 9)
    assert fill_holes(pixels) is pixels


@pytest.mark.parametrize(
    "missing",
    [
        (XX == 20) & (YY == 30),
        (XX == 20) & (YY > 5) & (YY < 40),
        (np.abs(XX - 20) < 2) & (np.abs(YY - 20) < 2),
    ],
)
def test_small_holes_and_dead_columns_are_filled(missing):
    filled = _filled(missing)
    assert filled.isfinite().all()
    # A gradient is carried on but for the ends of large holes.
    assert torch.allclose(filled, PLANE.expand_as(filled), atol=6)


def test_scattered_holes_in_each_band_by_itself():
    rng = np.random.default_rng(1)
    pixels = PLANE.expand(2, 3, 50, 50).clone()
    missing = torch.from_numpy(rng.random(pixels.shape) < 0.1)
    pixels[:, 1] *= 100
    whole = pixels.clone()
    pixels[missing] = torch.nan
    filled = fill_holes(pixels)
    inside = filled[..., 2:-2, 2:-2]
    assert inside.isfinite().all()
    relative = (filled - whole)[..., 2:-2, 2:-2] / torch.tensor([1.0, 100, 1])[:, None, None]
    assert relative.abs().max() < 4
    assert filled[~missing].equal(whole[~missing])
    assert pixels[missing].isnan().all()


@pytest.mark.parametrize("angle", [0, 10, 26.6, 31, 45, 72, 90])
def test_sides_that_are_cut_off_stay_missing(angle):
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    for missing in ((XX - 25) * c + (YY - 25) * s > 5, abs((XX - 25) * c + (YY - 25) * s) < 3):
        np.testing.assert_array_equal(
            _filled(missing)[0, 0].isnan()[3:-3, 3:-3], missing[3:-3, 3:-3]
        )


def test_a_band_without_pixels_stays_missing():
    pixels = torch.full((1, 2, 9, 9), torch.nan)
    pixels[0, 1] = 1
    assert fill_holes(pixels)[0, 0].isnan().all()
