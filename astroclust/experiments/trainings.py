# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Single training of an experiment, with the classes of all test stamps in a file."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from astroclust.experiments.samples import center_crop
from astroclust.files import replace_when_done
from astroclust.instruments import LEGUS_CLASSES
from astroclust.locks import only_process
from astroclust.training import (
    Recipe,
    Sample,
    crop_stamps,
    member_probabilities,
    overlapping_groups,
    split_rows,
    train_classifier,
)
from astroclust.training.run_folders import current_names, recipe_settings

__all__ = ["SPLITS", "Training", "check_split", "result_of", "run_training", "with_origin"]

#: Splits that are not by field.
SPLITS = ("stratified", "grouped")
# Fraction of the test set (Wei et al. 2020, sec. 3.4).
_TEST_FRACTION = 0.2
# Key of the settings of a training in its result.
_SETTINGS = "SETTINGS"


@dataclass(frozen=True)
class Training:
    """One training of an experiment.

    Parameters
    ----------
    labels : str
        Name of the sample, such as those of `~astroclust.experiments.samples.labeled_stamps`.
    recipe : `~astroclust.training.Recipe`
        Network and training settings.
    run : int
        Number of the run, from 1; seed of the initial weights and of the order of the stamps.
    size : int or str, optional
        Width of the stamps, or ``"random"``: from 25 to 100 pixels.
    split : str, optional
        The test set: ``"stratified"``, a fifth of each class; ``"grouped"``, at most a fifth of
        each class, which shares no pixels with the training set; or a field, which is held out.
    redraw : bool, optional
        Whether each run has its own split. By default all runs use the same split and only differ
        by their initial weights and the order of the stamps, as in Wei et al. (2020, sec. 3.4), who
        attribute the scatter of their runs to the initial weights (sec. 4.3).
    n_training : int or None, optional
        Maximum number of training stamps.
    name : str, optional
        Name of the network in folders and tables, by default its architecture.
    """

    labels: str
    recipe: Recipe
    run: int
    size: int | str = 50
    split: str = "stratified"
    redraw: bool = False
    n_training: int | None = None
    name: str = ""

    @property
    def network(self):
        """Name of the network."""
        return self.name or self.recipe.architecture

    @property
    def experiment(self):
        """Name of the experiment without its run, also of its folder."""
        parts = [
            self.labels,
            self.network.replace("/", "-"),
            f"{self.size}px",
            self.split,
        ]
        if self.redraw:
            parts.append("redrawn")
        return "_".join(parts if self.n_training is None else [*parts, f"n{self.n_training}"])


