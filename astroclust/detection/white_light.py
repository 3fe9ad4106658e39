# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Combine all bands of a field into one detection image."""

from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from astroclust.detection.background import measure_cells, strips_of
from astroclust.images import Band, ImageSet

if TYPE_CHECKING:
    from astroclust.typing import ImagesLike

__all__ = ["white_light"]

# Pixels of all bands that are combined at a time: few enough to stay in the CPU cache.
_STRIP = 1 << 17


def white_light(images: "ImagesLike", *, progress_bar: bool = False) -> Band:
    """Combine all bands into an image for detecting blue and red sources, as in LEGUS.

    For each of two model stars, a blue main-sequence star and a red giant, the bands are scaled to
    give the star the same flux in all of them, and added in quadrature; the result is the mean of
    the two. For a band system without model stars, bands are weighted by their noise. For NGC 1559,
    Wei et al. (2020, sec. 3.1) detected sources in F555W alone, ``images["V"]``, which avoids
    blurring by close pairs of different color and by small alignment errors.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field, in e-/s; all available bands are combined.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    white : `~astroclust.images.Band`
        The image, float32, of filter ``"WHITE"``. Pixels that are bad in all bands are NaN; the
        others combine the bands in which they are good.

    Examples
    --------
    >>> from astroclust import simulate_field, white_light
    >>> field = simulate_field(shape=(128, 128), seed=1)
    >>> white_light(field.images).data.shape
    (128, 128)
    """
    images = ImageSet.of(images)
    bands = list(images.values())
    white = np.empty(images.shape, np.float32)
    stars = images.system.stars or (_noise_star(bands, progress_bar),)
    weights = np.array([_weights(star, images) for star in stars])
    size = max(1, _STRIP // (len(bands) * images.shape[1]))
    starts = range(0, images.shape[0], size)
    for start in tqdm(starts, unit="strip", desc="white light", disable=not progress_bar):
        rows = slice(start, start + size)
        # In double precision, because squares of small units underflow.
        pixels = np.array([band.pixels(rows, float) for band in bands])
        white[rows] = _combine(pixels, weights)
    first = bands[0]
    return Band("WHITE", "", white, wcs=images.wcs, unit=first.unit, meta=first.meta)


def _noise_star(bands, progress_bar):
    """Model star with the same signal-to-noise ratio in each band: weights bands by their noise."""
    strips = list(strips_of(bands[0].data.shape))
    noise = {}
    for band in tqdm(bands, unit="band", desc="noise", disable=not progress_bar):
        cells = [measure_cells(band.pixels(rows, float))[1].ravel() for rows in strips]
        noise[band.role] = np.nanmedian(np.concatenate(cells))
    return {role: value if value > 0 else np.inf for role, value in noise.items()}


def _weights(star, images):
    """Weight of the square of each band, for one model star."""
    middle = images.system.roles[len(images.system) // 2]
    unit = star.get(middle, 1.0)
    return [(unit / star[role]) ** 2 for role in images.roles]


def _combine(pixels, weights):
    """Mean over the model stars of the weighted quadratic means of the good bands."""
    bad = np.isnan(pixels)
    np.square(pixels, out=pixels)
    norm = weights.sum(axis=1)[:, None, None]
    if bad.any():
        pixels[bad] = 0
        norm = np.tensordot(weights, ~bad, axes=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = np.tensordot(weights, pixels, axes=1)
        total /= norm
    return np.sqrt(total, out=total).mean(axis=0)
