# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.nddata import CCDData
from astropy.table import MaskedColumn, Table
from astropy.utils.exceptions import AstropyUserWarning
from matplotlib.figure import Figure

from astroclust import read_legus, simulate_field
from astroclust.images import ImageSet
from astroclust.photometry import average_correction, concentration_index
from astroclust.photometry.ci_cut import CICalibration, calibrate_ci, catalog_ci_cut
from astroclust.plotting import plot_ci_calibration
from astroclust.selection import Cuts
from astroclust.simulation.detector import add_noise
from astroclust.simulation.drawing import Ellipse, Source, draw_field, split_sources
from astroclust.simulation.observations import observe_like
from astroclust.simulation.profiles import Component, concentration

FILTERS = ("F275W", "F336W", "F438W", "F555W", "F814W")
SKY_NOISE = (0.0027, 0.0031, 0.0054, 0.0084, 0.0165)
SHAPE = (320, 320)


def _positions(rng, n):
    """Isolated positions in random order."""
    y, x = np.mgrid[20:320:40, 20:320:40]
    positions = np.column_stack([x.ravel(), y.ravel()]) + rng.uniform(-5, 5, (64, 2))
    return rng.permutation(positions)[:n]


def _draw(seed, n_stars, n_clusters):
    """Images of isolated stars and clusters of 0.8 to 3 pixels, and where they are."""
    rng = np.random.default_rng(seed)
    observation = observe_like("ngc1566", rng, SKY_NOISE)
    positions = _positions(rng, n_stars + n_clusters)
    sources = []
    for i, (x, y) in enumerate(positions):
        flux = 10 ** (0.4 * (observation.zero_points - rng.uniform(20.5, 22.5)))
        profile = None if i < n_stars else Ellipse(("eff", 1.5), rng.uniform(0.8, 3))
        sources.append(Source(x, y, flux, profile))
    image = draw_field(sources, split_sources([])[0], SHAPE, observation)
    add_noise(image, observation, rng)
    images = {
        name: CCDData(pixels, unit="electron/s", meta={"EXPTIME": exposure})
        for name, pixels, exposure in zip(FILTERS, image, observation.exposure_times, strict=True)
    }
    table = Table(positions, names=["x", "y"])
    return ImageSet(images), table[:n_stars], table[n_stars:]


@pytest.fixture(scope="module")
def drawn():
    return _draw(1, 40, 20)


@pytest.fixture(scope="module")
def calibration(drawn):
    return calibrate_ci(drawn[0])


def _gaussians(n, *, width, exposure=None):
    """An image of sources of a width, or of one each, and where they are."""
    rng = np.random.default_rng(2)
    positions = _positions(rng, n)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = rng.normal(1, 0.05, SHAPE)
    for (x0, y0), sigma in zip(positions, np.broadcast_to(width, n), strict=True):
        image += _gaussian(x - x0, y - y0, sigma)
    meta = {} if exposure is None else {"EXPTIME": exposure}
    images = {"F555W": CCDData(image, unit="electron/s", meta=meta)}
    return images, Table(positions.reshape(-1, 2), names=["x", "y"])


def _gaussian(dx, dy, width):
    return 300 / (2 * np.pi * width**2) * np.exp(-(dx**2 + dy**2) / (2 * width**2))


@pytest.mark.parametrize(("seed", "n_stars", "n_clusters"), [(2, 60, 3), (3, 16, 48), (4, 30, 30)])
def test_the_cut_lies_between_stars_and_clusters(seed, n_stars, n_clusters):
    images, stars, clusters = _draw(seed, n_stars, n_clusters)
    found = calibrate_ci(images, threshold=10)
    index = concentration_index(stars, images["V"])
    assert abs(found.locus - np.median(index)) < 0.03
    assert np.mean(index < found.cut) > 0.9
    assert np.mean(concentration_index(clusters, images["V"]) >= found.cut) > 0.9
    assert 0.1 <= found.cut - found.locus < 0.2
    assert len(found.stars) <= n_stars + 1
    assert len(found.clusters) <= n_clusters + 1


@pytest.mark.parametrize("name", ["ngc1566", "ngc628-c"])
def test_stars_of_a_crowded_field(name):
    field = simulate_field(like=name, shape=(400, 400), seed=1, density=5e-4)
    found = calibrate_ci(field.images, threshold=10)
    observation = observe_like(name, np.random.default_rng(1), SKY_NOISE)
    star = concentration([Component(np.ones(5))], 1.0, observation)[0]
    assert found.locus == pytest.approx(star, abs=0.06)
    clusters = field.truth[field.truth["class"] < 3]
    assert np.mean(concentration_index(clusters, field.images["V"]) >= found.cut) > 0.8


def test_what_it_finds_goes_on(drawn, calibration):
    images = drawn[0]
    assert Cuts(min_ci=calibration.cut).min_ci == calibration.cut
    assert calibration.stars.colnames == ["x", "y", "ci", "flux"]
    assert calibration.stars["flux"].description == "within 3 pixels, electron / s"
    assert calibration.stars["ci"].max() < calibration.cut <= calibration.clusters["ci"].min()
    expected = concentration_index(calibration.stars, images["V"])
    np.testing.assert_allclose(calibration.stars["ci"], expected)
    assert set(average_correction(calibration.clusters, images, limits=(-3, 0))) == set(FILTERS)


