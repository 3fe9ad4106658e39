"""
Comparing two detection thresholds
==================================

A lower threshold finds more clusters, and more sources that are not clusters.
`~astroclust.evaluation.detection_scores` measures both, relative to the truth of a simulated field
or to a human catalog.
"""

from dataclasses import replace

from astroclust import find_candidates, simulate_field
from astroclust.evaluation import detection_scores
from astroclust.plotting import plot_detection
from astroclust.selection import PRESETS

field = simulate_field(like="ngc628-c", shape=(500, 500), seed=3, density=1e-3)
scores = {}
for threshold in (20, 5):
    preset = replace(PRESETS["legus"], threshold=threshold)
    found = find_candidates(field.images, distance=9.9, preset=preset)
    scores[f"threshold {threshold}"] = detection_scores(
        found, field.truth, classes=[1, 2, 3], magnitude=("mag_f555w", "mag_v")
    )
figure = plot_detection(scores)
