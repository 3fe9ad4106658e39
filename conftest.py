# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""What the tests and the examples of code and docs have in common."""

import os

import pytest
from _pytest.doctest import DoctestItem

# Networks and arrays are small here, and threads that wait for them cost more than they save;
# the same on machines of any number of cores. Set it to another number to test with threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _examples_write_elsewhere(request, monkeypatch, tmp_path):
    """Examples write files by plain names, as a reader would; keep them out of the source."""
    if isinstance(request.node, DoctestItem):
        monkeypatch.chdir(tmp_path)
