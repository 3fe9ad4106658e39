# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Cameras and their filters: zero points, pivot wavelengths, detectors, PSF."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache

import numpy as np
from astropy.table import Table

from astroclust.data_files import read_data
from astroclust.instruments.tables import value_of

__all__ = [
    "Filter",
    "Instrument",
    "ab_of_vega",
    "find_filter",
    "find_instrument",
    "instruments",
    "legus_zero_point",
    "register_instrument",
]


@dataclass(frozen=True)
class Filter:
    """A filter of a camera; unknown numbers are NaN.

    Parameters
    ----------
    name : str
        Name, such as ``"F555W"``.
    pivot : float
        Pivot wavelength, in Angstrom.
    width : float
        Integral of the throughput over its maximum, in Angstrom.
    ab_of_vega : float
        AB magnitude of Vega.
    ab_zero_point : float
        AB magnitude of 1 e-/s.
    extinction : float
        Extinction over E(B-V), for R_V = 3.1.
    legus_zero_point, phangs_zero_point : float
        Vega magnitude of 1 e-/s in the pipelines of LEGUS (2015) and PHANGS-HST (2022).
    psf_wavelength : float
        Wavelength of the diffraction pattern of simulated stars, in nm.
    psf_blur : float
        Gaussian blur of the diffraction pattern, in arcsec.
    psf_halo_radius, psf_halo_slope, psf_halo_fraction : float
        Half-light radius in arcsec, slope and flux fraction of the Moffat halo.
    source : str
        Origin of the numbers.

    Examples
    --------
    >>> from astroclust.instruments import find_filter
    >>> find_filter("uvis", "F555W").pivot
    5308.0
    """

    name: str
    pivot: float
    width: float = np.nan
    ab_of_vega: float = np.nan
    ab_zero_point: float = np.nan
    extinction: float = np.nan
    legus_zero_point: float = np.nan
    phangs_zero_point: float = np.nan
    psf_wavelength: float = np.nan
    psf_blur: float = np.nan
    psf_halo_radius: float = np.nan
    psf_halo_slope: float = np.nan
    psf_halo_fraction: float = np.nan
    source: str = ""

    @property
    def rate_zero_point(self):
        """AB magnitude of 1 e-/s in simulations: that of LEGUS's pipeline, if available."""
        legus = self.legus_zero_point + self.ab_of_vega
        return legus if np.isfinite(legus) else self.ab_zero_point


@dataclass(frozen=True)
class Instrument:
    """A camera and its filters.

    Parameters
    ----------
    name : str
        Short name, such as ``"uvis"``.
    label : str
        Name in messages, such as ``"WFC3/UVIS"``.
    pattern : str
        Regular expression for the words of ``INSTRUME``, ``DETECTOR`` and ``CHANNEL``, or of
        ``PHOTMODE``, in upper case; cameras with the same pattern are distinguished by filter.
    pixel_scale : float
        Detector pixel scale, in arcsec.
    telescope : str
        ``"HST"`` or ``"JWST"``.
    instrume, detector : str
        Header keywords of its images.
    full_well : float
        Full well of a detector pixel, in electrons.
    read_noise : float
        Read noise, in electrons.
    gain : float
        Gain in electrons per count, for images calibrated in counts; 1 for images in electrons.
    gap, dither, chip : float
        Gap between its two chips, dither step across it, and height of a chip, in arcsec; NaN for
        a single chip.
    filters : mapping of str to `Filter`
        Filters by name.
    source : str
        Origin of the numbers.

    Examples
    --------
    A user-defined camera, whose images `~astroclust.images.ImageSet` then accepts:

    >>> from astroclust.instruments import Filter, Instrument, register_instrument
    >>> camera = Instrument(
    ...     "mosaic",
    ...     "MOSAIC-3",
    ...     pattern="MOSAIC3",
    ...     pixel_scale=0.26,
    ...     telescope="Mayall",
    ...     filters={"R": Filter("R", pivot=6400.0, ab_of_vega=0.2)},
    ... )
    >>> register_instrument(camera)
    """

    name: str
    label: str
    pattern: str
    pixel_scale: float
    telescope: str = "HST"
    instrume: str = ""
    detector: str = ""
    full_well: float = np.inf
    read_noise: float = 0.0
    gain: float = 1.0
    gap: float = np.nan
    dither: float = np.nan
    chip: float = np.nan
    filters: Mapping = field(default_factory=dict, repr=False)
    source: str = field(default="", repr=False)

    def __post_init__(self):
        if not self.pixel_scale > 0:
            raise ValueError(f"pixel_scale must be positive, not {self.pixel_scale!r}")
        wrong = [name for name, item in self.filters.items() if item.name != name]
        if wrong:
            raise ValueError(
                f"filters has {wrong[0]!r} for {self.filters[wrong[0]].name!r}; use the name of "
                "the filter"
            )

    @property
    def is_calibrated(self):
        """Whether LEGUS has zero points and aperture corrections for the camera."""
        return any(np.isfinite(item.legus_zero_point) for item in self.filters.values())


