# The examples of the docs run as those of docstrings do.
from astroclust.conftest import _examples_leave_nothing_behind  # noqa: F401

# The build of the docs runs the scripts of the gallery, and leaves the other folders.
collect_ignore_glob = ["*.py", "api/*", "gallery/*", "_build/*"]
