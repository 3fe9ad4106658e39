# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Configuration of Sphinx."""

import atexit
import os
import sys
import warnings
from dataclasses import fields
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory

from astropy.utils.exceptions import AstropyUserWarning
from sphinx_astropy.conf.v2 import *  # noqa: F403

from astroclust.catalogs import CatalogFlag
from astroclust.catalogs.keywords import KEYWORDS
from astroclust.classification import EvidenceFlag
from astroclust.selection import Cut
from astroclust.stamps import StampFlag
from astroclust.weights import ModelCard, list_classifiers

# gallery_figures and the local archive
sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tools")]
from archive_server import ArchiveServer, simulated_archive

project = "astroclust"
author = "The astroclust developers"
copyright = f"2026, {author}"  # noqa: A001
release = version = installed_version("astroclust")
html_title = f"{project} {release}"
html_logo = html_favicon = "_static/logo.svg"
html_static_path = ["_static"]
html_css_files = ["astroclust.css"]
html_theme_options = {
    "logo": {"text": project},
    "github_url": "https://github.com/astroclust/astroclust",
    "collapse_navigation": True,
    "navigation_depth": 3,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
}
html_sidebars = {"index": [], "search": []}  # all other pages list those of their section
toc_object_entries = False
autodoc_preserve_defaults = True
# Docstrings have the types, with shapes and units.
autodoc_typehints = "none"
exclude_patterns = ["_build", "**.inc", "examples", "gallery/*.ipynb"]
suppress_warnings = []
extensions += ["sphinx_design"]  # noqa: F405

# An example that warns would teach others to ignore warnings.
warnings.simplefilter("error", AstropyUserWarning)
extensions.append("sphinx_gallery.gen_gallery")
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "image_scrapers": ("gallery_figures.save_figure",),
    "doc_module": ("astroclust",),
    "reference_url": {"astroclust": None},
    "backreferences_dir": "gallery/uses",
    "min_reported_time": 3600,
    "show_signature": False,
}

plot_formats = [("png", 150)]
plot_html_show_formats = False
plot_html_show_source_link = False

# Notebooks are kept without outputs, and run here.
extensions.append("myst_nb")
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 900
nb_execution_in_temp = True

# Building these pages downloads nothing: notebooks find a small simulated field in place of
# NGC 3351 in MAST.
_folder = TemporaryDirectory()
atexit.register(_folder.cleanup)
_archive = ArchiveServer(simulated_archive(["ngc3351"], Path(_folder.name), shape=(500, 500)))
_archive.start()
_settings = Path(_folder.name, "config", "astropy", "astroclust.cfg")
_settings.parent.mkdir(parents=True)
_settings.write_text(f"archive_server = {_archive.url}\nmast_server = {_archive.url}\n")
os.environ["XDG_CONFIG_HOME"] = str(_settings.parents[1])
# Progress bars of other packages ask for widgets, which a page cannot have.
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"

nitpicky = True
intersphinx_mapping = {
    "astropy": ("https://docs.astropy.org/en/stable/", None),
    "matplotlib": ("https://matplotlib.org/stable/", None),
    "numpy": ("https://numpy.org/doc/stable/", None),
    "photutils": ("https://photutils.readthedocs.io/en/stable/", None),
    "python": ("https://docs.python.org/3/", None),
    "regions": ("https://astropy-regions.readthedocs.io/en/stable/", None),
    "specutils": ("https://specutils.readthedocs.io/en/stable/", None),
    "torch": ("https://docs.pytorch.org/docs/stable/", None),
}
if os.environ.get("ASTROCLUST_DOCS_OFFLINE"):
    # Links to other projects cannot be checked; those within this one still are.
    intersphinx_mapping = {}
    nitpick_ignore_regex = [("py:.*", r"(?!astroclust).*")]


def _as_text(value):
    """An entry of a card, as a cell of a table."""
    if isinstance(value, dict) and any(isinstance(entry, dict) for entry in value.values()):
        return "; ".join(f"{name}: {_as_text(entry)}" for name, entry in value.items())
    if isinstance(value, dict):
        return ", ".join(f"{name}: {entry}" for name, entry in value.items())
    if isinstance(value, tuple):
        return ", ".join(value)
    text = str(value)
    if len(text) > 64 and not text.count(" "):  # fingerprints
        return f"{text[:12]}... ({len(text)} characters)"
    return f"``{text}``" if text.startswith("astroclust ") or len(text) == 64 else text


# Tables of what the package itself knows are made from there, so that the two cannot drift apart.
def _write_table(name, titles, rows):
    """A file with a list-table, to be included."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [titles, *rows]:
        lines += [f"   {'  -' if i else '* -'} {entry}".rstrip() for i, entry in enumerate(row)]
    Path(__file__).with_name(name).write_text("\n".join(lines) + "\n")


for _name, _kind in (
    ("flags", StampFlag),
    ("evidence", EvidenceFlag),
    ("cuts", Cut),
    ("catalog_flags", CatalogFlag),
):
    _rows = [(bit, f"``{name}``", meaning) for bit, name, meaning in _kind.describe()]
    _write_table(f"{_name}.inc", ("bit", "name", "meaning"), _rows)
_write_table(
    "keywords.inc",
    ("keyword", "meaning", "unit", "one for each"),
    [(f"``{key}``", word.meaning, word.unit, word.each) for key, word in KEYWORDS.items()],
)
_cards = list_classifiers().values()
_write_table(
    "cards.inc",
    ("entry", *(f"``{card.name}``" for card in _cards)),
    [
        (f"``{entry.name}``", *(_as_text(getattr(card, entry.name)) for card in _cards))
        for entry in fields(ModelCard)
        if entry.name != "name"
    ],
)
