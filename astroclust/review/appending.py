# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Atomic appending to a label file, by one program at a time."""

import logging
import os
import shutil
import stat

from filelock import FileLock, Timeout

from astroclust.files import replace_when_done
from astroclust.review.lines import header_text, is_whole, with_new_columns

__all__ = ["append_lines", "only_writer"]

log = logging.getLogger(__name__)

# Seconds to wait for another program that writes to the same file, and between checks.
_LOCK_TIMEOUT, _LOCK_POLL = 5, 0.005


def only_writer(path):
    """Lock a file against writing by other programs.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file; a hidden lock file is created next to it.

    Returns
    -------
    lock : context manager
        Lock that is held until the end of the ``with`` block.

    Raises
    ------
    OSError
        If another program holds the lock, or it cannot be created.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        return lock.acquire(timeout=_LOCK_TIMEOUT, poll_interval=_LOCK_POLL)
    except Timeout as error:
        raise OSError(
            f"cannot write {path}: another program holds {lock.lock_file}; the label was not "
            "saved; wait for that program to finish, and label again"
        ) from error
    except OSError as error:
        raise type(error)(
            f"cannot write {lock.lock_file}: {error.strerror or error}; the label was not saved; "
            "fix this and label again"
        ) from error


def append_lines(path, text, *, scheme, as_earlier=False):
    """Append lines to a label file, all or none of them, and flush them to disk.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file; created if it does not exist.
    text : bytes
        The lines.
    scheme : `~astroclust.instruments.ClassScheme`
        Class scheme of the labels, for the header of a new file.
    as_earlier : bool, optional
        Whether the file has the columns of an earlier version. If so, it is replaced by a file with
        the columns of this version and the same content.

    Raises
    ------
    OSError
        If the file cannot be written; it is then unchanged.
    """
    if path.exists() and not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        # The superuser may write even to read-only files.
        raise PermissionError(f"{path} is read-only; make it writable")
    try:
        if not path.exists() or not path.stat().st_size:
            with replace_when_done(path, overwrite=True) as partial:
                _write(partial, header_text(scheme).encode("utf-8") + text)
            return
        if as_earlier:
            _replace_earlier(path, text, scheme)
            return
        # Unbuffered, as a buffer would be written again when the file is closed.
        with open(path, "ab+", buffering=0) as file:
            size = _mend_end(file, file.seek(0, os.SEEK_END), path)
            try:
                _write_all(file, text)
            except BaseException:
                file.truncate(size)  # on a full disk or Ctrl-C, no incomplete line remains
                raise
    except OSError as error:
        if error.errno is None:  # from `replace_when_done`, with a complete message
            raise
        reason = error.strerror or str(error)
        told = type(error)(
            f"cannot write {path}: {reason}; the label was not saved; fix this and label again"
        )
        told.errno = error.errno
        raise told from error


def _replace_earlier(path, text, scheme):
    before = path.read_bytes()
    lines, _, last = before.rpartition(b"\n")
    if is_whole(last):
        lines = before
    elif last:
        _say_cut(path)
    old = with_new_columns(lines.decode("utf-8"), header_text(scheme))
    with replace_when_done(path, overwrite=True) as partial:
        _write(partial, old.encode("utf-8") + text)
        shutil.copymode(path, partial)  # keep group permissions


def _mend_end(file, size, path):
    """Complete or remove a last line without a newline, left by a killed process or an editor."""
    file.seek(0)
    last = file.read().rpartition(b"\n")[2] if size and not _ends(file, size) else b""
    if not last:
        return size
    if is_whole(last):
        _write_all(file, b"\n")
        return size + 1
    _say_cut(path)
    file.truncate(size - len(last))
    return size - len(last)


def _say_cut(path):
    log.warning("%s ended in an incomplete line, which was removed", path)


def _write(path, text):
    with open(path, "wb", buffering=0) as file:
        _write_all(file, text)


def _write_all(file, text):
    """Write bytes to an unbuffered file and flush them to disk."""
    rest = memoryview(text)
    while rest:  # a nearly full disk may accept only some of them
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def _ends(file, size):
    file.seek(size - 1)
    ends = file.read(1) == b"\n"
    file.seek(0)
    return ends
