# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The commands that train classifiers and score them."""

import shlex
from pathlib import Path

import numpy as np

import astroclust
from astroclust.catalogs import CLASSES, pixel_positions, read_table
from astroclust.cli.options import (
    add_command,
    add_images,
    add_output,
    add_workers,
    read_images,
    say_notice,
)
from astroclust.files import replace_when_done

__all__ = ["add_score", "add_train"]

# Like these galaxies are the stamps on which a classifier is scored, and none on which it learns.
_HELD_OUT_FIELDS = ("ngc628-e", "ngc1313-e", "ngc1433")
_HELD_OUT = 1, _HELD_OUT_FIELDS  # the part of the seed, and the fields
_SIMULATED = {"truth": "the classes drawn", "experts": "the mode of three simulated experts"}
# The share of a user's labels on which a classifier is scored, and of simulated stamps the number.
_HELD_OUT_SHARE, _HELD_OUT_PART = 0.2, 8
# The share of the stamps to learn from that lies in star fields as crowded as those of M83.
_CROWDED = 0.3
_LABEL_COLUMNS = ("class_human", "class_mode", "label", "class")
# Options that say what a classifier learns from, and all that training depends on.
_DATA = ("simulate", "labels", "label_column", "seed")
_RECIPE = ("recipe", "architecture", "augmentation", "weights", "epochs")
_TRAIN = (*_DATA, "start", *_RECIPE, "members", "name")


def add_train(commands):
    """Add ``astroclust train``."""
    command = add_command(
        commands,
        "train",
        _train,
        "train a classifier on simulated stamps or on your labels",
        "astroclust train --simulate 24000 --epochs 16 --seed 1 -o mine.safetensors",
        "# go on from the bundled classifier with labels of yours",
        "astroclust train --from default --labels votes.ecsv \\",
        "    --image F555W=v.fits --image F814W=i.fits -o mine.safetensors",
    )
    _add_data(command)
    add_output(command, ".safetensors file; the card goes beside")
    command.add_argument(
        "--from", dest="start", metavar="MODEL", help="classifier to go on from; or default"
    )
    command.add_argument("--recipe", help="how to train (default: native; with --from, fine-tune)")
    command.add_argument("--architecture", help="network, in place of that of the recipe")
    command.add_argument(
        "--augmentation",
        help="how stamps are changed: observations, turns or crops, in place of that of the recipe",
    )
    command.add_argument("--weights", help="imagenet, none, or a file; what a backbone starts from")
    command.add_argument("--members", type=int, default=1, help="of the ensemble (default: 1)")
    command.add_argument("--epochs", type=int, help="in place of those of the recipe")
    command.add_argument("--name", help="name in the model card (default: that of the output)")
    command.add_argument(
        "--checkpoint",
        type=Path,
        help="folder for checkpoints and the learning curve, from which the same command goes on "
        "(default: beside the output)",
    )


def add_score(commands):
    """Add ``astroclust score``."""
    command = add_command(
        commands,
        "score",
        _score,
        "score a classifier on simulated stamps or on your labels",
        "astroclust score --simulate 3000 --seed 1 --model mine.safetensors",
        "# on the labels of a table, those alone that training held out",
        "astroclust score --model mine.safetensors --labels votes.ecsv --held-out \\",
        "    --image F555W=v.fits --image F814W=i.fits",
    )
    command.add_argument("--model", help="as for astroclust classify (default: the bundled one)")
    _add_data(command)
    command.add_argument(
        "--held-out",
        action="store_true",
        help="of a table only the rows that astroclust train with this --seed holds out",
    )


def _add_data(command):
    """Add the options that say what stamps and labels there are."""
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
        help=f"column of classes (default: the first of {', '.join(_LABEL_COLUMNS)})",
    )
    add_images(command, required=False)
    command.add_argument("--seed", type=int, default=1, help="(default: 1)")
    add_workers(command)


