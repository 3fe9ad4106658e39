# Licensed under a 3-clause BSD style license - see LICENSE.rst
import base64
import io
import re
import warnings

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table, vstack
from astropy.utils.exceptions import AstropyUserWarning
from astropy.visualization import SqrtStretch
from matplotlib.backend_bases import MouseButton, MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from mpl_toolkits.axes_grid1.anchored_artists import AnchoredSizeBar
from PIL import Image

from astroclust import ImageSet, classify_table, make_stamps
from astroclust.evaluation import (
    agreement,
    calibration_curve,
    confusion_matrix,
    detection_scores,
    entropy_distribution,
    mean_confusion,
)
from astroclust.instruments import LEGUS_BANDS, LEGUS_CLASSES
from astroclust.plotting import (
    color_image,
    color_levels,
    plot_agreement,
    plot_calibration,
    plot_class_distributions,
    plot_color_color,
    plot_color_magnitude,
    plot_confusion,
    plot_confusion_panels,
    plot_deblending,
    plot_detection,
    plot_entropy,
    plot_examples,
    plot_field,
    plot_gallery,
    plot_learning_curve,
    plot_luminosity_function,
    plot_map,
    plot_precision_recall,
    show_table,
)
from astroclust.plotting.fields import sampled_bands

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


def test_the_axes_are_on_the_sky_if_the_images_are(field, result):
    ax = plot_field(field.images, result)
    assert ax.wcs is field.images.wcs
    labels = [coordinate.get_axislabel() for coordinate in ax.coords]
    assert labels == ["right ascension", "declination"]
    assert ax.get_xlim() == (-0.5, 199.5)
    assert plot_field(field.images, result, sky=False).get_xlabel() == "x (pixels)"
    own = Figure().add_subplot(projection=field.images.wcs)
    plot_field(field.images, result, ax=own)
    assert own.coords[0].get_axislabel() == "right ascension"
    bare = {name: band.data for name, band in field.images.items()}
    ax = plot_field(bare, result)
    assert ax.get_ylabel() == "y (pixels)"
    assert not _bars(ax)
    assert plot_field(field.images, result, ax=Figure().subplots()).get_xlabel() == "x (pixels)"


def _bars(ax):
    return [artist for artist in ax.artists if isinstance(artist, AnchoredSizeBar)]


def test_the_scale_bar_is_as_long_as_it_says(field, result):
    (bar,) = _bars(plot_field(field.images, result))
    label = bar.txt_label.get_text()
    (patch,) = bar.size_bar.get_children()
    length = patch.get_width() * field.images.pixel_scale.value
    assert float(label.removesuffix('"')) == pytest.approx(length)
    for distance, text in ((18.0, '1" = 87.3 pc'), (400.0, '1" = 1.94 kpc'), (206.2, "1 kpc")):
        table = result.copy()
        table.meta["DISTANCE"] = distance
        (bar,) = _bars(plot_field(field.images, table))
        assert text in bar.txt_label.get_text()
    table.meta["DISTANCE"] = "unknown"
    (bar,) = _bars(plot_field(field.images, table))
    assert "pc" not in bar.txt_label.get_text()


@pytest.mark.parametrize("stretch", ["log", "linear", SqrtStretch()])
def test_stretch_and_limits_of_a_field(field, result, stretch):
    usual = plot_field(field.images, result).images[0].get_array()
    other = plot_field(field.images, result, stretch=stretch).images[0].get_array()
    assert not np.array_equal(usual, other)
    black = plot_field(field.images, result, limits=(99, 100)).images[0].get_array()
    assert black.mean() < 0.5 * usual.mean()


def test_stretches_and_limits_that_are_not_accepted(field, result):
    with pytest.raises(ValueError, match=r"stretch must be asinh, .*SqrtStretch\(\), not 'sqrt'"):
        plot_field(field.images, result, stretch="sqrt")
    for limits in ((99, 40), (50,), (-1, 50), (50, 101)):
        with pytest.raises(ValueError, match=r"two increasing percentiles .* \(40, 99.7\), not"):
            plot_field(field.images, result, limits=limits)
        with pytest.raises(ValueError, match="two increasing percentiles"):
            color_levels(np.ones((1, 4, 4)), ["V"], limits=limits)


