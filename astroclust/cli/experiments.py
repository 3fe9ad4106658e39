# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Command that reproduces published studies."""

import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import astroclust
from astroclust.cli.options import add_command, use_server

__all__ = ["add_reproduce"]

_WEI2020, _SCHNEIDER2023, _CATALOG_ONLY = "wei2020", "schneider2023", "catalog-only"
_SPLIT_STUDIES = ("leak", "held-out-fields", "sample-size")
# The study on pictures has its own options.
_PICTURES = f"{_WEI2020} --pictures"
_BOTH = (_WEI2020, _PICTURES)


def add_reproduce(commands):
    """Add ``astroclust reproduce``."""
    command = add_command(
        commands,
        "reproduce",
        _reproduce,
        "reproduce published studies and write a report",
        "# a quick test of all steps, in minutes",
        "astroclust reproduce wei2020 --quick -o quick",
        "astroclust reproduce wei2020 --pictures legus_pictures -o pictures",
        "astroclust reproduce schneider2023 --data stamps -o schneider2023",
        "# with the network and image size of the paper",
        "astroclust reproduce schneider2023 --data galaxies --scheme galaxies --network alexnet "
        "--size 224 --runs 100 --epochs 200",
        "astroclust reproduce leak --field ngc1566 --field ngc628-c --runs 3 -o leak",
    )
    command.add_argument(
        "study",
        choices=tuple(_STUDIES),
        help="wei2020: every experiment, from the archive; schneider2023: whether pretraining "
        "helps, on labeled stamps; catalog-only: classes from catalog columns alone; leak, "
        "held-out-fields, sample-size: dependence of the accuracy on the split and on the "
        "size of the training set. Options that a study would ignore are refused",
    )
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        help="folder for the report and intermediate results (default: the name of the study); the "
        "same command resumes",
    )
    options = _Options(command)
    _add_data(options)
    _add_training(options)
    _add_sample(options)
    command.set_defaults(options=options)


class _Options:
    """Options with the studies that accept them."""

    def __init__(self, command):
        self.command, self.taken = command, []

    def add(self, studies, name, *, help, **keywords):  # noqa: A002
        """Add an option of some studies, which are listed in its help."""
        studies = (studies,) if isinstance(studies, str) else studies
        text = f"{help} ({', '.join(studies)})"
        self.taken.append((self.command.add_argument(name, help=text, **keywords), studies))

    def check(self, arguments, study):
        """Refuse options that a study would ignore."""
        own, others = [], []
        for option, studies in self.taken:
            if study in studies:
                own.append(option.option_strings[0])
            elif getattr(arguments, option.dest) != option.default:
                others.append(option.option_strings[0])
        if others:
            raise ValueError(
                f"{study} does not accept {', '.join(others)}; it accepts {', '.join(own)}"
            )


def _add_data(options):
    """Add the options for the training and test sets and their location."""
    options.add(
        (_WEI2020, _SCHNEIDER2023, _CATALOG_ONLY, *_SPLIT_STUDIES),
        "--data",
        type=Path,
        help="schneider2023: file of stamps, or folder of labels.csv and png; catalog-only: folder "
        "of LEGUS catalogs; others: download folder of catalogs and mosaics (default: "
        "astropy's cache)",
    )
    options.add(
        (_WEI2020, *_SPLIT_STUDIES),
        "--server",
        help="server to use instead of MAST, such as a mirror",
    )
    options.add(
        _BOTH,
        "--pictures",
        type=Path,
        metavar="FOLDER",
        help="run wei2020 on color pictures: a folder with pictures.ecsv, labels.ecsv and the "
        "pictures",
    )
    options.add(
        _WEI2020, "--labels", nargs="+", help="bcw, consensus, or all for both samples combined"
    )
    options.add(
        _BOTH,
        "--new-galaxy",
        help="galaxy outside the training sets: ngc1559, as in the paper, or a LEGUS field "
        "(default: ngc1566); with --pictures, may be none",
    )
    options.add(
        _SCHNEIDER2023,
        "--scheme",
        help="class scheme of the labels: legus, or galaxies, as in the paper (default: that of "
        "the stamps, or legus)",
    )
    options.add(
        _SPLIT_STUDIES, "--field", action="append", help="LEGUS field; repeatable (default: all)"
    )


def _add_training(options):
    """Add the options for the networks and their training runs."""
    options.add(
        _WEI2020, "--quick", action="store_true", help="quick test of all steps, in minutes"
    )
    options.add(
        (*_BOTH, _SCHNEIDER2023, *_SPLIT_STUDIES),
        "--runs",
        type=int,
        help="number of training runs of each kind",
    )
    options.add(
        (_SCHNEIDER2023, *_SPLIT_STUDIES),
        "--epochs",
        type=int,
        nargs="+",
        help="epochs per training; for schneider2023, from ImageNet, and twice as many, or a "
        "second number, from random weights (default: 10 20)",
    )
    options.add(_PICTURES, "--batches", type=int, help="batches per training (default: 1000)")
    options.add(
        _SCHNEIDER2023,
        "--long-epochs",
        type=int,
        help="also train from both starts for this number of epochs (1000 in the paper) on five "
        "splits",
    )
    options.add(_BOTH, "--networks", nargs="+", help="subset of the networks of the study")
    options.add(
        _SCHNEIDER2023,
        "--network",
        help="network with ImageNet weights, such as alexnet, as in the paper (default: "
        "timm/efficientnet_lite0)",
    )
    options.add(
        (*_BOTH, _SCHNEIDER2023),
        "--weights",
        help="weights of pretrained networks: a file; or none for random ones (wei2020 only)",
    )
    options.add(
        _WEI2020,
        "--keep-last-layer",
        action="store_true",
        help="keep the last layer of each copy of a network before the joint matrix",
    )
    options.add(
        _SCHNEIDER2023,
        "--optimizer",
        choices=("adam", "sgd"),
        help="adam with a learning rate of 1e-4, or sgd with momentum (default: adam)",
    )


