# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Flags for masked catalog values."""

from astroclust.flags import DescribedFlag

__all__ = ["CatalogFlag"]


class CatalogFlag(DescribedFlag):
    """Bits of the ``flag_...`` columns: the reason why a value is masked.

    Numbers in the descriptions are the sentinel values in LEGUS files.

    Examples
    --------
    >>> from astroclust import decode_flags
    >>> from astroclust.catalogs import CatalogFlag
    >>> decode_flags([0, 2, 5], kind=CatalogFlag)
    [[], ['NOT_DETECTED'], ['OUT_OF_VIEW', 'NO_ERROR']]
    >>> CatalogFlag.NOT_DETECTED.description
    'no positive flux in this band (99.999)'
    """

    OUT_OF_VIEW = 1, "outside the field of view of this band (66.666)"
    NOT_DETECTED = 2, "no positive flux in this band (99.999)"
    NO_ERROR = 4, "flux too low for a defined error; the value is kept"
    NO_CORRECTION = 8, "its aperture correction is undefined (44.444)"
    UNDEFINED = 16, "unknown, or computed from an undefined magnitude"
    NO_FIT = 32, "no SED fit (0 or 200)"
    OUT_OF_RANGE = 64, "the value in the file is out of range for this column"
    UPPER_LIMIT = (
        128,
        "not detected, or the error is too large (1 mag): ``mag_lim_...`` has a limit",
    )
