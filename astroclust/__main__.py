# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""``python -m astroclust``."""

import sys

from astroclust.cli import main

__all__ = []

sys.exit(main())
