# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Interpolation of missing pixels from neighboring pixels in the same band."""

__all__ = ["fill_holes"]

# Pixels with more good neighbors than this, of eight, are filled. Pixels beyond a straight edge at
# any angle have fewer, so that regions outside the image are never filled.
_MOST_AT_AN_EDGE = 4
# Number of rounds that fill holes of up to three pixels across from their corners.
_ROUNDS = 3


def fill_holes(pixels):
    """Fill missing pixels that are surrounded by good ones.

    A missing pixel with eight good neighbors is set to a parabola through them; one with at least
    five to their mean, with double weight for those that share a side. This is repeated for holes
    of up to three pixels across. Pixels outside the image, gaps between chips and missing bands
    are not filled.

    Parameters
    ----------
    pixels : `~torch.Tensor` of float, shape (n, n_bands, size, size)
        Stamps with NaN for missing pixels; not changed.

    Returns
    -------
    filled : `~torch.Tensor`, shape (n, n_bands, size, size)
        Filled stamps; the same tensor if no pixels are missing.

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
        # Unlike the mean, a parabola can peak at the missing pixel.
        parabola = _around(values, corner=-0.5) / 2
        surrounded = _around(good, corner=1.0) == 8
        planes = parabola.where(surrounded, mean).where(fillable, planes)
    return planes


def _around(planes, corner):
    """Sums of the eight neighbors, with a weight for corners; pixels beyond the edge are 0."""
    from torch.nn.functional import conv2d

    kernel = planes.new_tensor([[corner, 1, corner], [1, 0, 1], [corner, 1, corner]])
    return conv2d(planes, kernel[None, None], padding=1)
