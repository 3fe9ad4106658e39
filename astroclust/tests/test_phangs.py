# Licensed under a 3-clause BSD style license - see LICENSE.rst
import gzip
import time
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs import CatalogFlag, pixel_positions
from astroclust.catalogs.phangs import PHANGS_CODES, human_class, read_phangs

DR4 = "hlsp_phangs-cat_hst_uvis_ngc1566_multi_v1_obs-sed-candidates.fits"
HUMAN = "hlsp_phangs-cat_hst_acs-uvis_ngc0628c_multi_v1_obs-human-cluster-class12.fits"
DR5 = "hlsp_phangs-cat_hst_acs-uvis_dr5-targets_v1_machine-class1+2-primary.fits"
BANDS = ("F275W", "F336W", "F438W", "F555W", "F814W")


def columns(n=4, *, bands=BANDS, vega="VEGA", mjy="mJy"):
    """The columns of a catalog of DR4, with names and types as PHANGS has them."""
    number = np.arange(1, n + 1)
    names = {
        "INDEX": number,
        "ID_PHANGS_CLUSTER": np.where(number == 1, -999, number),
        "ID_PHANGS_CANDIDATE": number + 100,
        "ID_PHANGS_ALLSOURCES": number + 999_998,
        "PHANGS_X": number + 0.25,
        "PHANGS_Y": number + 0.5,
        "PHANGS_RA": 24.17 + 1e-4 * number,
        "PHANGS_DEC": np.full(n, 15.78),
        "PHANGS_CLUSTER_CLASS_HUMAN": np.resize([1.0, 3.0, 19.0, np.nan], n),
        "PHANGS_CLUSTER_CLASS_ML_VGG": np.resize([1, 2, 1, -999], n),
        "PHANGS_CLUSTER_CLASS_ML_VGG_QUAL": np.resize([1.0, 0.7, 0.3, np.nan], n),
        "PHANGS_CLUSTER_CLASS_ML_VGG_CORR": np.resize([1, 2, 19, -999], n),
    }
    for band in bands:
        names[f"PHANGS_{band}_{vega}"] = np.full(n, 22.5)
        names[f"PHANGS_{band}_{vega}_ERR"] = np.full(n, 0.05)
        names[f"PHANGS_{band}_{mjy}"] = np.full(n, 1e-3, np.float32)
        names[f"PHANGS_{band}_{mjy}_ERR"] = np.full(n, 1e-5, np.float32)
    return names | {
        "PHANGS_NON_DETECTION_FLAG": np.zeros(n, np.int16),
        "PHANGS_NO_COVERAGE_FLAG": np.resize(np.array([0, 1], np.int16), n),
        "PHANGS_CI": np.full(n, 1.5),
        "PHANGS_COLORCOLOR_CLASS_UBVI": np.resize(["ycl", "outside"], n),
        "PHANGS_AGE_MINCHISQ": np.full(n, 10.0),
        "PHANGS_AGE_MINCHISQ_ERR": np.full(n, 2.0),
        "PHANGS_MASS_MINCHISQ": np.full(n, 5e3),
        "PHANGS_MASS_MINCHISQ_ERR": np.full(n, 1e3),
        "PHANGS_EBV_MINCHISQ": np.full(n, 0.1),
        "PHANGS_EBV_MINCHISQ_ERR": np.full(n, 0.02),
        "PHANGS_REDUCEDCHISQ_MINCHISQ": np.full(n, 1.2),
        "SEDfix_age": np.resize([10.0, -999.0], n),
    }


def dr5_columns():
    """The columns of a catalog of DR5, two of which no release has yet."""
    names = columns() | {"PHANGS_GALAXY": ["ngc0628c ", "ngc0628e", "ngc1566", "ic1954"]}
    for key, value in {"AGE": 20.0, "MASS": 8e3, "EBV": 0.2}.items():
        names[f"PHANGS_DR5_THILKER25_{key}"] = np.full(4, value)
        names[f"PHANGS_DR5_THILKER25_{key}_LIMLO"] = np.full(4, value / 2)
        names[f"PHANGS_DR5_THILKER25_{key}_LIMHI"] = np.full(4, value * 2)
    names["PHANGS_DR5_THILKER25_REDUCED_MINCHISQ"] = np.full(4, 0.9)
    names["PHANGS_GLOBULAR_FLOYD24"] = np.array([True, False, True, False])
    return names | {"Something_New": [5, -999, 7, 8]}


def write(folder, names, file=DR4, units=None):
    table = Table(names)
    for name, unit in (units or {}).items():
        table[name].unit = unit
    table.write(folder / file, overwrite=True)
    return folder / file


