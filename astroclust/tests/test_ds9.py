# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from regions import CirclePixelRegion, CircleSkyRegion, Regions

from astroclust import to_regions
from astroclust.catalogs import CLASS_COLORS


def test_a_circle_a_row(tmp_path):
    table = Table({"x": [10.0, np.nan, 30.0], "y": [20.0, 1.0, 40.5]})
    table["class"] = MaskedColumn([2, 1, 0], mask=[False, False, True])
    table["probability"] = [0.876, 0.5, np.nan]
    regions = to_regions(table)
    assert len(regions) == 2
    assert isinstance(regions[0], CirclePixelRegion)
    assert regions[0].meta["text"] == "2 0.88"
    assert regions[0].visual["color"] == CLASS_COLORS[2]
    assert regions[1].meta["text"] == ""
    regions.write(tmp_path / "r.reg", format="ds9")
    again = Regions.read(tmp_path / "r.reg", format="ds9")
    assert (again[1].center.x, again[1].center.y) == pytest.approx((30, 40.5))
    assert again[0].meta["text"] == "2 0.88"


def test_sky_regions_go_first():
    table = Table({"x": [10.0], "y": [20.0], "ra": [24.0], "dec": [15.0], "ml_class": [4]})
    region = to_regions(table, column_prefix="ml_")[0]
    assert isinstance(region, CircleSkyRegion)
    assert region.meta["text"] == "4"
    with pytest.raises(KeyError, match="the table has no positions"):
        to_regions(Table({"a": [1]}))
