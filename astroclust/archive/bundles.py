# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Tar bundles, validated before anything is extracted."""

import re
import shutil
import tarfile
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

from astroclust.archive.manifest import Manifest
from astroclust.compression import CHUNK, expanded
from astroclust.files import reading

__all__ = ["extract_bundle", "fetch_bundle"]

# Five mosaics of 20,000 x 20,000 pixels are 8 GB.
_MAX_TOTAL = 50 * 10**9  # bytes
_MAX_MEMBERS = 10_000


def fetch_bundle(remote, folder, fetch, pattern):
    """Fetch a bundle and extract only the wanted files.

    Parameters
    ----------
    remote : `~astroclust.archive.remotes.Remote`
        The bundle.
    folder : `~pathlib.Path`
        Folder of the files.
    fetch : callable
        Fetches a list of `~astroclust.archive.remotes.Remote` to the folder.
    pattern : str
        Regular expression of the names of the wanted files.

    Returns
    -------
    names : list of str
        Names of the files.

    Raises
    ------
    ValueError, OSError
        See `extract_bundle`.
    """
    (bundle,) = fetch([remote])
    manifest = Manifest(folder)
    manifest.add_set("bundle", {"bundle": remote.name})
    with manifest.usable("bundle"):
        paths = extract_bundle(bundle, folder, pattern)
    for path in paths:
        manifest.add_file(path.name, remote.url)
    bundle.unlink()  # its files have been extracted
    manifest.forget("bundle")
    return [path.name for path in paths]


def extract_bundle(path, folder, pattern):
    """Extract the wanted files of a tar bundle, all or none.

    Parameters
    ----------
    path : `~pathlib.Path`
        The bundle, plain or compressed.
    folder : `~pathlib.Path`
        Output folder; folders in the bundle are ignored.
    pattern : str
        Regular expression of the names of the wanted files.

    Returns
    -------
    paths : list of `~pathlib.Path`
        The files.

    Raises
    ------
    ValueError
        If a member would be outside the folder, is a link or a device, or has the same name as
        another; or if there are too many members, more than 50 GB in total, or they expand to more
        than 200 times the size of the bundle.
    OSError
        If the bundle is truncated or damaged, or if its files cannot be written.
    """
    with reading(path, remedy="download it again"):
        wanted = [m for m in _members(path) if re.fullmatch(pattern, Path(m.name).name)]
    _check_names(wanted, path)
    try:
        with (
            tempfile.TemporaryDirectory(dir=folder, prefix=".bundle-") as inside,
            _opened(path) as (bundle, _),
        ):
            bundle.extractall(inside, wanted, filter="data")
            files = [Path(inside) / member.name for member in wanted]
            return [Path(shutil.move(file, folder / file.name)) for file in files]
    except OSError as error:
        raise OSError(
            f"cannot extract {path} to {folder}: {error.strerror or error}; free some "
            "space, or make the folder writable"
        ) from error


class _Bounded:
    """A stream that limits the size of the headers that `tarfile` reads at once."""

    def __init__(self, stream):
        self._stream, self.seek, self.tell = stream, stream.seek, stream.tell

    def read(self, size):
        """Read bytes of the content."""
        if size > CHUNK:
            raise OSError(f"a header in it has {size} bytes")
        return self._stream.read(size)


@contextmanager
def _opened(path):
    """Open a bundle; yield it and the maximum size that it may expand to."""
    with (
        expanded(path) as (stream, limit, _),
        tarfile.open(fileobj=_Bounded(stream), mode="r:") as bundle,
    ):
        yield bundle, min(limit, _MAX_TOTAL)


def _members(path):
    """Members of a bundle, read up to the checksum at its end."""
    members, total = [], 0
    with _opened(path) as (bundle, limit):
        for member in bundle:
            _check_member(member, path)
            members.append(member)
            total += member.size
            if total > limit or len(members) > _MAX_MEMBERS:
                raise ValueError(
                    f"{path} looks unsafe and was not extracted: it expands to at least {total:,} "
                    f"bytes in {len(members)} files, more than the limit of {limit:,} bytes in "
                    f"{_MAX_MEMBERS} files; if you trust it, extract it with tar"
                )
        _check_rest(bundle.fileobj, bundle.offset)
    return members


def _check_rest(stream, start):
    """Check that zeros follow the last member: `tarfile` stops silently at a damaged header."""
    stream.seek(start)
    if not stream.read(tarfile.BLOCKSIZE):
        raise OSError("its end is missing")
    stream.seek(start)
    while chunk := stream.read(CHUNK):
        if chunk.strip(b"\0"):
            raise OSError("the header of a file in it is damaged")
    if stream.tell() % tarfile.BLOCKSIZE:
        raise OSError("its length is not a multiple of 512 bytes")


def _check_member(member, path):
    parts = Path(member.name).parts
    if not (member.isfile() or member.isdir()) or ".." in parts or Path(member.name).is_absolute():
        raise ValueError(
            f"{path} looks unsafe and was not extracted: its member {member.name!r} is outside "
            "the folder or not a regular file"
        )


def _check_names(wanted, path):
    names = Counter(Path(member.name).name for member in wanted)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise ValueError(
            f"{path} contains {names[twice[0]]} files named {twice[0]}; nothing was extracted, "
            "download it again"
        )
