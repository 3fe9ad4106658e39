# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Recognition of the training set of a classifier by the fingerprints in its card."""

import warnings
from dataclasses import replace

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.weights.fingerprints import (
    MOST_DIGESTS,
    pack_digests,
    stamp_digests,
    unpack_digests,
)

__all__ = ["exclude_seen", "seen_rows", "training_fingerprint"]


def seen_rows(classifier, stamps):
    """Mask of the stamps on which a classifier, or the one it was fine-tuned from, was trained.

    Stamps are recognized by their pixels in any one band, whatever their order, even if their
    positions differ by a few pixels or the images have another unit.

    Parameters
    ----------
    classifier : `~astroclust.weights.Classifier`
        Classifier. If its card is of an earlier version without fingerprints, no stamps are
        recognized.
    stamps : `~astroclust.stamps.Stamps`
        n stamps.

    Returns
    -------
    seen : `~numpy.ndarray` of bool, shape (n,)
        Whether each stamp is in the training set.

    Examples
    --------
    >>> from astroclust import simulate_stamps, train_classifier
    >>> from astroclust.training import Recipe, Sample, seen_rows
    >>> stamps = simulate_stamps(12, seed=1)
    >>> sample = Sample(stamps[:8], stamps.table["class"][:8])
    >>> recipe = Recipe(architecture="native-small", epochs=1)
    >>> classifier = train_classifier(sample, name="mine", recipe=recipe)
    >>> seen_rows(classifier, stamps[6:]).tolist()
    [True, True, False, False, False, False]
    """
    known = unpack_digests(classifier.card.training_rows) or frozenset()
    if not known:
        return np.zeros(len(stamps), bool)
    return np.array([any(one in known for one in row) for row in stamp_digests(stamps)], bool)


def exclude_seen(classifier, sample):
    """Exclude the rows of a sample on which a classifier was trained.

    Parameters
    ----------
    classifier : `~astroclust.weights.Classifier`
        Classifier.
    sample : `~astroclust.training.Sample`
        Labeled stamps; a test set is unchanged.

    Returns
    -------
    sample : `~astroclust.training.Sample`
        Remaining rows.
    n_seen : int
        Number of excluded rows.

    Examples
    --------
    >>> from astroclust import simulate_stamps, train_classifier
    >>> from astroclust.training import Recipe, Sample, exclude_seen
    >>> stamps = simulate_stamps(12, seed=1)
    >>> sample = Sample(stamps, stamps.table["class"])
    >>> recipe = Recipe(architecture="native-small", epochs=1)
    >>> learned = Sample(stamps[:8], stamps.table["class"][:8])
    >>> classifier = train_classifier(learned, name="mine", recipe=recipe)
    >>> rest, n_seen = exclude_seen(classifier, sample)
    >>> len(rest.stamps), n_seen
    (4, 8)
    """
    kept = ~seen_rows(classifier, sample.stamps)
    rest = replace(
        sample,
        stamps=sample.stamps[kept],
        labels=np.ma.asarray(sample.labels)[kept],
        groups=None if sample.groups is None else np.asarray(sample.groups)[kept],
    )
    return rest, int((~kept).sum())


def training_fingerprint(samples, *classifiers):
    """Fingerprints of all training stamps, for a card.

    If there are too many for a card, only those in the reference band of each stamp are included;
    if these are still too many, simulated stamps are excluded.

    Parameters
    ----------
    samples : sequence of `~astroclust.training.Sample`
        Training samples.
    *classifiers : `~astroclust.weights.Classifier` or None
        Classifiers to learn from, whose fingerprints are kept.

    Returns
    -------
    text : str
        See `~astroclust.weights.fingerprints.pack_digests`; empty if there are too many.

    Warns
    -----
    AstropyUserWarning
        If there are too many stamps.
    """
    known = [one for one in classifiers if one is not None]
    before = set().union(*(unpack_digests(one.card.training_rows) for one in known))
    every = [(one.simulated, row) for one in samples for row in _ranked(one.stamps)]
    choices = (
        {digest for _, row in every for digest in row},
        {digest for _, row in every for digest in row[:1]},
        {digest for simulated, row in every if not simulated for digest in row[:1]},
    )
    for digests in choices:
        if len(digests | before) <= MOST_DIGESTS:
            return pack_digests(digests | before)
    warnings.warn(
        f"the training set has more than {MOST_DIGESTS} stamps, too many to keep fingerprints in "
        "the card, so astroclust score cannot exclude training stamps; hold out galaxies for "
        "scoring",
        AstropyUserWarning,
        stacklevel=4,
    )
    return ""


def _ranked(stamps):
    """Fingerprints of stamps in their available bands, starting with the reference band."""
    order = sorted(range(len(stamps.bands)), key=lambda i: _rank(stamps, i))
    return [[row[i] for i in order if row[i] is not None] for row in stamp_digests(stamps)]


def _rank(stamps, band):
    return stamps.system.reference.index(stamps.bands[band])
