# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Time reading and writing a LEGUS catalog of 100,000 rows, relative to reading it with NumPy.

The rows are those of a real catalog, repeated.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.table import Table
from real_data import data_path

from astroclust import read_legus

NAME = "hlsp_legus_hst_acs-wfc3_ngc628-c_multiband_v1_padagb-mwext-avgapcor.tab"
N_ROWS = 100_000


def seconds(function, *arguments, **options):
    """Duration of a call in seconds."""
    start = time.perf_counter()
    function(*arguments, **options)
    return time.perf_counter() - start


def main():
    """Print the times."""
    lines = data_path("legus_catalogs", NAME).read_text().splitlines(keepends=True)
    lines = (lines * (N_ROWS // len(lines) + 1))[:N_ROWS]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        path.write_text("".join(lines))
        numbers = seconds(np.loadtxt, path)
        reading = seconds(read_legus, path)
        table = read_legus(path)
        writing = seconds(table.write, Path(folder) / "table.fits")
        again = seconds(Table.read, Path(folder) / "table.fits")
    print(f"{len(lines)} rows: numpy reads the numbers in {numbers:.2f} s")
    print(f"read_legus {reading:.2f} s ({reading / numbers:.2f} times numpy)")
    print(f"writing FITS {writing:.2f} s, reading it again {again:.2f} s")
    print(f"reading and writing together {reading + writing:.2f} s")


if __name__ == "__main__":
    main()
