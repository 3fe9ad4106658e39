# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
import re
import warnings

import numpy as np
import pytest
import requests
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import classify_table, review_table
from astroclust.catalogs import read_table
from astroclust.cli import main
from astroclust.instruments import classes_of
from astroclust.review import (
    LabelStore,
    Page,
    confirmed_subset,
    open_labels,
    purity_cut,
    write_review,
)
from astroclust.review.confirmation import CONFIRMATION


@pytest.fixture
def table():
    table = Table({"x": [20.0, 30.0, 40.0, 50.0, 60.0], "y": [30.0, 50.0, 20.0, 40.0, 60.0]})
    table["class"], table["probability"] = [1, 1, 2, 4, 0], [0.95, 0.91, 0.9, 0.4, np.nan]
    return table


@pytest.fixture
def labels(tmp_path):
    return tmp_path / "t.confirm.ecsv"


def test_only_what_is_sure_is_shown_and_keeps_its_name(table, field, labels):
    page = Page(confirm=0.9)
    with review_table(table, field.images, labels=labels, port=0, page=page) as server:
        told = requests.get(server.url + "api/objects", timeout=60).json()
    assert told["n"] == 3
    assert told["labels"]["classes"] == {"1": "confirmed", "2": "rejected"}
    assert told["classes"]["1"] == "symmetric cluster"
    with review_table(table[::-1], field.images, labels=labels, port=0, page=page) as server:
        assert server.objects.ids == ["2", "3", "4"]


def test_the_subset_has_what_most_votes_confirm(table, field, labels):
    store = open_labels(table, field.images, labels, page=Page(confirm=0.9))
    for row, votes in enumerate([(1, 1, 2), (2,), (1, 2)]):
        for who, label in zip(("anna", "ben", "eva"), votes, strict=False):
            store.add(row, reviewer=who, label=label, note="round" if label == 1 else "")
    subset, counts = confirmed_subset(table, field.images, labels, confirm=0.9)
    assert subset["x"].tolist() == [20]
    assert subset["confirm_votes"].tolist() == [3]
    assert subset["confirm_fraction"][0] == pytest.approx(2 / 3)
    assert subset["confirm_note"].tolist() == ["anna: round; ben: round"]
    assert counts["before"].tolist() == [2, 1, 0, 0]
    assert counts["confirmed"].tolist() == [1, 0, 0, 0]
    assert counts["rejected"].tolist() == [1, 0, 0, 0]
    assert counts["open"].tolist() == [0, 1, 0, 0]  # a tie
    np.testing.assert_allclose(counts["expected"], [0.93, 0.9, np.nan, np.nan])
    np.testing.assert_allclose(counts["purity"], [0.5, np.nan, np.nan, np.nan])
    kept = json.loads(subset.meta["CONFIRM"])
    assert kept["probability"] == 0.9
    assert kept["classes"]["1"] == {"before": 2, "confirmed": 1, "rejected": 1}


def test_it_resumes_at_another_threshold(table, field, labels):
    store = open_labels(table, field.images, labels, page=Page(confirm=0.9))
    store.add(0, reviewer="anna", label=1)
    store.add(2, reviewer="anna", label=1)
    lower, _ = confirmed_subset(table, field.images, labels, confirm=0.3)
    higher, counts = confirmed_subset(table[::-1], field.images, labels, confirm=0.92)
    assert lower["x"].tolist() == [20, 40]
    assert higher["x"].tolist() == [20]
    assert counts["open"].sum() == 0


def test_nothing_confirmed_is_an_empty_table(table, field, labels):
    subset, counts = confirmed_subset(table, field.images, labels, confirm=0.9)
    assert len(subset) == 0
    assert set(table.colnames) < set(subset.colnames)
    assert counts["open"].sum() == 3
    assert not labels.exists()


def test_labels_of_classes_are_not_those_of_a_confirmation(table, field, labels):
    open_labels(table, field.images, labels).add(0, reviewer="anna", label=1)
    with pytest.raises(ValueError, match="choose another label file with --labels"):
        open_labels(table, field.images, labels, page=Page(confirm=0.9))
    other = labels.with_name("other.ecsv")
    open_labels(table, field.images, other, page=Page(confirm=0.9)).add(0, reviewer="anna", label=1)
    assert classes_of(Table.read(other)).names == {1: "confirmed", 2: "rejected"}


def test_labels_of_a_mailed_page_are_taken_in(table, field, tmp_path, labels):
    page = Page(confirm=0.9)
    write_review(table, field.images, tmp_path / "page.html", page=page)
    header = json.loads(_data(tmp_path / "page.html"))["header"]
    line = "1,1,30.0,50.0,ben,2,,False,table,2026-01-01T00:00:00Z\n"
    (tmp_path / "ben.labels.ecsv").write_text(header + line)
    store = open_labels(table, field.images, labels, page=page)
    assert store.merge(tmp_path / "ben.labels.ecsv") == 1
    assert store.votes()["ben"].tolist() == [0, 2, 0]


def _data(path):
    return re.search(r'id="review-data">(.*?)</script>', path.read_text())[1]


