# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Measure speeds on a GPU.

Each measurement takes about ``--seconds``. If one fails, its error is printed, and the next one is
made. Mosaics and stamps consist of noise; the weights are those in the package or random.
"""

import argparse
import os
import signal
import sys
import time
import traceback
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import lightning
import numpy as np
import torch
from astropy.io import fits
from astropy.table import Table
from torch.utils.flop_counter import FlopCounterMode

from astroclust import ImageSet, Stamps, classify_table, load_classifier, make_stamps
from astroclust.classification import predictions
from astroclust.instruments import LEGUS_BANDS
from astroclust.networks import create_network
from astroclust.stamps import normalize_pixels
from astroclust.stamps.device import DeviceMosaic, DeviceStamps
from astroclust.training import AUGMENTATIONS, Sample, find_recipe, fitting, train_classifier
from astroclust.training.domains import Batches, Domain
from astroclust.weights import Classifier, ModelCard

FILTERS = ("F275W", "F336W", "F438W", "F555W", "F814W")


class OutOfTimeError(Exception):
    """A measurement takes too long; not an OSError, which the package would reword."""


@dataclass
class Settings:
    """Settings of the measurements."""

    device: torch.device
    seconds: float  # for the timing of a measurement
    limit: float  # seconds after which a measurement is stopped
    folder: Path
    width: int = 6000  # of the mosaics
    rows: int = 500_000
    few: int = 20_000  # rows for slower measurements
    batches: tuple = (4096, 16384)
    pictures: int = 256  # stamps per batch for networks designed for pictures
    resized: str = ""  # width to which these resize stamps, such as "@64"; by default 299 pixels
    sample: int = 8192
    first_step: int = 10  # first step to be timed
    matrices: tuple = (4096, 8192)

    @property
    def short(self):
        """Seconds for each of several timings in a measurement."""
        return self.seconds / 8


QUICK = {
    "width": 300,
    "rows": 200,
    "few": 100,
    "batches": (64,),
    "pictures": 2,
    "resized": "@64",
    "first_step": 1,
    "sample": 200,
    "matrices": (512,),
}


def synchronize(device):
    """Wait for the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def best(function, at, *, seconds):
    """Minimum duration of a call, from at least two calls and as many as fit into the time."""
    function()
    synchronize(at.device)
    times, end = [], time.perf_counter() + seconds
    while len(times) < 2 or time.perf_counter() < end:
        start = time.perf_counter()
        function()
        synchronize(at.device)
        times.append(time.perf_counter() - start)
    return min(times)


def random_classifier(architecture):
    """Classifier with random weights, which is as fast as a trained one."""
    card = ModelCard("random", architecture, "nothing", max_missing_bands=4)
    return Classifier(card, [create_network(architecture, weights="none")])


def random_table(n, width):
    """Random positions in an image."""
    rng = np.random.default_rng(2)
    return Table({"x": rng.uniform(0, width, n), "y": rng.uniform(0, width, n)})


def random_stamps(n, device, classifier):
    """Stamps of noise on the device."""
    size, bands = classifier.card.stamp_size, classifier.card.bands
    data = torch.randn((n, len(bands), size, size), device=device)
    return DeviceStamps(data, bands, np.ones((n, len(bands)), bool), np.zeros(n, np.int32))


def write_mosaics(at):
    """Read five mosaics of noise, writing the files if they do not exist."""
    paths = {name: at.folder / f"{name.lower()}.fits" for name in FILTERS}
    if not all(path.exists() for path in paths.values()):
        pixels = np.random.default_rng(1).standard_normal((at.width, at.width), np.float32)
        for shift, path in enumerate(paths.values()):
            fits.writeto(path, np.roll(pixels, 1000 * shift), overwrite=True)
    return ImageSet.read(paths)


def rate_of(classifier):
    """Floating-point operations for one stamp."""
    size, n_bands = classifier.card.stamp_size, len(classifier.card.bands)
    network = classifier.networks[0]
    like = next(network.parameters())
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, n_bands, size, size).to(like), torch.ones(1, n_bands).to(like))
    return counter.get_total_flops()


