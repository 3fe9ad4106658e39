# Licensed under a 3-clause BSD style license - see LICENSE.rst
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import classify_table, fetch_legus
from astroclust.archive import conf, downloads, list_fields
from astroclust.archive.bundles import extract_bundle
from astroclust.archive.downloads import fetch_files
from astroclust.archive.manifest import Manifest
from astroclust.archive.remotes import Remote
from astroclust.cli import main

FIELD = "/hlsps/legus/ngc1566"
IMAGE = f"{FIELD}/hlsp_legus_hst_uvis_ngc1566_{{}}_v1_drc.fits"
INVOKE = "/api/v0/invoke"
CONTENT = np.random.default_rng(0).bytes(300_000)


def asked(server, method="GET"):
    return [request for request in server.requests if request.method == method]


def fetch_file(server, folder, **options):
    (path,) = fetch_files([Remote(f"{server.url}/file", "file", **options)], folder)
    return path


@pytest.fixture
def fetch_images(server, tmp_path, astroclust_command):
    return [
        *(*astroclust_command, "fetch", "ngc1566", "--quiet", "--what", "images"),
        *("--server", server.url, "--data", str(tmp_path)),
    ]


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


def test_a_field_comes_with_catalog_images_and_meta(server, tmp_path):
    data = fetch_legus("NGC 1566", folder=tmp_path)
    assert data.name == "ngc1566"
    assert len(data.catalog) == 3
    assert list(data.images) == ["F275W", "F336W", "F438W", "F555W", "F814W"]
    assert data.meta.distance == 18.0
    assert data.folder == tmp_path / "legus" / "ngc1566"
    with pytest.warns(AstropyUserWarning, match="EDGE 3"):  # stamps are as large as the images
        assert len(classify_table(data.catalog, data.images)) == 3
    assert any(request.path == INVOKE for request in asked(server, "POST"))
    assert sum("/api/v0.1/Download/file" in request.path for request in asked(server)) == 6


def test_what_is_here_is_not_asked_for_again(server, tmp_path):
    fetch_legus("ngc1566", folder=tmp_path)
    server.requests.clear()
    assert len(fetch_legus("ngc1566", folder=tmp_path).images) == 5
    assert server.requests == []
    assert len(fetch_legus("ngc1566", folder=tmp_path, offline=True).images) == 5
    assert server.requests == []


def test_one_lost_file_is_fetched_alone(server, tmp_path):
    folder = fetch_legus("ngc1566", folder=tmp_path).folder
    lost = folder / Path(IMAGE.format("f555w")).name
    lost.unlink()
    server.requests.clear()
    assert len(fetch_legus("ngc1566", folder=tmp_path).images) == 5
    assert [lost.name in request.path for request in asked(server)] == [True]


def test_a_file_that_was_changed_here_is_fetched_again(server, tmp_path):
    folder = fetch_legus("ngc1566", what=["catalog"], folder=tmp_path).folder
    (path,) = folder.glob("*.tab")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1", b"2"))
    fetch_legus("ngc1566", what=["catalog"], folder=tmp_path)
    assert path.read_bytes() == content
    os.utime(path)  # touched, not changed
    server.requests.clear()
    fetch_legus("ngc1566", what=["catalog"], folder=tmp_path)
    assert server.requests == []


def heads(server, folder):
    """Paths below a folder of the archive that were asked for by name."""
    paths = [request.path for request in asked(server, "HEAD")]
    return [path for path in paths if path.startswith(f"/hlsps/legus/{folder}/")]


def test_images_come_by_name_where_the_portal_fails(server, tmp_path):
    server.fail(INVOKE, *[500] * 20)
    data = fetch_legus("ngc628-c", what=["images"], folder=tmp_path)
    assert list(data.images) == ["F275W", "F336W", "F435W", "F555W", "F814W"]
    assert data.catalog is None
    assert len(heads(server, "ngc628-c")) == 5


def test_a_query_that_still_runs_is_asked_for_again(server, tmp_path):
    server.fail(INVOKE, "executing", "executing")
    fetch_legus("ngc5474", what=["images"], folder=tmp_path)
    assert [request.path for request in asked(server, "POST")].count(INVOKE) == 4
    assert not heads(server, "ngc5474")


