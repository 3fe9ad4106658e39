# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Fields with known sources, and training tiles for detectors."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage

from astroclust.catalogs.positions import pixel_positions
from astroclust.detectors.pixels import PixelReader, fill_missing
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES, find_band_system
from astroclust.stamps import damage_pixels
from astroclust.training.augmentation import draw_damage

__all__ = ["BATCHES_PER_EPOCH", "DetectionField", "SimulatedFields", "Tiles"]

#: Interval of checkpoints during training, in batches.
BATCHES_PER_EPOCH = 50

# Radius of the known surroundings of a labeled source, in units of the radius of the source.
_SURROUNDINGS = 4
# Minimum number of pixels of a source that is truncated by the tile.
_FEWEST_PIXELS = 5
# Size in pixels of simulated fields, and candidates per pixel.
_SHAPE, _DENSITY = (512, 512), (1e-4, 6e-4)
# Maximum number of simulated fields in use, and number of batches after which another is drawn.
_IN_USE, _BATCHES_PER_FIELD = 24, 20


@dataclass(frozen=True, eq=False)
class DetectionField:
    """A field whose sources are known.

    Parameters
    ----------
    pixels : `~numpy.ndarray` of float32, shape (n_bands, ny, nx)
        Normalized by `PixelReader`.
    segments : `~numpy.ndarray` of int, shape (ny, nx)
        Label of the source of each pixel, from 1; 0 for the background, and -1 for pixels that may
        belong to unlabeled sources and are ignored in training.
    classes : `~numpy.ndarray` of int, shape (n_sources,)
        Class of each source, in the order of the labels.
    simulated : bool, optional
        Whether it is a simulation.

    Examples
    --------
    >>> from astroclust import simulate_field
    >>> from astroclust.detectors import DetectionField
    >>> field = simulate_field(shape=(128, 128), seed=1, outlines=True)
    >>> known = DetectionField.of(field)
    >>> len(known.classes) == len(field.sources)
    True
    """

    pixels: np.ndarray
    segments: np.ndarray
    classes: np.ndarray
    simulated: bool = False

    @classmethod
    def of(cls, field, roles=LEGUS_BANDS.roles):
        """Create from a simulated field, with all its visible sources.

        Parameters
        ----------
        field : `~astroclust.simulation.Field`
            Made with ``outlines=True``.
        roles : sequence of str, optional
            The bands of the detector.

        Returns
        -------
        known : `DetectionField`
            The field to train on.

        Raises
        ------
        ValueError
            If the field has no outlines.
        """
        if field.segments is None:
            raise ValueError(
                "the field has no outlines; make it with simulate_field(..., outlines=True)"
            )
        classes = np.array(field.sources["class"])
        return cls.from_segments(
            field.images, field.segments.data, classes, roles=roles, simulated=True
        )

    @classmethod
    def from_segments(cls, images, segments, classes, *, roles=LEGUS_BANDS.roles, simulated=False):
        """Create from images with a segmentation.

        Parameters
        ----------
        images : `~astroclust.images.ImageSet` or mapping
            The bands of the field.
        segments : `~photutils.segmentation.SegmentationImage` or array_like of int
            Label of the source of each pixel, from 1; shape (ny, nx).
        classes : array_like of int, shape (n_sources,)
            Class of each source, in the order of the labels.
        roles : sequence of str, optional
            The bands of the detector.
        simulated : bool, optional
            Whether the images are simulated.

        Returns
        -------
        known : `DetectionField`
            The field to train on.

        Raises
        ------
        ValueError
            If the segments and images differ in shape, or a label has no class.
        """
        pixels = _all_pixels(images, roles)
        segments, classes = np.asarray(getattr(segments, "data", segments)), np.asarray(classes)
        if segments.shape != pixels.shape[1:]:
            raise ValueError(
                f"the segments have shape {segments.shape}, but the images {pixels.shape[1:]}; use "
                "segments on the pixels of the images"
            )
        if segments.max(initial=0) > len(classes):
            raise ValueError(
                f"the segments have labels up to {segments.max()}, but there are {len(classes)} "
                "classes; relabel them from 1"
            )
        return cls(pixels, segments, classes, simulated)

    @classmethod
    def labeled(cls, images, table, labels, *, radius=4.0, roles=LEGUS_BANDS.roles):
        """Create from the positions and labels of a catalog.

        A source consists of the pixels within a radius that are closest to it. Pixels farther than
        four radii from all labeled sources may belong to unlabeled ones, and are ignored in
        training.

        Parameters
        ----------
        images : `~astroclust.images.ImageSet` or mapping
            The bands of the field.
        table : `~astropy.table.Table`
            With ``x`` and ``y``, or ``ra`` and ``dec``.
        labels : array_like of int, shape (n,)
            Class of each row; unlabeled rows are excluded.
        radius : float, optional
            Radius in pixels.
        roles : sequence of str, optional
            The bands of the detector.

        Returns
        -------
        known : `DetectionField`
            The field to train on, with only the sources of the catalog.

        Raises
        ------
        ValueError
            If there is not one label per row, no labeled source is on the images, or the radius is
            not positive.
        """
        if not radius > 0:
            raise ValueError(f"radius must be positive, not {radius!r}")
        labels = np.ma.filled(np.ma.asarray(labels), 0)
        if len(labels) != len(table):
            raise ValueError(
                f"there are {len(labels)} labels for {len(table)} rows; pass one per row"
            )
        pixels = _all_pixels(images, roles)
        x, y = pixel_positions(table, images.wcs)
        ny, nx = pixels.shape[1:]
        with np.errstate(invalid="ignore"):
            used = (labels > 0) & (x > -0.5) & (y > -0.5) & (x < nx - 0.5) & (y < ny - 0.5)
        if not used.any():
            raise ValueError(
                "no labeled source is on the images; check that table and images are of one field"
            )
        segments = _disks(np.rint(x[used]), np.rint(y[used]), (ny, nx), radius)
        return cls(pixels, segments, labels[used])


