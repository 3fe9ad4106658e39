# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Completeness: artificial clusters in the user's own images, and the share that is found."""

import hashlib
import itertools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import galsim
import numpy as np
from astropy import units as u
from astropy.stats import binom_conf_interval
from astropy.table import Table, vstack
from scipy.spatial import KDTree
from tqdm import tqdm

from astroclust import __version__
from astroclust.files import check_output, replace_when_done
from astroclust.images import BANDS, PIXEL_SCALE, Band, ImageSet
from astroclust.photometry.apertures import measure_apertures
from astroclust.photometry.calibration import counts_to_rate, exposure_time, zero_point
from astroclust.selection import find_candidates
from astroclust.selection.presets import get_preset
from astroclust.simulation.scenes import Conditions, Source, draw_scene, eff_profile

__all__ = ["CLASS_1_COLORS", "limiting_magnitude", "measure_completeness"]

#: Band less V (Vega) of the median class-1 cluster of NGC 628C, without extinction.
CLASS_1_COLORS = {"NUV": -0.52, "U": -0.40, "B": 0.16, "V": 0.0, "I": -0.67}

# LEGUS's artificial clusters: Elson-Fall-Freeman profiles of slope 1.5, which here end at 20 core
# radii, 12.4 half-light radii.
_PROFILE, _EXTENT = eff_profile(1.5), 12.4
# Half the width of the package's own PSF in pixels: LEGUS's total magnitudes are within 20. Its
# blur is the mean of the simulated fields: a star has a concentration index of 1.14 in V.
_PSF_REACH, _PSF_BLUR = 32, 0.35
_SCALE_TOLERANCE = 0.05
# Light farther from a cluster than this is left out, in pixels.
_MAX_REACH = 200
# One cluster is drawn for so many square pixels, which leaves the crowding as it is. Pixels
# between two of them, from the edges, and from the centre that must be good.
_AREA, _SEPARATION, _EDGE, _CORE = 100**2, 30.0, 15, 4
# How often places are drawn that turn out to be bad before it is said that there are none.
_TRIES = 200
# Pixels within which a source is an injected cluster.
_MATCH = 2.0
# The bands that stand in for V where there is none, as in the pipeline.
_REFERENCE_ORDER = ("V", "I", "B", "U", "NUV")

_COLUMNS = {
    "round": int,
    "x": float,
    "y": float,
    "magnitude": float,
    "radius": float,
    "found": bool,
    "selected": bool,
    "measured_magnitude": float,
    "ci": float,
}


