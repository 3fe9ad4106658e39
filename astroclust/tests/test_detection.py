# Licensed under a 3-clause BSD style license - see LICENSE.rst
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sep
from astropy.io import fits
from astropy.nddata import NDData

from astroclust import ImageSet, find_sources, white_light
from astroclust.detection import classical, write_segments
from astroclust.detection.background import BOX, Background, measure_cells

SEGMENTING = ["sextractor", "segmentation"]
METHODS = ["sextractor", "segmentation", "daofind"]


def _gaussians(positions, shape, height, sigma):
    y, x = np.mgrid[: shape[0], : shape[1]]
    squares = [(x - x0) ** 2 + (y - y0) ** 2 for x0, y0 in positions]
    return height * sum(np.exp(-square / (2 * sigma**2)) for square in squares)


def _stars(positions, shape=(90, 120), flux=200.0):
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.random.default_rng(1).normal(3, 0.5, shape)
    for x0, y0 in positions:
        image += flux / (2 * np.pi * 4) * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 8)
    return image


POSITIONS = [(20.3, 15.6), (80.0, 40.0), (33.5, 70.2), (43.5, 70.2)]


@pytest.fixture
def small_blocks(monkeypatch):
    """Images of tests are smaller than a block."""
    monkeypatch.setattr(classical, "_BLOCK", 60)
    monkeypatch.setattr(classical, "_MARGIN", 20)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["f8", ">f4", "i2"])
def test_sources_are_found_where_they_are(dtype, method, wcs):
    image = (_stars(POSITIONS) * 100).astype(dtype)
    sources = find_sources((image, wcs), threshold=5, method=method)
    columns = ["id", "x", "y", "ra", "dec", "area", "flux"]
    assert sources.colnames == [name for name in columns if method != "daofind" or name != "area"]
    assert len(sources) == 4
    for x, y in POSITIONS:
        assert np.hypot(sources["x"] - x, sources["y"] - y).min() < 0.5
    sky = wcs.pixel_to_world(sources["x"], sources["y"])
    np.testing.assert_allclose(sources["ra"], sky.ra.deg)
    assert sources["id"].tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("method", METHODS)
def test_bad_pixels_are_not_sources(method):
    image = _stars(POSITIONS[:1])
    image[50:54, 50:54] = np.inf
    mask = np.zeros(image.shape, bool)
    mask[70:76, 20:26] = True
    image[mask] = 1000
    sources = find_sources(NDData(image, mask=mask), threshold=5, method=method)
    assert len(sources) == 1
    assert "ra" not in sources.colnames


def test_sky_of_one_value_has_no_sources():
    image = np.zeros((90, 120), np.uint8)
    assert len(find_sources(image)) == 0
    image[40:44, 50:54] = 200
    assert len(find_sources(image)) == 1


def test_crowding_does_not_raise_the_threshold():
    rng = np.random.default_rng(3)
    image = rng.normal(0, 1, (120, 240))
    crowd = rng.uniform(0, 60, (40, 2))
    image[:60, :60] += _gaussians(crowd, (60, 60), 60, 1.0)
    image += _gaussians([(50, 30), (200, 90)], image.shape, 30, 1.5)
    sources = find_sources(image, threshold=6)
    near = [np.hypot(sources["x"] - x, sources["y"] - y).min() for x, y in ((50, 30), (200, 90))]
    assert max(near) < 1


def test_nothing_found_gives_no_rows():
    sources = find_sources(_stars([]), threshold=50)
    assert len(sources) == 0
    assert sources.colnames == ["id", "x", "y", "area", "flux"]


def test_arguments_are_checked(image):
    with pytest.raises(ValueError, match="threshold must be positive"):
        find_sources(image, threshold=0)
    with pytest.raises(ValueError, match="n_pixels must be a whole number"):
        find_sources(image, n_pixels=0)
    with pytest.raises(ValueError, match="tile must be a whole number"):
        find_sources(image, tile=0)
    with pytest.raises(ValueError, match="method must be one of sextractor, segmentation, d"):
        find_sources(image, method="iraf")
    with pytest.raises(ValueError, match="no good pixels"):
        find_sources(np.full((40, 40), np.nan))


def test_real_hubble_pixels(data_folder):
    sources = find_sources(data_folder / "gal_hst_hdfs_f606w" / "HST-HDFS.fits", threshold=5)
    assert len(sources) > 30


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("tile", "workers"), [(1, 1), (130, 2), (200, ThreadPoolExecutor(2))])
@pytest.mark.usefixtures("small_blocks")
def test_tiles_do_not_change_the_sources(crowded, method, tile, workers):
    image = crowded.images["V"]
    expected = find_sources(image, threshold=5, method=method)
    tiled = find_sources(image, threshold=5, method=method, tile=tile, workers=workers)
    assert len(expected) > 50
    assert tiled.colnames == expected.colnames
    for name in expected.colnames:
        np.testing.assert_array_equal(tiled[name], expected[name])


