# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Configuration of Sphinx."""

import os
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx_astropy.conf.v2 import *  # noqa: F403

from astroclust.stamps import FLAG_MEANINGS

project = "astroclust"
author = "The astroclust developers"
copyright = f"2026, {author}"  # noqa: A001
release = version = installed_version("astroclust")
html_title = f"{project} {release}"
html_theme_options = {"logo": {"text": project}}
html_sidebars = {"**": []}  # the top bar holds all pages
exclude_patterns = ["_build", "**.inc"]
suppress_warnings = []

nitpicky = True
intersphinx_mapping = {
    "astropy": ("https://docs.astropy.org/en/stable/", None),
    "matplotlib": ("https://matplotlib.org/stable/", None),
    "numpy": ("https://numpy.org/doc/stable/", None),
    "python": ("https://docs.python.org/3/", None),
    "regions": ("https://astropy-regions.readthedocs.io/en/stable/", None),
    "specutils": ("https://specutils.readthedocs.io/en/stable/", None),
    "torch": ("https://docs.pytorch.org/docs/stable/", None),
}
if os.environ.get("ASTROCLUST_DOCS_OFFLINE"):
    # Links to other projects cannot be checked; those within this one still are.
    intersphinx_mapping = {}
    nitpick_ignore_regex = [("py:.*", r"(?!astroclust).*")]

# The table of flags is made from the registry, so that the two cannot drift apart.
_rows = "\n".join(
    f"   * - {flag.value}\n     - ``{flag.name}``\n     - {meaning}"
    for flag, meaning in FLAG_MEANINGS.items()
)
Path(__file__).with_name("flags.inc").write_text(
    ".. list-table::\n   :header-rows: 1\n\n   * - bit\n     - name\n     - meaning\n"
    + _rows
    + "\n"
)
