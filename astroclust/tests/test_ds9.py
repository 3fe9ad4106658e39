# Licensed under a 3-clause BSD style license - see LICENSE.rst
import warnings

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.exceptions import AstropyUserWarning
from hypothesis import given
from hypothesis import strategies as st
from regions import (
    CircleAnnulusPixelRegion,
    CirclePixelRegion,
    CircleSkyRegion,
    LinePixelRegion,
    PixCoord,
    PointPixelRegion,
    PolygonPixelRegion,
    RectanglePixelRegion,
    Regions,
)

from astroclust import find_candidates, read_regions, regions_mask, to_regions
from astroclust.ds9 import write_regions
from astroclust.instruments import LEGUS_CLASSES


def circle(x, y, radius=3.0, **meta):
    return CirclePixelRegion(PixCoord(x, y), radius, meta=meta)


def test_a_circle_a_row(tmp_path):
    table = Table({"x": [10.0, np.nan, 30.0], "y": [20.0, 1.0, 40.5]})
    table["class"] = MaskedColumn([2, 1, 0], mask=[False, False, True])
    table["probability"] = [0.876, 0.5, np.nan]
    regions = to_regions(table)
    assert len(regions) == 2
    assert isinstance(regions[0], CirclePixelRegion)
    assert regions[0].meta["text"] == "2 0.88"
    assert regions[0].visual["color"] == LEGUS_CLASSES.colors[2]
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
    assert isinstance(to_regions(table, sky=False)[0], CirclePixelRegion)
    with pytest.raises(KeyError, match="the table has no positions"):
        to_regions(Table({"a": [1]}))
    with pytest.raises(KeyError, match="the table has no positions"):
        to_regions(table["x", "y"], sky=True)


def test_text_and_color_of_any_column():
    table = Table({"x": np.arange(9.0), "y": np.arange(9.0), "class": [1, 2, 3, 4, 1, 2, 3, 4, 1]})
    table["name"] = MaskedColumn(list("abacabaca"), mask=[0, 0, 0, 0, 0, 0, 0, 0, 1])
    table["mass"] = [1.0, 2, 3, 4, 5, 6, 7, 8, np.nan]
    named = to_regions(table, text="name", color="name")
    assert [region.meta["text"] for region in named] == [*"abacabac", ""]
    assert named[0].meta["tag"] == ["class=1"]
    colors = [region.visual["color"] for region in named]
    assert colors[0] == colors[2] != colors[1]
    assert len(set(colors)) == 4
    assert colors[8] == "#999999"
    graded = [region.visual["color"] for region in to_regions(table, color="mass")]
    assert (graded[0], graded[7], graded[8]) == ("#004488", "#FFEA46", "#999999")
    assert graded == sorted(graded[:8]) + graded[8:]
    quantities = QTable(table)
    quantities["mass"] = quantities["mass"] * u.Msun
    assert [r.visual["color"] for r in to_regions(quantities, color="mass")] == graded
    with pytest.raises(KeyError, match="no column nme; it has x, y"):
        to_regions(table, text="nme")
    table["name"] = [*"abc", "a}", *"abaca"]
    with pytest.raises(ValueError, match=r"'a}' in row 3, but region files cannot contain braces"):
        to_regions(table, text="name")


@pytest.mark.parametrize("text", [None, "name"])
@pytest.mark.parametrize("sky", [True, False])
def test_there_and_back(text, sky, tmp_path):
    rng = np.random.default_rng(1)
    table = Table({name: rng.uniform(0, 80, 20) for name in ("x", "y", "ra", "dec")})
    table["class"] = MaskedColumn(rng.integers(1, 5, 20), mask=np.arange(20) == 3)
    table["probability"] = np.where(np.arange(20) == 5, np.nan, rng.uniform(0, 1, 20))
    table["name"] = [f"no. {i}; #{i} (é)" for i in range(20)]
    write_regions(table, tmp_path / "r.reg", text=text, sky=sky)
    result = read_regions(tmp_path / "r.reg")
    for name in ("ra", "dec") if sky else ("x", "y"):
        np.testing.assert_allclose(result[name], table[name], rtol=0, atol=1e-12)
    assert result["class"].tolist() == table["class"].tolist()
    if text is None:
        expected = np.ma.masked_array(table["probability"], table["class"].mask).filled(np.nan)
        np.testing.assert_allclose(result["probability"], expected, atol=0.00501)
        write_regions(result, tmp_path / "again.reg")
        assert read_regions(tmp_path / "again.reg")["text"].tolist() == result["text"].tolist()
    else:
        assert result["text"].tolist() == table["name"].tolist()


