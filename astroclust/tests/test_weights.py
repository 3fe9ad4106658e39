# Licensed under a 3-clause BSD style license - see LICENSE.rst
import hashlib
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from astroclust import load_classifier, make_stamps, save_classifier
from astroclust.instruments import find_band_system, find_class_scheme
from astroclust.networks import create_network
from astroclust.tests.test_files import small_files
from astroclust.weights import (
    Classifier,
    ModelBandsError,
    ModelCard,
    ModelClassesError,
    ModelHashError,
    ModelKeysError,
    list_classifiers,
    sign_classifier,
)
from astroclust.weights.cards import card_digest, read_card
from astroclust.weights.mixed_precision import reference_stamps
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


def _sign(path, weights=None, metadata=None):
    """Sign weights and card anew, without a look at either."""
    if metadata is None:
        metadata = {"card_sha256": card_digest(read_card(path.with_suffix(".json")))}
    path.write_bytes(save(load_file(path) if weights is None else weights, metadata))
    _change_card(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def _change_weights(path, change):
    """Change the weights and sign them anew, as somebody would who means well."""
    weights = load_file(path)
    change(weights)
    _sign(path, weights)


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
    with pytest.raises(ValueError, match=r"end in \.safetensors"):
        save_classifier(classifier, path.with_suffix(".pt"))


def test_another_hash(saved):
    path, _ = saved
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelHashError, match=r"has sha256 .*copy both from their source again"):
        load_classifier(path)


def _named(names):
    """The entry of classes with these names."""
    return {"classes": {"name": "mine", "names": names}}


def test_a_card_belongs_to_its_weights(saved):
    path, _ = saved
    card = path.with_suffix(".json")
    original = card.read_text()
    names = json.loads(original)["classes"]["names"]
    for entries in (
        _named({"1": "star", "2": "cluster", "3": "other", "4": "nothing"}),
        _named(dict(reversed(names.items()))),  # another order
        {"temperature": 2.0},
        {"scores": {"accuracy": 1.0}},
    ):
        card.write_text(original)
        _change_card(path, **entries)
        with pytest.raises(ModelHashError, match=r"another card.*sign them with astroclust\."):
            load_classifier(path)
    # As the message says: the last change was meant.
    assert sign_classifier(path).scores == {"accuracy": 1.0}
    assert load_classifier(path).card.scores == {"accuracy": 1.0}
    # The layout of the file does not matter.
    card.write_text(json.dumps(json.loads(card.read_text()), indent=7, sort_keys=True))
    assert load_classifier(path).card.scores == {"accuracy": 1.0}


def test_a_card_of_an_earlier_version(saved):
    path, classifier = saved
    classifier.card = replace(classifier.card, license="CC-BY-4.0")
    save_classifier(classifier, path, overwrite=True)
    card = path.with_suffix(".json")
    card.write_text(card.read_text().replace('"license"', '"licence"'))
    assert load_classifier(path).card.license == "CC-BY-4.0"
    assert sign_classifier(path).license == "CC-BY-4.0"
    assert set(json.loads(card.read_text())) & {"licence", "license"} == {"license"}
    _change_card(path, licence="MIT")  # beside the other
    with pytest.raises(ValueError, match="unknown entries licence"):
        load_classifier(path)


