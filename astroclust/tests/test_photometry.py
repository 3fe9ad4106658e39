# Licensed under a 3-clause BSD style license - see LICENSE.rst
from contextlib import nullcontext

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.stats import sigma_clip
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from hypothesis import given, settings
from hypothesis import strategies as st
from photutils.aperture import CircularAnnulus, CircularAperture, aperture_photometry
from scipy.ndimage import correlate1d

from astroclust import ImageSet, measure_photometry, simulate_field
from astroclust.catalogs import CatalogFlag, read_table, write_table
from astroclust.context import context_features
from astroclust.context.features import magnitude_columns
from astroclust.photometry import (
    Apertures,
    average_correction,
    ci_correction,
    ci_correction_error,
    concentration_index,
    growth_curve,
    recenter,
)
from astroclust.sed import to_spectrum
from astroclust.selection import select_candidates


def _star(sigma, flux=1000.0, sky=7.0):
    y, x = np.mgrid[:61, :61] - 30.0
    return sky + flux / (2 * np.pi * sigma**2) * np.exp(-(x**2 + y**2) / (2 * sigma**2))


CENTER = Table({"x": [30.0], "y": [30.0]})


@pytest.mark.parametrize("sky", [0.0, 7.0])
def test_flux_and_its_error_as_iraf_has_it(sky):
    noise = np.random.default_rng(0).normal(0, 0.5, (61, 61))
    image = CCDData(_star(1.0, sky=sky) + noise, unit="electron/s", meta={"EXPTIME": 100.0})
    result = measure_photometry(CENTER, {"F555W": image}, errors="iraf")
    description = "F555W flux within 4 pixels, minus the sky, in electron / s"
    assert result["flux_f555w"].description == description
    ring = CircularAnnulus((30, 30), 7, 8).to_mask(method="center").get_values(image.data)
    area = np.pi * 16
    variance = 1000 / 100 + area * np.var(ring, ddof=1) * (1 + area / len(ring))
    assert result["flux_err_f555w"][0] == pytest.approx(np.sqrt(variance), rel=0.03)
    assert abs(result["flux_f555w"][0] - 1000) < 3 * result["flux_err_f555w"][0]
    without_exposure = measure_photometry(CENTER, {"F555W": image.data}, errors="iraf")
    assert without_exposure["flux_err_f555w"][0] < result["flux_err_f555w"][0]


@settings(max_examples=20)
@given(x=st.floats(12, 48), y=st.floats(12, 48), radius=st.floats(0.5, 6), seed=st.integers(0, 99))
def test_fluxes_are_those_of_photutils(x, y, radius, seed):
    image = np.random.default_rng(seed).normal(5, 0.1, (61, 61))
    table = Table({"x": [x], "y": [y]})
    flux = measure_photometry(table, {"V": image}, apertures=Apertures(radius, (7, 9)))["flux_v"][0]
    total = aperture_photometry(image, CircularAperture((x, y), radius))["aperture_sum"][0]
    ring = CircularAnnulus((x, y), 7, 9).to_mask(method="center").get_values(image)
    sky = sigma_clip(ring, sigma=3, maxiters=None, masked=False, stdfunc=_sample_deviation)
    assert flux == pytest.approx(total - np.median(sky) * np.pi * radius**2, abs=1e-4)


def _sample_deviation(values, axis=None):
    return np.std(values, axis=axis, ddof=1)


def _drizzled(rng, shape, scatter):
    """Noise whose pixels have this scatter and are correlated."""
    kernel = np.array([0.15, 0.7, 0.15])
    noise = rng.normal(0, scatter / np.sum(kernel**2), shape)
    for axis in (0, 1):
        noise = correlate1d(noise, kernel, axis=axis)
    return noise


