# Licensed under a 3-clause BSD style license - see LICENSE.rst
import json
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given
from hypothesis import strategies as st

from astroclust.cli.report import Report


@pytest.fixture
def facts_of(capsys):
    """What a script gets of facts."""

    def facts_of(**facts):
        report = Report(as_json=True)
        report.say("", **facts)
        report.end()
        return json.loads(capsys.readouterr().out)

    return facts_of


def test_the_text_has_the_facts_and_other_words(capsys):
    report = Report(as_json=False)
    report.say("{n:3d} of {} in {path}", "all", n=2, path=Path("a"), unsaid=1)
    report.say("", n=3)
    report.say("{}", "{braces} stay", path="{n}")
    report.end()
    assert capsys.readouterr().out == "  2 of all in a\n{braces} stay\n"


def test_tables_are_said_in_full(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "10")
    table = Table({f"column_{i}": np.arange(100) for i in range(30)})
    Report(as_json=False).say("{table}", table=table)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 102
    assert "column_15" in lines[0]
    assert not any("..." in line for line in lines)


def test_one_object_is_printed_once(capsys):
    report = Report(as_json=True)
    report.say("{n} are said", n=1)
    assert capsys.readouterr().out == ""
    report.say("to {path}", path="a")
    report.end()
    report.say("ended", n=2)
    report.end()
    assert capsys.readouterr().out == '{"n": 1, "path": "a"}\n'


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, None),
        (np.nan, None),
        (-np.inf, None),
        (np.float32(0.5), 0.5),
        (np.float64(np.nan), None),
        (np.int64(3), 3),
        (np.True_, True),
        (np.str_("a"), "a"),
        (np.ma.masked, None),
        (np.array([[1, 2]]), [[1, 2]]),
        (np.array([1.5, np.nan]), [1.5, None]),
        (np.ma.array([1, 2], mask=[True, False]), [None, 2]),
        (Path("a") / "b", "a/b"),
        ([Path("a"), (np.int8(1), np.nan)], ["a", [1, None]]),
        ({1: np.nan, Path("a"): {"b": np.int64(2)}}, {"1": None, "a": {"b": 2}}),
        ("NaN", "NaN"),
        (Table({"a": [1, 2], "b": [0.5, np.nan]}), [{"a": 1, "b": 0.5}, {"a": 2, "b": None}]),
        (Table({"a": np.ma.array(["x", "y"], mask=[True, False])}), [{"a": None}, {"a": "y"}]),
        (Table({"a": np.array([[1.0, np.nan]])}), [{"a": [1.0, None]}]),
        (Table(names=["a"]), []),
    ],
)
def test_values_as_json_knows_them(value, wanted, facts_of):
    assert facts_of(value=value) == {"value": wanted}


@given(st.recursive(st.floats() | st.text() | st.integers(), st.lists, max_leaves=8))
def test_what_json_knows_stays_as_it_is(value):
    from astroclust.cli.report import _plain

    text = json.dumps(_plain(value), allow_nan=False)
    assert json.loads(text) == _without_nan(value)


def _without_nan(value):
    if isinstance(value, list):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def test_what_json_does_not_know_is_an_error():
    report = Report(as_json=True)
    report.say("", value=object())
    with pytest.raises(TypeError, match="not JSON serializable"):
        report.end()
