# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Training: augmentation and fitting, on Lightning."""

import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from scipy import ndimage
from torch.utils.data import DataLoader, Dataset
from torchmetrics.classification import MulticlassAccuracy

from astroclust.catalogs import CLASSES
from astroclust.networks import create_network
from astroclust.stamps import Stamps, normalize_stamps
from astroclust.weights import Classifier, ModelCard

__all__ = ["augment_stamps", "train_classifier"]

# How often stamps are changed in each way. A network shall not care which bands there are, where
# a mosaic ends, or whether the pixels are linear: pictures made for the eye compress them.
BAND_LOSS = 0.5
MISSING_PIXELS = 0.08
DISPLAY_STRETCH = 0.5
# Cameras differ in their throughput in a band: ACS and UVIS by a factor of two in I.
GAIN_SCATTER = 0.35


def augment_stamps(stamps, rng):
    """Change stamps in ways that leave their class as it is.

    Quarter turns and mirror images; other gains of the bands; bands left out, any number but all;
    a side of the stamp without data; and a display stretch (a black point, a power from 0.25 to
    0.55, blurring and 8-bit steps), as images made for the eye have it.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps; not changed.
    rng : `~numpy.random.Generator`
        Source of the random numbers.

    Returns
    -------
    stamps : `~astroclust.stamps.Stamps`
        n stamps in the same order.
    """
    data = np.rot90(stamps.data, rng.integers(4), axes=(2, 3))
    data = data[..., ::-1].copy() if rng.random() < 0.5 else data.copy()
    data *= np.exp(rng.normal(0, GAIN_SCATTER, (*data.shape[:2], 1, 1))).astype(np.float32)
    present = stamps.present.copy()
    for i in range(len(data)):
        if rng.random() < DISPLAY_STRETCH:
            _stretch(data[i], rng)
        if rng.random() < MISSING_PIXELS:
            _lose_side(data[i], rng)
        if rng.random() < BAND_LOSS:
            kept = rng.permutation(data.shape[1])[: rng.integers(1, data.shape[1])]
            present[i] &= np.isin(np.arange(data.shape[1]), kept)
    data[~present] = 0
    return Stamps(data, stamps.filters, bands=stamps.bands, present=present)


def _stretch(stamp, rng):
    power, black, levels = rng.uniform(0.25, 0.55), rng.uniform(-1, 6), 10 ** rng.uniform(1.2, 2.4)
    blur = rng.uniform(0, 1.3)
    for pixels in stamp:
        low, sky = np.percentile(pixels, [16, 50])
        light = np.maximum(pixels - sky - black * (sky - low), 0)
        pixels[:] = ndimage.gaussian_filter(light**power, blur)
    half = stamp.shape[-1] // 2
    peak = stamp[:, half - 5 : half + 6, half - 5 : half + 6].max()
    if peak > 0:  # one scale for all bands, as for the colours of one picture
        stamp[:] = np.floor(np.minimum(stamp / peak, 255 / levels) * levels)


def _lose_side(stamp, rng):
    half = stamp.shape[-1] // 2
    axis, edge = rng.integers(1, 3), rng.integers(1, half - 4)
    side = slice(None, edge) if rng.random() < 0.5 else slice(-edge, None)
    stamp[(slice(None),) * axis + (side,)] = np.nan


class _Batches(Dataset):
    """Normalised batches; with a seed, in an order and augmented as seed and epoch have it."""

    def __init__(self, stamps, targets, batch_size, *, seed=None, epoch=None):
        self.stamps, self.targets, self.seed = stamps, targets, seed
        self.epoch = epoch  # a function: Lightning asks for the first batch before any hook
        n = len(stamps)
        if seed is not None and n > batch_size:
            n -= n % batch_size  # a small last batch would have statistics of its own
        self.starts = range(0, n, batch_size)
        self.batch_size = batch_size

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, number):
        rows = np.arange(len(self.stamps))
        if self.seed is not None:
            rows = np.random.default_rng([self.seed, self.epoch()]).permutation(rows)
        rows = rows[self.starts[number] : self.starts[number] + self.batch_size]
        stamps = self.stamps[rows]
        if self.seed is not None:
            rng = np.random.default_rng([self.seed, self.epoch(), number])
            stamps = augment_stamps(stamps, rng)
        pixels = torch.from_numpy(normalize_stamps(stamps))
        present = torch.from_numpy(stamps.present.astype(np.float32))
        return pixels, present, torch.from_numpy(self.targets[rows])


