# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, Table
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from astroclust import class_scores
from astroclust.evaluation import (
    accuracy_against,
    agreement,
    calibration_curve,
    confusion_matrix,
    crowding,
    entropy_distribution,
    match_labels,
    mean_confusion,
    mean_scores,
    paired_changes,
    purity_curve,
    purity_threshold,
)
from astroclust.instruments import ClassScheme, classes_of, find_class_scheme, meta_of

pairs = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=40)


@given(pairs)
def test_scores_agree_with_scikit_learn(pairs):
    labels, classes = np.array(pairs).T
    expected = metrics.confusion_matrix(labels, classes, labels=[1, 2, 3, 4])
    counts = confusion_matrix(labels, classes)
    matrix = np.column_stack([counts[f"class_{i}"] for i in (1, 2, 3, 4)])
    np.testing.assert_array_equal(matrix, expected)
    scores = class_scores(labels, classes)
    assert scores.meta["ACCURACY"] == pytest.approx(metrics.accuracy_score(labels, classes))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, classes, labels=[1, 2, 3, 4], zero_division=np.nan
    )
    np.testing.assert_allclose(scores["recall"], recall)
    np.testing.assert_allclose(scores["precision"], precision)
    np.testing.assert_allclose(scores["f1"], f1)


def test_what_is_not_classified_is_left_out():
    classes = np.ma.array([1, 2, 3], mask=[0, 1, 0])
    assert confusion_matrix([1, 1, 3], classes)["total"].sum() == 2
    assert np.isnan(class_scores([], []).meta["ACCURACY"])
    with pytest.raises(ValueError, match="differ in shape"):
        confusion_matrix([1, 2], [1])
    with pytest.raises(ValueError, match=r"\[9\] are not classes of legus"):
        confusion_matrix([1], [9])


PROBABILITIES = np.full((3, 4), 0.25)


@pytest.mark.parametrize(
    "score",
    [
        lambda labels: confusion_matrix(labels, [1, 2, 4])["total"].sum(),
        lambda labels: class_scores(labels, [1, 2, 4])["total"].sum(),
        lambda labels: calibration_curve(labels, PROBABILITIES)["total"].sum(),
        lambda labels: purity_curve(labels, PROBABILITIES)["total"].max(),
        lambda labels: accuracy_against([1.0, 2, 3], labels, [1, 2, 4], bins=1)["total"].sum(),
    ],
)
@pytest.mark.parametrize("kind", [np.array, MaskedColumn, Column])
def test_what_is_not_inspected_is_masked_as_the_message_says(score, kind):
    labels = kind([1, 0, 4])
    with pytest.raises(ValueError, match=r"1 of 3 labels are 0, .* not inspected") as error:
        score(labels)
    names = {"np": np, "labels": labels}
    exec(str(error.value).partition("mask them with ")[2], names)
    assert score(names["labels"]) == 2
    with pytest.raises(ValueError, match=r"2 of 3 classes are 0.*mask them"):
        confusion_matrix([1, 2, 4], [0, 2, 0])


def test_a_class_may_be_what_0_counts_as():
    scheme = ClassScheme("yes-no", {1: "yes", 2: "no"}, clusters=[1], merges={0: 2})
    assert confusion_matrix([1, 0], [1, 2], scheme=scheme)["class_2"].tolist() == [0, 1]


def test_fractions_are_printed_with_three_digits():
    scores = class_scores([1, 1, 1, 4], [1, 1, 4, 4], resamples=3)
    assert "0.667" in scores.pformat(max_width=-1)[2].split()
    assert "recall" in scores.colnames
    curve = calibration_curve([1, 1, 4], PROBABILITIES, bins=3)
    assert curve.pformat()[2].split() == ["0.000", "0.333", "3", "0.250", "0.667"]
    trend = accuracy_against([1.0, 2, 3], [1, 1, 4], [1, 1, 1], bins=1)
    assert "0.667" in trend.pformat(max_width=-1)[2].split()


def test_labels_come_from_the_nearest_object():
    truth = Table({"x": [10.0, 14.0], "y": [10.0, 10.0], "class": [1, 3]})
    table = Table({"x": [11.0, 13.0, 30.0], "y": [10.0, 10.0, 10.0]})
    assert match_labels(table, truth).tolist() == [1, 3, 4]
    assert match_labels(table, truth[:0]).tolist() == [4, 4, 4]
    assert match_labels(table[:0], truth).tolist() == []