@pytest.mark.parametrize("fault", ["executing", "truncate", "short", 404])
def test_images_come_by_name_if_the_portal_has_no_answer(server, tmp_path, fault):
    server.fail(INVOKE, *[fault] * 100_000)  # astroquery asks without a pause
    assert len(fetch_legus("ngc5474", what=["images"], folder=tmp_path).images) == 5
    assert len(heads(server, "ngc5474")) == 5


def test_images_come_from_the_bundle_where_the_server_has_no_single_ones(archive, server, tmp_path):
    for name in [name for name in server.files if name.startswith(f"{FIELD}/hlsp")]:
        if name.endswith(".fits"):
            del server.files[name]
    data = fetch_legus("ngc1566", what=["images"], folder=tmp_path)
    assert len(data.images) == 5
    server.requests.clear()
    fetch_legus("ngc1566", what=["images"], folder=tmp_path)
    assert server.requests == []
    del server.files[f"{FIELD}/ngc1566_drc.tar.gz"]
    with pytest.raises(FileNotFoundError, match="does not have all images of ngc1566"):
        fetch_legus("ngc1566", what=["images"], folder=tmp_path / "other")


def test_cameras_that_no_source_says_are_tried(server, tmp_path):
    names = ("uvis_{}_f275w", "uvis_{}_f336w", "acs_{}_f435w", "acs_{}_f606w", "acs_{}_f814w")
    content = server.files[IMAGE.format("f275w")]
    for name in names:
        path = f"/hlsps/legus/ngc4485/hlsp_legus_hst_{name.format('ngc4485')}_v1_drc.fits"
        server.files[path] = content.replace(b"F275W", name[-5:].upper().encode())
    server.fail(INVOKE, 404)
    images = fetch_legus("ngc4485", what=["images"], folder=tmp_path).images
    assert list(images) == ["F275W", "F336W", "F435W", "F606W", "F814W"]


def test_the_mosaic_of_m51_has_names_of_its_own(server, tmp_path):
    for camera, name in zip(
        ("wfc3", "wfc3", "acs", "acs", "acs"), (275, 336, 435, 555, 814), strict=True
    ):
        server.files[
            "/hlsps/legus/mosaics/ngc5194_ngc5195/"
            f"hlsp_legus_hst_{camera}_ngc5194-ngc5195-mosaic_f{name}w_v1_sci.fits"
        ] = server.files[IMAGE.format("f275w")].replace(b"F275W", f"F{name}W".encode())
    assert len(fetch_legus("M51", what=["images"], folder=tmp_path / "1").images) == 5
    server.fail(INVOKE, 404)
    assert len(fetch_legus("M51", what=["images"], folder=tmp_path / "2").images) == 5


def test_a_second_version_of_a_catalog_is_found(server, tmp_path):
    first = next(
        name
        for name in server.files
        if name.endswith("ngc1566_multiband_v1_padagb-mwext-avgapcor.tab")
    )
    server.files[first.replace("_v1_", "_v2_")] = server.files.pop(first)
    data = fetch_legus("ngc1566", what=["catalog"], folder=tmp_path)
    assert "_v2_" in data.catalog.meta["CATALOG"]
    server.requests.clear()
    fetch_legus("ngc1566", what=["catalog"], folder=tmp_path)
    assert server.requests == []


def test_fields_and_requests_that_there_are_not(server, tmp_path):
    with pytest.raises(KeyError, match="did you mean ngc628-c, ngc628-e"):
        fetch_legus("ngc628", folder=tmp_path)
    with pytest.raises(ValueError, match="no catalog of ngc2500"):
        fetch_legus("ngc2500", folder=tmp_path)
    with pytest.raises(ValueError, match="what must be"):
        fetch_legus("ngc1566", what="spectra", folder=tmp_path)
    with pytest.raises(FileNotFoundError, match="offline"):
        fetch_legus("ngc1566", folder=tmp_path, offline=True)
    with pytest.raises(FileNotFoundError, match="does not have all images"):
        fetch_legus("ngc1566", what=["images"], folder=tmp_path, offline=True)
    with pytest.raises(FileNotFoundError, match=r"the server has no .*ngc1433"):
        fetch_legus("ngc1433", folder=tmp_path)
    fields = list_fields()
    assert len(fields) == 64
    assert fields[fields["field"] == "ngc5474"]["labels"][0] == "single"


