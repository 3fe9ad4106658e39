# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The experiments of Wei et al. (2020, sec. 4), from the archive to a report."""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from astropy.table import vstack
from tqdm import tqdm

from astroclust.experiments.samples import (
    field_images,
    gather_sample,
    join_stamps,
    labeled_stamps,
    phangs_labels,
    sample_fields,
    stamps_file,
)
from astroclust.experiments.trainings import Training, check_split, run_training, with_origin
from astroclust.experiments.wei2020_figures import add_examples, add_learning_curves
from astroclust.experiments.wei2020_people import AGAIN
from astroclust.experiments.wei2020_report import LABELS, WITHOUT, add_data, compare_classes
from astroclust.instruments import LEGUS_BANDS
from astroclust.networks import create_network
from astroclust.stamps import without_bands
from astroclust.training import find_recipe
from astroclust.training.run_folders import recipe_settings

__all__ = ["WEI2020_LABELS", "WEI2020_NETWORKS", "reproduce_wei2020"]

#: Recipes of the networks of the study, by name.
WEI2020_NETWORKS = {"resnet18": "wei2020", "vgg19_bn": "wei2020-vgg19", "native": "native"}
#: Labels of the study: the two samples of the paper, and both combined.
WEI2020_LABELS = (*LABELS, "all")
# At the distance of NGC 1559, the new galaxy of the paper, and labeled by LEGUS: 18 Mpc.
_NEW_GALAXY = "ngc1566"
# Training field of Fig. 1.
_EXAMPLE = "ngc4656"


@dataclass(frozen=True)
class _Plan:
    """Size of a reproduction."""

    networks: dict  # architecture by recipe name
    runs: int
    sizes: tuple = (25, 50, 100, "random")
    batches: dict = field(default_factory=dict)  # overrides by recipe
    n_fields: int | None = None
    n_training: int | None = None
    n_tested: int | None = None  # of the new galaxy
    labels: tuple = LABELS
    normalization: str = "unit-stamp"
    split: str = "stratified"
    redraw: bool = False

    def labels_for(self, wanted):
        """Labels of an experiment of the paper, otherwise the first available ones."""
        return wanted if wanted in self.labels else self.labels[0]


# VGG19-BN has 280 million weights in two copies, and its checkpoints alone take minutes, so a quick
# run uses a small network of plain convolutions instead.
_PLANS = {
    False: _Plan({"wei2020": "resnet18", "wei2020-vgg19": "vgg19_bn", "native": "native"}, 10),
    True: _Plan(
        {"wei2020": "resnet18@32", "wei2020-vgg19": "squeezenet1_1@32", "native": "native-small"},
        2,
        batches={"wei2020": 10, "wei2020-vgg19": 10, "native": 40},
        n_fields=2,
        n_training=1000,
        n_tested=60,
    ),
}


