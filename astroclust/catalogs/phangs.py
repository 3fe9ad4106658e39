# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""PHANGS-HST cluster catalogs: FITS tables of one galaxy or of all."""

import difflib
import re
import warnings
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs.fields import plain_name
from astroclust.catalogs.flags import CatalogFlag
from astroclust.files import open_fits
from astroclust.text import UnreadableError

__all__ = ["PHANGS_CODES", "human_class", "read_phangs"]

#: Visual classification codes for artifacts, from the readme of DR4.
PHANGS_CODES = {
    4: "star",
    5: "pair of stars",
    6: "saturated star",
    7: "redundant, less than 5 pixels from another source",
    8: "diffraction spike",
    9: "background galaxy",
    10: "too faint",
    11: "clean stars",
    12: "edge of the image",
    13: "triple star",
    14: "bad pixel",
    15: "nucleus of the galaxy",
    16: "fluff",
    17: "uncategorized",
    19: "very red star: V-I > 2 and concentration index < 1.45",
}

# Sentinels: outside the images, and unknown.
_NOT_COVERED, _UNKNOWN = -9999, -999
# Upper limits of valid magnitudes, their errors and indices, and of valid flux errors (1e19 and
# more are sentinels).
_LIMIT, _FLUX_ERROR_LIMIT = 40.0, 1e10

_TOTAL = "total, without Galactic extinction"
_POSITIONS = ("phangs_x", "phangs_y", "phangs_ra", "phangs_dec")
# Name, unit and description of the columns by their names in the files, in lower case, without
# _tot and with "band" for the filter.
_COLUMNS = {
    "index": ("id", None, "source number in the list"),
    "id_phangs_cluster": ("id_cluster", None, "number in the list of clusters of the galaxy"),
    "id_phangs_candidate": ("id_candidate", None, "number in the list of candidates of the galaxy"),
    "id_phangs_allsources": (
        "id_allsources",
        None,
        "number in the list of all sources of the galaxy",
    ),
    "phangs_galaxy": ("galaxy", None, "galaxy or part of one, in the spelling of PHANGS"),
    "phangs_x": ("x", u.pix, "0-based pixel in the images of the galaxy"),
    "phangs_y": ("y", u.pix, "0-based pixel in the images of the galaxy"),
    "phangs_ra": ("ra", u.deg, "right ascension"),
    "phangs_dec": ("dec", u.deg, "declination"),
    "phangs_cluster_class_human": (
        "class_code",
        None,
        "code from visual inspection, see PHANGS_CODES",
    ),
    "phangs_cluster_class_ml_vgg": ("class_ml", None, "class from a PHANGS network, 0 none"),
    "phangs_cluster_class_ml_vgg_qual": (
        "class_ml_quality",
        None,
        "fraction of ten networks that vote for class_ml",
    ),
    "phangs_cluster_class_ml_vgg_corr": (
        "class_ml_corrected",
        None,
        "class_ml, but 4 for artifacts in visual inspection",
    ),
    "phangs_band_vega": ("mag{end}_{band}", u.mag, f"Vega magnitude in {{filter}}, {_TOTAL}"),
    "phangs_band_mjy": ("flux{end}_{band}", u.mJy, f"flux in {{filter}}, {_TOTAL}"),
    "phangs_ci": (
        "ci",
        u.mag,
        "concentration index in V, magnitude within 1 pixel - magnitude within 3",
    ),
    "phangs_non_detection_flag": ("n_not_detected", None, "bands with signal-to-noise below 1"),
    "phangs_no_coverage_flag": ("n_not_covered", None, "bands in which it was not observed"),
    "phangs_colorcolor_class_ubvi": (
        "color_class",
        None,
        "region of the U-B, V-I plane: ycl young, map middle-aged, ogcc old globular, outside",
    ),
    "phangs_age_minchisq": ("age{end}", u.yr, "best-fit age"),
    "phangs_mass_minchisq": ("mass{end}", u.Msun, "best-fit mass"),
    "phangs_ebv_minchisq": ("e_bv{end}", u.mag, "best-fit color excess"),
    "phangs_reducedchisq_minchisq": ("chi2", None, "reduced chi^2 of the fit"),
    "phangs_reduced_minchisq": ("chi2", None, "reduced chi^2 of the fit"),
    "phangs_dr5_thilker25_age": ("age_dr5{end}", u.yr, "best-fit age in DR5"),
    "phangs_dr5_thilker25_mass": ("mass_dr5{end}", u.Msun, "best-fit mass in DR5"),
    "phangs_dr5_thilker25_ebv": ("e_bv_dr5{end}", u.mag, "best-fit color excess in DR5"),
    "phangs_dr5_thilker25_reduced_minchisq": ("chi2_dr5", None, "reduced chi^2, fit of DR5"),
}
_ENDINGS = {
    "": ("", ""),
    "_err": ("_err", "error of the "),
    "_limlo": ("_min", "1-sigma minimum of the "),
    "_limhi": ("_max", "1-sigma maximum of the "),
}
_FILTER = r"(?<=_)f\d{3,4}(?:[wxmn]|lp)(?=_)"
_CLASSES = ("class_ml", "class_ml_corrected")
_IDS = ("id", "id_cluster", "id_candidate", "id_allsources")
_INTEGERS = (*_IDS, "class_code", "n_not_detected", "n_not_covered")
_MAY_BE_TEXT = (*_IDS, "galaxy", "color_class")
# Units of files without units, if different from ours.
_USUAL_UNITS = {u.yr: u.Myr}
# Units in the readmes that are not FITS units.
_SPELLINGS = {"m_solar": u.Msun, "pixel": u.pix, "pixels": u.pix, "degrees": u.deg}


