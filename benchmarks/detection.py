# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Compare clusters found by networks and by the LEGUS pipeline in simulated fields.

    python benchmarks/detection.py fields FOLDER
    python benchmarks/detection.py train FOLDER --network native --seed 1
    python benchmarks/detection.py find FOLDER --network native --seed 1
    python benchmarks/detection.py compare FOLDER
    python benchmarks/detection.py ship FOLDER --network masks --output mine.safetensors

The training fields resemble all calibrated LEGUS fields except three, which the test fields
resemble. Each step stores its results in the folder and does not repeat finished work; several
detectors can be trained and applied at the same time. ``compare`` first applies the detectors that
have not been applied yet.
"""

import argparse
import logging
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time

import matplotlib as mpl
import numpy as np
from astropy.nddata import CCDData
from astropy.table import Table, vstack
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import classify_table, find_candidates, find_sources, simulate_field
from astroclust.catalogs import find_field
from astroclust.detectors import (
    DetectionField,
    DetectorRecipe,
    load_detector,
    save_detector,
    train_detector,
)
from astroclust.evaluation import detection_scores
from astroclust.experiments.schneider2023 import efficientnet_lite0_weights
from astroclust.files import replace_when_done
from astroclust.images import ImageSet
from astroclust.photometry import measure_photometry
from astroclust.selection import field_settings
from astroclust.simulation import calibrated_fields
from astroclust.stamps import DAMAGE
from astroclust.training import TEST_FIELDS

mpl.use("Agg")

SHAPE = (512, 512)
DENSITY = (1e-4, 6e-4)  # candidates per pixel
CLUSTERS = (1, 2, 3)
RADIUS = 4.0  # pixels
NETWORKS = {
    "native": ("native", "simulated-3"),
    "native-random": ("native", "none"),
    "efficientnet-imagenet": ("timm/efficientnet_lite0", "imagenet"),
    "masks": ("native", "simulated-3"),
    "damaged": ("native", "simulated-3"),
}
# Completeness at which purities are compared.
COMPLETENESS = (0.5, 0.6, 0.7, 0.8)
# Limiting V magnitude for the precision of stars and clusters at a recall of 80 %.
LIMIT = 24.0
# Offset in x between fields in a joint table, so that sources of different fields do not match.
APART = 10_000


def draw_fields(arguments):
    """Simulate the fields."""
    arguments.folder.mkdir(exist_ok=True)
    with ProcessPoolExecutor(arguments.workers) as pool:
        drawn = []
        for kind, n in (("test", arguments.test), ("train", arguments.train)):
            names = [n for n in calibrated_fields() if (n in TEST_FIELDS) == (kind == "test")]
            for i in range(n):
                path = arguments.folder / f"{kind}-{i:03}.npz"
                if not path.exists():
                    drawn.append(pool.submit(draw_field, path, names[i % len(names)], i, kind))
        for one in drawn:
            one.result()


def draw_field(path, name, number, kind):
    """Simulate a field, and write its pixels, sources and truth."""
    rng = np.random.default_rng([number, kind == "test"])
    field = simulate_field(
        like=name,
        shape=SHAPE,
        seed=[1 if kind == "train" else 2, number],
        density=float(np.exp(rng.uniform(*np.log(DENSITY)))),
        outlines=True,
    )
    bands = np.array([band.pixels(slice(None)) for band in field.images.values()], np.float32)
    field.sources.write(path.with_suffix(".ecsv"), overwrite=True)
    field.truth.write(path.with_name(f"{path.stem}-truth.ecsv"), overwrite=True)
    with replace_when_done(path, overwrite=True) as partial, open(partial, "wb") as file:
        np.savez(file, bands=bands, segments=field.segments.data, name=name)
    print(
        f"{path.name} like {name}: {len(field.truth)} candidates, {len(field.sources)} sources",
        flush=True,
    )


def read_images(path):
    """Read the images of a field, and the name of the LEGUS field that it resembles."""
    with np.load(path) as content:
        name = str(content["name"])
        pairs = zip(find_field(name).filters, content["bands"], strict=True)
        return ImageSet({f: CCDData(data, unit="electron / s") for f, data in pairs}), name


def read_known(path):
    """Read a training field."""
    images, _ = read_images(path)
    with np.load(path) as content:
        segments = content["segments"]
    classes = np.array(Table.read(path.with_suffix(".ecsv"))["class"])
    return DetectionField.from_segments(images, segments, classes, simulated=True)


def name_of(arguments):
    """Name of a detector."""
    return f"{arguments.name or arguments.network}-{arguments.seed}"


def train(arguments):
    """Train one detector."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    backbone, weights = NETWORKS[arguments.network]
    if weights == "imagenet":
        weights = efficientnet_lite0_weights(arguments.folder / "imagenet")
    name = name_of(arguments)
    recipe = DetectorRecipe(
        backbone,
        weights,
        masks=arguments.network == "masks",
        batches=arguments.batches,
        batch_size=arguments.batch_size,
        damage=tuple(DAMAGE) if arguments.network == "damaged" else (),
    )
    paths = sorted(arguments.folder.glob("train-???.npz"))[: arguments.train]
    begun, cpu = perf_counter(), process_time()
    detector = train_detector(
        [read_known(path) for path in paths],
        name=name,
        recipe=recipe,
        description=f"{len(paths)} simulated fields",
        seed=arguments.seed,
        folder=arguments.folder / name,
    )
    save_detector(detector, arguments.folder / f"{name}.safetensors", overwrite=True)
    print(
        f"{name}: {arguments.batches} batches in {perf_counter() - begun:.0f} s "
        f"({process_time() - cpu:.0f} s of CPU)"
    )


