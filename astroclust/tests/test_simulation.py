# Licensed under a 3-clause BSD style license - see LICENSE.rst
from itertools import islice

import numpy as np
import pytest
from astropy import units as u

from astroclust import ImageSet, find_candidates, find_field, simulate_field, simulate_stamps
from astroclust.catalogs import legus_fields
from astroclust.evaluation import match_labels
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES, camera_of, legus_zero_point
from astroclust.photometry.calibration import zero_point
from astroclust.simulation import label_noise, stream_stamps
from astroclust.simulation.candidates import KINDS, RESIDUE, draw_candidate, total_magnitudes
from astroclust.simulation.headers import header_of
from astroclust.simulation.observations import observe_like
from astroclust.simulation.populations import calibrated_fields, field_population

MAGNITUDES = ["mag_nuv", "mag_u", "mag_b", "mag_v", "mag_i"]
STRUCTURE = ["radius", "axis_ratio", "members"]
POPULATION = ["log_age", "log_mass", "e_bv"]


@pytest.fixture(scope="module")
def stamps():
    return simulate_stamps(240, seed=5, size=32)


@pytest.fixture(scope="module")
def acs():
    return simulate_field(like="NGC 628C", shape=(150, 90), seed=[2, 3], density=2e-3)


def test_fields_have_images_and_truth(acs):
    assert acs.images.shape == (150, 90)
    assert acs.images.filters == ("F275W", "F336W", "F435W", "F555W", "F814W")
    for band in acs.images.values():
        assert band.data.dtype == np.float32
        assert np.isfinite(band.data).all()
        assert band.data.std() > 0
        assert band.unit == u.electron / u.s
    expected = ["id", "x", "y", "ra", "dec", "class", "kind"]
    assert acs.truth.colnames == [*expected, *MAGNITUDES, *STRUCTURE, *POPULATION]
    expected = ["id", "x", "y", "ra", "dec", "class_human", "class_mean"]
    assert acs.candidates.colnames == expected
    assert len(acs.truth) > 4
    for name in ("id", "x", "y"):
        assert acs.truth[name].tolist() == acs.candidates[name].tolist()
    assert acs.truth["x"].max() < 90
    assert acs.truth["y"].max() < 150
    for name, number in (("x", "ra"), ("y", "dec")):
        assert acs.truth[number].unit == u.deg
        assert len(np.unique(acs.truth[name])) == len(acs.truth)
    x, y = acs.images.wcs.world_to_pixel_values(acs.truth["ra"], acs.truth["dec"])
    np.testing.assert_allclose(x, acs.truth["x"], atol=1e-6)
    np.testing.assert_allclose(y, acs.truth["y"], atol=1e-6)
    scale = acs.images.pixel_scale
    assert scale.value == pytest.approx(0.0396, rel=1e-4)


def test_the_light_of_candidates_is_where_the_truth_says(crowded):
    truth, image = crowded.truth, crowded.images["V"].data
    inside = (truth["x"] > 12) & (truth["x"] < 287) & (truth["y"] > 12) & (truth["y"] < 297)
    bright = truth[inside & (truth["mag_v"] < np.nanmedian(truth["mag_v"])) & (truth["class"] < 3)]
    assert len(bright) > 10
    y, x = np.round(bright["y"]).astype(int), np.round(bright["x"]).astype(int)
    here = np.array([image[j - 1 : j + 2, i - 1 : i + 2].mean() for j, i in zip(y, x, strict=True)])
    ring = np.array(
        [np.median(image[j - 9 : j + 10, i - 9 : i + 10]) for j, i in zip(y, x, strict=True)]
    )
    assert np.mean(here > 2 * ring) > 0.8
    # And the brighter in the truth, the brighter in the image.
    flux = np.log10(np.maximum(here - ring, 1e-4))
    assert np.corrcoef(flux, bright["mag_v"])[0, 1] < -0.5


