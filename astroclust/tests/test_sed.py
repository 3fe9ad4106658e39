# Licensed under a 3-clause BSD style license - see LICENSE.rst
from importlib.resources import files

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.nddata import InverseVariance, StdDevUncertainty, VarianceUncertainty
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from hypothesis import given
from hypothesis import strategies as st
from photutils.aperture import CircularAperture, aperture_photometry
from specutils import Spectrum

from astroclust import extract_spectra, measure_photometry, synthetic_magnitudes
from astroclust.instruments import LEGUS_BANDS, find_filter, find_instrument
from astroclust.sed import to_spectrum
from astroclust.sed.filters import filter_curve

F_LAMBDA = u.erg / u.s / u.cm**2 / u.AA
WAVELENGTH = np.arange(4750, 9350, 100.0)

# The filters of LEGUS and PHANGS-HST.
KEYS = [
    (camera, name)
    for camera in ("uvis", "acs")
    for name in LEGUS_BANDS.filters
    if name in find_instrument(camera).filters
]


# Photometry as a spectrum


def test_bands_at_their_pivot_wavelengths():
    table = Table({"id": [7], "mag_f814w": [20.0], "mag_f275w": [21.0], "mag_err_f275w": [0.1]})
    spectrum = to_spectrum(table[0])
    assert spectrum.spectral_axis.to_value(u.AA).tolist() == [2704, 8024]
    ab = spectrum.flux.to_value(u.ABmag)
    np.testing.assert_allclose(ab, [21 + 1.481, 20 + 0.428], atol=1e-4)
    error = spectrum.uncertainty.quantity
    assert (error / spectrum.flux)[0].value == pytest.approx(0.1 * np.log(10) / 2.5)
    assert np.isnan(error[1])
    assert spectrum.meta == {"filters": ["F275W", "F814W"], "id": 7}
    acs = to_spectrum(table[0], camera={"f814w": "acs"})
    assert acs.spectral_axis.to_value(u.AA).tolist() == [2704, 8057]
    assert to_spectrum(table["mag_f814w",][0]).uncertainty is None
    table.meta["FIELD"] = "ic4247"  # whose F814W is of ACS
    assert to_spectrum(table[0]).spectral_axis.to_value(u.AA).tolist() == [2704, 8057]
    table.meta["FIELD"] = "nowhere"
    assert to_spectrum(table[0]).spectral_axis.to_value(u.AA).tolist() == [2704, 8024]


@pytest.mark.parametrize("unit", ["mJy", F_LAMBDA, "W / (m2 um)"])
def test_any_unit_of_flux_density(unit):
    row = Table({"mag_f438w": [20.0], "mag_f555w": [20.5], "mag_err_f555w": [0.2]})[0]
    jansky, other = to_spectrum(row), to_spectrum(row, unit=unit)
    assert other.flux.unit == u.Unit(unit)
    there = other.flux.to(u.Jy, u.spectral_density(other.spectral_axis))
    np.testing.assert_allclose(there, jansky.flux, rtol=1e-9)
    ratio = other.uncertainty.quantity[1] / other.flux[1]
    assert ratio.value == pytest.approx(0.2 * np.log(10) / 2.5)


@pytest.mark.parametrize("missing", [np.nan, 99.999, 66.666, 44.444, np.ma.masked])
def test_bands_without_a_value_are_left_out(missing):
    table = Table({"mag_f336w": [22.0], "mag_f555w": MaskedColumn([21.0])}, masked=True)
    table["mag_err_f336w"] = MaskedColumn([0.1])
    table["mag_f555w"][0] = missing
    spectrum = to_spectrum(table[0])
    assert spectrum.meta["filters"] == ["F336W"]
    table["mag_err_f336w"][0] = missing
    assert to_spectrum(table[0]).uncertainty is None
    table["mag_f336w"][0] = missing
    with pytest.raises(ValueError, match="none of mag_f336w, mag_f555w has a value"):
        to_spectrum(table[0])


