# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.table import Table
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from photutils.segmentation import SegmentationImage
from safetensors.torch import load_file, save_file
from scipy import ndimage
from torch import nn

from astroclust import (
    classify_table,
    find_candidates,
    find_sources,
    load_classifier,
    measure_photometry,
    simulate_field,
)
from astroclust.cli import main
from astroclust.detectors import (
    DEFAULT_DETECTOR,
    DetectionField,
    Detector,
    DetectorCard,
    DetectorRecipe,
    PixelReader,
    SimulatedFields,
    create_detector_network,
    load_detector,
    samples,
    save_detector,
    train_detector,
)
from astroclust.detectors.backbones import STRIDES, create_pyramid
from astroclust.detectors.samples import Tiles
from astroclust.images import ImageSet
from astroclust.instruments import LEGUS_BANDS, find_class_scheme
from astroclust.selection import PRESETS

ROLES = ("NUV", "U", "B", "V", "I")


@pytest.fixture(scope="module")
def field():
    return simulate_field(shape=(128, 144), seed=3, density=8e-4, outlines=True)


@pytest.fixture(scope="module")
def known(field):
    return DetectionField.of(field)


def random_detector(**options):
    card = DetectorCard("random", "native-small", "nothing", **options)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return Detector(card, card.network())


class Peaks(nn.Module):
    """Stands in for a network: a box around each pixel that is above its neighbors and bright."""

    def __init__(self, masks=False):
        super().__init__()
        self.weight, self.masks = nn.Parameter(torch.zeros(1)), masks

    def forward(self, pixels, *, min_score):
        image = pixels[0].amax(dim=0).numpy()
        y, x = np.nonzero((image == ndimage.maximum_filter(image, 5)) & (image > 1.0))
        boxes = np.column_stack([x - 2, y - 2, x + 3, y + 3]).clip(0)
        scores = np.tile([0.1, 0.2, 0.3, 0.35], (len(x), 1))
        found = {"boxes": boxes, "scores": scores}
        if self.masks:
            found["masks"] = np.ones((len(x), 1, 28, 28))
        return [{name: torch.tensor(value).float() for name, value in found.items()}]


def spots(shape, positions, peak=1000.0, seed=1):
    rng = np.random.default_rng(seed)
    image = rng.normal(0, 1, shape).astype(np.float32)
    for x, y in positions:
        image[y - 1 : y + 2, x - 1 : x + 2] += peak * np.array(
            [[0.2, 0.5, 0.2], [0.5, 1, 0.5], [0.2, 0.5, 0.2]]
        )
    return ImageSet({"V": image})


