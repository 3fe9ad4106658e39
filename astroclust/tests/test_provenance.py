# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""What a catalog says of itself, in memory and in files."""

import hashlib
import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Column, MaskedColumn, QTable, Table, vstack
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import ImageSet, classify_table, find_candidates
from astroclust.catalogs import check_table_output, read_table, write_table
from astroclust.catalogs.keywords import KEYWORDS, find_keyword
from astroclust.catalogs.printing import print_most_important
from astroclust.cli import main
from astroclust.images import read_image
from astroclust.selection import (
    PRESETS,
    Cut,
    cut_flow,
    describe_settings,
    field_settings,
    keep_candidates,
)

FORMATS = ("t.fits", "t.ecsv", "t.vot", "t.xml", "t.fits.gz")
DEEP = replace(PRESETS["legus"], threshold=5)


@pytest.fixture(scope="module")
def candidates(field):
    return find_candidates(field.images, distance=18 * u.Mpc, preset=DEEP)


@pytest.fixture(scope="module")
def classified(candidates, field):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # some reach over the edges
        return classify_table(candidates, field.images)


@pytest.fixture
def odd():
    """Metadata and columns that FITS has no place for."""
    table = Table(
        {
            "id": Column([1, 2], description="número", format="d"),
            "flux": Column([1.0, 2.0], unit="electron / s", format=".4g", description="of a band"),
            "mag": MaskedColumn(
                [20.1, 0], mask=[False, True], unit="mag", description="long " * 40 + "text"
            ),
        }
    )
    table["mag"].description = "long " * 40 + "text"
    table.meta = {
        "DISTANCE": 10.0,
        "nested": {"a": 1, "b": [1, None]},
        "numbers": [1, 2, 3],
        "empty": [],
        "a long name": 3,
        "a = b": "c",
        "TTYPE1": "x",
        "Distance": "of the same name",
        "none": None,
        "nan": np.nan,
        "real": np.float32(2.5),
        "yes": True,
        "LONG": "words " * 40,
        "lines": "one\ntwo",
        "Größe": "é",
        "comments": ["first", "sécond"],
        "HISTORY": ["made"],
    }
    return table


def test_every_column_is_described(classified):
    bits = ("flags", "evidence", "n_filters", *(n for n in classified.colnames if "flag_" in n))
    counts = {"id", "area", "class", *bits}
    for column in classified.itercols():
        assert column.description, column.name
        assert column.format or column.name in counts
    units = {name: classified[name].unit for name in classified.colnames}
    assert (units["x"], units["ra"], units["mag_f555w"]) == (u.pix, u.deg, u.mag)
    assert (units["flux_err_f814w"], units["ci"]) == (u.electron / u.s, u.mag)
    text = classified["mag_f555w"].description
    assert "corrected to total from its concentration index" in text
    assert "not corrected for extinction" in text


@pytest.mark.parametrize("name", FORMATS)
def test_a_catalog_is_read_as_it_was_written(classified, name, tmp_path):
    write_table(classified, tmp_path / name)
    again = read_table(tmp_path / name)
    assert again.colnames == classified.colnames
    for column in classified.itercols():
        other = again[column.name]
        assert (other.unit, other.description) == (column.unit, column.description)
        assert other.dtype.kind == column.dtype.kind
        np.testing.assert_array_equal(
            np.ma.filled(other.astype(float), np.nan), np.ma.filled(column.astype(float), np.nan)
        )
        if "vot" not in name and "xml" not in name:
            assert other.format == column.format
    assert dict(again.meta) == dict(classified.meta)
    assert (cut_flow(again) == cut_flow(classified)).all()
    assert (describe_settings(again) == describe_settings(classified)).all()


def test_writing_changes_nothing(odd, tmp_path):
    flux, mag = odd["flux"].copy(), odd["mag"].copy()
    for name in FORMATS:
        write_table(odd, tmp_path / name)
    assert (odd["flux"].unit, odd["flux"].format) == (flux.unit, flux.format)
    assert (odd["id"].format, odd["mag"].description) == ("d", mag.description)
    assert not odd["flux"].meta
    write_table(QTable(odd), tmp_path / "q.fits")
    assert read_table(tmp_path / "q.fits")["flux"].unit == u.electron / u.s


