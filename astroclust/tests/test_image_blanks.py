# Licensed under a 3-clause BSD style license - see LICENSE.rst
import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from scipy import ndimage

from astroclust import ImageSet, find_sources, make_stamps, measure_photometry, white_light
from astroclust.images import read_image
from astroclust.images.inspection import sample_cells, zeros_are_blank
from astroclust.stamps import StampFlag
from astroclust.stamps.cutting import cut_stamps
from astroclust.stamps.reference import cut_with_cutout2d

SHAPE = (160, 160)
YY, XX = np.mgrid[: SHAPE[0], : SHAPE[1]]


def _footprint(angle):
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    u, v = (XX - 80) * c + (YY - 80) * s, -(XX - 80) * s + (YY - 80) * c
    return (np.abs(u) < 60) & (np.abs(v) < 60) & (np.abs(v - 20) > 4)


@pytest.fixture(scope="module")
def sky():
    """Stars on noise about 0."""
    rng = np.random.default_rng(2)
    image = rng.normal(0, 0.01, SHAPE)
    for x, y in rng.uniform(30, 130, (12, 2)):
        image += 0.6 * np.exp(-((XX - x) ** 2 + (YY - y) ** 2) / 3)
    return image.astype(np.float32)


@pytest.fixture(scope="module")
def off():
    return ~_footprint(31)


def _with_zeros(sky, off):
    return np.where(off, 0, sky).astype(np.float32)


def _files(sky, off, folder):
    """The same footprint in every form in which files have it."""
    zeros = _with_zeros(sky, off)
    header = fits.Header({"BUNIT": "ELECTRONS/S"})
    fits.PrimaryHDU(zeros, header).writeto(folder / "zeros.fits")
    fits.PrimaryHDU(np.where(off, np.nan, sky), header).writeto(folder / "nan.fits")
    science = fits.ImageHDU(sky, header, name="SCI")
    weight = fits.ImageHDU(np.where(off, 0, 1000.0), name="WHT")
    fits.HDUList([fits.PrimaryHDU(), science, weight]).writeto(folder / "wht.fits")
    for name, method in (("dithered", 1), ("undithered", -1)):
        options = {"compression_type": "RICE_1", "quantize_level": 16, "quantize_method": method}
        hdu = fits.CompImageHDU(zeros, header, dither_seed=3, **options)
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(folder / f"{name}.fits.fz")


FILES = ["zeros.fits", "wht.fits", "dithered.fits.fz", "undithered.fits.fz"]


@pytest.fixture(scope="module")
def files(sky, off, tmp_path_factory):
    folder = tmp_path_factory.mktemp("blanks")
    _files(sky, off, folder)
    return folder


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("ignore:.*dithered by fpack")
def test_every_form_of_no_data_is_as_nan(sky, off, files, name):
    images, wanted = (ImageSet({"F555W": files / one}) for one in (name, "nan.fits"))
    blank = np.isnan(images["V"].pixels(np.s_[:]))
    assert blank[off].mean() > 0.99
    assert blank[~off].mean() < 0.01
    sources, as_nan = (find_sources(one["V"]) for one in (images, wanted))
    assert len(sources) == len(as_nan)
    np.testing.assert_allclose(sources["x"], as_nan["x"], atol=0.1)
    outside = Table({"x": [5.0, 80.0], "y": [5.0, 100.0]})
    assert measure_photometry(outside, images)["mag_f555w"].mask[0]
    stamps, as_nan = (make_stamps(outside, one, size=20) for one in (images, wanted))
    np.testing.assert_array_equal(stamps.flags, as_nan.flags)
    assert stamps.flags[0] & StampFlag.EMPTY
    assert stamps.flags[1] & StampFlag.NON_FINITE


def test_lossy_compression_is_told_once(files):
    with pytest.warns(AstropyUserWarning, match="fpack -qz to keep zeros, or pass a mask") as told:
        ImageSet({"F555W": files / "dithered.fits.fz"})
    assert len(told) == 1


def test_the_remedies_for_lossy_compression(sky, off, tmp_path):
    kept = fits.CompImageHDU(
        _with_zeros(sky, off), compression_type="RICE_1", quantize_level=16, quantize_method=2
    )
    fits.HDUList([fits.PrimaryHDU(), kept]).writeto(tmp_path / "qz.fits.fz")
    band = ImageSet({"F555W": tmp_path / "qz.fits.fz"})["V"]  # without a warning
    np.testing.assert_array_equal(np.isnan(band.pixels(np.s_[:])), off)