def test_quantities_are_magnitudes():
    table = QTable({"mag_f555w": [20.0, 99.999] * u.mag, "mag_f814w": [20.0, 20] * u.mag})
    assert to_spectrum(table[1]).meta["filters"] == ["F814W"]


def test_photometry_of_images_is_a_spectrum(field):
    table = measure_photometry(field.truth["id", "x", "y"], field.images)
    row = table[np.nanargmax(np.ma.filled(table["flux_f555w"], np.nan))]
    spectrum = to_spectrum(row)
    assert spectrum.meta["filters"] == list(field.images.filters)
    assert np.all(np.isfinite(spectrum.uncertainty.array))
    assert np.all(np.diff(spectrum.spectral_axis.value) > 0)


def test_rows_that_are_no_spectrum():
    table = Table({"mag_f555w": [20.0], "x": [1.0]})
    with pytest.raises(TypeError, match=r"row must be a row of a table, such as table\[0\]"):
        to_spectrum(table)
    with pytest.raises(KeyError, match=r"needs columns such as mag_f555w \(Vega\), but has x"):
        to_spectrum(table["x",][0])
    with pytest.raises(ValueError, match="unit must be a flux density"):
        to_spectrum(table[0], unit="m")
    with pytest.raises(ValueError, match="camera must be one of wfpc2, ir, uvis"):
        to_spectrum(table[0], camera="keck")
    table["mag_f999w"], table["mag_f555w_r1"] = [19.0], [22.0]
    with pytest.warns(AstropyUserWarning, match="excluded mag_f999w, whose zero") as caught:
        assert to_spectrum(table[0]).meta["filters"] == ["F555W"]
    assert caught[0].filename == __file__


@given(st.floats(10, 35), st.floats(0, 2), st.sampled_from(KEYS))
def test_magnitudes_come_back(magnitude, error, key):
    camera, name = key[0], key[1].lower()
    table = Table({f"mag_{name}": [magnitude], f"mag_err_{name}": [error]})
    spectrum = to_spectrum(table[0], camera=camera)
    back = spectrum.flux.to_value(u.ABmag)[0] - find_filter(*key).ab_of_vega
    assert back == pytest.approx(magnitude, abs=1e-4)
    fraction = (spectrum.uncertainty.array / spectrum.flux.value)[0]
    assert fraction * 2.5 / np.log(10) == pytest.approx(error)


# Spectra of cubes


def cube_wcs():
    wcs = WCS(naxis=3)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN", "WAVE"]
    wcs.wcs.cunit = ["deg", "deg", "Angstrom"]
    wcs.wcs.crval = [24.17, 15.78, WAVELENGTH[0]]
    wcs.wcs.crpix = [16.0, 12.0, 1.0]
    wcs.wcs.cdelt = [-0.2 / 3600, 0.2 / 3600, 100.0]
    return wcs


def cube_values():
    """Two sources of different spectra on a sky that falls with wavelength."""
    y, x = np.mgrid[:25, :34]
    values = np.zeros((len(WAVELENGTH), 25, 34)) + (10 - WAVELENGTH / 1000)[:, None, None]
    for k, (x0, y0) in enumerate([(10.3, 12.0), (24.0, 11.6)]):
        spectrum = 500 * (WAVELENGTH / 7000) ** (2 - 4 * k)
        shape = np.exp(-0.5 * ((x - x0) ** 2 + (y - y0) ** 2) / 1.2**2) / (2 * np.pi * 1.2**2)
        values += spectrum[:, None, None] * shape
    return values


SOURCES = Table({"x": [10.3, 24.0], "y": [12.0, 11.6]})


def spectrum_cube(values=None, **options):
    values = cube_values() if values is None else values
    return Spectrum(flux=values * 1e-20 * F_LAMBDA, wcs=cube_wcs(), **options)


def sky_table():
    return Table({"sky": cube_wcs().celestial.pixel_to_world(SOURCES["x"], SOURCES["y"])})


