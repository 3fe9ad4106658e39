# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table, vstack
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import classify_table, decode_flags, find_candidates
from astroclust.classification import EvidenceFlag
from astroclust.context import (
    ContextModel,
    context_features,
    fit_pooling,
    load_context_model,
    pool_probabilities,
    train_context_model,
)
from astroclust.context.features import INPUTS, feature_inputs
from astroclust.context.training import _forest
from astroclust.instruments import ClassScheme
from astroclust.networks import create_network
from astroclust.weights import Classifier, ModelCard

PROBABILITIES = [f"prob_{number}" for number in (1, 2, 3, 4)]
FILTERS = ("f275w", "f336w", "f438w", "f555w", "f814w")


def catalog(n=300, seed=0, width=400):
    """A field in which the concentration index tells class 1 from 4."""
    rng = np.random.default_rng(seed)
    table = Table({"x": rng.uniform(0, width, n), "y": rng.uniform(0, width, n)})
    for name in FILTERS:
        table[f"mag_{name}"] = rng.normal(23, 1, n)
        table[f"mag_err_{name}"] = rng.uniform(0.01, 0.2, n)
    table["class_human"] = rng.choice([1, 4], n)
    table["ci"] = np.where(table["class_human"] == 1, 1.8, 1.4) + rng.normal(0, 0.05, n)
    table.meta["DISTANCE"] = 10.0
    return table


@pytest.fixture(scope="module")
def on_field(field):
    """Candidates of the simulated field with photometry, and a catalog of all of it."""
    ny, nx = field.images.shape
    rng = np.random.default_rng(3)
    sources = catalog(60)
    sources["x"], sources["y"] = rng.uniform(0, nx - 1, 60), rng.uniform(0, ny - 1, 60)
    inside = (np.abs(sources["x"] - nx / 2) < 60) & (np.abs(sources["y"] - ny / 2) < 50)
    candidates = sources[inside]
    assert len(candidates) > 8
    return candidates, sources


def matrix(features):
    return np.column_stack([features[name] for name in features.colnames])


def test_features_are_those_of_a_row_and_the_catalog():
    table = catalog()
    features = context_features(table, neighbors=table)
    assert features.colnames == list(feature_inputs())
    assert np.isfinite(matrix(features)).mean() > 0.99
    for rows in (np.arange(10), np.arange(299, -1, -1), [7]):
        part = context_features(table[rows], neighbors=table)
        np.testing.assert_array_equal(matrix(part), matrix(features)[rows])
    alone = context_features(table)
    around = ["neighbors" in needs for needs in feature_inputs().values()]
    np.testing.assert_array_equal(np.isnan(matrix(alone)).all(axis=0), around)


def test_a_candidate_is_not_its_own_neighbor():
    table = catalog(5)
    table["x"], table["y"] = [10.0, 10.3, 20.0, 60.0, 90.0], [10.0, 10.0, 10.0, 10.0, 10.0]
    features = context_features(table, neighbors=table, pixel_scale=0.05)
    np.testing.assert_allclose(features["sep_1"][0], np.log10(10 * 0.05))
    # The two within half a pixel count as one.
    assert features["count_0.6_arcsec"][0] == np.log1p(1)
    np.testing.assert_allclose(features["sep_1_pc"][0], np.log10(0.5 / 0.0206265))


@pytest.mark.parametrize("missing", INPUTS)
def test_a_feature_is_nan_only_if_what_it_is_made_from_is_missing(missing):
    table = catalog()
    neighbors, roles = table, dict(zip(("NUV", "U", "B", "V", "I"), FILTERS, strict=True))
    if missing in roles:
        table.remove_columns([f"mag_{roles[missing]}", f"mag_err_{roles[missing]}"])
    elif missing == "ci":
        table.remove_column("ci")
    elif missing == "distance":
        table.meta["DISTANCE"] = "unknown"
    else:
        neighbors = None
    features = context_features(table, neighbors=neighbors)
    for name, needs in feature_inputs().items():
        assert np.isnan(features[name]).all() == (missing in needs), name


def test_rows_without_positions_or_values():
    table = catalog(20)
    table["x"][0] = np.nan
    table["mag_f555w"] = MaskedColumn(table["mag_f555w"], mask=np.arange(20) == 1)
    features = context_features(table, neighbors=table)
    assert np.isnan(features["sep_1"]).tolist() == [True] + [False] * 19
    assert np.isnan(features["abs_V"]).tolist() == [False, True] + [False] * 18
    lonely = context_features(table, neighbors=table[:0])["count_1_arcsec"]
    np.testing.assert_array_equal(lonely, [np.nan] + [0] * 19)
    assert len(context_features(table[:0], neighbors=table)) == 0


