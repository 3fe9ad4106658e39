"""
Saliency with fewer bands
=========================

`~astroclust.attribution.reduce_input` classifies stamps with all bands, with V and I, and with V
alone, and maps the saliency for the class obtained with all bands. Without a band, the network
uses the remaining ones.
"""

from astroclust import load_classifier, simulate_stamps
from astroclust.attribution import reduce_input
from astroclust.plotting import plot_reduced_input

stamps = simulate_stamps(60, seed=7, like=["ngc628-c"])
probabilities = load_classifier().probabilities(stamps).mean(axis=0)

# %%
# The most probable object of each class:

stamps = stamps[probabilities.argmax(axis=0)]
reduced = reduce_input(stamps, inputs=[("V", "I"), ("V",)])
figure = plot_reduced_input(stamps, reduced)

# %%
# The fraction of the saliency in the removed bands:

losses = reduced.losses()
print(losses["row", "input", "class", "lost"])
