# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Evidence from catalogs, and its combination with class probabilities from images."""

from dataclasses import dataclass, replace

import numpy as np
from astropy.table import Table

from astroclust.catalogs import float_column
from astroclust.context import context_features, load_context_model
from astroclust.context.features import distance_of, magnitude_columns
from astroclust.flags import DescribedFlag
from astroclust.instruments import LEGUS_CLASSES

__all__ = ["Evidence", "EvidenceFlag", "pool_photometry", "uses_photometry"]


class EvidenceFlag(DescribedFlag):
    """Bits of the ``evidence`` column.

    Examples
    --------
    >>> from astroclust import decode_flags
    >>> from astroclust.classification import EvidenceFlag
    >>> decode_flags([1, 19], kind=EvidenceFlag)
    [['IMAGE'], ['IMAGE', 'PHOTOMETRY', 'NEIGHBORS']]
    """

    IMAGE = 1, "the image network"
    PHOTOMETRY = 2, "magnitudes, errors and colors of the table"
    CONCENTRATION_INDEX = 4, "the concentration index of the table"
    DISTANCE = 8, "the distance in the metadata of the table"
    NEIGHBORS = 16, "sources around the candidate in the catalog of neighbors"


@dataclass(frozen=True)
class Evidence:
    """Evidence for the classes of n rows.

    Parameters
    ----------
    image : `~numpy.ndarray` of float32, shape (n_members, n, n_classes)
        Class probabilities from the image alone.
    flags : `~numpy.ndarray` of int16, shape (n,), or None
        Bits of `EvidenceFlag`; None if photometry was not used.
    model : str
        Name of the model for catalog features; empty if it was not used.
    """

    image: np.ndarray
    flags: np.ndarray | None = None
    model: str = ""


def uses_photometry(photometry, table, neighbors, card):
    """Determine whether to use the photometry of a table.

    Parameters
    ----------
    photometry, table, neighbors
        See `~astroclust.classification.classify_table`.
    card : `~astroclust.weights.ModelCard`
        Card of the image classifier.

    Returns
    -------
    used : bool
        Whether to use the photometry.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or photometry is required but cannot be used.
    """
    if not (isinstance(photometry, bool) or photometry == "auto"):
        raise ValueError(f"photometry must be 'auto', True or False, not {photometry!r}")
    if neighbors is not None and not isinstance(neighbors, Table):
        raise TypeError(f"neighbors must be an astropy Table, not {type(neighbors).__name__}")
    if photometry is False:
        if neighbors is not None:
            raise ValueError("neighbors require photometry; omit them, or set photometry=True")
        return False
    reason = _reason_against(table, card)
    if neighbors is not None and "V" not in magnitude_columns(neighbors):
        reason = reason or "neighbors need magnitudes in V, such as mag_f555w"
    if reason and (photometry is True or neighbors is not None):
        raise ValueError(
            f"photometry cannot be used: {reason}; set photometry=False and omit neighbors to "
            "classify from the images alone"
        )
    return not reason


def _reason_against(table, card):
    """Reason why photometry cannot be used, with a remedy; empty if it can."""
    if (card.classes.numbers, card.classes.names) != (LEGUS_CLASSES.numbers, LEGUS_CLASSES.names):
        return (
            f"it is calibrated for the classes of LEGUS, but classifier {card.name} has those of "
            f"{card.classes.name}"
        )
    columns = magnitude_columns(table)
    name = columns.get("V")
    if name is None or len(columns) < 2 or _error_of(name) not in table.colnames:
        return (
            "the table needs Vega magnitudes in V, with their errors, and in another band, such as "
            "mag_f555w, mag_err_f555w and mag_f814w; measure_photometry measures them"
        )
    return ""


def pool_photometry(predictions, table, positions, images, neighbors=None):
    """Pool class probabilities from images with those from the photometry of a table.

    Parameters
    ----------
    predictions : `~astroclust.classification.predictions.Predictions`
        Predictions from images for n rows.
    table : `~astropy.table.Table`, length n
        Table with photometry.
    positions : pair of `~numpy.ndarray` of float, shape (n,)
        0-based pixel coordinates.
    images : `~astroclust.images.ImageSet`
        Images of the field.
    neighbors : `~astropy.table.Table`, optional
        See `~astroclust.classification.classify_table`.

    Returns
    -------
    predictions : `~astroclust.classification.predictions.Predictions`
        Predictions, pooled for rows with photometry.
    evidence : `Evidence`
        Evidence for the class of each row.
    """
    model = load_context_model()
    distance = distance_of(table)
    if not np.isfinite(distance) and neighbors is not None:
        distance = distance_of(neighbors)
    features = context_features(
        table,
        neighbors=neighbors,
        distance=distance if np.isfinite(distance) else None,
        positions=positions,
        wcs=images.wcs,
        pixel_scale=None if images.wcs is None else images.pixel_scale.value,
    )
    seen = ~np.isnan(predictions.probabilities).any(axis=(0, 2))
    rows = np.flatnonzero(seen & _have_photometry(table))
    evidence = Evidence(predictions.probabilities, _flags(features, seen, rows), model.name)
    if not len(rows):
        return predictions, evidence
    pooled = predictions.probabilities.copy()
    pooled[:, rows] = model.pool(pooled[:, rows], features[rows])
    return replace(predictions, probabilities=pooled), evidence


def _error_of(name):
    return name.replace("mag_", "mag_err_")


def _have_photometry(table):
    """Mask of rows with a magnitude and its error in V, and a magnitude in another band."""
    columns = magnitude_columns(table)
    known = {role: np.isfinite(float_column(table, name)) for role, name in columns.items()}
    in_v = known.pop("V") & (float_column(table, _error_of(columns["V"])) > 0)
    return in_v & np.any(list(known.values()), axis=0)


def _flags(features, seen, rows):
    flags = np.where(seen, EvidenceFlag.IMAGE, 0).astype(np.int16)
    flags[rows] |= EvidenceFlag.PHOTOMETRY
    for name, bit in (
        ("ci", EvidenceFlag.CONCENTRATION_INDEX),
        ("abs_V", EvidenceFlag.DISTANCE),
        ("sep_1", EvidenceFlag.NEIGHBORS),
    ):
        flags[rows] |= np.where(np.isfinite(features[name][rows]), bit, 0).astype(np.int16)
    return flags
