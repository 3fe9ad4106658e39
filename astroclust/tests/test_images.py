# Licensed under a 3-clause BSD style license - see LICENSE.rst
import gzip
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from mmap import mmap
from threading import Thread

import numpy as np
import pytest
from astropy import units as u
from astropy.config.paths import set_temp_cache
from astropy.io import fits
from astropy.nddata import CCDData, NDData
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS

from astroclust import ImageSet
from astroclust.images import read_image


def _write(path, image, wcs, **options):
    fits.HDUList([fits.PrimaryHDU(image, wcs.to_header())]).writeto(path, **options)
    return path


def image_forms(image, wcs, folder):
    """Every accepted form of one image."""
    hdu = fits.PrimaryHDU(image, wcs.to_header())
    plain = _write(folder / "plain.fits", image, wcs)
    zipped = folder / "zipped.fits.gz"
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    packed = folder / "packed.fits.fz"
    options = {"compression_type": "GZIP_2", "quantize_level": 0}  # lossless
    compressed = fits.CompImageHDU(image, wcs.to_header(), name="SCI", **options)
    fits.HDUList([fits.PrimaryHDU(), compressed]).writeto(packed)
    several = folder / "several.fits"
    of_extensions = enumerate((np.zeros_like(image), image, 2 * image))
    extensions = [fits.ImageHDU(data, wcs.to_header(), name=f"E{k}") for k, data in of_extensions]
    fits.HDUList([fits.PrimaryHDU(), *extensions]).writeto(several)
    return {
        "CCDData": CCDData(image, unit="electron/s", wcs=wcs),
        "NDData": NDData(image, wcs=wcs),
        "PrimaryHDU": hdu,
        "ImageHDU": fits.ImageHDU(image, wcs.to_header()),
        "HDUList": fits.HDUList([hdu]),
        "Path": plain,
        "str": str(plain),
        "gz": zipped,
        "fz": packed,
        "extension by name": f"{several}[E1]",
        "extension by number": f"{several}[2]",
        "extension by name and version": f"{several}[E1,1]",
        "(array, wcs)": (image, wcs),
        "masked array": (np.ma.array(image, mask=False), wcs),
        "big-endian": (image.astype(">f4"), wcs),
    }


