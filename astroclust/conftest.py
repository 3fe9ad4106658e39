# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Settings shared by the tests and the examples in docstrings and docs."""

import os

import pytest
from _pytest.doctest import DoctestItem

# Networks and arrays are small here, and threads that wait for them cost more than they save;
# the same on machines of any number of cores. Set it to another number to test with threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _examples_leave_nothing_behind(request, monkeypatch, tmp_path):
    """Examples write files by plain names and register cameras and bands, as a reader would."""
    if isinstance(request.node, DoctestItem):
        monkeypatch.chdir(tmp_path)
        for name in ("cameras", "band_systems", "class_schemes"):
            monkeypatch.setattr(f"astroclust.instruments.{name}._REGISTERED", {})
