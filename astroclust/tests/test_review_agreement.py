# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
import re

import numpy as np
import pytest
import requests
from astropy.table import Table

from astroclust import review_table
from astroclust.catalogs import read_table
from astroclust.cli import main
from astroclust.evaluation import cohen_kappa, fleiss_kappa
from astroclust.review import LabelStore, Page, reviewer_agreement
from astroclust.review.agreement_page import agreement_page

LABELS = {
    "anna": np.array([1, 1, 2, 3, 4, 4, 4, 0]),
    "ben": np.array([1, 2, 2, 4, 4, 4, 0, 0]),
    "eva": np.array([1, 1, 0, 3, 4, 0, 4, 2]),
}
BLIND = {"anna": np.ones(8, bool), "ben": np.array([1, 0, 1, 1, 0, 1, 0, 0], bool)}


@pytest.fixture
def agreement():
    return reviewer_agreement(LABELS | {"nobody": np.zeros(8, int)}, blind=BLIND)


def test_each_pair_has_its_kappa(agreement):
    pairs = agreement.pairs
    named = list(zip(pairs["reviewer_a"], pairs["reviewer_b"], strict=True))
    assert named == [("anna", "ben"), ("anna", "eva"), ("ben", "eva")]
    assert pairs["n"].tolist() == [6, 5, 4]
    assert pairs["n_blind"].tolist() == [4, 0, 0]
    kappa = cohen_kappa(LABELS["anna"][:6], LABELS["ben"][:6])
    assert pairs["kappa"][0] == kappa.value
    assert pairs["kappa_error"][0] == kappa.error
    assert pairs["agreement"][0] == pytest.approx(4 / 6)
    matrix = agreement.matrices["anna", "ben"]
    assert matrix["class_2"].tolist() == [1, 1, 0, 0]
    assert matrix["total"].tolist() == [2, 1, 1, 2]
    assert agreement.labeled == {"anna": 7, "ben": 6, "eva": 6}


def test_all_have_the_kappa_of_fleiss(agreement):
    counts = [[3, 0, 0, 0], [2, 1, 0, 0], [0, 2, 0, 0], [0, 0, 2, 1], [0, 0, 0, 3]]
    counts += [[0, 0, 0, 2], [0, 0, 0, 2], [0, 1, 0, 0]]
    assert agreement.fleiss == fleiss_kappa(counts)
    assert agreement.fleiss.n == 7


def test_the_table_holds_everything(agreement, tmp_path):
    table = agreement.table()
    assert table["n_1_2"].tolist() == [1, 0, 0]
    cells = [name for name in table.colnames if re.fullmatch(r"n_\d_\d", name)]
    assert len(cells) == 16
    assert sum(table[name] for name in cells).tolist() == table["n"].tolist()
    assert table.meta["FLEISS"] == agreement.fleiss.value
    assert table.meta["FLEISS_N"] == 7
    for name in ("a.fits", "a.ecsv"):
        table.write(tmp_path / name)


def test_reviewers_without_common_objects(tmp_path):
    agreement = reviewer_agreement({"anna": [1, 0], "ben": [0, 2]})
    assert agreement.pairs["n"].tolist() == [0]
    assert np.isnan(agreement.pairs["kappa"][0])
    assert np.isnan(agreement.fleiss.value)
    assert "FLEISS" not in agreement.table().meta
    agreement.table().write(tmp_path / "a.fits")
    page = agreement_page(agreement, title="t")
    assert "undefined" in page
    assert "nan" not in page
    assert '<table class="matrix">' not in page


def test_a_single_class_is_not_defined():
    agreement = reviewer_agreement({"anna": [4, 4], "ben": [4, 4]})
    assert agreement.pairs["agreement"].tolist() == [1.0]
    assert np.isnan(agreement.pairs["kappa"][0])
    assert "Cohen" in agreement_page(agreement, title="t")