FORMS = [
    "CCDData",
    "NDData",
    "PrimaryHDU",
    "ImageHDU",
    "HDUList",
    "Path",
    "str",
    "gz",
    "fz",
    "extension by name",
    "extension by number",
    "extension by name and version",
    "(array, wcs)",
    "masked array",
    "big-endian",
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_pixels_and_coordinates(form, image, wcs, tmp_path):
    images = ImageSet({"F555W": image_forms(image, wcs, tmp_path)[form]})
    np.testing.assert_array_equal(images["F555W"].data, image)
    sky = wcs.pixel_to_world(3, 4)
    np.testing.assert_allclose(images.wcs.world_to_pixel(sky), (3, 4), atol=1e-6)
    assert images.shape == (60, 80)


def test_plain_files_are_memory_mapped(image, wcs, tmp_path):
    band = ImageSet.read({"F555W": _write(tmp_path / "v.fits", image, wcs)})["V"]
    array = band.data
    while isinstance(array, np.ndarray):
        array = array.base
    assert isinstance(array, mmap)


def test_integers_with_an_offset_and_blanks(tmp_path, wcs):
    hdu = fits.PrimaryHDU(np.arange(100, dtype=np.int16).reshape(10, 10), wcs.to_header())
    hdu.header["BLANK"] = 7
    hdu.writeto(tmp_path / "i.fits")
    data = ImageSet({"V": tmp_path / "i.fits"})["V"].data
    assert np.isnan(data[0, 7])
    assert data[0, 8] == 8


def test_bands_are_sorted_and_found_by_filter_and_role(image):
    images = ImageSet({"f814w": image, "F275W": image, " f606w ": image})
    assert images.filters == ("F275W", "F606W", "F814W")
    assert images.roles == ("NUV", "V", "I")
    assert images["v"] is images["f606w"]
    assert "U" not in images
    with pytest.raises(KeyError, match="no band 'U'; available are F275W"):
        images["U"]


def test_the_caller_may_name_roles(image):
    images = ImageSet({"F657N": image, "B": image}, roles={"f657n": "v"})
    assert dict(zip(images.filters, images.roles, strict=True)) == {"B": "B", "F657N": "V"}
    with pytest.raises(ValueError, match=r"'F657N' has no known role.*roles="):
        ImageSet({"F657N": image})
    with pytest.raises(ValueError, match="role 'R' of F657N is not one of NUV, U, B, V, I"):
        ImageSet({"F657N": image}, roles={"F657N": "R"})
    with pytest.raises(ValueError, match=r"same role: F555W \(V\), F606W \(V\)"):
        ImageSet({"F555W": image, "F606W": image})


def test_bands_on_different_grids_are_refused(image, wcs):
    with pytest.raises(ValueError, match=r"F814W .*-2 pixels in x and -3 in y.*reproject"):
        ImageSet({"F555W": image, "F814W": image[3:, 2:]})
    other = wcs.deepcopy()
    other.wcs.crpix += [3, 4]
    with pytest.raises(ValueError, match=r"F814W differs from that of F555W by up to 5\.00 pixels"):
        ImageSet({"F555W": (image, wcs), "F814W": (image, other)})
    other.wcs.crpix = wcs.wcs.crpix + 0.05
    assert len(ImageSet({"F555W": (image, wcs), "F814W": (image, other)})) == 2
    assert ImageSet({"F555W": image, "F814W": (image, wcs)}).wcs is not None


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (np.zeros((2, 3, 4)), ValueError, "must have 2 dimensions, not .2, 3, 4."),
        (np.zeros((3, 4), complex), ValueError, "real numbers, not complex"),
        (np.zeros((0, 4)), ValueError, "the image is empty"),
        ([[1, 2]], TypeError, "an image is a CCDData .* not list"),
        ((1, 2), TypeError, "coordinates must be a WCS, not int"),
        (fits.PrimaryHDU(), ValueError, "2 dimensions"),
        (NDData(np.zeros((3, 4)), mask=np.zeros((2, 2), bool)), ValueError, "mask has shape"),
    ],
)
def test_what_is_no_image(given, error, message):
    with pytest.raises(error, match=message):
        ImageSet({"F555W": given})


def test_what_is_no_mapping(image):
    with pytest.raises(ValueError, match="at least one band"):
        ImageSet({})
    with pytest.raises(TypeError, match="must be a mapping"):
        ImageSet([image])
    with pytest.raises(TypeError, match="name must be a string, not 555"):
        ImageSet({555: image})


def test_files_that_cannot_be_read(image, wcs, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.fits does not exist"):
        ImageSet.read({"F555W": tmp_path / "none.fits"})
    (tmp_path / "zero.fits").touch()
    with pytest.raises(OSError, match=r"cannot read .*zero\.fits: it is empty; download"):
        ImageSet.read({"F555W": tmp_path / "zero.fits"})
    (tmp_path / "text.fits").write_text("<html>404</html>")
    with pytest.raises(OSError, match=r"cannot read .*; download"):
        ImageSet.read({"F555W": tmp_path / "text.fits"})
    whole = _write(tmp_path / "whole.fits", image, wcs).read_bytes()
    (tmp_path / "half.fits").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(OSError, match=r"cannot read .*; download"):
        ImageSet.read({"F555W": tmp_path / "half.fits"})
    (tmp_path / "half.fits.gz").write_bytes(gzip.compress(whole)[:-500])
    with pytest.raises(OSError, match=r"cannot read .*; download"):
        ImageSet.read({"F555W": tmp_path / "half.fits.gz"})


def test_urls_are_fetched_once(image, wcs, tmp_path):
    _write(tmp_path / "v.fits", image, wcs)
    asked = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, message, *arguments):
            asked.append(message % arguments)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path))
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    try:
        with set_temp_cache(tmp_path):
            for url in (f"{address}/v.fits", f"{address}/v.fits[0]"):
                np.testing.assert_array_equal(ImageSet.read({"V": url})["V"].data, image)
            assert sum("GET" in line for line in asked) == 1
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(OSError, match=r"cannot fetch .*none\.fits: .*refused"):
        ImageSet.read({"V": f"{address}/none.fits"})


