# Licensed under a 3-clause BSD style license - see LICENSE.rst
from dataclasses import replace

import numpy as np
import pytest
import torch

from astroclust import Stamps
from astroclust.attribution import band_importance, reduce_input, saliency
from astroclust.instruments import LEGUS_BANDS
from astroclust.networks import create_network
from astroclust.plotting import plot_reduced_input, plot_saliency
from astroclust.stamps import normalize_stamps, without_bands
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


@pytest.fixture
def tolerant(classifier):
    """A classifier that allows all bands but one to be missing."""
    return Classifier(replace(classifier.card, max_missing_bands=4), classifier.networks)


def test_a_reduced_input_loses_the_saliency_of_its_missing_bands(stamps, tolerant):
    reduced = reduce_input(stamps, tolerant, inputs=[("I", "V"), ("NUV", "V")], steps=4)
    assert reduced.inputs == (LEGUS_BANDS.roles, ("V", "I"), ("NUV", "V"))
    np.testing.assert_array_equal(
        reduced.classes, tolerant.probabilities(stamps).mean(axis=0).argmax(axis=1) + 1
    )
    bare = without_bands(stamps, [0, 1, 2])
    np.testing.assert_allclose(
        reduced.probabilities[1], tolerant.probabilities(bare).mean(axis=0), rtol=1e-5
    )
    np.testing.assert_allclose(
        reduced.maps[1], saliency(bare, tolerant, classes=reduced.classes, steps=4), atol=1e-5
    )
    importance = band_importance(reduced.maps[0], stamps.bands)
    losses = reduced.losses()
    assert losses["input"].tolist() == ["V+I"] * 3 + ["NUV+V"] * 3
    lost = sum(importance[band] for band in ("NUV", "U", "B"))
    np.testing.assert_allclose(losses["lost"][:3], lost, rtol=1e-5)
    np.testing.assert_allclose(losses["lost_U"][:3], importance["U"], rtol=1e-5)
    assert np.isnan(losses["lost_V"]).all()
    assert ((losses["core"] > 0) & (losses["core"] <= 1)).all()


def test_reduced_inputs_by_default(stamps, tolerant):
    assert reduce_input(stamps[:1], tolerant, steps=1).inputs[1:] == (("V", "I"), ("V",))


def test_bands_that_no_stamp_has_are_not_lost(stamps, tolerant):
    two = without_bands(stamps, [0, 1, 2])
    reduced = reduce_input(two, tolerant, steps=1)
    assert reduced.inputs == (("V", "I"), ("V",))
    losses = reduced.losses()
    assert np.isnan([losses[f"lost_{band}"] for band in ("NUV", "U", "B", "V")]).all()
    assert np.isfinite(losses["lost_I"]).all()
    titles = [ax.get_title() for ax in plot_reduced_input(two, reduced).axes]
    assert titles[2:5] == ["V+I", "V", "lost with V"]
    with pytest.raises(ValueError, match="have only the bands V, so no reduced input"):
        reduce_input(without_bands(stamps, [0, 1, 2, 4]), tolerant, steps=1)
    with pytest.raises(ValueError, match=r"some but not all of the bands \['V', 'I'\]"):
        reduce_input(two, tolerant, inputs=[("NUV", "V")], steps=1)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "list the bands to keep"),
        ([()], r"each once, not \(\)"),
        (["V"], "some but not all of the bands"),
        ([("V", "V")], "some but not all of the bands"),
        ([("V", "HA")], "some but not all of the bands"),
        ([LEGUS_BANDS.roles], "some but not all of the bands"),
        ([("NUV",)], "1 stamps have none of the bands NUV"),
    ],
)
def test_inputs_that_cannot_be(stamps, tolerant, inputs, message):
    with pytest.raises(ValueError, match=message):
        reduce_input(stamps, tolerant, inputs=inputs, steps=1)


def test_a_card_says_how_many_bands_may_be_missing(stamps, classifier):
    with pytest.raises(ValueError, match=r"allows 1 missing bands, but V\+I lacks 3"):
        reduce_input(stamps, classifier, inputs=[("V", "I")])


def test_a_figure_of_reduced_inputs(stamps, tolerant):
    reduced = reduce_input(stamps, tolerant, inputs=[("V", "I")], steps=4)
    figure = plot_reduced_input(stamps, reduced, titles=["a", "b", "c"])
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[:5] == ["color", "probabilities", "all bands", "V+I", "lost with V+I"]
    assert [ax.get_ylabel() for ax in figure.axes[::5]] == ["a", "b", "c"]
    loss = reduced.losses()[0]
    assert figure.axes[4].get_xlabel().startswith(f"{100 * loss['lost']:.0f} % lost\nNUV ")
    chance = reduced.probabilities[0, 0].max()
    assert figure.axes[2].get_xlabel() == f"P({reduced.classes[0]}) {chance:.2f}"
    with pytest.raises(ValueError, match="3 stamps require as many titles, not 1"):
        plot_reduced_input(stamps, reduced, titles=["a"])
    with pytest.raises(ValueError, match="there are 2 stamps, but reduced has 3"):
        plot_reduced_input(stamps[:2], reduced)
