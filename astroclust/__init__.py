# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Find star-cluster candidates in HST images of nearby galaxies, and classify them."""

from importlib import import_module
from importlib.metadata import version as _version

# Where each public name lives. A name is imported when it is first used, so that
# ``import astroclust`` is quick and leaves torch, matplotlib and GalSim out.
_HOMES = {
    "BANDS": "images",
    "CLASSES": "catalogs",
    "Classifier": "weights",
    "ImageSet": "images",
    "Stamps": "stamps",
    "StampFlag": "stamps",
    "classify_table": "classification",
    "class_scores": "evaluation",
    "concentration_index": "photometry",
    "confusion_matrix": "evaluation",
    "create_network": "networks",
    "decode_flags": "stamps",
    "find_candidates": "selection",
    "find_sources": "detection",
    "list_classifiers": "weights",
    "load_classifier": "weights",
    "make_stamps": "stamps",
    "measure_photometry": "photometry",
    "save_classifier": "weights",
    "select_candidates": "selection",
    "simulate_field": "simulation",
    "simulate_stamps": "simulation",
    "to_regions": "ds9",
    "train_classifier": "training",
}

__all__ = sorted(_HOMES)
__version__ = _version("astroclust")


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'astroclust' has no attribute {name!r}")
    return getattr(import_module(f"astroclust.{_HOMES[name]}"), name)


def __dir__():
    return [*globals(), *_HOMES]
