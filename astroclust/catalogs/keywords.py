# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Metadata keywords of tables and FITS headers, and their meanings."""

import re
from dataclasses import dataclass

__all__ = ["KEYWORDS", "Keyword", "find_keyword"]

# A keyword with the number of a band, run or cut.
_NUMBERED = re.compile(r"(.*[A-Z])(\d+)")


@dataclass(frozen=True)
class Keyword:
    """Meaning of a metadata keyword.

    Parameters
    ----------
    meaning : str
        Short description, which fits into the comment of a FITS card.
    unit : str, optional
        Unit of the value.
    each : str, optional
        Item that a number after the keyword refers to: ``"band"``, ``"run"`` or ``"cut"``.

    Examples
    --------
    >>> from astroclust.catalogs.keywords import KEYWORDS
    >>> KEYWORDS["DISTANCE"].comment
    '[Mpc] distance of the galaxy'
    """

    meaning: str
    unit: str = ""
    each: str = ""

    @property
    def comment(self):
        """Comment of the FITS card."""
        return f"[{self.unit}] {self.meaning}" if self.unit else self.meaning


#: Keywords that astroclust writes to table metadata; at most eight characters including the number.
KEYWORDS = {
    "CANDVERS": Keyword("astroclust version that selected the candidates"),
    "CANDDATE": Keyword("date of the selection (UTC)"),
    "PHOTUTIL": Keyword("version of photutils"),
    "SEP": Keyword("version of sep"),
    "ASTROPY": Keyword("version of astropy"),
    "PRESET": Keyword("preset, and changes to it"),
    "FIELD": Keyword("LEGUS field"),
    "DISTANCE": Keyword("distance of the galaxy", "Mpc"),
    "DISTFROM": Keyword("source of the distance"),
    "DETIMAGE": Keyword("detection image"),
    "DETMETH": Keyword("method of detection"),
    "DETMODEL": Keyword("detector"),
    "THRESH": Keyword("detection threshold, sigma of sky or score"),
    "NPIXELS": Keyword("minimum number of connected pixels", "pix"),
    "RECENTER": Keyword("band in which positions were recentered"),
    "APERTURE": Keyword("radius of the aperture", "pix"),
    "APOTHERS": Keyword("radii of further apertures", "pix"),
    "SKYINNER": Keyword("inner radius of the sky annulus", "pix"),
    "SKYOUTER": Keyword("outer radius of the sky annulus", "pix"),
    "SKYSTAT": Keyword("statistic of the sky"),
    "FLUXERRS": Keyword("kind of flux errors"),
    "APCORR": Keyword("aperture correction"),
    "MINCI": Keyword("minimum concentration index", "mag"),
    "MAXERR": Keyword("maximum error of a good measurement", "mag"),
    "MINFILT": Keyword("minimum number of bands with a good measurement"),
    "REQUIRED": Keyword("bands that must have a good measurement"),
    "NEEDSREF": Keyword("V must be one of the two adjacent bands"),
    "MAXABSV": Keyword("faintest absolute V magnitude (Vega)", "mag"),
    "MINSEP": Keyword("minimum separation of candidates", "pix"),
    "EXCLUDE": Keyword("regions without candidates"),
    "FOOTPRNT": Keyword("regions to which candidates are restricted"),
    "FILTER": Keyword("filter", each="band"),
    "ROLE": Keyword("role of the filter in the band system", each="band"),
    "IMFILE": Keyword("image file", each="band"),
    "IMSHA": Keyword("SHA-256 of the pixels, first 16 digits", each="band"),
    "ZPVEGA": Keyword("Vega zero point for 1 unit of flux", "mag", "band"),
    "GALEXT": Keyword("Galactic extinction subtracted", "mag", "band"),
    "APCOR": Keyword("aperture correction added", "mag", "band"),
    "COMPVERS": Keyword("astroclust version that injected the clusters"),
    "SEED": Keyword("random seed of the clusters"),
    "NCLUSTER": Keyword("number of clusters per magnitude and radius"),
    "ROUNDS": Keyword("rounds of injection"),
    "RADUNIT": Keyword("unit of the radii"),
    "DETECTED": Keyword("sources detected"),
    "ADJACENT": Keyword("left after ADJACENT_BANDS"),
    "FILTERS": Keyword("left after FILTERS"),
    "CONCENTR": Keyword("left after CONCENTRATION_INDEX"),
    "MAGNITUD": Keyword("left after MAGNITUDE"),
    "DUPLICAT": Keyword("left after DUPLICATE"),
    "REGION": Keyword("left after REGION"),
    "REJECT": Keyword("rejected by this cut, regardless of others", each="cut"),
    "ACVERS": Keyword("astroclust version of the classification", each="run"),
    "ACDAY": Keyword("date of the classification (UTC)", each="run"),
    "ACTORC": Keyword("version of torch", each="run"),
    "ACPREF": Keyword("column prefix of this run", each="run"),
    "ACMOD": Keyword("classifier", each="run"),
    "ACSHA": Keyword("SHA-256 of the weights, first 16 digits", each="run"),
    "ACPREC": Keyword("arithmetic precision", each="run"),
    "ACDATA": Keyword("training set", each="run"),
    "ACPHOT": Keyword("photometry model", each="run"),
    "ACIMGS": Keyword("filter, SHA-256 of the pixels, image", each="run"),
    "SCHEME": Keyword("class scheme"),
    "CLASSES": Keyword("class schemes by column prefix"),
}


def find_keyword(key):
    """Find the meaning of a keyword, with or without a number.

    Parameters
    ----------
    key : str
        Keyword, such as ``"DISTANCE"`` or ``"FILTER2"``.

    Returns
    -------
    keyword : `Keyword` or None
        None if astroclust does not write it.

    Examples
    --------
    >>> from astroclust.catalogs.keywords import find_keyword
    >>> find_keyword("GALEXT4").unit, find_keyword("AIRMASS")
    ('mag', None)
    """
    if key in KEYWORDS:
        known = KEYWORDS[key]
        return known if known.each in ("", "run") else None
    match = _NUMBERED.fullmatch(key)
    known = KEYWORDS.get(match[1]) if match else None
    return known if known is not None and known.each else None
