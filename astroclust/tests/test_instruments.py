# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Instruments, band systems and class schemes."""

import copy
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData
from astropy.table import Table

from astroclust import ImageSet, Stamps, make_stamps
from astroclust.instruments import (
    LEGUS_BANDS,
    LEGUS_CLASSES,
    BandSystem,
    ClassScheme,
    Filter,
    Instrument,
    ab_of_vega,
    band_systems,
    camera_of,
    cameras,
    class_schemes,
    classes_of,
    find_band_system,
    find_class_scheme,
    find_filter,
    find_instrument,
    instruments,
    legus_zero_point,
    meta_of,
    register_band_system,
    register_class_scheme,
    register_instrument,
)

SIX = BandSystem(
    "legus-halpha",
    roles=("NUV", "U", "B", "V", "HA", "I"),
    filters={**LEGUS_BANDS.filters, "f657n": "ha", "F658N": "HA"},
    pixel_scale=0.0396,
    reference=LEGUS_BANDS.reference,
)
INFRARED = BandSystem(
    "nircam",
    roles=("F115W", "F150W", "F200W", "F277W"),
    filters={name: name for name in ("F115W", "F150W", "F200W", "F277W")},
    pixel_scale=0.031,
    unit="Jy",
)


@pytest.fixture(autouse=True)
def _registries(monkeypatch):
    for module in (band_systems, cameras, class_schemes):
        monkeypatch.setattr(module, "_REGISTERED", {})


# Instruments


def test_every_camera_has_filters_with_numbers():
    for name, camera in instruments().items():
        assert camera.pixel_scale > 0
        assert camera.source
        for key, item in camera.filters.items():
            assert item.pivot > 0
            assert np.isfinite([item.width, item.ab_of_vega, item.extinction]).all(), (name, key)
            assert item.source
    assert {"uvis", "ir", "acs", "hrc", "wfpc2", "nircam-sw", "nircam-lw"} <= set(instruments())
    assert {"F657N", "F658N"} <= set(find_instrument("uvis").filters)


def test_pivots_agree_with_the_names_of_filters():
    for camera in instruments().values():
        unit = 100 if camera.name == "ir" or camera.telescope == "JWST" else 10
        for name, item in camera.filters.items():
            number = unit * int("".join(c for c in name[1:5] if c.isdigit()))
            assert item.pivot == pytest.approx(number, rel=0.09), name


def test_zero_points_of_legus():
    assert legus_zero_point("uvis", "F555W") == 25.816
    assert np.isnan(legus_zero_point("nircam-sw", "F115W"))
    assert np.isnan(legus_zero_point("keck", "R"))
    assert ab_of_vega("hrc", "F814W") == pytest.approx(ab_of_vega("acs", "F814W"), abs=0.02)
    assert np.isnan(ab_of_vega("keck", "R"))
    assert find_instrument("acs").is_calibrated
    assert not find_instrument("wfpc2").is_calibrated


def test_unknown_instruments_and_the_remedy():
    with pytest.raises(KeyError, match=r"available are wfpc2, ir.*register_instrument"):
        find_instrument("keck")
    register_instrument(Instrument("keck", "NIRC2", pattern="NIRC2", pixel_scale=0.01))
    assert find_instrument("keck").label == "NIRC2"
    with pytest.raises(TypeError, match="must be an Instrument or a Table"):
        register_instrument("keck")
    with pytest.raises(ValueError, match="pixel_scale must be positive"):
        Instrument("keck", "NIRC2", pattern="NIRC2", pixel_scale=0)
    with pytest.raises(ValueError, match="filters has 'K' for 'H'"):
        Instrument("a", "A", pattern="A", pixel_scale=1, filters={"K": Filter("H", 16000.0)})


def test_instruments_from_a_table():
    table = Table(
        {"name": ["keck"], "label": ["NIRC2"], "pattern": ["NIRC2"], "pixel_scale": [0.01]}
    )
    filters = Table({"camera": ["keck"], "filter": ["K"], "pivot": [22000.0]})
    register_instrument(table, filters)
    assert find_filter("keck", "K").pivot == 22000
    assert np.isnan(find_filter("keck", "K").ab_of_vega)
    register_instrument(table)
    assert not find_instrument("keck").filters


def test_cameras_with_one_header_are_told_apart_by_filter():
    for name, camera in (("F115W", "nircam-sw"), ("F277W", "nircam-lw")):
        image = NDData(np.ones((4, 4)), meta={"INSTRUME": "NIRCAM", "FILTER": name}, unit="MJy/sr")
        image.meta["PIXAR_SR"] = 2e-14
        assert camera_of(ImageSet({name: image}, system=INFRARED)[name]) == camera


