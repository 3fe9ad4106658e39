# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from astroclust.catalogs import pixel_positions, read_table, write_table
from astroclust.catalogs.tables import check_table_output


def test_pixels_are_taken_as_they_are():
    table = Table({"x": np.array([1, 2], ">i4"), "y": [3.5, np.nan], "ra": [0, 0], "dec": [0, 0]})
    x, y = pixel_positions(table)
    np.testing.assert_array_equal(x, [1, 2])
    np.testing.assert_array_equal(y, [3.5, np.nan])
    quantities = QTable({"x": [1, 2] * u.pix, "y": [3, 4] * u.pix})
    np.testing.assert_array_equal(pixel_positions(quantities)[1], [3, 4])


def test_masked_positions_are_nan():
    x = MaskedColumn([1, 2], mask=[True, False])
    np.testing.assert_array_equal(pixel_positions(Table({"x": x, "y": [1, 2]}))[0], [np.nan, 2])


@pytest.mark.parametrize("form", ["degrees", "units", "radians", "SkyCoord", "galactic"])
def test_sky_positions(form, wcs):
    sky = wcs.pixel_to_world([10.0, 20.25], [30.0, 40.5])
    table = {
        "degrees": Table({"ra": sky.ra.deg, "dec": sky.dec.deg}),
        "units": QTable({"ra": sky.ra, "dec": sky.dec}),
        "radians": QTable({"ra": sky.ra.to(u.rad), "dec": sky.dec.to(u.rad)}),
        "SkyCoord": Table({"place": SkyCoord(sky.ra, sky.dec)}),
        "galactic": Table({"place": sky.galactic}),
    }[form]
    x, y = pixel_positions(table, wcs)
    np.testing.assert_allclose(x, [10, 20.25], atol=1e-5)
    np.testing.assert_allclose(y, [30, 40.5], atol=1e-5)


def test_sky_positions_that_have_no_place(wcs):
    table = Table({"ra": [150.0, np.nan, 150.0, 330.0], "dec": [2.0, 2.0, 95.0, -2.0]})
    x, _ = pixel_positions(table, wcs)
    assert np.isfinite(x[0])
    assert np.isnan(x[1])
    assert np.isnan(x[2])
    assert not 0 <= x[3] < 80  # the far side of the sky is not on the image


def test_masked_sky_positions_have_no_place(wcs):
    ra = Masked([150.0, 150.0] * u.deg, mask=[False, True])
    sky = SkyCoord(ra, Masked([2.0, 2.0] * u.deg, mask=[False, False]))
    for table in (QTable({"place": sky}), QTable({"ra": ra, "dec": [2.0, 2.0] * u.deg})):
        x, y = pixel_positions(table, wcs)
        assert np.isfinite(x[0])
        assert np.isnan([x[1], y[1]]).all()


def test_units_as_others_spell_them():
    table = Table({"x": [1.0], "y": [2.0]})
    for unit in ("pixels", "PIX", "px"):
        table["x"].unit = table["y"].unit = u.Unit(unit, parse_strict="silent")
        assert pixel_positions(table)[1][0] == 2


def test_tables_without_positions(wcs):
    with pytest.raises(TypeError, match="must be an astropy Table, not list"):
        pixel_positions([(1, 2)])
    with pytest.raises(ValueError, match=r"column x must hold one number a row, not \(3,\)"):
        pixel_positions(Table({"x": np.zeros((2, 3)), "y": [1, 2]}))
    with pytest.raises(KeyError, match=r"x and y .0-based.*rename X, Y"):
        pixel_positions(Table({"X": [1], "Y": [2]}))
    with pytest.raises(ValueError, match="the images have no WCS"):
        pixel_positions(Table({"ra": [1.0], "dec": [2.0]}))
    with pytest.raises(TypeError, match="column x must hold numbers"):
        pixel_positions(Table({"x": ["a"], "y": [1]}))
    with pytest.raises(ValueError, match="column x is in arcsec, which is no pix"):
        pixel_positions(QTable({"x": [1] * u.arcsec, "y": [1] * u.arcsec}))


@pytest.mark.parametrize("name", ["t.fits", "t.ecsv", "t.csv"])
def test_tables_are_written_and_read(name, tmp_path):
    write_table(Table({"x": [1.0, 2.0], "id": [7, 8]}), tmp_path / name)
    np.testing.assert_array_equal(read_table(tmp_path / name)["id"], [7, 8])
    with pytest.raises(FileExistsError):
        write_table(Table({"x": [1.0]}), tmp_path / name)


def test_plain_text_is_read(tmp_path):
    (tmp_path / "t.dat").write_text("id x y\n1 2.5 3\n")
    assert read_table(tmp_path / "t.dat")["x"][0] == 2.5


def test_unknown_endings_are_found_before_the_work(tmp_path):
    check_table_output(tmp_path / "t.fits")
    with pytest.raises(ValueError, match=r"end its name in \.fits"):
        check_table_output(tmp_path / "t.xyz")
    assert not list(tmp_path.iterdir())


def test_tables_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_table(tmp_path / "none.fits")
    (tmp_path / "zero.fits").touch()
    with pytest.raises(OSError, match="is empty"):
        read_table(tmp_path / "zero.fits")
    (tmp_path / "bad.fits").write_text("not FITS")
    with pytest.raises(OSError, match="cannot read a table"):
        read_table(tmp_path / "bad.fits")
    write_table(Table({"x": np.arange(5000.0)}), tmp_path / "whole.fits")
    (tmp_path / "half.fits").write_bytes((tmp_path / "whole.fits").read_bytes()[:9000])
    with pytest.raises(OSError, match="cannot read a table"):
        read_table(tmp_path / "half.fits")
