# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Command for training classifiers."""

import shlex
from dataclasses import replace
from pathlib import Path

import astroclust
from astroclust.cli.legus_training import fetch_samples, write_hub
from astroclust.cli.options import (
    add_command,
    add_output,
    say_notice,
    training_progress,
)
from astroclust.cli.scores import say_comparison, say_galaxies, say_scores
from astroclust.cli.sources import (
    SIMULATED,
    add_data,
    check_sources,
    labeled,
    list_samples,
    number_of_stamps,
    simulation_options,
)

__all__ = ["add_train"]

# Options for the training set, and all that affect training.
_DATA = (
    "sample",
    "legus",
    "hold_out",
    "simulate",
    "labels",
    "label_column",
    "system",
    "scheme",
    "seed",
)
_RECIPE = ("recipe", "architecture", "augmentation", "damage", "weights", "patience", "epochs")
# Folds of a cross-validation for few labels.
_FOLDS = 5
_TRAIN = (*_DATA, "start", "folds", *_RECIPE, "members", "name")


def add_train(commands):
    """Add ``astroclust train``."""
    command = add_command(
        commands,
        "train",
        _train,
        "train a classifier on simulated stamps or on your labels",
        "astroclust train --simulate 24000 --epochs 16 --seed 1 -o mine.safetensors",
        "# fine-tune the bundled classifier on your own labels",
        "astroclust train --from default --labels votes.ecsv \\",
        "    --image F555W=v.fits --image F814W=i.fits -o mine.safetensors",
        "# train on a list of fields, with two galaxies held out",
        "astroclust train --from default --sample samples.ecsv --hold-out ngc1566 \\",
        "    --hold-out ngc628 -o mine.safetensors",
        "# train on all LEGUS fields with public classes, from the archive",
        "astroclust train --from default --legus all --drop-mosaics --hold-out ngc1566 \\",
        "    -o mine.safetensors",
    )
    add_data(command)
    command.add_argument(
        "--legus",
        action="append",
        metavar="FIELD",
        help="LEGUS field to fetch and train on, or all; repeatable",
    )
    command.add_argument(
        "--drop-mosaics",
        action="store_true",
        help="remove downloaded mosaics once stamps are cut; mosaics that already existed are kept",
    )
    command.add_argument(
        "--data",
        type=Path,
        help="download folder of catalogs and mosaics (default: astropy's cache)",
    )
    command.add_argument("--server", help="server to use instead of MAST, such as a mirror")
    add_output(command, "output .safetensors file; its card is written next to it")
    command.add_argument(
        "--from", dest="start", metavar="MODEL", help="classifier to fine-tune, or default"
    )
    command.add_argument(
        "--recipe", help="training recipe (default: native; with --from, fine-tune)"
    )
    command.add_argument("--architecture", help="network (default: that of the recipe)")
    command.add_argument(
        "--augmentation",
        help="augmentation: observations, turns, crops or pictures (default: that of the recipe)",
    )
    command.add_argument(
        "--damage",
        action="append",
        metavar="KIND",
        help="kind of missing pixels to train with: pixels, lines or blocks; repeatable",
    )
    command.add_argument(
        "--weights", help="initial weights of the backbone: imagenet, none, or a file"
    )
    command.add_argument(
        "--members", type=int, default=1, help="number of networks in the ensemble (default: 1)"
    )
    command.add_argument(
        "--epochs", type=int, help="number of epochs (default: that of the recipe)"
    )
    command.add_argument(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="stop once the validation loss has not improved for this number of epochs",
    )
    command.add_argument(
        "--folds",
        type=int,
        metavar="N",
        help="cross-validate on labels of a table in N folds that share no pixels; 0 holds out a "
        "fifth of the rows instead (default: 5 for fewer than 300 labels, otherwise 0)",
    )
    command.add_argument("--name", help="name in the model card (default: that of the output)")
    command.add_argument(
        "--checkpoint",
        type=Path,
        help="folder for checkpoints and the learning curve, from which the same command resumes "
        "(default: next to the output)",
    )


