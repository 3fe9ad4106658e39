# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.table import Column, MaskedColumn
from hypothesis import given
from hypothesis import strategies as st

from astroclust import class_scores
from astroclust.simulation.candidates import KINDS, POINTS
from astroclust.simulation.labels import (
    CONFUSION_ON_BORDER,
    DIFFICULTY,
    TAKEN_FOR,
    confusion_of_kinds,
    label_noise,
)

N = 20_000
# Truth in the mix of the labels of each galaxy: Wei et al. (2020), Tables 1 and 2.
NGC_4656, NGC_628 = (93, 91, 78, 169), (426, 437, 413, 664)


def draw_truth(mix):
    rng = np.random.default_rng(1)
    truth = rng.choice([1, 2, 3, 4], size=N, p=np.array(mix) / sum(mix))
    kinds = np.empty(N, "U12")
    for label in KINDS:
        listed = listed_fractions(label)
        rows = truth == label
        kinds[rows] = rng.choice(list(listed), size=rows.sum(), p=list(listed.values()))
    return truth, {"kinds": kinds, "difficulty": rng.beta(*DIFFICULTY, size=N)}


def listed_fractions(label):
    """Fractions of the kinds of a class in catalogs, where there are no points."""
    listed = {kind: fraction for kind, fraction in KINDS[label].items() if kind not in POINTS}
    return {kind: fraction / sum(listed.values()) for kind, fraction in listed.items()}


def votes_of(labels):
    return np.column_stack([labels[name] for name in labels.colnames if name.startswith("expert")])


@pytest.mark.parametrize("n_experts", [1, 3, 4])
def test_a_row_an_object_and_a_column_an_expert(n_experts):
    labels = label_noise([1, 2, 3, 4, 4], seed=1, n_experts=n_experts)
    experts = [f"expert_{i}" for i in range(1, n_experts + 1)]
    assert labels.colnames == [*experts, "class_mode", "class_mean"]
    assert len(labels) == 5
    assert all(labels[name].dtype == np.int16 for name in [*experts, "class_mode"])
    assert labels["class_mean"].dtype == np.float32


def test_no_objects_have_no_labels():
    labels = label_noise([], seed=1)
    assert len(labels) == 0
    assert labels.colnames == ["expert_1", "expert_2", "expert_3", "class_mode", "class_mean"]
    assert labels["expert_1"].dtype == labels["class_mode"].dtype == np.int16
    assert labels["class_mean"].dtype == np.float32


@pytest.mark.parametrize(
    "form", [list, np.array, Column, MaskedColumn, lambda v: np.array(v, float), np.uint8]
)
def test_equal_seeds_give_equal_votes_whatever_holds_the_classes(form):
    classes = [1, 2, 3, 4] * 25
    expected = label_noise(np.array(classes), seed=[5, 1])
    labels = label_noise(form(classes), seed=[5, 1])
    assert (votes_of(labels) == votes_of(expected)).all()
    assert (labels["class_mode"] == expected["class_mode"]).all()
    assert (votes_of(label_noise(classes, seed=6)) != votes_of(expected)).any()


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.integers(1, 6), st.integers(0, 99))
def test_mode_and_mean_are_those_of_the_votes(classes, n_experts, seed):
    labels = label_noise(classes, seed=seed, n_experts=n_experts)
    votes = votes_of(labels)
    assert votes.min() >= 1
    assert votes.max() <= 4
    np.testing.assert_allclose(labels["class_mean"], votes.mean(axis=1), rtol=1e-6)
    counts = np.column_stack([(votes == i).sum(axis=1) for i in (1, 2, 3, 4)])
    chosen = counts[np.arange(len(votes)), np.array(labels["class_mode"]) - 1]
    assert (chosen == counts.max(axis=1)).all()


def test_ties_go_to_each_of_the_tied_classes_by_chance():
    # Two experts can but agree or tie.
    labels = label_noise(np.full(N, 2), seed=1, n_experts=2, difficulty=np.ones(N))
    tied = np.sort(votes_of(labels), axis=1) == [2, 3]
    modes = labels["class_mode"][tied.all(axis=1)]
    probabilities = CONFUSION_ON_BORDER[1]
    expected = probabilities[1] / (probabilities[1] + probabilities[2])
    assert np.mean(modes == 2) == pytest.approx(expected, abs=0.03)


def test_textbook_cases_are_unanimous_and_others_less_the_harder_they_are():
    truth, _ = draw_truth(NGC_628)
    easy = label_noise(truth, seed=1, difficulty=np.zeros(N))
    assert (votes_of(easy) == truth[:, np.newaxis]).all()
    right = [
        np.mean(label_noise(truth, seed=1, difficulty=np.full(N, value))["expert_1"] == truth)
        for value in (0.05, 0.5, 1)
    ]
    assert right[0] > 0.95 > right[1] > right[2] + 0.15


