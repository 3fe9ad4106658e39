# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Check of the effect of mixed precision on class probabilities."""

import hashlib

import numpy as np

from astroclust.stamps import Stamps

__all__ = ["LARGEST_CHANGE", "is_accurate", "reference_stamps"]

#: Largest change of a probability for which mixed precision is used by default.
LARGEST_CHANGE = 0.01
_N_REFERENCE = 32
# Results of earlier checks in this process, by a hash of the classifier and its precision.
_CHECKED: dict[str, bool] = {}


def is_accurate(classifier, exact):
    """Check that a classifier in mixed precision has the probabilities of an exact one.

    The check is made on `reference_stamps`, not on the stamps to be classified, so that its result
    is the same for all tables, parts of tables and processes.

    Parameters
    ----------
    classifier, exact : `~astroclust.weights.Classifier`
        The same networks in two precisions.

    Returns
    -------
    accurate : bool
        Whether no probability changes by more than `LARGEST_CHANGE`.
    """
    key = _hash(classifier)
    if key not in _CHECKED:
        stamps = reference_stamps(classifier.card)
        change = np.abs(classifier.probabilities(stamps) - exact.probabilities(stamps)).max()
        _CHECKED[key] = bool(change <= LARGEST_CHANGE)  # False if values overflowed
    return _CHECKED[key]


def _hash(classifier):
    card = classifier.card
    settings = classifier.precision, card.normalization, card.temperature, classifier.networks
    digest = hashlib.sha256(repr(settings).encode())
    for network in classifier.networks:
        for values in network.state_dict().values():
            digest.update(values.float().cpu().numpy().tobytes())
    return digest.digest()


def reference_stamps(card):
    """Draw simple stamps: sources of various widths, fluxes and colors, with neighbors.

    Parameters
    ----------
    card : `~astroclust.weights.ModelCard`
        Card of the classifier that the stamps are for.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        The same 32 stamps in each call.

    Examples
    --------
    >>> from astroclust import load_classifier
    >>> from astroclust.weights.mixed_precision import reference_stamps
    >>> reference_stamps(load_classifier().card)
    <Stamps: 32 of 50 x 50 pixels in NUV NUV, U U, B B, V V, I I>
    """
    rng = np.random.default_rng(0)
    n, size, bands = _N_REFERENCE, card.stamp_size, card.bands
    data = rng.standard_normal((n, len(bands), size, size))
    for offset in (0, size / 10, size / 4):  # the candidate, a companion and a neighbor
        angle, width = rng.uniform(0, 2 * np.pi, n), rng.uniform(0.7, 4, n)
        x, y = (size // 2 + offset * turn(angle) for turn in (np.cos, np.sin))
        flux = 10 ** rng.uniform(0, 3, (n, 1)) * 10 ** rng.normal(0, 0.3, (n, len(bands)))
        pixel = np.arange(size)
        profiles = (
            np.exp(-0.5 * ((pixel - center[:, None]) / width[:, None]) ** 2) for center in (y, x)
        )
        data += np.einsum("nb,ny,nx->nbyx", flux, *profiles)
    return Stamps(data, bands, bands=bands, system=card.system)
