# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Calibration of class probabilities, and samples selected by thresholds."""

import numpy as np
from astropy.table import Table

from astroclust.catalogs import float_values
from astroclust.evaluation.confusion import check_inspected
from astroclust.evaluation.fractions import FRACTION
from astroclust.instruments import find_class_scheme

__all__ = ["calibration_curve", "entropy_distribution", "purity_curve", "purity_threshold"]


def calibration_curve(labels, probabilities, *, bins=15, scheme="legus"):
    """Accuracy as a function of the predicted probability.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        True classes of ``scheme``, or labels that it merges into one.
    probabilities : array_like of float, shape (n, n_classes)
        Probabilities in the order of the classes; NaN rows, which are not classified, are excluded.
    bins : int, optional
        Number of bins of equal width from 0 to 1.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme.

    Returns
    -------
    curve : `~astropy.table.Table`
        One row per bin: ``low``, ``high``, ``total``, ``probability``, the mean probability of the
        most probable class, and ``accuracy``, the fraction for which it is correct; NaN in empty
        bins. ``meta["ECE"]`` is the expected calibration error, the mean absolute difference of
        both (Guo et al. 2017, ICML, 1321).

    Raises
    ------
    ValueError
        If shapes do not match, a label is not a class, or there are no bins.

    Examples
    --------
    >>> from astroclust.evaluation import calibration_curve
    >>> curve = calibration_curve([1, 1], [[0.7, 0.1, 0.1, 0.1], [0.2, 0.6, 0.1, 0.1]], bins=2)
    >>> round(curve.meta["ECE"], 3)
    0.15
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    true, probabilities = _with_probabilities(labels, probabilities, find_class_scheme(scheme))
    chosen = probabilities.max(axis=1, initial=0)
    right = probabilities.argmax(axis=1) == true
    edges = np.linspace(0, 1, bins + 1)
    number = np.clip(np.ceil(chosen * bins).astype(int) - 1, 0, bins - 1)
    total = np.bincount(number, minlength=bins)
    with np.errstate(invalid="ignore"):
        probability = np.bincount(number, chosen, bins) / total
        accuracy = np.bincount(number, right, bins) / total
    curve = Table(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "total": total,
            "probability": probability,
            "accuracy": accuracy,
        }
    )
    for name in ("low", "high", "probability", "accuracy"):
        curve[name].info.format = FRACTION
    gaps = np.nan_to_num(np.abs(probability - accuracy))
    curve.meta["ECE"] = float(np.sum(total * gaps) / len(true)) if len(true) else np.nan
    return curve


def entropy_distribution(entropy, *, bins=20, scheme="legus"):
    """Distribution of the entropies of class probabilities.

    Parameters
    ----------
    entropy : array_like of float, shape (n,)
        Entropies in nats, such as those from `~astroclust.classification.classify_table`; NaN and
        masked values are excluded.
    bins : int, optional
        Number of bins of equal width from 0 to the entropy of equal probabilities, the logarithm
        of the number of classes.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme.

    Returns
    -------
    distribution : `~astropy.table.Table`
        One row per bin: ``low``, ``high``, ``total`` and ``density``, normalized to one, as in Wei
        et al. (2020, Fig. 5). ``meta["MEAN"]`` is the mean entropy.

    Raises
    ------
    ValueError
        If there are no bins, or an entropy is out of range.

    Examples
    --------
    >>> from astroclust.evaluation import entropy_distribution
    >>> print(entropy_distribution([0.1, 0.2, 1.3], bins=2)["total"].tolist())
    [2, 1]
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    entropy = float_values(entropy)
    entropy = entropy[np.isfinite(entropy)]
    largest = np.log(len(find_class_scheme(scheme)))
    if np.any((entropy < 0) | (entropy > largest + 1e-6)):  # float32 rounds up
        raise ValueError(
            f"entropies must be from 0 to {largest:.4f} nats, the entropy of equal probabilities"
        )
    total, edges = np.histogram(entropy.clip(0, largest), bins, (0, largest))
    with np.errstate(invalid="ignore"):
        density = total / total.sum() / np.diff(edges)
    distribution = Table({"low": edges[:-1], "high": edges[1:], "total": total, "density": density})
    for name in ("low", "high", "density"):
        distribution[name].info.format = FRACTION
    distribution.meta["MEAN"] = float(entropy.mean()) if len(entropy) else np.nan
    return distribution


