"""
A classified field
==================

This example finds and classifies the candidates in a field, and plots their positions and stamps.
"""

import numpy as np

from astroclust import classify_table, find_candidates, simulate_field
from astroclust.plotting import plot_field, plot_gallery

field = simulate_field(like="ngc1566", shape=(400, 400), seed=7, density=4e-4)

# %%
# The stamp of a candidate is 50 pixels wide. This footprint keeps candidates whose stamps are
# completely on the image; without it, the other candidates are also classified, and flagged.

footprint = np.zeros(field.images.shape, bool)
footprint[26:-26, 26:-26] = True
candidates = find_candidates(field.images, distance=18, footprint=footprint)
result = classify_table(candidates, field.images, neighbors=candidates)
figure = plot_field(field.images, result).figure

# %%
# The stamps of each class, most probable first, with probability and entropy:

figure = plot_gallery(result, field.images, per_class=6)
