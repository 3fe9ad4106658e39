# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Structural checks of FITS files before they are parsed.

Headers are read as plain 80-byte cards, and the sizes that they state are compared with the length
of the file, so that a damaged or malicious header is rejected at once instead of causing endless
loops or exhausting memory.
"""

import math
import re
import warnings

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.compression import CHUNK, expanded, expansion_limit

__all__ = ["add_checksums", "check_structure", "drop_unreadable_cards"]

_BLOCK, _CARD = 2880, 80  # bytes
_BITPIX = (8, 16, 32, 64, -32, -64)
# Including registered extensions that hold neither images nor tables.
_EXTENSIONS = ("IMAGE", "BINTABLE", "TABLE", "IUEIMAGE", "A3DTABLE", "FOREIGN", "DUMP")
_MAX_AXES = 32  # numpy has 64
_MAX_FIELDS = 999  # of the FITS standard, sec. 7.3.1
_MAX_BLOCKS = 1000  # of a header, 36,000 cards
_MAX_HDUS = 10_000
# Checksums of larger plain files are not verified: their pixels are only read if needed.
_MAX_SUMMED = 256 << 20
# Bytes of one element of a column of a binary table (FITS standard, table 18); X is bits.
_ELEMENTS = {"L": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16}
_ELEMENTS |= {"P": 8, "Q": 16}
_COMPRESSIONS = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1", "NOCOMPRESS")
_VALUE = re.compile(r" *'(?:[^']|'')*'|[^/]*")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([ED][+-]?\d+)?")
# Keywords that define the layout of the data; conflicting duplicates are an error.
_STRUCTURAL = re.compile(
    r"(SIMPLE|XTENSION|BITPIX|NAXIS\d*|[PG]COUNT|TFIELDS|TFORM\d+|BSCALE|BZERO|ZIMAGE|ZBITPIX"
    r"|ZNAXIS\d*|ZTILE\d+|ZCMPTYPE)"
)
_SCALING = re.compile(r"BSCALE|BZERO|ZSCALE|ZZERO|TSCAL\d+|TZERO\d+")


def check_structure(path):
    """Check that the headers of a FITS file agree with its length.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        A FITS file, plain or compressed.

    Returns
    -------
    n_hdus : int
        Number of HDUs.
    changed : list of str
        HDUs whose ``DATASUM`` or ``CHECKSUM`` does not match their content. Those of plain
        files larger than 256 MiB are not verified.

    Raises
    ------
    OSError
        If the file is truncated, has bytes that do not belong to any extension, or has an invalid
        header; the message names the problem but not the file.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.io import fits
    >>> from astroclust.fits_structure import check_structure
    >>> hdu = fits.PrimaryHDU(np.zeros((3, 4)))
    >>> hdu.writeto("image.fits")
    >>> check_structure("image.fits")
    (1, [])
    >>> with open("image.fits", "r+b") as file:
    ...     size = file.truncate(5000)
    >>> check_structure("image.fits")
    Traceback (most recent call last):
        ...
    OSError: 760 bytes are missing at its end
    """
    changed = []
    with expanded(path) as (file, limit, is_plain):
        if not file.read(1):
            raise OSError("it is empty")
        file.seek(0)
        for number in range(_MAX_HDUS + 1):
            text = _read_header(file, number)
            if text is None:
                return number, changed
            header = _parse(text)
            size = _data_size(header, number)
            _check_end(file.tell() + size, limit, is_plain)
            if not is_plain or (_has_sum(header) and limit <= _MAX_SUMMED):
                total = _read_data(file, size)
                changed += _changed_sums(header, text, total, number)
            else:
                file.seek(size, 1)
    raise OSError(f"it has more than {_MAX_HDUS} extensions")


def _read_header(file, number):
    """Blocks of the next header as bytes; None at the end of the file."""
    blocks = []
    while len(blocks) < _MAX_BLOCKS:
        block = file.read(_BLOCK)
        if not block and not blocks:
            return None
        if not blocks and not block.startswith(b"XTENSION=" if number else b"SIMPLE  ="):
            if not number:
                raise OSError("it does not begin as a FITS file")
            rest = len(block) + sum(map(len, iter(lambda: file.read(CHUNK), b"")))
            raise OSError(f"its last {rest} bytes are not a complete extension")
        if len(block) < _BLOCK:
            raise OSError(f"it ends within the header of {_name(number)}")
        blocks.append(block)
        cards = [block[i : i + _CARD] for i in range(0, _BLOCK, _CARD)]
        ends = [i for i, card in enumerate(cards) if re.match(rb"END(?![A-Z0-9_-])", card)]
        if ends:
            if b"".join(cards[ends[0] :]).rstrip(b" \0") != b"END":
                raise OSError(f"the header of {_name(number)} continues after its END")
            return b"".join(blocks)
    raise OSError(f"the header of {_name(number)} has no END in {_MAX_BLOCKS * _BLOCK:,} bytes")


def _parse(text):
    """Raw values of a header by keyword."""
    header = {}
    for i in range(0, len(text), _CARD):
        card = text[i : i + _CARD].decode("latin-1")
        if card[8:10] != "= ":
            continue
        key, value = card[:8].rstrip(), _VALUE.match(card, 10).group().strip()
        if header.setdefault(key, value) != value and _STRUCTURAL.fullmatch(key):
            raise OSError(f"a header has two values of {key}: {header[key]} and {value}")
    return header


def _data_size(header, number):
    """Size of the data after a header, rounded up to complete blocks."""
    name = _name(number, header)
    if not number and header.get("SIMPLE") != "T":
        raise OSError("SIMPLE is not T, so it does not claim to be FITS")
    if number and header.get("XTENSION", "").strip("' ") not in _EXTENSIONS:
        raise OSError(f"XTENSION of {name} is {header.get('XTENSION')}, which is not a FITS value")
    for key, value in header.items():
        if _SCALING.fullmatch(key):
            _check_scaling(key, value, name)
    bits = _integer(header, "BITPIX", name)
    if bits not in _BITPIX:
        raise OSError(f"BITPIX of {name} is {bits}, which is not a FITS value")
    shape = _axes(header, "", name)
    parameters = _integer(header, "PCOUNT", name, default=0)
    groups = _integer(header, "GCOUNT", name, default=1, lowest=1)
    elements = math.prod(shape)
    if not shape:
        elements = parameters = 0
    elif shape[0] == 0 and header.get("GROUPS") == "T":
        elements = math.prod(shape[1:])
    size = abs(bits) // 8 * groups * (parameters + elements)
    if header.get("XTENSION", "").strip("' ") in ("BINTABLE", "TABLE"):
        _check_table(header, shape, bits, name)
    if header.get("ZIMAGE") == "T":
        _check_compressed(header, shape, size, name)
    return -(-size // _BLOCK) * _BLOCK


def _check_scaling(key, value, name):
    if not _NUMBER.fullmatch(value) or not np.isfinite(float(value.replace("D", "E"))):
        raise OSError(f"{key} of {name} is {value or 'empty'}, not a finite number")
    if key.startswith(("BSCALE", "TSCAL")) and float(value.replace("D", "E")) == 0:
        raise OSError(f"{key} of {name} is 0, so it has no data")


def _axes(header, prefix, name):
    n_axes = _integer(header, f"{prefix}NAXIS", name)
    if n_axes > _MAX_AXES:
        raise OSError(
            f"{prefix}NAXIS of {name} is {n_axes}; more than {_MAX_AXES} axes are not supported"
        )
    return [_integer(header, f"{prefix}NAXIS{i + 1}", name) for i in range(n_axes)]


def _integer(header, key, name, *, default=None, lowest=0):
    text = header.get(key, default)
    if text is None:
        raise OSError(f"{key} is missing in the header of {name}")
    try:
        value = int(text) if len(str(text)) <= 70 else None
    except ValueError:
        value = None
    if value is None:
        raise OSError(f"{key} of {name} is {text or 'empty'}, not a whole number")
    if value < lowest and key != "BITPIX" and key != "ZBITPIX":
        raise OSError(f"{key} of {name} is {value}, less than {lowest}")
    return value


def _check_table(header, shape, bits, name):
    n_fields = _integer(header, "TFIELDS", name)
    if len(shape) != 2 or bits != 8:
        raise OSError(f"{name} is a table with NAXIS {len(shape)} and BITPIX {bits}, not 2 and 8")
    if n_fields > _MAX_FIELDS:
        raise OSError(f"TFIELDS of {name} is {n_fields}; FITS allows {_MAX_FIELDS}")
    forms = [header.get(f"TFORM{i + 1}", "").strip("' ").upper() for i in range(n_fields)]
    if "" in forms:
        raise OSError(f"TFORM{forms.index('') + 1} is missing in the header of {name}")
    if shape[1] and not shape[0]:
        raise OSError(f"{name} is a table of {shape[1]} rows without bytes")
    if "BINTABLE" in header["XTENSION"]:
        width = sum(_column_width(form, i + 1, name) for i, form in enumerate(forms))
        if width != shape[0]:
            raise OSError(f"the columns of {name} fill {width} bytes of a row, not {shape[0]}")


def _column_width(form, number, name):
    match = re.match(r"(\d{0,18})([A-Z])", form)
    if match is None or match[2] not in {"X", *_ELEMENTS}:
        raise OSError(f"TFORM{number} of {name} is {form}, which is not a FITS value")
    repeat = int(match[1] or 1)
    return -(-repeat // 8) if match[2] == "X" else repeat * _ELEMENTS[match[2]]


def _check_compressed(header, shape, size, name):
    """Check that the tiles of a compressed image match its header."""
    if _integer(header, "ZBITPIX", name) not in _BITPIX:
        raise OSError(f"ZBITPIX of {name} is {header['ZBITPIX']}, which is not a FITS value")
    method = header.get("ZCMPTYPE", "").strip("' ")
    if method not in _COMPRESSIONS:
        raise OSError(f"ZCMPTYPE of {name} is {method or 'missing'}, which is not a known method")
    axes = _axes(header, "Z", name)
    tiles = [
        # By default, each row is a tile.
        _integer(header, f"ZTILE{i + 1}", name, default=1 if i else length, lowest=1)
        for i, length in enumerate(axes)
    ]
    n_tiles = math.prod(-(-length // tile) for length, tile in zip(axes, tiles, strict=True))
    if n_tiles != shape[1]:
        raise OSError(f"{name} has {shape[1]} compressed tiles, but its header states {n_tiles}")
    n_bytes = math.prod(axes) * abs(int(header["ZBITPIX"])) // 8
    if n_bytes > expansion_limit(size):
        raise OSError(
            f"{name} expands from {size:,} to {n_bytes:,} bytes, which is implausible for a real "
            "image; if you trust it, expand it with funpack"
        )


def _check_end(end, limit, is_plain):
    if end <= limit:
        return
    if is_plain:
        raise OSError(f"{end - limit} bytes are missing at its end")
    raise OSError(
        f"it expands to at least {end:,} bytes, which is implausible for a real image; if you "
        "trust it, expand the file first"
    )


def _read_data(file, size):
    """Read the data and return their ones' complement sum."""
    total, left = 0, size
    while left:
        chunk = file.read(min(left, CHUNK - CHUNK % 4))
        if not chunk:
            raise OSError(f"{left} bytes are missing at its end")
        left -= len(chunk)
        while len(chunk) % 4:  # a compressed stream may return any number of bytes
            more = file.read(4 - len(chunk) % 4)
            if not more:
                raise OSError(f"{left} bytes are missing at its end")
            chunk, left = chunk + more, left - len(more)
        total = _ones_complement(chunk, total)
    return total


