# Licensed under a 3-clause BSD style license - see LICENSE.rst
import copy
import warnings
from dataclasses import fields, replace

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import CCDData
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import (
    ImageSet,
    __version__,
    completeness,
    find_candidates,
    injection,
    load_classifier,
    simulate_field,
)
from astroclust.injection import ArtificialClusters, limiting_magnitude
from astroclust.injection.clusters import band_sources
from astroclust.instruments import LEGUS_CLASSES, ClassScheme, classes_of, find_class_scheme
from astroclust.locks import only_process
from astroclust.networks import create_network
from astroclust.plotting import plot_completeness
from astroclust.selection import PRESETS, blocked_pixels
from astroclust.simulation.observations import observe_like
from astroclust.simulation.profiles import Component, concentration
from astroclust.weights import Classifier

GRID = {"magnitudes": [20, 26], "radii": [1.0, 2.0]}
OF_CLUSTERS = {field.name for field in fields(ArtificialClusters)}


def measure(images, **options):
    """Completeness, with settings of the clusters and of the run."""
    of_clusters = {name: options.pop(name) for name in OF_CLUSTERS & set(options)}
    return completeness(images, ArtificialClusters(**of_clusters), **options)


@pytest.fixture(scope="module")
def images():
    return simulate_field(like="ngc1566", shape=(250, 260), seed=6).images


@pytest.fixture(scope="module")
def result(images):
    return measure(images, **GRID, n=5)


def star(width):
    y, x = np.mgrid[-15:16, -15:16]
    return np.exp(-0.5 * (x**2 + y**2) / width**2)


def test_the_bright_are_found_and_the_faint_are_not(result):
    assert result["magnitude"].tolist() == [20, 20, 26, 26]
    assert result["radius"].tolist() == [1, 2, 1, 2]
    assert result["radius"].unit == u.pix
    assert result["n"].tolist() == [5] * 4
    for name in ("found", "selected"):
        assert np.all(result[name][:2] >= 0.8)
        assert np.all(result[name][2:] == 0)
        assert np.all(result[f"{name}_low"] <= result[name])
        assert np.all(result[f"{name}_high"] >= result[name])
    assert 0 < result["found_high"][-1] < 0.3
    assert "classified_1_2" not in result.colnames
    assert result.meta == {
        "COMPVERS": __version__,
        "SEED": 0,
        "NCLUSTER": 5,
        "ROUNDS": result.meta["ROUNDS"],
        "RADUNIT": "pix",
        "PRESET": "legus",
        "DETIMAGE": "white light",
        "DETMETH": "sextractor",
        "THRESH": 20.0,
        "NPIXELS": 10,
        "MINCI": 1.3,
    }
    assert all(column.info.description for column in result.itercols())
    assert "0.000" in result.pformat(max_width=-1)[-1].split()


def test_settings_and_descriptions_survive_files(result, tmp_path):
    for name in ("c.fits", "c.ecsv"):
        result.write(tmp_path / name)
        again = Table.read(tmp_path / name)
        assert again.meta == result.meta
        for column in result.colnames:
            assert again[column].info.description == result[column].info.description
            assert again[column].unit == result[column].unit
            assert again[column].tolist() == result[column].tolist()


# With a classifier


@pytest.fixture(scope="module")
def classified(images, tmp_path_factory):
    """A result with the default classifier, and its checkpoint."""
    path = tmp_path_factory.mktemp("classified") / "clusters.ecsv"
    return measure(images, **GRID, n=5, model="default", checkpoint=path), path


def test_clusters_are_counted_by_their_class(classified, result):
    table, path = classified
    for name in result.colnames:  # a classifier changes nothing before it
        assert table[name].tolist() == result[name].tolist()
    clusters = Table.read(path)
    counts = [table[f"n_class_{number}"] for number in LEGUS_CLASSES.numbers]
    total = np.sum([*counts, table["n_not_classified"]], axis=0)
    np.testing.assert_array_equal(total, table["n"] * table["selected"])
    np.testing.assert_allclose(table["classified_1_2"], (counts[0] + counts[1]) / table["n"])
    assert table["classified_1_2"][0] > 0.5
    assert np.all(table["classified_1_2_low"] <= table["classified_1_2"])
    assert np.all(table["classified_1_2_high"] >= table["classified_1_2"])
    assert not clusters["class"][~clusters["selected"]].any()
    assert table["n_class_1"].sum() == np.count_nonzero(clusters["class"] == 1)
    card = load_classifier().card
    assert table.meta["ACMOD"] == card.name
    assert table.meta["ACSHA"] == card.sha256[:16]
    assert classes_of(table) == LEGUS_CLASSES


