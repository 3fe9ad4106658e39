# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Classifiers: networks with the card that says what they are; saved, loaded, checked."""

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from astroclust.catalogs import CLASSES
from astroclust.files import check_output, replace_when_done
from astroclust.images import BANDS, PIXEL_SCALE
from astroclust.networks import create_network
from astroclust.stamps import NORMALIZATIONS, normalize_stamps

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
DEFAULT_CLASSIFIER = "simulated-2"

_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin")

log = logging.getLogger(__name__)


class ModelHashError(ValueError):
    """The weights are not those that the card describes."""


class ModelKeysError(ValueError):
    """The names or shapes of the weights are not those of the architecture."""


class ModelBandsError(ValueError):
    """The bands of the card are unknown, or not as many as the weights have."""


class ModelClassesError(ValueError):
    """The classes of the card are not numbered names, or not as many as the weights have."""


@dataclass(frozen=True)
class ModelCard:
    """What a classifier is: all that is needed to use it rightly.

    Parameters
    ----------
    name : str
        Name of the classifier.
    architecture : str
        Network, as `~astroclust.networks.create_network` names it.
    training_sample : str
        What it was trained on, in plain words.
    classes : dict of int to str
        Class numbers and their names, in the order of the outputs.
    bands : tuple of str
        Roles of the bands, in the order of the inputs.
    stamp_size : int
        Width of a stamp in pixels.
    pixel_scale : float
        Arcseconds a pixel.
    normalization : str
        How pixels are prepared, as `~astroclust.stamps.normalize_stamps` names it.
    max_missing_bands : int
        How many bands may be absent.
    members : int
        Networks in the ensemble.
    temperature : float
        What scores are divided by before the softmax, so that probabilities are calibrated.
    simulated : bool
        Whether it learnt from simulated images only, and so is not for science before it is
        fine-tuned on real labels.
    split : str
        How the held-out sample was set apart.
    scores : dict
        Scores on the held-out sample.
    command : str
        The command that makes it again.
    licence : str
        Licence of the weights.
    sha256 : str
        Hash of the weights file.
    """

    name: str
    architecture: str
    training_sample: str
    classes: dict = field(default_factory=lambda: dict(CLASSES))
    bands: tuple = BANDS
    stamp_size: int = 50
    pixel_scale: float = PIXEL_SCALE
    normalization: str = "asinh-peak"
    max_missing_bands: int = 1
    members: int = 1
    temperature: float = 1.0
    simulated: bool = False
    split: str = ""
    scores: dict = field(default_factory=dict)
    command: str = ""
    licence: str = "BSD-3-Clause"
    sha256: str = ""

    @property
    def notice(self):
        """One sentence on what its results may be used for; empty where nothing restricts it."""
        if not self.simulated:
            return ""
        return (
            f"classifier {self.name} was trained on simulated images only: "
            "fine-tune it on real labels before scientific use"
        )


class Classifier:
    """One or more networks of equal architecture, and their card.

    Parameters
    ----------
    card : `ModelCard`
        What the networks are.
    networks : sequence of `~torch.nn.Module`
        The members of the ensemble.
    """

    def __init__(self, card, networks):
        self.card = card
        self.networks = [network.eval() for network in networks]

    def __repr__(self):
        notice = "; trained on simulated images" if self.card.simulated else ""
        members = f"{len(self.networks)} x {self.card.architecture}"
        return f"<Classifier {self.card.name}: {members}{notice}>"

    def to(self, device):
        """Move the networks to a device, in place.

        Parameters
        ----------
        device : `~torch.device`
            Where they shall run.

        Returns
        -------
        classifier : `Classifier`
            Itself.
        """
        for network in self.networks:
            network.to(device, memory_format=torch.channels_last)
        return self

    def probabilities(self, stamps):
        """Class probabilities of each member, on the device of the networks.

        On a GPU the networks run in mixed precision.

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
        device = next(self.networks[0].parameters()).device
        pixels = torch.from_numpy(normalize_stamps(stamps, self.card.normalization))
        pixels = pixels.to(device).contiguous(memory_format=torch.channels_last)
        present = torch.from_numpy(stamps.present.astype(np.float32)).to(device)
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
    ['simulated-2']
    """
    cards = [_read_card(path) for path in sorted(_bundle().glob("*.json"))]
    return {card.name: card for card in cards}


