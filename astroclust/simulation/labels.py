# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Expert labels of objects of known class."""

from functools import lru_cache

import numpy as np
from astropy.table import Table

from astroclust.catalogs import float_values
from astroclust.instruments import LEGUS_CLASSES
from astroclust.simulation.candidates import KINDS, POINTS

__all__ = ["CONFUSION_ON_BORDER", "DIFFICULTY", "TAKEN_FOR", "confusion_of_kinds", "label_noise"]

#: Probabilities of expert votes for classes 1 to 4 for objects on the border of their class: one
#: row per true class. Fitted by ``benchmarks/labels.py --fit`` to the agreement of experts in Wei
#: et al. (2020, sec. 2.1) and to the fractions of unanimous votes in the catalogs of NGC 628, with
#: the off-diagonal terms constrained towards the shapes of their Tables 4 and 5.
CONFUSION_ON_BORDER = (
    (0.674, 0.257, 0.014, 0.055),
    (0.227, 0.356, 0.343, 0.074),
    (0.007, 0.188, 0.403, 0.402),
    (0.076, 0.214, 0.205, 0.505),
)
#: Parameters of the Beta distribution of difficulty, assumed, as few candidates are textbook cases.
#: Flatter ones, such as Beta(1, 1), give too much agreement: the fit is off by 17 points.
DIFFICULTY = (3.0, 1.0)
#: Class for which experts may take each kind; assumed, not fitted.
TAKEN_FOR = {
    "elongated": 1,
    "gradient": 1,
    "lopsided": 3,
    "neighbor": 3,
    "star": 2,
    "single star": 1,
    "pair": 3,
    "triple": 3,
    "crowd": 3,
    "galaxy": 2,
    "fluff": 3,
    "nucleus": 1,
    "saturated": 4,
    "cosmic ray": 4,
    "hot pixel": 4,
}
# Preference for that class relative to other kinds; assumed, as experts would agree too often if it
# were higher.
_LEANING = 5.0


@lru_cache
def confusion_of_kinds(border=CONFUSION_ON_BORDER):
    """Vote probabilities for objects of each kind on the border of their class.

    Kinds are biased towards the classes in `TAKEN_FOR`; averaged over the kinds in a catalog, they
    have the probabilities of their class (from iterative proportional fitting).

    Parameters
    ----------
    border : tuple of tuple of float, shape (4, 4)
        Probabilities by true class; see `CONFUSION_ON_BORDER`.

    Returns
    -------
    probabilities : dict of str to `~numpy.ndarray`, shape (4,)
        Probabilities for every kind of `~astroclust.simulation.candidates.KINDS`.
    """
    rows = {}
    for label, fractions in KINDS.items():
        # The cut in the index excludes all points from catalogs.
        listed = np.array(
            [0 if kind in POINTS else fraction for kind, fraction in fractions.items()]
        )
        probabilities = np.ones((len(fractions), len(LEGUS_CLASSES)))
        for row, kind in zip(probabilities, fractions, strict=True):
            if kind in TAKEN_FOR:
                row[TAKEN_FOR[kind] - 1] = _LEANING
        for _ in range(100):
            probabilities *= border[label - 1] / (listed / listed.sum() @ probabilities)
            probabilities /= probabilities.sum(axis=1, keepdims=True)
        rows |= dict(zip(fractions, probabilities, strict=True))
    return rows


