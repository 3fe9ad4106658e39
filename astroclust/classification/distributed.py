# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Many fields on many machines, by Dask."""

from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from pathlib import Path

import numpy as np
from astropy.table import Table
from tqdm import tqdm

from astroclust.catalogs import check_table_output, pixel_positions, read_table, write_table
from astroclust.classification.checks import check_images, choose_device
from astroclust.classification.columns import ResultColumns, name_images
from astroclust.classification.evidence import pool_photometry
from astroclust.classification.predictions import Predictions, classify_positions
from astroclust.extras import naming_extras
from astroclust.files import make_folder
from astroclust.images import ImageSet
from astroclust.locks import only_process
from astroclust.weights import load_classifier

__all__ = ["FieldsError", "Tasks", "classify_fields"]

# What a row of the list says beside the images.
_NOT_IMAGES = ("field", "catalog", "neighbors", "distance")
# Where a cluster of this machine alone listens.
_LOOPBACK = {
    "protocol": "tcp",
    "host": "127.0.0.1",
    "dashboard_address": "127.0.0.1:0",
    "worker_dashboard_address": "127.0.0.1:0",
}
# Fields at a time, however many workers there are.
_MOST_FIELDS = 64


class FieldsError(OSError):
    """Some of many fields could not be classified.

    Examples
    --------
    A field whose image is missing:

    >>> from astropy.table import Table
    >>> from astroclust import classify_fields
    >>> fields = Table({"field": ["ngc45"], "F555W": ["missing.fits"]})
    >>> classify_fields(fields, ".")
    Traceback (most recent call last):
        ...
    astroclust.classification.distributed.FieldsError: 1 of 1 fields could not be classified or
    written (ngc45: there is no file ...missing.fits); the others are written. Rerun to retry the
    failed fields
    """


@dataclass(frozen=True)
class Tasks:
    """Workers and size of the tasks of `classify_fields`.

    Parameters
    ----------
    client : `~distributed.Client` or str, optional
        Dask cluster, or the address of its scheduler; by default a cluster of all cores of this
        machine, for as long as it is needed.
    device : str, optional
        Device of the networks on each worker.
    rows : int, optional
        Candidates per task.

    Examples
    --------
    >>> from astroclust.classification import Tasks
    >>> Tasks("tcp://192.168.1.10:8786", device="cuda").rows
    5000
    """

    client: object = None
    device: str = "auto"
    rows: int = 5000

    def __post_init__(self):
        """Validate the number of rows."""
        if not isinstance(self.rows, Integral) or self.rows < 1:
            raise ValueError(f"rows must be a whole number of at least 1, not {self.rows!r}")


