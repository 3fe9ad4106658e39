# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Tiled source detection in complete images with a network."""

import os
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from astropy.table import Table, vstack
from photutils.segmentation import SegmentationImage
from scipy import ndimage
from scipy.spatial import KDTree
from tqdm import tqdm

from astroclust.classification.checks import check_pixel_scale, choose_device
from astroclust.detection.tiles import tiles_of
from astroclust.detectors.cards import DetectorCard, read_detector, write_detector
from astroclust.detectors.pixels import PixelReader, fill_missing
from astroclust.images import ImageSet
from astroclust.networks import survive_forks

if TYPE_CHECKING:
    from astroclust.typing import ImagesLike

__all__ = ["DEFAULT_DETECTOR", "Detector", "load_detector", "save_detector"]

#: Name of the detector that is used by default.
DEFAULT_DETECTOR = "simulated-fields-1"

# Width of a tile and of its margin, in pixels: larger than the largest sources.
_TILE, _MARGIN = 256, 32
# Maps are up to eight times coarser than tiles. Tiles narrower than those used in training are
# padded, because the network finds spurious sources everywhere in tiles of 30 to 60 pixels.
_MULTIPLE, _NARROWEST = 8, 128
# Maximum difference between the centers of a source in two tiles, in pixels.
_SAME = 1.5
# Minimum probability at which a pixel belongs to a source.
_INSIDE = 0.5


