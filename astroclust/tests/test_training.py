# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from hypothesis import given
from hypothesis import strategies as st

from astroclust import (
    Stamps,
    classify_table,
    load_classifier,
    save_classifier,
    simulate_stamps,
    train_classifier,
)
from astroclust.instruments import LEGUS_BANDS
from astroclust.locks import only_process
from astroclust.networks import create_network, register_network
from astroclust.tests.test_files import small_files
from astroclust.training import (
    RECIPES,
    Recipe,
    Sample,
    augment_stamps,
    find_recipe,
    overlapping_groups,
    score_classifier,
    split_rows,
    vote_fractions,
)
from astroclust.training.augmentation import crop_stamps, turn_stamps
from astroclust.training.calibration import fit_temperature
from astroclust.training.checkpoints import (
    AtomicCheckpoints,
    LearningCurve,
    check_best,
    find_checkpoint,
)
from astroclust.training.domains import class_weights
from astroclust.training.fitting import _average, _Fit
from astroclust.training.run_folders import claim_folder, recipe_settings
from astroclust.weights import Classifier, ModelCard


def _blobs(n, seed):
    """Easy stamps: class 1 is wide, class 4 narrow."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([1, 4], n)
    y, x = np.mgrid[:24, :24] - 12.0
    width = np.where(labels == 1, 3.0, 1.0)[:, None, None]
    light = np.exp(-(x**2 + y**2) / (2 * width**2))
    data = light[:, None] + rng.normal(0, 0.02, (n, 5, 24, 24))
    return Stamps(data, LEGUS_BANDS.roles), labels


QUICK = Recipe("native-small", batch_size=32, epochs=1)


def _sample(n, **entries):
    stamps, labels = _blobs(n, 0)
    return Sample(stamps, labels, **entries)


def _watched(n):
    """A sample whose test set is the training set."""
    stamps, labels = _blobs(n, 0)
    return Sample(stamps, labels, test_stamps=stamps, test_labels=labels)


def _train(sample, **options):
    return train_classifier(sample, name="blobs", **{"recipe": QUICK, **options})


def test_training_learns_and_says_how_well(tmp_path):
    test_stamps, test_labels = _blobs(64, 1)
    sample = _sample(128, test_stamps=test_stamps, test_labels=test_labels)
    classifier = _train(sample, recipe=replace(QUICK, epochs=8), folder=tmp_path)
    probabilities = classifier.probabilities(test_stamps)[0]
    # Half at the start. Which of the two blobs is which takes longer.
    assert probabilities[:, [0, 3]].sum(axis=1).mean() > 0.7
    classes = probabilities.argmax(axis=1) + 1
    assert classifier.card.scores["accuracy"] == pytest.approx(
        np.mean(classes == test_labels), abs=1e-3
    )
    assert classifier.card.stamp_size == 24
    assert (tmp_path / "member-1" / "metrics.csv").exists()


def test_a_run_that_is_whole_is_not_run_again(tmp_path):
    sample, options = _watched(64), {"recipe": replace(QUICK, epochs=2), "folder": tmp_path}
    whole = _train(sample, **options)
    checkpoint = tmp_path / "member-1" / "last.ckpt"
    made = checkpoint.stat().st_mtime_ns
    again = _train(sample, **options)
    assert checkpoint.stat().st_mtime_ns == made
    pairs = zip(
        whole.networks[0].state_dict().values(),
        again.networks[0].state_dict().values(),
        strict=True,
    )
    assert all(torch.equal(*pair) for pair in pairs)
    with pytest.raises(ValueError, match="different data or settings; remove it"):
        _train(sample, **options, seed=5)


def test_members_differ_in_their_seeds():
    sample = _watched(64)
    stamps, labels = sample.stamps, sample.labels
    recipe = replace(QUICK, validation_fraction=0.0)  # or members would share one temperature
    pair = _train(sample, recipe=recipe, members=2, seed=3)
    second = _train(sample, recipe=recipe, seed=4)
    first, last = pair.probabilities(stamps)
    np.testing.assert_array_equal(last, second.probabilities(stamps)[0])
    assert np.abs(first - last).max() > 1e-3
    right = pair.probabilities(stamps).mean(axis=0).argmax(axis=1) + 1 == labels
    assert pair.card.scores["accuracy"] == pytest.approx(right.mean(), abs=1e-3)


def test_labels_are_checked():
    sample = _watched(4)
    for wrong, message in (
        ([1, 1, 4, 5], r"labels \[5\] are not classes"),
        (np.ma.array([1, 1, 4, 4], mask=[0, 0, 0, 1]), "1 masked values; exclude those rows"),
        (np.zeros((4, 4)), "non-zero sum in each row"),
    ):
        with pytest.raises(ValueError, match=message):
            _train(replace(sample, labels=wrong))
    with pytest.raises(
        TypeError,
        match=r"must be a Sample, such as Sample\(stamps, labels\), or a list .* not S",
    ):
        _train(sample.stamps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "lbfgs"}, "unknown optimizer 'lbfgs'; available are adamw, adam, sgd"),
        ({"schedule": "cosine"}, "unknown schedule 'cosine'; available are one-cycle, constant"),
        ({"augmentation": "mixup"}, "unknown augmentation 'mixup'; available are observations"),
        ({"validation_fraction": 1}, "at least 0 and below 1, not 1"),
        (
            {"validation_fraction": 0, "patience": 2},
            "patience requires a validation_fraction above 0",
        ),
    ],
)
def test_recipes_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**options)


def test_recipes_have_names():
    assert find_recipe("native") == find_recipe(Recipe()) == Recipe()
    with pytest.raises(ValueError, match="unknown recipe 'wei2021'; available are native, wei"):
        find_recipe("wei2021")
    with pytest.raises(TypeError, match="recipe must be a name or a Recipe, not 3"):
        find_recipe(3)


def test_the_recipes_of_the_paper():
    recipe = RECIPES["wei2020"]
    assert (recipe.architecture, recipe.batch_size) == ("resnet18", 32)
    assert (recipe.optimizer, recipe.learning_rate, recipe.batches) == ("adam", 1e-4, 10_000)
    assert RECIPES["wei2020-vgg19"].architecture == "vgg19_bn"
    assert RECIPES["wei2020-vgg19"].batch_size == 16


def test_a_run_may_be_counted_in_batches(tmp_path):
    recipe = replace(RECIPES["wei2020"], architecture="native-small", batches=3)
    _train(_watched(64), recipe=recipe, folder=tmp_path)
    checkpoint = torch.load(tmp_path / "member-1" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 3


def test_training_ends_when_it_no_longer_helps(tmp_path):
    # Nothing can change, so that the first epoch remains the best.
    still = replace(QUICK, learning_rate=0.0, schedule="constant", frozen=4, moving_average=False)
    recipe = replace(still, epochs=9, patience=2, validation_fraction=0.3)
    _train(_sample(48), recipe=recipe, folder=tmp_path)
    checkpoint = torch.load(tmp_path / "member-1" / "last.ckpt", weights_only=True)
    assert checkpoint["epoch"] == 2


def test_frozen_blocks_stay_as_they_are():
    sample = _sample(64, description="Gaussians", simulated=True)
    start = _train(sample)
    assert start.card.simulated
    tuned = _train(
        replace(sample, simulated=False),
        start=start,
        recipe=replace(RECIPES["fine-tune"], epochs=1, frozen=4),
    )
    assert not tuned.card.simulated
    assert tuned.card.training_sample == "64 Gaussians; from blobs, trained on 64 Gaussians"
    before, after = start.networks[0].state_dict(), tuned.networks[0].state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if name.startswith("head")}
    assert tuned.card.architecture == "native-small"
    with pytest.raises(ValueError, match="frozen=5 leaves nothing to train in a network of 5 bl"):
        _train(sample, recipe=replace(QUICK, frozen=5))


class Brightest(torch.nn.Module):
    """A network of a user, with two layers that share their weights."""

    def __init__(self, n_bands, n_classes):
        super().__init__()
        self.first, self.second = torch.nn.Linear(n_bands, 8), torch.nn.Linear(8, 8)
        self.third, self.head = torch.nn.Linear(8, 8), torch.nn.Linear(8, n_classes)
        self.third.weight = self.second.weight
        self.input_size = 50, 50  # many networks of others have one

    def forward(self, pixels, present):
        features = self.first(pixels.amax(dim=(2, 3)) * present)
        return self.head(self.third(self.second(features)))


def test_a_network_of_a_user_is_trained_and_saved_and_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr("astroclust.networks._REGISTERED", {})
    register_network("brightest", Brightest)
    sample, path = _watched(64), tmp_path / "mine.safetensors"
    trained = _train(sample, recipe=replace(QUICK, architecture="brightest"))
    assert trained.card.architecture == "brightest"
    save_classifier(trained, path)
    loaded = load_classifier(path)
    np.testing.assert_array_equal(
        loaded.probabilities(sample.stamps), trained.probabilities(sample.stamps)
    )
    table = Table({"x": [30.0], "y": [20.0]})
    images = {"F555W": np.random.default_rng(0).normal(size=(50, 50))}
    assert classify_table(table, images, model=loaded)["class"][0] in (1, 2, 3, 4)
    monkeypatch.setattr("astroclust.networks._REGISTERED", {})
    with pytest.raises(ValueError, match=r"mine\.safetensors is invalid: .*register_network"):
        load_classifier(path)
    register_network("brightest", Brightest)  # as the message says
    assert load_classifier(path).card == loaded.card
    register_network("brightest", lambda n_bands, _: Brightest(n_bands, 7))
    with pytest.raises(
        ValueError, match=r"'brightest' returns shape \(2, 7\) for 2 stamps, not \(2, 4"
    ):
        _train(sample, recipe=replace(QUICK, architecture="brightest"))


@pytest.fixture
def loss_of():
    """The loss that a recipe trains with."""

    def make(targets, **changes):
        network = create_network("native-small")
        return _Fit(network, Recipe(**changes), np.shape(targets)[1], seed=0, n_batches=1).loss

    return make


@pytest.mark.parametrize(("mix", "fractions"), [("equal", [0.5, 0.5]), ((0.2, 0.8), [0.2, 0.8])])
def test_classes_count_in_the_loss_as_the_recipe_says(mix, fractions):
    targets = np.eye(2)[[0, 0, 1, 1, 1, 1, 1]]
    weights = class_weights(targets, mix)
    assert (targets * weights).mean(axis=0) == pytest.approx(fractions, rel=1e-5)


def test_a_class_without_stamps_has_no_weight_to_be_lost():
    assert class_weights(np.eye(3)[[0, 0, 1]], "equal") == pytest.approx([0.75, 1.5, 1.5])
    assert class_weights(np.eye(3)[[0, 0, 1]], None) is None


def test_a_class_mix_must_fit_the_classes():
    with pytest.raises(ValueError, match="3 fractions, but there are 2 classes"):
        class_weights(np.eye(2), (0.2, 0.3, 0.5))
    for mix in ("flat", (0.5, 0.6), (0.0, 1.0)):
        with pytest.raises(ValueError, match='must be "equal" or fractions above 0'):
            Recipe(class_mix=mix)


def test_votes_are_learned_as_probabilities(loss_of):
    fractions = [0.7, 0.0, 0.0, 0.3]
    targets = torch.tensor(np.tile(fractions, (6, 1)), dtype=torch.float32)
    loss = loss_of(targets, label_smoothing=0.0)
    scores = torch.log(torch.tensor(fractions) + 1e-6).repeat(6, 1).requires_grad_()
    loss(scores, targets).backward()
    assert scores.grad.abs().max() < 1e-5  # nothing is better than the votes themselves
    stamps, _ = _blobs(40, 0)
    classifier = _train(Sample(stamps, np.tile(fractions, (40, 1))))
    np.testing.assert_allclose(classifier.probabilities(stamps).sum(axis=2), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("mode", "mean", "fractions"),
    [
        (1, 1.0, [1, 0, 0, 0]),
        (2, 1.67, [1 / 3, 2 / 3, 0, 0]),
        (1, 2.0, [2 / 3, 0, 0, 1 / 3]),
        (3, 2.0, [1 / 3, 1 / 3, 1 / 3, 0]),  # three different votes
        (4, 3.75, [0, 0, 1 / 4, 3 / 4]),  # four experts
        (2, 3.9, [0, 1, 0, 0]),  # no votes have these
    ],
)
def test_votes_follow_from_mode_and_mean(mode, mean, fractions):
    np.testing.assert_allclose(vote_fractions([mode], [mean])[0], fractions, atol=1e-6)


@given(
    n=st.integers(0, 60),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 99),
    n_groups=st.integers(1, 9),
)
def test_groups_stay_together(n, fraction, seed, n_groups):
    groups = np.random.default_rng(seed).integers(0, n_groups, n)
    training, held_out = split_rows(n, fraction=fraction, seed=seed, groups=groups)
    assert sorted([*training, *held_out]) == list(range(n))
    assert not set(groups[training]) & set(groups[held_out])
    assert len(held_out) <= round(fraction * n)
    alone = split_rows(n, fraction=fraction, seed=seed)[1]
    assert len(alone) == round(fraction * n)


def test_a_stratified_split_has_the_numbers_of_wei_2020():
    table_1, fifths = (1271, 1013, 738, 2125), (254, 202, 147, 425)
    labels = np.repeat([1, 2, 3, 4], table_1)
    training, held_out = split_rows(len(labels), fraction=0.2, seed=1, strata=labels)
    assert sorted([*training, *held_out]) == list(range(len(labels)))
    assert tuple(np.bincount(labels[held_out])[1:]) == fifths
    other = split_rows(len(labels), fraction=0.2, seed=2, strata=labels)[1]
    assert len(set(other) & set(held_out)) < 400
    with pytest.raises(ValueError, match=r"strata must have one value for each of 5 rows"):
        split_rows(5, fraction=0.2, seed=1, strata=labels)


@given(n=st.integers(0, 60), fraction=st.floats(0, 1), seed=st.integers(0, 99))
def test_strata_and_groups_together(n, fraction, seed):
    groups, strata = np.random.default_rng(seed).integers(0, [[9], [3]], (2, n))
    training, held_out = split_rows(n, fraction=fraction, seed=seed, groups=groups, strata=strata)
    assert sorted([*training, *held_out]) == list(range(n))
    assert not set(groups[training]) & set(groups[held_out])
    for value in range(3):
        assert np.sum(strata[held_out] == value) <= fraction * np.sum(strata == value) + 1e-6


def test_stamps_that_share_pixels_are_one_group():
    x, y = [10, 50, 90, 141, 10], [10, 20, 10, 10, 75]
    groups = overlapping_groups(x, y, size=50)
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups.tolist())) == 3
    assert len(set(overlapping_groups(x, y, size=50, field=list("abcde")).tolist())) == 5
    with pytest.raises(ValueError, match=r"groups must have one value for each of 5 rows.* \(2,\)"):
        split_rows(5, fraction=0.2, seed=1, groups=[1, 2])


def test_temperature_undoes_too_much_confidence():
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 1, (1, 20_000, 4))
    probabilities = np.exp(scores[0]) / np.exp(scores[0]).sum(axis=1, keepdims=True)
    drawn = np.eye(4)[[rng.choice(4, p=probability) for probability in probabilities]]
    sure = np.exp(2.5 * scores)
    sure /= sure.sum(axis=-1, keepdims=True)
    assert fit_temperature(sure, drawn) == pytest.approx(2.5, rel=0.05)


def test_augmentation_changes_stamps_but_not_the_originals():
    stamps = Stamps(np.random.default_rng(0).normal(5, 1, (300, 5, 24, 24)), LEGUS_BANDS.roles)
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


def test_turned_stamps_keep_their_light_and_their_center():
    stamps, _ = _blobs(20, 0)
    stamps = Stamps(np.roll(stamps.data, 4, axis=3), LEGUS_BANDS.roles)  # a blob beside the center
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
    stamps = Stamps(stamps.data[labels == 4], LEGUS_BANDS.roles)
    cropped = crop_stamps(stamps, np.random.default_rng(1))
    assert cropped.data.shape == stamps.data.shape
    wider = np.sqrt(
        np.sum(cropped.data > 0.5, axis=(1, 2, 3)) / np.sum(stamps.data > 0.5, axis=(1, 2, 3))
    )
    # A blob of few pixels: what they cover is not exact.
    assert wider.min() == pytest.approx(1, abs=0.3)
    assert 2.5 < wider.max() < 4.6


def test_a_network_that_is_not_watched_learns_the_same(tmp_path):
    recipe = replace(QUICK, epochs=2, validation_fraction=0.0)
    alone = _train(_sample(64), recipe=recipe)
    assert alone.card.scores == {}
    watched = _train(_watched(64), recipe=recipe)
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
    assert "recall_2" not in scores
    assert scores["accuracy_without_NUV"] == pytest.approx(np.mean(labels == 4), abs=1e-4)
    assert scores["accuracy_masked"] > 0.9
    assert scores["ece"] == pytest.approx(1 - np.exp(3) / (np.exp(3) + 3), abs=1e-3)
    assert "accuracy_without_NUV_U" not in scores
    with pytest.raises(ValueError, match="no stamps to score"):
        score_classifier(Classifier(card, [FirstBand()]), stamps[:0], labels[:0])


# A training that is killed in the middle of its third checkpoint.
_KILLED = """
import os, signal, sys
import torch
from astroclust.tests.test_training import train_in

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


