# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure what training with missing pixels gains when pixels are missing.

One network is trained twice on the same simulated stamps, from the same weights and for as many
batches: with the recipe of the bundled classifier, and with all kinds of damage besides. Both and
the bundled classifier are scored on stamps like galaxies that none of them has learned from, with
the same damage.
"""

import argparse
from dataclasses import replace

import numpy as np

from astroclust import load_classifier, train_classifier
from astroclust.plotting import plot_damage
from astroclust.stamps import DAMAGE
from astroclust.training import find_recipe, score_damage, simulated_sample


def main():
    """Train, score, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=6400, help="stamps to train on")
    parser.add_argument("--tests", type=int, default=1000, help="stamps to score on")
    parser.add_argument("--batches", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", help="file of the figure")
    arguments = parser.parse_args()
    sample = simulated_sample(
        arguments.n, n_test=arguments.tests, seed=1, workers=arguments.workers
    )
    tests = sample.test_stamps, sample.test_labels
    sample = replace(sample, test_stamps=None, test_labels=None)
    recipe = replace(find_recipe("native"), batches=arguments.batches)
    recipes = {"without damage": recipe, "with damage": replace(recipe, damage=tuple(DAMAGE))}
    found = {}
    for name, one in recipes.items():
        for seed in arguments.seeds:
            classifier = train_classifier(sample, name=name, recipe=one, seed=seed)
            scores = score_damage(classifier, *tests)
            found.setdefault(name, []).append(scores)
            print(f"{name}, seed {seed}", *scores["accuracy"], flush=True)
    bundled = load_classifier()
    found[bundled.card.name] = [score_damage(bundled, *tests)]
    means = [mean_over_seeds(tables) for tables in found.values()]
    for scores in means:
        print(scores.meta["MODEL"], *scores.pformat(max_lines=-1, max_width=-1), sep="\n")
    if arguments.output:
        plot_damage(*means).savefig(arguments.output, dpi=150)


def mean_over_seeds(tables):
    """Mean scores of trainings that differ in their seeds."""
    mean = tables[0].copy()
    for name in ("accuracy", "accuracy_error", "mean_recall", "ece"):
        mean[name] = np.mean([one[name] for one in tables], axis=0)
        mean[name].format = ".3f"
    return mean


if __name__ == "__main__":
    main()
