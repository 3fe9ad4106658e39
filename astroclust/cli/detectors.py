# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Command for training detectors."""

from pathlib import Path

import astroclust
from astroclust.cli.options import (
    add_command,
    add_images,
    add_output,
    band_system,
    read_images,
    training_progress,
)

__all__ = ["add_train_detector"]


def add_train_detector(commands):
    """Add ``astroclust train-detector``."""
    command = add_command(
        commands,
        "train-detector",
        _train_detector,
        "train a source detector on simulated fields or on your labels",
        "astroclust train-detector --simulate --batches 2000 -o mine.safetensors",
        "# with outlines of sources",
        "astroclust train-detector --simulate --masks -o masks.safetensors",
        "# fine-tuned on a catalog with classes",
        "astroclust train-detector --from mine.safetensors --labels catalog.fits \\",
        "    --image F555W=v.fits --image F814W=i.fits --batches 500 -o tuned.safetensors",
    )
    command.add_argument(
        "--simulate",
        action="store_true",
        help="train on fields that are simulated during training",
    )
    command.add_argument("--labels", type=Path, help="training table with positions and classes")
    command.add_argument(
        "--label-column",
        help="column of classes (default: the first of class_human, class_mode, label, class)",
    )
    command.add_argument(
        "--radius",
        type=float,
        help="radius of the sources of --labels, in pixels (default: 4)",
    )
    add_images(command, required=False)
    add_output(command, "output .safetensors file")
    command.add_argument(
        "--from", dest="start", metavar="FILE", help="detector to fine-tune, or default"
    )
    command.add_argument(
        "--backbone",
        help="native, native-small or native-large, a network of torchvision, or timm/NAME "
        "(default: native)",
    )
    command.add_argument(
        "--weights",
        help="initial weights of the backbone: none, imagenet, a file, or a classifier of the same "
        "architecture (default: the bundled classifier, or imagenet)",
    )
    command.add_argument("--masks", action="store_true", help="also learn outlines of sources")
    command.add_argument(
        "--damage",
        action="append",
        choices=("pixels", "lines", "blocks"),
        help="kind of missing pixels to train with, in half of the tiles; repeatable",
    )
    command.add_argument("--batches", type=int, default=2000, help="training steps (default: 2000)")
    command.add_argument("--batch-size", type=int, default=4, help="tiles per step (default: 4)")
    command.add_argument(
        "--tile", type=int, default=128, help="width of tiles in pixels (default: 128)"
    )
    command.add_argument("--seed", type=int, default=1, help="(default: 1)")
    command.add_argument("--name", help="name in the model card (default: that of the output)")
    command.add_argument(
        "--checkpoint",
        type=Path,
        help="folder for checkpoints and the learning curve, from which the same command resumes "
        "(default: next to the output)",
    )


def _train_detector(arguments, report):
    from astroclust.detectors import (
        DetectorRecipe,
        check_detector_output,
        load_detector,
        save_detector,
        train_detector,
    )

    if arguments.simulate == (arguments.labels is not None):
        raise ValueError("specify either --simulate or --labels")
    folder = arguments.checkpoint or arguments.output.with_suffix(".checkpoints")
    check_detector_output(arguments.output, overwrite=arguments.overwrite)
    start = arguments.start
    if start is not None:
        start = load_detector(None if start == "default" else start)
    chosen = [arguments.backbone, arguments.weights, arguments.masks or None]
    if start is not None and any(value is not None for value in chosen):
        raise ValueError(
            "--backbone, --weights and --masks cannot be combined with --from; omit them"
        )
    recipe = DetectorRecipe(
        arguments.backbone or "native",
        arguments.weights,
        arguments.masks,
        arguments.batches,
        arguments.batch_size,
        arguments.tile,
        damage=tuple(arguments.damage or ()),
    )
    system = astroclust.instruments.find_band_system(band_system(arguments, start))
    fields, description = _fields(arguments, start, system)
    with training_progress(arguments) as progress_bar:
        detector = train_detector(
            fields,
            name=arguments.name or arguments.output.stem,
            recipe=recipe,
            start=start,
            description=description,
            system=system,
            seed=arguments.seed,
            folder=folder,
            progress_bar=progress_bar,
        )
    card = save_detector(detector, arguments.output, overwrite=arguments.overwrite)
    report.say("trained {}", f"{card.name} on {card.training_sample}", detector=card.name)
    report.say("wrote {output}", output=arguments.output)


def _fields(arguments, start, system):
    """Training fields and their description."""
    from astroclust.detectors import DetectionField, SimulatedFields
    from astroclust.training import LABEL_COLUMNS, TEST_FIELDS

    if arguments.simulate:
        from astroclust.simulation import calibrated_fields

        for option in ("image", "label_column", "radius"):
            if getattr(arguments, option):
                name = option.replace("_", "-")
                raise ValueError(f"--{name} requires --labels; omit it with --simulate")
        like = [name for name in calibrated_fields() if name not in TEST_FIELDS]
        return SimulatedFields(arguments.seed, like, system), f"fields like {', '.join(like)}"
    if not arguments.image:
        raise ValueError("--labels requires images; add --image F555W=v.fits for each band")
    table = astroclust.catalogs.read_table(arguments.labels)
    names = [arguments.label_column] if arguments.label_column else LABEL_COLUMNS
    column = next((name for name in names if name in table.colnames), None)
    if column is None:
        raise ValueError(
            f"{arguments.labels} has no column {' or '.join(names)}; set the class column with "
            "--label-column"
        )
    field = DetectionField.labeled(
        read_images(arguments, start),
        table,
        table[column],
        radius=4.0 if arguments.radius is None else arguments.radius,
        roles=system.roles,
    )
    return [field], f"{len(field.classes)} labels of {arguments.labels.name}"
