# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Bands in which simulations are drawn first: those of the LEGUS catalogs they are based on."""

import numpy as np

from astroclust.instruments import LEGUS_BANDS

__all__ = ["N_BANDS", "V", "relative_magnitudes"]

N_BANDS = len(LEGUS_BANDS)
V = LEGUS_BANDS.index("V")


def relative_magnitudes(nuv_u, u_b, b_v, v_i):
    """Magnitudes relative to V from the colors NUV-U, U-B, B-V and V-I, shape (5, ...)."""
    return np.array([nuv_u + u_b + b_v, u_b + b_v, b_v, np.zeros_like(b_v), -v_i])