class _Fit(lightning.LightningModule):
    """Cross-entropy under AdamW, with a learning rate that rises once and falls once."""

    def __init__(self, network, learning_rate, n_classes, seed):
        super().__init__()
        self.network = network
        self.seed = seed
        self.learning_rate = learning_rate
        self.loss = torch.nn.CrossEntropyLoss(label_smoothing=0.03)
        self.accuracy = MulticlassAccuracy(n_classes, average="micro")
        self.recall = MulticlassAccuracy(n_classes, average="none")

    def on_train_epoch_start(self):
        # Each epoch has its own random numbers, so that a run that goes on is as one never stopped.
        torch.manual_seed(self.seed + self.current_epoch)

    def training_step(self, batch, _):
        pixels, present, targets = batch
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        loss = self.loss(self.network(pixels, present), targets)
        self.log("loss", loss, prog_bar=True, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        pixels, present, targets = batch
        scores = self.network(pixels.contiguous(memory_format=torch.channels_last), present)
        self.accuracy.update(scores, targets)
        self.recall.update(scores, targets)

    def on_validation_epoch_end(self):
        self.log("accuracy", self.accuracy.compute(), prog_bar=True)
        for number, recall in enumerate(self.recall.compute(), start=1):
            self.log(f"recall_{number}", recall)
        self.accuracy.reset()
        self.recall.reset()

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.learning_rate, weight_decay=0.02
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=self.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def train_classifier(
    stamps,
    labels,
    *,
    held_out,
    held_out_labels,
    name,
    training_sample,
    architecture="native",
    max_missing_bands=4,
    simulated=False,
    split="",
    command="",
    epochs=16,
    batch_size=128,
    learning_rate=2e-3,
    seed=0,
    folder=None,
    progress_bar=False,
):
    """Train a classifier from random weights.

    A checkpoint is written after each epoch; the same call with the same ``folder`` goes on from
    the last one.

    Parameters
    ----------
    stamps : `~astroclust.stamps.Stamps`
        n stamps to learn from.
    labels : array_like of int, shape (n,)
        Their classes, of `~astroclust.catalogs.CLASSES`.
    held_out : `~astroclust.stamps.Stamps`
        Stamps for the scores of the card; nothing is learnt from them or chosen by them.
    held_out_labels : array_like of int
        Their classes.
    name, training_sample, simulated, split, command : str or bool
        Entries of the `~astroclust.weights.ModelCard`.
    architecture : str, optional
        Network, as `~astroclust.networks.create_network` names it.
    max_missing_bands : int, optional
        Entry of the card: how many bands may be absent. Training leaves out up to all but one.
    epochs : int, optional
        Passes through the stamps.
    batch_size : int, optional
        Stamps a step.
    learning_rate : float, optional
        Highest learning rate.
    seed : int, optional
        Of the first weights, the order and the augmentation; equal seeds give equal networks on
        one machine's CPU.
    folder : str or `~pathlib.Path`, optional
        Where checkpoints and the log of the learning curve go; by default a temporary folder.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    classifier : `~astroclust.weights.Classifier`
        With the moving average of the weights, and the scores of the held-out stamps in its card.

    Raises
    ------
    ValueError
        Where labels are not classes, or not one a stamp, or ``folder`` is that of another run.
    """
    targets = _targets(labels, len(stamps))
    held_out_targets = _targets(held_out_labels, len(held_out))
    lightning.seed_everything(seed, verbose=False)
    network = create_network(architecture, n_bands=len(stamps.bands), n_classes=len(CLASSES))
    network.to(memory_format=torch.channels_last)
    fit = _Fit(network, learning_rate, len(CLASSES), seed)
    batches = _Batches(stamps, targets, batch_size, seed=seed, epoch=lambda: fit.current_epoch)
    training = DataLoader(batches, batch_size=None)
    held_out_loader = DataLoader(_Batches(held_out, held_out_targets, batch_size), batch_size=None)
    work = Path(tempfile.mkdtemp() if folder is None else folder)
    last = work / "last.ckpt"
    _claim_folder(
        work,
        architecture=architecture,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        data=hashlib.sha256(stamps.data.tobytes() + targets.tobytes()).hexdigest(),
    )
    for chatty in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        callbacks=[
            # Over about the last seventh of the run.
            EMAWeightAveraging(decay=max(1 - 7 / (epochs * len(training)), 0)),
            ModelCheckpoint(work, filename="last", enable_version_counter=False),
            *([TQDMProgressBar(refresh_rate=10)] if progress_bar else []),
        ],
        logger=CSVLogger(work, name=None, version=""),
        enable_progress_bar=progress_bar,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
    )
    with warnings.catch_warnings():
        # Batches are made in this process: the stamps are in memory, and worth one core.
        warnings.filterwarnings("ignore", ".*does not have many workers.*")
        warnings.filterwarnings("ignore", ".*exists and is not empty.*")
        warnings.filterwarnings("ignore", ".*LeafSpec.*")
        trainer.fit(fit, training, held_out_loader, ckpt_path=last if last.exists() else None)
        (scores,) = trainer.validate(fit, held_out_loader, verbose=False)
    if folder is None:
        shutil.rmtree(work)
    card = ModelCard(
        name=name,
        architecture=architecture,
        training_sample=training_sample,
        bands=stamps.bands,
        stamp_size=stamps.size,
        max_missing_bands=max_missing_bands,
        simulated=simulated,
        split=split,
        scores={key: round(value, 4) for key, value in scores.items()},
        command=command,
    )
    return Classifier(card, [network.cpu()])


def _claim_folder(folder, **settings):
    """Make sure that the checkpoints of a folder are those of the same run."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.json"
    if path.exists() and json.loads(path.read_text()) != settings:
        raise ValueError(
            f"{folder} holds the checkpoints of a run with other data or settings: remove it, or "
            "choose another folder"
        )
    path.write_text(json.dumps(settings))


def _targets(labels, n):
    labels = np.asarray(labels)
    if labels.shape != (n,):
        raise ValueError(f"labels must be one a stamp, shape ({n},), not {labels.shape}")
    unknown = sorted(set(labels.tolist()) - set(CLASSES))
    if unknown:
        raise ValueError(f"labels {unknown} are not classes: those are {list(CLASSES)}")
    return np.searchsorted(list(CLASSES), labels).astype(np.int64)
