# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Conversion of all accepted image types to `Band`."""

import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.nddata import NDData, UnknownUncertainty, VarianceUncertainty
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.files import open_fits
from astroclust.fits_structure import drop_unreadable_cards
from astroclust.images.band import Band
from astroclust.images.compression import dithered_zeros
from astroclust.images.coordinates import wcs_of, wcs_of_header
from astroclust.images.headers import inspect_band
from astroclust.images.units import parse_unit
from astroclust.instruments import header_number, is_filter_name

__all__ = [
    "KEYWORDS",
    "choose_hdu",
    "is_image",
    "open_image",
    "read_image",
    "split_extension",
    "tell_remarks",
]

# Header keywords that later stages need.
KEYWORDS = (
    *("TELESCOP", "INSTRUME", "DETECTOR", "EXPTIME", "TEXPTIME"),
    *("PHOTMODE", "PHOTFLAM", "PHOTPLAM", "PHOTZPT", "PIXAR_SR"),
)
# Also read from the primary header, to be compared with the given filter.
_PRIMARY_KEYWORDS = (
    *KEYWORDS,
    *("BUNIT", "D001OUUN", "FILTER", "FILTER1", "FILTER2", "FILTNAM1", "FILTNAM2", "PUPIL"),
)
# Powers that convert uncertainties of `~astropy.nddata.CCDData` to variances.
_POWERS = {"StdDevUncertainty": 2, "VarianceUncertainty": 1, "InverseVariance": -1}
_EXTENSION = re.compile(r"^(?P<path>.+)\[(?P<extension>[^\[\]]+)\]$")


def read_image(image, *, name="image"):
    """Read an image of any type that `ImageSet` accepts, without its filter.

    Parameters
    ----------
    image : `Band`, `~astropy.nddata.NDData`, HDU, str, `~pathlib.Path`, tuple or array
        The image.
    name : str, optional
        Name in messages, and filter of the result.

    Returns
    -------
    band : `Band`
        The image, with an empty ``role``, in the unit of its header.

    Examples
    --------
    >>> import numpy as np
    >>> from astroclust.images import read_image
    >>> read_image(np.zeros((20, 30))).data.shape
    (20, 30)
    """
    return tell_remarks([open_image(image, name=name)])[0]


def open_image(image, *, name):
    """Read an image like `read_image`, but leave reporting its remarks to the caller."""
    if isinstance(image, Band):
        return image
    return inspect_band(_check_image(_parse(name, image)))


def tell_remarks(bands):
    """Report the remarks of bands in one warning, and return the bands without them."""
    told = {}
    for band in bands:
        for remark in band.remarks:
            told.setdefault(remark, []).append(band.label)
    if told:
        text = "; ".join(f"{', '.join(labels)}: {remark}" for remark, labels in told.items())
        warnings.warn(text, AstropyUserWarning, stacklevel=3)
    return [replace(band, remarks=()) if band.remarks else band for band in bands]


def _parse(name, image):
    """Convert any accepted image type to a `Band` without a role."""
    if isinstance(image, NDData):
        return _from_nddata(name, image)
    if isinstance(image, (fits.PrimaryHDU, fits.ImageHDU, fits.CompImageHDU)):
        return _from_hdu(name, image)
    if isinstance(image, fits.HDUList):
        return _from_hdu(name, _chosen(image, name), image)
    if isinstance(image, (str, Path)):
        return _from_file(name, image)
    if isinstance(image, tuple) and len(image) == 2:
        return _from_array(name, *image)
    if isinstance(image, np.ndarray):
        return _from_array(name, image)
    raise TypeError(
        f"{name}: an image is a CCDData or NDData, an HDU, a path, (array, wcs) or an array, "
        f"not {type(image).__name__}"
    )


def _chosen(hdus, name):
    try:
        return choose_hdu(hdus, name, None)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _from_array(name, array, wcs=None):
    wcs, remark = wcs_of(wcs, name)
    remarks = (remark,) if remark else ()
    if isinstance(array, u.Quantity):
        return Band(name, "", array.value, None, wcs, array.unit, remarks=remarks)
    mask = np.ma.getmaskarray(array) if np.ma.is_masked(array) else None
    return Band(name, "", np.ma.asanyarray(array).data, mask, wcs, remarks=remarks)