def load_classifier(model=None):
    """Load a classifier by name or from a file, and check it.

    Parameters
    ----------
    model : str, `~pathlib.Path`, `Classifier` or None, optional
        Name of a bundled classifier, or a ``.safetensors`` file with its card, a ``.json`` file
        of the same name, beside it. A `Classifier` is returned as it is. By default the bundled
        `DEFAULT_CLASSIFIER`.

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
    path = _find(DEFAULT_CLASSIFIER if model is None else model)
    card = _read_card(path.with_suffix(".json"))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != card.sha256:
        raise ModelHashError(
            f"{path} has sha256 {digest}, its card says {card.sha256 or 'nothing'}: the file is "
            "damaged or of another version; fetch both again, or save them with save_classifier"
        )
    _check_card(card, path)
    try:
        weights = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a safetensors file ({error})") from error
    members = len({name.partition(".")[0] for name in weights})
    if members != card.members:
        raise ModelKeysError(
            f"{path} holds {members} networks, its card says {card.members}; use the card that it "
            "was saved with"
        )
    networks = [_load_member(card, weights, i, path) for i in range(card.members)]
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


def _bundle():
    return Path(str(resources.files("astroclust") / "data"))


def _find(model):
    """The weights file that a name or a path means."""
    if not isinstance(model, (str, os.PathLike)):
        raise TypeError(f"model must be a name, a path or a Classifier, not {model!r}")
    text = os.fspath(model)
    if Path(text).suffix in _PICKLES:
        raise ValueError(
            f"{text} looks like a pickle, which can run any code when it is loaded: convert it "
            "to safetensors with save_classifier where you trust it"
        )
    path = Path(text).with_suffix(".safetensors") if text.endswith(".json") else Path(text)
    if path.suffix != ".safetensors":
        path = _bundle() / f"{text}.safetensors"
        if not path.exists():
            raise ValueError(
                f"there is no classifier {text!r}: bundled are {', '.join(list_classifiers())}; "
                "or give the path of a .safetensors file"
            )
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    return path


def _read_card(path):
    if not path.exists():
        raise FileNotFoundError(
            f"the model card {path} is missing: it belongs beside the weights, as "
            "save_classifier writes it"
        )
    try:
        content = json.loads(path.read_text())
        unknown = set(content) - {item.name for item in fields(ModelCard)}
        if unknown:
            raise ValueError(f"unknown entries {', '.join(sorted(unknown))}")
        content["bands"] = tuple(content["bands"])
        content["classes"] = {int(number): name for number, name in content["classes"].items()}
        return ModelCard(**content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a model card ({error})") from error


def _check_card(card, path):
    unknown = [band for band in card.bands if band not in BANDS]
    if unknown or not card.bands or len(set(card.bands)) < len(card.bands):
        raise ModelBandsError(
            f"the card of {path} names bands {list(card.bands)}; bands are {', '.join(BANDS)}"
        )
    for name in ("members", "stamp_size", "pixel_scale", "temperature"):
        value = getattr(card, name)
        kind = int if name in ("members", "stamp_size") else (int, float)
        if not isinstance(value, kind) or value <= 0:
            raise ValueError(f"the card of {path} has {name} {value!r}, which is not positive")
    if len(card.classes) < 2:
        raise ModelClassesError(f"the card of {path} names fewer than two classes")
    if card.normalization not in NORMALIZATIONS:
        raise ValueError(
            f"the card of {path} asks for normalization {card.normalization!r}, which this "
            "version of astroclust does not have; update it"
        )


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
