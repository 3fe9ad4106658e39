# Licensed under a 3-clause BSD style license - see LICENSE.rst
import gzip
import subprocess
import sys
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import find_field, write_legus
from astroclust.catalogs import (
    CatalogFlag,
    legus_catalogs,
    legus_fields,
    read_legus,
    read_table,
    sample_counts,
    training_sample,
)

NAME = "hlsp_legus_hst_{}_multiband_v1_padagb-mwext-avgapcor.tab"


def rows(labels, *, mosaic=False, n_filters=5):
    """The numbers of a catalog with the given last columns, one row for each."""
    labels = np.atleast_2d(labels)
    n = len(labels)
    number = np.arange(1.0, n + 1)
    start = [number, 100 + number, 200 + number]
    start += [1000 + number, 2000 + number] if mosaic else []
    start += [np.full(n, 24.17), np.full(n, 15.78)]
    magnitudes = [np.full(n, value) for value in (21, 0.1, 21.5, 0.08, 22, 0.05, 22.2, 0.04, 22, 1)]
    fit = [np.full(n, value) for value in (1e7, 2e7, 1e6, 5e3, 6e3, 4e3, 0.2, 0.3, 0.1)]
    rest = [np.full(n, value) for value in (0.1, 0.1, 0.1, 0.1, 0.1, 1.5, 0.8, n_filters)]
    return np.column_stack([*start, *magnitudes, np.full(n, 1.6), *fit, *rest, labels])


def write(folder, values, field="wfc3_ngc1433", **options):
    path = folder / NAME.format(field)
    np.savetxt(path, values, fmt="%.5f", **options)
    return path


def test_columns_have_names_units_and_positions_from_zero(tmp_path):
    path = write(tmp_path, rows([[1, 1.333], [0, 0], [4, 4]]))
    table = Table.read(path, format="ascii.legus")
    assert table.colnames[:7] == ["id", "x", "y", "ra", "dec", "mag_f275w", "mag_err_f275w"]
    np.testing.assert_array_equal(table["x"], [100, 101, 102])
    np.testing.assert_array_equal(table["y"], [200, 201, 202])
    assert table["x"].unit == u.pix
    assert table["ra"].unit == u.deg
    assert table["mag_f438w"].unit == u.mag
    assert table["mass"].unit == u.Msun
    assert "F438W" in table["mag_f438w"].description
    np.testing.assert_array_equal(table["class_human"], [1, 0, 4])
    assert table["class_mean"].mask.tolist() == [False, True, False]
    assert table.meta["FIELD"] == "ngc1433"
    assert table.meta["LABELS"] == "consensus"
    assert all(column.description for column in table.itercols())


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([[1], [0]], ["class_human"]),
        ([[1, 1.5], [0, 0]], ["class_human", "class_mean"]),
        ([[1, 0], [4, 1]], ["class_human", "selection"]),
        ([[1, 1.5, 0], [0, 0, 1]], ["class_human", "class_mean", "selection"]),
        ([[1, 1.5, 1], [0, 0, 4]], ["class_human", "class_mean", "class_ml"]),
        ([[0, 1, 2, 4], [1, 4, 1, 1]], ["selection", "class_human", "quality", "halpha"]),
        ([[1, 2, 4, 0], [4, 0, 0, 1]], ["class_human", "quality", "halpha", "selection"]),
        ([[5, 0, 0, 2, 1]], ["class_human", "quality", "halpha", "class_ml", "selection"]),
    ],
)
@pytest.mark.parametrize("mosaic", [False, True])
@pytest.mark.filterwarnings("ignore:the filters of")
def test_layouts_are_told_by_what_they_hold(tmp_path, labels, names, mosaic):
    table = read_legus(write(tmp_path, rows(labels, mosaic=mosaic), "wfc3_ngc9999"))
    assert [name for name in table.colnames if name in names] == names
    assert ("x_mosaic" in table.colnames) == mosaic
    if mosaic:
        assert table["x_mosaic"][0] == 1000
    np.testing.assert_array_equal(table["n_filters"], 5)