def _all_pixels(images, roles):
    reader = PixelReader(images, roles)
    ny, nx = reader.images.shape
    return reader.normalize(reader.signal(slice(0, ny), slice(0, nx)))


def _disks(x, y, shape, radius):
    """Segments of labeled sources, and the pixels that may belong to others."""
    seeds = np.zeros(shape, np.int32)
    seeds[y.astype(int), x.astype(int)] = 1 + np.arange(len(x))
    distance, (rows, columns) = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    segments = np.where(distance <= radius, seeds[rows, columns], 0)
    return np.where(distance <= _SURROUNDINGS * radius, segments, -1)


class SimulatedFields:
    """Endless numbered sequence of simulated fields, each drawn on demand.

    Parameters
    ----------
    seed : int
        Equal seeds give equal fields.
    like : str or sequence of str
        LEGUS fields to simulate, in turn.
    system : str or `~astroclust.instruments.BandSystem`, optional
        Band system, with the pixels of LEGUS.

    Raises
    ------
    ValueError
        If the pixels of the system are not those of LEGUS.

    Examples
    --------
    >>> from astroclust.detectors import SimulatedFields
    >>> fields = SimulatedFields(1, ["ngc628-c"])
    >>> fields.in_use(batch=400)
    range(0, 21)
    """

    def __init__(self, seed, like, system=LEGUS_BANDS):
        self.seed, self.system = seed, find_band_system(system)
        self.like = [like] if isinstance(like, str) else list(like)
        if self.system.pixel_scale != LEGUS_BANDS.pixel_scale:
            raise ValueError(
                f"simulated fields have pixels of {LEGUS_BANDS.pixel_scale} arcsec, but "
                f"{self.system.name} requires {self.system.pixel_scale}; train on labels instead"
            )
        self._draw = lru_cache(maxsize=_IN_USE)(self._draw_field)

    def __getitem__(self, number):
        return self._draw(number)

    def in_use(self, batch):
        """Numbers of the fields used for a batch; only the first one at the beginning."""
        last = batch // _BATCHES_PER_FIELD
        return range(max(last + 1 - _IN_USE, 0), last + 1)

    def _draw_field(self, number):
        from astroclust.simulation import simulate_field

        rng = np.random.default_rng([self.seed, number])
        field = simulate_field(
            like=self.like[number % len(self.like)],
            shape=_SHAPE,
            seed=[self.seed, number],
            density=float(np.exp(rng.uniform(*np.log(_DENSITY)))),
            system=self.system,
            outlines=True,
        )
        return DetectionField.of(field, self.system.roles)


