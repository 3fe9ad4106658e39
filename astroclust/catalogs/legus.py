# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The cluster catalogs of LEGUS: text without a header, in several layouts."""

import re
import warnings
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import MaskedColumn, Table
from astropy.utils.data import get_readable_fileobj
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs.fields import find_field
from astroclust.catalogs.flags import CatalogFlag
from astroclust.catalogs.layouts import (
    FIT_COLUMNS,
    HIGHEST,
    INTEGERS,
    NO_FIT,
    NUMBERS_OF_FILTERS,
    QUALITY_COLUMNS,
    ROLES,
    SENTINELS,
    class_5_is_not_inspected,
    layout,
    readme_columns,
)
from astroclust.catalogs.sexagesimal import MISSING
from astroclust.compression import unpack
from astroclust.instruments import LEGUS_BANDS
from astroclust.text import check_last_line, decode

__all__ = ["field_of_file", "read_legus"]


# No magnitude, error or concentration index reaches this: what does is a sentinel, or was
# computed with one.
_LIMIT = 40.0
# StarcNet appends its class and its scores, such as [0.00 - 0.00 - 0.02 - 0.98].
_ENTRIES = re.compile(r"\[[^\]]*\]|\"[^\"]*\"|[^\s,]+")
# The most numbers out of range that the warning names.
_MOST_NAMED = 3
# The filters of the standard visit of LEGUS, for files that do not say theirs.
_STANDARD_FILTERS = ("F275W", "F336W", "F438W", "F555W", "F814W")

_DESCRIPTIONS = {
    "id": "number of the source in the field",
    "x": "0-based pixel in the images of the field",
    "y": "0-based pixel in the images of the field",
    "x_mosaic": "0-based pixel in the mosaic of the galaxy",
    "y_mosaic": "0-based pixel in the mosaic of the galaxy",
    "ra": "right ascension",
    "dec": "declination",
    "ci": "concentration index in V, magnitude within 1 pixel - magnitude within 3",
    "age": "best age of the fit",
    "mass": "best mass of the fit",
    "e_bv": "best colour excess of the fit",
    "chi2": "reduced chi^2 of the fit",
    "fit_probability": "quality of the fit, Q: near 1 good, near 0 poor",
    "n_filters": "bands with errors up to 0.3 mag",
    "class_human": "class given by eye: 1 to 4, 0 not inspected",
    "class_mean": "mean of the classes that several people gave",
    "class_ml": "class given by a network of the LEGUS team, 0 none",
    "class_hybrid": "class given by eye, else by a network; 0 none",
    "class_verified": "class given by one person who checked the network's, 0 none",
    "class_reclassified": "class given by one person who checked sources of class 4, 0 none",
    "quality": "how sure the class is: 1 certain, 2 likely, 3 possible, 0 not said",
    "halpha": "H-alpha at the source: 1 on top, 2 ring, 3 possibly, 4 none, 0 not said",
    "selection": "found by: 0 the pipeline, 1 or 2 eye",
    "provenance": "class_hybrid is from: 0 network, 1 network and a person, 3 three people, "
    "4 three people and one, 6 a new look at class 4",
}
_UNITS = {
    **dict.fromkeys(("x", "y", "x_mosaic", "y_mosaic"), u.pix),
    **dict.fromkeys(("ra", "dec"), u.deg),
    **dict.fromkeys(("age", "age_max", "age_min"), u.yr),
    **dict.fromkeys(("mass", "mass_max", "mass_min"), u.Msun),
    **dict.fromkeys(("ci", "e_bv", "e_bv_max", "e_bv_min"), u.mag),
}


