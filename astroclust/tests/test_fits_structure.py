# Licensed under a 3-clause BSD style license - see LICENSE.rst
import bz2
import gzip
import lzma
import re
import warnings
import zipfile

import numpy as np
import pytest
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from astroclust.files import open_fits
from astroclust.fits_structure import check_structure, drop_unreadable_cards
from astroclust.tests.fuzzing import watchdog

END = b"END".ljust(80)


def hdus():
    table = fits.BinTableHDU.from_columns([fits.Column("x", "E", array=np.arange(5.0))])
    image = fits.ImageHDU(np.arange(12, dtype=np.int16).reshape(3, 4), name="SCI")
    packed = fits.CompImageHDU(np.arange(600, dtype=np.int32).reshape(20, 30), name="FZ")
    return fits.HDUList([fits.PrimaryHDU(), image, table, packed])


@pytest.fixture
def good(tmp_path):
    hdus().writeto(tmp_path / "good.fits")
    return (tmp_path / "good.fits").read_bytes()


def with_card(content, keyword, value, *, extension=0):
    """A file whose header has another value: in place of its card, else of the second one."""
    starts = [0, *(match.start() for match in re.finditer(b"XTENSION=", content))]
    cards = range(starts[extension], len(content), 80)
    end = next(i for i in cards if content[i : i + 80].rstrip() == b"END")
    own = [i for i in range(starts[extension], end, 80) if content[i:].startswith(keyword.encode())]
    i = own[0] if own else end
    card = f"{keyword:<8}= {value:>20}".ljust(80).encode()
    changed = content[:i] + card + content[i + 80 :]
    return changed if own else changed[: end + 80] + END + changed[end + 160 :]


HOSTILE = [
    (0, "SIMPLE", "F"),
    *((1, "XTENSION", value) for value in ("'IMAGF   '", "-1", "")),
    *((1, "BITPIX", value) for value in ("7", "0", "-16", "1E400", "T", "")),
    *((1, "NAXIS", value) for value in ("999", "1000000000", "-1", "3", "1.0", "9" * 60)),
    *((1, "NAXIS1", value) for value in ("1000000000", "1000000000000", "-4", "NaN", "9" * 60)),
    *((1, "PCOUNT", value) for value in ("-24", "-1000000000", "1000000000000")),
    *((1, "GCOUNT", value) for value in ("-1", "0", "1000000000")),
    *((1, key, value) for key in ("BSCALE", "BZERO") for value in ("NaN", "INF", "1E400", "''")),
    (1, "BSCALE", "0"),
    *((2, "TFIELDS", value) for value in ("1000000000", "-1", "2", "0")),
    *((2, "TFORM1", value) for value in ("'999999999999E'", "'Z'", "''", "'D'")),
    *((2, "TSCAL1", value) for value in ("NaN", "0")),
    *((2, "NAXIS1", value) for value in ("0", "8")),
    *((2, "NAXIS2", value) for value in ("1000000000", "-5")),
    *((3, "ZNAXIS", value) for value in ("999", "1000000000", "1", "-1")),
    *((3, "ZNAXIS1", value) for value in ("1000000000", "0", "-30")),
    *((3, "ZTILE1", value) for value in ("0", "-1", "1")),
    *((3, "ZBITPIX", value) for value in ("7", "''")),
    *((3, "ZCMPTYPE", value) for value in ("'MAGIC'", "1")),
]


@pytest.mark.parametrize(("extension", "keyword", "value"), HOSTILE)
def test_hostile_headers_are_refused_before_they_are_believed(
    good, tmp_path, extension, keyword, value
):
    path = tmp_path / "hostile.fits"
    path.write_bytes(with_card(good, keyword, value, extension=extension))
    with (
        watchdog(20),
        pytest.raises(OSError, match=r"cannot read .*hostile\.fits: .*; download or write it"),
        open_fits(path),
    ):
        pass
    packed = tmp_path / "hostile.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with (
        watchdog(20),
        pytest.raises(OSError, match=r"cannot read .*hostile\.fits\.gz: "),
        open_fits(packed),
    ):
        pass


def test_one_keyword_has_one_value(good, tmp_path):
    text = good.replace(b"PCOUNT  =                    0", b"NAXIS1  =                    5", 1)
    (tmp_path / "two.fits").write_bytes(text)
    with pytest.raises(OSError, match="two values of NAXIS1: 4 and 5"):
        check_structure(tmp_path / "two.fits")


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-2880], "missing at its end"),
        (lambda content: content[:-1], "missing at its end"),
        (lambda content: content[:5000], "ends within the header of extension 1"),
        (lambda content: content[:100], "ends within the header of the primary HDU"),
        (lambda content: content[:2880] + content[2881:], "begin|complete|ends within|END"),
        (lambda content: content + b"\0" * 10, "last 10 bytes are not a complete extension"),
        (lambda content: content + b"XTENSION" * 360, "not a complete extension"),
        (lambda content: b"", "empty"),
        (lambda content: b"<html>404</html>", "does not begin as a FITS file"),
        (lambda content: content.replace(END, b"ENF".ljust(80), 1), "two values of BITPIX"),
        (lambda content: content.replace(END, b"END1".ljust(80), 1), "two values of BITPIX"),
        (lambda content: content.replace(END, b"END 1".ljust(80), 1), "continues after its END"),
    ],
)
def test_damages_of_the_structure(good, tmp_path, pack, damage, message):
    (tmp_path / "damaged").write_bytes(pack(damage(good)))
    with pytest.raises(OSError, match=message):
        check_structure(tmp_path / "damaged")


