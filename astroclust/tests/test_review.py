# Licensed under a 3-clause BSD style license - see LICENSE.rst
import errno
import json
import re
import socket
import subprocess
import sys
import warnings
from io import BytesIO

import numpy as np
import pytest
import requests
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from PIL import Image

import astroclust
from astroclust import classify_table, review_table
from astroclust.cli import main
from astroclust.instruments import LEGUS_CLASSES
from astroclust.locks import only_process
from astroclust.photometry import growth_curve
from astroclust.review import DEFAULT_PORT, LabelStore, Page, open_labels, write_review
from astroclust.review.objects import read_objects
from astroclust.review.pictures import TILE, Pictures
from astroclust.tests.test_files import small_files
from astroclust.training import vote_fractions

X, Y = np.array([10.0, 20.0, 30.0, 40.0]), np.array([5.0, 6.0, 7.0, 8.0])


@pytest.fixture(scope="module")
def result(field):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # some stamps reach over the edge
        return classify_table(field.truth["id", "x", "y"], field.images)


@pytest.fixture(scope="module")
def server(result, field, tmp_path_factory):
    labels = tmp_path_factory.mktemp("review") / "r.labels.ecsv"
    with review_table(result, field.images, labels=labels, reviewer="anna", port=0) as running:
        yield running


@pytest.fixture
def store(tmp_path):
    return LabelStore(tmp_path / "mine.labels.ecsv", X, Y)


def _again(store):
    return LabelStore(store.path, store.x, store.y, ids=store.ids)


# The file of labels


def test_labels_outlive_the_program(store):
    store.add(1, reviewer="anna", label=2, note='a "quoted", ümlaut')
    store.add(1, reviewer="ben", label=3)
    store.add(1, reviewer="anna", label=4)
    store.add(2, reviewer="anna", label=1)
    store.add(2, reviewer="anna", label=None)
    votes = _again(store).votes()
    assert votes["anna"].tolist() == [0, 4, 0, 0]
    assert votes["ben"].tolist() == [0, 3, 0, 0]
    table = Table.read(store.path)  # ECSV for all who read it
    assert table["class"].filled(0).tolist() == [2, 3, 4, 1, 0]
    assert table["note"][0] == 'a "quoted", ümlaut'
    assert table["x"].unit == "pix"


def test_one_reviewer_however_the_name_is_written(store):
    store.add(0, reviewer="Anna", label=1)
    assert store.add(1, reviewer=" anna ", label=2).reviewer == "Anna"
    assert list(store.votes()) == ["Anna"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"row": 4}, "row 4 does not exist; rows are 0 to 3"),
        ({"row": -1}, "row -1 does not exist"),
        ({"row": "1"}, "row must be a whole number"),
        ({"row": True}, "row must be a whole number"),
        ({"label": 5}, "class must be one of"),
        ({"label": "2"}, "class must be one of"),
        ({"label": True}, "class must be one of"),
        ({"label": [1]}, "class must be one of"),
        ({"reviewer": "  "}, "reviewer must be a name"),
        ({"reviewer": None}, "reviewer must be a name"),
        ({"reviewer": "a" * 61}, "reviewer must be a name"),
        ({"note": 3}, "note must be a string"),
    ],
)
def test_what_is_no_label_is_refused(store, given, message):
    given = {"row": 0, "reviewer": "anna", "label": 1} | given
    with pytest.raises(ValueError, match=message):
        store.add(given.pop("row"), **given)
    assert not store.path.exists()


def test_a_row_without_a_position_is_not_labeled(tmp_path):
    store = LabelStore(tmp_path / "l.ecsv", [np.nan], [1.0])
    with pytest.raises(ValueError, match="row 0 has no position"):
        store.add(0, reviewer="anna", label=1)


def test_notes_stay_on_their_line(store):
    store.add(0, reviewer="anna", note="two\nlines\r\x00 and\tmore")
    assert _again(store).entries[0].note == "two lines and more"
    assert len(store.table()) == 1


