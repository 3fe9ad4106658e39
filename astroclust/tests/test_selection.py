# Licensed under a 3-clause BSD style license - see LICENSE.rst
import warnings
from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable, Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust import ImageSet, classify_table, decode_flags, find_candidates, find_sources
from astroclust.catalogs import write_table
from astroclust.instruments import LEGUS_BANDS
from astroclust.selection import (
    NGC1559_CUTS,
    PRESETS,
    Cut,
    Cuts,
    cut_flow,
    field_settings,
    select_candidates,
)
from astroclust.simulation.observations import observe_like

# That there is none is what most tests want: see `test_no_distance_is_told_once`.
pytestmark = pytest.mark.filterwarnings("ignore:without a distance")


def sources():
    table = Table({"ci": [1.5, 1.2, np.nan, 1.5, 1.5]})
    for name in ("f275w", "f336w", "f438w", "f555w", "f814w"):
        table[f"flux_{name}"] = [100.0, 100, 100, 100, 100]
        table[f"flux_err_{name}"] = [1.0, 1, 1, 1, 1]
    table["flux_f275w"][4] = np.nan
    table["flux_err_f336w"][3:] = 30.0  # 0.33 mag
    table["flux_f555w"][4] = -100.0
    return table


def test_each_cut_leaves_its_bit():
    result = select_candidates(sources())
    assert result["cuts"].tolist() == [
        0,
        Cut.CONCENTRATION_INDEX,
        Cut.CONCENTRATION_INDEX,
        0,
        Cut.ADJACENT_BANDS | Cut.FILTERS,
    ]
    assert result["n_filters"].tolist() == [5, 5, 5, 4, 0]
    assert select_candidates(sources(), cuts=Cuts(min_ci=1.1))["cuts"][1] == 0
    loose = select_candidates(sources(), cuts=Cuts(max_error=0.4, min_filters=0, min_ci=0))
    assert loose["cuts"].tolist() == [0, 0, Cut.CONCENTRATION_INDEX, 0, 0]
    assert decode_flags(result["cuts"], kind=Cut)[-1] == ["ADJACENT_BANDS", "FILTERS"]
    flow = cut_flow(result)
    assert flow["cut"].tolist() == ["DETECTED", *(cut.name for cut in Cut)]
    assert flow["left"].tolist() == [5, 4, 4, 2, 2, 2, 2]
    assert flow["rejected"].tolist() == [0, 1, 1, 2, 0, 0, 0]
    assert flow["newly_rejected"].tolist() == [0, 1, 0, 2, 0, 0, 0]


def test_four_filters_are_b_v_i_and_one_more():
    table = sources()[:3]
    table["ci"] = 1.5
    table["flux_err_f275w"][0] = table["flux_err_f438w"][1] = 30.0
    table["flux_err_f275w"][2] = table["flux_err_f336w"][2] = 30.0
    result = select_candidates(table)
    assert result["n_filters"].tolist() == [4, 0, 3]
    assert result["cuts"].tolist() == [0, Cut.FILTERS, Cut.FILTERS]


def test_neighbors_follow_one_another():
    table = Table({"ci": [1.5, 1.5], "mag_err_f275w": [0.1, 9], "mag_err_f438w": [0.1, 0.1]})
    table["mag_err_f336w"], table["mag_err_f555w"] = [9.0, 9], [9.0, 0.1]
    result = select_candidates(table, cuts=Cuts(min_filters=0))
    assert result["cuts"].tolist() == [Cut.ADJACENT_BANDS, 0]


def test_few_filters_are_all_needed():
    table = Table({"ci": [1.5, 1.5], "mag_err_f275w": [0.1, 9], "mag_err_f814w": [0.1, 0.1]})
    assert select_candidates(table)["cuts"].tolist() == [0, Cut.FILTERS]