def human_class(codes):
    """Convert PHANGS classification codes to LEGUS classes, 1 to 4.

    Parameters
    ----------
    codes : array_like of number, shape (n,)
        1 to 3 for clusters; 4 and above for the artifacts of `PHANGS_CODES`; 0, negative, NaN or
        masked for sources that were not inspected.

    Returns
    -------
    classes : `~numpy.ndarray` of int32, shape (n,)
        1 to 3, 4 for all artifacts, 0 for sources that were not inspected.

    Examples
    --------
    >>> from astroclust.catalogs.phangs import human_class
    >>> print(human_class([1, 3, 4, 19, -999]))
    [1 3 4 4 0]
    """
    codes = np.ma.filled(np.ma.asarray(codes, dtype=np.float64), 0)
    return np.clip(np.nan_to_num(codes, nan=0), 0, 4).astype(np.int32)


def read_phangs(path: str | Path, *, galaxy: str | None = None) -> Table:
    """Read a PHANGS-HST cluster catalog.

    Supported are the catalogs of single galaxies in DR4
    (``hlsp_phangs-cat_hst_{camera}_{target}_multi_v1_{kind}.fits``, with kinds such as
    ``obs-human-cluster-class12``, ``sed-machine-compact-association-class3`` and
    ``obs-sed-candidates``) and those of all galaxies in DR5
    (``hlsp_phangs-cat_hst_acs-uvis_dr5-targets_v1_human-class1+2-primary.fits`` ...). The formats
    follow published descriptions; the original files were not available. Column names may be in
    lower or upper case, with or without ``_TOT``.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        A file of the archive, plain or compressed.
    galaxy : str, optional
        Galaxy whose sources are selected, in any common spelling: ``"NGC 628C"``, ``"ngc0628c"``.

    Returns
    -------
    table : `~astropy.table.Table`, length n
        The following columns, as far as the file has them: ``id``, ``id_cluster``,
        ``id_candidate``, ``id_allsources``; ``galaxy`` (from the file name if there is no such
        column); ``x``, ``y`` (pixels of 0.03962 arcsec, 0-based as in the file); ``ra``, ``dec``
        (deg); ``class_human`` (see `human_class`) and ``class_code``, the code in the file;
        ``class_ml``, ``class_ml_quality`` (fraction of ten networks that vote for it) and
        ``class_ml_corrected`` (4 for visually identified artifacts); ``mag_f275w``,
        ``mag_err_f275w`` ... (Vega mag), ``flux_f275w``, ``flux_err_f275w`` ... (mJy);
        ``n_not_detected``, ``n_not_covered``; ``ci`` (mag); ``color_class``; ``age`` (yr),
        ``mass`` (solar masses) and ``e_bv`` (mag), with ``_err``, and ``chi2``; ``age_dr5``,
        ``mass_dr5`` ... with ``_min`` and ``_max``. All other columns keep their names, in lower
        case and without ``phangs_``, prefixed with ``file_`` if they are one of these. Sentinel
        values are masked; ``flag_f275w`` ..., ``flag_ci``, ``flag_fit`` and ``flag_fit_dr5`` give
        the reason as bits of `~astroclust.catalogs.CatalogFlag`.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    OSError
        If the file is empty, truncated or not FITS.
    ValueError
        If it does not have a table with PHANGS positions, or has text instead of numbers.
    KeyError
        If ``galaxy`` is not in the file; the message lists similar names.

    Notes
    -----
    The columns are those of Maschmann et al. (2024, arXiv:2403.04901) and of the readmes of DR4
    and DR5. Ages without a unit are assumed to be in Myr and masses in solar masses, as in code
    that quotes the readmes; this could not be verified with a file. The same is assumed, with a
    warning, for units that cannot be converted. An error that is negative or 1e19 means that the
    source was not detected in the band: it is masked, and the value is at best a limit.

    Examples
    --------
    Two sources with the column names of the archive; 19 is the code of a very red star:

    >>> from astropy.table import Table
    >>> from astroclust import read_phangs
    >>> columns = {"GALAXY": ["ngc1566", "ngc1566"], "X": [10.0, 20.5], "Y": [30.0, 40.0]}
    >>> columns |= {"RA": [65.0, 65.01], "DEC": [-54.94, -54.93]}
    >>> columns |= {"CLUSTER_CLASS_HUMAN": [1, 19], "AGE_MINCHISQ": [10.0, -999.0]}
    >>> Table({f"PHANGS_{name}": values for name, values in columns.items()}).write("phangs.fits")
    >>> print(read_phangs("phangs.fits", galaxy="NGC 1566")["x", "y", "class_human", "age"])
     x    y   class_human    age
    pix  pix                  yr
    ---- ---- ----------- ----------
    10.0 30.0           1 10000000.0
    20.5 40.0           4         --
    """
    name = Path(path).name
    with open_fits(path) as hdus:
        try:
            table = _read_table(hdus)
        except AstropyUserWarning:  # if warnings are turned into errors
            raise
        except UnreadableError as error:
            raise ValueError(f"{path}: {error}") from None
        except Exception as error:  # damaged files raise many types
            raise OSError(f"{path} has a damaged table ({error}); fetch it again") from error
    _settle_galaxy(table, name)
    if galaxy is not None:
        table = table[_rows_of(table, galaxy, path)]
    table.meta = _meta(table, name)
    bands = re.findall(r"\b(?:mag|flux)_(f\d+[a-z]+)\b", " ".join(table.colnames))
    for band in dict.fromkeys(bands):
        _mask_band(table, band)
    _mask_rest(table)
    return table