def test_columns_are_those_of_legus_where_they_mean_the_same(tmp_path):
    table = read_phangs(write(tmp_path, columns()))
    assert table.colnames[:5] == ["id", "id_cluster", "id_candidate", "id_allsources", "galaxy"]
    assert {"mag_f438w", "mag_err_f438w", "flux_f814w", "flux_err_f814w"} <= set(table.colnames)
    for name, unit in {
        **{"x": u.pix, "ra": u.deg, "ci": u.mag, "mag_err_f275w": u.mag, "flux_f275w": u.mJy},
        **{"age": u.yr, "age_err": u.yr, "mass": u.Msun, "e_bv": u.mag, "chi2": None},
    }.items():
        assert table[name].unit == unit, name
    assert all(column.description for column in table.itercols())
    assert all(column.dtype.isnative for column in table.itercols())
    assert "F438W" in table["mag_f438w"].description
    np.testing.assert_array_equal(table["id"], [1, 2, 3, 4])
    assert table["id_cluster"].mask.tolist() == [True, False, False, False]
    assert table["n_not_covered"].tolist() == [0, 1, 0, 1]
    assert table["color_class"].tolist() == ["ycl", "outside"] * 2
    np.testing.assert_allclose(table["flux_err_f555w"], 1e-5)


def test_pixels_are_from_zero_already(tmp_path):
    x, y = pixel_positions(read_phangs(write(tmp_path, columns())))
    np.testing.assert_array_equal(x, [1.25, 2.25, 3.25, 4.25])
    np.testing.assert_array_equal(y, [1.5, 2.5, 3.5, 4.5])


def test_artifacts_are_class_4_and_keep_their_code(tmp_path):
    table = read_phangs(write(tmp_path, columns()))
    assert table["class_human"].tolist() == [1, 3, 4, 0]
    assert table["class_code"].tolist() == [1, 3, 19, None]
    assert PHANGS_CODES[table["class_code"][2]].startswith("very red star")
    assert table["class_ml"].tolist() == [1, 2, 1, 0]
    assert table["class_ml_corrected"].tolist() == [1, 2, 4, 0]
    assert table["class_ml_quality"].tolist() == [1.0, 0.7, 0.3, None]


@pytest.mark.parametrize(
    "codes",
    [
        [1, 2, 3, 4, 17, 0, -999],
        np.array([1, 2, 3, 4, 17, np.nan, -999], np.float32),
        np.ma.array([1, 2, 3, 4, 17, 5, 6], mask=[0, 0, 0, 0, 0, 1, 1]),
    ],
)
def test_codes_of_any_type_are_classes(codes):
    classes = human_class(codes)
    assert classes.tolist() == [1, 2, 3, 4, 4, 0, 0]
    assert type(classes) is np.ndarray
    assert human_class([]).shape == (0,)
    assert set(human_class(list(PHANGS_CODES))) == {4}


def test_sentinels_are_masked_and_the_reason_is_kept(tmp_path):
    names = columns(9)
    names["PHANGS_F275W_VEGA"][:6] = -9999, -999, np.nan, np.inf, 66.666, -1
    names["PHANGS_F275W_VEGA_ERR"][:7] = -9999, -999, np.nan, 0.1, 66.666, 0.1, -1
    names["PHANGS_F275W_mJy"][[0, 7]] = -9999, np.nan
    names["PHANGS_F275W_mJy_ERR"][[0, 8]] = -9999, 1e19
    table = read_phangs(write(tmp_path, names))
    assert table["mag_f275w"].mask.tolist() == [True] * 6 + [False] * 3
    assert table["mag_err_f275w"].mask.tolist() == [True] * 7 + [False] * 2
    assert table["flux_f275w"].mask.tolist() == [True, *[False] * 6, True, False]
    assert table["flux_err_f275w"].mask.tolist() == [True, *[False] * 6, True, True]
    flags = [CatalogFlag(int(flag)).name for flag in table["flag_f275w"]]
    assert flags == ["OUT_OF_VIEW", *["UNDEFINED"] * 5, "NO_ERROR", "UNDEFINED", "NO_ERROR"]
    assert not table["flag_f555w"].any()


def test_indices_and_fits_that_are_none_are_masked(tmp_path):
    names = columns()
    names["PHANGS_CI"][:2] = -9999, np.inf
    names["PHANGS_AGE_MINCHISQ"][:3] = -999, np.nan, 0
    names["PHANGS_MASS_MINCHISQ"][0] = -999
    names["PHANGS_EBV_MINCHISQ"][:2] = -999, 0
    table = read_phangs(write(tmp_path, names))
    assert table["ci"].mask.tolist() == [True, True, False, False]
    assert table["flag_ci"].tolist() == [CatalogFlag.UNDEFINED] * 2 + [0, 0]
    assert table["age"].mask.tolist() == [True, True, True, False]
    assert table["mass"].mask.tolist() == [True, False, False, False]
    assert table["e_bv"].mask.tolist() == [True, False, False, False]
    assert table["flag_fit"].tolist() == [CatalogFlag.NO_FIT] * 3 + [0]


