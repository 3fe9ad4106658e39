# Licensed under a 3-clause BSD style license - see LICENSE.rst
from dataclasses import replace

import galsim
import numpy as np
import pytest
from astropy.table import Table
from photutils.aperture import CircularAperture

from astroclust.photometry import concentration_index
from astroclust.simulation import drawing
from astroclust.simulation.drawing import (
    Ellipse,
    Source,
    Stars,
    draw_field,
    draw_scene,
    split_sources,
    unit_profile,
)

FLUX = np.array([1.0, 2, 3, 4, 5])
NO_STARS = split_sources([])[0]
FAMILIES = [("eff", 1.0625), ("eff", 1.5), ("eff", 2.75), ("sersic", 1.0), ("sersic", 4.0)]


def centroid(image, x, y):
    """Mean position in a round window about where the light should be; that is no bias to it."""
    rows, columns = np.indices(image.shape)
    weight = image * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 3.0**2))
    return np.sum(weight * columns) / weight.sum(), np.sum(weight * rows) / weight.sum()


def sources_of(rng, shape, n):
    """Stars and clusters, all of the same flux in V, and a star with wide wings."""
    positions = rng.uniform(0, 1, (n, 2)) * np.array(shape[::-1])
    sources = []
    for i, position in enumerate(positions):
        profile = None
        if i % 2:
            family = FAMILIES[i // 2 % 3]
            profile = Ellipse(family, rng.uniform(0.3, 2.5), rng.uniform(0.4, 1), rng.uniform(0, 3))
        sources.append(Source(*position, 10 * FLUX, profile))
    return [*sources, Source(61.3, 44.8, 500 * FLUX)]


@pytest.mark.parametrize(
    "profile", [None, Ellipse(("eff", 1.5), 1.5), Ellipse(("sersic", 1), 3, 0.5)]
)
def test_no_light_is_lost(observation, profile):
    image = draw_scene([Source(150.3, 149.6, FLUX, profile)], (300, 300), observation)
    assert image.shape == (5, 300, 300)
    np.testing.assert_allclose(image.sum(axis=(1, 2)), FLUX, rtol=5e-3)
    assert image.min() > -2e-3 * image.max()


@pytest.mark.parametrize("how", ["source", "stars", "ellipse", "galsim", "field", "field stars"])
def test_light_is_at_its_position(observation, how):
    for x, y in ((40.0, 30.0), (39.5, 30.25), (40.37, 29.81)):
        stars = Stars(np.array([x]), np.array([y]), FLUX[:, None])
        if how in ("stars", "field stars"):
            draw = draw_field if how == "field stars" else draw_scene
            options = (stars,) if how == "field stars" else ()
            named = {} if options else {"stars": stars}
            image = draw([], *options, (64, 80), observation, **named)
        elif how == "field":
            image = draw_field([Source(x, y, FLUX)], NO_STARS, (64, 80), observation)
        else:
            profile = {"ellipse": Ellipse(("eff", 1.5), 1.0, 0.6, 0.4), "source": None}.get(
                how, galsim.Gaussian(half_light_radius=1)
            )
            image = draw_scene([Source(x, y, FLUX, profile)], (64, 80), observation)
        for band in image:
            assert centroid(band, x, y) == pytest.approx((x, y), abs=0.02)


def test_bands_are_shifted_as_registration_left_them(observation):
    shifts = np.array([[0.3, -0.2], [0, 0.1], [-0.4, 0], [0, 0], [0.1, 0.2]])
    shifted = replace(observation, shifts=shifts)
    image = draw_scene([Source(30.2, 31.4, FLUX)], (60, 60), shifted)
    for band, (dx, dy) in zip(image, shifts, strict=True):
        assert centroid(band, 30.2 + dx, 31.4 + dy) == pytest.approx(
            (30.2 + dx, 31.4 + dy), abs=0.02
        )


def test_blur_takes_light_from_the_middle(observation):
    star = [Source(30.0, 30.0, FLUX)]
    sharp = draw_scene(star, (61, 61), replace(observation, blur=np.zeros(5)))
    soft = draw_scene(star, (61, 61), replace(observation, blur=np.full(5, 0.5)))
    assert np.all(soft[:, 30, 30] < 0.9 * sharp[:, 30, 30])
    np.testing.assert_allclose(soft.sum(axis=(1, 2)), sharp.sum(axis=(1, 2)), rtol=2e-3)


def test_stars_on_a_grid_are_stars_drawn_one_by_one(observation):
    rng = np.random.default_rng(3)
    grid = np.mgrid[20:260:24, 20:260:24].reshape(2, -1) + rng.uniform(-0.5, 0.5, (2, 100))
    stars = Stars(*grid, np.repeat(FLUX[:, None], 100, axis=1))
    sources = [Source(*position, FLUX) for position in grid.T]
    table, apertures = Table(grid.T, names=["x", "y"]), CircularAperture(grid.T, 4)
    exact = draw_scene(sources, (280, 280), observation)
    for image in (
        draw_scene([], (280, 280), observation, stars=stars),
        draw_scene(sources[:30], (280, 280), observation, stars=stars[30:]),
        draw_field(sources, NO_STARS, (280, 280), observation),
        draw_field(sources[:30], stars[30:], (280, 280), observation),
    ):
        for got, expected in zip(image, exact, strict=True):
            light = [apertures.do_photometry(band)[0] for band in (got, expected)]
            np.testing.assert_allclose(*light, rtol=0.01)
            index = [concentration_index(table, band) for band in (got, expected)]
            # A star between the samples is a little less sharp than one on them.
            assert np.abs(index[0] - index[1]).max() < 0.06
            assert np.mean(index[0] - index[1]) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("radius", "axis_ratio", "angle"), [(0.4, 1, 0), (1.5, 0.5, 0.7), (6, 0.8, 2.5)]
)
def test_ellipses_are_those_of_galsim(observation, family, radius, axis_ratio, angle):
    ellipse = Ellipse(family, radius, axis_ratio, angle)
    profile = unit_profile(family).dilate(radius).shear(q=axis_ratio, beta=angle * galsim.radians)
    quick, slow = (
        draw_scene([Source(40.2, 39.7, FLUX, light)], (80, 80), observation)
        for light in (ellipse, profile)
    )
    assert np.abs(quick - slow).max() < 2e-3 * slow.max()
    assert ellipse.half_light_radius == radius