def test_a_classified_run_resumes(images, classified, tmp_path, monkeypatch):
    table, whole = classified
    path, calls = tmp_path / "clusters.ecsv", []

    def interrupted(*args, **options):
        calls.append(options)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return find_candidates(*args, **options)

    monkeypatch.setattr(injection, "find_candidates", interrupted)
    options = GRID | {"n": 5, "model": load_classifier("legus-pictures-1"), "checkpoint": path}
    with pytest.raises(KeyboardInterrupt):
        measure(images, **options)
    again = measure(images, **options)
    assert np.all(again == table)
    assert again.meta == table.meta
    assert path.read_bytes() == whole.read_bytes()


def test_checkpoints_know_their_classifier(images, tmp_path):
    path = tmp_path / "clusters.ecsv"
    options = {"magnitudes": [20], "radii": [1], "n": 2, "checkpoint": path}
    usual = load_classifier()
    networks = [copy.deepcopy(one) for one in usual.networks]
    next(networks[0].parameters()).data.mul_(1.01)
    others = {"none": None, "bundled": "simulated-3", "trained": Classifier(usual.card, networks)}
    measure(images, **options, model=usual)
    for model in others.values():
        with pytest.raises(ValueError, match=r"settings \(classifier\); remove .*, or choose"):
            measure(images, **options, model=model)
    path.unlink()
    measure(images, **options)
    with pytest.raises(ValueError, match=r"settings \(classifier\); remove .*, or choose"):
        measure(images, **options, model=usual)
    another = measure(images, **options | {"checkpoint": tmp_path / "other.ecsv"}, model=usual)
    assert "n_class_4" in another.colnames


def _classifier(scheme, **entries):
    card = replace(load_classifier().card, classes=scheme, **entries)
    network = create_network(card.architecture, n_classes=len(scheme), weights="none")
    return Classifier(card, [network])


@pytest.mark.parametrize(
    ("scheme", "column"),
    [
        ("cluster", "classified_1"),
        ("phangs", "classified_1_2"),
        (ClassScheme("ages", {1: "young", 2: "old", 7: "globular", 9: "star"}, (1, 7)), None),
    ],
)
def test_other_schemes_have_their_own_clusters(images, scheme, column):
    scheme = find_class_scheme(scheme)
    options = {"magnitudes": [20], "radii": [1], "n": 2}
    table = measure(images, **options, model=_classifier(scheme))
    column = column or "classified_1_7"
    assert column in table.colnames
    counts = {number: table[f"n_class_{number}"][0] for number in scheme.numbers}
    of = map(int, column.split("_")[1:])
    assert table[column][0] == sum(counts[number] for number in of) / 2
    limit = limiting_magnitude(table, column=column)
    assert np.isnan(limit["magnitude"][0])


def test_classifiers_that_will_not_do(images):
    options = {"magnitudes": [20], "radii": [1], "n": 2}
    nothing = ClassScheme("stars", {1: "star", 2: "galaxy"})
    with pytest.raises(ValueError, match="no class that counts as a cluster"):
        measure(images, **options, model=_classifier(nothing))
    named = replace(nothing, clusters=(2,))
    assert "classified_2" in measure(images, **options, model=_classifier(named)).colnames
    with pytest.raises(ValueError, match="unknown classifier 'none'"):
        measure(images, **options, model="none")
    blue = _classifier(LEGUS_CLASSES, bands=("NUV",), max_missing_bands=0)
    with pytest.raises(ValueError, match="uses bands NUV, but the images only have V"):
        measure({"F555W": images["V"]}, **options, model=blue)


def test_clusters_that_cannot_be_classified_are_counted(images):
    strict = _classifier(LEGUS_CLASSES, max_missing_bands=0)
    table = measure({"F555W": images["V"]}, magnitudes=[20], radii=[1], n=2, model=strict)
    assert table["n_not_classified"].tolist() == (2 * table["selected"]).tolist() == [2]
    assert table["classified_1_2"].tolist() == [0]


