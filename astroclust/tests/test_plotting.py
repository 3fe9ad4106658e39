# Licensed under a 3-clause BSD style license - see LICENSE.rst
import warnings

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from astropy.utils.exceptions import AstropyUserWarning
from matplotlib.figure import Figure

from astroclust import classify_table
from astroclust.evaluation import (
    calibration_curve,
    confusion_matrix,
    entropy_distribution,
    mean_confusion,
)
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES
from astroclust.plotting import (
    color_image,
    plot_calibration,
    plot_color_color,
    plot_color_magnitude,
    plot_confusion,
    plot_entropy,
    plot_field,
    plot_gallery,
    plot_learning_curve,
    plot_luminosity_function,
    plot_map,
)

NUMBERS = LEGUS_CLASSES.numbers


@pytest.fixture(scope="module")
def result(field):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # some stamps reach over the edge
        return classify_table(field.truth["x", "y"], field.images)


@pytest.mark.parametrize("bands", [LEGUS_BANDS.roles, ("V",), ("NUV", "I"), ("V", "I")])
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
    picture = color_image(data, LEGUS_BANDS.roles)
    assert picture[6, 6].argmax() == 0
    assert picture[13, 13].argmax() == 2


def test_the_field_shows_every_class(field, result):
    ax = plot_field(field.images, result, ax=Figure().subplots())
    markers = [len(points.get_offsets()) for points in ax.collections]
    assert markers == [
        np.count_nonzero(result["class"] == number) for number in LEGUS_CLASSES.numbers
    ]
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
    counts = [
        min(np.count_nonzero(result["class"] == number), 3) for number in LEGUS_CLASSES.numbers
    ]
    assert len(shown) == sum(counts)
    assert shown[0].get_title().startswith("p ")
    first = result[result["class"] == result["class"][0]]
    assert f"{first['probability'].max():.2f}" in " ".join(ax.get_title() for ax in shown)


def test_a_learning_curve_has_both_losses_and_the_accuracy(tmp_path):
    log = tmp_path / "metrics.csv"
    log.write_text(
        "accuracy,epoch,loss,step,validation_loss\n"
        "0.4,0,,9,1.2\n,0,1.3,9,\n0.6,1,,19,0.9\n,1,1.1,19,\n"
    )
    ax = plot_learning_curve(log)
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.get_lines()}
    assert lines["loss, learnt from"] == [[1, 1.3], [2, 1.1]]
    assert lines["loss, set aside"] == [[1, 1.2], [2, 0.9]]
    assert len(ax.get_legend().get_texts()) == 3
    with pytest.raises(FileNotFoundError, match="train with a folder"):
        plot_learning_curve(tmp_path / "none.csv")
    log.write_text("epoch\n1\n")
    with pytest.raises(ValueError, match="not the log of a training"):
        plot_learning_curve(log)


def test_empty_bins_have_no_point():
    curve = calibration_curve([1, 1, 2], np.eye(4)[[0, 1, 1]] * 0.6 + 0.1, bins=10)
    ax = plot_calibration(curve)
    (line,) = [line for line in ax.get_lines() if line.get_marker() == "o"]
    np.testing.assert_allclose(line.get_xydata(), [[0.7, 2 / 3]])
    assert f"{curve.meta['ECE']:.3f}" in ax.get_title()


def test_a_confusion_matrix_is_in_percent_of_true_classes():
    counts = confusion_matrix([1, 1, 1, 4], [1, 1, 4, 4])
    texts = [text.get_text() for text in plot_confusion(counts).texts]
    assert texts[:4] == ["67", "0", "0", "33"]
    assert texts[4] == "-"
    mean = mean_confusion([counts, confusion_matrix([1, 1, 4], [1, 4, 4])])
    assert plot_confusion(mean).texts[0].get_text() == "58\n$\\pm$12"


def test_the_area_of_entropies_is_one():
    ax = plot_entropy(entropy_distribution([0.1, 0.1, 1.3]))
    values, edges, _ = ax.patches[0].get_data()
    assert np.sum(values * np.diff(edges)) == pytest.approx(1)


@pytest.fixture
def measured():
    rng = np.random.default_rng(1)
    table = Table({f"mag_f{n}w": rng.uniform(20, 25, 60) for n in (336, 438, 555, 814)})
    table["mag_f814w"][0] = np.nan
    table["class"] = MaskedColumn(np.repeat([1, 2, 3, 4], 15), mask=np.arange(60) == 59)
    table["ra"], table["dec"] = 24 + rng.random(60) / 50, 15 + rng.random(60) / 50
    return table


@pytest.mark.parametrize("plot", [plot_color_magnitude, plot_color_color])
def test_diagrams_have_a_marker_a_class(plot, measured):
    ax = plot(measured)
    labels = [line.get_label() for line in ax.lines]
    assert set(labels) == {*(f"{n} {name}" for n, name in LEGUS_CLASSES.names.items()), "no class"}
    assert sum(len(line.get_xdata()) for line in ax.lines) == 59  # one has no colour
    assert len({line.get_marker() for line in ax.lines}) == 5
    assert ax.yaxis_inverted()
    with pytest.raises(KeyError, match="mag_f"):
        plot(measured["class", "ra"])


def test_luminosities_are_counted(measured):
    ax = plot_luminosity_function(measured, width=1.0)
    steps = [np.nansum(patch.get_data().values) for patch in ax.patches]
    assert steps == [15, 15, 15, 14]
    points = ax.containers[0].lines[0]
    assert points.get_ydata().sum() == 45
    assert ax.get_yscale() == "log"
    measured["mag_f555w"] = np.nan
    with pytest.raises(ValueError, match="no row has a magnitude in F555W"):
        plot_luminosity_function(measured)


def test_east_is_to_the_left(measured):
    ax = plot_map(measured)
    assert ax.xaxis_inverted()
    assert not ax.yaxis_inverted()
    assert sum(len(line.get_xdata()) for line in ax.lines) == 60
    measured.rename_columns(["ra", "dec"], ["x", "y"])
    assert not plot_map(measured).xaxis_inverted()
