# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Scores of detected sources for ``astroclust score``."""

import argparse
from pathlib import Path

import astroclust

__all__ = ["add_detection_scores", "check_detection_options", "score_detections"]

# Options that require --detection.
_OPTIONS = ("radius", "classes", "limit", "score_column", "figure", "overwrite")
# Options of all commands.
_COMMON = ("run", "usual", "detection", "quiet", "json")


def add_detection_scores(command):
    """Add the options for scoring detected sources."""
    group = command.add_argument_group("score detected sources instead of a classifier")
    group.add_argument(
        "--detection",
        nargs=2,
        metavar=("FOUND", "TRUTH"),
        help="tables of detected and true sources, to print completeness and purity",
    )
    group.add_argument(
        "--radius",
        type=_separation,
        help="maximum separation of a match: pixels, or as in 0.08arcsec (default: 2)",
    )
    group.add_argument(
        "--classes",
        type=_classes,
        help="classes to count, such as 1,2,3 (default: all sources)",
    )
    group.add_argument(
        "--limit",
        type=float,
        metavar="MAG",
        help="magnitude limit of TRUTH; fainter sources do not count for purity (default: none)",
    )
    group.add_argument(
        "--score-column",
        metavar="NAME",
        help="score column of FOUND, such as a probability, for average precision (default: none)",
    )
    group.add_argument(
        "--figure",
        type=Path,
        metavar="FILE",
        help="output figure of completeness and purity against magnitude (default: none)",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace the figure (default: refuse)"
    )
    command.set_defaults(usual=command.get_default)


def _separation(text):
    from astropy import units as u

    try:
        value = u.Quantity(text)
    except TypeError:
        raise argparse.ArgumentTypeError(
            f"expected a number of pixels, or an angle such as 0.08arcsec, not {text!r}"
        ) from None
    return value * u.pix if value.unit == u.dimensionless_unscaled else value


def _classes(text):
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected classes such as 1,2,3, not {text!r}") from None


def check_detection_options(arguments):
    """Check that options for detected sources and for classifiers are not combined."""
    given = {
        name
        for name, value in vars(arguments).items()
        if name not in _COMMON and value != arguments.usual(name)
    }
    if arguments.detection is None:
        wrong, needed = given & set(_OPTIONS), "requires --detection FOUND TRUTH"
    else:
        wrong, needed = given - set(_OPTIONS), "cannot be combined with --detection"
    if wrong:
        raise ValueError(f"--{min(wrong).replace('_', '-')} {needed}; omit it")


def score_detections(arguments, report):
    """Score a table of detected sources against a table of true sources.

    Parameters
    ----------
    arguments : `~argparse.Namespace`
        Parsed options.
    report : `~astroclust.cli.report.Report`
        Report to which all tables of scores are added.
    """
    from astroclust.evaluation import detection_scores

    figure = arguments.figure
    if figure is not None:
        astroclust.files.check_output(figure, overwrite=arguments.overwrite)
    radius = {} if arguments.radius is None else {"radius": arguments.radius}
    path, truth = arguments.detection
    scores = detection_scores(
        astroclust.catalogs.read_table(path),
        astroclust.catalogs.read_table(truth),
        classes=arguments.classes,
        limit=arguments.limit,
        score=arguments.score_column,
        **radius,
    )
    report.say("{}", "\n\n".join([str(scores), *_text_tables(scores)]), **scores.content)
    if figure is not None:
        from astroclust.plotting import plot_detection

        with astroclust.files.replace_when_done(figure, overwrite=arguments.overwrite) as partial:
            plot_detection({Path(path).stem: scores}).savefig(partial, dpi=110)
        report.say("wrote {figure}", figure=figure)


def _text_tables(scores):
    """Format tables as text, without intervals and empty rows."""
    for title, table in (
        ("magnitude", scores.by_magnitude),
        ("class", scores.by_class),
        ("separation from the nearest other true source", scores.by_crowding),
        ("pairs of true sources with both members found", scores.pairs),
    ):
        counts = [table[name] for name in ("n_true", "n_found", "n") if name in table.colnames]
        rows = table[sum(counts) > 0]
        ends = ("completeness", "purity", "recovered")
        intervals = [f"{name}_{end}" for name in ends for end in ("low", "high")]
        rows.remove_columns([name for name in intervals if name in rows.colnames])
        if len(rows):
            yield "\n".join([f"{title}:", *rows.pformat(max_lines=-1, max_width=-1)])