def test_magnitudes_come_out_as_they_went_in(images, tmp_path):
    preset = replace(PRESETS["legus"], extinction={"V": 0.5, "I": 0.3})
    options = {"magnitudes": [20], "radii": [1], "n": 12, "preset": preset}
    measure(images, **options, checkpoint=tmp_path / "c.ecsv")
    clusters = Table.read(tmp_path / "c.ecsv")
    assert np.nanmedian(clusters["measured_magnitude"]) == pytest.approx(20, abs=0.1)
    assert clusters["x"].min() >= 15
    assert clusters["x"].max() <= 260 - 16
    for group in clusters.group_by("round").groups:
        assert len(group) <= 6
        distance = np.hypot(*(np.subtract.outer(group[name], group[name]) for name in "xy"))
        assert np.all(distance[~np.eye(len(group), dtype=bool)] >= 30)


ZERO_POINT = {"PHOTFLAM": 1.8e-19, "PHOTPLAM": 5308.0}


@pytest.mark.parametrize(
    ("meta", "instrument"),
    [
        ({"INSTRUME": "WFC3", "DETECTOR": "UVIS"}, "uvis"),
        ({"INSTRUME": "ACS"}, "acs"),
        ({}, "uvis"),
    ],
)
def test_the_psf_is_that_of_the_camera(meta, instrument, tmp_path):
    rng = np.random.default_rng(3)
    meta = {**meta, **ZERO_POINT}
    sky = CCDData(rng.normal(0, 0.005, (400, 400)), unit="electron / s", meta=meta)
    options = {"magnitudes": [19], "radii": [0.1, 1], "n": 12, "checkpoint": tmp_path / "c.ecsv"}
    measure({"F555W": sky}, **options)
    clusters = Table.read(tmp_path / "c.ecsv")
    filters = (("F555W",) * 5, (instrument,) * 5)
    observation = observe_like("ngc1566", rng, np.ones(5))
    observation = replace(observation, filters=filters[0], cameras=filters[1])
    for radius in (0.1, 1):
        cluster = [Component(np.ones(5), radius=radius)]
        expected = concentration(cluster, 1.0, observation)[0]
        index = clusters["ci"][clusters["radius"] == radius]
        assert np.median(index) == pytest.approx(expected, abs=0.03)


def test_filters_without_a_fitted_psf_have_that_between_their_neighbors():
    acs = {"INSTRUME": "ACS", "DETECTOR": "WFC", **ZERO_POINT}
    wfc3 = {"INSTRUME": "WFC3", **ZERO_POINT}
    psfs = {}
    for name, meta in (("F606W", acs), ("F625W", acs), ("F814W", acs), ("F606W", wfc3)):
        images = ImageSet(
            {name: CCDData(np.ones((8, 8)), unit="electron / s", meta=meta)}, roles={name: "V"}
        )
        preset = replace(PRESETS["legus"], zero_points={"V": 25})
        one = ArtificialClusters([20], [1])
        psfs[name, meta["INSTRUME"]] = band_sources(images, preset, one)[0].psf
    near, far = (np.abs(psfs["F625W", "ACS"] - psfs[n, "ACS"]).max() for n in ("F606W", "F814W"))
    assert 0 < near < far
    assert psfs["F606W", "ACS"].max() < 0.9 * psfs["F606W", "WFC3"].max()


@pytest.mark.parametrize(
    ("name", "camera"), [("F330W", "ACS"), ("F160W", "WFC3"), ("F350LP", "WFC3"), ("G500", "WFC3")]
)
def test_filters_without_numbers_need_a_psf(name, camera):
    image = CCDData(np.ones((120, 120)), unit="electron / s", meta={"INSTRUME": camera})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # F160W is infrared
        images = ImageSet({name: image}, roles={name: "V"})
    preset = replace(PRESETS["legus"], zero_points={"V": 25})
    with pytest.raises(
        ValueError, match=f"no PSF is known for {name} of .*; pass its image in psf="
    ):
        measure(images, magnitudes=[20], radii=[1], preset=preset)


def test_images_stay_as_they_are(images, result):
    again = simulate_field(like="ngc1566", shape=(250, 260), seed=6).images
    for name in images:
        np.testing.assert_array_equal(images[name].data, again[name].data)


def test_equal_seeds_give_equal_results(images, result):
    options = GRID | {"n": 5}
    assert np.all(measure(images, **options) == result)
    other = {}

    def remember(injected, **_):
        other.setdefault("data", []).append(injected["V"].data)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(injection, "find_candidates", remember)
        for seed in (1, 1, 2):
            with pytest.raises(KeyboardInterrupt):
                measure(images, **options, seed=seed)
    first, same, changed = other["data"]
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, changed)