def measured(sources, images, preset):
    """Add magnitudes measured as in the LEGUS pipeline."""
    return measure_photometry(
        sources,
        images,
        apertures=preset.apertures,
        errors=preset.errors,
        zero_points=preset.zero_points,
        aperture_correction=preset.aperture_correction,
        extinction=preset.extinction,
    )


def cluster_probability(table, prefix):
    """Probability of classes 1 to 3."""
    return sum(np.ma.filled(table[f"{prefix}{number}"], 0.0) for number in CLUSTERS)


def classified(sources, images):
    """Add the class probabilities of the classifier."""
    return classify_table(sources, images, model="simulated-3", photometry=False)


def find_with_chain(images, name):
    """Find candidates with the LEGUS pipeline, and their probabilities of being a cluster."""
    preset, distance = field_settings(name)
    found = find_candidates(images, preset=preset, distance=distance)
    classes = classified(found, images)
    found["p_cluster"] = found["p_both"] = cluster_probability(classes, "prob_")
    found["p_star"] = np.ma.filled(classes["prob_4"], 0.0)
    return found


def find_with_network(images, name, detector):
    """Find sources with a detector, with cluster probabilities with and without the classifier."""
    preset, _ = field_settings(name)
    found = find_sources(images, method="rcnn", model=detector, threshold=0.2)
    found["p_cluster"] = cluster_probability(found, "det_prob_")
    classes = classified(found, images)
    found["p_both"] = np.sqrt(found["p_cluster"] * cluster_probability(classes, "prob_"))
    found["p_star"] = found["det_prob_4"]
    return measured(found, images, preset)


def in_v(table, images):
    """Select positions, probabilities and V magnitudes."""
    column = f"mag_{images['V'].filter.lower()}"
    return Table(
        {
            "x": table["x"],
            "y": table["y"],
            "p_cluster": table["p_cluster"],
            "p_both": table["p_both"],
            "p_star": table["p_star"],
            "mag_v": np.ma.filled(np.ma.asarray(table[column], float), np.nan),
        }
    )


def find_all(folder, search):
    """Find the sources of all test fields, and measure the CPU seconds per field."""
    tables, begun = [], process_time()
    paths = sorted(folder.glob("test-???.npz"))
    for i, path in enumerate(paths):
        images, name = read_images(path)
        table = in_v(search(images, name), images)
        table["x"] += i * APART
        tables.append(table)
    return vstack(tables), (process_time() - begun) / len(paths)


def all_truth(folder, ending):
    """Read the truth of all test fields from files whose names have a given ending."""
    tables = []
    for i, path in enumerate(sorted(folder.glob("test-???.npz"))):
        table = Table.read(path.with_name(path.stem + ending))["x", "y", "class", "mag_v"]
        table["x"] += i * APART
        tables.append(table)
    return vstack(tables, metadata_conflicts="silent")