def test_the_limit_is_an_absolute_magnitude():
    table = Table({"ci": [1.5] * 3, "mag_err_f555w": [0.1] * 3})
    magnitudes = np.ma.array([23.9, 24.1, 20], mask=[0, 0, 1])
    cuts = select_candidates(table, distance=10 * u.Mpc, v_magnitude=magnitudes)["cuts"]
    assert cuts.tolist() == [0, Cut.MAGNITUDE, Cut.MAGNITUDE]
    table["mag_f555w"] = magnitudes
    assert select_candidates(table, distance=10)["cuts"].tolist() == cuts.tolist()
    assert select_candidates(table, distance=10, cuts=NGC1559_CUTS)["cuts"][0] == Cut.MAGNITUDE
    with pytest.raises(ValueError, match="v_magnitude must have shape"):
        select_candidates(table, distance=10, v_magnitude=[1.0])
    with pytest.raises(ValueError, match="distance must be positive"):
        select_candidates(table, distance=-1)


def test_of_two_candidates_at_one_position_the_later_stays():
    table = Table({"x": [1.0, 1.2, 9, 9.2, np.nan], "y": [1.0] * 5, "ci": [1.5, 1.5, 1.5, 1, 1.5]})
    table["mag_err_f555w"] = 0.1
    assert select_candidates(table)["cuts"].tolist() == [
        Cut.DUPLICATE,
        0,
        0,
        Cut.CONCENTRATION_INDEX,
        0,
    ]


def test_the_number_of_filters_is_taken_where_it_is_known():
    table = Table({"ci": [1.5, 1.5], "mag_err_f555w": [0.1, 0.1], "mag_err_f814w": [0.1, 0.1]})
    table["n_filters"] = np.ma.array([4, 4], mask=[0, 1])
    assert select_candidates(table)["cuts"].tolist() == [0, Cut.FILTERS]


def test_tables_that_cannot_be_selected_from():
    table = sources()
    with pytest.raises(ValueError, match="already has a column cuts"):
        select_candidates(select_candidates(table))
    with pytest.raises(KeyError, match="no column flux_f275w"):
        select_candidates(table["ci", "flux_err_f275w"])
    with pytest.raises(KeyError, match=r"needs columns ci.*it has ci"):
        select_candidates(table["ci",])
    with pytest.raises(KeyError, match="no magnitude in V"):
        select_candidates(table, distance=10)
    with pytest.raises(KeyError, match="neither a column cuts"):
        cut_flow(table)
    assert len(select_candidates(table[:0])) == 0


def test_v_may_have_to_be_one_of_the_neighbors():
    table = Table({"ci": [1.5, 1.5], "mag_err_f275w": [0.1, 0.1], "mag_err_f336w": [0.1, 0.1]})
    table["mag_err_f438w"], table["mag_err_f555w"] = [0.9, 0.1], [0.1, 0.1]
    cuts = Cuts(min_filters=0, needs_reference=True)
    assert select_candidates(table, cuts=cuts)["cuts"].tolist() == [Cut.ADJACENT_BANDS, 0]


def test_errors_are_those_before_the_aperture_correction():
    table = Table({"ci": [1.5], "flux_f555w": [100.0], "flux_err_f555w": [1.0]})
    table["mag_err_f555w"] = [0.5]
    assert select_candidates(table)["cuts"].tolist() == [0]


def test_candidates_of_a_crowded_field(crowded):
    preset = replace(PRESETS["legus"], threshold=5)
    candidates = find_candidates(crowded.images, distance=10, preset=preset)
    assert candidates["ci"].min() >= 1.3
    assert candidates["mag_f555w"].max() <= 5 * np.log10(10) + 25 - 6
    assert candidates.meta["DETECTED"] > candidates.meta["ADJACENT"] > len(candidates)
    assert candidates.meta["DUPLICAT"] == len(candidates)
    clusters = crowded.truth[crowded.truth["class"] < 3]
    inside = (np.abs(clusters["x"] - 150) < 138) & (np.abs(clusters["y"] - 155) < 138)
    clusters = clusters[inside]
    bright = clusters[np.argsort(clusters["mag_v"])[:10]]
    assert np.mean(distances(bright, candidates).min(axis=1) < 2) > 0.5