def test_light_has_its_flux_colors_and_noise(monkeypatch):
    """Of a hundred clusters in nothing but faint light."""
    meta = {"EXPTIME": 100.0}
    flat = {
        name: CCDData(np.full((1000, 1000), 0.01), unit=unit, meta=meta)
        for name, unit in (("F555W", "electron / s"), ("F814W", "electron"))
    }
    before, after = ImageSet(flat), {}

    def remember(injected, **_):
        after.update(injected)
        raise KeyboardInterrupt

    monkeypatch.setattr(injection, "find_candidates", remember)
    options = {"magnitudes": [24.0], "radii": [1], "n": 500, "colors": {"I": -1.0}}
    with pytest.raises(KeyboardInterrupt):
        measure(before, **options)
    background = {"F555W": 0.01, "F814W": 0.01 / 100}
    light = {name: after[name].pixels(np.s_[:], float) - background[name] for name in flat}
    light["F814W"] *= 100  # electrons
    n = round(light["F555W"].sum() / 10 ** (0.4 * (25.816 - 24)))
    assert 60 < n <= 100
    electrons = n * 100 * 10 ** (0.4 * (24.6803 - 23))
    over_the_edges = 0.015 * electrons
    tolerance = 4 * np.sqrt(electrons) + over_the_edges
    assert light["F814W"].sum() == pytest.approx(electrons, abs=tolerance)
    # Whole electrons: what was added was counted.
    np.testing.assert_allclose(100 * light["F555W"], np.round(100 * light["F555W"]), atol=1e-4)


def test_a_brighter_neighbor_is_no_detection(images, monkeypatch):
    y, x = np.mgrid[0 : images.shape[0] : 2.5, 0 : images.shape[1] : 2.5].reshape(2, -1)
    everywhere = Table({"id": np.arange(x.size), "x": x, "y": y})
    monkeypatch.setattr("astroclust.selection.pipeline.find_sources", lambda *_, **__: everywhere)
    preset = replace(PRESETS["legus"], center_in=None)
    options = {"magnitudes": [20, 29], "radii": [1], "n": 15, "preset": preset}
    result = measure({"F555W": images["V"]}, **options)
    assert result["found"][0] > 0.8
    assert result["found"][1] < 0.5  # of empty sky any light is more than half
    assert result.meta["PRESET"] == "own"


def test_no_sources_are_no_detections(monkeypatch):
    noise = np.random.default_rng(0).normal(0, 0.01, (120, 120))
    result = measure({"F555W": noise}, magnitudes=[32], radii=[1], n=2)
    assert result["found"].tolist() == [0]


