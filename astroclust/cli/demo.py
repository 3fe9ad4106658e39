# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Command that runs the pipeline on a simulated field."""

from pathlib import Path

import astroclust
from astroclust.cli.options import add_command
from astroclust.cli.run import say_run

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
        help="output folder; results of an earlier demo in it are replaced (default: "
        "astroclust-demo)",
    )
    command.add_argument(
        "--seed", type=int, default=2020, help="random seed of the field (default: 2020)"
    )


_LIKE = "ngc628-c"


def _demo(arguments, report):
    from astroclust.evaluation import match_labels
    from astroclust.pipeline import FILES

    folder, progress_bar = arguments.output, not arguments.quiet
    astroclust.files.make_folder(folder)
    astroclust.files.check_output(folder / "field.fits", overwrite=True)
    # More crowded than NGC 628, so that a small field has all classes.
    field = astroclust.simulate_field(
        like=_LIKE, seed=arguments.seed, density=3e-4, progress_bar=progress_bar
    )
    report.say(
        "simulated {!r} with {objects} objects of known class",
        field.images,
        objects=len(field.truth),
    )
    field.images.write(folder / "field.fits", overwrite=True)
    classifier = astroclust.load_classifier()
    result = astroclust.run_field(
        field.images,
        folder,
        title="astroclust demo",
        distance=astroclust.catalogs.find_field(_LIKE).distance,
        model=classifier,
        overwrite=True,
        progress_bar=progress_bar,
    )
    result["class_true"] = match_labels(result, field.truth)
    for name in ("classified.fits", "classified.ecsv"):
        astroclust.catalogs.write_table(result, folder / name, overwrite=True)
    say_run(report, result, field.images, classifier, folder, files=("field.fits", *FILES))
    scores = astroclust.class_scores(result["class_true"], result["class"])
    scores.rename_column("total", "true")
    for column in ("recall", "precision", "f1"):
        scores[column].format = ".2f"
    report.say("{scores}", scores=scores)
    accuracy = scores.meta["ACCURACY"]
    report.say("accuracy against the known truth: {accuracy:.3f}", accuracy=accuracy)
