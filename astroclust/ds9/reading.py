# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Conversion of regions to candidates and to image masks."""

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, Table
from astropy.utils.exceptions import AstropyUserWarning
from numpy.typing import NDArray
from regions import PixCoord, Region, Regions, SkyRegion

from astroclust.text import UnreadableError, check_last_line, decode

if TYPE_CHECKING:
    from astropy.wcs import WCS

    from astroclust.typing import RegionsLike

__all__ = ["TEXT_IS_CLASS", "read_regions", "regions_mask"]

# Class written by `to_regions` or typed by a person, with or without its probability.
_CLASS_TEXT = re.compile(r"\s*(\d{1,2})(?:\s+(\d?\.\d+|[01]))?\s*")
_CLASS_TAG = re.compile(r"class=(\d{1,2})")
#: Tag of regions whose text is their class, so that a typed text replaces the class.
TEXT_IS_CLASS = "text=class"
# Shape, which may be excluded, and the text between its name and its comment.
_SHAPE = re.compile(r"[+-]?\s*[a-z]+\s*[\s(](?P<numbers>[^#]*)", re.I)
_FRAMES = (
    "image|physical|detector|amplifier|linear|wcs[a-z]?|fk[45]|j2000|b1950|icrs|galactic|ecliptic"
)
_FRAME = re.compile(rf"({_FRAMES})\s*", re.I)
_SEXAGESIMAL = re.compile(r"\d+\s*[:h]\s*\d+\s*[:m]", re.I)
_PROPERTY = re.compile(r"""(\w+)\s*=\s*(\{[^}]*\}|"[^"]*"|'[^']*'|[^\s;]+)""")
_UNKNOWN_KEY = re.compile(r"(\w+) is not a valid key")
# DS9 writes these as comments, which the regions package skips.
_COMMENTS = re.compile(r"^\s*#\s*(vector|ruler|compass|projection|segment)\s*\(", re.M | re.I)
# Temporary prefix of each text, as the regions package converts "007" to 7.
_MARK = "\x02"
_TEXT_START = re.compile(r"""\btext\s*=\s*[{'"]""", re.I)
# Maximum number of reasons in a warning.
_MAX_REASONS = 5


def read_regions(regions: "RegionsLike") -> Table:
    """Make a table of candidates from regions, such as those drawn or labeled in DS9.

    Parameters
    ----------
    regions : str, `~pathlib.Path`, `~regions.Regions` or sequence of `~regions.Region`
        DS9 region file, or regions. Any shape with a center is a candidate: circles, boxes,
        ellipses, annuli, points and texts.

    Returns
    -------
    table : `~astropy.table.Table`, length n
        Candidates in the order of the regions: ``x`` and ``y`` (0-based pixels), or ``ra`` and
        ``dec`` (deg, ICRS) for regions on the sky; ``class`` (int16, masked if missing);
        ``probability``, if any region has one; and ``text``, the complete text. The class is read
        from a text such as ``2`` or ``2 0.88``, otherwise from a tag ``class=2`` written by
        `to_regions`.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    OSError
        If the file cannot be read.
    ValueError
        If it is truncated, has no readable region, or has regions in both pixel and sky
        coordinates.

    Warns
    -----
    AstropyUserWarning
        If regions are dropped, with reasons and counts: shapes without a center, excluded regions
        (``-circle``), and shapes unknown to the regions package.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import read_regions, to_regions
    >>> read_regions(to_regions(Table({"x": [10.0], "y": [20.0], "class": [2]})))["class"].tolist()
    [2]
    """
    given, lost, name = _open(regions)
    kept = []
    for region in given:
        if not _included(region):
            lost["excluded " + _shape(region)] += 1
        elif not hasattr(region, "center"):
            lost[f"{_shape(region)} (it has no center)"] += 1
        else:
            kept.append(region)
    _warn_of_lost(lost, name)
    on_sky = {isinstance(region, SkyRegion) for region in kept}
    if len(on_sky) > 1:
        raise ValueError(
            f"{name} has regions in both pixel and sky coordinates; save them in one coordinate "
            "system"
        )
    table = _sky_table(kept) if on_sky == {True} else _pixel_table(kept)
    texts = [_text(region) for region in kept]
    labels = [_label(region, text) for region, text in zip(kept, texts, strict=True)]
    numbers, probabilities = [label[0] for label in labels], [label[1] for label in labels]
    mask = [number is None for number in numbers]
    table["class"] = MaskedColumn([number or 0 for number in numbers], mask=mask, dtype=np.int16)
    if np.isfinite(probabilities).any():
        table["probability"] = np.array(probabilities, np.float32)
    table["text"] = np.array(texts, dtype=str)
    return table


