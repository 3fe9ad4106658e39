# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The cluster catalogues of LEGUS: text without a header, in several layouts."""

import re
import warnings
import zlib
from enum import IntFlag
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.table import MaskedColumn, Table
from astropy.utils.data import get_readable_fileobj
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs.fields import find_field
from astroclust.images import BANDS

__all__ = ["CATALOG_FLAG_MEANINGS", "CatalogFlag", "read_legus"]


class CatalogFlag(IntFlag):
    """The bits of the ``flag_...`` columns; `CATALOG_FLAG_MEANINGS` says what each means."""

    OUT_OF_VIEW = 1
    NOT_DETECTED = 2
    NO_ERROR = 4
    NO_CORRECTION = 8
    UNDEFINED = 16
    NO_FIT = 32


#: Why a value of a catalogue is masked; the numbers are those that files of LEGUS have for it.
CATALOG_FLAG_MEANINGS = {
    CatalogFlag.OUT_OF_VIEW: "outside the field of view of this band (66.666)",
    CatalogFlag.NOT_DETECTED: "no positive flux in this band (99.999)",
    CatalogFlag.NO_ERROR: "so little flux that its error is undefined; the value is kept",
    CatalogFlag.NO_CORRECTION: "its aperture correction is undefined (44.444)",
    CatalogFlag.UNDEFINED: "not known, or computed from a magnitude that is none",
    CatalogFlag.NO_FIT: "no model was fitted to the colours (0 or 200)",
}

# No magnitude, error or concentration index reaches this: what does is a sentinel, or was
# computed with one.
_LIMIT = 40.0
_SENTINELS = {
    66.666: CatalogFlag.OUT_OF_VIEW,
    99.999: CatalogFlag.NOT_DETECTED,
    44.444: CatalogFlag.NO_CORRECTION,
}
_NO_FIT = 200.0
_NUMBERS_OF_FILTERS = (0, 3, 4, 5, _NO_FIT)
# The filters of the standard visit of LEGUS, for files that do not say theirs.
_STANDARD_FILTERS = ("F275W", "F336W", "F438W", "F555W", "F814W")

_ROLES = [role.lower() for role in BANDS]
_MAGNITUDES = [f"{kind}_{role}" for role in _ROLES for kind in ("mag", "mag_err")]
_RESIDUALS = [f"residual_{role}" for role in _ROLES]
_FIT = ["age", "age_max", "age_min", "mass", "mass_max", "mass_min", "e_bv", "e_bv_max", "e_bv_min"]
_QUALITY_OF_FIT = ["chi2", "fit_probability"]
_LABELS = ("class_human", "class_ml", "class_hybrid", "class_verified", "class_reclassified")
_INTEGERS = ("id", "n_filters", "quality", "halpha", "selection", "provenance", *_LABELS)

