# Licensed under a 3-clause BSD style license - see LICENSE.rst
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from scipy import fft

from astroclust.instruments import LEGUS_BANDS, instruments
from astroclust.photometry import concentration_index
from astroclust.simulation.psf import (
    PSF_ANGLES,
    empirical_psf,
    encircled_energy,
    fourier_psf,
)
from astroclust.simulation.telescopes import psf_parameters

RADII = [0.04, 0.08, 0.16, 0.40]
# STScI's encircled energies of WFC3/UVIS1 at these radii. The table's row of F225W is no
# measurement at the first two: see telescopes.py.
UVIS = {
    "F275W": [0.173, 0.490, 0.751, 0.865],
    "F336W": [0.203, 0.476, 0.765, 0.890],
    "F438W": [0.265, 0.589, 0.806, 0.906],
    "F555W": [0.259, 0.575, 0.812, 0.911],
    "F814W": [0.239, 0.527, 0.792, 0.902],
}
PIXEL_SCALE = LEGUS_BANDS.pixel_scale
# Those with numbers of their own.
PSF_FILTERS = [
    (camera, item.name)
    for camera, instrument in instruments().items()
    for item in instrument.filters.values()
    if np.isfinite(item.psf_wavelength)
]
UVIS_FILTERS = [name for camera, name in PSF_FILTERS if camera == "uvis"]


@pytest.fixture(scope="module")
def grid_file(data_folder):
    path = data_folder / "psf_wfc3uvis_f814w_stdpsf" / "emp_psf_f814w.fits"
    if not path.is_file():
        pytest.skip(f"no empirical PSF in {path}")
    return path


def write_grid(path, width=3.0, **header):
    """Two by three round stars, wider from left to right, on a detector of two chips."""
    y, x = np.indices((101, 101)) - 50
    stars = [np.exp(-(x**2 + y**2) / (2 * w**2)) for w in (width, 2 * width)]
    hdu = fits.PrimaryHDU(np.array(stars * 3, np.float32))
    hdu.header.update(NXPSFS=2, NYPSFS=3, IPSFX01=0, IPSFX02=4096)
    hdu.header.update(JPSFY01=0, JPSFY02=2048, JPSFY03=2048)
    hdu.header.update(header)
    hdu.writeto(path)
    return path


def image_of(psf, oversampling=2):
    """Flux in drizzled pixels of a star in the middle of an image, shape (size / 2, size / 2)."""
    image = oversampling**2 * fft.irfft2(psf, s=(len(psf), len(psf)))
    return fft.fftshift(image)[::oversampling, ::oversampling].astype(np.float32)


@pytest.mark.parametrize("name", UVIS)
def test_energies_are_those_of_stsci(name):
    np.testing.assert_allclose(encircled_energy("uvis", name, RADII), UVIS[name], atol=0.01)


@pytest.mark.parametrize("name", UVIS_FILTERS)
def test_energies_are_those_of_the_table(name, data_folder):
    path = data_folder / "wfc3uvis_encircled_energy" / "wfc3uvis1_aper_007_syn.csv"
    if not path.is_file():
        pytest.skip(f"no encircled energies in {path}")
    table = Table.read(path)
    row = table[table["FILTER"] == name][0]
    radii = [0.16, 0.40] if name == "F225W" else [*RADII, 0.79, 1.50]
    published = [row[f"APER#{radius:.2f}"] for radius in radii]
    np.testing.assert_allclose(encircled_energy("uvis", name, radii), published, atol=0.03)


def test_f225w_is_no_sharper_than_f275w():
    energies = encircled_energy("uvis", "F225W", RADII)
    np.testing.assert_allclose(energies, encircled_energy("uvis", "F275W", RADII), atol=0.02)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("F435W", [0.330, 0.663, 0.839, 0.907]),
        ("F555W", [0.328, 0.668, 0.841, 0.915]),
        ("F606W", [0.328, 0.661, 0.839, 0.916]),
        ("F814W", [0.322, 0.611, 0.830, 0.914]),
    ],
)
def test_energies_are_those_of_bohlin(name, published):
    energies = encircled_energy("acs", name, [0.05, 0.10, 0.20, 0.50])
    np.testing.assert_allclose(energies, published, atol=0.02)


@pytest.mark.parametrize(("camera", "index"), [("uvis", 1.15), ("acs", 1.30)])
def test_stars_have_the_concentration_index_of_real_ones(camera, index):
    image = image_of(fourier_psf(camera, "F555W", angle=2, size=448, oversampling=2))
    star = Table({"x": [112.0], "y": [112.0]})
    assert concentration_index(star, image)[0] == pytest.approx(index, abs=0.05)


