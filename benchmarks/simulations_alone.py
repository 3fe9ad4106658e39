# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Train a classifier on simulations alone, and score it on human-labeled pictures.

The classifier ``simulated-3`` is trained further on stamps of the current simulator, in five bands
and as pictures, without any human labels. It is scored on the press pictures of five galaxies, two
of which were used to tune the simulator, and on simulated stamps.
"""

import argparse
import os
import shlex
import sys
from dataclasses import replace

import numpy as np
from astropy.table import vstack
from real_pictures import classify_stamps, describe, list_pictures, score

from astroclust import load_classifier, save_classifier, simulate_stamps, train_classifier
from astroclust.training import (
    CROWDED,
    Sample,
    find_recipe,
    read_samples,
    score_classifier,
    simulated_test_set,
)

#: Simulated fields: calibrated ones in galaxies without a picture.
FIELDS = ("ngc3351", "ngc3738", "ngc5474", "ngc7793-e")
#: Galaxies on which the simulator was tuned.
TUNED = ("NGC 628", "NGC 4449")


def score_pictures(classifier, samples):
    """Print the scores of a classifier on all pictures, and on those not used in tuning."""
    table = vstack([classify_stamps(classifier, one, one.stamps) for one in samples])
    score(classifier.card.name, table)
    describe("galaxies not used in tuning", table[~np.isin(table["galaxy"], TUNED)])


def main():
    """Simulate, train and score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=20000, help="simulated training stamps")
    parser.add_argument("--n-test", type=int, default=3000, help="simulated stamps in the test set")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--mix", type=float, nargs=4, default=[0.2, 0.2, 0.2, 0.4])
    parser.add_argument("--fields", nargs="+", default=FIELDS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", default="simulated-3", help="classifier to train further")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--checkpoint", help="folder for checkpoints, from which it resumes")
    parser.add_argument("--output", help="file for the classifier, .safetensors")
    arguments = parser.parse_args()
    start = load_classifier(arguments.start)
    samples = read_samples(list_pictures(), classifier=start)
    score_pictures(start, samples)
    stamps = simulate_stamps(
        arguments.n,
        seed=[arguments.seed, 2],
        like=arguments.fields,
        crowded=CROWDED,
        workers=arguments.workers,
        progress_bar=sys.stderr.isatty(),
    )
    recipe = replace(
        find_recipe("native"),
        epochs=arguments.epochs,
        learning_rate=arguments.rate,
        class_mix=tuple(arguments.mix),
    )
    command = shlex.join(["python", "benchmarks/simulations_alone.py", *sys.argv[1:]])
    sample = Sample(
        stamps,
        np.asarray(stamps.table["class"]),
        description=f"stamps of simulate_stamps like {', '.join(arguments.fields)}, crowded "
        f"{CROWDED}, seed [{arguments.seed}, 2], classes weighted as {arguments.mix}",
        simulated=True,
    )
    classifier = train_classifier(
        sample,
        name="simulations-alone",
        recipe=recipe,
        start=start,
        seed=arguments.seed,
        folder=arguments.checkpoint,
        progress_bar=sys.stderr.isatty(),
    )
    classifier.card = replace(classifier.card, command=command)
    if arguments.output:
        save_classifier(classifier, arguments.output, overwrite=True)
    score_pictures(classifier, samples)
    scores = score_classifier(
        classifier,
        *simulated_test_set(arguments.n_test, seed=arguments.seed, workers=arguments.workers),
    )
    print("simulated test set:", {name: scores[name] for name in list(scores)[:6]})


if __name__ == "__main__":
    main()