def purity_curve(labels, probabilities, *, classes=None, scheme="legus"):
    """Purity and completeness of samples selected by a threshold on a probability.

    Parameters
    ----------
    labels, probabilities, scheme
        See `calibration_curve`.
    classes : sequence of int, optional
        Classes to be selected, by the sum of their probabilities; by default all that count as
        clusters.

    Returns
    -------
    curve : `~astropy.table.Table`
        One row per threshold, from the highest: ``threshold``, the minimum probability of selected
        objects; ``total``, their number; ``purity``, the fraction of them in the classes; and
        ``completeness``, the fraction of the classes that is selected (NaN if there are none).

    Raises
    ------
    ValueError
        If shapes do not match, or a label or one of ``classes`` is not a class.

    Examples
    --------
    >>> from astroclust.evaluation import purity_curve
    >>> curve = purity_curve([1, 4], [[0.7, 0.1, 0.1, 0.1], [0.2, 0.1, 0.1, 0.6]])
    >>> print(curve["purity"].tolist(), curve["completeness"].tolist())
    [1.0, 0.5] [1.0, 1.0]
    """
    scheme = find_class_scheme(scheme)
    classes = list(scheme.clusters if classes is None else classes)
    if set(classes) - set(scheme.numbers) or not classes:
        raise ValueError(f"classes must be some of {list(scheme.numbers)}, not {classes}")
    true, probabilities = _with_probabilities(labels, probabilities, scheme)
    is_wanted = np.isin(scheme.numbers, classes)
    scores = probabilities[:, is_wanted].sum(axis=1)
    order = np.argsort(-scores, kind="stable")
    scores, found = scores[order], np.cumsum(is_wanted[true[order]])
    last = np.flatnonzero(np.diff(scores, append=-np.inf))  # of objects with equal probabilities
    with np.errstate(invalid="ignore"):
        completeness = found[last] / (found[-1] if len(found) else 0)
    curve = Table(
        {
            "threshold": scores[last],
            "total": last + 1,
            "purity": found[last] / (last + 1),
            "completeness": completeness,
        }
    )
    for name in ("threshold", "purity", "completeness"):
        curve[name].info.format = FRACTION
    return curve


def purity_threshold(labels, probabilities, purity, *, classes=None, scheme="legus"):
    """Lowest threshold on a probability that yields a given purity in a labeled sample.

    Parameters
    ----------
    labels, probabilities, classes, scheme
        See `purity_curve`.
    purity : float
        Minimum fraction of the classes among the selected objects, from 0 to 1.

    Returns
    -------
    threshold : float
        Minimum probability of selected objects.

    Raises
    ------
    ValueError
        If no threshold yields that purity.

    Examples
    --------
    >>> from astroclust.evaluation import purity_threshold
    >>> purity_threshold([1, 4], [[0.7, 0.1, 0.1, 0.1], [0.2, 0.1, 0.1, 0.6]], 0.9, classes=[1])
    0.7
    """
    curve = purity_curve(labels, probabilities, classes=classes, scheme=scheme)
    enough = np.flatnonzero(np.asarray(curve["purity"]) >= purity)
    if not len(enough):
        if not len(curve):
            raise ValueError("no object has both a label and probabilities; pass some that do")
        best = max(curve["purity"])
        raise ValueError(f"no threshold gives a purity of {purity}; the highest is {best:.3f}")
    return float(curve["threshold"][enough[-1]])


def _with_probabilities(labels, probabilities, scheme):
    """Indices of the true classes, and probabilities, of the objects with both."""
    labels, probabilities = np.ma.asarray(labels), np.asarray(probabilities, float)
    if labels.ndim != 1 or probabilities.shape != (len(labels), len(scheme)):
        raise ValueError(
            f"n labels require probabilities of shape (n, {len(scheme)}), not {labels.shape} and "
            f"{probabilities.shape}"
        )
    known = ~(np.ma.getmaskarray(labels) | np.isnan(probabilities).any(axis=1))
    check_inspected(labels.data[known], "labels", scheme)
    return scheme.positions(labels.data[known]), probabilities[known]
