# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import find_field, measure_photometry, simulate_field
from astroclust.catalogs import read_legus
from astroclust.detection import find_sources
from astroclust.photometry import Apertures, concentration_index
from astroclust.simulation.candidates import CORRECTION_STEPS
from astroclust.simulation.populations import field_population

FILTERS = ("f275w", "f336w", "f438w", "f555w", "f814w")
CATALOGS = {
    "ngc1566": "hlsp_legus_hst_wfc3_ngc1566_multiband_v1_padagb-mwext-avgapcor.tab",
    "ngc628-c": "hlsp_legus_hst_acs-wfc3_ngc628-c_multiband_v1_padagb-mwext-avgapcor.tab",
}


def invented(n, *, columns=15, step=36.0, seed=1):
    """A catalog of sources on a loose grid."""
    rng = np.random.default_rng(seed)
    row, column = np.divmod(np.arange(n), columns)
    v = rng.uniform(20.5, 23.5, n)
    table = Table(meta={"FIELD": "ngc1566"})
    table["id"] = 1000 - np.arange(n)
    table["x"] = 30 + step * column + rng.uniform(-5, 5, n)
    table["y"] = 30 + step * row + rng.uniform(-5, 5, n)
    table["ra"], table["dec"] = 65 - table["x"] * 1.9e-5, -54.9 + table["y"] * 1.1e-5
    for name, color in zip(FILTERS, (-1.6, -1.3, 0.1, 0.0, -0.5), strict=True):
        table[f"mag_{name}"] = MaskedColumn(v + color + rng.normal(0, 0.3, n) * (name != "f555w"))
        table[f"mag_err_{name}"] = np.hypot(0.04, 0.2 * 10 ** (0.4 * (v - 25.2)))
    table["ci"] = rng.uniform(1.4, 1.95, n)
    table["class_human"] = np.arange(n) % 5
    return table


def plain(table, name):
    return np.ma.filled(np.ma.asarray(table[name], float), np.nan)


def measured(field, table, like):
    """V, colors and index as LEGUS measures them, less those of the catalog."""
    known = find_field(like)
    correction = field_population(like).aperture_correction + CORRECTION_STEPS
    result = measure_photometry(
        table["x", "y"],
        field.images,
        apertures=Apertures(sky_statistic="mode"),
        errors="iraf",
        zero_points="legus",
        aperture_correction=dict(zip(known.filters, correction, strict=True)),
        extinction=dict(zip(known.filters, known.extinction, strict=True)),
    )
    names = [f"mag_{name.lower()}" for name in known.filters]
    off = np.array([plain(result, name) - plain(table, name) for name in names])
    index = concentration_index(table["x", "y"], field.images["V"], sky_statistic="mode")
    return off[3], np.diff(off, axis=0), index - plain(table, "ci")


def middle(values):
    return np.abs(np.nanmedian(values)), np.nanmedian(np.abs(values))


def check(field, table, like):
    v, colors, index = measured(field, table, like)
    good = plain(table, f"mag_err_{find_field(like).filters[3].lower()}") < 0.1
    assert np.count_nonzero(good) > 50
    assert max(middle(v[good])) < 0.03
    assert max(middle(index[good])) < 0.03
    assert np.percentile(np.abs(index[good]), 84) < 0.1
    for color in colors:
        assert max(middle(color[good])) < 0.05


@pytest.fixture(scope="module")
def catalog():
    return invented(120)


@pytest.fixture(scope="module")
def painted(catalog):
    return simulate_field(catalog=catalog, seed=3)


def test_what_is_measured_is_the_catalog(painted, catalog):
    check(painted, catalog, "ngc1566")


