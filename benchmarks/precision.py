# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Compare the scores of bundled classifiers in mixed precision and in float32.

The stamps are simulated ones and those of color pictures of LEGUS with human classes, on which the
default classifier was trained, which does not matter for this comparison. Exits with an error if
accuracy or calibration error differ by more than 0.002.
"""

import argparse
import sys

import numpy as np
from real_pictures import list_pictures

from astroclust import load_classifier
from astroclust.networks import PRECISIONS
from astroclust.training import member_probabilities, read_samples, simulated_test_set
from astroclust.training.augmentation import crop_middle
from astroclust.training.scores import scores_of_classes
from astroclust.weights import list_classifiers

LARGEST_DIFFERENCE = 0.002


def real_stamps(classifier):
    """Read stamps of the color pictures, one item per picture, and their labels."""
    # The labels are joined because in a small field, a single stamp would exceed the tolerance.
    samples = read_samples(list_pictures(), classifier=classifier)
    labels = np.concatenate([sample.stamps.table["class_human"] for sample in samples])
    return [crop_middle(one.stamps, classifier.card.stamp_size) for one in samples], labels


def compare(name, classifiers, stamps, labels):
    """Print the scores in both precisions and the changes; return the differences of scores."""
    fast, exact = (
        np.concatenate([member_probabilities(one, part).mean(axis=0) for part in stamps])
        for one in classifiers
    )
    scheme = classifiers[0].card.classes
    labels = scheme.positions(labels)
    scores = [scores_of_classes(labels, found, scheme) for found in (fast, exact)]
    change = np.abs(fast - exact)
    texts = [f"{key} {scores[0][key]:.4f} and {scores[1][key]:.4f}" for key in ("accuracy", "ece")]
    same = np.mean(fast.argmax(axis=1) == exact.argmax(axis=1))
    print(
        f"{name:9s} n {len(labels):5d} {', '.join(texts)}; change in probability: maximum "
        f"{change.max():.4f}, mean {change.mean():.5f}; same class {same:.4f}",
        flush=True,
    )
    return [abs(scores[0][key] - scores[1][key]) for key in ("accuracy", "ece")]


def main():
    """Compare the precisions of each classifier."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=3000, help="simulated stamps (default: 3000)")
    parser.add_argument("--precision", default="auto", choices=("auto", *PRECISIONS))
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    simulated, labels = simulated_test_set(arguments.n, seed=1)
    differences = []
    for name in list_classifiers():
        classifier = load_classifier(name)
        classifiers = [
            classifier.prepared(arguments.device, precision=one)
            for one in (arguments.precision, "float32")
        ]
        print(f"{name}: {' and '.join(one.precision for one in classifiers)}")
        differences += compare("simulated", classifiers, [simulated], labels)
        differences += compare("real", classifiers, *real_stamps(classifier))
    if max(differences) > LARGEST_DIFFERENCE:
        sys.exit(f"a score differs by {max(differences):.4f}, more than {LARGEST_DIFFERENCE}")


if __name__ == "__main__":
    main()