def test_large_fields_are_binned():
    data = np.zeros((90, 4300), np.float32)
    data[30:39, 3000:3009] = 5
    data[:, :100] = np.nan
    images = ImageSet({"V": data})
    sampled, step = sampled_bands(images, 2000)
    assert step == 3
    assert sampled.shape == (1, 30, 1434)
    assert np.isnan(sampled[0, :, :33]).all()
    assert np.unravel_index(np.nanargmax(sampled[0]), (30, 1434)) == (10, 1000)
    table = Table({"x": [3004.0], "y": [34.0], "class": [1]})
    ax = plot_field(images, table)
    (image,) = ax.images
    assert image.get_array().shape == (30, 1434, 3)
    assert image.get_extent() == [-0.5, 4301.5, -0.5, 89.5]
    assert ax.get_xlim() == (-0.5, 4299.5)
    (points, *_) = ax.collections
    column, row = (points.get_offsets()[0] + 0.5) / step
    assert image.get_array()[int(row), int(column)].min() > 200


def test_one_band_is_enough_to_bin():
    sampled, step = sampled_bands(ImageSet({"V": np.arange(12.0).reshape(3, 4)}), 2000)
    assert step == 1
    np.testing.assert_array_equal(sampled[0], np.arange(12).reshape(3, 4))


def _click(ax, x, y):
    canvas = ax.figure.canvas
    position = ax.transData.transform((x, y))
    MouseEvent("button_press_event", canvas, *position, MouseButton.LEFT)._process()
    (label,) = [text for text in ax.texts if isinstance(text, Annotation)]
    return label.get_text() if label.get_visible() else ""


@pytest.mark.parametrize("sky", [True, False])
def test_a_click_names_the_row(field, result, sky):
    table = result.copy()
    table["id"] = [f"c{i}" for i in range(len(table))]
    ax = plot_field(field.images, table, sky=sky)
    FigureCanvasAgg(ax.figure).draw()
    row = 7
    x, y, number = table["x", "y", "class"][row]
    assert _click(ax, x, y).splitlines() == [
        "row 7, id c7",
        f"class {number}: {LEGUS_CLASSES.names[number]}",
        f"probability {table['probability'][row]:.3f}",
    ]
    free = np.array([(x, y) for x in range(0, 200, 5) for y in range(0, 160, 5)])
    apart = np.hypot(*(free[:, None] - np.column_stack([table["x"], table["y"]])).T).min(axis=0)
    assert _click(ax, *free[apart.argmax()]) == ""
    assert _click(ax, x, y).startswith("row 7,")
    assert _click(ax, -30, -30).startswith("row 7,")  # beside the image


def test_a_click_on_other_axes_names_nothing(field, result):
    figure = Figure(figsize=(12, 6))
    left, right = figure.subplots(1, 2)
    for ax in (left, right):
        plot_field(field.images, result["x", "y", "class"], ax=ax)
    FigureCanvasAgg(figure).draw()
    assert _click(right, *result["x", "y"][3]).startswith("row 3\nclass")
    assert not [text for text in left.texts if text.get_visible()]
    empty = plot_field(field.images, result[:0])
    FigureCanvasAgg(empty.figure).draw()
    assert _click(empty, 50, 50) == ""


def test_a_table_has_a_thumbnail_and_texts_per_row(field, result):
    table = result.copy()
    table["id"] = [f"<{i}>" for i in range(len(table))]
    view = show_table(table, field.images, rows=4)
    shown = view._repr_html_()
    assert shown.count("<img ") == 4
    assert f"4 of {len(table)} rows" in shown
    assert "&lt;3&gt;" in shown
    assert "<3>" not in shown
    number = table["class"][3]
    for text in (
        f"{number} {LEGUS_CLASSES.names[number]}",
        f"{table['probability'][3]:.3f}",
        f"{table['x'][3]:.2f}",
        "ra (deg)",
    ):
        assert text in shown
    content = re.findall(r"data:image/jpeg;base64,([^\"]+)", shown)
    with Image.open(io.BytesIO(base64.b64decode(content[3]))) as picture:
        assert picture.size == (50, 50)
    assert len(repr(view).splitlines()) == 6
    assert "<img" not in repr(view)


