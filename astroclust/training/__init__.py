# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Training: samples, recipes, splits, augmentation, fitting and calibration, on Lightning."""

import gc
import logging
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from astroclust.extras import naming_extras
from astroclust.networks import create_network
from astroclust.weights import Classifier

with naming_extras():
    from astroclust.training.augmentation import (
        AUGMENTATIONS,
        augment_stamps,
        crop_stamps,
    )
    from astroclust.training.band_scores import (
        likely_subsets,
        score_bands,
        score_test_bands,
    )
    from astroclust.training.calibration import fit_temperature
    from astroclust.training.cross_validation import (
        FEW_LABELS,
        CrossValidation,
        run_folds,
    )
    from astroclust.training.damage_scores import score_damage
    from astroclust.training.fitting import fit_network
    from astroclust.training.held_out import hold_out, score_sets
    from astroclust.training.labels import vote_shares
    from astroclust.training.legus import LegusPlan, labeled_fields, legus_samples, plan_legus
    from astroclust.training.pictures import augment_pictures
    from astroclust.training.preparation import (
        check_samples,
        first_card,
        join_test_sets,
        joint_scheme,
        make_domains,
    )
    from astroclust.training.recipes import LEGUS_MIX, RECIPES, Recipe, find_recipe
    from astroclust.training.run_folders import (
        claim_folder,
        describe_run,
        work_folder,
    )
    from astroclust.training.sample_files import read_samples
    from astroclust.training.samples import (
        CROWDED,
        LABEL_COLUMNS,
        SIMULATED_LABELS,
        TEST_FIELDS,
        Sample,
        labeled_sample,
        simulated_sample,
        simulated_test_set,
    )
    from astroclust.training.scores import (
        member_probabilities,
        score_classifier,
        score_galaxies,
    )
    from astroclust.training.seen import exclude_seen, seen_rows
    from astroclust.training.splits import fold_rows, overlapping_groups, split_rows

__all__ = [
    "AUGMENTATIONS",
    "CROWDED",
    "FEW_LABELS",
    "LABEL_COLUMNS",
    "LEGUS_MIX",
    "RECIPES",
    "SIMULATED_LABELS",
    "TEST_FIELDS",
    "CrossValidation",
    "LegusPlan",
    "Recipe",
    "Sample",
    "augment_pictures",
    "augment_stamps",
    "crop_stamps",
    "cross_validate",
    "exclude_seen",
    "find_recipe",
    "fold_rows",
    "hold_out",
    "labeled_fields",
    "labeled_sample",
    "legus_samples",
    "likely_subsets",
    "member_probabilities",
    "overlapping_groups",
    "plan_legus",
    "read_samples",
    "score_bands",
    "score_classifier",
    "score_damage",
    "score_galaxies",
    "score_sets",
    "seen_rows",
    "simulated_sample",
    "simulated_test_set",
    "split_rows",
    "train_classifier",
    "vote_shares",
]


log = logging.getLogger(__name__)


