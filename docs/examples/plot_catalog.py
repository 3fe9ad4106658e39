"""
Selection in a LEGUS catalog
============================

A LEGUS catalog lists all sources above the concentration-index cut of its field. The bright ones
were inspected visually; class 0 marks the remaining sources. `~astroclust.catalogs.read_legus`
reads real catalogs and, as here, simulated ones in the same format.
"""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from matplotlib.figure import Figure

from astroclust import find_field, read_legus, simulate_field
from astroclust.instruments import LEGUS_CLASSES
from astroclust.plotting import plot_color_color
from astroclust.simulation import write_field

field = simulate_field(like="ngc1433", shape=(600, 600), seed=7, density=6e-4)
files = write_field(field, Path(mkdtemp()))
catalog = read_legus(files.catalog)
cut = find_field("ngc1433").ci_cut

# %%
# Magnitudes that LEGUS could not measure are masked, and missing from the diagrams.

catalog["class"] = np.ma.masked_equal(catalog["class_human"], 0)
figure = Figure(figsize=(10, 4.8), layout="constrained")
left, right = figure.subplots(1, 2)
for number in (0, *LEGUS_CLASSES.names):
    rows = catalog[catalog["class_human"] == number]
    name = LEGUS_CLASSES.names.get(number, "not inspected")
    left.plot(
        rows["mag_f555w"],
        rows["ci"],
        marker=LEGUS_CLASSES.markers.get(number, "+"),
        color=LEGUS_CLASSES.colors.get(number, "0.7"),
        ls="none",
        ms=5,
        label=f"{number} {name} ({len(rows)})",
    )
left.axhline(cut, color="0.5", ls=":", label=f"cut of the field, {cut} mag")
left.set(xlabel="F555W (mag)", ylabel="concentration index (mag)", ylim=(1.15, 2.7))
left.invert_xaxis()
left.legend(fontsize="small")
plot_color_color(catalog[~catalog["class"].mask], ax=right)
right.get_legend().remove()
