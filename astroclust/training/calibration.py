# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Calibration of class probabilities."""

import numpy as np
from scipy.optimize import minimize_scalar

__all__ = ["fit_temperature"]

_LARGEST = 20.0


def fit_temperature(probabilities, targets):
    """Fit the temperature that maximizes the likelihood of an ensemble's mean probabilities.

    Parameters
    ----------
    probabilities : array_like of float, shape (n_members, n, n_classes)
        Class probabilities of the members at temperature 1, for stamps not in the training set.
    targets : array_like of float, shape (n, n_classes)
        True class probabilities, such as 1 for the true class.

    Returns
    -------
    temperature : float
        Divisor of the scores before the softmax (Guo et al. 2017, ICML, 1321); above 1 if the
        networks are overconfident.
    """
    scores = np.log(np.clip(np.asarray(probabilities, float), 1e-12, None))
    targets = np.asarray(targets, float)

    def misfit(log_temperature):
        scaled = scores * np.exp(-log_temperature)
        scaled -= scaled.max(axis=-1, keepdims=True)
        members = np.exp(scaled)
        members /= members.sum(axis=-1, keepdims=True)
        return -np.sum(targets * np.log(np.clip(members.mean(axis=0), 1e-12, None)))

    bound = np.log(_LARGEST)
    found = minimize_scalar(misfit, bounds=(-bound, bound), method="bounded")
    return float(np.exp(found.x))
