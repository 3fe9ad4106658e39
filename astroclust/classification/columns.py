# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Columns of classified tables."""

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
from astropy.table import Column, MaskedColumn
from astropy.utils.exceptions import AstropyUserWarning
from scipy.special import entr

import astroclust
from astroclust.catalogs.printing import print_most_important
from astroclust.classification.evidence import Evidence, EvidenceFlag, uses_photometry
from astroclust.classification.predictions import NOT_CLASSIFIED
from astroclust.instruments import meta_of
from astroclust.stamps import StampFlag
from astroclust.weights import ModelCard

__all__ = ["ResultColumns", "name_images"]
_OFF_IMAGE_ADVICE = (
    ": no position is on the image; check that the table and the images are of the same field, "
    "that x and y are 0-based pixels, and that ra and dec are in degrees, not hours"
)


@dataclass(frozen=True)
class ResultColumns:
    """Columns added to a classified table.

    Parameters
    ----------
    card : `~astroclust.weights.ModelCard`
        Card of the classifier.
    prefix : str, optional
        Prefix of the names of the columns.
    photometry, image_probabilities : optional
        See `~astroclust.classification.classify_table`.
    """

    card: ModelCard
    prefix: str = ""
    photometry: object = "auto"
    image_probabilities: bool = False

    def check(self, table, neighbors=None):
        """Check that no column would be overwritten, and that required photometry can be used.

        Parameters
        ----------
        table, neighbors
            See `~astroclust.classification.classify_table`.

        Returns
        -------
        pools : bool
            Whether to use the photometry of the table.

        Raises
        ------
        TypeError, ValueError
            If the table already has a column with one of the new names, photometry is required but
            cannot be used, or an argument is invalid.
        """
        pools = uses_photometry(self.photometry, table, neighbors, self.card)
        # Column names in FITS are case-insensitive.
        given = {name.lower(): name for name in table.colnames}
        new = [(self.prefix + name).lower() for name in self._names(pools)]
        taken = ", ".join(repr(given[name]) for name in new if name in given)
        if taken:
            raise ValueError(
                f"the table already has columns {taken}; set column_prefix (for example 'ml_') to "
                "keep them, or rename them"
            )
        return pools

    def _names(self, pools):
        numbers = self.card.classes.numbers
        names = ["class", "probability", *(f"prob_{number}" for number in numbers)]
        names += ["entropy", "agreement", "flags", *(["evidence"] if pools else [])]
        image = [f"prob_image_{number}" for number in numbers]
        return names + image if self.image_probabilities else names

    def add(self, table, predictions, evidence=None, images="", *, field=""):
        """Add the columns to a table.

        Parameters
        ----------
        table : `~astropy.table.Table`, length n
            Input table, not modified.
        predictions : `~astroclust.classification.predictions.Predictions`
            Predictions for its rows.
        evidence : `~astroclust.classification.evidence.Evidence`, optional
            Evidence for the classes; by default the images alone.
        images : str, optional
            Result of `name_images`, for the metadata.
        field : str, optional
            Prefix of the warning.

        Returns
        -------
        result : `~astropy.table.Table`, length n
            Copy of the table with the columns.

        Warns
        -----
        AstropyUserWarning
            If rows are flagged, with the number of each flag.
        """
        _warn_of_odd_rows(predictions.flags, predictions.lost, field)
        result = table.copy()
        evidence = evidence or Evidence(predictions.probabilities)
        columns = [*_result_columns(predictions.probabilities, predictions.flags, self.card)]
        columns += _evidence_columns(evidence, self.card, self.image_probabilities)
        for column in columns:
            column.name = self.prefix + column.name
            result.add_column(column)
        print_most_important(result)
        precision = ", ".join(sorted(predictions.precisions))
        _describe_run(result.meta, self.card, self.prefix, precision, evidence.model, images)
        return result


def name_images(images):
    """Describe images for the metadata.

    Parameters
    ----------
    images : `~astroclust.images.ImageSet`
        Images of a field.

    Returns
    -------
    text : str
        Filter, checksum and file of each image.
    """
    bands = images.values()
    return "; ".join(f"{one.filter} {one.checksum} {one.file or 'in memory'}" for one in bands)


