# Licensed under a 3-clause BSD style license - see LICENSE.rst
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.nddata import CCDData, NDData
from astropy.table import MaskedColumn, QTable, Table, vstack
from astropy.utils.exceptions import AstropyUserWarning
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from astroclust import ImageSet, classify_table, decode_flags, load_classifier
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES, ClassScheme, classes_of
from astroclust.networks import create_network
from astroclust.stamps import StampFlag
from astroclust.weights import Classifier, ModelCard

NEW = [
    "class",
    "probability",
    "prob_1",
    "prob_2",
    "prob_3",
    "prob_4",
    "entropy",
    "agreement",
    "flags",
]
# Not whole pixels, at which the last digit decides where a stamp is cut.
POSITIONS = Table({"x": [50.3, 120.6, 90.2], "y": [40.3, 98.7, 77.7], "name": ["a", "b", "c"]})


def _ensemble(n, **entries):
    torch.manual_seed(1)
    card = ModelCard("random", "native", "nothing", max_missing_bands=4, members=n, **entries)
    networks = [create_network("native", n_classes=len(card.classes)) for _ in range(n)]
    return Classifier(card, networks)


def test_columns_are_as_documented(field):
    result = classify_table(POSITIONS, field.images)
    assert result.colnames == ["x", "y", "name", *NEW]
    assert result["class"].dtype == np.int16
    assert result["flags"].dtype == np.int32
    assert all(result[name].dtype == np.float32 for name in NEW[1:-1])
    probabilities = np.column_stack([result[f"prob_{i}"] for i in LEGUS_CLASSES.numbers])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(result["class"], probabilities.argmax(axis=1) + 1)
    np.testing.assert_array_equal(result["probability"], probabilities.max(axis=1))
    entropy = -np.sum(probabilities * np.log(probabilities), axis=1)
    np.testing.assert_allclose(result["entropy"], entropy, atol=1e-5)
    votes = np.array(result["agreement"]) * load_classifier().card.members
    np.testing.assert_array_equal(votes, votes.round())
    assert votes.min() >= 0
    assert result["agreement"].max() == 1
    assert not result["flags"].any()
    assert POSITIONS.colnames == ["x", "y", "name"]


def test_the_result_is_written_and_read(field, tmp_path):
    table = POSITIONS.copy()
    table["x"][1] = np.nan
    with pytest.warns(AstropyUserWarning, match="OFF_IMAGE 1"):
        result = classify_table(table, field.images)
    result.write(tmp_path / "r.fits")
    result.write(tmp_path / "r.ecsv")
    for name in ("r.fits", "r.ecsv"):
        again = Table.read(tmp_path / name)
        assert again.colnames == result.colnames
        assert again["class"].mask.tolist() == [False, True, False]
        np.testing.assert_array_equal(again["class"].filled(0), result["class"].filled(0))
        assert again.meta["ACMOD"] == "legus-pictures-1"
        assert again.meta["ACDATA"] == "see model card"


@pytest.mark.parametrize("form", ["Table", "QTable", "masked", "ra dec", "SkyCoord", "subclass"])
def test_every_form_of_table(form, field):
    class MyTable(Table):
        pass

    sky = field.images.wcs.pixel_to_world(POSITIONS["x"], POSITIONS["y"])
    table = {
        "Table": POSITIONS,
        "QTable": QTable({"x": POSITIONS["x"].data * u.pix, "y": POSITIONS["y"].data * u.pix}),
        "masked": Table(POSITIONS, masked=True),
        "ra dec": Table({"ra": sky.ra.deg, "dec": sky.dec.deg}),
        "SkyCoord": Table({"where": SkyCoord(sky.ra, sky.dec)}),
        "subclass": MyTable(POSITIONS),
    }[form]
    result = classify_table(table, field.images)
    expected = classify_table(POSITIONS, field.images)
    assert type(result) is type(table)
    assert result.colnames == [*table.colnames, *NEW]
    np.testing.assert_allclose(result["prob_1"], expected["prob_1"], atol=1e-5)


