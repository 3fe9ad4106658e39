# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Fields and stamps with known truth, drawn with GalSim."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from astropy import units as u
from astropy.nddata import CCDData
from astropy.table import Table
from astropy.wcs import WCS
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from astroclust.images import BANDS, PIXEL_SCALE, ImageSet
from astroclust.simulation.populations import (
    diffuse_light,
    draw_candidate,
    field_stars,
    v_magnitude,
)
from astroclust.simulation.scenes import (
    EXPOSURE_TIMES,
    FILTERS,
    add_noise,
    add_residue,
    draw_conditions,
    draw_scene,
    draw_tiles,
    saturate,
)
from astroclust.stamps import Stamps

__all__ = ["Field", "simulate_field", "simulate_stamps"]

# Shares of the classes among the inspected candidates of NGC 628C.
_CLASS_SHARES = {1: 0.214, 2: 0.229, 3: 0.209, 4: 0.348}
# Where the simulated fields lie on the sky: near NGC 628, for the sake of a WCS.
_CENTRE = (24.174, 15.783)


@dataclass(frozen=True)
class Field:
    """A simulated field.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet`
        Five bands in electrons a second.
    truth : `~astropy.table.Table`
        What was drawn: ``id``; ``x``, ``y`` (0-based pixels); ``ra``, ``dec`` (degrees);
        ``class``; ``kind``; ``mag_v`` (Vega; NaN for detector residue).
    """

    images: ImageSet
    truth: Table


def simulate_field(*, shape=(600, 600), seed, distance=10 * u.Mpc, density=3e-4):
    """Draw a field of a galaxy with candidates of all classes, and its truth.

    The candidates are those of `simulate_stamps`, in the class mix of NGC 628C, half of them in
    groups, among field stars and on diffuse light.

    Parameters
    ----------
    shape : tuple of int, optional
        Shape of the images, (ny, nx), in pixels of 0.0396 arcsec.
    seed : int or sequence of int
        Equal seeds give equal pixels.
    distance : `~astropy.units.Quantity` or float, optional
        Distance of the galaxy (Mpc where it has no unit).
    density : float, optional
        Candidates a square pixel. LEGUS has 0.00009 in NGC 628C and 0.00015 in NGC 1566.

    Returns
    -------
    field : `Field`
        ``images`` and ``truth``.

    Raises
    ------
    ValueError
        Where an argument is not accepted.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> field = simulate_field(shape=(128, 128), seed=1)
    >>> field.images.shape
    (128, 128)
    """
    ny, nx = shape
    if min(shape) < 32:
        raise ValueError(f"shape must be at least 32 x 32 pixels, not {shape}")
    megaparsec = u.Quantity(distance, u.Mpc).value
    if not megaparsec > 0 or not density > 0:
        raise ValueError(f"distance and density must be positive, not {distance}, {density}")
    rng = np.random.default_rng(seed)
    conditions = draw_conditions(rng, megaparsec)
    x, y = _places(rng, shape, rng.poisson(density * nx * ny))
    labels = rng.choice(list(_CLASS_SHARES), size=len(x), p=list(_CLASS_SHARES.values()))
    sources, rows = field_stars(rng, shape, conditions), []
    for number, label in enumerate(labels, start=1):
        place = x[number - 1], y[number - 1]
        kind, light = draw_candidate(int(label), rng, *place, conditions)
        sources += light
        rows.append((number, *place, label, kind, v_magnitude(light)))
    image = diffuse_light(rng, shape, conditions).astype(np.float32)
    with threadpool_limits(1):
        image += draw_tiles(sources, shape, conditions)
    for _, *place, _, kind, _ in rows:
        add_residue(image, kind, *place, rng)
    saturate(image, conditions)
    add_noise(image, conditions, rng)
    wcs = _wcs(shape)
    images = {
        name: CCDData(pixels, unit="electron / s", wcs=wcs, meta={"EXPTIME": float(exposure)})
        for name, pixels, exposure in zip(
            FILTERS, image, EXPOSURE_TIMES * conditions.depth, strict=True
        )
    }
    return Field(ImageSet(images), _truth(rows, wcs))


def _places(rng, shape, n):
    """Choose n places, half of them in groups, none nearer to another than 8 pixels."""
    size = np.array(shape[::-1], float)
    places = np.empty((0, 2))
    for _ in range(50 * n):
        if len(places) == n:
            break
        place = rng.uniform(0, size)
        if len(places) and rng.random() < 0.5:
            place = places[rng.integers(len(places))] + rng.normal(0, 25, 2)
        on_image = (place > 0).all() and (place < size - 1).all()
        if on_image and not (np.hypot(*(places - place).T) < 8).any():
            places = np.vstack([places, place])
    return places.T