@pytest.mark.parametrize("name", ["native-small", "resnet18", "mobilenet_v3_small", "vgg11_bn"])
def test_maps_of_any_backbone_have_the_strides_of_the_pyramid(name):
    pyramid = create_pyramid(name, 4, weights="none").eval()
    with torch.inference_mode():
        maps = pyramid(torch.zeros(1, 4, 64, 96))
    assert [tuple(each.shape[1:]) for each in maps.values()] == [
        (64, 64 // stride, 96 // stride) for stride in STRIDES
    ]


def test_weights_of_a_backbone_are_those_of_a_classifier():
    classifier = load_classifier("simulated-3")
    body = create_pyramid("native", 5, weights="simulated-3").body.network
    assert torch.equal(body.pixels.weight, classifier.networks[0].pixels.weight)
    with pytest.raises(ValueError, match="choose a matching classifier"):
        create_pyramid("native-small", 5, weights="simulated-3")
    with pytest.raises(ValueError, match="choose a matching classifier"):
        create_pyramid("native", 3, weights="simulated-3")


def test_network_without_halved_maps_is_refused():
    with pytest.raises(ValueError, match="such as resnet18"):
        create_pyramid("vit_b_16", 3, weights="none")


def test_first_layer_of_an_image_network_adds_up_to_the_same():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        three = create_pyramid("resnet18", 3, weights="none").eval()
        torch.manual_seed(1)
        six = create_pyramid("resnet18", 6, weights="none").eval()
    gray = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        one, other = (net.body(gray.expand(1, n, -1, -1))[0] for net, n in ((three, 3), (six, 6)))
    assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def test_pixels_are_in_units_of_the_noise_and_absent_bands_missing():
    rng = np.random.default_rng(1)
    image = rng.normal(50, 2, (90, 120))
    image[45, 60] = 50 + 2000.0
    reader = PixelReader(ImageSet({"V": image, "I": 10 * image}), ROLES)
    pixels = reader.normalize(reader.signal(slice(0, 90), slice(0, 120)))
    assert np.isnan(pixels[:3]).all()
    np.testing.assert_allclose(pixels[3], pixels[4], rtol=0.02, atol=0.02)
    assert pixels[3, 45, 60] == pytest.approx(np.arcsinh(1000 / 3) / 3.25, rel=0.05)
    assert reader.present == ("V", "I")
    assert reader.reference == "V"
    with pytest.raises(ValueError, match="choose a detector for these bands"):
        PixelReader(ImageSet({"V": image}), ("NUV",))


def test_outlines_hold_their_sources_and_most_of_their_light(field):
    sources, labels = field.sources, field.segments.data
    assert set(np.unique(labels)) == {0, *sources["label"]}
    clusters = sources[sources["class"] < 4]
    alone = clusters[clusters["class"] == 1]
    inside = labels[np.rint(alone["y"]).astype(int), np.rint(alone["x"]).astype(int)]
    assert np.mean(inside == alone["label"]) > 0.8
    for row in sources[:20]:
        y, x = np.nonzero(labels == row["label"])
        assert (x.min(), x.max(), y.min(), y.max()) == tuple(
            row[name] for name in ("xmin", "xmax", "ymin", "ymax")
        )
    known = sources[sources["candidate"] > 0]
    rows = np.searchsorted(field.truth["id"], known["candidate"])
    np.testing.assert_array_equal(field.truth["class"][rows], known["class"])
    np.testing.assert_allclose(field.truth["x"][rows], known["x"])


def test_outlines_do_not_change_the_images(field):
    plain = simulate_field(shape=(128, 144), seed=3, density=8e-4)
    assert plain.sources is None
    for band, other in zip(field.images.values(), plain.images.values(), strict=True):
        np.testing.assert_array_equal(band.data, other.data)


def test_outlines_on_other_pixels_are_refused():
    with pytest.raises(ValueError, match="omit outlines"):
        simulate_field(
            shape=(64, 64),
            seed=1,
            system=replace(LEGUS_BANDS, name="wide", pixel_scale=0.05),
            outlines=True,
        )


def test_field_without_outlines_is_refused():
    with pytest.raises(ValueError, match="outlines=True"):
        DetectionField.of(simulate_field(shape=(64, 64), seed=1))


def test_tiles_show_the_sources_that_they_name(known):
    recipe = DetectorRecipe(batches=4, batch_size=3, tile=64, masks=True, max_missing_bands=0)
    tiles = Tiles([known], recipe, seed=1)
    tiles.epoch = lambda: 0
    pixels, targets = tiles[1]
    assert pixels.shape == (3, 5, 64, 64)
    assert torch.isfinite(pixels).all()
    assert sum(len(target["boxes"]) for target in targets) > 0
    for image, target in zip(pixels, targets, strict=True):
        sky = image[3][target["masks"].sum(dim=0) == 0].median()
        for box, mask in zip(target["boxes"].int(), target["masks"].bool(), strict=True):
            y, x = np.nonzero(mask.numpy())
            assert (x.min(), y.min(), x.max() + 1, y.max() + 1) == tuple(box.tolist())
        if len(target["masks"]):
            assert image[3][target["masks"].bool().any(dim=0)].median() > sky
    again, _ = tiles[1]
    assert torch.equal(pixels, again)


def test_tiles_lack_bands_but_never_all(known):
    recipe = DetectorRecipe(batches=1, batch_size=12, tile=32, max_missing_bands=4)
    tiles = Tiles([known], recipe, seed=1)
    tiles.epoch = lambda: 0
    present = (tiles[0][0] != 0).any(dim=3).any(dim=2).sum(dim=1)
    assert present.min() >= 1
    assert present.min() < 5


def test_damaged_tiles_name_only_what_is_left(known):
    recipe = DetectorRecipe(
        batches=1, batch_size=24, tile=64, max_missing_bands=0, damage=("blocks",)
    )
    tiles, whole = (Tiles([known], each, seed=1) for each in (recipe, replace(recipe, damage=())))
    tiles.epoch = whole.epoch = lambda: 0
    pixels, targets = tiles[0]
    assert torch.isfinite(pixels).all()
    assert (pixels[:, 3] == 0).sum() > (whole[0][0][:, 3] == 0).sum()
    for image, target in zip(pixels, targets, strict=True):
        for x0, y0, x1, y1 in target["boxes"].int().tolist():
            assert (image[:, y0:y1, x0:x1] != 0).any()
    with pytest.raises(ValueError, match="damage must be a tuple of kinds"):
        DetectorRecipe(damage="blocks")


def test_tiles_of_a_field_smaller_than_a_tile(known):
    recipe = DetectorRecipe(batches=1, batch_size=1, tile=256)
    tiles = Tiles([known], recipe, seed=1)
    tiles.epoch = lambda: 0
    assert tiles[0][0].shape == (1, 5, 256, 256)


def test_labels_become_disks_that_do_not_overlap():
    images = spots((80, 90), [(20, 30), (26, 30), (60, 60)])
    table = Table({"x": [20.0, 26.0, 60.0, 500.0], "y": [30.0, 30.0, 60.0, 10.0]})
    labels = np.ma.array([1, 4, 3, 2], mask=[0, 0, 0, 0])
    field = DetectionField.labeled(images, table, labels, radius=4)
    assert field.classes.tolist() == [1, 4, 3]
    assert not field.simulated
    assert field.segments[30, 20] == 1
    assert field.segments[30, 24] == 2
    assert np.count_nonzero(field.segments == 3) == 49
    assert field.segments[30, 41] == 0
    assert field.segments[30, 43] == field.segments[70, 10] == -1
    with pytest.raises(ValueError, match="check that table and images are of one field"):
        DetectionField.labeled(images, table, np.ma.masked_all(4, int))
    with pytest.raises(ValueError, match="2 labels for 4 rows"):
        DetectionField.labeled(images, table, [1, 2])
    with pytest.raises(ValueError, match="radius must be positive, not 0"):
        DetectionField.labeled(images, table, labels, radius=0)


def test_simulated_fields_in_use_slide():
    fields = SimulatedFields(1, ["ngc628-c"])
    assert list(fields.in_use(0)) == [0]
    assert fields.in_use(100)[-1] == 5
    assert fields.in_use(4000)[0] > fields.in_use(100)[-1]
    assert SimulatedFields(1, "ngc628-c").like == ["ngc628-c"]


def test_simulated_fields_are_drawn_once(monkeypatch, known):
    drawn = []
    monkeypatch.setattr(
        SimulatedFields, "_draw_field", lambda self, number: drawn.append(number) or known
    )
    monkeypatch.setattr(samples, "BATCHES_PER_EPOCH", 2)
    monkeypatch.setattr(samples, "_BATCHES_PER_FIELD", 2)
    recipe = DetectorRecipe("native-small", "none", batches=4, batch_size=8, tile=32)
    train_detector(SimulatedFields(1, ["ngc628-c"]), name="mine", recipe=recipe)
    assert drawn == [0, 1]


def test_command_trains_on_simulated_fields(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "_SHAPE", (64, 64))
    known = SimulatedFields(1, ["ngc628-c"])[0]
    assert known.simulated
    assert known.pixels.shape == (5, 64, 64)
    output = tmp_path / "mine.safetensors"
    train = ["train-detector", "--simulate", "--backbone", "native-small", "--weights", "none"]
    train += ["--batches", "1", "--batch-size", "1", "--tile", "32", "-q", "-o", str(output)]
    assert main(train) == 0
    assert load_detector(output).card.simulated


def test_simulated_fields_of_other_pixels_are_refused():
    with pytest.raises(ValueError, match="train on labels"):
        SimulatedFields(1, ["ngc628-c"], replace(LEGUS_BANDS, name="wide", pixel_scale=0.05))


@pytest.mark.parametrize("masks", [False, True])
def test_training_resumes_where_it_was(known, tmp_path, masks):
    recipe = DetectorRecipe(
        "native-small", "none", masks, batches=2, batch_size=2, tile=64, max_missing_bands=1
    )
    options = {"name": "mine", "recipe": recipe, "seed": 3}
    first = train_detector([known], folder=tmp_path / "run", **options)
    again = train_detector([known], folder=tmp_path / "run", **options)
    other = train_detector([known], **options)
    for one in (again, other):
        for name, values in first.network.state_dict().items():
            assert torch.equal(values, one.network.state_dict()[name])
    with pytest.raises(ValueError, match="another folder"):
        train_detector([known], folder=tmp_path / "run", **(options | {"seed": 4}))
    with pytest.raises(ValueError, match="another folder"):
        train_detector([known], folder=tmp_path / "run", **options, classes="cluster")


def test_training_of_a_detector_that_was_not_saved_is_not_that_of_another(known, tmp_path):
    recipe = DetectorRecipe(batches=1, batch_size=1, tile=32)
    start = random_detector()
    train_detector([known], name="a", recipe=recipe, start=start, folder=tmp_path / "run")
    with torch.no_grad():
        start.network.heads.box_predictor.cls_score.bias += 1
    with pytest.raises(ValueError, match="another folder"):
        train_detector([known], name="a", recipe=recipe, start=start, folder=tmp_path / "run")


def test_training_with_other_first_weights_does_not_resume(known, tmp_path):
    recipe = DetectorRecipe("native", "none", batches=1, batch_size=1, tile=32)
    train_detector([known], name="mine", recipe=recipe, folder=tmp_path / "run")
    other = replace(recipe, weights="simulated-3")
    with pytest.raises(ValueError, match="another folder"):
        train_detector([known], name="mine", recipe=other, folder=tmp_path / "run")


def test_nothing_is_learned_where_sources_may_be_unlabeled():
    network = create_detector_network("native-small", weights="none").train()
    boxes = torch.tensor([[10.0, 10, 16, 16]])
    target = {"boxes": boxes, "labels": torch.tensor([2])}
    unknown = torch.zeros(64, 64, dtype=torch.bool)
    unknown[:, 32:] = True
    anchors = [torch.tensor([[10.0, 10, 16, 16], [20, 40, 26, 46], [40, 40, 46, 46]])]
    for extra, expected in (({}, [1, 0, 0]), ({"unknown": unknown}, [1, 0, -1])):
        labels, _ = network.proposals.assign_targets_to_anchors(anchors, [target | extra])
        assert labels[0].tolist() == expected
        network.heads.targets = [target | extra]
        _, labels = network.heads.assign_targets_to_proposals(anchors, [boxes], [torch.tensor([2])])
        assert labels[0].tolist() == [2 * expected[0], *expected[1:]]
    losses = network(torch.zeros(1, 5, 64, 64), [target | {"unknown": ~torch.zeros_like(unknown)}])
    assert all(torch.isfinite(loss) for loss in losses.values())


def test_random_numbers_of_the_caller_stay(known):
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    recipe = DetectorRecipe("native-small", "none", batches=1, batch_size=1, tile=32)
    train_detector([known], name="mine", recipe=recipe)
    assert torch.equal(torch.rand(1), wanted)


def test_fine_tuning_starts_from_the_detector(known):
    start = random_detector()
    recipe = DetectorRecipe(batches=1, batch_size=1, tile=32, learning_rate=1e-9)
    tuned = train_detector([known], name="tuned", recipe=recipe, start=start)
    assert tuned.card.backbone == "native-small"
    weight = start.network.pyramid.body.network.pixels.weight
    assert torch.allclose(tuned.network.pyramid.body.network.pixels.weight, weight, atol=1e-6)
    assert tuned.network is not start.network
    # The class frequencies are those of the new fields from the start.
    fractions = np.bincount(known.classes, minlength=5)[1:] / len(known.classes)
    np.testing.assert_allclose(tuned.network.heads.there, fractions, atol=0.01)
    assert (start.network.heads.there == 0.25).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batches": 0}, "batches must be a whole number of at least 1, not 0"),
        ({"batches": 2.5}, "batches must be a whole number"),
        ({"max_missing_bands": -1}, "max_missing_bands must be a whole number of at least 0"),
        ({"tile": 100}, "multiple of 8"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
    ],
)
def test_recipes_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        DetectorRecipe(**options)


