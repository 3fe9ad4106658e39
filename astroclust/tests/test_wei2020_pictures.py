# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
import shutil

import numpy as np
import pytest
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from PIL import Image

from astroclust.cli import main
from astroclust.experiments import read_picture_stamps, reproduce_on_pictures, wei2020_pictures
from astroclust.experiments.wei2020_claims import check_claims

# Fields with the corner of each on its picture, of which the last two share one.
FIELDS = {
    "ngc1566": ("one.png", (0, 0)),
    "ngc1433": ("two.png", (0, 0)),
    "ngc628-c": ("three.png", (0, 0)),
    "ngc628-e": ("three.png", (180, 20)),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Pictures of Gaussians: class 1 is wide, class 4 narrow, 2 and 3 between."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(1)
    canvases = {name: np.full((360, 440, 3), 12.0) for name, _ in FIELDS.values()}
    labels, listing = [], []
    y, x = np.mgrid[:360, :440]
    for field, (name, (left, bottom)) in FIELDS.items():
        for i in range(20):
            number = i % 4 + 1
            # Two catalogs have the same objects where they overlap.
            col, row = 60 + 80 * (i % 5) - left, 60 + 80 * (i // 5) - bottom
            if min(col, row) < 40:
                continue
            labels.append((field, float(col), float(row), number, 1000 + i))
            light = np.exp(-((x - col - left) ** 2 + (y - row - bottom) ** 2) / (2 * (7 - number)))
            canvases[name] = np.maximum(canvases[name], 220 * light[..., None])
        listing.append((field, name, 1.0, 0.0, left, 0.0, 1.0, bottom, "nobody"))
    for name, canvas in canvases.items():
        noisy = np.clip(canvas + rng.normal(0, 3, canvas.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / name)
    names = ("field", "x", "y", "class_human", "id")
    Table(rows=labels, names=names).write(folder / "labels.ecsv")
    names = ("field", "file", "a_cx", "a_cy", "t_c", "a_rx", "a_ry", "t_r", "credit")
    Table(rows=listing, names=names).write(folder / "pictures.ecsv")
    return folder


def test_pictures_without_credit(pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "copy")
    listing = Table.read(tmp_path / "copy" / "pictures.ecsv")[1:2]
    listing["credit"] = np.ma.masked_all(1, dtype="U9")
    listing.write(tmp_path / "copy" / "pictures.ecsv", overwrite=True)
    assert set(read_picture_stamps(tmp_path / "copy").table["credit"]) == {""}
    listing.remove_columns(["a_cx", "t_r"])
    listing.write(tmp_path / "copy" / "pictures.ecsv", overwrite=True)
    with pytest.raises(ValueError, match=r"pictures\.ecsv lacks the columns a_cx, t_r; it needs"):
        read_picture_stamps(tmp_path / "copy")


def test_classes_that_the_paper_does_not_have_are_excluded(pictures):
    stamps = read_picture_stamps(pictures)
    stamps.table["field"] = np.where(stamps.table["field"] == "ngc1433", "ngc4449", "other")
    kept = wei2020_pictures._of_the_paper(stamps).table
    assert set(kept["class"][kept["field"] == "ngc4449"]) == {1, 2, 3}
    assert (kept["field"] == "other").sum() == (stamps.table["field"] == "other").sum()


def test_stamps_of_two_catalogs_on_one_picture_are_of_one_group(pictures):
    stamps = read_picture_stamps(pictures)
    assert stamps.data.shape[1:] == (5, 72, 72)
    assert stamps.present.any(axis=0).tolist() == [False, False, True, True, True]
    table = stamps.table
    assert set(table["field"]) == set(FIELDS)
    same = table[(table["picture"] == str(pictures / "three.png"))]
    center, east = (same[same["field"] == f"ngc628-{one}"] for one in "ce")
    for row in east:
        twin = center[np.hypot(center["x"] - row["x"], center["y"] - row["y"]) < 0.01]
        assert len(twin) == 1
        assert twin["group"][0] == row["group"]
    other = table[table["picture"] != str(pictures / "three.png")]
    assert not set(other["group"]) & set(same["group"])


@pytest.fixture
def small(monkeypatch):
    """Networks that train in a second."""
    networks = {
        "resnet18-random": ("mnasnet0_5@32", "none"),
        "native": ("native-small", None),
    }
    monkeypatch.setattr(wei2020_pictures, "PICTURE_NETWORKS", networks)


@pytest.mark.usefixtures("small")
def test_the_study_on_pictures_as_a_command(pictures, tmp_path, capsys, monkeypatch):
    command = ["reproduce", "wei2020", "-q", "--pictures", str(pictures), "-o", f"{tmp_path}/out"]
    command += ["--batches", "2"]
    one = [*command, "--runs", "1", "--networks", "resnet18-random"]
    assert main(one) == 0
    summary = Table.read(tmp_path / "out" / "summary.ecsv")
    assert summary["runs"].tolist() == [1, 1]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "not photometry" in page
    assert "Pictures: nobody." in page
    assert "Always choosing the most frequent class gives" in page
    assert main([*command, "--runs", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report == {"report": f"{tmp_path}/out/report.html"}
    summary = Table.read(tmp_path / "out" / "summary.ecsv")
    assert summary["network"].tolist() == ["resnet18-random"] * 2 + ["native"] * 2
    assert summary["tested_on"].tolist() == ["validation", "new galaxy"] * 2
    assert summary["runs"].tolist() == [2] * 4
    assert set(Table.read(tmp_path / "out" / "bands.ecsv")["without"]) == {"B", "V", "I"}
    sample = Table.read(tmp_path / "out" / "sample.ecsv")
    assert sample["field"][sample["part"] == "new galaxy"].tolist() == ["ngc1566"]
    rows = [Table.read(one)["row"] for one in sorted(tmp_path.rglob("*native*/*/classified.ecsv"))]
    assert len(rows) == 2
    assert rows[0].tolist() == rows[1].tolist()  # one split for all
    # The same command reads what is there, and another one is refused.
    monkeypatch.setattr("astroclust.experiments.trainings.train_classifier", None)
    assert main([*command, "--runs", "2"]) == 0
    assert main([*command[:-1], "3", "--runs", "1"]) == 1
    assert "different batches; choose another output folder" in capsys.readouterr().err


@pytest.mark.usefixtures("small")
def test_a_grouped_split_and_no_new_galaxy(pictures, tmp_path):
    reproduce_on_pictures(
        tmp_path,
        pictures,
        networks=["resnet18-random"],
        runs=1,
        batches=1,
        split="grouped",
        redraw=True,
        new_galaxy=None,
    )
    classified = Table.read(next(tmp_path.rglob("*grouped_redrawn/*/classified.ecsv")))
    assert set(classified["part"]) == {"validation"}
    group = read_picture_stamps(pictures).table["group"]
    tested = np.zeros(len(group), bool)
    tested[classified["row"]] = True
    assert tested.any()
    assert not set(group[tested]) & set(group[~tested])
    assert not (tmp_path / "bands.ecsv").exists()
    assert "shares no pixel" in (tmp_path / "report.html").read_text()


@pytest.mark.usefixtures("small")
def test_what_the_study_on_pictures_refuses(pictures, tmp_path, capsys):
    with pytest.raises(ValueError, match=r"networks must be some of .*, not alexnet"):
        reproduce_on_pictures(tmp_path, pictures, networks=["alexnet"])
    with pytest.raises(ValueError, match=r"split must be one of stratified, grouped, not 'luck'"):
        reproduce_on_pictures(tmp_path, pictures, split="luck")
    with pytest.raises(ValueError, match="runs must be at least 1, not 0"):
        reproduce_on_pictures(tmp_path, pictures, runs=0)
    with pytest.raises(ValueError, match="weights none would make resnet18-imagenet random"):
        reproduce_on_pictures(tmp_path, pictures, weights="none")
    with pytest.raises(ValueError, match="ngc45 is not in the pictures, which show ngc1566"):
        reproduce_on_pictures(tmp_path, pictures, new_galaxy="ngc45")
    with pytest.raises(FileNotFoundError, match="choose the folder with the list of pictures"):
        reproduce_on_pictures(tmp_path, tmp_path)
    command = ["reproduce", "wei2020", "-q", "-o", f"{tmp_path}/out"]
    assert main([*command, "--pictures", str(pictures), "--quick", "--labels", "bcw"]) == 1
    said = capsys.readouterr().err
    assert "wei2020 --pictures does not accept --labels, --quick; it accepts" in said
    assert "--batches" in said
    assert main([*command, "--batches", "3"]) == 1
    assert "wei2020 does not accept --batches; it accepts" in capsys.readouterr().err


def test_networks_whose_weights_cannot_be_had(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(wei2020_pictures, "create_network", refuse)
    monkeypatch.setattr(wei2020_pictures, "efficientnet_lite0_weights", lambda folder: "weights")
    options = (tmp_path, 1, "unit-stamp", None)
    with pytest.warns(AstropyUserWarning, match="resnet18-imagenet is excluded.*: no network"):
        recipes = wei2020_pictures._recipes(None, *options)
    assert "resnet18-imagenet" not in recipes
    assert recipes["efficientnet-imagenet"].weights == "weights"
    with pytest.raises(OSError, match="no network"):
        wei2020_pictures._recipes(["resnet18-imagenet"], *options)
    with pytest.raises(OSError, match="no network"):  # a file that was asked for
        wei2020_pictures._recipes(None, *options[:-1], tmp_path / "missing.pth")


def _runs(recalls, n=20):
    """Classes of n objects of each class in runs, of which the fractions are right."""
    tables = []
    for run, fractions in enumerate(recalls, 1):
        labels = np.repeat([1, 2, 3, 4], n)
        right = np.concatenate([np.arange(n) < round(n * one) for one in fractions])
        table = Table({"label": labels, "class": np.where(right, labels, labels % 4 + 1)})
        table["run"] = str(run)
        tables.append(table)
    joined = {
        name: np.concatenate([table[name] for table in tables])
        for name in ("label", "class", "run")
    }
    return Table(joined)


def test_claims_are_supported_contradicted_or_open():
    good, bad, runs = (0.8, 0.4, 0.6, 0.7), (0.5, 0.6, 0.6, 0.7), 8
    parts = {
        ("a-imagenet", "validation"): _runs([good] * runs),
        ("a-random", "validation"): _runs([(0.3,) * 4] * runs),
        ("b-random", "validation"): _runs([(0.3,) * 4] * runs),
        ("a-imagenet", "new galaxy"): _runs([good] * runs),
        ("a-random", "new galaxy"): _runs([bad] * runs),
        ("a-imagenet", "without V"): _runs([(0.1, 0.1, 0.1, 0.1)] * runs),
        ("a-imagenet", "without I"): _runs([(0.6, 0.4, 0.6, 0.7)] * runs),
        ("a-random", "without V"): _runs([(0.5, 0.5, 0.5, 0.5)] * runs),
        ("a-random", "without I"): _runs([(0.5, 0.5, 0.5, 0.5)] * runs),
    }
    claims = check_claims(parts)
    found = {
        (sentence.split()[0], network): verdict
        for sentence, network, verdict in claims["sentence", "network", "verdict"]
    }
    assert found == {
        ("we", "a-imagenet, a-random"): "supports",
        ("This", "a-imagenet"): "supports",
        ("This", "a-random"): "contradicts",
        ("the", "a-random, b-random"): "supports",
        ("In", "a-imagenet"): "contradicts",
        ("In", "a-random"): "contradicts",
        ("In", "b-random"): "contradicts",
        ("For", "a-imagenet"): "supports",
        ("For", "a-random"): "contradicts",
        ("for", "a-imagenet"): "supports",
        ("for", "a-random"): "contradicts",
        ("the", "a-imagenet"): "supports",
        ("the", "a-random"): "undecided",
    }
    few = check_claims({key: table[table["run"] == "1"] for key, table in parts.items()})
    assert set(few["verdict"]) == {"supports", "undecided"}
    assert "higher in 1 of 1 training runs" in few["ours"][0]
