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

__all__ = ["PROBABILITIES", "classify_stamps", "describe", "list_pictures", "score"]

PROBABILITIES = [f"prob_{number}" for number in LEGUS_CLASSES.numbers]


def list_pictures():
    """The pictures as a list of samples."""
    pictures = Table.read(data_path("legus_pictures", "pictures.ecsv"))
    pictures["file"] = [str(data_path("legus_pictures", name)) for name in pictures["file"]]
    pictures["labels"] = str(data_path("legus_pictures", "labels.ecsv"))
    return pictures


def classify_stamps(classifier, sample, stamps):
    """Table of the stamps of a sample: field, galaxy, id, label and class probabilities."""
    found = member_probabilities(
        classifier.prepared(), crop_middle(stamps, classifier.card.stamp_size)
    ).mean(axis=0)
    table = Table({"field": [sample.name] * len(found), "id": stamps.table["id"]})
    table["galaxy"], table["label"] = sample.galaxy, np.asarray(stamps.table["class_human"])
    for name, column in zip(PROBABILITIES, found.T, strict=True):
        table[name] = column
    return table


def describe(name, table):
    """Print the scores of the most probable class, and of it after division by the class mix."""
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
    """Print the scores of each galaxy, and of all."""
    for galaxy in dict.fromkeys(table["galaxy"]):
        describe(f"{name}, {galaxy}", table[table["galaxy"] == galaxy])
    describe(f"{name}, all", table)
