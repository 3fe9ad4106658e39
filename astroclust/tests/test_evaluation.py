# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from astroclust import class_scores, confusion_matrix
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