def test_labels_find_their_rows_in_a_table_that_was_sorted_and_cut(store):
    store.add(1, reviewer="anna", label=2)
    store.add(3, reviewer="anna", label=4)
    other = LabelStore(store.path, X[::-1][:3].astype(np.float32), Y[::-1][:3])
    assert other.votes()["anna"].tolist() == [4, 0, 2]
    fewer = LabelStore(store.path, X[:2], Y[:2])
    assert fewer.votes()["anna"].tolist() == [0, 2]
    assert fewer.n_unmatched == 1


@pytest.mark.parametrize("kept", [0, 1, 5])
def test_half_a_line_left_by_a_kill_is_cut(store, kept):
    for row in range(3):
        store.add(row, reviewer="anna", label=1)
    whole = store.path.read_bytes()
    start = whole[:-1].rfind(b"\n") + 1
    store.path.write_bytes(whole[: start + kept])
    again = _again(store)
    assert again.votes()["anna"].tolist() == [1, 1, 0, 0]
    again.add(3, reviewer="anna", label=4)
    assert _again(store).votes()["anna"].tolist() == [1, 1, 0, 4]
    assert len(Table.read(store.path)) == 3


def test_a_last_line_that_an_editor_left_open_counts(store):
    store.add(0, reviewer="anna", label=1)
    store.path.write_bytes(store.path.read_bytes()[:-1])
    again = _again(store)
    assert again.votes()["anna"][0] == 1
    again.add(1, reviewer="anna", label=2)
    assert again.votes()["anna"].tolist() == [1, 2, 0, 0]
    assert len(Table.read(store.path)) == 2


def test_an_edited_file_is_read_anew(store):
    store.add(0, reviewer="anna", label=1)
    store.add(1, reviewer="anna", label=1)
    before = store.generation
    lines = store.path.read_text().splitlines(keepends=True)
    store.path.unlink()
    store.refresh()
    assert not store.entries
    store.path.write_text("".join(lines[:-1]))
    store.refresh()
    assert [entry.row for entry in store.entries] == [0]
    assert store.generation != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"id,class\n1,2\n", "it is not ECSV"),
        (b"# %ECSV 1.0\n# ---\nid class\n", "it has different columns"),
        (b"# %ECSV 1.0\n", "it has different columns"),
        (b"\xff\xfe\x00\n", "it is not text"),
    ],
)
def test_another_file_is_not_taken_for_labels(tmp_path, text, message):
    path = tmp_path / "other.ecsv"
    path.write_bytes(text)
    with pytest.raises(ValueError, match=message) as caught:
        LabelStore(path, X, Y)
    assert "--labels" in str(caught.value)
    assert path.read_bytes() == text


def test_labels_of_other_classes_are_not_taken_for_these(store):
    store.add(0, reviewer="anna", label=4)
    with pytest.raises(ValueError, match=r"labels of class scheme legus, 1 symmetric .* --labels"):
        LabelStore(store.path, X, Y, scheme="cluster")


@pytest.mark.parametrize("line", ["0,0,10.0,5.0,anna,7,,now", "1,2,3", "a,0,1,2,anna,1,,now"])
def test_a_line_that_is_no_label_is_shown(store, line):
    store.add(0, reviewer="anna", label=1)
    with store.path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ValueError, match=re.escape(repr(line))):
        _again(store)


def test_a_read_only_file_is_said(store):
    store.add(0, reviewer="anna", label=1)
    store.path.chmod(0o444)
    with pytest.raises(PermissionError, match="is read-only; make it writable"):
        store.add(1, reviewer="anna", label=2)
    store.path.chmod(0o644)
    store.add(1, reviewer="anna", label=2)
    assert store.votes()["anna"].tolist() == [1, 2, 0, 0]


