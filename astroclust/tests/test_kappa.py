# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest

from astroclust.evaluation import cohen_kappa, confusion_matrix, fleiss_kappa

# Fleiss (1971), Table 1: how many of six psychiatrists gave each diagnosis to each patient:
# depression, personality disorder, schizophrenia, neurosis, other.
FLEISS = """
00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006
"""


def _labels(counts):
    """Labels of two reviewers with this confusion matrix."""
    n = len(counts)
    numbers = np.arange(1, n + 1)
    return np.repeat(np.repeat(numbers, n), np.ravel(counts)), np.repeat(
        np.tile(numbers, n), np.ravel(counts)
    )


@pytest.mark.parametrize(
    ("counts", "value", "error"),
    [
        # Cohen (1960), Table 2, and (1968), Table 1: the same patients the other way round.
        ([[88, 10, 2], [14, 40, 6], [18, 10, 12]], 0.492, None),
        ([[88, 14, 18], [10, 40, 10], [2, 6, 12]], 0.492, None),
        # The example of SAS: kappa, and the standard error of Fleiss, Cohen & Everitt (1969).
        ([[0, 4, 1], [0, 8, 0], [0, 1, 5]], 0.4842, 0.1380),
        # By hand: 2 of 4 agree, as chance would have it.
        ([[1, 1], [1, 1]], 0.0, 0.5),
        # The error of large samples is 0, which does not mean that kappa is exact.
        ([[0, 2], [2, 0]], -1.0, np.nan),
        ([[3, 0], [0, 2]], 1.0, np.nan),
        # One of them gives a single class: no better than chance.
        ([[3, 2], [0, 0]], 0.0, np.nan),
    ],
)
def test_cohen_kappa_of_published_tables(counts, value, error):
    kappa = cohen_kappa(*_labels(counts))
    assert kappa.value == pytest.approx(value, abs=5e-4)
    assert kappa.n == np.sum(counts)
    if error is not None:
        assert kappa.error == pytest.approx(error, abs=5e-5, nan_ok=True)


def test_cohen_kappa_does_not_depend_on_who_comes_first():
    a, b = _labels([[88, 10, 2], [14, 40, 6], [18, 10, 12]])
    one, other = cohen_kappa(a, b), cohen_kappa(b, a)
    assert one.value == pytest.approx(other.value)
    assert one.error == pytest.approx(other.error)


def test_error_of_cohen_kappa_is_the_scatter_of_samples():
    fractions = np.array([[88, 10, 2], [14, 40, 6], [18, 10, 12]]) / 200
    rng = np.random.default_rng(5)
    samples = rng.multinomial(200, fractions.ravel(), 400).reshape(-1, 3, 3)
    values = [cohen_kappa(*_labels(sample)).value for sample in samples]
    expected = cohen_kappa(*_labels((200 * fractions).astype(int))).error
    assert np.std(values) == pytest.approx(expected, rel=0.1)


def test_cohen_kappa_that_is_not_defined():
    nothing = cohen_kappa([], [])
    assert np.isnan([nothing.value, nothing.error, nothing.agreement, nothing.expected]).all()
    assert str(nothing) == "undefined (0 objects)"
    same = cohen_kappa([2, 2, 2], [2, 2, 2])
    assert np.isnan([same.value, same.error]).all()
    assert (same.agreement, same.expected, same.n) == (1.0, 1.0, 3)
    assert cohen_kappa([1, 1], [4, 4]).value == 0


def test_cohen_kappa_ignores_what_one_has_not_labeled():
    a = np.ma.array([1, 2, 3, 4, 1], mask=[0, 0, 0, 1, 0])
    b = np.ma.array([1, 2, 4, 4, 2], mask=[0, 0, 0, 0, 1])
    kappa = cohen_kappa(a, b)
    assert kappa.n == 3
    # By hand: 2 of 3 agree; chance gives (1 + 1) / 9.
    assert kappa.value == pytest.approx((2 / 3 - 2 / 9) / (1 - 2 / 9))


