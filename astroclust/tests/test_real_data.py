# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest

from astroclust.simulation.candidates import KINDS, draw_structure
from astroclust.simulation.drawing import Ellipse, Source, draw_scene
from astroclust.simulation.observations import observe_like
from astroclust.simulation.profiles import concentration
from astroclust.simulation.real_data import galaxy_profile, n_galaxies, real_psf


@pytest.fixture
def real_files(data_folder, monkeypatch):
    monkeypatch.setenv("ASTROCLUST_DATA", str(data_folder))


@pytest.fixture
def no_files(tmp_path, monkeypatch):
    monkeypatch.setenv("ASTROCLUST_DATA", str(tmp_path))


def observe():
    return observe_like("ngc1566", np.random.default_rng(3), np.zeros(5))


def test_nothing_real_without_the_files(no_files):
    assert n_galaxies() == 0
    assert real_psf("uvis", "F814W") is None


def test_galaxies_have_unit_flux_and_half_light_radius(real_files):
    assert n_galaxies() == 10
    for number in range(n_galaxies()):
        image = galaxy_profile(number).drawImage(nx=120, ny=120, scale=0.1, method="no_pixel").array
        y, x = (np.indices(image.shape) - 59.5) * 0.1
        assert image.sum() == pytest.approx(1, abs=0.03)
        assert (image * x).sum() == pytest.approx(0, abs=0.03)
        assert image[np.hypot(x, y) < 1].sum() == pytest.approx(0.5, abs=0.08)


def test_a_drawn_real_galaxy_keeps_its_flux_and_turns(real_files):
    rows, columns = np.indices((64, 64)) - 32.0
    angles = []
    for turn in (0.0, 1.0):
        galaxy = Source(32, 32, np.full(5, 100.0), Ellipse(("real", 5), 3.0, position_angle=turn))
        image = draw_scene([galaxy], (64, 64), observe())[3]
        assert image.sum() == pytest.approx(97, abs=3)
        xx, yy, xy = (np.sum(image * m) for m in (columns**2, rows**2, rows * columns))
        angles.append(np.arctan2(2 * xy, xx - yy) / 2)
    assert (angles[1] - angles[0]) % np.pi == pytest.approx(1.0, abs=0.15)


def test_structures_of_galaxies_have_the_index(real_files):
    rng, families = np.random.default_rng(1), set()
    for _ in range(12):
        _, parts, scale = draw_structure({"galaxy": 1.0}, 1.7, observe(), rng)
        families.add(parts[0].family[0])
        assert concentration(parts, [scale], observe())[0] == pytest.approx(1.7, abs=0.08)
    assert families == {"real", "sersic"}
    assert "galaxy" in KINDS[4]


def test_the_empirical_psf_is_used_for_f814w_only(real_files, monkeypatch, tmp_path):
    star = [Source(32, 32, np.full(5, 100.0))]
    real = draw_scene(star, (64, 64), observe())
    monkeypatch.setenv("ASTROCLUST_DATA", str(tmp_path))
    model = draw_scene(star, (64, 64), observe())
    np.testing.assert_array_equal(real[:4], model[:4])
    assert 0.005 < np.abs(real[4] - model[4]).max() / model[4].max() < 0.2
    assert real[4].sum() == pytest.approx(model[4].sum(), rel=0.02)
