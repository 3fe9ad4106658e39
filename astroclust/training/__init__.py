# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Training of classifiers with Lightning: samples, recipes, splits, augmentation, calibration."""

import gc
import logging
from collections.abc import Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path

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
    from astroclust.training.labels import vote_fractions
    from astroclust.training.legus import LegusPlan, labeled_fields, legus_samples, plan_legus
    from astroclust.training.pictures import augment_pictures
    from astroclust.training.preparation import (
        check_samples,
        check_teacher,
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
    "vote_fractions",
]


log = logging.getLogger(__name__)


def train_classifier(
    sample: Sample | Sequence[Sample],
    *,
    name: str,
    recipe: str | Recipe = "native",
    start: Classifier | None = None,
    teacher: Classifier | None = None,
    members: int = 1,
    seed: int = 0,
    folder: str | Path | None = None,
    progress_bar: bool = False,
) -> Classifier:
    """Train or fine-tune a classifier.

    A checkpoint is written after each epoch, and the previous one is kept; repeating the call with
    the same ``folder`` resumes from the last intact one. The caller's random state is unchanged.

    Parameters
    ----------
    sample : `Sample` or sequence of `Sample`
        Training set and, optionally, a test set. For several samples, each batch draws stamps from
        all of them, in proportion to their sizes times their weights. Scores on the test sets are
        stored in the card: `score_classifier` on all real stamps (or on the simulated ones, if
        there are no real ones), `score_bands` and, for several samples, `score_galaxies`.
    name : str
        Name of the classifier.
    recipe : str or `Recipe`, optional
        Training recipe: one of the names in `RECIPES`, or your own.
    start : `~astroclust.weights.Classifier`, optional
        Classifier to fine-tune. It replaces the weights, architecture and normalization of the
        recipe.
    teacher : `~astroclust.weights.Classifier`, optional
        Classifier to distill (Hinton et al. 2015, arXiv:1503.02531), such as a large ensemble. The
        targets are weighted means of its class probabilities for the same augmented stamps (70 %)
        and of the labels.
    members : int, optional
        Number of networks in the ensemble, which differ only in their seeds.
    seed : int, optional
        Seed of the initial weights, order and augmentation of the first member; further members
        use consecutive seeds. Equal seeds give equal networks on the same CPU.
    folder : str or `~pathlib.Path`, optional
        Folder for checkpoints and the learning curve; by default a temporary one.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    classifier : `~astroclust.weights.Classifier`
        Trained classifier, whose card describes the sample and lists the test scores, if any. To
        record a command in the card, replace its ``command`` before saving.

    Raises
    ------
    TypeError
        If the sample is not a `Sample`.
    ValueError
        If the recipe is unknown; if samples differ in bands, classes or stamp width, or ``teacher``
        differs from them; if labels are not classes, or not one per stamp; if a registered network
        does not return one score per class; or if ``folder`` belongs to another run.
    OSError
        If another process is training in ``folder``, its checkpoints are damaged, or a checkpoint
        cannot be written.

    Warns
    -----
    AstropyUserWarning
        If the last checkpoint is damaged and the previous one is used; if ``start`` or ``teacher``
        was trained on a galaxy or on stamps of a test set; or if the training set is too large for
        its fingerprints to be stored in the card (see `seen_rows`).

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
    samples = check_samples(sample, start, teacher)
    recipe = find_recipe(recipe)
    if start is not None:
        recipe = replace(
            recipe, architecture=start.card.architecture, normalization=start.card.normalization
        )
    scheme = joint_scheme(samples, start)
    if teacher is not None:
        check_teacher(teacher, samples, scheme, recipe)
    domains, aside = make_domains(samples, scheme, recipe, seed)
    tests = join_test_sets(samples, scheme)
    card = first_card(samples, name, recipe, scheme, start, teacher)
    run = describe_run(recipe, domains, start, teacher)
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
                    teacher=teacher,
                    seed=seed + number,
                    folder=member,
                    progress_bar=progress_bar,
                )
            # Reference cycles in Lightning would keep gradients and optimizer states in memory.
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
    """Cross-validate a recipe on a small sample.

    A test set of some ten rows hardly constrains the accuracy of a classifier. Here, each fold in
    turn is the test set of a classifier trained on the others, and all rows are scored together.
    Repeating the call with the same ``folder`` resumes an interrupted run. Train the final
    classifier on all rows, and put these scores into its card with ``annotate``.

    Parameters
    ----------
    sample : `Sample`
        Training set of n stamps; a test set is ignored. Stamps of one group are in the same fold.
    folds : int, optional
        Number of folds.
    recipe, start, members, seed, folder, progress_bar
        See `train_classifier`; each fold has its own subfolder of ``folder``.

    Returns
    -------
    result : `CrossValidation`
        Class probabilities of all rows from the classifiers of the folds and from ``start``, their
        scores, also on subsets of the bands, and their comparison.

    Raises
    ------
    ValueError
        If there are too few groups; see also `train_classifier`.
    OSError
        See `train_classifier`.

    Warns
    -----
    AstropyUserWarning
        If ``start`` was trained on some of the stamps.

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
    """Seed torch, and restore the caller's random state afterwards."""
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def _first_weights(card, recipe, start, number):
    """Initial network of a member."""
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
            f"{(2, len(card.classes))}; make it return one score per class (see "
            "astroclust.networks.register_network)"
        )