def _add_sample(options):
    """Add the options for the pixels of the stamps and for the test set."""
    options.add(
        _SCHNEIDER2023,
        "--size",
        type=int,
        help="width in pixels of the input crops; 224 in the paper (default: 128)",
    )
    options.add(
        _BOTH,
        "--normalization",
        help="unit-stamp (default) rescales all bands of a stamp together, unit-band each band "
        "separately",
    )
    options.add(
        _BOTH,
        "--split",
        help="stratified (default): the test set is a fifth of each class; grouped: it shares no "
        "pixels with the training set",
    )
    options.add(_BOTH, "--redraw", action="store_true", help="use a different split for each run")


def _reproduce(arguments, report):
    on_pictures = arguments.study == _WEI2020 and arguments.pictures is not None
    arguments.options.check(arguments, _PICTURES if on_pictures else arguments.study)
    with _output_folder(arguments.output or Path(arguments.study)) as folder:
        page = _STUDIES[arguments.study](arguments, folder)
    report.say("wrote {report}", report=page)


@contextmanager
def _output_folder(path):
    """Create the output folder; remove it again if it is new and nothing was written to it."""
    is_new = not path.exists()
    folder = astroclust.files.make_folder(path)
    if not os.access(folder, os.W_OK):
        raise OSError(f"cannot write to {folder}; change its permissions, or choose another folder")
    try:
        yield folder
    finally:
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


_WEI2020_OPTIONS = ("runs", "networks", "normalization", "split", "weights", "new_galaxy")


def _wei2020(arguments, folder):
    from astroclust.experiments import reproduce_wei2020

    if arguments.pictures is not None:
        return _wei2020_on_pictures(arguments, folder)
    with use_server(arguments.server):
        return reproduce_wei2020(
            folder,
            quick=arguments.quick,
            keep_last_layer=arguments.keep_last_layer,
            redraw=arguments.redraw,
            data_folder=arguments.data,
            progress_bar=not arguments.quiet,
            **_given(arguments, "labels", *_WEI2020_OPTIONS),
        )


def _wei2020_on_pictures(arguments, folder):
    from astroclust.experiments import reproduce_on_pictures

    options = _given(arguments, "batches", *_WEI2020_OPTIONS)
    if options.get("new_galaxy") == "none":
        options["new_galaxy"] = None
    return reproduce_on_pictures(
        folder,
        arguments.pictures,
        redraw=arguments.redraw,
        progress_bar=not arguments.quiet,
        **options,
    )


def _schneider2023(arguments, folder):
    from astroclust.experiments import reproduce_schneider2023

    return reproduce_schneider2023(
        folder,
        _data(arguments),
        progress_bar=not arguments.quiet,
        **_given(
            arguments,
            "network",
            "size",
            "weights",
            "optimizer",
            "scheme",
            "runs",
            "long_epochs",
        ),
        **_epochs(arguments),
    )


def _catalog_only(arguments, folder):
    from astroclust.experiments import reproduce_catalog_only

    paths = astroclust.catalogs.legus_catalogs(_data(arguments))
    catalogs = [astroclust.catalogs.read_table(path) for path in paths]
    return reproduce_catalog_only(folder, catalogs, progress_bar=not arguments.quiet)


def _split_study(arguments, folder):
    from astroclust.experiments import reproduce_split_study
    from astroclust.training import find_recipe

    with use_server(arguments.server):
        return reproduce_split_study(
            arguments.study,
            folder,
            recipe=replace(find_recipe("native"), **_epochs(arguments)),
            fields=arguments.field,
            data_folder=arguments.data,
            progress_bar=not arguments.quiet,
            **_given(arguments, "runs"),
        )


def _given(arguments, *names):
    """Options among ``names`` that were set on the command line."""
    return {name: value for name in names if (value := getattr(arguments, name)) is not None}


def _epochs(arguments):
    """Parse the option ``epochs``, one or two numbers."""
    epochs = arguments.epochs
    if epochs is None:
        return {}
    most = 2 if arguments.study == _SCHNEIDER2023 else 1
    if len(epochs) > most:
        numbers = " ".join(map(str, epochs))
        raise ValueError(f"--epochs takes at most {most} numbers for {arguments.study}: {numbers}")
    return {"epochs": epochs[0] if len(epochs) == 1 else tuple(epochs)}


def _data(arguments):
    if arguments.data is None:
        raise ValueError(f"{arguments.study} requires --data; see --help")
    return arguments.data


_STUDIES = {
    _WEI2020: _wei2020,
    _SCHNEIDER2023: _schneider2023,
    _CATALOG_ONLY: _catalog_only,
    **dict.fromkeys(_SPLIT_STUDIES, _split_study),
}