@pytest.mark.parametrize("correlated", [False, True])
@pytest.mark.parametrize("sky", ["median", "mode"])
def test_errors_are_the_scatter_of_repeated_measurements(correlated, sky):
    rng = np.random.default_rng(5)
    shape = (900, 900)
    noise = _drizzled(rng, shape, 0.2) if correlated else rng.normal(0, 0.2, shape)
    grid = np.mgrid[15:885:20, 15:885:20].reshape(2, -1) + rng.uniform(-0.5, 0.5, (2, 44**2))
    table = Table({"x": grid[1], "y": grid[0]})
    result = measure_photometry(table, {"V": noise}, apertures=Apertures(sky_statistic=sky))
    pull = result["flux_v"] / result["flux_err_v"]
    assert abs(np.mean(pull)) < 0.08
    assert np.std(pull) == pytest.approx(1.0, abs=0.08)
    if correlated:
        iraf = measure_photometry(table, {"V": noise}, errors="iraf")
        assert np.std(iraf["flux_v"] / iraf["flux_err_v"]) > 1.3


def _direct_sum(image, radius):
    """Sum within a circle by brute force: each pixel in 100 x 100 parts, less the sky."""
    image = image[20:41, 20:41]  # the ring ends at 8 pixels
    parts = (np.arange(21 * 100) + 0.5) / 100 - 0.5 - 10.0
    distance = np.hypot(parts, parts[:, None])
    fraction = (distance < radius).reshape(21, 100, 21, 100).mean(axis=(1, 3))
    ring = ((distance >= 7) & (distance < 8)).reshape(21, 100, 21, 100).mean(axis=(1, 3))
    return np.sum(fraction * (image - np.median(image[ring > 0.5])))


@pytest.mark.parametrize("sigma", [0.9, 1.6])
def test_the_index_agrees_with_a_direct_sum(sigma):
    image = _star(sigma)
    expected = -2.5 * np.log10(_direct_sum(image, 1) / _direct_sum(image, 3))
    assert concentration_index(CENTER, image)[0] == pytest.approx(expected, abs=1e-3)
    flux = measure_photometry(CENTER, {"V": image})["flux_v"][0]
    assert -2.5 * np.log10(flux / _direct_sum(image, 4)) == pytest.approx(0, abs=1e-3)


def test_what_cannot_be_measured_is_nan():
    image = _star(1.0)
    image[10, 10] = np.nan
    table = Table({"x": [0.0, 500.0, np.nan, 10.0], "y": [0.0, 5.0, 5.0, 10.0]})
    result = measure_photometry(table, {"V": image})
    assert np.isnan(result["flux_v"]).all()
    assert np.isnan(concentration_index(table, image)).all()
    assert np.isnan(concentration_index(CENTER, -_star(1.0, sky=0))).all()
    assert len(measure_photometry(table[:0], {"V": image})) == 0


def test_columns_are_not_replaced():
    with pytest.raises(ValueError, match="already has a column flux_v"):
        measure_photometry(Table({"x": [1.0], "y": [1.0], "flux_v": [0]}), {"V": _star(1.0)})


def test_correction_by_index_is_that_of_legus():
    # Values of the cubics as they were read off independently, to 0.01 mag.
    index = [1.1, 1.3, 1.4, 1.6, 1.8, 2.0]
    uvis, acs = [-0.16, -0.21, -0.30, -0.57, -0.99, -1.56], [-0.17, -0.20, -0.42, -0.86, -1.52]
    np.testing.assert_allclose(ci_correction(index), uvis, atol=0.006)
    corrections = ci_correction([1.3, 1.4, 1.6, 1.8, 2.0], camera="acs")
    np.testing.assert_allclose(corrections, acs, atol=0.006)
    assert ci_correction([0.5])[0] == ci_correction([1.09804])[0]
    assert np.isnan(ci_correction(np.ma.array([1.5], mask=[True])))[0]
    with pytest.raises(ValueError, match="no correction is known for camera 'wfpc2'"):
        ci_correction([1.5], camera="wfpc2")


RATE = {"unit": "electron/s"}
# By the definition of PHOTFLAM and of AB magnitudes; Vega has -0.028 in F555W.
AB = (1.827e-19 * u.erg / u.s / u.cm**2 / u.AA).to(u.ABmag, u.spectral_density(5308.4 * u.AA)).value


