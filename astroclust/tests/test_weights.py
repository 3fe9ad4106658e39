# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from astroclust import (
    Classifier,
    create_network,
    list_classifiers,
    load_classifier,
    make_stamps,
    save_classifier,
)
from astroclust.weights import (
    ModelBandsError,
    ModelCard,
    ModelClassesError,
    ModelHashError,
    ModelKeysError,
)
from astroclust.weights.sources import bundle


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(2)
    card = ModelCard("mine", "native", "two networks of random weights", members=2)
    classifier = Classifier(card, [create_network("native") for _ in range(2)])
    save_classifier(classifier, tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors", classifier


def _change_card(path, **entries):
    card = path.with_suffix(".json")
    card.write_text(json.dumps({**json.loads(card.read_text()), **entries}))


def _change_weights(path, change):
    """Change the weights and sign them anew, as somebody would who means well."""
    import hashlib

    weights = load_file(path)
    change(weights)
    save_file(weights, path)
    _change_card(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def test_what_is_saved_is_loaded(saved, field):
    path, classifier = saved
    stamps = make_stamps(field.truth[:5], field.images)
    for name in (path, str(path), path.with_suffix(".json")):
        again = load_classifier(name)
        assert again.card.training_sample == classifier.card.training_sample
        np.testing.assert_allclose(
            again.probabilities(stamps), classifier.probabilities(stamps), atol=1e-6
        )
    assert again.probabilities(stamps).shape == (2, 5, 4)
    assert load_classifier(classifier) is classifier
    # Both can be read by the same people.
    assert path.stat().st_mode == path.with_suffix(".json").stat().st_mode


def test_files_are_not_replaced_unless_asked(saved):
    path, classifier = saved
    with pytest.raises(FileExistsError):
        save_classifier(classifier, path)
    assert save_classifier(classifier, path, overwrite=True).members == 2
    with pytest.raises(ValueError, match=r"ending in \.safetensors"):
        save_classifier(classifier, path.with_suffix(".pt"))


def test_another_hash(saved):
    path, _ = saved
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelHashError, match="fetch both again"):
        load_classifier(path)


def test_other_keys(saved):
    path, _ = saved
    _change_card(path, members=1)
    with pytest.raises(ModelKeysError, match="holds 2 networks, its card says 1"):
        load_classifier(path)
    _change_card(path, members=2)
    _change_weights(path, lambda weights: weights.pop("1.norm.weight"))
    with pytest.raises(ModelKeysError, match=r"1 are missing \['norm.weight'\]"):
        load_classifier(path)
    _change_weights(path, lambda weights: weights.update({"1.norm.weight": torch.ones(3)}))
    with pytest.raises(ModelKeysError, match=r"norm.weight has shape \(3,\), not \(16,\)"):
        load_classifier(path)


@pytest.mark.parametrize("bands", [["NUV", "U"], ["NUV", "U", "B", "V", "K"], ["V"] * 5, []])
def test_other_bands(saved, bands):
    path, _ = saved
    _change_card(path, bands=bands)
    with pytest.raises(ModelBandsError, match="bands"):
        load_classifier(path)


@pytest.mark.parametrize("classes", [{"1": "cluster", "2": "other"}, {"1": "cluster"}])
def test_other_classes(saved, classes):
    path, _ = saved
    _change_card(path, classes=classes)
    with pytest.raises(ModelClassesError, match="classes"):
        load_classifier(path)


def test_other_files(saved, tmp_path):
    path, _ = saved
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_classifier(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="no classifier 'none'"):
        load_classifier("none")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({}))
    with pytest.raises(ValueError, match="looks like a pickle"):
        load_classifier(tmp_path / "evil.pt")
    with pytest.raises(TypeError, match="model must be a name, a path or a Classifier, not 3"):
        load_classifier(3)
    _change_card(path, stamp_size=0)
    with pytest.raises(ValueError, match="stamp_size 0, which is not positive"):
        load_classifier(path)
    _change_card(path, stamp_size=50, normalization="zscale")
    with pytest.raises(ValueError, match="normalization 'zscale'"):
        load_classifier(path)
    path.with_suffix(".json").write_text('{"surprise": 1}')
    with pytest.raises(ValueError, match="not a model card"):
        load_classifier(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match=r"card .*mine\.json is missing"):
        load_classifier(path)


def test_a_pickle_in_disguise_is_refused(saved):
    import hashlib

    path, _ = saved
    path.write_bytes(pickle.dumps({"0.norm.weight": 1}))
    _change_card(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match="is not a safetensors file"):
        load_classifier(path)


def test_stamps_must_fit(field):
    classifier = load_classifier()
    with pytest.raises(ValueError, match="takes stamps of 50 pixels, these have 25"):
        classifier.probabilities(make_stamps(field.truth[:1], field.images, size=25))
    with pytest.raises(ValueError, match="takes bands"):
        classifier.probabilities(make_stamps(field.truth[:1], field.images, bands=("V",)))


def test_the_bundled_cards():
    cards = list_classifiers()
    assert cards["simulated-3"].simulated
    assert "simulate_stamps" in cards["simulated-3"].training_sample
    for name in cards:
        assert (bundle() / f"{name}.safetensors").stat().st_size < 10e6
        assert load_classifier(name).card.name == name


def test_a_device_without_memory_gets_smaller_batches(field, monkeypatch):
    classifier = load_classifier()
    stamps = make_stamps(field.truth[:7], field.images)
    wanted, compute = classifier.probabilities(stamps), Classifier._compute

    def scarce(self, stamps):
        if len(stamps) > 2:
            raise torch.OutOfMemoryError("out of memory")
        return compute(self, stamps)

    monkeypatch.setattr(Classifier, "_compute", scarce)
    np.testing.assert_allclose(classifier.probabilities(stamps), wanted, atol=1e-5)

    def none(self, stamps):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(Classifier, "_compute", none)
    with pytest.raises(torch.OutOfMemoryError):
        classifier.probabilities(stamps)


def test_classifying_leaves_the_classifier_as_it_is(field):
    classifier = load_classifier()
    prepared = classifier.prepared()
    stamps = make_stamps(field.truth[:3], field.images)
    np.testing.assert_allclose(
        prepared.probabilities(stamps), classifier.probabilities(stamps), atol=1e-5
    )
    assert prepared.card is classifier.card
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in classifier.networks[0].stages.modules())
