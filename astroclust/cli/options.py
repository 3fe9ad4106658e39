# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""What commands have in common."""

import argparse
import logging
import os
import sys
from contextlib import contextmanager
from pathlib import Path

from astroclust.images import ImageSet
from astroclust.instruments import LEGUS_BANDS

__all__ = [
    "add_command",
    "add_images",
    "add_output",
    "add_system",
    "add_workers",
    "band_system",
    "pair",
    "read_images",
    "say_counts",
    "say_notice",
    "training_progress",
    "use_server",
]


def add_command(commands, name, run, summary, *examples):
    """Add a command, lines of examples for its help, and the options that all have."""
    command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="\n  ".join(("examples:", *examples)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    command.add_argument(
        "--json", action="store_true", help="say all in one JSON object, for scripts"
    )
    return command


def add_images(command, *, required=True):
    """Add the options for images."""
    command.add_argument(
        "--image",
        action="append",
        required=required,
        default=None if required else [],
        type=pair,
        metavar="FILTER=FILE",
        help="image of a band; once for each band",
    )
    command.add_argument(
        "--role",
        action="append",
        default=[],
        type=pair,
        metavar="FILTER=BAND",
        help="band, such as NUV, U, B, V or I, that a filter unknown to astroclust stands for",
    )
    add_system(command)


def add_system(command):
    """Add the option for the band system."""
    command.add_argument(
        "--system",
        help="band system: a name, or a JSON file of its parameters (default: that of the "
        "classifier, else legus)",
    )


def add_output(command, what="table to write"):
    """Add the options for what is written."""
    command.add_argument("-o", "--output", type=Path, required=True, help=what)
    command.add_argument("--overwrite", action="store_true", help="replace the output")


def add_workers(command):
    """Add the option for processes."""
    command.add_argument(
        "--workers", type=int, default=os.cpu_count(), help="processes (default: one a core)"
    )


def band_system(arguments, classifier=None):
    """The band system that was given, else that of a classifier, else LEGUS's."""
    usual = LEGUS_BANDS if classifier is None else classifier.card.system
    return arguments.system or usual


def pair(text):
    """Two words with an equals sign between them."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, such as F555W=v.fits, not {text!r}")
    return name, value


def read_images(arguments, classifier=None):
    """The images that were given, in the band system that was given."""
    names = [name for name, _ in arguments.image]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"--image {name} is given more than once")
    system = band_system(arguments, classifier)
    return ImageSet.read(dict(arguments.image), roles=dict(arguments.role), system=system)


def say_counts(report, counts, names):
    """Say how many there are of each class."""
    lines = [f"{counts[number]:7d}  {number} {name}" for number, name in names.items()]
    report.say("{}", "\n".join(lines), counts=counts)


def say_notice(report, classifier):
    """Say what a classifier is not for."""
    card = classifier.card
    report.say("note: {notice}" if card.notice else "", model=card.name, notice=card.notice)


@contextmanager
def training_progress(arguments):
    """Whether a training shows progress bars; if not, it writes one line per epoch."""
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
    """Fetch from a server in place of those of MAST, where one is given."""
    from astroclust.archive import conf

    url = (url or "").rstrip("/")
    with (
        conf.set_temp("archive_server", url or conf.archive_server),
        conf.set_temp("mast_server", url or conf.mast_server),
    ):
        yield