@pytest.mark.parametrize("text", ["007", "0.10", "1e3", "nan", " 12 ", "text={", "-1", "'a'"])
def test_numbers_stay_as_they_are_written(text, tmp_path):
    table = Table({"x": [1.0], "y": [2.0], "id": [text.replace("{", "")]})
    write_regions(table, tmp_path / "r.reg", text="id")
    assert read_regions(tmp_path / "r.reg")["text"].tolist() == table["id"].tolist()


# Columns of text lose NULs at the end, since numpy fills up with them.
fitting = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="{}\r\n\x00\x02"))


@given(
    st.lists(
        st.tuples(st.floats(-1e4, 1e5), st.floats(0, 1e5), fitting, st.none() | st.integers(0, 99)),
        max_size=5,
    )
)
def test_any_text_and_position_come_back(tmp_path_factory, rows):
    x, y, texts, classes = zip(*rows, strict=True) if rows else ((), (), (), ())
    table = Table({"x": np.array(x, float), "y": np.array(y, float)})
    table["label"] = np.array(texts, dtype=object)
    table["class"] = MaskedColumn(
        [number or 0 for number in classes], mask=[n is None for n in classes], dtype=int
    )
    path = tmp_path_factory.mktemp("regions") / "r.reg"
    write_regions(table, path, text="label")
    result = read_regions(path)
    np.testing.assert_allclose(result["x"], table["x"], rtol=0, atol=3e-11)
    np.testing.assert_allclose(result["y"], table["y"], rtol=0, atol=3e-11)
    assert result["text"].tolist() == list(texts)
    # A text that reads as a class is one, where the row has none.
    known = [i for i, number in enumerate(classes) if number is not None]
    assert result["class"][known].tolist() == [classes[i] for i in known]


def test_a_class_that_is_typed_replaces_that_of_the_group(tmp_path):
    path = tmp_path / "r.reg"
    table = Table({"x": [1.0, 2, 3], "y": [2.0, 3, 4], "class": [2, 1, 4]})
    table["probability"] = [0.88, 0.5, 0.5]
    write_regions(table, path)
    content = path.read_text()
    assert content.count("tag={class=2}") == content.count("tag={class=1}") == 1
    path.write_text(content.replace("text={2 0.88}", "text={3}").replace("{1 0.50}", "{star?}"))
    assert read_regions(path)["class"].tolist() == [3, None, 4]
    write_regions(table, path, text="x", overwrite=True)
    assert read_regions(path)["class"].tolist() == [2, 1, 4]


def test_classes_that_people_typed(tmp_path):
    (tmp_path / "r.reg").write_text(
        "# Region file format: DS9 version 4.1\nglobal color=green font='helvetica 10'\nfk5\n"
        'circle(10:00:00.0,+2:00:00.0,0.3") # text={3}\n'
        'box(150.1,2.1,1",1",0) # text={2 or 3?}\n'
        "point(150.2,2.2) # point=x text={1 0.5}\n"
        "# text(150.3,2.3) text={4}\n"
    )
    result = read_regions(str(tmp_path / "r.reg"))
    assert result["class"].tolist() == [3, None, 1, 4]
    assert result["text"][1] == "2 or 3?"
    assert result["probability"][2] == 0.5
    np.testing.assert_allclose(result["ra"], [150, 150.1, 150.2, 150.3], atol=2e-5)
    assert result["ra"].unit == u.deg


def test_what_is_left_out_is_said_once(tmp_path):
    (tmp_path / "r.reg").write_text(
        "image\ncircle(1,2,3) # text={1}\npolygon(1,1,9,1,9,9)\n-circle(5,5,2)\n"
        "panda(1,2,0,90,1,0,5,1)\n# vector(1,2,3,4)\n# vector(1,2,3,5)\n"
    )
    with pytest.warns(AstropyUserWarning) as caught:
        result = read_regions(tmp_path / "r.reg")
    assert len(result) == 1
    assert len(caught) == 1
    for part in ("2 x vector", "1 x panda", "1 x polygon (it has no center)", "1 x excluded circ"):
        assert part in str(caught[0].message)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("galaxy,ra,dec\n", "no readable region, only 1 x galaxy"),
        ("physical\n" + "circle(1,2,3)\n" * 9, "1 x physical, 9 x shape without coordinates"),
        ("image\ncircle(1,two,3)\n", "is not a DS9 region file"),
        ("image\ncircle(1,2)\n", "is not a DS9 region file"),
        (
            "image\ncircle(1,2,3)\nicrs\ncircle(1,2,3)\n",
            "regions in both pixel and sky coordinates",
        ),
    ],
)
def test_files_that_cannot_be_read(content, message, tmp_path):
    (tmp_path / "r.reg").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_regions(tmp_path / "r.reg")


