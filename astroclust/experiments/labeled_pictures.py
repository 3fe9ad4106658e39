# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Labeled stamps from a file, or from a folder of pictures."""

import csv
import warnings
from dataclasses import replace
from numbers import Integral
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.extras import naming_extras
from astroclust.files import reading
from astroclust.instruments import classes_of, find_class_scheme, meta_of
from astroclust.stamps import Stamps, fill_holes
from astroclust.training import Sample

__all__ = ["read_labeled"]

# Red, green and blue, in the order of networks trained on ImageNet.
_RGB = ("I", "V", "B")
# Pillow modes with one channel of more than 8 bits, which would be clipped to 8.
_DEEP = ("I", "I;16", "I;16B", "I;16L", "F")
# Minimum number of pixels on each side of a picture.
_SMALLEST = 8
# Number of stamps scaled at a time.
_BLOCK = 256


def read_labeled(path, *, size=None, scheme=None):
    """Read labeled stamps, and the groups that a split must not divide.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        A file of `~astroclust.stamps.Stamps.write` whose table has ``class``; or a folder with
        ``labels.csv``, which has ``file`` and ``label``, and pictures in ``png/``. Labels are
        numbers or names of classes. Stamps of the same ``object``, if there is such a column, stay
        together.
    size : int, optional
        Width in pixels to which stamps and pictures of any shape are scaled. By default they are
        not scaled, and pictures must be square and of one size.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        Class scheme, such as ``"galaxies"`` of Schneider et al. (2023): elliptical, lenticular,
        spiral and irregular. By default that of the table of the stamps, and ``"legus"`` for
        pictures.

    Returns
    -------
    sample : `~astroclust.training.Sample`
        Sample of n stamps with their classes, into which finer labels are merged, and their objects
        as groups. The three bands of a picture are its red, green and blue channels, in this order;
        those of a gray picture are equal.

    Raises
    ------
    FileNotFoundError
        If the file or folder does not exist.
    OSError
        If a picture is missing or cannot be read.
    ValueError
        If there are no labels, a label is neither a number nor a class, a picture has fewer than 8
        pixels on a side, or pictures differ in size and ``size`` is not given.

    Warns
    -----
    AstropyUserWarning
        If rows have a number that is not a class; they are excluded.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from astroclust import Stamps
    >>> from astroclust.experiments import read_labeled
    >>> from astroclust.instruments import LEGUS_BANDS
    >>> noise = np.random.default_rng(1).normal(size=(3, 5, 24, 24))
    >>> table = Table({"class": [1, 4, 1], "object": ["a", "a", "b"]})
    >>> Stamps(noise, LEGUS_BANDS.roles, table=table).write("labeled.fits")
    >>> sample = read_labeled("labeled.fits", size=32)
    >>> sample.labels.tolist(), sample.groups.tolist()
    ([1, 4, 1], ['a', 'a', 'b'])
    >>> sample.stamps.size
    32
    """
    if size is not None and not (isinstance(size, Integral) and size >= 1):
        raise ValueError(f"size must be a whole number of pixels, at least 1, not {size!r}")
    path = Path(path)
    if path.is_file():
        stamps = Stamps.read(path)
        table = stamps.table
        if "class" not in table.colnames:
            raise ValueError(f"{path} has no column class in its table; add the labels")
        scheme = classes_of(table) if scheme is None else find_class_scheme(scheme)
        labels = np.ma.filled(table["class"], 0).astype(int)
        known = _known(labels, scheme)
        stamps = _scaled(stamps[known], size)
    else:
        table = _read_listing(path)
        scheme = find_class_scheme("legus" if scheme is None else scheme)
        labels = np.array([_label(text, scheme, path) for text in table["label"]])
        known = _known(labels, scheme)
        stamps = _read_pictures([path / "png" / name for name in table["file"][known]], size)
        table.meta.update(meta_of(scheme))
    groups = np.asarray(table["object"])[known] if "object" in table.colnames else None
    # Finer labels count as the class into which they are merged.
    labels = scheme.numbers_of(scheme.positions(labels[known])).astype(int)
    return Sample(stamps, labels, groups, scheme=scheme)