def _train(arguments, report):
    from astroclust.plotting import plot_learning_curve
    from astroclust.training import find_recipe, train_classifier
    from astroclust.weights import check_classifier_output, save_classifier

    check_classifier_output(arguments.output, overwrite=arguments.overwrite)
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
    folder = arguments.checkpoint or arguments.output.with_suffix(".checkpoints")
    gather = _simulated_sample if arguments.labels in _SIMULATED else _labelled_sample
    classifier = train_classifier(
        **gather(arguments, report, start),
        name=arguments.name or arguments.output.stem,
        recipe=recipe,
        start=start,
        command=_command("train", arguments, _TRAIN),
        members=arguments.members,
        seed=arguments.seed,
        folder=folder,
        progress_bar=not arguments.quiet,
    )
    card = save_classifier(classifier, arguments.output, overwrite=arguments.overwrite)
    for log in folder.glob("member-*/metrics.csv"):
        with replace_when_done(log.with_name("learning_curve.png"), overwrite=True) as partial:
            plot_learning_curve(log).figure.savefig(partial)
    _say_scores(report, card.scores)
    say_notice(report, classifier)
    report.say("wrote {output} and its card", output=arguments.output)


def _score(arguments, report):
    from astroclust.training import score_classifier

    classifier = astroclust.load_classifier(arguments.model)
    if arguments.labels in _SIMULATED:
        stamps, labels = _simulate(arguments, _number(arguments), *_HELD_OUT)
    else:
        stamps, labels, groups = _labelled(arguments, report, classifier)
        if arguments.held_out:
            _, rows = _split(labels, groups, arguments.seed)
            stamps, labels = stamps[rows], labels[rows]
    report.say(
        "classifier {model}, {stamps} stamps", model=classifier.card.name, stamps=len(stamps)
    )
    scores = score_classifier(classifier, stamps, labels, progress_bar=not arguments.quiet)
    _say_scores(report, scores)
    say_notice(report, classifier)


def _say_scores(report, scores):
    lines = [f"{name}: {score:.4f}" for name, score in scores.items()]
    report.say("{}", "\n".join(lines), scores=scores)


def _command(name, arguments, options, **others):
    """A command as it can be given again."""
    words = ["astroclust", name]
    known = {option: getattr(arguments, option) for option in options} | others
    for option, value in known.items():
        if value is True:
            words.append(f"--{option.replace('_', '-')}")
        elif value is not None:
            words += [f"--{'from' if option == 'start' else option.replace('_', '-')}", str(value)]
    for option in ("image", "role"):
        for pair in getattr(arguments, option):
            words += [f"--{option}", "=".join(pair)]
    return shlex.join(words)


def _score_command(arguments, **others):
    """The command that scores the classifier that is trained, again."""
    from astroclust.weights.sources import bundle

    # A bundled classifier is known by its name wherever the package is.
    bundled = arguments.output.resolve().parent == bundle()
    model = arguments.output.stem if bundled else arguments.output
    return _command("score", arguments, _DATA, model=model, **others)


def _number(arguments):
    if arguments.simulate is None:
        raise ValueError(
            "say how many stamps to simulate with --simulate, or give --labels a table"
        )
    return arguments.simulate