@pytest.mark.parametrize("form", ["ImageSet", "CCDData", "integers", "big-endian", "masked"])
def test_every_form_of_image(form, field):
    scaled = {name: np.round(100 * band.data) for name, band in field.images.items()}
    bad = np.zeros(field.images.shape, bool)
    images = {
        "ImageSet": ImageSet(scaled),
        "CCDData": {name: CCDData(data, unit="adu/s") for name, data in scaled.items()},
        "integers": {name: data.astype(np.int32) for name, data in scaled.items()},
        "big-endian": {name: data.astype(">f8") for name, data in scaled.items()},
        "masked": {name: CCDData(d, unit="adu/s", mask=bad) for name, d in scaled.items()},
    }[form]
    result = classify_table(POSITIONS, images)
    expected = classify_table(POSITIONS, ImageSet(scaled))
    np.testing.assert_allclose(result["prob_4"], expected["prob_4"], atol=1e-5)


def test_rows_that_cannot_be_classified_are_kept(field):
    table = Table(
        {
            "x": MaskedColumn([50.0, np.nan, -3.0, 5e5, 199.4, 7.0], mask=[0, 0, 0, 0, 0, 1]),
            "y": [40.0, 40, 40, 40, 159.4, 7.0],
        }
    )
    with pytest.warns(AstropyUserWarning, match=r"5 of 6 rows .*EDGE 1, OFF_IMAGE 4.*4 rows"):
        result = classify_table(table, field.images)
    off = [False, True, True, True, False, True]
    assert result["class"].mask.tolist() == off
    for name in NEW[1:-1]:
        assert np.isnan(result[name]).tolist() == off
    flags = [[], ["OFF_IMAGE"], ["OFF_IMAGE"], ["OFF_IMAGE"], ["EDGE"], ["OFF_IMAGE"]]
    assert decode_flags(result["flags"]) == flags
    assert result["x"].mask.tolist() == table["x"].mask.tolist()


def test_rows_that_are_all_off_the_image_are_said(field):
    table = Table({"x": [1e4, 2e4], "y": [1.0, 2.0]})
    with pytest.warns(AstropyUserWarning, match="no position is on the image; check .* not hours"):
        classify_table(table, field.images)


@pytest.mark.parametrize("value", [np.nan, 0.0, 3.0])
def test_empty_stamps(value, field):
    images = {name: band.data.copy() for name, band in field.images.items()}
    for data in images.values():
        data[:80, :100] = value
    with pytest.warns(AstropyUserWarning, match="EMPTY 1"):
        result = classify_table(Table({"x": [40.0, 150], "y": [40.0, 110]}), images)
    assert result["class"].mask.tolist() == [True, False]
    assert StampFlag.EMPTY & result["flags"][0]