def _known(labels, scheme):
    """Mask of labels that are classes, with a warning about others."""
    known = scheme.knows(labels)
    if not known.all():
        warnings.warn(
            f"{np.count_nonzero(~known)} stamps have the labels "
            f"{sorted(set(labels[~known].tolist()))}, which are not classes of {scheme.name}, "
            f"{list(scheme.numbers)}; they are excluded",
            AstropyUserWarning,
            stacklevel=3,
        )
    if not known.any():
        raise ValueError(f"no label is a class of {scheme.name}; set another scheme")
    return known


def _read_listing(folder):
    """Read the rows of ``labels.csv``."""
    listing = folder / "labels.csv"
    if not listing.exists():
        raise FileNotFoundError(
            f"{folder} is neither a file of stamps nor a folder with {listing.name}"
        )
    with reading(listing), listing.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or not {"file", "label"} <= set(rows[0]):
        raise ValueError(f"{listing} must have the columns file and label, and at least one row")
    files = [row["file"] for row in rows]
    if len(set(files)) < len(files):
        twice = next(name for name in files if files.count(name) > 1)
        raise ValueError(f"{listing} has more than one row for {twice}; keep one of them")
    return Table({name: [row[name] for row in rows] for name in rows[0]})


def _label(text, scheme, folder):
    """Number of a class that is given as a number or name."""
    names = {name.casefold(): number for number, name in scheme.names.items()}
    text = str(text).strip()
    try:
        return names.get(text.casefold()) or int(text)
    except ValueError:
        raise ValueError(
            f"label {text!r} in {folder / 'labels.csv'} is neither a number nor a class of "
            f"{scheme.name}: {', '.join(names)}; correct it, or choose another scheme"
        ) from None


def _read_pictures(paths, size):
    """Read pictures as stamps of three bands."""
    data = None
    for number, path in enumerate(paths):
        with reading(path):
            pixels = _read_picture(path, size)
        if data is None:
            data = np.empty((len(paths), *pixels.shape), np.float32)
        if pixels.shape != data.shape[1:] or pixels.shape[1] != pixels.shape[2]:
            raise ValueError(
                f"{path} has {pixels.shape[2]} x {pixels.shape[1]} pixels, but stamps must be "
                "square and of one size; scale all with size, such as size=256"
            )
        data[number] = pixels
    return Stamps(data, _RGB, bands=_RGB)


def _read_picture(path, size):
    """Channels of a picture, shape (3, height, width)."""
    with naming_extras():
        from PIL import Image

    with Image.open(path) as picture:
        if min(picture.size) < _SMALLEST:
            raise ValueError(
                f"{path} has {picture.width} x {picture.height} pixels, too few to show a shape; "
                f"use at least {_SMALLEST} on each side, or remove its row from labels.csv"
            )
        if picture.mode in _DEEP:
            picture = Image.fromarray(np.asarray(picture, np.float32))
        else:
            picture = picture.convert("RGB")
        if size is not None:
            picture = picture.resize((size, size), Image.Resampling.BILINEAR)
        pixels = np.asarray(picture, np.float32)
    return np.repeat(pixels[None], 3, axis=0) if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _scaled(stamps, size):
    """Stamps scaled to a width, with their missing pixels filled."""
    if size is None or size == stamps.size:
        return stamps
    data = np.empty((*stamps.data.shape[:2], size, size), np.float32)
    for start in range(0, len(stamps), _BLOCK):
        rows = slice(start, start + _BLOCK)
        filled = fill_holes(torch.from_numpy(stamps.data[rows]))
        good = _interpolated(1 - filled.isnan().float(), size)
        values = _interpolated(filled.nan_to_num(nan=0.0), size)
        data[rows] = torch.where(good > 0.5, values / good, torch.nan).numpy()
    return replace(stamps, data=data)


def _interpolated(pixels, size):
    return torch.nn.functional.interpolate(
        pixels, size, mode="bilinear", align_corners=False, antialias=True
    )
