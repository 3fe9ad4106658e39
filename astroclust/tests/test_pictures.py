# Licensed under a 3-clause BSD style license - see LICENSE.rst
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from PIL import Image
from scipy.ndimage import map_coordinates

from astroclust import ImageSet, classify_table, measure_photometry

PLAIN = [[1, 0, 0], [0, 1, 0]]


@pytest.fixture
def rgb():
    """A picture with stars of three colors, 120 x 160 pixels."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:120, :160]
    light = np.zeros((120, 160, 3))
    for px, py, *color in rng.uniform(20, 100, (30, 5)):
        light += np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8)[..., None] * color
    return (light + rng.normal(20, 2, light.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def picture(rgb, tmp_path):
    path = tmp_path / "galaxy.png"
    Image.fromarray(rgb).save(path)
    return path


def test_pixels_are_those_of_a_cubic_spline(picture, rgb):
    affine = [0.29, 0.15, 3.5, 0.15, -0.29, 90.25]
    images = ImageSet.from_picture(picture, affine=affine, origin=(40, 30), shape=(130, 250))
    assert images.filters == ("F438W", "F555W", "F814W")
    assert images.shape == (130, 250)
    yy, xx = np.mgrid[30:160, 40:290]
    column, row = 0.29 * xx + 0.15 * yy + 3.5, 0.15 * xx - 0.29 * yy + 90.25
    bad = (row < 0) | (row > 119) | (column < 0) | (column > 159)
    for channel, name in enumerate(("F814W", "F555W", "F438W")):
        plane = rgb[..., channel].astype("f4")
        expected = map_coordinates(plane, [row, column], order=3, mode="nearest").astype("f4")
        expected[bad] = np.nan
        np.testing.assert_array_equal(images[name].data, expected)
        assert images[name].is_rendered
    assert images.wcs is None


@pytest.mark.parametrize("affine", [PLAIN, [1, 0, 0, 0, 1, 0], np.eye(3)[:2]])
def test_by_default_the_grid_ends_with_the_picture(picture, rgb, affine):
    images = ImageSet.from_picture(str(picture), ("F814W", None, "f435w"), affine=affine)
    assert images.shape == (120, 160)
    assert images.filters == ("F435W", "F814W")
    np.testing.assert_allclose(images["B"].data, rgb[..., 2], atol=1e-3)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_other_pictures_of_8_bits(rgb, tmp_path, mode):
    path = tmp_path / "other.tif"
    Image.fromarray(rgb).convert(mode).save(path)
    assert ImageSet.from_picture(path, affine=PLAIN).shape == (120, 160)


def test_a_picture_with_coordinates_is_turned_north_up(picture, rgb):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [65.0, -54.9], [81, 61]
    angle, scale = np.deg2rad(30), 0.1 / 3600
    # Row 0 is at the top, so that the parity is the other one.
    wcs.wcs.cd = scale * np.array(
        [[-np.cos(angle), -np.sin(angle)], [np.sin(angle), -np.cos(angle)]]
    )
    images = ImageSet.from_picture(picture, wcs=wcs, pixel_scale=0.05 * u.arcsec)
    assert images.pixel_scale.value == pytest.approx(0.05, rel=1e-4)
    np.testing.assert_allclose(
        images.wcs.pixel_scale_matrix * 3600, [[-0.05, 0], [0, 0.05]], atol=1e-9
    )
    sky = images.wcs.pixel_to_world([100, 150, 180.0], [120, 100, 160.0])
    column, row = wcs.world_to_pixel(sky)
    expected = map_coordinates(rgb[..., 1].astype(float), [row, column], order=3, mode="nearest")
    values = images["V"].data[[120, 100, 160], [100, 150, 180]]
    np.testing.assert_allclose(values, expected, atol=1e-3)
    # All of the picture is on the grid.
    x, y = images.wcs.world_to_pixel(wcs.pixel_to_world([0, 159, 0, 159], [0, 0, 119, 119]))
    assert x.min() >= 0
    assert y.min() >= 0
    assert (x.max(), y.max()) <= (images.shape[1] - 1, images.shape[0] - 1)
    part = ImageSet.from_picture(
        picture, wcs=wcs, pixel_scale=0.05, origin=(100, 120), shape=(20, 30)
    )
    np.testing.assert_array_equal(part["V"].data, images["V"].data[120:140, 100:130])
    x, y = part.wcs.world_to_pixel(sky[:1])
    np.testing.assert_allclose([x, y], 0, atol=1e-6)


def test_a_picture_is_classified_but_not_measured(picture, tmp_path):
    images = ImageSet.from_picture(picture, affine=PLAIN)
    images.write(tmp_path / "galaxy.fits")
    table = Table({"x": [60.0, 80.0], "y": [50.0, 60.0]})
    for one in (images, ImageSet.read(tmp_path / "galaxy.fits")):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            classified = classify_table(table, one)
        assert not caught
        assert set(classified["class"]) <= {1, 2, 3, 4}
        with pytest.warns(AstropyUserWarning, match="F438W, F555W, F814W are channels of a ren"):
            measured = measure_photometry(table, one)
        assert measured["mag_f555w"].mask.all()
        assert np.isfinite(measured["flux_f555w"]).all()


def test_pictures_and_images_do_not_mix(picture):
    images = ImageSet.from_picture(picture, affine=PLAIN)
    with pytest.raises(
        ValueError, match=r"not flux.*; use separate ImageSets for pictures and FITS"
    ):
        ImageSet({"F814W": images["I"], "F555W": np.ones((120, 160))})


WCS_OF_SKY = WCS({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -1e-5, "CDELT2": 1e-5})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either affine= or wcs=, not neither"),
        ({"affine": PLAIN, "wcs": WCS_OF_SKY}, "either affine= or wcs=, not both"),
        ({"affine": PLAIN, "pixel_scale": 0.1}, "pixel_scale requires wcs"),
        ({"affine": [1, 2, 3]}, r"six numbers .* not \[1, 2, 3\]"),
        ({"affine": [1, 1, 0, 1, 1, 0]}, "that can be inverted"),
        ({"affine": "none"}, "six numbers"),
        ({"affine": PLAIN, "filters": ("F814W", "F555W")}, "red, green and blue channel"),
        ({"affine": PLAIN, "filters": (None, None, None)}, "red, green and blue channel"),
        ({"affine": PLAIN, "filters": ("F814W", "F814W", None)}, "has F814W twice"),
        ({"affine": PLAIN, "filters": ("F814W", "F656N", None)}, "'F656N' has no known role"),
        ({"affine": PLAIN, "origin": (500, 0), "shape": (9, 9)}, r"\(500, 0\) lies outside gal"),
        ({"affine": PLAIN, "origin": (500, 0)}, "lies beyond the picture, which ends at"),
        ({"affine": PLAIN, "origin": 3}, "origin must be two whole numbers, not 3"),
        ({"affine": PLAIN, "shape": (0, 9)}, "at least one pixel"),
        ({"affine": PLAIN, "shape": (8.5, 9)}, "shape must be two whole numbers"),
        ({"wcs": WCS(naxis=2)}, "no celestial coordinates"),
        ({"wcs": WCS_OF_SKY, "pixel_scale": 0}, "positive number of arcsec, not 0"),
    ],
)
def test_what_is_not_accepted(picture, options, message):
    with pytest.raises(ValueError, match=message):
        ImageSet.from_picture(picture, **options)


def test_files_that_are_not_pictures(tmp_path, rgb):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        ImageSet.from_picture(tmp_path / "none.png", affine=PLAIN)
    wrong = tmp_path / "wrong.png"
    wrong.write_text("SIMPLE")
    with pytest.raises(OSError, match="is not a picture; use a JPEG or PNG"):
        ImageSet.from_picture(wrong, affine=PLAIN)
    Image.fromarray(rgb[..., 0].astype(np.int32)).save(tmp_path / "deep.tif")
    with pytest.raises(ValueError, match="mode I, not 8 bits per channel"):
        ImageSet.from_picture(tmp_path / "deep.tif", affine=PLAIN)
    Image.fromarray(rgb).save(wrong)
    wrong.write_bytes(wrong.read_bytes()[:3000])
    with pytest.raises(OSError, match=r"cannot read .*wrong\.png"):
        ImageSet.from_picture(wrong, affine=PLAIN)
