# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure the accuracy of a bundled classifier for each likely subset of the bands.

Simulated stamps are classified by the classifier itself. Human-labeled pictures, which only have
the bands B, V and I, are classified by classifiers trained with the same recipe, but without the
galaxy of the picture; their accuracy is pooled over galaxies. ``--folder`` is the output of
``real_labels.py``.

With ``--ship NAME``, the scores are written into the card of the bundled classifier, with the
fingerprints of its human-labeled training stamps if these are missing, and the hashes of weights
and card are updated.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from real_pictures import list_pictures

from astroclust import load_classifier, save_classifier
from astroclust.training import read_samples, score_bands, simulated_test_set
from astroclust.training.augmentation import crop_middle
from astroclust.training.seen import training_fingerprint
from astroclust.weights import DEFAULT_CLASSIFIER, bundle

# Subsets of the bands of the pictures.
PICTURE_SUBSETS = (("V",), ("I",), ("B",), ("V", "I"), ("B", "V"), ("B", "V", "I"))


def simulated_scores(classifier, n, seed, workers):
    """Scores of all likely subsets on simulated stamps."""
    stamps, labels = simulated_test_set(
        n, seed=seed, system=classifier.card.system, workers=workers
    )
    return score_bands([(classifier, stamps, labels)], progress_bar=sys.stderr.isatty())


def human_scores(folder, kind, samples):
    """Pooled scores on each galaxy by the classifier trained without it."""
    tests = []
    for sample in samples:
        path = folder / f"{kind}_{sample.galaxy}.safetensors".replace(" ", "")
        if not path.exists():
            sys.exit(f"{path} is missing; run real_labels.py with --folder {folder} first")
        classifier = load_classifier(path)
        if sample.galaxy in classifier.card.galaxies:
            sys.exit(f"{path} was trained on {sample.galaxy}; train it without that galaxy")
        stamps = crop_middle(sample.stamps, classifier.card.stamp_size)
        tests.append((classifier, stamps, sample.labels))
    return score_bands(tests, subsets=PICTURE_SUBSETS, progress_bar=sys.stderr.isatty())


def show(kind, scores):
    """Print one line per subset."""
    for bands, one in scores.items():
        print(
            f"{kind:10s} {bands:14s} n {one['n']:4d} accuracy {one['accuracy']:.3f} mean recall "
            f"{one['mean_recall']:.3f} calibration error {one['ece']:.3f}",
            flush=True,
        )


def main():
    """Print the scores, and write them into the card if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_CLASSIFIER, help="bundled classifier to score")
    parser.add_argument("--ship", metavar="NAME", help="score this one, and update its card")
    parser.add_argument("--folder", type=Path, help="results of real_labels.py, for human labels")
    parser.add_argument("--kind", default="shipped", help="prefix of the classifiers in the folder")
    parser.add_argument("--n", type=int, default=3000, help="simulated stamps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    name = arguments.ship or arguments.model
    path = bundle() / f"{name}.safetensors"
    classifier = load_classifier(path)
    scores, rows = dict(classifier.card.band_scores), classifier.card.training_rows
    scores["simulated"] = simulated_scores(
        classifier, arguments.n, arguments.seed, arguments.workers
    )
    show("simulated", scores["simulated"])
    if arguments.folder is not None:
        samples = read_samples(list_pictures(), classifier=classifier)
        scores["human"] = human_scores(arguments.folder, arguments.kind, samples)
        show("human", scores["human"])
        rows = rows or training_fingerprint(samples)
    if arguments.ship:
        classifier.card = replace(classifier.card, band_scores=scores, training_rows=rows)
        save_classifier(classifier, path, overwrite=True)
        print(f"updated the card of {path}, and signed both files")


if __name__ == "__main__":
    main()
