# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Observing setup of a simulated field: galaxy, cameras, exposures, sky and registration."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from astropy import units as u
from astropy.coordinates import Distance

from astroclust.catalogs import find_field
from astroclust.instruments import LEGUS_BANDS, find_filter, find_instrument, legus_zero_point
from astroclust.simulation.ingredients import PARAMETRIC, Ingredients
from astroclust.simulation.optics import Optics
from astroclust.simulation.psf import PSF_ANGLES
from astroclust.simulation.telescopes import psf_parameters
from astroclust.simulation.template import N_BANDS, V

__all__ = ["Observation", "bands_of", "observe_like", "observe_with"]

# Filters and cameras of LEGUS's standard visits, with the exposure times (s) of NGC 1566; archival
# ACS images are as deep as those of NGC 628 (headers, PHANGS-HST).
_FILTERS = ("F275W", "F336W", "F438W", "F555W", "F814W")
_EXPOSURES = {"uvis": (2382.0, 1119.0, 965.0, 1143.0, 989.0), "acs": (0, 0, 1358.0, 858.0, 922.0)}
_FIELD_EXPOSURES = {
    "ngc628-c": (2481.0, 2361.0, 1358.0, 858.0, 922.0),
    "ngc628-e": (2361.0, 1119.0, 4720.0, 965.0, 1560.0),
    "ngc1433": (2376.0, 1116.0, 962.0, 1140.0, 986.0),
}
# Exposure times (s) of other broad and narrow filters (the latter narrower than this width in
# Angstrom): about those of LEGUS, its H-alpha survey, and PHANGS-JWST.
_BROAD, _NARROW, _NARROWEST = 1000.0, 1500.0, 300.0
# Sky brightness in AB mag/arcsec2 by wavelength in Angstrom, interpolated: zodiacal light has the
# color of the Sun, with V of 22.7 (WFC3 Instrument Handbook, sec. 9.7) and 0.1 to 0.3 MJy/sr in the
# near infrared (JWST User Documentation).
_SKY_WAVELENGTHS = (2000.0, 2700.0, 3360.0, 4330.0, 5310.0, 8020.0, 16000.0, 30000.0, 48000.0)
_SKY_BRIGHTNESS = (27.0, 25.6, 24.2, 23.2, 22.7, 22.3, 22.2, 22.6, 21.5)
# Detector exposures per image, each with one readout.
_READOUTS = 3


@dataclass(frozen=True, eq=False)
class Observation:
    """Properties common to all sources of a field; arrays have one value per band, in order.

    Parameters
    ----------
    filters, cameras : tuple of str
        Such as ``"F555W"`` and ``"uvis"``.
    exposure_times : `~numpy.ndarray` of float64, shape (bands,)
        Exposure times in seconds.
    sky_noise : `~numpy.ndarray` of float64, shape (bands,)
        Scatter of empty sky in e-/s per drizzled pixel.
    zero_points : `~numpy.ndarray` of float64, shape (bands,)
        Vega magnitude of 1 e-/s.
    extinction : `~numpy.ndarray` of float64, shape (bands,)
        Galactic extinction (mag).
    distance : float
        Distance in Mpc.
    blur : `~numpy.ndarray` of float64, shape (bands,)
        Gaussian blur in excess of the mean PSF, in pixels, from focus and guiding.
    shifts : `~numpy.ndarray` of float64, shape (bands, 2)
        Residual registration errors in x and y, in pixels.
    angle : int
        Orientation of the diffraction spikes, less than `~astroclust.simulation.psf.PSF_ANGLES`.
    on_detector : tuple of float
        Position on the detector, x and y from 0 to 1, for a spatially varying PSF.
    ingredients : `~astroclust.simulation.ingredients.Ingredients`
        Real galaxies and PSFs, if any.
    pixel_scale : float
        Width of a drizzled pixel, in arcsec.
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
    pixel_scale: float = LEGUS_BANDS.pixel_scale

    @cached_property
    def optics(self):
        """Transfer functions, cached for the lifetime of the observation."""
        return Optics(self)

    @property
    def pixel_pc(self):
        """Parsecs per pixel."""
        return self.distance * 1e6 * np.radians(self.pixel_scale / 3600)

    @property
    def passbands(self):
        """The `~astroclust.instruments.Filter` of each band."""
        return [find_filter(*pair) for pair in zip(self.cameras, self.filters, strict=True)]

    @property
    def distance_modulus(self):
        """Distance modulus (mag)."""
        return Distance(self.distance, u.Mpc).distmod.value


def bands_of(field):
    """Filters and cameras of a LEGUS field, with the standard ones if they are not documented."""
    filters = tuple(f or standard for f, standard in zip(field.filters, _FILTERS, strict=True))
    return filters, tuple(camera or "uvis" for camera in field.cameras)


def observe_like(name, rng, sky_noise, ingredients=PARAMETRIC):
    """Simulate the observing setup of a LEGUS field.

    Parameters
    ----------
    name : str
        Name of a field; see `~astroclust.catalogs.legus_fields`.
    rng : `~numpy.random.Generator`
        Random number generator for registration, focus and orientation.
    sky_noise : array_like of float, shape (bands,)
        Scatter of empty sky in e-/s per drizzled pixel.
    ingredients : `~astroclust.simulation.ingredients.Ingredients`, optional
        Real galaxies and PSFs.

    Returns
    -------
    observation : `Observation`
        Undocumented cameras are assumed to be WFC3/UVIS.
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
        blur=rng.uniform(0, 0.12) + rng.uniform(0, 0.06, N_BANDS),
        shifts=rng.normal(0, 0.1, (N_BANDS, 2)) * (np.arange(N_BANDS) != V)[:, None],
        angle=int(rng.integers(PSF_ANGLES)),
        # From a separate generator: all else is the same with and without a grid of PSFs.
        on_detector=tuple(rng.spawn(1)[0].random(2).tolist()),
        ingredients=ingredients,
    )