def _from_nddata(name, image):
    wcs, remark = wcs_of(image.wcs, name)
    unit = None if image.unit == u.dimensionless_unscaled else image.unit
    unit = unit if unit is not None else _header_unit(image.meta)
    variance, note = _variance_of(image, unit, name)
    mask = image.mask
    if variance is not None and not np.isfinite(variance).all():
        # Pixels without information, such as an inverse variance of 0.
        mask = ~np.isfinite(variance) | _checked_mask(mask, np.shape(image.data), name)
    remarks = tuple(text for text in (remark, note) if text)
    meta = _plain_meta(image.meta)
    return Band(name, "", image.data, mask, wcs, unit, meta, variance=variance, remarks=remarks)


def _plain_meta(meta):
    """Metadata of an image, with the keywords that are used in upper case and as plain values."""
    known = {str(key).upper(): value for key, value in meta.items()}
    plain = {}
    for key in _PRIMARY_KEYWORDS:
        value = known.get(key)
        if isinstance(value, u.Quantity):
            value = header_number(known, key) if key in ("EXPTIME", "TEXPTIME") else value.value
        if np.ndim(value) == 0 and value is not None:
            plain[key] = value.item() if isinstance(value, np.generic | np.ndarray) else value
    return {**meta, **plain}


def _variance_of(image, unit, name):
    """Variance of an `~astropy.nddata.NDData`, and a remark if it has none."""
    uncertainty = image.uncertainty
    if uncertainty is None:
        return None, ""
    if isinstance(uncertainty, UnknownUncertainty):
        return None, (
            "its uncertainty is of unknown kind and is not used; convert it to a "
            "StdDevUncertainty, VarianceUncertainty or InverseVariance"
        )
    if np.shape(uncertainty.array) not in ((), np.shape(image.data)):
        raise ValueError(
            f"{name}: the uncertainty has shape {np.shape(uncertainty.array)}, but the image "
            f"{np.shape(image.data)}; pass one with the shape of the image"
        )
    with np.errstate(divide="ignore"):
        variance = uncertainty.represent_as(VarianceUncertainty)
    values = np.asarray(variance.array, float)
    if not np.isfinite(values).any():
        return None, "its uncertainty has no finite values and is not used"
    if uncertainty.unit is not None and variance.unit is not None and unit is not None:
        values = values * variance.unit.to(unit**2)
    return np.broadcast_to(values, np.shape(image.data)), ""


def _check_image(band):
    band = _without_empty_axes(band)
    data, name = band.data, band.label
    if getattr(data, "ndim", None) != 2:
        raise ValueError(
            f"{name}: the image must have 2 dimensions, not {np.shape(data)}; pass one plane of "
            "it, such as (array[0], wcs)"
        )
    if data.dtype.kind not in "fiu":
        raise ValueError(f"{name}: the image must contain real numbers, not {data.dtype}")
    if 0 in data.shape:
        raise ValueError(f"{name}: the image is empty, shape {data.shape}")
    if band.weight is not None and band.weight.shape != data.shape:
        remark = f"its WHT extension has shape {band.weight.shape} and is ignored"
        band = replace(band, weight=None, remarks=(*band.remarks, remark))
    mask = _checked_mask(band.mask, data.shape, name)
    return replace(band, mask=np.broadcast_to(mask, data.shape) if mask.any() else None)


def _without_empty_axes(band):
    """Reduce a cube with one plane to that plane."""
    planes = len(np.shape(band.data)) - 2
    if planes < 1 or np.shape(band.data)[:planes] != (1,) * planes:
        return band
    parts = {key: getattr(band, key) for key in ("data", "mask", "variance", "weight")}
    squeezed = {
        key: value[(0,) * (np.ndim(value) - 2)]
        for key, value in parts.items()
        if np.ndim(value) > 2 and np.shape(value)[:-2] == (1,) * (np.ndim(value) - 2)
    }
    return replace(band, **squeezed)


def _checked_mask(mask, shape, name):
    mask = np.asarray(False if mask is None else mask)
    if mask.dtype.kind not in "biuf":
        raise TypeError(f"{name}: the mask must be True for bad pixels, not {mask.dtype}")
    planes = mask.ndim - 2
    if planes > 0 and mask.shape[:planes] == (1,) * planes and len(shape) == 2:
        mask = mask[(0,) * planes]
    if mask.shape not in ((), shape):
        raise ValueError(
            f"{name}: the mask has shape {mask.shape}, but the image {shape}; pass a mask with the "
            "shape of the image"
        )
    return mask.astype(bool)