def measure_completeness(
    images,
    *,
    magnitudes,
    radii,
    n=50,
    distance=None,
    preset="legus",
    extinction=None,
    colors=None,
    psf=None,
    seed=0,
    checkpoint=None,
    workers=1,
    progress_bar=False,
):
    """Measure which clusters are found and selected, by injecting artificial ones into images.

    Round by round a few clusters, at most one for 100 x 100 pixels, are added to copies of the
    images, and the whole way of `~astroclust.selection.find_candidates` is gone. Clusters have
    the Elson-Fall-Freeman profile of slope 1.5 of LEGUS's tests (Adamo et al. 2017), the PSF and
    the photon noise of their light.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field; not changed.
    magnitudes : array_like of float, shape (k,)
        Total V magnitudes (Vega), without the Galactic extinction where ``extinction`` is given.
    radii : array_like of float or `~astropy.units.Quantity`, shape (m,)
        Half-light radii in pixels, parsec (which needs ``distance``) or on the sky.
    n : int, optional
        Clusters of each magnitude and radius.
    distance : `~astropy.units.Quantity` or float, optional
        Distance of the galaxy (Mpc where it has no unit); without it there is no cut in absolute
        magnitude.
    preset, extinction, workers : optional
        As `~astroclust.selection.find_candidates` takes them.
    colors : mapping, optional
        Filters or roles to the magnitude there less that in V, of all bands but V; by default
        `CLASS_1_COLORS`.
    psf : mapping, optional
        Filters or roles to the image of a star with the scale of the images, its centre that of
        the array; normalised here. By default that of WFC3/UVIS on pixels of 0.0396 arcsec, which
        is sharper than that of ACS.
    seed : int, optional
        Equal seeds give equal results.
    checkpoint : str or `~pathlib.Path`, optional
        File of all clusters (ECSV), written after each round; the same call goes on from the last
        one. By default nothing is kept.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    completeness : `~astropy.table.Table`, length k x m
        ``magnitude``, ``radius`` (as given), ``n``; the fractions ``found`` and ``selected``
        with the limits of their 68 per cent intervals (Wilson's), such as ``found_low`` and
        ``found_high``.

    Raises
    ------
    ValueError
        Where an argument is not accepted, a band has no zero point, the images are smaller than
        100 x 100 pixels or have no room, or ``checkpoint`` is that of another run or not whole.

    Notes
    -----
    A cluster is found where a source lies within 2 pixels, and more than half of the flux in V
    of that source was not there before: a brighter neighbour is no detection. It is selected
    where that source passes all cuts. Places are drawn where all bands have good pixels, at least
    15 pixels from the edges and 30 from each other.

    Where there is no image in V the magnitudes are still those in V; what is measured is in the
    first band there is of I, B, U and NUV. A copy of all bands has to fit into memory.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.completeness import measure_completeness
    >>> field = simulate_field(shape=(200, 200), seed=1)
    >>> result = measure_completeness(field.images, magnitudes=[20, 28], radii=[2], n=4)
    >>> result["selected"].tolist()
    [1.0, 0.0]
    """
    images = images if isinstance(images, ImageSet) else ImageSet(images)
    if min(images.shape) ** 2 < _AREA:
        raise ValueError(f"the images must be at least 100 x 100 pixels, not {images.shape}")
    if n < 1 or n % 1:
        raise ValueError(f"n must be a whole number of at least 1, not {n!r}")
    name, preset = preset, get_preset(preset)
    distance = _megaparsec(distance)
    magnitudes, radii, unit = _check_grid(magnitudes, radii)
    scale = _pixels(unit, images, distance)
    bands = _lights(images, preset, colors, extinction, psf)
    done = Table(names=list(_COLUMNS), dtype=list(_COLUMNS.values()))
    if checkpoint is not None:
        checkpoint = check_output(checkpoint, overwrite=True)
        settings = {
            "magnitudes": magnitudes.tolist(),
            "radii": (radii.tolist(), str(unit)),
            "n": n,
            "distance": distance,
            "preset": preset,
            "extinction": sorted((extinction or {}).items()),
            "colors or zero points": [light.unit_flux for light in bands],
            "psf": [_digest(light.psf) for light in bands],
            "seed": seed,
            "images": [_describe(light.band) for light in bands],
            "version of astroclust": __version__,
        }
        settings = {setting: repr(value) for setting, value in settings.items()}
        done = _read_checkpoint(checkpoint, settings) if checkpoint.exists() else done
    grid = np.array(list(itertools.product(magnitudes, radii)))
    n_all = int(n) * len(grid)
    with tqdm(
        total=n_all,
        initial=len(done),
        unit="cluster",
        desc="injecting",
        disable=not progress_bar,
    ) as bar:
        while len(done) < n_all:
            number = done["round"][-1] + 1 if len(done) else 0
            rng = np.random.default_rng([seed, number])
            x, y = _draw_places(images, n_all - len(done), rng)
            # All cells of the grid in turn, over the rounds.
            cells = grid[np.arange(len(done), len(done) + len(x)) % len(grid)]
            clusters = Table([np.full(len(x), number), x, y, *cells.T], names=list(_COLUMNS)[:5])
            sources = find_candidates(
                _inject(bands, clusters, scale, rng),
                distance=distance,
                preset=preset,
                extinction=extinction,
                keep_rejected=True,
                workers=workers,
            )
            done = vstack([done, _recover(clusters, sources, _reference(images), preset)])
            if checkpoint is not None:
                _write_checkpoint(done, checkpoint, settings)
            bar.update(len(clusters))
    result = _fractions(done, grid, unit)
    result.meta = {"SEED": seed, "ROUNDS": int(done["round"][-1]) + 1}
    if distance is not None:
        result.meta["DISTANCE"] = distance
    if isinstance(name, str):
        result.meta["PRESET"] = name
    return result


@dataclass(frozen=True, eq=False)
class _Light:
    """What makes light of magnitudes in one band."""

    band: Band
    unit_flux: float  # of V = 0, in the unit of the image
    psf: np.ndarray  # unit sum


