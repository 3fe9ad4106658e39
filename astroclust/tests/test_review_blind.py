# Licensed under a 3-clause BSD style license - see LICENSE.rst
import csv
import subprocess
import sys

import numpy as np
import pytest
import requests
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from astroclust import review_table, simulate_field
from astroclust.catalogs import read_table
from astroclust.cli import main
from astroclust.review import LabelStore, Page, open_labels
from astroclust.review.lines import COLUMNS, EARLIER_COLUMNS
from astroclust.review.objects import describe_page, read_objects
from astroclust.review.pictures import Pictures

X, Y = np.array([10.0, 20.0, 30.0, 40.0]), np.array([5.0, 6.0, 7.0, 8.0])
# A file as it was before there was a blind review, of scheme legus.
EARLIER = """# %ECSV 1.0
# ---
# delimiter: ','
# datatype:
# - {name: row, datatype: int64}
# - {name: id, datatype: string}
# - {name: x, unit: pix, datatype: float64}
# - {name: y, unit: pix, datatype: float64}
# - {name: reviewer, datatype: string}
# - {name: class, datatype: int16}
# - {name: note, datatype: string}
# - {name: time, datatype: string}
# meta: !!omap
# - {ABOUT: a line a label; the last of a reviewer about an object holds}
# - {NIGHT: seventh}
# schema: astropy-2.0
row,id,x,y,reviewer,class,note,time
0,0,10.0,5.0,anna,2,"a ""quoted"", ümlaut",2025-01-02T03:04:05Z
1,1,20.0,6.0,anna,,only a note,2025-01-02T03:04:06Z
3,far,4000.0,8.0,anna,1,of another field,2025-01-02T03:04:07Z
"""


@pytest.fixture
def store(tmp_path):
    return LabelStore(tmp_path / "mine.labels.ecsv", X, Y)


@pytest.fixture
def earlier(tmp_path):
    path = tmp_path / "earlier.labels.ecsv"
    path.write_text(EARLIER)
    return path


@pytest.fixture(scope="module")
def field():
    return simulate_field(shape=(96, 96), seed=1)


# Labels


def test_each_entry_says_whether_it_is_blind(store):
    first = store.add(0, reviewer="anna", label=2, blind=True, order="random seed=1")
    assert (first.blind, first.order) == (True, "random seed=1")
    # She has seen the class since; Ben has not.
    assert not store.add(0, reviewer="Anna", label=3, blind=True).blind
    assert store.add(0, reviewer="ben", label=1, blind=True).blind
    assert not store.add(1, reviewer="anna", label=1).blind
    again = LabelStore(store.path, X, Y)
    assert [entry.blind for entry in again.entries] == [True, False, True, False]
    assert again.entries[0].order == "random seed=1"
    table = Table.read(store.path)
    assert table["blind"].tolist() == [True, False, True, False]
    assert table.colnames == list(COLUMNS)


def test_a_note_leaves_a_label_as_blind_as_it_was(store):
    store.add(0, reviewer="anna", label=2, blind=True)
    assert store.add(0, reviewer="anna", label=2, note="faint").blind
    store.add(1, reviewer="anna", label=2)
    assert not store.add(1, reviewer="anna", label=2, note="faint", blind=True).blind


def test_a_note_before_the_label_reveals_nothing(store):
    assert store.add(0, reviewer="anna", note="faint", blind=True).blind
    assert store.add(0, reviewer="anna", label=1, note="faint", blind=True).blind


def test_a_label_that_was_taken_back_has_been_seen(store):
    store.add(0, reviewer="anna", label=2, blind=True)
    store.add(0, reviewer="anna", label=None, blind=True)
    assert not store.add(0, reviewer="anna", label=2, blind=True).blind


def test_what_another_program_added_counts_as_seen(store):
    LabelStore(store.path, X, Y).add(0, reviewer="anna", label=2)
    assert not store.add(0, reviewer="anna", label=3, blind=True).blind


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"blind": 1}, "blind must be True or False, not 1"),
        ({"blind": "yes"}, "blind must be True or False, not 'yes'"),
        ({"order": 3}, "order must be a string, not 3"),
    ],
)
def test_what_is_neither_blind_nor_an_order_is_refused(store, given, message):
    with pytest.raises(ValueError, match=message):
        store.add(0, reviewer="anna", label=1, **given)
    assert not store.path.exists()


