# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Sample lists: one row per field with its images or picture, labels and weight."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits

from astroclust.catalogs import find_field, pixel_positions, read_table, sky_positions
from astroclust.catalogs.fields import plain_name
from astroclust.images import ImageSet
from astroclust.images.coordinates import wcs_of_header
from astroclust.images.pictures import PICTURE_FILTERS, picture_bands
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES, find_band_system
from astroclust.training.augmentation import AUGMENTATIONS
from astroclust.training.sample_rows import AFFINE, naming, read_rows, roles_of
from astroclust.training.samples import (
    LABEL_COLUMNS,
    STAMP_SIZE,
    labeled_sample,
    simulated_sample,
)

__all__ = ["PICTURE_MARGIN", "read_samples"]

#: Margin in pixels around stamps of pictures, which fills the corners of rotated stamps.
PICTURE_MARGIN = 11


def read_samples(
    samples, *, classifier=None, scheme=None, system=None, workers=1, progress_bar=False
):
    """Read samples from a list with one row per field.

    Parameters
    ----------
    samples : `~astropy.table.Table`, str or `~pathlib.Path`
        Sample list or its path; paths in it are relative to its folder. Empty entries are treated
        as missing. The columns are:

        - ``field``: name of the field;
        - ``galaxy``: by default that of the LEGUS field of this name, else the name itself;
        - ``kind``: ``images``, ``picture`` or ``simulated``; by default ``picture`` if a picture
          is given, ``simulated`` if ``n`` is, else ``images``;
        - ``weight``: relative frequency with which each stamp is drawn, by default 1;
        - ``augmentation``: one of `AUGMENTATIONS`; by default ``pictures`` for pictures, and
          that of the recipe for others;
        - ``labels``: path of a table of positions and classes. If it has a column ``field``, only
          rows of this field are used;
        - ``label_column``: column of classes, by default the first of `LABEL_COLUMNS`;
        - images: one column per filter or band, such as ``F555W``, with the path of the image;
        - ``roles``: roles of unknown filters, such as ``F657N=V F658N=V``;
        - pictures: ``picture`` or ``file``, the path; ``filters`` of the red, green and blue
          channels, ``-`` for one that is not a band, by default ``F814W F555W F438W``; and either
          the affine transformation from the pixels of the labels, in ``a_cx``, ``a_cy``, ``t_c``,
          ``a_rx``, ``a_ry`` and ``t_r``, or ``wcs``, the path of a FITS header or file, for labels
          with sky coordinates; see `~astroclust.images.ImageSet.from_picture`; ``credit``, for
          the model card;
        - simulated stamps: ``n``, their number, and ``seed``, by default 1.
    classifier : `~astroclust.weights.Classifier`, optional
        Classifier to fine-tune or score, which sets the bands, the size of the stamps and the
        classes.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme; by default that of the tables.
    system : str or `~astroclust.instruments.BandSystem`, optional
        Band system; by default that of the classifier, or of LEGUS.
    workers : int, optional
        Number of processes that simulate stamps.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    samples : list of `Sample`
        One sample per row.

    Raises
    ------
    KeyError
        If the list lacks a required column.
    ValueError
        If an entry is missing, invalid, or in conflict with another one; the message names row
        and column.
    OSError
        If a file cannot be read.

    Examples
    --------
    A simulated field instead of a real one, and simulated stamps:

    >>> from astropy.table import Table
    >>> from astroclust import simulate_field
    >>> from astroclust.training import read_samples
    >>> field = simulate_field(like="ngc1566", shape=(160, 160), seed=1)
    >>> field.images.write("ngc1566.fits")
    >>> field.truth.write("ngc1566.ecsv")
    >>> samples = Table({"field": ["ngc1566", "simulated"], "kind": ["images", "simulated"]})
    >>> samples["labels"] = ["ngc1566.ecsv", ""]
    >>> samples["F555W"] = ["ngc1566.fits[F555W]", ""]
    >>> samples["n"] = ["", "16"]
    >>> samples.write("samples.ecsv")
    >>> first, second = read_samples("samples.ecsv")
    >>> first.galaxy, len(second.stamps)
    ('NGC 1566', 16)
    """
    if system is None:
        system = LEGUS_BANDS if classifier is None else classifier.card.system
    system = find_band_system(system)
    rows = read_rows(samples, system)
    tables = {}
    options = {"classifier": classifier, "scheme": scheme, "progress_bar": progress_bar}
    result = []
    for row in rows:
        with naming(row):
            if row.kind == "simulated":
                sample = _simulated(row, system, options, workers)
            else:
                sample = _labeled(row, system, options, tables)
            result.append(_named(sample, row))
    return result


def _simulated(row, system, options, workers):
    n = row.number("n", int)
    if n < 1:
        raise row.error("n", f"{n} is not a number of stamps; use at least 1")
    classifier, scheme = options["classifier"], options["scheme"]
    if scheme is None:
        scheme = LEGUS_CLASSES if classifier is None else classifier.card.classes
    sample = simulated_sample(
        n,
        seed=row.number("seed", int) if row.text("seed") else 1,
        system=system,
        scheme=scheme,
        workers=workers,
        progress_bar=options["progress_bar"],
    )
    if classifier is not None and sample.stamps.bands != classifier.card.bands:
        raise ValueError(
            f"simulated stamps have bands {', '.join(sample.stamps.bands)}, but "
            f"{classifier.card.name} uses {', '.join(classifier.card.bands)}; remove the row"
        )
    return sample


