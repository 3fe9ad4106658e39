# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Stamps and labels that commands train on or score: simulated, of a table, or of a list."""

from pathlib import Path

import astroclust
from astroclust.cli.options import add_images, add_workers, band_system, read_images

__all__ = [
    "SIMULATED",
    "add_data",
    "check_sources",
    "labeled",
    "list_samples",
    "number_of_stamps",
    "simulation_options",
]

# Labels of simulated stamps.
SIMULATED = ("truth", "experts")


def add_data(command):
    """Add the options that say what stamps and labels there are."""
    command.add_argument(
        "--sample",
        metavar="FILE",
        help="list of samples: a row per field with its images or picture, labels and weight",
    )
    command.add_argument(
        "--hold-out",
        action="append",
        metavar="GALAXY",
        help="galaxy of the list, or of the LEGUS fields, that is not trained on, but scored; once "
        "for each",
    )
    command.add_argument("--simulate", type=int, metavar="N", help="number of stamps to simulate")
    command.add_argument(
        "--labels",
        default="truth",
        help="of simulated stamps the class that was drawn (truth, the default), "
        "or what most of three simulated experts call it (experts); else a table with positions "
        "and classes on the images",
    )
    command.add_argument(
        "--label-column",
        help="column of classes (default: the first of class_human, class_mode, label, class)",
    )
    command.add_argument(
        "--scheme",
        help="class scheme: a name, or a JSON file of its parameters (default: that of the "
        "classifier or the table, else legus)",
    )
    add_images(command, required=False)
    command.add_argument("--seed", type=int, default=1, help="(default: 1)")
    add_workers(command)


def check_sources(arguments):
    """Check that options of one source of stamps are not given with another."""
    legus = getattr(arguments, "legus", None)
    name = "--legus" if legus else "--sample" if arguments.sample is not None else None
    if legus and arguments.sample is not None:
        raise ValueError("--legus and --sample are two sources of stamps: give one of them")
    if name is None:
        for option in ("hold_out", "drop_mosaics"):
            if getattr(arguments, option, None):
                raise ValueError(
                    f"--{option.replace('_', '-')} goes with --legus or --sample, whose fields are "
                    "of galaxies"
                )
        return
    given = {
        "--simulate": arguments.simulate is not None,
        "--label-column": arguments.label_column is not None,
        "--labels": arguments.labels != "truth",
        "--image": bool(arguments.image),
        "--held-out": getattr(arguments, "held_out", False),
        "--ablate": getattr(arguments, "ablate", False),
        "--include-training": getattr(arguments, "include_training", False),
        # In training it has kinds, and goes with any stamps.
        "--damage": getattr(arguments, "damage", None) is True,
    }
    wrong = [option for option, is_given in given.items() if is_given]
    if wrong:
        raise ValueError(
            f"{wrong[0]} does not go with {name}, which says what there is to train on: leave it "
            "out"
        )


def number_of_stamps(arguments):
    """How many stamps are to be simulated."""
    if arguments.simulate is None:
        raise ValueError(
            "say how many stamps to simulate with --simulate, or give --labels a table"
        )
    return arguments.simulate


def simulation_options(arguments, classifier):
    """Options of simulated samples."""
    return {
        "seed": arguments.seed,
        "labels": arguments.labels,
        "workers": arguments.workers,
        "progress_bar": not arguments.quiet,
        "system": band_system(arguments, classifier),
    }


def list_samples(arguments, report, classifier):
    """The samples of a list."""
    from astroclust.training import read_samples

    samples = read_samples(
        arguments.sample,
        classifier=classifier,
        scheme=arguments.scheme,
        system=band_system(arguments, classifier),
        workers=arguments.workers,
        progress_bar=not arguments.quiet,
    )
    lines = [f"{one.name}: {len(one.stamps)} {one.description}" for one in samples]
    report.say("{}", "\n".join(lines), samples={one.name: len(one.stamps) for one in samples})
    return samples


def labeled(arguments, report, classifier):
    """The sample of a table."""
    from astroclust.training import labeled_sample

    if arguments.simulate is not None:
        raise ValueError("--simulate goes with --labels truth or experts, not with a table")
    if not arguments.image:
        raise ValueError("labels of a table need their images: --image F555W=v.fits, one a band")
    sample = labeled_sample(
        astroclust.catalogs.read_table(arguments.labels),
        read_images(arguments, classifier),
        column=arguments.label_column,
        classifier=classifier,
        scheme=arguments.scheme,
        name=Path(arguments.labels).name,
        progress_bar=not arguments.quiet,
    )
    report.say("{labeled} {}", sample.description, labeled=len(sample.stamps))
    return sample
