# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Input pixels of detectors."""

import numpy as np
import torch

from astroclust.detection.background import measure_background
from astroclust.images import ImageSet
from astroclust.stamps.holes import fill_holes

__all__ = ["PixelReader", "fill_missing"]

# Scale of the compression in standard deviations; a value of 1000 is then compressed to 2.
_SOFTENING, _SCALE = 3.0, 3.25


class PixelReader:
    """Read parts of images in units of their noise.

    In each band, the background in a mesh of 30 pixels is subtracted, the result is divided by the
    sky noise, both measured as in `~astroclust.detection.find_sources`, and ``asinh(x / 3) / 3.25``
    compresses it. Bands without good pixels are absent; in constant bands, all pixels are missing.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    roles : sequence of str
        Roles of the detector's bands, in order.

    Raises
    ------
    ValueError
        If the images have none of the bands, or no good pixels in them.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.detectors import PixelReader
    >>> field = simulate_field(shape=(128, 128), seed=1)
    >>> reader = PixelReader(field.images, ("NUV", "U", "B", "V", "I"))
    >>> signal = reader.signal(slice(0, 64), slice(0, 64))
    >>> reader.normalize(signal).shape
    (5, 64, 64)
    """

    def __init__(self, images, roles):
        self.images, self.roles = ImageSet.of(images), tuple(roles)
        bands = {band.role: band for band in self.images.values() if band.role in self.roles}
        if not bands:
            raise ValueError(
                f"the detector uses the bands {', '.join(self.roles)}, but the images have "
                f"{', '.join(self.images.roles)}; choose a detector for these bands"
            )
        measured = {role: measure_background(band, None, 1) for role, band in bands.items()}
        good = [role for role, background in measured.items() if not np.isnan(background.noise)]
        if not good:
            raise ValueError(f"the images have no good pixels in {', '.join(bands)}")
        self._bands = [bands[role] if role in good else None for role in self.roles]
        self._backgrounds = [measured[role] if role in good else None for role in self.roles]

    @property
    def present(self):
        """Roles of the available bands, in the order of the detector."""
        pairs = zip(self.roles, self._bands, strict=True)
        return tuple(role for role, band in pairs if band is not None)

    @property
    def reference(self):
        """Role of the reference band of the images if the detector uses it, otherwise the first."""
        role = self.images.reference.role
        return role if role in self.present else self.present[0]

    def unit(self, role):
        """Unit of a band, or None."""
        return self._bands[self.roles.index(role)].unit

    def signal(self, rows, columns):
        """Read a part of all bands, background-subtracted.

        Parameters
        ----------
        rows, columns : slice
            Part of the images.

        Returns
        -------
        signal : `~numpy.ndarray` of float32, shape (n_bands, ny, nx)
            In the unit of the images; NaN for bad pixels and absent bands.
        """
        shape = rows.stop - rows.start, columns.stop - columns.start
        result = np.full((len(self.roles), *shape), np.nan, np.float32)
        for pixels, band, background in zip(result, self._bands, self._backgrounds, strict=True):
            if band is not None:
                pixels[:] = band.pixels((rows, columns)) - background.at(rows, columns)
        return result

    def normalize(self, signal):
        """Compress a signal in units of the noise.

        Parameters
        ----------
        signal : `~numpy.ndarray` of float32, shape (n_bands, ny, nx)
            Signal from `signal`.

        Returns
        -------
        pixels : `~numpy.ndarray` of float32, shape (n_bands, ny, nx)
            Input of a detector, with NaN for missing pixels.
        """
        noise = [np.nan if one is None else one.noise for one in self._backgrounds]
        noise = np.array(noise, np.float32)[:, None, None]
        noise[np.isinf(noise)] = np.nan
        return np.arcsinh(signal / (_SOFTENING * noise)) / np.float32(_SCALE)


def fill_missing(pixels):
    """Fill small holes from their neighbors, and larger ones with the background.

    Parameters
    ----------
    pixels : `~torch.Tensor` of float32, shape (n, n_bands, ny, nx)
        Pixels from `PixelReader`.

    Returns
    -------
    pixels : `~torch.Tensor` of float32, shape (n, n_bands, ny, nx)
        Without NaN.
    """
    return torch.nan_to_num(fill_holes(pixels), nan=0.0)
