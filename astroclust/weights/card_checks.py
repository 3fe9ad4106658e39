# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Validation of model cards."""

from math import isfinite
from numbers import Integral, Real

from astroclust.instruments import BandSystem, ClassScheme
from astroclust.stamps import NORMALIZATIONS
from astroclust.weights.cards import (
    ModelBandsError,
    ModelClassesError,
    subset_name,
    wrong_entry,
)
from astroclust.weights.fingerprints import unpack_digests

__all__ = ["check_card"]

# Ranges of integers and other numbers in a card. Larger stamps or ensembles would not fit into the
# memory of a computer.
_WHOLE = {"members": (1, 1000), "stamp_size": (1, 1024)}
_REAL = {"pixel_scale": (0.001, 10), "temperature": (0.01, 100)}
_TEXTS = ("name", "architecture", "training_sample", "split", "command", "score_command", "license")
# Scores of a subset of bands, with their maximum values.
_OF_BANDS = {"n": 1e9, "accuracy": 1, "mean_recall": 1, "ece": 1}


def check_card(card, path):
    """Validate the type and range of every entry of a card.

    Parameters
    ----------
    card : `ModelCard`
        Card to be validated.
    path : str or `~pathlib.Path`
        Path used in error messages.

    Raises
    ------
    ModelBandsError, ModelClassesError, ValueError
        If the bands, the classes or other entries are invalid.

    Examples
    --------
    >>> from astroclust.weights import ModelCard, check_card
    >>> check_card(ModelCard("mine", "native", "nothing"), "mine.safetensors")
    >>> check_card(ModelCard("", "native", "nothing"), "mine.safetensors")
    Traceback (most recent call last):
        ...
    ValueError: the card of mine.safetensors has name '', which is not a name; use the card ...
    """
    for name in _TEXTS:
        value = getattr(card, name)
        if not isinstance(value, str) or not value.isprintable():
            raise wrong_entry(path, name, value, "a single line of text")
    for name in ("name", "architecture"):
        if not getattr(card, name).strip():
            raise wrong_entry(path, name, getattr(card, name), "a name")
    for name, (low, high) in _WHOLE.items():
        value = getattr(card, name)
        if not _is_number(value, Integral) or not low <= value <= high:
            raise wrong_entry(path, name, value, f"a whole number from {low} to {high}")
    for name, (low, high) in _REAL.items():
        value = getattr(card, name)
        if not _is_number(value, Real) or not low <= value <= high:
            raise wrong_entry(path, name, value, f"a number from {low} to {high}")
    if not isinstance(card.simulated, bool):
        raise wrong_entry(path, "simulated", card.simulated, "true or false")
    if not isinstance(card.normalization, str) or card.normalization not in NORMALIZATIONS:
        known = ", ".join(NORMALIZATIONS)
        raise wrong_entry(path, "normalization", card.normalization, f"one of {known}")
    _check_bands(card, path)
    if not isinstance(card.classes, ClassScheme):
        raise wrong_entry(path, "classes", card.classes, "a ClassScheme", ModelClassesError)
    _check_scores(card.scores, path)
    if not isinstance(card.galaxies, tuple) or not all(map(_is_name, card.galaxies)):
        raise wrong_entry(path, "galaxies", card.galaxies, "names of galaxies")
    if not isinstance(card.galaxy_scores, dict) or not all(map(_is_name, card.galaxy_scores)):
        raise wrong_entry(path, "galaxy_scores", card.galaxy_scores, "scores by galaxy")
    for scores in card.galaxy_scores.values():
        _check_scores(scores, path)
    _check_band_scores(card, path)
    if not isinstance(card.training_rows, str) or unpack_digests(card.training_rows) is None:
        raise wrong_entry(path, "training_rows", card.training_rows, "packed fingerprints")


def _check_bands(card, path):
    if not isinstance(card.system, BandSystem):
        raise wrong_entry(path, "system", card.system, "a BandSystem", ModelBandsError)
    bands, roles = card.bands, card.system.roles
    known = isinstance(bands, tuple) and all(isinstance(b, str) and b in roles for b in bands)
    if not known or not bands or len(set(bands)) < len(bands):
        raise wrong_entry(path, "bands", bands, f"some of {', '.join(roles)}", ModelBandsError)
    missing, most = card.max_missing_bands, len(bands) - 1
    if not _is_number(missing, Integral) or not 0 <= missing <= most:
        raise wrong_entry(path, "max_missing_bands", missing, f"a whole number from 0 to {most}")


def _check_scores(scores, path):
    if not isinstance(scores, dict):
        raise wrong_entry(path, "scores", scores, "numbers by name")
    for name, value in scores.items():
        if not isinstance(name, str) or not _is_number(value, Real) or not isfinite(value):
            raise wrong_entry(path, f"score {name}", value, "a finite number")


def _check_band_scores(card, path):
    kinds = card.band_scores
    if not isinstance(kinds, dict) or not set(kinds) <= {"simulated", "human"}:
        raise wrong_entry(path, "band_scores", kinds, "scores under simulated and human")
    for kind, subsets in kinds.items():
        if not isinstance(subsets, dict):
            raise wrong_entry(path, f"band_scores {kind}", subsets, "scores by bands, as V+I")
        for name, scores in subsets.items():
            entry = f"band_scores {kind}"
            if not _is_subset(name, card):
                wanted = f"some of {', '.join(card.bands)} in this order, joined by +"
                raise wrong_entry(path, entry, name, wanted)
            if not isinstance(scores, dict) or set(scores) != set(_OF_BANDS):
                wanted = f"scores {', '.join(_OF_BANDS)}"
                raise wrong_entry(path, f"{entry} {name}", scores, wanted)
            for score, high in _OF_BANDS.items():
                value = scores[score]
                if not _is_number(value, Real) or not 0 <= value <= high:
                    wanted = f"a number from 0 to {high:g}"
                    raise wrong_entry(path, f"{entry} {name} {score}", value, wanted)


def _is_subset(name, card):
    roles = name.split("+") if isinstance(name, str) else [""]
    if len(set(roles)) < len(roles) or not set(roles) <= set(card.bands):
        return False
    return name == subset_name(roles, card.system)


def _is_name(value):
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _is_number(value, kind):
    return isinstance(value, kind) and not isinstance(value, bool)
