# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure the speed of astroclust relative to alternatives timed in the same run.

By default, all measurements are made, which takes a quarter of an hour and 2 GB of disk space.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import sep
import sextractor
import torch
from astropy.io import fits
from astropy.table import Table
from scipy.ndimage import gaussian_filter
from torch.utils.flop_counter import FlopCounterMode

from astroclust import (
    ImageSet,
    Stamps,
    classify_table,
    load_classifier,
    make_stamps,
    white_light,
)
from astroclust.classification import Tasks
from astroclust.instruments import LEGUS_BANDS
from astroclust.networks import choose_precision, create_network
from astroclust.stamps import normalize_stamps
from astroclust.stamps.cutting import cut_stamps
from astroclust.stamps.reference import cut_with_cutout2d
from astroclust.weights import Classifier, ModelCard

FILTERS = ("F275W", "F336W", "F438W", "F555W", "F814W")
ROUNDS = 3
CLOCK = time.perf_counter


def instruction_sets():
    """Describe the processor of this machine and its vector instructions."""
    known = torch.cpu.get_capabilities()
    sets = ("avx2", "avx512_f", "avx512_bf16", "amx_bf16", "amx_fp16")
    return ", ".join([known["cpu_name"], *(name for name in sets if known.get(name))])


def write_mosaics(folder, shape):
    """Write five mosaics of noise."""
    rng = np.random.default_rng(1)
    paths = {}
    for name in FILTERS:
        paths[name] = folder / f"{name.lower()}-{shape[0]}.fits"
        pixels = rng.standard_normal(shape, np.float32)
        fits.writeto(paths[name], pixels, overwrite=True)
    return paths


def random_table(n, shape):
    """Random positions in an image."""
    rng = np.random.default_rng(2)
    return Table({"x": rng.uniform(0, shape[1], n), "y": rng.uniform(0, shape[0], n)})


def processor_time():
    """CPU seconds of this process and of its finished child processes."""
    return sum(os.times()[:4])


def seconds(function, *arguments, **options):
    """Duration of a call in seconds."""
    start = CLOCK()
    function(*arguments, **options)
    return CLOCK() - start


def in_turn(*functions):
    """Median times of functions that are called in turn, after a first call of each."""
    for function in functions:
        function()
    times = [[seconds(function) for function in functions] for _ in range(ROUNDS)]
    return np.median(times, axis=0)


def random_classifier(architecture):
    """Classifier with random weights, as fast as a trained one."""
    card = ModelCard("random", architecture, "nothing", max_missing_bands=4)
    return Classifier(card, [create_network(architecture, weights="none")])


def against_starcnet(folder):
    """The bundled classifier against a StarcNet-shaped network as published, images to table."""
    shape = (2000, 2000)
    images = ImageSet.read(write_mosaics(folder, shape))
    ours, starcnet = load_classifier(), random_classifier("starcnet")
    many, few = random_table(5000, shape), random_table(128, shape)
    stamps = make_stamps(few, images)
    pixels, present = torch.from_numpy(normalize_stamps(stamps)), torch.ones(len(few), 5)

    def published():
        """Run the network alone, eagerly and in float32, on batches of existing stamps."""
        with torch.inference_mode():
            for batch in pixels.contiguous().split(64):
                starcnet.networks[0](batch, present[: len(batch)])

    def in_our_pipeline(precision):
        return lambda: classify_table(few, images, model=starcnet, precision=precision)

    times = in_turn(
        lambda: classify_table(many, images, model=ours),
        published,
        in_our_pipeline("float32"),
        in_our_pipeline("auto"),
    )
    fast, *slow = times / [len(many), *[len(few)] * 3]
    names = ("as published", "in our pipeline in fp32", "in our pipeline in the same precision")
    parts = [
        f"{name} {1e3 * one:.1f} ms, {one / fast:.1f} times"
        for name, one in zip(names, slow, strict=True)
    ]
    precision = ours.prepared().precision
    text = f"{1e3 * fast:.3f} ms an object in {precision}; StarcNet-shaped {'; '.join(parts)}"
    return text, slow[0] / fast


