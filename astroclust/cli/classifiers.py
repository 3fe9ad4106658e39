# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The commands that classify, and that train classifiers."""

import os
from pathlib import Path

import numpy as np

import astroclust
from astroclust.catalogs import check_table_output, read_table, write_table
from astroclust.cli.options import add_command, add_images, print_notice, read_images
from astroclust.files import check_output

__all__ = ["add_classify", "add_train"]

# Like these galaxies are the stamps on which a classifier is scored, and none on which it learns.
_HELD_OUT_FIELDS = ("ngc628-e", "ngc1313-e", "ngc1433")
_LABELS = {"truth": "the classes drawn", "experts": "the mode of three simulated experts"}


def add_classify(commands):
    """Add ``astroclust classify``."""
    command = add_command(
        commands, "classify", _classify, "classify the candidates of a table on its images"
    )
    command.add_argument("table", help="candidates, with x and y (from 0) or ra and dec")
    add_images(command)
    command.add_argument("--model", help="name or .safetensors file of a classifier")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, ... (default: auto)")
    command.add_argument("--batch-size", type=int, help="stamps in memory at a time")
    command.add_argument("--column-prefix", default="", help="put before the new columns' names")


def _classify(arguments):
    check_table_output(arguments.output, overwrite=arguments.overwrite)
    table = read_table(arguments.table)
    images = read_images(arguments)
    classifier = astroclust.load_classifier(arguments.model)
    result = astroclust.classify_table(
        table,
        images,
        model=classifier,
        column_prefix=arguments.column_prefix,
        device=arguments.device,
        batch_size=arguments.batch_size,
        progress_bar=not arguments.quiet,
    )
    write_table(result, arguments.output, overwrite=arguments.overwrite)
    _print_counts(result[f"{arguments.column_prefix}class"], classifier)
    print_notice(classifier)
    print(f"wrote {arguments.output}")


def _print_counts(classes, classifier):
    classes = np.ma.asarray(classes)
    for number, name in classifier.card.classes.items():
        print(f"{np.ma.filled(classes == number, False).sum():7d}  {number} {name}")
    print(f"{np.ma.getmaskarray(classes).sum():7d}  not classified (see flags)")


def add_train(commands):
    """Add ``astroclust train``."""
    command = add_command(commands, "train", _train, "train a classifier on simulated stamps")
    command.add_argument(
        "--simulate", type=int, required=True, metavar="N", help="number of stamps to simulate"
    )
    command.add_argument(
        "--labels",
        choices=list(_LABELS),
        default="truth",
        help="what is learnt: the class that was drawn, or what most of three simulated experts "
        "call it (default: truth)",
    )
    command.add_argument("--members", type=int, default=1, help="of the ensemble (default: 1)")
    command.add_argument("--epochs", type=int, default=14, help="(default: 14)")
    command.add_argument("--seed", type=int, default=1, help="(default: 1)")
    command.add_argument("--name", default="simulated", help="name in the model card")
    command.add_argument(
        "-o", "--output", type=Path, required=True, help=".safetensors file; the card goes beside"
    )
    command.add_argument("--overwrite", action="store_true", help="replace the output")
    command.add_argument(
        "--checkpoints",
        type=Path,
        help="folder for checkpoints and the learning curve, from which the same command goes on "
        "(default: beside the output)",
    )


def _labelled_stamps(n, seed, fields, labels, progress_bar):
    """Simulated stamps, and their true classes or the labels that experts would give them."""
    from astroclust.simulation import label_noise

    stamps = astroclust.simulate_stamps(
        n, seed=seed, like=fields, workers=os.cpu_count(), progress_bar=progress_bar
    )
    truth, kinds = stamps.table["class"], stamps.table["kind"]
    if labels == "truth":
        return stamps, truth
    return stamps, label_noise(truth, seed=[*seed, 1], kinds=kinds)["class_mode"]


def _train(arguments):
    from astroclust.simulation.populations import calibrated_fields
    from astroclust.training import train_classifier
    from astroclust.weights import save_classifier

    check_output(arguments.output, overwrite=arguments.overwrite)
    n, seed, epochs = arguments.simulate, arguments.seed, arguments.epochs
    progress_bar = not arguments.quiet
    label_source = _LABELS[arguments.labels]
    fields = [name for name in calibrated_fields() if name not in _HELD_OUT_FIELDS]
    (stamps, labels), (held_out, held_out_labels) = (
        _labelled_stamps(count, [seed, part], like, arguments.labels, progress_bar)
        for part, (count, like) in enumerate(((n, fields), (max(n // 8, 8), _HELD_OUT_FIELDS)))
    )
    classifier = train_classifier(
        stamps,
        labels,
        held_out=held_out,
        held_out_labels=held_out_labels,
        name=arguments.name,
        training_sample=f"{n} stamps of simulate_stamps like {', '.join(fields)}, seed "
        f"[{seed}, 0]; labels are {label_source}",
        simulated=True,
        split=f"{len(held_out)} stamps like other galaxies, {', '.join(_HELD_OUT_FIELDS)}, seed "
        f"[{seed}, 1]; labels are {label_source}",
        command=f"astroclust train --simulate {n} --labels {arguments.labels} "
        f"--members {arguments.members} --epochs {epochs} --seed {seed} --name {arguments.name}",
        members=arguments.members,
        epochs=epochs,
        seed=seed,
        folder=arguments.checkpoints or arguments.output.with_suffix(".checkpoints"),
        progress_bar=progress_bar,
    )
    card = save_classifier(classifier, arguments.output, overwrite=arguments.overwrite)
    for name, score in card.scores.items():
        print(f"{name}: {score:.3f}")
    print_notice(classifier)
    print(f"wrote {arguments.output} and its card")