def test_absent_bands(field):
    four = {name: band for name, band in field.images.items() if name != "F336W"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what the caller left out is no surprise
        result = classify_table(POSITIONS, four)
    assert decode_flags(result["flags"]) == [["BAND_MISSING"]] * 3
    assert not result["class"].mask.any()
    three = {name: field.images[name] for name in ("F438W", "F555W", "F814W")}
    one = {"F814W": field.images["F814W"]}
    assert not classify_table(POSITIONS, one)["class"].mask.any()
    strict = Classifier(ModelCard("strict", "native", "nothing"), [create_network("native")])
    assert not classify_table(POSITIONS, four, model=strict)["class"].mask.any()
    for few in (three, one):
        with pytest.warns(AstropyUserWarning, match="TOO_MANY_MISSING 3"):
            result = classify_table(POSITIONS, few, model=strict)
    assert result["class"].mask.all()
    assert decode_flags(result["flags"]) == [["BAND_MISSING", "TOO_MANY_MISSING"]] * 3


def test_a_band_may_be_absent_in_some_rows(field):
    images = {name: band.data.copy() for name, band in field.images.items()}
    images["F275W"][:, :90] = np.nan
    with pytest.warns(AstropyUserWarning, match="BAND_MISSING 1"):
        result = classify_table(POSITIONS, images)
    assert StampFlag.BAND_MISSING & result["flags"][0]
    assert not result["class"].mask.any()


def test_bad_pixels_are_replaced_and_flagged(field):
    images = {name: band.data.copy() for name, band in field.images.items()}
    images["F555W"][45, 52] = np.inf
    with pytest.warns(AstropyUserWarning, match="NON_FINITE 1"):
        result = classify_table(POSITIONS, images)
    assert np.isfinite(result["entropy"]).all()
    mask = np.zeros(field.images.shape, bool)
    mask[45, 52] = True
    images["F555W"] = NDData(field.images["F555W"].data, mask=mask)
    with pytest.warns(AstropyUserWarning, match="NON_FINITE 1"):
        masked = classify_table(POSITIONS, images)
    np.testing.assert_array_equal(masked["prob_1"], result["prob_1"])


def test_pixels_that_cannot_be_computed_with(field):
    image = field.images["F555W"].data.astype(float)
    with pytest.warns(AstropyUserWarning):
        result = classify_table(POSITIONS, {"V": image * 1e-44})
    assert result["class"].mask.all()
    assert all(result["flags"] & StampFlag.EMPTY)


def test_empty_tables(field):
    for table in (POSITIONS[:0], Table()):
        result = classify_table(table, field.images)
        assert result.colnames == [*table.colnames, *NEW]
        assert len(result) == 0


def test_names_that_are_taken(field):
    table = POSITIONS.copy()
    table["class"] = table["flags"] = 0
    with pytest.raises(
        ValueError, match=r"already has columns 'class', 'flags'; set column_prefix"
    ):
        classify_table(table, field.images)
    result = classify_table(table, field.images, column_prefix="ml_")
    assert result.colnames[-9:] == ["ml_" + name for name in NEW]
    again = classify_table(result, field.images, column_prefix="b_", model=_ensemble(1))
    assert (again.meta["ACMOD"], again.meta["ACMOD2"]) == ("legus-pictures-1", "random")
    assert all(len(key) <= 8 and key == key.upper() for key in again.meta)


def test_ensembles_vote(field):
    classifier = _ensemble(3)
    result = classify_table(POSITIONS, field.images, model=classifier)
    members = [
        classify_table(POSITIONS, field.images, model=Classifier(classifier.card, [network]))
        for network in classifier.networks
    ]
    mean = np.mean([member["prob_2"] for member in members], axis=0)
    np.testing.assert_allclose(result["prob_2"], mean, atol=1e-6)
    votes = np.mean([member["class"] == result["class"] for member in members], axis=0)
    np.testing.assert_allclose(result["agreement"], votes)


def test_other_classes(field):
    scheme = ClassScheme("mine", {1: "cluster", 7: "other"}, clusters=[1])
    result = classify_table(POSITIONS, field.images, model=_ensemble(1, classes=scheme))
    assert result.colnames[5:7] == ["prob_1", "prob_7"]
    assert set(result["class"]) <= {1, 7}
    assert classes_of(result) == scheme
    again = classify_table(result, field.images, model=_ensemble(1), column_prefix="ml_")
    assert classes_of(again) == scheme
    assert classes_of(again, "ml_") is LEGUS_CLASSES


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"table": [1, 2]}, TypeError, "must be an astropy Table, not list"),
        ({"table": Table({"u": [1]})}, KeyError, "needs columns x and y"),
        ({"images": {}}, ValueError, "at least one band"),
        ({"images": 3}, TypeError, "must be a mapping"),
        ({"column_prefix": None}, TypeError, "column_prefix must be a string"),
        ({"device": "abacus"}, ValueError, "device 'abacus' cannot be used here"),
        ({"batch_size": 0}, ValueError, "batch_size must be a whole number"),
        ({"batch_size": 2.5}, ValueError, "batch_size must be a whole number"),
        ({"model": "best"}, ValueError, "unknown classifier 'best'; use legus-pictures-1, sim"),
    ],
)
def test_arguments_are_checked(arguments, error, message, field):
    arguments = {"table": POSITIONS, "images": field.images, **arguments}
    with pytest.raises(error, match=message):
        classify_table(arguments.pop("table"), arguments.pop("images"), **arguments)


def test_images_without_the_bands_of_the_model(field):
    classifier = _ensemble(1)
    card = ModelCard("blue", "native", "nothing", bands=("NUV", "U"))
    classifier = Classifier(card, [create_network("native", n_bands=2)])
    with pytest.raises(ValueError, match="uses bands NUV, U, but the images only have V"):
        classify_table(POSITIONS, {"F555W": field.images["F555W"]}, model=classifier)


