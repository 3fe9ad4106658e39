# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
import shlex
from dataclasses import replace

import pytest
import torch
from astropy.table import Table

import astroclust
from astroclust.cli import main
from astroclust.networks import create_network
from astroclust.weights import Classifier, ModelCard


@pytest.fixture(scope="module")
def folder(sparse, tmp_path_factory):
    """Images in two bands, labels, other labels, and a small classifier to start from."""
    path = tmp_path_factory.mktemp("labels")
    for name in ("F555W", "F814W"):
        astroclust.ImageSet({name: sparse.images[name]}).write(path / f"{name}.fits")
    table = sparse.truth["id", "x", "y", "class"]
    others = range(len(table) - 6, len(table) - 1)  # the last one is next to the first
    table[list(others)].write(path / "others.fits")
    table.remove_rows(others)
    table.write(path / "labels.fits")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = create_network("native-small", weights="none")
    card = ModelCard("small", "native-small", "nothing", max_missing_bands=4)
    astroclust.save_classifier(Classifier(card, [network]), path / "small.safetensors")
    return path


def _images(folder):
    return [f"--image={name}={folder / name}.fits[{name}]" for name in ("F555W", "F814W")]


def _train(folder, output, *options):
    arguments = ["train", "-q", "--from", str(folder / "small.safetensors"), "--epochs", "2"]
    arguments += ["--labels", str(folder / "labels.fits"), *_images(folder)]
    return main([*arguments, "-o", str(output), *options])


def _score(folder, model, *options, labels="labels.fits"):
    arguments = ["score", "-q", "--model", str(model), "--labels", str(folder / labels)]
    return main([*arguments, *_images(folder), *options])


@pytest.fixture(scope="module")
def validated(folder):
    """A classifier that was cross-validated."""
    output = folder / "validated.safetensors"
    assert _train(folder, output, "--folds", "2") == 0
    return output


def test_few_labels_are_cross_validated(folder, tmp_path, capsys):
    n = len(Table.read(folder / "labels.fits"))
    output = tmp_path / "mine.safetensors"
    assert _train(folder, output) == 0
    shown = capsys.readouterr()
    assert f"training 5 folds of {n} rows first" in shown.out
    assert f"on the same {n} rows; difference " in shown.out
    assert "before (small): accuracy" in shown.out
    assert "no measurable change: " in shown.out or "better by" in shown.out
    assert "classified as" in shown.out
    assert "without" not in shown.out
    assert "fold 5 of 5" in shown.err
    assert "epoch 2 of 2: loss " in shown.err
    card = astroclust.load_classifier(output).card
    assert f"{n} rows in 5 folds, which share no pixel" in card.split
    assert f"this classifier was trained on all {n}" in card.split
    assert (card.scores["n"], card.score_command) == (n, "")
    assert list(card.band_scores["human"]) == ["V", "I", "V+I"]
    # The same command resumes: no fold is trained again, and the result is the same.
    weights = output.read_bytes()
    curve = tmp_path / "mine.checkpoints" / "fold-1" / "member-1"
    assert (curve / "learning_curve.png").exists()
    made = (curve / "last.ckpt").stat().st_mtime_ns
    output.unlink()
    assert _train(folder, output, "--json") == 0
    assert output.read_bytes() == weights
    assert (curve / "last.ckpt").stat().st_mtime_ns == made
    facts = json.loads(capsys.readouterr().out)
    assert facts["comparison"]["n"] == facts["scores"]["n"] == n
    assert facts["scores"] == card.scores
    assert sum(row["total"] for row in facts["classes"]) == n
    assert sum(row["total"] for row in facts["confusion"]) == n