@pytest.mark.parametrize(
    ("age_unit", "mass_unit", "age", "mass"),
    [
        (None, None, 1e7, 5e3),
        ("Myr", "solMass", 1e7, 5e3),
        ("yr", "kg", 10, 5e3 / u.Msun.to(u.kg)),
        ("Gyr", "M_solar", 1e10, 5e3),
    ],
)
def test_units_of_the_header_are_converted(tmp_path, age_unit, mass_unit, age, mass):
    path = write(tmp_path, columns())
    with fits.open(path, mode="update") as hdus:
        for name, unit in (("PHANGS_AGE_MINCHISQ", age_unit), ("PHANGS_MASS_MINCHISQ", mass_unit)):
            if unit is not None:
                hdus[1].columns[name].unit = unit
    table = read_phangs(path)
    np.testing.assert_allclose(table["age"], age)
    np.testing.assert_allclose(table["age_err"], 2e6)  # has no unit
    np.testing.assert_allclose(table["mass"], mass)


def test_flux_out_of_view_is_known_in_any_unit(tmp_path):
    names = columns()
    names["PHANGS_F275W_mJy"][0] = -9999
    table = read_phangs(write(tmp_path, names, units={"PHANGS_F275W_mJy": "Jy"}))
    assert table["flag_f275w"].tolist() == [CatalogFlag.OUT_OF_VIEW, 0, 0, 0]
    np.testing.assert_allclose(table["flux_f275w"].compressed(), 1)


def test_a_unit_that_makes_no_sense_is_told(tmp_path):
    path = write(tmp_path, columns(), units={"PHANGS_AGE_MINCHISQ": "K"})
    with pytest.warns(
        AstropyUserWarning, match="PHANGS_AGE_MINCHISQ is in K, which cannot be converted to Myr"
    ) as w:
        table = read_phangs(path)
    assert w[0].filename == __file__
    np.testing.assert_allclose(table["age"], 1e7)


@pytest.mark.parametrize("case", [str, str.lower, str.upper])
@pytest.mark.parametrize(("vega", "mjy"), [("VEGA", "mJy"), ("VEGA_TOT", "mJy_TOT")])
@pytest.mark.parametrize("band", ["F435W", "F438W", "F657N"])
def test_names_of_columns_are_found_however_they_are_spelled(tmp_path, case, vega, mjy, band):
    names = columns(bands=[band], vega=vega, mjy=mjy)
    names = {case(name): values for name, values in names.items()}
    table = read_phangs(write(tmp_path, names))
    for kind in ("mag", "mag_err", "flux", "flux_err"):
        assert f"{kind}_{band.lower()}" in table.colnames
    expected = read_phangs(write(tmp_path, columns(bands=[band]))).colnames
    assert table.colnames == expected


def test_errors_of_totals_may_have_tot_behind_too(tmp_path):
    names = columns() | {"PHANGS_F200W_mJy": np.ones(4), "PHANGS_F200W_mJy_ERR_TOT": np.ones(4)}
    assert {"flux_f200w", "flux_err_f200w"} <= set(read_phangs(write(tmp_path, names)).colnames)


def test_total_magnitudes_go_before_those_in_an_aperture(tmp_path):
    names = columns() | {"PHANGS_F555W_VEGA_TOT": np.full(4, 21.0)}
    table = read_phangs(write(tmp_path, names))
    np.testing.assert_array_equal(table["mag_f555w"], 21)
    np.testing.assert_array_equal(table["f555w_vega"], 22.5)


def test_combined_catalog_has_fits_with_limits_and_keeps_all_else(tmp_path):
    table = read_phangs(write(tmp_path, dr5_columns(), DR5))
    np.testing.assert_allclose(table["age_dr5"], 2e7)
    np.testing.assert_allclose(table["age_dr5_min"], 1e7)
    np.testing.assert_allclose(table["age_dr5_max"], 4e7)
    np.testing.assert_allclose(table["mass_dr5_max"], 1.6e4)
    np.testing.assert_allclose(table["e_bv_dr5"], 0.2)
    np.testing.assert_allclose(table["chi2_dr5"], 0.9)
    assert table["age_dr5_min"].unit == u.yr
    assert not table["flag_fit_dr5"].any()
    assert table["globular_floyd24"].tolist() == [True, False, True, False]
    assert table["something_new"].tolist() == [5, None, 7, 8]
    assert table["something_new"].description == "Something_New of the file"
    assert table["sedfix_age"].tolist() == [10, None, 10, None]
    assert table["galaxy"].tolist() == ["ngc0628c", "ngc0628e", "ngc1566", "ic1954"]
    assert table.meta == {"CATALOG": DR5, "RELEASE": "DR5", "LABELS": "machine"}


