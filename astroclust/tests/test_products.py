# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
import mmap
import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS

from astroclust import (
    ImageSet,
    classify_table,
    find_candidates,
    find_field,
    read_legus,
    simulate_field,
    write_legus,
)
from astroclust.catalogs import legus_fields
from astroclust.cli import main
from astroclust.photometry.calibration import zero_point
from astroclust.selection import PRESETS
from astroclust.simulation import write_field
from astroclust.simulation.cataloging import MATCH_RADIUS, field_catalog, template_field
from astroclust.simulation.headers import header_of
from astroclust.simulation.observations import observe_like
from astroclust.simulation.products import check_field_output

LIKE = "ngc5474"  # F606W in V, both cameras, a name of its own for its images, another layout


@pytest.fixture(scope="module")
def drawn():
    return simulate_field(like=LIKE, shape=(180, 210), seed=8, density=8e-4)


@pytest.fixture(scope="module")
def files(drawn, tmp_path_factory):
    return write_field(drawn, tmp_path_factory.mktemp("products") / "new")


def test_names_are_those_of_legus(files):
    image = "hlsp_legus_hst_{}_ngc5474-c_{}_v1_drc.fits"
    assert [path.name for path in files.images.values()] == [
        image.format("uvis", "f275w"),
        image.format("uvis", "f336w"),
        image.format("uvis", "f438w"),
        image.format("acs", "f606w"),
        image.format("acs", "f814w"),
    ]
    stem = "hlsp_legus_hst_acs-wfc3_ngc5474_multiband_v1_padagb-mwext-avgapcor"
    assert (files.catalog.name, files.readme.name) == (f"{stem}.tab", f"{stem}.readme")
    assert sorted(files.catalog.parent.iterdir()) == sorted(files)


def test_images_read_back(drawn, files):
    images = ImageSet.read(files.images)
    assert images.filters == drawn.images.filters
    sky = drawn.images.wcs.pixel_to_world([0, 209, 105], [0, 0, 179])
    x, y = images.wcs.world_to_pixel(sky)
    np.testing.assert_allclose(x, [0, 209, 105], atol=1e-6)
    np.testing.assert_allclose(y, [0, 0, 179], atol=1e-6)
    for name, band in images.items():
        assert band.data.dtype == ">f4"
        np.testing.assert_array_equal(band.data, drawn.images[name].data)
        assert zero_point(band) == pytest.approx(zero_point(band, "legus"), abs=1e-4)


def test_headers_are_of_hst_and_say_that_they_are_simulated(files):
    with fits.open(files.images["F814W"], memmap=True) as hdus:
        header, data = hdus[0].header, hdus[0].data
        assert len(hdus) == 1
        while isinstance(data, np.ndarray):
            data = data.base
        assert isinstance(data, mmap.mmap)
    assert header["BUNIT"] == "ELECTRONS/S"
    assert (header["INSTRUME"], header["DETECTOR"]) == ("ACS", "WFC")
    assert (header["FILTER1"], header["FILTER2"]) == ("CLEAR1L", "F814W")
    assert header["CD2_2"] * 3600 == pytest.approx(header["D001SCAL"])
    assert "CDELT1" not in header
    assert header["ORIENTAT"] == 0
    assert header["FILENAME"] == files.images["F814W"].name
    assert header["ORIGIN"] == "simulated by astroclust"
    assert "not HST data" in str(header["HISTORY"])
    assert "seed 8" in str(header["HISTORY"])
    assert fits.getheader(files.images["F275W"])["FILTER"] == "F275W"


def test_catalog_reads_back(drawn, files):
    given = field_catalog(drawn, template_field(drawn))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = Table.read(files.catalog, format="ascii.legus")
    assert len(table) == len(given) > 20
    assert {len(line.split()) for line in files.catalog.read_text().splitlines()} == {35}
    for name, tolerance in (("x", 6e-4), ("y", 6e-4), ("mag_f606w", 1e-5), ("ci", 1e-5)):
        np.testing.assert_allclose(table[name], given[name], rtol=0, atol=tolerance)
    for name in ("id", "n_filters", "class_human", "flag_f275w"):
        np.testing.assert_array_equal(table[name], given[name])
    np.testing.assert_array_equal(table["mag_f275w"].mask, given["mag_f275w"].mask)
    # Degrees have five digits in the files of LEGUS.
    images = ImageSet.read(files.images)
    ra, dec = images.wcs.wcs_pix2world(table["x"], table["y"], 0)
    np.testing.assert_allclose(table["ra"], ra, atol=6e-6)
    np.testing.assert_allclose(table["dec"], dec, atol=6e-6)
    assert table.meta["FIELD"] == LIKE
    assert np.isin(table["n_filters"], (0, 4, 5)).all()


