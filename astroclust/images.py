# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The bands of one field, opened once and checked once."""

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

from astroclust.files import open_fits, replace_when_done

__all__ = ["BANDS", "FILTER_ROLES", "PIXEL_SCALE", "Band", "ImageSet", "read_image"]

#: The roles that bands play, from short to long wavelengths (Wei et al. 2020, sec. 3.2).
BANDS = ("NUV", "U", "B", "V", "I")

#: The role of each filter of LEGUS and PHANGS-HST.
FILTER_ROLES = {
    "F225W": "NUV",
    "F275W": "NUV",
    "F336W": "U",
    "F435W": "B",
    "F438W": "B",
    "F547M": "V",
    "F555W": "V",
    "F606W": "V",
    "F814W": "I",
}

#: Arcseconds a pixel of the drizzled images of LEGUS and PHANGS-HST.
PIXEL_SCALE = 0.0396

# Two bands on one grid place a source in the same pixel. A fifth of a pixel is well above the
# rounding of headers and well below what would move a source from pixel to pixel.
WCS_TOLERANCE = 0.2

# What later stages need from the headers.
_KEYWORDS = ("EXPTIME", "PHOTFLAM", "PHOTPLAM", "PHOTZPT")

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
    """

    filter: str
    role: str
    data: np.ndarray = field(repr=False)
    mask: np.ndarray | None = field(default=None, repr=False)
    wcs: object = field(default=None, repr=False)
    unit: u.UnitBase | None = None
    meta: Mapping = field(default_factory=dict, repr=False)


class ImageSet(Mapping):
    """The bands of one field, on one grid of pixels.

    A mapping from filter names to `Band`; a band is found by its filter or its role, in any case.

    Parameters
    ----------
    images : mapping
        Filter names to images. An image is a `~astropy.nddata.CCDData` or
        `~astropy.nddata.NDData`; an image HDU or an HDU list; a path or URL of a FITS file, also
        compressed, with the extension in brackets where it matters (``"m83.fits[F814W]"``); a
        pair ``(array, wcs)``; or an array. The key may be a role (``"V"``) in place of a filter.
    roles : mapping, optional
        Filter names to roles, for filters that are not in `FILTER_ROLES`.

    Raises
    ------
    ValueError
        For an unknown filter or role, two bands of one role, an image that is not 2-D or not of
        numbers, or bands whose shapes or coordinates differ; the message says by how much.
    TypeError
        For an image of another kind.
    OSError
        For a file that is missing, empty, truncated or not FITS.

    Notes
    -----
    Pixels are counted from 0, and position (x, y) is pixel ``data[y, x]``.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust import ImageSet
    >>> images = ImageSet({"F555W": np.zeros((80, 100)), "F814W": np.zeros((80, 100))})
    >>> images
    <ImageSet: V F555W, I F814W; 80 x 100 pixels, no WCS>
    >>> images["V"].filter
    'F555W'
    """

    def __init__(self, images, *, roles=None):
        if not isinstance(images, Mapping):
            raise TypeError(
                "images must be a mapping from filter names to images, such as "
                f'{{"F555W": "v.fits"}}, not {type(images).__name__}'
            )
        if not images:
            raise ValueError("images is empty: give at least one band")
        roles = {_key(name): role for name, role in (roles or {}).items()}
        bands = [_open(name, image, roles) for name, image in images.items()]
        self._bands = {band.filter: band for band in sorted(bands, key=_by_role)}
        if len({band.role for band in bands}) < len(bands):
            given = ", ".join(f"{band.filter} ({band.role})" for band in bands)
            raise ValueError(f"two bands have the same role: {given}; leave one of them out")
        _check_shapes(bands)
        self._wcs = _common_wcs(bands)

    @classmethod
    def read(cls, paths, *, roles=None):
        """Read the bands of a field from FITS files.

        Parameters
        ----------
        paths : mapping, str or `~pathlib.Path`
            Filter names to files, as for `ImageSet`; or one file whose extensions are named by
            filter, as `write` makes it.
        roles : mapping, optional
            Filter names to roles, for filters that are not in `FILTER_ROLES`.

        Returns
        -------
        images : `ImageSet`
            The bands, memory-mapped where the file allows it.

        Examples
        --------
        >>> from astroclust import ImageSet, simulate_field
        >>> simulate_field(shape=(64, 64), seed=1).images.write("field.fits")
        >>> ImageSet.read("field.fits").filters
        ('F275W', 'F336W', 'F438W', 'F555W', 'F814W')
        """
        if isinstance(paths, Mapping):
            return cls(paths, roles=roles)
        known = {*FILTER_ROLES, *BANDS, *(_key(name) for name in roles or ())}
        with open_fits(paths) as hdus:
            names = [hdu.name for hdu in hdus if hdu.name in known and _is_image(hdu)]
        if not names:
            raise ValueError(
                f"{paths} has no image extension named by a filter; give a mapping such as "
                f'{{"F555W": "{paths}"}}'
            )
        return cls({name: f"{paths}[{name}]" for name in names}, roles=roles)

    def write(self, path, *, overwrite=False):
        """Write all bands to one FITS file with an extension a band, named by filter.

        Parameters
        ----------
        path : str or `~pathlib.Path`
            The file; it appears once it is whole.
        overwrite : bool, optional
            Whether the file may exist.
        """
        hdus = fits.HDUList([fits.PrimaryHDU()])
        for band in self.values():
            header = fits.Header() if band.wcs is None else band.wcs.to_header(relax=True)
            for key in _KEYWORDS:
                if key in band.meta:
                    header[key] = band.meta[key]
            header["FILTER"], header["ROLE"] = band.filter, band.role
            if band.unit is not None:
                header["BUNIT"] = band.unit.to_string()
            data = band.data
            if band.mask is not None:
                data = np.where(band.mask, np.nan, data).astype(np.float32)
            hdus.append(fits.ImageHDU(data, header, name=band.filter))
        with replace_when_done(path, overwrite=overwrite) as partial:
            hdus.writeto(partial)

    def __getitem__(self, name):
        for band in self._bands.values():
            if _key(name) in (band.filter, band.role):
                return band
        raise KeyError(f"no band {name!r}: there are {', '.join(self._bands)}")

    def __iter__(self):
        return iter(self._bands)

    def __len__(self):
        return len(self._bands)

    def __repr__(self):
        bands = ", ".join(f"{band.role} {band.filter}" for band in self._bands.values())
        ny, nx = self.shape
        wcs = "no WCS" if self._wcs is None else f'{self.pixel_scale.value:.4f}" a pixel'
        return f"<ImageSet: {bands}; {ny} x {nx} pixels, {wcs}>"

    @property
    def filters(self):
        """Names of the filters, from short to long wavelengths."""
        return tuple(self._bands)

    @property
    def roles(self):
        """Roles that have a band, from short to long wavelengths."""
        return tuple(band.role for band in self._bands.values())

    @property
    def shape(self):
        """Shape of every band, (ny, nx)."""
        return next(iter(self._bands.values())).data.shape

    @property
    def wcs(self):
        """The celestial WCS that all bands share, or None."""
        return self._wcs

    @property
    def pixel_scale(self):
        """Geometric mean of the two sides of the central pixel, in arcsec; None without a WCS."""
        if self._wcs is None:
            return None
        y, x = (np.array(self.shape) - 1) / 2
        sky = self._wcs.pixel_to_world([x, x + 1, x], [y, y, y + 1])
        sides = sky[0].separation(sky[1:])
        return np.sqrt(sides[0] * sides[1]).to(u.arcsec)


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


def _key(name):
    if not isinstance(name, str):
        raise TypeError(f"a filter is named by a string, not {name!r}")
    return name.strip().upper()


def _by_role(band):
    return BANDS.index(band.role)


def _role(name, roles):
    role = _key(roles.get(name, FILTER_ROLES.get(name, name)))
    if role in BANDS:
        return role
    if name in roles:
        raise ValueError(f"role {role!r} of {name} is not one of {', '.join(BANDS)}")
    raise ValueError(
        f"filter {name!r} has no known role: known are {', '.join(FILTER_ROLES)}; for another "
        f'filter say which band it stands for, as in roles={{"{name}": "V"}}'
    )


def _open(name, image, roles):
    name = _key(name)
    role = _role(name, roles)
    return replace(read_image(image, name=name), filter=name, role=role)


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
        for key in _KEYWORDS:
            if key not in header and key in hdus[0].header:
                header[key] = hdus[0].header[key]
    with warnings.catch_warnings():
        # Fixes of old date and unit spellings are of no use to the caller.
        warnings.simplefilter("ignore", FITSFixedWarning)
        wcs = WCS(header, fobj=hdus)
    unit = None
    if header.get("BUNIT"):
        unit = u.Unit(header["BUNIT"], parse_strict="silent")
    return Band(name, "", hdu.data, None, _celestial(wcs, name), unit, header)


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


def _is_image(hdu):
    return hdu.is_image and hdu.header.get("NAXIS", 0) >= 2


def _choose_hdu(hdus, name, extension):
    """The named extension; else the only image, the one named by the filter, or SCI."""
    if extension is not None:
        try:
            return hdus[extension]
        except (KeyError, IndexError):
            known = ", ".join(f"{i} {hdu.name}" for i, hdu in enumerate(hdus))
            raise ValueError(f"no extension {extension!r}; there are {known}") from None
    images = [hdu for hdu in hdus if _is_image(hdu)]
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


def _check_shapes(bands):
    first = bands[0]
    for band in bands[1:]:
        dy, dx = np.subtract(band.data.shape, first.data.shape)
        if dx or dy:
            raise ValueError(
                f"{band.filter} has shape {band.data.shape}, {first.filter} {first.data.shape}: "
                f"{dx:+d} pixels in x and {dy:+d} in y; bring all bands to one grid "
                "(for example with reproject)"
            )


def _common_wcs(bands):
    with_wcs = [band for band in bands if band.wcs is not None]
    if not with_wcs:
        return None
    first = with_wcs[0]
    ny, nx = first.data.shape
    x = np.array([0, nx - 1, 0, nx - 1, (nx - 1) / 2])
    y = np.array([0, 0, ny - 1, ny - 1, (ny - 1) / 2])
    sky = first.wcs.pixel_to_world(x, y)
    for band in with_wcs[1:]:
        other_x, other_y = band.wcs.world_to_pixel(sky)
        offset = np.hypot(other_x - x, other_y - y).max()
        if not offset <= WCS_TOLERANCE:
            raise ValueError(
                f"the WCS of {band.filter} is off that of {first.filter} by up to {offset:.2f} "
                f"pixels (at most {WCS_TOLERANCE} are allowed); bring all bands to one grid "
                "(for example with reproject)"
            )
    return first.wcs
