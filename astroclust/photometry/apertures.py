# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Sky-subtracted sums in circular apertures, for many sources and bands at a time."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from photutils.geometry import circular_overlap_grid
from tqdm import tqdm

from astroclust.detection.tiles import run_tasks, task_pool

__all__ = ["ANNULUS", "Apertures", "Fluxes", "measure_apertures"]

#: Inner and outer radius of the sky annulus of LEGUS, in pixels.
ANNULUS = (7.0, 8.0)

# Sources per chunk, fewer for wider annuli: bounds the memory.
_CHUNK = 2000
# IRAF's rejection of sky pixels (fitskypars): threshold in standard deviations, and iterations.
_SKY_CLIP, _SKY_ROUNDS = 3.0, 50
# Minimum number of sky pixels for a level and its scatter.
_MIN_SKY_PIXELS = 10
# Noise is hardly ever exactly 0: an annulus with a larger fraction of zeros is partly blank.
_MAX_BLANK = 0.1


@dataclass(frozen=True)
class Apertures:
    """Circular apertures and their sky annuli.

    Parameters
    ----------
    radius : float or sequence of float, optional
        Radius of the aperture in pixels (LEGUS: 4). The first of several is used for magnitudes;
        each of the others has its own flux columns, such as ``flux_f555w_r1``.
    annulus : tuple of float, optional
        Inner and outer radius of the sky annulus in pixels (LEGUS: 7 and 8; PHANGS-HST: 7 and 9).
    sky_statistic : str, optional
        Sky level after 3 sigma rejection: ``"median"``; or ``"mode"``, 3 median - 2 mean, IRAF's
        mode as used by LEGUS, which suits crowded regions and is 2.5 times as noisy as the mean.
        (IRAF's median is the mean of several values around the median.)

    Examples
    --------
    >>> from astroclust import measure_photometry, simulate_field
    >>> from astroclust.photometry import Apertures
    >>> field = simulate_field(shape=(128, 128), seed=1, density=1e-3)
    >>> result = measure_photometry(
    ...     field.truth["x", "y"], field.images, apertures=Apertures(radius=(4, 1))
    ... )
    >>> result.colnames[2:5]
    ['flux_f275w', 'flux_err_f275w', 'flux_f275w_r1']
    """

    radius: float | Sequence[float] = 4.0
    annulus: tuple[float, float] = ANNULUS
    sky_statistic: str = "median"


@dataclass(frozen=True)
class Fluxes:
    """Fluxes of n sources in k apertures of one band.

    Parameters
    ----------
    flux : `~numpy.ndarray`, shape (n, k)
        Sky-subtracted sum, in the unit of the image; NaN if the aperture is incomplete, or all 0 in
        a floating-point image.
    scatter : `~numpy.ndarray`, shape (n,)
        Standard deviation of the sky pixels.
    noise : `~numpy.ndarray`, shape (n,)
        Standard deviation of the sky pixels about a linear fit in radius, which excludes the wings
        of the source.
    n_sky : `~numpy.ndarray`, shape (n,)
        Number of sky pixels after rejection.
    variance : `~numpy.ndarray`, shape (n, k)
        Sum of the pixel variances; NaN if the image has no uncertainties.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.images import read_image
    >>> from astroclust.photometry import Fluxes, measure_apertures
    >>> band, position = read_image(np.ones((40, 40))), np.array([20.0])
    >>> (fluxes,) = measure_apertures([band], position, position, [1, 3])
    >>> isinstance(fluxes, Fluxes), fluxes.flux.shape
    (True, (1, 2))
    """

    flux: np.ndarray
    scatter: np.ndarray
    noise: np.ndarray
    n_sky: np.ndarray
    variance: np.ndarray


def measure_apertures(
    bands, x, y, radii, *, annulus=ANNULUS, sky_statistic="median", workers=1, progress_bar=False
):
    """Measure all bands at the same positions.

    Parameters
    ----------
    bands : list of `~astroclust.images.Band`
        Images of one shape.
    x, y : `~numpy.ndarray`, shape (n,)
        Positions in pixels; NaN and positions off the image are not measured.
    radii : sequence of float, length k
        Radii of the apertures in pixels; pixels on the edge are weighted by overlap.
    annulus : tuple of float, optional
        Inner and outer radius of the sky annulus, to which pixels belong by their centers.
    sky_statistic : str, optional
        ``"median"``, or ``"mode"``: 3 median - 2 mean, after rejection as in IRAF.
    workers : int or `~concurrent.futures.Executor`, optional
        Number of processes, or a pool; see `~astroclust.detection.find_sources`. It does not affect
        the result.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    fluxes : list of `Fluxes`
        One for each band.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.images import read_image
    >>> from astroclust.photometry import measure_apertures
    >>> image = np.ones((40, 40))
    >>> image[20, 20] += 5
    >>> position = np.array([20.0])
    >>> (fluxes,) = measure_apertures([read_image(image)], position, position, [2])
    >>> float(fluxes.flux[0, 0].round(6))
    5.0
    """
    _check(annulus, sky_statistic)
    ny, nx = bands[0].data.shape
    on_image = (x >= -0.5) & (x < nx - 0.5) & (y >= -0.5) & (y < ny - 0.5)
    # Sorted by y, so that a memory map is read once, front to back.
    rows = np.flatnonzero(on_image)
    rows = rows[np.argsort(y[rows], kind="stable")]
    results = [_nothing(len(x), len(radii)) for _ in bands]
    size = max(1, int(_CHUNK * (10 / max(10, *radii, annulus[1])) ** 2))
    chunks = [rows[start : start + size] for start in range(0, len(rows), size)]
    half = int(np.ceil(max(*radii, annulus[1]) + 0.5))
    settings = radii, annulus, sky_statistic
    # Workers receive the pixels around their sources, because they may not see the files.
    tasks = (
        (x[c], y[c], [_Boxes.around(x[c], y[c], half, band) for band in bands], *settings)
        for c in chunks
    )
    progress = {"unit": "aperture", "desc": "measuring", "disable": not progress_bar}
    with task_pool(workers) as pool, tqdm(total=len(rows) * len(bands), **progress) as bar:
        pool = pool if len(chunks) > 1 else None
        for i, measured in run_tasks(pool, _measure_boxes, tasks, workers=workers):
            for result, parts in zip(results, measured, strict=True):
                for values, new in zip(_parts(result), parts, strict=True):
                    values[chunks[i]] = new
            bar.update(len(chunks[i]) * len(bands))
    return results


