# Licensed under a 3-clause BSD style license - see LICENSE.rst

import json

import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, Table
from hypothesis import given, settings
from hypothesis import strategies as st

from astroclust import find_sources
from astroclust.cli import main
from astroclust.evaluation import detection_scores
from astroclust.evaluation.matching import match_by_score


def _truth():
    """Two clusters and a star, then a pair of clusters 4 pixels apart, of a flux ratio of 2.5."""
    return Table(
        {
            "x": [10.0, 50.0, 90.0, 10.0, 14.0],
            "y": [10.0, 10.0, 10.0, 60.0, 60.0],
            "class": [1, 2, 4, 1, 1],
            "mag_v": [20.2, 22.2, 21.2, 21.0, 22.0],
        }
    )


def _found():
    """Of the truth the first, the star and the brighter member of the pair, and one of nothing."""
    return Table(
        {
            "x": [10.5, 90.0, 10.4, 60.0],
            "y": [10.0, 10.5, 60.0, 80.0],
            "mag_f555w": [20.3, 21.1, 20.6, 24.1],
            "probability": [0.9, 0.8, 0.6, 0.7],
        }
    )


def _bin_of(table, magnitude):
    (row,) = table[(table["low"] <= magnitude) & (magnitude < table["high"])]
    return row


def test_completeness_and_purity():
    scores = detection_scores(_found(), _truth())
    assert (scores.completeness, scores.purity) == (0.6, 0.75)
    assert scores.matches["row_found"].tolist() == [0, 1, 2]
    assert scores.matches["row_true"].tolist() == [0, 2, 3]
    assert scores.matches["separation"].tolist() == pytest.approx([0.5, 0.5, 0.4])
    row = scores.overall[0]
    assert 0.6 > row["completeness_low"] > 0
    assert 1 > row["completeness_high"] > 0.6
    assert scores.note == ""
    assert "completeness 0.600 (" in str(scores)


def test_scores_by_magnitude_are_of_true_and_of_measured_ones():
    table = detection_scores(_found(), _truth()).by_magnitude
    assert _bin_of(table, 22.1)["n_true"] == 2
    assert _bin_of(table, 22.1)["completeness"] == 0
    assert _bin_of(table, 24.1)["purity"] == 0
    assert np.isnan(_bin_of(table, 24.1)["completeness"])
    assert table["n_true"].sum() == 5
    assert table["n_found"].sum() == 4
    wide = detection_scores(_found(), _truth(), width=10).by_magnitude
    assert wide["n_true"].tolist() == [5]