def test_the_calibration_curve_is_that_of_torchmetrics():
    torch = pytest.importorskip("torch")
    from torchmetrics.functional.classification import multiclass_calibration_error

    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 2, 1, 1], 500)
    labels = rng.integers(1, 5, 500)
    curve = calibration_curve(labels, probabilities, bins=10)
    expected = multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(labels - 1), 4, n_bins=10
    )
    assert curve.meta["ECE"] == pytest.approx(float(expected), abs=1e-6)
    assert curve["total"].sum() == 500
    assert np.isnan(curve["accuracy"][0])  # of four classes one has at least a quarter


def test_probabilities_that_are_frequencies_are_calibrated():
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet([1, 1, 1, 1], 20000)
    labels = [rng.choice([1, 2, 3, 4], p=row) for row in probabilities]
    assert calibration_curve(labels, probabilities).meta["ECE"] < 0.02


def test_purity_and_completeness():
    labels = np.ma.array([1, 4, 2, 4, 3, 1], mask=[0, 0, 0, 0, 0, 1])
    cluster = np.array([0.9, 0.8, 0.7, 0.7, 0.1, 0.5])
    probabilities = np.column_stack([cluster, 0 * cluster, 0 * cluster, 1 - cluster])
    curve = purity_curve(labels, probabilities)
    assert curve["threshold"].tolist() == [0.9, 0.8, 0.7, 0.1]
    assert curve["total"].tolist() == [1, 2, 4, 5]
    np.testing.assert_allclose(curve["purity"], [1, 1 / 2, 1 / 2, 3 / 5])
    np.testing.assert_allclose(curve["completeness"], [1 / 3, 1 / 3, 2 / 3, 1])
    assert purity_threshold(labels, probabilities, 0.6) == 0.1
    assert purity_threshold(labels, probabilities, 0.8) == 0.9
    with pytest.raises(
        ValueError, match=r"no threshold gives a purity of 1\.1; the highest is 1\.000"
    ):
        purity_threshold(labels, probabilities, 1.1)
    with pytest.raises(ValueError, match="no object has both a label and probabilities"):
        purity_threshold([], np.zeros((0, 4)), 0.5)


@pytest.mark.parametrize(
    ("labels", "probabilities", "options", "message"),
    [
        ([1, 2], np.ones((2, 3)), {}, r"shape \(n, 4\), not \(2,\) and \(2, 3\)"),
        ([1, 7], np.ones((2, 4)), {}, r"\[7\] are not classes"),
        ([1, 2], np.ones((2, 4)), {"classes": [5]}, r"classes must be some of \[1, 2, 3, 4\]"),
    ],
)
def test_labels_and_probabilities_are_checked(labels, probabilities, options, message):
    with pytest.raises(ValueError, match=message):
        purity_curve(labels, probabilities, **options)
    with pytest.raises(ValueError, match="bins must be at least 1, not 0"):
        calibration_curve([], np.zeros((0, 4)), bins=0)


@given(pairs)
def test_merged_classes_are_one(pairs):
    labels, classes = np.array(pairs).T
    merge = {2: 1, 3: 1}
    counts = confusion_matrix(labels, classes, merge=merge)
    assert counts.colnames == ["class", "class_1", "class_4", "total"]
    scores = class_scores(labels, classes, merge=merge)
    assert scores.meta["ACCURACY"] == pytest.approx(np.mean((labels == 4) == (classes == 4)))
    assert "association" in scores["name"][0]


def test_classes_are_merged_once():
    with pytest.raises(ValueError, match="itself merged"):
        confusion_matrix([1], [1], merge={2: 1, 1: 4})
    with pytest.raises(ValueError, match="are not classes"):
        confusion_matrix([1], [1], merge={7: 1})


def test_the_bootstrap_knows_the_error_of_a_fraction():
    labels = np.repeat([1, 4], 200)
    classes = np.where(np.arange(400) % 4 == 0, 3, labels)
    scores = class_scores(labels, classes, resamples=400)
    assert scores.meta["ACCURACY_ERROR"] == pytest.approx(np.sqrt(0.75 * 0.25 / 400), rel=0.15)
    assert scores["recall_error"][0] == pytest.approx(np.sqrt(0.75 * 0.25 / 200), rel=0.15)


