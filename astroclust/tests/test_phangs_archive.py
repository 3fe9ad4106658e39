# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Fetching PHANGS-HST."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from astroclust import fetch_legus, fetch_phangs
from astroclust.archive import PHANGS_TARGETS, find_target
from astroclust.cli import main
from astroclust.experiments import labeled_stamps

CANDIDATES = "hlsp_phangs-cat_hst_uvis_ngc1559_multi_v1_obs-sed-candidates.fits"
INVOKE = "/api/v0/invoke"
ALL = (1, 2, 3, 4)


def classes(catalog, column="class_human"):
    return sorted(catalog[column].tolist())


def test_targets_are_found_however_they_are_spelled():
    assert len(PHANGS_TARGETS) == 39
    assert find_target("NGC 1559") == "ngc1559"
    assert find_target("ngc628e") == "ngc0628e"
    with pytest.raises(KeyError, match="did you mean ngc0628c, ngc0628e"):
        find_target("NGC 628")
    with pytest.raises(KeyError, match="available are ic1954, "):
        find_target("M 31")


def test_classes_1_and_2_of_all_galaxies(server, tmp_path):
    data = fetch_phangs(folder=tmp_path)
    assert data.name is None
    assert data.images is None
    assert classes(data.catalog) == [1, 1, 1, 2, 2]
    (request,) = [r for r in server.requests if r.method == "GET"]
    assert request.agent.startswith("astroquery")
    assert request.path.endswith("human-class1+2-primary.fits")
    server.requests.clear()
    fetch_phangs(folder=tmp_path)
    fetch_phangs(folder=tmp_path, offline=True)
    assert server.requests == []


def test_ngc_1559_with_all_classes_and_images(server, tmp_path):
    data = fetch_phangs("NGC 1559", what=("catalog", "images"), classes=ALL, folder=tmp_path)
    assert data.name == "ngc1559"
    # The fourth candidate is a cluster of DR5, and the third was not inspected.
    assert classes(data.catalog) == [1, 2, 3, 4, 4]
    assert sorted(data.catalog["class_code"].tolist()) == [1, 2, 3, 4, 19]
    assert data.catalog.meta["CATALOG"].count(",") == 2
    assert set(data.catalog["galaxy"]) == {"ngc1559"}
    assert data.images.filters == ("F275W", "F336W", "F438W", "F555W", "F814W")
    bands = list(data.images)
    assert list(data.files) == ["class1+2", "class3", "candidates", *bands]
    assert all(path.is_file() for path in data.files.values())
    pixels = data.images["F555W"].pixels(np.s_[:, :])
    for row in data.catalog[:3]:  # the positions are of these images
        assert pixels[round(row["y"]), round(row["x"])] > 0.5
    server.requests.clear()
    again = fetch_phangs(
        "ngc1559", what=("images", "catalog"), classes=ALL, folder=tmp_path, offline=True
    )
    assert again.files == data.files
    assert server.requests == []


@pytest.mark.parametrize("wanted", [(1,), (3,), (2, 3), (4,), 3])
def test_some_classes(server, tmp_path, wanted):
    data = fetch_phangs("ngc1559", classes=wanted, folder=tmp_path)
    assert set(data.catalog["class_human"]) == {*np.atleast_1d(wanted).tolist()}
    assert ("candidates" in data.files) == (wanted == (4,))


def test_machine_classes(server, tmp_path):
    data = fetch_phangs("ngc1559", labels="machine", classes=ALL, folder=tmp_path)
    assert classes(data.catalog, "class_ml") == [1, 1, 3, 4, 4, 4]
    assert "machine" in data.files["class3"].name
    assert len(fetch_phangs(labels="machine", classes=3, folder=tmp_path).catalog) == 2


def test_candidates_come_from_a_guessed_folder_or_the_bundle(server, tmp_path):
    server.fail(INVOKE, *[500] * 100)
    data = fetch_phangs("ngc1559", classes=4, folder=tmp_path / "1")
    assert len(data.catalog) == 3
    content = server.files.pop(f"/hlsps/phangs-cat/dr4/ngc1559/{CANDIDATES}")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as bundle:
        for name in (CANDIDATES, CANDIDATES.replace("obs-sed-candidates", "readme")):
            member = tarfile.TarInfo(f"cats/{name}")
            member.size = len(content)
            bundle.addfile(member, io.BytesIO(content))
    path = "/hlsps/phangs-cat/dr4/bundles/hlsp_phangs-cat_hst_uvis_ngc1559_multi_v1_cats.tar.gz"
    server.files[path] = stream.getvalue()
    data = fetch_phangs("ngc1559", classes=4, folder=tmp_path / "2")
    assert len(data.catalog) == 3
    assert [p.name for p in data.files["candidates"].parent.glob("hlsp*")] == [CANDIDATES]
    server.requests.clear()
    fetch_phangs("ngc1559", classes=4, folder=tmp_path / "2")
    assert server.requests == []
    del server.files[path]
    with pytest.raises(FileNotFoundError, match=r"no candidates of ngc1559.*download") as caught:
        fetch_phangs("ngc1559", classes=4, folder=tmp_path / "3")
    folder = str(caught.value).partition("phangs-cat to ")[2].partition(" and use")[0]
    (Path(folder) / CANDIDATES).write_bytes(content)  # the remedy
    data = fetch_phangs("ngc1559", classes=4, folder=tmp_path / "3", offline=True)
    assert len(data.catalog) == 3


