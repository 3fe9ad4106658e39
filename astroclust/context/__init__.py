# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Class probabilities from catalog photometry and surroundings, to pool with those from images."""

from astroclust.context.features import context_features
from astroclust.context.model import ContextModel, load_context_model
from astroclust.context.pooling import fit_pooling, pool_probabilities
from astroclust.context.training import train_context_model

__all__ = [
    "ContextModel",
    "context_features",
    "fit_pooling",
    "load_context_model",
    "pool_probabilities",
    "train_context_model",
]
