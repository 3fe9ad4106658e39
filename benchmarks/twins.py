# Licensed under a 3-clause BSD style license - see LICENSE.rst
"""Distinguish painted fields from real ones by their pictures.

Parts of NGC 1566, NGC 628-C and NGC 1433 are painted from their catalogs and converted to press
pictures: they are resampled to the pixels of the picture, stretched to the quantiles of the real
one, sharpened, rounded to 8 bits, compressed as JPEG, and resampled to the pixels of the catalog.
Stamps of the same objects are cut from the painted and real pictures. Gradient boosting on simple
statistics of the stamps, and a small network on their pixels, are then trained to distinguish them,
cross-validated by position with each object and its twin in the same fold. Perfect simulations
would have an AUC of 0.5.
"""

import argparse
from io import BytesIO

import numpy as np
import torch
from astropy.table import Table
from PIL import Image
from real_data import data_path
from scipy import ndimage
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from astroclust import simulate_field
from astroclust.catalogs import find_field, read_legus

FIELDS = ("ngc1566", "ngc628-c", "ngc1433")
CATALOG_SCALE = 0.03962  # arcsec
SIZE, CELL = 50, 200  # pixels: of a stamp, and of the cells that are kept together
SHARPENINGS = (-0.4, 0.0, 0.5, 1.0, 1.5, 2.5)
#: Subject of each statistic, by the prefix of its name.
SUBJECTS = ("level", "slope", "gas", "texture", "crowding", "contrast", "core", "color", "full")


def grid_of(picture, corner, width):
    """Rows and columns of the picture at the pixels of a square of the catalog's grid."""
    y, x = np.mgrid[:width, :width]
    return position_in(picture, x + corner[0], y + corner[1])


def position_in(picture, x, y):
    """Rows and columns of the picture at pixels of the catalog."""
    column = picture["a_cx"] * x + picture["a_cy"] * y + picture["t_c"]
    return picture["a_rx"] * x + picture["a_ry"] * y + picture["t_r"], column


def to_catalog(image, positions):
    """Resample a picture, (rows, columns, 3), to the grid of the catalog, NaN beyond the edge."""
    positions = np.asarray(positions)
    bands = [
        ndimage.map_coordinates(image[..., k], positions, np.float32, order=3, mode="nearest")
        for k in (2, 1, 0)
    ]
    rows, columns = (length - 1 for length in image.shape[:2])
    outside = (positions < 0).any(axis=0) | (positions[0] > rows) | (positions[1] > columns)
    return np.where(outside, np.nan, np.array(bands))


def render(bands, real, picture, corner, image):
    """Convert painted bands (B, V, I) to pictures, on the catalog's grid, for each sharpening.

    ``real`` is the real picture ``image`` resampled to that grid. The pictures are given its
    quantiles, before and after they are sharpened.
    """
    factor = picture["scale"] / CATALOG_SCALE
    seen = np.isfinite(real[0])
    blurred = [ndimage.gaussian_filter(band, 0.42 * factor) for band in bands]
    stretched = [_matched(*pair, seen) for pair in zip(blurred, real, strict=True)]
    # From the pixels of the catalog to those of the picture.
    matrix = np.array([[picture["a_ry"], picture["a_rx"]], [picture["a_cy"], picture["a_cx"]]])
    positions = np.array(grid_of(picture, corner, bands.shape[-1]))
    first = np.floor(positions.min(axis=(1, 2))).astype(int) - 8
    last = np.ceil(positions.max(axis=(1, 2))).astype(int) + 9
    inverse = np.linalg.inv(matrix)
    options = {
        "offset": inverse @ (first - positions[:, 0, 0]),
        "output_shape": tuple(last - first),
        "order": 1,
    }
    drawn = [
        ndimage.affine_transform(band, inverse, mode="reflect", **options)
        for band in stretched[::-1]
    ]
    inside = ndimage.affine_transform(seen.astype(np.float32), inverse, cval=0, **options) > 0.99
    rows, columns = (slice(*pair) for pair in zip(np.maximum(first, 0), last, strict=True))
    skipped = np.maximum(-first, 0)
    target = np.zeros((*inside.shape, 3), np.float32)
    part = image[rows, columns]
    target[skipped[0] :, skipped[1] :][: part.shape[0], : part.shape[1]] = part
    result = []
    for amount in SHARPENINGS:
        sharp = [band + amount * (band - ndimage.gaussian_filter(band, 0.8)) for band in drawn]
        sharp = [_matched(band, target[..., k], inside) for k, band in enumerate(sharp)]
        pixels = _saved(np.stack(sharp, axis=-1), picture["file"])
        result.append(to_catalog(pixels, positions - first[:, None, None]))
    return result


