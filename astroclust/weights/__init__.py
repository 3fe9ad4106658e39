# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Saving, loading and validation of classifiers, which are networks with a model card."""

import hashlib
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load

from astroclust.networks import create_network
from astroclust.weights.card_checks import check_card
from astroclust.weights.cards import (
    ModelBandsError,
    ModelCard,
    ModelClassesError,
    ModelHashError,
    ModelKeysError,
    card_digest,
    read_card,
)
from astroclust.weights.classifier import Classifier
from astroclust.weights.hub import hub_page, write_hub_folder
from astroclust.weights.saving import (
    CARD_DIGEST,
    check_classifier_output,
    check_finite,
    save_classifier,
)
from astroclust.weights.sources import bundle, find_source

if TYPE_CHECKING:
    from astroclust.typing import ClassifierLike

__all__ = [
    "DEFAULT_CLASSIFIER",
    "Classifier",
    "ModelBandsError",
    "ModelCard",
    "ModelClassesError",
    "ModelHashError",
    "ModelKeysError",
    "bundle",
    "check_card",
    "check_classifier_output",
    "hub_page",
    "list_classifiers",
    "load_classifier",
    "save_classifier",
    "sign_classifier",
    "write_hub_folder",
]

#: Default classifier, bundled with the package.
DEFAULT_CLASSIFIER = "legus-pictures-1"

log = logging.getLogger(__name__)


def list_classifiers():
    """Cards of the bundled classifiers.

    Returns
    -------
    cards : dict of str to `ModelCard`
        Model cards by name.

    Examples
    --------
    >>> from astroclust.weights import list_classifiers
    >>> list(list_classifiers())
    ['legus-pictures-1', 'simulated-3']
    """
    weights = sorted(bundle().glob("*.safetensors"))
    cards = [read_card(path.with_suffix(".json")) for path in weights]
    return {card.name: card for card in cards}


def load_classifier(model: "ClassifierLike | None" = None) -> Classifier:
    """Load and validate a classifier.

    Parameters
    ----------
    model : str, `~pathlib.Path`, `Classifier` or None, optional
        Name of a bundled classifier; a ``.safetensors`` file with its card, a ``.json`` file of the
        same name, in the same folder; its ``https://`` URL, which is cached by astropy; or
        ``hf://OWNER/REPOSITORY/FILE.safetensors`` on the Hugging Face hub, optionally with
        ``REPOSITORY@REVISION``. Append ``#sha256=`` and the known hash to a URL to verify the
        weights and the card. A `Classifier` is returned unchanged. By default, the bundled
        `DEFAULT_CLASSIFIER`.

    Returns
    -------
    classifier : `Classifier`
        Classifier on the CPU.

    Raises
    ------
    ValueError
        If the name is unknown, or the file is not safetensors; pickles are rejected because they
        can run arbitrary code.
    FileNotFoundError
        If the weights or the card are missing.
    OSError
        If they cannot be downloaded or read.
    ModelHashError, ModelKeysError, ModelBandsError, ModelClassesError
        If the weights and the card do not belong together; all are subclasses of `ValueError`.
    ValueError
        If an entry of the card has the wrong type or is out of range, or weights are not finite.

    Examples
    --------
    >>> from astroclust import load_classifier
    >>> load_classifier().card.bands
    ('NUV', 'U', 'B', 'V', 'I')
    """
    if isinstance(model, Classifier):
        return model
    source = find_source(DEFAULT_CLASSIFIER if model is None else model)
    classifier = _read_classifier(source)
    if classifier.card.notice:
        log.info(classifier.card.notice)
    return classifier


