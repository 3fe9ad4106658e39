# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Checkpoints: the clusters that are done, and the run that they belong to."""

import hashlib
import warnings

import numpy as np
from astropy.table import Table

from astroclust.files import reading, replace_when_done
from astroclust.instruments import exposure_time

__all__ = ["describe", "digest_of", "read_checkpoint", "write_checkpoint"]


def describe(band):
    """What tells an image from another: a hundredth of its pixels, and its header."""
    rows = slice(None, None, max(len(band.data) // 100, 1))
    pixels = band.pixels(rows, np.float64)
    unit = "" if band.unit is None else band.unit.to_string()
    return band.filter, band.data.shape, unit, exposure_time(band), digest_of(pixels)


def digest_of(*arrays):
    """SHA-256 of the bytes of arrays."""
    return hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in arrays)).hexdigest()


def write_checkpoint(done, path, settings):
    """Write the clusters that are done; the file is the old one or the whole new one."""
    done.meta = {"settings": settings, "digest": digest_of(*done.itercols())}
    with replace_when_done(path, overwrite=True) as partial:
        done.write(partial, format="ascii.ecsv")


def read_checkpoint(path, settings):
    """The clusters of a checkpoint, if it is whole and that of the same run."""
    mend = "remove it, or choose another file"
    with reading(path, remedy=mend), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other files have in their headers
        done = Table.read(path, format="ascii.ecsv")
        known, whole = dict(done.meta["settings"]), done.meta["digest"]
        whole = whole == digest_of(*done.itercols())
    if not whole:
        raise ValueError(f"{path} is not as completeness wrote it: {mend}")
    changed = [name for name, value in settings.items() if known.get(name) != value]
    if changed:
        raise ValueError(
            f"{path} is that of a run with other settings ({', '.join(changed)}): {mend}"
        )
    return done
