# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Command for the full pipeline, from images to a folder of results."""

from pathlib import Path

import astroclust
from astroclust.cli.candidates import add_selection, selection_options
from astroclust.cli.options import add_command, add_images, read_images, say_accuracy, say_notice

__all__ = ["add_run", "say_run"]


def add_run(commands):
    """Add ``astroclust run``."""
    command = add_command(
        commands,
        "run",
        _run,
        "find and classify candidates, and write all results to a folder",
        "astroclust run --image *.fits --distance 9.9 -o ngc628",
        "# with the distance, extinction and concentration-index cut of a LEGUS field",
        "astroclust run --field ngc1566 --image F555W=v.fits F814W=i.fits -o ngc1566",
    )
    add_images(command)
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="folder for tables, regions, figures and the summary page; the same command resumes",
    )
    command.add_argument("--overwrite", action="store_true", help="overwrite results in the folder")
    command.add_argument(
        "--title", default="", help="title of the summary page (default: name of the folder)"
    )
    add_selection(command)
    command.add_argument("--model", help="name or .safetensors file of a classifier")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: auto)")


def _run(arguments, report):
    from astroclust.pipeline import FILES, STAGES

    done = [name for name in STAGES if (arguments.output / name).is_file()]
    classifier = astroclust.load_classifier(arguments.model)
    images = read_images(arguments, classifier)
    result = astroclust.run_field(
        images,
        arguments.output,
        title=arguments.title,
        **selection_options(arguments),
        model=classifier,
        device=arguments.device,
        overwrite=arguments.overwrite,
        progress_bar=not arguments.quiet,
    )
    if done and not arguments.overwrite:
        report.say("reused {} from an earlier run", " and ".join(done))
    say_run(report, result, images, classifier, arguments.output, FILES)


def say_run(report, result, images, classifier, folder, files):
    """Print the results of a run and their location.

    Parameters
    ----------
    report : `~astroclust.cli.report.Report`
        The report of the command.
    result : `~astropy.table.Table`
        The classified candidates.
    images : `~astroclust.images.ImageSet`
        The bands of the field.
    classifier : `~astroclust.weights.Classifier`
        The classifier.
    folder : `~pathlib.Path`
        The folder.
    files : sequence of str
        Names of the files in it.
    """
    from astroclust.pipeline import class_counts

    report.say("{candidates} candidates found and classified:", candidates=len(result))
    report.say("{classes}", classes=class_counts(result))
    say_accuracy(report, classifier.card, images)
    say_notice(report, classifier)
    paths = [folder / name for name in files]
    report.say("wrote {} in {output}", ", ".join(files), output=folder, files=paths)
    report.say("open {summary}", summary=folder / "summary.html")
