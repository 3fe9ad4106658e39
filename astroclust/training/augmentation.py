# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Data augmentation: transformations of stamps that preserve their class."""

from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional

from astroclust.stamps import damage_stamps, fill_holes
from astroclust.training.pictures import augment_pictures
from astroclust.training.renderings import render_stamps, sky_levels
from astroclust.training.tensors import tensor_like

__all__ = [
    "AUGMENTATIONS",
    "augment_stamps",
    "crop_middle",
    "crop_stamps",
    "damage_some",
    "draw_damage",
    "flip_stamps",
    "turn_stamps",
]

# Probabilities of each transformation. The network must be insensitive to missing bands, mosaic
# edges and nonlinear pixel values, such as those of color pictures.
BAND_LOSS = 0.4
MISSING_PIXELS = 0.05
PICTURES = 0.5
# Bands of most press pictures, and the probability of choosing them if all are present.
OPTICAL, OPTICAL_PICTURES = ("B", "V", "I"), 0.8
# Maximum noise added, in units of the sky noise, and its probability.
NOISE, NOISY = 0.7, 0.15
# Throughput in a band differs between cameras: ACS and UVIS by a factor of two in I.
GAIN_SCATTER = 0.2
# Fraction of damaged stamps, if a recipe damages any, and their maximum fraction of lost pixels.
DAMAGED, MOST_DAMAGE = 0.5, 0.5


def crop_middle(stamps, size=None):
    """Crop stamps to their center, as if they had been cut with that size.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps.
    size : int, optional
        Width in pixels, at most that of the stamps; by default, stamps are not cropped.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        n stamps of that size.
    """
    if size is None or size == stamps.size:
        return stamps
    start = stamps.size // 2 - size // 2
    middle = slice(start, start + size)
    data = stamps.data[:, :, middle, middle]
    on_host = isinstance(data, np.ndarray)
    return replace(stamps, data=np.ascontiguousarray(data) if on_host else data.contiguous())


def augment_stamps(stamps, rng, *, size=None):
    """Augment stamps with transformations that preserve their class.

    Stamps are rotated by multiples of 90 degrees, reflected and shifted by a pixel; the gain of
    each band is changed; and, with some probability, noise is added, one or more bands (but not
    all) or a side of the stamp are removed, and three bands are converted to a color picture
    (``astroclust.training.renderings``).

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps; not changed.
    rng : `~numpy.random.Generator`
        Random number generator.
    size : int, optional
        Width in pixels to which the stamps are cropped; by default, their own.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in the same order.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust import Stamps
    >>> from astroclust.training import augment_stamps
    >>> rng = np.random.default_rng(1)
    >>> stamps = Stamps(rng.normal(size=(100, 5, 50, 50)), ["NUV", "U", "B", "V", "I"])
    >>> changed = augment_stamps(stamps, rng)
    >>> changed.data.shape
    (100, 5, 50, 50)
    >>> bands_left = changed.present.sum(axis=1)
    >>> int(bands_left.min()), int(bands_left.max())
    (1, 5)
    """
    stamps = crop_middle(stamps, size)
    data = torch.rot90(torch.as_tensor(stamps.data), int(rng.integers(4)), dims=(2, 3))
    data = data.flip(3) if rng.random() < 0.5 else data
    data = _shift(data, *rng.integers(-1, 2, 2))
    data *= tensor_like(data, np.exp(rng.normal(0, GAIN_SCATTER, (*data.shape[:2], 1, 1))))
    missing = data.isnan()
    data.masked_fill_(missing, 0)
    in_picture = _choose_bands(stamps, rng)
    rows = np.flatnonzero(in_picture.any(axis=1))
    if len(rows):
        bands = np.nonzero(in_picture[rows])[1].reshape(-1, 3)
        fields = stamps.table["field"] if "field" in stamps.table.colnames else np.zeros(len(data))
        chosen = tensor_like(data, rows[:, None]), tensor_like(data, bands)
        data[chosen] = render_stamps(data[chosen], np.asarray(fields)[rows], rng)
    noise, lost, present = _draw_losses(stamps, in_picture, rng)
    if noise:
        noisy = tensor_like(data, list(noise))
        low, sky = sky_levels(data[noisy])
        scatter = (sky - low)[:, :, None, None]
        data[noisy] += scatter * tensor_like(data, np.stack(list(noise.values())))
    missing |= tensor_like(data, lost[:, None])
    data.masked_fill_(missing, torch.nan)
    data.masked_fill_(tensor_like(data, ~present[:, :, None, None]), 0)
    return replace(stamps, data=data, present=present)