def _matched(band, target, seen):
    """Map a band to the quantiles of another one, in pixels where that one has data."""
    steps = np.linspace(0, 1, 2001)
    before, after = (np.quantile(each[seen], steps) for each in (band, target))
    return np.interp(band, before + 1e-9 * np.arange(len(steps)), after).astype(np.float32)


def _saved(image, name):
    """Round a picture to 8 bits, and compress it like the given file."""
    pixels = np.clip(image + 0.5, 0, 255).astype(np.uint8)
    with Image.open(data_path("legus_pictures", name)) as original:
        if original.format != "JPEG":
            return pixels.astype(np.float32)
        halved = original.layer[0][1] == 2
        options = {"qtables": original.quantization, "subsampling": "4:2:0" if halved else "4:4:4"}
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return np.asarray(Image.open(file), np.float32)


def cut(image, x, y):
    """Cut stamps, (n, 3, SIZE, SIZE), as for the classifier."""
    left, low = (np.ceil(center - SIZE / 2).astype(int) for center in (x, y))
    return np.array(
        [image[:, b : b + SIZE, a : a + SIZE] for a, b in zip(left, low, strict=True)], np.float32
    )


def cut_real(image, picture, x, y):
    """Cut stamps of a picture around pixels of the catalog, without resampling all of it."""
    left, low = (np.ceil(center - SIZE / 2).astype(int)[:, None, None] for center in (x, y))
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return to_catalog(image, position_in(picture, left + columns, low + rows)).transpose(1, 0, 2, 3)


def statistics(stamps):
    """Statistics of stamps by name, each of shape (n,)."""
    middle = SIZE // 2
    y, x = np.indices((SIZE, SIZE)) - middle
    radius = np.hypot(x, y)
    inner, near, outer = radius < 2.5, (radius >= 2.5) & (radius < 6), radius >= 8
    smooth = ndimage.gaussian_filter(stamps, (0, 0, 0, 1.2))
    wide = ndimage.gaussian_filter(stamps, (0, 0, 0, 5))
    fine, coarse = smooth - wide, wide[..., outer].std(axis=-1)
    level = np.median(stamps[..., outer], axis=-1)
    core = stamps[..., inner].mean(axis=-1) - level
    ring = stamps[..., near].mean(axis=-1) - level
    texture = fine[..., outer].std(axis=-1)
    peaks = ndimage.maximum_filter(smooth[:, 1], (0, 5, 5)) == smooth[:, 1]
    height = smooth[:, 1] - level[:, 1, None, None]
    own = height[:, inner].max(axis=-1)[:, None, None]
    peaks &= outer
    result = {"level " + band: level[:, i] for i, band in enumerate("BVI")}
    result |= {"slope " + band: coarse[:, i] for i, band in enumerate("BVI")}
    red = wide[:, 2] - wide[:, 1]
    result["gas, red against green"] = red[:, outer].std(axis=-1)
    result["gas, reddest part"] = np.percentile(red[:, outer], 95, axis=-1)
    result |= {"texture " + band: texture[:, i] for i, band in enumerate("BVI")}
    result["texture of color"] = (fine[:, 0] - fine[:, 2])[:, outer].std(axis=-1)
    result["texture, finest"] = (stamps - smooth)[:, 1][:, outer].std(axis=-1)
    for height_fraction in (0.25, 0.5, 1.0):
        many = np.count_nonzero(peaks & (height > height_fraction * own), axis=(1, 2))
        result[f"crowding, peaks above {height_fraction}"] = many.astype(float)
    result["contrast to the texture"] = core[:, 1] / (texture[:, 1] + 2)
    result["contrast to the structure"] = core[:, 1] / (coarse[:, 1] + 2)
    result["core V"] = core[:, 1]
    result["core, ring to middle"] = ring[:, 1] / np.maximum(core[:, 1], 5)
    offset = np.array([(smooth[:, 1] * near * sign).sum(axis=(1, 2)) for sign in (x, y)])
    result["core, lopsidedness"] = np.hypot(*offset) / near.sum() / np.maximum(core[:, 1], 5)
    result["color B-V of the sky"] = level[:, 0] - level[:, 1]
    result["color V-I of the sky"] = level[:, 1] - level[:, 2]
    result["color B-V of the core"] = core[:, 0] - core[:, 1]
    result["color V-I of the core"] = core[:, 1] - core[:, 2]
    result["full pixels"] = (stamps[:, 1] > 250).mean(axis=(1, 2))
    return result


