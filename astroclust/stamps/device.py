# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Stamps gathered on a device from mosaics in its memory."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import torch
from astropy.table import Table

from astroclust.stamps.cutting import locate_stamps
from astroclust.stamps.flags import StampFlag, flag_absent

__all__ = ["DeviceMosaic", "DeviceStamps", "upload_mosaic"]

# Rows of a mosaic that are converted and uploaded at a time.
_STRIP = 256
# Fraction of the free memory that a mosaic may use; the remainder is for batches.
_MOST_MEMORY = 0.5


@dataclass(frozen=True, eq=False)
class DeviceStamps:
    """Stamps whose pixels are on a device.

    Parameters
    ----------
    data : `~torch.Tensor` of float32, shape (n, n_bands, size, size)
        Pixels; NaN for missing pixels, all zero for absent bands.
    bands : tuple of str, length n_bands
        Roles of the bands.
    present : `~numpy.ndarray` of bool, shape (n, n_bands)
        Whether a band was observed.
    flags : `~numpy.ndarray` of int32, shape (n,)
        Bits of `~astroclust.stamps.StampFlag`.
    table : `~astropy.table.Table`, length n, optional
        One row per stamp.

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> from astroclust.stamps.device import DeviceStamps
    >>> stamps = DeviceStamps.of(simulate_stamps(3, seed=1), "cpu")
    >>> stamps[:2].data.shape
    torch.Size([2, 5, 50, 50])
    """

    data: torch.Tensor
    bands: tuple
    present: np.ndarray
    flags: np.ndarray
    table: Table = field(default_factory=Table)

    @classmethod
    def of(cls, stamps, device):
        """Upload stamps.

        Parameters
        ----------
        stamps : `~astroclust.stamps.Stamps`
            Stamps in host memory.
        device : str or `~torch.device`
            Device that holds their pixels.

        Returns
        -------
        stamps : `DeviceStamps`
            The same stamps.
        """
        data = torch.as_tensor(stamps.data, device=device)
        return cls(data, stamps.bands, stamps.present, stamps.flags, stamps.table)

    def __len__(self):
        return len(self.data)

    def __getitem__(self, rows):
        """Select stamps with a slice, a mask or an array of row numbers."""
        return replace(
            self,
            data=self.data[rows],
            present=self.present[rows],
            flags=self.flags[rows],
            table=self.table[rows] if self.table.colnames else self.table,
        )

    @property
    def size(self):
        """Width of the stamps, in pixels."""
        return self.data.shape[-1]


class DeviceMosaic:
    """Part of the images that the stamps at given positions cover, in the memory of a device.

    Parameters
    ----------
    x, y : `~numpy.ndarray` of float, shape (n,)
        Positions, in 0-based pixels; at least one is on the images.
    images : `~astroclust.images.ImageSet`
        Images of the field.
    bands : sequence of str
        Roles of the bands, in order.
    size : int
        Width of the stamps, in pixels.
    device : str or `~torch.device`
        Device that holds the pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust import simulate_field
    >>> from astroclust.stamps.device import DeviceMosaic
    >>> images = simulate_field(shape=(64, 64), seed=1).images
    >>> x, y = np.array([30.0, 2.0]), np.array([40.0, 9.0])
    >>> mosaic = DeviceMosaic(x, y, images, ("V", "I"), 20, "cpu")
    >>> mosaic.cut(np.array([1, 0])).data.shape
    torch.Size([2, 2, 20, 20])
    """

    def __init__(self, x, y, images, bands, size, device):
        given = {band.role: band for band in images.values()}
        self.bands, self.size, self.device = images.system.select(bands), size, device
        shape = next(iter(images.values())).data.shape
        corners, self._flags = locate_stamps(x, y, shape, size)
        low, high = _span(corners, self._flags, size)
        # The corners of positions off the image are irrelevant, but must be valid.
        self._corners = np.clip(corners - low, 0, high - low - size)
        chosen = [given.get(role) for role in self.bands]
        mosaics = _upload([band for band in chosen if band], low, high, device)
        windows = (mosaic.unfold(0, size, 1).unfold(1, size, 1) for mosaic in mosaics)
        self._windows = [band and next(windows) for band in chosen]
        limits = np.array(shape)[:, None]
        overlap = np.clip(corners + size, 0, limits) - np.clip(corners, 0, limits)
        self._n_outside = size**2 - overlap.prod(axis=0)

    def cut(self, rows):
        """Gather stamps, equal to those of `~astroclust.stamps.make_stamps`.

        Parameters
        ----------
        rows : `~numpy.ndarray` of int, shape (m,)
            Indices of the positions.

        Returns
        -------
        stamps : `DeviceStamps`
            One stamp per row.
        """
        data = torch.zeros((len(rows), len(self.bands), self.size, self.size), device=self.device)
        corners = torch.from_numpy(self._corners[:, rows]).to(self.device)
        for k, window in enumerate(self._windows):
            if window is not None:
                data[:, k] = window[tuple(corners)]
        flags = self._flags[rows].copy()
        missing = data.isnan()
        n_missing = missing.sum(dim=(2, 3)).amax(dim=1).cpu().numpy()
        highest = data.masked_fill(missing, -math.inf).amax(dim=(2, 3))
        lowest = data.masked_fill(missing, math.inf).amin(dim=(2, 3))
        on_image = flags & StampFlag.OFF_IMAGE == 0
        present = (highest > lowest).cpu().numpy() & on_image[:, None]
        absent = torch.from_numpy(~present).to(self.device)
        data.masked_fill_(absent[:, :, None, None], 0)
        flags[on_image & (n_missing > self._n_outside[rows])] |= StampFlag.NON_FINITE
        flag_absent(flags, present)
        return DeviceStamps(data, self.bands, present, flags)