def test_truth_has_the_rows_of_the_catalog(painted, catalog):
    for table in (painted.truth, painted.candidates):
        for name in ("id", "x", "y"):
            np.testing.assert_array_equal(table[name], catalog[name])
        np.testing.assert_allclose(table["ra"], catalog["ra"], atol=2e-4)
        np.testing.assert_allclose(table["dec"], catalog["dec"], atol=2e-4)
    np.testing.assert_array_equal(painted.truth["class"], catalog["class_human"])
    np.testing.assert_array_equal(painted.candidates["class_human"], catalog["class_human"])
    for label, kinds in ((1, {"symmetric"}), (3, {"association", "sub-clusters"})):
        assert set(painted.truth["kind"][painted.truth["class"] == label]) == kinds
    others = set(painted.truth["kind"][np.isin(painted.truth["class"], (0, 4))])
    assert {"pair", "fluff"} <= others
    assert not others & {"cosmic ray", "hot pixel", "saturated", "none"}
    assert np.isfinite(painted.truth["mag_v"]).all()
    assert np.isfinite(painted.truth["log_age"][painted.truth["class"] == 1]).all()
    # A total magnitude differs from one with the mean correction by what the profile is unlike.
    off = painted.truth["mag_v"] - plain(catalog, "mag_f555w")
    assert abs(np.median(off)) < 0.4


def test_image_reaches_beyond_the_last_source(painted, catalog):
    ny, nx = painted.images.shape
    assert 40 < ny - catalog["y"].max() < 60
    assert 40 < nx - catalog["x"].max() < 60
    assert painted.images["V"].meta["FIELD"] == "ngc1566"


def test_detection_finds_the_sources_where_they_are(painted, catalog):
    found = find_sources(painted.images["V"], threshold=10)
    round_ones = catalog[(catalog["mag_f555w"] < 21.5) & (catalog["class_human"] == 1)]
    assert len(round_ones) > 3
    for x, y in round_ones.iterrows("x", "y"):
        assert np.hypot(found["x"] - x, found["y"] - y).min() < 1


def small(n=4, **kwargs):
    return invented(n, columns=2, **kwargs)