def distances(table, other):
    x, y = (np.subtract.outer(np.asarray(table[name]), np.asarray(other[name])) for name in "xy")
    return np.hypot(x, y)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_goes_all_the_way(crowded, name, tmp_path):
    sources = find_candidates(crowded.images, distance=10, preset=name, keep_rejected=True)
    candidates = find_candidates(crowded.images, distance=10, preset=name)
    assert 0 < len(candidates) < len(sources)
    assert candidates["id"].tolist() == sources["id"][sources["cuts"] == 0].tolist()
    assert cut_flow(sources)["left"][-1] == len(candidates)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyUserWarning)  # some reach over the edges
        result = classify_table(candidates, crowded.images)
    write_table(result, tmp_path / "result.fits")
    again = Table.read(tmp_path / "result.fits")
    assert len(again) == len(candidates)
    assert again.meta["DETECTED"] == len(sources)


def test_presets_differ_as_the_surveys_do(crowded):
    white = find_candidates(crowded.images, preset="legus", keep_rejected=True)
    v = find_candidates(crowded.images, preset="ngc1559", keep_rejected=True)
    expected = find_sources(crowded.images["V"])
    assert len(v) == len(expected) != len(white)
    legus = find_candidates(crowded.images, distance=10, preset=replace(PRESETS["ngc1559"]))
    limit = replace(PRESETS["ngc1559"], cuts=PRESETS["legus"].cuts)
    assert len(find_candidates(crowded.images, distance=10, preset=limit)) > len(legus)
    with pytest.raises(ValueError, match="preset must be one of legus, ngc1559, phangs"):
        find_candidates(crowded.images, preset="hst")


def test_bands_that_stand_in_for_v(field):
    two = {name: field.images[name] for name in ("F275W", "F814W")}
    candidates = find_candidates(two, distance=0.5)
    assert np.all(candidates["n_filters"] == 2)
    preset = replace(PRESETS["legus"], detect_in="V")
    in_i = find_candidates(two, preset=preset, keep_rejected=True)
    assert len(in_i) == len(find_sources(two["F814W"]))
    one = find_candidates({"F555W": field.images["V"]}, keep_rejected=True)
    assert len(one) == len(find_sources(field.images["V"]))


def test_images_that_are_named_by_their_band(crowded):
    by_role = {band.role: band for band in crowded.images.values()}
    expected = find_candidates(crowded.images)
    observation = observe_like("ngc1566", np.random.default_rng(1), np.ones(5))
    zero_points = dict(zip(LEGUS_BANDS.roles, observation.zero_points, strict=True))
    images = ImageSet({role: (band.data, band.wcs) for role, band in by_role.items()})
    preset = replace(PRESETS["legus"], zero_points=zero_points, aperture_correction=None)
    named = find_candidates(images, preset=preset)
    assert named["n_filters"].tolist() == find_candidates(images)["n_filters"].tolist()
    assert len(named) == pytest.approx(len(expected), abs=0.2 * len(expected))
    assert len(find_candidates(images, preset=preset, distance=10)) > 0
    with pytest.raises(ValueError, match="V has no zero point"):
        find_candidates(images, distance=10)


def test_further_apertures_are_no_further_bands(crowded):
    preset = PRESETS["legus"]
    preset = replace(preset, apertures=replace(preset.apertures, radius=(4, 1, 3)))
    candidates = find_candidates(crowded.images, preset=preset)
    assert candidates["id"].tolist() == find_candidates(crowded.images)["id"].tolist()
    assert candidates["n_filters"].max() == 5


def test_tables_with_units():
    table = QTable({"ci": [1.5, 1.1] * u.mag, "mag_err_f555w": [0.1, 0.1] * u.mag})
    assert select_candidates(table)["cuts"].tolist() == [0, Cut.CONCENTRATION_INDEX]


