# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Cross-validation on small samples."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from astroclust.evaluation import compare_classes
from astroclust.instruments import ClassScheme
from astroclust.training.augmentation import crop_middle
from astroclust.training.band_scores import score_bands
from astroclust.training.preparation import check_samples, warn_of_seen_rows
from astroclust.training.scores import predict, summary
from astroclust.training.splits import fold_rows

__all__ = ["FEW_LABELS", "CrossValidation", "run_folds", "start_probabilities"]

#: Number of labels below which ``astroclust train`` cross-validates, because a test set of a fifth
#: of fewer labels hardly resolves differences of ten percentage points.
FEW_LABELS = 300

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CrossValidation:
    """Predictions for each row of a sample by a classifier that was not trained on it.

    Parameters
    ----------
    scheme : `~astroclust.instruments.ClassScheme`
        Class scheme.
    folds : `~numpy.ndarray` of int, shape (n,)
        Fold of each row, from 0.
    true : `~numpy.ndarray` of int, shape (n,)
        Labels, as indices into the classes of the scheme.
    probabilities : `~numpy.ndarray` of float, shape (n, n_classes)
        Class probabilities from the classifier of the fold.
    start_probabilities : `~numpy.ndarray` of float, shape (n, n_classes), optional
        Class probabilities from the classifier before fine-tuning.
    band_scores : dict, optional
        Scores for subsets of the bands, as in `~astroclust.weights.ModelCard`.
    split : str, optional
        Description of the division into folds, for the model card.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.instruments import LEGUS_CLASSES
    >>> from astroclust.training import CrossValidation
    >>> after = np.eye(4)[[0, 3, 3]]
    >>> result = CrossValidation(LEGUS_CLASSES, np.arange(3), np.array([0, 3, 0]), after)
    >>> result.scores["accuracy"], result.comparison
    (0.6667, None)
    """

    scheme: ClassScheme
    folds: np.ndarray
    true: np.ndarray
    probabilities: np.ndarray
    start_probabilities: np.ndarray | None = None
    band_scores: dict | None = None
    split: str = ""

    @property
    def scores(self):
        """Scores of all rows together; see `score_classifier` without ``ablate``."""
        return summary(self.true, self.probabilities, self.scheme)

    @property
    def comparison(self):
        """`~astroclust.evaluation.PairedComparison` with the classifier before fine-tuning."""
        if self.start_probabilities is None:
            return None
        before = self.start_probabilities.argmax(axis=1)
        return compare_classes(self.true, before, self.probabilities.argmax(axis=1))

    def annotate(self, card):
        """Card of the classifier trained on all rows, with these scores added."""
        return replace(
            card, scores=self.scores, band_scores=self.band_scores or {}, split=self.split
        )


def start_probabilities(start, stamps, labels):
    """Class probabilities from the classifier to fine-tune, whose stamps may be smaller.

    Parameters
    ----------
    start : `~astroclust.weights.Classifier`
        Classifier to fine-tune.
    stamps, labels
        See `~astroclust.training.score_classifier`.

    Returns
    -------
    probabilities : `~numpy.ndarray` of float32, shape (n, n_classes)
        Mean over the members.
    """
    stamps = crop_middle(stamps, min(start.card.stamp_size, stamps.size))
    return predict(start, stamps, labels)[1]


def run_folds(train, sample, *, start, folds, seed, folder, progress_bar):
    """Train one classifier per fold, and classify the rows of the fold.

    Parameters
    ----------
    train : callable
        Function that trains a classifier on a sample, with its checkpoints in ``folder``.
    sample, start, folds, seed, folder, progress_bar
        See `~astroclust.training.cross_validate`.

    Returns
    -------
    result : `CrossValidation`
        See `~astroclust.training.cross_validate`.
    """
    (sample,) = check_samples(replace(sample, test_stamps=None, test_labels=None), start)
    n, labels = len(sample.stamps), np.ma.asarray(sample.labels)
    fold = fold_rows(n, folds=folds, seed=seed, groups=sample.groups)
    whole = crop_middle(sample.stamps, sample.size)
    before = None
    if start is not None:
        warn_of_seen_rows(start, whole)
        before = start_probabilities(start, whole, labels)
    tests = []
    for number in range(folds):
        log.info("fold %d of %d", number + 1, folds)
        rows = fold != number
        part = replace(
            sample,
            stamps=sample.stamps[rows],
            labels=labels[rows],
            groups=None if sample.groups is None else np.asarray(sample.groups)[rows],
        )
        fold_folder = None if folder is None else Path(folder) / f"fold-{number + 1}"
        tests.append((train(part, folder=fold_folder), whole[~rows], labels[~rows]))
    scheme = tests[0][0].card.classes
    true, probabilities = np.empty(n, int), np.empty((n, len(scheme)))
    for number, test in enumerate(tests):
        true[fold == number], probabilities[fold == number] = predict(*test)
    kind = "simulated" if sample.simulated else "human"
    bands = score_bands(tests, progress_bar=progress_bar)
    apart = "random" if sample.groups is None else "which share no pixel"
    return CrossValidation(
        scheme,
        fold,
        true,
        probabilities,
        before,
        {kind: bands},
        f"{n} rows in {folds} folds, {apart}, each scored by a classifier of the same recipe "
        f"trained on the others; this classifier was trained on all {n}",
    )
