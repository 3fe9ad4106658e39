# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Classification of many fields on many machines with Dask."""

from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

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
from astroclust.networks import check_precision
from astroclust.weights import load_classifier

if TYPE_CHECKING:
    from distributed import Client

    from astroclust.typing import ClassifierLike

__all__ = ["FieldsError", "Tasks", "classify_fields"]

# Columns of the list that are not images.
_NOT_IMAGES = ("field", "catalog", "neighbors", "distance")
# A local cluster only listens on the loopback interface.
_LOOPBACK = {
    "protocol": "tcp",
    "host": "127.0.0.1",
    "dashboard_address": "127.0.0.1:0",
    "worker_dashboard_address": "127.0.0.1:0",
}
# By default, Dask workers return freed memory at once; allocating it again took up to half of
# their time.
_KEEP_MEMORY = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None}
# Maximum number of concurrent fields.
_MOST_FIELDS = 64


class FieldsError(OSError):
    """Some fields could not be classified.

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
    written (ngc45: ...missing.fits does not exist); the others were written. Rerun to retry the
    failed fields
    """


@dataclass(frozen=True)
class Tasks:
    """Workers and size of the tasks of `classify_fields`.

    Parameters
    ----------
    client : `~distributed.Client` or str, optional
        Dask cluster, or the address of its scheduler; by default a temporary cluster of all cores
        of this machine.
    device : str, optional
        Device of the networks on each worker.
    rows : int, optional
        Number of candidates per task.
    precision : str, optional
        See `~astroclust.classification.classify_table`. With ``"auto"``, it depends on the machine
        of each worker; the tables record all that were used.

    Examples
    --------
    >>> from astroclust.classification import Tasks
    >>> Tasks("tcp://192.168.1.10:8786", device="cuda").rows
    5000
    """

    client: "Client | str | None" = None
    device: str = "auto"
    rows: int = 5000
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Validate the number of rows and the name of the precision."""
        if not isinstance(self.rows, Integral) or self.rows < 1:
            raise ValueError(f"rows must be a whole number of at least 1, not {self.rows!r}")
        check_precision(self.precision)


def classify_fields(
    fields: Table | str | Path,
    folder: str | Path,
    *,
    tasks: Tasks | None = None,
    model: "ClassifierLike | None" = None,
    photometry: bool | str = "auto",
    image_probabilities: bool = False,
    column_prefix: str = "",
    preset: str = "legus",
    overwrite: bool = False,
    progress_bar: bool = False,
) -> list[Path]:
    """Classify the candidates of many fields on a Dask cluster.

    Each task is a tile of a field: a region of the mosaic for source detection, or the candidates
    in a range of its rows. The table of a field is written when all its tiles are complete;
    repeating the call resumes with the fields that are not yet written. Tasks of a lost worker are
    repeated by another one.

    Parameters
    ----------
    fields : `~astropy.table.Table`, str or `~pathlib.Path`
        List of n fields or its path, with one row per field; paths in it are relative to its
        folder. The columns are ``field``, its name; one column per filter or band, with the path of
        the image, empty if there is none; and ``catalog``, the path of its candidates (see
        `~astroclust.catalogs.read_table`). If this is empty or missing,
        `~astroclust.selection.find_candidates` selects candidates, using ``distance`` (Mpc), if
        given. Optionally, ``neighbors`` is the path of a catalog of the complete field; see
        `~astroclust.classification.classify_table`. All workers must be able to read the files
        under the same paths.
    folder : str or `~pathlib.Path`
        Output folder for the table of each field, ``FIELD.fits``, with the columns of
        `~astroclust.classification.classify_table`.
    tasks : `Tasks`, optional
        Workers and size of the tasks; by default all cores of this machine. A
        script that uses the default must guard its call by ``if __name__ == "__main__":``.
    model : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        See `~astroclust.weights.load_classifier`.
    photometry, image_probabilities : optional
        See `~astroclust.classification.classify_table`.
    column_prefix : str, optional
        Prefix of the names of the new columns.
    preset : str, optional
        Preset of the candidate selection for fields without a catalog.
    overwrite : bool, optional
        Whether to classify fields again whose tables exist.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    paths : list of `~pathlib.Path`, length n
        Paths of the tables, in the order of the fields.

    Raises
    ------
    KeyError, ValueError
        If the list of fields or an argument is invalid.
    ModuleNotFoundError
        If Dask is not installed.
    OSError
        If the folder cannot be created, or another process is writing to it.
    FieldsError
        If some fields failed; raised after all others are written, with the reason for each failed
        field. A subclass of `OSError`.

    Warns
    -----
    AstropyUserWarning
        If rows are flagged, once per field.

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
                except Exception as error:  # one failed field must not affect others
                    failed[job.name] = error
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
        raise FieldsError(
            f"{len(failed)} of {len(jobs)} fields could not be classified or written ({reasons}); "
            "the others were written. Rerun to retry the failed fields"
        ) from next(iter(failed.values()))
    return [job.output for job in jobs]


def _sort_jobs(jobs, overwrite):
    """Fields to be classified, and the errors of those that cannot be written, by name."""
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
    """A field and the path of its table."""

    name: str
    images: dict
    catalog: str
    neighbors: str
    distance: float | None
    output: Path


