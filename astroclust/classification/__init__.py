# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Classification of star-cluster candidates in a table, or in many fields on a Dask cluster."""

from typing import TYPE_CHECKING

from astropy.table import Table

from astroclust.catalogs import pixel_positions
from astroclust.classification.checks import check_batch_size, check_images, choose_device
from astroclust.classification.columns import ResultColumns, name_images
from astroclust.classification.distributed import FieldsError, Tasks, classify_fields
from astroclust.classification.evidence import EvidenceFlag, pool_photometry
from astroclust.classification.predictions import classify_positions
from astroclust.images import ImageSet
from astroclust.weights import load_classifier

if TYPE_CHECKING:
    import torch

    from astroclust.typing import ClassifierLike, ImagesLike

__all__ = ["EvidenceFlag", "FieldsError", "Tasks", "classify_fields", "classify_table"]


def classify_table(
    table: Table,
    images: "ImagesLike",
    *,
    model: "ClassifierLike | None" = None,
    photometry: bool | str = "auto",
    neighbors: Table | None = None,
    image_probabilities: bool = False,
    column_prefix: str = "",
    device: "str | torch.device" = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    progress_bar: bool = False,
) -> Table:
    """Classify star-cluster candidates (Wei et al. 2020).

    Parameters
    ----------
    table : `~astropy.table.Table`, length n
        Candidates, with positions in columns ``x`` and ``y`` (0-based pixel centers), or ``ra``
        and ``dec`` (degrees), or a `~astropy.coordinates.SkyCoord` column. Other columns are
        preserved.
    images : `~astroclust.images.ImageSet` or mapping
        Images of the field, or the input of `~astroclust.images.ImageSet`.
    model : str, `~pathlib.Path` or `~astroclust.weights.Classifier`, optional
        See `~astroclust.weights.load_classifier`; by default the bundled classifier, trained on
        simulations and human labels of LEGUS.
    photometry : bool or str, optional
        Whether to pool the probabilities from the images with those from the magnitudes and
        concentration index in the table, using a model trained on human classes in LEGUS catalogs.
        With ``"auto"``, they are pooled if the classes are those of LEGUS and the table has Vega
        magnitudes in V, with errors, and in another band, corrected for Galactic extinction, with
        the column names of `~astroclust.photometry.measure_photometry` and
        `~astroclust.catalogs.read_legus`; True requires them; with False, only the images are
        used. ``DISTANCE`` (Mpc) in the metadata of the table is used if available.
    neighbors : `~astropy.table.Table`, optional
        Catalog of the complete field with the same columns, such as the result of
        `~astroclust.selection.find_candidates`, to use the sources around each candidate as
        evidence. By default, surroundings are not used, so that rows are independent of each
        other. Requires photometry.
    image_probabilities : bool, optional
        Whether to add the probabilities from the images alone.
    column_prefix : str, optional
        Prefix of the names of the new columns.
    device : str or `~torch.device`, optional
        Device on which the network runs; ``"auto"`` is the GPU if there is one, else the CPU.
    precision : str, optional
        ``"float32"``, ``"bfloat16"`` or, on a GPU, ``"float16"``. With ``"auto"``, the network runs
        in mixed precision if the device has instructions for it and no probability of a fixed set
        of stamps changes by more than 0.01, else in float32. It depends only on the device and the
        classifier: the results on one machine are the same in each run.
    batch_size : int, optional
        Number of stamps in memory at a time; it does not affect the result.
    progress_bar : bool, optional
        Whether to show progress on standard error.

    Returns
    -------
    result : `~astropy.table.Table`, length n
        Copy of the table, of the same class, with the same rows in the same order, and

        - ``class`` (int16): most probable class in the scheme of the classifier; masked if a row
          is not classified;
        - ``probability`` (float32): probability of that class; this and the following columns are
          NaN if a row is not classified;
        - ``prob_1`` ... ``prob_K`` (float32): probabilities of the K classes;
        - ``entropy`` (float32): their Shannon entropy in nats, 0 to ln K (sec. 4.2.1);
        - ``agreement`` (float32): fraction of the ensemble members that vote for ``class``;
        - ``flags`` (int32): bits, see `~astroclust.stamps.decode_flags`;
        - ``evidence`` (int16), if photometry is used: evidence for the class, bits of
          `EvidenceFlag`. Rows without magnitudes are classified from the images alone;
        - ``prob_image_1`` ... (float32), if ``image_probabilities``.

        Its ``meta`` records the versions, the classifier and its training data, the precision, the
        images with their checksums, and the class scheme, which
        `~astroclust.instruments.classes_of` reads; a second run on the same table adds its own
        entries.

    Raises
    ------
    TypeError
        If the table is not a `~astropy.table.Table`, or positions are not numbers.
    KeyError
        If the table has no positions.
    ValueError
        If the table already has a column with one of the new names, the images have none of the
        bands of the classifier, photometry is required but cannot be used, or an argument is
        invalid.

    Warns
    -----
    AstropyUserWarning
        If rows are flagged, once with the number of each flag; and if the pixel scale of the images
        differs from that of the training set of the classifier.

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
    x, y = positions = pixel_positions(table, images.wcs)
    predictions = classify_positions(
        x,
        y,
        images,
        classifier.prepared(device, precision=precision),
        batch_size=batch_size,
        progress_bar=progress_bar,
    )
    evidence = None
    if pools:
        predictions, evidence = pool_photometry(predictions, table, positions, images, neighbors)
    return columns.add(table, predictions, evidence, name_images(images))
