# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Groups of pixels divided into sources, by the rule of SExtractor (Bertin & Arnouts 1996).

A group is looked at above levels that rise by equal factors to its peak. A branch that stands
apart there counts where it holds a share of the group's flux *above its own level*; where two or
more such branches part, they are sources. The contrast of `photutils.segmentation.deblend_sources`
is the share of all the flux that is nearer to one peak, which splits far more.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

__all__ = ["deblend"]

_CONNECTED = np.ones((3, 3), bool)  # pixels that touch, also by a corner
# Smallest number of pixels of a branch.
_MIN_PIXELS = 3


def deblend(data, labels, limit, *, n_levels, contrast):
    """Divide groups of pixels that have several peaks.

    Parameters
    ----------
    data : `~numpy.ndarray` of float, shape (ny, nx)
        The image above its background.
    labels : `~numpy.ndarray` of int, shape (ny, nx)
        The group that a pixel is in; 0 for none.
    limit : float
        What all pixels of the groups are above.
    n_levels : int
        Number of levels (SExtractor's DEBLEND_NTHRESH).
    contrast : float
        Smallest share of the flux of a branch (SExtractor's DEBLEND_MINCONT).

    Returns
    -------
    labels : `~numpy.ndarray` of int, shape (ny, nx)
        The source that a pixel is in; groups that are not divided keep their number.
    """
    several = _with_several_peaks(data, labels)
    branches = _grow_branches(data, np.where(several[labels], labels, 0), limit, n_levels)
    markers = _mark_sources(branches, contrast, labels.shape)
    divided = np.zeros(len(several), bool)
    divided[labels[markers > 0]] = True
    divided = divided[labels]
    if not divided.any():
        return labels
    parts = watershed(-data, markers, mask=divided, connectivity=_CONNECTED)
    return np.where(divided, parts + labels.max(), labels)


def _with_several_peaks(data, labels):
    """For each label whether it has more than one local maximum."""
    inside = np.where(labels > 0, data, 0)
    peaks = labels[(labels > 0) & (inside == ndimage.maximum_filter(inside, 3))]
    return np.bincount(peaks, minlength=labels.max() + 1) > 1


@dataclass(frozen=True)
class _Level:
    """The branches at one level; branch 0 stands for none."""

    pixels: np.ndarray  # places in the flattened image
    branch: np.ndarray  # that of each pixel
    excess: np.ndarray  # flux of each branch above the level, as a share of that of its group
    parent: np.ndarray  # of each branch, at the level below


def _grow_branches(data, groups, limit, n_levels):
    """Find the branches at each level, from the lowest up."""
    pixels = np.flatnonzero(groups)
    value, group = data.ravel()[pixels].astype(float), groups.ravel()[pixels]
    total = np.bincount(group, value)
    peak = np.full(total.shape, limit)
    np.maximum.at(peak, group, value)
    step = np.log(peak / limit) / n_levels
    levels, below = [], np.zeros(groups.size, np.int32)
    for k in range(n_levels):
        level = limit * np.exp(k * step)
        above = value >= level[group]
        pixels, value, group = pixels[above], value[above], group[above]
        image = np.zeros(groups.shape, bool)
        image.ravel()[pixels] = True
        label = ndimage.label(image, _CONNECTED)[0].ravel()
        large = np.bincount(label[pixels], minlength=1)[label[pixels]] >= _MIN_PIXELS
        pixels, value, group = pixels[large], value[large], group[large]
        branch = label[pixels]
        n = label.max() + 1
        share = np.bincount(branch, (value - level[group]) / total[group], minlength=n)
        parent = np.zeros(n, np.int32)
        parent[branch] = below[pixels]
        levels.append(_Level(pixels, branch, share, parent))
        below = label
    return levels


def _mark_sources(levels, contrast, shape):
    """Number the branches that are sources, in an image that is 0 elsewhere."""
    markers = np.zeros(shape, np.int32)
    n_sources = 0
    whole = np.ones(len(levels[-1].parent), bool)  # not divided further up
    for lower, upper in zip(levels[-2::-1], levels[:0:-1], strict=True):
        counts = upper.excess > contrast
        n_branches = np.bincount(upper.parent[counts], minlength=len(lower.parent))
        parts = n_branches > 1
        sources = counts & whole & parts[upper.parent]
        number = np.where(sources, n_sources + np.cumsum(sources), 0)
        n_sources += np.count_nonzero(sources)
        marked = sources[upper.branch]
        markers.ravel()[upper.pixels[marked]] = number[upper.branch[marked]]
        divided = np.bincount(upper.parent[~whole], minlength=len(lower.parent)) > 0
        whole = ~(parts | divided)
    return markers