def test_fits_keeps_all_metadata_readable(odd, tmp_path):
    write_table(odd, tmp_path / "t.fits")
    header = fits.getheader(tmp_path / "t.fits", 1)
    assert header["TCOMM3"] == odd["mag"].description
    assert header.comments["DISTANCE"] == "[Mpc] distance of the galaxy"
    assert header["NESTED"] == '{"a": 1, "b": [1, null]}'
    again = read_table(tmp_path / "t.fits")
    assert again["id"].description == "número"
    assert again["id"].format == "d"
    assert again["flux"].unit == u.electron / u.s
    meta = dict(again.meta)
    assert meta.pop("comments") == [
        "a = b = c",
        "TTYPE1 = x",
        "Distance = of the same name",
        "Gr\\xf6\\xdfe = \\xe9",
        "first",
        "s\\xe9cond",
    ]
    assert meta == {
        "DISTANCE": 10.0,
        "NESTED": '{"a": 1, "b": [1, null]}',
        "NUMBERS": [1, 2, 3],
        "EMPTY": "[]",
        "a long name": 3,
        "NONE": None,
        "NAN": "nan",
        "REAL": 2.5,
        "YES": True,
        "LONG": ("words " * 40).rstrip(),
        "LINES": "one\\ntwo",
        "HISTORY": ["made"],
    }


def test_votables_keep_all_metadata(odd, tmp_path):
    del odd.meta["lines"]  # XML has no line breaks in attributes
    write_table(odd, tmp_path / "t.vot")
    again = read_table(tmp_path / "t.vot")
    assert np.isnan(again.meta.pop("nan"))
    assert again.meta.pop("LONG").rstrip() == odd.meta.pop("LONG").rstrip()
    del odd.meta["nan"]
    assert dict(again.meta) == dict(odd.meta)
    assert again["flux"].unit == u.electron / u.s
    assert again["mag"].mask.tolist() == [False, True]


def test_votables_have_no_columns_of_objects(tmp_path):
    table = Table({"sky": SkyCoord([1.0], [2.0], unit="deg")})
    with pytest.raises(ValueError, match="cannot store column sky; write"):
        write_table(table, tmp_path / "t.vot")
    assert not list(tmp_path.iterdir())
    write_table(table, tmp_path / "t.ecsv")  # as the message says
    write_table(table, tmp_path / "t.fits")
    plain = Table({"ra": table["sky"].ra, "dec": table["sky"].dec})
    write_table(plain, tmp_path / "t.vot")
    assert read_table(tmp_path / "t.vot")["ra"].unit == u.deg
    check_table_output(tmp_path / "other.vot")


def test_descriptions_of_other_programs_are_read(tmp_path):
    hdu = fits.BinTableHDU(Table({"x": [1.0], "y": [2.0]}))
    hdu.header["TCOMM2"], hdu.header["TUNIT1"] = "along the other axis", "electron/s"
    hdu.writeto(tmp_path / "topcat.fits")
    table = read_table(tmp_path / "topcat.fits")
    assert table["y"].description == "along the other axis"
    assert table["x"].unit == u.electron / u.s
    assert "TCOMM2" not in table.meta


def test_what_astropy_writes_again_is_not_mixed_up(odd, tmp_path):
    write_table(odd, tmp_path / "t.fits")
    table = Table.read(tmp_path / "t.fits")
    del table["id"]  # so that the numbers of TCOMMn are those of other columns
    table["flux"].unit = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names in lower case
        table.write(tmp_path / "again.fits")
    again = read_table(tmp_path / "again.fits")
    assert again["flux"].description == "of a band"
    assert again["flux"].unit == u.electron / u.s


def test_keywords_fit_into_fits_headers(classified):
    for key, keyword in KEYWORDS.items():
        assert len(key) + (1 if keyword.each else 0) <= 8
        assert len(keyword.comment) <= 47  # beside a number
    assert all(find_keyword(key) for key in classified.meta)
    assert all(len(key) <= 8 and key == key.upper() for key in classified.meta)
    assert find_keyword("THRESH2") is None


def test_checksums_are_those_of_the_pixels(image, tmp_path):
    expected = hashlib.sha256(image.astype(">f4").tobytes()).hexdigest()[:16]
    fits.PrimaryHDU(image).writeto(tmp_path / "plain.fits")
    packed = fits.CompImageHDU(image, compression_type="GZIP_2", quantize_level=0)
    fits.HDUList([fits.PrimaryHDU(), packed]).writeto(tmp_path / "packed.fits")
    for form in (image, image[:, ::-1][:, ::-1], tmp_path / "plain.fits", tmp_path / "packed.fits"):
        assert read_image(form).checksum == expected
    other = image.copy()
    other[-1, -1] += 1
    assert read_image(other).checksum != expected