@pytest.mark.parametrize(
    ("filter_", "meta", "zero"),
    [
        ("F555W", {}, 25.8160),
        ("F435W", {}, 25.784),
        ("F814W", {}, 24.6803),
        ("F814W", {"INSTRUME": "ACS", "DETECTOR": "WFC"}, 25.530),
        ("F814W", {"INSTRUME": "WFC3", "DETECTOR": "UVIS"}, 24.6803),
        ("F555W", {"PHOTFLAM": 1.827e-19, "PHOTPLAM": 5308.4, "PHOTZPT": -21.1}, AB + 0.028),
    ],
)
def test_zero_points_of_header_and_table(filter_, meta, zero):
    images = {filter_: CCDData(_star(1.0), **RATE, meta=meta)}
    missing = "INSTRUME" in meta and "PHOTFLAM" not in meta
    told = pytest.warns(AstropyUserWarning, match="PHOTFLAM or PHOTPLAM is missing: photometry")
    with told if missing else nullcontext():
        result = measure_photometry(CENTER, images)
    name = filter_.lower()
    expected = zero - 2.5 * np.log10(result[f"flux_{name}"][0])
    assert result[f"mag_{name}"][0] == pytest.approx(expected, abs=2e-3)
    error = 2.5 / np.log(10) * result[f"flux_err_{name}"][0] / result[f"flux_{name}"][0]
    assert result[f"mag_err_{name}"][0] == pytest.approx(error)


def test_zero_points_that_are_given():
    header = {"PHOTFLAM": 1e-19, "PHOTPLAM": 5308.4}
    images = {"F555W": CCDData(_star(1.0), **RATE, meta=header)}
    legus = measure_photometry(CENTER, images, zero_points="legus")["mag_f555w"][0]
    given_ = measure_photometry(CENTER, images, zero_points={"V": 25.816})["mag_f555w"][0]
    assert legus == pytest.approx(given_)
    assert measure_photometry(CENTER, images)["mag_f555w"][0] != pytest.approx(legus, abs=0.01)


def test_units_of_the_image():
    rate = measure_photometry(CENTER, {"F555W": CCDData(_star(1.0), **RATE)})["mag_f555w"][0]
    counts = CCDData(_star(1.0) * 500, unit="electron", meta={"EXPTIME": 500})
    result = measure_photometry(CENTER, {"F555W": counts})
    assert result["mag_f555w"][0] == pytest.approx(rate)
    photons = measure_photometry(CENTER, {"F555W": counts}, errors="iraf")
    assert photons["flux_err_f555w"][0] > np.sqrt(500 * 900) / 500
    with pytest.warns(AstropyUserWarning, match="EXPTIME is missing"):
        images = ImageSet({"F555W": CCDData(counts.data, unit="electron")})
    alone = measure_photometry(CENTER, images, errors="iraf")
    assert alone["flux_err_f555w"][0] > np.sqrt(500 * 900)
    # 1 e-/s is 10 ** (-0.4 (25.816 - 0.028 - 8.9)) Jy
    scale = 10 ** (-0.4 * (25.816 - 0.028 - 31.4))
    density = CCDData(_star(1.0) * scale, unit="nJy", meta={"EXPTIME": 500})
    result = measure_photometry(CENTER, {"F555W": density}, errors="iraf")
    assert result["mag_f555w"][0] == pytest.approx(rate, abs=1e-3)
    error = photons["flux_err_f555w"][0]
    assert result["flux_err_f555w"][0] == pytest.approx(error, rel=1e-3)
    for unit in ("K", "electron"):
        with pytest.warns(AstropyUserWarning, match="photometry gives no magnitudes"):
            images = ImageSet({"F555W": CCDData(_star(1.0), unit=unit)})
        result = measure_photometry(CENTER, images)
        assert result["mag_f555w"].mask.all()
        assert result["flag_f555w"][0] == CatalogFlag.UNDEFINED


@pytest.mark.parametrize("unit", ["ELECTRONS/S", "electrons/s", "COUNTS/S", "cps", "e-/s"])
def test_units_as_headers_spell_them(unit):
    hdu = fits.ImageHDU(_star(1.0), fits.Header({"BUNIT": unit}))
    rate = measure_photometry(CENTER, {"F555W": CCDData(_star(1.0), **RATE)})["mag_f555w"][0]
    assert measure_photometry(CENTER, {"F555W": hdu})["mag_f555w"][0] == pytest.approx(rate)
    hdu.header["BUNIT"] = "ergs of light"
    with pytest.warns(AstropyUserWarning, match="'ergs of light' is not understood"):
        assert measure_photometry(CENTER, {"F555W": hdu})["mag_f555w"].mask.all()


