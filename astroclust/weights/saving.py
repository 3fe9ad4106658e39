# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Writing of classifiers: weights as safetensors, with a card in the same folder."""

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save

from astroclust.files import check_output, replace_when_done
from astroclust.weights.card_checks import check_card
from astroclust.weights.cards import ModelCard, card_digest, card_text
from astroclust.weights.classifier import Classifier

__all__ = [
    "CARD_DIGEST",
    "check_classifier_output",
    "check_finite",
    "save_classifier",
    "weights_digest",
    "weights_path",
]

# Key of the card's hash in the metadata of the weights, so that their hash covers both.
CARD_DIGEST = "card_sha256"


def save_classifier(
    classifier: Classifier, path: str | Path, *, overwrite: bool = False
) -> ModelCard:
    """Write the weights and the card of a classifier.

    Parameters
    ----------
    classifier : `Classifier`
        Classifier to be saved.
    path : str or `~pathlib.Path`
        File ending in ``.safetensors``; the card is written to the same name with ``.json``.
    overwrite : bool, optional
        Whether to overwrite existing files.

    Returns
    -------
    card : `ModelCard`
        The card as written, with the hash of the weights.

    Raises
    ------
    ValueError
        If the name does not end in ``.safetensors``.
    OSError
        If a file exists and ``overwrite`` is false, or a file cannot be written.

    Examples
    --------
    >>> from astroclust import load_classifier, save_classifier
    >>> card = save_classifier(load_classifier(), "mine.safetensors")
    >>> load_classifier("mine.safetensors").card == card
    True
    >>> save_classifier(load_classifier(), "mine.pth")
    Traceback (most recent call last):
        ...
    ValueError: mine.pth does not end in .safetensors; use a name such as mine.safetensors
    """
    path, card_path = check_classifier_output(path, overwrite=overwrite)
    card = replace(classifier.card, members=len(classifier.networks))
    check_card(card, path)
    weights = {
        # Copied, as safetensors rejects weights shared by two layers.
        f"{i}.{name}": value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for i, network in enumerate(classifier.networks)
        for name, value in network.state_dict().items()
    }
    for name, values in weights.items():
        check_finite(values, name, path)
    with replace_when_done(path, overwrite=overwrite) as partial:
        # `save_file` would restrict read access to the owner
        content = save(weights, metadata={CARD_DIGEST: card_digest(card)})
        partial.write_bytes(content)
        card = replace(card, sha256=hashlib.sha256(content).hexdigest())
        # Both files are complete before either is renamed.
        with replace_when_done(card_path, overwrite=overwrite) as partial_card:
            partial_card.write_text(card_text(card), encoding="utf-8")
    return card


def check_classifier_output(path, *, overwrite=False):
    """Check, before a long training, that a classifier can be saved.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        Path of the weights.
    overwrite : bool, optional
        Whether to overwrite existing files.

    Returns
    -------
    weights, card : `~pathlib.Path`
        Paths of both files.

    Raises
    ------
    ValueError
        If the name does not end in ``.safetensors``.
    OSError
        If a file exists and ``overwrite`` is false, or a file cannot be written.

    Examples
    --------
    >>> from astroclust.weights import check_classifier_output
    >>> [path.name for path in check_classifier_output("mine.safetensors")]
    ['mine.safetensors', 'mine.json']
    """
    path = weights_path(path)
    return tuple(
        check_output(one, overwrite=overwrite) for one in (path, path.with_suffix(".json"))
    )


def weights_path(path):
    """Path of weights to write; raise a `ValueError` if it does not end in ``.safetensors``."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(
            f"{path.name} does not end in .safetensors; use a name such as {path.stem}.safetensors"
        )
    return path


def weights_digest(weights):
    """SHA-256 of weights by name."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].cpu().numpy().tobytes())
    return digest.hexdigest()


def check_finite(values, name, path):
    """Raise a `ValueError` if weights are not finite."""
    bad = int((~torch.isfinite(values)).sum())
    if bad:
        raise ValueError(
            f"the weights of {path} have {bad} non-finite values in {name}, so the training "
            "failed; train again, with a lower learning rate"
        )