def test_settings_are_in_the_metadata(field, candidates):
    meta = candidates.meta
    assert meta["PRESET"] == "legus; changed: threshold"
    assert (meta["THRESH"], meta["MINCI"], meta["DISTANCE"]) == (5.0, 1.3, 18.0)
    assert (meta["DISTFROM"], meta["DETIMAGE"]) == ("given", "white light")
    assert [meta[f"FILTER{n}"] for n in range(1, 6)] == list(field.images.filters)
    assert meta["IMSHA4"] == field.images["V"].checksum
    assert (meta["MINFILT"], meta["REQUIRED"]) == (4, "B, V, I")
    two = {name: field.images[name] for name in ("F275W", "F814W")}
    of_two = find_candidates(two, distance=18).meta
    assert (of_two["MINFILT"], of_two["REQUIRED"], of_two["RECENTER"]) == (2, "I", "F814W")
    preset, distance = field_settings("ngc1566")
    corrected = replace(preset, aperture_correction={"V": (-0.6, 0.05)}, detect_in="V")
    exclude = np.zeros(field.images.shape, bool)
    found = find_candidates(field.images, preset=corrected, distance=distance, exclude=exclude)
    assert found.meta["DISTFROM"] == "LEGUS, field ngc1566"
    assert (found.meta["GALEXT4"], found.meta["APCOR4"]) == (0.026, -0.6)
    assert (found.meta["EXCLUDE"], found.meta["DETIMAGE"]) == ("mask", "F555W")
    changed = found.meta["PRESET"]
    assert changed.startswith("ngc1559") or "detect_in" in changed
    assert "aperture correction -0.600 mag" in found["mag_f555w"].description
    assert "extinction of 0.026 mag subtracted" in found["mag_f555w"].description


def test_settings_are_listed(candidates):
    settings = describe_settings(candidates)
    known = {row["setting"]: row for row in settings}
    assert known["DISTANCE"]["value"] == "18"
    assert known["DISTANCE"]["unit"] == "Mpc"
    assert known["GALEXT2"]["meaning"] == "F336W: Galactic extinction subtracted"
    assert not {"DETECTED", "REGION", "REJECT1"} & set(known)
    assert len(describe_settings(Table({"x": [1.0]}, meta={"OTHER": 3}))) == 0


def test_the_cut_flow_adds_up(field, candidates):
    sources = find_candidates(field.images, distance=18, preset=DEEP, keep_rejected=True)
    flow = cut_flow(sources)
    assert flow["cut"].tolist() == ["DETECTED", *(cut.name for cut in Cut)]
    assert flow["left"][0] == len(sources)
    assert flow["left"][-1] == len(candidates)
    np.testing.assert_array_equal(flow["left"][1:], flow["left"][:-1] - flow["newly_rejected"][1:])
    assert np.all(flow["rejected"] >= flow["newly_rejected"])
    assert (cut_flow(candidates) == flow).all()
    assert (cut_flow(keep_candidates(sources)) == flow).all()
    del candidates.meta["REJECT3"]
    with pytest.raises(KeyError, match="nor counts of cuts in its metadata"):
        cut_flow(candidates)


def test_no_distance_is_told_once(field):
    with pytest.warns(AstropyUserWarning, match="without a distance, sources fainter") as caught:
        plain = find_candidates(field.images)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert plain.meta["MAXABSV"] == "not applied: no distance"
    assert "DISTANCE" not in plain.meta
    # As the message says; and a preset without that cut.
    legus = PRESETS["legus"]
    without = replace(legus, cuts=replace(legus.cuts, max_absolute_v=np.inf))
    assert find_candidates(field.images, preset=without)["id"].tolist() == plain["id"].tolist()
    assert find_candidates(field.images, preset="phangs").meta["MAXABSV"] == "none"
    find_candidates(field.images, distance=10)


