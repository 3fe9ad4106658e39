"""
Concentration-index cut
=======================

Clusters are resolved at the distances of LEGUS: their flux is less concentrated in the central
pixel than that of a star. The index of stars depends on camera, focus and crowding, so
`~astroclust.photometry.calibrate_ci` derives the cut from the stars of the field itself.
"""

from matplotlib.figure import Figure

from astroclust import simulate_field
from astroclust.photometry import calibrate_ci, growth_curve
from astroclust.plotting import plot_ci_calibration

field = simulate_field(shape=(300, 300), seed=2, density=5e-4)
calibration = calibrate_ci(field.images, threshold=10)
figure = plot_ci_calibration(calibration).figure

# %%
# The concentration index is the difference between two points of the curve of growth, at one
# pixel and at three. Stars have more of their flux within one pixel than clusters:

figure = Figure(figsize=(6.5, 4.5), layout="constrained")
ax = figure.subplots()
radii = [1, 1.5, 2, 3, 4, 5, 6, 8]
for table, label, color in (
    (calibration.stars, "stars", "#0072B2"),
    (calibration.clusters, "clusters", "#E69F00"),
):
    curves = growth_curve(table, field.images["V"], radii=radii, annulus=(9, 10))
    ax.plot(radii, curves.T, color=color, alpha=0.4)
    ax.plot([], [], color=color, label=label)
ax.axvline(1, color="0.5", ls=":")
ax.axvline(3, color="0.5", ls=":")
ax.set(xlabel="radius (pixels)", ylabel="magnitude relative to 8 pixels", ylim=(2.5, -0.3))
ax.legend()
