# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Missing pixels filled from their good neighbors in the same band."""

__all__ = ["fill_holes"]

# A hole has more good neighbors than this, of eight. No pixel beyond a straight edge, at any
# angle, has as many, so sides that are cut off are never filled.
_MOST_AT_AN_EDGE = 4
# Holes of up to three pixels across are filled from their corners in so many rounds.
_ROUNDS = 3


def fill_holes(pixels):
    """Fill missing pixels that are surrounded by good ones.

    A missing pixel whose eight neighbors are good takes the value of a parabola through them; one
    with at least five, their mean, those that share a side counting twice. This is repeated for
    holes of up to three pixels across. Sides that are cut off, gaps between chips and missing
    bands stay as they are.

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
    >>> from astroclust.stamps import fill_holes
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
        values = planes.nan_to_num(nan=0.0)
        mean = _around(values, corner=0.5) / _around(good, corner=0.5)
        # Peaks are higher than the mean of what is around them.
        parabola = _around(values, corner=-0.5) / 2
        surrounded = _around(good, corner=1.0) == 8
        planes = parabola.where(surrounded, mean).where(fillable, planes)
    return planes


def _around(planes, corner):
    """Sums of the eight neighbors, those at the corners weighted; nothing is beyond the edges."""
    from torch.nn.functional import conv2d

    kernel = planes.new_tensor([[corner, 1, corner], [1, 0, 1], [corner, 1, corner]])
    return conv2d(planes, kernel[None, None], padding=1)
