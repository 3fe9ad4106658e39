# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Scores of a classifier for its model card, on stamps not in the training set."""

from dataclasses import replace
from itertools import combinations

import numpy as np
from astropy.stats import binom_conf_interval
from scipy.stats import rankdata
from tqdm import tqdm

from astroclust.evaluation import calibration_curve
from astroclust.stamps import damage_stamps, without_bands
from astroclust.training.augmentation import crop_middle
from astroclust.training.held_out import SIMULATED, sets_by_galaxy
from astroclust.training.labels import class_targets

__all__ = [
    "join_samples",
    "member_probabilities",
    "predict",
    "score_classifier",
    "score_galaxies",
    "scores_of_classes",
    "summary",
]

_BATCH = 256
# Fraction of missing pixels in each stamp, as in a degraded detector; and seed of their positions.
_MASKED, _SEED = 0.1, 0


def score_classifier(classifier, stamps, labels, *, ablate=True, progress_bar=False):
    """Score a classifier on labeled stamps, also with missing bands or pixels.

    Parameters
    ----------
    classifier : `~astroclust.weights.Classifier`
        Classifier to be scored.
    stamps : `~astroclust.stamps.Stamps`
        n stamps with its bands and size, on which it was not trained.
    labels : array_like, shape (n,) or (n, n_classes)
        Their classes, as in the card of the classifier, or class probabilities.
    ablate : bool, optional
        Whether to also classify the stamps without some of the bands and pixels.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    scores : dict of str to float
        ``n``, the number of stamps; ``accuracy`` and ``accuracy_error`` (68 %); ``baseline``, the
        accuracy of assigning the most common class to all stamps; ``recall_1`` ..., for each class
        present; ``mean_recall`` and ``auc_1_2``, as in `score_galaxies`; ``precision_1`` ..., for
        each class predicted; ``ece``, the expected calibration error. With ``ablate``, also
        ``accuracy_masked``, with a tenth of the pixels missing; and ``accuracy_without_BAND`` and
        ``accuracy_without_BAND_BAND`` for each band and pair of bands that some stamps have and
        the card allows to be missing, on the stamps that retain another band.

    Raises
    ------
    ValueError
        If labels are not classes, or not one per stamp, or there are no stamps.

    Examples
    --------
    >>> from astroclust import load_classifier, simulate_stamps
    >>> from astroclust.training import score_classifier
    >>> stamps = simulate_stamps(8, seed=1)
    >>> scores = score_classifier(load_classifier(), stamps, stamps.table["class"])
    >>> list(scores)[:5]
    ['n', 'accuracy', 'accuracy_error', 'baseline', 'recall_1']
    >>> 0 <= scores["accuracy_without_NUV"] <= 1
    True
    """
    true, probabilities = predict(classifier, stamps, labels)
    scores = summary(true, probabilities, classifier.card.classes)
    if not ablate:
        return scores
    prepared = classifier.prepared()
    losses = _losses(stamps, classifier.card.max_missing_bands)
    changes = tqdm(
        _with_less(stamps, losses),
        total=1 + len(losses),
        unit="score",
        desc="scoring",
        disable=not progress_bar,
    )
    for name, changed in changes:
        seen = changed.present.any(axis=1)
        if seen.any():
            classes = member_probabilities(prepared, changed[seen]).mean(axis=0).argmax(axis=1)
            scores[f"accuracy_{name}"] = round(float((classes == true[seen]).mean()), 4)
    return scores


def predict(classifier, stamps, labels):
    """True classes and predicted class probabilities of labeled stamps.

    Parameters
    ----------
    classifier, stamps, labels
        See `score_classifier`.

    Returns
    -------
    true : `~numpy.ndarray` of int, shape (n,)
        Labels, as indices into the classes of the scheme.
    probabilities : `~numpy.ndarray` of float32, shape (n, n_classes)
        Mean over the members.
    """
    targets = class_targets(labels, len(stamps), classifier.card.classes)
    if not len(stamps):
        raise ValueError("no stamps to score a classifier on")
    probabilities = member_probabilities(classifier.prepared(), stamps).mean(axis=0)
    return targets.argmax(axis=1), probabilities


