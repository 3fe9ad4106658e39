# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Labeled stamps of LEGUS and PHANGS-HST, downloaded, cut once and stored."""

import warnings
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.archive import fetch_legus, fetch_phangs, find_target
from astroclust.catalogs import find_field, legus_fields, training_sample
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES
from astroclust.stamps import Stamps, make_stamps

__all__ = [
    "center_crop",
    "field_images",
    "gather_sample",
    "join_stamps",
    "labeled_stamps",
    "phangs_labels",
    "sample_fields",
    "stamps_file",
]

# Width of stamps: the largest of Wei et al. (2020, sec. 4.3), from which others are cropped.
SIZE = 100
# Number of failed fields after which the connection is considered lost.
_TRIES = 2
_KINDS = {"bcw": ("single", "table_1"), "consensus": ("consensus", "table_2")}


def sample_fields(labels):
    """Fields of a sample of Wei et al. (2020) whose catalogs are public.

    Parameters
    ----------
    labels : str
        ``"bcw"`` (Table 1) or ``"consensus"`` (Table 2).

    Returns
    -------
    names : list of str
        Names in alphabetical order.

    Examples
    --------
    >>> from astroclust.experiments import sample_fields
    >>> sample_fields("consensus")[:3]
    ['ic4247', 'ic559', 'ngc1313-e']
    """
    if labels not in _KINDS:
        raise ValueError(f"labels must be one of {', '.join(_KINDS)}, not {labels!r}")
    who, table = _KINDS[labels]
    return sorted(
        field.name
        for field in legus_fields().values()
        if field.catalog and field.labels == who and getattr(field, table) is not None
    )


