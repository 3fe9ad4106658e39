# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Files from a server: only once, in parallel, checked, and resumed where they broke off."""

import errno
import hashlib
import json
import logging
import os
import shutil
import tarfile
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3
from filelock import FileLock
from tqdm import tqdm

from astroclust.archive.configuration import conf
from astroclust.files import replace_when_done

__all__ = ["Manifest", "Remote", "extract_bundle", "fetch_files", "length_of"]

logger = logging.getLogger(__name__)

_BLOCK = 1 << 14  # bytes: as much as a kill may lose
_ABSENT = (404, 410)
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_NO_HEAD = (405, 501)  # a server that only sends whole files
# What servers compress on the way has another length than the file.
_HEADERS = {"Accept-Encoding": "identity"}


class _BrokenOffError(Exception):
    """A transfer that may succeed if it is tried again."""


class _Progress:
    """A bar of all bytes, whose end is known as far as the lengths of the files are."""

    def __init__(self, bar):
        self.bar, self.missing = bar, {}

    def expect(self, name, n_bytes):
        self.missing[name] = n_bytes

    def advance(self, name, n_bytes):
        self.missing[name] = max(self.missing.get(name, 0) - n_bytes, 0)
        self.bar.total = self.bar.n + n_bytes + sum(self.missing.values())
        self.bar.update(n_bytes)


@dataclass(frozen=True)
class Remote:
    """A file on a server.

    Parameters
    ----------
    url : str
        Where it is.
    name : str
        What it is called here.
    size : int, optional
        Its length in bytes, where the archive says it.
    sha256 : str, optional
        Its checksum, where the archive says it.
    """

    url: str
    name: str
    size: int | None = None
    sha256: str | None = None


class Manifest:
    """What was fetched to a folder: source, length and checksum of each file.

    It is kept in ``manifest.json`` beside the files.

    Parameters
    ----------
    folder : `~pathlib.Path`
        The folder.
    """

    def __init__(self, folder):
        self.folder = folder
        self._path = folder / "manifest.json"

    def _read(self):
        empty = {"files": {}, "sets": {}}
        return json.loads(self._path.read_text()) if self._path.exists() else empty

    def _add(self, kind, name, entry):
        """Add or replace an entry; safe beside other threads and processes."""
        with FileLock(self.folder / ".manifest.lock"):
            content = self._read()
            content[kind][name] = entry
            with replace_when_done(self._path, overwrite=True) as partial:
                partial.write_text(json.dumps(content, indent=1, sort_keys=True))

    def entry(self, name):
        """The entry of a file, None where there is none."""
        return self._read()["files"].get(name)

    def add_file(self, name, url):
        """Add the entry of a file that lies in the folder."""
        path = self.folder / name
        status = path.stat()
        entry = {"url": url, "size": status.st_size, "sha256": _sha256(path)}
        self._add("files", name, entry | {"mtime_ns": status.st_mtime_ns})

    def add_set(self, key, names):
        """Note which files belong together: a dict of their names."""
        self._add("sets", key, names)

    def complete_set(self, key):
        """The names of a set of files, None where there is none or one of its files is lost."""
        names = self._read()["sets"].get(key)
        return names if names and all(map(self.has, names.values())) else None

    def has(self, name, *, size=None, sha256=None):
        """Whether a file lies in the folder as it was fetched, and as it is asked for."""
        path, entry = self.folder / name, self.entry(name)
        if entry is None or not path.is_file():
            return False
        if size not in (None, entry["size"]) or sha256 not in (None, entry["sha256"]):
            return False
        status = path.stat()
        if status.st_size != entry["size"]:
            return False
        # Reading a mosaic takes long: its checksum is computed again only where it was touched.
        return status.st_mtime_ns == entry["mtime_ns"] or _sha256(path) == entry["sha256"]