def test_scores_leave_out_what_was_trained_on(folder, validated, capsys):
    n = len(Table.read(folder / "labels.fits"))
    capsys.readouterr()
    assert _score(folder, validated) == 1
    error = capsys.readouterr().err
    assert f"validated was trained on all of these {n} rows" in error
    assert (
        "the scores in its card are for held-out rows; use other labels, or --include-tr" in error
    )
    # Both remedies, and the card.
    assert astroclust.load_classifier(validated).card.scores["n"] == n
    assert _score(folder, validated, labels="others.fits") == 0
    assert "classifier validated, 5 stamps" in capsys.readouterr().out
    assert _score(folder, validated, "--include-training", "--ablate") == 0
    out = capsys.readouterr().out
    assert (
        f"note: validated was trained on {n} of {n} rows, so the scores are too optimistic" in out
    )
    assert "without V: accuracy" in out
    assert "without V and I" not in out


def test_a_fifth_is_held_out_if_folds_are_off(folder, tmp_path, capsys):
    output = tmp_path / "held.safetensors"
    assert _train(folder, output, "--folds", "0", "--patience", "1") == 0
    assert "before (small)" in capsys.readouterr().out
    assert (tmp_path / "held.checkpoints" / "member-1" / "best.ckpt").exists()
    card = astroclust.load_classifier(output).card
    n_test = card.scores["n"]
    assert "--folds 0" in card.command
    assert "--patience 1" in card.command
    assert main([*shlex.split(card.score_command)[1:], "-q", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["scores"], facts["trained_on"]) == (card.scores, 0)
    # All rows of the table: those of the training set are excluded.
    assert _score(folder, output) == 0
    out = capsys.readouterr().out
    n = len(Table.read(folder / "labels.fits"))
    assert f"{n - n_test} of {n} rows are excluded, as they are in the training set of held" in out
    assert f"classifier held, {n_test} stamps" in out
    assert f"accuracy {card.scores['accuracy']:.3f} +- " in out


def test_a_card_without_fingerprints_says_so(folder, capsys):
    assert _score(folder, folder / "small.safetensors") == 0
    assert "note: the card of small does not list its training rows" in capsys.readouterr().out


def test_rows_that_overlap_are_not_cross_validated(folder, sparse, tmp_path, capsys):
    table = sparse.truth["x", "y", "class"]
    near = table[[0, 1, 2, 3, 4, 5, 6, 7]]
    near["x"][:6], near["y"][:6] = 100.0 + 8 * near["x"][:6] / 500, 100.0
    far = table[-5:]
    for row in far:
        near.add_row(row)
    near.write(tmp_path / "near.fits")
    output = tmp_path / "near.safetensors"
    arguments = ["train", "-q", "--labels", str(tmp_path / "near.fits"), *_images(folder)]
    arguments += ["--from", str(folder / "small.safetensors"), "--epochs", "1", "-o", str(output)]
    status = main([*arguments, "--folds", "13"])
    error = capsys.readouterr().err
    assert status == 1
    assert "overlap too much for 13 folds that share no pixel" in error
    n_groups = int(error.partition("groups: ")[2].partition(";")[0])
    if f"use {n_groups} folds" in error:
        assert main([*arguments, "--folds", str(n_groups)]) == 0
    assert main([*arguments, "--folds", "0", "--overwrite", "--checkpoint", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--simulate", "8", "--folds", "5", "-o"], "--folds requires --labels TABLE"),
        (["train", "--sample", "x.ecsv", "--folds", "0", "-o"], "--folds requires --labels TABLE"),
        (
            ["train", "--simulate", "8", "--patience", "0", "-o"],
            "patience must be at least one epoch, not 0",
        ),
        (
            ["train", "--simulate", "8", "--patience", "2", "--recipe", "wei2020", "-o"],
            "the recipes native, fine-tune and human-labels",
        ),
        (
            ["score", "--sample", "x.ecsv", "--ablate", "--model"],
            "--ablate cannot be combined with",
        ),
        (
            ["score", "--sample", "x.ecsv", "--include-training", "--model"],
            "cannot be combined with",
        ),
        (
            ["score", "--sample", "x.ecsv", "--damage", "--model"],
            "--damage cannot be combined with",
        ),
        (
            ["score", "--simulate", "8", "--include-training", "--model"],
            "--include-training requires --labels TABLE; omit it",
        ),
        (["score", "--simulate", "8", "--held-out", "--model"], "--held-out requires --labels"),
    ],
)
def test_options_that_do_not_go_together(arguments, message, tmp_path, folder, capsys):
    last = (
        folder / "small.safetensors" if arguments[-1] == "--model" else tmp_path / "x.safetensors"
    )
    assert main([*arguments, str(last)]) == 1
    assert message in capsys.readouterr().err


def test_one_fold_is_refused(folder, tmp_path, capsys):
    assert _train(folder, tmp_path / "x.safetensors", "--folds", "1") == 1
    assert "folds must be at least 2, not 1" in capsys.readouterr().err


def test_classify_says_what_accuracy_to_expect(folder, validated, tmp_path, capsys):
    table = str(folder / "others.fits")
    both = ["classify", "-q", table, *_images(folder), "--model", str(validated)]
    both += ["--column-prefix", "new_"]
    expected = astroclust.load_classifier(validated).card.expected_accuracy(["V", "I"])
    assert main([*both, "-o", str(tmp_path / "a.fits")]) == 0
    line = f"bands V, I: expected accuracy {expected['human']:.2f} on human labels of rows held out"
    assert line in capsys.readouterr().out.splitlines()
    assert main([*both, "-o", str(tmp_path / "b.fits"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["bands"], facts["expected_accuracy"]) == (["V", "I"], expected)
    both[-3] = str(folder / "small.safetensors")
    assert main([*both, "-o", str(tmp_path / "c.fits")]) == 0
    line = "bands V, I: the card of small has no accuracy for exactly these bands"
    assert line in capsys.readouterr().out.splitlines()
    # Of both kinds of labels, of which those of galaxies are named.
    classifier = astroclust.load_classifier(validated)
    scores = {"n": 9, "accuracy": 0.5, "mean_recall": 0.4, "ece": 0.1}
    kinds = {"human": {"V+I": scores}, "simulated": {"V+I": scores | {"accuracy": 0.61}}}
    galaxies = {"all": {"n": 9, "accuracy": 0.5}}
    classifier.card = replace(classifier.card, band_scores=kinds, galaxy_scores=galaxies)
    astroclust.save_classifier(classifier, tmp_path / "kinds.safetensors")
    both[-3] = str(tmp_path / "kinds.safetensors")
    assert main([*both, "-o", str(tmp_path / "d.fits")]) == 0
    assert (
        "bands V, I: expected accuracy 0.61 on simulations, 0.50 on human labels of galaxies held "
        "out" in capsys.readouterr().out
    )


def test_lists_of_samples_say_what_was_trained_on(folder, validated, tmp_path, capsys):
    rows = []
    for name in ("labels", "others"):
        images = [str(folder / f"{band}.fits[{band}]") for band in ("F555W", "F814W")]
        rows.append((name, f"galaxy {name}", str(folder / f"{name}.fits"), *images))
    names = ("field", "galaxy", "labels", "F555W", "F814W")
    Table(rows=rows, names=names).write(tmp_path / "list.ecsv")
    arguments = ["--sample", str(tmp_path / "list.ecsv")]
    assert main(["score", "-q", "--model", str(validated), *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith(" (trained on)") for line in lines) == 1
    (line,) = (one for one in lines if one.startswith("galaxy others: n 5"))
    assert not line.endswith("(trained on)")
    small = ["--from", str(folder / "small.safetensors"), "--epochs", "1"]
    output = tmp_path / "list.safetensors"
    assert main(["train", "-q", *small, *arguments, "-o", str(output)]) == 0
    assert "no scores, as nothing was held out; hold out a galaxy" in capsys.readouterr().out
    # The remedy.
    held = ["--hold-out", "galaxy others", "-o", str(tmp_path / "held.safetensors")]
    assert main(["train", "-q", *small, *arguments, *held]) == 0
    out = capsys.readouterr().out
    assert "galaxy others: n 5" in out
    assert "on the same 5 rows" in out
