# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Classification from the catalog without images: the baseline for networks."""

from functools import partial
from time import perf_counter

import numpy as np
from astropy.table import Table, vstack
from tqdm import tqdm

from astroclust.catalogs import find_field
from astroclust.context import (
    context_features,
    fit_pooling,
    pool_probabilities,
    train_context_model,
)
from astroclust.evaluation import class_scores, confusion_matrix
from astroclust.instruments import LEGUS_CLASSES
from astroclust.plotting import plot_confusion
from astroclust.reports import Report, describe_machine

__all__ = [
    "classify_without_images",
    "labeled_features",
    "pool_with_images",
    "reproduce_catalog_only",
    "scores_by_field",
]


def labeled_features(catalogs, *, neighbors=True):
    """Features of the labeled candidates of catalogs.

    Parameters
    ----------
    catalogs : sequence of `~astropy.table.Table`
        Complete catalogs of fields with labels, see `~astroclust.catalogs.read_legus`.
    neighbors : bool, optional
        Whether to use the other sources of each catalog.

    Returns
    -------
    sample : `~astropy.table.Table`
        One row per candidate: ``field``, ``galaxy``, ``id``, ``label`` (1 to 4), and the columns of
        `~astroclust.context.context_features`.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.experiments import labeled_features
    >>> catalog = Table({"id": [1, 2], "x": [5.0, 9.0], "y": [5.0, 5.0], "class_human": [0, 3]})
    >>> catalog["mag_f555w"] = [21.0, 22.0]
    >>> catalog.meta = {"FIELD": "ngc628-c", "DISTANCE": 9.9}
    >>> print(labeled_features([catalog])["galaxy", "id", "label", "near_V"])
     galaxy  id label near_V
    ------- --- ----- ------
    NGC 628   2     3    1.0
    """
    parts = []
    for catalog in catalogs:
        labels = np.ma.filled(catalog["class_human"], 0)
        candidates = catalog[LEGUS_CLASSES.knows(labels)]
        features = context_features(candidates, neighbors=catalog if neighbors else None)
        field = find_field(catalog.meta["FIELD"])
        head = {
            "field": np.full(len(candidates), field.name),
            "galaxy": np.full(len(candidates), field.galaxy),
            "id": candidates["id"],
            "label": labels[LEGUS_CLASSES.knows(labels)],
        }
        parts.append(Table({**head, **{name: features[name] for name in features.colnames}}))
    return vstack(parts, metadata_conflicts="silent") if parts else Table({"galaxy": []})


def classify_without_images(catalogs, *, neighbors=True, galaxies=None, progress=iter):
    """Classify the labeled candidates of each galaxy with a model trained on the others.

    Parameters
    ----------
    catalogs : sequence of `~astropy.table.Table`
        Complete catalogs of fields with labels, see `~astroclust.catalogs.read_legus`.
        Fields of one galaxy are held out together.
    neighbors : bool, optional
        Whether to use the other sources of each catalog.
    galaxies : sequence of str, optional
        Galaxies to classify; by default all. The model is trained on all others.
    progress : callable, optional
        Wrapper of the iterable of galaxies, such as `tqdm.tqdm`.

    Returns
    -------
    classified : `~astropy.table.Table`
        One row per labeled candidate: ``field``, ``galaxy``, ``id``, ``label`` (human class, 1 to
        4), ``class``, and ``prob_1`` ... ``prob_4``.

    Raises
    ------
    ValueError
        If there are fewer than two galaxies with labels.

    Examples
    --------
    Two galaxies in which the concentration index determines the class:

    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from astroclust.experiments import classify_without_images
    >>> catalogs = []
    >>> for field in ("ngc1566", "ngc628-c"):
    ...     catalog = Table({"id": np.arange(60), "x": 100.0 * np.arange(60), "y": np.zeros(60)})
    ...     catalog["class_human"] = np.tile([1, 4], 30)
    ...     catalog["ci"] = np.where(catalog["class_human"] == 1, 1.8, 1.4)
    ...     catalog.meta["FIELD"] = field
    ...     catalogs.append(catalog)
    >>> classified = classify_without_images(catalogs)
    >>> print(classified["field", "id", "label", "class"][:2])
     field   id label class
    ------- --- ----- -----
    ngc1566   0     1     1
    ngc1566   1     4     4
    """
    sample = labeled_features(catalogs, neighbors=neighbors)
    probabilities = np.zeros((len(sample), len(LEGUS_CLASSES)))
    wanted = np.isin(sample["galaxy"], sample["galaxy"] if galaxies is None else galaxies)
    kinds = ["neighbors"] if neighbors else ["alone"]
    for held_out in progress([rows for rows in _galaxies(sample) if wanted[rows].any()]):
        others = sample[~held_out]
        model = train_context_model(others, others["label"], kinds=kinds)
        probabilities[held_out] = model.forests[kinds[0]].probabilities(sample[held_out])
    return _classified(sample[wanted], probabilities[wanted])