def test_an_interrupted_run_goes_on(images, result, tmp_path, monkeypatch):
    path, calls = tmp_path / "clusters.ecsv", []

    def interrupted(*args, **options):
        calls.append(options)
        if len(calls) in (2, 4):
            raise KeyboardInterrupt
        return find_candidates(*args, **options)

    monkeypatch.setattr(injection, "find_candidates", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            measure(images, **GRID, n=5, checkpoint=path)
    assert 0 < len(Table.read(path)) < 20
    whole = measure(images, **GRID, n=5, checkpoint=path)
    assert whole.colnames == result.colnames
    assert np.all(whole == result)
    assert whole.meta == result.meta
    n_calls = len(calls)
    assert n_calls == result.meta["ROUNDS"] + 2
    assert np.all(measure(images, **GRID, n=5, checkpoint=path) == result)
    assert len(calls) == n_calls
    monkeypatch.undo()
    measure(images, **GRID, n=5, checkpoint=tmp_path / "at_once.ecsv")
    assert (tmp_path / "at_once.ecsv").read_bytes() == path.read_bytes()
    assert not list(tmp_path.glob("*.part-*"))


def test_checkpoints_of_other_runs_are_refused(images, tmp_path):
    path = tmp_path / "clusters.ecsv"
    options = {"magnitudes": [20], "radii": [1], "n": 2, "checkpoint": path}
    measure(images, **options)
    part = ImageSet({name: images[name] for name in ("F555W", "F814W")})
    brighter = ImageSet({n: replace(band, data=2 * band.data) for n, band in images.items()})
    for changed, name in (
        ({"magnitudes": [20, 21]}, "magnitudes"),
        ({"radii": [2]}, "radii"),
        ({"n": 3}, "n"),
        ({"seed": 1}, "seed"),
        ({"preset": "phangs"}, "preset, colors or zero points"),
        ({"distance": 10}, "distance"),
        ({"preset": replace(PRESETS["legus"], extinction={"V": 0.1})}, "preset, colors"),
        ({"psf": dict.fromkeys(images, star(1))}, "psf"),
        ({"images": part}, "colors or zero points, psf, images"),
        ({"images": brighter}, "images"),
    ):
        with pytest.raises(ValueError, match=rf"different settings \({name}.*\); remove clusters"):
            measure(**({"images": images} | options | changed))
    measure(images, **options)


def test_torn_and_foreign_files_are_refused(images, tmp_path):
    path = tmp_path / "clusters.ecsv"
    options = {"magnitudes": [20], "radii": [1], "n": 2, "checkpoint": path}
    measure(images, **options)
    whole = path.read_bytes()
    ends = [0, 1, *range(10, len(whole) - 2, 90), len(whole) - 5]
    others = [b"\x00\xff", b"SIMPLE  =", b"a,b\n1,2\n", whole.replace(b"True", b"False", 1)]
    for content in [whole[:end] for end in ends] + others:
        path.write_bytes(content)
        with pytest.raises((OSError, ValueError), match=r"remove clusters\.ecsv, or choose"):
            measure(images, **options)
    # With the checkpoint before, if that is intact.
    previous = path.with_name("clusters.ecsv.previous")
    previous.write_bytes(whole)
    with pytest.warns(AstropyUserWarning, match=r"resuming from .*\.previous, .*clusters\.ecsv"):
        measure(images, **options)
    path.write_bytes(b"")
    previous.write_bytes(b"")
    with pytest.raises((OSError, ValueError), match=r"remove clusters\.ecsv and clusters"):
        measure(images, **options)
    path.unlink()
    previous.unlink()
    with only_process(path), pytest.raises(OSError, match=r"clusters\.ecsv is in use by another"):
        measure(images, **options)
    measure(images, **options)
    assert path.read_bytes() == whole
    with pytest.raises(FileNotFoundError, match="does not exist"):
        measure(images, **options | {"checkpoint": tmp_path / "no" / "c.ecsv"})


@pytest.mark.parametrize("roles", [("V",), ("NUV", "I"), ("B", "V", "I")])
def test_any_bands(images, roles):
    part = {images[role].filter: images[role] for role in roles}
    result = measure(part, magnitudes=[19, 30], radii=[2], n=3)
    assert result["found"].tolist() == [1, 0]


def test_other_filters_with_the_psf_of_the_user(images, tmp_path):
    bands = {"F435W": images["B"], "G500": images["V"]}
    bands = {name: CCDData(band.data, unit=band.unit, wcs=band.wcs) for name, band in bands.items()}
    bands = ImageSet(bands, roles={"G500": "V"})
    preset = replace(PRESETS["legus"], zero_points={"V": 25.8, "B": 25.7})
    sizes = []
    for width in (0.8, 1.6):
        path = tmp_path / f"{width}.ecsv"
        options = {"magnitudes": [19], "radii": [0.5], "n": 4, "preset": preset}
        psf = {"v": star(width), "F435W": 7 * star(1)}
        measure(bands, **options, psf=psf, checkpoint=path)
        clusters = Table.read(path)
        assert clusters["found"].all()
        sizes.append(np.median(clusters["ci"]))
    assert sizes[1] > sizes[0] + 0.5


def test_files_and_masks(images, tmp_path):
    images.write(tmp_path / "field.fits")
    path, options = tmp_path / "clusters.ecsv", {"magnitudes": [20], "radii": [1], "n": 12}
    measure(ImageSet.read(tmp_path / "field.fits"), **options, checkpoint=path)
    assert Table.read(path)["found"].sum() >= 11
    mask = np.zeros(images.shape, bool)
    mask[:, :150] = True
    data = np.array(images["I"].data)
    data[:100] = np.nan
    data[-60:] = 0  # off the exposures
    bands = {"F555W": replace(images["V"], mask=mask), "F814W": replace(images["I"], data=data)}
    measure(bands, **options, checkpoint=tmp_path / "masked.ecsv")
    clusters = Table.read(tmp_path / "masked.ecsv")
    assert clusters["x"].min() > 153
    assert clusters["y"].min() > 103
    assert clusters["y"].max() < 250 - 60 - 4
    mask[:] = True
    with pytest.raises(ValueError, match="could not place artificial clusters"):
        measure(bands, **options)


def test_nothing_is_injected_where_nothing_may_be_found(images, tmp_path):
    left = np.zeros(images.shape, bool)
    left[:, :130] = True
    options = {"magnitudes": [20], "radii": [1], "n": 8}
    result = measure(images, **options, exclude=left, checkpoint=tmp_path / "c.ecsv")
    clusters = Table.read(tmp_path / "c.ecsv")
    assert clusters["x"].min() >= 129.5
    assert result["selected"][0] >= 0.7
    same = measure(images, **options, exclude=blocked_pixels(images, footprint=~left))
    np.testing.assert_array_equal(same["selected"], result["selected"])
    with pytest.raises(ValueError, match=r"different settings \(blocked\)"):
        measure(images, **options, exclude=~left, checkpoint=tmp_path / "c.ecsv")
    with pytest.raises(ValueError, match="or excluded"):
        measure(images, **options, exclude=np.ones(images.shape, bool))


def test_radii_in_parsec(images):
    options = {"magnitudes": [20], "n": 2, "distance": 10 * u.Mpc}
    result = measure(images, radii=[2, 4] * u.pc, **options)
    assert result["radius"].unit == u.pc
    assert result.meta["DISTANCE"] == 10
    pixels = (np.array([2, 4]) * u.pc / (10 * u.Mpc)).to_value(u.arcsec, u.dimensionless_angles())
    same = measure(images, radii=pixels * u.arcsec, **options)
    assert same["selected"].tolist() == result["selected"].tolist()
    with pytest.raises(ValueError, match="radii in pc require a distance"):
        measure(images, radii=2 * u.pc, **options | {"distance": None})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"magnitudes": []}, "magnitudes is empty"),
        ({"magnitudes": [20, np.nan]}, "magnitudes must be finite"),
        ({"radii": []}, "radii is empty"),
        ({"radii": [1, 0]}, "radii must be positive, not 0"),
        ({"radii": [1] * u.s}, "radii must be in pixels, parsec or arcsec, not in s"),
        ({"n": 0}, "n must be a whole number of at least 1, not 0"),
        ({"distance": -1}, "distance must be positive"),
        ({"preset": "sdss"}, "preset must be one of"),
        (
            {"colors": {"B": 0.1}},
            "colors has no F275W; it must have all bands except V, but has V, B",
        ),
        ({"psf": {"V": np.ones((3, 3))}}, "psf has no F275W, only V"),
        ({"psf": {"NUV": np.ones(3)}}, "psf of F275W must be a 2-D array"),
        ({"psf": {"NUV": np.zeros((3, 3))}}, "psf of F275W must be .* positive sum"),
    ],
)
def test_bad_input(images, changed, message):
    options = {"magnitudes": [20], "radii": [1]} | changed
    with pytest.raises(ValueError, match=message):
        measure(images, **options)


