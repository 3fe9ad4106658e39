# Licensed under a 3-clause BSD style license - see LICENSE.rst
import warnings

import numpy as np
import pytest
from astropy.utils.exceptions import AstropyUserWarning
from matplotlib.figure import Figure

from astroclust import CLASSES, classify_table
from astroclust.images import BANDS
from astroclust.plotting import color_image, plot_field, plot_gallery


@pytest.fixture(scope="module")
def result(field):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # some stamps reach over the edge
        return classify_table(field.truth["x", "y"], field.images)


@pytest.mark.parametrize("bands", [BANDS, ("V",), ("NUV", "I"), ("V", "I")])
def test_any_bands_make_a_picture(bands):
    data = np.random.default_rng(0).normal(size=(len(bands), 20, 30))
    data[0, 3, 3] = np.nan
    picture = color_image(data, bands)
    assert picture.shape == (20, 30, 3)
    assert picture.max() == 255
    assert picture.std() > 10


def test_red_light_looks_red():
    data = np.zeros((5, 20, 20))
    data[4, 5:9, 5:9] = data[0, 12:16, 12:16] = 1
    picture = color_image(data, BANDS)
    assert picture[6, 6].argmax() == 0
    assert picture[13, 13].argmax() == 2


def test_the_field_shows_every_class(field, result):
    ax = plot_field(field.images, result, ax=Figure().subplots())
    markers = [len(points.get_offsets()) for points in ax.collections]
    assert markers == [np.count_nonzero(result["class"] == number) for number in CLASSES]
    np.testing.assert_allclose(
        ax.collections[0].get_offsets()[:, 0], result["x"][result["class"] == 1]
    )
    assert ax.get_xlim() == (-0.5, 199.5)
    assert ax.get_ylim() == (-0.5, 159.5)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts[0].startswith("1 symmetric cluster")


def test_the_gallery_has_a_row_a_class(field, result):
    figure = plot_gallery(result, field.images, per_class=3)
    shown = [ax for ax in figure.axes if ax.images]
    counts = [min(np.count_nonzero(result["class"] == number), 3) for number in CLASSES]
    assert len(shown) == sum(counts)
    assert shown[0].get_title().startswith("p ")
    first = result[result["class"] == result["class"][0]]
    assert f"{first['probability'].max():.2f}" in " ".join(ax.get_title() for ax in shown)