def _ones_complement(content, total=0):
    """Ones' complement sum of 32-bit words (FITS standard, appendix J)."""
    total += int(np.frombuffer(content, ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def _has_sum(header):
    return "DATASUM" in header or "CHECKSUM" in header


def _changed_sums(header, text, total, number):
    """List with the name of the extension if its checksums do not match, else an empty list."""
    stated = header.get("DATASUM", "").strip("' ")
    differs = stated.isdigit() and int(stated) != total
    if header.get("CHECKSUM", "").strip("' "):
        differs |= _ones_complement(text, total) not in (0, 0xFFFFFFFF)
    return [_name(number, header)] * bool(differs)


def _name(number, header=()):
    if "EXTNAME" in header:
        return header["EXTNAME"].strip("' ") or f"extension {number}"
    return f"extension {number}" if number else "the primary HDU"


def add_checksums(hdus):
    """Add the checksums that `check_structure` verifies to each HDU, without a time stamp.

    Parameters
    ----------
    hdus : `~astropy.io.fits.HDUList`
        HDUs to be written; changed in place.
    """
    hdus.update_extend()
    for hdu in hdus:
        hdu.add_datasum("of the data")
        hdu.add_checksum("of header and data", override_datasum=True)


def drop_unreadable_cards(header, path):
    """Delete cards with unreadable values from a header, with one warning.

    Such cards raise an error only when their value is accessed, possibly long after the file was
    closed.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Header of the HDU; changed in place.
    path : str or `~pathlib.Path`
        The file, for the warning.

    Warns
    -----
    AstropyUserWarning
        If cards are deleted; the warning lists their keywords.

    Examples
    --------
    >>> import warnings
    >>> from astropy.io import fits
    >>> from astroclust.fits_structure import drop_unreadable_cards
    >>> header = fits.Header.fromstring("GAIN    = 1.5 or 2".ljust(80) + "A       = 3".ljust(80))
    >>> with warnings.catch_warnings(record=True, action="always") as caught:
    ...     drop_unreadable_cards(header, "image.fits")
    >>> list(header), len(caught)
    (['A'], 1)
    """
    lost = []
    for i in reversed(range(len(header))):
        try:
            header.cards[i].value  # noqa: B018 - parsed on access
        except Exception:
            lost.insert(0, header.cards[i].keyword)
            del header[i]
    if lost:
        warnings.warn(
            f"{path}: the header values of {', '.join(lost)} cannot be read and are ignored",
            AstropyUserWarning,
            stacklevel=2,
        )
