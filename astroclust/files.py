# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Validated FITS input and atomic output."""

import errno
import os
import re
import secrets
import warnings
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

from astropy.io import fits
from astropy.utils.data import clear_download_cache, download_file
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.fits_structure import check_structure

__all__ = ["check_output", "make_folder", "open_fits", "reading", "replace_when_done"]

_REMEDIES = {
    errno.ENOSPC: "free space on that disk, or choose a folder on another one",
    errno.EDQUOT: "remove files there, or choose a folder on another disk",
    errno.EFBIG: "allow larger files (ulimit -f), or choose a folder on another disk",
    errno.ENOMEM: "close other programs, or write less at a time",
}
# Errors of a full disk, an exceeded quota and a file that is too large.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CANNOT_WRITE = "cannot write"
# Bytes written to test whether a disk is full.
_TRIED = 1 << 16


def check_output(path, *, overwrite=False):
    """Check that a file can be written, before a long computation starts.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The file to write.
    overwrite : bool, optional
        Whether the file may exist.

    Returns
    -------
    path : `~pathlib.Path`
        The same path.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    IsADirectoryError
        If the path is a folder.
    FileExistsError
        If the file exists and ``overwrite`` is false.
    OSError
        If no file can be created in the folder.

    Examples
    --------
    >>> from astroclust.files import check_output
    >>> check_output("no/such/folder/result.fits")
    Traceback (most recent call last):
        ...
    FileNotFoundError: cannot write no/such/folder/result.fits: the folder no/such/folder...
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {path}: the folder {path.parent} does not exist; create it first"
        )
    target = _target(path)
    trial = _beside(target)
    try:
        if target.is_dir():
            raise IsADirectoryError(f"cannot write {path}: it is a folder; choose a file")
        if target.exists() and not target.is_file():
            raise OSError(f"cannot write {path}: it is not a regular file; choose another name")
        if target.exists() and not overwrite:
            raise FileExistsError(
                f"{path} already exists; choose another name, or allow it to be overwritten"
            )
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        if error.errno is None:
            raise
        raise _cannot_write(path, error) from error
    return path


def make_folder(path):
    """Create a folder and its parents if they do not exist.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The folder.

    Returns
    -------
    path : `~pathlib.Path`
        The same folder.

    Raises
    ------
    OSError
        If it cannot be created, or the path is a file.

    Examples
    --------
    >>> from astroclust.files import make_folder
    >>> make_folder("results/ngc1").is_dir()
    True
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        is_file = isinstance(error, FileExistsError)
        reason = "it is a file" if is_file else error.strerror or error
        kind = FileExistsError if is_file else OSError
        raise kind(f"cannot create the folder {path}: {reason}; choose another one") from error
    return path


@contextmanager
def replace_when_done(path, *, overwrite=False, previous=None):
    """Write to a temporary file in the same folder, and rename it once it is complete.

    If the block is interrupted, including by Ctrl-C or a full disk, ``path`` is unchanged. The
    content is flushed to disk before the file is renamed.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The file to write. If it is a link, its target is written.
    overwrite : bool, optional
        Whether the file may exist.
    previous : `~pathlib.Path`, optional
        Path to which the replaced file is moved. By default it is deleted.

    Yields
    ------
    partial : `~pathlib.Path`
        The file to write to, with the same suffix as ``path``.

    Raises
    ------
    OSError
        See `check_output`; also if the disk is full, memory is exhausted, or the file cannot be
        written for another reason.

    Examples
    --------
    >>> from astroclust.files import replace_when_done
    >>> with replace_when_done("notes.txt") as partial:
    ...     size = partial.write_text("complete or absent")
    """
    path = check_output(path, overwrite=overwrite)
    target = _target(path)  # a link stays a link
    partial = _beside(target, path.name)  # the suffix of the given name sets the format
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        if previous is not None and target.exists():
            os.replace(target, previous)
        os.replace(partial, target)
    except Exception as error:
        reason = _reason(error, partial)
        if reason is None:
            raise
        raise _cannot_write(path, reason) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def reading(path, *, remedy="download or write it again"):
    """Turn any failure to read a file into an error that names the file.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The file.
    remedy : str, optional
        Remedy to suggest if the content of the file is damaged.

    Raises
    ------
    OSError
        For any exception of another package, such as `ValueError`, `MemoryError` or
        `~astropy.io.fits.VerifyError`. A missing file, a folder instead of a file or a missing
        permission raises the corresponding subclass. Warnings that are turned into exceptions, and
        errors of ``astroclust`` that name the file, pass unchanged.
    ValueError
        For a `ValueError` of ``astroclust`` that does not name the file.

    Examples
    --------
    >>> import json
    >>> from pathlib import Path
    >>> from astroclust.files import reading
    >>> size = Path("notes.json").write_text('{"a": ')
    >>> with reading("notes.json"):
    ...     notes = json.loads(Path("notes.json").read_text())
    Traceback (most recent call last):
        ...
    OSError: cannot read notes.json: Expecting value: line 1 column 7 (char 6); download or ...
    """
    try:
        yield
    except Exception as error:
        # Errors of VOTables are also subclasses of Warning.
        is_warning = isinstance(error, Warning) and not isinstance(error, ValueError)
        if is_warning or (_is_ours(error) and Path(path).name in str(error)):
            raise
        raise _named(error, path, remedy) from error


