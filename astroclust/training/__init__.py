# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Training: samples, recipes, splits, augmentation, fitting and calibration, on Lightning."""

import gc
import hashlib
import json
import tempfile
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path

import torch

from astroclust.extras import naming_extras
from astroclust.files import replace_when_done
from astroclust.instruments import classes_of, find_class_scheme
from astroclust.locks import only_process
from astroclust.networks import create_network
from astroclust.weights import Classifier, ModelCard, check_card

with naming_extras():
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    from astroclust.training.augmentation import AUGMENTATIONS, augment_stamps, crop_stamps
    from astroclust.training.calibration import fit_temperature
    from astroclust.training.fitting import fit_network
    from astroclust.training.labels import class_targets, vote_shares
    from astroclust.training.recipes import RECIPES, Recipe, find_recipe
    from astroclust.training.samples import (
        CROWDED,
        LABEL_COLUMNS,
        SIMULATED_LABELS,
        TEST_FIELDS,
        Sample,
        hold_out,
        labeled_sample,
        simulated_sample,
        simulated_test_set,
    )
    from astroclust.training.scores import member_probabilities, score_classifier, without_bands
    from astroclust.training.splits import overlapping_groups, split_rows

__all__ = [
    "AUGMENTATIONS",
    "CROWDED",
    "LABEL_COLUMNS",
    "RECIPES",
    "SIMULATED_LABELS",
    "TEST_FIELDS",
    "Recipe",
    "Sample",
    "augment_stamps",
    "crop_stamps",
    "find_recipe",
    "hold_out",
    "labeled_sample",
    "member_probabilities",
    "overlapping_groups",
    "score_classifier",
    "simulated_sample",
    "simulated_test_set",
    "split_rows",
    "train_classifier",
    "vote_shares",
    "without_bands",
]


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
    sample : `Sample`
        Training set, and optionally a test set, whose scores by `score_classifier` go to the card.
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
        For an unknown recipe; if labels are not classes, or not one per stamp; if a registered
        network does not return one score per class; if ``folder`` is that of another run.
    OSError
        If another process trains in ``folder``, its checkpoints are damaged, or a checkpoint
        cannot be written.

    Warns
    -----
    AstropyUserWarning
        If the last checkpoint is damaged and the previous one is used.

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
    if not isinstance(sample, Sample):
        raise TypeError(
            f"sample must be a Sample, such as Sample(stamps, labels), not {type(sample).__name__}"
        )
    recipe = find_recipe(recipe)
    if start is not None:
        recipe = replace(
            recipe, architecture=start.card.architecture, normalization=start.card.normalization
        )
    scheme = _scheme_of(sample, start)
    if start is not None and sample.stamps.bands != start.card.bands:
        raise ValueError(
            f"{start.card.name} takes bands {', '.join(start.card.bands)}, the sample has "
            f"{', '.join(sample.stamps.bands)}: cut stamps in its bands, or train without start"
        )
    stamps, targets = sample.stamps, class_targets(sample.labels, len(sample.stamps), scheme)
    test = None
    if sample.test_stamps is not None:
        labels = class_targets(sample.test_labels, len(sample.test_stamps), scheme)
        test = sample.test_stamps, labels
    training, validation = split_rows(
        len(stamps), share=recipe.validation_share, seed=seed, groups=sample.groups
    )
    if recipe.patience is not None and not len(validation):
        raise ValueError(
            f"none of {len(stamps)} stamps can be set aside to say when to stop: give more, or "
            "patience=None"
        )
    aside = (stamps[validation], targets[validation]) if len(validation) else None
    card = _first_card(sample, name, recipe, scheme, start)
    run = _describe(recipe, stamps, targets, start)
    training_set = stamps[training], targets[training]
    networks = []
    with _work_folder(folder) as work:
        for number in range(members):
            member = work / f"member-{number + 1}"
            _claim_folder(member, run | {"seed": seed + number})
            with _random_numbers(seed + number):
                networks.append(_first_weights(card, recipe, start, number))
                fit_network(
                    networks[-1],
                    *training_set,
                    aside or test,
                    recipe,
                    seed=seed + number,
                    folder=member,
                    progress_bar=progress_bar,
                )
            # Lightning's parts know one another, and would keep gradients and the optimizer's
            # memory.
            gc.collect()
    classifier = Classifier(card, networks)
    if aside is not None:
        temperature = fit_temperature(member_probabilities(classifier, aside[0]), aside[1])
        classifier.card = replace(card, temperature=round(temperature, 4))
    if test is not None:
        scores = score_classifier(classifier, *test, progress_bar=progress_bar)
        classifier.card = replace(classifier.card, scores=scores)
    return classifier


def _scheme_of(sample, start):
    """Classes of a training: those of the sample, or of the classifier that it starts from."""
    given = None if sample.scheme is None else find_class_scheme(sample.scheme)
    if start is None:
        return classes_of(sample.stamps.table) if given is None else given
    known = start.card.classes
    if given is not None and given.numbers != known.numbers:
        raise ValueError(
            f"{start.card.name} has the classes {list(known.numbers)} of {known.name}, the sample "
            f"those of {given.name}: train without start, or give labels of its classes"
        )
    return known if given is None else given


def _first_card(sample, name, recipe, scheme, start):
    """The card before the training, checked: a classifier that cannot be saved is not trained."""
    stamps, origin, simulated = sample.stamps, "", sample.simulated
    if start is not None:
        origin = f"; from {start.card.name}, trained on {start.card.training_sample}"
        simulated &= start.card.simulated
    missing = recipe.max_missing_bands
    card = ModelCard(
        name=name,
        architecture=recipe.architecture,
        training_sample=f"{len(stamps)} {sample.description}{origin}",
        classes=scheme,
        system=stamps.system,
        bands=stamps.bands,
        stamp_size=stamps.size,
        normalization=recipe.normalization,
        max_missing_bands=len(stamps.bands) - 1 if missing is None else missing,
        simulated=simulated,
        split=sample.split,
    )
    check_card(card, name)
    return card


@contextmanager
def _work_folder(folder):
    """The folder of the checkpoints, for this process alone; a temporary one by default."""
    with ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        folder = Path(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(
                f"cannot make the folder {folder}: {error.strerror or error}; choose another one"
            ) from error
        if rank_zero_only.rank == 0:  # the processes of a training on more than one GPU share it
            stack.enter_context(only_process(folder))
            for partial in folder.glob("member-*/.*.part-*"):  # of a process that was killed
                partial.unlink(missing_ok=True)
        yield folder


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


def _describe(recipe, stamps, targets, start):
    """What makes a run the same run."""
    data = hashlib.sha256(stamps.data.tobytes() + targets.tobytes()).hexdigest()
    settings = {name: str(value) for name, value in asdict(recipe).items()}
    return {**settings, "data": data, "start": "" if start is None else start.card.sha256}


def _claim_folder(folder, settings):
    """Make sure that the checkpoints of a folder are those of the same run."""
    folder.mkdir(exist_ok=True)
    path = folder / "settings.json"
    if path.exists():
        try:
            known = json.loads(path.read_text())
        except ValueError:
            known = None
        if known != settings:
            raise ValueError(
                f"{folder} holds the checkpoints of a run with other data or settings: remove it, "
                "or choose another folder"
            )
        return
    with replace_when_done(path, overwrite=True) as partial:
        partial.write_text(json.dumps(settings))
