# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The command that trains classifiers."""

import os
import shlex
from pathlib import Path

import numpy as np

import astroclust
from astroclust.catalogs import CLASSES, pixel_positions, read_table
from astroclust.cli.options import add_command, add_images, print_notice, read_images
from astroclust.files import check_output

__all__ = ["add_train"]

# Like these galaxies are the stamps on which a classifier is scored, and none on which it learns.
_HELD_OUT_FIELDS = ("ngc628-e", "ngc1313-e", "ngc1433")
_SIMULATED = {"truth": "the classes drawn", "experts": "the mode of three simulated experts"}
# The share of a user's labels on which a classifier is scored.
_HELD_OUT_SHARE = 0.2
_LABEL_COLUMNS = ("class_human", "class_mode", "label", "class")


def add_train(commands):
    """Add ``astroclust train``."""
    command = add_command(
        commands, "train", _train, "train a classifier on simulated stamps or on your labels"
    )
    command.add_argument("--simulate", type=int, metavar="N", help="number of stamps to simulate")
    command.add_argument(
        "--labels",
        default="truth",
        help="what is learnt: of simulated stamps the class that was drawn (truth, the default), "
        "or what most of three simulated experts call it (experts); else a table with positions "
        "and classes on the images",
    )
    command.add_argument(
        "--label-column",
        help=f"column of classes (default: the first of {', '.join(_LABEL_COLUMNS)})",
    )
    add_images(command, required=False, output=".safetensors file; the card goes beside")
    command.add_argument(
        "--from", dest="start", metavar="MODEL", help="classifier to go on from; or default"
    )
    command.add_argument("--recipe", help="how to train (default: native; with --from, fine-tune)")
    command.add_argument("--architecture", help="network, in place of that of the recipe")
    command.add_argument(
        "--augmentation",
        help="how stamps are changed in training (observations, turns), in place of the recipe's",
    )
    command.add_argument("--weights", help="imagenet, none, or a file; what a backbone starts from")
    command.add_argument("--members", type=int, default=1, help="of the ensemble (default: 1)")
    command.add_argument("--epochs", type=int, help="in place of those of the recipe")
    command.add_argument("--seed", type=int, default=1, help="(default: 1)")
    command.add_argument("--name", help="name in the model card (default: that of the output)")
    command.add_argument(
        "--checkpoints",
        type=Path,
        help="folder for checkpoints and the learning curve, from which the same command goes on "
        "(default: beside the output)",
    )


def _train(arguments):
    from astroclust.training import find_recipe, train_classifier
    from astroclust.weights import save_classifier

    check_output(arguments.output, overwrite=arguments.overwrite)
    start = arguments.start
    if start is not None:
        start = astroclust.load_classifier(None if start == "default" else start)
    names = ("architecture", "augmentation", "weights", "epochs")
    known = {name: getattr(arguments, name) for name in names}
    changes = {name: value for name, value in known.items() if value is not None}
    if arguments.epochs is not None:
        changes["batches"] = None
    usual = "native" if start is None else "fine-tune"
    recipe = find_recipe(arguments.recipe or usual, **changes)
    gather = _simulated if arguments.labels in _SIMULATED else _labelled
    classifier = train_classifier(
        **gather(arguments, start),
        name=arguments.name or arguments.output.stem,
        recipe=recipe,
        start=start,
        command=_command(arguments),
        members=arguments.members,
        seed=arguments.seed,
        folder=arguments.checkpoints or arguments.output.with_suffix(".checkpoints"),
        progress_bar=not arguments.quiet,
    )
    card = save_classifier(classifier, arguments.output, overwrite=arguments.overwrite)
    for name, score in card.scores.items():
        print(f"{name}: {score:.3f}")
    print_notice(classifier)
    print(f"wrote {arguments.output} and its card")


def _command(arguments):
    """The command as it can be given again."""
    words = ["astroclust", "train"]
    data = ("simulate", "labels", "label_column")
    recipe = ("start", "recipe", "architecture", "augmentation", "weights")
    for name in (*data, *recipe, "members", "epochs", "seed", "name"):
        value = getattr(arguments, name)
        if value is not None:
            words += [f"--{'from' if name == 'start' else name.replace('_', '-')}", str(value)]
    for option in ("image", "role"):
        for pair in getattr(arguments, option):
            words += [f"--{option}", "=".join(pair)]
    return shlex.join(words)


