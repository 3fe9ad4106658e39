# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Scores of a classifier on subsets of its bands."""

from itertools import combinations

import numpy as np
from tqdm import tqdm

from astroclust.stamps import without_bands
from astroclust.training.held_out import SIMULATED, sets_by_galaxy
from astroclust.training.scores import (
    join_samples,
    predict,
    scores_of_classes,
)
from astroclust.weights.cards import subset_name

__all__ = ["likely_subsets", "score_bands", "score_test_bands"]

_SCORES = ("n", "accuracy", "mean_recall", "ece")
# Most fields of the HST archive with two bands have two of the first three reference bands.
_COMMON = 3


def likely_subsets(system, *, bands=None):
    """Subsets of bands that a field is likely to have.

    Surveys usually observe adjacent bands, so each single band and all runs of adjacent bands are
    included. Many other fields have two of the main reference bands, so all pairs of the first
    three reference bands are included as well.

    Parameters
    ----------
    system : `~astroclust.instruments.BandSystem`
        Band system.
    bands : sequence of str, optional
        Available roles; by default all of the system.

    Returns
    -------
    subsets : list of tuple of str
        Roles in the order of the system, sorted by the size of the subset.

    Examples
    --------
    >>> from astroclust.instruments import LEGUS_BANDS
    >>> from astroclust.training import likely_subsets
    >>> likely_subsets(LEGUS_BANDS, bands=["B", "V", "I"])
    [('B',), ('V',), ('I',), ('B', 'V'), ('V', 'I'), ('B', 'I'), ('B', 'V', 'I')]
    """
    roles = sorted(system.select(bands), key=system.index)
    n = len(roles)
    runs = [tuple(roles[i : i + size]) for size in range(1, n + 1) for i in range(n - size + 1)]
    known = [role for role in system.reference if role in roles][:_COMMON]
    pairs = combinations(sorted(known, key=system.index), 2)
    return sorted(dict.fromkeys([*runs, *pairs]), key=len)


def score_bands(tests, *, subsets=None, progress_bar=False):
    """Score classifiers on subsets of the bands, pooled over test sets.

    Each subset is scored on the stamps that have all of its bands; their other bands are removed.

    Parameters
    ----------
    tests : sequence of tuple
        Tuples ``(classifier, stamps, labels)``, as for `score_classifier`, of stamps that the
        classifier was not trained on. Several classifiers may be those of cross-validation folds,
        or of galaxies that were held out one at a time.
    subsets : sequence of sequence of str, optional
        Roles of each subset; by default those of `likely_subsets`. Subsets that are not available
        for any stamp, or that lack more bands than the cards allow, are excluded.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    scores : dict of str to dict of str to float
        Scores by the name of the subset, such as ``"V+I"``: ``n``, the number of stamps;
        ``accuracy``; ``mean_recall``, the mean over the classes present; and ``ece``, the expected
        calibration error. See `~astroclust.weights.ModelCard.band_scores`.

    Raises
    ------
    ValueError
        If there are no test sets or no stamps; if the classifiers have different classes or band
        systems; or if a subset has an unknown band.

    Examples
    --------
    >>> from astroclust import load_classifier, simulate_stamps
    >>> from astroclust.training import score_bands
    >>> stamps = simulate_stamps(8, seed=1)
    >>> test = load_classifier(), stamps, stamps.table["class"]
    >>> list(score_bands([test], subsets=[["V"], ["I", "V"]]))
    ['V', 'V+I']
    """
    tests = list(tests)
    if not tests:
        raise ValueError("no test sets to score a classifier on; pass at least one")
    card = tests[0][0].card
    for classifier, *_ in tests[1:]:
        other = classifier.card
        if other.classes.numbers != card.classes.numbers or other.system != card.system:
            raise ValueError(
                f"{other.name} and {card.name} differ in their classes or bands; score them "
                "separately"
            )
    if subsets is None:
        subsets = likely_subsets(card.system, bands=card.bands)
    names = [subset_name(one, card.system) for one in subsets]
    scores = {}
    for name in tqdm(names, unit="subset", desc="scoring bands", disable=not progress_bar):
        found = [_predict_subset(*test, set(name.split("+"))) for test in tests]
        found = [one for one in found if one is not None]
        if found:
            pooled = scores_of_classes(*map(np.concatenate, zip(*found, strict=True)), card.classes)
            scores[name] = {score: pooled[score] for score in _SCORES}
    return scores


def _predict_subset(classifier, stamps, labels, subset):
    """Classes and probabilities of stamps that have all bands of a subset, or None."""
    bands, most = classifier.card.bands, classifier.card.max_missing_bands
    if not subset <= set(bands) or len(bands) - len(subset) > most:
        return None
    kept = np.array([band in subset for band in bands])
    rows = stamps.present[:, kept].all(axis=1)
    if not rows.any():
        return None
    rest = without_bands(stamps[rows], np.flatnonzero(~kept).tolist())
    return predict(classifier, rest, np.ma.asarray(labels)[rows])


def score_test_bands(classifier, samples, *, progress_bar=False):
    """Scores for subsets of the bands on the test sets of samples, as stored in a card.

    Parameters
    ----------
    classifier : `~astroclust.weights.Classifier`
        Classifier to be scored.
    samples : sequence of `~astroclust.training.Sample`
        Samples, some of which have test sets.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    scores : dict of str to dict
        Result of `score_bands` for ``"simulated"`` stamps and for those with ``"human"`` labels.
    """
    scheme, scores = classifier.card.classes, {}
    for name, parts in sets_by_galaxy(samples).items():
        kind = "simulated" if name == SIMULATED else "human"
        scores.setdefault(kind, []).append((classifier, *join_samples(parts, scheme)))
    return {kind: score_bands(tests, progress_bar=progress_bar) for kind, tests in scores.items()}