def test_catalog_has_what_the_pipeline_finds(files):
    images, known = ImageSet.read(files.images), find_field(LIKE)
    legus = PRESETS["legus"]
    extinction = dict(zip(known.filters, known.extinction, strict=True))
    cuts = replace(legus.cuts, min_ci=known.ci_cut)
    preset = replace(legus, cuts=cuts, extinction=extinction)
    found = find_candidates(images, distance=known.distance, preset=preset)
    table = read_legus(files.catalog)
    inspected = table[table["class_human"] > 0]
    np.testing.assert_allclose(inspected["x"], found["x"], atol=6e-4)
    assert 10 < len(inspected) < len(table)
    assert (table["ci"] >= known.ci_cut - 1e-5).all()
    np.testing.assert_array_equal(table["class_human"] == 0, table["class_mean"].mask)
    # All in the same aperture: what differs is the correction, here the same for all.
    step = inspected["mag_f606w"] + 2.5 * np.log10(found["flux_f606w"])
    assert np.ptp(step) < 1e-4


def test_labels_and_fits_are_those_of_the_nearest_candidate(drawn, files):
    table, truth = read_legus(files.catalog), Table.read(files.truth)
    assert truth.colnames == drawn.truth.colnames
    np.testing.assert_array_equal(truth["class"], drawn.truth["class"])
    fitted = 0
    for row in table:
        distance = np.hypot(truth["x"] - row["x"], truth["y"] - row["y"])
        nearest = np.argmin(distance)
        is_drawn = distance[nearest] < MATCH_RADIUS
        if row["class_human"] > 0 and is_drawn:
            assert row["class_human"] == drawn.candidates["class_human"][nearest]
            assert row["class_mean"] == pytest.approx(
                drawn.candidates["class_mean"][nearest], abs=1e-3
            )
        age = truth["log_age"][nearest]
        if is_drawn and row["n_filters"] >= 4 and age > 0:
            assert np.log10(row["age"]) == pytest.approx(age, abs=1e-3)
            assert np.log10(row["mass"]) == pytest.approx(truth["log_mass"][nearest], abs=1e-3)
            assert row["e_bv"] == pytest.approx(truth["e_bv"][nearest], abs=1e-5)
            fitted += 1
        else:
            assert row["age"] is np.ma.masked
    assert fitted > 5


def test_files_go_straight_into_the_classifier(files):
    table = read_legus(files.catalog)
    inside = (np.abs(table["x"] - 104.5) < 79) & (np.abs(table["y"] - 89.5) < 64)
    result = classify_table(table[inside], ImageSet.read(files.images))
    assert len(result) == inside.sum() > 10
    assert not np.ma.getmaskarray(result["class"]).any()


def test_readme_is_in_the_words_of_legus(files):
    text = files.readme.read_text()
    assert "these are not HST data" in text
    assert "10. final total mag in WFC3/F438W\n" in text
    assert "12. final total mag in ACS/F606W\n" in text
    assert (
        "34. Final assigned class of the source after visual inspection, applying the mode" in text
    )
    assert "CI>=1.4" in text


def test_files_are_not_replaced_unless_asked(drawn, files):
    before = {path: path.read_bytes() for path in files}
    with pytest.raises(FileExistsError, match="already exists"):
        write_field(drawn, files.truth.parent)
    files.readme.write_text("old")
    again = write_field(drawn, files.truth.parent, overwrite=True)
    assert again == files
    assert {path: path.read_bytes() for path in again} == before


