# Licensed under a 3-clause BSD style license - see LICENSE.rst
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import (
    CCDData,
    InverseVariance,
    NDData,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import ImageSet, measure_photometry
from astroclust.images import read_image
from astroclust.instruments import LEGUS_BANDS, camera_of
from astroclust.photometry.calibration import zero_point

HEADER = {
    "INSTRUME": "WFC3",
    "DETECTOR": "UVIS",
    "FILTER": "F555W",
    "EXPTIME": 1000.0,
    "PHOTMODE": "WFC3 UVIS1 F555W",
    "PHOTFLAM": 1.8e-19,
    "PHOTPLAM": 5308.0,
    "BUNIT": "ELECTRONS/S",
}


@pytest.fixture
def sky():
    """Sky as deep as 1000 s of WFC3/UVIS give it."""
    return np.random.default_rng(3).normal(0.02, 0.008, (120, 120)).astype(np.float32)


def _hdu(data, **changes):
    cards = {**HEADER, **changes}
    header = fits.Header({key: value for key, value in cards.items() if value is not None})
    return fits.PrimaryHDU(data, header)


def _remarks(images, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ImageSet(images, **options)
    assert len(caught) <= 1
    return str(caught[0].message) if caught else ""


def test_a_header_that_agrees_is_silent(sky):
    assert _remarks({"F555W": _hdu(sky)}) == ""
    acs = {"INSTRUME": "ACS", "DETECTOR": "WFC", "FILTER": None, "PHOTMODE": "ACS WFC1 F814W"}
    assert _remarks({"F814W": _hdu(sky, FILTER1="CLEAR1L", FILTER2="F814W", **acs)}) == ""


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"FILTER": "F658N", "PHOTMODE": "WFC3 UVIS2 F658N MJD#60166.9"}, "FILTER F658N"),
        ({"FILTER": None, "FILTER1": "CLEAR1L", "FILTER2": "F814W"}, "FILTER2 F814W"),
        ({"FILTER": None, "FILTNAM1": "F606W"}, "FILTNAM1 F606W"),
        ({"PHOTMODE": "WFC3 UVIS1 F657N"}, "PHOTMODE F657N"),
        ({"INSTRUME": "ACS", "DETECTOR": "WFC"}, "INSTRUME is ACS/WFC, but PHOTMODE WFC3/UVIS"),
        ({"INSTRUME": "WFPC2", "DETECTOR": None, "PHOTMODE": None}, "it is from WFPC2: .*PHOTFLAM"),
        ({"INSTRUME": "STIS", "DETECTOR": "CCD", "PHOTMODE": None}, "it is from STIS: .*PHOTFLAM"),
        ({"FILTER": "FQ508N", "PHOTMODE": None}, "FILTER FQ508N"),
        ({"FILTER": "WFC3_UVIS_F814W", "PHOTMODE": None}, "FILTER F814W"),
        ({"FILTER": "F555W,F814W", "PHOTMODE": None}, "FILTER F814W"),
        (
            {"INSTRUME": "ACS", "DETECTOR": "HRC", "PHOTMODE": None, "PHOTFLAM": None},
            "it is from ACS/HRC, for which no zero points",
        ),
    ],
)
def test_another_filter_or_camera_is_told_unless_the_caller_insists(sky, changes, told):
    assert re.search(told, _remarks({"F555W": _hdu(sky, **changes)}))
    insisted = _remarks({"F555W": _hdu(sky, **changes)}, roles={"F555W": "V"})
    assert "header has" not in insisted
    assert "it is from" not in insisted


def test_the_remedy_for_another_filter_is_a_role(sky):
    told = _remarks({"F555W": _hdu(sky, FILTER="F658N", PHOTMODE=None)})
    roles = re.search(r"roles=(\{.*?\}) \(--role F555W=V ", told)[1]
    assert _remarks({"F555W": _hdu(sky, FILTER="F658N", PHOTMODE=None)}, roles=eval(roles)) == ""


