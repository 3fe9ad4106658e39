# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Attribution of predicted classes to pixels and bands."""

from dataclasses import dataclass

import numpy as np
import torch
from astropy.table import Table

from astroclust.extras import naming_extras
from astroclust.instruments import ClassScheme
from astroclust.stamps import normalize_stamps, without_bands
from astroclust.weights import load_classifier

__all__ = ["ReducedInput", "band_importance", "reduce_input", "saliency"]

_BATCH = 8
# Half-width of the central box that counts as the candidate, as in the normalization, in pixels.
_CORE = 5


def saliency(stamps, model=None, *, classes=None, steps=32):
    """Contribution of each pixel to the class score of its stamp.

    Integrated gradients (Sundararajan et al. 2017, ICML, 3319) from an empty stamp, computed with
    Captum; they sum to the score of the class minus that of the empty stamp.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in the bands and of the size of the classifier.
    model : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        See `~astroclust.classification.classify_table`.
    classes : array_like of int, shape (n,), optional
        Class to explain for each stamp; by default the most probable one.
    steps : int, optional
        Number of integration steps.

    Returns
    -------
    maps : `~numpy.ndarray` of float32, shape (n, n_bands, size, size)
        Contributions to the score before the softmax, averaged over the networks; positive values
        favor the class. Absent bands are 0.

    Raises
    ------
    ModuleNotFoundError
        If Captum is not installed.
    ValueError
        If the stamps do not match the classifier, or a class is invalid.

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
    """Fraction of the absolute attribution in each band.

    Parameters
    ----------
    maps : array_like of float, shape (n, n_bands, size, size)
        Output of `saliency`.
    bands : sequence of str
        Their bands, such as ``stamps.bands``.

    Returns
    -------
    importance : `~astropy.table.Table`, length n
        One column per band: its fraction of the sum of absolute values; NaN if all are 0.

    Raises
    ------
    ValueError
        If the number of bands does not match.

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


@dataclass(frozen=True, eq=False)
class ReducedInput:
    """Class probabilities and saliency of stamps with all bands and with fewer.

    Parameters
    ----------
    bands : tuple of str, length n_bands
        Bands of the classifier.
    inputs : tuple of tuple of str, length n_inputs
        Bands of each input: first all that the stamps have, then those of the reduced inputs.
    classes : `~numpy.ndarray` of int, shape (n,)
        Classes that the maps explain: the most probable ones with all bands.
    probabilities : `~numpy.ndarray` of float32, shape (n_inputs, n, n_classes)
        Class probabilities with each input.
    maps : `~numpy.ndarray` of float32, shape (n_inputs, n, n_bands, size, size)
        Saliency for ``classes`` with each input; see `saliency`.
    scheme : `~astroclust.instruments.ClassScheme`
        Class scheme of the classifier.

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> from astroclust.attribution import reduce_input
    >>> stamps = simulate_stamps(2, seed=1)
    >>> reduced = reduce_input(stamps, inputs=[("V", "I")], steps=2)
    >>> reduced.inputs[1]
    ('V', 'I')
    >>> reduced.probabilities.shape
    (2, 2, 4)
    """

    bands: tuple
    inputs: tuple
    classes: np.ndarray
    probabilities: np.ndarray
    maps: np.ndarray
    scheme: ClassScheme

    def lost_maps(self, number):
        """Saliency with all bands, restricted to the bands that a reduced input lacks.

        Parameters
        ----------
        number : int
            Number of the input, from 1.

        Returns
        -------
        maps : `~numpy.ndarray` of float32, shape (n, n_bands, size, size)
            0 in the bands of the reduced input.
        """
        return self.maps[0] * self._lost(number)[:, None, None]

    def _lost(self, number):
        """Mask of the bands that the stamps have but a reduced input lacks."""
        return np.isin(self.bands, self.inputs[0]) & ~np.isin(self.bands, self.inputs[number])

    def losses(self):
        """Changes in probability and attribution for each reduced input.

        Returns
        -------
        losses : `~astropy.table.Table`, length n * (n_inputs - 1)
            ``row``, number of the stamp; ``input``, such as ``"V+I"``; ``class``;
            ``probability_full`` and ``probability`` of that class with all bands and with the
            reduced input; ``class_reduced``, the most probable class with the reduced input;
            ``lost``, the fraction of the absolute saliency with all bands that is in the missing
            bands; ``lost_BAND``, the fraction in each missing band, NaN for the others; and
            ``core``, the fraction of ``lost`` in the central 11 x 11 pixels. Fractions of zero
            are NaN.
        """
        parts = [self._losses_of(number) for number in range(1, len(self.inputs))]
        names = ["row", "input", "class", "probability_full", "probability", "class_reduced"]
        names += ["lost", *(f"lost_{band}" for band in self.bands), "core"]
        table = Table(rows=[row for part in parts for row in part], names=names)
        for name in names[3:5] + names[6:]:
            table[name].format = ".2f"
        return table

    def _losses_of(self, number):
        """Rows of `losses` for one input."""
        sums = np.abs(self.maps[0]).sum(axis=(2, 3))
        lost = np.abs(self.lost_maps(number))
        middle = lost.shape[-1] // 2
        core = slice(max(middle - _CORE, 0), middle + _CORE + 1)
        with np.errstate(invalid="ignore"):
            fractions = sums / sums.sum(axis=1, keepdims=True)
            in_core = lost[..., core, core].sum(axis=(1, 2, 3)) / lost.sum(axis=(1, 2, 3))
        fractions[:, ~self._lost(number)] = np.nan
        columns = self.scheme.positions(self.classes)
        reduced = self.scheme.most_probable(self.probabilities[number])
        for row, column in enumerate(columns):
            full, less = self.probabilities[[0, number], row, column]
            start = row, "+".join(self.inputs[number]), self.classes[row], full, less, reduced[row]
            yield (*start, np.nansum(fractions[row]), *fractions[row], in_core[row])


