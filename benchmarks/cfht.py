# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Transfer of pretraining to real pixels: globular clusters of M31 against galaxies.

The 544 stamps of 470 objects are 8-bit, stretched images in the g band of CFHT. Scores are from
five folds by object, so no object is in both the training and the test set. Three networks are
compared: EfficientNet-Lite0 with random weights and with ImageNet weights, on complete stamps; and
the bundled classifier, which was trained on simulated HST stamps, on the center of each stamp at
the sampling of HST. Either all layers are trained, or all but the last part are frozen.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from astropy.table import Table
from PIL import Image
from real_data import data_path
from sklearn.model_selection import GroupKFold

from astroclust import Stamps, load_classifier, train_classifier
from astroclust.experiments.schneider2023 import efficientnet_lite0_weights
from astroclust.instruments import LEGUS_BANDS
from astroclust.networks import create_network
from astroclust.training import Recipe, Sample

FOLDS = 5
# Stars have the same width in 2 x 2 MegaCam pixels as in HST pixels.
BINNING, SIZE = 2, 50
STARTS, STATES = ("random", "imagenet", "ours"), ("frozen", "free")


def read_stamps(folder):
    """The stamps, shape (n, 128, 128), and their rows."""
    table = Table.read(folder / "labels.csv", format="ascii.csv")
    pixels = np.array([np.asarray(Image.open(folder / "png" / row["file"])) for row in table])
    return pixels.astype(np.float32), table


def as_hst(pixels):
    """Center of each stamp, binned to the sampling of HST, shape (n, 50, 50)."""
    edge = (pixels.shape[-1] - BINNING * SIZE) // 2
    middle = pixels[:, edge : edge + BINNING * SIZE, edge : edge + BINNING * SIZE]
    return middle.reshape(len(pixels), SIZE, BINNING, SIZE, BINNING).mean(axis=(2, 4))


def as_bands(pixels, shown, bands):
    """Stamps with the same pixels in the named bands; other bands are absent."""
    data = np.where(np.isin(bands, shown)[:, None, None], pixels[:, None], np.float32(0))
    present = np.tile(np.isin(bands, shown), (len(pixels), 1))
    return Stamps(data, bands, bands=bands, present=present)


def accuracy_of_fold(stamps, labels, fold, recipe, start):
    """Accuracy on the test set with two classes."""
    training, tested = fold
    sample = Sample(stamps[training], labels[training], description="stamps of CFHT")
    classifier = train_classifier(sample, name="cfht", recipe=recipe, start=start)
    probabilities = np.concatenate(
        [classifier.probabilities(stamps[tested[i : i + 64]])[0] for i in range(0, len(tested), 64)]
    )
    return np.mean((probabilities[:, 0] > probabilities[:, 3]) == (labels[tested] == 1))


def main():
    """Print the accuracy for each kind of initial weights, with frozen and with free layers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="name or file of a classifier (default: the bundled one)")
    parser.add_argument(
        "--size", type=int, default=128, help="width of stamps for EfficientNet-Lite0"
    )
    parser.add_argument("--epochs", type=int, default=6, help="epochs of EfficientNet-Lite0")
    parser.add_argument(
        "--learning-rate", type=float, default=1e-3, help="learning rate of EfficientNet-Lite0"
    )
    parser.add_argument(
        "--native-epochs",
        type=int,
        default=30,
        help="epochs of our network, which is 50 times as fast",
    )
    parser.add_argument("--folds", type=int, default=FOLDS, help="folds to run, of five")
    parser.add_argument("--starts", nargs="+", default=STARTS, choices=STARTS)
    parser.add_argument("--states", nargs="+", default=STATES, choices=STATES)
    arguments = parser.parse_args()
    pixels, table = read_stamps(data_path("cfht_m31_stamps"))
    labels = np.where(np.asarray(table["label"]) == 4, 4, 1)
    folds = list(GroupKFold(FOLDS).split(pixels, groups=table["object"]))[: arguments.folds]
    print(f"{np.sum(labels == 1)} stamps of clusters, {np.sum(labels == 4)} of galaxies")
    start = load_classifier(arguments.model)
    backbone = f"timm/efficientnet_lite0@{arguments.size}"
    common = Recipe(augmentation="turns", validation_fraction=0.0)
    with TemporaryDirectory() as work:
        weights = efficientnet_lite0_weights(Path(work))
        lite0 = replace(
            common,
            architecture=backbone,
            batch_size=16,
            normalization="unit-stamp",
            epochs=arguments.epochs,
            learning_rate=arguments.learning_rate,
        )
        whole = as_bands(pixels, shown=("B", "V", "I"), bands=("B", "V", "I"))
        middle = as_bands(as_hst(pixels), shown=("V",), bands=LEGUS_BANDS.roles)
        ours = replace(common, epochs=arguments.native_epochs, batch_size=32)
        n_frozen = len(create_network(backbone, n_bands=3, weights="none").blocks()) - 1
        kinds = {
            "random": (
                "EfficientNet-Lite0, random",
                whole,
                replace(lite0, weights="none"),
                None,
                n_frozen,
            ),
            "imagenet": (
                "EfficientNet-Lite0, ImageNet",
                whole,
                replace(lite0, weights=weights),
                None,
                n_frozen,
            ),
            "ours": (
                f"{start.card.architecture}, {start.card.name}",
                middle,
                ours,
                start,
                len(start.networks[0].blocks()) - 1,
            ),
        }
        for name, stamps, recipe, first, frozen in (kinds[kind] for kind in arguments.starts):
            for state in arguments.states:
                chosen = recipe
                if state == "frozen":  # learning rate of the last part only
                    chosen = replace(recipe, frozen=frozen, learning_rate=1e-2)
                right = [accuracy_of_fold(stamps, labels, fold, chosen, first) for fold in folds]
                print(
                    f"{name}, {state}, {chosen.epochs} epochs: "
                    f"{100 * np.mean(right):.1f} +- {100 * np.std(right):.1f} %",
                    flush=True,
                )


if __name__ == "__main__":
    main()
