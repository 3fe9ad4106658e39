# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Scores of a classifier on stamps with missing pixels."""

import numpy as np
from astropy.table import Table
from tqdm import tqdm

from astroclust.stamps import DAMAGE, damage_stamps
from astroclust.training.scores import predict, summary

__all__ = ["score_damage"]

_SCORES = ("n", "accuracy", "accuracy_error", "mean_recall", "ece")


def score_damage(
    classifier,
    stamps,
    labels,
    *,
    kinds=tuple(DAMAGE),
    fractions=(0.0, 0.1, 0.2, 0.3, 0.5),
    seed=0,
    progress_bar=False,
):
    """Score a classifier as a function of the kind and fraction of missing pixels.

    Parameters
    ----------
    classifier, stamps, labels
        See `score_classifier`.
    kinds : sequence of str, optional
        Kinds of `~astroclust.stamps.DAMAGE`.
    fractions : sequence of float, optional
        Expected fractions of lost pixels, from 0 to 1.
    seed : int, optional
        Seed of the damage; equal seeds give equal damage for all classifiers.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    scores : `~astropy.table.Table`
        One row per kind and fraction: ``kind``; ``fraction``; ``n``, the number of stamps;
        ``accuracy`` and ``accuracy_error`` (68 %); ``mean_recall``, the mean over the classes
        present; and ``ece``, the expected calibration error. ``meta["MODEL"]`` is the name of the
        classifier.

    Raises
    ------
    ValueError
        If there are no stamps, labels are not classes, or a kind or fraction is not accepted.

    Examples
    --------
    >>> from astroclust import load_classifier, simulate_stamps
    >>> from astroclust.training import score_damage
    >>> stamps = simulate_stamps(8, seed=1)
    >>> scores = score_damage(load_classifier(), stamps, stamps.table["class"], fractions=[0, 0.3])
    >>> print(scores["kind", "fraction", "n"])
     kind  fraction  n
    ------ -------- ---
    pixels      0.0   8
    pixels      0.3   8
     lines      0.0   8
     lines      0.3   8
    blocks      0.0   8
    blocks      0.3   8
    """
    classifier = classifier.prepared()
    losses = [(kind, float(fraction)) for kind in kinds for fraction in fractions]
    rows = []
    for kind, fraction in tqdm(losses, unit="score", desc="scoring", disable=not progress_bar):
        rng = np.random.default_rng(seed)
        damaged = damage_stamps(stamps, rng, kind=kind, fraction=fraction)
        scores = summary(*predict(classifier, damaged, labels), classifier.card.classes)
        rows.append((kind, fraction, *(scores[name] for name in _SCORES)))
    types = str, float, int, *[float] * (len(_SCORES) - 1)
    scores = Table(rows=rows or None, names=("kind", "fraction", *_SCORES), dtype=types)
    scores.meta["MODEL"] = classifier.card.name
    return scores