def pool_with_images(classified, images):
    """Pool class probabilities from catalogs with those from images.

    The exponents for each galaxy are fitted to the others.

    Parameters
    ----------
    classified : `~astropy.table.Table`
        The result of `classify_without_images`.
    images : `~astropy.table.Table`
        Class probabilities from images, by networks whose training set excludes the galaxy of a
        row: ``field``, ``id``, and ``prob_1`` ... ``prob_4``.

    Returns
    -------
    pooled : `~astropy.table.Table`
        The rows of ``classified`` that have probabilities from images, with the same columns.

    Raises
    ------
    ValueError
        If fewer than two galaxies have both.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from astroclust.experiments import pool_with_images
    >>> table = Table({"field": np.repeat(["ngc1566", "ngc45"], 8), "id": np.arange(16)})
    >>> table["galaxy"], table["label"] = table["field"], np.tile([1, 2, 3, 4], 4)
    >>> for number in (1, 2, 3, 4):
    ...     table[f"prob_{number}"] = np.where(table["label"] == number, 0.7, 0.1)
    >>> print(pool_with_images(table, table)["field", "id", "label", "class"][:2])
     field   id label class
    ------- --- ----- -----
    ngc1566   0     1     1
    ngc1566   1     2     2
    """
    rows = {key: row for row, key in enumerate(_keys(images))}
    found = np.array([rows.get(key, -1) for key in _keys(classified)])
    sample = classified[found >= 0]
    image, catalog = _probabilities(images)[found[found >= 0]], _probabilities(sample)
    pooled = np.empty_like(catalog)
    for held_out in _galaxies(sample):
        labels = np.asarray(sample["label"][~held_out])
        exponents = fit_pooling(image[~held_out], catalog[~held_out], labels)
        pooled[held_out] = pool_probabilities(image[held_out], catalog[held_out], exponents)
    return _classified(sample, pooled)


def _galaxies(sample):
    """Rows of each galaxy."""
    galaxies = sorted(set(sample["galaxy"]))
    if len(galaxies) < 2:
        raise ValueError(
            "one galaxy is held out at a time, which requires at least two galaxies, not "
            f"{len(galaxies)}"
        )
    return [np.asarray(sample["galaxy"] == galaxy) for galaxy in galaxies]


def _keys(table):
    return list(zip(map(str, table["field"]), map(int, table["id"]), strict=True))


def _probabilities(table):
    return np.column_stack([table[f"prob_{number}"] for number in LEGUS_CLASSES.numbers])


def _classified(sample, probabilities):
    classified = sample["field", "galaxy", "id", "label"]
    classified["class"] = LEGUS_CLASSES.most_probable(probabilities)
    for number, column in zip(LEGUS_CLASSES.numbers, probabilities.T, strict=True):
        classified[f"prob_{number}"] = column
    return classified


