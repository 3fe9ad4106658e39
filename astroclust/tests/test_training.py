# Licensed under a 3-clause BSD style license - see LICENSE.rst
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from astroclust import Classifier, Stamps, create_network, train_classifier
from astroclust.images import BANDS
from astroclust.training import (
    RECIPES,
    Recipe,
    augment_stamps,
    find_recipe,
    overlapping_groups,
    score_classifier,
    split_rows,
    vote_shares,
)
from astroclust.training.augmentation import crop_stamps, turn_stamps
from astroclust.training.calibration import fit_temperature
from astroclust.training.fitting import _average, _Fit
from astroclust.weights import ModelCard


def _blobs(n, seed):
    """Easy stamps: class 1 is wide, class 4 narrow."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([1, 4], n)
    y, x = np.mgrid[:24, :24] - 12.0
    width = np.where(labels == 1, 3.0, 1.0)[:, None, None]
    light = np.exp(-(x**2 + y**2) / (2 * width**2))
    data = light[:, None] + rng.normal(0, 0.02, (n, 5, 24, 24))
    return Stamps(data, BANDS), labels


ARGUMENTS = {
    "name": "blobs",
    "training_sample": "Gaussians",
    "batch_size": 32,
    "architecture": "native-small",
}


def test_training_learns_and_says_how_well(tmp_path):
    stamps, labels = _blobs(128, 0)
    held_out, held_out_labels = _blobs(64, 1)
    classifier = train_classifier(
        stamps,
        labels,
        held_out=held_out,
        held_out_labels=held_out_labels,
        epochs=8,
        folder=tmp_path,
        **ARGUMENTS,
    )
    probabilities = classifier.probabilities(held_out)[0]
    # Half at the start. Which of the two blobs is which takes longer.
    assert probabilities[:, [0, 3]].sum(axis=1).mean() > 0.7
    classes = probabilities.argmax(axis=1) + 1
    assert classifier.card.scores["accuracy"] == pytest.approx(
        np.mean(classes == held_out_labels), abs=1e-3
    )
    assert classifier.card.stamp_size == 24
    assert (tmp_path / "member-1" / "metrics.csv").exists()


def test_a_run_that_is_whole_is_not_run_again(tmp_path):
    stamps, labels = _blobs(64, 0)
    options = {"held_out": stamps[:8], "held_out_labels": labels[:8], **ARGUMENTS}
    options |= {"epochs": 2, "folder": tmp_path}
    whole = train_classifier(stamps, labels, **options)
    checkpoint = tmp_path / "member-1" / "last.ckpt"
    made = checkpoint.stat().st_mtime_ns
    again = train_classifier(stamps, labels, **options)
    assert checkpoint.stat().st_mtime_ns == made
    pairs = zip(
        whole.networks[0].state_dict().values(),
        again.networks[0].state_dict().values(),
        strict=True,
    )
    assert all(torch.equal(*pair) for pair in pairs)
    with pytest.raises(ValueError, match="other data or settings: remove it"):
        train_classifier(stamps, labels, **{**options, "seed": 5})


def test_members_differ_in_their_seeds():
    stamps, labels = _blobs(64, 0)
    options = {"held_out": stamps, "held_out_labels": labels, "epochs": 1, **ARGUMENTS}
    options["validation_share"] = 0.0  # or members would share one temperature
    pair = train_classifier(stamps, labels, members=2, seed=3, **options)
    second = train_classifier(stamps, labels, seed=4, **options)
    first, last = pair.probabilities(stamps)
    np.testing.assert_array_equal(last, second.probabilities(stamps)[0])
    assert np.abs(first - last).max() > 1e-3
    right = pair.probabilities(stamps).mean(axis=0).argmax(axis=1) + 1 == labels
    assert pair.card.scores["accuracy"] == pytest.approx(right.mean(), abs=1e-3)


def test_labels_are_checked():
    stamps, labels = _blobs(4, 0)
    held_out = {"held_out": stamps, "held_out_labels": labels}
    for wrong, message in (
        (labels[:3], r"one a stamp, shape \(4,\), or chances .* shape \(4, 4\), not \(3,\)"),
        ([1, 1, 4, 5], r"labels \[5\] are not classes"),
        (np.ma.array([1, 1, 4, 4], mask=[0, 0, 0, 1]), "1 masked values: leave those stamps out"),
        (np.zeros((4, 4)), "above 0 for a class in each row"),
    ):
        with pytest.raises(ValueError, match=message):
            train_classifier(stamps, wrong, **held_out, **ARGUMENTS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "sgd"}, "optimizer 'sgd' is not known: there are adamw, adam"),
        ({"schedule": "cosine"}, "schedule 'cosine' is not known: there are one-cycle, constant"),
        ({"augmentation": "mixup"}, "augmentation 'mixup' is not known: there are observations"),
        ({"validation_share": 1}, "from 0 to 1, not 1"),
        ({"validation_share": 0, "patience": 2}, "patience needs a validation_share above 0"),
    ],
)
def test_recipes_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**options)


def test_recipes_have_names():
    assert find_recipe("native", epochs=3) == Recipe(epochs=3)
    with pytest.raises(ValueError, match="recipe 'wei2021' is not known: there are native, wei"):
        find_recipe("wei2021")
    with pytest.raises(TypeError, match="epoch"):
        find_recipe("native", epoch=3)


def test_the_recipes_of_the_paper():
    recipe = RECIPES["wei2020"]
    assert (recipe.architecture, recipe.batch_size) == ("resnet18", 32)
    assert (recipe.optimizer, recipe.learning_rate, recipe.batches) == ("adam", 1e-4, 10_000)
    assert RECIPES["wei2020-vgg19"].architecture == "vgg19_bn"
    assert RECIPES["wei2020-vgg19"].batch_size == 16


def test_a_run_may_be_counted_in_batches(tmp_path):
    stamps, labels = _blobs(64, 0)
    options = {"held_out": stamps, "held_out_labels": labels, **ARGUMENTS}
    train_classifier(
        stamps,
        labels,
        recipe="wei2020",
        batches=3,
        folder=tmp_path,
        **options,
    )
    checkpoint = torch.load(tmp_path / "member-1" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 3


def test_training_ends_when_it_no_longer_helps(tmp_path):
    stamps, labels = _blobs(48, 0)
    # Nothing can change, so that the first epoch remains the best.
    still = {"learning_rate": 0.0, "schedule": "constant", "frozen": 4, "moving_average": False}
    train_classifier(
        stamps,
        labels,
        epochs=9,
        patience=2,
        validation_share=0.3,
        folder=tmp_path,
        **still,
        **ARGUMENTS,
    )
    checkpoint = torch.load(tmp_path / "member-1" / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 2


def test_frozen_blocks_stay_as_they_are():
    stamps, labels = _blobs(64, 0)
    options = {"held_out": stamps, "held_out_labels": labels, "epochs": 1, **ARGUMENTS}
    start = train_classifier(stamps, labels, **options)
    tuned = train_classifier(stamps, labels, start=start, recipe="fine-tune", frozen=4, **options)
    before, after = start.networks[0].state_dict(), tuned.networks[0].state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("head")}
    assert tuned.card.architecture == "native-small"


@pytest.fixture
def loss_of():
    """The loss that a recipe trains with."""

    def make(targets, **changes):
        network = create_network("native-small")
        return _Fit(network, Recipe(**changes), np.float32(targets), seed=0, n_batches=1).loss

    return make


def test_rare_classes_can_count_as_much_as_others(loss_of):
    scores = torch.tensor([[2.0, 0, 0, 0], [0, 0, 0, 1]]).repeat_interleave(5, 0)[3:]
    targets = np.eye(4)[[0, 0, 3, 3, 3, 3, 3]]
    balanced = loss_of(targets, balance=True, label_smoothing=0.0)
    each = -torch.log_softmax(scores, dim=1)
    expected = (each[:2, 0].mean() + each[2:, 3].mean()) / 2
    assert balanced(scores, torch.tensor(targets).argmax(dim=1)).item() == pytest.approx(
        expected.item(), rel=1e-5
    )
    plain = loss_of(targets, balance=False)
    assert plain.weight is None


def test_votes_are_learned_as_probabilities(loss_of):
    shares = [0.7, 0.0, 0.0, 0.3]
    targets = torch.tensor(np.tile(shares, (6, 1)), dtype=torch.float32)
    loss = loss_of(targets, label_smoothing=0.0)
    scores = torch.log(torch.tensor(shares) + 1e-6).repeat(6, 1).requires_grad_()
    loss(scores, targets).backward()
    assert scores.grad.abs().max() < 1e-5  # nothing is better than the votes themselves
    stamps, _ = _blobs(40, 0)
    classifier = train_classifier(stamps, np.tile(shares, (40, 1)), epochs=1, **ARGUMENTS)
    np.testing.assert_allclose(classifier.probabilities(stamps).sum(axis=2), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "mean", "shares"),
    [
        (1, 1.0, [1, 0, 0, 0]),
        (2, 1.67, [1 / 3, 2 / 3, 0, 0]),
        (1, 2.0, [2 / 3, 0, 0, 1 / 3]),
        (3, 2.0, [1 / 3, 1 / 3, 1 / 3, 0]),  # three different votes
        (4, 3.75, [0, 0, 1 / 4, 3 / 4]),  # four experts
        (2, 3.9, [0, 1, 0, 0]),  # no votes have these
    ],
)
def test_votes_follow_from_mode_and_mean(mode, mean, shares):
    np.testing.assert_allclose(vote_shares([mode], [mean])[0], shares, atol=1e-6)


@given(
    n=st.integers(0, 60), share=st.floats(0, 1), seed=st.integers(0, 99), n_groups=st.integers(1, 9)
)
def test_groups_stay_together(n, share, seed, n_groups):
    groups = np.random.default_rng(seed).integers(0, n_groups, n)
    learnt, held_out = split_rows(n, share=share, seed=seed, groups=groups)
    assert sorted([*learnt, *held_out]) == list(range(n))
    assert not set(groups[learnt]) & set(groups[held_out])
    assert len(held_out) <= round(share * n)
    alone = split_rows(n, share=share, seed=seed)[1]
    assert len(alone) == round(share * n)


def test_stamps_that_share_pixels_are_one_group():
    x, y = [10, 50, 90, 141, 10], [10, 20, 10, 10, 75]
    groups = overlapping_groups(x, y, size=50)
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups.tolist())) == 3
    assert len(set(overlapping_groups(x, y, size=50, field=list("abcde")).tolist())) == 5
    with pytest.raises(ValueError, match=r"a value for each of 5 rows: \(2,\)"):
        split_rows(5, share=0.2, seed=1, groups=[1, 2])


def test_temperature_undoes_too_much_confidence():
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1, (1, 20_000, 4))
    chances = np.exp(scores[0]) / np.exp(scores[0]).sum(axis=1, keepdims=True)
    drawn = np.eye(4)[[rng.choice(4, p=chance) for chance in chances]]
    sure = np.exp(2.5 * scores)
    sure /= sure.sum(axis=-1, keepdims=True)
    assert fit_temperature(sure, drawn) == pytest.approx(2.5, rel=0.05)


def test_augmentation_changes_stamps_but_not_the_originals():
    stamps = Stamps(np.random.default_rng(0).normal(5, 1, (300, 5, 24, 24)), BANDS)
    before = stamps.data.copy()
    changed = augment_stamps(stamps, np.random.default_rng(1))
    np.testing.assert_array_equal(stamps.data, before)
    assert changed.data.shape == before.shape
    assert changed.present.any(axis=1).all()
    assert 0.5 < changed.present.mean() < 0.95
    assert not changed.data[~changed.present].any()
    assert np.isnan(changed.data).any()
    again = augment_stamps(stamps, np.random.default_rng(1))
    np.testing.assert_array_equal(again.data, changed.data)


def test_turned_stamps_keep_their_light_and_their_centre():
    stamps, _ = _blobs(20, 0)
    stamps = Stamps(np.roll(stamps.data, 4, axis=3), BANDS)  # a blob beside the centre
    before = stamps.data.copy()
    turned = turn_stamps(stamps, np.random.default_rng(1))
    np.testing.assert_array_equal(stamps.data, before)
    np.testing.assert_allclose(turned.data.sum(axis=(2, 3)), before.sum(axis=(2, 3)), rtol=0.15)
    y, x = np.mgrid[:24, :24] - 11.5
    light = turned.data[:, 0].clip(0.2) - 0.2
    dx, dy = ((light * axis).sum(axis=(1, 2)) / light.sum(axis=(1, 2)) for axis in (x, y))
    np.testing.assert_allclose(np.hypot(dx, dy), np.hypot(4.5, 0.5), atol=0.6)
    assert np.std(np.arctan2(dy, dx)) > 1


def test_cropped_stamps_are_enlarged():
    stamps, labels = _blobs(200, 0)
    stamps = Stamps(stamps.data[labels == 4], BANDS)
    cropped = crop_stamps(stamps, np.random.default_rng(1))
    assert cropped.data.shape == stamps.data.shape
    wider = np.sqrt(
        np.sum(cropped.data > 0.5, axis=(1, 2, 3)) / np.sum(stamps.data > 0.5, axis=(1, 2, 3))
    )
    # A blob of few pixels: what they cover is not exact.
    assert wider.min() == pytest.approx(1, abs=0.3)
    assert 2.5 < wider.max() < 4.6


def test_a_network_that_is_not_watched_learns_the_same(tmp_path):
    stamps, labels = _blobs(64, 0)
    options = {"epochs": 2, "validation_share": 0.0, **ARGUMENTS}
    alone = train_classifier(stamps, labels, **options)
    assert alone.card.scores == {}
    watched = train_classifier(
        stamps, labels, held_out=stamps[:9], held_out_labels=labels[:9], **options
    )
    pairs = zip(
        alone.networks[0].state_dict().values(),
        watched.networks[0].state_dict().values(),
        strict=True,
    )
    assert all(torch.equal(*pair) for pair in pairs)


def test_the_average_forgets_the_first_weights():
    # One step in a long run: an average over a seventh of it would still be the random weights.
    averaged = torch.tensor(0.0)
    for n in range(1, 61):  # Lightning copies the weights in the first step
        averaged = _average(averaged, torch.tensor(1.0), n, window=1000)
    assert averaged > 0.99
    steady = _average(torch.tensor(0.0), torch.tensor(1.0), 10**6, window=100)
    assert steady.item() == pytest.approx(0.01)


def test_scores_count_what_is_missing():
    stamps, labels = _blobs(60, 1)
    # A class for the wide and one for the narrow, told by the first band alone.
    card = ModelCard("first band", "native", "nothing", stamp_size=24, max_missing_bands=1)

    class FirstBand(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(3.0))

        def forward(self, pixels, present):
            wide = (pixels[:, 0, 12, 16] > 0.3) & (present[:, 0] > 0)
            scores = torch.stack([wide, wide & False, wide & False, ~wide], dim=1)
            return self.scale * scores.float()

    scores = score_classifier(Classifier(card, [FirstBand()]), stamps, labels)
    assert scores["accuracy"] == scores["accuracy_without_I"] == 1
    assert scores["recall_1"] == 1
    assert scores["recall_2"] == 0
    assert scores["accuracy_without_NUV"] == pytest.approx(np.mean(labels == 4), abs=1e-4)
    assert scores["accuracy_masked"] < 1
    assert scores["ece"] == pytest.approx(1 - np.exp(3) / (np.exp(3) + 3), abs=1e-3)
    assert "accuracy_without_NUV_U" not in scores
    with pytest.raises(ValueError, match="there are no stamps"):
        score_classifier(Classifier(card, [FirstBand()]), stamps[:0], labels[:0])


_RUN = """
import os, signal, sys
from pathlib import Path
import torch
from astroclust.tests.test_training import ARGUMENTS, _blobs
from astroclust import train_classifier
from astroclust.training.fitting import _Fit

if sys.argv[1] == "kill":
    start = _Fit.on_train_epoch_start

    def stop(fit):
        if fit.current_epoch == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        start(fit)

    _Fit.on_train_epoch_start = stop
stamps, labels = _blobs(80, 0)
for folder in map(Path, sys.argv[2:]):
    classifier = train_classifier(
        stamps, labels, held_out=stamps[:16], held_out_labels=labels[:16], folder=folder,
        epochs=4, seed=3, **ARGUMENTS,
    )
    torch.save(classifier.networks[0].state_dict(), f"{folder}.pt")
"""


def test_a_killed_run_ends_as_one_never_killed(tmp_path):
    def run(how, *names):
        folders = [str(tmp_path / name) for name in names]
        return subprocess.run([sys.executable, "-c", _RUN, how, *folders]).returncode

    assert run("kill", "killed") == -signal.SIGKILL
    assert not (tmp_path / "killed.pt").exists()
    saved = torch.load(tmp_path / "killed" / "member-1" / "last.ckpt", weights_only=True)
    assert saved["epoch"] == 1
    assert run("finish", "killed", "whole") == 0
    resumed, whole = (
        torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("killed", "whole")
    )
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
