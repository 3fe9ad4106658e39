# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table

from astroclust import ImageSet, simulate_field, simulate_stamps
from astroclust.cli import main
from astroclust.instruments import (
    LEGUS_BANDS,
    BandSystem,
    Filter,
    camera_of,
    find_filter,
    find_instrument,
    register_band_system,
    register_instrument,
)
from astroclust.simulation import write_field
from astroclust.simulation.candidates import Candidate
from astroclust.simulation.drawing import Ellipse, Source, Stars
from astroclust.simulation.galaxy import Galaxy
from astroclust.simulation.headers import rates_in, units_of
from astroclust.simulation.observations import observe_like, observe_with
from astroclust.simulation.spectra import line_fraction, line_width, translate
from astroclust.simulation.systems import Move, Scene, choose_bands, project, template_shape
from astroclust.simulation.truth import field_wcs

ROLES = ("NUV", "U", "B", "V", "HA", "I")
NAMES_OF_SIX = ("F275W", "F336W", "F438W", "F555W", "F657N", "F814W")
HALPHA = BandSystem(
    "legus-halpha",
    roles=ROLES,
    filters={**LEGUS_BANDS.filters, "F657N": "HA", "F658N": "HA"},
    pixel_scale=LEGUS_BANDS.pixel_scale,
    reference=LEGUS_BANDS.reference,
    defaults={**LEGUS_BANDS.defaults, "HA": ("uvis", "F657N")},
)
NAMES = ("F115W", "F150W", "F200W", "F277W")
NIRCAM = BandSystem(
    "nircam",
    roles=NAMES,
    filters={name: name for name in NAMES},
    pixel_scale=0.05,
    unit="Jy",
    defaults={name: ("nircam-lw" if name == "F277W" else "nircam-sw", name) for name in NAMES},
)
FIELD = {"like": "ngc1566", "shape": (64, 64), "seed": 4, "density": 2e-3}


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Two systems that are known by name, for these tests alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("astroclust.instruments.band_systems._REGISTERED", {})
        patch.setattr("astroclust.instruments.cameras._REGISTERED", {})
        register_band_system(HALPHA)
        register_band_system(NIRCAM)
        yield


@pytest.fixture(scope="module")
def legus():
    return simulate_field(**FIELD)


@pytest.fixture(scope="module")
def halpha():
    return simulate_field(**FIELD, system="legus-halpha")


@pytest.fixture(scope="module")
def nircam():
    return simulate_field(**FIELD, system=NIRCAM)


@pytest.fixture(scope="module")
def template():
    return observe_like("ngc1566", np.random.default_rng(0), np.ones(5))


def scene_of(template, candidates=(), shape=(40, 40), gas=None):
    light = np.ones((5, *shape), np.float32)
    even = np.ones(shape, np.float32)
    galaxy = Galaxy(light, even, even, even, gas)
    return Scene(template, galaxy, candidates, (), Stars.none())


def cluster_of(log_age, label=1):
    source = Source(20.0, 18.0, np.full(5, 10.0), Ellipse(("eff", 1.5), 1.0))
    return Candidate(label, "symmetric", 20.0, 18.0, [source], {"log_age": log_age, "radius": 3.0})


def test_a_sixth_band_changes_nothing_in_the_others(legus, halpha):
    assert halpha.images.roles == ROLES
    assert halpha.images.filters == NAMES_OF_SIX
    assert halpha.images.system == HALPHA
    for name in legus.images:
        np.testing.assert_array_equal(halpha.images[name].data, legus.images[name].data)
        assert halpha.images[name].meta == legus.images[name].meta
    for column in legus.truth.colnames:
        np.testing.assert_array_equal(halpha.truth[column], legus.truth[column])
    assert halpha.candidates["class_mean"].tolist() == legus.candidates["class_mean"].tolist()


def test_the_sixth_band_is_an_image_of_its_camera(halpha):
    band = halpha.images["HA"]
    assert np.isfinite(band.data).all()
    assert 0 < band.data.std() < halpha.images["V"].data.std()
    assert band.unit == u.electron / u.s
    assert (camera_of(band), band.meta["FILTER"]) == ("uvis", "F657N")
    # What is bright in V and I is bright in between.
    x, y = np.unravel_index(halpha.images["V"].data.argmax(), band.data.shape)
    assert band.data[x, y] > 5 * band.data.std()


