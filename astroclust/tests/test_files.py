# Licensed under a 3-clause BSD style license - see LICENSE.rst
import gzip
import json
import struct
import warnings
import zlib

import numpy as np
import pytest
import safetensors.torch
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from regions import Regions

from astroclust.files import check_output, open_fits, reading, replace_when_done


def test_a_whole_file_appears(tmp_path):
    with replace_when_done(tmp_path / "a.fits.gz") as partial:
        assert partial.parent == tmp_path
        assert partial.name.endswith(".fits.gz")
        partial.write_text("whole")
        assert not (tmp_path / "a.fits.gz").exists()
    assert (tmp_path / "a.fits.gz").read_text() == "whole"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_what_ends_early_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with replace_when_done(path, overwrite=True) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "old").write_text("old")
    with pytest.raises(FileExistsError, match="another name"):
        check_output(tmp_path / "old")
    with pytest.raises(FileNotFoundError, match="make it first"):
        check_output(tmp_path / "none" / "a")
    with pytest.raises(IsADirectoryError, match="name a file in it"):
        check_output(tmp_path)
    with pytest.raises(OSError, match="cannot write"):
        check_output("/proc/a.fits")  # where not even root makes files


@pytest.mark.parametrize("lost", [4, 3000])
def test_a_torn_compressed_file_is_found_out(tmp_path, lost):
    values = np.random.default_rng(0).normal(size=2000)
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(values)])
    hdus.writeto(tmp_path / "whole.fits")
    packed = gzip.compress((tmp_path / "whole.fits").read_bytes())
    (tmp_path / "torn.fits.gz").write_bytes(packed[:-lost])
    with (
        pytest.raises(OSError, match=r"cannot read .*torn.fits.gz: .*; download or write it again"),
        open_fits(tmp_path / "torn.fits.gz"),
    ):
        pass
    (tmp_path / "whole.fits.gz").write_bytes(packed)
    with open_fits(tmp_path / "whole.fits.gz") as found:
        assert len(found) == 2


def recurse():
    recurse()


@pytest.mark.parametrize(
    "fail",
    [
        lambda: (_ for _ in ()).throw(fits.verify.VerifyError("Unparsable card (GAIN)")),
        lambda: (_ for _ in ()).throw(MemoryError()),
        lambda: (_ for _ in ()).throw(EOFError()),
        lambda: (_ for _ in ()).throw(OSError("Empty or corrupt FITS file")),
        lambda: np.frombuffer(b"abc", np.float64),
        lambda: struct.unpack("I", b"abc"),
        lambda: zlib.decompress(b"abc"),
        lambda: b"\xff".decode(),
        lambda: fits.Header()["GAIN"],
        lambda: [][0],
        lambda: None.shape,
        lambda: len(3),
        lambda: 1 // 0,
        lambda: 10**400 * 1.0,
        lambda: safetensors.torch.load(b"abc"),
        lambda: Regions.parse("circle(", format="ds9")[0],
        lambda: WCS(fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--SIN"})),
        lambda: json.loads("[" * 100_000),
        recurse,
    ],
)
def test_whatever_fails_while_reading_is_an_error_that_names_the_file(fail):
    with (
        warnings.catch_warnings(action="ignore"),
        pytest.raises((OSError, ValueError), match=r"^(cannot read )?a/b\.fits: .") as caught,
        reading("a/b.fits"),
    ):
        fail()
    assert caught.value.__cause__ is not None


def test_errors_that_keep_their_kind(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match=r"there is no file .*none"), reading("none"):
        (tmp_path / "none").read_text()
    message = "it is a folder; name a file in it"
    with pytest.raises(IsADirectoryError, match=message), reading("folder"):
        (tmp_path / "folder").read_text()
    with pytest.raises(PermissionError, match="allow it to be read"), reading("secret"):
        raise PermissionError(13, "Permission denied", "secret")
    with pytest.raises(OSError, match="not enough memory; free memory"), reading("large"):
        np.zeros(1 << 55)


def test_our_own_errors_and_warnings_pass():
    with pytest.raises(KeyError, match=r"no band R in a\.fits"), reading("b/a.fits"):
        raise KeyError("no band R in a.fits")
    with pytest.raises(ValueError, match=r"^b/a\.fits: shapes differ$"), reading("b/a.fits"):
        raise ValueError("shapes differ")
    with pytest.raises(AstropyUserWarning, match=r"^odd$"), reading("a.fits"):
        raise AstropyUserWarning("odd")
    with pytest.raises(KeyboardInterrupt), reading("a.fits"):
        raise KeyboardInterrupt


def test_the_remedy_of_the_caller():
    message = r"cannot read .*; ask for another$"
    with pytest.raises(OSError, match=message), reading("a.json", remedy="ask for another"):
        int(None)


def test_a_header_that_astropy_gives_up_hides_nothing(tmp_path):
    images = [fits.ImageHDU(np.ones((2, 2)), name=name) for name in ("A", "B")]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(tmp_path / "good.fits")
    content = (tmp_path / "good.fits").read_bytes()
    start = content.index(b"PCOUNT")
    card = b"BLANK   =                  NaN".ljust(80)
    (tmp_path / "bad.fits").write_bytes(content[:start] + card + content[start + 80 :])
    message = r"bad\.fits: the header of extension 1 cannot be read"
    with pytest.raises(OSError, match=message), open_fits(tmp_path / "bad.fits"):
        pass