def classify_fields(
    fields,
    folder,
    *,
    tasks=None,
    model=None,
    photometry="auto",
    image_probabilities=False,
    column_prefix="",
    preset="legus",
    overwrite=False,
    progress_bar=False,
):
    """Classify the candidates of many fields on a Dask cluster.

    A task is a tile of a field: a piece of the mosaic to detect in, or the candidates between two
    of its rows. The table of a field is written as soon as its tiles are there; the same call goes
    on with those that are not written yet. What a lost worker was at is done again by another.

    Parameters
    ----------
    fields : `~astropy.table.Table`, str or `~pathlib.Path`
        A list of n fields, or its file, in whose folder its paths begin. A row a field: ``field``,
        its name; a column a filter or band, with the path of the image, empty where there is
        none; ``catalog``, the path of its candidates, as `~astroclust.catalogs.read_table` reads
        them. Where it is empty or there is no such column,
        `~astroclust.selection.find_candidates` finds them, with ``distance`` (Mpc) if there is
        such a column. ``neighbors``, if there is such a column, is the path of a catalog of the
        complete field, as for `~astroclust.classification.classify_table`. All workers must see
        the files under the same paths.
    folder : str or `~pathlib.Path`
        Where the table of each field goes, as ``FIELD.fits``, with the columns of
        `~astroclust.classification.classify_table`.
    tasks : `Tasks`, optional
        Workers and size of the tasks; by default all cores of this machine. A
        script that uses the default must guard its call by ``if __name__ == "__main__":``.
    model : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        As `~astroclust.weights.load_classifier` takes it.
    photometry, image_probabilities : optional
        See `~astroclust.classification.classify_table`.
    column_prefix : str, optional
        Put before the names of the new columns.
    preset : str, optional
        How candidates are found where there is no catalogue.
    overwrite : bool, optional
        Whether to do anew what is written already.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    paths : list of `~pathlib.Path`, length n
        The tables, in the order of the fields.

    Raises
    ------
    KeyError, ValueError
        Where the list of fields, or an argument, is not accepted.
    ModuleNotFoundError
        If Dask is not installed.
    OSError
        If the folder cannot be made, or another process writes to it.
    FieldsError
        After all other fields are written, if some could not be; it names each and why, and is
        a kind of `OSError`.

    Warns
    -----
    AstropyUserWarning
        Once a field, where rows were odd.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import classify_fields, simulate_field
    >>> simulate_field(shape=(128, 128), seed=1).images.write("ngc628-c-images.fits")
    >>> Table({"x": [60.0, 70.0], "y": [50.0, 80.0]}).write("ngc628-c.ecsv")
    >>> fields = Table({"field": ["ngc628-c"], "catalog": ["ngc628-c.ecsv"]})
    >>> for name in ("F555W", "F814W"):
    ...     fields[name] = [f"ngc628-c-images.fits[{name}]"]
    >>> paths = classify_fields(fields, ".")
    >>> [path.name for path in paths]
    ['ngc628-c.fits']
    """
    classifier, tasks = load_classifier(model), tasks or Tasks()
    folder = Path(folder)
    jobs = _read_jobs(fields, folder)
    make_folder(folder)
    with only_process(folder):
        waiting, failed = _sort_jobs(jobs, overwrite)
        with _connect(tasks.client) as cluster:
            tiles = _Tiles(cluster, classifier, tasks)
            columns = ResultColumns(classifier.card, column_prefix, photometry, image_probabilities)
            classify = partial(_classify_field, tiles=tiles, preset=preset, columns=columns)
            for job, ended in _in_threads(classify, waiting, tiles, progress_bar):
                try:
                    result = columns.add(*ended.result(), field=job.name)
                    write_table(result, job.output, overwrite=overwrite)
                except Exception as error:  # the trouble of one field shall not be that of others
                    failed[job.name] = error
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise FieldsError(
            f"{len(failed)} of {len(jobs)} fields could not be classified or written ({reasons}); "
            "the others are written. Rerun to retry the failed fields"
        ) from next(iter(failed.values()))
    return [job.output for job in jobs]


def _sort_jobs(jobs, overwrite):
    """Fields that are to be classified, and the errors of those that cannot be written, by name."""
    waiting, failed = [], {}
    for job in jobs:
        if job.output.is_file() and not overwrite:
            continue
        try:
            check_table_output(job.output, overwrite=overwrite)
            waiting.append(job)
        except (OSError, ValueError) as error:
            failed[job.name] = error
    return waiting, failed


@dataclass(frozen=True)
class _Job:
    """A field, and where its table goes."""

    name: str
    images: dict
    catalog: str
    neighbors: str
    distance: float | None
    output: Path


def _read_jobs(fields, folder):
    """The rows of a list of fields."""
    root = Path()
    if not isinstance(fields, Table):
        root, fields = Path(fields).parent, read_table(fields)
    if "field" not in fields.colnames:
        raise KeyError("the list of fields has no column 'field' with their names")
    names = [str(name) for name in fields["field"]]
    if len(set(names)) < len(names) or any(Path(name).name != name for name in names):
        raise ValueError("names of fields must be plain file names, all different")
    jobs = []
    for row, name in zip(fields, names, strict=True):
        given = {key: _entry(row, key) for key in fields.colnames if key not in _NOT_IMAGES}
        images = {key: _absolute(root, path) for key, path in given.items() if path}
        if not images:
            raise ValueError(f"field {name} has no image: give its path in the column of a filter")
        distance = float(_entry(row, "distance") or "nan")
        jobs.append(
            _Job(
                name,
                images,
                catalog=_absolute(root, _entry(row, "catalog")),
                neighbors=_absolute(root, _entry(row, "neighbors")),
                distance=distance if np.isfinite(distance) else None,
                output=folder / f"{name}.fits",
            )
        )
    return jobs


def _entry(row, name):
    """What a row says, empty where it says nothing."""
    if name not in row.colnames or row[name] is np.ma.masked:
        return ""
    text = str(row[name]).strip()
    return "" if text == "nan" else text


def _absolute(root, path):
    """A path as workers that were started in other folders find it."""
    return path if not path or "://" in path else str((root / path).resolve())