def test_class_of_ngc1566_is_that_of_three_people(tmp_path):
    values = rows([[2, 0, 0, 2, 0, 0], [1, 3, 4, 1, 1, 0]])
    table = read_legus(write(tmp_path, values, "wfc3_ngc1566"))
    np.testing.assert_array_equal(table["class_human"], [0, 4])
    np.testing.assert_array_equal(table["class_hybrid"], [2, 1])
    np.testing.assert_array_equal(table["provenance"], [0, 3])


def test_ngc4449_has_the_classes_of_the_others(tmp_path):
    values = rows([[5, 0, 0, 2, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 0]])
    table = read_legus(write(tmp_path, values, "acs-wfc3_ngc4449"))
    np.testing.assert_array_equal(table["class_human"], [0, 4, 1])


def test_sentinels_are_masked_and_the_reason_is_kept(tmp_path):
    values = rows(np.ones((6, 2)))
    magnitude, error = 11, 12  # of V
    values[0, [magnitude, error]] = 66.666
    values[1, [magnitude, error]] = 99.999
    values[2, error] = 99.999
    values[3, [magnitude, error]] = 44.444
    values[4, magnitude] = np.nan
    values[:2, 15] = 78.1, 1.9
    table = read_legus(write(tmp_path, values))
    assert table["mag_f555w"].mask.tolist() == [True, True, False, True, True, False]
    assert table["mag_err_f555w"].mask.tolist() == [True, True, True, True, True, False]
    assert [CatalogFlag(int(flag)).name for flag in table["flag_f555w"]] == [
        "OUT_OF_VIEW",
        "NOT_DETECTED",
        "NO_ERROR",
        "NO_CORRECTION",
        "UNDEFINED",
        None,
    ]
    assert table["ci"].mask.tolist() == [True, False, False, False, False, False]
    assert np.isnan(np.asarray(table["mag_f555w"])[0])  # also where the mask is lost
    assert np.isnan(table["mag_f555w"].filled()[1])
    assert table["flag_ci"][0] == CatalogFlag.UNDEFINED


def test_fits_that_were_not_made_are_masked(tmp_path):
    values = rows(np.ones((3, 2)))
    values[0, 16:33] = 0
    values[1, 22:33] = 200
    values[2, 25] = 200
    table = read_legus(write(tmp_path, values))
    assert table["age"].mask.tolist() == table["e_bv_max"].mask.tolist() == [True, True, False]
    assert table["residual_f275w"].mask.tolist() == [True, True, True]
    assert table["residual_f814w"].mask.tolist() == [True, True, False]
    assert table["n_filters"].mask.tolist() == [False, True, False]
    values[2, [17, 18, 20, 21]] = 0  # a best value without limits
    table = read_legus(write(tmp_path, values))
    assert table["age"].mask.tolist() == [True, True, False]
    assert table["age_max"].mask.tolist() == table["mass_min"].mask.tolist() == [True] * 3
    assert table["flag_fit"].tolist() == [CatalogFlag.NO_FIT] * 2 + [CatalogFlag.UNDEFINED]


def test_filters_are_those_of_the_field(tmp_path):
    table = read_legus(write(tmp_path, rows([[1, 1, 4, 0]]), "acs-wfc3_ngc5474"))
    assert "mag_f606w" in table.colnames
    assert "flag_f606w" in table.colnames
    named = read_legus(write(tmp_path, rows([[1, 1]]), "x_unheard-of"), field="NGC 628C")
    assert "mag_f435w" in named.colnames
    given = read_legus(
        tmp_path / NAME.format("x_unheard-of"),
        filters=["F225W", "F336W", "F438W", "F547M", "F814W"],
    )
    assert "mag_f547m" in given.colnames
    with pytest.warns(AstropyUserWarning, match="filters .* are unknown"):
        unknown = read_legus(tmp_path / NAME.format("x_unheard-of"))
    assert "mag_f555w" in unknown.colnames
    assert "FIELD" not in unknown.meta
    for wrong in (["F555W"], "F555W", ["F555W"] * 5):
        with pytest.raises(ValueError, match="must have five"):
            read_legus(tmp_path / NAME.format("x_unheard-of"), filters=wrong)


