# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Command for classification of a table or of many fields."""

import argparse

import numpy as np

import astroclust
from astroclust.cli.options import (
    add_command,
    add_images,
    add_output,
    read_images,
    say_accuracy,
    say_counts,
    say_notice,
    table_of,
)

__all__ = ["add_classify"]


def add_classify(commands):
    """Add ``astroclust classify``."""
    command = add_command(
        commands,
        "classify",
        _classify,
        "classify the candidates in a table, from images of the field",
        "astroclust classify candidates.fits --image F555W=v.fits --image F814W=i.fits -o c.fits",
        "# using the surroundings of each candidate in a catalog of the complete field",
        "astroclust classify candidates.fits --image F555W=v.fits --image F814W=i.fits \\",
        "    --neighbors catalog.fits -o classified.fits",
        "# with your own classifier, on a GPU",
        "astroclust classify candidates.fits --image F555W=v.fits --image F814W=i.fits \\",
        "    --model mine.safetensors --device cuda -o classified.fits",
        "# many fields, on a Dask cluster",
        "astroclust classify --fields fields.ecsv --scheduler tcp://10.0.0.1:8786 -o classified",
    )
    command.add_argument(
        "table",
        nargs="?",
        help="table of candidates with x and y (0-based), ra and dec, or the column names of other "
        "programs",
    )
    add_images(command, required=False)
    add_output(command, "output table, or folder for those of many fields")
    command.add_argument(
        "--fields",
        metavar="LIST",
        help="classify many fields: a table with one row per field, columns field, catalog and "
        "optionally neighbors, and a column of image paths for each filter",
    )
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="address of the Dask cluster for --fields"
    )
    command.add_argument("--model", help="name or .safetensors file of a classifier")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: auto)")
    command.add_argument(
        "--precision",
        default="auto",
        help="arithmetic precision: float32, bfloat16 or, on a GPU, float16 (default: auto, the "
        "fastest on the device that changes probabilities by less than 0.01)",
    )
    command.add_argument("--batch-size", type=int, help="number of stamps in memory at a time")
    command.add_argument(
        "--photometry",
        action=argparse.BooleanOptionalAction,
        default="auto",
        help="whether to also use the magnitudes in the table (default: if it has the required "
        "columns)",
    )
    command.add_argument(
        "--neighbors",
        metavar="TABLE",
        help="catalog of the complete field with magnitudes, to also use the surroundings of "
        "candidates",
    )
    command.add_argument(
        "--image-probabilities",
        action="store_true",
        help="add the probabilities from the images alone",
    )
    command.add_argument("--column-prefix", default="", help="prefix of the names of new columns")


def _classify(arguments, report):
    if not arguments.fields:
        if not arguments.image:
            raise ValueError("specify either a table and its images with --image, or --fields")
        table_of(arguments)
        _classify_one(arguments, report)
        return
    of_one = {
        "TABLE": arguments.table,
        "--image": arguments.image,
        "--role": arguments.role,
        "--system": arguments.system,
        "--batch-size": arguments.batch_size,
        "--neighbors": arguments.neighbors,
    }
    given = ", ".join(name for name, value in of_one.items() if value)
    if given:
        raise ValueError(f"{given} cannot be combined with --fields")
    _classify_fields(arguments, report)


def _classify_fields(arguments, report):
    classifier = astroclust.load_classifier(arguments.model)
    from astroclust.classification import Tasks

    paths = astroclust.classify_fields(
        arguments.fields,
        arguments.output,
        tasks=Tasks(arguments.scheduler, arguments.device, precision=arguments.precision),
        model=classifier,
        photometry=arguments.photometry,
        image_probabilities=arguments.image_probabilities,
        column_prefix=arguments.column_prefix,
        overwrite=arguments.overwrite,
        progress_bar=not arguments.quiet,
    )
    say_notice(report, classifier)
    report.say("{} fields are in {output}", len(paths), output=arguments.output, files=paths)


def _classify_one(arguments, report):
    astroclust.catalogs.check_table_output(arguments.output, overwrite=arguments.overwrite)
    table = astroclust.catalogs.read_table(arguments.table)
    astroclust.catalogs.check_table_output(
        arguments.output, overwrite=arguments.overwrite, table=table
    )
    classifier = astroclust.load_classifier(arguments.model)
    images = read_images(arguments, classifier)
    result = astroclust.classify_table(
        table,
        images,
        model=classifier,
        photometry=arguments.photometry,
        neighbors=astroclust.catalogs.read_table(arguments.neighbors)
        if arguments.neighbors
        else None,
        image_probabilities=arguments.image_probabilities,
        column_prefix=arguments.column_prefix,
        device=arguments.device,
        precision=arguments.precision,
        batch_size=arguments.batch_size,
        progress_bar=not arguments.quiet,
    )
    astroclust.catalogs.write_table(result, arguments.output, overwrite=arguments.overwrite)
    classes = np.ma.asarray(result[f"{arguments.column_prefix}class"])
    names = classifier.card.classes.names
    counts = {number: np.ma.filled(classes == number, False).sum() for number in names}
    say_counts(report, counts, names)
    report.say(
        "{not_classified:7d}  not classified (see flags)",
        not_classified=np.ma.getmaskarray(classes).sum(),
    )
    say_accuracy(report, classifier.card, images)
    say_notice(report, classifier)
    report.say("wrote {output}", output=arguments.output)
