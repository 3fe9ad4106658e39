# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Which stamps a classifier has been trained on, by the fingerprints in its card."""

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
    """Which stamps a classifier, or the one that it was fine-tuned from, has been trained on.

    Stamps are recognized by their pixels in any one band, in any order, also if their position is
    off by some pixels or the unit of the images differs.

    Parameters
    ----------
    classifier : `~astroclust.weights.Classifier`
        The classifier. A card without fingerprints, of an earlier version, knows of no stamp.
    stamps : `~astroclust.stamps.Stamps`
        n stamps.

    Returns
    -------
    seen : `~numpy.ndarray` of bool, shape (n,)
        Whether the pixels of a stamp are those of the training set.

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
    """The rows of a sample that a classifier has not been trained on.

    Parameters
    ----------
    classifier : `~astroclust.weights.Classifier`
        The classifier.
    sample : `~astroclust.training.Sample`
        Labeled stamps; its test set is not looked at.

    Returns
    -------
    sample : `~astroclust.training.Sample`
        The other rows.
    n_seen : int
        Number of rows that were excluded.

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


def training_fingerprint(samples, start=None):
    """Fingerprints of all stamps of training sets, for a card.

    If there are more than a card can keep, each stamp has one in its reference band alone; if
    these are too many as well, simulated stamps have none.

    Parameters
    ----------
    samples : sequence of `~astroclust.training.Sample`
        Samples that are trained on.
    start : `~astroclust.weights.Classifier`, optional
        Classifier that is fine-tuned, whose fingerprints are kept.

    Returns
    -------
    text : str
        See `~astroclust.weights.fingerprints.pack_digests`; empty if there are too many.

    Warns
    -----
    AstropyUserWarning
        If there are too many stamps.
    """
    before = set() if start is None else unpack_digests(start.card.training_rows)
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
        f"the training set has more than {MOST_DIGESTS} stamps, too many for their fingerprints to "
        "be kept in the card: astroclust score cannot tell which stamps were trained on; hold out "
        "galaxies to score it on",
        AstropyUserWarning,
        stacklevel=4,
    )
    return ""


def _ranked(stamps):
    """Fingerprints of stamps in the bands that they have, that in the reference band first."""
    order = sorted(range(len(stamps.bands)), key=lambda i: _rank(stamps, i))
    return [[row[i] for i in order if row[i] is not None] for row in stamp_digests(stamps)]


def _rank(stamps, band):
    return stamps.system.reference.index(stamps.bands[band])
