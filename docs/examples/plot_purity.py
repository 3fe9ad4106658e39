"""
Purity and completeness
=======================

A threshold on the probability of the cluster classes trades completeness for purity.
`~astroclust.evaluation.purity_curve` measures both on labeled objects, and
`~astroclust.evaluation.purity_threshold` finds the threshold for a given purity.
"""

from matplotlib.figure import Figure

from astroclust import load_classifier, simulate_stamps
from astroclust.evaluation import purity_curve, purity_threshold

stamps = simulate_stamps(400, seed=5, like=["ngc1433"])
labels = stamps.table["class"]
probabilities = load_classifier().probabilities(stamps).mean(axis=0)
curve = purity_curve(labels, probabilities, classes=[1, 2])
threshold = purity_threshold(labels, probabilities, 0.9, classes=[1, 2])

figure = Figure(figsize=(6.5, 4.2), layout="constrained")
ax = figure.subplots()
curve = curve[curve["total"] >= 10]
ax.plot(curve["threshold"], curve["purity"], color="#0072B2", label="purity")
ax.plot(curve["threshold"], curve["completeness"], color="#E69F00", ls="--", label="completeness")
ax.axvline(threshold, color="0.5", ls=":", label=f"threshold for a purity of 0.9: {threshold:.2f}")
ax.set(xlabel="minimum P(1) + P(2)", ylabel="fraction", xlim=(0, 1), ylim=(0, 1.03))
ax.legend(loc="lower left")
