# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""File names and addresses of LEGUS and PHANGS-HST mosaics."""

import re
from dataclasses import dataclass

from astroclust.archive.configuration import conf
from astroclust.archive.downloads import length_of
from astroclust.archive.manifest import Manifest
from astroclust.archive.portal import find_products
from astroclust.archive.remotes import Remote
from astroclust.instruments import LEGUS_BANDS

__all__ = [
    "Mosaics",
    "field_address",
    "first_remote",
    "images_in",
    "legus_mosaics",
    "listed_images",
    "locate_images",
    "phangs_mosaics",
    "size_to_fetch",
]

# Filters and cameras of both surveys in each band, the most likely first; for fields whose filters
# are unknown.
_CHOICES = {
    "NUV": (("F275W", "uvis"),),
    "U": (("F336W", "uvis"),),
    "B": (("F438W", "uvis"), ("F435W", "acs")),
    "V": (("F555W", "uvis"), ("F555W", "acs"), ("F606W", "acs")),
    "I": (("F814W", "uvis"), ("F814W", "acs")),
}
_FILTERS = "|".join(sorted({name.lower() for choices in _CHOICES.values() for name, _ in choices}))


@dataclass(frozen=True)
class Mosaics:
    """Names and addresses of the mosaics of a field.

    Parameters
    ----------
    name : str
        Name of the field.
    targets : tuple of str
        Names of the field in the archive.
    pattern : str
        Regular expression of the names of its images; the filter is the only group.
    urls : dict of str to list of str
        Possible URLs of the image by role, the most likely first.
    """

    name: str
    targets: tuple
    pattern: str
    urls: dict

    def filter_of(self, name):
        """Filter of an image from its file name; None if it is not an image of the field."""
        match = re.fullmatch(self.pattern, name)
        return match and match[1].upper()


def legus_mosaics(field):
    """Mosaics of a LEGUS field.

    Parameters
    ----------
    field : `~astroclust.catalogs.LegusField`
        The field.

    Returns
    -------
    mosaics : `Mosaics`
        Their names and addresses.
    """
    targets = tuple(dict.fromkeys((field.name, field.image_name)))
    urls = {}
    for role, filter_, camera in zip(LEGUS_BANDS.roles, field.filters, field.cameras, strict=True):
        choices = _CHOICES[role] if filter_ is None else _cameras(filter_, camera)
        urls[role] = [f"{field_address(field)}/{field.image_file(*choice)}" for choice in choices]
    pattern = rf"hlsp_legus_hst_[a-z0-9-]+_(?:{_either(targets)})_({_FILTERS})_v\d+_(?:drc|sci)"
    return Mosaics(field.name, targets, rf"{pattern}\.fits", urls)


def phangs_mosaics(target):
    """Mosaics of a PHANGS-HST target.

    Parameters
    ----------
    target : str
        Name of the target, such as ``"ngc0628c"``.

    Returns
    -------
    mosaics : `Mosaics`
        Their names and addresses. The folder in the archive was not verified.
    """
    # Some file names omit leading zeros of the number, or append "mosaic".
    spellings = dict.fromkeys((target, re.sub(r"(?<=[a-z])0+", "", target)))
    targets = tuple(f"{name}{end}" for name in spellings for end in ("", "mosaic"))
    cameras = {"uvis": "wfc3-uvis", "acs": "acs-wfc"}
    root = f"{conf.archive_server}/hlsps/phangs-hst"
    urls = {
        role: [
            f"{root}/{name}/hlsp_phangs-hst_hst_{cameras[camera]}_{name}_{filter_.lower()}"
            "_v1_exp-drc-sci.fits"
            for name in targets
            for filter_, camera in choices
        ]
        for role, choices in _CHOICES.items()
    }
    pattern = rf"hlsp_phangs-hst_hst_[a-z0-9-]+_(?:{_either(targets)})_({_FILTERS})_v\d+"
    return Mosaics(target, targets, rf"{pattern}_exp-drc-sci\.fits", urls)


def _either(names):
    return "|".join(map(re.escape, names))


def _cameras(filter_, camera):
    """A filter with its listed camera and, in case the list is wrong, with the other."""
    return [(filter_, camera), (filter_, "acs" if camera == "uvis" else "uvis")]


def field_address(field):
    """URL of the folder of a field."""
    return f"{conf.archive_server}/hlsps/legus/" + (
        field.catalog.partition("/cluster_catalogs")[0] if field.catalog else field.name
    )


def first_remote(urls):
    """The first file that the server has; None if it has none of them."""
    for url in urls:
        try:
            return Remote.of_url(url, length_of(url))
        except FileNotFoundError:
            continue
    return None


def images_in(folder, mosaics):
    """Names of the images in a folder, by filter."""
    names = sorted(path.name for path in folder.glob("*"))
    names = {mosaics.filter_of(name): name for name in names if mosaics.filter_of(name)}
    if len(names) < len(LEGUS_BANDS.roles):
        have = ", ".join(names) or "none"
        raise FileNotFoundError(
            f"{folder} does not have all images of the field (it has {have}); add the missing "
            "ones, or fetch without the offline option"
        )
    return names


def listed_images(mosaics, products):
    """Images among the products of the portal, by filter."""
    images = {mosaics.filter_of(product.name): product for product in products}
    return {name: product for name, product in images.items() if name}


def locate_images(mosaics, listed):
    """Images of all bands by filter; None if one is neither listed nor has a standard name."""
    located = {}
    for urls in mosaics.urls.values():
        filters = [mosaics.filter_of(url.rpartition("/")[2]) for url in urls]
        remote = next((listed[name] for name in filters if name in listed), None)
        remote = remote or first_remote(urls)
        if remote is None:
            return None
        located[mosaics.filter_of(remote.name)] = remote
    return located


def size_to_fetch(field, folder):
    """Remaining download size of the mosaics of a field.

    Parameters
    ----------
    field : `~astroclust.catalogs.LegusField`
        The field.
    folder : `~pathlib.Path`
        Folder of the field.

    Returns
    -------
    size : int or None
        In bytes; 0 if all mosaics are in the folder, None if the server does not report it.

    Raises
    ------
    FileNotFoundError
        If the server has no mosaics of the field.
    """
    if Manifest(folder).complete_set("images") is not None:
        return 0
    mosaics = legus_mosaics(field)
    located = locate_images(mosaics, listed_images(mosaics, find_products(mosaics.targets)))
    if located is not None:
        remotes = list(located.values())
    else:
        bundle = first_remote([f"{field_address(field)}/{field.name}_drc.tar.gz"])
        if bundle is None:
            raise FileNotFoundError(f"the server has no mosaics of {field.name}")
        # The extracted images need as much space as the bundle, as they hardly compress.
        remotes = [bundle, bundle]
    sizes = [0 if _is_here(remote, folder) else remote.size for remote in remotes]
    return None if None in sizes else sum(sizes)


def _is_here(remote, folder):
    path = folder / remote.name
    return remote.size is not None and path.is_file() and path.stat().st_size == remote.size
