# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Filters of image files, from extension names or header keywords."""

import warnings

from astropy.utils.exceptions import AstropyUserWarning

from astroclust.files import open_fits
from astroclust.images.reading import choose_hdu, is_image, split_extension
from astroclust.instruments import BandSystem, filters_of_header, find_band_system

__all__ = ["name_by_filter"]


def name_by_filter(paths, *, roles=None, system=None):
    """Find the filters of the images in FITS files.

    Parameters
    ----------
    paths : sequence of str or `~pathlib.Path`
        FITS files, optionally with the extension in brackets. If extensions are named by filters
        or roles, all of them are used.
    roles : mapping, optional
        Filter names to roles, for filters that ``system`` does not have.
    system : str or `~astroclust.instruments.BandSystem`, optional
        Band system; by default that of a file written by `~astroclust.ImageSet.write`.

    Returns
    -------
    images : dict of str to str
        Filter names to paths, with extensions in brackets.
    system : `~astroclust.instruments.BandSystem`
        The band system.

    Raises
    ------
    ValueError
        If a file has no image, its header does not name exactly one filter, or two images have the
        same filter.
    OSError
        If a file cannot be read.

    Warns
    -----
    AstropyUserWarning
        Once, if files without an image, such as tables, are skipped.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.images.naming import name_by_filter
    >>> simulate_field(like="ngc1566", shape=(64, 64), seed=1).images.write("field.fits")
    >>> name_by_filter(["field.fits"])[0]["F555W"]
    'field.fits[F555W]'
    """
    images, tables = {}, []
    for path in paths:
        with open_fits(split_extension(path)[0]) as hdus:
            if not any(map(is_image, hdus)):
                tables.append(str(path))
                continue
            if system is None and "BANDSYS" in hdus[0].header:
                system = BandSystem.of_header(hdus[0].header)
            found = _images_in(path, hdus, find_band_system(system or "legus"), roles or {})
        for name, image in found.items():
            if name in images:
                raise ValueError(
                    f"{images[name]} and {image} are both {name} images; omit one of them, such "
                    "as a weight map"
                )
            images[name] = image
    if tables and not images:
        raise ValueError(f"no image in {', '.join(tables)}; add the image of at least one band")
    if tables:
        warnings.warn(
            f"skipped {', '.join(tables)}, which have no image", AstropyUserWarning, stacklevel=3
        )
    return images, find_band_system(system or "legus")


def _images_in(path, hdus, system, roles):
    """Images of one file by filter."""
    if split_extension(path)[1] is None:
        known = {*system.filters, *system.roles, *(str(name).strip().upper() for name in roles)}
        names = [hdu.name for hdu in hdus if hdu.name in known and is_image(hdu)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(
                f"{path} has several extensions {', '.join(twice)}; select one in a mapping such "
                f'as {{"{twice[0]}": "{path}[{twice[0]},1]"}}'
            )
        if names:
            return {name: f"{path}[{name}]" for name in names}
    try:
        hdu = choose_hdu(hdus, "", split_extension(path)[1])
    except ValueError as error:
        raise ValueError(f"{path}: {error}; omit the file if it is not a band") from None
    return {_filter_in(path, hdu.header, hdus[0].header): str(path)}


def _filter_in(path, *headers):
    """The filter in the first header that names any; several in it are an error."""
    for header in headers:
        named = filters_of_header(header)
        filters = sorted({name for names in named.values() for name in names})
        if len(filters) == 1:
            return filters[0]
        if filters:
            words = ", ".join(f"{key} {' '.join(names)}" for key, names in named.items())
            raise ValueError(
                f"the header of {path} names several filters ({words}); specify its filter, "
                f"{_remedy(path, filters[0])}"
            )
    raise ValueError(
        f"{path} has no image extension named by a filter, and its header names none (FILTER, "
        f"FILTER1, FILTER2, ...); specify its filter, {_remedy(path, 'F555W')}"
    )


def _remedy(path, name):
    return f'in a mapping such as {{"{name}": "{path}"}}, or as --image {name}={path}'
