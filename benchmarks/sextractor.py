# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Compare sources, speed and memory with SExtractor (Debian's source-extractor).

``match`` compares the sources found with the settings of LEGUS in a real image of the HDF-South and
in simulated fields, for each segmentation method of astroclust. It prints the percentage of
SExtractor's sources brighter than 1.5 times the limit (threshold times minimum area) that have one
of ours within a pixel, and vice versa. Because SExtractor assigns the faint pixels of blends at
random, and cleans sources according to the resulting sizes, it does not perfectly agree with
itself: the column "itself" is its agreement with a run in which only the random numbers differ,
because distant pixels have been rearranged.

``speed`` times the white-light image, detection in it and photometry in five bands of a simulated
mosaic of 8000 x 8000 pixels. SExtractor runs five times in dual-image mode on an existing
white-light image. The mosaic is composed once of fields of 500 x 500 pixels in different
orientations, and kept in a folder.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from real_data import data_path
from scipy.spatial import KDTree

from astroclust import (
    ImageSet,
    find_field,
    find_sources,
    measure_photometry,
    simulate_field,
    white_light,
)
from astroclust.photometry import Apertures, recenter
from astroclust.simulation.observations import observe_like

# LEGUS settings with buffers for large fields; the star/galaxy network is that of Debian.
SETTINGS = {
    "CATALOG_TYPE": "ASCII_HEAD",
    "DETECT_TYPE": "CCD",
    "DETECT_MINAREA": 10,
    "DETECT_THRESH": 20,
    "ANALYSIS_THRESH": 25,
    "FILTER": "N",
    "DEBLEND_NTHRESH": 32,
    "DEBLEND_MINCONT": 0.005,
    "CLEAN": "Y",
    "CLEAN_PARAM": 1.0,
    "PHOT_APERTURES": "8,2,6",
    "SATUR_LEVEL": 50000,
    "MAG_ZEROPOINT": 25.0,
    "GAIN": 1.53,
    "PIXEL_SCALE": 0.039622,
    "SEEING_FWHM": 0.1,
    "BACK_SIZE": 30,
    "BACK_FILTERSIZE": 1,
    "BACKPHOTO_TYPE": "GLOBAL",
    "MEMORY_OBJSTACK": 50000,
    "MEMORY_PIXSTACK": 10000000,
    "STARNNW_NAME": "/usr/share/source-extractor/default.nnw",
    "VERBOSE_TYPE": "QUIET",
}
COLUMNS = (
    "X_IMAGE Y_IMAGE FWHM_IMAGE CLASS_STAR MAG_BEST FLUX_ISO THRESHOLD FLUX_APER(3) FLUXERR_APER(3)"
)
TILE, N_TILES = 500, 16
FOLDER = Path(tempfile.gettempdir(), "sextractor-benchmark")
METHODS = ("sextractor", "segmentation")
# Number of rows that are mirrored to change the random numbers of SExtractor, and first row whose
# sources are compared.
MIRRORED, COMPARED = 60, 200
# A field observed with a single camera.
LIKE = "ngc1566"
FILTERS = find_field(LIKE).filters


def sextract(folder, *images, **settings):
    """Run SExtractor on one image, or in dual-image mode with detection in the first of two."""
    parameters = folder / "columns.param"
    parameters.write_text(COLUMNS.replace(" ", "\n"))
    catalog = folder / "sextractor.cat"
    options = {**SETTINGS, "PARAMETERS_NAME": parameters, "CATALOG_NAME": catalog, **settings}
    configuration = folder / "sextractor.conf"
    configuration.write_text("\n".join(f"{key} {value}" for key, value in options.items()))
    # SExtractor runs in another folder, so paths must be absolute.
    images = ",".join(str(path.resolve()) for path in images)
    command = ["source-extractor", images, "-c", configuration.name]
    subprocess.run(command, check=True, cwd=folder)
    return Table.read(catalog, format="ascii.sextractor")