@pytest.mark.parametrize(
    ("purity", "threshold"), [(0.93, 0.99), (0.9, 0.8), (0.84, 0.6), (0.5, 0.3)]
)
def test_expected_purity_is_the_mean_probability(purity, threshold):
    table = Table({"class": [1, 2, 1, 4, 1, 0]})
    table["probability"] = [0.6, 0.99, 0.3, 0.99, 0.8, np.nan]
    assert purity_cut(table, purity) == threshold


def test_equal_probabilities_are_kept_or_lost_together():
    table = Table({"class": [1, 1, 1], "probability": [0.9, 0.5, 0.5]})
    assert purity_cut(table, 0.7) == 0.9
    assert purity_cut(table, 0.6) == 0.5


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        (0.99, r"no object has a probability of 0\.99 or more; the highest is 0\.950"),
        (1.5, r"must be from 0 to 1, not 1\.5"),
        (np.nan, "must be from 0 to 1, not nan"),
    ],
)
def test_thresholds_that_cannot_be(table, field, labels, threshold, message):
    with pytest.raises(ValueError, match=message):
        open_labels(table, field.images, labels, page=Page(confirm=threshold))


def test_tables_that_cannot_be_confirmed(table, field, labels):
    page = Page(confirm=0.9)
    with pytest.raises(KeyError, match="requires the column class; classify the table first"):
        open_labels(table["x", "y", "probability"], field.images, labels, page=page)
    with pytest.raises(KeyError, match="requires the column ml_class"):
        open_labels(table, field.images, labels, page=page, column_prefix="ml_")
    table["confirm_votes"] = 1
    with pytest.raises(ValueError, match="an earlier confirmation"):
        open_labels(table, field.images, labels, page=page)
    with pytest.raises(ValueError, match="omit blind or confirm"):
        Page(blind=True, confirm=0.9)


def test_purities_that_cannot_be(table):
    with pytest.raises(ValueError, match=r"no subset has an expected purity of 0\.99; the highest"):
        purity_cut(table, 0.99)
    with pytest.raises(ValueError, match="above 0 and below 1, not 1"):
        purity_cut(table, 1)
    with pytest.raises(ValueError, match="no object has a class and a probability"):
        purity_cut(table[4:], 0.5)
    with pytest.raises(KeyError, match="requires the column class"):
        purity_cut(table["x", "y"], 0.5)


@pytest.fixture(scope="module")
def files(field, tmp_path_factory):
    """A classified table and its images on disk, as options of a command."""
    folder = tmp_path_factory.mktemp("confirm")
    field.images.write(folder / "f.fits")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # some stamps reach over the edge
        result = classify_table(field.truth["id", "x", "y"], field.images)
    result.write(folder / "t.ecsv")
    images = [f"--image={name}={folder}/f.fits[{name}]" for name in field.images.filters]
    return folder, ["review", str(folder / "t.ecsv"), *images]


def test_the_command_writes_the_subset_and_counts(files, capsys):
    folder, command = files
    table = read_table(folder / "t.ecsv")
    threshold = float(np.sort(table["probability"])[-3])
    rows = np.flatnonzero(table["probability"] >= threshold)
    x, y = table["x"][rows], table["y"][rows]
    store = LabelStore(folder / "t.confirm.ecsv", x, y, scheme=CONFIRMATION)
    for row, label in enumerate((1, 2)):
        store.add(row, reviewer="anna", label=label)
    options = ["--confirm", repr(threshold), "--export", str(folder / "c.fits"), "--json"]
    assert main([*command, *options]) == 0
    told = json.loads(capsys.readouterr().out)
    wanted = {"before": 3, "confirmed": 1, "rejected": 1, "open": 1}
    assert {name: told[name] for name in wanted} == wanted
    assert read_table(folder / "c.fits")["id"].tolist() == [table["id"][rows[0]]]
    assert main([*command, *options[:-1], "--overwrite"]) == 0
    assert "1 of them are confirmed, 1 rejected, 1 open" in capsys.readouterr().out


def test_the_command_takes_a_purity(files, capsys):
    folder, command = files
    table = read_table(folder / "t.ecsv")
    wanted = float(table["probability"].max()) - 1e-3
    export = ["--export", str(folder / "p.fits"), "--overwrite"]
    assert main([*command, "--confirm-purity", str(wanted), *export]) == 0
    said = capsys.readouterr().out
    assert "calibration error of legus-pictures-1" in said
    # As an argument of --confirm, it selects the same objects.
    assert float(said.split("probabilities of at least ")[1].split()[0]) == purity_cut(
        table, wanted
    )
    table.meta["ACSHA"] = "0" * 16
    table.write(folder / "other.ecsv")
    other = [command[0], str(folder / "other.ecsv"), *command[2:]]
    assert main([*other, "--confirm-purity", "0.5", *export]) == 1
    assert "set its file with --model, or a probability with --confirm" in capsys.readouterr().err
    assert main([*other, "--confirm", "0.1", *export]) == 0  # the remedy
