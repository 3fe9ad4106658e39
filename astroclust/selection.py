# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Which sources are candidates: the cuts, and the whole way from images to candidates."""

import numpy as np

from astroclust.detection import find_sources
from astroclust.images import ImageSet
from astroclust.photometry import concentration_index, measure_photometry

__all__ = ["find_candidates", "select_candidates"]

# The bands that sources are looked for in, best first: V is what humans classify by.
_DETECTION_ORDER = ("V", "I", "B", "U", "NUV")


def select_candidates(table, *, min_ci=1.3, max_error=0.3, min_filters=4):
    """Keep the rows that pass LEGUS's cuts (Wei et al. 2020, sec. 3.1).

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        With ``ci`` and, for each filter, ``flux_<filter>`` and ``flux_err_<filter>``, as
        `find_candidates` measures them.
    min_ci : float, optional
        Smallest concentration index in magnitudes: above that of stars, which depends on the
        camera (LEGUS: 1.2 to 1.4 by field).
    max_error : float, optional
        Largest error in magnitudes for a filter to count.
    min_filters : int, optional
        Number of filters that must count; all, where the table has fewer.

    Returns
    -------
    candidates : `~astropy.table.Table`
        Those rows, with a column ``n_filters``, the number of filters that count.

    Raises
    ------
    KeyError
        Where the table has no ``ci`` or no fluxes.
    ValueError
        Where it has a column ``n_filters``.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import select_candidates
    >>> table = Table({"ci": [1.5, 1.1], "flux_f555w": [9.0, 9.0], "flux_err_f555w": [1.0, 1.0]})
    >>> len(select_candidates(table))
    1
    """
    filters = [
        name.removeprefix("flux_err_") for name in table.colnames if name.startswith("flux_err_")
    ]
    if "ci" not in table.colnames or not filters:
        raise KeyError(
            "the table needs columns ci, flux_<filter> and flux_err_<filter>, as find_candidates "
            f"makes them; it has {', '.join(table.colnames)}"
        )
    if "n_filters" in table.colnames:
        raise ValueError("the table has a column n_filters already; rename it")
    n_filters = np.zeros(len(table), np.int16)
    for name in filters:
        flux, error = _values(table, f"flux_{name}"), _values(table, f"flux_err_{name}")
        with np.errstate(divide="ignore", invalid="ignore"):
            n_filters += (flux > 0) & (2.5 / np.log(10) * error / flux <= max_error)
    good = (n_filters >= min(min_filters, len(filters))) & (_values(table, "ci") >= min_ci)
    result = table[good]
    result["n_filters"] = n_filters[good]
    return result


def _values(table, name):
    """A column as float, NaN where it is masked."""
    if name not in table.colnames:
        raise KeyError(f"the table has no column {name}; it has {', '.join(table.colnames)}")
    return np.ma.filled(np.ma.asarray(table[name], dtype=float), np.nan)


def find_candidates(
    images, *, detect_in=None, threshold=5.0, n_pixels=10, min_ci=1.3, progress_bar=False
):
    """Find star-cluster candidates: sources, photometry and cuts in one call.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field.
    detect_in : str, optional
        Filter or role of the band to find sources in; by default V, as for NGC 1559 in Wei et
        al. (2020, sec. 3.1), or the first there is of I, B, U and NUV.
    threshold, n_pixels : float and int, optional
        As `find_sources` takes them.
    min_ci : float, optional
        As `select_candidates` takes it; measured in the band of the detection.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    candidates : `~astropy.table.Table`
        The table of `find_sources`, of those that pass, with fluxes and their errors in each
        band, ``ci`` and ``n_filters``. It goes straight into `classify_table`.

    Examples
    --------
    >>> from astroclust import find_candidates, simulate_field
    >>> field = simulate_field(shape=(128, 128), seed=1)
    >>> find_candidates(field.images).colnames[-2:]
    ['ci', 'n_filters']
    """
    images = images if isinstance(images, ImageSet) else ImageSet(images)
    if detect_in is None:
        detect_in = next(role for role in _DETECTION_ORDER if role in images.roles)
    band = images[detect_in]
    sources = find_sources(band, threshold=threshold, n_pixels=n_pixels, progress_bar=progress_bar)
    sources = measure_photometry(sources, images)
    sources["ci"] = concentration_index(sources, band)
    sources["ci"].unit = "mag"
    return select_candidates(sources, min_ci=min_ci)
