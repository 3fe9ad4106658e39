# Licensed under a 3-clause BSD style license - see LICENSE.rst
import errno
import gzip
import json
import os
import resource
import struct
import warnings
import zlib
from contextlib import contextmanager

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


def test_paths_that_cannot_be_written(tmp_path):
    (tmp_path / "old").write_text("old")
    with pytest.raises(FileExistsError, match="another name"):
        check_output(tmp_path / "old")
    with pytest.raises(FileNotFoundError, match="create it first"):
        check_output(tmp_path / "none" / "a")
    with pytest.raises(IsADirectoryError, match="choose a file"):
        check_output(tmp_path)
    with pytest.raises(OSError, match="cannot write"):
        check_output("/proc/a.fits")  # where not even root makes files
    with pytest.raises(OSError, match=r"cannot write .*File name too long"):
        check_output(tmp_path / ("a" * 250))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file; choose another name"):
        check_output(tmp_path / "pipe", overwrite=True)


@contextmanager
def small_files(size=4096):
    """No file may grow beyond so many bytes: then writing fails as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _fail(number):
    def write(_):
        raise OSError(number, os.strerror(number))

    return write


def _no_memory(_):
    raise MemoryError


def _words_of_a_library(partial):
    try:
        partial.write_bytes(bytes(10_000))
    except OSError:
        raise RuntimeError("unexpected pos 4096") from None


def _say_nothing(partial):
    """As a library that keeps neither the error nor its number."""
    file = os.open(partial, os.O_WRONLY | os.O_CREAT)
    os.write(file, bytes(4096))
    os.close(file)
    raise RuntimeError("unexpected pos 4096")


@pytest.mark.parametrize(
    ("write", "number", "message"),
    [
        (lambda partial: partial.write_bytes(bytes(10_000)), errno.EFBIG, "ulimit -f"),
        (_words_of_a_library, errno.EFBIG, "File too large"),
        (_say_nothing, errno.EFBIG, "File too large"),
        (_fail(errno.ENOSPC), errno.ENOSPC, "No space left on device; free space"),
        (_fail(errno.EDQUOT), errno.EDQUOT, "remove files there"),
        (_no_memory, errno.ENOMEM, "not enough memory; close other programs"),
        (lambda _: None, errno.ENOENT, "No such file or directory; check the folder"),
    ],
)
def test_a_full_disk_leaves_the_old_file(tmp_path, write, number, message):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with (
        pytest.raises(OSError, match=f"cannot write .*a.txt: .*{message}") as caught,
        small_files(),
        replace_when_done(path, overwrite=True) as partial,
    ):
        write(partial)
    assert caught.value.errno == number
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1
    # As the message says: with room, or in another folder.
    with replace_when_done(path, overwrite=True) as partial:
        partial.write_bytes(bytes(10_000))
    assert path.stat().st_size == 10_000


def test_other_errors_stay_as_they_are(tmp_path):
    with pytest.raises(KeyError), replace_when_done(tmp_path / "a.txt"):
        raise KeyError("no such column")
    with (
        pytest.raises(OSError, match=r"cannot write .*inner\.txt: .*No space"),
        replace_when_done(tmp_path / "outer.txt"),
        replace_when_done(tmp_path / "inner.txt"),
    ):
        _fail(errno.ENOSPC)(None)
    assert not list(tmp_path.iterdir())


def test_a_link_keeps_the_format_of_its_name(tmp_path):
    (tmp_path / "far").mkdir()
    target = tmp_path / "far" / "data.bin"
    target.write_text("old")
    link = tmp_path / "table.ecsv"
    link.symlink_to(target)
    with replace_when_done(link, overwrite=True) as partial:
        assert partial.suffix == ".ecsv"
        assert partial.parent == target.parent
        partial.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    target.unlink()
    with replace_when_done(link) as partial:
        partial.write_text("made")
    assert target.read_text() == "made"


def test_links_that_lead_nowhere(tmp_path):
    link = tmp_path / "a.txt"
    link.symlink_to(tmp_path / "none" / "a.txt")
    with pytest.raises(FileNotFoundError, match=r"link to .*whose folder does not exist"):
        check_output(link)
    (tmp_path / "none").mkdir()
    check_output(link)
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(OSError, match="link to itself; remove it"):
        check_output(link)


def test_the_file_before_is_kept(tmp_path):
    path, previous = tmp_path / "a", tmp_path / "previous"
    for text in ("first", "second", "third"):
        with replace_when_done(path, overwrite=True, previous=previous) as partial:
            partial.write_text(text)
    assert (path.read_text(), previous.read_text()) == ("third", "second")


@pytest.mark.parametrize("lost", [4, 3000])
def test_a_torn_compressed_file_is_found_out(tmp_path, lost):
    values = np.random.default_rng(0).normal(size=2000)
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(values)])
    hdus.writeto(tmp_path / "whole.fits")
    packed = gzip.compress((tmp_path / "whole.fits").read_bytes())
    (tmp_path / "truncated.fits.gz").write_bytes(packed[:-lost])
    with (
        pytest.raises(
            OSError, match=r"cannot read .*truncated.fits.gz: .*; download or write it again"
        ),
        open_fits(tmp_path / "truncated.fits.gz"),
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
    with pytest.raises(FileNotFoundError, match=r"none does not exist"), reading("none"):
        (tmp_path / "none").read_text()
    message = "it is a folder; choose a file"
    with pytest.raises(IsADirectoryError, match=message), reading("folder"):
        (tmp_path / "folder").read_text()
    with pytest.raises(PermissionError, match="change its permissions"), reading("secret"):
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
