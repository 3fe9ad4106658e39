# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Find star-cluster candidates in HST images of nearby galaxies, and classify them."""

import sys as _sys
from importlib import import_module
from importlib.metadata import version as _version
from importlib.util import find_spec as _find_spec

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


def __getattr__(name):
    if name in _PACKAGES:
        return import_module(f"astroclust.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'astroclust' has no attribute {name!r}")
    return getattr(import_module(f"astroclust.{_HOMES[name]}"), name)


def __dir__():
    return [*globals(), *_HOMES, *_PACKAGES]


def test(*arguments):
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