@pytest.mark.parametrize("method", METHODS)
def test_sources_are_found_once_on_the_borders_of_blocks(small_blocks, monkeypatch, method):
    positions = [(x + 0.3, y + 0.1) for x in range(20, 280, 40) for y in range(20, 150, 40)]
    image = _stars(positions, shape=(180, 300))
    blocks = find_sources(image, threshold=5, method=method)
    monkeypatch.setattr(classical, "_BLOCK", 300)
    whole = find_sources(image, threshold=5, method=method)
    assert len(blocks) == len(whole) == len(positions)
    for name in whole.colnames:
        np.testing.assert_allclose(blocks[name], whole[name], rtol=1e-4)


@pytest.mark.parametrize("method", SEGMENTING)
@pytest.mark.parametrize(("tile", "workers"), [(130, 1), (60, ThreadPoolExecutor(2))])
@pytest.mark.usefixtures("small_blocks")
def test_segments_are_the_pixels_of_the_sources(crowded, method, tile, workers):
    image = crowded.images["V"]
    sources, segments = find_sources(image, threshold=5, method=method, segmentation=True)
    assert (segments.shape, segments.data.dtype) == (image.data.shape, np.int32)
    assert segments.labels.tolist() == sources["id"].tolist()
    assert segments.areas.tolist() == sources["area"].tolist()
    for box, x, y in zip(segments.bbox, sources["x"], sources["y"], strict=True):
        assert box.ixmin <= x <= box.ixmax
        assert box.iymin <= y <= box.iymax
    plain = find_sources(image, threshold=5, method=method)
    assert all((plain[name] == sources[name]).all() for name in plain.colnames)
    options = {"method": method, "tile": tile, "workers": workers}
    tiled = find_sources(image, threshold=5, segmentation=True, **options)[1]
    np.testing.assert_array_equal(tiled.data, segments.data)


@pytest.mark.parametrize("method", SEGMENTING)
def test_segments_on_the_borders_of_blocks(small_blocks, monkeypatch, method):
    positions = [(x + 0.3, y + 0.1) for x in range(20, 280, 40) for y in range(20, 150, 40)]
    image = _stars(positions, shape=(180, 300))
    blocks = find_sources(image, threshold=5, method=method, segmentation=True)[1]
    monkeypatch.setattr(classical, "_BLOCK", 300)
    whole = find_sources(image, threshold=5, method=method, segmentation=True)[1]
    # The background at the threshold differs by rounding.
    assert np.mean(blocks.data != whole.data) < 1e-3
    assert blocks.n_labels == len(positions)


@pytest.mark.parametrize("method", SEGMENTING)
def test_no_sources_have_no_segments(method):
    sources, segments = find_sources(_stars([]), threshold=50, method=method, segmentation=True)
    assert len(sources) == segments.n_labels == 0
    assert segments.shape == (90, 120)


def test_peaks_have_no_segments(image):
    with pytest.raises(ValueError, match="daofind finds peaks without segments; choose"):
        find_sources(image, method="daofind", segmentation=True)


def test_segments_in_a_file(tmp_path, wcs):
    _, segments = find_sources((_stars(POSITIONS), wcs), threshold=5, segmentation=True)
    write_segments(segments, tmp_path / "s.fits", wcs=wcs)
    data, header = fits.getdata(tmp_path / "s.fits", "SEGMENTS", header=True)
    np.testing.assert_array_equal(data, segments.data)
    assert header["BITPIX"] == 32
    assert header["CRVAL1"] == pytest.approx(wcs.wcs.crval[0])
    with pytest.raises(FileExistsError):
        write_segments(segments, tmp_path / "s.fits")


@pytest.mark.parametrize("method", SEGMENTING)
@pytest.mark.usefixtures("small_blocks")
def test_a_source_larger_than_the_margin_of_a_block(method):
    image = np.random.default_rng(1).normal(0, 0.01, (90, 400))
    image[40:44, 10:390] = 1 + np.linspace(0, 1, 380)
    sources = find_sources(image, method=method)
    assert sources["area"].tolist() == [4 * 380]
    assert sources["x"][0] == pytest.approx(200, abs=25)


def test_the_limits_of_sep_neither_apply_nor_change():
    before = sep.get_extract_pixstack(), sep.get_sub_object_limit()
    sep.set_extract_pixstack(20)
    sep.set_sub_object_limit(3)
    try:
        # Together in one group, which has more pixels and more branches than that.
        image = np.random.default_rng(1).normal(0, 1, (150, 150))
        image += _gaussians([(x, 75) for x in range(30, 121, 10)], image.shape, 1e4, 2.5)
        assert len(find_sources(image)) == 10
        assert (sep.get_extract_pixstack(), sep.get_sub_object_limit()) == (20, 3)
    finally:
        sep.set_extract_pixstack(before[0])
        sep.set_sub_object_limit(before[1])


