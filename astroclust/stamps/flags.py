# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""What is odd about a stamp, as bits of a number."""

from enum import IntFlag

import numpy as np

__all__ = ["FLAG_MEANINGS", "StampFlag", "decode_flags"]


class StampFlag(IntFlag):
    """The bits of the ``flags`` column; `FLAG_MEANINGS` says what each means.

    Examples
    --------
    >>> from astroclust.stamps import FLAG_MEANINGS, StampFlag, decode_flags
    >>> StampFlag.EDGE | StampFlag.BAND_MISSING
    <StampFlag.EDGE|BAND_MISSING: 5>
    >>> decode_flags(5)
    ['EDGE', 'BAND_MISSING']
    >>> FLAG_MEANINGS[StampFlag.EMPTY]
    'no band has structure here that can be computed with; not classified'
    """

    EDGE = 1
    NON_FINITE = 2
    BAND_MISSING = 4
    TOO_MANY_MISSING = 8
    OFF_IMAGE = 16
    EMPTY = 32


#: What each bit of the ``flags`` column means.
FLAG_MEANINGS = {
    StampFlag.EDGE: "the stamp reaches over the edge of the image; what is outside counts as sky",
    StampFlag.NON_FINITE: "pixels in the stamp are masked, not finite or off the exposures; those "
    "with good neighbors are filled from them, the others taken as sky",
    StampFlag.BAND_MISSING: "at least one of the model's bands is absent here; it counts as zero",
    StampFlag.TOO_MANY_MISSING: "more bands are absent than the model allows; not classified",
    StampFlag.OFF_IMAGE: "the position is not finite, or not on the image; not classified",
    StampFlag.EMPTY: "no band has structure here that can be computed with; not classified",
}


def decode_flags(flags, *, kind=StampFlag):
    """Names of the bits that are set.

    Parameters
    ----------
    flags : int or array_like of int, shape (n,)
        Values of a column of flags.
    kind : type of `~enum.IntFlag`, optional
        What the bits are: `StampFlag` in the column ``flags``,
        `~astroclust.selection.Cut` in ``cuts``, `~astroclust.catalogs.CatalogFlag` in
        ``flag_...``.

    Returns
    -------
    names : list of str, or list of n such lists
        Names of ``kind``, in order of their bits.

    Examples
    --------
    >>> from astroclust import decode_flags
    >>> decode_flags([0, 5])
    [[], ['EDGE', 'BAND_MISSING']]
    """
    if np.ndim(flags):
        return [decode_flags(int(value), kind=kind) for value in np.asarray(flags)]
    known = sum(kind)
    if flags < 0 or flags & ~known:
        raise ValueError(f"flags {flags} has bits that are not in use (all together: {known})")
    return [flag.name for flag in kind if flags & flag]