def test_an_order_stays_on_its_line(store):
    store.add(0, reviewer="anna", label=1, order="by,\n me" + "e" * 500)
    kept = LabelStore(store.path, X, Y).entries[0].order
    assert kept.startswith("by, mee")
    assert len(kept) == 100


def test_a_line_that_is_neither_blind_nor_not_is_shown(store):
    store.add(0, reviewer="anna", label=1)
    text = store.path.read_text()
    store.path.write_text(text.replace(",False,", ",perhaps,"))
    with pytest.raises(ValueError, match=r"blind is 'perhaps', neither .*; correct or delete it"):
        LabelStore(store.path, X, Y)
    store.path.write_text(store.path.read_text().replace(",perhaps,", ",True,"))  # mended
    assert LabelStore(store.path, X, Y).entries[0].blind


# Files of earlier versions


def test_an_earlier_file_is_read(earlier):
    store = LabelStore(earlier, X, Y)
    assert [entry.label for entry in store.entries] == [2, None]
    assert not any(entry.blind for entry in store.entries)
    assert store.entries[0].note == 'a "quoted", ümlaut'
    assert store.n_unmatched == 1
    assert earlier.read_text() == EARLIER  # reading changes nothing


def test_an_earlier_file_is_added_to(earlier):
    earlier.chmod(0o664)
    store = LabelStore(earlier, X, Y)
    other = LabelStore(earlier, X, Y)
    assert not store.add(0, reviewer="anna", label=3, blind=True).blind
    assert store.add(2, reviewer="ben", label=4, blind=True, order="table").blind
    other.refresh()
    for one in (store, other, LabelStore(earlier, X, Y)):
        assert [entry.label for entry in one.entries] == [2, None, 3, 4]
        assert [entry.blind for entry in one.entries] == [False, False, False, True]
        assert one.n_unmatched == 1
    # All lines and metadata are there, and the file is as accessible as before.
    assert Table.read(earlier).meta["NIGHT"] == "seventh"
    lines = [line for line in earlier.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines))
    before = list(csv.DictReader(line for line in EARLIER.splitlines() if line[0] != "#"))
    assert [{name: row[name] for name in EARLIER_COLUMNS} for row in rows[:3]] == before
    assert earlier.stat().st_mode & 0o777 == 0o664


@pytest.mark.parametrize(("end", "n"), [(-1, 3), (-10, 2)])
def test_an_earlier_file_whose_last_line_has_no_end(earlier, end, n):
    earlier.write_text(EARLIER.replace("4000.0", "30.0").replace("3,far", "2,far")[:end])
    store = LabelStore(earlier, np.append(X, 30.0), np.append(Y, 8.0))
    assert len(store.entries) == n
    store.add(3, reviewer="anna", label=1)
    assert len(LabelStore(earlier, store.x, store.y).entries) == n + 1
    assert len(Table.read(earlier)) == n + 1


def test_an_earlier_file_that_was_mailed_is_merged(store, earlier):
    store.add(0, reviewer="ben", label=1, blind=True)
    assert store.merge(earlier) == 2
    assert store.merge(earlier) == 0
    assert store.votes()["anna"].tolist() == [2, 0, 0, 0]
    # And the other way round: an earlier file takes in blind labels.
    old = LabelStore(earlier, X, Y)
    assert old.merge(store.path) == 1
    assert LabelStore(earlier, X, Y).entries[-1].blind


