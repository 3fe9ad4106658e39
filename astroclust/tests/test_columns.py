# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy import units as u
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from astroclust.catalogs import float_column, float_values


@pytest.mark.parametrize(
    "column",
    [
        MaskedColumn([1, 99], mask=[False, True]),
        MaskedColumn([1.0, 99], mask=[False, True], unit="mag", dtype=">f4"),
        Masked([1.0, 99] * u.mag, mask=[False, True]),
        np.array([1, np.nan], np.float16),
        [1, np.nan] * u.mag,
    ],
)
def test_a_column_as_floats(column):
    values = float_column(QTable({"a": column}), "a")
    np.testing.assert_array_equal(values, [1, np.nan])
    assert type(values) is np.ndarray
    assert values.dtype == np.float64


def test_the_floats_are_a_copy():
    table = Table({"a": [1.0, 2.0]})
    float_column(table, "a")[:] = 0
    assert table["a"].tolist() == [1, 2]


def test_lists_are_values_too():
    assert float_values([1, 2]).tolist() == [1, 2]
    assert float_values(np.ma.masked_equal([1, 2], 2)).tolist() == pytest.approx(
        [1, np.nan], nan_ok=True
    )


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(KeyError, match="the table has no column ci; it has x, y"):
        float_column(Table({"x": [1], "y": [2]}), "ci")
