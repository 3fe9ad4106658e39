# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Reference implementation of stamps, cut one at a time with Cutout2D."""

import numpy as np
from astropy.nddata import Cutout2D, NoOverlapError
from tqdm import tqdm

from astroclust.stamps.flags import StampFlag

__all__ = ["cut_with_cutout2d"]


def cut_with_cutout2d(x, y, bands, size, *, progress_bar=False):
    """Cut stamps from bands with `~astropy.nddata.Cutout2D`.

    Each band is calibrated completely, with NaN for bad pixels, before it is cut with
    ``mode="partial"`` and ``fill_value=nan``. Only one calibrated band is in memory at a time.

    Parameters
    ----------
    x, y, bands, size, progress_bar
        See `~astroclust.stamps.cutting.cut_stamps`.

    Returns
    -------
    data, flags : `~numpy.ndarray`
        Identical to those of `~astroclust.stamps.cutting.cut_stamps`.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust import ImageSet
    >>> from astroclust.stamps.reference import cut_with_cutout2d
    >>> band = ImageSet({"F555W": np.arange(12.0).reshape(3, 4)})["V"]
    >>> data, flags = cut_with_cutout2d(np.array([3.0]), np.array([1.0]), [band], 3)
    >>> data[0, 0]
    array([[ 2.,  3., nan],
           [ 6.,  7., nan],
           [10., 11., nan]], dtype=float32)
    """
    data = np.zeros((len(x), len(bands), size, size), np.float32)
    flags = np.zeros(len(x), np.int32)
    present = [(k, band) for k, band in enumerate(bands) if band is not None]
    total = len(x) * len(present)
    with tqdm(total=total, unit="cutout", disable=not progress_bar) as bar:
        for k, band in present:
            with np.errstate(over="ignore"):  # values that overflow float32 are not finite
                image = band.pixels(np.s_[:, :])
            for i, position in enumerate(zip(x, y, strict=True)):
                flags[i] |= _cut(data[i, k], image, position)
                bar.update()
    return data, flags


def _cut(stamp, image, position):
    """Fill a stamp of one band; return its flags."""
    ny, nx = image.shape
    x, y = position
    if not (-0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5):
        return StampFlag.OFF_IMAGE
    try:
        cutout = Cutout2D(image, position, stamp.shape, mode="partial", fill_value=np.nan)
    except NoOverlapError:  # a one-pixel stamp whose position is rounded off the image
        return StampFlag.OFF_IMAGE
    stamp[:] = cutout.data
    inside = cutout.data[cutout.slices_cutout]
    flags = StampFlag(0) if inside.size == stamp.size else StampFlag.EDGE
    return flags | StampFlag.NON_FINITE if np.isnan(inside).any() else flags
