# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Agreement of simulated experts, compared with Wei et al. (2020) and LEGUS.

Compares published fractions with ours from 100 000 objects in the class mix of the galaxy, in
percent; then prints the accuracy of labels, and the score of a perfect classifier of the true class
against such labels. Networks can exceed that score by learning the habits of one person, which
independent experts lack. With ``--fit``, the confusion is fitted.
"""

import argparse
from itertools import product

import numpy as np
from real_data import data_path
from scipy.linalg import block_diag
from scipy.optimize import least_squares
from scipy.special import roots_sh_jacobi

from astroclust import class_scores, read_legus
from astroclust.evaluation import confusion_matrix
from astroclust.simulation.candidates import KINDS, POINTS
from astroclust.simulation.labels import DIFFICULTY, confusion_of_kinds, label_noise

N = 100_000
CLUSTERS = "1+2"
# Wei et al. (2020), sec. 2.1: percentage of the objects to which one expert (BCW) assigned a class
# for which it is also the mode of three other experts, in the order of their Fig. 2.
EXPERT_AND_MODE = {1: 66, 2: 37, 3: 40, 4: 61, CLUSTERS: 67}
# Percentage for which the same expert assigned the same class again years later.
EXPERT_TWICE = {1: 80, 2: 53, 3: 56, CLUSTERS: 88}
# Percentage of rows of each mode whose mean equals it: unanimous votes, or 1, 2, 3 or 2, 3, 4.
UNANIMOUS = {1: 44, 2: 25, 3: 30, 4: 34, "all": 33}
# Class counts from Wei et al. (2020), Tables 1 and 2: labels of BCW in NGC 3351, modes of three
# experts in the other galaxies, and both complete samples.
MIX = {
    "NGC 4656": (93, 91, 78, 169),
    "NGC 3351": (118, 80, 95, 325),
    "NGC 628": (426, 437, 413, 664),
    "three people": (1795, 2315, 2265, 4841),
    "one person": (1271, 1013, 738, 2125),
}
# Accuracies of ResNet18 in sec. 4.1.
NETWORKS = {"three people": (78, 54, 58, 66), "one person": (76, 58, 60, 71)}
# Fraction of objects for which a person repeats the earlier label instead of judging again.
REPEATED = 0.34
# Kinds in catalogs, from which the cut in the concentration index removes point sources.
LISTED = {
    label: {kind: fraction for kind, fraction in fractions.items() if kind not in POINTS}
    for label, fractions in KINDS.items()
}
# Off-diagonal sums of Tables 4 and 5, the confusion matrices of networks.
SHAPES = np.array(
    [[0, 40.9, 2.8, 9.4], [32.7, 0, 17.3, 28.2], [0.8, 30.3, 0, 49], [13.5, 15, 31.5, 0]]
)
OFF = ~np.eye(4, dtype=bool)
CATALOG = "hlsp_legus_hst_acs-wfc3_ngc628-{}_multiband_v1_padagb-mwext-avgapcor.tab"


def main():
    """Simulate and print, or fit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fit", action="store_true", help="fit CONFUSION_ON_BORDER again")
    if parser.parse_args().fit:
        fit()
        return
    print_agreement()
    print_unanimity()
    for sample, column in (("three people", "class_mode"), ("one person", "expert_1")):
        truth, labels, _ = simulate(MIX[sample])
        right = 100 * class_scores(truth, labels[column])["recall"]
        ceiling = 100 * class_scores(labels[column], truth)["recall"]
        networks = NETWORKS[sample]
        print(f"\nLabels of {sample}: percentage of each true class with the correct label, and of")
        print("each label with that true class (upper limit of recall); ResNet18 in the paper")
        for i, row in enumerate(zip(right, ceiling, networks, strict=True), start=1):
            print(f"  class {i}: {row[0]:5.1f} {row[1]:5.1f} {row[2]:4d}")