def test_the_truth_has_what_each_kind_has(crowded):
    truth = crowded.truth
    assert truth["radius"].unit == u.pc
    for row in truth:
        assert row["kind"] in KINDS[row["class"]]
        light = np.array([row[name] for name in MAGNITUDES])
        assert np.isnan(light).all() if row["kind"] in RESIDUE else np.isfinite(light).all()
        has_age = np.isfinite([row[name] for name in POPULATION])
        assert has_age.all() if row["class"] < 4 else not has_age.any()
        assert (row["members"] == 0) == (row["kind"] in RESIDUE)
        if row["class"] == 1:
            assert row["members"] == 1
        if row["class"] == 3:
            assert row["members"] > 2
    clusters = truth[truth["class"] < 3]
    # Of NGC 1566, at 18 Mpc.
    assert 1 < np.median(clusters["radius"]) < 12
    assert np.all((clusters["axis_ratio"] > 0.3) & (clusters["axis_ratio"] <= 1))
    assert np.all((clusters["log_age"] >= 6) & (clusters["log_age"] < 10.5))
    assert 3 < np.median(clusters["log_mass"]) < 6.5


def test_classes_have_the_fractions_of_the_field(crowded):
    fractions = {
        label: part.fraction for label, part in field_population("ngc1566").classes.items()
    }
    assert len(crowded.truth) > 90
    for label, fraction in fractions.items():
        assert np.mean(crowded.truth["class"] == label) == pytest.approx(fraction, abs=0.13)
    agree = np.mean(crowded.candidates["class_human"] == crowded.truth["class"])
    assert 0.5 < agree < 0.95
    assert np.all((crowded.candidates["class_mean"] >= 1) & (crowded.candidates["class_mean"] <= 4))
    assert label_noise(crowded.truth["class"], seed=1).colnames[-2:] == ["class_mode", "class_mean"]


def test_candidates_are_found_again(crowded):
    found = find_candidates(crowded.images, distance=find_field("ngc1566").distance)
    assert len(found) > 20
    labels = np.ma.asarray(match_labels(found, crowded.truth))
    # Others are stars of the field, and blends of what is crowded here.
    assert np.mean(~np.ma.getmaskarray(labels)) > 0.6


@pytest.mark.parametrize("name", ["ngc1566", "ngc628-c"])
def test_headers_give_the_zero_points_of_legus(name, crowded, acs):
    field, images = find_field(name), {"ngc1566": crowded, "ngc628-c": acs}[name].images
    assert images.filters == field.filters
    for band, camera in zip(images.values(), field.cameras, strict=True):
        assert camera_of(band) == camera
        assert zero_point(band) == pytest.approx(legus_zero_point(camera, band.filter), abs=1e-5)
        keywords = ["FILTER"] if camera == "uvis" else ["FILTER1", "FILTER2"]
        assert band.filter in [band.meta[keyword] for keyword in keywords]
        assert band.meta["INSTRUME"] == {"uvis": "WFC3", "acs": "ACS"}[camera]
        assert 500 < band.meta["EXPTIME"] < 6000
        assert band.meta["TARGNAME"] == field.galaxy


def test_files_keep_what_the_headers_say(acs, tmp_path):
    acs.images.write(tmp_path / "field.fits")
    again = ImageSet.read(tmp_path / "field.fits")
    for name, band in acs.images.items():
        np.testing.assert_array_equal(again[name].data, band.data)
        assert zero_point(again[name]) == pytest.approx(zero_point(band), abs=1e-6)
        assert camera_of(again[name]) == camera_of(band)


def test_all_fields_of_legus_can_be_observed():
    for name, field in legus_fields().items():
        rng = np.random.default_rng(1)
        observation = observe_like(name, rng, field_population(name).noise)
        assert observation.distance == field.distance
        assert np.isfinite(observation.zero_points).all()
        assert np.all(observation.exposure_times > 100)
        assert [LEGUS_BANDS.filters[f] for f in observation.filters] == ["NUV", "U", "B", "V", "I"]
        assert np.all(observation.shifts[3] == 0)  # the others are registered to V
        assert 0.3 < observation.pixel_pc < 4
        for header in header_of(observation, field):
            assert header["PHOTFLAM"] > 0