def test_training_set_is_checked(known):
    with pytest.raises(ValueError, match="pass at least one"):
        train_detector([], name="mine")
    three = DetectionField(known.pixels[:3], known.segments, known.classes)
    with pytest.raises(ValueError, match="3 bands, but the detector uses 5"):
        train_detector([three], name="mine")
    scheme = find_class_scheme("cluster")
    strange = DetectionField(known.pixels, known.segments, known.classes + 90)
    with pytest.raises(ValueError, match="are not classes of"):
        train_detector([strange], name="mine", classes=scheme)


@pytest.mark.parametrize("shape", [(300, 700), (257, 256), (40, 40)])
def test_each_source_is_found_once_in_any_tiling(shape):
    rng = np.random.default_rng(2)
    grid = np.stack(np.meshgrid(np.arange(6, shape[1] - 6, 9), np.arange(6, shape[0] - 6, 9)), -1)
    positions = grid.reshape(-1, 2)[rng.permutation(grid[..., 0].size)[:300]]
    # On the borders of tiles, too.
    positions = [tuple(map(int, each)) for each in positions]
    detector = Detector(DetectorCard("peaks", "native", "none", max_missing_bands=4), Peaks())
    found, segments = detector.find(spots(shape, positions))
    assert segments is None
    assert {(int(x), int(y)) for x, y in found.iterrows("x", "y")} == set(positions)
    assert len(found) == len(positions)
    assert (np.diff(found["y"]) >= 0).all()
    np.testing.assert_allclose(found["det_score"], 0.95, rtol=1e-5)
    assert set(found["det_class"]) == {4}