def test_a_second_run_adds_to_the_first(classified, field):
    rows = classified[:3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        again = classify_table(rows, field.images, column_prefix="second_")
    assert again.meta["ACPREF2"] == "second_"
    assert "ACPREF" not in again.meta
    assert again.meta["ACIMGS"] == again.meta["ACIMGS2"]
    assert f"F555W {field.images['V'].checksum} in memory" in again.meta["ACIMGS"]
    assert {"ACDAY2", "ACTORC2", "ACVERS2"} <= set(again.meta)


def test_parts_of_a_table_can_be_stacked(candidates, field):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        parts = [classify_table(candidates[rows], field.images) for rows in (np.s_[:2], np.s_[2:4])]
    assert "T" not in parts[0].meta["ACDAY"]
    assert len(vstack(parts)) == 4  # which warns where metadata differ


def test_print_shows_the_class(classified, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    head = str(classified).splitlines()[0].split()
    assert {"id", "x", "y", "...", "class", "probability"} <= set(head)
    assert "flux_f275w" in "".join(classified.pformat(max_width=-1, max_lines=-1)[0])
    narrow = classified["id", "class", "flux_f555w"]
    assert str(narrow).split()[:3] == ["id", "class", "flux_f555w"]
    mixed = QTable(classified)
    mixed["sky"] = SkyCoord(mixed["ra"], mixed["dec"])
    print_most_important(mixed)
    assert str(mixed).splitlines()[0].split()[-1] == "sky"
    # Nothing of this is in the metadata, from where it would be written.
    assert "__attributes__" not in classified.meta


def test_astropy_writes_the_metadata_too(classified, tmp_path):
    classified["id", "class", "mag_f555w"].write(tmp_path / "plain.fits")
    assert dict(read_table(tmp_path / "plain.fits").meta) == dict(classified.meta)


@pytest.fixture(scope="module")
def on_disk(field, tmp_path_factory):
    folder = tmp_path_factory.mktemp("field")
    field.images.write(folder / "field.fits")
    return [
        word
        for name in ("F438W", "F555W", "F814W")
        for word in ("--image", f"{name}={folder}/field.fits[{name}]")
    ]


def test_the_command_says_what_it_chose(on_disk, tmp_path, capsys):
    output = ["-o", f"{tmp_path}/c.fits", "--overwrite", "--workers", "1"]
    assert main(["detect", *on_disk, *output]) == 0
    said = capsys.readouterr()
    for text in (
        "preset: legus\n",
        "threshold 20 sigma",
        "distance: none",
        "DETECTED",
        "F814W (I)",
    ):
        assert text in said.out
    assert said.err.count("without a distance") == 1
    assert "--distance or --field on the command line" in said.err
    for stage in ("white light", "detecting", "measuring"):
        assert stage in said.err
    for remedy in (["--distance", "18"], ["--field", "ngc1566"]):
        assert main(["detect", "-q", *on_disk, *output, *remedy]) == 0
        said = capsys.readouterr()
        assert "warning" not in said.err
        assert "distance: 18 Mpc" in said.out
    assert read_table(tmp_path / "c.fits").meta["IMFILE1"].endswith("field.fits")


def test_the_command_writes_votables(on_disk, tmp_path):
    common = [*on_disk, "-q"]
    candidates, output = f"{tmp_path}/c.vot", f"{tmp_path}/r.vot"
    assert main(["detect", *common, "--distance", "18", "-o", candidates]) == 0
    assert main(["classify", candidates, *common, "-o", output]) == 0
    result = read_table(output)
    assert result.meta["DISTANCE"] == 18
    assert result["class"].description.startswith("most probable class")
    assert result.meta["ACMOD"] in {row["value"] for row in describe_settings(result)}


@pytest.mark.parametrize("command", ["detect", "completeness"])
def test_help_has_the_defaults_of_the_presets(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, preset in PRESETS.items():
        assert f"{name} {preset.threshold:g}" in text
        assert f"{name} {preset.cuts.min_ci:g}" in text
        assert f"{name} {preset.detect_in}" in text


def test_images_without_a_unit_have_fluxes_of_unknown_unit():
    pixels = np.random.default_rng(1).normal(0, 1, (60, 60))
    pixels[30, 30] += 1000
    images = ImageSet({"F555W": pixels})
    found = find_candidates(images, distance=1, keep_rejected=True)
    assert found["flux_f555w"].unit is None
    assert "unit of the image" in found["flux_f555w"].description


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (Table({"note": ["bright", "Σ1"]}), "the text 'Σ1' of column 'note'"),
        (Table({"vote_bén": [1]}), "the name of column 'vote_bén'"),
    ],
)
def test_texts_that_fits_cannot_hold(table, message, tmp_path):
    with pytest.raises(ValueError, match=f"FITS cannot store {message}; write .ecsv or .vot"):
        write_table(table, tmp_path / "t.fits")
    with pytest.raises(ValueError, match="FITS cannot store"):
        check_table_output(tmp_path / "t.fits", table=table)
    assert not (tmp_path / "t.fits").exists()
    for name in ("t.ecsv", "t.vot"):  # the remedies
        check_table_output(tmp_path / name, table=table)
        write_table(table, tmp_path / name)
        again = read_table(tmp_path / name)
        assert again.colnames == table.colnames
        assert again[0].as_void().tolist() == table[0].as_void().tolist()


def test_a_text_that_fits_cannot_hold_is_told_before_anything_is_classified(
    on_disk, tmp_path, capsys, monkeypatch
):
    Table({"x": [60.0], "y": [60.0], "note": ["Σ"]}).write(tmp_path / "t.ecsv")
    monkeypatch.setattr("astroclust.classify_table", None)
    assert main(["classify", f"{tmp_path}/t.ecsv", *on_disk, "-q", "-o", f"{tmp_path}/r.fits"]) == 1
    assert "FITS cannot store the text 'Σ' of column 'note'" in capsys.readouterr().err