def _check_grid(magnitudes, radii):
    """Magnitudes, radii and the unit of the radii, if they are accepted."""
    radii = u.Quantity(radii)
    unit = u.pix if radii.unit == u.dimensionless_unscaled else radii.unit
    grid = {"magnitudes": magnitudes, "radii": radii.value}
    for name, values in grid.items():
        grid[name] = values = np.unique(np.asarray(values, float))
        if not values.size:
            raise ValueError(f"{name} is empty: give at least one")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} must be finite numbers, not {values.tolist()}")
    if not np.all(grid["radii"] > 0):
        raise ValueError(f"radii must be positive, not {grid['radii'].min():g}")
    return *grid.values(), unit


def _megaparsec(distance):
    if distance is None:
        return None
    megaparsec = float(u.Quantity(distance, u.Mpc).value)
    if not megaparsec > 0:
        raise ValueError(f"distance must be positive, not {distance!r}")
    return megaparsec


def _pixels(unit, images, distance):
    """How many pixels one unit of length or angle is."""
    if unit == u.pix:
        return 1.0
    if unit.is_equivalent(u.pc):
        if distance is None:
            raise ValueError(f"radii in {unit} need a distance: give it, or radii in pixels")
        angle = u.Quantity(1, unit).to_value(u.Mpc) / distance * u.rad
    elif unit.is_equivalent(u.arcsec):
        angle = u.Quantity(1, unit)
    else:
        raise ValueError(f"radii must be in pixels, parsec or arcsec, not in {unit}")
    return float(angle.to_value(u.arcsec) / _scale(images))


def _scale(images):
    """Arcseconds a pixel; that of LEGUS without a WCS."""
    return PIXEL_SCALE if images.pixel_scale is None else images.pixel_scale.value


def _of_band(values, band):
    """What a mapping has for a band by its filter or role, or None."""
    known = {str(name).strip().upper(): value for name, value in values.items()}
    return known.get(band.filter, known.get(band.role))


def _reference(images):
    """The band that magnitudes are measured in."""
    return images[next(role for role in _REFERENCE_ORDER if role in images.roles)]


def _lights(images, preset, colors, extinction, psf):
    fluxes = _unit_fluxes(images, preset, colors, extinction)
    parts = zip(images.values(), fluxes, _psfs(images, psf), strict=True)
    return [_Light(*part) for part in parts]


def _unit_fluxes(images, preset, colors, extinction):
    """Flux of a cluster of V = 0 in each band, in the unit of the image."""
    colors = CLASS_1_COLORS if colors is None else {"V": 0.0, **colors}
    fluxes = []
    for band in images.values():
        given = preset.zero_points
        zero = zero_point(band, _of_band(given, band) if isinstance(given, Mapping) else given)
        if not np.isfinite(zero):
            raise ValueError(
                f"{band.filter} has no zero point for its unit and camera: give a preset of your "
                f"own with zero_points={{{band.filter!r}: ...}}, or leave the band out"
            )
        color = _of_band(colors, band)
        if color is None:
            raise ValueError(
                f"colors has no {band.filter}: it needs all bands but V, and has "
                f"{', '.join(map(str, colors))}"
            )
        dimming = _of_band(extinction or {}, band) or 0.0
        fluxes.append(float(10 ** (0.4 * (zero - color - dimming))))
    return fluxes


def _psfs(images, given):
    """The PSF of each band, shape (ny, nx), of unit sum."""
    if given is None:
        if abs(_scale(images) / PIXEL_SCALE - 1) > _SCALE_TOLERANCE:
            raise ValueError(
                f"the default psf is on pixels of {PIXEL_SCALE} arcsec, the images on pixels of "
                f"{_scale(images):.4f}: give psf"
            )
        given = _own_psfs()
    psfs = []
    for band in images.values():
        psf = _of_band(given, band)
        if psf is None:
            raise ValueError(
                f"psf has no {band.filter}: it has {', '.join(map(str, given))}; add that band, "
                "or leave it out of the images"
            )
        psf = np.array(psf, float)
        if psf.ndim != 2 or not np.isfinite(psf).all() or not psf.sum() > 0:
            raise ValueError(
                f"psf of {band.filter} must be a 2-D array of finite numbers with a positive sum, "
                f"not of shape {psf.shape} and sum {psf.sum():g}"
            )
        psfs.append(psf / psf.sum())
    return psfs


def _own_psfs():
    """The PSFs of the simulated fields by role."""
    star = Source(_PSF_REACH, _PSF_REACH, np.ones(len(BANDS)))
    conditions = Conditions(
        pixel_pc=1, faint_limit=0, depth=1, blur=np.full(len(BANDS), _PSF_BLUR), angle=0
    )
    return dict(zip(BANDS, draw_scene([star], (2 * _PSF_REACH + 1,) * 2, conditions), strict=True))


