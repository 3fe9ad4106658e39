# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
import os
import re
import signal

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from astropy.utils.exceptions import AstropyUserWarning

import astroclust.classification.distributed
from astroclust import (
    ImageSet,
    classify_fields,
    classify_table,
    find_candidates,
    find_sources,
)
from astroclust.classification import FieldsError, Tasks
from astroclust.classification.distributed import _LOOPBACK as LOOPBACK
from astroclust.cli import main
from astroclust.instruments import LEGUS_CLASSES, BandSystem
from astroclust.locks import only_process
from astroclust.networks import create_network
from astroclust.weights import Classifier, ModelCard

distributed = pytest.importorskip("distributed")

# Workers that are threads of this process share its filters of warnings: what one of them
# suppresses for a moment, another may bring back.
pytestmark = pytest.mark.filterwarnings("ignore:Input data contains invalid values")


@pytest.fixture(scope="module")
def client():
    with distributed.Client(processes=False, **LOOPBACK) as client:
        yield client


@pytest.fixture
def fields(field, tmp_path):
    """A list of two fields, in a file beside them: one with a catalog, one without."""
    field.images.write(tmp_path / "images.fits")
    table = Table({"x": np.linspace(30, 160, 40), "y": np.linspace(130, 30, 40)})
    table["name"] = [f"object {i}" for i in range(40)]
    table.write(tmp_path / "candidates.ecsv")
    images = {
        band: [f"images.fits[{band}]"] * 2 for band in field.images.filters if band != "F336W"
    }
    listed = Table(
        {
            "field": ["known", "new"],
            "catalog": MaskedColumn(["candidates.ecsv", ""], mask=[False, True]),
            "distance": [np.nan, 10.0],
            **images,
        }
    )
    listed.write(tmp_path / "fields.ecsv")
    return tmp_path / "fields.ecsv"


def _images(fields, filters):
    return ImageSet.read({band: f"{fields.parent}/images.fits[{band}]" for band in filters})


# Of candidates that are found some are near the edge.
@pytest.mark.filterwarnings("ignore:.*rows have flags:astropy.utils.exceptions.AstropyUserWarning")
def test_fields_are_classified_as_by_one_call(fields, client, tmp_path):
    paths = classify_fields(fields, tmp_path / "out", tasks=Tasks(client, rows=7))
    assert [path.name for path in paths] == ["known.fits", "new.fits"]
    images = _images(fields, Table.read(fields).colnames[3:])
    candidates = (
        Table.read(tmp_path / "candidates.ecsv"),
        find_candidates(images, distance=10.0),
    )
    for path, table in zip(paths, candidates, strict=True):
        wanted, found = classify_table(table, images), Table.read(path)
        assert found.colnames == wanted.colnames
        assert len(found) == len(wanted) > 0
        for number in LEGUS_CLASSES.numbers:
            name = f"prob_{number}"
            np.testing.assert_allclose(found[name], wanted[name], atol=1e-5)
        # Two that are equally probable may change places.
        assert np.mean(found["class"] == wanted["class"]) > 0.9
        assert found.meta["ACMOD"] == wanted.meta["ACMOD"]
        checksums = [re.findall(r"\b[0-9a-f]{16}\b", t.meta["ACIMGS"]) for t in (found, wanted)]
        assert checksums[0] == checksums[1] != []


@pytest.mark.filterwarnings("ignore:.*rows have flags:astropy.utils.exceptions.AstropyUserWarning")
def test_fields_are_in_the_band_system_of_the_classifier(client, tmp_path):
    rng = np.random.default_rng(1)
    two = BandSystem("two", ["V", "HA"], {"F555W": "V", "F657N": "HA"}, pixel_scale=0.0396)
    images = ImageSet({name: rng.normal(size=(90, 90)) for name in two.filters}, system=two)
    images.write(tmp_path / "images.fits")
    Table({"x": [30.0, 60.0], "y": [50.0, 40.0]}).write(tmp_path / "candidates.ecsv")
    card = ModelCard("two", "native-small", "noise", system=two, max_missing_bands=1)
    model = Classifier(card, [create_network("native-small", n_bands=2)])
    fields = Table({"field": ["a"], "catalog": [str(tmp_path / "candidates.ecsv")]})
    for name in two.filters:
        fields[name] = [f"{tmp_path}/images.fits[{name}]"]
    (path,) = classify_fields(fields, tmp_path / "out", tasks=Tasks(client), model=model)
    assert not Table.read(path)["class"].mask.any()