class Tiles(torch.utils.data.Dataset):
    """Batches of tiles, randomly cut, rotated and flipped, with some bands removed.

    Parameters
    ----------
    fields : sequence of `DetectionField` or `SimulatedFields`
        Fields to cut from.
    recipe : `~astroclust.detectors.DetectorRecipe`
        Width and number of the tiles, and their augmentation.
    scheme : `~astroclust.instruments.ClassScheme`
        Classes of the detector.
    seed : int
        Seed; each batch has its own random numbers.
    """

    def __init__(self, fields, recipe, scheme=LEGUS_CLASSES, *, seed):
        self.fields, self.recipe, self.scheme, self.seed = fields, recipe, scheme, seed
        self.epoch = None  # function that returns the epoch

    def __len__(self):
        return min(BATCHES_PER_EPOCH, self.recipe.batches)

    def __getitem__(self, number):
        batch = self.epoch() * len(self) + number
        rng = np.random.default_rng([self.seed, batch])
        if isinstance(self.fields, SimulatedFields):
            numbers = self.fields.in_use(batch)
        else:
            numbers = range(len(self.fields))
        chosen = rng.choice(numbers, self.recipe.batch_size)
        pixels, targets = zip(*(self._cut(self.fields[int(i)], rng) for i in chosen), strict=True)
        pixels = self._damaged(torch.from_numpy(np.array(pixels)), rng)
        pairs = zip(pixels, targets, strict=True)
        return fill_missing(pixels), [_visible(target, tile) for tile, target in pairs]

    def _damaged(self, pixels, rng):
        kinds = self.recipe.damage
        for kind, fraction in draw_damage(len(pixels), rng, kinds) if kinds else ():
            pixels = damage_pixels(pixels, rng, kind=kind, fraction=fraction)
        return pixels

    def _cut(self, field, rng):
        size, (ny, nx) = self.recipe.tile, field.segments.shape
        y, x = (int(rng.integers(max(n - size, 0) + 1)) for n in (ny, nx))
        part = np.s_[..., y : y + size, x : x + size]
        pixels, segments = _to_size(field.pixels[part], size), field.segments[part]
        segments = np.pad(segments, [(0, size - n) for n in segments.shape])
        turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
        pixels, segments = (np.rot90(each, turns, (-2, -1)) for each in (pixels, segments))
        if mirrored:
            pixels, segments = pixels[..., ::-1], segments[..., ::-1]
        pixels = self._without_bands(np.ascontiguousarray(pixels), rng)
        return pixels, self._target(segments, field.classes)

    def _without_bands(self, pixels, rng):
        present = np.flatnonzero(np.isfinite(pixels).any(axis=(1, 2)))
        most = min(self.recipe.max_missing_bands, len(present) - 1)
        if most > 0:
            pixels[rng.permutation(present)[: rng.integers(most + 1)]] = np.nan
        return pixels

    def _target(self, segments, classes):
        unknown, segments = segments < 0, np.maximum(segments, 0)
        counts = np.bincount(segments.ravel(), minlength=1 + len(classes))[1:]
        known = np.flatnonzero(counts >= _FEWEST_PIXELS)
        slices = ndimage.find_objects(segments)
        boxes = [(x.start, y.start, x.stop, y.stop) for y, x in (slices[i] for i in known)]
        target = {
            "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "labels": torch.from_numpy(1 + self.scheme.positions(classes[known])).long(),
            "unknown": torch.from_numpy(unknown),
        }
        if self.recipe.masks:
            masks = segments == 1 + known[:, None, None]
            target["masks"] = torch.from_numpy(masks.astype(np.uint8))
        return target


def _visible(target, pixels):
    """Sources of a tile that still have valid pixels."""
    seen = pixels.isfinite().any(dim=0)
    if seen.all():
        return target
    boxes = target["boxes"].int().tolist()
    kept = [bool(seen[y0:y1, x0:x1].any()) for x0, y0, x1, y1 in boxes]
    kept = torch.tensor(kept, dtype=torch.bool)
    return {name: values if name == "unknown" else values[kept] for name, values in target.items()}


def _to_size(pixels, size):
    """Tile of a small image, padded with missing pixels."""
    fill = [(0, 0), *((0, size - n) for n in pixels.shape[1:])]
    return np.pad(pixels, fill, constant_values=np.nan)
