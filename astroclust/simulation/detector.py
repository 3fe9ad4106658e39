# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""From the mean image of a scene to a drizzled, sky-subtracted mosaic as LEGUS made them.

The order of nature is `saturate`, `add_noise`, `scatter_residue`, `subtract_sky`. All but
`coverage`, which makes an array, work in place on images of shape (bands, ny, nx) in e-/s a pixel.
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
# Drizzling spreads the light of a pixel over its neighbors, along either axis.
DRIZZLE = np.array([0.12, 0.76, 0.12], np.float32)

RESIDUE_RATE = 3e-5  # residuals a pixel and band that the rejection of cosmic rays leaves
COSMIC_RAYS = 0.7  # share of cosmic rays among them, the others are hot pixels
RESIDUE_REACH = 8  # pixels from its middle to which the longest trail reaches, blurred

SKY_BLOCK = 64  # pixels: large enough that the noise of a block's median is small
SKY_PERCENTILE = 5


def coverage(shape, observation, rng):
    """Fraction of the exposure that each pixel got.

    Light that falls into the gap between the chips is lost. The exposures are dithered across
    it, so that three parallel strips of the mosaic miss one exposure of three each. The strips
    are the same in all bands of a camera, and lie elsewhere and otherwise in those of the other,
    which looked at another time with another orientation.

    Parameters
    ----------
    shape : tuple of int
        Size of the image, (ny, nx).
    observation : `~astroclust.simulation.observations.Observation`
        Its ``cameras`` are used.
    rng : `numpy.random.Generator`
        Decides where the gaps lie; those of small images are mostly outside.

    Returns
    -------
    cover : `~numpy.ndarray`, shape (bands, ny, nx), float32
        1 where no exposure is missing, 2/3 in the strips, between the two in pixels on an edge.
    """
    strips = {
        camera: _gap_strips(shape, find_instrument(camera), observation.pixel_scale, rng)
        for camera in dict.fromkeys(observation.cameras)
    }
    return np.stack([strips[camera] for camera in observation.cameras])


def _gap_strips(shape, camera, pixel_scale, rng):
    """Coverage of one camera, shape (ny, nx); 1 everywhere for those with one chip."""
    gap, step, chip = np.array([camera.gap, camera.dither, camera.chip]) / pixel_scale
    if np.isnan(gap):
        return np.ones(shape, np.float32)
    angle = rng.uniform(0, np.pi)
    # The image is a part of the field of view, whose middle the gap crosses.
    reach = max(chip - min(shape) / 2, gap)
    offset = rng.uniform(-reach, reach)
    y = (np.arange(shape[0]) - (shape[0] - 1) / 2) * np.sin(angle)
    x = (np.arange(shape[1]) - (shape[1] - 1) / 2) * np.cos(angle)
    distance = y[:, None].astype(np.float32) + (x - offset).astype(np.float32)
    cover = np.ones(shape, np.float32)
    for place in np.arange(EXPOSURES) - (EXPOSURES - 1) / 2:
        inside = np.float32(gap / 2 + 0.5) - np.abs(distance - np.float32(place * step))
        cover -= np.clip(inside, 0, 1, out=inside) / EXPOSURES
    return cover


def add_noise(image, observation, rng, cover=None):
    """Photon noise and the noise of the sky, correlated as drizzling correlates it.

    Drizzling spreads the electrons of a pixel and loses none: their noise gets smaller pixel by
    pixel, and stays what it is in an aperture. That of the sky was measured on drizzled pixels.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (bands, ny, nx), float32
        Mean image in e-/s a pixel, changed in place.
    observation : `~astroclust.simulation.observations.Observation`
        Its ``exposure_times`` and ``sky_noise`` are used.
    rng : `numpy.random.Generator`
        Source of the noise.
    cover : `~numpy.ndarray`, shape (bands, ny, nx), optional
        Fraction of the exposure that each pixel got, above 0, as `coverage` gives it. By default
        1 everywhere.
    """
    # The filter takes this factor from the noise of independent pixels.
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
            # Wrapped around, the noise is as large at the edges as elsewhere.
            noise = ndimage.correlate1d(noise, DRIZZLE, axis=axis, mode="wrap")
        band += noise


