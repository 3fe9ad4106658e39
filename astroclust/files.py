# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Files that are whole: FITS is checked when opened, output is written beside, then renamed."""

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

__all__ = ["check_output", "open_fits", "reading", "replace_when_done"]


def check_output(path, *, overwrite=False):
    """Check, before long work starts, that a file can be written.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The file to write.
    overwrite : bool, optional
        Whether the file may exist.

    Returns
    -------
    path : `~pathlib.Path`
        The same place.

    Raises
    ------
    FileNotFoundError
        Where the folder does not exist.
    IsADirectoryError
        Where a folder has that name.
    FileExistsError
        Where the file exists and ``overwrite`` is false.
    PermissionError
        Where the folder does not let files be made.

    Examples
    --------
    >>> from astroclust.files import check_output
    >>> check_output("no/such/folder/result.fits")
    Traceback (most recent call last):
        ...
    FileNotFoundError: cannot write no/such/folder/result.fits: there is no folder no/such/folder...
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {path}: there is no folder {path.parent}; make it first"
        )
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; name a file in it")
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} exists already: choose another name, or allow it to be overwritten"
        )
    trial = _beside(path)
    try:
        trial.touch(exist_ok=False)
    except OSError as error:
        raise PermissionError(f"cannot write {path}: {error.strerror or error}") from error
    trial.unlink()
    return path


@contextmanager
def replace_when_done(path, *, overwrite=False):
    """Write a file beside its place and rename it once it is whole.

    Whatever ends the block early, Ctrl-C included, leaves ``path`` as it was.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The file to write.
    overwrite : bool, optional
        Whether the file may exist.

    Yields
    ------
    partial : `~pathlib.Path`
        The file to write to, with the same ending; renamed to ``path`` at the end of the block.

    Raises
    ------
    OSError
        As `check_output`.

    Examples
    --------
    >>> from astroclust.files import replace_when_done
    >>> with replace_when_done("notes.txt") as partial:
    ...     size = partial.write_text("whole or absent")
    """
    path = check_output(path, overwrite=overwrite).resolve()  # a link stays a link
    partial = _beside(path)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def reading(path, *, remedy="download or write it again"):
    """Turn whatever goes wrong while a file is read into an error that names the file.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The file.
    remedy : str, optional
        What the user can do if the content of the file is damaged.

    Raises
    ------
    OSError
        For any exception of another package, such as `ValueError`, `MemoryError` or
        `~astropy.io.fits.VerifyError`. A missing file, a folder in its place or a missing
        permission keeps its own kind of `OSError`. Warnings that are turned into exceptions, and
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
        # Only the errors of VOTables are warnings as well.
        is_warning = isinstance(error, Warning) and not isinstance(error, ValueError)
        if is_warning or (_is_ours(error) and Path(path).name in str(error)):
            raise
        raise _named(error, path, remedy) from error


@contextmanager
def open_fits(path):
    """Open a FITS file after checking its structure.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        A file, plain or compressed, or a URL, which is downloaded to astropy's cache.

    Yields
    ------
    hdus : `~astropy.io.fits.HDUList`
        Memory-mapped if the file is plain; open until the end of the block.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
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
            # The structure of the file and the number of HDUs are checked here.
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
            clear_download_cache(str(path))  # or the next attempt would find it again
        raise


def _warn_of_changes(changed, path):
    if changed:
        warnings.warn(
            f"the checksum of {', '.join(changed)} in {path} does not match: the file was damaged, "
            "or edited without updating CHECKSUM and DATASUM; download it again, or, if the edit "
            "was yours, save it with checksum=True of astropy.io.fits",
            AstropyUserWarning,
            stacklevel=5,
        )


def _is_ours(error):
    """Whether an exception was raised by this package, and not by the system."""
    if getattr(error, "errno", None) is not None:
        return False
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    package = trace.tb_frame.f_globals.get("__name__", "").partition(".")[0]
    return package == __name__.partition(".")[0]


def _named(error, path, remedy):
    """An error that says what is wrong with which file, and what to do."""
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"there is no file {error.filename or path}")
    if isinstance(error, IsADirectoryError):
        return IsADirectoryError(f"cannot read {path}: it is a folder; name a file in it")
    if isinstance(error, PermissionError):
        return PermissionError(f"cannot read {path}: permission denied; allow it to be read")
    if isinstance(error, MemoryError):
        remedy = "free memory, or use a machine with more"
    if isinstance(error, ValueError) and _is_ours(error):
        return ValueError(f"{path}: {error}")
    return OSError(f"cannot read {path}: {_in_one_line(error)}; {remedy}")


def _in_one_line(error):
    """What an exception says, in one line."""
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    text = str(getattr(error, "strerror", None) or error).strip().partition("\n")[0][:200]
    if not text or isinstance(error, (ArithmeticError, AttributeError, LookupError, TypeError)):
        return f"its content is not as expected ({type(error).__name__}: {text})"
    return text.rstrip(".;")


def _beside(path):
    """A new hidden name in the folder of ``path``, with all its suffixes (``.fits.gz``)."""
    return path.with_name(f".{secrets.token_hex(4)}.part-{path.name}")