def simulate(mix):
    """Draw true classes, three experts, and two others on the same objects."""
    rng = np.random.default_rng(1)
    truth = rng.choice([1, 2, 3, 4], size=N, p=np.array(mix) / sum(mix))
    kinds = np.empty(N, "U12")
    for label, fractions in LISTED.items():
        rows = truth == label
        kinds[rows] = rng.choice(list(fractions), rows.sum(), p=kind_fractions(label))
    known = {"kinds": kinds, "difficulty": rng.beta(*DIFFICULTY, size=N)}
    three = label_noise(truth, seed=2, **known)
    others = label_noise(truth, seed=3, n_experts=2, **known)
    return truth, three, others


def kind_fractions(label):
    """Fractions of the kinds of a class in a catalog."""
    values = np.array(list(LISTED[label].values()))
    return values / values.sum()


def fractions(joint, keys):
    """Percentage of each first label (rows) with the same second label."""
    values = {i: joint[i - 1, i - 1] / joint[i - 1].sum() for i in (1, 2, 3, 4)}
    values[CLUSTERS] = joint[:2, :2].sum() / joint[:2].sum()
    return np.array([100 * values[key] for key in keys])


def counts(first, second):
    """Count objects by two labels, as an array."""
    matrix = confusion_matrix(first, second)
    return np.column_stack([matrix[f"class_{i}"] for i in (1, 2, 3, 4)])


def print_agreement():
    """Print the agreement of an expert with the mode of three others, and with themselves."""
    _, three, others = simulate(MIX["NGC 4656"])
    joint = counts(others["expert_1"], three["class_mode"])
    show("An expert and the mode of three others (NGC 4656)", EXPERT_AND_MODE, joint)
    _, _, others = simulate(MIX["NGC 3351"])
    again = np.random.default_rng(4).random(N) < REPEATED
    second = np.where(again, others["expert_1"], others["expert_2"])
    show("The same expert twice (NGC 3351)", EXPERT_TWICE, counts(others["expert_1"], second))


def show(title, published, joint):
    """Print published and simulated fractions."""
    print(f"\n{title}: published, ours")
    for (key, value), ours in zip(published.items(), fractions(joint, published), strict=True):
        print(f"  class {key}: {value:4d} {ours:5.1f}")


def print_unanimity():
    """Print fractions of rows whose mean is the mode, and the distribution of means by mode."""
    _, three, _ = simulate(MIX["NGC 628"])
    modes, thirds = np.array(three["class_mode"]), np.rint(3 * three["class_mean"]).astype(int)
    same = thirds == 3 * modes
    ours = [100 * same[modes == i].mean() for i in (1, 2, 3, 4)] + [100 * same.mean()]
    print("\nRows whose mean is the mode, by mode (NGC 628): published, ours")
    for (key, value), fraction in zip(UNANIMOUS.items(), ours, strict=True):
        print(f"  class {key}: {value:4d} {fraction:5.1f}")
    path = data_path("legus_catalogs")
    pairs = {field: read_votes(path / CATALOG.format(field)) for field in "ce"}
    both = np.concatenate(list(pairs.values()))
    equal = both[:, 0] == both[:, 1]
    values = [equal[both[:, 0] == i].mean() for i in (1, 2, 3, 4)] + [equal.mean()]
    print("  measured in the catalogs:", " ".join(f"{100 * value:.1f}" for value in values))
    print("Means by mode, percent (NGC 628-E, not in the fit): catalog above, ours below")
    print("         " + "".join(f"{total / 3:6.2f}" for total in range(3, 13)))
    for i in (1, 2, 3, 4):
        field = np.rint(3 * pairs["e"][pairs["e"][:, 0] == i, 1]).astype(int)
        for sums in (field, thirds[modes == i]):
            found = 100 * np.bincount(sums, minlength=13)[3:] / len(sums)
            print(f"  mode {i}:" + "".join(f"{fraction:6.1f}" for fraction in found))


def read_votes(path):
    """Return mode and mean of the inspected rows of a catalog."""
    catalog = read_legus(path)
    inspected = np.isin(np.ma.filled(catalog["class_human"], 0), (1, 2, 3, 4))
    columns = [np.asarray(catalog[name])[inspected] for name in ("class_human", "class_mean")]
    return np.column_stack(columns)


