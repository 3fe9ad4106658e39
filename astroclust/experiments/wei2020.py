# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The experiments of Wei et al. (2020, sec. 4), from the archive to a report."""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter

from astropy.table import vstack
from tqdm import tqdm

from astroclust.experiments.samples import gather_sample, labeled_stamps, sample_fields
from astroclust.experiments.trainings import Training, run_training, with_origin
from astroclust.experiments.wei2020_report import LABELS, WITHOUT, add_data, compare_classes
from astroclust.instruments import LEGUS_BANDS
from astroclust.networks import create_network
from astroclust.training import find_recipe, without_bands

__all__ = ["reproduce_wei2020"]

# As far as NGC 1559, the galaxy that the paper did not learn from, and public: 18 Mpc.
_NEW_GALAXY = "ngc1566"


@dataclass(frozen=True)
class _Plan:
    """How large a reproduction is."""

    networks: dict  # architecture by name of the recipe
    runs: int
    sizes: tuple = (25, 50, 100, "random")
    batches: dict = field(default_factory=dict)  # by recipe, in place of its own
    n_fields: int | None = None
    n_learnt: int | None = None
    n_tested: int | None = None  # of the new galaxy


_PLANS = {
    False: _Plan({"wei2020": "resnet18", "wei2020-vgg19": "vgg19_bn", "native": "native"}, 10),
    True: _Plan(
        {"wei2020": "resnet18@32", "wei2020-vgg19": "vgg19_bn@32", "native": "native-small"},
        2,
        batches={"wei2020": 10, "wei2020-vgg19": 2, "native": 60},
        n_fields=2,
        n_learnt=1000,
        n_tested=60,
    ),
}


def reproduce_wei2020(
    folder,
    *,
    quick=False,
    data_folder=None,
    weights=None,
    new_galaxy=_NEW_GALAXY,
    progress_bar=False,
):
    """Repeat the experiments of Wei et al. (2020), and put our numbers beside theirs.

    Catalogues and mosaics are fetched, stamps cut, both networks of the paper and ours trained ten
    times on the labels of B. C. Whitmore and on those of three people, and on stamps of other
    sizes; each is tested on a fifth that it has not learnt from and on a galaxy that none has, with
    all bands and without each. The same call goes on where an earlier one stopped.

    Parameters
    ----------
    folder : str or `~pathlib.Path`
        Where stamps, trainings and the report go.
    quick : bool, optional
        Whether to go through all of it in minutes, to see that it works: two fields a sample,
        two trainings of few batches, smaller pictures. Its numbers are not those of the paper.
    data_folder : str or `~pathlib.Path`, optional
        Where catalogues and mosaics go, as for `~astroclust.archive.fetch_legus`.
    weights : str or `~pathlib.Path`, optional
        What the networks of the paper start from, as for `~astroclust.networks.create_network`: by
        default the weights of ImageNet; in a quick run random ones where those cannot be had.
    new_galaxy : str, optional
        Field of LEGUS in place of NGC 1559, whose labels were never published: by default NGC
        1566, at 18 Mpc. It is left out of the samples.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    page : `~pathlib.Path`
        The report.

    Raises
    ------
    KeyError
        Where LEGUS does not have the new galaxy.
    OSError
        Where no field of a sample can be fetched, or ImageNet's weights cannot.
    ValueError
        Where the folder holds trainings of other data or settings.

    Examples
    --------
    Even a quick run takes minutes and needs the archive. A galaxy that LEGUS does not have is
    refused before anything is fetched:

    >>> from astroclust.experiments import reproduce_wei2020
    >>> reproduce_wei2020("study", quick=True, new_galaxy="ngc1559")
    Traceback (most recent call last):
        ...
    KeyError: "LEGUS has no field 'ngc1559': did you mean ...?"
    """
    began, folder, plan = perf_counter(), Path(folder), _PLANS[quick]
    fetch = partial(
        labeled_stamps,
        folder=folder / "stamps",
        data_folder=data_folder,
        progress_bar=progress_bar,
    )
    new = fetch(new_galaxy, labels="consensus")[: plan.n_tested]
    samples = {}
    for labels in LABELS:
        names = [name for name in sample_fields(labels) if name != new_galaxy]
        samples[labels] = gather_sample(partial(fetch, labels=labels), names, plan.n_fields)
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
            others=others | (bare if training.labels == "bcw" else {})
            if training.size == 50
            else {},
        )
        classified.append(with_origin(table, training))
    classified = vstack(classified, metadata_conflicts="silent")
    report = compare_classes(classified, plan, quick)
    add_data(report, samples, new, new_galaxy, weights, perf_counter() - began)
    return report.write(folder)


def _weights(plan, weights, quick):
    """What the networks of the paper start from."""
    if weights is not None or not quick:
        return weights
    try:
        create_network(plan.networks["wei2020"])
    except OSError:
        return "none"
    return None


def _trainings(plan, weights=None):
    """All trainings, of the first run first: a report can be had of what there is."""
    for run in range(1, plan.runs + 1):
        for name in plan.networks:
            recipe = _recipe(plan, name, weights)
            for labels in LABELS:
                yield Training(labels, recipe, run, n_learnt=plan.n_learnt)
            for size in plan.sizes:
                if size != 50 and name != "native":
                    yield Training("consensus", recipe, run, size, n_learnt=plan.n_learnt)


def _recipe(plan, name, weights):
    """A recipe with the network, the batches and the first weights of a plan."""
    recipe = replace(find_recipe(name), architecture=plan.networks[name])
    if name in plan.batches:
        recipe = replace(recipe, batches=plan.batches[name])
    return recipe if name == "native" else replace(recipe, weights=weights)
