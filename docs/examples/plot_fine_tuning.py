"""
Fine-tuning on labels
=====================

A classifier that was trained elsewhere learns from a few hundred labels of your own field. The
learning curve shows when the validation loss stops decreasing: more epochs would only overfit.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

from astroclust import load_classifier, simulate_stamps, train_classifier
from astroclust.plotting import plot_learning_curve
from astroclust.simulation import label_noise
from astroclust.training import Sample, find_recipe

stamps = simulate_stamps(200, seed=3, like=["ngc7793-e"])
kinds = stamps.table["kind"]
labels = label_noise(stamps.table["class"], seed=4, kinds=kinds)["class_mode"]
sample = Sample(stamps, labels, description="labels of three experts", simulated=True)

# %%
# The metrics of each epoch are in the folder of a training:

folder = Path(mkdtemp())
recipe = replace(find_recipe("fine-tune"), epochs=8, validation_share=0.25)
tuned = train_classifier(
    sample, name="tuned", recipe=recipe, start=load_classifier(), folder=folder, seed=1
)
figure = plot_learning_curve(folder / "metrics.csv").figure