# Band systems


def test_six_bands():
    assert SIX.index("HA") == 4
    assert SIX.filters["F657N"] == "HA"
    assert [SIX.channel(role) for role in SIX.roles] == [2, 2, 1, 1, 0, 0]
    assert [LEGUS_BANDS.channel(role) for role in LEGUS_BANDS.roles] == [2, 2, 1, 1, 0]
    images = {name: np.random.default_rng(1).random((8, 8)) for name in ("F555W", "F657N")}
    with pytest.raises(ValueError, match="'F657N' has no known role"):
        ImageSet(images)
    both = ImageSet(images, system=SIX)
    assert both.roles == ("V", "HA")
    assert both.reference.role == "V"
    five = ImageSet.of(both, "legus")
    assert five.roles == ("V",)
    assert ImageSet.of(five, SIX).roles == ("V",)
    assert ImageSet.of(both) is both
    with pytest.raises(ValueError, match=r"none of which has a role in nircam.*ImageSet"):
        ImageSet.of(both, INFRARED)


def test_infrared_images_become_flux_densities():
    meta = {"INSTRUME": "NIRCAM", "PIXAR_SR": 2.29e-14}
    image = NDData(np.full((8, 8), 5.0), unit="MJy/sr", meta=meta)
    band = ImageSet({"F115W": image}, system=INFRARED)["F115W"]
    assert str(band.unit) == "Jy"
    assert band.pixels(np.s_[:1, :1])[0, 0] == pytest.approx(5e6 * 2.29e-14)
    with pytest.raises(ValueError, match=r"cannot be converted to Jy.*set BUNIT"):
        ImageSet({"F115W": np.ones((8, 8))}, system=INFRARED)
    hst = NDData(np.ones((8, 8)), meta={"PHOTFLAM": 1.8e-20, "PHOTPLAM": 11534.0})
    band = ImageSet({"F110W": hst}, roles={"F110W": "F115W"}, system=INFRARED)["F115W"]
    expected = 1.8e-20 * 11534.0**2 / 2.99792458e18 / 1e-23
    assert band.pixels(np.s_[:1, :1])[0, 0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("meta", [{}, {"PIXAR_SR": 0.0}])
def test_surface_brightness_needs_the_area_of_a_pixel(meta):
    image = NDData(np.full((8, 8), 5.0), unit="MJy/sr", meta={"INSTRUME": "NIRCAM", **meta})
    with pytest.raises(ValueError, match=r"area is unknown without a WCS .*; set PIXAR_SR"):
        ImageSet({"F115W": image}, system=INFRARED)


def test_band_systems_by_name():
    with pytest.raises(KeyError, match=r"unknown band system 'nircam'.*register_band_system"):
        find_band_system("nircam")
    register_band_system(INFRARED)
    assert find_band_system("nircam") is INFRARED
    assert find_band_system(SIX) is SIX
    assert pickle.loads(pickle.dumps(SIX)) == SIX
    with pytest.raises(TypeError, match="must be a BandSystem"):
        register_band_system("nircam")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"roles": ()}, "one or more different names"),
        ({"roles": ("V", "v")}, "one or more different names"),
        ({"filters": {"F115W": "J"}}, "filters has"),
        ({"reference": ("J",)}, "reference has"),
        ({"pixel_scale": 0}, "pixel_scale must be"),
        ({"pixel_scale": "0.04"}, "pixel_scale must be"),
        ({"unit": "furlong per"}, "furlong"),
        ({"unit": "mag"}, "unit must be 'electron / s' or a unit of flux density"),
        ({"unit": "MJy/sr"}, "unit must be 'electron / s'"),
        ({"roles": "VI"}, "roles must be a list of names"),
        ({"name": ""}, "'' is not a valid name for a band system"),
        ({"filters": {"Hβ": "F115W"}}, "not a valid name for a band system, role or filter"),
        ({"filters": {"f1": "F115W", "F1": "F150W"}}, "has names that differ only by case"),
        ({"defaults": {"F115W": "nircam-sw"}}, "defaults has 'NIRCAM-SW'; map each role to"),
    ],
)
def test_band_systems_that_make_no_sense(change, message):
    with pytest.raises(ValueError, match=message):
        replace(INFRARED, **change)


