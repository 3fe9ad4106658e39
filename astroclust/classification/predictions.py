# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Class probabilities at positions on images."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from astropy.table import Table
from tqdm import tqdm

from astroclust.stamps import StampFlag, make_stamps
from astroclust.stamps.device import upload_mosaic

__all__ = ["NOT_CLASSIFIED", "Predictions", "classify_positions"]

# Stamps in memory at a time: a few hundred fit in the caches of a CPU, a GPU needs thousands.
_BATCH_SIZES = {"cpu": 256, "cuda": 4096}
# Batches read in advance while the network runs.
_AHEAD = 2

#: Flags of unclassified rows.
NOT_CLASSIFIED = StampFlag.OFF_IMAGE | StampFlag.EMPTY | StampFlag.TOO_MANY_MISSING


@dataclass
class Predictions:
    """Class probabilities and flags at ``n`` positions.

    Parameters
    ----------
    probabilities : `~numpy.ndarray` of float32, shape (n_members, n, n_classes)
        Class probabilities from each member of the ensemble; NaN if not classified.
    flags : `~numpy.ndarray` of int32, shape (n,)
        Bits of `~astroclust.stamps.StampFlag`.
    lost : `~numpy.ndarray` of bool, shape (n,)
        Whether a band of the images is missing at the position.
    precisions : frozenset of str, optional
        Precisions in which the networks ran; see `~astroclust.networks.PRECISIONS`.
    """

    probabilities: np.ndarray
    flags: np.ndarray
    lost: np.ndarray
    precisions: frozenset = frozenset()

    @classmethod
    def unknown(cls, n, classifier):
        """Initialize the predictions for n positions."""
        shape = len(classifier.networks), n, len(classifier.card.classes)
        probabilities = np.full(shape, np.nan, np.float32)
        return cls(probabilities, np.zeros(n, np.int32), np.zeros(n, bool))

    def fill(self, rows, part):
        """Copy the predictions of a part into its rows."""
        self.probabilities[:, rows] = part.probabilities
        self.flags[rows] = part.flags
        self.lost[rows] = part.lost
        self.precisions |= part.precisions


def classify_positions(x, y, images, classifier, *, batch_size=None, progress_bar=False):
    """Classify positions on images.

    Parameters
    ----------
    x, y : `~numpy.ndarray` of float, shape (n,)
        0-based pixel coordinates.
    images : `~astroclust.images.ImageSet`
        Images of the field.
    classifier : `~astroclust.weights.Classifier`
        Classifier on its device; see `~astroclust.weights.Classifier.prepared`.
    batch_size : int, optional
        Number of stamps in memory at a time; by default, it depends on the device and the network.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    predictions : `Predictions`
        Predictions in the order of the positions.
    """
    card = classifier.card
    batch_size = batch_size or _choose_batch_size(classifier)
    predictions = Predictions.unknown(len(x), classifier)
    predictions.precisions = frozenset([classifier.precision])
    with tqdm(total=len(x), unit="stamp", desc="classifying", disable=not progress_bar) as bar:
        for rows, stamps in _read_stamps(x, y, images, classifier, batch_size):
            n_missing = len(card.bands) - stamps.present.sum(axis=1)
            flags = stamps.flags.copy()
            n_missing[flags & StampFlag.OFF_IMAGE != 0] = 0
            flags[n_missing > card.max_missing_bands] |= StampFlag.TOO_MANY_MISSING
            good = flags & NOT_CLASSIFIED == 0
            if good.any():
                found = classifier.probabilities(stamps if good.all() else stamps[good])
                predictions.probabilities[:, rows[good]] = found
                # Pixel values too small or too large for the computation.
                flags[good] |= np.isnan(found).any(axis=(0, 2)) * np.int32(StampFlag.EMPTY)
            predictions.flags[rows] = flags
            predictions.lost[rows] = n_missing > len(set(card.bands) - set(images.roles))
            bar.update(len(stamps))
    return predictions


def _choose_batch_size(classifier):
    network, size = classifier.networks[0], classifier.card.stamp_size
    device = next(network.parameters()).device.type
    # Memory per stamp scales with the size to which networks enlarge it.
    resized = getattr(network, "input_size", size)
    enlarged = (resized / size) ** 2 if isinstance(resized, int) else 1
    usual = _BATCH_SIZES.get(device, _BATCH_SIZES["cpu"])
    return max(torch.get_num_threads(), round(usual / max(1, enlarged)))


def _read_stamps(x, y, images, classifier, batch_size):
    """Yield batches of row indices and stamps, reading the next while one is in use."""
    # Adjacent rows of an image are adjacent on disk.
    order = np.argsort(y, kind="stable")
    batches = [order[start : start + batch_size] for start in range(0, len(x), batch_size)]

    card, device = classifier.card, next(classifier.networks[0].parameters()).device
    mosaic = upload_mosaic(x, y, images, card.bands, card.stamp_size, device)

    def cut(rows):
        if mosaic is not None:
            return rows, mosaic.cut(rows)
        positions = Table({"x": x[rows], "y": y[rows]})
        return rows, make_stamps(positions, images, size=card.stamp_size, bands=card.bands)

    # With a single thread, other workers use the remaining cores; a single batch has no successor.
    if torch.get_num_threads() == 1 or len(batches) < 2:
        yield from map(cut, batches)
        return
    with ThreadPoolExecutor(_AHEAD) as readers:
        ahead = deque()
        for rows in batches:
            ahead.append(readers.submit(cut, rows))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