def test_nothing_is_left_where_one_file_fails(drawn, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(Table, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        write_field(drawn, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_empty_field_has_an_empty_catalog(tmp_path):
    field = simulate_field(like="ngc1433", shape=(32, 32), seed=1, density=1e-9)
    with pytest.warns(AstropyUserWarning, match="no sources are found"):
        files = write_field(field, tmp_path)
    assert files.catalog.read_text() == ""
    assert ImageSet.read(files.images).shape == (32, 32)


def test_images_must_say_what_they_are_like(drawn, tmp_path):
    images = ImageSet({"F555W": CCDData(np.ones((40, 40)), unit="electron/s", wcs=WCS(naxis=2))})
    with pytest.raises(KeyError, match="lack FIELD"):
        write_field(replace(drawn, images=images), tmp_path)


@pytest.mark.parametrize("like", list(legus_fields()))
def test_each_field_has_names_and_headers(like, tmp_path):
    files = check_field_output(like, tmp_path)
    assert len({path.name for path in files}) == 8
    observation = observe_like(like, np.random.default_rng(0), np.ones(5))
    for header in header_of(observation, find_field(like)):
        assert all(len(key) <= 8 for key in header)
        assert fits.Header(header)["PHOTFLAM"] > 0


def images_in(folder):
    return ImageSet.read({path.name.split("_")[5]: path for path in folder.glob("*.fits")})


def test_simulate(drawn, tmp_path, capsys):
    folder = tmp_path / "out"
    command = ["simulate", "--like", "NGC 5474", "--shape", "180", "210", "--seed", "8"]
    command += ["--density", "8e-4", "--workers", "1", "-o", str(folder)]
    assert main(command) == 0
    captured = capsys.readouterr()
    assert "sources in the catalog" in captured.out
    assert "drawing" in captured.err
    assert "detecting" in captured.err
    images = images_in(folder)
    np.testing.assert_array_equal(images["V"].data, drawn.images["V"].data)
    (catalog,) = folder.glob("*.tab")
    assert len(read_legus(catalog)) > 0
    assert main([*command, "-q"]) == 1
    assert "already exists" in capsys.readouterr().err
    catalog.unlink()
    assert main([*command, "-q", "--json", "--overwrite"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    facts = json.loads(captured.out)
    assert facts["objects"] == len(drawn.truth)
    assert facts["sources"] == sum(facts["counts"].values()) == len(read_legus(catalog))
    assert facts["files"]["catalog"] == str(catalog)
    assert set(facts["files"].values()) == set(map(str, folder.iterdir()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--like": "ngc628"}, "did you mean ngc628-c, ngc628-e"),
        ({"--shape": ["0", "100"]}, "shape must be at least 32 x 32"),
        ({"--density": "-1"}, "density must be positive"),
        ({"--catalog": "none.tab"}, "none.tab does not exist"),
        ({"--workers": "0"}, "workers must be a whole number of at least 1"),
        ({"-o": "no/folder"}, "the folder no does not exist; create it first"),
        ({"-o": "/proc/simulated"}, "cannot write /proc/simulated"),
        ({"-o": __file__}, "it is a file; choose a folder"),
    ],
)
def test_what_is_wrong_is_said(change, message, tmp_path, capsys):
    options = {"--shape": ["40", "40"], "-o": str(tmp_path / "out")} | change
    command = ["simulate", "-q"]
    for name, value in options.items():
        command += [name, *np.atleast_1d(value).tolist()]
    assert main(command) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_catalog_is_painted(files, tmp_path, capsys):
    table = read_legus(files.catalog)
    write_legus(table[table["n_filters"] > 0], tmp_path / files.catalog.name)
    command = ["simulate", "-q", "--catalog", str(tmp_path / files.catalog.name)]
    # What is drawn of the field is that of the fixture, and known already.
    command += ["--shape", "180", "210", "--seed", "8", "-o", str(tmp_path / "painted")]
    assert main(command) == 0, capsys.readouterr().err
    painted = read_legus(tmp_path / "painted" / files.catalog.name)
    truth = Table.read(tmp_path / "painted" / "truth.ecsv")
    assert len(truth) == np.sum(table["n_filters"] > 0)
    assert painted.meta["FIELD"] == LIKE
    for row in painted[painted["class_human"] > 0]:
        distance = np.hypot(table["x"] - row["x"], table["y"] - row["y"])
        given = table[np.argmin(distance)]
        if distance.min() < 3 and given["n_filters"] > 0:
            assert row["class_human"] in (given["class_human"], 4)
    # The images have the coordinates of the catalog, to its last digit.
    images = images_in(tmp_path / "painted")
    x, y = images.wcs.wcs_world2pix(truth["ra"], truth["dec"], 0)
    np.testing.assert_allclose(x, table["x"][table["n_filters"] > 0], atol=0.7)
    np.testing.assert_allclose(y, table["y"][table["n_filters"] > 0], atol=0.7)
