# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Folder of a training run, locked to one process and to the checkpoints of one run."""

import hashlib
import json
import re
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from astroclust.files import make_folder, replace_when_done
from astroclust.locks import only_process
from astroclust.weights.saving import weights_digest

__all__ = ["claim_folder", "current_names", "describe_run", "recipe_settings", "work_folder"]

# Values of ``weights`` that are not files.
_NAMED = (None, "none", "imagenet")
# Names of settings in runs of earlier versions.
_RENAMED = {"validation_share": "validation_fraction"}


@contextmanager
def work_folder(folder):
    """Lock the folder for the checkpoints; by default a temporary one."""
    with ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        folder = make_folder(folder)
        if rank_zero_only.rank == 0:  # shared by the processes of a multi-GPU training
            stack.enter_context(only_process(folder))
            for partial in folder.glob("*/.*.part-*"):  # left by a killed process
                partial.unlink(missing_ok=True)
        yield folder


def recipe_settings(recipe):
    """Settings of a recipe as strings.

    Parameters
    ----------
    recipe : `~astroclust.training.Recipe`
        Training recipe.

    Returns
    -------
    settings : dict of str to str
        Settings by name. A weights file is identified by its SHA-256, not by its path.

    Raises
    ------
    FileNotFoundError
        If the weights file does not exist.
    """
    settings = {name: str(value) for name, value in asdict(recipe).items()}
    if recipe.weights not in _NAMED:
        path = Path(recipe.weights)
        if not path.is_file():
            raise FileNotFoundError(
                f"the weights file {path} does not exist; choose another file, imagenet or none"
            )
        with path.open("rb") as file:
            settings["weights"] = hashlib.file_digest(file, "sha256").hexdigest()
    return settings


def current_names(settings):
    """Settings of a run of this or an earlier version under their current names."""
    return {_RENAMED.get(name, name): value for name, value in settings.items()}


def describe_run(recipe, domains, start, teacher=None):
    """Settings and checksums that identify a run."""
    data = hashlib.sha256()
    for one in domains:
        data.update(np.ascontiguousarray(one.stamps.data))
        data.update(np.ascontiguousarray(one.targets))
        data.update(np.ascontiguousarray(one.rows))
        data.update(f"{one.weight} {one.augmentation} {one.size}".encode())
    settings = {**recipe_settings(recipe), "data": data.hexdigest()}
    settings["start"] = "" if start is None else start.card.sha256
    # Absent without a teacher, so that runs of earlier versions can be resumed.
    if teacher is not None:
        weights = weights_digest(torch.nn.ModuleList(teacher.networks).state_dict())
        settings["teacher"] = f"{weights}, temperature {teacher.card.temperature}"
    return settings


def claim_folder(folder, settings):
    """Ensure that the checkpoints in a folder belong to the same run."""
    folder.mkdir(exist_ok=True)
    path = folder / "settings.json"
    if path.exists():
        try:
            known = json.loads(path.read_text())
        except ValueError:
            known = None
        if isinstance(known, dict):
            known = current_names(known)
        if known != settings:
            raise ValueError(
                f"{folder} has {_what(known, settings)}; remove it, or choose another folder"
            )
        return
    with replace_when_done(path, overwrite=True) as partial:
        partial.write_text(json.dumps(settings))


def _what(known, settings):
    """Describe the content of a folder with different or unknown settings."""
    if isinstance(known, dict) and known | {"weights": settings.get("weights")} == settings:
        before = str(known.get("weights"))
        if before not in map(str, _NAMED) and not re.fullmatch("[0-9a-f]{64}", before):
            return (
                "the checkpoints of an earlier version, which identified weights by the path "
                f"{before} instead of their content and cannot be resumed"
            )
    return "the checkpoints of a run with different data or settings"
