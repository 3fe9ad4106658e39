# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Broadband photometry of a candidate as a spectrum."""

import re
import warnings

import numpy as np
from astropy import units as u
from astropy.nddata import StdDevUncertainty
from astropy.table import Row
from astropy.utils.exceptions import AstropyUserWarning
from specutils import Spectrum

from astroclust.catalogs import find_field
from astroclust.instruments import find_filter
from astroclust.sed.filters import check_camera, filter_key

__all__ = ["to_spectrum"]

# Flux density of an AB magnitude of 0 (Oke & Gunn 1983).
_AB_ZERO = 3631.0 * u.Jy
# Magnitudes and errors never reach this: LEGUS files use 44.444, 66.666 and 99.999 for missing
# values.
_LIMIT = 40.0
_MAGNITUDE = re.compile(r"mag_(f\d{3}\w{1,2})")


def to_spectrum(row, *, unit="Jy", camera=None):
    """Convert the photometry of a candidate to a spectrum.

    Parameters
    ----------
    row : `~astropy.table.Row`
        Row with Vega magnitudes ``mag_f555w`` ... and optional errors ``mag_err_f555w`` ..., as in
        the tables of `~astroclust.photometry.measure_photometry`, `~astroclust.catalogs.read_legus`
        and `~astroclust.catalogs.read_phangs`.
    unit : str or `~astropy.units.Unit`, optional
        Unit of the flux density: ``"Jy"``, ``"erg / (s cm2 Angstrom)"`` or any unit convertible to
        these.
    camera : str or mapping, optional
        ``"uvis"`` or ``"acs"``, or a mapping from filters to these. By default, the cameras of the
        LEGUS field of the table, if any, otherwise ACS for F435W and F606W and WFC3/UVIS for the
        others.

    Returns
    -------
    spectrum : `~specutils.Spectrum`, shape (n_bands,)
        Flux densities at the pivot wavelengths (Angstrom), in increasing order, with standard
        deviations if any band has an error (NaN for bands without one). ``meta`` has ``filters``,
        and ``id`` if the row has one. Bands without a value (masked, NaN, 99.999 and similar) are
        excluded.

    Raises
    ------
    TypeError
        If ``row`` is not a table row.
    KeyError
        If it has no magnitude columns.
    ValueError
        If no band has a value, or an argument is invalid.

    Warns
    -----
    AstropyUserWarning
        If filters are excluded because their zero point is unknown.

    Notes
    -----
    Vega magnitudes are converted to AB with the AB magnitude of Vega in each filter (STScI: WFC3's
    notebook of zero points and ``acstools.acszpt``, alpha_lyr_stis_010); an AB magnitude of 0 is
    3631 Jy. No corrections are applied or removed.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.sed import to_spectrum
    >>> table = Table({"mag_f555w": [20.0], "mag_err_f555w": [0.1], "mag_f814w": [99.999]})
    >>> spectrum = to_spectrum(table[0])
    >>> print(spectrum.spectral_axis, spectrum.flux.round(9))
    [5308.] Angstrom [3.7259e-05] Jy
    """
    if not isinstance(row, Row):
        raise TypeError(f"row must be a row of a table, such as table[0], not {type(row).__name__}")
    check_camera(camera)
    unit = _unit(unit)
    bands = _bands(row, _cameras_of_field(row) if camera is None else camera)
    if not bands:
        names = [name for name in row.colnames if _MAGNITUDE.fullmatch(name)]
        raise ValueError(f"none of {', '.join(names)} has a value in this row; choose another row")
    bands.sort(key=lambda band: band["pivot"])
    pivot, ab, error = (np.array([b[k] for b in bands]) for k in ("pivot", "ab", "error"))
    pivot = pivot * u.AA
    flux = (_AB_ZERO * 10 ** (-0.4 * ab)).to(unit, u.spectral_density(pivot))
    known = np.isfinite(error).any()
    meta = {"filters": [band["filter"] for band in bands]}
    if "id" in row.colnames:
        meta["id"] = row["id"]
    return Spectrum(
        flux=flux,
        spectral_axis=pivot,
        uncertainty=StdDevUncertainty(flux * (np.log(10) / 2.5 * error)) if known else None,
        meta=meta,
    )


def _unit(unit):
    unit = u.Unit(unit)
    if not unit.is_equivalent(u.Jy, u.spectral_density(5000 * u.AA)):
        raise ValueError(
            f"unit must be a flux density, such as Jy or erg / (s cm2 Angstrom), not {unit}"
        )
    return unit


def _cameras_of_field(row):
    """Mapping from filters to cameras in the LEGUS field of a table, or None."""
    name = row.meta.get("FIELD")
    try:
        field = find_field(name) if isinstance(name, str) else None
    except KeyError:
        return None
    return field and dict(zip(field.filters, field.cameras, strict=True))


def _bands(row, camera):
    """Filter, pivot wavelength, AB magnitude and error of each band that has a value."""
    names = [name for name in row.colnames if _MAGNITUDE.fullmatch(name)]
    if not names:
        raise KeyError(
            "the row has no magnitudes; it needs columns such as mag_f555w (Vega), but has "
            f"{', '.join(row.colnames)}"
        )
    bands, unknown = [], []
    for name in names:
        key = filter_key(_MAGNITUDE.fullmatch(name)[1], camera)
        magnitude = _value(row, name)
        known = find_filter(*key)
        if not np.isfinite(known.ab_of_vega):
            unknown.append(name)
        elif np.isfinite(magnitude):
            error = _value(row, name.replace("mag_", "mag_err_"))
            ab = magnitude + known.ab_of_vega
            bands.append({"filter": key[1], "pivot": known.pivot, "ab": ab, "error": error})
    if unknown:
        warnings.warn(
            f"excluded {', '.join(unknown)}, whose zero points are not known for this camera",
            AstropyUserWarning,
            stacklevel=3,
        )
    return bands


def _value(row, name):
    """Value of a column; NaN if missing or a placeholder."""
    if name not in row.colnames or row[name] is np.ma.masked:
        return np.nan
    value = row[name]
    if getattr(value, "mask", False):  # of a masked quantity
        return np.nan
    value = float(getattr(value, "value", value))
    return value if abs(value) < _LIMIT else np.nan
