# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Training targets: class probabilities from labels or votes."""

from itertools import product

import numpy as np

from astroclust.instruments import find_class_scheme

__all__ = ["class_targets", "vote_fractions"]

_NEAR = 0.006  # catalogs give means to two decimals


def class_targets(labels, n, scheme="legus"):
    """Convert labels to class probabilities.

    Parameters
    ----------
    labels : array_like, shape (n,) or (n, n_classes)
        Classes of ``scheme``, or labels that it merges into one; or probabilities, such as
        fractions of votes.
    n : int
        Number of stamps.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme.

    Returns
    -------
    targets : `~numpy.ndarray` of float32, shape (n, n_classes)
        Class probabilities; each row sums to 1.

    Raises
    ------
    ValueError
        If the shape is wrong, or values are neither classes nor probabilities.
    """
    scheme = find_class_scheme(scheme)
    labels = np.ma.asarray(labels)
    if labels.shape not in ((n,), (n, len(scheme))):
        raise ValueError(
            f"labels must be one per stamp, shape ({n},), or class probabilities, shape "
            f"({n}, {len(scheme)}), not {labels.shape}"
        )
    if labels.ndim == 1:
        return np.eye(len(scheme), dtype=np.float32)[scheme.positions(labels)]
    if np.ma.is_masked(labels):
        raise ValueError(
            f"labels contain {np.ma.count_masked(labels)} masked values; exclude those rows"
        )
    labels = labels.data
    total = labels.sum(axis=1)
    if not ((labels >= 0).all() and (total > 0).all() and np.isfinite(total).all()):
        raise ValueError(
            "class probabilities must be non-negative, with a non-zero sum in each row"
        )
    return np.float32(labels / total[:, None])


def vote_fractions(class_mode, class_mean, scheme="legus"):
    """Vote fractions of three or four experts, from the mode and mean of their votes.

    The fractions are averaged over all combinations of votes with this mode and mean; if there are
    none, all votes are assumed to be the mode.

    Parameters
    ----------
    class_mode : array_like of int, shape (n,)
        Mode of the votes, such as ``class_human`` in LEGUS catalogs.
    class_mean : array_like of float, shape (n,)
        Mean of the votes, such as ``class_mean`` in LEGUS catalogs.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme.

    Returns
    -------
    fractions : `~numpy.ndarray` of float32, shape (n, n_classes)
        Soft labels for `~astroclust.training.train_classifier`; each row sums to 1.

    Examples
    --------
    >>> from astroclust.training import vote_fractions
    >>> (3 * vote_fractions([2, 2], [2.0, 1.67])).tolist()
    [[0.0, 3.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0]]
    """
    modes, means = np.asarray(class_mode), np.asarray(class_mean, float)
    scheme = find_class_scheme(scheme)
    fractions = class_targets(modes, len(modes), scheme)
    for mode, mean in set(zip(modes.tolist(), means.tolist(), strict=True)):
        votes = _votes(mode, mean, scheme.numbers)
        if votes:
            fractions[(modes == mode) & (means == mean)] = np.mean(votes, axis=0)
    return fractions


def _votes(mode, mean, classes):
    """Class fractions for all combinations of votes with a given mode and mean.

    Three votes are preferred over four, and a unique mode over a tie.
    """
    for n, tied in product((3, 4), (1, 2, 3)):
        found = []
        for votes in product(classes, repeat=n):
            counts = np.array([votes.count(number) for number in classes])
            is_mode = (
                counts[classes.index(mode)] == counts.max()
                and np.sum(counts == counts.max()) == tied
            )
            if is_mode and abs(np.mean(votes) - mean) < _NEAR:
                found.append(counts / n)
        if found:
            return found
    return []
