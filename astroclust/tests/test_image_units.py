# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import ImageSet, classify_table, find_candidates, measure_photometry
from astroclust.images.units import parse_unit

TIMES = {"F275W": 2361.0, "F336W": 1119.0, "F438W": 965.0, "F435W": 965.0, "F555W": 1143.0}


def _write(path, band, factor=1.0, **cards):
    """An image of a simulated field as a pipeline writes it."""
    header = fits.Header(band.wcs.to_header())
    header.update({key: band.meta[key] for key in ("INSTRUME", "DETECTOR", "EXPTIME")})
    header.update({key: band.meta[key] for key in ("PHOTFLAM", "PHOTPLAM", "PHOTZPT")})
    header["FILTER"] = band.filter
    for key, value in cards.items():
        if value is None:
            header.remove(key)
        else:
            header[key] = value
    fits.PrimaryHDU((np.asarray(band.data) * factor).astype(np.float32), header).writeto(path)
    return path


@pytest.fixture
def write(field, tmp_path):
    """Write bands, each in its own unit: filter -> (BUNIT, factor)."""

    def write(units, **cards):
        paths = {}
        for name, band in field.images.items():
            unit, factor = units.get(name, ("ELECTRONS/S", 1.0))
            given = {"BUNIT": unit} if unit else {}
            of_band = cards if name in units else {}
            path = tmp_path / f"{name}-{unit.replace('/', '-')}.fits"
            path.unlink(missing_ok=True)
            paths[name] = _write(path, band, factor, **given, **of_band)
        return paths

    return write


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        *dict.fromkeys(
            ("ELECTRONS/S", "e/s", "e-/s", "e/sec", "e- s^-1", "electrons/second", "[e-/s]"),
            u.electron / u.s,
        ).items(),
        *dict.fromkeys(
            ("ELECTRON / S", "electrons per second", "e-/s/pixel", "eps", "electron s-1"),
            u.electron / u.s,
        ).items(),
        *dict.fromkeys(
            ("CNTS/S", "cps", "COUNTS/S", "counts/sec", "ct/s", "counts s**-1"), u.ct / u.s
        ).items(),
        *dict.fromkeys(("ELECTRONS", "e-", "e", "electron"), u.electron).items(),
        *dict.fromkeys(("COUNTS", "cnts", "ct"), u.ct).items(),
        *dict.fromkeys(("DN", "adu"), u.adu).items(),
        *dict.fromkeys(("", "  ", "UNITLESS", "none"), None).items(),
        ("DN/S", u.adu / u.s),
        ("MJy/sr", u.MJy / u.sr),
        ("MJY/SR", u.MJy / u.sr),
        ("Mjy/sr", u.MJy / u.sr),
        ("mJy", u.mJy),
        ("nanomaggies", 3.631e-6 * u.Jy),
        ("electron/(s pix)", u.electron / u.s),
        ("e-/pix/s", u.electron / u.s),
        ("electrons_per_second", u.electron / u.s),
        ("(e-)/s", u.electron / u.s),
        ("photoelectrons/s", u.electron / u.s),
        ("ergs/s/cm2/Hz", u.erg / u.s / u.cm**2 / u.Hz),
        ("uJy", u.uJy),
        ("nJy/pix", u.nJy),
        ("ERGS/CM**2/SEC/ANG", u.erg / u.s / u.cm**2 / u.AA),
    ],
)
def test_usual_spellings(text, unit):
    assert parse_unit(text) == unit


@pytest.mark.parametrize("text", ["furlong", "e/fortnight", "counts per electron"])
def test_other_units_are_kept_but_not_understood(text):
    assert isinstance(parse_unit(text), u.UnrecognizedUnit)


def test_counts_beside_rates_give_the_same_candidates_and_classes(field, write):
    rates = ImageSet.read(write({}))
    seconds = {name: band.meta["EXPTIME"] for name, band in rates.items()}
    table = field.candidates["id", "x", "y"]
    table = table[(np.abs(table["x"] - 100) < 70) & (np.abs(table["y"] - 80) < 50)]
    wanted, candidates = classify_table(table, rates), find_candidates(rates, distance=18)
    for mixed in (["F555W"], list(rates)):
        images = ImageSet.read(write({name: ("ELECTRONS", seconds[name]) for name in mixed}))
        assert {band.unit for band in images.values()} == {u.electron / u.s}
        found = classify_table(table, images)
        np.testing.assert_allclose(found["prob_1"], wanted["prob_1"], atol=1e-4)
        assert len(find_candidates(images, distance=18)) == len(candidates)
        magnitudes = [measure_photometry(table, one)["mag_f555w"] for one in (rates, images)]
        np.testing.assert_allclose(*magnitudes, atol=1e-5)


@pytest.mark.parametrize("all_bands", [False, True])
def test_flux_densities_become_rates_by_the_zero_points(field, write, all_bands):
    rates = ImageSet.read(write({}))
    units = {}
    for name, band in rates.items():
        jansky = band.meta["PHOTFLAM"] * band.meta["PHOTPLAM"] ** 2 / 2.99792458e-5
        if all_bands or name == "F555W":
            units[name] = ("nJy", 1e9 * jansky)
    images = ImageSet.read(write(units))
    part = np.s_[40:60, 50:70]
    for name in rates:
        pixels = rates[name].pixels(part)
        np.testing.assert_allclose(images[name].pixels(part), pixels, rtol=3e-3, atol=1e-7)


