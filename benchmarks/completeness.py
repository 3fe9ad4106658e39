# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Compare the depth of a simulated field in each band with that of NGC 628C.

Adamo et al. (2017) give the completeness of clusters in each band of NGC 628C; the magnitudes at
which half of them are found are 23.6 (NUV), 24.5 (U), 25.6 (B), 25.6 (V) and 24.7 (I). Here,
clusters are injected into one band of a simulated field at a time and detected with the settings of
LEGUS, except for the threshold, which that paper does not state. It is the same for all bands.
"""

import argparse
from dataclasses import replace

import numpy as np

from astroclust import simulate_field
from astroclust.images import ImageSet
from astroclust.injection import ArtificialClusters, completeness, limiting_magnitude
from astroclust.selection import PRESETS

LIMITS = {"NUV": 23.6, "U": 24.5, "B": 25.6, "V": 25.6, "I": 24.7}
RADIUS = 1.5  # pixels, 2.9 pc in NGC 628


def limit_of(band, threshold, n, seed):
    """Total magnitude at which half of the clusters are found in one band."""
    middle = LIMITS[band.role]
    preset = replace(PRESETS["legus"], detect_in=band.role, threshold=threshold, center_in=None)
    result = completeness(
        ImageSet({band.filter: band}),
        ArtificialClusters(
            np.arange(middle - 1.5, middle + 1.6, 0.25),
            [RADIUS],
            n=n,
            colors={band.filter: 0.0},
            seed=seed,
        ),
        preset=preset,
    )
    return float(limiting_magnitude(result, column="found")["magnitude"][0])


def main():
    """Print the limit of each band, the published one and their difference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--like", default="ngc628-c")
    parser.add_argument("--shape", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-n", type=int, default=30, help="clusters of each magnitude")
    parser.add_argument("--threshold", type=float, default=4.0, help="in units of the noise")
    arguments = parser.parse_args()
    shape = (arguments.shape,) * 2
    field = simulate_field(like=arguments.like, shape=shape, seed=arguments.seed)
    print(f"threshold {arguments.threshold}")
    for band in field.images.values():
        limit = limit_of(band, arguments.threshold, arguments.n, arguments.seed)
        published = LIMITS[band.role]
        print(f"{band.role:4s}{limit:8.2f}{published:8.2f}{limit - published:+8.2f}", flush=True)


if __name__ == "__main__":
    main()