def test_zero_areas_of_rounded_pixels(sky, off):
    counts = np.round(_with_zeros(sky, off) * 200)
    for image in (counts, counts.astype(np.int16), counts / 200):
        blank = np.isnan(ImageSet({"F555W": image})["V"].pixels(np.s_[:]))
        assert blank[off].mean() > 0.99
        assert blank[~off].mean() < 0.01


def test_dithered_zeros_in_other_forms(sky, off, files, tmp_path):
    zeros = _with_zeros(sky, off)
    options = {"compression_type": "RICE_1", "quantize_level": 16, "dither_seed": 3}
    hdus = [fits.CompImageHDU(150 * sky, **options), fits.CompImageHDU(zeros, **options)]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "two.fits.fz")
    plane = fits.CompImageHDU(zeros[None], **options)
    fits.HDUList([fits.PrimaryHDU(), plane]).writeto(tmp_path / "plane.fits.fz")
    weight = fits.CompImageHDU(np.where(off, 0, 1000.0 + sky), name="WHT", **options)
    science = fits.ImageHDU(sky, name="SCI")
    fits.HDUList([fits.PrimaryHDU(), science, weight]).writeto(tmp_path / "weight.fits")
    with fits.open(files / "dithered.fits.fz") as opened:
        for image in (
            f"{tmp_path / 'two.fits.fz'}[2]",
            tmp_path / "plane.fits.fz",
            tmp_path / "weight.fits",
            opened[1],
            opened,
        ):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AstropyUserWarning)
                blank = np.isnan(ImageSet({"F555W": image})["V"].pixels(np.s_[:]))
            assert blank[off].mean() > 0.99
            assert blank[~off].mean() < 0.01


def test_bands_off_different_exposures(sky):
    filters = {"F555W": _footprint(31), "F814W": _footprint(27)}
    zeros = ImageSet({name: _with_zeros(sky, ~on) for name, on in filters.items()})
    nans = ImageSet({name: np.where(on, sky, np.nan) for name, on in filters.items()})
    light = [white_light(images).pixels(np.s_[:]) for images in (zeros, nans)]
    np.testing.assert_array_equal(*light)


def test_blocks_of_stamps_are_those_of_cutout2d(sky, off, files):
    bands = [
        read_image(files / "wht.fits", name="F555W"),
        ImageSet({"F814W": _with_zeros(sky * 100, off)})["I"],
    ]
    x, y = np.random.default_rng(5).uniform(20, 140, (2, 30))
    data, flags = cut_stamps(x, y, bands, 16)
    reference, reference_flags = cut_with_cutout2d(x, y, bands, 16)
    np.testing.assert_array_equal(data, reference)
    np.testing.assert_array_equal(flags, reference_flags)


def _models():
    rng = np.random.default_rng(4)
    blob = 100 * np.exp(-((XX - 80) ** 2 + (YY - 80) ** 2) / 800)
    noise = rng.normal(0, 1, SHAPE)
    hole = np.where((XX > 40) & (XX < 60), 0, 1)
    return {
        "nothing": (np.zeros(SHAPE), "none"),
        "one pixel": (np.where((XX == 3) & (YY == 4), 1000.0, 0.0), "none"),
        "a model": (np.where(blob > 1, blob, 0), "none"),
        "a ramp": (np.arange(160 * 160.0).reshape(SHAPE), "none"),
        "few photons": (rng.poisson(0.3, SHAPE).astype(float), "none"),
        "a picture": (np.clip(noise + 0.5, 0, None), "none"),
        "noise about 0": (noise * hole, "all"),
        "noise on a sky": ((noise + 20) * hole, "all"),
        "integers": ((20 * hole * rng.poisson(20, SHAPE)).astype(np.int16), "all"),
        "rounded": (np.round(2 * noise) * (XX > 60), "areas"),
        "smooth noise": (ndimage.gaussian_filter(noise, 1) * hole, "all"),
        "scattered holes": (noise * (rng.random(SHAPE) > 0.1), "all"),
    }


@pytest.mark.parametrize("name", list(_models()))
def test_which_zeros_are_values(name):
    image, blank = _models()[name]
    assert zeros_are_blank(sample_cells(image)) == blank


def test_a_weight_map_of_zeros_is_ignored(sky, tmp_path):
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(sky, name="SCI"), fits.ImageHDU(0 * sky, name="WHT")]
    fits.HDUList(hdus).writeto(tmp_path / "drc.fits")
    with pytest.warns(AstropyUserWarning, match="WHT extension is 0 everywhere and is ignored"):
        band = ImageSet({"F555W": tmp_path / "drc.fits"})["V"]
    assert np.isfinite(band.pixels(np.s_[:])).all()
