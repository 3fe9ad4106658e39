# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Parallel downloads that are cached, verified and resumed."""

import errno
import logging
import os
import re
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext, suppress
from functools import partial

import requests
import urllib3
from filelock import FileLock, Timeout
from tqdm import tqdm

from astroclust.archive.configuration import conf
from astroclust.archive.manifest import Manifest, read_notes, sha256_of, write_notes
from astroclust.archive.mast import download_product, quiet_astroquery

__all__ = ["fetch_files", "length_of"]

logger = logging.getLogger(__name__)

_BLOCK = 1 << 14  # bytes: the most that is lost if the process is killed
_ABSENT = (403, 404, 410)  # some servers return 403 for missing files
_BUSY = (408, 425, 429)
_NO_HEAD = (405, 501)  # a server without HEAD requests
# With compressed transfers, the length would not be that of the file.
_HEADERS = {"Accept-Encoding": "identity"}


class _BrokenOffError(Exception):
    """A failed transfer that may succeed if retried."""


class _Progress:
    """Progress bar of all bytes; its total includes only files of known length."""

    def __init__(self, bar):
        self.bar, self.missing = bar, {}

    def expect(self, name, n_bytes):
        self.missing[name] = n_bytes

    def advance(self, name, n_bytes):
        self.missing[name] = max(self.missing.get(name, 0) - n_bytes, 0)
        self.bar.total = self.bar.n + n_bytes + sum(self.missing.values())
        self.bar.update(n_bytes)


def fetch_files(remotes, folder, *, offline=False, progress_bar=False):
    """Fetch files that are not in the folder yet.

    Unmodified files in the folder are not requested again. Files with a URI are downloaded with
    astroquery; if that fails, or without a URI, over https. Incomplete downloads are ``.part``
    files, from which the next call resumes. Server and network errors are retried with increasing
    delays; refused connections are not.

    Parameters
    ----------
    remotes : sequence of `Remote`
        The files.
    folder : `~pathlib.Path`
        Output folder.
    offline : bool, optional
        Whether to query no server.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    paths : list of `~pathlib.Path`
        Paths of the files, in the same order.

    Raises
    ------
    FileNotFoundError
        If the server has no such file, or the folder has none and ``offline`` is true.
    OSError
        If a file cannot be fetched after all attempts, or cannot be written.
    """
    manifest = Manifest(folder)
    wanted = [r for r in remotes if not manifest.has(r.name, size=r.size, sha256=r.sha256)]
    if offline:
        lost = [r.name for r in wanted if manifest.entry(r.name) or not (folder / r.name).is_file()]
        if lost:
            raise FileNotFoundError(
                f"{folder} has no complete {', '.join(lost)}; fetch without the offline option"
            )
    elif wanted:
        folder.mkdir(parents=True, exist_ok=True)
        _fetch_all(wanted, manifest, progress_bar)
    return [folder / remote.name for remote in remotes]


