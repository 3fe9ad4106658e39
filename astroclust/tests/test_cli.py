# Licensed under a 3-clause BSD style license - see LICENSE.rst
import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import warnings
from functools import partial

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from regions import Regions

import astroclust
import astroclust.archive
from astroclust.cli import _parser, main
from astroclust.instruments import BandSystem, find_class_scheme
from astroclust.networks import create_network
from astroclust.weights import Classifier, ModelCard

(_COMMANDS,) = (
    list(action.choices)
    for action in _parser()._actions
    if isinstance(action, argparse._SubParsersAction)
)


def said(capsys):
    """The object that a command printed, and nothing else."""
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line, parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def files(field, tmp_path_factory):
    """A field and a table on disk."""
    folder = tmp_path_factory.mktemp("field")
    field.images.write(folder / "field.fits")
    Table(field.truth["id", "x", "y"][::-1]).write(folder / "table.ecsv")
    images = []
    for name in ("F275W", "F555W", "F814W"):
        images += ["--image", f"{name}={folder}/field.fits[{name}]"]
    return folder / "table.ecsv", images


def test_classify(files, field, tmp_path, capsys):
    table, images = files
    assert main(["classify", str(table), *images, "-o", f"{tmp_path}/r.fits"]) == 0
    result = Table.read(tmp_path / "r.fits")
    assert result["id"].tolist() == field.truth["id"].tolist()[::-1]
    assert {"class", "probability", "prob_4", "entropy", "agreement", "flags"} <= set(
        result.colnames
    )
    captured = capsys.readouterr()
    assert "1 symmetric cluster" in captured.out
    assert "trained on human labels of NGC 1313" in captured.out
    assert f"{len(result)}/{len(result)}" in captured.err


def test_detect_and_classify(files, tmp_path, capsys):
    _, images = files
    assert main(["detect", "-q", *images, "-o", f"{tmp_path}/c.ecsv"]) == 0
    n = len(Table.read(tmp_path / "c.ecsv"))
    assert f"{n} candidates" in capsys.readouterr().out
    arguments = ["classify", "-q", f"{tmp_path}/c.ecsv", *images, "-o", f"{tmp_path}/r.ecsv"]
    assert main(arguments) == 0
    assert len(Table.read(tmp_path / "r.ecsv")) == n


def test_classify_with_photometry(files, tmp_path, capsys):
    _, images = files
    found = f"{tmp_path}/c.ecsv"
    assert main(["detect", "-q", *images, "--distance", "10", "-o", found]) == 0
    results = []
    for number, options in enumerate(
        (
            ["--no-photometry"],
            ["--image-probabilities"],
            ["--photometry", "--neighbors", found],
        )
    ):
        output = f"{tmp_path}/{number}.ecsv"
        assert main(["classify", "-q", found, *images, *options, "-o", output]) == 0
        results.append(Table.read(output))
    plain, alone, both = results
    assert "evidence" not in plain.colnames
    np.testing.assert_allclose(alone["prob_image_1"], plain["prob_1"], atol=1e-5)
    assert set(both["evidence"]) == {31}
    assert np.abs(both["prob_1"] - alone["prob_1"]).max() > 0.001
    capsys.readouterr()
    table = f"{tmp_path}/plain.ecsv"
    plain["x", "y"].write(table)
    command = ["classify", "-q", table, *images, "--photometry", "-o", f"{tmp_path}/no.ecsv"]
    assert main(command) == 1
    assert "photometry cannot be used" in capsys.readouterr().err