def regions_mask(
    regions: "RegionsLike", shape: Sequence[int], *, wcs: "WCS | None" = None
) -> NDArray[np.bool_]:
    """Mask of the image pixels whose centers are within regions.

    Parameters
    ----------
    regions : str, `~pathlib.Path`, `~regions.Regions` or sequence of `~regions.Region`
        DS9 region file, or regions, such as a footprint, a nucleus or bright stars. Excluded
        regions (``-circle``) are subtracted from the others, or from the image if there are no
        others.
    shape : tuple of int
        Shape of the image, (ny, nx).
    wcs : WCS, optional
        WCS of the image; required for regions on the sky.

    Returns
    -------
    mask : `~numpy.ndarray` of bool, shape (ny, nx)
        True within the regions.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    OSError
        If the file cannot be read.
    ValueError
        If regions are on the sky and there is no WCS, or a file has no usable regions.

    Warns
    -----
    AstropyUserWarning
        If regions are dropped, with reasons and counts: shapes without an area, such as points and
        lines, and shapes unknown to the regions package.

    Examples
    --------
    >>> from regions import CirclePixelRegion, PixCoord
    >>> from astroclust import regions_mask
    >>> mask = regions_mask([CirclePixelRegion(PixCoord(5, 5), 2.5)], (20, 30))
    >>> int(mask.sum())
    21
    """
    shape = tuple(shape)
    if len(shape) != 2:
        raise ValueError(f"shape must be (ny, nx), not {shape!r}")
    given, lost, name = _open(regions)
    if not given and isinstance(regions, str | Path):
        raise ValueError(f"{name} has no regions; draw some and save it again, or omit it")
    inside = {True: np.zeros(shape, bool), False: np.zeros(shape, bool)}
    used: Counter[bool] = Counter()
    for region in given:
        if isinstance(region, SkyRegion) and wcs is None:
            raise ValueError(
                f"{name} has regions on the sky; set wcs, or use images with a celestial WCS"
            )
        try:
            part, within = _pixels_within(region, shape, wcs)
        except NotImplementedError:
            lost[f"{_shape(region)} (it has no area)"] += 1
            continue
        except Exception as error:  # the regions package and the WCS raise various errors
            raise ValueError(
                f"{name}: a {_shape(region)} cannot be drawn on the image ({error}); correct or "
                "delete it"
            ) from error
        used[_included(region)] += 1
        inside[_included(region)][part] |= within
    if lost and not used:
        raise ValueError(f"{name} has no region with an area: it has {_listing(lost)}")
    _warn_of_lost(lost, name)
    if used[False] and not used[True]:
        return ~inside[False]
    return inside[True] & ~inside[False]


def _pixels_within(region, shape, wcs):
    """Cutout of the image, and the mask of its pixels within a region."""
    if isinstance(region, SkyRegion):
        region = region.to_pixel(wcs)
    box = region.bounding_box
    of_image, of_mask = box.get_overlap_slices(shape)
    if of_image is None:
        return np.s_[:0, :0], np.zeros((0, 0), bool)
    if box.shape[0] * box.shape[1] > 4 * shape[0] * shape[1]:  # limits memory for huge regions
        y, x = np.mgrid[of_image]
        return of_image, region.contains(PixCoord(x, y))
    pixels = region.to_mask(mode="center")
    return of_image, pixels.data[of_mask] > 0


def _open(regions):
    """Open regions; return them, the dropped ones, and a name for messages."""
    if isinstance(regions, str | Path):
        return _read(Path(regions))
    if isinstance(regions, Region):
        regions = [regions]
    try:
        given = list(regions)
    except TypeError:
        given = [regions]
    for region in given:
        if not isinstance(region, Region):
            raise TypeError(
                f"regions must be a region file or regions, not {type(region).__name__}"
            )
    return given, Counter(), "the list"


