# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D, NDData
from astropy.table import MaskedColumn, Table
from hypothesis import given
from hypothesis import strategies as st

from astroclust import ImageSet, Stamps, decode_flags, make_stamps
from astroclust.images import Band
from astroclust.instruments import LEGUS_BANDS, BandSystem
from astroclust.stamps import StampFlag, normalize_stamps
from astroclust.stamps.cutting import cut_stamps
from astroclust.stamps.reference import cut_with_cutout2d
from astroclust.tests.test_images import FORMS, image_forms


def _at(*positions):
    return Table({"x": [float(x) for x, _ in positions], "y": [float(y) for _, y in positions]})


def test_stamps_hold_the_pixels_around_a_position(image):
    stamps = make_stamps(_at((40, 30), (39.6, 29.4)), {"F555W": image}, size=10)
    assert stamps.data.shape == (2, 5, 10, 10)
    assert stamps.filters == ("NUV", "U", "B", "F555W", "I")
    for stamp in stamps.data[:, 3]:
        np.testing.assert_array_equal(stamp, image[25:35, 35:45])
    assert not stamps.data[:, [0, 1, 2, 4]].any()
    np.testing.assert_array_equal(stamps.present, [[False, False, False, True, False]] * 2)
    assert decode_flags(stamps.flags) == [["BAND_MISSING"]] * 2


