# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The command that simulates a field and writes it as LEGUS publishes its own."""

import os
from pathlib import Path

import numpy as np

import astroclust
from astroclust.catalogs import CLASSES, read_legus, read_table
from astroclust.cli.options import add_command

__all__ = ["add_simulate"]


def add_simulate(commands):
    """Add ``astroclust simulate``."""
    command = add_command(
        commands,
        "simulate",
        _simulate,
        "simulate a field: images, catalogue and readme as LEGUS publishes them, and the truth",
    )
    command.add_argument(
        "--like",
        metavar="FIELD",
        help="field of LEGUS (default: that of --catalog, else ngc628-c)",
    )
    command.add_argument(
        "--shape",
        type=int,
        nargs=2,
        metavar=("NY", "NX"),
        help="pixels of the images (default: those of --catalog, else 600 600)",
    )
    command.add_argument("--seed", type=int, default=1, help="(default: 1)")
    command.add_argument(
        "--density",
        type=float,
        help="candidates a square pixel (default: that of the field's crowded part)",
    )
    command.add_argument(
        "--catalog",
        metavar="FILE",
        help="catalogue of LEGUS, whose candidates are painted in place of random ones",
    )
    command.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes (default: one a core)"
    )
    command.add_argument("-o", "--output", type=Path, required=True, help="folder of the files")
    command.add_argument("--overwrite", action="store_true", help="replace files that exist")


def _simulate(arguments):
    from astroclust.simulation.products import check_field_output

    folder, progress_bar = arguments.output, not arguments.quiet
    names = ("like", "shape", "density")
    given = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    like = arguments.like or "ngc628-c"
    if arguments.catalog is not None:
        given["catalog"] = read_table(arguments.catalog)
        like = arguments.like or given["catalog"].meta.get("FIELD", like)
    check_field_output(like, folder, overwrite=arguments.overwrite)
    field = astroclust.simulate_field(**given, seed=arguments.seed, progress_bar=progress_bar)
    files = astroclust.write_field(
        field,
        folder,
        overwrite=arguments.overwrite,
        workers=arguments.workers,
        progress_bar=progress_bar,
    )
    print(f"simulated {field.images!r} with {len(field.truth)} candidates of known class")
    _print_classes(files.catalog)
    print(f"wrote {', '.join(path.name for path in files)} in {folder}")


def _print_classes(path):
    if not path.stat().st_size:
        return
    catalog = read_legus(path)
    print(f"{len(catalog)} sources in the catalogue, by the class that simulated experts give:")
    for number, name in {**CLASSES, 0: "not inspected"}.items():
        print(f"{np.sum(catalog['class_human'] == number):7d}  {number} {name}")
