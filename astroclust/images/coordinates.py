# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Celestial WCS of images, without distortions already removed by drizzling."""

import re
import warnings

from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from astropy.wcs.wcsapi import BaseHighLevelWCS

__all__ = ["wcs_of", "wcs_of_header"]

# Keywords of distortions by kind: SIP, lookup tables, detector columns, TPV (or SCAMP's).
_DISTORTIONS = {
    "SIP": r"(A|B|AP|BP)_(ORDER|DMAX|\d+_\d+)",
    "CPDIS": r"(CPDIS|CQDIS|CPERR|CQERR)\d|D[PQ]\d(\..+)?",
    "D2IM": r"D2IM(DIS|ERR)\d|D2IM\d(\..+)?|D2IMARR|AXISCORR",
    "PV": r"PV[12]_\d+",
}
_NO_DISTORTION = "CTYPE indicates no distortion"
_TABLES = {"CPDIS": "WCSDVARR", "D2IM": "D2IMARR"}


def wcs_of_header(header, hdus=None):
    """Celestial WCS of a header.

    Parameters
    ----------
    header : `~astropy.io.fits.Header`
        Header of the image; not modified.
    hdus : `~astropy.io.fits.HDUList`, optional
        The file, which may have lookup tables of distortions.

    Returns
    -------
    wcs : `~astropy.wcs.WCS` or None
        None if the header has no celestial coordinates.
    remark : str
        Distortions that were dropped, and the reason; empty if none.

    Raises
    ------
    ValueError
        If the coordinates cannot be used; the message says why.
    """
    dropped, reason = _stale_distortions(header, hdus)
    if dropped:
        header = header.copy()
        for key in _keywords(header, dropped):
            header.remove(key, ignore_missing=True, remove_all=True)
        for axis in (1, 2):
            ctype = str(header.get(f"CTYPE{axis}", "")).upper()
            if "SIP" in dropped:
                header[f"CTYPE{axis}"] = ctype.removesuffix("-SIP")
            if "TPV" in dropped:
                header[f"CTYPE{axis}"] = ctype.replace("-TPV", "-TAN")
    with warnings.catch_warnings():
        # Fixes of old date and unit formats are irrelevant to the caller.
        warnings.simplefilter("ignore", FITSFixedWarning)
        try:
            wcs = WCS(header, fobj=hdus)
            celestial = wcs.celestial if wcs.has_celestial else None
            if celestial is not None:
                celestial.wcs.set()
        except Exception as error:  # wcslib and astropy raise many types
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(
                f"the coordinates in its header cannot be used ({reason}); correct CTYPE, CRPIX, "
                "CRVAL and the CD matrix, or delete them and use pixel positions"
            ) from error
    return celestial, _remark(dropped, reason) if celestial is not None else ""


def wcs_of(wcs, name):
    """Celestial part of a user-supplied WCS, and a remark as in `wcs_of_header`."""
    if wcs is None:
        return None, ""
    if not isinstance(wcs, BaseHighLevelWCS):
        raise TypeError(
            f"{name}: coordinates must be a WCS, not {type(wcs).__name__}; create one with "
            "astropy.wcs.WCS(header)"
        )
    if not isinstance(wcs, WCS):
        return wcs, ""
    if not wcs.has_celestial:
        return None, ""
    wcs = wcs.celestial
    kinds = {
        "SIP": wcs.sip is not None,
        "CPDIS": wcs.cpdis1 is not None or wcs.cpdis2 is not None,
        "D2IM": wcs.det2im1 is not None or wcs.det2im2 is not None,
        "PV": _has_hidden_polynomial(wcs),
    }
    dropped = [kind for kind, given in kinds.items() if given]
    if not dropped or all(ctype.endswith("-SIP") for ctype in wcs.wcs.ctype):
        return wcs, ""
    wcs = wcs.deepcopy()
    wcs.sip = wcs.cpdis1 = wcs.cpdis2 = wcs.det2im1 = wcs.det2im2 = None
    if "PV" in dropped:
        header = fits.Header.fromstring(wcs.wcs.to_header(relax=True).replace("-TPV", "-TAN"))
        for key in _keywords(header, ["PV"]):
            del header[key]
        wcs = WCS(header)
    return wcs, _remark(dropped, _NO_DISTORTION)


def _has_hidden_polynomial(wcs):
    """Whether wcslib read PV keywords of a TAN projection as a SCAMP polynomial."""
    if not all(name.endswith("-TAN") for name in wcs.wcs.ctype):
        return False
    return "-TPV" in wcs.wcs.to_header(relax=True)


def _stale_distortions(header, hdus):
    """Types of distortion keywords that do not apply, and the reason."""
    ctypes = [str(header.get(f"CTYPE{axis}", "")).upper() for axis in (1, 2)]
    given = [kind for kind in _DISTORTIONS if any(_keywords(header, [kind]))]
    if all(ctype.endswith("-SIP") for ctype in ctypes):
        lost = [kind for kind in given if kind in _TABLES and not _has_table(hdus, kind)]
        if "SIP" not in given:
            return ["SIP", *lost], "CTYPE is -SIP, but its polynomial is missing"
        return lost, "their lookup tables are missing"
    if any(ctype.endswith("-TPV") for ctype in ctypes) and "PV" not in given:
        return ["TPV"], "CTYPE is -TPV, but its polynomial is missing"
    # Projections other than TAN have PV parameters of their own.
    if not all(ctype.endswith(("-TAN", "-TAN-SIP")) for ctype in ctypes):
        given = [kind for kind in given if kind != "PV"]
    return given, _NO_DISTORTION


def _has_table(hdus, kind):
    return hdus is not None and any(hdu.name == _TABLES[kind] for hdu in hdus)


def _keywords(header, kinds):
    kinds = [kind for kind in kinds if kind in _DISTORTIONS]
    pattern = re.compile("|".join(f"(?:{_DISTORTIONS[kind]})" for kind in kinds) or "(?!)")
    return [key for key in dict.fromkeys(header) if pattern.fullmatch(key)]


def _remark(dropped, reason):
    if not dropped:
        return ""
    return (
        f"{', '.join(dropped)} distortion keywords are ignored, as {reason}; if the distortion "
        "applies, end CTYPE1 and CTYPE2 in -SIP or -TPV and keep its tables in the file"
    )