def test_images_that_will_not_do(images, wcs):
    options = {"magnitudes": [20], "radii": [1]}
    with pytest.raises(ValueError, match="at least 100 x 100 pixels"):
        measure({"F555W": np.ones((99, 500))}, **options)
    with pytest.warns(AstropyUserWarning, match="EXPTIME is missing"):
        without = ImageSet({"F555W": CCDData(np.ones((100, 100)), unit="electron")})
    with pytest.raises(ValueError, match="F555W has no zero point for its unit and camera"):
        measure(without, **options)


def test_the_psf_has_the_pixels_of_the_images(wcs):
    preset = replace(PRESETS["legus"], zero_points={"V": 25})
    peaks = []
    for factor in (1.0, 1.02, 1.25):
        scaled = wcs.deepcopy()
        scaled.wcs.cdelt *= factor
        images = ImageSet({"F555W": (np.ones((100, 100)), scaled)})
        peaks.append(band_sources(images, preset, ArtificialClusters([20], [1]))[0].psf.max())
    assert peaks[0] == peaks[1] < 0.8 * peaks[2]


def test_limits_are_interpolated():
    table = Table({"magnitude": [24.0, 22, 23, 22, 23, 24], "radius": [1, 1, 1, 3, 3, 3]})
    table["n"] = 10
    table["selected"] = [0.1, 1, 0.9, 0.4, 0.2, 0.0]
    table["found"] = [0.7, 1, 0.9, 1.0, 0.4, 0.6]
    limits = limiting_magnitude(table)
    assert limits["radius"].tolist() == [1, 3]
    np.testing.assert_allclose(limits["magnitude"], [23.5, np.nan])
    found = limiting_magnitude(table, column="found", fraction=0.8)
    np.testing.assert_allclose(found["magnitude"], [23.5, 22 + 1 / 3])
    assert np.isnan(limiting_magnitude(table, column="found")["magnitude"][0])
    for options in ({"fraction": 0}, {"column": "n"}, {"column": "classified_1_2"}):
        with pytest.raises(ValueError, match="must be"):
            limiting_magnitude(table, **options)
    del table["n"]
    with pytest.raises(ValueError, match=r"no column n, .* or add that column"):
        limiting_magnitude(table)
    table["n"] = 10
    assert len(limiting_magnitude(table)) == 2