def test_outlined_flux_of_touching_sources_is_shared():
    images = spots((80, 80), [(40, 40), (44, 40)])
    detector = Detector(
        DetectorCard("peaks", "native", "none", max_missing_bands=4, masks=True), Peaks(masks=True)
    )
    found, segments = detector.find(images, segmentation=True)
    assert isinstance(segments, SegmentationImage)
    assert segments.labels.tolist() == [1, 2]
    assert segments.data[40, 40] == 1
    assert segments.data[40, 44] == 2
    total = images["V"].data[38:43, 38:47].sum()
    assert found["flux"].sum() == pytest.approx(total, rel=0.03)
    np.testing.assert_array_equal(found["flux"], found["det_flux_v"])


def test_threshold_may_be_as_low_as_wanted(field):
    sources, _ = random_detector().find(field.images, min_score=0)
    middle = float(np.median(sources["det_score"]))
    some, _ = random_detector().find(field.images, min_score=middle)
    assert 0 < len(some) < len(sources)
    assert some["det_score"].min() >= middle
    network = random_detector().network
    with torch.no_grad():
        network.heads.box_predictor.cls_score.bias[0] += 10
    faint, _ = Detector(DetectorCard("faint", "native-small", "none"), network).find(
        field.images, min_score=1e-6
    )
    assert 0 < faint["det_score"].max() < 0.05


