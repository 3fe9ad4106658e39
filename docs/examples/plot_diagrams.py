"""
Color-magnitude, color-color and luminosity diagrams
====================================================

Tables of candidates include photometry, so each diagram takes one line. Here, the diagrams show
the true classes of a simulated field; tables from
`~astroclust.classification.classify_table` already have the column ``class``.
"""

from matplotlib.figure import Figure

from astroclust import measure_photometry, simulate_field
from astroclust.plotting import (
    plot_color_color,
    plot_color_magnitude,
    plot_luminosity_function,
    plot_map,
)

field = simulate_field(like="ngc1566", shape=(500, 500), seed=7, density=6e-4)
table = measure_photometry(field.truth["x", "y", "ra", "dec", "class"], field.images)

figure = Figure(figsize=(10, 9), layout="constrained")
axes = figure.subplots(2, 2)
plot_color_magnitude(table, ax=axes[0, 0])
plot_color_color(table, ax=axes[0, 1])
plot_luminosity_function(table, ax=axes[1, 0])
plot_map(table, ax=axes[1, 1])
