# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Settings shared by the tests and the examples in docstrings and docs."""

import os

import pytest
from _pytest.doctest import DoctestItem

# The networks and arrays in the tests are so small that threads cost more than they save, on any
# number of cores. Set the variable in the shell to test with more threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _examples_leave_nothing_behind(request, monkeypatch, tmp_path):
    """Run each example in a temporary folder, with empty registries of cameras and bands."""
    if isinstance(request.node, DoctestItem):
        monkeypatch.chdir(tmp_path)
        for name in ("cameras", "band_systems", "class_schemes"):
            monkeypatch.setattr(f"astroclust.instruments.{name}._REGISTERED", {})
