# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.io import fits

from astroclust import simulate_field, simulate_stamps
from astroclust.cli import main
from astroclust.simulation.candidates import draw_structure
from astroclust.simulation.drawing import Ellipse, Source, draw_scene
from astroclust.simulation.ingredients import PARAMETRIC, Ingredients
from astroclust.simulation.observations import observe_like
from astroclust.simulation.profiles import concentration

GALAXIES = "gal_hst_cosmos_f814w/real_galaxy_images_23.5_n1.fits"
PSF = "psf_wfc3uvis_f814w_stdpsf/emp_psf_f814w.fits"


def observe(ingredients=PARAMETRIC):
    return observe_like("ngc1566", np.random.default_rng(3), np.zeros(5), ingredients)


def stamp_of_galaxy(axis_ratio=1.0, n=61):
    """An exponential disk in noise, with a neighbor in the corner."""
    y, x = np.indices((n, n)) - n // 2
    disk = 50 * np.exp(-np.hypot(x, y / axis_ratio) / 4)
    neighbor = 30 * np.exp(-((x + 22) ** 2 + (y + 22) ** 2) / 8)
    return disk + neighbor + np.random.default_rng(0).normal(10, 0.5, (n, n))


@pytest.fixture(scope="module")
def stamps():
    return [stamp_of_galaxy(), stamp_of_galaxy(0.4)]


@pytest.fixture(scope="module")
def psf_file(tmp_path_factory):
    """A STDPSF file with the same round star in each corner."""
    y, x = np.indices((101, 101)) - 50
    hdu = fits.PrimaryHDU(np.array([np.exp(-(x**2 + y**2) / 30)] * 4))
    hdu.header.update(NXPSFS=2, NYPSFS=2, IPSFX01=0, IPSFX02=4096, JPSFY01=0, JPSFY02=2048)
    path = tmp_path_factory.mktemp("psf") / "stdpsf.fits"
    hdu.writeto(path)
    return path


def test_by_default_nothing_is_real(monkeypatch, data_folder):
    stamps = simulate_stamps(4, seed=1, size=16)
    monkeypatch.setenv("ASTROCLUST_DATA", str(data_folder))
    np.testing.assert_array_equal(simulate_stamps(4, seed=1, size=16).data, stamps.data)
    assert (observe().ingredients.galaxies, dict(observe().ingredients.psf)) == ((), {})


def check_profiles(profiles):
    for profile in profiles:
        image = profile.drawImage(nx=120, ny=120, scale=0.1, method="no_pixel").array
        y, x = (np.indices(image.shape) - 59.5) * 0.1
        assert image.sum() == pytest.approx(1, abs=0.03)
        assert (image * x).sum() == pytest.approx(0, abs=0.03)
        assert image[np.hypot(x, y) < 1].sum() == pytest.approx(0.5, abs=0.08)


def test_galaxies_have_unit_flux_and_half_light_radius(stamps):
    profiles = Ingredients.read(stamps).galaxies
    assert len(profiles) == 2
    check_profiles(profiles)


def test_galaxies_of_galsim_are_read(data_folder):
    profiles = Ingredients.read(data_folder / GALAXIES).galaxies
    assert len(profiles) == 10
    check_profiles(profiles)


def test_galaxies_come_from_files_and_arrays_alike(stamps, tmp_path):
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(stamp) for stamp in stamps)]
    fits.HDUList(hdus).writeto(tmp_path / "galaxies.fits")
    assert (
        Ingredients.read(tmp_path / "galaxies.fits").galaxies == Ingredients.read(stamps).galaxies
    )


def test_a_drawn_real_galaxy_keeps_its_flux_and_turns(stamps):
    profile = Ingredients.read(stamps).galaxies[1]
    rows, columns = np.indices((64, 64)) - 32.0
    angles = []
    for turn in (0.0, 1.0):
        family = ("real", profile)
        galaxy = Source(32, 32, np.full(5, 100.0), Ellipse(family, 3.0, position_angle=turn))
        image = draw_scene([galaxy], (64, 64), observe())[3]
        assert image.sum() == pytest.approx(97, abs=3)
        xx, yy, xy = (np.sum(image * m) for m in (columns**2, rows**2, rows * columns))
        angles.append(np.arctan2(2 * xy, xx - yy) / 2)
    assert (angles[1] - angles[0]) % np.pi == pytest.approx(1.0, abs=0.15)