def test_sources_have_their_spectra():
    spectra = extract_spectra(SOURCES, spectrum_cube(), radius=5, annulus=(7, 9))
    assert spectra.shape == (2, len(WAVELENGTH))
    # 5 pixels are 4.2 standard deviations; the other source is far.
    for k in range(2):
        expected = 500e-20 * (WAVELENGTH / 7000) ** (2 - 4 * k)
        np.testing.assert_allclose(spectra[k].flux.value, expected, rtol=3e-3)
        np.testing.assert_allclose(spectra[k].spectral_axis.to_value(u.AA), WAVELENGTH)
    assert spectra.flux.unit == F_LAMBDA
    assert spectra.uncertainty is None


def test_sums_are_those_of_photutils():
    values = np.random.default_rng(1).normal(5, 1, cube_values().shape)
    spectra = extract_spectra(SOURCES, spectrum_cube(values), radius=2.7)
    apertures = CircularAperture(np.column_stack([SOURCES["x"], SOURCES["y"]]), 2.7)
    for k in (0, 20, 45):
        expected = aperture_photometry(values[k], apertures)["aperture_sum"]
        np.testing.assert_allclose(spectra.flux[:, k].value, expected * 1e-20)


@pytest.mark.parametrize("move", [None, "last"])
@pytest.mark.parametrize("table", [SOURCES, sky_table()])
def test_the_spectral_axis_is_anywhere(move, table):
    values = cube_values()
    mask = np.zeros(values.shape, bool)
    mask[3, 12, 10] = True
    noise = StdDevUncertainty(np.sqrt(values))
    plain = spectrum_cube(values, mask=mask, uncertainty=noise)
    moved = spectrum_cube(values, mask=mask, uncertainty=noise, move_spectral_axis=move)
    assert (moved.flux.shape == plain.flux.shape) is (move is None)
    expected = extract_spectra(SOURCES, plain, radius=3, annulus=(6, 9))
    spectra = extract_spectra(table, moved, radius=3, annulus=(6, 9))
    np.testing.assert_allclose(spectra.flux.value, expected.flux.value, rtol=1e-5)
    np.testing.assert_allclose(spectra.uncertainty.array, expected.uncertainty.array, rtol=1e-5)
    assert np.isnan(spectra.flux.value[0, 3])
    assert spectra.mask.sum() == 1


def test_cubes_without_a_wcs_have_pixels():
    values = cube_values()
    axis = WAVELENGTH * u.AA
    first = Spectrum(flux=values * u.Jy, spectral_axis=axis, spectral_axis_index=0)
    last = Spectrum(
        flux=np.moveaxis(values, 0, -1) * u.Jy, spectral_axis=axis, spectral_axis_index=2
    )
    expected = extract_spectra(SOURCES, spectrum_cube(), radius=3).flux.value * 1e20
    for cube in (first, last):
        np.testing.assert_allclose(extract_spectra(SOURCES, cube, radius=3).flux.value, expected)
    with pytest.raises(ValueError, match="no celestial WCS, and the table has no x and y"):
        extract_spectra(sky_table(), first, radius=3)
    with pytest.raises(ValueError, match="radius is an angle, but the cube has no celestial WCS"):
        extract_spectra(SOURCES, first, radius=0.6 * u.arcsec)


# Solid angle of a pixel of 0.2 arcsec.
PIXEL = (0.2 * u.arcsec) ** 2


@pytest.mark.parametrize(
    "unit",
    [
        F_LAMBDA / u.arcsec**2,
        1e-20 * F_LAMBDA / u.deg**2,
        u.MJy / u.sr,
        u.mJy / u.mas**2,
        u.R,
        u.nW / u.m**2 / u.rad**2,
    ],
)
def test_surface_brightness_is_multiplied_by_the_solid_angle(unit):
    plain = spectrum_cube()
    unit = u.Unit(unit)
    error = np.ones(plain.shape)
    cube = Spectrum(
        flux=plain.flux.value * unit,
        wcs=plain.wcs,
        uncertainty=StdDevUncertainty(error, unit=unit),
    )
    spectra = extract_spectra(SOURCES, cube, radius=3, annulus=(6, 9))
    sums = extract_spectra(SOURCES, plain, radius=3, annulus=(6, 9)).flux.value
    expected = (sums * unit * PIXEL).to(spectra.flux.unit, u.dimensionless_angles())
    assert u.rad not in spectra.flux.unit.decompose().bases
    np.testing.assert_allclose(spectra.flux.value, expected.value, rtol=1e-6)
    weights = 9 * np.pi  # a little less, as weights on the rim are squared
    errors = (spectra.uncertainty.quantity / (PIXEL * unit)).to_value("", u.dimensionless_angles())
    assert np.all((errors**2 > 0.8 * weights) & (errors**2 < 2 * weights))


