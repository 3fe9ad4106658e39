"""
Missing bands and pixels
========================

Fields without NUV and U images, dead detector lines and masked cosmic rays are common. To measure
their cost in accuracy, the same stamps are classified with fewer bands and with fewer pixels.
"""

import numpy as np
from matplotlib.figure import Figure

from astroclust import load_classifier, simulate_stamps
from astroclust.plotting import plot_damage
from astroclust.stamps import without_bands
from astroclust.training import score_damage

classifier = load_classifier()
stamps = simulate_stamps(200, seed=6, like=["ngc1433"])
labels = stamps.table["class"]

# %%
# This requires a classifier that accepts missing bands; ``classifier.card.max_missing_bands`` is
# their maximum number.

subsets = [("NUV", "U", "B", "V", "I"), ("U", "B", "V", "I"), ("B", "V", "I"), ("V", "I"), ("V",)]
accuracy = []
for bands in subsets:
    missing = [i for i, band in enumerate(stamps.bands) if band not in bands]
    probabilities = classifier.probabilities(without_bands(stamps, missing)).mean(axis=0)
    accuracy.append(np.mean(1 + probabilities.argmax(axis=1) == labels))
figure = Figure(figsize=(6, 3), layout="constrained")
ax = figure.subplots()
error = np.sqrt(np.multiply(accuracy, np.subtract(1, accuracy)) / len(stamps))
ax.barh([" ".join(bands) for bands in subsets], accuracy, xerr=error, color="#56B4E9", capsize=3)
ax.invert_yaxis()
ax.set(xlabel="accuracy on 200 simulated stamps", xlim=(0, 1))

# %%
# Isolated missing pixels are filled from their neighbors, and cost little; lines and blocks cost
# more:

figure = plot_damage(score_damage(classifier, stamps, labels, fractions=(0, 0.2, 0.4), seed=1))