def upload_mosaic(x, y, images, bands, size, device):
    """Upload images to a GPU, if that is faster than cutting stamps in host memory.

    Parameters
    ----------
    x, y, images, bands, size, device
        See `DeviceMosaic`.

    Returns
    -------
    mosaic : `DeviceMosaic` or None
        None on a CPU, if the stamps have fewer pixels than the part of the images that they cover,
        or if it does not fit into free memory.
    """
    device = torch.device(device)
    if device.type != "cuda":
        return None
    corners, flags = locate_stamps(x, y, next(iter(images.values())).data.shape, size)
    n = np.count_nonzero(flags & StampFlag.OFF_IMAGE == 0)
    if not n:
        return None
    low, high = _span(corners, flags, size)
    area = int((high - low).prod())
    n_bands = len(set(images.roles) & set(bands))
    if n * size**2 < area or 4 * n_bands * area > _MOST_MEMORY * _free_memory(device):
        return None
    try:
        return DeviceMosaic(x, y, images, bands, size, device)
    except torch.OutOfMemoryError:  # another process has allocated it in the meantime
        return None


def _free_memory(device):
    """Free memory of a GPU in bytes, with that which torch keeps for later use."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _span(corners, flags, size):
    """Lower and upper corners of the rectangle that all stamps on the image cover."""
    corners = corners[:, flags & StampFlag.OFF_IMAGE == 0]
    return corners.min(axis=1, keepdims=True), corners.max(axis=1, keepdims=True) + size


def _upload(bands, low, high, device):
    """Calibrated pixels in a rectangle, NaN if bad or outside the image, as float32 tensors."""
    (top, left), (bottom, right) = low.ravel(), high.ravel()
    shape = int(bottom - top), int(right - left)
    mosaics = [torch.full(shape, math.nan, device=device) for _ in bands]

    def copy(task):
        (band, mosaic), start = task
        ny, nx = band.data.shape
        rows = slice(start, min(start + _STRIP, bottom, ny))
        columns = slice(max(left, 0), min(right, nx))
        with np.errstate(over="ignore"):  # values that overflow float32 are not finite
            pixels = band.pixels((rows, columns))
        part = mosaic[rows.start - top : rows.stop - top, columns.start - left :]
        part[:, : pixels.shape[1]] = torch.from_numpy(pixels)

    ny = bands[0].data.shape[0] if bands else 0
    starts = range(max(top, 0), min(bottom, ny), _STRIP)
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        list(threads.map(copy, product(zip(bands, mosaics, strict=True), starts)))
    return mosaics
