"""
Excluding a region
==================

Nuclei, bright stars and image borders can be excluded with regions, drawn in DS9 or in Python.
Sources there are rejected, with the bit ``REGION`` in the column ``cuts``.
"""

from matplotlib.figure import Figure
from regions import CirclePixelRegion, PixCoord, RectanglePixelRegion

from astroclust import find_candidates, regions_mask, simulate_field
from astroclust.plotting import color_image
from astroclust.selection import Cut

field = simulate_field(like="ngc1566", shape=(240, 240), seed=11, density=4e-4)
footprint = RectanglePixelRegion(PixCoord(119.5, 119.5), 200, 200)
star = CirclePixelRegion(PixCoord(202, 200), 30)
sources = find_candidates(
    field.images, distance=18, footprint=[footprint], exclude=[star], keep_rejected=True
)
rejected = sources[(sources["cuts"] & Cut.REGION) != 0]
candidates = sources[sources["cuts"] == 0]

# %%
# The same regions can be drawn with matplotlib and converted to pixel masks:

figure = Figure(figsize=(6.5, 6.5), layout="constrained")
ax = figure.subplots()
images = field.images
ax.imshow(color_image([band.data for band in images.values()], images.roles), origin="lower")
for region, color in ((footprint, "w"), (star, "#E69F00")):
    region.plot(ax=ax, color=color, lw=2)
ax.plot(candidates["x"], candidates["y"], "o", mfc="none", mec="#56B4E9", label="candidates")
ax.plot(rejected["x"], rejected["y"], "x", color="#CC79A7", label="excluded")
ax.legend(loc="lower left")

# %%
# Surface densities require the fraction of the image that is searched:

mask = regions_mask([footprint], field.images.shape) & ~regions_mask([star], field.images.shape)
print(f"{mask.mean():.2f} of the image")