def test_stamps_of_six_bands():
    given = {"seed": 7, "size": 20, "like": "ngc1566"}
    five, six = simulate_stamps(12, **given), simulate_stamps(12, **given, system=HALPHA)
    assert six.bands == ROLES
    assert six.system == HALPHA
    assert six.data.shape == (12, 6, 20, 20)
    assert np.isfinite(six.data).all()
    assert six.data[:, 4].std(axis=(1, 2)).min() > 0
    np.testing.assert_array_equal(np.delete(six.data, 4, axis=1), five.data)
    for column in ("class", "kind", "field"):
        assert six.table[column].tolist() == five.table[column].tolist()


def test_some_bands_of_legus_are_those_of_all(legus):
    system = BandSystem(
        "bvi", ("B", "V", "I"), {n: r for n, r in LEGUS_BANDS.filters.items() if r in "BVI"}, 0.0396
    )
    images = simulate_field(**FIELD, system=system).images
    assert images.roles == ("B", "V", "I")
    np.testing.assert_array_equal(images["V"].data, legus.images["V"].data)
    stamps = simulate_stamps(3, seed=1, size=20, like="ngc1566", system=system)
    expected = simulate_stamps(3, seed=1, size=20, like="ngc1566")
    np.testing.assert_array_equal(stamps.data, expected.data[:, 2:])


def test_young_sources_shine_in_h_alpha(template):
    target = choose_bands(HALPHA, template.filters).observe(template, np.random.default_rng(1))
    move, flux = Move((40, 40), (40, 40), 1.0), {}
    for log_age in (6.3, 6.8, 7.0, 8.5, np.nan):
        sources, _, _ = project(scene_of(template, [cluster_of(log_age)]), target, move)
        flux[log_age] = sum(source.flux[0] for source in sources)
        lines = line_width(log_age) * line_fraction(target)[0]
        continuum = translate(np.full(5, 10.0), template, target)[0]
        assert flux[log_age] == pytest.approx(continuum * (1 + lines), rel=1e-6)
        assert len(sources) == 1 + (lines > 0)
    assert flux[6.3] > 2 * flux[6.8] > 2 * flux[7.0] > 2 * flux[8.5]
    # The H II region is more extended than the stars.
    sources, _, _ = project(scene_of(template, [cluster_of(6.5)]), target, move)
    assert sources[1].profile.radius > 2 * sources[0].profile.radius
    assert (sources[1].x, sources[1].y) == (20, 18)


def test_gas_shines_in_h_alpha_only(template):
    pairs = [("uvis", "F657N"), ("uvis", "F547M")]
    target = observe_with(pairs, 0.0396, template, np.random.default_rng(1))
    gas = np.zeros((40, 40), np.float32)
    gas[10:20, 10:20] = 0.5
    move = Move((40, 40), (40, 40), 1.0)
    line, medium = project(scene_of(template, gas=gas), target, move)[2]
    assert line[15, 15] > 3 * line[30, 30]
    assert medium[15, 15] == medium[30, 30] > 0


@pytest.mark.parametrize("log_age", [6.3, 8.0])
def test_clusters_on_other_pixels(template, log_age):
    target = choose_bands(NIRCAM, template.filters).observe(template, np.random.default_rng(1))
    move = Move((40, 40), template_shape((40, 40), NIRCAM), 0.0396 / 0.05)
    scene = scene_of(template, [cluster_of(log_age)])
    (source,), _, light = project(scene, target, move)
    assert (source.x, source.y) == move.position(20.0, 18.0)
    assert source.profile.radius == pytest.approx(0.0396 / 0.05)
    assert light.shape == (4, *move.new)
    # The same surface brightness.
    expected = translate(np.ones(5), template, target) * (0.05 / 0.0396) ** 2
    np.testing.assert_allclose(light[:, 20, 20], expected, rtol=1e-5)


