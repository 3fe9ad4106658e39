# Licensed under a 3-clause BSD style license - see LICENSE.rst
import bz2
import gzip
import lzma

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.catalogs import pixel_positions, read_table, sky_positions, write_table
from astroclust.catalogs.tables import check_table_output

# Two sources at 0-based (50.5, 60.25) and (100, 90), in the text of many programs.
TEXTS = {
    "csv": "id,x,y\n1,50.5,60.25\n2,100.0,90.0\n",
    "byte order mark": "\ufeffid,x,y\r\n1,50.5,60.25\r\n2,100.0,90.0\r\n",
    "old Macintosh": "id,x,y\r1,50.5,60.25\r2,100.0,90.0\r",
    "decimal commas": "id;x;y\n1;50,5;60,25\n2;100,0;90,0\n",
    "quoted decimal commas": 'id,x,y\n1,"50,5","60,25"\n2,"100,0","90,0"\n',
    "decimal commas and tabs": "id\tx\ty\n1\t50,5\t60,25\n2\t100,0\t90,0\n",
    "decimal commas and spaces": "id x y\n1 50,5 60,25\n2 100,0 90,0\n",
    "hint of Excel": "sep=;\nid;x;y\n1;50.5;60.25\n2;100;90\n",
    "empty rows of Excel": "id,x,y\n1,50.5,60.25\n2,100,90\n,,\n,,\n",
    "delimiter at the ends": "id,x,y,\n1,50.5,60.25,\n2,100,90,\n",
    "index of pandas": ",x,y\n0,50.5,60.25\n1,100.0,90.0\n",
    "tabs": "name\tx\ty\nNGC 1, a\t50.5\t60.25\nNGC 2, b\t100\t90\n",
    "bars": "id|x|y\n1|50.5|60.25\n2|100|90\n",
    "frame": "+--+-----+-----+\n|id|x    |y    |\n+--+-----+-----+\n| 1| 50.5|60.25|\n"
    "| 2|100.0| 90.0|\n+--+-----+-----+\n",
    "bars at the ends": "| id |     x |     y |\n|  1 |  50.5 | 60.25 |\n|  2 | 100.0 |  90.0 |\n",
    "two lines": "id  x     y\n--  ----- -----\n 1   50.5 60.25\n 2  100.0  90.0\n",
    "spaces": "  id   x      y\n   1  50.5   60.25\n   2 100.0   90.0\n",
    "quoted words": 'name x y\n"a b" 50.5 60.25\n"c d" 100 90\n',
    "commented names": "# x y\n50.5 60.25\n100 90\n",
    "comments and names": "# made by hand of stars\n#x, y\n\n50.5,60.25\n# in between\n100,90\n",
    "names of savetxt": "# x y\n5.05e+01,6.025e+01\n1.0e+02,9.0e+01\n",
    "Fortran": "# x y\n  5.05D+01 6.025d+01\n 1.0D+02 9.0D+01\n",
    "VizieR": "#Table J/A+A/1\n#Column x\n\nx;y\npix;pix\n-----;-----\n50.5;60.25\n100;90\n",
    "RDB": "# types follow\nname\tx\ty\nS\t10N\t10N\na\t50.5\t60.25\nb\t100\t90\n",
    "ECSV": "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: x, datatype: float64}\n"
    "# - {name: y, datatype: float64}\nx y\n50.5 60.25\n100 90\n",
    "IPAC": "|   x  |   y  |\n|double|double|\n  50.5   60.25 \n 100.0   90.0  \n",
    "SExtractor": "#   1 NUMBER   Running object number\n#   2 X_IMAGE   Along x   [pixel]\n"
    "#   3 Y_IMAGE   Object position along y   [pixel]\n#   4 MAG_APER Magnitudes [mag]\n"
    "  1  51.5  61.25 20.1 20.2\n  2 101.0  91.0  21.1 21.2\n",
    "IRAF": "#K MERGERAD   = INDEF          scaleunit  %-23.7g\n#\n"
    "#N ID    XCENTER   YCENTER   MAG         MERR          \\\n"
    "#U ##    pixels    pixels    magnitudes  magnitudes    \\\n"
    "#F %-9d  %-10.3f   %-10.3f   %-12.3f     %-14.3f\n#\n"
    "1        51.500    61.250    15.461      0.003\n"
    "2        101.000   91.000    15.461      INDEF\n",
    "DAOPHOT II": " NL   NX   NY  LOWBAD HIGHBAD  THRESH     AP1  PH/ADU  RNOISE    FRAD\n"
    "  1 2048 2048    70.3 32000.0   22.57    3.00    4.00    5.00    9.00\n\n"
    "     1    51.500   61.250   13.2    0.01\n     2   101.000   91.000   14.2    0.01\n",
    "StarcNet": "Galaxy,Id,X,Y,Prediction\r\nngc1566,1,51.5,61.25,4\r\nngc1566,2,101,91,1\r\n",
}
FROM_1 = ("SExtractor", "IRAF", "DAOPHOT II", "StarcNet")


