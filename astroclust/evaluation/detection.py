# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Completeness and purity of source detection."""

from dataclasses import dataclass, fields

import numpy as np
from astropy import units as u
from astropy.table import Table

from astroclust.catalogs import float_values
from astroclust.catalogs.positions import find_pixel_columns, find_sky_columns
from astroclust.evaluation.fractions import FRACTION, add_fraction
from astroclust.evaluation.matching import (
    common_classes,
    coordinates,
    has_classes,
    match_by_score,
    match_nearest,
    nearest_other,
    number_and_unit,
    table_classes,
)
from astroclust.instruments import LEGUS_BANDS

__all__ = ["DetectionScores", "detection_scores"]

# Names of magnitude columns, in order of preference: of simulated truth, and measured in V.
_MAGNITUDES = (
    "mag_v",
    *(f"mag_{name.lower()}" for name, role in LEGUS_BANDS.filters.items() if role == "V"),
)
# Edges of the bins of separation, and radii of average precision, in units of the radius.
_SEPARATIONS = (0, 1, 1.5, 2, 2.5, 3, 4, 5)
_RADII = (0.5, 1, 1.5, 2.5)
# Edges of the bins of flux ratio.
_RATIOS = (1, 1.5, 3, 10, np.inf)
# Number of crowding bins, with approximately equal numbers of true sources.
_CROWDING_BINS = 4


@dataclass(frozen=True, eq=False)
class DetectionScores:
    """Completeness and purity of detected sources; see `detection_scores`.

    Every fraction has a 68 % interval (Wilson 1927, JASA 22, 209) in the columns ending in
    ``_low`` and ``_high``; it is NaN if there are no objects.

    Parameters
    ----------
    overall : `~astropy.table.Table`
        One row: ``n_true``, the number of true sources; ``completeness``, the fraction of them that
        is detected; ``n_found``, the number of detections that count; and ``purity``, the fraction
        of them that is true.
    by_magnitude : `~astropy.table.Table`
        The same per magnitude bin, ``low`` to ``high``, of true magnitudes for completeness and
        measured ones for purity. Empty if truth has no magnitudes.
    by_class : `~astropy.table.Table`
        The same per ``class``, with its ``name``: true classes for completeness and predicted ones
        for purity, for which the class must be correct. Empty if truth has no classes.
    by_crowding : `~astropy.table.Table`
        The same per bin of separation from the nearest other true source, ``low`` to ``high``.
    curve : `~astropy.table.Table`
        One row per threshold on the score, from the highest: ``threshold``, ``total``, ``purity``
        and ``completeness``, as from `purity_curve`. Empty if there are no scores.
    average_precision : `~astropy.table.Table`
        The area under the curve, ``average_precision``, for each matching ``radius``. Empty if
        there are no scores.
    pairs : `~astropy.table.Table`
        Pairs of true sources that are mutual nearest neighbors, per bin of separation,
        ``separation_low`` to ``separation_high``, and flux ratio, ``ratio_low`` to ``ratio_high``:
        ``n``, and ``recovered``, the fraction with both sources detected. Empty if truth has no
        magnitudes.
    matches : `~astropy.table.Table`
        One row per match: ``row_found`` and ``row_true``, from 0, and ``separation``.
    radius : `~astropy.units.Quantity`
        Maximum separation of a match.
    limit : float or None
        Magnitude to which truth is complete, if given.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.evaluation import detection_scores
    >>> truth = Table({"x": [10.0, 40.0], "y": [10.0, 10.0], "class": [1, 2]})
    >>> scores = detection_scores(truth[:1], truth)
    >>> scores.by_class["class", "completeness"].pprint()
    class completeness
    ----- ------------
        1        1.000
        2        0.000
        3          nan
        4          nan
    """

    overall: Table
    by_magnitude: Table
    by_class: Table
    by_crowding: Table
    curve: Table
    average_precision: Table
    pairs: Table
    matches: Table
    radius: u.Quantity
    limit: float | None

    @property
    def completeness(self):
        """Fraction of the true sources that is detected."""
        return float(self.overall["completeness"][0])

    @property
    def purity(self):
        """Fraction of the detected sources that is true."""
        return float(self.overall["purity"][0])

    @property
    def note(self):
        """Effect of incomplete truth on the scores; empty if truth is complete."""
        if self.limit is None:
            return ""
        row = self.overall[0]
        return (
            f"truth is assumed to be complete to {self.limit:g} mag: purity and precision use the "
            f"{row['n_found']} detected sources that are not fainter, completeness and recall all "
            f"{row['n_true']} true sources"
        )

    @property
    def content(self):
        """All tables and the note, for JSON."""
        names = [field.name for field in fields(self) if field.name != "matches"]
        content = {name: getattr(self, name) for name in names}
        radius = {"radius": float(self.radius.value), "unit": str(self.radius.unit)}
        return content | radius | {"note": self.note}

    def __str__(self):
        row = self.overall[0]
        lines = [
            f"{name} {row[name]:.3f} ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f}) of "
            f"{row[total]} {what}"
            for name, total, what in (
                ("completeness", "n_true", "true sources"),
                ("purity", "n_found", "found sources"),
            )
        ]
        lines += [
            f"average precision {value:.3f} within {radius:g} {self.radius.unit}"
            for radius, value in self.average_precision.iterrows()
        ]
        return "\n".join([*lines, self.note] if self.note else lines)