def test_classes_that_count():
    scores = detection_scores(_found(), _truth(), classes=[1, 2, 3])
    assert (scores.completeness, scores.purity) == (0.5, 0.5)  # the star is a wrong detection
    assert scores.by_class["class"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(scores.by_class["completeness"], [2 / 3, 0, np.nan])
    assert np.isnan(scores.by_class["purity"]).all()


def test_found_sources_of_other_classes_are_no_detections():
    found = _found()
    found["class"] = [2, 4, 1, 1]
    scores = detection_scores(found, _truth(), classes=[1, 2, 3])
    assert scores.purity == pytest.approx(2 / 3)
    assert scores.matches["row_found"].tolist() == [0, 2]
    by_class = scores.by_class
    assert by_class["n_found"].tolist() == [2, 1, 0]
    assert by_class["purity"][:2].tolist() == [0.5, 0]  # found as 2, but it is of class 1


def test_matches_of_labels_that_nobody_gave_are_neither_true_nor_false():
    truth = _truth()
    truth.rename_column("class", "class_human")
    truth["class_human"][2] = 0
    scores = detection_scores(_found(), truth, classes=[1, 2, 3])
    assert scores.overall["n_found"][0] == 3
    assert scores.purity == pytest.approx(2 / 3)
    assert detection_scores(_found(), truth).purity == 0.75


def test_crowding():
    truth = Table({"x": [0.0, 3, 100, 120, 200, 260], "y": np.zeros(6)})
    found = Table({"x": [0.0, 100, 120, 260, 3.9], "y": np.zeros(5)})
    table = detection_scores(found, truth, radius=0.5).by_crowding
    assert table["low"][0] == 0
    assert np.isinf(table["high"][-1])
    assert table["low"].unit == u.pix
    assert (table["n_true"].sum(), table["n_found"].sum()) == (6, 5)
    assert table["completeness"][0] == 0.5
    assert table["purity"][0] == 0.5  # that 0.9 pixels beside a true source is not true
    alone = detection_scores(found, truth[:1]).by_crowding
    assert alone["n_true"].tolist() == [1]


def test_thresholds():
    scores = detection_scores(_found(), _truth(), score="probability")
    assert scores.curve["threshold"].tolist() == [0.9, 0.8, 0.7, 0.6]
    assert scores.curve["total"].tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(scores.curve["purity"], [1, 1, 2 / 3, 3 / 4])
    np.testing.assert_allclose(scores.curve["completeness"], [0.2, 0.4, 0.4, 0.6])
    assert scores.average_precision["radius"].tolist() == [1, 2, 3, 5]
    np.testing.assert_allclose(scores.average_precision["average_precision"], 0.4 + 0.2 * 0.75)
    small = detection_scores(_found(), _truth(), score="probability", radii=[0.1, 0.45])
    np.testing.assert_allclose(small.average_precision["average_precision"], [0, 0.2 / 4])
    assert "average precision 0.050 within 0.45 pix" in str(small)
    plain = detection_scores(_found(), _truth())
    assert len(plain.curve) == len(plain.average_precision) == 0


def test_rows_without_a_score_pass_no_threshold():
    found = _found()
    found["probability"] = MaskedColumn(found["probability"], mask=[True, False, False, False])
    scores = detection_scores(found, _truth(), score="probability")
    assert scores.completeness == 0.6
    assert scores.curve["completeness"][-1] == pytest.approx(0.4)


def test_a_second_detection_of_a_source_is_false():
    truth = _truth()[:1]
    found = Table({"x": [10.1, 10.6], "y": [10.0, 10.0], "p": [0.5, 0.9]})
    scores = detection_scores(found, truth, score="p")
    assert scores.purity == 0.5
    assert scores.matches["row_found"].tolist() == [0]
    assert scores.curve["purity"].tolist() == [1, 0.5]  # the surer one has it


def test_pairs():
    scores = detection_scores(_found(), _truth())
    pairs = scores.pairs[scores.pairs["n"] > 0]
    assert len(scores.pairs) == 7 * 4
    assert (pairs["separation_low"][0], pairs["separation_high"][0]) == (4, 5)
    assert (pairs["ratio_low"][0], pairs["ratio_high"][0]) == (1.5, 3)
    assert pairs["recovered"].tolist() == [0]
    found = _found()
    found.add_row([14.0, 59.8, 22.0, 0.5])
    scores = detection_scores(found, _truth(), separations=[3.5, 4.5])
    assert scores.pairs["n"].tolist() == [0, 1, 0, 0]
    assert scores.pairs["recovered"][1] == 1
    del found["mag_f555w"]
    assert len(detection_scores(found, _truth()["x", "y"]).pairs) == 0


def test_incomplete_truth():
    scores = detection_scores(_found(), _truth(), limit=23, score="probability")
    assert (scores.completeness, scores.purity) == (0.6, 1)
    assert scores.overall["n_found"][0] == 3
    assert scores.curve["total"].tolist() == [1, 2, 2, 3]
    assert "complete to 23 mag: purity and precision use the 3 detected sources" in scores.note
    assert scores.note in str(scores)
    found = _found()["x", "y"]
    with pytest.raises(
        ValueError, match="limit requires magnitudes of the detected sources; measure"
    ):
        detection_scores(found, _truth(), limit=23)
    found["mine"] = _found()["mag_f555w"]  # the remedy
    assert detection_scores(found, _truth(), limit=23, magnitude=("mine", "mag_v")).purity == 1


def test_on_the_sky():
    def sky(table):
        table["ra"], table["dec"] = 150 - table["x"] / 9e4, 2 + table["y"] / 9e4
        del table["x"], table["y"]
        return table

    found, truth = sky(_found()), sky(_truth())
    scores = detection_scores(found, truth, radius=0.08 * u.arcsec, score="probability")
    assert scores.completeness == 0.6
    assert scores.matches["separation"].unit == u.arcsec
    assert scores.matches["separation"][0] == pytest.approx(0.02, rel=1e-3)
    assert scores.average_precision["radius"].unit == u.arcsec
    assert scores.pairs["separation_low"].unit == u.arcsec
    with pytest.raises(ValueError, match="truth only has sky positions; set radius to an"):
        detection_scores(found, truth)
    with pytest.raises(ValueError, match="truth only has pixel positions"):
        detection_scores(found, _truth(), radius=0.08 * u.arcsec)
    with pytest.raises(ValueError, match="not convertible"):
        detection_scores(found, truth, radius=0.08 * u.arcsec, radii=[1, 2] * u.pix)


def test_nothing_found():
    for found in (_found()[:0], find_sources(np.zeros((60, 60))), Table({"x": [], "y": []})):
        scores = detection_scores(found, _truth(), classes=[1])
        assert scores.completeness == 0
        assert np.isnan(scores.purity)
        assert scores.by_magnitude["n_true"].sum() == 3
    scores = detection_scores(_found()[:0], _truth(), score="probability", limit=22)
    assert (scores.average_precision["average_precision"] == 0).all()


def test_nothing_that_is_true():
    with pytest.raises(ValueError, match="truth has no sources; use a table with"):
        detection_scores(_found(), _truth()[:0])
    with pytest.raises(ValueError, match=r"truth has no sources of classes \[3\]"):
        detection_scores(_found(), _truth(), classes=[3])


def test_tables_that_cannot_be_scored():
    found, truth = _found(), _truth()
    with pytest.raises(KeyError, match="no positions"):
        detection_scores(found["mag_f555w",], truth)
    with pytest.raises(KeyError, match="found has no column purity; it has x, y, mag_f555w"):
        detection_scores(found, truth, score="purity")
    with pytest.raises(KeyError, match="found has no column mag_v"):
        detection_scores(found, truth, magnitude="mag_v")
    with pytest.raises(KeyError, match="truth catalog has no column class or class_human"):
        detection_scores(found, truth["x", "y"], classes=[1])
    with pytest.raises(ValueError, match=r"classes must be some of \[1, 2, 3, 4\], not \[7\]"):
        detection_scores(found, truth, classes=[7])
    found["x"][1] = np.nan
    with pytest.raises(ValueError, match="1 of 4 rows of found have no position; remove them"):
        detection_scores(found, truth)
    assert len(detection_scores(found[np.isfinite(found["x"])], truth).matches) == 2  # the remedy


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 0}, "radius must be positive"),
        ({"radius": 2 * u.s}, "radius must be an angle or pixels"),
        ({"width": -1}, "width must be positive"),
        ({"radii": [2, 1]}, "radii must be increasing"),
        ({"separations": [-1, 1]}, "separations must be increasing"),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        detection_scores(_found(), _truth(), **options)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 30), st.integers(1, 30))
