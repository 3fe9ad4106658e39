# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The command that classifies: one table, or many fields."""

import numpy as np

import astroclust
from astroclust.catalogs import read_table, write_table
from astroclust.catalogs.tables import check_table_output
from astroclust.cli.options import add_command, add_images, add_output, print_notice, read_images

__all__ = ["add_classify"]


def add_classify(commands):
    """Add ``astroclust classify``."""
    command = add_command(
        commands, "classify", _classify, "classify the candidates of a table on its images"
    )
    command.add_argument("table", nargs="?", help="candidates, with x and y (from 0) or ra and dec")
    add_images(command, required=False)
    add_output(command, "table to write, or folder for those of many fields")
    command.add_argument(
        "--fields",
        metavar="LIST",
        help="classify many fields in place of one table: a table with a row a field, of columns "
        "field, catalog and a column of paths for each filter",
    )
    command.add_argument("--scheduler", metavar="ADDRESS", help="of the Dask cluster for --fields")
    command.add_argument("--model", help="name or .safetensors file of a classifier")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: auto)")
    command.add_argument("--batch-size", type=int, help="stamps in memory at a time")
    command.add_argument("--column-prefix", default="", help="put before the new columns' names")


def _classify(arguments):
    if not arguments.fields:
        if not (arguments.table and arguments.image):
            raise ValueError("give a table and its images with --image, or --fields")
        _classify_one(arguments)
        return
    of_one = {
        "TABLE": arguments.table,
        "--image": arguments.image,
        "--role": arguments.role,
        "--batch-size": arguments.batch_size,
    }
    given = ", ".join(name for name, value in of_one.items() if value)
    if given:
        raise ValueError(f"--fields goes without {given}, which are of one table: leave them out")
    _classify_fields(arguments)


def _classify_fields(arguments):
    classifier = astroclust.load_classifier(arguments.model)
    paths = astroclust.classify_fields(
        arguments.fields,
        arguments.output,
        client=arguments.scheduler,
        model=classifier,
        column_prefix=arguments.column_prefix,
        device=arguments.device,
        overwrite=arguments.overwrite,
        progress_bar=not arguments.quiet,
    )
    print_notice(classifier)
    print(f"{len(paths)} fields are in {arguments.output}")


def _classify_one(arguments):
    check_table_output(arguments.output, overwrite=arguments.overwrite)
    table = read_table(arguments.table)
    images = read_images(arguments)
    classifier = astroclust.load_classifier(arguments.model)
    result = astroclust.classify_table(
        table,
        images,
        model=classifier,
        column_prefix=arguments.column_prefix,
        device=arguments.device,
        batch_size=arguments.batch_size,
        progress_bar=not arguments.quiet,
    )
    write_table(result, arguments.output, overwrite=arguments.overwrite)
    _print_counts(result[f"{arguments.column_prefix}class"], classifier)
    print_notice(classifier)
    print(f"wrote {arguments.output}")


def _print_counts(classes, classifier):
    classes = np.ma.asarray(classes)
    for number, name in classifier.card.classes.items():
        print(f"{np.ma.filled(classes == number, False).sum():7d}  {number} {name}")
    print(f"{np.ma.getmaskarray(classes).sum():7d}  not classified (see flags)")
