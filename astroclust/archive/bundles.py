# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Bundles of files: whole, and only what they should hold."""

import re
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path

__all__ = ["extract_bundle"]

_BLOCK = 1 << 20  # bytes


def extract_bundle(path, folder, pattern):
    """Extract those files of a tar bundle that are wanted, all of them or nothing.

    Parameters
    ----------
    path : `~pathlib.Path`
        The bundle.
    folder : `~pathlib.Path`
        Where its files go, without the folders of the bundle.
    pattern : str
        Regular expression of the names of the files that are wanted.

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
        members = _members(path)
        for member in members:
            _check_member(member, path)
        wanted = [m for m in members if re.fullmatch(pattern, Path(m.name).name)]
        with tarfile.open(path) as bundle:
            bundle.extractall(inside, wanted, filter="data")
        files = [Path(inside) / member.name for member in wanted]
        return [Path(shutil.move(file, folder / file.name)) for file in files]


def _members(path):
    """The members of a bundle, which is read to the checksum at its end."""
    try:
        with tarfile.open(path) as bundle:
            members = bundle.getmembers()
            while bundle.fileobj.read(_BLOCK):
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise OSError(f"{path} is not a whole bundle ({error}): fetch it again") from error
    return members


def _check_member(member, path):
    parts = Path(member.name).parts
    if not (member.isfile() or member.isdir()) or ".." in parts or Path(member.name).is_absolute():
        raise ValueError(
            f"{path} is not to be trusted: its member {member.name!r} leaves the folder or is no "
            "plain file; nothing was extracted"
        )