def test_extinction_brightens(crowded):
    plain = find_candidates(crowded.images)
    corrected = find_candidates(
        crowded.images, preset=replace(PRESETS["legus"], extinction={"V": 0.5})
    )
    np.testing.assert_allclose(corrected["mag_f555w"], plain["mag_f555w"] - 0.5)
    np.testing.assert_allclose(corrected["mag_f814w"], plain["mag_f814w"])


def test_regions_leave_candidates_out(crowded, tmp_path):
    from regions import CirclePixelRegion, PixCoord, RectanglePixelRegion, Regions

    plain = find_candidates(crowded.images)
    star = CirclePixelRegion(PixCoord(plain["x"][0], plain["y"][0]), 5.0)
    footprint = RectanglePixelRegion(PixCoord(149.5, 149.5), 200, 300)
    Regions([star]).write(tmp_path / "stars.reg", format="ds9")
    sources = find_candidates(
        crowded.images,
        exclude=tmp_path / "stars.reg",
        footprint=Regions([footprint]),
        keep_rejected=True,
    )
    inside = star.contains(PixCoord(sources["x"], sources["y"]))
    inside |= ~footprint.contains(PixCoord(sources["x"], sources["y"]))
    assert np.sum(inside) > 3
    assert np.mean((sources["cuts"] & Cut.REGION != 0) == inside) > 0.98  # by whole pixels
    candidates = find_candidates(crowded.images, exclude=[star], footprint=footprint)
    assert plain["id"][0] not in candidates["id"]
    assert set(candidates["id"]) <= set(plain["id"])
    assert candidates.meta["REGION"] == len(candidates)
    nowhere = find_candidates(crowded.images, exclude=np.ones((310, 300), bool))
    assert len(nowhere) == 0
    everywhere = find_candidates(crowded.images, footprint=np.ones((310, 300), bool))
    assert everywhere["id"].tolist() == plain["id"].tolist()


def test_regions_that_do_not_fit(crowded, tmp_path):
    with pytest.raises(
        ValueError, match=r"exclude has shape \(3, 3\), but the images \(310, 300\)"
    ):
        find_candidates(crowded.images, exclude=np.ones((3, 3), bool))
    with pytest.raises(FileNotFoundError, match="does not exist"):
        find_candidates(crowded.images, footprint=tmp_path / "none.reg")
    with pytest.raises(TypeError, match="a region file or regions, not"):
        find_candidates(crowded.images, exclude=np.ones((310, 300)))
    with pytest.raises(ValueError, match=r"left_out must be bool of shape \(5,\)"):
        select_candidates(sources(), left_out=[True])
    assert select_candidates(sources(), left_out=[True] * 5)["cuts"][0] == Cut.REGION


def test_settings_of_a_field():
    preset, distance = field_settings("ngc1566", preset=PRESETS["phangs"])
    assert (preset.method, preset.cuts.min_ci, distance) == ("daofind", 1.35, 18.0)
    assert preset.extinction["V"] == 0.026
    preset, distance = field_settings("ngc1566", distance=10, min_ci=1.2)
    assert (preset.cuts.min_ci, distance) == (1.2, 10)
    with pytest.warns(AstropyUserWarning, match=r"ngc6503: that of the preset, 1\.3 mag.*min_ci"):
        preset, _ = field_settings("ngc6503")
    assert preset.cuts == PRESETS["legus"].cuts
    field_settings("ngc6503", min_ci=1.3)  # as the warning says
    with pytest.raises(KeyError, match="LEGUS has no field 'ngc1559'"):
        field_settings("ngc1559")
    with pytest.raises(ValueError, match="preset must be one of"):
        field_settings("ngc1566", preset="hst")


def test_progress_from_start_to_end(field, capsys):
    find_candidates(field.images, distance=10, progress_bar=True)
    shown = capsys.readouterr().err
    stages = ["white light", "checksums", "background", "detecting", "measuring", "calibrating"]
    assert sorted(stages, key=shown.index) == stages
    assert shown.rindex("measuring") > shown.index("calibrating")  # the concentration index
    find_candidates(field.images, distance=10)
    assert not capsys.readouterr().err