def test_readme_beside_the_file_says_the_columns(tmp_path):
    path = write(tmp_path, rows([[3, 1.5]]), "wfc3_x")
    band = [
        f"final {what} in ACS/{name}"
        for name in ("F275W", "F336W", "F435W", "F606W", "F814W")
        for what in ("total mag", "photometric error")
    ]
    fit = [
        f"{what} {quantity}"
        for quantity in ("age in yr", "mass in solar masses", "E(B-V)")
        for what in ("best", "max", "min")
    ]
    lines = ["source id", "x coordinates in the ref frame", "y coordinates in the ref frame"]
    lines += ["RA coordinates", "DEC coordinates", *band, "CI=mag(1px)-mag(3px)", *fit]
    lines += [f"chi2 fit residual in {name}" for name in "abcde"]
    lines += ["reduced chi2", "Q probability", "Number of filter. Sources with"]
    lines += ["Final assigned class of the source after visual inspection, applying the mode."]
    lines += ["A number that nobody expected"]
    readme = path.with_suffix(".readme")
    text = "# LEGUS\n" + "".join(f"{i}. {line}\n" for i, line in enumerate(lines, 1))
    readme.write_text(text)
    table = read_legus(path)
    assert table["class_human"][0] == 3
    assert table["column_35"][0] == 1.5
    assert {"mag_f435w", "mag_f606w", "e_bv_min"} <= set(table.colnames)
    readme.write_text(text + "\n1. Adamo et al. 2017\n2. Calzetti et al. 2015\n")
    assert "mag_f606w" in read_legus(path).colnames
    for bad in ("1. source id\n", text.replace("RA coord", "Right"), ""):
        readme.write_text(bad)
        with pytest.warns(AstropyUserWarning, match="not recognized"):
            read_legus(path, field="ngc1433")


def test_a_truncated_last_line_is_an_error(tmp_path):
    path = write(tmp_path, rows([[1, 1], [2, 2]]))
    complete = path.read_text()
    for end in (-60, -3, -1):
        path.write_text(complete[:end])
        with pytest.raises(ValueError, match=r"last line has no newline.*add a newline at its end"):
            read_legus(path)
    path.write_text(complete[:-1] + "\n")  # as the message says
    assert len(read_legus(path)) == 2
    path.write_text(complete[:-60] + "\n")
    with pytest.raises(ValueError, match=r"not a complete LEGUS catalog.*fetch it again"):
        read_legus(path)


def test_windows_lines_and_gzip_are_read(tmp_path):
    path = write(tmp_path, rows([[1, 1], [2, 2]]), newline="\r\n")
    np.testing.assert_array_equal(read_legus(path)["class_human"], [1, 2])
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(read_table(packed)["class_human"], [1, 2])


@pytest.mark.parametrize("n_columns", [3, 32, 33])
def test_other_numbers_of_columns_are_an_error(tmp_path, n_columns):
    path = tmp_path / NAME.format("wfc3_ngc1433")
    np.savetxt(path, np.ones((2, n_columns)))
    with pytest.raises(ValueError, match=rf"has {n_columns} columns, but .* 34 to 39"):
        read_legus(path)


