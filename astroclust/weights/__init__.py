# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Classifiers: networks with the card that says what they are; saved, loaded, checked."""

import hashlib
import json
import logging
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from astroclust.files import check_output, replace_when_done
from astroclust.networks import create_network
from astroclust.networks.inference import fuse_network, keep_memory
from astroclust.stamps import normalize_pixels
from astroclust.weights.cards import (
    ModelBandsError,
    ModelCard,
    ModelClassesError,
    ModelHashError,
    ModelKeysError,
    check_card,
    read_card,
)
from astroclust.weights.sources import bundle, find_source

__all__ = [
    "DEFAULT_CLASSIFIER",
    "Classifier",
    "ModelBandsError",
    "ModelCard",
    "ModelClassesError",
    "ModelHashError",
    "ModelKeysError",
    "list_classifiers",
    "load_classifier",
    "save_classifier",
]

#: The bundled classifier that is used where none is named.
DEFAULT_CLASSIFIER = "simulated-3"

log = logging.getLogger(__name__)


class Classifier:
    """One or more networks of equal architecture, and their card.

    Parameters
    ----------
    card : `ModelCard`
        What the networks are.
    networks : sequence of `~torch.nn.Module`
        The members of the ensemble.

    Examples
    --------
    A network that has learnt nothing, on stamps that hold nothing but noise:

    >>> import numpy as np
    >>> from astroclust import Classifier, Stamps, create_network
    >>> from astroclust.images import BANDS
    >>> from astroclust.weights import ModelCard
    >>> card = ModelCard("mine", "native-small", "nothing yet")
    >>> classifier = Classifier(card, [create_network("native-small")])
    >>> classifier
    <Classifier mine: 1 x native-small>
    >>> noise = np.random.default_rng(1).normal(size=(3, 5, 50, 50))
    >>> classifier.probabilities(Stamps(noise, BANDS)).shape
    (1, 3, 4)
    """

    def __init__(self, card, networks):
        self.card = card
        self.networks = [network.eval() for network in networks]

    def __repr__(self):
        notice = "; trained on simulated images" if self.card.simulated else ""
        members = f"{len(self.networks)} x {self.card.architecture}"
        return f"<Classifier {self.card.name}: {members}{notice}>"

    def prepared(self, device="cpu"):
        """A copy that only classifies, and does so fast.

        Parameters
        ----------
        device : str or `~torch.device`, optional
            Where its networks shall run.

        Returns
        -------
        classifier : `Classifier`
            With the same probabilities but for rounding.
        """
        keep_memory()
        card = self.card
        fused = [fuse_network(one, len(card.bands), card.stamp_size) for one in self.networks]
        return Classifier(
            card, [one.to(device, memory_format=torch.channels_last) for one in fused]
        )

    def probabilities(self, stamps):
        """Class probabilities of each member, on the device of the networks.

        On a GPU the networks run in mixed precision, and in as many parts as its memory wants.

        Parameters
        ----------
        stamps : `~astroclust.stamps.Stamps`
            n stamps in the bands and the size of the card.

        Returns
        -------
        probabilities : `~numpy.ndarray` of float32, shape (n_members, n, n_classes)
            Each row sums to 1.

        Raises
        ------
        ValueError
            Where the bands or the size of the stamps are not those of the card.
        """
        if stamps.bands != self.card.bands:
            raise ValueError(
                f"{self.card.name} takes bands {self.card.bands}, the stamps have {stamps.bands}"
            )
        if stamps.size != self.card.stamp_size:
            raise ValueError(
                f"{self.card.name} takes stamps of {self.card.stamp_size} pixels, these have "
                f"{stamps.size}; cut them with size={self.card.stamp_size}"
            )
        try:
            return self._compute(stamps)
        except torch.OutOfMemoryError:
            if len(stamps) < 2:
                raise
        # Out of the clause, as an exception in flight would keep the memory taken.
        half = len(stamps) // 2
        parts = [self.probabilities(stamps[:half]), self.probabilities(stamps[half:])]
        return np.concatenate(parts, axis=1)

    def _compute(self, stamps):
        device = next(self.networks[0].parameters()).device
        pixels = torch.from_numpy(stamps.data).to(device)
        present = torch.from_numpy(stamps.present).to(device)
        pixels = normalize_pixels(pixels, present, self.card.normalization)
        present = present.to(pixels.dtype)
        with torch.inference_mode(), torch.autocast(device.type, enabled=device.type == "cuda"):
            scores = torch.stack([network(pixels, present) for network in self.networks])
        return torch.softmax(scores.float() / self.card.temperature, dim=-1).cpu().numpy()


def list_classifiers():
    """Cards of the bundled classifiers.

    Returns
    -------
    cards : dict of str to `ModelCard`
        By name.

    Examples
    --------
    >>> from astroclust import list_classifiers
    >>> list(list_classifiers())
    ['simulated-3']
    """
    cards = [read_card(path) for path in sorted(bundle().glob("*.json"))]
    return {card.name: card for card in cards}


