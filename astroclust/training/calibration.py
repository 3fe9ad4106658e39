# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Probabilities that mean what they say."""

import numpy as np
from scipy.optimize import minimize_scalar

__all__ = ["fit_temperature"]

_LARGEST = 20.0


def fit_temperature(probabilities, targets):
    """The temperature at which an ensemble's mean probabilities are likeliest.

    Parameters
    ----------
    probabilities : array_like of float, shape (n_members, n, n_classes)
        Of the members, for stamps from which nothing was learnt, at temperature 1.
    targets : array_like of float, shape (n, n_classes)
        Chances of the classes, such as 1 for the true one.

    Returns
    -------
    temperature : float
        What the scores are to be divided by before the softmax (Guo et al. 2017, ICML, 1321);
        above 1 where the networks are too sure of themselves.
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
