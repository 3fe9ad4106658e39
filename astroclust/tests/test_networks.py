# Licensed under a 3-clause BSD style license - see LICENSE.rst
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from astroclust.networks import (
    channels_last,
    create_network,
    fuse_network,
    map_blocks,
    network_blocks,
    register_network,
)

NATIVE = ["native", "native-small", "native-large"]


def count_weights(network):
    return sum(weights.numel() for weights in network.parameters())


@pytest.mark.parametrize("size", [25, 50, 100])
@pytest.mark.parametrize(("n_bands", "n_classes"), [(5, 4), (6, 4), (1, 2)])
@pytest.mark.parametrize("name", [*NATIVE, "starcnet"])
def test_a_network_gives_a_score_a_class(name, size, n_bands, n_classes):
    network = create_network(name, n_bands=n_bands, n_classes=n_classes).eval()
    scores = network(torch.zeros(3, n_bands, size, size), torch.ones(3, n_bands))
    assert scores.shape == (3, n_classes)


def test_an_absent_band_differs_from_a_dark_one():
    torch.manual_seed(0)
    network = create_network("native").eval()
    pixels = torch.zeros(1, 5, 50, 50)
    present = torch.ones(1, 5)
    absent = torch.tensor([[1.0, 1, 1, 0, 1]])
    assert not torch.allclose(network(pixels, present), network(pixels, absent))


def test_starcnet_has_the_weights_of_the_published_one_and_sees_the_middle():
    network = create_network("starcnet").eval()
    assert count_weights(network) == pytest.approx(15.3e6, rel=0.01)
    pixels = torch.rand(1, 5, 50, 50)
    other = pixels.clone()
    other[..., :9, :], other[..., :9], other[..., 41:, :], other[..., 41:] = 0, 0, 0, 0
    present = torch.ones(1, 5)
    torch.testing.assert_close(network(pixels, present), network(other, present))
    other[..., 25, 25] = 5
    assert not torch.allclose(network(pixels, present), network(other, present))


@pytest.mark.parametrize(("name", "last"), [("resnet18", 512), ("alexnet", 4096)])
def test_two_copies_and_a_matrix(name, last):
    with torch.device("meta"):  # shapes without numbers
        single = torchvision.models.get_model(name, weights=None)
        double = create_network(name, weights="none")
    head = last * 1000 + 1000
    expected = 2 * (count_weights(single) - head) + 2 * last * 4 + 4
    assert count_weights(double) == expected


@pytest.mark.parametrize("name", ["resnet18", "vgg19_bn", "squeezenet1_1", "timm/resnet10t"])
def test_copies_that_keep_their_last_layer(name):
    with torch.device("meta"):  # shapes without numbers
        single = create_network(name, n_bands=3, weights="none").branches[0]
        network = create_network(f"{name}+last", weights="none")
        assert len(network.blocks()) >= 2
        assert network(torch.zeros(2, 5, 50, 50), torch.ones(2, 5)).shape == (2, 4)
    assert network.head.in_features == 2 * 1000
    assert count_weights(network.branches[0]) > count_weights(single)


def test_last_layers_are_random_and_not_those_of_imagenet(tmp_path):
    published = torchvision.models.get_model("shufflenet_v2_x0_5", weights=None)
    torch.save(published.state_dict(), tmp_path / "shufflenet.pth")
    network = create_network("shufflenet_v2_x0_5@32+last", weights=tmp_path / "shufflenet.pth")
    first, second = network.branches
    torch.testing.assert_close(first.conv1[0].weight, published.conv1[0].weight)
    torch.testing.assert_close(second.conv1[0].weight, published.conv1[0].weight)
    lasts = [one.fc.weight for one in (first, second, published)]
    assert not torch.equal(lasts[0], lasts[1])
    assert not torch.equal(lasts[0], lasts[2])
    assert not torch.equal(lasts[1], lasts[2])


@pytest.mark.parametrize(
    "name",
    ["squeezenet1_1", "googlenet", "vit_b_32", "timm/resnet10t", "timm/vit_tiny_patch16_224"],
)
@pytest.mark.filterwarnings("error")
def test_backbones_of_other_shapes(name):
    with torch.device("meta"):  # shapes without numbers
        network = create_network(name, n_bands=4, n_classes=3, weights="none")
        pixels, present = torch.rand(2, 4, 50, 50), torch.ones(2, 4)
        assert network(pixels, present).shape == (2, 3)  # as in training
        assert network.eval()(pixels, present).shape == (2, 3)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_branches_with_given_weights_have_the_features_of_torchvision(tmp_path, suffix):
    torch.manual_seed(0)
    single = torchvision.models.resnet18(weights=None)
    path = tmp_path / f"resnet18{suffix}"
    if suffix == ".pth":
        torch.save(single.state_dict(), path)
    else:
        save_file(single.state_dict(), path)
    network = create_network("resnet18", weights=path).eval()
    pixels = torch.rand(2, 5, 299, 299)
    single.fc = torch.nn.Identity()
    single.eval()
    features = []
    network.head.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    with torch.inference_mode():
        network(pixels, torch.ones(2, 5))
        rest = torch.nn.functional.pad(pixels[:, 3:], (0, 0, 0, 0, 0, 1))
        expected = torch.cat([single(pixels[:, :3]), single(rest)], dim=1)
    torch.testing.assert_close(features[0], expected, atol=1e-5, rtol=0)


