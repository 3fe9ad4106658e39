# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Candidate cuts, and the reason for each rejection."""

import itertools
import re
from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.coordinates import Distance
from astropy.table import Column, Table
from scipy.spatial import KDTree

from astroclust.catalogs import float_column, float_values
from astroclust.flags import DescribedFlag
from astroclust.instruments import find_band_system

__all__ = [
    "LEGUS_CUTS",
    "NGC1559_CUTS",
    "PHANGS_CUTS",
    "Cut",
    "Cuts",
    "cut_flow",
    "select_candidates",
]


# Suffix of the flux columns of further apertures; see `measure_photometry`.
_FURTHER_RADIUS = re.compile(r"_r[0-9.]+$")


class Cut(DescribedFlag):
    """Bits of the ``cuts`` column: reasons for rejection.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import decode_flags
    >>> from astroclust.selection import select_candidates
    >>> from astroclust.selection import Cut
    >>> table = Table({"ci": [1.5, 1.1], "mag_err_f555w": [0.1, 0.5]})
    >>> decode_flags(select_candidates(table)["cuts"], kind=Cut)
    [[], ['ADJACENT_BANDS', 'FILTERS', 'CONCENTRATION_INDEX']]
    >>> Cut.CONCENTRATION_INDEX.description
    'not more extended than a star, or without a concentration index'
    """

    ADJACENT_BANDS = 1, "not well measured in two adjacent bands"
    FILTERS = 2, "not well measured in enough bands"
    CONCENTRATION_INDEX = 4, "not more extended than a star, or without a concentration index"
    MAGNITUDE = 8, "fainter in V than the limit, or without a magnitude there"
    DUPLICATE = 16, "duplicate of another candidate within ``min_separation``"
    REGION = 32, "in an excluded region, or outside the footprint"


@dataclass(frozen=True)
class Cuts:
    """Selection limits for candidates.

    Parameters
    ----------
    min_ci : float
        Minimum concentration index (mag), above that of stars, which depends on the camera (LEGUS:
        1.2 to 1.4, by field).
    max_error : float
        Maximum magnitude error of a good measurement.
    min_filters : int
        Minimum number of bands with a good measurement, including those in ``required``; all bands
        if there are fewer.
    max_absolute_v : float
        Faintest absolute magnitude in V (Vega).
    min_separation : float
        Maximum separation of duplicates (pixels); the later one in the table is kept.
    needs_reference : bool
        Whether the reference band, V, must be one of the two adjacent bands. Published descriptions
        differ; `False` reproduces the released catalogs.
    required : tuple of str
        Roles of bands that need a good measurement, if present.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.selection import Cuts, select_candidates
    >>> table = Table({"ci": [1.35, 1.45], "mag_err_f555w": [0.1, 0.1]})
    >>> print(select_candidates(table, cuts=Cuts(min_ci=1.4))["cuts"].tolist())
    [4, 0]
    """

    min_ci: float = 1.3
    max_error: float = 0.3
    min_filters: int = 4
    max_absolute_v: float = -6.0
    min_separation: float = 0.5
    needs_reference: bool = False
    required: tuple[str, ...] = ("B", "V", "I")


#: The cuts of LEGUS (Adamo et al. 2017, and its pipeline; Wei et al. 2020, sec. 3.1).
LEGUS_CUTS = Cuts()
#: The cuts for NGC 1559 (Wei et al. 2020, sec. 3.1).
NGC1559_CUTS = Cuts(max_absolute_v=-7.5)
#: Cuts for PHANGS-HST. A single concentration index, with the cut of its camera, replaces the
#: several indices of the survey, which are not public; all magnitudes are accepted.
PHANGS_CUTS = Cuts(min_ci=1.25, max_absolute_v=np.inf)


