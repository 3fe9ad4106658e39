# Licensed under a 3-clause BSD style license - see LICENSE.rst
import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision
from astropy.table import Table, vstack
from PIL import Image

from astroclust import Stamps
from astroclust.cli import main
from astroclust.data_files import read_data
from astroclust.experiments import (
    accuracy_by_epochs,
    peak_accuracies,
    pretraining,
    pretraining_study,
    read_labeled,
    reproduce_schneider2023,
    schneider2023,
    sign_test,
)
from astroclust.experiments.pretraining import published_number
from astroclust.experiments.pretraining_scores import epochs_before_gain
from astroclust.experiments.schneider2023_numbers import STARTS, Study, compare_numbers
from astroclust.experiments.schneider2023_report import report_study
from astroclust.instruments import LEGUS_BANDS, find_class_scheme, meta_of
from astroclust.training import AUGMENTATIONS, Recipe, Sample

QUICK = Recipe("native-small", epochs=2, batch_size=16, moving_average=False)
GALAXIES = find_class_scheme("galaxies")


def _sample(n=60, size=24, **options):
    """Class 1 is wide, class 4 narrow; two stamps of each object."""
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(n) % 2, 1, 4)
    y, x = np.mgrid[:size, :size] - size // 2
    width = np.where(labels == 1, 4.0, 1.5)[:, None, None]
    light = np.exp(-(x**2 + y**2) / (2 * width**2))[:, None]
    stamps = Stamps(light + rng.normal(0, 0.02, (n, 5, size, size)), LEGUS_BANDS.roles)
    return Sample(stamps, labels, groups=np.arange(n) // 2, **options)


def test_the_sign_test_counts_what_differs():
    assert sign_test([1, 2, 3], [1, 2, 3]) == (0, 0, 1.0)
    wins, losses, p = sign_test(np.arange(100) + 1, np.arange(100))
    assert (wins, losses) == (100, 0)
    assert p == pytest.approx(1.58e-30, rel=0.01)  # Schneider et al. (2023, sec. 4.2)
    assert sign_test([1, 5, 1], [2, 2, 2])[:2] == (1, 2)


def test_peaks_are_found_where_they_first_are():
    curves = Table(
        {
            "start": ["a"] * 6,
            "run": [1] * 3 + [2] * 3,
            "epoch": [1, 2, 3] * 2,
            "accuracy": [0.2, 0.9, 0.9, 0.1, 0.3, 0.7],
        }
    )
    assert peak_accuracies(curves)["epoch"].tolist() == [2, 3]
    assert peak_accuracies(curves, within=2)["accuracy"].tolist() == [0.9, 0.3]
    table = accuracy_by_epochs(curves, epochs=(1, 2, 9))
    assert table["epochs"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(table["accuracy"], [0.15, 0.6, 0.8])
    np.testing.assert_allclose(table["accuracy_std"][1], np.std([0.9, 0.3], ddof=1))
    assert np.isnan(accuracy_by_epochs(curves[:3])["accuracy_std"]).all()


def test_the_network_of_the_best_epoch_is_kept(tmp_path):
    starts = {"slow": QUICK, "fast": replace(QUICK, learning_rate=0.02, epochs=4)}
    curves, classified = pretraining_study(_sample(), starts, runs=2, folder=tmp_path)
    assert len(curves) == 2 * (2 + 4)
    assert curves.colnames[3:] == ["accuracy", "loss", "training_accuracy", "training_loss"]
    assert np.isfinite(curves["training_accuracy"]).all()
    for row in peak_accuracies(curves):
        own = classified[(classified["start"] == row["start"]) & (classified["run"] == row["run"])]
        assert np.mean(own["class"] == own["label"]) == pytest.approx(row["accuracy"], abs=1e-6)
        assert len(own) == 8  # the fraction of the paper, by whole objects


def test_a_pretraining_study_resumes(tmp_path, monkeypatch):
    starts = {"one": QUICK}
    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "member_probabilities", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            pretraining_study(_sample(), starts, runs=1, folder=tmp_path)
    assert list(tmp_path.rglob("best.ckpt"))
    curves, classified = pretraining_study(_sample(), starts, runs=1, folder=tmp_path)
    accuracy = np.mean(classified["class"] == classified["label"])
    assert accuracy == pytest.approx(curves["accuracy"].max(), abs=1e-6)
    assert not list(tmp_path.rglob("*.ckpt"))
    result = tmp_path / "one" / "run-001" / "classified.ecsv"
    written = result.stat().st_mtime_ns
    more, _ = pretraining_study(_sample(), starts, runs=[1, 3], folder=tmp_path)
    assert sorted(set(more["run"])) == [1, 3]
    assert result.stat().st_mtime_ns == written


def _interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("change", ["epochs", "data", "groups", "test_fraction", "seed"])
def test_a_folder_of_another_study(tmp_path, change):
    sample, recipe = _sample(), replace(QUICK, epochs=1)
    options = {"runs": 1, "folder": tmp_path / "study"}
    pretraining_study(sample, {"one": recipe}, **options)
    if change == "epochs":
        recipe = QUICK
    elif change == "data":
        sample = replace(sample, stamps=sample.stamps[::-1])
    elif change == "groups":
        sample = replace(sample, groups=None)
    else:
        options[change] = {"test_fraction": 0.3, "seed": 5}[change]
    with pytest.raises(
        ValueError, match="different data or settings; remove it, or choose another"
    ):
        pretraining_study(sample, {"one": recipe}, **options)
    options["folder"] = tmp_path / "another"
    curves, _ = pretraining_study(sample, {"one": recipe}, **options)
    assert len(curves) == recipe.epochs


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runs": 0}, "runs must be a number of splits or a list of split numbers from 1, not 0"),
        ({"runs": [0, 1]}, r"not \[0, 1\]"),
        ({"test_fraction": 1.0}, "100.0% of 60 stamps leave 0 for training and 60 for testing"),
        ({"test_fraction": 0.01}, "1.0% of 60 stamps leave 60 for training and 0 for testing"),
    ],
)
def test_studies_that_cannot_be(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        pretraining_study(_sample(), {"one": QUICK}, folder=tmp_path, **options)


def test_the_best_epoch_needs_stamps_to_be_told_by():
    from astroclust import train_classifier

    recipe = replace(QUICK, keep_best=True, validation_fraction=0.0)
    with pytest.raises(ValueError, match="set a validation_fraction above 0, or add a test set"):
        train_classifier(_sample(), name="one", recipe=recipe)
    recipe = replace(recipe, validation_fraction=0.2, epochs=1)
    assert train_classifier(_sample(), name="one", recipe=recipe).card.name == "one"
    with pytest.raises(ValueError, match="omit one of them"):
        replace(recipe, patience=2)


def test_weights_are_known_by_their_content(tmp_path, monkeypatch):
    weights, copy = tmp_path / "weights.pth", tmp_path / "copy.pth"
    torch.save(torchvision.models.get_model("shufflenet_v2_x0_5").state_dict(), weights)
    shutil.copy(weights, copy)
    recipe = replace(QUICK, architecture="shufflenet_v2_x0_5@32", weights=str(weights), epochs=1)
    sample, folder = _sample(20), tmp_path / "study"
    options = {"runs": 1, "test_fraction": 0.3}
    curves, _ = pretraining_study(sample, {"one": recipe}, folder=folder, **options)
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "train_classifier", None)
        again = {"one": replace(recipe, weights="copy.pth")}
        assert len(pretraining_study(sample, again, folder="study", **options)[0]) == len(curves)
        torch.save({}, copy)
        with pytest.raises(ValueError, match="a run with different data or settings; remove it"):
            pretraining_study(sample, again, folder="study", **options)
    record = folder / "one" / "settings.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"weights": str(weights)}))
    with pytest.raises(
        ValueError, match=r"earlier version, which identified.* path .*remove it, or"
    ):
        pretraining_study(sample, {"one": recipe}, folder=folder, **options)
    shutil.rmtree(folder / "one")  # the remedy
    pretraining_study(sample, {"one": recipe}, folder=folder, **options)