def test_images_that_the_server_lacks_can_be_brought(server, tmp_path):
    images = {name: server.files[name] for name in server.files if "phangs-hst" in name}
    for name in images:
        del server.files[name]
    with pytest.raises(FileNotFoundError, match=r"download them from .* to (.*) and use") as caught:
        fetch_phangs("ngc1559", what="images", folder=tmp_path)
    folder = Path(str(caught.value).partition(" to ")[2].partition(" and use")[0])
    for name, content in images.items():  # the remedy
        (folder / Path(name).name).write_bytes(content)
    data = fetch_phangs("ngc1559", what="images", folder=tmp_path, offline=True)
    assert len(data.images) == 5


def test_requests_that_cannot_be_met(server, tmp_path):
    with pytest.raises(ValueError, match="labels must be"):
        fetch_phangs(labels="mine")
    with pytest.raises(ValueError, match="what must be"):
        fetch_phangs(what="spectra")
    with pytest.raises(ValueError, match="classes must be some of"):
        fetch_phangs(classes=(1, 5))
    with pytest.raises(
        ValueError, match="images can only be fetched for a single target; choose a galaxy"
    ):
        fetch_phangs(what="images")
    with pytest.raises(ValueError, match="class 4 is only available for single targets"):
        fetch_phangs(classes=ALL)
    with pytest.raises(KeyError, match="no galaxy 'ngc7496'"):
        fetch_phangs("ngc7496", folder=tmp_path)
    with pytest.raises(FileNotFoundError, match="without the offline option"):
        fetch_phangs("ngc1559", classes=4, folder=tmp_path, offline=True)
    with pytest.raises(KeyError, match=r"fetch_phangs\('ngc1559'\) or astroclust fetch phangs-"):
        fetch_legus("NGC 1559", folder=tmp_path)
    assert fetch_phangs("ngc1559", folder=tmp_path).name == "ngc1559"  # the remedies
    assert len(fetch_phangs("ngc1559", classes=ALL, folder=tmp_path).catalog) == 5


def test_a_damaged_catalog_is_fetched_again(server, tmp_path):
    name = next(name for name in server.files if "human-class3" in name)
    good = server.files[name]
    server.files[name] = b"<html>we are sorry</html>\n"
    with pytest.raises(OSError, match="class3"):
        fetch_phangs("ngc1559", classes=3, folder=tmp_path)
    server.files[name] = good
    assert len(fetch_phangs("ngc1559", classes=3, folder=tmp_path).catalog) == 1


def test_fetch_phangs_from_the_command_line(server, tmp_path, capsys):
    options = ["-q", "--server", server.url, "--data", str(tmp_path)]
    assert main(["fetch", "phangs-human", *options]) == 0
    said = capsys.readouterr().out
    assert said.startswith("5 candidates in ")
    assert Path(said.split()[-1]).is_file()
    assert main(["fetch", "phangs-machine", "--classes", "3", *options, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["candidates"], list(facts["files"])) == (2, ["class3"])
    assert main(["fetch", "phangs-ngc1559", *options]) == 0
    said = capsys.readouterr().out
    assert "5 candidates in" in said
    assert "F555W" in said
    with pytest.raises(SystemExit):
        main(["fetch", "phangs-human", "--classes", "one"])
    assert "'one' is not a list such as 1,2,3" in capsys.readouterr().err
    for wrong, message in (
        (["phangs-mine"], "PHANGS-HST has no target 'mine'"),
        (["ngc1559"], "astroclust fetch phangs-ngc1559"),
        (["phangs-human", "--what", "images"], "images can only be fetched for a single target"),
        (["ngc1566", "--classes", "1"], "--classes only applies to PHANGS-HST"),
    ):
        assert main(["fetch", *wrong, *options, "--json"]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        assert message in captured.err


@pytest.mark.filterwarnings("ignore:.*EDGE")
def test_stamps_of_the_new_galaxy_of_the_paper(server, tmp_path):
    options = {"labels": "consensus", "folder": tmp_path / "stamps", "data_folder": tmp_path}
    stamps = labeled_stamps("NGC 1559", **options)
    assert sorted(stamps.table["class"].tolist()) == [1, 2, 3, 4, 4]
    assert set(stamps.table["field"]) == {"ngc1559"}
    assert stamps.present.all()
    server.requests.clear()
    assert len(labeled_stamps("ngc1559", **options)) == 5
    assert server.requests == []
    with pytest.raises(KeyError, match="LEGUS has no field 'ngc9999'"):
        labeled_stamps("ngc9999", **options)