# What the numbered lines of a catalogue's readme say, in the order in which they are tried.
_README_LINES = (
    (r"source id", "id"),
    (r"x coordinates .* mosaic", "x_mosaic"),
    (r"y coordinates .* mosaic", "y_mosaic"),
    (r"x coordinates", "x"),
    (r"y coordinates", "y"),
    (r"ra coordinates", "ra"),
    (r"dec coordinates", "dec"),
    (r"final total mag", "mag"),
    (r"final photometric error", "mag_err"),
    (r"ci\s*=", "ci"),
    *(
        (rf"{word} {quantity}", name + ending)
        for word, ending in (("best", ""), ("max", "_max"), ("min", "_min"))
        for quantity, name in (("age", "age"), ("mass", "mass"), (r"e\(b-v\)", "e_bv"))
    ),
    (r"chi2 fit residual", "residual"),
    (r"reduced chi2", "chi2"),
    (r"q probability", "fit_probability"),
    (r"number of filter", "n_filters"),
    (r"method of visual inspection", "provenance"),
    (r"quality flag", "quality"),
    (r"halpha morphology", "halpha"),
    (r"flag indicates how", "selection"),
    (r".*applying the mean", "class_mean"),
    (r".*hybrid", "class_hybrid"),
    (r".*post-reclassification", "class_reclassified"),
    (r".*verified the ml", "class_verified"),
    (r".*machine learning", "class_ml"),
    (r".*(applying the mode|mode value|visual classification done by)", "class_human"),
)

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
    """Read a cluster catalogue of LEGUS; ``Table.read(path, format="ascii.legus")`` does the same.

    The files have no header. Where the ``.readme`` of the archive lies beside one, its columns are
    as that says. Else all files begin with the same 33 columns, or with 35 where a field has
    positions in a mosaic too; those after them are as the registry has them for the field, or
    else told apart by their number and what they hold.

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
        ``flag_ci`` and ``flag_fit`` say why, in bits of `CatalogFlag`.

    Raises
    ------
    FileNotFoundError
        Where there is no such file.
    ValueError
        Where the file is not such a catalogue, is torn, or has a layout that is not known.
    KeyError
        Where ``field`` is not a field of LEGUS.

    Notes
    -----
    LEGUS counts pixels from 1; this is the only place where that matters. In NGC 4449 the file has
    5 for what was not inspected and 0 or 4 for what is not a cluster: here 0 and 4, as elsewhere.
    """
    name = Path(str(getattr(path, "name", path))).name
    known = _known_field(name, field)
    values = _read_numbers(path, name)
    names, said = _readme_columns(path, name, values.shape[1]) or (
        _layout(values, name, known),
        None,
    )
    filters = _filters(name, filters, said, known)
    table = Table(meta=_meta(name, known))
    for column, numbers in zip(names, values.T, strict=True):
        _add_column(table, column, numbers, filters)
    for role, filter_ in zip(_ROLES, filters, strict=True):
        _mask_magnitudes(table, role, filter_.lower())
    _mask_index(table)
    _mask_fit(table)
    if known is not None and known.name == "ngc4449":
        _settle_ngc4449(table)
    _put_nan_under_masks(table)
    return table


def _known_field(file, name):
    """The field of a file, None where neither the caller nor the name of the file says it."""
    if name is not None:
        return find_field(name)
    match = re.match(r"hlsp_legus_hst_[^_]+_(.+)_multiband_", file)
    try:
        return find_field(match[1]) if match else None
    except KeyError:
        return None


def _read_numbers(path, name):
    path = str(path) if isinstance(path, Path) else path
    try:
        with get_readable_fileobj(path, encoding="utf-8-sig") as file:
            text = file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise ValueError(f"{name} cannot be read ({error}): fetch it again") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise ValueError(f"{name} holds no rows: fetch it again")
    shortest = min(map(len, lines[:-1]), default=0)
    if len(lines[-1]) < shortest and not text.endswith(("\n", "\r")):
        raise ValueError(f"{name} is torn in its last line: fetch it again")
    try:
        return np.loadtxt(lines, ndmin=2)
    except ValueError as error:
        raise ValueError(
            f"{name} is not a whole LEGUS catalogue ({error}): fetch it again"
        ) from error


