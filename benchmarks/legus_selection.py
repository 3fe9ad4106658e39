# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Agreement of the LEGUS cuts, applied to released columns, with the inspected rows.

For each field with labels of three people: the fraction of rows in which `select_candidates` agrees
with class > 0. The cut in concentration index is that of the registry or, if that is unknown or
with --without-registry-cuts, the smallest index in the catalog. The cut in magnitude was made with
a correction by concentration index, the released magnitudes have the average correction instead; it
is the one number that is fitted for each field. Sources that were added by eye passed no cut and
are excluded. With the aperture of 4 pixels, which LEGUS says it used, and with whichever of 4, 5
and 6 agrees best.
"""

import argparse
from dataclasses import replace

import numpy as np
from real_data import data_path

from astroclust import find_field, read_legus
from astroclust.photometry import catalog_ci_cut, ci_correction
from astroclust.selection import Cuts, select_candidates

# Average aperture corrections to try (mag); LEGUS's limits for one star cluster are -1.2 and -0.5.
AVERAGE_CORRECTIONS = np.arange(-1.6, 0.41, 0.02)


def inspected(table):
    """Inspected rows; in NGC 1566, including those classified by a network."""
    column = "class_hybrid" if "class_hybrid" in table.colnames else "class_human"
    return np.asarray(table[column]) > 0


def agreement(table, field, average, radius):
    """Fraction of rows in which the cuts and the people agree, for an average correction."""
    v = f"mag_{field.filters[3].lower()}"
    correction = ci_correction(table["ci"], camera=field.cameras[3], radius=radius)
    result = select_candidates(
        table,
        cuts=Cuts(min_ci=field.ci_cut - 0.0005),
        distance=field.distance,
        v_magnitude=np.ma.filled(table[v], np.nan) - average + correction,
    )
    return np.mean((result["cuts"] == 0) == inspected(table))


def best(table, field, radius):
    """The best agreement and the average correction that gives it."""
    return max((agreement(table, field, a, radius), a) for a in AVERAGE_CORRECTIONS)


def main():
    """Print one row per field."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--without-registry-cuts",
        action="store_true",
        help="take the cuts in concentration index from the catalogs, not from the registry",
    )
    arguments = parser.parse_args()
    print(
        "field         cut   rows inspected added  4 px: agrees  average   "
        "best: agrees  average  radius"
    )
    for path in sorted(data_path("legus_catalogs").glob("*.tab")):
        table = read_legus(path)
        field = find_field(table.meta["FIELD"])
        if field.table_2 is None:
            continue
        if arguments.without_registry_cuts:
            del table.meta["FIELD"]
        field = replace(field, ci_cut=catalog_ci_cut(table))
        by_eye = np.zeros(len(table), bool)
        if "selection" in table.colnames:
            by_eye = np.asarray(table["selection"]) > 0
        added, table = by_eye.sum(), table[~by_eye]
        found = {radius: best(table, field, radius) for radius in (4, 5, 6)}
        radius = max(found, key=lambda radius: found[radius][0])
        print(
            f"{field.name:12s}{field.ci_cut:6.2f}{len(table):6d}{inspected(table).sum():10d}{added:6d}"
            f"{found[4][0]:14.1%}{found[4][1]:9.2f}{found[radius][0]:15.1%}{found[radius][1]:9.2f}"
            f"{radius:8d}",
            flush=True,
        )


if __name__ == "__main__":
    main()
