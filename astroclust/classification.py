# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The one call: a table and images in, the table with its classes out."""

import warnings
from numbers import Integral

import numpy as np
import torch
from astropy.table import Column, MaskedColumn, Table
from astropy.utils.exceptions import AstropyUserWarning
from scipy.special import entr
from tqdm import tqdm

import astroclust
from astroclust.catalogs import pixel_positions
from astroclust.images import ImageSet
from astroclust.stamps import StampFlag, make_stamps
from astroclust.weights import load_classifier

__all__ = ["classify_table"]

# Stamps in memory at a time: some hundred keep a CPU's caches warm, a GPU wants thousands.
_BATCH_SIZES = {"cpu": 256, "cuda": 4096}

_NOT_CLASSIFIED = StampFlag.OFF_IMAGE | StampFlag.EMPTY | StampFlag.TOO_MANY_MISSING


def classify_table(
    table,
    images,
    *,
    model=None,
    column_prefix="",
    device="auto",
    batch_size=None,
    progress_bar=False,
):
    """Classify star-cluster candidates (Wei et al. 2020).

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Candidates, with positions in columns ``x`` and ``y`` (0-based pixel centres), or ``ra``
        and ``dec`` (degrees), or a `~astropy.coordinates.SkyCoord` column. Any other column is
        carried through.
    images : `~astroclust.images.ImageSet` or mapping
        The bands of the field, or what `~astroclust.images.ImageSet` makes them from.
    model : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        As `~astroclust.weights.load_classifier` takes it; by default the bundled classifier,
        which was trained on simulated images only.
    column_prefix : str, optional
        Put before the names of the new columns.
    device : str or `~torch.device`, optional
        Where the network runs; ``"auto"`` is the GPU where there is one, else the CPU. On a GPU
        it runs in mixed precision.
    batch_size : int, optional
        Stamps in memory at a time; the result does not depend on it.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    result : `~astropy.table.Table`, length n
        A copy of the table, of the same class, with the same rows in the same order, and

        - ``class`` (int16): most probable class, of `~astroclust.catalogs.CLASSES`; masked where
          a row is not classified;
        - ``probability`` (float32): probability of that class; NaN where not classified, as all
          that follow;
        - ``prob_1`` ... ``prob_K`` (float32): the distribution over the K classes;
        - ``entropy`` (float32): its Shannon entropy in nats, 0 to ln K (sec. 4.2.1);
        - ``agreement`` (float32): fraction of the ensemble's members that vote for ``class``;
        - ``flags`` (int32): bits that `~astroclust.stamps.decode_flags` names.

        Its ``meta`` names the version, the classifier and what that was trained on.

    Raises
    ------
    TypeError
        For a table that is no `~astropy.table.Table`, or positions that are not numbers.
    KeyError
        Where the table has no positions.
    ValueError
        Where the table has a column of a new name already, the images have none of the
        classifier's bands, or an argument is not accepted.

    Warns
    -----
    AstropyUserWarning
        Once, where rows were odd: it counts their flags. Once, where the pixels of the images are
        not of the size that the classifier was trained for.

    Examples
    --------
    >>> from astropy.table import Table
    >>> from astroclust import classify_table, simulate_field
    >>> field = simulate_field(shape=(128, 128), seed=1)
    >>> result = classify_table(Table({"x": [50.0, 80.0], "y": [60.0, 70.0]}), field.images)
    >>> result.colnames[2:5]
    ['class', 'probability', 'prob_1']
    """
    if not isinstance(table, Table):
        raise TypeError(f"table must be an astropy Table, not {type(table).__name__}")
    if not isinstance(column_prefix, str):
        raise TypeError(f"column_prefix must be a string, not {column_prefix!r}")
    device = _choose_device(device)
    batch_size = _choose_batch_size(batch_size, device)
    classifier = load_classifier(model)
    card = classifier.card
    _check_names(table, card, column_prefix)
    images = images if isinstance(images, ImageSet) else ImageSet(images)
    _check_images(images, card)
    x, y = pixel_positions(table, images.wcs)
    positions = Table({"x": x, "y": y})
    classifier.to(device)
    n_classes = len(card.classes)
    probabilities = np.full((len(classifier.networks), len(x), n_classes), np.nan, np.float32)
    flags = np.zeros(len(x), np.int32)
    lost = np.zeros(len(x), bool)
    with tqdm(total=len(x), unit="stamp", desc="classifying", disable=not progress_bar) as bar:
        for start in range(0, len(x), batch_size):
            rows = slice(start, start + batch_size)
            stamps = make_stamps(positions[rows], images, size=card.stamp_size, bands=card.bands)
            n_missing = len(card.bands) - stamps.present.sum(axis=1)
            n_missing[stamps.flags & StampFlag.OFF_IMAGE != 0] = 0
            stamps.flags[n_missing > card.max_missing_bands] |= StampFlag.TOO_MANY_MISSING
            flags[rows] = stamps.flags
            lost[rows] = n_missing > len(set(card.bands) - set(images.roles))
            good = np.flatnonzero(stamps.flags & _NOT_CLASSIFIED == 0)
            if len(good):
                probabilities[:, start + good] = classifier.probabilities(stamps[good])
                # Pixels too small or too large to compute with.
                failed = np.isnan(probabilities[:, start + good]).any(axis=(0, 2))
                flags[start + good[failed]] |= StampFlag.EMPTY
            bar.update(len(stamps))
    _warn_of_odd_rows(flags, lost)
    result = table.copy()
    for column in _result_columns(probabilities, flags, card):
        column.name = column_prefix + column.name
        result.add_column(column)
    _describe_run(result.meta, card)
    return result