def test_matches_are_one_to_one_whatever_the_order(seed, n, m):
    rng = np.random.default_rng(seed)
    found = Table(rng.uniform(0, 20, (n, 2)), names=["x", "y"])
    truth = Table(rng.uniform(0, 20, (m, 2)), names=["x", "y"])
    found["score"] = rng.uniform(size=n)
    scores = detection_scores(found, truth, score="score", radius=3)
    matches = scores.matches
    assert len(set(matches["row_found"])) == len(set(matches["row_true"])) == len(matches)
    order = rng.permutation(n)
    again = detection_scores(found[order], truth, score="score", radius=3)
    assert sorted(order[again.matches["row_found"]]) == matches["row_found"].tolist()
    assert (again.curve["completeness"] == scores.curve["completeness"]).all()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 1))
def test_matches_above_a_threshold_do_not_depend_on_those_below(seed, threshold):
    rng = np.random.default_rng(seed)
    found, true, scores = rng.uniform(0, 10, (20, 2)), rng.uniform(0, 10, (12, 2)), rng.random(20)
    above = scores >= threshold
    partner = match_by_score(found, true, scores, 2)
    assert (match_by_score(found[above], true, scores[above], 2) == partner[above]).all()


@pytest.fixture
def files(tmp_path):
    _found().write(tmp_path / "found.ecsv")
    _truth().write(tmp_path / "truth.ecsv")
    return ["score", "--detection", *(str(tmp_path / f"{n}.ecsv") for n in ("found", "truth"))]


def test_the_command_says_its_scores(files, tmp_path, capsys):
    figure = tmp_path / "scores.png"
    options = ["--score-column", "probability", "--limit", "23", "--figure", str(figure)]
    assert main([*files, *options]) == 0
    shown = capsys.readouterr().out
    assert "completeness 0.600 (" in shown
    assert "average precision" in shown
    assert "complete to 23 mag" in shown
    assert "pairs of true sources with both members found:" in shown
    assert figure.stat().st_size > 1000
    assert main([*files, *options]) == 1
    assert "already exists" in capsys.readouterr().err
    assert main([*files, *options, "--overwrite"]) == 0


def test_the_command_says_its_scores_to_scripts(files, capsys):
    assert main([*files, "--json", "--classes", "1,2,3", "--radius", "0.45"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["overall"][0]["completeness"] == 0.25
    assert (said["radius"], said["unit"]) == (0.45, "pix")
    assert [row["class"] for row in said["by_class"]] == [1, 2, 3]
    assert main([*files, "--radius", "0.1arcsec"]) == 1
    assert "only has pixel positions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "default"], "--model cannot be combined with --detection"),
        (["--seed", "3"], "--seed cannot be combined with --detection"),
        (["--image", "V=v.fits"], "--image cannot be combined with --detection"),
    ],
)
def test_options_of_classifiers_do_not_go_with_detection(files, capsys, options, message):
    assert main([*files, *options]) == 1
    assert message in capsys.readouterr().err


def test_options_of_detection_need_it(capsys):
    assert main(["score", "--simulate", "8", "--limit", "23"]) == 1
    assert "--limit requires --detection FOUND TRUTH" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--radius", "near"], ["--classes", "one"]])
def test_options_that_are_not_understood(files, capsys, options):
    with pytest.raises(SystemExit):
        main([*files, *options])
    assert "expected" in capsys.readouterr().err


def test_classes_of_a_detector_count():
    truth = Table({"x": [10.0, 40.0], "y": [10.0, 10.0], "class": [1, 4]})
    found = Table({"x": [10.0, 40.0, 70.0], "y": [10.0, 10.0, 10.0], "det_class": [1, 4, 4]})
    scores = detection_scores(found, truth, classes=[1, 2, 3])
    assert scores.purity == 1
    assert scores.overall["n_found"][0] == 1