def _check(annulus, sky_statistic):
    if sky_statistic not in ("median", "mode"):
        raise ValueError(f"sky_statistic must be median or mode, not {sky_statistic!r}")
    if np.shape(annulus) != (2,) or not 0 <= annulus[0] < annulus[1]:
        raise ValueError(f"annulus must be two radii, the smaller first, not {annulus!r}")
    area = np.pi * (annulus[1] ** 2 - annulus[0] ** 2)
    if area < 2 * _MIN_SKY_PIXELS:
        raise ValueError(
            f"annulus must contain at least {2 * _MIN_SKY_PIXELS} pixels, not {area:.1f}"
        )


def _nothing(n, k):
    return Fluxes(
        flux=np.full((n, k), np.nan),
        scatter=np.full(n, np.nan),
        noise=np.full(n, np.nan),
        n_sky=np.zeros(n, int),
        variance=np.full((n, k), np.nan),
    )


def _parts(fluxes):
    return fluxes.flux, fluxes.scatter, fluxes.noise, fluxes.n_sky, fluxes.variance


@dataclass(frozen=True)
class _Boxes:
    """Square boxes of one band, centered on the pixels of m sources, of shape (m, n, n).

    Parameters
    ----------
    pixels : `~numpy.ndarray` of float
        NaN for pixels that are bad or off the image.
    variances : `~numpy.ndarray` of float, or None
        Variances of the pixels, if the image has uncertainties.
    may_be_blank : bool
        Whether pixels that are exactly 0 may be outside the exposures.
    """

    pixels: np.ndarray
    variances: np.ndarray | None
    may_be_blank: bool

    @classmethod
    def around(cls, x, y, half, band):
        """Read the boxes, which extend ``half`` pixels to each side."""
        rows, columns = _rows_and_columns(x, y, half)
        ny, nx = band.data.shape
        index = np.clip(rows, 0, ny - 1), np.clip(columns, 0, nx - 1)
        pixels = band.pixels(index, float)
        if not all(map(np.array_equal, index, (rows, columns))):
            pixels[(index[0] != rows) | (index[1] != columns)] = np.nan
        return cls(pixels, band.variances(index), np.asarray(band.data).dtype.kind == "f")


def _rows_and_columns(x, y, half):
    """Pixels of the boxes around sources, of shapes (m, n, 1) and (m, 1, n)."""
    offset = np.arange(-half, half + 1)
    rows, columns = (np.round(part).astype(int)[:, None] + offset for part in (y, x))
    return rows[:, :, None], columns[:, None, :]


