# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Download catalogs and images of LEGUS and PHANGS-HST from MAST."""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from astropy.table import Table
from tqdm import tqdm

from astroclust.archive.bundles import fetch_bundle
from astroclust.archive.configuration import Conf, archive_folder, conf
from astroclust.archive.downloads import fetch_files
from astroclust.archive.fetching import fetch_either, fetch_images
from astroclust.archive.manifest import Manifest
from astroclust.archive.mosaics import (
    field_address,
    first_remote,
    images_in,
    legus_mosaics,
    size_to_fetch,
)
from astroclust.archive.phangs import PHANGS_TARGETS, PhangsData, fetch_phangs, find_target
from astroclust.archive.portal import find_products
from astroclust.archive.remotes import Remote
from astroclust.catalogs import LegusField, find_field, legus_fields, read_legus
from astroclust.images import ImageSet

__all__ = [
    "PHANGS_TARGETS",
    "Conf",
    "LegusData",
    "PhangsData",
    "archive_folder",
    "conf",
    "download_sizes",
    "fetch_legus",
    "fetch_phangs",
    "find_target",
    "list_fields",
]


@dataclass(frozen=True)
class LegusData:
    """Archive data of a LEGUS field.

    Parameters
    ----------
    name : str
        Name of the field, such as ``"ngc1566"``.
    catalog : `~astropy.table.Table` or None
        Its cluster catalog; see `~astroclust.catalogs.read_legus`.
    images : `~astroclust.images.ImageSet` or None
        Its mosaics.
    meta : `~astroclust.catalogs.LegusField`
        Its properties.
    folder : `~pathlib.Path`
        Folder of the files.
    files : dict of str to `~pathlib.Path`
        Requested files: ``"catalog"``, and images by filter.

    Examples
    --------
    Existing files are not downloaded; here they are from a simulated field:

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
    files: dict[str, Path]


def list_fields():
    """List the LEGUS fields.

    Returns
    -------
    fields : `~astropy.table.Table`
        ``field``, ``galaxy``, ``distance`` (Mpc), ``filters`` from NUV to I ("?" if unknown),
        ``catalog`` (whether there is one) and ``labels``, the origin of its classes (empty if
        unknown).

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
    name: str,
    *,
    what: str | Sequence[str] = ("catalog", "images"),
    folder: str | Path | None = None,
    offline: bool = False,
    progress_bar: bool = False,
) -> LegusData:
    """Fetch the catalog and images of a LEGUS field.

    Existing files are not fetched again; interrupted downloads resume. Images are searched in the
    MAST portal, then by file name on the server, then in the bundle of the field.

    Parameters
    ----------
    name : str
        Name of the field; see `~astroclust.catalogs.find_field`.
    what : str or sequence of str, optional
        ``"catalog"``, ``"images"`` or both.
    folder : str or `~pathlib.Path`, optional
        Folder with one subfolder per field; by default ``conf.folder``, or else astropy's cache.
    offline : bool, optional
        Whether to use existing files and query no server.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    data : `LegusData`
        Its ``catalog`` and ``images`` are None if not requested.

    Raises
    ------
    KeyError
        If LEGUS has no such field.
    FileNotFoundError
        If the archive has no such file, or the folder has none and ``offline`` is true.
    OSError
        If the server does not answer, the disk is full, or a download is incomplete.
    ValueError
        If ``what`` is unknown, the field has no catalog, or a bundle is unsafe.

    Examples
    --------
    Offline, missing files are an error:

    >>> from astroclust import fetch_legus
    >>> fetch_legus("NGC 1566", folder="archive", offline=True)
    Traceback (most recent call last):
        ...
    FileNotFoundError: archive/legus/ngc1566 has no complete hlsp_legus_...; fetch without the
    offline option

    Existing files are read; here they are from a simulated field, named as in the archive:

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
    field = _find_field(name)
    what = (what,) if isinstance(what, str) else tuple(what)
    if not what or set(what) - {"catalog", "images"}:
        raise ValueError(f"what must be 'catalog', 'images' or both, not {what!r}")
    if "catalog" in what and field.catalog is None:
        raise ValueError(f"LEGUS has no catalog of {field.name}; use what=('images',)")
    here = archive_folder(folder) / "legus" / field.name
    fetch = partial(fetch_files, folder=here, offline=offline, progress_bar=progress_bar)
    mosaics = legus_mosaics(field)
    listing = cache(partial(find_products, mosaics.targets))
    catalog, images, files = None, None, {}
    if "catalog" in what:
        with Manifest(here).usable("catalog"):
            files["catalog"] = _fetch_catalog(field, here, fetch, listing, offline)
            catalog = read_legus(files["catalog"])
    if "images" in what:
        with Manifest(here).usable("images"):
            paths = fetch_images(
                mosaics, here, fetch, listing, offline=offline, bundle=partial(_fetch_bundle, field)
            )
            images = ImageSet.read(paths)
            files |= paths
    return LegusData(field.name, catalog, images, field, here, files)


def _find_field(name):
    try:
        return find_field(name)
    except KeyError as error:
        try:
            target = find_target(name)
        except KeyError:
            raise error from None
        message = f"LEGUS has no field {name!r}, but PHANGS-HST does; use fetch_phangs({target!r})"
        raise KeyError(f"{message} or astroclust fetch phangs-{target}") from None


def download_sizes(names, *, folder=None, progress_bar=False):
    """Remaining download size of the mosaics of LEGUS fields.

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
        Bytes by field; 0 if its mosaics are in the folder, None if the server does not report
        their size.

    Raises
    ------
    FileNotFoundError
        If the server has no mosaics of a field.
    OSError
        If the server does not answer.

    Examples
    --------
    Without fields, no server is queried:

    >>> from astroclust.archive import download_sizes
    >>> download_sizes([], folder="archive")
    {}
    """
    legus = archive_folder(folder) / "legus"
    fields = [find_field(name) for name in names]
    bar = tqdm(fields, unit="field", desc="querying sizes", disable=not progress_bar)
    return {field.name: size_to_fetch(field, legus / field.name) for field in bar}


def _fetch_catalog(field, folder, fetch, listing, offline):
    """Fetch the catalog, and its readme if there is one."""
    names = Manifest(folder).complete_set("catalog")
    if names is None and offline:
        found = sorted(folder.glob(f"hlsp_legus_hst_*_{field.name}_multiband_*.tab"))
        name = found[-1].name if found else Path(field.catalog).name
        fetch([Remote("", name)])
        names = {"catalog": name}
    if names is None:
        pattern = re.sub(r"_v\d+_", r"_v\\d+_", re.escape(Path(field.catalog).name))
        listed = [product for product in listing() if re.fullmatch(pattern, product.name)]
        remote = fetch_either(fetch, listed, partial(_named_catalog, field))
        with suppress(OSError):  # the catalog can be read without it
            readme = first_remote([remote.url.removesuffix(".tab") + ".readme"])
            fetch([readme] if readme else [])
        names = {"catalog": remote.name}
        Manifest(folder).add_set("catalog", names)
    return folder / names["catalog"]


def _named_catalog(field):
    url = f"{conf.archive_server}/hlsps/legus/{field.catalog}"
    # Some catalogs were replaced by a second version.
    versions = [url, url.replace("_v1_", "_v2_"), url.replace("_v2_", "_v1_")]
    remote = first_remote(dict.fromkeys(versions))
    if remote is None:
        raise FileNotFoundError(f"the server has no {url}")
    return remote


def _fetch_bundle(field, mosaics, folder, fetch):
    """Fetch the bundle of a field; return the names of the images by filter."""
    remote = first_remote([f"{field_address(field)}/{field.name}_drc.tar.gz"])
    if remote is None:
        raise FileNotFoundError(
            f"the server does not have all images of {field.name} under their LEGUS names, nor a "
            f"bundle of them at {field_address(field)}"
        )
    fetch_bundle(remote, folder, fetch, mosaics.pattern)
    return images_in(folder, mosaics)
