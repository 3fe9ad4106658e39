# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Bands from rendered color pictures: up to three channels, resampled to a pixel grid."""

import warnings
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.wcs import WCS
from scipy import ndimage
from scipy.interpolate import RectBivariateSpline

from astroclust.extras import naming_extras
from astroclust.images.band import RENDERED, Band
from astroclust.images.coordinates import wcs_of

__all__ = ["PICTURE_FILTERS", "PICTURE_SCALE", "picture_bands"]

#: Filters shown in red, green and blue in most pictures of LEGUS fields.
PICTURE_FILTERS = ("F814W", "F555W", "F438W")
#: Default pixel scale for pictures with a WCS, in arcsec: that of LEGUS.
PICTURE_SCALE = 0.0396

# Padding that scipy applies before its spline filter if edges are repeated, in pixels.
_PAD = 12
# Rows resampled at a time, to limit the memory for coordinates.
_ROWS = 128
# Spacing of the nodes at which a WCS is evaluated, in pixels; it is interpolated in between.
_STEP = 32
# Pillow modes with 8 bits per channel.
_EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")


def picture_bands(
    path,
    filters=PICTURE_FILTERS,
    *,
    affine=None,
    wcs=None,
    shape=None,
    origin=(0, 0),
    pixel_scale=None,
    near=None,
):
    """Bands of a rendered color picture, for `ImageSet.from_picture`.

    Parameters
    ----------
    path, filters, affine, wcs, shape, origin, pixel_scale
        See `ImageSet.from_picture`.
    near : tuple, optional
        Positions in the result and a distance, all in pixels: ``(x, y, distance)``. Pixels that
        are farther than this from all positions, in x or y, stay NaN to save time.

    Returns
    -------
    bands : dict of str to `Band`
        Bands by filter, without roles, in the unit ``rendered``.
    """
    filters = _check_filters(filters)
    if (affine is None) == (wcs is None):
        given = "neither" if affine is None else "both"
        raise ValueError(
            f"a picture requires either affine= or wcs=, not {given}; pass the affine "
            "transformation from grid to picture pixels, or the WCS of the picture"
        )
    if wcs is None and pixel_scale is not None:
        raise ValueError("pixel_scale requires wcs, as an affine defines its own grid; omit it")
    picture = _read(path)
    if wcs is None:
        to_picture, full, grid_wcs = _affine_grid(picture.shape[:2], affine)
    else:
        to_picture, full, grid_wcs = _sky_grid(picture.shape[:2], wcs, pixel_scale)
    x0, y0, ny, nx = _part(full, shape, origin)
    if grid_wcs is not None:
        grid_wcs.wcs.crpix -= x0, y0
    name = Path(path).name
    channels = [k for k, one in enumerate(filters) if one]
    wanted = None if near is None else _near(*near, (ny, nx))
    planes = _resample(picture, channels, to_picture, (x0, y0), (ny, nx), wanted)
    if np.isnan(planes[0]).all():
        raise ValueError(
            f"the grid of {ny} x {nx} pixels from (x, y) = ({x0}, {y0}) lies outside {name}, "
            f"which has {picture.shape[1]} x {picture.shape[0]} pixels; check affine, origin and "
            "shape"
        )
    return {
        one: Band(one, "", plane, wcs=grid_wcs, unit=RENDERED, file=str(path))
        for one, plane in zip(filter(None, filters), planes, strict=True)
    }


def _check_filters(filters):
    """Upper-case filter names of three channels; None for a channel that is not a band."""
    filters = () if isinstance(filters, str) else tuple(filters)
    named = [one for one in filters if one is not None]
    if len(filters) != 3 or not named or not all(isinstance(one, str) for one in named):
        raise ValueError(
            "filters must name the red, green and blue channels, such as ('F814W', 'F555W', "
            f"'F438W'), with None for a channel without a band, not {filters!r}"
        )
    filters = tuple(one if one is None else one.strip().upper() for one in filters)
    twice = [one for one in named if filters.count(one.strip().upper()) > 1]
    if twice:
        raise ValueError(f"filters has {twice[0]} twice; use each filter for one channel only")
    return filters


def _read(path):
    """Pixels of a picture, uint8, shape (height, width, 3); row 0 is at the top."""
    with naming_extras():
        from PIL import Image, UnidentifiedImageError
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                if picture.mode not in _EIGHT_BIT:
                    raise ValueError(
                        f"{path} has pixels of mode {picture.mode}, not 8 bits per channel; save "
                        "it as an 8-bit RGB picture"
                    )
                return np.asarray(picture.convert("RGB"))
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist") from None
    except UnidentifiedImageError:
        raise OSError(
            f"{path} is not a picture; use a JPEG or PNG file, or ImageSet for FITS images"
        ) from None
    except Image.DecompressionBombError as error:
        raise OSError(
            f"cannot read {path}: {error}; use a cutout, or a picture with fewer pixels"
        ) from None
    except (OSError, SyntaxError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"cannot read {path}: {reason}; download it again") from error


def _affine_grid(shape, affine):
    """Function from grid to picture, range of the grid that the picture covers, and no WCS."""
    try:
        matrix = np.asarray(affine, float).reshape(2, 3)
    except (TypeError, ValueError):
        matrix = np.full((2, 3), np.nan)
    if not np.isfinite(matrix).all() or np.linalg.det(matrix[:, :2]) == 0:
        raise ValueError(
            "affine must be six numbers [[a_cx, a_cy, t_c], [a_rx, a_ry, t_r]] that can be "
            f"inverted, not {affine!r}"
        )
    (a_cx, a_cy, t_c), (a_rx, a_ry, t_r) = matrix

    def to_picture(x, y):
        return a_cx * x + a_cy * y + t_c, a_rx * x + a_ry * y + t_r

    height, width = shape
    corners = np.array([[0, width - 1, 0, width - 1], [0, 0, height - 1, height - 1]])
    corners = np.linalg.solve(matrix[:, :2], corners - matrix[:, 2:])
    # Start at the origin of the grid, so that catalog positions remain valid.
    return to_picture, (0, 0, *np.floor(corners.max(axis=1)).astype(int)), None


