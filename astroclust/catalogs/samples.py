# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Labeled samples of Wei et al. (2020), from LEGUS catalogs."""

import warnings
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs.fields import find_field

__all__ = ["legus_catalogs", "sample_counts", "training_sample"]

# Tables of Wei et al. (2020) by source of the labels: B. C. Whitmore, or three people.
_TABLES = {"bcw": "table_1", "consensus": "table_2"}
_KINDS = {"bcw": ("single",), "consensus": ("consensus", "hybrid")}
_COLUMNS = ("id", "x", "y", "ra", "dec", "n_filters", "class_mean")


def legus_catalogs(folder):
    """Find the LEGUS catalogs in a folder and its subfolders.

    Parameters
    ----------
    folder : str or `~pathlib.Path`
        The folder.

    Returns
    -------
    paths : list of `~pathlib.Path`
        Files named as in the archive, ``hlsp_legus_hst_..._multiband_....tab``, compressed or
        not, sorted by name; one file per name.

    Raises
    ------
    FileNotFoundError
        If there are none.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.simulation import write_field
    >>> from astroclust.catalogs import legus_catalogs
    >>> files = write_field(simulate_field(shape=(128, 128), seed=1), "simulated")
    >>> legus_catalogs("simulated") == [files.catalog]
    True
    """
    # Prefer the uncompressed of two files; downloads in progress end in .part.
    found = Path(folder).rglob("hlsp_legus_hst_*_multiband_*.tab*")
    found = sorted(found, key=lambda path: (path.suffix != ".gz", path))
    paths = {path.name.removesuffix(".gz"): path for path in found}
    paths = [path for name, path in sorted(paths.items()) if name.endswith(".tab")]
    if not paths:
        raise FileNotFoundError(
            f"{folder} has no LEGUS catalogs; fetch some with astroclust fetch FIELD"
        )
    return paths


def training_sample(catalogs, *, labels="consensus", min_filters=4):
    """Labeled candidates of Table 1 or Table 2 of Wei et al. (2020).

    Parameters
    ----------
    catalogs : iterable of `~astropy.table.Table`
        Catalogs; see `~astroclust.catalogs.read_legus`.
    labels : str, optional
        ``"consensus"``: mode of three people, for the fields of Table 2; ``"bcw"``: classes of
        B. C. Whitmore, for the public fields of Table 1.
    min_filters : int, optional
        Minimum number of bands in which a candidate is detected: 4 for the training samples of the
        paper, 0 for all candidates counted in its tables.

    Returns
    -------
    sample : `~astropy.table.Table`, length n
        ``field``, ``id``, ``x``, ``y``, ``ra``, ``dec``, ``n_filters``, ``class`` (1 to 4) and,
        for the consensus, ``class_mean``. Fields that are not in the table of the paper are
        excluded, and listed in one warning. Classes without objects in the table are excluded as
        well: class 4 in NGC 4449, whose catalog uses code 0 (spurious) instead.

    Raises
    ------
    ValueError
        If ``labels`` is unknown, or none of the catalogs is in the table.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.catalogs import training_sample
    >>> catalog = Table({"id": [1, 2, 3], "n_filters": [5, 5, 3], "class_human": [1, 0, 4]})
    >>> catalog.meta["FIELD"] = "ngc628-c"
    >>> print(training_sample([catalog]))
     field    id n_filters class
    -------- --- --------- -----
    ngc628-c   1         5     1
    """
    if labels not in _TABLES:
        raise ValueError(f"labels must be one of {', '.join(_TABLES)}, not {labels!r}")
    parts, left_out = [], []
    for catalog in catalogs:
        field = _field(catalog)
        if field.labels in _KINDS[labels] and getattr(field, _TABLES[labels]) is not None:
            parts.append(_labeled(catalog, field, getattr(field, _TABLES[labels]), min_filters))
        else:
            left_out.append(field.name)
    if not parts:
        raise ValueError(f"no catalog has the labels {labels!r} of Wei et al. (2020)")
    if left_out:
        warnings.warn(
            "excluded fields that are not in the sample "
            f"{labels!r} of Wei et al. (2020): {', '.join(left_out)}",
            AstropyUserWarning,
            stacklevel=2,
        )
    return vstack(parts, metadata_conflicts="silent")