def _draw_losses(stamps, in_picture, rng):
    """Noise of noisy stamps by row number, lost pixels of all stamps, and remaining bands."""
    n, n_bands, size, _ = stamps.data.shape
    noise, lost, present = {}, np.zeros((n, size, size), bool), stamps.present.copy()
    for i in range(n):
        shown = in_picture[i] if in_picture[i].any() else present[i].copy()
        if rng.random() < NOISY:
            amount = np.float32(rng.uniform(0, NOISE))
            noise[i] = amount * rng.standard_normal((n_bands, size, size), np.float32)
        if rng.random() < MISSING_PIXELS:
            _lose_side(lost[i], rng)
        if shown.sum() > 1 and rng.random() < BAND_LOSS:
            kept = rng.permutation(np.flatnonzero(shown))
            shown = np.isin(np.arange(n_bands), kept[: rng.integers(1, len(kept))])
        present[i] &= shown
    return noise, lost, present


def _choose_bands(stamps, rng):
    """Three bands of each stamp that is converted to a picture; none for other stamps."""
    n, n_bands = stamps.present.shape
    chosen = np.zeros((n, n_bands), bool)
    is_optical = np.isin(stamps.bands, OPTICAL)
    for row, present in zip(chosen, stamps.present, strict=True):
        if present.sum() >= 3 and rng.random() < PICTURES:
            row[rng.permutation(np.flatnonzero(present))[:3]] = True
            optical = present & is_optical
            if optical.sum() == 3 and rng.random() < OPTICAL_PICTURES:
                row[:] = optical
    return chosen


def _shift(data, dy, dx):
    """Copy of stamps, shifted by up to a pixel, with repeated edge pixels."""
    padded = functional.pad(data, (1, 1, 1, 1), mode="replicate")
    height, width = data.shape[2:]
    return padded[:, :, 1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width].contiguous()


def _lose_side(lost, rng):
    """Mark a side of a stamp as lost."""
    half = lost.shape[-1] // 2
    axis, edge = rng.integers(2), rng.integers(1, half - 4)
    side = slice(None, edge) if rng.random() < 0.5 else slice(-edge, None)
    lost[(slice(None),) * axis + (side,)] = True


def turn_stamps(stamps, rng, *, size=None):
    """Rotate stamps by random angles and reflect half of them (Wei et al. 2020, sec. 3.4).

    Pixels beyond the edge are reflected at it; missing pixels are filled from their neighbors, or
    set to 0.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps; not changed.
    rng : `~numpy.random.Generator`
        Random number generator.
    size : int, optional
        Width in pixels to which the stamps are cropped; by default, their own.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in the same order.
    """
    return _resample(stamps, rng, np.ones(len(stamps)), size)


def crop_stamps(stamps, rng, *, size=None):
    """Rotate and reflect stamps as `turn_stamps` does, and magnify the center of each.

    The width of the magnified region is drawn from a quarter to all of the stamp; for stamps of
    100 pixels, these are the crops of random size of Wei et al. (2020, sec. 4.3).

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps; not changed.
    rng : `~numpy.random.Generator`
        Random number generator.
    size : int, optional
        Width in pixels to which the stamps are cropped; by default, their own.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in the same order and, unless ``size`` is given, of the same width.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust import simulate_stamps
    >>> from astroclust.training import crop_stamps
    >>> crop_stamps(simulate_stamps(3, seed=1), np.random.default_rng(1)).size
    50
    """
    stamps = crop_middle(stamps, size)
    return _resample(stamps, rng, rng.uniform(0.25, 1.0, len(stamps)), size)