@pytest.mark.parametrize(
    "faults",
    [
        ["truncate"],
        ["reset"],
        ["stall"],
        [500, 503],
        ["truncate", "reset", 502],
    ],
)
@pytest.mark.parametrize("ranges", [True, False])
def test_what_breaks_off_comes_whole_in_the_end(server, tmp_path, faults, ranges):
    server.ranges = ranges
    server.fail("/file", *faults)
    assert fetch_file(server, tmp_path).read_bytes() == CONTENT
    assert len(asked(server)) == len(faults) + 1
    in_parts = isinstance(faults[0], str)
    assert any(request.range for request in asked(server)) == in_parts
    assert asked(server)[-1].status == (206 if in_parts and ranges else 200)
    assert not list(tmp_path.glob("*.part*"))


def test_wrong_lengths_and_checksums_are_found(server, tmp_path):
    server.fail("/file", "short")
    path = fetch_file(server, tmp_path / "length", size=len(CONTENT))
    assert path.read_bytes() == CONTENT
    server.fail("/file", "truncate", "short")  # the rest is too short, and says it is not
    assert fetch_file(server, tmp_path / "rest").read_bytes() == CONTENT
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    server.fail("/file", "corrupt")
    assert fetch_file(server, tmp_path / "sum", sha256=sha256).read_bytes() == CONTENT
    server.fail("/file", *["corrupt"] * 4)
    with pytest.raises(OSError, match=r"has sha256 .* not .*; try again"):
        fetch_file(server, tmp_path / "never", sha256=sha256)
    assert not (tmp_path / "never" / "file").exists()


def test_nothing_that_came_is_lost_when_the_server_gives_up(server, tmp_path):
    server.fail("/file", "truncate", 500, 500, 500)
    with pytest.raises(OSError, match=r"cannot fetch .*status 500.*try again later"):
        fetch_file(server, tmp_path)
    part = (tmp_path / "file.part").stat().st_size
    assert 0 < part < len(CONTENT)
    server.requests.clear()
    assert fetch_file(server, tmp_path).read_bytes() == CONTENT
    assert [request.range for request in asked(server)] == [f"bytes={part}-"]


def test_a_file_that_changed_on_the_server_starts_anew(server, tmp_path):
    server.fail("/file", "truncate", 500, 500, 500)
    with pytest.raises(OSError, match="cannot fetch"):
        fetch_file(server, tmp_path)
    server.files["/file"] = new = CONTENT[::-1]
    assert fetch_file(server, tmp_path).read_bytes() == new


def test_a_shorter_file_on_the_server_starts_anew(server, tmp_path):
    server.fail("/file", "truncate", 500, 500, 500)
    with pytest.raises(OSError, match="cannot fetch"):
        fetch_file(server, tmp_path)
    server.files["/file"] = b"short"
    assert fetch_file(server, tmp_path).read_bytes() == b"short"


def test_a_file_that_the_server_has_not_is_no_reason_to_wait(server, tmp_path):
    with pytest.raises(FileNotFoundError, match="/nothing does not exist"):
        fetch_files([Remote(f"{server.url}/nothing", "nothing")], tmp_path)
    assert len(asked(server)) == 1
    server.fail("/file", 401)
    with pytest.raises(OSError, match="refused"):
        fetch_file(server, tmp_path)


def test_a_server_that_is_not_there(server, tmp_path):
    url = server.url
    server.stop()
    conf.retry_wait = 1e6  # another attempt would never come
    with pytest.raises(OSError, match=r"cannot fetch .*/file: connection refused.*the address"):
        fetch_files([Remote(f"{url}/file", "file")], tmp_path)


