# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Decompression of files within a size limit."""

import bz2
import gzip
import lzma
import zipfile
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

__all__ = ["CHUNK", "expanded", "expansion_limit", "unpack"]

#: Bytes per read.
CHUNK = 1 << 20
# Images and tables compress by a factor of 10 at best, mostly blank mosaics by 100; files that
# expand by more than this are decompression bombs.
_MAX_RATIO = 200
# Small files may expand by any factor: 64 MiB are expanded within a second.
_SMALL = 64 << 20
_OPENERS = {b"\x1f\x8b\x08": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_ZIP, _LZW = b"PK\x03\x04", b"\x1f\x9d"


def expansion_limit(n_bytes):
    """Maximum size that compressed data may expand to.

    Parameters
    ----------
    n_bytes : int
        Number of compressed bytes.

    Returns
    -------
    limit : int
        In bytes: 200 times ``n_bytes``, or 64 MiB if that is larger.
    """
    return max(_MAX_RATIO * n_bytes, _SMALL)


@contextmanager
def expanded(path):
    """Open a plain or compressed file and read its uncompressed content.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        A plain file, or one compressed by gzip, bzip2, xz or zip (detected from its first bytes).

    Yields
    ------
    file : file-like
        The uncompressed content, as bytes.
    limit : int
        Size of a plain file, or maximum size that a compressed one may expand to.
    is_plain : bool
        Whether the file is not compressed.

    Raises
    ------
    OSError
        If the file has another compression, or is a zip archive of several files.

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
    with open(path, "rb") as file, _expanded(file, Path(path).stat().st_size) as found:
        yield found


def unpack(content):
    """Expand the content of a file if it is compressed by gzip, bzip2 or xz.

    Parameters
    ----------
    content : bytes
        Content of the file.

    Returns
    -------
    content : bytes
        Expanded content; zip archives, such as workbooks, are returned unchanged.

    Raises
    ------
    OSError
        If the file is damaged, or expands to more than `expansion_limit`.
    """
    if content.startswith(_ZIP):
        return content
    with _expanded(BytesIO(content), len(content)) as (file, limit, is_plain):
        if is_plain:
            return content
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(f"it expands to more than the limit of {limit:,} bytes")
    return content


@contextmanager
def _expanded(file, size):
    with ExitStack() as stack:
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
            f"it is a zip archive of {len(members)} files; extract it and use one of them"
        )
    return stack.enter_context(archive.open(members[0]))
