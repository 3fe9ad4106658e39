# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Classify star-cluster candidates of one table, or of many fields on a Dask cluster."""

from astropy.table import Table

from astroclust.catalogs import pixel_positions
from astroclust.classification.checks import check_batch_size, check_images, choose_device
from astroclust.classification.columns import ResultColumns, name_images
from astroclust.classification.distributed import FieldsError, Tasks, classify_fields
from astroclust.classification.evidence import EvidenceFlag, pool_photometry
from astroclust.classification.predictions import classify_positions
from astroclust.images import ImageSet
from astroclust.weights import load_classifier

__all__ = ["EvidenceFlag", "FieldsError", "Tasks", "classify_fields", "classify_table"]


def classify_table(
    table,
    images,
    *,
    model=None,
    photometry="auto",
    neighbors=None,
    image_probabilities=False,
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
        which was trained on simulations and on human labels of LEGUS.
    photometry : bool or str, optional
        Whether to pool the probabilities from images with those from the magnitudes and
        concentration index of the table, by a model trained on human classes in catalogs of
        LEGUS. ``"auto"`` does if the classes are those of LEGUS and the table has Vega magnitudes
        in V, with errors, and in another band, as
        `~astroclust.photometry.measure_photometry` and `~astroclust.catalogs.read_legus` name
        them, corrected for Galactic extinction; True requires it; False classifies from the
        images alone. ``DISTANCE`` (Mpc) in the metadata of the table is used if it is there.
    neighbors : `~astropy.table.Table`, optional
        Catalog of the complete field with the same columns, such as the result of
        `~astroclust.selection.find_candidates`: what is around each candidate is evidence too.
        Without it, surroundings are not used, so that a row does not depend on other rows. It
        requires photometry.
    image_probabilities : bool, optional
        Whether to add the probabilities from images alone.
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

        - ``class`` (int16): most probable class, of the scheme of the classifier; masked if a
          row is not classified;
        - ``probability`` (float32): probability of that class; NaN if not classified, as all that
          follow;
        - ``prob_1`` ... ``prob_K`` (float32): the distribution over the K classes;
        - ``entropy`` (float32): its Shannon entropy in nats, 0 to ln K (sec. 4.2.1);
        - ``agreement`` (float32): fraction of the ensemble's members that vote for ``class``;
        - ``flags`` (int32): bits that `~astroclust.stamps.decode_flags` names;
        - ``evidence`` (int16), if photometry is used: what the row rests on, bits of
          `EvidenceFlag`. A row without magnitudes rests on the images alone;
        - ``prob_image_1`` ... (float32), if ``image_probabilities``.

        Its ``meta`` names the versions, the classifier and what that was trained on, the images
        with their checksums, and the class scheme, which `~astroclust.instruments.classes_of`
        reads; a second run on the same table adds its own.

    Raises
    ------
    TypeError
        For a table that is no `~astropy.table.Table`, or positions that are not numbers.
    KeyError
        Where the table has no positions.
    ValueError
        Where the table has a column of a new name already, the images have none of the
        classifier's bands, photometry is required and cannot be used, or an argument is not
        accepted.

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
    classifier = load_classifier(model)
    device = choose_device(device)
    check_batch_size(batch_size)
    columns = ResultColumns(classifier.card, column_prefix, photometry, image_probabilities)
    pools = columns.check(table, neighbors)
    images = ImageSet.of(images, classifier.card.system)
    check_images(images, classifier.card)
    positions = pixel_positions(table, images.wcs)
    predictions = classify_positions(
        *positions,
        images,
        classifier.prepared(device),
        batch_size=batch_size,
        progress_bar=progress_bar,
    )
    evidence = None
    if pools:
        predictions, evidence = pool_photometry(predictions, table, positions, images, neighbors)
    return columns.add(table, predictions, evidence, name_images(images))