def test_known_fields_have_their_own_columns_whatever_the_rows(tmp_path):
    path = write(tmp_path, rows([[1, 1, 2, 4], [1, 2, 2, 4]]), "acs-wfc3_ngc3351")
    assert read_legus(path)["class_human"].tolist() == [1, 2]
    path = write(tmp_path, rows([[0, 0, 0, 0]]), "wfc3_ngc45")
    assert "selection" in read_legus(path).colnames[33:34]
    path = write(tmp_path, rows([[0, 1], [0, 0]]), "acs-wfc3_ngc3274")
    assert read_legus(path)["selection"].tolist() == [1, 0]
    path = write(tmp_path, rows([[1, 1, 2]]), "acs-wfc3_ngc3351")
    with pytest.raises(ValueError, match="has 36 columns, but the catalog of ngc3351 has 37"):
        read_legus(path)


def test_columns_that_are_not_those_of_legus_are_an_error(tmp_path):
    whole = rows([[1, 1.333, 0], [2, 2, 0], [0, 0, 0]])
    for column in (1, 4, 8, 12, 16, 20, 25, 31, 32, 33):
        missing = np.delete(whole, column, axis=1)
        with pytest.raises(ValueError, match="not have a LEGUS layout: expected"):
            read_legus(write(tmp_path, missing))


def test_no_file_empty_file_and_words_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_legus(tmp_path / "none.tab")
    empty = tmp_path / "empty.tab"
    empty.touch()
    with pytest.raises(ValueError, match="no rows"):
        read_legus(empty)
    empty.write_text("<html>Not found</html>\n")
    with pytest.raises(ValueError, match="not a complete LEGUS catalog"):
        read_legus(empty, field="ngc1433")
    packed = tmp_path / "packed.tab.gz"
    packed.write_bytes(gzip.compress(b"1 2 3" * 1000)[:-20])
    with pytest.raises(ValueError, match="cannot be read"):
        read_legus(packed)


@pytest.mark.parametrize("odd", [50, -1, 7, np.nan])
@pytest.mark.parametrize("n", [2, 30])
def test_one_odd_class_is_masked_and_flagged(odd, n, tmp_path):
    values = rows(np.tile([1.0, 1.0], (n, 1)))
    values[1, 33] = odd
    with pytest.warns(AstropyUserWarning, match=f"class_human {odd:g} in row 1;") as caught:
        table = read_legus(write(tmp_path, values))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(table["class_human"].mask, np.arange(n) == 1)
    assert table["class_human"].data.data[1] == 0  # as what was not inspected, if a mask is lost
    np.testing.assert_array_equal(table["flag_class_human"] != 0, np.arange(n) == 1)
    assert CatalogFlag(int(table["flag_class_human"][1])) == CatalogFlag.OUT_OF_RANGE
    assert sample_counts([table])["class_1"][0] == n - 1


def test_odd_entries_of_several_columns_are_one_warning(tmp_path):
    values = rows(np.tile([1.0, 1.0, 0.0], (300, 1)))
    values[3, 0] = np.nan
    values[[4, 5], [33, 33]] = 9
    values[6, 35] = 8
    values[7, 32] = 17
    with pytest.warns(AstropyUserWarning, match="id nan in row 3, .* and 2 more;") as caught:
        table = read_legus(write(tmp_path, values))
    assert len(caught) == 1
    for name, rows_ in {
        "id": [3],
        "class_human": [4, 5],
        "selection": [6],
        "n_filters": [7],
    }.items():
        assert np.flatnonzero(table[name].mask).tolist() == rows_


def test_many_odd_classes_are_an_error(tmp_path):
    values = rows(np.tile([1.0, 1.0], (100, 1)))
    values[:10, 33] = 50
    with pytest.raises(ValueError, match="not have a LEGUS layout"):
        read_legus(write(tmp_path, values))