def _result_columns(probabilities, flags, card):
    """Yield the new columns, from probabilities of shape (n_members, n, n_classes)."""
    scheme = card.classes
    mean = probabilities.mean(axis=0)
    bad = np.isnan(mean).any(axis=1)
    best = np.where(bad, 0, np.nan_to_num(mean).argmax(axis=1))
    votes = np.nan_to_num(probabilities).argmax(axis=-1)
    agreement = np.where(bad, np.nan, (votes == best).mean(axis=0))
    entropy = np.where(bad, np.nan, entr(mean.astype(np.float64)).sum(axis=1))
    classes = ", ".join(f"{number} {name}" for number, name in scheme.names.items())
    yield MaskedColumn(
        scheme.numbers_of(best),
        "class",
        mask=bad,
        fill_value=0,
        description=f"most probable class, 0 or masked if not classified: {classes}",
    )
    yield _fraction(
        np.take_along_axis(mean, best[:, None], axis=1)[:, 0],
        "probability",
        "probability of the class",
    )
    for i, number in enumerate(scheme.numbers):
        text = f"probability of class {number}, {scheme.names[number]}"
        yield _fraction(mean[:, i], f"prob_{number}", text)
    text = f"Shannon entropy of the probabilities in nat, 0 to ln {len(scheme)}"
    yield _fraction(entropy.astype(np.float32), "entropy", text)
    text = "fraction of the ensemble that votes for the class"
    yield _fraction(agreement.astype(np.float32), "agreement", text)
    meanings = ", ".join(f"{flag.value} {flag.name}" for flag in StampFlag)
    yield Column(flags, "flags", description=f"flags of the stamp, bits: {meanings}")


def _fraction(values, name, description):
    return Column(values, name, description=description, format=".3f")


def _evidence_columns(evidence, card, image_probabilities):
    if evidence.flags is not None:
        meanings = ", ".join(f"{flag.value} {flag.name}" for flag in EvidenceFlag)
        description = f"evidence used for the class, bits: {meanings}"
        yield Column(evidence.flags, "evidence", description=description)
    if image_probabilities:
        mean = evidence.image.mean(axis=0)
        for i, number in enumerate(card.classes.numbers):
            description = f"probability of class {number} from the images alone"
            yield _fraction(mean[:, i], f"prob_image_{number}", description)


def _describe_run(meta, card, column_prefix, precision, model, images):
    """Record the provenance of the columns; later runs on the same table add numbered entries."""
    run = 1 + sum(str(key).startswith("ACMOD") for key in meta)
    suffix = "" if run == 1 else str(run)
    meta[f"ACVERS{suffix}"] = astroclust.__version__
    # Without the time, so that a table classified in parts has the same entry in each part.
    meta[f"ACDAY{suffix}"] = datetime.now(UTC).strftime("%Y-%m-%d")
    meta[f"ACTORC{suffix}"] = version("torch")
    meta[f"ACMOD{suffix}"] = card.name
    meta[f"ACSHA{suffix}"] = card.sha256[:16]
    if precision:  # there is none for a table without rows
        meta[f"ACPREC{suffix}"] = precision
    meta[f"ACDATA{suffix}"] = "simulated images only" if card.simulated else "see model card"
    if model:
        meta[f"ACPHOT{suffix}"] = model
    if column_prefix:
        meta[f"ACPREF{suffix}"] = column_prefix
    if images:
        meta[f"ACIMGS{suffix}"] = images
    meta.update(meta_of(card.classes, column_prefix=column_prefix, meta=meta))


def _warn_of_odd_rows(flags, lost, field):
    odd = np.where(lost, flags, flags & ~StampFlag.BAND_MISSING)
    if not odd.any():
        return
    counts = {flag.name: np.count_nonzero(odd & flag) for flag in StampFlag}
    listed = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
    start = f"{field}: " if field else ""
    skipped = np.count_nonzero(flags & NOT_CLASSIFIED)
    nowhere = bool(len(flags)) and bool((flags & StampFlag.OFF_IMAGE).all())
    advice = _OFF_IMAGE_ADVICE if nowhere else ""
    warnings.warn(
        f"{start}{np.count_nonzero(odd)} of {len(flags)} rows have flags ({listed}); {skipped} "
        f"rows are not classified{advice}",
        AstropyUserWarning,
        stacklevel=4,
    )