def _resample(stamps, rng, fraction, size):
    """Central fraction of each stamp, rotated by a random angle and randomly reflected."""
    n, size = len(stamps), stamps.size if size is None else size
    fraction = fraction * (size / stamps.size)
    angle, mirror = rng.uniform(0, 2 * np.pi, n), rng.choice([-1, 1], n)
    matrix = np.zeros((n, 2, 3))
    matrix[:, 0, 0], matrix[:, 0, 1] = mirror * np.cos(angle), -np.sin(angle)
    matrix[:, 1, 0], matrix[:, 1, 1] = mirror * np.sin(angle), np.cos(angle)
    pixels = fill_holes(torch.as_tensor(stamps.data)).nan_to_num(nan=0.0)
    grid = functional.affine_grid(
        tensor_like(pixels, matrix) * tensor_like(pixels, fraction[:, None, None]),
        (*pixels.shape[:2], size, size),
        align_corners=False,
    )
    turned = functional.grid_sample(
        pixels, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return replace(stamps, data=turned)


def flip_stamps(stamps, rng, *, size=None):
    """Crop stamps at random positions, and flip half of them left to right.

    The augmentation of Schneider et al. (2023, sec. 3.3), who crop 224 of 256 pixels. They name the
    flip as an example and do not state that the crops of the training set are random; this is
    inferred from the margin.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps; not changed.
    rng : `~numpy.random.Generator`
        Random number generator.
    size : int, optional
        Width of the crops in pixels; by default, stamps are not cropped.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in the same order.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust import simulate_stamps
    >>> from astroclust.training import AUGMENTATIONS
    >>> AUGMENTATIONS["flips"](simulate_stamps(3, seed=1), np.random.default_rng(1), size=40).size
    40
    """
    n, size = len(stamps), stamps.size if size is None else size
    starts = rng.integers(0, stamps.size - size + 1, (n, 2))
    steps = rng.choice([-1, 1], n)
    rows, columns = starts.T[..., None] + np.arange(size)
    columns = np.where(steps[:, None] < 0, columns[:, ::-1], columns)
    data = torch.as_tensor(stamps.data)
    number, rows, columns = (
        tensor_like(data, numbers)
        for numbers in (np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :])
    )
    # Bands are last if indices come first.
    data = data.movedim(1, -1)[number, rows, columns].movedim(-1, 1).contiguous()
    return replace(stamps, data=data)


def damage_some(stamps, rng, *, kinds):
    """Damage half of the stamps, each with one kind of damage.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps; not changed.
    rng : `~numpy.random.Generator`
        Random number generator.
    kinds : sequence of str
        Kinds of `~astroclust.stamps.DAMAGE`, drawn with equal probability.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in the same order; damaged stamps lose up to half of their pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust import simulate_stamps
    >>> from astroclust.training.augmentation import damage_some
    >>> stamps = simulate_stamps(4, seed=1)
    >>> damaged = damage_some(stamps, np.random.default_rng(1), kinds=["lines", "blocks"])
    >>> np.isnan(damaged.data).any(axis=(1, 2, 3)).tolist()
    [False, True, False, True]
    """
    for kind, fraction in draw_damage(len(stamps), rng, kinds):
        stamps = damage_stamps(stamps, rng, kind=kind, fraction=fraction)
    return stamps


def draw_damage(n, rng, kinds):
    """Draw the fraction of pixels that each of n images loses to each kind of damage."""
    chosen = rng.integers(len(kinds), size=n)
    fraction = rng.uniform(0, MOST_DAMAGE, n) * (rng.random(n) < DAMAGED)
    return [(kind, np.where(chosen == i, fraction, 0)) for i, kind in enumerate(kinds)]


#: Augmentation functions by name.
AUGMENTATIONS = {
    "observations": augment_stamps,
    "turns": turn_stamps,
    "crops": crop_stamps,
    "pictures": augment_pictures,
    "flips": flip_stamps,
}
