# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Files on a server, with URLs and MAST data URIs."""

from dataclasses import dataclass
from urllib.parse import quote, unquote

from astroclust.archive.configuration import conf

__all__ = ["Remote"]


@dataclass(frozen=True)
class Remote:
    """A file on a server.

    Parameters
    ----------
    url : str
        Address of the file.
    name : str
        Name of the file in the local folder.
    size : int, optional
        Length in bytes, if known from the archive.
    sha256 : str, optional
        Checksum, if known from the archive.
    uri : str, optional
        Data URI, ``"mast:HLSP/..."``, for downloads with astroquery; without it, or if that
        fails, the file is downloaded from the URL.
    """

    url: str
    name: str
    size: int | None = None
    sha256: str | None = None
    uri: str | None = None

    @classmethod
    def of_url(cls, url, size=None):
        """A file in the archive, with the URI of high-level science products."""
        root, path = f"{conf.archive_server}/hlsps/", unquote(url)
        uri = path.replace(root, "mast:HLSP/", 1) if path.startswith(root) else None
        return cls(url, path.rpartition("/")[2], size, uri=uri)

    @classmethod
    def of_uri(cls, uri, *, name, size=None):
        """A product of MAST, with the URL of high-level science products in the archive."""
        if not uri.startswith("mast:HLSP/"):
            return cls(_service_url(uri), name, size, uri=uri)
        path = quote(uri.removeprefix("mast:HLSP/"))  # an unquoted plus is read as a space
        return cls(f"{conf.archive_server}/hlsps/{path}", name, size, uri=uri)

    @property
    def urls(self):
        """All addresses of the file: the URL and, with a URI, the download service of MAST."""
        return (self.url,) if self.uri is None else (self.url, _service_url(self.uri))


def _service_url(uri):
    return f"{conf.mast_server}/api/v0.1/Download/file?uri={quote(uri, safe=':/')}"
