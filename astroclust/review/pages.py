# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""A review in one file that needs no server, to be mailed around."""

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

#: With more objects than these a page has color pictures only, or it is too large to mail.
DETAILED = 1000

_PER_SHEET = 96
_MEASURED_AT_ONCE = 200


def write_review(table, images, path, *, column_prefix="", page=DEFAULT_PAGE, overwrite=False):
    """Write a page of candidates, in one file that any browser shows without a server.

    It has the grid, sorting and filters, and each object large; with at most 1,000 objects also
    each band, surroundings, profiles, curves of growth and magnitudes. Labels stay in the browser;
    "Save labels" makes a file of them, which `LabelStore.merge` and ``astroclust review
    --add-labels`` take.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Candidates, as `review_table` takes them.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    path : str or `~pathlib.Path`
        The file; it appears once it is whole.
    column_prefix : str, optional
        That of the class columns.
    page : `Page`, optional
        Title of the page, width of the stamps, whether the review is blind, and in which order. A
        blind page does not show what is hidden, but it is in the file for those who look.
    overwrite : bool, optional
        Whether the file may exist.

    Returns
    -------
    n_bytes : int
        Its size.

    Raises
    ------
    ValueError
        Where the table has no rows, or none on the images.
    OSError
        Where the file exists and ``overwrite`` is false, or cannot be written.

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
    """The surroundings of each object, in color and with a quarter of the pixels."""
    rows = range(len(pictures.objects))
    return [base64.b64encode(pictures.context(row, step=2)).decode() for row in rows]


def _measures(objects):
    measured = []
    for start in range(0, len(objects), _MEASURED_AT_ONCE):
        stop = min(len(objects), start + _MEASURED_AT_ONCE)
        measured += measure_objects(objects, range(start, stop))
    return measured


def _exact(values):
    """Positions as a label file has them."""
    return [repr(round(float(value), 4)) for value in values]


def _page(data, title):
    """The page of the server with its style, programs and data in it."""
    folder = files("astroclust.review") / "static"
    text = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    # What one program takes from another it finds by name in place of by address.
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
    # Nothing in it may end the element that it stands in.
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
