# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Real galaxies and a real PSF for simulated fields, from files of the user.

They are used where the environment variable ``ASTROCLUST_DATA`` names a folder that has them:
``gal_hst_cosmos_f814w/real_galaxy_images_23.5_n1.fits``, stamps of galaxies in the format of GalSim
(Mandelbaum et al. 2014), and ``psf_wfc3uvis_f814w_stdpsf/emp_psf_f814w.fits``, STScI's grid of
empirical PSFs. The package has neither.
"""

import os
from functools import lru_cache
from pathlib import Path

import galsim
import numpy as np
from astropy.stats import sigma_clipped_stats
from photutils.segmentation import detect_sources

from astroclust.files import open_fits
from astroclust.simulation.psf import empirical_psf

__all__ = ["galaxy_profile", "n_galaxies", "real_psf"]

_GALAXIES = "gal_hst_cosmos_f814w/real_galaxy_images_23.5_n1.fits"
_PSF = "psf_wfc3uvis_f814w_stdpsf/emp_psf_f814w.fits"
# Pixels belong to a galaxy from so many times the noise on, and where so many hang together.
_THRESHOLD, _N_PIXELS = 1.5, 20


def _find(name):
    """The file of a name, or None."""
    folder = os.environ.get("ASTROCLUST_DATA")
    path = Path(folder, name) if folder else None
    return path if path is not None and path.is_file() else None


def n_galaxies():
    """How many real galaxies there are to draw."""
    path = _find(_GALAXIES)
    return 0 if path is None else len(_galaxies(path))


@lru_cache(maxsize=1)
def _galaxies(path):
    """Stamps of galaxies without sky, noise and neighbours, each of unit sum."""
    with open_fits(path) as hdus:
        stamps = [np.array(hdu.data, float) for hdu in hdus if hdu.data is not None]
    galaxies = [_isolate(stamp) for stamp in stamps]
    return [galaxy for galaxy in galaxies if galaxy is not None]


def _isolate(stamp):
    _, sky, noise = sigma_clipped_stats(stamp)
    segments = detect_sources(stamp - sky, _THRESHOLD * noise, _N_PIXELS)
    ny, nx = stamp.shape
    label = 0 if segments is None else segments.data[ny // 2, nx // 2]
    if not label:
        return None
    light = np.where(segments.data == label, stamp - sky, 0.0)
    return light / light.sum()


def galaxy_profile(number):
    """The GalSim profile of a real galaxy with a half-light radius of 1; its PSF is still in it.

    Parameters
    ----------
    number : int
        Below `n_galaxies`.

    Returns
    -------
    profile : `~galsim.InterpolatedImage`
        Of unit flux, centred on its light.
    """
    light = _galaxies(_find(_GALAXIES))[number]
    y, x = np.indices(light.shape)
    centre = [float((axis * light).sum()) for axis in (x, y)]
    distance = np.hypot(x - centre[0], y - centre[1]).ravel()
    order = np.argsort(distance)
    half = distance[order][np.searchsorted(np.cumsum(light.ravel()[order]), 0.5)]
    middle = [(size - 1) / 2 for size in light.shape[::-1]]
    profile = galsim.InterpolatedImage(galsim.Image(light, scale=1.0), flux=1.0)
    profile = profile.shift(middle[0] - centre[0], middle[1] - centre[1])
    return profile.dilate(1 / max(half, 1.0))


@lru_cache(maxsize=1)
def _grid(path):
    return empirical_psf(path, camera="uvis", filter_name="F814W")


def real_psf(camera, filter_name):
    """The grid of empirical PSFs of a camera and filter, None where there is none.

    Parameters
    ----------
    camera, filter_name : str
        Only ``"uvis"`` and ``"F814W"`` have one.

    Returns
    -------
    grid : `~astroclust.simulation.psf.PSFGrid` or None
        As `~astroclust.simulation.psf.empirical_psf` reads it.
    """
    path = _find(_PSF) if (camera, filter_name) == ("uvis", "F814W") else None
    return None if path is None else _grid(path)
