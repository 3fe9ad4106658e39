# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Find star-cluster candidates in HST images of nearby galaxies, and classify them."""

import sys as _sys
from importlib import import_module
from importlib.metadata import version as _version
from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING

from astropy.io import registry as _registry

# Functions and classes of a typical script, and the subpackage of each; other public names are
# imported from their subpackage. Names are imported on first use, so that ``import astroclust`` is
# quick and does not import torch, matplotlib or GalSim.
_HOMES = {
    "ImageSet": "images",
    "Stamps": "stamps",
    "class_scores": "evaluation",
    "classify_fields": "classification",
    "classify_table": "classification",
    "completeness": "injection",
    "decode_flags": "stamps",
    "extract_spectra": "sed",
    "fetch_legus": "archive",
    "fetch_phangs": "archive",
    "find_candidates": "selection",
    "find_field": "catalogs",
    "find_sources": "detection",
    "load_classifier": "weights",
    "make_stamps": "stamps",
    "measure_photometry": "photometry",
    "read_legus": "catalogs",
    "read_phangs": "catalogs",
    "read_regions": "ds9",
    "regions_mask": "ds9",
    "review_table": "review",
    "run_field": "pipeline",
    "save_classifier": "weights",
    "simulate_field": "simulation",
    "simulate_stamps": "simulation",
    "synthetic_magnitudes": "sed",
    "to_regions": "ds9",
    "train_classifier": "training",
    "white_light": "detection",
    "write_legus": "catalogs",
}

# Packages and modules that are imported when they are first used, as ``astroclust.catalogs``.
_PACKAGES = (*sorted({*_HOMES.values()}), "files", "instruments")

__all__ = sorted(_HOMES)
__version__ = _version("astroclust")


if TYPE_CHECKING:
    # The same names for type checkers, which would take any name from ``__getattr__``.
    from astroclust import archive as archive
    from astroclust import catalogs as catalogs
    from astroclust import classification as classification
    from astroclust import detection as detection
    from astroclust import ds9 as ds9
    from astroclust import evaluation as evaluation
    from astroclust import files as files
    from astroclust import images as images
    from astroclust import injection as injection
    from astroclust import instruments as instruments
    from astroclust import photometry as photometry
    from astroclust import pipeline as pipeline
    from astroclust import review as review
    from astroclust import sed as sed
    from astroclust import selection as selection
    from astroclust import simulation as simulation
    from astroclust import stamps as stamps
    from astroclust import training as training
    from astroclust import weights as weights
    from astroclust.archive import fetch_legus as fetch_legus
    from astroclust.archive import fetch_phangs as fetch_phangs
    from astroclust.catalogs import find_field as find_field
    from astroclust.catalogs import read_legus as read_legus
    from astroclust.catalogs import read_phangs as read_phangs
    from astroclust.catalogs import write_legus as write_legus
    from astroclust.classification import classify_fields as classify_fields
    from astroclust.classification import classify_table as classify_table
    from astroclust.detection import find_sources as find_sources
    from astroclust.detection.white_light import white_light as white_light
    from astroclust.ds9 import read_regions as read_regions
    from astroclust.ds9 import regions_mask as regions_mask
    from astroclust.ds9 import to_regions as to_regions
    from astroclust.evaluation import class_scores as class_scores
    from astroclust.images import ImageSet as ImageSet
    from astroclust.injection import completeness as completeness
    from astroclust.photometry import measure_photometry as measure_photometry
    from astroclust.pipeline import run_field as run_field
    from astroclust.review import review_table as review_table
    from astroclust.sed import extract_spectra as extract_spectra
    from astroclust.sed import synthetic_magnitudes as synthetic_magnitudes
    from astroclust.selection import find_candidates as find_candidates
    from astroclust.simulation import simulate_field as simulate_field
    from astroclust.simulation import simulate_stamps as simulate_stamps
    from astroclust.stamps import Stamps as Stamps
    from astroclust.stamps import decode_flags as decode_flags
    from astroclust.stamps import make_stamps as make_stamps
    from astroclust.training import train_classifier as train_classifier
    from astroclust.weights import load_classifier as load_classifier
    from astroclust.weights import save_classifier as save_classifier
else:

    def __getattr__(name):
        if name in _PACKAGES:
            return import_module(f"astroclust.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module 'astroclust' has no attribute {name!r}")
        return getattr(import_module(f"astroclust.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES, *_PACKAGES]


def test(*arguments: str) -> int:
    """Run the tests of the installed package.

    Parameters
    ----------
    *arguments : str
        Arguments of pytest, such as ``"-k"`` and ``"stamps"``.

    Returns
    -------
    status : `pytest.ExitCode`
        0 if all tests passed.

    Raises
    ------
    ModuleNotFoundError
        If pytest is not installed; the extra ``test`` has what the tests need.

    Examples
    --------
    >>> import astroclust
    >>> astroclust.test("-k", "stamps")  # doctest: +SKIP
    """
    with import_module("astroclust.extras").naming_extras():
        pytest = import_module("pytest")
    return pytest.main(["--pyargs", "astroclust", *arguments])


def _read_legus(path, field=None, filters=None):
    return import_module("astroclust.catalogs").read_legus(path, field=field, filters=filters)


def _write_legus(table, path, overwrite=False):
    import_module("astroclust.catalogs").write_legus(table, path, overwrite=overwrite)


def _register():
    """Register ``Table.read(path, format="ascii.legus")`` and ``table.write(...)``."""
    table = _sys.modules["astropy.table"].Table
    _registry.register_reader("ascii.legus", table, _read_legus, force=True)
    _registry.register_writer("ascii.legus", table, _write_legus, force=True)


class _RegisterLater:
    """Register the format on import of astropy.table, which is slow to import."""

    def find_spec(self, name, *_):
        if name != "astropy.table":
            return None
        _sys.meta_path.remove(self)
        spec = _find_spec(name)
        execute = spec.loader.exec_module

        def execute_and_register(module):
            execute(module)
            _register()

        spec.loader.exec_module = execute_and_register
        return spec


if hasattr(_sys.modules.get("astropy.table"), "Table"):
    _register()
else:
    _sys.meta_path.insert(0, _RegisterLater())