def test_at_the_edge_of_what_was_exposed():
    image = np.random.default_rng(3).normal(0.05, 0.01, (60, 60))
    image[:, 30:] = 0
    table = Table({"x": [36.0, 25.0], "y": [30.0, 30.0]})
    result = measure_photometry(table, {"F555W": CCDData(image, **RATE)})
    assert result["flag_f555w"][0] == CatalogFlag.OUT_OF_VIEW
    assert np.isnan(result["flux_f555w"][0])
    assert abs(result["flux_f555w"][1]) < 4 * result["flux_err_f555w"][1]


def test_corrections_and_extinction():
    images = {name: CCDData(_star(1.4), **RATE) for name in ("F438W", "F555W")}
    plain = measure_photometry(CENTER, images)
    result = measure_photometry(
        CENTER,
        images,
        aperture_correction={"F438W": (-0.7, 0.05), "V": -0.6},
        extinction={"V": 0.2},
    )
    assert result["mag_f438w"][0] == pytest.approx(plain["mag_f438w"][0] - 0.7)
    assert result["mag_err_f438w"][0] == pytest.approx(np.hypot(plain["mag_err_f438w"][0], 0.05))
    assert result["mag_f555w"][0] == pytest.approx(plain["mag_f555w"][0] - 0.8)
    assert result["flux_f438w"][0] == plain["flux_f438w"][0]
    by_index = measure_photometry(CENTER, images, aperture_correction="ci")
    index = concentration_index(CENTER, images["F555W"])
    shift = by_index["mag_f555w"][0] - plain["mag_f555w"][0]
    assert shift == pytest.approx(ci_correction(index)[0])
    assert by_index["mag_err_f555w"][0] == pytest.approx(
        np.hypot(plain["mag_err_f555w"][0], ci_correction_error(index)[0])
    )


def test_flags_say_why_there_is_no_magnitude(tmp_path):
    image = np.zeros((80, 80))
    image[:, :40] = np.random.default_rng(1).normal(0, 0.1, (80, 40))
    image[20, 20] += 50
    image[60, 20] -= 50
    image[45:48, 18:23] += 5
    image[46, 20] = -20
    table = Table({"x": [20, 20, 60, 200, 20], "y": [20, 60, 40, 10, 46]})
    result = measure_photometry(table, {"F555W": CCDData(image, **RATE)}, aperture_correction="ci")
    assert result["flag_f555w"].tolist() == [
        0,
        CatalogFlag.NOT_DETECTED,
        CatalogFlag.OUT_OF_VIEW,
        CatalogFlag.OUT_OF_VIEW,
        CatalogFlag.NO_CORRECTION,
    ]
    assert result["mag_f555w"].mask.tolist() == [False, True, True, True, True]
    assert len(result) == 5
    write_table(result, tmp_path / "measured.fits")
    with fits.open(tmp_path / "measured.fits") as hdus:
        assert np.isnan(hdus[1].data["mag_f555w"][1:]).all()


def test_further_radii_have_columns_of_their_own():
    result = measure_photometry(CENTER, {"V": _star(1.0)}, apertures=Apertures((4, 1, 2.5)))
    assert {"flux_v", "flux_v_r1", "flux_err_v_r2.5"} <= set(result.colnames)
    assert result["flux_v_r1"][0] < result["flux_v_r2.5"][0] < result["flux_v"][0]
    one = measure_photometry(CENTER, {"V": _star(1.0)}, apertures=Apertures(1))
    assert one["flux_v"][0] == pytest.approx(result["flux_v_r1"][0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"apertures": Apertures(radius=0)}, "radius must be a positive number"),
        ({"apertures": Apertures(radius=[])}, "radius must be a positive number"),
        ({"apertures": Apertures(annulus=(8, 7))}, "annulus must be two radii"),
        ({"apertures": Apertures(annulus=7)}, "annulus must be two radii"),
        ({"apertures": Apertures(annulus=(2, 2.5))}, "annulus must contain at least 20 pixels"),
        ({"zero_points": "vega"}, "zero_points must be 'legus', a mapping"),
        ({"extinction": {"F435W": 0.1}}, "extinction has 'F435W', but the images are V"),
        ({"apertures": Apertures(sky_statistic="mean")}, "sky_statistic must be median or mode"),
        ({"errors": "poisson"}, "errors must be one of correlated, iraf"),
        ({"aperture_correction": "average"}, "must be 'ci', a mapping"),
        ({"aperture_correction": "ci", "apertures": Apertures(3)}, "a radius of 4, 5 or 6 pixels"),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        measure_photometry(CENTER, {"V": _star(1.0)}, **options)


