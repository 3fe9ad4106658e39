# Licensed under a 3-clause BSD style license - see LICENSE.rst
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from astroclust.simulation.galaxy import draw_galaxy, draw_patch

V = 3


def observation(pixel_pc=1.9, extinction=(0, 0, 0, 0, 0)):
    return SimpleNamespace(
        zero_points=np.array([22.6322, 23.4836, 24.9738, 25.8160, 24.6803]),
        distance=pixel_pc / 0.192,
        pixel_pc=np.float64(pixel_pc),
        extinction=np.array(extinction),
    )


def draw(draw_one, seed, shape, **options):
    return draw_one(np.random.default_rng(seed), shape, observation(), **options)


def maps_of(galaxy):
    return {name: getattr(galaxy, name) for name in ("light", "young", "old", "dust")}


def colors(light, where):
    """NUV-V and V-I of the light of some pixels, in magnitudes but for a constant."""
    nuv, _, _, v, i = -2.5 * np.log10(light[:, where].sum(axis=1))
    return nuv - v, v - i


def relative_sd(image, size=16):
    """The relative sd in every window of some pixels."""
    ny, nx = (n // size for n in image.shape)
    blocks = image[: ny * size, : nx * size].reshape(ny, size, nx, size)
    return blocks.std(axis=(1, 3)) / blocks.mean(axis=(1, 3))


@pytest.mark.parametrize("draw_one", [draw_galaxy, draw_patch])
@pytest.mark.parametrize("shape", [(16, 16), (50, 50), (90, 61), [31, 130]])
def test_maps_are_finite_positive_and_float32(draw_one, shape):
    for seed in range(10):
        galaxy = draw(draw_one, seed, shape)
        assert galaxy.light.shape == (5, *shape)
        for name, image in maps_of(galaxy).items():
            assert image.shape[-2:] == tuple(shape)
            assert image.dtype == np.float32, name
            assert np.isfinite(image).all(), name
            assert (image > 0).all(), name
        assert galaxy.dust.max() < 1
        np.testing.assert_allclose([galaxy.young.mean(), galaxy.old.mean()], 1, rtol=1e-4)


@pytest.mark.parametrize("draw_one", [draw_galaxy, draw_patch])
def test_equal_seeds_give_equal_galaxies(draw_one):
    one, again, other = (maps_of(draw(draw_one, seed, (64, 80))) for seed in (1, 1, 2))
    for name in one:
        np.testing.assert_array_equal(again[name], one[name])
    assert not np.array_equal(other["light"], one["light"])


@pytest.mark.parametrize("draw_one", [draw_galaxy, draw_patch])
def test_brightness_is_the_median_in_v(draw_one):
    galaxy = draw(draw_one, 3, (64, 80), brightness=np.float64(0.07))
    assert np.median(galaxy.light[V]) == pytest.approx(0.07, rel=0.01)
    levels = [np.median(draw(draw_one, seed, (32, 32)).light[V]) for seed in range(12)]
    assert 0.0045 < min(levels) < 0.03
    assert 0.06 < max(levels) < 0.21


@pytest.mark.parametrize("draw_one", [draw_galaxy, draw_patch])
def test_galactic_extinction_reddens(draw_one):
    clear, dimmed = (
        draw_one(np.random.default_rng(4), (64, 64), observation(extinction=extinction))
        for extinction in (np.zeros(5), np.array([0.6, 0.5, 0.4, 0.3, 0.2]))
    )
    np.testing.assert_array_equal(dimmed.dust, clear.dust)
    change = -2.5 * np.log10(dimmed.light / clear.light)
    for band, expected in enumerate([0.3, 0.2, 0.1, 0, -0.1]):
        np.testing.assert_allclose(change[band], expected, atol=1e-4)


def test_the_inner_galaxy_is_redder():
    pc = observation(pixel_pc=60)  # the whole of it
    for seed in range(5):
        galaxy = draw_galaxy(np.random.default_rng(seed), (250, 250), pc, contrast=0)
        assert not galaxy.dust.any()
        bright, faint = np.percentile(galaxy.old, [95, 20])
        inner, outer = galaxy.old > bright, galaxy.old < faint
        redder = np.subtract(colors(galaxy.light, inner), colors(galaxy.light, outer))
        assert redder[0] > 0.3
        assert redder[1] > 0.03


def test_arms_are_blue_and_have_the_young_stars():
    pc = observation(pixel_pc=15)
    for seed in range(4):
        galaxy = draw_galaxy(np.random.default_rng(seed), (400, 400), pc)
        young = galaxy.young / galaxy.old
        clear = galaxy.dust < np.median(galaxy.dust)
        crowded = clear & (young > np.percentile(young[clear], 90))
        empty = clear & (young < np.percentile(young[clear], 10))
        assert colors(galaxy.light, crowded)[0] < colors(galaxy.light, empty)[0] - 0.2
        # In groups of groups: uneven on every scale at which one looks, as old stars are not.
        for size in (16, 40, 100):
            uneven = np.median(relative_sd(galaxy.young, size))
            assert uneven > 0.2
            assert uneven > 2 * np.median(relative_sd(galaxy.old, size))


@pytest.mark.parametrize(("draw_one", "shape"), [(draw_galaxy, (300, 300)), (draw_patch, (50, 50))])
def test_dust_dims_nuv_more_than_i(draw_one, shape):
    slopes = []
    for seed in range(60 if draw_one is draw_patch else 4):
        galaxy = draw(draw_one, seed, shape)
        if galaxy.dust.max() - galaxy.dust.min() < 0.15:
            continue
        # Next to each other dusty and clear regions have the same stars.
        dust, *magnitudes = (
            image - ndimage.gaussian_filter(image, 15)
            for image in (galaxy.dust, *-2.5 * np.log10(galaxy.light))
        )
        slopes.append([np.sum(dust * band) / np.sum(dust**2) for band in magnitudes])
    np.testing.assert_allclose(np.median(slopes, axis=0), [6.1, 4.9, 4.0, 3.1, 1.7], atol=1)


def test_contrast_is_the_strength_of_structure():
    smooth, weak, strong = (
        draw(draw_galaxy, 5, (200, 200), contrast=contrast) for contrast in (0, 0.5, 1.5)
    )
    assert smooth.dust.max() == 0
    assert relative_sd(smooth.light[V]).max() < 0.02
    np.testing.assert_allclose(smooth.old, weak.old)
    for name in ("young", "dust"):
        spread = [getattr(galaxy, name).std() for galaxy in (smooth, weak, strong)]
        assert spread == sorted(spread)


@pytest.mark.parametrize("pixel_pc", [0.7, 1.9, 3.8])
def test_light_is_smooth_on_the_scale_of_stars(pixel_pc):
    typical, fine = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        light = draw_galaxy(rng, (400, 400), observation(pixel_pc)).light[V]
        typical.append(np.median(relative_sd(light)))
        residual = (light - ndimage.gaussian_filter(light, 2)) / light
        fine.append(np.median(np.abs(residual[8:-8, 8:-8])))
    assert 0.01 < np.median(typical) < 0.06
    assert max(typical) < 0.1
    assert max(fine) < 0.01


def test_patches_are_as_uneven_as_galaxies():
    patches = [draw(draw_patch, seed, (50, 50)).light[V] for seed in range(200)]
    sd = [np.median(relative_sd(patch)) for patch in patches]
    assert 0.02 < np.median(sd) < 0.05
    assert np.percentile(sd, 99) < 0.15
    # A patch has stars of its own all over.
    patch = draw(draw_patch, 1, (50, 50))
    assert (patch.young == 1).all()
    assert (patch.old == 1).all()


@pytest.mark.parametrize("draw_one", [draw_galaxy, draw_patch])
@pytest.mark.parametrize("shape", [(15, 64), (64, 0), (64,), (5, 64, 64)])
def test_bad_shapes(draw_one, shape):
    with pytest.raises(ValueError, match="shape must be at least 16 x 16 pixels"):
        draw(draw_one, 1, shape)


@pytest.mark.parametrize("draw_one", [draw_galaxy, draw_patch])
@pytest.mark.parametrize("brightness", [0, -1, np.nan, np.inf])
def test_bad_brightness(draw_one, brightness):
    with pytest.raises(ValueError, match="brightness must be positive and finite"):
        draw(draw_one, 1, (32, 32), brightness=brightness)


@pytest.mark.parametrize("contrast", [-1, np.nan, np.inf])
def test_bad_contrast(contrast):
    with pytest.raises(ValueError, match="contrast must be finite and not negative"):
        draw(draw_galaxy, 1, (32, 32), contrast=contrast)
