# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
import torch

from astroclust import Stamps
from astroclust.attribution import band_importance, saliency
from astroclust.instruments import LEGUS_BANDS
from astroclust.networks import create_network
from astroclust.plotting import plot_saliency
from astroclust.stamps import normalize_stamps
from astroclust.weights import Classifier, ModelCard


@pytest.fixture
def stamps():
    rng = np.random.default_rng(0)
    data = rng.normal(0, 0.1, (3, 5, 50, 50))
    data[:, :, 20:30, 20:30] += 1
    data[1, 0] = 0  # a band that is absent
    return Stamps(data, LEGUS_BANDS.roles)


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    networks = [create_network("native-small") for _ in range(2)]
    return Classifier(ModelCard("random", "native-small", "nothing"), networks)


def test_what_pixels_say_adds_up_to_the_score(stamps, classifier):
    maps = saliency(stamps, classifier, classes=[1, 2, 4], steps=64)
    pixels = torch.from_numpy(normalize_stamps(stamps, classifier.card.normalization))
    present = torch.from_numpy(stamps.present.astype(np.float32))
    with torch.inference_mode():
        rise = [
            network(pixels, present) - network(0 * pixels, present)
            for network in classifier.networks
        ]
    expected = torch.stack(rise).mean(dim=0).numpy()[[0, 1, 2], [0, 1, 3]]
    np.testing.assert_allclose(
        maps.sum(axis=(1, 2, 3)), expected, atol=0.02 * np.abs(expected).max()
    )
    assert not maps[1, 0].any()
    assert maps[0, 0].any()


def test_the_most_probable_class_is_asked_about(stamps, classifier):
    classes = classifier.probabilities(stamps).mean(axis=0).argmax(axis=1) + 1
    np.testing.assert_array_equal(
        saliency(stamps, classifier, steps=4),
        saliency(stamps, classifier, classes=classes, steps=4),
    )
    with pytest.raises(ValueError, match="for each of 3 stamps"):
        saliency(stamps, classifier, classes=[1, 2])
    with pytest.raises(ValueError, match=r"one of \[1, 2, 3, 4\]"):
        saliency(stamps, classifier, classes=[1, 2, 5])


def test_bands_share_what_a_class_rests_on(stamps, classifier):
    maps = saliency(stamps, classifier, steps=4)
    importance = band_importance(maps, stamps.bands)
    np.testing.assert_allclose(sum(importance[band] for band in LEGUS_BANDS.roles), 1)
    assert importance["NUV"][1] == 0
    assert np.isnan(band_importance(0 * maps, stamps.bands)["V"]).all()
    with pytest.raises(ValueError, match="5 bands, not 2"):
        band_importance(maps, ("V", "I"))


def test_a_saliency_figure_has_two_rows(stamps, classifier):
    figure = plot_saliency(stamps, saliency(stamps, classifier, steps=4), row=1)
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    assert titles[0] == "NUV: 0 %"
    assert len(titles) == 5