def fit():
    """Fit the confusion on the border and the repeated fraction to published values."""
    start = np.r_[np.log(SHAPES[OFF]), np.full(4, 0.3), 0.0]
    found = least_squares(residuals, start).x
    border, repeated = unpack(found)
    print("CONFUSION_ON_BORDER", np.round(border, 3).tolist(), sep="\n")
    print(f"REPEATED {repeated:.2f}")


def unpack(parameters):
    """Return the confusion on the border, with the truth most probable, and the repeats."""
    border = np.zeros((4, 4))
    border[OFF] = np.exp(parameters[:12])
    border /= border.sum(axis=1, keepdims=True)
    border += np.diag(border.max(axis=1) * np.exp(np.abs(parameters[12:16])))
    return border / border.sum(axis=1, keepdims=True), 1 / (1 + np.exp(-parameters[16]))


def residuals(parameters):
    """Residuals of the model in units of 2 points, and for shapes in factors of e."""
    border, repeated = unpack(parameters)
    modes, unanimous, expert_mode, pairs = agreement(border)
    field = {name: np.array(mix) / sum(mix) for name, mix in MIX.items()}
    joint = np.einsum("t,tem->em", field["NGC 4656"], expert_mode)
    twice = np.einsum("t,tab->ab", field["NGC 3351"], pairs)
    twice = repeated * np.diag(twice.sum(axis=1)) + (1 - repeated) * twice
    mix = field["NGC 628"] @ modes
    same = field["NGC 628"] @ unanimous
    rivals = np.log(border[OFF] / np.repeat((border * OFF).sum(axis=1), 3))
    shapes = np.log(SHAPES[OFF] / np.repeat(SHAPES.sum(axis=1), 3))
    return np.concatenate(
        [
            (fractions(joint, EXPERT_AND_MODE) - list(EXPERT_AND_MODE.values())) / 2,
            # Less weight for 1+2, which cannot be fitted together with the others.
            (fractions(twice, EXPERT_TWICE) - list(EXPERT_TWICE.values())) / [2, 2, 2, 3],
            (100 * np.r_[same / mix, same.sum()] - list(UNANIMOUS.values())) / 2,
            # The modes must have the mix of the true classes.
            100 * (mix - field["NGC 628"]) / 2,
            rivals - shapes,
            # Only ratios matter within a row.
            0.05 * parameters[:12],
            0.1 * parameters[12:16],
        ]
    )


def agreement(border):
    """Compute probabilities of votes by true class.

    These are the probabilities of each mode, of each mode with a mean equal to it, of the label of
    one expert and the mode of three others, and of the labels of two experts.
    """
    nodes, weights = roots_sh_jacobi(12, sum(DIFFICULTY) - 1, DIFFICULTY[0])
    weights = weights / weights.sum()
    probabilities = confusion_of_kinds(tuple(map(tuple, border)))
    of_kind = np.array([probabilities[kind] for fractions in LISTED.values() for kind in fractions])
    mixed = block_diag(*[kind_fractions(label) for label in LISTED])  # truth, kind
    certain = (mixed > 0).T.astype(float)[:, np.newaxis]
    one = certain + nodes[:, np.newaxis] * (of_kind[:, np.newaxis] - certain)  # kind, node, vote
    votes = np.array(list(product(range(4), repeat=3)))
    number = (votes[:, :, np.newaxis] == np.arange(4)).sum(axis=1)
    tied = number == number.max(axis=1, keepdims=True)
    chosen = one[:, :, np.newaxis] * tied
    chosen /= chosen.sum(axis=-1, keepdims=True)
    chance = np.prod([one[..., column] for column in votes.T], axis=0)
    three = np.einsum("i,kiv,kivm->kivm", weights, chance, chosen)
    is_mean = votes.sum(axis=1)[:, np.newaxis] == 3 * np.arange(4)
    return (
        np.einsum("tk,kivm->tm", mixed, three),
        np.einsum("tk,kivm,vm->tm", mixed, three, is_mean),
        np.einsum("tk,kivm,kie->tem", mixed, three, one),
        np.einsum("tk,i,kia,kib->tab", mixed, weights, one, one),
    )


if __name__ == "__main__":
    main()