@pytest.mark.parametrize("ratio", [1.0, 0.7, 1.6])
def test_positions_keep_their_coordinates(ratio):
    move = Move((50, 70), (45, 61), ratio)
    old, x, y = field_wcs((50, 70)), np.array([3.0, 40.5]), np.array([7.0, 22.0])
    sky, again = old.pixel_to_world(x, y), move.wcs(old).pixel_to_world(*move.position(x, y))
    assert sky.separation(again).arcsec.max() < 1e-6
    assert field_wcs((50, 70)).wcs.crpix.tolist() == old.wcs.crpix.tolist()


def test_nircam_has_its_own_images(nircam):
    assert nircam.images.roles == NAMES
    assert nircam.images.shape == (64, 64)
    assert nircam.images.pixel_scale.value == pytest.approx(0.05, rel=1e-4)
    for name, band in nircam.images.items():
        assert np.isfinite(band.data).all()
        assert band.unit == u.Jy
        assert camera_of(band) == NIRCAM.defaults[name][0]
        assert band.meta["INSTRUME"] == "NIRCAM"
        assert (band.meta["FILTER"], band.meta["PUPIL"]) == (name, "CLEAR")
        assert band.meta["BUNIT"] == "MJy/sr"
    assert nircam.images["F277W"].meta["CHANNEL"] == "LONG"
    x, y = nircam.images.wcs.wcs_world2pix(nircam.truth["ra"], nircam.truth["dec"], 0)
    np.testing.assert_allclose([x, y], [nircam.truth["x"], nircam.truth["y"]], atol=1e-6)
    assert nircam.truth["mag_v"].dtype == np.float32
    assert len(nircam.truth) > 3


def test_files_of_nircam_are_in_mjy_per_steradian(nircam, tmp_path):
    files = write_field(nircam, tmp_path / "out")
    assert [path.name for path in files.images.values()] == [
        "ngc1566_nircam-sw_f115w.fits",
        "ngc1566_nircam-sw_f150w.fits",
        "ngc1566_nircam-sw_f200w.fits",
        "ngc1566_nircam-lw_f277w.fits",
    ]
    assert files.readme is None
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    again = ImageSet.read(files.images, system=NIRCAM)
    for name, band in nircam.images.items():
        with fits.open(files.images[name]) as hdus:
            header, stored = hdus[0].header, hdus[0].data.astype(float)
        assert header["BUNIT"] == "MJy/sr"
        assert header["TELESCOP"] == "JWST"
        jansky = band.pixels(np.s_[:, :])
        np.testing.assert_allclose(again[name].pixels(np.s_[:, :]), jansky, rtol=1e-6)
        np.testing.assert_allclose(stored * 1e6 * header["PIXAR_SR"], jansky, rtol=1e-5)
        # One count per second is so many electrons.
        rate = header["PHOTMJSR"] / find_instrument(camera_of(band)).gain
        zero_point = find_filter(camera_of(band), name).rate_zero_point
        jy = rate * 1e6 * header["PIXAR_SR"]
        assert jy == pytest.approx((zero_point * u.ABmag).to_value(u.Jy), rel=1e-6)
    table = Table.read(files.catalog)
    assert table["class_human"].tolist() == nircam.candidates["class_human"].tolist()
    with pytest.raises(FileExistsError):
        write_field(nircam, tmp_path / "out")


def test_stamps_and_fields_have_one_unit(template):
    pairs = [("uvis", "F657N"), ("acs", "F814W"), ("nircam-sw", "F200W")]
    target = observe_with(pairs, 0.04, template, np.random.default_rng(1))
    factors = rates_in("Jy", target)[:, 0, 0]
    zero_points = [item.rate_zero_point for item in target.passbands] * u.ABmag
    np.testing.assert_allclose(factors, zero_points.to_value(u.Jy), rtol=1e-6)
    assert rates_in("electron / s", target).tolist() == [[[1]], [[1]], [[1]]]
    assert [unit for unit, _ in units_of(target)] == ["electron / s"] * 2 + ["MJy / sr"]
    both = BandSystem(
        "both",
        ("I", "K"),
        {"F814W": "I", "F200W": "K"},
        0.04,
        unit="Jy",
        defaults=dict(zip("IK", pairs[1:], strict=True)),
    )
    images = simulate_field(**FIELD | {"shape": (32, 32)}, system=both).images
    for band, factor in zip(images.values(), factors[1:], strict=True):
        assert band.unit == u.Jy
        area = band.meta.get("PIXAR_SR")
        of_rate = factor if area is None else u.MJy.to(u.Jy) * area
        assert band.scale == pytest.approx(of_rate, rel=1e-4)


