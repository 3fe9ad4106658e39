# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Train the model of photometry and surroundings, and score it on held-out galaxies.

One galaxy of the LEGUS catalogs is held out at a time. If probabilities from images are given,
which must come from networks trained without that galaxy, the exponents of the pooling are fitted
to the other galaxies, and the pooled probabilities are scored. ``--output`` writes a model trained
on all galaxies.
"""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from astropy.table import Table, join, vstack
from real_data import data_path
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from astroclust.catalogs import find_field, legus_catalogs, read_legus
from astroclust.context import fit_pooling, train_context_model
from astroclust.context.model import KINDS
from astroclust.evaluation import calibration_curve
from astroclust.experiments import classify_without_images, labeled_features, pool_with_images

NAME = "legus-context-1"
SEED = 0
COMMAND = "python benchmarks/context.py --images IMAGES.ecsv --output astroclust/data/context.json"
PROBABILITIES = [f"prob_{number}" for number in (1, 2, 3, 4)]
# Columns of magnitudes that are kept in each test with missing data; None for all.
SUBSETS = {
    "B, V and I only": ("f435w", "f438w", "f555w", "f606w", "f814w"),
    "V and I only": ("f555w", "f606w", "f814w"),
    "without concentration index": None,
    "without distance": None,
}


def read_catalogs(folder):
    """The catalogs of a folder that have human classes."""
    catalogs = [read_legus(path) for path in legus_catalogs(folder)]
    return [catalog for catalog in catalogs if "class_human" in catalog.colnames]


def limit(catalog, subset):
    """Remove the columns of a catalog that are missing in a test."""
    catalog, bands = catalog.copy(), SUBSETS[subset]
    if subset == "without concentration index":
        catalog.remove_column("ci")
    elif subset == "without distance":
        del catalog.meta["DISTANCE"]
    else:
        names = [name for name in catalog.colnames if name.startswith("mag_")]
        catalog.remove_columns([name for name in names if name[-5:] not in bands])
    return catalog


def scores(classified):
    """Accuracy, recalls, their mean before and after division by the class mix, AUC and ECE."""
    labels = np.asarray(classified["label"])
    found = np.column_stack([classified[name] for name in PROBABILITIES])
    mix = np.bincount(labels, minlength=5)[1:] / len(labels)
    recalls, balanced = (
        [float(np.mean(choice[labels == number] == number)) for number in (1, 2, 3, 4)]
        for choice in (found.argmax(axis=1) + 1, (found / mix).argmax(axis=1) + 1)
    )
    curve = calibration_curve(labels, found)
    used = curve["total"] > 0
    error = np.abs(curve["accuracy"] - curve["probability"])[used]
    return {
        "n": len(labels),
        "accuracy": float(np.mean(found.argmax(axis=1) + 1 == labels)),
        **{f"recall_{number}": recall for number, recall in enumerate(recalls, start=1)},
        "mean_recall": float(np.mean(recalls)),
        "balanced_recall": float(np.mean(balanced)),
        "auc_12": float(roc_auc_score(labels <= 2, found[:, :2].sum(axis=1))),
        "ece": float(np.sum(error * curve["total"][used]) / len(labels)),
    }


def show(name, classified):
    """Print scores, and return them."""
    result = scores(classified)
    print(name, " ".join(f"{key} {value:.3f}" for key, value in result.items()), flush=True)
    return result


def only(classified, wanted):
    """Select the rows of the objects in another table, in the order of that table."""
    wanted = wanted["field", "id"]
    wanted["order"] = np.arange(len(wanted))
    found = join(wanted, classified, keys=("field", "id"))
    found.sort("order")
    return found


def fit(classified, images):
    """Fit exponents to all galaxies with probabilities from images, for each forest."""
    exponents = {}
    for kind, table in classified.items():
        image = only(images, table)
        catalog = only(table, image)
        values = [
            np.column_stack([part[name] for name in PROBABILITIES]) for part in (image, catalog)
        ]
        exponents[kind] = [round(e, 3) for e in fit_pooling(*values, catalog["label"])]
    return exponents


def left_out(catalogs, kind, galaxies, progress, folder):
    """Probabilities for each galaxy by a model of the others, stored in a folder if given."""
    path = folder and folder / f"{kind}.ecsv"
    if path and path.is_file():
        return Table.read(path)
    table = classify_without_images(
        catalogs, neighbors=kind == "neighbors", galaxies=galaxies, progress=progress
    )
    if path:
        folder.mkdir(parents=True, exist_ok=True)
        table.write(path)
    return table


def score_subsets(catalogs, labels):
    """Print the scores for the five galaxies with missing columns."""
    held_out = [catalog.meta["FIELD"] in set(labels["field"]) for catalog in catalogs]
    galaxies = sorted(
        {c.meta["GALAXY"] for c, held in zip(catalogs, held_out, strict=True) if held}
    )
    parts = {subset: [] for subset in SUBSETS}
    for galaxy in galaxies:
        sample = labeled_features([c for c in catalogs if c.meta["GALAXY"] != galaxy])
        model = train_context_model(sample, sample["label"], seed=SEED)
        own = [c for c in catalogs if c.meta["GALAXY"] == galaxy]
        for subset, found in parts.items():
            features = labeled_features([limit(catalog, subset) for catalog in own])
            table = features["field", "id", "label"]
            for name, column in zip(PROBABILITIES, model.probabilities(features).T, strict=True):
                table[name] = column
            found.append(table)
    for subset, found in parts.items():
        show(f"{subset}, five galaxies:", only(vstack(found), labels))


def main():
    """Score, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catalogs", type=Path, help="folder (default: that of the real data)")
    parser.add_argument("--images", help="table with field, id, and prob_1 to prob_4 of images")
    parser.add_argument(
        "--left-out",
        type=Path,
        help="folder for the probabilities of held-out galaxies, to refit the pooling",
    )
    parser.add_argument("--all", action="store_true", help="hold out each of all galaxies")
    parser.add_argument("--subsets", action="store_true", help="also score without some columns")
    parser.add_argument("--output", type=Path, help="JSON file of the model to write")
    arguments = parser.parse_args()
    catalogs = read_catalogs(arguments.catalogs or data_path("legus_catalogs"))
    labels = Table.read(data_path("legus_pictures", "labels.ecsv"))
    galaxies = None if arguments.all else [find_field(name).galaxy for name in set(labels["field"])]
    progress = partial(tqdm, unit="galaxy", disable=not sys.stderr.isatty())
    classified = {
        kind: left_out(catalogs, kind, galaxies, progress, arguments.left_out) for kind in KINDS
    }
    results = {}
    for kind, table in classified.items():
        if arguments.all:
            show(f"{kind}, all galaxies:", table)
        results[kind] = show(f"{kind}, five galaxies:", only(table, labels))
        for field in dict.fromkeys(labels["field"]):
            show(f"  {field}:", only(table, labels[labels["field"] == field]))
    if arguments.subsets:
        score_subsets(catalogs, labels)
    sample = labeled_features(catalogs)
    model = train_context_model(sample, sample["label"], name=NAME, seed=SEED)
    exponents = {kind: [0.5, 0.8] for kind in classified}
    if arguments.images:
        images = Table.read(arguments.images)["field", "id", *PROBABILITIES]
        for kind, table in classified.items():
            results[f"pooled_{kind}"] = show(f"pooled, {kind}:", pool_with_images(table, images))
        exponents = fit(classified, images)
        print(f"exponents of image and catalog: {exponents}")
    if arguments.output:
        fields = ", ".join(sorted(set(sample["field"])))
        model = replace(
            model,
            pooling=exponents,
            training_sample=f"{len(sample)} human classes of LEGUS catalogs: {fields}",
            scores=results,
            command=COMMAND,
        )
        model.write(arguments.output)
        print(f"wrote {arguments.output}")


if __name__ == "__main__":
    main()