def _labeled(row, system, options, tables):
    table = _labels(row, tables)
    if row.kind == "picture":
        images, table = _picture(row, table, system, options["classifier"])
        margin = PICTURE_MARGIN
    else:
        paths = {name: row.path(path) for name, path in row.images.items()}
        images = ImageSet.read(paths, roles=roles_of(row.text("roles")), system=system)
        margin = 0
    name = Path(row.text("labels")).name
    sample = labeled_sample(
        table,
        images,
        column=row.text("label_column") or None,
        name=f"{name} ({row.text('field')})",
        margin=margin,
        **options,
    )
    if row.kind == "picture":
        source = f"the picture {Path(row.text('picture')).name}"
        credit = row.text("credit")
        source += f" (credit: {credit})" if credit else ""
        sample = replace(sample, description=f"{sample.description} of {source}")
    return sample


def _labels(row, tables):
    """Rows of the label table that belong to the field."""
    path = row.path(row.needed("labels"))
    if path not in tables:
        tables[path] = read_table(path)
    table = tables[path]
    if "field" not in table.colnames:
        return table
    names = np.array([plain_name(one) for one in table["field"]])
    chosen = table[names == plain_name(row.text("field"))]
    if not len(chosen):
        raise row.error("labels", f"{path} has no row of field {row.text('field')}")
    return chosen


def _picture(row, table, system, classifier):
    """Region of a picture that contains the labels, and the labels with positions on it."""
    given = [one for one in AFFINE if row.text(one)]
    if bool(given) == bool(row.text("wcs")):
        problem = "set in addition to" if given else "neither this column nor"
        problem += " the affine transformation" if given else " the affine transformation is set"
        raise row.error("wcs", f"{problem}; use either wcs or {', '.join(AFFINE)}")
    size = STAMP_SIZE if classifier is None else classifier.card.stamp_size
    reach = size // 2 + PICTURE_MARGIN + 1
    path, filters = row.path(row.needed("picture")), _filters(row)
    wanted = ("id", row.text("label_column"), *LABEL_COLUMNS)
    labels = table[[one for one in table.colnames if one in wanted]]
    if given:
        affine = [row.number(one) for one in AFFINE]
        x, y = pixel_positions(table)
        (x0, y0), shape = _span(x, y, reach)
        labels["x"], labels["y"] = x - x0, y - y0
        a_cx, a_cy, t_c, a_rx, a_ry, t_r = affine
        labels["col"], labels["row"] = a_cx * x + a_cy * y + t_c, a_rx * x + a_ry * y + t_r
        near = labels["x"], labels["y"], reach
        grid = {"affine": affine, "origin": (x0, y0), "shape": shape, "near": near}
    else:
        labels["sky"] = sky_positions(table)
        grid = {"wcs": _read_wcs(row)}
    bands = picture_bands(path, filters, **grid)
    return ImageSet(bands, roles=roles_of(row.text("roles")), system=system), labels


def _span(x, y, reach):
    """First pixel (x0, y0) and shape of a grid around positions."""
    good = np.isfinite(x) & np.isfinite(y)
    if not good.any():
        raise ValueError("none of the labels has a position")
    x0, y0 = (int(values[good].min()) - reach for values in (x, y))
    nx, ny = (int(values[good].max()) + reach + 1 - low for values, low in ((x, x0), (y, y0)))
    return (x0, y0), (ny, nx)


def _filters(row):
    """Filters of the color channels of a picture."""
    names = row.text("filters").replace(",", " ").split() or list(PICTURE_FILTERS)
    if len(names) != 3:
        raise row.error(
            "filters", f"{row.text('filters')!r} is not three names, such as F814W F555W -"
        )
    return [None if name == "-" else name for name in names]


def _read_wcs(row):
    """WCS of a FITS file, or of a header saved as text."""
    path = row.path(row.text("wcs"))
    try:
        header = fits.getheader(path) if _is_fits(path) else fits.Header.fromtextfile(path)
        wcs = wcs_of_header(header)[0]
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist") from None
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise row.error("wcs", f"cannot read a header from {path}: {error}") from error
    if wcs is None:
        raise row.error("wcs", f"{path} has no celestial coordinates")
    return wcs


def _is_fits(path):
    """Whether a file is FITS and not a header with one card per line."""
    with open(path, "rb") as file:
        start = file.read(81)
    return start.startswith(b"SIMPLE") and b"\n" not in start


def _named(sample, row):
    """Sample with the name, galaxy, weight and augmentation of its row."""
    field = row.text("field")
    entries = {"name": field, "weight": row.number("weight") if row.text("weight") else 1.0}
    if row.kind != "simulated":
        entries["galaxy"] = row.text("galaxy") or _galaxy(field)
    if entries["weight"] <= 0:
        raise row.error("weight", f"{row.text('weight')} is not a positive number")
    augmentation = row.text("augmentation") or ("pictures" if row.kind == "picture" else None)
    if augmentation is not None and augmentation not in AUGMENTATIONS:
        raise row.error(
            "augmentation", f"{augmentation!r} is not one of {', '.join(AUGMENTATIONS)}"
        )
    return replace(sample, augmentation=augmentation, **entries)


def _galaxy(field):
    """Galaxy of a LEGUS field, or the name of any other field."""
    try:
        return find_field(field).galaxy
    except KeyError:
        return field
