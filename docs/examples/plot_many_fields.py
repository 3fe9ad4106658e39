"""
Classes in several fields
=========================

`~astroclust.classification.classify_fields` classifies all fields in a list, and writes one table
per field. The class fractions differ from field to field, as those of real galaxies do.
"""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from astropy.table import Table
from matplotlib.figure import Figure

from astroclust import classify_fields, simulate_field
from astroclust.catalogs import read_table
from astroclust.instruments import LEGUS_CLASSES

folder = Path(mkdtemp())
names = ["ngc628-c", "ngc1433", "ngc1566", "ngc3351"]
filters = {}
for name in names:
    field = simulate_field(like=name, shape=(300, 300), seed=1, density=9e-4)
    filters[name] = field.images.filters
    field.images.write(folder / f"{name}.fits")
    table = field.candidates
    inside = np.all([np.abs(table[axis] - 149.5) < 120 for axis in "xy"], axis=0)
    table[inside].write(folder / f"{name}.ecsv")

# %%
# The list has one row per field, with the paths of its catalog and of its image in each filter,
# relative to the list. NGC 628-C was observed in F435W, the other fields in F438W; empty cells
# mark the missing images.

fields = Table({"field": names, "catalog": [f"{name}.ecsv" for name in names]})
for band in sorted({band for bands in filters.values() for band in bands}):
    fields[band] = [f"{name}.fits[{band}]" if band in filters[name] else "" for name in names]
fields.write(folder / "fields.ecsv")
paths = classify_fields(folder / "fields.ecsv", folder / "classified")

# %%
# The fraction of each class, with the number of candidates of each field:

tables = [read_table(path) for path in paths]
labels = [f"{path.stem} ({len(table)})" for path, table in zip(paths, tables, strict=True)]
figure = Figure(figsize=(8, 3), layout="constrained")
ax = figure.subplots()
left = np.zeros(len(tables))
for number, name in LEGUS_CLASSES.names.items():
    fractions = [np.mean(table["class"] == number) for table in tables]
    ax.barh(labels, fractions, left=left, color=LEGUS_CLASSES.colors[number], label=name)
    left += fractions
ax.set(xlabel="fraction of the candidates", xlim=(0, 1))
ax.invert_yaxis()
figure.legend(loc="outside upper center", ncols=4, frameon=False, fontsize="small")
