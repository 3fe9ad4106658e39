# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.nddata import CCDData
from astropy.table import Table

from astroclust import ci_correction, concentration_index, measure_photometry


def _star(sigma, flux=1000.0, sky=7.0):
    y, x = np.mgrid[:61, :61] - 30.0
    return sky + flux / (2 * np.pi * sigma**2) * np.exp(-(x**2 + y**2) / (2 * sigma**2))


CENTRE = Table({"x": [30.0], "y": [30.0]})


@pytest.mark.parametrize("sky", [0.0, 7.0])
def test_flux_and_its_error(sky):
    noise = np.random.default_rng(0).normal(0, 0.5, (61, 61))
    image = CCDData(_star(1.0, sky=sky) + noise, unit="electron/s", meta={"EXPTIME": 100.0})
    result = measure_photometry(CENTRE, {"F555W": image})
    assert result["flux_f555w"].description == "within 4 pixels, electron / s"
    area, in_annulus = np.pi * 16, np.pi * 15
    variance = 1000 / 100 + area * 0.25 * (1 + area / in_annulus)
    assert result["flux_err_f555w"][0] == pytest.approx(np.sqrt(variance), rel=0.1)
    assert abs(result["flux_f555w"][0] - 1000) < 3 * result["flux_err_f555w"][0]
    without_exposure = measure_photometry(CENTRE, {"F555W": image.data})
    assert without_exposure["flux_err_f555w"][0] < result["flux_err_f555w"][0]


def _direct_sum(image, radius):
    """Sum within a circle by brute force: each pixel in 100 x 100 parts, less the sky."""
    parts = (np.arange(61 * 100) + 0.5) / 100 - 0.5 - 30.0
    distance = np.hypot(*np.meshgrid(parts, parts))
    fraction = (distance < radius).reshape(61, 100, 61, 100).mean(axis=(1, 3))
    ring = ((distance >= 7) & (distance < 8)).reshape(61, 100, 61, 100).mean(axis=(1, 3))
    return np.sum(fraction * (image - np.median(image[ring > 0.5])))


@pytest.mark.parametrize("sigma", [0.9, 1.6])
def test_the_index_agrees_with_a_direct_sum(sigma):
    image = _star(sigma)
    expected = -2.5 * np.log10(_direct_sum(image, 1) / _direct_sum(image, 3))
    assert concentration_index(CENTRE, image)[0] == pytest.approx(expected, abs=1e-3)
    flux = measure_photometry(CENTRE, {"V": image})["flux_v"][0]
    assert -2.5 * np.log10(flux / _direct_sum(image, 4)) == pytest.approx(0, abs=1e-3)


def test_what_cannot_be_measured_is_nan():
    image = _star(1.0)
    image[10, 10] = np.nan
    table = Table({"x": [0.0, 500.0, np.nan, 10.0], "y": [0.0, 5.0, 5.0, 10.0]})
    result = measure_photometry(table, {"V": image})
    assert np.isnan(result["flux_v"]).all()
    assert np.isnan(concentration_index(table, image)).all()
    assert np.isnan(concentration_index(CENTRE, -_star(1.0, sky=0))).all()
    assert len(measure_photometry(table[:0], {"V": image})) == 0


def test_columns_are_not_replaced():
    with pytest.raises(ValueError, match="has a column flux_v already"):
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
    with pytest.raises(ValueError, match="no correction for camera 'wfpc2'"):
        ci_correction([1.5], camera="wfpc2")
