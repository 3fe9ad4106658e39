# Licensed under a 3-clause BSD style license - see LICENSE.rst
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from astroclust import simulate_stamps
from astroclust.networks import create_network
from astroclust.stamps import normalize_pixels
from astroclust.stamps.device import DeviceStamps
from astroclust.training import AUGMENTATIONS, Recipe, augment_stamps, fitting, renderings
from astroclust.training.augmentation import damage_some
from astroclust.training.domains import Batches, Domain
from astroclust.training.jpeg import compress_pictures

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]


@pytest.fixture(scope="module")
def stamps():
    """Stamps with a missing pixel."""
    stamps = simulate_stamps(24, size=40, seed=1)
    stamps.data[3, 1, 20, 15] = np.nan
    return stamps


@pytest.fixture(scope="module")
def pictures():
    """Smooth pictures in many colors, with some detail."""
    rng = np.random.default_rng(1)
    pixels = rng.normal(size=(12, 3, 40, 40))
    pixels = ndimage.gaussian_filter(pixels, (0, 0, 2, 2)) + 0.05 * pixels
    return np.clip(128 + 60 * pixels / pixels.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_uploaded_stamps_are_augmented_alike(name, stamps):
    wanted = AUGMENTATIONS[name](stamps, np.random.default_rng(2), size=30)
    uploaded = DeviceStamps.of(stamps, "cpu")
    found = AUGMENTATIONS[name](uploaded, np.random.default_rng(2), size=30)
    np.testing.assert_array_equal(found.data.numpy(), wanted.data)
    np.testing.assert_array_equal(found.present, wanted.present)
    np.testing.assert_array_equal(uploaded.data.numpy(), stamps.data)


def test_uploaded_stamps_are_damaged_alike(stamps):
    kinds = ("pixels", "lines", "blocks")
    wanted = damage_some(stamps, np.random.default_rng(2), kinds=kinds)
    found = damage_some(DeviceStamps.of(stamps, "cpu"), np.random.default_rng(2), kinds=kinds)
    np.testing.assert_array_equal(found.data.numpy(), wanted.data)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("quality", [40, 60, 90])
def test_compressed_pictures_are_almost_those_of_pillow(quality, halved, pictures, device):
    wanted = []
    for picture in pictures[:, :, :32, :32]:
        file = BytesIO()
        sampling = "4:2:0" if halved else "4:4:4"
        image = Image.fromarray(picture.transpose(1, 2, 0))
        image.save(file, "JPEG", quality=quality, subsampling=sampling)
        wanted.append(np.asarray(Image.open(file), float).transpose(2, 0, 1))
    tensor = torch.from_numpy(pictures[:, :, :32, :32].astype(np.float32)).to(device)
    found = compress_pictures(tensor, [quality] * 12, [halved] * 12).cpu().numpy()
    loss = np.std(wanted - pictures[:, :, :32, :32])
    assert np.std(found - wanted) < 0.3 * loss
    assert abs(np.mean(found - wanted)) < 0.1


def test_pictures_may_have_different_settings(pictures):
    tensor = torch.from_numpy(pictures[:2, :, :32, :32].astype(np.float32))
    both = compress_pictures(tensor, [30, 95], [True, False])
    for i, (quality, halved) in enumerate([(30, True), (95, False)]):
        one = compress_pictures(tensor[i : i + 1], [quality], [halved])
        assert (both[i : i + 1] - one).abs().mean() < 0.5  # but for rounding


def test_pictures_of_different_sizes_are_compressed_together(pictures):
    rng = np.random.default_rng(3)
    groups = [torch.from_numpy(pictures[:5, :, :13, :13].astype(np.float32))]
    groups.append(torch.from_numpy(pictures[5:].astype(np.float32)))
    settings = [renderings._draw_settings(len(group), rng) for group in groups]
    wanted = renderings._compress(groups, settings)
    found = renderings._compress_at_once(groups, settings)
    for one, other, before in zip(found, wanted, groups, strict=True):
        assert one.shape == other.shape
        assert (one - other).std() < 0.3 * (other - before).std()


def test_stamps_are_rendered_alike_at_once(stamps, monkeypatch):
    wanted = augment_stamps(stamps, np.random.default_rng(4))
    monkeypatch.setattr(renderings, "_compress", renderings._compress_at_once)
    found = augment_stamps(DeviceStamps.of(stamps, "cpu"), np.random.default_rng(4))
    np.testing.assert_array_equal(found.present, wanted.present)
    present = torch.from_numpy(found.present)
    pixels = [normalize_pixels(torch.as_tensor(one.data), present) for one in (found, wanted)]
    assert (pixels[0] - pixels[1]).abs().mean() < 0.1 * pixels[1].std()


def _batches(stamps, seed, augmentation="observations"):
    targets = np.eye(4, dtype=np.float32)[np.arange(len(stamps)) % 4]
    domain = Domain(stamps, targets, np.arange(len(stamps)), 30, augmentation=augmentation)
    batches = Batches([domain], Recipe(batch_size=8), seed=seed)
    batches.epoch = lambda: 2
    return batches


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("augmentation", [None, "turns", "pictures"])
def test_batches_are_the_same_on_each_device(augmentation, device, stamps):
    options = {"seed": None} if augmentation is None else {"seed": 1, "augmentation": augmentation}
    wanted, found = _batches(stamps, **options), _batches(stamps, **options)
    found.device = torch.device(device)
    for number in range(len(wanted)):
        for one, other in zip(found[number], wanted[number], strict=True):
            assert one.device.type == device
            assert one.dtype == other.dtype
            if device == "cpu" or augmentation != "pictures":  # whose noise each device draws
                np.testing.assert_allclose(one.cpu(), other, atol=1e-3)


def _train(stamps, folder):
    folder.mkdir()
    torch.manual_seed(1)
    network = create_network("native-small")
    domains = [_batches(stamps, 1, name).domains[0] for name in ("observations", "turns")]
    recipe = Recipe(architecture="native-small", batch_size=8, epochs=2)
    options = {"seed": 1, "folder": folder, "progress_bar": False}
    fitting.fit_network(network, domains, domains[:1], recipe, **options)
    return network.state_dict()


def test_trainings_are_the_same_without_loaders(stamps, tmp_path, monkeypatch):
    wanted = _train(stamps, tmp_path / "loaders")
    loaders = fitting._loaders

    def on_device(batches, watched, _):
        both = loaders(batches, watched, torch.device("cuda"))
        assert batches.device == watched.device == torch.device("cuda")
        assert both[0].num_workers == both[1].num_workers == 0
        batches.device = watched.device = torch.device("cpu")
        return both

    monkeypatch.setattr(fitting, "_loaders", on_device)
    found = _train(stamps, tmp_path / "device")
    for name, weights in wanted.items():
        torch.testing.assert_close(found[name], weights)


@pytest.mark.parametrize("device", DEVICES)
def test_a_batch_depends_on_its_number_alone(device, stamps):
    for augmentation in AUGMENTATIONS:
        first, second = (_batches(stamps, 1, augmentation) for _ in range(2))
        first.device = second.device = torch.device(device)
        first[0]
        for one, other in zip(first[1], second[1], strict=True):
            np.testing.assert_allclose(one.cpu(), other.cpu(), atol=1e-3)


@needs_gpu
def test_augmentation_on_a_gpu_agrees_with_that_on_the_cpu(stamps):
    wanted = augment_stamps(stamps, np.random.default_rng(4))
    found = augment_stamps(DeviceStamps.of(stamps, "cuda"), np.random.default_rng(4))
    np.testing.assert_array_equal(found.present, wanted.present)
    present = torch.from_numpy(found.present)
    pixels = [normalize_pixels(torch.as_tensor(one.data).cpu(), present) for one in (found, wanted)]
    assert (pixels[0] - pixels[1]).abs().mean() < 0.1 * pixels[1].std()
