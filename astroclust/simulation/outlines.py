# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Assign the pixels of a simulated field to sources."""

import numpy as np
from astropy.table import Table
from photutils.segmentation import SegmentationImage
from threadpoolctl import threadpool_limits

from astroclust.simulation.candidates import total_magnitudes
from astroclust.simulation.drawing import Source, draw_group, draw_scene
from astroclust.simulation.template import V

__all__ = ["outline_sources"]

# A pixel belongs to a source if the source there exceeds this many standard deviations of the noise
# in all bands combined and, because the wings of stars reach far, this fraction of its peak.
_ABOVE_NOISE, _ABOVE_PEAK = 3.0, 0.02
# Minimum number of pixels of a source.
_SMALLEST = 5
# Width of the patch on which a star is drawn, and its minimum flux relative to the noise in at
# least one band: the brightest pixel has at most a quarter of it.
_STAR_PATCH, _FAINTEST_STAR = 33, 4 * _ABOVE_NOISE
_STAR_CLASS = 4


def outline_sources(scene, noise):
    """Assign pixels to the sources of a scene.

    Each pixel belongs to the brightest source in it, if that is well above the noise. Groups of
    stars that form one candidate are one source; all other stars are sources of class 4.

    Parameters
    ----------
    scene : `~astroclust.simulation.systems.Scene`
        Scene in the bands of LEGUS.
    noise : array_like, shape (n_bands,)
        Standard deviation of a sky pixel in each band, e-/s.

    Returns
    -------
    sources : `~astropy.table.Table`
        Visible sources: ``label``, from 1; ``x``, ``y`` (0-based pixels); ``class``; ``kind``;
        ``mag_v``; ``candidate``, the number of the row of the truth, or 0 for other stars;
        ``flux_v``, the total flux in V (e-/s); ``signal``, the signal-to-noise ratio of all bands
        combined; and ``xmin``, ``xmax``, ``ymin``, ``ymax``, the first and last pixels.
    segments : `~photutils.segmentation.SegmentationImage`
        Label of each pixel.
    """
    shape, noise = scene.galaxy.light.shape[1:], np.asarray(noise, float)[:, None, None]
    owner, best = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    rows = []
    with threadpool_limits(1):
        for row, patch, x0, y0 in _patches(scene, noise):
            rows.append(row)
            _claim(owner, best, len(rows), np.sqrt(np.square(patch / noise).sum(axis=0)), x0, y0)
    return _visible(owner, rows)


def _patches(scene, noise):
    """Table row of each source, and its flux on a patch with a given first pixel."""
    observation = scene.observation
    for number, each in enumerate(scene.candidates, start=1):
        if each.sources:
            row = (each.x, each.y, each.label, each.kind, number, *_light(each.sources, scene))
            yield row, *draw_group(each.sources, observation)
    stars, half = scene.stars, _STAR_PATCH // 2
    bright = (stars.flux > _FAINTEST_STAR * noise[:, :, 0]).any(axis=0)
    ny, nx = scene.galaxy.light.shape[1:]
    inside = (stars.x > -0.5) & (stars.y > -0.5) & (stars.x < nx - 0.5) & (stars.y < ny - 0.5)
    for i in np.flatnonzero(bright & inside):
        x, y, flux = stars.x[i], stars.y[i], stars.flux[:, i]
        x0, y0 = int(x) - half, int(y) - half
        star = Source(x - x0, y - y0, flux)
        row = (x, y, _STAR_CLASS, "star", 0, *_light([star], scene))
        yield row, draw_scene([star], (_STAR_PATCH,) * 2, observation), x0, y0


def _light(sources, scene):
    flux = sum(source.flux[V] for source in sources)
    return total_magnitudes(sources, scene.observation.zero_points)[V], flux


def _claim(owner, best, label, signal, x0, y0):
    """Assign the pixels of a patch in which its source exceeds the noise and all others."""
    ny, nx = owner.shape
    y1, x1 = (start + size for start, size in zip((y0, x0), signal.shape, strict=True))
    part = np.s_[max(y0, 0) : max(min(y1, ny), 0), max(x0, 0) : max(min(x1, nx), 0)]
    signal = signal[part[0].start - y0 : part[0].stop - y0, part[1].start - x0 :]
    signal = signal[:, : part[1].stop - part[1].start]
    if not signal.size:
        return
    own = (signal > best[part]) & (signal > max(_ABOVE_NOISE, _ABOVE_PEAK * signal.max()))
    owner[part][own] = label
    best[part][own] = signal[own]


def _visible(owner, rows):
    """Table and segments of the sources with enough pixels left, renumbered."""
    areas = np.bincount(owner.ravel(), minlength=len(rows) + 1)
    kept = np.flatnonzero(areas[1:] >= _SMALLEST)
    numbers = np.zeros(len(areas), np.int32)
    numbers[1 + kept] = 1 + np.arange(len(kept))
    segments = SegmentationImage(numbers[owner])
    columns = {
        "x": float,
        "y": float,
        "class": np.int16,
        "kind": "U12",
        "candidate": np.int32,
        "mag_v": np.float32,
        "flux_v": np.float32,
    }
    values = list(zip(*(rows[i] for i in kept), strict=True)) or [[]] * len(columns)
    sources = Table(values, names=list(columns), dtype=list(columns.values()))
    sources.add_column(
        segments.labels if len(kept) else np.empty(0, np.int32), name="label", index=0
    )
    boxes = np.array(
        [(box.ixmin, box.ixmax - 1, box.iymin, box.iymax - 1) for box in segments.bbox], np.int32
    ).reshape(-1, 4)
    for name, edge in zip(("xmin", "xmax", "ymin", "ymax"), boxes.T, strict=True):
        sources[name] = edge
    return sources, segments
