# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Test of statements of Wei et al. (2020) against training runs."""

from itertools import pairwise

import numpy as np
from astropy.table import Table

from astroclust.data_files import read_data
from astroclust.evaluation import class_scores
from astroclust.experiments.ablation import (
    SIGNIFICANT,
    band_changes,
    classes_by_run,
    most_needed,
    sign_test_p,
)
from astroclust.experiments.wei2020_people import adopted_levels

__all__ = ["check_claims"]

_STARTS = ("-imagenet", "-random")
# Number of training runs for a scatter known to better than a third.
_ENOUGH = 6
_SUPPORTS, _CONTRADICTS, _OPEN = "supports", "contradicts", "undecided"


def check_claims(parts):
    """Compare training runs with statements of the paper.

    Parameters
    ----------
    parts : dict of (str, str) to `~astropy.table.Table`
        Classes of all runs by network and part, with ``run``. Networks that only differ by their
        initial weights have names that end in ``-imagenet`` and ``-random``.

    Returns
    -------
    claims : `~astropy.table.Table`
        One row per claim and network, or pair of networks: ``section`` and ``sentence`` of the
        paper, ``network``, ``ours`` and ``verdict``: ``"supports"``, ``"contradicts"`` or, if a
        two-sided sign test over the training runs is not significant, ``"undecided"``.
    """
    runs = {
        key: {run: class_scores(*pair) for run, pair in classes_by_run(table).items()}
        for key, table in parts.items()
    }
    networks = list(dict.fromkeys(network for network, _ in parts))
    rows = []
    for claim in read_data("wei2020_claims"):
        for network, ours, verdict in _CHECKS[claim["claim"]](claim, networks, runs, parts):
            rows.append((claim["section"], claim["sentence"], network, ours, verdict))
    names = ("section", "sentence", "network", "ours", "verdict")
    return Table(rows=rows, names=names)


def _check_transfer(_, networks, runs, __):
    """ImageNet weights against random weights of the same network."""
    for name in networks:
        other = name.removesuffix(_STARTS[0]) + _STARTS[1]
        if name.endswith(_STARTS[0]) and other in networks:
            text, mean, p = _difference(name, other, runs)
            verdict = _SUPPORTS if mean > 0 else _CONTRADICTS
            yield f"{name}, {other}", text, verdict if p < SIGNIFICANT else _OPEN


def _check_architecture(claim, networks, runs, _):
    """Networks of the same start against one another."""
    for start in _STARTS:
        same = [name for name in networks if name.endswith(start)]
        for name, other in pairwise(same):
            text, mean, p = _difference(name, other, runs)
            verdict = _CONTRADICTS if p < SIGNIFICANT else _OPEN
            yield f"{name}, {other}", text, _SUPPORTS if abs(mean) <= claim["high"] else verdict


def _difference(name, other, runs):
    """Difference of the accuracies on the validation set, with its p-value."""
    first, second = runs[name, "validation"], runs[other, "validation"]
    change = [
        100 * (first[run].meta["ACCURACY"] - second[run].meta["ACCURACY"])
        for run in first
        if run in second
    ]
    if not change:
        return "no runs of both", 0.0, 1.0
    p = sign_test_p(change)
    higher = np.count_nonzero(np.array(change) > 0)
    scatter = f" +- {np.std(change, ddof=1):.1f}" if len(change) > 1 else ""
    return (
        f"accuracy {np.mean(change):+.1f}{scatter} points, higher in {higher} of {len(change)} "
        f"training runs, p = {p:.2g}",
        float(np.mean(change)),
        p,
    )


def _check_scatter(claim, networks, runs, _):
    for name in networks:
        recalls = 100 * np.array([one["recall"] for one in runs[name, "validation"].values()])
        if len(recalls) < 2:
            yield name, "one training run", _OPEN
            continue
        scatter = np.std(recalls, axis=0, ddof=1)
        inside = np.all((scatter >= claim["low"]) & (scatter <= claim["high"]))
        verdict = _SUPPORTS if inside else _CONTRADICTS
        yield (
            name,
            f"{np.nanmin(scatter):.1f} to {np.nanmax(scatter):.1f} points over {len(recalls)} "
            "training runs",
            verdict if len(recalls) >= _ENOUGH else _OPEN,
        )


def _check_class_1(claim, networks, runs, _):
    for name, recalls in _new_galaxy(networks, runs):
        high = recalls[:, 0] - claim["low"]
        ours = f"{np.mean(recalls[:, 0]):.0f} percent"
        yield name, ours, _of_trainings(high)


def _check_class_2(_, networks, runs, __):
    for name, recalls in _new_galaxy(networks, runs):
        others = np.delete(recalls, 1, axis=1).min(axis=1)
        ours = f"{np.mean(recalls[:, 1]):.0f} percent; lowest of the others {np.mean(others):.0f}"
        yield name, ours, _of_trainings(others - recalls[:, 1])


def _check_people(_, networks, runs, __):
    """Recalls of the new galaxy against the human agreement adopted in the paper."""
    levels = adopted_levels()
    low = np.array([levels[name][0] for name in sorted(levels)])
    for name, recalls in _new_galaxy(networks, runs):
        ours = " ".join(
            f"{mean:.0f} ({limit:.0f})"
            for mean, limit in zip(recalls.mean(axis=0), low, strict=True)
        )
        text = f"percent of classes 1 to 4 (level of people, at least): {ours}"
        yield name, text, _of_trainings((recalls - low).min(axis=1))


def _new_galaxy(networks, runs):
    """Recalls in percent of each run on the new galaxy, by network."""
    for name in networks:
        if (name, "new galaxy") in runs:
            tables = runs[name, "new galaxy"].values()
            yield name, 100 * np.array([one["recall"] for one in tables])


def _of_trainings(excess):
    """Verdict from differences that support a claim if above 0, or 0."""
    support = np.where(np.asarray(excess) >= 0, 1.0, -1.0)
    if sign_test_p(support) >= SIGNIFICANT:
        return _OPEN
    return _SUPPORTS if support.mean() > 0 else _CONTRADICTS


def _check_filter(_, networks, __, parts):
    for name in networks:
        without = {
            part.removeprefix("without "): table
            for (network, part), table in parts.items()
            if network == name and part.startswith("without ")
        }
        if without:
            band, text = most_needed(band_changes(parts[name, "new galaxy"], without))
            verdict = _OPEN if band is None else _SUPPORTS if band == "V" else _CONTRADICTS
            yield name, text, verdict


_CHECKS = {
    "transfer": _check_transfer,
    "people": _check_people,
    "architecture": _check_architecture,
    "scatter": _check_scatter,
    "class-1": _check_class_1,
    "class-2": _check_class_2,
    "filter": _check_filter,
}
