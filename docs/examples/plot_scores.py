"""
Scores of a classifier
======================

A confusion matrix shows which classes are mistaken for which, a calibration curve shows whether
probabilities can be taken at face value, and the accuracy as a function of entropy shows which
objects to inspect.
"""

import numpy as np
from matplotlib.figure import Figure

from astroclust import load_classifier, simulate_stamps
from astroclust.evaluation import accuracy_against, calibration_curve, confusion_matrix
from astroclust.plotting import plot_calibration, plot_confusion

stamps = simulate_stamps(240, seed=5, like=["ngc1433"])
labels = stamps.table["class"]
probabilities = load_classifier().probabilities(stamps).mean(axis=0)
classes = 1 + probabilities.argmax(axis=1)

figure = Figure(figsize=(10, 4.8), layout="constrained")
axes = figure.subplots(1, 2)
plot_confusion(confusion_matrix(labels, classes), ax=axes[0])
plot_calibration(calibration_curve(labels, probabilities, bins=6), ax=axes[1])

# %%
# The four classes are equally frequent in these stamps, but the bundled classifier assumes that
# half of all objects are of class 4, so it assigns class 4 too often (:ref:`bundled`).
#
# Classes of low entropy can be trusted more, and those of high entropy are worth a visual
# inspection:

entropy = -np.sum(probabilities * np.log(probabilities), axis=1)
trend = accuracy_against(entropy, labels, classes, bins=5)
middle, accuracy = (trend["low"] + trend["high"]) / 2, trend["accuracy"]
error = [accuracy - trend["accuracy_low"], trend["accuracy_high"] - accuracy]
figure = Figure(figsize=(6, 4), layout="constrained")
ax = figure.subplots()
ax.errorbar(middle, accuracy, error, marker="o", capsize=2)
ax.set(xlabel="entropy (nats)", ylabel="accuracy", ylim=(0, 1))