@pytest.mark.parametrize("labels", [{}, {"anna": [1, 2]}, {"anna": [0, 0], "ben": [1, 0]}])
def test_fewer_than_two_reviewers(labels):
    agreement = reviewer_agreement(labels)
    assert len(agreement.pairs) == 0
    assert len(agreement.table()) == 0
    assert "agreement cannot be computed yet" in agreement_page(agreement, title="t")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"anna": [1, 2], "ben": [1, 2, 3]}, "differ in shape"),
        ({"anna": [1, 9], "ben": [1, 2]}, "9"),
        ({"anna": [1, 9]}, "9"),
    ],
)
def test_labels_that_are_none_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        reviewer_agreement(labels)


def test_a_page_says_names_as_they_are(agreement):
    labels = {"<b>": LABELS["anna"], "Ben & Eva": LABELS["ben"]}
    page = agreement_page(reviewer_agreement(labels), title="<i>")
    assert "<b>" not in page
    assert "<i>" not in page
    assert "Ben &amp; Eva" in page
    page = agreement_page(agreement, title="NGC 628")
    assert page.count('<table class="matrix">') == 3
    assert str(agreement.fleiss).replace("+/-", "±") in page
    assert not re.search(r"style=|<script", page)  # the server allows neither


def _label_all(store):
    for name, labels in LABELS.items():
        for row, label in enumerate(labels):
            if label:
                blind = bool(BLIND.get(name, np.zeros(8, bool))[row])
                store.add(row, reviewer=name, label=int(label), blind=blind)


@pytest.fixture
def table():
    return Table({"x": np.arange(20.0, 100.0, 10.0), "y": np.full(8, 40.0)})


def test_a_store_tells_its_agreement(tmp_path, agreement, table):
    store = LabelStore(tmp_path / "l.ecsv", table["x"], table["y"])
    assert not store.agreement().labeled
    _label_all(store)
    told = store.agreement()
    assert str(told.table()) == str(agreement.table())
    assert told.fleiss == agreement.fleiss


def test_the_server_shows_it(field, tmp_path, table):
    labels = tmp_path / "l.ecsv"
    page = Page(title="NGC <628>")
    with review_table(table, field.images, labels=labels, port=0, page=page) as server:
        reply = requests.get(server.url + "agreement", timeout=120)
        assert "agreement cannot be computed yet" in reply.text
        _label_all(LabelStore(labels, table["x"], table["y"]))  # another program
        reply = requests.get(server.url + "agreement", timeout=120)
    assert reply.headers["Content-Type"].startswith("text/html")
    assert "NGC &lt;628&gt;" in reply.text
    assert "anna, ben" in reply.text
    kappa = str(reviewer_agreement(LABELS).fleiss)
    assert kappa.replace("+/-", "±") in reply.text


def test_command_tells_it(field, tmp_path, table, capsys):
    field.images.write(tmp_path / "field.fits")
    table.write(tmp_path / "t.ecsv")
    images = [f"--image={name}={tmp_path}/field.fits[{name}]" for name in field.images.filters]
    command = ["review", str(tmp_path / "t.ecsv"), *images]
    assert main([*command, "--agreement"]) == 0
    assert "fewer than two reviewers" in capsys.readouterr().out
    _label_all(LabelStore(tmp_path / "t.labels.ecsv", table["x"], table["y"]))
    assert main([*command, "--agreement"]) == 0
    out = capsys.readouterr().out
    kappa = cohen_kappa(LABELS["anna"][:6], LABELS["ben"][:6])
    assert re.search(rf"anna +ben +6 +4 +0.67 .* {kappa.value:.2f} +{kappa.error:.2f}\n", out)
    assert "classes by anna (rows) and ben (columns)" in out
    assert "Fleiss' kappa of all reviewers: 0." in out
    written = ["--agreement-table", str(tmp_path / "a.ecsv")]
    assert main([*command, *written, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["reviewers"] == {"anna": 7, "ben": 6, "eva": 6}
    assert told["pairs"][0]["n_1_2"] == 1
    assert told["fleiss_objects"] == 7
    assert read_table(tmp_path / "a.ecsv")["kappa"][0] == kappa.value
    assert main([*command, *written]) == 1
    assert "already exists" in capsys.readouterr().err
    assert main([*command, *written, "--overwrite"]) == 0
