# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Distinguish simulated fields from real ones by their catalogs.

Detection, photometry and selection are run on simulated fields. Gradient boosting is then trained
to distinguish their candidates from those of the released LEGUS catalogs by V, four colors, five
errors, the concentration index and the distances to the nearest three neighbors. It is
cross-validated, with equal total weights of real and simulated candidates. Perfect simulations
would have an AUC of 0.5.

The errors in a catalog are rounded, and include that of the mean aperture correction, which is the
same for all candidates of a field; so do the errors measured here. Rows without magnitudes in all
five bands are excluded.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
from astropy.table import Table
from populations import correction_of, read_field
from real_data import data_path
from scipy.spatial import KDTree
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from astroclust import find_candidates, find_field, simulate_field
from astroclust.catalogs import float_column
from astroclust.photometry import measure_photometry
from astroclust.selection import PRESETS
from astroclust.simulation.catalog_rows import error_of_correction
from astroclust.simulation.cataloging import drawn_candidates
from astroclust.simulation.populations import EXTINCTION, field_population, light_of_age

FIELDS = ("ngc628-c", "ngc628-e", "ngc1566", "ngc1433", "ngc3351")
# The threshold of 20 sigma of LEGUS refers to its own image and noise estimate. With these
# thresholds, the faintest candidates are as faint as those in its catalogs.
THRESHOLDS = {"ngc628-c": 10.0, "ngc1566": 13.0, "ngc1433": 8.0, "ngc3351": 8.0}
THRESHOLD = 20.0
# Limits in absolute magnitude that best separate inspected and other rows of a catalog (from
# benchmarks/legus_selection.py), with the mean aperture corrections of benchmarks/populations.py.
LIMITS = {"ngc628-c": -5.55, "ngc628-e": -5.51, "ngc1433": -5.92, "ngc1566": -6.22}
FEATURES = (
    *("V", "NUV-U", "U-B", "B-V", "V-I"),
    *("err NUV", "err U", "err B", "err V", "err I"),
    *("CI", "d1", "d2", "d3"),
)


def features(magnitudes, errors, index, positions):
    """Features of candidates, shape (n, 14)."""
    distances = KDTree(positions).query(positions, 4)[0][:, 1:]
    colors = -np.diff(magnitudes, axis=1)
    return np.column_stack([magnitudes[:, 3], colors, errors, index, np.log10(distances + 0.5)])


def real_rows(name):
    """Features, classes and positions of the inspected candidates."""
    rows = read_field(name)
    values = features(rows["mag"], rows["error"], rows["ci"], rows["position"])
    ok = _usable(values) & (rows["class"] > 0)
    return values[ok], rows["class"][ok].astype(int), rows["position"][ok]


def _usable(values):
    """Rows with all features and valid concentration index and errors."""
    ok = np.isfinite(values).all(axis=1) & (values[:, 10] < 3)
    return ok & (values[:, 5:10] < 5).all(axis=1)


def simulated_rows(name, shape, seed):
    """Features and true classes of the candidates of a simulated field."""
    known = find_field(name)
    field = simulate_field(like=name, shape=(shape, shape), seed=[seed, 5])
    extinction = dict(zip(known.filters, known.extinction, strict=True))
    legus = PRESETS["legus"]
    limit = LIMITS.get(name, legus.cuts.max_absolute_v)
    cuts = replace(legus.cuts, min_ci=known.ci_cut, max_absolute_v=limit)
    preset = replace(
        legus, threshold=THRESHOLDS.get(name, THRESHOLD), cuts=cuts, extinction=extinction
    )
    found = find_candidates(field.images, distance=known.distance, preset=preset)
    correction = dict(zip(known.filters, correction_of(name), strict=True))
    measured = measure_photometry(
        found["id", "x", "y"],
        field.images,
        apertures=legus.apertures,
        errors=legus.errors,
        zero_points="legus",
        aperture_correction=correction,
        extinction=extinction,
    )
    columns = {
        kind: np.array([float_column(measured, f"{kind}_{f.lower()}") for f in known.filters]).T
        for kind in ("mag", "mag_err")
    }
    positions = np.column_stack([found["x"], found["y"]])
    drawn, known = drawn_candidates(positions, field.truth)
    # A detection without a drawn candidate is a chance group of stars, not a cluster.
    label, kinds = np.full(len(positions), 4), np.full(len(positions), "chance", dtype="U12")
    label[known] = field.truth["class"][drawn]
    kinds[known] = field.truth["kind"][drawn]
    errors = np.hypot(columns["mag_err"], error_of_correction(read_field(name)["error"]))
    values = features(
        columns["mag"].round(3), errors.round(3), np.asarray(found["ci"], float), positions
    )
    counts = len(field.truth), len(found), int(np.sum(known))
    ok = _usable(values)
    return values[ok], label[ok], kinds[ok], counts


def tell_apart(real, simulated):
    """AUC with five folds, its scatter over the folds, and the contribution of each feature."""
    values = np.concatenate([real, simulated])
    is_simulated = np.repeat([0, 1], [len(real), len(simulated)])
    weight = np.where(is_simulated, 1 / len(simulated), 1 / len(real)) * len(values) / 2
    scores, added = np.zeros(len(values)), []
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for train, test in folds.split(values, is_simulated):
        model = HistGradientBoostingClassifier(
            max_iter=100, learning_rate=0.08, max_leaf_nodes=12, min_samples_leaf=15, random_state=0
        )
        model.fit(values[train], is_simulated[train], sample_weight=weight[train])
        scores[test] = model.predict_proba(values[test])[:, 1]
        result = permutation_importance(
            model, values[test], is_simulated[test], scoring="roc_auc", n_repeats=5, random_state=0
        )
        added.append(result.importances_mean)
    return roc_auc_score(is_simulated, scores), np.mean(added, axis=0)