def test_positions_move_to_the_peak(wcs):
    image = _star(1.0) + np.random.default_rng(2).normal(0, 0.5, (61, 61))
    table = Table({"x": [30.6, 34.0, np.nan, 0.0, 5.3], "y": [29.5, 30.0, 5.0, 0.0, 5.4]})
    table["ra"], table["dec"] = [0.0] * 5, [0.0] * 5
    moved = recenter(table, (image, wcs))
    assert (moved["x"][0], moved["y"][0]) == pytest.approx((30, 30), abs=0.1)
    assert np.hypot(moved["x"] - table["x"], moved["y"] - table["y"])[[1, 3, 4]].max() <= 1
    assert (moved["x"][3], moved["y"][3]) == (0, 0)
    sky = wcs.pixel_to_world(moved["x"][0], moved["y"][0])
    assert (moved["ra"][0], moved["dec"][0]) == pytest.approx((sky.ra.deg, sky.dec.deg))
    assert table["x"][0] == 30.6


def test_growth_curves_rise_to_the_last_radius():
    radii = (2, 4, 8, 16, 20)
    curve = growth_curve(CENTER, _star(4.0), radii=radii, annulus=(21, 22))
    sigma = np.array(radii) / 4.0
    expected = -2.5 * np.log10(1 - np.exp(-(sigma**2) / 2))
    np.testing.assert_allclose(curve[0], expected - expected[-1], atol=0.02)


def test_average_correction_of_chosen_clusters():
    y, x = np.mgrid[:300, :300]
    image = np.zeros((300, 300))
    positions = [(50.0, 50.0), (150.3, 60.0), (220.0, 200.6), (60.0, 220.0)]
    for x0, y0 in positions:
        image += 1000 / (1 + ((x - x0) ** 2 + (y - y0) ** 2) / 4) ** 1.4
    clusters = Table(rows=positions, names=["x", "y"])
    correction, error = average_correction(clusters, {"V": image})["V"]
    curve = growth_curve(clusters, image)
    assert -1.2 < correction < -0.5
    assert error < 0.02
    assert correction == pytest.approx(-curve[0, 3], abs=0.1)
    with pytest.raises(ValueError, match="0 of 4 clusters have an aperture correction between"):
        average_correction(clusters, {"V": image}, limits=(-0.1, 0))


def test_faint_magnitudes_become_limits(tmp_path):
    """Fluxes of 1 error and less, positive or not, have limits of 3 errors more."""
    rng = np.random.default_rng(5)
    image = rng.normal(0, 0.1, (240, 240))
    y, x = (coordinates.ravel() for coordinates in np.mgrid[20:221:20, 20:221:20])
    image[y, x] += np.tile([0, 0.5, 50], 41)[: len(x)]
    band = CCDData(image, **RATE)
    table = Table({"x": x.astype(float), "y": y.astype(float)})
    result = measure_photometry(table, {"F555W": band}, extinction={"V": 0.2})
    flux, error = result["flux_f555w"].data, result["flux_err_f555w"].data
    faint = 2.5 / np.log(10) * error > flux
    assert 0 < np.sum(faint & (flux > 0)) < len(table)
    assert np.any(flux < 0)
    assert np.array_equal(result["flag_f555w"] & CatalogFlag.UPPER_LIMIT != 0, faint)
    assert np.array_equal(result["flag_f555w"] & CatalogFlag.NOT_DETECTED != 0, flux <= 0)
    for name, mask in (("mag", faint), ("mag_err", faint), ("mag_lim", ~faint)):
        assert np.array_equal(result[f"{name}_f555w"].mask, mask)
        assert np.isnan(np.ma.getdata(result[f"{name}_f555w"])[mask]).all()
    expected = 25.816 - 0.2 - 2.5 * np.log10(np.maximum(flux, 0) + 3 * error)
    np.testing.assert_allclose(result["mag_lim_f555w"][faint], expected[faint], atol=2e-3)
    assert result["mag_err_f555w"].max() <= 1
    plain = measure_photometry(table, {"F555W": band}, max_error=np.inf)
    assert np.array_equal(plain["mag_f555w"].mask, flux <= 0)
    write_table(result, tmp_path / "t.fits")
    again = read_table(tmp_path / "t.fits")
    assert np.array_equal(again["mag_f555w"].mask, faint)
    assert np.array_equal(again["mag_lim_f555w"].mask, ~faint)


