# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The experiments of Wei et al. (2020) on color pictures of galaxies with human classes."""

import warnings
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
from astropy.table import Table, vstack
from astropy.utils.exceptions import AstropyUserWarning
from tqdm import tqdm

from astroclust.catalogs import find_field, read_table
from astroclust.catalogs.fields import plain_name
from astroclust.experiments.samples import join_stamps
from astroclust.experiments.schneider2023 import efficientnet_lite0_weights
from astroclust.experiments.trainings import (
    Training,
    check_split,
    result_of,
    run_training,
    with_origin,
)
from astroclust.experiments.wei2020_pictures_report import report_pictures
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES
from astroclust.networks import create_network
from astroclust.stamps import Stamps, without_bands
from astroclust.training import find_recipe, overlapping_groups, read_samples
from astroclust.training.sample_rows import AFFINE

__all__ = ["PICTURE_NETWORKS", "read_picture_stamps", "reproduce_on_pictures"]

#: Networks by name: architecture and initial weights. ResNet18 is that of the paper at a size
#: feasible on a CPU; the ImageNet weights of EfficientNet-Lite0 are a package and need no download.
PICTURE_NETWORKS = {
    "resnet18-imagenet": ("resnet18@64", "imagenet"),
    "resnet18-random": ("resnet18@64", "none"),
    "efficientnet-imagenet": ("timm/efficientnet_lite0@64", "imagenet"),
    "efficientnet-random": ("timm/efficientnet_lite0@64", "none"),
    "native": ("native", None),
}
_OF_FILE = "resnet18-imagenet"  # whose weights can be given as a file
_NEW_GALAXY = "ngc1566"
_LISTING, _LABELS = "pictures.ecsv", "labels.ecsv"


def reproduce_on_pictures(
    folder,
    pictures,
    *,
    networks=None,
    runs=10,
    batches=1000,
    normalization="unit-stamp",
    split="stratified",
    redraw=False,
    new_galaxy=_NEW_GALAXY,
    weights=None,
    progress_bar=False,
):
    """Reproduce the experiments of Wei et al. (2020) on color pictures with human classes.

    These are real clusters with human classes, but pictures are not photometry: they were
    stretched, sharpened and compressed for display, are coarser than the mosaics, and only have B,
    V and I. The networks are those of the paper, two copies of an image network from random weights
    and from ImageNet weights, with NUV and U absent and a channel of zeros, and ours for
    comparison. Each is trained ten times on four fifths of each class, and tested on the remaining
    fifth, on a galaxy outside the training set, and on that galaxy without each band. Classes
    without objects in a field in Tables 1 and 2 of the paper (class 4 of NGC 4449) are excluded.

    Repeat the call to resume an interrupted study. The report is written after each training run.

    Parameters
    ----------
    folder : str or `~pathlib.Path`
        Folder for training runs and the report.
    pictures : str or `~pathlib.Path`
        Folder with the pictures, their list ``pictures.ecsv``, see
        `~astroclust.training.read_samples`, and ``labels.ecsv``: ``field``, ``x``, ``y`` and
        ``class_human``.
    networks : sequence of str, optional
        Subset of `PICTURE_NETWORKS`; by default all whose weights are available.
    runs : int, optional
        Trainings of each network.
    batches : int, optional
        Batches of 32 stamps in each training of a network of the paper (10,000 in the paper). Ours
        is trained for 16 epochs.
    normalization : str, optional
        Normalization for the networks of the paper; see
        `~astroclust.experiments.reproduce_wei2020`.
    split : str, optional
        ``"stratified"``, as in the paper, or ``"grouped"``: the test set shares no pixels with the
        training set.
    redraw : bool, optional
        Whether each run has its own split; see `~astroclust.experiments.reproduce_wei2020`.
    new_galaxy : str or None, optional
        Galaxy or field instead of NGC 1559, which is excluded from the sample. If None, all are in
        the sample.
    weights : str or `~pathlib.Path`, optional
        File with the ImageNet weights of ResNet18; by default torch downloads them.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    page : `~pathlib.Path`
        The report.

    Raises
    ------
    OSError
        If a file cannot be read, or requested ImageNet weights are not available.
    ValueError
        If a network, the split or the new galaxy is unknown, or the folder has training runs with
        different data or settings.

    Warns
    -----
    AstropyUserWarning
        If a network is excluded because its weights cannot be loaded.

    Examples
    --------
    A study takes hours and requires pictures:

    >>> from astroclust.experiments import reproduce_on_pictures
    >>> reproduce_on_pictures("study", "pictures", runs=1, networks=["native"])
    Traceback (most recent call last):
        ...
    FileNotFoundError: pictures/pictures.ecsv does not exist; choose the folder with the list ...
    """
    began, folder = perf_counter(), Path(folder)
    check_split(split)
    if runs < 1:
        raise ValueError(f"runs must be at least 1, not {runs}")
    if weights == "none":
        raise ValueError(
            "weights none would make resnet18-imagenet random; omit weights, and choose the "
            "network resnet18-random"
        )
    recipes = _recipes(networks, folder, batches, normalization, weights)
    stamps = _of_the_paper(read_picture_stamps(pictures, progress_bar=progress_bar))
    sample, new = _without_galaxy(stamps, new_galaxy)
    others = {} if new is None else {"new galaxy": new} | _without_each_band(new)
    todo = [
        Training("pictures", recipe, run, split=split, redraw=redraw, name=name)
        for run in range(1, runs + 1)
        for name, recipe in recipes.items()
    ]
    classified = []
    for training in tqdm(todo, unit="training", disable=not progress_bar):
        finished = result_of(training, folder / "trainings").exists()
        table = run_training(training, sample, folder=folder / "trainings", others=others)
        classified.append(with_origin(table, training))
        if finished and training is not todo[-1]:
            continue
        report = report_pictures(
            vstack(classified),
            sample,
            new,
            runs=runs,
            recipes=recipes,
            split=split,
            redraw=redraw,
            seconds=perf_counter() - began,
        )
        page = report.write(folder)
    return page


