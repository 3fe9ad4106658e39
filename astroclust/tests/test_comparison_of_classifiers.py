# Licensed under a 3-clause BSD style license - see LICENSE.rst
import logging
import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from astroclust import Stamps, load_classifier, save_classifier, simulate_stamps, train_classifier
from astroclust.evaluation import PairedComparison, compare_classes
from astroclust.instruments import LEGUS_BANDS
from astroclust.stamps import without_bands
from astroclust.training import (
    Recipe,
    Sample,
    cross_validate,
    exclude_seen,
    fold_rows,
    hold_out,
    likely_subsets,
    score_bands,
    score_classifier,
    seen_rows,
)
from astroclust.training import seen as seen_module
from astroclust.training.cross_validation import start_probabilities
from astroclust.weights import ModelCard, check_card, hub_page
from astroclust.weights.cards import card_digest
from astroclust.weights.fingerprints import pack_digests, stamp_digests, unpack_digests

QUICK = Recipe("native-small", batch_size=16, epochs=2)
SCORES = {"n": 9, "accuracy": 0.5, "mean_recall": 0.4, "ece": 0.1}


@pytest.fixture(scope="module")
def stamps():
    return simulate_stamps(40, seed=3)


@pytest.fixture(scope="module")
def tuned(stamps):
    """A classifier that was trained on the first half of the stamps and scored on the others."""
    labels = np.asarray(stamps.table["class"])
    sample = Sample(stamps[:20], labels[:20], test_stamps=stamps[20:], test_labels=labels[20:])
    return train_classifier(sample, name="tuned", recipe=QUICK)


def _some(stamps, bands):
    """Stamps in some bands alone."""
    missing = [i for i, band in enumerate(stamps.bands) if band not in bands]
    return without_bands(stamps, missing)


def test_a_comparison_counts_what_only_one_classifies_right():
    labels = np.tile([1, 2, 3, 4], 10)
    before, after = labels.copy(), labels.copy()
    before[:10] = 5 - labels[:10]  # wrong
    after[8:10], after[20:21] = before[8:10], 5 - labels[20:21]
    found = compare_classes(labels, before, after)
    assert (found.n, found.gained, found.lost) == (40, 8, 1)
    assert found.difference == pytest.approx(found.after - found.before)
    assert found.p == pytest.approx(binomtest(8, 9).pvalue)
    assert found.verdict == "better by 18 points, p = 0.039"
    turned = compare_classes(labels, after, before)
    assert turned.verdict == "worse by 18 points, p = 0.039"
    assert turned.error == pytest.approx(found.error)
    assert found.content["verdict"] == found.verdict


def test_rows_without_a_class_are_not_compared():
    labels = np.ma.array([1, 1, 4, 4], mask=[1, 0, 0, 0])
    before = np.ma.array([1, 1, 4, 1], mask=[0, 1, 0, 0])
    found = compare_classes(labels, before, [1, 1, 4, 4])
    assert (found.n, found.gained, found.lost) == (2, 1, 0)
    with pytest.raises(ValueError, match="no object has a label and both classes; pass objects"):
        compare_classes(labels[:1], before[:1], [1])
    with pytest.raises(ValueError, match=r"differ in shape: \(4,\), \(4,\) and \(3,\); pass one"):
        compare_classes(labels, before, [1, 1, 4])


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 300))
def test_what_is_detectable_is_the_smallest_clear_difference(gained, lost, both):
    n = gained + lost + both
    if not n:
        return
    found = PairedComparison(n, (both + lost) / n, (both + gained) / n, gained, lost)
    is_clear = found.p < 0.05
    assert is_clear == (abs(found.difference) >= found.detectable - 1e-12)
    assert found.error > 0
    if not is_clear:
        points = f"above {100 * found.detectable:.0f} points"
        ending = points if found.detectable <= 1 else "too few for any difference to be significant"
        assert found.verdict.startswith("no measurable change: ")
        assert found.verdict.endswith(ending)


@given(st.lists(st.integers(0, 8), min_size=12, max_size=60), st.integers(2, 5), st.integers(0, 9))
def test_folds_share_no_group(groups, folds, seed):
    sizes = np.unique(groups, return_counts=True)[1]
    if len(sizes) < folds or sizes.max() > len(groups) / 2:
        with pytest.raises(ValueError, match=f"overlap too much for {folds} folds"):
            fold_rows(len(groups), folds=folds, seed=seed, groups=groups)
        return
    fold = fold_rows(len(groups), folds=folds, seed=seed, groups=groups)
    assert set(fold) == set(range(folds))
    assert all(len(set(fold[np.array(groups) == one])) == 1 for one in set(groups))