@contextmanager
def _connect(client):
    """The cluster, or one of this machine for as long as it is needed."""
    with naming_extras():
        from distributed import Client, LocalCluster
    if isinstance(client, Client):
        yield client
    elif client is not None:
        with Client(client) as connected:
            yield connected
    else:
        with (
            LocalCluster(threads_per_worker=1, **_LOOPBACK) as cluster,
            Client(cluster) as connected,
        ):
            yield connected


class _Tiles:
    """Tiles of fields, on the workers.

    Parameters
    ----------
    client : `~distributed.Client`
        The cluster.
    classifier : `~astroclust.weights.Classifier`
        The classifier.
    settings : `Tasks`
        Device and rows.
    """

    def __init__(self, client, classifier, settings):
        self.client = client
        self.classifier = classifier
        self.device, self.rows = settings.device, settings.rows
        # By a task, and not scattered: where a lost worker had it, the task is done again.
        self.shared = client.submit(_as_it_is, classifier, pure=False)
        self.tasks = set()

    def submit(self, function, *arguments):
        """Have a function called by a worker."""
        task = self.client.submit(function, *arguments, pure=False)
        self.tasks.add(task)
        return task

    def take(self, task):
        """The result of a task, which the cluster need not keep any longer."""
        result = task.result()
        self.tasks.discard(task)
        return result

    def classify(self, x, y, images):
        """Predictions at positions on images of the given paths."""
        order = np.argsort(y, kind="stable")
        starts = range(0, len(x), self.rows)
        parts = [order[start : start + self.rows] for start in starts]
        tasks = [
            self.submit(_classify_tile, x[rows], y[rows], images, self.shared, self.device)
            for rows in parts
        ]
        predictions = Predictions.unknown(len(x), self.classifier)
        for rows, task in zip(parts, tasks, strict=True):
            predictions.fill(rows, self.take(task))
        return predictions

    def cancel(self):
        """Give up all tasks that have not ended."""
        self.client.cancel(list(self.tasks))


def _classify_field(job, *, tiles, preset, columns):
    """The candidates of a field, their predictions, what these rest on, and the images."""
    system = tiles.classifier.card.system
    images = ImageSet.read(job.images, system=system)
    check_images(images, tiles.classifier.card, field=f"the images of {job.name}")
    named = tiles.submit(_name_images, job.images, system)
    if job.catalog:
        table = read_table(job.catalog)
    else:
        table = tiles.take(tiles.submit(_find_candidates, job.images, system, job.distance, preset))
    neighbors = read_table(job.neighbors) if job.neighbors else None
    pools = columns.check(table, neighbors)
    positions = pixel_positions(table, images.wcs)
    predictions = tiles.classify(*positions, job.images)
    evidence = None
    if pools:
        predictions, evidence = pool_photometry(predictions, table, positions, images, neighbors)
    return table, predictions, evidence, tiles.take(named)


def _in_threads(function, jobs, tiles, progress_bar):
    """Yield each job and its `~concurrent.futures.Future`, in the order they end.

    A thread a field does no more than wait; there are as many as keep all workers busy.
    """
    n_threads = 1 + 2 * sum(tiles.client.nthreads().values())
    pool = ThreadPoolExecutor(min(n_threads, _MOST_FIELDS))
    running = {pool.submit(function, job): job for job in jobs}
    try:
        with tqdm(total=len(jobs), unit="field", disable=not progress_bar) as bar:
            for ended in as_completed(list(running)):
                yield running.pop(ended), ended
                bar.update()
    finally:  # of a call that is interrupted, too
        pool.shutdown(wait=False, cancel_futures=True)
        tiles.cancel()


# What workers do.
def _as_it_is(value):
    return value


def _name_images(paths, system):
    return name_images(ImageSet.read(paths, system=system))


def _find_candidates(paths, system, distance, preset):
    from distributed import worker_client

    from astroclust.selection import find_candidates  # photutils, not needed to classify a table

    # All workers detect in tiles of the field; the one that waits for them works for others.
    with worker_client() as client:
        images = ImageSet.read(paths, system=system)
        workers = client.get_executor()
        return find_candidates(images, distance=distance, preset=preset, workers=workers)


def _classify_tile(x, y, paths, classifier, device):
    # Opening files and preparing networks takes a worker some 0.15 s, a tile of 5000 rows seconds.
    ready = classifier.prepared(choose_device(device))
    images = ImageSet.read(paths, system=classifier.card.system)
    return classify_positions(x, y, images, ready)