def find(arguments):
    """Apply one detector to the test fields."""
    warnings.simplefilter("ignore", AstropyUserWarning)  # about stamps at edges, and metadata
    found_by(arguments, name_of(arguments))


def found_by(arguments, method):
    """Sources found by a method, read from the folder if they are already there."""
    path = arguments.folder / f"found-{method}.ecsv"
    if path.exists():
        return Table.read(path)
    search = find_with_chain
    if method != "chain":
        detector = load_detector(arguments.folder / f"{method}.safetensors")

        def search(images, name):
            return find_with_network(images, name, detector)

    table, seconds = find_all(arguments.folder, search)
    table.meta["seconds"] = seconds
    table.write(path)
    return table


def score(found, truth, column="p_cluster", threshold=None):
    """Scores of the clusters above a probability."""
    if threshold is not None:
        found = found[found[column] > threshold]
    return detection_scores(
        found, truth, radius=RADIUS, classes=CLUSTERS, score=column, magnitude="mag_v"
    )


def limit_of(scores):
    """Magnitude at which the completeness, beyond its maximum, falls below 50 %."""
    table = scores.by_magnitude[scores.by_magnitude["n_true"] >= 5]
    if not len(table):
        return np.nan
    half = table["completeness"] < 0.5
    faint = np.flatnonzero(half & (table["low"] > table["low"][np.argmax(table["completeness"])]))
    return float(table["low"][faint[0]]) if len(faint) else float(table["high"][-1])


def mean_of(table, name, number):
    """Mean of a fraction over the bins of a table, weighted by their numbers of sources."""
    used = table[table[number] > 0]
    return float(np.average(used[name], weights=used[number])) if len(used) else np.nan


def compare(arguments):
    """Print and draw completeness and purity of all methods."""
    from astroclust.plotting import plot_detection, plot_precision_recall

    warnings.simplefilter("ignore", AstropyUserWarning)  # about stamps at edges, and metadata
    truth = all_truth(arguments.folder, "-truth.ecsv")
    sources = all_truth(arguments.folder, ".ecsv")
    n_clusters = np.isin(truth["class"], CLUSTERS).sum()
    print(f"{len(truth)} candidates, {n_clusters} of them clusters")
    trained = {path.stem for path in arguments.folder.glob("*-[1-9].safetensors")}
    found = {path.stem for path in arguments.folder.glob("found-*-[1-9].ecsv")}
    names = sorted(trained | {name.removeprefix("found-") for name in found})
    methods = [("chain", "chain", "p_cluster", threshold) for threshold in (None, 0.5, 0.8)]
    methods += [(name, name, "p_cluster", 0.5) for name in names]
    methods += [(f"{name} and classifier", name, "p_both", 0.5) for name in names]
    chain = score(found_by(arguments, "chain"), truth).completeness
    rows, drawn, curves = [], {}, {}
    for label, method, column, threshold in methods:
        found = found_by(arguments, method)
        scores = score(found, truth, column, threshold)
        label += "" if threshold is None else f", P > {threshold:g}"
        curve = score(found, truth, column)
        limit = limit_of(scores)
        bright = scores.by_magnitude[scores.by_magnitude["high"] <= limit - 1]
        rows.append(
            {
                "method": label,
                "completeness": scores.completeness,
                "purity": scores.purity,
                "limit": limit,
                "bright_completeness": mean_of(bright, "completeness", "n_true"),
                "bright_purity": mean_of(bright, "purity", "n_found"),
                "average_precision": curve.average_precision["average_precision"][1],
                **{f"purity_{value:g}": purity_at(curve.curve, value) for value in COMPLETENESS},
                "purity_as_chain": purity_at(curve.curve, chain),
                "stars": precision_at_recall(found, sources, (4,), "p_star"),
                "clusters": precision_at_recall(found, sources, CLUSTERS, column),
                "seconds": found.meta["seconds"],
            }
        )
        drawn[label] = scores
        label = "chain and classifier" if method == "chain" else label.removesuffix(", P > 0.5")
        curves[label] = curve
    table = Table(rows=rows)
    for name in table.colnames[1:]:
        table[name].format = ".3f"
    table.pprint_all()
    table.write(arguments.folder / "comparison.ecsv", overwrite=True)
    drawn, curves = (shown(scores, arguments.draw) for scores in (drawn, curves))
    plot_detection(drawn).savefig(arguments.folder / "comparison.png", dpi=150)
    plot_precision_recall(curves).figure.savefig(arguments.folder / "curves.png", dpi=150)


