# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The throughput of filters, and the camera that each is in."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
from astropy.table import Table

from astroclust.extras import naming_extras
from astroclust.instruments import AB_OF_VEGA, camera_of_filter

__all__ = ["check_camera", "filter_curve", "filter_key"]

_CAMERAS = ("uvis", "acs")
_SEDPY = {"uvis": "wfc3_uvis", "acs": "acs_wfc"}
# Those that sedpy does not have, all of WFC3/UVIS; the file says where they are from.
_OWN = ("F438W", "F547M")


def check_camera(camera):
    """Raise an error where ``camera`` is none, and no mapping from filters to cameras."""
    values = camera.values() if isinstance(camera, Mapping) else [camera]
    for value in values:
        if value is not None and value not in _CAMERAS:
            raise ValueError(
                f"camera must be uvis or acs, or a mapping from filters to these, not {camera!r}"
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
    """Throughput of telescope, filter and detector, on any scale.

    Parameters
    ----------
    camera, name : str
        ``"uvis"`` or ``"acs"``, and the filter.

    Returns
    -------
    wavelength, throughput : `~numpy.ndarray`, shape (n,)
        In Angstrom, increasing, and in electrons a photon. Of F547M it is that of the filter
        alone.

    Raises
    ------
    KeyError
        Where there is no such filter.
    ModuleNotFoundError
        Where sedpy is not installed.
    """
    if (camera, name) not in AB_OF_VEGA:
        known = ", ".join(" ".join(key) for key in AB_OF_VEGA)
        raise KeyError(f"no filter {name} of camera {camera}: there are {known}")
    if camera == "uvis" and name in _OWN:
        table = _own_curves()
        rows = table["filter"] == name
        return np.array(table["wavelength"][rows]), np.array(table["throughput"][rows])
    with naming_extras():
        from sedpy.observate import Filter
    curve = Filter(f"{_SEDPY[camera]}_{name.lower()}")
    return np.array(curve.wavelength), np.array(curve.transmission)


@lru_cache
def _own_curves():
    with as_file(files("astroclust") / "data" / "filter_curves.ecsv") as path:
        return Table.read(path)
