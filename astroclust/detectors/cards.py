# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Model cards of detectors, stored in their weights files."""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from astroclust.detectors.networks import create_detector_network
from astroclust.files import check_output, replace_when_done
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES, BandSystem, ClassScheme
from astroclust.weights.saving import check_finite, weights_digest, weights_path

__all__ = [
    "DetectorCard",
    "check_detector_output",
    "read_detector",
    "write_detector",
]

_CARD = "astroclust_detector"


@dataclass(frozen=True)
class DetectorCard:
    """Model card of a detector, with everything needed to use it.

    Parameters
    ----------
    name : str
        Name of the detector.
    backbone : str
        Network below the feature pyramid; see `~astroclust.detectors.create_detector_network`.
    training_sample : str
        Description of the training fields.
    masks : bool
        Whether it outlines sources.
    classes : `~astroclust.instruments.ClassScheme`
        Classes, in the order of the outputs.
    system : `~astroclust.instruments.BandSystem`
        Band system of the images.
    max_missing_bands : int
        Maximum number of its bands that the images may lack.
    simulated : bool
        Whether it was trained on simulated images only.
    scores : dict
        Scores on fields that are not in its training set.
    command : str
        Command that trained it.
    sha256 : str
        Hash of the weights.

    Examples
    --------
    >>> from astroclust.detectors import DetectorCard
    >>> DetectorCard("mine", "native", "nothing yet").bands
    ('NUV', 'U', 'B', 'V', 'I')
    """

    name: str
    backbone: str
    training_sample: str
    masks: bool = False
    classes: ClassScheme = LEGUS_CLASSES
    system: BandSystem = LEGUS_BANDS
    max_missing_bands: int = 3
    simulated: bool = True
    scores: dict = field(default_factory=dict)
    command: str = ""
    sha256: str = ""

    @property
    def bands(self):
        """Roles of the bands, in the order of the inputs."""
        return self.system.roles

    def network(self, weights="none"):
        """Create a network from the card."""
        return create_detector_network(
            self.backbone,
            n_bands=len(self.bands),
            n_classes=len(self.classes),
            masks=self.masks,
            weights=weights,
        )


def check_detector_output(path, *, overwrite=False):
    """Check, before a long training, that a detector can be saved.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The file.
    overwrite : bool, optional
        Whether the file may exist.

    Returns
    -------
    path : `~pathlib.Path`
        The same file.

    Raises
    ------
    ValueError
        If the name does not end in ``.safetensors``.
    OSError
        If the file exists and ``overwrite`` is false, or it cannot be written.

    Examples
    --------
    >>> from astroclust.detectors import check_detector_output
    >>> check_detector_output("mine.fits")
    Traceback (most recent call last):
        ...
    ValueError: mine.fits does not end in .safetensors; use a name such as mine.safetensors
    """
    path = weights_path(path)
    return check_output(path, overwrite=overwrite)


def write_detector(card, network, path, *, overwrite=False):
    """Write a detector as a safetensors file with its card in the header; see `save_detector`."""
    path = check_detector_output(path, overwrite=overwrite)
    weights = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }
    for name, values in weights.items():
        check_finite(values, name, path)
    card = replace(card, sha256=weights_digest(weights))
    content = asdict(card) | {"classes": card.classes.content, "system": card.system.content}
    with replace_when_done(path, overwrite=overwrite) as partial:
        partial.write_bytes(save(weights, metadata={_CARD: json.dumps(content)}))
    return card


def read_detector(path):
    """Read the card and the network, in evaluation mode, from a file of `write_detector`."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path.name} does not end in .safetensors; use a file of save_detector")
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_CARD)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); download or save it again") from error
    if text is None:
        raise ValueError(
            f"{path} does not contain a detector; train one with "
            "astroclust.detectors.train_detector"
        )
    card = _card(text, path)
    if weights_digest(weights) != card.sha256:
        raise ValueError(
            f"{path} is damaged: its weights do not match the hash in its card; download or save "
            "it again"
        )
    network = card.network()
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"{path} does not contain the weights of a {card.backbone} detector; use the version "
            "of astroclust that it was saved with"
        ) from error
    return card, network.eval()


def _card(text, path):
    try:
        content = json.loads(text)
        unknown = set(content) - {item.name for item in fields(DetectorCard)}
        if unknown:
            raise ValueError(f"unknown entries {', '.join(sorted(unknown))}")
        content["classes"] = ClassScheme.from_content(content["classes"])
        content["system"] = BandSystem.from_content(content["system"])
        return DetectorCard(**content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} has an invalid card: {error}") from error
