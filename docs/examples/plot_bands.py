"""
A field in five bands
=====================

The same clusters look different from the near ultraviolet to the near infrared: young ones are
bright in all bands, old and dusty ones fade to the blue, and red single stars appear only in
F814W. A classifier of all five bands uses this information; V and I alone do not contain it.
"""

import numpy as np
from astropy.visualization import simple_norm
from matplotlib.figure import Figure

from astroclust import simulate_field
from astroclust.plotting import color_image

field = simulate_field(like="ngc1566", shape=(240, 240), seed=11, density=4e-4)
images = field.images

# %%
# `~astroclust.images.ImageSet` is a mapping from filters, or the roles of bands, to images. Its
# pixels are in electrons per second, whatever the unit of the files.

figure = Figure(figsize=(9, 6.2), layout="constrained")
axes = figure.subplots(2, 3)
pixels = [band.data for band in images.values()]
axes.flat[0].imshow(color_image(pixels, images.roles), origin="lower")
axes.flat[0].set_title("color")
for ax, band in zip(axes.flat[1:], images.values(), strict=True):
    norm = simple_norm(
        band.data, "asinh", vmin=0, vmax=np.percentile(band.data, 99.8), asinh_a=0.05
    )
    ax.imshow(band.data, origin="lower", cmap="gray", norm=norm)
    ax.set_title(f"{band.role}, {band.filter}")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