def test_limits_are_taken_for_measurements_by_nothing():
    result = Table({"x": [1.0], "y": [2.0], "ci": [1.5], "mag_f438w": [22.0]})
    result["mag_err_f438w"] = [0.1]
    result["mag_f555w"] = result["mag_err_f555w"] = np.ma.masked_invalid([np.nan])
    result["mag_lim_f555w"] = [25.0]
    assert "V" in magnitude_columns(result)
    assert np.isnan(context_features(result)["mag_V"][0])
    assert len(to_spectrum(result[0]).flux) == 1
    assert select_candidates(result)["cuts"][0] != 0


def test_limits_have_the_correction_of_the_reference_band():
    image = _star(1.4) + np.random.default_rng(2).normal(0, 0.5, (61, 61))
    nothing = np.random.default_rng(4).normal(0, 0.5, (61, 61))
    images = {"F275W": CCDData(nothing, **RATE), "F555W": CCDData(image, **RATE)}
    options = {"apertures": Apertures(sky_statistic="mode")}
    plain = measure_photometry(CENTER, images, **options)
    result = measure_photometry(CENTER, images, aperture_correction="ci", **options)
    assert result["flag_f275w"][0] & CatalogFlag.UPPER_LIMIT
    shift = ci_correction(concentration_index(CENTER, images["F555W"], sky_statistic="mode"))
    assert result["mag_lim_f275w"][0] == pytest.approx(plain["mag_lim_f275w"][0] + shift[0])


def test_there_is_no_limit_without_noise():
    image = np.zeros((61, 61))
    image[30, 30] = -1.0
    result = measure_photometry(CENTER, {"F555W": CCDData(image, **RATE)})
    assert result["flag_f555w"][0] == CatalogFlag.NOT_DETECTED
    assert result["mag_lim_f555w"].mask.all()
    with pytest.raises(ValueError, match="max_error must be a positive number of magnitudes"):
        measure_photometry(CENTER, {"F555W": image}, max_error=0)


def test_workers_measure_the_same(monkeypatch):
    monkeypatch.setattr("astroclust.photometry.apertures._CHUNK", 5)
    field = simulate_field(shape=(128, 128), seed=1, density=2e-3)
    images = ImageSet(
        {
            name: CCDData(
                band.data, unit="electron/s", mask=band.data > np.quantile(band.data, 0.99)
            )
            for name, band in field.images.items()
        }
    )
    positions = field.truth["x", "y"]
    assert len(positions) > 10
    expected = measure_photometry(positions, images)
    result = measure_photometry(positions, images, workers=2)
    assert result.colnames == expected.colnames
    for name in expected.colnames:
        np.testing.assert_array_equal(np.ma.filled(result[name]), np.ma.filled(expected[name]))
    index = concentration_index(positions, images["V"], workers=2)
    np.testing.assert_array_equal(index, concentration_index(positions, images["V"]))


@pytest.mark.parametrize("workers", [0, 1.5, "two"])
def test_number_of_workers_is_checked(workers):
    images = {"F555W": np.ones((40, 40))}
    with pytest.raises(ValueError, match="workers must be a whole number of at least 1"):
        measure_photometry(CENTER, images, workers=workers)
