# The examples of the docs run as those of docstrings do.
from astroclust.conftest import _examples_leave_nothing_behind  # noqa: F401
