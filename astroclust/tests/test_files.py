# Licensed under a 3-clause BSD style license - see LICENSE.rst
import gzip

import numpy as np
import pytest
from astropy.io import fits

from astroclust.files import check_output, open_fits, replace_when_done


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
        pytest.raises(OSError, match="not a whole FITS file"),
        open_fits(tmp_path / "torn.fits.gz"),
    ):
        pass
    (tmp_path / "whole.fits.gz").write_bytes(packed)
    with open_fits(tmp_path / "whole.fits.gz") as found:
        assert len(found) == 2