def _train(arguments, report):
    from astroclust.plotting import plot_learning_curve
    from astroclust.training import cross_validate, hold_out, train_classifier
    from astroclust.weights import check_classifier_output, save_classifier

    folder = arguments.checkpoint or arguments.output.with_suffix(".checkpoints")
    overwrite = arguments.overwrite or _is_unfinished(arguments.output, folder)
    check_classifier_output(arguments.output, overwrite=overwrite)
    command = _command("train", arguments, _TRAIN)
    recipe, start = _recipe(arguments), arguments.start
    if start is not None:
        start = astroclust.load_classifier(None if start == "default" else start)
    sample, scored, folds = _training_sample(arguments, report, start, folder)
    if arguments.hold_out:
        sample = hold_out(sample, galaxies=arguments.hold_out)
    before = _before(start, sample)
    with training_progress(arguments) as progress_bar:
        options = {
            "recipe": recipe,
            "start": start,
            "members": arguments.members,
            "seed": arguments.seed,
            "folder": folder,
            "progress_bar": progress_bar,
        }
        validation = cross_validate(sample, folds=folds, **options) if folds else None
        name = arguments.name or arguments.output.stem
        classifier = train_classifier(sample, name=name, **options)
    if validation is not None:
        classifier.card = validation.annotate(classifier.card)
    classifier.card = replace(classifier.card, command=command, score_command=scored)
    curves = ("member-*/metrics.csv", "fold-*/member-*/metrics.csv")
    for log in (path for pattern in curves for path in folder.glob(pattern)):
        with astroclust.files.replace_when_done(
            log.with_name("learning_curve.png"), overwrite=True
        ) as partial:
            plot_learning_curve(log).figure.savefig(partial)
    if arguments.legus:
        write_hub(arguments, report, classifier, sample)
    outcome = _outcome(classifier, sample, validation, before)
    # Written last: its existence marks the command as complete.
    card = save_classifier(classifier, arguments.output, overwrite=overwrite)
    _say_outcome(report, card, start, outcome)
    say_notice(report, classifier)
    report.say("wrote {output} and its card", output=arguments.output)


def _before(start, sample):
    """Class probabilities of the test set before training; None without a test set or start."""
    from astroclust.training.cross_validation import start_probabilities

    tests = [] if start is None else _test_set(sample, start.card)
    found = [start_probabilities(start, one.stamps, one.targets) for one in tests]
    return found[0] if found else None


def _test_set(sample, card):
    """List with all test sets combined, or an empty list."""
    from astroclust.training.preparation import join_test_sets

    return join_test_sets(sample if isinstance(sample, list) else [sample], card.classes)


def _outcome(classifier, sample, validation, before):
    """Classes of the held-out rows, and their probabilities after and before training."""
    from astroclust.training.scores import predict

    if validation is not None:
        return validation.true, validation.probabilities, validation.start_probabilities
    tests = _test_set(sample, classifier.card)
    return (*predict(classifier, tests[0].stamps, tests[0].targets), before) if tests else None


def _say_outcome(report, card, start, outcome):
    """Print scores of the held-out rows, and whether the classifier improved."""
    if outcome is None:
        report.say(
            "no scores, as nothing was held out; hold out a galaxy with --hold-out, or use "
            "astroclust score on other labels",
            scores={},
        )
        return
    if card.galaxy_scores:
        say_galaxies(report, card.galaxy_scores, card)
    true, after, before = outcome
    report.say("held out: {split}", split=card.split)
    say_scores(report, true, after, card, card.scores)
    if before is not None:
        say_comparison(report, start.card, card, true, before, after)


def _is_unfinished(output, folder):
    """Whether a run with these checkpoints was killed after writing the card."""
    from astroclust.weights.cards import read_card

    card = output.with_suffix(".json")
    if output.exists() or not card.is_file() or not folder.is_dir():
        return False
    try:
        read_card(card)
    except (OSError, ValueError):
        return False
    return True


