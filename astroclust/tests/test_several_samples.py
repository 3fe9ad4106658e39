# Licensed under a 3-clause BSD style license - see LICENSE.rst
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.utils.exceptions import AstropyUserWarning
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from astroclust import Stamps, load_classifier, save_classifier, train_classifier
from astroclust.instruments import LEGUS_BANDS
from astroclust.training import (
    AUGMENTATIONS,
    Recipe,
    Sample,
    augment_pictures,
    hold_out,
    member_probabilities,
    score_galaxies,
)
from astroclust.training.augmentation import crop_middle
from astroclust.training.domains import Batches, Domain, batch_counts
from astroclust.training.scores import _roc_area
from astroclust.weights import ModelCard
from astroclust.weights.cards import card_text

QUICK = Recipe("native-small", batch_size=32, epochs=2)


def stamps_of(n, *, value=0.0, size=24, seed=0):
    """Stamps of noise around a value."""
    noise = np.random.default_rng(seed).normal(value, 0.02, (n, 5, size, size))
    return Stamps(noise, LEGUS_BANDS.roles)


def labels_of(n):
    return np.resize([1, 4, 2, 3], n)


def sample_of(n, galaxy="", *, size=24, seed=0, **entries):
    stamps = stamps_of(n, size=size, seed=seed)
    stamps.data[:, :, size // 2, size // 2] += labels_of(n)[:, None]
    options = {"name": galaxy.lower(), "description": f"stamps of {galaxy}", **entries}
    return Sample(stamps, labels_of(n), galaxy=galaxy, **options)


def domains_of(*sizes, weights=None, augmentation="turns"):
    """Domains whose targets tell the domain and, in digits, the stamp."""
    weights = [1.0] * len(sizes) if weights is None else weights
    return [
        Domain(
            stamps_of(n),
            np.column_stack([np.full(n, number), np.arange(n)]).astype(np.float32),
            np.arange(n),
            24,
            weight,
            augmentation,
        )
        for number, (n, weight) in enumerate(zip(sizes, weights, strict=True))
    ]


def drawn(batches, epoch):
    batches.epoch = lambda: epoch
    return [batches[i][2].numpy() for i in range(len(batches))]


@given(
    fractions=st.lists(st.floats(0.001, 1), min_size=1, max_size=6),
    size=st.integers(1, 80),
    first=st.integers(0, 1000),
)
def test_batches_are_composed_in_proportion(fractions, size, first):
    fractions = np.array(fractions) / np.sum(fractions)
    counts = batch_counts(fractions, size, first, 400)
    assert (counts.sum(axis=1) == size).all()
    assert (np.abs(counts - fractions * size) < 1 + 1e-9).all()
    np.testing.assert_allclose(counts.mean(axis=0), fractions * size, atol=0.02)
    np.testing.assert_array_equal(counts[100:], batch_counts(fractions, size, first + 100, 300))


def test_each_domain_cycles_through_its_own_order():
    recipe = replace(QUICK, batch_size=20)
    batches = Batches(domains_of(100, 40, 10, weights=[1.0, 1.0, 6.0]), recipe, seed=1)
    assert len(batches) == 7
    targets = drawn(batches, 0)
    assert all(set(batch[:, 0]) == {0, 1, 2} for batch in targets)
    targets = np.concatenate(targets)
    for domain, (n, expected) in enumerate(((100, 70), (40, 28), (10, 42))):
        rows = targets[targets[:, 0] == domain, 1]
        assert abs(len(rows) - expected) <= 2
        counts = np.bincount(rows.astype(int), minlength=n)
        assert counts.max() - counts.min() <= 1  # all of them, before any is drawn again
    assert (np.concatenate(drawn(batches, 1)) != targets).any()
    again = Batches(domains_of(100, 40, 10, weights=[1.0, 1.0, 6.0]), recipe, seed=1)
    np.testing.assert_array_equal(np.concatenate(drawn(again, 0)), targets)


def test_a_single_sample_is_drawn_as_before_and_batches_can_be_asked_for_in_any_order():
    batches = Batches(domains_of(70), QUICK, seed=3)
    order = np.random.default_rng([3, 5]).permutation(70)
    rows = np.concatenate(drawn(batches, 5))[:, 1]
    np.testing.assert_array_equal(rows, order[:64])
    rng = np.random.default_rng([3, 5, 1])
    stamps = batches.domains[0].stamps[order[32:64]]
    from astroclust.stamps import normalize_stamps

    expected = normalize_stamps(AUGMENTATIONS["turns"](stamps, rng))
    np.testing.assert_array_equal(batches[1][0].numpy(), expected)
    small = Batches(domains_of(5, 4), QUICK, seed=3)
    assert len(small) == 1
    assert len(drawn(small, 0)[0]) == 9


def test_validation_goes_through_all_stamps_once():
    batches = Batches(domains_of(40, 3), QUICK)
    targets = np.concatenate([batches[i][2].numpy() for i in range(len(batches))])
    assert targets[:, 0].tolist() == [0] * 40 + [1] * 3
    assert targets[:40, 1].tolist() == list(range(40))


def test_each_domain_has_its_own_augmentation(monkeypatch):
    called = []

    def note(name):
        def change(stamps, rng, *, size=None):
            called.append((name, len(stamps)))
            return crop_middle(stamps, size)

        return change

    for name in ("turns", "pictures"):
        monkeypatch.setitem(AUGMENTATIONS, name, note(name))
    batches = Batches(domains_of(20, 12) + domains_of(32, augmentation="pictures"), QUICK, seed=1)
    drawn(batches, 0)
    assert sum(n for name, n in called if name == "turns") == 32
    assert sum(n for name, n in called if name == "pictures") == 32


@pytest.fixture(scope="module")
def trained():
    samples = hold_out(
        [
            sample_of(40, "NGC 1566", augmentation="pictures", size=32, seed=1),
            sample_of(40, "NGC 628", size=32, seed=2),
            sample_of(24, "NGC 628", size=32, seed=3),
            sample_of(16, "NGC 1433", size=32, seed=4),
            replace(sample_of(24, simulated=True, size=24, weight=0.5), size=24),
        ],
        galaxies=["ngc 0628", "NGC1433"],
    )
    samples = [replace(one, size=24) for one in samples]
    return samples, train_classifier(samples, name="several", recipe=QUICK)


def test_galaxies_are_held_out(trained):
    samples, classifier = trained
    assert [len(one.stamps) for one in samples] == [40, 0, 0, 0, 24]
    assert [one.test_stamps is None for one in samples] == [True, False, False, False, True]
    card = classifier.card
    assert card.training_sample == "40 stamps of NGC 1566; 24 stamps of , weight 0.5"
    assert card.galaxies == ("NGC 1566",)
    assert not card.simulated
    assert card.stamp_size == 24
    assert card.split == "40 stamps of NGC 628; 24 stamps of NGC 628; 16 stamps of NGC 1433"
    scores = card.galaxy_scores
    assert list(scores) == ["NGC 628", "NGC 1433", "all"]
    assert [one["n"] for one in scores.values()] == [64, 16, 80]
    assert card.scores["accuracy"] == pytest.approx(scores["all"]["accuracy"], abs=2e-4)
    mean = (64 * scores["NGC 628"]["accuracy"] + 16 * scores["NGC 1433"]["accuracy"]) / 80
    assert scores["all"]["accuracy"] == pytest.approx(mean, abs=2e-4)
    recalls = [scores["all"][f"recall_{i}"] for i in (1, 2, 3, 4)]
    assert scores["all"]["mean_recall"] == pytest.approx(np.mean(recalls), abs=1e-4)
    stamps = crop_middle(samples[3].test_stamps, 24)
    p = member_probabilities(classifier, stamps)[0]
    area = roc_auc_score(labels_of(16) <= 2, p[:, :2].sum(axis=1))
    assert scores["NGC 1433"]["auc_1_2"] == pytest.approx(area, abs=1e-4)


def test_the_card_keeps_galaxies_and_their_scores(trained, tmp_path):
    card = save_classifier(trained[1], tmp_path / "several.safetensors")
    loaded = load_classifier(tmp_path / "several.safetensors")
    assert loaded.card == card
    assert loaded.card.galaxies == ("NGC 1566",)
    assert '"galaxies": [' in (tmp_path / "several.json").read_text()
    for entry, message in (
        ({"galaxies": ("",)}, "has galaxies .*not names of galaxies"),
        ({"galaxies": "ngc1566"}, "not names of galaxies"),
        ({"galaxy_scores": {"NGC 1": {"n": "3"}}}, "score n '3'.*not a finite number"),
        ({"galaxy_scores": [1]}, "not scores by galaxy"),
    ):
        trained[1].card = replace(card, **entry)
        with pytest.raises(ValueError, match=message):
            save_classifier(trained[1], tmp_path / "wrong.safetensors")
    trained[1].card = card
    # Cards without galaxies keep their hash.
    assert "galax" not in card_text(ModelCard("plain", "native", "nothing"))


def test_a_galaxy_that_the_start_has_seen_is_named(trained):
    samples = [sample_of(40, "NGC 1566", seed=5), sample_of(40, "NGC 7793", seed=6)]
    recipe = replace(QUICK, epochs=1)
    with pytest.warns(AstropyUserWarning, match="several was trained on NGC 1566, so the scores"):
        tuned = train_classifier(
            hold_out(samples, galaxies="ngc1566"), name="t", recipe=recipe, start=trained[1]
        )
    assert tuned.card.galaxies == ("NGC 1566", "NGC 7793")
    tuned = train_classifier(
        hold_out(samples, galaxies="ngc7793"), name="t", recipe=recipe, start=trained[1]
    )
    assert tuned.card.galaxies == ("NGC 1566",)


def test_simulated_stamps_are_scored_apart():
    simulated = hold_out(sample_of(40, simulated=True))
    real = sample_of(40, "NGC 1")
    recipe = replace(QUICK, epochs=1)
    both = train_classifier([simulated, real], name="both", recipe=recipe)
    assert list(both.card.galaxy_scores) == ["simulated"]
    assert both.card.scores["accuracy"] == both.card.galaxy_scores["simulated"]["accuracy"]
    assert not both.card.simulated
    alone = train_classifier([simulated], name="alone", recipe=recipe)
    assert alone.card.simulated
    assert alone.card.galaxy_scores == {}
    scores = score_galaxies(both, [simulated, *hold_out([real], fraction=0.5)])
    assert list(scores) == ["simulated", "NGC 1"]


def test_what_cannot_be_held_out():
    samples = [sample_of(8, "NGC 1"), sample_of(8, "NGC 2")]
    with pytest.raises(
        ValueError, match="no sample is of galaxy NGC 3; available are NGC 1, NGC 2"
    ):
        hold_out(samples, galaxies=["NGC 1", "NGC 3"])
    with pytest.raises(ValueError, match="all galaxies are held out; keep one"):
        hold_out(samples, galaxies=["NGC 1", "NGC 2"])
    with pytest.raises(ValueError, match="out of several samples; pass a list"):
        hold_out(samples[0], galaxies="NGC 1")
    with pytest.raises(ValueError, match="no test sets to score"):
        score_galaxies(load_classifier(), samples)


def test_samples_must_fit_together():
    first = sample_of(8, "NGC 1")
    three = Stamps(first.stamps.data[:, :3], ["NUV", "U", "B"])
    for other, message in (
        (replace(first, stamps=three, name="b"), "sample b has bands NUV, U, B, but sample ngc 1"),
        (sample_of(8, "NGC 2", size=32), "ngc 2 has a stamp width of 32, but sample ngc 1 has 24"),
        (replace(first, scheme="cluster", labels=np.resize([1, 2], 8)), "use labels of one sch"),
    ):
        with pytest.raises(ValueError, match=message):
            train_classifier([first, other], name="x", recipe=QUICK)
    with pytest.raises(TypeError, match="or a list of them, not Stamps"):
        train_classifier([first, first.stamps], name="x")
    with pytest.raises(ValueError, match="no stamps to train on"):
        train_classifier([], name="x")
    for options, message in (
        ({"weight": 0}, "weight must be a positive number, not 0"),
        ({"weight": np.nan}, "weight must be a positive number, not nan"),
        ({"augmentation": "mixup"}, "'mixup'; available are observations, turns, crops"),
        ({"size": 25}, "size must be from 1 to 24, the width of the stamps, not 25"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(first, **options)


_KILLED = """
import os, signal, sys
import torch
from astroclust.tests.test_several_samples import train_in

def die(content, file, save=torch.save, calls=[]):
    calls.append(content)
    if len(calls) == 3:
        file.write(bytes(1000))
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(content, file)

torch.save = die
train_in(sys.argv[1])
"""


def train_in(folder, weight=3.0):
    samples = [sample_of(50, "A", augmentation="pictures"), sample_of(30, "B", weight=weight)]
    recipe = replace(QUICK, epochs=4)
    classifier = train_classifier(samples, name="x", recipe=recipe, seed=3, folder=folder)
    return classifier.networks[0].state_dict()


def test_a_killed_run_on_several_samples_ends_as_one_never_killed(tmp_path):
    code = [sys.executable, "-c", _KILLED, str(tmp_path / "killed")]
    assert subprocess.run(code, env=os.environ).returncode == -signal.SIGKILL
    with pytest.raises(ValueError, match="different data or settings; remove it"):
        train_in(tmp_path / "killed", weight=2.0)
    resumed, weights = train_in(tmp_path / "killed"), train_in(tmp_path / "whole")
    assert all(torch.equal(resumed[name], weights[name]) for name in weights)


def test_pictures_keep_absent_bands_absent_and_lose_others():
    stamps = stamps_of(400, value=50.0, size=40)
    present = np.ones((400, 5), bool)
    present[:, 0] = False
    present[:100, 1:4] = False
    stamps.data[~present] = 0
    stamps.data[5, 4, :10] = np.nan
    stamps = replace(stamps, present=present)
    before = stamps.data.copy()
    changed = augment_pictures(stamps, np.random.default_rng(1), size=24)
    np.testing.assert_array_equal(stamps.data, before)
    assert changed.size == 24
    assert np.isfinite(changed.data).all()
    assert not changed.present[~present].any()
    assert changed.present[:100, 4].all()  # the last band stays
    assert not changed.data[~changed.present].any()
    fewer = (changed.present[100:].sum(axis=1) < 4).mean()
    assert 0.2 < fewer < 0.4
    assert set(changed.present[100:].sum(axis=1)) == {1, 2, 3, 4}
    again = augment_pictures(stamps, np.random.default_rng(1), size=24)
    np.testing.assert_array_equal(again.data, changed.data)


def test_pictures_keep_the_candidate_in_the_middle():
    y, x = np.mgrid[:64, :64] - 31.5
    light = 200 * np.exp(-(x**2 + y**2) / 18)
    stamps = Stamps(np.tile(light, (200, 1, 1, 1)), ["V"])
    changed = augment_pictures(stamps, np.random.default_rng(1), size=32).data[:, 0]
    peak = np.array([np.unravel_index(one.argmax(), one.shape) for one in changed]) - 15.5
    assert np.abs(peak).max() < 5  # shifts, scaled, and noise on a broad top
    assert np.abs(peak.mean(axis=0)).max() < 0.5
    width = (changed > changed.max(axis=(1, 2))[:, None, None] / 2).sum(axis=(1, 2))
    assert width.max() > 2 * width.min()


# Flips crop anywhere, as for pictures of galaxies.
@pytest.mark.parametrize("name", sorted({*AUGMENTATIONS} - {"flips"}))
def test_augmentations_return_the_middle_of_larger_stamps(name):
    y, x = np.mgrid[:48, :48] - 24
    light = np.exp(-(x**2 + y**2) / 8) + np.random.default_rng(2).normal(0, 1e-3, (40, 1, 48, 48))
    stamps = Stamps(light, ["V"])
    changed = AUGMENTATIONS[name](stamps, np.random.default_rng(1), size=24)
    assert changed.data.shape == (40, 1, 24, 24)
    middle = np.nanmax(changed.data[:, 0, 7:17, 7:17], axis=(1, 2))
    assert np.median(middle / np.nanmax(changed.data, axis=(1, 2, 3))) > 0.9


def test_no_stamps_are_augmented():
    empty = stamps_of(4)[:0]
    assert len(augment_pictures(empty, np.random.default_rng(1))) == 0
    absent = Stamps(np.zeros((2, 1, 24, 24)), ["V"])
    assert not augment_pictures(absent, np.random.default_rng(1)).data.any()


@given(st.integers(0, 10_000))
def test_areas_under_the_roc_curve(seed):
    rng = np.random.default_rng(seed)
    chosen, values = rng.random(30) < 0.4, rng.integers(0, 8, 30) / 8
    if chosen.any() and not chosen.all():
        assert _roc_area(chosen, values) == pytest.approx(roc_auc_score(chosen, values))


@pytest.mark.parametrize("n_present", [1, 2, 3])
def test_observations_leave_a_band_of_those_that_there_are(n_present):
    stamps = stamps_of(200, value=5.0)
    present = np.zeros((200, 5), bool)
    present[:, 5 - n_present :] = True
    stamps.data[~present] = 0
    changed = AUGMENTATIONS["observations"](
        replace(stamps, present=present), np.random.default_rng(1)
    )
    assert changed.present.any(axis=1).all()
    assert not changed.present[~present].any()