def test_a_full_disk_leaves_an_earlier_file_as_it_was(earlier, monkeypatch):
    store = LabelStore(earlier, X, Y)

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("astroclust.review.appending.os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            store.add(1, reviewer="anna", label=2)
    assert earlier.read_text() == EARLIER
    store.add(1, reviewer="anna", label=2)
    assert len(store.entries) == 3


_LABEL_ALL = """
import sys
import numpy as np
from astroclust.review.labels import LabelStore
store = LabelStore(sys.argv[1], np.arange(40.0), np.zeros(40))
print("ready", flush=True)
sys.stdin.readline()
for row in range(40):
    store.add(row, reviewer=sys.argv[2], label=1 + row % 4, blind=True)
"""


def test_two_programs_at_once_on_an_earlier_file(earlier):
    lines = EARLIER.splitlines(keepends=True)
    earlier.write_text("".join(lines[:-3]) + "0,0,0.0,0.0,eva,2,,2025-01-02T03:04:05Z\n")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    programs = [
        subprocess.Popen([sys.executable, "-c", _LABEL_ALL, str(earlier), name], **pipes)
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
    store = LabelStore(earlier, np.arange(40.0), np.zeros(40))
    votes, expected = store.votes(), [1 + row % 4 for row in range(40)]
    assert votes["anna"].tolist() == votes["ben"].tolist() == expected
    assert votes["eva"][0] == 2
    assert sum(entry.blind for entry in store.entries) == 80


# Votes


def test_votes_have_positions_on_the_sky_and_the_fraction_of_blind_labels(tmp_path):
    sky = SkyCoord([10.0, 10.1, 10.2, 10.3] * u.deg, [-5.0, -5.1, -5.2, -5.3] * u.deg)
    store = LabelStore(tmp_path / "l.ecsv", X, Y, sky=sky)
    store.add(1, reviewer="anna", label=1, blind=True)
    store.add(1, reviewer="ben", label=1)
    store.add(2, reviewer="ben", label=4, blind=True)
    store.add(3, reviewer="ben", note="only a note", blind=True)
    table = store.table()
    assert table["ra"].tolist() == [10.1, 10.2, 10.3]
    assert table["dec"].tolist() == [-5.1, -5.2, -5.3]
    assert table["ra"].unit == table["dec"].unit == "deg"
    assert table["blind_fraction"][:2].tolist() == [0.5, 1.0]
    assert np.isnan(table["blind_fraction"][2])
    for name in ("votes.fits", "votes.ecsv"):
        table.write(tmp_path / name)
    assert read_table(tmp_path / "votes.ecsv")["ra"].tolist() == [10.1, 10.2, 10.3]


def test_exported_votes_have_positions_on_the_sky(field, tmp_path):
    table = Table({"x": [30.0, 50.5], "y": [40.0, 20.0]})
    store = open_labels(table, field.images, tmp_path / "l.ecsv")
    store.add(1, reviewer="anna", label=1)
    votes = store.table()
    expected = field.images.wcs.pixel_to_world(50.5, 20.0).icrs
    np.testing.assert_allclose(votes["ra"], expected.ra.deg, rtol=0, atol=1e-9)
    np.testing.assert_allclose(votes["dec"], expected.dec.deg, rtol=0, atol=1e-9)


# Settings of a page


def test_positions_without_a_wcs(field):
    bands = {name: band.data for name, band in field.images.items()}
    assert read_objects(Table({"x": [30.0], "y": [40.0]}), bands).sky is None
    table = Table({"x": [30.0], "y": [40.0], "ra": [10.5], "dec": [-3.0]})
    told = describe_page(Page(), read_objects(table, bands))
    assert (told["ra"], told["dec"], told["scale"]) == ([10.5], [-3.0], None)


def test_scale_and_distance(field):
    table = Table({"x": [30.0], "y": [40.0]})
    objects = read_objects(table, field.images)
    told = describe_page(Page(), objects)
    assert told["scale"] == pytest.approx(field.images.pixel_scale.value)
    assert told["distance"] is None
    table.meta["DISTANCE"] = 9.9
    assert describe_page(Page(), read_objects(table, field.images))["distance"] == 9.9
    for distance in (3.5, 3500 * u.kpc):
        told = describe_page(Page(distance=distance), read_objects(table, field.images))
        assert told["distance"] == pytest.approx(3.5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"order": "class"}, "order must be one of table, uncertainty, random, not 'class'"),
        ({"seed": -1}, "seed must be a whole number, 0 or more, not -1"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"distance": 0}, "the distance must be positive, in Mpc, not 0"),
        ({"distance": "far"}, "the distance must be positive, in Mpc, not 'far'"),
        ({"distance": np.inf}, "the distance must be positive"),
        ({"distance": 3 * u.s}, "the distance must be positive"),
    ],
)
def test_settings_that_are_none_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        Page(**given)


def test_the_random_order_is_that_of_its_seed(field):
    objects = read_objects(Table({"x": np.arange(20.0), "y": np.arange(20.0)}), field.images)
    ranks = describe_page(Page(order="random", seed=3), objects)["random"]
    order = np.random.default_rng(3).permutation(20)
    assert [ranks[row] for row in order] == list(range(20))
    assert describe_page(Page(seed=3), objects)["random"] == ranks
    assert describe_page(Page(seed=4), objects)["random"] != ranks


