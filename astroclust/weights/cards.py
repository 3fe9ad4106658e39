# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Model cards: metadata of classifiers, read and written as JSON."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES, BandSystem, ClassScheme

__all__ = [
    "ModelBandsError",
    "ModelCard",
    "ModelClassesError",
    "ModelHashError",
    "ModelKeysError",
    "card_digest",
    "card_text",
    "read_card",
    "subset_name",
    "wrong_entry",
]

# Entries missing from cards of earlier versions.
_OPTIONAL = ("galaxies", "galaxy_scores", "band_scores", "training_rows")
# Names of entries in cards of earlier versions. The digest keeps them, so that these cards still
# belong to their weights.
_RENAMED = {"licence": "license"}
_LARGEST_CARD = 1 << 20


class ModelHashError(ValueError):
    """The weights and the card were not saved together.

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
    """The names or shapes of the weights do not match the architecture.

    Examples
    --------
    Weights of one network with the card of another:

    >>> from dataclasses import replace
    >>> from astroclust import load_classifier, save_classifier
    >>> from astroclust.weights import Classifier
    >>> classifier = load_classifier()
    >>> card = replace(classifier.card, architecture="native-small")
    >>> card = save_classifier(Classifier(card, classifier.networks), "mine.safetensors")
    >>> load_classifier("mine.safetensors")
    Traceback (most recent call last):
        ...
    astroclust.weights.cards.ModelKeysError: mine.safetensors does not fit ...
    """


class ModelBandsError(ValueError):
    """The bands of the card are unknown, or their number does not match the weights.

    Examples
    --------
    Weights for five bands with a card for two:

    >>> from dataclasses import replace
    >>> from astroclust import load_classifier, save_classifier
    >>> from astroclust.weights import Classifier
    >>> classifier = load_classifier()
    >>> card = replace(classifier.card, bands=("V", "I"), max_missing_bands=1, band_scores={})
    >>> card = save_classifier(Classifier(card, classifier.networks), "mine.safetensors")
    >>> load_classifier("mine.safetensors")
    Traceback (most recent call last):
        ...
    astroclust.weights.cards.ModelBandsError: mine.safetensors was made for 5 bands, ...
    """


class ModelClassesError(ValueError):
    """The classes of the card are invalid, or their number does not match the weights.

    Examples
    --------
    Weights for four classes with a card for two:

    >>> from dataclasses import replace
    >>> from astroclust import load_classifier, save_classifier
    >>> from astroclust.weights import Classifier
    >>> from astroclust.instruments import find_class_scheme
    >>> classifier = load_classifier()
    >>> card = replace(classifier.card, classes=find_class_scheme("cluster"))
    >>> card = save_classifier(Classifier(card, classifier.networks), "mine.safetensors")
    >>> load_classifier("mine.safetensors")
    Traceback (most recent call last):
        ...
    astroclust.weights.cards.ModelClassesError: mine.safetensors was made for 4 classes, ...
    """


@dataclass(frozen=True)
class ModelCard:
    """Metadata required to use a classifier correctly.

    Parameters
    ----------
    name : str
        Name of the classifier.
    architecture : str
        Architecture of the networks; see `~astroclust.networks.create_network`.
    training_sample : str
        Description of the training sample.
    classes : `~astroclust.instruments.ClassScheme`
        Classes, in the order of the outputs.
    system : `~astroclust.instruments.BandSystem`
        Band system of the images.
    bands : tuple of str
        Roles of the bands, in the order of the inputs; by default all of the system.
    stamp_size : int
        Width of a stamp, in pixels.
    pixel_scale : float
        Pixel scale, in arcsec; by default that of the system.
    normalization : str
        Normalization of the pixels; see `~astroclust.stamps.normalize_stamps`.
    max_missing_bands : int
        Maximum number of missing bands.
    members : int
        Number of networks in the ensemble.
    temperature : float
        Divisor of the scores before the softmax, which calibrates the probabilities.
    simulated : bool
        Whether all training data were simulated; such classifiers are not for scientific use
        before they are fine-tuned on real labels.
    split : str
        Description of the test set.
    scores : dict
        Scores on the test set.
    galaxies : tuple of str
        Galaxies with real images in the training set, if the samples name them.
    galaxy_scores : dict of str to dict
        Scores per held-out galaxy, and pooled as ``"all"``.
    band_scores : dict of str to dict of str to dict
        Scores for subsets of the bands, on ``"simulated"`` stamps and on ``"human"`` labels. Keys
        are roles in the order of the system, joined as in ``"V+I"``; each has ``n``,
        ``accuracy``, ``mean_recall`` and ``ece``.
    training_rows : str
        Fingerprints of the training set, used by `~astroclust.training.seen_rows`.
    command : str
        Command that reproduces the classifier.
    score_command : str
        Command that reproduces the scores.
    license : str
        License of the weights.
    sha256 : str
        Hash of the weights file, which contains the hash of all other entries of the card.

    Examples
    --------
    >>> from astroclust.weights import ModelCard
    >>> card = ModelCard("mine", "native", "1000 stamps that I simulated", simulated=True)
    >>> card.bands, card.stamp_size
    (('NUV', 'U', 'B', 'V', 'I'), 50)
    >>> card.notice
    'classifier mine was trained on simulated images only; fine-tune it on real labels before ...'
    """

    name: str
    architecture: str
    training_sample: str
    classes: ClassScheme = LEGUS_CLASSES
    system: BandSystem = LEGUS_BANDS
    bands: tuple[str, ...] = None  # type: ignore[assignment]
    stamp_size: int = 50
    pixel_scale: float = None  # type: ignore[assignment]
    normalization: str = "asinh-peak"
    max_missing_bands: int = 1
    members: int = 1
    temperature: float = 1.0
    simulated: bool = False
    split: str = ""
    scores: dict[str, Any] = field(default_factory=dict)
    galaxies: tuple[str, ...] = ()
    galaxy_scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    band_scores: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    training_rows: str = ""
    command: str = ""
    score_command: str = ""
    license: str = "BSD-3-Clause"
    sha256: str = ""

    def __post_init__(self) -> None:
        for name, default in (("bands", "roles"), ("pixel_scale", "pixel_scale")):
            if getattr(self, name) is None and isinstance(self.system, BandSystem):
                object.__setattr__(self, name, getattr(self.system, default))

    def expected_accuracy(self, bands: Sequence[str]) -> dict[str, float]:
        """Measured accuracy for exactly these bands.

        Parameters
        ----------
        bands : sequence of str
            Roles of the available images, in any order.

        Returns
        -------
        accuracy : dict of str to float
            Accuracy on ``"simulated"`` stamps and on ``"human"`` labels; empty if this subset has
            not been scored.

        Raises
        ------
        ValueError
            If a role is not in the band system.

        Examples
        --------
        >>> from astroclust.weights import ModelCard
        >>> scores = {"n": 100, "accuracy": 0.61, "mean_recall": 0.58, "ece": 0.03}
        >>> card = ModelCard("mine", "native", "stamps", band_scores={"human": {"V+I": scores}})
        >>> card.expected_accuracy(["I", "V"])
        {'human': 0.61}
        >>> card.expected_accuracy(["NUV", "I"])
        {}
        """
        key = subset_name(bands, self.system)
        found = {kind: scores[key] for kind, scores in self.band_scores.items() if key in scores}
        return {kind: scores["accuracy"] for kind, scores in found.items()}

    def accuracy_notice(self, roles: Sequence[str]) -> str:
        """One-line description of the expected accuracy for the bands of some images.

        Parameters
        ----------
        roles : sequence of str
            Roles of the images; those that the classifier does not use are ignored.

        Returns
        -------
        notice : str
            The accuracy, or the statement that this subset has not been scored.

        Examples
        --------
        >>> from astroclust import load_classifier
        >>> print(load_classifier().card.accuracy_notice(["V", "I"]))
        bands V, I: expected accuracy 0... on simulations, 0... on human labels of galaxies held out
        """
        bands = [role for role in self.system.roles if role in roles and role in self.bands]
        accuracy = self.expected_accuracy(bands) if bands else {}
        held_out = "galaxies held out" if self.galaxy_scores else "rows held out"
        kinds = {"simulated": "on simulations", "human": f"on human labels of {held_out}"}
        known = [f"{accuracy[kind]:.2f} {text}" for kind, text in kinds.items() if kind in accuracy]
        words = f"expected accuracy {', '.join(known)}"
        if not known:
            words = f"the card of {self.name} has no accuracy for exactly these bands"
        return f"bands {', '.join(bands)}: {words}"

    @property
    def notice(self) -> str:
        """One sentence on the training data and limitations of use, or an empty string."""
        if self.simulated:
            return (
                f"classifier {self.name} was trained on simulated images only; fine-tune it on "
                "real labels before scientific use"
            )
        unseen = self.galaxy_scores.get("all")
        if not (self.galaxies and unseen):
            return ""
        return (
            f"classifier {self.name} was trained on human labels of {', '.join(self.galaxies)}; "
            f"for held-out galaxies, it agrees with people on {unseen['accuracy']:.0%} of "
            f"{unseen['n']:.0f} objects"
        )


def subset_name(bands, system):
    """Name of a subset of bands in ``band_scores``: its roles in the order of the system."""
    return "+".join(sorted(system.select(bands), key=system.index))


def card_text(card):
    """Serialize a card.

    Parameters
    ----------
    card : `ModelCard`
        Card to be written.

    Returns
    -------
    text : str
        The card as JSON.
    """
    return json.dumps(_content(card), indent=2, default=_plain, allow_nan=False) + "\n"


def card_digest(card):
    """SHA-256 of all entries of a card except the hash of the weights, which include this one.

    Parameters
    ----------
    card : `ModelCard`
        Card to be hashed.

    Returns
    -------
    digest : str
        64 hexadecimal digits, which depend on the order of the classes, but not on the layout of
        the file.
    """
    content = _content(card)
    del content["sha256"]
    for old, new in _RENAMED.items():
        content[old] = content.pop(new)
    # Sorted keys would lose the order of the outputs.
    content["order"] = list(content["classes"]["names"])
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _content(card):
    """Entries of a card as JSON types."""
    content = asdict(card)
    system, classes = card.system.content, card.classes.content
    content["galaxies"] = list(card.galaxies)
    for name in _OPTIONAL:  # so that cards without these keep their hash
        if not content[name]:
            del content[name]
    return {**content, "bands": list(card.bands), "system": system, "classes": classes}


def _plain(number):
    """Convert a NumPy scalar to a Python number."""
    return number.item()


def read_card(path):
    """Read the card of a classifier.

    Parameters
    ----------
    path : `~pathlib.Path`
        JSON file written by `~astroclust.weights.save_classifier`.

    Returns
    -------
    card : `ModelCard`
        The card, to be validated by `~astroclust.weights.check_card`.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    OSError
        If the file cannot be read.
    ValueError
        If the file is not a model card.
    """
    if not path.exists():
        raise FileNotFoundError(
            f"the model card {path} is missing; copy the card written by save_classifier to the "
            "folder of the weights"
        )
    try:
        if path.stat().st_size > _LARGEST_CARD:
            raise ValueError(f"it is larger than {_LARGEST_CARD} bytes")
        content = json.loads(
            path.read_text(encoding="utf-8"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
        )
        return ModelCard(**_entries(content, path))
    except (ModelBandsError, ModelClassesError):
        raise
    except OSError as error:
        raise OSError(f"cannot read the model card {path}: {error.strerror or error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} is not a model card ({error}); use the card that was saved with the weights"
        ) from error


def _entries(content, path):
    """Entries of a card, converted from JSON types."""
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    for old, new in _RENAMED.items():
        if old in content and new not in content:
            content[new] = content.pop(old)
    unknown = set(content) - {item.name for item in fields(ModelCard)}
    if unknown:
        raise ValueError(f"unknown entries {', '.join(sorted(unknown))}")
    kinds = {"bands": list, "classes": dict, "system": dict, "galaxies": list}
    for name, kind in kinds.items():
        if name in _OPTIONAL and name not in content:
            continue
        if not isinstance(content.get(name), kind):
            raise ValueError(f"{name} is {content.get(name)!r}, not a {kind.__name__}")
    classes = _entry(content, "classes", ClassScheme.from_content, ModelClassesError, path)
    system = _entry(content, "system", BandSystem.from_content, ModelBandsError, path)
    content |= {name: tuple(content.get(name, ())) for name in ("bands", "galaxies")}
    return {**content, "classes": classes, "system": system}


def _entry(content, name, make, kind, path):
    """Convert an entry from JSON types."""
    try:
        return make(content[name])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise wrong_entry(path, name, content[name], f"valid ({error})", kind) from error


def _without_duplicates(pairs):
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"more than one entry {', '.join(twice)}")
    return content


def _refuse_constant(name):
    raise ValueError(f"{name} is not a finite number")


def wrong_entry(path, entry, value, wanted, kind=ValueError):
    """Error for an invalid entry of a card."""
    text = repr(value)
    text = text if len(text) < 200 else f"{text[:200]}..."
    return kind(
        f"the card of {path} has {entry} {text}, which is not {wanted}; use the card that was "
        "saved with the weights, or correct the entry and sign both with "
        "astroclust.weights.sign_classifier"
    )
