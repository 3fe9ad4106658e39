# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Which column of a LEGUS catalogue is which: from its readme, the registry, or what it holds."""

import re
import warnings
from pathlib import Path

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs.flags import CatalogFlag
from astroclust.images import BANDS

__all__ = [
    "FIT_COLUMNS",
    "INTEGERS",
    "LABEL_COLUMNS",
    "NO_FIT",
    "QUALITY_COLUMNS",
    "ROLES",
    "SENTINELS",
    "column_names",
    "layout",
    "readme_columns",
]

NO_FIT = 200.0  # in place of what no fit gave
# In place of magnitudes and errors, and why.
SENTINELS = {
    66.666: CatalogFlag.OUT_OF_VIEW,
    99.999: CatalogFlag.NOT_DETECTED,
    44.444: CatalogFlag.NO_CORRECTION,
}
_NUMBERS_OF_FILTERS = (0, 3, 4, 5, NO_FIT)

ROLES = [role.lower() for role in BANDS]
_MAGNITUDES = [f"{kind}_{role}" for role in ROLES for kind in ("mag", "mag_err")]
_RESIDUALS = [f"residual_{role}" for role in ROLES]
FIT_COLUMNS = [
    "age",
    "age_max",
    "age_min",
    "mass",
    "mass_max",
    "mass_min",
    "e_bv",
    "e_bv_max",
    "e_bv_min",
]
QUALITY_COLUMNS = ["chi2", "fit_probability"]
# The columns that all catalogues begin with; between the two may be positions in a mosaic.
_PLACE = ("id", "x", "y")
_MEASURED = (
    *("ra", "dec", *_MAGNITUDES, "ci"),
    *(*FIT_COLUMNS, *_RESIDUALS, *QUALITY_COLUMNS, "n_filters"),
)
_LABELS = ("class_human", "class_ml", "class_hybrid", "class_verified", "class_reclassified")
_NOTES = ("quality", "halpha", "selection", "provenance")
INTEGERS = ("id", "n_filters", *_NOTES, *_LABELS)
# All that the last columns may be.
LABEL_COLUMNS = (*_LABELS, "class_mean", *_NOTES)

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


def column_names(labels=(), *, mosaic=False):
    """Names of all columns, those of a mosaic and the last, with classes, as they are given."""
    places = ("x_mosaic", "y_mosaic") if mosaic else ()
    return [*_PLACE, *places, *_MEASURED, *labels]


def readme_columns(path, name, n_columns):
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
    bands = {"mag": iter(ROLES), "mag_err": iter(ROLES), "residual": iter(ROLES)}
    for number, text in enumerate(texts, start=1):
        matches = (column for pattern, column in _README_LINES if re.match(pattern, text, re.I))
        column = next(matches, f"column_{number}")
        if column == "mag":
            filters += re.findall(r"F\d{3}\w", text)[:1]
        names.append(f"{column}_{next(bands[column], '')}" if column in bands else column)
    needed = {*_PLACE, *_MEASURED, "class_human"}
    if len(names) == n_columns == len(set(names)) and needed <= set(names):
        return names, filters
    warnings.warn(
        f"the columns in {readme.name} are not understood: they are told by what they hold",
        AstropyUserWarning,
        stacklevel=3,
    )
    return None


def layout(values, name, known):
    """Names of the columns: those of the field, or else from their number and what they hold."""
    mosaic = values.shape[1] > 5 and not _mostly(_on_sky(*values[:, 3:5].T))
    names = column_names(mosaic=mosaic)
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
    labels = [column for name, column in columns.items() if name in INTEGERS[1:]]
    return (
        _mostly(_on_sky(columns["ra"], columns["dec"]))
        and _mostly((ages == 0) | (ages > 1e4))
        and _mostly(((probability >= 0) & (probability <= 1)) | (probability == NO_FIT))
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
