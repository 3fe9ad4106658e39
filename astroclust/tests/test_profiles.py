# Licensed under a 3-clause BSD style license - see LICENSE.rst
from dataclasses import replace

import numpy as np
import pytest
from astropy.nddata import CCDData
from astropy.table import Table

from astroclust import ImageSet, measure_photometry
from astroclust.photometry import concentration_index
from astroclust.simulation.drawing import draw_scene
from astroclust.simulation.observations import observe_like
from astroclust.simulation.profiles import (
    Component,
    concentration,
    fit_structure,
    measured_flux,
    structure_sources,
)

EVEN = np.ones(5)
RED = np.array([0.3, 0.5, 0.8, 1.0, 1.6])
STRUCTURES = {
    "cluster": [Component(EVEN, radius=1.0)],
    "steep": [Component(EVEN, radius=1.0, family=("eff", 2.75))],
    "disc": [Component(EVEN, radius=1.0, family=("sersic", 1.0))],
    "lopsided": [Component(EVEN, radius=1.0), Component(0.4 * RED, 1.2, 0.8, 0.7)],
    "neighbor": [Component(EVEN, radius=1.0), Component(0.2 * RED, 2.5, -1.5, fixed=True)],
    "pair": [Component(EVEN), Component(0.6 * RED, 1.2, 0.5)],
    "association": [
        Component(EVEN),
        Component(0.5 * RED, 1.5, -1),
        Component(0.4 * EVEN, -2, 1, 0.4),
        Component(0.3 * EVEN, 0.5, 1, 3.0, ("sersic", 1.0)),
    ],
}
# Positions of the center within a pixel, over which is averaged.
POSITIONS = np.array([(30 + dx, 30 + dy) for dx in (0, 0.25, 0.5, 0.75) for dy in (0.1, 0.35, 0.6)])


@pytest.fixture(scope="module", params=["ngc1566", "ngc628-c"])
def camera(request):
    plain = observe_like(request.param, np.random.default_rng(1), EVEN)
    return replace(plain, blur=np.full(5, 0.09), shifts=np.zeros((5, 2)))


def measured(components, scale, flux, observation):
    """Index in V and magnitudes in all bands of a structure, as the package measures them."""
    indices, magnitudes = [], []
    for x, y in POSITIONS:
        sources = structure_sources(components, scale, x, y, flux)
        image = draw_scene(sources, (61, 61), observation)
        table = Table({"x": [x], "y": [y]})
        indices.append(concentration_index(table, image[3])[0])
        bands = zip(observation.filters, image, strict=True)
        images = ImageSet({name: CCDData(band, unit="electron / s") for name, band in bands})
        zero_points = dict(zip(observation.filters, observation.zero_points, strict=True))
        result = measure_photometry(table, images, zero_points=zero_points)
        magnitudes.append([result[f"mag_{name.lower()}"][0] for name in observation.filters])
    return np.mean(indices), np.mean(magnitudes, axis=0)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("size", [0.6, 1.4])
def test_structures_have_the_index_and_the_magnitudes_asked(name, size, camera):
    components = STRUCTURES[name]
    index = concentration(components, size, camera)[0]
    scale, reached = fit_structure(components, index, camera)
    assert reached == pytest.approx(index, abs=1e-6)
    assert concentration(components, scale, camera)[0] == pytest.approx(index, abs=0.01)
    wanted = np.array([21.0, 20.6, 20.9, 20.5, 19.8])
    in_aperture = 10 ** (0.4 * (camera.zero_points - wanted))
    flux = in_aperture / measured_flux(components, scale, camera)
    found, magnitudes = measured(components, scale, flux, camera)
    assert found == pytest.approx(index, abs=0.03)
    np.testing.assert_allclose(magnitudes, wanted, atol=0.03)


def test_an_index_that_cannot_be_is_approached(camera):
    star = [Component(EVEN)]
    for index in (1.0, 3.0):
        scale, reached = fit_structure(star, index, camera)
        assert reached == pytest.approx(concentration(star, scale, camera)[0])
    cluster = [Component(EVEN, radius=1.0)]
    scale, reached = fit_structure(cluster, 0.9, camera)
    assert scale < 0.2
    assert reached == pytest.approx(concentration(star, 1.0, camera)[0], abs=0.05)
    scale, reached = fit_structure(cluster, 9.0, camera)
    assert scale > 2
    assert reached == pytest.approx(concentration(cluster, scale, camera)[0])


def test_peaks_have_an_index_twice_as_they_part(camera):
    pair = [Component(EVEN), Component(0.6 * EVEN, 2.0)]
    index = max(concentration(pair, np.geomspace(0.3, 2, 40), camera)) - 0.1
    near, _ = fit_structure(pair, index, camera)
    far, _ = fit_structure(pair, index, camera, widest=True)
    assert far > 1.3 * near
    assert concentration(pair, far, camera)[0] == pytest.approx(index, abs=0.01)


def test_the_index_grows_with_the_radius_and_with_the_camera(observation):
    scales = np.array([0.1, 0.5, 1, 2, 4])
    cluster = [Component(EVEN, radius=1.0)]
    uvis = concentration(cluster, scales, observation)
    assert np.all(np.diff(uvis) > 0)
    acs = observe_like("ngc628-c", np.random.default_rng(1), EVEN)
    assert np.all(concentration(cluster, scales[:3], acs) > uvis[:3] + 0.02)


def test_parts_scale_together_unless_they_are_fixed():
    parts = [
        Component(EVEN, radius=1.0, axis_ratio=0.5, position_angle=0.3),
        Component(0.5 * EVEN, 2.0, -1.0),
        Component(0.2 * EVEN, 3.0, 1.0, 0.5, fixed=True),
        Component(0.1 * EVEN, 1.0, 1.0, 0.02),
    ]
    flux = np.arange(1.0, 6)
    main, star, fixed, small = structure_sources(parts, 2.0, 10.0, 20.0, flux)
    assert (main.x, main.y, main.profile.radius) == (10, 20, 2)
    assert (main.profile.axis_ratio, main.profile.position_angle) == (0.5, 0.3)
    assert (star.x, star.y, star.profile) == (14, 18, None)
    assert (fixed.x, fixed.y, fixed.profile.radius) == (13, 21, 0.5)
    assert small.profile is None  # smaller than can be seen
    np.testing.assert_allclose(star.flux, 0.5 * flux)


def test_light_outside_the_aperture_does_not_count(camera):
    alone = measured_flux([Component(EVEN)], 1.0, camera)
    assert np.all((alone > 0.6) & (alone < 0.95))
    far = measured_flux([Component(EVEN), Component(EVEN, 30.0)], 1.0, camera)
    np.testing.assert_allclose(far, alone)
    twice = measured_flux([Component(EVEN), Component(EVEN)], 1.0, camera)
    np.testing.assert_allclose(twice, 2 * alone)
