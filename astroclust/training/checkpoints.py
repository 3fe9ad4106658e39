# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Checkpoints and learning curve of a training run, written atomically."""

import csv
import warnings
import zipfile
from pathlib import Path

import torch
from astropy.utils.exceptions import AstropyUserWarning
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from astroclust.files import replace_when_done

__all__ = ["BEST", "LAST", "AtomicCheckpoints", "LearningCurve", "check_best", "find_checkpoint"]

BEST, LAST, _PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"
_ENTRIES = {"state_dict", "optimizer_states", "global_step", "epoch"}


class AtomicCheckpoints(TorchCheckpointIO):
    """Write checkpoints to a temporary file and rename it, keeping the previous checkpoint.

    Lightning writes checkpoints in ``$TMPDIR`` and copies them over the old ones; if the process is
    killed while copying across file systems, both are lost.
    """

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        """Write a checkpoint; called by Lightning."""
        path = Path(path)
        previous = path.with_name(_PREVIOUS) if path.name == LAST else None
        with (
            replace_when_done(path, overwrite=True, previous=previous) as partial,
            open(partial, "wb") as file,
        ):
            torch.save(checkpoint, file)


class LearningCurve(Logger):
    """Learning curve in ``metrics.csv``, one row per epoch and kind; a resumed run continues it.

    Parameters
    ----------
    path : `~pathlib.Path`
        Path of the file.
    """

    def __init__(self, path):
        super().__init__()
        self._path, self._rows = path, []
        self._resumed = path.exists()
        if self._resumed:
            with open(path, newline="") as file:
                self._rows = list(csv.DictReader(file))

    @property
    def name(self):
        """Always `None`; required by Lightning."""
        return None

    @property
    def version(self):
        """Always `None`; required by Lightning."""
        return None

    def log_hyperparams(self, *_, **__):
        """Do nothing: the parameters are in ``settings.json``."""

    @rank_zero_only
    def log_metrics(self, metrics, step=None):
        """Write a row."""
        row = {**metrics, "step": step}
        if self._resumed:  # drop rows of the epoch that is repeated
            self._rows = [old for old in self._rows if _epoch(old, self._path) < row["epoch"]]
            self._resumed = False
        self._rows.append(row)
        names = sorted(set().union(*self._rows))
        with (
            replace_when_done(self._path, overwrite=True) as partial,
            open(partial, "w", newline="") as file,
        ):
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self._rows)


def _epoch(row, path):
    try:
        return int(float(row["epoch"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged; remove it to restart the learning curve") from error


def find_checkpoint(folder):
    """Find the last intact checkpoint in a folder.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of one network.

    Returns
    -------
    path : `~pathlib.Path` or None
        Path of the checkpoint; None if there is none yet.

    Raises
    ------
    OSError
        If all existing checkpoints are damaged.

    Warns
    -----
    AstropyUserWarning
        If the last checkpoint is damaged and the previous one is not.
    """
    problems = []
    for path in (folder / LAST, folder / _PREVIOUS):
        if not path.exists():
            continue
        problem = _damage(path)
        if problem is None:
            if problems:
                warnings.warn(
                    f"{' and '.join(problems)}; resuming from the previous checkpoint, {path.name}",
                    AstropyUserWarning,
                    stacklevel=2,
                )
            return path
        problems.append(f"{path} is damaged ({problem})")
    if problems:
        raise OSError(f"{' and '.join(problems)}; remove {folder} to restart the training")
    return None


def check_best(folder):
    """Check that the best checkpoint, if any, is intact.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Folder of one network.

    Raises
    ------
    OSError
        If it is damaged.
    """
    path = folder / BEST
    problem = _damage(path) if path.exists() else None
    if problem is not None:
        raise OSError(f"{path} is damaged ({problem}); remove {folder} to restart the training")


def _damage(path):
    """Describe the damage of a checkpoint, or None. Torch itself does not detect changed bytes."""
    try:
        with zipfile.ZipFile(path) as archive:
            part = archive.testzip()
        if part is not None:
            return f"its entry {part} has changed"
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        missing = sorted(_ENTRIES - set(content))
    except PermissionError as error:
        raise OSError(f"cannot read {path}: {error.strerror}; grant read permission") from error
    except Exception as error:  # zipfile and torch fail in many ways
        return str(error).partition("\n")[0] or type(error).__name__
    return f"it lacks {', '.join(missing)}" if missing else None