def limits(at):
    """Peak rates of this device: matrix products in each precision, and copies in memory."""
    for kind in (torch.float16, torch.bfloat16, torch.float32):
        rates = []
        for size in at.matrices:
            matrix = torch.randn((size, size), device=at.device, dtype=kind)
            spent = best(lambda m=matrix: m @ m, at, seconds=at.short / 2)
            rates.append(2 * size**3 / spent)
        at.peak[kind] = max(rates)
        yield f"matrix products in {str(kind).split('.')[-1]} {max(rates) / 1e12:.2f} TFLOP/s"
    values = torch.zeros(max(at.matrices) ** 2, device=at.device)
    spent = best(values.clone, at, seconds=at.short / 2)
    yield f"copies in memory {2 * values.nbytes / spent / 1e9:.0f} GB/s"


def equal_stamps(at):
    """Check that stamps cut on the device equal those of make_stamps, with bad pixels and edges."""
    images = write_mosaics(at)
    data = {name: np.array(band.data[:600, :700]) for name, band in images.items()}
    data["F555W"][::50, ::60] = np.nan
    data["F814W"][:, 300:] = 0
    images, table = ImageSet(data), random_table(2000, 650)
    wanted = make_stamps(table, images)
    mosaic = DeviceMosaic(*_positions(table), images, wanted.bands, 50, at.device)
    found = mosaic.cut(np.arange(len(table)))
    pairs = (wanted.data, found.data.cpu().numpy()), (wanted.flags, found.flags)
    equal = all(np.array_equal(*pair, equal_nan=True) for pair in pairs)
    yield f"{len(table)} stamps are {'equal' if equal else 'NOT EQUAL'}"


def _positions(table):
    return (np.array(table[name]) for name in "xy")


def upload(at):
    """Upload of five mosaics from files in the page cache, and stamps gathered from them."""
    images = write_mosaics(at)
    x, y = _positions(random_table(max(at.batches), at.width))
    spent = best(
        lambda: DeviceMosaic(x, y, images, LEGUS_BANDS.roles, 50, at.device),
        at,
        seconds=at.short,
    )
    n_bytes = 4 * len(images) * at.width**2
    yield f"upload {spent:.3f} s, {n_bytes / spent / 1e9:.2f} GB/s"
    mosaic = DeviceMosaic(x, y, images, LEGUS_BANDS.roles, 50, at.device)
    for n in at.batches:
        rows = np.arange(n)
        spent = best(lambda rows=rows: mosaic.cut(rows), at, seconds=at.short)
        yield f"gathered in batches of {n}: {n / spent:.0f} stamps/s"


def end_to_end(at):
    """The bundled classifier, from files in the page cache to the table."""
    images, classifier = write_mosaics(at), load_classifier()
    table = random_table(at.rows, at.width)
    classify_table(table[:100], images, model=classifier, device=at.device)
    for size in at.batches:
        start = time.perf_counter()
        classify_table(table, images, model=classifier, device=at.device, batch_size=size)
        spent = time.perf_counter() - start
        yield f"{len(table)} rows in batches of {size}: {len(table) / spent:.0f} stamps/s"


