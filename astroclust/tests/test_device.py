# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
import torch
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from astroclust import ImageSet, classify_table, load_classifier, make_stamps, simulate_stamps
from astroclust.classification import predictions
from astroclust.classification.predictions import classify_positions
from astroclust.images import Band
from astroclust.stamps import StampFlag, device
from astroclust.stamps.device import DeviceMosaic, DeviceStamps, upload_mosaic

# Some at edges, one off the image.
X, Y = np.array([30.2, 1.0, 98.6, 60.7, 500.0]), np.array([40.9, 70.3, 99.4, 20.1, 3.0])


def _assert_equal(found, wanted):
    np.testing.assert_array_equal(found.data.cpu().numpy(), wanted.data)
    for name in ("present", "flags"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
        assert getattr(found, name).dtype == getattr(wanted, name).dtype
    assert found.bands == wanted.bands
    assert found.size == wanted.size
    assert len(found) == len(wanted)


@given(
    seed=st.integers(0, 99),
    size=st.integers(1, 40),
    masked=st.booleans(),
    kind=st.sampled_from([">f4", "<f8", ">i2"]),
)
def test_gathered_stamps_are_those_of_make_stamps(seed, size, masked, kind):
    rng = np.random.default_rng(seed)
    image = (10 * rng.normal(size=(37, 43))).astype(kind)
    if image.dtype.kind == "f":
        image[rng.random(image.shape) < 0.01] = np.nan
    image[:15] = 1
    if kind == "<f8":
        image[20, 20] = 1e39  # not finite in single precision
    mask = rng.random(image.shape) < 0.01 if masked else None
    weight = (rng.random(image.shape) > 0.01).astype(np.float32)
    images = ImageSet(
        {
            "F555W": Band("F555W", "V", image, mask, scale=0.3, blank_zeros=True),
            "F814W": Band("F814W", "I", image[::-1], weight=weight),
        }
    )
    x, y = rng.uniform(-5, 50, (2, 100))
    x[:20], y[:20] = np.round(x[:20]), np.round(y[:20]) + 0.5
    x[0] = np.nan
    rows = rng.permutation(100)[:70]
    wanted = make_stamps(Table({"x": x[rows], "y": y[rows]}), images, size=size)
    _assert_equal(DeviceMosaic(x, y, images, None, size, "cpu").cut(rows), wanted)


def test_only_what_stamps_cover_is_uploaded(field):
    part = DeviceMosaic(
        np.array([40.0, 44.0]), np.array([50.0, 51.0]), field.images, "V", 20, "cpu"
    )
    (windows,) = part._windows
    assert windows.shape == (2, 5, 20, 20)


def test_uploaded_stamps_are_selected_like_others():
    stamps = simulate_stamps(5, seed=1)
    uploaded = DeviceStamps.of(stamps, "cpu")
    for rows in (slice(1, 4), np.array([3, 0]), np.arange(5) > 2):
        _assert_equal(uploaded[rows], stamps[rows])
        assert list(uploaded[rows].table["field"]) == list(stamps[rows].table["field"])


def test_probabilities_do_not_depend_on_where_stamps_are_gathered(field, monkeypatch):
    classifier = load_classifier().prepared()
    wanted = classify_positions(X, Y, field.images, classifier, batch_size=2)
    used = []

    def upload(*arguments):
        used.append(DeviceMosaic(*arguments))
        return used[-1]

    monkeypatch.setattr(predictions, "upload_mosaic", upload)
    found = classify_positions(X, Y, field.images, classifier, batch_size=2)
    assert len(used) == 1
    for name in ("probabilities", "flags", "lost"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    assert wanted.flags[-1] == StampFlag.OFF_IMAGE


@pytest.fixture
def gpu(monkeypatch):
    """A GPU with as much free memory as the list says, on which mosaics are not uploaded."""
    free = [1e9]
    monkeypatch.setattr(device.torch.cuda, "mem_get_info", lambda _: (free[0], 2e9))
    monkeypatch.setattr(device, "DeviceMosaic", lambda *_: "mosaic")
    return free


def _upload(n, images, target="cuda"):
    x, y = np.resize(X[:4], n), np.resize(Y[:4], n)
    return upload_mosaic(x, y, images, ("V", "I"), 50, target)


def test_a_cpu_has_the_images_already(field):
    assert _upload(1000, field.images, "cpu") is None


def test_few_stamps_are_cut_on_the_host(gpu, field):
    # The positions span some 150 x 130 pixels, those of 7 stamps.
    assert _upload(1000, field.images) == "mosaic"
    assert _upload(4, field.images) is None
    assert upload_mosaic(X[4:], Y[4:], field.images, ("V",), 50, "cuda") is None


def test_mosaics_that_do_not_fit_stay_on_the_host(gpu, field, monkeypatch):
    gpu[0] = 2e5
    assert _upload(1000, field.images) is None
    gpu[0] = 1e9

    def fail(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(device, "DeviceMosaic", fail)
    assert _upload(1000, field.images) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_stamps_on_a_gpu_are_those_of_the_host(field):
    wanted = make_stamps(Table({"x": X, "y": Y}), field.images)
    _assert_equal(DeviceMosaic(X, Y, field.images, None, 50, "cuda").cut(np.arange(5)), wanted)
    table = Table({"x": np.resize(X[:4], 400), "y": np.resize(Y[:4], 400)})
    gpu = classify_table(table, field.images, device="cuda")
    cpu = classify_table(table[:4], field.images, device="cpu")
    np.testing.assert_allclose(gpu["prob_1"][:4], cpu["prob_1"], atol=0.01)
