"""
The fields of LEGUS
===================

`~astroclust.archive.list_fields` lists the fields that `~astroclust.archive.fetch_legus` can
download. A pixel covers more parsecs in distant galaxies: at 18 Mpc, a typical cluster with a
half-light radius of 3 pc is smaller than one pixel.
"""

import numpy as np
from matplotlib.figure import Figure

from astroclust.archive import list_fields

fields = list_fields()
fields.sort("distance")
catalog = np.asarray(fields["catalog"])
names, distances = np.asarray(fields["field"]), np.asarray(fields["distance"])
parsecs = distances * 1e6 * np.deg2rad(0.0396 / 3600)

figure = Figure(figsize=(7, 9), layout="constrained")
ax = figure.subplots()
colors = np.where(catalog, "#0072B2", "0.7")
ax.barh(names, parsecs, color=colors)
ax.set(xlabel="parsecs per pixel", ylim=(-0.8, len(fields) - 0.2))
ax.tick_params(axis="y", labelsize=7)
ax.bar(0, 0, color="#0072B2", label="with a public cluster catalog")
ax.bar(0, 0, color="0.7", label="images only")
ax.legend(loc="lower right")
