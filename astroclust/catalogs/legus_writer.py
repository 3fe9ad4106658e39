# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Writer of cluster catalogs in LEGUS format, with a readme that describes the columns."""

import re
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from astropy.table import Table

from astroclust.catalogs.columns import float_column
from astroclust.catalogs.flags import CatalogFlag
from astroclust.catalogs.layouts import (
    FIT_COLUMNS,
    LABEL_COLUMNS,
    NO_FIT,
    QUALITY_COLUMNS,
    ROLES,
    SENTINELS,
    column_names,
)
from astroclust.catalogs.legus import field_of_file
from astroclust.files import replace_when_done
from astroclust.instruments import LEGUS_BANDS

__all__ = ["format_legus", "write_legus"]

_NOT_DETECTED = 99.999
# Number formats of the released catalogs, whose columns are 12 characters wide.
_FORMATS = {
    **dict.fromkeys(("id", "n_filters"), "{:10.0f}"),
    **dict.fromkeys(("x", "y", "x_mosaic", "y_mosaic", "class_mean"), "{:12.3f}"),
    **dict.fromkeys([name for name in FIT_COLUMNS if not name.startswith("e_bv")], "{:12.3e}"),
    **dict.fromkeys(set(LABEL_COLUMNS) - {"class_mean"}, "{:12.1f}"),
}
_OTHER = "{:12.5f}"

_FITTED = "age in yr", "mass in solar masses", "E(B-V)"
_CONFIDENCE = " (68 percent confidence)"
# Readme text of each column, in the words by which `read_legus` identifies it.
_MEANINGS = {
    "id": "source id",
    "x": "x coordinates in the ref frame (in pixels, from 1, the same in each filter)",
    "y": "y coordinates in the ref frame (in pixels, from 1, the same in each filter)",
    "x_mosaic": "x coordinates in the ref mosaic frame (in pixels, from 1)",
    "y_mosaic": "y coordinates in the ref mosaic frame (in pixels, from 1)",
    "ra": "RA coordinates in the ref frame (in degrees)",
    "dec": "DEC coordinates in the ref frame (in degrees)",
    "mag": "final total mag in {camera}/{filter}",
    "mag_err": "final photometric error in {camera}/{filter}",
    "ci": "CI=mag(1px)-mag(3px) measured in the {v}",
    **{
        name + ending: f"{word} {what}{_CONFIDENCE if ending else ''}"
        for name, what in zip(("age", "mass", "e_bv"), _FITTED, strict=True)
        for word, ending in (("best", ""), ("max", "_max"), ("min", "_min"))
    },
    "residual": "chi2 fit residual in {filter}, positive if the observed flux is higher",
    "chi2": "reduced chi2",
    "fit_probability": "Q probability, near 1 for a good fit, near 0 for a poor one",
    "n_filters": (
        "Number of filter: 5 if detected in NUV, U, B, V and I, 4 if detected in B, V, I and one "
        "of the others, otherwise 0 (in some files, 3 if detected in B, V and I alone)"
    ),
    "class_human": (
        "Final assigned class of the source after visual inspection, applying the mode. Class=1 "
        "symmetric, compact cluster; 2 asymmetric, compact cluster; 3 system of several peaks; 4 "
        "not a cluster; 0 not inspected"
    ),
    "class_mean": "Final assigned class of the source after visual inspection, applying the mean",
    "class_ml": "Class given by machine learning, 0 none",
    "class_hybrid": "Class of the hybrid scheme: visual inspection, otherwise a network; 0 none",
    "class_verified": "Class from one person who verified the ML class, 0 none",
    "class_reclassified": "Class post-reclassification of sources of class 4, 0 none",
    "quality": "Quality flag of the class: 1 certain, 2 likely, 3 possible, 0 not given",
    "halpha": "Halpha morphology: 1 on top, 2 ring, 3 possibly, 4 none, 0 not given",
    "selection": "Flag indicates how the source was found: 0 by the pipeline, 1 or 2 by eye",
    "provenance": "Method of visual inspection of the first class, 0 for a network",
}
_HEAD = """\
Photometry is in Vega magnitudes, with aperture correction and without Galactic extinction.
66.666 in a photometry column: outside the field of view of that frame.
99.999 in a photometry column: not detected, the flux is negative or extremely small.
44.444 in a photometry column: detected, but the aperture correction is undefined."""


