# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The ``astroclust`` command."""

import argparse
import shlex
import sys
import warnings
from contextlib import redirect_stdout, suppress

from astropy.utils.exceptions import AstropyUserWarning

import astroclust
from astroclust.cli.candidates import add_completeness, add_detect
from astroclust.cli.catalogs import add_fetch, add_regions, add_samples
from astroclust.cli.classification import add_classify
from astroclust.cli.demo import add_demo
from astroclust.cli.detectors import add_train_detector
from astroclust.cli.experiments import add_reproduce
from astroclust.cli.options import one_image_each
from astroclust.cli.plot import add_plot
from astroclust.cli.report import Report
from astroclust.cli.review import add_review
from astroclust.cli.run import add_run
from astroclust.cli.scoring import add_score
from astroclust.cli.simulation import add_simulate
from astroclust.cli.training import add_train
from astroclust.extras import advice_of

__all__ = ["main"]

_EXAMPLES = """\
examples:
  astroclust demo
  astroclust run --image *_drz.fits --distance 9.9 -o ngc628
  astroclust fetch ngc1566
  astroclust simulate --like ngc1566 --shape 1000 1000 --seed 1 -o simulated
  astroclust detect --image F555W=v.fits --image F814W=i.fits -o candidates.fits
  astroclust classify candidates.fits --image F555W=v.fits --image F814W=i.fits -o classified.fits
  astroclust review classified.fits --image F555W=v.fits --image F814W=i.fits

An image is a file or a URL; choose an extension with brackets, as in "i.fits[SCI]".
@FILE reads arguments from a file. See astroclust COMMAND --help for examples of each command.
"""


def main(argv=None):
    """Run ``astroclust``.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    status : int
        0 on success, 1 for invalid input or a missing package, 130
        after Ctrl-C.

    Raises
    ------
    SystemExit
        With 2 for invalid arguments, with 0 after ``--help`` and similar options.
    """
    arguments = _parser().parse_args(argv)
    report = Report(as_json=arguments.json)
    # Standard output is reserved for the report, so output of libraries, such as astropy's log, is
    # redirected.
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("always", AstropyUserWarning)
        warnings.showwarning = _Warnings()
        try:
            arguments.run(arguments, report)
            report.end()
        except KeyboardInterrupt:
            return _fail("interrupted; no partial output was left behind", 130)
        except ImportError as error:
            if (advice := advice_of(error)) is None:
                raise
            return _fail(advice)
        except (OSError, ValueError, TypeError, KeyError) as error:
            return _fail(error.args[0] if isinstance(error, KeyError) else error)
    return 0


def _fail(message, status=1):
    print(f"astroclust: {message}", file=sys.stderr)
    return status


class _Warnings:
    """Show each warning once, even if several steps of a command issue it."""

    def __init__(self):
        self.shown = set()

    def __call__(self, message, *_):
        if str(message) not in self.shown:
            self.shown.add(str(message))
            print(f"astroclust: warning: {message}", file=sys.stderr)


class _Parser(argparse.ArgumentParser):
    """Argument parser that accepts several images per option and reads arguments from files.

    Comments in these files are ignored.
    """

    def parse_known_args(self, args=None, namespace=None):
        return super().parse_known_args(args and one_image_each(args), namespace)

    def convert_arg_line_to_args(self, line):
        return shlex.split(line, comments=True)


def _parser():
    parser = _Parser(
        prog="astroclust",
        description=astroclust.__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fromfile_prefix_chars="@",
    )
    parser.add_argument("--version", action="version", version=astroclust.__version__)
    with suppress(ModuleNotFoundError):
        import shtab

        shtab.add_argument_to(parser, help="print the shell script for command completion")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_demo(commands)
    add_run(commands)
    add_simulate(commands)
    add_fetch(commands)
    add_samples(commands)
    add_detect(commands)
    add_completeness(commands)
    add_classify(commands)
    add_review(commands)
    add_regions(commands)
    add_plot(commands)
    add_train(commands)
    add_train_detector(commands)
    add_score(commands)
    add_reproduce(commands)
    return parser
