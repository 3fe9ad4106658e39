# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Training: augmentation and fitting, on Lightning."""

import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from PIL import Image
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
BAND_LOSS = 0.4
MISSING_PIXELS = 0.05
PICTURES = 0.5
# Cameras differ in their throughput in a band: ACS and UVIS by a factor of two in I.
GAIN_SCATTER = 0.2


def augment_stamps(stamps, rng):
    """Change stamps in ways that leave their class as it is.

    Quarter turns and mirror images; other gains of the bands; bands left out, any number but all;
    a side of the stamp without data; and colour pictures of at most three bands, as they are made
    for the eye: balanced, cut at a black point, raised to a power from 0.25 to 0.6, in 8 bits or
    less, and kept as JPEG.

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
    missing = np.isnan(data)
    data[missing] = 0
    present = stamps.present.copy()
    n_bands = data.shape[1]
    balance = np.median(_peaks(data), axis=0)
    balance[balance <= 0] = 1
    for i in range(len(data)):
        shown = np.ones(n_bands, bool)
        if rng.random() < PICTURES:
            shown = np.isin(np.arange(n_bands), rng.permutation(n_bands)[:3])
            data[i, shown] = _picture(data[i, shown], balance[shown], rng)
        if rng.random() < MISSING_PIXELS:
            _lose_side(data[i], rng)
        if rng.random() < BAND_LOSS:
            kept = rng.permutation(np.flatnonzero(shown))
            shown = np.isin(np.arange(n_bands), kept[: rng.integers(1, len(kept))])
        present[i] &= shown
    data[missing] = np.nan
    data[~present] = 0
    return Stamps(data, stamps.filters, bands=stamps.bands, present=present)


def _peaks(stamps):
    """The highest pixel within five of the centre, in each band."""
    half = stamps.shape[-1] // 2
    return stamps[..., half - 5 : half + 6, half - 5 : half + 6].max(axis=(-2, -1))


def _picture(bands, balance, rng):
    """A stamp of three bands as a picture for the eye, in which ``balance`` would be white."""
    power, black, levels = rng.uniform(0.25, 0.6), rng.uniform(-1, 5), 10 ** rng.uniform(1.6, 2.4)
    low, sky = np.percentile(bands, [16, 50], axis=(1, 2))[..., None, None]
    light = np.maximum(bands - sky - black * (sky - low), 0)
    light *= np.exp(rng.normal(0, 0.4, (3, 1, 1))) / balance[:, None, None]
    light = ndimage.gaussian_filter(light**power, (0, *[rng.uniform(0, 0.7)] * 2))
    peak = max(_peaks(light).max(), 1e-6)
    return _jpeg(np.clip(levels * light / peak, 0, 255).astype(np.uint8), rng)


def _jpeg(bands, rng):
    """Three bands as they come back from a JPEG file, the reddest as red."""
    # The blocks of the file begin anywhere.
    top, left = rng.integers(0, 16, 2)
    picture = np.pad(bands[::-1].transpose(1, 2, 0), ((top, 0), (left, 0), (0, 0)), mode="reflect")
    file = BytesIO()
    quality = int(rng.integers(50, 96))
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(file))[top:, left:].transpose(2, 0, 1)[::-1]


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
    members=1,
    epochs=16,
    batch_size=64,
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
    members : int, optional
        Networks of the ensemble, which differ in their seeds.
    epochs : int, optional
        Passes through the stamps.
    batch_size : int, optional
        Stamps a step.
    learning_rate : float, optional
        Highest learning rate.
    seed : int, optional
        Of the first weights, the order and the augmentation of the first member; the next have
        the numbers that follow. Equal seeds give equal networks on one machine's CPU.
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
    work = Path(tempfile.mkdtemp() if folder is None else folder)
    fingerprint = hashlib.sha256(stamps.data.tobytes() + targets.tobytes()).hexdigest()
    settings = {
        "architecture": architecture,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
    }
    networks = []
    for number in range(members):
        member = work / f"member-{number + 1}"
        _claim_folder(member, **settings, seed=seed + number, data=fingerprint)
        loader = DataLoader(_Batches(held_out, held_out_targets, batch_size), batch_size=None)
        networks.append(
            _fit(
                stamps,
                targets,
                loader,
                **settings,
                seed=seed + number,
                folder=member,
                progress_bar=progress_bar,
            )
        )
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
        command=command,
    )
    classifier = Classifier(card, networks)
    classifier.card = replace(card, scores=_scores(classifier, held_out, held_out_targets))
    return classifier


def _fit(
    stamps,
    targets,
    held_out,
    *,
    architecture,
    epochs,
    batch_size,
    learning_rate,
    seed,
    folder,
    progress_bar,
):
    """Fit one network, from the last checkpoint in the folder where there is one."""
    lightning.seed_everything(seed, verbose=False)
    network = create_network(architecture, n_bands=len(stamps.bands), n_classes=len(CLASSES))
    network.to(memory_format=torch.channels_last)
    fit = _Fit(network, learning_rate, len(CLASSES), seed)
    batches = _Batches(stamps, targets, batch_size, seed=seed, epoch=lambda: fit.current_epoch)
    # A generator of its own: the loader draws from it, and a run that goes on must not be shifted.
    training = DataLoader(batches, batch_size=None, generator=torch.Generator())
    last = folder / "last.ckpt"
    for chatty in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        callbacks=[
            # Over about the last seventh of the run.
            EMAWeightAveraging(decay=max(1 - 7 / (epochs * len(training)), 0)),
            ModelCheckpoint(folder, filename="last", enable_version_counter=False),
            *([TQDMProgressBar(refresh_rate=10)] if progress_bar else []),
        ],
        logger=CSVLogger(folder, name=None, version=""),
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
        trainer.fit(fit, training, held_out, ckpt_path=last if last.exists() else None)
    # A run that was whole before would give the last weights in place of their average.
    fit.load_state_dict(torch.load(last, map_location="cpu", weights_only=True)["state_dict"])
    return network.cpu()


def _scores(classifier, stamps, targets, batch_size=256):
    """Accuracy and recall of each class, for stamps that nothing was learnt from."""
    starts = range(0, len(stamps), batch_size)
    batches = [classifier.probabilities(stamps[i : i + batch_size]).mean(axis=0) for i in starts]
    right = np.concatenate(batches).argmax(axis=1) == targets
    scores = {"accuracy": right.mean()}
    for number in CLASSES:
        rows = targets == number - 1
        scores[f"recall_{number}"] = right[rows].mean() if rows.any() else 0.0
    return {name: round(float(score), 4) for name, score in scores.items()}


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
