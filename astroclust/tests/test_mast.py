# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Fetching with astroquery, and without it."""

import errno
import hashlib
import json
import logging
import subprocess
import sys
import threading
from pathlib import Path

import astroquery
import numpy as np
import pytest
from astroquery import log
from astroquery import mast as astroquery_mast

from astroclust import fetch_legus
from astroclust.archive import conf, downloads, mast
from astroclust.archive.downloads import fetch_files
from astroclust.archive.portal import find_products
from astroclust.archive.remotes import Remote

PATH = "/hlsps/file.fits"
URI = "mast:HLSP/file.fits"
REPLIES = Path(astroquery.__file__).parent / "mast" / "tests" / "data"


def agents(server, method="GET"):
    """By which client files or queries were asked for."""
    names = [
        request.agent.partition("/")[0] for request in server.requests if request.method == method
    ]
    return ["astroquery" if name == "astroquery" else "https" for name in names]


def fetch(server, folder, **options):
    remote = Remote(f"{server.url}{PATH}", "file.fits", uri=URI, **options)
    (path,) = fetch_files([remote], folder)
    return path.read_bytes()


@pytest.fixture
def without_astroquery(server, monkeypatch):
    """Another name of the server, which astroquery does not query; downloads fail too."""
    monkeypatch.setattr(conf, "mast_server", server.url.replace("127.0.0.1", "localhost"))

    def refuse(*_, **__):
        raise LookupError("not by astroquery")

    monkeypatch.setattr(downloads, "download_product", refuse)


def test_astroquery_lists_and_downloads(server, tmp_path):
    data = fetch_legus("ngc1566", folder=tmp_path)
    assert len(data.images) == 5
    assert {*agents(server, "POST")} == {"astroquery"}
    assert agents(server) == ["astroquery"] * 6
    assert all(
        "uri=mast:HLSP/legus/ngc1566" in r.path for r in server.requests if r.method == "GET"
    )


@pytest.mark.usefixtures("without_astroquery")
def test_all_comes_over_https_without_astroquery(server, tmp_path):
    data = fetch_legus("ngc1566", folder=tmp_path)
    assert (len(data.images), len(data.catalog)) == (5, 3)
    assert {*agents(server, "POST")} == {"https"}
    assert agents(server) == ["https"] * 6


def test_both_ways_bring_the_same(server, tmp_path, request):
    first = fetch_legus("ngc628-c", folder=tmp_path / "1").files
    request.getfixturevalue("without_astroquery")
    second = fetch_legus("ngc628-c", folder=tmp_path / "2").files
    assert list(first) == list(second)
    for key, path in first.items():
        assert path.name == second[key].name
        assert path.read_bytes() == second[key].read_bytes()


@pytest.mark.parametrize("faults", [["truncate"], ["reset"], ["stall"], ["short"]])
def test_the_rest_of_what_astroquery_leaves_comes_over_https(server, tmp_path, faults):
    content = server.files[PATH]
    server.fail(PATH, *faults)
    assert fetch(server, tmp_path) == content
    assert agents(server) == ["astroquery", "https"]
    resumed = [request for request in server.requests if request.method == "GET"][1]
    assert resumed.range
    assert resumed.status == 206
    assert int(resumed.range.partition("=")[2].rstrip("-")) <= len(content) // 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == []


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_what_the_service_refuses_comes_from_the_archive(server, tmp_path, status):
    server.fail(PATH, status)
    assert fetch(server, tmp_path) == server.files[PATH]
    assert agents(server) == ["astroquery", "https"]


def test_a_file_of_the_archive_alone(server, tmp_path):
    remote = Remote(f"{server.url}{PATH}", "file.fits", uri="mast:HLSP/unknown/file.fits")
    fetch_files([remote], tmp_path)
    assert agents(server) == ["https"]  # astroquery would ask in vain


def test_a_file_that_is_gone_from_the_service_starts_anew(server, tmp_path):
    server.fail(PATH, "truncate", *[500] * 4)
    with pytest.raises(OSError, match="cannot fetch"):
        fetch(server, tmp_path)
    assert (tmp_path / "file.fits.part").stat().st_size
    server.fail(PATH, 404)
    assert fetch(server, tmp_path) == server.files[PATH]
    last = server.requests[-1]
    assert (last.path, last.range) == (PATH, None)


def test_checksums_hold_for_astroquery_too(server, tmp_path):
    sha256 = hashlib.sha256(server.files[PATH]).hexdigest()
    server.fail(PATH, "corrupt")
    assert fetch(server, tmp_path, sha256=sha256) == server.files[PATH]
    assert agents(server) == ["astroquery", "https"]


def test_what_a_kill_left_is_taken_over(server, tmp_path):
    server.fail(PATH, "truncate", *[500] * 4)
    with pytest.raises(OSError, match="cannot fetch"):
        fetch(server, tmp_path)
    inside = tmp_path / ".file.fits.part-abc"
    inside.mkdir()
    (tmp_path / "file.fits.part").rename(inside / "file.fits.part")
    server.requests.clear()
    assert fetch(server, tmp_path) == server.files[PATH]
    assert [bool(r.range) for r in server.requests if r.method == "GET"] == [True]
    assert not inside.exists()