def load_classifier(model=None):
    """Load a classifier by name or from a file, and check it.

    Parameters
    ----------
    model : str, `~pathlib.Path`, `Classifier` or None, optional
        Name of a bundled classifier; or a ``.safetensors`` file with its card, a ``.json`` file
        of the same name, beside it; or the ``https://`` address of one, which astropy's cache
        keeps; or ``hf://OWNER/REPOSITORY/FILE.safetensors`` on the Hugging Face hub, at a
        revision with ``REPOSITORY@REVISION``. After an address, ``#sha256=`` and the hash that
        you know makes sure that the weights are those. A `Classifier` is returned as it is. By
        default the bundled `DEFAULT_CLASSIFIER`.

    Returns
    -------
    classifier : `Classifier`
        Ready to classify, on the CPU.

    Raises
    ------
    ValueError
        For an unknown name, or a file that is not safetensors; pickles are refused, as loading
        one can run any code.
    FileNotFoundError
        Where the weights or the card are missing.
    OSError
        Where they cannot be fetched.
    ModelHashError, ModelKeysError, ModelBandsError, ModelClassesError
        Where the weights and the card do not belong together; all are kinds of `ValueError`.

    Examples
    --------
    >>> from astroclust import load_classifier
    >>> load_classifier().card.bands
    ('NUV', 'U', 'B', 'V', 'I')
    """
    if isinstance(model, Classifier):
        return model
    source = find_source(DEFAULT_CLASSIFIER if model is None else model)
    card = read_card(source.card)
    check_card(card, source.name)
    content = source.weights.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.sha256:
        raise ModelHashError(
            f"{source.name} has sha256 {digest}, its card says {card.sha256 or 'nothing'}: the "
            "file is damaged or of another version; fetch both again, or save them with "
            "save_classifier"
        )
    try:
        weights = load(content)
    except SafetensorError as error:
        raise ValueError(f"{source.name} is not a safetensors file ({error})") from error
    members = len({name.partition(".")[0] for name in weights})
    if members != card.members:
        raise ModelKeysError(
            f"{source.name} holds {members} networks, its card says {card.members}; use the card "
            "that it was saved with"
        )
    networks = [_load_member(card, weights, i, source.name) for i in range(card.members)]
    if card.notice:
        log.info(card.notice)
    return Classifier(card, networks)


def save_classifier(classifier, path, *, overwrite=False):
    """Write a classifier's weights, and its card beside them.

    Parameters
    ----------
    classifier : `Classifier`
        The classifier.
    path : str or `~pathlib.Path`
        A file ending in ``.safetensors``; the card goes to the same name with ``.json``.
    overwrite : bool, optional
        Whether the files may exist.

    Returns
    -------
    card : `ModelCard`
        The card as written, with the hash of the weights.

    Raises
    ------
    ValueError
        Where the name does not end in ``.safetensors``.
    OSError
        Where a file exists and ``overwrite`` is false, or cannot be written.

    Examples
    --------
    >>> from astroclust import load_classifier, save_classifier
    >>> card = save_classifier(load_classifier(), "mine.safetensors")
    >>> load_classifier("mine.safetensors").card == card
    True
    >>> save_classifier(load_classifier(), "mine.pth")
    Traceback (most recent call last):
        ...
    ValueError: weights go to a file ending in .safetensors, not mine.pth
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"weights go to a file ending in .safetensors, not {path.name}")
    card_path = check_output(path.with_suffix(".json"), overwrite=overwrite)
    weights = {
        f"{i}.{name}": value.detach().cpu().contiguous()
        for i, network in enumerate(classifier.networks)
        for name, value in network.state_dict().items()
    }
    with replace_when_done(path, overwrite=overwrite) as partial:
        partial.write_bytes(save(weights))  # `save_file` lets nobody but its owner read the file
        digest = hashlib.sha256(partial.read_bytes()).hexdigest()
        card = replace(classifier.card, members=len(classifier.networks), sha256=digest)
        # Both are whole before either is in place.
        with replace_when_done(card_path, overwrite=overwrite) as partial_card:
            partial_card.write_text(json.dumps(asdict(card), indent=2) + "\n")
    return card


def _load_member(card, weights, i, path):
    prefix = f"{i}."
    given = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    network = create_network(
        card.architecture, n_bands=len(card.bands), n_classes=len(card.classes), weights="none"
    )
    wanted = network.state_dict()
    missing, surplus = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    if missing or surplus:
        raise ModelKeysError(
            f"{path} does not hold the weights of a {card.architecture} network: "
            f"{len(missing)} are missing {missing[:2]}, {len(surplus)} are unknown {surplus[:2]}; "
            "use the card and the astroclust version that it was saved with"
        )
    first = next(name for name, values in wanted.items() if values.ndim == 4)
    if given[first].shape[1:2] != wanted[first].shape[1:2]:
        raise ModelBandsError(
            f"{path} was made for {given[first].shape[1]} bands, its card names "
            f"{len(card.bands)}; use the card that it was saved with"
        )
    last = list(wanted)[-1]
    if given[last].shape != wanted[last].shape:
        raise ModelClassesError(
            f"{path} was made for {len(given[last])} classes, its card names "
            f"{len(card.classes)}; use the card that it was saved with"
        )
    wrong = [name for name in wanted if given[name].shape != wanted[name].shape]
    if wrong:
        raise ModelKeysError(
            f"{path} does not fit a {card.architecture} network: {wrong[0]} has shape "
            f"{tuple(given[wrong[0]].shape)}, not {tuple(wanted[wrong[0]].shape)}"
        )
    network.load_state_dict(given)
    return network
