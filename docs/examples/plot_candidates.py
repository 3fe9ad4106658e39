"""
From sources to candidates
==========================

Most sources in a galaxy are single stars. `~astroclust.selection.find_candidates` keeps those
that are more extended than stars, well measured in at least four bands, and bright enough; with
``keep_rejected=True`` it also returns the rejected sources, with the reasons.
"""

from matplotlib.figure import Figure

from astroclust import find_candidates, simulate_field
from astroclust.plotting import color_image
from astroclust.selection import Cut, cut_flow

field = simulate_field(like="ngc1566", shape=(240, 240), seed=11, density=4e-4)
sources = find_candidates(field.images, distance=18, keep_rejected=True)
print(cut_flow(sources))

# %%
# Each cut is a bit in the column ``cuts``; candidates have none. Here, the concentration index
# rejects the stars, and the limit on magnitude errors rejects the faint sources.

cuts = sources["cuts"]
compact = (cuts & Cut.CONCENTRATION_INDEX) != 0
groups = {
    "candidates": (cuts == 0, "o", "#E69F00"),
    "as compact as stars": (compact, "x", "#56B4E9"),
    "rejected by other cuts alone": ((cuts != 0) & ~compact, "+", "#CC79A7"),
}
figure = Figure(figsize=(6.5, 6.5), layout="constrained")
ax = figure.subplots()
images = field.images
ax.imshow(color_image([band.data for band in images.values()], images.roles), origin="lower")
for label, (chosen, marker, color) in groups.items():
    style = {"facecolors": "none", "edgecolors": color} if marker == "o" else {"c": color}
    label = f"{chosen.sum()} {label}"
    ax.scatter(sources["x"][chosen], sources["y"][chosen], 90, marker=marker, label=label, **style)
ax.set(xlabel="x (pixels)", ylabel="y (pixels)")
ax.legend(loc="lower left", fontsize="small")
