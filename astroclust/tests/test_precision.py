# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Tests of the arithmetic precision of networks."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.io import fits
from astropy.table import Table
from torch import nn

from astroclust import classify_table, load_classifier, make_stamps
from astroclust.catalogs import write_table
from astroclust.classification import Tasks
from astroclust.cli import main
from astroclust.networks import choose_precision, register_network
from astroclust.weights import Classifier, ModelCard, mixed_precision

CPU = torch.device("cpu")


@pytest.fixture
def capable(monkeypatch):
    """A CPU with instructions for bfloat16: others emulate them."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(mixed_precision, "_CHECKED", {})


@pytest.fixture
def incapable(monkeypatch):
    """A CPU without such instructions."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)


@pytest.fixture(scope="module")
def stamps(field):
    return make_stamps(field.truth[:40], field.images)


def test_the_processor_decides(capable):
    assert choose_precision(CPU) == "bfloat16"
    assert choose_precision(CPU, "float32") == "float32"


def test_without_instructions_it_is_float32(incapable):
    assert choose_precision(CPU) == "float32"
    assert load_classifier().prepared().precision == "float32"
    with pytest.raises(ValueError, match="does not support bfloat16, only float32; use"):
        load_classifier().prepared(precision="bfloat16")


def test_unknown_precisions(capable, field):
    with pytest.raises(ValueError, match="must be one of auto, float32, bfloat16, float16, not 16"):
        choose_precision(CPU, 16)
    with pytest.raises(ValueError, match="only float32 and bfloat16; use 'auto' or 'float32'"):
        classify_table(field.truth["x", "y"], field.images, precision="float16")
    with pytest.raises(ValueError, match="not 'double'"):
        Tasks(precision="double")


@pytest.mark.parametrize("name", ["legus-pictures-1", "simulated-3"])
def test_probabilities_hardly_change(capable, stamps, name):
    classifier = load_classifier(name)
    fast, exact = classifier.prepared(), classifier.prepared(precision="float32")
    assert (fast.precision, exact.precision) == ("bfloat16", "float32")
    found, wanted = fast.probabilities(stamps), exact.probabilities(stamps)
    assert not np.array_equal(found, wanted)
    np.testing.assert_allclose(found, wanted, atol=0.05)
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    assert {weights.dtype for weights in fast.networks[0].parameters()} == {torch.float32}


def test_neither_neighbors_nor_threads_change_a_row(capable, stamps):
    fast = load_classifier().prepared()
    wanted, n_threads = fast.probabilities(stamps), torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(n_threads, 2))
        found = [fast.probabilities(stamps[i : i + 7]) for i in range(0, len(stamps), 7)]
    finally:
        torch.set_num_threads(n_threads)
    # A sum in another order may round an intermediate value up instead of down.
    np.testing.assert_allclose(np.concatenate(found, axis=1), wanted, atol=0.01)


def test_classifiers_that_change_too_much_stay_exact(capable):
    classifier = load_classifier()
    sharp = Classifier(replace(classifier.card, temperature=1e-4), classifier.networks)
    assert sharp.prepared().precision == "float32"
    assert sharp.prepared(precision="bfloat16").precision == "bfloat16"
    assert classifier.prepared().precision == "bfloat16"


def test_overflow_is_too_much_change(capable, monkeypatch):
    classifier = load_classifier()

    def overflow(self, stamps):
        return np.full((1, len(stamps), 4), np.nan)

    monkeypatch.setattr(Classifier, "probabilities", overflow)
    assert classifier.prepared().precision == "float32"


def test_the_check_is_made_once(capable, monkeypatch):
    classifier = load_classifier()
    assert classifier.prepared().precision == "bfloat16"
    monkeypatch.setattr(mixed_precision, "reference_stamps", None)
    assert load_classifier().prepared().precision == "bfloat16"
    with torch.no_grad():  # other weights are another classifier
        classifier.networks[0].head[-1].bias += 1
    with pytest.raises(TypeError):
        classifier.prepared()


def test_networks_of_one_layer(capable, stamps):
    class Brightest(nn.Module):
        def __init__(self, n_bands, n_classes):
            super().__init__()
            self.head = nn.Linear(n_bands, n_classes)

        def forward(self, pixels, present):
            return self.head(pixels.amax(dim=(2, 3)) * present)

    register_network("brightest", Brightest)
    classifier = Classifier(ModelCard("mine", "brightest", "nothing"), [Brightest(5, 4)])
    found = classifier.prepared(precision="bfloat16").probabilities(stamps)
    np.testing.assert_allclose(found, classifier.probabilities(stamps), atol=0.05)


def test_tables_record_it(capable, field, tmp_path):
    result = classify_table(Table({"x": [80.0, 110.0], "y": [70.0, 90.0]}), field.images)
    assert result.meta["ACPREC"] == "bfloat16"
    result = classify_table(result, field.images, precision="float32", column_prefix="b_")
    assert (result.meta["ACPREC"], result.meta["ACPREC2"]) == ("bfloat16", "float32")
    write_table(result, tmp_path / "a.fits")
    header = fits.getheader(tmp_path / "a.fits", 1)
    assert header["ACPREC"] == "bfloat16"
    assert header.comments["ACPREC"] == "arithmetic precision"


def test_the_command_takes_it(field, tmp_path, capsys):
    field.truth["x", "y"][:3].write(tmp_path / "a.ecsv")
    field.images.write(tmp_path / "images.fits")
    command = ["classify", str(tmp_path / "a.ecsv"), "-o", str(tmp_path / "b.fits")]
    command += ["--image", f"F555W={tmp_path / 'images.fits'}[F555W]"]
    command += ["--image", f"F814W={tmp_path / 'images.fits'}[F814W]"]
    assert main([*command, "--precision", "double", "--quiet"]) != 0
    assert "precision must be one of auto" in capsys.readouterr().err
    assert main([*command, "--precision", "float32", "--quiet"]) in (0, None)
    assert fits.getval(tmp_path / "b.fits", "ACPREC", 1) == "float32"
