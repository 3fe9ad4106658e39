# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure whether simulated classes are as hard to tell as real ones are.

Trains a network on simulated stamps with the labels that experts would give them (the mode of
three, `astroclust.simulation.label_noise`), in the class mix of the LEGUS sample of Wei et al.
(2020), and tests it on stamps like those of other galaxies, against experts' labels and against
the truth. ResNet18 has 78 / 54 / 58 / 66 per cent of the classes right on real stamps (their
table 5).
"""

import argparse
import os

import numpy as np

from astroclust import simulate_stamps
from astroclust.simulation import label_noise
from astroclust.training import train_classifier

TEST_FIELDS = ("ngc628-e", "ngc1313-e", "ngc1433")
TRAIN_FIELDS = ("ngc628-c", "ngc1566", "ngc3351", "ngc3738", "ngc5474", "ngc7793-e")
# Classes 1 to 4 of the LEGUS sample with at least four filters (Wei et al. 2020, table 2).
MIX = np.array([1795, 2315, 2265, 4841])
PAPER = np.array([78, 54, 58, 66])


def sample(n, seed, fields, workers):
    """Stamps in the class mix of LEGUS, and the labels of experts."""
    stamps = simulate_stamps(n, seed=seed, like=fields, workers=workers, progress_bar=True)
    classes, rng = np.asarray(stamps.table["class"]), np.random.default_rng(seed)
    counts = MIX / MIX.max() * np.min(np.bincount(classes, minlength=5)[1:])
    rows = np.concatenate(
        [rng.permutation(np.flatnonzero(classes == c + 1))[: int(k)] for c, k in enumerate(counts)]
    )
    rows = rng.permutation(rows)
    labels = label_noise(classes[rows], seed=seed[-1])["class_mode"]
    return stamps[rows], np.asarray(labels)


def recall(labels, found):
    """Per cent of each class that is found."""
    return np.array([100 * np.mean(found[labels == c] == c) for c in (1, 2, 3, 4)])


def main():
    """Train, test, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=24000, help="stamps to draw for training")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    seed, workers = arguments.seed, arguments.workers
    stamps, labels = sample(arguments.n, (seed, 0), TRAIN_FIELDS, workers)
    tests, test_labels = sample(arguments.n // 4, (seed, 1), TEST_FIELDS, workers)
    classifier = train_classifier(
        stamps,
        labels,
        held_out=tests,
        held_out_labels=test_labels,
        name="difficulty",
        training_sample=f"{len(stamps)} simulated stamps, labels of experts",
        simulated=True,
        split="other galaxies",
        command=f"python benchmarks/difficulty.py --n {arguments.n} --epochs {arguments.epochs}",
        epochs=arguments.epochs,
        seed=seed,
        progress_bar=True,
    )
    found = 1 + np.mean(classifier.probabilities(tests), axis=0).argmax(axis=1)
    truth = np.asarray(tests.table["class"])
    print(f"{len(stamps)} stamps to train, {len(tests)} to test, {arguments.epochs} epochs")
    for name, reference in (("mode of three experts", test_labels), ("truth", truth)):
        values = recall(reference, found)
        accuracy = 100 * np.mean(found == reference)
        print(f"against the {name}: " + " / ".join(f"{v:.1f}" for v in values), end=" %, ")
        print(f"all {accuracy:.1f} %")
    off = recall(test_labels, found) - PAPER
    print("less the paper's 78 / 54 / 58 / 66: " + " / ".join(f"{v:+.1f}" for v in off))


if __name__ == "__main__":
    main()
