# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure the gain from training with missing pixels.

A classifier is trained further in two ways, on the same simulated stamps and for the same number of
batches: as before, and with all kinds of damage. Both results and the bundled classifier are scored
on stamps with the same damage, like galaxies outside all training sets. With ``--start none``,
training starts from random weights.
"""

import argparse
from dataclasses import replace

from astroclust import load_classifier, train_classifier
from astroclust.plotting import plot_damage
from astroclust.stamps import DAMAGE
from astroclust.training import find_recipe, score_damage, simulated_sample


def main():
    """Train, score, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=6400, help="stamps to train on")
    parser.add_argument("--tests", type=int, default=1000, help="stamps to score on")
    parser.add_argument("--batches", type=int, default=400)
    parser.add_argument(
        "--start", default="simulated-3", help="classifier to train further, or none"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", help="file of the figure")
    arguments = parser.parse_args()
    fresh = arguments.start == "none"
    start = None if fresh else load_classifier(arguments.start)
    sample = simulated_sample(
        arguments.n, n_test=arguments.tests, seed=arguments.seed, workers=arguments.workers
    )
    tests = sample.test_stamps, sample.test_labels
    sample = replace(sample, test_stamps=None, test_labels=None)
    found = [show(score_damage(load_classifier(), *tests))]
    recipe = replace(find_recipe("native" if fresh else "fine-tune"), batches=arguments.batches)
    for name, damage in (("trained without damage", ()), ("trained with damage", tuple(DAMAGE))):
        classifier = train_classifier(
            sample,
            name=name,
            recipe=replace(recipe, damage=damage),
            start=start,
            seed=arguments.seed,
        )
        found.append(show(score_damage(classifier, *tests)))
    if arguments.output:
        plot_damage(*found).savefig(arguments.output, dpi=150)


def show(scores):
    """Print scores, and return them."""
    lines = scores.pformat(max_lines=-1, max_width=-1)
    print(scores.meta["MODEL"], *lines, sep="\n", flush=True)
    return scores


if __name__ == "__main__":
    main()
