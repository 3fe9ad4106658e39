# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Samples cut from LEGUS fields, whose catalogs and mosaics are downloaded."""

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from tqdm import tqdm

from astroclust.archive import archive_folder, download_sizes, fetch_legus
from astroclust.archive.manifest import read_notes, write_notes
from astroclust.catalogs import find_field, legus_fields
from astroclust.instruments import find_class_scheme
from astroclust.locks import only_process
from astroclust.stamps import Stamps
from astroclust.training.samples import STAMP_SIZE, Sample, label_column, labeled_sample

__all__ = ["LegusPlan", "labeled_fields", "legus_samples", "plan_legus"]

_STAMPS, _MOSAICS, _FIELDS = "stamps", "mosaics", "fields.json"
_FLOAT32 = 4  # bytes
_GIGABYTE = 1e9


def labeled_fields():
    """Names of the LEGUS fields whose public catalogs have visual classifications.

    Returns
    -------
    names : list of str
        Field names, in alphabetical order.

    Examples
    --------
    >>> from astroclust.training import labeled_fields
    >>> len(labeled_fields()), labeled_fields()[:2]
    (36, ['ic4247', 'ic559'])
    """
    return sorted(one.name for one in legus_fields().values() if one.catalog and one.labels)


@dataclass(frozen=True)
class LegusPlan:
    """LEGUS fields to train on, and the disk space required for their stamps.

    Parameters
    ----------
    fields : tuple of str
        Names of the fields.
    labels : dict of str to int
        Number of labeled objects by field.
    mosaics : dict of str to int or None
        Bytes of mosaics still to be downloaded, by field; None if unknown.
    stamps : dict of str to int
        Bytes of stamps still to be written, by field.
    folder : `~pathlib.Path`
        Folder for the stamps.
    data_folder : `~pathlib.Path`
        Folder for catalogs and mosaics; see `~astroclust.archive.fetch_legus`.
    drop_mosaics : bool
        Whether downloaded mosaics are removed once their stamps are cut.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astroclust.training import LegusPlan
    >>> plan = LegusPlan(
    ...     ("ngc45", "ngc1566"),
    ...     labels={"ngc45": 80, "ngc1566": 1000},
    ...     mosaics={"ngc45": 1_000_000_000, "ngc1566": 1_400_000_000},
    ...     stamps={"ngc45": 4_000_000, "ngc1566": 50_000_000},
    ...     folder=Path("training"),
    ...     data_folder=Path("data"),
    ...     drop_mosaics=True,
    ... )
    >>> plan.galaxies
    ('NGC 1566', 'NGC 45')
    >>> plan.disk_use
    1454000000
    """

    fields: tuple
    labels: dict
    mosaics: dict
    stamps: dict
    folder: Path
    data_folder: Path
    drop_mosaics: bool

    @property
    def galaxies(self):
        """Names of the galaxies, in alphabetical order."""
        return tuple(sorted({find_field(name).galaxy for name in self.fields}))

    @property
    def disk_use(self):
        """Maximum additional disk space, in bytes; mosaics of unknown size are not counted."""
        return self._mosaics + sum(self.stamps.values())

    @property
    def _mosaics(self):
        sizes = [size or 0 for size in self.mosaics.values()]
        return max(sizes, default=0) if self.drop_mosaics else sum(sizes)

    def describe(self):
        """One-line summary of the downloads and the required disk space."""
        fetched = sum(size or 0 for size in self.mosaics.values()) / _GIGABYTE
        unknown = [name for name, size in self.mosaics.items() if size is None]
        text = (
            f"{len(self.fields)} fields of {len(self.galaxies)} galaxies, "
            f"{sum(self.labels.values())} labeled objects: {fetched:.2f} GB of mosaics to download"
        )
        if unknown:
            text += f" and those of {', '.join(unknown)}, of unknown size"
        at_a_time = f", at most {self._mosaics / _GIGABYTE:.2f} GB at a time"
        return (
            f"{text}{at_a_time if self.drop_mosaics else ''}, "
            f"{sum(self.stamps.values()) / _GIGABYTE:.2f} GB of stamps; "
            f"{self.disk_use / _GIGABYTE:.2f} GB of disk in total, "
            f"{_free(self.folder) / _GIGABYTE:.2f} GB are free"
        )

    def check_space(self):
        """Raise an `OSError` if the disk of the folder has too little free space."""
        free = _free(self.folder)
        if self.disk_use > free:
            remedy = "" if self.drop_mosaics else "drop the mosaics after cutting, "
            raise OSError(
                f"the disk of {self.folder} has {free / _GIGABYTE:.2f} GB free, but "
                f"{self.disk_use / _GIGABYTE:.2f} GB are needed; free space, {remedy}or choose a "
                "folder on another disk"
            )


