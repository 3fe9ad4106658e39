# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.nddata import NDData

from astroclust import find_sources


def _stars(places, shape=(90, 120), flux=200.0):
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.random.default_rng(1).normal(3, 0.5, shape)
    for x0, y0 in places:
        image += flux / (2 * np.pi * 4) * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 8)
    return image


PLACES = [(20.3, 15.6), (80.0, 40.0), (33.5, 70.2), (43.5, 70.2)]


@pytest.mark.parametrize("dtype", ["f8", ">f4", "i2"])
def test_sources_are_found_where_they_are(dtype, wcs):
    image = (_stars(PLACES) * 100).astype(dtype)
    sources = find_sources((image, wcs))
    assert sources.colnames == ["id", "x", "y", "ra", "dec", "area", "flux"]
    assert len(sources) == 4
    for x, y in PLACES:
        assert np.hypot(sources["x"] - x, sources["y"] - y).min() < 0.3
    sky = wcs.pixel_to_world(sources["x"], sources["y"])
    np.testing.assert_allclose(sources["ra"], sky.ra.deg)
    assert sources["id"].tolist() == [1, 2, 3, 4]


def test_bad_pixels_are_not_sources():
    image = _stars(PLACES[:1])
    image[50:54, 50:54] = np.inf
    mask = np.zeros(image.shape, bool)
    mask[70:76, 20:26] = True
    image[mask] = 1000
    sources = find_sources(NDData(image, mask=mask))
    assert len(sources) == 1
    assert "ra" not in sources.colnames


def test_sky_of_one_value_has_no_sources():
    image = np.zeros((90, 120), np.uint8)
    assert len(find_sources(image)) == 0
    image[40:44, 50:54] = 200
    assert len(find_sources(image)) == 1


def test_the_threshold_is_local():
    rng = np.random.default_rng(3)
    image = rng.normal(0, 1, (90, 270)) * np.repeat([0.5, 1, 2], 90)
    y, x = np.mgrid[:90, :270]
    for x0, height in ((45, 6.0), (135, 12.0), (225, 24.0)):  # twelve times the noise
        image += height * np.exp(-((x - x0) ** 2 + (y - 45) ** 2) / 8)
    sources = find_sources(image)
    np.testing.assert_allclose(sorted(sources["x"]), [45, 135, 225], atol=1)


def test_nothing_found_gives_no_rows():
    sources = find_sources(_stars([]), threshold=50)
    assert len(sources) == 0
    assert sources.colnames == ["id", "x", "y", "area", "flux"]


def test_arguments_are_checked(image):
    with pytest.raises(ValueError, match="threshold must be positive"):
        find_sources(image, threshold=0)
    with pytest.raises(ValueError, match="n_pixels must be at least 1"):
        find_sources(image, n_pixels=0)
    with pytest.raises(ValueError, match="no good pixels"):
        find_sources(np.full((40, 40), np.nan))


def test_real_hubble_pixels(data_folder):
    sources = find_sources(data_folder / "gal_hst_hdfs_f606w" / "HST-HDFS.fits")
    assert len(sources) > 30
