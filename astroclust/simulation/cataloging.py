# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""LEGUS-like catalogs of simulated fields."""

from dataclasses import replace

import numpy as np
from astropy import units as u
from astropy.table import MaskedColumn, Table
from scipy.spatial import KDTree

from astroclust.catalogs import CatalogFlag, find_field, float_column
from astroclust.photometry import measure_photometry
from astroclust.selection import PRESETS, find_candidates, select_candidates
from astroclust.simulation.candidates import CORRECTION_STEPS
from astroclust.simulation.labels import label_noise
from astroclust.simulation.populations import field_population

__all__ = ["MATCH_RADIUS", "drawn_candidates", "field_catalog", "field_cuts", "template_field"]

#: Matching radius in pixels between sources and drawn candidates: a peak of an association may be
#: this far from its center.
MATCH_RADIUS = 5.0
# Errors of the mean aperture correction, NUV to I (mag): medians of the catalogs of NGC 628-C, NGC
# 628-E and NGC 1566.
_CORRECTION_ERRORS = (0.067, 0.060, 0.039, 0.039, 0.051)
# Number of bands required by LEGUS's fit.
_MIN_FILTERS = 4


def template_field(field):
    """LEGUS field that a simulated one is modeled on; `KeyError` if its images do not record it."""
    name = field.images.reference.meta.get("FIELD")
    if name is None:
        raise KeyError(
            "the headers of the images lack FIELD, the LEGUS field that they imitate; write a "
            "field as returned by simulate_field"
        )
    return find_field(name)


def field_cuts(like):
    """The cuts of LEGUS with the concentration-index cut of a field, if known."""
    cuts = PRESETS["legus"].cuts
    return replace(cuts, min_ci=like.ci_cut) if np.isfinite(like.ci_cut) else cuts


def field_catalog(field, like, *, workers=1, progress_bar=False):
    """Catalog that LEGUS would publish for a simulated field.

    It contains the result of `~astroclust.selection.find_candidates` with the LEGUS preset and the
    distance, extinction and concentration-index cut of the field, plus sources that only fail the
    cuts in number of bands or magnitude and were not inspected. Magnitudes have the mean aperture
    correction of the field.

    Parameters
    ----------
    field : `~astroclust.simulation.Field`
        Field drawn by `~astroclust.simulation.simulate_field`.
    like : `~astroclust.catalogs.LegusField`
        Its `template_field`.
    workers, progress_bar : optional
        See `~astroclust.selection.find_candidates`.

    Returns
    -------
    catalog : `~astropy.table.Table`
        Input of `~astroclust.catalogs.write_legus`. ``class_human`` and ``class_mean`` are those of
        the nearest drawn candidate within 5 pixels; sources without one are groups of stars, of
        class 4, which experts mislabel as often as others of that class. ``age``, ``mass`` and
        ``e_bv`` are the true values.
    """
    legus, cuts = PRESETS["legus"], field_cuts(like)
    extinction = dict(zip(field.images.filters, np.nan_to_num(like.extinction), strict=True))
    wide = replace(cuts, min_filters=0, max_absolute_v=np.inf)
    sources = find_candidates(
        field.images,
        preset=replace(legus, cuts=wide, extinction=extinction),
        workers=workers,
        progress_bar=progress_bar,
    )
    inspected = select_candidates(sources, cuts=cuts, distance=like.distance)["cuts"] == 0
    corrections = field_population(like.name).aperture_correction + CORRECTION_STEPS
    corrections = zip(corrections, _CORRECTION_ERRORS, strict=True)
    catalog = measure_photometry(
        Table({"id": np.arange(1, len(sources) + 1), "x": sources["x"], "y": sources["y"]}),
        field.images,
        apertures=legus.apertures,
        errors=legus.errors,
        zero_points=legus.zero_points,
        aperture_correction=dict(zip(field.images.filters, corrections, strict=True)),
        extinction=extinction,
        max_error=np.inf,
    )
    for name in field.images.filters:  # LEGUS has no upper limits
        catalog.remove_column(f"mag_lim_{name.lower()}")
        catalog[f"flag_{name.lower()}"] &= ~CatalogFlag.UPPER_LIMIT
    catalog["ra"], catalog["dec"] = field.images.wcs.wcs_pix2world(catalog["x"], catalog["y"], 0)
    catalog["ci"] = sources["ci"]
    # LEGUS has 0 if neither NUV nor U is good.
    n_filters = np.asarray(sources["n_filters"])
    catalog["n_filters"] = np.where(n_filters < _MIN_FILTERS, 0, n_filters)
    _add_truth(catalog, field, np.asarray(inspected))
    catalog.meta = {"FIELD": like.name}
    return catalog


def _add_truth(catalog, field, inspected):
    """Add labels of inspected sources, and true ages and masses of those bright enough."""
    positions = np.column_stack([catalog["x"], catalog["y"]])
    nearest, known = drawn_candidates(positions, field.candidates)
    # Sources that match no drawn candidate are chance groups of stars.
    chance = label_noise(np.full(len(positions), 4), seed=len(positions))
    human, mean = np.array(chance["class_mode"]), np.array(chance["class_mean"])
    human[known] = np.asarray(field.candidates["class_human"])[nearest]
    mean[known] = float_column(field.candidates, "class_mean")[nearest]
    catalog["class_human"] = np.where(inspected, human, 0)
    catalog["class_mean"] = np.where(inspected, np.where(mean > 0, mean, human), 0)
    fitted = np.asarray(catalog["n_filters"])[known] >= _MIN_FILTERS
    columns = ("age", "log_age", u.yr), ("mass", "log_mass", u.Msun), ("e_bv", "e_bv", u.mag)
    for name, true, unit in columns:
        values = np.full(len(positions), np.nan)
        drawn = np.where(fitted, float_column(field.truth, true)[nearest], np.nan)
        values[known] = drawn if name == true else 10**drawn
        catalog[name] = MaskedColumn(values, mask=np.isnan(values), unit=unit)
    # The true values stand for a perfect fit.
    catalog["fit_probability"] = np.where(catalog["age"].mask, 0.0, 1.0)


def drawn_candidates(positions, candidates):
    """Index of the candidate at each position, for the positions that have one."""
    drawn = np.column_stack([float_column(candidates, name) for name in ("x", "y")])
    rows = np.flatnonzero(np.isfinite(drawn).all(axis=1))
    if not len(rows) or not len(positions):
        return np.empty(0, int), np.zeros(len(positions), bool)
    distance, nearest = KDTree(drawn[rows]).query(positions)
    known = distance < MATCH_RADIUS
    return rows[nearest[known]], known
