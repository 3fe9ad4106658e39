# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.utils.masked import Masked

from astroclust.catalogs import pixel_positions, sky_positions


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
        "SkyCoord": Table({"position": SkyCoord(sky.ra, sky.dec)}),
        "galactic": Table({"position": sky.galactic}),
    }[form]
    x, y = pixel_positions(table, wcs)
    np.testing.assert_allclose(x, [10, 20.25], atol=1e-5)
    np.testing.assert_allclose(y, [30, 40.5], atol=1e-5)


def test_sky_positions_without_pixels(wcs):
    table = Table({"ra": [150.0, np.nan, 150.0, 330.0], "dec": [2.0, 2.0, 95.0, -2.0]})
    x, _ = pixel_positions(table, wcs)
    assert np.isfinite(x[0])
    assert np.isnan(x[1])
    assert np.isnan(x[2])
    assert not 0 <= x[3] < 80  # the far side of the sky is not on the image


def test_masked_sky_positions_have_no_pixels(wcs):
    ra = Masked([150.0, 150.0] * u.deg, mask=[False, True])
    sky = SkyCoord(ra, Masked([2.0, 2.0] * u.deg, mask=[False, False]))
    for table in (QTable({"position": sky}), QTable({"ra": ra, "dec": [2.0, 2.0] * u.deg})):
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
    with pytest.raises(
        ValueError, match=r"column x must have one number per row, not shape \(3,\)"
    ):
        pixel_positions(Table({"x": np.zeros((2, 3)), "y": [1, 2]}))
    with pytest.raises(KeyError, match=r"x and y .0-based.*it has a, b; rename the columns"):
        pixel_positions(Table({"a": [1], "b": [2]}))
    with pytest.raises(ValueError, match="the images have no WCS"):
        pixel_positions(Table({"ra": [1.0], "dec": [2.0]}))
    with pytest.raises(TypeError, match="column x must have numbers"):
        pixel_positions(Table({"x": ["a"], "y": [1]}))
    with pytest.raises(
        ValueError, match="column x has units of arcsec, which cannot be converted to pix"
    ):
        pixel_positions(QTable({"x": [1] * u.arcsec, "y": [1] * u.arcsec}))


@pytest.mark.parametrize(
    "names",
    [
        ("xcentroid", "ycentroid"),
        ("x_centroid", "y_centroid"),
        ("x_fit", "y_fit"),
        ("x_0", "y_0"),
        ("x_center", "y_center"),
        ("xcenter", "ycenter"),
        ("x_peak", "y_peak"),
        ("PHANGS_X", "PHANGS_Y"),
        ("phangs_x", "phangs_y"),
        ("x [pix]", "y [pix]"),
    ],
)
def test_names_that_count_from_0(names):
    x, y = pixel_positions(Table([[10.0], [20.0]], names=names))
    assert (x[0], y[0]) == (10, 20)


@pytest.mark.parametrize(
    "names",
    [
        ("X_IMAGE", "Y_IMAGE"),
        ("x_image", "y_image"),
        ("XWIN_IMAGE", "YWIN_IMAGE"),
        ("XPEAK_IMAGE", "YPEAK_IMAGE"),
        ("XCENTER", "YCENTER"),
        ("pixel_centroid_x", "pixel_centroid_y"),
    ],
)
def test_names_that_count_from_1_are_shifted_and_it_is_said(names):
    table = Table([[11.0], [21.0]], names=names)
    message = f"columns {names[0]} and {names[1]} are 1-based pixels; 1 was subtracted from both"
    with pytest.warns(AstropyUserWarning, match=message) as caught:
        x, y = pixel_positions(table)
    assert (x[0], y[0]) == (10, 20)
    assert caught[0].filename == __file__
    assert table[names[0]][0] == 11  # the table is as it was


def test_predictions_of_starcnet_count_from_1():
    table = Table({"Galaxy": ["ngc1566"], "Id": [1], "X": [3006], "Y": [5901], "Prediction": [4]})
    with pytest.warns(AstropyUserWarning, match="X and Y are 1-based pixels"):
        x, y = pixel_positions(table)
    assert (x[0], y[0]) == (3005, 5900)


@pytest.mark.parametrize(
    "names", [("X", "Y"), ("x_pix", "y_pix"), ("XPOS", "YPOS"), ("X-Center", "Y-Center")]
)
def test_names_that_do_not_tell_are_taken_as_they_are_and_it_is_said(names, wcs):
    table = Table([[10.0], [20.0]], names=names)
    with pytest.warns(AstropyUserWarning, match="assumed to be 0-based pixels; if .* 1-based"):
        x, y = pixel_positions(table)
    assert (x[0], y[0]) == (10, 20)
    # As the message says: subtract 1, and rename them.
    table = Table([table[names[0]] - 1, table[names[1]] - 1], names=("x", "y"))
    assert pixel_positions(table)[0][0] == 9
    # With positions on the sky nothing has to be guessed.
    sky = wcs.pixel_to_world([30.0], [40.0])
    both = Table([[10.0], [20.0], sky.ra.deg, sky.dec.deg], names=(*names, "ra", "dec"))
    assert pixel_positions(both, wcs)[0][0] == pytest.approx(30, abs=1e-5)


