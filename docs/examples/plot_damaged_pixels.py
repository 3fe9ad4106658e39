"""
Damaged pixels and their flags
==============================

Bad pixels, dead columns and image edges leave stamps incomplete. Missing pixels are NaN, the flags
of a stamp record what is missing, and small holes are filled before classification.
"""

import numpy as np
from matplotlib.figure import Figure

from astroclust import ImageSet, decode_flags, make_stamps, simulate_field
from astroclust.stamps import normalize_stamps

field = simulate_field(like="ngc1566", shape=(300, 300), seed=11, density=4e-4)
truth = field.truth
truth.sort("mag_v")
last = int(np.argmax(truth["x"]))
rows = []
for row in np.flatnonzero(np.abs(truth["x"] - 125) + np.abs(truth["y"] - 150) < 110):
    apart = [np.hypot(*(truth[axis][row] - truth[axis][other] for axis in "xy")) for other in rows]
    if min(apart, default=np.inf) > 60 and len(rows) < 3:
        rows.append(row)
rows.append(last)
x, y = (np.round(truth[axis][rows]).astype(int) for axis in "xy")

# %%
# The first source has bad pixels, the second is next to dead columns, and the third is in a hole
# of the NUV mosaic, where zeros mark missing data. The images end just beyond the last source:

bad = np.random.default_rng(1).random((50, 50)) < 0.1
pixels = {name: np.array(band.data[:, : x[3] + 10]) for name, band in field.images.items()}
for band in pixels.values():
    band[y[0] - 25 : y[0] + 25, x[0] - 25 : x[0] + 25][bad] = np.nan
    band[y[1] - 30 : y[1] + 30, x[1] + 5 : x[1] + 8] = np.nan
pixels["F275W"][y[2] - 30 : y[2] + 30, x[2] - 30 : x[2] + 30] = 0
stamps = make_stamps(truth[rows], ImageSet(pixels))
names = [", ".join(flags) for flags in decode_flags(stamps.flags)]
print(names)

# %%
# Missing pixels are gray. The last row is the V band as the classifier receives it:

v = stamps.bands.index("V")
shown = np.where(stamps.present[..., None, None], stamps.data, np.nan)
panels = {
    "F275W": shown[:, 0],
    "F555W": shown[:, v],
    "F555W, normalized": normalize_stamps(stamps)[:, v],
}
figure = Figure(figsize=(9, 7), layout="constrained")
for axes, (label, images) in zip(figure.subplots(3, 4), panels.items(), strict=True):
    axes[0].set_ylabel(label)
    for ax, image in zip(axes, images, strict=True):
        ax.set(xticks=[], yticks=[], facecolor="0.6", box_aspect=1)
        if np.isfinite(image).any():
            low, high = np.nanpercentile(image, [5, 99.5])
            ax.imshow(image, origin="lower", cmap="gray", vmin=low, vmax=high)
for ax, title in zip(figure.axes, names, strict=False):
    ax.set_title(title, fontsize="medium")
