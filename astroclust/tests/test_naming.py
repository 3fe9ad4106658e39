# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Files whose filters are those that their headers name."""

import json
import re

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import ImageSet
from astroclust.cli import main
from astroclust.cli.options import one_image_each


@pytest.fixture
def drizzled(tmp_path):
    """Three bands as MAST has them: filters in the primary header, the image in SCI."""
    rng, paths = np.random.default_rng(1), []
    for name, keywords in (
        ("b", {"FILTER": "F438W"}),
        ("v", {"FILTER1": "F555W", "FILTER2": "CLEAR2L"}),
        ("i", {"FILTER1": "CLEAR1S", "FILTER2": "F814W"}),
    ):
        primary = fits.PrimaryHDU()
        primary.header.update(keywords)
        data = rng.random((60, 80)).astype(np.float32)
        paths.append(tmp_path / f"{name}_drz.fits")
        fits.HDUList([primary, fits.ImageHDU(data, name="SCI")]).writeto(paths[-1])
    return paths


def test_filters_are_those_of_the_headers(drizzled):
    images = ImageSet.read(drizzled)
    assert images.filters == ("F438W", "F555W", "F814W")
    np.testing.assert_array_equal(images["V"].data, fits.getdata(drizzled[1], "SCI"))
    assert ImageSet.read([str(drizzled[1]) + "[SCI]"]).filters == ("F555W",)
    assert ImageSet.read(drizzled[2]).filters == ("F814W",)


def test_a_file_of_all_bands_and_one_more(drizzled, tmp_path):
    ImageSet.read(drizzled[:2]).write(tmp_path / "both.fits")
    assert ImageSet.read([tmp_path / "both.fits", drizzled[2]]).roles == ("B", "V", "I")


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({}, "its header names none (FILTER, FILTER1, FILTER2, ...); specify its filter, in"),
        ({"FILTER": "F555W", "PHOTMODE": "WFC3 UVIS2 F606W"}, "names several filters"),
    ],
)
def test_headers_without_one_filter(tmp_path, keywords, message):
    path = tmp_path / "image.fits"
    hdu = fits.PrimaryHDU(np.ones((30, 30)))
    hdu.header.update(keywords)
    hdu.writeto(path)
    with pytest.raises(ValueError, match=re.escape(message)):
        ImageSet.read([path])
    # the remedy
    assert ImageSet.read({"V": path}).roles == ("V",)


def test_two_images_of_one_filter_and_files_without_images(drizzled, tmp_path):
    with pytest.raises(
        ValueError, match=r"v_drz.fits and .*v_drz.fits are both F555W images; omit"
    ):
        ImageSet.read([drizzled[1], drizzled[1]])
    Table({"x": [1.0]}).write(tmp_path / "table.fits")
    with pytest.warns(AstropyUserWarning, match=r"skipped .*table\.fits, which have no image"):
        images = ImageSet.read([*drizzled, tmp_path / "table.fits"])
    assert len(images) == 3
    with pytest.raises(
        ValueError, match=r"no image in .*table\.fits; add the image of at least one band"
    ):
        ImageSet.read([tmp_path / "table.fits"])
    with pytest.raises(FileNotFoundError):
        ImageSet.read([tmp_path / "none.fits"])


def test_no_files():
    with pytest.raises(ValueError, match="paths is empty; pass the file of at least one band"):
        ImageSet.read([])


def test_filters_without_a_role(tmp_path):
    path = tmp_path / "narrow.fits"
    hdu = fits.PrimaryHDU(np.random.default_rng(1).random((30, 30)))
    hdu.header["FILTER"] = "F657N"
    hdu.writeto(path)
    with pytest.raises(ValueError, match="'F657N' has no known role"):
        ImageSet.read([path])
    assert ImageSet.read([path], roles={"F657N": "V"}).filters == ("F657N",)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--image a.fits b.fits -o c", "--image a.fits --image b.fits -o c"),
        ("t --image V=v.fits I=i.fits", "t --image V=v.fits --image I=i.fits"),
        ("--image V=v.fits table.fits -q", "--image V=v.fits table.fits -q"),
        ("--image a.fits V=v.fits b.fits", "--image a.fits --image V=v.fits --image b.fits"),
        ("--image V=v.fits --image i.fits -q", "--image V=v.fits --image i.fits -q"),
        ("--image", "--image"),
        ("--role X=V t", "--role X=V t"),
    ],
)
def test_several_images_after_one_option(words, expected):
    assert one_image_each(words.split()) == expected.split()


def test_detect_in_files_of_a_folder(drizzled, tmp_path, capsys):
    command = ["detect", "-q", "--json", "--image", *map(str, drizzled), "--workers", "1"]
    assert main([*command, "-o", f"{tmp_path}/c.ecsv"]) == 0
    assert "sources" in json.loads(capsys.readouterr().out)
    command = [*command, "--image", f"F555W={drizzled[1]}", "-o", f"{tmp_path}/d.ecsv"]
    assert main(command) == 1
    assert "--image F555W is given more than once" in capsys.readouterr().err
