# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Catalogs and images of PHANGS-HST, fetched from MAST."""

import difflib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from urllib.parse import quote

import numpy as np
from astropy.table import Table, vstack
from scipy.spatial import cKDTree

from astroclust.archive.bundles import fetch_bundle
from astroclust.archive.configuration import archive_folder, conf
from astroclust.archive.downloads import fetch_files
from astroclust.archive.fetching import fetch_either, fetch_images
from astroclust.archive.manifest import Manifest
from astroclust.archive.mosaics import first_remote, phangs_mosaics
from astroclust.archive.portal import find_products
from astroclust.archive.remotes import Remote
from astroclust.catalogs import read_phangs
from astroclust.catalogs.fields import plain_name
from astroclust.images import ImageSet

__all__ = ["PHANGS_TARGETS", "PhangsData", "fetch_phangs", "find_target"]

logger = logging.getLogger(__name__)

#: The targets of PHANGS-HST (Lee et al. 2022, ApJS 258, 10): 38 galaxies, NGC 628 in two fields.
PHANGS_TARGETS = (
    "ic1954",
    "ic5332",
    "ngc0628c",
    "ngc0628e",
    "ngc0685",
    "ngc1087",
    "ngc1097",
    "ngc1300",
    "ngc1317",
    "ngc1365",
    "ngc1385",
    "ngc1433",
    "ngc1512",
    "ngc1559",
    "ngc1566",
    "ngc1672",
    "ngc1792",
    "ngc2775",
    "ngc2835",
    "ngc2903",
    "ngc3351",
    "ngc3621",
    "ngc3627",
    "ngc4254",
    "ngc4298",
    "ngc4303",
    "ngc4321",
    "ngc4535",
    "ngc4536",
    "ngc4548",
    "ngc4569",
    "ngc4571",
    "ngc4654",
    "ngc4689",
    "ngc4826",
    "ngc5068",
    "ngc5248",
    "ngc6744",
    "ngc7496",
)

_DR5 = "phangs-cat/dr5/hlsp_phangs-cat_hst_acs-uvis_dr5-targets_v1_{}-{}-primary.fits"
# Files with the sources of each class; class 4 is only in the lists of candidates.
_KINDS = {"class1+2": {1, 2}, "class3": {3}, "candidates": {4}}
_CLASS_COLUMNS = {"human": "class_human", "machine": "class_ml"}
_CANDIDATES = r"hlsp_phangs-cat_hst_[a-z-]+_{}_multi_v\d+_obs-sed-candidates\.fits"
_CAMERAS = ("uvis", "acs-uvis", "acs")
# Maximum separation of a source in two releases, in pixels.
_SAME = 0.5


@dataclass(frozen=True)
class PhangsData:
    """Catalogs and images of PHANGS-HST.

    Parameters
    ----------
    name : str or None
        Name of the target, such as ``"ngc1559"``; None for all.
    catalog : `~astropy.table.Table` or None
        Its sources; see `~astroclust.catalogs.read_phangs`.
    images : `~astroclust.images.ImageSet` or None
        Its mosaics.
    folder : `~pathlib.Path`
        Folder of the files.
    files : dict of str to `~pathlib.Path`
        The files: catalogs as ``"class1+2"``, ``"class3"`` and ``"candidates"``, images by filter.

    Examples
    --------
    >>> from pathlib import Path
    >>> from astroclust.archive import PhangsData
    >>> data = PhangsData("ngc1559", None, None, Path("phangs"), {})
    >>> data.name
    'ngc1559'
    """

    name: str | None
    catalog: Table | None
    images: ImageSet | None
    folder: Path
    files: dict[str, Path]


def find_target(name):
    """Find the archive name of a PHANGS-HST target.

    Parameters
    ----------
    name : str
        Name in any common spelling: ``"NGC 1559"``, ``"ngc628c"`` ...

    Returns
    -------
    target : str
        Name in the archive.

    Raises
    ------
    KeyError
        If PHANGS-HST has no such target; the message lists similar names.

    Examples
    --------
    >>> from astroclust.archive import find_target
    >>> find_target("NGC 628C")
    'ngc0628c'
    """
    targets = {plain_name(target): target for target in PHANGS_TARGETS}
    plain = plain_name(name)
    if plain in targets:
        return targets[plain]
    similar = [target for target in targets if re.fullmatch(re.escape(plain) + r"\D", target)]
    similar = similar or difflib.get_close_matches(plain, targets, n=4)
    hint = f": did you mean {', '.join(targets[name] for name in similar)}?" if similar else ""
    raise KeyError(
        f"PHANGS-HST has no target {name!r}{hint or '; available are ' + ', '.join(PHANGS_TARGETS)}"
    )