class Detector:
    """A source-detection network and its card.

    Parameters
    ----------
    card : `DetectorCard`
        Card of the network.
    network : `~torch.nn.Module`
        The network.

    Examples
    --------
    A network with random weights:

    >>> from astroclust import simulate_field
    >>> from astroclust.detectors import Detector, DetectorCard
    >>> card = DetectorCard("mine", "native-small", "nothing yet")
    >>> detector = Detector(card, card.network())
    >>> field = simulate_field(shape=(64, 64), seed=1)
    >>> sources, _ = detector.find(field.images, min_score=0.99)
    >>> sources.colnames[:6]
    ['x', 'y', 'area', 'flux', 'det_score', 'det_class']
    """

    def __init__(self, card: DetectorCard, network: torch.nn.Module) -> None:
        survive_forks()
        self.card, self.network = card, network.eval()

    def __repr__(self) -> str:
        notice = "; trained on simulated images" if self.card.simulated else ""
        kind = "boxes and masks" if self.card.masks else "boxes"
        return f"<Detector {self.card.name}: {self.card.backbone}, {kind}{notice}>"

    def copied(self) -> torch.nn.Module:
        """Copy of the network, for further training.

        Returns
        -------
        network : `~torch.nn.Module`
            In training mode.
        """
        return deepcopy(self.network).train()

    def find(
        self,
        images: "ImagesLike",
        *,
        min_score: float = 0.5,
        segmentation: bool = False,
        device: str | torch.device = "auto",
        progress_bar: bool = False,
    ) -> tuple[Table, SegmentationImage | None]:
        """Find sources in images of any size, in bounded memory.

        Parameters
        ----------
        images : `~astroclust.images.ImageSet` or mapping
            Bands of the field; those that the detector uses are read.
        min_score : float, optional
            Minimum probability of being a source.
        segmentation : bool, optional
            Whether to also return the pixels of each source.
        device : str or `~torch.device`, optional
            Device on which the network runs; by default the GPU if there is one.
        progress_bar : bool, optional
            Whether to show progress on standard error.

        Returns
        -------
        sources : `~astropy.table.Table`
            ``x``, ``y`` (0-based pixels); ``area`` (pixels); ``flux`` in the reference band;
            ``det_score``, the probability of being a source; ``det_class``, the most probable
            class; ``det_prob_1`` ..., the class probabilities, which sum to ``det_score``; and with
            masks ``det_flux_nuv`` ..., the deblended flux in each band. Sorted by y.
        segments : `~photutils.segmentation.SegmentationImage` or None
            Row in ``sources``, from 1, of the source that each pixel belongs to; 0 for the
            background. Sources that are covered by others have no pixels. None unless
            ``segmentation`` is true.

        Raises
        ------
        ValueError
            If the images lack too many of the detector's bands, ``min_score`` is not from 0 to 1,
            the device is not available, or ``segmentation`` is true for a detector without masks.

        Warns
        -----
        AstropyUserWarning
            If the pixel scale differs from that of the training set.
        """
        if not 0 <= min_score <= 1:
            raise ValueError(f"min_score must be from 0 to 1, not {min_score}")
        if segmentation and not self.card.masks:
            raise ValueError(
                f"{self.card.name} finds boxes, not outlines; choose a detector that was trained "
                "with masks, or omit segmentation"
            )
        network = self._on(choose_device(device))
        images = ImageSet.of(images, self.card.system)
        name, scale = f"detector {self.card.name}", self.card.system.pixel_scale
        check_pixel_scale(images, name, scale, stacklevel=5)
        reader = PixelReader(images, self.card.bands)
        self._check_bands(reader)
        tables: list[Table] = []
        pixels: list[np.ndarray] = []
        tiles = tiles_of(reader.images.shape, _TILE, _MARGIN)
        for tile in tqdm(tiles, unit="tile", desc="detecting", disable=not progress_bar):
            table, own = self._find_in_tile(network, reader, tile, min_score)
            tables.append(table)
            pixels += own if segmentation else []
        sources = vstack(tables, metadata_conflicts="silent")
        order = _kept(sources)
        sources = sources[order]
        del sources["tile"]
        segments = _segments(pixels, order, reader.images.shape) if segmentation else None
        return sources, segments

    def _check_bands(self, reader):
        card = self.card
        fewest = max(len(card.bands) - card.max_missing_bands, 1)
        if len(reader.present) < fewest:
            raise ValueError(
                f"{card.name} was trained with at least {fewest} of the bands "
                f"{', '.join(card.bands)}, but the images have only {', '.join(reader.present)}; "
                "add bands, or use another method, such as sextractor"
            )

    def _on(self, device):
        """The network on a device."""
        here = next(self.network.parameters()).device
        return self.network if here.type == device.type else deepcopy(self.network).to(device)

    def _find_in_tile(self, network, reader, tile, min_score):
        """Table of the sources in a tile, and the rows and columns of the pixels of each."""
        signal = reader.signal(*tile.slices)
        pixels = reader.normalize(signal)
        found = _visible(_run(network, pixels, min_score), np.isfinite(pixels).any(axis=0))
        shapes = list(_shapes(found, signal.shape[1:]))
        columns, own = _measure(shapes, np.nan_to_num(signal))
        boxes = found["boxes"].reshape(-1, 2, 2)
        # From pixel edges to pixel centers.
        x, y = boxes.mean(axis=1).T - 0.5
        x0, y0 = tile.origin
        x, y = x + x0, y + y0
        # A center on the border between two cores may be just outside both.
        near = (x > tile.x0 - 0.5 - _SAME) & (x < tile.x1 - 0.5 + _SAME)
        near &= (y > tile.y0 - 0.5 - _SAME) & (y < tile.y1 - 0.5 + _SAME)
        table = self._table(x, y, columns, found["scores"], reader)
        table["tile"] = np.full(len(table), tile.y0 * tile.shape[1] + tile.x0)
        own = [(rows + y0, columns + x0) for rows, columns in own]
        return table[near], [own[i] for i in np.flatnonzero(near)]

    def _table(self, x, y, columns, probabilities, reader):
        numbers = np.array(self.card.classes.numbers)
        flux = dict(zip(self.card.bands, columns["flux"].T, strict=True))
        table = Table({"x": x.astype(float), "y": y.astype(float), "area": columns["area"]})
        table["flux"] = flux[reader.reference]
        table["det_score"] = probabilities.sum(axis=1)
        table["det_class"] = numbers[probabilities.argmax(axis=1)].astype(np.int16)
        for number, probability in zip(numbers, probabilities.T, strict=True):
            table[f"det_prob_{number}"] = probability
        for role in reader.present if self.card.masks else ():
            table[f"det_flux_{role.lower()}"] = flux[role]
        self._describe(table, reader)
        return table

    def _describe(self, table, reader):
        """Set formats, units and descriptions of the columns specific to networks."""
        names, model = self.card.classes.names, self.card.name
        table["det_score"].description = f"probability of being a source, by {model}"
        table["det_class"].description = f"most probable class, by {model}: " + ", ".join(
            f"{number} {name}" for number, name in names.items()
        )
        for number, name in names.items():
            table[f"det_prob_{number}"].description = f"probability of class {number}, {name}"
        for name in ("det_score", *(f"det_prob_{number}" for number in names)):
            table[name].format = ".3f"
        for role in reader.present if self.card.masks else ():
            column = table[f"det_flux_{role.lower()}"]
            column.format, column.unit = ".6g", reader.unit(role)
            column.description = f"deblended flux within the outline in {role}"