def test_tables_of_other_programs(files, tmp_path, capsys):
    table, images = files
    plain = Table.read(table)[:4]
    x, y = plain["x"].tolist(), plain["y"].tolist()
    Table({"X_IMAGE": [value + 1 for value in x], "Y_IMAGE": [value + 1 for value in y]}).write(
        tmp_path / "sex.fits"
    )
    lines = [f"{a};{b}".replace(".", ",") for a, b in zip(x, y, strict=True)]
    (tmp_path / "excel.csv").write_text("\n".join(["\ufeffx;y", *lines, ""]), encoding="utf-8")
    plain.write(tmp_path / "plain.ecsv")
    results = []
    for name, said_once in (("plain.ecsv", 0), ("sex.fits[1]", 1), ("excel.csv", 0)):
        output = f"{tmp_path}/{name[:3]}.ecsv"
        assert main(["classify", "-q", f"{tmp_path}/{name}", *images, "-o", output]) == 0
        assert capsys.readouterr().err.count("are 1-based pixels; 1 was subtracted") == said_once
        results.append(Table.read(output))
    for result in results[1:]:
        np.testing.assert_allclose(result["prob_1"], results[0]["prob_1"], atol=1e-5)
    assert main(["regions", f"{tmp_path}/sex.fits", "-o", f"{tmp_path}/r.reg"]) == 0
    assert Regions.read(f"{tmp_path}/r.reg")[0].center.x == pytest.approx(x[0])


def test_a_warning_is_shown_once(monkeypatch, capsys):
    def run(arguments, report):
        for line in range(3):
            warnings.warn_explicit("a source", AstropyUserWarning, "module", line)

    monkeypatch.setattr("astroclust.cli.catalogs._regions", run)
    assert main(["regions", "t.fits", "-o", "r.reg"]) == 0
    assert capsys.readouterr().err == "astroclust: warning: a source\n"


def test_region_files_and_fields_that_say_nothing(files, tmp_path, capsys):
    _, images = files
    (tmp_path / "empty.reg").write_text("# Region file format: DS9\n")
    detect = ["detect", "-q", *images, "-o", f"{tmp_path}/c.ecsv", "--workers", "1"]
    for option in ("--exclude", "--footprint"):
        assert main([*detect, option, f"{tmp_path}/empty.reg"]) == 1
        assert "empty.reg has no regions" in capsys.readouterr().err
    for given, said_once in (([], 1), (["--min-ci", "1.3"], 0)):
        assert main([*detect, "--field", "ngc6503", "--overwrite", *given]) == 0
        message = "no cut in concentration index for ngc6503: that of the preset, 1.3 mag"
        assert capsys.readouterr().err.count(message) == said_once


@pytest.mark.parametrize("options", [[], ["--keep-rejected"]])
def test_detect_writes_the_segments_of_its_rows(files, tmp_path, capsys, options):
    output, segments = tmp_path / "c.fits", tmp_path / "s.fits"
    command = ["detect", *files[1], "--distance", "18", "--threshold", "5", "-o", str(output)]
    command += ["--segmentation", str(segments), *options]
    assert main(command) == 0
    assert f"wrote {segments}" in capsys.readouterr().out
    labels = np.unique(fits.getdata(segments, "SEGMENTS"))
    assert labels.tolist() == [0, *Table.read(output)["id"]]
    assert "CRVAL1" in fits.getheader(segments, "SEGMENTS")
    assert main([*command, "--overwrite", "--preset", "phangs"]) == 1
    assert "omit segmentation" in capsys.readouterr().err


def test_detect_with_settings_of_its_own(files, tmp_path, capsys):
    _, images = files
    output = ["-o", f"{tmp_path}/c.ecsv", "--overwrite", "--workers", "1"]

    def detect(*options):
        assert main(["detect", "-q", *images, *output, *options]) == 0
        assert "ADJACENT_BANDS" in capsys.readouterr().out
        return Table.read(tmp_path / "c.ecsv")

    plain = detect("--threshold", "5", "--detect-in", "V", "--min-ci", "1.25")
    assert plain["ci"].min() >= 1.25
    rejected = detect("--threshold", "5", "--detect-in", "V", "--keep-rejected")
    assert len(rejected) > len(plain)
    assert np.any(rejected["cuts"] != 0)
    near = detect("--threshold", "5", "--distance", "3")
    far = detect("--threshold", "5", "--distance", "30")
    assert len(near) < len(far)
    assert len(detect("--preset", "phangs")) > len(detect())
    legus = detect("--field", "ngc1566", "--keep-rejected", "--threshold", "5")
    plain = detect("--distance", "18", "--keep-rejected", "--threshold", "5")
    np.testing.assert_allclose(legus["mag_f555w"], plain["mag_f555w"] - 0.026)
    assert np.all(legus["ci"][legus["cuts"] & 4 == 0] >= 1.35)
    assert main(["detect", "-q", *images, *output, "--preset", "hst"]) == 1
    assert "preset must be one of" in capsys.readouterr().err