def fetch_phangs(
    galaxy: str | None = None,
    *,
    what: str | Sequence[str] = "catalog",
    labels: str = "human",
    classes: Sequence[int] = (1, 2),
    folder: str | Path | None = None,
    offline: bool = False,
    progress_bar: bool = False,
) -> PhangsData:
    """Fetch catalogs and images of PHANGS-HST.

    Classes 1 to 3 come from data release 5 (Maschmann et al. 2024, arXiv:2403.04901), class 4 from
    the candidates of data release 4, with the artifact codes of
    `~astroclust.catalogs.PHANGS_CODES`.

    Parameters
    ----------
    galaxy : str, optional
        Name of a target; see `find_target`. By default all; required for class 4 and images.
    what : str or sequence of str, optional
        ``"catalog"``, ``"images"`` or both.
    labels : str, optional
        Origin of the classes: ``"human"`` or ``"machine"`` (a network).
    classes : sequence of int, optional
        Classes of the sources in the catalog, 1 to 4.
    folder : str or `~pathlib.Path`, optional
        Folder of the files; see `fetch_legus`.
    offline : bool, optional
        Whether to use existing files and query no server.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    data : `PhangsData`
        Its ``catalog`` and ``images`` are None if not requested. The catalog has the columns of
        `~astroclust.catalogs.read_phangs`; values missing from one of the releases are masked.
        Candidates within half a pixel of a source in another file are dropped.

    Raises
    ------
    KeyError
        If there is no such target, or a catalog has no sources in it.
    FileNotFoundError
        If the server has no such file, or the folder has none and ``offline`` is true.
    OSError
        If the server does not answer, the disk is full, or a file is damaged.
    ValueError
        If ``what``, ``labels`` or ``classes`` are unknown, or class 4 or images are requested
        without a galaxy.

    Notes
    -----
    The names of the DR5 catalogs were verified, those of image folders and of individual
    candidate files were not: these are found if the MAST portal lists them, and the candidates
    also in the bundle of DR4.

    Examples
    --------
    Existing files are not downloaded; this one has a single source and the columns of the archive:

    >>> from pathlib import Path
    >>> from astropy.table import Table
    >>> from astroclust import fetch_phangs
    >>> columns = {"GALAXY": ["ngc1566"], "X": [10.0], "Y": [30.0], "RA": [65.0], "DEC": [-54.94]}
    >>> columns |= {"CLUSTER_CLASS_HUMAN": [2]}
    >>> Path("archive/phangs").mkdir(parents=True)
    >>> Table({f"PHANGS_{name}": values for name, values in columns.items()}).write(
    ...     "archive/phangs/hlsp_phangs-cat_hst_acs-uvis_dr5-targets_v1_human-class1+2-primary.fits"
    ... )
    >>> data = fetch_phangs("NGC 1566", folder="archive", offline=True)
    >>> print(data.catalog["galaxy", "x", "y", "class_human"])
     galaxy  x    y   class_human
            pix  pix
    ------- ---- ---- -----------
    ngc1566 10.0 30.0           2
    """
    target = None if galaxy is None else find_target(galaxy)
    what = (what,) if isinstance(what, str) else tuple(what)
    kept = (classes,) if np.isscalar(classes) else tuple(classes)
    _check(target, what, labels, kept)
    here = archive_folder(folder) / "phangs"
    options = {"offline": offline, "progress_bar": progress_bar}
    catalog, images, files = None, None, {}
    listing = target and cache(partial(find_products, phangs_mosaics(target).targets))
    if "catalog" in what:
        catalog, files = _read_catalogs(target, labels, kept, here, listing, options)
    if "images" in what:
        paths = _fetch_mosaics(target, here / target, listing, options)
        with Manifest(here / target).usable("images"):
            images = ImageSet.read(paths)
        files |= paths
    return PhangsData(target, catalog, images, here, files)


def _check(target, what, labels, classes):
    if not what or set(what) - {"catalog", "images"}:
        raise ValueError(f"what must be 'catalog', 'images' or both, not {what!r}")
    if labels not in _CLASS_COLUMNS:
        raise ValueError(f"labels must be 'human' or 'machine', not {labels!r}")
    if not classes or set(classes) - {1, 2, 3, 4}:
        raise ValueError(f"classes must be some of 1, 2, 3 and 4, not {classes!r}")
    if target is None and "images" in what:
        raise ValueError(
            "images can only be fetched for a single target; choose a galaxy, such as 'ngc1559'"
        )
    if target is None and "catalog" in what and 4 in classes:
        raise ValueError(
            "class 4 is only available for single targets; choose a galaxy or omit class 4"
        )