def _read(path):
    content = _content(path)
    lost = Counter(shape.lower() for shape in _COMMENTS.findall(content))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            marked = _TEXT_START.sub(lambda start: start.group() + _MARK, content)
            regions = _parse(marked)
        except Exception as error:  # the regions package raises various errors
            raise ValueError(
                f"{path} is not a DS9 region file ({error}); save it again in that format"
            ) from error
    for warning in caught:
        lost[_reason(str(warning.message))] += 1
    if lost and not regions:
        raise ValueError(
            f"{path} has no readable region, only {_listing(lost)}; save circles, boxes, ellipses "
            "or polygons in the format of DS9, in image or fk5 coordinates"
        )
    return regions, lost, str(path)


def _parse(content):
    """Parse regions, without properties that DS9 ignores and the regions package rejects."""
    while True:
        try:
            return list(Regions.parse(content, format="ds9"))
        except Exception as error:
            unknown = _UNKNOWN_KEY.match(str(error).strip("'\""))
            fewer = content
            if unknown:
                fewer = _without_property(content, unknown[1])
            if fewer == content:
                raise
            content = fewer


def _without_property(content, key):
    return _PROPERTY.sub(lambda match: "" if match[1] == key else match[0], content)


def _content(path):
    """Text of a region file, with the coordinate frame that sexagesimal regions require."""
    try:
        content = decode(path.read_bytes())
        if not content:
            raise UnreadableError("it is empty; save it again")
        check_last_line(content)
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} does not exist") from None
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror or error}; check the file") from error
    except ValueError as error:
        raise ValueError(f"{path} is not a complete DS9 region file: {error}") from None
    shapes = []
    for line in re.split(r"[\n;]", content):
        line = line.strip()
        if _FRAME.fullmatch(line):
            break
        if (shape := _SHAPE.match(line)) and not line.lower().startswith("global"):
            shapes.append(shape["numbers"])
    sexagesimal = bool(shapes) and all(map(_SEXAGESIMAL.search, shapes))
    return f"fk5\n{content}" if sexagesimal else content


def _reason(message):
    """Short reason for a warning of the regions package."""
    if message.startswith("A coordinate frame was not found"):
        return "shape without coordinates in image, fk5, icrs or galactic"
    quoted = re.match(r'"([^"]*)" frame or shape', message)
    return quoted.group(1) if quoted else message


def _listing(lost):
    named = [f"{count} x {what}" for what, count in list(lost.items())[:_MAX_REASONS]]
    return ", ".join([*named, "and others"] if len(lost) > _MAX_REASONS else named)


def _warn_of_lost(lost, name):
    if lost:
        warnings.warn(f"{name}: excluded {_listing(lost)}", AstropyUserWarning, stacklevel=3)


def _included(region):
    return bool(int(region.meta.get("include", 1)))


def _shape(region):
    return re.sub("(Pixel|Sky)Region$", "", type(region).__name__).lower()


def _sky_table(regions):
    positions = [region.center.icrs for region in regions]
    sky = SkyCoord([one.ra for one in positions], [one.dec for one in positions])
    return Table({"ra": sky.ra.deg * u.deg, "dec": sky.dec.deg * u.deg}, copy=False)


def _pixel_table(regions):
    x, y = (np.array([getattr(r.center, axis) for r in regions], float) for axis in "xy")
    return Table({"x": x, "y": y})


def _text(region):
    return str(region.meta.get("text", getattr(region, "text", ""))).replace(_MARK, "")


def _label(region, text):
    """Parse class (None if missing) and probability (NaN if missing)."""
    tags = region.meta.get("tag") or ()
    for tag in () if TEXT_IS_CLASS in tags else tags:
        if match := _CLASS_TAG.fullmatch(tag):
            return int(match.group(1)), np.nan
    if match := _CLASS_TEXT.fullmatch(text):
        return int(match.group(1)), float(match.group(2) or np.nan)
    return None, np.nan