def test_a_full_disk_leaves_no_half_line(store, monkeypatch):
    store.add(0, reviewer="anna", label=1)
    before = store.path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("astroclust.review.appending.os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            store.add(1, reviewer="anna", label=2)
    assert store.path.read_bytes() == before
    # A disk that takes a part of the line.
    for room in (0, 1, 20, 60):
        with (
            small_files(len(before) + room),
            pytest.raises(OSError, match=r"cannot write .*the label was not saved.*label again"),
        ):
            store.add(1, reviewer="anna", label=2, note="a line of more than sixty bytes " * 3)
        assert store.path.read_bytes() == before
        assert len(store.entries) == 1
    store.add(1, reviewer="anna", label=2)  # as the message says
    assert store.votes()["anna"].tolist() == [1, 2, 0, 0]


def test_a_full_disk_at_the_first_label(store):
    with small_files(100), pytest.raises(OSError, match=rf"cannot write {store.path}: File too"):
        store.add(0, reviewer="anna", label=1)
    assert not store.path.exists()
    store.add(0, reviewer="anna", label=1)
    assert len(store.entries) == 1


def test_a_lock_that_is_held_is_said(store, monkeypatch):
    monkeypatch.setattr("astroclust.review.appending._LOCK_TIMEOUT", 0)
    with (
        only_process(store.path),
        pytest.raises(OSError, match=r"another program .*not saved"),
    ):
        store.add(0, reviewer="anna", label=1)
    store.add(0, reviewer="anna", label=1)


_LABEL_ALL = """
import sys
import numpy as np
from astroclust.review.labels import LabelStore
store = LabelStore(sys.argv[1], np.arange(40.0), np.zeros(40))
print("ready", flush=True)
sys.stdin.readline()
for row in range(40):
    store.add(row, reviewer=sys.argv[2], label=1 + row % 4)
"""


def test_two_programs_at_once_lose_nothing(tmp_path):
    path = tmp_path / "shared.ecsv"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    programs = [
        subprocess.Popen([sys.executable, "-c", _LABEL_ALL, str(path), name], **pipes)
        for name in ("anna", "ben")
    ]
    for program in programs:
        assert program.stdout.readline() == "ready\n"
    for program in programs:  # both at once
        program.stdin.write("\n")
        program.stdin.flush()
    for program in programs:
        program.communicate(timeout=120)
        assert program.returncode == 0
    votes = LabelStore(path, np.arange(40.0), np.zeros(40)).votes()
    expected = [1 + row % 4 for row in range(40)]
    assert votes["anna"].tolist() == votes["ben"].tolist() == expected


def test_a_file_that_came_by_mail_is_taken_in_once(store, tmp_path):
    store.add(0, reviewer="anna", label=1)
    other = LabelStore(tmp_path / "other.ecsv", X, Y)
    other.add(0, reviewer="ben", label=2)
    other.add(3, reviewer="ben", label=3, note="faint")
    assert store.merge(other.path) == 2
    assert store.merge(other.path) == 0
    assert store.votes()["ben"].tolist() == [2, 0, 0, 3]
    far = LabelStore(tmp_path / "far.ecsv", X + 500, Y)
    far.add(0, reviewer="eva", label=2)
    with pytest.raises(ValueError, match="none at a position of this table"):
        store.merge(far.path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        store.merge(tmp_path / "none.ecsv")


# Votes


def test_votes_and_mode_as_legus_keeps_them(tmp_path):
    store = LabelStore(tmp_path / "l.ecsv", X, Y, ids=["a", "b", "c", "d"])
    for name, labels in {"Ann-Lee": (1, 2, 1), "ann lee": (1, 3, 2), "eva": (2, None, 4)}.items():
        for row, label in enumerate(labels):
            store.add(row, reviewer=name, label=label, note="near" if row == 1 else "")
    store.add(3, reviewer="eva", note="only a note")
    table = store.table()
    assert table["id"].tolist() == ["a", "b", "c", "d"]
    assert {"vote_ann_lee", "vote_ann_lee_2", "vote_eva"} < set(table.colnames)
    assert table["class_mode"].mask.tolist() == [False, True, True, True]
    assert table["class_mode"][0] == 1
    assert table["n_votes"].tolist() == [3, 2, 3, 0]
    np.testing.assert_allclose(table["class_mean"][:3], [4 / 3, 2.5, 7 / 3], rtol=1e-6)
    assert np.isnan(table["class_mean"][3])
    assert table["note"][1] == "Ann-Lee: near; ann lee: near; eva: near"
    clear = table[~table["class_mode"].mask]
    fractions = vote_fractions(clear["class_mode"], np.round(clear["class_mean"], 2))
    np.testing.assert_allclose(fractions, [[2 / 3, 1 / 3, 0, 0]], rtol=1e-6)
    table.write(tmp_path / "votes.fits")
    table.write(tmp_path / "votes.ecsv")


def test_no_votes_make_an_empty_table(store):
    assert store.table().colnames == ["row", "id", "x", "y", "n_votes", "class_mode",
                                      "class_mean", "blind_fraction", "note"]  # fmt: skip
    assert len(store.table()) == 0


# The server


def _label(server, **sent):
    sent = {"row": 0, "class": 1, "reviewer": "anna", "note": ""} | sent
    return requests.post(server.url + "api/labels", json=sent, timeout=120)


def test_objects_are_told_whole(server, result):
    told = requests.get(server.url + "api/objects", timeout=120).json()
    assert told["n"] == len(result)
    assert told["ids"] == [str(i) for i in result["id"]]
    assert told["columns"]["class"] == result["class"].tolist()
    np.testing.assert_allclose(told["columns"]["prob_4"], result["prob_4"], atol=6e-5)
    assert told["reviewer"] == "anna"
    assert [band["role"] for band in told["bands"]] == ["NUV", "U", "B", "V", "I"]


def test_a_label_is_on_the_disk_when_it_is_answered(server):
    reply = _label(server, row=1, **{"class": 3}, note="round")
    assert reply.json() == {
        "row": 1,
        "reviewer": "anna",
        "class": 3,
        "note": "round",
        "blind": False,
    }
    last = server.store.path.read_text().splitlines()[-1]
    assert re.search(",anna,3,round,False,,", last)
    told = requests.get(server.url + "api/labels", timeout=120).json()
    assert told["entries"][-1] == [1, "anna", 3, "round", False]
    address = f"{server.url}api/labels?since={told['next']}&gen={told['generation']}"
    assert requests.get(address, timeout=120).json()["entries"] == []
    votes = requests.get(server.url + "api/votes.ecsv", timeout=120)
    assert "vote_anna" in Table.read(votes.text, format="ascii.ecsv").colnames


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"row": 10**6}, "row 1000000 does not exist"),
        ({"class": 9}, "class must be one of"),
        ({"class": {}}, "class must be one of"),
        ({"reviewer": ""}, "reviewer must be a name"),
        ({"note": "x" * 100_000}, "too large|Too Large|exceeded"),
    ],
)
def test_a_wrong_label_is_refused_in_words(server, sent, message):
    reply = _label(server, **sent)
    assert reply.status_code in (400, 413)
    assert re.search(message, reply.text)