def _field(catalog):
    if "FIELD" not in catalog.meta or "class_human" not in catalog.colnames:
        raise ValueError(
            "a catalog has no FIELD in its metadata or no column class_human; read it with "
            "read_legus(path, field=...)"
        )
    return find_field(catalog.meta["FIELD"])


def _labeled(catalog, field, paper, min_filters):
    # A masked number of filters counts as 0.
    enough = np.ma.filled(catalog["n_filters"] >= min_filters, min_filters == 0)
    counted = [number for number, n in enumerate(paper, 1) if n]
    rows = np.isin(catalog["class_human"], counted) & enough
    sample = catalog[[name for name in _COLUMNS if name in catalog.colnames]][rows]
    sample.add_column(catalog["class_human"][rows], name="class", index=6)
    sample["class"].description = "class from visual inspection: 1 to 4"
    sample.add_column([field.name] * len(sample), name="field", index=0)
    sample.meta.clear()
    return sample


def sample_counts(catalogs):
    """Numbers of candidates by class, compared with Tables 1 and 2 of Wei et al. (2020).

    Parameters
    ----------
    catalogs : iterable of `~astropy.table.Table`
        Catalogs; see `~astroclust.catalogs.read_legus`.

    Returns
    -------
    counts : `~astropy.table.Table`
        One row per field, then the totals for each table: ``field``; ``table`` (of the paper: 1,
        2, or masked); ``rows``; ``class_1`` ... ``class_4``; ``paper_1`` ... and
        ``difference_1`` ... (masked for fields that are not in the paper); ``min_4_filters``
        (labeled candidates detected in at least four bands).

    Examples
    --------
    A catalog of three rows lacks almost all candidates of the paper:

    >>> from astropy.table import Table
    >>> from astroclust.catalogs import sample_counts
    >>> catalog = Table({"id": [1, 2, 3], "n_filters": [5, 5, 3], "class_human": [1, 0, 4]})
    >>> catalog.meta["FIELD"] = "ngc628-c"
    >>> counts = sample_counts([catalog])
    >>> print(counts["field", "table", "class_1", "paper_1", "difference_1"])
         field       table class_1 paper_1 difference_1
    ---------------- ----- ------- ------- ------------
            ngc628-c     2       1     334         -333
    total of table 2     2       1     334         -333
    """
    rows = sorted(map(_count, catalogs), key=lambda row: (row[1] or 9, row[0]))
    for number in (1, 2):
        of_table = [row for row in rows if row[1] == number]
        if of_table:
            sums = [sum(values) for values in zip(*(row[2:] for row in of_table), strict=True)]
            rows.append((f"total of table {number}", number, *sums))
    return _counts_table(rows)


def _count(catalog):
    field = _field(catalog)
    kind = "bcw" if field.labels in _KINDS["bcw"] else "consensus"
    paper = getattr(field, _TABLES[kind])
    number = None if paper is None else int(_TABLES[kind][-1])
    classes = np.asarray(catalog["class_human"])
    ours = [int((classes == value).sum()) for value in (1, 2, 3, 4)]
    enough = np.ma.filled(catalog["n_filters"] >= 4, False) & np.isin(classes, (1, 2, 3, 4))
    return (field.name, number, len(catalog), *ours, *(paper or (0,) * 4), int(enough.sum()))


def _counts_table(rows):
    names = ["field", "table", "rows", *(f"class_{i}" for i in (1, 2, 3, 4))]
    names += [*(f"paper_{i}" for i in (1, 2, 3, 4)), "min_4_filters"]
    no_paper = [row[1] is None for row in rows]
    rows = [(row[0], row[1] or 0, *row[2:]) for row in rows]
    counts = Table(rows=rows, names=names, masked=True)
    for i in (1, 2, 3, 4):
        difference = counts[f"class_{i}"] - counts[f"paper_{i}"]
        counts.add_column(
            difference, name=f"difference_{i}", index=counts.index_column("min_4_filters")
        )
        counts[f"paper_{i}"].mask = counts[f"difference_{i}"].mask = no_paper
    counts["table"].mask = no_paper
    return counts
