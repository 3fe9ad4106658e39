# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Command that scores classifiers and detected sources."""

from dataclasses import replace

import astroclust
from astroclust.cli.detection import (
    add_detection_scores,
    check_detection_options,
    score_detections,
)
from astroclust.cli.options import add_command, say_notice
from astroclust.cli.scores import say_galaxies, say_scores
from astroclust.cli.sources import (
    SIMULATED,
    add_data,
    check_sources,
    labeled,
    list_samples,
    number_of_stamps,
    simulation_options,
)

__all__ = ["add_score"]


def add_score(commands):
    """Add ``astroclust score``."""
    command = add_command(
        commands,
        "score",
        _score,
        "score a classifier on simulated stamps or labels, or detected sources against true ones",
        "astroclust score --simulate 3000 --seed 1 --model mine.safetensors",
        "# on the labels of a table that were held out of training",
        "astroclust score --model mine.safetensors --labels votes.ecsv --held-out \\",
        "    --image F555W=v.fits --image F814W=i.fits",
        "# for each galaxy in a list of fields",
        "astroclust score --model mine.safetensors --sample samples.ecsv",
        "# completeness and purity of detected sources",
        "astroclust score --detection found.ecsv truth.ecsv --score-column probability",
    )
    command.add_argument(
        "--model", help="classifier, as for astroclust classify (default: the bundled one)"
    )
    add_data(command)
    command.add_argument(
        "--held-out",
        action="store_true",
        help="score only the rows of a table that astroclust train with this --seed holds out",
    )
    command.add_argument(
        "--include-training",
        action="store_true",
        help="also score rows that are in the training set of the classifier",
    )
    command.add_argument(
        "--ablate",
        action="store_true",
        help="also score without each band and pair of bands, and with a tenth of the pixels "
        "missing",
    )
    add_detection_scores(command)
    command.add_argument(
        "--damage",
        action="store_true",
        help="also score against the fraction of missing pixels, dead lines and blocks",
    )


def _score(arguments, report):
    from astroclust.training import score_damage, simulated_test_set
    from astroclust.training.scores import predict, score_classifier

    check_detection_options(arguments)
    if arguments.detection is not None:
        score_detections(arguments, report)
        return
    check_sources(arguments)
    classifier = astroclust.load_classifier(arguments.model)
    if arguments.sample is not None:
        _score_list(arguments, report, classifier)
        return
    if arguments.labels in SIMULATED:
        if arguments.include_training or arguments.held_out:
            option = "--include-training" if arguments.include_training else "--held-out"
            raise ValueError(f"{option} requires --labels TABLE; omit it")
        stamps, labels = simulated_test_set(
            number_of_stamps(arguments), **simulation_options(arguments, classifier)
        )
    else:
        sample = _rows_of_table(arguments, report, classifier)
        stamps, labels = sample.stamps, sample.labels
    card = classifier.card
    report.say("classifier {model}, {stamps} stamps", model=card.name, stamps=len(stamps))
    progress_bar = not arguments.quiet
    scores = score_classifier(
        classifier, stamps, labels, ablate=arguments.ablate, progress_bar=progress_bar
    )
    found = predict(classifier, stamps, labels)
    say_scores(report, *found, card, scores, ablate=arguments.ablate)
    if arguments.damage:
        damage = score_damage(classifier, stamps, labels, progress_bar=progress_bar)
        report.say("{damage}", damage=damage)
    say_notice(report, classifier)


def _rows_of_table(arguments, report, classifier):
    """Labeled rows of a table that are not in the training set of the classifier."""
    from astroclust.training import exclude_seen, hold_out

    sample = labeled(arguments, report, classifier)
    if arguments.held_out:
        sample = hold_out(sample, seed=arguments.seed)
        sample = replace(sample, stamps=sample.test_stamps, labels=sample.test_labels, groups=None)
    card, n = classifier.card, len(sample.stamps)
    rest, n_seen = exclude_seen(classifier, sample)
    report.say("", trained_on=n_seen)
    if not n_seen:
        if not (card.training_rows or card.simulated):
            report.say(
                "note: the card of {} does not list its training rows; if these labels include "
                "some of them, the scores are too optimistic",
                card.name,
            )
        return sample
    if arguments.include_training:
        report.say(
            "note: {} was trained on {} of {} rows, so the scores are too optimistic",
            card.name,
            n_seen,
            n,
        )
        return sample
    if not len(rest.stamps):
        held_out = "; the scores in its card are for held-out rows" if card.scores else ""
        raise ValueError(
            f"{card.name} was trained on all of these {n} rows, so scores on them are "
            f"meaningless{held_out}; use other labels, or --include-training to score them anyway"
        )
    report.say(
        "{} of {} rows are excluded, as they are in the training set of {} (--include-training "
        "keeps them)",
        n_seen,
        n,
        card.name,
    )
    return rest


def _score_list(arguments, report, classifier):
    """Score a classifier on each galaxy of a list of samples."""
    from astroclust.training import score_galaxies, score_sets

    samples = score_sets(list_samples(arguments, report, classifier), galaxies=arguments.hold_out)
    scores = score_galaxies(classifier, samples, progress_bar=not arguments.quiet)
    report.say("classifier {model}", model=classifier.card.name)
    say_galaxies(report, scores, classifier.card, seen=_seen(classifier, samples))
    say_notice(report, classifier)


def _seen(classifier, samples):
    """Number of stamps per galaxy in the training set of a classifier."""
    from astroclust.training import seen_rows
    from astroclust.training.held_out import sets_by_galaxy

    return {
        name: sum(int(seen_rows(classifier, one.test_stamps).sum()) for one in parts)
        for name, parts in sets_by_galaxy(samples).items()
    }
