# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Locks that keep two processes from writing to the same place."""

from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["only_process"]

# Seconds that a process which is about to end has for it.
_PATIENCE = 1.0


@contextmanager
def only_process(path):
    """Hold a path for this process; others that ask for it are told.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        A folder that exists, or a file, which need not exist. The lock is a hidden file in the
        folder or beside the file, and ends with the process, however that ends.

    Raises
    ------
    OSError
        If another process holds it, or the lock cannot be made.

    Examples
    --------
    >>> from astroclust.locks import only_process
    >>> with only_process("results.ecsv"):
    ...     pass  # write to it
    """
    path = Path(path)
    lock = FileLock(path / ".lock" if path.is_dir() else path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout as error:
        raise OSError(
            f"{path} is in use by another process of astroclust: run this again when that has "
            "ended, or choose another name"
        ) from error
    except NotImplementedError:  # a file system without locks
        yield
        return
    except OSError as error:
        raise OSError(
            f"cannot write {lock.lock_file}: {error.strerror or error}; check the folder, or "
            "choose another one"
        ) from error
    try:
        yield
    finally:
        lock.release()