def test_gradient_descent_trains(tmp_path):
    recipe = replace(QUICK, optimizer="sgd", learning_rate=0.01, epochs=5)
    curves, _ = pretraining_study(_sample(), {"one": recipe}, runs=1, folder=tmp_path)
    assert curves["training_loss"][-1] < curves["training_loss"][0]


def test_crops_are_anywhere_and_half_of_them_mirrored():
    data = np.arange(200 * 12 * 12, dtype=np.float32).reshape(200, 1, 12, 12)
    stamps = Stamps(data, ["V"])
    changed = AUGMENTATIONS["flips"](stamps, np.random.default_rng(1), size=8)
    steps = changed.data[:, 0, 0, 1] - changed.data[:, 0, 0, 0]
    assert set(steps) == {-1.0, 1.0}
    assert 70 < np.count_nonzero(steps == -1) < 130
    assert np.all(changed.data[:, 0, 1, 0] - changed.data[:, 0, 0, 0] == 12)
    first = changed.data[:, 0].min(axis=(1, 2)) - 144 * np.arange(200)
    assert {(value // 12, value % 12) for value in first} == {
        (y, x) for y in range(5) for x in range(5)
    }
    whole = AUGMENTATIONS["flips"](stamps, np.random.default_rng(1))
    assert whole.size == 12
    np.testing.assert_array_equal(stamps.data, data)


def _pictures(folder, labels, *, shapes=((32, 32),)):
    """Colored pictures: red, green and blue are in the ratio 3 : 2 : 1."""
    (folder / "png").mkdir(parents=True)
    rng = np.random.default_rng(0)
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file", "object", "label"))
        for number, label in enumerate(labels):
            gray = rng.integers(0, 85, shapes[number % len(shapes)], np.uint8)
            name = f"{number}.png"
            Image.fromarray(gray[..., None] * np.uint8([3, 2, 1])).save(folder / "png" / name)
            writer.writerow((name, f"object {number // 2}", label))


def test_labeled_pictures_and_stamps_are_read(tmp_path):
    _pictures(tmp_path, [1, 4, 8, 1])
    with pytest.warns(UserWarning, match=r"1 stamps have the labels \[8\]"):
        sample = read_labeled(tmp_path)
    assert sample.labels.tolist() == [1, 4, 1]
    assert sample.groups.tolist() == ["object 0", "object 0", "object 1"]
    assert sample.stamps.data.shape == (3, 3, 32, 32)
    _sample(4).stamps.write(tmp_path / "unlabeled.fits")
    with pytest.raises(ValueError, match="no column class"):
        read_labeled(tmp_path / "unlabeled.fits")
    with pytest.raises(FileNotFoundError, match=r"labels\.csv"):
        read_labeled(tmp_path / "png")
    (tmp_path / "labels.csv").write_text("name\n")
    with pytest.raises(ValueError, match="columns file and label"):
        read_labeled(tmp_path)


def test_the_color_of_pictures_is_kept(tmp_path):
    _pictures(tmp_path, [1, 4])
    red, green, blue = read_labeled(tmp_path).stamps.data.swapaxes(0, 1)
    assert red.any()
    np.testing.assert_allclose(red, 3 * blue)
    np.testing.assert_allclose(green, 2 * blue)


def test_pictures_of_any_shape_are_scaled(tmp_path):
    _pictures(tmp_path, [1, 4, 1], shapes=((32, 32), (20, 45), (70, 64)))
    with pytest.raises(ValueError, match=r"1\.png has 45 x 20 pixels.*such as size=256"):
        read_labeled(tmp_path)
    sample = read_labeled(tmp_path, size=256)
    assert sample.stamps.data.shape == (3, 3, 256, 256)
    with pytest.raises(ValueError, match="size must be a whole number of pixels"):
        read_labeled(tmp_path, size=0)


def test_a_picture_of_a_line_is_refused(tmp_path):
    _pictures(tmp_path, [1, 4], shapes=((32, 32), (1, 40)))
    with pytest.raises(ValueError, match=r"1\.png has 40 x 1 pixels, too few .* least 8"):
        read_labeled(tmp_path, size=32)
    (tmp_path / "labels.csv").write_text("file,label\n0.png,1\n")  # the remedy
    assert len(read_labeled(tmp_path, size=32).stamps) == 1


def test_deep_and_gray_pictures_keep_their_values(tmp_path):
    _pictures(tmp_path, [1, 4])
    deep = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) * 60
    Image.fromarray(deep).save(tmp_path / "png" / "0.png")
    Image.fromarray(np.uint8(deep // 256)).save(tmp_path / "png" / "1.png")
    pixels = read_labeled(tmp_path).stamps.data
    for channel in pixels[0]:
        np.testing.assert_array_equal(channel, deep)
    for channel in pixels[1]:
        np.testing.assert_array_equal(channel, deep // 256)


def test_labels_by_name(tmp_path):
    _pictures(tmp_path, ["Spiral", "irregular", 1])
    sample = read_labeled(tmp_path, scheme="galaxies")
    assert sample.labels.tolist() == [2, 4, 1]
    assert sample.scheme == GALAXIES
    with pytest.raises(ValueError, match=r"label 'Spiral' in .* choose another scheme"):
        read_labeled(tmp_path)


def test_finer_labels_are_merged(tmp_path):
    _pictures(tmp_path, [2, 4, 3])
    assert read_labeled(tmp_path, scheme="cluster").labels.tolist() == [1, 4, 1]


@pytest.mark.parametrize("kind", ["missing", "damaged"])
def test_a_picture_that_cannot_be_read(tmp_path, kind):
    _pictures(tmp_path, [1, 4])
    path = tmp_path / "png" / "1.png"
    path.unlink()
    if kind == "damaged":
        path.write_bytes(b"no picture")
    with pytest.raises(OSError, match=r"1\.png"):
        read_labeled(tmp_path)


def test_no_label_is_a_class(tmp_path):
    _pictures(tmp_path, [8, 9])
    with (
        pytest.warns(UserWarning, match="2 stamps"),
        pytest.raises(ValueError, match="set another scheme"),
    ):
        read_labeled(tmp_path)


def test_stamps_are_scaled_and_holes_stay(tmp_path):
    stamps = _sample(4).stamps
    data = stamps.data.copy()
    data[0, :, :, :12] = np.nan
    stamps = replace(stamps, data=data, table=Table({"class": [1, 4, 1, 4]}))
    stamps.write(tmp_path / "stamps.fits")
    scaled = read_labeled(tmp_path / "stamps.fits", size=48).stamps
    assert scaled.size == 48
    missing = np.isnan(scaled.data[0]).mean()
    assert missing == pytest.approx(0.5, abs=0.05)
    assert not np.isnan(scaled.data[1:]).any()
    peak = np.unravel_index(scaled.data[1, 0].argmax(), (48, 48))
    np.testing.assert_allclose(peak, 24.5, atol=2)


def _study(epochs, *, runs=3, scheme=GALAXIES, long_epochs=None):
    """Curves that rise to a peak in the last epoch but one, the pretrained ones higher by 0.1."""
    curves, classified = [], []
    labels = np.repeat(scheme.numbers, 10)
    for start, n in zip(STARTS, epochs, strict=True):
        for run in range(1, runs + 1):
            curves.append(_curve(start, run, n))
            # Of each class, 8 of 10 are right with pretraining, and 4 without.
            right = np.arange(len(labels)) % 10 < (8 if start == STARTS[0] else 4)
            classes = np.where(right, labels, scheme.numbers[0])
            table = Table({"row": np.arange(len(labels)), "label": labels, "class": classes})
            table.add_columns([[start] * len(table), [run] * len(table)], [0, 0], ["start", "run"])
            classified.append(table)
    classified = vstack(classified)
    classified.meta.update(meta_of(scheme))
    long_curves = None
    if long_epochs is not None:
        pairs = [(start, run) for start in STARTS for run in (2, 3)]
        long_curves = vstack([_curve(*pair, long_epochs) for pair in pairs])
    return Study(
        labels=np.repeat(scheme.numbers, 70),
        scheme=scheme,
        n_bands=3,
        network="alexnet",
        size=224,
        scaled=256,
        curves=vstack(curves),
        classified=classified,
        long_curves=long_curves,
    )


def _curve(start, run, n):
    accuracy = np.linspace(0.2, 0.6, n) + 0.01 * run + (0.1 if start == STARTS[0] else 0)
    accuracy[-1] = 0.25
    curve = Table({"start": [start] * n, "run": [run] * n, "epoch": np.arange(1, n + 1)})
    curve["accuracy"], curve["loss"] = accuracy, 2 - accuracy
    curve["training_accuracy"], curve["training_loss"] = accuracy + 0.1, 1.9 - accuracy
    return curve


def _number(comparison, quantity, **where):
    rows = comparison["quantity"] == quantity
    for name, value in where.items():
        rows &= np.ma.filled(comparison[name] == value, False)
    assert rows.any()
    return comparison[rows][0]


def test_the_numbers_of_the_paper_stand_beside_ours():
    study = _study((200, 400), long_epochs=1000)
    comparison = compare_numbers(study)
    assert len(comparison) == len(read_data("schneider2023"))
    for quantity, value in (
        ("first_filters", 64),
        ("first_width", 11),
        ("later_filters", 384),
        ("later_width", 3),
        ("convolutions", 5),
        ("linear_layers", 3),
        ("outputs", 4),
        ("input_width", 224),
        ("scaled_width", 256),
    ):
        row = _number(comparison, quantity)
        assert row["ours"] == row["paper"] == value
    assert _number(comparison, "later_depth")["ours"] == 192  # torchvision's
    assert _number(comparison, "objects", **{"class": "spiral"})["ours"] == 70
    assert _number(comparison, "fraction", **{"class": "spiral"})["ours"] == 25
    assert _number(comparison, "test_objects")["ours"] == 40
    assert _number(comparison, "training_objects")["ours"] == 240
    peak = 100 * (0.2 + 0.4 * 198 / 199 + 0.02 + 0.1)
    row = _number(comparison, "peak_accuracy", item="table-1", start="pretrained", epochs=200)
    assert row["ours"] == pytest.approx(peak)
    assert row["ours_std"] == pytest.approx(1)
    assert row["difference"] == pytest.approx((peak - 84.2) / np.hypot(0.7, 1))
    row = _number(comparison, "peak_accuracy", item="table-1", start="pretrained", epochs=20)
    assert row["ours"] == pytest.approx(100 * (0.2 + 0.4 * 19 / 199 + 0.12))
    row = _number(comparison, "peak_accuracy", item="table-1", start="from scratch", epochs=200)
    assert row["ours"] == pytest.approx(100 * (0.2 + 0.4 * 199 / 399 + 0.02))
    assert _number(comparison, "peak_epoch", item="text", start="from scratch")["ours"] == 399
    assert _number(comparison, "losses")["ours"] == 0
    assert _number(comparison, "p_accuracy")["ours"] == 0.25
    assert _number(comparison, "mean_gain", epochs=50)["ours"] == pytest.approx(40 * 149 / 199)
    assert _number(comparison, "largest_gain", epochs=50)["ours"] == pytest.approx(40 * 149 / 199)
    assert _number(comparison, "epochs_of_most_gain")["ours"] == 180
    assert _number(comparison, "recall", start="pretrained", **{"class": "spiral"})["ours"] == 80
    assert _number(comparison, "recall_ratio")["ours"] == 2
    cell = {"start": "pretrained", "class": "lenticular"}
    assert _number(comparison, "confused", given_class="lenticular", **cell)["ours"] == 8
    assert _number(comparison, "confused_fraction", given_class="elliptical", **cell)["ours"] == 20
    long = [
        _number(comparison, "peak_epoch", item="table-3", start="pretrained", run=run)["ours"]
        for run in (45, 46, 47)
    ]
    np.testing.assert_array_equal(long, [999, 999, np.nan])
    usual = comparison[comparison["quantity"] == "usual_difference"]
    np.testing.assert_allclose(usual["ours"], 10)
    assert _number(comparison, "mean_difference")["item"] == "text"


def test_the_usual_difference_is_a_range():
    study = _study((2, 4), runs=5, long_epochs=4)
    curves = study.long_curves.copy()
    pretrained = (curves["start"] == STARTS[0]) & (curves["epoch"] == 3)
    curves["accuracy"][pretrained] += [0, 0.2]
    usual = compare_numbers(replace(study, long_curves=curves))
    usual = usual[usual["quantity"] == "usual_difference"]
    assert usual["limit"].tolist() == ["from", "to"]
    np.testing.assert_allclose(usual["ours"], [15, 25])


def test_networks_that_are_never_better_give_a_limit(tmp_path):
    study = _study((200, 400))
    row = _number(compare_numbers(study), "epochs_before_gain")
    assert row["ours_limit"] == ""
    curves = study.curves.copy()
    flat = (curves["start"] == STARTS[1]) & (curves["run"] == 2)
    curves["accuracy"][flat] = 0.25
    epochs = epochs_before_gain(curves, study.classified)
    assert epochs["epochs"][epochs["limit"] == "above"].tolist() == [400]
    assert np.count_nonzero(epochs["limit"] == "") == 5
    study = replace(study, curves=curves)
    row = _number(compare_numbers(study), "epochs_before_gain")
    assert row["ours_limit"] == "above"
    assert np.isnan(row["difference"])
    assert "did not reach it by their last epoch" in report_study(study).write(tmp_path).read_text()


def test_layers_are_compared_for_the_network_of_the_paper_alone(tmp_path):
    study = replace(_study((6, 12)), network="shufflenet_v2_x0_5")
    comparison = compare_numbers(study)
    layers = comparison[(comparison["item"] == "network") & (comparison["quantity"] != "outputs")]
    assert layers["quantity"][np.isfinite(layers["ours"])].tolist() == ["input_width"]
    assert _number(comparison, "outputs")["ours"] == 4
    page = report_study(study).write(tmp_path).read_text()
    assert "have no counterpart in shufflenet_v2_x0_5" in page


def test_a_study_has_no_numbers_of_what_it_is_not(tmp_path):
    study = _study((6, 12), scheme=find_class_scheme("legus"))
    comparison = compare_numbers(study)
    assert np.isnan(comparison["ours"][comparison["item"] == "table-4"]).all()
    assert np.isnan(comparison["ours"][comparison["item"] == "table-3"]).all()
    table = comparison[comparison["item"] == "table-1"]
    known = [bool(value) for value in np.isfinite(table["ours"])]
    # 200 and 400 stand for all epochs; 5 of 6 there are.
    assert known == [True, False, False, False, True, True, True]
    page = report_study(study).write(tmp_path).read_text()
    assert "6 epochs here correspond to 200 and 12 epochs here correspond to 400" in page
    assert "--long-epochs" in page
    assert "not those of the paper" in page


def test_the_report_has_the_tables_and_figures_of_the_paper(tmp_path):
    page = report_study(_study((20, 40), long_epochs=30)).write(tmp_path).read_text()
    for part in (*(f"Table {n}" for n in (1, 2, 3, 4)), *(f"Fig. {n}" for n in range(6, 12))):
        assert part in page
    assert "Figs 4 and 5" in page
    assert page.count("data:image/png") == 8
    assert "on splits 2, 3 instead of those of the paper" in page
    assert len(Table.read(tmp_path / "comparison.ecsv")) == len(read_data("schneider2023"))
    assert Table.read(tmp_path / "confusion_split.ecsv")["class_1"].max() == 10
    assert "mean accuracy is 25.0 % pretrained and 25.0 % from scratch" in page


def test_the_published_numbers_agree_with_one_another():
    paper = read_data("schneider2023")
    assert published_number("training_objects") + published_number("test_objects") == 14034
    assert paper["value"][paper["quantity"] == "objects"].sum() == published_number("all_objects")
    for start in STARTS:
        own = paper[(paper["item"] == "fig-10") & (paper["start"] == start)]
        counts = own["value"][own["quantity"] == "confused"]
        total = own["value"][own["quantity"] == "class_objects"][0]
        assert counts.sum() == total
        for row in own[own["quantity"] == "confused_fraction"]:
            cell = own["value"][
                (own["given_class"] == row["given_class"]) & (own["quantity"] == "confused")
            ]
            assert row["value"] == pytest.approx(100 * cell[0] / total, abs=0.05)
    # Table 2 is the recall of Table 4, but for one standard deviation.
    tables = [
        paper[(paper["item"] == item) & (paper["quantity"] == "recall")]
        for item in ("table-2", "table-4")
    ]
    np.testing.assert_array_equal(tables[0]["value"], tables[1]["value"])
    assert np.count_nonzero(tables[0]["std"] != tables[1]["std"]) == 1
    assert published_number("p_accuracy") == pytest.approx(2 * 0.5**100, rel=0.01)


@pytest.fixture
def command(tmp_path):
    """The study of a small network on pictures of different sizes."""
    _pictures(tmp_path / "data", ["elliptical", "irregular"] * 20, shapes=((32, 32), (40, 50)))
    weights = tmp_path / "weights.pth"
    torch.save(torchvision.models.get_model("shufflenet_v2_x0_5").state_dict(), weights)
    command = ["reproduce", "schneider2023", "-q", "--data", f"{tmp_path}/data"]
    command += ["-o", f"{tmp_path}/out", "--scheme", "galaxies", "--weights", str(weights)]
    return [*command, "--network", "shufflenet_v2_x0_5", "--size", "32", "--runs", "1"]


def test_schneider_2023_as_a_command(command, tmp_path, capsys):
    command += ["--epochs", "1", "--long-epochs", "1"]
    assert main(command) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "two-sided sign test" in page
    assert "20 elliptical, 0 spiral, 0 lenticular, 20 irregular" in page
    assert "32 of 37 pixels" in page
    assert page.count("data:image/png") == 8
    peaks = Table.read(tmp_path / "out" / "accuracy.ecsv")
    assert dict(zip(peaks["start"], peaks["epochs"], strict=True)) == dict(
        zip(STARTS, (1, 2), strict=True)
    )
    capsys.readouterr()
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": f"{tmp_path}/out/report.html"}
    assert main(["reproduce", "schneider2023", "-o", f"{tmp_path}/out"]) == 1
    assert "requires --data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "1", "2", "3"], "takes at most 2 numbers for schneider2023: 1 2 3"),
        (["--epochs", "0"], "epochs must be one number, or two"),
        (["--size", "0"], "size must be a whole number, at least 1, not 0"),
        (["--long-epochs", "0"], "long_epochs must be a whole number"),
        (["--network", "alexnet"], "alexnet does not support 32 pixels; use at least 63"),
        (["--weights", "none"], "weights none would make both starts random"),
        (["--weights", "nowhere.pth"], "nowhere.pth does not exist"),
        (["--network", "native"], "has no ImageNet weights; choose a network of torchvision"),
        (["--network", "alexnet@64"], "use 'alexnet' and set size"),
        (["--network", "alexnett"], "unknown network 'alexnett'"),
        (["--scheme", "stars"], "unknown class scheme 'stars'"),
    ],
)
def test_options_that_cannot_be(command, options, message, capsys):
    assert main([*command, *options]) == 1
    assert message in capsys.readouterr().err


def test_an_unknown_optimizer(tmp_path):
    with pytest.raises(ValueError, match="'lbfgs'; available are adam, sgd"):
        reproduce_schneider2023(tmp_path, tmp_path, optimizer="lbfgs")


def test_splits_of_the_longer_trainings():
    assert schneider2023._long_runs(100) == [45, 46, 47, 48, 49]
    assert schneider2023._long_runs(48) == [44, 45, 46, 47, 48]
    assert schneider2023._long_runs(2) == [1, 2]


@pytest.mark.parametrize(
    ("name", "of_timm"),
    [
        ("_conv_stem.weight", "conv_stem.weight"),
        ("_bn0.running_mean", "bn1.running_mean"),
        ("_bn1.bias", "bn2.bias"),
        ("_fc.bias", "classifier.bias"),
        ("_blocks.0._project_conv.weight", "blocks.0.0.conv_pw.weight"),
        ("_blocks.1._project_conv.weight", "blocks.1.0.conv_pwl.weight"),
        ("_blocks.8._bn0.weight", "blocks.4.0.bn1.weight"),
        ("_blocks.15._bn2.num_batches_tracked", "blocks.6.0.bn3.num_batches_tracked"),
    ],
)
def test_names_of_weights_in_timm(name, of_timm):
    network = pytest.importorskip("timm").create_model("efficientnet_lite0")
    assert schneider2023.timm_name(name) == of_timm
    assert of_timm in network.state_dict()


@pytest.mark.parametrize("name", ["_blocks.16._bn0.weight", "_blocks.0._bn0.bias", "fc.bias", ""])
def test_weights_of_another_network(name):
    with pytest.raises(ValueError, match=f"weights {name} are not those of EfficientNet-Lite0"):
        schneider2023.timm_name(name)
