# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Conversion of candidates to regions: colored circles with text."""

import re

import numpy as np
from astropy import units as u
from astropy.table import Table
from regions import CirclePixelRegion, CircleSkyRegion, PixCoord, Regions

from astroclust.catalogs import float_column, pixel_positions, sky_positions
from astroclust.ds9.reading import TEXT_IS_CLASS
from astroclust.files import replace_when_done
from astroclust.instruments import LEGUS_BANDS, classes_of

__all__ = ["to_regions", "write_regions"]

_UNCLASSIFIED = "#999999"
# Color-blind safe (Okabe & Ito 2008, https://jfly.uni-koeln.de/color).
_PALETTE = ("#E69F00", "#56B4E9", "#F0E442", "#CC79A7", "#009E73", "#0072B2", "#D55E00")
# Ends of the color scale for numbers, dark blue and yellow, from 0 to 255.
_SCALE = np.array([(0, 68, 136), (255, 234, 70)])
# Characters that terminate a text in a region file.
_UNFIT = re.compile(r"[{}\r\n]")
# Decimals of pixels and degrees: 1e-12 deg is 4e-9 arcsec.
_PRECISION = 12


def to_regions(
    table: Table,
    *,
    radius: float = 7.0,
    column_prefix: str = "",
    text: str | None = None,
    color: str | None = None,
    sky: bool | None = None,
) -> Regions:
    """Make circles around candidates, colored and labeled by class or by any column.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Candidates with ``ra`` and ``dec`` or a `~astropy.coordinates.SkyCoord` column, for sky
        regions, otherwise with ``x`` and ``y`` (0-based pixels), for pixel regions; and with
        ``class`` and ``probability`` if classified.
    radius : float, optional
        Radius in pixels (of 0.0396 arcsec on the sky).
    column_prefix : str, optional
        Prefix of the class columns.
    text : str, optional
        Column for the text of the circles; by default class and probability.
    color : str, optional
        Column for the color; by default the class. Up to seven distinct values have separate
        colors; more numbers use a scale from blue to yellow.
    sky : bool, optional
        Whether to write sky regions; by default, if the table has sky positions.

    Returns
    -------
    regions : `~regions.Regions`, length n
        Regions in the order of the rows, without rows that have no position. Each has its class as
        a tag, such as ``class=2``, by which DS9 groups regions (Region, Groups). If the text is the
        class, a second tag ``text=class`` indicates that editing the text changes the class.

    Raises
    ------
    KeyError
        If the table has no such positions or columns.
    ValueError
        If a text has a brace or a line break, which region files cannot contain.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import to_regions
    >>> table = Table({"x": [10.0], "y": [20.0], "class": [2], "id": [17]})
    >>> to_regions(table)[0].meta["text"]
    '2'
    >>> to_regions(table, text="id")[0].meta["text"]
    '17'
    """
    circle, positions, size, good = _circles(table, radius, sky)
    classes = _classes(table, column_prefix)
    texts = _class_texts(table, column_prefix, classes) if text is None else _texts(table, text)
    if color is None:
        scheme = classes_of(table, column_prefix)
        merged = [scheme.merges.get(number, number) for number in classes]
        colors = [scheme.colors.get(number, _UNCLASSIFIED) for number in merged]
    else:
        colors = _colors(table, color)
    regions = []
    for i in np.flatnonzero(good):
        meta = {"text": texts[i]}
        if classes[i] is not None:
            meta["tag"] = [f"class={classes[i]}", *([TEXT_IS_CLASS] if text is None else [])]
        regions.append(circle(positions[i], size, meta=meta, visual={"color": colors[i]}))
    return Regions(regions)


def write_regions(
    table, path, *, radius=7.0, column_prefix="", text=None, color=None, sky=None, overwrite=False
):
    """Write candidates as a DS9 region file.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Candidates, see `to_regions`.
    path : str or `~pathlib.Path`
        Output file, ending in ``.reg``; it only appears when complete.
    radius, column_prefix, text, color, sky : optional
        See `to_regions`.
    overwrite : bool, optional
        Whether to overwrite an existing file.

    Raises
    ------
    OSError
        If the file exists and ``overwrite`` is false, or it cannot be written.

    Notes
    -----
    Positions have 12 decimals, so that `read_regions` recovers them.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import read_regions
    >>> from astroclust.ds9 import write_regions
    >>> write_regions(Table({"x": [10.0], "y": [20.0], "class": [2]}), "candidates.reg")
    >>> print(read_regions("candidates.reg"))
     x    y   class text
    ---- ---- ----- ----
    10.0 20.0     2    2
    """
    regions = to_regions(
        table, radius=radius, column_prefix=column_prefix, text=text, color=color, sky=sky
    )
    content = regions.serialize(format="ds9", precision=_PRECISION)
    with replace_when_done(path, overwrite=overwrite) as partial:
        partial.write_text(content or "# Region file format: DS9\n", encoding="utf-8")


def _circles(table, radius, sky):
    """Type of region, positions, size, and the mask of rows with a position."""
    if sky is not False:
        try:
            positions = sky_positions(table)
        except KeyError:
            if sky:
                raise
        else:
            good = np.isfinite(positions.ra.deg)
            return CircleSkyRegion, positions, radius * LEGUS_BANDS.pixel_scale * u.arcsec, good
    x, y = pixel_positions(table)
    return CirclePixelRegion, PixCoord(x, y), radius, np.isfinite(x) & np.isfinite(y)


def _classes(table, column_prefix):
    """Class of each row, None if missing."""
    name = f"{column_prefix}class"
    if name not in table.colnames:
        return [None] * len(table)
    return [None if value is np.ma.masked else int(value) for value in table[name]]


def _class_texts(table, column_prefix, classes):
    texts = ["" if number is None else str(number) for number in classes]
    name = f"{column_prefix}probability"
    if name in table.colnames:
        for i, value in enumerate(float_column(table, name)):
            if texts[i] and np.isfinite(value):
                texts[i] += f" {value:.2f}"
    return texts


def _column(table, name):
    if name not in table.colnames:
        raise KeyError(f"the table has no column {name}; it has {', '.join(table.colnames)}")
    return table[name]


def _texts(table, name):
    texts = ["" if value is np.ma.masked else str(value) for value in _column(table, name)]
    for i, text in enumerate(texts):
        if _UNFIT.search(text):
            raise ValueError(
                f"column {name} has {text!r} in row {i}, but region files cannot contain braces "
                "or line breaks; replace them"
            )
    return texts


def _colors(table, name):
    """Color for each value of a column, gray if missing."""
    values = np.ma.asarray(_column(table, name))
    lost = np.ma.getmaskarray(values).copy()
    numbers = values.dtype.kind in "fiu"
    if numbers:
        lost |= ~np.isfinite(values.filled(0).astype(float))
    different, which = np.unique(values.data[~lost], return_inverse=True)
    if numbers and len(different) > len(_PALETTE):
        fraction = np.interp(values.data[~lost], different[[0, -1]], [0, 1])[:, None]
        of_rows = [
            "#{:02X}{:02X}{:02X}".format(*row)
            for row in np.round(_SCALE[0] + fraction * (_SCALE[1] - _SCALE[0])).astype(int)
        ]
    else:
        of_rows = [_PALETTE[i % len(_PALETTE)] for i in which]
    colors = np.full(len(table), _UNCLASSIFIED, dtype=object)
    colors[~lost] = of_rows
    return colors.tolist()