def test_good_files(good, tmp_path):
    for name, pack in (
        ("a", bytes),
        ("b", gzip.compress),
        ("c", bz2.compress),
        ("d", lzma.compress),
    ):
        (tmp_path / name).write_bytes(pack(good))
        assert check_structure(tmp_path / name) == (4, [])
    with zipfile.ZipFile(tmp_path / "e.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.fits", good)
    with open_fits(tmp_path / "e.zip") as found:
        np.testing.assert_array_equal(found["SCI"].data, hdus()["SCI"].data)
    groups = fits.GroupData(
        np.zeros((3, 1, 1, 2)), bitpix=-32, parnames=["a"], pardata=[np.ones(3)]
    )
    fits.GroupsHDU(groups).writeto(tmp_path / "groups.fits")
    text = fits.TableHDU.from_columns([fits.Column("x", "F8.3", array=[1.0])])
    text.writeto(tmp_path / "text.fits")
    assert [check_structure(tmp_path / f"{name}.fits")[0] for name in ("groups", "text")] == [1, 2]


def test_archives_that_are_not_one_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.fits", b"")
        archive.writestr("b.fits", b"")
    with (
        pytest.raises(OSError, match=r"two\.zip: it is a zip archive of 2 files; extract it"),
        open_fits(tmp_path / "two.zip"),
    ):
        pass
    (tmp_path / "old.fits.Z").write_bytes(b"\x1f\x9d\x90" + bytes(100))
    with (
        pytest.raises(OSError, match=r"old\.fits\.Z: .*expand it with gunzip"),
        open_fits(tmp_path / "old.fits.Z"),
    ):
        pass


def test_headers_without_end(tmp_path):
    (tmp_path / "long.fits").write_bytes(b"SIMPLE  =                    T".ljust(80) * 36 * 1001)
    with pytest.raises(OSError, match="has no END in 2,880,000 bytes"):
        check_structure(tmp_path / "long.fits")


def blank(path, n_bytes):
    """A FITS file of zeros, and a compressed one, of which few bytes are on the disk."""
    header = fits.PrimaryHDU().header
    header["BITPIX"], header["NAXIS"], header["NAXIS1"] = 8, 1, n_bytes
    start = header.tostring().encode()
    with gzip.open(path, "wb", 1) as file:
        file.write(start)
        for _ in range(-(-n_bytes // 2880)):
            file.write(bytes(2880))


def test_a_bomb_is_refused_and_expands_as_the_message_says(tmp_path):
    bomb = tmp_path / "bomb.fits.gz"
    blank(bomb, 70_000_000)
    with (
        pytest.raises(
            OSError, match=r"bomb\.fits\.gz: it expands to at least 70,\d+,\d+ bytes, .*"
        ),
        open_fits(bomb),
    ):
        pass
    (tmp_path / "plain.fits").write_bytes(gzip.decompress(bomb.read_bytes()))
    with open_fits(tmp_path / "plain.fits") as found:
        assert found[0].shape == (70_000_000,)


def test_tiles_that_expand_to_more_than_is_real(tmp_path):
    image = np.zeros((4, 20_000_000), np.uint8)
    packed = fits.CompImageHDU(image, compression_type="GZIP_1", tile_shape=(4, 20_000_000))
    packed.writeto(tmp_path / "bomb.fits.fz")
    with pytest.raises(OSError, match=r"expands .* to 80,000,000 bytes, .*expand it with funpack"):
        check_structure(tmp_path / "bomb.fits.fz")
    fits.PrimaryHDU(image).writeto(tmp_path / "unpacked.fits")  # as funpack does
    assert check_structure(tmp_path / "unpacked.fits") == (1, [])


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_checksums_tell_changes(tmp_path, pack):
    hdus().writeto(tmp_path / "good.fits", checksum=True)
    content = (tmp_path / "good.fits").read_bytes()
    path = tmp_path / "changed.fits"
    path.write_bytes(pack(content))
    assert check_structure(path) == (4, [])
    start = content.index(b"XTENSION= 'IMAGE")
    for offset in (start + 2880 + 3, start + 40):  # a pixel, a comment
        changed = bytearray(content)
        changed[offset] ^= 1
        path.write_bytes(pack(changed))
        message = r"checksum of SCI in .*changed\.fits does not"
        with pytest.warns(AstropyUserWarning, match=message), open_fits(path) as found:
            found["SCI"].data.sum()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path) as found:
            found.writeto(tmp_path / "saved.fits", checksum=True)  # the remedy
    assert check_structure(tmp_path / "saved.fits") == (4, [])


def test_cards_that_cannot_be_read_are_dropped_with_a_warning():
    cards = ["A       = 1", "GAIN    = 1.5 or 2", "COMMENT = what remains", "B       = 'text'"]
    header = fits.Header.fromstring("".join(card.ljust(80) for card in cards))
    with pytest.warns(AstropyUserWarning, match=r"x\.fits: the header values of GAIN cannot"):
        drop_unreadable_cards(header, "x.fits")
    assert header["A"], header["B"] == (1, "text")
    drop_unreadable_cards(header, "x.fits")
