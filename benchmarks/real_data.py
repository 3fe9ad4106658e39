# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Paths of the real data that benchmarks need."""

import os
import sys
from pathlib import Path

__all__ = ["data_path"]


def data_path(*names):
    """Path of a file or folder in ``$ASTROCLUST_DATA``; exit if it does not exist."""
    folder = os.environ.get("ASTROCLUST_DATA")
    if not folder:
        sys.exit("this benchmark needs real data; set ASTROCLUST_DATA to the folder with the data")
    path = Path(folder).joinpath(*names)
    if not path.exists():
        sys.exit(f"{path} does not exist; set ASTROCLUST_DATA to a folder that contains it")
    return path
