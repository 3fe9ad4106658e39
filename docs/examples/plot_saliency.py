"""
Saliency of a cluster
=====================

Integrated gradients attribute the class of a stamp to its pixels. For a cluster, pixels at its
center should support the class, and neighboring sources should not matter.
"""

import numpy as np

from astroclust import simulate_stamps
from astroclust.attribution import band_importance, saliency
from astroclust.plotting import plot_saliency

stamps = simulate_stamps(24, seed=8, like=["ngc628-c"])
stamps = stamps[np.flatnonzero(stamps.table["class"] == 1)]
maps = saliency(stamps)
figure = plot_saliency(stamps, maps, row=0)

# %%
# The fraction of the attribution in each band, for each stamp:

fractions = band_importance(maps, stamps.bands)
print(fractions)
