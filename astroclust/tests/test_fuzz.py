# Licensed under a 3-clause BSD style license - see LICENSE.rst
from collections import Counter

import numpy as np
import pytest
from astropy.io import fits

from astroclust.tests import fuzzing
from astroclust.tests.fuzzed_files import make_kinds
from astroclust.tests.fuzzing import BAD, OUTCOMES, HangError, Kind, decode_images, fuzz, watchdog

_N_FILES = 500


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    return make_kinds(tmp_path_factory.mktemp("good"))


def test_damaged_files_are_read_right_or_refused_by_name(kinds, tmp_path):
    cases = [fuzz(kinds[i % len(kinds)], i, tmp_path) for i in range(_N_FILES)]
    bad = [
        f"{i} {kinds[i % len(kinds)].name}: {outcome}: {note}"
        for i, (outcome, note) in enumerate(cases)
        if outcome in BAD
    ]
    assert not bad, "\n".join(bad)
    assert {"equal", "as stated", "our error"} < set(Counter(outcome for outcome, _ in cases))


def test_cases_repeat(kinds, tmp_path):
    assert [fuzz(kinds[0], i, tmp_path) for i in range(5)] == [
        fuzz(kinds[0], i, tmp_path) for i in range(5)
    ]


def _foreign(path):
    raise UnicodeError(path)


def _own(message):
    def read(path):
        # Raised as by a module of the package, which this one is.
        raise OSError(message.format(path.name))

    return read


def _endless(path):
    while True:
        pass


@pytest.mark.parametrize(
    ("read", "wanted"),
    [
        (_own("{} is damaged"), "our error"),
        (_own("something is damaged"), "unnamed error"),
        (lambda path: int(path), "foreign exception"),
        (lambda path: np.load(path), "foreign exception"),
        (_endless, "hang"),
        (lambda path: {"x": np.arange(3)}, "equal"),
        (lambda path: {"x": np.arange(4)}, "silent change"),
        (lambda path: {"x": np.arange(2)}, "silent change"),
    ],
)
def test_outcomes_are_told_apart(tmp_path, read, wanted):
    kind = Kind("any", ".dat", [b"0123456789" * 50], read, has_checksum=True)
    kind.good[kind.contents[0]] = {"x": np.arange(3)}
    outcome, _ = fuzz(kind, 0, tmp_path, seconds=0.2)
    assert outcome == wanted
    assert outcome in OUTCOMES


def test_rows_may_be_lost_with_the_end_of_a_text(tmp_path, monkeypatch):
    monkeypatch.setitem(fuzzing._DAMAGES, "text", [fuzzing._truncate])
    kind = Kind("any", ".dat", [b"1\n2\n3\n"], lambda path: {"x": np.arange(2)}, "text")
    kind.good[kind.contents[0]] = {"x": np.arange(3)}
    assert fuzz(kind, 0, tmp_path)[0] == "fewer rows"
    kind.good[kind.contents[0]] = {"x": np.arange(1, 4)}
    assert fuzz(kind, 0, tmp_path)[0] == "silent change"


def test_a_watchdog_that_is_not_needed_leaves_no_alarm():
    with watchdog(0.05):
        pass
    with pytest.raises(HangError), watchdog(0.05):
        _endless(None)


def test_the_decoder_reads_what_astropy_writes(kinds):
    for kind in kinds:
        if kind.decode:
            for content in kind.contents:
                found = decode_images(content)
                for hdu in fits.HDUList.fromstring(content):
                    if hdu.data is not None:
                        np.testing.assert_allclose(found[hdu.name.replace("PRIMARY", "")], hdu.data)