def test_what_is_no_label_at_all_is_refused(server):
    address = server.url + "api/labels"
    for body in ("", "[]", "7", "{", '{"row": 1}'):
        headers = {"Content-Type": "application/json"}
        reply = requests.post(address, data=body, headers=headers, timeout=120)
        assert reply.status_code == 400
    assert requests.post(address, data="row=1", timeout=120).status_code == 415


def test_a_label_that_cannot_be_saved_is_an_error(server):
    _label(server)
    server.store.path.chmod(0o444)
    try:
        reply = _label(server, row=2)
        assert reply.status_code == 507
        assert "is read-only" in reply.text
    finally:
        server.store.path.chmod(0o644)
    assert _label(server, row=2).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_servers_are_not_answered(server, headers):
    address = server.url + "api/labels"
    n = len(server.store.entries)
    sent = {"row": 0, "class": 4, "reviewer": "mallory"}
    assert requests.post(address, json=sent, headers=headers, timeout=120).status_code in (400, 403)
    assert requests.get(address, headers=headers, timeout=120).status_code in (400, 403)
    server.store.refresh()
    assert len(server.store.entries) == n


@pytest.mark.parametrize("host", ["localhost:9000", "[::1]:9000", "127.0.0.1", "LOCALHOST"])
def test_a_tunnel_of_ssh_is_answered(server, host):
    headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert requests.get(server.url, headers=headers, timeout=120).status_code == 200


def test_a_link_elsewhere_opens_the_page(server):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert requests.get(server.url, headers=headers, timeout=120).status_code == 200


def test_only_this_machine_is_served(server):
    assert server._socket.getsockname()[0] == "127.0.0.1"