def reproduce_wei2020(
    folder,
    *,
    quick=False,
    runs=None,
    networks=None,
    labels=LABELS,
    normalization="unit-stamp",
    keep_last_layer=False,
    split="stratified",
    redraw=False,
    data_folder=None,
    weights=None,
    new_galaxy=_NEW_GALAXY,
    progress_bar=False,
):
    """Reproduce the experiments of Wei et al. (2020) and compare with the published numbers.

    Catalogs and mosaics are downloaded and stamps are cut. The networks of the paper and ours are
    trained ten times on the labels of B. C. Whitmore, on those of three people, and on stamps of
    different sizes. Each is tested on a validation set with a fifth of each class and on a new
    galaxy, with all bands and without each band. Repeat the call to
    resume an interrupted study.

    Parameters
    ----------
    folder : str or `~pathlib.Path`
        Folder for stamps, training runs and the report.
    quick : bool, optional
        Whether to test all steps in minutes: two fields per sample, two short training runs,
        smaller stamps, and a small network instead of VGG19-BN. The results are not comparable with
        the paper.
    runs : int, optional
        Trainings of each kind; by default ten, or two in a quick run.
    networks : sequence of str, optional
        Subset of `WEI2020_NETWORKS`; by default all.
    labels : sequence of str, optional
        Subset of `WEI2020_LABELS`: ``"bcw"`` (Table 1), ``"consensus"`` (Table 2), and ``"all"``,
        both together, as sec. 5 proposes.
    normalization : str, optional
        Normalization for the networks of the paper, which rescales pixels to [0, 1] (sec. 3.4)
        without further details: ``"unit-stamp"``, all bands of a stamp together, or
        ``"unit-band"``, each band separately; see `~astroclust.stamps.normalize_stamps`.
    keep_last_layer : bool, optional
        Whether each copy of a network keeps its last layer, with random initial weights, before the
        joint matrix; see `~astroclust.networks.dual.DualNetwork`. By default the joint matrix
        replaces the last layers.
    split : str, optional
        ``"stratified"``, a fifth of each class is the test set; or ``"grouped"``, at most a fifth,
        which shares no pixels with the training set.
    redraw : bool, optional
        Whether each run has its own split. By default all runs share one split, so that their
        scatter is due to the initial weights, as described in sec. 4.1 and 4.3.
    data_folder : str or `~pathlib.Path`, optional
        Download folder of catalogs and mosaics, see `~astroclust.archive.fetch_legus`.
    weights : str or `~pathlib.Path`, optional
        Initial weights of the networks of the paper; see `~astroclust.networks.create_network`. By
        default those of ImageNet, or random ones in a quick run if those are not available.
    new_galaxy : str, optional
        Galaxy outside all training sets: ``"ngc1559"``, as in the paper, with the human classes of
        PHANGS-CAT, a later catalog than that of the paper (see
        `~astroclust.experiments.labeled_stamps`), or a LEGUS field; by default NGC 1566, at 18
        Mpc. It is excluded from the samples.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    page : `~pathlib.Path`
        The report.

    Raises
    ------
    KeyError
        If neither LEGUS nor PHANGS-HST has the new galaxy.
    OSError
        If the weights file does not exist, or no field of a sample or the ImageNet weights can be
        fetched.
    ValueError
        If networks, labels, normalization or split are unknown, or the folder has training runs
        with different data or settings.

    Warns
    -----
    `~astropy.utils.exceptions.AstropyUserWarning`
        If some fields of a sample cannot be fetched; they are excluded.

    Examples
    --------
    Even a quick run takes minutes and requires the archive. An unknown galaxy raises an error
    before anything is downloaded:

    >>> from astroclust.experiments import reproduce_wei2020
    >>> reproduce_wei2020("study", quick=True, new_galaxy="ngc9999")
    Traceback (most recent call last):
        ...
    KeyError: "LEGUS has no field 'ngc9999': did you mean ...?"
    """
    began, folder = perf_counter(), Path(folder)
    check_split(split)
    plan = _plan(_PLANS[quick], runs, networks, labels)
    plan = replace(plan, normalization=normalization, split=split, redraw=redraw)
    # Raises an error for unknown galaxies before anything is downloaded.
    list(_trainings(plan))
    for name in plan.networks:
        recipe_settings(_recipe(plan, name, weights))
    if keep_last_layer:
        plan = replace(plan, networks=dict(map(_keeping_last_layer, plan.networks.items())))
    fetch = partial(
        labeled_stamps,
        folder=folder / "stamps",
        data_folder=data_folder,
        progress_bar=progress_bar,
    )
    new = fetch(new_galaxy, labels="consensus")[: plan.n_tested]
    samples = _samples(plan, fetch, folder / "stamps", new_galaxy)
    again = phangs_labels(AGAIN, data_folder=data_folder)
    weights = _weights(plan, weights, quick)
    others = {"new galaxy": new}
    bare = {WITHOUT[band]: without_bands(new, [i]) for i, band in enumerate(LEGUS_BANDS.roles)}
    classified = []
    todo = list(_trainings(plan, weights))
    for training in tqdm(todo, unit="training", disable=not progress_bar):
        table = run_training(
            training,
            samples[training.labels],
            folder=folder / "trainings",
            others=others | (bare if training.labels == plan.labels_for("bcw") else {})
            if training.size == 50
            else {},
        )
        classified.append(with_origin(table, training))
    classified = vstack(classified, metadata_conflicts="silent")
    samples = {name: samples[name] for name in plan.labels}
    report = compare_classes(classified, plan, quick, samples, again)
    add_learning_curves(report, folder / "trainings")
    examples = _example_fields(samples[plan.labels_for("consensus")], new, new_galaxy)
    images = partial(field_images, data_folder=data_folder, progress_bar=progress_bar)
    add_examples(report, examples, folder / "stamps", images)
    add_data(report, samples, new, new_galaxy, weights, perf_counter() - began)
    return report.write(folder)