def test_a_table_that_is_long_or_has_little(field, result):
    many = vstack([result] * 20)
    shown = show_table(many, field.images, rows=10_000)._repr_html_()
    assert len(shown) < 210_000
    n = shown.count("<img ")
    assert 20 < n < len(many)
    assert f"{n} of {len(many)} rows" in shown
    off = Table({"x": [30.0, -500.0, np.nan], "y": [40.0, 20.0, 20.0]})
    shown = show_table(off, field.images)._repr_html_()
    assert shown.count("<img ") == 3
    assert "class" not in shown
    bare = {name: band.data for name, band in field.images.items()}
    assert "ra (deg)" not in show_table(off, bare)._repr_html_()
    masked = result[:2].copy()
    masked["class"] = MaskedColumn(masked["class"], mask=True)
    assert "no class" in show_table(masked, field.images)._repr_html_()
    assert "0 of 0 rows" in show_table(result[:0], field.images)._repr_html_()
    for rows in (0, 1.5):
        with pytest.raises(ValueError, match="rows must be a whole number of at least 1"):
            show_table(result, field.images, rows=rows)


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


def test_the_gallery_in_all_bands_has_a_row_an_object(field, result):
    figure = plot_gallery(result, field.images, per_class=1, context=99)
    found = len(set(result["class"].tolist()))
    assert len(figure.axes) == found * 7
    titles = [ax.get_title() for ax in figure.axes[:7]]
    assert titles == ["99 pixels", "50 pixels", *field.images.filters]
    assert re.match(r"1 symmetric cluster\np 0\.\d\d  S ", figure.axes[0].get_ylabel())
    with pytest.raises(ValueError, match="to 50; cut larger ones"):
        plot_gallery(result, field.images, context=49)


def test_examples_show_the_surroundings_the_middle_and_each_band(field):
    stamps = make_stamps(field.truth[:2], field.images, size=99)
    stamps.data[0, 0] = 0
    stamps.present[0, 0] = False
    stamps.data[1, 4, 39:60] = np.nan  # of the middle of 20 pixels nothing is left
    figure = plot_examples(stamps, size=20)
    rows = np.reshape(figure.axes, (2, 7))
    assert [[len(ax.images) for ax in row] for row in rows] == [
        [1, 1, 0, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1, 0],
    ]
    wide, middle = (ax.images[0].get_array() for ax in rows[0, :2])
    np.testing.assert_array_equal(middle, wide[39:59, 39:59])
    np.testing.assert_array_equal(rows[0, 5].images[0].get_array(), stamps.data[0, 3, 39:59, 39:59])
    assert rows[0, 0].get_ylabel() == f"class {field.truth['class'][0]}"
    assert plot_examples(stamps, titles=["a", "b"]).axes[7].get_ylabel() == "b"
    with pytest.raises(ValueError, match="2 stamps require as many titles, not 1"):
        plot_examples(stamps, titles=["a"])
    with pytest.raises(ValueError, match=r"99 pixels to 100; .* size=299\)"):
        plot_examples(stamps, size=100)
    with pytest.raises(ValueError, match="no stamps to plot"):
        plot_examples(stamps[:0])
    large = make_stamps(field.truth[:1], field.images, size=299)  # as the message says
    assert plot_examples(large).axes[0].get_title() == "299 pixels"


def test_a_learning_curve_has_both_losses_and_the_accuracy(tmp_path):
    log = tmp_path / "metrics.csv"
    log.write_text(
        "accuracy,epoch,loss,step,validation_loss\n"
        "0.4,0,,9,1.2\n,0,1.3,9,\n0.6,1,,19,0.9\n,1,1.1,19,\n"
    )
    ax = plot_learning_curve(log)
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.get_lines()}
    assert lines["training loss"] == [[1, 1.3], [2, 1.1]]
    assert lines["validation loss"] == [[1, 1.2], [2, 0.9]]
    assert len(ax.get_legend().get_texts()) == 3
    with pytest.raises(FileNotFoundError, match="train with folder="):
        plot_learning_curve(tmp_path / "none.csv")
    log.write_text("epoch\n1\n")
    with pytest.raises(ValueError, match="not a training log"):
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


def test_confusion_matrices_side_by_side():
    one = confusion_matrix([1, 1, 4], [1, 4, 4])
    figure = plot_confusion_panels({"25": {"a": one, "b": None}, "50": {"a": one, "b": one}})
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "", ""]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "", "assigned class", "assigned class"]
    assert [len(ax.images) for ax in figure.axes] == [1, 0, 1, 1]
    rows = [
        text.get_text() for ax in figure.axes for text in ax.texts if text.get_weight() == "bold"
    ]
    assert rows == ["25", "50"]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["1 (2)", "2 (0)", "3 (0)", "4 (1)"]
    for nothing in ({}, {"25": {"a": None}}):
        with pytest.raises(ValueError, match="no confusion matrices to plot"):
            plot_confusion_panels(nothing)