def test_the_remedies_for_folds_work():
    groups = [0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match=r"groups: 3; rows in the largest: 2.*use 3 folds, or"):
        fold_rows(6, folds=5, seed=1, groups=groups)
    assert np.bincount(fold_rows(6, folds=3, seed=1, groups=groups)).tolist() == [2, 2, 2]
    with pytest.raises(
        ValueError, match=r"largest: 5\); label more objects that are further apart, or"
    ):
        fold_rows(6, folds=2, seed=1, groups=[0, 0, 0, 0, 0, 1])
    stamps = Stamps(np.random.default_rng(1).random((6, 5, 8, 8)), LEGUS_BANDS.roles)
    sample = Sample(stamps, [1] * 6, groups=np.array([0, 0, 0, 0, 0, 1]))
    assert len(hold_out(sample).test_stamps) == 1
    with pytest.raises(ValueError, match="folds must be at least 2, not 1"):
        fold_rows(6, folds=1, seed=1)
    with pytest.raises(ValueError, match="one value for each of 6 rows"):
        fold_rows(6, folds=2, seed=1, groups=[1])


def test_each_row_is_classified_by_a_classifier_that_has_not_seen_it(stamps, tmp_path):
    labels = np.asarray(stamps.table["class"])
    sample = Sample(stamps, labels, groups=np.arange(40) // 2, simulated=True)
    options = {"recipe": QUICK, "start": load_classifier("simulated-3"), "folder": tmp_path}
    result = cross_validate(sample, folds=2, **options)
    assert np.bincount(result.folds).tolist() == [20, 20]
    last = tmp_path / "fold-2" / "member-1" / "last.ckpt"
    made = last.stat().st_mtime_ns
    for number in range(2):
        rows = result.folds != number
        alone = train_classifier(
            replace(sample, stamps=stamps[rows], labels=labels[rows], groups=sample.groups[rows]),
            name="alone",
            recipe=QUICK,
            start=options["start"],
        )
        expected = alone.probabilities(stamps[~rows]).mean(axis=0)
        # Mixed precision changes probabilities by less than this.
        np.testing.assert_allclose(result.probabilities[~rows], expected, atol=0.02)
    before = options["start"].probabilities(stamps)[0]
    np.testing.assert_allclose(result.start_probabilities, before, atol=0.02)
    assert result.comparison.n == result.scores["n"] == 40
    assert list(result.band_scores) == ["simulated"]
    assert result.band_scores["simulated"]["V+I"]["n"] == 40
    card = result.annotate(ModelCard("mine", "native", "40 stamps"))
    check_card(card, "mine")
    assert "40 rows in 2 folds, which share no pixel, each scored by" in card.split
    # The same call resumes: nothing is trained again.
    again = cross_validate(sample, folds=2, **options)
    assert last.stat().st_mtime_ns == made
    np.testing.assert_array_equal(again.probabilities, result.probabilities)


def test_rows_of_the_training_set_are_known_again(stamps, tuned, tmp_path):
    shuffled = np.random.default_rng(5).permutation(40)
    assert seen_rows(tuned, stamps[shuffled]).tolist() == (shuffled < 20).tolist()
    card = save_classifier(tuned, tmp_path / "tuned.safetensors")
    loaded = load_classifier(tmp_path / "tuned.safetensors")
    assert loaded.card == card
    # Other columns, another unit, fewer bands, a narrower stamp, a position that is off.
    wider = replace(stamps, data=stamps.data * 4, table=Table({"ra": np.zeros(40)}))
    narrow = replace(stamps, data=stamps.data[:, :, 3:-3, 3:-3])
    shifted = replace(stamps, data=np.roll(stamps.data, (1, 2), axis=(2, 3)))
    for other in (wider, _some(stamps, "I"), narrow):
        assert seen_rows(loaded, other).tolist() == [True] * 20 + [False] * 20
    found = seen_rows(loaded, shifted)
    assert found[:20].mean() > 0.8
    assert not found[20:].any()
    assert not seen_rows(load_classifier("simulated-3"), stamps).any()


def test_what_a_classifier_started_from_is_known_too(stamps, tuned):
    labels = np.asarray(stamps.table["class"])
    more = Sample(stamps[20:30], labels[20:30])
    again = train_classifier(more, name="again", recipe=QUICK, start=tuned)
    assert seen_rows(again, stamps).tolist() == [True] * 30 + [False] * 10
    rest, n_seen = exclude_seen(again, Sample(stamps, labels, groups=np.arange(40)))
    assert n_seen == 30
    assert rest.labels.tolist() == labels[30:].tolist()
    assert rest.groups.tolist() == list(range(30, 40))


def test_a_start_that_has_seen_the_test_set_is_named(stamps, tuned):
    labels = np.asarray(stamps.table["class"])
    sample = Sample(stamps[20:], labels[20:], test_stamps=stamps[:4], test_labels=labels[:4])
    recipe = replace(QUICK, epochs=1)
    with pytest.warns(AstropyUserWarning, match="tuned was trained on some of the held-out stamps"):
        train_classifier(sample, name="again", recipe=recipe, start=tuned)
    with pytest.warns(AstropyUserWarning, match="label other objects, or start from another"):
        cross_validate(Sample(stamps[:8], labels[:8]), folds=2, recipe=recipe, start=tuned)
    with warnings.catch_warnings():
        warnings.simplefilter("error", AstropyUserWarning)
        train_classifier(sample, name="x", recipe=recipe, start=load_classifier("simulated-3"))
        other = replace(sample, test_stamps=stamps[30:], test_labels=labels[30:])
        train_classifier(other, name="x", recipe=recipe, start=tuned)


def test_fingerprints_of_large_training_sets_are_fewer(stamps, monkeypatch):
    real, simulated = Sample(stamps[:10], [1] * 10), Sample(stamps[10:], [1] * 30, simulated=True)

    def known(most):
        monkeypatch.setattr(seen_module, "MOST_DIGESTS", most)
        return unpack_digests(seen_module.training_fingerprint([real, simulated]))

    assert len(known(200)) == 200
    assert known(199) == known(40) == {row[3] for row in stamp_digests(stamps)}
    assert known(39) == known(10) == {row[3] for row in stamp_digests(stamps[:10])}
    with pytest.warns(AstropyUserWarning, match="more than 9 stamps.*hold out galaxies"):
        assert known(9) == frozenset()


def test_fingerprints_are_packed_as_a_set():
    stamps = Stamps(np.zeros((2, 5, 8, 8)), LEGUS_BANDS.roles, present=np.ones((2, 5)))
    assert stamp_digests(stamps) == [[None] * 5] * 2  # no structure, nothing to know again
    packed = pack_digests([b"12345", b"abcde", b"12345"])
    assert packed == pack_digests([b"abcde", b"12345"])
    assert unpack_digests(packed) == {b"12345", b"abcde"}
    assert unpack_digests("") == frozenset()
    for wrong in ("no base64!", "YWJj", "é"):
        assert unpack_digests(wrong) is None


def test_likely_subsets_follow_the_band_system():
    names = ["+".join(one) for one in likely_subsets(LEGUS_BANDS)]
    assert {*LEGUS_BANDS.roles, "V+I", "B+I", "B+V+I", "U+B+V+I", "NUV+U+B+V+I"} <= set(names)
    assert "NUV+I" not in names
    assert len(names) == len(set(names)) == 16
    assert likely_subsets(LEGUS_BANDS, bands=["I", "V"]) == [("V",), ("I",), ("V", "I")]
    with pytest.raises(ValueError, match="must be different roles of legus"):
        likely_subsets(LEGUS_BANDS, bands=["X"])


def test_bands_that_are_not_there_are_not_scored(stamps):
    labels = np.asarray(stamps.table["class"])
    classifier = load_classifier("simulated-3")
    two = _some(stamps, "VI")
    names = [name for name in score_classifier(classifier, two, labels) if "without" in name]
    assert names == ["accuracy_without_V", "accuracy_without_I"]
    one = score_classifier(classifier, _some(stamps, "V"), labels)
    assert not [name for name in one if "without" in name]
    assert one["n"] == 40
    # Half of the stamps have V alone: without it they have no band, and are not scored.
    mixed = replace(two, present=two.present.copy(), data=two.data.copy())
    mixed.present[:20, 4], mixed.data[:20, 4] = False, 0
    scores = score_classifier(classifier, mixed, labels)
    half = score_classifier(classifier, two[20:], labels[20:])
    assert scores["accuracy_without_V"] == half["accuracy_without_V"]
    plain = score_classifier(classifier, two, labels, ablate=False)
    assert not [name for name in plain if "without" in name or "masked" in name]
    counts = np.bincount(labels)
    assert plain["baseline"] == pytest.approx(counts.max() / 40)


def test_subsets_are_scored_on_the_stamps_that_have_them(stamps):
    labels = np.asarray(stamps.table["class"])
    classifier = load_classifier("simulated-3")
    two = _some(stamps, "VI")
    scores = score_bands([(classifier, two, labels)])
    assert list(scores) == ["V", "I", "V+I"]
    whole = score_classifier(classifier, two, labels, ablate=False)
    assert {name: whole[name] for name in ("n", "accuracy", "mean_recall", "ece")} == scores["V+I"]
    pooled = score_bands(
        [(classifier, two[:15], labels[:15]), (classifier, stamps[15:], labels[15:])],
        subsets=[("I", "V"), ("U",)],
    )
    assert pooled["V+I"] == scores["V+I"]
    assert pooled["U"]["n"] == 25
    few = replace(classifier.card, max_missing_bands=3)
    limited = type(classifier)(few, classifier.networks)
    assert list(score_bands([(limited, two, labels)])) == ["V+I"]
    with pytest.raises(ValueError, match="no test sets to score a classifier on; pass at least"):
        score_bands([])
    other = replace(classifier.card, system=replace(LEGUS_BANDS, name="other"))
    other = type(classifier)(other, classifier.networks)
    with pytest.raises(ValueError, match="differ in their classes or bands; score them separately"):
        score_bands([(classifier, two, labels), (other, two, labels)])


def test_a_training_scores_subsets_of_the_bands(tuned, tmp_path):
    assert list(tuned.card.band_scores) == ["human"]
    subsets = tuned.card.band_scores["human"]
    assert subsets["NUV+U+B+V+I"]["accuracy"] == tuned.card.scores["accuracy"]
    assert tuned.card.expected_accuracy(["i", "V"]) == {"human": subsets["V+I"]["accuracy"]}
    assert tuned.card.expected_accuracy(["NUV", "I"]) == {}
    with pytest.raises(ValueError, match="must be different roles of legus"):
        tuned.card.expected_accuracy(["X"])
    page = hub_page(tuned.card)
    assert "With these bands only, on held-out human labels:" in page
    assert "| V+I | 20 |" in page
    assert tuned.card.training_rows not in page


def test_cards_without_the_new_entries_keep_their_hash():
    card = ModelCard("mine", "native", "stamps")
    assert card_digest(card) == card_digest(replace(card, band_scores={}, training_rows=""))
    for entry in ({"training_rows": "AAAAAAA="}, {"band_scores": {"human": {"V": SCORES}}}):
        assert card_digest(replace(card, **entry)) != card_digest(card)
        check_card(replace(card, **entry), "mine")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"band_scores": [1]}, "not scores under simulated and human"),
        ({"band_scores": {"people": {}}}, "not scores under simulated and human"),
        ({"band_scores": {"human": [1]}}, "not scores by bands, as V.I"),
        ({"band_scores": {"human": {"I+V": SCORES}}}, "not some of NUV, U, B, V, I in this order"),
        ({"band_scores": {"human": {"V+V": SCORES}}}, "not some of NUV"),
        ({"band_scores": {"human": {"": SCORES}}}, "not some of NUV"),
        ({"band_scores": {"human": {3: SCORES}}}, "not some of NUV"),
        ({"band_scores": {"human": {"V": {"n": 3}}}}, "not scores n, accuracy, mean_recall, ece"),
        ({"band_scores": {"human": {"V": SCORES | {"ece": 2}}}}, "not a number from 0 to 1"),
        ({"band_scores": {"human": {"V": SCORES | {"n": True}}}}, "not a number from 0"),
        ({"training_rows": "AAAA"}, "not packed fingerprints"),
        ({"training_rows": None}, "not packed fingerprints"),
    ],
)
def test_the_new_entries_of_a_card_are_checked(entry, message):
    card = replace(ModelCard("mine", "native", "stamps"), **entry)
    with pytest.raises(ValueError, match=message):
        check_card(card, "mine")


