# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Score a classifier on real pixels: clusters of M83 against other detections of like brightness.

For the north half of the WFC3 mosaic of M83 (two of five bands, 8-bit and stretched for the eye) it
prints the area under the ROC curve (AUC) of P(1) + P(2) + P(3): on the pixels as they are, and with
the stretch roughly undone. The clusters are the listed ones; the comparison sample is what
`find_sources` finds in F814W, more than 5 pixels from any listed cluster, with a flux within 4
pixels above the 5th percentile of the listed clusters. Chance is 0.5. A few listed positions are
wrong and unlisted sources may be clusters, so 1 cannot be reached.
"""

import argparse
import os
from pathlib import Path

import numpy as np
from astropy.table import Table
from scipy.spatial import KDTree
from scipy.stats import mannwhitneyu

from astroclust import (
    ImageSet,
    classify_table,
    concentration_index,
    find_sources,
    measure_photometry,
)

# Isolated stars get the encircled energies of WFC3 back at a power of 3.5 in their cores and of 2.5
# around them (PROVENANCE.txt of the data).
POWER = 3.0


def area_under_curve(clusters, others):
    """Chance that a cluster has a higher score than another detection; NaN counts as lowest."""
    clusters, others = (np.nan_to_num(scores, nan=-np.inf) for scores in (clusters, others))
    return mannwhitneyu(clusters, others).statistic / (len(clusters) * len(others))


def comparison_sample(clusters, images):
    """Detections in F814W that are not listed, as bright as all but the faintest listed."""
    sources = find_sources(images["F814W"], threshold=5)
    distance, _ = KDTree(np.column_stack([clusters["x"], clusters["y"]])).query(
        np.column_stack([sources["x"], sources["y"]])
    )
    sources = sources[distance > 5]["x", "y"]
    band = {"F814W": images["F814W"]}
    limit = np.nanpercentile(measure_photometry(clusters, band)["flux_f814w"], 5)
    return sources[np.nan_to_num(measure_photometry(sources, band)["flux_f814w"]) > limit]


def main():
    """Print the scores."""
    data = Path(os.environ.get("ASTROCLUST_DATA", "../shared/data")) / "m83_north"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="name or file of a classifier (default: the bundled one)")
    parser.add_argument("--folder", type=Path, default=data, help="folder of m83_north.fits")
    arguments = parser.parse_args()
    image = arguments.folder / "m83_north.fits"
    images = ImageSet.read({name: f"{image}[{name}]" for name in ("F225W", "F814W")})
    clusters = Table.read(arguments.folder / "m83_north_clusters.ecsv")["x", "y"]
    others = comparison_sample(clusters, images)
    print(f"{len(clusters)} listed clusters, {len(others)} other detections of like brightness")
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


if __name__ == "__main__":
    main()