@pytest.mark.parametrize("size", [1, 25, 50, 100])
def test_every_size_is_filled_at_the_edges(size, image):
    stamps = make_stamps(_at((0, 0), (79, 59)), {"V": image}, size=size, bands=("V",))
    assert stamps.data.shape == (2, 1, size, size)
    if size > 1:
        assert decode_flags(stamps.flags) == [["EDGE"]] * 2
        assert stamps.data[0, 0, size // 2, size // 2] == image[0, 0]
        assert np.isnan(stamps.data[0, 0, 0, 0])


def test_positions_off_the_image(image):
    positions = [(np.nan, 3), (np.inf, 3), (-0.6, 3), (79.6, 3), (3, -30), (3, 60), (79.4, 59.4)]
    stamps = make_stamps(_at(*positions), {"V": image}, size=8, bands=("V",))
    assert decode_flags(stamps.flags) == [["OFF_IMAGE"]] * 6 + [["EDGE"]]
    assert not stamps.present[:6].any()


@given(seed=st.integers(0, 99), size=st.integers(1, 40), masked=st.booleans())
def test_stamps_are_those_of_cutout2d(seed, size, masked):
    rng = np.random.default_rng(seed)
    image = rng.normal(size=(37, 43)).astype(rng.choice([">f4", "<f8", ">i2"]))
    if image.dtype.kind == "f":
        image[rng.random(image.shape) < 0.01] = np.nan
    mask = rng.random(image.shape) < 0.01 if masked else None
    bands = [Band("F555W", "V", image, mask), None, Band("F814W", "I", image[::-1], mask)]
    x, y = rng.uniform(-5, 50, (2, 100))
    x[:20], y[:20] = np.round(x[:20]), np.round(y[:20]) + 0.5
    x[0] = np.nan
    data, flags = cut_stamps(x, y, bands, size)
    wanted, wanted_flags = cut_with_cutout2d(x, y, bands, size)
    np.testing.assert_array_equal(data, wanted)
    np.testing.assert_array_equal(flags, wanted_flags)


def _both_methods(table, images, **options):
    """Stamps in blocks, made sure to be those of the reference."""
    stamps, reference = (
        make_stamps(table, images, method=method, **options) for method in ("blocks", "cutout2d")
    )
    for name in ("data", "flags", "present"):
        np.testing.assert_array_equal(getattr(stamps, name), getattr(reference, name))
        assert getattr(stamps, name).dtype == getattr(reference, name).dtype
    return stamps


# Inside, at each kind of edge and corner, on the border of pixels, and off the image.
POSITIONS = [(40, 30), (40.5, 29.5), (0, 30), (79.4, 30), (40, -0.4), (40, 59), (0, 0), (79, 59)]
POSITIONS += [(-0.6, 3), (79.6, 3), (3, 60), (np.nan, 3), (np.inf, 3)]


@pytest.mark.parametrize("form", FORMS)
def test_the_reference_in_every_form_of_image(form, image, wcs, tmp_path):
    image[28, 41], image[33, 38] = np.nan, np.inf
    stamps = _both_methods(
        _at(*POSITIONS), {"F555W": image_forms(image, wcs, tmp_path)[form]}, size=9, bands=["V"]
    )
    assert np.isnan(stamps.data[0]).sum() == 2
    assert decode_flags(stamps.flags[0]) == ["NON_FINITE"]
    assert decode_flags(stamps.flags[2]) == ["EDGE"]


@pytest.mark.parametrize("size", [1, 2, 7, 50, 100])
@pytest.mark.parametrize("kind", ["mask", "weight", "zeros", "int16", "counts", "no pixel"])
def test_the_reference_with_masks_weights_and_blanks(kind, size, image, wcs, tmp_path):
    image[:5], image[20:24, 30:50] = 0, 0
    bad = np.random.default_rng(2).random(image.shape) < 0.01
    header = wcs.to_header()
    header["BUNIT"] = "ELECTRONS/S"
    if kind == "mask":
        given = NDData(image, mask=bad)
    elif kind == "weight":
        science = fits.ImageHDU(image, header, name="SCI")
        weight = fits.ImageHDU(np.where(bad, 0, 9.0), name="WHT")
        given = fits.HDUList([fits.PrimaryHDU(), science, weight])
    elif kind == "zeros":
        given = fits.PrimaryHDU(image, header)
    elif kind == "int16":
        given = (100 * image).astype(">i2")
    elif kind == "counts":
        header["BUNIT"], header["EXPTIME"] = "ELECTRONS", 700.0
        given = fits.PrimaryHDU(image, header)
    else:
        given = np.full_like(image, np.nan)
    _both_methods(_at(*POSITIONS), {"F555W": given, "F814W": given}, size=size)


def test_pixels_off_the_image_are_nan_as_those_of_cutout2d(image):
    stamps = _both_methods(_at((1, 58.4)), {"V": image}, size=8, bands=["V"])
    cutout = Cutout2D(image, (1, 58.4), 8, mode="partial", fill_value=np.nan)
    np.testing.assert_array_equal(stamps.data[0, 0], cutout.data)
    assert np.isnan(cutout.data).sum() == 8 * 8 - 5 * 5
    assert decode_flags(stamps.flags) == [["EDGE"]]


def test_unknown_methods_are_refused(image):
    with pytest.raises(ValueError, match="method must be one of blocks, cutout2d, not 'loop'"):
        make_stamps(_at((1, 1)), {"V": image}, method="loop")
    assert make_stamps(_at((1, 1)), {"V": image}, method="cutout2d").present[0, 3]


def test_masked_and_non_finite_pixels_are_nan(image):
    image[30, 40], image[30, 41] = np.nan, np.inf
    mask = np.zeros(image.shape, bool)
    mask[31, 40] = True
    stamps = make_stamps(_at((40, 30)), {"V": NDData(image, mask=mask)}, size=8, bands=("V",))
    assert np.isnan(stamps.data).sum() == 3
    assert decode_flags(stamps.flags) == [["NON_FINITE"]]


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_stamps_without_structure_are_empty(value, image):
    images = {"V": np.full((60, 80), value), "I": np.full((60, 80), value)}
    stamps = make_stamps(_at((40, 30)), images, size=8, bands=("V", "I"))
    assert StampFlag.EMPTY & stamps.flags[0]
    assert not stamps.data.any()
    images["I"] = image
    stamps = make_stamps(_at((40, 30)), images, size=8, bands=("V", "I"))
    assert not StampFlag.EMPTY & stamps.flags[0]
    assert StampFlag.BAND_MISSING & stamps.flags[0]


@pytest.mark.parametrize("dtype", ["u1", ">i2", "<i4", ">f4", ">f8", "f2"])
def test_number_types_do_not_matter(dtype):
    image = np.arange(2400).reshape(40, 60) % 120
    stamps = make_stamps(_at((3, 20)), {"V": image.astype(dtype)}, size=8, bands=("V",))
    wanted = make_stamps(_at((3, 20)), {"V": image.astype(float)}, size=8, bands=("V",))
    np.testing.assert_array_equal(stamps.data, wanted.data)
    np.testing.assert_array_equal(stamps.flags, wanted.flags)


def test_arguments_are_checked(image):
    for size in (0, 50.0, (5, 5)):
        with pytest.raises(ValueError, match="size must be a whole number"):
            make_stamps(_at((1, 1)), {"V": image}, size=size)
    with pytest.raises(ValueError, match=r"bands \['R'\] must be different roles of legus"):
        make_stamps(_at((1, 1)), {"V": image}, bands=("R",))
    with pytest.raises(ValueError, match="must have shape"):
        Stamps(np.zeros((2, 5, 8, 9)), LEGUS_BANDS.roles)
    with pytest.raises(ValueError, match="filters has 1 names"):
        Stamps(np.zeros((2, 5, 8, 8)), ["V"])
    with pytest.raises(ValueError, match="flags must have one row for each of 2"):
        Stamps(np.zeros((2, 5, 8, 8)), LEGUS_BANDS.roles, flags=[0])


def test_no_rows_give_no_stamps(image):
    stamps = make_stamps(_at(), {"V": image})
    assert stamps.data.shape == (0, 5, 50, 50)
    assert normalize_stamps(stamps).shape == (0, 5, 50, 50)


@pytest.mark.parametrize("n", [1, 3])
def test_files_hold_a_band_an_extension(n, field, tmp_path):
    table = field.truth[:n]
    table["position"] = SkyCoord(table["ra"], table["dec"])
    stamps = make_stamps(table, field.images)
    stamps.write(tmp_path / "stamps.fits")
    with fits.open(tmp_path / "stamps.fits") as hdus:
        assert [hdu.name for hdu in hdus[1:6]] == list(field.images.filters)
        assert hdus["F555W"].shape == ((50, 50) if n == 1 else (n, 50, 50))
    again = Stamps.read(tmp_path / "stamps.fits")
    np.testing.assert_array_equal(again.data, stamps.data)
    np.testing.assert_array_equal(again.present, stamps.present)
    np.testing.assert_array_equal(again.flags, stamps.flags)
    np.testing.assert_array_equal(again.table["class"], table["class"])
    np.testing.assert_allclose(again.table["position"].ra.deg, table["ra"])
    assert (again.filters, again.bands) == (stamps.filters, stamps.bands)


def test_another_fits_file_holds_no_stamps(tmp_path):
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "other.fits")
    with pytest.raises(ValueError, match="has no stamps"):
        Stamps.read(tmp_path / "other.fits")


