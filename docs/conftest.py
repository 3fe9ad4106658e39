# The examples of the docs run as those of docstrings do.
from astroclust.conftest import _examples_leave_nothing_behind  # noqa: F401

# Scripts of the gallery, which the build of the docs runs, and what the build leaves here.
collect_ignore_glob = ["examples/*", "gallery/*", "api/*", "_build/*"]
