# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Command that simulates a field and writes it in the format of LEGUS."""

import numpy as np

import astroclust
from astroclust.cli.options import (
    add_command,
    add_output,
    add_system,
    add_workers,
    band_system,
    say_counts,
)

__all__ = ["add_simulate"]


def add_simulate(commands):
    """Add ``astroclust simulate``."""
    command = add_command(
        commands,
        "simulate",
        _simulate,
        "simulate a field: images, catalog and readme in the format of LEGUS, and the truth",
        "astroclust simulate --like ngc628-c --shape 2000 2000 --seed 1 -o simulated",
        "# with the candidates of a real catalog",
        "astroclust simulate --catalog hlsp_legus_catalog.tab -o painted",
    )
    command.add_argument(
        "--like",
        metavar="FIELD",
        help="LEGUS field to imitate (default: that of --catalog, otherwise ngc628-c)",
    )
    command.add_argument(
        "--shape",
        type=int,
        nargs=2,
        metavar=("NY", "NX"),
        help="shape of the images in pixels (default: that of --catalog, otherwise 600 600)",
    )
    command.add_argument("--seed", type=int, default=1, help="(default: 1)")
    command.add_argument(
        "--density",
        type=float,
        help="candidates per square pixel (default: that of the crowded part of the field)",
    )
    command.add_argument(
        "--catalog",
        metavar="FILE",
        help="LEGUS catalog whose candidates are painted instead of random ones",
    )
    command.add_argument(
        "--galaxies",
        metavar="FILE",
        help="stamps of real galaxies (FITS, one per extension) for the background",
    )
    command.add_argument(
        "--psf",
        nargs=3,
        action="append",
        metavar=("CAMERA", "FILTER", "FILE"),
        help="grid of empirical PSFs (STDPSF), such as uvis F814W emp_psf_f814w.fits; repeatable",
    )
    add_system(command)
    add_workers(command)
    add_output(command, "output folder")


def _simulate(arguments, report):
    from astroclust.simulation import check_field_output, write_field

    folder, progress_bar = arguments.output, not arguments.quiet
    names = ("like", "shape", "density", "galaxies", "system")
    given = {name: getattr(arguments, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    like = arguments.like or "ngc628-c"
    if arguments.catalog is not None:
        given["catalog"] = astroclust.catalogs.read_table(arguments.catalog)
        like = arguments.like or given["catalog"].meta.get("FIELD", like)
    if arguments.psf is not None:
        given["psf"] = {(camera, name): path for camera, name, path in arguments.psf}
    system = band_system(arguments)
    check_field_output(like, folder, system=system, overwrite=arguments.overwrite)
    field = astroclust.simulate_field(**given, seed=arguments.seed, progress_bar=progress_bar)
    files = write_field(
        field,
        folder,
        overwrite=arguments.overwrite,
        workers=arguments.workers,
        progress_bar=progress_bar,
    )
    report.say(
        "simulated {!r} with {objects} candidates of known class",
        field.images,
        objects=len(field.truth),
    )
    paths = files.images | {"catalog": files.catalog, "readme": files.readme, "truth": files.truth}
    if files.readme is None:
        del paths["readme"]
    else:
        _say_classes(report, files.catalog)
    names = ", ".join(path.name for path in files)
    report.say("wrote {} in {output}", names, output=folder, files=paths)


def _say_classes(report, path):
    if not path.stat().st_size:
        report.say("", sources=0)
        return
    catalog = astroclust.catalogs.read_legus(path)
    report.say(
        "{sources} sources in the catalog, by the class that simulated experts assigned:",
        sources=len(catalog),
    )
    names = {**astroclust.instruments.LEGUS_CLASSES.names, 0: "not inspected"}
    counts = {number: np.sum(catalog["class_human"] == number) for number in names}
    say_counts(report, counts, names)