def test_weights_that_do_not_name_their_card(saved):
    path, classifier = saved
    _sign(path, metadata={})
    with pytest.raises(
        ModelHashError, match=r"does not have the hash of its card.*sign_classifier"
    ):
        load_classifier(path)
    sign_classifier(path)
    again = load_classifier(path).networks[1].state_dict()
    wanted = classifier.networks[1].state_dict()
    assert all(torch.equal(again[name], wanted[name]) for name in wanted)
    with pytest.raises(ValueError, match=r"does not end in \.safetensors"):
        sign_classifier(path.with_suffix(".json"))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"name": ""}, "name '', which is not a name"),
        ({"name": "two\nlines"}, "which is not a single line of text"),
        ({"training_sample": 3}, "training_sample 3, which is not a single line of text"),
        ({"architecture": "native-huge"}, "unknown network 'native-huge'"),
        ({"members": True}, "members True, which is not a whole number from 1 to"),
        ({"members": 2.0}, "members 2.0, which is not a whole number"),
        ({"stamp_size": 0}, "stamp_size 0, which is not a whole number from 1 to 1024"),
        ({"stamp_size": 10**9}, "stamp_size 1000000000, which is not"),
        ({"max_missing_bands": -1}, "max_missing_bands -1, which is not a whole number from 0"),
        ({"pixel_scale": "0.04"}, "pixel_scale '0.04', which is not a number from"),
        ({"temperature": 0}, "temperature 0, which is not a number from 0.01 to 100"),
        ({"temperature": float("nan")}, "NaN is not a finite number"),
        ({"temperature": 1e-300}, "temperature 1e-300, which is not a number from"),
        ({"simulated": "false"}, "simulated 'false', which is not true or false"),
        ({"normalization": "zscale"}, "normalization 'zscale', which is not one of"),
        ({"normalization": []}, r"normalization \[\], which is not one of"),
        ({"bands": "VI"}, "bands is 'VI', not a list"),
        ({"bands": [1, 2]}, "bands .*which is not some of"),
        (_named({"one": "cluster", "2": "other"}), "are not all whole numbers"),
        (_named({"1": "cluster", "01": "other"}), "are not all whole numbers"),
        (_named({"0": "cluster", "1": "other"}), "whole numbers from 1 to 32767"),
        (_named({"1": "cluster", "99999": "other"}), "whole numbers from 1 to 32767"),
        (_named({"1": "cluster", "2": 2}), "to two or more names"),
        ({"scores": {"accuracy": "high"}}, "score accuracy 'high', which is not a finite number"),
        ({"scores": [1]}, r"scores \[1\], which is not numbers by name"),
        (
            {"classes": {"1": "cluster", "2": "other"}},
            "must have the entries name and names, by number",
        ),
        ({"system": {"name": "V alone"}}, "system .*not valid"),
        ({"surprise": 1}, "unknown entries surprise"),
    ],
)
def test_entries_of_a_card_are_checked(saved, entries, message):
    path, _ = saved
    right = path.with_suffix(".json").read_text()
    _change_card(path, **entries)
    with pytest.raises(ValueError, match=message) as caught:
        load_classifier(path) if "architecture" not in entries else sign_classifier(path)
    assert path.stem in str(caught.value)
    path.with_suffix(".json").write_text(right)  # as the message says
    assert len(load_classifier(path).networks) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": "a", "name": "b"}', "more than one entry name"),
        ('{"scores": {"a": 1, "a": 2}}', "more than one entry a"),
        ("[" * 100_000, "not a model card"),
        ("[]", "it is not a JSON object"),
        ("{}", "bands is None, not a list"),
        ("\xff", "not a model card"),
        (" " * 2_000_000, "larger than 1048576 bytes"),
    ],
)
def test_files_that_are_no_cards(saved, text, message):
    path, _ = saved
    path.with_suffix(".json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=message):
        load_classifier(path)


def test_a_card_is_checked_before_it_is_saved(tmp_path):
    card = ModelCard("mine", "native-small", "nothing", scores={"accuracy": np.nan})
    network = create_network("native-small")
    with pytest.raises(ValueError, match="score accuracy nan, which is not a finite number"):
        save_classifier(Classifier(card, [network]), tmp_path / "mine.safetensors")
    with torch.no_grad():
        network.norm.weight[0] = np.inf
    card = ModelCard("mine", "native-small", "", temperature=np.float32(1.5))
    with pytest.raises(ValueError, match=r"1 non-finite values in 0.norm.weight.*train"):
        save_classifier(Classifier(card, [network]), tmp_path / "mine.safetensors")
    assert not list(tmp_path.iterdir())
    # Numbers of NumPy are numbers.
    save_classifier(Classifier(card, [create_network("native-small")]), tmp_path / "a.safetensors")
    assert load_classifier(tmp_path / "a.safetensors").card.temperature == 1.5


def test_a_full_disk_leaves_the_old_classifier(saved):
    path, classifier = saved
    before = path.read_bytes(), path.with_suffix(".json").read_bytes()
    with small_files(), pytest.raises(OSError, match=r"cannot write .*mine\.safetensors.*ulimit"):
        save_classifier(classifier, path, overwrite=True)
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == before


def test_other_keys(saved):
    path, _ = saved
    _change_card(path, members=1)
    _sign(path)
    with pytest.raises(ModelKeysError, match="has 2 networks, but its card says 1"):
        load_classifier(path)
    _change_card(path, members=2)
    _change_weights(path, lambda weights: weights.pop("1.norm.weight"))
    with pytest.raises(ModelKeysError, match=r"1 are missing \['norm.weight'\]"):
        load_classifier(path)
    _change_weights(path, lambda weights: weights.update({"1.norm.weight": torch.ones(3)}))
    with pytest.raises(ModelKeysError, match=r"norm.weight has shape \(3,\), not \(16,\)"):
        load_classifier(path)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "0.norm.weight",
            torch.ones(16, dtype=torch.float16),
            "in torch.float16, not torch.float32",
        ),
        (
            "0.norm.weight",
            torch.full((16,), np.nan),
            "16 non-finite values in norm.weight",
        ),
        (
            "1.pixels.weight",
            torch.tensor(1.0),
            r"pixels.weight has shape \(\), not \(16, 5, 3, 3\)",
        ),
        ("1.head.3.bias", torch.tensor(1.0), r"head.3.bias has shape \(\), not \(4,\)"),
    ],
)
def test_weights_are_checked(saved, name, values, message):
    path, _ = saved
    _change_weights(path, lambda weights: weights.update({name: values}))
    with pytest.raises(ValueError, match=message) as caught:
        load_classifier(path)
    assert "mine.safetensors" in str(caught.value)