@pytest.mark.parametrize(
    "shape",
    [
        'box 10:00:00.0 +02:00:00.0 0.5" 0.5" # color=yellow width=2',
        'circle(10:00:00.0,+02:00:00.0,0.5")',
        'circle(10h00m00.0s,+02d00m00.0s,0.5") # text={3; 4 (a)}',
        "point(10:00:00.0,+02:00:00.0) # point=x",
    ],
)
def test_sexagesimal_shapes_without_a_frame_are_fk5(shape, tmp_path):
    path = tmp_path / "r.reg"
    for header in ("", "# Region file format: DS9 version 4.1\nglobal color=green\n"):
        path.write_text(f"{header}{shape}\n{shape}\n")
        result = read_regions(path)
        np.testing.assert_allclose(result["ra"], 150, atol=1e-5)
        np.testing.assert_allclose(result["dec"], 2, atol=1e-5)
    path.write_text(f"{shape}\ncircle(100,200,3)\n")  # the other is in pixels of an unknown frame
    with pytest.raises(ValueError, match="2 x shape without coordinates"):
        read_regions(path)


def test_text_is_kept_though_a_property_is_dropped(tmp_path):
    (tmp_path / "r.reg").write_text("image\ncircle(1,2,3) # color=red text={a color=b; 2}\n")
    assert read_regions(tmp_path / "r.reg")["text"][0] == "a color=b; 2"


def test_region_files_cut_anywhere_are_errors_or_right(tmp_path):
    path = tmp_path / "r.reg"
    text = "# Region file format: DS9\nimage\ncircle(10.25,20,3) # text={2}\ncircle 30.5 40 5\n"
    unnamed = 0
    for end in range(len(text)):
        path.write_text(text[:end])
        try:
            result = read_regions(path)
        except ValueError as error:
            unnamed += "r.reg" not in str(error)
            continue
        assert text[end - 1] == "\n"
        assert result["x"].tolist() == [9.25, 29.5][: len(result)]
    assert not unnamed
    path.write_text(text[:-1])
    with pytest.raises(ValueError, match="if it is complete, add a newline at its end"):
        read_regions(path)
    path.write_text(text)
    assert len(read_regions(path)) == 2


def test_files_without_regions_are_no_masks(tmp_path, image):
    path = tmp_path / "r.reg"
    for text in ("# Region file format: DS9 version 4.1\nglobal color=green\nimage\n", "image\n"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"r\.reg has no regions.*draw some .* or omit"):
            regions_mask(path, (60, 80))
        for option in ("exclude", "footprint"):
            with pytest.raises(ValueError, match=r"r\.reg has no regions"):
                find_candidates({"F555W": image}, **{option: path})
    path.write_text(path.read_text() + "circle(5,5,2)\n")
    assert regions_mask(path, (60, 80)).any()
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"r\.reg is not a compl.* it is empty; save it again"):
        regions_mask(path, (60, 80))


def test_region_files_in_other_encodings(tmp_path):
    path = tmp_path / "r.reg"
    for encoding in ("utf-16", "utf-8-sig", "latin-1"):
        path.write_text("image\ncircle(1,2,3) # text={é}\n", encoding=encoding)
        assert read_regions(path)["text"][0] == "é"
    path.write_bytes(b"image\n\x00\x01circle(1,2,3)\n")
    with pytest.raises(ValueError, match=r"r\.reg is not a complete .*: it is not text"):
        read_regions(path)
    with pytest.raises(OSError, match="cannot read"):
        read_regions(tmp_path)


def test_shapes_larger_than_memory(tmp_path):
    (tmp_path / "r.reg").write_text("image\ncircle(41,31,1e8)\n-circle(41,31,4)\n")
    mask = regions_mask(tmp_path / "r.reg", (60, 80))
    assert (~mask).sum() == regions_mask([circle(40, 30, 4)], (60, 80)).sum()
    half = RectanglePixelRegion(PixCoord(-1e8, 20), 2e8 + 1, 9)
    np.testing.assert_array_equal(np.nonzero(regions_mask(half, (60, 80)))[1], np.zeros(9))
    (tmp_path / "r.reg").write_text("image\ncircle(41,31,nan)\n")
    with pytest.raises(ValueError, match=r"r\.reg"):
        regions_mask(tmp_path / "r.reg", (60, 80))


