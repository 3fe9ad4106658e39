# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Distill a small and fast classifier from an ensemble trained on human labels.

    python benchmarks/student.py start FOLDER --start simulations-alone.safetensors
    python benchmarks/student.py train FOLDER --held-out "NGC 628"
    python benchmarks/student.py train FOLDER
    python benchmarks/student.py compare FOLDER
    python benchmarks/student.py ship FOLDER --output student-1.safetensors

``start`` trains a small network on simulations alone, with the classifier of
``simulations_alone.py`` as its teacher. ``train`` trains an ensemble with the recipe of the bundled
classifier, and then distills a student from it; if a galaxy is held out, the probabilities of its
objects are written. This step is run once per galaxy, if desired at the same time, and once without
``--held-out``, for the student to be shipped. ``compare`` prints the scores of all classifiers. All
steps can be resumed, and store their results in the folder.
"""

import argparse
import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack
from real_labels import class_mix, labeled_catalogs
from real_pictures import classify_stamps, list_pictures, score, scores_of
from simulations_alone import FIELDS

from astroclust import load_classifier, save_classifier, simulate_stamps, train_classifier
from astroclust.training import (
    CROWDED,
    Sample,
    find_recipe,
    hold_out,
    read_samples,
    score_classifier,
    simulated_sample,
    simulated_test_set,
)
from astroclust.weights import Classifier

SEED, MEMBERS = 1, 2
# Numbers of simulated stamps added to the human labels, and in the test set.
N_SIMULATED, N_TEST = 2000, 3000
SMALL = "native-small"
SMALL_EPOCHS, START_EPOCHS = 24, 12
KINDS = ("single", "teacher", "student")


def plain(galaxy):
    """Name of a galaxy for use in file names."""
    return galaxy.replace(" ", "").lower()


def trained(path, *arguments, **options):
    """Train a classifier, or read it if it exists."""
    if not path.exists():
        folder = path.with_suffix(".checkpoints")
        classifier = train_classifier(*arguments, name=path.stem, folder=folder, **options)
        save_classifier(classifier, path, overwrite=True)
    return load_classifier(path)


def prepare(arguments):
    """Write the two classifiers from which training starts, and the class mix of each split."""
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    start = load_classifier(arguments.start)
    save_classifier(start, folder / "start.safetensors", overwrite=True)
    catalogs = labeled_catalogs()
    galaxies = [one.galaxy for one in read_samples(list_pictures(), classifier=start)]
    held_out = {galaxy: [galaxy] for galaxy in dict.fromkeys(galaxies)} | {"": []}
    mixes = {galaxy: class_mix(catalogs, each) for galaxy, each in held_out.items()}
    (folder / "mixes.json").write_text(json.dumps(mixes))
    stamps = simulate_stamps(
        arguments.n,
        seed=[SEED, 3],
        like=FIELDS,
        crowded=CROWDED,
        workers=arguments.workers,
        progress_bar=sys.stderr.isatty(),
    )
    sample = Sample(
        stamps,
        np.asarray(stamps.table["class"]),
        description=f"stamps of simulate_stamps like {', '.join(FIELDS)}, crowded {CROWDED}, "
        f"seed [{SEED}, 3]",
        simulated=True,
    )
    recipe = replace(find_recipe("native"), architecture=SMALL, epochs=START_EPOCHS)
    path = folder / "start-small.safetensors"
    trained(path, sample, recipe=recipe, teacher=start, seed=SEED)


def train(arguments):
    """Train an ensemble and its student, and classify the galaxy held out."""
    folder, galaxy = arguments.folder, arguments.held_out
    start = load_classifier(folder / "start.safetensors")
    samples = read_samples(list_pictures(), classifier=start)
    if galaxy:
        samples = hold_out(samples, galaxies=[galaxy])
    tests = [one for one in samples if galaxy and one.galaxy == galaxy]
    simulated = simulated_sample(N_SIMULATED, n_test=16, seed=SEED, workers=arguments.workers)
    samples = [
        replace(one, test_stamps=None, test_labels=None, split="")
        for one in [*samples, simulated]
        if len(one.stamps)
    ]
    mix = json.loads((folder / "mixes.json").read_text())[galaxy]
    recipe = replace(
        find_recipe("human-labels"),
        class_mix=tuple(mix),
        mixed_precision=arguments.mixed_precision or None,
    )
    name = plain(galaxy) or "all"

    def classify(kind, classifier):
        if galaxy:
            found = [classify_stamps(classifier, one, one.test_stamps) for one in tests]
            vstack(found).write(folder / f"{kind}-{name}.ecsv", overwrite=True)

    teacher = trained(
        folder / f"teacher-{name}.safetensors",
        samples,
        recipe=recipe,
        start=start,
        members=MEMBERS,
        seed=SEED,
    )
    classify("single", Classifier(teacher.card, teacher.networks[:1]))
    classify("teacher", teacher)
    student = trained(
        folder / f"student-{name}.safetensors",
        samples,
        recipe=replace(recipe, epochs=SMALL_EPOCHS),
        start=load_classifier(folder / "start-small.safetensors"),
        teacher=teacher,
        seed=SEED,
    )
    classify("student", student)


def left_out(folder, kind):
    """Read the probabilities of all objects from classifiers trained without their galaxy."""
    galaxies = filter(None, json.loads((folder / "mixes.json").read_text()))
    return vstack([Table.read(folder / f"{kind}-{plain(galaxy)}.ecsv") for galaxy in galaxies])


def compare(arguments):
    """Print the scores of all classifiers for held-out galaxies and for simulations."""
    for kind in KINDS:
        score(kind, left_out(arguments.folder, kind))
    tests = simulated_test_set(N_TEST, seed=SEED, workers=arguments.workers)
    for kind in KINDS[1:]:
        path = arguments.folder / f"{kind}-all.safetensors"
        if path.exists():
            scores = score_classifier(load_classifier(path), *tests, ablate=False)
            print(kind, "simulated:", {name: scores[name] for name in list(scores)[:8]}, flush=True)


def ship(arguments):
    """Write the student of all galaxies, with the scores of the students for held-out galaxies."""
    student = load_classifier(arguments.folder / "student-all.safetensors")
    table = left_out(arguments.folder, "student")
    galaxies = dict.fromkeys(table["galaxy"])
    groups = {galaxy: table[table["galaxy"] == galaxy] for galaxy in galaxies} | {"all": table}
    name = arguments.output.stem
    card = replace(
        student.card,
        name=name,
        command=shlex.join(["python", "benchmarks/student.py", *sys.argv[1:]]),
        score_command=f"astroclust score --simulate {N_TEST} --seed {SEED} --ablate --model {name}",
        scores=score_classifier(
            student, *simulated_test_set(N_TEST, seed=SEED, workers=arguments.workers)
        ),
        galaxy_scores={galaxy: scores_of(each) for galaxy, each in groups.items()},
        split=f"{N_TEST} simulated stamps like other galaxies, and human labels of each galaxy by "
        "a classifier of the same recipe trained without it",
    )
    save_classifier(Classifier(card, student.networks), arguments.output, overwrite=True)


def main():
    """Run a step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = {"start": prepare, "train": train, "compare": compare, "ship": ship}
    parser.add_argument("step", choices=steps)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--start", help="classifier trained on simulations alone")
    parser.add_argument("-n", type=int, default=12000, help="simulated stamps of step start")
    parser.add_argument("--held-out", default="", metavar="GALAXY", help="default: none")
    parser.add_argument(
        "--mixed-precision",
        action="store_true",
        help="train in bfloat16, which is faster on some CPUs",
    )
    parser.add_argument("--output", type=Path, help="file of the shipped classifier")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    steps[arguments.step](arguments)


if __name__ == "__main__":
    main()
