# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Simulated loss of pixels, rows and columns, blocks or bands."""

from dataclasses import replace

import numpy as np

__all__ = ["DAMAGE", "damage_pixels", "damage_stamps", "without_bands"]

#: Kinds of damage by name: height and width of the lost cells in pixels; None for that of the
#: image. Cells that are not square are rotated by 90 degrees in half of the images.
DAMAGE = {"pixels": (1, 1), "lines": (1, None), "blocks": (8, 8)}


def damage_pixels(pixels, rng, *, kind, fraction):
    """Set pixels, rows or columns, or blocks to NaN, in all bands alike.

    Images are divided into cells, each of which is lost with the same probability. The images may
    be stamps or tiles of a mosaic.

    Parameters
    ----------
    pixels : `~torch.Tensor` of float, shape (n, n_bands, ny, nx)
        Images; not changed.
    rng : `~numpy.random.Generator`
        Random number generator.
    kind : str
        One of `DAMAGE`: ``"pixels"``; ``"lines"``, rows in half of the images and columns in the
        others; or ``"blocks"`` of 8 x 8 pixels.
    fraction : float or array_like of float, shape (n,)
        Expected fraction of lost pixels, from 0 to 1, for all images or for each.

    Returns
    -------
    damaged : `~torch.Tensor` of float, shape (n, n_bands, ny, nx)
        Images with NaN for lost pixels.

    Raises
    ------
    ValueError
        If the kind is unknown, or a fraction is not from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from astroclust.stamps import damage_pixels
    >>> tiles = torch.zeros(4, 5, 512, 512)
    >>> damaged = damage_pixels(tiles, np.random.default_rng(1), kind="lines", fraction=0.1)
    >>> lost = damaged[:, 0].isnan()
    >>> round(lost.float().mean().item(), 1)
    0.1
    >>> n_rows = lost.all(dim=2).sum(dim=1)
    >>> n_columns = lost.all(dim=1).sum(dim=1)
    >>> bool(((n_rows == 0) ^ (n_columns == 0)).all())
    True
    """
    import torch  # slow to import, and not needed to cut stamps

    lost = _lost((len(pixels), *pixels.shape[2:]), rng, kind, fraction)
    return pixels.masked_fill(torch.from_numpy(lost[:, None]).to(pixels.device), torch.nan)


def damage_stamps(stamps, rng, *, kind, fraction):
    """Set pixels of stamps to NaN; see `damage_pixels`.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps; not changed.
    rng, kind, fraction
        See `damage_pixels`.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        Stamps with NaN for lost pixels; absent bands remain 0.

    Raises
    ------
    ValueError
        See `damage_pixels`.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust import simulate_stamps
    >>> from astroclust.stamps import damage_stamps
    >>> stamps = simulate_stamps(3, seed=1)
    >>> damaged = damage_stamps(stamps, np.random.default_rng(1), kind="blocks", fraction=[0, 0, 1])
    >>> np.isnan(damaged.data).mean(axis=(1, 2, 3)).tolist()
    [0.0, 0.0, 1.0]
    """
    import torch  # slow to import, and not needed to cut stamps

    lost = _lost((len(stamps), *stamps.data.shape[2:]), rng, kind, fraction)
    lost = torch.from_numpy(lost[:, None] & stamps.present[:, :, None, None])
    pixels = torch.as_tensor(stamps.data)
    return replace(stamps, data=pixels.masked_fill(lost.to(pixels.device), torch.nan))


def without_bands(stamps, missing):
    """Remove bands from stamps.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps; not changed.
    missing : sequence of int
        0-based numbers of the bands to set to zero and mark as absent.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        Stamps with the same flags and table.

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> from astroclust.stamps import without_bands
    >>> stamps = without_bands(simulate_stamps(1, seed=1), [0, 4])
    >>> stamps.present.tolist()
    [[False, True, True, True, False]]
    """
    data, present = stamps.data.copy(), stamps.present.copy()
    data[:, missing], present[:, missing] = 0, False
    return replace(stamps, data=data, present=present)


def _lost(shape, rng, kind, fraction):
    """Mask of lost pixels, of shape (n, ny, nx)."""
    if kind not in DAMAGE:
        raise ValueError(f"unknown damage {kind!r}; available are {', '.join(DAMAGE)}")
    fraction = np.asarray(fraction, float)
    if fraction.shape not in ((), (shape[0],)) or not ((fraction >= 0) & (fraction <= 1)).all():
        raise ValueError(
            f"fraction must be from 0 to 1, a single number or one for each of {shape[0]} images, "
            f"not {fraction}"
        )
    fraction = np.broadcast_to(fraction, shape[0])[:, None, None]
    height, width = DAMAGE[kind]
    lost = _lost_cells(shape, rng, (height, width), fraction)
    if height != width:
        turned = rng.random(shape[0]) < 0.5
        lost[turned] = _lost_cells(shape, rng, (width, height), fraction)[turned]
    return lost


def _lost_cells(shape, rng, cell, fraction):
    n = shape[0]
    rows, columns = (_cell_numbers(n, *axis, rng) for axis in zip(shape[1:], cell, strict=True))
    n_cells = rows.max(initial=0) + 1, columns.max(initial=0) + 1
    is_lost = rng.random((n, *n_cells)) < fraction
    return is_lost[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def _cell_numbers(n, length, step, rng):
    """Cell number of each pixel along an axis, with a random offset in each of n images."""
    if step is None:
        return np.zeros((n, length), int)
    return (np.arange(length) + rng.integers(step, size=(n, 1))) // step
