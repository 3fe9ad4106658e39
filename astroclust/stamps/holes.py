# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Missing pixels filled from their good neighbors in the same band."""

__all__ = ["fill_holes"]

# A hole has more good neighbors than this, of eight. No pixel beyond a straight edge, at any
# angle, has as many, so sides that are cut off are never filled.
_MOST_AT_AN_EDGE = 4
# Each round fills a ring: three fill holes of up to five pixels across.
_ROUNDS = 3


def fill_holes(pixels):
    """Fill missing pixels that are surrounded by good ones.

    A missing pixel with at least five good neighbors becomes their mean, those that share a side
    counting twice; again for what was beside it, three times in all. Sides that are cut off, gaps
    between chips and missing bands stay as they are.

    Parameters
    ----------
    pixels : `~torch.Tensor` of float, shape (n, n_bands, size, size)
        NaN marks missing pixels; not changed.

    Returns
    -------
    filled : `~torch.Tensor`, shape (n, n_bands, size, size)
        The same tensor if nothing is missing.

    Examples
    --------
    >>> import torch
    >>> from astroclust.stamps.holes import fill_holes
    >>> pixels = torch.arange(25.0).reshape(1, 1, 5, 5)
    >>> pixels[0, 0, 2, 2] = torch.nan
    >>> fill_holes(pixels)[0, 0, 2, 2]
    tensor(12.)
    """
    if not pixels.sum().isnan():
        return pixels
    shape = pixels.shape
    planes = pixels.reshape(-1, 1, *shape[2:])
    holed = planes.isnan().flatten(1).any(dim=1)
    planes = planes.clone()
    planes[holed] = _fill_planes(planes[holed])
    return planes.reshape(shape)


def _fill_planes(planes):
    for _ in range(_ROUNDS):
        missing = planes.isnan()
        good = (~missing).to(planes)
        fillable = missing & (_around(good, corner=1.0) > _MOST_AT_AN_EDGE)
        if not fillable.any():
            break
        total = _around(planes.nan_to_num(nan=0.0), corner=0.5)
        planes = (total / _around(good, corner=0.5)).where(fillable, planes)
    return planes


def _around(planes, corner):
    """Sums of the eight neighbors, those at the corners weighted; nothing is beyond the edges."""
    from torch.nn.functional import conv2d

    kernel = planes.new_tensor([[corner, 1, corner], [1, 0, 1], [corner, 1, corner]])
    return conv2d(planes, kernel[None, None], padding=1)