def _read_table(hdus):
    source = _read_columns(hdus)
    table = Table()
    for column, known in zip(source.itercols(), _match(source.colnames), strict=True):
        _add_column(table, column, *known)
    return table


def _read_columns(hdus):
    """First table with positions."""
    there = []
    for hdu in hdus:
        if isinstance(hdu, (fits.BinTableHDU, fits.TableHDU)):
            if set(_POSITIONS) <= {name.lower() for name in hdu.columns.names}:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", u.UnitsWarning)  # _factor checks units
                    return Table.read(hdu)
            there += hdu.columns.names
    found = f"it has {', '.join(there[:12])}{' ...' * (len(there) > 12)}"
    raise UnreadableError(
        f"it is not a PHANGS-HST catalog with the columns {', '.join(_POSITIONS).upper()}; "
        f"{found if there else 'it has no table; fetch it again'}"
    )


def _match(names):
    """Name, unit and description of each column; unknown columns keep their names."""
    found = {}
    # If there are both, the name is used for the total magnitude.
    for name in sorted(names, key=lambda name: "_tot" not in name.lower()):
        column = _known_column(name.lower())
        if column and column[0] not in [other for other, *_ in found.values()]:
            found[name] = column
    taken = {"class_human"} | {new.format(end="", band="") for new, *_ in _COLUMNS.values()}
    taken |= {new for new, *_ in found.values()}
    for name in names:
        if name not in found:
            new = name.lower().removeprefix("phangs_")
            while new in taken or new.startswith("flag_"):
                new = f"file_{new}"
            found[name] = new, None, None
            taken.add(new)
    return [found[name] for name in names]


