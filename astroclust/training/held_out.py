# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Test sets: parts of samples, or whole galaxies, that are not trained on."""

from dataclasses import replace

import numpy as np

from astroclust.catalogs.fields import plain_name
from astroclust.training.samples import Sample
from astroclust.training.splits import split_rows

__all__ = ["SIMULATED", "hold_out", "score_sets", "sets_by_galaxy"]

#: Name of the test set of all simulated samples.
SIMULATED = "simulated"


def hold_out(sample, *, galaxies=None, fraction=0.2, seed=1):
    """Move part of a training set, or galaxies of several, to a test set.

    Parameters
    ----------
    sample : `Sample` or sequence of `Sample`
        Not changed. A test set that is replaced is not kept.
    galaxies : str or sequence of str, optional
        Galaxies, in any spelling, of which all samples become test sets; the other samples stay
        as they are. By default a fraction of each sample is held out.
    fraction : float, optional
        Fraction of the stamps in the test set, which shares no group with the rest; whole groups
        are moved, so it is at most that.
    seed : int, optional
        Equal seeds give equal test sets.

    Returns
    -------
    sample : `Sample` or list of `Sample`
        The same stamps, divided.

    Raises
    ------
    ValueError
        If one of the sets would be empty, or a galaxy has no sample.

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> from astroclust.training import Sample, hold_out
    >>> stamps = simulate_stamps(10, seed=1)
    >>> sample = hold_out(Sample(stamps, stamps.table["class"]), fraction=0.3)
    >>> len(sample.stamps), len(sample.test_stamps)
    (7, 3)
    >>> samples = [Sample(stamps, stamps.table["class"], galaxy=one) for one in ("NGC 1", "NGC 2")]
    >>> [len(one.stamps) for one in hold_out(samples, galaxies="ngc2")]
    [10, 0]
    """
    if galaxies is not None:
        return _hold_out_galaxies(sample, [galaxies] if isinstance(galaxies, str) else galaxies)
    if isinstance(sample, Sample):
        return _hold_out_rows(sample, fraction, seed)
    return [_hold_out_rows(one, fraction, seed) for one in sample]


def _hold_out_rows(sample, fraction, seed):
    labels = np.asarray(sample.labels)
    training, test = split_rows(len(labels), share=fraction, seed=seed, groups=sample.groups)
    if not (len(training) and len(test)):
        raise ValueError(
            f"the stamps of {len(labels)} labeled rows overlap too much for {fraction:.0%} of them "
            "to be held out: label more, further apart"
        )
    apart = "at random" if sample.groups is None else "which share no pixel with the training set"
    return _divided(sample, training, test, f"{len(test)} other rows, {apart}")


def _hold_out_galaxies(samples, galaxies):
    if isinstance(samples, Sample):
        raise ValueError("galaxies are held out of several samples: give a list of them")
    samples = list(samples)
    wanted = _wanted(samples, galaxies)
    if all(plain_name(one.galaxy) in wanted for one in samples if one.galaxy or not one.simulated):
        raise ValueError("all galaxies are held out: keep one to train on")
    divided = []
    for one in samples:
        if plain_name(one.galaxy) in wanted:
            rows = np.arange(len(one.stamps))
            one = _divided(one, rows[:0], rows, f"{len(rows)} stamps of {one.galaxy}")
        divided.append(one)
    return divided


def _wanted(samples, galaxies):
    """Plain names of galaxies, if all have samples."""
    known = {plain_name(one.galaxy): one.galaxy for one in samples if one.galaxy}
    wanted = {plain_name(one): one for one in galaxies}
    unknown = [wanted[plain] for plain in wanted if plain not in known]
    if unknown:
        raise ValueError(
            f"there is no sample of galaxy {', '.join(unknown)}: there are "
            f"{', '.join(known.values()) or 'none with a galaxy'}"
        )
    return set(wanted)


def _divided(sample, training, test, split):
    labels = np.asarray(sample.labels)
    # Not copied where one of the sets is empty.
    whole = slice(None) if not len(training) else test
    return replace(
        sample,
        stamps=sample.stamps[training],
        labels=labels[training],
        groups=None if sample.groups is None else np.asarray(sample.groups)[training],
        test_stamps=sample.stamps[whole],
        test_labels=labels[test],
        split=split,
    )


def score_sets(samples, *, galaxies=None):
    """All real stamps of samples as test sets, to score a classifier that was trained elsewhere.

    Parameters
    ----------
    samples : sequence of `Sample`
        Not changed. Simulated samples keep the test sets that they have.
    galaxies : sequence of str, optional
        Galaxies, in any spelling; by default all, and simulated samples.

    Returns
    -------
    samples : list of `Sample`
        Samples with nothing but test sets.

    Raises
    ------
    ValueError
        If a galaxy has no sample.

    Examples
    --------
    >>> from astroclust import simulate_stamps
    >>> from astroclust.training import Sample, score_sets
    >>> stamps = simulate_stamps(10, seed=1)
    >>> sample = Sample(stamps, stamps.table["class"], galaxy="NGC 1")
    >>> [len(one.test_stamps) for one in score_sets([sample])]
    [10]
    """
    samples = list(samples)
    if galaxies is not None:
        wanted = _wanted(samples, galaxies)
        samples = [one for one in samples if plain_name(one.galaxy) in wanted]
    rows = [np.arange(len(one.stamps)) for one in samples]
    return [
        one if one.simulated else _divided(one, each[:0], each, "")
        for one, each in zip(samples, rows, strict=True)
    ]


def sets_by_galaxy(samples):
    """Test sets of samples by galaxy.

    Parameters
    ----------
    samples : sequence of `Sample`
        Samples, of which some have test sets.

    Returns
    -------
    sets : dict of str to list of `Sample`
        By the name of the galaxy, or of the sample if its galaxy is not given; those of all
        simulated samples are ``"simulated"``.
    """
    sets = {}
    for one in samples:
        if one.test_stamps is not None and len(one.test_stamps):
            name = one.galaxy or (SIMULATED if one.simulated else one.name or "other")
            known = next((old for old in sets if plain_name(old) == plain_name(name)), name)
            sets.setdefault(known, []).append(one)
    return sets
