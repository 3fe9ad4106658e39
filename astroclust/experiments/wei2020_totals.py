# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Number of objects per class in the samples of Wei et al. (2020), published and ours."""

import numpy as np
from astropy.table import MaskedColumn, Table

from astroclust.catalogs import find_field
from astroclust.data_files import read_data
from astroclust.instruments import LEGUS_CLASSES

__all__ = ["add_totals"]

_TABLES = {"bcw": "table_1", "consensus": "table_2"}


def add_totals(report, samples):
    """Add a comparison with the totals of Tables 1 to 3, and with those of each field, to a report.

    Parameters
    ----------
    report : `~astroclust.reports.Report`
        The report.
    samples : dict of str to `~astroclust.stamps.Stamps`
        Samples by their labels, and ``"new galaxy"``.
    """
    report.add(
        "Size of the samples",
        "Objects of each class (Tables 1 to 3). As in the paper, objects for training and testing "
        "are detected in at least four bands. Fields without public labels are missing from ours.",
        name="totals",
        table=_totals(samples),
    )
    report.add(
        "Objects of each field",
        "Stamps of each class, and the objects in the tables of the paper, regardless of their "
        "bands.",
        name="samples",
        table=_fields(samples),
    )


def _counts(classes):
    return [int(np.count_nonzero(np.asarray(classes) == n)) for n in LEGUS_CLASSES.numbers]


def _totals(samples):
    """Published totals and ours, one row each."""
    columns = [f"class_{number}" for number in LEGUS_CLASSES.numbers]
    rows = [
        (row["sample"], f"paper, {row['item'].replace('-', ' ')}", row["detected_in"], *own)
        for row in read_data("wei2020_samples")
        for own in [[int(row[name]) for name in columns]]
    ]
    for name, stamps in samples.items():
        rows.append((name, "ours", "4 filters", *_counts(stamps.table["class"])))
    order = list(dict.fromkeys(row[0] for row in rows))
    rows.sort(key=lambda row: order.index(row[0]))
    return Table(rows=rows, names=("sample", "source", "detected_in", *columns))


def _fields(samples):
    """Our counts of each field and those of the paper, masked if its tables lack the field."""
    names = LEGUS_CLASSES.numbers
    rows, published = [], []
    for sample, stamps in samples.items():
        fields = np.asarray(stamps.table["field"])
        for field in dict.fromkeys(fields.tolist()):
            rows.append((sample, field, *_counts(stamps.table["class"][fields == field])))
            published.append(_published(sample, field))
    table = Table(rows=rows, names=("sample", "field", *(f"class_{n}" for n in names)))
    for i, number in enumerate(names):
        counts = [0 if one is None else one[i] for one in published]
        table[f"paper_{number}"] = MaskedColumn(counts, mask=[one is None for one in published])
    return table


def _published(sample, field):
    """Counts of a field in a table of the paper, or None."""
    try:
        return getattr(find_field(field), _TABLES.get(sample, "table_2"))
    except KeyError:  # not of LEGUS
        return None
