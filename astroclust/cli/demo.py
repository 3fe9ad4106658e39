# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The command that goes the whole way on a simulated field."""

from pathlib import Path

import numpy as np

import astroclust
from astroclust.catalogs import find_field, write_table
from astroclust.cli.options import add_command, say_notice
from astroclust.files import check_output, replace_when_done
from astroclust.instruments import classes_of

__all__ = ["add_demo"]


def add_demo(commands):
    """Add ``astroclust demo``."""
    command = add_command(
        commands,
        "demo",
        _demo,
        "find and classify the candidates of a simulated field",
        "astroclust demo --output demo",
    )
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("astroclust-demo"),
        help="folder for tables and pictures, those of an earlier demo in it are replaced "
        "(default: astroclust-demo)",
    )
    command.add_argument("--seed", type=int, default=2020, help="of the field (default: 2020)")


_LIKE = "ngc628-c"
_DEMO_FILES = (
    "candidates.reg",
    "classified.ecsv",
    "classified.fits",
    "field.fits",
    "field.png",
    "gallery.png",
)


def _demo(arguments, report):
    from astroclust.evaluation import match_labels
    from astroclust.plotting import plot_field, plot_gallery

    folder, progress_bar = arguments.output, not arguments.quiet
    folder.mkdir(parents=True, exist_ok=True)
    for name in _DEMO_FILES:
        check_output(folder / name, overwrite=True)
    # More crowded than NGC 628 is, so that a small field shows all classes.
    field = astroclust.simulate_field(
        like=_LIKE, seed=arguments.seed, density=3e-4, progress_bar=progress_bar
    )
    report.say(
        "simulated {!r} with {objects} objects of known class",
        field.images,
        objects=len(field.truth),
    )
    distance = find_field(_LIKE).distance
    candidates = astroclust.find_candidates(
        field.images, distance=distance, progress_bar=progress_bar
    )
    result = astroclust.classify_table(candidates, field.images, progress_bar=progress_bar)
    result["class_true"] = match_labels(result, field.truth)
    scores = astroclust.class_scores(result["class_true"], result["class"])
    scores.rename_column("total", "true")
    given = np.ma.asarray(result["class"])
    scores.add_column(
        [np.ma.filled(given == number, False).sum() for number in classes_of(result).numbers],
        name="found",
        index=2,
    )
    for column in ("recall", "precision", "f1"):
        scores[column].format = ".2f"
    report.say("{candidates} candidates found and classified:", candidates=len(result))
    report.say("{classes}", classes=scores)
    accuracy = scores.meta["ACCURACY"]
    report.say("accuracy against the known truth: {accuracy:.3f}", accuracy=accuracy)
    say_notice(report, astroclust.load_classifier())
    field.images.write(folder / "field.fits", overwrite=True)
    for name in ("classified.fits", "classified.ecsv"):
        write_table(result, folder / name, overwrite=True)
    with replace_when_done(folder / "candidates.reg", overwrite=True) as partial:
        astroclust.to_regions(result).write(partial, format="ds9")
    picture = plot_field(field.images, result).figure
    gallery = plot_gallery(result, field.images)
    for name, figure in (("field.png", picture), ("gallery.png", gallery)):
        with replace_when_done(folder / name, overwrite=True) as partial:
            figure.savefig(partial, dpi=110)
    files = [folder / name for name in _DEMO_FILES]
    report.say("wrote {} in {output}", ", ".join(_DEMO_FILES), output=folder, files=files)