@pytest.mark.parametrize(
    ("name", "role", "meta"),
    [
        ("F110W", "V", {"DETECTOR": "IR", "FILTER": "F110W"}),
        ("F160W", "I", {"DETECTOR": "IR", "FILTER": "F160W"}),
        ("F200W", "I", {"INSTRUME": "NIRCAM", "DETECTOR": "NRCA1", "FILTER": "F200W"}),
        ("F770W", "V", {"INSTRUME": "MIRI", "TELESCOP": "JWST", "FILTER": "F770W"}),
        ("V", "V", {"DETECTOR": "IR", "FILTER": "F110W"}),
    ],
)
def test_infrared_filters_in_an_optical_role_are_told(sky, name, role, meta):
    red = _hdu(sky, **meta, PHOTMODE=None)
    bands = {name: red, "F438W": _hdu(sky, FILTER="F438W", PHOTMODE=None)}
    roles = {name: role} if name != role else None
    told = _remarks(bands, roles=roles)
    assert told.count("is an infrared filter") == 1
    assert f"{meta['FILTER']} is an infrared filter, but band {role} of legus is optical" in told
    del bands[name]
    assert _remarks(bands) == ""
    system = replace(
        LEGUS_BANDS,
        name="with-j",
        roles=(*LEGUS_BANDS.roles, "J"),
        filters={**LEGUS_BANDS.filters, meta["FILTER"]: "J"},
    )
    assert "infrared" not in _remarks({meta["FILTER"]: red}, system=system)


def test_red_optical_filters_are_not_infrared(sky):
    for name, meta in (
        ("F850LP", {"INSTRUME": "ACS", "DETECTOR": "WFC"}),
        ("F090W", {"INSTRUME": "NIRCAM", "DETECTOR": "NRCA1", "TELESCOP": "JWST"}),
        ("F657N", {}),
    ):
        hdu = _hdu(sky, **meta, FILTER=name, PHOTMODE=None)
        assert "infrared" not in _remarks({name: hdu}, roles={name: "I"})


def test_roles_are_compared_too(sky):
    assert "has FILTER F814W" in _remarks({"V": _hdu(sky, FILTER="F814W", PHOTMODE=None)})
    assert _remarks({"V": _hdu(sky, FILTER="F606W", PHOTMODE=None)}) == ""
    images = ImageSet({"V": _hdu(sky)})
    named = ImageSet({"F555W": _hdu(sky)})
    assert zero_point(images["V"]) == zero_point(named["V"])


def test_bands_that_were_read_before_are_compared(sky, tmp_path):
    _hdu(sky, FILTER="F814W").writeto(tmp_path / "i.fits")
    band = read_image(tmp_path / "i.fits")
    assert "its header has FILTER F814W" in _remarks({"F555W": band})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)
        images = ImageSet({"F555W": band})
    assert _remarks(dict(images)) == ""  # told once


def test_an_extension_per_filter_has_its_own_keywords(sky, tmp_path):
    primary = fits.PrimaryHDU(header=fits.Header({"FILTER": "F275W", "EXPTIME": 1.0}))
    hdus = [fits.ImageHDU(sky, name=name) for name in ("F555W", "F814W")]
    fits.HDUList([primary, *hdus]).writeto(tmp_path / "mef.fits")
    assert ImageSet.read(tmp_path / "mef.fits").filters == ("F555W", "F814W")
    fits.HDUList([primary, *hdus, fits.ImageHDU(sky, name="F814W")]).writeto(tmp_path / "two.fits")
    with pytest.raises(ValueError, match=r"two.fits has several extensions F814W; select"):
        ImageSet.read(tmp_path / "two.fits")


def test_keywords_of_meta_in_any_form(sky, tmp_path):
    meta = {"exptime": 500.0 * u.s, "photflam": np.array([1, 2]), "PHOTPLAM": np.nan}
    images = ImageSet({"F555W": CCDData(sky, unit="electron", meta=meta)})
    assert images["V"].scale == pytest.approx(1 / 500)
    path = tmp_path / "written.fits"
    images.write(path)
    assert ImageSet.read(path)["V"].meta["EXPTIME"] == 500