@dataclass(frozen=True, eq=False)
class _Sources:
    """Positions, magnitudes (NaN if unknown), classes (0 if unknown) and whether sources count."""

    points: np.ndarray
    magnitudes: np.ndarray
    classes: np.ndarray
    counted: np.ndarray

    def __len__(self):
        return len(self.points)

    def take(self, rows):
        """Select sources."""
        return _Sources(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class _Matched:
    """Sources of both tables, and the row of the true source of each detection, or -1."""

    found: _Sources
    true: _Sources
    partner: np.ndarray

    @property
    def hit(self):
        """Mask of detections that are true."""
        return (self.partner >= 0) & self.true.counted[self.partner]

    @property
    def counted(self):
        """Mask of detections that count for purity: those known to be true or false."""
        unknown = (self.partner >= 0) & (self.true.classes[self.partner] == 0)
        return self.found.counted & (self.hit | ~unknown)

    @property
    def recovered(self):
        """Mask of true sources that are detected."""
        result = np.zeros(len(self.true), bool)
        result[self.partner[self.hit]] = True
        return result

    def score(self, table, true_rows, found_rows, hit=None):
        """Add completeness and purity to a table, given the row of each source, or -1."""

        def count(rows, which):
            return np.bincount(rows[which & (rows >= 0)], minlength=len(table))

        counted, hit = self.counted, self.hit if hit is None else hit
        table["n_true"] = count(true_rows, self.true.counted)
        add_fraction(
            table,
            "completeness",
            count(true_rows, self.recovered),
            table["n_true"],
            "fraction of true sources that are detected",
        )
        table["n_found"] = count(found_rows, counted)
        add_fraction(
            table,
            "purity",
            count(found_rows, counted & hit),
            table["n_found"],
            "fraction of detected sources that are true",
        )
        return table


def detection_scores(
    found,
    truth,
    *,
    radius=2.0,
    classes=None,
    magnitude=None,
    limit=None,
    score=None,
    radii=None,
    separations=None,
    width=0.5,
):
    """Completeness and purity of detected sources.

    A detection is true if it and a true source are mutual nearest neighbors within a radius.

    Parameters
    ----------
    found : `~astropy.table.Table`
        Detected sources with positions, such as those from `~astroclust.detection.find_sources` or
        `~astroclust.classification.classify_table`. It may be empty.
    truth : `~astropy.table.Table`
        True sources with positions, such as those from `~astroclust.simulation.simulate_field` or
        a LEGUS catalog; and ``class`` or, if missing, ``class_human``, if classes are used.
    radius : `~astropy.units.Quantity` or float, optional
        Maximum separation, in pixels or, as an angle, on the sky.
    classes : sequence of int, optional
        Classes that count; by default all. Rows of ``found`` with another class are not detections;
        those that match a true source of another class are false, and those that match one without
        a class do not count for purity.
    magnitude : str or tuple of str, optional
        Name of the magnitude column in both tables; or two names, for ``found`` and ``truth``, None
        for a table without one. By default ``mag_v`` or, if missing, that of a filter in V, such as
        ``mag_f555w``.
    limit : float, optional
        Magnitude to which truth is complete, such as that of a human catalog. Purity and precision
        then only count detections measured to be not fainter; completeness and recall count all
        true sources. By default, truth is complete.
    score : str, optional
        Column of ``found`` with a score, such as a probability, for thresholds; by default, there
        are none. Rows without a score do not pass any threshold.
    radii : sequence of float, optional
        Matching radii for the average precision, in the unit of ``radius``; by default 0.5, 1, 1.5
        and 2.5 times ``radius``.
    separations : sequence of float, optional
        Bin edges of the separations of pairs, in the unit of ``radius``; by default 0, 1, 1.5, 2,
        2.5, 3, 4 and 5 times ``radius``.
    width : float, optional
        Width of the magnitude bins.

    Returns
    -------
    scores : `DetectionScores`
        Completeness and purity as a function of magnitude, class, crowding and threshold, and the
        fraction of resolved pairs of true sources.

    Raises
    ------
    KeyError
        If a table lacks positions or one of the requested columns.
    ValueError
        If truth is empty, a row has no position, or an argument is invalid.

    Notes
    -----
    For thresholds and average precision, detections are matched in order of decreasing score to the
    nearest true source that is not yet matched (Everingham et al. 2010, IJCV 88, 303), so that
    matches above a threshold do not depend on sources below it. Average precision is the area under
    the precision-recall curve, using the highest precision at this recall or above. Flux ratios are
    those of the brighter to the fainter source of a pair.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.evaluation import detection_scores
    >>> truth = Table({"x": [10.0, 40.0], "y": [10.0, 10.0], "mag_v": [21.0, 24.0]})
    >>> found = Table({"x": [10.4, 80.0], "y": [10.0, 30.0], "probability": [0.9, 0.6]})
    >>> scores = detection_scores(found, truth, score="probability")
    >>> scores.completeness, scores.purity
    (0.5, 0.5)
    >>> print(scores.curve)
    threshold total purity completeness
    --------- ----- ------ ------------
        0.900     1  1.000        0.500
        0.600     2  0.500        0.500
    """
    radius, unit = number_and_unit(
        radius if isinstance(radius, u.Quantity) else radius * u.pix, "radius"
    )
    for name, value in (("radius", radius), ("width", width)):
        if not value > 0:
            raise ValueError(f"{name} must be positive, not {value}")
    radii = _increasing(radii, "radii", np.multiply(_RADII, radius), unit)
    separations = _increasing(separations, "separations", np.multiply(_SEPARATIONS, radius), unit)
    classes = None if classes is None else list(classes)
    detected, true, scheme = _sources(found, truth, unit, classes, magnitude, limit)
    rows = np.arange(len(found))
    if classes is not None and has_classes(found):
        rows = rows[np.isin(detected.classes, classes)]
    scores = np.full(len(found), np.nan) if score is None else _column(found, score, "found")
    detected, scores = detected.take(rows), scores[rows]
    rows_found, rows_true, separation = match_nearest(detected.points, true.points, radius)
    partner = np.full(len(rows), -1)
    partner[rows_found] = rows_true
    matched = _Matched(detected, true, partner)
    return DetectionScores(
        overall=_overall(matched, radius * unit),
        by_magnitude=_by_magnitude(matched, width),
        by_class=_by_class(matched, scheme, classes),
        by_crowding=_by_crowding(matched, unit),
        curve=_curve(matched, scores, radius),
        average_precision=_average_precision(matched, scores, radii if score else [], unit),
        pairs=_pairs(matched, separations, unit),
        matches=_match_table(rows[rows_found], rows_true, separation * unit),
        radius=radius * unit,
        limit=limit,
    )


def _increasing(values, name, default, unit):
    """Separations as numbers, checked to be increasing."""
    values = u.Quantity(default if values is None else values, unit).value
    if values.ndim != 1 or len(values) < 1 or values[0] < 0 or not np.all(np.diff(values) > 0):
        raise ValueError(f"{name} must be increasing and not negative, not {values.tolist()}")
    return values


def _sources(found, truth, unit, classes, magnitude, limit):
    """Sources of both tables, and the scheme of their classes."""
    found_classes, true_classes, scheme = _classes(found, truth, classes)
    found_magnitudes, true_magnitudes = _magnitudes(found, truth, magnitude)
    counted = np.ones(len(truth), bool) if classes is None else np.isin(true_classes, classes)
    if not counted.any():
        which = "" if classes is None else f" of classes {classes}"
        raise ValueError(f"truth has no sources{which}; use a table with some")
    true = _Sources(_points(truth, "truth", unit), true_magnitudes, true_classes, counted)
    counted = np.ones(len(found), bool) if limit is None else found_magnitudes <= limit
    if limit is not None and len(found) and np.isnan(found_magnitudes).all():
        raise ValueError(
            "limit requires magnitudes of the detected sources; measure them with "
            "measure_photometry, or set their column with magnitude="
        )
    found = _Sources(_points(found, "found", unit), found_magnitudes, found_classes, counted)
    return found, true, scheme


def _points(table, which, unit):
    """Positions of all rows."""
    in_pixels, on_sky = find_pixel_columns(table)[0], find_sky_columns(table)
    if unit == u.pix and on_sky and not in_pixels:
        raise ValueError(
            f"{which} only has sky positions; set radius to an angle, such as 0.1 * u.arcsec"
        )
    if unit == u.arcsec and in_pixels and not on_sky:
        raise ValueError(
            f"{which} only has pixel positions; set radius in pixels, or add ra and dec"
        )
    points = coordinates(table, unit)
    lost = np.count_nonzero(~np.isfinite(points).all(axis=1))
    if lost:
        raise ValueError(f"{lost} of {len(table)} rows of {which} have no position; remove them")
    return points


def _classes(found, truth, wanted):
    """Classes of both tables, 0 if unknown, and their scheme."""
    given, known = np.zeros(len(found), np.int16), np.zeros(len(truth), np.int16)
    if not has_classes(truth) and wanted is None:
        return given, known, None
    if has_classes(found) and has_classes(truth):
        given, known, scheme = common_classes(found, truth, ("found", "truth"))
    else:
        known, scheme = table_classes(truth, "truth")
    if wanted is not None and (not wanted or set(wanted) - set(scheme.numbers)):
        raise ValueError(f"classes must be some of {list(scheme.numbers)}, not {wanted}")
    return given, known, scheme


def _magnitudes(found, truth, names):
    """Magnitudes of both tables, NaN if unknown."""
    if names is None:
        names = [
            next((name for name in _MAGNITUDES if name in table.colnames), None)
            for table in (found, truth)
        ]
    elif isinstance(names, str):
        names = names, names
    return [
        np.full(len(table), np.nan) if name is None else _column(table, name, which)
        for table, name, which in zip((found, truth), names, ("found", "truth"), strict=True)
    ]


def _column(table, name, which):
    if name not in table.colnames:
        raise KeyError(f"{which} has no column {name}; it has {', '.join(table.colnames)}")
    return float_values(table[name])


def _match_table(rows_found, rows_true, separation):
    matches = Table({"row_found": rows_found, "row_true": rows_true, "separation": separation})
    matches["separation"].info.format = ".3f"
    return matches


def _bins(values, edges):
    """Bin of each value, including its lower and excluding its upper edge; -1 if outside."""
    rows = np.searchsorted(edges, values, side="right") - 1
    return np.where(rows < len(edges) - 1, rows, -1)  # NaN are sorted last


def _bin_table(edges, form):
    table = Table({"low": edges[:-1], "high": edges[1:]})
    for name in table.colnames:
        table[name].info.format = form
    return table


def _overall(matched, radius):
    rows = (np.zeros(len(one), int) for one in (matched.true, matched.found))
    return matched.score(Table({"radius": [radius.value] * radius.unit}), *rows)


def _by_magnitude(matched, width):
    values = [one.magnitudes for one in (matched.true, matched.found)]
    edges = np.empty(0)
    if np.isfinite(values[0]).any():
        known = np.concatenate([one[np.isfinite(one)] for one in values])
        first, last = np.floor(known.min() / width), np.floor(known.max() / width)
        edges = width * np.arange(first, last + 2)
    return matched.score(_bin_table(edges, ".2f"), *(_bins(one, edges) for one in values))


def _by_class(matched, scheme, wanted):
    numbers = [] if scheme is None else sorted(wanted or scheme.numbers)
    table = Table({"class": np.array(numbers, np.int16)})
    table["name"] = np.array([scheme.names[number] for number in numbers], str)
    rows = {number: row for row, number in enumerate(numbers)}
    true, found = matched.true.classes, matched.found.classes
    right = matched.hit & (true[matched.partner] == found)
    indices = (np.array([rows.get(number, -1) for number in one], int) for one in (true, found))
    return matched.score(table, *indices, hit=right)


def _by_crowding(matched, unit):
    """Scores in bins of the separation from the nearest neighbor, equally populated."""
    true, found = matched.true, matched.found
    separation = nearest_other(true.points, true.points, np.arange(len(true)))[0]
    known = separation[true.counted & np.isfinite(separation)]
    inner = np.linspace(0, 1, _CROWDING_BINS + 1)[1:-1]
    edges = np.unique([0, *(np.quantile(known, inner) if len(known) else ()), np.inf])
    table = _bin_table(edges, ".2f")
    for name in table.colnames:
        table[name].unit = unit
    around = nearest_other(found.points, true.points, matched.partner)[0]
    return matched.score(table, *(_bins(np.nan_to_num(one), edges) for one in (separation, around)))


def _curve(matched, scores, radius):
    """Purity and completeness of the detections above each score."""
    known = np.flatnonzero(np.isfinite(scores))
    found, scores = matched.found.take(known), scores[known]
    partner = match_by_score(found.points, matched.true.points, scores, radius)
    matched = _Matched(found, matched.true, partner)
    order = np.argsort(-scores, kind="stable")
    scores, hit, counted = scores[order], matched.hit[order], matched.counted[order]
    last = np.flatnonzero(np.diff(scores, append=-np.inf))  # of sources with equal scores
    total = np.cumsum(counted)[last]
    with np.errstate(invalid="ignore"):
        purity = np.cumsum(hit & counted)[last] / total
    completeness = np.cumsum(hit)[last] / np.count_nonzero(matched.true.counted)
    curve = Table(
        {
            "threshold": scores[last],
            "total": total,
            "purity": purity,
            "completeness": completeness,
        }
    )
    for name in ("threshold", "purity", "completeness"):
        curve[name].info.format = FRACTION
    return curve


def _average_precision(matched, scores, radii, unit):
    """Area under the curve for each radius."""
    areas = []
    for radius in radii:
        curve = _curve(matched, scores, radius)
        best = np.fmax.accumulate(np.asarray(curve["purity"])[::-1])[::-1]
        areas.append(np.sum(np.diff(curve["completeness"], prepend=0) * best))
    table = Table({"radius": radii * unit, "average_precision": np.array(areas, float)})
    table["average_precision"].info.format = FRACTION
    return table


def _pairs(matched, separations, unit):
    """Fraction of pairs of true sources that are both detected."""
    true, recovered = matched.true, matched.recovered
    rows = np.arange(len(true))
    separation, neighbor = nearest_other(true.points, true.points, rows)
    first = np.flatnonzero(np.isfinite(separation))
    first = first[(neighbor[neighbor[first]] == first) & (first < neighbor[first])]
    first = first[true.counted[first] & true.counted[neighbor[first]]]
    second = neighbor[first]
    ratio = 10 ** (0.4 * np.abs(true.magnitudes[first] - true.magnitudes[second]))
    ratio_rows = _bins(ratio, _RATIOS)
    rows = _bins(separation[first], separations)
    rows = np.where((rows >= 0) & (ratio_rows >= 0), rows * (len(_RATIOS) - 1) + ratio_rows, -1)
    table = _pair_table(separations if np.isfinite(true.magnitudes).any() else [], unit)
    both = recovered[first] & recovered[second]
    table["n"], found = (
        np.bincount(rows[(rows >= 0) & kind], minlength=len(table)) for kind in (True, both)
    )
    add_fraction(table, "recovered", found, table["n"], "fraction of pairs with both detected")
    return table


def _pair_table(separations, unit):
    """One row per bin of separation and flux ratio."""
    columns = {}
    for end, part in (("low", slice(None, -1)), ("high", slice(1, None))):
        grid = np.meshgrid(separations[part], _RATIOS[part], indexing="ij")
        columns[f"separation_{end}"], columns[f"ratio_{end}"] = (one.ravel() for one in grid)
    table = Table(columns)["separation_low", "separation_high", "ratio_low", "ratio_high"]
    for name in ("separation_low", "separation_high"):
        table[name].unit = unit
    return table
