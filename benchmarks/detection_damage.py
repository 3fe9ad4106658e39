# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Compare detectors trained with and without missing pixels on fields with missing pixels.

    python benchmarks/detection.py fields FOLDER
    python benchmarks/detection_damage.py FOLDER --start simulated-fields-1

A detector is trained further in two ways, for the same number of batches: as before, and with all
kinds of damage. Both results are scored by their average precision on fields outside the training
set.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from astropy.nddata import CCDData
from astropy.table import Table, vstack
from astropy.utils.exceptions import AstropyUserWarning
from detection import APART, CLUSTERS, RADIUS, cluster_probability, read_images, read_known

from astroclust import find_sources
from astroclust.detectors import DetectorRecipe, load_detector, train_detector
from astroclust.evaluation import detection_scores
from astroclust.images import ImageSet
from astroclust.stamps import DAMAGE, damage_pixels

FRACTIONS = (0.1, 0.3)


def damaged(images, kind, fraction, seed):
    """Remove the same pixels from the images of all bands."""
    pixels = torch.from_numpy(np.array([band.data for band in images.values()], np.float32))
    rng = np.random.default_rng(seed)
    pixels = damage_pixels(pixels[None], rng, kind=kind, fraction=np.array([fraction]))[0]
    pairs = zip(images, pixels.numpy(), strict=True)
    return ImageSet({name: CCDData(data, unit="electron / s") for name, data in pairs})


def average_precision(detector, paths, kind, fraction):
    """Average precision of the clusters that a detector finds in damaged fields."""
    found, truth = [], []
    for i, path in enumerate(paths):
        images, _ = read_images(path)
        if fraction:
            images = damaged(images, kind, fraction, i)
        sources = find_sources(images, method="rcnn", model=detector, threshold=0.2)
        sources["p_cluster"] = cluster_probability(sources, "det_prob_")
        known = Table.read(path.with_name(f"{path.stem}-truth.ecsv"))["x", "y", "class"]
        for tables, one in ((found, sources["x", "y", "p_cluster"]), (truth, known)):
            one["x"] = np.asarray(one["x"]) + i * APART
            tables.append(one)
    scores = detection_scores(
        vstack(found, metadata_conflicts="silent"),
        vstack(truth, metadata_conflicts="silent"),
        radius=RADIUS,
        classes=CLUSTERS,
        score="p_cluster",
    )
    return scores.average_precision["average_precision"][1]


def main():
    """Train, and print average precisions."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--start", default="simulated-fields-1")
    parser.add_argument("--batches", type=int, default=120)
    parser.add_argument("--tests", type=int, default=10, help="fields to score on")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", AstropyUserWarning)
    start = load_detector(arguments.start)
    fields = [read_known(path) for path in sorted(arguments.folder.glob("train-???.npz"))]
    detectors = {"start": start}
    for name, damage in (("without damage", ()), ("with damage", tuple(DAMAGE))):
        recipe = DetectorRecipe(batches=arguments.batches, learning_rate=3e-4, damage=damage)
        detectors[name] = train_detector(
            fields, name=name, recipe=recipe, start=start, seed=arguments.seed
        )
    paths = sorted(arguments.folder.glob("test-???.npz"))[: arguments.tests]
    rows = []
    for kind, fraction in [("none", 0.0), *((k, f) for k in DAMAGE for f in FRACTIONS)]:
        found = {n: average_precision(one, paths, kind, fraction) for n, one in detectors.items()}
        rows.append({"kind": kind, "fraction": fraction, **found})
        print(rows[-1], flush=True)
    table = Table(rows=rows)
    for name in detectors:
        table[name].format = ".3f"
    table.pprint_all()


if __name__ == "__main__":
    main()
