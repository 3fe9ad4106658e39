# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Sources that are but the wings of others, by the rule of SExtractor (CLEAN)."""

import numpy as np
from scipy.spatial import KDTree

__all__ = ["is_spurious", "margin_of"]

# A wing reaches so many times the semi-major axis of its source.
_REACH = 10


def margin_of(data, labels, kept, limit, n_pixels):
    """How much light a source can lose and still be found.

    Parameters
    ----------
    data : `~numpy.ndarray` of float, shape (ny, nx)
        The image above its background.
    labels : `~numpy.ndarray` of int, shape (ny, nx)
        The source that a pixel is in; 0 for none.
    kept : `~numpy.ndarray` of int, shape (n,)
        The labels there are, in ascending order.
    limit : float
        The threshold.
    n_pixels : int
        Number of pixels above it that make a source.

    Returns
    -------
    margin : `~numpy.ndarray` of float, shape (n,)
        Height above the threshold of the pixel that is needed last.
    """
    pixels = np.flatnonzero(labels)
    label, value = labels.ravel()[pixels], data.ravel()[pixels]
    order = np.lexsort([-value, label])
    first = np.searchsorted(label[order], kept)
    last = np.append(first[1:], len(order)) - 1
    return value[order][np.minimum(first + n_pixels - 1, last)] - limit


def is_spurious(sources, limit):
    """Which sources would not have been found without the wings of a brighter one.

    The wings of a source are those of a Moffat profile with exponent 1 (CLEAN_PARAM) through its
    peak and its isophote.

    Parameters
    ----------
    sources : `~astropy.table.Table`, length n
        With ``x``, ``y``, ``area``, ``flux``, ``margin`` as `margin_of` gives it, ``axes`` (the
        product of the semi-axes), ``major`` (the longer one) and the coefficients ``cxx``,
        ``cxy``, ``cyy`` of the ellipse.
    limit : float
        The threshold.

    Returns
    -------
    spurious : `~numpy.ndarray` of bool, shape (n,)
        A source that is spurious itself makes no other so.
    """
    spurious = np.zeros(len(sources), bool)
    if len(sources) < 2:
        return spurious
    column = {name: np.asarray(sources[name], float) for name in sources.colnames}
    area = np.pi * column["axes"]
    height = column["flux"] / (2 * area)
    slope = (np.maximum(height / limit, 1) - 1) * area / column["area"]
    places = np.column_stack([column["x"], column["y"]])
    reach = _REACH * column["major"]
    near = KDTree(places).query_ball_point(places, np.sqrt(2) * reach)
    for i in np.argsort(-column["flux"], kind="stable"):
        if spurious[i]:
            continue
        j = np.array(near[i], int)
        j = j[column["flux"][j] < column["flux"][i]]
        dx, dy = (places[j] - places[i]).T
        square = column["cxx"][i] * dx**2 + column["cyy"][i] * dy**2 + column["cxy"][i] * dx * dy
        wing = height[i] / (1 + slope[i] * square)
        inside = (np.abs(dx) < reach[i]) & (np.abs(dy) < reach[i])
        spurious[j[inside & (slope[i] > 0) & (wing > column["margin"][j])]] = True
    return spurious