def select_candidates(
    table,
    *,
    cuts=LEGUS_CUTS,
    distance=None,
    v_magnitude=None,
    roles=None,
    system="legus",
    left_out=None,
):
    """Apply cuts to a table of sources, and record the reason for each rejection.

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Table with ``ci`` and, for each filter, ``mag_err_<filter>``, or ``flux_<filter>`` and
        ``flux_err_<filter>``; see `find_candidates` and `~astroclust.catalogs.read_legus`. If it
        has a column ``n_filters``, that is the number of good measurements. Positions are needed to
        find duplicates.
    cuts : `Cuts`, optional
        The limits.
    distance : `~astropy.units.Quantity` or float, optional
        Distance of the galaxy (Mpc if it has no unit). By default, there is no cut in absolute
        magnitude.
    v_magnitude : array_like of float, shape (n,), optional
        Total V magnitudes for that cut; by default those of the table. LEGUS used magnitudes
        corrected by concentration index (`~astroclust.photometry.ci_correction`).
    roles : mapping, optional
        Mapping from filters that ``system`` does not have to the bands that they represent.
    system : str or `~astroclust.instruments.BandSystem`, optional
        The bands, in order.
    left_out : array_like of bool, shape (n,), optional
        Rows excluded because of their position.

    Returns
    -------
    result : `~astropy.table.Table`, length n
        A copy of the table with ``cuts`` (bits of `Cut`; 0 for a candidate) and, if it had none,
        ``n_filters``.

    Raises
    ------
    KeyError
        If the table lacks a column that a cut needs.
    ValueError
        If the table has a column ``cuts``, or an argument is invalid.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.selection import select_candidates
    >>> table = Table({"ci": [1.5, 1.1], "mag_err_f555w": [0.1, 0.1]})
    >>> result = select_candidates(table)
    >>> candidates = result[result["cuts"] == 0]
    >>> len(candidates)
    1
    """
    if "cuts" in table.colnames:
        raise ValueError("the table already has a column cuts; rename it")
    system = find_band_system(system)
    errors = _errors(table, roles or {}, system)
    with np.errstate(invalid="ignore"):
        good = {role: error <= cuts.max_error for role, error in errors.items()}
    given = "n_filters" in table.colnames
    n_filters = float_column(table, "n_filters") if given else _count(good, cuts)
    flags = np.zeros(len(table), np.int32)
    flags[~_adjacent(good, cuts, system)] |= Cut.ADJACENT_BANDS
    flags[~(n_filters >= min(cuts.min_filters, len(good)))] |= Cut.FILTERS
    flags[~(float_column(table, "ci") >= cuts.min_ci)] |= Cut.CONCENTRATION_INDEX
    if distance is not None and np.isfinite(cuts.max_absolute_v):
        limit = cuts.max_absolute_v + _modulus(distance)
        flags[~(_v_magnitude(table, v_magnitude, system) <= limit)] |= Cut.MAGNITUDE
    if left_out is not None:
        flags[_rows(left_out, len(table))] |= Cut.REGION
    if {"x", "y"} <= set(table.colnames):
        flags[_duplicates(table, flags == 0, cuts.min_separation)] |= Cut.DUPLICATE
    result = table.copy()
    if "n_filters" not in table.colnames:
        needed = f"; 0 unless {', '.join(cuts.required)} are included" if cuts.required else ""
        result["n_filters"] = Column(
            n_filters.astype(np.int32),
            description=f"bands with an error of at most {cuts.max_error:g} mag, without that of "
            f"the aperture correction{needed}",
        )
    bits = ", ".join(f"{cut.value} {cut.name}" for cut in Cut)
    result["cuts"] = Column(
        flags, description=f"reasons for rejection (0 for candidates), bits: {bits}"
    )
    return result


def _rows(left_out, n):
    rows = np.asarray(left_out)
    if rows.shape != (n,) or rows.dtype != bool:
        raise ValueError(
            f"left_out must be bool of shape ({n},), not {rows.dtype} of shape {rows.shape}"
        )
    return rows


def _errors(table, roles, system):
    """Magnitude errors by role, or by filter if it has no role; NaN if missing."""
    known = {**{role: role for role in system.roles}, **system.filters}
    known.update({name.upper(): role for name, role in roles.items()})
    errors = {}
    for name in table.colnames:
        kind, _, filter_ = name.rpartition("_err_")
        # Flux errors take precedence: LEGUS cut before the aperture correction.
        if (
            kind not in ("mag", "flux")
            or (kind == "mag" and f"flux_err_{filter_}" in table.colnames)
            or _FURTHER_RADIUS.search(filter_)
        ):
            continue
        error = float_column(table, name)
        if kind == "flux":
            flux = float_column(table, f"flux_{filter_}")
            with np.errstate(divide="ignore", invalid="ignore"):
                error = np.where(flux > 0, 2.5 / np.log(10) * error / flux, np.nan)
        errors[known.get(filter_.upper(), filter_)] = error
    if "ci" not in table.colnames or not errors:
        raise KeyError(
            "the table needs columns ci and mag_err_<filter>, or flux_<filter> and "
            f"flux_err_<filter>, as from find_candidates; it has {', '.join(table.colnames)}"
        )
    return errors


def _count(good, cuts):
    """LEGUS's number of good filters, or 0 if a required one is not good."""
    count = np.sum(list(good.values()), axis=0)
    needed = [good[role] for role in cuts.required if role in good]
    return np.where(np.all(needed, axis=0), count, 0) if needed else count