def test_a_download_that_was_given_up_on_does_not_write_any_more(server, tmp_path, monkeypatch):
    monkeypatch.setattr(conf, "timeout", 0.3)
    go_on, ended = threading.Event(), threading.Event()

    class Slow:
        def download_file(self, uri, *, local_path, **_):
            with local_path.open("wb", buffering=0) as file:
                file.write(b"first")
                go_on.wait(60)
                file.write(b"second")
            ended.set()

    monkeypatch.setattr(mast, "_observations", Slow)
    path, came = tmp_path / "x.part", []
    with pytest.raises(OSError, match=r"no data received for 0\.3 seconds"):
        mast.download_product(URI, path, advance=came.append, stop=threading.Event())
    go_on.set()
    assert ended.wait(60)
    assert path.read_bytes() == b"first"
    assert sum(came) == 5
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_ends_a_download(server, tmp_path):
    server.fail(PATH, "stall")
    stop = threading.Event()
    stop.set()
    with pytest.raises(InterruptedError):
        mast.download_product(URI, tmp_path / "x.part", advance=print, stop=stop)


def test_a_full_disk_stops_at_once(server, tmp_path, monkeypatch):
    def fill(*_, **__):
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(downloads, "download_product", fill)
    with pytest.raises(OSError, match=r"no space left in .*free some space") as caught:
        fetch(server, tmp_path)
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()


def test_nothing_is_said_on_standard_output(server, tmp_path, capsys):
    level = log.level
    fetch(server, tmp_path)
    assert agents(server) == ["astroquery"]
    assert capsys.readouterr().out == ""
    assert log.level == level == logging.INFO
    log.setLevel(logging.DEBUG)  # of those who want to see the requests
    try:
        with mast.quiet_astroquery():
            assert log.level == logging.DEBUG
    finally:
        log.setLevel(level)


def test_the_cloud_is_not_asked_and_the_client_of_the_user_stays(server, tmp_path, monkeypatch):
    disabled = []
    monkeypatch.setattr(
        astroquery_mast.ObservationsClass,
        "disable_cloud_dataset",
        lambda self: disabled.append(self),
    )
    fetch(server, tmp_path)
    assert len(disabled) == 1
    assert disabled[0] is not astroquery_mast.Observations


def test_a_change_of_its_setting_after_import_does_not_mislead(server, tmp_path, monkeypatch):
    with astroquery_mast.conf.set_temp("server", "http://127.0.0.1:9"):
        assert len(fetch_legus("ngc1566", what="images", folder=tmp_path).images) == 5
    assert {*agents(server, "POST")} == {"astroquery"}


def _replay(server):
    """Answer as MAST once answered to astroquery, by the files of its own tests."""
    answers = {
        "columnsconfig": "columnsconfig",
        "Mast.Caom.Filtered": "advSearch",
        "Mast.Caom.Products": "products",
    }
    names = {key: REPLIES / f"{name}.json" for key, name in answers.items()}
    if not all(path.is_file() for path in names.values()):
        pytest.skip("this astroquery came without its tests")
    server.replies = {key: json.loads(path.read_text()) for key, path in names.items()}


@pytest.mark.parametrize("way", ["astroquery", "https"])
def test_replies_of_mast_are_understood(server, tmp_path, way, request):
    _replay(server)
    if way == "https":
        request.getfixturevalue("without_astroquery")
    products = find_products(["EV-LAC"])
    assert {*agents(server, "POST")} == {way}
    known = server.replies["Mast.Caom.Products"]["data"]
    assert [product.uri for product in products] == [row["dataURI"] for row in known]
    assert [product.size for product in products] == [row["size"] or None for row in known]
    first = products[0]
    assert first.urls == (first.url,) * 2  # no file of the archive's folders
    content = np.random.default_rng(1).bytes(first.size)
    server.files[first.uri] = content
    (path,) = fetch_files([first], tmp_path)
    assert path.read_bytes() == content
    assert agents(server) == [way]


def test_an_error_of_the_portal_leaves_the_names(server, tmp_path):
    server.replies = {"Mast.Caom.Filtered": {"status": "ERROR", "msg": "out of order"}}
    assert find_products(["ngc1566"]) == []
    assert len(fetch_legus("ngc1566", what="images", folder=tmp_path).images) == 5


_WITHOUT_IMPORT = """
import sys
import astroclust, astroclust.archive
from astroclust.cli import main
assert main(["fetch", "--list"]) == 0
assert main(["fetch", "phangs-human", "-q", "--offline", "--data", sys.argv[1]]) == 1
assert "astroquery" not in sys.modules
"""


def test_astroquery_is_only_imported_to_fetch(tmp_path):
    subprocess.run(
        [sys.executable, "-c", _WITHOUT_IMPORT, str(tmp_path)], check=True, capture_output=True
    )


_REFUSE = """
import sys
import requests
from astroclust.cli import main

send = requests.Session.send
def refuse(self, request, **options):
    assert request.url.startswith(sys.argv[1]), f"{request.url} is not of the local server"
    return send(self, request, **options)
requests.Session.send = refuse
sys.exit(main(["fetch", "ngc1566", "-q", "--server", sys.argv[1], "--data", sys.argv[2], "--json"]))
"""


def test_the_command_lets_astroquery_ask_the_given_server_alone(server, tmp_path):
    # In a process of its own astroquery is imported with that server.
    done = subprocess.run(
        [sys.executable, "-c", _REFUSE, server.url, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["candidates"] == 3
    assert {*agents(server, "POST")} == {"astroquery"}
    assert agents(server) == ["astroquery"] * 6


def test_the_setting_of_astroquery_is_put_back(monkeypatch):
    section = mast.get_config("astroquery.mast")
    before = dict(section)
    with mast.astroquery_server("http://127.0.0.1:9"):  # imported already: of no use
        assert dict(section) == before
    monkeypatch.delitem(sys.modules, "astroquery.mast")
    with mast.astroquery_server("http://127.0.0.1:9"):
        assert section["server"] == "http://127.0.0.1:9"
    assert dict(section) == before