def write_legus(table: Table, path: str | Path, *, overwrite: bool = False) -> None:
    """Write a LEGUS catalog; equivalent to ``Table.write(path, format="ascii.legus")``.

    A readme that describes the columns is written to the same folder.
    `~astroclust.catalogs.read_legus` restores the same table from both.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Columns of `~astroclust.catalogs.read_legus`: ``id``, ``x``, ``y`` (0-based), ``ra``,
        ``dec``, magnitudes and errors in five bands, ``ci`` and ``n_filters`` are required.
        Missing fit results are written as 0; without flags, masked magnitudes are written as not
        detected; without classes, sources are written as not inspected. Other columns are
        excluded. Lines in ``meta["comments"]`` are added to the readme.
    path : str or `~pathlib.Path`
        Output file ending in ``.tab``; a name as in the archive (``LegusField.catalog_file``)
        also identifies the field.
    overwrite : bool, optional
        Whether the files may exist.

    Raises
    ------
    OSError
        If a file exists and ``overwrite`` is false, or cannot be written.
    KeyError
        If the table lacks a required column.
    ValueError
        If the name does not end in ``.tab``, or the bands are not the five from NUV to I.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import write_legus
    >>> from astroclust.catalogs import read_legus
    >>> columns = {"id": [1], "x": [99.25], "y": [49.0], "ra": [24.17], "dec": [15.78]}
    >>> for name in ("f275w", "f336w", "f435w", "f555w", "f814w"):
    ...     columns |= {f"mag_{name}": [21.5], f"mag_err_{name}": [0.05]}
    >>> columns |= {"ci": [1.6], "n_filters": [5], "class_human": [1], "class_mean": [1.333]}
    >>> write_legus(Table(columns), "clusters.tab")
    >>> print(read_legus("clusters.tab")["id", "x", "y", "mag_f435w", "class_human"])
     id   x    y   mag_f435w class_human
         pix  pix     mag
    --- ----- ---- --------- -----------
      1 99.25 49.0      21.5           1
    """
    path = Path(path)
    if path.suffix != ".tab":
        raise ValueError(f"cannot write a LEGUS catalog to {path}; use a name that ends in .tab")
    texts = format_legus(table, path.name)
    with ExitStack() as stack:
        for output, text in zip((path, path.with_suffix(".readme")), texts, strict=True):
            partial = stack.enter_context(replace_when_done(output, overwrite=overwrite))
            partial.write_text(text, encoding="utf-8")


def format_legus(table, name):
    """Format a table as a LEGUS catalog.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Sources; see `write_legus`.
    name : str
        File name, which identifies the field.

    Returns
    -------
    catalog, readme : str
        Content of the two files.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.simulation import write_field
    >>> from astroclust.catalogs import format_legus, read_legus
    >>> field = simulate_field(like="ngc1566", shape=(100, 100), seed=1, density=2e-3)
    >>> files = write_field(field, "ngc1566")
    >>> catalog, readme = format_legus(read_legus(files.catalog), files.catalog.name)
    >>> catalog == files.catalog.read_text()
    True
    """
    table = Table(table, copy=False)  # turns the quantities of a QTable into columns
    filters, known = _filters(table), field_of_file(name)
    labels = [column for column in table.colnames if column in LABEL_COLUMNS]
    labels = labels if "class_human" in labels else ["class_human", "class_mean", *labels]
    names = column_names(dict.fromkeys(labels), mosaic="x_mosaic" in table.colnames)
    columns = [_column(table, column, filters) for column in names]
    if known is not None and known.name == "ngc4449":  # class 5 means "not inspected"
        human = columns[names.index("class_human")]
        human[human == 0] = 5
    formats = [_FORMATS.get(column, _OTHER) for column in names]
    rows = [
        " ".join(form.format(value) for form, value in zip(formats, row, strict=True)) + "\n"
        for row in zip(*columns, strict=True)
    ]
    return "".join(rows), _readme(table, names, filters, known)


