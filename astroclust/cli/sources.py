# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Stamps and labels for training and scoring: simulated, from a table, or from a list."""

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
    """Add the options for stamps and labels."""
    command.add_argument(
        "--sample",
        metavar="FILE",
        help="list of samples, one row per field with its images or picture, labels and weight",
    )
    command.add_argument(
        "--hold-out",
        action="append",
        metavar="GALAXY",
        help="galaxy in the list or of the LEGUS fields to hold out for the test set; repeatable",
    )
    command.add_argument("--simulate", type=int, metavar="N", help="number of stamps to simulate")
    command.add_argument(
        "--labels",
        default="truth",
        help="for simulated stamps, the true class (truth, the default) or the mode of three "
        "simulated experts (experts); otherwise a table with positions and classes on the "
        "images",
    )
    command.add_argument(
        "--label-column",
        help="column of classes (default: the first of class_human, class_mode, label, class)",
    )
    command.add_argument(
        "--scheme",
        help="class scheme: a name or a JSON file (default: that of the classifier or the table, "
        "otherwise legus)",
    )
    add_images(command, required=False)
    command.add_argument("--seed", type=int, default=1, help="(default: 1)")
    add_workers(command)


def check_sources(arguments):
    """Check that options for different sources of stamps are not combined."""
    legus = getattr(arguments, "legus", None)
    name = "--legus" if legus else "--sample" if arguments.sample is not None else None
    if legus and arguments.sample is not None:
        raise ValueError("--legus and --sample cannot be combined; omit one of them")
    if name is None:
        for option in ("hold_out", "drop_mosaics"):
            if getattr(arguments, option, None):
                raise ValueError(f"--{option.replace('_', '-')} requires --legus or --sample")
        return
    given = {
        "--simulate": arguments.simulate is not None,
        "--label-column": arguments.label_column is not None,
        "--labels": arguments.labels != "truth",
        "--image": bool(arguments.image),
        "--held-out": getattr(arguments, "held_out", False),
        "--ablate": getattr(arguments, "ablate", False),
        "--include-training": getattr(arguments, "include_training", False),
        # In training, --damage lists kinds of damage and applies to any sample.
        "--damage": getattr(arguments, "damage", None) is True,
    }
    wrong = [option for option, is_given in given.items() if is_given]
    if wrong:
        raise ValueError(f"{wrong[0]} cannot be combined with {name}; omit it")


def number_of_stamps(arguments):
    """Number of stamps to simulate."""
    if arguments.simulate is None:
        raise ValueError(
            "set the number of stamps to simulate with --simulate, or a table with --labels"
        )
    return arguments.simulate


def simulation_options(arguments, classifier):
    """Options for simulated samples."""
    return {
        "seed": arguments.seed,
        "labels": arguments.labels,
        "workers": arguments.workers,
        "progress_bar": not arguments.quiet,
        "system": band_system(arguments, classifier),
    }


def list_samples(arguments, report, classifier):
    """Samples from a list."""
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
    """Sample from a table."""
    from astroclust.training import labeled_sample

    if arguments.simulate is not None:
        raise ValueError("--simulate requires --labels truth or experts, not a table")
    if not arguments.image:
        raise ValueError("--labels requires images; add --image F555W=v.fits for each band")
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
