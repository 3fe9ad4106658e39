# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Locks that prevent two processes from writing to the same path."""

from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["only_process"]

# Seconds to wait for a process that is about to exit: the workers that read data for a training
# hold its lock, too, and notice within five seconds that it was killed.
_PATIENCE = 7.0


@contextmanager
def only_process(path):
    """Lock a path for this process.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        An existing folder, or a file, which need not exist. The lock is a hidden file in the
        folder or next to the file, and is released when the process exits for any reason.

    Raises
    ------
    OSError
        If another process holds the lock, or it cannot be created.

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
            f"{path} is in use by another astroclust process; run this again when it has "
            "finished, or choose another name"
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
