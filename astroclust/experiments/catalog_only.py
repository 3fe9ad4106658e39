# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""What the catalogue says of a candidate's class without its image: the floor for networks."""

from functools import partial
from itertools import pairwise
from time import perf_counter

import numpy as np
from astropy import units as u
from astropy.coordinates import Distance
from astropy.table import Table, vstack
from tqdm import tqdm

from astroclust.catalogs import find_field, float_column
from astroclust.evaluation import class_scores, confusion_matrix, crowding
from astroclust.experiments.report import Report, describe_machine
from astroclust.extras import naming_extras
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES
from astroclust.plotting import plot_confusion

__all__ = [
    "catalog_features",
    "classify_without_images",
    "reproduce_catalog_only",
    "scores_by_field",
]

# Results of LEGUS's fits of populations, and what it counts.
_FITTED = ("age", "mass", "e_bv", "chi2", "fit_probability", "n_filters")
_MEMBERS, _SEED = 5, 0


def catalog_features(catalog):
    """Numbers that trees can learn from, of a catalogue of LEGUS.

    Parameters
    ----------
    catalog : `~astropy.table.Table`, length n
        As `~astroclust.catalogs.read_legus` reads it.

    Returns
    -------
    features : `~astropy.table.Table`, length n
        NaN where there is no value: magnitude, error and absolute magnitude in V, the colours of
        neighbouring bands and errors in all, concentration index, age, mass, reddening and quality
        of the fitted population, number of filters, neighbours within 25 pixels.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.experiments import catalog_features
    >>> catalog = Table({"x": [10.0, 20.0, 500.0], "y": [10.0, 10.0, 10.0], "ci": [1.5, 1.6, 1.4]})
    >>> catalog["mag_f438w"], catalog["mag_f555w"] = [23.0, 22.5, 24.0], [22.5, 22.25, 23.5]
    >>> catalog.meta["DISTANCE"] = 10.0
    >>> print(catalog_features(catalog)["mag_V", "abs_V", "B-V", "V-I", "ci", "neighbors"])
    mag_V abs_V B-V  V-I  ci neighbors
    ----- ----- ---- --- --- ---------
     22.5  -7.5  0.5 nan 1.5       1.0
    22.25 -7.75 0.25 nan 1.6       1.0
     23.5  -6.5  0.5 nan 1.4       0.0
    """
    columns = {
        LEGUS_BANDS.filters[name[4:].upper()]: name for name in catalog.colnames if _is_mag(name)
    }
    magnitudes = {band: _values(catalog, columns.get(band)) for band in LEGUS_BANDS.roles}
    errors = {
        band: _values(catalog, columns.get(band, "").replace("mag_", "mag_err_"))
        for band in LEGUS_BANDS.roles
    }
    modulus = Distance(catalog.meta.get("DISTANCE", np.nan), u.Mpc).distmod.value
    features = {"mag_V": magnitudes["V"], "abs_V": magnitudes["V"] - modulus}
    for blue, red in pairwise(LEGUS_BANDS.roles):
        features[f"{blue}-{red}"] = magnitudes[blue] - magnitudes[red]
    features |= {f"err_{band}": errors[band] for band in LEGUS_BANDS.roles}
    features |= {name: _values(catalog, name) for name in ("ci", *_FITTED)}
    features["neighbors"] = crowding(catalog).astype(float)
    return Table(features)


def _is_mag(name):
    return name.startswith("mag_f") and name[4:].upper() in LEGUS_BANDS.filters


def _values(catalog, name):
    if not name or name not in catalog.colnames:
        return np.full(len(catalog), np.nan)
    return float_column(catalog, name)