def test_the_file_is_named(sky, tmp_path):
    _hdu(sky, FILTER="F658N").writeto(tmp_path / "narrow.fits")
    with pytest.warns(AstropyUserWarning, match=r"F555W \(.*narrow.fits\): its header has"):
        ImageSet({"F555W": tmp_path / "narrow.fits"})


def test_other_cameras_do_not_get_the_zero_points_of_uvis(sky):
    table = Table({"x": [60.0], "y": [60.0]})
    sky = sky.copy()
    sky[58:63, 58:63] += 5
    other = {"INSTRUME": "WFPC2", "DETECTOR": None, "PHOTMODE": None}
    with pytest.warns(AstropyUserWarning, match="no zero points are known"):
        images = ImageSet({"F555W": _hdu(sky, **other, PHOTFLAM=None)})
    assert measure_photometry(table, images)["mag_f555w"].mask[0]
    given = measure_photometry(table, images, zero_points={"F555W": 22.545})
    assert not given["mag_f555w"].mask[0]
    with pytest.warns(AstropyUserWarning, match="uses PHOTFLAM"):
        images = ImageSet({"F555W": _hdu(sky, **other, PHOTFLAM=3.483e-18, PHOTPLAM=5439.0)})
    # The Vega zero point of WFPC2 is 22.545 (WFPC2 Data Handbook, Table 5.1).
    ours = measure_photometry(table, images)["mag_f555w"][0]
    assert ours == pytest.approx(given["mag_f555w"][0], abs=0.06)


@pytest.mark.parametrize(
    ("words", "camera"),
    [
        ({"INSTRUME": "WFC3", "DETECTOR": "UVIS"}, "uvis"),
        ({"INSTRUME": "WFC3", "DETECTOR": "IR"}, "ir"),
        ({"INSTRUME": "ACS   ", "DETECTOR": "WFC"}, "acs"),
        ({"INSTRUME": "ACS", "DETECTOR": "HRC"}, "hrc"),
        ({"INSTRUME": "WFPC2"}, "wfpc2"),
        ({"INSTRUME": "NIRCAM"}, "nircam-sw"),
        ({"PHOTMODE": "ACS HRC F814W"}, "hrc"),
        ({}, "uvis"),
    ],
)
def test_cameras(image, words, camera):
    zero_point = {"PHOTFLAM": 1.8e-19, "PHOTPLAM": 5308.0}
    image = NDData(image, meta={**words, **zero_point})
    band = ImageSet({"F555W": image}, roles={"F555W": "V"})
    assert camera_of(band["V"]) == camera


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"EXPTIME": 0.0}, "EXPTIME is 0.0, so photometric errors lack photon noise"),
        ({"EXPTIME": 1.0}, "EXPTIME is 1 s: photometric errors assume an exposure of 1 s"),
        (
            {"EXPTIME": 1.0, "BUNIT": "ELECTRONS"},
            "EXPTIME is 1 s: fluxes, errors and classes assume an exposure of 1 s",
        ),
        ({"TEXPTIME": 4000.0}, "EXPTIME is 1000 s, but TEXPTIME 4000 s"),
        ({"TEXPTIME": 1000.0}, "^$"),
        ({"PHOTFLAM": 0.0}, "PHOTFLAM is 0.0: photometry uses the zero point of LEGUS, 25.816"),
        ({"PHOTFLAM": None}, "PHOTFLAM or PHOTPLAM is missing: photometry uses"),
        ({"PHOTPLAM": None}, "PHOTPLAM is missing: photometry uses"),
    ],
)
def test_exposure_times_and_zero_points(sky, changes, told):
    assert re.search(told, _remarks({"F555W": _hdu(sky, **changes)}))


def test_noise_against_exposure_time(sky):
    assert "far above" in _remarks({"F555W": _hdu(sky * 1000)})
    assert "far below one electron" in _remarks({"F555W": _hdu(sky, BUNIT="ELECTRONS")})
    disk = np.random.default_rng(1).poisson(5000.0, (120, 120)) / 1000
    assert _remarks({"F555W": _hdu(disk)}) == ""
    assert "below that of its photons" in _remarks({"F555W": _hdu(disk, EXPTIME=10.0)})