@pytest.mark.parametrize("slope", [1.0625, 1.5, 2.75])
def test_the_radius_holds_half_of_the_light(slope):
    # Within r core radii of those that end at 20: (1 - (1 + r^2)^(1 - slope)) / (1 - ...(20)).
    half = (1 + 401 ** (1 - slope)) / 2
    radius = np.sqrt(half ** (1 / (1 - slope)) - 1)
    profile = unit_profile(("eff", slope))
    for r in (0.3, 1, 2):
        expected = (1 + (r * radius) ** 2) ** -slope
        assert profile.xValue(r, 0) / profile.xValue(0, 0) == pytest.approx(expected, rel=1e-3)


def test_fields_are_scenes(observation):
    shape = (140, 170)
    sources = [s for s in sources_of(np.random.default_rng(2), shape, 24) if s.profile is not None]
    sources.append(Source(61.3, 44.8, 500 * FLUX))
    field = draw_field(sources, NO_STARS, shape, observation)
    scene = draw_scene(sources, shape, observation, margin=120)
    # What differs is the light of sources far from them.
    off = 1e-3 * 10 * FLUX[:, None, None]
    assert np.all(np.abs(field - scene) < 0.01 * scene + off)
    np.testing.assert_allclose(field.sum(axis=(1, 2)), scene.sum(axis=(1, 2)), rtol=0.01)


def test_tiles_have_no_seams(observation, monkeypatch):
    rng = np.random.default_rng(4)
    stars = Stars(*rng.uniform(-20, 220, (2, 4000)), rng.exponential(0.5, (5, 4000)))
    whole = draw_field([], stars, (200, 180), observation)
    monkeypatch.setattr(drawing, "TILE", 64)
    tiled = draw_field([], stars, (200, 180), observation)
    # Light from beyond the margins of tiles is left out.
    assert np.abs(tiled - whole).max() < 0.01 * whole.mean()
    steps = np.diff(tiled - whole, axis=2)[:, :, 63]
    assert np.abs(steps).max() < 0.005 * whole.mean()


def test_light_falls_in_from_outside_and_does_not_wrap(observation):
    star = [Source(-3.0, 30.0, 100 * FLUX)]
    for image in (
        draw_scene(star, (60, 60), observation),
        draw_field(star, NO_STARS, (60, 60), observation),
        draw_field([], split_sources(star)[0], (60, 60), observation),
    ):
        assert np.all(image[:, 30, 0] > 10 * image[:, 30, 20])
        assert np.all(image[:, 30, 59] < 1e-4 * 100 * FLUX)
    far = [Source(x, y, 400 * FLUX) for x, y in ((-900.0, 5), (20, -900), (900, 20), (20, 900))]
    assert not draw_field(far, NO_STARS, (60, 60), observation).any()


def test_threads_and_seeds_do_not_change_a_bit(observation):
    sources = sources_of(np.random.default_rng(5), (90, 90), 40)
    stars = Stars(*np.random.default_rng(6).uniform(0, 90, (2, 200)), np.ones((5, 200)))
    images = [
        # A copy has no PSF in the cache: threads that meet there once rounded otherwise.
        draw_field(sources, stars, (90, 90), replace(observation), workers=workers)
        for workers in (1, 2, 2, 2)
    ]
    for image in images[1:]:
        np.testing.assert_array_equal(image, images[0])


def test_empty_scenes_are_dark(observation):
    assert not draw_scene([], (20, 30), observation).any()
    assert not draw_scene([], (20, 30), observation, stars=NO_STARS).any()
    image = draw_field([], NO_STARS, (20, 30), observation)
    assert image.shape == (5, 20, 30)
    assert not image.any()


def test_stars_are_sets():
    stars = Stars(np.array([1.0, 2]), np.array([3.0, 4]), np.ones((5, 2)))
    assert len(stars) == 2
    assert len(stars + stars[:1] + NO_STARS) == 3
    assert (stars + stars).x.tolist() == [1, 2, 1, 2]
    assert stars[np.array([False, True])].y.tolist() == [4]
    points, extended = split_sources(
        [Source(1, 2, FLUX), Source(3, 4, FLUX, Ellipse(("eff", 1.5), 1))]
    )
    assert points.x.tolist() == [1]
    np.testing.assert_array_equal(points.flux[:, 0], FLUX)
    assert [source.x for source in extended] == [3]
