# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Tiled processing of large images, in parallel and in bounded memory."""

import itertools
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Integral

__all__ = ["Tile", "check_whole", "run_tasks", "task_pool", "tiles_of"]

# Concurrent tasks in a pool that does not report its number of workers.
_AHEAD = 32


@dataclass(frozen=True)
class Tile:
    """Part of an image: a core, which tiles the image without overlap, and a margin.

    Parameters
    ----------
    x0, x1, y0, y1 : int
        First column of the core and the one after its last, and likewise for rows.
    shape : tuple of int
        Shape of the image, (ny, nx).
    margin : int
        Margin in pixels around the core, clipped to the image.
    """

    x0: int
    x1: int
    y0: int
    y1: int
    shape: tuple
    margin: int

    @property
    def origin(self):
        """First column and row of the tile with its margin."""
        return max(self.x0 - self.margin, 0), max(self.y0 - self.margin, 0)

    @property
    def slices(self):
        """The tile with its margin, as rows and columns of the image."""
        x, y = self.origin
        ny, nx = self.shape
        return slice(y, min(self.y1 + self.margin, ny)), slice(x, min(self.x1 + self.margin, nx))

    def grown(self):
        """The same core with a margin four times as wide."""
        return replace(self, margin=4 * self.margin)

    def holds(self, x, y):
        """Whether pixels of the image are in the core."""
        return (x >= self.x0) & (x < self.x1) & (y >= self.y0) & (y < self.y1)


def tiles_of(shape, size, margin):
    """All tiles of an image of shape (ny, nx), with cores of at most ``size`` pixels a side."""
    ny, nx = shape
    return [
        Tile(x, min(x + size, nx), y, min(y + size, ny), shape, margin)
        for y in range(0, ny, size)
        for x in range(0, nx, size)
    ]


def check_whole(name, value):
    """Raise a `ValueError` if the value of an argument is not a whole number of at least 1."""
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")


@contextmanager
def task_pool(workers):
    """A pool of processes, or the given one; None for a single process."""
    if not isinstance(workers, Executor):
        check_whole("workers", workers)
    if workers == 1 or isinstance(workers, Executor):
        yield None if workers == 1 else workers
        return
    with ProcessPoolExecutor(workers) as pool:
        yield pool


def run_tasks(pool, function, tasks, *, workers):
    """Yield ``(i, result)`` of ``function(*task)`` for each task, in order of completion.

    Tasks are created when a worker is free, so that few are in memory at a time.
    """
    numbered = enumerate(tasks)
    if pool is None:
        for i, task in numbered:
            yield i, function(*task)
        return
    ahead = _AHEAD if workers is pool else 2 * workers
    running = {}
    while True:
        for i, task in itertools.islice(numbered, ahead - len(running)):
            running[pool.submit(function, *task)] = i
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future.result()
