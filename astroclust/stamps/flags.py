# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Flags of stamps."""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from astroclust.flags import DescribedFlag

__all__ = ["StampFlag", "decode_flags", "flag_absent"]


class StampFlag(DescribedFlag):
    """Bits of the ``flags`` column of stamps.

    Examples
    --------
    >>> from astroclust.stamps import StampFlag
    >>> StampFlag.EDGE | StampFlag.BAND_MISSING
    <StampFlag.EDGE|BAND_MISSING: 5>
    >>> StampFlag.EMPTY.description
    'all bands are constant or undefined in this stamp; not classified'
    """

    EDGE = 1, "the stamp extends beyond the edge of the image; pixels outside count as sky"
    NON_FINITE = (
        2,
        "pixels in the stamp are masked, not finite or off the exposures; those with good "
        "neighbors are filled from them, the others count as sky",
    )
    BAND_MISSING = 4, "at least one of the model's bands is absent here; it counts as zero"
    TOO_MANY_MISSING = 8, "more bands are absent than the model allows; not classified"
    OFF_IMAGE = 16, "the position is not finite, or not on the image; not classified"
    EMPTY = 32, "all bands are constant or undefined in this stamp; not classified"


@overload
def decode_flags(flags: int | np.integer, *, kind: type[DescribedFlag] = ...) -> list[str]: ...


@overload
def decode_flags(
    flags: Sequence[int] | np.ndarray, *, kind: type[DescribedFlag] = ...
) -> list[list[str]]: ...


def decode_flags(
    flags: Any, *, kind: type[DescribedFlag] = StampFlag
) -> list[str] | list[list[str]]:
    """Names of the flags that are set.

    Parameters
    ----------
    flags : int or array_like of int, shape (n,)
        Values of a column of flags.
    kind : type of `~astroclust.flags.DescribedFlag`, optional
        Meaning of the bits: `StampFlag` for the column ``flags``,
        `~astroclust.selection.Cut` for ``cuts``, `~astroclust.catalogs.CatalogFlag` for
        ``flag_...``.

    Returns
    -------
    names : list of str, or list of n such lists
        Names of members of ``kind``, in the order of their bits.

    Raises
    ------
    ValueError
        If a bit is set that ``kind`` does not have.

    Examples
    --------
    >>> from astroclust import decode_flags
    >>> decode_flags([0, 5])
    [[], ['EDGE', 'BAND_MISSING']]
    """
    return kind.decode(flags)


def flag_absent(flags, present):
    """Set the flags of stamps on the image in which bands are absent.

    Parameters
    ----------
    flags : `~numpy.ndarray` of int32, shape (n,)
        Bits of `StampFlag`, modified in place.
    present : `~numpy.ndarray` of bool, shape (n, n_bands)
        Whether a band was observed.
    """
    on_image = flags & StampFlag.OFF_IMAGE == 0
    flags[on_image & ~present.any(axis=1)] |= StampFlag.EMPTY
    flags[on_image & ~present.all(axis=1)] |= StampFlag.BAND_MISSING
