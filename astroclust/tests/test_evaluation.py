# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from astroclust import (
    calibration_curve,
    class_scores,
    confusion_matrix,
    purity_curve,
    purity_threshold,
)
from astroclust.evaluation import match_labels

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
    with pytest.raises(ValueError, match=r"\[0, 9\] are not classes"):
        confusion_matrix([0], [9])


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
        ValueError, match=r"no threshold gives a purity of 1\.1: the best is 1\.000"
    ):
        purity_threshold(labels, probabilities, 1.1)
    with pytest.raises(ValueError, match="the best is that of no object"):
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
