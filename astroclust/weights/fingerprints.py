# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Fingerprints of stamps: short hashes of their pixels, by which training rows are found again."""

import base64
import binascii
import hashlib

import numpy as np

__all__ = ["MOST_DIGESTS", "pack_digests", "stamp_digests", "unpack_digests"]

#: Fingerprints that a card keeps at most: two thirds of the megabyte that a card may have.
MOST_DIGESTS = 100_000
# Of 40 bits: a stamp in five bands is among 100 000 fingerprints by chance once in two million.
_BYTES = 5
# Half widths in pixels: of the middle of a stamp in which its brightest pixel is looked for, so
# that a position that differs by some pixels finds the same one; and of what is hashed around it.
# That must be more than the saturated core of a picture, which many stars share.
_REACH, _HALF = 4, 7
# Stamps that are copied at a time.
_BLOCK = 1000


def stamp_digests(stamps):
    """Fingerprints of stamps in each band.

    A fingerprint is a hash of the pixels around the brightest one in the middle of a stamp, scaled
    from their minimum to their maximum. It does not depend on the unit of an image, on the width of
    the stamps, or on small shifts of the position.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps.

    Returns
    -------
    digests : list of list of bytes or None
        Of each stamp, one per band in the order of ``stamps.bands``; None if the band is absent
        or has no structure there.
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
    """Pixels around the brightest one in the middle of each stamp, shape (n, m, m)."""
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
    """Fingerprints as one text, whatever their order.

    Parameters
    ----------
    digests : iterable of bytes
        Fingerprints.

    Returns
    -------
    text : str
        Base64 of the sorted fingerprints.
    """
    return base64.b64encode(b"".join(sorted(set(digests)))).decode()


def unpack_digests(text):
    """Fingerprints of a text that `pack_digests` made.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    digests : frozenset of bytes or None
        None if it is not such a text.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(content) % _BYTES:
        return None
    return frozenset(content[i : i + _BYTES] for i in range(0, len(content), _BYTES))