def test_pictures(server, result, field):
    rows = ",".join(map(str, range(10)))
    for name in ("color", "NUV", "I"):
        reply = requests.get(f"{server.url}sheets/{name}?rows={rows}", timeout=120)
        assert Image.open(BytesIO(reply.content)).size == (400, 100)
        reply = requests.get(f"{server.url}stamps/{name}/3", timeout=120)
        assert Image.open(BytesIO(reply.content)).size == (50, 50)
    ny, nx = field.images.shape
    reply = requests.get(f"{server.url}tiles/color/0/0/0", timeout=120)
    tile = np.asarray(Image.open(BytesIO(reply.content)).convert("L"), float)
    assert tile.shape == (TILE, TILE)
    assert tile[:ny, :nx].std() > 5
    assert tile[ny + 8 :].max() < 5


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("sheets/color?rows=999999", 404),
        ("sheets/color?rows=", 400),
        ("sheets/color?rows=-1", 400),
        ("sheets/color?rows=" + "1," * 400 + "1", 400),
        ("sheets/red?rows=1", 404),
        ("stamps/color/999999", 404),
        ("tiles/color/0/99/0", 404),
        ("tiles/color/99/0/0", 404),
        ("api/measures/999999", 404),
        ("static/none.js", 404),
        ("static/..%2f__init__.py", 404),
        ("nothing", 404),
    ],
)
def test_what_is_not_there_is_said(server, path, status):
    assert requests.get(server.url + path, timeout=120).status_code == status


def test_measures_are_those_of_the_package(server, result, field):
    told = requests.get(server.url + "api/measures/2", timeout=120).json()
    curve = growth_curve(result[2:3], field.images["V"])[0]
    assert told["growth"]["V"] == [round(v, 4) if np.isfinite(v) else None for v in curve]
    own = astroclust.measure_photometry(result["x", "y"][2:3], field.images, errors="iraf")
    magnitude = own[f"mag_{field.images['V'].filter.lower()}"][0]
    assert told["magnitudes"]["V"][0] == pytest.approx(magnitude, abs=1e-4)
    assert told["measured"] == ["NUV", "U", "B", "V", "I"]
    assert max(v for v in told["profile"]["V"] if v is not None) == 1


def test_width_of_a_known_profile(tmp_path):
    yy, xx = np.mgrid[:101, :101]
    sigma = 4.0
    image = 100 * np.exp(-((xx - 50.3) ** 2 + (yy - 49.8) ** 2) / (2 * sigma**2)) + 7
    table = Table({"x": [50.3], "y": [49.8], "mag_f555w": [20.5], "mag_err_f555w": [0.1]})
    with review_table(table, {"F555W": image}, labels=tmp_path / "l.ecsv", port=0) as server:
        told = requests.get(server.url + "api/measures/0", timeout=120).json()
    assert told["fwhm"] == pytest.approx(2.355 * sigma, rel=0.03)
    assert told["magnitudes"]["V"] == [20.5, 0.1]
    assert told["measured"] == []


def test_saliency_is_told(server):
    told = requests.get(server.url + "api/saliency/1", timeout=120).json()
    assert sum(told["fractions"]) == pytest.approx(1, abs=1e-3)
    assert told["picture"].startswith("data:image/png;base64,")
    assert told["class"] in LEGUS_CLASSES.numbers


# What is given


def test_a_table_that_was_not_classified_can_be_reviewed(field, tmp_path):
    table = field.truth["x", "y"]
    with review_table(table, field.images, labels=tmp_path / "l.ecsv", port=0) as server:
        told = requests.get(server.url + "api/objects", timeout=120).json()
    assert told["columns"] == {}
    assert told["ids"][:3] == ["0", "1", "2"]


def test_classes_that_are_missing_are_none(result, field):
    table = Table(result, masked=True)
    table["class"].mask[0] = True
    table["probability"][0] = np.nan
    told = read_objects(table, field.images).as_dict()
    assert told["columns"]["class"][0] == 0
    assert told["columns"]["probability"][0] is None
    json.dumps(told, allow_nan=False)


def test_a_table_without_rows_is_an_error(field, tmp_path):
    with pytest.raises(ValueError, match="no rows to review"):
        review_table(field.truth["x", "y"][:0], field.images, labels=tmp_path / "l.ecsv")


