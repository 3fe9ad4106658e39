# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Classify real LEGUS stamps of NGC 1566, with linear pixel values at the native scale.

The stamps are 32 pixels wide, so they are surrounded by missing pixels. Their three channels, used
as U, B and V, combine the bands (F275W, F336W), F438W and (F555W, F814W). The stamps were published
as the most certain examples of another classifier, so they are easy to classify.
"""

import argparse

import numpy as np
from astropy.table import Table
from real_data import data_path

from astroclust import Stamps, load_classifier
from astroclust.evaluation import confusion_matrix
from astroclust.training import member_probabilities


def read_stamps(card):
    """Read the stamps with human classes, and these classes."""
    folder = data_path("ngc1566_native_stamps")
    table = Table.read(folder / "ngc1566_demo40.csv")
    with np.load(folder / "ngc1566_demo40.npz") as saved:
        pixels = saved[saved.files[0]].astype(np.float32)
    labels = np.ma.filled(table["human3_mode"], 0)
    chosen = np.isin(labels, card.classes.numbers)
    frame = (card.stamp_size - pixels.shape[1]) // 2
    end = card.stamp_size - pixels.shape[1] - frame
    data = np.zeros((len(pixels), len(card.bands), card.stamp_size, card.stamp_size), np.float32)
    present = np.zeros(data.shape[:2], bool)
    for channel, band in enumerate(("V", "B", "U")):
        index = card.bands.index(band)
        sides = ((0, 0), (frame, end), (frame, end))
        data[:, index] = np.pad(pixels[..., channel], sides, constant_values=np.nan)
        present[:, index] = True
    return Stamps(data, card.bands, bands=card.bands, present=present)[chosen], labels[chosen]


def main():
    """Print the number of correct classes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="name or file of a classifier (default: the bundled one)")
    classifier = load_classifier(parser.parse_args().model)
    stamps, labels = read_stamps(classifier.card)
    found = member_probabilities(classifier, stamps).mean(axis=0)
    classes = np.array(classifier.card.classes.numbers)[found.argmax(axis=1)]
    print(f"{classifier.card.name}: {np.sum(classes == labels)} of {len(labels)} right")
    print(confusion_matrix(labels, classes))


if __name__ == "__main__":
    main()