def read_legus(path, *, field=None, filters=None):
    """Read a cluster catalog of LEGUS; ``Table.read(path, format="ascii.legus")`` does the same.

    The files have no header. Where the ``.readme`` of the archive lies beside one, its columns are
    as that says. Else all files begin with the same 33 columns, or with 35 where a field has
    positions in a mosaic too; those after them are as the registry has them for the field, or
    else told apart by their number and what they hold. Columns that another program appended
    follow as ``extra_1``, ``extra_2`` ...

    Parameters
    ----------
    path : str, `~pathlib.Path` or file-like
        A ``.tab`` file as the archive has it, or its URL, plain or compressed.
    field : str, optional
        Name of the field, as `~astroclust.catalogs.find_field` takes it; by default that in the
        name of the file.
    filters : sequence of str, length 5, optional
        Filters from NUV to I; by default those that the readme or the registry of fields has,
        else those of LEGUS's standard visit.

    Returns
    -------
    table : `~astropy.table.Table`, length n
        ``id``; ``x``, ``y`` (pixels, 0-based: one less than in the file); ``ra``, ``dec`` (deg);
        ``mag_f275w``, ``mag_err_f275w`` ... (Vega mag); ``ci`` (mag); ``age`` (yr), ``mass``
        (solar masses), ``e_bv`` (mag), each with ``_min`` and ``_max``; ``residual_f275w`` ...
        (mag), ``chi2``, ``fit_probability``; ``n_filters``; and of ``class_human``,
        ``class_mean``, ``class_ml``, ``class_hybrid``, ``class_verified``,
        ``class_reclassified``, ``provenance``, ``quality``, ``halpha`` and ``selection`` those
        that the file has. What stood for no value is masked, and ``flag_f275w`` ...,
        ``flag_ci`` and ``flag_fit`` say why, in bits of `CatalogFlag`. If a whole-number column
        holds a number that is not one of its own, such as a class of 50, that entry is masked,
        and ``flag_class_human`` ... says so.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not such a catalog, is torn, or has a layout that is not known.
    KeyError
        If ``field`` is not a field of LEGUS.

    Warns
    -----
    AstropyUserWarning
        If filters are unknown, or entries are masked because their column cannot have them.

    Notes
    -----
    LEGUS counts pixels from 1; this is the only place where that matters. In NGC 4449 the file has
    5 for what was not inspected and 0 or 4 for what is not a cluster: here 0 and 4, as elsewhere.

    Examples
    --------
    A catalog with one detection missing, under a name that tells its field:

    >>> from astropy.table import Table
    >>> from astroclust import decode_flags, find_field, read_legus, write_legus
    >>> from astroclust.catalogs import CatalogFlag
    >>> columns = {"id": [1], "x": [99.25], "y": [49.0], "ra": [24.17], "dec": [15.78]}
    >>> for name in ("f275w", "f336w", "f435w", "f555w", "f814w"):
    ...     magnitude = 99.999 if name == "f275w" else 21.5
    ...     columns |= {f"mag_{name}": [magnitude], f"mag_err_{name}": [0.05]}
    >>> path = find_field("ngc628-c").catalog_file
    >>> write_legus(Table(columns | {"ci": [1.6], "n_filters": [4]}), path)
    >>> table = read_legus(path)
    >>> table.meta["GALAXY"]
    'NGC 628'
    >>> print(table["x", "y", "mag_f275w", "mag_f435w"])
      x    y   mag_f275w mag_f435w
     pix  pix     mag       mag
    ----- ---- --------- ---------
    99.25 49.0        --      21.5
    >>> decode_flags(table["flag_f275w"], kind=CatalogFlag)
    [['NOT_DETECTED']]
    """
    name = Path(str(getattr(path, "name", path))).name
    known = field_of_file(name, field)
    values, texts = _read_columns(path, name)
    names, said = readme_columns(path, name, values.shape[1]) or (
        layout(values, name, known),
        None,
    )
    filters = _filters(name, filters, said, known)
    table = Table(meta=_meta(name, known))
    values = _settle_classes(names, values, known)
    odd = {}
    for column, numbers in zip(names, values.T, strict=False):
        odd |= _add_column(table, column, numbers, filters)
    for role, filter_ in zip(ROLES, filters, strict=True):
        _mask_magnitudes(table, role, filter_.lower())
    _mask_index(table)
    _mask_fit(table)
    _mask_odd(table, odd, name)
    _put_nan_under_masks(table)
    _add_extras(table, [*values.T[len(names) :], *texts], first=len(names) + 1)
    return table


def field_of_file(file, name=None):
    """The field of a file, None where neither the caller nor the name of the file says it."""
    if name is not None:
        return find_field(name)
    match = re.match(r"hlsp_legus_hst_[^_]+_(.+)_multiband_", file)
    try:
        return find_field(match[1]) if match else None
    except KeyError:
        return None