def test_random_branches_differ():
    first, second = create_network("resnet18", weights="none").branches
    assert not torch.equal(first.conv1.weight, second.conv1.weight)


def test_weights_of_another_network_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), path)
    with pytest.raises(ValueError, match=r"weights.pth does not contain the weights of resnet18"):
        create_network("resnet18", weights=path)
    for name in ("no.pth", "no.safetensors"):
        (tmp_path / name).write_bytes(b"these are no weights")
        with pytest.raises(ValueError, match=f"{name} does not contain the weights of resnet18"):
            create_network("resnet18", weights=tmp_path / name)


@pytest.mark.parametrize("name", ["resnet18", "timm/resnet10t"])
def test_weights_that_cannot_be_had(name, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    # As HF_HUB_OFFLINE=1 does for a new process; without it the hub is tried again for a minute.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match=re.escape('use a file with weights="FILE"')):
        create_network(name)


def test_a_missing_file_of_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        create_network("resnet18", weights=tmp_path / "nowhere.pth")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet", {}, "unknown network 'resnet'; .*available are native, .*timm/NAME.*resnet18"),
        ("native", {"weights": "imagenet"}, "'native' has no published weights"),
        ("native", {"n_bands": 0}, "n_bands must be at least 1, not 0"),
        ("native", {"n_classes": 0}, "n_classes must be at least 1, not 0"),
        ("resnet18@small", {"weights": "none"}, "the @ must be followed by a number of pixels"),
        ("resnet18+first", {"weights": "none"}, r"unknown network 'resnet18\+first'"),
        ("vit_b_16@64", {"weights": "none"}, "only accepts 224 pixels, not 64"),
        ("alexnet@62", {"weights": "none"}, "alexnet does not support 62 pixels; use at least 63"),
        ("squeezenet1_1@1", {"weights": "none"}, "use at least 17"),
    ],
)
def test_what_is_not_accepted_is_named(name, options, message):
    with pytest.raises(ValueError, match=message):
        create_network(name, **options)


@pytest.mark.parametrize(("n_bands", "n_copies"), [(1, 1), (3, 1), (4, 2), (6, 2), (7, 3)])
def test_three_bands_need_one_copy(n_bands, n_copies):
    with torch.device("meta"):  # shapes without numbers
        network = create_network("resnet18", n_bands=n_bands, weights="none")
        assert len(network.branches) == n_copies
        scores = network(torch.zeros(2, n_bands, 50, 50), torch.ones(2, n_bands))
    assert scores.shape == (2, 4)


def test_the_smallest_size_that_is_named_works():
    network = create_network("squeezenet1_1@17", weights="none")
    assert network.training
    assert network(torch.rand(2, 5, 50, 50), torch.ones(2, 5)).shape == (2, 4)


def test_stamps_are_resized_to_the_size_that_is_asked_for():
    network = create_network("resnet18@64", weights="none").eval()
    pixels = torch.rand(2, 5, 50, 50)
    given = []
    network.branches[0].register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].shape))
    with torch.inference_mode():
        assert network(pixels, torch.ones(2, 5)).shape == (2, 4)
    assert given == [(2, 3, 64, 64)]


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("native", 0),
        ("starcnet", 0),
        ("resnet18@32", 0),
        ("mnasnet0_5@32", 0),
        ("densenet121@32", None),
        ("timm/efficientnet_lite0@32", None),
    ],
)
def test_fused_networks_give_the_same(name, left):
    torch.manual_seed(1)
    network = create_network(name, weights="none").eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.weight, 1, 0.1)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    fused = fuse_network(network, 5, 50)
    pixels, present = torch.rand(3, 5, 50, 50), torch.ones(3, 5)
    with torch.inference_mode():
        torch.testing.assert_close(
            fused(pixels, present), network(pixels, present), rtol=1e-3, atol=1e-4
        )
    if left is not None:
        assert sum(isinstance(module, nn.BatchNorm2d) for module in fused.modules()) == left
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_what_is_not_in_sequence_is_not_fused():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(5, 5, 1), nn.BatchNorm2d(5)

        def forward(self, pixels, present):
            return self.convolution(self.norm(pixels)).mean(dim=(2, 3))

    network = Odd().eval()
    nn.init.constant_(network.norm.running_mean, 3)
    fused = fuse_network(network, 5, 8)
    assert isinstance(fused.norm, nn.BatchNorm2d)