def twins(name, folder, width, seed):
    """Make stamps of real objects and of their twins, with their classes and cells."""
    picture = next(row for row in Table.read(folder / "pictures.ecsv") if row["field"] == name)
    labels = Table.read(folder / "labels.ecsv")
    labels = labels[labels["field"] == name]
    catalog = read_legus(catalog_path(name), field=name)
    x, y = np.array(labels["x"]), np.array(labels["y"])
    corner = np.floor([_densest(values, width) for values in (x, y)]).astype(int)
    image = np.asarray(Image.open(folder / picture["file"]).convert("RGB"), np.float32)
    real = to_catalog(image, grid_of(picture, corner, width))
    part = catalog.copy()
    part["x"], part["y"] = part["x"] - corner[0], part["y"] - corner[1]
    inside = [(part[axis] > 0) & (part[axis] < width) for axis in "xy"]
    part = part[np.all(inside, axis=0)]
    field = simulate_field(like=name, catalog=part, shape=(width, width), seed=seed)
    bands = np.array([field.images[role].data for role in "BVI"], np.float32)
    drawn = render(bands, real, picture, corner, image)
    x, y = x - corner[0], y - corner[1]
    margin = SIZE // 2 + 1
    kept = (np.minimum(x, y) > margin) & (np.maximum(x, y) < width - margin)
    stamps = cut(real, x[kept], y[kept])
    seen = np.isfinite(stamps).all(axis=(1, 2, 3))
    stamps, x, y = stamps[seen], x[kept][seen], y[kept][seen]
    label = np.array(labels["class_human"])[kept][seen]
    painted = [cut(image, x, y) for image in drawn]
    best = _sharpest(stamps, painted)
    print(
        f"{name}: {len(label)} objects in {width} x {width} pixels from {corner.tolist()}, "
        f"sharpening {SHARPENINGS[best]}",
        flush=True,
    )
    return stamps, painted[best], label, (x // CELL * 1000 + y // CELL).astype(int)


def catalog_path(name):
    """The catalog of a field."""
    return next(data_path("legus_catalogs").glob(f"*_{name}_*.tab"))


def _densest(values, width):
    """Lowest value of the interval of given width that contains most of the values."""
    ordered = np.sort(values)
    return ordered[np.argmax(np.searchsorted(ordered, ordered + width) - np.arange(len(ordered)))]


def _sharpest(real, painted):
    """Select the sharpening whose fraction of fine texture matches."""
    textures = []
    for stamps in (real, *painted):
        known = statistics(stamps)
        textures.append(np.median(known["texture, finest"] / (known["texture V"] + 1)))
    return int(np.argmin(np.abs(np.log(np.divide(textures[1:], textures[0])))))


def tell_apart(real, painted, cells):
    """Probability of being painted, from gradient boosting on statistics, shape (2 n,)."""
    values = np.concatenate([real, painted])
    is_painted, groups = np.repeat([0, 1], len(real)), np.tile(cells, 2)
    scores = np.zeros(len(values))
    for train, test in GroupKFold(4).split(values, is_painted, groups):
        model = HistGradientBoostingClassifier(
            max_iter=80, learning_rate=0.08, max_leaf_nodes=8, min_samples_leaf=15, random_state=0
        )
        model.fit(values[train], is_painted[train])
        scores[test] = model.predict_proba(values[test])[:, 1]
    return scores


def tell_pixels_apart(real, painted, cells, epochs=8):
    """Probability of being painted, from a small network on the pixels, shape (2 n,)."""
    pixels = torch.from_numpy(np.concatenate([real, painted]) / 255)
    target, groups = np.repeat([0.0, 1.0], len(real)), np.tile(cells, 2)
    scores, wanted = np.zeros(len(target)), torch.from_numpy(np.float32(target))
    for train, test in GroupKFold(3).split(target, target, groups):
        torch.manual_seed(0)
        rng, layers = np.random.default_rng(0), []
        for i, o in ((3, 12), (12, 24), (24, 32)):
            layers += [torch.nn.Conv2d(i, o, 3), torch.nn.BatchNorm2d(o), torch.nn.ReLU()]
            layers += [torch.nn.MaxPool2d(2)]
        network = torch.nn.Sequential(
            *layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(32, 1)
        )
        optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
        for _ in range(epochs):
            for rows in np.array_split(rng.permutation(train), max(len(train) // 64, 1)):
                turned = torch.rot90(pixels[rows], int(rng.integers(4)), (2, 3))
                loss = torch.nn.functional.binary_cross_entropy_with_logits(
                    network(turned)[:, 0], wanted[rows]
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        network.eval()
        with torch.inference_mode():
            scores[test] = network(pixels[test])[:, 0].numpy()
    return scores


def compare(name, real, painted, label, cells):
    """Print the AUC for distinguishing real objects and their twins."""
    is_painted, both = np.repeat([0, 1], len(label)), np.tile(label, 2)
    ours, theirs = statistics(painted), statistics(real)
    names = np.array(list(ours))
    tables = [np.column_stack(list(each.values())) for each in (theirs, ours)]
    parts = {"trees": tell_apart(*tables, cells)}
    if name == "all":
        parts["network"] = tell_pixels_apart(real, painted, cells)
    for kind, scores in parts.items():
        by_class = [roc_auc_score(is_painted[both == c], scores[both == c]) for c in (1, 2, 3, 4)]
        print(
            f"{name}, {kind}: AUC {roc_auc_score(is_painted, scores):.3f}, classes 1 to 4 "
            + " ".join(f"{auc:.3f}" for auc in by_class),
            flush=True,
        )
    if name != "all":
        return
    rows = []
    for subject in SUBJECTS:
        chosen = np.char.startswith(names, subject)
        scores = tell_apart(*(table[:, chosen] for table in tables), cells)
        rows.append((roc_auc_score(is_painted, scores), subject))
    print("\nAUC by one subject only: " + ", ".join(f"{s} {a:.3f}" for a, s in sorted(rows)[::-1]))
    print(f"{'statistic':28s} {'AUC':>6s}   medians of classes 1 to 4, real | painted")
    single = [
        roc_auc_score(is_painted, np.concatenate(pair))
        for pair in zip(*(table.T for table in tables), strict=True)
    ]
    for i in np.argsort(-np.abs(np.subtract(single, 0.5))):
        medians = [
            " ".join(f"{np.median(table[label == c, i]):7.2f}" for c in (1, 2, 3, 4))
            for table in tables
        ]
        print(f"{names[i]:28s} {single[i]:6.3f} {medians[0]} | {medians[1]}")


def main():
    """Compare each field and all together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", nargs="+", default=FIELDS)
    parser.add_argument(
        "--width", type=int, default=1500, help="width of the painted square in pixels"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", help="file for the stamps, .npz")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder, parts = data_path("legus_pictures"), []
    for i, name in enumerate(arguments.fields):
        real, painted, label, cells = twins(
            find_field(name).name, folder, arguments.width, arguments.seed
        )
        compare(name, real, painted, label, cells)
        parts.append((real, painted, label, cells + i * 1_000_000))
    parts = [np.concatenate(part) for part in zip(*parts, strict=True)]
    if arguments.save:
        np.savez(arguments.save, real=parts[0], painted=parts[1], label=parts[2])
    compare("all", *parts)


if __name__ == "__main__":
    main()