def _training_sample(arguments, report, start, folder):
    """Training samples, the command that scores the result, and the number of folds."""
    from astroclust.training import hold_out, simulated_sample

    check_sources(arguments)
    of_table = not arguments.legus and arguments.sample is None
    of_table &= arguments.labels not in SIMULATED
    if arguments.folds is not None and not of_table:
        raise ValueError("--folds requires --labels TABLE; omit it")
    if arguments.legus:
        return fetch_samples(arguments, report, start, folder), "", 0
    if arguments.sample is not None:
        scored = _score_command(arguments, {}) if arguments.hold_out else ""
        return list_samples(arguments, report, start), scored, 0
    if of_table:
        sample = labeled(arguments, report, start)
        folds = _number_of_folds(arguments, report, sample)
        if folds:  # all rows are used for training
            return sample, "", folds
        sample = hold_out(sample, seed=arguments.seed)
        return sample, _score_command(arguments, {"held_out": True, "ablate": True}), 0
    scheme = arguments.scheme or (
        astroclust.instruments.LEGUS_CLASSES if start is None else start.card.classes
    )
    sample = simulated_sample(
        number_of_stamps(arguments), scheme=scheme, **simulation_options(arguments, start)
    )
    scored = {"simulate": len(sample.test_stamps), "ablate": True}
    return sample, _score_command(arguments, scored), 0


def _number_of_folds(arguments, report, sample):
    """Number of cross-validation folds; 0 if a fraction of the rows is held out instead."""
    from astroclust.training import FEW_LABELS, fold_rows

    n = len(sample.stamps)
    folds = arguments.folds
    if folds is None:
        folds = _FOLDS if n < FEW_LABELS else 0
    if not folds:
        return 0
    try:
        fold_rows(n, folds=folds, seed=arguments.seed, groups=sample.groups)
    except ValueError as error:
        if arguments.folds is not None:
            raise
        report.say("a fifth is held out instead of cross-validation: {}", error)
        return 0
    report.say("training {folds} folds of {} rows first, one by one", n, folds=folds)
    return folds


def _recipe(arguments):
    """Recipe from the options, with modified entries."""
    from astroclust.networks import create_network
    from astroclust.training import find_recipe

    known = {name: getattr(arguments, name) for name in _RECIPE[1:]}
    changes = {name: value for name, value in known.items() if value is not None}
    if arguments.epochs is not None:
        changes["batches"] = None
    if arguments.damage is not None:
        changes["damage"] = tuple(arguments.damage)
    usual = "native" if arguments.start is None else "fine-tune"
    recipe = replace(find_recipe(arguments.recipe or usual), **changes)
    if arguments.start is None:  # an invalid name must raise before stamps are simulated
        create_network(recipe.architecture, weights="none")
    return recipe


def _command(name, arguments, options, others=None):
    """Command line that repeats a command."""
    words = ["astroclust", name]
    known = {option: getattr(arguments, option, None) for option in options} | (others or {})
    for option, value in known.items():
        if value is True:
            words.append(f"--{option.replace('_', '-')}")
        elif isinstance(value, list):
            words += [word for one in value for word in (f"--{option.replace('_', '-')}", one)]
        elif value is not None:
            words += [f"--{'from' if option == 'start' else option.replace('_', '-')}", str(value)]
    for option in ("image", "role"):
        for pair in getattr(arguments, option):
            words += [f"--{option}", "=".join(filter(None, pair))]
    command = shlex.join(words)
    if not command.isprintable():
        raise ValueError(f"the card cannot store {command!r}; rename files to printable names")
    return command


def _score_command(arguments, scored):
    """Command line that scores the trained classifier again."""
    from astroclust.weights import bundle

    # Bundled classifiers are identified by name, independent of the installation.
    bundled = arguments.output.resolve().parent == bundle()
    model = arguments.output.stem if bundled else arguments.output
    return _command("score", arguments, _DATA, {"model": model} | scored)