def _adjacent(good, cuts, system):
    """Whether two adjacent bands are good, or any band if none are adjacent."""
    reference = system.reference[0]
    pairs = [
        good[first] & good[second]
        for first, second in itertools.pairwise(system.roles)
        if first in good
        and second in good
        and (not cuts.needs_reference or reference in (first, second))
    ]
    return np.any(pairs, axis=0) if pairs else np.any(list(good.values()), axis=0)


def _modulus(distance):
    megaparsec = u.Quantity(distance, u.Mpc)
    if not megaparsec > 0:
        raise ValueError(f"distance must be positive, not {distance!r}")
    return Distance(megaparsec).distmod.value


def _v_magnitude(table, given, system):
    if given is not None:
        values = float_values(given)
        if values.shape != (len(table),):
            raise ValueError(f"v_magnitude must have shape ({len(table)},), not {values.shape}")
        return values
    for filter_, role in system.filters.items():
        if role == system.reference[0] and f"mag_{filter_.lower()}" in table.colnames:
            return float_column(table, f"mag_{filter_.lower()}")
    raise KeyError(
        "the table has no magnitude in V, such as mag_f555w, which the cut in absolute magnitude "
        "requires; pass v_magnitude, or omit distance"
    )


def _duplicates(table, candidates, separation):
    """The earlier candidate of each close pair, which is the one that LEGUS dropped."""
    rows = np.flatnonzero(candidates)
    positions = np.column_stack([float_column(table, name)[rows] for name in ("x", "y")])
    rows = rows[np.isfinite(positions).all(axis=1)]
    positions = positions[np.isfinite(positions).all(axis=1)]
    pairs = KDTree(positions).query_pairs(separation, output_type="ndarray") if len(rows) else []
    return rows[np.unique([first for first, _ in pairs]).astype(int)]


def cut_flow(table):
    """Numbers of sources rejected by each cut and remaining after it.

    Parameters
    ----------
    table : `~astropy.table.Table`
        All sources, as returned by `select_candidates`; or candidates of `find_candidates`,
        including those read from a file, with the numbers in their metadata.

    Returns
    -------
    flow : `~astropy.table.Table`
        All sources, ``DETECTED``, then the cuts in order: ``cut``, ``rejected`` (by this cut,
        regardless of the others), ``newly_rejected`` (by this cut and no earlier one), and
        ``left``, which is that of the previous row minus ``newly_rejected``.

    Raises
    ------
    KeyError
        If the table has neither a column ``cuts`` nor the numbers in its metadata.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.selection import cut_flow, select_candidates
    >>> table = Table({"ci": [1.5, 1.1], "mag_err_f555w": [0.1, 0.5]})
    >>> print(cut_flow(select_candidates(table)))
            cut         rejected newly_rejected left
    ------------------- -------- -------------- ----
               DETECTED        0              0    2
         ADJACENT_BANDS        1              1    1
                FILTERS        1              0    1
    CONCENTRATION_INDEX        1              0    1
              MAGNITUDE        0              0    1
              DUPLICATE        0              0    1
                 REGION        0              0    1
    """
    if "cuts" in table.colnames:
        flags = np.asarray(table["cuts"])
        detected, counts, passed = len(flags), [], 0
        for cut in Cut:
            passed |= cut
            counts.append((int(np.sum(flags & cut != 0)), int(np.sum(flags & passed == 0))))
    else:
        detected, counts = _noted_counts(table.meta)
    rows = [("DETECTED", 0, 0, detected)]
    for cut, (rejected, left) in zip(Cut, counts, strict=True):
        rows.append((cut.name, rejected, rows[-1][-1] - left, left))
    return Table(rows=rows, names=["cut", "rejected", "newly_rejected", "left"])


def flow_meta(flow):
    """A `cut_flow` as metadata, with keywords valid in FITS."""
    meta = {row["cut"][:8]: int(row["left"]) for row in flow}
    return meta | {f"REJECT{i}": int(row["rejected"]) for i, row in enumerate(flow) if i}


def _noted_counts(meta):
    """Number of sources, and numbers rejected and left by each cut, from `flow_meta`."""
    try:
        counts = [
            (int(meta[f"REJECT{i}"]), int(meta[cut.name[:8]])) for i, cut in enumerate(Cut, 1)
        ]
        return int(meta["DETECTED"]), counts
    except (KeyError, TypeError, ValueError):
        raise KeyError(
            "the table has neither a column cuts nor counts of cuts in its metadata; use the "
            "output of select_candidates or find_candidates"
        ) from None