def _choose_device(device):
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(
            f"device {device!r} cannot be used here ({str(error).splitlines()[0]}); use 'auto' "
            "or 'cpu'"
        ) from None
    return chosen


def _choose_batch_size(batch_size, device):
    if batch_size is None:
        return _BATCH_SIZES.get(device.type, _BATCH_SIZES["cpu"])
    if not isinstance(batch_size, Integral) or batch_size < 1:
        raise ValueError(f"batch_size must be a whole number of at least 1, not {batch_size!r}")
    return int(batch_size)


def _names(card):
    numbers = [f"prob_{number}" for number in card.classes]
    return ["class", "probability", *numbers, "entropy", "agreement", "flags"]


def _check_names(table, card, column_prefix):
    # FITS does not tell small letters from capitals.
    given = {name.lower(): name for name in table.colnames}
    new = [(column_prefix + name).lower() for name in _names(card)]
    taken = ", ".join(repr(given[name]) for name in new if name in given)
    if taken:
        raise ValueError(
            f"the table has columns {taken} already: set column_prefix (for example 'ml_') so "
            "that nothing is replaced, or rename them"
        )


def _check_images(images, card):
    if not set(images.roles) & set(card.bands):
        raise ValueError(
            f"classifier {card.name} takes bands {', '.join(card.bands)}, the images have "
            f"{', '.join(images.roles)} only"
        )
    if images.wcs is None:
        return
    scale = images.pixel_scale.value
    if not 0.9 < scale / card.pixel_scale < 1.1:
        warnings.warn(
            f"the images have pixels of {scale:.4f} arcsec, classifier {card.name} was trained "
            f"at {card.pixel_scale}: resample them, or do not trust the classes",
            AstropyUserWarning,
            stacklevel=3,
        )


def _result_columns(probabilities, flags, card):
    """The new columns, from probabilities of shape (n_members, n, n_classes)."""
    numbers = np.array(list(card.classes), np.int16)
    mean = probabilities.mean(axis=0)
    bad = np.isnan(mean).any(axis=1)
    best = np.where(bad, 0, np.nan_to_num(mean).argmax(axis=1))
    votes = np.nan_to_num(probabilities).argmax(axis=-1)
    agreement = np.where(bad, np.nan, (votes == best).mean(axis=0))
    entropy = np.where(bad, np.nan, entr(mean.astype(np.float64)).sum(axis=1))
    classes = ", ".join(f"{number} {name}" for number, name in card.classes.items())
    yield MaskedColumn(numbers[best], "class", mask=bad, description=f"most probable: {classes}")
    yield Column(
        np.take_along_axis(mean, best[:, None], axis=1)[:, 0],
        "probability",
        description="probability of the class",
    )
    for i, number in enumerate(numbers):
        yield Column(mean[:, i], f"prob_{number}", description=f"probability of class {number}")
    yield Column(
        entropy.astype(np.float32),
        "entropy",
        description=f"entropy in nats, 0 to ln {len(numbers)}",
    )
    yield Column(
        agreement.astype(np.float32), "agreement", description="fraction of votes for the class"
    )
    meanings = ", ".join(f"{flag.value} {flag.name}" for flag in StampFlag)
    yield Column(flags, "flags", description=f"bits: {meanings}")


def _describe_run(meta, card):
    """What made the columns; a second run on the same table adds to what the first one says."""
    run = 1 + sum(str(key).startswith("ACMOD") for key in meta)
    suffix = "" if run == 1 else str(run)
    meta[f"ACVERS{suffix}"] = astroclust.__version__
    meta[f"ACMOD{suffix}"] = card.name
    meta[f"ACSHA{suffix}"] = card.sha256[:16]
    meta[f"ACDATA{suffix}"] = "simulated images only" if card.simulated else "see model card"


def _warn_of_odd_rows(flags, lost):
    odd = np.where(lost, flags, flags & ~StampFlag.BAND_MISSING)
    if not odd.any():
        return
    counts = {flag.name: np.count_nonzero(odd & flag) for flag in StampFlag}
    listed = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    skipped = np.count_nonzero(flags & _NOT_CLASSIFIED)
    warnings.warn(
        f"{np.count_nonzero(odd)} of {len(flags)} rows have flags ({listed}); {skipped} rows "
        "are not classified",
        AstropyUserWarning,
        stacklevel=3,
    )