class Copies(Peaks):
    """Finds each peak twice, so that the second time no pixel is left for it."""

    def forward(self, pixels, *, min_score):
        found = super().forward(pixels, min_score=min_score)
        return [{name: values.repeat_interleave(2, dim=0) for name, values in found[0].items()}]


def test_candidates_without_pixels_of_their_own_have_no_segment(field):
    detector = Detector(DetectorCard("copies", "native", "none", masks=True), Copies(masks=True))
    preset = replace(PRESETS["legus"], method="rcnn", detect_in="all", detector=detector)
    with pytest.raises(ValueError, match=r"choose a value such as 0\.5"):
        find_candidates(field.images, distance=10, preset=preset)
    sources, segments = find_candidates(
        field.images,
        distance=10,
        preset=replace(preset, threshold=0.5),
        keep_rejected=True,
        segmentation=True,
    )
    assert set(segments.labels) < set(sources["id"])


def test_outlines_of_a_detector_without_masks_are_refused():
    images = spots((64, 64), [(30, 30)])
    with pytest.raises(ValueError, match="trained with masks"):
        find_sources(images, method="rcnn", model=random_detector(), segmentation=True)


def test_fluxes_of_outlines_are_beside_those_of_apertures(field):
    images = {"V": field.images["V"], "I": field.images["I"]}
    images = {role: (band.data, field.images.wcs) for role, band in images.items()}
    sources = find_sources(images, method="rcnn")
    measured = measure_photometry(sources, images)
    assert {"det_flux_v", "flux_v", "det_flux_i", "flux_i"} <= set(measured.colnames)


