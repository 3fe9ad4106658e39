# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure whether simulated classes are as difficult as real ones.

A classifier trained on simulated stamps (``astroclust train``, on labels of simulated experts with
``--labels experts``) is tested on stamps of other galaxies, in the class mix of the LEGUS sample of
Wei et al. (2020), against the labels of simulated experts (the mode of three,
`astroclust.simulation.label_noise`) and against the truth. The recall of the ResNet18 of Wei et al.
on real stamps is 78 / 54 / 58 / 66 percent (their table 5).
"""

import argparse
import os

import numpy as np

from astroclust import load_classifier, simulate_stamps
from astroclust.simulation import label_noise

FIELDS = ("ngc628-e", "ngc1313-e", "ngc1433")
# Classes 1 to 4 of the LEGUS sample with at least four filters (Wei et al. 2020, table 2).
MIX = np.array([1795, 2315, 2265, 4841])
PAPER = np.array([78, 54, 58, 66])


def recall(labels, found):
    """Recall of each class in percent."""
    return np.array([100 * np.mean(found[labels == c] == c) for c in (1, 2, 3, 4)])


def in_mix(classes, rng):
    """Select rows with the class mix of LEGUS."""
    counts = np.bincount(classes, minlength=5)[1:]
    wanted = (MIX * np.min(counts / MIX)).astype(int)
    rows = [
        rng.permutation(np.flatnonzero(classes == c))[:k] for c, k in enumerate(wanted, start=1)
    ]
    return np.concatenate(rows)


def best_guess(kinds, labels):
    """Most frequent expert label of each kind, the best possible prediction."""
    guess = np.zeros(len(kinds), int)
    for kind in set(kinds):
        rows = kinds == kind
        guess[rows] = np.bincount(labels[rows]).argmax()
    return guess


def main():
    """Simulate and classify the stamps, and print the scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="name or file of a classifier (default: the bundled one)")
    parser.add_argument("--n", type=int, default=8000, help="stamps to draw")
    parser.add_argument("--seed", type=int, default=11)
    arguments = parser.parse_args()
    classifier = load_classifier(arguments.model)
    stamps = simulate_stamps(
        arguments.n, seed=arguments.seed, like=FIELDS, workers=os.cpu_count(), progress_bar=True
    )
    rng = np.random.default_rng(arguments.seed)
    stamps = stamps[in_mix(np.asarray(stamps.table["class"]), rng)]
    truth = np.asarray(stamps.table["class"])
    kinds = np.asarray(stamps.table["kind"])
    experts = label_noise(truth, seed=arguments.seed, kinds=kinds)
    labels = np.asarray(experts["class_mode"])
    found = 1 + classifier.probabilities(stamps).mean(axis=0).argmax(axis=1)
    print(f"{classifier.card.name}: {len(stamps)} stamps like {', '.join(FIELDS)}")
    for name, reference in (("mode of three experts", labels), ("truth", truth)):
        values = " / ".join(f"{value:.1f}" for value in recall(reference, found))
        print(f"against the {name}: {values} %, all {100 * np.mean(found == reference):.1f} %")
    off = " / ".join(f"{value:+.1f}" for value in recall(labels, found) - PAPER)
    values = " / ".join(f"{value:.1f}" for value in recall(labels, best_guess(kinds, labels)))
    print(f"best prediction of the mode of three experts from the kind of each object: {values} %")
    print(f"recall of the mode of three experts minus that of the paper: {off}")


if __name__ == "__main__":
    main()
