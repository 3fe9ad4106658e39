# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Samples of labeled stamps for training and scoring, simulated or cut from images."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from astroclust.catalogs import pixel_positions
from astroclust.extras import naming_extras
from astroclust.images import ImageSet
from astroclust.instruments import (
    LEGUS_BANDS,
    LEGUS_CLASSES,
    ClassScheme,
    classes_of,
    find_class_scheme,
)
from astroclust.stamps import Stamps, make_stamps
from astroclust.training.augmentation import AUGMENTATIONS
from astroclust.training.splits import overlapping_groups

__all__ = [
    "CROWDED",
    "LABEL_COLUMNS",
    "SIMULATED_LABELS",
    "TEST_FIELDS",
    "Sample",
    "labeled_sample",
    "simulated_sample",
    "simulated_test_set",
]

#: LEGUS fields that the simulated test set resembles; the training set resembles the others.
TEST_FIELDS = ("ngc628-e", "ngc1313-e", "ngc1433")
#: Fraction of the simulated training set in star fields as crowded as those of M83.
CROWDED = 0.3
#: Labels of simulated stamps, with descriptions.
SIMULATED_LABELS = {"truth": "the classes drawn", "experts": "the mode of three simulated experts"}
#: Names of columns with classes, in order of preference.
LABEL_COLUMNS = ("class_human", "class_mode", "label", "class")

#: Default width of stamps, in pixels (Wei et al. 2020, sec. 3.2).
STAMP_SIZE = 50
# Default ratio of the numbers of simulated stamps in the training set and the test set.
_PER_TEST = 8


@dataclass(frozen=True)
class Sample:
    """Training set of labeled stamps and, optionally, a test set.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        Training set of n stamps.
    labels : array_like, shape (n,) or (n, n_classes)
        Their classes, or class probabilities such as those from `vote_fractions`.
    groups : array_like, shape (n,), optional
        Group of each stamp; groups are not divided between training and validation set. See
        `split_rows`.
    test_stamps : `~astroclust.stamps.Stamps`, optional
        Test set, on which the classifier is scored. It does not affect the training, except with
        a recipe with ``keep_best`` and no validation set.
    test_labels : array_like, optional
        Labels of the test set.
    description : str, optional
        Description of the training set for the model card, without the number of stamps.
    split : str, optional
        Description of the separation of the test set, for the model card.
    simulated : bool, optional
        Whether all stamps are simulated.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme; by default that of the table of the stamps.
    name : str, optional
        Name of the sample, such as that of a field.
    galaxy : str, optional
        Galaxy, by which `hold_out` separates test sets.
    weight : float, optional
        Relative frequency with which each stamp is drawn, if there are several samples.
    augmentation : str, optional
        One of `AUGMENTATIONS`; by default that of the recipe.
    size : int, optional
        Width in pixels to which stamps are cropped for the network. The pixels beyond fill the
        corners of rotated stamps. By default, stamps are not cropped.

    Raises
    ------
    ValueError
        If there is not one label per stamp, or a parameter is invalid.

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> from astroclust.training import Sample
    >>> stamps = simulate_stamps(8, seed=1)
    >>> sample = Sample(stamps, stamps.table["class"], description="my stamps", simulated=True)
    >>> len(sample.stamps), sample.test_stamps
    (8, None)
    """

    stamps: Stamps
    labels: np.ndarray | Sequence[Any]
    groups: np.ndarray | Sequence[Any] | None = None
    test_stamps: Stamps | None = None
    test_labels: np.ndarray | Sequence[Any] | None = None
    description: str = "stamps"
    split: str = ""
    simulated: bool = False
    scheme: str | ClassScheme | None = None
    name: str = ""
    galaxy: str = ""
    weight: float = 1.0
    augmentation: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        """Validate the parameters."""
        if self.scheme is not None:
            find_class_scheme(self.scheme)
        for stamps, labels in ((self.stamps, self.labels), (self.test_stamps, self.test_labels)):
            n_labels = 0 if labels is None else len(labels)
            if stamps is not None and len(stamps) != n_labels:
                raise ValueError(
                    f"there are {n_labels} labels for {len(stamps)} stamps; pass one per stamp"
                )
        if not (isinstance(self.weight, Real) and 0 < self.weight < np.inf):
            raise ValueError(f"weight must be a positive number, not {self.weight!r}")
        if self.augmentation is not None and self.augmentation not in AUGMENTATIONS:
            raise ValueError(
                f"unknown augmentation {self.augmentation!r}; available are "
                f"{', '.join(AUGMENTATIONS)}"
            )
        if self.size is not None and not 1 <= self.size <= self.stamps.size:
            raise ValueError(
                f"size must be from 1 to {self.stamps.size}, the width of the stamps, not "
                f"{self.size!r}"
            )


