# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Domains: the samples of a training run, and batches composed of all of them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from astroclust.stamps import Stamps, normalize_pixels
from astroclust.stamps.device import DeviceStamps
from astroclust.training.augmentation import AUGMENTATIONS, crop_middle, damage_some

__all__ = ["Batches", "Domain", "batch_counts", "class_weights"]

# Consecutive multiples of the golden ratio, modulo 1, are evenly distributed.
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Domain:
    """Stamps of one sample, with their sampling weight and augmentation.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        Stamps of the sample.
    targets : `~numpy.ndarray` of float32, shape (n, n_classes)
        Class probabilities.
    rows : `~numpy.ndarray` of int, shape (m,)
        Indices of the stamps to draw from; the stamps themselves are not copied.
    size : int
        Width in pixels to which stamps are cropped for the network.
    weight : float, optional
        Relative frequency with which each stamp is drawn.
    augmentation : str, optional
        One of `~astroclust.training.AUGMENTATIONS`.
    damage : tuple of str, optional
        Kinds of `~astroclust.stamps.DAMAGE`.
    class_weights : `~numpy.ndarray` of float32, shape (n_classes,), optional
        Factors on the targets in the loss, from `class_weights`.
    """

    stamps: Stamps
    targets: np.ndarray
    rows: np.ndarray
    size: int
    weight: float = 1.0
    augmentation: str = "observations"
    damage: tuple = ()
    class_weights: np.ndarray | None = None

    def __len__(self):
        return len(self.rows)

    def take(self, numbers, rng=None, device=None):
        """Selected stamps, augmented if a generator is given, and their targets."""
        rows = self.rows[numbers]
        stamps = self.stamps[rows]
        if device is not None:
            stamps = DeviceStamps.of(stamps, device)
        if rng is None:
            return crop_middle(stamps, self.size), self.targets[rows]
        augmented = AUGMENTATIONS[self.augmentation](stamps, rng, size=self.size)
        if self.damage:
            augmented = damage_some(augmented, rng, kinds=self.damage)
        return augmented, self._weighted(self.targets[rows])

    @property
    def weighted_targets(self):
        """Targets of the rows, multiplied by all weights."""
        return self._weighted(self.targets[self.rows]) * np.float32(self.weight)

    def _weighted(self, targets):
        return targets if self.class_weights is None else targets * self.class_weights


def class_weights(targets, mix):
    """Class weights that yield the requested fractions of the loss.

    Parameters
    ----------
    targets : `~numpy.ndarray` of float, shape (n, n_classes)
        Class probabilities.
    mix : str or sequence of float or None
        ``"equal"``, or the fraction of each class; None keeps those of the targets.

    Returns
    -------
    weights : `~numpy.ndarray` of float32, shape (n_classes,), or None
        Factors whose mean over the targets is 1.

    Raises
    ------
    ValueError
        If there is not one fraction per class.
    """
    if mix is None:
        return None
    found = targets.mean(axis=0, dtype=float)
    wanted = np.full(len(found), 1 / len(found)) if mix == "equal" else np.asarray(mix, float)
    if len(wanted) != len(found):
        raise ValueError(
            f"class_mix has {len(wanted)} fractions, but there are {len(found)} classes; use one "
            "fraction per class"
        )
    weights = np.divide(wanted, found, out=np.ones_like(found), where=found > 0)
    return (weights / (weights @ found)).astype(np.float32)


def batch_counts(fractions, size, first, n):
    """Number of stamps of each domain in consecutive batches.

    Parameters
    ----------
    fractions : array_like of float, shape (n_domains,)
        Fractions of the batches, which sum to 1.
    size : int
        Stamps per batch.
    first, n : int
        Index of the first batch, and number of batches.

    Returns
    -------
    counts : `~numpy.ndarray` of int, shape (n, n_domains)
        Counts; each row sums to ``size``, and each count differs from ``size`` times the fraction
        by less than 1, with a mean that converges to it.
    """
    edges = np.concatenate([[0.0], np.cumsum(fractions)])
    edges[-1] = 1.0
    offsets = np.modf((first + np.arange(n)) * _GOLDEN)[0]
    return np.diff(np.ceil(edges * size - offsets[:, None]).astype(int), axis=1)


class Batches(Dataset):
    """Normalized batches of all domains.

    With a seed, order and augmentation are determined by seed and epoch: the stamps of each domain
    are drawn in random order, repeatedly if its fraction of the batches requires it.

    Parameters
    ----------
    domains : sequence of `Domain`
        Domains, each with stamps.
    recipe : `~astroclust.training.Recipe`
        Recipe with the batch size and normalization.
    seed : int, optional
        Seed of order and augmentation; by default, stamps are neither shuffled nor augmented.
    """

    def __init__(self, domains, recipe, *, seed=None):
        self.domains, self.seed = list(domains), seed
        self.normalization = recipe.normalization
        self.epoch = None  # function that returns the current epoch
        self.device = None  # GPU on which stamps are augmented and normalized
        self._orders = {}
        total = sum(map(len, self.domains))
        self.batch_size = min(recipe.batch_size, max(total, 1))
        if seed is None:
            self._parts = [
                (domain, slice(start, start + self.batch_size))
                for domain in self.domains
                for start in range(0, len(domain), self.batch_size)
            ]
            self._n_batches = len(self._parts)
        else:  # an incomplete last batch is dropped: its statistics would be noisy
            self._n_batches = total // self.batch_size
            weights = np.array([len(domain) * domain.weight for domain in self.domains])
            self._fractions = weights / weights.sum()

    def __len__(self):
        return self._n_batches

    def __getitem__(self, number):
        if self.seed is None:
            domain, rows = self._parts[number]
            return self._tensors(*domain.take(rows, device=self.device))
        parts = []
        for index, numbers in enumerate(self._numbers(self.epoch(), number)):
            if len(numbers):
                # A last number of 0, as for a single sample, does not alter the seed.
                rng = np.random.default_rng([self.seed, self.epoch(), number, index])
                taken = self.domains[index].take(numbers, rng, self.device)
                parts.append(self._tensors(*taken))
        return parts[0] if len(parts) == 1 else tuple(map(torch.cat, zip(*parts, strict=True)))

    def _tensors(self, stamps, targets):
        pixels = torch.as_tensor(stamps.data)
        present, targets = (
            torch.from_numpy(values).to(pixels.device) for values in (stamps.present, targets)
        )
        return normalize_pixels(pixels, present, self.normalization), present.float(), targets

    def _numbers(self, epoch, number):
        """Indices of the stamps of each domain in a batch."""
        first = epoch * self._n_batches
        counts = batch_counts(self._fractions, self.batch_size, first, number + 1)
        starts = counts[:-1].sum(axis=0)
        for index, (start, count) in enumerate(zip(starts, counts[-1], strict=True)):
            n = len(self.domains[index])
            indices = np.arange(start, start + count)
            rounds = indices // n
            numbers = [
                self._order(epoch, index, each)[indices[rounds == each] % n]
                for each in np.unique(rounds)
            ]
            yield np.concatenate(numbers) if numbers else indices

    def _order(self, epoch, index, each):
        """Random order of the stamps of a domain in one pass of an epoch."""
        key = epoch, index, each
        if key not in self._orders:
            self._orders = {old: order for old, order in self._orders.items() if old[0] == epoch}
            seed = [self.seed, epoch, 0, index + each * len(self.domains)]
            self._orders[key] = np.random.default_rng(seed).permutation(len(self.domains[index]))
        return self._orders[key]