def test_the_same_source_in_any_unit():
    plain = spectrum_cube()
    wavelengths = plain.spectral_axis[:, None, None]
    surface = (plain.flux.to(u.MJy, u.spectral_density(wavelengths)) / PIXEL).to(u.MJy / u.sr)
    wanted = synthetic_magnitudes(extract_spectra(SOURCES, plain, radius=5), ["F606W"])
    found = extract_spectra(SOURCES, Spectrum(flux=surface, wcs=plain.wcs), radius=5)
    assert found.flux.unit == u.MJy
    np.testing.assert_allclose(
        synthetic_magnitudes(found, ["F606W"])["mag_f606w"], wanted["mag_f606w"], atol=1e-4
    )


@pytest.mark.parametrize(
    ("unit", "summed"),
    [
        (F_LAMBDA / u.pix, F_LAMBDA),
        (1e-17 * F_LAMBDA / u.Unit("spaxel", represents=u.pix), 1e-17 * F_LAMBDA),
        (u.Jy / u.pix**2, u.Jy),
        (u.ct, u.ct),
        (u.dimensionless_unscaled, u.dimensionless_unscaled),
        (u.Unit(1e-20 * F_LAMBDA), u.Unit(1e-20 * F_LAMBDA)),
    ],
)
def test_flux_per_pixel_is_summed(unit, summed):
    plain = spectrum_cube()
    cube = Spectrum(flux=plain.flux.value * u.Unit(unit), wcs=plain.wcs)
    spectra = extract_spectra(SOURCES, cube, radius=3)
    assert spectra.flux.unit == u.Unit(summed)
    expected = extract_spectra(SOURCES, plain, radius=3).flux.value
    np.testing.assert_allclose(spectra.flux.value, expected)


@pytest.mark.parametrize(
    ("unit", "message"),
    [
        (u.K, "in K, in which pixels cannot be summed; convert it"),
        (u.mag / u.arcsec**2, "in which pixels cannot be summed"),
        (u.Jy / u.beam, "solid angle of its beam is not known; convert its flux to MJy / sr"),
        (u.Jy / u.arcsec, "neither a flux density nor a surface brightness; correct its unit"),
    ],
)
def test_units_of_which_a_sum_is_no_flux(unit, message):
    plain = spectrum_cube()
    cube = Spectrum(flux=np.ones(plain.shape) * unit, wcs=plain.wcs)
    with pytest.raises(ValueError, match=message):
        extract_spectra(SOURCES, cube, radius=3)


def test_surface_brightness_needs_a_pixel_of_known_size():
    beams = cube_values() * u.Jy / u.beam
    surface = beams.to(u.MJy / u.sr, u.beam_angular_area(1 * u.arcsec**2))  # as the message says
    bare = {"spectral_axis": WAVELENGTH * u.AA, "spectral_axis_index": 0}
    with pytest.raises(ValueError, match=r"MJy / sr but has no celestial WCS.*multiply its flux"):
        extract_spectra(SOURCES, Spectrum(flux=surface, **bare), radius=3)
    flux = (surface * PIXEL).to(u.Jy)
    by_hand = extract_spectra(SOURCES, Spectrum(flux=flux, **bare), radius=3)
    cube = Spectrum(flux=surface, wcs=spectrum_cube().wcs)
    found = extract_spectra(SOURCES, cube, radius=3).flux.to(u.Jy)
    np.testing.assert_allclose(found.value, by_hand.flux.value, rtol=1e-6)