def _readme_columns(path, name, n_columns):
    """Names of the columns and filters, from lines such as ``16. CI=mag(1px)-mag(3px) ...``.

    None where there is no readme beside the file, or none that can be understood.
    """
    readme = Path(str(path)).with_name(re.sub(r"\.tab(\.\w+)?$", ".readme", name))
    if readme.name == name or not readme.is_file():
        return None
    texts = []
    for number, text in re.findall(
        r"^\s*#?\s*(\d+)\.\s+(\S.*)$", readme.read_text(errors="replace"), re.M
    ):
        texts += [text] if int(number) == len(texts) + 1 else []
    names, filters = [], []
    bands = {"mag": iter(_ROLES), "mag_err": iter(_ROLES), "residual": iter(_ROLES)}
    for number, text in enumerate(texts, start=1):
        matches = (column for pattern, column in _README_LINES if re.match(pattern, text, re.I))
        column = next(matches, f"column_{number}")
        if column == "mag":
            filters += re.findall(r"F\d{3}\w", text)[:1]
        names.append(f"{column}_{next(bands[column], '')}" if column in bands else column)
    needed = {"id", "x", "y", "ra", "dec", *_MAGNITUDES, "ci", *_FIT, "n_filters", "class_human"}
    if len(names) == n_columns == len(set(names)) and needed <= set(names):
        return names, filters
    warnings.warn(
        f"the columns in {readme.name} are not understood: they are told by what they hold",
        AstropyUserWarning,
        stacklevel=3,
    )
    return None


def _layout(values, name, known):
    """Names of the columns: those of the field, or else from their number and what they hold."""
    names = ["id", "x", "y"]
    if values.shape[1] > 5 and not _mostly(_on_sky(*values[:, 3:5].T)):
        names += ["x_mosaic", "y_mosaic"]
    names += ["ra", "dec", *_MAGNITUDES, "ci", *_FIT, *_RESIDUALS, *_QUALITY_OF_FIT, "n_filters"]
    n = len(names)
    of_field = known.label_columns if known is not None else ()
    if not 1 <= values.shape[1] - n <= 6 or (of_field and values.shape[1] != n + len(of_field)):
        wanted = (
            f"that of {known.name} {n + len(of_field)}" if of_field else "one of LEGUS 34 to 39"
        )
        raise ValueError(
            f"{name} has {values.shape[1]} columns: {wanted}, or two more with positions in a "
            "mosaic; fetch it again, or put its .readme beside it"
        )
    names += of_field or _label_names(values[:, n:], known)
    if not _is_catalog(dict(zip(names, values.T, strict=True))):
        raise ValueError(
            f"{name} is not in a layout of LEGUS: expected are an integer id, x and y, ra and dec, "
            "five magnitudes with errors, the concentration index, 16 columns of the fit, the "
            f"number of filters (column {n}), then {', '.join(names[n:])}; put its .readme beside "
            "it"
        )
    return names


def _is_catalog(columns):
    """Whether columns hold what their names say: a missing one shifts all that follow."""
    probability, ages = columns["fit_probability"], columns["age"]
    labels = [column for name, column in columns.items() if name in _INTEGERS[1:]]
    return (
        _mostly(_on_sky(columns["ra"], columns["dec"]))
        and _mostly((ages == 0) | (ages > 1e4))
        and _mostly(((probability >= 0) & (probability <= 1)) | (probability == _NO_FIT))
        and np.isin(columns["n_filters"], _NUMBERS_OF_FILTERS).all()
        and all((column == np.round(column)).all() for column in [columns["id"], *labels])
        and all((columns[name] <= 5).all() for name in _LABELS if name in columns)
        and (
            "class_mean" not in columns
            or _mostly((columns["class_mean"] > 0) == (columns["class_human"] > 0))
        )
    )


def _mostly(right):
    """Whether a condition holds in all rows but a few odd ones."""
    return np.mean(right) > 0.98


def _on_sky(ra, dec):
    return (ra >= 0) & (ra <= 360) & (np.abs(dec) <= 90)