@pytest.mark.parametrize(
    "name", ["hlsp_628c.tab", "clusters.txt", "clusters.dat", "clusters", "c.csv"]
)
@pytest.mark.filterwarnings("ignore:the filters of")
def test_catalogs_are_known_by_what_they_hold(name, tmp_path):
    path = write(tmp_path, rows([[1, 1.333], [0, 0], [4, 4]]))
    expected = read_legus(path)
    text = path.read_text()
    (tmp_path / name).write_text(text.replace(" ", ",") if name == "c.csv" else text)
    table = read_table(tmp_path / name)
    assert table.colnames == expected.colnames
    np.testing.assert_array_equal(table["x"], [100, 101, 102])
    (tmp_path / name).write_text("# of a script\n" + text)
    assert read_table(tmp_path / name).colnames == expected.colnames
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_table(packed).colnames == expected.colnames
    (tmp_path / name).write_text(" ".join(["1"] * 40) + "\n")
    with pytest.raises(OSError, match=r"no column names, .*; it is not a LEGUS catalog either"):
        read_table(tmp_path / name)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.filterwarnings("ignore:the filters of")
def test_columns_that_other_programs_append_are_kept(known, tmp_path):
    path = write(tmp_path, rows([[1, 1.333, 0], [0, 0, 1], [4, 4, 0]]))
    lines = path.read_text().splitlines()
    if not known:
        path = tmp_path / "clusters.tab"
    path.write_text("".join(line + "\t3\n" for line in lines))
    table = read_table(path)
    assert table["extra_1"].tolist() == [3, 3, 3]
    assert "column 37 of the file" in table["extra_1"].description
    assert table["class_human"].tolist() == [1, 0, 4]
    path.write_text("".join(line + "\t3\t[0.00 - 0.00 - 0.98 - 0.02]\n" for line in lines))
    table = read_table(path)
    assert table["extra_1"].tolist() == [3, 3, 3]
    assert table["extra_2"][0] == "[0.00 - 0.00 - 0.98 - 0.02]"
    assert table.colnames.count("class_ml") == 0
    path.write_text("".join(line + " 1.5 mine\n" for line in lines))
    table = read_table(path)
    assert (table["extra_1"][1], table["extra_2"][1]) == (1.5, "mine")


def test_a_readme_counts_for_a_file_with_columns_appended(tmp_path):
    path = tmp_path / "mine.tab"
    write_legus(measured(class_human=[3, 0], class_mean=[2.667, 0.0]), path)
    path.write_text("".join(line + " 7\n" for line in path.read_text().splitlines()))
    table = read_legus(path)
    assert filters_of(table)[2] == "F435W"
    assert table["extra_1"].tolist() == [7, 7]


def test_real_catalogs_read_the_same_under_any_name(data_folder, tmp_path):
    paths = sorted((data_folder / "legus_catalogs").glob("*.tab"))
    assert len(paths) == 27
    for path in paths:
        expected = read_legus(path)
        (tmp_path / "c").write_bytes(path.read_bytes())
        with pytest.warns(AstropyUserWarning, match="the filters of c are unknown"):
            table = read_table(tmp_path / "c")
        assert len(table.colnames) == len(expected.colnames)
        for name, other in zip(table.colnames, expected.colnames, strict=True):
            assert name.partition("_f")[0] == other.partition("_f")[0]
            np.testing.assert_array_equal(table[name].mask, expected[other].mask)
            np.testing.assert_array_equal(table[name].data.data, expected[other].data.data)


def test_open_files_are_read(tmp_path):
    path = write(tmp_path, rows([[1, 1], [2, 2]]))
    with path.open("rb") as file:
        assert read_legus(file).meta["FIELD"] == "ngc1433"
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert len(Table.read(str(path), format="ascii.legus")) == 2


@pytest.mark.parametrize("ending", [".fits", ".ecsv"])
def test_nothing_is_lost_on_the_way_to_a_file_and_back(tmp_path, ending):
    values = rows([[1, 1.3], [0, 0], [4, 4]])
    values[1, 5:7] = 66.666
    table = read_legus(write(tmp_path, values))
    table.write(tmp_path / f"table{ending}")
    back = Table.read(tmp_path / f"table{ending}")
    assert back.colnames == table.colnames
    for name in table.colnames:
        assert back[name].unit == table[name].unit
        assert back[name].description == table[name].description
        mask = np.ma.getmaskarray(back[name])
        np.testing.assert_array_equal(mask, table[name].mask, err_msg=name)
        np.testing.assert_array_equal(np.ma.compressed(back[name]), np.ma.compressed(table[name]))
    assert dict(back.meta) == table.meta


