# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Preparation of a training run: validation and division of samples, and the initial card."""

import warnings

import numpy as np
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs.fields import plain_name
from astroclust.instruments import classes_of, find_class_scheme
from astroclust.training.domains import Domain, class_weights
from astroclust.training.held_out import SIMULATED, sets_by_galaxy
from astroclust.training.labels import class_targets
from astroclust.training.samples import Sample
from astroclust.training.scores import join_samples
from astroclust.training.seen import seen_rows, training_fingerprint
from astroclust.training.splits import split_rows
from astroclust.weights import ModelCard, check_card

__all__ = [
    "check_samples",
    "check_teacher",
    "first_card",
    "join_test_sets",
    "joint_scheme",
    "make_domains",
    "warn_of_seen_rows",
]


def check_samples(sample, start, teacher=None):
    """Samples as a list, checked to be compatible with each other."""
    samples = [sample] if isinstance(sample, Sample) else sample
    samples = list(samples) if isinstance(samples, list | tuple) else [samples]
    for one in samples:
        if not isinstance(one, Sample):
            raise TypeError(
                "sample must be a Sample, such as Sample(stamps, labels), or a list of them, not "
                f"{type(one).__name__}"
            )
    if not any(len(one.stamps) for one in samples):
        raise ValueError("no stamps to train on")
    first = samples[0]
    for one in samples[1:]:
        for what, value, other in (
            ("bands", ", ".join(one.stamps.bands), ", ".join(first.stamps.bands)),
            ("band system", one.stamps.system.name, first.stamps.system.name),
            ("a stamp width of", _size(one), _size(first)),
        ):
            if value != other:
                raise ValueError(
                    f"sample {one.name or one.description} has {what} {value}, but sample "
                    f"{first.name or first.description} has {other}; cut all stamps alike"
                )
    if start is not None and first.stamps.bands != start.card.bands:
        raise ValueError(
            f"{start.card.name} uses bands {', '.join(start.card.bands)}, but the sample has "
            f"{', '.join(first.stamps.bands)}; cut stamps in its bands, or train without start"
        )
    for one in (start, teacher):
        if one is not None:
            _warn_of_seen(samples, one)
    return samples


def check_teacher(teacher, samples, scheme, recipe):
    """Check that a classifier can be distilled into one for these samples."""
    card = teacher.card
    for what, value, other in (
        ("bands", ", ".join(card.bands), ", ".join(samples[0].stamps.bands)),
        ("classes", list(card.classes.numbers), list(scheme.numbers)),
        ("a stamp width of", card.stamp_size, _size(samples[0])),
        ("normalization", card.normalization, recipe.normalization),
    ):
        if value != other:
            raise ValueError(
                f"the teacher {card.name} has {what} {value}, but the classifier to train has "
                f"{other}; choose another teacher, or train without one"
            )


def _warn_of_seen(samples, start):
    """Warn if a classifier to learn from was trained on a galaxy or stamps of a test set."""
    seen = {plain_name(one) for one in start.card.galaxies}
    known = [name for name in sets_by_galaxy(samples) if plain_name(name) in seen]
    if known:
        warnings.warn(
            f"{start.card.name} was trained on {', '.join(known)}, so the scores of the test set "
            "will be too optimistic; hold out other galaxies, or start from another classifier",
            AstropyUserWarning,
            stacklevel=4,
        )
        return
    for one in samples:
        if one.test_stamps is not None:
            warn_of_seen_rows(start, one.test_stamps, stacklevel=5)


def warn_of_seen_rows(start, stamps, *, stacklevel=4):
    """Warn if the classifier to fine-tune was trained on stamps that are scored."""
    if seen_rows(start, stamps).any():
        warnings.warn(
            f"{start.card.name} was trained on some of the held-out stamps, so their scores will "
            "be too optimistic; label other objects, or start from another classifier",
            AstropyUserWarning,
            stacklevel=stacklevel,
        )


def _size(sample):
    return sample.stamps.size if sample.size is None else sample.size