def test_distances_have_units_and_are_positive():
    table = catalog(3)
    ten = context_features(table, distance=10)["abs_V"]
    np.testing.assert_array_equal(context_features(table, distance=1e4 * u.kpc)["abs_V"], ten)
    np.testing.assert_allclose(ten, table["mag_f555w"] - 30)
    for wrong in (0, -3.0, np.nan):
        with pytest.raises(ValueError, match="distance must be positive, in Mpc"):
            context_features(table, distance=wrong)


def test_a_model_learns_and_is_written(tmp_path):
    table = catalog(600)
    features = context_features(table, neighbors=table)
    model = train_context_model(features[:300], table["class_human"][:300], name="mine")
    for kind in ("neighbors", "alone"):
        found = model.forests[kind].probabilities(features[300:])
        np.testing.assert_allclose(found.sum(axis=1), 1)
        assert np.mean(found.argmax(axis=1) + 1 == table["class_human"][300:]) > 0.95
    model.write(tmp_path / "model.json")
    model.write(tmp_path / "model.json")
    again = ContextModel.read(tmp_path / "model.json")
    assert again.name == "mine"
    # Five digits of a threshold move a row to the other side now and then.
    found = np.abs(again.probabilities(features) - model.probabilities(features)).max(axis=1)
    assert np.median(found) < 1e-5
    assert np.mean(found > 0.01) < 0.02
    same = train_context_model(features[:300], table["class_human"][:300], name="mine")
    same.write(tmp_path / "same.json")
    assert (tmp_path / "same.json").read_bytes() == (tmp_path / "model.json").read_bytes()


def test_trees_are_those_of_scikit_learn():
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(1)
    values = rng.normal(size=(900, 4))
    classes = np.digitize(values[:, 0] + values[:, 1], [-1, 0, 1])
    values[rng.random(values.shape) < 0.2] = np.nan
    names = ["ci", "B-V", "V-I", "abs_V"]
    trees = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(values, classes)
    forest = _forest(trees, names)
    found = forest.probabilities(Table(values, names=names))
    np.testing.assert_allclose(found, trees.predict_proba(values), rtol=1e-9)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([1, 4], "3 candidates require one class each"),
        ([1, 1, 1], "two distinct"),
        ([1, 2, 5], "5"),
    ],
)
def test_classes_to_learn_from_are_checked(classes, message):
    features = context_features(catalog(3))
    with pytest.raises(ValueError, match=message):
        train_context_model(features, classes)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"forests": {"alone": 3}}'])
def test_files_that_are_not_models(text, tmp_path):
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"model\.json was not written by .* train it again"):
        ContextModel.read(path)
    content = {"forests": {kind: dict.fromkeys("x") for kind in ("alone", "neighbors")}}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="train it again"):
        ContextModel.read(path)


def test_pooling_by_hand():
    image, flat = np.array([[0.7, 0.1, 0.1, 0.1]]), np.full((1, 4), 0.25)
    np.testing.assert_allclose(pool_probabilities(image, flat, (1, 1)), image)
    np.testing.assert_allclose(pool_probabilities(image, image, (0.5, 0.5)), image)
    np.testing.assert_allclose(pool_probabilities(image, flat, (0, 1)), flat)
    assert np.isnan(pool_probabilities(image * np.nan, image, (1, 1))).all()
    sure = pool_probabilities([[1.0, 0, 0, 0]], [[0, 1.0, 0, 0]], (1, 1))
    np.testing.assert_allclose(sure, [[0.5, 0.5, 0, 0]], atol=1e-3)
    with pytest.raises(ValueError, match="do not match"):
        fit_pooling(image, image, [1, 2])


def test_photometry_changes_probabilities_and_is_said(field, on_field):
    candidates, sources = on_field
    image = classify_table(candidates, field.images, photometry=False)
    assert "evidence" not in image.colnames
    assert "ACPHOT" not in image.meta
    alone = classify_table(candidates, field.images, image_probabilities=True)
    both = classify_table(candidates, field.images, neighbors=sources)
    assert alone.meta["ACPHOT"] == both.meta["ACPHOT"] == load_context_model().name
    names = ["IMAGE", "PHOTOMETRY", "CONCENTRATION_INDEX", "DISTANCE", "NEIGHBORS"]
    assert decode_flags(both["evidence"], kind=EvidenceFlag) == [names] * len(both)
    assert decode_flags(alone["evidence"], kind=EvidenceFlag) == [names[:-1]] * len(both)
    for number, name in enumerate(PROBABILITIES, start=1):
        np.testing.assert_array_equal(alone[f"prob_image_{number}"], image[name])
        assert np.abs(alone[name] - image[name]).max() > 0.01
        assert np.abs(alone[name] - both[name]).max() > 0.01
    np.testing.assert_allclose(sum(both[name] for name in PROBABILITIES), 1, atol=1e-6)