def host_stamps(at):
    """The bundled classifier with stamps cut in host memory, and on the CPU alone."""
    images, classifier = write_mosaics(at), load_classifier()
    table = random_table(at.few, at.width)
    for name, device in (("stamps from the host", at.device), ("CPU", torch.device("cpu"))):
        rows = table if name != "CPU" else table[: at.few // 4]
        with patch.object(predictions, "upload_mosaic", lambda *_: None):
            start = time.perf_counter()
            classify_table(rows, images, model=classifier, device=device)
            spent = time.perf_counter() - start
        yield f"{name}: {len(rows)} rows, {len(rows) / spent:.0f} stamps/s"


def bundled_network(at):
    """The bundled classifier on stamps in the memory of the device."""
    classifier = load_classifier().prepared(at.device)
    yield from network_alone(at, classifier, at.batches)


def resnet18(at):
    """Dual ResNet18 at 299 pixels, on stamps in the memory of the device."""
    yield from network_for_pictures(at, "resnet18")


def vgg19_bn(at):
    """Dual VGG19-BN at 299 pixels, on stamps in the memory of the device."""
    yield from network_for_pictures(at, "vgg19_bn")


def network_for_pictures(at, name):
    """Measure a network that resizes stamps."""
    classifier = random_classifier(name + at.resized).prepared(at.device)
    yield from network_alone(at, classifier, [at.pictures])


def network_alone(at, classifier, sizes):
    """Measure the probabilities with normalization, and one network alone."""
    work, members = rate_of(classifier), len(classifier.networks)
    yield f"{work / 1e9:.3f} GFLOP a stamp and network, {members} networks"
    for n in sizes:
        stamps = random_stamps(n, at.device, classifier)
        spent = best(lambda one=stamps: classifier.probabilities(one), at, seconds=at.short)
        yield speed(at, f"batches of {n}, all with normalization", n, spent, members * work)
        network, pixels, present = inputs(classifier, stamps)
        spent = best(lambda: forward(network, pixels, present), at, seconds=at.short)  # noqa: B023
        yield speed(at, f"batches of {n}, one network alone", n, spent, work)


def inputs(classifier, stamps):
    """First network of a classifier, and normalized stamps."""
    present = torch.from_numpy(stamps.present).to(stamps.data.device)
    pixels = normalize_pixels(stamps.data, present, classifier.card.normalization)
    return classifier.networks[0], pixels, present.to(pixels.dtype)


def forward(network, pixels, present, *, cache=True):
    """Scores in mixed precision on a GPU, as the classifier computes them."""
    kind = pixels.device.type
    with (
        torch.inference_mode(),
        torch.autocast(kind, enabled=kind == "cuda", cache_enabled=cache),
    ):
        return network(pixels, present)


def speed(at, what, n, spent, work):
    """Describe a rate, with its fraction of the peak rate if that was measured."""
    kind = torch.float16 if at.device.type == "cuda" else torch.float32
    text = f"{what}: {n / spent:.0f} stamps/s, {n * work / spent / 1e12:.2f} TFLOP/s"
    return f"{text}, {n * work / spent / at.peak[kind]:.2f} of peak" if kind in at.peak else text


def half_weights(at):
    """The bundled network with weights in 16 bits, instead of mixed precision."""
    for kind in (torch.float16, torch.bfloat16):
        classifier = load_classifier().prepared(at.device)
        work = rate_of(classifier)
        n = max(at.batches)
        network, pixels, present = inputs(classifier, random_stamps(n, at.device, classifier))
        wanted = network(pixels[:64], present[:64]).softmax(dim=-1)
        network, pixels, present = network.to(kind), pixels.to(kind), present.to(kind)
        with torch.inference_mode():
            spent = best(lambda: network(pixels, present), at, seconds=at.short)  # noqa: B023
            found = network(pixels[:64], present[:64]).float().softmax(dim=-1)
        text = speed(at, f"{str(kind).split('.')[-1]}, batches of {n}", n, spent, work)
        yield f"{text}, largest change of a probability {(found - wanted).abs().max():.4f}"


def graphs(at):
    """The bundled network recorded once as a CUDA graph, and replayed."""
    if at.device.type != "cuda":
        yield "no GPU is available"
        return
    classifier = load_classifier().prepared(at.device)
    work = rate_of(classifier)
    for n in (256, *at.batches):
        network, pixels, present = inputs(classifier, random_stamps(n, at.device, classifier))
        eager = best(lambda: forward(network, pixels, present), at, seconds=at.short)  # noqa: B023
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                forward(network, pixels, present, cache=False)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            scores = forward(network, pixels, present, cache=False)
        spent = best(graph.replay, at, seconds=at.short)
        change = (scores - forward(network, pixels, present)).abs().max().item()
        text = speed(at, f"batches of {n}", n, spent, work)
        yield f"{text}, {eager / spent:.2f} times eager, scores change by {change:.1e}"


def compiled(at):
    """The bundled network after compilation, and the time that compilation takes."""
    if at.device.type != "cuda":
        yield "no GPU is available"
        return
    classifier = load_classifier().prepared(at.device)
    work, n = rate_of(classifier), max(at.batches)
    network, pixels, present = inputs(classifier, random_stamps(n, at.device, classifier))
    eager = best(lambda: forward(network, pixels, present), at, seconds=at.short)
    quick = torch.compile(network)
    start = time.perf_counter()
    forward(quick, pixels, present)
    synchronize(at.device)
    begun = time.perf_counter() - start
    spent = best(lambda: forward(quick, pixels, present), at, seconds=at.short)
    text = speed(at, f"batches of {n}", n, spent, work)
    yield f"{text}, {eager / spent:.2f} times eager, after {begun:.1f} s"


def training_stamps(at):
    """Stars of many brightnesses in noise, and random classes."""
    rng = np.random.default_rng(3)
    few = rng.normal(size=(128, 5, 50, 50))
    y, x = np.mgrid[:50, :50] - 25
    peaks = 10 ** rng.uniform(0.5, 2.5, (128, 5, 1, 1))
    few += peaks * np.exp(-(x**2 + y**2) / 8)
    data = np.resize(few.astype(np.float32), (at.sample, 5, 50, 50))
    return Stamps(data, LEGUS_BANDS.roles), rng.integers(1, 5, at.sample)


def augmentation(at):
    """Augmented and normalized batches of the native recipe, without training."""
    stamps, labels = training_stamps(at)
    targets = np.eye(4, dtype=np.float32)[labels - 1]
    domain = Domain(stamps, targets, np.arange(len(stamps)), stamps.size)
    for size in (64, 512):
        for device in (torch.device("cpu"), at.device):
            batches = Batches([domain], replace(find_recipe("native"), batch_size=size), seed=1)
            batches.epoch, batches.device = lambda: 0, device
            numbers = cycle(range(len(batches)))
            spent = best(lambda b=batches, n=numbers: b[next(n)], at, seconds=at.short)
            yield f"on {device.type}, batches of {size}: {size / spent:.0f} stamps/s"


def equal_batches(at):
    """Compare batches augmented on the device with those of the CPU, except for their noise."""
    stamps, labels = training_stamps(at)
    targets = np.eye(4, dtype=np.float32)[labels - 1]
    for name in AUGMENTATIONS:
        domain = Domain(stamps, targets, np.arange(len(stamps)), 40, augmentation=name)
        pixels = []
        for device in ("cpu", at.device):
            batches = Batches([domain], find_recipe("native"), seed=1)
            batches.epoch, batches.device = lambda: 0, torch.device(device)
            pixels.append(batches[1][0].cpu())
        change = (pixels[1] - pixels[0]).abs()
        text = f"{name}: scatter {pixels[0].std():.3f}, changes {change.mean():.1e}"
        yield f"{text}, at most {change.max():.1e}"


def training(at):
    """Training steps of the native network, with augmentation."""
    yield from training_steps(at, find_recipe("native"))


def training_large(at):
    """Training steps of the native network with 512 stamps per batch, with augmentation."""
    yield from training_steps(at, replace(find_recipe("native"), batch_size=512))


def training_wei2020(at):
    """Training steps of the dual ResNet18, with augmentation."""
    recipe = find_recipe("wei2020")
    yield from training_steps(at, replace(recipe, architecture=recipe.architecture + at.resized))


def training_steps(at, recipe):
    """Measure training steps per second, excluding the start-up."""
    sample, clock = Sample(*training_stamps(at), description="noise"), Clock(at)
    recipe = replace(recipe, weights="none", validation_fraction=0, patience=None, keep_best=False)
    start, callbacks = time.perf_counter(), fitting._callbacks
    with (
        patch.object(fitting, "_callbacks", lambda *settings: [*callbacks(*settings), clock]),
        suppress(EnoughError),
    ):
        train_classifier(sample, name="timed", recipe=replace(recipe, batches=10_000))
    times = np.array(clock.times)
    rates = (len(times) - 1) / (times[-1] - times[0]), 1 / np.median(np.diff(times))
    yield (
        f"{rates[0]:.1f} steps/s of {recipe.batch_size} stamps, {rates[0] * recipe.batch_size:.0f} "
        f"stamps/s, with checkpoints; {rates[1]:.1f} steps/s in the median; started after "
        f"{times[0] - start:.1f} s"
    )


class EnoughError(Exception):
    """Enough steps were timed."""


class Clock(lightning.Callback):
    """Record the times at which training steps end, and stop training when time is up."""

    def __init__(self, at):
        self.at, self.times, self.n = at, [], 0

    def on_train_batch_end(self, *_):
        """Record the time, except for the first steps."""
        self.n += 1
        if self.n < self.at.first_step:
            return
        self.times.append(time.perf_counter())
        if self.times[-1] - self.times[0] > self.at.seconds:
            synchronize(self.at.device)
            self.times[-1] = time.perf_counter()
            raise EnoughError


#: Measurements, in order of importance.
LINES = (
    limits,
    equal_stamps,
    end_to_end,
    bundled_network,
    training,
    augmentation,
    resnet18,
    vgg19_bn,
    upload,
    graphs,
    half_weights,
    equal_batches,
    host_stamps,
    training_large,
    training_wei2020,
    compiled,
)


@contextmanager
def at_most(seconds):
    """Stop code that takes longer with an error."""

    def stop(*_):
        raise OutOfTimeError(f"stopped after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def short_traceback():
    """Last lines of the traceback of the current error."""
    lines = traceback.format_exc().strip().splitlines()
    return "\n".join(["    " + line for line in lines[-7:]])


def measure(line, at, say):
    """Make a measurement and print its results, or the error if it fails."""
    title, start = line.__doc__.splitlines()[0], time.perf_counter()
    say(f"{line.__name__}: {title}")
    try:
        with at_most(at.limit), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for text in line(at):
                say(f"  {text}")
    except Exception:
        say(f"  failed\n{short_traceback()}")
    if at.device.type == "cuda":
        torch.cuda.empty_cache()
    say(f"  ({time.perf_counter() - start:.1f} s)")


def describe(device):
    """Describe the hardware and the versions of Python and torch."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    versions = f"Python {sys.version.split()[0]}, torch {torch.__version__}"
    return f"{name}, {os.cpu_count()} cores, {versions}, {torch.get_num_threads()} threads"


def main():
    """Make the measurements, and print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lines", nargs="*", help=", ".join(line.__name__ for line in LINES))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--seconds", type=float, default=6.0, help="approximate time per measurement"
    )
    parser.add_argument(
        "--total",
        type=float,
        default=108.0,
        help="time in seconds after which no measurement is started",
    )
    parser.add_argument("--quick", action="store_true", help="use small inputs, to test the script")
    parser.add_argument("--output", type=Path, help="also write the results to this file")
    arguments = parser.parse_args()
    unknown = set(arguments.lines) - {line.__name__ for line in LINES}
    if unknown:
        parser.error(
            f"unknown measurement {', '.join(sorted(unknown))}; available are "
            f"{', '.join(line.__name__ for line in LINES)}"
        )
    begun = time.perf_counter()
    file = arguments.output.open("w") if arguments.output else None

    def say(text):
        for stream in filter(None, (sys.stdout, file)):
            print(text, file=stream, flush=True)

    with TemporaryDirectory() as folder:
        options = QUICK if arguments.quick else {}
        times = (0.2, 60.0) if arguments.quick else (arguments.seconds, arguments.seconds + 8)
        at = Settings(torch.device(arguments.device), *times, Path(folder), **options)
        at.peak = {}
        say(describe(at.device))
        for line in LINES:
            if arguments.lines and line.__name__ not in arguments.lines:
                continue
            if time.perf_counter() - begun > arguments.total:
                say(f"{line.__name__}: not measured, time is up")
                continue
            measure(line, at, say)
        say(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
