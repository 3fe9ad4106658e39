# Licensed under a 3-clause BSD style license - see LICENSE.rst
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import load_classifier
from astroclust.archive import conf, download_sizes
from astroclust.cli import main
from astroclust.stamps import Stamps
from astroclust.training import LegusPlan, labeled_fields, legus_samples, plan_legus
from astroclust.weights import ModelCard, hub_page, write_hub_folder

FIELDS = ("ngc1433", "ngc1566", "ngc45")


@pytest.fixture(scope="module")
def archive(archive_server, tmp_path_factory):
    """Small simulated fields, laid out as the archive has them."""
    return archive_server.simulated_archive(FIELDS, tmp_path_factory.mktemp("archive"))


@pytest.fixture
def server(archive, archive_server):
    with archive_server.ArchiveServer(dict(archive)) as server:
        yield server


@pytest.fixture
def known(server):
    """The server in place of MAST."""
    with (
        conf.set_temp("archive_server", server.url),
        conf.set_temp("mast_server", server.url),
        conf.set_temp("retry_wait", 0.01),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", AstropyUserWarning)
        yield server


# A command that is killed: before the second field is cut, before the stamps of the third are
# written, or in the second checkpoint.
_KILLED = """
import os, signal, sys
import torch
import astroclust.training.legus as legus
import astroclust.weights.saving as saving
from astroclust.cli import main
from astroclust.stamps import Stamps

when, calls = sys.argv[1], []

def die(function, number):
    def counted(*arguments, **options):
        calls.append(1)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return counted

if when == "fetch":
    legus.labeled_sample = die(legus.labeled_sample, 2)
elif when == "cut":
    Stamps.write = die(Stamps.write, 3)
elif when == "train":
    torch.save = die(torch.save, 2)
sys.exit(main(sys.argv[2:]))
"""


def command(server, folder, *words):
    options = ["--epochs", "2", "--hold-out", "NGC 45", "--drop-mosaics", "--quiet"]
    for name in FIELDS:
        options += ["--legus", name]
    options += ["--from", "default", "--data", str(folder / "data"), "--server", server.url]
    return ["train", *options, "-o", str(folder / "mine.safetensors"), *words]


@pytest.fixture(scope="module")
def whole(archive, archive_server, tmp_path_factory):
    """The result of a command that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    with archive_server.ArchiveServer(dict(archive)) as server, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(command(server, folder)) == 0
    return folder


@pytest.mark.parametrize(("when", "n_cut"), [("fetch", 1), ("cut", 2), ("train", 3)])
def test_a_killed_command_ends_as_one_never_killed(server, whole, tmp_path, when, n_cut):
    code = [sys.executable, "-c", _KILLED, when, *command(server, tmp_path)]
    done = subprocess.run(code, env=os.environ, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "mine.safetensors").exists()
    stamps = sorted((tmp_path / "mine.checkpoints" / "stamps").glob("[a-z]*.fits"))
    assert len(stamps) == n_cut
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(command(server, tmp_path)) == 0
    for name in ("mine.safetensors", "mine.json", "mine.hub/mine.safetensors"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()
    assert not list(tmp_path.rglob("*drc.fits"))  # dropped
    assert not list(tmp_path.rglob(".*.part-*"))


def test_a_command_that_was_killed_between_card_and_weights_goes_on(server, whole, tmp_path):
    for path in whole.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(whole)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path.relative_to(whole)).write_bytes(path.read_bytes())
    (tmp_path / "mine.safetensors").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert main(command(server, tmp_path)) == 0
        weights = (tmp_path / "mine.safetensors").read_bytes()
        assert weights == (whole / "mine.safetensors").read_bytes()
        (tmp_path / "mine.json").write_text("{}")
        (tmp_path / "mine.safetensors").unlink()
        assert main(command(server, tmp_path)) == 1  # not a card


def test_the_folder_for_the_hub(whole):
    folder = whole / "mine.hub"
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "galaxies.ecsv",
        "mine.json",
        "mine.safetensors",
        "report.html",
        "samples.ecsv",
    ]
    classifier = load_classifier(folder / "mine.safetensors")
    card = classifier.card
    assert card == load_classifier(whole / "mine.safetensors").card
    assert {"NGC 1433", "NGC 1566"} <= set(card.galaxies)
    assert "NGC 45" not in card.galaxies
    assert not card.simulated
    assert "--legus ngc1433 --legus ngc1566 --legus ngc45 --hold-out 'NGC 45'" in card.command
    scores = Table.read(folder / "galaxies.ecsv")
    assert scores["galaxy"].tolist() == ["NGC 45"]
    assert scores["accuracy"][0] == card.galaxy_scores["NGC 45"]["accuracy"]
    samples = Table.read(folder / "samples.ecsv")
    assert samples["sample"].tolist() == list(FIELDS)
    assert samples["use"].tolist() == ["training", "training", "test"]
    assert (sum(samples[f"class_{i}"] for i in (1, 2, 3, 4)) == samples["n"]).all()
    front, page = (folder / "README.md").read_text().split("---\n", 2)[1:]
    metadata = yaml.safe_load(front)
    assert metadata["license"] == "bsd-3-clause"
    (result,) = metadata["model-index"][0]["results"]
    values = {metric["type"]: metric["value"] for metric in result["metrics"]}
    assert values["accuracy"] == card.scores["accuracy"]
    assert "| NGC 45 |" in page
    assert card.training_sample in page


def test_the_plan_says_the_disk_use(known, tmp_path):
    plan = plan_legus(FIELDS, folder=tmp_path / "run", data_folder=tmp_path / "data")
    sizes = download_sizes(FIELDS, folder=tmp_path / "data")
    assert plan.mosaics == sizes
    assert all(1e6 < size < 3e6 for size in sizes.values())
    stamps = sum(plan.labels.values()) * 5 * 50 * 50 * 4
    assert plan.disk_use == sum(sizes.values()) + stamps
    text = plan.describe()
    assert text.startswith(f"3 fields of 3 galaxies, {sum(plan.labels.values())} labeled objects")
    assert f"{plan.disk_use / 1e9:.2f} GB of disk in total" in text
    dropped = plan_legus(
        FIELDS, folder=tmp_path / "run", data_folder=tmp_path / "data", drop_mosaics=True
    )
    assert dropped.disk_use == max(sizes.values()) + stamps
    assert "at a time" in dropped.describe()
    samples = legus_samples(plan)
    assert [len(one.stamps) for one in samples] == list(plan.labels.values())
    again = plan_legus(FIELDS, folder=tmp_path / "run", data_folder=tmp_path / "data")
    assert again.disk_use == 0
    known.requests.clear()
    for one, other in zip(samples, legus_samples(again), strict=True):
        np.testing.assert_array_equal(one.stamps.data, other.stamps.data)
    assert known.requests == []


def test_mosaics_that_were_there_are_kept(known, tmp_path):
    plan = plan_legus(["ngc45"], folder=tmp_path / "a", data_folder=tmp_path / "data")
    legus_samples(plan)
    assert len(list((tmp_path / "data").rglob("*drc.fits"))) == 5
    plan = plan_legus(
        ["ngc45"], folder=tmp_path / "b", data_folder=tmp_path / "data", drop_mosaics=True
    )
    assert plan.mosaics == {"ngc45": 0}
    legus_samples(plan)
    assert len(list((tmp_path / "data").rglob("*drc.fits"))) == 5
    plan = plan_legus(
        ["ngc1566"], folder=tmp_path / "b", data_folder=tmp_path / "data", drop_mosaics=True
    )
    legus_samples(plan)
    assert len(list(tmp_path.rglob("*ngc1566*drc.fits"))) == 0
    assert len(list((tmp_path / "b" / "stamps").glob("*.fits"))) == 2


def test_all_fields_are_those_that_the_archive_has(known, tmp_path):
    with pytest.warns(AstropyUserWarning, match="the archive lacks files of ic4247, .*excluded"):
        plan = plan_legus(folder=tmp_path / "run", data_folder=tmp_path / "data")
    assert plan.fields == FIELDS
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = plan_legus(folder=tmp_path / "run", data_folder=tmp_path / "data")
    assert again == plan
    with pytest.raises(FileNotFoundError):
        plan_legus(["ngc45", "ngc5474"], folder=tmp_path / "run", data_folder=tmp_path / "data")


def test_what_a_plan_does_not_accept(known, tmp_path):
    assert "ngc3274" not in labeled_fields()
    with pytest.raises(ValueError, match="no public catalog with human classes for ngc3274"):
        plan_legus(["ngc45", "ngc3274"], folder=tmp_path, data_folder=tmp_path)
    with pytest.raises(KeyError, match="no field 'm999'"):
        plan_legus(["m999"], folder=tmp_path, data_folder=tmp_path)
    plan = LegusPlan(
        ("ngc45",), {"ngc45": 1}, {"ngc45": 10**18}, {"ngc45": 1}, tmp_path, tmp_path, False
    )
    with pytest.raises(
        OSError, match=r"1000000000\.00 GB are needed; free space, drop the mosaics"
    ):
        plan.check_space()
    unknown = LegusPlan(("ngc45",), {"ngc45": 1}, {"ngc45": None}, {}, tmp_path, tmp_path, True)
    assert "and those of ngc45, of unknown size" in unknown.describe()
    unknown.check_space()


def test_stamps_of_another_classifier_are_named(known, tmp_path):
    plan = plan_legus(["ngc45"], folder=tmp_path, data_folder=tmp_path / "data")
    (sample,) = legus_samples(plan)
    path = tmp_path / "stamps" / "ngc45.fits"
    stamps = Stamps(sample.stamps.data[..., :40, :40], sample.stamps.filters)
    stamps.write(path, overwrite=True)
    with pytest.raises(
        ValueError, match=r"ngc45\.fits has stamps of 40 pixels in .*remove this file"
    ):
        legus_samples(plan, classifier=load_classifier())
    path.unlink()  # as the message says
    assert len(legus_samples(plan, classifier=load_classifier())[0].stamps) == len(sample.stamps)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--legus", "all", "--legus", "ngc45"], "--legus all includes all fields"),
        (["--legus", "ngc45", "--sample", "s.ecsv"], "--legus and --sample cannot be combined"),
        (["--legus", "ngc45", "--simulate", "4"], "--simulate cannot be combined with --legus"),
        (
            ["--legus", "ngc45", "--hold-out", "ngc628"],
            "--hold-out ngc628 is not among the galaxies of the",
        ),
        (["--legus", "ngc45", "--hold-out", "ngc45"], "--hold-out leaves no galaxy to train on"),
        (["--simulate", "4", "--drop-mosaics"], "--drop-mosaics requires --legus or --sample"),
    ],
)
def test_options_that_contradict_one_another(server, tmp_path, capsys, words, message):
    options = ["--server", server.url, "--data", str(tmp_path / "data")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        status = main(["train", *words, *options, "-o", str(tmp_path / "x.safetensors"), "-q"])
    assert status == 1
    assert message in capsys.readouterr().err


def test_pages_of_other_classifiers(tmp_path):
    page = hub_page(ModelCard("a b/c", "native", 'my "stamps": 5', simulated=True))
    metadata = yaml.safe_load(page.split("---\n", 2)[1])
    assert "model-index" not in metadata
    assert "> **Note:** classifier a b/c was trained on simulated images only" in page
    assert "a-b-c.safetensors" in page
    assert "Nothing was held out" in page
    classifier = load_classifier()
    write_hub_folder(classifier, tmp_path / "hub")
    with pytest.raises(FileExistsError, match="already exists"):
        write_hub_folder(classifier, tmp_path / "hub")
    card = write_hub_folder(classifier, tmp_path / "hub", overwrite=True)
    metadata = yaml.safe_load((tmp_path / "hub" / "README.md").read_text().split("---\n", 2)[1])
    metrics = metadata["model-index"][0]["results"][0]["metrics"]
    accuracy = card.galaxy_scores["all"]["accuracy"]  # on real images, not on simulated ones
    assert {"type": "accuracy", "value": accuracy} in metrics
    assert Path(tmp_path, "hub", f"{card.name}.safetensors").exists()