def test_other_columns_do_not_pass_for_ours(tmp_path):
    names = columns() | {"AGE": np.full(4, 3.0), "PHANGS_CLASS_HUMAN": [7] * 4, "FLAG_CI": [9] * 4}
    del names["PHANGS_AGE_MINCHISQ"]
    table = read_phangs(write(tmp_path, names))
    assert "age" not in table.colnames
    assert table["file_age"].tolist() == [3] * 4
    assert table["file_class_human"].tolist() == [7] * 4
    assert table["file_flag_ci"].tolist() == [9] * 4
    assert table["class_human"].tolist() == [1, 3, 4, 0]
    assert table["flag_ci"].tolist() == [0] * 4


def test_unknown_units_of_other_columns_are_in_their_description(tmp_path):
    path = write(tmp_path, columns() | {"NBHa": np.ones(4), "Width": np.ones(4)})
    with fits.open(path, mode="update") as hdus:
        hdus[1].columns["NBHa"].unit = "furlong/fortnight"
        hdus[1].columns["Width"].unit = "arcsec"
    table = read_phangs(path)
    assert table["nbha"].unit is None
    assert table["nbha"].description == "NBHa of the file, in furlong/fortnight"
    assert table["width"].unit == u.arcsec


@pytest.mark.parametrize("name", ["NGC 628C", "ngc628-c", "ngc0628c", "NGC0628C"])
def test_one_galaxy_is_found_however_it_is_spelled(tmp_path, name):
    table = read_phangs(write(tmp_path, dr5_columns(), DR5), galaxy=name)
    assert table["galaxy"].tolist() == ["ngc0628c"]
    assert table.meta["GALAXY"] == "ngc0628c"
    assert table["x"].description
    assert len(read_phangs(write(tmp_path, columns(), HUMAN), galaxy=name)) == 4


def test_galaxies_that_are_not_there_are_an_error(tmp_path):
    path = write(tmp_path, dr5_columns(), DR5)
    with pytest.raises(KeyError, match=r"no galaxy 'NGC 628': did you mean ngc0628c, ngc0628e\?"):
        read_phangs(path, galaxy="NGC 628")
    with pytest.raises(KeyError, match=r"did you mean .*ngc1566"):
        read_phangs(path, galaxy="ngc1656")
    for name in ("andromeda", ""):
        with pytest.raises(KeyError, match=r"it has ic1954, ngc0628c"):
            read_phangs(path, galaxy=name)
    with pytest.raises(KeyError, match="has no column with galaxies"):
        read_phangs(write(tmp_path, columns(), "mine.fits"), galaxy="ngc1566")


def test_what_the_name_of_a_file_says_is_kept(tmp_path):
    table = read_phangs(write(tmp_path, columns(), HUMAN))
    expected = {"CATALOG": HUMAN, "RELEASE": "DR4", "LABELS": "human", "GALAXY": "ngc0628c"}
    assert table.meta == expected
    assert set(table["galaxy"]) == {"ngc0628c"}
    assert "LABELS" not in read_phangs(write(tmp_path, columns(), DR4)).meta
    mine = read_phangs(write(tmp_path, columns(), "mine.fits"))
    assert mine.meta == {"CATALOG": "mine.fits"}
    assert "galaxy" not in mine.colnames
    renamed = read_phangs(write(tmp_path, dr5_columns(), "mine.fits"))
    assert renamed.meta["RELEASE"] == "DR5"


