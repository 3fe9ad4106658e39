# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Why values of catalogs are masked."""

from enum import IntFlag

__all__ = ["CATALOG_FLAG_MEANINGS", "CatalogFlag"]


class CatalogFlag(IntFlag):
    """The bits of the ``flag_...`` columns; `CATALOG_FLAG_MEANINGS` says what each means.

    Examples
    --------
    >>> from astroclust import decode_flags
    >>> from astroclust.catalogs import CATALOG_FLAG_MEANINGS, CatalogFlag
    >>> decode_flags([0, 2, 5], kind=CatalogFlag)
    [[], ['NOT_DETECTED'], ['OUT_OF_VIEW', 'NO_ERROR']]
    >>> CATALOG_FLAG_MEANINGS[CatalogFlag.NOT_DETECTED]
    'no positive flux in this band (99.999)'
    """

    OUT_OF_VIEW = 1
    NOT_DETECTED = 2
    NO_ERROR = 4
    NO_CORRECTION = 8
    UNDEFINED = 16
    NO_FIT = 32
    OUT_OF_RANGE = 64


#: Why a value of a catalog is masked; the numbers are those that files of LEGUS have for it.
CATALOG_FLAG_MEANINGS = {
    CatalogFlag.OUT_OF_VIEW: "outside the field of view of this band (66.666)",
    CatalogFlag.NOT_DETECTED: "no positive flux in this band (99.999)",
    CatalogFlag.NO_ERROR: "so little flux that its error is undefined; the value is kept",
    CatalogFlag.NO_CORRECTION: "its aperture correction is undefined (44.444)",
    CatalogFlag.UNDEFINED: "not known, or computed from a magnitude that is none",
    CatalogFlag.NO_FIT: "no model was fitted to the colors (0 or 200)",
    CatalogFlag.OUT_OF_RANGE: "the file has a number that this column cannot have",
}