def test_what_are_no_regions(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_regions(tmp_path / "r.reg")
    with pytest.raises(TypeError, match="a region file or regions, not int"):
        read_regions([3])
    with pytest.raises(TypeError, match="a region file or regions, not float"):
        regions_mask(2.5, (3, 3))


def test_tables_without_rows(tmp_path):
    write_regions(Table({"x": [], "y": []}), tmp_path / "r.reg")
    result = read_regions(tmp_path / "r.reg")
    assert len(result) == 0
    assert result.colnames == ["x", "y", "class", "text"]
    assert len(read_regions([])) == 0


def test_files_are_not_replaced_unasked(tmp_path):
    table = Table({"x": [1.0], "y": [2.0]})
    write_regions(table, tmp_path / "r.reg")
    with pytest.raises(FileExistsError, match="already exists"):
        write_regions(table[:0], tmp_path / "r.reg")
    assert len(read_regions(tmp_path / "r.reg")) == 1
    write_regions(table[:0], tmp_path / "r.reg", overwrite=True)
    assert len(read_regions(tmp_path / "r.reg")) == 0


def test_masks_are_of_pixel_centers(tmp_path):
    mask = regions_mask([circle(5, 4, 2.5), RectanglePixelRegion(PixCoord(29, 19), 4, 4)], (20, 30))
    y, x = np.mgrid[:20, :30]
    expected = (np.hypot(x - 5, y - 4) < 2.5) | ((abs(x - 29) < 2) & (abs(y - 19) < 2))
    np.testing.assert_array_equal(mask, expected)
    assert not regions_mask([circle(500, 4)], (20, 30)).any()
    assert not regions_mask([], (20, 30)).any()
    ring = CircleAnnulusPixelRegion(PixCoord(10, 10), 2.1, 5)
    np.testing.assert_array_equal(
        regions_mask(ring, (20, 30)),
        (np.hypot(x - 10, y - 10) < 5) & (np.hypot(x - 10, y - 10) > 2.1),
    )
    with pytest.raises(ValueError, match="shape must be"):
        regions_mask([], (20, 30, 2))


def test_excluded_regions_are_taken_off():
    hole = circle(5, 5, 2, include=0)
    with_both = regions_mask([hole, circle(5, 5, 4)], (12, 12))
    assert with_both[5, 8]
    assert not with_both[5, 5]
    alone = regions_mask([hole], (12, 12))
    assert alone[0, 0]
    assert not alone[5, 5]


def test_regions_on_the_sky_need_a_wcs(wcs, tmp_path):
    table = Table({"sky": wcs.pixel_to_world([20.0], [15.0])})
    write_regions(table, tmp_path / "r.reg", radius=4.7)
    mask = regions_mask(tmp_path / "r.reg", (60, 80), wcs=wcs)
    y, x = np.nonzero(mask)
    assert (x.mean(), y.mean()) == (20, 15)
    assert 60 < mask.sum() < 80
    with pytest.raises(ValueError, match="on the sky; set wcs"):
        regions_mask(tmp_path / "r.reg", (60, 80))


def test_shapes_without_an_area():
    point, line = PointPixelRegion(PixCoord(3, 3)), LinePixelRegion(PixCoord(1, 1), PixCoord(4, 4))
    with pytest.warns(
        AstropyUserWarning, match=r"2 x point \(it has no area\), 1 x line"
    ) as caught:
        mask = regions_mask([point, point, line, circle(5, 5, 1.2)], (12, 12))
    assert len(caught) == 1
    assert mask.sum() == 5
    with pytest.raises(ValueError, match="no region with an area: it has 1 x point"):
        regions_mask([point], (12, 12))


def test_polygons_are_masks():
    polygon = PolygonPixelRegion(PixCoord([-20.0, 6.5, 6.5, -20], [-20.0, -20, 4.5, 4.5]))
    mask = regions_mask(polygon, (12, 14))
    assert mask.sum() == 7 * 5
    assert mask[:5, :7].all()


def test_sky_positions_of_any_frame():
    center = SkyCoord(121.2, -21.6, unit="deg", frame="galactic")
    result = read_regions([CircleSkyRegion(center, 1 * u.arcsec)])
    assert result["ra"][0] == pytest.approx(center.icrs.ra.deg)


def test_nothing_else_warns(tmp_path):
    write_regions(Table({"x": [1.0, 2], "y": [2.0, 3], "class": [1, 1]}), tmp_path / "r.reg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_regions(tmp_path / "r.reg")["class"].tolist() == [1, 1]