def peak_rate(dtype):
    """Best rate of matrix products and convolutions of several shapes, in floating-point GFLOP/s.

    No single one is the limit of a machine: libraries are tuned for some shapes.
    """
    tasks = []
    for size in (512, 1024, 2048, 4096):
        matrix = torch.rand(size, size, dtype=dtype)
        tasks.append((2 * size**3, partial(torch.mm, matrix, matrix)))
        if dtype == torch.float32:
            tasks.append((2 * size**3, partial(np.matmul, matrix.numpy(), matrix.numpy())))
    for channels, width, kernel in (
        (64, 56, 3),
        (128, 28, 3),
        (256, 14, 3),
        (512, 7, 3),
        (256, 28, 1),
    ):
        pixels, weights = (
            torch.rand(8, channels, width, width),
            torch.rand(channels, channels, kernel, kernel),
        )
        pixels, weights = (
            each.to(dtype, memory_format=torch.channels_last) for each in (pixels, weights)
        )
        work = 2 * pixels.numel() * weights[0].numel()
        convolve = partial(torch.conv2d, pixels, weights, padding=kernel // 2)
        tasks.append((work, convolve))
    with torch.inference_mode():
        for _, task in tasks:
            task()
        times = [min(seconds(task) for _ in range(5)) for _, task in tasks]
    return max(work / one for (work, _), one in zip(tasks, times, strict=True)) / 1e9


def against_peak(_):
    """The dual ResNet18 at 299 pixels against the best rate of products and convolutions."""
    n = 8
    stamps = Stamps(np.random.default_rng(1).random((n, 5, 50, 50)), LEGUS_BANDS.roles)
    classifier = random_classifier("resnet18")
    with FlopCounterMode(display=False) as counter:
        classifier.networks[0](torch.zeros(1, 5, 50, 50), torch.ones(1, 5))
    work = n * counter.get_total_flops() / 1e9
    parts, ratios = [], []
    for precision in dict.fromkeys(("float32", choose_precision(torch.device("cpu")))):
        ready = classifier.prepared(precision=precision)
        ready.probabilities(stamps)
        rounds = [
            (work / seconds(ready.probabilities, stamps), peak_rate(getattr(torch, precision)))
            for _ in range(ROUNDS)
        ]
        rate, peak = np.max(rounds, axis=0)
        ratios.append(rate / peak)
        parts.append(f"{precision} {rate:.0f} GFLOP/s, peak {peak:.0f}, {ratios[-1]:.2f}")
    return "; ".join(parts), min(ratios)


def against_cutouts(folder):
    """Stamps cut in blocks against a loop with Cutout2D, which yields equal pixels."""
    shape = (2000, 2000)
    images = ImageSet.read(write_mosaics(folder, shape))
    bands = list(images.values())
    x, y = (np.array(random_table(1000, shape)[name]) for name in "xy")
    fast, slow = in_turn(
        lambda: cut_stamps(x, y, bands, 50), lambda: cut_with_cutout2d(x, y, bands, 50)
    )
    np.testing.assert_array_equal(
        cut_stamps(x, y, bands, 50)[0], cut_with_cutout2d(x, y, bands, 50)[0]
    )
    both = 1e6 * np.array([fast, slow]) / len(x)
    return "{:.0f} us a stamp of five bands, loop {:.0f}".format(*both), slow / fast


def classify_many(paths, n, shape):
    """Seconds and memory of a classification in a separate process."""
    # Dask clusters set these variables for their workers, but also for this process.
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    code = "import sys; from speed import report_one; report_one(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(n), str(shape[0]), *map(str, paths.values())]
    run = subprocess.run(
        command,
        cwd=Path(__file__).parent,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return map(float, run.stdout.split())


def report_one(n, width, *paths):
    """Print the duration of a classification in seconds, and the peak memory in GB."""
    images = ImageSet.read(dict(zip(FILTERS, paths, strict=True)))
    table = random_table(int(n), (int(width), int(width)))
    classify_table(table[:256], images)
    spent = seconds(classify_table, table, images)
    print(spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def many_rows(folder):
    """200,000 rows against 20,000, on five mosaics of 8000 x 8000 pixels."""
    shape = (8000, 8000)
    paths = write_mosaics(folder, shape)
    few, _ = classify_many(paths, 20_000, shape)
    many, memory = classify_many(paths, 200_000, shape)
    return f"{many:.0f} s and {memory:.2f} GB, 20,000 rows {few:.1f} s", many / few


def matrix_products(_):
    """Multiply matrices for about a second, to measure the peak rate of a core."""
    matrix = torch.rand(2048, 2048)
    for _ in range(5):
        matrix @ matrix


def two_workers(folder):
    """One Dask worker against two, with one thread each."""
    import dask
    from distributed import Client, LocalCluster

    from astroclust import classify_fields

    # `classify_fields` sets this for its own workers.
    dask.config.set({"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None})

    shape = (2000, 2000)
    paths = write_mosaics(folder, shape)
    random_table(4000, shape).write(folder / "candidates.ecsv", overwrite=True)
    fields = Table({name: [str(path)] * 4 for name, path in paths.items()})
    fields["field"], fields["catalog"] = list("abcd"), str(folder / "candidates.ecsv")
    times, products = {1: [], 2: []}, {1: [], 2: []}
    for n_workers in (1, 2, 1, 2):
        with (
            LocalCluster(
                n_workers=n_workers, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            Client(cluster) as client,
        ):
            options = {"tasks": Tasks(client, rows=1000), "overwrite": True}
            classify_fields(
                fields[:2], folder / "out", **options
            )  # to exclude what is loaded only once
            times[n_workers].append(seconds(classify_fields, fields, folder / "out", **options))
            products[n_workers].append(
                seconds(lambda at: at.gather(at.map(matrix_products, range(8), pure=False)), client)
            )
    one, two = min(times[1]), min(times[2])
    ceiling = min(products[1]) / min(products[2])
    text = f"{two:.1f} s, one {one:.1f} s, for 16,000 rows of 4 fields; matrix products alone gain"
    return f"{text} {ceiling:.2f}", one / two


def on_gpu(folder):
    """On a GPU: the bundled classifier end to end, and the dual ResNet18, against the CPU."""
    if not torch.cuda.is_available():
        return "no GPU is available", np.nan
    shape = (4000, 4000)
    images = ImageSet.read(write_mosaics(folder, shape))
    many, few = random_table(200_000, shape), random_table(5000, shape)
    fast, slow = in_turn(
        lambda: classify_table(many, images, device="cuda"),
        lambda: classify_table(few, images, device="cpu"),
    )
    alone = {}
    for name, n in (("simulated-3", 8192), ("resnet18", 512)):
        classifier = load_classifier() if name == "simulated-3" else random_classifier(name)
        classifier = classifier.prepared("cuda")
        stamps = make_stamps(many[:n], images)
        classifier.probabilities(stamps)
        alone[name] = n / min(seconds(classifier.probabilities, stamps) for _ in range(5))
    rates = ", ".join(f"{name} {rate:.0f}" for name, rate in alone.items())
    total = len(many) / fast
    return f"{total:.0f} stamps a second end to end; alone: {rates}", total / (len(few) / slow)


def start_up(_):
    """Import of the package, and help of the command, against a bare interpreter."""

    def run(code):
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

    bare, package = in_turn(run("pass"), run("import astroclust"))
    _, command = in_turn(
        run("pass"), run("from astroclust.cli import main\ntry: main(['-h'])\nexcept SystemExit: 0")
    )
    return f"import {package:.2f} s, astroclust -h {command:.2f} s", package / bare


def small_calls(folder):
    """Calls with 1, 10 and 100 rows, once the classifier and the images are loaded."""
    shape = (2000, 2000)
    paths, classifier = write_mosaics(folder, shape), load_classifier()
    pixels = {name: fits.getdata(path) for name, path in paths.items()}
    numbers = (1, 10, 100)
    texts = []
    for name, images in (("in memory", ImageSet.of(pixels)), ("in files", ImageSet.read(paths))):
        calls = [
            partial(classify_table, random_table(n, shape), images, model=classifier)
            for n in numbers
        ]
        times = in_turn(*calls)
        texts.append(f"{name} {', '.join(f'{1e3 * one:.0f}' for one in times)} ms")
    return f"{'; '.join(texts)} (wanted: below 50)", times[-1] / times[0]


def write_stars(folder, size, n):
    """Write five mosaics of stars and noise and their white light, as for ``sextractor.py``."""
    rng = np.random.default_rng(3)
    y, x = rng.integers(0, size, (2, n))
    mosaics = {}
    for name in FILTERS:
        stars = np.zeros((size, size), np.float32)
        stars[y, x] = rng.lognormal(7, 1, n)
        noise = rng.standard_normal((size, size), np.float32)
        mosaics[name] = gaussian_filter(stars, 1) + noise
    mosaics["white"] = white_light(ImageSet.of(mosaics)).data
    paths = [folder / f"{name.lower()}_{size}.fits" for name in mosaics]
    header = fits.Header({"EXPTIME": 1000.0, "BUNIT": "electron / s"})
    for path, pixels in zip(paths, mosaics.values(), strict=True):
        fits.writeto(path, pixels, header)
    return paths


def forget(paths):
    """Drop files from the page cache."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure_with_sep(paths):
    """Detection in the last file, and photometry in the others, with ``sep`` alone."""
    *bands, white = (fits.getdata(path).astype(np.float32) for path in paths)
    cells = {"bw": 30, "bh": 30, "fw": 1, "fh": 1}
    background = sep.Background(white, **cells)
    found = sep.extract(white - background.back(), 20, err=background.globalrms, minarea=10)
    for pixels in bands:
        noise = sep.Background(pixels, **cells).globalrms
        for radius in (4, 1, 3):
            sep.sum_circle(
                pixels, found["x"], found["y"], radius, err=noise, bkgann=(7, 8), subpix=0
            )


def against_sextractor(folder):
    """White light, detection and five-band photometry against SExtractor, without white light."""
    size = 2000
    *paths, white = write_stars(folder, size, 2500)

    def theirs():
        for path in paths:
            sextractor.sextract(folder, white, path)

    def in_new_process():
        script = Path(sextractor.__file__).resolve()
        command = [sys.executable, script, "ours", "--folder", folder, "--size", str(size)]
        subprocess.run(command, check=True, capture_output=True)

    def cold(function):
        forget([*paths, white])
        function()

    one, several = (partial(sextractor.measure_ours, paths, workers=n) for n in (1, os.cpu_count()))
    alone = partial(measure_with_sep, [*paths, white])
    times = in_turn(one, several, theirs, alone)
    new, cold_slow = in_turn(partial(cold, in_new_process), partial(cold, theirs))
    text = "{:.2f} s in one process, {:.2f} s with {} workers, SExtractor {:.2f} s, sep alone "
    text += "{:.2f} s; with cold files {:.2f} s in a new process, SExtractor {:.2f} s"
    numbers = (*times[:2], os.cpu_count(), *times[2:], new, cold_slow)
    return text.format(*numbers), min(times[:2]) / times[2]


def cold_mosaics(folder):
    """Stamps of 20,000 rows from five uncached files, against reading these files once."""
    shape = (8000, 8000)
    paths = write_mosaics(folder, shape)
    table = random_table(20_000, shape)
    table.sort("y")
    parts = [table[start : start + 256] for start in range(0, len(table), 256)]

    def read_once():
        buffer = bytearray(1 << 22)
        for path in paths.values():
            with open(path, "rb", buffering=0) as file:
                while file.readinto(buffer):
                    pass

    def cut():
        images = ImageSet.read(paths)
        for part in parts:
            make_stamps(part, images)

    def cold(function):
        forget(paths.values())
        return seconds(function)

    cut()
    times = np.median([[cold(read_once), cold(cut), seconds(cut)] for _ in range(ROUNDS)], axis=0)
    text = "reading {:.2f} s, stamps {:.2f} s, in memory {:.2f} s".format(*times)
    return text, times[1] / (times[0] + times[2])


#: Function of each measurement, and the required ratio.
LINES = {
    "a": (
        against_starcnet,
        "at least 80 with AVX-512-BF16 and 45 with AVX2; in our pipeline in fp32, 45 and 40",
    ),
    "b": (against_peak, "at least 0.75"),
    "c": (against_cutouts, "at least 16"),
    "d": (many_rows, "at most 10.5, and 2 GB"),
    "e": (two_workers, "at least 1.7"),
    "f": (on_gpu, ""),
    "g": (start_up, ""),
    "h": (small_calls, ""),
    "i": (against_sextractor, "at most 0.7"),
    "j": (cold_mosaics, "of reading plus cutting in memory, at most 1"),
}


def main():
    """Make the measurements, and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "lines", nargs="*", default=list(LINES), help="measurements, a to j (default: all)"
    )
    parser.add_argument(
        "--cpu",
        action="store_true",
        help="measure CPU time, including that of child processes, instead of elapsed time, for "
        "use on shared machines (except d and e)",
    )
    arguments = parser.parse_args()
    if arguments.cpu:
        global CLOCK
        CLOCK = processor_time
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {instruction_sets()}")
    for name in arguments.lines:
        measure, wanted = LINES[name]
        with TemporaryDirectory() as folder:
            text, ratio = measure(Path(folder))
        print(
            f"({name}) {measure.__doc__.splitlines()[0]} {text}: ratio {ratio:.2f}"
            + (f" ({wanted})" if wanted else ""),
            flush=True,
        )


if __name__ == "__main__":
    main()
