# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Training of the catalog-feature model on human classes."""

import numpy as np

from astroclust.context.features import INPUTS, feature_inputs
from astroclust.context.model import KINDS, ContextModel, Forest
from astroclust.extras import naming_extras
from astroclust.instruments import LEGUS_CLASSES

__all__ = ["train_context_model"]

_SETTINGS = {
    "learning_rate": 0.04,
    "max_iter": 150,
    "max_leaf_nodes": 8,
    "l2_regularization": 15.0,
    "max_features": 0.3,
    "max_bins": 64,
    "early_stopping": False,
}
# Minimum number of rows per leaf, including copies, but at most a tenth of all rows.
_LEAF = 120
# Number of copies of the sample with hidden inputs, and the fraction of rows that lose each input.
_COPIES, _HIDDEN = 2, 0.1
_LARGEST = 1e30


def train_context_model(features, classes, *, name="context", seed=0, kinds=KINDS):
    """Train a model of catalog features on human classes.

    Parameters
    ----------
    features : `~astropy.table.Table`, length n
        Features from `~astroclust.context.context_features`. Inputs are randomly hidden in copies
        of the sample, so that the model also works without some bands, the concentration index or
        the distance.
    classes : array_like of int, shape (n,)
        Human classes, 1 to 4.
    name : str, optional
        Name of the model.
    seed : int, optional
        Random seed; equal seeds give equal models.
    kinds : sequence of str, optional
        Forests to grow: ``"neighbors"`` and ``"alone"``.

    Returns
    -------
    model : `~astroclust.context.ContextModel`
        The trained model, without pooling exponents.

    Raises
    ------
    ModuleNotFoundError
        If scikit-learn is not installed.
    ValueError
        If the lengths differ, or the classes are not from 1 to 4 with at least two of them.

    Examples
    --------
    Two classes that differ in concentration index:

    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from astroclust.context import context_features, train_context_model
    >>> classes = np.tile([1, 4], 200)
    >>> table = Table({"x": np.arange(400.0), "y": np.zeros(400)})
    >>> table["ci"], table["mag_f555w"] = np.where(classes == 1, 1.7, 1.4), 22.0
    >>> features = context_features(table)
    >>> model = train_context_model(features, classes)
    >>> model.probabilities(features).argmax(axis=1)[:4] + 1
    array([1, 4, 1, 4])
    """
    classes = np.asarray(classes)
    if classes.shape != (len(features),) or len(set(classes.tolist())) < 2:
        raise ValueError(
            f"{len(features)} candidates require one class each and at least two distinct classes, "
            f"not an array of shape {classes.shape} with {len(set(classes.ravel().tolist()))}"
        )
    positions = LEGUS_CLASSES.positions(classes)
    values = np.column_stack([np.asarray(features[name], float) for name in feature_inputs()])
    rng = np.random.default_rng(seed)
    values = np.concatenate([values, *(_hide(values, rng) for _ in range(_COPIES))])
    targets = np.tile(positions, 1 + _COPIES)
    forests = {kind: _grow(values, targets, kind, seed) for kind in kinds}
    prior = np.maximum(np.bincount(positions, minlength=len(LEGUS_CLASSES)), 1) / len(positions)
    return ContextModel(name, forests, tuple(prior.tolist()))


def _hide(values, rng):
    """Copy with inputs hidden at random, except neighbors, which have a forest of their own."""
    values = values.copy()
    for hidden in INPUTS[:-1]:
        columns = [hidden in needs for needs in feature_inputs().values()]
        values[np.ix_(rng.random(len(values)) < _HIDDEN, columns)] = np.nan
    return values


def _grow(values, targets, kind, seed):
    with naming_extras():
        from sklearn.ensemble import HistGradientBoostingClassifier

    needs = feature_inputs()
    names = [name for name in needs if kind == "neighbors" or "neighbors" not in needs[name]]
    columns = np.array([name in names for name in needs]) & np.isfinite(values).any(axis=0)
    names = [name for name, used in zip(needs, columns, strict=True) if used]
    if not names:  # only neighbors are unknown
        return Forest((), np.zeros(len(LEGUS_CLASSES)), np.empty((0, 4)), [], [], [], [])
    settings = _SETTINGS | {"min_samples_leaf": max(1, min(_LEAF, len(values) // 10))}
    model = HistGradientBoostingClassifier(**settings, random_state=seed)
    model.fit(values[:, columns], targets)
    return _forest(model, names)


def _forest(model, names):
    """Convert the trees of scikit-learn to plain arrays."""
    trees = [[tree.nodes for tree in rounds] for rounds in model._predictors]
    baseline = np.ravel(model._baseline_prediction)
    classes = model.classes_.astype(int)
    if len(classes) == 2:  # one tree per round, of the second class against the first
        baseline, trees = np.append(0.0, baseline), [[None, *rounds] for rounds in trees]
    scores = np.full(len(LEGUS_CLASSES), -10.0)
    scores[classes] = baseline
    nodes, roots = [(-1, 0.0, 0, 0)], np.zeros((len(trees), len(LEGUS_CLASSES)), int)
    for number, rounds in enumerate(trees):
        for column, tree in zip(classes, rounds, strict=True):
            if tree is not None:
                roots[number, column] = len(nodes)
                _add_nodes(nodes, tree, 0)
    return Forest(names, scores, roots, *map(list, zip(*nodes, strict=True)))


def _add_nodes(nodes, tree, number):
    """Append a node and its descendants, left ones first."""
    node = tree[number]
    if node["is_leaf"]:
        nodes.append((-1, float(node["value"]), 0, 0))
        return
    at = len(nodes)
    nodes.append(None)
    _add_nodes(nodes, tree, node["left"])
    right = len(nodes)
    _add_nodes(nodes, tree, node["right"])
    # A threshold of infinity separates known from missing values; JSON does not support it.
    threshold = min(float(node["num_threshold"]), _LARGEST)
    missing_left = int(node["missing_go_to_left"])
    nodes[at] = int(node["feature_idx"]), threshold, missing_left, right
