# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Make a small archive with simulated parts of LEGUS fields, painted from their real catalogs.

    python benchmarks/local_archive.py archive
    python tools/archive_server.py archive --port 8765
    astroclust reproduce wei2020 --quick --server http://127.0.0.1:8765 -o wei2020

Each part is the square of a field with the most visually classified candidates, with the LEGUS
catalog cut to that square. A square modeled on NGC 1566 replaces NGC 1559 of PHANGS-HST, for
``--new-galaxy ngc1559``.
"""

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from real_data import data_path

from astroclust import find_field, read_legus, simulate_field, write_legus
from astroclust.simulation import write_field

sys.path.append(str(Path(__file__).parents[1] / "tools"))
from archive_server import phangs_archive

NEW_GALAXY = "ngc1559"
FIELDS = ("ngc45", "ngc5474", "ngc1433", "ngc628-e", "ngc1566")


def densest_part(catalog, width):
    """Select the rows in the square with most labels, with positions relative to its corner."""
    x, y = np.asarray(catalog["x"]), np.asarray(catalog["y"])
    known = np.ma.filled(catalog["class_human"], 0) > 0
    corners = np.column_stack([x, y])[known] - width / 2
    counts = [
        np.count_nonzero(
            known & (abs(x - a - width / 2) < width / 2) & (abs(y - b - width / 2) < width / 2)
        )
        for a, b in corners
    ]
    left, bottom = np.floor(corners[np.argmax(counts)])
    part = catalog[(x >= left) & (x < left + width) & (y >= bottom) & (y < bottom + width)]
    part["x"], part["y"] = part["x"] - left, part["y"] - bottom
    return part


def lay_out_phangs(folder, width):
    """Write a simulated square as NGC 1559, with true classes as human classes."""
    field = simulate_field(like="ngc1566", shape=(width, width), seed=2)
    sources = field.truth["x", "y", "ra", "dec", "class"]
    sources["galaxy"] = NEW_GALAXY
    with TemporaryDirectory() as temporary:
        images = write_field(field, Path(temporary) / "field").images
        for path, content in phangs_archive(sources, {NEW_GALAXY: images}).items():
            target = folder / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read_bytes() if isinstance(content, Path) else content)
    print(f"{NEW_GALAXY}: {len(sources)} sources, all with labels", flush=True)


def main():
    """Paint the fields and write them in the layout of the archive."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of the archive")
    parser.add_argument("--fields", nargs="+", default=FIELDS)
    parser.add_argument("--width", type=int, default=1200, help="width of each part, in pixels")
    arguments = parser.parse_args()
    for name in arguments.fields:
        field = find_field(name)
        field_folder = arguments.folder / "hlsps" / "legus" / name
        if field_folder.exists():
            continue
        catalog = read_legus(data_path("legus_catalogs", Path(field.catalog).name))
        part = densest_part(catalog, arguments.width)
        painted = simulate_field(catalog=part, shape=(arguments.width,) * 2, seed=1)
        field_folder.parent.mkdir(parents=True, exist_ok=True)
        files = write_field(painted, field_folder)
        files.catalog.unlink()
        # Use the catalog of LEGUS instead of that of the detections in the painted field.
        target = arguments.folder / "hlsps" / "legus" / field.catalog
        target.parent.mkdir(parents=True, exist_ok=True)
        write_legus(part, target)
        labeled = np.ma.filled(part["class_human"], 0) > 0
        print(f"{name}: {len(part)} sources, {labeled.sum()} with labels", flush=True)
    if not (arguments.folder / "hlsps" / "phangs-hst").exists():
        lay_out_phangs(arguments.folder, arguments.width)


if __name__ == "__main__":
    main()