def _filters(table):
    """Filters of the magnitudes, from NUV to I."""
    names = [
        match[1].upper()
        for match in map(re.compile(r"mag_(f\w+)").fullmatch, table.colnames)
        if match
    ]
    roles = [
        LEGUS_BANDS.filters.get(name, band)
        for name, band in zip(names, LEGUS_BANDS.roles, strict=False)
    ]
    if len(names) != len(LEGUS_BANDS.roles) or tuple(roles) != LEGUS_BANDS.roles:
        raise ValueError(
            f"a LEGUS catalog needs magnitudes in five bands, {', '.join(LEGUS_BANDS.roles)}, in "
            f"this order; the table has {', '.join(names) or 'none'}"
        )
    return names


def _column(table, name, filters):
    """Numbers of a column of the file."""
    kind, _, role = name.rpartition("_")
    if role in ROLES:
        filter_ = filters[ROLES.index(role)].lower()
        if kind != "residual":
            return _magnitudes(table, filter_)[kind == "mag_err"]
        name = f"residual_{filter_}"
    optional = kind == "residual" or name in (*FIT_COLUMNS, *QUALITY_COLUMNS, *LABEL_COLUMNS)
    if optional and name not in table.colnames:
        return np.zeros(len(table))
    values = float_column(table, name)
    if name in ("x", "y", "x_mosaic", "y_mosaic"):
        return values + 1
    if kind == "residual":
        fitted = np.nan_to_num(float_column(table, "age")) > 0 if "age" in table.colnames else True
        return np.where(np.isnan(values), np.where(fitted, NO_FIT, 0.0), values)
    missing = {"ci": _NOT_DETECTED, "n_filters": NO_FIT}.get(name, 0.0)
    return np.where(np.isnan(values), missing, values)


def _magnitudes(table, filter_):
    """Magnitudes and errors in a filter, with LEGUS sentinels for undefined ones."""
    magnitude, error = (
        float_column(table, f"mag_{filter_}"),
        float_column(table, f"mag_err_{filter_}"),
    )
    flags = np.zeros(len(table), np.int32)
    if f"flag_{filter_}" in table.colnames:
        flags = float_column(table, f"flag_{filter_}").astype(np.int32)
    reasons = {**SENTINELS, np.nan: CatalogFlag.UNDEFINED}
    sentinel = np.select(
        [flags & flag > 0 for flag in reasons.values()], list(reasons), _NOT_DETECTED
    )
    lost = np.isnan(magnitude)
    error = np.where(np.isnan(error), _NOT_DETECTED, error)
    return np.where(lost, sentinel, magnitude), np.where(lost, sentinel, error)


def _readme(table, names, filters, known):
    # Two comment signs, since one sign and a number start the line of a column.
    head = [*map(str, table.meta.get("comments", ())), *_HEAD.splitlines()]
    lines = [f"## {line}" for line in head] + ["## Order of the columns"]
    cameras = dict(zip(known.filters, known.cameras, strict=True)) if known is not None else {}
    for number, name in enumerate(names, start=1):
        kind, _, role = name.rpartition("_")
        filter_ = filters[ROLES.index(role)] if role in ROLES else ""
        camera = cameras.get(filter_) or ("acs" if filter_ in ("F435W", "F606W") else "uvis")
        text = _MEANINGS[kind if filter_ else name].format(
            camera="ACS" if camera == "acs" else "WFC3", filter=filter_, v=filters[3]
        )
        lines.append(f"{number}. {text}")
    return "\n".join(lines) + "\n"