def check_split(split):
    """Validate the name of a split that is not by field.

    Parameters
    ----------
    split : str
        One of `SPLITS`.

    Raises
    ------
    ValueError
        If it is not.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, not {split!r}")


def run_training(training, stamps, *, folder, others=None, progress_bar=False):
    """Train and classify the test set, or read the result of an earlier call.

    Parameters
    ----------
    training : `Training`
        Training to run.
    stamps : `~astroclust.stamps.Stamps`
        n stamps with ``field``, ``x``, ``y`` and ``class``, and optionally ``group``, which
        replaces the groups of `~astroclust.training.overlapping_groups`.
    folder : str or `~pathlib.Path`
        Folder of the training runs; an interrupted one is resumed.
    others : dict of str to `~astroclust.stamps.Stamps`, optional
        Further stamps to classify, by name, with ``class``.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    classified : `~astropy.table.Table`
        One row per object: ``part`` (``"validation"``, or the name of another), ``row`` in its
        stamps, ``label``, ``class``, and ``prob_1`` ... ``prob_4``.

    Raises
    ------
    OSError
        If another process runs the same training in the same folder.
    ValueError
        If the folder has this training with different data or settings, or no stamps can be held
        out.
    """
    result, others = result_of(training, folder), others or {}
    home = result.parent
    home.mkdir(parents=True, exist_ok=True)
    settings = _settings(training, stamps, others)
    with only_process(result):
        if not result.exists():
            _train(training, stamps, home, result, others, settings, progress_bar)
    classified = Table.read(result, format="ascii.ecsv")
    known = current_names(classified.meta.pop(_SETTINGS, {}))
    usual = recipe_settings(Recipe())  # for settings that did not exist in earlier versions
    other = [
        name
        for name in {**settings, **known}
        if known.get(name, usual.get(name)) != settings.get(name)
    ]
    if other:
        raise ValueError(
            f"{home} has a training with different {', '.join(other)}; choose another output "
            "folder, or remove this one to train again"
        )
    return classified


def result_of(training, folder):
    """File with the result of a training, which exists once it is finished.

    Parameters
    ----------
    training : `Training`
        The training.
    folder : str or `~pathlib.Path`
        See `run_training`.

    Returns
    -------
    path : `~pathlib.Path`
        The file.
    """
    return Path(folder) / training.experiment / f"run-{training.run:02}" / "classified.ecsv"


def with_origin(classified, training):
    """Add columns that identify the training to its classes.

    Parameters
    ----------
    classified : `~astropy.table.Table`
        Result of `run_training`.
    training : `Training`
        The training.

    Returns
    -------
    table : `~astropy.table.Table`
        Table with ``labels``, ``architecture`` (the name of the network), ``size`` and ``run`` in
        front.
    """
    origin = {
        "labels": training.labels,
        "architecture": training.network,
        "size": str(training.size),
        "run": str(training.run),
    }
    table = Table({name: [value] * len(classified) for name, value in origin.items()})
    for name in classified.colnames:
        table[name] = classified[name]
    return table


def _settings(training, stamps, others):
    """Settings that identify a training, as strings."""
    settings = recipe_settings(training.recipe)
    settings["stamps"] = _fingerprint(stamps)
    return settings | {name: _fingerprint(part) for name, part in others.items()}


def _fingerprint(stamps):
    """Number of stamps, and a digest of their labels and positions."""
    digest = hashlib.sha256()
    for name in ("class", "x", "y", "group"):
        if name in stamps.table.colnames:
            digest.update(np.asarray(stamps.table[name], float).tobytes())
    return f"{len(stamps)} {digest.hexdigest()[:16]}"


def _train(training, stamps, home, result, others, settings, progress_bar):
    """Train, classify the rest, and write the table."""
    labels = np.asarray(stamps.table["class"])
    chosen, tested = _split(training, stamps)
    recipe = training.recipe
    if training.size == "random":
        recipe = replace(recipe, augmentation="crops")
    classifier = train_classifier(
        _training_set(stamps[chosen], labels[chosen], training),
        name=training.experiment,
        recipe=recipe,
        seed=training.run,
        folder=home,
        progress_bar=progress_bar,
    )
    parts = {"validation": stamps[tested], **others}
    rows = {"validation": tested}
    tables = []
    for name, part in parts.items():
        probabilities = member_probabilities(classifier, _tested_size(part, training)).mean(axis=0)
        table = Table({"part": [name] * len(part), "row": rows.get(name, np.arange(len(part)))})
        table["label"] = np.asarray(part.table["class"])
        table["class"] = LEGUS_CLASSES.most_probable(probabilities)
        for number, column in zip(LEGUS_CLASSES.numbers, probabilities.T, strict=True):
            table[f"prob_{number}"] = column
        tables.append(table)
    classified = vstack(tables)
    classified.meta[_SETTINGS] = settings
    with replace_when_done(result) as partial:
        classified.write(partial, format="ascii.ecsv")
    for checkpoint in home.glob("member-*/*.ckpt"):
        checkpoint.unlink()  # large, and no longer needed


def _split(training, stamps):
    """Rows of the training set and of the test set."""
    table = stamps.table
    if training.split in SPLITS:
        groups = _groups(training, stamps) if training.split == "grouped" else None
        chosen, tested = split_rows(
            len(stamps),
            fraction=_TEST_FRACTION,
            seed=training.run if training.redraw else 0,
            groups=groups,
            strata=table["class"],
        )
    else:
        held_out = np.asarray(table["field"]) == training.split
        if not held_out.any():
            raise ValueError(
                f"no stamps of {training.split} can be held out; include stamps of that field"
            )
        chosen, tested = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    if not len(tested):
        raise ValueError(
            f"{len(stamps)} stamps are too few or overlap too much to hold out a fifth of each "
            "class; use more fields"
        )
    if training.n_training is not None:
        rng = np.random.default_rng(training.run)
        chosen = np.sort(rng.permutation(chosen)[: training.n_training])
    return chosen, tested


def _groups(training, stamps):
    """Groups of stamps that share pixels."""
    table = stamps.table
    if "group" in table.colnames:
        return np.asarray(table["group"])
    size = stamps.size if training.size == "random" else training.size
    return overlapping_groups(table["x"], table["y"], size=size, field=table["field"])


def _training_set(stamps, labels, training):
    """Training stamps, with a margin if the augmentation can use one."""
    if training.recipe.augmentation == "pictures":
        return Sample(stamps, labels, size=training.size)
    return Sample(_of_size(stamps, training), labels)


def _of_size(stamps, training):
    return stamps if training.size == "random" else center_crop(stamps, training.size)


def _tested_size(stamps, training):
    """Like `_of_size`, but random sizes are drawn only once."""
    if training.size == "random":
        stamps = crop_stamps(stamps, np.random.default_rng(training.run))
    return _of_size(stamps, training)
