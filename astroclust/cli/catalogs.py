# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Commands for survey catalogs and images."""

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
        "fetch LEGUS and PHANGS-HST catalogs and images from MAST",
        "astroclust fetch --list",
        "astroclust fetch ngc1566 --data data",
        "astroclust fetch phangs-human",
        "astroclust fetch phangs-ngc1559 --data data",
    )
    command.add_argument(
        "name",
        nargs="?",
        help="LEGUS field; or phangs-human or phangs-machine for the PHANGS-HST catalogs of all "
        "galaxies, or phangs-GALAXY for human classes and images of one galaxy, such as "
        "phangs-ngc1559",
    )
    command.add_argument("--list", action="store_true", help="list the LEGUS fields")
    command.add_argument(
        "--what",
        type=lambda text: [word.strip() for word in text.split(",")],
        metavar="WHAT",
        help="catalog, images or catalog,images (default: both for one field, the catalog for all)",
    )
    command.add_argument(
        "--classes",
        type=_classes,
        metavar="CLASSES",
        help="classes in PHANGS-HST catalogs (default: 1,2 for all galaxies, 1,2,3,4 for one)",
    )
    command.add_argument("--data", type=Path, help="download folder (default: astropy's cache)")
    command.add_argument("--server", help="server to use instead of MAST, such as a mirror")
    command.add_argument("--offline", action="store_true", help="use only files already downloaded")


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
        raise ValueError("specify a field, such as ngc1566; --list shows all of them")
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
        raise ValueError("--classes only applies to PHANGS-HST catalogs, such as phangs-ngc1559")
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
        "compare class counts of LEGUS catalogs with the paper",
        "astroclust fetch ngc1566 --what catalog --data data",
        "astroclust samples data",
    )
    command.add_argument(
        "folder", type=Path, help="folder with hlsp_legus_..._multiband_....tab files"
    )


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
            "numbers in classes 1 to 4 in the catalogs and in Tables 1 and 2 of Wei et al. (2020), "
            "and their differences:\n"
            "{fields}",
            fields=counts,
            failures=failures,
        )
        report.end()  # the counts are valid even if others failed
    if failures:
        n = len(failures) + len(catalogs)
        raise OSError(f"{len(failures)} of {n} catalogs could not be read: " + "; ".join(failures))


def add_regions(commands):
    """Add ``astroclust regions``."""
    command = add_command(
        commands,
        "regions",
        _regions,
        "write a table as a DS9 region file",
        "astroclust regions classified.fits -o classified.reg",
        "# labeled and colored by other columns",
        "astroclust regions candidates.fits --text id --color n_filters -o candidates.reg",
    )
    command.add_argument("table", type=Path, help="table of candidates")
    add_output(command, "output region file, ending in .reg")
    command.add_argument(
        "--text", metavar="COLUMN", help="column for the text (default: the class)"
    )
    command.add_argument(
        "--color", metavar="COLUMN", help="column for the color (default: the class)"
    )
    command.add_argument("--column-prefix", default="", help="prefix of the class columns")
    command.add_argument(
        "--pixels",
        action="store_true",
        help="write pixel coordinates even if the table has sky coordinates",
    )


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