def scores_by_field(classified):
    """Accuracy in each field and in total.

    Parameters
    ----------
    classified : `~astropy.table.Table`
        Table with ``field``, ``label`` and ``class``.

    Returns
    -------
    scores : `~astropy.table.Table`
        One row per field, and ``all``: ``field``, ``total``, ``accuracy``, ``accuracy_error``
        (bootstrap), ``recall_1`` ... ``recall_4`` (NaN without objects), ``accuracy_clusters``
        (classes 1 to 3 against 4) and ``largest_class``, the fraction of the most common label,
        which is the baseline for the accuracy.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.experiments import scores_by_field
    >>> classified = Table({"field": ["ngc1566"] * 4, "label": [1, 1, 2, 4], "class": [1, 2, 2, 1]})
    >>> print(scores_by_field(classified)["field", "accuracy", "recall_1", "accuracy_clusters"])
     field  accuracy recall_1 accuracy_clusters
    ------- -------- -------- -----------------
    ngc1566      0.5      0.5              0.75
        all      0.5      0.5              0.75
    """
    rows = []
    for name in [*sorted(set(classified["field"])), "all"]:
        part = classified if name == "all" else classified[classified["field"] == name]
        scores = class_scores(part["label"], part["class"], resamples=200)
        merged = class_scores(part["label"], part["class"], merge={2: 1, 3: 1})
        rows.append(
            {
                "field": name,
                "total": len(part),
                "accuracy": scores.meta["ACCURACY"],
                "accuracy_error": scores.meta["ACCURACY_ERROR"],
                **{f"recall_{c}": scores["recall"][i] for i, c in enumerate(LEGUS_CLASSES.numbers)},
                "accuracy_clusters": merged.meta["ACCURACY"],
                "largest_class": max(scores["total"]) / len(part),
            }
        )
    return Table(rows)


def reproduce_catalog_only(folder, catalogs, *, progress_bar=False):
    """Classify from catalog columns alone, holding out one galaxy at a time, and write a report.

    Parameters
    ----------
    folder : str or `~pathlib.Path`
        Folder of the report.
    catalogs : sequence of `~astropy.table.Table`
        Catalogs, see `~astroclust.catalogs.read_legus`; those without labels are excluded.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    page : `~pathlib.Path`
        The report.

    Raises
    ------
    ValueError
        If there are fewer than two galaxies with labels.

    Examples
    --------
    Two galaxies in which the concentration index determines the class:

    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from astroclust.experiments import reproduce_catalog_only
    >>> catalogs = []
    >>> for field in ("ngc1566", "ngc628-c"):
    ...     catalog = Table({"id": np.arange(60), "x": 100.0 * np.arange(60), "y": np.zeros(60)})
    ...     catalog["class_human"] = np.tile([1, 4], 30)
    ...     catalog["ci"] = np.where(catalog["class_human"] == 1, 1.8, 1.4)
    ...     catalog.meta["FIELD"] = field
    ...     catalogs.append(catalog)
    >>> page = reproduce_catalog_only("study", catalogs)
    >>> sorted(path.name for path in page.parent.iterdir())
    ['fields.ecsv', 'machine.ecsv', 'report.html', 'scores.ecsv']
    >>> print(Table.read("study/fields.ecsv")["field", "total", "accuracy"])
     field   total accuracy
    -------- ----- --------
     ngc1566    60      1.0
    ngc628-c    60      1.0
         all   120      1.0
    """
    began = perf_counter()
    labeled = [
        catalog
        for catalog in catalogs
        if "class_human" in catalog.colnames and LEGUS_CLASSES.knows(catalog["class_human"]).any()
    ]
    progress = partial(tqdm, unit="galaxy", disable=not progress_bar)
    classified = classify_without_images(labeled, progress=progress)
    scores = scores_by_field(classified)
    everything = class_scores(classified["label"], classified["class"], resamples=200)
    report = Report("Classes from the catalog alone")
    report.add(
        "Each field",
        "Boosted trees on magnitudes, errors, colors, concentration index and neighbors; the "
        "galaxy of a field is held out. This is the baseline for the gain from images.",
        name="fields",
        table=scores,
        form=".3f",
    )
    confusion = confusion_matrix(classified["label"], classified["class"])
    report.add(
        "All fields",
        name="scores",
        table=everything,
        form=".3f",
        figure=plot_confusion(confusion).figure,
    )
    report.add("Computer", name="machine", table=describe_machine(perf_counter() - began))
    return report.write(folder)