def summary(true, probabilities, scheme):
    """Scores of class probabilities; see `score_classifier` without ``ablate``.

    Parameters
    ----------
    true, probabilities, scheme
        See `scores_of_classes`.

    Returns
    -------
    scores : dict of str to float
        See `score_classifier`.
    """
    chosen, n = probabilities.argmax(axis=1), len(true)
    low, high = binom_conf_interval((chosen == true).sum(), n, interval="wilson")
    precisions = {
        f"precision_{number}": (true[chosen == position] == position).mean()
        for position, number in enumerate(scheme.numbers)
        if (chosen == position).any()
    }
    scores = scores_of_classes(true, probabilities, scheme)
    ece = scores.pop("ece")
    first = {"n": scores.pop("n"), "accuracy": scores.pop("accuracy")}
    first |= {"accuracy_error": (high - low) / 2, "baseline": np.bincount(true).max() / n}
    return _rounded(first | scores | precisions | {"ece": ece})


def member_probabilities(classifier, stamps):
    """Class probabilities from each member of an ensemble, computed in batches.

    Parameters
    ----------
    classifier : `~astroclust.weights.Classifier`
        Classifier to be used.
    stamps : `~astroclust.stamps.Stamps`
        Any number n of stamps.

    Returns
    -------
    probabilities : `~numpy.ndarray` of float32, shape (n_members, n, n_classes)
        See `~astroclust.weights.Classifier.probabilities`.

    Examples
    --------
    >>> from astroclust import load_classifier, simulate_stamps
    >>> from astroclust.training import member_probabilities
    >>> member_probabilities(load_classifier(), simulate_stamps(3, seed=1)).shape
    (1, 3, 4)
    """
    starts = range(0, len(stamps), _BATCH)
    parts = [classifier.probabilities(stamps[i : i + _BATCH]) for i in starts]
    return np.concatenate(parts, axis=1)


def _losses(stamps, max_missing_bands):
    """Indices of the bands to be removed: each band that some stamps have, and each pair."""
    there = np.flatnonzero(stamps.present.any(axis=0)).tolist()
    absent = len(stamps.bands) - len(there)
    sizes = range(1, min(2, max_missing_bands - absent, len(there) - 1) + 1)
    return [missing for size in sizes for missing in combinations(there, size)]


def _with_less(stamps, losses):
    """Yield names and stamps with missing pixels, then with missing bands."""
    rng = np.random.default_rng(_SEED)
    yield "masked", damage_stamps(stamps, rng, kind="pixels", fraction=_MASKED)
    for missing in losses:
        names = "_".join(stamps.bands[i] for i in missing)
        yield f"without_{names}", without_bands(stamps, list(missing))


