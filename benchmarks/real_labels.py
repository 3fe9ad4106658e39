# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure the accuracy on human labels of real HST images, for galaxies outside the training set.

The data are color pictures of six fields in five galaxies, registered to the catalogs of LEGUS. One
galaxy at a time is held out, and classifiers are trained on the others. The recipe of the bundled
classifier starts from a classifier trained on simulations alone, and keeps simulated stamps in its
batches. For comparison, other classifiers are trained in fewer epochs on human labels alone: from
the same start, from random weights, and from a backbone with ImageNet weights. Classifications from
catalogs without images, and pooled with those from images, are scored as well. A sign test compares
the starts from simulations and from random weights, with one or two galaxies held out.
Probabilities and checkpoints are stored in a folder, from which repeating the command resumes.

With ``--ship``, the bundled classifier is trained on all galaxies instead.
"""

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.table import Table, join, vstack
from real_data import data_path
from real_pictures import (
    PROBABILITIES,
    classify_stamps,
    list_pictures,
    score,
    score_thresholds,
    scores_of,
)

from astroclust import load_classifier, save_classifier, train_classifier
from astroclust.catalogs import legus_catalogs, read_legus
from astroclust.experiments import classify_without_images, pool_with_images, sign_test
from astroclust.experiments.schneider2023 import efficientnet_lite0_weights
from astroclust.instruments import LEGUS_CLASSES
from astroclust.training import (
    find_recipe,
    hold_out,
    read_samples,
    score_classifier,
    simulated_sample,
    simulated_test_set,
)

TRAINED = ("shipped", "simulations", "random", "imagenet")
# Simulated stamps in the training and the test set of the bundled classifier, and the seed.
N_SIMULATED, N_TEST, SEED = 2000, 3000, 1
# Backbone with ImageNet weights, for which stamps are resized to 64 pixels.
IMAGENET = "timm/efficientnet_lite0@64"
# Epochs of the comparison with one galaxy held out, by kind, and with two.
EPOCHS, PAIR_EPOCHS = {"simulations": 12, "random": 12, "imagenet": 2}, 8


def labeled_catalogs():
    """Read the catalogs of LEGUS that have human classes."""
    catalogs = map(read_legus, legus_catalogs(data_path("legus_catalogs")))
    return [catalog for catalog in catalogs if "class_human" in catalog.colnames]


def class_mix(catalogs, held_out=()):
    """Mean class fractions of galaxies, weighted by the square root of their numbers of labels."""
    counts = {}
    for catalog in catalogs:
        labels = np.ma.filled(catalog["class_human"], 0)
        numbers = [np.sum(labels == number) for number in LEGUS_CLASSES.numbers]
        galaxy = catalog.meta["GALAXY"]
        counts[galaxy] = counts.get(galaxy, 0) + np.array(numbers, float)
    kept = np.array([each for galaxy, each in counts.items() if galaxy not in held_out])
    mix = (kept / np.sqrt(kept.sum(axis=1, keepdims=True))).sum(axis=0)
    return tuple((mix / mix.sum()).tolist())


class Trainings:
    """Classifiers trained without some galaxies, and their probabilities for those galaxies."""

    def __init__(self, folder, start, samples, catalogs, recipe):
        self.folder, self.start, self.samples = folder, start, samples
        self.catalogs, self.recipe = catalogs, recipe
        self.backbone = efficientnet_lite0_weights(folder)
        self._simulated = None

    @property
    def simulated(self):
        """Simulated stamps, created when needed."""
        if self._simulated is None:
            self._simulated = simulated_sample(N_SIMULATED, n_test=16, seed=SEED, workers=2)
        return replace(self._simulated, test_stamps=None, test_labels=None, split="")

    def probabilities(self, kind, held_out):
        """Table of the objects in held-out galaxies, with labels and class probabilities."""
        name = "_".join([kind, *held_out]).replace(" ", "")
        path = self.folder / f"{name}.ecsv"
        if not path.exists():
            samples = hold_out(self.samples, galaxies=held_out)
            classifier = self._classifier(kind, samples, held_out, name)
            tests = [one for one in samples if one.galaxy in held_out]
            vstack([classify_stamps(classifier, one, one.test_stamps) for one in tests]).write(path)
        return Table.read(path)

    def left_out(self, kind, galaxies):
        """Table of all objects, each classified by a classifier trained without its galaxy."""
        return vstack([self.probabilities(kind, (galaxy,)) for galaxy in galaxies])

    def _classifier(self, kind, samples, held_out, name):
        """Classifier, read from file if it was trained before."""
        path = self.folder / f"{name}.safetensors"
        if kind == "alone":
            return self.start
        if not path.exists():
            save_classifier(self._trained(kind, samples, held_out, name), path, overwrite=True)
        return load_classifier(path)

    def _trained(self, kind, samples, held_out, name):
        epochs = EPOCHS.get(kind, self.recipe.epochs) if len(held_out) == 1 else PAIR_EPOCHS
        mix = class_mix(self.catalogs, held_out)
        recipe = replace(self.recipe, class_mix=mix, epochs=epochs)
        if kind == "random":
            recipe = replace(recipe, learning_rate=2e-3)
        if kind == "shipped":
            samples = [*samples, self.simulated]
        if kind == "imagenet":
            recipe = replace(
                recipe,
                architecture=IMAGENET,
                weights=self.backbone,
                batch_size=32,
            )
        samples = [replace(one, test_stamps=None, test_labels=None, split="") for one in samples]
        return train_classifier(
            [one for one in samples if len(one.stamps)],
            name=name,
            recipe=recipe,
            start=self.start if kind in ("shipped", "simulations") else None,
            seed=SEED,
            folder=self.folder / f"{name}.checkpoints",
        )


def compare_starts(trainings, galaxies):
    """Print the sign test of starting from simulations against starting from random weights."""
    pairs = zip(galaxies, [*galaxies[1:], galaxies[0]], strict=True)
    accuracies = {"simulations": [], "random": []}
    for held_out in [*((galaxy,) for galaxy in galaxies), *pairs]:
        for kind, found in accuracies.items():
            table = trainings.probabilities(kind, held_out)
            chosen = np.column_stack([table[name] for name in PROBABILITIES]).argmax(axis=1)
            found.append(np.mean(np.array(LEGUS_CLASSES.numbers)[chosen] == table["label"]))
        each = (f"{kind} {found[-1]:.3f}" for kind, found in accuracies.items())
        print("without", " and ".join(held_out), *each, flush=True)
    wins, losses, p = sign_test(*accuracies.values())
    means = ", ".join(f"{kind} {np.mean(found):.3f}" for kind, found in accuracies.items())
    print(f"mean accuracy: {means}; simulations better on {wins}, worse on {losses}, p {p:.4f}")


def ship(trainings, path):
    """Train the bundled classifier on all galaxies; its scores are for held-out galaxies."""
    galaxies = list(dict.fromkeys(one.galaxy for one in trainings.samples))
    classifier = train_classifier(
        [*trainings.samples, trainings.simulated],
        name=path.stem,
        recipe=replace(trainings.recipe, class_mix=class_mix(trainings.catalogs)),
        start=trainings.start,
        seed=SEED,
        folder=trainings.folder / "shipped.checkpoints",
        progress_bar=sys.stderr.isatty(),
    )
    table = trainings.left_out("shipped", galaxies)
    groups = {galaxy: table[table["galaxy"] == galaxy] for galaxy in galaxies} | {"all": table}
    classifier.card = replace(
        classifier.card,
        command=shlex.join(["python", "benchmarks/real_labels.py", *sys.argv[1:]]),
        score_command=f"astroclust score --simulate {N_TEST} --seed {SEED} --ablate "
        f"--model {path.stem}",
        scores=score_classifier(classifier, *simulated_test_set(N_TEST, seed=SEED, workers=2)),
        galaxy_scores={name: scores_of(each) for name, each in groups.items()},
        split=f"{N_TEST} simulated stamps like other galaxies, and human labels of each galaxy by "
        "a classifier of the same recipe trained without it",
    )
    save_classifier(classifier, path, overwrite=True)
    print(f"wrote {path}")


def main():
    """Train and print scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--start",
        required=True,
        help="classifier trained on simulations alone, by simulations_alone.py",
    )
    parser.add_argument(
        "--folder", type=Path, default=Path("real-labels"), help="folder for all results"
    )
    parser.add_argument("--kinds", nargs="*", choices=TRAINED, default=TRAINED)
    parser.add_argument(
        "--mixed-precision",
        action="store_true",
        help="train in bfloat16, which is faster on some CPUs",
    )
    parser.add_argument("--no-pairs", action="store_true", help="omit the sign test")
    parser.add_argument(
        "--ship", type=Path, help="train the bundled classifier, and write it to this file"
    )
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    start = load_classifier(arguments.start)
    samples = read_samples(list_pictures(), classifier=start)
    catalogs = labeled_catalogs()
    recipe = replace(find_recipe("human-labels"), mixed_precision=arguments.mixed_precision)
    trainings = Trainings(arguments.folder, start, samples, catalogs, recipe)
    if arguments.ship is not None:
        ship(trainings, arguments.ship)
        return
    galaxies = list(dict.fromkeys(one.galaxy for one in samples))
    for kind in ("alone", *arguments.kinds):
        score(kind, trainings.left_out(kind, galaxies))
    if "shipped" in arguments.kinds:
        images = trainings.left_out("shipped", galaxies)
        catalog = classify_without_images(catalogs, neighbors=True, galaxies=galaxies)
        score("catalog", join(images["field", "id"], catalog, keys=("field", "id")))
        pooled = pool_with_images(catalog, images)
        score("pooled", pooled)
        score_thresholds("shipped", images)
        score_thresholds("pooled", pooled)
    if not arguments.no_pairs:
        compare_starts(trainings, galaxies)


if __name__ == "__main__":
    main()
