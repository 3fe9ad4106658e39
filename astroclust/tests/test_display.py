# Licensed under a 3-clause BSD style license - see LICENSE.rst
import base64
import io
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from astroclust import ImageSet, Stamps, load_classifier, make_stamps
from astroclust.plotting import show_table
from astroclust.weights import Classifier


def pictures(html):
    """The pictures in HTML, as arrays."""
    contents = re.findall(r"data:image/jpeg;base64,([^\"]+)", html)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in contents]


@pytest.fixture(scope="module")
def stamps(field):
    rng = np.random.default_rng(1)
    table = Table({"x": rng.uniform(0, 200, 30), "y": rng.uniform(0, 160, 30)})
    return make_stamps(table, field.images)


def test_images_show_a_picture_and_their_text(field):
    html = field.images._repr_html_()
    (picture,) = pictures(html)
    assert picture.shape == (160, 200, 3)
    assert picture.std() > 10
    assert "ImageSet: NUV F275W, U F336W" in html
    assert "&lt;ImageSet" in html


def test_the_picture_has_y_up():
    data = np.zeros((60, 60))
    data[50:55, 5:10] = 1
    (picture,) = pictures(ImageSet({"V": data})._repr_html_())
    assert picture[5:10, 5:10].mean() > 200
    assert picture[50:55, 5:10].mean() < 50


def test_large_images_make_a_small_display():
    noise = np.random.default_rng(0).normal(size=(2000, 2300)).astype(np.float32)
    html = ImageSet({"F555W": noise, "F814W": noise[::-1]})._repr_html_()
    assert len(html) < 200_000
    (picture,) = pictures(html)
    assert picture.shape == (400, 460, 3)


def test_stamps_show_the_first_of_them(stamps):
    html = stamps._repr_html_()
    (picture,) = pictures(html)
    assert picture.shape == (3 * 52, 8 * 52, 3)
    assert "first 24 of &lt;Stamps: 30 of 50 x 50 pixels" in html
    few = stamps[:3]._repr_html_()
    assert "first" not in few
    (picture,) = pictures(few)
    assert picture[:, 4 * 52 :].min() > 200  # nothing there
    assert not pictures(stamps[:0]._repr_html_())


def test_stamps_of_any_size_and_bands(stamps):
    wide = Stamps(np.random.default_rng(1).normal(size=(2, 5, 300, 300)), stamps.filters)
    html = wide._repr_html_()
    assert len(html) < 200_000
    assert pictures(html)[0].shape[0] == 75 + 2
    some = np.array(stamps.data)
    some[:, :3] = 0
    red = Stamps(some, stamps.filters)
    assert pictures(red._repr_html_())[0].std() > 10
    nothing = Stamps(np.zeros((2, 5, 50, 50)), stamps.filters)
    assert "Stamps: 2 of" in nothing._repr_html_()


def test_a_classifier_shows_its_card():
    classifier = load_classifier()
    html = classifier._repr_html_()
    card = classifier.card
    for text in (card.name, card.sha256, "symmetric cluster", "NGC 1566", card.command):
        assert text in html
    for sample in card.galaxy_scores.values():
        assert f'<td style="text-align: left">{sample["accuracy"]:.6g}</td>' in html
    odd = replace(card, name="<b>", scores={}, galaxy_scores={})
    html = Classifier(odd, classifier.networks)._repr_html_()
    assert "&lt;b&gt;" in html
    assert "scores" not in html


@pytest.mark.parametrize("package", ["astroclust.plotting.images", "PIL"])
def test_without_packages_there_is_the_text(field, stamps, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    assert field.images._repr_html_() is None
    assert stamps._repr_html_() is None
    assert "native" in load_classifier()._repr_html_()
    assert repr(field.images).startswith("<ImageSet")


def test_a_display_does_not_fail(field, caplog):
    band = replace(field.images["V"], data=None)
    images = ImageSet(dict(field.images))
    images._bands["F555W"] = band
    caplog.set_level("INFO", "astroclust")
    assert images._repr_html_() is None
    assert "ImageSet is shown as text" in caplog.text


def test_texts_of_a_table_are_escaped(field):
    table = field.truth[:2]
    table["id"] = ["<img src=x onerror=alert(1)>", "<b>two"]
    shown = show_table(table, field.images)._repr_html_()
    assert "<img src=x" not in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert shown.count("<img width=") == 2