def check(table, from_1=False):
    if from_1:
        with pytest.warns(AstropyUserWarning, match="are 1-based pixels"):
            x, y = pixel_positions(table)
    else:
        x, y = pixel_positions(table)
    np.testing.assert_array_equal(x, [50.5, 100])
    np.testing.assert_array_equal(y, [60.25, 90])


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("name", ["t.txt", "t.csv", "t", "t.cat", "t.dat"])
def test_text_is_read_by_what_it_holds(kind, name, tmp_path):
    (tmp_path / name).write_text(TEXTS[kind], encoding="utf-8", newline="")
    check(read_table(tmp_path / name), kind in FROM_1)


@pytest.mark.parametrize("kind", TEXTS)
def test_text_cut_anywhere_is_an_error_or_right(kind, tmp_path):
    path, text = tmp_path / "t.txt", TEXTS[kind]
    unnamed = 0
    for end in range(len(text)):
        path.write_text(text[:end], encoding="utf-8", newline="")
        try:
            table = read_table(path)
        except OSError as error:
            unnamed += "t.txt" not in str(error)
            continue
        # Between two lines nobody can tell.
        assert text[end - 1] in "\r\n"
        assert len(table) < 3
        if kind not in FROM_1 and len(table) and table["x"].dtype.kind == "f":
            np.testing.assert_array_equal(pixel_positions(table)[0], [50.5, 100][: len(table)])
    assert not unnamed


def test_a_file_without_a_last_newline_can_be_completed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n50.5,60.25\n100,90")
    with pytest.raises(OSError, match="if it is complete, add a newline at its end"):
        read_table(path)
    with path.open("a") as file:
        file.write("\n")
    check(read_table(path))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1"])
def test_encodings(encoding, tmp_path):
    text = "Größe,x,y\n1,50.5,60.25\n2,100,90\n"
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    (tmp_path / "t.csv").write_bytes(mark + text.encode(encoding))
    table = read_table(tmp_path / "t.csv")
    assert table.colnames[0] == "Größe"
    check(table)


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_compressed_text(module, tmp_path):
    packed = module.compress(TEXTS["csv"].encode())
    (tmp_path / "t").write_bytes(packed)
    check(read_table(tmp_path / "t"))
    (tmp_path / "t").write_bytes(packed[:-12])
    with pytest.raises(OSError, match="t is damaged or truncated"):
        read_table(tmp_path / "t")


