# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Compressed files, expanded within a limit."""

import bz2
import gzip
import lzma
import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

__all__ = ["CHUNK", "expanded", "expansion_limit"]

#: Bytes that are read at once.
CHUNK = 1 << 20
# Images and tables shrink to a tenth at best, and mosaics that are mostly blank to a hundredth;
# what grows to more than this was made to fill a disk.
_MAX_RATIO = 200
# Small files may grow by any factor: 64 MiB are expanded within a second.
_SMALL = 64 << 20
_OPENERS = {b"\x1f\x8b\x08": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_ZIP, _LZW = b"PK\x03\x04", b"\x1f\x9d"


def expansion_limit(n_bytes):
    """Largest size that a number of compressed bytes is allowed to expand to.

    Parameters
    ----------
    n_bytes : int
        Number of compressed bytes.

    Returns
    -------
    limit : int
        Number of bytes: 200 times as many, or 64 MiB if that is more.
    """
    return max(_MAX_RATIO * n_bytes, _SMALL)


@contextmanager
def expanded(path):
    """Open a file, plain or compressed, to read its content.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        A plain file, or one compressed by gzip, bzip2, xz or zip, known by its first bytes.

    Yields
    ------
    file : file-like
        The content, as bytes.
    limit : int
        Size of the content of a plain file; the size that a compressed one may expand to.
    is_plain : bool
        Whether the file is not compressed.

    Raises
    ------
    OSError
        If the file is compressed in another way, or is a zip archive of several files.

    Examples
    --------
    >>> import gzip
    >>> from pathlib import Path
    >>> from astroclust.compression import expanded
    >>> size = Path("ten.gz").write_bytes(gzip.compress(b"0123456789"))
    >>> with expanded("ten.gz") as (file, limit, is_plain):
    ...     print(file.read(), is_plain)
    b'0123456789' False
    """
    size = Path(path).stat().st_size
    with ExitStack() as stack:
        file = stack.enter_context(open(path, "rb"))
        start = file.read(6)
        file.seek(0)
        if start.startswith(_LZW):
            raise OSError("it is compressed in the old .Z format; expand it with gunzip")
        if start.startswith(_ZIP):
            yield stack.enter_context(_only_member(file, stack)), expansion_limit(size), False
            return
        for magic, opener in _OPENERS.items():
            if start.startswith(magic):
                yield stack.enter_context(opener(file)), expansion_limit(size), False
                return
        yield file, size, True


def _only_member(file, stack):
    archive = stack.enter_context(zipfile.ZipFile(file))
    members = archive.infolist()
    if len(members) != 1:
        raise OSError(
            f"it is a zip archive of {len(members)} files; expand it and name one of them"
        )
    return stack.enter_context(archive.open(members[0]))
