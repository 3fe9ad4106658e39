# Licensed under a 3-clause BSD style license - see LICENSE.rst
import pickle

import numpy as np
import pytest

from astroclust import decode_flags
from astroclust.catalogs import CatalogFlag
from astroclust.flags import DescribedFlag
from astroclust.selection import Cut
from astroclust.stamps import StampFlag


class Quality(DescribedFlag):
    FAINT = 1, "flux too low"
    BLENDED = 4, "close to another source"


@pytest.mark.parametrize("kind", [StampFlag, Cut, CatalogFlag])
def test_each_bit_is_described(kind):
    rows = kind.describe()
    assert [name for _, name, _ in rows] == [flag.name for flag in kind]
    assert [bit for bit, _, _ in rows] == [1 << i for i in range(len(kind))]
    assert all(isinstance(meaning, str) and meaning for _, _, meaning in rows)


def test_flags_are_numbers_with_a_description():
    both = Quality.FAINT | Quality.BLENDED
    assert both == 5
    assert both.description == "flux too low; close to another source"
    assert Quality(4) is Quality.BLENDED
    assert pickle.loads(pickle.dumps(both)) is both
    flags = np.zeros(2, np.int32)
    flags[1] |= Quality.BLENDED
    assert flags.dtype == np.int32
    assert Quality.decode(flags) == [[], ["BLENDED"]]


@pytest.mark.parametrize("values", [2, 8, -1, [0, 2], np.array([8])])
def test_bits_that_are_not_in_use(values):
    with pytest.raises(ValueError, match="undefined bits"):
        decode_flags(values, kind=Quality)


def test_the_bits_of_stamps_are_the_default():
    assert decode_flags([1, 0]) == StampFlag.decode([1, 0]) == [["EDGE"], []]