def test_columns_have_the_types_of_their_values(tmp_path):
    (tmp_path / "t.csv").write_text(
        "i,f,s,m,n,e,big\n1,1.5,a,3,nan,,99999999999999999999\n2,-2e3,,INDEF,2,,1\n"
    )
    table = read_table(tmp_path / "t.csv")
    assert [table[name].dtype.kind for name in table.colnames] == list("ifUifUf")
    assert table["m"].tolist() == [3, None]
    assert table["s"].tolist() == ["a", None]
    assert np.isnan(table["n"][0])
    assert table["e"].mask.all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "73,51.0,61.0\n86,101,91\n",
            r"it has no column names, as its first line has numbers \(73\)",
        ),
        ("5.1D+01 6.1D+01\n1.0D+02 9.1D+01\n", "it has no column names"),
        ("01:36:42.1 +15:48:21\n01:36:43.1 +15:48:22\n", "no column names"),
        ("1\t2861\t239\t4\t[0.00 - 0.02 - 0.08 - 0.90]\n", "no column names"),
        ("x,y\n1,2\n3\n", "line 3 has 1 values for 2 column names"),
        (
            "id,x,y\n1,50,5,60,25\n",
            "line 2 has 5 values .* decimal commas, separate the columns by ';'",
        ),
        ("x,y\n1,2,3\n", "line 2 has 3 values for 2 column names"),
        ("x;y;z\n1,5;2.5;3\n", "column x has a comma in '1,5', but other numbers have decimal po"),
        ("x,x\n1,2\n", "several columns named 'x'; rename all but one"),
        ('x,y\n"1,2\n', "it has unclosed quotes"),
        ("\n\n", "is empty"),
        ("<html><body>Not found</body></html>\n", "a web page or XML file, not a table"),
        (
            "# Region file format: DS9\nimage\ncircle(1,2,3)\n",
            "astroclust.ds9.read_regions",
        ),
        ("#   1 X_IMAGE  Position [pixel]\n#  2 Y_IMAGE Position [pixel]\n", "it has no rows"),
        ("\ufeff", "it has no rows"),
        ("# x y\n", "it has no rows apart from comments"),
        (TEXTS["DAOPHOT II"].replace("  1 2048", "  2 2048"), "several lines per row"),
        (TEXTS["IRAF"][:-1] + "  \\\n", "its last row is truncated"),
    ],
)
def test_text_that_is_not_a_table(text, message, tmp_path):
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(OSError, match=message) as caught:
        read_table(tmp_path / "t.txt")
    assert "t.txt" in str(caught.value)