def _free(folder):
    """Free bytes on the disk of a folder, which need not exist."""
    folder = Path(folder).resolve()
    return shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free


def plan_legus(
    fields="all",
    *,
    folder,
    classifier=None,
    data_folder=None,
    drop_mosaics=False,
    progress_bar=False,
):
    """Fetch the catalogs of LEGUS fields, and determine the size of the remaining downloads.

    Parameters
    ----------
    fields : str or sequence of str, optional
        Names of fields, or ``"all"`` for those of `labeled_fields`. If files of a field are missing
        from the archive, a `FileNotFoundError` is raised if the field was named; with ``"all"``,
        the field is excluded, also in later calls with the same folder.
    folder : str or `~pathlib.Path`
        Folder for the stamps, and for mosaics that are dropped.
    classifier : `~astroclust.weights.Classifier`, optional
        Classifier to fine-tune, which sets the size of the stamps and the classes.
    data_folder : str or `~pathlib.Path`, optional
        Folder for catalogs and mosaics; see `~astroclust.archive.fetch_legus`.
    drop_mosaics : bool, optional
        Whether mosaics are downloaded to ``folder``, one field at a time, and removed once the
        stamps are cut. Mosaics already in ``data_folder`` are used and kept.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    plan : `LegusPlan`
        Input for `legus_samples`.

    Raises
    ------
    KeyError
        If there is no LEGUS field of that name.
    FileNotFoundError
        If files of a named field are missing from the archive.
    OSError
        If the server does not answer.
    ValueError
        If a field has no labels.

    Examples
    --------
    Fields without labels raise an error:

    >>> from astroclust.training import plan_legus
    >>> plan_legus("ngc3274", folder="run")
    Traceback (most recent call last):
        ...
    ValueError: no public catalog with human classes for ngc3274; omit it ...
    """
    folder, data_folder = Path(folder), archive_folder(data_folder)
    named = fields != "all"
    names = [fields] if isinstance(fields, str) else list(fields)
    if not named:
        names = read_notes(folder / _FIELDS).get("fields") or labeled_fields()
    names = list(dict.fromkeys(find_field(name).name for name in names))
    without = [name for name in names if name not in labeled_fields()]
    if without:
        raise ValueError(
            f"no public catalog with human classes for {', '.join(without)}; omit it (astroclust "
            "fetch --list shows the labels of each field)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    size = STAMP_SIZE if classifier is None else classifier.card.stamp_size
    labels, mosaics, stamps, lost = {}, {}, {}, []
    for name in tqdm(names, unit="catalog", disable=not progress_bar):
        try:
            labels[name] = _count_labels(name, data_folder, classifier)
            cut = (folder / _STAMPS / f"{name}.fits").exists()
            mosaics[name] = 0 if cut else download_sizes([name], folder=data_folder)[name]
        except FileNotFoundError:
            if named:
                raise
            lost.append(name)
            continue
        stamps[name] = 0 if cut else labels[name] * 5 * size**2 * _FLOAT32
    if lost:
        warnings.warn(
            f"the archive lacks files of {', '.join(lost)}, which are excluded",
            AstropyUserWarning,
            stacklevel=2,
        )
    names = tuple(name for name in names if name not in lost)
    if not names:
        raise FileNotFoundError("the archive has none of the fields to train on")
    if not named:
        write_notes(folder / _FIELDS, {"fields": list(names)})
    labels = {name: labels[name] for name in names}
    return LegusPlan(names, labels, mosaics, stamps, folder, data_folder, drop_mosaics)


def _count_labels(name, data_folder, classifier):
    """Fetch the catalog of a field, and count its labeled objects."""
    catalog = fetch_legus(name, what="catalog", folder=data_folder).catalog
    scheme = find_class_scheme("legus" if classifier is None else classifier.card.classes)
    n = int(scheme.knows(np.ma.asarray(catalog[label_column(catalog, None, name)])).sum())
    if not n:
        raise ValueError(f"no object of the catalog of {name} has a class; omit the field")
    return n


def legus_samples(plan, *, classifier=None, progress_bar=False):
    """Fetch LEGUS fields, and cut stamps of their labeled objects.

    The stamps of each field are stored in a multi-extension FITS file, which later calls read;
    an interrupted call resumes at the first incomplete field.

    Parameters
    ----------
    plan : `LegusPlan`
        Plan returned by `plan_legus`.
    classifier : `~astroclust.weights.Classifier`, optional
        Classifier to fine-tune, which sets the bands, the size of the stamps and the classes.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    samples : list of `Sample`
        One sample per field.

    Raises
    ------
    OSError
        If a field cannot be fetched, or another process is cutting stamps in the same folder.
    ValueError
        If existing stamps were cut for another classifier.

    Examples
    --------
    Read existing stamps, here simulated ones:

    >>> from pathlib import Path
    >>> from astroclust import simulate_stamps
    >>> from astroclust.training import LegusPlan, legus_samples
    >>> Path("run/stamps").mkdir(parents=True)
    >>> stamps = simulate_stamps(8, seed=1)
    >>> stamps.table["group"] = range(8)
    >>> stamps.write("run/stamps/ngc1566.fits")
    >>> sizes = {"ngc1566": 0}
    >>> plan = LegusPlan(
    ...     ("ngc1566",), {"ngc1566": 8}, sizes, sizes, Path("run"), Path("data"), False
    ... )
    >>> (sample,) = legus_samples(plan)
    >>> sample.galaxy, sample.stamps
    ('NGC 1566', <Stamps: 8 of 50 x 50 pixels in NUV NUV, U U, B B, V V, I I>)
    """
    stamps = plan.folder / _STAMPS
    stamps.mkdir(parents=True, exist_ok=True)
    with only_process(stamps):
        for partial in stamps.glob(".*.part-*"):  # left by a killed process
            partial.unlink(missing_ok=True)
        bar = tqdm(plan.fields, unit="field", disable=not progress_bar)
        return [_field_sample(name, plan, classifier, progress_bar) for name in bar]


def _field_sample(name, plan, classifier, progress_bar):
    path = plan.folder / _STAMPS / f"{name}.fits"
    own = plan.folder / _MOSAICS
    if not path.exists():
        _cut(name, path, plan, classifier, progress_bar)
    if plan.drop_mosaics:
        shutil.rmtree(own / "legus" / name, ignore_errors=True)
    # Read even if just cut, so that a resumed run has identical stamps.
    stamps = Stamps.read(path)
    if classifier is not None:
        card = classifier.card
        if stamps.bands != card.bands or stamps.size != card.stamp_size:
            raise ValueError(
                f"{path} has stamps of {stamps.size} pixels in {', '.join(stamps.bands)}, but "
                f"{card.name} uses {card.stamp_size} in {', '.join(card.bands)}; remove this file, "
                "or choose another folder"
            )
    field = find_field(name)
    return Sample(
        stamps,
        np.asarray(stamps.table["class"], int),
        np.asarray(stamps.table["group"], int),
        description=f"stamps of {name} with the classes of {field.catalog_file}",
        scheme=None if classifier is None else classifier.card.classes,
        name=name,
        galaxy=field.galaxy,
    )


def _cut(name, path, plan, classifier, progress_bar):
    """Fetch a field, and write stamps of its labeled objects."""
    here = not plan.mosaics[name] and plan.mosaics[name] is not None
    folder = plan.data_folder if here or not plan.drop_mosaics else plan.folder / _MOSAICS
    options = {"progress_bar": progress_bar}
    catalog = fetch_legus(name, what="catalog", folder=plan.data_folder, **options).catalog
    images = fetch_legus(name, what="images", folder=folder, **options).images
    sample = labeled_sample(catalog, images, classifier=classifier, name=name, **options)
    table = Table({"class": sample.labels, "group": sample.groups})
    for column in ("id", "x", "y", "ra", "dec"):
        if column in sample.stamps.table.colnames:
            table[column] = np.ma.filled(np.ma.asarray(sample.stamps.table[column]), 0)
    stamps = sample.stamps
    Stamps(
        stamps.data,
        stamps.filters,
        bands=stamps.bands,
        system=stamps.system,
        present=stamps.present,
        flags=stamps.flags,
        table=table,
    ).write(path)
