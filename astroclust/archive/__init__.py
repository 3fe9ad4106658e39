# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Catalogues and images of LEGUS and PHANGS-HST: fetched once, from MAST."""

import errno
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from astropy.config import get_cache_dir
from astropy.table import Table
from tqdm import tqdm

from astroclust.archive.bundles import extract_bundle
from astroclust.archive.configuration import Conf, conf
from astroclust.archive.downloads import Remote, fetch_files
from astroclust.archive.manifest import Manifest
from astroclust.archive.mosaics import (
    field_address,
    first_remote,
    image_pattern,
    images_in,
    locate_images,
    size_to_fetch,
)
from astroclust.archive.portal import find_images
from astroclust.catalogs import LegusField, find_field, legus_fields, read_legus, read_phangs
from astroclust.images import ImageSet

__all__ = [
    "Conf",
    "LegusData",
    "archive_folder",
    "conf",
    "download_sizes",
    "fetch_legus",
    "fetch_phangs",
    "list_fields",
]

_PHANGS_DR5 = "phangs-cat/dr5/hlsp_phangs-cat_hst_acs-uvis_dr5-targets_v1_{}-class1+2-primary.fits"


@dataclass(frozen=True)
class LegusData:
    """A field of LEGUS as the archive has it.

    Parameters
    ----------
    name : str
        Of the field, such as ``"ngc1566"``.
    catalog : `~astropy.table.Table` or None
        Its clusters, as `~astroclust.catalogs.read_legus` reads them.
    images : `~astroclust.images.ImageSet` or None
        Its mosaics.
    meta : `~astroclust.catalogs.LegusField`
        What is known of it.
    folder : `~pathlib.Path`
        Where the files are.
    files : dict of str to `~pathlib.Path`
        Those that were asked for: ``"catalog"``, and each filter.

    Examples
    --------
    Files that are there already need no server; here they are those of a simulated field:

    >>> from pathlib import Path
    >>> from astroclust import fetch_legus, simulate_field
    >>> from astroclust.simulation import write_field
    >>> Path("archive/legus").mkdir(parents=True)
    >>> field = simulate_field(like="ngc1566", shape=(100, 100), seed=1, density=2e-3)
    >>> files = write_field(field, "archive/legus/ngc1566")
    >>> data = fetch_legus("ngc1566", folder="archive", offline=True)
    >>> data.name, data.meta.galaxy
    ('ngc1566', 'NGC 1566')
    >>> data.images["V"].filter
    'F555W'
    """

    name: str
    catalog: Table | None
    images: ImageSet | None
    meta: LegusField
    folder: Path
    files: dict


def list_fields():
    """The fields of LEGUS.

    Returns
    -------
    fields : `~astropy.table.Table`
        ``field``, ``galaxy``, ``distance`` (Mpc), ``filters`` from NUV to I ("?" where no source
        says it), ``catalog`` (whether there is one) and ``labels``: who classified the clusters in
        it (empty where that is not known).

    Examples
    --------
    >>> from astroclust.archive import list_fields
    >>> fields = list_fields()
    >>> print(fields[fields["field"] == "ngc1566"]["filters"][0])
    F275W F336W F438W F555W F814W
    """
    fields = legus_fields().values()
    return Table(
        {
            "field": [field.name for field in fields],
            "galaxy": [field.galaxy for field in fields],
            "distance": [field.distance for field in fields],
            "filters": [" ".join(name or "?" for name in field.filters) for field in fields],
            "catalog": [field.catalog is not None for field in fields],
            "labels": [field.labels or "" for field in fields],
        },
        units={"distance": "Mpc"},
    )