def read_picture_stamps(folder, *, progress_bar=False):
    """Read labeled stamps of the pictures in a folder.

    Parameters
    ----------
    folder : str or `~pathlib.Path`
        See `reproduce_on_pictures`.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in the bands of LEGUS, with a margin for the corners of rotated ones. Columns:
        ``field``, ``galaxy``, ``picture``, ``credit``, ``class``, ``x``, ``y``, and ``group``,
        which is equal for stamps that share pixels, also across fields on the same picture.

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If the list lacks columns or is invalid, see `~astroclust.training.read_samples`.

    Examples
    --------
    >>> from astroclust.experiments import read_picture_stamps
    >>> read_picture_stamps("nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: nowhere/pictures.ecsv does not exist; choose the folder with the list ...
    """
    folder = Path(folder)
    if not (folder / _LISTING).is_file():
        raise FileNotFoundError(
            f"{folder / _LISTING} does not exist; choose the folder with the list of pictures, the "
            "pictures and their labels"
        )
    listing = read_table(folder / _LISTING)
    lacking = [name for name in ("field", "file", *AFFINE) if name not in listing.colnames]
    if lacking:
        raise ValueError(
            f"{folder / _LISTING} lacks the columns {', '.join(lacking)}; it needs one row per "
            "field, with the affine transformation from the pixels of the labels to those of the "
            "picture"
        )
    listing["file"] = [str(folder / name) for name in listing["file"]]
    listing["labels"] = str(folder / _LABELS)
    credits_of = [""] * len(listing)
    if "credit" in listing.colnames:
        credits_of = np.ma.filled(listing["credit"].astype(str), "").tolist()
    parts = []
    for sample, row in zip(read_samples(listing, progress_bar=progress_bar), listing, strict=True):
        stamps = sample.stamps
        table = Table({"field": [sample.name] * len(stamps)})
        table["galaxy"], table["picture"] = sample.galaxy, row["file"]
        table["credit"] = credits_of[len(parts)]
        table["class"] = np.asarray(sample.labels)
        table["x"], table["y"] = _on_first_grid(stamps.table, row, listing)
        parts.append(
            Stamps(
                stamps.data,
                LEGUS_BANDS.roles,
                present=stamps.present,
                flags=stamps.flags,
                table=table,
            )
        )
    stamps = join_stamps(parts)
    stamps.table["group"] = overlapping_groups(
        stamps.table["x"], stamps.table["y"], size=stamps.size, field=stamps.table["picture"]
    )
    return stamps


