# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Concentration-index cut that separates the clusters of a field from its stars."""

import warnings
from dataclasses import dataclass

import numpy as np
from astropy.table import Column, Table
from astropy.utils.exceptions import AstropyUserWarning
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks
from scipy.spatial import KDTree

from astroclust.catalogs import find_field, float_column, pixel_positions
from astroclust.detection import find_sources
from astroclust.images import ImageSet
from astroclust.instruments import exposure_time
from astroclust.photometry.apertures import measure_apertures
from astroclust.photometry.calibration import counts_to_rate
from astroclust.photometry.centering import recenter
from astroclust.photometry.curves import CI_RADII, index_of_fluxes

__all__ = ["CICalibration", "calibrate_ci", "catalog_ci_cut"]

# Isolation in pixels: the sky annulus, 8, plus the wings of the neighbor.
_ISOLATION = 15.0
# Matching radius between detected and given sources, in pixels.
_MATCH = 3.0
# Electrons in a pixel, summed over all exposures, that cannot have saturated any of them: the full
# well is 63,000 for WFC3/UVIS and 80,000 on the larger pixels of ACS, or 51,000 on 0.04 arcsec.
_FULL_WELL = 50_000
# Minimum number of stars that define a locus or, among unlabeled sources, of those on its lower
# side.
_FEWEST = 5
# Bins in index, and standard deviation, of the smoothed histogram in which the locus is a peak.
# Well-measured stars, whose index varies with subpixel position, are not broader than this. A peak
# exceeds its surroundings by this fraction of the highest.
_STEP, _SMOOTHING, _PROMINENCE = 0.005, 0.035, 0.1
# Isolated stars scatter by 0.01 to 0.06 in simulated fields; broader peaks are not stars.
_MAX_SCATTER = 0.07
# Distance of the cut from the locus in standard deviations, and its minimum in mag: those of LEGUS
# are 0.1 to 0.2 mag.
_SCATTERS, _LEAST = 3.0, 0.1
# LEGUS's highest cut is 1.4. A locus that leads to a cut this high may consist of clusters.
_SUSPICIOUS = 1.45


@dataclass(frozen=True, eq=False, repr=False)
class CICalibration:
    """Concentration-index cut of a field, and the sources it is derived from.

    Parameters
    ----------
    cut : float
        Minimum concentration index of a cluster (mag), for ``Cuts(min_ci=...)``.
    locus : float
        Concentration index of the stars (mag).
    scatter : float
        Standard deviation of the stars about it (mag).
    stars, clusters : `~astropy.table.Table`
        ``x``, ``y`` (0-based pixels, recentered), ``ci`` (mag) and ``flux`` (within 3 pixels, in
        the unit of the image).

    Examples
    --------
    A row of narrow sources, and one of sources twice as wide:

    >>> import numpy as np
    >>> from astropy.table import Table
    >>> from astroclust.photometry import calibrate_ci
    >>> y, x = np.mgrid[:80, :200]
    >>> image = np.zeros((80, 200))
    >>> for center in range(20, 200, 30):
    ...     image += np.exp(-((x - center) ** 2 + (y - 20) ** 2) / 2)
    ...     image += np.exp(-((x - center) ** 2 + (y - 60) ** 2) / 8)
    >>> stars, clusters = (Table({"x": np.arange(20, 200, 30), "y": [row] * 6}) for row in (20, 60))
    >>> calibrate_ci({"F555W": image}, stars=stars, clusters=clusters)
    <CICalibration: cut 1.211, stars at 1.111 +- 0.000 mag; 0 of 6 stars above the cut, 0 of 6
    clusters below>
    """

    cut: float
    locus: float
    scatter: float
    stars: Table
    clusters: Table

    def __repr__(self):
        stars = np.count_nonzero(self.stars["ci"] >= self.cut)
        clusters = np.count_nonzero(self.clusters["ci"] < self.cut)
        return (
            f"<CICalibration: cut {self.cut:.3f}, stars at {self.locus:.3f} +- "
            f"{self.scatter:.3f} mag; {stars} of {len(self.stars)} stars above the cut, "
            f"{clusters} of {len(self.clusters)} clusters below>"
        )