def test_a_cluster_detects_in_tiles(field, client):
    image = field.images["F555W"]
    whole = find_sources(image, threshold=5)
    tiled = find_sources(image, threshold=5, tile=60, workers=client.get_executor())
    assert len(tiled) == len(whole) > 5
    np.testing.assert_allclose(tiled["flux"], whole["flux"], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:.*rows have flags:astropy.utils.exceptions.AstropyUserWarning")
def test_what_is_written_is_not_done_again(fields, client, tmp_path):
    folder = tmp_path / "out"
    first = classify_fields(fields, folder, tasks=Tasks(client))
    times = [path.stat().st_mtime_ns for path in first]
    first[1].unlink()
    classify_fields(fields, folder, tasks=Tasks(client))
    assert first[0].stat().st_mtime_ns == times[0]
    assert first[1].exists()
    classify_fields(fields, folder, tasks=Tasks(client), overwrite=True)
    assert first[0].stat().st_mtime_ns > times[0]


def test_the_trouble_of_a_field_is_its_own(fields, client, tmp_path):
    listed = Table.read(fields)
    listed["catalog"] = ["candidates.ecsv", "absent.ecsv"]
    listed.write(fields, overwrite=True)
    with pytest.raises(FieldsError, match=r"1 of 2 fields .*\(new: .*absent.* does not exist"):
        classify_fields(fields, tmp_path / "out", tasks=Tasks(client))
    assert len(Table.read(tmp_path / "out" / "known.fits")) == 40
    assert not (tmp_path / "out" / "new.fits").exists()


def test_a_field_that_cannot_be_written_is_its_own(fields, client, tmp_path, monkeypatch):
    listed = Table.read(fields)
    listed["field"] = ["known", "other"]
    listed["catalog"] = "candidates.ecsv"
    listed.write(fields, overwrite=True)
    folder = tmp_path / "out"
    (folder / "known.fits").mkdir(parents=True)
    with pytest.raises(FieldsError, match=r"1 of 2 fields .*\(known: cannot write .*is a folder"):
        classify_fields(fields, folder, tasks=Tasks(client))
    assert len(Table.read(folder / "other.fits")) == 40
    (folder / "known.fits").rmdir()
    (folder / "other.fits").unlink()

    def full(table, path, **_):
        if path.name == "known.fits":
            raise OSError(f"cannot write {path}: No space left on device")
        table.write(path)

    with monkeypatch.context() as patch:
        patch.setattr("astroclust.classification.distributed.write_table", full)
        with pytest.raises(FieldsError, match=r"known: .*No space"):
            classify_fields(fields, folder, tasks=Tasks(client))
    assert (folder / "other.fits").exists()
    # As the message says: the same call resumes.
    assert len(classify_fields(fields, folder, tasks=Tasks(client))) == 2
    assert len(Table.read(folder / "known.fits")) == 40


def test_a_second_process_in_the_folder_is_told(fields, client, tmp_path):
    with only_process(tmp_path), pytest.raises(OSError, match=f"{tmp_path} is in use by another"):
        classify_fields(fields, tmp_path, tasks=Tasks(client))
    with pytest.raises(OSError, match=r"cannot create the folder .*fields\.ecsv"):
        classify_fields(fields, fields, tasks=Tasks(client))


def test_warnings_name_the_field(fields, client, tmp_path):
    table = Table({"x": [-50.0, 60.0], "y": [20.0, 30.0]})
    table.write(tmp_path / "candidates.ecsv", overwrite=True)
    with pytest.warns(AstropyUserWarning, match="known: 1 of 2 rows have flags"):
        classify_fields(_first(fields), tmp_path / "out", tasks=Tasks(client))


def _first(fields):
    listed = Table.read(fields)[:1]
    path = fields.with_name("first.ecsv")
    listed.write(path)
    return path


def test_a_catalog_without_rows(fields, client, tmp_path):
    Table({"x": np.empty(0), "y": np.empty(0)}).write(tmp_path / "candidates.ecsv", overwrite=True)
    (path,) = classify_fields(_first(fields), tmp_path / "out", tasks=Tasks(client))
    found = Table.read(path)
    assert len(found) == 0
    assert "prob_4" in found.colnames


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"field": None}, KeyError, "no column 'field'"),
        ({"field": ["a", "a"]}, ValueError, "distinct"),
        ({"field": ["a/b", "c"]}, ValueError, "distinct and valid file names; rename 'a/b'"),
        ({"F555W": ["", ""]}, ValueError, "field known has no image"),
    ],
)
def test_bad_lists(change, error, message, client, tmp_path):
    listed = Table({"field": ["known", "new"], "F555W": ["v.fits", "v.fits"]})
    for name, values in change.items():
        listed.remove_column(name)
        if values is not None:
            listed[name] = values
    with pytest.raises(error, match=message):
        classify_fields(listed, tmp_path, tasks=Tasks(client))
    with pytest.raises(ValueError, match="rows must be a whole number"):
        classify_fields(listed, tmp_path, tasks=Tasks(client, rows=0))