def test_one_failure_does_not_hold_up_the_others(server, tmp_path):
    remotes = [Remote(f"{server.url}{path}", path[1:]) for path in ("/a", "/file", "/b")]
    with pytest.raises(FileNotFoundError, match=r"2 of 3 files .*/a.*/b|2 of 3 files .*/b.*/a"):
        fetch_files(remotes, tmp_path)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_file_that_was_brought_is_taken_if_its_length_is_right(server, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    fetch_file(server, tmp_path)
    assert not asked(server)
    assert Manifest(tmp_path).entry("file")["size"] == len(CONTENT)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_bytes(CONTENT[:-1])
    assert fetch_file(server, tmp_path / "other").read_bytes() == CONTENT


def enlarged(content):
    """An image of more pixels, which does not come at once."""
    (hdu,) = fits.HDUList.fromstring(content)
    stream = io.BytesIO()
    fits.PrimaryHDU(np.tile(hdu.data, (5, 5)), hdu.header).writeto(stream)
    return stream.getvalue()


def parts(folder):
    """Names of the parts that have come, in the folders of astroquery too."""
    return {path.name for path in folder.rglob("*.fits.part") if path.stat().st_size > 0}


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_command_goes_on_where_it_was(server, tmp_path, fetch_images, end):
    server.rate = 150_000
    for name in ("f275w", "f336w", "f438w", "f555w", "f814w"):
        server.files[IMAGE.format(name)] = enlarged(server.files[IMAGE.format(name)])
    process = subprocess.Popen(fetch_images, stderr=subprocess.PIPE, text=True)
    folder = tmp_path / "legus" / "ngc1566"
    wait_for(lambda: parts(folder))
    process.send_signal(end)
    _, said = process.communicate(timeout=300)
    if end == signal.SIGINT:
        assert process.returncode == 130
        assert "interrupted" in said
    started = parts(folder)
    assert started
    server.rate = None
    server.requests.clear()
    subprocess.run(fetch_images, check=True)
    resumed = [request for request in asked(server) if request.range]
    assert len(resumed) == len(started)
    for name in ("f275w", "f814w"):
        path = folder / Path(IMAGE.format(name)).name
        assert path.read_bytes() == server.files[IMAGE.format(name)]


def test_two_processes_do_not_fetch_a_file_twice(server, fetch_images):
    server.rate = 200_000
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: subprocess.run(fetch_images, check=True), range(2)))
    fetched = [request.path for request in asked(server) if request.status == 200]
    assert len(fetched) == len(set(fetched)) == 5


@pytest.mark.parametrize("uri", [None, "mast:HLSP/file.fits"])  # over https, by astroquery
def test_a_full_disk_is_said_and_nothing_lost(server, tmp_path, uri):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        with pytest.raises(OSError, match=r"no space left in .* for file; free some space"):
            fetch_file(server, disk, uri=uri)
        came = (disk / "file.part").stat().st_size
        assert came > 0
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        assert fetch_file(server, disk, uri=uri).read_bytes() == CONTENT
        assert asked(server)[-1].range == f"bytes={came}-"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def bundle(path, *members):
    with tarfile.open(path, "w:gz") as tar:
        for name, kind in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.linkname = "/etc/passwd"
            member.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"abc"))
    return path


def test_a_bundle_is_extracted_without_its_folders(tmp_path):
    path = bundle(
        tmp_path / "good.tar.gz",
        ("a/b/one.fits", tarfile.REGTYPE),
        ("a/manifest.json", tarfile.REGTYPE),
    )
    (file,) = extract_bundle(path, tmp_path, r".*\.fits")
    assert file == tmp_path / "one.fits"
    assert file.read_bytes() == b"abc"


@pytest.mark.parametrize(
    "bad",
    [
        ("../one.fits", tarfile.REGTYPE),
        ("a/../../one.fits", tarfile.REGTYPE),
        ("/tmp/one.fits", tarfile.REGTYPE),
        ("one.fits", tarfile.SYMTYPE),
        ("one.fits", tarfile.LNKTYPE),
        ("one.fits", tarfile.FIFOTYPE),
    ],
)
def test_a_bundle_that_reaches_elsewhere_is_refused_whole(tmp_path, bad):
    path = bundle(tmp_path / "bad.tar.gz", ("good.fits", tarfile.REGTYPE), bad)
    with pytest.raises(ValueError, match="looks unsafe and was not extracted"):
        extract_bundle(path, tmp_path, r".*\.fits")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("damage", [-100, -8, 200])
