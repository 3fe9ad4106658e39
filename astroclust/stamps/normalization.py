# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Pixels as networks take them."""

import numpy as np

__all__ = ["NORMALIZATIONS", "normalize_stamps"]


def normalize_stamps(stamps, kind="asinh-peak"):
    """Pixels as networks take them: free of brightness, which shall not enter the class.

    Missing pixels become 0, and so do absent bands.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in n_bands.
    kind : str, optional
        ``"asinh-peak"``, that of the bundled networks: in each band the sky, the median of the
        outer three pixels of the stamp, is subtracted; all bands are divided by one number, the
        highest pixel of any band within five pixels of the centre; and ``asinh(20 x) / asinh(20)``
        compresses what is bright, up to 1.5. It is the candidate that spans 0 to 1, not its
        brightest neighbour, and the colours are kept, so all bands must be in one unit, such as
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
    """
    if kind not in NORMALIZATIONS:
        raise ValueError(
            f"normalization {kind!r} is not known: there are {', '.join(NORMALIZATIONS)}"
        )
    return NORMALIZATIONS[kind](stamps)


def _asinh_peak(stamps):
    data = stamps.data.copy()
    size = stamps.size
    frame = np.ones((size, size), bool)
    frame[3:-3, 3:-3] = False
    sky = _median(data[:, :, frame])
    if np.isnan(sky).any():  # a frame without a single good pixel
        sky = np.where(np.isnan(sky), _median(data.reshape(*data.shape[:2], -1)), sky)
    data -= sky[:, :, None, None]
    np.nan_to_num(data, copy=False, nan=0.0)
    data *= stamps.present[:, :, None, None]
    centre = slice(max(size // 2 - 5, 0), size // 2 + 6)
    peak = data[:, :, centre, centre].max(axis=(1, 2, 3), initial=0)
    # A hole in the sky has no peak: its depth sets the scale instead.
    peak = np.where(peak > 0, peak, np.abs(data).max(axis=(1, 2, 3), initial=0))
    peak[peak == 0] = 1
    with np.errstate(over="ignore", invalid="ignore"):  # of pixels next to the smallest numbers
        data *= (20 / peak)[:, None, None, None]
    np.arcsinh(data, out=data)
    data /= np.float32(np.arcsinh(20))
    return np.clip(data, -1, 1.5, out=data)


def _unit_stamp(stamps):
    return _to_unit(stamps, axis=(1, 2, 3))


def _unit_band(stamps):
    return _to_unit(stamps, axis=(2, 3))


def _to_unit(stamps, axis):
    """From the lowest to the highest of the pixels along axes."""
    present = stamps.present[:, :, None, None]
    missing = np.isnan(stamps.data) | ~present
    low = np.where(missing, np.inf, stamps.data).min(axis, keepdims=True, initial=np.inf)
    high = np.where(missing, -np.inf, stamps.data).max(axis, keepdims=True, initial=-np.inf)
    with np.errstate(over="ignore", invalid="ignore"):  # nothing but missing pixels, or one value
        span = high - low
        pixels = (stamps.data - low) / np.where(span > 0, span, np.inf)
    pixels[missing] = 0
    return np.nan_to_num(pixels, copy=False)


def _median(values):
    """Median along the last axis without NaN, and without a warning where all are NaN."""
    values = np.sort(values, axis=-1)  # NaN last
    count = values.shape[-1] - np.isnan(values).sum(axis=-1)
    low = np.take_along_axis(values, np.maximum((count - 1) // 2, 0)[..., None], -1)[..., 0]
    high = np.take_along_axis(values, np.minimum(count // 2, values.shape[-1] - 1)[..., None], -1)
    return (low + high[..., 0]) / 2


#: The ways to prepare pixels, by name.
NORMALIZATIONS = {
    "asinh-peak": _asinh_peak,
    "unit-stamp": _unit_stamp,
    "unit-band": _unit_band,
}
