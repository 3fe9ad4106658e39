# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Mosaics of LEGUS fields: their names, and where they are."""

import re

from astroclust.archive.configuration import conf
from astroclust.archive.downloads import Remote, length_of
from astroclust.archive.manifest import Manifest
from astroclust.archive.portal import find_images
from astroclust.instruments import LEGUS_BANDS

__all__ = [
    "field_address",
    "first_remote",
    "image_pattern",
    "images_in",
    "locate_images",
    "size_to_fetch",
]

# Filters and cameras that LEGUS used in each band, the likeliest first; for fields of which no
# source says them.
_CHOICES = {
    "NUV": (("F275W", "uvis"),),
    "U": (("F336W", "uvis"),),
    "B": (("F438W", "uvis"), ("F435W", "acs")),
    "V": (("F555W", "uvis"), ("F555W", "acs"), ("F606W", "acs")),
    "I": (("F814W", "uvis"), ("F814W", "acs")),
}


def first_remote(urls):
    """The first of some files that the server has, None where it has none of them."""
    for url in urls:
        try:
            return Remote(url, url.rpartition("/")[2], length_of(url))
        except FileNotFoundError:
            continue
    return None


def image_pattern(field):
    """Pattern of the names of a field's images; the filter is its second group."""
    filters = {name for choices in _CHOICES.values() for name, _ in choices}
    names = "|".join(map(re.escape, {field.name, field.image_name}))
    filters = "|".join(sorted(filters)).lower()
    return rf"hlsp_legus_hst_[a-z0-9-]+_({names})_({filters})_v\d+_(?:drc|sci)\.fits"


def images_in(place, field):
    """The names of the images in a folder by filter."""
    matches = [re.fullmatch(image_pattern(field), path.name) for path in sorted(place.glob("*"))]
    names = {match[2].upper(): match[0] for match in matches if match}
    if len(names) < len(LEGUS_BANDS.roles):
        have = ", ".join(names) or "none"
        raise FileNotFoundError(
            f"{place} has not all images of the field (it has {have}): fetch without the offline "
            "option"
        )
    return names


def locate_images(field, listed):
    """Paths of the images by filter; None for one that only the bundle holds."""
    located = {}
    for role, filter_, camera in zip(LEGUS_BANDS.roles, field.filters, field.cameras, strict=True):
        choices = _CHOICES[role] if filter_ is None else _cameras(filter_, camera)
        remote = next((listed[name] for name, _ in choices if name in listed), None)
        remote = remote or first_remote([_image_url(field, *choice) for choice in choices])
        if remote is None:
            return None
        located[re.fullmatch(image_pattern(field), remote.name)[2].upper()] = remote
    return located


def _cameras(filter_, camera):
    """A filter with the camera that is known and, since sources err, the other."""
    return [(filter_, camera), (filter_, "acs" if camera == "uvis" else "uvis")]


def field_address(field):
    """Folder of a field on the server."""
    return f"{conf.archive_server}/hlsps/legus/" + (
        field.catalog.partition("/cluster_catalogs")[0] if field.catalog else field.name
    )


def _image_url(field, filter_, camera):
    return f"{field_address(field)}/{field.image_file(filter_, camera)}"


def size_to_fetch(field, folder):
    """How many bytes of mosaics the server would send.

    Parameters
    ----------
    field : `~astroclust.catalogs.LegusField`
        The field.
    folder : `~pathlib.Path`
        Folder of the field.

    Returns
    -------
    size : int or None
        0 if all mosaics are in the folder; None if the server does not say.

    Raises
    ------
    FileNotFoundError
        If the server has no mosaics of the field.
    """
    if Manifest(folder).complete_set("images") is not None:
        return 0
    located = locate_images(field, find_images(field, image_pattern(field)))
    if located is not None:
        remotes = list(located.values())
    else:
        bundle = first_remote([f"{field_address(field)}/{field.name}_drc.tar.gz"])
        if bundle is None:
            raise FileNotFoundError(f"the server has no mosaics of {field.name}")
        # Its images are extracted beside it, and hardly compress.
        remotes = [bundle, bundle]
    sizes = [0 if _is_here(remote, folder) else remote.size for remote in remotes]
    return None if None in sizes else sum(sizes)


def _is_here(remote, folder):
    path = folder / remote.name
    return remote.size is not None and path.is_file() and path.stat().st_size == remote.size
