# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""What a network learns: chances of the classes, from labels or from votes."""

from itertools import product

import numpy as np

from astroclust.catalogs import CLASSES

__all__ = ["class_chances", "vote_shares"]

_NEAR = 0.006  # catalogues give means with two digits


def class_chances(labels, n):
    """Labels as chances of the classes.

    Parameters
    ----------
    labels : array_like, shape (n,) or (n, n_classes)
        Classes, of `~astroclust.catalogs.CLASSES`, or chances, such as shares of votes.
    n : int
        How many there must be.

    Returns
    -------
    chances : `~numpy.ndarray` of float32, shape (n, n_classes)
        Each row sums to 1.

    Raises
    ------
    ValueError
        Where the shape is another, or values are neither classes nor chances.
    """
    labels = np.ma.asarray(labels)
    if labels.shape not in ((n,), (n, len(CLASSES))):
        raise ValueError(
            f"labels must be one a stamp, shape ({n},), or chances of the classes, shape "
            f"({n}, {len(CLASSES)}), not {labels.shape}"
        )
    if np.ma.is_masked(labels):
        raise ValueError(
            f"labels has {np.ma.count_masked(labels)} masked values: leave those stamps out"
        )
    labels = labels.data
    if labels.ndim == 1:
        unknown = sorted(set(labels.tolist()) - set(CLASSES))
        if unknown:
            raise ValueError(f"labels {unknown} are not classes: those are {list(CLASSES)}")
        return np.eye(len(CLASSES), dtype=np.float32)[np.searchsorted(list(CLASSES), labels)]
    total = labels.sum(axis=1)
    if not ((labels >= 0).all() and (total > 0).all() and np.isfinite(total).all()):
        raise ValueError("chances must not be negative, and above 0 for a class in each row")
    return np.float32(labels / total[:, None])


def vote_shares(class_mode, class_mean):
    """Shares of the classes in the votes of three or four experts, from their mode and mean.

    The mean over all votes that have this mode and this mean; where none have, all votes are the
    mode.

    Parameters
    ----------
    class_mode : array_like of int, shape (n,)
        The label, as ``class_human`` in the catalogues of LEGUS.
    class_mean : array_like of float, shape (n,)
        The mean of the votes, as ``class_mean`` there.

    Returns
    -------
    shares : `~numpy.ndarray` of float32, shape (n, n_classes)
        Each row sums to 1: soft labels, for `~astroclust.training.train_classifier`.

    Examples
    --------
    >>> from astroclust.training import vote_shares
    >>> (3 * vote_shares([2, 2], [2.0, 1.67])).tolist()
    [[0.0, 3.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0]]
    """
    modes, means = np.asarray(class_mode), np.asarray(class_mean, float)
    shares = class_chances(modes, len(modes))
    for mode, mean in set(zip(modes.tolist(), means.tolist(), strict=True)):
        votes = _votes(mode, mean)
        if votes:
            shares[(modes == mode) & (means == mean)] = np.mean(votes, axis=0)
    return shares


def _votes(mode, mean):
    """Shares of the classes in every way to vote that has a mode and a mean.

    Three votes before four, and a clear mode before a tie.
    """
    for n, tied in product((3, 4), (1, 2, 3)):
        found = []
        for votes in product(CLASSES, repeat=n):
            counts = np.array([votes.count(number) for number in CLASSES])
            is_mode = counts[mode - 1] == counts.max() and np.sum(counts == counts.max()) == tied
            if is_mode and abs(np.mean(votes) - mean) < _NEAR:
                found.append(counts / n)
        if found:
            return found
    return []