def score_galaxies(classifier, samples, *, progress_bar=False):
    """Score a classifier on the test sets of samples, per galaxy and pooled.

    Parameters
    ----------
    classifier : `~astroclust.weights.Classifier`
        Classifier to be scored.
    samples : sequence of `Sample`
        Samples, some of which have test sets; see `hold_out`.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    scores : dict of str to dict of str to float
        Scores by galaxy; ``"simulated"`` for simulated stamps; and, if there is more than one
        galaxy, ``"all"`` for the stamps of all galaxies. Each has ``n``, the number of stamps;
        ``accuracy``; ``recall_1`` ..., for each class present; ``mean_recall``, their mean;
        ``auc_1_2``, the area under the ROC curve of classes 1 and 2 against the others, if both
        are present; and ``ece``, the expected calibration error.

    Raises
    ------
    ValueError
        If there are no test sets, or labels are not classes of the classifier.

    Examples
    --------
    >>> from astroclust import load_classifier, simulate_stamps
    >>> from astroclust.training import Sample, hold_out, score_galaxies
    >>> stamps = simulate_stamps(16, seed=1)
    >>> labels = stamps.table["class"]
    >>> samples = [Sample(stamps, labels, galaxy=one) for one in ("NGC 1", "NGC 2", "NGC 3")]
    >>> samples = hold_out(samples, galaxies=["NGC 2", "NGC 3"])
    >>> scores = score_galaxies(load_classifier(), samples)
    >>> list(scores)
    ['NGC 2', 'NGC 3', 'all']
    >>> scores["all"]["n"]
    32
    """
    sets = sets_by_galaxy(samples)
    if not sets:
        raise ValueError("no test sets to score a classifier on; hold out a galaxy")
    scheme = classifier.card.classes
    classifier = classifier.prepared()
    results = {}
    for name, parts in tqdm(sets.items(), unit="galaxy", desc="scoring", disable=not progress_bar):
        stamps, targets = join_samples(parts, scheme)
        true = targets.argmax(axis=1)
        results[name] = true, member_probabilities(classifier, stamps).mean(axis=0)
    real = [result for name, result in results.items() if name != SIMULATED]
    if len(real) > 1:
        results["all"] = tuple(map(np.concatenate, zip(*real, strict=True)))
    return {name: scores_of_classes(*result, scheme) for name, result in results.items()}


def join_samples(samples, scheme):
    """Join the test sets of samples.

    Parameters
    ----------
    samples : sequence of `Sample`
        Samples with test sets.
    scheme : `~astroclust.instruments.ClassScheme`
        Class scheme.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        n stamps, without a table.
    targets : `~numpy.ndarray` of float32, shape (n, n_classes)
        Class probabilities.
    """
    stamps = [crop_middle(one.test_stamps, one.size) for one in samples]
    targets = [class_targets(one.test_labels, len(one.test_stamps), scheme) for one in samples]
    if len(stamps) == 1:
        return stamps[0], targets[0]
    joined = replace(
        stamps[0],
        data=np.concatenate([one.data for one in stamps]),
        present=np.concatenate([one.present for one in stamps]),
        flags=np.concatenate([one.flags for one in stamps]),
        table=None,
    )
    return joined, np.concatenate(targets)


def scores_of_classes(true, probabilities, scheme):
    """Scores of class probabilities; see `score_galaxies` for one galaxy.

    Parameters
    ----------
    true : `~numpy.ndarray` of int, shape (n,)
        True classes, as indices into the classes of the scheme.
    probabilities : `~numpy.ndarray` of float, shape (n, n_classes)
        Class probabilities.
    scheme : `~astroclust.instruments.ClassScheme`
        Class scheme.

    Returns
    -------
    scores : dict of str to float
        See `score_galaxies`.
    """
    right = probabilities.argmax(axis=1) == true
    scores = {"n": len(true), "accuracy": right.mean()}
    recalls = {
        f"recall_{number}": right[true == position].mean()
        for position, number in enumerate(scheme.numbers)
        if (true == position).any()
    }
    scores |= recalls | {"mean_recall": np.mean(list(recalls.values()))}
    if {1, 2} < set(scheme.numbers):
        pair = [scheme.numbers.index(number) for number in (1, 2)]
        chosen = np.isin(true, pair)
        if chosen.any() and not chosen.all():
            scores["auc_1_2"] = _roc_area(chosen, probabilities[:, pair].sum(axis=1))
    curve = calibration_curve(scheme.numbers_of(true), probabilities, scheme=scheme)
    scores["ece"] = curve.meta["ECE"]
    return _rounded(scores)


def _rounded(scores):
    return {
        name: int(value) if name == "n" else round(float(value), 4)
        for name, value in scores.items()
    }


def _roc_area(chosen, values):
    """Area under the ROC curve, from the rank sum of the chosen values."""
    ranks = rankdata(values)
    n, others = chosen.sum(), (~chosen).sum()
    return (ranks[chosen].sum() - n * (n + 1) / 2) / (n * others)
