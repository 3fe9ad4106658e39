# Licensed under a 3-clause BSD style license - see LICENSE.rst
from functools import partial

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table, vstack

from astroclust import Stamps, make_stamps
from astroclust.catalogs import legus_catalogs, legus_fields, read_table, training_sample
from astroclust.data_files import read_data
from astroclust.evaluation import confusion_matrix, mean_confusion
from astroclust.experiments import Report
from astroclust.experiments.wei2020_figures import (
    add_confusions,
    add_examples,
    add_filter_confusions,
    add_learning_curves,
    add_size_confusions,
    example_stamps,
)
from astroclust.experiments.wei2020_people import add_people, repeated_labels, unanimous_labels
from astroclust.experiments.wei2020_totals import add_totals
from astroclust.instruments import LEGUS_BANDS


def sections(report):
    """Sections by their headings."""
    return {section.heading: section for section in report._sections}


def test_published_totals_are_those_of_the_fields():
    totals = read_data("wei2020_samples")
    names = [f"class_{number}" for number in (1, 2, 3, 4)]
    for sample, table in (("bcw", "table_1"), ("consensus", "table_2")):
        fields = [getattr(field, table) for field in legus_fields().values()]
        sums = np.sum([counts for counts in fields if counts is not None], axis=0)
        rows = totals[totals["sample"] == sample]
        assert sums.tolist() == list(rows[rows["detected_in"] == "any"][names][0])
        detected = np.array(list(rows[rows["detected_in"] == "4 filters"][names][0]))
        assert (detected <= sums).all()
        if sample == "bcw":  # a fifth of each class is tested on
            published = read_data("wei2020")
            tested = published[published["item"] == "table-4"]["total"][::4]
            np.testing.assert_array_equal(tested, detected // 5)


def test_published_percentages_add_up():
    published = read_data("wei2020")
    tables = published[np.char.startswith(published["item"], "table")]
    groups = tables.group_by(["item", "true_class"]).groups
    assert len(groups) == 16
    for group in groups:
        assert group["percent"].sum() == pytest.approx(100, abs=0.21)  # rounded
        assert len(set(group["total"].tolist())) == 1


def test_people_who_all_agree():
    means = MaskedColumn([1, 1.33, 4, 2.67, 9], mask=[False, False, False, False, True])
    table = unanimous_labels([1, 1, 4, 3, 1], means)
    assert table["total"].tolist() == [2, 0, 1, 1]
    np.testing.assert_array_equal(table["percent"], [50, np.nan, 0, 100])


def _field(name, classes, shift=0.0):
    n = len(classes)
    sky = {"ra": 24.17 + 0.001 * np.arange(n) + shift / 3600, "dec": np.full(n, 15.78)}
    return Table({"field": [name] * n, "class": classes, **sky})


def test_objects_with_two_classes():
    consensus = vstack(
        [
            _field("ngc628-c", [1, 2, 3]),
            _field("ngc628-e", [1, 1, 3, 4], shift=0.05),
            _field("ngc1433", [4, 4, 4]),  # of another galaxy
            _field("ngc4656", [1, 4], shift=9e4),
        ]
    )
    bcw = _field("ngc4656", [1, 2], shift=9e4)
    pairs = repeated_labels({"bcw": bcw, "consensus": consensus})
    found = pairs[pairs["galaxy"] == "NGC 628"]
    assert list(zip(found["class_a"], found["class_b"], strict=True)) == [(1, 1), (2, 1), (3, 3)]
    found = pairs[pairs["galaxy"] == "NGC 4656"]
    assert list(zip(found["class_a"], found["class_b"], strict=True)) == [(1, 1), (2, 4)]
    assert set(found["first"]) == {"bcw"}
    assert set(found["second"]) == {"consensus"}
    alone = repeated_labels({"consensus": consensus[:3]})
    assert (len(alone), alone.colnames) == (0, pairs.colnames)


def _stamps(table):
    return Stamps(np.zeros((len(table), 5, 4, 4)), LEGUS_BANDS.roles, table=table)


def _select(rows, **_):
    """Two runs: 3 of 4 objects of class 1 are right, no other one."""
    labels = np.array([1, 1, 1, 1, 2, 2, 3, 4] * 2)
    classes = np.array([1, 1, 1, 2, 1, 1, 4, 1] * 2)
    return Table({"run": np.repeat(["1", "2"], 8), "label": labels, "class": classes})[:rows]


def test_people_are_beside_the_published_agreement(tmp_path):
    consensus = vstack([_field("ngc628-c", [1, 2]), _field("ngc628-e", [1, 1])])
    consensus["class_mean"] = [1.0, 2.33, 1.0, 1.0]
    samples = {"bcw": _stamps(_field("ngc45", [1])), "consensus": _stamps(consensus)}
    report = Report("people")
    add_people(report, samples, ["mine"], partial(_select, None))
    report.write(tmp_path)
    people = Table.read(tmp_path / "people.ecsv")
    paper = people[people["field"] == "NGC 3351"]
    assert [paper[f"class_{name}"][0] for name in ("1", "2", "3", "1+2")] == [80, 53, 56, 88]
    assert paper["class_4"].mask.all()
    levels = people[people["first"] == "adopted level"]
    assert levels["class_2"].tolist() == [40, 50]
    assert levels["limit"].tolist() == ["from", "to"]
    assert people["limit"][people["field"] == "M 83"].tolist() == ["about"]
    ours = people[people["source"] == "ours"]
    assert ours["field"].tolist() == ["consensus, all", "NGC 628"]
    assert ours["class_1"].tolist() == [100, 100]
    assert ours["class_2"].tolist() == [0, 0]
    assert ours["class_1+2"].tolist() == [None, 100]
    assert ours["objects"].tolist() == [4, 2]
    figure = sections(report)["People"].figure
    names = [text.get_text().partition(":")[0] for text in figure.legends[0].get_texts()]
    assert sorted(names) == ["NGC 3351", "NGC 4656", "mine, trained on bcw", "people, repeated"]
    assert [len(ax.collections) for ax in figure.axes] == [2] * 4


def test_ngc_3351_has_a_row_of_its_own(tmp_path):
    samples = {"bcw": _stamps(_field("ngc3351", [1, 1, 2, 3, 4]))}
    again = _field("ngc3351", [1, 2, 2, 3], shift=0.05)
    report = Report("people")
    add_people(report, samples, [], partial(_select, 0), again)
    report.write(tmp_path)
    people = Table.read(tmp_path / "people.ecsv")
    (row,) = people[people["source"] == "ours"]
    assert (row["field"], row["first"], row["second"]) == ("NGC 3351", "bcw", "PHANGS-HST")
    assert [row[f"class_{name}"] for name in ("1", "2", "3", "1+2")] == [50, 100, 100, 100]
    assert row["objects"] == 4
    assert "objects that became class 4 are not included" in sections(report)["People"].text


def test_networks_are_compared_with_the_level_of_people(tmp_path):
    samples = {"bcw": _stamps(_field("ngc45", [1])), "all": _stamps(_field("ngc45", [1]))}
    report = Report("levels")
    add_people(report, samples, ["mine"], partial(_select, None))
    report.write(tmp_path)
    levels = Table.read(tmp_path / "levels.ecsv")
    assert len(levels) == 4
    row = levels[0]
    assert row["trained"] == "mine, labels bcw, validation"
    assert row["against_people"] == "1 within, 2 below, 3 below, 4 below"
    assert (row["class_1"], row["class_2"], row["class_1+2"]) == (75, 0, 100)
    assert row["class_1_std"] == 0
    # Both samples as one are no second opinion of the people.
    assert "ours" not in Table.read(tmp_path / "people.ecsv")["source"]


def test_people_without_any_network(tmp_path):
    report = Report("people")
    samples = {"bcw": _stamps(_field("ngc45", [1]))}
    add_people(report, samples, ["mine"], partial(_select, 0))
    assert sections(report)["People"].figure is None
    report.write(tmp_path)
    assert len(Table.read(tmp_path / "people.ecsv")) > 6


def test_people_of_the_real_catalogs(data_folder):
    catalogs = [read_table(path) for path in legus_catalogs(data_folder / "legus_catalogs")]
    with pytest.warns(UserWarning, match="not in the sample"):
        sample = training_sample(catalogs)
    pairs = repeated_labels({"consensus": sample})
    assert set(pairs["galaxy"]) == {"NGC 628"}
    assert len(pairs) == 22
    agree = unanimous_labels(sample["class"], sample["class_mean"])
    assert (agree["percent"] > 30).all()
    assert (agree["percent"] < 60).all()


def test_totals_are_beside_those_of_the_paper(tmp_path):
    report = Report("totals")
    samples = {
        "bcw": _stamps(_field("ngc45", [1, 1, 3])),
        "new galaxy": _stamps(_field("ngc1559", [4, 4])),
    }
    add_totals(report, samples)
    report.write(tmp_path)
    totals = Table.read(tmp_path / "totals.ecsv")
    bcw = totals[totals["sample"] == "bcw"]
    assert bcw["source"].tolist() == ["paper, table 1", "paper, table 1", "ours"]
    assert bcw["class_1"].tolist() == [1393, 1271, 2]
    assert totals[totals["sample"] == "new galaxy"]["class_4"].tolist() == [710, 2]
    fields = Table.read(tmp_path / "samples.ecsv")
    assert list(fields[0]) == ["bcw", "ngc45", 2, 0, 1, 0, 45, 52, 20, 43]
    assert fields["paper_1"].tolist() == [45, None]


def _confusion(calls, **keywords):
    calls.append(keywords)
    if keywords["architecture"] == "none":
        return None
    return mean_confusion([confusion_matrix([1, 4], [1, 4])])


def test_panels_are_laid_out_as_in_the_paper():
    report, calls = Report("panels"), []
    networks, confusion = ["one", "none"], partial(_confusion, calls)
    add_confusions(report, networks, confusion)
    add_size_confusions(report, networks, confusion, ["25", "random"])
    without = {band: f"without {band}" for band in LEGUS_BANDS.roles}
    add_filter_confusions(report, networks, confusion, without)
    figures = [section.figure for section in report._sections]
    assert [len(figure.axes) for figure in figures] == [4, 4, 4, 10]
    rows = [text.get_text() for ax in figures[3].axes for text in ax.texts]
    assert [text for text in rows if "without" in text] == list(without.values())
    assert [call["size"] for call in calls if "size" in call] == ["25", "25", "random", "random"]
    add_confusions(report, ["none"], confusion)
    assert report._sections[-1].figure is None


def test_examples_are_cut_once_and_kept(field, tmp_path):
    stamps = make_stamps(field.truth, field.images, size=60)
    asked = []

    def fetch_images(name):
        asked.append(name)
        return field.images

    options = {"folder": tmp_path / "kept", "fetch_images": fetch_images}
    examples = example_stamps("ngc1566", stamps, **options)
    assert (examples.size, examples.filters) == (299, LEGUS_BANDS.roles)
    assert examples.table["class"].tolist() == sorted(set(field.truth["class"].tolist()))
    again = example_stamps("ngc1566", stamps, **options)
    np.testing.assert_array_equal(again.data, examples.data)
    assert asked == ["ngc1566"]
    middle = slice(149 - 3, 149 + 4)
    v = np.nan_to_num(examples.data[:, 3, middle, middle]).max(axis=(1, 2))
    assert (v > 0).all()


@pytest.mark.parametrize("failure", [FileNotFoundError, KeyError, ValueError])
def test_a_field_without_images_is_named(failure, field, tmp_path):
    stamps = make_stamps(field.truth, field.images, size=60)

    def fetch_images(name):
        if name == "ngc45":
            raise failure("the server has no ngc45")
        return field.images

    report = Report("examples")
    fields = {"ngc45": stamps, "ngc1566": stamps}
    add_examples(report, fields, tmp_path, fetch_images)
    section = report._sections[0]
    assert "ngc45 is not shown, as its images are not available: " in section.text
    assert "the server has no ngc45" in section.text
    assert section.figure.axes[0].get_ylabel() == "ngc1566\nclass 1"
    add_examples(report, {"ngc45": stamps}, tmp_path, fetch_images)
    assert report._sections[1].figure is None
    failure = InterruptedError  # by the user
    with pytest.raises(InterruptedError):
        add_examples(report, {"ngc45": stamps}, tmp_path, fetch_images)


def test_learning_curves_of_all_trainings(tmp_path):
    for run, content in (
        (1, "epoch,loss,step\n0,1.4,9\n1,1.1,19\n"),
        (2, "epoch,loss,step\n0,1.5,9\n"),
        (3, "epoch\n"),  # killed in the first epoch
    ):
        folder = tmp_path / "bcw_mine" / f"run-{run:02}" / "member-1"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text(content)
    report = Report("curves")
    add_learning_curves(report, tmp_path)
    (ax,) = (ax for ax in report._sections[0].figure.axes if ax.get_title())
    assert ax.get_title() == "bcw mine"
    assert [line.get_ydata().tolist() for line in ax.get_lines()] == [[1.4, 1.1], [1.5], []]
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylim()[1] > 1.5
    add_learning_curves(report, tmp_path / "none")
    assert report._sections[1].figure is None