def test_fields_are_found_however_they_are_spelled():
    assert len(legus_fields()) == 64
    assert len({field.galaxy for field in legus_fields().values()} - {"NGC 5194/NGC 5195"}) == 50
    for name in ("ngc628-c", "NGC 628C", "ngc0628c", "NGC628-c"):
        assert find_field(name).name == "ngc628-c"
    assert find_field("M51").name == "ngc5194-ngc5195-mosaic"
    with pytest.raises(KeyError, match="did you mean ngc628-c, ngc628-e"):
        find_field("ngc628")
    with pytest.raises(KeyError, match=r"did you mean .*ngc1566"):
        find_field("ngc1656")
    with pytest.raises(KeyError, match="list_fields"):
        find_field("andromeda")


def test_registry_agrees_with_the_totals_of_the_paper():
    fields = legus_fields().values()
    table_2 = np.sum([field.table_2 for field in fields if field.table_2], axis=0)
    assert table_2.tolist() == [1799, 2325, 2278, 4866]
    table_1 = np.sum([field.table_1 for field in fields if field.table_1], axis=0)
    assert table_1.tolist() == [1393, 1118, 747, 2230]


def test_samples_have_the_labels_of_their_table(tmp_path):
    people = rows([[1, 1.3], [0, 0], [4, 4], [2, 2]])
    people[3, 32] = 3  # detected in three bands only
    one = read_legus(
        write(tmp_path, rows([[1, 2, 4, 0], [4, 0, 0, 1]]), "acs-wfc3_ngc5474"),
    )
    catalogs = [read_legus(write(tmp_path, people)), one]
    with pytest.warns(AstropyUserWarning, match="not in the sample .*: ngc5474"):
        sample = training_sample(catalogs)
    assert sample["class"].tolist() == [1, 4]
    assert set(sample["field"]) == {"ngc1433"}
    with pytest.warns(AstropyUserWarning, match="not in the sample .*: ngc1433"):
        assert training_sample(catalogs, labels="bcw")["class"].tolist() == [1, 4]
    with pytest.warns(AstropyUserWarning):
        assert len(training_sample(catalogs, min_filters=0)) == 3
    with pytest.raises(ValueError, match="labels must be one of"):
        training_sample(catalogs, labels="mine")
    with pytest.raises(ValueError, match="no catalog"):
        training_sample([one])
    with pytest.raises(ValueError, match="read_legus"):
        training_sample([Table({"class": [1]})])
    counts = sample_counts(catalogs)
    assert counts["difference_1"].tolist() == [1 - 48, 1 - 51, 1 - 48, 1 - 51]


def test_what_is_spurious_in_ngc4449_is_not_in_the_sample(tmp_path):
    people = read_legus(
        write(
            tmp_path,
            rows([[5, 0, 0, 2, 1], [0] * 5, [1, 0, 0, 1, 0], [2, 0, 0, 2, 0], [3, 0, 0, 3, 1]]),
            "acs-wfc3_ngc4449",
        )
    )
    assert people["class_human"].tolist() == [0, 4, 1, 2, 3]
    assert training_sample([people], labels="bcw")["class"].tolist() == [1, 2, 3]