def _wcs(shape):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = _CENTRE
    wcs.wcs.crpix = [(shape[1] + 1) / 2, (shape[0] + 1) / 2]
    wcs.wcs.cdelt = [-PIXEL_SCALE / 3600, PIXEL_SCALE / 3600]
    wcs.wcs.cunit = ["deg", "deg"]
    return wcs


def _truth(rows, wcs):
    columns = list(zip(*rows, strict=True)) or [[]] * 6
    truth = Table(
        columns,
        names=["id", "x", "y", "class", "kind", "mag_v"],
        dtype=[np.int32, float, float, np.int16, "U12", np.float32],
    )
    sky = wcs.pixel_to_world(truth["x"], truth["y"])
    truth.add_column(sky.ra, name="ra", index=3)
    truth.add_column(sky.dec, name="dec", index=4)
    for name in ("ra", "dec"):
        truth[name] = np.asarray(truth[name])
        truth[name].unit = u.deg
    return truth


def simulate_stamps(n, *, seed, size=50, workers=1, progress_bar=False):
    """Draw labelled postage stamps of simulated candidates.

    The four classes differ by shape, in the words of Wei et al. (2020, sec. 2): a resolved and
    round cluster; an elongated or lopsided one; several peaks on a diffuse patch; and stars,
    pairs, triples, saturated stars, background galaxies, fluff, cosmic rays and hot pixels. All
    stand among neighbours and field stars, on diffuse light, with the PSF and the noise of
    WFC3/UVIS in five bands, in galaxies at 3.5 to 20 Mpc.

    Parameters
    ----------
    n : int
        Number of stamps.
    seed : int or sequence of int
        Equal seeds give equal pixels, whatever ``workers`` is.
    size : int, optional
        Width of a stamp in pixels of 0.0396 arcsec.
    workers : int, optional
        Number of processes.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        ``data`` in e-/s, shape ``(n, 5, size, size)``. ``table`` has the truth: ``class``,
        ``kind`` and ``mag_v`` (Vega magnitude of the candidate; NaN for detector residue).

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> stamps = simulate_stamps(3, seed=1)
    >>> stamps.data.shape
    (3, 5, 50, 50)
    """
    if n < 0:
        raise ValueError(f"n must not be negative, got {n}")
    if size < 8:
        raise ValueError(f"size must be at least 8 pixels, got {size}")
    data = np.empty((n, len(BANDS), size, size), np.float32)
    seeds = np.random.SeedSequence(seed).spawn(n)
    task = partial(_simulate_stamp, size=size)
    rows = []
    with (
        threadpool_limits(1),
        ProcessPoolExecutor(workers, initializer=threadpool_limits, initargs=(1,)) as pool,
    ):
        drawn = pool.map(task, seeds, chunksize=32) if workers > 1 else map(task, seeds)
        for i, (image, *row) in enumerate(
            tqdm(drawn, total=n, unit="stamp", desc="simulating", disable=not progress_bar)
        ):
            data[i] = image
            rows.append(row)
    columns = list(zip(*rows, strict=True)) or [[], [], []]
    truth = Table(columns, names=["class", "kind", "mag_v"], dtype=[np.int16, "U12", np.float32])
    return Stamps(data, FILTERS, table=truth)


def _simulate_stamp(seed, *, size):
    rng = np.random.default_rng(seed)
    conditions = draw_conditions(rng)
    label = int(rng.integers(1, 5))
    shape = (size, size)
    # A stamp is centred on a rounded position, and catalogued positions err, some by a pixel.
    x, y = (size - 1) / 2 + rng.uniform(-0.5, 0.5, 2) + rng.normal(0, rng.exponential(0.4), 2)
    kind, sources = draw_candidate(label, rng, x, y, conditions)
    magnitude = v_magnitude(sources)
    if rng.random() < 0.5:  # a neighbour of any class, as half of all candidates have
        distance, angle = rng.uniform(8, 30), rng.uniform(0, 2 * np.pi)
        place = x + distance * np.cos(angle), y + distance * np.sin(angle)
        sources = sources + draw_candidate(int(rng.integers(1, 5)), rng, *place, conditions)[1]
    sources += field_stars(rng, shape, conditions)
    image = diffuse_light(rng, shape, conditions).astype(np.float32)
    if sources:
        image += draw_scene(sources, shape, conditions)
    add_residue(image, kind, x, y, rng)
    saturate(image, conditions)
    add_noise(image, conditions, rng)
    return image, label, kind, magnitude