def sign_classifier(path):
    """Update the hashes of a classifier after deliberate changes to its card or weights.

    `load_classifier` rejects weights and cards that do not contain the hash of each other. This
    function trusts both files, validates them otherwise and rewrites them with new hashes.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        Path of the ``.safetensors`` file, with its card in the same folder.

    Returns
    -------
    card : `ModelCard`
        The card as written.

    Raises
    ------
    ValueError
        If the card or the weights are invalid, apart from their hashes.
    OSError
        If a file is missing, or cannot be read or written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astroclust import load_classifier, save_classifier
    >>> from astroclust.weights import sign_classifier
    >>> card = save_classifier(load_classifier(), "mine.safetensors")
    >>> text = Path("mine.json").read_text().replace('"split": "', '"split": "held out: ')
    >>> size = Path("mine.json").write_text(text)
    >>> sign_classifier("mine.safetensors").split[:8]
    'held out'
    """
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"{path} does not end in .safetensors; pass the path of the weights")
    classifier = _read_classifier(find_source(path), verify=False)
    return save_classifier(classifier, path, overwrite=True)


def _read_classifier(source, *, verify=True):
    """Classifier from weights and card, whose hashes are compared if ``verify`` is true."""
    card = read_card(source.card)
    check_card(card, source.name)
    try:
        content = source.weights.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise OSError(f"cannot read {source.name}: {reason}; check the file") from error
    except MemoryError as error:
        raise OSError(f"{source.name} does not fit into memory; check the file") from error
    digest = hashlib.sha256(content).hexdigest()
    if verify and digest != card.sha256:
        raise _mismatch(
            source, f"has sha256 {digest}, but its card says {card.sha256 or 'nothing'}"
        )
    try:
        weights = load(content)
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{source.name} is not a safetensors file of torch ({error}); copy or download it again"
        ) from error
    signed = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    signed = signed.get("__metadata__", {}).get(CARD_DIGEST)
    if verify and signed != card_digest(card):
        raise _mismatch(
            source,
            "does not have the hash of its card"
            if signed is None
            else f"was saved with another card, with hash {signed}",
        )
    members = len({name.partition(".")[0] for name in weights})
    if members != card.members:
        raise ModelKeysError(
            f"{source.name} has {members} networks, but its card says {card.members}; use the "
            "card that it was saved with"
        )
    networks = [_load_member(card, weights, i, source.name) for i in range(card.members)]
    return Classifier(card, networks)


def _mismatch(source, problem):
    source.forget()
    return ModelHashError(
        f"{source.name} {problem}: the weights or the card are damaged, changed or of another "
        f"version; {source.remedy}"
    )


def _load_member(card, weights, i, path):
    prefix = f"{i}."
    given = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    try:
        network = create_network(
            card.architecture, n_bands=len(card.bands), n_classes=len(card.classes), weights="none"
        )
    except ValueError as error:
        raise ValueError(f"the card of {path} is invalid: {error}") from error
    wanted = network.state_dict()
    missing, surplus = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    if missing or surplus:
        raise ModelKeysError(
            f"{path} does not contain the weights of a {card.architecture} network: "
            f"{len(missing)} are missing {missing[:2]}, {len(surplus)} are unknown {surplus[:2]}; "
            "use the card and the astroclust version that it was saved with"
        )
    shapes = {name: (tuple(given[name].shape), tuple(wanted[name].shape)) for name in wanted}
    images = (name for name, values in wanted.items() if values.ndim == 4)
    found, expected = shapes[next(images, next(iter(wanted)))]
    if len(found) == len(expected) == 4 and found[1] != expected[1]:
        raise ModelBandsError(
            f"{path} was made for {found[1]} bands, but its card names {len(card.bands)}; use the "
            "card that it was saved with"
        )
    found, expected = shapes[list(wanted)[-1]]
    if len(found) == 1 and found != expected:
        raise ModelClassesError(
            f"{path} was made for {found[0]} classes, but its card names {len(card.classes)}; use "
            "the card that it was saved with"
        )
    for name, (found, expected) in shapes.items():
        if found != expected:
            raise ModelKeysError(
                f"{path} does not fit a {card.architecture} network: {name} has shape {found}, "
                f"not {expected}; use the card that it was saved with"
            )
        if given[name].dtype != wanted[name].dtype:
            raise ModelKeysError(
                f"{path} has {name} in {given[name].dtype}, not {wanted[name].dtype}; convert the "
                "weights and save them with save_classifier"
            )
        check_finite(given[name], name, path)
    network.load_state_dict(given)
    return network