@pytest.mark.parametrize(("camera", "name"), PSF_FILTERS)
def test_flux_is_one_and_in_the_middle(camera, name):
    psf = fourier_psf(camera, name, angle=1, size=448, oversampling=2)
    assert psf.shape == (448, 225)
    assert psf.dtype == np.complex64
    assert psf[0, 0] == pytest.approx(1, abs=1e-5)
    image = image_of(psf)
    assert np.unravel_index(image.argmax(), image.shape) == (112, 112)
    # The star lies on a pixel's center: its image is the same seen from the other side.
    np.testing.assert_allclose(image[1:, 1:], image[:0:-1, :0:-1], atol=1e-5)
    assert encircled_energy(camera, name, 4.0) == pytest.approx(1, abs=0.01)


def test_angle_turns_the_spikes_and_keeps_the_energy():
    images = [
        image_of(fourier_psf("uvis", "F555W", angle=angle, size=448, oversampling=2))
        for angle in (0, PSF_ANGLES // 2)
    ]
    y, x = np.indices(images[0].shape) - 112
    ring = np.abs(np.hypot(x, y) - 12) < 4
    across = ring & ((np.abs(x) < 2) | (np.abs(y) < 2))
    diagonal = ring & ((np.abs(x - y) < 3) | (np.abs(x + y) < 3))
    upright, turned = ([image[pixels].mean() for pixels in (across, diagonal)] for image in images)
    assert upright[0] > 1.2 * upright[1]
    assert turned[1] > 1.2 * turned[0]
    for radius in (2, 4, 20):
        inside = np.hypot(x, y) <= radius
        assert images[0][inside].sum() == pytest.approx(images[1][inside].sum(), abs=0.003)


def test_the_image_does_not_depend_on_the_sampling():
    coarse = image_of(fourier_psf("acs", "F814W", angle=0, size=256, oversampling=2))
    fine = image_of(fourier_psf("acs", "F814W", angle=0, size=512, oversampling=4), 4)
    np.testing.assert_allclose(coarse, fine, atol=2e-4)


@pytest.mark.parametrize(
    ("camera", "name"), [("uvis", "F435W"), ("acs", "F275W"), ("sbc", "F115LP")]
)
def test_unknown_filters_are_refused_with_those_that_are_known(camera, name):
    with pytest.raises(ValueError, match=r"available are .*(F275W|F435W|uvis)"):
        fourier_psf(camera, name, angle=0, size=64, oversampling=2)
    with pytest.raises(ValueError, match=name):
        encircled_energy(camera, name, 0.1)
    with pytest.raises(ValueError, match=name):
        empirical_psf("anything.fits", camera=camera, filter_name=name)


def test_impossible_sizes_angles_and_radii_are_refused():
    for angle, size in ((PSF_ANGLES, 64), (-1, 64), (0, 63), (0, 0)):
        with pytest.raises(ValueError, match=f"must be even .*, not {size} and {angle}"):
            fourier_psf("uvis", "F555W", angle=angle, size=size, oversampling=2)
    for radius in (0, -1, 4.1, np.nan):
        with pytest.raises(ValueError, match="above 0 and at most 4"):
            encircled_energy("uvis", "F555W", [0.1, radius])


@pytest.mark.parametrize("position", [(0.5, 0.5), (0, 0), (1, 1), (0.1, 0.9), (1, 0)])
def test_empirical_energies_are_those_of_stsci(grid_file, position):
    grid = empirical_psf(grid_file, camera="uvis", filter_name="F814W")
    energies = grid.encircled_energy(RADII, x_fraction=position[0], y_fraction=position[1])
    np.testing.assert_allclose(energies, UVIS["F814W"], atol=0.03)


def test_empirical_stars_differ_over_the_detector_and_are_as_files_have_them(grid_file):
    grid = empirical_psf(grid_file, camera="uvis", filter_name="F814W")
    psf = grid.fourier(0.2, 0.7, size=448, oversampling=2)
    assert psf.dtype == np.complex64
    assert psf[0, 0] == pytest.approx(1, abs=1e-5)
    assert np.abs(psf - grid.fourier(0.9, 0.1, size=448, oversampling=2)).max() > 0.02
    image = image_of(psf)
    assert np.unravel_index(image.argmax(), image.shape) == (112, 112)
    # As is, on detector pixels, light lies as in the file: here its ratio in single pixels.
    grid = empirical_psf(grid_file, camera="uvis", filter_name="F814W", drizzled=False)
    image = image_of(grid.fourier(0, 0, size=448, oversampling=2))
    star = fits.getdata(grid_file)[0]
    fraction = image[112, 112] / star[50, 50]
    near = (slice(108, 117), slice(108, 117))
    np.testing.assert_allclose(image[near], fraction * star[34:67:4, 34:67:4], atol=1e-3)


@pytest.mark.parametrize(("camera", "scale"), [("uvis", 0.0396), ("acs", 0.05)])
def test_grids_are_interpolated_between_their_positions(tmp_path, camera, scale):
    path = write_grid(tmp_path / "grid.fits")
    grid = empirical_psf(path, camera=camera, filter_name="F814W", drizzled=False)
    left, middle, right = (grid.fourier(x, 0.5, size=256, oversampling=2) for x in (0, 0.5, 1))
    assert np.abs(left - right).max() > 0.1
    # The stars have equal flux when they have been joined to their halo; before, the wider one
    # has four times the light.
    np.testing.assert_allclose(middle, (left + 4 * right) / 5, atol=0.01)
    # A Gaussian of 0.75 detector pixels, as far as the halo outside lets it be one.
    image = image_of(left)
    ratio = image[64, 64] / image[64, 66]
    assert ratio == pytest.approx(np.exp((2 * PIXEL_SCALE / scale / 0.75) ** 2 / 2), rel=0.02)


@pytest.mark.parametrize("position", [(-0.1, 0.5), (0.5, 1.01), (np.nan, 0)])
def test_positions_off_the_detector_are_refused(tmp_path, position):
    grid = empirical_psf(write_grid(tmp_path / "grid.fits"), camera="uvis", filter_name="F814W")
    with pytest.raises(ValueError, match="across the detector"):
        grid.fourier(*position, size=64, oversampling=2)


def test_other_files_are_refused(tmp_path):
    text, table, image = (tmp_path / f"{name}.fits" for name in ("text", "table", "image"))
    text.write_text("not FITS\n" * 1000)
    Table({"x": [1]}).write(table)
    fits.writeto(image, np.ones((5, 5)))
    few = write_grid(tmp_path / "few.fits", NXPSFS=3, IPSFX03=9000)
    blank = write_grid(tmp_path / "blank.fits", width=np.nan)
    for path in (text, table, image, few, blank):
        with pytest.raises(ValueError, match=rf"{path.name} is not an STScI grid of PSFs"):
            empirical_psf(path, camera="uvis", filter_name="F814W")
    with pytest.raises(FileNotFoundError):
        empirical_psf(tmp_path / "none.fits", camera="uvis", filter_name="F814W")


@pytest.mark.parametrize(
    ("camera", "name", "width"),
    [
        ("nircam-sw", "F150W", 0.050),
        ("nircam-sw", "F200W", 0.066),
        ("nircam-lw", "F277W", 0.092),
        ("nircam-lw", "F444W", 0.145),
    ],
)
def test_stars_of_jwst_are_as_wide_as_published(camera, name, width):
    # FWHM of JWST User Documentation, NIRCam Point Spread Functions.
    scale = 0.01
    psf = fourier_psf(camera, name, angle=0, size=512, oversampling=1, pixel_scale=scale)
    image = image_of(psf, 1)
    area = np.count_nonzero(image > image.max() / 2) * scale**2
    assert 2 * np.sqrt(area / np.pi) == pytest.approx(width, rel=0.12)


def test_a_filter_without_a_fit_lies_between_those_of_its_camera():
    known = [psf_parameters("uvis", name) for name in ("F606W", "F657N", "F814W")]
    assert [each.telescope for each in known] == ["HST"] * 3
    assert known[1].wavelength == 656.69
    for values in zip(*(list(vars(each).values())[1:] for each in known), strict=True):
        assert min(values[0], values[2]) <= values[1] <= max(values[0], values[2])
    # Beyond the last one only the diffraction pattern changes.
    red, redder = (psf_parameters("ir", name) for name in ("F160W", "F167N"))
    assert replace(redder, wavelength=red.wavelength) == red


def test_the_light_of_a_star_does_not_depend_on_the_pixels():
    radius = 0.4
    energies = []
    for scale in (0.02, 0.0396, 0.05):
        psf = fourier_psf("uvis", "F814W", angle=0, size=512, oversampling=1, pixel_scale=scale)
        image = image_of(psf, 1)
        y, x = (np.indices(image.shape) - 256) * scale
        energies.append(image[np.hypot(x, y) < radius].sum())
        assert image.sum() == pytest.approx(1, abs=1e-3)
    assert energies == pytest.approx([energies[1]] * 3, abs=0.01)