def test_the_background_is_clipped_and_its_noise_is_that_of_empty_cells():
    rng = np.random.default_rng(2)
    image = rng.normal(0, 2, (95, 130)) + np.linspace(10, 20, 130)
    image[40:44, 50:54] = 1000
    image[:, 100:] = np.nan
    cells = measure_cells(image)
    assert cells.shape == (2, 4, 5)
    assert np.isnan(cells[0, :, 3:]).all()  # less than half of it is good
    background = Background.from_cells(cells)
    assert background.noise == pytest.approx(2, rel=0.05)
    level = background.at(slice(0, 95), slice(15, 75))
    assert np.abs(level - np.linspace(10, 20, 130)[15:75]).max() < 0.6
    blank = np.where(np.arange(6 * BOX) < 4 * BOX, 0.0, rng.normal(0, 2, (60, 6 * BOX)))
    assert Background.from_cells(measure_cells(blank)).noise == pytest.approx(2, rel=0.1)


def test_the_background_of_a_part_is_that_of_sextractor():
    rng = np.random.default_rng(6)
    image = rng.normal(0, 1, (400, 610)).astype(np.float32)
    image += _gaussians(rng.uniform(0, 400, (40, 2)), image.shape, 300, 4.0).astype(np.float32)
    background = Background.from_cells(measure_cells(image))
    expected = sep.Background(image, bw=BOX, bh=BOX, fw=1, fh=1)
    assert background.noise == pytest.approx(expected.globalrms)
    for part in (np.s_[0:400, 0:610], np.s_[150:260, 301:390], np.s_[395:400, 600:610]):
        np.testing.assert_allclose(background.at(*part), expected.back()[part], atol=1e-3)


def test_a_source_needs_a_fraction_of_the_flux_of_its_group():
    noise = np.random.default_rng(1).normal(0, 0.5, (90, 120))
    bright = _gaussians([(50, 40)], noise.shape, 2000, 3.0)
    for height, n in ((400, 2), (40, 1)):
        faint = _gaussians([(60, 40)], noise.shape, height, 1.5)
        assert len(find_sources(noise + bright + faint)) == n


def test_a_streak_without_a_width():
    image = np.random.default_rng(5).normal(0, 0.1, (120, 120))
    image += _gaussians([(30, 30)], image.shape, 200, 3.0)
    diagonal = np.arange(12)
    image[80 + diagonal, 80 + diagonal] = 20
    sources = find_sources(image)
    assert np.hypot(sources["x"] - 85.5, sources["y"] - 85.5).min() < 0.5


def test_what_lies_in_the_wings_of_a_bright_source_is_cleaned():
    image = np.random.default_rng(4).normal(0, 1, (210, 210))
    image += _gaussians([(105, 105)], image.shape, 1e4, 2.5)
    image[103:107, 122:126] += 22.5
    image[170:174, 20:24] += 60
    both, cleaned = (find_sources(image, method=name) for name in ("segmentation", "sextractor"))
    assert len(both) == 3
    assert len(cleaned) == 2
    assert cleaned["x"].min() == pytest.approx(21.5, abs=0.3)


def test_white_light_is_the_mean_of_two_stars_in_quadrature(crowded):
    part = {name: band.data[:40, :50] for name, band in crowded.images.items()}
    white = white_light(part).data
    expected = 0
    for star in ((55.8, 45.3, 44.2, 65.7, 29.3), (0.5, 0.8, 3.1, 11.2, 13.7)):
        scale = np.array(star) / star[2]
        total = sum((image / s) ** 2 for image, s in zip(part.values(), scale, strict=True))
        expected = expected + 0.5 * np.sqrt(total / np.sum(scale**-2))
    np.testing.assert_allclose(white, expected, rtol=1e-5)


def test_white_light_in_small_units(crowded):
    white = white_light(crowded.images).data
    small = {name: band.data * np.float32(1e-24) for name, band in crowded.images.items()}
    np.testing.assert_allclose(white_light(small).data, white * 1e-24, rtol=1e-5)


def test_white_light_of_what_there_is():
    blue, red = np.full((40, 50), 3.0), np.full((40, 50), 4.0)
    blue[0, 0] = red[0, 0] = red[1, 1] = np.nan
    white = white_light(ImageSet({"B": blue, "V": red}))
    assert np.isnan(white.data[0, 0])
    assert white.data[1, 1] == pytest.approx(3)
    assert 3 < white.data[2, 2] < 4
    assert white.filter == "WHITE"


@pytest.mark.parametrize("method", ["sextractor", "segmentation", "daofind"])
@pytest.mark.parametrize("shape", [(64, 64), (7, 5)])
def test_an_image_of_one_value_has_no_sources(method, shape):
    assert not len(find_sources(np.full(shape, 3.1), method=method, threshold=5))
