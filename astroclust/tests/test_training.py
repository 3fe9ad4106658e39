# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
import torch

from astroclust import Stamps, simulate_stamps, train_classifier
from astroclust.images import BANDS
from astroclust.training import augment_stamps


def _blobs(n, seed):
    """Easy stamps: class 1 is wide, class 4 narrow."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([1, 4], n)
    y, x = np.mgrid[:24, :24] - 12.0
    width = np.where(labels == 1, 3.0, 1.0)[:, None, None]
    light = np.exp(-(x**2 + y**2) / (2 * width**2))
    data = light[:, None] + rng.normal(0, 0.02, (n, 5, 24, 24))
    return Stamps(data, BANDS), labels


ARGUMENTS = {"name": "blobs", "training_sample": "Gaussians", "batch_size": 32}


def test_training_learns_and_says_so(tmp_path):
    stamps, labels = _blobs(256, 0)
    held_out, held_out_labels = _blobs(64, 1)
    classifier = train_classifier(
        stamps,
        labels,
        held_out=held_out,
        held_out_labels=held_out_labels,
        epochs=15,
        folder=tmp_path,
        **ARGUMENTS,
    )
    classes = classifier.probabilities(held_out)[0].argmax(axis=1) + 1
    assert np.mean(classes == held_out_labels) > 0.9
    assert classifier.card.scores["accuracy"] == pytest.approx(
        np.mean(classes == held_out_labels), abs=1e-3
    )
    assert classifier.card.stamp_size == 24
    assert (tmp_path / "member-1" / "metrics.csv").exists()


def test_a_run_goes_on_where_it_was_stopped(tmp_path):
    stamps, labels = _blobs(64, 0)
    held_out = {"held_out": stamps[:8], "held_out_labels": labels[:8]}

    class StopError(Exception):
        pass

    class Fails(type(stamps)):
        """Stamps that fail in the second epoch."""

        calls = 0

        def __getitem__(self, rows):
            Fails.calls += len(np.atleast_1d(rows)) == 32
            if Fails.calls > 2:
                raise StopError
            return super().__getitem__(rows)

    fails = Fails(stamps.data, stamps.filters)
    options = {**held_out, **ARGUMENTS, "epochs": 3, "folder": tmp_path / "a"}
    with pytest.raises(StopError):
        train_classifier(fails, labels, **options)
    assert (tmp_path / "a" / "member-1" / "last.ckpt").exists()
    Fails.calls = -100
    resumed = train_classifier(fails, labels, **options)
    assert Fails.calls == -100 + 4  # two epochs of two batches were left
    whole = train_classifier(stamps, labels, **{**options, "folder": tmp_path / "b"})
    again = train_classifier(stamps, labels, **options)  # nothing is left to do
    for other in (whole, again):
        pairs = zip(
            resumed.networks[0].state_dict().values(),
            other.networks[0].state_dict().values(),
            strict=True,
        )
        assert all(torch.equal(*pair) for pair in pairs)
    with pytest.raises(ValueError, match="other data or settings: remove it"):
        train_classifier(stamps, labels, **{**options, "seed": 5})


def test_members_differ_in_their_seeds():
    stamps, labels = _blobs(64, 0)
    options = {"held_out": stamps, "held_out_labels": labels, "epochs": 1, **ARGUMENTS}
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
    with pytest.raises(ValueError, match=r"one a stamp, shape \(4,\), not \(3,\)"):
        train_classifier(stamps, labels[:3], **held_out, **ARGUMENTS)
    with pytest.raises(ValueError, match=r"labels \[5\] are not classes"):
        train_classifier(stamps, [1, 1, 4, 5], **held_out, **ARGUMENTS)


def test_augmentation_changes_stamps_but_not_the_originals():
    stamps = simulate_stamps(30, seed=1)
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
