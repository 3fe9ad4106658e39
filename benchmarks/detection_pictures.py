# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Score a detector on human-labeled clusters in real pictures, one galaxy at a time.

    python benchmarks/detection_pictures.py PICTURES FOLDER/native-1.safetensors

For each galaxy in turn, the detector is fine-tuned on the labels of the others, and it is scored on
this one before and after fine-tuning. Because some sources were not inspected, the labels are
incomplete. Recall is therefore the fraction of labeled objects of classes 1 and 2 that are found,
and purity only considers found sources that have a label.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table
from scipy.spatial import KDTree

from astroclust import find_sources
from astroclust.catalogs import find_field, read_table
from astroclust.detectors import DetectionField, DetectorRecipe, load_detector, train_detector
from astroclust.images import ImageSet
from astroclust.training.sample_rows import AFFINE

SIDE = 512  # width in pixels of the parts into which pictures are cut
FEWEST = 3  # minimum number of labels in a part
RADIUS = 4.0  # pixels


def read_parts(folder):
    """Read the galaxy, images and labels of the parts of all pictures."""
    labels, parts = read_table(folder / "labels.ecsv"), []
    for row in read_table(folder / "pictures.ecsv"):
        own = labels[labels["field"] == row["field"]]
        cells = np.floor(np.array([own["x"], own["y"]]).T / SIDE).astype(int)
        for cell in np.unique(cells, axis=0):
            inside = own[(cells == cell).all(axis=1)]
            if len(inside) < FEWEST:
                continue
            x0, y0 = (int(number) for number in SIDE * cell)
            images = ImageSet.from_picture(
                folder / str(row["file"]),
                affine=[row[name] for name in AFFINE],
                shape=(SIDE, SIDE),
                origin=(x0, y0),
            )
            table = Table({"x": inside["x"] - x0, "y": inside["y"] - y0})
            table["class"] = inside["class_human"]
            parts.append((find_field(str(row["field"])).galaxy, images, table))
    return parts


def score(parts, detector):
    """Count labeled objects, found ones and ones found as clusters, by class; shape (5, 3)."""
    count = np.zeros((5, 3), int)
    for _, images, table in parts:
        found = find_sources(images, method="rcnn", model=detector, threshold=0.3)
        cluster = sum(np.asarray(found[f"det_prob_{number}"]) for number in (1, 2, 3))
        label = np.asarray(table["class"])
        near = np.zeros(len(table), bool)
        as_cluster = near.copy()
        if len(found):
            tree = KDTree(np.column_stack([found["x"], found["y"]]))
            distance, row = tree.query(np.column_stack([table["x"], table["y"]]))
            near = distance < RADIUS
            as_cluster = near & (cluster[np.minimum(row, len(found) - 1)] > 0.5)
        for number in range(1, 5):
            own = label == number
            count[number] += own.sum(), (own & near).sum(), (own & as_cluster).sum()
    return count


def report(name, count):
    """Print the scores of a galaxy."""
    both, clusters, every = count[1:3].sum(axis=0), count[1:4].sum(axis=0), count[1:].sum(axis=0)
    print(
        f"{name}: of {both[0]} objects of class 1 and 2, {both[1] / both[0]:.3f} are found, "
        f"{both[2] / both[0]:.3f} as clusters; of {clusters[0]} of class 1 to 3, "
        f"{clusters[2] / clusters[0]:.3f} as clusters; of {every[2]} labeled objects found as "
        f"clusters, {clusters[2] / max(every[2], 1):.3f} are",
        flush=True,
    )


def main():
    """Print scores before and after fine-tuning, per galaxy and for all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path)
    parser.add_argument("detector", type=Path)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    parts, start = read_parts(arguments.pictures), load_detector(arguments.detector)
    recipe = DetectorRecipe(
        batches=arguments.batches, learning_rate=arguments.learning_rate, max_missing_bands=1
    )
    known = [DetectionField.labeled(images, table, table["class"]) for _, images, table in parts]
    total = {"before": 0, "after": 0}
    for galaxy in dict.fromkeys(part[0] for part in parts):
        held_out = [part for part in parts if part[0] == galaxy]
        fields = [field for field, part in zip(known, parts, strict=True) if part[0] != galaxy]
        tuned = train_detector(
            fields, name="tuned", recipe=recipe, start=start, seed=arguments.seed
        )
        for when, detector in (("before", start), ("after", tuned)):
            count = score(held_out, detector)
            total[when] = total[when] + count
            report(f"{galaxy}, {when} fine-tuning on the others", count)
    for when, count in total.items():
        report(f"all, {when}", count)


if __name__ == "__main__":
    main()