def _read_columns(path, name):
    """Numbers of shape (rows, columns), and columns of text that may follow them."""
    text = _read_text(path, name)
    try:
        check_last_line(text)
    except ValueError as error:
        raise ValueError(f"{name} cannot be read: {error}") from None
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    if not lines:
        raise ValueError(f"{name} has no rows: fetch it again")
    try:
        return np.loadtxt(lines, ndmin=2), []
    except ValueError as error:
        return _split_columns(lines, name, error)


def _read_text(path, name):
    path = str(path) if isinstance(path, Path) else path
    try:
        with get_readable_fileobj(path, encoding="binary") as file:
            content = file.read()
        return content if isinstance(content, str) else decode(unpack(content))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except Exception as error:  # what is damaged fails in many ways
        raise ValueError(f"{name} cannot be read ({error}): fetch it again") from error


def _split_columns(lines, name, error):
    """As `_read_columns`, of lines with text at their ends."""
    rows = [_ENTRIES.findall(line) for line in lines]
    lengths = {len(row) for row in rows}
    columns = list(zip(*rows, strict=True)) if len(lengths) == 1 else []
    numbers = []
    for column in columns:
        try:
            numbers.append([np.nan if entry in MISSING else float(entry) for entry in column])
        except ValueError:
            break
    texts = [np.array(column, str) for column in columns[len(numbers) :]]
    if texts and texts[0][0].startswith("["):  # before the scores of a network is its class
        texts.insert(0, np.array(numbers.pop(), int) if numbers else texts[0])
    if len(numbers) < 34:
        raise ValueError(f"{name} is not a complete LEGUS catalog ({error}): fetch it again")
    return np.array(numbers).T, texts


def _filters(name, given, said, known):
    if given is not None:
        given = () if isinstance(given, str) else tuple(str(filter_).upper() for filter_ in given)
        if len(set(given)) != len(LEGUS_BANDS.roles):
            raise ValueError(
                f"filters must be five, one for each of {LEGUS_BANDS.roles}, not {given!r}"
            )
        return given
    if said is not None and len(set(said)) == len(LEGUS_BANDS.roles):
        return tuple(filter_.upper() for filter_ in said)
    if known is not None and None not in known.filters:
        return known.filters
    warnings.warn(
        f"the filters of {name} are not known: they are taken for "
        f"{', '.join(_STANDARD_FILTERS)}; if they are others, give field= or filters=, or the file "
        "the name that it has in the archive (hlsp_legus_hst_..._multiband_....tab)",
        AstropyUserWarning,
        stacklevel=3,
    )
    return _STANDARD_FILTERS


def _meta(name, known):
    meta = {"CATALOG": name}
    if known is not None:
        meta |= {"FIELD": known.name, "GALAXY": known.galaxy, "DISTANCE": known.distance}
        meta |= {"LABELS": known.labels} if known.labels else {}
    return meta


def _add_column(table, name, values, filters):
    if name in ("x", "y", "x_mosaic", "y_mosaic"):
        values = values - 1
    kind, _, role = name.rpartition("_")
    unit, description = _UNITS.get(name), _DESCRIPTIONS.get(name, "")
    if role in ROLES:
        filter_ = filters[ROLES.index(role)]
        name, unit = f"{kind}_{filter_.lower()}", None if kind == "residual" else u.mag
        description = {
            "mag": f"Vega magnitude in {filter_}, total, without Galactic extinction",
            "mag_err": f"error of the magnitude in {filter_}",
            "residual": f"residual of the fit in {filter_}, positive where observed is brighter",
        }[kind]
    elif role in ("max", "min"):
        description = f"{role}imum of {kind} at 68 per cent confidence"
    if name not in INTEGERS:
        table[name] = MaskedColumn(values, unit=unit, description=description)
        return {}
    highest = 4 if name.startswith("class_") else HIGHEST.get(name, np.iinfo(np.int32).max)
    good = (values >= 0) & (values <= highest) & (values == np.round(values))
    if name == "n_filters":
        good &= np.isin(values, NUMBERS_OF_FILTERS)
    whole = np.where(good, values, 0).astype(np.int32)
    table[name] = MaskedColumn(whole, mask=~good, unit=unit, description=description)
    return {} if good.all() else {name: values}


