# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""One training of an experiment: training set, and the classes of all other stamps in a file."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.table import Table, vstack

from astroclust.experiments.samples import SIZE, center_crop
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

__all__ = ["Training", "run_training"]

# Share that is tested on (Wei et al. 2020, sec. 3.4).
_SHARE = 0.2


@dataclass(frozen=True)
class Training:
    """One training of an experiment.

    Parameters
    ----------
    labels : str
        Sample of `~astroclust.experiments.samples.labeled_stamps` to learn from.
    recipe : `~astroclust.training.Recipe`
        Network, and how to train it.
    run : int
        Number, from 1; the seed of split and training.
    size : int or str, optional
        Width of the stamps, or ``"random"``: from 25 to 100 pixels.
    split : str, optional
        What is tested on: ``"random"``, a fifth of the stamps; ``"grouped"``, a fifth that shares
        no pixel with what is learnt from; or a field, which is left out.
    n_learnt : int or None, optional
        How many stamps to learn from, at most.
    """

    labels: str
    recipe: Recipe
    run: int
    size: int | str = 50
    split: str = "random"
    n_learnt: int | None = None

    @property
    def experiment(self):
        """Name of what all runs of it have in common; that of a folder."""
        parts = [
            self.labels,
            self.recipe.architecture.replace("/", "-"),
            f"{self.size}px",
            self.split,
        ]
        return "_".join(parts if self.n_learnt is None else [*parts, f"n{self.n_learnt}"])


def run_training(training, stamps, *, folder, others=None, progress_bar=False):
    """Train, and classify what was not learnt from; or read what an earlier call wrote.

    Parameters
    ----------
    training : `Training`
        What to do.
    stamps : `~astroclust.stamps.Stamps`
        n stamps of 100 pixels with ``field``, ``x``, ``y`` and ``class``.
    folder : str or `~pathlib.Path`
        Where trainings are kept. One that was stopped goes on.
    others : dict of str to `~astroclust.stamps.Stamps`, optional
        More to classify, by name, with ``class``.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    classified : `~astropy.table.Table`
        A row an object: ``part`` (``"validation"``, or the name of another), ``row`` in its stamps,
        ``label``, ``class``, and ``prob_1`` ... ``prob_4``.

    Raises
    ------
    OSError
        If another process runs the same training in the same folder.
    """
    place = Path(folder) / training.experiment / f"run-{training.run:02}"
    place.mkdir(parents=True, exist_ok=True)
    result = place / "classified.ecsv"
    with only_process(result):
        if not result.exists():
            _train(training, stamps, place, result, others or {}, progress_bar)
    return Table.read(result, format="ascii.ecsv")


def _train(training, stamps, place, result, others, progress_bar):
    """Train, classify the rest, and write the table."""
    labels = np.asarray(stamps.table["class"])
    learnt, tested = _split(training, stamps)
    recipe = training.recipe
    if training.size == "random":
        recipe = replace(recipe, augmentation="crops")
    classifier = train_classifier(
        Sample(_of_size(stamps[learnt], training), labels[learnt]),
        name=training.experiment,
        recipe=recipe,
        seed=training.run,
        folder=place,
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
    with replace_when_done(result) as partial:
        classified.write(partial, format="ascii.ecsv")
    for checkpoint in place.glob("member-*/*.ckpt"):
        checkpoint.unlink()  # what weighs, and is done with


def _split(training, stamps):
    """Rows to learn from and rows to test on."""
    table = stamps.table
    if training.split in ("random", "grouped"):
        groups = None
        if training.split == "grouped":
            groups = overlapping_groups(
                table["x"],
                table["y"],
                size=SIZE if training.size == "random" else training.size,
                field=table["field"],
            )
        learnt, tested = split_rows(len(stamps), share=_SHARE, seed=training.run, groups=groups)
    else:
        held_out = np.asarray(table["field"]) == training.split
        if not held_out.any():
            raise ValueError(f"there are no stamps of {training.split} to leave out")
        learnt, tested = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    if not len(tested):
        raise ValueError(
            f"{len(stamps)} stamps overlap so much that no fifth of them can be held out: take "
            "more fields"
        )
    if training.n_learnt is not None:
        rng = np.random.default_rng(training.run)
        learnt = np.sort(rng.permutation(learnt)[: training.n_learnt])
    return learnt, tested


def _of_size(stamps, training):
    return center_crop(stamps, SIZE if training.size == "random" else training.size)


def _tested_size(stamps, training):
    """As `_of_size`, but of random size once and for all."""
    if training.size == "random":
        stamps = crop_stamps(stamps, np.random.default_rng(training.run))
    return _of_size(stamps, training)