def test_images_of_another_table_are_an_error(field, tmp_path):
    table = Table({"x": [5000.0, np.nan], "y": [10.0, 20.0]})
    with pytest.raises(ValueError, match="none of the 2 rows lies on the images"):
        review_table(table, field.images, labels=tmp_path / "l.ecsv")
    table["x"][0] = 10
    with pytest.warns(AstropyUserWarning, match="1 of 2 rows are outside the images"):
        objects = read_objects(table, field.images)
    assert objects.inside.tolist() == [True, False]
    assert len(Pictures(objects).sheet([0, 1])) > 500


def test_a_hundred_thousand_rows(field, tmp_path):
    rng = np.random.default_rng(1)
    table = Table({"x": rng.uniform(0, 199, 100_000), "y": rng.uniform(0, 159, 100_000)})
    with review_table(table, field.images, labels=tmp_path / "l.ecsv", port=0) as server:
        assert requests.get(server.url + "api/objects", timeout=120).json()["n"] == 100_000
        assert _label(server, row=99_999).status_code == 200
        reply = requests.get(server.url + "sheets/color?rows=7,99999", timeout=120)
        assert reply.status_code == 200


def test_a_port_in_use(result, field, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        labels = tmp_path / "l.ecsv"
        with pytest.raises(OSError, match=f"port {port} is in use; choose another --port"):
            review_table(result, field.images, labels=labels, port=port)
    with pytest.raises(OSError, match="choose another --port"):
        review_table(result, field.images, labels=labels, port=70_000)


def test_the_next_free_port_is_taken(result, field, tmp_path):
    with (
        review_table(result, field.images, labels=tmp_path / "a.ecsv") as first,
        review_table(result, field.images, labels=tmp_path / "b.ecsv") as second,
    ):
        assert DEFAULT_PORT <= first.port < second.port
        assert requests.get(second.url, timeout=120).status_code == 200


def test_a_folder_that_is_not_there(result, field, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        review_table(result, field.images, labels=tmp_path / "none" / "l.ecsv")


# The page in one file


def test_one_file_holds_all(result, field, tmp_path):
    page = tmp_path / "page.html"
    table = result.copy()
    table["id"] = [f"</script><b>{i}" for i in table["id"]]
    assert (
        write_review(table, field.images, page, page=Page(title="a <b> c")) == page.stat().st_size
    )
    text = page.read_text()
    assert "<title>a &lt;b&gt; c</title>" in text
    assert 'src="/' not in text
    assert 'rel="stylesheet"' not in text
    data = re.search(r'id="review-data">(.*?)</script>', text, re.DOTALL)[1]
    data = json.loads(data)
    assert data["ids"] == table["id"].tolist()
    assert set(data["sheets"]) == {"color", "NUV", "U", "B", "V", "I"}
    assert len(data["measures"]) == len(table)
    with pytest.raises(FileExistsError):
        write_review(table, field.images, page)


# The command


@pytest.fixture(scope="module")
def files(result, field, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    field.images.write(folder / "field.fits")
    result.write(folder / "result.fits")
    images = [f"--image={name}={folder}/field.fits[{name}]" for name in field.images.filters]
    return folder / "result.fits", images


def test_command_writes_votes_that_train_takes(sparse, tmp_path, capsys):
    field = sparse
    field.images.write(tmp_path / "field.fits")
    rows = field.truth["id", "x", "y", "class"]
    rows.write(tmp_path / "rows.fits")
    images = [f"--image={name}={tmp_path}/field.fits[{name}]" for name in field.images.filters]
    mailed = tmp_path / "ben.ecsv"
    # Beside the table, where the command looks for it.
    store = LabelStore(tmp_path / "rows.labels.ecsv", rows["x"], rows["y"])
    for row, label in enumerate(rows["class"]):
        store.add(row, reviewer="anna", label=label)
    other = LabelStore(mailed, rows["x"], rows["y"])
    other.add(0, reviewer="ben", label=1 + rows["class"][0] % 4)
    export = ["--export", str(tmp_path / "votes.fits"), "--add-labels", str(mailed)]
    command = ["review", str(tmp_path / "rows.fits"), *images, *export]
    assert main(command) == 0
    out = capsys.readouterr().out
    n = len(rows)
    assert "1 labels of" in out
    assert f"{n} objects with votes or notes, {n - 1} of them with a mode" in out
    assert main(command) == 1
    assert "already exists" in capsys.readouterr().err
    assert main([*command, "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "labels": str(tmp_path / "rows.labels.ecsv"),
        "added": {str(mailed): 0},
        "voted": n,
        "with_mode": n - 1,
        "export": str(tmp_path / "votes.fits"),
    }
    tuned = ["--from", "default", "--epochs", "1", "-o", str(tmp_path / "tuned.safetensors")]
    assert main(["train", "-q", "--labels", str(tmp_path / "votes.fits"), *images, *tuned]) == 0
    assert f"{n - 1} stamps with class_mode" in capsys.readouterr().out


def test_command_writes_a_page(files, tmp_path, capsys):
    table, images = files
    page = tmp_path / "page.html"
    assert main(["review", str(table), *images, "--static", str(page)]) == 0
    assert f"wrote {page}" in capsys.readouterr().out
    assert page.stat().st_size > 50_000
    command = ["review", str(table), *images, "--static", str(page), "--overwrite", "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == {
        "static": str(page),
        "bytes": page.stat().st_size,
    }


def test_command_says_what_is_wrong(files, tmp_path, capsys):
    table, images = files
    for given, message in (
        ([str(table)], "a review requires images; add --image F555W=v.fits"),
        ([str(table), *images, "--labels", str(table)], "is the table itself"),
        ([str(table), *images, "--labels", f"{tmp_path}/no/l.ecsv"], "does not exist"),
        ([f"{tmp_path}/none.fits", *images], "does not exist"),
        ([str(table), *images, "--labels", f"{tmp_path}/l.ecsv", "--port", "1"], "--port"),
    ):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            given = [str(taken.getsockname()[1]) if word == "1" else word for word in given]
            assert main(["review", *given, "--no-browser"]) == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("as_json", [False, True])
def test_command_serves_until_it_is_interrupted(as_json, files, tmp_path, astroclust_command):
    table, images = files
    options = ["--labels", str(tmp_path / "l.ecsv"), "--port", "0", "--no-browser"]
    command = [*astroclust_command, "review", str(table), *images, *options, "--reviewer", "eva"]
    command += ["--json"] if as_json else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        url = None
        for line in running.stdout:
            if as_json:
                facts = json.loads(line)
                url = facts["url"]
                break
            if found := re.search(r"objects at (http://\S+)", line):
                url = found[1]
                break
        told = requests.get(url + "api/objects", timeout=120).json()
        running.send_signal(2)
        rest = running.communicate(timeout=120)[0]
    assert told["reviewer"] == "eva"
    assert running.returncode == 0
    if as_json:
        assert rest == ""
        assert facts["labels"] == str(tmp_path / "l.ecsv")
        assert facts["objects"] == len(told["ids"])
        assert (facts["kept"], facts["n_unmatched"]) == (0, 0)
    else:
        assert "all labels are in" in rest


def test_labels_are_opened_without_a_server(field, tmp_path):
    table, path = field.truth["id", "x", "y"], tmp_path / "mine.labels.ecsv"
    store = open_labels(table, field.images, path)
    store.add(0, reviewer="Ann", label=2)
    other = open_labels(table, field.images, tmp_path / "other.labels.ecsv")
    other.add(0, reviewer="Ben", label=2)
    assert store.merge(other.path) == 1
    again = open_labels(table, field.images, path)
    assert again.table()["class_mode"].tolist() == [2]
    with pytest.raises(ValueError, match="none of the 2 rows lies on the images"):
        open_labels(Table({"x": [-9.0, 900.0], "y": [1.0, 1.0]}), field.images, path)


def test_a_label_file_with_a_damaged_header(tmp_path):
    path, other = tmp_path / "a.labels.ecsv", tmp_path / "b.labels.ecsv"
    for one in (path, other):
        LabelStore(one, [10.0], [5.0]).add(0, reviewer="anna", label=2)
    text = path.read_text()
    path.write_text(text.replace("# delimiter: ','", "# delimiter: ';'"))
    with pytest.raises(ValueError, match=r"unreadable header .*; replace it with"):
        LabelStore(path, [10.0], [5.0])
    # As the message says.
    header = [line for line in other.read_text().splitlines() if line.startswith("#")]
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    path.write_text("\n".join([*header, *lines, ""]))
    assert LabelStore(path, [10.0], [5.0]).votes()["anna"].tolist() == [2]
