# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Self-contained review pages."""

import base64
import hashlib
import html
import json
import re
from importlib.resources import files

from astroclust.files import check_output, replace_when_done
from astroclust.review.lines import header_text
from astroclust.review.measures import measure_objects
from astroclust.review.objects import DEFAULT_PAGE, describe_page, label_scheme, read_objects
from astroclust.review.pictures import COLOR, SHEET_COLUMNS, Pictures, context_size

__all__ = ["DETAILED", "write_review"]

#: Pages with more objects only have color pictures, to limit their size.
DETAILED = 1000

_PER_SHEET = 96
_MEASURED_AT_ONCE = 200


def write_review(table, images, path, *, column_prefix="", page=DEFAULT_PAGE, overwrite=False):
    """Write a self-contained page of candidates that needs no server.

    The page has the grid, sorting, filters and a view of each object; with at most 1,000 objects,
    it also has each band, surroundings, profiles, curves of growth and magnitudes. Labels are
    stored in the browser; "Save labels" writes them to a file for `LabelStore.merge` and
    ``astroclust review --add-labels``.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Candidates, see `review_table`.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    path : str or `~pathlib.Path`
        Output file; it only appears when complete.
    column_prefix : str, optional
        Prefix of the class columns.
    page : `Page`, optional
        Settings of the page: title, width of the stamps, order, and whether the review is blind.
        The source of a blind page contains the hidden values.
    overwrite : bool, optional
        Whether to overwrite an existing file.

    Returns
    -------
    n_bytes : int
        Size of the file.

    Raises
    ------
    ValueError
        If the table has no rows, or none on the images.
    OSError
        If the file exists and ``overwrite`` is false, or it cannot be written.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import simulate_field
    >>> from astroclust.review import write_review
    >>> field = simulate_field(shape=(64, 64), seed=1)
    >>> n_bytes = write_review(Table({"x": [30.0], "y": [40.0]}), field.images, "page.html")
    """
    check_output(path, overwrite=overwrite)
    objects = read_objects(table, images, column_prefix=column_prefix, page=page)
    detailed = len(objects) <= DETAILED
    pictures = Pictures(objects, size=page.size)
    data = describe_page(page, objects) | {
        "reviewer": "",
        "context_size": context_size(page.size),
        "sheet_columns": SHEET_COLUMNS,
        "per_sheet": _PER_SHEET,
        "sheets": {name: _sheets(pictures, name) for name in _names(pictures, detailed)},
        "measures": _measures(objects) if detailed else None,
        "context": _contexts(pictures) if detailed else None,
        "exact": {"x": _exact(objects.x), "y": _exact(objects.y)},
        "header": header_text(label_scheme(page, objects.scheme)),
        "labels_file": "",
    }
    kept = [page.title, data["exact"], *([] if page.confirm is None else ["confirm"])]
    data["key"] = hashlib.sha256(json.dumps(kept).encode()).hexdigest()[:16]
    text = _page(data, page.title).encode("utf-8")
    with replace_when_done(path, overwrite=overwrite) as partial:
        partial.write_bytes(text)
    return len(text)


def _names(pictures, detailed):
    return pictures.names if detailed else (COLOR,)


def _sheets(pictures, name):
    n = len(pictures.objects)
    starts = range(0, n, _PER_SHEET)
    sheets = (pictures.sheet(range(i, min(n, i + _PER_SHEET)), name) for i in starts)
    return [base64.b64encode(sheet).decode() for sheet in sheets]


def _contexts(pictures):
    """Surroundings of each object in color, with a quarter of the pixels."""
    rows = range(len(pictures.objects))
    return [base64.b64encode(pictures.context(row, step=2)).decode() for row in rows]


def _measures(objects):
    measured = []
    for start in range(0, len(objects), _MEASURED_AT_ONCE):
        stop = min(len(objects), start + _MEASURED_AT_ONCE)
        measured += measure_objects(objects, range(start, stop))
    return measured


def _exact(values):
    """Positions as in a label file."""
    return [repr(round(float(value), 4)) for value in values]


def _page(data, title):
    """Page of the server with inlined style, scripts and data."""
    folder = files("astroclust.review") / "static"
    text = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    # Scripts import from each other by name instead of by address.
    programs = {
        f"review/{name}": "data:text/javascript;base64,"
        + base64.b64encode(re.sub(r'from "\./', 'from "review/', code).encode()).decode()
        for name, code in text.items()
        if name.endswith(".js")
    }
    page = text["index.html"]
    page = page.replace("<title>astroclust review", f"<title>{html.escape(title)}")
    page = page.replace(
        '<link rel="stylesheet" href="/static/style.css">', f"<style>\n{text['style.css']}</style>"
    )
    return page.replace(
        '<script type="module" src="/static/main.js"></script>',
        f'<script type="application/json" id="review-data">{_quoted(data)}</script>\n'
        f'  <script type="importmap">{_quoted({"imports": programs})}</script>\n'
        '  <script type="module">import "review/main.js";</script>',
    )


def _quoted(data):
    # The text must not end its enclosing element.
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