def _known_column(name):
    name = re.sub(r"_tot(?=_|$)", "", name)
    base, end = re.fullmatch(r"(.+?)(_err|_limlo|_limhi)?", name).groups()
    band = "".join(re.findall(_FILTER, base)[:1])
    new, unit, description = _COLUMNS.get(re.sub(_FILTER, "band", base), ("", None, ""))
    if not new or (end and "{end}" not in new):
        return None
    ending, start = _ENDINGS[end or ""]
    description = start + description.format(filter=band.upper())
    description = description.partition(",")[0] if end else description
    return new.format(end=ending, band=band), unit, description


def _add_column(table, column, name, unit, description):
    """Add a column in our unit and native byte order, with sentinels masked."""
    values, lost = _values(column)
    is_number = values.dtype.kind in "iuf"
    if description is None:
        unit, description = _of_file(column)
    elif not is_number and name not in _MAY_BE_TEXT:
        raise UnreadableError(f"column {column.name} must contain numbers, not {column.dtype}")
    elif name in _CLASSES:
        values, lost = human_class(np.ma.array(values, mask=lost)), False
    elif name in _INTEGERS and is_number:
        values = np.where(lost, _UNKNOWN, values).astype(np.int32)
    elif unit is not None:
        values = np.where(lost, values, values * _factor(column, unit))
    if name == "class_code":
        classes, said = human_class(np.ma.array(values, mask=lost)), "1 to 4, 0 not inspected"
        table["class_human"] = MaskedColumn(
            classes, description=f"class from visual inspection: {said}"
        )
    # Masked integers are written to FITS as 999999 by default, which may be a source number.
    fill = _UNKNOWN if values.dtype.kind == "i" else None
    table[name] = MaskedColumn(
        values, mask=lost, unit=unit, description=description, fill_value=fill
    )


def _values(column):
    """Values of a column in native byte order, with text decoded, and a mask of missing values."""
    values, lost = np.array(np.ma.getdata(column)), np.ma.getmaskarray(column)
    kind = values.dtype.kind
    if kind in "SU":
        values = np.strings.decode(values, "utf-8", "replace") if kind == "S" else values
        values = np.strings.strip(values)
        return values, lost | (values == "")
    if kind in "iuf":
        dtype = np.float64 if kind == "f" else np.promote_types(values.dtype, np.int32)
        values = values.astype(dtype)
        lost = lost | ~np.isfinite(values) | np.isin(values, (_NOT_COVERED, _UNKNOWN))
    return values, lost


def _of_file(column):
    """Unit and description of an unknown column, from the file."""
    description = column.description or f"{column.name} of the file"
    if isinstance(column.unit, u.UnrecognizedUnit):
        return None, f"{description}, in {column.unit}"
    return column.unit, description


def _factor(column, unit):
    """Factor that converts a column to our unit."""
    usual, given = _USUAL_UNITS.get(unit, unit), str(column.unit or "")
    given = _SPELLINGS.get(given.lower()) or u.Unit(given or usual, parse_strict="silent")
    if given.is_equivalent(unit):
        return given.to(unit)
    warnings.warn(
        f"column {column.name} is in {given}, which cannot be converted to {usual}; {usual} is "
        "assumed",
        AstropyUserWarning,
        stacklevel=5,
    )
    return usual.to(unit)