def _on_first_grid(table, row, listing):
    """Positions in the pixels of the first field on the same picture."""
    first = listing[listing["file"] == row["file"]][0]
    affine = np.array([float(first[name]) for name in AFFINE]).reshape(2, 3)
    offset = np.array([table["col"], table["row"]], float) - affine[:, 2:]
    return np.linalg.solve(affine[:, :2], offset)


def _of_the_paper(stamps):
    """Exclude classes without objects in a field of the paper: class 4 of NGC 4449."""
    excluded = np.zeros(len(stamps), bool)
    for field in dict.fromkeys(stamps.table["field"]):
        unused = [number for number, total in _totals(field).items() if total == 0]
        own = stamps.table["field"] == field
        excluded |= own & np.isin(stamps.table["class"], unused)
    return stamps[~excluded]


def _totals(field):
    """Number of objects of each class for a field in Tables 1 and 2 of the paper."""
    try:
        known = find_field(field)
    except KeyError:  # a galaxy that is not in the paper
        return {}
    return dict(zip(LEGUS_CLASSES.numbers, known.table_1 or known.table_2 or (), strict=False))


def _without_galaxy(stamps, name):
    """Split stamps into those of other galaxies and those of one galaxy."""
    if name is None:
        return stamps, None
    wanted = plain_name(name)
    own = np.array(
        [
            wanted in (plain_name(field), plain_name(galaxy))
            for field, galaxy in stamps.table["field", "galaxy"]
        ]
    )
    if not own.any() or own.all():
        known = ", ".join(dict.fromkeys(stamps.table["field"]))
        problem = "is the only galaxy in" if own.any() else "is not in"
        raise ValueError(
            f"new galaxy {name} {problem} the pictures, which show {known}; choose another "
            "galaxy, or none"
        )
    galaxies = set(stamps.table["galaxy"][own])  # all fields of it
    own = np.isin(stamps.table["galaxy"], list(galaxies))
    return stamps[~own], stamps[own]


def _without_each_band(stamps):
    """Stamps without each of their bands, by the name of the part."""
    seen = stamps.present.any(axis=0)
    return {
        f"without {band}": without_bands(stamps, [i])
        for i, band in enumerate(stamps.bands)
        if seen[i]
    }


def _recipes(networks, folder, batches, normalization, weights):
    """Recipes of the networks, by name."""
    chosen = PICTURE_NETWORKS if networks is None else dict.fromkeys(networks)
    unknown = [name for name in chosen if name not in PICTURE_NETWORKS]
    if unknown or not chosen:
        given = ", ".join(unknown) if unknown else "none"
        raise ValueError(f"networks must be some of {', '.join(PICTURE_NETWORKS)}, not {given}")
    recipes = {}
    for name in chosen:
        try:
            recipes[name] = _recipe(name, folder, batches, normalization, weights)
        except (OSError, ModuleNotFoundError) as error:
            if networks is not None or (weights is not None and name == _OF_FILE):
                raise
            warnings.warn(
                f"{name} is excluded, as its weights cannot be loaded: {error}",
                AstropyUserWarning,
                stacklevel=3,
            )
    return recipes


def _recipe(name, folder, batches, normalization, weights):
    architecture, start = PICTURE_NETWORKS[name]
    if architecture == "native":
        return replace(find_recipe("native"), augmentation="pictures")
    if name == "efficientnet-imagenet":
        start = efficientnet_lite0_weights(folder.resolve())
    elif name == _OF_FILE:
        start = None if weights is None else str(weights)
        create_network(architecture, weights=start)  # before hours of other training runs
    return replace(
        find_recipe("wei2020"),
        architecture=architecture,
        weights=start,
        batches=batches,
        normalization=normalization,
    )