def sextract_image(image, threshold):
    """Positions and isophotal fluxes of SExtractor's sources, and its limiting flux."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.fits"
        fits.writeto(path, np.asarray(image, np.float32))
        found = sextract(Path(folder), path, DETECT_THRESH=threshold)
    limit = 1.5 * found["THRESHOLD"][0] * SETTINGS["DETECT_MINAREA"]
    positions = np.column_stack([found["X_IMAGE"] - 1, found["Y_IMAGE"] - 1])
    return positions, np.asarray(found["FLUX_ISO"]), limit


def percentage(positions, others):
    """Percentage of positions within a pixel of another one."""
    return 100 * np.mean(KDTree(others).query(positions)[0] < 1) if len(positions) else np.nan


def compare(name, image, threshold):
    """Print the fraction of bright sources of each in the other."""
    theirs, flux, limit = sextract_image(image, threshold)
    bright = theirs[flux > limit]
    line = f"{name:<30}{threshold:>3} sigma{len(theirs):>7}{len(bright):>7}"
    for method in METHODS:
        found = find_sources(image, threshold=threshold, method=method)
        ours = np.column_stack([found["x"], found["y"]])
        fractions = percentage(bright, ours), percentage(ours[found["flux"] > limit], theirs)
        line += f"{len(found):>14}{fractions[0]:>7.1f}{fractions[1]:>7.1f}"
    mirrored = np.array(image)
    mirrored[:MIRRORED] = mirrored[:MIRRORED, ::-1]
    again = sextract_image(mirrored, threshold)[0]
    print(f"{line}{percentage(bright[bright[:, 1] > COMPARED], again):>10.1f}", flush=True)


def match(arguments):
    """Compare the sources in all images."""
    print(f"{'':<39}{'SExtr.':>7}{'bright':>7}", end="")
    for method in METHODS:
        print(f"{method:>14}{'theirs':>7}{'ours':>7}", end="")
    print(f"{'itself':>10}")
    path = data_path("gal_hst_hdfs_f606w", "HST-HDFS.fits")
    for threshold in (20, 10, 5):
        compare("HDF-South F606W", fits.getdata(path), threshold)
    for density in (3e-4, 1.5e-3):
        images = simulate_field(like=LIKE, shape=(1500, 1500), seed=1, density=density).images
        for threshold in (20, 10, 5):
            compare(f"simulated V, {density:g} a pixel", images["V"].data, threshold)
            compare("simulated white light", white_light(images).data, threshold)


def draw_tile(seed):
    """Tile of the mosaic, shape (5, TILE, TILE)."""
    shape = (TILE, TILE)
    images = simulate_field(like=LIKE, shape=shape, seed=seed, density=5e-4).images
    return np.array([band.data for band in images.values()])


def make_mosaic(folder, size):
    """Write the files of the five bands and of white light unless they exist."""
    paths = [folder / f"{name.lower()}_{size}.fits" for name in (*FILTERS, "white")]
    if all(path.exists() for path in paths):
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        tiles = list(pool.map(draw_tile, range(N_TILES)))
    mosaic = np.empty((len(FILTERS), size, size), np.float32)
    rng = np.random.default_rng(1)
    for y in range(0, size, TILE):
        for x in range(0, size, TILE):
            tile = np.rot90(tiles[rng.integers(N_TILES)], rng.integers(4), axes=(1, 2))
            mosaic[:, y : y + TILE, x : x + TILE] = tile
    exposures = observe_like(LIKE, rng, np.ones(len(FILTERS))).exposure_times
    for path, pixels, exposure in zip(paths, mosaic, exposures, strict=False):
        header = fits.Header({"EXPTIME": exposure, "BUNIT": "electron / s"})
        fits.writeto(path, pixels, header, overwrite=True)
    white = white_light(ImageSet(dict(zip(FILTERS, mosaic, strict=True))))
    fits.writeto(paths[-1], white.data, overwrite=True)
    return paths


def measure_ours(paths, *, method=METHODS[0], workers=1):
    """Sources of the bands in five files, and the seconds of each step."""
    times = [time.perf_counter()]
    images = ImageSet(dict(zip(FILTERS, map(str, paths), strict=True)))
    white = white_light(images)
    times.append(time.perf_counter())
    sources = find_sources(white, method=method, workers=workers)
    times.append(time.perf_counter())
    sources = recenter(sources, images["V"])
    apertures = Apertures(radius=(4, 1, 3))
    sources = measure_photometry(sources, images, apertures=apertures, workers=workers)
    times.append(time.perf_counter())
    return sources, np.diff(times)


def run_ours(arguments):
    """Run in a separate process to measure its memory."""
    paths = make_mosaic(arguments.folder, arguments.size)[:-1]
    sources, times = measure_ours(paths, method=arguments.method, workers=os.cpu_count())
    print(len(sources), *times)


def memory_of(pid):
    """Memory of a process and its children in GB, shared pages counted once."""
    total, waiting = 0, [pid]
    while waiting:
        pid = waiting.pop()
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:  # it has ended in the meantime
            continue
    return total / 1e9


def watch(process, peak):
    """Record the peak memory of a process and its children."""
    while process.poll() is None:
        peak[0] = max(peak[0], memory_of(process.pid))
        time.sleep(0.2)


def speed(arguments):
    """Time SExtractor and astroclust on the mosaic."""
    *paths, white = make_mosaic(arguments.folder, arguments.size)
    for path in (*paths, white):
        path.read_bytes()  # so that files are cached for both
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            theirs = sextract(Path(folder), white, path)
    their_time = time.perf_counter() - start
    print(f"{arguments.size} x {arguments.size} pixels, five bands, {os.cpu_count()} cores")
    print(f"SExtractor, five times dual  {len(theirs):>7} sources {their_time:>7.1f} s")
    for method in METHODS:
        command = [
            sys.executable,
            Path(__file__).resolve(),
            "ours",
            "--folder",
            arguments.folder,
            "--size",
        ]
        command += [arguments.size, "--method", method]
        start = time.perf_counter()
        process = subprocess.Popen(map(str, command), stdout=subprocess.PIPE, text=True)
        peak = [0.0]
        watcher = threading.Thread(target=watch, args=(process, peak))
        watcher.start()
        n, *times = process.communicate()[0].split()
        our_time = time.perf_counter() - start
        watcher.join()
        print(
            f"astroclust, {method:<16} {n:>7} sources {our_time:>7.1f} s  (white light, detection "
            f"and photometry {', '.join(f'{float(one):.1f}' for one in times)}, the rest is "
            f"imports); ratio {our_time / their_time:.2f}; peak memory {peak[0]:.2f} GB"
        )


def main():
    """Run the requested part."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(required=True)
    for name, run in (("match", match), ("speed", speed), ("ours", run_ours)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        if run is run_ours:
            command.add_argument("--method", choices=METHODS, default=METHODS[0])
        if run is not match:
            command.add_argument("--folder", type=Path, default=FOLDER)
            command.add_argument("--size", type=int, default=8000)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