def observe_with(pairs, pixel_scale, like, rng):
    """Observe the field of another observation with different filters.

    Parameters
    ----------
    pairs : sequence of pair of str
        Camera and filter of each band.
    pixel_scale : float
        Width of a drizzled pixel, in arcsec.
    like : `Observation`
        Observation with the distance, detector position and real PSFs.
    rng : `~numpy.random.Generator`
        Random number generator for registration, focus and orientation.

    Returns
    -------
    observation : `Observation`
        Exposure times are typical of surveys; the sky noise is that of zodiacal light and detector
        readout.

    Raises
    ------
    ValueError
        If a filter has no PSF or no zero point.
    """
    filters = [_simulated_filter(*pair) for pair in pairs]
    times = np.array([_NARROW if item.width < _NARROWEST else _BROAD for item in filters])
    sky = np.interp(
        np.log([item.pivot for item in filters]), np.log(_SKY_WAVELENGTHS), _SKY_BRIGHTNESS
    )
    zero_points = np.array([item.rate_zero_point for item in filters])
    rate = 10 ** (0.4 * (zero_points - sky)) * pixel_scale**2
    cameras = [find_instrument(camera) for camera, _ in pairs]
    # Readouts of detector pixels, scaled to the area of drizzled pixels.
    read = np.array([item.read_noise * pixel_scale / item.pixel_scale for item in cameras])
    variance = (rate * times + _READOUTS * read**2) / times**2
    # The common quantities are in units of LEGUS's pixels.
    scale, n = LEGUS_BANDS.pixel_scale / pixel_scale, len(pairs)
    return Observation(
        filters=tuple(name for _, name in pairs),
        cameras=tuple(camera for camera, _ in pairs),
        exposure_times=times,
        sky_noise=np.sqrt(variance),
        zero_points=zero_points - np.nan_to_num([item.ab_of_vega for item in filters]),
        extinction=np.zeros(n),
        distance=like.distance,
        blur=scale * (rng.uniform(0, 0.12) + rng.uniform(0, 0.06, n)),
        shifts=scale * rng.normal(0, 0.1, (n, 2)),
        angle=int(rng.integers(PSF_ANGLES)),
        on_detector=like.on_detector,
        ingredients=like.ingredients,
        pixel_scale=pixel_scale,
    )


def _simulated_filter(camera, name):
    psf_parameters(camera, name)
    item = find_filter(camera, name)
    if not np.isfinite(item.rate_zero_point):
        raise ValueError(
            f"{name} of {camera} has no AB zero point, which a simulation needs; register it with "
            "the ab_zero_point of astroclust.instruments.Filter"
        )
    return item