def _example_fields(known, new, new_galaxy):
    """Stamps of a training field, that of Fig. 1 if possible, and of the new galaxy."""
    fields = np.asarray(known.table["field"])
    name = _EXAMPLE if _EXAMPLE in fields else str(fields[0])
    return {name: known[fields == name], new_galaxy: new}


def _plan(plan, runs, networks, labels):
    """Modify the runs, networks and labels of a plan."""
    if runs is not None:
        if runs < 1:
            raise ValueError(f"runs must be at least 1, not {runs}")
        plan = replace(plan, runs=runs)
    if networks is not None:
        networks = _known("networks", networks, WEI2020_NETWORKS)
        chosen = {WEI2020_NETWORKS[name] for name in networks}
        plan = replace(
            plan, networks={name: a for name, a in plan.networks.items() if name in chosen}
        )
    labels = _known("labels", labels, WEI2020_LABELS)
    return replace(plan, labels=tuple(name for name in WEI2020_LABELS if name in labels))


def _known(what, names, known):
    """Validate names."""
    names = [names] if isinstance(names, str) else list(names)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        given = ", ".join(unknown) if unknown else "none"
        raise ValueError(f"{what} must be some of {', '.join(known)}, not {given}")
    return names


def _keeping_last_layer(item):
    name, architecture = item
    return name, architecture if name == "native" else f"{architecture}+last"


def _samples(plan, fetch, folder, new_galaxy):
    """Stamps of each sample by its labels, without those of the new galaxy."""
    wanted = LABELS if "all" in plan.labels else plan.labels
    samples = {}
    for labels in wanted:
        names = [name for name in sample_fields(labels) if name != new_galaxy]
        kept = {name for name in names if stamps_file(name, labels, folder).exists()}
        samples[labels] = gather_sample(
            partial(fetch, labels=labels), names, plan.n_fields, kept=kept
        )
    if "all" in plan.labels:
        samples["all"] = join_stamps(list(samples.values()))
    return samples


def _weights(plan, weights, quick):
    """Initial weights of the networks of the paper."""
    if weights is not None or not quick:
        return weights
    ours = [name for name in plan.networks if name != "native"]
    try:
        for name in ours:
            create_network(plan.networks[name])
    except OSError:
        return "none"
    return None


def _trainings(plan, weights=None):
    """All training runs in order of their runs, so that partial reports are possible."""
    for run in range(1, plan.runs + 1):
        for name in plan.networks:
            recipe = _recipe(plan, name, weights)
            options = {"n_training": plan.n_training, "split": plan.split, "redraw": plan.redraw}
            for labels in plan.labels:
                yield Training(labels, recipe, run, **options)
            for size in plan.sizes:
                if size != 50 and name != "native":
                    yield Training(plan.labels_for("consensus"), recipe, run, size, **options)


def _recipe(plan, name, weights):
    """Recipe with the network, batches and initial weights of a plan."""
    recipe = replace(find_recipe(name), architecture=plan.networks[name])
    if name in plan.batches:
        recipe = replace(recipe, batches=plan.batches[name])
    if name == "native":
        return recipe
    return replace(recipe, weights=weights, normalization=plan.normalization)
