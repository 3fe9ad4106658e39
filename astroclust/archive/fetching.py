# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Files listed in the portal or with standard names, and images of all bands."""

import errno

from astroclust.archive.manifest import Manifest
from astroclust.archive.mosaics import images_in, listed_images, locate_images

__all__ = ["fetch_either", "fetch_images"]


def fetch_either(fetch, listed, named):
    """Fetch a file listed in the portal, or else the one with the standard name.

    Parameters
    ----------
    fetch : callable
        Fetches a list of `~astroclust.archive.remotes.Remote`.
    listed : list of `~astroclust.archive.remotes.Remote`
        Versions of the file in the portal; may be empty.
    named : callable
        Returns the file with the standard name; called only if needed.

    Returns
    -------
    remote : `~astroclust.archive.remotes.Remote`
        The file that was fetched.
    """
    newest = max(listed, key=lambda product: product.name, default=None)
    if newest is not None and _fetch_listed(fetch, [newest]):
        return newest
    remote = named()
    fetch([remote])
    return remote


def _fetch_listed(fetch, remotes):
    """Fetch files if possible, as listed URLs may be wrong; return whether it succeeded."""
    try:
        fetch(remotes)
    except InterruptedError:
        raise
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        return False
    return True


def fetch_images(mosaics, folder, fetch, listing, *, offline, bundle):
    """Fetch the images of a field.

    Parameters
    ----------
    mosaics : `~astroclust.archive.mosaics.Mosaics`
        Names and addresses of the images.
    folder : `~pathlib.Path`
        Folder of the files.
    fetch : callable
        Fetches a list of `~astroclust.archive.remotes.Remote` to the folder.
    listing : callable
        Returns the products of the portal.
    offline : bool
        Whether to query no server.
    bundle : callable
        Called with ``mosaics``, ``folder`` and ``fetch`` if the server lacks an image; fetches
        all images by other means, or raises an error.

    Returns
    -------
    paths : dict of str to `~pathlib.Path`
        The files by filter.

    Raises
    ------
    FileNotFoundError
        If the folder or the server lacks images.
    OSError
        See `~astroclust.archive.downloads.fetch_files`.
    """
    names = Manifest(folder).complete_set("images")
    if names is None and offline:
        names = images_in(folder, mosaics)
    if names is None:
        names = _fetch_single(mosaics, fetch, listing) or bundle(mosaics, folder, fetch)
        Manifest(folder).add_set("images", names)
    return {name: folder / file for name, file in names.items()}


def _fetch_single(mosaics, fetch, listing):
    """Names of the images by filter; None if the server lacks one of them."""
    listed = listed_images(mosaics, listing())
    located = locate_images(mosaics, listed)
    if listed and located and not _fetch_listed(fetch, list(located.values())):
        listed, located = {}, locate_images(mosaics, {})
    if located is None:
        return None
    fetch(list(located.values()))  # existing files are not fetched again
    return {name: remote.name for name, remote in located.items()}