def _run(network, pixels, min_score):
    """Boxes, scores and masks of a tile, as arrays."""
    fill = [(0, max(-size % _MULTIPLE, _NARROWEST - size)) for size in pixels.shape[1:]]
    pixels = np.pad(pixels, [(0, 0), *fill], constant_values=np.nan)
    device = next(network.parameters()).device
    with torch.inference_mode():
        tensor = fill_missing(torch.from_numpy(pixels)[None].to(device))
        found = network(tensor, min_score=min_score)[0]
    return {name: values.cpu().numpy() for name, values in found.items()}


def _visible(found, good):
    """Drop boxes without good pixels: networks may find sources everywhere in blank tiles."""
    kept = [good[np.ix_(*_extent(box, good.shape))].any() for box in found["boxes"]]
    return {name: values[np.array(kept, bool)] for name, values in found.items()}


def _extent(box, shape):
    """Rows and columns of the pixels whose centers are in a box."""
    x0, y0, x1, y1 = np.ceil(box - 0.5).astype(int)
    return np.arange(max(y0, 0), min(y1, shape[0])), np.arange(max(x0, 0), min(x1, shape[1]))


def _shapes(found, shape):
    """Part of the tile covered by each box, and the membership probabilities of its pixels."""
    for i, box in enumerate(found["boxes"]):
        (x0, y0, x1, y1), (rows, columns) = box, _extent(box, shape)
        weight = np.ones((len(rows), len(columns)), np.float32)
        if "masks" in found:
            mask = found["masks"][i, 0]
            v = (rows + 0.5 - y0) / (y1 - y0) * mask.shape[0] - 0.5
            u = (columns + 0.5 - x0) / (x1 - x0) * mask.shape[1] - 0.5
            grid = np.meshgrid(v, u, indexing="ij")
            weight = ndimage.map_coordinates(mask, grid, order=1, mode="nearest")
            weight[weight < _INSIDE] = 0
        yield rows, columns, weight


def _measure(shapes, signal):
    """Area and deblended flux of each source, and the pixels assigned to it alone."""
    total, best = np.zeros((2, *signal.shape[1:]), np.float32)
    owner = np.zeros(signal.shape[1:], int)
    for i, (rows, columns, weight) in enumerate(shapes, start=1):
        part = np.ix_(rows, columns)
        total[part] += weight
        own = weight > best[part]
        best[part] = np.where(own, weight, best[part])
        owner[part] = np.where(own, i, owner[part])
    area, flux, pixels = [], [], []
    for i, (rows, columns, weight) in enumerate(shapes, start=1):
        part = np.ix_(rows, columns)
        fraction = np.divide(weight, total[part], out=np.zeros_like(weight), where=weight > 0)
        area.append(np.count_nonzero(weight))
        flux.append((signal[:, rows[:, None], columns] * fraction).sum(axis=(1, 2)))
        y, x = np.nonzero(owner[part] == i)
        pixels.append((rows[y], columns[x]))
    flux = np.reshape(flux, (-1, len(signal))).astype(np.float32)
    return {"area": np.array(area, np.int32), "flux": flux}, pixels


