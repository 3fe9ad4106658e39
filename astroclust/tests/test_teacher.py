# Licensed under a 3-clause BSD style license - see LICENSE.rst
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.utils.exceptions import AstropyUserWarning
from numpy.testing import assert_allclose

from astroclust import Stamps, train_classifier
from astroclust.instruments import LEGUS_BANDS
from astroclust.networks import create_network
from astroclust.training import Recipe, Sample, seen_rows
from astroclust.training.fitting import _Fit
from astroclust.weights import Classifier, ModelCard

QUICK = Recipe("native-small", batch_size=16, epochs=1)


def sample_of(n=32, seed=0, **entries):
    noise = np.random.default_rng(seed).normal(0, 1, (n, 5, 24, 24))
    return Sample(Stamps(noise, LEGUS_BANDS.roles), np.resize([1, 2, 3, 4], n), **entries)


def teacher_of(members=2, **entries):
    options = {"stamp_size": 24, "max_missing_bands": 4, "members": members, **entries}
    card = ModelCard("teacher", "native-small", "lessons", **options)
    return Classifier(card, [create_network("native-small") for _ in range(members)])


def test_targets_are_mostly_those_of_the_teacher_and_keep_their_weight():
    teacher = teacher_of(temperature=2.0)
    fit = _Fit(create_network("native-small"), QUICK, 4, seed=1, n_batches=1, teacher=teacher)
    fit.on_fit_start()
    pixels, present = torch.randn(6, 5, 24, 24), torch.ones(6, 5)
    targets = 3 * torch.eye(4)[torch.tensor([0, 1, 2, 3, 0, 1])]
    with torch.no_grad():
        scores = torch.stack([one(pixels, present) for one in teacher.networks])
    known = torch.softmax(scores / 2, dim=-1).mean(dim=0)
    taught = fit._taught((pixels, present, targets))
    assert_allclose(taught, 0.3 * targets + 0.7 * 3 * known, atol=1e-5)
    assert_allclose(taught.sum(dim=1), 3 * np.ones(6), rtol=1e-5)
    assert not taught.requires_grad


def test_a_teacher_is_neither_trained_nor_saved(tmp_path):
    teacher = teacher_of()
    before = [one.clone() for one in teacher.networks[0].state_dict().values()]
    classifier = train_classifier(
        sample_of(), name="student", recipe=QUICK, teacher=teacher, folder=tmp_path
    )
    after = teacher.networks[0].state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert len(classifier.networks) == 1
    saved = torch.load(tmp_path / "member-1" / "last.ckpt", weights_only=True)
    assert all(name.startswith("network.") for name in saved["state_dict"])


def test_the_card_of_a_student_names_all_that_its_teacher_has_seen():
    seen = sample_of(16, seed=5, galaxy="NGC 1")
    teacher = train_classifier(seen, name="expert", recipe=QUICK)
    student = train_classifier(
        sample_of(galaxy="NGC 2"), name="student", recipe=QUICK, teacher=teacher
    )
    assert student.card.galaxies == ("NGC 1", "NGC 2")
    assert "; distilled from expert, trained on 16 stamps" in student.card.training_sample
    assert seen_rows(student, seen.stamps).all()


def test_a_test_set_that_the_teacher_has_seen_is_named():
    teacher = teacher_of(galaxies=("NGC 1",))
    test = {"test_stamps": sample_of(8).stamps, "test_labels": sample_of(8).labels}
    with pytest.warns(AstropyUserWarning, match="teacher was trained on NGC 1"):
        train_classifier(
            sample_of(galaxy="NGC 1", **test), name="student", recipe=QUICK, teacher=teacher
        )


def test_a_run_with_another_teacher_does_not_resume(tmp_path):
    options = {"name": "student", "recipe": QUICK, "folder": tmp_path}
    train_classifier(sample_of(), teacher=teacher_of(), **options)
    with pytest.raises(ValueError, match="different data or settings; remove it"):
        train_classifier(sample_of(), **options)
    # Not even with another one that was not saved, either.
    with pytest.raises(ValueError, match="different data or settings; remove it"):
        train_classifier(sample_of(), teacher=teacher_of(), **options)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"bands": ("V", "I")}, "has bands V, I, but the classifier to train has NUV, U, B, V, I"),
        ({"stamp_size": 50}, "has a stamp width of 50, but"),
        ({"normalization": "unit-stamp"}, "has normalization unit-stamp, but"),
    ],
)
def test_a_teacher_must_fit_the_sample(entries, message):
    teacher = teacher_of()
    teacher.card = replace(teacher.card, **entries)
    with pytest.raises(ValueError, match=message):
        train_classifier(sample_of(), name="student", recipe=QUICK, teacher=teacher)