def compare_halves(name):
    """AUC for distinguishing the halves of a real field, along x and y."""
    values, _, positions = real_rows(name)
    halves = [positions[:, axis] > np.median(positions[:, axis]) for axis in (0, 1)]
    return [tell_apart(values[~half], values[half])[0] for half in halves]


def compare_colors(name):
    """Print the AUC for distinguishing two kinds of drawn colors from those of a catalog.

    Colors are drawn from the measured distributions, and computed from simple stellar populations
    with the ages, reddenings and errors of the catalog.
    """
    rng, rows = np.random.default_rng(0), read_field(name)
    ok = np.isfinite(rows["mag"]).all(axis=1) & (rows["class"] > 0) & (rows["age"] > 0)
    real = -np.diff(rows["mag"][ok], axis=1)
    population = field_population(name)
    drawn = [population.classes[int(c)].draw(rng)["mag"] for c in rows["class"][ok]]
    models = light_of_age(np.log10(rows["age"][ok])) + rows["e_bv"][ok, None] * EXTINCTION
    models = models + rng.normal(0, np.minimum(rows["error"][ok], 0.3))
    aucs = [tell_apart(real, -np.diff(light, axis=1))[0] for light in (np.array(drawn), models)]
    print(f"{name}: colors as measured {aucs[0]:.3f}, of stellar populations {aucs[1]:.3f}")


def compare(name, real, simulated):
    """Print the differences between a simulated and the real field, and return the AUC."""
    (values, label, _), (drawn, drawn_label, kinds) = real, simulated
    auc, added = tell_apart(values, drawn)
    print(f"\n{name}: {len(values)} real and {len(drawn)} simulated candidates, AUC {auc:.3f}")
    table = Table(
        names=["feature", "16", "50", "84", "16s", "50s", "84s", "AUC"], dtype=["U8", *[float] * 7]
    )
    for i, feature in enumerate(FEATURES):
        quantiles = [np.percentile(x[:, i], (16, 50, 84)) for x in (values, drawn)]
        table.add_row([feature, *quantiles[0], *quantiles[1], added[i]])
    for column in table.colnames[1:]:
        table[column].format = ".3f"
    table.pprint_all()
    worst = {"mix": 0.0, "CI": 0.0, "color": 0.0}
    for c in (1, 2, 3, 4):
        ours, theirs = drawn[drawn_label == c], values[label == c]
        mix = np.mean(drawn_label == c) - np.mean(label == c)
        off = np.median(ours, axis=0) - np.median(theirs, axis=0)
        worst["mix"] = max(worst["mix"], abs(mix))
        worst["CI"] = max(worst["CI"], abs(off[10]))
        worst["color"] = max(worst["color"], np.abs(off[1:5]).max())
        print(
            f"  class {c}: fraction {np.mean(drawn_label == c):.3f} ({mix:+.3f}), CI "
            f"{off[10]:+.3f}, V {off[0]:+.2f}, colors " + " ".join(f"{x:+.2f}" for x in off[1:5])
        )
    names, numbers = np.unique(kinds, return_counts=True)
    index = [np.median(drawn[kinds == k, 10]) for k in names]
    parts = zip(names, numbers, index, strict=True)
    print("  kinds (CI): " + ", ".join(f"{k} {n} ({c:.2f})" for k, n, c in parts))
    print(
        f"  worst: mix {100 * worst['mix']:.1f} points, CI {worst['CI']:.3f}, "
        f"colors {worst['color']:.2f} mag"
    )
    return auc


def main():
    """Compare simulated fields with each real field, and print the AUCs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", nargs="+", default=FIELDS)
    parser.add_argument("--n", type=int, default=2, help="simulated fields for each real one")
    parser.add_argument("--shape", type=int, default=2000, help="width of a field in pixels")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument(
        "--colors",
        action="store_true",
        help="compare only colors, from measured distributions and from models",
    )
    arguments = parser.parse_args()
    if arguments.colors:
        for name in arguments.fields:
            compare_colors(name)
        return
    data_path("legus_catalogs")  # before the fields are simulated
    aucs = {}
    with ProcessPoolExecutor(arguments.workers) as pool:
        for name in arguments.fields:
            draw = partial(simulated_rows, name, arguments.shape)
            parts = list(pool.map(draw, range(arguments.n)))
            print(f"\ncandidates drawn, found, found of those drawn: {[p[3] for p in parts]}")
            simulated = [np.concatenate([part[i] for part in parts]) for i in range(3)]
            aucs[name] = compare(name, real_rows(name), simulated)
    print("\nAUC: " + ", ".join(f"{name} {auc:.3f}" for name, auc in aucs.items()))
    halves = {name: compare_halves(name) for name in arguments.fields}
    parts = ", ".join(f"{name} {x:.3f} and {y:.3f}" for name, (x, y) in halves.items())
    print(f"Halves of the real fields, along x and along y: {parts}")


if __name__ == "__main__":
    main()
