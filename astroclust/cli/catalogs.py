# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The commands for the catalogs and images of surveys."""

from argparse import ArgumentTypeError
from pathlib import Path

import astroclust
from astroclust.cli.options import add_command, add_output, use_server

__all__ = ["add_fetch", "add_regions", "add_samples"]


def add_fetch(commands):
    """Add ``astroclust fetch``."""
    command = add_command(
        commands,
        "fetch",
        _fetch,
        "fetch catalogs and images of LEGUS and PHANGS-HST from MAST",
        "astroclust fetch --list",
        "astroclust fetch ngc1566 --data data",
        "astroclust fetch phangs-human",
        "astroclust fetch phangs-ngc1559 --data data",
    )
    command.add_argument(
        "name",
        nargs="?",
        help="field of LEGUS; of PHANGS-HST phangs-human or phangs-machine for the catalogs of all "
        "galaxies, or phangs-GALAXY for human classes and images of one, such as phangs-ngc1559",
    )
    command.add_argument("--list", action="store_true", help="list the fields of LEGUS")
    command.add_argument(
        "--what",
        type=lambda text: [word.strip() for word in text.split(",")],
        metavar="WHAT",
        help="catalog, images or catalog,images (default: both of one field, the catalog of all)",
    )
    command.add_argument(
        "--classes",
        type=_classes,
        metavar="CLASSES",
        help="classes in catalogs of PHANGS-HST (default: 1,2 of all galaxies, 1,2,3,4 of one)",
    )
    command.add_argument(
        "--data", type=Path, help="folder that files go to (default: astropy's cache)"
    )
    command.add_argument("--server", help="in place of those of MAST, such as a mirror")
    command.add_argument("--offline", action="store_true", help="use what is there, ask no server")


def _classes(text):
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a list such as 1,2,3") from None


def _fetch(arguments, report):
    from astroclust.archive import list_fields

    if arguments.list:
        report.say("{fields}", fields=list_fields())
        return
    if arguments.name is None:
        raise ValueError("name a field, such as ngc1566; --list lists them")
    with use_server(arguments.server):
        _fetch_and_say(arguments, report)


def _fetch_and_say(arguments, report):
    options = {
        "folder": arguments.data,
        "offline": arguments.offline,
        "progress_bar": not arguments.quiet,
    }
    what = arguments.what or ("catalog", "images")
    survey, _, name = arguments.name.partition("-")
    if survey == "phangs":
        data = _fetch_phangs(arguments, name, what, options)
    elif arguments.classes:
        raise ValueError("--classes is for catalogs of PHANGS-HST, such as phangs-ngc1559")
    else:
        data = astroclust.fetch_legus(arguments.name, what=what, **options)
    report.say("", field=data.name, files=data.files)
    if data.catalog is not None:
        paths = [str(path) for name, path in data.files.items() if name not in (data.images or ())]
        report.say("{candidates} candidates in {}", " ".join(paths), candidates=len(data.catalog))
    if data.images is not None:
        report.say("{!r} in {}", data.images, next(reversed(data.files.values())).parent)


def _fetch_phangs(arguments, name, what, options):
    if name in ("human", "machine"):
        options |= {"labels": name, "what": arguments.what or "catalog"}
        return astroclust.fetch_phangs(classes=arguments.classes or (1, 2), **options)
    classes = arguments.classes or (1, 2, 3, 4)
    return astroclust.fetch_phangs(name, what=what, classes=classes, **options)


def add_samples(commands):
    """Add ``astroclust samples``."""
    command = add_command(
        commands,
        "samples",
        _samples,
        "count the classes of LEGUS catalogs beside the paper's",
        "astroclust fetch ngc1566 --what catalog --data data",
        "astroclust samples data",
    )
    command.add_argument("folder", type=Path, help="folder of hlsp_legus_..._multiband_....tab")


def _samples(arguments, report):
    catalogs, failures = [], []
    for path in astroclust.catalogs.legus_catalogs(arguments.folder):
        try:
            catalogs.append(astroclust.catalogs.read_table(path))
        except (OSError, ValueError) as error:
            failures.append(str(error))
    if catalogs:
        counts = astroclust.catalogs.sample_counts(catalogs)
        report.say(
            "classes 1 to 4 here, in Tables 1 and 2 of Wei et al. (2020), and the difference:\n"
            "{fields}",
            fields=counts,
            failures=failures,
        )
        report.end()  # the counts are good, whatever else failed
    if failures:
        raise OSError(f"{len(failures)} not counted: " + "; ".join(failures))


def add_regions(commands):
    """Add ``astroclust regions``."""
    command = add_command(
        commands,
        "regions",
        _regions,
        "write a table as a region file of DS9",
        "astroclust regions classified.fits -o classified.reg",
        "# named and colored by other columns",
        "astroclust regions candidates.fits --text id --color n_filters -o candidates.reg",
    )
    command.add_argument("table", type=Path, help="table of candidates")
    add_output(command, "region file to write, ending in .reg")
    command.add_argument("--text", metavar="COLUMN", help="written beside (default: the class)")
    command.add_argument("--color", metavar="COLUMN", help="colored by (default: the class)")
    command.add_argument("--column-prefix", default="", help="that of the columns of classes")
    command.add_argument("--pixels", action="store_true", help="pixels where there is the sky too")


def _regions(arguments, report):
    from astroclust.ds9 import write_regions

    table = astroclust.catalogs.read_table(arguments.table)
    write_regions(
        table,
        arguments.output,
        column_prefix=arguments.column_prefix,
        text=arguments.text,
        color=arguments.color,
        sky=False if arguments.pixels else None,
        overwrite=arguments.overwrite,
    )
    report.say("wrote {output}", output=arguments.output)