def calibrate_ci(images, *, stars=None, clusters=None, band="V", threshold=20.0, workers=1):
    """Find the concentration-index cut that excludes stars, which LEGUS set by hand.

    The cut is three standard deviations above the stellar locus, and at least 0.1 mag; LEGUS's cuts
    are 0.1 to 0.2 above. Clusters do not affect it. If visually selected clusters or stars are
    passed, the printed calibration shows how many clusters are lost and how many stars pass.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    stars : `~astropy.table.Table`, optional
        At least 5 visually selected, isolated stars, whose median is the locus; for positions, see
        `~astroclust.catalogs.pixel_positions`. By default, isolated sources are detected and the
        locus is the lowest peak of their distribution, with the scatter of its lower side, which is
        free of clusters.
    clusters : `~astropy.table.Table`, optional
        Visually selected, isolated clusters; by default, the isolated sources above the cut.
        Sources passed as stars are not used as clusters, and vice versa.
    band : str, optional
        Filter or role of the band to measure in.
    threshold : float, optional
        Detection threshold; see `~astroclust.detection.find_sources`. Sources within 15 pixels of
        another are excluded, as are those bright enough to be saturated if the exposure time is
        known.
    workers : int, optional
        Number of processes.

    Returns
    -------
    calibration : `CICalibration`
        ``cut``, ``locus``, ``scatter``, ``stars`` and ``clusters``. Given sources without a
        concentration index are excluded.

    Raises
    ------
    KeyError
        If there is no such band.
    ValueError
        If there are too few stars, or the most compact sources scatter more than stars do.

    Warns
    -----
    `~astropy.utils.exceptions.AstropyUserWarning`
        If the cut from detected sources is above 1.45 mag: in a field without stars they are
        compact clusters.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.selection import Cuts
    >>> from astroclust.photometry import calibrate_ci
    >>> field = simulate_field(shape=(300, 300), seed=2, density=5e-4)
    >>> calibration = calibrate_ci(field.images, threshold=10)
    >>> cuts = Cuts(min_ci=calibration.cut)
    """
    images = ImageSet.of(images)
    image = images[band]
    given = [None if table is None else _measure(table, image) for table in (stars, clusters)]
    stars, clusters = given
    found = None
    if stars is None or clusters is None:
        found = _isolated(find_sources(image, threshold=threshold, workers=workers), image)
        for table in given:
            found = found if table is None else _without(found, table)
    if stars is None:
        locus, scatter = _lowest_peak(np.asarray(found["ci"]))
    else:
        locus, scatter = _middle(np.asarray(stars["ci"]))
    margin = max(_SCATTERS * scatter, _LEAST)
    cut = locus + margin
    if stars is None:
        stars = found[np.abs(found["ci"] - locus) < margin]
        if cut > _SUSPICIOUS:
            warnings.warn(
                f"the cut of {cut:.2f} mag is above those of LEGUS, 1.2 to 1.4; the stars may be "
                "compact clusters: inspect them, and pass stars= if they are",
                AstropyUserWarning,
                stacklevel=2,
            )
    if clusters is None:
        clusters = found[found["ci"] >= cut]
    return CICalibration(cut, locus, scatter, stars, clusters)