def test_a_pixel_area_that_resampling_left_behind(field, recwarn):
    wcs = field.images.wcs
    area = wcs.proj_plane_pixel_area().to_value(u.sr)
    pixels = np.full((60, 60), 3.0)

    def pixel(factor):
        meta = {"PIXAR_SR": factor * area}
        images = ImageSet({"F555W": CCDData(pixels, unit="MJy/sr", wcs=wcs, meta=meta)})
        return images["V"].pixels(np.s_[30, 30]).item()

    right = pixel(1.0)
    assert not any("PIXAR_SR" in str(warning.message) for warning in recwarn)
    with pytest.warns(AstropyUserWarning, match="PIXAR_SR is .* which is used; correct PIXAR_SR"):
        assert pixel(4.0) == pytest.approx(right, rel=1e-6)


def test_surface_brightness_needs_the_pixel_area(image, wcs):
    jansky = CCDData(image, unit="MJy/sr", wcs=wcs)
    with pytest.warns(AstropyUserWarning, match="F200W is an infrared filter"):
        images = ImageSet({"F200W": jansky}, roles={"F200W": "V"})
    area = images.pixel_scale.to_value(u.rad) ** 2
    np.testing.assert_allclose(images["V"].pixels(np.s_[:]), image * 1e6 * area, rtol=1e-4)
    assert images["V"].unit == u.Jy
    with pytest.warns(AstropyUserWarning, match="pixel area is unknown without a WCS or PIXAR_SR"):
        ImageSet({"F555W": CCDData(image, unit="MJy/sr")})


def test_units_that_cannot_be_brought_to_one(write):
    with pytest.raises(ValueError, match=r"different units: .*F555W .* in electron \(EXPTIME is 0"):
        ImageSet.read(write({"F555W": ("ELECTRONS", 1.0)}, EXPTIME=0.0))
    with pytest.raises(ValueError, match=r"BUNIT 'furlong' is not understood.*convert its pixels"):
        ImageSet.read(write({"F555W": ("furlong", 1.0)}))


def test_counts_of_which_some_have_an_exposure_time(write):
    paths = write(dict.fromkeys(("F555W", "F814W"), ("ELECTRONS", 1000.0)), EXPTIME=None)
    paths = {name: paths[name] for name in ("F555W", "F814W")}
    with pytest.warns(AstropyUserWarning, match="and colors assume equal exposure times; set"):
        assert ImageSet.read(paths)["V"].scale == 1
    fits.setval(paths["F814W"], "EXPTIME", value=1000.0)
    with pytest.raises(ValueError, match=r"different units: .*EXPTIME is missing.*set EXPTIME in"):
        ImageSet.read(paths)
    fits.setval(paths["F555W"], "EXPTIME", value=500.0)
    assert ImageSet.read(paths)["V"].scale == pytest.approx(1 / 500)


def test_photons_are_electrons(image):
    images = ImageSet({"F555W": CCDData(image, unit="photon/s")})
    assert images["V"].unit == u.electron / u.s


def test_a_unit_of_nothing_does_not_hide_that_of_drizzling(write):
    paths = write({"F555W": ("UNITLESS", 1000.0)}, D001OUUN="counts", EXPTIME=1000.0)
    assert ImageSet.read(paths)["V"].scale == pytest.approx(1e-3)


def test_remedies_for_exposure_time_and_unit(field, write):
    paths = write({"F555W": ("ELECTRONS", 1000.0)}, EXPTIME=0.0)
    fits.setval(paths["F555W"], "EXPTIME", value=1000.0)
    rates = ImageSet.read(write({}))
    part = np.s_[:20, :20]
    pixels = ImageSet.read(paths)["V"].pixels(part)
    np.testing.assert_allclose(pixels, rates["V"].pixels(part), rtol=1e-5)
    paths = write({"F555W": ("furlong", 1.0)})
    fits.setval(paths["F555W"], "BUNIT", value="electron/s")
    np.testing.assert_array_equal(ImageSet.read(paths)["V"].pixels(part), rates["V"].pixels(part))


def test_a_single_band_without_an_exposure_time(field, write):
    path = write({"F555W": ("ELECTRONS", 1000.0)}, EXPTIME=0.0)["F555W"]
    with pytest.warns(AstropyUserWarning, match=r"EXPTIME is 0\.0 .* gives no magnitudes"):
        images = ImageSet({"F555W": path})
    with pytest.raises(ValueError, match=r"EXPTIME is 0\.0; set EXPTIME.*setval"):
        find_candidates(images, distance=18)
    fits.setval(path, "EXPTIME", value=1000.0)
    assert np.isfinite(
        measure_photometry(Table({"x": [80.0], "y": [80.0]}), {"F555W": path})["flux_f555w"][0]
    )


def test_bands_without_a_unit_beside_others(write):
    with pytest.warns(AstropyUserWarning, match="F555W .*no unit is given; electron"):
        ImageSet.read(write({"F555W": ("", 1.0)}))
    paths = write({"F555W": ("", 1000.0)}, D001OUUN="counts", EXPTIME=1000.0)
    assert ImageSet.read(paths)["V"].scale == pytest.approx(1e-3)


def test_written_images_are_in_their_unit(write, tmp_path):
    images = ImageSet.read(write({"F555W": ("ELECTRONS", 1143.0)}, EXPTIME=1143.0))
    images.write(tmp_path / "field.fits")
    again = ImageSet.read(tmp_path / "field.fits")
    assert again["V"].scale == 1
    np.testing.assert_allclose(again["V"].data, images["V"].pixels(np.s_[:]), rtol=1e-6)
