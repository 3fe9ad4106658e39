# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""HTML for notebooks: images and stamps in color, and model cards."""

import base64
import html
import io
import logging

import numpy as np

from astroclust.extras import naming_extras

__all__ = ["card_html", "html_or_none", "images_html", "picture_tag", "stamps_html", "table_html"]

# Maximum size of the JPEG in one display; base64 adds a third, for at most 200 kB in total.
_MOST_BYTES = 140_000
_QUALITIES = (88, 75, 60, 40, 20)
# Pixels on a side of a field and of a stamp, stamps per row and in total.
_FIELD, _STAMP, _COLUMNS, _STAMPS = 480, 96, 8, 24
# Approximate minimum width of a field on the screen, in pixels.
_LEAST_WIDTH = 480

log = logging.getLogger(__name__)


def html_or_none(make, subject):
    """HTML of an object, or None on failure, so that notebooks fall back to its text.

    Parameters
    ----------
    make : callable
        `images_html`, `stamps_html` or `card_html`.
    subject : object
        Object to display.

    Returns
    -------
    html : str or None
        HTML of the object. Failures, such as a package that is not installed, are logged.
    """
    try:
        return make(subject)
    except Exception as error:  # displaying an object must never raise
        log.info("%s is shown as text: %s", type(subject).__name__, error)
        return None


def images_html(images):
    """Color picture of a field.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet`
        The bands.

    Returns
    -------
    html : str
        The picture, binned to at most 480 pixels on a side, above the ``repr`` of the images.
    """
    from astroclust.plotting.fields import sampled_bands
    from astroclust.plotting.images import color_image

    data, _ = sampled_bands(images, _FIELD)
    picture = color_image(data, images.roles, system=images.system)[::-1]
    return f"<div>{picture_tag(picture, width=_LEAST_WIDTH)}{_caption(images)}</div>"


def stamps_html(stamps):
    """Gallery of the first stamps in color.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        The stamps.

    Returns
    -------
    html : str
        One picture of at most 24 stamps, above the ``repr`` of the stamps.
    """
    from astroclust.plotting.images import color_image

    shown = stamps[:_STAMPS]
    step = -(-stamps.size // _STAMP)
    bands = np.flatnonzero(shown.present.any(axis=0))
    roles = [shown.bands[i] for i in bands]
    if not roles:
        return f"<div>{_caption(stamps)}</div>"
    tiles = [
        np.pad(color_image(one, roles, system=shown.system)[::-1], ((1, 1), (1, 1), (0, 0)))
        for one in shown.data[:, bands, ::step, ::step]
    ]
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)]
    picture = picture_tag(np.vstack(rows), width=_COLUMNS * 80)
    note = f"first {len(shown)} of " if len(shown) < len(stamps) else ""
    return f"<div>{picture}{_caption(stamps, note)}</div>"


def card_html(classifier):
    """Model card of a classifier as tables.

    Parameters
    ----------
    classifier : `~astroclust.weights.Classifier`
        The classifier.

    Returns
    -------
    html : str
        Its entries, and its scores on the test set and on held-out galaxies.
    """
    card = classifier.card
    entries = {
        "architecture": f"{len(classifier.networks)} x {card.architecture}",
        "classes": ", ".join(f"{number} {name}" for number, name in card.classes.names.items()),
        "bands": f"{', '.join(card.bands)} ({card.system.name}); {card.max_missing_bands} may be "
        "missing",
        "stamps": f"{card.stamp_size} x {card.stamp_size} pixels of {card.pixel_scale:g} arcsec, "
        f"{card.normalization}",
        "training set": _shortened(card.training_sample),
        "test set": card.split,
        "notice": card.notice,
        "command": card.command,
        "license": card.license,
        "sha256": card.sha256,
    }
    parts = [table_html(None, [(name, text) for name, text in entries.items() if text])]
    plain = {name: value for name, value in card.scores.items() if "without" not in name}
    scores = {"test set": plain, **card.galaxy_scores} if plain else card.galaxy_scores
    if scores:
        names = list(dict.fromkeys(name for one in scores.values() for name in one))
        rows = [
            (sample, *(f"{one[name]:.6g}" if name in one else "" for name in names))
            for sample, one in scores.items()
        ]
        parts.append(table_html(["scores", *names], rows))
    return f"<div><b>{html.escape(card.name)}</b>{''.join(parts)}</div>"


class _Tag(str):
    """HTML that must not be escaped."""


def picture_tag(picture, *, width):
    """HTML image element with embedded data.

    Parameters
    ----------
    picture : `~numpy.ndarray` of uint8, shape (ny, nx, 3)
        Red, green and blue channels; row 0 is at the top.
    width : int
        Approximate minimum width on the screen, in pixels.

    Returns
    -------
    tag : str
        Contains a JPEG of at most 140 kB.
    """
    with naming_extras():
        from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    for quality in _QUALITIES:
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=quality)
        if stream.tell() <= _MOST_BYTES:
            break
    content = base64.b64encode(stream.getvalue()).decode()
    scale = max(1, round(width / picture.shape[1]))
    return _Tag(
        f'<img width="{scale * picture.shape[1]}" style="image-rendering: pixelated" '
        f'src="data:image/jpeg;base64,{content}">'
    )


def table_html(header, rows):
    """HTML table of text.

    Parameters
    ----------
    header : sequence of str or None
        Names of the columns; no header if None.
    rows : iterable of sequence of str
        Cells; text is escaped, output of `picture_tag` is not.

    Returns
    -------
    html : str
        The table.
    """
    head = "" if header is None else f"<tr>{''.join(f'<th>{name}</th>' for name in header)}</tr>"
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"


def _cell(text):
    content = text if isinstance(text, _Tag) else html.escape(str(text))
    return f'<td style="text-align: left">{content}</td>'


def _caption(subject, note=""):
    return f"<div>{note}{html.escape(repr(subject))}</div>"


def _shortened(text, most=400):
    return text if len(text) <= most else f"{text[:most]} ... ({len(text)} characters)"