def reduce_input(stamps, model=None, *, inputs=None, steps=32):
    """Compare class probabilities and saliency with all bands and with subsets of them.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in the bands and of the size of the classifier.
    model : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        See `~astroclust.classification.classify_table`.
    inputs : sequence of sequence of str, optional
        Bands of each reduced input; by default the first two reference bands of the band system,
        and the first alone: V and I, and V, if the stamps have more bands than these.
    steps : int, optional
        See `saliency`.

    Returns
    -------
    reduced : `ReducedInput`
        Class probabilities and saliency with each input. All maps explain the most probable class
        with all bands, so that they can be compared.

    Raises
    ------
    ModuleNotFoundError
        If Captum is not installed.
    ValueError
        If an input is empty, has unknown bands, bands that no stamp has or all bands, or lacks more
        bands than the model card allows; or if stamps have none of its bands.

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> from astroclust.attribution import reduce_input
    >>> reduced = reduce_input(simulate_stamps(2, seed=1), steps=4)
    >>> reduced.inputs[1:]
    (('V', 'I'), ('V',))
    >>> reduced.losses()["row", "input"].pprint()
    row input
    --- -----
      0   V+I
      1   V+I
      0     V
      1     V
    """
    classifier = model if hasattr(model, "networks") else load_classifier(model)
    card = classifier.card
    present = stamps.present.any(axis=0)
    full = tuple(band for band, there in zip(card.bands, present, strict=True) if there)
    if inputs is None:
        known = [band for band in card.system.reference if band in full]
        inputs = [one for one in (known[:2], known[:1]) if 0 < len(one) < len(full)]
    if not len(inputs):
        raise ValueError(
            f"the stamps have only the bands {'+'.join(full)}, so no reduced input can be chosen; "
            "use stamps with more bands, or list the bands to keep, such as inputs=[('V', 'I')]"
        )
    inputs = [_check_input(one, full, card, stamps) for one in inputs]
    classes = card.classes.most_probable(classifier.probabilities(stamps).mean(axis=0))
    probabilities, maps = [], []
    inputs = full, *inputs
    for one in inputs:
        missing = [i for i, band in enumerate(card.bands) if band not in one]
        rest = without_bands(stamps, missing)
        probabilities.append(classifier.probabilities(rest).mean(axis=0))
        maps.append(saliency(rest, classifier, classes=classes, steps=steps))
    found = np.stack(probabilities), np.stack(maps)
    return ReducedInput(card.bands, inputs, classes, *found, card.classes)


def _check_input(bands, full, card, stamps):
    """Bands of a reduced input in the order of the card; raise `ValueError` if they are invalid."""
    kept = tuple(band for band in full if band in bands)
    if isinstance(bands, str) or len(kept) != len(bands) or not 0 < len(kept) < len(full):
        raise ValueError(
            f"a reduced input must have some but not all of the bands {list(full)}, each once, "
            f"not {bands!r}"
        )
    if len(card.bands) - len(kept) > card.max_missing_bands:
        raise ValueError(
            f"{card.name} allows {card.max_missing_bands} missing bands, but {'+'.join(kept)} "
            f"lacks {len(card.bands) - len(kept)}: keep more bands"
        )
    blank = ~stamps.present[:, np.isin(card.bands, kept)].any(axis=1)
    if blank.any():
        raise ValueError(
            f"{np.count_nonzero(blank)} stamps have none of the bands {'+'.join(kept)}: exclude "
            "them, or keep another band"
        )
    return kept