def test_equal_seeds_give_equal_fields(acs):
    again = simulate_field(like="ngc628-c", shape=(150, 90), seed=[2, 3], density=2e-3)
    for name in acs.images:
        np.testing.assert_array_equal(again.images[name].data, acs.images[name].data)
    assert again.truth["kind"].tolist() == acs.truth["kind"].tolist()
    assert again.candidates["class_mean"].tolist() == acs.candidates["class_mean"].tolist()


def test_fields_may_be_empty():
    field = simulate_field(shape=(32, 40), seed=1, density=1e-9)
    assert len(field.truth) == len(field.candidates) == 0
    assert field.truth["kind"].dtype.kind == "U"
    assert field.images.shape == (32, 40)
    assert np.isfinite(field.images["V"].data).all()


def test_bands_of_other_depth_have_other_noise():
    shape, density = (200, 200), 1e-9
    deep, shallow = (
        simulate_field(like=name, shape=shape, seed=1, density=density).images["V"].data
        for name in ("ngc628-c", "ngc7793-e")
    )
    noise = [
        1.4826 * np.median(np.abs(np.diff(image, axis=0) - np.median(np.diff(image, axis=0))))
        for image in (deep, shallow)
    ]
    expected = [field_population(name).noise[3] for name in ("ngc628-c", "ngc7793-e")]
    assert noise[1] > noise[0]
    # Neighbors are correlated, which makes differences smaller; diffuse light adds its photons.
    assert 0.7 * expected[0] < noise[0] / np.sqrt(2) < 3 * expected[0]


@pytest.mark.parametrize("workers", [1, 2])
def test_equal_seeds_give_equal_stamps(stamps, workers):
    again = simulate_stamps(40, seed=5, size=32, workers=workers)
    np.testing.assert_array_equal(again.data, stamps.data[:40])
    for name in ("class", "kind", "field"):
        assert again.table[name].tolist() == stamps.table[name][:40].tolist()
    np.testing.assert_array_equal(again.table["mag_v"], stamps.table["mag_v"][:40])
    assert not np.array_equal(simulate_stamps(2, seed=6, size=32).data, stamps.data[:2])


@pytest.mark.parametrize(("batch", "workers"), [(7, 1), (50, 2)])
def test_the_stream_is_the_same_in_batches(stamps, batch, workers):
    stream = stream_stamps(seed=5, batch_size=batch, size=32, workers=workers)
    parts = list(islice(stream, 2))
    stream.close()
    assert [len(part) for part in parts] == [batch, batch]
    data = np.concatenate([part.data for part in parts])
    np.testing.assert_array_equal(data, stamps.data[: 2 * batch])
    kinds = [kind for part in parts for kind in part.table["kind"]]
    assert kinds == stamps.table["kind"][: 2 * batch].tolist()


def test_stamps_have_their_truth(stamps):
    assert stamps.data.shape == (240, 5, 32, 32)
    assert stamps.data.dtype == np.float32
    assert np.isfinite(stamps.data).all()
    assert stamps.present.all()
    assert stamps.bands == ("NUV", "U", "B", "V", "I")
    assert stamps.table.colnames == ["class", "kind", "mag_v", "field"]
    for row in stamps.table:
        assert row["kind"] in KINDS[row["class"]]
        assert np.isnan(row["mag_v"]) == (row["kind"] in RESIDUE)
    assert set(stamps.table["field"]) == set(calibrated_fields())


def test_classes_and_kinds_come_as_often_as_they_should(stamps):
    for label in LEGUS_CLASSES.numbers:
        assert np.mean(stamps.table["class"] == label) == pytest.approx(0.25, abs=0.1)
    members = stamps.table["kind"][stamps.table["class"] == 2]
    assert set(members) == set(KINDS[2])


