# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Options and helpers shared by commands."""

import argparse
import logging
import os
import sys
from contextlib import contextmanager
from pathlib import Path

import astroclust

__all__ = [
    "add_command",
    "add_images",
    "add_output",
    "add_system",
    "add_workers",
    "band_system",
    "one_image_each",
    "pair",
    "read_images",
    "say_accuracy",
    "say_counts",
    "say_notice",
    "table_of",
    "training_progress",
    "use_server",
]


def add_command(commands, name, run, summary, *examples):
    """Add a command with examples for its help and the common options."""
    command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="\n  ".join(("examples:", *examples)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    command.add_argument(
        "-q", "--quiet", action="store_true", help="no progress bars (default: show them)"
    )
    command.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object, for scripts (default: text)",
    )
    return command


def add_images(command, *, required=True):
    """Add the options for images."""
    command.add_argument(
        "--image",
        action="append",
        required=required,
        default=None if required else [],
        type=_image,
        metavar="[FILTER=]FILE",
        help="image of a band; once for each band, or several at once, as in --image *.fits. The "
        "filter is read from the header unless given",
    )
    command.add_argument(
        "--role",
        action="append",
        default=[],
        type=pair,
        metavar="FILTER=BAND",
        help="band (NUV, U, B, V, I, ...) of a filter unknown to astroclust (default: that of the "
        "band system)",
    )
    add_system(command)


def add_system(command):
    """Add the option for the band system."""
    command.add_argument(
        "--system",
        help="band system: name or JSON file (default: that of the classifier, otherwise legus)",
    )


def add_output(command, what="output table"):
    """Add the options for the output."""
    command.add_argument("-o", "--output", type=Path, required=True, help=what)
    command.add_argument(
        "--overwrite", action="store_true", help="replace the output (default: refuse)"
    )


def add_workers(command):
    """Add the option for the number of processes."""
    command.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        help="number of processes (default: one per core)",
    )


def band_system(arguments, classifier=None):
    """Band system from the options, otherwise that of a classifier, otherwise that of LEGUS."""
    usual = astroclust.instruments.LEGUS_BANDS if classifier is None else classifier.card.system
    return arguments.system or usual


def pair(text):
    """Parse NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, such as F555W=v.fits, not {text!r}")
    return name, value


def _image(text):
    """Parse FILTER=FILE; the filter is empty if only a file is given."""
    name, equals, _ = text.partition("=")
    # A file may have an equals sign in its path or address.
    if equals and "/" not in name and not Path(text).exists():
        return pair(text)
    return "", text


def _is_named(word):
    """Whether an image is given with its filter."""
    try:
        return bool(_image(word)[0])
    except argparse.ArgumentTypeError:  # reported when it is parsed
        return True


def one_image_each(words):
    """Repeat ``--image`` before each of several images that follow it.

    After a file without a filter, all words up to the next option are images; after FILTER=FILE,
    only words of that form, so that the table of a command can follow.
    """
    result, is_image, bare = [], False, False
    for word in words:
        if word.startswith("-") or not is_image:
            is_image, bare = word == "--image", False
            result.append(word)
            continue
        first = result[-1] == "--image"
        named = _is_named(word)
        bare = not named if first else bare
        if not (first or bare or named):
            is_image = False
        elif not first:
            result.append("--image")
        result.append(word)
    return result


def read_images(arguments, classifier=None):
    """Read the images in the band system of the options, the classifier or the file."""
    roles, system = dict(arguments.role), arguments.system
    if system is None and classifier is not None:
        system = classifier.card.system
    files = [path for name, path in arguments.image if not name]
    images, system = astroclust.images.naming.name_by_filter(files, roles=roles, system=system)
    for name, path in ((name.strip().upper(), path) for name, path in arguments.image):
        if name in images:
            raise ValueError(f"--image {name} is given more than once; omit one of them")
        if name:
            images[name] = path
    _check_filters(images, roles, system)
    return astroclust.images.ImageSet.read(images, roles=roles, system=system)


def _check_filters(names, roles, system):
    """Raise an error that names the options for a filter without a role."""
    known = {name.upper() for name in (*system.filters, *system.roles, *roles)}
    for name in names:
        if name.strip().upper() not in known:
            raise ValueError(
                f"filter {name!r} has no known role; available are {', '.join(system.filters)}. "
                f"Set its band, as in --role {name}={system.reference[0]}, or choose another band "
                "system with --system"
            )


def table_of(arguments):
    """Table argument of a command."""
    if arguments.table is None:
        swallowed = [path for name, path in getattr(arguments, "image", []) if not name]
        raise ValueError(
            "no table is given" + (": put it before --image" if swallowed else ": name its file")
        )
    return arguments.table


def say_counts(report, counts, names):
    """Print the number of objects in each class."""
    lines = [f"{counts[number]:7d}  {number} {name}" for number, name in names.items()]
    report.say("{}", "\n".join(lines), counts=counts)


def say_accuracy(report, card, images):
    """Print the expected accuracy for the bands of the images."""
    bands = [role for role in images.roles if role in card.bands]
    accuracy = card.expected_accuracy(bands) if bands else {}
    report.say("{}", card.accuracy_notice(images.roles), bands=bands, expected_accuracy=accuracy)


def say_notice(report, classifier):
    """Print the limitations of a classifier."""
    card = classifier.card
    report.say("note: {notice}" if card.notice else "", model=card.name, notice=card.notice)


@contextmanager
def training_progress(arguments):
    """Yield whether to show progress bars; if not, log one line per epoch to standard error."""
    if sys.stderr.isatty() and not arguments.quiet:
        yield True
        return
    logger, handler = logging.getLogger("astroclust.training"), logging.StreamHandler(sys.stderr)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield False
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


@contextmanager
def use_server(url):
    """Use the given server instead of MAST."""
    from astroclust.archive import conf
    from astroclust.archive.mast import astroquery_server

    url = (url or "").rstrip("/")
    with (
        astroquery_server(url),
        conf.set_temp("archive_server", url or conf.archive_server),
        conf.set_temp("mast_server", url or conf.mast_server),
    ):
        yield
