# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Fitting of one network with Lightning."""

import logging
import math
import signal
import sys
import warnings
from contextlib import contextmanager
from copy import deepcopy
from functools import partial

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import (
    EarlyStopping,
    ModelCheckpoint,
    TQDMProgressBar,
    WeightAveraging,
)
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassAccuracy

from astroclust.networks import channels_last, network_blocks
from astroclust.training.checkpoints import (
    BEST,
    LAST,
    AtomicCheckpoints,
    LearningCurve,
    check_best,
    find_checkpoint,
)
from astroclust.training.domains import Batches
from astroclust.training.epoch_log import EpochLog

__all__ = ["LOADERS", "fit_network", "interruptible", "quiet_lightning"]

#: Processes that augment stamps during training on a CPU. On platforms without fork, each epoch
#: would copy all stamps to them, so there are none.
LOADERS = 1 if sys.platform == "linux" else 0

# Weight of the class probabilities of a teacher, if there is one, in the targets.
_TAUGHT = 0.7

_OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": partial(torch.optim.SGD, momentum=0.9),
}


def fit_network(network, domains, validation, recipe, *, teacher=None, seed, folder, progress_bar):
    """Fit a network, resuming from the last checkpoint in the folder if there is one.

    Parameters
    ----------
    network : `~torch.nn.Module`
        Network, modified in place and moved to the CPU at the end.
    domains : sequence of `~astroclust.training.domains.Domain`
        Training set; each batch is composed of all domains.
    validation : sequence of `~astroclust.training.domains.Domain`
        Validation set, possibly empty. It triggers early stopping with ``recipe.patience``, and
        selects the epoch with ``recipe.keep_best``.
    recipe : `~astroclust.training.recipes.Recipe`
        Training recipe.
    teacher : `~astroclust.weights.Classifier`, optional
        Classifier to distill.
    seed : int
        Seed of the order and augmentation of the stamps.
    folder : `~pathlib.Path`
        Folder for the checkpoint after each epoch and for ``metrics.csv``.
    progress_bar : bool
        Whether to show progress.

    Raises
    ------
    OSError
        If checkpoints are damaged or cannot be written.
    """
    last = find_checkpoint(folder)
    check_best(folder)
    channels_last(network)
    batches = Batches(domains, recipe, seed=seed)
    watched = Batches(validation, recipe) if validation else None
    n_classes = domains[0].targets.shape[1]
    fit = _Fit(network, recipe, n_classes, seed, n_batches=len(batches), teacher=teacher)
    batches.epoch = fit.next_epoch
    with quiet_lightning(), interruptible():
        trainer = lightning.Trainer(
            max_epochs=recipe.epochs if recipe.batches is None else -1,
            max_steps=-1 if recipe.batches is None else recipe.batches,
            precision=_precision(recipe),
            callbacks=_callbacks(recipe, _n_steps(recipe, len(batches)), folder, progress_bar),
            logger=LearningCurve(folder / "metrics.csv"),
            plugins=[AtomicCheckpoints()],
            enable_progress_bar=progress_bar,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
        trainer.fit(fit, *_loaders(batches, watched, trainer.strategy.root_device), ckpt_path=last)
    # Without this, a run that was already complete would yield the last weights, not their average.
    chosen = folder / (BEST if recipe.keep_best or recipe.patience is not None else LAST)
    # Memory-mapped: the optimizer state is twice as large as the weights and is not needed.
    saved = torch.load(chosen, map_location="cpu", weights_only=True, mmap=True)
    fit.load_state_dict(saved["state_dict"])
    network.cpu()


def _loaders(batches, watched, device):
    """Loaders of the training and validation sets, which augment and normalize on a GPU."""
    if on_gpu := device.type == "cuda":
        batches.device = device
    # The loader draws from its own generator, so as not to change the random state of resumed runs.
    training = DataLoader(
        batches,
        batch_size=None,
        num_workers=0 if on_gpu else LOADERS,
        generator=torch.Generator(),
    )
    if watched is None:
        return training, None
    watched.device = batches.device
    return training, DataLoader(watched, batch_size=None)


@contextmanager
def quiet_lightning():
    """Suppress messages and warnings of Lightning that are irrelevant to the training."""
    # Filters leave the logger levels to the user.
    names = [name for name in logging.root.manager.loggerDict if name.startswith("lightning.")]
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(_is_warning)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*does not have many workers.*")
            warnings.filterwarnings("ignore", ".*exists and is not empty.*")
            warnings.filterwarnings("ignore", ".*LeafSpec.*")
            warnings.filterwarnings("ignore", ".*no `val_dataloader`.*")
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(_is_warning)


def _is_warning(record):
    return record.levelno >= logging.WARNING


@contextmanager
def interruptible():
    """Raise `KeyboardInterrupt` on Ctrl-C; Lightning would exit and ignore any later Ctrl-C."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise KeyboardInterrupt from error


def _n_steps(recipe, n_batches):
    """Number of steps of a complete training."""
    return recipe.epochs * n_batches if recipe.batches is None else recipe.batches


def _precision(recipe):
    on_gpu = torch.cuda.is_available()
    mixed = on_gpu if recipe.mixed_precision is None else recipe.mixed_precision
    if not mixed:
        return "32-true"
    return "bf16-mixed" if not on_gpu or torch.cuda.is_bf16_supported() else "16-mixed"


def _callbacks(recipe, steps, folder, progress_bar):
    callbacks = [EpochLog(steps)]
    if recipe.moving_average:
        callbacks.append(WeightAveraging(avg_fn=partial(_average, window=max(steps / 7, 1))))
    if recipe.patience is not None:
        callbacks.append(EarlyStopping("validation_loss", patience=recipe.patience))
        callbacks.append(_best_checkpoint(folder, "validation_loss", "min"))
    if recipe.keep_best:
        callbacks.append(_best_checkpoint(folder, "accuracy", "max"))
    callbacks.append(ModelCheckpoint(folder, "last", enable_version_counter=False))
    if progress_bar:
        callbacks.append(TQDMProgressBar(refresh_rate=10))
    return callbacks


def _best_checkpoint(folder, monitor, mode):
    return ModelCheckpoint(folder, "best", monitor=monitor, mode=mode, enable_version_counter=False)


def _average(averaged, current, n, window):
    """Moving average over ``window`` steps, initially over the last ninth of the steps so far.

    Otherwise, the initial random weights would dominate the average and the early learning curve.
    """
    return averaged + max(1 / window, 9 / (10 + float(n))) * (current - averaged)


class _Fit(lightning.LightningModule):
    """Minimize the cross-entropy, with frozen blocks and learning rates per block."""

    def __init__(self, network, recipe, n_classes, seed, n_batches, teacher=None):
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.seed = seed
        self.n_batches = n_batches
        self.teacher = teacher
        self.loss = torch.nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self.accuracy = MulticlassAccuracy(n_classes, average="micro")
        self.recall = MulticlassAccuracy(n_classes, average="none")
        blocks = network_blocks(network)
        if recipe.frozen >= len(blocks):
            raise ValueError(
                f"frozen={recipe.frozen} leaves nothing to train in a network of {len(blocks)} "
                "blocks; freeze fewer"
            )
        for block in blocks[: recipe.frozen]:
            block.requires_grad_(False)

    def next_epoch(self):
        """Epoch of the next step.

        A resumed run requests its first batch before Lightning has updated its epoch counter.
        """
        return self.global_step // self._steps_of_epoch()

    def _steps_of_epoch(self):
        return math.ceil(self.n_batches / self.trainer.world_size)

    def on_fit_start(self):
        # Networks in a list are not registered with this module, so they are neither trained nor
        # saved.
        if self.teacher is not None:
            self.teachers = [deepcopy(one).to(self.device) for one in self.teacher.networks]

    def on_train_epoch_start(self):
        # Reseeding each epoch makes a resumed run identical to an uninterrupted one.
        torch.manual_seed(self.seed + self.current_epoch)
        # The batch-normalization statistics of frozen blocks must not change either.
        for block in network_blocks(self.network)[: self.recipe.frozen]:
            block.eval()

    def training_step(self, batch, _):
        scores, targets = self._scores(batch), self._taught(batch)
        loss = self.loss(scores, targets)
        self.log("loss", loss, prog_bar=True, on_step=False, on_epoch=True)
        right = (scores.argmax(dim=1) == targets.argmax(dim=1)).float().mean()
        self.log("training_accuracy", right, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        scores, targets = self._scores(batch), batch[-1]
        loss = torch.nn.functional.cross_entropy(scores, targets)
        self.log("validation_loss", loss, batch_size=len(targets))
        self.accuracy.update(scores, targets.argmax(dim=1))
        self.recall.update(scores, targets.argmax(dim=1))

    def _taught(self, batch):
        """Targets of a batch, mostly those of the teacher if there is one."""
        pixels, present, targets = batch
        if self.teacher is None:
            return targets
        # The weight of each stamp is the sum of its targets.
        with torch.no_grad():
            scores = torch.stack([network(pixels, present) for network in self.teachers])
        known = torch.softmax(scores / self.teacher.card.temperature, dim=-1).mean(dim=0)
        return targets.lerp(known * targets.sum(dim=1, keepdim=True), _TAUGHT)

    def _scores(self, batch):
        pixels, present, _ = batch
        return self.network(pixels.contiguous(memory_format=torch.channels_last), present)

    def on_validation_epoch_end(self):
        self.log("accuracy", self.accuracy.compute(), prog_bar=True)
        for number, recall in enumerate(self.recall.compute(), start=1):
            self.log(f"recall_{number}", recall)
        self.accuracy.reset()
        self.recall.reset()

    def configure_optimizers(self):
        recipe, blocks = self.recipe, network_blocks(self.network)
        rates = recipe.learning_rate * recipe.block_decay ** np.arange(len(blocks))
        groups = [
            {
                "params": [weights for weights in block.parameters() if weights.requires_grad],
                "lr": rate,
            }
            for block, rate in zip(blocks, rates[::-1].tolist(), strict=True)
        ]
        groups = [group for group in groups if group["params"]]
        optimizer = _OPTIMIZERS[recipe.optimizer](groups, weight_decay=recipe.weight_decay)
        if recipe.schedule == "constant":
            return optimizer
        # Lightning's estimate would request the first batch before the run is restored.
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in groups],
            total_steps=_n_steps(recipe, self._steps_of_epoch()),
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]