def test_several_bands_are_told_in_one_warning(sky):
    images = {
        "F555W": _hdu(sky, FILTER="F814W", PHOTMODE=None),
        "F814W": _hdu(sky, FILTER="F555W", PHOTMODE=None, EXPTIME=1.0),
    }
    told = _remarks(images)
    for part in ("F555W: its header has FILTER F814W", "F814W: its header", "EXPTIME is 1 s"):
        assert part in told


def test_uncertainties_reach_the_errors_of_fluxes(sky):
    table = Table({"x": [60.0, 30.5], "y": [60.0, 31.2]})
    sigma = np.full(sky.shape, 0.05)
    options = {"errors": "iraf"}
    plain = measure_photometry(table, {"F555W": CCDData(sky, unit="electron/s")}, **options)
    errors = []
    for kind in (
        StdDevUncertainty(sigma),
        VarianceUncertainty(sigma**2),
        InverseVariance(sigma**-2.0),
    ):
        image = CCDData(sky, unit="electron/s", uncertainty=kind)
        result = measure_photometry(table, {"F555W": image}, **options)
        np.testing.assert_array_equal(result["flux_f555w"], plain["flux_f555w"])
        errors.append(result["flux_err_f555w"])
    np.testing.assert_allclose(errors[1:], [errors[0]] * 2, rtol=1e-9)
    # 50 pixels of 0.05 each, and the level of the sky.
    assert np.all(errors[0] > 0.05 * np.sqrt(45))
    assert np.all(errors[0] > 2 * plain["flux_err_f555w"])
    counts = CCDData(
        sky * 1000, unit="electron", uncertainty=StdDevUncertainty(1000 * sigma), meta=HEADER
    )
    scaled = measure_photometry(table, {"F555W": counts}, **options)
    np.testing.assert_allclose(scaled["flux_err_f555w"], errors[0], rtol=1e-4)


def test_uncertainties_that_do_not_fit(sky):
    given = StdDevUncertainty(np.ones((2, 2)))
    with pytest.raises(ValueError, match="uncertainty has shape"):
        ImageSet({"F555W": NDData(sky, uncertainty=given)})
    image = NDData(sky, uncertainty=StdDevUncertainty(np.full(sky.shape, np.nan)))
    assert "no finite values and is not used" in _remarks({"F555W": image})
    milli = NDData(sky, unit="Jy", uncertainty=StdDevUncertainty(1e3 * sky, unit="mJy"))
    band = ImageSet({"F555W": milli})["V"]
    np.testing.assert_allclose(
        band.variances(np.s_[:]), band.pixels(np.s_[:], float) ** 2, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("kind", "power"), [(StdDevUncertainty, 1), (VarianceUncertainty, 2), (InverseVariance, -2)]
)
def test_files_of_ccddata_have_its_mask_and_uncertainty(sky, tmp_path, kind, power):
    mask = np.zeros(sky.shape, bool)
    mask[40:50, 40:50] = True
    image = CCDData(sky, unit="electron/s", mask=mask, uncertainty=kind(0.05**power * (sky == sky)))
    image.write(tmp_path / "ccd.fits")
    band = ImageSet({"F555W": tmp_path / "ccd.fits"})["V"]
    np.testing.assert_array_equal(np.isnan(band.pixels(np.s_[:])), mask)
    np.testing.assert_allclose(band.variances(np.s_[:]), 0.05**2)


def test_uncertainties_without_information(sky):
    weights = np.ones(sky.shape)
    weights[40:50, 40:50] = 0
    images = ImageSet({"F555W": NDData(sky, uncertainty=InverseVariance(weights))})
    assert np.isnan(images["V"].pixels(np.s_[40:50, 40:50])).all()
    with pytest.warns(AstropyUserWarning, match="unknown kind and is not used; convert it"):
        ImageSet({"F555W": NDData(sky, uncertainty=UnknownUncertainty(weights))})
