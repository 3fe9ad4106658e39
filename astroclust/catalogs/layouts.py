# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Column layouts of LEGUS catalogs, from the readme, the registry or the data."""

import re
import warnings
from pathlib import Path

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs.flags import CatalogFlag
from astroclust.instruments import LEGUS_BANDS

__all__ = [
    "FIT_COLUMNS",
    "HIGHEST",
    "INTEGERS",
    "LABEL_COLUMNS",
    "NO_FIT",
    "NUMBERS_OF_FILTERS",
    "QUALITY_COLUMNS",
    "ROLES",
    "SENTINELS",
    "class_5_is_not_inspected",
    "column_names",
    "layout",
    "readme_columns",
]

NO_FIT = 200.0  # sentinel for missing fit results
# Sentinels for magnitudes and errors, and their meaning.
SENTINELS = {
    66.666: CatalogFlag.OUT_OF_VIEW,
    99.999: CatalogFlag.NOT_DETECTED,
    44.444: CatalogFlag.NO_CORRECTION,
}
NUMBERS_OF_FILTERS = (0, 3, 4, 5, NO_FIT)

ROLES = [role.lower() for role in LEGUS_BANDS.roles]
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
# First columns of all catalogs; positions in a mosaic may be between the two.
_POSITION = ("id", "x", "y")
_MEASURED = (
    *("ra", "dec", *_MAGNITUDES, "ci"),
    *(*FIT_COLUMNS, *_RESIDUALS, *QUALITY_COLUMNS, "n_filters"),
)
_LABELS = ("class_human", "class_ml", "class_hybrid", "class_verified", "class_reclassified")
_NOTES = ("quality", "halpha", "selection", "provenance")
INTEGERS = ("id", "n_filters", *_NOTES, *_LABELS)
# Maximum of each column of classes and notes; NGC 4449 also has a class 5.
HIGHEST = dict.fromkeys(_LABELS, 4) | {
    "class_human": 5,
    "quality": 4,
    "halpha": 4,
    "selection": 2,
    "provenance": 6,
}
# All possible last columns.
LABEL_COLUMNS = (*_LABELS, "class_mean", *_NOTES)

# Patterns of the numbered lines in a readme, in the order in which they are tried.
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
    """Names of all columns, ending with those of the classes and notes in ``labels``."""
    on_mosaic = ("x_mosaic", "y_mosaic") if mosaic else ()
    return [*_POSITION, *on_mosaic, *_MEASURED, *labels]


def readme_columns(path, name, n_columns):
    """Names of the columns and filters, from lines such as ``16. CI=mag(1px)-mag(3px) ...``.

    None if there is no readable readme next to the file.
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
    needed = {*_POSITION, *_MEASURED, "class_human"}
    if len(set(names)) == len(names) <= n_columns and needed <= set(names):
        return names, filters
    warnings.warn(
        f"the columns in {readme.name} are not recognized; they are identified by their content",
        AstropyUserWarning,
        stacklevel=3,
    )
    return None


def layout(values, name, known):
    """Names of the columns of the field, or else names inferred from their number and content.

    Columns appended by other programs are not named.
    """
    mosaic = values.shape[1] > 5 and not _mostly(_on_sky(*values[:, 3:5].T))
    names = column_names(mosaic=mosaic)
    n = len(names)
    of_field = known.label_columns if known is not None else ()
    if values.shape[1] < n + max(1, len(of_field)):
        wanted = "LEGUS catalogs have 34 to 39"
        if of_field:
            wanted = f"the catalog of {known.name} has {n + len(of_field)}"
        raise ValueError(
            f"{name} has {values.shape[1]} columns, but {wanted}, or two more with mosaic "
            "positions; fetch it again, or put its .readme in the same folder"
        )
    labels = of_field or _label_names(values[:, n:], known)
    names += labels
    if not labels or not _is_catalog(dict(zip(names, values.T, strict=False))):
        expected = f", then {', '.join(labels)}" if labels else ""
        raise ValueError(
            f"{name} does not have a LEGUS layout: expected an integer id, x and y, ra and dec, "
            "five magnitudes with errors, the concentration index, 16 columns of the SED fit, the "
            f"number of filters (column {n}){expected}; put its .readme in the same folder"
        )
    return names


def _is_catalog(columns):
    """Whether columns match their names: a missing one shifts all that follow."""
    probability, ages = columns["fit_probability"], columns["age"]
    return (
        _mostly(_on_sky(columns["ra"], columns["dec"]))
        and _mostly((ages == 0) | (ages > 1e4))
        and _mostly(((probability >= 0) & (probability <= 1)) | (probability == NO_FIT))
        and _mostly(np.isin(columns["n_filters"], NUMBERS_OF_FILTERS))
        and _are_whole(columns["id"])
        and _are_labels(columns)
    )


def _are_labels(columns):
    """Whether the columns of classes and notes match their names."""
    return all(
        _are_whole(column) and _mostly((column >= 0) & (column <= HIGHEST[name]))
        for name, column in columns.items()
        if name in HIGHEST
    ) and (
        "class_mean" not in columns
        or _mostly((columns["class_mean"] > 0) == (columns["class_human"] > 0))
    )


def _are_whole(column):
    return np.all((column == np.round(column)) | ~np.isfinite(column))


def _mostly(right):
    """Whether a condition holds in all but a few rows."""
    wrong = np.count_nonzero(~right)
    return wrong < len(right) and wrong <= max(1, 0.02 * len(right))


def class_5_is_not_inspected(classes):
    """Whether class 5 means "not inspected", as in the catalog of NGC 4449."""
    return not _mostly(classes != 5)


def _on_sky(ra, dec):
    return (ra >= 0) & (ra <= 360) & (np.abs(dec) <= 90)


def _label_names(labels, known):
    """Names of as many of the last columns as are valid classes and flags."""
    for number in range(min(6, labels.shape[1]), 0, -1):
        names = _names_of(labels[:, :number], known)
        if _are_labels(dict(zip(names, labels.T, strict=False))):
            return names
    return []


def _names_of(labels, known):
    first, last, inspected = labels[:, 0], labels[:, -1], labels > 0
    n_labels = labels.shape[1]
    if n_labels == 1:
        return ["class_human"]
    if n_labels == 2:  # each class has a mean, but a flag is rarely set
        people = known is not None and known.labels == "consensus"
        mean = people or (inspected[:, 0] == inspected[:, 1]).all()
        return ["class_human", "class_mean" if mean else "selection"]
    if n_labels == 3:
        # No known field has a network class here, but other programs append theirs.
        by_network = known is None and last.max() > 2
        return ["class_human", "class_mean", "class_ml" if by_network else "selection"]
    if n_labels == 4:  # one person's class and notes are adjacent, class first
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