def test_a_file_cut_in_a_header_is_not_whole(image, wcs, tmp_path):
    ImageSet(dict.fromkeys(("F275W", "F814W"), (image, wcs))).write(tmp_path / "whole.fits")
    with fits.open(tmp_path / "whole.fits") as hdus:
        start = hdus.fileinfo(2)["hdrLoc"]
    content = (tmp_path / "whole.fits").read_bytes()
    for length in (start + 100, start + 2879):
        (tmp_path / "cut.fits").write_bytes(content[:length])
        with pytest.raises(OSError, match=r"are not a complete extension|ends within the header"):
            ImageSet.read(tmp_path / "cut.fits")


def test_coordinates_are_celestial_or_none(image, wcs):
    assert ImageSet({"V": (image, WCS(naxis=2))}).wcs is None
    assert ImageSet({"V": CCDData(image, unit="adu/s", wcs=WCS(naxis=2))}).wcs is None
    with pytest.raises(TypeError, match="F555W: coordinates must be a WCS, not Header"):
        ImageSet({"F555W": (image, wcs.to_header())})


def test_quantities_keep_their_unit(image, wcs):
    assert ImageSet({"V": (image * u.electron / u.s, wcs)})["V"].unit == u.electron / u.s


def test_keywords_of_the_primary_header(image, wcs, tmp_path):
    primary = fits.PrimaryHDU()
    primary.header["EXPTIME"] = 1000.0
    science = fits.ImageHDU(image, wcs.to_header(), name="SCI")
    fits.HDUList([primary, science]).writeto(tmp_path / "drc.fits")
    assert ImageSet({"V": tmp_path / "drc.fits"})["V"].meta["EXPTIME"] == 1000
    second = fits.ImageHDU(image, wcs.to_header(), name="SCI", ver=2)
    fits.HDUList([primary, science, second]).writeto(tmp_path / "flc.fits")
    with pytest.raises(
        ValueError, match=r"has 2 images SCI; select one in brackets, as in \[SCI,1\]"
    ):
        ImageSet({"V": tmp_path / "flc.fits"})


def test_extensions_are_chosen_by_name(image, wcs, tmp_path):
    path = tmp_path / "m.fits"
    names = {"F555W": image, "WHT": image}
    hdus = [fits.ImageHDU(data, wcs.to_header(), name=name) for name, data in names.items()]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)
    np.testing.assert_array_equal(ImageSet({"F555W": path})["V"].data, image)
    with pytest.raises(ValueError, match=r"F814W: .*several images \(F555W, WHT\)"):
        ImageSet({"F814W": path})
    with pytest.raises(ValueError, match="no extension 'ERR'; available are 0 PRIMARY, 1 F555W"):
        ImageSet({"F814W": f"{path}[ERR]"})


def test_masks_and_units_are_kept(image, wcs, tmp_path):
    mask = np.zeros(image.shape, bool)
    mask[5, 6] = True
    images = ImageSet({"V": CCDData(image, unit="electron/s", mask=mask, wcs=wcs)})
    assert images["V"].mask[5, 6]
    assert images["V"].unit == u.electron / u.s
    images.write(tmp_path / "field.fits")
    again = ImageSet.read(tmp_path / "field.fits")
    assert again.filters == ("V",)
    assert np.isnan(again["V"].data[5, 6])
    assert again["V"].unit == u.electron / u.s
    with pytest.raises(FileExistsError):
        images.write(tmp_path / "field.fits")


def test_pixel_scale(image, wcs):
    images = ImageSet({"V": (image, wcs)})
    assert images.pixel_scale.to_value("arcsec") == pytest.approx(1.1e-5 * 3600, rel=1e-6)
    assert ImageSet({"V": image}).pixel_scale is None


def test_one_image_needs_no_filter(image, wcs, tmp_path):
    assert read_image(_write(tmp_path / "a.fits", image, wcs)).data.shape == image.shape


def test_the_real_hdfs_image(data_folder):
    with pytest.warns(AstropyUserWarning, match="HST-HDFS.fits.: it is from WFPC2: photometry"):
        images = ImageSet.read({"F606W": data_folder / "gal_hst_hdfs_f606w" / "HST-HDFS.fits"})
    assert images.shape == (500, 500)
    assert images.pixel_scale.value == pytest.approx(0.0399, abs=1e-4)