def fetch_files(remotes, folder, *, offline=False, progress_bar=False):
    """Fetch files, each only once.

    What lies in the folder as it was fetched is not asked for again. What is on its way is in
    ``.part`` files, from which the next call goes on. Errors of the server and of the line are
    tried again, with growing pauses.

    Parameters
    ----------
    remotes : sequence of `Remote`
        The files.
    folder : `~pathlib.Path`
        Where they go.
    offline : bool, optional
        Whether to ask no server.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    paths : list of `~pathlib.Path`
        In the same order.

    Raises
    ------
    FileNotFoundError
        Where the server has no such file, or none is here and ``offline`` is true.
    OSError
        Where a file cannot be fetched after all attempts, or not be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(folder)
    wanted = [r for r in remotes if not manifest.has(r.name, size=r.size, sha256=r.sha256)]
    if offline:
        wanted = [remote for remote in wanted if not (folder / remote.name).is_file()]
    if wanted and offline:
        names = ", ".join(remote.name for remote in wanted)
        raise FileNotFoundError(f"{folder} has no {names}: fetch without the offline option")
    if wanted:
        _fetch_all(wanted, manifest, progress_bar)
    return [folder / remote.name for remote in remotes]


def _fetch_all(remotes, manifest, progress_bar):
    stop, errors = threading.Event(), []
    with (
        ThreadPoolExecutor(conf.parallel) as pool,
        tqdm(unit="B", unit_scale=True, desc="fetching", disable=not progress_bar) as bar,
    ):
        progress = _Progress(bar)
        tasks = [pool.submit(_fetch, remote, manifest, progress, stop) for remote in remotes]
        try:
            for task in as_completed(tasks):
                errors += [task.exception()] if task.exception() else []
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    if len(errors) == 1:
        raise errors[0]
    if errors:
        kind = FileNotFoundError if {type(e) for e in errors} == {FileNotFoundError} else OSError
        raise kind(f"{len(errors)} of {len(remotes)} files: " + "; ".join(map(str, errors)))


def _fetch(remote, manifest, progress, stop):
    target = manifest.folder / remote.name
    part = target.with_name(target.name + ".part")
    # Another process may be at it: wait, and find the file whole.
    with FileLock(target.with_name(f".{target.name}.lock")):
        if manifest.has(remote.name, size=remote.size, sha256=remote.sha256):
            return
        if _was_brought(remote, target, manifest):
            manifest.add_file(remote.name, remote.url)
            return
        try:
            _persist(lambda: _transfer(remote, part, progress, stop), remote.url, stop.wait)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(
                errno.ENOSPC,
                f"no space left in {part.parent} for {remote.name}: make room, and the same call "
                f"goes on after the {part.stat().st_size} bytes that are there",
            ) from error
        os.replace(part, target)
        _notes(part).unlink(missing_ok=True)
        manifest.add_file(remote.name, remote.url)


def _was_brought(remote, target, manifest):
    """Whether a file came to the folder by another way, and is as long as that of the server."""
    if not target.is_file() or manifest.entry(remote.name) is not None:
        return False
    return target.stat().st_size == (remote.size or length_of(remote.url))


def _persist(action, url, wait=time.sleep):
    """Call a function until the server answers as it should, as often as the settings allow."""
    attempt = 0
    while True:
        try:
            return action()
        except (requests.RequestException, urllib3.exceptions.HTTPError, _BrokenOffError) as error:
            logger.info("%s: %s", url, error)
            if attempt >= conf.retries:
                raise OSError(
                    f"cannot fetch {url} ({error}): what came is kept, try again later"
                ) from error
        wait(conf.retry_wait * 2**attempt)
        attempt += 1


def _transfer(remote, part, progress, stop):
    """Append to the part of a file what is missing of it."""
    headers, start = _resume(remote, part)
    with requests.get(remote.url, headers=headers, stream=True, timeout=conf.timeout) as response:
        if response.status_code == 416:  # the part is longer than the file: not of this one
            part.unlink(missing_ok=True)
            raise _BrokenOffError("the file has changed on the server")
        _check_status(response, remote.url)
        if response.status_code != 206:
            start = 0
        length = response.headers.get("Content-Length")
        total = remote.size or (None if length is None else start + int(length))
        _note(part, remote, response, total)
        progress.expect(remote.name, (total or start) - start)
        with part.open("r+b" if start else "wb", buffering=0) as file:
            file.seek(start)
            file.truncate()
            for block in response.raw.stream(_BLOCK, decode_content=False):
                if stop.is_set():
                    raise InterruptedError("interrupted")
                file.write(block)
                progress.advance(remote.name, len(block))
            if total is not None and file.tell() != total:
                raise _BrokenOffError(f"{file.tell()} of {total} bytes came")
    _check(remote, part)


def _resume(remote, part):
    """Headers that ask for the rest of a file, and where that starts."""
    if not (part.exists() and _notes(part).exists()):
        return dict(_HEADERS), 0
    notes, start = json.loads(_notes(part).read_text()), part.stat().st_size
    if notes["url"] != remote.url or start == 0 or start == notes["total"]:
        return dict(_HEADERS), 0
    headers = _HEADERS | {"Range": f"bytes={start}-"}
    if notes["validator"]:  # or else the whole, if it is no longer the same file
        headers["If-Range"] = notes["validator"]
    return headers, start


def _note(part, remote, response, total):
    etag = response.headers.get("ETag", "")
    strong = etag if not etag.startswith("W/") else ""
    validator = strong or response.headers.get("Last-Modified")
    notes = {"url": remote.url, "validator": validator, "total": total}
    _notes(part).write_text(json.dumps(notes))


def _notes(part):
    return part.with_name(part.name + ".json")


def _check_status(response, url):
    status = response.status_code
    if status in _ABSENT:
        raise FileNotFoundError(f"the server has no {url} (status {status})")
    if status in _TRANSIENT:
        raise _BrokenOffError(f"status {status}")
    if not response.ok:
        raise OSError(f"the server refuses {url} (status {status})")


def _check(remote, part):
    digest = remote.sha256 and _sha256(part)
    if digest != remote.sha256:
        part.unlink()
        raise _BrokenOffError(f"what came has sha256 {digest}, not {remote.sha256}")


def _sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def length_of(url):
    """Ask a server for the length of a file.

    Parameters
    ----------
    url : str
        Where it is.

    Returns
    -------
    length : int or None
        In bytes; None where the server does not say it.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    OSError
        Where the server does not answer.
    """

    def ask():
        response = requests.head(url, headers=_HEADERS, timeout=conf.timeout, allow_redirects=True)
        if response.status_code not in _NO_HEAD:
            _check_status(response, url)
        return response

    length = _persist(ask, url).headers.get("Content-Length")
    return int(length) if length else None


def extract_bundle(path, folder):
    """Extract a tar bundle, all of it or nothing.

    Parameters
    ----------
    path : `~pathlib.Path`
        The bundle.
    folder : `~pathlib.Path`
        Where its files go, without the folders of the bundle.

    Returns
    -------
    paths : list of `~pathlib.Path`
        The files.

    Raises
    ------
    ValueError
        Where a member would leave the folder, or is a link or a device.
    OSError
        Where the bundle is not whole.
    """
    with tempfile.TemporaryDirectory(dir=folder, prefix=".bundle-") as inside:
        try:
            with tarfile.open(path) as bundle:
                members = bundle.getmembers()
                for member in members:
                    _check_member(member, path)
                bundle.extractall(inside, members, filter="data")
        except (tarfile.ReadError, EOFError) as error:
            raise OSError(f"{path} is not a whole bundle ({error}): fetch it again") from error
        files = [Path(inside) / member.name for member in members if member.isfile()]
        return [Path(shutil.move(file, folder / file.name)) for file in files]


def _check_member(member, path):
    parts = Path(member.name).parts
    if not (member.isfile() or member.isdir()) or ".." in parts or Path(member.name).is_absolute():
        raise ValueError(
            f"{path} is not to be trusted: its member {member.name!r} leaves the folder or is no "
            "plain file; nothing was extracted"
        )
