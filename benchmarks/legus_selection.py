# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Compare the LEGUS cuts, applied to released columns, with the rows that were inspected.

For each field with labels of three people, prints the fraction of rows for which the result of
`select_candidates` agrees with class > 0. The cut in concentration index is that of the registry
or, if it is unknown or with ``--without-registry-cuts``, the smallest index in the catalog. LEGUS
applied the cut in magnitude with an aperture correction that depends on the concentration index,
but released magnitudes with the average correction, which is therefore fitted; it is the only free
parameter per field. Sources that were added by eye did not pass the cuts and are excluded. Results
are given for the aperture radius of 4 pixels stated by LEGUS, and for whichever of 4, 5 and 6
pixels agrees best.
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
    """Fraction of rows for which the cuts agree with the inspection, for an average correction."""
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
    """Best agreement, and the average correction for which it is reached."""
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