@pytest.mark.parametrize("bands", [["NUV", "U"], ["NUV", "U", "B", "V", "K"], ["V"] * 5, []])
def test_other_bands(saved, bands):
    path, _ = saved
    _change_card(path, bands=bands)
    _sign(path)
    with pytest.raises(ModelBandsError, match="bands"):
        load_classifier(path)


@pytest.mark.parametrize("names", [{"1": "cluster", "2": "other"}, {"1": "cluster"}])
def test_other_classes(saved, names):
    path, _ = saved
    _change_card(path, **_named(names))
    with pytest.raises(ModelClassesError, match="classes"):
        sign_classifier(path)


def test_other_files(saved, tmp_path):
    path, _ = saved
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_classifier(tmp_path / "none.safetensors")
    with pytest.raises(ValueError, match="unknown classifier 'none'"):
        load_classifier("none")
    (tmp_path / "evil.pt").write_bytes(pickle.dumps({}))
    with pytest.raises(ValueError, match="looks like a pickle"):
        load_classifier(tmp_path / "evil.pt")
    with pytest.raises(TypeError, match="model must be a name, a path or a Classifier, not 3"):
        load_classifier(3)
    path.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match=r"card .*mine\.json is missing"):
        load_classifier(path)


def test_a_pickle_in_disguise_is_refused(saved):
    path, _ = saved
    path.write_bytes(pickle.dumps({"0.norm.weight": 1}))
    _change_card(path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ValueError, match="is not a safetensors file"):
        load_classifier(path)


def test_stamps_must_fit(field):
    classifier = load_classifier()
    with pytest.raises(ValueError, match="uses stamps of 50 pixels, but these have 25"):
        classifier.probabilities(make_stamps(field.truth[:1], field.images, size=25))
    with pytest.raises(ValueError, match="uses bands"):
        classifier.probabilities(make_stamps(field.truth[:1], field.images, bands=("V",)))


def test_the_bundled_cards():
    cards = list_classifiers()
    assert cards["simulated-3"].simulated
    assert "simulate_stamps" in cards["simulated-3"].training_sample
    for name in cards:
        assert (bundle() / f"{name}.safetensors").stat().st_size < 10e6
        card = load_classifier(name).card
        assert card.name == name
        assert find_class_scheme(card.classes.name) == card.classes
        assert find_band_system(card.system.name) == card.system


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
    prepared = classifier.prepared(precision="float32")
    stamps = make_stamps(field.truth[:3], field.images)
    np.testing.assert_allclose(
        prepared.probabilities(stamps), classifier.probabilities(stamps), atol=1e-5
    )
    assert prepared.card is classifier.card
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in classifier.networks[0].stages.modules())


def test_prepared_networks_are_kept_until_a_weight_changes():
    classifier = load_classifier("simulated-3")
    first = classifier.prepared()
    assert classifier.prepared() is first
    assert classifier.prepared(precision="float32") is not first
    assert len(pickle.dumps(classifier)) < 2 * len(pickle.dumps(classifier.networks))
    with torch.no_grad():
        classifier.networks[0].head[-1].bias += torch.tensor([9.0, 0, 0, 0])
    stamps = reference_stamps(classifier.card)
    changed = classifier.prepared().probabilities(stamps)
    assert (changed[0, :, 0] > 0.9).all()
    classifier.card = replace(classifier.card, temperature=50.0)
    assert (classifier.prepared().probabilities(stamps)[0, :, 0] < changed[0, :, 0]).all()
