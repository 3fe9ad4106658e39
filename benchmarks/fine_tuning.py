# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure the duration and gain of fine-tuning the bundled classifier on a few hundred labels.

The labels are those of one simulated expert, whose classes differ from the true ones, for stamps
like a galaxy outside the training set, with its own colors and crowding. Scores before and after
fine-tuning are for other stamps labeled by the same expert.
"""

import argparse
import os
from time import perf_counter

import numpy as np

from astroclust import load_classifier, simulate_stamps, train_classifier
from astroclust.simulation import label_noise
from astroclust.training import Sample, score_classifier

FIELD = "ngc1433"


def labeled_stamps(n, seed):
    """Stamps and labels of one expert."""
    stamps = simulate_stamps(n, seed=seed, like=FIELD, workers=os.cpu_count())
    table = stamps.table
    return stamps, label_noise(table["class"], seed=seed, kinds=table["kind"])["expert_1"]


def main():
    """Print the time and the accuracy before and after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="name or file of a classifier (default: the bundled one)")
    parser.add_argument("--n", type=int, default=500, help="labels")
    parser.add_argument("--tests", type=int, default=2000, help="stamps to score on")
    parser.add_argument("--seed", type=int, default=3)
    arguments = parser.parse_args()
    start = load_classifier(arguments.model)
    stamps, labels = labeled_stamps(arguments.n, [arguments.seed, 0])
    tests = labeled_stamps(arguments.tests, [arguments.seed, 1])
    begun = perf_counter()
    sample = Sample(stamps, labels, description=f"stamps like {FIELD}", simulated=True)
    tuned = train_classifier(sample, name="tuned", recipe="fine-tune", start=start)
    took = perf_counter() - begun
    print(f"fine-tuning {start.card.name} on {len(stamps)} stamps like {FIELD}: {took:.0f} s")
    for name, classifier in (("before", start), ("after", tuned)):
        scores = score_classifier(classifier, *tests)
        recalls = np.array([scores[f"recall_{number}"] for number in (1, 2, 3, 4)])
        print(
            f"{name}: accuracy {scores['accuracy']:.3f}, mean recall {recalls.mean():.3f}, "
            f"calibration error {scores['ece']:.3f}"
        )


if __name__ == "__main__":
    main()