def test_an_order_by_uncertainty_needs_an_entropy(field, tmp_path):
    table = Table({"x": [30.0], "y": [40.0]})
    options = {"labels": tmp_path / "l.ecsv", "port": 0}
    with pytest.raises(ValueError, match=r"needs the column entropy.*choose the order 'random'"):
        review_table(table, field.images, page=Page(order="uncertainty"), **options)
    with review_table(table, field.images, page=Page(order="random"), **options) as server:
        assert requests.get(server.url, timeout=120).ok
    table["entropy"] = [0.4]
    with review_table(table, field.images, page=Page(order="uncertainty"), **options) as server:
        told = requests.get(server.url + "api/objects", timeout=120).json()
    assert told["order"] == "uncertainty"


# Surroundings


@pytest.mark.parametrize("size", [20, 21])
def test_the_stamp_is_in_the_middle_of_its_surroundings(field, size):
    objects = read_objects(Table({"x": [47.3], "y": [50.0]}), field.images)
    pictures = Pictures(objects, size=size)
    stamp = pictures.stamps([0]).data[0, 0]
    around = pictures.stamps([0], size=4 * size + size % 2).data[0, 0]
    edge = (len(around) - size) // 2
    np.testing.assert_array_equal(around[edge:-edge, edge:-edge], stamp)
    corner = describe_page(Page(size=size), objects)["corner"]
    x, y = int(corner["x"][0]), int(corner["y"][0])
    pixels = next(iter(field.images.values())).pixels(np.s_[y : y + size, x : x + size])
    np.testing.assert_array_equal(stamp, pixels)


# The server


@pytest.fixture
def server(field, tmp_path):
    table = Table({"x": [30.0, 50.0], "y": [40.0, 20.0], "class": [1, 4]})
    page = Page(blind=True, order="random", seed=5, distance=10)
    with review_table(
        table, field.images, labels=tmp_path / "l.ecsv", port=0, page=page
    ) as running:
        yield running


def test_the_server_tells_its_settings(server, field):
    told = requests.get(server.url + "api/objects", timeout=120).json()
    assert (told["blind"], told["order"], told["seed"], told["distance"]) == (True, "random", 5, 10)
    sky = field.images.wcs.pixel_to_world(30.0, 40.0).icrs
    assert told["ra"][0] == pytest.approx(sky.ra.deg, abs=1e-7)


def test_the_server_keeps_whether_a_label_is_blind(server):
    sent = {"row": 1, "class": 2, "reviewer": "anna", "blind": True, "order": "random seed=5"}
    address = server.url + "api/labels"
    assert requests.post(address, json=sent, timeout=120).json()["blind"] is True
    assert requests.post(address, json=sent | {"class": 3}, timeout=120).json()["blind"] is False
    told = requests.get(address, timeout=120).json()["entries"]
    assert told == [[1, "anna", 2, "", True], [1, "anna", 3, "", False]]
    for wrong in ({"blind": "yes"}, {"blind": None}, {"order": 7}):
        reply = requests.post(address, json=sent | wrong, timeout=120)
        assert reply.status_code == 400
        assert "must be" in reply.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("contexts/color/1", 200),
        ("contexts/V/1", 200),
        ("contexts/red/1", 404),
        ("contexts/color/2", 404),
        ("agreement", 200),
    ],
)
def test_surroundings_are_served(server, path, status):
    assert requests.get(server.url + path, timeout=120).status_code == status


# The command


def test_command_refuses_settings_that_are_none(field, tmp_path, capsys):
    field.images.write(tmp_path / "field.fits")
    Table({"x": [30.0], "y": [40.0]}).write(tmp_path / "t.ecsv")
    images = [f"--image={name}={tmp_path}/field.fits[{name}]" for name in field.images.filters]
    command = ["review", str(tmp_path / "t.ecsv"), *images, "--no-browser", "--port", "0"]
    for given, message in (
        (["--distance", "-3"], "the distance must be positive, in Mpc, not -3.0"),
        (["--order", "uncertainty"], "needs the column entropy"),
        (["--seed", "-1"], "seed must be a whole number"),
    ):
        assert main([*command, *given]) == 1
        assert message in capsys.readouterr().err
