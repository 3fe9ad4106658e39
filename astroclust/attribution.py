# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Which pixels and bands a class rests on."""

import numpy as np
import torch
from astropy.table import Table

from astroclust.extras import naming_extras
from astroclust.stamps import normalize_stamps
from astroclust.weights import load_classifier

__all__ = ["band_importance", "saliency"]

_BATCH = 8


def saliency(stamps, model=None, *, classes=None, steps=32):
    """How much each pixel says for the class of its stamp.

    These are integrated gradients (Sundararajan et al. 2017, ICML, 3319) from an empty stamp, by
    Captum: what all pixels say adds up to the score of the class less that of the empty stamp.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in the bands and of the size of the classifier.
    model : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        As for `~astroclust.classification.classify_table`.
    classes : array_like of int, shape (n,), optional
        The classes asked about; by default the most probable.
    steps : int, optional
        Of the integral.

    Returns
    -------
    maps : `~numpy.ndarray` of float32, shape (n, n_bands, size, size)
        In units of the network's score before the softmax, mean of its members; positive for the
        class. Absent bands are 0.

    Raises
    ------
    ModuleNotFoundError
        Where Captum is not installed.
    ValueError
        Where stamps do not fit the classifier, or a class is none.

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> from astroclust.attribution import saliency
    >>> saliency(simulate_stamps(2, seed=1)).shape
    (2, 5, 50, 50)
    """
    with naming_extras():
        from captum.attr import IntegratedGradients

    classifier = model if hasattr(model, "networks") else load_classifier(model)
    probabilities = classifier.probabilities(stamps).mean(axis=0)
    scheme = classifier.card.classes
    classes = scheme.most_probable(probabilities) if classes is None else np.asarray(classes)
    if classes.shape != (len(stamps),) or not scheme.knows(classes).all():
        raise ValueError(
            f"classes must be one of {list(scheme.numbers)} for each of {len(stamps)} stamps"
        )
    targets = torch.from_numpy(scheme.positions(classes))
    pixels = torch.from_numpy(normalize_stamps(stamps, classifier.card.normalization))
    present = torch.from_numpy(stamps.present.astype(np.float32))
    device = next(classifier.networks[0].parameters()).device
    maps = np.zeros(stamps.data.shape, np.float32)
    for network in classifier.networks:
        gradients = IntegratedGradients(network)
        for start in range(0, len(stamps), _BATCH):
            rows = slice(start, start + _BATCH)
            attributed = gradients.attribute(
                pixels[rows].to(device),
                target=targets[rows].to(device),
                additional_forward_args=(present[rows].to(device),),
                n_steps=steps,
                internal_batch_size=4 * _BATCH,
            )
            maps[rows] += attributed.detach().float().cpu().numpy() / len(classifier.networks)
    maps[~stamps.present] = 0
    return maps


def band_importance(maps, bands):
    """Share of each band in what a class rests on.

    Parameters
    ----------
    maps : array_like of float, shape (n, n_bands, size, size)
        As `saliency` returns them.
    bands : sequence of str
        Their bands, as ``stamps.bands``.

    Returns
    -------
    importance : `~astropy.table.Table`, length n
        A column a band: its share in the sum of absolute values; NaN where all are 0.

    Raises
    ------
    ValueError
        Where the number of bands differs.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.attribution import band_importance
    >>> maps = np.zeros((1, 2, 3, 3))
    >>> maps[0, 0, 1, 1], maps[0, 1, 1, 1] = -3, 1
    >>> print(band_importance(maps, ("V", "I")))
     V    I
    ---- ----
    0.75 0.25
    """
    total = np.abs(np.asarray(maps, float)).sum(axis=(2, 3))
    if total.shape[1] != len(bands):
        raise ValueError(f"the maps have {total.shape[1]} bands, not {len(bands)}")
    with np.errstate(invalid="ignore"):
        return Table(total / total.sum(axis=1, keepdims=True), names=list(bands))