def fetch_legus(
    name, *, what=("catalog", "images"), folder=None, offline=False, progress_bar=False
):
    """Fetch a field of LEGUS.

    Files that are there already are not fetched again; interrupted transfers resume. Images are
    looked up in the MAST portal, then by their names on the server, then in the bundle of the
    field.

    Parameters
    ----------
    name : str
        Of the field, as `~astroclust.catalogs.find_field` takes it.
    what : str or sequence of str, optional
        ``"catalog"``, ``"images"`` or both.
    folder : str or `~pathlib.Path`, optional
        Where the files go, in a folder for each field; by default ``conf.folder``, or else the
        cache of astropy.
    offline : bool, optional
        Whether to use what is there and ask no server.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    data : `LegusData`
        With ``catalog`` and ``images``, None where not asked for.

    Raises
    ------
    KeyError
        Where LEGUS has no such field.
    FileNotFoundError
        Where the archive has no such file, or none is here and ``offline`` is true.
    OSError
        Where the server does not answer, the disk is full, or what came is not whole.
    ValueError
        For an unknown ``what``, for the catalogue of a field that has none, and for a bundle that
        is not to be trusted.

    Examples
    --------
    Without a server, what is not in the folder is an error:

    >>> from astroclust import fetch_legus
    >>> fetch_legus("NGC 1566", folder="archive", offline=True)
    Traceback (most recent call last):
        ...
    FileNotFoundError: archive/legus/ngc1566 has no whole hlsp_legus_...: fetch without the offline
    option

    What is there is read; here it is a simulated field, in files named as those of the archive:

    >>> from pathlib import Path
    >>> from astroclust import fetch_legus, simulate_field
    >>> from astroclust.simulation import write_field
    >>> Path("archive/legus").mkdir(parents=True)
    >>> field = simulate_field(like="ngc1566", shape=(100, 100), seed=1, density=2e-3)
    >>> files = write_field(field, "archive/legus/ngc1566")
    >>> data = fetch_legus("NGC 1566", folder="archive", offline=True)
    >>> data.images.filters
    ('F275W', 'F336W', 'F438W', 'F555W', 'F814W')
    >>> data.catalog.meta["FIELD"]
    'ngc1566'
    """
    field = find_field(name)
    what = (what,) if isinstance(what, str) else tuple(what)
    if not what or set(what) - {"catalog", "images"}:
        raise ValueError(f"what must be 'catalog', 'images' or both, not {what!r}")
    if "catalog" in what and field.catalog is None:
        raise ValueError(f"LEGUS has no catalogue of {field.name}: ask for what=('images',)")
    place = archive_folder(folder) / "legus" / field.name
    fetch = partial(fetch_files, folder=place, offline=offline, progress_bar=progress_bar)
    catalog, images, files = None, None, {}
    if "catalog" in what:
        with _usable(place, "catalog"):
            files["catalog"] = _fetch_catalog(field, place, fetch, offline)
            catalog = read_legus(files["catalog"])
    if "images" in what:
        with _usable(place, "images"):
            mosaics = _fetch_images(field, place, fetch, offline)
            images = ImageSet.read(mosaics)
            files |= mosaics
    return LegusData(field.name, catalog, images, field, place, files)


def download_sizes(names, *, folder=None, progress_bar=False):
    """How much of the mosaics of fields is still to be fetched.

    Parameters
    ----------
    names : sequence of str
        Names of fields.
    folder : str or `~pathlib.Path`, optional
        Folder of the files; see `fetch_legus`.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    sizes : dict of str to int or None
        Bytes by field; 0 if its mosaics are here, None if the server does not say.

    Raises
    ------
    FileNotFoundError
        If the server has no mosaics of a field.
    OSError
        If the server does not answer.

    Examples
    --------
    Nothing of no fields:

    >>> from astroclust.archive import download_sizes
    >>> download_sizes([], folder="archive")
    {}
    """
    place = archive_folder(folder) / "legus"
    fields = [find_field(name) for name in names]
    bar = tqdm(fields, unit="field", desc="asking for sizes", disable=not progress_bar)
    return {field.name: size_to_fetch(field, place / field.name) for field in bar}


def archive_folder(folder=None):
    """The folder in which fetched files are kept.

    Parameters
    ----------
    folder : str or `~pathlib.Path`, optional
        That of the user; by default ``conf.folder``, or else the cache of astropy.

    Returns
    -------
    folder : `~pathlib.Path`
        It has a folder ``legus`` with one for each field, and a folder ``phangs``.

    Examples
    --------
    >>> from astroclust.archive import archive_folder
    >>> print(archive_folder("data") / "legus" / "ngc1566")
    data/legus/ngc1566
    """
    if folder is None:
        folder = conf.folder or Path(get_cache_dir()) / "astroclust"
    return Path(folder).expanduser()


@contextmanager
def _usable(place, key):
    """Files that cannot be read count as not fetched: the server may have had them wrong."""
    try:
        yield
    except (OSError, ValueError):
        if place.is_dir():
            Manifest(place).forget(key)
        raise


def _fetch_catalog(field, place, fetch, offline):
    """The catalogue, with its readme beside it where there is one."""
    names = Manifest(place).complete_set("catalog")
    if names is None and offline:
        found = sorted(place.glob(f"hlsp_legus_hst_*_{field.name}_multiband_*.tab"))
        name = found[-1].name if found else Path(field.catalog).name
        fetch([Remote("", name)])
        names = {"catalog": name}
    if names is None:
        url = f"{conf.archive_server}/hlsps/legus/{field.catalog}"
        # Some catalogues were replaced by a second version.
        versions = [url, url.replace("_v1_", "_v2_"), url.replace("_v2_", "_v1_")]
        remote = first_remote(dict.fromkeys(versions))
        if remote is None:
            raise FileNotFoundError(f"the server has no {url}")
        fetch([remote])
        with suppress(OSError):  # the catalogue can be read without it
            readme = first_remote([remote.url.removesuffix(".tab") + ".readme"])
            fetch([readme] if readme else [])
        names = {"catalog": remote.name}
        Manifest(place).add_set("catalog", names)
    return place / names["catalog"]


