# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Pooling of class probabilities from images and catalogs."""

import numpy as np
from scipy.optimize import minimize

__all__ = ["fit_pooling", "pool_probabilities"]

# Minimum probability, so that neither the image nor the catalog alone can rule out a class.
_SMALLEST = 1e-4


def pool_probabilities(image, catalog, exponents):
    """Pool the probabilities of two sources of evidence.

    Parameters
    ----------
    image, catalog : array_like of float, shape (..., n, n_classes)
        Probabilities of the same candidates from images and from catalogs.
    exponents : tuple of float
        Exponents of the image and of the catalog. If their sum is near 1, evidence common to both
        is counted only once.

    Returns
    -------
    probabilities : `~numpy.ndarray` of float, shape (..., n, n_classes)
        ``image ** a * catalog ** b``, normalized to a sum of 1; NaN if either is NaN.

    Examples
    --------
    >>> from astroclust.context import pool_probabilities
    >>> pooled = pool_probabilities([[0.8, 0.2]], [[0.8, 0.2]], (1, 1))
    >>> pooled.round(2).tolist()
    [[0.94, 0.06]]
    """
    image, catalog = (np.maximum(np.asarray(p, float), _SMALLEST) for p in (image, catalog))
    scores = exponents[0] * np.log(image) + exponents[1] * np.log(catalog)
    pooled = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return pooled / pooled.sum(axis=-1, keepdims=True)


def fit_pooling(image, catalog, classes):
    """Fit the exponents by maximum likelihood.

    Parameters
    ----------
    image, catalog : array_like of float, shape (n, 4)
        Probabilities of candidates in galaxies that neither model was trained on.
    classes : array_like of int, shape (n,)
        Human classes, 1 to 4.

    Returns
    -------
    exponents : tuple of float
        Exponents of the image and of the catalog.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    An informative image, and an uninformative catalog:

    >>> import numpy as np
    >>> from astroclust.context import fit_pooling
    >>> rng = np.random.default_rng(0)
    >>> classes = rng.integers(1, 5, 400)
    >>> image = np.full((400, 4), 0.1) + 0.6 * np.eye(4)[classes - 1]
    >>> catalog = rng.dirichlet(np.ones(4), 400)
    >>> a, b = fit_pooling(image, catalog, classes)
    >>> a > b
    True
    """
    image, catalog = np.asarray(image, float), np.asarray(catalog, float)
    true = np.asarray(classes, int) - 1
    if image.shape != catalog.shape or image.shape[:1] != true.shape:
        raise ValueError(
            f"probabilities of shapes {image.shape} and {catalog.shape} and classes of shape "
            f"{true.shape} do not match; pass arrays for the same candidates"
        )

    def misfit(exponents):
        pooled = pool_probabilities(image, catalog, exponents)
        return -np.mean(np.log(np.maximum(pooled[np.arange(len(true)), true], _SMALLEST)))

    found = minimize(misfit, (0.6, 0.6), bounds=[(0, 3), (0, 3)])
    return tuple(float(value) for value in found.x)
