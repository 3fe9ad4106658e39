# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Training: recipes, splits, augmentation, fitting and calibration, on Lightning."""

import gc
import hashlib
import json
import tempfile
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from astroclust.files import replace_when_done
from astroclust.instruments import classes_of, find_class_scheme
from astroclust.locks import only_process
from astroclust.networks import create_network
from astroclust.training.augmentation import augment_stamps
from astroclust.training.calibration import fit_temperature
from astroclust.training.fitting import fit_network
from astroclust.training.labels import class_targets, vote_shares
from astroclust.training.recipes import RECIPES, Recipe, find_recipe
from astroclust.training.scores import member_probabilities, score_classifier
from astroclust.training.splits import overlapping_groups, split_rows
from astroclust.weights import Classifier, ModelCard
from astroclust.weights.cards import check_card

__all__ = [
    "RECIPES",
    "Recipe",
    "augment_stamps",
    "find_recipe",
    "overlapping_groups",
    "score_classifier",
    "split_rows",
    "train_classifier",
    "vote_shares",
]


def train_classifier(
    stamps,
    labels,
    *,
    held_out=None,
    held_out_labels=None,
    name,
    training_sample,
    recipe="native",
    start=None,
    groups=None,
    scheme=None,
    max_missing_bands=None,
    simulated=False,
    split="",
    command="",
    score_command="",
    members=1,
    seed=0,
    folder=None,
    progress_bar=False,
    **changes,
):
    """Train a classifier, or fine-tune one.

    A checkpoint is written after each epoch, and the one before is kept; the same call with the
    same ``folder`` resumes from the last one that is intact. The random numbers of the caller are
    left as they are.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps to learn from.
    labels : array_like, shape (n,) or (n, n_classes)
        Their classes, of ``scheme``, or class probabilities, as `vote_shares` gives them.
    held_out : `~astroclust.stamps.Stamps`, optional
        Stamps for the scores of the card, as `score_classifier` gives them; nothing is learnt from
        them or chosen by them. By default the card has no scores.
    held_out_labels : array_like, optional
        Their labels.
    name, training_sample, simulated, split, command, score_command : str or bool
        Entries of the `~astroclust.weights.ModelCard`.
    recipe : str or `Recipe`, optional
        How to train: one of `RECIPES`, or your own.
    start : `~astroclust.weights.Classifier`, optional
        A classifier to go on from, in place of the weights that the recipe names; architecture and
        normalization are its own.
    groups : array_like, shape (n,), optional
        What stamps must not be separated from one another when a part is set aside for validation,
        as for `split_rows`.
    scheme : str or `~astroclust.instruments.ClassScheme`, optional
        The classes; by default those of ``start``, else of the table of the stamps
        (`~astroclust.instruments.classes_of`).
    max_missing_bands : int, optional
        Entry of the card: how many bands may be absent, by default all but one. Training leaves
        out up to all but one.
    members : int, optional
        Networks of the ensemble, which differ in their seeds.
    seed : int, optional
        Of the first weights, the order and the augmentation of the first member; the next have
        the numbers that follow. Equal seeds give equal networks on one machine's CPU.
    folder : str or `~pathlib.Path`, optional
        Where checkpoints and the log of the learning curve go; by default a temporary folder.
    progress_bar : bool, optional
        Whether to show progress.
    **changes
        Entries of the recipe to change, such as ``epochs=3``.

    Returns
    -------
    classifier : `~astroclust.weights.Classifier`
        With the scores of the held-out stamps in its card.

    Raises
    ------
    TypeError
        For a change that is no entry of the recipe.
    ValueError
        For an unknown recipe; if labels are not classes, or not one per stamp; if ``folder`` is
        that of another run.
    OSError
        If another process trains in ``folder``, its checkpoints are damaged, or a checkpoint
        cannot be written.

    Warns
    -----
    AstropyUserWarning
        If the last checkpoint is damaged and the one before is used.

    Examples
    --------
    Ten wide and ten narrow Gaussians, a small network and one epoch:

    >>> import numpy as np
    >>> from astroclust import Stamps, save_classifier, train_classifier
    >>> labels = np.tile([1, 4], 10)
    >>> y, x = np.mgrid[:24, :24] - 12
    >>> width = np.where(labels == 1, 3, 1)[:, None, None]
    >>> light = np.exp(-(x**2 + y**2) / (2 * width**2))
    >>> stamps = Stamps(np.repeat(light[:, None], 2, axis=1), ["F555W", "F814W"])
    >>> classifier = train_classifier(
    ...     stamps,
    ...     labels,
    ...     name="mine",
    ...     training_sample="Gaussians",
    ...     architecture="native-small",
    ...     epochs=1,
    ... )
    >>> classifier
    <Classifier mine: 1 x native-small>
    >>> card = save_classifier(classifier, "mine.safetensors")
    """
    recipe = find_recipe(recipe, **changes)
    if start is not None:
        recipe = replace(
            recipe, architecture=start.card.architecture, normalization=start.card.normalization
        )
    scheme = _scheme_of(stamps, scheme, start)
    targets = class_targets(labels, len(stamps), scheme)
    if held_out is not None:
        held_out_labels = class_targets(held_out_labels, len(held_out), scheme)
    learnt, validation = split_rows(
        len(stamps), share=recipe.validation_share, seed=seed, groups=groups
    )
    if recipe.patience is not None and not len(validation):
        raise ValueError(
            f"none of {len(stamps)} stamps can be set aside to say when to stop: give more, or "
            "patience=None"
        )
    aside = (stamps[validation], targets[validation]) if len(validation) else None
    watched = aside or (None if held_out is None else (held_out, held_out_labels))
    card = ModelCard(
        name=name,
        architecture=recipe.architecture,
        training_sample=training_sample,
        classes=scheme,
        system=stamps.system,
        bands=stamps.bands,
        stamp_size=stamps.size,
        normalization=recipe.normalization,
        max_missing_bands=len(stamps.bands) - 1 if max_missing_bands is None else max_missing_bands,
        simulated=simulated,
        split=split,
        command=command,
        score_command=score_command,
    )
    check_card(card, name)  # or a training would end with a classifier that cannot be saved
    run = _describe(recipe, stamps, targets, start)
    learnt_stamps, learnt_targets = stamps[learnt], targets[learnt]
    networks = []
    with _work_folder(folder) as work:
        for number in range(members):
            member = work / f"member-{number + 1}"
            _claim_folder(member, **run, seed=seed + number)
            with _random_numbers(seed + number):
                networks.append(_first_weights(recipe, stamps, len(scheme), start, number))
                fit_network(
                    networks[-1],
                    learnt_stamps,
                    learnt_targets,
                    watched,
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
    if held_out is not None:
        scores = score_classifier(classifier, held_out, held_out_labels, progress_bar=progress_bar)
        classifier.card = replace(classifier.card, scores=scores)
    return classifier


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


def _scheme_of(stamps, scheme, start):
    """Classes of a training: as asked for, of the classifier it starts from, or of the table."""
    if start is None:
        return classes_of(stamps.table) if scheme is None else find_class_scheme(scheme)
    known = start.card.classes
    if scheme is not None and find_class_scheme(scheme).numbers != known.numbers:
        raise ValueError(
            f"{start.card.name} has the classes {list(known.numbers)} of {known.name}, not those "
            f"of {scheme}; train without it, or give labels of its classes"
        )
    return known


def _first_weights(recipe, stamps, n_classes, start, number):
    """The network that a member starts from."""
    if start is not None:
        return deepcopy(start.networks[number % len(start.networks)]).train()
    return create_network(
        recipe.architecture,
        n_bands=len(stamps.bands),
        n_classes=n_classes,
        weights=recipe.weights,
    )


def _describe(recipe, stamps, targets, start):
    """What makes a run the same run."""
    data = hashlib.sha256(stamps.data.tobytes() + targets.tobytes()).hexdigest()
    settings = {name: str(value) for name, value in asdict(recipe).items()}
    return {**settings, "data": data, "start": "" if start is None else start.card.sha256}


def _claim_folder(folder, **settings):
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