def _fetch_images(field, place, fetch, offline):
    """The images, a dict of paths by filter."""
    names = Manifest(place).complete_set("images")
    if names is None and offline:
        names = images_in(place, field)
    if names is None:
        names = _fetch_single_images(field, fetch)
        names = names or _fetch_bundle(field, place, fetch)
        Manifest(place).add_set("images", names)
    return {name: place / file for name, file in names.items()}


def _fetch_single_images(field, fetch):
    """Names of the images by filter; None where one of them is in no place but the bundle."""
    for listed in (find_images(field, image_pattern(field)), {}):
        remotes = locate_images(field, listed)
        if remotes is None:
            return None
        try:
            fetch(list(remotes.values()))
        except InterruptedError:
            raise
        except OSError as error:
            # What the portal lists may be where it does not say; the plain names are left.
            if not listed or error.errno == errno.ENOSPC:
                raise
        else:
            break
    return {name: remote.name for name, remote in remotes.items()}


def _fetch_bundle(field, place, fetch):
    remote = first_remote([f"{field_address(field)}/{field.name}_drc.tar.gz"])
    if remote is None:
        raise FileNotFoundError(
            f"the server has not all images of {field.name} under the names that LEGUS gives them, "
            f"and no bundle of them at {field_address(field)}"
        )
    (bundle,) = fetch([remote])
    manifest = Manifest(place)
    manifest.add_set("bundle", {"bundle": remote.name})
    with _usable(place, "bundle"):
        for path in extract_bundle(bundle, place, image_pattern(field)):
            manifest.add_file(path.name, remote.url)
    bundle.unlink()  # its images are here now
    manifest.forget("bundle")
    return images_in(place, field)


def fetch_phangs(galaxy=None, *, labels="human", folder=None, offline=False, progress_bar=False):
    """Fetch the clusters of PHANGS-HST, data release 5 (Maschmann et al. 2024, arXiv:2403.04901).

    Parameters
    ----------
    galaxy : str, optional
        Such as ``"NGC 628C"``; by default all.
    labels : str, optional
        Who classified them: ``"human"`` or ``"machine"``.
    folder, offline, progress_bar : optional
        As in `fetch_legus`.

    Returns
    -------
    catalog : `~astropy.table.Table`
        Candidates of classes 1 and 2, as `~astroclust.catalogs.read_phangs` reads them.

    Raises
    ------
    KeyError
        Where there is no such galaxy.
    OSError
        As `fetch_legus`.
    ValueError
        For unknown ``labels``.

    Examples
    --------
    Without a server, what is in the folder is read; here it is a source in a file as the archive
    has them:

    >>> from pathlib import Path
    >>> from astropy.table import Table
    >>> from astroclust import fetch_phangs
    >>> columns = {"GALAXY": ["ngc1566"], "X": [10.0], "Y": [30.0], "RA": [65.0], "DEC": [-54.94]}
    >>> columns |= {"CLUSTER_CLASS_HUMAN": [2]}
    >>> Path("archive/phangs").mkdir(parents=True)
    >>> Table({f"PHANGS_{name}": values for name, values in columns.items()}).write(
    ...     "archive/phangs/hlsp_phangs-cat_hst_acs-uvis_dr5-targets_v1_human-class1+2-primary.fits"
    ... )
    >>> catalog = fetch_phangs("NGC 1566", folder="archive", offline=True)
    >>> print(catalog["galaxy", "x", "y", "class_human"])
     galaxy  x    y   class_human
            pix  pix
    ------- ---- ---- -----------
    ngc1566 10.0 30.0           2
    """
    if labels not in ("human", "machine"):
        raise ValueError(f"labels must be 'human' or 'machine', not {labels!r}")
    file = _PHANGS_DR5.format(labels)
    # The server takes a bare plus for a blank.
    remote = Remote(f"{conf.archive_server}/hlsps/{quote(file)}", Path(file).name)
    place = archive_folder(folder) / "phangs"
    (path,) = fetch_files([remote], place, offline=offline, progress_bar=progress_bar)
    return read_phangs(path, galaxy=galaxy)
