# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Training of detectors with Lightning."""

import gc
import hashlib
from dataclasses import asdict, dataclass, replace
from numbers import Integral

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from torch.utils.data import DataLoader

from astroclust.detectors.cards import DetectorCard
from astroclust.detectors.detector import Detector
from astroclust.detectors.samples import SimulatedFields, Tiles
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES, find_band_system, find_class_scheme
from astroclust.stamps import DAMAGE
from astroclust.training.checkpoints import LAST, AtomicCheckpoints, LearningCurve, find_checkpoint
from astroclust.training.epoch_log import EpochLog
from astroclust.training.fitting import LOADERS, interruptible, quiet_lightning
from astroclust.training.run_folders import claim_folder, work_folder
from astroclust.weights.saving import weights_digest

__all__ = ["DetectorRecipe", "train_detector"]

# Maximum gradient norm: a tile with hundreds of sources has large gradients.
_LARGEST_GRADIENT = 10.0


@dataclass(frozen=True)
class DetectorRecipe:
    """Training settings of a detector.

    Parameters
    ----------
    backbone : str, optional
        Network below the feature pyramid; see `~astroclust.detectors.create_detector_network`.
    weights : str, optional
        Initial weights of the backbone.
    masks : bool, optional
        Whether the detector outlines sources.
    batches : int, optional
        Number of training steps.
    batch_size : int, optional
        Tiles per step.
    tile : int, optional
        Width of a tile in pixels, a multiple of 8.
    learning_rate : float, optional
        Peak learning rate of AdamW in a one-cycle schedule.
    weight_decay : float, optional
        Weight decay of the optimizer.
    max_missing_bands : int, optional
        Maximum number of bands removed from a tile.
    damage : tuple of str, optional
        Kinds of `~astroclust.stamps.DAMAGE`: half of the tiles lose up to half of their pixels.

    Examples
    --------
    >>> from astroclust.detectors import DetectorRecipe
    >>> DetectorRecipe("resnet18", weights="none").tile
    128
    """

    backbone: str = "native"
    weights: str | None = None
    masks: bool = False
    batches: int = 2000
    batch_size: int = 4
    tile: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    max_missing_bands: int = 3
    damage: tuple = ()

    def __post_init__(self):
        for name, least in (("batches", 1), ("batch_size", 1), ("max_missing_bands", 0)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise ValueError(
                    f"{name} must be a whole number of at least {least}, not {value!r}"
                )
        if self.tile < 32 or self.tile % 8:
            raise ValueError(f"tile must be a multiple of 8 of at least 32, not {self.tile}")
        if isinstance(self.damage, str) or not set(self.damage) <= set(DAMAGE):
            raise ValueError(
                f"damage must be a tuple of kinds, such as {tuple(DAMAGE)}, not {self.damage!r}"
            )
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, not {self.learning_rate}")


def train_detector(
    fields,
    *,
    name,
    recipe=None,
    start=None,
    description="",
    system=LEGUS_BANDS,
    classes=LEGUS_CLASSES,
    seed=0,
    folder=None,
    progress_bar=False,
):
    """Train or fine-tune a detector.

    Checkpoints are written every 50 batches; the same call with the same ``folder`` resumes.

    Parameters
    ----------
    fields : sequence of `DetectionField` or `SimulatedFields`
        Training set.
    name : str
        Name of the detector.
    recipe : `DetectorRecipe`, optional
        Training settings.
    start : `Detector`, optional
        Detector to fine-tune, instead of the initial weights of the recipe; its backbone, masks,
        bands and classes are used.
    description : str, optional
        Description of the training set.
    system : str or `~astroclust.instruments.BandSystem`, optional
        Band system of the fields.
    classes : str or `~astroclust.instruments.ClassScheme`, optional
        Classes of the detector, which match or merge those of the fields.
    seed : int, optional
        Seed of the initial weights and the tiles.
    folder : str or `~pathlib.Path`, optional
        Folder for checkpoints and the learning curve; by default a temporary one.
    progress_bar : bool, optional
        Whether to show progress.

    Returns
    -------
    detector : `Detector`
        The trained detector.

    Raises
    ------
    ValueError
        If there are no fields, their bands are not those of the system, or ``folder`` belongs to
        another training run.
    OSError
        If checkpoints are damaged or cannot be written.

    Examples
    --------
    Two batches, on one field:

    >>> from astroclust import simulate_field
    >>> from astroclust.detectors import DetectionField, DetectorRecipe, train_detector
    >>> field = simulate_field(shape=(96, 96), seed=1, outlines=True)
    >>> recipe = DetectorRecipe("native-small", weights="none", batches=2, batch_size=2, tile=64)
    >>> train_detector([DetectionField.of(field)], name="mine", recipe=recipe)
    <Detector mine: native-small, boxes; trained on simulated images>
    """
    recipe = DetectorRecipe() if recipe is None else recipe
    if start is None:
        card = DetectorCard(
            name,
            recipe.backbone,
            description,
            recipe.masks,
            find_class_scheme(classes),
            find_band_system(system),
            max_missing_bands=recipe.max_missing_bands,
            simulated=_are_simulated(fields),
        )
    else:
        card = replace(
            start.card,
            name=name,
            training_sample=description,
            max_missing_bands=max(start.card.max_missing_bands, recipe.max_missing_bands),
            simulated=start.card.simulated and _are_simulated(fields),
            sha256="",
            scores={},
            command="",
        )
        recipe = replace(recipe, backbone=card.backbone, masks=card.masks)
    _check_fields(fields, card)
    tiles = Tiles(fields, recipe, card.classes, seed=seed)
    with work_folder(folder) as work:
        run = work / "detector"
        with torch.random.fork_rng(range(torch.cuda.device_count())):
            torch.manual_seed(seed)
            network = card.network(recipe.weights) if start is None else start.copied()
            if start is not None and not isinstance(fields, SimulatedFields):
                network.heads.expect(_class_fractions(fields, card.classes))
            claim_folder(run, _describe(fields, recipe, network, card, seed))
            _fit(network, tiles, recipe, run, seed, progress_bar)
        gc.collect()
    return Detector(card, network)


def _are_simulated(fields):
    return isinstance(fields, SimulatedFields) or all(field.simulated for field in fields)


def _class_fractions(fields, scheme):
    counts = sum(
        np.bincount(scheme.positions(field.classes), minlength=len(scheme)) for field in fields
    )
    return counts / max(counts.sum(), 1)


def _check_fields(fields, card):
    if isinstance(fields, SimulatedFields):
        return
    if not len(fields):
        raise ValueError("no fields to train on; pass at least one")
    for field in fields:
        if len(field.pixels) != len(card.bands):
            raise ValueError(
                f"a field has {len(field.pixels)} bands, but the detector uses {len(card.bands)}; "
                f"create the DetectionField with roles={card.bands}"
            )
        card.classes.positions(field.classes)


def _describe(fields, recipe, network, card, seed):
    """Settings that identify a run."""
    data = hashlib.sha256()
    if isinstance(fields, SimulatedFields):
        data.update(f"{fields.seed} {fields.like} {fields.system.name}".encode())
    else:
        for field in fields:
            for array in (field.pixels, field.segments, field.classes):
                data.update(array.tobytes())
    # Initial weights are identified by their content, regardless of their source.
    settings = {name: str(value) for name, value in asdict(recipe).items() if name != "weights"}
    return {
        **settings,
        "bands": str(card.bands),
        "classes": str(card.classes.content),
        "data": data.hexdigest(),
        "start": weights_digest(network.state_dict()),
        "seed": seed,
    }


def _fit(network, tiles, recipe, folder, seed, progress_bar):
    last = find_checkpoint(folder)
    epochs = -(-recipe.batches // len(tiles))
    fit = _Fit(network, recipe, seed)
    tiles.epoch = lambda: fit.global_step // len(tiles)
    # Loader processes end with each epoch, and would lose the simulated fields in memory.
    n_loaders = 0 if isinstance(tiles.fields, SimulatedFields) else LOADERS
    loader = DataLoader(tiles, batch_size=None, num_workers=n_loaders, generator=torch.Generator())
    callbacks = [
        EpochLog(recipe.batches),
        ModelCheckpoint(folder, "last", enable_version_counter=False),
    ]
    if progress_bar:
        callbacks.append(TQDMProgressBar(refresh_rate=10))
    with quiet_lightning(), interruptible():
        trainer = lightning.Trainer(
            max_epochs=epochs,
            max_steps=recipe.batches,
            callbacks=callbacks,
            gradient_clip_val=_LARGEST_GRADIENT,
            logger=LearningCurve(folder / "metrics.csv"),
            plugins=[AtomicCheckpoints()],
            enable_progress_bar=progress_bar,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
        )
        trainer.fit(fit, loader, ckpt_path=last)
    saved = torch.load(folder / LAST, map_location="cpu", weights_only=True, mmap=True)
    fit.load_state_dict(saved["state_dict"])
    network.cpu().eval()


class _Fit(lightning.LightningModule):
    """Sum of the losses of torchvision's detectors, minimized with AdamW."""

    def __init__(self, network, recipe, seed):
        super().__init__()
        self.network, self.recipe, self.seed = network, recipe, seed

    def on_train_epoch_start(self):
        # The heads sample boxes: each epoch has its own random numbers.
        torch.manual_seed(self.seed + self.current_epoch)

    def training_step(self, batch, _):
        losses = self.network(*batch)
        total = sum(losses.values())
        n_tiles = len(batch[0])
        self.log("loss", total, prog_bar=True, on_step=False, on_epoch=True, batch_size=n_tiles)
        self.log_dict(losses, on_step=False, on_epoch=True, batch_size=n_tiles)
        return total

    def configure_optimizers(self):
        recipe = self.recipe
        optimizer = torch.optim.AdamW(
            self.network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.learning_rate, total_steps=recipe.batches
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]