def make_domains(samples, scheme, recipe, seed):
    """Domains of the training set and of the validation set."""
    training, aside = [], []
    for number, one in enumerate(samples):
        targets = class_targets(one.labels, len(one.stamps), scheme)
        # A number of 0, as for a single sample, does not alter the seed of the run.
        parts = split_rows(
            len(one.stamps),
            fraction=recipe.validation_fraction,
            seed=[seed, number],
            groups=one.groups,
        )
        augmentation = one.augmentation or recipe.augmentation
        for rows, domains in zip(parts, (training, aside), strict=True):
            if len(rows):
                weights = class_weights(targets[rows], recipe.class_mix)
                entries = rows, _size(one), float(one.weight), augmentation, recipe.damage, weights
                domains.append(Domain(one.stamps, targets, *entries))
    if recipe.patience is not None and not aside:
        n = sum(len(one.stamps) for one in samples)
        raise ValueError(
            f"none of {n} stamps can be set aside for early stopping; add stamps, or omit patience"
        )
    if recipe.keep_best and not aside and not sets_by_galaxy(samples):
        raise ValueError(
            "keep_best requires stamps to select the best epoch; set a validation_fraction above "
            "0, or add a test set"
        )
    return training, aside


def join_test_sets(samples, scheme):
    """All real test sets as one domain, or all simulated ones if there are no real ones."""
    sets = sets_by_galaxy(samples)
    real = [one for name, parts in sets.items() if name != SIMULATED for one in parts]
    chosen = real or sets.get(SIMULATED, [])
    if not chosen:
        return []
    stamps, targets = join_samples(chosen, scheme)
    return [Domain(stamps, targets, np.arange(len(stamps)), size=stamps.size)]


def joint_scheme(samples, start):
    """Class scheme of a training run, from the samples or the classifier to fine-tune."""
    schemes = [
        classes_of(one.stamps.table) if one.scheme is None else find_class_scheme(one.scheme)
        for one in samples
    ]
    for one, scheme in zip(samples, schemes, strict=True):
        if scheme.numbers != schemes[0].numbers:
            raise ValueError(
                f"sample {one.name or one.description} has the classes of {scheme.name}, but "
                f"sample {samples[0].name or samples[0].description} has those of "
                f"{schemes[0].name}; use labels of one scheme"
            )
    if start is None:
        return schemes[0]
    given = None if samples[0].scheme is None else schemes[0]
    known = start.card.classes
    if given is not None and given.numbers != known.numbers:
        raise ValueError(
            f"{start.card.name} has the classes {list(known.numbers)} of {known.name}, but the "
            f"sample has those of {given.name}; train without start, or use labels of its classes"
        )
    return known if given is None else given


def first_card(samples, name, recipe, scheme, start, teacher=None):
    """Initial card, checked so that a classifier that cannot be saved is not trained."""
    stamps, origin = samples[0].stamps, ""
    trained = [one for one in samples if len(one.stamps)]
    simulated = all(one.simulated for one in trained)
    galaxies = {plain_name(one.galaxy): one.galaxy for one in trained if one.galaxy}
    for what, one in (("from", start), ("distilled from", teacher)):
        if one is not None:
            origin += f"; {what} {one.card.name}, trained on {one.card.training_sample}"
            simulated &= one.card.simulated
            galaxies |= {plain_name(galaxy): galaxy for galaxy in one.card.galaxies}
    missing = recipe.max_missing_bands
    card = ModelCard(
        name=name,
        architecture=recipe.architecture,
        training_sample="; ".join(map(_training_sample, trained)) + origin,
        classes=scheme,
        system=stamps.system,
        bands=stamps.bands,
        stamp_size=_size(samples[0]),
        normalization=recipe.normalization,
        max_missing_bands=len(stamps.bands) - 1 if missing is None else missing,
        simulated=simulated,
        split="; ".join(one.split for one in samples if one.split),
        galaxies=tuple(galaxies[plain] for plain in sorted(galaxies)),
        training_rows=training_fingerprint(trained, start, teacher),
    )
    check_card(card, name)
    return card


def _training_sample(sample):
    """Description of a sample for a card."""
    weight = "" if sample.weight == 1 else f", weight {sample.weight:g}"
    return f"{len(sample.stamps)} {sample.description}{weight}"