def test_remedies_for_text(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("x,y\n73,51.0\n86,101\n")  # a line with names
    assert read_table(path)["x"].tolist() == [73, 86]
    path.write_text("id;x;y\n1;50,5;60,25\n2;100;90\n")  # separated by ';'
    check(read_table(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04rest", "is a spreadsheet or an archive; save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0rest", "is a spreadsheet; save the sheet as CSV"),
        (b"\x93NUMPY\x01\x00", "is a numpy array; save it as a table"),
        (b"x,y\n\x00\x00\n", "it is not text; save it as CSV in UTF-8"),
        ("x,y\n1,2\n".encode("utf-16")[:-1], "it is not utf-16; save it again in UTF-8"),
        (b"SIMPLE  =                    T" + b" " * 5000, "not a whole FITS file|t.cat"),
        (b"\x89HDF\r\n\x1a\n", "t.cat"),
    ],
)
def test_other_files_are_not_tables(content, message, tmp_path):
    (tmp_path / "t.cat").write_bytes(content)
    with pytest.raises(OSError, match=message):
        read_table(tmp_path / "t.cat")
    with pytest.raises(IsADirectoryError, match="it is a folder; choose a file"):
        read_table(tmp_path)


def table_hdu(name=None, shift=0.0, names=("x", "y")):
    return fits.BinTableHDU(Table([[50.5 + shift, 100.0], [60.25, 90.0]], names=names), name=name)


def test_ldac_and_files_of_several_tables(tmp_path):
    path = tmp_path / "t.cat"
    header = fits.BinTableHDU(Table({"Field Header Card": ["SIMPLE = T"]}), name="LDAC_IMHEAD")
    objects = fits.BinTableHDU(Table([[51.5, 101.0], [61.25, 91.0]], names=("X_IMAGE", "Y_IMAGE")))
    objects.name = "LDAC_OBJECTS"
    fits.HDUList([fits.PrimaryHDU(), header, objects]).writeto(path)
    for name in (path, f"{path}[2]", f"{path}[LDAC_OBJECTS]", f"{path}[ldac_objects,1]"):
        check(read_table(name), from_1=True)
    with pytest.raises(OSError, match=r"no extension \[SCI\], only 0 PRIMARY, 1 LDAC_IMHEAD"):
        read_table(f"{path}[SCI]")
    with pytest.raises(OSError, match=r"extension \[0\] is not a table"):
        read_table(f"{path}[0]")
    fits.HDUList([fits.PrimaryHDU(), header, objects, header, objects]).writeto(
        path, overwrite=True
    )
    with pytest.raises(
        OSError, match=r"several tables \(0 PRIMARY, .*; append one in brackets, such as"
    ):
        read_table(path)
    check(read_table(f"{path}[LDAC_OBJECTS,2]"), from_1=True)
    # Of several, the only one that has positions.
    fits.HDUList([fits.PrimaryHDU(), header, table_hdu("A")]).writeto(path, overwrite=True)
    check(read_table(path))
    fits.HDUList([fits.PrimaryHDU(np.zeros((9, 9)))]).writeto(path, overwrite=True)
    with pytest.raises(OSError, match="it has no table, only 0 PRIMARY; choose another file"):
        read_table(path)


def test_votables(tmp_path):
    path = tmp_path / "t.xml"
    table = Table({"x": [50.5, 100], "y": [60.25, 90]})
    for form in ("tabledata", "binary", "binary2"):
        table.write(path, format="votable", tabledata_format=form, overwrite=True)
        check(read_table(path))
        check(read_table(f"{path}[0]"))
    content = path.read_bytes()
    for end in (len(content) // 2, len(content) - 5):
        path.write_bytes(content[:end])
        with pytest.raises(OSError, match=r"t\.xml: it is truncated; fetch it again"):
            read_table(path)
    table.write(path, format="votable", overwrite=True)
    row = b"<TD>90</TD>"
    path.write_bytes(path.read_bytes().replace(row, 3 * row))
    with pytest.raises(OSError, match=r"cannot read a table from .*t\.xml"):
        read_table(path)
    document = from_table(table)
    document.resources[0].tables.append(from_table(table[:1]).resources[0].tables[0])
    for number, name in enumerate(("first", "second")):
        document.resources[0].tables[number].name = name
    document.to_xml(str(path))
    with pytest.raises(
        OSError, match=r"several tables; append one of 0 first, 1 second in brackets"
    ):
        read_table(path)
    check(read_table(f"{path}[first]"))
    assert len(read_table(f"{path}[1]")) == 1
    with pytest.raises(OSError, match=r"no table \[third\], only 0 first, 1 second"):
        read_table(f"{path}[third]")


def test_brackets_are_for_files_of_several_tables(tmp_path):
    (tmp_path / "t.csv").write_text(TEXTS["csv"])
    with pytest.raises(OSError, match=r"single unnamed table; omit \[1\]"):
        read_table(f"{tmp_path / 't.csv'}[1]")
    (tmp_path / "t[1].csv").write_text(TEXTS["csv"])
    (tmp_path / "t[1]").write_text(TEXTS["csv"])
    check(read_table(tmp_path / "t[1].csv"))
    check(read_table(tmp_path / "t[1]"))


def test_catalogs_of_photutils(tmp_path):
    sky = SkyCoord([150.0, 150.1], [2.0, 2.1], unit="deg")
    table = QTable({"label": [1, 2], "x_centroid": [50.5, 100], "y_centroid": [60.25, 90]})
    table["sky_centroid"] = sky
    for name in ("t.ecsv", "t.fits"):
        write_table(table, tmp_path / name)
        result = read_table(tmp_path / name)
        check(result)
        np.testing.assert_allclose(sky_positions(result).ra.deg, sky.ra.deg)


# Of damaged headers astropy warns, and leaves the file open.
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_errors_that_name_them(tmp_path):
    """Bytes changed at random; the seed is fixed."""
    rng = np.random.default_rng(3)
    unnamed = 0
    table = Table({"id": np.arange(5), "x": rng.uniform(0, 99, 5), "y": rng.uniform(0, 99, 5)})
    for name in ("t.fits", "t.ecsv", "t.csv", "t.vot"):
        table.write(tmp_path / name, format="votable" if name == "t.vot" else None)
        content = bytearray((tmp_path / name).read_bytes())
        for _ in range(30):
            damaged = content.copy()
            for i in rng.integers(0, len(content), 3):
                damaged[i] = rng.integers(0, 256)
            (tmp_path / name).write_bytes(damaged)
            try:
                read_table(tmp_path / name)
            except OSError as error:
                unnamed += name not in str(error)
    assert not unnamed


@pytest.mark.parametrize("name", ["t.fits", "t.ecsv", "t.csv"])
def test_tables_are_written_and_read(name, tmp_path):
    write_table(Table({"x": [1.0, 2.0], "id": [7, 8]}), tmp_path / name)
    np.testing.assert_array_equal(read_table(tmp_path / name)["id"], [7, 8])
    with pytest.raises(FileExistsError):
        write_table(Table({"x": [1.0]}), tmp_path / name)


def test_unknown_endings_are_found_before_the_work(tmp_path):
    check_table_output(tmp_path / "t.fits")
    with pytest.raises(ValueError, match=r"use a name that ends in \.fits"):
        check_table_output(tmp_path / "t.xyz")
    assert not list(tmp_path.iterdir())


def test_tables_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_table(tmp_path / "none.fits")
    (tmp_path / "zero.fits").touch()
    with pytest.raises(OSError, match="is empty"):
        read_table(tmp_path / "zero.fits")
    (tmp_path / "bad.fits").write_text("not FITS")
    with pytest.raises(OSError, match="cannot read a table"):
        read_table(tmp_path / "bad.fits")
    write_table(Table({"x": np.arange(5000.0)}), tmp_path / "whole.fits")
    (tmp_path / "half.fits").write_bytes((tmp_path / "whole.fits").read_bytes()[:9000])
    with pytest.raises(OSError, match="cannot read a table"):
        read_table(tmp_path / "half.fits")


def test_a_compressed_table_that_would_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("astroclust.compression._SMALL", 1000)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"x,y\n" + b"1,2\n" * 100_000))
    with pytest.raises(OSError, match=r"bomb.csv.gz .*expands to more than .*or expand it first"):
        read_table(path)
    plain = tmp_path / "plain.csv"
    plain.write_bytes(gzip.decompress(path.read_bytes()))  # as the message says
    assert len(read_table(plain)) == 100_000


