# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Detector and pipeline effects: from mean images to drizzled, sky-subtracted LEGUS mosaics.

In physical order: `saturate`, `add_noise`, `scatter_residue`, `subtract_sky`. All except
`coverage`, which returns an array, modify images of shape (bands, ny, nx), in e-/s per pixel, in
place.
"""

import numpy as np
from scipy import ndimage

from astroclust.instruments import find_instrument

__all__ = [
    "add_noise",
    "add_residue",
    "coverage",
    "full_well",
    "saturate",
    "scatter_residue",
    "subtract_sky",
]

# LEGUS took three dithered exposures in each filter (Calzetti et al. 2015).
EXPOSURES = 3
# Kernel by which drizzling spreads a pixel over its neighbors along either axis.
DRIZZLE = np.array([0.12, 0.76, 0.12], np.float32)

RESIDUE_RATE = 3e-5  # residuals of cosmic-ray rejection per pixel and band
COSMIC_RAYS = 0.7  # fraction of cosmic rays among them; the others are hot pixels
RESIDUE_REACH = 8  # pixels from the center to the end of the longest trail, after blurring

SKY_BLOCK = 64  # pixels: large enough for a precise block median
SKY_PERCENTILE = 5


def coverage(shape, observation, rng):
    """Fraction of the exposure time that each pixel received.

    Light that falls into the gap between the chips is lost. The exposures are dithered across it,
    so that three parallel strips of the mosaic miss one of three exposures each. The strips are the
    same in all bands of a camera, but differ between cameras, which observed at different times and
    orientations.

    Parameters
    ----------
    shape : tuple of int
        Size of the image, (ny, nx).
    observation : `~astroclust.simulation.observations.Observation`
        Observation with ``cameras``.
    rng : `numpy.random.Generator`
        Random number generator for the position of the gaps; in small images they are mostly
        outside.

    Returns
    -------
    cover : `~numpy.ndarray`, shape (bands, ny, nx), float32
        1 for complete exposures, 2/3 in the strips, intermediate in pixels on an edge.
    """
    strips = {
        camera: _gap_strips(shape, find_instrument(camera), observation.pixel_scale, rng)
        for camera in dict.fromkeys(observation.cameras)
    }
    return np.stack([strips[camera] for camera in observation.cameras])


def _gap_strips(shape, camera, pixel_scale, rng):
    """Coverage of one camera, shape (ny, nx); 1 everywhere for single-chip cameras."""
    gap, step, chip = np.array([camera.gap, camera.dither, camera.chip]) / pixel_scale
    if np.isnan(gap):
        return np.ones(shape, np.float32)
    angle = rng.uniform(0, np.pi)
    # The image is a part of the field of view, which has the gap across its middle.
    reach = max(chip - min(shape) / 2, gap)
    offset = rng.uniform(-reach, reach)
    y = (np.arange(shape[0]) - (shape[0] - 1) / 2) * np.sin(angle)
    x = (np.arange(shape[1]) - (shape[1] - 1) / 2) * np.cos(angle)
    distance = y[:, None].astype(np.float32) + (x - offset).astype(np.float32)
    cover = np.ones(shape, np.float32)
    for exposure in np.arange(EXPOSURES) - (EXPOSURES - 1) / 2:
        inside = np.float32(gap / 2 + 0.5) - np.abs(distance - np.float32(exposure * step))
        cover -= np.clip(inside, 0, 1, out=inside) / EXPOSURES
    return cover


def add_noise(image, observation, rng, cover=None):
    """Add photon noise and sky noise, correlated as in drizzled images.

    Drizzling spreads the electrons of a pixel without losing any: photon noise per pixel is
    reduced, and that in an aperture is unchanged. The sky noise was measured on drizzled pixels.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (bands, ny, nx), float32
        Mean image in e-/s per pixel, changed in place.
    observation : `~astroclust.simulation.observations.Observation`
        Observation with ``exposure_times`` and ``sky_noise``.
    rng : `numpy.random.Generator`
        Random number generator.
    cover : `~numpy.ndarray`, shape (bands, ny, nx), optional
        Fraction of the exposure time that each pixel received, above 0; see `coverage`. By default
        1 everywhere.
    """
    # The filter reduces the noise of independent pixels by this factor.
    damping = np.sum(DRIZZLE**2)
    for i, band in enumerate(image):
        variance = np.maximum(band, 0)
        variance /= observation.exposure_times[i]
        variance += (observation.sky_noise[i] / damping) ** 2
        if cover is not None:
            variance /= cover[i]
        noise = rng.standard_normal(band.shape, np.float32)
        noise *= np.sqrt(variance, out=variance)
        for axis in (0, 1):
            # Wrapping keeps the noise at the edges as large as elsewhere.
            noise = ndimage.correlate1d(noise, DRIZZLE, axis=axis, mode="wrap")
        band += noise


def full_well(camera, pixel_scale):
    """Full well in electrons on the area of one drizzled pixel (arcsec)."""
    camera = find_instrument(camera)
    return camera.full_well * (pixel_scale / camera.pixel_scale) ** 2


def saturate(image, observation):
    """Apply full wells, and bleed the excess charge along the detector columns.

    Charge above the full well in one exposure flows half up, half down to the next unsaturated
    pixels in the column. It is conserved except at the edges of the image. The y axis of the image
    represents the detector columns in all bands.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (bands, ny, nx), float32
        Image in e-/s per pixel, changed in place. Columns without a saturated pixel are unchanged.
    observation : `~astroclust.simulation.observations.Observation`
        Observation with ``cameras`` and ``exposure_times``.
    """
    for i, band in enumerate(image):
        exposure = observation.exposure_times[i] / EXPOSURES
        level = np.float32(full_well(observation.cameras[i], observation.pixel_scale) / exposure)
        if band.max() <= level:
            continue
        full = np.flatnonzero(band.max(axis=0) > level)
        columns = band[:, full].astype(float)
        half = np.maximum(columns - level, 0) / 2
        columns = _spill(np.minimum(columns, level), half, level)
        columns = _spill(columns[::-1], half[::-1], level)[::-1]
        # Undo rounding of the sums along a column: a full well is exactly full.
        band[:, full] = np.minimum(columns, level)


def _spill(columns, charge, level):
    """Add charge that flows along the first axis to columns, at most at ``level``.

    The flow out of a pixel is the charge received so far minus the capacity so far, or 0 if all of
    it fits: a queue, solved with running sums by Lindley's formula.
    """
    load = np.cumsum(charge - (level - columns), axis=0)
    flow = load - np.minimum(np.minimum.accumulate(load, axis=0), 0)
    return columns + charge - np.diff(flow, axis=0, prepend=0)


def add_residue(image, kind, x, y, observation, rng):
    """Add residue of a cosmic ray or a hot pixel in one to three bands.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (bands, ny, nx), float32
        Image in e-/s per pixel, changed in place within 8 pixels of the position.
    kind : str
        "cosmic ray" or "hot pixel"; other kinds of sources have no effect.
    x, y : float
        Center in 0-based pixels. Residue outside the image is truncated.
    observation : `~astroclust.simulation.observations.Observation`
        Observation with ``sky_noise``: residue is about 15 to 300 times as bright as the noise.
    rng : `numpy.random.Generator`
        Random number generator for bands, brightness and shape.
    """
    if kind not in ("cosmic ray", "hot pixel"):
        return
    trail = _trail(kind, x % 1, y % 1, rng)
    for band in rng.permutation(len(image))[: rng.integers(1, 4)]:
        peak = observation.sky_noise[band] * 10 ** rng.uniform(1.2, 2.5)
        _deposit(image[band], peak, trail, int(x // 1), int(y // 1), rng)


def scatter_residue(image, observation, rng):
    """Add faint residue of cosmic rays and hot pixels across the image.

    Each is in one band only. Most are about as bright as the noise, and the number declines with
    the cube of the brightness.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (bands, ny, nx), float32
        Image in e-/s per pixel, changed in place.
    observation : `~astroclust.simulation.observations.Observation`
        Observation with ``sky_noise``.
    rng : `numpy.random.Generator`
        Random number generator for number, positions, brightness and shapes.
    """
    for band, sky_noise in zip(image, observation.sky_noise, strict=True):
        count = rng.poisson(RESIDUE_RATE * band.size)
        columns = rng.integers(band.shape[1], size=count)
        rows = rng.integers(band.shape[0], size=count)
        peaks = 2 * sky_noise * (1 + rng.pareto(2, count))
        kinds = np.where(rng.random(count) < COSMIC_RAYS, "cosmic ray", "hot pixel")
        for kind, peak, x, y in zip(kinds, peaks, columns, rows, strict=True):
            _deposit(band, peak, _trail(kind, 0, 0, rng), x, y, rng)


def _trail(kind, x, y, rng):
    """Pixels hit around a center (x, y) in the first pixel: offsets in x and y."""
    length = rng.uniform(2, 9) if kind == "cosmic ray" else 0.0
    angle = rng.uniform(0, np.pi)
    steps = np.linspace(-0.5, 0.5, max(int(3 * length), 1)) * length
    columns = np.round(x + steps * np.cos(angle)).astype(int)
    return columns, np.round(y + steps * np.sin(angle)).astype(int)


def _deposit(band, peak, trail, x, y, rng):
    """Add a trail, with offsets relative to pixel (x, y), to one band."""
    columns, rows = trail
    size = 2 * RESIDUE_REACH + 1
    patch = np.zeros((size, size), np.float32)
    hits = rng.uniform(0.5, 1, len(rows))
    patch[rows + RESIDUE_REACH, columns + RESIDUE_REACH] = peak * hits
    patch = ndimage.gaussian_filter(patch, rng.uniform(0.3, 0.55))
    y0, x0 = y - RESIDUE_REACH, x - RESIDUE_REACH
    part = band[max(y0, 0) : max(y0 + size, 0), max(x0, 0) : max(x0 + size, 0)]
    below, left = max(-y0, 0), max(-x0, 0)
    part += patch[below : below + part.shape[0], left : left + part.shape[1]]


def subtract_sky(image):
    """Subtract a single sky level from each band, as in the HST pipeline.

    AstroDrizzle uses the clipped median or mode of an exposure, or the lowest of several, as sky.
    If a galaxy fills the field, no pixel shows only sky, and part of the galaxy is also subtracted;
    but LEGUS's mosaics are near 0 in their emptiest parts, not on average. The level is therefore
    the fifth percentile of the medians of blocks of 64 x 64 pixels, low enough to find the dark
    corner of a field but not dominated by noise.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (bands, ny, nx), float32
        Image in e-/s per pixel, changed in place. Rows and columns that do not fill a block are
        ignored; an image smaller than a block is one block.

    Returns
    -------
    levels : `~numpy.ndarray`, shape (bands,)
        Subtracted levels, e-/s per pixel.
    """
    height, width = (min(SKY_BLOCK, size) for size in image.shape[1:])
    rows, columns = image.shape[1] // height, image.shape[2] // width
    levels = np.empty(len(image), image.dtype)
    for i, band in enumerate(image):
        blocks = band[: rows * height, : columns * width]
        blocks = blocks.reshape(rows, height, columns, width).swapaxes(1, 2)
        medians = np.median(blocks.reshape(rows, columns, -1), axis=-1)
        levels[i] = np.percentile(medians, SKY_PERCENTILE)
        band -= levels[i]
    return levels