def _read_jobs(fields, folder):
    """Read the rows of a list of fields."""
    root = Path()
    if not isinstance(fields, Table):
        root, fields = Path(fields).parent, read_table(fields)
    if "field" not in fields.colnames:
        raise KeyError("the list of fields has no column 'field'; add one with their names")
    names = [str(name) for name in fields["field"]]
    odd = [name for name in names if names.count(name) > 1 or Path(name).name != name]
    if odd:
        raise ValueError(
            f"field names must be distinct and valid file names; rename {', '.join(map(repr, odd))}"
        )
    jobs = []
    for row, name in zip(fields, names, strict=True):
        given = {key: _entry(row, key) for key in fields.colnames if key not in _NOT_IMAGES}
        images = {key: _absolute(root, path) for key, path in given.items() if path}
        if not images:
            raise ValueError(f"field {name} has no image; add its path to the column of its filter")
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
    """Entry of a row as a string, empty if missing."""
    if name not in row.colnames or row[name] is np.ma.masked:
        return ""
    text = str(row[name]).strip()
    return "" if text == "nan" else text


def _absolute(root, path):
    """Absolute path, for workers started in other folders; URLs are unchanged."""
    return path if not path or "://" in path else str((root / path).resolve())


@contextmanager
def _connect(client):
    """Connect to the cluster, by default a temporary one on this machine."""
    with naming_extras():
        import dask
        from distributed import Client, LocalCluster
    if isinstance(client, Client):
        yield client
    elif client is not None:
        with Client(client) as connected:
            yield connected
    else:
        with (
            dask.config.set(_KEEP_MEMORY),
            LocalCluster(threads_per_worker=1, **_LOOPBACK) as cluster,
            Client(cluster) as connected,
        ):
            yield connected


class _Tiles:
    """Tiles of fields on the workers.

    Parameters
    ----------
    client : `~distributed.Client`
        Dask cluster.
    classifier : `~astroclust.weights.Classifier`
        The classifier.
    settings : `Tasks`
        Device, precision and number of rows per task.
    """

    def __init__(self, client, classifier, settings):
        self.client = client
        self.classifier = classifier
        self.rows = settings.rows
        self.arithmetic = settings.device, settings.precision
        # A task, not scattered data: it is repeated if the worker that holds the result is lost.
        self.shared = client.submit(_as_it_is, classifier, pure=False)
        self.tasks = set()

    def submit(self, function, *arguments):
        """Submit a function call to the workers."""
        task = self.client.submit(function, *arguments, pure=False)
        self.tasks.add(task)
        return task

    def take(self, task):
        """Result of a task, which the cluster can then release."""
        result = task.result()
        self.tasks.discard(task)
        return result

    def classify(self, x, y, images):
        """Predictions at positions on images with the given paths."""
        order = np.argsort(y, kind="stable")
        starts = range(0, len(x), self.rows)
        parts = [order[start : start + self.rows] for start in starts]
        tasks = [
            self.submit(_classify_tile, x[rows], y[rows], images, self.shared, *self.arithmetic)
            for rows in parts
        ]
        predictions = Predictions.unknown(len(x), self.classifier)
        for rows, task in zip(parts, tasks, strict=True):
            predictions.fill(rows, self.take(task))
        return predictions

    def cancel(self):
        """Cancel all unfinished tasks."""
        self.client.cancel(list(self.tasks))


def _classify_field(job, *, tiles, preset, columns):
    """Classify a field; return its candidates, predictions, evidence and image description."""
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
    """Yield each job and its `~concurrent.futures.Future`, in the order of completion.

    The threads only wait for tasks; there are enough of them to keep all workers busy.
    """
    n_threads = 1 + 2 * sum(tiles.client.nthreads().values())
    pool = ThreadPoolExecutor(min(n_threads, _MOST_FIELDS))
    running = {pool.submit(function, job): job for job in jobs}
    try:
        with tqdm(total=len(jobs), unit="field", disable=not progress_bar) as bar:
            for ended in as_completed(list(running)):
                yield running.pop(ended), ended
                bar.update()
    finally:  # also if interrupted
        pool.shutdown(wait=False, cancel_futures=True)
        tiles.cancel()


# Functions that run on the workers.
def _as_it_is(value):
    return value


def _name_images(paths, system):
    return name_images(ImageSet.read(paths, system=system))


def _find_candidates(paths, system, distance, preset):
    from distributed import worker_client

    from astroclust.selection import find_candidates  # photutils, not needed to classify a table

    # All workers share the tiles of the field; the one that waits for them runs other tasks.
    with worker_client() as client:
        images = ImageSet.read(paths, system=system)
        workers = client.get_executor()
        return find_candidates(images, distance=distance, preset=preset, workers=workers)


def _classify_tile(x, y, paths, classifier, device, precision):
    # Nothing is cached between tiles: opening files and preparing networks takes about 0.15 s, a
    # tile of 5000 rows several seconds.
    ready = classifier.prepared(choose_device(device), precision=precision)
    images = ImageSet.read(paths, system=classifier.card.system)
    return classify_positions(x, y, images, ready)