def test_the_sky_goes_before_pixels_of_other_images():
    table = sky_table()
    expected = extract_spectra(table, spectrum_cube(), radius=3).flux
    table["x"], table["y"] = [4000.0, 4100], [2000.0, 2100]
    np.testing.assert_array_equal(extract_spectra(table, spectrum_cube(), radius=3).flux, expected)
    angle = extract_spectra(table, spectrum_cube(), radius=0.6 * u.arcsec).flux
    np.testing.assert_allclose(angle.value, expected.value, rtol=1e-6)


@pytest.mark.parametrize("kind", [StdDevUncertainty, VarianceUncertainty, InverseVariance])
def test_errors_are_of_sums_and_of_the_sky(kind):
    rng, sigma = np.random.default_rng(2), 0.5
    values = rng.normal(0, sigma, (2000, 25, 34))
    noise = {StdDevUncertainty: sigma, VarianceUncertainty: sigma**2, InverseVariance: sigma**-2}
    cube = Spectrum(
        flux=values * u.Jy,
        spectral_axis=np.arange(2000) * u.AA,
        spectral_axis_index=0,
        uncertainty=kind(np.full(values.shape, noise[kind])),
    )
    for annulus in (None, (5, 8)):
        spectra = extract_spectra(SOURCES, cube, radius=3, annulus=annulus)
        np.testing.assert_allclose(spectra.uncertainty.array[0], spectra.uncertainty.array[0, 0])
        scatter = spectra.flux.value.std(axis=1) / spectra.uncertainty.array[:, 0]
        np.testing.assert_allclose(scatter, 1, atol=0.06)


def test_bad_spaxels_are_not_made_up():
    values = cube_values()
    values[5, 12, 11] = np.nan
    values[6, 12, 11] = np.inf
    values[8, 3, 10] = np.nan  # in the annulus: the median does without
    values[9, :10] = values[9, 15:] = np.nan  # most of the annulus, but not of the aperture
    values[:, 11, 24] = np.nan
    spectra = extract_spectra(SOURCES, spectrum_cube(values), radius=2, annulus=(8, 9.5))
    assert np.flatnonzero(np.isnan(spectra.flux.value[0])).tolist() == [5, 6]
    assert np.isnan(spectra.flux.value[1]).all()
    assert spectra.mask[1].all()
    narrow = extract_spectra(SOURCES, spectrum_cube(values), radius=1, annulus=(8, 8.2))
    assert np.isnan(narrow.flux.value[0, 9])


def test_candidates_off_the_cube_are_nan():
    table = Table({"x": [10.3, 2.0, 90, np.nan, -900], "y": [12.0, 12.0, 12, 12, 12]})
    with pytest.warns(
        AstropyUserWarning, match="4 of 5 candidates have an aperture that is not completely"
    ) as caught:
        spectra = extract_spectra(table, spectrum_cube(), radius=3, annulus=(5, 8))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert np.isnan(spectra.flux.value).all(axis=1).tolist() == [False, True, True, True, True]
    assert np.isfinite(spectra.flux.value[0]).all()


def test_tables_and_cubes_that_do_not_fit():
    cube = spectrum_cube()
    assert extract_spectra(SOURCES[:0], cube, radius=3).shape == (0, len(WAVELENGTH))
    with pytest.raises(KeyError, match="the table has no positions"):
        extract_spectra(Table({"a": [1]}), cube, radius=3)
    with pytest.raises(TypeError, match="cube must be a specutils Spectrum, not ndarray"):
        extract_spectra(SOURCES, cube_values(), radius=3)
    with pytest.raises(ValueError, match=r"three axes, not shape \(46,\)"):
        extract_spectra(SOURCES, cube[:, 3, 4], radius=3)
    with pytest.raises(ValueError, match=r"its WCS has a sky axis.*move it to the first or last"):
        extract_spectra(SOURCES, spectrum_cube(move_spectral_axis=1), radius=3)
    for radius in (0, -1, np.nan, [1, 2]):
        with pytest.raises(ValueError, match="radius must be a positive number"):
            extract_spectra(SOURCES, cube, radius=radius)
    for annulus in ((5, 3), (1, 2, 3), (0, 4)):
        with pytest.raises(ValueError, match="annulus must be two radii"):
            extract_spectra(SOURCES, cube, radius=2, annulus=annulus)
    with pytest.raises(ValueError, match="must be in pixels or an angle, not in Jy"):
        extract_spectra(SOURCES, cube, radius=2 * u.Jy)


