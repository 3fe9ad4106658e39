# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Classifier: networks with a model card, and their class probabilities."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from astroclust.display import card_html, html_or_none
from astroclust.networks import (
    channels_last,
    choose_precision,
    fuse_network,
    keep_exact,
    map_blocks,
    mixed_precision,
    network_blocks,
    survive_forks,
)
from astroclust.stamps import Stamps, normalize_pixels
from astroclust.weights.cards import ModelCard
from astroclust.weights.mixed_precision import is_accurate

__all__ = ["Classifier"]

# Stamps per block on a CPU: few enough for the maps of a network to stay in the cache between its
# layers.
_BLOCK = 32


class Classifier:
    """Ensemble of one or more networks of the same architecture, with a model card.

    Parameters
    ----------
    card : `ModelCard`
        Metadata of the networks.
    networks : sequence of `~torch.nn.Module`
        Members of the ensemble.
    precision : str, optional
        One of `~astroclust.networks.PRECISIONS`, in which the networks run.

    Examples
    --------
    An untrained network on stamps of pure noise:

    >>> import numpy as np
    >>> from astroclust import Stamps
    >>> from astroclust.networks import create_network
    >>> from astroclust.weights import Classifier
    >>> from astroclust.weights import ModelCard
    >>> card = ModelCard("mine", "native-small", "nothing yet")
    >>> classifier = Classifier(card, [create_network("native-small")])
    >>> classifier
    <Classifier mine: 1 x native-small>
    >>> noise = np.random.default_rng(1).normal(size=(3, 5, 50, 50))
    >>> classifier.probabilities(Stamps(noise, card.bands)).shape
    (1, 3, 4)
    """

    def __init__(
        self,
        card: ModelCard,
        networks: Sequence[torch.nn.Module],
        *,
        precision: str = "float32",
    ) -> None:
        survive_forks()
        self.card = card
        self.precision = precision
        self.networks = [network.eval() for network in networks]
        self._prepared: tuple[Any, ...] = (None,)

    def __repr__(self) -> str:
        notice = "; trained on simulated images" if self.card.simulated else ""
        members = f"{len(self.networks)} x {self.card.architecture}"
        return f"<Classifier {self.card.name}: {members}{notice}>"

    def _repr_html_(self):
        return html_or_none(card_html, self)

    def prepared(
        self, device: str | torch.device = "cpu", *, precision: str = "auto"
    ) -> "Classifier":
        """Copy of the classifier, prepared for fast inference.

        The last copy is kept for further calls, until a weight or the card changes.

        Parameters
        ----------
        device : str or `~torch.device`, optional
            Device on which the networks run.
        precision : str, optional
            One of `~astroclust.networks.PRECISIONS`; by default, the fastest one of the device (see
            `~astroclust.networks.choose_precision`), or float32 if that one changes a probability
            of a fixed set of stamps by more than 0.01.

        Returns
        -------
        classifier : `Classifier`
            Classifier with the same probabilities within rounding errors of its ``precision``.

        Raises
        ------
        ValueError
            If the precision is unknown, or the device does not support it.

        Examples
        --------
        >>> from astroclust import load_classifier
        >>> load_classifier().prepared(precision="float32").precision
        'float32'
        """
        device = torch.device(device)
        tensors = [each for one in self.networks for each in (*one.parameters(), *one.buffers())]
        # Tensors of inference mode have no version.
        versions = [(id(each), each.is_inference() or each._version) for each in tensors]
        key = device, precision, self.card, versions
        kept = self._prepared  # another thread may replace it
        if kept[0] != key:
            # With the tensors, whose identifiers would otherwise be used again.
            kept = self._prepared = key, self._prepare(device, precision), tensors
        return kept[1]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_prepared": (None,)}

    def _prepare(self, device, precision):
        card = self.card
        chosen = choose_precision(device, precision)
        fused = [fuse_network(one, len(card.bands), card.stamp_size) for one in self.networks]
        networks = [channels_last(one, device) for one in fused]
        if chosen == "bfloat16":  # float16 rounds eight times more finely
            for network in networks:
                _keep_ends_exact(network)
        fast, exact = (Classifier(card, networks, precision=one) for one in (chosen, "float32"))
        if precision == "auto" and chosen != "float32" and not is_accurate(fast, exact):
            return exact
        return fast

    def probabilities(self, stamps: Stamps) -> NDArray[np.float32]:
        """Compute class probabilities from each member, on the device of the networks.

        On a GPU, batches are halved if memory runs out.

        Parameters
        ----------
        stamps : `~astroclust.stamps.Stamps`
            n stamps with the bands and size of the card.

        Returns
        -------
        probabilities : `~numpy.ndarray` of float32, shape (n_members, n, n_classes)
            Class probabilities; each row sums to 1.

        Raises
        ------
        ValueError
            If the bands or size of the stamps do not match the card.
        """
        if stamps.bands != self.card.bands:
            raise ValueError(
                f"{self.card.name} uses bands {', '.join(self.card.bands)}, but the stamps have "
                f"{', '.join(stamps.bands)}; cut them with bands={self.card.bands}"
            )
        if stamps.size != self.card.stamp_size:
            raise ValueError(
                f"{self.card.name} uses stamps of {self.card.stamp_size} pixels, but these have "
                f"{stamps.size}; cut them with size={self.card.stamp_size}"
            )
        try:
            return self._compute(stamps)
        except torch.OutOfMemoryError:
            if len(stamps) < 2:
                raise
        # Outside of the except clause, as the active exception would keep the memory in use.
        half = len(stamps) // 2
        parts = [self.probabilities(stamps[:half]), self.probabilities(stamps[half:])]
        return np.concatenate(parts, axis=1)

    def _compute(self, stamps):
        device = next(self.networks[0].parameters()).device
        n = max(len(stamps), 1)
        size = n
        if device.type == "cpu":
            size = min(_BLOCK, math.ceil(n / torch.get_num_threads()))
        blocks = [slice(start, start + size) for start in range(0, n, size)]
        scores = torch.cat(map_blocks(partial(self._scores, stamps, device), blocks), dim=1)
        return torch.softmax(scores / self.card.temperature, dim=-1).cpu().numpy()

    def _scores(self, stamps, device, rows):
        pixels = torch.as_tensor(stamps.data[rows], device=device)
        present = torch.from_numpy(stamps.present[rows]).to(device)
        pixels = normalize_pixels(pixels, present, self.card.normalization)
        present = present.to(pixels.dtype)
        with torch.inference_mode(), mixed_precision(device, self.precision):
            return torch.stack([network(pixels, present) for network in self.networks]).float()


def _keep_ends_exact(network):
    """Keep the first and the last block of a network in float32, also in mixed precision.

    Both are cheap, and rounding their pixels and scores would change probabilities most.
    """
    blocks = network_blocks(network)
    if len(blocks) > 2:
        keep_exact(blocks[0])
        keep_exact(blocks[-1])
