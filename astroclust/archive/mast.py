# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""List and download MAST products with astroquery."""

import logging
import os
import shutil
import sys
import tempfile
import time
import warnings
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from threading import Thread

from astropy.config import get_config

from astroclust.archive.configuration import conf
from astroclust.extras import naming_extras

__all__ = ["astroquery_server", "download_product", "list_products", "quiet_astroquery"]

_POLL = 0.1  # seconds between checks of a download


@contextmanager
def astroquery_server(url):
    """Set the server of astroquery if it is not imported yet.

    It reads its configuration once, on import. After that, `list_products` raises an error and the
    portal is queried without astroquery; downloads do not depend on the configuration.

    Parameters
    ----------
    url : str
        The server; nothing is changed if empty.
    """
    if not url or "astroquery.mast" in sys.modules:
        yield
        return
    section = get_config("astroquery.mast")
    before = section.get("server")
    section["server"] = url
    try:
        yield
    finally:
        if "astroquery.mast" not in sys.modules:  # else it is the server that astroquery queries
            del section["server"]
            if before is not None:
                section["server"] = before


def list_products(criteria):
    """List the products of observations with astroquery.

    Parameters
    ----------
    criteria : dict of str to list of str
        Accepted values of observation columns; see
        ``astroquery.mast.Observations.query_criteria``.

    Returns
    -------
    products : `~astropy.table.Table` or list
        Output of ``get_product_list``; an empty list if no observation meets the criteria.

    Raises
    ------
    LookupError
        If astroquery queries another server than ``conf.mast_server``.
    TimeoutError
        If the server does not answer.
    ImportError
        If astroquery is not installed.
    Exception
        Any error of astroquery.
    """
    if _server() != conf.mast_server.rstrip("/"):
        raise LookupError(f"astroquery queries {_server()}, not {conf.mast_server}")
    observations = _observations()

    def ask():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an empty table is returned if there are none
            found = observations.query_criteria(**criteria)
        return observations.get_product_list(found) if len(found) else []

    return _start(ask).result(2 * conf.timeout)  # two queries without a timeout


def download_product(uri, path, *, advance, stop):
    """Download a product with astroquery.

    Parameters
    ----------
    uri : str
        Data URI, such as ``"mast:HLSP/legus/..."``.
    path : `~pathlib.Path`
        Output file. After an error it contains the bytes received, if any.
    advance : callable
        Called with the number of bytes received since the last call.
    stop : `~threading.Event`
        Ends the download when set.

    Raises
    ------
    InterruptedError
        If ``stop`` was set.
    OSError
        If the server refuses the file or sends nothing for ``conf.timeout`` seconds.
    Exception
        Any error of astroquery.
    """
    folder = tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f".{path.name}-", ignore_cleanup_errors=True
    )
    with folder:
        file = Path(folder.name) / path.name
        download = partial(
            _observations().download_file,
            uri,
            local_path=file,
            base_url=f"{conf.mast_server}/api/v0.1/Download/file",
            cache=False,
        )
        future = _start(download)
        try:
            _watch(future, file, advance, stop)
            status, message, _ = future.result()
        finally:
            if file.exists():
                # An abandoned thread may still write to its file, but not to the copy.
                move = os.replace if future.done() else shutil.copyfile
                move(file, path)
    if status != "COMPLETE":
        raise OSError(message)


@contextmanager
def quiet_astroquery():
    """Suppress astroquery's progress bars on standard output.

    There is one per file unless the level of astroquery's logger is above INFO, its default;
    without ``verbose`` the complete file would be kept in memory.
    """
    with naming_extras():
        from astroquery import log

    level = log.level
    if level == logging.INFO:
        log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


@cache
def _server():
    """The server that astroquery queries, which was configured when it was imported."""
    with naming_extras():
        from astroquery.mast import conf as mast

    return mast.server.rstrip("/")


def _observations():
    """A client that does not share sessions with other threads or settings with the user's."""
    from astroquery.mast import Observations

    observations = Observations()
    observations.disable_cloud_dataset()  # astroquery 0.4.12 asks Amazon's servers first
    return observations


def _watch(future, file, advance, stop):
    """Wait for a download to finish; raise an `OSError` if it stops receiving data."""
    size, last = 0, time.monotonic()
    while not future.done():
        wait([future], _POLL)
        if stop.is_set():
            raise InterruptedError("interrupted")
        arrived = file.stat().st_size - size if file.exists() else 0
        if arrived > 0:
            advance(arrived)
            size, last = size + arrived, time.monotonic()
        elif time.monotonic() - last > conf.timeout:
            raise OSError(f"no data received for {conf.timeout:g} seconds")


def _start(function):
    """Call a function in a thread that does not keep the interpreter from exiting."""
    future = Future()

    def run():
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