def test_trainings_have_a_mean_and_a_scatter():
    runs = [confusion_matrix([1] * 10, [1] * right + [2] * (10 - right)) for right in (6, 8, 10)]
    mean = mean_confusion(runs)
    assert mean["class_1"][0] == pytest.approx(80)
    assert mean["class_1_std"][0] == pytest.approx(20)
    assert mean["class_2"][0] == pytest.approx(20)
    assert np.isnan(mean["class_1"][1])
    assert np.isnan(mean_confusion(runs[:1])["class_1_std"][0])
    with pytest.raises(ValueError, match="no confusion matrices"):
        mean_confusion([])
    with pytest.raises(ValueError, match="different classes"):
        mean_confusion([runs[0], confusion_matrix([1], [1], merge={2: 1})])


def test_runs_without_a_class_are_ignored_for_that_class():
    runs = [
        confusion_matrix([1, 1, 4], [1, 4, 4]),
        confusion_matrix([4, 4], [1, 4]),
        confusion_matrix([1, 4], [1, 4]),
    ]
    mean = mean_confusion(runs)
    assert mean["runs"].tolist() == [2, 0, 0, 3]
    np.testing.assert_allclose(mean["class_1"], [75, np.nan, np.nan, 100 / 6])
    np.testing.assert_allclose(mean["class_1_std"][0], np.std([50, 100], ddof=1))
    np.testing.assert_allclose(mean["total"], [1, 0, 0, 4 / 3])
    one_left = mean_confusion(runs[:2])
    assert one_left["class_4"][0] == 50
    assert np.isnan(one_left["class_4_std"][0])


def test_entropies_are_from_none_to_that_of_equal_probabilities():
    distribution = entropy_distribution([0, 0.1, np.log(4), np.nan], bins=4)
    assert distribution["total"].tolist() == [2, 0, 0, 1]
    width = distribution["high"] - distribution["low"]
    assert np.sum(distribution["density"] * width) == pytest.approx(1)
    assert distribution.meta["MEAN"] == pytest.approx((0.1 + np.log(4)) / 3)
    assert entropy_distribution(np.float32([np.log(4)])).meta["MEAN"] > 1.38
    with pytest.raises(ValueError, match="from 0 to 1"):
        entropy_distribution([1.5])
    with pytest.raises(ValueError, match="at least 1"):
        entropy_distribution([1], bins=0)


def _sky(ra, classes, name="class"):
    return Table({"ra": np.array(ra) / 3600 + 10, "dec": np.zeros(len(ra)), name: classes})


def test_catalogs_are_matched_each_to_its_nearest():
    # The second row of a and the first are both near the first of b: the nearer one has it.
    a, b = _sky([0, 0.08, 5, 9], [1, 2, 3, 4]), _sky([0.02, 5.3, 9.05], [1, 3, 1], "class_human")
    pairs = agreement(a, b)
    assert pairs["row_a"].tolist() == [0, 3]
    assert pairs["row_b"].tolist() == [0, 2]
    assert pairs["agree"].tolist() == [True, False]
    np.testing.assert_allclose(
        pairs["separation"].quantity.to_value("arcsec"), [0.02, 0.05], atol=1e-6
    )
    assert pairs.meta["ONLY_A"] == 2
    assert pairs.meta["ONLY_B"] == 1
    assert len(agreement(a, b, match=0.5 * u.arcsec)) == 3
    assert confusion_matrix(pairs["class_a"], pairs["class_b"])["total"].sum() == 2


def test_catalogs_are_matched_in_pixels_and_by_name():
    a = Table({"x": [1.0, 50.0, np.nan], "y": [1.0, 1.0, 1.0], "class": [1, 2, 3], "id": [1, 2, 3]})
    b = Table({"x": [1.5, 50.0], "y": [1.0, 1.0], "class": [1, 0], "id": [2, 3]})
    pairs = agreement(a, b, match=1 * u.pix)
    assert pairs["row_a"].tolist() == [0]
    assert pairs.meta["NO_CLASS"] == 1
    assert agreement(a, b, match="id")["class_b"].tolist() == [1]
    assert np.isnan(agreement(a, b[:0], match=1 * u.pix).meta["AGREEMENT"])


def test_catalogs_that_cannot_be_compared():
    a = _sky([0, 1], [1, 2])
    with pytest.raises(KeyError, match="second catalog has no column class or class_human"):
        agreement(a, a["ra", "dec"])
    with pytest.raises(KeyError, match="no column 'id'"):
        agreement(a, a, match="id")
    a["id"] = [1, 1]
    with pytest.raises(ValueError, match="repeated values"):
        agreement(a, a, match="id")
    with pytest.raises(ValueError, match="an angle, pixels or a column"):
        agreement(a, a, match=3 * u.s)