def test_structures_of_galaxies_have_the_index(stamps):
    rng, families = np.random.default_rng(1), set()
    observation = observe(Ingredients.read(stamps))
    for _ in range(12):
        _, parts, scale = draw_structure({"galaxy": 1.0}, 1.7, observation, rng)
        families.add(parts[0].family[0])
        assert concentration(parts, [scale], observation)[0] == pytest.approx(1.7, abs=0.08)
    assert families == {"real", "sersic"}


def test_an_empirical_psf_is_used_for_its_filter_only(psf_file):
    star = [Source(32, 32, np.full(5, 100.0))]
    real = draw_scene(star, (64, 64), observe(Ingredients.read(psf={("uvis", "F814W"): psf_file})))
    model = draw_scene(star, (64, 64), observe())
    np.testing.assert_array_equal(real[:4], model[:4])
    assert 0.005 < np.abs(real[4] - model[4]).max() / model[4].max() < 0.5
    assert real[4].sum() == pytest.approx(model[4].sum(), rel=0.02)


def test_the_empirical_psf_of_stsci_is_like_the_parametric_one(data_folder):
    star = [Source(32, 32, np.full(5, 100.0))]
    given = Ingredients.read(psf={("uvis", "F814W"): data_folder / PSF})
    real, model = (draw_scene(star, (64, 64), observe(i))[4] for i in (given, PARAMETRIC))
    assert 0.005 < np.abs(real - model).max() / model.max() < 0.2
    # A grid that has been read is as good as its file.
    again = draw_scene(star, (64, 64), observe(Ingredients.read(psf=given.psf)))[4]
    np.testing.assert_array_equal(again, real)


def test_fields_and_stamps_take_them(stamps, psf_file):
    psf = {("uvis", "F814W"): psf_file}
    plain, real = (
        simulate_field(like="ngc1566", shape=(64, 64), seed=1, **given).images
        for given in ({}, {"galaxies": stamps, "psf": psf})
    )
    assert not np.array_equal(plain["I"].data, real["I"].data)
    plain = simulate_stamps(8, seed=2, size=16, like="ngc1566")
    real, again = (
        simulate_stamps(
            8, seed=2, size=16, like="ngc1566", galaxies=stamps, psf=psf, workers=workers
        )
        for workers in (1, 2)
    )
    np.testing.assert_array_equal(again.data, real.data)
    assert not np.array_equal(plain.data[:, 4], real.data[:, 4])
    assert plain.table["class"].tolist() == real.table["class"].tolist()


def test_the_command_takes_them(stamps, psf_file, tmp_path):
    hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(stamp) for stamp in stamps)]
    fits.HDUList(hdus).writeto(tmp_path / "galaxies.fits")
    command = ["simulate", "-q", "--like", "ngc1566", "--shape", "100", "100", "--workers", "1"]
    command += ["--galaxies", str(tmp_path / "galaxies.fits")]
    command += ["--psf", "uvis", "F814W", str(psf_file), "-o", str(tmp_path / "out")]
    assert main(command) == 0
    field = simulate_field(
        like="ngc1566", shape=(100, 100), seed=1, galaxies=stamps, psf={("uvis", "F814W"): psf_file}
    )
    (path,) = (tmp_path / "out").glob("*f814w*.fits")
    np.testing.assert_array_equal(fits.getdata(path), field.images["I"].data)


def test_what_is_not_a_galaxy_or_a_psf_is_refused(psf_file, tmp_path):
    with pytest.raises(ValueError, match="galaxies has no galaxies, as none of its 1 stamps"):
        simulate_stamps(1, seed=1, galaxies=[np.zeros((30, 30))])
    # The remedy: a stamp that is centered on a galaxy.
    assert len(simulate_stamps(1, seed=1, galaxies=[stamp_of_galaxy()])) == 1
    with pytest.raises(ValueError, match="2-D stamps of galaxies, not of shape"):
        simulate_field(seed=1, galaxies=[np.zeros(30)])
    with pytest.raises(TypeError, match=r"psf must map \(camera, filter\) .*, not PosixPath"):
        simulate_field(seed=1, psf=psf_file)
    with pytest.raises(ValueError, match=r"galaxies\.fits is not an STScI grid of PSFs"):
        simulate_field(seed=1, psf={("uvis", "F814W"): write_text(tmp_path / "galaxies.fits")})


def write_text(path):
    path.write_text("not FITS\n" * 400)
    return path