@pytest.mark.parametrize("file", [HUMAN, DR5])
@pytest.mark.parametrize("galaxy", [None, "ngc0628c"])
@pytest.mark.parametrize("ending", [".fits", ".ecsv"])
def test_nothing_is_lost_on_the_way_to_a_file_and_back(tmp_path, file, galaxy, ending):
    names = dr5_columns() if file == DR5 else columns()
    names["PHANGS_F275W_VEGA"][:2] = -9999
    names["PHANGS_COLORCOLOR_CLASS_UBVI"][0] = ""
    names["PHANGS_AGE_MINCHISQ"][0] = np.nan
    table = read_phangs(write(tmp_path, names, file), galaxy=galaxy)
    assert table["id_allsources"][0] == 999_999  # what astropy writes for a masked integer
    table.write(tmp_path / f"table{ending}")
    back = Table.read(tmp_path / f"table{ending}")
    assert back.colnames == table.colnames
    for name in table.colnames:
        assert back[name].unit == table[name].unit
        assert back[name].description == table[name].description
        mask = np.ma.getmaskarray(back[name])
        np.testing.assert_array_equal(mask, table[name].mask, err_msg=name)
        values = np.ma.compressed(back[name])
        values = values.astype(str) if values.dtype.kind == "S" else values
        np.testing.assert_array_equal(values, np.ma.compressed(table[name]), err_msg=name)
    assert dict(back.meta) == table.meta
    assert all(key.isupper() and len(key) <= 8 for key in table.meta)


def test_values_that_are_masked_in_the_file_are_masked(tmp_path):
    table = Table(columns(), masked=True)
    table["PHANGS_CLUSTER_CLASS_ML_VGG"].mask[0] = True
    table["INDEX"].mask[1] = True
    table.write(tmp_path / DR4)
    table = read_phangs(tmp_path / DR4)
    assert table["class_ml"].tolist() == [0, 2, 1, 0]
    assert table["id"].tolist() == [1, None, 3, 4]


def test_gzip_other_tables_and_no_rows_are_read(tmp_path):
    path = write(tmp_path, columns())
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert len(read_phangs(packed)) == 4
    others = [
        fits.PrimaryHDU(),
        fits.ImageHDU(np.ones((2, 2))),
        fits.table_to_hdu(Table({"a": [1]})),
    ]
    fits.HDUList([*others, fits.table_to_hdu(Table(columns()))]).writeto(tmp_path / "more.fits")
    assert len(read_phangs(tmp_path / "more.fits")) == 4
    none = {name: values[:0] for name, values in columns().items()}
    empty = read_phangs(write(tmp_path, none))
    assert len(empty) == 0
    assert empty["class_human"].dtype == np.int32


def test_files_that_are_none_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_phangs(tmp_path / DR4)
    path = tmp_path / DR4
    path.write_text("<html>Not found</html>\n")
    with pytest.raises(OSError, match=r"cannot read .*; download"):
        read_phangs(path)
    whole = write(tmp_path, columns(400)).read_bytes()
    path.write_bytes(whole[:-5000])
    with pytest.raises(OSError, match=r"cannot read .*; download"):
        read_phangs(path)
    packed = tmp_path / f"{DR4}.gz"
    packed.write_bytes(gzip.compress(whole)[:-2000])
    with pytest.raises(OSError, match=r"cannot read .*; download"):
        read_phangs(packed)


def test_other_fits_files_are_an_error(tmp_path):
    fits.PrimaryHDU(np.ones((3, 3))).writeto(tmp_path / "image.fits")
    with pytest.raises(ValueError, match=r"with the columns .* PHANGS_DEC; it has no table"):
        read_phangs(tmp_path / "image.fits")
    names = columns()
    del names["PHANGS_Y"]
    message = r"PHANGS_X, PHANGS_Y, PHANGS_RA, PHANGS_DEC; it has INDEX, .* \.\.\.$"
    with pytest.raises(ValueError, match=message):
        read_phangs(write(tmp_path, names))


def test_text_in_place_of_numbers_is_an_error(tmp_path):
    names = columns() | {"PHANGS_X": ["a"] * 4}
    with pytest.raises(ValueError, match="PHANGS_X must contain numbers"):
        read_phangs(write(tmp_path, names))
    names = columns() | {"ID_PHANGS_CLUSTER": ["C1", "C2 ", "", "C4"]}
    table = read_phangs(write(tmp_path, names))
    assert table["id_cluster"].tolist() == ["C1", "C2", None, "C4"]


def test_text_that_is_no_ascii_is_read(tmp_path):
    path = write(tmp_path, columns() | {"NOTE": ["cafX", "b", "c", "d"]})
    path.write_bytes(path.read_bytes().replace(b"cafX", b"caf\xe9"))
    assert read_phangs(path)["note"].tolist() == ["caf\ufffd", "b", "c", "d"]


def test_large_catalogs_are_read_fast(tmp_path):
    n = 40_000
    names = columns(n) | {f"EXTRA_{i}": np.ones(n) for i in range(40)}
    names["PHANGS_GALAXY"] = np.resize(["ngc0628c", "ngc1566"], n)
    path = write(tmp_path, names, DR5)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = read_phangs(path, galaxy="ngc1566")
    assert len(table) == n // 2
    assert time.process_time() - start < 5
