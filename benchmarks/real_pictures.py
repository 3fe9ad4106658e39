# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Color pictures with human classes: their list, and the scores of class probabilities."""

import numpy as np
from astropy.table import Table
from real_data import data_path
from sklearn.metrics import roc_auc_score

from astroclust.evaluation import calibration_curve
from astroclust.instruments import LEGUS_CLASSES
from astroclust.training import member_probabilities
from astroclust.training.augmentation import crop_middle
from astroclust.training.scores import scores_of_classes

__all__ = [
    "PROBABILITIES",
    "classify_stamps",
    "describe",
    "list_pictures",
    "score",
    "score_thresholds",
    "scores_of",
]

PROBABILITIES = [f"prob_{number}" for number in LEGUS_CLASSES.numbers]


def list_pictures():
    """Sample list of the pictures, for ``read_samples``."""
    pictures = Table.read(data_path("legus_pictures", "pictures.ecsv"))
    pictures["file"] = [str(data_path("legus_pictures", name)) for name in pictures["file"]]
    pictures["labels"] = str(data_path("legus_pictures", "labels.ecsv"))
    return pictures


def classify_stamps(classifier, sample, stamps):
    """Classify stamps; return a table of field, galaxy, id, label and class probabilities."""
    found = member_probabilities(
        classifier.prepared(), crop_middle(stamps, classifier.card.stamp_size)
    ).mean(axis=0)
    table = Table({"field": [sample.name] * len(found), "id": stamps.table["id"]})
    table["galaxy"], table["label"] = sample.galaxy, np.asarray(stamps.table["class_human"])
    for name, column in zip(PROBABILITIES, found.T, strict=True):
        table[name] = column
    return table


def describe(name, table):
    """Print scores of the most probable class; recalls also with equal class priors."""
    labels = np.asarray(table["label"])
    found = np.column_stack([table[name] for name in PROBABILITIES])
    numbers = np.array(LEGUS_CLASSES.numbers)
    mix = np.array([np.mean(labels == number) for number in numbers])
    best = numbers[found.argmax(axis=1)]
    even = numbers[(found / np.maximum(mix, 1e-9)).argmax(axis=1)]
    recalls, even_recalls = (
        [np.mean(chosen[labels == number] == number) for number in numbers]
        for chosen in (best, even)
    )
    ends = (labels == 1) | (labels == 4)
    one, four = found[ends][:, [0, 3]].T
    ece = calibration_curve(labels, found).meta["ECE"]
    print(
        f"{name:28s} n {len(labels):4d} accuracy {np.mean(best == labels):.3f} recalls "
        + " ".join(f"{recall:.2f}" for recall in recalls)
        + f" mean {np.mean(recalls):.3f}, divided {np.mean(even_recalls):.3f} AUC 1 against 4 "
        f"{roc_auc_score(labels[ends] == 1, one / (one + four + 1e-9)):.3f}, 1+2 "
        f"{roc_auc_score(labels <= 2, found[:, :2].sum(axis=1)):.3f} ECE {ece:.3f}",
        flush=True,
    )


def score(name, table):
    """Print the scores of each galaxy and of all."""
    for galaxy in dict.fromkeys(table["galaxy"]):
        describe(f"{name}, {galaxy}", table[table["galaxy"] == galaxy])
    describe(f"{name}, all", table)


def scores_of(table):
    """Scores for a model card."""
    labels = np.asarray(table["label"]) - 1
    found = np.column_stack([table[name] for name in PROBABILITIES])
    return scores_of_classes(labels, found, LEGUS_CLASSES)


def score_thresholds(name, table, thresholds=(0.3, 0.5, 0.7)):
    """Print purity and completeness of classes 1 and 2 above thresholds of P(1) + P(2)."""
    for galaxy in [*dict.fromkeys(table["galaxy"]), "all"]:
        own = table if galaxy == "all" else table[table["galaxy"] == galaxy]
        cluster = np.asarray(own["label"]) <= 2
        found = np.asarray(own["prob_1"]) + np.asarray(own["prob_2"])
        parts = [
            f"above {limit}: purity {cluster[found >= limit].mean():.2f}, completeness "
            f"{np.mean(found[cluster] >= limit):.2f}"
            for limit in thresholds
            if (found >= limit).any()
        ]
        print(f"{name}, {galaxy}, classes 1 and 2:", "; ".join(parts), flush=True)