def test_cohen_kappa_of_merged_classes():
    labels = [1, 2, 3, 4, 4, 4], [2, 1, 3, 4, 4, 3]
    assert cohen_kappa(*labels, merge={2: 1, 3: 1}).agreement == pytest.approx(5 / 6)
    counts = confusion_matrix(*labels, merge={2: 1, 3: 1})
    assert counts["total"].sum() == 6


def test_cohen_kappa_refuses_what_is_no_label():
    with pytest.raises(ValueError, match="7"):
        cohen_kappa([1, 7], [1, 1])
    with pytest.raises(ValueError, match=r"differ in shape: \(2,\), \(3,\)"):
        cohen_kappa([1, 2], [1, 2, 3])


def test_fleiss_kappa_of_the_paper():
    counts = [[int(number) for number in row] for row in FLEISS.split()]
    assert np.sum(counts, axis=0).tolist() == [26, 26, 30, 55, 43]
    kappa = fleiss_kappa(counts)
    assert kappa.value == pytest.approx(0.4302445, abs=5e-8)  # 0.430 in the paper
    assert kappa.agreement == pytest.approx(0.556, abs=5e-4)
    assert kappa.expected == pytest.approx(0.220, abs=5e-4)
    assert 0.04 < kappa.error < 0.07
    assert kappa.n == 30


@pytest.mark.parametrize(
    ("counts", "value"),
    [
        ([[7, 1], [3, 5]], 0.161905),
        ([[6, 1, 0], [0, 7, 0]], 0.708333),
        ([[7, 0], [0, 7]], 1.0),
        # By hand, unequal numbers: pairs agree in 1, 1/3; classes have 5/6 and 1/6.
        ([[2, 0], [2, 1], [1, 0]], (2 / 3 - 26 / 36) / (1 - 26 / 36)),
    ],
)
def test_fleiss_kappa_of_other_tables(counts, value):
    assert fleiss_kappa(counts).value == pytest.approx(value, abs=1e-6)


def test_fleiss_kappa_is_the_same_for_objects_in_any_order_and_classes_of_any_name():
    counts = np.array([[3, 0, 0], [1, 2, 0], [0, 0, 3], [0, 2, 1]])
    kappa = fleiss_kappa(counts)
    other = fleiss_kappa(counts[::-1, [2, 0, 1]])
    assert other.value == pytest.approx(kappa.value)
    assert other.error == pytest.approx(kappa.error)


def test_jackknife_of_fleiss_kappa():
    counts = np.array([[3, 0, 0], [1, 2, 0], [0, 0, 3], [0, 2, 1]])
    without = [fleiss_kappa(np.delete(counts, i, axis=0)).value for i in range(4)]
    expected = np.sqrt(3 / 4 * np.sum((without - np.mean(without)) ** 2))
    assert fleiss_kappa(counts).error == pytest.approx(expected)


@pytest.mark.parametrize("counts", [np.zeros((0, 4)), [[1, 0], [0, 1]], [[0, 0]]])
def test_fleiss_kappa_without_a_second_vote(counts):
    kappa = fleiss_kappa(counts)
    assert np.isnan([kappa.value, kappa.error, kappa.agreement, kappa.expected]).all()
    assert kappa.n == 0


def test_fleiss_kappa_of_a_single_class():
    kappa = fleiss_kappa([[3, 0], [2, 0]])
    assert np.isnan([kappa.value, kappa.error]).all()
    assert (kappa.agreement, kappa.expected, kappa.n) == (1.0, 1.0, 2)
    # Without the second object there is a single class: no jackknife.
    lonely = fleiss_kappa([[3, 0], [0, 3]])
    assert lonely.value == 1
    assert np.isnan(lonely.error)
    assert str(lonely) == "1.00 (2 objects)"
    one = fleiss_kappa([[2, 1]])
    assert np.isfinite(one.value)
    assert str(one).endswith("(1 object)")


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([3, 0], r"shape \(n_objects, n_classes\)"),
        ([["a"]], "must be numbers of votes"),
        ([[-1, 3]], "counts must be non-negative integers"),
        ([[1.5, 3]], "non-negative integers"),
        ([[np.nan, 3]], "non-negative integers"),
    ],
)
def test_fleiss_kappa_refuses_what_are_no_counts(counts, message):
    with pytest.raises(ValueError, match=message):
        fleiss_kappa(counts)
