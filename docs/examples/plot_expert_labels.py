"""
Agreement of human experts
==========================

Experts often disagree on the class of a candidate, which limits the accuracy that can be measured
with their labels. Simulated experts disagree as published, here in the layout of Fig. 2 of Wei et
al. (2020), in which ``astroclust reproduce wei2020`` also shows the real labels.
"""

import numpy as np

from astroclust.evaluation import confusion_matrix
from astroclust.plotting import plot_class_distributions
from astroclust.simulation import label_noise
from astroclust.simulation.labels import DIFFICULTY

rng = np.random.default_rng(1)
counts = [93, 91, 78, 169]  # of the classes in NGC 4656
truth = rng.choice([1, 2, 3, 4], size=20_000, p=np.divide(counts, sum(counts)))
difficulty = rng.beta(*DIFFICULTY, size=len(truth))

# %%
# One expert is compared with the mode of three others on the same objects, and with the truth,
# which is known only in simulations:

three = label_noise(truth, seed=2, difficulty=difficulty)
other = label_noise(truth, seed=3, difficulty=difficulty, n_experts=1)["expert_1"]
figure = plot_class_distributions(
    {
        "mode of three other experts": confusion_matrix(other, three["class_mode"]),
        "true class": confusion_matrix(other, truth),
    },
    agreement={"Wei et al. (2020), NGC 4656": {1: 66, 2: 37, 3: 40, 4: 61}},
)