class Brightest(nn.Module):
    """A network of a user: the brightest pixel of each band, and a matrix."""

    def __init__(self, n_bands, n_classes):
        super().__init__()
        self.first, self.head = nn.Linear(n_bands, 8), nn.Linear(8, n_classes)

    def forward(self, pixels, present):
        return self.head(self.first(pixels.amax(dim=(2, 3)) * present))


@pytest.fixture
def registered(monkeypatch):
    """Networks that are registered for one test."""
    monkeypatch.setattr("astroclust.networks._REGISTERED", {})
    register_network("brightest", Brightest)


@pytest.mark.usefixtures("registered")
def test_a_network_of_a_user():
    network = create_network("brightest", n_bands=6, n_classes=2)
    assert network(torch.zeros(3, 6, 50, 50), torch.ones(3, 6)).shape == (3, 2)
    with pytest.raises(ValueError, match="'brightest' has no published weights"):
        create_network("brightest", weights="imagenet")
    register_network("brightest", lambda n_bands, n_classes: nn.Linear(n_bands, n_classes))
    assert isinstance(create_network("brightest"), nn.Linear)
    with pytest.raises(
        ValueError, match=r"unknown network 'fainter'.*register_network.* brightest"
    ):
        create_network("fainter")
    register_network("fainter", Brightest)  # as the message says
    assert isinstance(create_network("fainter"), Brightest)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    ("name", "build", "error", "message"),
    [
        ("", Brightest, ValueError, "must be a single line of text, not ''"),
        ("two\nlines", Brightest, ValueError, "must be a single line of text"),
        (3, Brightest, ValueError, "must be a single line of text, not 3"),
        ("native", Brightest, ValueError, "network 'native' already exists; choose another name"),
        ("resnet18@64", Brightest, ValueError, "network 'resnet18@64' already exists"),
        ("timm/mine", Brightest, ValueError, "network 'timm/mine' already exists"),
        ("mine", "Brightest", TypeError, "build must accept n_bands and n_classes"),
    ],
)
def test_registrations_are_checked(name, build, error, message):
    with pytest.raises(error, match=message):
        register_network(name, build)


@pytest.mark.usefixtures("registered")
def test_what_is_built_is_checked():
    register_network("nothing", lambda n_bands, n_classes: None)
    with pytest.raises(TypeError, match=r"'nothing' is a NoneType; .* must return a torch"):
        create_network("nothing")
    register_network("empty", lambda n_bands, n_classes: nn.Identity())
    with pytest.raises(ValueError, match="'empty' has no weights"):
        create_network("empty")


def test_blocks_of_a_network_without_the_method():
    network = Brightest(5, 4)
    assert network_blocks(network) == [network.first, network.head]
    network.blocks = nn.Sequential(nn.Linear(2, 2))  # a module of that name is not the method
    assert network_blocks(network) == [network.first, network.head, network.blocks]
    network.scale = nn.Parameter(torch.ones(1))
    assert network_blocks(network) == [network]
    network = Brightest(8, 8)
    network.head.weight = network.first.weight
    assert network_blocks(network) == [network]


def test_blocks_hold_all_weights():
    class Incomplete(Brightest):
        def blocks(self):
            return [self.head]

    with pytest.raises(ValueError, match="Incomplete must return modules that contain each weight"):
        network_blocks(Incomplete(5, 4))


def test_convolutions_that_do_not_fit_are_not_fused():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(5, 4, 1), nn.BatchNorm2d(5)
            self.second, self.moving = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, affine=False)
            self.third = nn.Conv2d(4, 4, 1)
            self.still = nn.BatchNorm2d(4, track_running_stats=False)

        def forward(self, pixels, present):
            maps = self.moving(self.second(self.convolution(self.norm(pixels))))
            return self.still(self.third(maps)).mean(dim=(2, 3))

    fused = fuse_network(Odd().eval(), 5, 8)
    assert isinstance(fused.norm, nn.BatchNorm2d)
    assert isinstance(fused.moving, nn.Identity)
    assert isinstance(fused.still, nn.BatchNorm2d)


def test_convolutions_in_three_dimensions_have_no_channels_last():
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.Conv2d(2, 2, 3))
    assert channels_last(network)[0].weight.is_contiguous()
    assert channels_last(nn.Conv2d(2, 2, 3)).weight.stride()[1] == 1


def test_blocks_are_computed_on_one_thread_each():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert map_blocks(lambda _: torch.get_num_threads(), range(4)) == [1] * 4
        assert map_blocks(lambda _: torch.get_num_threads(), range(1)) == [2]
        with pytest.raises(ZeroDivisionError):
            map_blocks(lambda block: 1 / block, range(2))
        assert torch.get_num_threads() == 2
        with ThreadPoolExecutor(1) as later:
            assert later.submit(torch.get_num_threads).result() == 2
    finally:
        torch.set_num_threads(before)