def test_accuracy_falls_where_it_is_faint():
    magnitudes = np.ma.array(np.linspace(20, 25, 101), mask=np.arange(101) == 3)
    labels = np.ones(101, int)
    classes = np.where(magnitudes.data >= 24, 4, 1)
    trend = accuracy_against(magnitudes, labels, classes, bins=[20, 22, 24, 25, 30, 31])
    assert trend["total"].tolist() == [39, 40, 20, 1, 0]
    np.testing.assert_allclose(trend["accuracy"], [1, 1, 0, 0, np.nan])
    assert trend["accuracy_low"][0] < 1
    assert np.all(np.diff(accuracy_against(magnitudes, labels, classes, bins=4)["total"]) <= 1)
    with pytest.raises(ValueError, match="require values"):
        accuracy_against([1.0], labels, classes)
    with pytest.raises(ValueError, match="at least 1"):
        accuracy_against(magnitudes, labels, classes, bins=0)


def test_neighbors_are_counted_without_oneself():
    table = Table({"x": [0.0, 3.0, 40.0, np.nan], "y": [0.0, 4.0, 0.0, 0.0]})
    assert crowding(table, radius=5).tolist() == [1, 1, 0, 0]


def test_catalogs_in_different_schemes_agree_in_the_coarser():
    codes = Table({"id": [1, 2, 3], "class": [1, 9, 0]}, meta=meta_of(find_class_scheme("phangs")))
    legus = Table({"id": [1, 2, 3], "class": [2, 4, 1]})
    pairs = agreement(codes, legus, match="id")
    assert pairs["class_a"].tolist() == [1, 4]
    assert pairs["agree"].tolist() == [False, True]
    assert classes_of(pairs).name == "phangs"
    assert agreement(legus, codes, match="id")["class_b"].tolist() == [1, 4]
    coarse = Table({"id": [1, 2], "class": [1, 4]}, meta=meta_of(find_class_scheme("cluster")))
    for pair in ((legus, coarse), (coarse, legus)):
        pairs = agreement(*pair, match="id")
        assert pairs["agree"].tolist() == [True, True]
        assert classes_of(pairs).name == "cluster"
    mine = Table({"id": [1], "class": [7]}, meta=meta_of(ClassScheme("mine", {7: "a", 8: "b"})))
    with pytest.raises(
        ValueError, match=r"different classes, legus \[1, 2, 3, 4\] and mine \[7, 8\]"
    ):
        agreement(legus, mine, match="id")


def test_codes_cannot_be_merged_by_hand():
    with pytest.raises(ValueError, match=r"merge has \[9\], which are not classes of phangs"):
        class_scores([1, 9], [1, 4], merge={9: 1}, scheme="phangs")


def test_scores_of_trainings_are_means_of_each():
    labels = np.repeat([1, 2, 4], 10)
    right = labels.copy()
    wrong = np.where(labels == 2, 1, labels)
    scores = mean_scores([(labels, right), (labels, wrong), (labels[:20], right[:20])])
    assert scores["total"].tolist() == [10, 10, 0, 20 / 3]
    np.testing.assert_allclose(scores["recall"], [1, 2 / 3, np.nan, 1])
    np.testing.assert_allclose(scores["recall_std"], [0, np.sqrt(1 / 3), np.nan, 0])
    assert scores.meta["TRAININGS"] == 3
    assert scores.meta["ACCURACY"] == pytest.approx((1 + 2 / 3 + 1) / 3)
    merged = mean_scores([(labels, right), (labels, wrong)], merge={2: 1})
    assert merged.meta["ACCURACY"] == 1
    assert merged["class"].tolist() == [1, 3, 4]
    assert np.isnan(mean_scores([(labels, right)]).meta["ACCURACY_STD"])
    with pytest.raises(ValueError, match="no training runs to average"):
        mean_scores([])


def test_changes_are_paired_within_trainings():
    labels = np.repeat([1, 4], 50)
    befores = [np.where(np.arange(100) < n, labels, 2) for n in (60, 80, 100)]
    afters = [np.where(np.arange(100) < n - 10, labels, 2) for n in (60, 80, 100)]
    changes = paired_changes([(labels, one) for one in befores], [(labels, one) for one in afters])
    np.testing.assert_allclose(changes["accuracy"], -0.1)  # however much the trainings differ
    np.testing.assert_allclose(changes["recall_1"], 0)
    np.testing.assert_allclose(changes["recall_4"], -0.2)
    assert np.isnan(changes["recall_3"]).all()
    with pytest.raises(ValueError, match="1 training runs before and 2 after; pass the same"):
        paired_changes([(labels, labels)], [(labels, labels)] * 2)