_REGISTERED: dict[str, Instrument] = {}


@cache
def _bundled():
    return {
        item.name: item for item in _from_tables(read_data("instruments"), read_data("filters"))
    }


def _from_tables(cameras, filters):
    """Instruments from a table with one row per camera and one with one row per filter."""
    result = []
    for row in cameras:
        own = filters[filters["camera"] == row["name"]]
        items = [_from_row(Filter, {"name": str(each["filter"])}, each) for each in own]
        known = {item.name: item for item in items}
        result.append(_from_row(Instrument, {"filters": known}, row))
    return result


def _from_row(kind, given, row):
    names = [item.name for item in fields(kind) if item.name not in given]
    values = {name: value_of(row, name) for name in names}
    return kind(**given, **{name: value for name, value in values.items() if value is not None})


def instruments():
    """All bundled and registered cameras.

    Returns
    -------
    instruments : dict of str to `Instrument`
        Cameras by name; registered ones come first.

    Examples
    --------
    >>> from astroclust.instruments import instruments
    >>> instruments()["acs"].label
    'ACS/WFC'
    """
    return {**_REGISTERED, **{k: v for k, v in _bundled().items() if k not in _REGISTERED}}


def register_instrument(instrument, filters=None):
    """Register a camera, for this process.

    Parameters
    ----------
    instrument : `Instrument` or `~astropy.table.Table`
        The camera, which replaces any of the same name; or a table with one row per camera and
        the parameters of `Instrument` as columns.
    filters : `~astropy.table.Table`, optional
        If ``instrument`` is a table: table with one row per filter, with columns ``camera`` and
        ``filter`` and the parameters of `Filter`.

    Raises
    ------
    TypeError
        If ``instrument`` is neither a camera nor a table.

    Examples
    --------
    Add a filter to a camera:

    >>> from dataclasses import replace
    >>> from astroclust.instruments import Filter, find_instrument, register_instrument
    >>> camera = find_instrument("acs")
    >>> filters = {**camera.filters, "F999W": Filter("F999W", pivot=9990.0)}
    >>> register_instrument(replace(camera, filters=filters))
    >>> register_instrument(camera)  # as it was
    """
    if isinstance(instrument, Table):
        filters = Table(names=["camera"], dtype=[str]) if filters is None else filters
        found = _from_tables(instrument, filters)
    elif isinstance(instrument, Instrument):
        found = [instrument]
    else:
        raise TypeError(f"instrument must be an Instrument or a Table, not {instrument!r}")
    _REGISTERED.update({item.name: item for item in found})


def find_instrument(name):
    """Find a camera by name.

    Parameters
    ----------
    name : str
        Short name, such as ``"uvis"``.

    Returns
    -------
    instrument : `Instrument`
        The camera.

    Raises
    ------
    KeyError
        If the name is unknown.

    Examples
    --------
    >>> from astroclust.instruments import find_instrument
    >>> find_instrument("hrc").pixel_scale
    0.026
    """
    try:
        return instruments()[name]
    except KeyError:
        raise KeyError(
            f"unknown instrument {name!r}; available are {', '.join(instruments())}. Others can "
            "be added with astroclust.instruments.register_instrument"
        ) from None


def find_filter(camera, name):
    """Find a filter of a camera.

    Parameters
    ----------
    camera : str
        Name of the camera, such as ``"acs"``.
    name : str
        Name of the filter, such as ``"F814W"``.

    Returns
    -------
    filter : `Filter`
        The filter; all numbers are NaN if it is unknown.

    Examples
    --------
    >>> from astroclust.instruments import find_filter
    >>> find_filter("uvis", "F657N").width
    121.3
    """
    known = instruments().get(camera)
    unknown = Filter(name, pivot=np.nan)
    return unknown if known is None else known.filters.get(name, unknown)


def legus_zero_point(camera, filter_name):
    """Vega magnitude of 1 e-/s in the pipeline of LEGUS.

    Parameters
    ----------
    camera, filter_name : str
        Names, such as ``"uvis"`` and ``"F555W"``.

    Returns
    -------
    zero_point : float
        In mag; NaN if the pipeline had none.

    Examples
    --------
    >>> from astroclust.instruments import legus_zero_point
    >>> legus_zero_point("uvis", "F555W")
    25.816
    """
    return find_filter(camera, filter_name).legus_zero_point


def ab_of_vega(camera, filter_name):
    """AB magnitude of Vega in a filter; if the camera lacks it, in that of another camera.

    Parameters
    ----------
    camera, filter_name : str
        Names, such as ``"acs"`` and ``"F814W"``.

    Returns
    -------
    magnitude : float
        In mag; NaN if no camera has the filter.

    Examples
    --------
    >>> from astroclust.instruments import ab_of_vega
    >>> ab_of_vega("acs", "F814W")
    0.431
    """
    cameras = (camera, "acs" if camera == "hrc" else "uvis", "uvis", "acs")
    known = (find_filter(name, filter_name).ab_of_vega for name in cameras)
    return next((value for value in known if np.isfinite(value)), np.nan)
