"""
One object of each class
========================

Stamps of the four LEGUS classes with their surroundings, in color and in each band, as in Fig. 1
of Wei et al. (2020): a symmetric cluster, an asymmetric one, an association with several peaks,
and a source that is not a cluster.
"""

import numpy as np

from astroclust import make_stamps, simulate_field
from astroclust.instruments import LEGUS_CLASSES
from astroclust.plotting import plot_examples

field = simulate_field(like="ngc1566", shape=(460, 460), seed=11, density=4e-4)

# %%
# The brightest object of each class whose surroundings are completely on the image:

truth = field.truth
inside = (np.abs(truth["x"] - 229.5) < 150) & (np.abs(truth["y"] - 229.5) < 150)
truth = truth[inside]
truth.sort("mag_v")
rows = [np.flatnonzero(truth["class"] == number)[0] for number in LEGUS_CLASSES.names]
stamps = make_stamps(truth[rows], field.images, size=149)
figure = plot_examples(stamps, titles=list(LEGUS_CLASSES.names.values()))