def catalog_ci_cut(catalog):
    """Concentration-index cut with which a LEGUS catalog was selected.

    The cut of the field in the registry or, if it is unknown, the smallest index in the catalog,
    rounded down to 0.01 mag. Visually added sources did not have to pass the cut and are ignored.

    Parameters
    ----------
    catalog : `~astropy.table.Table`
        A catalog of candidates with ``ci``, and ``selection`` if sources were added visually; see
        `~astroclust.catalogs.read_legus`.

    Returns
    -------
    cut : float
        Smallest index of a candidate (mag), for ``Cuts(min_ci=...)``.

    Raises
    ------
    KeyError
        If the catalog has no column ``ci``.
    ValueError
        If no row has a concentration index.

    Warns
    -----
    `~astropy.utils.exceptions.AstropyUserWarning`
        If the cut is derived from the catalog.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust.photometry import catalog_ci_cut
    >>> catalog = Table({"ci": [1.62, 1.45]}, meta={"FIELD": "ngc1566"})
    >>> catalog_ci_cut(catalog)
    1.35
    """
    field = find_field(catalog.meta["FIELD"]) if "FIELD" in catalog.meta else None
    if field is not None and np.isfinite(field.ci_cut):
        return field.ci_cut
    index = float_column(catalog, "ci")
    if "selection" in catalog.colnames:
        index = index[np.ma.filled(catalog["selection"], 0) == 0]
    index = index[np.isfinite(index)]
    if not len(index):
        raise ValueError("the catalog has no row with a concentration index; set min_ci yourself")
    # A value of 1.3 in the file may be slightly smaller in binary.
    cut = float(np.round(np.floor(index.min() * 100 + 1e-6) / 100, 2))
    warnings.warn(
        f"the registry has no cut in concentration index for {field.name if field else 'the field'}"
        f": {cut:g} mag, the smallest index in the catalog, is used",
        AstropyUserWarning,
        stacklevel=2,
    )
    return cut


def _measure(table, image):
    """Position, index and flux of the sources that have an index."""
    x, y = pixel_positions(table, image.wcs)
    result = recenter(Table({"x": x, "y": y}), image)
    flux = measure_apertures([image], result["x"].data, result["y"].data, CI_RADII)[0].flux
    unit = "unit of the image" if image.unit is None else image.unit
    result["ci"] = Column(index_of_fluxes(*flux.T), unit="mag")
    result["flux"] = Column(flux[:, 1], description=f"within {CI_RADII[1]:g} pixels, {unit}")
    return result[np.isfinite(result["ci"])]


def _isolated(sources, image):
    """Isolated and unsaturated sources."""
    if len(sources) > 1:
        positions = np.column_stack([sources["x"], sources["y"]])
        distance = KDTree(positions).query(positions, k=2)[0][:, 1]
        sources = sources[distance > _ISOLATION]
    sources = _measure(sources, image)
    row, column = (np.round(sources[name]).astype(int) for name in ("y", "x"))
    exposure = counts_to_rate(image) * exposure_time(image)
    if np.isfinite(exposure):
        sources = sources[image.pixels((row, column), float) * exposure < _FULL_WELL]
    return sources


def _without(found, given):
    """Detected sources, excluding the given ones."""
    if not len(given):
        return found
    tree = KDTree(np.column_stack([given["x"], given["y"]]))
    return found[tree.query(np.column_stack([found["x"], found["y"]]))[0] > _MATCH]


def _middle(index):
    """Median and robust standard deviation of the index of stars."""
    if len(index) < _FEWEST:
        raise ValueError(
            f"only {len(index)} of the given stars have a concentration index; pass at least "
            f"{_FEWEST}"
        )
    locus = np.median(index)
    return float(locus), float(1.4826 * np.median(np.abs(index - locus)))


def _lowest_peak(index):
    """Locus of the most compact sources, and the standard deviation of its lower side."""
    if len(index) < _FEWEST:
        raise ValueError(
            f"{len(index)} isolated sources are too few; pass stars=, or lower the threshold"
        )
    edges = np.arange(index.min() - 0.2, index.max() + 0.2, _STEP)
    density = gaussian_filter1d(np.histogram(index, edges)[0].astype(float), _SMOOTHING / _STEP)
    peak = find_peaks(density, prominence=_PROMINENCE * density.max())[0][0]
    locus = (edges[peak] + edges[peak + 1]) / 2
    below = index[index <= locus]
    if len(below) < _FEWEST:
        raise ValueError(
            f"about {2 * len(below)} of {len(index)} isolated sources are stars, which is too "
            "few; pass stars=, or lower the threshold"
        )
    scatter = 1.4826 * np.median(locus - below)
    if scatter > _MAX_SCATTER:
        raise ValueError(
            f"the most compact of {len(index)} isolated sources scatter by {scatter:.2f} mag in "
            "concentration index, more than stars do; pass stars=, or change the threshold"
        )
    return float(locus), float(scatter)