def _sky_grid(shape, wcs, pixel_scale):
    """Function from a north-up grid to the picture, range of the grid, and its WCS."""
    scale = u.Quantity(PICTURE_SCALE if pixel_scale is None else pixel_scale, u.arcsec)
    if not (scale.isscalar and np.isfinite(scale) and scale > 0):
        raise ValueError(f"pixel_scale must be a positive number of arcsec, not {pixel_scale!r}")
    wcs, _ = wcs_of(wcs, "picture")
    if wcs is None:
        raise ValueError("wcs has no celestial coordinates; pass that of the picture, or affine=")
    height, width = shape
    center = wcs.pixel_to_world((width - 1) / 2, (height - 1) / 2).icrs
    grid = WCS(naxis=2)
    grid.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    grid.wcs.cdelt = [-scale.to_value(u.deg), scale.to_value(u.deg)]
    grid.wcs.crval = [center.ra.deg, center.dec.deg]
    grid.wcs.crpix = [1, 1]
    along_x, along_y = np.linspace(0, width - 1, 50), np.linspace(0, height - 1, 50)
    x = np.concatenate([along_x, along_x, 0 * along_y, 0 * along_y + width - 1])
    y = np.concatenate([0 * along_x, 0 * along_x + height - 1, along_y, along_y])
    x, y = grid.world_to_pixel(wcs.pixel_to_world(x, y).icrs)
    low = np.floor([x.min(), y.min()]).astype(int)
    grid.wcs.crpix -= low
    high = np.ceil([x.max(), y.max()]).astype(int) - low
    return _interpolated(grid.deepcopy(), wcs, high), (0, 0, *high), grid


def _interpolated(grid, wcs, high):
    """Picture positions, interpolated between nodes of the grid."""
    nodes = [np.arange(-_STEP, top + 4 * _STEP, _STEP, dtype=float) for top in high]
    y, x = np.meshgrid(nodes[1], nodes[0], indexing="ij")
    lon, lat = grid.wcs_pix2world(x.ravel(), y.ravel(), 0)
    sky = SkyCoord(lon, lat, unit="deg")
    picture = [np.reshape(values, x.shape) for values in wcs.world_to_pixel(sky)]
    splines = [RectBivariateSpline(nodes[1], nodes[0], values) for values in picture]

    def to_picture(x, y):
        return [spline.ev(y, x) for spline in splines]

    return to_picture


def _part(full, shape, origin):
    """First pixel (x0, y0) and shape (ny, nx) of the requested part of a grid."""
    x0, y0 = (_whole(value, "origin", origin) for value in _pair(origin, "origin"))
    if shape is None:
        ny, nx = full[3] - y0 + 1, full[2] - x0 + 1
        if ny < 1 or nx < 1:
            raise ValueError(
                f"origin (x, y) = ({x0}, {y0}) lies beyond the picture, which ends at "
                f"({full[2]}, {full[3]}) on the grid; check origin and affine"
            )
    else:
        ny, nx = (_whole(value, "shape", shape) for value in _pair(shape, "shape"))
        if ny < 1 or nx < 1:
            raise ValueError(f"shape must be (ny, nx) of at least one pixel, not {shape!r}")
    return x0, y0, ny, nx


def _pair(values, name):
    if np.shape(values) != (2,):
        raise ValueError(f"{name} must be two whole numbers, not {values!r}")
    return values


def _whole(value, name, given):
    if value != int(value):
        raise ValueError(f"{name} must be two whole numbers, not {given!r}")
    return int(value)


def _near(x, y, distance, shape):
    """Pixels near positions, bool, shape (ny, nx)."""
    wanted = np.zeros(shape, bool)
    for one_x, one_y in zip(np.asarray(x), np.asarray(y), strict=True):
        if np.isfinite(one_x) and np.isfinite(one_y):
            rows, columns = (
                slice(max(int(one - distance), 0), max(int(one + distance) + 1, 0))
                for one in (one_y, one_x)
            )
            wanted[rows, columns] = True
    return wanted


def _resample(picture, channels, to_picture, origin, shape, wanted):
    """Channels resampled to a grid, float32; NaN outside the picture and for unwanted pixels."""
    height, width = picture.shape[:2]
    planes = []
    for channel in channels:
        padded = np.pad(picture[..., channel], _PAD, mode="edge")
        spline = ndimage.spline_filter(padded, 3, output=np.float64, mode="nearest")
        plane = np.full(shape, np.nan, np.float32)
        for start in range(0, shape[0], _ROWS):
            rows = plane[start : start + _ROWS]
            y, x = np.nonzero(
                np.ones(rows.shape, bool) if wanted is None else wanted[start:][:_ROWS]
            )
            column, row = to_picture(x + origin[0], y + (start + origin[1]))
            good = (row >= 0) & (row <= height - 1) & (column >= 0) & (column <= width - 1)
            coordinates = [row[good] + _PAD, column[good] + _PAD]
            rows[y[good], x[good]] = ndimage.map_coordinates(
                spline, coordinates, order=3, mode="nearest", prefilter=False
            )
        planes.append(plane)
    return planes