def _read_catalogs(target, labels, classes, folder, listing, options):
    """Sources of the requested classes, and their files."""
    files, parts = {}, []
    for kind, numbers in _KINDS.items():
        if not numbers & {*classes}:
            continue
        inside = folder / target if kind == "candidates" else folder
        fetch = partial(fetch_files, folder=inside, **options)
        key = kind if kind == "candidates" else f"{labels}-{kind}"
        with Manifest(inside).usable(key):
            if kind == "candidates":
                name = _fetch_candidates(target, inside, fetch, listing, options["offline"])
            else:
                name = _fetch_release(labels, kind, inside, fetch, options["offline"])
            files[kind] = inside / name
            part = read_phangs(files[kind], galaxy=target)
        part = _of_classes(part, _CLASS_COLUMNS[labels], numbers & {*classes}, files[kind])
        parts.append(_not_in(parts, part) if kind == "candidates" else part)
    return _join(parts), files


def _fetch_release(labels, kind, folder, fetch, offline):
    """Fetch a DR5 catalog; return its name."""
    path = _DR5.format(labels, kind)
    # The server reads an unquoted plus as a space.
    remote = Remote.of_url(f"{conf.archive_server}/hlsps/{quote(path)}")
    manifest, key = Manifest(folder), f"{labels}-{kind}"
    fetch([remote])
    if not offline and manifest.complete_set(key) is None:
        manifest.add_set(key, {kind: remote.name})
    return remote.name


def _fetch_candidates(target, folder, fetch, listing, offline):
    """Fetch the DR4 candidates of a target; return the name of the file."""
    pattern = _CANDIDATES.format(target)
    names = Manifest(folder).complete_set("candidates")
    if names is not None:
        return names["candidates"]
    if offline:
        found = sorted(p.name for p in folder.glob("*.fits") if re.fullmatch(pattern, p.name))
        name = found[-1] if found else f"hlsp_phangs-cat_..._{target}_..._obs-sed-candidates.fits"
        fetch([Remote("", name)])
        return name
    listed = [product for product in listing() if re.fullmatch(pattern, product.name)]
    remote = fetch_either(fetch, listed, partial(_named_candidates, target, folder))
    name = remote.name
    if not re.fullmatch(pattern, name):
        (name,) = fetch_bundle(remote, folder, fetch, pattern)
    Manifest(folder).add_set("candidates", {"candidates": name})
    return name


def _named_candidates(target, folder):
    """The candidate file in one of its possible folders, or the bundle that contains it."""
    root = f"{conf.archive_server}/hlsps/phangs-cat"
    single = "hlsp_phangs-cat_hst_{}_{}_multi_v1_obs-sed-candidates.fits"
    bundle = "hlsp_phangs-cat_hst_{}_{}_multi_v1_cats.tar.gz"
    urls = [
        f"{address}/{single.format(camera, target)}"
        for address in (f"{root}/dr4/{target}", f"{root}/{target}")
        for camera in _CAMERAS
    ]
    urls += [f"{root}/dr4/bundles/{bundle.format(camera, target)}" for camera in _CAMERAS]
    remote = first_remote(urls)
    if remote is None:
        folder.mkdir(parents=True, exist_ok=True)
        raise FileNotFoundError(
            f"the server has no candidates of {target} at {root}: download them from "
            f"https://archive.stsci.edu/hlsp/phangs-cat to {folder} and use the offline option"
        )
    return remote


def _of_classes(table, column, classes, path):
    if column not in table.colnames:
        raise ValueError(f"{path} has no column {column}: download it again")
    return table[np.isin(np.ma.filled(table[column], 0), [*classes])]


def _not_in(others, part):
    """Sources that are not in the later release."""
    for other in others:
        if len(other) and len(part):
            positions = [np.column_stack([table["x"], table["y"]]) for table in (other, part)]
            distance, _ = cKDTree(positions[0]).query(positions[1])
            same = distance <= _SAME
            logger.info("%d candidates are also in %s", same.sum(), other.meta["CATALOG"])
            part = part[~same]
    return part


def _join(parts):
    if len(parts) == 1:
        return parts[0]
    table = vstack(parts, metadata_conflicts="silent")
    table.meta["CATALOG"] = ", ".join(part.meta["CATALOG"] for part in parts)
    return table


def _fetch_mosaics(target, folder, listing, options):
    fetch = partial(fetch_files, folder=folder, **options)
    return fetch_images(
        phangs_mosaics(target),
        folder,
        fetch,
        listing,
        offline=options["offline"],
        bundle=_no_bundle,
    )


def _no_bundle(mosaics, folder, fetch):
    folder.mkdir(parents=True, exist_ok=True)
    raise FileNotFoundError(
        f"the server does not have all images of {mosaics.name} under their usual names: download "
        "them from https://archive.stsci.edu/hlsp/phangs-hst to "
        f"{folder} and use the offline option"
    )