def _with_masked_logicals():
    table = Table({"x": [50.5, 100.0, 7.0], "good": [True, False, True]}, masked=True)
    table["good"].mask = [False, False, True]
    table["good"].info.description = "Whether it is good"
    table["seen"] = MaskedColumn([[True, False], [True, True], [False, False]], mask=False)
    table["seen"].mask[0, 1] = True
    table["plain"] = MaskedColumn([True, False, True])
    return table


@pytest.mark.parametrize("rows", [slice(None), slice(0, 0)])
def test_masked_logicals_survive_fits(rows, tmp_path):
    table = _with_masked_logicals()[rows]
    path = tmp_path / "t.fits"
    write_table(table, path)
    again = read_table(path)
    for name in ("good", "seen", "plain"):
        assert again[name].dtype == bool
        np.testing.assert_array_equal(
            np.ma.getmaskarray(np.ma.asarray(again[name])), table[name].mask
        )
        np.testing.assert_array_equal(
            np.ma.filled(np.ma.asarray(again[name]), False), table[name].filled(False)
        )
    assert again["good"].info.description == "Whether it is good"
    write_table(again, tmp_path / "again.fits")  # as often as you like
    assert read_table(tmp_path / "again.fits")["good"].tolist() == table["good"].tolist()


@pytest.mark.filterwarnings("ignore:Column '.*' contains NULL")
def test_masked_logicals_are_the_null_values_of_fits(tmp_path):
    write_table(_with_masked_logicals(), tmp_path / "t.fits")
    with fits.open(tmp_path / "t.fits") as hdus:
        assert hdus[1].data.view(np.ndarray)["good"].tobytes() == b"TF\0"
        assert hdus[1].columns["good"].format == "L"
    assert Table.read(tmp_path / "t.fits")["good"].tolist() == [True, False, False]


def test_null_values_that_other_programs_wrote_are_masked(tmp_path):
    values = fits.Column("good", "L", array=[True, False, False])
    hdu = fits.BinTableHDU.from_columns([values, fits.Column("x", "D", array=[1.0, 2.0, 3.0])])
    hdu.writeto(tmp_path / "t.fits")
    content = bytearray((tmp_path / "t.fits").read_bytes())
    start = content.rindex(b"T" + np.array(1.0, ">f8").tobytes())
    content[start + 9] = 0
    (tmp_path / "t.fits").write_bytes(content)
    assert read_table(tmp_path / "t.fits")["good"].tolist() == [True, None, False]
