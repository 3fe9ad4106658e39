# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Completeness: artificial clusters in the user's own images, and the share that is found."""

import hashlib
import itertools
from pathlib import Path

import galsim
import numpy as np
from astropy import units as u
from astropy.stats import binom_conf_interval
from astropy.table import Table, vstack
from scipy.spatial import KDTree
from tqdm import tqdm

from astroclust.files import check_output, replace_when_done
from astroclust.images import BANDS, PIXEL_SCALE, ImageSet
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
    first band there is of I, B, U and NUV.

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
    if n < 1:
        raise ValueError(f"n must be at least 1, not {n!r}")
    preset = get_preset(preset)
    distance = None if distance is None else float(u.Quantity(distance, u.Mpc).value)
    if distance is not None and not distance > 0:
        raise ValueError(f"distance must be positive, not {distance!r}")
    magnitudes = _sorted_values(magnitudes, "magnitudes")
    radii, unit = _radii(radii)
    scale = _pixels_per(unit, images, distance)
    fluxes = [_unit_flux(band, preset, colors, extinction) for band in images.values()]
    psfs = [_check_psf(psf, band) for band in images.values()] if psf else _own_psfs(images)
    settings = {
        "magnitudes": magnitudes.tolist(),
        "radii": (radii.tolist(), str(unit)),
        "n": int(n),
        "distance": distance,
        "preset": preset,
        "extinction": sorted((extinction or {}).items()),
        "colors and zero points": fluxes,
        "psf": _digest(*psfs),
        "seed": int(seed),
        "images": [_describe(band) for band in images.values()],
    }
    settings = {name: repr(value) for name, value in settings.items()}
    done = Table(names=list(_COLUMNS), dtype=list(_COLUMNS.values()))
    if checkpoint is not None:
        checkpoint = check_output(checkpoint, overwrite=True)
        if checkpoint.exists():
            done = _read_checkpoint(checkpoint, settings)
    grid = list(itertools.product(magnitudes.tolist(), radii.tolist()))
    with tqdm(
        total=n * len(grid),
        initial=len(done),
        unit="cluster",
        desc="injecting",
        disable=not progress_bar,
    ) as bar:
        while len(done) < n * len(grid):
            number = int(done["round"][-1]) + 1 if len(done) else 0
            rng = np.random.default_rng([seed, number])
            x, y = _draw_places(images, n * len(grid) - len(done), rng)
            # All cells of the grid in turn, over the rounds.
            cells = [grid[i % len(grid)] for i in range(len(done), len(done) + len(x))]
            clusters = Table([x, y, *np.transpose(cells)], names=list(_COLUMNS)[1:5])
            injected = _inject(images, clusters, scale, fluxes, psfs, rng)
            sources = find_candidates(
                injected,
                distance=distance,
                preset=preset,
                extinction=extinction,
                keep_rejected=True,
                workers=workers,
            )
            _recover(clusters, sources, images, preset)
            clusters.add_column(number, index=0, name="round")
            done = vstack([done, clusters])
            if checkpoint is not None:
                _write_checkpoint(done, checkpoint, settings)
            bar.update(len(clusters))
    result = _fractions(done, grid, unit)
    result.meta = {"SEED": int(seed), "ROUNDS": int(done["round"][-1]) + 1, "SLOPE": 1.5}
    if distance is not None:
        result.meta["DISTANCE"] = distance
    if isinstance(preset_name, str):
        result.meta["PRESET"] = preset_name
    return result
