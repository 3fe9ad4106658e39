# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Train on simulations alone, and score on real pixels with human classes.

The bundled classifier goes on to learn from stamps of the simulator as it is now, in five bands and
as pictures. It is then scored on the press pictures of five galaxies, on simulated stamps, and on
neither did it learn: no label of a person enters the training. Printed for each galaxy are the
accuracy and the recalls of the most probable class, and of the most probable one after division by
the mean probabilities of all; and areas under ROC curves of class 1 against 4, and of 1 and 2
against 3 and 4.
"""

import argparse
import os
import shlex
import sys
from dataclasses import replace

import numpy as np
from astropy.table import Table
from PIL import Image
from real_data import data_path
from sklearn.metrics import roc_auc_score
from twins import SIZE, cut_real

from astroclust import Stamps, load_classifier, save_classifier, simulate_stamps, train_classifier
from astroclust.instruments import LEGUS_BANDS
from astroclust.training import (
    CROWDED,
    Sample,
    find_recipe,
    member_probabilities,
    simulated_test_set,
)

#: Fields that are simulated: calibrated ones of galaxies without a picture.
FIELDS = ("ngc3351", "ngc3738", "ngc5474", "ngc7793-e")


def real_stamps():
    """Stamps of all labeled objects on the pictures, their classes and galaxies."""
    folder, parts = data_path("legus_pictures"), []
    labels = Table.read(folder / "labels.ecsv")
    for picture in Table.read(folder / "pictures.ecsv"):
        rows = labels[labels["field"] == picture["field"]]
        x, y = np.array(rows["x"]), np.array(rows["y"])
        image = np.asarray(Image.open(folder / picture["file"]).convert("RGB"), np.float32)
        data = np.zeros((len(rows), len(LEGUS_BANDS), SIZE, SIZE), np.float32)
        data[:, 2:] = cut_real(image, picture, x, y)
        galaxy = str(picture["field"]).partition("-")[0]
        parts.append((data, np.array(rows["class_human"]), np.repeat(galaxy, len(rows))))
    data, label, galaxy = (np.concatenate(part) for part in zip(*parts, strict=True))
    present = np.isfinite(data).any(axis=(2, 3)) & (np.arange(len(LEGUS_BANDS)) >= 2)
    roles = LEGUS_BANDS.roles
    return Stamps(data, roles, bands=roles, system=LEGUS_BANDS, present=present), label, galaxy


def describe(name, label, probabilities):
    """Print the scores of some rows."""
    best = 1 + probabilities.argmax(axis=1)
    even = 1 + (probabilities / probabilities.mean(axis=0)).argmax(axis=1)
    recalls, even_recalls = (
        [np.mean(chosen[label == c] == c) for c in (1, 2, 3, 4)] for chosen in (best, even)
    )
    ends = (label == 1) | (label == 4)
    one, four = probabilities[ends][:, [0, 3]].T
    auc = (
        roc_auc_score(label[ends] == 1, one / (one + four + 1e-9)),
        roc_auc_score(label <= 2, probabilities[:, :2].sum(axis=1)),
    )
    print(
        f"{name:16s} n {len(label):4d} accuracy {np.mean(best == label):.3f} recalls "
        + " ".join(f"{value:.2f}" for value in recalls)
        + f" mean {np.mean(recalls):.3f}, divided {np.mean(even_recalls):.3f} "
        f"AUC 1 against 4 {auc[0]:.3f}, 1+2 {auc[1]:.3f}",
        flush=True,
    )


def score(classifier, real):
    """Print the scores of a classifier on the pictures."""
    stamps, label, galaxy = real
    probabilities = member_probabilities(classifier.prepared(), stamps).mean(axis=0)
    for name in dict.fromkeys(galaxy):
        describe(name, label[galaxy == name], probabilities[galaxy == name])
    for name, chosen in (
        ("tuned on", np.isin(galaxy, ["ngc628", "ngc4449"])),
        ("test", ~np.isin(galaxy, ["ngc628", "ngc4449"])),
        ("all", np.ones(len(galaxy), bool)),
    ):
        describe(name, label[chosen], probabilities[chosen])


def main():
    """Simulate, train and score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20000, help="stamps that are simulated")
    parser.add_argument("--n-test", type=int, default=3000, help="and for the test set")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=1e-3, help="highest learning rate")
    parser.add_argument("--mix", type=float, nargs=4, default=[0.2, 0.2, 0.2, 0.4])
    parser.add_argument("--fields", nargs="+", default=FIELDS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", default="simulated-3", help="classifier that goes on to learn")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--checkpoint", help="folder for checkpoints, from which it resumes")
    parser.add_argument("--output", help="file for the classifier, .safetensors")
    arguments = parser.parse_args()
    start, real = load_classifier(arguments.start), real_stamps()
    print(f"{start.card.name}, as it is")
    score(start, real)
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
    print(f"\nafter {len(stamps)} simulated stamps")
    score(classifier, real)
    test_stamps, label = simulated_test_set(arguments.n_test, seed=arguments.seed)
    describe("simulated", label, member_probabilities(classifier.prepared(), test_stamps)[0])


if __name__ == "__main__":
    main()
