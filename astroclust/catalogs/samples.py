# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The labeled samples of Wei et al. (2020), from the catalogs of LEGUS."""

import warnings
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs.fields import find_field

__all__ = ["legus_catalogs", "sample_counts", "training_sample"]

# The tables of Wei et al. (2020) by who gave the labels: B. C. Whitmore, or three people.
_TABLES = {"bcw": "table_1", "consensus": "table_2"}
_KINDS = {"bcw": ("single",), "consensus": ("consensus", "hybrid")}
_COLUMNS = ("id", "x", "y", "ra", "dec", "n_filters", "class_mean")


def legus_catalogs(folder):
    """Find the LEGUS catalogs in a folder and its subfolders.

    Parameters
    ----------
    folder : str or `~pathlib.Path`
        A folder.

    Returns
    -------
    paths : list of `~pathlib.Path`
        Files with the names that the archive gives them, ``hlsp_legus_hst_..._multiband_....tab``,
        compressed or not, in the order of their names; one file of each name.

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
    # Of a file that is there twice, the uncompressed one; downloads in progress end in .part.
    found = Path(folder).rglob("hlsp_legus_hst_*_multiband_*.tab*")
    found = sorted(found, key=lambda path: (path.suffix != ".gz", path))
    paths = {path.name.removesuffix(".gz"): path for path in found}
    paths = [path for name, path in sorted(paths.items()) if name.endswith(".tab")]
    if not paths:
        raise FileNotFoundError(
            f"{folder} has no catalogs of LEGUS: fetch some with astroclust fetch FIELD"
        )
    return paths


def training_sample(catalogs, *, labels="consensus", min_filters=4):
    """The labeled candidates of Table 1 or Table 2 of Wei et al. (2020).

    Parameters
    ----------
    catalogs : iterable of `~astropy.table.Table`
        Catalogs, as `~astroclust.catalogs.read_legus` reads them.
    labels : str, optional
        ``"consensus"``: the mode of three people, for the fields of Table 2; ``"bcw"``: the
        classes of B. C. Whitmore, for those fields of Table 1 that are public.
    min_filters : int, optional
        Bands in which a candidate must be detected: 4 for the samples that the paper trains with,
        0 for all that its tables count.

    Returns
    -------
    sample : `~astropy.table.Table`, length n
        ``field``, ``id``, ``x``, ``y``, ``ra``, ``dec``, ``n_filters``, ``class`` (1 to 4) and,
        for the consensus, ``class_mean``. Fields that are not in the table of the paper are
        excluded, and one warning names them; so is a class of which the table has no object in a
        field: class 4 in NGC 4449, whose catalog has code 0, spurious, for it.

    Raises
    ------
    ValueError
        For unknown ``labels``, or where no catalog belongs to the table.

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
            parts.append(_labelled(catalog, field, getattr(field, _TABLES[labels]), min_filters))
        else:
            left_out.append(field.name)
    if not parts:
        raise ValueError(f"none of the catalogues has the labels {labels!r} of Wei et al. (2020)")
    if left_out:
        warnings.warn(
            f"not in the sample {labels!r} of Wei et al. (2020), left out: {', '.join(left_out)}",
            AstropyUserWarning,
            stacklevel=2,
        )
    return vstack(parts, metadata_conflicts="silent")


def _field(catalog):
    if "FIELD" not in catalog.meta or "class_human" not in catalog.colnames:
        raise ValueError(
            "a catalogue does not say its field or has no class_human: read it with "
            "read_legus(path, field=...)"
        )
    return find_field(catalog.meta["FIELD"])


def _labelled(catalog, field, paper, min_filters):
    # A masked number of filters is none.
    enough = np.ma.filled(catalog["n_filters"] >= min_filters, min_filters == 0)
    counted = [number for number, n in enumerate(paper, 1) if n]
    rows = np.isin(catalog["class_human"], counted) & enough
    sample = catalog[[name for name in _COLUMNS if name in catalog.colnames]][rows]
    sample.add_column(catalog["class_human"][rows], name="class", index=6)
    sample["class"].description = "class given by eye: 1 to 4"
    sample.add_column([field.name] * len(sample), name="field", index=0)
    sample.meta.clear()
    return sample


def sample_counts(catalogs):
    """How many candidates of each class there are, beside Tables 1 and 2 of Wei et al. (2020).

    Parameters
    ----------
    catalogs : iterable of `~astropy.table.Table`
        Catalogs, as `~astroclust.catalogs.read_legus` reads them.

    Returns
    -------
    counts : `~astropy.table.Table`
        A row a field, then the totals of the fields of each table: ``field``; ``table`` (of the
        paper: 1, 2, or masked); ``rows``; ``class_1`` ... ``class_4``; ``paper_1`` ... and
        ``difference_1`` ... (masked where the paper has no row); ``min_4_filters`` (labeled
        candidates that are detected in at least four bands).

    Examples
    --------
    Of a catalog of three rows almost all that the paper counts is missing:

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