def _mask_odd(table, odd, name):
    """Say which numbers were masked because their columns cannot have them, and flag them."""
    if not odd:
        return
    said = []
    for column, values in odd.items():
        rows = np.flatnonzero(table[column].mask)
        flags = table[column].mask * CatalogFlag.OUT_OF_RANGE.value
        _add_flags(table, f"flag_{column}", flags, f"why {column} is masked")
        said += [f"{column} {values[row]:g} in row {row}" for row in rows]
    more = f" and {len(said) - _MOST_NAMED} more" if len(said) > _MOST_NAMED else ""
    warnings.warn(
        f"{name}: masked what its column cannot have: {', '.join(said[:_MOST_NAMED])}{more}; the "
        "columns flag_... say where",
        AstropyUserWarning,
        stacklevel=3,
    )


def _add_extras(table, columns, first):
    """Add the columns that another program appended."""
    for number, values in enumerate(columns, start=1):
        description = f"column {first + number - 1} of the file, which LEGUS does not have"
        if values.dtype.kind == "f" and np.isfinite(values).all() and not (values % 1).any():
            values = values.astype(np.int64)
        table[f"extra_{number}"] = MaskedColumn(values, description=description)


def _mask_magnitudes(table, role, filter_):
    """Mask the magnitudes and errors that are none, and say why."""
    magnitude, error = table[f"mag_{filter_}"], table[f"mag_err_{filter_}"]
    flags = np.zeros(len(table), np.int32)
    for sentinel, flag in SENTINELS.items():
        flags[np.abs(magnitude.data - sentinel) < 0.01] |= flag
    lost = ~(magnitude.data < _LIMIT)
    flags[lost & (flags == 0)] |= CatalogFlag.UNDEFINED
    no_error = ~(error.data < _LIMIT)
    flags[no_error & ~lost] |= CatalogFlag.NO_ERROR
    magnitude.mask = lost
    error.mask = lost | no_error
    _add_flags(table, f"flag_{filter_}", flags, f"why mag_{filter_} or its error is masked")


def _mask_index(table):
    lost = ~(table["ci"].data < _LIMIT)
    table["ci"].mask = lost
    _add_flags(table, "flag_ci", lost * CatalogFlag.UNDEFINED.value, "why ci is masked")


def _mask_fit(table):
    """Mask what no fit gave: all zero, or 200 in any place where that can be no value."""
    fitted = (table["e_bv"].data != NO_FIT) & (table["age"].data > 0)
    for name in table.colnames:
        if name in FIT_COLUMNS or name in QUALITY_COLUMNS or name.startswith("residual_"):
            table[name].mask = ~fitted
        if name.startswith("residual_"):
            table[name].mask |= table[name].data == NO_FIT
    # Fits with a best value but without limits have 0 for them.
    unlimited = fitted & (np.ma.getdata(table["age_max"]) == 0)
    for name in FIT_COLUMNS:
        if name.endswith(("_max", "_min")):
            table[name].mask |= unlimited
    table["n_filters"].mask |= table["n_filters"].data == NO_FIT
    if "class_mean" in table.colnames:
        table["class_mean"].mask = table["class_mean"].data == 0
    flags = ~fitted * CatalogFlag.NO_FIT.value + unlimited * CatalogFlag.UNDEFINED.value
    _add_flags(table, "flag_fit", flags, "why the fit or its limits are masked")


def _add_flags(table, name, flags, description):
    table[name] = MaskedColumn(flags.astype(np.int32), description=f"{description}: CatalogFlag")


def _settle_classes(names, values, known):
    """Bring the classes of NGC 4449, where 5 is not inspected and 0 is spurious, to the others'."""
    if "class_human" not in names:
        return values
    classes = values[:, names.index("class_human")]
    if known.name == "ngc4449" if known is not None else class_5_is_not_inspected(classes):
        classes[:] = np.select([classes == 0, classes == 5], [4, 0], classes)
    return values


def _put_nan_under_masks(table):
    """So that a sentinel does not come back where a mask is lost."""
    for column in table.itercols():
        if column.dtype.kind == "f":
            column.data.data[column.mask] = np.nan
            column.fill_value = np.nan
