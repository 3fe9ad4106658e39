# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Compare networks with equal training time on the same simulated stamps.

Each network is trained for the same time on this computer and scored on the same stamps of galaxies
outside the training set. Our networks are trained with the recipe of the bundled classifier, and
those of Wei et al. (2020) with their recipe, starting from ImageNet weights if available.
"""

import argparse
import os
import resource
from dataclasses import replace
from time import perf_counter, process_time

import numpy as np
import torch

from astroclust import train_classifier
from astroclust.networks import create_network
from astroclust.training import Recipe, find_recipe, score_classifier, simulated_sample

NETWORKS = ("native-small", "native", "native-large", "starcnet", "resnet18", "vgg19_bn")


def recipe_of(name):
    """Recipe of a network, and a description of its initial weights."""
    if name.startswith("native"):
        return Recipe(architecture=name), "random"
    # StarcNet's normalization keeps brightness; its layers need a higher learning rate.
    if name == "starcnet":
        return Recipe(architecture=name, learning_rate=3e-4), "random"
    recipe = find_recipe("wei2020-vgg19" if name.startswith("vgg19_bn") else "wei2020")
    recipe = replace(recipe, architecture=name, validation_fraction=0.1)
    try:
        create_network(name)
    except OSError:
        return replace(recipe, weights="none"), "random, as ImageNet weights are not available"
    return recipe, "ImageNet"


def batches_in(seconds, sample, recipe):
    """Number of batches in the given time."""
    times = []
    for batches in (1, 5):
        begun = perf_counter()
        train_classifier(sample, name="timed", recipe=replace(recipe, batches=batches))
        times.append(perf_counter() - begun)
    return max(int(seconds / ((times[1] - times[0]) / 4)), 1)


def milliseconds(classifier, stamps):
    """Classification time per stamp."""
    begun = perf_counter()
    classifier.probabilities(stamps)
    return 1000 * (perf_counter() - begun) / len(stamps)


def peak_memory():
    """Peak memory of this process in GB, over all networks so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main():
    """Train and print one line per network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--minutes", type=float, default=10.0, help="training time for each network"
    )
    parser.add_argument("--batches", type=int, help="batches for each network, instead of minutes")
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--n", type=int, default=16000, help="training stamps")
    parser.add_argument("--tests", type=int, default=1000, help="stamps to score on")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sample = simulated_sample(
        arguments.n,
        n_test=arguments.tests,
        seed=arguments.seed,
        workers=os.cpu_count(),
        progress_bar=True,
    )
    tests, test_labels = sample.test_stamps, sample.test_labels
    sample = replace(sample, test_stamps=None, test_labels=None)
    device = "GPU" if torch.cuda.is_available() else f"{torch.get_num_threads()} cores"
    length = f"{arguments.minutes:g} minutes"
    if arguments.batches:
        length = f"{arguments.batches} batches"
    print(f"{length} each on {device}; {len(tests)} stamps to score on", flush=True)
    for name in arguments.networks:
        recipe, weights = recipe_of(name)
        batches = arguments.batches or batches_in(60 * arguments.minutes, sample, recipe)
        recipe = replace(recipe, batches=batches, max_missing_bands=0)
        begun, cpu = perf_counter(), process_time()
        classifier = train_classifier(sample, name=name, recipe=recipe, seed=arguments.seed)
        seconds, cpu = perf_counter() - begun, process_time() - cpu
        scores = score_classifier(classifier, tests, test_labels)
        recall = np.mean([scores[f"recall_{number}"] for number in (1, 2, 3, 4)])
        n_weights = sum(weights.numel() for weights in classifier.networks[0].parameters())
        per_batch = f"{seconds / batches:.2f} s per batch ({cpu / batches:.2f} s of CPU)"
        print(
            f"{name} ({weights}): {n_weights / 1e6:.2f} million weights, "
            f"{batches * recipe.batch_size} training stamps, accuracy {scores['accuracy']:.3f}, "
            f"mean recall {recall:.3f}, calibration error {scores['ece']:.3f}, "
            f"{milliseconds(classifier, tests[:64]):.1f} ms per stamp; {per_batch}, peak memory "
            f"{peak_memory():.1f} GB",
            flush=True,
        )


if __name__ == "__main__":
    main()