def _settle_galaxy(table, name):
    """Add the galaxy from the file name if there is no such column."""
    if "galaxy" not in table.colnames and (target := _target(name)):
        description = _COLUMNS["phangs_galaxy"][-1]
        column = MaskedColumn(np.full(len(table), target), description=description)
        table.add_column(column, name="galaxy", index=table.index_column("x"))


def _target(name):
    match = re.match(r"hlsp_phangs-cat_hst_[^_]+_(.+?)_multi_", name)
    return match[1] if match else None


def _rows_of(table, galaxy, path):
    if "galaxy" not in table.colnames:
        raise KeyError(f"{path} has no column with galaxies; omit galaxy={galaxy!r}")
    galaxies = {str(name): plain_name(name) for name in np.unique(table["galaxy"].compressed())}
    wanted = plain_name(galaxy)
    names = [name for name, plain in galaxies.items() if plain == wanted]
    if names:
        return np.isin(table["galaxy"].data, names)
    close = difflib.get_close_matches(wanted, galaxies.values(), n=4)
    close = [plain for plain in galaxies.values() if wanted and plain.startswith(wanted)] or close
    similar = [name for name, plain in galaxies.items() if plain in close]
    hint = f": did you mean {', '.join(similar)}?" if similar else f"; it has {', '.join(galaxies)}"
    raise KeyError(f"{path} has no galaxy {galaxy!r}{hint}")


def _meta(table, name):
    meta = {"CATALOG": name}
    if "_dr5-" in name or any("dr5" in column for column in table.colnames):
        meta["RELEASE"] = "DR5"
    elif _target(name):
        meta["RELEASE"] = "DR4"
    if labels := re.search(r"[_-](human|machine)-", name):
        meta["LABELS"] = labels[1]
    galaxies = np.unique(table["galaxy"].compressed()) if "galaxy" in table.colnames else []
    return meta | ({"GALAXY": str(galaxies[0])} if len(galaxies) == 1 else {})


def _mask_band(table, band):
    """Mask undefined magnitudes, fluxes and errors of a band, and flag the reason."""
    flags = np.zeros(len(table), np.int32)
    for kind, limit in (("mag", _LIMIT), ("flux", _FLUX_ERROR_LIMIT)):
        if f"{kind}_{band}" not in table.colnames:
            continue
        value = table[f"{kind}_{band}"]
        if kind == "mag":
            _mask_outside(value, 0, limit)
        not_covered = value.data.data == _NOT_COVERED
        flags[not_covered] |= CatalogFlag.OUT_OF_VIEW
        flags[value.mask & ~not_covered] |= CatalogFlag.UNDEFINED
        if f"{kind}_err_{band}" in table.colnames:
            error = table[f"{kind}_err_{band}"]
            _mask_outside(error, 0, limit)
            error.mask |= value.mask
            flags[error.mask & ~value.mask] |= CatalogFlag.NO_ERROR
    _add_flags(table, f"flag_{band}", flags, f"why a value in {band.upper()} is")


def _mask_rest(table):
    """Mask undefined indices, ages and masses, and flag the reason."""
    if "ci" in table.colnames:
        _mask_outside(table["ci"], -_LIMIT, _LIMIT)
        _add_flags(table, "flag_ci", table["ci"].mask * CatalogFlag.UNDEFINED.value, "why ci is")
    for release in ("", "_dr5"):
        names = [name for name in (f"age{release}", f"mass{release}") if name in table.colnames]
        for name in names:
            _mask_outside(table[name], np.nextafter(0, 1), np.inf)
        if names:
            flags = np.any([table[name].mask for name in names], axis=0) * CatalogFlag.NO_FIT.value
            _add_flags(table, f"flag_fit{release}", flags, f"why {' or '.join(names)} is")


def _mask_outside(column, low, high):
    values = column.data.data
    column.mask |= ~((values >= low) & (values <= high))


def _add_flags(table, name, flags, description):
    description = f"{description} masked: CatalogFlag"
    table[name] = MaskedColumn(flags.astype(np.int32), description=description)