def _from_hdu(name, hdu, hdus=None, file=""):
    header = hdu.header.copy()
    if hdus is not None:  # HST files have these in the primary header, not in SCI
        # With one extension per filter, the primary header describes one filter or none.
        of_filter = is_filter_name(hdu.name)
        for key in ("TELESCOP", "INSTRUME", "DETECTOR") if of_filter else _PRIMARY_KEYWORDS:
            if key not in header and key in hdus[0].header:
                header[key] = hdus[0].header[key]
    label = f"{name} ({file})" if file else name
    try:
        wcs, remark = wcs_of_header(header, hdus)
    except ValueError as error:
        raise ValueError(f"{label}: {error}") from error
    mask = dithered_zeros(hdu) if isinstance(hdu, fits.CompImageHDU) else None
    remarks = [remark] if remark else []
    if mask is not None:
        remarks.append(
            f"{mask.mean():.0%} of its pixels look like zeros dithered by fpack and are treated "
            "as outside the exposures; compress with fpack -qz to keep zeros, or pass a mask"
        )
    masked, variance = _parts_of_ccddata(hdu, hdus)
    mask = masked if mask is None else mask if masked is None else mask | masked
    band = Band(name, "", hdu.data, mask, wcs, _header_unit(header), header, variance=variance)
    return replace(band, weight=_weight_of(hdu, hdus), file=file, remarks=tuple(remarks))


def _parts_of_ccddata(hdu, hdus):
    """Mask and variance extensions written by `~astropy.nddata.CCDData.write`."""
    parts = {}
    if hdus is not None and hdu is hdus[0]:
        beside = [one for one in hdus[1:] if is_image(one) and one.shape == hdu.shape]
        parts = {one.name: one for one in beside}
    mask = parts["MASK"].data != 0 if "MASK" in parts else None
    power = _POWERS.get(parts["UNCERT"].header.get("UTYPE")) if "UNCERT" in parts else None
    if power is None:
        return mask, None
    with np.errstate(divide="ignore"):
        variance = parts["UNCERT"].data.astype(float) ** power
    bad = ~np.isfinite(variance)
    return bad if mask is None else bad | mask, variance


def _weight_of(hdu, hdus):
    """Weight map of an image: extension WHT of the same version."""
    if is_filter_name(hdu.name):  # one of several, whose weights cannot be distinguished
        return None
    for other in hdus or ():
        if other.name == "WHT" and other is not hdu and is_image(other) and other.ver == hdu.ver:
            zeros = dithered_zeros(other) if isinstance(other, fits.CompImageHDU) else None
            return other.data if zeros is None else np.where(zeros, 0, other.data)
    return None


def _header_unit(header):
    """Unit from BUNIT, else from DrizzlePac's output units."""
    units = (parse_unit(str(header.get(key, ""))) for key in ("BUNIT", "D001OUUN"))
    return next((unit for unit in units if unit is not None), None)


def _from_file(name, path):
    path, extension = split_extension(path)
    with open_fits(path) as hdus:
        try:
            hdu = choose_hdu(hdus, name, extension)
        except ValueError as error:
            raise ValueError(f"{name}: {path}: {error}") from None
        for one in {id(one): one for one in (hdus[0], hdu)}.values():
            drop_unreadable_cards(one.header, path)
        # Memory maps remain valid after the file is closed.
        return _from_hdu(name, hdu, hdus, str(path))


def split_extension(path):
    """Split a path from the number, name or (name, version) in brackets after it; None if none."""
    match = _EXTENSION.match(str(path))
    if match is None or Path(path).exists():
        return path, None
    extension = match["extension"]
    name, _, version = extension.partition(",")
    if extension.isdigit():
        return match["path"], int(extension)
    return match["path"], (name.strip(), int(version)) if version.strip().isdigit() else extension


def is_image(hdu):
    """Whether an HDU is an image."""
    return hdu.is_image and hdu.header.get("NAXIS", 0) >= 2


def choose_hdu(hdus, name, extension):
    """The given extension; else the only image, the one named by the filter, or SCI."""
    if extension is not None:
        try:
            return hdus[extension]
        except (KeyError, IndexError):
            known = ", ".join(f"{i} {hdu.name}" for i, hdu in enumerate(hdus))
            raise ValueError(f"no extension {extension!r}; available are {known}") from None
    images = [hdu for hdu in hdus if is_image(hdu)]
    for wanted in (name, "SCI"):
        named = [hdu for hdu in images if hdu.name == wanted]
        if len(named) > 1:
            raise ValueError(
                f"it has {len(named)} images {wanted}; select one in brackets, as in [{wanted},1]"
            )
        if named:
            return named[0]
    if len(images) == 1 or (images and images[0] is hdus[0]):
        return images[0]
    if not images:
        raise ValueError("it has no image")
    known = ", ".join(hdu.name or "?" for hdu in images)
    raise ValueError(f"it has several images ({known}); select one in brackets")