def simulated_sample(
    n,
    *,
    n_test=None,
    seed=1,
    labels="truth",
    system=LEGUS_BANDS,
    scheme=LEGUS_CLASSES,
    workers=1,
    progress_bar=False,
):
    """Simulate a sample of stamps, as for the bundled classifier.

    The training set resembles all calibrated LEGUS fields except `TEST_FIELDS`, with a fraction
    `CROWDED` in crowded star fields; the test set is that of `simulated_test_set`.

    Parameters
    ----------
    n : int
        Number of stamps in the training set.
    n_test : int, optional
        Number of stamps in the test set; by default an eighth of ``n``, and at least 8.
    seed : int, optional
        Random seed; equal seeds give equal samples.
    labels : str, optional
        ``"truth"``, the true classes, or ``"experts"``, the mode of the votes of three simulated
        experts.
    system : str or `~astroclust.instruments.BandSystem`, optional
        Band system.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme, into which those of LEGUS can be merged.
    workers : int, optional
        Number of processes.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    sample : `Sample`
        Input for `~astroclust.training.train_classifier`.

    Raises
    ------
    ModuleNotFoundError
        If GalSim is not installed.
    ValueError
        If an argument is invalid.

    Examples
    --------
    >>> from astroclust.training import simulated_sample
    >>> sample = simulated_sample(8, n_test=4, seed=1)
    >>> sample.split
    '4 stamps like other galaxies, ngc628-e, ngc1313-e, ngc1433, seed [1, 1]; labels are the ...'
    """
    with naming_extras():
        from astroclust.simulation import calibrated_fields

    scheme = find_class_scheme(scheme)
    unknown = [number for number in LEGUS_CLASSES.numbers if not scheme.knows([number])[0]]
    if unknown:
        raise ValueError(
            f"simulated stamps have the classes of LEGUS, but class scheme {scheme.name} lacks "
            f"{unknown}; add them to its merges"
        )
    n_test = max(n // _PER_TEST, _PER_TEST) if n_test is None else n_test
    fields = [name for name in calibrated_fields() if name not in TEST_FIELDS]
    options = {
        "labels": labels,
        "system": system,
        "workers": workers,
        "progress_bar": progress_bar,
    }
    stamps, classes = _simulate(n, [seed, 0], fields, CROWDED, **options)
    test_stamps, test_labels = simulated_test_set(n_test, seed=seed, **options)
    source = f"labels are {SIMULATED_LABELS[labels]}"
    return Sample(
        stamps,
        classes,
        test_stamps=test_stamps,
        test_labels=test_labels,
        description=f"stamps of simulate_stamps like {', '.join(fields)}, crowded {CROWDED}, "
        f"seed [{seed}, 0]; {source}",
        split=f"{n_test} stamps like other galaxies, {', '.join(TEST_FIELDS)}, "
        f"seed [{seed}, 1]; {source}",
        simulated=True,
        scheme=scheme,
    )


def simulated_test_set(
    n, *, seed=1, labels="truth", system=LEGUS_BANDS, workers=1, progress_bar=False
):
    """Simulate only the test set of `simulated_sample`.

    Parameters
    ----------
    n : int
        Number of stamps.
    seed, labels, system, workers, progress_bar
        See `simulated_sample`.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        Stamps that resemble those of `TEST_FIELDS`.
    labels : `~numpy.ndarray` of int, shape (n,)
        Their labels.

    Examples
    --------
    >>> from astroclust.training import simulated_test_set
    >>> stamps, labels = simulated_test_set(4, seed=1)
    >>> len(stamps), len(labels)
    (4, 4)
    """
    return _simulate(
        n,
        [seed, 1],
        TEST_FIELDS,
        0.0,
        labels=labels,
        system=system,
        workers=workers,
        progress_bar=progress_bar,
    )


def _simulate(n, seed, fields, crowded, *, labels, system, workers, progress_bar):
    """Simulated stamps and their labels."""
    with naming_extras():
        from astroclust.simulation import label_noise, simulate_stamps

    if labels not in SIMULATED_LABELS:
        raise ValueError(f"labels must be one of {', '.join(SIMULATED_LABELS)}, not {labels!r}")
    stamps = simulate_stamps(
        n,
        seed=seed,
        like=fields,
        crowded=crowded,
        system=system,
        workers=workers,
        progress_bar=progress_bar,
    )
    truth, kinds = stamps.table["class"], stamps.table["kind"]
    if labels == "truth":
        return stamps, np.asarray(truth)
    return stamps, np.asarray(label_noise(truth, seed=[*seed, 1], kinds=kinds)["class_mode"])


def labeled_sample(
    table,
    images,
    *,
    column=None,
    classifier=None,
    scheme=None,
    name="the table",
    margin=0,
    progress_bar=False,
):
    """Cut stamps at the rows of a table that have a class.

    Rows without a class of the scheme, and rows without pixels, are excluded. Stamps that share
    pixels are one group.

    Parameters
    ----------
    table : `~astropy.table.Table`
        Positions and classes.
    images : `~astroclust.images.ImageSet` or mapping
        Images of the field.
    column : str, optional
        Name of the column of classes; by default the first of `LABEL_COLUMNS` in the table.
    classifier : `~astroclust.weights.Classifier`, optional
        Classifier to fine-tune or score, which sets the bands, the size of the stamps and the
        classes.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme; by default that of the table.
    name : str, optional
        Name of the table in the description and in messages.
    margin : int, optional
        Margin in pixels around each stamp, for augmentations that rotate stamps; it is cropped
        before stamps are passed to the network.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    sample : `Sample`
        All labeled stamps, with their groups; see `hold_out` for a test set.

    Raises
    ------
    KeyError
        If the table has no such column.
    ValueError
        If no row has a class.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.training import labeled_sample
    >>> field = simulate_field(shape=(160, 160), seed=1)
    >>> sample = labeled_sample(field.truth, field.images, name="the truth")
    >>> sample.description
    'stamps with class of the truth in F275W, F336W, F435W, F555W, F814W'
    """
    card = {}
    if classifier is not None:
        own = classes_of(table) if scheme is None else find_class_scheme(scheme)
        scheme = classifier.card.classes
        if len(own) < len(scheme):
            raise ValueError(
                f"labels of {name} are of {own.name}, which has fewer classes than {scheme.name} "
                f"of classifier {classifier.card.name}; use a classifier of {own.name}, or set "
                f'scheme="{scheme.name}" if the labels are of that scheme'
            )
        images = ImageSet.of(images, classifier.card.system)
        card = {"size": classifier.card.stamp_size, "bands": classifier.card.bands}
    scheme = classes_of(table) if scheme is None else find_class_scheme(scheme)
    images = ImageSet.of(images)
    column = label_column(table, column, name)
    labels = np.ma.asarray(table[column])
    rows = np.flatnonzero(scheme.knows(labels))
    if not len(rows):
        raise ValueError(
            f"no row of {name} has one of the classes {list(scheme.numbers)} in {column}"
        )
    table, labels = table[rows], labels.data[rows].astype(int)
    size = card.pop("size", STAMP_SIZE)
    stamps = make_stamps(table, images, size=size + 2 * margin, progress_bar=progress_bar, **card)
    usable = stamps.present.any(axis=1)
    stamps = stamps[usable]
    seen = np.array(stamps.filters)[stamps.present.any(axis=0)]
    x, y = (values[usable] for values in pixel_positions(table, images.wcs))
    return Sample(
        stamps,
        labels[usable],
        groups=overlapping_groups(x, y, size=stamps.size),
        description=f"stamps with {column} of {name} in {', '.join(seen)}",
        scheme=scheme,
        size=size,
    )


def label_column(table, column, name):
    """Name of the column of classes: the given one, or the first of `LABEL_COLUMNS` found."""
    names = LABEL_COLUMNS if column is None else [column]
    found = [one for one in names if one in table.colnames]
    if not found:
        raise KeyError(f"{name} has no column {' or '.join(names)} with classes")
    return found[0]