def labeled_stamps(name, *, labels, folder, data_folder=None, progress_bar=False):
    """Labeled stamps of a LEGUS or PHANGS-HST field, downloaded and cut unless they exist.

    Parameters
    ----------
    name : str
        LEGUS field or, if LEGUS has none of that name, PHANGS-HST target, such as
        ``"ngc1559"``.
    labels : str
        ``"bcw"`` or ``"consensus"``; ignored for PHANGS-HST, which has one set of human classes.
    folder : str or `~pathlib.Path`
        Folder in which the stamps are stored.
    data_folder : str or `~pathlib.Path`, optional
        Download folder of catalogs and images, see `~astroclust.archive.fetch_legus`.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        Stamps of 100 pixels, with the columns of `~astroclust.catalogs.training_sample`. At most
        one band is missing in each, as in Wei et al. (2020, sec. 3.2).

    Raises
    ------
    KeyError
        If neither survey has such a field.
    OSError
        If the field cannot be fetched.
    ValueError
        If it has no labels of that kind.

    Notes
    -----
    The classes of NGC 1559 are those of the PHANGS-CAT catalogs: 1 to 3 of data release 5, and 4
    for candidates of data release 4 with an artifact code. These are later catalogs than the one
    of Wei et al. (2020, Table 3), with other candidates and other numbers of each class.

    Examples
    --------
    Existing stamps are read; here, noise replaces the stamps of a field:

    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from astroclust import Stamps
    >>> from astroclust.experiments import labeled_stamps
    >>> from astroclust.instruments import LEGUS_BANDS
    >>> noise = np.random.default_rng(1).normal(size=(4, 5, 100, 100))
    >>> table = Table({"class": [1, 2, 3, 4]})
    >>> Stamps(noise, LEGUS_BANDS.roles, table=table).write("bcw-ngc45.fits")
    >>> stamps = labeled_stamps("ngc45", labels="bcw", folder=".")
    >>> stamps
    <Stamps: 4 of 100 x 100 pixels in NUV NUV, U U, B B, V V, I I>
    >>> stamps.table["class"].tolist()
    [1, 2, 3, 4]
    """
    target, path = _phangs_target(name), stamps_file(name, labels, folder)
    if path.exists():
        return Stamps.read(path)
    options = {"folder": data_folder, "progress_bar": progress_bar}
    if target is None:
        data = fetch_legus(name, **options)
        sample = training_sample([data.catalog], labels=labels)
    else:
        what, classes = ("catalog", "images"), LEGUS_CLASSES.numbers
        data = fetch_phangs(target, what=what, classes=classes, **options)
        sample = _phangs_sample(data.catalog, target)
    stamps = make_stamps(sample, data.images, size=SIZE, progress_bar=progress_bar)
    stamps = stamps[stamps.present.sum(axis=1) >= len(LEGUS_BANDS.roles) - 1]
    # The same band names in all fields.
    stamps = Stamps(
        stamps.data,
        LEGUS_BANDS.roles,
        present=stamps.present,
        flags=stamps.flags,
        table=stamps.table,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    stamps.write(path)
    return stamps


def field_images(name, *, data_folder=None, progress_bar=False):
    """Images of a LEGUS or PHANGS-HST field, downloaded unless they exist.

    Parameters
    ----------
    name, data_folder, progress_bar
        See `labeled_stamps`.

    Returns
    -------
    images : `~astroclust.images.ImageSet`
        The mosaics.

    Raises
    ------
    KeyError
        If neither survey has such a field.
    OSError
        If the images cannot be fetched.
    """
    options = {"what": "images", "folder": data_folder, "progress_bar": progress_bar}
    target = _phangs_target(name)
    data = fetch_legus(name, **options) if target is None else fetch_phangs(target, **options)
    return data.images


def phangs_labels(name, *, data_folder=None):
    """Human classes 1 to 3 of a PHANGS-HST target, if the catalogs are in the folder.

    Parameters
    ----------
    name : str
        The target.
    data_folder : str or `~pathlib.Path`, optional
        See `labeled_stamps`; nothing is fetched.

    Returns
    -------
    sample : `~astropy.table.Table` or None
        With the columns of `~astroclust.catalogs.training_sample`; None if there is no catalog.
    """
    try:
        data = fetch_phangs(name, classes=(1, 2, 3), folder=data_folder, offline=True)
    except (FileNotFoundError, KeyError):
        return None
    return _phangs_sample(data.catalog, data.name)


def _phangs_target(name):
    """PHANGS-HST target of a name, None for a LEGUS field."""
    try:
        find_field(name)
    except KeyError as error:
        try:
            return find_target(name)
        except KeyError:
            raise error from None  # its message lists similar names
    return None


def _phangs_sample(catalog, target):
    """Sources with human classes, in the columns of `training_sample`."""
    sample = Table({"field": [target] * len(catalog)})
    for name in ("id", "x", "y", "ra", "dec"):
        if name in catalog.colnames:
            sample[name] = catalog[name]
    sample["class"] = np.ma.filled(catalog["class_human"], 0)
    sample["class"].description = "class from visual inspection: 1 to 4"
    return sample


def stamps_file(name, labels, folder):
    """File of the stamps of a field, which exists once they are cut.

    Parameters
    ----------
    name, labels, folder
        See `labeled_stamps`.

    Returns
    -------
    path : `~pathlib.Path`
        The file.
    """
    target = _phangs_target(name)
    return Path(folder) / (f"{labels}-{name}.fits" if target is None else f"phangs-{target}.fits")


def join_stamps(parts):
    """Concatenate stamps of several fields.

    Parameters
    ----------
    parts : sequence of `~astroclust.stamps.Stamps`
        Stamps of the same size and bands.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        All stamps in order, with the common columns of the tables.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # units and meta differ from field to field
        table = vstack([part.table for part in parts], join_type="inner")
    return Stamps(
        np.concatenate([part.data for part in parts]),
        parts[0].filters,
        bands=parts[0].bands,
        present=np.concatenate([part.present for part in parts]),
        flags=np.concatenate([part.flags for part in parts]),
        table=table,
    )


def gather_sample(fetch, names, enough=None, *, kept=None):
    """Stamps of all fields in the archive.

    Parameters
    ----------
    fetch : callable
        Function that returns the stamps of a field by name, such as `labeled_stamps`.
    names : sequence of str
        Fields, in this order.
    enough : int, optional
        Number of available fields to use; by default all.
    kept : collection of str, optional
        Fields whose stamps are on disk. After two consecutive failures, only these are read,
        because there is probably no connection and each attempt takes half a minute.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        Stamps of all fields.

    Raises
    ------
    OSError
        If there are none, or the download was interrupted.

    Warns
    -----
    `~astropy.utils.exceptions.AstropyUserWarning`
        If fields cannot be fetched, or all are requested and the archive lacks some.
    """
    parts, lacking, unreachable, failed = [], {}, {}, 0
    for name in names:
        if len(parts) == enough:
            break
        if failed >= _TRIES and name not in (kept or ()):
            unreachable[name] = OSError("no connection")
            continue
        try:
            parts.append(fetch(name))
            failed = 0 if name not in (kept or ()) else failed
        except FileNotFoundError as error:
            lacking[name] = error
        except InterruptedError:
            raise
        except OSError as error:
            unreachable[name] = error
            failed += 1
    lost = {**unreachable, **lacking}
    if not parts:
        raise OSError(f"no field of the sample can be fetched: {next(iter(lost.values()))}")
    if unreachable:
        warnings.warn(
            f"{', '.join(unreachable)} cannot be fetched and are excluded from the sample "
            f"({next(iter(unreachable.values()))}); rerun later with another output folder to "
            "include them",
            AstropyUserWarning,
            stacklevel=3,
        )
    if lacking and enough is None:
        warnings.warn(
            f"{', '.join(lacking)} are not in the archive and are excluded from the sample",
            AstropyUserWarning,
            stacklevel=3,
        )
    return join_stamps(parts)


def center_crop(stamps, size):
    """Crop the center of each stamp.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps.
    size : int
        Width of the result, at most that of the stamps.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        Cropped stamps, equal to those of `~astroclust.stamps.make_stamps` to half a pixel.

    Raises
    ------
    ValueError
        If the stamps are smaller.
    """
    if not 0 < size <= stamps.size:
        raise ValueError(
            f"cannot crop stamps of {stamps.size} pixels to {size}; choose 1 to {stamps.size}"
        )
    start = stamps.size // 2 - size // 2
    middle = slice(start, start + size)
    return Stamps(
        np.ascontiguousarray(stamps.data[:, :, middle, middle]),
        stamps.filters,
        bands=stamps.bands,
        present=stamps.present,
        flags=stamps.flags,
        table=stamps.table,
    )
