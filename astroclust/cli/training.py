# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The commands that train classifiers and score them."""

import shlex
from dataclasses import replace
from pathlib import Path

import astroclust
from astroclust.catalogs.fields import plain_name
from astroclust.cli.legus_training import fetch_samples, write_hub
from astroclust.cli.options import (
    add_command,
    add_images,
    add_output,
    add_workers,
    say_notice,
)
from astroclust.cli.sources import (
    SIMULATED,
    check_sources,
    labeled,
    list_samples,
    number_of_stamps,
    simulation_options,
)
from astroclust.files import replace_when_done
from astroclust.instruments import LEGUS_CLASSES
from astroclust.weights.cards import read_card

__all__ = ["add_score", "add_train"]

# Options that say what a classifier learns from, and all that training depends on.
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
        "# or from a list of fields, with two galaxies held out",
        "astroclust train --from default --sample samples.ecsv --hold-out ngc1566 \\",
        "    --hold-out ngc628 -o mine.safetensors",
        "# or from the archive, on all fields of LEGUS with public classes",
        "astroclust train --from default --legus all --drop-mosaics --hold-out ngc1566 \\",
        "    -o mine.safetensors",
    )
    _add_data(command)
    command.add_argument(
        "--legus",
        action="append",
        metavar="FIELD",
        help="field of LEGUS to fetch and to train on, once for each; or all",
    )
    command.add_argument(
        "--drop-mosaics",
        action="store_true",
        help="remove the mosaics of a field once its stamps are cut; those that were there before "
        "are kept",
    )
    command.add_argument(
        "--data", type=Path, help="where catalogs and mosaics are kept (default: astropy's cache)"
    )
    command.add_argument("--server", help="in place of those of MAST, such as a mirror")
    add_output(command, ".safetensors file; the card goes beside")
    command.add_argument(
        "--from", dest="start", metavar="MODEL", help="classifier to go on from; or default"
    )
    command.add_argument("--recipe", help="how to train (default: native; with --from, fine-tune)")
    command.add_argument("--architecture", help="network, in place of that of the recipe")
    command.add_argument(
        "--augmentation",
        help="how stamps are changed: observations, turns, crops or pictures, in place of that of "
        "the recipe",
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
        "# on each galaxy of a list of fields",
        "astroclust score --model mine.safetensors --sample samples.ecsv",
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


def _train(arguments, report):
    from astroclust.plotting import plot_learning_curve
    from astroclust.training import hold_out, train_classifier
    from astroclust.weights import check_classifier_output, save_classifier

    folder = arguments.checkpoint or arguments.output.with_suffix(".checkpoints")
    overwrite = arguments.overwrite or _is_unfinished(arguments.output, folder)
    check_classifier_output(arguments.output, overwrite=overwrite)
    command = _command("train", arguments, _TRAIN)
    recipe, start = _recipe(arguments), arguments.start
    if start is not None:
        start = astroclust.load_classifier(None if start == "default" else start)
    sample, scored = _training_sample(arguments, report, start, folder)
    if arguments.hold_out:
        sample = hold_out(sample, galaxies=arguments.hold_out)
    classifier = train_classifier(
        sample,
        name=arguments.name or arguments.output.stem,
        recipe=recipe,
        start=start,
        members=arguments.members,
        seed=arguments.seed,
        folder=folder,
        progress_bar=not arguments.quiet,
    )
    classifier.card = replace(classifier.card, command=command, score_command=scored)
    for log in folder.glob("member-*/metrics.csv"):
        with replace_when_done(log.with_name("learning_curve.png"), overwrite=True) as partial:
            plot_learning_curve(log).figure.savefig(partial)
    if arguments.legus:
        write_hub(arguments, report, classifier, sample)
    # Last, as a command whose output is there is not run again.
    card = save_classifier(classifier, arguments.output, overwrite=overwrite)
    if card.galaxy_scores:
        _say_galaxies(report, card.galaxy_scores, card)
    _say_scores(report, card.scores)
    say_notice(report, classifier)
    report.say("wrote {output} and its card", output=arguments.output)


def _is_unfinished(output, folder):
    """Whether a run with these checkpoints was killed after it had written the card."""
    card = output.with_suffix(".json")
    if output.exists() or not card.is_file() or not folder.is_dir():
        return False
    try:
        read_card(card)
    except (OSError, ValueError):
        return False
    return True


def _training_sample(arguments, report, start, folder):
    """Samples of a training, and the command that scores the result."""
    from astroclust.training import hold_out, simulated_sample

    check_sources(arguments)
    if arguments.legus:
        return fetch_samples(arguments, report, start, folder), ""
    if arguments.sample is not None:
        scored = _score_command(arguments, {}) if arguments.hold_out else ""
        return list_samples(arguments, report, start), scored
    if arguments.labels in SIMULATED:
        scheme = arguments.scheme or (LEGUS_CLASSES if start is None else start.card.classes)
        sample = simulated_sample(
            number_of_stamps(arguments), scheme=scheme, **simulation_options(arguments, start)
        )
        return sample, _score_command(arguments, {"simulate": len(sample.test_stamps)})
    sample = hold_out(labeled(arguments, report, start), seed=arguments.seed)
    return sample, _score_command(arguments, {"held_out": True})


def _recipe(arguments):
    """The recipe that a command was given, with the entries that it changes."""
    from astroclust.networks import create_network
    from astroclust.training import find_recipe

    known = {name: getattr(arguments, name) for name in _RECIPE[1:]}
    changes = {name: value for name, value in known.items() if value is not None}
    if arguments.epochs is not None:
        changes["batches"] = None
    usual = "native" if arguments.start is None else "fine-tune"
    recipe = replace(find_recipe(arguments.recipe or usual), **changes)
    if arguments.start is None:  # a wrong name is an error before stamps are simulated
        create_network(recipe.architecture, weights="none")
    return recipe


def _score(arguments, report):
    from astroclust.training import (
        hold_out,
        score_classifier,
        score_galaxies,
        score_sets,
        simulated_test_set,
    )

    check_sources(arguments)
    classifier = astroclust.load_classifier(arguments.model)
    if arguments.sample is not None:
        samples = score_sets(
            list_samples(arguments, report, classifier), galaxies=arguments.hold_out
        )
        scores = score_galaxies(classifier, samples, progress_bar=not arguments.quiet)
        report.say("classifier {model}", model=classifier.card.name)
        _say_galaxies(report, scores, classifier.card)
        say_notice(report, classifier)
        return
    if arguments.labels in SIMULATED:
        stamps, labels = simulated_test_set(
            number_of_stamps(arguments), **simulation_options(arguments, classifier)
        )
    else:
        sample = labeled(arguments, report, classifier)
        stamps, labels = sample.stamps, sample.labels
        if arguments.held_out:
            sample = hold_out(sample, seed=arguments.seed)
            stamps, labels = sample.test_stamps, sample.test_labels
    report.say(
        "classifier {model}, {stamps} stamps", model=classifier.card.name, stamps=len(stamps)
    )
    scores = score_classifier(classifier, stamps, labels, progress_bar=not arguments.quiet)
    _say_scores(report, scores)
    say_notice(report, classifier)


def _say_scores(report, scores):
    lines = [f"{name}: {score:.4f}" for name, score in scores.items()]
    report.say("{}", "\n".join(lines), scores=scores)


def _say_galaxies(report, scores, card):
    """One line per galaxy; those that the classifier has been trained on are marked."""
    seen = {plain_name(one) for one in card.galaxies}
    lines = []
    for name, one in scores.items():
        recalls = [one.get(f"recall_{number}") for number in card.classes.numbers]
        recalls = ["-" if value is None else f"{value:.2f}" for value in recalls]
        area = f", AUC of 1+2 {one['auc_1_2']:.3f}" if "auc_1_2" in one else ""
        lines.append(
            f"{name}: n {one['n']}, accuracy {one['accuracy']:.3f}, recalls {' '.join(recalls)}, "
            f"mean recall {one['mean_recall']:.3f}{area}, calibration error {one['ece']:.3f}"
            + (" (trained on)" if plain_name(name) in seen else "")
        )
    report.say("{}", "\n".join(lines), galaxies=scores)


def _command(name, arguments, options, others=None):
    """A command as it can be given again."""
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
        raise ValueError(f"the card cannot hold {command!r}: rename files to printable names")
    return command


def _score_command(arguments, scored):
    """The command that scores the classifier that is trained, again."""
    from astroclust.weights import bundle

    # A bundled classifier is known by its name wherever the package is.
    bundled = arguments.output.resolve().parent == bundle()
    model = arguments.output.stem if bundled else arguments.output
    return _command("score", arguments, _DATA, {"model": model} | scored)