def train_in(folder):
    recipe = replace(QUICK, epochs=4)
    classifier = _train(_watched(80), recipe=recipe, seed=3, folder=folder)
    return classifier.networks[0].state_dict(), Path(folder, "member-1", "metrics.csv").read_text()


@pytest.fixture
def another_disk(tmp_path):
    """A folder on another file system than the tests, if there is one."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no other file system is available")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield folder


def test_a_killed_run_ends_as_one_never_killed(tmp_path, another_disk, monkeypatch):
    code = [sys.executable, "-c", _KILLED, str(tmp_path / "killed")]
    done = subprocess.run(code, env=os.environ | {"TMPDIR": another_disk})
    assert done.returncode == -signal.SIGKILL
    folder = tmp_path / "killed" / "member-1"
    assert len(list(folder.glob(".*.part-last.ckpt"))) == 1
    assert torch.load(folder / "last.ckpt", weights_only=True)["epoch"] == 1
    # As if the machine had failed, too.
    with open(folder / "last.ckpt", "r+b") as file:
        file.truncate(1000)
    monkeypatch.setattr(tempfile, "tempdir", another_disk)
    with pytest.warns(
        AstropyUserWarning,
        match=r"last\.ckpt is damaged .*from the previous checkpoint, previous\.ckpt",
    ):
        resumed, log = train_in(tmp_path / "killed")
    weights, whole_log = train_in(tmp_path / "whole")
    assert all(torch.equal(resumed[name], weights[name]) for name in weights)
    assert log == whole_log
    assert not list(folder.glob(".*.part-*"))


def test_a_second_process_is_told(tmp_path):
    sample = _sample(32)
    with only_process(tmp_path), pytest.raises(OSError, match=f"{tmp_path} is in use by another"):
        _train(sample, folder=tmp_path)
    _train(sample, folder=tmp_path)  # as the message says


def _checkpoint(path, step):
    content = {"state_dict": {"weight": torch.full((100,), float(step))}, "optimizer_states": []}
    AtomicCheckpoints().save_checkpoint(content | {"global_step": step, "epoch": step}, path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:500],
        lambda content: content.replace(np.float32([2.0] * 9).tobytes(), bytes(36)),
        lambda content: b"no checkpoint",
    ],
)
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    last, previous = tmp_path / "last.ckpt", tmp_path / "previous.ckpt"
    assert find_checkpoint(tmp_path) is None
    for step in (1, 2):
        _checkpoint(last, step)
    assert find_checkpoint(tmp_path) == last
    last.write_bytes(damage(last.read_bytes()))
    with pytest.warns(
        AstropyUserWarning,
        match=r"last\.ckpt is damaged .*resuming from the previous checkpoint, previous",
    ):
        assert find_checkpoint(tmp_path) == previous
    previous.write_bytes(b"")
    with pytest.raises(
        OSError, match=rf"last\.ckpt .*previous\.ckpt .*remove {tmp_path} to restart the training"
    ):
        find_checkpoint(tmp_path)
    last.unlink()
    previous.unlink()
    assert find_checkpoint(tmp_path) is None
    # A kill between the two renames.
    _checkpoint(last, 1)
    last.rename(previous)
    assert find_checkpoint(tmp_path) == previous


def test_a_best_checkpoint_that_is_damaged(tmp_path):
    check_best(tmp_path)
    _checkpoint(tmp_path / "best.ckpt", 1)
    check_best(tmp_path)
    assert not (tmp_path / "previous.ckpt").exists()
    torch.save({"other": 1}, tmp_path / "best.ckpt")
    with pytest.raises(OSError, match=r"best\.ckpt is damaged \(it lacks epoch, global_step"):
        check_best(tmp_path)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path):
    last = tmp_path / "last.ckpt"
    _checkpoint(last, 1)
    content = {"state_dict": torch.zeros(100_000)}
    with small_files(), pytest.raises(OSError, match=r"cannot write .*last\.ckpt: File too large"):
        AtomicCheckpoints().save_checkpoint(content, last)
    assert torch.load(find_checkpoint(tmp_path), weights_only=True)["epoch"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_learning_curve_is_continued(tmp_path):
    path = tmp_path / "metrics.csv"
    curve = LearningCurve(path)
    for epoch in range(3):
        curve.log_metrics({"epoch": epoch, "validation_loss": torch.tensor(1.0)}, epoch * 4)
        curve.log_metrics({"epoch": epoch, "loss": 2.0}, epoch * 4)
    before = path.read_text()
    curve = LearningCurve(path)  # of a run that was complete, nothing is logged
    assert path.read_text() == before
    curve.log_metrics({"epoch": 1, "loss": 5.0}, 4)
    log = Table.read(path, format="ascii.csv")
    assert log["epoch"].tolist() == [0, 0, 1]
    assert log["loss"].tolist() == [None, 2, 5]
    path.write_text("nothing\n1\n")
    with pytest.raises(ValueError, match="damaged; remove it"):
        LearningCurve(path).log_metrics({"epoch": 1, "loss": 5.0}, 4)
    path.unlink()
    LearningCurve(path).log_metrics({"epoch": 1, "loss": 5.0}, 4)


def test_training_leaves_the_process_as_it_was(tmp_path):
    def state():
        loggers = [logging.getLogger(name) for name in sorted(logging.root.manager.loggerDict)]
        levels = {one.name: (one.level, len(one.handlers), len(one.filters)) for one in loggers}
        known = {name: levels[name] for name in levels if name.startswith("lightning")}
        signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        return (
            random.getstate(),
            str(np.random.get_state()),  # noqa: NPY002
            torch.get_rng_state().tolist(),
            dict(os.environ),
            torch.get_num_threads(),
            list(warnings.filters),
            known,
            signals,
        )

    sample, before = _sample(64), state()
    _train(sample)
    assert state() == before
    assert not list(tmp_path.iterdir())


def test_ctrl_c_is_that_of_python(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("astroclust.training.fitting._Fit.training_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        _train(_sample(64), folder=tmp_path)
    assert signal.getsignal(signal.SIGINT) is handler


def test_settings_that_are_damaged(tmp_path):
    (tmp_path / "member-1").mkdir()
    (tmp_path / "member-1" / "settings.json").write_text("{")
    sample = _sample(64)
    with pytest.raises(ValueError, match="different data or settings; remove it"):
        _train(sample, folder=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot create the folder .*file.*choose another one"):
        _train(sample, folder=tmp_path / "file")
    with pytest.raises(ValueError, match="name '', which is not a name"):
        train_classifier(sample, name="", recipe=QUICK)


def test_a_run_of_an_earlier_version_is_resumed(tmp_path):
    settings = {**recipe_settings(QUICK), "data": "the same"}
    claim_folder(tmp_path, settings)
    record = tmp_path / "settings.json"
    record.write_text(record.read_text().replace("validation_fraction", "validation_share"))
    assert "validation_fraction" not in json.loads(record.read_text())
    claim_folder(tmp_path, settings)
    with pytest.raises(ValueError, match="different data or settings; remove it"):
        claim_folder(tmp_path, settings | {"validation_fraction": "0.5"})


def test_a_start_takes_stamps_in_its_bands_and_keeps_the_meaning_of_the_labels():
    start = load_classifier()
    stamps = simulate_stamps(8, seed=1)
    three = Stamps(stamps.data[:, :3], stamps.filters[:3])
    labels = stamps.table["class"]
    with pytest.raises(ValueError, match=r"uses bands NUV, .* has NUV, U, B; cut stamps in its"):
        train_classifier(Sample(three, labels), name="mine", start=start)
    sample = Sample(stamps, labels, scheme="phangs")
    recipe = Recipe(epochs=1, validation_fraction=0)
    tuned = train_classifier(sample, name="mine", recipe=recipe, start=start)
    assert tuned.card.classes.name == "phangs"