def test_rows_can_be_chosen(field):
    stamps = make_stamps(field.truth[:4], field.images)
    chosen = stamps[np.array([3, 1])]
    np.testing.assert_array_equal(chosen.data, stamps.data[[3, 1]])
    np.testing.assert_array_equal(chosen.table["id"], [4, 2])


@given(scale=st.floats(1e-3, 1e3), offset=st.floats(-10, 10))
def test_normalized_pixels_know_no_units(scale, offset):
    rng = np.random.default_rng(3)
    data = rng.normal(0, 1, (2, 5, 20, 20)) + 30 * (rng.random((2, 5, 20, 20)) > 0.98)
    pixels = normalize_stamps(Stamps(data, LEGUS_BANDS.roles))
    again = normalize_stamps(Stamps(scale * (data + offset), LEGUS_BANDS.roles))
    np.testing.assert_allclose(again, pixels, atol=2e-4)
    assert pixels.min() >= -1
    assert pixels.max() <= 1.5


@pytest.mark.parametrize("kind", ["unit-stamp", "unit-band"])
def test_pixels_from_0_to_1(kind):
    data = np.random.default_rng(3).normal(4, 1, (2, 5, 20, 20))
    data[:, 1] *= 10
    data[:, 4] = 0
    data[0, 2, :5] = np.nan  # a side
    data[1] = np.nan  # no pixel at all
    pixels = normalize_stamps(Stamps(data, LEGUS_BANDS.roles), kind)
    assert pixels.dtype == np.float32
    assert (pixels[0].min(), pixels[0].max()) == (0, 1)
    assert not pixels[0, 4].any()
    assert not pixels[0, 2, :5].any()
    assert not pixels[1].any()
    highest = pixels[0, :4].max(axis=(1, 2))
    if kind == "unit-band":
        np.testing.assert_array_equal(highest, 1)
    else:
        assert highest[1] == 1
        assert highest[0] < 0.5
    with pytest.raises(ValueError, match="'unit'; available are asinh-peak, unit-stamp"):
        normalize_stamps(Stamps(data, LEGUS_BANDS.roles), "unit")


def test_missing_pixels_become_sky():
    data = np.random.default_rng(3).normal(4, 1, (1, 2, 20, 20))
    data[0, 0, :, :4] = np.nan
    data[0, 1] = 0
    pixels = normalize_stamps(Stamps(data, ["V", "I"], bands=["V", "I"]))
    assert np.isfinite(pixels).all()
    assert not pixels[0, 0, :, :4].any()
    assert not pixels[0, 1].any()
    data[0, 0] = np.nan
    data[0, 0, 8:12, 8:12] = np.arange(16).reshape(4, 4)  # no sky in the frame at all
    pixels = normalize_stamps(Stamps(data, ["V", "I"], bands=["V", "I"]))
    assert np.isfinite(pixels).all()
    assert pixels.max() == pytest.approx(1)


def test_flags_are_decoded():
    assert decode_flags(0) == []
    assert decode_flags(np.int32(63)) == [flag.name for flag in StampFlag]
    with pytest.raises(ValueError, match="undefined bits"):
        decode_flags(64)


def test_an_image_set_is_not_opened_again(image):
    images = ImageSet({"V": image})
    assert make_stamps(_at((40, 30)), images).present[0, 3]


def test_bands_may_have_the_names_of_the_tables_of_a_file(tmp_path):
    system = BandSystem("mine", ["STATUS", "CATALOG"], {}, pixel_scale=0.04)
    data = np.random.default_rng(1).random((2, 2, 6, 6))
    table = Table({"id": [1, 2]})
    Stamps(data, system.roles, system=system, table=table).write(tmp_path / "stamps.fits")
    again = Stamps.read(tmp_path / "stamps.fits")
    assert again.bands == system.roles
    assert again.table["id"].tolist() == [1, 2]


def test_masked_logicals_of_the_table_survive_a_file(image, tmp_path):
    table = _at((40, 30), (20, 20))
    table["good"] = MaskedColumn([True, True], mask=[True, False])
    make_stamps(table, {"V": image}, size=8).write(tmp_path / "stamps.fits")
    again = Stamps.read(tmp_path / "stamps.fits")
    assert again.table["good"].tolist() == [None, True]
    again.write(tmp_path / "again.fits")
    assert Stamps.read(tmp_path / "again.fits").table["good"].tolist() == [None, True]
