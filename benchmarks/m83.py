# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Score a classifier on real clusters of M83 against other detections of similar brightness.

For the northern half of the WFC3 mosaic of M83 (two of five bands, with 8 bits and a stretch for
display), this prints the area under the ROC curve (AUC) of P(1) + P(2) + P(3), for the pixels as
they are, and with the stretch approximately inverted. The clusters are the listed ones; the
comparison sample is what `find_sources` finds in F814W, more than 5 pixels from any listed cluster,
with a flux within 4 pixels above the 5th percentile of the listed clusters. A random score gives
0.5. A few listed positions are wrong and unlisted sources may be clusters, so 1 cannot be reached.

With ``--fine-tune``, the classifier is then trained further on the western half, with clusters as
any of the classes 1 to 3, and scored on the eastern half before and after.
"""

import argparse
from dataclasses import replace

import numpy as np
from astropy.table import Table, vstack
from real_data import data_path
from scipy.spatial import KDTree
from scipy.stats import mannwhitneyu

from astroclust import (
    ImageSet,
    classify_table,
    find_sources,
    load_classifier,
    make_stamps,
    measure_photometry,
    train_classifier,
)
from astroclust.photometry import concentration_index
from astroclust.training import Sample, find_recipe

# Raising pixels to a power of 3.5 in the cores of isolated stars, and of 2.5 around them, restores
# the encircled energies of WFC3 (PROVENANCE.txt of the data).
POWER = 3.0


def area_under_curve(clusters, others):
    """Probability that a cluster scores above another detection; NaN counts as lowest."""
    clusters, others = (np.nan_to_num(scores, nan=-np.inf) for scores in (clusters, others))
    return mannwhitneyu(clusters, others).statistic / (len(clusters) * len(others))


def comparison_sample(clusters, images):
    """Unlisted detections in F814W that are brighter than the faintest 5 % of listed clusters."""
    sources = find_sources(images["F814W"], threshold=5)
    distance, _ = KDTree(np.column_stack([clusters["x"], clusters["y"]])).query(
        np.column_stack([sources["x"], sources["y"]])
    )
    sources = sources[distance > 5]["x", "y"]
    band = {"F814W": images["F814W"]}
    limit = np.nanpercentile(measure_photometry(clusters, band)["flux_f814w"], 5)
    return sources[np.nan_to_num(measure_photometry(sources, band)["flux_f814w"]) > limit]


def halves(table, images):
    """Rows of the western and eastern half, excluding those whose stamps extend into both."""
    across = np.asarray(table["x"])
    middle, margin = images.shape[1] / 2, 25
    ra = images.wcs.pixel_to_world([0, images.shape[1]], [0, 0]).ra.deg
    left, right = across < middle - margin, across > middle + margin
    return (right, left) if ra[1] < ra[0] else (left, right)


def fine_tune(clusters, others, images, model, seed=1):
    """Scores of the eastern half, before and after learning on the western one."""
    start = load_classifier(model)
    (west, east), (west_others, east_others) = (halves(t, images) for t in (clusters, others))
    sample = vstack([clusters[west], others[west_others]])
    is_cluster = np.arange(len(sample)) < np.sum(west)
    # The classes of the clusters are unknown.
    targets = np.where(is_cluster[:, None], [1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 0, 1.0])
    stamps = make_stamps(sample, images, size=start.card.stamp_size, bands=start.card.bands)
    usable = stamps.present.any(axis=1)
    print(f"learning on {np.sum(west)} clusters and {np.sum(west_others)} others in the west")
    tuned = train_classifier(
        Sample(
            stamps[usable], targets[usable], description="stamps of the western half of M83 north"
        ),
        name="m83",
        recipe=replace(find_recipe("fine-tune"), class_mix="equal", epochs=6),
        start=start,
        seed=seed,
        progress_bar=True,
    )
    print(f"scored on {np.sum(east)} clusters and {np.sum(east_others)} others in the east")
    for name, classifier in (("before", start), ("after", tuned)):
        scores = [
            1 - np.asarray(classify_table(table, images, model=classifier)["prob_4"])
            for table in (clusters[east], others[east_others])
        ]
        print(f"AUC of P(1) + P(2) + P(3) in the east, {name}: {area_under_curve(*scores):.3f}")


def main():
    """Print the scores."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="name or file of a classifier (default: the bundled one)")
    parser.add_argument(
        "--fine-tune",
        action="store_true",
        help="fine-tune on the western half, score the eastern one",
    )
    arguments = parser.parse_args()
    image = data_path("m83_north", "m83_north.fits")
    images = ImageSet.read({name: f"{image}[{name}]" for name in ("F225W", "F814W")})
    clusters = Table.read(data_path("m83_north", "m83_north_clusters.ecsv"))["x", "y"]
    others = comparison_sample(clusters, images)
    print(f"{len(clusters)} listed clusters, {len(others)} other detections of similar brightness")
    index = [concentration_index(table, images["F814W"]) for table in (clusters, others)]
    print(f"AUC of the concentration index: {area_under_curve(*index):.3f}")
    linear = {name: (np.float32(band.data) ** POWER, band.wcs) for name, band in images.items()}
    for pixels, kind in ((images, "as they are"), (ImageSet(linear), f"to the power {POWER:g}")):
        results = [
            classify_table(table, pixels, model=arguments.model, progress_bar=True)
            for table in (clusters, others)
        ]
        area = area_under_curve(*(1 - np.asarray(result["prob_4"]) for result in results))
        name = results[0].meta["ACMOD"]
        print(f"AUC of P(1) + P(2) + P(3), classifier {name}, pixels {kind}: {area:.3f}")
    if arguments.fine_tune:
        fine_tune(clusters, others, images, arguments.model)


if __name__ == "__main__":
    main()