def classify_without_images(catalogs, *, probabilities=None, progress=iter):
    """Classify the labelled candidates of each field by gradient boosting on those of the others.

    Parameters
    ----------
    catalogs : sequence of `~astropy.table.Table`
        Catalogues of fields with labels, as `~astroclust.catalogs.read_legus` reads them. Fields
        of one galaxy are held out together.
    probabilities : sequence of array_like, shape (n, 4), optional
        Class probabilities of the rows of each catalogue, from images, to learn from beside the
        columns: both together.
    progress : callable, optional
        Called on the galaxies to go through, such as `tqdm.tqdm`.

    Returns
    -------
    classified : `~astropy.table.Table`
        A row a labelled candidate: ``field``, ``id``, ``label`` (1 to 4, by people), ``class``, and
        ``prob_1`` ... ``prob_4``.

    Raises
    ------
    ValueError
        Where there are fewer than two galaxies with labels, or probabilities of other rows.

    Examples
    --------
    Two galaxies in which the concentration index says it all:

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
    parts = []
    for number, catalog in enumerate(catalogs):
        part = catalog_features(catalog)
        if probabilities is not None:
            given = np.asarray(probabilities[number], float)
            if given.shape != (len(catalog), len(LEGUS_CLASSES)):
                raise ValueError(
                    f"probabilities of {catalog.meta['FIELD']} must have shape "
                    f"({len(catalog)}, {len(LEGUS_CLASSES)}), not {given.shape}"
                )
            part.add_columns(list(given.T), names=[f"image_{c}" for c in LEGUS_CLASSES.numbers])
        field = find_field(catalog.meta["FIELD"])
        head = Table(
            {"field": [field.name] * len(catalog), "galaxy": [field.galaxy] * len(catalog)}
        )
        head["id"], head["label"] = catalog["id"], np.ma.filled(catalog["class_human"], 0)
        for column in reversed(list(head.itercols())):
            part.add_column(column, index=0)
        parts.append(part[LEGUS_CLASSES.knows(head["label"])])
    sample = vstack(parts, metadata_conflicts="silent") if parts else Table({"galaxy": []})
    galaxies = sorted(set(sample["galaxy"]))
    if len(galaxies) < 2:
        raise ValueError(f"one galaxy is held out at a time: two are needed, not {len(galaxies)}")
    features = np.column_stack([sample[name] for name in sample.colnames[4:]])
    labels = np.asarray(sample["label"])
    probabilities = np.zeros((len(sample), len(LEGUS_CLASSES)))
    for galaxy in progress(galaxies):
        held_out = np.asarray(sample["galaxy"] == galaxy)
        probabilities[held_out] = _boost(features[~held_out], labels[~held_out], features[held_out])
    classified = sample["field", "id", "label"]
    classified["class"] = LEGUS_CLASSES.most_probable(probabilities)
    for number, column in zip(LEGUS_CLASSES.numbers, probabilities.T, strict=True):
        classified[f"prob_{number}"] = column
    return classified


def _boost(features, labels, others):
    """Mean class probabilities of some members, which differ in what they set aside."""
    with naming_extras():
        from sklearn.ensemble import HistGradientBoostingClassifier

    known = np.isfinite(features).any(axis=0)
    features, others = features[:, known], others[:, known]
    probabilities = np.zeros((len(others), len(LEGUS_CLASSES)))
    for member in range(_MEMBERS):
        model = HistGradientBoostingClassifier(
            learning_rate=0.05, max_leaf_nodes=15, early_stopping=True, random_state=_SEED + member
        )
        model.fit(features, labels)
        probabilities[:, model.classes_.astype(int) - 1] += model.predict_proba(others) / _MEMBERS
    return probabilities


def scores_by_field(classified):
    """Accuracy in each field, and in all.

    Parameters
    ----------
    classified : `~astropy.table.Table`
        With ``field``, ``label`` and ``class``.

    Returns
    -------
    scores : `~astropy.table.Table`
        A row a field, and ``all``: ``field``, ``total``, ``accuracy``, ``accuracy_error``
        (bootstrap), ``recall_1`` ... ``recall_4`` (NaN of none), ``accuracy_clusters`` (classes 1
        to 3 against 4) and ``largest_class``, the share of the commonest label, which the accuracy
        is to be measured by.

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
    """Classify from the columns of catalogues alone, a galaxy held out at a time, and report.

    Parameters
    ----------
    folder : str or `~pathlib.Path`
        Where the report goes.
    catalogs : sequence of `~astropy.table.Table`
        As `~astroclust.catalogs.read_legus` reads them; those without labels are left out.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    page : `~pathlib.Path`
        The report.

    Raises
    ------
    ValueError
        Where there are fewer than two galaxies with labels.

    Examples
    --------
    Two galaxies in which the concentration index says it all:

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
    labelled = [
        catalog
        for catalog in catalogs
        if "class_human" in catalog.colnames and LEGUS_CLASSES.knows(catalog["class_human"]).any()
    ]
    progress = partial(tqdm, unit="galaxy", disable=not progress_bar)
    classified = classify_without_images(labelled, progress=progress)
    scores = scores_by_field(classified)
    everything = class_scores(classified["label"], classified["class"], resamples=200)
    report = Report("Classes from the catalogue alone")
    report.add(
        "Each field",
        "Gradient boosting on magnitudes, errors, colours, concentration index, fitted age, mass "
        "and reddening, and neighbours; the galaxy of a field is held out. What images add is what "
        "they are above this.",
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
    report.add("The machine", name="machine", table=describe_machine(perf_counter() - began))
    return report.write(folder)