def test_regions_there_and_back(files, tmp_path, capsys):
    table, images = files
    output = f"{tmp_path}/r.reg"
    assert main(["regions", str(table), "-o", output, "--text", "id", "--color", "id"]) == 0
    regions = Regions.read(output)
    assert regions[0].meta["text"] == int(Table.read(table)["id"][0])
    assert main(["regions", str(table), "-o", output]) == 1
    assert "already exists" in capsys.readouterr().err
    (tmp_path / "all.reg").write_text("image\nbox(100,80,400,400,0)\n")
    detect = ["detect", "-q", *images, "-o", f"{tmp_path}/c.ecsv", "--exclude"]
    assert main([*detect, f"{tmp_path}/all.reg"]) == 0
    assert "0 candidates out of" in capsys.readouterr().out
    complete = ["completeness", "-q", *images, "-o", f"{tmp_path}/n.ecsv", "--magnitudes", "20"]
    assert main([*complete, "--radii", "1", "--exclude", f"{tmp_path}/all.reg"]) == 1
    assert "or excluded" in capsys.readouterr().err
    assert main([*detect, f"{tmp_path}/no.reg", "--overwrite"]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_completeness_of_images(files, tmp_path, capsys):
    _, images = files
    command = [
        "completeness",
        "-q",
        *images,
        "-o",
        f"{tmp_path}/c.fits",
        "-n",
        "2",
        "--workers",
        "1",
    ]
    command += ["--magnitudes", "19:31:12", "--radii", "1,2", "--plot", f"{tmp_path}/c.png"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "half of the clusters are selected" in out
    result = Table.read(tmp_path / "c.fits")
    assert result["magnitude"].tolist() == [19, 19, 31, 31]
    assert result["selected"][2:].max() == 0
    assert len(Table.read(tmp_path / "c.clusters.ecsv")) == 8
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    assert main([*command, "--overwrite", "--seed", "2"]) == 1
    assert "run with different settings (seed)" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command, "--radii", "1:2"])
    assert "expected 20,22,24 or FIRST:LAST:STEP" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--radii-unit", "pc"]) == 1
    assert "require a distance" in capsys.readouterr().err


