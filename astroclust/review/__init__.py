# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Visual inspection of candidates, and their labels, in the browser."""

from pathlib import Path
from typing import TYPE_CHECKING

from astropy.table import Table

from astroclust.extras import naming_extras
from astroclust.files import check_output

with naming_extras():
    from astroclust.review.agreement import Agreement, reviewer_agreement
    from astroclust.review.confirmation import (
        confirmation_counts,
        confirmed_table,
        purity_cut,
    )
    from astroclust.review.labels import LabelStore
    from astroclust.review.lines import Entry, check_name
    from astroclust.review.objects import DEFAULT_PAGE, Page, label_scheme, read_objects
    from astroclust.review.pages import DETAILED, write_review
    from astroclust.review.server import DEFAULT_PORT, ReviewServer

if TYPE_CHECKING:
    from astroclust.typing import ClassifierLike, ImagesLike

__all__ = [
    "DEFAULT_PORT",
    "DETAILED",
    "Agreement",
    "Entry",
    "LabelStore",
    "Page",
    "ReviewServer",
    "confirmed_subset",
    "open_labels",
    "purity_cut",
    "review_table",
    "reviewer_agreement",
    "write_review",
]


def open_labels(table, images, labels, *, column_prefix="", page=DEFAULT_PAGE):
    """Open the labels of a table, to read them or to merge those of other reviewers.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Candidates with positions.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    labels : str or `~pathlib.Path`
        ECSV file of the labels, which need not exist yet.
    column_prefix : str, optional
        Prefix of the class columns.
    page : `Page`, optional
        Settings of the page; with ``confirm``, the labels are those of a confirmation.

    Returns
    -------
    store : `LabelStore`
        The labels.

    Raises
    ------
    ValueError
        If no row of the table is on the images, or the file is not a label file.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import simulate_field
    >>> from astroclust.review import open_labels
    >>> images = simulate_field(shape=(64, 64), seed=1).images
    >>> store = open_labels(Table({"x": [30.0], "y": [40.0]}), images, "mine.labels.ecsv")
    >>> entry = store.add(0, reviewer="Ben", label=1)
    >>> store.table()["class_mode"].tolist()
    [1]
    """
    objects = read_objects(table, images, column_prefix=column_prefix, page=page)
    return _open_store(objects, labels, page)


def confirmed_subset(table, images, labels, *, confirm, column_prefix=""):
    """High-purity subset: objects above a probability that were confirmed by visual inspection.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Classified candidates.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    labels : str or `~pathlib.Path`
        ECSV file of the labels, as a page with ``Page(confirm=...)`` writes it.
    confirm : float
        Lowest probability; see `purity_cut`.
    column_prefix : str, optional
        Prefix of the class columns.

    Returns
    -------
    subset : `~astropy.table.Table`
        Rows that more votes confirm than reject, with all columns of the table and
        ``confirm_votes``; ``confirm_fraction``, the fraction of the votes that confirm; and
        ``confirm_note``. ``meta["CONFIRM"]`` has the threshold and the counts, in JSON.
    counts : `~astropy.table.Table`
        One row per class: ``class``; ``name``; ``before``, the number of objects above the
        threshold; ``expected``, their mean probability; ``confirmed``, ``rejected`` and ``open``,
        by the most frequent vote; and ``purity``, the fraction of those confirmed or rejected that
        is confirmed. Fractions of zero objects are NaN.

    Raises
    ------
    KeyError
        If the table has no columns ``class`` and ``probability``.
    ValueError
        If no object has such a probability, or the file is not a label file.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import simulate_field
    >>> from astroclust.review import Page, confirmed_subset, open_labels
    >>> images = simulate_field(shape=(64, 64), seed=1).images
    >>> table = Table({"x": [30.0, 40.0, 20.0], "y": [40.0, 20.0, 30.0]})
    >>> table["class"], table["probability"] = [1, 2, 4], [0.95, 0.92, 0.6]
    >>> store = open_labels(table, images, "mine.confirm.ecsv", page=Page(confirm=0.9))
    >>> entry = store.add(0, reviewer="Ben", label=1)  # 1 confirms, 2 rejects
    >>> subset, counts = confirmed_subset(table, images, "mine.confirm.ecsv", confirm=0.9)
    >>> print(subset["x", "class", "confirm_votes"])
     x   class confirm_votes
    ---- ----- -------------
    30.0     1             1
    >>> print(counts["class", "before", "confirmed", "open"][:2])
    class before confirmed open
    ----- ------ --------- ----
        1      1         1    0
        2      1         0    1
    """
    page = Page(confirm=confirm)
    objects = read_objects(table, images, column_prefix=column_prefix, page=page)
    store = _open_store(objects, labels, page)
    return confirmed_table(objects, store, confirm), confirmation_counts(objects, store)


def _open_store(objects, labels, page):
    path = check_output(Path(labels), overwrite=True)
    return LabelStore(
        path,
        objects.x,
        objects.y,
        ids=objects.ids,
        scheme=label_scheme(page, objects.scheme),
        sky=objects.sky,
    )


def review_table(
    table: Table,
    images: "ImagesLike",
    *,
    labels: str | Path,
    reviewer: str = "",
    column_prefix: str = "",
    model: "ClassifierLike | None" = None,
    port: int | None = None,
    page: Page = DEFAULT_PAGE,
) -> ReviewServer:
    """Serve a page for visual inspection and labeling of candidates.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Candidates with positions; those that `~astroclust.classification.classify_table` returns
        can be sorted by class, probability and entropy.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    labels : str or `~pathlib.Path`
        ECSV file to which labels are appended; existing labels are shown. See `LabelStore`.
    reviewer : str, optional
        Initial name of the reviewer, which can be changed on the page.
    column_prefix : str, optional
        Prefix of the class columns.
    model : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        Classifier for saliency maps; by default the bundled one.
    port : int, optional
        Port of the server; by default 8710, or the next free one; 0 for any.
    page : `Page`, optional
        Settings of the page: title, width of the stamps, order, and whether the review is blind or
        a confirmation.

    Returns
    -------
    server : `ReviewServer`
        Running server; ``url`` is its address, which only this computer can reach. It is stopped by
        ``stop`` or at the end of a ``with`` block.

    Raises
    ------
    ValueError
        If the table has no rows, or none on the images; or if the file is not a label file.
    OSError
        If the folder of the labels cannot be written, or the port is in use.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import review_table, simulate_field
    >>> field = simulate_field(shape=(64, 64), seed=1)
    >>> table = Table({"x": [30.0], "y": [40.0]})
    >>> with review_table(table, field.images, labels="mine.labels.ecsv", port=0) as server:
    ...     server.url.startswith("http://127.0.0.1:")
    True
    """
    objects = read_objects(table, images, column_prefix=column_prefix, page=page)
    reviewer = check_name(reviewer) if reviewer else ""
    store = _open_store(objects, labels, page)
    return ReviewServer(objects, store, reviewer=reviewer, model=model, port=port, page=page)