@contextmanager
def open_fits(path):
    """Check the structure of a FITS file and open it.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        A plain or compressed file, or a URL, which is downloaded to astropy's cache.

    Yields
    ------
    hdus : `~astropy.io.fits.HDUList`
        Memory-mapped if the file is not compressed; open until the end of the block.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    OSError
        If the file is empty, truncated or not FITS, or if its headers or data cannot be read in
        the block; see `reading`.

    Warns
    -----
    AstropyUserWarning
        If a checksum in the file does not match its content.
    """
    local = str(path)
    is_url = re.match(r"^(https?|ftp)://", local)
    if is_url:
        try:
            local = download_file(local, cache=True)
        except (OSError, ValueError, HTTPException) as error:
            raise OSError(
                f"cannot fetch {path}: {error}; check the address and the connection"
            ) from error
    try:
        with reading(path), warnings.catch_warnings():
            # Truncation is checked by check_structure and by the number of HDUs.
            warnings.filterwarnings("ignore", "File may have been truncated", AstropyUserWarning)
            warnings.filterwarnings("ignore", "Error validating header", AstropyUserWarning)
            n_hdus, changed = check_structure(local)
            _warn_of_changes(changed, path)
            with fits.open(local) as hdus:
                if len(hdus) < n_hdus:
                    raise OSError(f"the header of extension {len(hdus)} cannot be read")
                yield hdus
    except OSError:
        if is_url:
            clear_download_cache(str(path))  # so that it is downloaded again next time
        raise


def _warn_of_changes(changed, path):
    if changed:
        warnings.warn(
            f"the checksum of {', '.join(changed)} in {path} does not match: the file is damaged, "
            "or was edited without updating CHECKSUM and DATASUM; download it again, or, if you "
            "edited it, save it with checksum=True of astropy.io.fits",
            AstropyUserWarning,
            stacklevel=5,
        )


def _is_ours(error):
    """Whether an exception was raised by this package."""
    if getattr(error, "errno", None) is not None:
        return False
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    package = trace.tb_frame.f_globals.get("__name__", "").partition(".")[0]
    return package == __name__.partition(".")[0]


def _named(error, path, remedy):
    """An error that names the file, the problem and the remedy."""
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"{error.filename or path} does not exist")
    if isinstance(error, IsADirectoryError):
        return IsADirectoryError(f"cannot read {path}: it is a folder; choose a file")
    if isinstance(error, PermissionError):
        return PermissionError(f"cannot read {path}: permission denied; change its permissions")
    if isinstance(error, MemoryError):
        remedy = "free memory, or use a machine with more"
    if isinstance(error, ValueError) and _is_ours(error):
        return ValueError(f"{path}: {error}")
    return OSError(f"cannot read {path}: {_in_one_line(error)}; {remedy}")


def _in_one_line(error):
    """Message of an exception in one line."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = str(getattr(error, "strerror", None) or error).strip().partition("\n")[0][:200]
    if not text or isinstance(error, (ArithmeticError, AttributeError, LookupError, TypeError)):
        return f"its content is not as expected ({type(error).__name__}: {text})"
    return text.rstrip(".;")


def _target(path):
    """The path, or the target of a link."""
    try:
        target = path.resolve()
    except RuntimeError as error:  # a loop of links
        raise OSError(f"cannot write {path}: it is a link to itself; remove it") from error
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {path}: it is a link to {target}, whose folder does not exist; remove "
            "the link, or create the folder"
        )
    return target


def _beside(path, name=None):
    """An unused hidden file name in the folder of ``path``, with all suffixes (``.fits.gz``)."""
    return path.with_name(f".{secrets.token_hex(4)}.part-{name or path.name}")


def _reason(error, partial):
    """The error that prevented a file from being written; None if ``error`` is unrelated."""
    if str(error).startswith(_CANNOT_WRITE):  # from a nested write
        return None
    chain = [error]
    while (earlier := chain[-1].__cause__ or chain[-1].__context__) and len(chain) < 9:
        chain.append(earlier)
    for one in chain:
        if isinstance(one, MemoryError) or getattr(one, "errno", None) in _FULL:
            return one
        if isinstance(one, OSError) and one.errno and str(one.filename) == str(partial):
            return one
    # Some libraries only report that they could not write: test whether the disk is full.
    try:
        with open(partial, "ab") as file:
            file.write(bytes(_TRIED))
            file.flush()
            os.fsync(file.fileno())
    except OSError as tried:
        return tried if tried.errno in _FULL else None
    return None


def _cannot_write(path, error):
    """An error that names the file and the remedy, of the same type if it is an `OSError`."""
    if isinstance(error, MemoryError):
        kind, number, reason = OSError, errno.ENOMEM, "not enough memory"
    else:
        kind, number, reason = type(error), error.errno, error.strerror or str(error)
    remedy = _REMEDIES.get(number, "check the folder, or choose another one")
    known = kind(f"{_CANNOT_WRITE} {path}: {reason}; {remedy}")
    known.errno = number
    return known