def test_stars_and_clusters_that_are_given(drawn):
    images, stars, clusters = drawn
    given = calibrate_ci(images, stars=stars[:10], clusters=clusters)
    assert (len(given.stars), len(given.clusters)) == (10, 20)
    assert given.locus == pytest.approx(np.median(given.stars["ci"]))
    assert (
        np.hypot(given.stars["x"] - stars["x"][:10], given.stars["y"] - stars["y"][:10]).max() < 1
    )
    # A star and a cluster on the wrong sides of the cut are counted, and do not move it.
    mixed = calibrate_ci(
        images, stars=Table(np.r_[stars[:10], clusters[:1]]), clusters=clusters[1:]
    )
    assert mixed.cut == pytest.approx(given.cut, abs=0.05)
    assert "1 of 11 stars above the cut" in repr(mixed)


def test_what_is_given_is_not_found_as_something_else(drawn, calibration):
    images, stars, clusters = drawn
    by_stars = calibrate_ci(images, stars=Table(np.r_[stars, clusters[:1]]))
    assert len(by_stars.stars) == len(stars) + 1
    near = np.hypot(
        by_stars.clusters["x"] - clusters["x"][0], by_stars.clusters["y"] - clusters["y"][0]
    )
    assert near.min() > 3
    by_clusters = calibrate_ci(images, clusters=clusters)
    assert len(by_clusters.clusters) == len(clusters)
    assert by_clusters.locus == pytest.approx(calibration.locus, abs=0.01)


def test_only_sources_that_stand_alone_are_taken():
    images, positions = _gaussians(20, width=0.9)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    images["F555W"].data += _gaussian(x - positions["x"][0] - 10, y - positions["y"][0], 0.9)
    assert len(calibrate_ci(images).stars) == 19


def test_saturated_stars_are_left_out():
    # About 50 electrons a second in the brightest pixel.
    for exposure in (None, 500.0):
        images, _ = _gaussians(20, width=0.9, exposure=exposure)
        assert len(calibrate_ci(images).stars) == 20
    with pytest.raises(ValueError, match="0 isolated sources are too few"):
        calibrate_ci(_gaussians(20, width=0.9, exposure=2000.0)[0])


def test_compact_clusters_that_pass_for_stars_warn():
    images, positions = _gaussians(20, width=1.4)
    with pytest.warns(AstropyUserWarning, match="is above those of LEGUS"):
        assert len(calibrate_ci(images).stars) == 20
    assert calibrate_ci(images, stars=positions).cut > 1.45


def test_fields_without_stars_are_refused():
    for n in (0, 3):
        with pytest.raises(ValueError, match=f"{n} isolated sources are too few; pass stars="):
            calibrate_ci(_gaussians(n, width=0.9)[0])
    images, clusters = _gaussians(40, width=np.linspace(1.2, 2.5, 40))
    with pytest.raises(ValueError, match="the most compact of 40 isolated sources scatter by"):
        calibrate_ci(images)
    images, _ = _gaussians(40, width=np.r_[[0.9] * 5, np.linspace(1.2, 2.5, 35)])
    with pytest.raises(ValueError, match=r"about [0-9] of 40 isolated sources are stars"):
        calibrate_ci(images)
    with pytest.raises(ValueError, match="4 of the given stars have a concentration index"):
        calibrate_ci(images, stars=clusters[:4])
    with pytest.raises(ValueError, match="0 of the given stars"):
        calibrate_ci(images, stars=Table({"x": np.full(9, np.nan), "y": np.zeros(9)}))
    with pytest.raises(KeyError, match="no band 'F606W'"):
        calibrate_ci(images, band="F606W")
    with pytest.raises(ValueError, match="threshold must be positive"):
        calibrate_ci(images, threshold=0)


def test_the_figure_shows_both_and_the_cut(calibration):
    ax = plot_ci_calibration(calibration, ax=Figure().subplots())
    heights = [sum(bar.get_height() for bar in bars) for bars in ax.containers]
    assert heights == [len(calibration.stars), len(calibration.clusters)]
    assert [line.get_xdata()[0] for line in ax.lines] == [calibration.locus, calibration.cut]
    assert ax.get_xlabel() == "concentration index (mag)"
    assert f"cut {calibration.cut:.2f} mag" in [t.get_text() for t in ax.get_legend().get_texts()]


def test_the_figure_keeps_what_lies_far_off():
    index = Table({"ci": [-3.0, 1.1, 70.0]})
    calibration = CICalibration(1.3, 1.1, 0.05, index, index[:0])
    bars = plot_ci_calibration(calibration).containers[0]
    assert [bars[0].get_height(), bars[-1].get_height()] == [1, 1]


def test_the_cut_of_a_catalog_is_that_of_the_registry_or_its_smallest_index():
    index = MaskedColumn([1.62, 1.301, 1.0, 0.5], mask=[0, 0, 0, 1])
    catalog = Table({"ci": index, "selection": [0, 0, 1, 0]}, meta={"FIELD": "ngc1566"})
    assert catalog_ci_cut(catalog) == 1.35
    catalog.meta["FIELD"] = "ngc6503"
    with pytest.warns(AstropyUserWarning, match=r"ngc6503: 1\.3 mag, the smallest"):
        assert catalog_ci_cut(catalog) == 1.3
    del catalog.meta["FIELD"]
    with pytest.warns(AstropyUserWarning, match=r"for the field: 1\.3 mag"):
        assert catalog_ci_cut(catalog) == 1.3
    with pytest.raises(ValueError, match="no row with a concentration index; set min_ci yourself"):
        catalog_ci_cut(catalog[3:])
    with pytest.raises(KeyError, match="no column ci; it has id"):
        catalog_ci_cut(Table({"id": [1]}))


def test_cuts_of_real_catalogs_are_those_of_the_registry(data_folder):
    for path in sorted((data_folder / "legus_catalogs").glob("*.tab")):
        catalog = read_legus(path)
        expected = catalog_ci_cut(catalog)
        del catalog.meta["FIELD"]
        with pytest.warns(AstropyUserWarning, match="the smallest index in the catalog, is used"):
            assert catalog_ci_cut(catalog) == expected