def test_single_stars_have_the_colors_of_stars():
    # Most stars are red giants, which no cut in four bands lets into a catalog.
    population, rng = field_population("ngc628-c"), np.random.default_rng(0)
    observation = observe_like("ngc628-c", np.random.default_rng(0), population.noise)
    colors = {"single star": [], "pair": []}
    for _ in range(150):
        drawn = population.classes[4].draw(rng)
        correction = population.aperture_correction
        candidate = draw_candidate(4, drawn, correction, 0, 0, observation, rng)
        if candidate.kind in colors:
            magnitudes = total_magnitudes(candidate.sources, observation.zero_points)
            colors[candidate.kind].append(magnitudes[0] - magnitudes[4])
    assert np.median(colors["single star"]) > np.median(colors["pair"]) + 1
    assert min(colors["single star"]) < 0


def test_stamps_are_centered_on_light(stamps):
    clusters = stamps.data[np.asarray(stamps.table["class"]) == 1, 3]
    mean = np.mean(clusters / clusters.std(axis=(1, 2), keepdims=True), axis=0)
    y, x = np.unravel_index(mean.argmax(), mean.shape)
    assert (x, y) in {(i, j) for i in (15, 16) for j in (15, 16)}


def test_stamps_of_some_fields():
    one = simulate_stamps(6, seed=1, like="NGC 1566", size=32)
    assert set(one.table["field"]) == {"ngc1566"}
    two = simulate_stamps(30, seed=1, like=["ngc1433", "ngc628-e"], size=32)
    assert set(two.table["field"]) == {"ngc1433", "ngc628-e"}
    assert two.size == 32
    assert len(simulate_stamps(0, seed=1)) == 0
    assert simulate_stamps(1, seed=1, like="ngc1566", size=25).data.shape == (1, 5, 25, 25)


def test_a_bar_is_shown_only_when_asked(capfd):
    simulate_stamps(2, seed=5, size=32)
    assert not capfd.readouterr().err
    simulate_stamps(2, seed=5, size=32, progress_bar=True)
    assert "simulating" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (10, 10)}, "at least 32 x 32 pixels, not"),
        ({"shape": (100,)}, "at least 32 x 32 pixels, not"),
        ({"density": 0}, "density must be positive, not 0"),
        ({"density": np.nan}, "density must be positive, not nan"),
        ({"seed": -1}, "non-negative"),
    ],
)
def test_arguments_of_fields_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        simulate_field(**{"seed": 1} | arguments)


def test_arguments_of_stamps_are_checked():
    with pytest.raises(ValueError, match="n must not be negative, got -1"):
        simulate_stamps(-1, seed=1)
    with pytest.raises(ValueError, match="size must be at least 8 pixels, got 2"):
        simulate_stamps(1, seed=1, size=2)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        next(stream_stamps(seed=1, batch_size=0))
    for simulate in (simulate_field, lambda **options: simulate_stamps(1, **options)):
        with pytest.raises(KeyError, match="LEGUS has no field 'ngc9999'"):
            simulate(like="ngc9999", seed=1)
    with pytest.raises(KeyError, match="did you mean ngc628-c, ngc628-e"):
        simulate_field(like="ngc628", seed=1)


def test_crowded_stamps_have_more_stars_and_class_4_is_mostly_single_ones():
    plain = simulate_stamps(60, seed=3)
    crowded = simulate_stamps(60, seed=3, crowded=1.0)
    kinds = crowded.table["kind"][crowded.table["class"] == 4]
    assert np.mean(kinds == "single star") > 0.6
    # Light at the rim, where the candidate is not.
    light = [np.median(stamps.data[:, 4, :10].std(axis=(1, 2))) for stamps in (crowded, plain)]
    assert light[0] > 1.5 * light[1]
    with pytest.raises(ValueError, match="crowded must be a fraction from 0 to 1, not 2"):
        simulate_stamps(1, seed=1, crowded=2)