def label_noise(classes, *, seed, kinds=None, n_experts=3, difficulty=None):
    """Draw expert votes on objects of known class, and their mode and mean.

    Vote probabilities are interpolated linearly in difficulty, from certainty for a textbook case
    to `CONFUSION_ON_BORDER`, or to those of its kind, because experts judge by appearance: a pair
    of stars is more often classified as an association than as a symmetric cluster. Votes are
    independent given the difficulty and kind of an object. Three experts then agree with one
    another, and with a fourth, as in Wei et al. (2020, sec. 2.1) and the catalogs of LEGUS, to 6
    points. The long-term consistency of a single person (the repeated classes of NGC 3351) is not
    simulated: see ``benchmarks/labels.py``.

    Parameters
    ----------
    classes : array_like of int, shape (n,)
        True classes, of `~astroclust.instruments.LEGUS_CLASSES`.
    seed : int or sequence of int
        Random seed; equal seeds give equal votes.
    kinds : array_like of str, shape (n,), optional
        Kind of each object; see the column ``kind`` of simulated truth.
    n_experts : int, optional
        Number of votes per object.
    difficulty : array_like of float, shape (n,), optional
        Ambiguity of each object, from 0, a textbook case, to 1, on the border of its class; by
        default drawn from a Beta distribution with the parameters `DIFFICULTY`.

    Returns
    -------
    labels : `~astropy.table.Table`, length n
        ``expert_1`` ... (int16), the votes; ``class_mode`` (int16), the most frequent vote, and
        ``class_mean`` (float32), the mean of the votes, like ``class_human`` and ``class_mean`` in
        the catalogs of LEGUS. Ties are broken by one more expert, who chooses among the tied
        classes and does not count in the mean.

    Raises
    ------
    ValueError
        If an argument is invalid.

    Notes
    -----
    The rule by which LEGUS resolved ties is not published. It was not always the middle class: in
    NGC 628-E, where all means are thirds, 11 of 381 rows can only be three different votes with
    another mode, such as 3 with a mean of 2. In NGC 1433 and NGC 7793-E, 22 of 24 means of four
    votes are consistent with three different votes and a repetition of one of them.

    Examples
    --------
    >>> from astroclust.simulation.labels import label_noise
    >>> labels = label_noise([1, 2, 3, 4], seed=1, difficulty=[0, 0, 0, 0])
    >>> print(labels["expert_1", "expert_2", "expert_3", "class_mode", "class_mean"])
    expert_1 expert_2 expert_3 class_mode class_mean
    -------- -------- -------- ---------- ----------
           1        1        1          1        1.0
           2        2        2          2        2.0
           3        3        3          3        3.0
           4        4        4          4        4.0
    """
    truth = _checked_classes(classes)
    if not isinstance(n_experts, (int, np.integer)) or n_experts < 1:
        raise ValueError(f"n_experts must be a whole number of at least 1, not {n_experts!r}")
    rng = np.random.default_rng(seed)
    if difficulty is None:
        difficulty = rng.beta(*DIFFICULTY, size=len(truth))
    else:
        difficulty = _checked_difficulty(difficulty, len(truth))
    certain = np.eye(len(LEGUS_CLASSES))[truth - 1]
    on_border = np.array(CONFUSION_ON_BORDER)[truth - 1]
    if kinds is not None:
        of_kind = confusion_of_kinds()
        rows = [of_kind[kind] for kind in _checked_kinds(kinds, truth)]
        on_border = np.reshape(rows, on_border.shape)
    probabilities = certain + difficulty[:, np.newaxis] * (on_border - certain)
    limits = np.cumsum(probabilities, axis=1)[:, np.newaxis, :-1]
    draws = rng.random((len(truth), n_experts, 1))
    votes = np.int16(1) + np.count_nonzero(draws >= limits, axis=2).astype(np.int16)
    labels = Table({f"expert_{i}": column for i, column in enumerate(votes.T, start=1)})
    labels["class_mode"] = _modes(votes, probabilities, rng)
    labels["class_mean"] = votes.mean(axis=1, dtype=np.float32)
    return labels


def _checked_classes(classes):
    values = np.ma.asarray(classes)
    if values.ndim != 1:
        raise ValueError(f"classes must be one-dimensional, not of shape {values.shape}")
    if np.ma.is_masked(values):
        raise ValueError(
            f"classes has {np.ma.count_masked(values)} masked values; exclude those objects"
        )
    unknown = np.unique(values.data[~LEGUS_CLASSES.knows(values.data)]).tolist()
    if unknown:
        raise ValueError(
            f"{unknown} are not classes; use {list(LEGUS_CLASSES.numbers)}, and exclude other "
            "objects"
        )
    return values.data.astype(np.int16)


def _checked_kinds(kinds, truth):
    values = np.asarray(kinds, dtype=str)
    if values.shape != truth.shape:
        raise ValueError(
            f"kinds must have one name for each of {len(truth)} classes, not shape {values.shape}"
        )
    wrong = [
        kind for kind, label in zip(values.tolist(), truth, strict=True) if kind not in KINDS[label]
    ]
    if wrong:
        raise ValueError(
            f"{sorted(set(wrong))} are not kinds of their classes; the kinds are {KINDS}"
        )
    return values.tolist()


def _checked_difficulty(difficulty, n):
    values = float_values(difficulty)
    if values.shape != (n,):
        raise ValueError(
            f"difficulty must have one value for each of {n} classes, not shape {values.shape}"
        )
    wrong = values[~((values >= 0) & (values <= 1))]
    if len(wrong):
        raise ValueError(
            f"difficulty must be from 0 (textbook case) to 1 (on the border), not {wrong[0]}"
        )
    return values


def _modes(votes, probabilities, rng):
    values = np.array(LEGUS_CLASSES.numbers, np.int16)
    counts = np.count_nonzero(votes[:, :, np.newaxis] == values, axis=1)
    tied = counts == counts.max(axis=1, keepdims=True)
    # The largest ratio of probability to exponential draw is one more vote, among the tied classes.
    race = probabilities / rng.exponential(size=probabilities.shape)
    return values[np.argmax(np.where(tied, race, -1), axis=1)]