def test_limits_have_errors_that_fall_with_the_number_of_clusters():
    table = Table({"magnitude": np.arange(20, 26.0), "radius": np.ones(6)})
    table["selected"] = [1, 0.9, 0.7, 0.4, 0.2, 0.0]
    widths = []
    for n in (10, 1000):
        table["n"] = n
        (limit,) = limiting_magnitude(table)
        assert limit["magnitude_low"] < limit["magnitude"] < limit["magnitude_high"]
        widths.append(limit["magnitude_high"] - limit["magnitude_low"])
    assert widths[0] > 4 * widths[1]
    again = limiting_magnitude(table)
    assert np.all(again == limiting_magnitude(table))
    assert np.any(again != limiting_magnitude(table, seed=1))
    assert again.pformat()[-1].split()[1] == "22.67"


def test_the_interval_of_a_limit_covers_the_truth():
    rng, magnitude = np.random.default_rng(0), np.arange(20, 25.0)
    true = np.array([0.95, 0.8, 0.6, 0.3, 0.1])
    limit, n, covered = 22 + 1 / 3, 40, 0
    for _ in range(200):
        k = rng.binomial(n, true)
        table = Table({"magnitude": magnitude, "radius": np.ones(5), "n": [n] * 5})
        table["selected"] = k / n
        (row,) = limiting_magnitude(table)
        covered += row["magnitude_low"] <= limit <= row["magnitude_high"]
    assert 0.58 < covered / 200 < 0.78


def test_limits_beyond_the_magnitudes_are_infinite():
    table = Table({"magnitude": [20.0, 21], "radius": [1.0, 1], "n": [9, 9]})
    for fraction, end in ((1.0, np.inf), (0.0, -np.inf)):
        table["selected"] = fraction
        (row,) = limiting_magnitude(table)
        assert np.isnan(row["magnitude"])
        assert end in (row["magnitude_low"], row["magnitude_high"])


def test_the_plot_shows_both_fractions_of_each_radius(result):
    ax = plot_completeness(result)
    lines = [line for line, _, _ in ax.containers]
    assert [line.get_linestyle() for line in lines] == ["--", "-"] * 2
    for line, radius, name in zip(lines, (1, 1, 2, 2), ("found", "selected") * 2, strict=True):
        rows = result[result["radius"] == radius]
        np.testing.assert_array_equal(line.get_xdata(), rows["magnitude"])
        np.testing.assert_array_equal(line.get_ydata(), rows[name])
    assert lines[0].get_color().tolist() != lines[2].get_color().tolist()
    assert any(set(line.get_ydata()) == {0.5} for line in ax.lines)
    legend = ax.get_legend()
    assert legend.get_title().get_text() == "half-light radius (pixels)"
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2", "found", "selected"]
    axes = ax.figure.add_subplot()
    assert plot_completeness(result, ax=axes) is axes


def test_the_plot_shows_what_is_left_after_classification(classified):
    table, _ = classified
    ax = plot_completeness(table)
    lines = [line for line, _, _ in ax.containers]
    assert [line.get_linestyle() for line in lines] == ["--", "-", ":"] * 2
    np.testing.assert_array_equal(lines[2].get_ydata(), table["classified_1_2"][::2])
    assert ax.get_legend().get_texts()[-1].get_text() == "selected, class 1 or 2"