def _simulated_sample(arguments, _, start):
    """Stamps like fields of LEGUS, and those like others that are held out."""
    from astroclust.simulation.populations import calibrated_fields

    n, seed = _number(arguments), arguments.seed
    n_held_out = max(n // _HELD_OUT_PART, _HELD_OUT_PART)
    fields = [name for name in calibrated_fields() if name not in _HELD_OUT_FIELDS]
    stamps, labels = _simulate(arguments, n, 0, fields, crowded=_CROWDED)
    held_out, held_out_labels = _simulate(arguments, n_held_out, *_HELD_OUT)
    source = f"labels are {_SIMULATED[arguments.labels]}"
    return {
        "stamps": stamps,
        "labels": labels,
        "held_out": held_out,
        "held_out_labels": held_out_labels,
        "training_sample": f"{n} stamps of simulate_stamps like {', '.join(fields)}, crowded "
        f"{_CROWDED}, seed [{seed}, 0]; {source}",
        "split": f"{n_held_out} stamps like other galaxies, {', '.join(_HELD_OUT_FIELDS)}, "
        f"seed [{seed}, 1]; {source}",
        "score_command": _score_command(arguments, simulate=n_held_out),
        "simulated": start is None or start.card.simulated,
    }


def _simulate(arguments, n, part, fields, crowded=0.0):
    """Simulated stamps, and their true classes or the labels that experts would give them."""
    from astroclust.simulation import label_noise

    seed = [arguments.seed, part]
    stamps = astroclust.simulate_stamps(
        n,
        seed=seed,
        like=fields,
        crowded=crowded,
        workers=arguments.workers,
        progress_bar=not arguments.quiet,
    )
    truth, kinds = stamps.table["class"], stamps.table["kind"]
    if arguments.labels == "truth":
        return stamps, truth
    return stamps, label_noise(truth, seed=[*seed, 1], kinds=kinds)["class_mode"]


def _labelled(arguments, report, classifier):
    """Stamps at the rows of a table that have a class, the classes, and what overlaps."""
    from astroclust.training import overlapping_groups

    if arguments.simulate is not None:
        raise ValueError("--simulate goes with --labels truth or experts, not with a table")
    if not arguments.image:
        raise ValueError("labels of a table need their images: --image F555W=v.fits, one a band")
    images = read_images(arguments)
    table = read_table(arguments.labels)
    column = _label_column(arguments, table)
    labels = np.ma.filled(np.ma.asarray(table[column]), 0)
    rows = np.flatnonzero(np.isin(labels, list(CLASSES)))
    if not len(rows):
        raise ValueError(f"no row of {arguments.labels} has a class {list(CLASSES)} in {column}")
    table, labels = table[rows], labels[rows].astype(int)
    card = {}
    if classifier is not None:
        card = {"size": classifier.card.stamp_size, "bands": classifier.card.bands}
    stamps = astroclust.make_stamps(table, images, progress_bar=not arguments.quiet, **card)
    usable = stamps.present.any(axis=1)
    stamps, labels = stamps[usable], labels[usable]
    report.say(
        "{labelled} rows have a class in {label_column} and pixels",
        labelled=len(labels),
        label_column=column,
    )
    x, y = (values[usable] for values in pixel_positions(table, images.wcs))
    return stamps, labels, overlapping_groups(x, y, size=stamps.size)


def _label_column(arguments, table):
    names = [arguments.label_column] if arguments.label_column else _LABEL_COLUMNS
    found = [name for name in names if name in table.colnames]
    if not found:
        raise ValueError(f"{arguments.labels} has no column {' or '.join(names)}")
    return found[0]


def _split(labels, groups, seed):
    """Rows to learn from, and a fifth that is held out."""
    from astroclust.training import split_rows

    learnt, held_out = split_rows(len(labels), share=_HELD_OUT_SHARE, seed=seed, groups=groups)
    if not (len(learnt) and len(held_out)):
        raise ValueError(
            f"the stamps of {len(labels)} labelled rows overlap too much for a fifth of them to be "
            "held out: label more, further apart"
        )
    return learnt, held_out


def _labelled_sample(arguments, report, start):
    """Stamps with the classes of a table, and a fifth of them that is held out."""
    stamps, labels, groups = _labelled(arguments, report, start)
    learnt, held_out = _split(labels, groups, arguments.seed)
    sample = (
        f"{len(learnt)} stamps with classes of {Path(arguments.labels).name} and "
        f"{', '.join(stamps.filters)}"
    )
    if start is not None:
        sample += f"; from {start.card.name}, which learnt from {start.card.training_sample}"
    return {
        "stamps": stamps[learnt],
        "labels": labels[learnt],
        "groups": groups[learnt],
        "held_out": stamps[held_out],
        "held_out_labels": labels[held_out],
        "training_sample": sample,
        "split": f"{len(held_out)} other rows, which share no pixel with those",
        "score_command": _score_command(arguments, held_out=True),
    }
