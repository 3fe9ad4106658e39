# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Pictures for a page: stamps, sheets of stamps, and tiles of the field."""

import io
from collections import OrderedDict
from threading import Lock

import numpy as np
from astropy.nddata import overlap_slices
from astropy.table import Table
from astropy.visualization import AsinhStretch
from PIL import Image

from astroclust.plotting import color_image, color_levels
from astroclust.stamps import make_stamps

__all__ = ["COLOR", "SHEET_COLUMNS", "TILE", "Pictures", "context_size"]

#: Name of the color picture; others are named by their band.
COLOR = "color"
#: Number of stamps per line of a sheet.
SHEET_COLUMNS = 8
#: Width of a tile of the field in pixels.
TILE = 256

# Width of the surroundings of an object in units of that of its stamp.
_CONTEXT = 4

# Number of cached pictures: about 75 MB for 50 pixels in color.
_KEPT = 10_000
_GRAY_LIMITS = (20.0, 99.8)
_FIELD_LIMITS = (30.0, 99.4)
# Pixels along a side from which the levels of a field are computed.
_SAMPLE = 1000


def context_size(size):
    """Width in pixels of the surroundings, with a whole number of pixels around the stamp."""
    return _CONTEXT * size + size % 2


class Pictures:
    """Pictures of the rows of a table and of their field, made on request.

    In all of them, y increases upward.

    Parameters
    ----------
    objects : `~astroclust.review.objects.Objects`
        The rows and their images.
    size : int, optional
        Width of a stamp in pixels.
    """

    def __init__(self, objects, *, size=50):
        self.objects, self.size = objects, size
        self.names = (COLOR, *objects.images.roles)
        self._kept, self._lock = OrderedDict(), Lock()
        self._levels, self._levels_lock = None, Lock()

    def stamps(self, rows, *, size=None):
        """Stamps of some rows in the available bands.

        Parameters
        ----------
        rows : sequence of int
            Rows of the table.
        size : int, optional
            Width in pixels; by default that of the stamps of the page.

        Returns
        -------
        stamps : `~astroclust.stamps.Stamps`
            One stamp per row.
        """
        positions = Table({"x": self.objects.x[rows], "y": self.objects.y[rows]})
        images = self.objects.images
        return make_stamps(positions, images, size=size or self.size, bands=images.roles)

    def sheet(self, rows, name=COLOR):
        """Small pictures of some rows, side by side.

        Parameters
        ----------
        rows : sequence of int
            Rows of the table.
        name : str, optional
            ``"color"`` or a band.

        Returns
        -------
        jpeg : bytes
            JPEG image with `SHEET_COLUMNS` stamps per line.
        """
        pictures = self._pictures(rows, name)
        lines = -(-len(rows) // SHEET_COLUMNS)
        size = self.size
        sheet = np.zeros((lines * size, SHEET_COLUMNS * size, *pictures[0].shape[2:]), np.uint8)
        for i, picture in enumerate(pictures):
            line, column = divmod(i, SHEET_COLUMNS)
            sheet[line * size :, column * size :][:size, :size] = picture
        return _encode(sheet, "JPEG")

    def stamp(self, row, name=COLOR):
        """Lossless picture of one row.

        Parameters
        ----------
        row : int
            Row of the table.
        name : str, optional
            ``"color"`` or a band.

        Returns
        -------
        png : bytes
            PNG image of ``size`` pixels.
        """
        return _encode(self._pictures([row], name)[0], "PNG")

    def context(self, row, name=COLOR, *, step=1):
        """Surroundings of a row, four times as wide as its stamp.

        Parameters
        ----------
        row : int
            Row of the table.
        name : str, optional
            ``"color"`` or a band.
        step : int, optional
            Binning factor.

        Returns
        -------
        jpeg : bytes
            JPEG image of `context_size` pixels over ``step``; black outside the images.
        """
        self._check_name(name)
        size = context_size(self.size)
        picture = self._draw(self.stamps([row], size=size).data[0], name)
        picture[~self._inside(row, size)] = 0
        image = Image.fromarray(np.ascontiguousarray(picture[::-1]))
        return _encode(np.asarray(image.reduce(step)), "JPEG")

    def _inside(self, row, size):
        """Whether pixels of a stamp of this size are on the images, shape (size, size)."""
        ny, nx = self.objects.images.shape
        # Position of the first pixel in `Cutout2D`.
        x, y = (
            np.arange(size) + np.ceil(values[row] - size / 2)
            for values in (self.objects.x, self.objects.y)
        )
        return ((y >= 0) & (y < ny))[:, None] & (x >= 0) & (x < nx)

    def _check_name(self, name):
        if name not in self.names:
            raise KeyError(f"no picture {name!r}; available are {', '.join(self.names)}")

    def _pictures(self, rows, name):
        self._check_name(name)
        with self._lock:
            have = {row: self._kept[row, name] for row in rows if (row, name) in self._kept}
            for row in have:
                self._kept.move_to_end((row, name))
        missing = [row for row in dict.fromkeys(rows) if row not in have]
        if missing:
            data = self.stamps(missing).data
            for row, bands in zip(missing, data, strict=True):
                have[row] = self._draw(bands, name)[::-1]
            with self._lock:
                self._kept.update({(row, name): have[row] for row in missing})
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return [have[row] for row in rows]

    def _draw(self, bands, name):
        roles = self.objects.images.roles
        if name == COLOR:
            return color_image(bands, roles, system=self.objects.images.system)
        return _gray(bands[roles.index(name)])

    def levels(self):
        """Number of times the field is halved until it fits into a tile."""
        return max(0, int(np.ceil(np.log2(max(self.objects.images.shape) / TILE))))

    def tile(self, level, column, line, name=COLOR):
        """Tile of the field.

        Parameters
        ----------
        level : int
            Number of times the field is halved; 0 is the full resolution.
        column, line : int
            Index of the tile from the left and from the top.
        name : str, optional
            ``"color"`` or a band.

        Returns
        -------
        jpeg : bytes
            JPEG image of `TILE` pixels, black outside the field.

        Raises
        ------
        KeyError
            If the tile or picture does not exist.
        """
        images = self.objects.images
        self._check_name(name)
        step = 2**level if 0 <= level <= self.levels() else 0
        ny, nx = images.shape
        top = ny - line * TILE * step if step else 0
        left = column * TILE * step
        if not step or not (0 <= left < nx and 0 < top <= ny):
            raise KeyError(f"no tile {level}/{column}/{line}")
        width = TILE * step
        center = (top - width / 2, left + width / 2)
        rows, _ = overlap_slices(images.shape, (width, width), center)
        bands = images.roles if name == COLOR else (name,)
        data = np.stack([_sampled(images[role], rows, step, top) for role in bands])
        picture = self._draw_field(data, name)[::-1]
        full = np.zeros((TILE, TILE, *picture.shape[2:]), np.uint8)
        full[: picture.shape[0], : picture.shape[1]] = picture[:TILE, :TILE]
        return _encode(full, "JPEG")

    def _draw_field(self, data, name):
        with self._levels_lock:
            if self._levels is None:
                self._levels = self._find_levels()
        if name == COLOR:
            images = self.objects.images
            return color_image(data, images.roles, system=images.system, levels=self._levels[COLOR])
        return _gray(data[0], self._levels[name])

    def _find_levels(self):
        """Levels of black and white for the field."""
        images = self.objects.images
        step = max(1, max(images.shape) // _SAMPLE)
        sample = np.stack([band.pixels(np.s_[::step, ::step]) for band in images.values()])
        bands = {"bands": images.roles, "system": images.system}
        levels = {COLOR: color_levels(sample, **bands, limits=_FIELD_LIMITS)}
        for role, pixels in zip(images.roles, sample, strict=True):
            levels[role] = _percentiles(pixels, _FIELD_LIMITS)
        return levels


def _sampled(band, rows, step, top):
    """Part of a band at a coarser scale: the mean of four pixels in each square.

    Squares count from the top of the field, so that tiles meet.
    """
    if step == 1:
        return band.pixels(rows)
    y, x = rows
    first = y.start + (top - y.start) % step  # incomplete squares at the bottom are dropped
    offsets = (0, step // 2)
    n_y, n_x = (top - first) // step, (x.stop - x.start) // step
    if not n_y or not n_x:
        return np.full((max(n_y, 1), max(n_x, 1)), np.nan, np.float32)
    parts = [
        band.pixels(
            np.s_[
                first + dy : first + n_y * step : step, x.start + dx : x.start + n_x * step : step
            ]
        )
        for dy in offsets
        for dx in offsets
    ]
    return np.nan_to_num(np.stack(parts)).mean(axis=0)


def _percentiles(pixels, limits=_GRAY_LIMITS):
    finite = pixels[np.isfinite(pixels)]
    return np.percentile(finite, limits) if finite.size else (0.0, 1.0)


def _gray(pixels, levels=None):
    black, white = _percentiles(pixels) if levels is None else levels
    scaled = np.clip((np.nan_to_num(pixels, nan=black) - black) / (white - black or 1), 0, 1)
    return (255 * AsinhStretch(0.1)(scaled)).astype(np.uint8)


def _encode(picture, form):
    stream = io.BytesIO()
    options = {"quality": 88} if form == "JPEG" else {"compress_level": 1}
    Image.fromarray(np.ascontiguousarray(picture)).save(stream, form, **options)
    return stream.getvalue()