def test_completeness_with_a_classifier(files, tmp_path, capsys):
    _, images = files
    command = ["completeness", "-q", *images, "-o", f"{tmp_path}/c.ecsv", "-n", "2"]
    command += ["--workers", "1", "--magnitudes", "19,31", "--radii", "1", "--model", "default"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "and its 68 percent interval from the numbers of clusters:" in out
    assert "the same, for clusters that legus-pictures-1 also assigns to class 1 or 2:" in out
    assert re.search(r"^ +1\.0 +(\d\d\.\d\d|nan) ", out, re.MULTILINE)
    result = Table.read(tmp_path / "c.ecsv")
    assert result["classified_1_2"][1] == 0
    assert main([*command[:-2], "--overwrite"]) == 1
    assert "run with different settings (classifier)" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--json"]) == 0
    report = said(capsys)
    assert report["model"] == "legus-pictures-1"
    assert len(report["limits"]) == len(report["classified_limits"]) == 1


@pytest.fixture
def small_demo(monkeypatch):
    """The demo on a field of a sixth of the pixels."""
    smaller = partial(astroclust.simulate_field, shape=(250, 250))
    monkeypatch.setattr(astroclust, "simulate_field", smaller)


@pytest.mark.usefixtures("small_demo")
def test_demo(tmp_path, capsys):
    assert main(["demo", "-q", "--output", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "accuracy against the known truth" in out
    assert "trained on human labels of NGC 1313" in out
    result = Table.read(tmp_path / "out" / "classified.fits")
    assert len(Regions.read(tmp_path / "out" / "candidates.reg", format="ds9")) == len(result)
    np.testing.assert_array_equal(
        Table.read(tmp_path / "out" / "classified.ecsv")["class"], result["class"]
    )
    accuracy = np.mean(result["class"] == result["class_true"])
    assert f"{accuracy:.3f}" in out
    for name in ("field.png", "gallery.png"):
        assert (tmp_path / "out" / name).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.usefixtures("small_demo")
def test_json_of_the_demo(tmp_path, capsys):
    assert main(["demo", "-q", "--json", "--output", str(tmp_path)]) == 0
    facts = said(capsys)
    result = Table.read(tmp_path / "classified.fits")
    assert facts["candidates"] == len(result)
    assert sum(row["candidates"] for row in facts["classes"]) == facts["candidates"]
    assert sum(row["true"] for row in facts["scores"]) <= facts["candidates"]
    assert facts["accuracy"] == pytest.approx(np.mean(result["class"] == result["class_true"]))
    assert set(facts["files"]) == set(map(str, tmp_path.glob("[a-z]*")))


def test_train(tmp_path, capsys):
    output = tmp_path / "small.safetensors"
    arguments = ["train", "-q", "--simulate", "64", "--epochs", "1", "--seed", "3"]
    assert main([*arguments, "-o", str(output)]) == 0
    assert "accuracy" in capsys.readouterr().out
    card = astroclust.load_classifier(output).card
    assert card.simulated
    start = "astroclust train --simulate 64 --labels truth --seed 3 --epochs 1"
    assert card.command.startswith(start)
    log = tmp_path / "small.checkpoints" / "member-1" / "learning_curve.png"
    assert log.read_bytes()[:4] == b"\x89PNG"


def test_bands_and_classes_of_a_classifier_are_those_of_its_commands(tmp_path, capsys):
    defaults = {"V": ("uvis", "F555W"), "HA": ("uvis", "F657N")}
    filters = {"F555W": "V", "F657N": "HA"}
    system = BandSystem("two", ("V", "HA"), filters, pixel_scale=0.0396, defaults=defaults)
    scheme = find_class_scheme("cluster")
    card = ModelCard("two", "native-small", "nothing", classes=scheme, system=system)
    network = create_network("native-small", n_bands=2, n_classes=2)
    model = str(tmp_path / "two.safetensors")
    astroclust.save_classifier(Classifier(card, [network]), model)
    assert main(["score", "-q", "--simulate", "8", "--model", model]) == 0
    assert "4 not a cluster" in capsys.readouterr().out
    tuned = str(tmp_path / "tuned.safetensors")
    arguments = ["train", "-q", "--simulate", "16", "--from", model, "--epochs", "1", "-o", tuned]
    assert main(arguments) == 0
    card = astroclust.load_classifier(tuned).card
    assert (card.classes, card.system) == (scheme, system)
    image = tmp_path / "ha.fits"
    fits.writeto(image, np.random.default_rng(1).random((60, 60)))
    Table({"x": [30.0], "y": [30.0]}).write(tmp_path / "one.fits")
    page = ["review", str(tmp_path / "one.fits"), f"--image=F657N={image}", "--static"]
    page = [*page, str(tmp_path / "page.html")]
    assert main(page) == 1
    assert "--system" in capsys.readouterr().err
    assert main([*page, "--model", model]) == 0


def test_the_scores_of_a_card_are_printed_again(tmp_path, capsys):
    output = tmp_path / "small.safetensors"
    arguments = ["train", "-q", "--simulate", "96", "--epochs", "1", "--seed", "3"]
    assert main([*arguments, "--labels", "experts", "-o", str(output), "--json"]) == 0
    card = astroclust.load_classifier(output).card
    facts = said(capsys)
    assert facts.pop("notice") == card.notice
    assert sum(row["total"] for row in facts.pop("classes")) == 12
    assert sum(row["class_4"] for row in facts.pop("confusion")) <= 12
    assert facts.pop("split") == card.split
    assert facts == {"scores": card.scores, "model": "small", "output": str(output)}
    command = shlex.split(card.score_command)
    assert command[0] == "astroclust"
    assert main([*command[1:], "-q"]) == 0
    out = capsys.readouterr().out
    assert f"accuracy {card.scores['accuracy']:.3f} +- " in out
    assert f"without NUV and I: accuracy {card.scores['accuracy_without_NUV_I']:.3f}" in out
    assert main([*command[1:], "-q", "--json"]) == 0
    facts = said(capsys)
    assert facts["scores"] == card.scores
    assert (facts["model"], facts["stamps"]) == ("small", 12)
    assert {"ece", "accuracy_masked", "accuracy_without_NUV_I"} <= set(card.scores)


def test_train_on_labels_of_a_table(sparse, tmp_path, capsys):
    field = sparse
    images = tmp_path / "field.fits"
    field.images.write(images)
    table = field.truth["id", "x", "y", "class"]
    table["class"][:2] = 0  # not labeled
    table["one"] = np.arange(len(table)) == 5
    table.write(tmp_path / "labeled.fits")
    output = tmp_path / "tuned.safetensors"
    arguments = ["train", "-q", "--labels", str(tmp_path / "labeled.fits"), "-o", str(output)]
    images = [f"--image={name}={images}[{name}]" for name in field.images.filters]
    start = ["--from", "default", "--epochs", "1", "--folds", "0"]
    assert main([*arguments, *images, *start]) == 0
    assert (
        f"{len(table) - 2} stamps with class of labeled.fits in F275W," in capsys.readouterr().out
    )
    card = astroclust.load_classifier(output).card
    assert not card.simulated
    assert card.name == "tuned"
    assert "from legus-pictures-1, trained on" in card.training_sample
    assert "share no pixel" in card.split
    assert "--from default" in card.command
    assert main([*shlex.split(card.score_command)[1:], "-q"]) == 0
    out = capsys.readouterr().out
    assert f"accuracy {card.scores['accuracy']:.3f}" in out
    assert f"{card.split.split()[0]} stamps" in out
    for given, message in (
        (arguments, "labels requires images"),
        ([*arguments, *images, "--simulate", "9"], "--simulate requires --labels truth"),
        ([*arguments, *images, "--label-column", "kind"], "has no column kind"),
        ([*arguments, *images, "--recipe", "mine"], "unknown recipe 'mine'; available are native"),
        (["train", "-o", str(output)], "set the number of stamps to simulate"),
        ([*arguments, *images, "--label-column", "one"], "overlap too much for 20% of them"),
    ):
        assert main([*given, "--overwrite"]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": "none.fits"}, "none.fits does not exist"),
        ({"--image": "F555W=none.fits"}, "none.fits does not exist"),
        ({"--image": "F999W=none.fits"}, "filter 'F999W' has no known role"),
        ({"-o": "no/folder/r.fits"}, "the folder no/folder does not exist; create it first"),
        ({"-o": "/proc/r.fits"}, "cannot write /proc/r.fits"),
        ({"-o": "r.xyz"}, "cannot write a table to r.xyz; use a name that ends in .fits"),
        ({"--model": "weights.pt"}, "looks like a pickle"),
        ({"--model": "none.safetensors"}, "none.safetensors does not exist"),
        ({"--device": "abacus"}, "device 'abacus' cannot be used here"),
    ],
)
def test_what_is_wrong_is_said(change, message, files, tmp_path, capsys):
    table, images = files
    arguments = {"table": str(table), "-o": f"{tmp_path}/r.fits"} | change
    given = [arguments.pop("table")]
    if "--image" not in arguments:
        given += images
    for name, value in arguments.items():
        given += [name, value]
    assert main(["classify", *given]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "r.fits").exists()


def test_the_option_for_a_filter_without_a_role_is_named(files, tmp_path, capsys):
    table, images = files
    path = images[1].partition("=")[2]
    command = ["classify", "-q", str(table), "--image", f"f555x={path}", "-o", f"{tmp_path}/r.fits"]
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "roles=" not in said
    remedy = re.search(r"as in (--role F555X=V),", said)[1]
    assert main([*command, *remedy.split()]) == 0


def test_output_is_not_replaced_unless_asked(files, tmp_path, capsys):
    table, images = files
    (tmp_path / "r.fits").write_text("mine")
    arguments = ["classify", "-q", str(table), *images, "-o", f"{tmp_path}/r.fits"]
    assert main(arguments) == 1
    assert "already exists" in capsys.readouterr().err
    assert (tmp_path / "r.fits").read_text() == "mine"
    assert main([*arguments, "--overwrite"]) == 0


def test_arguments_of_the_wrong_form(files, capsys):
    table, _ = files
    with pytest.raises(SystemExit, match="2"):
        main(["classify", str(table), "--image", "F555W=", "-o", "r.fits"])
    assert "expected NAME=VALUE, such as F555W=v.fits" in capsys.readouterr().err
    twice = ["--image", "V=a.fits", "--image", "V=b.fits"]
    assert main(["classify", str(table), *twice, "-o", "r.fits"]) == 1
    assert "--image V is given more than once" in capsys.readouterr().err


def test_ctrl_c_leaves_no_half_written_file(files, tmp_path, astroclust_command):
    _, images = files
    rng = np.random.default_rng(0)
    Table({"x": rng.uniform(0, 200, 40000), "y": rng.uniform(0, 160, 40000)}).write(
        tmp_path / "long.fits"
    )
    command = [*astroclust_command, "classify", f"{tmp_path}/long.fits", *images]
    run = subprocess.Popen(
        [*command, "-o", f"{tmp_path}/r.fits"],
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    first = b""
    end = time.monotonic() + 300
    while b"stamp" not in first and time.monotonic() < end:
        first += run.stderr.read(1)
    run.send_signal(signal.SIGINT)
    _, rest = run.communicate(timeout=300)
    assert run.returncode == 130
    assert b"interrupted" in rest
    assert [path.name for path in tmp_path.iterdir()] == ["long.fits"]


@pytest.mark.parametrize("command", [[], *([name] for name in _COMMANDS)])
def test_help_has_examples_that_are_accepted(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])
    text = capsys.readouterr().out
    assert text.startswith(" ".join(["usage: astroclust", *command]))
    lines = text.partition("\nexamples:\n")[2].replace("\\\n", "").splitlines()
    examples = [shlex.split(line) for line in lines if line.startswith("  astroclust ")]
    assert examples
    assert not command or command[0] in [example[1] for example in examples]
    for _, *arguments in examples:
        assert callable(_parser().parse_args(arguments).run)


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_has_the_options_of_all(name, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    text = capsys.readouterr().out
    assert "-q, --quiet" in text
    assert "--json" in text


def test_json_of_what_is_found_and_classified(files, tmp_path, capsys):
    _, images = files
    candidates, output = f"{tmp_path}/c.ecsv", f"{tmp_path}/r.ecsv"
    assert main(["detect", "--json", *images, "-o", candidates]) == 0
    facts = said(capsys)
    assert facts["output"] == candidates
    assert facts["candidates"] == len(Table.read(candidates)) <= facts["sources"]
    assert facts["cut_flow"][-1]["left"] == facts["candidates"]
    assert main(["classify", "--json", candidates, *images, "-o", output]) == 0
    captured = capsys.readouterr()
    assert "classifying" in captured.err
    facts = json.loads(captured.out)
    classes = Table.read(output)["class"]
    counts = {str(i): int(np.ma.filled(classes == i, False).sum()) for i in (1, 2, 3, 4)}
    assert facts.pop("notice").startswith("classifier legus-pictures-1 was trained on human labels")
    card = astroclust.load_classifier().card
    assert facts.pop("expected_accuracy") == card.expected_accuracy(facts.pop("bands"))
    assert facts == {
        "counts": counts,
        "not_classified": int(np.ma.getmaskarray(classes).sum()),
        "model": "legus-pictures-1",
        "output": output,
    }
    assert main(["regions", "--json", output, "-o", f"{tmp_path}/r.reg"]) == 0
    assert said(capsys) == {"output": f"{tmp_path}/r.reg"}


def test_json_has_null_where_there_is_no_number(files, tmp_path, capsys):
    _, images = files
    output = f"{tmp_path}/c.ecsv"
    command = ["completeness", "-q", "--json", *images, "-o", output, "-n", "1"]
    options = ["--magnitudes", "31", "--radii", "1", "--plot", f"{tmp_path}/c.png"]
    assert main([*command, *options]) == 0
    assert said(capsys) == {
        "limits": [
            {"radius": 1.0, "magnitude": None, "magnitude_low": None, "magnitude_high": None}
        ],
        "radii_unit": "pix",
        "output": output,
        "plot": f"{tmp_path}/c.png",
    }


def test_an_error_is_no_json(files, tmp_path, capsys):
    table, images = files
    for given, status in (
        (["classify", f"{tmp_path}/no.fits", *images, "-o", f"{tmp_path}/r.fits"], 1),
        (["classify", str(table), "-o", f"{tmp_path}/r.fits"], 1),
        (["fetch"], 1),
    ):
        assert main([*given, "--json"]) == status
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("astroclust: ")
    with pytest.raises(SystemExit, match="2"):
        main(["classify", str(table), "--json=yes", "-o", "r.fits"])
    assert capsys.readouterr().out == ""


def _noisy_fields():
    sys.stdout.write("noise\n")
    return Table({"a": [1]})


def test_what_libraries_print_is_not_in_the_report(monkeypatch, capsys):
    monkeypatch.setattr(astroclust.archive, "list_fields", _noisy_fields)
    assert main(["fetch", "--list", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"fields": [{"a": 1}]}
    assert captured.err == "noise\n"


def test_ctrl_c_prints_no_json(monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(astroclust.archive, "list_fields", interrupt)
    assert main(["fetch", "--list", "--json"]) == 130
    assert capsys.readouterr().out == ""


def test_arguments_from_a_file(files, tmp_path, capsys):
    table, images = files
    given = tmp_path / "field.args"
    given.write_text("# of the field\nclassify -q\n" + " ".join(f"'{word}'" for word in images))
    assert main([f"@{given}", str(table), "-o", f"{tmp_path}/r.fits"]) == 0
    assert (tmp_path / "r.fits").exists()
    with pytest.raises(SystemExit, match="2"):
        main(["@absent.args"])
    assert "absent.args" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion(shell, capsys):
    pytest.importorskip("shtab")
    with pytest.raises(SystemExit, match="0"):
        main(["--print-completion", shell])
    assert "fields" in capsys.readouterr().out


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.strip() == astroclust.__version__


def test_the_real_clusters_of_m83(data_folder, tmp_path):
    folder = data_folder / "m83_north"
    images = []
    for name in ("F225W", "F814W"):
        images += ["--image", f"{name}={folder}/m83_north.fits[{name}]"]
    table = folder / "m83_north_clusters.ecsv"
    assert main(["classify", "-q", str(table), *images, "-o", f"{tmp_path}/m83.fits"]) == 0
    result, given = Table.read(tmp_path / "m83.fits"), Table.read(table)
    assert len(result) == 381
    np.testing.assert_array_equal(result["x"], given["x"])
    assert not np.ma.getmaskarray(result["class"]).any()


def test_sources_of_the_real_hdfs_image(data_folder, tmp_path):
    image = f"F606W={data_folder}/gal_hst_hdfs_f606w/HST-HDFS.fits"
    options = ["--threshold", "5", "-o", f"{tmp_path}/c.fits"]
    assert main(["detect", "-q", "--image", image, *options]) == 0
    arguments = ["classify", "-q", f"{tmp_path}/c.fits", "--image", image]
    assert main([*arguments, "-o", f"{tmp_path}/r.fits"]) == 0
    assert len(Table.read(tmp_path / "r.fits")) > 20