def test_found_sources_go_into_the_classifier(field):
    detector = Detector(DetectorCard("peaks", "native", "none", max_missing_bands=4), Peaks())
    sources = find_sources(field.images, method="rcnn", model=detector)
    assert sources.colnames[:7] == ["id", "x", "y", "ra", "dec", "area", "flux"]
    assert sources["det_prob_1"].description
    inside = (abs(sources["x"] - 72) < 46) & (abs(sources["y"] - 64) < 38)
    sources = sources[inside]
    classified = classify_table(sources, field.images)
    assert len(classified) == len(sources)
    assert "class" in classified.colnames


def test_images_without_sources_or_bands():
    blank = ImageSet({"V": np.random.default_rng(1).normal(size=(64, 64))})
    detector = Detector(DetectorCard("peaks", "native", "none", max_missing_bands=4), Peaks())
    sources = find_sources(blank, method="rcnn", model=detector)
    assert len(sources) == 0
    assert "det_prob_4" in sources.colnames
    with pytest.raises(ValueError, match="unknown detector 'mine'; available are simulated"):
        find_sources(blank, method="rcnn", model="mine")
    with pytest.raises(ValueError, match="omit it"):
        find_sources(blank["V"], model=detector)
    with pytest.raises(TypeError, match="a path or a Detector, not <Classifier"):
        find_sources(blank, method="rcnn", model=load_classifier())
    with pytest.raises(ValueError, match="must be a probability up to 1"):
        find_sources(blank, method="rcnn", model=detector, threshold=20)
    with pytest.raises(ValueError, match="from 0 to 1"):
        detector.find(blank, min_score=20)


def test_too_few_bands_are_refused():
    images = spots((64, 64), [(30, 30)])
    detector = Detector(DetectorCard("peaks", "native", "none"), Peaks())
    with pytest.raises(ValueError, match=r"at least 2 of the bands NUV, .* only V; add bands"):
        detector.find(images)


def test_missing_pixels_are_no_sources():
    images = spots((64, 64), [(30, 30)])
    data = images["V"].data.copy()
    data[:, 50:] = np.nan
    data[29:31, 10] = np.nan
    detector = Detector(DetectorCard("peaks", "native", "none", max_missing_bands=4), Peaks())
    found, _ = detector.find(ImageSet({"V": data}))
    assert len(found) == 1