def _die_at_the_first_tile():
    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    astroclust.classification.distributed._classify_tile = die


def test_a_lost_worker_costs_its_tiles_only(fields, tmp_path):
    n = 600
    rng = np.random.default_rng(1)
    table = Table({"x": rng.uniform(25, 170, n), "y": rng.uniform(25, 130, n)})
    table.write(tmp_path / "candidates.ecsv", overwrite=True)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, **LOOPBACK) as cluster,
        distributed.Client(cluster) as client,
    ):
        worker, *_ = pids = client.run(os.getpid)
        client.run(_die_at_the_first_tile, workers=[worker])
        (path,) = classify_fields(_first(fields), tmp_path / "out", tasks=Tasks(client, rows=25))
        client.wait_for_workers(2)
        assert pids[worker] not in client.run(os.getpid).values()
    found = Table.read(path)
    images = _images(fields, Table.read(fields).colnames[3:])
    wanted = classify_table(table, images)
    np.testing.assert_array_equal(found["x"], wanted["x"])
    np.testing.assert_allclose(found["prob_1"], wanted["prob_1"], atol=1e-5)


def test_the_command(fields, tmp_path, capsys):
    arguments = ["classify", "-q", "--fields", str(_first(fields)), "-o", f"{tmp_path}/out"]
    with distributed.LocalCluster(n_workers=1, processes=False, **LOOPBACK) as cluster:
        assert main([*arguments, "--scheduler", cluster.scheduler_address]) == 0
    assert "1 fields are in" in capsys.readouterr().out
    assert len(Table.read(tmp_path / "out" / "known.fits")) == 40
    assert main([*arguments, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["files"] == [f"{tmp_path}/out/known.fits"]
    assert (facts["output"], facts["model"]) == (f"{tmp_path}/out", "legus-pictures-1")
    assert main([*arguments, "table.ecsv", "--image", "V=v.fits"]) == 1
    assert "TABLE, --image cannot be combined with --fields" in capsys.readouterr().err
    assert main(["classify", "-o", f"{tmp_path}/out"]) == 1
    assert "or --fields" in capsys.readouterr().err


def test_own_workers_keep_freed_memory():
    with astroclust.classification.distributed._connect(None) as client:
        settings = client.run(os.environ.get, "MALLOC_TRIM_THRESHOLD_")
    assert set(settings.values()) == {os.environ.get("MALLOC_TRIM_THRESHOLD_")}
