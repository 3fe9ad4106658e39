# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Predict the time to classify 10^8 rows with up to 1,000 workers.

The cost of a task is measured, and a queueing model predicts the total time. In the model, each
worker requests a task from the scheduler, reads the pixels of the task, and computes. The scheduler
and the file system, which has a given bandwidth, serve one task at a time; workers compute
independently. Costs are measured in CPU time, so that they are valid on shared machines. The model
is compared with 1, 2 and 4 processes on this machine, in the CPU time for the same rows and in the
elapsed time, which is affected by other processes on the machine.
"""

import argparse
import heapq
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import dask
import numpy as np
import torch
from astropy.io import fits
from distributed import Client, LocalCluster

from astroclust import ImageSet, load_classifier
from astroclust.classification import Tasks
from astroclust.classification.predictions import Predictions, classify_positions

FILTERS = ("F275W", "F336W", "F438W", "F555W", "F814W")
SIZE, ROWS = 4000, 1000
TOTAL = 10**8
# Otherwise, workers return freed memory immediately, which takes up to half of their time.
KEEP_MEMORY = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None}
WORKERS = (1, 2, 4, 10, 100, 300, 1000)
# Bytes per second of a fast disk, and of file systems of clusters.
BANDWIDTHS = (1e9, 5e9, 20e9)


def write_mosaics(folder):
    """Write five mosaics of noise, and return their paths."""
    pixels = np.random.default_rng(1).standard_normal((SIZE, SIZE), np.float32)
    paths = {name: str(folder / f"{name}.fits") for name in FILTERS}
    for path in paths.values():
        fits.writeto(path, pixels)
    return paths


def positions(n):
    """Random positions in an image, sorted by y."""
    rng = np.random.default_rng(2)
    return rng.uniform(0, SIZE, n), np.sort(rng.uniform(0, SIZE, n))


def classify(x, y, paths, classifier):
    """Run a task, and return its predictions and CPU seconds."""
    torch.set_num_threads(1)
    start = time.process_time()
    images = ImageSet.read(paths, system=classifier.card.system)
    result = classify_positions(x, y, images, classifier.prepared("cpu"))
    return result, time.process_time() - start


def nothing(x, y, paths, result):
    """Empty task, with arguments and a result of the usual size."""
    return result


def cost_of_row(paths, classifier):
    """CPU seconds per row and per task, from tasks of two sizes."""
    sizes = ROWS // 10, ROWS
    classify(*positions(sizes[0]), paths, classifier)  # to exclude what a worker does only once
    spent = [
        np.median([classify(*positions(n), paths, classifier)[1] for _ in range(2)]) for n in sizes
    ]
    row = (spent[1] - spent[0]) / (sizes[1] - sizes[0])
    return row, max(spent[0] - sizes[0] * row, 0)


def cost_of_scheduler(client, paths, classifier, rows, n=200):
    """CPU seconds per task of the scheduler and the client, which share a process."""
    x, y = positions(rows)
    result = Predictions.unknown(rows, classifier)
    start = time.process_time()
    tasks = [client.submit(nothing, x, y, paths, result, pure=False) for _ in range(n)]
    client.gather(tasks)
    return (time.process_time() - start) / n


def bytes_per_row(rows, density):
    """Bytes per catalog row of the 4-byte pixels in five bands that a task has to read."""
    height = rows / (density * SIZE) + load_classifier().card.stamp_size
    return 4 * len(FILTERS) * height * SIZE / rows


def simulate(n_workers, n_tasks, *, compute, schedule, read):
    """Predict the seconds until all tasks are done.

    Each worker waits for the scheduler (``schedule`` seconds per task, one task at a time), then
    for the file system (``read`` seconds per task, one task at a time), and computes for
    ``compute`` seconds, with a scatter of 10 %.
    """
    times = compute * np.random.default_rng(3).normal(1, 0.1, n_tasks).clip(0.5)
    free = [0.0] * n_workers
    scheduler = disk = 0.0
    for spent in times:
        scheduler = max(scheduler, heapq.heappop(free)) + schedule
        disk = max(disk, scheduler) + read
        heapq.heappush(free, disk + spent)
    return max(free)


def check(n_workers, paths, classifier, n_tasks=8):
    """Measure CPU and elapsed seconds of all tasks, and CPU seconds of the scheduler per task."""
    options = {"n_workers": n_workers, "threads_per_worker": 1, "dashboard_address": None}
    with (
        dask.config.set(KEEP_MEMORY),
        LocalCluster(**options) as cluster,
        Client(cluster) as client,
    ):
        shared = client.scatter(classifier, broadcast=True)
        x, y = positions(ROWS)
        for worker in client.nthreads():  # the precision is chosen once per worker
            client.submit(
                classify, x[:256], y[:256], paths, shared, workers=worker, pure=False
            ).result()
        schedule = cost_of_scheduler(client, paths, classifier, Tasks().rows)
        start = time.perf_counter()
        tasks = [client.submit(classify, x, y, paths, shared, pure=False) for _ in range(n_tasks)]
        spent = sum(seconds for _, seconds in client.gather(tasks))
        return spent, time.perf_counter() - start, schedule


def main():
    """Print the costs, the comparison with this machine, and the predictions."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=Tasks().rows, help="rows per task")
    parser.add_argument(
        "--density", type=float, default=200_000 / 8000**2, help="candidates per pixel of a mosaic"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    classifier = load_classifier()
    n_tasks = 8
    with TemporaryDirectory() as folder:
        paths = write_mosaics(Path(folder))
        row, task = cost_of_row(paths, classifier)
        print(f"{1e3 * row:.3f} ms per row, {task:.3f} s per task (files, network)", flush=True)
        schedules = []
        for n_workers in (1, 2, 4):
            spent, wall, schedule = check(n_workers, paths, classifier, n_tasks)
            schedules.append(schedule)
            model = simulate(
                min(n_workers, os.cpu_count()),
                n_tasks,
                compute=task + ROWS * row,
                schedule=schedule,
                read=0,
            )
            print(
                f"{n_workers} processes: CPU time of {n_tasks} tasks {spent:.2f} s, model "
                f"{n_tasks * (task + ROWS * row):.2f} s; elapsed {wall:.1f} s, model "
                f"{model:.1f} s; scheduler {1e3 * schedule:.2f} ms per task",
                flush=True,
            )
    n_tasks = -(-TOTAL // arguments.rows)
    compute, schedule = task + arguments.rows * row, np.median(schedules)
    read = bytes_per_row(arguments.rows, arguments.density)
    print(
        f"{n_tasks} tasks of {arguments.rows} rows, {compute:.2f} s each; {read / 1e3:.1f} kB read "
        f"per row, {read * TOTAL / 1e12:.2f} TB; scheduler {1e3 * schedule:.2f} ms per task"
    )
    print(f"{'workers':>8}" + "".join(f"{f'{one / 1e9:g} GB/s':>20}" for one in BANDWIDTHS))
    for n_workers in WORKERS:
        line = f"{n_workers:>8}"
        for bandwidth in BANDWIDTHS:
            seconds = simulate(
                n_workers,
                n_tasks,
                compute=compute,
                schedule=schedule,
                read=arguments.rows * read / bandwidth,
            )
            ideal = n_tasks * compute / n_workers
            line += f"{seconds / 3600:>10.3f} h {100 * ideal / seconds:>5.0f} %"
        print(line)


if __name__ == "__main__":
    main()
