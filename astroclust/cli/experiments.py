# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""The command for the studies of the papers."""

import os
from dataclasses import replace
from pathlib import Path

from astroclust.catalogs import legus_catalogs, read_table
from astroclust.cli.options import add_command, use_server
from astroclust.files import make_folder

__all__ = ["add_reproduce"]


def add_reproduce(commands):
    """Add ``astroclust reproduce``."""
    command = add_command(
        commands,
        "reproduce",
        _reproduce,
        "repeat the studies of the papers, and report on them",
        "# all of it in minutes, to see that it works",
        "astroclust reproduce wei2020 --quick -o quick",
        "astroclust reproduce wei2020 --pictures legus_pictures -o pictures",
        "astroclust reproduce schneider2023 --data stamps -o schneider2023",
        "# with the network of the paper and its size",
        "astroclust reproduce schneider2023 --data galaxies --scheme galaxies --network alexnet "
        "--size 224 --runs 100 --epochs 200",
        "astroclust reproduce leak --field ngc1566 --field ngc628-c --runs 3 -o leak",
    )
    command.add_argument(
        "study",
        choices=tuple(_STUDIES),
        help="wei2020: every experiment, from the archive on; schneider2023: whether pretraining "
        "helps, on labelled stamps; catalog-only: classes from the columns of catalogues alone; "
        "leak, held-out-fields, sample-size: how accuracy depends on what is held out, and on how "
        "much there is to learn from",
    )
    command.add_argument(
        "-o",
        "--output",
        type=Path,
        help="folder for the report and all that leads to it (default: the name of the study); "
        "the same command resumes",
    )
    command.add_argument(
        "--data",
        type=Path,
        help="schneider2023: file of stamps, or folder of labels.csv and png; catalog-only: folder "
        "of LEGUS catalogues; of the others where catalogues and mosaics are kept (default: "
        "astropy's cache)",
    )
    command.add_argument("--server", help="in place of those of MAST, such as a mirror")
    command.add_argument(
        "--quick", action="store_true", help="all steps in minutes, to see that they work (wei2020)"
    )
    command.add_argument("--weights", help="of pretrained networks: a file, or none")
    command.add_argument(
        "--network",
        help="network with weights of ImageNet, such as alexnet, that of the paper (schneider2023; "
        "default: timm/efficientnet_lite0)",
    )
    command.add_argument(
        "--size",
        type=int,
        help="width in pixels of the crops that the network takes; 224 in the paper "
        "(schneider2023; default: 128)",
    )
    command.add_argument(
        "--optimizer",
        choices=("adam", "sgd"),
        help="adam at a rate of 1e-4, or gradient descent with momentum (schneider2023; default: "
        "adam)",
    )
    command.add_argument(
        "--scheme",
        help="classes of the labels: legus, or galaxies, those of the paper (schneider2023; "
        "default: those of the stamps, or legus)",
    )
    command.add_argument(
        "--long-epochs",
        type=int,
        help="also train from both starts for so many epochs, 1000 in the paper, on five splits "
        "(schneider2023)",
    )
    command.add_argument("--runs", type=int, help="trainings of each kind")
    command.add_argument(
        "--epochs",
        type=int,
        nargs="+",
        help="of each training (not of wei2020); of schneider2023, those from ImageNet, and twice "
        "as many from random weights or a second number (default: 10 20)",
    )
    command.add_argument(
        "--pictures",
        type=Path,
        metavar="FOLDER",
        help="wei2020: repeat it on color pictures: a folder with pictures.ecsv, labels.ecsv and "
        "the pictures",
    )
    command.add_argument("--networks", nargs="+", help="wei2020: some of its networks")
    command.add_argument(
        "--labels", nargs="+", help="wei2020: bcw, consensus, or all, both samples together"
    )
    command.add_argument(
        "--normalization",
        help="wei2020: unit-stamp (default) rescales all bands of a stamp together, unit-band each",
    )
    command.add_argument(
        "--keep-last-layer",
        action="store_true",
        help="wei2020: each copy of a network keeps its last layer before the joint matrix",
    )
    command.add_argument(
        "--split",
        help="wei2020: stratified (default), a fifth of each class is tested on; grouped, which "
        "shares no pixel with the training set",
    )
    command.add_argument(
        "--redraw", action="store_true", help="wei2020: a split for each run, not one for all"
    )
    command.add_argument(
        "--new-galaxy",
        help="wei2020: galaxy outside the training sets: ngc1559, that of the paper, or a field of "
        "LEGUS (default: ngc1566); with --pictures perhaps none",
    )
    command.add_argument(
        "--batches", type=int, help="wei2020 --pictures: of each training (default: 1000)"
    )
    command.add_argument(
        "--field",
        action="append",
        help="of LEGUS; once for each (leak, held-out-fields, sample-size; default: all)",
    )


def _reproduce(arguments, report):
    folder = make_folder(arguments.output or Path(arguments.study))
    if not os.access(folder, os.W_OK):
        raise OSError(f"{folder} cannot be written to")
    page = _STUDIES[arguments.study](arguments, folder)
    report.say("wrote {report}", report=page)


_WEI2020_OPTIONS = ("runs", "networks", "normalization", "split", "weights", "new_galaxy")


def _wei2020(arguments, folder):
    from astroclust.experiments import reproduce_wei2020

    if arguments.pictures is not None:
        return _wei2020_on_pictures(arguments, folder)
    _refuse(arguments, "wei2020 without --pictures", "batches")
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

    _refuse(arguments, "--pictures", "quick", "labels", "keep_last_layer", "data", "server")
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


def _refuse(arguments, what, *names):
    """Refuse options that would have no effect."""
    given = [name for name in names if getattr(arguments, name)]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(f"{what} does not take {options}: leave that out")


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

    catalogs = [read_table(path) for path in legus_catalogs(_data(arguments))]
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
    """Those of some options that were given."""
    return {name: value for name in names if (value := getattr(arguments, name)) is not None}


def _epochs(arguments):
    """The option ``epochs``, one number or two, if it was given."""
    epochs = arguments.epochs
    if epochs is None:
        return {}
    most = 2 if arguments.study == "schneider2023" else 1
    if len(epochs) > most:
        numbers = " ".join(map(str, epochs))
        raise ValueError(f"--epochs of {arguments.study} takes at most {most} numbers: {numbers}")
    return {"epochs": epochs[0] if len(epochs) == 1 else tuple(epochs)}


def _data(arguments):
    if arguments.data is None:
        raise ValueError(f"{arguments.study} needs --data: --help says what")
    return arguments.data


_STUDIES = {
    "wei2020": _wei2020,
    "schneider2023": _schneider2023,
    "catalog-only": _catalog_only,
    "leak": _split_study,
    "held-out-fields": _split_study,
    "sample-size": _split_study,
}
