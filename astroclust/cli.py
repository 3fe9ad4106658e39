# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The command line: parse, call, write."""

import argparse
import os
import sys
from pathlib import Path

__all__ = ["main"]


def main(argv=None):
    """Run ``astroclust``.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    status : int
        0 where all went well, 1 where something was wrong with the input, 130 after Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    return arguments.run(arguments)


def _parser():
    parser = argparse.ArgumentParser(prog="astroclust")
    commands = parser.add_subparsers(required=True)
    train = commands.add_parser("train", help="train a classifier on simulated stamps")
    train.add_argument("--simulate", type=int, required=True, metavar="N")
    train.add_argument("--epochs", type=int, default=16)
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--name", default="simulated")
    train.add_argument("-o", "--output", type=Path, required=True)
    train.add_argument("--checkpoints", type=Path)
    train.set_defaults(run=_train)
    return parser


def _train(arguments):
    from astroclust.simulation import simulate_stamps
    from astroclust.training import train_classifier
    from astroclust.weights import save_classifier

    n, seed = arguments.simulate, arguments.seed
    workers = os.cpu_count()
    stamps = simulate_stamps(n, seed=[seed, 0], workers=workers, progress_bar=True)
    held_out = simulate_stamps(max(n // 8, 8), seed=[seed, 1], workers=workers, progress_bar=True)
    classifier = train_classifier(
        stamps,
        stamps.table["class"],
        held_out=held_out,
        held_out_labels=held_out.table["class"],
        name=arguments.name,
        training_sample=f"{n} stamps of simulate_stamps, seed [{seed}, 0]",
        simulated=True,
        split=f"{len(held_out)} stamps of simulate_stamps, seed [{seed}, 1]",
        command="astroclust train " + f"--simulate {n} --epochs {arguments.epochs} --seed {seed}",
        epochs=arguments.epochs,
        seed=seed,
        folder=arguments.checkpoints,
        progress_bar=True,
    )
    card = save_classifier(classifier, arguments.output, overwrite=True)
    sys.stdout.write(f"{card.scores}\n")
    return 0
