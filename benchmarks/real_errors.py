# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Plot the objects for which classifiers most confidently disagree with human labels.

The probabilities are those of ``real_labels.py``, from classifiers trained without the galaxy of
the object. Each row of the figure has one human class, and the title of each stamp is the predicted
class with its probability. Pictures without a stated license are excluded.
"""

import argparse
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack
from matplotlib.figure import Figure
from PIL import Image
from real_data import data_path
from real_pictures import PROBABILITIES, list_pictures

from astroclust.instruments import LEGUS_CLASSES

#: Errors per class, in rows of ten.
N_ERRORS, N_COLUMNS = 20, 10
# Width of the cutouts in arcseconds, twice that of a stamp.
WIDTH = 4.0


def confident_errors(table, number):
    """Select the rows of a human class with the highest probabilities of another class."""
    found = np.column_stack([table[name] for name in PROBABILITIES])
    classes = np.array(LEGUS_CLASSES.numbers)[found.argmax(axis=1)]
    wrong = np.flatnonzero((table["label"] == number) & (classes != number))
    chosen = wrong[np.argsort(-found.max(axis=1)[wrong])][:N_ERRORS]
    rows = table[chosen]
    rows["class"], rows["probability"] = classes[chosen], found.max(axis=1)[chosen]
    return rows


def cutout(row, pictures, labels, opened):
    """Cut the picture around an object."""
    picture = pictures[pictures["field"] == row["field"]][0]
    found = labels[(labels["field"] == row["field"]) & (labels["id"] == row["id"])][0]
    name = picture["file"]
    if name not in opened:
        opened[name] = np.asarray(Image.open(name).convert("RGB"))
    half = max(round(WIDTH / picture["scale"] / 2), 4)
    col, line = round(found["col"]), round(found["row"])
    padded = np.pad(opened[name], ((half, half), (half, half), (0, 0)))
    return padded[line : line + 2 * half + 1, col : col + 2 * half + 1]


def draw(table):
    """Draw the figure of all classes."""
    pictures = list_pictures()
    unknown = "licence not stated"  # language: ok
    pictures = pictures[[unknown not in credit for credit in pictures["credit"]]]
    labels = Table.read(data_path("legus_pictures", "labels.ecsv"))
    table = table[np.isin(table["field"], pictures["field"])]
    lines = N_ERRORS // N_COLUMNS
    figure = Figure(figsize=(12, 12), layout="constrained")
    axes = figure.subplots(lines * len(LEGUS_CLASSES), N_COLUMNS)
    opened = {}
    for ax in axes.flat:
        ax.set_axis_off()
    for i, number in enumerate(LEGUS_CLASSES.numbers):
        own = axes[lines * i : lines * (i + 1)].ravel()
        for ax, row in zip(own, confident_errors(table, number), strict=False):
            ax.imshow(cutout(row, pictures, labels, opened), interpolation="nearest")
            color = LEGUS_CLASSES.colors[row["class"]]
            ax.set_title(
                f"{number} classified as {row['class']}, {row['probability']:.2f}",
                fontsize=7, color=color,
            )  # fmt: skip
    return figure


def main():
    """Read the probabilities and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder of real_labels.py")
    parser.add_argument("output", type=Path, help="image file to write")
    arguments = parser.parse_args()
    parts = sorted(arguments.folder.glob("shipped_*.ecsv"))
    draw(vstack([Table.read(path) for path in parts])).savefig(arguments.output, dpi=90)
    print(f"wrote {arguments.output} from {len(parts)} galaxies")


if __name__ == "__main__":
    main()