def train_classifier(
    sample,
    *,
    name,
    recipe="native",
    start=None,
    members=1,
    seed=0,
    folder=None,
    progress_bar=False,
):
    """Train a classifier, or fine-tune one.

    A checkpoint is written after each epoch, and the previous one is kept; the same call with the
    same ``folder`` resumes from the last one that is intact. The random numbers of the caller are
    not changed.

    Parameters
    ----------
    sample : `Sample` or sequence of `Sample`
        Training set, and optionally a test set. Of several samples, each batch has stamps of all,
        in proportion to their numbers times the weights of the samples. The scores of the test
        sets go to the card: those by `score_classifier` of all that are not simulated (or all, if
        none is real), those by `score_bands`, and of several samples those by `score_galaxies`.
    name : str
        Name of the classifier.
    recipe : str or `Recipe`, optional
        How to train: the name of one of `RECIPES`, or your own.
    start : `~astroclust.weights.Classifier`, optional
        Classifier to fine-tune, in place of the weights that the recipe names; architecture and
        normalization are its own.
    members : int, optional
        Networks of the ensemble, which differ in their seeds.
    seed : int, optional
        Seed of the first weights, the order and the augmentation of the first member; the next
        members have the numbers that follow. Equal seeds give equal networks on one machine's CPU.
    folder : str or `~pathlib.Path`, optional
        Folder for checkpoints and the log of the learning curve; by default a temporary one.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    classifier : `~astroclust.weights.Classifier`
        Its card describes the sample, and has the scores of the test set if there is one. To note
        a command in the card, replace its entry ``command`` before you save it.

    Raises
    ------
    TypeError
        If the sample is not a `Sample`.
    ValueError
        For an unknown recipe; if samples differ in bands, classes or width of their stamps; if
        labels are not classes, or not one per stamp; if a registered
        network does not return one score per class; if ``folder`` is that of another run.
    OSError
        If another process trains in ``folder``, its checkpoints are damaged, or a checkpoint
        cannot be written.

    Warns
    -----
    AstropyUserWarning
        If the last checkpoint is damaged and the previous one is used; if ``start`` has been
        trained on a galaxy or on stamps of a test set; or if the training set is too large for
        its fingerprints to be kept in the card (see `seen_rows`).

    Examples
    --------
    Ten wide and ten narrow Gaussians, a small network and one epoch:

    >>> import numpy as np
    >>> from astroclust import Stamps, save_classifier, train_classifier
    >>> from astroclust.training import Recipe, Sample
    >>> labels = np.tile([1, 4], 10)
    >>> y, x = np.mgrid[:24, :24] - 12
    >>> width = np.where(labels == 1, 3, 1)[:, None, None]
    >>> light = np.exp(-(x**2 + y**2) / (2 * width**2))
    >>> stamps = Stamps(np.repeat(light[:, None], 2, axis=1), ["F555W", "F814W"])
    >>> classifier = train_classifier(
    ...     Sample(stamps, labels, description="Gaussians"),
    ...     name="mine",
    ...     recipe=Recipe(architecture="native-small", epochs=1),
    ... )
    >>> classifier
    <Classifier mine: 1 x native-small>
    >>> classifier.card.training_sample
    '20 Gaussians'
    >>> card = save_classifier(classifier, "mine.safetensors")
    """
    samples = check_samples(sample, start)
    recipe = find_recipe(recipe)
    if start is not None:
        recipe = replace(
            recipe, architecture=start.card.architecture, normalization=start.card.normalization
        )
    scheme = joint_scheme(samples, start)
    domains, aside = make_domains(samples, scheme, recipe, seed)
    tests = join_test_sets(samples, scheme)
    card = first_card(samples, name, recipe, scheme, start)
    run = describe_run(recipe, domains, start)
    networks = []
    with work_folder(folder) as work:
        for number in range(members):
            if members > 1:
                log.info("member %d of %d", number + 1, members)
            member = work / f"member-{number + 1}"
            claim_folder(member, run | {"seed": seed + number})
            with _random_numbers(seed + number):
                networks.append(_first_weights(card, recipe, start, number))
                fit_network(
                    networks[-1],
                    domains,
                    aside or tests,
                    recipe,
                    seed=seed + number,
                    folder=member,
                    progress_bar=progress_bar,
                )
            # Lightning's parts know one another, and would keep gradients and the optimizer's
            # memory.
            gc.collect()
    classifier = Classifier(card, networks)
    if aside:
        parts = [member_probabilities(classifier, one.take(slice(None))[0]) for one in aside]
        targets = np.concatenate([one.weighted_targets for one in aside])
        temperature = fit_temperature(np.concatenate(parts, axis=1), targets)
        classifier.card = replace(card, temperature=round(temperature, 4))
    for test in tests:
        scores = score_classifier(classifier, test.stamps, test.targets, progress_bar=progress_bar)
        classifier.card = replace(classifier.card, scores=scores)
    if tests:
        bands = score_test_bands(classifier, samples, progress_bar=progress_bar)
        classifier.card = replace(classifier.card, band_scores=bands)
    if tests and len(samples) > 1:
        scores = score_galaxies(classifier, samples)
        classifier.card = replace(classifier.card, galaxy_scores=scores)
    return classifier


