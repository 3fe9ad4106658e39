# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Test sets: parts of samples, or complete galaxies, excluded from training."""

from dataclasses import replace

import numpy as np

from astroclust.catalogs.fields import plain_name
from astroclust.training.samples import Sample
from astroclust.training.splits import split_rows

__all__ = ["SIMULATED", "hold_out", "score_sets", "sets_by_galaxy"]

#: Name of the joint test set of all simulated samples.
SIMULATED = "simulated"


def hold_out(sample, *, galaxies=None, fraction=0.2, seed=1):
    """Move a fraction of a training set, or complete galaxies, to a test set.

    Parameters
    ----------
    sample : `Sample` or sequence of `Sample`
        Input samples, not modified. Their test sets are discarded if new ones are held out.
    galaxies : str or sequence of str, optional
        Galaxies, in any spelling, all samples of which become test sets; other samples are
        unchanged. By default, a fraction of each sample is held out.
    fraction : float, optional
        Maximum fraction of the stamps in the test set; groups are never divided.
    seed : int, optional
        Random seed; equal seeds give equal test sets.

    Returns
    -------
    sample : `Sample` or list of `Sample`
        The same stamps, divided into training and test sets.

    Raises
    ------
    ValueError
        If one of the sets would be empty, or there is no sample of a galaxy.

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
    training, test = split_rows(len(labels), fraction=fraction, seed=seed, groups=sample.groups)
    if not (len(training) and len(test)):
        raise ValueError(
            f"the stamps of {len(labels)} labeled rows overlap too much for {fraction:.0%} of "
            "them to be held out; label more objects that are further apart"
        )
    apart = "at random" if sample.groups is None else "which share no pixel with the training set"
    return _divided(sample, training, test, f"{len(test)} other rows, {apart}")


def _hold_out_galaxies(samples, galaxies):
    if isinstance(samples, Sample):
        raise ValueError("galaxies can only be held out of several samples; pass a list of samples")
    samples = list(samples)
    wanted = _wanted(samples, galaxies)
    if all(plain_name(one.galaxy) in wanted for one in samples if one.galaxy or not one.simulated):
        raise ValueError("all galaxies are held out; keep one to train on")
    divided = []
    for one in samples:
        if plain_name(one.galaxy) in wanted:
            rows = np.arange(len(one.stamps))
            one = _divided(one, rows[:0], rows, f"{len(rows)} stamps of {one.galaxy}")
        divided.append(one)
    return divided


def _wanted(samples, galaxies):
    """Plain names of galaxies, all of which must have samples."""
    known = {plain_name(one.galaxy): one.galaxy for one in samples if one.galaxy}
    wanted = {plain_name(one): one for one in galaxies}
    unknown = [wanted[plain] for plain in wanted if plain not in known]
    if unknown:
        raise ValueError(
            f"no sample is of galaxy {', '.join(unknown)}; "
            + (f"available are {', '.join(known.values())}" if known else "set that of a sample")
        )
    return set(wanted)


def _divided(sample, training, test, split):
    labels = np.asarray(sample.labels)
    # A slice avoids copying the stamps if the training set is empty.
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
    """Convert all real stamps of samples to test sets, to score a classifier trained elsewhere.

    Parameters
    ----------
    samples : sequence of `Sample`
        Input samples, not modified. Simulated samples keep their test sets.
    galaxies : sequence of str, optional
        Galaxies, in any spelling; by default all galaxies and all simulated samples.

    Returns
    -------
    samples : list of `Sample`
        Samples with test sets; the real ones have empty training sets.

    Raises
    ------
    ValueError
        If there is no sample of a galaxy.

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
        Samples, some of which have test sets.

    Returns
    -------
    sets : dict of str to list of `Sample`
        Test sets by the name of the galaxy, or of the sample if its galaxy is not given; those of
        simulated samples are under ``"simulated"``.
    """
    sets = {}
    for one in samples:
        if one.test_stamps is not None and len(one.test_stamps):
            name = one.galaxy or (SIMULATED if one.simulated else one.name or "other")
            known = next((old for old in sets if plain_name(old) == plain_name(name)), name)
            sets.setdefault(known, []).append(one)
    return sets
