# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""User-supplied galaxies and PSFs that replace parametric ones in simulations."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike

import galsim
import numpy as np
from astropy.stats import sigma_clipped_stats
from photutils.segmentation import detect_sources
from photutils.utils.exceptions import NoDetectionsWarning

from astroclust.files import open_fits
from astroclust.simulation.psf import PSFGrid, empirical_psf

__all__ = ["PARAMETRIC", "Ingredients", "galaxy_profile"]

# Detection threshold of a galaxy in units of the noise, and minimum number of connected pixels.
_THRESHOLD, _N_PIXELS = 1.5, 20


@dataclass(frozen=True, eq=False)
class Ingredients:
    """Real galaxies and PSFs for a simulation; by default everything is parametric.

    Parameters
    ----------
    galaxies : tuple of `~galsim.GSObject`, optional
        Profiles of unit flux with a half-light radius of 1, from `galaxy_profile`.
    psf : mapping of (str, str) to `~astroclust.simulation.psf.PSFGrid`, optional
        Grids of empirical PSFs by camera and filter.
    """

    galaxies: tuple = ()
    psf: Mapping = field(default_factory=dict)

    @classmethod
    def read(cls, galaxies=None, psf=None):
        """Read the arguments ``galaxies`` and ``psf`` of `~astroclust.simulation.simulate_field`.

        Parameters
        ----------
        galaxies : path-like or sequence of array_like, optional
            FITS file with one galaxy per extension, or the stamps themselves.
        psf : mapping, optional
            Mapping from ``(camera, filter)`` to a `~astroclust.simulation.psf.PSFGrid` or the path
            of a STDPSF file.

        Returns
        -------
        ingredients : `Ingredients`
            The profiles and grids.

        Raises
        ------
        TypeError
            If ``psf`` is not a mapping.
        ValueError
            If no stamp has a galaxy at its center, or a file is not a grid of PSFs.
        """
        profiles = () if galaxies is None else _profiles(galaxies)
        if psf is not None and not isinstance(psf, Mapping):
            raise TypeError(
                "psf must map (camera, filter) to a PSFGrid or a path, such as "
                f"{{('uvis', 'F814W'): 'stdpsf.fits'}}, not {type(psf).__name__}"
            )
        return cls(profiles, {pair: _grid(pair, grid) for pair, grid in (psf or {}).items()})


#: Parametric galaxies and PSFs only.
PARAMETRIC = Ingredients()


def _grid(pair, grid):
    if isinstance(grid, PSFGrid):
        return grid
    camera, filter_name = pair
    return empirical_psf(grid, camera=camera, filter_name=filter_name)


def _profiles(galaxies):
    """Profiles of all stamps with a galaxy at the center."""
    stamps, source = galaxies, "galaxies"
    if isinstance(galaxies, (str, PathLike)):
        with open_fits(galaxies) as hdus:
            stamps = [np.array(hdu.data) for hdu in hdus if hdu.is_image and hdu.data is not None]
        source = str(galaxies)
    stamps = [np.asarray(stamp, float) for stamp in stamps]
    wrong = next((stamp.shape for stamp in stamps if stamp.ndim != 2), None)
    if wrong is not None:
        raise ValueError(f"{source} must have 2-D stamps of galaxies, not of shape {wrong}")
    isolated = [image for image in map(_isolate, stamps) if image is not None]
    if not isolated:
        raise ValueError(
            f"{source} has no galaxies, as none of its {len(stamps)} stamps has a source in the "
            "center; center the stamps on galaxies"
        )
    return tuple(map(galaxy_profile, isolated))


def _isolate(stamp):
    """Galaxy at the center of a stamp without sky, noise and neighbors, or None."""
    _, sky, noise = sigma_clipped_stats(stamp)
    with warnings.catch_warnings(action="ignore", category=NoDetectionsWarning):
        segments = detect_sources(stamp - sky, _THRESHOLD * noise, _N_PIXELS)
    ny, nx = stamp.shape
    label = 0 if segments is None else segments.data[ny // 2, nx // 2]
    return np.where(segments.data == label, stamp - sky, 0.0) if label else None


def galaxy_profile(light):
    """GalSim profile of a real galaxy with a half-light radius of 1, including its PSF.

    Parameters
    ----------
    light : `~numpy.ndarray` of float64, shape (ny, nx)
        Image of the galaxy alone, without sky.

    Returns
    -------
    profile : `~galsim.GSObject`
        Profile of unit flux, centered on its centroid.
    """
    light = light / light.sum()
    y, x = np.indices(light.shape)
    center = [float((axis * light).sum()) for axis in (x, y)]
    distance = np.hypot(x - center[0], y - center[1]).ravel()
    order = np.argsort(distance)
    half = distance[order][np.searchsorted(np.cumsum(light.ravel()[order]), 0.5)]
    middle = [(size - 1) / 2 for size in light.shape[::-1]]
    profile = galsim.InterpolatedImage(galsim.Image(light, scale=1.0), flux=1.0)
    profile = profile.shift(middle[0] - center[0], middle[1] - center[1])
    return profile.dilate(1 / max(half, 1.0))
