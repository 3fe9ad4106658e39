# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Model cards: what a classifier is, written, read and checked."""

import json
from dataclasses import dataclass, field, fields

from astroclust.catalogs import CLASSES
from astroclust.images import BANDS, PIXEL_SCALE
from astroclust.stamps import NORMALIZATIONS

__all__ = [
    "ModelBandsError",
    "ModelCard",
    "ModelClassesError",
    "ModelHashError",
    "ModelKeysError",
    "check_card",
    "read_card",
]


class ModelHashError(ValueError):
    """The weights are not those that the card describes.

    Examples
    --------
    >>> from astroclust import load_classifier, save_classifier
    >>> card = save_classifier(load_classifier(), "mine.safetensors")
    >>> with open("mine.safetensors", "ab") as file:
    ...     length = file.write(b"what does not belong there")
    >>> load_classifier("mine.safetensors")
    Traceback (most recent call last):
        ...
    astroclust.weights.cards.ModelHashError: mine.safetensors ...
    """


class ModelKeysError(ValueError):
    """The names or shapes of the weights are not those of the architecture.

    Examples
    --------
    Weights of one network, and the card of another:

    >>> from dataclasses import replace
    >>> from astroclust import Classifier, load_classifier, save_classifier
    >>> classifier = load_classifier()
    >>> card = replace(classifier.card, architecture="native-small")
    >>> card = save_classifier(Classifier(card, classifier.networks), "mine.safetensors")
    >>> load_classifier("mine.safetensors")
    Traceback (most recent call last):
        ...
    astroclust.weights.cards.ModelKeysError: mine.safetensors does not fit ...
    """


class ModelBandsError(ValueError):
    """The bands of the card are unknown, or not as many as the weights have.

    Examples
    --------
    Weights for five bands, and a card with two:

    >>> from dataclasses import replace
    >>> from astroclust import Classifier, load_classifier, save_classifier
    >>> classifier = load_classifier()
    >>> card = replace(classifier.card, bands=("V", "I"))
    >>> card = save_classifier(Classifier(card, classifier.networks), "mine.safetensors")
    >>> load_classifier("mine.safetensors")
    Traceback (most recent call last):
        ...
    astroclust.weights.cards.ModelBandsError: mine.safetensors was made for 5 bands, ...
    """


class ModelClassesError(ValueError):
    """The classes of the card are not numbered names, or not as many as the weights have.

    Examples
    --------
    Weights for four classes, and a card with two:

    >>> from dataclasses import replace
    >>> from astroclust import Classifier, load_classifier, save_classifier
    >>> classifier = load_classifier()
    >>> card = replace(classifier.card, classes={1: "cluster", 4: "other"})
    >>> card = save_classifier(Classifier(card, classifier.networks), "mine.safetensors")
    >>> load_classifier("mine.safetensors")
    Traceback (most recent call last):
        ...
    astroclust.weights.cards.ModelClassesError: mine.safetensors was made for 4 classes, ...
    """


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
    score_command : str
        The command that prints the scores again.
    licence : str
        Licence of the weights.
    sha256 : str
        Hash of the weights file.

    Examples
    --------
    >>> from astroclust.weights import ModelCard
    >>> card = ModelCard("mine", "native", "1000 stamps that I simulated", simulated=True)
    >>> card.bands, card.stamp_size
    (('NUV', 'U', 'B', 'V', 'I'), 50)
    >>> card.notice
    'classifier mine was trained on simulated images only: fine-tune it on real labels before ...'
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
    score_command: str = ""
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


def read_card(path):
    """Read the card of a classifier.

    Parameters
    ----------
    path : `~pathlib.Path`
        A JSON file, as `~astroclust.weights.save_classifier` writes it.

    Returns
    -------
    card : `ModelCard`
        As it is there; `check_card` checks its entries.

    Raises
    ------
    FileNotFoundError
        Where there is none.
    ValueError
        Where the file is not a card.
    """
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


def check_card(card, path):
    """Refuse a card by which no classifier can be made.

    Parameters
    ----------
    card : `ModelCard`
        The card.
    path : str or `~pathlib.Path`
        What the error shall name.

    Raises
    ------
    ModelBandsError, ModelClassesError, ValueError
        For bands, classes or other entries that are not accepted.
    """
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
