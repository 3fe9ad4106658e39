# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Checkpoints with the completed clusters and the settings of their run."""

import hashlib
import warnings

import numpy as np
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.files import reading, replace_when_done
from astroclust.instruments import exposure_time

__all__ = ["describe", "digest_of", "read_checkpoint", "write_checkpoint"]


def describe(band):
    """Identify an image by a hundredth of its pixels, and its header."""
    rows = slice(None, None, max(len(band.data) // 100, 1))
    pixels = band.pixels(rows, np.float64)
    unit = "" if band.unit is None else band.unit.to_string()
    return band.filter, band.data.shape, unit, exposure_time(band), digest_of(pixels)


def digest_of(*arrays):
    """SHA-256 of the bytes of arrays."""
    return hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in arrays)).hexdigest()


def write_checkpoint(done, path, settings):
    """Write the completed clusters, keeping the previous checkpoint."""
    done.meta = {"settings": settings, "digest": digest_of(*done.itercols())}
    with replace_when_done(path, overwrite=True, previous=_previous(path)) as partial:
        done.write(partial, format="ascii.ecsv")


def read_checkpoint(path, settings):
    """Read a checkpoint or, if it is damaged, the previous one; None if neither exists.

    Both must be from a run with the same settings.
    """
    damaged = None
    found = [one for one in (path, _previous(path)) if one.exists()]
    mend = f"remove {' and '.join(one.name for one in found)}, or choose another file"
    for one in found:
        try:
            done = _read(one, mend)
        except PermissionError:
            raise
        except (OSError, ValueError) as error:
            damaged = damaged or error
            continue
        known = done.meta["settings"]
        names = dict.fromkeys([*settings, *known])
        changed = [name for name in names if known.get(name) != settings.get(name)]
        if changed:
            raise ValueError(
                f"{one} is from a run with different settings ({', '.join(changed)}); {mend}"
            )
        if damaged is not None:
            warnings.warn(
                f"resuming from {one}, the previous checkpoint: {damaged}",
                AstropyUserWarning,
                stacklevel=3,
            )
        return done
    if damaged is not None:
        raise damaged
    return None


def _previous(path):
    return path.with_name(f"{path.name}.previous")


def _read(path, mend):
    with reading(path, remedy=mend), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # headers of arbitrary files
        done = Table.read(path, format="ascii.ecsv")
        dict(done.meta["settings"])
        intact = done.meta["digest"] == digest_of(*done.itercols())
    if not intact:
        raise ValueError(f"{path} is not a valid checkpoint of completeness; {mend}")
    return done