def cross_validate(
    sample,
    *,
    folds=5,
    recipe="native",
    start=None,
    members=1,
    seed=0,
    folder=None,
    progress_bar=False,
):
    """Classify each row of a small sample by a classifier that was not trained on it.

    A test set of some ten rows says next to nothing about a classifier. Here each fold in turn is
    the test set of a classifier that is trained on the others, and all rows are scored together.
    The same call with the same ``folder`` resumes after a stop. Train the classifier to use on all
    rows, and put these scores into its card with ``annotate``.

    Parameters
    ----------
    sample : `Sample`
        Training set of n stamps; a test set is not used. Stamps of one group are in one fold.
    folds : int, optional
        Number of folds.
    recipe, start, members, seed, folder, progress_bar
        See `train_classifier`; each fold has a folder of its own in ``folder``.

    Returns
    -------
    result : `CrossValidation`
        Class probabilities of all rows, by the classifiers of the folds and by ``start``; their
        scores, also on subsets of the bands; and their comparison.

    Raises
    ------
    ValueError
        If there are not enough groups, or as `train_classifier` does.
    OSError
        See `train_classifier`.

    Warns
    -----
    AstropyUserWarning
        If ``start`` has been trained on some of the stamps.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from astroclust import load_classifier, simulate_stamps, train_classifier
    >>> from astroclust.training import Sample, cross_validate, find_recipe
    >>> stamps = simulate_stamps(12, seed=1)
    >>> sample = Sample(stamps, stamps.table["class"], simulated=True)
    >>> options = {"recipe": replace(find_recipe("fine-tune"), epochs=1)}
    >>> options["start"] = load_classifier()
    >>> result = cross_validate(sample, folds=2, **options)
    >>> result.comparison.n, result.folds.tolist().count(0)
    (12, 6)
    >>> classifier = train_classifier(sample, name="mine", **options)
    >>> classifier.card = result.annotate(classifier.card)
    >>> classifier.card.scores["n"]
    12
    """
    train = partial(
        train_classifier,
        name="fold",
        recipe=recipe,
        start=start,
        members=members,
        seed=seed,
        progress_bar=progress_bar,
    )
    return run_folds(
        train,
        sample,
        start=start,
        folds=folds,
        seed=seed,
        folder=folder,
        progress_bar=progress_bar,
    )


@contextmanager
def _random_numbers(seed):
    """Random numbers of torch from a seed, which leaves those of the caller as they were."""
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def _first_weights(card, recipe, start, number):
    """The network that a member starts from."""
    if start is not None:
        return deepcopy(start.networks[number % len(start.networks)]).train()
    network = create_network(
        recipe.architecture,
        n_bands=len(card.bands),
        n_classes=len(card.classes),
        weights=recipe.weights,
    )
    _check_scores(network, card)
    return network


def _check_scores(network, card):
    """Check, before a long training, that a network returns one score per class."""
    pixels = torch.zeros(2, len(card.bands), card.stamp_size, card.stamp_size)
    network.eval()
    with torch.inference_mode():
        scores = network(pixels, torch.ones(pixels.shape[:2]))
    network.train()
    shape = tuple(getattr(scores, "shape", ()))
    if shape != (2, len(card.classes)):
        raise ValueError(
            f"network {card.architecture!r} returns shape {shape} for 2 stamps, not "
            f"{(2, len(card.classes))}: it must return one score per class "
            "(astroclust.networks.register_network)"
        )