def shown(scores, names):
    """Select the scores of the LEGUS pipeline and of the methods to be drawn."""
    return {
        label: one
        for label, one in scores.items()
        if label.startswith("chain") or label.split(",")[0] in names
    }


def ship(arguments):
    """Write a detector with its scores in the card, for bundling."""
    name = name_of(arguments)
    detector = load_detector(arguments.folder / f"{name}.safetensors")
    found, truth = found_by(arguments, name), all_truth(arguments.folder, "-truth.ecsv")
    at_half, curve = score(found, truth, threshold=0.5), score(found, truth)
    chain = score(found_by(arguments, "chain"), truth)
    scores = {
        "n": int(np.isin(truth["class"], CLUSTERS).sum()),
        "completeness": at_half.completeness,
        "purity": at_half.purity,
        "average_precision": curve.average_precision["average_precision"][1],
        "legus_completeness": chain.completeness,
        "legus_purity": chain.purity,
        "purity_at_legus_completeness": purity_at(curve.curve, chain.completeness),
    }
    fields = [name for name in calibrated_fields() if name not in TEST_FIELDS]
    detector.card = replace(
        detector.card,
        name=arguments.output.stem,
        training_sample=f"{arguments.train} fields of 512 pixels of simulate_field like "
        f"{', '.join(fields)}",
        scores={name: round(float(value), 3) for name, value in scores.items()},
        command=f"python benchmarks/detection.py train FOLDER --network {arguments.network} "
        f"--seed {arguments.seed} --train {arguments.train} --batches {arguments.batches} "
        f"--batch-size {arguments.batch_size}",
    )
    save_detector(detector, arguments.output, overwrite=True)
    print(detector.card.scores)


def precision_at_recall(found, sources, classes, column, recall=0.8):
    """Precision of classes at the threshold where the recall of bright sources reaches a value.

    Detections are not counted as false if they are measured as brighter than the magnitude limit,
    but match a true source of these classes that is fainter.
    """
    options = {"radius": RADIUS / 2, "classes": classes, "score": column, "magnitude": "mag_v"}
    precise = detection_scores(found, sources, limit=LIMIT, **options).curve
    bright = detection_scores(found, sources[sources["mag_v"] < LIMIT], **options).curve
    enough = np.flatnonzero(bright["completeness"] >= recall)
    if not len(enough):
        return np.nan
    above = np.flatnonzero(precise["threshold"] >= bright["threshold"][enough[0]])
    return float(precise["purity"][above[-1]]) if len(above) else np.nan


def purity_at(curve, completeness):
    """Purity at the highest threshold that reaches a completeness; NaN if there is none."""
    enough = np.flatnonzero(curve["completeness"] >= completeness)
    return float(curve["purity"][enough[0]]) if len(enough) else np.nan


def main():
    """Run a step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=("fields", "train", "find", "compare", "ship"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", type=int, default=60, help="number of training fields")
    parser.add_argument("--test", type=int, default=20, help="number of test fields")
    parser.add_argument("--network", choices=NETWORKS, default="native")
    parser.add_argument("--name", help="name of the detector, before -SEED")
    parser.add_argument("--batches", type=int, default=600)
    parser.add_argument("--batch-size", type=int, default=4, help="tiles per batch")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw fields")
    parser.add_argument(
        "--draw", nargs="*", default=["native-1", "masks-1"], help="methods to draw"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="file of the detector to ship")
    arguments = parser.parse_args()
    steps = {
        "fields": draw_fields,
        "train": train,
        "find": find,
        "compare": compare,
        "ship": ship,
    }
    steps[arguments.step](arguments)


if __name__ == "__main__":
    main()