def test_classes_given_to_each_true_class():
    one = confusion_matrix([1, 1, 4, 4], [1, 2, 4, 4])
    figure = plot_class_distributions({"a": one, "b": one}, agreement={"people": {1: 66.0}})
    axes = figure.axes
    assert len(axes) == 4
    heights = [[bar.get_height() for bar in bars] for bars in axes[0].containers]
    assert heights == [[50, 50, 0, 0]] * 2
    (line,) = axes[0].collections[0].get_segments()
    assert line[:, 1].tolist() == [66, 66]
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sorted(texts) == ["a", "b", "people"]
    with pytest.raises(ValueError, match="have different classes"):
        plot_class_distributions({"a": one, "b": confusion_matrix([1], [1], merge={2: 1})})
    with pytest.raises(ValueError, match="no confusion matrices to plot"):
        plot_class_distributions({})


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
    assert sum(len(line.get_xdata()) for line in ax.lines) == 59  # one has no color
    assert len({line.get_marker() for line in ax.lines}) == 5
    assert ax.yaxis_inverted()
    with pytest.raises(KeyError, match=r"no column mag_f[0-9]+w, but no magnitudes"):
        plot(measured["class", "ra"])
    measured.rename_column("mag_f814w", "mag_f850lp")
    with pytest.raises(KeyError, match=r"no column mag_f814w, but magnitudes in .*F850LP; plot"):
        plot(measured)


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


@pytest.fixture(scope="module")
def detections():
    """Scores of all of some sources, with a score, and of half of them, without."""
    rng = np.random.default_rng(1)
    truth = Table(rng.uniform(0, 40, (60, 2)), names=["x", "y"])
    truth["mag_v"] = rng.uniform(20, 24, 60)
    truth["p"] = rng.uniform(size=60)
    every = detection_scores(truth, truth, score="p", radius=1)
    return {"all": every, "half": detection_scores(truth[::2], truth, radius=1, limit=23)}


def test_completeness_and_purity_have_a_line_a_method(detections):
    figure = plot_detection(detections)
    complete, pure = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["all", "half"]
    assert len(complete.containers) == len(pure.containers) == 2
    points = complete.containers[1].lines[0].get_ydata()
    np.testing.assert_array_equal(points, detections["half"].by_magnitude["completeness"])
    assert pure.lines[-1].get_xdata()[0] == 23
    with pytest.raises(ValueError, match="no scores against magnitude"):
        plot_detection({})


def test_methods_without_a_score_are_a_point(detections):
    line, point = plot_precision_recall(detections).lines
    assert len(line.get_xdata()) == 60
    assert line.get_label() == "all (average precision 1.00)"
    assert point.get_xdata() == [0.5]
    with pytest.raises(ValueError, match="no scores to plot"):
        plot_precision_recall({})


def test_pairs_have_a_cell_for_separation_and_flux_ratio(detections):
    scores = detections["all"]
    ax = plot_deblending(scores)
    assert ax.images[0].get_array().shape == (4, 7)
    numbers = [int(text.get_text().split("(")[1][:-1]) for text in ax.texts]
    assert sum(numbers) == scores.pairs["n"].sum() > 0
    assert ax.get_xticklabels()[0].get_text() == "0\N{EN DASH}1"
    far = Table({"x": [0.0, 90.0], "y": [0.0, 0.0], "mag_v": [20.0, 20.0]})
    with pytest.raises(ValueError, match="pass larger separations"):
        plot_deblending(detection_scores(far, far))
    plot_deblending(detection_scores(far, far, separations=[0, 100]))  # the remedy


def test_agreement_has_a_line_a_class():
    mine = Table({"id": [1, 2, 3, 4], "class": [1, 1, 2, 4], "mag_f555w": [20.5, 22, 22.1, 24]})
    theirs = Table({"id": [1, 2, 3, 4], "class": [1, 2, 2, 4]})
    pairs = agreement(mine, theirs, match="id")
    ax = plot_agreement(pairs, bins=[20, 21, 23, 25])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[0] == "1 symmetric cluster (2)"
    assert labels[-1] == "all (4)"
    assert ax.containers[-1].lines[0].get_ydata().tolist() == [1, 0.5, 1]
    with pytest.raises(KeyError, match="no column mag_f814w"):
        plot_agreement(pairs, band="F814W")
    pairs["mag_f814w"] = np.nan
    with pytest.raises(ValueError, match="no object has a magnitude in F814W; choose another"):
        plot_agreement(pairs, band="F814W")
