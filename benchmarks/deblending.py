# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Deblending of pairs of stars by a detector with masks and by the LEGUS pipeline.

    python benchmarks/deblending.py FOLDER/masks-1.safetensors

The pairs lie on empty sky, observed with the cameras of a LEGUS field outside the training set, at
all angles and subpixel positions. A pair is resolved if both stars are found within 1.5 pixels.
Fluxes are compared with those of single stars of the same brightness, because the outlines of both
miss the same fraction of the flux.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.nddata import CCDData
from astropy.table import Table
from scipy.spatial import KDTree

from astroclust import find_sources
from astroclust.detection import white_light
from astroclust.detectors import load_detector
from astroclust.images import ImageSet
from astroclust.simulation.detector import add_noise
from astroclust.simulation.drawing import Stars, draw_field
from astroclust.simulation.observations import observe_like
from astroclust.simulation.populations import field_population

FIELD = "ngc628-e"
SEPARATIONS = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
RATIOS = (1.0, 5.0)
STEP = 32  # pixels from one pair to the next
NEAR = 1.5  # pixels
# V of the brighter star (Vega), and its colors relative to V.
MAGNITUDE = 21.5
COLORS = np.array([-1.0, -0.8, 0.0, 0.0, 0.0])


def draw_pairs(separation, ratio, n, seed):
    """Draw images of n pairs of stars, and return them with their positions, shape (n, 2, 2)."""
    rng = np.random.default_rng([seed, int(10 * separation), int(ratio)])
    observation = observe_like(FIELD, rng, field_population(FIELD).noise)
    side = int(np.ceil(np.sqrt(n)))
    row, column = np.divmod(np.arange(n), side)
    middle = STEP * (np.column_stack([column, row]) + 0.5) + rng.uniform(-0.5, 0.5, (n, 2))
    angle = rng.uniform(0, 2 * np.pi, n)
    half = separation / 2 * np.column_stack([np.cos(angle), np.sin(angle)])
    positions = np.stack([middle - half, middle + half], axis=1)
    flux = 10 ** (0.4 * (observation.zero_points - MAGNITUDE - COLORS))
    fluxes = flux[:, None, None] / np.where([True, False], 1.0, ratio) * np.ones((n, 2))
    stars = Stars(*positions.reshape(-1, 2).T, fluxes.reshape(len(flux), -1))
    image = draw_field([], stars, (STEP * side,) * 2, observation)
    add_noise(image, observation, rng)
    pairs = zip(observation.filters, image, strict=True)
    images = ImageSet({f: CCDData(data, unit="electron / s") for f, data in pairs})
    return images, positions


def partners(sources, positions):
    """Row of the source that matches each star, -1 for none; each source matches at most one."""
    flat = positions.reshape(-1, 2)
    rows = np.full(len(flat), -1)
    if len(sources):
        tree = KDTree(np.column_stack([sources["x"], sources["y"]]))
        distance, nearest = tree.query(flat)
        back = KDTree(flat).query(tree.data)[1]
        same = (distance < NEAR) & (back[nearest] == np.arange(len(flat)))
        rows[same] = nearest[same]
    return rows.reshape(-1, 2)


def main():
    """Print a row per separation and flux ratio."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("detector", type=Path)
    parser.add_argument("-n", type=int, default=144, help="pairs of each kind")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    detector = load_detector(arguments.detector)
    # So far apart that nothing overlaps, to measure the fraction of a star's flux in its outline.
    usual = {}
    images, positions = draw_pairs(STEP / 2, 1.0, arguments.n, arguments.seed)
    found = find_sources(images, method="rcnn", model=detector)
    rows = partners(found, positions)
    usual[1.0] = np.median(found["flux"][rows[rows >= 0]])
    images, positions = draw_pairs(STEP / 2, 5.0, arguments.n, arguments.seed)
    found = find_sources(images, method="rcnn", model=detector)
    faint = partners(found, positions)[:, 1]
    usual[5.0] = np.median(found["flux"][faint[faint >= 0]])
    results = []
    for ratio in RATIOS:
        for separation in SEPARATIONS:
            images, positions = draw_pairs(separation, ratio, arguments.n, arguments.seed)
            chain = partners(find_sources(white_light(images)), positions)
            found = find_sources(images, method="rcnn", model=detector)
            network = partners(found, positions)
            both = (network >= 0).all(axis=1)
            flux = np.asarray(found["flux"])[network[both]] / [usual[1.0], usual[ratio]]
            error = flux - 1
            results.append(
                (
                    ratio,
                    separation,
                    (chain >= 0).all(axis=1).mean(),
                    both.mean(),
                    np.median(np.abs(error[:, 0])) if both.any() else np.nan,
                    np.median(np.abs(error[:, 1])) if both.any() else np.nan,
                )
            )
    names = ("flux_ratio", "separation", "chain", "network", "error_bright", "error_faint")
    table = Table(rows=results, names=names)
    for name in names[2:]:
        table[name].format = ".2f"
    table.pprint_all()


if __name__ == "__main__":
    main()
