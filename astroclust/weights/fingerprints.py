# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Fingerprints of stamps: short hashes of their pixels, to recognize training rows."""

import base64
import binascii
import hashlib

import numpy as np

__all__ = ["MOST_DIGESTS", "pack_digests", "stamp_digests", "unpack_digests"]

#: Maximum number of fingerprints in a card: two thirds of the megabyte allowed for a card.
MOST_DIGESTS = 100_000
# 40 bits: a stamp in five bands matches one of 100 000 fingerprints by chance once in two million.
_BYTES = 5
# Half-widths in pixels: of the center of a stamp that is searched for its brightest pixel, so that
# small position offsets do not matter; and of the hashed region around it, which must be larger
# than the saturated cores of stars in pictures, which are all alike.
_REACH, _HALF = 4, 7
# Stamps copied at a time.
_BLOCK = 1000


def stamp_digests(stamps):
    """Fingerprints of stamps in each band.

    A fingerprint is a hash of the pixels around the brightest one in the center of a stamp, scaled
    from their minimum to their maximum. It does not depend on the unit of the image, the width of
    the stamp, or small shifts of the position.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps.

    Returns
    -------
    digests : list of list of bytes or None
        Fingerprints of each stamp, in the order of ``stamps.bands``; None if the band is missing or
        constant.
    """
    digests = []
    for start in range(0, len(stamps), _BLOCK):
        data = stamps.data[start : start + _BLOCK]
        patches = [_patches(data[:, band]) for band in range(len(stamps.bands))]
        for row, present in enumerate(stamps.present[start : start + _BLOCK]):
            pairs = zip(patches, present, strict=True)
            digests.append([_digest(band[row]) if there else None for band, there in pairs])
    return digests


def _patches(pixels):
    """Pixels around the brightest one in the center of each stamp, shape (n, m, m)."""
    padded = np.pad(np.nan_to_num(pixels), ((0, 0), (_HALF, _HALF), (_HALF, _HALF)))
    middle = pixels.shape[-1] // 2
    reach = min(_REACH, middle)
    low = middle - reach
    core = padded[:, _HALF + low : _HALF + middle + reach + 1, _HALF + low :]
    core = core[:, :, : 2 * reach + 1]
    brightest = core.reshape(len(core), -1).argmax(axis=1)
    y, x = (low + offset for offset in np.unravel_index(brightest, core.shape[1:]))
    steps = np.arange(2 * _HALF + 1)
    rows = np.arange(len(padded))[:, None, None]
    return padded[rows, y[:, None, None] + steps[:, None], x[:, None, None] + steps]


def _digest(patch):
    low, high = float(patch.min()), float(patch.max())
    if not high > low:
        return None
    levels = np.rint((patch.astype(float) - low) / (high - low) * 255).astype(np.uint8)
    return hashlib.blake2b(levels.tobytes(), digest_size=_BYTES).digest()


def pack_digests(digests):
    """Pack fingerprints into a string, independent of their order.

    Parameters
    ----------
    digests : iterable of bytes
        Fingerprints.

    Returns
    -------
    text : str
        Base64 encoding of the sorted fingerprints.
    """
    return base64.b64encode(b"".join(sorted(set(digests)))).decode()


def unpack_digests(text):
    """Unpack fingerprints from a string.

    Parameters
    ----------
    text : str
        String from `pack_digests`.

    Returns
    -------
    digests : frozenset of bytes or None
        Fingerprints; None if the string is invalid.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(content) % _BYTES:
        return None
    return frozenset(content[i : i + _BYTES] for i in range(0, len(content), _BYTES))
