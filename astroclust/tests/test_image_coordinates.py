# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS

from astroclust import ImageSet

SIP = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 8e-4, "B_0_2": -7e-4, "A_1_1": 3e-4}
LOOKUP = {"CPDIS1": "LOOKUP", "DP1.EXTVER": 1.0, "DP1.NAXES": 2.0, "DP1.AXIS.1": 1.0}
D2IM = {"D2IMDIS1": "LOOKUP", "D2IM1.EXTVER": 1.0, "D2IM1.NAXES": 2.0, "D2IMERR1": 0.002}
PV = {"PV1_1": 1.02, "PV1_5": 0.3, "PV2_1": 0.98, "PV2_6": 0.2}
X, Y = np.array([2.0, 40.0, 75.0]), np.array([3.0, 30.0, 55.0])


def _header(wcs, *cards):
    header = wcs.to_header()
    for card in cards:
        for key, value in card.items():
            if "." in key:
                header.append(fits.Card(key.split(".")[0], f"{key.split('.', 1)[1]}: {value}"))
            else:
                header[key] = value
    return header


@pytest.mark.parametrize(
    ("cards", "named"),
    [
        ((SIP,), "SIP"),
        ((LOOKUP,), "CPDIS"),
        ((D2IM,), "D2IM"),
        ((PV,), "PV"),
        ((SIP, LOOKUP, D2IM), "SIP, CPDIS, D2IM"),
    ],
)
def test_what_drizzling_leaves_behind_is_dropped(image, wcs, tmp_path, cards, named):
    path = tmp_path / "drc.fits"
    fits.PrimaryHDU(image, _header(wcs, *cards)).writeto(path)
    with pytest.warns(AstropyUserWarning, match=f"drc.fits.: {named} distortion keywords") as told:
        images = ImageSet({"F555W": path})
    assert len(told) == 1
    np.testing.assert_allclose(
        images.wcs.world_to_pixel(wcs.pixel_to_world(X, Y)), (X, Y), atol=1e-6
    )


def test_the_remedy_keeps_a_distortion_that_applies(image, wcs, tmp_path):
    header = _header(wcs, SIP)
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    fits.PrimaryHDU(image, header).writeto(tmp_path / "flc.fits")
    images = ImageSet({"F555W": tmp_path / "flc.fits"})
    x, y = images.wcs.world_to_pixel(WCS(header).pixel_to_world(X, Y))
    np.testing.assert_allclose((x, y), (X, Y), atol=1e-3)
    assert images.wcs.sip is not None


def test_a_polynomial_that_is_missing(image, wcs):
    header = _header(wcs)
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    with pytest.warns(AstropyUserWarning, match="CTYPE is -SIP, but its polynomial is missing"):
        assert ImageSet({"F555W": fits.PrimaryHDU(image, header)}).wcs.sip is None


def test_a_wcs_object_with_a_stale_polynomial(image, wcs):
    header = _header(wcs, SIP)
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    stale = WCS(header)
    stale.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    for given in ((image, stale), CCDData(image, unit="electron/s", wcs=stale)):
        with pytest.warns(AstropyUserWarning, match="SIP distortion keywords are ignored"):
            images = ImageSet({"F555W": given})
        sky = wcs.pixel_to_world(X, Y)
        np.testing.assert_allclose(images.wcs.world_to_pixel(sky), (X, Y), atol=1e-6)
    assert stale.sip is not None


@pytest.mark.filterwarnings("ignore:Removed redundant SIP")
def test_other_remnants(image, wcs):
    sky = wcs.pixel_to_world(X, Y)
    one = _header(wcs, SIP)
    one["CTYPE1"] = "RA---TAN-SIP"
    tpv = _header(wcs)
    tpv["CTYPE1"], tpv["CTYPE2"] = "RA---TPV", "DEC--TPV"
    lookup = _header(wcs, LOOKUP)
    lookup["CTYPE1"], lookup["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    for given in (
        fits.PrimaryHDU(image, one),
        fits.PrimaryHDU(image, tpv),
        fits.PrimaryHDU(image, lookup),
        (image, WCS(_header(wcs, PV))),
    ):
        with pytest.warns(AstropyUserWarning, match="keywords are ignored"):
            images = ImageSet({"F555W": given})
        np.testing.assert_allclose(images.wcs.world_to_pixel(sky), (X, Y), atol=1e-6)


def test_coordinates_that_cannot_be_used(image, wcs, tmp_path):
    header = _header(wcs)
    header["CDELT1"] = 0.0
    fits.PrimaryHDU(image, header).writeto(tmp_path / "singular.fits")
    with pytest.raises(ValueError, match=r"singular.fits.: the coordinates .* cannot be used"):
        ImageSet({"F555W": tmp_path / "singular.fits"})
    for key in list(header):
        del header[key]
    fits.PrimaryHDU(image, header).writeto(tmp_path / "none.fits")
    assert ImageSet({"F555W": tmp_path / "none.fits"}).wcs is None


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_a_cube_of_one_plane_is_its_plane(image, wcs, tmp_path, shape):
    header = wcs.to_header()
    header["WCSAXES"] = 2
    fits.PrimaryHDU(image.reshape(*shape, *image.shape), header).writeto(tmp_path / "plane.fits")
    images = ImageSet({"F555W": tmp_path / "plane.fits"})
    np.testing.assert_array_equal(images["V"].data, image)


def test_a_cube_of_several_planes(image, tmp_path):
    cube = np.stack([image, image])
    fits.PrimaryHDU(cube).writeto(tmp_path / "cube.fits")
    with pytest.raises(ValueError, match=r"cube.fits.: .* 2 dimensions, not \(2, 60, 80\).*array"):
        ImageSet({"F555W": tmp_path / "cube.fits"})
    assert ImageSet({"F555W": (fits.getdata(tmp_path / "cube.fits")[0], None)}).shape == (60, 80)