def _simulated(arguments, start):
    """Stamps like fields of LEGUS, and those like others that are held out."""
    from astroclust.simulation.populations import calibrated_fields

    if arguments.simulate is None:
        raise ValueError(
            "say how many stamps to simulate with --simulate, or give --labels a table"
        )
    n, seed = arguments.simulate, arguments.seed
    fields = [name for name in calibrated_fields() if name not in _HELD_OUT_FIELDS]
    (stamps, labels), (held_out, held_out_labels) = (
        _simulate(arguments, count, [seed, part], like)
        for part, (count, like) in enumerate(((n, fields), (max(n // 8, 8), _HELD_OUT_FIELDS)))
    )
    source = f"labels are {_SIMULATED[arguments.labels]}"
    return {
        "stamps": stamps,
        "labels": labels,
        "held_out": held_out,
        "held_out_labels": held_out_labels,
        "training_sample": f"{n} stamps of simulate_stamps like {', '.join(fields)}, seed "
        f"[{seed}, 0]; {source}",
        "split": f"{len(held_out)} stamps like other galaxies, {', '.join(_HELD_OUT_FIELDS)}, "
        f"seed [{seed}, 1]; {source}",
        "simulated": start is None or start.card.simulated,
    }


def _simulate(arguments, n, seed, fields):
    """Simulated stamps, and their true classes or the labels that experts would give them."""
    from astroclust.simulation import label_noise

    stamps = astroclust.simulate_stamps(
        n, seed=seed, like=fields, workers=os.cpu_count(), progress_bar=not arguments.quiet
    )
    truth, kinds = stamps.table["class"], stamps.table["kind"]
    if arguments.labels == "truth":
        return stamps, truth
    return stamps, label_noise(truth, seed=[*seed, 1], kinds=kinds)["class_mode"]


def _labelled(arguments, start):
    """Stamps at the rows of a table that have a class; a fifth of them is held out."""
    from astroclust.training import overlapping_groups, split_rows

    if arguments.simulate is not None:
        raise ValueError("--simulate goes with --labels truth or experts, not with a table")
    if not arguments.image:
        raise ValueError("labels of a table need their images: --image F555W=v.fits, one a band")
    images = read_images(arguments)
    table = read_table(arguments.labels)
    names = [arguments.label_column] if arguments.label_column else _LABEL_COLUMNS
    found = [name for name in names if name in table.colnames]
    if not found:
        raise ValueError(f"{arguments.labels} has no column {' or '.join(names)}")
    labels = np.ma.filled(np.ma.asarray(table[found[0]]), 0)
    rows = np.flatnonzero(np.isin(labels, list(CLASSES)))
    if not len(rows):
        raise ValueError(f"no row of {arguments.labels} has a class {list(CLASSES)} in {found[0]}")
    table, labels = table[rows], labels[rows].astype(int)
    card = {} if start is None else {"size": start.card.stamp_size, "bands": start.card.bands}
    stamps = astroclust.make_stamps(table, images, progress_bar=not arguments.quiet, **card)
    usable = stamps.present.any(axis=1)
    stamps, labels = stamps[usable], labels[usable]
    print(f"{len(labels)} rows have a class in {found[0]} and pixels")
    x, y = (values[usable] for values in pixel_positions(table, images.wcs))
    groups = overlapping_groups(x, y, size=stamps.size)
    learnt, held_out = split_rows(
        len(labels), share=_HELD_OUT_SHARE, seed=arguments.seed, groups=groups
    )
    if not (len(learnt) and len(held_out)):
        raise ValueError(
            f"the stamps of {len(labels)} labelled rows overlap too much for a fifth of them to be "
            "held out: label more, further apart"
        )
    return {
        "stamps": stamps[learnt],
        "labels": labels[learnt],
        "groups": groups[learnt],
        "held_out": stamps[held_out],
        "held_out_labels": labels[held_out],
        "training_sample": f"{len(learnt)} stamps at rows of {Path(arguments.labels).name} with "
        f"{', '.join(images.filters)}; labels are {found[0]}"
        + (
            ""
            if start is None
            else f"; from {start.card.name}, which learnt from {start.card.training_sample}"
        ),
        "split": f"{len(held_out)} other rows, which share no pixel with those",
    }
