# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The one door for images: any accepted form of one image becomes a `Band`."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.wcsapi import BaseHighLevelWCS

from astroclust.files import open_fits

__all__ = ["KEYWORDS", "Band", "is_image", "read_image"]

# What later stages need from the headers.
KEYWORDS = ("INSTRUME", "DETECTOR", "EXPTIME", "PHOTFLAM", "PHOTPLAM", "PHOTZPT")
_UNIT_SPELLINGS = {
    "electrons": "electron",
    "e-": "electron",
    "counts": "count",
    "cps": "count/s",
    "dn": "adu",
    "sec": "s",
}
_EXTENSION = re.compile(r"^(?P<path>.+)\[(?P<extension>[^\[\]]+)\]$")


@dataclass(frozen=True, eq=False)
class Band:
    """One band of a field.

    Parameters
    ----------
    filter : str
        Name of the filter, such as ``"F555W"``.
    role : str
        One of `BANDS`.
    data : `~numpy.ndarray`, shape (ny, nx)
        The image as it was given: memory-mapped where it came from a plain FITS file, of any
        real number type and byte order.
    mask : `~numpy.ndarray` of bool, shape (ny, nx), or None
        True where a pixel is bad.
    wcs : WCS or None
        Celestial coordinates of the image.
    unit : `~astropy.units.Unit` or None
        Unit of ``data``, where it was given.
    meta : dict
        The FITS header, or the ``meta`` of the image.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust import ImageSet
    >>> band = ImageSet({"F555W": np.arange(12.0).reshape(3, 4)})["V"]
    >>> band
    Band(filter='F555W', role='V', unit=None)
    >>> band.pixels(np.s_[:2, 1:])
    array([[1., 2., 3.],
           [5., 6., 7.]], dtype=float32)
    """

    filter: str
    role: str
    data: np.ndarray = field(repr=False)
    mask: np.ndarray | None = field(default=None, repr=False)
    wcs: object = field(default=None, repr=False)
    unit: u.UnitBase | None = None
    meta: Mapping = field(default_factory=dict, repr=False)

    def pixels(self, part, dtype=np.float32):
        """Copy a part of the image, with NaN where a pixel is bad.

        Parameters
        ----------
        part : slices or arrays of int
            What ``data`` is indexed with.
        dtype : type, optional
            A type of floating-point numbers.

        Returns
        -------
        pixels : `~numpy.ndarray` of ``dtype``
            In native byte order; NaN where the mask is set or the value is not finite.
        """
        pixels = np.array(self.data[part], dtype)
        pixels[~np.isfinite(pixels)] = np.nan
        if self.mask is not None:
            pixels[self.mask[part]] = np.nan
        return pixels


def read_image(image, *, name="image"):
    """Open one image of any form that `ImageSet` takes, without asking for its filter.

    Parameters
    ----------
    image : `Band`, `~astropy.nddata.NDData`, HDU, str, `~pathlib.Path`, tuple or array
        The image.
    name : str, optional
        What messages call it, and the filter of the result.

    Returns
    -------
    band : `Band`
        The image, with an empty ``role``.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.images import read_image
    >>> read_image(np.zeros((20, 30))).data.shape
    (20, 30)
    """
    if isinstance(image, Band):
        return image
    return _check_image(_parse(name, image))


def _parse(name, image):
    """The one door for images: any accepted form becomes a `Band` without a role."""
    if isinstance(image, NDData):
        wcs = _celestial(image.wcs, name)
        return Band(name, "", image.data, image.mask, wcs, image.unit, image.meta)
    if isinstance(image, (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)):
        return _from_hdu(name, image)
    if isinstance(image, fits.HDUList):
        return _from_hdu(name, _choose_hdu(image, name, None), image)
    if isinstance(image, (str, Path)):
        return _from_file(name, image)
    if isinstance(image, tuple) and len(image) == 2:
        return _from_array(name, image[0], _celestial(image[1], name))
    if isinstance(image, np.ndarray):
        return _from_array(name, image)
    raise TypeError(
        f"{name}: an image is a CCDData or NDData, an HDU, a path, (array, wcs) or an array, "
        f"not {type(image).__name__}"
    )


def _from_array(name, array, wcs=None):
    if isinstance(array, u.Quantity):
        return Band(name, "", array.value, None, wcs, array.unit)
    mask = np.ma.getmaskarray(array) if np.ma.is_masked(array) else None
    return Band(name, "", np.ma.asanyarray(array).data, mask, wcs)