def test_pixels_of_another_size(field, image, wcs):
    wcs.wcs.cdelt = [-3e-5, 3e-5]
    with pytest.warns(AstropyUserWarning, match=r"pixels of 0\.1080 arcsec.*resample"):
        classify_table(Table({"x": [40.0], "y": [30.0]}), {"V": (np.tile(image, (2, 2)), wcs)})


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyUserWarning")
def test_nothing_is_lost_and_rows_are_independent(data, field):
    number = st.one_of(
        st.floats(-30, 230), st.sampled_from([np.nan, np.inf, -np.inf, -0.5, 0, 199.5, 1e30])
    )
    n = data.draw(st.integers(1, 12))
    table = Table(
        {
            "x": data.draw(st.lists(number, min_size=n, max_size=n)),
            "y": data.draw(st.lists(number, min_size=n, max_size=n)),
            "tag": data.draw(st.lists(st.text("abc"), min_size=n, max_size=n)),
            "count": data.draw(st.lists(st.integers(-9, 9), min_size=n, max_size=n)),
        },
        dtype=[float, float, "U10", int],
    )
    whole = classify_table(table, field.images)
    for name in table.colnames:
        np.testing.assert_array_equal(whole[name], table[name])
    cut = data.draw(st.integers(0, n))
    parts = [classify_table(part, field.images) for part in (table[:cut], table[cut:])]
    order = np.array(data.draw(st.permutations(range(n))))
    shuffled = classify_table(table[order], field.images, batch_size=data.draw(st.integers(1, 5)))
    for other, rows in ((vstack(parts), slice(None)), (shuffled, order)):
        for name in NEW[1:]:
            np.testing.assert_allclose(other[name], whole[name][rows], atol=1e-5)
        # A class may turn over only where two are equally probable.
        np.testing.assert_array_equal(other["class"].mask, whole["class"].mask[rows])


def test_color_is_not_needed_but_shape_is(field):
    """A point and a wide Gaussian in one band are told apart."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:100, :200]
    image = rng.normal(0, 0.01, (100, 200))
    for x0, sigma in ((50, 0.95), (150, 2.4)):
        r = (x - x0) ** 2 + (y - 50) ** 2
        image += 30 / (2 * np.pi * sigma**2) * np.exp(-r / (2 * sigma**2))
    result = classify_table(Table({"x": [50.0, 150.0], "y": [50.0, 50.0]}), {"F555W": image})
    assert result["prob_4"][0] > result["prob_4"][1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_gpu_agrees_with_the_cpu(field):
    gpu = classify_table(POSITIONS, field.images, device="cuda")
    cpu = classify_table(POSITIONS, field.images, device="cpu")
    np.testing.assert_allclose(gpu["prob_1"], cpu["prob_1"], atol=0.01)


def test_a_bar_is_shown_only_when_asked(field, capfd):
    classify_table(POSITIONS, field.images)
    assert capfd.readouterr().err == ""
    classify_table(POSITIONS, field.images, progress_bar=True)
    assert "3/3" in capfd.readouterr().err


def test_the_classifier_speaks_of_its_origin():
    assert "simulated images only" in load_classifier("simulated-3").card.notice
    card = load_classifier().card
    assert card.galaxies == ("NGC 1313", "NGC 1433", "NGC 1566", "NGC 4449", "NGC 628")
    accuracy, n = (card.galaxy_scores["all"][name] for name in ("accuracy", "n"))
    assert f"{accuracy:.0%} of {n:.0f} objects" in card.notice
    assert "ESA/Hubble" in card.training_sample
    assert load_classifier().card.bands == LEGUS_BANDS.roles


@pytest.mark.parametrize("module", ["astroclust", "astroclust.cli"])
def test_importing_the_package_is_light(module):
    code = (
        f"import sys, {module}; "
        "heavy = {'torch', 'matplotlib', 'galsim', 'requests', 'scipy.stats'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


_FORK = """
import multiprocessing, warnings
import numpy as np
import torch
from astropy.table import Table
from astroclust import classify_table

def work():
    images = {"F555W": np.random.default_rng(1).normal(5, 1, (120, 120)).astype(np.float32)}
    x = np.linspace(30, 90, 40)
    return classify_table(Table({"x": x, "y": x}), images)["prob_1"].tolist()

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    here = work()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        there = pool.apply_async(work).get(timeout=120)
    print(np.allclose(here, there, atol=1e-5), torch.get_num_threads())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_processes_forked_afterwards_classify():
    done = subprocess.run(
        [sys.executable, "-c", _FORK], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.split() == ["True", "2"], done.stderr


def test_a_small_call_starts_no_threads(field, monkeypatch):
    def none(*_, **__):
        raise AssertionError("a thread for one batch")

    monkeypatch.setattr("astroclust.classification.predictions.ThreadPoolExecutor", none)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert len(classify_table(Table({"x": [80.0], "y": [70.0]}), field.images)) == 1
    finally:
        torch.set_num_threads(threads)