def _fetch_all(remotes, manifest, progress_bar):
    stop, errors = threading.Event(), []
    with (
        quiet_astroquery() if any(remote.uri for remote in remotes) else nullcontext(),
        ThreadPoolExecutor(max(conf.parallel, 1)) as pool,
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
        reasons = "; ".join(map(str, errors))
        raise kind(f"{len(errors)} of {len(remotes)} files could not be fetched: {reasons}")


def _fetch(remote, manifest, progress, stop):
    target = manifest.folder / remote.name
    part = target.with_name(target.name + ".part")
    # Another process may be downloading the file: wait until it is complete.
    with _lock(target.with_name(f".{target.name}.lock"), stop):
        if manifest.has(remote.name, size=remote.size, sha256=remote.sha256):
            return
        if _was_brought(remote, target, manifest):
            manifest.add_file(remote.name, remote.url)
            return
        try:
            _recover(part)
            if remote.uri and not part.exists():
                _try_astroquery(remote, part, progress, stop)
            _persist(
                lambda: _transfer(remote, part, progress, stop),
                remote.url,
                stop,
                came=lambda: part.stat().st_size if part.exists() else 0,
            )
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(
                errno.ENOSPC,
                f"no space left in {part.parent} for {remote.name}; free some space and rerun to "
                "resume the download",
            ) from error
        os.replace(part, target)
        _notes(part).unlink(missing_ok=True)
        manifest.add_file(remote.name, remote.url)


@contextmanager
def _lock(path, stop):
    """Acquire a lock; setting ``stop`` ends the wait for it."""
    lock = FileLock(path)
    while not lock.is_locked:
        _check_stop(stop)
        with suppress(Timeout):
            lock.acquire(timeout=0.5)
    try:
        yield
    finally:
        lock.release()


def _check_stop(stop):
    if stop.is_set():
        raise InterruptedError("interrupted")


def _was_brought(remote, target, manifest):
    """Whether the user copied the file to the folder and it matches the one on the server."""
    if not target.is_file() or manifest.entry(remote.name) is not None:
        return False
    if remote.sha256 is not None:
        return sha256_of(target) == remote.sha256
    return target.stat().st_size == (remote.size or length_of(remote.url))


def _persist(action, url, stop, came=lambda: 0):
    """Call a function until it succeeds, up to the configured number of retries.

    Attempts that receive data (``came`` counts bytes) do not count as retries.
    """
    attempt = 0
    while True:
        _check_stop(stop)
        before = came()
        try:
            return action()
        except (requests.RequestException, urllib3.exceptions.HTTPError, _BrokenOffError) as error:
            logger.info("%s: %s", url, error)
            attempt = 0 if came() > before else attempt
            if _is_refused(error):  # no server: retrying would only take time
                raise OSError(
                    f"cannot fetch {url}: connection refused; check the address, or try again "
                    "later to resume the download"
                ) from error
            if attempt >= conf.retries:
                raise OSError(
                    f"cannot fetch {url} ({error}); try again later to resume the download"
                ) from error
        stop.wait(conf.retry_wait * 2**attempt)
        attempt += 1


def _is_refused(error):
    """Whether an error was caused by a refused connection."""
    while error is not None and not isinstance(error, ConnectionRefusedError):
        error = error.__cause__ or error.__context__
    return error is not None


def _recover(part):
    """Recover the partial file of astroquery after the process was killed."""
    for folder in part.parent.glob(f".{part.name}-*"):
        with suppress(FileNotFoundError):
            if not part.exists():
                os.replace(folder / part.name, part)
        shutil.rmtree(folder, ignore_errors=True)


def _try_astroquery(remote, part, progress, stop):
    """Download as much as possible of a file with astroquery to its part."""
    url = remote.urls[-1]
    try:
        response = requests.head(url, headers=_HEADERS, timeout=conf.timeout, allow_redirects=True)
        _check_status(response, url)
        total = int(response.headers["Content-Length"])
        # Needed to resume a part, also if the process is killed.
        _note(part, url, response, total)
        progress.expect(remote.name, total)
        advance = partial(progress.advance, remote.name)
        download_product(remote.uri, part, advance=advance, stop=stop)
    except InterruptedError:
        raise
    except Exception as error:  # astroquery raises many types; fall back to https
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        logger.info("astroquery did not download %s: %r", remote.uri, error)
    else:
        logger.info("astroquery downloaded %s", remote.uri)


def _transfer(remote, part, progress, stop):
    """Append the rest of a file to its part."""
    url, headers, start, total = _resume(remote, part)
    if start != total:
        with requests.get(url, headers=headers, stream=True, timeout=conf.timeout) as response:
            _receive(response, url, remote, part, start, total, progress, stop)
    _check(remote, part)


def _receive(response, url, remote, part, start, total, progress, stop):
    is_gone = url != remote.url and response.status_code in _ABSENT
    if response.status_code == 416 or is_gone or not _goes_on(response, start, total):
        part.unlink(missing_ok=True)  # the part belongs to another file
        raise _BrokenOffError("the file has changed on the server")
    _check_status(response, url)
    if response.status_code != 206:
        start, total = 0, None
    length = response.headers.get("Content-Length")
    total = remote.size or total or (None if length is None else start + int(length))
    _note(part, url, response, total)
    progress.expect(remote.name, (total or start) - start)
    with part.open("r+b" if start else "wb", buffering=0) as file:
        file.seek(start)
        file.truncate()
        for block in response.raw.stream(_BLOCK, decode_content=False):
            _check_stop(stop)
            rest = memoryview(block)
            while rest:  # on a nearly full disk, only part of a block is written
                rest = rest[file.write(rest) :]
            progress.advance(remote.name, len(block))
        if total is not None and file.tell() != total:
            raise _BrokenOffError(f"only {file.tell()} of {total} bytes were received")


def _note(part, url, response, total):
    """Record which file a part belongs to, from the headers of a response."""
    etag = response.headers.get("ETag", "")
    strong = etag if not etag.startswith("W/") else ""
    validator = strong or response.headers.get("Last-Modified")
    write_notes(_notes(part), {"url": url, "validator": validator, "total": total})


def _goes_on(response, start, total):
    """Whether a partial response has the requested range."""
    if response.status_code != 206:
        return True
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    return (
        match is not None
        and int(match[1]) == start
        and (total is None or match[2] in ("*", str(total)))
    )


def _resume(remote, part):
    """URL and headers that request the rest of a file, its start, and the total length."""
    notes = read_notes(_notes(part)) if part.exists() else {}
    start, total = part.stat().st_size if part.exists() else 0, notes.get("total")
    if notes.get("url") not in remote.urls or start == 0:
        return remote.url, dict(_HEADERS), 0, None
    if start == total and remote.size in (None, total):  # complete, but not yet checked
        return notes["url"], {}, start, total
    if not notes.get("validator") or (total is not None and start >= total):
        return remote.url, dict(_HEADERS), 0, None
    # The rest, or the complete file if it has changed on the server.
    headers = _HEADERS | {"Range": f"bytes={start}-", "If-Range": notes["validator"]}
    return notes["url"], headers, start, total


def _notes(part):
    return part.with_name(part.name + ".json")


def _check_status(response, url):
    status = response.status_code
    if status in _ABSENT:
        raise FileNotFoundError(f"{url} does not exist on the server (status {status})")
    if status in _BUSY or status >= 500:
        raise _BrokenOffError(f"status {status}")
    if status not in (200, 206):
        raise OSError(f"the server refused {url} (status {status})")


def _check(remote, part):
    digest = remote.sha256 and sha256_of(part)
    if digest != remote.sha256:
        part.unlink()
        raise _BrokenOffError(f"the download has sha256 {digest}, not {remote.sha256}")


def length_of(url):
    """Query the length of a file on a server.

    Parameters
    ----------
    url : str
        Address of the file.

    Returns
    -------
    length : int or None
        In bytes; None if the server does not report it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If the server does not answer.
    """

    def ask():
        response = requests.head(url, headers=_HEADERS, timeout=conf.timeout, allow_redirects=True)
        if response.status_code in _NO_HEAD:
            return None
        _check_status(response, url)
        return response.headers.get("Content-Length")

    length = _persist(ask, url, threading.Event())
    return int(length) if length else None