def _celestial(wcs, name):
    """The celestial part of a WCS, or None where it has none."""
    if isinstance(wcs, WCS):
        return wcs.celestial if wcs.has_celestial else None
    if wcs is None or isinstance(wcs, BaseHighLevelWCS):
        return wcs
    raise TypeError(
        f"{name}: coordinates must be a WCS, not {type(wcs).__name__}; make one with "
        "astropy.wcs.WCS(header)"
    )


def _check_image(band):
    data, name = band.data, band.filter
    if getattr(data, "ndim", None) != 2:
        raise ValueError(f"{name}: the image must have 2 dimensions, not {np.shape(data)}")
    if data.dtype.kind not in "fiu":
        raise ValueError(f"{name}: the image must hold real numbers, not {data.dtype}")
    if 0 in data.shape:
        raise ValueError(f"{name}: the image is empty, shape {data.shape}")
    mask = band.mask
    if mask is None:
        return band
    mask = np.asarray(mask, bool)
    if mask.shape not in ((), data.shape):
        raise ValueError(f"{name}: mask has shape {mask.shape}, the image {data.shape}")
    return replace(band, mask=np.broadcast_to(mask, data.shape) if mask.any() else None)


def _from_hdu(name, hdu, hdus=None):
    header = hdu.header.copy()
    if hdus is not None:  # HST keeps these in the primary header, beside the image in SCI
        for key in KEYWORDS:
            if key not in header and key in hdus[0].header:
                header[key] = hdus[0].header[key]
    with warnings.catch_warnings():
        # Fixes of old date and unit spellings are of no use to the caller.
        warnings.simplefilter("ignore", FITSFixedWarning)
        wcs = WCS(header, fobj=hdus)
    unit = _unit(str(header["BUNIT"])) if header.get("BUNIT") else None
    return Band(name, "", hdu.data, None, _celestial(wcs, name), unit, header)


def _unit(text):
    """A unit, also in the spellings of HST such as ELECTRONS/S; another is kept unrecognised."""
    unit = u.Unit(text, parse_strict="silent")
    if not isinstance(unit, u.UnrecognizedUnit):
        return unit
    plain = text.strip().lower()
    for spelling, name in _UNIT_SPELLINGS.items():
        plain = plain.replace(spelling, name)
    known = u.Unit(plain, parse_strict="silent")
    return unit if isinstance(known, u.UnrecognizedUnit) else known


def _from_file(name, path):
    path, extension = _split_extension(path)
    with open_fits(path) as hdus:
        try:
            hdu = _choose_hdu(hdus, name, extension)
        except ValueError as error:
            raise ValueError(f"{name}: {path}: {error}") from None
        # Inside the block the file is open; a memory map outlives it.
        return _from_hdu(name, hdu, hdus)


def _split_extension(path):
    match = _EXTENSION.match(str(path))
    if match is None or Path(path).exists():
        return path, None
    extension = match["extension"]
    name, _, version = extension.partition(",")
    if extension.isdigit():
        return match["path"], int(extension)
    return match["path"], (name.strip(), int(version)) if version.strip().isdigit() else extension


def is_image(hdu):
    """Whether an HDU holds an image."""
    return hdu.is_image and hdu.header.get("NAXIS", 0) >= 2


def _choose_hdu(hdus, name, extension):
    """The named extension; else the only image, the one named by the filter, or SCI."""
    if extension is not None:
        try:
            return hdus[extension]
        except (KeyError, IndexError):
            known = ", ".join(f"{i} {hdu.name}" for i, hdu in enumerate(hdus))
            raise ValueError(f"no extension {extension!r}; there are {known}") from None
    images = [hdu for hdu in hdus if is_image(hdu)]
    for wanted in (name, "SCI"):
        named = [hdu for hdu in images if hdu.name == wanted]
        if len(named) > 1:
            raise ValueError(
                f"it holds {len(named)} images {wanted}: add one in brackets, as [{wanted},1]"
            )
        if named:
            return named[0]
    if len(images) == 1 or (images and images[0] is hdus[0]):
        return images[0]
    if not images:
        raise ValueError("it holds no image")
    known = ", ".join(hdu.name or "?" for hdu in images)
    raise ValueError(f"it holds several images ({known}): add one of them in brackets")