def _draw_places(images, most, rng):
    """Places on good pixels, one for each part of the image at most, in arrays x and y."""
    size = np.array(images.shape[::-1])
    for _ in range(_TRIES):
        places = rng.uniform(_EDGE, size - 1 - _EDGE, (max(size.prod() // _AREA, 1), 2))
        kept = np.empty((0, 2))
        for place in places:
            apart = (np.hypot(*(kept - place).T) >= _SEPARATION).all()
            if apart and all(_is_good(band, *place) for band in images.values()):
                kept = np.vstack([kept, place])
        if len(kept):
            return kept[:most].T
    raise ValueError(
        f"there is no room for clusters: at {_TRIES * len(places)} places pixels were bad or "
        "blank in one band or another; leave out bands that cover little of the field"
    )


def _is_good(band, x, y):
    """Whether the pixels about a place are good, and no row or column of them is blank."""
    x, y = round(x), round(y)
    part = np.s_[y - _CORE : y + _CORE + 1, x - _CORE : x + _CORE + 1]
    pixels = np.asarray(band.data[part])
    if not np.isfinite(pixels).all() or (band.mask is not None and band.mask[part].any()):
        return False
    return bool((pixels != 0).any(axis=0).all() and (pixels != 0).any(axis=1).all())


def _inject(bands, clusters, scale, rng):
    """Copies of the images with the light of clusters and its photon noise."""
    images = {}
    for light in bands:
        band = light.band
        data = np.array(band.data, np.result_type(band.data, np.float32))
        star = galsim.InterpolatedImage(
            galsim.Image(light.psf, scale=1), x_interpolant="lanczos15", normalization="flux"
        )
        electrons = exposure_time(band) * counts_to_rate(band)  # for one unit of the image
        for x, y, magnitude, radius in clusters.iterrows("x", "y", "magnitude", "radius"):
            image = _draw_cluster(star, x % 1, y % 1, radius * scale)
            image *= light.unit_flux * 10 ** (-0.4 * magnitude)
            if np.isfinite(electrons):
                image = rng.poisson(image * electrons) / electrons
            _add(data, image, int(x), int(y))
        images[band.filter] = replace(band, data=data)
    return ImageSet(images, roles={name: band.role for name, band in images.items()})


def _draw_cluster(star, dx, dy, radius):
    """A cluster of unit flux, at (dx, dy) from the centre of the central pixel."""
    reach = min(int(np.ceil(_EXTENT * radius)) + _PSF_REACH, _MAX_REACH)
    width = 2 * reach + 1
    cluster = galsim.Convolve(_PROFILE.dilate(radius), star)
    image = cluster.drawImage(
        nx=width, ny=width, scale=1, offset=(dx, dy), method="no_pixel", dtype=float
    )
    return np.maximum(image.array, 0)  # the wings of a sampled PSF ring


def _add(data, image, x, y):
    """Add an image whose centre is pixel (x, y), and which may reach over the edges."""
    reach = len(image) // 2
    bottom, left = max(y - reach, 0), max(x - reach, 0)
    part = data[bottom : y + reach + 1, left : x + reach + 1]
    bottom, left = bottom - y + reach, left - x + reach
    part += image[bottom : bottom + part.shape[0], left : left + part.shape[1]].astype(data.dtype)


def _recover(clusters, sources, reference, preset):
    """The clusters with what became of them."""
    result = clusters.copy()
    result["found"] = result["selected"] = np.zeros(len(clusters), bool)
    result["measured_magnitude"] = result["ci"] = np.full(len(clusters), np.nan)
    if not len(sources):
        return result
    tree = KDTree(np.column_stack([sources["x"], sources["y"]]))
    distance, nearest = tree.query(np.column_stack([clusters["x"], clusters["y"]]))
    sources, name = sources[nearest], reference.filter.lower()
    before = measure_apertures(
        [reference],
        sources["x"].data,
        sources["y"].data,
        np.atleast_1d(preset.radius)[:1],
        annulus=preset.annulus,
        sky=preset.sky,
    )[0].flux[:, 0]
    after = sources[f"flux_{name}"].data
    found = (distance <= _MATCH) & (after > 0) & (after > 2 * before)
    result["found"] = found
    result["selected"] = found & (sources["cuts"] == 0)
    for column, measured in (("measured_magnitude", f"mag_{name}"), ("ci", "ci")):
        values = np.ma.filled(np.ma.asarray(sources[measured], float), np.nan)
        result[column] = np.where(found, values, np.nan)
    return result


def _fractions(done, grid, unit):
    """The share of the clusters of each cell that were found and selected."""
    rows = [(done["magnitude"] == m) & (done["radius"] == r) for m, r in grid]
    result = Table(grid, names=["magnitude", "radius"])
    result["magnitude"].unit, result["radius"].unit = u.mag, unit
    result["n"] = np.array([np.count_nonzero(row) for row in rows])
    for name in ("found", "selected"):
        k = np.array([np.count_nonzero(done[name][row]) for row in rows])
        result[name] = k / result["n"]
        low, high = binom_conf_interval(k, result["n"], interval="wilson")
        result[f"{name}_low"] = np.where(k == 0, 0, low)  # but for rounding it is
        result[f"{name}_high"] = np.where(k == result["n"], 1, high)
    return result


def _describe(band):
    """What tells an image from another: a hundredth of its pixels, and its header."""
    rows = slice(None, None, max(len(band.data) // 100, 1))
    pixels = np.array(band.data[rows], np.float64)
    if band.mask is not None:
        pixels[band.mask[rows]] = np.nan
    unit = "" if band.unit is None else band.unit.to_string()
    return band.filter, band.data.shape, unit, exposure_time(band), _digest(pixels)


def _digest(*arrays):
    return hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in arrays)).hexdigest()


def _write_checkpoint(done, path, settings):
    done.meta = {"settings": settings, "digest": _digest(*done.itercols())}
    with replace_when_done(path, overwrite=True) as partial:
        done.write(partial, format="ascii.ecsv")


def _read_checkpoint(path, settings):
    """The clusters of a checkpoint, if it is whole and that of the same run."""
    mend = "remove it, or choose another file"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what other files have in their headers
            done = Table.read(path, format="ascii.ecsv")
        known, whole = done.meta["settings"], done.meta["digest"] == _digest(*done.itercols())
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no checkpoint of measure_completeness: {mend}") from error
    if not whole:
        raise ValueError(f"{path} is not as measure_completeness wrote it: {mend}")
    changed = [name for name, value in settings.items() if known.get(name) != value]
    if changed:
        raise ValueError(
            f"{path} is that of a run with other settings ({', '.join(changed)}): {mend}"
        )
    return done


def limiting_magnitude(completeness, *, fraction=0.5, column="selected"):
    """The magnitude at which completeness falls to a fraction, for each radius.

    Parameters
    ----------
    completeness : `~astropy.table.Table`
        As `measure_completeness` returns it.
    fraction : float, optional
        Between 0 and 1.
    column : str, optional
        ``"selected"`` or ``"found"``.

    Returns
    -------
    limits : `~astropy.table.Table`
        ``radius`` and ``magnitude``: where the fraction is crossed first, from bright to faint,
        on straight lines between the magnitudes; NaN where it is not.

    Raises
    ------
    ValueError
        Where the fraction or the column is another.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.completeness import limiting_magnitude
    >>> table = Table({"magnitude": [22.0, 23], "radius": [1.0, 1], "selected": [0.9, 0.1]})
    >>> print(limiting_magnitude(table))
    radius magnitude
    ------ ---------
       1.0      22.5
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be between 0 and 1, not {fraction!r}")
    if column not in ("found", "selected"):
        raise ValueError(f"column must be found or selected, not {column!r}")
    limits = Table({"radius": np.unique(completeness["radius"])})
    limits["radius"].unit = completeness["radius"].unit
    limits["magnitude"] = [
        _first_crossing(completeness[completeness["radius"] == radius], fraction, column)
        for radius in limits["radius"]
    ]
    limits["magnitude"].unit = completeness["magnitude"].unit
    return limits


def _first_crossing(rows, fraction, column):
    rows = rows[np.argsort(rows["magnitude"])]
    magnitude, share = np.asarray(rows["magnitude"]), np.asarray(rows[column])
    crossed = np.flatnonzero((share[:-1] >= fraction) & (share[1:] < fraction))
    if not crossed.size:
        return np.nan
    pair = slice(crossed[0], crossed[0] + 2)
    return float(np.interp(-fraction, -share[pair], magnitude[pair]))
