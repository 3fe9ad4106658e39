# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Filter throughputs, and the camera of each filter."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from astroclust.data_files import read_data
from astroclust.extras import naming_extras
from astroclust.instruments import camera_of_filter, find_filter, instruments

__all__ = ["check_camera", "filter_curve", "filter_key"]

# Camera names in sedpy.
_SEDPY = {
    **{"uvis": "wfc3_uvis", "ir": "wfc3_ir", "acs": "acs_wfc"},
    **{"nircam-sw": "jwst", "nircam-lw": "jwst"},
}
# Filters missing from sedpy, all of WFC3/UVIS; the file gives their origin.
_OWN = ("F438W", "F547M")


def check_camera(camera):
    """Raise an error if ``camera`` is neither a camera nor a mapping from filters to cameras."""
    values = camera.values() if isinstance(camera, Mapping) else [camera]
    for value in values:
        if value is not None and value not in instruments():
            raise ValueError(
                f"camera must be one of {', '.join(instruments())}, or a mapping from filters to "
                f"cameras, not {camera!r}"
            )


def filter_key(name, camera):
    """Camera and filter, such as ``("acs", "F814W")``."""
    name = name.strip().upper()
    if isinstance(camera, Mapping):
        known = {str(key).strip().upper(): value for key, value in camera.items()}
        camera = known.get(name)
    return camera or camera_of_filter(name), name


@lru_cache
def filter_curve(camera, name):
    """Throughput of telescope, filter and detector, on an arbitrary scale.

    Parameters
    ----------
    camera, name : str
        Camera, such as ``"uvis"``, and filter.

    Returns
    -------
    wavelength, throughput : `~numpy.ndarray`, shape (n,)
        In Angstrom, increasing, and in electrons per photon. For F547M, the throughput of the
        filter alone.

    Raises
    ------
    KeyError
        If there is no curve for the filter.
    ModuleNotFoundError
        If sedpy is not installed.
    """
    if camera not in _SEDPY or not np.isfinite(find_filter(camera, name).ab_of_vega):
        raise KeyError(
            f"no throughput of filter {name} of camera {camera}; available are {', '.join(_SEDPY)}"
        )
    if camera == "uvis" and name in _OWN:
        table = read_data("filter_curves")
        rows = table["filter"] == name
        return _read_only(table["wavelength"][rows], table["throughput"][rows])
    with naming_extras():
        from sedpy.observate import Filter
    try:
        curve = Filter(f"{_SEDPY[camera]}_{name.lower()}")
    except (OSError, ValueError) as error:
        raise KeyError(f"sedpy has no throughput of filter {name} of camera {camera}") from error
    return _read_only(curve.wavelength, curve.transmission)


def _read_only(*arrays):
    """Read-only copies, because they are cached."""
    copies = tuple(map(np.array, arrays))
    for copy in copies:
        copy.setflags(write=False)
    return copies
