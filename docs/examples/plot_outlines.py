"""
Targets of a detector
=====================

A detector with masks is trained on the boxes and outlines of simulated sources: all pixels in
which a source is above the noise. Classical detection divides the same image at saddles between
peaks.
"""

import numpy as np
from matplotlib.figure import Figure

from astroclust import find_sources, simulate_field, white_light
from astroclust.detectors import DetectionField

field = simulate_field(like="ngc628-c", shape=(120, 120), seed=2, density=2e-3, outlines=True)
known = DetectionField.of(field)
image = white_light(field.images)
_, found = find_sources(image, threshold=5, segmentation=True)

# %%
# The labels in ``known.segments`` number the sources, whose classes are in ``known.classes``:

figure = Figure(figsize=(9, 4.8), layout="constrained")
titles = {"outlines for training": known.segments, "find_sources, threshold 5": found.data}
for ax, (title, segments) in zip(figure.subplots(1, 2), titles.items(), strict=True):
    low, high = np.percentile(image.data, [5, 99.5])
    ax.imshow(image.data, origin="lower", cmap="gray", vmin=low, vmax=high)
    for label in np.unique(segments)[1:]:
        ax.contour(segments == label, [0.5], colors=[f"C{label % 10}"], linewidths=0.8)
    ax.set(title=title, xticks=[], yticks=[])
