# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Appending to a label file: all lines or none, one program at a time."""

import logging
import os
import shutil
import stat

from filelock import FileLock, Timeout

from astroclust.files import replace_when_done
from astroclust.review.lines import header_text, is_whole, with_new_columns

__all__ = ["append_lines", "only_writer"]

log = logging.getLogger(__name__)

# Seconds to wait for another program that writes to the same file, and between looks.
_LOCK_TIMEOUT, _LOCK_POLL = 5, 0.005


def only_writer(path):
    """Keep other programs from writing to a file.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file, beside which a hidden lock file is made.

    Returns
    -------
    lock : context manager
        Held from now on, until the end of the ``with`` block.

    Raises
    ------
    OSError
        If another program holds it, or it cannot be made.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        return lock.acquire(timeout=_LOCK_TIMEOUT, poll_interval=_LOCK_POLL)
    except Timeout as error:
        raise OSError(
            f"cannot write {path}: another program holds {lock.lock_file}; the label is "
            "not saved: label again when that has ended"
        ) from error
    except OSError as error:
        raise type(error)(
            f"cannot write {lock.lock_file}: {error.strerror or error}; the label is not "
            "saved: mend that, and label again"
        ) from error


def append_lines(path, text, *, scheme, as_earlier=False):
    """Add lines to a label file, all or none of them, and see them to the disk.

    Parameters
    ----------
    path : `~pathlib.Path`
        The file; made if it does not exist.
    text : bytes
        The lines.
    scheme : `~astroclust.instruments.ClassScheme`
        The classes that labels are of, for the header of a new file.
    as_earlier : bool, optional
        Whether the file has the columns of an earlier version: then it is replaced by one with the
        columns of this version and all that it holds.

    Raises
    ------
    OSError
        If it cannot be written; the file is then as it was.
    """
    if path.exists() and not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        # The system lets the superuser write even so.
        raise PermissionError(f"{path} is read-only: allow it to be written")
    try:
        if not path.exists() or not path.stat().st_size:
            with replace_when_done(path, overwrite=True) as partial:
                _write(partial, header_text(scheme).encode("utf-8") + text)
            return
        if as_earlier:
            _replace_earlier(path, text, scheme)
            return
        # Without a buffer, which would be written once more when the file is closed.
        with open(path, "ab+", buffering=0) as file:
            size = _mend_end(file, file.seek(0, os.SEEK_END), path)
            try:
                _write_all(file, text)
            except BaseException:
                file.truncate(size)  # a full disk, or Ctrl-C: no part of a line stays
                raise
    except OSError as error:
        if error.errno is None:  # of `replace_when_done`, which says it all
            raise
        reason = error.strerror or str(error)
        told = type(error)(
            f"cannot write {path}: {reason}; the label is not saved: mend that, and label again"
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
        shutil.copymode(path, partial)  # a file that a group shares stays so


def _mend_end(file, size, path):
    """Close or cut a last line without an end, which a kill or an editor left."""
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
    log.warning("%s ended in half a line, which was never saved: cut", path)


def _write(path, text):
    with open(path, "wb", buffering=0) as file:
        _write_all(file, text)


def _write_all(file, text):
    """Write bytes to a file without a buffer and see them to the disk."""
    rest = memoryview(text)
    while rest:  # a disk that is nearly full takes some of them
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def _ends(file, size):
    file.seek(size - 1)
    ends = file.read(1) == b"\n"
    file.seek(0)
    return ends
