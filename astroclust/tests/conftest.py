# Licensed under a 3-clause BSD style license - see LICENSE.rst
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.config import get_config
from astropy.wcs import WCS
from hypothesis import settings

# The same examples everywhere, however slow the machine is.
settings.register_profile("astroclust", derandomize=True, deadline=None, max_examples=40)
settings.load_profile("astroclust")

# Ctrl-C is ignored by what a background job starts, such as these tests where they are one.
COMMAND = """
import signal, sys
from astroclust.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""

DATA = os.environ.get("ASTROCLUST_DATA")


def _free_port():
    """A port that is free, below those that systems give to clients."""
    for port in range(20000 + os.getpid() % 10000, 32000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise OSError("no port is free")


# astroquery reads its setting once, on import: the server of the tests is always there.
PORT = _free_port()
get_config("astroquery.mast")["server"] = f"http://127.0.0.1:{PORT}"


@pytest.fixture(scope="session")
def archive_server():
    """The module of the local archive, which is in ``tools/`` of the source only."""
    return pytest.importorskip("archive_server", reason="an installed package has no archive")


@pytest.fixture(scope="session")
def archive(archive_server):
    """Files of a small archive."""
    return archive_server.sample_archive()


@pytest.fixture
def server(archive, archive_server):
    """The archive on this machine, which the settings of astroclust and astroquery name."""
    from astroclust.archive import conf

    names = ("archive_server", "mast_server", "timeout", "retry_wait", "retries")
    content = np.random.default_rng(0).bytes(300_000)
    with archive_server.ArchiveServer(
        {"/file": content, "/hlsps/file.fits": content, **archive}, port=PORT
    ) as server:
        values = (server.url, server.url, 2.0, 0.01, 3)
        before = [getattr(conf, name) for name in names]
        for name, value in zip(names, values, strict=True):
            setattr(conf, name, value)
        yield server
        for name, value in zip(names, before, strict=True):
            setattr(conf, name, value)


@pytest.fixture(scope="session")
def astroclust_command():
    """The start of a command line that can be interrupted."""
    return [sys.executable, "-c", COMMAND]


@pytest.fixture(scope="session")
def data_folder():
    """The folder of real data, which is not part of the package."""
    if not DATA:
        pytest.skip("this test needs real data; set ASTROCLUST_DATA to the folder that has them")
    assert Path(DATA).is_dir(), f"{DATA} is not a folder; correct or unset ASTROCLUST_DATA"
    return Path(DATA)


@pytest.fixture(scope="session")
def field():
    from astroclust import simulate_field

    return simulate_field(like="ngc1566", shape=(160, 200), seed=8, density=8e-4)


@pytest.fixture(scope="session")
def crowded():
    """A field with more than a hundred candidates."""
    from astroclust import simulate_field

    return simulate_field(like="ngc1566", shape=(310, 300), seed=2, density=1.4e-3)


@pytest.fixture(scope="session")
def sparse():
    """A large field whose candidates share few pixels."""
    from astroclust import simulate_field

    return simulate_field(like="ngc628-c", shape=(500, 500), seed=4, density=1e-4)


@pytest.fixture(scope="session")
def observation():
    """All bands of WFC3/UVIS, with a usual blur, registered without error."""
    from astroclust.simulation.observations import observe_like

    noise = (0.0027, 0.0031, 0.0054, 0.0084, 0.0165)
    plain = observe_like("ngc1566", np.random.default_rng(1), noise)
    return replace(plain, blur=np.full(5, 0.09), shifts=np.zeros((5, 2)), angle=0)


@pytest.fixture
def wcs():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [150.0, 2.0]
    wcs.wcs.crpix = [40.0, 30.0]
    wcs.wcs.cdelt = [-1.1e-5, 1.1e-5]
    return wcs


@pytest.fixture
def image():
    return np.random.default_rng(0).normal(5, 1, (60, 80)).astype(np.float32)
