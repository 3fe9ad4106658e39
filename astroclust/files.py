# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Files that are whole: FITS is checked when opened, output is written beside, then renamed."""

import os
import re
import secrets
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path

from astropy.io import fits
from astropy.utils.data import clear_download_cache, download_file
from astropy.utils.exceptions import AstropyUserWarning

__all__ = ["check_output", "open_fits", "replace_when_done"]


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
def open_fits(path):
    """Open a FITS file and make sure that it is whole.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        A file, plain or compressed, or a URL, which is downloaded to astropy's cache.

    Yields
    ------
    hdus : `~astropy.io.fits.HDUList`
        Memory-mapped where the file is plain; open until the end of the block.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    OSError
        Where the file is empty, truncated or not FITS, there or when its data are read.
    """
    local = str(path)
    if re.match(r"^(https?|ftp)://", local):
        try:
            local = download_file(local, cache=True)
        except OSError as error:
            raise OSError(f"cannot fetch {path}: {error}") from error
    elif not Path(local).exists():
        raise FileNotFoundError(f"there is no file {path}")
    with warnings.catch_warnings():
        # Both are found out by _check_length, and say so with the name of the file.
        warnings.filterwarnings("ignore", "File may have been truncated", AstropyUserWarning)
        warnings.filterwarnings("ignore", "Error validating header", AstropyUserWarning)
        try:
            with fits.open(local) as hdus:
                _check_length(hdus)
                yield hdus
        except (IsADirectoryError, PermissionError) as error:
            raise OSError(f"cannot read {path}: {error.strerror}") from error
        except (OSError, EOFError, zlib.error) as error:
            if local != str(path):
                clear_download_cache(str(path))  # or the next attempt would find it again
            raise OSError(
                f"{path} is not a whole FITS file ({error}); fetch or write it again"
            ) from error


def _check_length(hdus):
    """Find out, without reading the pixels, whether a file ends before its data."""
    last = hdus.fileinfo(len(hdus) - 1)
    file, end = last["file"], last["datLoc"] + last["datSpan"]
    if file.compression is not None:
        file.seek(end)  # reads all there is before: an error where the stream breaks off
        if file.read(1):
            raise OSError("it goes on after its last whole extension")
        return
    missing = end - file.size
    if missing > 0:
        raise OSError(f"{missing} bytes are missing at its end")
    if missing < 0:  # cut within the header of an extension, which is not seen then
        raise OSError(f"its last {-missing} bytes are no whole extension")


def _beside(path):
    """A new hidden name in the folder of ``path``, with all its suffixes (``.fits.gz``)."""
    return path.with_name(f".{secrets.token_hex(4)}.part-{path.name}")
