# Licensed under a 3-clause BSD style license - see LICENSE.rst
import numpy as np
import pytest
from astropy.table import Table

from astroclust import find_candidates, select_candidates, simulate_field


def test_cuts():
    table = Table({"ci": [1.5, 1.2, np.nan, 1.5, 1.5], "row": range(5)})
    for name in ("a", "b", "c", "d", "e"):
        table[f"flux_{name}"] = [100.0, 100, 100, 100, 100]
        table[f"flux_err_{name}"] = [1.0, 1, 1, 1, 1]
    table["flux_a"][4] = np.nan
    table["flux_err_b"][3:] = 30.0  # 0.33 mag
    table["flux_c"][4] = -100.0
    result = select_candidates(table)
    assert result["row"].tolist() == [0, 3]
    assert result["n_filters"].tolist() == [5, 4]
    assert select_candidates(table, min_ci=1.1)["row"].tolist() == [0, 1, 3]
    assert len(select_candidates(table, max_error=0.4, min_filters=3)) == 3
    table["ci"] = np.ma.array(table["ci"], mask=[1, 0, 0, 0, 0])
    assert select_candidates(table)["row"].tolist() == [3]
    with pytest.raises(ValueError, match="n_filters already"):
        select_candidates(result)
    with pytest.raises(KeyError, match="no column flux_a"):
        select_candidates(table["ci", "flux_err_a"])
    with pytest.raises(KeyError, match=r"needs columns ci.*it has ci, row"):
        select_candidates(table["ci", "row"])


def test_candidates_of_a_simulated_field():
    field = simulate_field(shape=(256, 256), seed=3, density=8e-4)
    candidates = find_candidates(field.images)
    assert candidates["ci"].min() >= 1.3
    clusters = field.truth[field.truth["class"] < 3]
    inside = (np.abs(clusters["x"] - 128) < 118) & (np.abs(clusters["y"] - 128) < 118)
    bright = clusters[inside & (clusters["mag_v"] < 23.5)]
    assert len(bright) > 6
    distance = np.hypot(
        bright["x"][:, None] - candidates["x"], bright["y"][:, None] - candidates["y"]
    )
    assert np.mean(distance.min(axis=1) < 2) > 0.75


def test_the_band_to_detect_in(field):
    two = {name: field.images[name] for name in ("F275W", "F814W")}
    candidates = find_candidates(two)
    assert np.all(candidates["n_filters"] == 2)
    again = find_candidates(two, detect_in="F814W")
    assert again["x"].tolist() == candidates["x"].tolist()
    with pytest.raises(KeyError, match="no band 'V'"):
        find_candidates(two, detect_in="V")
