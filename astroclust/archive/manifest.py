# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Manifest of the fetched files in a folder."""

import hashlib
import json
from contextlib import contextmanager

from filelock import FileLock

from astroclust.files import replace_when_done

__all__ = ["Manifest", "read_notes", "sha256_of", "write_notes"]


class Manifest:
    """Source, length and checksum of the fetched files in a folder.

    They are stored in ``manifest.json`` in the same folder.

    Parameters
    ----------
    folder : `~pathlib.Path`
        The folder.
    """

    def __init__(self, folder):
        self.folder = folder
        self._path = folder / "manifest.json"

    def _read(self):
        return {"files": {}, "sets": {}} | read_notes(self._path)

    def _add(self, kind, name, entry):
        """Add or replace an entry; safe with several threads and processes."""
        with FileLock(self.folder / ".manifest.lock"):
            content = self._read()
            content[kind][name] = entry
            write_notes(self._path, content)

    def entry(self, name):
        """Entry of a file; None if there is none."""
        return self._read()["files"].get(name)

    def add_file(self, name, url):
        """Add the entry of a file in the folder."""
        path = self.folder / name
        status = path.stat()
        entry = {"url": url, "size": status.st_size, "sha256": sha256_of(path)}
        self._add("files", name, entry | {"mtime_ns": status.st_mtime_ns})

    def add_set(self, key, names):
        """Record which files belong together: a dict of their names."""
        self._add("sets", key, names)

    def forget(self, key):
        """Remove an unusable set and the entries of its files, but not the files."""
        with FileLock(self.folder / ".manifest.lock"):
            content = self._read()
            for name in content["sets"].pop(key, {}).values():
                content["files"].pop(name, None)
            write_notes(self._path, content)

    @contextmanager
    def usable(self, key):
        """Forget a set if it cannot be read: the files on the server may have been wrong."""
        try:
            yield
        except (OSError, ValueError):
            if self.folder.is_dir():
                self.forget(key)
            raise

    def complete_set(self, key):
        """File names of a set; None if there is no set or one of its files is missing."""
        names = self._read()["sets"].get(key)
        return names if names and all(map(self.has, names.values())) else None

    def has(self, name, *, size=None, sha256=None):
        """Whether a file is in the folder, unmodified, with the requested size and checksum."""
        path, entry = self.folder / name, self.entry(name)
        if entry is None or not path.is_file():
            return False
        if size not in (None, entry["size"]) or sha256 not in (None, entry["sha256"]):
            return False
        status = path.stat()
        if status.st_size != entry["size"]:
            return False
        # Reading a mosaic is slow: its checksum is only computed again if it was touched.
        return status.st_mtime_ns == entry["mtime_ns"] or sha256_of(path) == entry["sha256"]


def read_notes(path):
    """Read a dict from a file; empty if the file is missing or damaged."""
    try:
        notes = json.loads(path.read_text())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return notes if isinstance(notes, dict) else {}


def write_notes(path, notes):
    """Write a dict to a file atomically."""
    with replace_when_done(path, overwrite=True) as partial:
        partial.write_text(json.dumps(notes, indent=1, sort_keys=True))


def sha256_of(path):
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