def test_equal_seeds_give_equal_pixels():
    first, again, other = (simulate_field(catalog=small(), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.images["V"].data, again.images["V"].data)
    assert first.truth["kind"].tolist() == again.truth["kind"].tolist()
    assert not np.array_equal(first.images["V"].data, other.images["V"].data)


def test_what_has_no_magnitude_has_no_light():
    table = small()
    table["mag_f275w"].mask = [True, False, False, False]
    table["mag_f555w"].mask = [False, True, False, False]
    table["ci"] = MaskedColumn(table["ci"], mask=[False, False, True, False])
    with pytest.warns(AstropyUserWarning, match="1 of 4 rows have no F555W magnitude") as record:
        field = simulate_field(catalog=table, seed=1)
    assert len(record) == 1
    assert record[0].filename == __file__
    assert field.truth["kind"][1] == "none"
    assert np.isfinite(field.truth["mag_nuv"]).tolist() == [False, False, True, True]
    assert np.isfinite(field.truth["mag_v"]).tolist() == [True, False, True, True]
    v, _, index = measured(field, table, "ngc1566")
    assert np.abs(v[[0, 2, 3]]).max() < 0.1
    assert np.abs(index[[0, 3]]).max() < 0.1
    light = measure_photometry(
        table["x", "y"], field.images, apertures=Apertures(sky_statistic="mode")
    )
    for name, row in (("f275w", 0), ("f555w", 1)):  # nothing but stars and noise
        assert abs(light[f"flux_{name}"][row]) < 0.5 * light[f"flux_{name}"][2:].min()


def test_a_catalog_without_v_gives_an_empty_sky():
    table = small()
    table["mag_f555w"].mask = True
    with pytest.warns(AstropyUserWarning, match="4 of 4 rows"):
        field = simulate_field(catalog=table, seed=1)
    assert field.truth["kind"].tolist() == ["none"] * 4
    assert field.truth["id"].tolist() == table["id"].tolist()


def test_people_are_believed_before_networks():
    table = small(5)
    table["class_human"] = [0, 2, 0, 0, 0]
    table["class_hybrid"] = [1, 4, 0, 0, 3]
    table["class_ml"] = [3, 3, 4, 0, 1]
    table["class_mean"] = MaskedColumn([1.5, 2, 0, 0, 0], mask=[False, False, True, True, True])
    table["ci"] = [1.5, 1.6, 1.5, 1.2, 1.8]
    field = simulate_field(catalog=table, seed=1)
    assert field.truth["class"].tolist() == [1, 2, 4, 0, 3]
    # What nobody looked at and is as sharp as a star is one.
    assert field.truth["kind"][3] == "star"
    np.testing.assert_array_equal(field.candidates["class_mean"], [1.5, 2, *[np.nan] * 3])


def test_what_a_star_saturates_is_a_saturated_star():
    table = small()
    table["mag_f555w"][:2] = 15.5
    table["class_human"] = [4, 1, 4, 4]
    field = simulate_field(catalog=table, seed=1)
    saturated = field.truth["kind"] == "saturated"
    assert saturated.tolist() == [True, False, False, False]
    assert abs(field.truth["mag_v"][0] - 15.5) < 1
    # Its brightest pixels are full, and the charge runs along the column.
    x, y = round(table["x"][0]), round(table["y"][0])
    column = field.images["V"].data[y - 6 : y + 7, x]
    full = 70000 / (field.images["V"].meta["EXPTIME"] / 3)
    assert np.abs(column - full).max() < 0.1 * full


def test_other_tables_and_arguments():
    table = small()
    table["x"].unit = "pix"
    table.remove_columns(["id", "ra", "dec", *(f"mag_err_{name}" for name in FILTERS)])
    del table.meta["FIELD"]
    # One source lies off the image.
    field = simulate_field(catalog=QTable(table), like="NGC 1433", shape=(96, 50), seed=1)
    assert field.images.shape == (96, 50)
    assert field.truth["id"].tolist() == [1, 2, 3, 4]
    assert field.images["V"].meta["FIELD"] == "ngc1433"


@pytest.mark.parametrize("name", ["x", "mag_f336w", "ci"])
def test_missing_columns_are_named(name):
    table = small()
    del table[name]
    with pytest.raises(ValueError, match=f"catalog has no column {name}"):
        simulate_field(catalog=table, seed=1)


def test_arguments_that_are_not_accepted():
    table = small()
    with pytest.raises(KeyError, match="ngc9999"):
        simulate_field(catalog=table, like="ngc9999", seed=1)
    with pytest.raises(ValueError, match="mag_f606w"):
        simulate_field(catalog=table, like="ngc5474", seed=1)
    with pytest.raises(ValueError, match="has no rows"):
        simulate_field(catalog=table[:0], seed=1)
    with pytest.raises(ValueError, match="catalog= and density="):
        simulate_field(catalog=table, density=1e-4, seed=1)
    with pytest.raises(TypeError, match="must be an astropy Table, not str"):
        simulate_field(catalog="ngc1566", seed=1)
    with pytest.raises(ValueError, match="needs one of the columns class_human"):
        simulate_field(catalog=table[[n for n in table.colnames if "class" not in n]], seed=1)
    del table.meta["FIELD"]
    with pytest.raises(ValueError, match="set like="):
        simulate_field(catalog=table, seed=1)


@pytest.mark.parametrize(("like", "x0", "y0"), [("ngc1566", 3000, 3400), ("ngc628-c", 4200, 3200)])
def test_real_catalogs(data_folder, like, x0, y0):
    table = read_legus(data_folder / "legus_catalogs" / CATALOGS[like])
    table["x"] -= x0
    table["y"] -= y0
    inside = (table["x"] > 10) & (table["x"] < 790) & (table["y"] > 10) & (table["y"] < 790)
    table = table[inside]
    field = simulate_field(catalog=table, seed=1, shape=(800, 800))
    assert field.truth["id"].tolist() == table["id"].tolist()
    check(field, table, like)