def test_every_role_can_be_the_reference():
    system = replace(LEGUS_BANDS, reference=("I",))
    assert system.reference[0] == "I"
    assert set(system.reference) == set(system.roles)
    assert ImageSet({"V": np.random.default_rng(1).random((8, 8))}, system=system).reference


def test_numbers_and_units_of_libraries_are_accepted():
    system = replace(INFRARED, pixel_scale=np.float32(0.03), unit=u.Jy)
    assert BandSystem.of_header(system.header) == system


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[]",
            r"band\.json .* band system \(a band system must have the entries name, roles, filters",
        ),
        ('{"name": "x"}', "must have the entries name, roles, filters, pixel_scale"),
        (json.dumps({**SIX.content, "color": 1}), "unknown entries color; valid are name, roles"),
    ],
)
def test_json_files_that_are_no_band_systems(tmp_path, text, message):
    (tmp_path / "band.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        find_band_system(tmp_path / "band.json")


def test_roles_given_by_hand_are_kept_in_another_system():
    rng = np.random.default_rng(1)
    images = {name: rng.random((8, 8)) for name in ("F814W", "F555W", "F657N")}
    roles = {"F814W": "V", "F555W": "I"}
    given = ImageSet(images, roles=roles, system=SIX)
    assert given["V"].filter == "F814W"
    assert ImageSet.of(given, "legus")["V"].filter == "F814W"
    assert ImageSet.of(ImageSet.of(given, "legus"), SIX)["I"].filter == "F555W"


def test_files_know_their_band_system(tmp_path):
    images = ImageSet({"F657N": np.random.default_rng(1).random((60, 60))}, system=SIX)
    images.write(tmp_path / "field.fits")
    assert ImageSet.read(tmp_path / "field.fits").system == SIX
    with pytest.raises(ValueError, match="'F657N' has no known role"):
        ImageSet.read(tmp_path / "field.fits", system="legus")
    stamps = make_stamps(Table({"x": [30.0], "y": [30.0]}), images, size=10)
    assert stamps.bands == SIX.roles
    stamps.write(tmp_path / "stamps.fits")
    assert Stamps.read(tmp_path / "stamps.fits").system == SIX
    assert Stamps.read(tmp_path / "stamps.fits").bands == SIX.roles
    fits.setval(tmp_path / "stamps.fits", "BANDSYS", value="{}")
    with pytest.raises(ValueError, match="delete it to use the"):
        Stamps.read(tmp_path / "stamps.fits")
    fits.delval(tmp_path / "stamps.fits", "BANDSYS")
    with pytest.raises(ValueError, match="must be different roles"):
        Stamps.read(tmp_path / "stamps.fits")


def test_band_systems_cannot_be_changed():
    with pytest.raises(TypeError, match="cannot be modified; create a new one with dataclasses"):
        LEGUS_BANDS.filters["X"] = "V"
    with pytest.raises(TypeError, match="cannot be modified"):
        LEGUS_CLASSES.names.update({9: "nine"})
    assert copy.deepcopy(LEGUS_BANDS) == pickle.loads(pickle.dumps(LEGUS_BANDS)) == LEGUS_BANDS
    assert BandSystem.from_content(json.loads(json.dumps(SIX.content))) == SIX
    changed = replace(SIX, defaults={"HA": ("UVIS", "f657n")}, stars=[{"v": 1.0}])
    assert changed.defaults["HA"] == ("uvis", "F657N")
    assert changed.stars[0]["V"] == 1
    assert changed.select(["ha", "v"]) == ("HA", "V")
    with pytest.raises(ValueError, match="role 'J' is not one of legus-halpha"):
        SIX.channel("J")


# Class schemes


def test_positions_and_numbers():
    labels = np.array([4, 1, 3])
    assert LEGUS_CLASSES.positions(labels).tolist() == [3, 0, 2]
    assert LEGUS_CLASSES.numbers_of([3, 0, 2]).tolist() == labels.tolist()
    assert LEGUS_CLASSES.is_cluster([1, 2, 3, 4, 0]).tolist() == [True, True, True, False, False]
    cluster = find_class_scheme("cluster")
    assert cluster.positions([1, 2, 3, 4]).tolist() == [0, 0, 0, 1]
    assert cluster.most_probable([[0.2, 0.8], [0.9, 0.1]]).tolist() == [4, 1]
    assert cluster.is_cluster([2, 4]).tolist() == [True, False]
    masked = np.ma.masked_array([1, 4, 9], mask=[True, False, False])
    assert LEGUS_CLASSES.knows(masked).tolist() == [False, True, False]


def test_labels_of_another_scheme():
    with pytest.raises(ValueError, match=r"\[0, 7\] are not classes of legus.*not inspected"):
        LEGUS_CLASSES.positions([1, 0, 7])
    with pytest.raises(ValueError, match="1 masked values; exclude those rows"):
        LEGUS_CLASSES.positions(np.ma.masked_array([1, 2], mask=[True, False]))


def test_artifacts_of_phangs_merge():
    assert find_class_scheme("phangs").positions([2, 9, 19]).tolist() == [1, 3, 3]


@pytest.mark.parametrize(
    "names", [{1: "one"}, {0: "a", 1: "b"}, {1: "", 2: "b"}, {1: 2, 2: "b"}, [1]]
)
def test_classes_that_are_none(names):
    with pytest.raises(ValueError, match="to two or more names"):
        ClassScheme("mine", names)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name of a class scheme must be a single line of text, not ''"),
        (
            {"merges": {2: 1}},
            r"merges of mine has \[2\]; map whole numbers that are not classes",
        ),
        ({"merges": {2.5: 1}}, r"merges of mine has \[2.5\]"),
        ({"colors": {3: "red"}}, r"colors of mine must map some of the classes \[1, 2\] to text"),
        ({"markers": {1: 5}}, "markers of mine must map some of the classes"),
    ],
)
def test_schemes_that_are_not_accepted(changes, message):
    scheme = {"name": "mine", "names": {1: "a", 2: "b"}, **changes}
    with pytest.raises(ValueError, match=message):
        ClassScheme(**scheme)


