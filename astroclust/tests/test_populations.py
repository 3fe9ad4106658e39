# Licensed under a 3-clause BSD style license - see LICENSE.rst
from importlib import resources

import numpy as np
import pytest
from astropy.table import Table

from astroclust import find_field
from astroclust.catalogs import legus_fields
from astroclust.simulation.populations import (
    EXTINCTION,
    QUANTITIES,
    age_of_light,
    calibrated_fields,
    draw_stars,
    field_population,
)

BANDS_OF_TABLE = ("nuv", "u", "b", "v", "i")
ZERO_POINTS = np.array([22.6322, 23.4836, 24.9738, 25.8160, 24.6803])


@pytest.mark.parametrize(("name", "label"), [("ngc1566", 1), ("ngc628-c", 4), ("ngc7793-e", 3)])
def test_draws_follow_the_quantiles(name, label):
    population = field_population(name).classes[label]
    rng = np.random.default_rng(1)
    drawn = [population.draw(rng) for _ in range(2000)]
    steps = np.linspace(0, 1, len(population.quantiles))
    for quantity, wanted in zip(QUANTITIES, population.quantiles.T, strict=True):
        values = np.array([row[quantity] for row in drawn])
        assert values.min() >= wanted[0]
        assert values.max() <= wanted[-1]
        if np.all(np.diff(wanted) > 0):
            fraction = [np.mean(values < limit) for limit in wanted]
            np.testing.assert_allclose(fraction, steps, atol=0.06)
    magnitudes = np.array([row["mag"] for row in drawn])
    for i, color in enumerate(("nuv_u", "u_b", "b_v", "v_i")):
        expected = [row[color] for row in drawn]
        np.testing.assert_allclose(magnitudes[:, i] - magnitudes[:, i + 1], expected, atol=1e-9)
    np.testing.assert_allclose(magnitudes[:, 3], [row["v"] for row in drawn])


def test_quantities_hang_together():
    population = field_population("ngc1566").classes[1]
    rng = np.random.default_rng(2)
    drawn = [population.draw(rng) for _ in range(1500)]
    u_b, b_v = ([row[name] for row in drawn] for name in ("u_b", "b_v"))
    # Blue in one color is blue in the next.
    assert np.corrcoef(u_b, b_v)[0, 1] > 0.3


def test_fields_are_whole():
    for name in calibrated_fields():
        population = field_population(name)
        assert population.field == name
        assert sorted(population.classes) == [1, 2, 3, 4]
        assert sum(part.fraction for part in population.classes.values()) == pytest.approx(
            1, abs=0.01
        )
        assert population.noise.shape == population.texture.shape == (5,)
        assert population.texture[3] == 1
        assert np.all(population.noise > 0)
        assert 0 < population.density < 0.01
        assert 0 <= population.group_fraction <= 1
        assert -1.5 < population.aperture_correction < 0
        for part in population.classes.values():
            assert part.weights.sum() == pytest.approx(1)
            assert np.all(np.diff(part.quantiles, axis=0) >= 0)
            assert np.linalg.eigvalsh(part.covariances).min() > 0
            assert part.quantiles[0, 0] < population.faintest < 27


def test_fields_that_were_not_measured_have_the_population_of_the_nearest():
    assert field_population("NGC 1313W").field == "ngc1313-e"
    assert field_population("ngc5474").field == "ngc5474"
    for name in legus_fields():
        chosen = find_field(field_population(name).field)
        wanted = find_field(name)
        if wanted.cameras[3] is not None:
            assert chosen.cameras[3] == wanted.cameras[3]
        same = [
            find_field(other).distance
            for other in calibrated_fields()
            if find_field(other).cameras[3] == chosen.cameras[3]
        ]
        ratios = np.abs(np.log(np.array(same) / wanted.distance))
        ratio = np.abs(np.log(chosen.distance / wanted.distance))
        if chosen.name != wanted.name and wanted.cameras[3] is not None:
            assert ratio == pytest.approx(ratios.min())
    with pytest.raises(KeyError, match="LEGUS has no field"):
        field_population("ngc9999")


@pytest.fixture(scope="module")
def simple():
    """Ages of simple populations, and their light for a solar mass."""
    path = resources.files("astroclust").joinpath("data/simple_populations.ecsv")
    table = Table.read(path.read_text("utf-8"), format="ascii.ecsv")
    return table["log_age"], np.array([table[f"mag_{band}"] for band in BANDS_OF_TABLE]).T


def test_simple_populations_have_their_own_age_and_mass(simple):
    for age, light in zip(*simple, strict=True):
        found = age_of_light(light - 2.5 * 4.2 + 29.0, 29.0)
        assert found == pytest.approx((age, 4.2, 0), abs=1e-6)


def test_dust_is_told_from_age(simple):
    errors = []
    for age, light in zip(*simple, strict=True):
        reddened = light + 0.3 * EXTINCTION - 2.5 * 4 + 30.0
        found_age, mass, e_bv = age_of_light(reddened, 30.0)
        errors.append((found_age - age, mass - 4, e_bv - 0.3))
    # Some populations look like others behind dust.
    assert np.all(np.median(np.abs(errors), axis=0) < (0.3, 0.3, 0.15))


def test_the_old_are_faint_for_their_mass(simple):
    ages, light = simple
    young, old = np.argmin(np.abs(ages - 6.6)), np.argmin(np.abs(ages - 9.5))
    masses = [age_of_light(light[i] - light[i, 3] + 22, 30.0)[1] for i in (young, old)]
    assert masses[1] > masses[0] + 1


def test_stars_have_their_magnitude_and_a_color():
    rng = np.random.default_rng(4)
    v = rng.uniform(20, 26, 500)
    colors = []
    for blue in (1.0, 0.0):
        flux = draw_stars(rng, v, ZERO_POINTS, blue)
        assert flux.shape == (5, 500)
        magnitudes = ZERO_POINTS[:, None] - 2.5 * np.log10(flux)
        np.testing.assert_allclose(magnitudes[3], v)
        colors.append(np.median(magnitudes[2] - magnitudes[3]))
        assert np.all(np.diff(magnitudes[2:], axis=0) > -4)
    assert colors[0] < 0.3
    assert colors[1] > 0.7
    assert draw_stars(rng, np.empty(0), ZERO_POINTS, 0.5).shape == (5, 0)