def test_patience_is_a_number_of_epochs():
    for wrong in (0, -1, 1.5, "3"):
        with pytest.raises(ValueError, match="patience must be at least one epoch"):
            Recipe(patience=wrong)
    assert Recipe(patience=1).patience == 1


def test_epochs_are_logged_and_nothing_is_printed(stamps, caplog, capfd):
    sample = Sample(stamps, stamps.table["class"])
    train_classifier(sample, name="x", recipe=QUICK)
    assert capfd.readouterr() == ("", "")
    caplog.clear()
    with caplog.at_level(logging.INFO, "astroclust.training"):
        train_classifier(sample, name="x", recipe=QUICK, members=2)
    lines = [record.getMessage() for record in caplog.records if "astroclust" in record.name]
    assert [line.split(":")[0] for line in lines] == [
        "member 1 of 2",
        "epoch 1 of 2",
        "epoch 2 of 2",
        "member 2 of 2",
        "epoch 1 of 2",
        "epoch 2 of 2",
    ]
    assert "validation accuracy" in lines[1]
    assert lines[2].endswith("0 s left")


def test_the_start_may_take_smaller_stamps(stamps):
    labels = np.asarray(stamps.table["class"])
    start = load_classifier("simulated-3")
    wide = replace(stamps, data=np.pad(stamps.data, ((0, 0), (0, 0), (3, 3), (3, 3))))
    found = start_probabilities(start, wide, labels)
    np.testing.assert_array_equal(found, start_probabilities(start, stamps, labels))
    narrow = replace(stamps, data=stamps.data[:, :, 5:-5, 5:-5])
    with pytest.raises(ValueError, match="uses stamps of 50 pixels, but these have 40; cut them"):
        start_probabilities(start, narrow, labels)