def _kept(sources):
    """Rows in order of y, keeping the most probable of duplicates from two tiles."""
    positions = np.column_stack([sources["x"], sources["y"]])
    keep = np.ones(len(sources), bool)
    if len(sources):
        pairs = KDTree(positions).query_pairs(_SAME, output_type="ndarray")
        pairs = pairs[sources["tile"][pairs[:, 0]] != sources["tile"][pairs[:, 1]]]
        scores = np.asarray(sources["det_score"])[pairs]
        keep[pairs[np.arange(len(pairs)), scores.argmin(axis=1)]] = False
    kept = np.flatnonzero(keep)
    return kept[np.lexsort(positions[kept].T)]


def _segments(pixels, order, shape):
    labels = np.zeros(shape, np.int32)
    for label, row in enumerate(order, start=1):
        labels[pixels[row]] = label
    return SegmentationImage(labels)


def load_detector(model=None):
    """Load a detector, and validate it.

    Parameters
    ----------
    model : str, `~pathlib.Path`, `Detector` or None, optional
        Name of a bundled detector, or a ``.safetensors`` file written by `save_detector`; a
        `Detector` is returned unchanged. By default, the bundled `DEFAULT_DETECTOR`.

    Returns
    -------
    detector : `Detector`
        The detector, on the CPU.

    Raises
    ------
    ValueError
        If the name is unknown, or the file is not a detector or is damaged.
    TypeError
        If ``model`` is something else.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> from astroclust.detectors import load_detector
    >>> load_detector()
    <Detector simulated-fields-1: native, boxes and masks; trained on simulated images>
    >>> load_detector().card.scores["average_precision"]
    0.759
    """
    if isinstance(model, Detector):
        return model
    if model is not None and not isinstance(model, (str, os.PathLike)):
        raise TypeError(f"model must be a name, a path or a Detector, not {model!r}")
    return Detector(*read_detector(_find_file(DEFAULT_DETECTOR if model is None else model)))


def _find_file(model):
    """Path of a detector file; a name without a folder and suffix is that of a bundled one."""
    path = Path(model)
    if path.suffix or path.parent != Path():
        return path
    folder = Path(str(resources.files("astroclust") / "data" / "detectors"))
    bundled = {file.stem: file for file in folder.glob("*.safetensors")}
    if path.name not in bundled:
        raise ValueError(
            f"unknown detector {path.name!r}; available are {', '.join(sorted(bundled))}, or use a "
            ".safetensors file"
        )
    return bundled[path.name]


def save_detector(detector, path, *, overwrite=False):
    """Write a detector to a file.

    Parameters
    ----------
    detector : `Detector`
        The detector.
    path : str or `~pathlib.Path`
        File ending in ``.safetensors``.
    overwrite : bool, optional
        Whether the file may exist.

    Returns
    -------
    card : `DetectorCard`
        The card as written, with the hash of the weights.

    Raises
    ------
    ValueError
        If the name does not end in ``.safetensors``.
    OSError
        If the file exists and ``overwrite`` is false, or it cannot be written.

    Examples
    --------
    >>> from astroclust.detectors import Detector, DetectorCard, save_detector
    >>> card = DetectorCard("mine", "native-small", "nothing yet")
    >>> len(save_detector(Detector(card, card.network()), "mine.safetensors").sha256)
    64
    """
    return write_detector(detector.card, detector.network, path, overwrite=overwrite)