def test_votes_on_the_border_follow_the_confusion():
    for true, probabilities in enumerate(CONFUSION_ON_BORDER, start=1):
        assert sum(probabilities) == pytest.approx(1)
        assert max(probabilities) == probabilities[true - 1]
        votes = label_noise(np.full(N, true), seed=1, difficulty=np.ones(N))["expert_2"]
        # 0.014 is four standard deviations of a fraction of a half.
        np.testing.assert_allclose(
            np.bincount(votes, minlength=5)[1:] / N, probabilities, atol=0.014
        )


@pytest.mark.parametrize("label", KINDS)
def test_kinds_lean_and_have_the_probabilities_of_their_class_in_the_mean(label):
    probabilities = confusion_of_kinds()
    mean = sum(fraction * probabilities[kind] for kind, fraction in listed_fractions(label).items())
    np.testing.assert_allclose(mean, CONFUSION_ON_BORDER[label - 1], atol=1e-6)
    for kind in KINDS[label]:
        assert probabilities[kind].sum() == pytest.approx(1)
        if kind in TAKEN_FOR:
            rival = TAKEN_FOR[kind] - 1
            assert probabilities[kind][rival] > CONFUSION_ON_BORDER[label - 1][rival]


def test_a_pair_is_taken_for_an_association_and_a_lone_star_for_a_cluster():
    votes = {
        kind: label_noise(np.full(N, 4), seed=1, kinds=[kind] * N)["expert_1"]
        for kind in ("pair", "single star", "hot pixel")
    }
    fractions = {kind: np.bincount(vote, minlength=5)[1:] / N for kind, vote in votes.items()}
    assert fractions["pair"][2] > 2 * fractions["single star"][2]
    assert fractions["single star"][0] > 2 * fractions["pair"][0]
    assert fractions["hot pixel"][3] > 0.9


def test_experts_agree_as_published():
    # To 8 points: Wei et al. (2020, sec. 2.1) have 78 to 169 objects a class of NGC 4656, so that
    # one standard deviation is 4 to 6 points.
    truth, known = draw_truth(NGC_4656)
    mode = np.array(label_noise(truth, seed=2, **known)["class_mode"])
    expert = label_noise(truth, seed=3, n_experts=1, **known)["expert_1"]
    agreement = [np.mean(mode[expert == i] == i) for i in (1, 2, 3, 4)]
    np.testing.assert_allclose(agreement, [0.66, 0.37, 0.40, 0.61], atol=0.08)
    assert np.mean(mode[expert <= 2] <= 2) == pytest.approx(0.67, abs=0.08)


def test_means_equal_modes_as_often_as_in_the_catalogs_of_ngc_628():
    truth, known = draw_truth(NGC_628)
    labels = label_noise(truth, seed=2, **known)
    mode = np.array(labels["class_mode"])
    equal = labels["class_mean"] == mode
    found = [np.mean(equal[mode == i]) for i in (1, 2, 3, 4)]
    np.testing.assert_allclose(found, [0.44, 0.25, 0.30, 0.34], atol=0.06)
    # As many objects get a class as have it.
    fractions = np.bincount(mode, minlength=5)[1:] / N
    np.testing.assert_allclose(fractions, np.array(NGC_628) / sum(NGC_628), atol=0.03)


def test_three_experts_are_right_more_often_than_one():
    truth, _ = draw_truth(NGC_628)
    labels = label_noise(truth, seed=2)
    one = class_scores(truth, labels["expert_1"])["recall"]
    three = class_scores(truth, labels["class_mode"])["recall"]
    assert (three > one + 0.05).all()


@pytest.mark.parametrize(
    ("classes", "options", "message"),
    [
        ([1, 5, 0], {}, r"\[0, 5\] are not classes; use \[1, 2, 3, 4\]"),
        ([1, 1.5], {}, r"\[1.5\] are not classes"),
        ([1, np.nan], {}, r"\[nan\] are not classes"),
        (["one"], {}, r"\['one'\] are not classes"),
        (np.ma.array([1, 2], mask=[0, 1]), {}, "1 masked values; exclude those objects"),
        ([[1, 2]], {}, r"one-dimensional, not of shape \(1, 2\)"),
        (3, {}, "one-dimensional"),
        ([1], {"n_experts": 0}, "at least 1, not 0"),
        ([1], {"n_experts": 2.5}, "at least 1, not 2.5"),
        ([1], {"kinds": ["symmetric"] * 2}, r"each of 1 classes.*\(2,\)"),
        ([1, 4], {"kinds": ["symmetric", "cloud"]}, r"\['cloud'\] are not kinds of their classes"),
        ([1, 4], {"kinds": ["symmetric", "elongated"]}, r"\['elongated'\] are not kinds"),
        ([1], {"difficulty": [0.5, 0.5]}, r"each of 1 classes.*\(2,\)"),
        ([1], {"difficulty": [1.5]}, r"from 0 .* to 1 .*, not 1.5"),
        ([1], {"difficulty": [np.nan]}, "not nan"),
        ([1], {"difficulty": np.ma.array([0.5], mask=[1])}, "not nan"),
    ],
)
def test_what_is_not_accepted_is_named(classes, options, message):
    with pytest.raises(ValueError, match=message):
        label_noise(classes, seed=1, **options)
