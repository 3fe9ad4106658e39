# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Boosted trees that classify catalog features."""

import json
import re
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from astroclust.context.features import feature_inputs
from astroclust.context.pooling import pool_probabilities
from astroclust.files import replace_when_done

__all__ = ["KINDS", "ContextModel", "Forest", "load_context_model"]

#: Forests of a model: for candidates with and without known neighbors.
KINDS = ("neighbors", "alone")
# Significant digits written.
_DIGITS = 5
# Rows at a time, to bound the memory.
_BLOCK = 256


@dataclass(frozen=True)
class Forest:
    """Regression trees whose sums are the class scores.

    Parameters
    ----------
    features : tuple of str
        Names of the features.
    baseline : array_like of float, shape (n_classes,)
        Scores before the first tree.
    roots : array_like of int, shape (n_rounds, n_classes)
        Index of the root node of each tree.
    feature : array_like of int, shape (n_nodes,)
        Index of the feature tested by a node; -1 for a leaf.
    value : array_like of float, shape (n_nodes,)
        Threshold of the feature, or the value of a leaf.
    missing_left : array_like of int, shape (n_nodes,)
        Whether a missing value goes to the left node.
    right : array_like of int, shape (n_nodes,)
        Index of the node for rows above the threshold; the left node is the next one.

    Examples
    --------
    A tree that separates two classes by the concentration index:

    >>> from astropy.table import Table
    >>> from astroclust.context.model import Forest
    >>> trees = Forest(
    ...     ("ci",), [0.0, 0.0], [[0, 3]], [0, -1, -1, -1], [1.5, -2, 2, 0.0], [1, 0, 0, 0],
    ...     [2, 0, 0, 0],
    ... )
    >>> trees.probabilities(Table({"ci": [1.4, 1.6]})).round(2).tolist()
    [[0.12, 0.88], [0.88, 0.12]]
    """

    features: tuple
    baseline: np.ndarray
    roots: np.ndarray
    feature: np.ndarray
    value: np.ndarray
    missing_left: np.ndarray
    right: np.ndarray

    def __post_init__(self):
        object.__setattr__(self, "features", tuple(self.features))
        for name in ("baseline", "value"):
            object.__setattr__(self, name, np.array(getattr(self, name), float))
        for name in ("roots", "feature", "missing_left", "right"):
            object.__setattr__(self, name, np.array(getattr(self, name), int))

    def probabilities(self, features):
        """Class probabilities.

        Parameters
        ----------
        features : `~astropy.table.Table`, length n
            With the columns of ``features``.

        Returns
        -------
        probabilities : `~numpy.ndarray` of float, shape (n, n_classes)
            Each row sums to 1.
        """
        scores = np.tile(self.baseline, (len(features), 1))
        if self.features:
            inputs = np.column_stack([np.asarray(features[name], float) for name in self.features])
            for start in range(0, len(inputs), _BLOCK):
                rows = slice(start, start + _BLOCK)
                # Not a sum over an axis, whose order depends on the number of rows.
                for values in np.moveaxis(self.value[self._leaves(inputs[rows])], 1, 0):
                    scores[rows] += values
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)

    def _leaves(self, inputs):
        """Leaf index of n rows in each tree, shape (n, n_rounds, n_classes)."""
        nodes = np.tile(self.roots, (len(inputs), 1, 1))
        rows = np.arange(len(inputs))[:, None, None]
        while (inner := self.feature[nodes] >= 0).any():
            asked = inputs[rows, self.feature[nodes]]
            missing_left = self.missing_left[nodes] > 0
            left = np.where(np.isnan(asked), missing_left, asked <= self.value[nodes])
            nodes = np.where(inner, np.where(left, nodes + 1, self.right[nodes]), nodes)
        return nodes


