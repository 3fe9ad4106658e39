# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""How a simulated field is observed: galaxy, cameras, exposures, sky and registration."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from astroclust.catalogs import find_field
from astroclust.images import BANDS, PIXEL_SCALE
from astroclust.instruments import legus_zero_point
from astroclust.simulation.ingredients import PARAMETRIC, Ingredients
from astroclust.simulation.optics import Optics
from astroclust.simulation.psf import PSF_ANGLES

__all__ = ["Observation", "bands_of", "observe_like"]

# Filters and cameras of LEGUS's standard visits, and their exposure times in seconds, which are
# those of NGC 1566; archival images of ACS are as deep as those of NGC 628 (headers, PHANGS-HST).
_FILTERS = ("F275W", "F336W", "F438W", "F555W", "F814W")
_EXPOSURES = {"uvis": (2382.0, 1119.0, 965.0, 1143.0, 989.0), "acs": (0, 0, 1358.0, 858.0, 922.0)}
_FIELD_EXPOSURES = {
    "ngc628-c": (2481.0, 2361.0, 1358.0, 858.0, 922.0),
    "ngc628-e": (2361.0, 1119.0, 4720.0, 965.0, 1560.0),
    "ngc1433": (2376.0, 1116.0, 962.0, 1140.0, 986.0),
}


@dataclass(frozen=True, eq=False)
class Observation:
    """What all sources of a field have in common; arrays have a value for each band, NUV to I.

    Parameters
    ----------
    filters, cameras : tuple of str
        Such as ``"F555W"`` and ``"uvis"``.
    exposure_times : `~numpy.ndarray` of float64, shape (bands,)
        Seconds.
    sky_noise : `~numpy.ndarray` of float64, shape (bands,)
        Scatter of empty sky in e-/s a drizzled pixel.
    zero_points : `~numpy.ndarray` of float64, shape (bands,)
        Vega magnitude of 1 e-/s.
    extinction : `~numpy.ndarray` of float64, shape (bands,)
        Galactic extinction (mag).
    distance : float
        Megaparsec.
    blur : `~numpy.ndarray` of float64, shape (bands,)
        Gaussian blur beyond the mean PSF, in pixels: focus and guiding.
    shifts : `~numpy.ndarray` of float64, shape (bands, 2)
        What registration leaves, in x and y, in pixels.
    angle : int
        Orientation of the diffraction spikes, below `~astroclust.simulation.psf.PSF_ANGLES`.
    on_detector : tuple of float
        Where on the detector the field is, in x and y from 0 to 1, for a PSF that varies over it.
    ingredients : `~astroclust.simulation.ingredients.Ingredients`
        Real galaxies and PSFs, if there are any.
    """

    filters: tuple
    cameras: tuple
    exposure_times: np.ndarray
    sky_noise: np.ndarray
    zero_points: np.ndarray
    extinction: np.ndarray
    distance: float
    blur: np.ndarray
    shifts: np.ndarray
    angle: int
    on_detector: tuple = (0.5, 0.5)
    ingredients: Ingredients = PARAMETRIC

    @cached_property
    def optics(self):
        """Transfer functions, kept for as long as the observation lives."""
        return Optics(self)

    @property
    def pixel_pc(self):
        """Parsec a pixel."""
        return self.distance * 1e6 * np.radians(PIXEL_SCALE / 3600)

    @property
    def distance_modulus(self):
        """Distance modulus (mag)."""
        return 5 * np.log10(self.distance) + 25


def bands_of(field):
    """Filters and cameras of a field of LEGUS, its standard ones where no source names them."""
    filters = tuple(f or standard for f, standard in zip(field.filters, _FILTERS, strict=True))
    return filters, tuple(camera or "uvis" for camera in field.cameras)


def observe_like(name, rng, sky_noise, ingredients=PARAMETRIC):
    """Observe as a field of LEGUS was observed.

    Parameters
    ----------
    name : str
        A field of `~astroclust.catalogs.legus_fields`.
    rng : `~numpy.random.Generator`
        Draws registration, focus and orientation.
    sky_noise : array_like of float, shape (bands,)
        Scatter of empty sky in e-/s a drizzled pixel.
    ingredients : `~astroclust.simulation.ingredients.Ingredients`, optional
        Real galaxies and PSFs.

    Returns
    -------
    observation : `Observation`
        Cameras no source names are taken to be WFC3/UVIS.
    """
    field = find_field(name)
    filters, cameras = bands_of(field)
    exposures = _FIELD_EXPOSURES.get(field.name) or [
        _EXPOSURES[camera][i] for i, camera in enumerate(cameras)
    ]
    zero_points = [legus_zero_point(*key) for key in zip(cameras, filters, strict=True)]
    return Observation(
        filters=filters,
        cameras=cameras,
        exposure_times=np.array(exposures, float),
        sky_noise=np.array(sky_noise, float),
        zero_points=np.array(zero_points),
        extinction=np.nan_to_num(np.array(field.extinction, float)),
        distance=field.distance,
        blur=rng.uniform(0, 0.12) + rng.uniform(0, 0.06, len(BANDS)),
        shifts=rng.normal(0, 0.1, (len(BANDS), 2)) * (np.array(BANDS) != "V")[:, None],
        angle=int(rng.integers(PSF_ANGLES)),
        # Of numbers of its own: with and without a grid of PSFs all else is the same.
        on_detector=tuple(rng.spawn(1)[0].random(2).tolist()),
        ingredients=ingredients,
    )
