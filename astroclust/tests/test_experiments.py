# Licensed under a 3-clause BSD style license - see LICENSE.rst
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from astropy.table import Table, vstack

from astroclust import Stamps, read_legus, simulate_field
from astroclust.cli import main
from astroclust.experiments import (
    Report,
    classify_without_images,
    labeled_features,
    pool_with_images,
    sample_fields,
    scores_by_field,
    splits,
    trainings,
    wei2020,
)
from astroclust.experiments.samples import center_crop, gather_sample, join_stamps
from astroclust.experiments.trainings import Training, run_training
from astroclust.experiments.wei2020_numbers import add_numbers
from astroclust.experiments.wei2020_report import _select
from astroclust.instruments import LEGUS_BANDS
from astroclust.simulation import write_field
from astroclust.training import Recipe


def _stamps(n=60, size=100):
    """Class 1 is wide, class 4 narrow; of two fields, two per position."""
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(n) % 2, 1, 4)
    y, x = np.mgrid[:size, :size] - size // 2
    width = np.where(labels == 1, 4.0, 1.5)[:, None, None]
    light = np.exp(-(x**2 + y**2) / (2 * width**2))[:, None]
    table = Table({"field": np.where(np.arange(n) < 40, "ngc45", "ngc5474"), "class": labels})
    table["x"], table["y"] = 200.0 * (np.arange(n) // 2), np.zeros(n)
    return Stamps(light + rng.normal(0, 0.02, (n, 5, size, size)), LEGUS_BANDS.roles, table=table)


QUICK = Recipe("native-small", epochs=1, batch_size=16, moving_average=False)


def test_a_training_is_kept_and_read_again(tmp_path, monkeypatch):
    stamps = _stamps()
    training = Training("bcw", QUICK, run=1)
    options = {"folder": tmp_path, "others": {"new": stamps[:7]}}
    first = run_training(training, stamps, **options)
    assert set(first["part"]) == {"validation", "new"}
    validation = first[first["part"] == "validation"]
    assert len(validation) == 12
    np.testing.assert_array_equal(validation["label"], stamps.table["class"][validation["row"]])
    probabilities = np.column_stack([first[f"prob_{i}"] for i in (1, 2, 3, 4)])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert not list(tmp_path.rglob("*.ckpt"))
    result = trainings.result_of(training, tmp_path)
    earlier = result.read_text().replace("validation_fraction: ", "validation_share: ")
    assert earlier != result.read_text()
    result.write_text(earlier)
    monkeypatch.setattr(trainings, "train_classifier", None)
    assert run_training(training, stamps, **options).pformat() == first.pformat()
    other = replace(training, recipe=replace(QUICK, epochs=2))
    with pytest.raises(
        ValueError, match=r"different batch_size, epochs; choose another output folder"
    ):
        run_training(replace(other, recipe=replace(other.recipe, batch_size=8)), stamps, **options)
    with pytest.raises(ValueError, match=r"run-01 has a training with different new; choose"):
        run_training(training, stamps, folder=tmp_path, others={"new": stamps[:6]})
    monkeypatch.undo()
    shutil.rmtree(tmp_path / training.experiment / "run-01")
    assert len(run_training(other, stamps, **options)) == len(first)


@pytest.mark.parametrize("size", [25, "random"])
def test_trainings_on_other_sizes(tmp_path, size):
    training = Training("bcw", QUICK, run=1, size=size, n_training=32)
    assert len(run_training(training, _stamps(), folder=tmp_path)) == 12


def test_a_field_or_neighbors_stay_out(tmp_path):
    stamps = _stamps()
    training = Training("bcw", QUICK, run=1, split="ngc5474")
    classified = run_training(training, stamps, folder=tmp_path)
    assert sorted(classified["row"]) == list(range(40, 60))
    training = Training("bcw", QUICK, run=1, split="grouped")
    rows = run_training(training, stamps, folder=tmp_path)["row"]
    assert set(rows // 2 * 2) | set(rows // 2 * 2 + 1) == set(rows)
    with pytest.raises(ValueError, match="no stamps of ngc628-c can be held out"):
        run_training(Training("bcw", QUICK, run=1, split="ngc628-c"), stamps, folder=tmp_path)


def test_crops_keep_the_center():
    stamps = _stamps(4)
    for size in (25, 50, 100):
        cropped = center_crop(stamps, size)
        assert cropped.data.shape[-2:] == (size, size)
        np.testing.assert_array_equal(
            cropped.data[:, :, size // 2, size // 2], stamps.data[:, :, 50, 50]
        )
    with pytest.raises(ValueError, match="to 101"):
        center_crop(stamps, 101)
    assert len(join_stamps([stamps, cropped])) == 8


def test_the_samples_are_those_of_public_catalogs():
    assert {"ngc45", "ngc5474"} <= set(sample_fields("bcw"))
    assert "ngc1566" in sample_fields("consensus") or "ngc1433" in sample_fields("consensus")
    with pytest.raises(ValueError, match="bcw, consensus"):
        sample_fields("votes")


def _catalog(field, distance, seed, n=120):
    """Class 4 is compact, class 1 extended: the concentration index says it all."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 4], n)
    catalog = Table({"id": np.arange(n), "x": rng.uniform(0, 900, n), "y": rng.uniform(0, 900, n)})
    for name in ("f275w", "f336w", "f438w", "f555w", "f814w"):
        catalog[f"mag_{name}"] = np.ma.array(rng.normal(23, 1, n), mask=rng.random(n) < 0.1)
        catalog[f"mag_err_{name}"] = rng.uniform(0.01, 0.2, n)
    catalog["ci"] = np.where(labels == 1, 1.8, 1.4) + rng.normal(0, 0.05, n)
    catalog["n_filters"], catalog["class_human"] = 5, labels
    catalog.meta = {"FIELD": field, "DISTANCE": distance}
    return catalog


def test_trees_learn_from_catalogs_of_other_galaxies():
    catalogs = [
        _catalog("ngc1433", 8.3, 1),
        _catalog("ngc628-c", 9.9, 2),
        _catalog("ngc628-e", 9.9, 3),
    ]
    sample = labeled_features(catalogs)
    assert sample.colnames[:4] == ["field", "galaxy", "id", "label"]
    assert not {"age", "mass", "e_bv"} & set(sample.colnames)
    classified = classify_without_images(catalogs)
    assert len(classified) == sum(np.sum(catalog["class_human"] > 0) for catalog in catalogs)
    scores = scores_by_field(classified)
    assert scores["field"].tolist() == ["ngc1433", "ngc628-c", "ngc628-e", "all"]
    assert scores["accuracy"][-1] > 0.95
    assert scores["total"][-1] == len(classified)


def test_images_and_catalogs_together():
    catalogs = [_catalog("ngc1433", 8.3, 1), _catalog("ngc628-c", 9.9, 2)]
    for catalog in catalogs:
        catalog["ci"] = 1.5
    alone = classify_without_images(catalogs)
    assert scores_by_field(alone)["accuracy"][-1] < 0.8
    images = alone["field", "id"]
    for number in (1, 2, 3, 4):
        images[f"prob_{number}"] = np.where(alone["label"] == number, 0.7, 0.1)
    both = pool_with_images(alone, images[::-1][5:])
    assert both.colnames == alone.colnames
    assert len(both) == len(alone) - 5
    assert scores_by_field(both)["accuracy"][-1] > 0.95
    with pytest.raises(ValueError, match="at least two galaxies, not 1"):
        pool_with_images(alone, images[images["field"] == "ngc1433"])
    with pytest.raises(ValueError, match="at least two galaxies, not 1"):
        classify_without_images(catalogs[:1])


def test_a_report_is_one_file_and_keeps_numbers_in_full(tmp_path):
    report = Report("A <title>", note="quick")
    table = Table({"value": [1 / 3]})
    report.add("Section", "a & b", name="table", table=table)
    page = report.write(tmp_path).read_text()
    assert "A &lt;title&gt;" in page
    assert "a &amp; b" in page
    assert ">0.3<" in page
    assert "http" not in page
    assert Table.read(tmp_path / "table.ecsv")["value"][0] == 1 / 3
    assert table["value"].format is None


@pytest.fixture(scope="module")
def small_archive(tmp_path_factory):
    """Three small simulated fields, laid out as the archive does."""
    folder = tmp_path_factory.mktemp("archive")
    files = {}
    for seed, name in enumerate(("ngc45", "ngc1433", "ngc1566")):
        field = simulate_field(like=name, shape=(170, 180), seed=seed, density=1.5e-3)
        written = write_field(field, folder / name)
        paths = [*written.images.values(), written.catalog, written.readme]
        for path in paths:
            sub = "cluster_catalogs/deterministic/" if path.suffix != ".fits" else ""
            files[f"/hlsps/legus/{name}/{sub}{path.name}"] = path
    return files


def test_wei_2020_as_a_command(archive_server, small_archive, tmp_path, monkeypatch, capsys):
    networks = {"wei2020": "mnasnet0_5@32", "wei2020-vgg19": "shufflenet_v2_x0_5@32"}
    plan = wei2020._Plan(
        {**networks, "native": "native-small"},
        1,
        sizes=(25, 50),
        batches=dict.fromkeys((*networks, "native"), 2),
        n_fields=1,
        n_training=40,
        n_tested=10,
    )
    monkeypatch.setattr(wei2020, "_PLANS", {True: plan})
    with archive_server.ArchiveServer(small_archive) as server:
        command = ["reproduce", "wei2020", "--quick", "-q", "--server", server.url]
        command += ["--data", f"{tmp_path}/data", "-o", f"{tmp_path}/out", "--weights", "none"]
        assert main(command) == 0
        fetched = sum(request.method == "GET" for request in server.requests)
        page = (tmp_path / "out" / "report.html").read_text()
        # To be drawn again would take as long as the rest.
        monkeypatch.setattr(wei2020, "compare_classes", lambda *_: Report("The same again"))
        assert main(command) == 0
        assert sum(request.method == "GET" for request in server.requests) == fetched
    assert len(Table.read(tmp_path / "out" / "comparison.ecsv")) == 80
    filters = Table.read(tmp_path / "out" / "filters.ecsv")
    assert len(filters) == 3 * 5
    assert len(Table.read(tmp_path / "out" / "sizes.ecsv")) == 2 * 2 * 4
    for name in ("people", "levels", "text", "totals", "samples"):
        assert len(Table.read(tmp_path / "out" / f"{name}.ecsv"))
    for heading in ("People", *(f"Figure {number}: " for number in (1, 3, 4, 6, 7))):
        assert f"<h2>{heading}" in page
    assert {path.name for path in (tmp_path / "out" / "stamps").glob("examples-*")} == {
        "examples-ngc1433.fits",
        "examples-ngc1566.fits",
    }
    assert "whose numbers are not meaningful" in page
    assert "Our training runs of one kind share one split (stratified)" in page
    assert "no band costs" in page or "more than any other band" in page
    assert "wrote" in capsys.readouterr().out


@pytest.fixture
def archive_of_phangs(archive_server, small_archive, tmp_path):
    """NGC 3351 by LEGUS and PHANGS-HST, and a field that stands for NGC 1559."""
    field = simulate_field(like="ngc3351", shape=(170, 180), seed=5, density=1.5e-3)
    written = write_field(field, tmp_path / "ngc3351")
    root = "/hlsps/legus/ngc3351"
    files = {f"{root}/{path.name}": path for path in written.images.values()}
    for path in (written.catalog, written.readme):
        files[f"{root}/cluster_catalogs/deterministic/{path.name}"] = path
    catalog = read_legus(written.catalog)
    catalogs = {"ngc3351": catalog[catalog["class_human"] > 0]}
    of_1566 = {path.name: path for name, path in small_archive.items() if "/ngc1566/" in name}
    (table,) = (path for name, path in of_1566.items() if name.endswith(".tab"))
    catalog = read_legus(table)
    catalogs["ngc1559"] = catalog[catalog["class_human"] > 0]
    images = {name.split("_")[5]: path for name, path in of_1566.items() if name.endswith(".fits")}
    parts = []
    for name, table in catalogs.items():
        part = Table({"galaxy": [name] * len(table), "class": table["class_human"]})
        for column in ("x", "y", "ra", "dec"):
            part[column] = np.asarray(table[column])
        parts.append(part)
    return files | archive_server.phangs_archive(vstack(parts), {"ngc1559": images})


def test_wei_2020_with_the_new_galaxy_of_the_paper(
    archive_server, archive_of_phangs, tmp_path, monkeypatch
):
    plan = wei2020._Plan({"native": "native-small"}, 1, batches={"native": 2}, n_fields=1)
    monkeypatch.setattr(wei2020, "_PLANS", {True: replace(plan, n_training=40, n_tested=10)})
    with archive_server.ArchiveServer(archive_of_phangs) as server:
        command = ["reproduce", "wei2020", "--quick", "-q", "--new-galaxy", "ngc1559"]
        command += ["--server", server.url, "--data", f"{tmp_path}/data", "-o", f"{tmp_path}/out"]
        assert main([*command, "--labels", "bcw", "--networks", "native"]) == 0
        asked = [request.path for request in server.requests if request.method == "GET"]
    assert sum("ngc1559" in path for path in asked) == 1 + 5  # candidates and images
    samples = Table.read(tmp_path / "out" / "samples.ecsv")
    assert samples["field"][samples["sample"] == "new galaxy"].tolist() == ["ngc1559"]
    people = Table.read(tmp_path / "out" / "people.ecsv")
    (row,) = people[people["second"] == "PHANGS-HST"]
    assert row["class_1+2"] == 100  # the same classes
    page = (tmp_path / "out" / "report.html").read_text()
    assert "NGC 1559 has the human classes of PHANGS-CAT" in page
    assert "is not shown" not in page
    examples = Stamps.read(tmp_path / "out" / "stamps" / "examples-ngc1559.fits")
    assert examples.size == 299


def _trained(plan, labels_of_run):
    """What trainings would have found: every second object of class 1 is given class 4."""
    tables = []
    for training in wei2020._trainings(plan):
        labels = np.array(labels_of_run[training.run - 1])
        classes = np.where((labels == 1) & (np.arange(len(labels)) % 2 == 1), 4, labels)
        for part in ("validation", "new galaxy", *wei2020.WITHOUT.values()):
            table = Table({"part": [part] * len(labels), "label": labels, "class": classes})
            for number in (1, 2, 3, 4):
                table[f"prob_{number}"] = np.where(classes == number, 0.7, 0.1)
            tables.append(trainings.with_origin(table, training))
    return vstack(tables)


def test_wei_2020_without_objects_of_some_classes(tmp_path):
    plan = wei2020._Plan({"wei2020": "a", "wei2020-vgg19": "b"}, 2, sizes=(50,))
    classified = _trained(plan, [[1, 1, 2, 4], [4, 4, 2, 2]])
    wei2020.compare_classes(classified, plan, quick=True).write(tmp_path)
    comparison = Table.read(tmp_path / "comparison.ecsv")
    scores = Table.read(tmp_path / "scores_bcw_a.ecsv")
    assert scores["recall"][0] == 0.5  # of the one training that has objects of class 1
    assert np.isnan(scores["recall_std"][0])
    assert scores["accuracy_std"][0] == pytest.approx(np.std([0.75, 1], ddof=1))
    filters = Table.read(tmp_path / "filters.ecsv")
    assert not filters["change"].any()
    assert "no band costs any accuracy" in (tmp_path / "report.html").read_text()
    row = comparison[0]
    assert (row["item"], row["paper"], row["paper_std"]) == ("table-4", 76.0, 4.2)
    assert (row["paper_total"], row["ours_total"]) == (254, 1)
    assert (row["ours"], row["ours_runs"]) == (50, 1)
    assert np.isnan(row["ours_std"])
    of_class_3 = comparison[comparison["true_class"] == 3]
    assert np.isnan(of_class_3["ours"]).all()
    assert not of_class_3["ours_runs"].any()
    confusion = Table.read(tmp_path / "confusion_bcw_a_validation.ecsv")
    np.testing.assert_array_equal(confusion["class_1"], [50, 0, np.nan, 0])
    np.testing.assert_array_equal(confusion["runs"], [1, 2, 0, 2])


def _number(text, source, number):
    rows = text[(text["source"] == source) & (text["number"] == number)]
    assert len(rows)
    return rows[0]


def test_numbers_in_the_text_are_beside_ours(tmp_path):
    plan = wei2020._Plan({"wei2020": "a", "wei2020-vgg19": "b", "native": "c"}, 2)
    labels = [[1, 1, 2, 4], [1, 1, 2, 4]]
    stamps = _stamps(20)  # of classes 1 and 4
    samples = {"bcw": stamps, "consensus": stamps[:16]}
    classified = _trained(plan, labels)
    report = Report("numbers")
    add_numbers(report, partial(_select, classified), plan, samples)
    report.write(tmp_path)
    text = Table.read(tmp_path / "text.ecsv")
    row = _number(text, "abstract", "recall, class 1 (percent)")
    assert (row["paper"], row["ours"], row["values"]) == (70, 50, 4)  # two networks, two samples
    row = _number(text, "sec. 4.2", "recall, class 4, labels consensus (percent)")
    assert (row["limit"], row["ours"], row["values"]) == ("from", 100, 2)
    assert np.isnan(_number(text, "sec. 5", "recall, class 3 (percent)")["ours"])
    assert _number(text, "sec. 4.2", "drop, class 2, labels bcw (percent)")["ours"] == 0
    assert _number(text, "sec. 4.1", "scatter, labels bcw (percent)")["highest"] == 0
    row = _number(text, "sec. 4.3", "size variation, labels consensus (percent)")
    assert (row["ours"], row["values"]) == (0, 6)  # three classes of two networks
    row = _number(text, "sec. 3.4", "training objects, class 1, labels bcw")
    assert (row["paper"], row["ours"]) == (1000, 10 - 2)
    assert _number(text, "sec. 3.4", "test fraction, labels consensus (percent)")["ours"] == 25
    for number in ("images, resnet18", "images, vgg19_bn", "batches"):
        row = _number(text, "sec. 3.4", number)
        assert row["ours"] == row["paper"]
    assert _number(text, "sec. 3.3", "runs")["ours"] == 2


def test_a_study_without_an_archive(archive_server, tmp_path, capsys):
    with archive_server.ArchiveServer({}) as server:
        command = ["reproduce", "wei2020", "--quick", "-q", "--server", server.url]
        assert main([*command, "--data", f"{tmp_path}/data", "-o", f"{tmp_path}/out"]) == 1
    assert "ngc1566" in capsys.readouterr().err


def test_missing_weights_are_an_error_before_anything_is_fetched(archive_server, tmp_path, capsys):
    with archive_server.ArchiveServer({}) as server:
        command = ["reproduce", "wei2020", "-q", "--server", server.url, "-o", f"{tmp_path}/out"]
        assert main([*command, "--weights", f"{tmp_path}/missing.pth"]) == 1
        assert not server.requests
    assert (
        "missing.pth does not exist; choose another file, imagenet or none"
        in capsys.readouterr().err
    )


def test_options_of_wei_2020(tmp_path):
    plan = wei2020._plan(wei2020._PLANS[False], 3, ["vgg19_bn", "native"], ["all", "bcw"])
    assert (plan.runs, plan.labels) == (3, ("bcw", "all"))
    assert plan.networks == {"wei2020-vgg19": "vgg19_bn", "native": "native"}
    assert (plan.labels_for("bcw"), plan.labels_for("consensus")) == ("bcw", "bcw")
    plan = replace(plan, normalization="unit-band", redraw=True)
    todo = list(wei2020._trainings(plan))
    assert len(todo) == 3 * (2 * 2 + 3)
    assert {one.recipe.normalization for one in todo} == {"unit-band", "asinh-peak"}
    assert all(one.experiment.endswith("_redrawn") for one in todo)
    assert all(one.recipe.mixed_precision is False for one in todo if one.network != "native")
    with pytest.raises(ValueError, match=r"some of resnet18, vgg19_bn, native, not alexnet"):
        wei2020.reproduce_wei2020(tmp_path, networks=["alexnet"])
    with pytest.raises(ValueError, match=r"labels must be some of bcw, consensus, all, not votes"):
        wei2020.reproduce_wei2020(tmp_path, labels="votes")
    with pytest.raises(ValueError, match=r"labels must be some of bcw, consensus, all, not none"):
        wei2020.reproduce_wei2020(tmp_path, labels=[])
    with pytest.raises(ValueError, match="runs must be at least 1, not 0"):
        wei2020.reproduce_wei2020(tmp_path, runs=0)
    with pytest.raises(ValueError, match="'by hand'; available are asinh-peak, unit-st"):
        wei2020.reproduce_wei2020(tmp_path, normalization="by hand")
    with pytest.raises(ValueError, match="split must be one of stratified, grouped, not 'ngc45'"):
        wei2020.reproduce_wei2020(tmp_path, split="ngc45")
    assert not list(tmp_path.iterdir())


def test_all_labels_are_those_of_both_samples(tmp_path):
    plan = wei2020._plan(wei2020._PLANS[True], None, None, ["all"])
    asked = []

    def fetch(name, labels):
        asked.append((labels, name))
        return _stamps(4)

    samples = wei2020._samples(plan, fetch, tmp_path, "ngc1566")
    assert len(samples["all"]) == 4 * 4
    assert [labels for labels, _ in asked] == ["bcw"] * 2 + ["consensus"] * 2
    assert "ngc1566" not in dict(asked).values()


def test_fields_that_cannot_be_reached_are_skipped_if_others_are_there(tmp_path):
    tried = []

    def fetch(name):
        tried.append(name)
        if name == "ngc45":
            return _stamps(4)
        raise OSError(f"{name}: no route to host")

    with pytest.warns(UserWarning, match=r"ngc1 cannot be fetched and are excluded.*no route"):
        assert len(gather_sample(fetch, ["ngc1", "ngc45"])) == 4
    with pytest.raises(OSError, match="no field of the sample can be fetched: ngc1: no route"):
        gather_sample(fetch, ["ngc1", "ngc2"])

    tried.clear()
    names = ["ngc1", "ngc2", "ngc3", "ngc45"]
    with pytest.warns(UserWarning, match=r"ngc1, ngc2, ngc3 cannot be fetched and are excluded"):
        assert len(gather_sample(fetch, names, kept=["ngc45"])) == 4
    assert tried == ["ngc1", "ngc2", "ngc45"]  # the third would take as long as they

    def interrupted(name):
        raise InterruptedError("interrupted")

    with pytest.raises(InterruptedError):
        gather_sample(interrupted, ["ngc45"])


def test_a_study_with_cached_stamps_needs_no_archive(tmp_path, capsys):
    folder = tmp_path / "out"
    (folder / "stamps").mkdir(parents=True)
    for name in ("bcw-ngc45", "consensus-ngc1433", "consensus-ngc1566"):
        stamps = _stamps(40)
        stamps.table["field"] = name.partition("-")[2]
        stamps.write(folder / "stamps" / f"{name}.fits")
    server = ["--server", "http://127.0.0.1:9"]  # where none listens
    command = ["reproduce", "wei2020", "-q", "-o", str(folder), "--data", f"{tmp_path}/data"]
    command += ["--networks", "native", "--runs", "1", "--quick", *server]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "wrote" in said.out
    assert "ugca281 cannot be fetched and are excluded from the sample" in said.err
    samples = Table.read(folder / "samples.ecsv")
    assert {"ngc45", "ngc1433", "ngc1566"} <= set(samples["field"])


@pytest.mark.parametrize(
    ("study", "kinds"),
    [("sample-size", ["32", "all"]), ("held-out-fields", ["ngc1433", "ngc1566"])],
)
def test_split_studies_as_commands(
    archive_server, small_archive, study, kinds, tmp_path, monkeypatch
):
    monkeypatch.setattr(splits, "_NUMBERS", (32,))
    with archive_server.ArchiveServer(small_archive) as server:
        command = ["reproduce", study, "-q", "--server", server.url, "--data", f"{tmp_path}/data"]
        command += ["--field", "ngc1433", "--field", "ngc1566", "--runs", "1", "--epochs", "1"]
        assert main([*command, "-o", f"{tmp_path}/out"]) == 0
    scores = Table.read(tmp_path / "out" / "scores.ecsv")
    assert list(map(str, scores["kind"])) == kinds
    assert np.all((scores["accuracy"] >= 0) & (scores["accuracy"] <= 100))


@pytest.mark.parametrize(
    ("study", "options", "refused", "taken"),
    [
        ("schneider2023", ["--pictures", "."], "--pictures", "--network, --weights"),
        ("wei2020", ["--epochs", "3", "--size", "64"], "--epochs, --size", "--pictures"),
        ("wei2020", ["--batches", "0"], "--batches", "--quick"),
        ("catalog-only", ["--runs", "0", "--redraw"], "--runs, --redraw", "it accepts --data\n"),
        ("leak", ["--quick"], "--quick", "--data, --server, --field, --runs, --epochs"),
    ],
)
def test_a_study_refuses_options_that_it_would_ignore(
    study, options, refused, taken, tmp_path, capsys
):
    assert main(["reproduce", study, "-q", "-o", f"{tmp_path}/out", *options]) == 1
    said = capsys.readouterr().err
    assert f"{study} does not accept {refused}; it accepts" in said
    assert taken in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--epochs", "--runs"])
def test_studies_of_nothing(option, tmp_path, capsys):
    assert main(["reproduce", "leak", "-q", option, "0", "-o", f"{tmp_path}/out"]) == 1
    assert f"{option[2:]} must be" in (said := capsys.readouterr().err)
    assert "at least 1, not 0" in said
    assert not (tmp_path / "out").exists()


def test_fields_that_are_one_crowd_cannot_be_split(tmp_path):
    stamps = _stamps(20)
    stamps.table["x"] = 30.0 * np.arange(20)  # each shares pixels with the next
    training = Training("bcw", QUICK, run=1, split="grouped")
    with pytest.raises(ValueError, match="use more fields"):
        run_training(training, stamps, folder=tmp_path)


def test_an_unknown_study():
    with pytest.raises(ValueError, match="leak, held-out-fields, sample-size"):
        splits.reproduce_split_study("luck", "nowhere")