class Everywhere(nn.Module):
    """Finds a source in each square of 8 pixels, as a network may where it sees nothing."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, pixels, *, min_score):
        x0, y0 = np.meshgrid(*(np.arange(0, n, 8.0) for n in pixels.shape[:1:-1]))
        boxes = np.column_stack([x0.ravel(), y0.ravel(), x0.ravel() + 8, y0.ravel() + 8])
        found = {"boxes": boxes, "scores": np.tile([0.6, 0.2, 0.1, 0.05], (len(boxes), 1))}
        return [{name: torch.tensor(value).float() for name, value in found.items()}]


def test_where_there_are_no_pixels_there_are_no_sources():
    detector = Detector(
        DetectorCard("everywhere", "native", "none", max_missing_bands=4), Everywhere()
    )
    data = np.random.default_rng(1).normal(size=(64, 640)).astype(np.float32)
    data[:, :400] = np.nan
    found, _ = detector.find({"V": data})
    assert len(found) == 8 * 30
    assert found["x"].min() > 400
    found, _ = detector.find({"V": np.full((64, 64), 5.0)})
    assert len(found) == 0
    assert "det_prob_4" in found.colnames


class Widths(Peaks):
    """Notes the shapes of tiles."""

    def forward(self, pixels, *, min_score):
        self.shapes = [*getattr(self, "shapes", []), tuple(pixels.shape[2:])]
        return super().forward(pixels, min_score=min_score)


def test_tiles_are_as_wide_as_those_of_the_training():
    network = Widths()
    found, _ = Detector(
        DetectorCard("widths", "native", "none", max_missing_bands=4), network
    ).find(spots((50, 261), [(30, 30), (259, 20)]))
    assert network.shapes == [(128, 264), (128, 128)]
    np.testing.assert_allclose(found["x"], [259, 30])


def test_blank_bands_are_absent():
    images = spots((64, 64), [(30, 30)])
    data = {"V": images["V"].data, "I": np.full((64, 64), np.nan)}
    detector = Detector(
        DetectorCard("peaks", "native", "none", max_missing_bands=4, masks=True), Peaks(masks=True)
    )
    found, _ = detector.find(data)
    alone, _ = detector.find(images)
    assert found.colnames == alone.colnames
    np.testing.assert_array_equal(found["x"], alone["x"])
    with pytest.raises(ValueError, match="no good pixels in I"):
        detector.find({"I": data["I"]})


def test_other_pixel_scales_are_told():
    images = spots((64, 64), [(30, 30)])
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [-0.13 / 3600, 0.13 / 3600]
    detector = Detector(DetectorCard("peaks", "native", "none", max_missing_bands=4), Peaks())
    with pytest.warns(AstropyUserWarning, match=r"0\.1300 arcsec, but detector peaks was trained"):
        find_sources({"V": (images["V"].data, wcs)}, method="rcnn", model=detector)


def test_images_have_the_band_system_of_the_detector():
    system = replace(LEGUS_BANDS, name="mine", filters={"G": "V"}, defaults={})
    detector = Detector(
        DetectorCard("peaks", "native", "none", max_missing_bands=4, system=system), Peaks()
    )
    images = {"G": spots((64, 64), [(30, 30)])["V"].data}
    assert len(find_sources(images, method="rcnn", model=detector)) == 1


def test_files_hold_network_and_card(tmp_path):
    detector = random_detector(masks=True)
    path = tmp_path / "mine.safetensors"
    card = save_detector(detector, path)
    loaded = load_detector(path)
    assert loaded.card == card
    assert load_detector(loaded) is loaded
    pixels = torch.rand(1, 5, 64, 64)
    with torch.inference_mode():
        one, other = detector.network(pixels)[0], loaded.network(pixels)[0]
    assert torch.equal(one["boxes"], other["boxes"])
    with pytest.raises(OSError, match="already exists"):
        save_detector(detector, path)
    next(detector.network.parameters()).data[:] = torch.nan
    with pytest.raises(ValueError, match="lower learning rate"):
        save_detector(detector, path, overwrite=True)
    assert load_detector(path).card == card


def test_damaged_and_other_files_are_refused(tmp_path):
    path = tmp_path / "mine.safetensors"
    save_detector(random_detector(), path)
    content = bytearray(path.read_bytes())
    content[-10] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged"):
        load_detector(path)
    path.write_bytes(content[:100])
    with pytest.raises(ValueError, match="is damaged"):
        load_detector(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="train_detector"):
        load_detector(path)
    with pytest.raises(ValueError, match=r"does not end in \.safetensors"):
        load_detector(tmp_path / "mine.pth")
    with pytest.raises(ValueError, match=r"does not end in \.safetensors"):
        save_detector(random_detector(), tmp_path / "mine.pth")
    with pytest.raises(OSError, match="none"):
        load_detector(tmp_path / "none.safetensors")


def test_card_of_another_version_is_refused(tmp_path):
    path = tmp_path / "mine.safetensors"
    save_detector(random_detector(), path)
    weights = load_file(path)
    save_file(weights, path, metadata={"astroclust_detector": json.dumps({"color": "red"})})
    with pytest.raises(ValueError, match="unknown entries color"):
        load_detector(path)


def test_network_is_checked():
    with pytest.raises(ValueError, match="unknown network"):
        create_detector_network("resnet19")


def test_bundled_detector_is_the_default(field, tmp_path):
    detector = load_detector()
    assert detector.card.name == DEFAULT_DETECTOR
    assert detector.card.scores["purity_at_legus_completeness"] > 0
    assert detector.card.command.startswith("python benchmarks/detection.py train")
    named = load_detector(DEFAULT_DETECTOR)
    assert named.card.sha256 == detector.card.sha256
    sources, segments = find_sources(field.images, method="rcnn", segmentation=True)
    assert len(sources) == len(find_sources(field.images, method="rcnn", model=detector))
    assert set(np.unique(segments.data)) <= {0, *sources["id"]}
    preset = PRESETS["legus"].with_detector()
    found = find_candidates(field.images, preset=preset, distance=9.9, keep_rejected=True)
    assert found.meta["DETMODEL"] == DEFAULT_DETECTOR


def test_preset_with_a_detector_keeps_photometry_and_cuts(field):
    preset = PRESETS["ngc1559"].with_detector(random_detector(), threshold=0.9)
    assert (preset.detect_in, preset.threshold) == ("all", 0.9)
    assert preset.cuts == PRESETS["ngc1559"].cuts
    found = find_candidates(field.images, preset=preset, distance=9.9, keep_rejected=True)
    assert found.meta["DETMETH"] == "rcnn"


def test_device_must_exist(field):
    with pytest.raises(ValueError, match="device 'abacus' cannot be used here"):
        random_detector().find(field.images, device="abacus")


@pytest.mark.parametrize("option", ["--radius", "--label-column"])
def test_options_of_labels_are_not_for_simulations(option, tmp_path, capsys):
    output = str(tmp_path / "mine.safetensors")
    assert main(["train-detector", "--simulate", option, "5", "-o", output]) == 1
    assert f"{option} requires --labels; omit it with --simulate" in capsys.readouterr().err


def test_command_trains_and_detects(field, tmp_path, capsys):
    field.images.write(tmp_path / "field.fits")
    images = [
        f"--image={band.filter}={tmp_path}/field.fits[{band.filter}]"
        for band in field.images.values()
    ]
    table = field.truth["x", "y", "class"]
    table.write(tmp_path / "labels.ecsv")
    output = tmp_path / "mine.safetensors"
    train = ["train-detector", "--backbone", "native-small", "--weights", "none", "-q"]
    train += ["--batches", "1", "--batch-size", "1", "--tile", "32", "-o", str(output)]
    train[1:1] = ["--damage", "lines"]
    assert main([*train, "--labels", str(tmp_path / "labels.ecsv"), *images]) == 0
    assert load_detector(output).card.training_sample.endswith("labels of labels.ecsv")
    found = tmp_path / "found.ecsv"
    detect = ["detect", *images, "--detector", str(output), "-o", str(found), "-q"]
    assert main([*detect, "--threshold", "0.9", "--keep-rejected"]) == 0
    assert Table.read(found).meta["DETMODEL"] == "mine.safetensors"
    assert main([*train[:-1], str(tmp_path / "mine.fits"), "--simulate"]) == 1
    assert "does not end in .safetensors" in capsys.readouterr().err
    assert main(train) == 1
    assert "specify either --simulate or --labels" in capsys.readouterr().err
    assert main([*detect, "--segmentation", str(found), "--overwrite"]) == 1
    assert "is also the output table; choose another file" in capsys.readouterr().err
    assert main([*detect, "--method", "daofind", "--overwrite"]) == 1
    assert "cannot be combined with --method daofind" in capsys.readouterr().err