# Magnitudes of spectra


@pytest.fixture(scope="module")
def sedpy():
    return pytest.importorskip("sedpy")


def flat(unit=F_LAMBDA, step=2.0, level=1e-16):
    wavelength = np.arange(1500, 12000, step) * u.AA
    return Spectrum(flux=np.full(len(wavelength), level) * unit, spectral_axis=wavelength)


def magnitudes(spectrum, **options):
    """One value a filter of each camera."""
    result = {}
    for camera, name in KEYS:
        table = synthetic_magnitudes(spectrum, name, camera=camera, **options)
        result[camera, name] = table[f"mag_{name.lower()}"][0]
    return result


def test_flat_spectra_have_the_tabulated_zero_points(sedpy):
    for key, magnitude in magnitudes(flat()).items():
        st = -2.5 * np.log10(1e-16) - 21.1
        expected = (
            st - 5 * np.log10(find_filter(*key).pivot) + 18.6921 - find_filter(*key).ab_of_vega
        )
        assert magnitude == pytest.approx(expected, abs=0.01), key
    for key, magnitude in magnitudes(flat(u.Jy, level=3631e-8), system="ab").items():
        assert magnitude == pytest.approx(20, abs=1e-3), key


def test_vega_is_of_magnitude_zero(sedpy):
    path = files("sedpy") / "data" / "alpha_lyr_stis_011.fits"
    table = fits.getdata(path)
    wavelength, flux = (np.array(table[name], float) for name in ("WAVELENGTH", "FLUX"))
    wavelength, first = np.unique(wavelength, return_index=True)
    vega = Spectrum(flux=flux[first] * F_LAMBDA, spectral_axis=wavelength * u.AA)
    for key, magnitude in magnitudes(vega).items():
        assert magnitude == pytest.approx(0, abs=0.005), key


def test_pivots_are_those_of_the_curves(sedpy):
    for key in KEYS:
        pivot = find_filter(*key).pivot
        wavelength, throughput = filter_curve(*key)
        ratio = np.trapezoid(throughput * wavelength, wavelength) / np.trapezoid(
            throughput / wavelength, wavelength
        )
        assert np.sqrt(ratio) == pytest.approx(pivot, rel=3e-3), key


def test_any_grid_and_unit_gives_the_same():
    slope = 1e-16 * (np.arange(3000, 7000, 1.0) / 5000) ** -2
    fine = Spectrum(flux=slope * F_LAMBDA, spectral_axis=np.arange(3000, 7000, 1.0) * u.AA)
    expected = synthetic_magnitudes(fine, "F438W")["mag_f438w"][0]
    coarse = Spectrum(flux=slope[::37] * F_LAMBDA, spectral_axis=fine.spectral_axis[::37])
    by_frequency = Spectrum(
        flux=fine.flux.to(u.mJy, u.spectral_density(fine.spectral_axis))[::-1],
        spectral_axis=fine.spectral_axis.to(u.THz, u.spectral())[::-1],
    )
    in_nm = Spectrum(flux=fine.flux, spectral_axis=u.Quantity(fine.spectral_axis).to(u.nm))
    for spectrum, tolerance in ((coarse, 2e-3), (by_frequency, 1e-6), (in_nm, 1e-6)):
        result = synthetic_magnitudes(spectrum, "f438w")
        assert result["mag_f438w"][0] == pytest.approx(expected, abs=tolerance)


def test_errors_are_those_of_the_noise():
    rng, wavelength = np.random.default_rng(3), np.arange(3800, 4800, 1.25)
    noisy = rng.normal(1, 0.3, (400, len(wavelength)))
    spectra = Spectrum(
        flux=noisy * 1e-17 * F_LAMBDA,
        spectral_axis=wavelength * u.AA,
        spectral_axis_index=1,
        uncertainty=StdDevUncertainty(np.full(noisy.shape, 0.3e-17)),
    )
    result = synthetic_magnitudes(spectra, ["F438W"])
    scatter = np.std(result["mag_f438w"]) / np.mean(result["mag_err_f438w"])
    assert scatter == pytest.approx(1, abs=0.1)


