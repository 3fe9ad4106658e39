# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Pixels as networks take them."""

import math

import numpy as np

from astroclust.stamps.holes import fill_holes

__all__ = ["NORMALIZATIONS", "normalize_pixels", "normalize_stamps"]

# Stamps at a time on a CPU, whose cache they shall not leave.
_BLOCK = 64


def normalize_stamps(stamps, kind="asinh-peak"):
    """Pixels as networks take them: free of brightness, which shall not enter the class.

    Missing pixels are filled from their neighbors if these are good, as by
    ``astroclust.stamps.holes.fill_holes``; others become 0, and so do absent bands.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in n_bands.
    kind : str, optional
        ``"asinh-peak"``, that of the bundled networks: in each band the sky, the median of the
        outer three pixels of the stamp, is subtracted; all bands are divided by one number, the
        highest pixel of any band within five pixels of the center; and ``asinh(20 x) / asinh(20)``
        compresses what is bright, up to 1.5. It is the candidate that spans 0 to 1, not its
        brightest neighbor, and the colors are kept, so all bands must be in one unit, such as
        electrons a second. ``"unit-stamp"`` and ``"unit-band"``: from 0, the lowest pixel, to 1,
        the highest, of all bands together, or of each. Wei et al. (2020, sec. 3.4) rescale to
        [0, 1] and do not say which.

    Returns
    -------
    pixels : `~numpy.ndarray` of float32, shape (n, n_bands, size, size)
        Values from -1 to 1.5, or from 0 to 1.

    Raises
    ------
    ValueError
        For an unknown kind.

    Examples
    --------
    A star of 1000 electrons a second, on a sky of 3:

    >>> import numpy as np
    >>> from astroclust import Stamps
    >>> from astroclust.stamps import normalize_stamps
    >>> data = np.full((1, 1, 50, 50), 3.0)
    >>> data[0, 0, 25, 25] = 1003.0
    >>> pixels = normalize_stamps(Stamps(data, ["F555W"], bands=["V"]))
    >>> float(pixels.min()), float(pixels.max())
    (0.0, 1.0)
    """
    import torch

    pixels = torch.from_numpy(stamps.data)
    return normalize_pixels(pixels, torch.from_numpy(stamps.present), kind).numpy()


def normalize_pixels(pixels, present, kind="asinh-peak"):
    """The same as `normalize_stamps` for tensors, on the device where they are.

    Parameters
    ----------
    pixels : `~torch.Tensor` of float32, shape (n, n_bands, size, size)
        NaN where there are none; not changed.
    present : `~torch.Tensor` of bool, shape (n, n_bands)
        Whether a band was observed.
    kind : str, optional
        As for `normalize_stamps`.

    Returns
    -------
    pixels : `~torch.Tensor` of float32, shape (n, n_bands, size, size)
        New ones; the bands of a pixel lie side by side in memory, which convolutions like.

    Raises
    ------
    ValueError
        For an unknown kind.

    Examples
    --------
    >>> import torch
    >>> from astroclust.stamps import normalize_pixels
    >>> pixels = torch.zeros(1, 2, 50, 50)
    >>> pixels[:, :, 25, 25] = torch.tensor([5.0, 10.0])
    >>> present = torch.ones(1, 2, dtype=torch.bool)
    >>> normalize_pixels(pixels, present, "unit-stamp")[0, :, 25, 25]
    tensor([0.5000, 1.0000])
    """
    # Cutting stamps needs no torch, which takes seconds to import.
    import torch

    if kind not in NORMALIZATIONS:
        raise ValueError(
            f"normalization {kind!r} is not known: there are {', '.join(NORMALIZATIONS)}"
        )
    prepared = torch.empty_like(pixels, memory_format=torch.channels_last)
    block = _BLOCK if pixels.device.type == "cpu" else max(len(pixels), 1)
    for start in range(0, len(pixels), block):
        rows = slice(start, start + block)
        filled = fill_holes(pixels[rows])
        prepared[rows] = NORMALIZATIONS[kind](filled, present[rows, :, None, None])
    return prepared


def _asinh_peak(pixels, present):
    size = pixels.shape[-1]
    frame = pixels.new_ones((size, size), dtype=bool)
    frame[3:-3, 3:-3] = False
    sky = _median(pixels.flatten(2).index_select(2, frame.flatten().nonzero()[:, 0]))
    lost = sky.isnan()  # a frame without a single good pixel
    if lost.any():
        sky[lost] = pixels[lost].flatten(1).nanmedian(dim=-1).values
    pixels = (pixels - sky[:, :, None, None]).nan_to_num_(nan=0.0).mul_(present)
    centre = slice(max(size // 2 - 5, 0), size // 2 + 6)
    peak = pixels[:, :, centre, centre].amax(dim=(1, 2, 3), keepdim=True)
    dark = (peak <= 0).flatten()
    if dark.any():  # a hole in the sky has no peak: its depth sets the scale instead
        peak[dark] = pixels[dark].abs().amax(dim=(1, 2, 3), keepdim=True)
        peak[peak == 0] = 1
    return _asinh(pixels.mul_(20 / peak)).div_(math.asinh(20)).clamp_(-1, 1.5)


def _median(values):
    """As `torch.nanmedian` along the last dimension, which takes thrice as long on a CPU."""
    if values.device.type != "cpu" or values.isnan().any():
        return values.nanmedian(dim=-1).values
    import torch

    middle = (values.shape[-1] - 1) // 2
    return torch.from_numpy(np.partition(values.numpy(), middle, axis=-1)[..., middle])


def _asinh(values):
    """As `torch.asinh`, which does one value at a time on a CPU."""
    size = values.abs()
    return (size * size).add_(1).sqrt_().add_(size).log_().copysign_(values)


def _unit_stamp(pixels, present):
    return _to_unit(pixels, present, dim=(1, 2, 3))


def _unit_band(pixels, present):
    return _to_unit(pixels, present, dim=(2, 3))


def _to_unit(pixels, present, dim):
    """From the lowest to the highest of the pixels along dimensions."""
    missing = pixels.isnan() | ~present
    low = pixels.masked_fill(missing, math.inf).amin(dim, keepdim=True)
    high = pixels.masked_fill(missing, -math.inf).amax(dim, keepdim=True)
    # Nothing but missing pixels, or one value, has no span.
    span = (high - low).where(high > low, math.inf)
    return ((pixels - low) / span).masked_fill_(missing, 0).nan_to_num_(nan=0.0)


#: The ways to prepare pixels, by name.
NORMALIZATIONS = {
    "asinh-peak": _asinh_peak,
    "unit-stamp": _unit_stamp,
    "unit-band": _unit_band,
}
