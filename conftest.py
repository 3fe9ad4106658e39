# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""What the tests and the examples of code and docs have in common."""

import pytest
from _pytest.doctest import DoctestItem


@pytest.fixture(autouse=True)
def _examples_write_elsewhere(request, monkeypatch, tmp_path):
    """Examples write files by plain names, as a reader would; keep them out of the source."""
    if isinstance(request.node, DoctestItem):
        monkeypatch.chdir(tmp_path)