def test_real_catalogs_give_the_tables_of_the_paper(data_folder):
    paths = sorted((data_folder / "legus_catalogs").glob("*.tab"))
    catalogs = [read_table(path) for path in paths]
    counts = sample_counts(catalogs)
    table_2 = counts[(counts["table"] == 2).filled(False)]
    assert len(table_2) == 20  # 19 fields and their total
    for i in (1, 2, 3, 4):
        assert not table_2[f"difference_{i}"].any()
    row = {row["field"]: row for row in counts}
    for name in ("ngc45", "ngc5474"):
        assert not any(row[name][f"difference_{i}"] for i in (1, 2, 3, 4))
    assert [row["ngc3351"][f"difference_{i}"] for i in (1, 2, 3, 4)] == [0, 0, -1, 1]


def test_real_catalogs_have_no_magnitude_that_is_none(data_folder):
    for path in sorted((data_folder / "legus_catalogs").glob("*.tab")):
        table, values = read_legus(path), np.loadtxt(path)
        first = 7 if "x_mosaic" in table.colnames else 5
        filters = find_field(table.meta["FIELD"]).filters
        for band, name in enumerate(filters):
            column = table[f"mag_{name.lower()}"]
            lost = values[:, first + 2 * band] > 40
            np.testing.assert_array_equal(column.mask, lost, err_msg=f"{path.name} {name}")
            assert column.compressed().max() < 40
            assert table[f"mag_err_{name.lower()}"].compressed().max() < 40
            np.testing.assert_array_equal(
                table[f"flag_{name.lower()}"] != 0, lost | (values[:, first + 2 * band + 1] > 40)
            )
        assert table["ci"].compressed().max() < 40