def full_well(camera, pixel_scale):
    """Electrons that the detector holds on the area of one drizzled pixel (arcsec)."""
    camera = find_instrument(camera)
    return camera.full_well * (pixel_scale / camera.pixel_scale) ** 2


def saturate(image, observation):
    """Full wells, and the charge that bleeds from them along the columns of the detector.

    Charge beyond what a pixel holds in one exposure goes half up, half down to the next pixels of
    its column that have room. None is lost, but for what flows over the edge of the image. The y
    axis of the image stands for the columns of the detector, of all bands.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (bands, ny, nx), float32
        Image in e-/s a pixel, changed in place. Columns without a full pixel stay as they are.
    observation : `~astroclust.simulation.observations.Observation`
        Its ``cameras`` and ``exposure_times`` are used.
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
        # Sums along a column round, and a full well is exactly full.
        band[:, full] = np.minimum(columns, level)


def _spill(columns, charge, level):
    """Columns, at most at ``level``, to which charge is added that flows along the first axis.

    What flows on from a pixel is the charge that came so far less the room that it found, or 0
    where there was room for all: a queue, which Lindley's formula solves with running sums.
    """
    load = np.cumsum(charge - (level - columns), axis=0)
    flow = load - np.minimum(np.minimum.accumulate(load, axis=0), 0)
    return columns + charge - np.diff(flow, axis=0, prepend=0)


def add_residue(image, kind, x, y, observation, rng):
    """What a cosmic ray or a hot pixel leaves behind, in one to three bands.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (bands, ny, nx), float32
        Image in e-/s a pixel, changed in place within 8 pixels of the place.
    kind : str
        "cosmic ray" or "hot pixel"; other kinds of sources leave nothing.
    x, y : float
        Its middle, as 0-based pixel coordinates. What lies outside the image is cut off.
    observation : `~astroclust.simulation.observations.Observation`
        Its ``sky_noise`` is used: residue is about 15 to 300 times as bright as the noise.
    rng : `numpy.random.Generator`
        Decides on bands, brightness and shape.
    """
    if kind not in ("cosmic ray", "hot pixel"):
        return
    trail = _trail(kind, x % 1, y % 1, rng)
    for band in rng.permutation(len(image))[: rng.integers(1, 4)]:
        peak = observation.sky_noise[band] * 10 ** rng.uniform(1.2, 2.5)
        _deposit(image[band], peak, trail, int(x // 1), int(y // 1), rng)


def scatter_residue(image, observation, rng):
    """Faint residue of cosmic rays and hot pixels all over the image.

    Each lies in one band only. Most are about as bright as the noise, and bright ones get rarer
    with the cube of their brightness.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (bands, ny, nx), float32
        Image in e-/s a pixel, changed in place.
    observation : `~astroclust.simulation.observations.Observation`
        Its ``sky_noise`` is used.
    rng : `numpy.random.Generator`
        Decides on number, places, brightness and shapes.
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
    """Pixels hit around a middle (x, y) in the first pixel: offsets in x and y."""
    length = rng.uniform(2, 9) if kind == "cosmic ray" else 0.0
    angle = rng.uniform(0, np.pi)
    steps = np.linspace(-0.5, 0.5, max(int(3 * length), 1)) * length
    columns = np.round(x + steps * np.cos(angle)).astype(int)
    return columns, np.round(y + steps * np.sin(angle)).astype(int)


def _deposit(band, peak, trail, x, y, rng):
    """Add a trail, whose offsets count from pixel (x, y), to one band."""
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
    """Subtract one level of sky from each band, as the pipeline of HST does.

    AstroDrizzle takes the clipped median or mode of an exposure for its sky, the lowest one where
    it measures several. Where a galaxy fills the field no pixel shows the sky alone, and some of
    the galaxy goes with it; but LEGUS's mosaics are near 0 in their emptiest parts, not in the
    mean. So the level is taken there: the fifth percentile of the medians of blocks of 64 x 64
    pixels, low enough to find the dark corner of a field and not so low that noise decides.

    Parameters
    ----------
    image : `~numpy.ndarray`, shape (bands, ny, nx), float32
        Image in e-/s a pixel, changed in place. Rows and columns that fill no block are not
        looked at; an image smaller than a block is one block.

    Returns
    -------
    levels : `~numpy.ndarray`, shape (bands,)
        What was subtracted, e-/s a pixel.
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