@dataclass(frozen=True)
class ContextModel:
    """Class probabilities from catalog features, with exponents for pooling with images.

    Parameters
    ----------
    name : str
        Name of the model.
    forests : dict of str to `Forest`
        ``"neighbors"``, and ``"alone"`` for candidates without known neighbors.
    prior : tuple of float
        Class fractions of the labels.
    pooling : dict of str to sequence of float
        Exponents of the image and of the catalog for each forest; see
        `~astroclust.context.pool_probabilities`.
    training_sample : str
        Description of the training set.
    scores : dict
        Scores on galaxies that are not in the training set.
    command : str
        Command that reproduces the model.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.context import context_features, load_context_model
    >>> table = Table({"x": [10.0], "y": [10.0], "ci": [1.5], "mag_f555w": [22.0]})
    >>> table["mag_err_f555w"], table["mag_f814w"], table["mag_err_f814w"] = 0.05, 21.5, 0.05
    >>> model = load_context_model()
    >>> model.probabilities(context_features(table, distance=10)).shape
    (1, 4)
    """

    name: str
    forests: dict
    prior: tuple
    pooling: dict = field(default_factory=dict)
    training_sample: str = ""
    scores: dict = field(default_factory=dict)
    command: str = ""

    @staticmethod
    def kinds(features):
        """Rows that belong to each forest, as a dict from forest name to rows."""
        known = np.isfinite(np.asarray(features["sep_1"], float))
        return {"neighbors": np.flatnonzero(known), "alone": np.flatnonzero(~known)}

    def probabilities(self, features):
        """Class probabilities.

        Parameters
        ----------
        features : `~astropy.table.Table`, length n
            Features from `~astroclust.context.context_features`.

        Returns
        -------
        probabilities : `~numpy.ndarray` of float, shape (n, 4)
            Each row sums to 1.
        """
        probabilities = np.empty((len(features), len(self.prior)))
        for kind, rows in self.kinds(features).items():
            probabilities[rows] = self.forests[kind].probabilities(features[rows])
        return probabilities

    def pool(self, image, features):
        """Pool class probabilities from images with those from the catalog.

        Parameters
        ----------
        image : array_like of float, shape (..., n, 4)
            Class probabilities from images.
        features : `~astropy.table.Table`, length n
            Features from `~astroclust.context.context_features`.

        Returns
        -------
        probabilities : `~numpy.ndarray` of float, shape (..., n, 4)
            Pooled class probabilities.
        """
        pooled, catalog = np.array(image, float), self.probabilities(features)
        for kind, rows in self.kinds(features).items():
            pooled[..., rows, :] = pool_probabilities(
                pooled[..., rows, :], catalog[rows], self.pooling[kind]
            )
        return pooled

    def write(self, path):
        """Write the model to a JSON file.

        Parameters
        ----------
        path : str or `~pathlib.Path`
            The file, which is overwritten.
        """
        text = json.dumps(_plain(asdict(self)), indent=0, separators=(",", ":"))
        text = re.sub(r",\n(?=[-\d])", ",", text)  # one line per list of numbers
        with replace_when_done(path, overwrite=True) as unfinished:
            unfinished.write_text(text + "\n", "utf-8")

    @classmethod
    def read(cls, path):
        """Read a model written by `write`.

        Parameters
        ----------
        path : str or `~pathlib.Path`
            The file.

        Returns
        -------
        model : `ContextModel`
            The model.

        Raises
        ------
        OSError
            If the file cannot be read.
        ValueError
            If the file is not a model, or has features unknown to this version.
        """
        try:
            return cls._from_text(Path(path).read_text("utf-8"))
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(
                f"{path} was not written by this version of ContextModel.write ({error}); train "
                "it again"
            ) from error

    @classmethod
    def _from_text(cls, text):
        content = json.loads(text)
        forests = {kind: Forest(**forest) for kind, forest in content["forests"].items()}
        used = {name for forest in forests.values() for name in forest.features}
        unknown = sorted(used - set(feature_inputs()))
        if unknown or set(forests) != set(KINDS):
            raise ValueError(f"unknown features {', '.join(unknown)}" if unknown else "no forests")
        return cls(**{**content, "forests": forests, "prior": tuple(content["prior"])})


@cache
def load_context_model():
    """Load the bundled model of photometry and surroundings.

    Returns
    -------
    model : `ContextModel`
        Trained on the human classes of LEGUS catalogs; do not modify it.

    Examples
    --------
    >>> from astroclust.context import load_context_model
    >>> sorted(load_context_model().forests)
    ['alone', 'neighbors']
    """
    path = resources.files("astroclust").joinpath("data/context.json")
    return ContextModel._from_text(path.read_text("utf-8"))


def _plain(value):
    """Convert to lists, text and numbers with few digits."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
