# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure the time and memory of the bundled detector on five mosaics of 4096 x 4096 pixels.

    python benchmarks/detection.py fields FOLDER
    python benchmarks/detection_large.py FOLDER

The mosaics are files composed of test fields. The detection of the LEGUS pipeline is timed on the
same files. Each method runs in its own process, to measure the CPU time of all its threads.
"""

import argparse
import resource
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np
from astropy.io import fits

from astroclust import ImageSet, find_sources, load_classifier
from astroclust.detection import white_light

FILTERS = ("F275W", "F336W", "F438W", "F555W", "F814W")
SIDE = 8  # test fields along a side


def write_mosaics(fields, folder):
    """Mosaics of test fields, one per band."""
    paths = sorted(fields.glob("test-???.npz"))
    for number, name in enumerate(FILTERS):
        tiles = []
        for path in paths:
            with np.load(path) as content:
                tiles.append(content["bands"][number])
        rows = [
            np.hstack([tiles[(SIDE * row + i) % len(tiles)] for i in range(SIDE)])
            for row in range(SIDE)
        ]
        header = fits.Header({"FILTER": name, "BUNIT": "electron / s"})
        fits.writeto(folder / f"{name}.fits", np.vstack(rows), header)


def report(method, folder):
    """Find sources, and print the cost."""
    images = ImageSet.read({name: Path(folder) / f"{name}.fits" for name in FILTERS})
    load_classifier()  # so that the memory needed by torch in any case is not counted
    before, begun, cpu = peak_memory(), perf_counter(), process_time()
    if method == "rcnn":
        found = find_sources(images, method="rcnn")
    else:
        found = find_sources(white_light(images))
    print(
        f"{method}: {images.shape[0]} x {images.shape[1]} pixels, {len(found)} sources, "
        f"{perf_counter() - begun:.0f} s, {process_time() - cpu:.0f} s of CPU, "
        f"{peak_memory():.2f} GB at most, {before:.2f} GB before",
        flush=True,
    )


def peak_memory():
    """Peak memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main():
    """Write mosaics, and measure both methods."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fields", type=Path, help="folder of the simulated fields")
    parser.add_argument("--method", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.method:
        report(arguments.method, arguments.fields)
        return
    with TemporaryDirectory() as folder:
        write_mosaics(arguments.fields, Path(folder))
        for method in ("sextractor", "rcnn"):
            subprocess.run([sys.executable, __file__, folder, "--method", method], check=True)


if __name__ == "__main__":
    main()