@pytest.mark.parametrize("suffix", ["fits", "ecsv"])
def test_unregistered_schemes_keep_all_they_say(tmp_path, suffix):
    mine = ClassScheme(
        "größe \"1'",
        {300: "β " + 70 * "x", 7: " star "},
        clusters=[300],
        merges={9: 7},
        colors={7: "red"},
    )
    path = tmp_path / f"mine.{suffix}"
    Table({"class": [7]}, meta=meta_of(mine)).write(path)
    again = classes_of(Table.read(path))
    assert again == mine
    assert again.numbers == (300, 7)


def test_a_known_scheme_of_the_same_name_must_have_the_same_meaning():
    register_class_scheme(ClassScheme("mine", {1: "a", 2: "b"}, clusters=[1]))
    for other in (
        ClassScheme("mine", {1: "a", 2: "b"}, clusters=[2]),
        ClassScheme("mine", {2: "b", 1: "a"}, clusters=[1]),
    ):
        found = classes_of(Table(meta=meta_of(other)))
        assert (found.numbers, found.clusters) == (other.numbers, other.clusters)


def test_columns_of_each_prefix_have_their_own_scheme():
    mine = ClassScheme("mine", {7: "a", 8: "b"})
    table = Table(meta=meta_of(find_class_scheme("cluster")))
    table.meta.update(meta_of(mine, column_prefix="ml_", meta=table.meta))
    assert classes_of(table).name == "cluster"
    assert classes_of(table, "ml_") == mine
    table.meta.update(meta_of(mine, meta=table.meta))
    assert classes_of(table) == mine


def test_scheme_of_a_table_by_name():
    assert classes_of(Table(meta={"SCHEME": "cluster"})).numbers == (1, 4)
    with pytest.raises(KeyError, match="unknown class scheme 'mine'"):
        classes_of(Table(meta={"SCHEME": "mine"}))
    with pytest.raises(
        ValueError, match=r"CLASSES in the table metadata.* delete it and set SCHEME"
    ):
        classes_of(Table(meta={"SCHEME": "cluster", "CLASSES": "{"}))


def test_schemes_from_metadata(tmp_path):
    mine = ClassScheme("mine", {1: "cluster", 2: "star", 3: "galaxy"}, clusters=[1])
    table = Table({"class": [1]}, meta=meta_of(mine))
    table.write(tmp_path / "mine.fits")
    again = classes_of(Table.read(tmp_path / "mine.fits"))
    assert again == mine
    register_class_scheme(replace(mine, colors={1: "red"}))
    assert classes_of(table).colors[1] == "red"
    assert classes_of(Table()) is LEGUS_CLASSES
    assert find_class_scheme("mine").colors[1] == "red"
    with pytest.raises(KeyError, match=r"unknown class scheme 'yours'.*register_class_scheme"):
        find_class_scheme("yours")
    with pytest.raises(ValueError, match=r"\[7\] are not classes"):
        replace(mine, clusters=[7])