def _measure_boxes(x, y, boxes, radii, annulus, sky_statistic):
    """The arrays of `Fluxes` of sources in each band."""
    grid = _Grid(x, y, boxes[0].pixels.shape[-1] // 2, radii, annulus)
    return [grid.measure(box, sky_statistic) for box in boxes]


class _Grid:
    """Membership of the pixels around m sources in the apertures and the sky annulus."""

    def __init__(self, x, y, half, radii, annulus):
        rows, columns = _rows_and_columns(x, y, half)
        dx, dy = columns[:, 0] - x[:, None], rows[:, :, 0] - y[:, None]
        self.areas = np.pi * np.asarray(radii, float) ** 2
        n = 2 * half + 1
        self.weights = np.empty((len(radii), len(x), n, n), np.float32)
        for (k, radius), i in itertools.product(enumerate(radii), range(len(x))):
            edges = dx[i, 0] - 0.5, dx[i, -1] + 0.5, dy[i, 0] - 0.5, dy[i, -1] + 0.5
            self.weights[k, i] = circular_overlap_grid(*edges, n, n, radius, 1, 1)
        distance = np.hypot(dx[:, None, :], dy[:, :, None])
        ring = (distance >= annulus[0]) & (distance < annulus[1])
        # Pixels in the annulus of any source, so that few others are sorted.
        self.near_ring = ring.any(axis=0)
        self.ring, self.radius = ring[:, self.near_ring], distance[:, self.near_ring]

    def measure(self, boxes, sky_statistic):
        """The arrays of `Fluxes`: shape (m, k) for the first and the last, (m,) for the others."""
        pixels = boxes.pixels
        ring = np.where(self.ring, pixels[:, self.near_ring], np.nan)
        _drop_blank(ring)
        level, scatter, n_sky = _sky(ring, sky_statistic)
        noise = _scatter_about_line(ring, self.radius, level, scatter)
        bad = np.isnan(pixels)
        broken = np.zeros((len(pixels), len(self.areas)), bool)
        if bad.any():
            broken |= self._sums(bad) > 0
        if boxes.may_be_blank and not pixels.all():
            broken |= self._sums(pixels != 0) == 0
        total = self._sums(np.where(bad, 0, pixels))
        flux = np.where(broken, np.nan, total - level[:, None] * self.areas)
        return flux, scatter, noise, n_sky, self._variance(boxes, flux)

    def _sums(self, pixels):
        """Sums over the apertures, shape (m, k)."""
        return np.einsum("kmyx,myx->mk", self.weights, pixels, dtype=float)

    def _variance(self, boxes, flux):
        """Sums of the variances over the apertures, shape (m, k)."""
        if boxes.variances is None:
            return np.full_like(flux, np.nan)
        return np.einsum("kmyx,myx->mk", self.weights**2, boxes.variances, dtype=float)


def _drop_blank(ring):
    """Replace zeros by NaN in annuli that extend beyond the exposed area."""
    blank = ring == 0
    fraction = blank.sum(axis=1) / np.maximum(np.isfinite(ring).sum(axis=1), 1)
    ring[blank & ((fraction > _MAX_BLANK) & (fraction < 1))[:, None]] = np.nan


def _sky(ring, statistic):
    """Level, scatter and number of the sky pixels in each row of ``ring``; NaN is ignored."""
    ring = np.sort(ring, axis=1)  # NaN sorts last
    n = len(ring)
    first, last = np.zeros(n, int), np.isfinite(ring).sum(axis=1)
    enough = last >= _MIN_SKY_PIXELS
    # Cumulative sums of the sorted values give those of any range; centered to keep precision.
    middle = ring[np.arange(n), np.maximum(last - 1, 0) // 2]
    values = np.nan_to_num(ring - middle[:, None], posinf=0, neginf=0)
    sums = [np.pad(np.cumsum(values**power, axis=1), ((0, 0), (1, 0))) for power in (1, 2)]
    inside = np.arange(values.shape[1])
    rows = np.flatnonzero(enough)  # those whose limits still move
    for _ in range(_SKY_ROUNDS):
        own, start, end = values[rows], first[rows], last[rows]
        level, scatter = _statistics(own, [part[rows] for part in sums], start, end, statistic)
        low = np.sum(own < (level - _SKY_CLIP * scatter)[:, None], axis=1)
        not_high = own <= (level + _SKY_CLIP * scatter)[:, None]
        high = np.sum(not_high & (inside < end[:, None]), axis=1)
        low, high = np.maximum(start, low), np.minimum(end, high)
        shrinks = (high - low >= _MIN_SKY_PIXELS) & ((low > start) | (high < end))
        rows = rows[shrinks]
        if not len(rows):
            break
        first[rows], last[rows] = low[shrinks], high[shrinks]
    level, scatter = _statistics(values, sums, first, last, statistic)
    level = np.where(enough, level + middle, np.nan)
    return level, np.where(enough, scatter, np.nan), np.where(enough, last - first, 0)


def _statistics(values, sums, first, last, statistic):
    """Level and standard deviation of the values from ``first`` to ``last`` in each row."""
    rows, n = np.arange(len(values)), np.maximum(last - first, 1)
    total, squares = (part[rows, last] - part[rows, first] for part in sums)
    mean = total / n
    scatter = np.sqrt(np.maximum(squares - n * mean**2, 0) / np.maximum(n - 1, 1))
    lower, upper = first + (n - 1) // 2, first + n // 2
    median = (values[rows, lower] + values[rows, np.minimum(upper, values.shape[1] - 1)]) / 2
    return (median if statistic == "median" else 3 * median - 2 * mean), scatter


def _scatter_about_line(ring, radius, level, scatter):
    """Standard deviation of the unrejected pixels of each row about a linear fit in radius."""
    with np.errstate(invalid="ignore"):
        good = np.abs(ring - level[:, None]) <= _SKY_CLIP * scatter[:, None]
        n = good.sum(axis=1)
        values, radius = (
            np.where(good, part - np.sum(part, axis=1, where=good, keepdims=True) / n[:, None], 0)
            for part in (ring, radius)
        )
        slope = np.sum(values * radius, axis=1) / np.sum(radius**2, axis=1)
        rest = values - slope[:, None] * radius
        return np.sqrt(np.sum(rest**2, axis=1) / (n - 2))
