"""
Scores in a model card
======================

The card of a classifier holds its scores on each galaxy in its test set, and for subsets of the
bands, so that they can be looked up before classifying. The human classes in this card
are those of objects in press-release pictures, which have only B, V and I.
"""

from matplotlib.figure import Figure

from astroclust import load_classifier

card = load_classifier().card
print(card.notice)

# %%
# The accuracy differs from galaxy to galaxy, mainly because the class mix differs; the area under
# the ROC curve of classes 1 and 2 against the others does not depend on the mix.

scores = {name: one for name, one in card.galaxy_scores.items() if name != "all"}
figure = Figure(figsize=(9, 3), layout="constrained")
for ax, key in zip(figure.subplots(1, 2, sharey=True), ("accuracy", "auc_1_2"), strict=True):
    ax.barh(list(scores), [one[key] for one in scores.values()], color="#56B4E9")
    ax.set(title=key, xlim=(0, 1))

# %%
# The card also has the accuracy for subsets of the bands, on simulated stamps and on human labels:

subsets = list(card.band_scores["human"])
figure = Figure(figsize=(6, 3), layout="constrained")
ax = figure.subplots()
for kind, marker in (("simulated", "s"), ("human", "o")):
    accuracy = [card.band_scores[kind][one]["accuracy"] for one in subsets]
    ax.plot(accuracy, subsets, marker, label=kind)
ax.set(xlabel="accuracy", xlim=(0, 1))
ax.legend()