def _label_names(labels, known):
    """Names of the last columns, those with classes and flags."""
    first, last, inspected = labels[:, 0], labels[:, -1], labels > 0
    n_labels = labels.shape[1]
    if n_labels == 1:
        return ["class_human"]
    if n_labels == 2:  # a mean is there for each class that is; a flag is rarely set
        people = known is not None and known.labels == "consensus"
        mean = people or (inspected[:, 0] == inspected[:, 1]).all()
        return ["class_human", "class_mean" if mean else "selection"]
    if n_labels == 3:
        return ["class_human", "class_mean", "class_ml" if last.max() > 2 else "selection"]
    if n_labels == 4:  # what one person said of a source comes together, class first
        by_one = ["class_human", "quality", "halpha"]
        flag_first = first.max() <= 2 and (inspected[:, 1] & ~inspected[:, 0]).any()
        return ["selection", *by_one] if flag_first else [*by_one, "selection"]
    if n_labels == 5:
        return ["class_human", "quality", "halpha", "class_ml", "selection"]
    return [
        "class_hybrid",
        "provenance",
        "class_human",
        "class_ml",
        "class_verified",
        "class_reclassified",
    ]


def _filters(name, given, said, known):
    if given is not None:
        given = () if isinstance(given, str) else tuple(str(filter_).upper() for filter_ in given)
        if len(set(given)) != len(BANDS):
            raise ValueError(f"filters must be five, one for each of {BANDS}, not {given!r}")
        return given
    if said is not None and len(set(said)) == len(BANDS):
        return tuple(filter_.upper() for filter_ in said)
    if known is not None and None not in known.filters:
        return known.filters
    warnings.warn(
        f"the filters of {name} are not known: they are taken for "
        f"{', '.join(_STANDARD_FILTERS)}; give field= or filters= if they are others",
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
    if role in _ROLES:
        filter_ = filters[_ROLES.index(role)]
        name, unit = f"{kind}_{filter_.lower()}", None if kind == "residual" else u.mag
        description = {
            "mag": f"Vega magnitude in {filter_}, total, without Galactic extinction",
            "mag_err": f"error of the magnitude in {filter_}",
            "residual": f"residual of the fit in {filter_}, positive where observed is brighter",
        }[kind]
    elif role in ("max", "min"):
        description = f"{role}imum of {kind} at 68 per cent confidence"
    dtype = np.int32 if name in _INTEGERS else np.float64
    table[name] = MaskedColumn(values.astype(dtype), unit=unit, description=description)


def _mask_magnitudes(table, role, filter_):
    """Mask the magnitudes and errors that are none, and say why."""
    magnitude, error = table[f"mag_{filter_}"], table[f"mag_err_{filter_}"]
    flags = np.zeros(len(table), np.int32)
    for sentinel, flag in _SENTINELS.items():
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
    fitted = (table["e_bv"].data != _NO_FIT) & (table["age"].data > 0)
    for name in table.colnames:
        if name in _FIT or name in _QUALITY_OF_FIT or name.startswith("residual_"):
            table[name].mask = ~fitted
        if name.startswith("residual_"):
            table[name].mask |= table[name].data == _NO_FIT
    # Fits with a best value but without limits have 0 for them.
    unlimited = fitted & (np.ma.getdata(table["age_max"]) == 0)
    for name in _FIT:
        if name.endswith(("_max", "_min")):
            table[name].mask |= unlimited
    table["n_filters"].mask = table["n_filters"].data == _NO_FIT
    if "class_mean" in table.colnames:
        table["class_mean"].mask = table["class_mean"].data == 0
    flags = ~fitted * CatalogFlag.NO_FIT.value + unlimited * CatalogFlag.UNDEFINED.value
    _add_flags(table, "flag_fit", flags, "why the fit or its limits are masked")


def _add_flags(table, name, flags, description):
    table[name] = MaskedColumn(flags.astype(np.int32), description=f"{description}: CatalogFlag")


def _settle_ngc4449(table):
    """Bring the classes of NGC 4449, where 5 is not inspected and 0 is spurious, to the others'."""
    classes = table["class_human"].data
    table["class_human"][:] = np.select([classes == 0, classes == 5], [4, 0], classes)


def _put_nan_under_masks(table):
    """So that a sentinel does not come back where a mask is lost."""
    for column in table.itercols():
        if column.dtype.kind == "f":
            column.data.data[column.mask] = np.nan
            column.fill_value = np.nan