def test_format_is_known_without_another_import(tmp_path):
    path = write(tmp_path, rows([[1, 1.3]]))
    code = (
        "import astroclust\nfrom astropy.table import QTable, Table\n"
        f"print(len(Table.read({str(path)!r}, format='ascii.legus')))\n"
        f"print(type(QTable.read({str(path)!r}, format='ascii.legus')['x']).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "MaskedQuantity"]


@pytest.mark.parametrize("first", ["astroclust", "astropy.table"])
def test_the_format_is_that_of_tables_alone(first):
    code = (
        f"import sys, {first}\nimport astroclust\nimport astropy.table\n"
        "from astropy.io import registry\nfrom astropy.nddata import CCDData\n"
        "for kind in (astropy.table.QTable, CCDData):\n"
        "    print('ascii.legus' in registry.get_formats(kind)['Format'])\n"
        "print([one for one in sys.meta_path if 'astroclust' in type(one).__module__])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "[]"]


def measured(**columns):
    """A table of two sources with what a catalog must have."""
    table = Table({"id": [1, 2], "x": [10.5, 20.0], "y": [3.0, 4.25]})
    table["ra"], table["dec"] = [24.1, 24.2], [15.7, 15.8]
    for filter_ in ("f275w", "f336w", "f435w", "f555w", "f814w"):
        table[f"mag_{filter_}"], table[f"mag_err_{filter_}"] = [21.5, 22.0], [0.05, 0.1]
    table["ci"], table["n_filters"] = [1.5, 1.7], [5, 4]
    for name, values in columns.items():
        table[name] = values
    return table


def test_released_catalogs_are_written_as_they_are_read(data_folder, tmp_path):
    paths = sorted((data_folder / "legus_catalogs").glob("*.tab"))
    assert len(paths) > 20
    for path in paths:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)
            table = read_legus(path)
        write_legus(table, tmp_path / path.name)
        again = read_legus(tmp_path / path.name)
        assert again.colnames == table.colnames
        for name in table.colnames:
            np.testing.assert_array_equal(again[name].mask, table[name].mask, err_msg=name)
            relative = 6e-4 if name.startswith(("age", "mass")) else 0
            np.testing.assert_allclose(again[name], table[name], rtol=relative, atol=6e-4)
        (tmp_path / path.with_suffix(".readme").name).unlink()
        assert read_legus(tmp_path / path.name, filters=filters_of(table)).colnames == (
            table.colnames
        )


def filters_of(table):
    return [name[4:].upper() for name in table.colnames if name.startswith("mag_f")]


@pytest.mark.parametrize("kind", [Table, QTable])
def test_a_table_of_ones_own_is_written(kind, tmp_path):
    table = measured(class_human=[3, 0], class_mean=[2.667, 0.0], note=["a", "b"])
    table["mag_f275w"] = MaskedColumn([21.5, 0], mask=[False, True])
    table["mag_f555w"].unit = "mag"
    table.meta["comments"] = ["made up", "1. not a column"]
    path = tmp_path / "my.tab"
    kind(table).write(path, format="ascii.legus")
    result = Table.read(path, format="ascii.legus")
    np.testing.assert_allclose(result["x"], table["x"])
    np.testing.assert_array_equal(result["class_human"], [3, 0])
    assert result["mag_f275w"].mask.tolist() == [False, True]
    assert result["flag_f275w"][1] == CatalogFlag.NOT_DETECTED
    assert result["age"].mask.all()
    assert "note" not in result.colnames
    assert filters_of(result)[2] == "F435W"
    first = path.read_text().split()
    assert first[1] == "11.500"
    assert "made up" in path.with_suffix(".readme").read_text()
    with pytest.raises(FileExistsError):
        write_legus(table, path)
    write_legus(measured(), path, overwrite=True)
    assert not Table.read(path, format="ascii.legus")["class_human"].any()


def test_classes_of_ngc4449_are_written_as_that_has_them(tmp_path):
    path = tmp_path / find_field("ngc4449").catalog_file
    write_legus(measured(class_human=[0, 4]), path)
    assert [line.split()[33] for line in path.read_text().splitlines()] == ["5.0", "4.0"]
    np.testing.assert_array_equal(read_legus(path)["class_human"], [0, 4])


def test_what_cannot_be_written_is_said(tmp_path):
    with pytest.raises(ValueError, match=r"use a name that ends in \.tab"):
        write_legus(measured(), tmp_path / "my.fits")
    for name, message in (("ci", "has no column ci"), ("mag_err_f555w", "mag_err_f555w")):
        table = measured()
        table.remove_column(name)
        with pytest.raises(KeyError, match=message):
            write_legus(table, tmp_path / "my.tab")
    table = measured()
    table.remove_column("mag_f275w")
    with pytest.raises(ValueError, match="in five bands, NUV, U, B, V, I"):
        write_legus(table, tmp_path / "my.tab")
    table = measured()
    table.rename_columns(["mag_f275w", "mag_f814w"], ["mag_f814w_", "mag_f275w"])
    with pytest.raises(ValueError, match="in this order"):
        write_legus(table, tmp_path / "my.tab")
    assert not list(tmp_path.iterdir())


def test_fields_know_the_names_of_their_files():
    mosaic = find_field("M51")
    assert mosaic.image_file("F275W", "uvis") == (
        "hlsp_legus_hst_wfc3_ngc5194-ngc5195-mosaic_f275w_v1_sci.fits"
    )
    assert find_field("ngc5195").catalog is None
    assert "_ngc5195_multiband_v1_" in find_field("ngc5195").catalog_file
    for field in legus_fields().values():
        assert field.catalog is None or field.catalog.endswith(f"/{field.catalog_file}")


def test_catalogs_in_a_folder(tmp_path):
    name = "hlsp_legus_hst_wfc3_{}_multiband_v1_padagb-mwext-avgapcor.tab"
    for path in (
        name.format("ngc45") + ".gz",
        "sub/" + name.format("ngc45"),
        name.format("ngc1566") + ".gz",
        name.format("ngc628") + ".part",
        "notes.tab",
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    found = [path.name for path in legus_catalogs(tmp_path)]
    assert found == [name.format("ngc1566") + ".gz", name.format("ngc45")]
    with pytest.raises(FileNotFoundError, match="has no LEGUS catalogs; fetch some"):
        legus_catalogs(tmp_path / "none")