def test_stamps_of_nircam():
    given = {"seed": 7, "size": 20, "like": "ngc1566"}
    stamps, legus = simulate_stamps(8, **given, system="nircam"), simulate_stamps(8, **given)
    assert stamps.data.shape == (8, 4, 20, 20)
    assert stamps.bands == NAMES
    assert stamps.system == NIRCAM
    assert np.isfinite(stamps.data).all()
    assert 0 < np.abs(stamps.data).max() < 1e-3  # Jy
    assert stamps.table["class"].tolist() == legus.table["class"].tolist()
    again = simulate_stamps(8, **given, system="nircam", workers=2)
    np.testing.assert_array_equal(again.data, stamps.data)


def test_a_painted_catalog_covers_the_same_sky(template):
    catalog = Table({"x": [20.0, 60.0], "y": [30.0, 50.0], "ci": [1.6, 1.6]})
    for name in template.filters:
        catalog[f"mag_{name.lower()}"] = [20.0, 21.0]
    catalog["class_human"] = [1, 2]
    catalog.meta["FIELD"] = "ngc1566"
    field = simulate_field(catalog=catalog, seed=1, system=NIRCAM)
    assert field.images.shape == (80, 88)  # of 101 x 111 pixels of LEGUS
    brightest = np.unravel_index(field.images["F115W"].data.argmax(), field.images.shape)
    assert np.hypot(*(brightest[::-1] - np.array([field.truth["x"][0], field.truth["y"][0]]))) < 2


def test_roles_without_a_default_are_refused():
    wrong = replace(HALPHA, name="wrong", defaults=LEGUS_BANDS.defaults)
    for simulate in (simulate_field, lambda **options: simulate_stamps(1, **options)):
        with pytest.raises(ValueError, match="wrong has no default camera and filter for HA"):
            simulate(seed=1, system=wrong)
    # The remedy.
    right = replace(wrong, defaults={**wrong.defaults, "HA": ("acs", "F658N")})
    assert simulate_stamps(1, seed=1, size=20, system=right).bands == ROLES
    with pytest.raises(KeyError, match="unknown band system 'none'"):
        simulate_field(seed=1, system="none")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (Filter("F999N", pivot=9990.0), "F999N of uvis has no AB zero point"),
        (Filter("F999N", pivot=np.nan), "no PSF of camera 'uvis' and filter 'F999N'"),
    ],
)
def test_filters_without_numbers_are_refused(item, message):
    uvis = find_instrument("uvis")
    system = BandSystem("x", ("X",), {"F999N": "X"}, 0.04, defaults={"X": ("uvis", "F999N")})
    register_instrument(replace(uvis, filters={**uvis.filters, "F999N": item}))
    with pytest.raises(ValueError, match=message):
        simulate_stamps(1, seed=1, size=20, system=system)
    # The remedy.
    whole = Filter("F999N", pivot=9990.0, width=90.0, ab_zero_point=22.0)
    register_instrument(replace(uvis, filters={**uvis.filters, "F999N": whole}))
    assert simulate_stamps(1, seed=1, size=20, system=system).bands == ("X",)


def test_the_command_takes_a_system(tmp_path, capsys):
    path, folder = tmp_path / "six.json", tmp_path / "out"
    path.write_text(json.dumps(HALPHA.content))
    command = ["simulate", "--like", "ngc1566", "--shape", "64", "64", "--seed", "4"]
    command += ["--density", "2e-3", "--system", str(path), "-o", str(folder)]
    assert main([*command, "--json", "-q"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {*files} == {*NAMES_OF_SIX, "catalog", "truth"}
    band = fits.getheader(folder / "ngc1566_uvis_f657n.fits")
    assert (band["FILTER"], band["BUNIT"]) == ("F657N", "ELECTRONS/S")
    images = ImageSet.read({name: files[name] for name in NAMES_OF_SIX}, system=HALPHA)
    assert images.roles == ROLES
    assert main([*command, "-q"]) == 1
    assert "already exists" in capsys.readouterr().err