def test_rows_are_independent_of_the_table(field, on_field):
    candidates, sources = on_field
    for neighbors in (None, sources):
        full = classify_table(candidates, field.images, neighbors=neighbors)
        order = np.random.default_rng(0).permutation(len(candidates))
        mixed = classify_table(candidates[order], field.images, neighbors=neighbors)
        parts = [
            classify_table(part, field.images, neighbors=neighbors)
            for part in (candidates[:3], candidates[3:])
        ]
        for name in [*PROBABILITIES, "evidence"]:
            np.testing.assert_allclose(mixed[name], full[name][order], atol=1e-5)
            np.testing.assert_allclose(vstack(parts)[name], full[name], atol=1e-5)


def test_rows_without_magnitudes_rest_on_the_image(field, on_field):
    candidates, sources = on_field
    table = candidates.copy()
    table["mag_f555w"] = MaskedColumn(table["mag_f555w"], mask=np.arange(len(table)) == 1)
    table["mag_err_f555w"][2] = np.nan
    table["x"][3] = np.nan
    with pytest.warns(AstropyUserWarning, match="OFF_IMAGE 1"):
        result = classify_table(table, field.images, neighbors=sources)
    image = classify_table(candidates, field.images, photometry=False)
    assert decode_flags(result["evidence"][1:4], kind=EvidenceFlag) == [["IMAGE"], ["IMAGE"], []]
    for name in PROBABILITIES:
        np.testing.assert_array_equal(result[name][1:3], image[name][1:3])
        assert np.isnan(result[name][3])
    assert result["class"].mask.tolist() == [False] * 3 + [True] + [False] * (len(table) - 4)


def test_tables_without_photometry_give_what_they_gave(field, on_field):
    plain = on_field[0]["x", "y"]
    plain.meta.clear()
    image = classify_table(plain, field.images, photometry=False)
    auto = classify_table(plain, field.images)
    assert auto.colnames == image.colnames
    assert auto.meta == image.meta
    for name in image.colnames:
        np.testing.assert_array_equal(auto[name], image[name])
    with pytest.raises(ValueError, match=r"the table needs Vega magnitudes .* photometry=False"):
        classify_table(plain, field.images, photometry=True)
    for name in ("mag_err_f555w", "mag_f555w"):
        part = on_field[0].copy()
        part.remove_column(name)
        assert "evidence" not in classify_table(part, field.images).colnames


def test_the_remedy_for_a_table_without_photometry(field, on_field):
    from astroclust import measure_photometry

    measured = measure_photometry(on_field[0]["x", "y"], field.images)
    measured.meta.clear()
    result = classify_table(measured, field.images, photometry=True)
    found = decode_flags(result["evidence"], kind=EvidenceFlag)
    assert ["IMAGE", "PHOTOMETRY"] in found
    assert all("CONCENTRATION_INDEX" not in names for names in found)


@pytest.mark.filterwarnings("ignore:.*rows have flags:astropy.utils.exceptions.AstropyUserWarning")
def test_candidates_that_are_found_have_all_evidence(field):
    candidates = find_candidates(field.images, distance=10 * u.Mpc)
    assert candidates.meta["DISTANCE"] == 10
    result = classify_table(candidates, field.images, neighbors=candidates)
    assert max(result["evidence"]) == sum(EvidenceFlag)


def test_other_classes_have_no_photometry(field, on_field):
    scheme = ClassScheme("mine", {1: "cluster", 7: "other"}, clusters=[1])
    card = ModelCard("two", "native", "nothing", classes=scheme, max_missing_bands=4)
    model = Classifier(card, [create_network("native", n_classes=2)])
    assert "evidence" not in classify_table(on_field[0], field.images, model=model).colnames
    with pytest.raises(
        ValueError,
        match="it is calibrated for the classes of LEGUS, but classifier two has those of",
    ):
        classify_table(on_field[0], field.images, model=model, photometry=True)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"photometry": "always"}, ValueError, "photometry must be 'auto', True or False"),
        ({"photometry": 1}, ValueError, "photometry must be 'auto', True or False"),
        ({"neighbors": "c.fits"}, TypeError, "neighbors must be an astropy Table, not str"),
        ({"neighbors": Table({"x": [1.0]})}, ValueError, "neighbors need magnitudes in V"),
        (
            {"photometry": False, "neighbors": catalog(3)},
            ValueError,
            "omit them, or set photometry=True",
        ),
    ],
)
def test_arguments_are_checked(arguments, error, message, field, on_field):
    with pytest.raises(error, match=message):
        classify_table(on_field[0], field.images, **arguments)


def test_names_that_are_taken(field, on_field):
    table = on_field[0].copy()
    table["evidence"] = table["prob_image_1"] = 0
    with pytest.raises(ValueError, match="already has columns 'evidence', 'prob_image_1'"):
        classify_table(table, field.images, image_probabilities=True)
    assert "class" in classify_table(table, field.images, photometry=False).colnames