def test_the_order_of_names(wcs):
    table = Table({"X_IMAGE": [5.0], "Y_IMAGE": [5.0], "x": [1.0], "y": [2.0]})
    assert pixel_positions(table)[0][0] == 1
    table = Table({"X_IMAGE": [5.0], "Y_IMAGE": [5.0], "xcentroid": [3.0], "ycentroid": [2.0]})
    assert pixel_positions(table)[0][0] == 3
    table = Table({"ALPHA_J2000": [1.0], "DELTA_J2000": [1.0], "X_IMAGE": [5.0], "Y_IMAGE": [5.0]})
    with pytest.warns(AstropyUserWarning, match="are 1-based pixels"):
        assert pixel_positions(table, wcs)[0][0] == 4
    with pytest.raises(ValueError, match="'x' and 'X' differ only in spelling"):
        pixel_positions(Table({"x": [1.0], "X": [2.0], "y": [1.0]}))
    with pytest.raises(
        ValueError, match=r"'ra' and 'RA' differ only in spelling; .* drop all but one"
    ):
        sky_positions(Table({"ra": [1.0], "RA": [2.0], "dec": [1.0]}))


@pytest.mark.parametrize(
    "names",
    [
        ("RA", "DEC"),
        ("Ra", "Dec"),
        ("RAJ2000", "DEJ2000"),
        ("RAJ2000", "DECJ2000"),
        ("raj2000", "dej2000"),
        ("_RAJ2000", "_DEJ2000"),
        ("ALPHA_J2000", "DELTA_J2000"),
        ("ALPHAWIN_J2000", "DELTAWIN_J2000"),
        ("ALPHA_SKY", "DELTA_SKY"),
        ("X_WORLD", "Y_WORLD"),
        ("RA_ICRS", "DE_ICRS"),
        ("RA_deg", "DEC_deg"),
        ("RA_DEG", "DEC_DEG"),
        ("RA (deg)", "Dec (deg)"),
        ("PHANGS_RA", "PHANGS_DEC"),
    ],
)
def test_names_of_positions_on_the_sky(names):
    sky = sky_positions(Table([[150.25], [-2.5]], names=names))
    assert (sky.ra.deg[0], sky.dec.deg[0]) == (150.25, -2.5)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        ("10:01:00.0", "-00:30:00"),
        ("10h01m00.0s", "-00d30m00s"),
        ("10 01 00.0", "-00 30 00.0"),
        ("150d15m00s", "-0.5"),
        ("150.25", "\N{MINUS SIGN}00:30:00"),
        ("10:01", "-00:30.0"),
    ],
)
@pytest.mark.parametrize("kind", [np.str_, np.bytes_, object])
def test_text_on_the_sky(ra, dec, kind):
    texts = [np.array([text.encode() if kind is np.bytes_ else text], kind) for text in (ra, dec)]
    sky = sky_positions(Table(texts, names=("ra", "dec")))
    assert sky.ra.deg[0] == pytest.approx(150.25)
    assert sky.dec.deg[0] == pytest.approx(-0.5)


def test_text_without_a_value_is_nan():
    ra = MaskedColumn(["10:01:00", "", "nan", "10:02:00"], mask=[0, 0, 0, 1])
    sky = sky_positions(Table({"ra": ra, "dec": ["1.5", "1.5", "1.5", "1.5"]}))
    np.testing.assert_array_equal(np.isnan(sky.ra.deg), [False, True, True, True])


def test_hours_and_degrees_by_their_unit(wcs):
    for unit in (u.hourangle, u.hour, u.Unit("h:m:s", parse_strict="silent")):
        table = Table({"ra": [10.0], "dec": [2.0]})
        table["ra"].unit = unit
        assert sky_positions(table).ra.deg[0] == pytest.approx(150)
    assert sky_positions(Table({"RA [hours]": [10.0], "Dec": [2.0]})).ra.deg[0] == pytest.approx(
        150
    )
    table = Table({"ra": ["150:15:00"], "dec": ["2:00:00"]})
    with pytest.raises(
        ValueError, match="hours must be less than 24; if it is in degrees, set the unit"
    ):
        sky_positions(table)
    table["ra"].unit = "deg"
    assert sky_positions(table).ra.deg[0] == 150.25
    table = Table({"ra [deg]": ["150:15:00"], "dec": ["2:00:00"]})
    assert sky_positions(table).ra.deg[0] == 150.25


def test_text_that_is_no_position():
    for ra in ("10:61:00", "10:01:75"):
        with pytest.raises(ValueError, match=f"column ra has '{ra}' in row 0"):
            sky_positions(Table({"ra": [ra], "dec": [1.0]}))
    for forms in (["10:01:00", "150d15m00s"], ["10:01:00", "150.25"]):
        with pytest.raises(ValueError, match=r"column ra mixes .*; write all values in degrees"):
            sky_positions(Table({"ra": forms, "dec": [1.0, 1.0]}))
    with pytest.raises(TypeError, match=r"column ra must have numbers or sexag.*row 1 has 'north'"):
        sky_positions(Table({"ra": ["10:01:00", "north"], "dec": [1.0, 1.0]}))
    assert pixel_positions(Table({"x": ["1.5"], "y": ["2"]}))[0][0] == 1.5
    with pytest.raises(TypeError, match="column x must have numbers, but row 0 has '1:2:3'"):
        pixel_positions(Table({"x": ["1:2:3"], "y": ["2"]}))


def test_parts_of_machine_readable_tables():
    names = ("RAh", "RAm", "RAs", "DE-", "DEd", "DEm", "DEs")
    sky = sky_positions(Table(rows=[(10, 1, 0.0, "-", 0, 30, 0.0)], names=names))
    assert sky.ra.deg[0] == pytest.approx(150.25)
    assert sky.dec.deg[0] == pytest.approx(-0.5)