def test_a_damaged_bundle_is_an_error(tmp_path, damage):
    path = bundle(
        tmp_path / "truncated.tar.gz", *[(f"{i}.fits", tarfile.REGTYPE) for i in range(99)]
    )
    content = bytearray(path.read_bytes())
    if damage > 0:
        content[damage] ^= 1
    path.write_bytes(content[:damage] if damage < 0 else content)
    with pytest.raises(OSError, match=r"cannot read .*truncated.tar.gz: .*; download it again"):
        extract_bundle(path, tmp_path, r".*\.fits")
    assert list(tmp_path.iterdir()) == [path]


def tar_of(path, sizes, *, pack=gzip.compress, kind=tarfile.REGTYPE):
    """A bundle of which the members have zeros, or claim to."""
    content = b""
    for name, size in sizes.items():
        member = tarfile.TarInfo(name)
        member.size, member.type = size, kind
        content += member.tobuf(tarfile.GNU_FORMAT) + bytes(min(-(-size // 512) * 512, 70_000_000))
    path.write_bytes(pack(content + bytes(1024)))
    return path


def test_a_bundle_that_expands_beyond_measure_is_refused(tmp_path):
    path = tar_of(tmp_path / "bomb.tar.gz", {"a/one.fits": 70_000_000})
    message = r"bomb\.tar\.gz looks unsafe .* at least 70,000,000 bytes .* with tar"
    with pytest.raises(ValueError, match=message):
        extract_bundle(path, tmp_path, r".*\.fits")
    assert list(tmp_path.iterdir()) == [path]
    with tarfile.open(path) as bundle:  # the remedy
        bundle.extractall(tmp_path, filter="data")
    assert (tmp_path / "a" / "one.fits").stat().st_size == 70_000_000


@pytest.mark.parametrize("size", [10**10, 10**12])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_sizes_that_a_bundle_claims_are_not_believed(tmp_path, size, kind):
    path = tar_of(tmp_path / "false.tar.gz", {"one.fits": size}, kind=kind)
    with pytest.raises((OSError, ValueError), match=r"false\.tar\.gz"):
        extract_bundle(path, tmp_path, r".*\.fits")
    assert list(tmp_path.iterdir()) == [path]


def test_members_of_one_name_are_refused(tmp_path):
    path = tar_of(tmp_path / "two.tar", {"a/one.fits": 3, "b/one.fits": 4}, pack=bytes)
    with pytest.raises(
        ValueError, match=r"two\.tar contains 2 files named one\.fits; nothing was extracted"
    ):
        extract_bundle(path, tmp_path, r".*\.fits")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("astroclust.archive.bundles._MAX_MEMBERS", 20)
    path = tar_of(tmp_path / "many.tar.gz", {f"{i}.fits": 0 for i in range(21)})
    with pytest.raises(ValueError, match="in 21 files, more than"):
        extract_bundle(path, tmp_path, r".*\.fits")


def test_a_damaged_header_does_not_end_a_bundle(tmp_path):
    path = tar_of(tmp_path / "plain.tar", {"one.fits": 600, "two.fits": 600}, pack=bytes)
    content = path.read_bytes()
    assert len(extract_bundle(path, tmp_path, r".*\.fits")) == 2
    path.write_bytes(content.replace(b"two", b"six"))
    with pytest.raises(OSError, match=r"plain\.tar: the header of a file in it is damaged"):
        extract_bundle(path, tmp_path, r".*\.fits")
    path.write_bytes(content[:-1024])
    with pytest.raises(OSError, match=r"plain\.tar: its end is missing; download it again"):
        extract_bundle(path, tmp_path, r".*\.fits")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    path = tar_of(tmp_path / "good.tar", {"one.fits": 600}, pack=bytes)
    with pytest.raises(OSError, match=r"cannot extract .*good\.tar to .*none: .*; free some"):
        extract_bundle(path, tmp_path / "none", r".*\.fits")
    (tmp_path / "none").mkdir()
    assert len(extract_bundle(path, tmp_path / "none", r".*\.fits")) == 1


def test_torn_notes_are_no_hindrance(server, tmp_path):
    server.fail("/file", "truncate", 500, 500, 500)
    with pytest.raises(OSError, match="cannot fetch"):
        fetch_file(server, tmp_path)
    (tmp_path / "file.part.json").write_text("")
    (tmp_path / "manifest.json").write_text("{")
    assert fetch_file(server, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_whole_is_not_asked_for(server, tmp_path):
    fetch_file(server, tmp_path)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "file").rename(tmp_path / "file.part")
    notes = {"url": f"{server.url}/file", "validator": "x", "total": len(CONTENT)}
    (tmp_path / "file.part.json").write_text(json.dumps(notes))
    server.requests.clear()
    assert fetch_file(server, tmp_path).read_bytes() == CONTENT
    assert server.requests == []


def test_brought_files_must_have_the_checksum(server, tmp_path):
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    (tmp_path / "file").write_bytes(CONTENT[::-1])
    assert fetch_file(server, tmp_path, sha256=sha256).read_bytes() == CONTENT


def test_each_byte_that_comes_starts_the_patience_anew(server, tmp_path):
    server.fail("/file", *["truncate"] * 6)
    assert fetch_file(server, tmp_path).read_bytes() == CONTENT


def test_what_cannot_be_read_is_fetched_again_once_the_server_has_it_right(server, tmp_path):
    name = next(name for name in server.files if "ngc1566_multiband" in name)
    good = server.files[name]
    server.files[name] = b"<html>we are sorry</html>\n"
    with pytest.raises(ValueError, match="not a complete LEGUS catalog"):
        fetch_legus("ngc1566", what="catalog", folder=tmp_path)
    server.files[name] = good
    assert len(fetch_legus("ngc1566", what="catalog", folder=tmp_path).catalog) == 3


def test_images_come_by_name_where_those_of_the_portal_do_not(server, tmp_path):
    for filter_ in ("f275w", "f336w", "f438w", "f555w", "f814w"):
        server.fail(IMAGE.format(filter_), *[500] * 4)
    assert len(fetch_legus("ngc1566", what="images", folder=tmp_path).images) == 5


def test_a_server_without_head(tmp_path):
    class OnlyGet(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), OnlyGet) as plain:
        threading.Thread(target=plain.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{plain.server_port}/file"
        assert downloads.length_of(url) is None
        (path,) = fetch_files([Remote(url, "file")], tmp_path)
        plain.shutdown()
    assert path.read_bytes() == CONTENT


def test_offline_does_not_take_what_is_known_to_be_torn(server, tmp_path):
    fetch_file(server, tmp_path).write_bytes(CONTENT[:100])
    with pytest.raises(FileNotFoundError, match="no complete file"):
        fetch_files([Remote("", "file")], tmp_path, offline=True)


def test_fetch_and_samples_from_the_command_line(server, tmp_path, capsys):
    arguments = ["fetch", "ngc1566", "-q", "--server", server.url, "--data", str(tmp_path)]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "3 candidates in" in out
    assert "F275W" in out
    server.requests.clear()
    assert main([*arguments, "--what", "catalog", "--offline"]) == 0
    assert server.requests == []
    assert main(["samples", str(tmp_path / "legus" / "ngc1566")]) == 0
    assert "total of table 2" in capsys.readouterr().out
    assert main([*arguments, "--offline", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["field"], facts["candidates"]) == ("ngc1566", 3)
    assert list(facts["files"]) == ["catalog", "F275W", "F336W", "F438W", "F555W", "F814W"]
    assert all(Path(path).is_file() for path in facts["files"].values())
    assert main(["fetch", "--list"]) == 0
    assert "ngc628-c" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    for wrong in (["fetch"], ["fetch", "ngc628"], ["samples", str(tmp_path / "empty")]):
        assert main(wrong) == 1
    assert "did you mean ngc628-c" in capsys.readouterr().err
    (tmp_path / "hlsp_legus_hst_wfc3_ngc1433_multiband_v1_x.tab").write_text("1 2 3")
    assert main(["samples", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "total of table 2" in said.out
    assert "1 of 2 catalogs could not be read" in said.err
    assert main(["samples", str(tmp_path), "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert [row["field"] for row in facts["fields"]][-1] == "total of table 2"
    assert len(facts["failures"]) == 1