def test_what_is_not_covered_is_masked(sedpy):
    wavelength = np.arange(4750, 9350, 1.25)
    values = np.ones((3, len(wavelength))) * 1e-17
    values[1, (wavelength > 5700) & (wavelength < 6000)] = np.nan
    values[2] = -1e-17
    muse = Spectrum(flux=values * F_LAMBDA, spectral_axis=wavelength * u.AA, spectral_axis_index=1)
    with pytest.warns(AstropyUserWarning, match="too little of F435W .*F606W") as caught:
        result = synthetic_magnitudes(muse, ["F435W", "F606W", "F814W"], camera="acs")
    assert len(caught) == 1
    assert result["mag_f435w"].mask.all()
    assert result["mag_f814w"].mask.tolist() == [False, False, True]
    assert result["mag_f606w"].mask.tolist() == [False, True, True]
    lower = synthetic_magnitudes(muse, "F606W", min_coverage=0.7)
    assert lower["mag_f606w"].mask.tolist() == [False, False, True]
    assert lower["mag_f606w"][1] == pytest.approx(lower["mag_f606w"][0], abs=0.05)


def test_spectra_of_a_cube_have_magnitudes():
    wide = np.arange(3700, 4900, 24.0)
    values = np.ones((len(wide), 20, 20)) * 1e-20
    cube = Spectrum(flux=values * F_LAMBDA, spectral_axis=wide * u.AA, spectral_axis_index=0)
    table = Table({"x": [10.0, -5], "y": [10.0, 10]})
    with pytest.warns(AstropyUserWarning, match="1 of 2 candidates"):
        spectra = extract_spectra(table, cube, radius=2)
    with pytest.warns(AstropyUserWarning, match=r"F438W \(0%, 1 of 2\)"):
        result = synthetic_magnitudes(spectra, ["F438W"], system="ab")
    total = np.pi * 4 * 1e-20
    expected = -2.5 * np.log10(total) - 21.1 - 5 * np.log10(4325.4) + 18.6921
    assert result["mag_f438w"][0] == pytest.approx(expected, abs=1e-3)
    assert result["mag_f438w"].mask.tolist() == [False, True]


def test_magnitudes_and_spectra_agree():
    """What a flat spectrum has in filters is flat at their pivot wavelengths."""
    magnitude = synthetic_magnitudes(flat(), ["F438W", "F547M"])
    spectrum = to_spectrum(magnitude[0], unit=F_LAMBDA)
    np.testing.assert_allclose(spectrum.flux.value, 1e-16, rtol=2e-3)


def test_spectra_without_magnitudes():
    with pytest.raises(TypeError, match="specutils Spectrum, not list"):
        synthetic_magnitudes([1, 2], "F438W")
    with pytest.raises(KeyError, match="no throughput of filter F999W of camera uvis; available"):
        synthetic_magnitudes(flat(), "F999W")
    with pytest.raises(ValueError, match="system must be vega or ab"):
        synthetic_magnitudes(flat(), "F438W", system="st")
    with pytest.raises(ValueError, match="which is not a unit of flux density; calibrate it or"):
        synthetic_magnitudes(flat(u.ct), "F438W")
    with pytest.raises(ValueError, match="min_coverage must be"):
        synthetic_magnitudes(flat(), "F438W", min_coverage=0)
    with pytest.raises(ValueError, match="pass one spectrum, or an array"):
        synthetic_magnitudes(spectrum_cube(), "F438W")
    with pytest.warns(AstropyUserWarning, match=r"F438W \(0%, 1 of 1\)"):
        result = synthetic_magnitudes(spectrum_cube()[:, 3, 3], "F438W", min_coverage=0.3)
    assert result["mag_f438w"].mask.all()
